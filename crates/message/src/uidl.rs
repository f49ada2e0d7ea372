//! The unique-id of a message in a POP3 maildrop (RFC 1939 §7).
//!
//! The RFC promises 1 to 70 printable characters that are never given to another message. Servers
//! have sent longer ones, ones with blanks and octets beyond ASCII, and the same for two messages;
//! so the octets are kept as they came, and nothing is made of them but comparisons.

use std::fmt;

use crate::escape::escape_bytes;

/// What a POP3 server calls a message from session to session: 1 to [`Uidl::MAX_LENGTH`] octets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Uidl(Box<[u8]>);

impl Uidl {
    /// A longer unique-id is none: the message is treated as one without.
    pub const MAX_LENGTH: usize = 512;

    /// `None` for no octets or too many of them.
    #[must_use]
    pub fn new(octets: &[u8]) -> Option<Self> {
        (1..=Self::MAX_LENGTH).contains(&octets.len()).then(|| Self(octets.into()))
    }

    /// The octets as the server sent them.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Uidl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escape_bytes(&self.0))
    }
}

impl fmt::Debug for Uidl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Uidl({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p02_any_octets_up_to_a_bound_are_kept_and_shown_escaped() {
        let odd = Uidl::new(b"whqtswO00WBw 418f9t5JxYwZ\xe9\x1b[2J").unwrap();
        assert_eq!(odd.as_bytes().len(), 30);
        assert!(!odd.to_string().contains('\u{1b}'), "{odd}");
        assert_eq!(Uidl::new(b""), None);
        assert!(Uidl::new(&[b'x'; Uidl::MAX_LENGTH]).is_some());
        assert_eq!(Uidl::new(&[b'x'; Uidl::MAX_LENGTH + 1]), None);
    }
}
