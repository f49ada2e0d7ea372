//! Text from strangers made fit to be shown.
//!
//! Subjects, addresses, folder names, keywords and server replies may hold bytes that move a
//! terminal's cursor, forge a second log line, or turn the order of the letters around (Trojan
//! Source). Every sink — terminal, log, error message — passes such text through this one function
//! and no other, so that there is one place to look when a new trick turns up.
//!
//! What is shown is for people: it is not meant to be read back. A backslash stays a backslash, so
//! an escape that a stranger spells out in plain letters looks like a real one; it does no harm.

use std::borrow::Cow;
use std::fmt::Write;

/// Makes control characters, bidirectional overrides, line separators and invisible marks visible:
/// `\n`, `\r`, `\t`, else `\u{…}` with the code point in hex. All other text is left as it is.
#[must_use]
pub fn escape(text: &str) -> Cow<'_, str> {
    match text.find(is_unsafe) {
        None => Cow::Borrowed(text),
        Some(first) => {
            let mut shown = String::with_capacity(text.len() + 16);
            shown.push_str(&text[..first]);
            push_escaped(&mut shown, &text[first..]);
            Cow::Owned(shown)
        }
    }
}

/// The same for bytes: what is not valid UTF-8 becomes `\x` and two hex digits a byte.
#[must_use]
pub fn escape_bytes(bytes: &[u8]) -> Cow<'_, str> {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return escape(text);
    }
    let mut shown = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        push_escaped(&mut shown, chunk.valid());
        for byte in chunk.invalid() {
            push_code(&mut shown, format_args!("\\x{byte:02x}"));
        }
    }
    Cow::Owned(shown)
}

fn push_escaped(shown: &mut String, text: &str) {
    for character in text.chars() {
        match character {
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            _ if is_unsafe(character) => {
                push_code(shown, format_args!("\\u{{{:x}}}", u32::from(character)));
            }
            _ => shown.push(character),
        }
    }
}

fn push_code(shown: &mut String, code: std::fmt::Arguments<'_>) {
    shown.write_fmt(code).expect("a String takes whatever is written to it");
}

/// What a terminal or a line-based reader would act on rather than show, or not show at all.
fn is_unsafe(character: char) -> bool {
    match character {
        ' '..='~' => false,
        // C0, DEL, C1.
        _ if character.is_control() => true,
        // Soft hyphen, combining grapheme joiner, Arabic letter mark, Hangul fillers, Khmer inherent
        // vowels, Mongolian selectors and vowel separator: drawn as nothing.
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' => true,
        '\u{180b}'..='\u{180f}' | '\u{3164}' | '\u{ffa0}' => true,
        // Zero-width marks, left-to-right and right-to-left marks.
        '\u{200b}'..='\u{200f}' => true,
        // Line and paragraph separator, embeddings and overrides.
        '\u{2028}'..='\u{202e}' => true,
        // Word joiner, invisible operators, isolates, deprecated format characters.
        '\u{2060}'..='\u{206f}' => true,
        // Byte order mark; interlinear annotation; tags and what is reserved beside them.
        '\u{feff}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn honest_text_is_not_copied() {
        for text in ["", "Grüße aus Zürich", "C:\\new", "日本語", "🎉", "a ~ b"] {
            assert!(matches!(escape(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn m09_tricks_become_visible() {
        for (trick, shown) in [
            ("\x1b[2J\x07", "\\u{1b}[2J\\u{7}"),
            ("a\r\nINFO forged", "a\\r\\nINFO forged"),
            ("\u{9b}31m\x7f", "\\u{9b}31m\\u{7f}"),
            ("exe.\u{202e}gpj", "exe.\\u{202e}gpj"),
            ("a\u{200b}b\u{feff}\u{2028}\u{2066}", "a\\u{200b}b\\u{feff}\\u{2028}\\u{2066}"),
            ("\0\t", "\\u{0}\\t"),
        ] {
            assert_eq!(escape(trick), shown);
            assert_eq!(escape_bytes(trick.as_bytes()), shown);
        }
        assert_eq!(escape_bytes(b"caf\xe9 \xff\n"), "caf\\xe9 \\xff\\n");
    }

    proptest! {
        #[test]
        fn nothing_unsafe_comes_through(bytes in prop::collection::vec(any::<u8>(), 0..200), text in "\\PC*|[\\x00-\\u{fff}]*") {
            prop_assert!(!escape_bytes(&bytes).chars().any(is_unsafe));
            prop_assert!(!escape(&text).chars().any(is_unsafe));
            prop_assert_eq!(escape(&escape(&text)).into_owned(), escape(&text).into_owned());
        }
    }
}
