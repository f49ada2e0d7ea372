//! JSON for programs: one document, compact, a line end after it.
//!
//! serde_json leaves DEL, C1 controls, bidirectional overrides and invisible marks as they are. A
//! subject could carry them to the terminal of whoever looks at the output, so each character that
//! [`escape`] would not show is written as `\uXXXX`: the same text to a program, harmless to a
//! terminal.

use std::io::{self, Write};

use message::escape::escape;
use serde::Serialize;
use serde_json::ser::{Formatter, Serializer};

/// Writes a document and a line end.
///
/// # Errors
/// When `out` cannot be written to, or the value's own serialization fails.
pub(crate) fn write(out: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    value.serialize(&mut Serializer::with_formatter(&mut *out, Harmless))?;
    out.write_all(b"\n")?;
    out.flush()
}

/// A document as text, without line end.
pub(crate) fn to_text(value: &impl Serialize) -> String {
    let mut bytes = Vec::new();
    match value.serialize(&mut Serializer::with_formatter(&mut bytes, Harmless)) {
        Ok(()) => String::from_utf8(bytes).unwrap_or_default(),
        Err(error) => format!("{:?}", error.to_string()),
    }
}

struct Harmless;

impl Formatter for Harmless {
    /// A piece of a string that holds nothing that JSON itself must escape.
    fn write_string_fragment<W: ?Sized + Write>(&mut self, out: &mut W, fragment: &str) -> io::Result<()> {
        if let std::borrow::Cow::Borrowed(_) = escape(fragment) {
            return out.write_all(fragment.as_bytes());
        }
        for character in fragment.chars() {
            let mut buffer = [0; 4];
            let text = character.encode_utf8(&mut buffer);
            if let std::borrow::Cow::Borrowed(text) = escape(text) {
                out.write_all(text.as_bytes())?;
                continue;
            }
            for unit in character.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    #[test]
    fn a_subject_stays_the_same_and_does_nothing_to_a_terminal() {
        let subject = "a\u{1b}[2J\r\n\u{7f}\u{9b}31m\u{202e}evil\u{200b}\u{e0041}\u{1f600}\"\\é";
        let text = to_text(&subject);
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), subject);
        assert!(matches!(escape(&text), std::borrow::Cow::Borrowed(_)), "{text:?}");
        assert!(text.contains("é") && text.contains('\u{1f600}'), "{text}");
    }

    #[test]
    fn a_document_is_one_line() {
        let mut out = Vec::new();
        write(&mut out, &serde_json::json!({"subject": "two\nlines"})).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "{\"subject\":\"two\\nlines\"}\n");
    }
}
