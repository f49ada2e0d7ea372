//! Base64 in lines, as attachments are written in mail (RFC 2045 §6.8).
//!
//! The one place that knows how decoded bytes become lines again. Splitting compares with it and
//! joining uses it, so what the splitter accepts is what a join gives back.

use base64_simd::STANDARD;

use crate::recipe::LineEnd;

/// Shortest and longest line that is taken for base64. A line is a whole number of groups of four
/// characters; RFC 5322 §2.1.1 allows 998 characters, and of those 996 make whole groups.
pub(crate) const LINE_LENGTHS: std::ops::RangeInclusive<usize> = 4..=998;

/// Characters encoded at a time: enough for SIMD to pay, small enough to stay in the first caches.
const CHUNK_CHARS: usize = 24 << 10;

/// How the lines of a run look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) line_length: usize,
    pub(crate) line_end: LineEnd,
}

impl Shape {
    /// Whether base64 can be written in lines of this length: a multiple of four characters.
    pub(crate) fn fits(line_length: usize) -> bool {
        LINE_LENGTHS.contains(&line_length) && line_length.is_multiple_of(4)
    }

    /// Decoded bytes in one full line.
    pub(crate) fn line_bytes(self) -> usize {
        self.line_length / 4 * 3
    }

    /// From one line's first character to the next line's.
    pub(crate) fn stride(self) -> usize {
        self.line_length + self.line_end.bytes().len()
    }

    /// How many characters the lines of `length` decoded bytes have, line ends included.
    pub(crate) fn encoded_length(self, length: u64, closed: bool) -> u64 {
        let chars = length.div_ceil(3) * 4;
        let lines = chars.div_ceil(self.line_length as u64);
        let ends = if closed { lines } else { lines.saturating_sub(1) };
        chars + ends * self.line_end.bytes().len() as u64
    }
}

/// Appends the decoded bytes of `chars` to `decoded` if they encode to exactly `chars` again.
/// Otherwise `decoded` is as before. `scratch` is overwritten.
///
/// Whole groups of four from the alphabet stand for three bytes each, one to one (RFC 4648 §4), so they need
/// not be encoded to be compared. Padding is where one thing can be written in several ways.
pub(crate) fn decode_exactly(chars: &[u8], decoded: &mut Vec<u8>, scratch: &mut Vec<u8>) -> bool {
    let before = decoded.len();
    if STANDARD.decode_append(chars, decoded).is_ok() {
        let groups = chars.len() / 4;
        if chars.len() == groups * 4 && decoded.len() - before == groups * 3 {
            return true;
        }
        scratch.clear();
        STANDARD.encode_append(&decoded[before..], scratch);
        if scratch == chars {
            return true;
        }
    }
    decoded.truncate(before);
    false
}

/// Gives the lines that `bytes` become, in pieces; `closed` puts a line end after the last one too.
pub(crate) fn encode<E>(
    bytes: &[u8],
    shape: Shape,
    closed: bool,
    mut out: impl FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let chunk_lines = (CHUNK_CHARS / shape.line_length).max(1);
    let mut chars = Vec::with_capacity(CHUNK_CHARS);
    let mut lines = Vec::with_capacity(chunk_lines * shape.stride());
    let mut chunks = bytes.chunks(chunk_lines * shape.line_bytes()).peekable();
    while let Some(chunk) = chunks.next() {
        chars.clear();
        lines.clear();
        STANDARD.encode_append(chunk, &mut chars);
        for line in chars.chunks(shape.line_length) {
            lines.extend_from_slice(line);
            lines.extend_from_slice(shape.line_end.bytes());
        }
        if chunks.peek().is_none() && !closed {
            lines.truncate(lines.len() - shape.line_end.bytes().len());
        }
        out(&lines)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use proptest::prelude::*;

    use super::*;

    fn lines(bytes: &[u8], shape: Shape, closed: bool) -> Vec<u8> {
        let mut all = Vec::new();
        let Ok(()) = encode(bytes, shape, closed, |piece| {
            all.extend_from_slice(piece);
            Ok::<_, Infallible>(())
        });
        all
    }

    #[test]
    fn lines_look_as_in_mail() {
        let shape = Shape { line_length: 8, line_end: LineEnd::CrLf };
        assert_eq!(lines(b"Hello, world", shape, true), b"SGVsbG8s\r\nIHdvcmxk\r\n");
        assert_eq!(lines(b"Hello, worl", shape, false), b"SGVsbG8s\r\nIHdvcmw=");
        assert_eq!(lines(b"", shape, true), b"");
    }

    #[test]
    fn m05_what_would_encode_differently_is_not_decoded() {
        let (mut decoded, mut scratch) = (b"kept".to_vec(), Vec::new());
        for chars in ["QUJ", "QU JD", "QR==", "QUI", "QUI==", "=QUJ", "QQ==QUJD", "QUJ-", "Q===", "===="] {
            assert!(!decode_exactly(chars.as_bytes(), &mut decoded, &mut scratch), "{chars}");
            assert_eq!(decoded, b"kept");
        }
        assert!(decode_exactly(b"QUJDQQ==", &mut decoded, &mut scratch));
        assert_eq!(decoded, b"keptABCA");
    }

    #[test]
    fn m05_no_byte_but_those_of_the_alphabet_is_decoded_wherever_it_stands() {
        let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        for place in [0, 1, 2, 3, 30, 31, 32, 33, 63, 64, 95, 126, 127, 128, 131] {
            for byte in 0..=u8::MAX {
                let mut chars = alphabet.repeat(3)[..132].to_vec();
                chars[place] = byte;
                let (mut decoded, mut scratch) = (Vec::new(), Vec::new());
                let exact = decode_exactly(&chars, &mut decoded, &mut scratch);
                let padding = place == 131 && byte == b'=';
                assert_eq!(
                    exact,
                    alphabet.contains(&byte) || padding && chars[130] == b'w',
                    "{byte} at {place}"
                );
                assert!(!exact || STANDARD.encode_to_string(&decoded).as_bytes() == chars);
            }
        }
    }

    proptest! {
        #[test]
        fn the_length_is_known_beforehand(length in 0usize..200_000, groups in 1usize..=249, lf: bool, closed: bool) {
            let line_end = if lf { LineEnd::Lf } else { LineEnd::CrLf };
            let shape = Shape { line_length: groups * 4, line_end };
            let encoded = lines(&vec![7; length], shape, closed);
            prop_assert_eq!(encoded.len() as u64, shape.encoded_length(length as u64, closed));
        }
    }
}
