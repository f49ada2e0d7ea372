//! Where an account's mailbox is reached, and as whom.
//!
//! Both come from the configuration alone: no answer of a server ever changes a host, a name in a
//! certificate, or the user that logs in.

use std::net::IpAddr;

use secrecy::SecretString;

/// How a connection becomes private.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// TLS from the first octet (RFC 8314 §3).
    Implicit,
    /// Plain until STARTTLS; refused when the server does not offer it.
    StartTls,
    /// Never. Whether that is allowed is the caller's to decide.
    Plain,
}

/// A server's address.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// A host name or an IP address; also what the certificate must be made out for.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// How the connection becomes private.
    pub security: Security,
    /// Certificates trusted besides the system's authorities, as PEM. May be empty. A server's own
    /// certificate may stand here too: it is then trusted for that server alone.
    pub extra_authorities: Vec<u8>,
    /// Where those came from, for errors.
    pub extra_authorities_from: String,
}

impl Endpoint {
    /// Whether mail and password cross a network in the open.
    #[must_use]
    pub fn is_plain_and_remote(&self) -> bool {
        let loopback = match self.host.parse::<IpAddr>() {
            Ok(address) => address.to_canonical().is_loopback(),
            Err(_) => self.host.eq_ignore_ascii_case("localhost"),
        };
        self.security == Security::Plain && !loopback
    }
}

/// Who logs in. `Debug` shows no password.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The name, as the server knows it.
    pub user: String,
    /// The password.
    pub password: SecretString,
}
