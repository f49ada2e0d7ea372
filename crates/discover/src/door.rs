//! The doors to DNS and to the web: what is asked there, and in what form the answers come in.

/// Where it goes on for a service, as an SRV record says (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceRecord {
    /// The lowest first.
    pub priority: u16,
    /// Among equals: the share of the work.
    pub weight: u16,
    /// The TCP port.
    pub port: u16,
    /// The host as DNS has it; `.`: the service is not offered.
    pub target: String,
}

/// Who takes a domain's mail, as an MX record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailExchanger {
    /// The lowest first.
    pub preference: u16,
    /// The host as DNS has it.
    pub host: String,
}

/// Nothing can be said: nobody answered, or not in a way that could be understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoAnswer(
    /// Why; text from strangers, not escaped.
    pub String,
);

/// DNS.
pub trait Names: Sync {
    /// The SRV records of a name such as `_imaps._tcp.example.org`; none when it has none.
    ///
    /// # Errors
    /// When nobody could say.
    fn services(&self, name: &str) -> Result<Vec<ServiceRecord>, NoAnswer>;

    /// The MX records of a domain; none when it has none.
    ///
    /// # Errors
    /// When nobody could say.
    fn exchangers(&self, domain: &str) -> Result<Vec<MailExchanger>, NoAnswer>;
}

/// Files over HTTPS.
pub trait Web: Sync {
    /// The file at this URL, which begins with `https://`; `None` when there is none.
    ///
    /// # Errors
    /// When nobody answered, or the file is too large.
    fn get(&self, url: &str) -> Result<Option<Vec<u8>>, NoAnswer>;
}
