//! What must hold for any bytes from a server: the laws of this crate's fuzz targets.
//!
//! From the inside outwards: responses are cut out of octets ([`imap_frame`]), read ([`imap_data`],
//! [`imap_line`]), inflated ([`imap_deflate`]); and a whole session, from the greeting to a fetch of
//! bodies, is held with a server that says whatever the input says ([`imap_session`]); so is what a
//! restore does, with an eye on what we say ([`imap_target`]). POP3 has its own two laws ([`pop3_multiline`],
//! [`pop3_conversation`]). The server says it whatever it is asked, and then closes, so nothing here ever
//! waits.

mod pop3;

use std::collections::HashSet;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::{BufMut, Bytes};
use message::{Flags, InternalDate, MailboxName, ModSeq, Uid, UidSet, UidValidity};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};

use crate::endpoint::{Credentials, Endpoint, Security};
use crate::error::Error;
use crate::imap::doors::{Data, Frame, Framer, conversational, kept_flags, told_uids};
use crate::imap::{
    AppendStyle, Appended, Delivery, FetchRequest, FetchSink, Outgoing, Part, Refusal, Session, Since,
    Surveyed, Target,
};
use crate::limits::Limits;
use crate::net::deflate::Deflate;
use crate::net::meter::{Counters, Meter};

pub use pop3::{pop3_conversation, pop3_multiline};

/// Bounds that small inputs can reach.
fn limits() -> Limits {
    Limits {
        line: 4096,
        greeting_line: 256,
        literal: 2048,
        literals: 4,
        responses: 200,
        answer: 16 << 10,
        unasked: 8,
        mailboxes: 16,
        flags: 8,
        changes: 8,
        refusals_in_a_row: 4,
        capabilities: 8,
        pipelined: 4,
        octets_under_way: 2048,
        whole: 600,
        slice: 200,
        message: 4096,
        header: 256,
        drained: 128,
        ..Limits::default()
    }
}

/// Responses cut out of a stream: the same however the octets arrive, and within the bounds. The first
/// byte says in which portions they arrive.
pub fn imap_frame(data: &[u8]) {
    let Some((&portion, stream)) = data.split_first() else { return };
    let (whole, end) = frames(stream, stream.len().max(1));
    let (again, same) = frames(stream, usize::from(portion) + 1);
    assert!(whole == again && end == same, "the frames depend on the portions: {end:?}, {same:?}");
    let limits = limits();
    let mut octets = 0;
    for frame in &whole {
        assert!(frame.rest.len() <= limits.literals);
        let literals: u64 = frame.rest.iter().map(|(literal, _)| literal.len() as u64).sum();
        assert!(literals <= limits.literal && frame.len() - literals <= limits.line as u64);
        octets += frame.len();
    }
    assert!(octets <= stream.len() as u64);
}

/// All frames of a stream that comes in portions, and how it ends.
fn frames(stream: &[u8], portion: usize) -> (Vec<Frame>, Option<String>) {
    let mut framer = Framer::new(&limits());
    let mut frames = Vec::new();
    for mut octets in stream.chunks(portion) {
        while !octets.is_empty() {
            let mut room = framer.room(octets.len());
            let length = room.remaining_mut().min(octets.len());
            room.put_slice(&octets[..length]);
            octets = &octets[length..];
            loop {
                match framer.next() {
                    Ok(Some(frame)) => frames.push(frame),
                    Ok(None) => break,
                    Err(error) => return (frames, Some(kind_of(&error))),
                }
            }
        }
    }
    (frames, None)
}

/// Which error it is; how much had come of a line by then depends on the portions.
fn kind_of(error: &Error) -> String {
    match error {
        Error::Bound { what, .. } => (*what).to_owned(),
        other => other.to_string(),
    }
}

/// What untagged responses say: within the bounds, and bodies are octets of the response.
pub fn imap_data(data: &[u8]) {
    let most = limits().flags;
    for frame in frames(data, 4096).0 {
        let Ok(read) = Data::parse(&frame, most) else { continue };
        match read {
            Data::Fetch(row) => {
                assert!(row.flags.is_none_or(|flags| flags.iter().len() <= most));
                let body = row.body.and_then(|body| body.bytes);
                assert!(body.is_none_or(|body| body.len() as u64 <= frame.len()));
            }
            Data::List(line) | Data::Subscribed(line) => {
                let name = MailboxName::new(line.name, message::NameEncoding::ModifiedUtf7, line.delimiter);
                assert!(name.raw().len() as u64 <= frame.len());
                let _ = name.components();
            }
            Data::Vanished { uids: Some(uids), .. } => assert!(!uids.is_empty()),
            Data::Esearch(esearch) => {
                // A set is never taken from nothing.
                assert!(esearch.all.is_none_or(|all| !all.is_empty()));
            }
            _ => {}
        }
    }
}

/// Status lines, completions, continuations: what is passed on to imap-proto it can read, to the last
/// octet, and it is short.
pub fn imap_line(data: &[u8]) {
    for line in data.split(|&byte| byte == b'\n') {
        let Some(passed) = conversational(line) else { continue };
        assert!(passed.ends_with(b"\r\n") && passed.len() <= (20 << 10));
        assert!(matches!(imap_proto::Response::parse(&passed), Ok(([], _))));
        for messages in 1..4 {
            let Some(uids) = told_uids(&passed, messages) else { continue };
            let distinct: HashSet<&Uid> = uids.iter().collect();
            assert!(uids.len() == messages && distinct.len() == messages, "not a UID for each: {uids:?}");
        }
        if let Some(kept) = kept_flags(&passed) {
            assert!(kept.flags.iter().all(|flag| kept.keeps(flag) && flag != "\\*" && !flag.is_empty()));
        }
    }
    let text = String::from_utf8_lossy(data);
    let refusal = Refusal::new(text.split(' ').next().map(str::to_owned), &text);
    let _ = (refusal.kind(), refusal.login_hint());
    assert!(!(refusal.is_over_quota() && refusal.is_too_big()), "full or too big, not both");
    assert!(!(refusal.wants_create() && refusal.already_exists()), "missing or there, not both");
    let _ = (refusal.is_impossible(), refusal.speaks_of_flags(), refusal.speaks_of_date());
    assert!(!refusal.to_string().contains(char::is_control));
}

/// Inflating: ends, whatever the stream; and what is deflated comes back. The first byte says in which
/// portions it arrives.
pub fn imap_deflate(data: &[u8]) {
    /// A bomb is read no further than this.
    const MOST: u64 = 1 << 20;
    let Some((&portion, stream)) = data.split_first() else { return };
    block_on(async {
        let mut inflated = Vec::new();
        let deflate = Deflate::new(Canned::new(stream, portion), Bytes::new());
        // An error is an answer too.
        let _ = deflate.take(MOST).read_to_end(&mut inflated).await;
        let (mut compressed, mut back) = (Vec::new(), Vec::new());
        let mut sent = Deflate::new(&mut compressed, Bytes::new());
        sent.write_all(stream).await.expect("memory takes everything");
        sent.flush().await.expect("memory takes everything");
        let deflate = Deflate::new(Canned::new(&compressed, portion), Bytes::new());
        deflate.take(stream.len() as u64).read_to_end(&mut back).await.expect("it is whole");
        assert!(back == stream, "deflated octets do not come back");
    });
}

/// A whole session with a server that says what the input says. The first byte: bit 0 to compress when
/// the server can, the others in which portions the octets arrive.
pub fn imap_session(data: &[u8]) {
    let Some((&form, stream)) = data.split_first() else { return };
    let limits = limits();
    let counters = Counters::default();
    let transport = Box::new(Meter::new(Canned::new(stream, form >> 1), counters.clone()));
    let (endpoint, credentials) = (endpoint(), credentials());
    block_on(async {
        let compress = form & 1 == 1;
        match Session::begin(transport, counters, &endpoint, &credentials, &limits, compress).await {
            Ok(session) => hold(session).await,
            Err(error) => check(&error),
        }
    });
}

/// What a pull does.
async fn hold(mut session: Session) {
    let limits = limits();
    match session.list().await {
        Ok(listed) => assert!(listed.len() <= 2 * limits.mailboxes + 50),
        Err(error) => return check(&error),
    }
    let since = UidValidity::new(7).map(|validity| Since { validity, modseq: ModSeq(5) });
    match session.examine(&MailboxName::from_text("INBOX", Some(b'/')), since).await {
        Ok(examined) => assert!(examined.changed.len() <= limits.changes),
        Err(error) => return check(&error),
    }
    let mut uids = match session.uids().await {
        Ok(uids) => uids,
        Err(error) => return check(&error),
    };
    uids.extend_from(&UidSet::parse("1:3").expect("a set"));
    let mut surveyed = UidSet::new();
    let mut each = |row: Surveyed| {
        assert!(uids.contains(row.uid) && !surveyed.contains(row.uid), "surveyed twice or unasked");
        surveyed.insert(row.uid);
    };
    if let Err(error) = session.survey(&uids, &mut each).await {
        return check(&error);
    }
    if let Err(error) = session.flags(&uids, Some(ModSeq(3)), &mut |_| ()).await {
        return check(&error);
    }
    let wanted = UidSet::parse("1:3").expect("a set");
    let requests = [Part::Whole, Part::Header, Part::Slice { offset: 0, length: 10 }];
    let requests = requests.map(|part| FetchRequest { uids: wanted.clone(), part });
    let mut sink = Sink { wanted, delivered: Vec::new() };
    if let Err(error) = session.fetch(requests.to_vec(), &mut sink).await {
        return check(&error);
    }
    session.logout().await;
}

/// What a restore does, at a server that says what the input says. The first byte: bit 0 if it speaks
/// while it is spoken to, the others in which portions octets come and go. Octets of messages go out as literals only, whatever the server says.
pub fn imap_target(data: &[u8]) {
    let Some((&form, stream)) = data.split_first() else { return };
    let limits = limits();
    let counters = Counters::default();
    let said = Arc::new(Mutex::new(Vec::new()));
    let heard = Heard {
        lines: Bytes::copy_from_slice(stream),
        portion: usize::from(form >> 1).pow(2) + 1,
        said: Arc::clone(&said),
        rest: false,
        interrupts: form & 1 == 1,
        spoken_to: false,
    };
    let transport = Box::new(Meter::new(heard, counters.clone()));
    let (endpoint, credentials) = (endpoint(), credentials());
    block_on(async {
        match Session::begin(transport, counters, &endpoint, &credentials, &limits, false).await {
            Ok(session) => {
                let mut target = Target::new(session);
                if let Err(error) = give(&mut target).await {
                    check(&error);
                }
                // What has been answered is told, once each, and then there is an end.
                while let Ok(outcome) = target.appended().await {
                    check_outcome(&outcome.1);
                }
                target.logout().await;
            }
            Err(error) => check(&error),
        }
    });
    let said = said.lock().unwrap_or_else(PoisonError::into_inner);
    // CR and NUL are passed over in such lines.
    let first = |line: &[u8]| line.iter().copied().find(|octet| !matches!(octet, b'\r' | 0));
    let leaves = stream.split(|&octet| octet == b'\n').filter(|line| first(line) == Some(b'+')).count();
    assert!(check_said(&said) <= leaves, "a literal without leave");
}

/// Each of these octets is one of a message, and stands nowhere else.
const MARK: u8 = b'!';

async fn give(target: &mut Target) -> Result<(), Error> {
    let inbox = MailboxName::from_text("INBOX", Some(b'/'));
    target.namespace().await?;
    for wanted in [target.create(&inbox, Some("\\Sent")).await.map(drop), target.subscribe(&inbox).await] {
        if let Err(error @ Error::Refused { .. }) = &wanted {
            check(error);
        } else {
            wanted?;
        }
    }
    target.select(&inbox).await?;
    target.quota(&inbox).await?;
    target.append_limit(&inbox).await?;
    let message = |bytes: &'static [u8]| Outgoing {
        flags: Flags::parse("\\Seen a)b $ok"),
        date: Some(InternalDate::parse(" 7-Jul-1996 02:44:25 -0700")),
        bytes: Bytes::from_static(bytes),
    };
    let messages = [message(b"!!!!!!!!"), message(b"!\0!\0"), message(&[MARK; 5000])];
    let most = target.most_per_append().min(messages.len());
    let mut sent = HashSet::new();
    for (count, synchronising) in [(1, false), (most, false), (1, true), (most, true)] {
        let style = AppendStyle { synchronising };
        assert!(sent.insert(target.append(&inbox, &messages[..count], style).await?), "an id twice");
    }
    while target.appends_in_flight() > 0 {
        let (id, outcome) = target.appended().await?;
        assert!(sent.remove(&id), "an outcome twice, or of nothing");
        check_outcome(&outcome);
    }
    target.store_flags(&UidSet::parse("1:3").expect("a set"), &Flags::parse("$ok")).await
}

fn check_outcome(outcome: &Appended) {
    match outcome {
        Appended::Stored { uids: Some(uids) } => assert!((1..=3).contains(&uids.len())),
        Appended::Stored { uids: None } => {}
        Appended::Refused { refusal, .. } => assert!(!refusal.to_string().contains(char::is_control)),
    }
}

/// What we said: lines, and literals of the length that was announced, or nothing of them where the
/// server gave no leave. Only the end may be missing. Gives the number of literals that needed leave.
fn check_said(mut said: &[u8]) -> usize {
    let mut with_leave = 0;
    while let Some(end) = memchr::memmem::find(said, b"\r\n") {
        let line = &said[..end];
        assert!(!line.contains(&MARK), "octets of a message in {:?}", String::from_utf8_lossy(line));
        said = &said[end + 2..];
        let announced = line.strip_suffix(b"}").and_then(|line| {
            let plus = line.ends_with(b"+");
            let digits = &line[memchr::memrchr(b'{', line)? + 1..line.len() - usize::from(plus)];
            Some((std::str::from_utf8(digits).ok()?.parse().ok()?, plus))
        });
        let Some((length, plus)): Option<(usize, bool)> = announced else { continue };
        if plus || said.first() == Some(&MARK) {
            with_leave += usize::from(!plus);
            said = said.get(length..).unwrap_or_default();
        }
    }
    assert!(!said.contains(&MARK), "octets of a message at the end of what was said");
    with_leave
}

/// A server that says one line at a time, takes what we say in portions, and notes it.
struct Heard {
    lines: Bytes,
    portion: usize,
    said: Arc<Mutex<Vec<u8>>>,
    /// It takes nothing every second time.
    rest: bool,
    /// It speaks also while it is spoken to.
    interrupts: bool,
    spoken_to: bool,
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.spoken_to && !self.interrupts {
            // Who speaks comes back when it has taken more.
            return Poll::Pending;
        }
        let line = memchr::memchr(b'\n', &self.lines).map_or(self.lines.len(), |end| end + 1);
        let length = line.min(self.portion).min(buffer.remaining());
        buffer.put_slice(&self.lines.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        self.spoken_to = true;
        self.rest = !self.rest;
        if self.rest {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let length = octets.len().min(self.portion);
        self.said.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&octets[..length]);
        Poll::Ready(Ok(length))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.spoken_to = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn endpoint() -> Endpoint {
    Endpoint {
        host: "mail.example.org".to_owned(),
        port: 143,
        security: Security::Plain,
        extra_authorities: Vec::new(),
        extra_authorities_from: String::new(),
    }
}

fn credentials() -> Credentials {
    Credentials { user: "me".to_owned(), password: "secret".into() }
}

/// Each body was asked for, and comes once.
struct Sink {
    wanted: UidSet,
    delivered: Vec<(Uid, Part)>,
}

impl FetchSink for Sink {
    async fn delivered(&mut self, delivery: Delivery) -> ControlFlow<()> {
        assert!(self.wanted.contains(delivery.uid));
        let this = (delivery.uid, delivery.part);
        assert!(!self.delivered.contains(&this), "{this:?} was delivered twice");
        if let Part::Slice { length, .. } = delivery.part {
            assert!(delivery.bytes.len() <= length as usize);
        }
        self.delivered.push(this);
        ControlFlow::Continue(())
    }

    async fn finished(&mut self, request: FetchRequest, _: Option<Refusal>) -> ControlFlow<()> {
        assert!(request.uids.difference(&self.wanted).is_empty());
        ControlFlow::Continue(())
    }
}

/// An error is of one line, fit for a log, bounded, and has no password in it.
fn check(error: &Error) {
    let told = error.to_string();
    assert!(!told.contains(char::is_control), "{told:?}");
    assert!(told.len() < 16 << 10 && !told.contains("secret"), "{told:?}");
    let _ = error.kind();
}

/// A server that has said everything already and takes everything.
struct Canned {
    octets: Bytes,
    portion: usize,
}

impl Canned {
    fn new(octets: &[u8], portion: u8) -> Self {
        Self { octets: Bytes::copy_from_slice(octets), portion: usize::from(portion).pow(2) + 1 }
    }
}

impl AsyncRead for Canned {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let length = self.octets.len().min(self.portion).min(buffer.remaining());
        buffer.put_slice(&self.octets.split_to(length));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Canned {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, octets: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_time().build().expect("a runtime of one thread can be made").block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s18_responses_are_the_same_however_they_arrive() {
        seeds::replay("imap_frame", imap_frame);
        seeds::mutate("imap_frame", imap_frame, 20_000);
    }

    #[test]
    fn s18_no_response_is_read_beyond_its_bounds() {
        seeds::replay("imap_data", imap_data);
        seeds::mutate("imap_data", imap_data, 40_000);
    }

    #[test]
    fn s18_whatever_line_is_passed_on_can_be_read() {
        seeds::replay("imap_line", imap_line);
        seeds::mutate("imap_line", imap_line, 20_000);
    }

    #[test]
    fn n14_no_compressed_stream_is_read_for_ever() {
        seeds::replay("imap_deflate", imap_deflate);
        seeds::mutate("imap_deflate", imap_deflate, 2_000);
    }

    #[test]
    fn s18_no_server_makes_a_session_panic_or_deliver_what_was_not_asked_for() {
        seeds::replay("imap_session", imap_session);
        seeds::mutate("imap_session", imap_session, 10_000);
    }

    #[test]
    fn s18_no_server_makes_a_restore_panic_or_send_octets_of_messages_as_commands() {
        seeds::replay("imap_target", imap_target);
        seeds::mutate("imap_target", imap_target, 10_000);
    }
}
