//! An address, as far as its mailbox is looked for.

use crate::host;
use crate::limits::ADDRESS_BYTES;

/// A mail address: what stands before the last `@`, and the domain behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    text: String,
    local_bytes: usize,
    domain: String,
}

/// Why a text is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// There is no `@` with something before and behind it.
    #[error("it is not like name@example.org")]
    Shape,
    /// Blanks, control characters, or too many letters.
    #[error("it holds blanks or control characters, or is longer than {ADDRESS_BYTES} bytes")]
    Letters,
    /// What stands behind the `@` is no domain.
    #[error("what stands behind the @ is not the name of a domain")]
    Domain,
}

impl Address {
    /// Reads an address.
    ///
    /// # Errors
    /// When the text is none. No error repeats it.
    pub fn parse(text: &str) -> Result<Self, NoAddress> {
        let text = text.trim();
        if text.len() > ADDRESS_BYTES || text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(NoAddress::Letters);
        }
        let (local, domain) = text.rsplit_once('@').ok_or(NoAddress::Shape)?;
        if local.is_empty() || domain.is_empty() {
            return Err(NoAddress::Shape);
        }
        let name = host::name(domain).ok_or(NoAddress::Domain)?;
        Ok(Self { text: text.to_owned(), local_bytes: local.len(), domain: name })
    }

    /// As it was typed.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What stands before the `@`.
    #[must_use]
    pub fn local_part(&self) -> &str {
        &self.text[..self.local_bytes]
    }

    /// The domain in small ASCII letters (A-labels, RFC 5890).
    #[must_use]
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// Whether a host, as a [`Candidate`](crate::Candidate) has it, lies in the address's own domain.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        host::is_within(host, &self.domain)
    }

    /// The address as the value of a part of a URL (RFC 3986 §2.1).
    pub(crate) fn in_a_url(&self) -> String {
        let mut escaped = String::new();
        for byte in self.text.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                escaped.push(char::from(byte));
            } else {
                escaped.push_str(&format!("%{byte:02X}"));
            }
        }
        escaped
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    #[test]
    fn an_address_has_two_parts() {
        let address = Address::parse(" Anna+lists@Bücher.Example ").unwrap();
        assert_eq!(address.text(), "Anna+lists@Bücher.Example");
        assert_eq!(address.local_part(), "Anna+lists");
        assert_eq!(address.domain(), "xn--bcher-kva.example");
        assert_eq!(address.in_a_url(), "Anna%2Blists%40B%C3%BCcher.Example");
        assert_eq!(Address::parse("a@b@example.org").unwrap().local_part(), "a@b");
    }

    #[test]
    fn what_is_no_address_is_told_apart() {
        for (text, expected) in [
            ("anna", NoAddress::Shape),
            ("@example.org", NoAddress::Shape),
            ("anna@", NoAddress::Shape),
            ("", NoAddress::Shape),
            ("an na@example.org", NoAddress::Letters),
            ("anna\u{7}@example.org", NoAddress::Letters),
            ("anna@[192.0.2.1]", NoAddress::Domain),
            ("anna@192.0.2.1", NoAddress::Domain),
            ("anna@exa/mple.org", NoAddress::Domain),
        ] {
            assert_eq!(Address::parse(text), Err(expected), "{text:?}");
        }
        assert_eq!(Address::parse(&format!("{}@a.b", "a".repeat(300))), Err(NoAddress::Letters));
    }
}
