//! What a server can do, as its answer to CAPA says (RFC 2449).
//!
//! What is not announced is not used. A server that does not know CAPA has no way to announce
//! anything; there, all that a server of its age may have is tried, and what is refused is done
//! without. Commands are never sent together to such a server.

use std::time::Duration;

/// What the server announced after the login.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Whether CAPA was answered; if not, what is optional is worth trying.
    pub announced: bool,
    /// Unique-ids (RFC 1939 §7).
    pub uidl: bool,
    /// The beginning of a message (RFC 1939 §7).
    pub top: bool,
    /// Several commands at once (RFC 2449 §6.6).
    pub pipelining: bool,
    /// Codes in refusals (RFC 2449 §6.4).
    pub resp_codes: bool,
    /// The code AUTH in refused logins (RFC 3206 §6).
    pub auth_resp_code: bool,
    /// When the server itself deletes messages (RFC 2449 §6.7).
    pub expire: Option<Expire>,
    /// How long to wait between logins (RFC 2449 §6.5).
    pub login_delay: Option<Duration>,
    /// The name of the server's software (RFC 2449 §6.9); not escaped.
    pub implementation: Option<String>,
    /// TLS on this connection (RFC 2595 §4).
    pub(super) stls: bool,
    /// USER and PASS (RFC 2449 §6.2).
    pub(super) user: bool,
    /// Messages and names in UTF-8 (RFC 6856 §2).
    pub(super) utf8: bool,
    /// A language for texts (RFC 6856 §3).
    pub(super) lang: bool,
    /// SASL mechanisms in capitals (RFC 5034 §3).
    pub(super) mechanisms: Vec<String>,
}

/// When a server deletes messages by itself (RFC 2449 §6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expire {
    /// It does not.
    Never,
    /// So many days after they came, or were first retrieved; 0: as soon as they are retrieved.
    Days(u32),
}

impl Capabilities {
    /// Of a server that does not know CAPA.
    pub(super) fn unannounced() -> Self {
        Self { uidl: true, top: true, user: true, ..Self::default() }
    }

    /// Of a server that does, before its first line.
    pub(super) fn announced() -> Self {
        Self { announced: true, ..Self::default() }
    }

    /// Takes one line of the answer to CAPA; what is unknown or unreadable means nothing.
    pub(super) fn learn(&mut self, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        let mut words = line.split_ascii_whitespace();
        let Some(name) = words.next() else { return };
        match name.to_ascii_uppercase().as_str() {
            "UIDL" => self.uidl = true,
            "TOP" => self.top = true,
            "PIPELINING" => self.pipelining = true,
            "RESP-CODES" => self.resp_codes = true,
            "AUTH-RESP-CODE" => self.auth_resp_code = true,
            "STLS" => self.stls = true,
            "USER" => self.user = true,
            "UTF8" => self.utf8 = true,
            "LANG" => self.lang = true,
            "SASL" => {
                let names = words.filter(|word| is_mechanism(word)).map(str::to_ascii_uppercase);
                self.mechanisms.extend(names);
                self.mechanisms.truncate(MOST_MECHANISMS);
            }
            "EXPIRE" => self.expire = words.next().and_then(expire),
            "LOGIN-DELAY" => {
                self.login_delay = words.next().and_then(|word| word.parse().ok()).map(Duration::from_secs);
            }
            "IMPLEMENTATION" => {
                const LENGTH: usize = 200;
                let text = line.trim_ascii_start()[name.len()..].trim();
                self.implementation = Some(text.chars().take(LENGTH).collect());
            }
            _ => {}
        }
    }

    /// Whether the server knows this SASL mechanism, named in capitals.
    pub(super) fn knows(&self, mechanism: &str) -> bool {
        self.mechanisms.iter().any(|known| known == mechanism)
    }

    /// The ways to log in that were announced, for errors.
    pub(super) fn offered_logins(&self) -> String {
        let user = self.user.then(|| "USER".to_owned());
        let sasl = self.mechanisms.iter().map(|mechanism| format!("SASL {mechanism}"));
        let logins: Vec<String> = user.into_iter().chain(sasl).collect();
        if logins.is_empty() { "nothing".to_owned() } else { logins.join(", ") }
    }
}

/// More are not kept: the registry has some fifty.
const MOST_MECHANISMS: usize = 64;

/// What a mechanism may be called (RFC 4422 §3.1), in letters of either size.
fn is_mechanism(word: &str) -> bool {
    word.len() <= 20 && word.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
}

fn expire(word: &str) -> Option<Expire> {
    match word.eq_ignore_ascii_case("NEVER") {
        true => Some(Expire::Never),
        false => word.parse().ok().map(Expire::Days),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lines: &[&str]) -> Capabilities {
        let mut capabilities = Capabilities::announced();
        lines.iter().for_each(|line| capabilities.learn(line.as_bytes()));
        capabilities
    }

    #[test]
    fn the_lines_of_rfc_2449_are_read() {
        let capabilities = of(&[
            "TOP",
            "USER",
            "SASL CRAM-MD5 plain",
            "RESP-CODES",
            "LOGIN-DELAY 900 USER",
            "PIPELINING",
            "EXPIRE 60 USER",
            "UIDL",
            "IMPLEMENTATION Shlemazle Plotz v302",
        ]);
        assert!(capabilities.top && capabilities.uidl && capabilities.pipelining && capabilities.resp_codes);
        assert!(capabilities.knows("PLAIN") && !capabilities.knows("XOAUTH2"));
        assert_eq!(capabilities.login_delay, Some(Duration::from_secs(900)));
        assert_eq!(capabilities.expire, Some(Expire::Days(60)));
        assert_eq!(capabilities.implementation.as_deref(), Some("Shlemazle Plotz v302"));
        assert_eq!(capabilities.offered_logins(), "USER, SASL CRAM-MD5, SASL PLAIN");
        assert_eq!(of(&["expire never"]).expire, Some(Expire::Never));
    }

    #[test]
    fn p14_odd_lines_mean_nothing() {
        let odd = of(&[
            "",
            " ",
            "EXPIRE",
            "EXPIRE soon",
            "LOGIN-DELAY -3",
            "SASL",
            "SASL PL\u{7f}AIN",
            "\u{1b}[2J",
            "XTOP",
            "X-UIDL 5",
        ]);
        assert_eq!(odd, Capabilities::announced());
        assert_eq!(odd.offered_logins(), "nothing");
    }
}
