//! The password is in no log and in no error, at any level, from this crate or from those below it.
//!
//! A program of its own with one test, because it listens to everything that is logged in the
//! process: by `tracing` here, by the `log` facade in async-imap.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use restante_remote::pop3::Auth;
use restante_remote::{Credentials, Endpoint, Error, Limits, Security, imap, pop3};

const CANARY: &str = "canary-\"p\\w\"-7431";

/// Keeps what is written to it.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl log::Log for Log {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        writeln!(self.0.lock().unwrap(), "{} {}", record.target(), record.args()).unwrap();
    }

    fn flush(&self) {}
}

/// An IMAP server that refuses the login; gives what the client sent.
fn refuse(listener: &TcpListener, capabilities: &str) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    writeln!(stream, "* OK [CAPABILITY IMAP4rev1 {capabilities}] hi\r").unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let mut sent = lines.next().unwrap().unwrap();
    if sent.ends_with("PLAIN") {
        writeln!(stream, "+ \r").unwrap();
        sent.push_str(&lines.next().unwrap().unwrap());
    }
    writeln!(stream, "r1 NO [AUTHENTICATIONFAILED] go away\r").unwrap();
    sent
}

/// A POP3 server that refuses the login; gives what the client sent.
fn refuse_pop3(listener: &TcpListener, in_steps: bool) -> String {
    let (mut stream, _) = listener.accept().unwrap();
    writeln!(stream, "+OK ready <1896.697170952@dbc.mtview.ca.us>\r").unwrap();
    let mut sent = String::new();
    for line in BufReader::new(stream.try_clone().unwrap()).lines() {
        let line = line.unwrap();
        let answer = match line.split(' ').next() {
            Some("CAPA") => "+OK\r\nUSER\r\nSASL PLAIN XOAUTH2 OAUTHBEARER\r\n.",
            Some("USER") => "+OK",
            Some("AUTH") if in_steps => "+ ",
            _ => "-ERR [AUTH] go away",
        };
        writeln!(stream, "{answer}\r").unwrap();
        sent.push_str(&line);
        sent.push('\n');
        if answer.starts_with('-') {
            break;
        }
    }
    sent
}

#[test]
fn s1_the_password_is_in_no_log_and_no_error() {
    let log = Log::default();
    let writer = log.clone();
    log::set_logger(Box::leak(Box::new(log.clone()))).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint {
        host: "127.0.0.1".to_owned(),
        port: listener.local_addr().unwrap().port(),
        security: Security::Plain,
        extra_authorities: Vec::new(),
        extra_authorities_from: String::new(),
    };
    let credentials = Credentials { user: "me".to_owned(), password: CANARY.into() };
    let limits = Limits::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let encode = |text: String| base64_simd::STANDARD.encode_to_string(text);
    let plain = encode(format!("\0me\0{CANARY}"));
    let quoted = CANARY.replace('\\', "\\\\").replace('"', "\\\"");
    let mut shown = format!("{credentials:?}");
    let mut note = |secret: &str, sent: String, error: Error| {
        assert!(sent.contains(secret), "the password was sent: {sent}");
        shown.push_str(&format!("{error} {error:?}"));
    };
    for (capabilities, secret) in [("", &quoted), ("AUTH=PLAIN", &plain), ("AUTH=PLAIN SASL-IR", &plain)] {
        let (sent, error) = std::thread::scope(|scope| {
            let server = scope.spawn(|| refuse(&listener, capabilities));
            let opened = runtime.block_on(imap::Session::open(&endpoint, &credentials, &limits));
            (server.join().unwrap(), opened.expect_err("the server refuses"))
        });
        note(secret, sent, error);
    }
    let digest = "0678a5ff396c86ea5e241d70e0c3da13";
    let xoauth2 = encode(format!("user=me\x01auth=Bearer {CANARY}\x01\x01"));
    let port = endpoint.port;
    let bearer = encode(format!("n,a=me,\x01host=127.0.0.1\x01port={port}\x01auth=Bearer {CANARY}\x01\x01"));
    for (auth, secret) in [
        (Auth::User, CANARY),
        (Auth::Apop, digest),
        (Auth::Plain, &plain),
        (Auth::XOauth2, &xoauth2),
        (Auth::OAuthBearer, &bearer),
    ] {
        for in_steps in [false, true] {
            let (sent, error) = std::thread::scope(|scope| {
                let server = scope.spawn(|| refuse_pop3(&listener, in_steps));
                let opened = runtime.block_on(pop3::Session::open(&endpoint, &credentials, auth, &limits));
                (server.join().unwrap(), opened.expect_err("the server refuses"))
            });
            note(secret, sent, error);
        }
    }

    shown.push_str(&String::from_utf8(log.0.lock().unwrap().clone()).unwrap());
    assert!(shown.contains("AUTHENTICATE PLAIN"), "what this crate logs is heard");
    assert!(shown.contains("async_imap"), "what async-imap logs is heard");
    assert!(shown.contains("PASS ***") && shown.contains("AUTH XOAUTH2 ***"), "so is what is said in POP3");
    for secret in [CANARY, &plain, &quoted, &xoauth2, &bearer, digest, "canary"] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
}
