//! Two catalogues compared, row for row.
//!
//! Packs and blocks have numbers only so that rows are small: after a compaction those of a catalogue that
//! has followed it are others than those of one that is made anew. What is compared is where things lie: in
//! which pack, at which byte.

use rusqlite::Connection;

use super::ledgers;
use super::schema::TABLES;
use crate::error::Result;

const BLOCKS: &str = "SELECT p.id, b.start, stream, directory, stored, plain FROM blocks b LEFT JOIN packs p ON p.number = b.pack
    ORDER BY b.pack, b.start";

const BLOBS: &str = "SELECT b.number, p.id, k.start, b.slot FROM blobs b
    LEFT JOIN blocks k ON k.number = b.block LEFT JOIN packs p ON p.number = k.pack ORDER BY b.number";

/// The first table and the row in which two catalogues differ, in words; `None` when they are equal.
/// Runs through both in step and holds one row of each. `right` is one that was just made.
pub(crate) fn first_difference(left: &Connection, right: &Connection) -> Result<Option<String>> {
    for (table, order) in TABLES {
        let sql = match table {
            "packs" => "SELECT id, length, sealed FROM packs ORDER BY number".to_owned(),
            "blocks" => BLOCKS.to_owned(),
            "blobs" => BLOBS.to_owned(),
            _ => format!("SELECT * FROM {table} ORDER BY {order}"),
        };
        let (mut left, mut right) = (left.prepare(&sql)?, right.prepare(&sql)?);
        // Of the one on the right, which we made: a damaged schema can have names that are no text.
        let names: Vec<String> = right.column_names().map(str::to_owned).collect();
        if left.column_count() != names.len() {
            return Ok(Some(format!("table {table} has other columns")));
        }
        let (mut left, mut right) = (left.query([])?, right.query([])?);
        for number in 1u64.. {
            let (l, r) = (left.next()?, right.next()?);
            let (l, r) = match (l, r) {
                (None, None) => break,
                (Some(l), Some(r)) => (l, r),
                (Some(_), None) => return Ok(Some(format!("table {table} has rows beyond row {number}"))),
                (None, Some(_)) => return Ok(Some(format!("table {table} ends before row {number}"))),
            };
            for (column, name) in names.iter().enumerate() {
                let (l, r) = (l.get_ref(column)?, r.get_ref(column)?);
                if l != r && !(table == "ledgers" && ledgers::are_alike(l, r)) {
                    return Ok(Some(format!("table {table}, row {number}: {name} differs")));
                }
            }
        }
    }
    Ok(None)
}
