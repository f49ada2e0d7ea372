//! Everything read and hashed: which messages can be given back, and what of the packs is spoilt.
//!
//! Both `verify` and `repair` look this way. Messages are put together and compared with their keys in the
//! order of their numbers, which is about the order in which their blocks lie; blocks that no message needed
//! are read at the end. Nothing found here ends it.

use std::collections::BTreeMap;

use rusqlite::Connection;

use crate::blocks::{BlockCache, Shelves};
use crate::catalogue::query;
use crate::damage::Damage;
use crate::error::{Error, Result};
use crate::ids::{AccountId, MessageNumber};
use crate::pack::files::PackFiles;
use crate::verify::VerifyProgress;
use crate::view::read_row;

/// Messages and blocks taken from the catalogue at a time.
const PAGE: u32 = 1024;

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
    progress: &mut dyn FnMut(VerifyProgress),
) -> Result<Examined> {
    let cache = BlockCache::inspecting();
    let shelves = Shelves { catalogue: known, files, cache: &cache };
    let messages_total = query::totals(known, None)?.messages;
    let (mut hits, mut next, mut messages, mut bytes) = (BTreeMap::new(), 1, 0, 0);
    loop {
        let page = query::messages_from(known, next, PAGE)?;
        let Some(last) = page.last() else { break };
        next = last.number.0 + 1;
        for row in page {
            if !belongs(known, accounts, row.number)? {
                continue;
            }
            match read_row(&shelves, &row, &mut |_| Ok(())) {
                Ok(()) => {}
                Err(error) if error.is_damage() || matches!(error, Error::Io { .. }) => {
                    let reason = match error {
                        Error::Damaged { reason, .. } => reason,
                        other => other.to_string(),
                    };
                    hits.insert(row.number, reason);
                }
                Err(error) => return Err(error),
            }
            messages += 1;
            bytes += row.size;
        }
        progress(VerifyProgress { messages, messages_total, bytes });
    }
    inspect_the_rest(&shelves)?;
    let inspection = cache.into_inspection();
    let (damage, spoilt, blobs) = (inspection.damage, inspection.spoilt, inspection.blobs);
    Ok(Examined { hits, damage, spoilt, blobs, messages, bytes })
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
fn inspect_the_rest(shelves: &Shelves<'_>) -> Result<()> {
    let mut next = 1;
    loop {
        let page = query::blocks_from(shelves.catalogue, next, PAGE)?;
        let Some(&last) = page.last() else { return Ok(()) };
        next = last + 1;
        for block in page {
            if !shelves.cache.has_inspected(block) {
                shelves.inspect(block)?;
            }
        }
    }
}
