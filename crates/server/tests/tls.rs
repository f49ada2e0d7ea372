//! TLS, from the first octet and after STARTTLS, and what an attacker may inject.

#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod support;

use std::sync::Arc;

use restante_server::{Behaviour, Effect, Fault, Server, Tls, TlsConfig, Trigger, tls_config};
use rustls_pki_types::{CertificateDer, ServerName};
use support::{Client, server_with};
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, rustls};

/// A certificate for localhost, and a client that trusts it.
fn both_sides() -> (TlsConfig, TlsConnector) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let config = tls_config(made.cert.pem().as_bytes(), made.signing_key.serialize_pem().as_bytes()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from(made.cert.der().to_vec())).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    (config, TlsConnector::from(Arc::new(client)))
}

async fn encrypt(stream: TcpStream, connector: &TlsConnector) -> Client {
    let name = ServerName::try_from("localhost").unwrap();
    Client::over(connector.connect(name, stream).await.unwrap())
}

async fn dial(server: &Server) -> TcpStream {
    TcpStream::connect(server.address()).await.unwrap()
}

#[tokio::test]
async fn a_session_is_encrypted_from_the_first_octet() {
    let (config, connector) = both_sides();
    let server = server_with(1, Behaviour::modern().with_tls(Tls::Implicit(config))).await;
    let mut client = encrypt(dial(&server).await, &connector).await;
    assert!(client.line().await.unwrap().starts_with("* OK"));
    client.ok("LOGIN alice secret").await;
    client.ok("EXAMINE INBOX").await;
    assert_eq!(client.ok("UID FETCH 1 (UID)").await[0], "* 1 FETCH (UID 1)");
    client.ok("LOGOUT").await;
    assert!(client.is_over().await);
}

/// Asks for TLS by hand, so that what follows the answer can be seen.
async fn start_tls(server: &Server, extra: &[u8]) -> (TcpStream, Vec<u8>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = dial(server).await;
    stream.write_all(&[b"a STARTTLS\r\n", extra].concat()).await.unwrap();
    let mut heard = Vec::new();
    let mut octet = [0];
    while heard.iter().filter(|&&byte| byte == b'\n').count() < 2 {
        stream.read_exact(&mut octet).await.unwrap();
        heard.push(octet[0]);
    }
    (stream, heard)
}

#[tokio::test]
async fn nobody_logs_in_before_starttls_and_what_was_said_before_is_forgotten() {
    let (config, connector) = both_sides();
    let server = server_with(1, Behaviour::modern().with_tls(Tls::StartTls(config))).await;
    let mut client = Client::connect(&server).await;
    let offered = client.ok("CAPABILITY").await.remove(0);
    assert!(offered.contains("STARTTLS LOGINDISABLED") && !offered.contains("AUTH=PLAIN"), "{offered}");
    assert_eq!(client.ask("LOGIN alice secret").await, ["NO [PRIVACYREQUIRED] start TLS first"]);

    let (stream, heard) = start_tls(&server, b"b LOGIN alice secret\r\n").await;
    assert!(heard.ends_with(b"a OK begin TLS\r\n"));
    let mut client = encrypt(stream, &connector).await;
    assert!(client.ask("EXAMINE INBOX").await[0].starts_with("BAD"));
    let offered = client.ok("CAPABILITY").await.remove(0);
    assert!(!offered.contains("STARTTLS") && offered.contains("AUTH=PLAIN"), "{offered}");
    client.ok("LOGIN alice secret").await;
}

#[tokio::test]
async fn plain_text_can_be_injected_behind_the_answer_to_starttls() {
    let (config, _) = both_sides();
    let injected = Effect::After(b"* CAPABILITY IMAP4rev1 INJECTED\r\n".to_vec());
    let fault = Fault::new(Trigger::Command("STARTTLS".into()), injected);
    let server = server_with(1, Behaviour::modern().with_tls(Tls::StartTls(config)).with_fault(fault)).await;
    let (mut stream, _) = start_tls(&server, b"").await;
    let mut heard = [0; 33];
    tokio::io::AsyncReadExt::read_exact(&mut stream, &mut heard).await.unwrap();
    assert_eq!(&heard, b"* CAPABILITY IMAP4rev1 INJECTED\r\n");
}
