//! Accounts, their runs, alarms and drills.

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::catalogue::ledgers;
use crate::error::Result;
use crate::ids::{AccountId, RunId};
use crate::info::{AccountInfo, DrillInfo, DrillScope, RunInfo, Totals};

pub(crate) fn accounts(from: &Connection) -> Result<Vec<AccountInfo>> {
    let mut select = from.prepare_cached("SELECT id, name, protocol FROM accounts ORDER BY id")?;
    let rows = select.query_map([], account_of_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn account(from: &Connection, name: &str) -> Result<Option<AccountInfo>> {
    // Few enough to be looked through.
    let mut select =
        from.prepare_cached("SELECT id, name, protocol FROM accounts WHERE name = ?1 AND id > 0")?;
    Ok(select.query_row([name], account_of_row).optional()?)
}

fn account_of_row(row: &Row<'_>) -> rusqlite::Result<AccountInfo> {
    Ok(AccountInfo { id: AccountId(row.get(0)?), name: row.get(1)?, protocol: row.get(2)? })
}

const RUN_COLUMNS: &str = "id, r.account, started_ms, finished_ms, outcome, ledger";
const RUNS: &str = "runs r LEFT JOIN ledgers l ON l.run = r.id";

fn run_of_row(row: &Row<'_>) -> rusqlite::Result<RunInfo> {
    let ledger = row.get_ref(5)?.as_blob_or_null()?;
    let unreadable = || rusqlite::Error::FromSqlConversionFailure(5, Type::Blob, "not a ledger".into());
    Ok(RunInfo {
        id: RunId(row.get(0)?),
        account: AccountId(row.get(1)?),
        started_ms: row.get(2)?,
        finished_ms: row.get(3)?,
        outcome: row.get(4)?,
        ledger_json: ledger.map(|packed| ledgers::unpack(packed).ok_or_else(unreadable)).transpose()?,
    })
}

pub(crate) fn runs(from: &Connection, account: AccountId, limit: usize) -> Result<Vec<RunInfo>> {
    let mut select = from.prepare_cached(&format!(
        "SELECT {RUN_COLUMNS} FROM {RUNS} WHERE account = ?1 ORDER BY id DESC LIMIT ?2"
    ))?;
    let rows = select.query_map((account.0, i64::try_from(limit).unwrap_or(i64::MAX)), run_of_row)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

pub(crate) fn alarms(from: &Connection, account: AccountId) -> Result<Vec<RunInfo>> {
    let mut select = from.prepare_cached(&format!(
        "SELECT {RUN_COLUMNS} FROM alarms a JOIN runs r ON r.id = a.run LEFT JOIN ledgers l ON l.run = r.id
         WHERE a.account = ?1 AND a.acknowledged = 0 ORDER BY id DESC"
    ))?;
    Ok(select.query_map([account.0], run_of_row)?.collect::<Result<_, _>>()?)
}

/// Whose alarm a run gave, and whether a person has seen it.
pub(crate) fn alarm(from: &Connection, run: RunId) -> Result<Option<(AccountId, bool)>> {
    let mut select = from.prepare_cached("SELECT account, acknowledged FROM alarms WHERE run = ?1")?;
    Ok(select.query_row([run.0], |row| Ok((AccountId(row.get(0)?), row.get(1)?))).optional()?)
}

/// The last drill of an account, in the order of the journal.
pub(crate) fn last_drill(from: &Connection, account: AccountId) -> Result<Option<DrillInfo>> {
    let mut select = from.prepare_cached(
        "SELECT sample, as_of, started_ms, finished_ms, messages_asked, messages_proven, bytes_asked,
           bytes_proven, outcome FROM drills WHERE account = ?1",
    )?;
    let drill = select.query_row([account.0], |row| {
        let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let sample: bool = row.get(0)?;
        Ok(DrillInfo {
            scope: if sample { DrillScope::Sample } else { DrillScope::Whole },
            as_of: row.get::<_, Option<u32>>(1)?.map(RunId),
            started_ms: row.get(2)?,
            finished_ms: row.get(3)?,
            messages_asked: number(4)?,
            messages_proven: number(5)?,
            bytes_asked: number(6)?,
            bytes_proven: number(7)?,
            outcome: row.get(8)?,
        })
    });
    Ok(drill.optional()?)
}

pub(crate) fn run(from: &Connection, run: RunId) -> Result<Option<RunInfo>> {
    let mut select = from.prepare_cached(&format!("SELECT {RUN_COLUMNS} FROM {RUNS} WHERE id = ?1"))?;
    Ok(select.query_row([run.0], run_of_row).optional()?)
}

pub(crate) fn run_as_of(from: &Connection, account: AccountId, unix_ms: i64) -> Result<Option<RunId>> {
    let mut select = from.prepare_cached(
        "SELECT id FROM runs WHERE account = ?1 AND finished_ms <= ?2 ORDER BY id DESC LIMIT 1",
    )?;
    Ok(select.query_row((account.0, unix_ms), |row| row.get(0)).optional()?.map(RunId))
}

/// What an account has, or all of them.
pub(crate) fn totals(from: &Connection, account: Option<AccountId>) -> Result<Totals> {
    let number = |row: &Row<'_>, column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let account = account.map(|account| account.0);
    let (live, live_bytes) = from
        .prepare_cached(
            "SELECT ifnull(sum(live), 0), ifnull(sum(live_bytes), 0) FROM epochs WHERE ?1 IS NULL OR account = ?1",
        )?
        .query_row([account], |row| Ok((number(row, 0)?, number(row, 1)?)))?;
    let mut distinct = match account {
        Some(_) => from.prepare_cached("SELECT messages, message_bytes FROM accounts WHERE id = ?1")?,
        None => from.prepare_cached("SELECT messages, message_bytes FROM state WHERE ?1 IS NULL")?,
    };
    let distinct = distinct.query_row([account], |row| Ok((number(row, 0)?, number(row, 1)?))).optional()?;
    let (messages, message_bytes) = distinct.unwrap_or_default();
    Ok(Totals { live, live_bytes, messages, message_bytes })
}
