//! A pack read from one place on, frame by frame, gathered into commits.
//!
//! Where no frame begins, the walk searches for the next one: a frame's header proves itself, so the
//! search finds what lies behind damage and never takes a mail's bytes for a frame. What was found
//! is told as events, in the order in which it lies: commits with their frames, damage, and at the
//! end the frames that no commit covers. Whether such a tail was torn off in a crash or lost its
//! commit record to a bad sector is not judged here.
//!
//! Rules C3 to C6 and W1 to W4.

use std::cell::Cell;
use std::io;
use std::ops::Range;

use memchr::memmem;

use super::reader::{Fault, PackReader};
use crate::damage::DamageKind;
use crate::disk::{is_medium_error, read_exact_at};
use crate::frame::{CommitFields, FrameHeader, HEADER_BYTES, Kind, MAGIC};

/// Bytes searched at a time for the next frame.
const SEARCH_BYTES: usize = 1 << 20;

/// A frame and where it lies.
#[derive(Clone, Debug)]
pub(crate) struct FrameAt {
    pub(crate) offset: u64,
    pub(crate) header: FrameHeader,
}

impl FrameAt {
    /// Where it lies in the pack.
    pub(crate) fn bytes(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.header.frame_length())
    }

    /// What its damage means to the archive.
    pub(crate) fn damage_kind(&self) -> DamageKind {
        if self.header.kind == Kind::Block { DamageKind::Block } else { DamageKind::Bytes }
    }
}

/// A commit that was found.
#[derive(Clone, Debug)]
pub(crate) struct FoundCommit {
    pub(crate) fields: CommitFields,
    /// What makes it this commit and no other; where it stands for others, that of the last of them.
    pub(crate) check: [u8; 16],
    /// Its frames, and those before it that lost their own commit record to damage.
    pub(crate) frames: Vec<FrameAt>,
    /// Whether exactly the frames that it names are there.
    pub(crate) whole: bool,
    /// Where its frame ends.
    pub(crate) end: u64,
    /// Whether the pack ends with it.
    pub(crate) seals: bool,
}

/// What a walk comes by.
#[derive(Debug)]
pub(crate) enum Event {
    Commit(FoundCommit),
    /// Bytes that are no frame, with frames or the claimed end behind them.
    Damage {
        bytes: Range<u64>,
        what: String,
    },
    /// The end. `frames` are covered by no commit; `torn` says whether bytes follow that are no frame.
    End {
        frames: Vec<FrameAt>,
        last_frame_end: u64,
        torn: bool,
    },
}

impl CommitFields {
    /// Of these frames, in order, those that this commit names.
    pub(crate) fn own<'f>(&self, frames: &'f [FrameAt]) -> &'f [FrameAt] {
        &frames[frames.partition_point(|frame| frame.offset < self.first_offset)..]
    }
}

/// A walk over one pack.
pub(crate) struct Walk<'p> {
    pack: &'p PackReader,
    position: u64,
    limit: u64,
    frames: Vec<FrameAt>,
    finished: bool,
    /// The first place since the last commit that the medium did not give.
    unreadable: Cell<Option<u64>>,
}

impl<'p> Walk<'p> {
    /// From `start`, where a commit has ended or the first frame begins, to `limit`.
    pub(crate) fn new(pack: &'p PackReader, start: u64, limit: u64) -> Self {
        Self {
            pack,
            position: start,
            limit,
            frames: Vec::new(),
            finished: false,
            unreadable: Cell::new(None),
        }
    }

    /// What comes next; `None` after the end. Errors are those of reading, for which the caller stops.
    pub(crate) fn next(&mut self) -> io::Result<Option<Event>> {
        while !self.finished {
            match self.frame_here()? {
                Some(frame) => {
                    let end = frame.offset + frame.header.frame_length();
                    self.position = end;
                    if frame.header.kind != Kind::Commit {
                        self.frames.push(frame);
                        continue;
                    }
                    return self.commit(&frame, end).map(Some);
                }
                None => return self.search().map(Some),
            }
        }
        Ok(None)
    }

    /// Where the medium failed behind the last commit that was told, if it did.
    pub(crate) fn unreadable(&self) -> Option<u64> {
        self.unreadable.get()
    }

    fn note_unreadable(&self, offset: u64) {
        if self.unreadable.get().is_none() {
            self.unreadable.set(Some(offset));
        }
    }

    /// The frame that begins here and ends within the limit.
    fn frame_here(&self) -> io::Result<Option<FrameAt>> {
        self.frame_at(self.position)
    }

    fn frame_at(&self, offset: u64) -> io::Result<Option<FrameAt>> {
        if offset.checked_add(HEADER_BYTES as u64).is_none_or(|end| end > self.limit) {
            return Ok(None);
        }
        match self.pack.header(offset) {
            Ok(header) => {
                let within = offset.checked_add(header.frame_length()).is_some_and(|end| end <= self.limit);
                Ok(within.then_some(FrameAt { offset, header }))
            }
            Err(Fault::Io(error)) if is_medium_error(&error) => {
                self.note_unreadable(offset);
                Ok(None)
            }
            Err(Fault::Io(error)) => Err(error),
            Err(_) => Ok(None),
        }
    }

    fn commit(&mut self, frame: &FrameAt, end: u64) -> io::Result<Event> {
        let fields = match self.pack.meta(&frame.header, frame.offset) {
            Ok(meta) => CommitFields::decode(&meta).map_err(Fault::Content),
            Err(fault) => Err(fault),
        };
        let fields = match fields {
            Ok(fields) => fields,
            // Its frames stay: the next commit shows that they count.
            Err(Fault::Io(error)) if !is_medium_error(&error) => return Err(error),
            Err(fault) => {
                if matches!(fault, Fault::Io(_)) {
                    self.note_unreadable(frame.offset);
                }
                let what = format!("commit record: {fault}");
                return Ok(Event::Damage { bytes: frame.bytes(), what });
            }
        };
        self.unreadable.set(None);
        let frames = std::mem::take(&mut self.frames);
        let whole = self.names_exactly(&fields, &frames);
        let seals = frames.iter().any(|frame| frame.header.kind == Kind::Seal);
        let check = fields.stands_for.map_or(frame.header.check, |others| others.check);
        Ok(Event::Commit(FoundCommit { fields, check, frames, whole, end, seals }))
    }

    /// C3: first offset, count and checksum of the commit's own frames agree. Frames before them have
    /// lost their commit record; that a later commit was written shows that they count.
    fn names_exactly(&self, fields: &CommitFields, frames: &[FrameAt]) -> bool {
        let own = fields.own(frames);
        let checks: Vec<&[u8]> = own.iter().map(|frame| &frame.header.check[..]).collect();
        own.first().is_none_or(|first| first.offset == fields.first_offset)
            && fields.frames == own.len() as u64
            && self.pack.key().checksum(&checks) == fields.frames_check
    }

    /// No frame begins here: the next one is searched for.
    fn search(&mut self) -> io::Result<Event> {
        let from = self.position;
        if let Some(next) = self.next_frame(from + 1)? {
            self.position = next;
            let what = "no frame can be read there".to_owned();
            return Ok(Event::Damage { bytes: from..next, what });
        }
        self.finished = true;
        let frames = std::mem::take(&mut self.frames);
        Ok(Event::End { frames, last_frame_end: from, torn: from < self.limit })
    }

    /// The first offset from `start` on at which a frame begins.
    fn next_frame(&self, start: u64) -> io::Result<Option<u64>> {
        let finder = memmem::Finder::new(&MAGIC);
        let mut base = start;
        let mut window = vec![0; SEARCH_BYTES];
        while base.saturating_add(HEADER_BYTES as u64) <= self.limit {
            let length = (self.limit - base).min(SEARCH_BYTES as u64);
            let bytes = &mut window[..usize::try_from(length).unwrap_or(SEARCH_BYTES)];
            if !self.read_window(bytes, base)? {
                return Ok(None);
            }
            for at in finder.find_iter(bytes) {
                let offset = base + at as u64;
                if self.frame_at(offset)?.is_some() {
                    return Ok(Some(offset));
                }
            }
            // A magic across the border of two windows is found in the second.
            base += length - (MAGIC.len() as u64 - 1).min(length - 1);
        }
        Ok(None)
    }

    /// Fills a window; sectors that the medium does not give are taken as zeros, so that what lies
    /// behind them is found (D9). `false` when the file has become shorter.
    fn read_window(&self, bytes: &mut [u8], base: u64) -> io::Result<bool> {
        match read_exact_at(&*self.pack.file, bytes, base) {
            Ok(read) => return Ok(read),
            Err(error) if is_medium_error(&error) => {}
            Err(error) => return Err(error),
        }
        for (number, sector) in bytes.chunks_mut(SECTOR_BYTES).enumerate() {
            match read_exact_at(&*self.pack.file, sector, base + (number * SECTOR_BYTES) as u64) {
                Ok(true) => {}
                Ok(false) => return Ok(false),
                Err(error) if is_medium_error(&error) => {
                    self.note_unreadable(base + (number * SECTOR_BYTES) as u64);
                    sector.fill(0);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// The unit in which a medium is tried when a larger read fails.
const SECTOR_BYTES: usize = 4096;
