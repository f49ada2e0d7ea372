//! TLS: who is trusted, and what is said when someone is not.
//!
//! rustls with the ring provider, named explicitly; TLS 1.2 and 1.3. Certificates are checked
//! against the system's authorities and those that the account names, always with the name of the
//! configuration. There is no switch that accepts anything. One thing is added to what webpki does:
//! a certificate that stands itself among the account's authorities, byte for byte, is accepted for
//! a server although it is marked as an authority, for that is what `openssl req -x509` makes and
//! what people with a server at home have.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::client::{WebPkiServerVerifier, verify_server_name};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::ParsedCertificate;
use tokio_rustls::rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, Error as RustlsError,
    InvalidMessage, PeerIncompatible, RootCertStore, SignatureScheme,
};

use super::Transport;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::limits::Limits;

/// Speaks TLS as a client for `endpoint` over `transport`, all within [`Limits::connect`].
pub(crate) async fn encrypt<T: Transport>(
    endpoint: &Endpoint,
    transport: T,
    limits: &Limits,
) -> Result<TlsStream<T>, Error> {
    timeout(limits.connect, shake_hands(endpoint, transport)).await.unwrap_or_else(|_| {
        Err(Error::Tls {
            host: endpoint.host.clone(),
            problem: format!(
                "the TLS handshake stalled for {} s; the port may speak plain text (tls = \"starttls\")",
                limits.connect.as_secs()
            ),
        })
    })
}

async fn shake_hands<T: Transport>(endpoint: &Endpoint, transport: T) -> Result<TlsStream<T>, Error> {
    let failed = |problem: String| Error::Tls { host: endpoint.host.clone(), problem };
    let config = configuration(endpoint).map_err(failed)?;
    let name = ServerName::try_from(endpoint.host.clone())
        .map_err(|_| failed("a certificate cannot be made out for this name".to_owned()))?;
    let connector = TlsConnector::from(Arc::new(config));
    connector.connect(name, transport).await.map_err(|error| failed(describe(&error)))
}

fn configuration(endpoint: &Endpoint) -> Result<ClientConfig, String> {
    let provider = Arc::new(ring::default_provider());
    let extra = extra_authorities(endpoint)?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(native_authorities().iter().cloned());
    let (taken, _) = roots.add_parsable_certificates(extra.iter().cloned());
    if taken < extra.len() {
        let from = &endpoint.extra_authorities_from;
        return Err(format!("{} of the certificates in {from} cannot be read", extra.len() - taken));
    }
    if roots.is_empty() {
        return Err("there are no trusted authorities: the system has none (install ca-certificates), \
                    and tls_ca_file is not set"
            .to_owned());
    }
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| error.to_string())?;
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Verifier { verifier, own: extra }))
        .with_no_client_auth();
    Ok(config)
}

fn extra_authorities(endpoint: &Endpoint) -> Result<Vec<CertificateDer<'static>>, String> {
    let from = &endpoint.extra_authorities_from;
    let pem = &endpoint.extra_authorities;
    let certificates = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("the certificates in {from} cannot be read: {error}"))?;
    match certificates.is_empty() && !pem.is_empty() {
        true => Err(format!("there is no certificate in {from} (PEM is expected)")),
        false => Ok(certificates),
    }
}

/// The system's authorities, read once: they are some hundred files.
fn native_authorities() -> &'static [CertificateDer<'static>] {
    static NATIVE: OnceLock<Vec<CertificateDer<'static>>> = OnceLock::new();
    NATIVE.get_or_init(|| {
        let found = rustls_native_certs::load_native_certs();
        for error in &found.errors {
            tracing::warn!(%error, "some of the system's certificate authorities cannot be read");
        }
        found.certs
    })
}

/// webpki's verdict, and the one exception.
#[derive(Debug)]
struct Verifier {
    verifier: Arc<WebPkiServerVerifier>,
    /// Certificates that the account itself names.
    own: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, RustlsError> {
        let verdict =
            self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verdict {
            // webpki looks at the dates before it says this.
            Err(RustlsError::InvalidCertificate(CertificateError::Other(other)))
                if other.to_string() == "CaUsedAsEndEntity"
                    && self.own.iter().any(|own| own == end_entity) =>
            {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verdict => verdict,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        self.verifier.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, RustlsError> {
        self.verifier.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}

/// What failed, for people.
fn describe(error: &io::Error) -> String {
    let Some(cause) = error.get_ref().and_then(|inner| inner.downcast_ref::<RustlsError>()) else {
        return match error.kind() {
            io::ErrorKind::UnexpectedEof => {
                "the server closed the connection during the TLS handshake".to_owned()
            }
            _ => error.to_string(),
        };
    };
    match cause {
        RustlsError::InvalidCertificate(problem) => describe_certificate(problem),
        RustlsError::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13 | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        )
        | RustlsError::AlertReceived(AlertDescription::ProtocolVersion) => {
            "the server speaks only TLS 1.0 or 1.1, which are broken (RFC 8996); it must offer TLS 1.2 or newer".to_owned()
        }
        RustlsError::InvalidMessage(
            InvalidMessage::InvalidContentType | InvalidMessage::UnknownProtocolVersion | InvalidMessage::MessageTooLarge,
        ) => "the server does not speak TLS on this port; it may want tls = \"starttls\", or another port".to_owned(),
        other => other.to_string(),
    }
}

fn describe_certificate(problem: &CertificateError) -> String {
    match problem {
        CertificateError::ExpiredContext { not_after, .. } => {
            format!("the certificate has expired on {}", day(*not_after))
        }
        CertificateError::Expired => "the certificate has expired".to_owned(),
        CertificateError::NotValidYetContext { not_before, .. } => {
            format!(
                "the certificate is not valid before {} (or this machine's clock is wrong)",
                day(*not_before)
            )
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names: Vec<&str> = presented.iter().map(|name| bare_name(name)).collect();
            let names = if names.is_empty() { "none".to_owned() } else { names.join(", ") };
            format!("the certificate is not made out for {}; names in it: {names}", expected.to_str())
        }
        CertificateError::BadSignature => {
            "the certificate was not signed by the authority that it names; if that authority was renewed, \
             name the new one with tls_ca_file"
                .to_owned()
        }
        CertificateError::UnknownIssuer => {
            "the certificate is self-signed or signed by an authority that this system does not trust; \
             if it is right, name the certificate or its authority with tls_ca_file"
                .to_owned()
        }
        CertificateError::Other(other) if other.to_string() == "CaUsedAsEndEntity" => {
            "the certificate is self-signed and not trusted; if it is right, name it with tls_ca_file"
                .to_owned()
        }
        other => format!("the certificate is not valid: {other}"),
    }
}

/// webpki names them `DnsName("mail.example.org")`.
fn bare_name(name: &str) -> &str {
    name.split_once("(\"").and_then(|(_, rest)| rest.strip_suffix("\")")).unwrap_or(name)
}

/// `7-Jul-2026`, from the seconds.
fn day(time: UnixTime) -> String {
    let seconds = i64::try_from(time.as_secs()).unwrap_or(i64::MAX / 2);
    let date = message::InternalDate::from_unix(seconds.min(250_000_000_000), 0);
    date.raw().split(' ').next().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
