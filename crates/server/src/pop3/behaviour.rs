//! What kind of POP3 server it is: capabilities, unique-ids, counts, what it shows and takes away.
//!
//! A capability that is not announced is not there: its command is answered -ERR, as a server that
//! never heard of it would. Only PIPELINING works unannounced, as it mostly does.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use message::MessageKey;

use super::fault::Fault;
use crate::behaviour::Tls;

/// How a server behaves. Made by [`modern`](Self::modern) or [`bare`](Self::bare) and changed from
/// there.
#[derive(Debug, Clone)]
pub struct Behaviour {
    /// CAPA is answered.
    pub(super) capa: bool,
    capabilities: Vec<String>,
    broken: Vec<String>,
    pub(super) greeting: String,
    pub(super) tls: Tls,
    pub(super) address: SocketAddr,
    pub(super) faults: Vec<Fault>,
    pub(super) uidls: Uidls,
    pub(super) counting: Counting,
    pub(super) stuffing: Stuffing,
    pub(super) shown: Shown,
    pub(super) exclusive: bool,
    pub(super) kept_locked: u32,
    pub(super) login_delay: Duration,
    pub(super) deletes_retrieved: bool,
    pub(super) needs_utf8: bool,
}

/// The unique-ids of a server.
///
/// ```
/// use restante_server::pop3::Uidls;
///
/// // Messages 3 and 4 (by UID in the store) share one, that of 5 has a blank.
/// let odd = Uidls::by_uid().but(3, b"same").but(4, b"same").but(5, b"a b");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uidls {
    scheme: Scheme,
    odd: BTreeMap<u32, Vec<u8>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Scheme {
    Uid { generation: u32 },
    Content,
    Number,
}

impl Uidls {
    /// UIDVALIDITY and UID, as Dovecot has them.
    #[must_use]
    pub fn by_uid() -> Self {
        Self::of_generation(0)
    }

    /// The same after a move: others for all messages, another set for each generation.
    #[must_use]
    pub fn of_generation(generation: u32) -> Self {
        Self { scheme: Scheme::Uid { generation }, odd: BTreeMap::new() }
    }

    /// A hash of the content: equal messages share one.
    #[must_use]
    pub fn by_content() -> Self {
        Self { scheme: Scheme::Content, odd: BTreeMap::new() }
    }

    /// The message number: another message's as soon as one before it is gone.
    #[must_use]
    pub fn numbers() -> Self {
        Self { scheme: Scheme::Number, odd: BTreeMap::new() }
    }

    /// The message with this UID in the store has this one, whatever else is true.
    #[must_use]
    pub fn but(mut self, uid: u32, octets: &[u8]) -> Self {
        self.odd.insert(uid, octets.to_vec());
        self
    }

    pub(super) fn of(&self, validity: u32, uid: u32, number: u32, bytes: &[u8]) -> Vec<u8> {
        if let Some(odd) = self.odd.get(&uid) {
            return odd.clone();
        }
        match self.scheme {
            Scheme::Uid { generation: 0 } => format!("{validity:08x}{uid:08x}"),
            Scheme::Uid { generation } => format!("{generation}.{validity:08x}{uid:08x}"),
            Scheme::Content => MessageKey::of(bytes).to_string(),
            Scheme::Number => number.to_string(),
        }
        .into_bytes()
    }
}

/// How LIST and STAT count the octets of a message.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Counting {
    /// As it is stored: without the line end that POP3 adds where a message has none at its end.
    /// So does Dovecot.
    #[default]
    Stored,
    /// As it is sent, with that line end.
    Sent,
    /// Each line end counts as one octet.
    LineFeeds,
    /// So many octets more than it has, or fewer.
    Plus(i64),
}

impl Counting {
    pub(super) fn octets(self, bytes: &[u8]) -> u64 {
        let stored = bytes.len() as u64;
        match self {
            Self::Stored => stored,
            Self::Sent if bytes.ends_with(b"\r\n") => stored,
            Self::Sent => stored + 2,
            Self::LineFeeds => stored - bytes.windows(2).filter(|pair| pair == b"\r\n").count() as u64,
            Self::Plus(more) => stored.saturating_add_signed(more),
        }
    }
}

/// Where a dot gets a second one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stuffing {
    /// At the beginning of a line, and CRLF alone ends a line.
    #[default]
    AfterCrlf,
    /// Behind a bare LF as well, as servers do that read mail line by line from a file.
    AfterLf,
}

/// Which messages of INBOX a session sees.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Shown {
    /// All.
    #[default]
    All,
    /// What Gmail shows: the oldest messages that no session has fetched and said QUIT after, so
    /// many at a time. Who logs in as `recent:USER` sees all of the 30 days before the newest
    /// message instead.
    NotYetFetched(usize),
}

impl Behaviour {
    /// All that this server knows that a backup might use.
    #[must_use]
    pub fn modern() -> Self {
        let announced = ["TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "USER", "SASL PLAIN"];
        Self { capa: true, capabilities: announced.map(str::to_owned).to_vec(), ..Self::bare() }
    }

    /// What RFC 1939 asks of each server, and USER: no CAPA, no TOP, no UIDL.
    #[must_use]
    pub fn bare() -> Self {
        Self {
            capa: false,
            capabilities: vec!["USER".to_owned()],
            broken: Vec::new(),
            greeting: "ready".to_owned(),
            tls: Tls::Off,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            faults: Vec::new(),
            uidls: Uidls::by_uid(),
            counting: Counting::default(),
            stuffing: Stuffing::default(),
            shown: Shown::default(),
            exclusive: true,
            kept_locked: 0,
            login_delay: Duration::ZERO,
            deletes_retrieved: false,
            needs_utf8: false,
        }
    }

    /// As large providers are: [`modern`](Self::modern), and shows only what was not fetched yet.
    #[must_use]
    pub fn gmail(at_a_time: usize) -> Self {
        Self { shown: Shown::NotYetFetched(at_a_time), ..Self::modern() }
    }

    /// Announces this capability, with its arguments (`EXPIRE 30`), in place of one of the same
    /// name; and does it if it is one that this server knows.
    #[must_use]
    pub fn with(self, capability: &str) -> Self {
        let mut with = self.without(capability);
        with.capabilities.push(capability.to_owned());
        with
    }

    /// Neither announces nor does it. `CAPA` is meant as well.
    #[must_use]
    pub fn without(mut self, capability: &str) -> Self {
        self.capa &= !capability.eq_ignore_ascii_case("CAPA");
        self.capabilities.retain(|known| !first_word(known).eq_ignore_ascii_case(first_word(capability)));
        self
    }

    /// Announces it and answers -ERR when it is used. `PIPELINING`: what comes together with
    /// another command is lost.
    #[must_use]
    pub fn with_broken(self, capability: &str) -> Self {
        let mut broken = self.with(capability);
        broken.broken.push(first_word(capability).to_owned());
        broken
    }

    /// What the greeting says behind `+OK `. With a timestamp in it (`<1896.697@example.org>`) APOP
    /// is understood.
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

    /// The unique-ids at the start.
    #[must_use]
    pub fn with_uidls(mut self, uidls: Uidls) -> Self {
        self.uidls = uidls;
        self
    }

    /// How LIST and STAT count.
    #[must_use]
    pub fn with_counts(mut self, counting: Counting) -> Self {
        self.counting = counting;
        self
    }

    /// Where a dot gets a second one.
    #[must_use]
    pub fn with_stuffing(mut self, stuffing: Stuffing) -> Self {
        self.stuffing = stuffing;
        self
    }

    /// Any number of sessions at a time may have the same maildrop, which has no lock.
    #[must_use]
    pub fn sharing_maildrops(mut self) -> Self {
        self.exclusive = false;
        self
    }

    /// The lock of a session that went without QUIT stays for so many logins, which are refused.
    #[must_use]
    pub fn keeping_locks_for(mut self, logins: u32) -> Self {
        self.kept_locked = logins;
        self
    }

    /// Refuses a login that comes sooner than this after the one before, and says so in CAPA (in
    /// whole seconds).
    #[must_use]
    pub fn with_login_delay(self, delay: Duration) -> Self {
        let announced = format!("LOGIN-DELAY {}", delay.as_secs());
        Self { login_delay: delay, ..self.with(&announced) }
    }

    /// Deletes at QUIT what the session has fetched, and says EXPIRE 0.
    #[must_use]
    pub fn deleting_what_is_fetched(self) -> Self {
        Self { deletes_retrieved: true, ..self.with("EXPIRE 0") }
    }

    /// Refuses messages with 8-bit octets in the header unless UTF8 was said (RFC 6856 §5).
    #[must_use]
    pub fn needing_utf8(self) -> Self {
        Self { needs_utf8: true, ..self.with("UTF8") }
    }

    /// Whether the capability works.
    pub(super) fn offers(&self, name: &str) -> bool {
        self.arguments(name).is_some() && !self.broken.iter().any(|broken| broken.eq_ignore_ascii_case(name))
    }

    /// Whether this SASL mechanism works.
    pub(super) fn offers_mechanism(&self, mechanism: &str) -> bool {
        self.mechanisms().any(|known| known.eq_ignore_ascii_case(mechanism)) && self.offers("SASL")
    }

    pub(super) fn mechanisms(&self) -> impl Iterator<Item = &str> {
        self.arguments("SASL").unwrap_or_default().split_whitespace()
    }

    /// Whether commands that come together with another are lost.
    pub(super) fn loses_pipelined(&self) -> bool {
        self.broken.iter().any(|broken| broken.eq_ignore_ascii_case("PIPELINING"))
    }

    /// The timestamp in the greeting, for APOP.
    pub(super) fn timestamp(&self) -> Option<&str> {
        let from = self.greeting.find('<')?;
        let to = self.greeting[from..].find('>')?;
        Some(&self.greeting[from..=from + to])
    }

    /// The lines of CAPA.
    pub(super) fn announced(&self, encrypted: bool) -> Vec<&str> {
        let may_start_tls = matches!(self.tls, Tls::StartTls(_)) && !encrypted;
        let is_login = |line: &str| matches!(first_word(line), "USER" | "SASL");
        let lines = self.capabilities.iter().map(String::as_str);
        let mut lines: Vec<&str> = lines.filter(|line| !(may_start_tls && is_login(line))).collect();
        if may_start_tls {
            lines.push("STLS");
        }
        lines
    }

    /// What stands behind the name of an announced capability.
    fn arguments(&self, name: &str) -> Option<&str> {
        let line = self.capabilities.iter().find(|line| first_word(line).eq_ignore_ascii_case(name))?;
        Some(line[first_word(line).len()..].trim_start())
    }
}

fn first_word(line: &str) -> &str {
    line.split(' ').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_capability_stands_once_whatever_its_arguments() {
        let server = Behaviour::modern().with("EXPIRE 30").with("EXPIRE NEVER").without("TOP");
        let lines = server.announced(false);
        assert!(lines.contains(&"EXPIRE NEVER") && !lines.contains(&"EXPIRE 30") && !lines.contains(&"TOP"));
        assert!(!server.offers("TOP") && server.offers("UIDL") && !server.with_broken("UIDL").offers("UIDL"));
    }

    #[test]
    fn octets_are_counted_as_it_is_told() {
        let bytes = b"a\r\nb\r\nc";
        for (counting, octets) in [
            (Counting::Stored, 7),
            (Counting::Sent, 9),
            (Counting::LineFeeds, 5),
            (Counting::Plus(-3), 4),
            (Counting::Plus(-30), 0),
        ] {
            assert_eq!(counting.octets(bytes), octets, "{counting:?}");
        }
    }
}
