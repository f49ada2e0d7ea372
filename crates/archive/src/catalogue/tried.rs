//! Packs of which a compaction has made nothing smaller.
//!
//! Unlike all else in the catalogue this does not stand in the packs, and need not: whoever makes the
//! catalogue anew forgets it, and the next compaction tries once more.

use std::collections::HashMap;

use rusqlite::Connection;

use super::apply::sql;
use crate::error::Result;
use crate::ids::PackId;

/// Packs that were tried at this zstd level, or a higher one, with the bytes of the group that each was
/// tried in.
pub(crate) fn at_level(from: &Connection, level: i32) -> Result<HashMap<PackId, u64>> {
    let mut select = from.prepare_cached("SELECT pack, bytes FROM tried WHERE level >= ?1")?;
    let rows =
        select.query_map([level], |row| Ok((PackId(row.get(0)?), row.get::<_, i64>(1)?.cast_unsigned())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Takes note that a group of packs with so many bytes became no smaller at this level.
pub(crate) fn note(to: &Connection, packs: &[PackId], bytes: u64, level: i32) -> Result<()> {
    let mut insert = to.prepare_cached("INSERT OR REPLACE INTO tried VALUES (?1, ?2, ?3)")?;
    for pack in packs {
        insert.execute((pack.0, level, sql(bytes)))?;
    }
    Ok(())
}

/// Forgets a pack that is replaced.
pub(crate) fn forget(to: &Connection, pack: PackId) -> Result<()> {
    to.prepare_cached("DELETE FROM tried WHERE pack = ?1")?.execute([pack.0])?;
    Ok(())
}
