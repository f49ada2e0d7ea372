//! NO, BAD, BYE and -ERR: what the server means by them (RFC 9051 §7.1, RFC 5530; RFC 2449 §8,
//! RFC 3206).
//!
//! The response code decides where there is one; of the texts, only those that large providers are
//! known to send in place of a code are read. What is neither is left to the caller, who knows what
//! was asked.

use std::fmt;
use std::time::Duration;

use message::escape::escape;

use crate::error::Kind;

/// A server's no, with its reasons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refusal {
    /// The response code's first word in capitals, e.g. `AUTHENTICATIONFAILED` or `SYS/TEMP`.
    pub code: Option<String>,
    /// The text for people, at most 500 characters; not escaped.
    pub text: String,
}

/// Longer waits are not obeyed as told: the next run of the schedule comes first.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

/// Words in texts without a code that mean "slow down", as large providers write them.
const LIMIT_TEXTS: [&str; 9] = [
    "backoff time",
    "too many simultaneous",
    "too many connections",
    "maximum number of connections",
    "exceeded command or bandwidth limits",
    "rate limit",
    "[throttled]",
    "quota exceeded",
    "try again later",
];

/// Words in texts without a code that mean "not well just now".
const PASSING_TEXTS: [&str; 5] =
    ["temporar", "unavailable", "internal error", "shutting down", "server error"];

/// Words in texts that mean that an account is full.
const FULL_TEXTS: [&str; 9] = [
    "quota exceeded",
    "exceeded quota",
    "exceeds quota",
    "over quota",
    "overquota",
    "is full",
    "quota limit",
    "out of storage",
    "not enough space",
];

/// Words in texts that mean too much at once, and not too much in all.
const THROTTLE_TEXTS: [&str; 4] = ["bandwidth", "rate limit", "[throttled]", "too many"];

/// Words in texts that mean that a message is too large.
const BIG_TEXTS: [&str; 6] =
    ["too big", "too large", "maximum size", "size limit", "exceeds maximum message", "maximum message size"];

/// How servers without response codes say that there is no such mailbox, in small letters.
const NO_SUCH_MAILBOX: [&str; 6] =
    ["exist", "no such", "unknown mailbox", "not found", "unknown folder", "invalid folder"];

fn has_any(lower_text: &str, known: &[&str]) -> bool {
    known.iter().any(|known| lower_text.contains(known))
}

impl Refusal {
    pub(crate) fn new(code: Option<String>, text: &str) -> Self {
        const LENGTH: usize = 500;
        Self { code, text: text.chars().take(LENGTH).collect() }
    }

    /// What the refusal means whatever was asked; `None` when that depends on the command.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        let text = self.text.to_ascii_lowercase();
        if let Some(wait) = told_wait(&text) {
            return Some(Kind::Limit { wait: Some(wait) });
        }
        match self.code.as_deref() {
            Some("AUTHENTICATIONFAILED" | "AUTHORIZATIONFAILED" | "EXPIRED" | "CONTACTADMIN" | "AUTH") => {
                return Some(Kind::Credentials);
            }
            Some("LIMIT" | "OVERQUOTA" | "THROTTLED" | "IN-USE" | "LOGIN-DELAY") => {
                return Some(Kind::Limit { wait: None });
            }
            Some("UNAVAILABLE" | "INUSE" | "SERVERBUG" | "SYS/TEMP") => return Some(Kind::Network),
            Some("SYS/PERM") => return Some(Kind::Refused),
            Some(_) | None => {}
        }
        if has_any(&text, &LIMIT_TEXTS) {
            return Some(Kind::Limit { wait: None });
        }
        has_any(&text, &PASSING_TEXTS).then_some(Kind::Network)
    }

    /// The account is full (RFC 9208 §4.3): nothing more can be added until someone makes room. Not so
    /// when the server means octets over a line, and says how long to wait.
    #[must_use]
    pub fn is_over_quota(&self) -> bool {
        let text = self.text.to_ascii_lowercase();
        match self.code.as_deref() {
            Some("OVERQUOTA") => true,
            _ if told_wait(&text).is_some() || has_any(&text, &THROTTLE_TEXTS) => false,
            _ => has_any(&text, &FULL_TEXTS),
        }
    }

    /// This message is larger than the server takes (RFC 7889 §5, RFC 4469 §5); a smaller one may be
    /// taken.
    #[must_use]
    pub fn is_too_big(&self) -> bool {
        let text = self.text.to_ascii_lowercase();
        self.code.as_deref() == Some("TOOBIG") || (!self.is_over_quota() && has_any(&text, &BIG_TEXTS))
    }

    /// There is no such mailbox, but there can be (TRYCREATE, RFC 9051 §7.1).
    #[must_use]
    pub fn wants_create(&self) -> bool {
        let text = self.text.to_ascii_lowercase();
        match self.code.as_deref() {
            Some("TRYCREATE" | "NONEXISTENT") => true,
            Some(_) => false,
            // What there is not may be a flag.
            None => has_any(&text, &NO_SUCH_MAILBOX) && !self.speaks_of_flags() && !self.speaks_of_date(),
        }
    }

    /// There is such a mailbox already (RFC 5530).
    #[must_use]
    pub fn already_exists(&self) -> bool {
        let text = self.text.to_ascii_lowercase();
        match self.code.as_deref() {
            Some("ALREADYEXISTS") => true,
            Some(_) => false,
            None => text.contains("exist") && !has_any(&text, &["not exist", "n't exist", "nonexist"]),
        }
    }

    /// It can never be done, whatever the user does (CANNOT, RFC 5530).
    #[must_use]
    pub fn is_impossible(&self) -> bool {
        self.code.as_deref() == Some("CANNOT")
    }

    /// The text speaks of flags or keywords: without them the message may be taken.
    #[must_use]
    pub fn speaks_of_flags(&self) -> bool {
        has_any(&self.text.to_ascii_lowercase(), &["flag", "keyword"])
    }

    /// The text speaks of a date: with another the message may be taken.
    #[must_use]
    pub fn speaks_of_date(&self) -> bool {
        let text = self.text.to_ascii_lowercase();
        let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
        words.any(|word| matches!(word, "date" | "internaldate" | "datetime"))
    }

    /// What people usually have to do when a login is refused in these words.
    pub(crate) fn login_hint(&self) -> &'static str {
        let text = self.text.to_ascii_lowercase();
        if text.contains("application-specific password") || text.contains("app password") {
            " (this provider wants a password made for one program: make one in the account's security settings)"
        } else if text.contains("web login required") || text.contains("log in via your web browser") {
            " (log in once with a browser and confirm that it was you)"
        } else if text.contains("imap") && (text.contains("disabled") || text.contains("not enabled")) {
            " (IMAP is switched off in the account's settings)"
        } else if text.contains("pop") && (text.contains("disabled") || text.contains("not enabled")) {
            " (POP3 is switched off in the account's settings)"
        } else {
            ""
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = escape(&self.text);
        match &self.code {
            Some(code) => write!(f, "[{}] {text}", escape(code)),
            None if self.text.is_empty() => f.write_str("no reason given"),
            None => f.write_str(&text),
        }
    }
}

/// Gmail's "Suggested Backoff Time: 299609 milliseconds".
fn told_wait(lower_text: &str) -> Option<Duration> {
    let after = lower_text.split_once("backoff time:")?.1.trim_start();
    let digits = after.split(|c: char| !c.is_ascii_digit()).next()?;
    let number: u64 = digits.parse().ok()?;
    let unit = after[digits.len()..].trim_start();
    let wait =
        if unit.starts_with("mil") { Duration::from_millis(number) } else { Duration::from_secs(number) };
    Some(wait.min(LONGEST_WAIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_known_texts_are_sorted() {
        let limit = |seconds: Option<u64>| Some(Kind::Limit { wait: seconds.map(Duration::from_millis) });
        let cases = [
            (Some("AUTHENTICATIONFAILED"), "Authentication failed.", Some(Kind::Credentials)),
            (Some("EXPIRED"), "password expired", Some(Kind::Credentials)),
            (Some("CONTACTADMIN"), "", Some(Kind::Credentials)),
            (Some("UNAVAILABLE"), "Temporary authentication failure", Some(Kind::Network)),
            (Some("INUSE"), "Mailbox in use", Some(Kind::Network)),
            (Some("LIMIT"), "Too many", limit(None)),
            (Some("IN-USE"), "Do you have another POP session running?", limit(None)),
            (Some("LOGIN-DELAY"), "minimum time between mail checks violation", limit(None)),
            (Some("SYS/TEMP"), "temporary problem", Some(Kind::Network)),
            (Some("SYS/PERM"), "Your account is not enabled for POP access", Some(Kind::Refused)),
            (Some("AUTH"), "Username and password not accepted.", Some(Kind::Credentials)),
            (None, "Account exceeded command or bandwidth limits. (Failure)", limit(None)),
            (Some("THROTTLED"), "Suggested Backoff Time: 299609 milliseconds", limit(Some(299_609))),
            (None, "Request is throttled. Suggested Backoff Time: 5 seconds", limit(Some(5_000))),
            (None, "Suggested Backoff Time: 99999999999999999999 milliseconds", limit(None)),
            (None, "Too many simultaneous connections. (Failure)", limit(None)),
            (None, "[ALERT] Maximum number of connections from user+IP exceeded", limit(None)),
            (None, "Service temporarily unavailable", Some(Kind::Network)),
            (None, "no such mailbox", None),
        ];
        for (code, text, kind) in cases {
            assert_eq!(Refusal::new(code.map(str::to_owned), text).kind(), kind, "{code:?} {text}");
        }
    }

    /// What a refused APPEND means, in one letter each.
    fn signs(code: Option<&str>, text: &str) -> String {
        let refusal = Refusal::new(code.map(str::to_owned), text);
        let signs = [
            ('q', refusal.is_over_quota()),
            ('b', refusal.is_too_big()),
            ('c', refusal.wants_create()),
            ('e', refusal.already_exists()),
            ('i', refusal.is_impossible()),
            ('f', refusal.speaks_of_flags()),
            ('d', refusal.speaks_of_date()),
        ];
        signs.iter().filter(|(_, is)| *is).map(|(sign, _)| sign).collect()
    }

    #[test]
    fn r04_r05_r06_r13_refusals_of_mail_are_told_apart() {
        for (code, text, expected) in [
            // Dovecot, Cyrus, Gmail, Exchange, Courier and others, as they write.
            (Some("OVERQUOTA"), "Quota exceeded (mailbox for user is full)", "q"),
            (None, "Over quota", "q"),
            (None, "Quota exceeded.", "q"),
            (None, "Mailbox is full", "q"),
            (None, "You are over your storage quota: not enough space", "q"),
            (Some("LIMIT"), "User storage quota limit reached", "q"),
            (None, "Account exceeded command or bandwidth limits. (Failure)", ""),
            (None, "Bandwidth quota exceeded", ""),
            (Some("THROTTLED"), "Quota exceeded. Suggested Backoff Time: 3000 milliseconds", ""),
            (None, "Too many requests, quota exceeded", ""),
            (Some("TOOBIG"), "Message is too big", "b"),
            (None, "Message too large.", "b"),
            (None, "[ALERT] Message exceeds maximum size", "b"),
            (Some("LIMIT"), "Message size exceeds the maximum size of 35651584", "b"),
            (Some("TRYCREATE"), "No folder Lists (Failure)", "c"),
            (None, "Mailbox doesn't exist: Lists", "c"),
            (None, "Unknown Mailbox: Lists (now in authenticated state)", "c"),
            (Some("ALREADYEXISTS"), "Mailbox already exists", "e"),
            (Some("NOPERM"), "Mailbox exists", ""),
            (Some("CANNOT"), "Yahoo: cannot set \\Deleted flag", "if"),
            (None, "Invalid keyword", "f"),
            (None, "no such flag", "f"),
            (None, "Keyword not found", "f"),
            (None, "Invalid system flag \\Foo", "f"),
            (None, "Invalid internal date in Append command", "d"),
            (None, "Bad datetime", "d"),
            (None, "Your account has not been updated", ""),
            (None, "Command Argument Error. 11", ""),
        ] {
            assert_eq!(signs(code, text), expected, "{code:?} {text}");
        }
    }

    #[test]
    fn an_endless_wait_is_capped() {
        let refusal = Refusal::new(None, "Suggested Backoff Time: 18446744073709551615 seconds");
        assert_eq!(refusal.kind(), Some(Kind::Limit { wait: Some(LONGEST_WAIT) }));
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let refusal = Refusal::new(Some("ALERT".into()), "\u{1b}[2Jhello");
        assert!(!refusal.to_string().contains('\u{1b}'));
    }
}
