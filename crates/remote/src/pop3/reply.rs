//! The first line of every answer: `+OK`, `-ERR`, or the `+` of a login in steps (RFC 1939 §3,
//! RFC 2449 §8, RFC 5034 §4).
//!
//! What is none of these is no answer, and never taken for one: it may be the rest of a message whose
//! end was seen too early.

use bytes::Bytes;

use crate::refusal::Refusal;

/// What an answer begins with.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Done, or begun: what follows on the line.
    Ok(Bytes),
    /// Refused.
    Err {
        /// The code, and the text without it.
        refusal: Refusal,
        /// The number in the code, as some servers have it: `[LOGIN-DELAY 900]`.
        number: Option<u64>,
    },
    /// The server waits for what the mechanism says next: its challenge, in base64.
    Continue(Bytes),
}

impl Reply {
    /// `None`: not an answer.
    pub(super) fn read(line: &Bytes) -> Option<Self> {
        if let Some(rest) = after(line, b"+OK") {
            return Some(Self::Ok(line.slice_ref(rest)));
        }
        if let Some(rest) = after(line, b"-ERR") {
            let text = String::from_utf8_lossy(rest);
            let (code, number, text) = code(&text);
            return Some(Self::Err { refusal: Refusal::new(code, text), number });
        }
        match line.split_first() {
            Some((b'+', [])) => Some(Self::Continue(Bytes::new())),
            Some((b'+', [b' ', ..])) => Some(Self::Continue(line.slice(2..))),
            _ => None,
        }
    }

    /// Whether these octets may be the beginning of an answer to a command, or none have come yet.
    pub(super) fn may_begin_with(octets: &[u8]) -> bool {
        [&b"+OK"[..], b"-ERR"].iter().any(|word| {
            let common = word.len().min(octets.len());
            word[..common].eq_ignore_ascii_case(&octets[..common])
        })
    }
}

/// What follows the word on a line that begins with it, without the blanks between.
fn after<'a>(line: &'a [u8], word: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(word.len())?;
    let ends = !rest.first().is_some_and(u8::is_ascii_alphanumeric);
    (start.eq_ignore_ascii_case(word) && ends).then(|| rest.trim_ascii_start())
}

/// A response code's first word in capitals, the number after it, and the text that follows.
fn code(text: &str) -> (Option<String>, Option<u64>, &str) {
    /// The longest of those that are known has fifteen.
    const LONGEST: usize = 64;
    let parts = text.strip_prefix('[').and_then(|text| text.split_once(']'));
    let Some((inside, rest)) = parts.filter(|(inside, _)| inside.len() <= LONGEST) else {
        return (None, None, text);
    };
    let mut words = inside.split_ascii_whitespace();
    let word = words.next().map(str::to_ascii_uppercase);
    (word, words.next().and_then(|word| word.parse().ok()), rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &'static str) -> Option<Reply> {
        Reply::read(&Bytes::from_static(line.as_bytes()))
    }

    fn refused(code: Option<&str>, number: Option<u64>, text: &str) -> Option<Reply> {
        Some(Reply::Err { refusal: Refusal::new(code.map(str::to_owned), text), number })
    }

    #[test]
    fn answers_are_told_from_what_is_none() {
        assert_eq!(read("+OK"), Some(Reply::Ok(Bytes::new())));
        assert_eq!(read("+OK  2 320"), Some(Reply::Ok(Bytes::from_static(b"2 320"))));
        assert_eq!(read("+ok<1.2@host>"), Some(Reply::Ok(Bytes::from_static(b"<1.2@host>"))));
        assert_eq!(read("-ERR"), refused(None, None, ""));
        assert_eq!(read("-ERR [in-use] locked"), refused(Some("IN-USE"), None, "locked"));
        assert_eq!(read("-ERR [LOGIN-DELAY 60] wait"), refused(Some("LOGIN-DELAY"), Some(60), "wait"));
        assert_eq!(read("-ERR [unclosed"), refused(None, None, "[unclosed"));
        assert_eq!(read("+ "), Some(Reply::Continue(Bytes::new())));
        assert_eq!(read("+"), Some(Reply::Continue(Bytes::new())));
        assert_eq!(read("+ eyJ9"), Some(Reply::Continue(Bytes::from_static(b"eyJ9"))));
        for none in ["", "OK", "+OKAY then", "-ERROR", "* OK hi", "Dear all,", " +OK", "+1"] {
            assert_eq!(read(none), None, "{none}");
        }
    }

    #[test]
    fn what_may_become_an_answer_is_waited_for() {
        assert!(["", "+", "+O", "-er", "+OK hi"].iter().all(|begun| Reply::may_begin_with(begun.as_bytes())));
        assert!(!["* OK", "220", "<html>", "++"].iter().any(|begun| Reply::may_begin_with(begun.as_bytes())));
    }
}
