//! How fast a server's responses are cut out of the octets, read, and told, on one core.
//!
//! The server is memory: it has its answers ready, and hands over what fits into the reader's buffer.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on should stop where it is")]

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use futures::future::BoxFuture;
use message::{MailboxName, UidSet};
use restante_remote::imap::{Delivery, FetchRequest, FetchSink, Part, Refusal, Session};
use restante_remote::{Connection, Credentials, Endpoint, Error, Limits, Network, Security};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

fn main() {
    divan::main();
}

/// A mailbox: what is answered for each of its messages, in the order of their UIDs from 1.
struct Mailbox {
    bodies: Vec<Bytes>,
    rows: Vec<Bytes>,
}

impl Mailbox {
    fn new(messages: usize, body: &[u8]) -> Self {
        let head = |uid| {
            format!(
                "* {uid} FETCH (UID {uid} FLAGS (\\Seen $Forwarded) INTERNALDATE \" 7-Jul-2025 02:44:25 -0700\""
            )
        };
        let size = body.len();
        let bodies = (1..=messages).map(|uid| {
            let literal = format!("{} BODY[] {{{size}}}\r\n", head(uid));
            [literal.as_bytes(), body, b")\r\n"].concat().into()
        });
        let rows = (1..=messages).map(|uid| format!("{} RFC822.SIZE {size})\r\n", head(uid)).into());
        Self { bodies: bodies.collect(), rows: rows.collect() }
    }

    fn uids(&self) -> UidSet {
        UidSet::parse(&format!("1:{}", self.rows.len())).unwrap()
    }
}

/// The other end of a connection.
struct Canned<'a> {
    mailbox: &'a Mailbox,
    command: Vec<u8>,
    answers: VecDeque<Bytes>,
}

impl Canned<'_> {
    fn say(&mut self, text: String) {
        self.answers.push_back(text.into());
    }

    fn answer(&mut self, line: &str) {
        let mut words = line.split(' ');
        let (tag, verb) = (words.next().unwrap(), words.next().unwrap());
        match verb {
            "CAPABILITY" => self.say("* CAPABILITY IMAP4rev1\r\n".into()),
            "EXAMINE" => {
                let count = self.mailbox.rows.len();
                let next = count + 1;
                self.say(format!(
                    "* {count} EXISTS\r\n* OK [UIDVALIDITY 1] ok\r\n* OK [UIDNEXT {next}] ok\r\n"
                ));
            }
            "UID" => {
                let answers = if line.contains("BODY") { &self.mailbox.bodies } else { &self.mailbox.rows };
                let uids = UidSet::parse(words.nth(1).unwrap()).unwrap();
                self.answers.extend(uids.iter().map(|uid| answers[uid.get() as usize - 1].clone()));
            }
            _ => {}
        }
        self.say(format!("{tag} OK done\r\n"));
    }
}

impl AsyncRead for Canned<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while let Some(answer) = self.answers.front_mut().filter(|_| buffer.remaining() > 0) {
            let length = answer.len().min(buffer.remaining());
            buffer.put_slice(&answer[..length]);
            answer.advance(length);
            if answer.is_empty() {
                self.answers.pop_front();
            }
        }
        // Whoever asks has written before, so there is always an answer: else this is the end.
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Canned<'_> {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.command.extend_from_slice(bytes);
        while let Some(end) = self.command.windows(2).position(|two| two == b"\r\n") {
            let line: Vec<u8> = self.command.drain(..end + 2).collect();
            self.answer(std::str::from_utf8(&line[..end]).unwrap());
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Network for &'static Mailbox {
    fn connect<'a>(&'a self, _: &'a str, _: u16, _: Duration) -> BoxFuture<'a, Result<Connection, Error>> {
        let greeting = Bytes::from_static(b"* PREAUTH [CAPABILITY IMAP4rev1] hello\r\n");
        let stream = Box::new(Canned { mailbox: self, command: Vec::new(), answers: [greeting].into() });
        Box::pin(async { Ok(Connection { stream, is_local: true }) })
    }
}

/// A session with the mailbox open, and something done in it.
fn hold<T>(mailbox: &'static Mailbox, work: impl AsyncFnOnce(&mut Session) -> T) -> T {
    let endpoint = Endpoint {
        host: "memory".to_owned(),
        port: 143,
        security: Security::Plain,
        extra_authorities: Vec::new(),
        extra_authorities_from: String::new(),
    };
    let credentials = Credentials { user: "me".to_owned(), password: String::new().into() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let limits = Limits::default();
        let mut session = Session::open_through(&mailbox, &endpoint, &credentials, &limits).await.unwrap();
        session.examine(&MailboxName::from_text("INBOX", Some(b'/')), None).await.unwrap();
        work(&mut session).await
    })
}

/// Counts what comes and forgets it.
struct Drain(usize);

impl FetchSink for Drain {
    async fn delivered(&mut self, delivery: Delivery) -> ControlFlow<()> {
        self.0 += divan::black_box(delivery).bytes.len();
        ControlFlow::Continue(())
    }

    async fn finished(&mut self, _: FetchRequest, _: Option<Refusal>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

#[divan::bench(args = [2_000, 50_000, 2_000_000], sample_count = 20)]
fn bodies(bencher: Bencher<'_, '_>, size: usize) {
    const OCTETS: usize = 32_000_000;
    let line = b"Words of a letter, in lines of the usual length, as people and programs do.\r\n";
    let body: Vec<u8> = line.iter().copied().cycle().take(size).collect();
    let mailbox: &'static Mailbox = Box::leak(Box::new(Mailbox::new(OCTETS / size, &body)));
    bencher.counter(BytesCount::new(OCTETS)).bench_local(|| {
        hold(mailbox, async |session| {
            let mut drain = Drain(0);
            let request = FetchRequest { uids: mailbox.uids(), part: Part::Whole };
            session.fetch(vec![request], &mut drain).await.unwrap();
            assert_eq!(drain.0, OCTETS, "not all has come");
        });
    });
}

#[divan::bench(sample_count = 20)]
fn survey(bencher: Bencher<'_, '_>) {
    const MESSAGES: usize = 50_000;
    let mailbox: &'static Mailbox = Box::leak(Box::new(Mailbox::new(MESSAGES, b"")));
    bencher.counter(ItemsCount::new(MESSAGES)).bench_local(|| {
        hold(mailbox, async |session| {
            let mut rows = 0;
            session.survey(&mailbox.uids(), &mut |row| rows += usize::from(row.size == 0)).await.unwrap();
            assert_eq!(rows, MESSAGES, "not all has come");
        });
    });
}
