//! Certificates for a server on loopback, signed by an authority made for the test.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// An authority, and a server certificate that it signed; all in PEM.
pub struct Certificates {
    /// What a client must trust.
    pub authority: String,
    /// The server's certificate.
    pub server_chain: String,
    /// Its private key.
    pub server_key: String,
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    None,
    /// It was valid in the year 2001.
    Expired,
    /// It is for `mail.example.org` only.
    OtherName,
}

impl Certificates {
    /// Valid for `localhost` and `127.0.0.1`.
    #[must_use]
    pub fn for_localhost() -> Self {
        Self::with_flaw(Flaw::None)
    }

    /// With this flaw, and signed by an authority that is sound.
    ///
    /// # Panics
    /// When the random numbers for a key cannot be had.
    #[must_use]
    pub fn with_flaw(flaw: Flaw) -> Self {
        let key = || KeyPair::generate().expect("a key can be made");
        let mut authority = CertificateParams::new(Vec::new()).expect("no names to be wrong");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.distinguished_name.push(rcgen::DnType::CommonName, "restante test authority");
        let issuer =
            CertifiedIssuer::self_signed(authority, key()).expect("the authority's parameters are sound");

        let names = match flaw {
            Flaw::OtherName => vec!["mail.example.org".to_owned()],
            Flaw::None | Flaw::Expired => vec!["localhost".to_owned(), "127.0.0.1".to_owned()],
        };
        let mut server = CertificateParams::new(names).expect("the names are well formed");
        if flaw == Flaw::Expired {
            server.not_before = rcgen::date_time_ymd(2001, 1, 1);
            server.not_after = rcgen::date_time_ymd(2001, 12, 31);
        }
        let server_key = key();
        let certificate = server.signed_by(&server_key, &issuer).expect("the authority can sign");
        Self {
            authority: issuer.pem(),
            server_chain: certificate.pem(),
            server_key: server_key.serialize_pem(),
        }
    }
}
