//! What messages of POP3 maildrops were known by when they got their UIDs.
//!
//! POP3 has no UIDs that last, so the archive gives them; a message that is listed again is known by the
//! name under which its UID was given. A row for UID 0, which is no UID, says that an epoch is a maildrop,
//! even while nothing has been given in it.
//!
//! The table knows nothing of placements, and nothing that is placed needs a name: damage that takes names
//! takes no message.

use message::{Uid, Uidl};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::apply::{place, places, sql, unplace};
use crate::error::Result;
use crate::ids::EpochId;
use crate::info::PopName;

/// Applies a record of names. The last name that a UID was given holds.
pub(super) fn note(to: &Connection, epoch: EpochId, names: &[PopName]) -> Result<()> {
    to.prepare_cached("INSERT OR IGNORE INTO names VALUES (?1, 0, NULL)")?.execute([place(epoch, 0)])?;
    let mut insert = to.prepare_cached("INSERT OR REPLACE INTO names VALUES (?1, ?2, ?3)")?;
    for name in names {
        let uidl = name.uidl.as_ref().map(Uidl::as_bytes);
        insert.execute((place(epoch, name.uid.get()), sql(name.octets), uidl))?;
    }
    Ok(())
}

/// See [`View::pop3_names`](crate::view::View::pop3_names).
pub(crate) fn all(from: &Connection, epoch: EpochId) -> Result<Vec<PopName>> {
    let mut select = from.prepare_cached(
        "SELECT place, octets, uidl FROM names WHERE place > ?1 AND place <= ?2 ORDER BY place",
    )?;
    let mut rows = select.query(places(epoch))?;
    let mut names = Vec::new();
    while let Some(row) = rows.next()? {
        names.extend(name_of_row(row)?);
    }
    Ok(names)
}

/// One name; `None` for the row that only says that the epoch is a maildrop.
pub(crate) fn name(from: &Connection, at: i64) -> Result<Option<PopName>> {
    let mut select = from.prepare_cached("SELECT place, octets, uidl FROM names WHERE place = ?1")?;
    Ok(select.query_row([at], name_of_row).optional()?.flatten())
}

/// What the server called what lies at a place.
pub(super) fn uidl(from: &Connection, at: i64) -> Result<Option<Uidl>> {
    Ok(name(from, at)?.and_then(|name| name.uidl))
}

/// See [`View::pop3_next_uid`](crate::view::View::pop3_next_uid).
pub(crate) fn next_uid(from: &Connection, epoch: EpochId) -> Result<Option<Uid>> {
    let mut select = from.prepare_cached(
        "SELECT max(ifnull((SELECT max(place) FROM names WHERE place BETWEEN ?1 AND ?2), ?1),
                    ifnull((SELECT max(place) FROM placements WHERE place BETWEEN ?1 AND ?2), ?1))",
    )?;
    let last: i64 = select.query_row(places(epoch), |row| row.get(0))?;
    let last = u32::try_from(last & 0xffff_ffff).unwrap_or(u32::MAX);
    Ok(last.checked_add(1).and_then(Uid::new))
}

fn name_of_row(row: &Row<'_>) -> rusqlite::Result<Option<PopName>> {
    let Some((_, uid)) = unplace(row.get(0)?) else { return Ok(None) };
    let uidl = row.get_ref(2)?.as_blob_or_null()?.and_then(Uidl::new);
    Ok(Some(PopName { uid, uidl, octets: row.get::<_, i64>(1)?.cast_unsigned() }))
}
