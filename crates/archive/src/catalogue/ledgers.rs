//! The ledgers of runs: what each said of itself when it ended.
//!
//! A ledger names every folder, so an account that is looked at each hour writes more of them in a year
//! than it has mail. They are kept compressed, apart from the runs, so that neither lists of runs nor sums
//! over a month have to read them; the three things that those need are taken out when a run ends. A
//! ledger is JSON (docs/json.md), but the journal takes any text: what is no JSON tells none of the three.

use std::io;

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, OptionalExtension as _, params};

use crate::error::{Error, Result};
use crate::frame::limit;
use crate::ids::{AccountId, RunId};

/// Ledgers repeat themselves, so a higher level would hardly make them smaller.
const LEVEL: i32 = 3;

/// Applies the end of a run. Of one whose beginning is lost nothing is known.
pub(super) fn end_run(
    to: &Connection,
    run: RunId,
    finished_ms: i64,
    (outcome, ledger): (&str, &str),
) -> Result<()> {
    let told = Told::read(to, ledger)?;
    let known = to
        .prepare_cached(
            "UPDATE runs SET finished_ms = ?2, outcome = ?3, new = ?4, vanished = ?5, suspicious = ?6 WHERE id = ?1",
        )?
        .execute(params![run.0, finished_ms, outcome, told.new, told.vanished, told.suspicious])?;
    if known == 1 {
        let packed = zstd::bulk::compress(ledger.as_bytes(), LEVEL).map_err(not_packed)?;
        to.prepare_cached("INSERT OR REPLACE INTO ledgers VALUES (?1, ?2)")?.execute((run.0, packed))?;
    }
    Ok(())
}

/// A run that begins has said nothing yet.
pub(super) fn forget(to: &Connection, run: RunId) -> Result<()> {
    to.prepare_cached("DELETE FROM ledgers WHERE run = ?1")?.execute([run.0])?;
    Ok(())
}

/// What is asked of many ledgers at a time.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    new: i64,
    vanished: i64,
    suspicious: bool,
}

impl Told {
    fn read(with: &Connection, ledger: &str) -> Result<Self> {
        let is_json: bool =
            with.prepare_cached("SELECT json_valid(?1)")?.query_row([ledger], |row| row.get(0))?;
        if !is_json {
            return Ok(Self::default());
        }
        let mut select = with.prepare_cached(
            "SELECT json_extract(?1, '$.totals.new'), json_extract(?1, '$.totals.vanished'),
               json_extract(?1, '$.suspicious')",
        )?;
        let number = |value: Value| match value {
            Value::Integer(number) => number.max(0),
            _ => 0,
        };
        Ok(select.query_row([ledger], |row| {
            let (new, vanished) = (number(row.get(0)?), number(row.get(1)?));
            Ok(Self { new, vanished, suspicious: number(row.get(2)?) == 1 })
        })?)
    }
}

/// The text of a ledger as the catalogue keeps it.
pub(super) fn unpack(packed: &[u8]) -> Option<String> {
    let length = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten().unwrap_or(0);
    let length = usize::try_from(length).unwrap_or(usize::MAX).min(limit::RECORD_BYTES);
    String::from_utf8(zstd::bulk::decompress(packed, length).ok()?).ok()
}

/// Whether two values of the table are the same text: one version of zstd may pack it as no other does.
pub(super) fn are_alike(left: ValueRef<'_>, right: ValueRef<'_>) -> bool {
    let text = |value: ValueRef<'_>| value.as_blob().ok().and_then(unpack);
    text(left).is_some_and(|left| text(right) == Some(left))
}

/// See [`View::last_good_run`](crate::view::View::last_good_run).
pub(crate) fn last_good_run(from: &Connection, account: AccountId) -> Result<Option<i64>> {
    let mut select = from.prepare_cached(
        "SELECT finished_ms FROM runs WHERE account = ?1 AND outcome = 'ok' AND suspicious = 0
         ORDER BY id DESC LIMIT 1",
    )?;
    Ok(select.query_row([account.0], |row| row.get(0)).optional()?.flatten())
}

/// See [`View::came_and_went`](crate::view::View::came_and_went).
pub(crate) fn came_and_went(from: &Connection, account: AccountId, since_ms: i64) -> Result<(u64, u64)> {
    let mut select =
        from.prepare_cached("SELECT new, vanished FROM runs WHERE account = ?1 AND started_ms >= ?2")?;
    let mut rows = select.query((account.0, since_ms))?;
    let (mut came, mut went) = (0u64, 0u64);
    while let Some(row) = rows.next()? {
        let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        (came, went) = (came.saturating_add(number(0)?), went.saturating_add(number(1)?));
    }
    Ok((came, went))
}

fn not_packed(error: io::Error) -> Error {
    Error::Catalogue(rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}
