//! Where the bytes are: blobs in blocks, blocks in packs.

use std::collections::{BTreeMap, HashSet};

use rusqlite::{Connection, OptionalExtension as _};

use crate::catalogue::apply::{prefix, sql};
use crate::error::Result;
use crate::ids::{BlobNumber, PackId};

/// The numbers of blocks from `start` on, at most `limit`, and how many bytes each has when it is open.
pub(crate) fn blocks_from(from: &Connection, start: i64, limit: u32) -> Result<Vec<(i64, u64)>> {
    let mut select =
        from.prepare_cached("SELECT number, plain FROM blocks WHERE number >= ?1 ORDER BY number LIMIT ?2")?;
    let rows =
        select.query_map((start, limit), |row| Ok((row.get(0)?, row.get::<_, i64>(1)?.cast_unsigned())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The blocks of a pack: where each begins, and its number.
pub(crate) fn blocks_of_pack(from: &Connection, pack: PackId) -> Result<BTreeMap<u64, i64>> {
    let mut select = from.prepare_cached(
        "SELECT b.start, b.number FROM blocks b JOIN packs p ON p.number = b.pack WHERE p.id = ?1",
    )?;
    let rows = select
        .query_map([pack.0], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Where a blob lies: block and slot.
pub(crate) fn blob_place(from: &Connection, blob: BlobNumber) -> Result<Option<(i64, usize)>> {
    let mut select = from.prepare_cached("SELECT block, slot FROM blobs WHERE number = ?1")?;
    let found = select.query_row([sql(blob.0)], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).optional()?;
    Ok(found.and_then(|(block, slot)| Some((block, usize::try_from(slot).ok()?))))
}

/// Where a block lies: pack and offset.
pub(crate) fn block_place(from: &Connection, block: i64) -> Result<Option<(PackId, u64)>> {
    let mut select = from.prepare_cached(
        "SELECT p.id, b.start FROM blocks b JOIN packs p ON p.number = b.pack WHERE b.number = ?1",
    )?;
    let found = select.query_row([block], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?))).optional()?;
    Ok(found.map(|(pack, start)| (PackId(pack), start.cast_unsigned())))
}

/// Blobs whose names begin with the same bytes; those that are lost are left out.
pub(crate) fn blobs_like(from: &Connection, name: &[u8; 32]) -> Result<Vec<BlobNumber>> {
    let mut select = from.prepare_cached(
        "SELECT blob FROM blob_names WHERE prefix = ?1 AND blob NOT IN (SELECT number FROM lost_blobs)",
    )?;
    let rows =
        select.query_map([prefix(name)], |row| Ok(BlobNumber(row.get::<_, i64>(0)?.cast_unsigned())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// How many blobs are in the packs and not among these.
pub(crate) fn count_blobs_without(from: &Connection, named: &HashSet<BlobNumber>) -> Result<u64> {
    let mut select = from.prepare_cached("SELECT number FROM blobs")?;
    let mut rows = select.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += u64::from(!named.contains(&BlobNumber(row.get::<_, i64>(0)?.cast_unsigned())));
    }
    Ok(count)
}

/// Count and plain bytes of all blobs.
pub(crate) fn blob_sums(from: &Connection) -> Result<(u64, u64)> {
    let mut select = from.prepare_cached("SELECT blobs, blob_bytes FROM state")?;
    Ok(select.query_row([], |row| {
        Ok((row.get::<_, i64>(0)?.cast_unsigned(), row.get::<_, i64>(1)?.cast_unsigned()))
    })?)
}

/// The packs that the catalogue knows, with the length up to which their commits reach.
pub(crate) fn packs(from: &Connection) -> Result<Vec<(PackId, u64)>> {
    let mut select = from.prepare_cached("SELECT id, length FROM packs ORDER BY number")?;
    let rows =
        select.query_map([], |row| Ok((PackId(row.get(0)?), row.get::<_, i64>(1)?.cast_unsigned())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether the index of packs has one of this id: a flipped bit in their table makes a pack that never was.
pub(crate) fn has_pack(from: &Connection, pack: PackId) -> Result<bool> {
    let mut select =
        from.prepare_cached("SELECT 1 FROM packs INDEXED BY sqlite_autoindex_packs_1 WHERE id = ?1")?;
    Ok(select.exists([pack.0])?)
}

/// Whether the catalogue knows a pack as sealed.
pub(crate) fn is_sealed(from: &Connection, pack: PackId) -> Result<bool> {
    let mut select = from.prepare_cached("SELECT sealed FROM packs WHERE id = ?1")?;
    Ok(select.query_row([pack.0], |row| row.get(0)).optional()?.unwrap_or(false))
}
