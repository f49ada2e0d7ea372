//! The password is in no log and in no error, at any level, from this crate or from those below it.
//!
//! A program of its own with one test, because it listens to everything that is logged in the
//! process: by `tracing` here, by the `log` facade in async-imap.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use restante_remote::imap::Session;
use restante_remote::{Credentials, Endpoint, Limits, Security};

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

/// A server that refuses the login; gives what the client sent.
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
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let encoded = base64_simd::STANDARD.encode_to_string(format!("\0me\0{CANARY}"));
    let quoted = CANARY.replace('\\', "\\\\").replace('"', "\\\"");
    let mut shown = format!("{credentials:?}");
    for (capabilities, secret) in [("", &quoted), ("AUTH=PLAIN", &encoded), ("AUTH=PLAIN SASL-IR", &encoded)]
    {
        let (sent, error) = std::thread::scope(|scope| {
            let server = scope.spawn(|| refuse(&listener, capabilities));
            let opened = runtime.block_on(Session::open(&endpoint, &credentials, &Limits::default()));
            (server.join().unwrap(), opened.expect_err("the server refuses"))
        });
        assert!(sent.contains(secret.as_str()), "the password was sent: {sent}");
        shown.push_str(&format!("{error} {error:?}"));
    }

    shown.push_str(&String::from_utf8(log.0.lock().unwrap().clone()).unwrap());
    assert!(shown.contains("AUTHENTICATE PLAIN"), "what this crate logs is heard");
    assert!(shown.contains("async_imap"), "what async-imap logs is heard");
    for secret in [CANARY, &encoded, &quoted, "canary"] {
        assert!(!shown.contains(secret), "{secret} is in {shown}");
    }
}
