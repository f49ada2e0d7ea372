//! Two catalogues compared, row for row.

use rusqlite::Connection;

use super::ledgers;
use super::schema::TABLES;
use crate::error::Result;

/// The first table and the row in which two catalogues differ, in words; `None` when they are equal.
/// Runs through both in step and holds one row of each. `right` is one that was just made.
pub(crate) fn first_difference(left: &Connection, right: &Connection) -> Result<Option<String>> {
    for (table, order) in TABLES {
        let sql = format!("SELECT * FROM {table} ORDER BY {order}");
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
