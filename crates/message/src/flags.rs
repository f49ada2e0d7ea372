//! The flags and keywords of a message (RFC 9051 §2.3.2).
//!
//! A flag is kept as the raw atom that the server sent. Two atoms that differ only in case are the
//! same flag; system flags are written in their usual case, keywords in the case first seen.
//! `\Recent` is not kept: it belongs to a session, not to a message, and cannot be restored.

use std::fmt;

const SYSTEM_FLAGS: [&str; 5] = ["\\Answered", "\\Deleted", "\\Draft", "\\Flagged", "\\Seen"];

/// A message's flags: sorted, without doubles. What is not valid UTF-8 is kept with U+FFFD.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags(Vec<String>);

impl Flags {
    /// No flags.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Each flag, sorted: system flags first, for `\` sorts before letters only by this rule.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether a flag is set; case does not matter.
    #[must_use]
    pub fn contains(&self, flag: &str) -> bool {
        self.0.iter().any(|own| own.eq_ignore_ascii_case(flag))
    }

    /// Whether no flag is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reads the form that `Display` writes: atoms with a space between.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        text.split(' ').filter(|flag| !flag.is_empty()).collect()
    }

    fn order(flag: &str) -> (bool, String) {
        (!flag.starts_with('\\'), flag.to_ascii_lowercase())
    }
}

impl<S: AsRef<str>> FromIterator<S> for Flags {
    fn from_iter<I: IntoIterator<Item = S>>(flags: I) -> Self {
        let mut kept: Vec<String> = Vec::new();
        for flag in flags {
            let flag = flag.as_ref();
            if flag.is_empty() || flag.eq_ignore_ascii_case("\\Recent") {
                continue;
            }
            let system = SYSTEM_FLAGS.iter().find(|system| system.eq_ignore_ascii_case(flag));
            kept.push((*system.unwrap_or(&flag)).to_owned());
        }
        kept.sort_by_cached_key(|flag| Self::order(flag));
        kept.dedup_by(|b, a| a.eq_ignore_ascii_case(b));
        Self(kept)
    }
}

impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_have_one_form_whatever_the_server_sends() {
        let flags: Flags =
            ["zeta", "\\SEEN", "\\recent", "$Forwarded", "\\Answered", "Zeta"].iter().collect();
        assert_eq!(flags.to_string(), "\\Answered \\Seen $Forwarded zeta");
        assert!(flags.contains("\\seen"));
        assert_eq!(Flags::parse(&flags.to_string()), flags);
        assert_eq!(Flags::parse(""), Flags::new());
    }
}
