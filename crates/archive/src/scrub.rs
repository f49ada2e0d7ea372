//! One pack read to the last byte, and what is odd about it.
//!
//! A pack is proven when its header, every frame that counts and nothing between them is as it was
//! written, every blob in it has the content that it is named by, its journal can be read, and the
//! messages that this journal records can be put together. Each message has its record in a pack and
//! each of its blobs in one, so who proves all packs in turn has proven every message, as a full look does.
//!
//! A message may need blobs from all over the archive. To put such messages together costs no more than
//! so many blocks as the pack itself has, once again ([`FOREIGN_BLOCKS`] at least); what is beyond is
//! left to the packs in which those blobs lie.
//!
//! What was read lately the system still has in memory; it is made to forget that, for it is the medium
//! that is to be looked at, and afterwards again, so that others find their own there.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use rusqlite::Connection;

use crate::blocks::{BlockCache, Shelves};
use crate::catalogue::{self, damaged, query};
use crate::disk::is_medium_error;
use crate::error::{Context as _, Error, Result};
use crate::examine::{Examined, hit_of, inspect, tell_of_reading};
use crate::frame::Kind;
use crate::identity::Place;
use crate::ids::{BlobNumber, MessageNumber, PackId};
use crate::journal::codec::{self, JournalError};
use crate::journal::record::{MessageRecord, Record};
use crate::open::{discover, require_identity};
use crate::pack::files::PackFiles;
use crate::pack::header::PACK_HEADER_BYTES;
use crate::pack::reader::{Decoder, Fault, PackReader, decoder};
use crate::pack::standing::Known;
use crate::pack::walk::{Event, FrameAt, Walk};
use crate::verify::{VerifyProgress, Watch, going_on, live_catalogue};

/// Blocks of other packs that are read for the messages of a small pack.
const FOREIGN_BLOCKS: u64 = 64;

/// Messages taken from the catalogue at a time.
const PAGE: u32 = 1024;

/// The packs of an archive, oldest first, and how many bytes of each count; as the catalogue has it, else as
/// the folder has it. Takes no lock.
///
/// # Errors
/// When there is no archive, or the disk refuses.
pub fn packs(dir: &Path) -> Result<Vec<(PackId, u64)>> {
    packs_at(&Place::real(dir))
}

/// [`packs`] on any disk.
///
/// # Errors
/// As [`packs`].
pub fn packs_at(place: &Place) -> Result<Vec<(PackId, u64)>> {
    let id = require_identity(place)?;
    let known = live_catalogue(place, id)?.map(|(live, _)| query::packs(&live)).transpose();
    match known {
        Ok(Some(packs)) => Ok(packs),
        Err(error) if !catalogue::is_broken(&error) => Err(error),
        Ok(None) | Err(_) => {
            let files = discover(place, id, &Known::default())?;
            Ok(files.packs().iter().map(|file| (file.pack, file.length)).collect())
        }
    }
}

/// What reading a pack has shown.
#[derive(Debug)]
pub(crate) struct PackExamined {
    pub(crate) examined: Examined,
    /// Its frames, without those of commits.
    pub(crate) frames: u64,
    /// Whether header, frames and journal are as they were written, and the catalogue agrees.
    is_sound: bool,
}

impl PackExamined {
    /// Whether nothing at all is odd.
    pub(crate) fn is_whole(&self) -> bool {
        self.is_sound && self.examined.damage.is_empty() && self.examined.hits.is_empty()
    }
}

/// Reads a pack; `None` where it is not there, or not in the catalogue.
pub(crate) fn examine_pack(
    known: &Connection,
    files: &PackFiles,
    pack: PackId,
    watch: &mut Watch<'_>,
) -> Result<Option<PackExamined>> {
    let length = query::packs(known)?.into_iter().find(|(id, _)| *id == pack).map(|(_, length)| length);
    let (Some(length), Some(file)) = (length, files.find(pack)) else { return Ok(None) };
    let path = files.dir().join(&*file.name);
    let reader = match files.reader(pack) {
        Ok(reader) => reader,
        Err(Error::PackMissing { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    reader.file.forget_cached();
    let cache = BlockCache::inspecting();
    let shelves = Shelves { catalogue: known, files, cache: &cache };
    let mut so_far = VerifyProgress::default();
    let frames = frames_of(&reader, length, &mut || going_on(watch(so_far)));
    let frames = frames.doing("read", &path)??;
    let read = Journal::read(&shelves, &reader, &frames.found, &mut so_far, watch)?;
    let journal = read.doing("read", &path)?;
    let blocks = query::blocks_of_pack(known, pack)?;
    let is_block = |frame: &&FrameAt| frame.header.kind == Kind::Block;
    let as_known = frames.found.iter().filter(is_block).map(|frame| &frame.offset).eq(blocks.keys());
    let header = reader.pack_header().doing("read", &path)?;
    let is_sound = frames.are_sound
        && journal.is_sound
        && as_known
        && header.is_some_and(|header| header.pack == pack && header.archive == files.archive());

    let most_blocks = 2 * blocks.len() as u64 + FOREIGN_BLOCKS;
    let mut hits = BTreeMap::new();
    for &number in &journal.messages {
        let Some(row) = query::message_row(known, number)?.filter(|_| cache.opened() < most_blocks) else {
            continue;
        };
        hits.extend(hit_of(&shelves, &row, &mut so_far, watch)?.map(|reason| (number, reason)));
    }
    inspect(&shelves, blocks.into_values(), &mut so_far, watch)?;
    reader.file.forget_cached();
    let frames = frames.found.len() as u64;
    Ok(Some(PackExamined { examined: Examined::of(hits, cache, so_far), frames, is_sound }))
}

/// Reads a pack in which something is wrong. All messages that cannot be given back for that are found,
/// wherever they are recorded.
pub(crate) fn examine_damaged(
    known: &Connection,
    files: &PackFiles,
    pack: PackId,
    watch: &mut Watch<'_>,
) -> Result<Examined> {
    let mut examined = match examine_pack(known, files, pack, watch)? {
        Some(read) => read.examined,
        None => Examined::of(BTreeMap::new(), BlockCache::inspecting(), VerifyProgress::default()),
    };
    let mut spoilt: HashSet<BlobNumber> = HashSet::new();
    for (block, slot) in &examined.spoilt {
        spoilt.extend(damaged::blobs_of_block(known, *block, *slot)?);
    }
    let mut next = 1;
    loop {
        let page = query::messages_from(known, next, PAGE)?;
        let Some(last) = page.last() else { return Ok(examined) };
        next = last.number.0 + 1;
        going_on(watch(VerifyProgress::default()))?;
        for row in page {
            let (blobs, _) = query::decode_recipe(&row.recipe)?;
            for blob in blobs {
                let reason = if spoilt.contains(&blob) {
                    "a block that it needs is damaged".to_owned()
                } else if query::blob_place(known, blob)?.is_none() {
                    format!("no block holds blob {blob}")
                } else {
                    continue;
                };
                examined.hits.entry(row.number).or_insert(reason);
            }
        }
    }
}

/// The frames of a pack.
struct Frames {
    found: Vec<FrameAt>,
    /// Whether they are all that lies there, each in a commit that names it.
    are_sound: bool,
}

/// Walks over what counts of a pack, which ends with a commit.
fn frames_of(
    reader: &PackReader,
    length: u64,
    go_on: &mut dyn FnMut() -> Result<()>,
) -> std::io::Result<Result<Frames>> {
    let mut frames = Frames { found: Vec::new(), are_sound: true };
    let mut walk = Walk::new(reader, (PACK_HEADER_BYTES as u64).min(length), length);
    while let Some(event) = walk.next()? {
        if let Err(interrupted) = go_on() {
            return Ok(Err(interrupted));
        }
        match event {
            Event::Commit(commit) => {
                frames.are_sound &= commit.whole && commit.frames.len() as u64 == commit.fields.frames;
                frames.found.extend(commit.frames);
            }
            Event::Damage { .. } => frames.are_sound = false,
            Event::End { frames: rest, last_frame_end, torn } => {
                frames.are_sound &= rest.is_empty() && !torn && last_frame_end == length;
                frames.found.extend(rest);
            }
        }
    }
    Ok(Ok(frames))
}

/// What a pack's journal says, and its other frames that are no blocks.
struct Journal {
    /// The messages recorded in it.
    messages: Vec<MessageNumber>,
    is_sound: bool,
}

impl Journal {
    fn read(
        shelves: &Shelves<'_>,
        reader: &PackReader,
        frames: &[FrameAt],
        so_far: &mut VerifyProgress,
        watch: &mut Watch<'_>,
    ) -> Result<std::io::Result<Self>> {
        let mut journal = Self { messages: Vec::new(), is_sound: true };
        let mut decoder = decoder();
        for frame in frames.iter().filter(|frame| frame.header.kind != Kind::Block) {
            match journal.frame(shelves.catalogue, (reader, frame), &mut decoder) {
                Ok(()) => {}
                Err(Unread::Fault(Fault::Io(error))) if !is_medium_error(&error) => return Ok(Err(error)),
                Err(Unread::Fault(_)) => journal.is_sound = false,
                Err(Unread::Catalogue(error)) => return Err(error),
            }
            shelves.cache.add_read_bytes(frame.header.frame_length());
            going_on(tell_of_reading(shelves, so_far, watch))?;
        }
        // In the order in which their blocks lie, and each once.
        journal.messages.sort_unstable();
        journal.messages.dedup();
        Ok(Ok(journal))
    }

    fn frame(
        &mut self,
        known: &Connection,
        (reader, frame): (&PackReader, &FrameAt),
        decoder: &mut Decoder,
    ) -> Result<(), Unread> {
        if frame.header.kind != Kind::Journal {
            reader.meta(&frame.header, frame.offset)?;
            reader.stored_body(&frame.header, frame.offset)?;
            return Ok(());
        }
        let (keys, records) = reader.contents(&frame.header, frame.offset, decoder)?;
        let mut records = codec::Decoder::new(&keys, &records);
        loop {
            match records.next() {
                Ok(Some(Record::Message(record))) => self.message(known, &record)?,
                Ok(Some(_)) => {}
                Ok(None) => return Ok(()),
                Err(JournalError::Malformed(malformed)) => return Err(Fault::Content(malformed).into()),
                // The packs alone say whether this version may read them at all.
                Err(JournalError::UnknownRecord(_)) => {
                    self.is_sound = false;
                    return Ok(());
                }
            }
        }
    }

    fn message(&mut self, known: &Connection, record: &MessageRecord) -> Result<()> {
        let row = query::message_row(known, record.number)?;
        self.is_sound &= row.is_some_and(|row| row.key == record.key && row.size == record.size);
        self.messages.push(record.number);
        Ok(())
    }
}

/// Why a frame gave nothing.
enum Unread {
    Fault(Fault),
    Catalogue(Error),
}

impl From<Fault> for Unread {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<Error> for Unread {
    fn from(error: Error) -> Self {
        Self::Catalogue(error)
    }
}
