//! Every kind of certificate and server that is not to be trusted, and what is said of it.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::endpoint::Security;
use crate::script::Identity;

fn endpoint(host: &str, authorities: &str) -> Endpoint {
    Endpoint {
        host: host.to_owned(),
        port: 993,
        security: Security::Implicit,
        extra_authorities: authorities.as_bytes().to_vec(),
        extra_authorities_from: "ca.pem".to_owned(),
    }
}

/// The problem that `endpoint` has with a server of this identity, if any.
async fn problem(endpoint: &Endpoint, identity: &Identity) -> Option<String> {
    let (ours, theirs) = tokio::io::duplex(16 << 10);
    let acceptor = TlsAcceptor::from(Arc::clone(&identity.config));
    let limits = Limits::default();
    let (encrypted, _) = tokio::join!(encrypt(endpoint, ours, &limits), acceptor.accept(theirs));
    match encrypted {
        Ok(_) => None,
        Err(Error::Tls { problem, .. }) => Some(problem),
        Err(other) => panic!("{other}"),
    }
}

fn params(name: &str) -> CertificateParams {
    CertificateParams::new([name.to_owned()]).unwrap()
}

fn self_signed(params: &CertificateParams) -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    Identity::from_parts(vec![certificate.der().clone()], key.serialize_der(), certificate.pem())
}

fn signed(params: &CertificateParams, by: &CertifiedIssuer<'_, KeyPair>) -> Identity {
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, by).unwrap();
    Identity::from_parts(vec![certificate.der().clone()], key.serialize_der(), certificate.pem())
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, "House authority");
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

#[tokio::test]
async fn a_certificate_of_a_named_authority_is_accepted() {
    let authority = authority();
    let identity = signed(&params("mail.example.org"), &authority);
    assert_eq!(problem(&endpoint("mail.example.org", &authority.pem()), &identity).await, None);
}

#[tokio::test]
async fn n08_another_name_is_refused_and_the_names_are_told() {
    let authority = authority();
    let identity = signed(&params("mail.example.org"), &authority);
    let problem = problem(&endpoint("mail.example.com", &authority.pem()), &identity).await.unwrap();
    assert_eq!(
        problem,
        "the certificate is not made out for mail.example.com; names in it: mail.example.org"
    );
}

#[tokio::test]
async fn n08_dates_are_checked_and_told() {
    let authority = authority();
    let endpoint = endpoint("mail.example.org", &authority.pem());
    let mut expired = params("mail.example.org");
    expired.not_after = date_time_ymd(2020, 2, 29);
    let told = problem(&endpoint, &signed(&expired, &authority)).await.unwrap();
    assert_eq!(told, "the certificate has expired on 29-Feb-2020");
    let mut early = params("mail.example.org");
    early.not_before = date_time_ymd(4000, 1, 1);
    let told = problem(&endpoint, &signed(&early, &authority)).await.unwrap();
    assert!(told.starts_with("the certificate is not valid before 01-Jan-4000"), "{told}");
}

#[tokio::test]
async fn n08_an_unknown_authority_is_refused_with_the_remedy() {
    let identity = signed(&params("mail.example.org"), &authority());
    let endpoint = endpoint("mail.example.org", &authority().pem());
    assert!(problem(&endpoint, &identity).await.unwrap().contains("tls_ca_file"));
}

#[tokio::test]
async fn n08_a_self_signed_certificate_is_trusted_only_when_it_is_named_itself() {
    for is_ca in [IsCa::NoCa, IsCa::Ca(BasicConstraints::Unconstrained)] {
        let mut params = params("mail.example.org");
        params.is_ca = is_ca;
        let (identity, other) = (self_signed(&params), self_signed(&params));
        assert_eq!(problem(&endpoint("mail.example.org", &identity.pem), &identity).await, None);
        let unnamed = problem(&endpoint("mail.example.org", &other.pem), &identity).await.unwrap();
        assert!(unnamed.contains("tls_ca_file"), "{unnamed}");
        let renamed = problem(&endpoint("mail.example.com", &identity.pem), &identity).await.unwrap();
        assert!(renamed.contains("names in it: "), "{renamed}");
        params.not_after = date_time_ymd(2020, 1, 1);
        let expired = self_signed(&params);
        let old = problem(&endpoint("mail.example.org", &expired.pem), &expired).await.unwrap();
        assert_eq!(old, "the certificate has expired on 01-Jan-2020");
    }
}

#[tokio::test]
async fn a_useless_file_of_authorities_is_told() {
    let identity = self_signed(&params("mail.example.org"));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for (pem, told) in [
        ("hello", "there is no certificate in ca.pem (PEM is expected)"),
        (broken, "1 of the certificates in ca.pem cannot be read"),
    ] {
        assert_eq!(problem(&endpoint("mail.example.org", pem), &identity).await.unwrap(), told);
    }
}

/// The problem with a server that answers the first bytes of the client with `answer`.
async fn problem_with_answer(answer: &[u8]) -> String {
    let endpoint = endpoint("mail.example.org", &authority().pem());
    let (ours, mut theirs): (DuplexStream, DuplexStream) = tokio::io::duplex(16 << 10);
    let peer = async {
        let _ = theirs.read_u8().await;
        theirs.write_all(answer).await.unwrap();
        theirs.shutdown().await.unwrap();
    };
    let limits = Limits::default();
    let (encrypted, ()) = tokio::join!(encrypt(&endpoint, ours, &limits), peer);
    match encrypted {
        Err(Error::Tls { problem, .. }) => problem,
        _ => panic!("no TLS server"),
    }
}

#[tokio::test]
async fn n07_plain_text_on_a_tls_port_is_told() {
    let told = problem_with_answer(b"* OK [CAPABILITY IMAP4rev1 STARTTLS] hello there, ready\r\n").await;
    assert!(told.contains("does not speak TLS on this port"), "{told}");
    assert!(problem_with_answer(b"").await.contains("closed the connection during the TLS handshake"));
}

#[tokio::test]
async fn n13_old_versions_are_refused_by_name() {
    let alert = [0x15, 3, 1, 0, 2, 2, 70];
    let told = problem_with_answer(&alert).await;
    assert!(told.contains("TLS 1.0 or 1.1"), "{told}");
    // A ServerHello of TLS 1.1.
    let mut hello = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 0x2f, 0]);
    let told = problem_with_answer(&hello).await;
    assert!(told.contains("TLS 1.0 or 1.1"), "{told}");
}
