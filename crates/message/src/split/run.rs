//! A base64 run while it is being read: lines of one length and one line end, decoded as they come.
//!
//! The run holds only decoded bytes. Each line was taken because its bytes encode to exactly that
//! line again, so the text of a run can always be had back from what is held; nothing else is kept.

use memchr::memchr;

use super::MAX_BLOB;
use crate::base64_lines::{self, Shape};
use crate::recipe::LineEnd;

/// Fewer decoded bytes than this stay text. A blob of its own costs about a hundred bytes in recipe,
/// index and catalogue; measured on mixed real mail with zstd 3 and copies stored once, decoding
/// saves 28 bytes a run of 512 to 768 bytes, 75 of up to 1024, and 158 of 1 to 2 KiB.
pub(super) const MIN_RUN_BYTES: usize = 1024;

/// Longest line, line end included, that can belong to a run (RFC 5322 §2.1.1).
pub(super) const MAX_LINE: usize = 1000;

/// Decoded line lengths of lines of 60, 64, 72 and 76 characters (45, 48, 54, 57 bytes) all divide
/// this. Long runs are cut at a multiple of it, so the same attachment gives the same blobs in each
/// of the usual line lengths.
const COMMON_LINE_BYTES: usize = 41_040;

/// Lines decoded at a time: few at first, so that lines which only look like base64 cost little,
/// then more.
const FIRST_BATCH_LINES: usize = 8;
const MAX_BATCH_CHARS: usize = 32 << 10;

/// Room for so many decoded bytes is asked for at once. What is asked for and not used is given back, but
/// leaves a gap.
const MOST_ROOM: usize = 1 << 20;

/// Lines of base64 that follow one another.
pub(super) struct Run {
    pub(super) shape: Shape,
    /// Decoded and not yet cut off as a blob; never more than [`cut_length`].
    pub(super) bytes: Vec<u8>,
    /// Whether an earlier part of the run was cut off.
    pub(super) cut: bool,
    batch_lines: usize,
    scratch: Scratch,
}

/// Buffers that outlive a run.
#[derive(Default)]
pub(super) struct Scratch {
    chars: Vec<u8>,
    encoded: Vec<u8>,
}

/// The last line of a run.
pub(super) struct LastLine {
    /// How many bytes of the line belong to the run.
    pub(super) length: usize,
    /// Whether the line end is among them.
    pub(super) closed: bool,
}

impl Run {
    /// A run with this line, its line end included, as its first; `None` if it is not base64.
    pub(super) fn begin(line: &[u8], scratch: &mut Scratch) -> Option<Self> {
        let (chars, line_end) = strip(line);
        if !Shape::fits(chars.len()) || !chars.iter().all(|&byte| IN_ALPHABET[usize::from(byte)]) {
            return None;
        }
        let shape = Shape { line_length: chars.len(), line_end: line_end? };
        let mut bytes = Vec::new();
        if !base64_lines::decode_exactly(chars, &mut bytes, &mut scratch.encoded) {
            return None;
        }
        let scratch = std::mem::take(scratch);
        Some(Self { shape, bytes, cut: false, batch_lines: FIRST_BATCH_LINES, scratch })
    }

    /// Takes full lines from the front of `text`, as many as belong to the run, and says how many
    /// bytes they have. When a blob's worth is held, it goes to `cut_off` before more is taken. Of the
    /// message at least `to_come` bytes are known to follow `text`.
    pub(super) fn take_lines(
        &mut self,
        text: &[u8],
        to_come: usize,
        mut cut_off: impl FnMut(Shape, Vec<u8>),
    ) -> usize {
        let mut taken = 0;
        loop {
            let room = (cut_length(self.shape) - self.bytes.len()) / self.shape.line_bytes();
            let lines = self.count_lines(&text[taken..], room.max(1).min(self.batch_lines));
            if lines == 0 {
                return taken;
            }
            if room == 0 {
                self.cut = true;
                cut_off(self.shape, std::mem::take(&mut self.bytes));
            }
            let good = self.decode(&text[taken..], to_come, lines);
            taken += good * self.shape.stride();
            if good < lines {
                return taken;
            }
            let most = (MAX_BATCH_CHARS / self.shape.line_length).max(FIRST_BATCH_LINES);
            self.batch_lines = (self.batch_lines * 2).min(most);
        }
    }

    /// Takes a line that is not a full line of the run but may be its last: no longer than the
    /// others, padded or not, and perhaps without its line end. The run ends with it.
    pub(super) fn take_last(
        &mut self,
        line: &[u8],
        mut cut_off: impl FnMut(Shape, Vec<u8>),
    ) -> Option<LastLine> {
        let (chars, line_end) = strip(line);
        if chars.is_empty() || chars.len() > self.shape.line_length {
            return None;
        }
        let mut last = Vec::with_capacity(self.shape.line_bytes());
        if !base64_lines::decode_exactly(chars, &mut last, &mut self.scratch.encoded) {
            return None;
        }
        if self.bytes.len() + last.len() > cut_length(self.shape) {
            self.cut = true;
            cut_off(self.shape, std::mem::take(&mut self.bytes));
        }
        self.bytes.append(&mut last);
        let closed = line_end == Some(self.shape.line_end);
        let end_length = if closed { self.shape.line_end.bytes().len() } else { 0 };
        Some(LastLine { length: chars.len() + end_length, closed })
    }

    /// What was decoded last, and the buffers for the next run.
    pub(super) fn into_parts(mut self) -> (Vec<u8>, Scratch) {
        if self.bytes.capacity() > 2 * self.bytes.len() {
            self.bytes.shrink_to_fit();
        }
        (self.bytes, self.scratch)
    }

    /// How many lines at the front of `text`, at most `most`, end where a line of this run must.
    fn count_lines(&self, text: &[u8], most: usize) -> usize {
        let lines = text.chunks_exact(self.shape.stride()).take(most);
        // Ends of a known length are compared as numbers; of any length, by a call for each line.
        match self.shape.line_end {
            LineEnd::CrLf => lines.take_while(|line| line.last_chunk() == Some(b"\r\n")).count(),
            LineEnd::Lf => lines.take_while(|line| line.last() == Some(&b'\n')).count(),
        }
    }

    /// Room for the next lines. A run that has begun mostly goes on to near the end of the message, and room
    /// for all of it, asked for at once, spares moving what has been decoded again and again.
    fn make_room(&mut self, lines: usize, at_most: usize) {
        let bytes = |lines: usize| lines * self.shape.line_bytes();
        if self.bytes.capacity() - self.bytes.len() < bytes(lines) {
            let whole =
                bytes(at_most).min(MOST_ROOM).min(cut_length(self.shape).saturating_sub(self.bytes.len()));
            self.bytes.reserve(whole.max(bytes(lines)));
        }
    }

    /// Decodes the first `lines` lines of `text`; if not all are base64, those before the first that
    /// is not. Says how many.
    fn decode(&mut self, text: &[u8], to_come: usize, lines: usize) -> usize {
        let Shape { line_length, .. } = self.shape;
        let stride = self.shape.stride();
        self.make_room(lines, (text.len() + to_come) / stride);
        let Scratch { chars, encoded } = &mut self.scratch;
        let before = self.bytes.len();
        chars.clear();
        for line in text.chunks_exact(stride).take(lines) {
            chars.extend_from_slice(&line[..line_length]);
        }
        let whole = base64_lines::decode_exactly(chars, &mut self.bytes, encoded);
        if whole && self.bytes.len() - before == lines * self.shape.line_bytes() {
            return lines;
        }
        self.bytes.truncate(before);
        let mut good = 0;
        for line in chars.chunks_exact(line_length) {
            let before = self.bytes.len();
            let exact = base64_lines::decode_exactly(line, &mut self.bytes, encoded);
            if !exact || self.bytes.len() - before != self.shape.line_bytes() {
                self.bytes.truncate(before);
                break;
            }
            good += 1;
        }
        good
    }
}

/// Where runs of this shape are cut: after how many decoded bytes, at most [`MAX_BLOB`]. Always a
/// whole number of lines.
pub(super) fn cut_length(shape: Shape) -> usize {
    let unit = shape.line_bytes();
    let unit = if COMMON_LINE_BYTES.is_multiple_of(unit) { COMMON_LINE_BYTES } else { unit };
    MAX_BLOB / unit * unit
}

/// A line's characters and its line end. A CR without LF belongs to the characters.
fn strip(line: &[u8]) -> (&[u8], Option<LineEnd>) {
    match line {
        [chars @ .., b'\r', b'\n'] => (chars, Some(LineEnd::CrLf)),
        [chars @ .., b'\n'] => (chars, Some(LineEnd::Lf)),
        _ => (line, None),
    }
}

/// The first line of `text` with its line end, if the line end is there.
pub(super) fn first_line(text: &[u8]) -> Option<&[u8]> {
    memchr(b'\n', text).map(|end| &text[..=end])
}

/// The base64 alphabet of RFC 4648 §4, without the padding.
const IN_ALPHABET: [bool; 256] = {
    let mut table = [false; 256];
    let letters = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut place = 0;
    while place < letters.len() {
        table[letters[place] as usize] = true;
        place += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(line_length: usize) -> Shape {
        Shape { line_length, line_end: LineEnd::CrLf }
    }

    #[test]
    fn runs_are_cut_at_whole_lines_and_the_usual_lengths_at_one_place() {
        for line_length in (4..=996).step_by(4) {
            let cut = cut_length(shape(line_length));
            assert!(cut <= MAX_BLOB && cut > MAX_BLOB - COMMON_LINE_BYTES, "{line_length}");
            assert_eq!(cut % shape(line_length).line_bytes(), 0, "{line_length}");
        }
        for line_length in [60, 64, 72, 76] {
            assert_eq!(cut_length(shape(line_length)), 4_186_080, "{line_length}");
        }
    }

    #[test]
    fn a_bad_line_among_good_ones_is_found_wherever_it_stands() {
        for bad in 1..40 {
            let mut text = b"QUJDQUJD\r\n".repeat(40);
            text[bad * 10 + 3] = b'\n';
            let mut run = Run::begin(&text[..10], &mut Scratch::default()).unwrap();
            assert_eq!(run.take_lines(&text[10..], 0, |_, _| unreachable!()), bad * 10 - 10);
            assert_eq!(run.bytes, b"ABC".repeat(bad * 2));
        }
    }

    #[test]
    fn a_padded_line_is_the_last_one() {
        let mut run = Run::begin(b"QUJDQUJD\n", &mut Scratch::default()).unwrap();
        assert_eq!(run.take_lines(b"QUJDQUJD\nQUJDQQ==\nQUJDQUJD\n", 0, |_, _| unreachable!()), 9);
        let last = run.take_last(b"QUJDQQ==\r\n", |_, _| unreachable!()).unwrap();
        assert_eq!((last.length, last.closed), (8, false));
        assert_eq!(run.bytes, b"ABCABCABCABCABCA");
    }
}
