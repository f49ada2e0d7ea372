//! The name of a mailbox (RFC 9051 §5.1; RFC 3501 §5.1.3 for modified UTF-7).
//!
//! The bytes that the server sent are the name's identity and go back as they came; the decoded
//! form is for people and for globs. Servers send names in modified UTF-7 unless a session has
//! switched to UTF-8 (RFC 6855, RFC 9051), so the same mailbox can arrive in two spellings: both
//! have one [`MailboxName::identity`]. A name that is valid in neither is kept as it is.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};

/// How the raw bytes of a name are to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameEncoding {
    /// RFC 3501 §5.1.3: the usual one.
    ModifiedUtf7,
    /// After `ENABLE UTF8=ACCEPT` or `ENABLE IMAP4rev2`.
    Utf8,
}

/// A mailbox name with its delimiter. Equality and order are those of [`MailboxName::identity`].
#[derive(Clone)]
pub struct MailboxName {
    raw: Vec<u8>,
    encoding: NameEncoding,
    delimiter: Option<u8>,
}

impl MailboxName {
    /// A name as a server sent it. `delimiter` is `None` for a flat name (NIL).
    #[must_use]
    pub fn new(raw: impl Into<Vec<u8>>, encoding: NameEncoding, delimiter: Option<u8>) -> Self {
        Self { raw: raw.into(), encoding, delimiter }
    }

    /// A name made from text, in modified UTF-7.
    #[must_use]
    pub fn from_text(text: &str, delimiter: Option<u8>) -> Self {
        Self::new(encode_modified_utf7(text), NameEncoding::ModifiedUtf7, delimiter)
    }

    /// The bytes as the server sent them; what goes back to it.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.raw
    }

    /// How [`raw`](Self::raw) is to be read.
    #[must_use]
    pub fn encoding(&self) -> NameEncoding {
        self.encoding
    }

    /// The hierarchy delimiter.
    #[must_use]
    pub fn delimiter(&self) -> Option<u8> {
        self.delimiter
    }

    /// Whether this is the user's INBOX, which alone is the same in any case (RFC 9051 §5.1).
    #[must_use]
    pub fn is_inbox(&self) -> bool {
        self.raw.eq_ignore_ascii_case(b"INBOX")
    }

    /// What makes two names the same: the name in modified UTF-7 where it can be written so,
    /// `INBOX` folded to capitals, else the raw bytes.
    #[must_use]
    pub fn identity(&self) -> Cow<'_, [u8]> {
        if self.is_inbox() {
            return Cow::Borrowed(b"INBOX");
        }
        match (self.encoding, std::str::from_utf8(&self.raw)) {
            (NameEncoding::Utf8, Ok(text)) => Cow::Owned(encode_modified_utf7(text)),
            _ => Cow::Borrowed(&self.raw),
        }
    }

    /// The name for people and for globs: Unicode, `INBOX` in capitals. What cannot be decoded is
    /// shown as it came, invalid bytes as U+FFFD. Not fit for a terminal without escaping.
    #[must_use]
    pub fn text(&self) -> String {
        if self.is_inbox() {
            return "INBOX".to_owned();
        }
        let decoded = match self.encoding {
            NameEncoding::ModifiedUtf7 => decode_modified_utf7(&self.raw),
            NameEncoding::Utf8 => None,
        };
        decoded.unwrap_or_else(|| String::from_utf8_lossy(&self.raw).into_owned())
    }

    /// [`text`](Self::text) cut at the delimiter: the levels of the hierarchy, outermost first.
    #[must_use]
    pub fn components(&self) -> Vec<String> {
        let text = self.text();
        match self.delimiter {
            Some(delimiter) => text.split(char::from(delimiter)).map(str::to_owned).collect(),
            None => vec![text],
        }
    }
}

impl PartialEq for MailboxName {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for MailboxName {}

impl PartialOrd for MailboxName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MailboxName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.identity().cmp(&other.identity())
    }
}

impl Hash for MailboxName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl fmt::Debug for MailboxName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MailboxName({:?})", self.text())
    }
}

/// The base64 of modified UTF-7: `,` in place of `/`, no padding.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// Writes text in modified UTF-7 (RFC 3501 §5.1.3).
#[must_use]
pub fn encode_modified_utf7(text: &str) -> Vec<u8> {
    let mut raw = Vec::with_capacity(text.len());
    let mut shifted: Vec<u16> = Vec::new();
    for character in text.chars() {
        if matches!(character, ' '..='~') {
            write_shifted(&mut raw, &mut shifted);
            raw.push(character as u8);
            if character == '&' {
                raw.push(b'-');
            }
        } else {
            shifted.extend_from_slice(character.encode_utf16(&mut [0; 2]));
        }
    }
    write_shifted(&mut raw, &mut shifted);
    raw
}

fn write_shifted(raw: &mut Vec<u8>, shifted: &mut Vec<u16>) {
    if shifted.is_empty() {
        return;
    }
    raw.push(b'&');
    let (mut bits, mut count) = (0u32, 0);
    for unit in shifted.drain(..) {
        bits = bits << 16 | u32::from(unit);
        count += 16;
        while count >= 6 {
            count -= 6;
            raw.push(ALPHABET[(bits >> count & 63) as usize]);
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        raw.push(ALPHABET[(bits << (6 - count) & 63) as usize]);
    }
    raw.push(b'-');
}

/// Reads modified UTF-7. `None` unless the bytes are exactly what [`encode_modified_utf7`] writes
/// for the text, so that a decoded name always leads back to the bytes it came from.
fn decode_modified_utf7(raw: &[u8]) -> Option<String> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'&' {
            text.push(char::from(byte));
            rest = after;
            continue;
        }
        let end = after.iter().position(|&byte| byte == b'-')?;
        match &after[..end] {
            [] => text.push('&'),
            shifted => decode_shifted(shifted, &mut text)?,
        }
        rest = &after[end + 1..];
    }
    (encode_modified_utf7(&text) == raw).then_some(text)
}

fn decode_shifted(shifted: &[u8], text: &mut String) -> Option<()> {
    let (mut bits, mut count) = (0u32, 0);
    let mut units = Vec::with_capacity(shifted.len());
    for byte in shifted {
        let value = ALPHABET.iter().position(|letter| letter == byte)?;
        bits = (bits << 6 | u32::try_from(value).ok()?) & 0x003f_ffff;
        count += 6;
        if count >= 16 {
            count -= 16;
            units.push((bits >> count & 0xffff) as u16);
        }
    }
    for character in char::decode_utf16(units) {
        text.push(character.ok()?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(raw: &str) -> MailboxName {
        MailboxName::new(raw, NameEncoding::ModifiedUtf7, Some(b'/'))
    }

    #[test]
    fn the_names_of_the_rfc_are_read() {
        assert_eq!(name("~peter/mail/&U,BTFw-/&ZeVnLIqe-").text(), "~peter/mail/台北/日本語");
        assert_eq!(name("R&-D").components(), ["R&D"]);
    }

    #[test]
    fn an_invalid_name_is_shown_as_it_came() {
        for raw in ["&", "&Jjo", "&Jjo!", "&U,BTFw-&ZeVnLIqe-", "&AGE-", "a&b", "&2AA-"] {
            assert_eq!(name(raw).text(), raw);
        }
    }

    #[test]
    fn inbox_alone_is_folded() {
        assert_eq!(name("inBox"), name("INBOX"));
        assert_ne!(name("Sent"), name("sent"));
        assert_ne!(name("inbox/a"), name("INBOX/a"));
    }

    #[test]
    fn both_spellings_of_a_name_are_one_mailbox() {
        let utf8 = MailboxName::new("Entwürfe", NameEncoding::Utf8, Some(b'/'));
        assert_eq!(utf8, name("Entw&APw-rfe"));
        assert_eq!(utf8.text(), name("Entw&APw-rfe").text());
    }

    proptest! {
        #[test]
        fn text_comes_back_from_modified_utf7(text in "\\PC*") {
            let raw = encode_modified_utf7(&text);
            prop_assert!(raw.iter().all(|byte| (0x20..0x7f).contains(byte)));
            prop_assert_eq!(decode_modified_utf7(&raw), Some(text));
        }

        #[test]
        fn no_bytes_make_it_panic(raw in prop::collection::vec(any::<u8>(), 0..60)) {
            let name = MailboxName::new(raw, NameEncoding::ModifiedUtf7, Some(b'.'));
            let _ = name.components();
        }
    }
}
