//! Packs that were replaced by others, and how a compacted pack takes their place.
//!
//! A blob keeps its number and a record says the same wherever it stands, so nothing changes but where things
//! lie: the pack, its blocks, and in which block each blob is. What is written here is what a catalogue says
//! that is made from the packs anew.

use std::collections::HashMap;

use rusqlite::{Connection, params};

use super::apply::{put_block, sql};
use super::tried;
use crate::error::{Error, Result};
use crate::ids::PackId;
use crate::pack::replaces::Replaces;
use crate::pack::writer::StoredBlock;

/// Stands for the pack of a block that is about to go.
const GOING: i64 = -1;

/// All packs that were replaced, and what stands in their place.
pub(crate) fn all(from: &Connection) -> Result<HashMap<PackId, PackId>> {
    let mut select = from.prepare_cached("SELECT pack, stand_in FROM retired")?;
    let rows = select.query_map([], |row| Ok((PackId(row.get(0)?), PackId(row.get(1)?))))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Takes note of what a compacted pack replaces.
pub(crate) fn note(to: &Connection, pack: PackId, replaces: &Replaces) -> Result<()> {
    let mut insert = to.prepare_cached("INSERT OR REPLACE INTO retired VALUES (?1, ?2)")?;
    for retired in replaces.all() {
        insert.execute((retired.pack.0, pack.0))?;
    }
    Ok(())
}

/// The numbers of the packs that one was made from, if they are known just as it says.
pub(crate) fn sources(from: &Connection, replaces: &Replaces) -> Result<Option<Vec<i64>>> {
    let mut select = from.prepare_cached("SELECT number, length FROM packs WHERE id = ?1")?;
    let mut numbers = Vec::new();
    for source in &replaces.sources {
        let mut rows = select.query([source.pack.0])?;
        match rows.next()? {
            Some(row) if row.get::<_, i64>(1)? == sql(source.length) => numbers.push(row.get(0)?),
            _ => return Ok(None),
        }
    }
    Ok(Some(numbers))
}

/// Puts a compacted pack in the place of its sources; `blocks` are its blocks as they lie in it. Within a
/// transaction of the caller.
pub(crate) fn take_place(
    to: &Connection,
    pack: PackId,
    replaces: &Replaces,
    blocks: &mut dyn Iterator<Item = Result<StoredBlock>>,
) -> Result<()> {
    let unknown = Error::CatalogueWrong { what: "it does not know what a compacted pack was made from" };
    let numbers = sources(to, replaces)?.ok_or(unknown)?;
    // Packs are listed by their numbers: it is listed where the first of them was.
    let number = numbers.first().copied().unwrap_or_default();
    for source in &numbers {
        to.prepare_cached("UPDATE blocks SET pack = ?2 WHERE pack = ?1")?.execute((source, GOING))?;
        to.prepare_cached("DELETE FROM packs WHERE number = ?1")?.execute([source])?;
    }
    to.prepare_cached("INSERT INTO packs (number, id, length, sealed) VALUES (?1, ?2, ?3, 1)")?
        .execute(params![number, pack.0, sql(replaces.length)])?;
    // Before the old ones go, so that no number is given again while somebody still reads by it.
    let mut moved = to.prepare_cached(
        "UPDATE blobs SET block = ?2, slot = ?3 WHERE number = ?1
           AND (SELECT pack FROM blocks WHERE blocks.number = blobs.block) = ?4",
    )?;
    for block in blocks {
        let stored = block?;
        let block = put_block(to, number, &stored)?;
        for (slot, blob) in stored.directory.blobs.iter().enumerate() {
            moved.execute((sql(blob.number.0), block, slot as i64, GOING))?;
        }
    }
    to.prepare_cached("DELETE FROM blocks WHERE pack = ?1")?.execute([GOING])?;
    for source in &replaces.sources {
        to.prepare_cached("UPDATE state SET pack = ?2, pack_end = ?3 WHERE pack = ?1")?.execute(params![
            source.pack.0,
            pack.0,
            sql(replaces.length)
        ])?;
        tried::forget(to, source.pack)?;
    }
    note(to, pack, replaces)
}
