//! The open pack: frames appended, the commit record, the sync, and the next pack.
//!
//! A commit is blocks, journal frames, a commit frame and one sync, all in one pack. When the pack
//! has grown past its size, the commit carries a seal and the next commit begins a new pack, whose
//! header says where this one ends. A pack is made with the first frame that needs one, so runs that
//! learn nothing write nothing.
//!
//! After a failed write or sync nothing more is tried on that file (D6). Unless the disk is full, a
//! successor is begun at once if that can be done: its header makes whatever lies behind the last
//! commit void, even if it can be read later.
//!
//! Invariant: commit n + 1 is written only after the sync of commit n has returned.

use std::path::PathBuf;
use std::sync::Arc;

use message::BlobName;
use message::recipe::Stream;

use super::ahead::SyncAhead;
use super::header::{PACK_HEADER_BYTES, PackHeader, Previous, file_name};
use crate::block::{Directory, DirectoryEntry, PlainBlock};
use crate::disk::{Access, Disk, DiskFile, write_all_at};
use crate::error::{Context as _, Error, Result};
use crate::frame::{Codec, CommitFields, FrameKey, HEADER_BYTES, Kind, NewFrame, NextNumbers};
use crate::ids::{ArchiveId, CommitId, PackId};
use crate::lock::OwnerMark;
use crate::surroundings::Surroundings;

/// A block is stored as it is unless compression saves at least one byte in so many: attachments are
/// nearly all compressed already, and what is stored as it is costs nothing to read.
const WORTHWHILE_SHARE: usize = 256;

/// zstd level at which blocks of attachments are tried first: thrice as fast as the usual one where there is
/// nothing to find, as in nearly all of them.
const TRIAL_LEVEL: i32 = -1;

/// A block of attachments is compressed at the usual level only if the trial saves at least one byte in so
/// many. Measured on mixed real mail, with 0.1 % more bytes, it takes half the time.
const PROMISING_SHARE: usize = 32;

/// Before the trial a sample of the block is compressed: so many bytes out of each [`SAMPLE_EVERY`]. Where that
/// is no smaller, the block is stored as it is.
const SAMPLE_BYTES: usize = 16 << 10;

/// See [`SAMPLE_BYTES`].
const SAMPLE_EVERY: usize = 128 << 10;

/// zstd level of journal frames: they are few and small, and read more often than written.
pub(crate) const JOURNAL_LEVEL: i32 = 9;

/// How packs are written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PackOptions {
    /// A pack larger than this is sealed with the commit that made it so.
    pub(crate) pack_bytes: u64,
    /// zstd level of blocks.
    pub(crate) level: i32,
}

/// Where writing goes on.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    pub(crate) last: CommitId,
    /// The last pack and how much of it counts.
    pub(crate) previous: Option<Previous>,
    /// Whether writing goes on in that pack, which then ends exactly there.
    pub(crate) resume: Option<Resume>,
    pub(crate) next_sequence: u64,
    /// Commits up to this number were acknowledged once; none of them is given again, even if `last` is
    /// below it (C11).
    pub(crate) acknowledged: u64,
}

/// The pack that is to be continued.
#[derive(Clone, Debug)]
pub(crate) struct Resume {
    pub(crate) name: Arc<str>,
    pub(crate) sequence: u64,
}

/// A block that has been written.
#[derive(Debug)]
pub(crate) struct StoredBlock {
    pub(crate) offset: u64,
    /// Of its directory as it is stored.
    pub(crate) directory_bytes: u64,
    /// Of its body as it is stored.
    pub(crate) body_bytes: u64,
    pub(crate) directory: Directory,
}

/// A commit that is durable.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) commit: CommitId,
    pub(crate) pack: PackId,
    pub(crate) name: Arc<str>,
    pub(crate) sequence: u64,
    /// Where the commit's frame ends.
    pub(crate) end: u64,
    pub(crate) sealed: bool,
    pub(crate) blocks: Vec<StoredBlock>,
}

/// Appends to the open pack.
pub(crate) struct PackWriter {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    archive: ArchiveId,
    surroundings: Arc<dyn Surroundings>,
    owner: OwnerMark,
    options: PackOptions,
    last: CommitId,
    previous: Option<Previous>,
    next_sequence: u64,
    acknowledged: u64,
    open: Option<OpenPack>,
    blocks: Vec<StoredBlock>,
    block_compressor: zstd::bulk::Compressor<'static>,
    trial_compressor: zstd::bulk::Compressor<'static>,
    journal_compressor: zstd::bulk::Compressor<'static>,
    scratch: Vec<u8>,
    sample: Vec<u8>,
}

struct OpenPack {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    name: Arc<str>,
    pack: PackId,
    sequence: u64,
    key: FrameKey,
    /// Up to here commits reach.
    committed: u64,
    end: u64,
    /// Header checksums of the frames since the last commit.
    checks: Vec<[u8; 16]>,
    /// Whether the folder does not yet durably name the file.
    unnamed: bool,
    ahead: SyncAhead,
}

impl std::fmt::Debug for PackWriter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PackWriter({}, after {})", self.dir.display(), self.last)
    }
}

/// D27: between splitter and here a blob has lain in memory; what memory has changed is not stored under
/// a checksum that says it is right.
fn refuse_changed_bytes(block: &PlainBlock) -> Result<()> {
    let changed = |blob: &&DirectoryEntry| BlobName::of(&block.body[blob.range()]) != blob.name;
    match block.directory.blobs.iter().find(changed) {
        Some(blob) => Err(Error::ChangedInMemory(blob.name)),
        None => Ok(()),
    }
}

/// Compresses a block's body; `false` where that is not worth it.
pub(crate) fn compress_block(
    compressor: &mut zstd::bulk::Compressor<'static>,
    body: &[u8],
    out: &mut Vec<u8>,
) -> bool {
    out.clear();
    out.reserve(zstd::zstd_safe::compress_bound(body.len()));
    let limit = body.len() - body.len() / WORTHWHILE_SHARE;
    compressor.compress_to_buffer(body, out).is_ok_and(|length| length < limit)
}

/// Writes a frame at a place; its check, and where it ends.
pub(crate) fn write_frame(
    file: &dyn DiskFile,
    frame: &NewFrame<'_>,
    offset: u64,
    key: &FrameKey,
) -> std::io::Result<([u8; 16], u64)> {
    let mut head = frame.header(offset, key).to_vec();
    let mut check = [0; 16];
    check.copy_from_slice(&head[HEADER_BYTES - 16..]);
    head.extend_from_slice(frame.meta);
    write_all_at(file, &head, offset)?;
    write_all_at(file, frame.body, offset + head.len() as u64)?;
    Ok((check, offset + head.len() as u64 + frame.body.len() as u64))
}

/// What a writer of packs is made from.
pub(crate) struct Workplace {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) archive: ArchiveId,
    pub(crate) surroundings: Arc<dyn Surroundings>,
    pub(crate) owner: OwnerMark,
}

impl PackWriter {
    pub(crate) fn new(workplace: Workplace, options: PackOptions, start: Start) -> Result<Self> {
        let Workplace { disk, dir, archive, surroundings, owner } = workplace;
        let compressor = |level| {
            zstd::bulk::Compressor::new(level)
                .map_err(std::io::Error::other)
                .doing("make a compressor for", &dir)
        };
        let (block_compressor, trial_compressor) = (compressor(options.level)?, compressor(TRIAL_LEVEL)?);
        let journal_compressor = compressor(JOURNAL_LEVEL)?;
        let mut writer = Self {
            disk,
            dir,
            archive,
            surroundings,
            owner,
            options,
            last: start.last,
            previous: start.previous,
            next_sequence: start.next_sequence,
            acknowledged: start.acknowledged,
            open: None,
            blocks: Vec::new(),
            block_compressor,
            trial_compressor,
            journal_compressor,
            scratch: Vec::new(),
            sample: Vec::new(),
        };
        if let (Some(resume), Some(previous)) = (start.resume, start.previous) {
            writer.open = Some(writer.resume(resume, previous)?);
        }
        Ok(writer)
    }

    fn resume(&self, resume: Resume, previous: Previous) -> Result<OpenPack> {
        let path = self.dir.join(&*resume.name);
        let file = self.disk.open(&path, Access::Write).doing("open", &path)?;
        Ok(OpenPack {
            file,
            path,
            name: resume.name,
            pack: previous.pack,
            sequence: resume.sequence,
            key: FrameKey::new(self.archive, previous.pack),
            committed: previous.length,
            end: previous.length,
            checks: Vec::new(),
            // A crash may have come between the sync of the file and that of the folder.
            unnamed: true,
            ahead: SyncAhead::new(previous.length),
        })
    }

    /// Compresses and appends a block.
    pub(crate) fn block(&mut self, block: PlainBlock) -> Result<()> {
        refuse_changed_bytes(&block)?;
        let meta = block.directory.encode();
        let compressed = self.compress(&block);
        let scratch = std::mem::take(&mut self.scratch);
        let (codec, body) = if compressed { (Codec::Zstd, &scratch) } else { (Codec::Stored, &block.body) };
        let plain_length = block.body.len() as u64;
        let offset = self.append(&NewFrame { kind: Kind::Block, codec, meta: &meta, body, plain_length })?;
        let (directory_bytes, body_bytes) = (meta.len() as u64, body.len() as u64);
        self.scratch = scratch;
        self.blocks.push(StoredBlock { offset, directory_bytes, body_bytes, directory: block.directory });
        Ok(())
    }

    /// Compresses a block into the scratch buffer; `false` where that is not worth it.
    fn compress(&mut self, block: &PlainBlock) -> bool {
        let (body, out) = (&block.body, &mut self.scratch);
        if block.directory.stream == Stream::Attachment {
            if body.len() > SAMPLE_EVERY {
                let pieces = body.chunks(SAMPLE_EVERY).map(|piece| &piece[..piece.len().min(SAMPLE_BYTES)]);
                self.sample.clear();
                pieces.for_each(|piece| self.sample.extend_from_slice(piece));
                if !compress_block(&mut self.trial_compressor, &self.sample, out) {
                    return false;
                }
            }
            let is_smaller = compress_block(&mut self.trial_compressor, body, out);
            if out.len() >= body.len() - body.len() / PROMISING_SHARE {
                return is_smaller;
            }
        }
        compress_block(&mut self.block_compressor, body, out)
    }

    /// Appends journal records; `keys` is the frame's directory.
    pub(crate) fn journal(&mut self, keys: &[u8], records: &[u8]) -> Result<()> {
        let compressed = self.journal_compressor.compress(records).unwrap_or_default();
        let smaller = !compressed.is_empty() && compressed.len() < records.len();
        let (codec, body) = if smaller { (Codec::Zstd, &*compressed) } else { (Codec::Stored, records) };
        let plain_length = records.len() as u64;
        self.append(&NewFrame { kind: Kind::Journal, codec, meta: keys, body, plain_length })?;
        Ok(())
    }

    /// Makes everything appended since the last commit durable. `None` when there is nothing. With `seal`
    /// the open pack ends with it, if there is one; else only when it has grown large.
    pub(crate) fn commit(&mut self, next: NextNumbers, seal: bool) -> Result<Option<Finished>> {
        let Some(open) = self.open.as_ref().filter(|open| seal || !open.checks.is_empty()) else {
            return Ok(None);
        };
        let sealed = seal || open.end > self.options.pack_bytes;
        if sealed {
            self.seal()?;
        }
        let before = self.last.number.max(self.acknowledged);
        let number = before.checked_add(1).ok_or(Error::NumbersUsedUp { what: "commit" })?;
        let open = self.open.as_mut().expect("an empty commit was sorted out above");
        let checks: Vec<&[u8]> = open.checks.iter().map(|check| &check[..]).collect();
        let fields = CommitFields {
            number,
            previous_check: self.last.check,
            first_offset: open.committed,
            frames: open.checks.len() as u64,
            frames_check: open.key.checksum(&checks),
            unix_ms: self.surroundings.unix_ms(),
            next,
            stands_for: None,
        };
        let meta = fields.encode();
        self.append(&NewFrame {
            kind: Kind::Commit,
            codec: Codec::Stored,
            meta: &meta,
            body: &[],
            plain_length: 0,
        })?;
        let open = self.open.as_mut().expect("a frame was just appended to it");
        open.ahead.finish(open.end).and_then(|()| open.file.sync()).doing("sync", &open.path)?;
        if open.unnamed {
            self.disk.sync_dir(&self.dir).doing("sync", &self.dir)?;
            open.unnamed = false;
        }
        let check = open.checks.pop().expect("the commit's own frame is the last");
        open.checks.clear();
        open.committed = open.end;
        self.last = CommitId { number, check };
        self.previous = Some(Previous { pack: open.pack, length: open.end });
        let finished = Finished {
            commit: self.last,
            pack: open.pack,
            name: open.name.clone(),
            sequence: open.sequence,
            end: open.end,
            sealed,
            blocks: std::mem::take(&mut self.blocks),
        };
        if sealed {
            self.open = None;
        }
        Ok(Some(finished))
    }

    fn seal(&mut self) -> Result<()> {
        let end = self.open.as_ref().map_or(0, |open| open.end);
        let seal = HEADER_BYTES as u64 + 8;
        let commit = HEADER_BYTES as u64 + CommitFields::BYTES;
        let meta = (end + seal + commit).to_le_bytes();
        let (kind, codec) = (Kind::Seal, Codec::Stored);
        self.append(&NewFrame { kind, codec, meta: &meta, body: &[], plain_length: 0 })?;
        Ok(())
    }

    /// Writes a frame at the end; where it begins. D17: on a disk that another machine writes to as well,
    /// where no lock keeps it away, nothing is written over what it has written.
    fn append(&mut self, frame: &NewFrame<'_>) -> Result<u64> {
        self.owner.check()?;
        if self.open.is_none() {
            self.begin_pack()?;
        }
        let open = self.open.as_mut().expect("one was just begun if there was none");
        if open.file.length().doing("measure", &open.path)? != open.end {
            // What a failed sync has lost, no other writer has taken.
            open.ahead.finish(open.end).doing("sync", &open.path)?;
            return Err(self.owner.changed());
        }
        let offset = open.end;
        let (check, end) =
            write_frame(&*open.file, frame, offset, &open.key).doing("write to", &open.path)?;
        open.end = end;
        open.checks.push(check);
        open.ahead.written(&open.file, open.end);
        Ok(offset)
    }

    fn begin_pack(&mut self) -> Result<()> {
        let random = self.surroundings.random().doing("draw an id for a pack in", &self.dir)?;
        let mut id = [0; 8];
        id.copy_from_slice(&random[..8]);
        let (pack, sequence) = (PackId(id), self.next_sequence);
        let header =
            PackHeader { archive: self.archive, pack, sequence, previous: self.previous, base: self.last };
        let name = file_name(sequence, pack);
        let path = self.dir.join(&name);
        // Counted up before the file is made: a name that failed is not tried again.
        self.next_sequence += 1;
        let file = self.disk.create(&path).doing("create", &path)?;
        write_all_at(&*file, &header.encode(), 0).doing("write to", &path)?;
        // `previous` stays: a pack counts for its successor only from its first commit on.
        let length = PACK_HEADER_BYTES as u64;
        self.open = Some(OpenPack {
            file,
            path,
            name: name.into(),
            pack,
            sequence,
            key: FrameKey::new(self.archive, pack),
            committed: length,
            end: length,
            checks: Vec::new(),
            unnamed: true,
            ahead: SyncAhead::new(0),
        });
        Ok(())
    }

    /// Leaves the open pack for good after `error`, and begins the one that makes its tail void.
    pub(crate) fn abandon(&mut self, error: &Error) {
        let Some(open) = self.open.take() else { return };
        // On a full disk nothing was written wrongly: the next writer cuts the tail and has its room.
        // Where another writer has taken over, nothing is written any more.
        let medium = matches!(error, Error::Io { .. }) && !error.is_full();
        if !medium || open.checks.is_empty() {
            return;
        }
        // What fails here was broken before. Without the successor the next writer judges the tail by
        // what can be read from the medium.
        let begun = self.begin_pack().and_then(|()| {
            let open = self.open.as_ref().ok_or(Error::Abandoned)?;
            open.file.sync().doing("sync", &open.path)?;
            self.disk.sync_dir(&self.dir).doing("sync", &self.dir)
        });
        drop(begun);
    }
}
