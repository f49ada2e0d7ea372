//! A message on the line: where it ends, and what it is without the dots that were put into it
//! (RFC 1939 §3).
//!
//! A line begins after CRLF, and after the answer's first line; a dot at its beginning was put there and
//! is taken away, and one that is all of the line, up to its CRLF, ends the message. Nothing else means
//! anything: a bare LF or CR, NUL, octets beyond ASCII, lines of any length are octets of the message.
//!
//! The message is put together in the buffer into which it was read. Where no dot was stuffed nothing
//! is moved; else each octet is moved once. The rule that must never break: the result does not depend
//! on the portions in which the octets arrive.

use std::sync::LazyLock;

use bytes::{Bytes, BytesMut};
use memchr::memmem::Finder;

/// The beginning of a line with a dot that means something.
static LINE_WITH_DOT: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new(b"\r\n."));

/// A message that is being read. All its state refers to one buffer, which begins where the message
/// does, or where the last part that was taken ended.
#[derive(Debug, Default)]
pub(crate) struct Multiline {
    /// Octets at the beginning of the buffer that are done.
    done: usize,
    /// Where those begin that follow them; what lies between was moved or taken away.
    next: usize,
    /// Up to here no line with a dot begins.
    searched: usize,
    /// Whether more than the beginning of the first line has been seen.
    begun: bool,
}

impl Multiline {
    /// The rest of the message, if its end is there; what follows the end stays in the buffer.
    pub(crate) fn end(&mut self, buffer: &mut BytesMut) -> Option<Bytes> {
        while let Some(dot) = self.find_dot(buffer) {
            match &buffer[dot + 1..] {
                [b'\r', b'\n', ..] => {
                    self.close_up(buffer, dot);
                    let mut text = buffer.split_to(dot + b".\r\n".len());
                    text.truncate(self.done);
                    return Some(text.freeze());
                }
                [] | [b'\r'] => {
                    self.searched = dot.saturating_sub(2);
                    return None;
                }
                _ => {
                    self.close_up(buffer, dot);
                    self.begun = true;
                    self.next = dot + 1;
                    self.searched = dot + 1;
                }
            }
        }
        None
    }

    /// The next dot at the beginning of a line.
    fn find_dot(&mut self, buffer: &[u8]) -> Option<usize> {
        if !self.begun {
            match buffer.first() {
                None => return None,
                Some(b'.') => return Some(0),
                Some(_) => self.begun = true,
            }
        }
        match LINE_WITH_DOT.find(&buffer[self.searched..]) {
            Some(at) => Some(self.searched + at + 2),
            None => {
                // The last two may begin such a line.
                self.searched = self.searched.max(buffer.len().saturating_sub(2));
                None
            }
        }
    }

    /// Moves what lies before `until` up to what is done.
    fn close_up(&mut self, buffer: &mut [u8], until: usize) {
        if self.done != self.next {
            buffer.copy_within(self.next..until, self.done);
        }
        self.done += until - self.next;
        self.next = until;
    }

    /// How many octets [`take`](Self::take) gives.
    pub(crate) fn ready(&self) -> usize {
        self.done + (self.searched - self.next)
    }

    /// What is known of the message already, without the CRLF that may turn out to be its last. To be
    /// called where [`end`](Self::end) has found none.
    pub(crate) fn take(&mut self, buffer: &mut BytesMut) -> Bytes {
        self.close_up(buffer, self.searched);
        let mut text = buffer.split_to(self.searched);
        text.truncate(self.done);
        *self = Self { begun: self.begun, ..Self::default() };
        text.freeze()
    }

    /// Whether the octets that came last look like an end that was broken on its way: a dot by itself
    /// with less, or with something else, around it than two CRLF.
    pub(crate) fn ends_in_broken_dot(buffer: &[u8]) -> bool {
        let is_line_end = |octet: &u8| matches!(octet, b'\r' | b'\n');
        let after = buffer.iter().rev().take(2).take_while(|octet| is_line_end(octet)).count();
        match buffer[..buffer.len() - after].split_last() {
            Some((b'.', before)) => before.last().is_none_or(is_line_end),
            _ => false,
        }
    }
}

/// Streams that are read in portions, for tests and fuzz targets.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod trial {
    use super::*;

    /// What comes of a stream in portions, taken in parts of at least `part` octets; and what is left.
    pub(crate) fn read(stream: &[u8], portion: usize, part: usize) -> Option<(Vec<u8>, Vec<u8>)> {
        let (mut buffer, mut multiline, mut text) = (BytesMut::new(), Multiline::default(), Vec::new());
        let mut portions = stream.chunks(portion.max(1));
        for octets in portions.by_ref() {
            buffer.extend_from_slice(octets);
            if let Some(rest) = multiline.end(&mut buffer) {
                text.extend_from_slice(&rest);
                let mut left = buffer.to_vec();
                left.extend(portions.flatten());
                return Some((text, left));
            }
            if multiline.ready() >= part {
                let ready = multiline.ready();
                let taken = multiline.take(&mut buffer);
                assert_eq!(taken.len(), ready);
                text.extend_from_slice(&taken);
            }
        }
        None
    }

    /// A message as a right server sends it.
    pub(crate) fn stuffed(message: &[u8]) -> Vec<u8> {
        let mut sent = Vec::new();
        for (index, octet) in message.iter().enumerate() {
            if *octet == b'.' && (index == 0 || message[..index].ends_with(b"\r\n")) {
                sent.push(b'.');
            }
            sent.push(*octet);
        }
        sent.extend_from_slice(b".\r\n");
        sent
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::trial::{read, stuffed};
    use super::*;

    #[test]
    fn p13_only_a_dot_between_two_crlf_ends_a_message() {
        let ends: [(&[u8], &[u8]); 16] = [
            (b".\r\n", b""),
            (b"\r\n.\r\n", b"\r\n"),
            (b"..\r\n.\r\n", b".\r\n"),
            (b"...\r\n.\r\n", b"..\r\n"),
            (b"a\r\n..\r\n.\r\n", b"a\r\n.\r\n"),
            (b"a\r\n..b\r\n..c\r\n.\r\n", b"a\r\n.b\r\n.c\r\n"),
            (b"a\r\n.b\r\n.\r\n", b"a\r\nb\r\n"),
            (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n"),
            (b"a\n.\r\nb\r\n.\r\n", b"a\n.\r\nb\r\n"),
            (b"a\r\n.\nb\r\n.\r\n", b"a\r\n\nb\r\n"),
            (b"a\r\n.\rb\r\n.\r\n", b"a\r\n\rb\r\n"),
            (b"a\r\n.\r\r\n.\r\n", b"a\r\n\r\r\n"),
            (b"a\r.\r\nb\r\n.\r\n", b"a\r.\r\nb\r\n"),
            (b"\0\xff\r\r\n\n\r\n.\r\n", b"\0\xff\r\r\n\n\r\n"),
            (b"a.b.c.\r\n.\r\n", b"a.b.c.\r\n"),
            (b"\r\n\r\n..\r\n\r\n.\r\n", b"\r\n\r\n.\r\n\r\n"),
        ];
        for (stream, message) in ends {
            for portion in 1..=stream.len() {
                for part in [1, 2, 1000] {
                    let (text, left) = read(stream, portion, part).unwrap();
                    assert_eq!(text.escape_ascii().to_string(), message.escape_ascii().to_string());
                    assert!(left.is_empty());
                }
            }
        }
        for endless in
            ["", ".", ".\r", ".\n", "a\r\n.\r", "a\n.\n", "a\r\n.\n", "a\n.\r\n", "a\r.\r\n", "a.\r\n"]
        {
            for portion in 1..=endless.len().max(1) {
                assert_eq!(read(endless.as_bytes(), portion, 1000), None, "{endless:?}");
            }
        }
    }

    #[test]
    fn what_follows_the_end_is_left_alone() {
        let (text, left) = read(b"a\r\n.\r\n+OK\r\n.\r\n", 4, 1000).unwrap();
        assert_eq!((text.as_slice(), left.as_slice()), (&b"a\r\n"[..], &b"+OK\r\n.\r\n"[..]));
    }

    #[test]
    fn p12_an_end_that_was_broken_on_its_way_is_known() {
        for broken in [".", "a\r\n.", "a\r\n.\r", "a\n.\n", "a\r\n.\n", "a\n.\r\n", "a\r.\r\n"] {
            assert!(Multiline::ends_in_broken_dot(broken.as_bytes()), "{broken:?}");
        }
        for other in ["", "a", "a.", "a\r\n", "a\r\n..", "a.\r\n", "a\r\n.b\r\n"] {
            assert!(!Multiline::ends_in_broken_dot(other.as_bytes()), "{other:?}");
        }
    }

    #[test]
    fn lines_of_a_megabyte_and_mail_of_nothing_but_dots_come_as_they_are() {
        let line = [vec![b'x'; 1 << 20], b"\r\n".to_vec()].concat();
        let dots = b".\r\n".repeat(100_000);
        for message in [line, dots, vec![b'.'; 1 << 20], b"\r\n".repeat(100_000)] {
            let ended = [&message[..], b"\r\n"].concat();
            for part in [5_000, usize::MAX] {
                assert!(read(&stuffed(&ended), 10_007, part).unwrap().0 == ended);
            }
        }
    }

    proptest! {
        #[test]
        fn p13_whatever_is_sent_comes_back_however_it_arrives(
            message in prop::collection::vec(prop::sample::select(b".\r\n\0a".as_slice()), 0..60),
            portion in 1usize..20,
            part in 1usize..30,
        ) {
            let ended = [&message[..], b"\r\n"].concat();
            let (text, left) = read(&stuffed(&ended), portion, part).unwrap();
            prop_assert_eq!(text, ended);
            prop_assert!(left.is_empty());
        }

        #[test]
        fn p13_no_portions_change_what_is_read(
            stream in prop::collection::vec(prop::sample::select(b"...\r\r\n\n\0a".as_slice()), 0..80),
            portion in 1usize..20,
            part in 1usize..30,
        ) {
            prop_assert_eq!(read(&stream, portion, part), read(&stream, stream.len(), usize::MAX));
        }
    }
}
