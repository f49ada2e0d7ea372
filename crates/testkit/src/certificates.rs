//! Certificates of each kind that a client must tell apart, made anew for each test.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};

/// A certificate with its private key, both in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// An authority and what it has signed, and what it has not.
#[derive(Debug, Clone)]
pub struct Certificates {
    /// The authority's certificate in PEM: what a client is told to trust.
    pub authority: String,
    /// For localhost and 127.0.0.1, valid now.
    pub good: Identity,
    /// For localhost and 127.0.0.1, until the year 2001.
    pub expired: Identity,
    /// For another host.
    pub other_name: Identity,
    /// For localhost and 127.0.0.1, signed by itself.
    pub self_signed: Identity,
    /// For localhost and 127.0.0.1, signed by an authority that nobody trusts.
    pub unknown_authority: Identity,
}

impl Certificates {
    /// Makes one of each.
    ///
    /// # Panics
    /// When the system gives no random numbers.
    #[must_use]
    pub fn new() -> Self {
        let (authority, issuer) = authority("Testkit authority");
        let (_, stranger) = self::authority("Authority of strangers");
        let local = || params(&["localhost", "127.0.0.1"]);
        let mut expired = local();
        expired.not_before = date_time_ymd(2000, 1, 1);
        expired.not_after = date_time_ymd(2001, 1, 1);
        let key = KeyPair::generate().expect("a key is made");
        let self_signed = local().self_signed(&key).expect("a certificate is signed");
        Self {
            authority,
            good: signed(&local(), &issuer),
            expired: signed(&expired, &issuer),
            other_name: signed(&params(&["elsewhere.example"]), &issuer),
            self_signed: Identity { certificate: self_signed.pem(), key: key.serialize_pem() },
            unknown_authority: signed(&local(), &stranger),
        }
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

fn params(names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    CertificateParams::new(names).expect("the names are valid")
}

fn authority(name: &str) -> (String, Issuer<'static, KeyPair>) {
    let mut params = params(&[]);
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("a key is made");
    let certificate = params.self_signed(&key).expect("a certificate is signed");
    (certificate.pem(), Issuer::new(params, key))
}

fn signed(params: &CertificateParams, issuer: &Issuer<'_, KeyPair>) -> Identity {
    let key = KeyPair::generate().expect("a key is made");
    let certificate = params.signed_by(&key, issuer).expect("a certificate is signed");
    Identity { certificate: certificate.pem(), key: key.serialize_pem() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_takes_each_of_them() {
        let all = Certificates::new();
        for identity in [all.good, all.expired, all.other_name, all.self_signed, all.unknown_authority] {
            let config = server::tls_config(identity.certificate.as_bytes(), identity.key.as_bytes());
            assert!(config.is_ok());
        }
    }
}
