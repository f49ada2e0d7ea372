//! A server on which an address's mail may lie.

use std::fmt;

/// What is spoken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// All folders (RFC 9051).
    Imap,
    /// The INBOX alone (RFC 1939).
    Pop3,
}

/// How the line becomes private; it always does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encryption {
    /// TLS from the first octet (RFC 8314 §3).
    Implicit,
    /// STARTTLS or STLS before anything else is said.
    StartTls,
}

/// Who named the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The domain's SRV records (RFC 6186), which are not authenticated.
    Srv,
    /// The domain's own autoconfig file, over HTTPS.
    Autoconfig,
    /// The database of autoconfig files, over HTTPS.
    Database,
    /// The host to which the domain has its mail sent, which is not authenticated either.
    Mx,
    /// Nobody: it has the name that most servers have.
    Guess,
}

/// A server, and as whom to log in there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// What is spoken there.
    pub service: Service,
    /// A host name in small ASCII letters.
    pub host: String,
    /// The TCP port, not 0.
    pub port: u16,
    /// How the line becomes private.
    pub encryption: Encryption,
    /// The user name; no control characters in it.
    pub user: String,
    /// Who named the server.
    pub source: Source,
}

impl Service {
    /// The port that is registered for it.
    #[must_use]
    pub fn usual_port(self, encryption: Encryption) -> u16 {
        match (self, encryption) {
            (Self::Imap, Encryption::Implicit) => 993,
            (Self::Imap, Encryption::StartTls) => 143,
            (Self::Pop3, Encryption::Implicit) => 995,
            (Self::Pop3, Encryption::StartTls) => 110,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Srv => "the domain's SRV records",
            Self::Autoconfig => "the domain's autoconfig file",
            Self::Database => "the database at autoconfig.thunderbird.net",
            Self::Mx => "the host that takes the domain's mail",
            Self::Guess => "a usual name",
        })
    }
}
