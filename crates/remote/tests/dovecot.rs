//! POP3 at a real Dovecot: the octets of each message are those that IMAP gives.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;
use std::ops::ControlFlow;

use bytes::Bytes;
use message::{Flags, InternalDate};
use restante_remote::pop3::{
    Auth, Count, HeaderSink, How, Number, Pace, RetrieveSink, Retrieved, Session, Wanted,
};
use restante_remote::{Credentials, Endpoint, Limits, Refusal, Security};
use testkit::{Dovecot, Options};

/// What came, in the order in which it was asked for.
#[derive(Default)]
struct Came {
    messages: Vec<(Vec<u8>, Count)>,
    slices: Vec<u8>,
    headers: Vec<Vec<u8>>,
}

impl RetrieveSink for Came {
    async fn retrieved(&mut self, event: Retrieved) -> ControlFlow<()> {
        match event {
            Retrieved::Whole { bytes, count, .. } => self.messages.push((bytes.to_vec(), count)),
            Retrieved::Slice { bytes, .. } => self.slices.extend_from_slice(&bytes),
            Retrieved::EndOfSlices { count, .. } => {
                self.messages.push((std::mem::take(&mut self.slices), count));
            }
            other => panic!("{other:?}"),
        }
        ControlFlow::Continue(())
    }
}

impl HeaderSink for Came {
    async fn header(&mut self, _: Number, header: Result<Bytes, Refusal>) -> ControlFlow<()> {
        self.headers.push(header.unwrap().to_vec());
        ControlFlow::Continue(())
    }
}

/// Mail of every form that a line can have.
fn letters() -> Vec<Vec<u8>> {
    let header = "Subject: a letter\r\nFrom: me\r\n\r\n";
    let bodies = [
        "one\r\ntwo\r\n".to_owned(),
        "no line end".to_owned(),
        "two line ends\r\n\r\n".to_owned(),
        ".\r\n..\r\n...\r\n.dot\r\n".to_owned(),
        "a dot at the end\r\n.".to_owned(),
        ".\r\n".to_owned(),
        "\r\n".to_owned(),
        String::new(),
        "bare\nline\n.\nends\r\n".to_owned(),
        "Käse: \u{1f9c0}\r\n".to_owned(),
        "bare\rCR\r\r\n".to_owned(),
        format!("{}\r\n", "x".repeat(1 << 20)),
        ".\r\n".repeat(10_000),
        "0123456789abcdef\r\n".repeat(1 << 20),
    ];
    let mut letters: Vec<Vec<u8>> = bodies.iter().map(|body| [header, body].concat().into_bytes()).collect();
    letters.push(b"Subject: a header and no more\r\nX: y\r\nZ: z\r\n".to_vec());
    letters
}

fn endpoint(address: SocketAddr, security: Security, authority: &str) -> Endpoint {
    Endpoint {
        host: "127.0.0.1".to_owned(),
        port: address.port(),
        security,
        extra_authorities: authority.as_bytes().to_vec(),
        extra_authorities_from: "the test".to_owned(),
    }
}

#[tokio::test]
async fn p13_pop3_and_imap_give_the_same_octets_at_every_pace_and_over_every_kind_of_line() {
    let Some(mut dovecot) = Dovecot::start(Options::default()) else { return };
    let (Some(pop3), Some(pop3s)) = (dovecot.pop3(), dovecot.pop3s()) else { return };
    let date = InternalDate::parse("02-Mar-2026 10:00:00 +0000");
    for letter in letters() {
        dovecot.deliver("anna", "INBOX", &Flags::new(), &date, &letter);
    }
    let by_imap: Vec<Vec<u8>> =
        dovecot.imap("anna").fetch_all("INBOX").into_iter().map(|fetched| fetched.bytes).collect();
    let credentials = Credentials { user: "anna".to_owned(), password: dovecot.password().into() };
    let authority = dovecot.certificates().authority.clone();
    for (address, security, auth, pace, how) in [
        (pop3, Security::Plain, Auth::User, Pace::Fast, How::Retr),
        (pop3, Security::StartTls, Auth::Auto, Pace::OneByOne, How::Retr),
        (pop3s, Security::Implicit, Auth::Plain, Pace::Careful, How::Retr),
        (pop3s, Security::Implicit, Auth::Auto, Pace::Fast, How::Top),
    ] {
        let endpoint = endpoint(address, security, &authority);
        let mut session = Session::open(&endpoint, &credentials, auth, &Limits::default()).await.unwrap();
        let capabilities = session.capabilities();
        assert!(capabilities.announced && capabilities.uidl && capabilities.top && capabilities.pipelining);
        let overview = session.overview(true).await.unwrap();
        let uidls = overview.uidls.unwrap();
        assert_eq!(uidls.len(), by_imap.len());
        let sizes = session.sizes().await.unwrap();
        let numbers: Vec<Number> = sizes.iter().map(|(number, _)| *number).collect();
        let alone = session.uidl_of(&numbers).await.unwrap();
        assert!(uidls.into_iter().zip(alone).all(|(listed, alone)| (listed.0, Some(listed.1)) == alone));
        let before = session.traffic().round_trips;
        let wanted: Vec<Wanted> =
            sizes.into_iter().map(|(number, octets)| Wanted { number, octets: Some(octets), how }).collect();
        let mut came = Came::default();
        session.retrieve(&wanted, pace, &mut came).await.unwrap();
        if pace == Pace::Fast {
            assert!(session.traffic().round_trips - before <= 3);
        }
        for (at, ((bytes, count), expected)) in came.messages.iter().zip(&by_imap).enumerate() {
            assert!(bytes == expected, "message {} differs: {count:?}", at + 1);
            let told_without = !expected.ends_with(b"\r\n");
            let counted = if told_without { Count::WithoutLastLineEnd } else { Count::Exact };
            assert_eq!(*count, counted, "message {}", at + 1);
        }
        session.headers(&numbers, &mut came).await.unwrap();
        for (at, (header, expected)) in came.headers.iter().zip(&by_imap).enumerate().take(by_imap.len() - 1)
        {
            assert!(expected.starts_with(header) && header.ends_with(b"\r\n\r\n"), "message {}", at + 1);
        }
        assert_eq!(session.stat().await.unwrap().messages as usize, by_imap.len());
        session.quit().await.unwrap();
    }
}

#[tokio::test]
async fn o02_a_wrong_password_at_dovecot_is_one() {
    let Some(dovecot) = Dovecot::start(Options::default()) else { return };
    let Some(pop3) = dovecot.pop3() else { return };
    let credentials = Credentials { user: "anna".to_owned(), password: "wrong".into() };
    for auth in [Auth::User, Auth::Plain] {
        let endpoint = endpoint(pop3, Security::Plain, "");
        let error = Session::open(&endpoint, &credentials, auth, &Limits::default()).await.unwrap_err();
        assert_eq!(error.to_string(), "login as anna failed: [AUTH] Authentication failed.");
        assert_eq!(error.kind(), restante_remote::Kind::Credentials);
    }
}
