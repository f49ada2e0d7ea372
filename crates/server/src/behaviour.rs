//! What kind of server it is: extensions, names, greeting, TLS, and what it does wrong.
//!
//! An extension that is not announced is not there: its commands and parameters are answered BAD,
//! as a server that never heard of it would.

use std::net::{Ipv4Addr, SocketAddr};

use crate::fault::Fault;
use crate::names::Names;
use crate::naming::{Naming, Spelling};
use crate::tls::TlsConfig;

/// Whether and when the server speaks TLS.
#[derive(Debug, Clone, Default)]
pub enum Tls {
    /// Never; passwords go over the wire as they are.
    #[default]
    Off,
    /// From the first octet.
    Implicit(TlsConfig),
    /// After STARTTLS, before which nobody can log in.
    StartTls(TlsConfig),
}

/// How a server behaves. Made by [`modern`](Self::modern) or [`bare`](Self::bare) and changed from
/// there.
#[derive(Debug, Clone)]
pub struct Behaviour {
    capabilities: Vec<String>,
    broken: Vec<String>,
    names: Names,
    greeting: String,
    tls: Tls,
    address: SocketAddr,
    faults: Vec<Fault>,
    naming: Naming,
    permanent_flags: Option<PermanentFlags>,
    sessions_at_once: Option<usize>,
}

/// Which flags messages keep; others are dropped without a word (RFC 9051 §7.1).
#[derive(Debug, Clone)]
pub(crate) struct PermanentFlags {
    pub(crate) flags: Vec<String>,
    /// `\\*`: any keyword besides.
    pub(crate) any_keyword: bool,
}

const MODERN: [&str; 25] = [
    "IMAP4rev1",
    "IMAP4rev2",
    "SASL-IR",
    "AUTH=PLAIN",
    "ID",
    "ENABLE",
    "IDLE",
    "NAMESPACE",
    "CHILDREN",
    "LIST-EXTENDED",
    "LIST-STATUS",
    "SPECIAL-USE",
    "STATUS=SIZE",
    "UNSELECT",
    "UIDPLUS",
    "MOVE",
    "ESEARCH",
    "CONDSTORE",
    "QRESYNC",
    "OBJECTID",
    "LITERAL+",
    "MULTIAPPEND",
    "UTF8=ACCEPT",
    "COMPRESS=DEFLATE",
    "APPENDLIMIT=268435456",
];

/// Said before login; all else is said after it.
const BEFORE_LOGIN: [&str; 6] = ["IMAP4rev1", "IMAP4rev2", "SASL-IR", "ID", "LITERAL+", "LITERAL-"];

impl Behaviour {
    /// All that this server knows: IMAP4rev1 and IMAP4rev2 with the extensions that matter to a
    /// backup.
    #[must_use]
    pub fn modern() -> Self {
        Self { capabilities: MODERN.map(str::to_owned).to_vec(), ..Self::bare() }
    }

    /// Plain IMAP4rev1 (RFC 3501) without any extension: LOGIN, LIST, SELECT, FETCH.
    #[must_use]
    pub fn bare() -> Self {
        Self {
            capabilities: vec!["IMAP4rev1".to_owned()],
            broken: Vec::new(),
            names: Names { delimiter: Some(b'/'), prefix: String::new() },
            greeting: "OK restante demo server ready".to_owned(),
            tls: Tls::Off,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            faults: Vec::new(),
            naming: Naming::default(),
            permanent_flags: None,
            sessions_at_once: None,
        }
    }

    /// Announces one more capability, and does it if it is one that this server knows.
    #[must_use]
    pub fn with(mut self, capability: &str) -> Self {
        if !self.announces(capability) {
            self.capabilities.push(capability.to_owned());
        }
        self
    }

    /// Neither announces nor does it. Without CONDSTORE there is no QRESYNC either; `APPENDLIMIT` is
    /// meant with any number.
    #[must_use]
    pub fn without(mut self, capability: &str) -> Self {
        let goes = |known: &String| {
            known.eq_ignore_ascii_case(capability)
                || (capability == "APPENDLIMIT" && known.starts_with("APPENDLIMIT="))
                || (capability.eq_ignore_ascii_case("CONDSTORE") && known == "QRESYNC")
        };
        self.capabilities.retain(|known| !goes(known));
        self
    }

    /// Announces it and answers BAD when it is used.
    #[must_use]
    pub fn with_broken(self, capability: &str) -> Self {
        let mut broken = self.with(capability);
        broken.broken.push(capability.to_owned());
        broken
    }

    /// The hierarchy delimiter; `None` is a server without hierarchy (NIL). `/` at the start.
    #[must_use]
    pub fn with_delimiter(mut self, delimiter: Option<char>) -> Self {
        self.names.delimiter = delimiter.and_then(|delimiter| u8::try_from(delimiter).ok());
        self
    }

    /// The prefix of the personal namespace, with the delimiter at its end, such as `INBOX.`.
    #[must_use]
    pub fn with_prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.names.prefix);
        self
    }

    /// Only these flags are kept, and with `any_keyword` all keywords; SELECT says so. What else
    /// APPEND and STORE set is dropped without a word. A server that refuses is made by a fault on
    /// [`Trigger::Flag`](crate::Trigger::Flag).
    #[must_use]
    pub fn with_permanent_flags(mut self, flags: &[&str], any_keyword: bool) -> Self {
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        self.permanent_flags = Some(PermanentFlags { flags, any_keyword });
        self
    }

    /// Lets in no more than so many sessions at a time; LOGIN of one more is answered NO `[LIMIT]`.
    #[must_use]
    pub fn with_sessions_at_once(mut self, sessions: usize) -> Self {
        self.sessions_at_once = Some(sessions);
        self
    }

    /// Spells all names so that a client says: LIST shows a mailbox under another name than CREATE
    /// asked for, and both are its names.
    #[must_use]
    pub fn with_spelling(mut self, spelling: Spelling) -> Self {
        self.naming.spelling = Some(spelling);
        self
    }

    /// Capital and small letters are the same in names: there is no `sent` beside `Sent`.
    #[must_use]
    pub fn with_names_in_any_case(mut self) -> Self {
        self.naming.any_case = true;
        self
    }

    /// No mailbox can be made whose name has one of these characters, or a level longer than so many
    /// octets (in modified UTF-7).
    #[must_use]
    pub fn refusing_names(mut self, characters: &str, longest: Option<usize>) -> Self {
        characters.clone_into(&mut self.naming.refused);
        self.naming.longest = longest;
        self
    }

    /// A mailbox is a file: it holds messages or has mailboxes below it, never both, as where mail
    /// is kept in mbox files. A name with the delimiter at its end makes one that can have children.
    #[must_use]
    pub fn with_mailboxes_as_files(mut self) -> Self {
        self.naming.files = true;
        self
    }

    /// The greeting without `* `: begins with `OK`, `PREAUTH` or `BYE`.
    #[must_use]
    pub fn with_greeting(mut self, greeting: &str) -> Self {
        greeting.clone_into(&mut self.greeting);
        self
    }

    /// When TLS begins.
    #[must_use]
    pub fn with_tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Where to listen; otherwise on a free port of 127.0.0.1.
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// One more fault.
    #[must_use]
    pub fn with_fault(mut self, fault: Fault) -> Self {
        self.faults.push(fault);
        self
    }

    /// Whether the capability works.
    pub(crate) fn offers(&self, capability: &str) -> bool {
        let same = |known: &String| known.eq_ignore_ascii_case(capability);
        self.announces(capability) && !self.broken.iter().any(same)
    }

    pub(crate) fn sessions_at_once(&self) -> usize {
        self.sessions_at_once.unwrap_or(usize::MAX)
    }

    pub(crate) fn naming(&self) -> &Naming {
        &self.naming
    }

    pub(crate) fn permanent_flags(&self) -> Option<&PermanentFlags> {
        self.permanent_flags.as_ref()
    }

    /// The largest message that any mailbox takes (RFC 7889): `APPENDLIMIT=n`.
    pub(crate) fn append_limit(&self) -> Option<u64> {
        self.capabilities.iter().find_map(|word| word.strip_prefix("APPENDLIMIT=")?.parse().ok())
    }

    /// Whether STATUS tells the largest message that a mailbox takes.
    pub(crate) fn tells_append_limits(&self) -> bool {
        self.append_limit().is_some() || self.announces("APPENDLIMIT")
    }

    pub(crate) fn announces(&self, capability: &str) -> bool {
        self.capabilities.iter().any(|known| known.eq_ignore_ascii_case(capability))
    }

    /// The words of the CAPABILITY answer.
    pub(crate) fn capability_words(&self, logged_in: bool, encrypted: bool, deflated: bool) -> String {
        let may_start_tls = matches!(self.tls, Tls::StartTls(_)) && !encrypted;
        let mut words: Vec<&str> = Vec::new();
        for word in &self.capabilities {
            let authentication = word.starts_with("AUTH=");
            let said = if logged_in {
                !(authentication || (deflated && word.starts_with("COMPRESS=")))
            } else {
                (authentication && !may_start_tls) || BEFORE_LOGIN.contains(&word.as_str())
            };
            if said {
                words.push(word);
            }
        }
        if may_start_tls && !logged_in {
            words.extend(["STARTTLS", "LOGINDISABLED"]);
        }
        words.join(" ")
    }

    pub(crate) fn names(&self) -> &Names {
        &self.names
    }

    pub(crate) fn greeting(&self) -> &str {
        &self.greeting
    }

    pub(crate) fn tls(&self) -> &Tls {
        &self.tls
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn faults(&self) -> &[Fault] {
        &self.faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_server_says_nothing_but_imap4rev1() {
        assert_eq!(Behaviour::bare().capability_words(false, false, false), "IMAP4rev1");
        assert_eq!(Behaviour::bare().capability_words(true, false, false), "IMAP4rev1");
    }

    #[test]
    fn what_is_taken_away_is_neither_said_nor_done() {
        let server = Behaviour::modern().without("CONDSTORE");
        let words = server.capability_words(true, false, false);
        assert!(!words.contains("CONDSTORE") && !words.contains("QRESYNC") && words.contains("UIDPLUS"));
        assert!(!server.offers("QRESYNC"));
        let broken = Behaviour::bare().with_broken("QRESYNC");
        assert!(broken.capability_words(true, false, false).contains("QRESYNC") && !broken.offers("QRESYNC"));
    }
}
