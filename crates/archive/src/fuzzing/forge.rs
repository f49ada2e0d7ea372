//! Packs with right checksums and any content, made by instructions.
//!
//! An instruction is one byte, its lower half what to do, its upper half how:
//!
//! | do | what follows | what is done |
//! |---|---|---|
//! | 0–7 | flags, codec (1 byte each), length of the directory, length of the body (2 bytes each), then they | a frame of this kind. How 1: the body is compressed by us. How 2: four more bytes are the length it claims to have when decoded. How 4: the directory is made to suit the body, cut in blobs of as many bytes as the given directory's bytes say |
//! | 8 | nothing | a commit of the frames since the last. How 1: a byte is added to its number. How 2: 32 bytes are its next numbers. How 4: a seal before it |
//! | 9 | 1 byte | the next pack; the byte is added to what it says of its predecessor's length. How 1: it names no predecessor |
//! | 10 | 1 byte | so many zeros |
//! | 11 | 1 byte, length of a journal (2 bytes), then that | a compacted pack in the place of so many packs before it, with this journal, the packs themselves left where they are. How 1: it is a byte longer than it says. How 2: it also names a pack that nobody has. How 4: it does not say for which commit it stands |
//! | others | nothing | nothing |
//!
//! Frames that are left at the end are committed.

use std::path::Path;

use message::BlobName;
use message::recipe::Stream;

use super::{ARCHIVE, PACK};
use crate::block::{Directory, DirectoryEntry};
use crate::disk::Disk as _;
use crate::disk::simulated::SimulatedDisk;
use crate::frame::{Codec, CommitFields, FrameKey, Kind, NewFrame, NextNumbers, StandsFor, limit};
use crate::ids::{BlobNumber, CommitId, PackId};
use crate::pack::header::{PACK_HEADER_BYTES, PackHeader, Previous, file_name};
use crate::pack::replaces::{Replaces, Retired};

/// Packs of one input.
const MOST_PACKS: u8 = 8;

/// An archive's folder without packs.
pub(super) fn folder() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    for dir in ["/archive", "/archive/packs"] {
        disk.create_dir(Path::new(dir)).expect("a new disk has no folders");
    }
    for file in ["/archive/lock", "/archive/owner"] {
        disk.write(Path::new(file), b"");
    }
    disk.write(Path::new("/archive/archive.toml"), format!("format = 1\nid = \"{ARCHIVE}\"\n").as_bytes());
    disk
}

/// The archive that these instructions make.
pub(super) fn archive(instructions: &[u8]) -> SimulatedDisk {
    let mut forge = Forge::new();
    let mut rest = instructions;
    while !rest.is_empty() {
        if forge.follow(&mut rest).is_none() {
            break;
        }
    }
    if !forge.checks.is_empty() {
        forge.commit(0, None, false);
    }
    forge.close();
    forge.disk
}

/// A pack in the making.
struct Forge {
    disk: SimulatedDisk,
    header: PackHeader,
    key: FrameKey,
    bytes: Vec<u8>,
    /// Of the frames since the last commit.
    checks: Vec<[u8; 16]>,
    first_offset: u64,
    last: CommitId,
    next_blob: u64,
    /// The packs that are finished, each with its length and its last commit.
    finished: Vec<(PackHeader, u64, CommitId)>,
}

impl Forge {
    fn new() -> Self {
        let header =
            PackHeader { archive: ARCHIVE, pack: PACK, sequence: 1, previous: None, base: CommitId::NONE };
        Self::begin(folder(), header)
    }

    fn begin(disk: SimulatedDisk, header: PackHeader) -> Self {
        let bytes = header.encode().to_vec();
        Self {
            disk,
            key: FrameKey::new(ARCHIVE, header.pack),
            first_offset: bytes.len() as u64,
            checks: Vec::new(),
            last: header.base,
            next_blob: 1,
            finished: Vec::new(),
            bytes,
            header,
        }
    }

    fn close(&self) {
        let name = file_name(self.header.sequence, self.header.pack);
        self.disk.write(&Path::new("/archive/packs").join(name), &self.bytes);
    }

    /// Takes one instruction; `None` at the end.
    fn follow(&mut self, from: &mut &[u8]) -> Option<()> {
        let [instruction] = take(from)?;
        let how = instruction >> 4;
        match instruction & 15 {
            kind @ 0..=7 => self.frame_as_told(kind, how, from),
            8 => {
                let added = if how & 1 == 1 { u64::from(take::<1>(from)?[0]) } else { 0 };
                let next = if how & 2 == 2 { Some(take::<32>(from)?) } else { None };
                self.commit(added, next, how & 4 == 4);
                Some(())
            }
            9 => {
                let [added] = take(from)?;
                self.next_pack(added, how & 1 == 0);
                Some(())
            }
            10 => {
                let [zeros] = take(from)?;
                self.bytes.resize(self.bytes.len() + usize::from(zeros), 0);
                Some(())
            }
            11 => {
                let [count] = take(from)?;
                let length = u16::from_le_bytes(take(from)?);
                let journal = take_up_to(from, length.into()).to_vec();
                self.compacted(usize::from(count), how, &journal);
                Some(())
            }
            _ => Some(()),
        }
    }

    /// A compacted pack, and behind it the next one.
    fn compacted(&mut self, count: usize, how: u8, journal: &[u8]) {
        if !self.checks.is_empty() {
            self.commit(0, None, true);
        }
        if !self.next_pack(0, true) {
            return;
        }
        let from = self.finished.len().saturating_sub(count.max(1));
        let of = |(header, length, _): &(PackHeader, u64, CommitId)| Retired {
            pack: header.pack,
            sequence: header.sequence,
            length: *length,
        };
        let sources: Vec<Retired> = self.finished[from..].iter().map(of).collect();
        let nobody = Retired { pack: PackId([0xdd; 8]), sequence: 1, length: 1 };
        let before = if how & 2 == 2 { vec![nobody] } else { Vec::new() };
        let (first, last) = (&self.finished[from].0, self.last);
        let first_commit = (first.base.number + 1).min(last.number.max(1));
        let mut replaces = Replaces { length: 0, first_commit, last, unix_ms: 0, level: 1, sources, before };
        self.header =
            PackHeader { sequence: self.header.sequence - 1, pack: self.header.pack, ..first.clone() };
        self.bytes = self.header.encode().to_vec();
        let journal_bytes = 80 + journal.len() as u64;
        let end = self.bytes.len() as u64 + replaces.frame_bytes() + journal_bytes + 88;
        replaces.length = end + 80 + CommitFields::BYTES_STANDING - u64::from(how & 1);
        self.frame((5, 0, 0), &replaces.encode(), &[], 0);
        self.frame((2, 0, 0), &[], journal, journal.len() as u64);
        self.frame((4, 0, 0), &replaces.length.to_le_bytes(), &[], 0);
        let checks: Vec<&[u8]> = self.checks.iter().map(|check| &check[..]).collect();
        let stands_for = StandsFor { first: first_commit, check: last.check };
        let fields = CommitFields {
            number: last.number,
            previous_check: self.header.base.check,
            first_offset: PACK_HEADER_BYTES as u64,
            frames: self.checks.len() as u64,
            frames_check: self.key.checksum(&checks),
            unix_ms: 0,
            next: NextNumbers { blob: self.next_blob, ..NextNumbers::default() },
            stands_for: (how & 4 == 0).then_some(stands_for),
        };
        self.frame((3, 0, 0), &fields.encode(), &[], 0);
        self.checks.clear();
        self.next_pack(0, true);
    }

    fn frame_as_told(&mut self, kind: u8, how: u8, from: &mut &[u8]) -> Option<()> {
        let [flags, codec] = take(from)?;
        let (meta_length, body_length) = (u16::from_le_bytes(take(from)?), u16::from_le_bytes(take(from)?));
        let claimed = if how & 2 == 2 { Some(u32::from_le_bytes(take(from)?)) } else { None };
        let mut meta = take_up_to(from, meta_length.into()).to_vec();
        let mut body = take_up_to(from, body_length.into()).to_vec();
        let mut plain_length = body.len() as u64;
        if how & 4 == 4 {
            meta = self.directory(&meta, &body);
        }
        let mut codec = codec;
        if how & 1 == 1 {
            body = zstd::bulk::compress(&body, 1).expect("any bytes can be compressed");
            codec = 1;
        }
        plain_length = claimed.map_or(plain_length, u64::from);
        self.frame((kind, flags, codec), &meta, &body, plain_length);
        Some(())
    }

    /// A directory for this body, whose blobs have the lengths that these bytes say, and the rest.
    fn directory(&mut self, lengths: &[u8], body: &[u8]) -> Vec<u8> {
        let mut blobs = Vec::new();
        let mut start = 0;
        let lengths = lengths.iter().map(|&length| usize::from(length)).chain([usize::MAX]);
        for length in lengths.take(limit::BLOBS_IN_BLOCK) {
            let end = body.len().min(start + length.min(body.len()));
            blobs.push(DirectoryEntry {
                number: BlobNumber(self.next_blob),
                name: BlobName::of(&body[start..end]),
                length: u32::try_from(end - start).unwrap_or(0),
                start: u32::try_from(start).unwrap_or(0),
            });
            self.next_blob += 1;
            start = end;
        }
        Directory { stream: Stream::Text, blobs }.encode()
    }

    fn frame(&mut self, (kind, flags, codec): (u8, u8, u8), meta: &[u8], body: &[u8], plain_length: u64) {
        let offset = self.bytes.len() as u64;
        let shape =
            NewFrame { kind: Kind::Other(kind), codec: Codec::Other(codec), meta, body, plain_length };
        let mut header = shape.header(offset, &self.key);
        header[5] = flags;
        let check = self.key.checksum(&[&header[..64], &offset.to_le_bytes()]);
        header[64..].copy_from_slice(&check);
        self.bytes.extend_from_slice(&header);
        self.bytes.extend_from_slice(meta);
        self.bytes.extend_from_slice(body);
        self.checks.push(check);
    }

    fn commit(&mut self, added: u64, next: Option<[u8; 32]>, seal: bool) {
        if seal {
            let commit_bytes = 80 + CommitFields::BYTES;
            let length = self.bytes.len() as u64 + 88 + commit_bytes;
            self.frame((4, 0, 0), &length.to_le_bytes(), &[], 0);
        }
        // A byte of 255 stands for the end of all numbers.
        let step = if added == 255 { u64::MAX } else { added + 1 };
        let checks: Vec<&[u8]> = self.checks.iter().map(|check| &check[..]).collect();
        let fields = CommitFields {
            number: self.last.number.saturating_add(step),
            previous_check: self.last.check,
            first_offset: self.first_offset,
            frames: self.checks.len() as u64,
            frames_check: self.key.checksum(&checks),
            unix_ms: 0,
            next: next.map_or(NextNumbers { blob: self.next_blob, ..NextNumbers::default() }, next_numbers),
            stands_for: None,
        };
        self.frame((3, 0, 0), &fields.encode(), &[], 0);
        let check = self.checks.pop().unwrap_or_default();
        self.last = CommitId { number: fields.number, check };
        self.checks.clear();
        self.first_offset = self.bytes.len() as u64;
    }

    /// Whether there is one more.
    fn next_pack(&mut self, added: u8, follows: bool) -> bool {
        let sequence = self.header.sequence + 1;
        let number = u8::try_from(self.finished.len() + 2).unwrap_or(u8::MAX);
        if number > MOST_PACKS {
            return false;
        }
        self.close();
        self.finished.push((self.header.clone(), self.bytes.len() as u64, self.last));
        let length = (self.bytes.len() as u64).wrapping_add_signed(i64::from(added.cast_signed()));
        let header = PackHeader {
            archive: ARCHIVE,
            pack: PackId([PACK.0[0] + number; 8]),
            sequence,
            previous: follows.then_some(Previous { pack: self.header.pack, length }),
            base: self.last,
        };
        let (next_blob, finished) = (self.next_blob, std::mem::take(&mut self.finished));
        *self = Self::begin(self.disk.clone(), header);
        (self.next_blob, self.finished) = (next_blob, finished);
        true
    }
}

fn next_numbers(bytes: [u8; 32]) -> NextNumbers {
    let number64 = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let number32 = |at: usize| bytes[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes));
    NextNumbers {
        blob: number64(0),
        message: number64(8),
        account: number32(16),
        mailbox: number32(20),
        epoch: number32(24),
        run: number32(28),
    }
}

fn take<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*taken)
}

fn take_up_to<'b>(from: &mut &'b [u8], length: usize) -> &'b [u8] {
    let (taken, rest) = from.split_at(length.min(from.len()));
    *from = rest;
    taken
}
