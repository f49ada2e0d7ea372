//! Everything read and hashed: which messages can be given back, and what of the packs is spoilt.
//!
//! Both `verify` and `repair` look this way. Messages are put together and compared with their keys in the
//! order of their numbers, which is about the order in which their blocks lie; blocks that no message needed
//! are read at the end. Where everything is read that is done by the lot, on all processors; a pack by
//! itself is read beside others' work, and so one thing after the other. Nothing found here ends it.

mod lot;

use std::collections::BTreeMap;
use std::io;
use std::ops::ControlFlow;

use rusqlite::Connection;

use self::lot::{Added, Lot};
use crate::blocks::{BlockCache, Shelves};
use crate::catalogue::query::{self, MessageRow};
use crate::damage::Damage;
use crate::error::{Error, Result};
use crate::ids::{AccountId, MessageNumber};
use crate::join::read_row;
use crate::pack::files::PackFiles;
use crate::verify::{VerifyProgress, Watch, going_on};

/// Messages and blocks taken from the catalogue at a time.
const PAGE: u32 = 1024;

/// Plain bytes of the blocks that are open for a lot, and of those that are looked at together.
const LOT_BYTES: u64 = 32 << 20;

/// What was found.
#[derive(Debug)]
pub(crate) struct Examined {
    /// Messages that cannot be given back, and why.
    pub(crate) hits: BTreeMap<MessageNumber, String>,
    /// Damage of blocks, known or not.
    pub(crate) damage: Vec<Damage>,
    /// Blocks that cannot be used; with a slot, one blob of a block.
    pub(crate) spoilt: Vec<(i64, Option<usize>)>,
    /// Blobs hashed.
    pub(crate) blobs: u64,
    /// Messages put together and hashed.
    pub(crate) messages: u64,
    /// Bytes of them.
    pub(crate) bytes: u64,
}

/// Reads all that the catalogue names; of messages, those of these accounts (all, if `None`).
pub(crate) fn examine(
    known: &Connection,
    files: &PackFiles,
    accounts: Option<&[AccountId]>,
    watch: &mut Watch<'_>,
) -> Result<Examined> {
    let cache = BlockCache::inspecting();
    let shelves = Shelves { catalogue: known, files, cache: &cache };
    let messages_total = query::totals(known, None)?.messages;
    let mut so_far = VerifyProgress { messages_total, ..VerifyProgress::default() };
    let (mut hits, mut next, mut lot) = (BTreeMap::new(), 1, Lot::default());
    let threads = files.threads();
    loop {
        let page = query::messages_from(known, next, PAGE)?;
        let Some(last) = page.last() else { break };
        next = last.number.0 + 1;
        for row in page {
            if !belongs(known, accounts, row.number)? {
                continue;
            }
            let hit = match lot.add(&shelves, &row)? {
                Added::Large => hit_of(&shelves, &row, &mut so_far, watch)?,
                added => {
                    so_far.messages += 1;
                    so_far.bytes += row.size;
                    added.hit()
                }
            };
            hits.extend(hit.map(|reason| (row.number, reason)));
            if lot.is_full() {
                hits.extend(lot.examine(&shelves, threads)?);
                going_on(tell_of_reading(&shelves, &mut so_far, watch))?;
            }
        }
        going_on(watch(so_far))?;
    }
    hits.extend(lot.examine(&shelves, threads)?);
    going_on(tell_of_reading(&shelves, &mut so_far, watch))?;
    inspect_the_rest(&shelves, threads, &mut so_far, watch)?;
    Ok(Examined::of(hits, cache, so_far))
}

impl Examined {
    pub(crate) fn of(
        hits: BTreeMap<MessageNumber, String>,
        cache: BlockCache,
        looked: VerifyProgress,
    ) -> Self {
        let inspection = cache.into_inspection();
        let (damage, spoilt, blobs) = (inspection.damage, inspection.spoilt, inspection.blobs);
        Self { hits, damage, spoilt, blobs, messages: looked.messages, bytes: looked.bytes }
    }
}

/// Puts a message together and hashes it: why it cannot be given back, if so. The watch is told with
/// each block that was read for it.
pub(crate) fn hit_of(
    shelves: &Shelves<'_>,
    row: &MessageRow,
    so_far: &mut VerifyProgress,
    watch: &mut Watch<'_>,
) -> Result<Option<String>> {
    let read = read_row(shelves, row, &mut |_| {
        going_on(tell_of_reading(shelves, so_far, watch)).map_err(io::Error::other)
    });
    let reason = match read {
        Err(Error::Output(_)) => return Err(Error::Interrupted),
        read => reason_of(read)?,
    };
    so_far.messages += 1;
    so_far.bytes += row.size;
    Ok(reason)
}

/// Why something cannot be given back, if so; errors that say nothing of it go on.
fn reason_of(read: Result<()>) -> Result<Option<String>> {
    match read {
        Ok(()) => Ok(None),
        Err(Error::Damaged { reason, .. }) => Ok(Some(reason)),
        Err(error) if error.is_damage() || matches!(error, Error::Io { .. }) => Ok(Some(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Tells the watch where more was read than it knows.
pub(crate) fn tell_of_reading(
    shelves: &Shelves<'_>,
    so_far: &mut VerifyProgress,
    watch: &mut Watch<'_>,
) -> ControlFlow<()> {
    let read_bytes = shelves.cache.read_bytes();
    if read_bytes == so_far.read_bytes {
        return ControlFlow::Continue(());
    }
    so_far.read_bytes = read_bytes;
    watch(*so_far)
}

/// Whether one of these accounts has or had a message.
pub(crate) fn belongs(
    known: &Connection,
    accounts: Option<&[AccountId]>,
    message: MessageNumber,
) -> Result<bool> {
    let Some(accounts) = accounts else { return Ok(true) };
    for account in accounts {
        if query::has_had(known, *account, message)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Blocks that no message needed: of other accounts, or of messages whose record is lost.
fn inspect_the_rest(
    shelves: &Shelves<'_>,
    threads: usize,
    so_far: &mut VerifyProgress,
    watch: &mut Watch<'_>,
) -> Result<()> {
    let (mut next, mut together, mut bytes) = (1, Vec::new(), 0);
    loop {
        let page = query::blocks_from(shelves.catalogue, next, PAGE)?;
        next = page.last().map_or(next, |&(last, _)| last + 1);
        let is_last = page.is_empty();
        for (block, plain_bytes) in page {
            if !shelves.cache.has_inspected(block) {
                together.push(block);
                bytes += plain_bytes;
            }
            if bytes >= LOT_BYTES {
                lot::inspect(shelves, &std::mem::take(&mut together), threads)?;
                bytes = 0;
                going_on(tell_of_reading(shelves, so_far, watch))?;
            }
        }
        if is_last {
            lot::inspect(shelves, &together, threads)?;
            return going_on(tell_of_reading(shelves, so_far, watch));
        }
    }
}

/// Reads those of these blocks that were not read yet.
pub(crate) fn inspect(
    shelves: &Shelves<'_>,
    blocks: impl IntoIterator<Item = i64>,
    so_far: &mut VerifyProgress,
    watch: &mut Watch<'_>,
) -> Result<()> {
    for block in blocks {
        if !shelves.cache.has_inspected(block) {
            shelves.inspect(block)?;
            going_on(tell_of_reading(shelves, so_far, watch))?;
        }
    }
    Ok(())
}
