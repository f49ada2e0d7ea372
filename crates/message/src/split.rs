//! A message taken apart exactly, while it comes in.
//!
//! * The *header block* is everything up to and including the first empty line, or the whole message
//!   if it has none. It is a blob of the header stream.
//! * A *base64 run* is found by its shape alone, wherever it lies: lines of one length from the
//!   base64 alphabet, each ended alike, the last one perhaps shorter, padded, or without its line
//!   end. Its decoded bytes are a blob of the attachment stream, so that equal attachments are one
//!   blob however their lines are cut. It counts only if encoding gives exactly the same bytes.
//! * All the rest, together, is a blob of the text stream.
//!
//! MIME is not parsed: structure lies, shape does not. Lines are taken for base64 if their length is
//! a multiple of four; other lengths could be encoded again just as well, but no mailer writes them.
//! A run begins with a line without padding.
//!
//! Any bytes are a message: bare LF, NUL, no header, nothing at all. What a message is cut into
//! depends on its bytes only, never on the portions in which they come. Memory is bounded by a few
//! times [`MAX_BLOB`], whatever a message weighs.
//!
//! Invariant: joining the recipe gives the message. That is proven before a piece is handed out, with
//! its very bytes: [`split`] compares them with the message, and [`Splitter`], which does not have it as a
//! whole, hashes what came and what the pieces give.

mod assembly;
mod run;

use std::convert::Infallible;
use std::fmt;

use assembly::{Assembly, Proof};
use memchr::memchr;
use run::{MAX_LINE, MIN_RUN_BYTES, Run, Scratch, first_line};

use crate::base64_lines;
use crate::fields::Fields;
use crate::recipe::{Recipe, Stream};
use crate::{BlobName, MessageKey};

/// No blob is longer. Longer header blocks and texts continue in the next blob. Runs are cut at a
/// whole number of lines counted from the run's beginning: at 4,186,080 decoded bytes for every line
/// length whose decoded line divides 41,040 bytes (among them 60, 64, 72 and 76 characters), at the
/// last whole line within this limit for others.
pub const MAX_BLOB: usize = 4 << 20;

/// Bytes worked on at a time: hashing and scanning find them in the cache.
const WINDOW: usize = 128 << 10;

/// A blob: a part of a message with the name that its bytes give it. It may be one that the archive
/// has already, and the same piece may come twice.
#[derive(Clone, PartialEq, Eq)]
pub struct Piece {
    /// Where it is to be packed.
    pub stream: Stream,
    /// BLAKE3 of the bytes.
    pub name: BlobName,
    /// At least one byte, at most [`MAX_BLOB`].
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Piece({:?}, {}, {} bytes)", self.stream, self.name, self.bytes.len())
    }
}

/// A message that has been taken apart and proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SplitMessage {
    /// BLAKE3 of the bytes as they came.
    pub key: MessageKey,
    /// How many bytes came.
    pub size: u64,
    /// How the pieces make the message.
    pub recipe: Recipe,
    /// What lists show of it.
    pub fields: Fields,
}

/// A message could not be taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    /// The pieces do not give the message that came. The message must be fetched again; pieces
    /// handed out are blobs that nothing refers to.
    #[error(
        "message {key} ({size} bytes), joined again from its parts, is another: \
         this machine's memory or processor is at fault"
    )]
    NotTheMessage {
        /// What came.
        key: MessageKey,
        /// How many bytes came.
        size: u64,
    },
}

/// Takes a message apart that is there as a whole.
///
/// # Errors
/// As [`Splitter::finish`].
pub fn split(message: &[u8], out: &mut impl FnMut(Piece)) -> Result<SplitMessage, SplitError> {
    let mut splitter = Splitter::with(Proof::comparing(message));
    splitter.to_come = message.len();
    splitter.push(message, out);
    splitter.finish(out)
}

/// Takes one message apart. Push its bytes in order, in portions of any size, then finish.
pub struct Splitter<'m> {
    size: u64,
    /// So many more bytes are known to come; 0 also where that is not known.
    to_come: usize,
    place: Place,
    /// The beginning of a line whose end has not come yet, at most [`MAX_LINE`] bytes.
    unfinished: Vec<u8>,
    run: Option<Run>,
    scratch: Scratch,
    assembly: Assembly<'m>,
}

/// Where in the message the next byte lies.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    HeaderLineStart,
    /// After a CR that began a header line.
    HeaderCr,
    HeaderLine,
    Body,
    /// In a line of the body that is too long for base64.
    LongLine,
}

impl Default for Splitter<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'m> Splitter<'m> {
    /// A splitter for one message.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Proof::hashing())
    }

    fn with(proof: Proof<'m>) -> Self {
        Self {
            size: 0,
            to_come: 0,
            place: Place::HeaderLineStart,
            unfinished: Vec::new(),
            run: None,
            scratch: Scratch::default(),
            assembly: Assembly::new(proof),
        }
    }

    /// Takes the next bytes. Most pieces come with [`finish`](Self::finish); of long messages some
    /// come before.
    pub fn push(&mut self, bytes: &[u8], out: &mut impl FnMut(Piece)) {
        for window in bytes.chunks(WINDOW) {
            self.assembly.came(window);
            self.size += window.len() as u64;
            self.to_come = self.to_come.saturating_sub(window.len());
            let header = if self.in_header() { self.header_length(window) } else { 0 };
            let (header, body) = window.split_at(header);
            self.assembly.append(Stream::Header, header, out);
            self.body(body, out);
        }
    }

    /// Ends the message, proves that the pieces give it, and hands out those not handed out yet.
    ///
    /// # Errors
    /// [`SplitError::NotTheMessage`] when they do not: a fault of the machine, or of this code.
    pub fn finish(mut self, out: &mut impl FnMut(Piece)) -> Result<SplitMessage, SplitError> {
        let line = std::mem::take(&mut self.unfinished);
        let taken = match &mut self.run {
            Some(run) => {
                let assembly = &mut self.assembly;
                let last = run.take_last(&line, |shape, bytes| assembly.attach(bytes, shape, true, out));
                let (length, closed) = last.map_or((0, true), |last| (last.length, last.closed));
                self.end_run(closed, out);
                length
            }
            None => 0,
        };
        self.assembly.append(Stream::Text, &line[taken..], out);
        self.assembly.finish(self.size, out)
    }

    fn in_header(&self) -> bool {
        !matches!(self.place, Place::Body | Place::LongLine)
    }

    /// How many of these bytes belong to the header block.
    fn header_length(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            self.place = match (self.place, bytes[at]) {
                (Place::HeaderLineStart | Place::HeaderCr, b'\n') => {
                    self.place = Place::Body;
                    return at + 1;
                }
                (Place::HeaderLineStart, b'\r') => Place::HeaderCr,
                _ => match memchr(b'\n', &bytes[at..]) {
                    Some(end) => {
                        at += end;
                        Place::HeaderLineStart
                    }
                    None => {
                        self.place = Place::HeaderLine;
                        return bytes.len();
                    }
                },
            };
            at += 1;
        }
        bytes.len()
    }

    fn body(&mut self, mut bytes: &[u8], out: &mut impl FnMut(Piece)) {
        if !self.unfinished.is_empty() {
            // One byte more than a line may have: then it is known to be too long.
            let missing = bytes.len().min(MAX_LINE + 1 - self.unfinished.len());
            let missing = first_line(&bytes[..missing]).map_or(missing, <[u8]>::len);
            let (now, later) = bytes.split_at(missing);
            let mut line = std::mem::take(&mut self.unfinished);
            line.extend_from_slice(now);
            self.lines(&line, out);
            bytes = later;
        }
        if self.place == Place::LongLine {
            let end = first_line(bytes);
            let (line, later) = bytes.split_at(end.map_or(bytes.len(), <[u8]>::len));
            self.assembly.append(Stream::Text, line, out);
            if end.is_some() {
                self.place = Place::Body;
            }
            bytes = later;
        }
        if !bytes.is_empty() {
            self.lines(bytes, out);
        }
    }

    /// Takes the lines in `bytes`, which begin with a line's beginning. What is left of a line at
    /// the end is kept for later, or begins a long line.
    fn lines(&mut self, bytes: &[u8], out: &mut impl FnMut(Piece)) {
        // Bytes from `text` to `at` are text that has not been appended yet.
        let (mut text, mut at) = (0, 0);
        loop {
            if self.run.is_some() {
                at += self.continue_run(&bytes[at..], out);
                text = at;
            }
            let Some(line) = first_line(&bytes[at..]) else { break };
            if let Some(run) = self.begin_run(line) {
                self.assembly.append(Stream::Text, &bytes[text..at], out);
                self.run = Some(run);
            }
            at += line.len();
        }
        self.assembly.append(Stream::Text, &bytes[text..at], out);
        let unfinished = &bytes[at..];
        if unfinished.len() > MAX_LINE {
            self.end_run(true, out);
            self.assembly.append(Stream::Text, unfinished, out);
            self.place = Place::LongLine;
        } else {
            self.unfinished.extend_from_slice(unfinished);
        }
    }

    /// A run with this line, its line end included, as its first.
    fn begin_run(&mut self, line: &[u8]) -> Option<Run> {
        if !self.assembly.takes_runs() {
            return None;
        }
        Run::begin(line, &mut self.scratch)
    }

    /// Goes on with the run as far as it reaches and says how many bytes it took. There still is a
    /// run afterwards only if the rest is an unfinished line.
    fn continue_run(&mut self, bytes: &[u8], out: &mut impl FnMut(Piece)) -> usize {
        let Some(run) = &mut self.run else { return 0 };
        let assembly = &mut self.assembly;
        let mut cut_off = |shape, bytes| assembly.attach(bytes, shape, true, out);
        let taken = run.take_lines(bytes, self.to_come, &mut cut_off);
        let Some(line) = first_line(&bytes[taken..]) else { return taken };
        let last = run.take_last(line, &mut cut_off);
        let (length, closed) = last.map_or((0, true), |last| (last.length, last.closed));
        self.end_run(closed, out);
        taken + length
    }

    /// What was a run becomes a blob, or text again if it was too short.
    fn end_run(&mut self, closed: bool, out: &mut impl FnMut(Piece)) {
        let Some(run) = self.run.take() else { return };
        let (shape, worth) = (run.shape, run.cut || run.bytes.len() >= MIN_RUN_BYTES);
        let (bytes, scratch) = run.into_parts();
        self.scratch = scratch;
        if bytes.is_empty() {
            // The run ended where it was cut.
        } else if worth {
            self.assembly.attach(bytes, shape, closed, out);
        } else {
            let Ok(()) = base64_lines::encode(&bytes, shape, closed, |text| {
                self.assembly.append(Stream::Text, text, out);
                Ok::<_, Infallible>(())
            });
        }
    }
}
