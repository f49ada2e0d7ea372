//! Mail at a rate, over IMAP and POP3, by a clock that is not real.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::num::NonZeroU64;
use std::ops::ControlFlow;
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use message::{Flags, InternalDate, MailboxName, NameEncoding, UidSet};
use restante_remote::imap::{self, Delivery, FetchRequest, FetchSink, Part};
use restante_remote::pop3::{self, Auth, How, Pace, RetrieveSink, Retrieved, Wanted};
use restante_remote::{
    Connection, Credentials, Endpoint, Error, Limits, Network, Refusal, Security, Throttle, Transport,
};
use server::{Behaviour, Store};
use tokio::io::{DuplexStream, duplex};
use tokio::time::Instant;

/// Octets a second.
const RATE: u64 = 20_000;
/// More than come in the time in which a server has to say something.
const LETTERS: usize = 60;
const LETTER: usize = 100_000;

/// Connections to a server in this process.
struct InProcess<S>(S);

impl<S: Fn(DuplexStream) + Send + Sync> Network for InProcess<S> {
    fn connect<'a>(&'a self, _: &'a str, _: u16, _: Duration) -> BoxFuture<'a, Result<Connection, Error>> {
        let (client, server) = duplex(64 << 10);
        (self.0)(server);
        let stream: Box<dyn Transport> = Box::new(client);
        Box::pin(async move { Ok(Connection { stream, is_local: true }) })
    }
}

#[derive(Default)]
struct Came(Vec<Bytes>);

impl FetchSink for Came {
    async fn delivered(&mut self, delivery: Delivery) -> ControlFlow<()> {
        self.0.push(delivery.bytes);
        ControlFlow::Continue(())
    }

    async fn finished(&mut self, _: FetchRequest, refusal: Option<Refusal>) -> ControlFlow<()> {
        assert!(refusal.is_none(), "{refusal:?}");
        ControlFlow::Continue(())
    }
}

impl RetrieveSink for Came {
    async fn retrieved(&mut self, event: Retrieved) -> ControlFlow<()> {
        match event {
            Retrieved::Whole { bytes, .. } => self.0.push(bytes),
            other => panic!("{other:?}"),
        }
        ControlFlow::Continue(())
    }
}

fn letter(number: usize) -> Vec<u8> {
    let mut letter = format!("Subject: {number}\r\n\r\n").into_bytes();
    letter.resize(LETTER - 2, b'a');
    letter.extend_from_slice(b"\r\n");
    letter
}

fn store() -> Store {
    let store = Store::new();
    store.add_user("anna", "pass");
    let date = InternalDate::from_unix(0, 0);
    for number in 0..LETTERS {
        store.append("anna", "INBOX", &Flags::new(), &date, letter(number)).unwrap();
    }
    store
}

fn who() -> (Endpoint, Credentials) {
    let endpoint = Endpoint {
        host: "mail.example.org".to_owned(),
        port: 143,
        security: Security::Plain,
        extra_authorities: Vec::new(),
        extra_authorities_from: String::new(),
    };
    (endpoint, Credentials { user: "anna".to_owned(), password: "pass".into() })
}

/// A rate at which a server that sent no faster would be given up.
fn limits() -> Limits {
    let mut limits = Limits::default();
    limits.throttle = Throttle::per_second(NonZeroU64::new(RATE).unwrap());
    limits.slowest = 10 * u32::try_from(RATE).unwrap();
    limits.progress = Duration::from_secs(2);
    limits
}

/// All came, as they were, and at the rate: with a second's worth and the first octets of a connection
/// beside it.
fn check(came: &Came, received: u64, took: Duration) {
    assert!(came.0.iter().enumerate().all(|(number, bytes)| **bytes == letter(number)));
    assert_eq!(came.0.len(), LETTERS);
    let at_rate = RATE * took.as_secs();
    assert!(received >= (LETTERS * LETTER) as u64);
    assert!(received < at_rate + 3 * RATE, "{received} octets in {took:?}");
    assert!(received + 2 * RATE > at_rate, "{received} octets in {took:?}: slower than it may");
}

#[tokio::test(start_paused = true)]
async fn mail_comes_over_imap_at_the_rate_and_the_server_is_not_blamed() {
    let host = server::Host::new(store(), Behaviour::modern());
    let network = InProcess(|stream| {
        let host = host.clone();
        tokio::spawn(async move { host.serve(stream).await });
    });
    let (endpoint, credentials) = who();
    let begun = Instant::now();
    let mut session =
        imap::Session::open_through(&network, &endpoint, &credentials, &limits()).await.unwrap();
    session.examine(&MailboxName::new("INBOX", NameEncoding::ModifiedUtf7, None), None).await.unwrap();
    let uids = UidSet::parse(&format!("1:{LETTERS}")).unwrap();
    let mut came = Came::default();
    session.fetch(vec![FetchRequest { uids, part: Part::Whole }], &mut came).await.unwrap();
    check(&came, session.traffic().received, begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn mail_comes_over_pop3_at_the_rate_and_the_server_is_not_blamed() {
    let host = server::pop3::Host::new(store(), server::pop3::Behaviour::modern());
    let network = InProcess(|stream| {
        let host = host.clone();
        tokio::spawn(async move { host.serve(stream).await });
    });
    let (endpoint, credentials) = who();
    let begun = Instant::now();
    let mut session =
        pop3::Session::open_through(&network, &endpoint, &credentials, Auth::Auto, &limits()).await.unwrap();
    let sizes = session.sizes().await.unwrap();
    let wanted: Vec<Wanted> = sizes
        .into_iter()
        .map(|(number, octets)| Wanted { number, octets: Some(octets), how: How::Retr })
        .collect();
    let mut came = Came::default();
    session.retrieve(&wanted, Pace::Fast, &mut came).await.unwrap();
    check(&came, session.traffic().received, begun.elapsed());
}
