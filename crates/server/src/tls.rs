//! TLS for the server: a certificate and a key in PEM made into what the acceptor wants.
//!
//! Which certificate it is – valid, expired, for another name, signed by nobody – is the caller's
//! affair; the server shows what it is given.

use std::sync::Arc;

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls;

/// What a listener needs to speak TLS; made by [`tls_config`], or by hand for odd wishes.
pub type TlsConfig = Arc<rustls::ServerConfig>;

/// Takes a certificate chain (the server's own first) and its private key, both in PEM.
///
/// # Errors
/// When either is not PEM, is empty, or the key does not fit the certificate.
pub fn tls_config(certificates: &[u8], key: &[u8]) -> Result<TlsConfig, TlsError> {
    let chain = CertificateDer::pem_slice_iter(certificates)
        .collect::<Result<Vec<_>, _>>()
        .map_err(TlsError::Certificate)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(TlsError::Key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    Ok(Arc::new(config))
}

/// Why a certificate and a key make no TLS server.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The certificates cannot be read.
    #[error("the certificate is not valid PEM: {0}")]
    Certificate(#[source] rustls_pki_types::pem::Error),
    /// The private key cannot be read.
    #[error("the private key is not valid PEM: {0}")]
    Key(#[source] rustls_pki_types::pem::Error),
    /// Certificate and key do not go together, or the key is of no known kind.
    #[error("certificate and key cannot be used for TLS: {0}")]
    Unusable(#[from] rustls::Error),
}
