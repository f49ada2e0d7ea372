//! A server that plays a script, for tests: what must come, and what is answered.
//!
//! ```text
//! S: * PREAUTH [CAPABILITY IMAP4rev1] hello       a line from the server
//! C: r1 EXAMINE "INBOX"                           a line that the client must send
//! S| no line end                                  octets, \r \n \0 \xNN escaped
//! C# 6                                            so many octets from the client, whatever they are
//! TLS / DEFLATE                                   from here on
//! WAIT 60                                         seconds, on a clock that is not real
//! HANG                                            silence until the client goes
//! ```
//! At the end of the script the server closes; what the client still sends is not read.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;

use crate::net::Transport;
use crate::net::deflate::Deflate;
use crate::net::meter::{Counters, Meter};
use crate::{Credentials, Endpoint, Limits, Security};

/// A password that must be quoted.
const PASSWORD: &str = "canary-\"p\\w\"-7431";

/// A server's identity, and what the client has to trust.
pub(crate) struct Identity {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) pem: String,
}

impl Identity {
    pub(crate) fn new(name: &str) -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed([name.to_owned()]).unwrap();
        Self::from_parts(vec![cert.der().clone()], signing_key.serialize_der(), cert.pem())
    }

    pub(crate) fn from_parts(
        chain: Vec<rustls_pki_types::CertificateDer<'static>>,
        key: Vec<u8>,
        pem: String,
    ) -> Self {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key));
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        Self { config: Arc::new(config), pem }
    }
}

/// A test's world: limits, security, whether the peer is compressed to.
pub(crate) struct World {
    pub(crate) limits: Limits,
    pub(crate) endpoint: Endpoint,
    pub(crate) credentials: Credentials,
    pub(crate) compress: bool,
    identity: Identity,
}

impl World {
    pub(crate) fn new(security: Security) -> Self {
        let identity = Identity::new("mail.example.org");
        Self {
            limits: Limits::default(),
            endpoint: Endpoint {
                host: "mail.example.org".to_owned(),
                port: 143,
                security,
                extra_authorities: identity.pem.clone().into_bytes(),
                extra_authorities_from: "ca.pem".to_owned(),
            },
            credentials: Credentials { user: "me".to_owned(), password: PASSWORD.into() },
            compress: false,
            identity,
        }
    }

    /// Connects to a server that plays `script`, and does `test` with the connection.
    pub(crate) async fn meet<T>(
        &self,
        script: &str,
        test: impl AsyncFnOnce(Box<dyn Transport>, Counters) -> T,
    ) -> T {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let acceptor = TlsAcceptor::from(Arc::clone(&self.identity.config));
        let peer = tokio::spawn(perform(Box::new(theirs), script.to_owned(), acceptor));
        let counters = Counters::default();
        let result = test(Box::new(Meter::new(ours, counters.clone())), counters).await;
        if let Err(failed) = peer.await {
            std::panic::resume_unwind(failed.into_panic());
        }
        result
    }
}

async fn perform(mut stream: Box<dyn Transport>, script: String, acceptor: TlsAcceptor) {
    for step in script.lines().map(str::trim_start).filter(|step| !step.is_empty()) {
        if let Some(line) = step.strip_prefix("S: ") {
            send(&mut stream, format!("{line}\r\n").as_bytes()).await;
        } else if let Some(octets) = step.strip_prefix("S| ") {
            send(&mut stream, &unescape(octets)).await;
        } else if let Some(line) = step.strip_prefix("C: ") {
            assert_eq!(read_line(&mut stream).await, line);
        } else if let Some(number) = step.strip_prefix("C# ") {
            let mut octets = vec![0; number.parse().unwrap()];
            stream.read_exact(&mut octets).await.unwrap();
        } else if let Some(seconds) = step.strip_prefix("WAIT ") {
            tokio::time::sleep(Duration::from_secs(seconds.parse().unwrap())).await;
        } else if step == "TLS" {
            stream = Box::new(acceptor.accept(stream).await.unwrap());
        } else if step == "DEFLATE" {
            stream = Box::new(Deflate::new(stream, Bytes::new()));
        } else if step == "HANG" {
            let mut rest = Vec::new();
            // Whatever the client says, it gets no answer.
            let _ = stream.read_to_end(&mut rest).await;
        } else {
            panic!("not a step: {step}");
        }
    }
}

/// The client may be gone already: then that is what the test is about.
async fn send(stream: &mut Box<dyn Transport>, octets: &[u8]) {
    let _ = stream.write_all(octets).await;
    let _ = stream.flush().await;
}

async fn read_line(stream: &mut Box<dyn Transport>) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        match stream.read_u8().await {
            Ok(octet) => line.push(octet),
            Err(error) => return format!("{} <{error}>", String::from_utf8_lossy(&line)),
        }
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).unwrap()
}

fn unescape(text: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            octets.extend(character.to_string().bytes());
            continue;
        }
        octets.push(match characters.next().unwrap() {
            'r' => b'\r',
            'n' => b'\n',
            '0' => 0,
            'x' => {
                let digits: String = characters.by_ref().take(2).collect();
                u8::from_str_radix(&digits, 16).unwrap()
            }
            other => panic!("not an escape: {other}"),
        });
    }
    octets
}
