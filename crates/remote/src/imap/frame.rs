//! Cutting the octets of a server into responses: a line and its literals (RFC 9051 §4.3, §7).
//!
//! A response ends at a line end that does not announce a literal. What lies in literals is handed
//! on as it lies in the read buffer, without a copy, or is read straight into a buffer of its own
//! when it is large and not all there yet; so a message body is moved at most once. Every length is
//! held against [`Limits`] before memory is taken, and memory grows with what has really come.
//!
//! This module knows where a response ends, not what it means. The rule that must never break: when
//! the two sides no longer agree where a literal ends, there is an error, never a guess.

use bytes::buf::{BufMut, Limit};
use bytes::{Bytes, BytesMut};

use crate::error::Error;
use crate::limits::Limits;

/// The read buffer grows by this much: some messages at once, and few allocations.
const BLOCK: usize = 512 << 10;

/// Literals of this size that are not all in the buffer yet get a buffer of their own, so that
/// they are not moved when the block is full.
const OWN_BUFFER: usize = 64 << 10;

/// A new buffer for a literal takes at most this much before octets have come for it.
const FIRST_RESERVE: usize = 4 << 20;

/// One response: its text, cut where the literals were, and the literals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Frame {
    /// The text up to the first literal or the line end, without either.
    pub(crate) head: Bytes,
    /// Each literal with the text that follows it.
    pub(crate) rest: Vec<(Bytes, Bytes)>,
}

impl Frame {
    /// Octets in all.
    pub(crate) fn len(&self) -> u64 {
        let rest: usize = self.rest.iter().map(|(literal, text)| literal.len() + text.len()).sum();
        (self.head.len() + rest) as u64
    }
}

/// Takes octets in, gives responses out.
#[derive(Debug)]
pub(crate) struct Framer {
    buffer: BytesMut,
    /// How much of `buffer` is known to hold no line end.
    scanned: usize,
    frame: Frame,
    /// Octets of text in the frame so far.
    text: usize,
    /// Octets in literals in the frame so far, the open one included.
    in_literals: u64,
    literal: Option<OpenLiteral>,
    line_bound: usize,
    literal_bound: u64,
    literals_bound: usize,
}

/// A literal that has been announced.
#[derive(Debug)]
struct OpenLiteral {
    length: usize,
    own: Option<BytesMut>,
}

impl Framer {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            buffer: BytesMut::new(),
            scanned: 0,
            frame: Frame::default(),
            text: 0,
            in_literals: 0,
            literal: None,
            line_bound: limits.line,
            literal_bound: limits.literal,
            literals_bound: limits.literals,
        }
    }

    /// Bounds the lines to come.
    pub(crate) fn bound_lines(&mut self, line: usize) {
        self.line_bound = line;
    }

    /// Where the next octets go: at most `at_most` of them.
    pub(crate) fn room(&mut self, at_most: usize) -> Limit<&mut BytesMut> {
        match &mut self.literal {
            Some(OpenLiteral { length, own: Some(own) }) => {
                let missing = *length - own.len();
                if own.capacity() == own.len() {
                    own.reserve(missing.min(own.len().max(FIRST_RESERVE)));
                }
                let room = (own.capacity() - own.len()).min(missing).min(at_most);
                own.limit(room)
            }
            _ => {
                if self.buffer.capacity() - self.buffer.len() < at_most.min(BLOCK / 32) {
                    self.buffer.reserve(BLOCK);
                }
                let room = (self.buffer.capacity() - self.buffer.len()).min(at_most);
                (&mut self.buffer).limit(room)
            }
        }
    }

    /// What has come and belongs to no whole response yet.
    pub(crate) fn unread(&self) -> &[u8] {
        if self.frame.head.is_empty() { &self.buffer } else { &self.frame.head }
    }

    /// Whether nothing is left over between two responses.
    pub(crate) fn is_clean(&self) -> bool {
        self.buffer.is_empty() && self.literal.is_none() && self.frame == Frame::default()
    }

    /// What lies in the buffer behind the last response, for whoever reads the connection next.
    pub(crate) fn into_rest(self) -> Bytes {
        self.buffer.freeze()
    }

    /// The next whole response, if it is there.
    pub(crate) fn next(&mut self) -> Result<Option<Frame>, Error> {
        loop {
            if self.literal.is_some() && !self.close_literal() {
                return Ok(None);
            }
            let Some(line) = self.take_line()? else { return Ok(None) };
            let announced = if self.may_hold_literals(&line) { announced_literal(&line) } else { None };
            let Some((text_length, length)) = announced else {
                self.push_text(line)?;
                self.text = 0;
                self.in_literals = 0;
                return Ok(Some(std::mem::take(&mut self.frame)));
            };
            self.push_text(line.slice(..text_length))?;
            self.open_literal(length)?;
        }
    }

    /// A line without its end, LF or CR LF.
    fn take_line(&mut self) -> Result<Option<Bytes>, Error> {
        let found = memchr::memchr(b'\n', &self.buffer[self.scanned..]);
        let length = found.map_or(self.buffer.len(), |at| self.scanned + at);
        if self.text + length > self.line_bound {
            return Err(Error::Bound { what: "a line without end", bound: self.line_bound as u64 });
        }
        if found.is_none() {
            self.scanned = self.buffer.len();
            return Ok(None);
        }
        self.scanned = 0;
        let line = self.buffer.split_to(length + 1).freeze();
        let ends_in_cr = length > 0 && line[length - 1] == b'\r';
        Ok(Some(line.slice(..length - usize::from(ends_in_cr))))
    }

    /// Texts for people may end in `{5}` and mean nothing by it; only data holds literals.
    fn may_hold_literals(&self, line: &[u8]) -> bool {
        !self.frame.rest.is_empty() || is_data(line)
    }

    fn push_text(&mut self, text: Bytes) -> Result<(), Error> {
        self.text += text.len();
        let Some((_, after)) = self.frame.rest.last_mut() else {
            self.frame.head = text;
            return Ok(());
        };
        // A literal that was shorter or longer than told leaves us in the middle of a message here.
        if !matches!(text.first(), Some(b' ' | b')')) && is_fetch(&self.frame.head) {
            return Err(Error::malformed("what follows a literal of a length other than told", &text));
        }
        *after = text;
        Ok(())
    }

    fn open_literal(&mut self, length: u64) -> Result<(), Error> {
        if self.frame.rest.len() >= self.literals_bound {
            return Err(Error::Bound {
                what: "many literals in a response",
                bound: self.literals_bound as u64,
            });
        }
        self.in_literals = self.in_literals.saturating_add(length);
        match usize::try_from(length) {
            Ok(length) if self.in_literals <= self.literal_bound => {
                self.literal = Some(OpenLiteral { length, own: None });
                Ok(())
            }
            _ => Err(Error::Bound { what: "a large literal", bound: self.literal_bound }),
        }
    }

    /// Moves the open literal into the frame if it is all there.
    fn close_literal(&mut self) -> bool {
        let Some(open) = &mut self.literal else { return true };
        let literal = match &mut open.own {
            Some(own) if own.len() < open.length => return false,
            Some(own) => std::mem::take(own).freeze(),
            None if self.buffer.len() >= open.length => self.buffer.split_to(open.length).freeze(),
            None => {
                if open.length >= OWN_BUFFER {
                    let mut own =
                        BytesMut::with_capacity(open.length.min(FIRST_RESERVE.max(self.buffer.len())));
                    own.extend_from_slice(&self.buffer);
                    self.buffer.clear();
                    open.own = Some(own);
                }
                return false;
            }
        };
        self.literal = None;
        self.frame.rest.push((literal, Bytes::new()));
        true
    }
}

/// Whether a line begins an untagged response other than OK, NO, BAD, BYE, PREAUTH.
pub(crate) fn is_data(line: &[u8]) -> bool {
    let Some(rest) = line.strip_prefix(b"* ") else { return false };
    let word = rest.split(|&byte| byte == b' ').next().unwrap_or_default();
    !["OK", "NO", "BAD", "BYE", "PREAUTH"].iter().any(|status| word.eq_ignore_ascii_case(status.as_bytes()))
}

fn is_fetch(head: &[u8]) -> bool {
    let mut words = head.split(|&byte| byte == b' ').skip(2);
    let is = |word: &[u8]| word.eq_ignore_ascii_case(b"FETCH") || word.eq_ignore_ascii_case(b"UIDFETCH");
    words.next().is_some_and(is)
}

/// `…{12}`, `…{12+}`, `…~{12}` at the end of a line: where the text ends, and the length.
fn announced_literal(line: &[u8]) -> Option<(usize, u64)> {
    let inner = line.strip_suffix(b"}")?;
    let inner = inner.strip_suffix(b"+").unwrap_or(inner);
    let open = memchr::memrchr(b'{', inner)?;
    let digits = &inner[open + 1..];
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // A number beyond 64 bits is beyond every bound too.
    let length = std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX);
    let text_length = if inner[..open].ends_with(b"~") { open - 1 } else { open };
    Some((text_length, length))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Feeds `stream` in pieces of `step` octets.
    fn frames(limits: &Limits, stream: &[u8], step: usize) -> Result<Vec<Frame>, Error> {
        let mut framer = Framer::new(limits);
        let mut frames = Vec::new();
        let mut left = stream;
        while !left.is_empty() {
            let mut room = framer.room(step);
            let take = room.remaining_mut().min(left.len());
            room.put_slice(&left[..take]);
            left = &left[take..];
            while let Some(frame) = framer.next()? {
                frames.push(frame);
            }
        }
        Ok(frames)
    }

    fn frame(head: &str, rest: &[(&str, &str)]) -> Frame {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        Frame { head: bytes(head), rest: rest.iter().map(|(a, b)| (bytes(a), bytes(b))).collect() }
    }

    #[test]
    fn responses_are_cut_alike_however_they_arrive() {
        let stream = b"* OK hi {3}\r\n* 1 FETCH (BODY[] {5}\r\na\r\n{1 UID 7)\nr1 OK {2}\r\n\
            * 2 FETCH (X ~{0}\r\n Y {2+}\r\n\r\n)\r\n* LIST () \"/\" {3}\r\na\nb\r\n";
        let expected = [
            frame("* OK hi {3}", &[]),
            frame("* 1 FETCH (BODY[] ", &[("a\r\n{1", " UID 7)")]),
            frame("r1 OK {2}", &[]),
            frame("* 2 FETCH (X ", &[("", " Y "), ("\r\n", ")")]),
            frame("* LIST () \"/\" ", &[("a\nb", "")]),
        ];
        for step in [1, 2, 3, 7, 1000] {
            assert_eq!(frames(&Limits::default(), stream, step).unwrap(), expected, "{step}");
        }
    }

    #[test]
    fn large_literals_come_whole() {
        for length in [OWN_BUFFER - 1, OWN_BUFFER, FIRST_RESERVE + 5, 3 * FIRST_RESERVE + 1] {
            let body: Vec<u8> = (0..=250).cycle().take(length).collect();
            let mut stream = format!("* 1 FETCH (BODY[] {{{length}}}\r\n").into_bytes();
            stream.extend_from_slice(&body);
            stream.extend_from_slice(b")\r\n* 2 EXISTS\r\n");
            let frames = frames(&Limits::default(), &stream, 10_007).unwrap();
            assert_eq!(frames.len(), 2);
            assert!(frames[0].rest[0].0 == body, "{length}");
        }
    }

    #[test]
    fn s09_bounds_hold_before_memory_is_taken() {
        let limits = Limits { line: 20, literal: 10, literals: 2, ..Limits::default() };
        for stream in [
            "* 123456789012345678901234567890",
            "* 1 FETCH (A {11}\r\n",
            "* 1 FETCH (A {4294967295}\r\n",
            "* 1 FETCH (A {99999999999999999999999}\r\n",
            "* 1 FETCH (A {6}\r\n123456 B {6}\r\n",
            "* 1 FETCH ({0}\r\n {0}\r\n {0}\r\n",
            "* 1 FETCH (A {1}\r\n1 abcdefghijklmnop",
        ] {
            assert!(matches!(frames(&limits, stream.as_bytes(), 5), Err(Error::Bound { .. })), "{stream}");
        }
        assert!(frames(&limits, b"* 1 FETCH (A {10}\r\n1234567890)\r\n", 5).is_ok());
    }

    #[test]
    fn i06_a_literal_of_another_length_than_told_is_noticed() {
        for stream in
            ["* 1 FETCH (BODY[] {3}\r\nhello)\r\n", "* 1 FETCH (BODY[] {10}\r\nhello)\r\n* 2 EXISTS\r\n"]
        {
            let result = frames(&Limits::default(), stream.as_bytes(), 100);
            assert!(matches!(result, Err(Error::Malformed { .. })), "{stream}: {result:?}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(
            stream in prop::collection::vec(prop::sample::select(b"* 1FETCH{}0123+~\r\n()\"".as_slice()), 0..200),
            step in 1usize..20,
        ) {
            let _ = frames(&Limits { line: 60, literal: 40, ..Limits::default() }, &stream, step);
        }
    }
}
