//! Blocks and their directories, kept for a while after they were read.
//!
//! Messages that came together lie together, so the block that one message needs is mostly the one
//! that the last message needed. Each stream has its own small store of open blocks, so that a large
//! attachment does not push out the headers and texts beside it. What is handed out shares the
//! block's memory; nothing is copied.
//!
//! A pull stores mail newest first in commands of about 4 MiB, so who reads a folder from its oldest
//! message on goes through them backwards: of a block in which two commands meet the second half is
//! wanted first, and the first half some 8 MiB later. Several folders may be read at once. What is kept
//! suffices for that, so that each block is opened about once.
//!
//! A block is checked when it is read, as it is stored and as its directory describes it. Whether the
//! blobs have the content that their names say is seen by whoever hashes the message, and by verify.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use message::BlobName;
use message::recipe::Stream;
use rusqlite::Connection;

use crate::block::{Directory, DirectoryEntry};
use crate::catalogue::query;
use crate::damage::{Damage, DamageKind};
use crate::error::{Error, Result};
use crate::frame::{FrameHeader, Kind};
use crate::ids::{BlobNumber, PackId};
use crate::pack::files::PackFiles;
use crate::pack::reader::{Decoder, Fault, PackReader, decoder};

/// Plain bytes of open blocks kept in each stream.
const KEPT_BLOCK_BYTES: usize = 24 << 20;

/// Entries of directories kept; each has some 50 bytes.
const KEPT_DIRECTORY_ENTRIES: usize = 200_000;

/// A block, decompressed.
#[derive(Debug)]
pub(crate) struct OpenBlock {
    pub(crate) directory: Arc<Directory>,
    pub(crate) body: Vec<u8>,
    /// Of its whole frame.
    stored_bytes: u64,
}

/// The bytes of one blob.
#[derive(Clone, Debug)]
pub(crate) struct BlobBytes {
    block: Arc<OpenBlock>,
    slot: usize,
}

impl BlobBytes {
    /// A blob of a block that is open.
    pub(crate) fn of(block: Arc<OpenBlock>, at: &BlobAt) -> Result<Self> {
        if block.directory.blobs.get(at.slot) != Some(&at.entry) {
            return Err(Error::CatalogueWrong { what: "a blob that is not where it should be" });
        }
        Ok(Self { block, slot: at.slot })
    }
}

impl AsRef<[u8]> for BlobBytes {
    fn as_ref(&self) -> &[u8] {
        self.block.directory.blobs.get(self.slot).map_or(&[], |blob| &self.block.body[blob.range()])
    }
}

/// Where a blob was found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlobAt {
    pub(crate) block: i64,
    pub(crate) slot: usize,
    pub(crate) stream: Stream,
    pub(crate) entry: DirectoryEntry,
    /// Bytes of the whole block when it is open.
    pub(crate) block_bytes: u64,
}

/// The stores, and the decompressor that fills them. One per reader.
pub(crate) struct BlockCache(RefCell<Kept>);

struct Kept {
    /// One store a stream.
    blocks: [Store<OpenBlock>; 3],
    directories: Store<Directory>,
    decoder: Decoder,
    /// Blocks that were read and decompressed to give bytes out.
    opened: u64,
    /// Bytes of frames as they are stored, of all that were read.
    read_bytes: u64,
    inspection: Option<Inspection>,
}

/// What an inspecting cache has found: each block that it read, with every blob hashed when it was first
/// read.
#[derive(Debug, Default)]
pub(crate) struct Inspection {
    pub(crate) seen: HashSet<i64>,
    pub(crate) blobs: u64,
    pub(crate) damage: Vec<Damage>,
    /// Blocks that cannot be used; with a slot, one blob of a block.
    pub(crate) spoilt: Vec<(i64, Option<usize>)>,
}

impl std::fmt::Debug for BlockCache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("BlockCache")
    }
}

impl Default for BlockCache {
    fn default() -> Self {
        let blocks = std::array::from_fn(|_| Store::new(KEPT_BLOCK_BYTES));
        let directories = Store::new(KEPT_DIRECTORY_ENTRIES);
        Self(RefCell::new(Kept {
            blocks,
            directories,
            decoder: decoder(),
            opened: 0,
            read_bytes: 0,
            inspection: None,
        }))
    }
}

impl BlockCache {
    /// A cache that hashes every blob of each block that it reads for the first time.
    pub(crate) fn inspecting() -> Self {
        let cache = Self::default();
        cache.0.borrow_mut().inspection = Some(Inspection::default());
        cache
    }

    /// How many blocks have been opened to give bytes out, each time counted.
    pub(crate) fn opened(&self) -> u64 {
        self.0.borrow().opened
    }

    /// Bytes of frames read from the packs, each time counted.
    pub(crate) fn read_bytes(&self) -> u64 {
        self.0.borrow().read_bytes
    }

    /// Counts what was read beside the blocks.
    pub(crate) fn add_read_bytes(&self, bytes: u64) {
        self.0.borrow_mut().read_bytes += bytes;
    }

    /// Whether this block has been read and hashed, or found damaged.
    pub(crate) fn has_inspected(&self, block: i64) -> bool {
        self.0.borrow().inspection.as_ref().is_some_and(|inspection| inspection.seen.contains(&block))
    }

    /// A block that is open, if it is kept.
    pub(crate) fn kept(&self, block: i64) -> Option<Arc<OpenBlock>> {
        self.0.borrow_mut().blocks.iter_mut().find_map(|store| store.get(block))
    }

    /// Notes what became of a block that was read, and keeps it.
    pub(crate) fn take_in(
        &self,
        block: i64,
        at: (&PackReader, u64),
        inspected: Inspected,
    ) -> Result<Arc<OpenBlock>> {
        self.note(block, at, &inspected);
        let open = Arc::new(inspected.read?);
        let store = open.directory.stream as usize - 1;
        self.0.borrow_mut().blocks[store].put(block, open.clone(), open.body.len());
        Ok(open)
    }

    /// Notes what became of a block that was read only to be looked at.
    pub(crate) fn note(&self, block: i64, at: (&PackReader, u64), inspected: &Inspected) {
        let mut kept = self.0.borrow_mut();
        kept.read_bytes += inspected.read.as_ref().map_or(0, |open| open.stored_bytes);
        if let Some(inspection) = &mut kept.inspection {
            inspection.note(block, inspected, at);
        }
    }

    /// What was found.
    pub(crate) fn into_inspection(self) -> Inspection {
        self.0.into_inner().inspection.unwrap_or_default()
    }
}

impl Inspection {
    /// Notes what became of a block that was read.
    fn note(&mut self, block: i64, inspected: &Inspected, (pack, offset): (&PackReader, u64)) {
        if !self.seen.insert(block) {
            return;
        }
        match &inspected.read {
            Ok(open) => {
                for &slot in &inspected.misnamed {
                    let what =
                        format!("blob {slot} of the block does not have the content that it is named by");
                    self.spoilt.push((block, Some(slot)));
                    self.damage.push(block_damage(pack, offset, what));
                }
                self.blobs += open.directory.blobs.len() as u64;
            }
            Err(error) => {
                let what = match error {
                    Error::PackDamaged { what, .. } => what.clone(),
                    error => error.to_string(),
                };
                self.spoilt.push((block, None));
                self.damage.push(block_damage(pack, offset, what));
            }
        }
    }
}

/// A block that was read, and those of its blobs that do not have the content that they are named by.
pub(crate) struct Inspected {
    read: Result<OpenBlock>,
    misnamed: Vec<usize>,
}

/// Reads a block and hashes all its blobs.
pub(crate) fn inspect_block(pack: &PackReader, offset: u64, decoder: &mut Decoder) -> Inspected {
    let read = read_block(pack, offset, decoder);
    let mut misnamed = Vec::new();
    if let Ok(open) = &read {
        let blobs = open.directory.blobs.iter().enumerate();
        let wrong = blobs.filter(|(_, blob)| BlobName::of(&open.body[blob.range()]) != blob.name);
        misnamed.extend(wrong.map(|(slot, _)| slot));
    }
    Inspected { read, misnamed }
}

fn block_damage(pack: &PackReader, offset: u64, what: String) -> Damage {
    // Where the header cannot be read either, the walk over the pack has said how many bytes are hit.
    let length = pack.header(offset).map_or(0, |header| header.frame_length());
    Damage { pack: pack.name.to_string(), offset, length, what, id: pack.pack, kind: DamageKind::Block }
}

/// What a lookup needs to look in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shelves<'a> {
    pub(crate) catalogue: &'a Connection,
    pub(crate) files: &'a PackFiles,
    pub(crate) cache: &'a BlockCache,
}

impl Shelves<'_> {
    /// Where a blob lies, and what its block's directory says of it.
    pub(crate) fn find(&self, blob: BlobNumber) -> Result<BlobAt> {
        let (block, slot) = query::blob_place(self.catalogue, blob)?.ok_or_else(|| lost(blob))?;
        let directory = self.directory(block)?;
        let entry = directory.blobs.get(slot).filter(|entry| entry.number == blob);
        let entry = entry.ok_or(Error::CatalogueWrong { what: "a blob that is not where it should be" })?;
        let block_bytes = directory.blobs.last().map_or(0, |last| last.range().end as u64);
        Ok(BlobAt { block, slot, stream: directory.stream, entry: *entry, block_bytes })
    }

    /// A blob's bytes.
    pub(crate) fn bytes(&self, at: &BlobAt) -> Result<BlobBytes> {
        BlobBytes::of(self.block(at.block, at.stream)?, at)
    }

    fn directory(&self, block: i64) -> Result<Arc<Directory>> {
        let mut kept = self.cache.0.borrow_mut();
        if let Some(directory) = kept.directories.get(block) {
            return Ok(directory);
        }
        let (pack, offset) = self.place(block)?;
        let header = block_header(&pack, offset)?;
        let meta = pack.meta(&header, offset).map_err(|fault| pack.damaged(offset, &fault))?;
        let directory = Directory::decode(&meta, header.plain_length);
        let directory = Arc::new(directory.map_err(|fault| pack.damaged(offset, &Fault::Content(fault)))?);
        kept.directories.put(block, directory.clone(), directory.blobs.len() + 1);
        Ok(directory)
    }

    /// Reads a block only to look at it; what is wrong with it is noted by an inspecting cache.
    pub(crate) fn inspect(&self, block: i64) -> Result<()> {
        let (pack, offset) = match self.place(block) {
            Ok(place) => place,
            // Told once, as a pack that is missing.
            Err(error) if error.is_damage() => return Ok(()),
            Err(error) => return Err(error),
        };
        let inspected = inspect_block(&pack, offset, &mut self.cache.0.borrow_mut().decoder);
        self.cache.note(block, (&pack, offset), &inspected);
        Ok(())
    }

    fn block(&self, block: i64, stream: Stream) -> Result<Arc<OpenBlock>> {
        let mut kept = self.cache.0.borrow_mut();
        if let Some(open) = kept.blocks[stream as usize - 1].get(block) {
            return Ok(open);
        }
        let (pack, offset) = self.place(block)?;
        kept.opened += 1;
        let is_new = kept.inspection.as_ref().is_some_and(|inspection| !inspection.seen.contains(&block));
        let inspected = match is_new {
            true => inspect_block(&pack, offset, &mut kept.decoder),
            false => Inspected { read: read_block(&pack, offset, &mut kept.decoder), misnamed: Vec::new() },
        };
        drop(kept);
        self.cache.take_in(block, (&pack, offset), inspected)
    }

    pub(crate) fn place(&self, block: i64) -> Result<(PackReader, u64)> {
        let place: Option<(PackId, u64)> = query::block_place(self.catalogue, block)?;
        let (pack, offset) = place.ok_or(Error::CatalogueWrong { what: "a block without its pack" })?;
        Ok((self.files.reader(pack)?, offset))
    }
}

/// The header of a block's frame.
fn block_header(pack: &PackReader, offset: u64) -> Result<FrameHeader> {
    let header = pack.header(offset).map_err(|fault| pack.damaged(offset, &fault))?;
    if header.kind != Kind::Block {
        return Err(Error::CatalogueWrong { what: "a block that is another frame" });
    }
    Ok(header)
}

/// Reads and checks a block.
fn read_block(pack: &PackReader, offset: u64, decoder: &mut Decoder) -> Result<OpenBlock> {
    let header = block_header(pack, offset)?;
    let read = pack.contents(&header, offset, decoder);
    let (meta, body) = read.map_err(|fault| pack.damaged(offset, &fault))?;
    let directory = Directory::decode(&meta, body.len() as u64);
    let directory = directory.map_err(|fault| pack.damaged(offset, &Fault::Content(fault)))?;
    Ok(OpenBlock { directory: Arc::new(directory), body, stored_bytes: header.frame_length() })
}

/// The error for a blob that no block holds.
fn lost(blob: BlobNumber) -> Error {
    Error::PackDamaged {
        pack: "a lost block".to_owned(),
        offset: 0,
        what: format!("no block holds blob {blob}"),
    }
}

/// Things by the number of their block; those that were used last are kept.
struct Store<T> {
    kept: HashMap<i64, Shelf<T>>,
    /// Each use in its order. One that was used again since stands here for nothing.
    uses: VecDeque<(i64, u64)>,
    /// How often anything was used.
    time: u64,
    weight: usize,
    limit: usize,
}

struct Shelf<T> {
    thing: Arc<T>,
    weight: usize,
    last_use: u64,
}

impl<T> Store<T> {
    fn new(limit: usize) -> Self {
        Self { kept: HashMap::new(), uses: VecDeque::new(), time: 0, weight: 0, limit }
    }

    fn get(&mut self, block: i64) -> Option<Arc<T>> {
        let shelf = self.kept.get_mut(&block)?;
        // Mostly it is the one that was used last.
        if shelf.last_use != self.time {
            self.time += 1;
            shelf.last_use = self.time;
            self.uses.push_back((block, self.time));
        }
        let thing = shelf.thing.clone();
        self.forget_old_uses();
        Some(thing)
    }

    /// Lets the oldest go until what is left weighs little enough; the newest always stays.
    fn put(&mut self, block: i64, thing: Arc<T>, weight: usize) {
        self.time += 1;
        let before = self.kept.insert(block, Shelf { thing, weight, last_use: self.time });
        self.uses.push_back((block, self.time));
        self.weight += weight;
        self.weight -= before.map_or(0, |before| before.weight);
        while self.weight > self.limit && self.kept.len() > 1 {
            let Some((oldest, at)) = self.uses.pop_front() else { return };
            if self.kept.get(&oldest).is_some_and(|shelf| shelf.last_use == at) {
                self.weight -= self.kept.remove(&oldest).map_or(0, |gone| gone.weight);
            }
        }
        self.forget_old_uses();
    }

    /// Uses that stand for nothing do not pile up.
    fn forget_old_uses(&mut self) {
        if self.uses.len() > 64 + 4 * self.kept.len() {
            let kept = &self.kept;
            self.uses.retain(|(block, at)| kept.get(block).is_some_and(|shelf| shelf.last_use == *at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_used_last_is_kept_and_the_newest_whatever_it_weighs() {
        let mut store = Store::new(10);
        for block in 1..=3 {
            store.put(block, Arc::new(block), 3);
        }
        assert_eq!(store.get(1).as_deref(), Some(&1));
        store.put(4, Arc::new(4), 3);
        assert_eq!((store.get(2), store.weight), (None, 9), "2 was used longest ago");
        store.put(1, Arc::new(7), 4);
        assert_eq!((store.get(1).as_deref(), store.weight), (Some(&7), 10));
        store.put(5, Arc::new(5), 100);
        assert_eq!((store.get(5).as_deref(), store.kept.len(), store.weight), (Some(&5), 1, 100));
        for turn in 0..10_000 {
            store.put(turn % 3, Arc::new(turn), 1);
            assert!(store.get(turn % 3).is_some() && store.uses.len() < 100);
        }
    }
}
