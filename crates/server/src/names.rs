//! Mailbox names on the wire: delimiter, prefix, encoding, and the patterns of LIST.
//!
//! Inside, levels are parted by `/`. For a client the server's delimiter takes its place, and the
//! two characters are exchanged with each other, so that every name can be said whatever the
//! delimiter is. `/` does not occur in the shifted parts of modified UTF-7, so this is done to
//! bytes. All names but INBOX stand below the prefix of the personal namespace (RFC 2342).

use message::mailbox::encode_modified_utf7;
use message::{MailboxName, NameEncoding};

use crate::limits;
use crate::store::DELIMITER;

/// How names look to a client.
#[derive(Debug, Clone)]
pub(crate) struct Names {
    /// `None` for a server without hierarchy.
    pub(crate) delimiter: Option<u8>,
    /// Of the personal namespace, such as `INBOX.`; may be empty.
    pub(crate) prefix: String,
}

impl Names {
    fn exchange(&self, name: &[u8]) -> Vec<u8> {
        let Some(delimiter) = self.delimiter else { return name.to_vec() };
        let exchanged = name.iter().map(|&byte| match byte {
            DELIMITER => delimiter,
            byte if byte == delimiter => DELIMITER,
            byte => byte,
        });
        exchanged.collect()
    }

    /// What a client is told, for a name of the store.
    pub(crate) fn wire_name(&self, name: &[u8], utf8: bool) -> Vec<u8> {
        let mut wire = self.exchange(name);
        if !self.prefix.is_empty() && name != b"INBOX" {
            wire.splice(0..0, self.prefix.bytes());
        }
        if utf8 && !wire.iter().any(|&byte| byte >= 0x80) {
            return MailboxName::new(wire, NameEncoding::ModifiedUtf7, self.delimiter).text().into_bytes();
        }
        wire
    }

    /// The name in the store, for one that a client sent; `None` when it cannot be the name of
    /// anything: outside the prefix, empty, too long, with an empty level or octets of control.
    pub(crate) fn store_name(&self, wire: &[u8], utf8: bool) -> Option<Vec<u8>> {
        let coded = match std::str::from_utf8(wire) {
            Ok(text) if utf8 => encode_modified_utf7(text),
            _ => wire.to_vec(),
        };
        let valid = !coded.is_empty() && coded.len() <= limits::NAME && !coded.contains(&0);
        if !valid {
            return None;
        }
        if coded.eq_ignore_ascii_case(b"INBOX") {
            return Some(b"INBOX".to_vec());
        }
        let below = coded.strip_prefix(self.prefix.as_bytes())?;
        let name = self.exchange(below);
        let name = name.strip_suffix(&[DELIMITER]).map(<[u8]>::to_vec).unwrap_or(name);
        let levels_filled = name.split(|&byte| byte == DELIMITER).all(|level| !level.is_empty());
        (levels_filled || self.delimiter.is_none()).then_some(name)
    }
}

/// Whether a name fits a pattern of LIST: `*` is anything, `%` anything within a level. INBOX fits
/// in any case. Costs at most the product of the lengths.
pub(crate) fn matches(pattern: &[u8], name: &[u8], delimiter: Option<u8>) -> bool {
    if pattern.len() > limits::PATTERN {
        return false;
    }
    let folds = name.eq_ignore_ascii_case(b"INBOX");
    // reached[i]: the first i octets of the pattern can stand for the name up to here.
    let mut reached = vec![false; pattern.len() + 1];
    reached[0] = true;
    skip_wildcards(pattern, &mut reached);
    for &byte in name {
        let mut next = vec![false; pattern.len() + 1];
        for (i, &wanted) in pattern.iter().enumerate() {
            let stays = wanted == b'*' || (wanted == b'%' && Some(byte) != delimiter);
            if stays {
                next[i] |= reached[i];
            } else if wanted == byte || (folds && wanted.eq_ignore_ascii_case(&byte)) {
                next[i + 1] |= reached[i] && wanted != b'%';
            }
        }
        skip_wildcards(pattern, &mut next);
        reached = next;
    }
    reached[pattern.len()]
}

fn skip_wildcards(pattern: &[u8], reached: &mut [bool]) {
    for (i, &byte) in pattern.iter().enumerate() {
        if matches!(byte, b'*' | b'%') && reached[i] {
            reached[i + 1] = true;
        }
    }
}

/// Writes a string as RFC 9051 §4.3 has it: quoted where possible, else as a literal.
pub(crate) fn write_string(out: &mut Vec<u8>, string: &[u8], utf8: bool) {
    let plain = |&byte: &u8| (0x20..0x7f).contains(&byte);
    if string.iter().all(plain)
        || (utf8 && std::str::from_utf8(string).is_ok_and(|s| !s.contains(['\r', '\n', '\0'])))
    {
        out.push(b'"');
        for &byte in string {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(byte);
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(format!("{{{}}}\r\n", string.len()).as_bytes());
        out.extend_from_slice(string);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn patterns_are_those_of_the_rfc() {
        let fits = |pattern: &str, name: &str| matches(pattern.as_bytes(), name.as_bytes(), Some(b'/'));
        assert!(fits("*", "a/b/c"));
        assert!(fits("%", "a"));
        assert!(!fits("%", "a/b"));
        assert!(fits("a/%", "a/b"));
        assert!(!fits("a/%", "a/b/c"));
        assert!(fits("a*c", "a/b/c"));
        assert!(fits("%/%", "a/b"));
        assert!(fits("inb%", "INBOX"));
        assert!(!fits("sent", "Sent"));
        assert!(!fits("", "a"));
        assert!(fits("***%%%x", "x"));
    }

    #[test]
    fn a_hostile_pattern_is_matched_in_bounded_time() {
        let pattern = b"*a".repeat(1000);
        assert!(!matches(&pattern, &b"a".repeat(900), Some(b'/')));
        assert!(!matches(&b"*".repeat(100_000), b"a", None));
    }

    #[test]
    fn every_name_can_be_said_whatever_the_delimiter() {
        let names = Names { delimiter: Some(b'.'), prefix: "INBOX.".into() };
        assert_eq!(names.wire_name(b"Archive/2024", false), b"INBOX.Archive.2024");
        assert_eq!(names.wire_name(b"v1.0", false), b"INBOX.v1/0");
        assert_eq!(names.wire_name(b"INBOX", false), b"INBOX");
        assert_eq!(names.store_name(b"INBOX.v1/0", false), Some(b"v1.0".to_vec()));
        assert_eq!(names.store_name(b"Archive", false), None);
        let flat = Names { delimiter: None, prefix: String::new() };
        assert_eq!(flat.wire_name(b"a/b", false), b"a/b");
        let utf8 = Names { delimiter: Some(b'/'), prefix: String::new() };
        assert_eq!(utf8.wire_name(b"Entw&APw-rfe", true), "Entwürfe".as_bytes());
        assert_eq!(utf8.store_name("Entwürfe".as_bytes(), true), Some(b"Entw&APw-rfe".to_vec()));
    }

    proptest! {
        #[test]
        fn what_is_told_leads_back(text in "[a-zä.]{1,4}(/[a-z&ö.]{1,4}){0,2}", dot in any::<bool>(), utf8 in any::<bool>()) {
            let names = if dot {
                Names { delimiter: Some(b'.'), prefix: "INBOX.".into() }
            } else {
                Names { delimiter: Some(b'/'), prefix: String::new() }
            };
            let name = encode_modified_utf7(&text);
            let told = names.wire_name(&name, utf8);
            prop_assert_eq!(names.store_name(&told, utf8), Some(name));
        }
    }
}
