//! Messages examined together: their blocks are opened on as many threads as the disk serves, then the
//! messages are put together and hashed in the same way.
//!
//! A lot is as large as its blocks are when they are open, so memory is bounded whatever the archive
//! weighs. What is found is noted in the order of messages and blocks, so it does not depend on which
//! thread was the quickest.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use message::MessageKey;
use message::recipe::Recipe;

use super::{LOT_BYTES, reason_of};
use crate::blocks::{BlobAt, BlobBytes, Inspected, OpenBlock, Shelves, inspect_block};
use crate::catalogue::query::MessageRow;
use crate::error::{Error, Result};
use crate::ids::MessageNumber;
use crate::join::{join_in_memory, recipe_of};
use crate::pack::reader::{PackReader, decoder};
use crate::parallel;

/// A larger message is not put together in memory, nor are all its blocks open at a time.
const LARGE_BYTES: u64 = LOT_BYTES / 2;

/// Messages in a lot: without a bound, many that share a block would pile up.
const LOT_MESSAGES: usize = 4_096;

/// What is to be examined next.
#[derive(Default)]
pub(super) struct Lot {
    messages: Vec<Planned>,
    /// Plain bytes of the blocks that they need.
    blocks: BTreeMap<i64, u64>,
    bytes: u64,
}

/// A message, and where its blobs lie.
struct Planned {
    number: MessageNumber,
    key: MessageKey,
    recipe: Recipe,
    places: Vec<BlobAt>,
}

/// What became of a message that was to be added.
pub(super) enum Added {
    Yes,
    /// It cannot be put together, for this reason.
    Hit(String),
    /// It is to be examined by itself.
    Large,
}

impl Added {
    /// Why the message cannot be put together, if so.
    pub(super) fn hit(self) -> Option<String> {
        match self {
            Self::Hit(reason) => Some(reason),
            Self::Yes | Self::Large => None,
        }
    }
}

impl Lot {
    /// Adds a message.
    pub(super) fn add(&mut self, shelves: &Shelves<'_>, row: &MessageRow) -> Result<Added> {
        if row.size > LARGE_BYTES {
            return Ok(Added::Large);
        }
        let (recipe, places) = match recipe_of(shelves, row) {
            Ok(found) => found,
            Err(error) => return Ok(reason_of(Err(error))?.map_or(Added::Yes, Added::Hit)),
        };
        for place in &places {
            if let Entry::Vacant(block) = self.blocks.entry(place.block) {
                self.bytes += *block.insert(place.block_bytes);
            }
        }
        self.messages.push(Planned { number: row.number, key: row.key, recipe, places });
        Ok(Added::Yes)
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= LOT_BYTES || self.messages.len() >= LOT_MESSAGES
    }

    /// Examines what was added, and is empty again: messages that cannot be given back, and why.
    pub(super) fn examine(
        &mut self,
        shelves: &Shelves<'_>,
        threads: usize,
    ) -> Result<Vec<(MessageNumber, String)>> {
        let Self { messages, blocks, .. } = std::mem::take(self);
        let opened = open(shelves, blocks.into_keys(), threads)?;
        let results =
            parallel::map(threads, &messages, Vec::new, |buffer, message| message.read(&opened, buffer));
        let mut hits = Vec::new();
        for (message, read) in messages.iter().zip(results) {
            hits.extend(reason_of(read)?.map(|reason| (message.number, reason)));
        }
        Ok(hits)
    }
}

/// Blocks that are open, or why they are not.
type Opened = HashMap<i64, std::result::Result<Arc<OpenBlock>, String>>;

/// Opens blocks, those that are kept already excepted, and notes what is wrong with them.
fn open(shelves: &Shelves<'_>, blocks: impl Iterator<Item = i64>, threads: usize) -> Result<Opened> {
    let (mut opened, mut closed) = (Opened::new(), Vec::new());
    for block in blocks {
        match shelves.cache.kept(block) {
            Some(kept) => _ = opened.insert(block, Ok(kept)),
            None => match shelves.place(block) {
                Ok((pack, offset)) => closed.push((block, pack, offset)),
                Err(error) => _ = opened.insert(block, Err(reason_of(Err(error))?.unwrap_or_default())),
            },
        }
    }
    for ((block, pack, offset), inspected) in closed.iter().zip(read(&closed, threads)) {
        let open = match shelves.cache.take_in(*block, (pack, *offset), inspected) {
            Ok(open) => Ok(open),
            Err(error) => Err(reason_of(Err(error))?.unwrap_or_default()),
        };
        opened.insert(*block, open);
    }
    Ok(opened)
}

/// Reads blocks only to look at them.
pub(super) fn inspect(shelves: &Shelves<'_>, blocks: &[i64], threads: usize) -> Result<()> {
    let mut there = Vec::new();
    for &block in blocks {
        match shelves.place(block) {
            Ok((pack, offset)) => there.push((block, pack, offset)),
            // Told once, as a pack that is missing.
            Err(error) if error.is_damage() => {}
            Err(error) => return Err(error),
        }
    }
    for ((block, pack, offset), inspected) in there.iter().zip(read(&there, threads)) {
        shelves.cache.note(*block, (pack, *offset), &inspected);
    }
    Ok(())
}

fn read(blocks: &[(i64, PackReader, u64)], threads: usize) -> Vec<Inspected> {
    parallel::map(threads, blocks, decoder, |decoder, (_, pack, offset)| {
        inspect_block(pack, *offset, decoder)
    })
}

impl Planned {
    /// Puts the message together in `buffer` and hashes it.
    fn read(&self, opened: &Opened, buffer: &mut Vec<u8>) -> Result<()> {
        let blob = |index: u32| {
            let at = &self.places[index as usize];
            let block = opened.get(&at.block);
            let block = block.ok_or(Error::CatalogueWrong { what: "a block that was not opened" })?;
            match block {
                Ok(block) => BlobBytes::of(block.clone(), at),
                Err(reason) => Err(Error::Damaged { message: self.key, reason: reason.clone() }),
            }
        };
        join_in_memory(self.key, &self.recipe, blob, buffer)
    }
}
