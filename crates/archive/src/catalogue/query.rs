//! What can be asked of the catalogue. Plain functions over a connection; a
//! [`View`](crate::view::View) gives them their public form.
//!
//! Nothing here holds more than a few numbers per message: long answers are streamed or given as
//! ranges.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;

use message::fields::Fields;
use message::{Flags, InternalDate, MailboxName, MessageKey, ModSeq, NameEncoding, Uid, UidSet, UidValidity};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::apply::{PREFIX_BYTES, place, places, prefix, sql, unplace};
use super::ledgers;
use crate::error::{Error, Result};
use crate::frame::limit;
use crate::ids::{AccountId, BlobNumber, EpochId, MailboxId, MessageNumber, PackId, RunId};
use crate::info::{
    AccountInfo, DrillInfo, DrillScope, EpochInfo, MailboxInfo, MailboxSeen, Mark, Proof, RunInfo, Totals,
    TroubleInfo,
};
use crate::journal::codec::date_from;
use crate::wire::Cursor;

const fn wrong(what: &'static str) -> Error {
    Error::CatalogueWrong { what }
}

// Accounts and runs

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

// Mailboxes and epochs

const MAILBOX_COLUMNS: &str =
    "id, raw, utf8, delimiter, attributes, special_use, subscribed, object_id, selectable, gone";

/// A mailbox as it was last seen, whose it is, and whether it is gone.
pub(crate) struct MailboxRow {
    pub(crate) id: MailboxId,
    pub(crate) seen: MailboxSeen,
    pub(crate) gone: Option<RunId>,
}

pub(super) fn mailbox_of_row(row: &Row<'_>) -> rusqlite::Result<MailboxRow> {
    let utf8: bool = row.get(2)?;
    let encoding = if utf8 { NameEncoding::Utf8 } else { NameEncoding::ModifiedUtf7 };
    let attributes: String = row.get(4)?;
    Ok(MailboxRow {
        id: MailboxId(row.get(0)?),
        seen: MailboxSeen {
            name: MailboxName::new(row.get::<_, Vec<u8>>(1)?, encoding, row.get(3)?),
            attributes: attributes.split_terminator('\n').map(str::to_owned).collect(),
            special_use: row.get(5)?,
            subscribed: row.get(6)?,
            object_id: row.get(7)?,
            selectable: row.get(8)?,
        },
        gone: row.get::<_, Option<u32>>(9)?.map(RunId),
    })
}

/// The mailbox of this name; one that is there before one that is gone, the newest before older ones.
pub(crate) fn mailbox_named(
    from: &Connection,
    account: AccountId,
    name: &MailboxName,
) -> Result<Option<MailboxRow>> {
    let mut select = from.prepare_cached(&format!(
        "SELECT {MAILBOX_COLUMNS} FROM mailboxes WHERE account = ?1 AND identity = ?2
         ORDER BY gone IS NOT NULL, id DESC LIMIT 1"
    ))?;
    Ok(select.query_row((account.0, name.identity()), mailbox_of_row).optional()?)
}

pub(crate) fn mailbox_account(from: &Connection, mailbox: MailboxId) -> Result<Option<AccountId>> {
    let mut select = from.prepare_cached("SELECT account FROM mailboxes WHERE id = ?1")?;
    Ok(select.query_row([mailbox.0], |row| row.get(0)).optional()?.map(AccountId))
}

pub(crate) fn mailboxes(from: &Connection, account: AccountId) -> Result<Vec<MailboxInfo>> {
    let mut select = from
        .prepare_cached(&format!("SELECT {MAILBOX_COLUMNS} FROM mailboxes WHERE account = ?1 ORDER BY id"))?;
    let rows = select.query_map([account.0], mailbox_of_row)?;
    rows.map(|row| mailbox_info(from, row?)).collect()
}

pub(crate) fn mailbox(from: &Connection, mailbox: MailboxId) -> Result<Option<MailboxInfo>> {
    mailbox_row(from, mailbox)?.map(|row| mailbox_info(from, row)).transpose()
}

pub(crate) fn mailbox_row(from: &Connection, mailbox: MailboxId) -> Result<Option<MailboxRow>> {
    let mut select =
        from.prepare_cached(&format!("SELECT {MAILBOX_COLUMNS} FROM mailboxes WHERE id = ?1"))?;
    Ok(select.query_row([mailbox.0], mailbox_of_row).optional()?)
}

fn mailbox_info(from: &Connection, row: MailboxRow) -> Result<MailboxInfo> {
    let MailboxRow { id, seen, gone } = row;
    let live: i64 = from
        .prepare_cached("SELECT ifnull(sum(live), 0) FROM epochs WHERE mailbox = ?1")?
        .query_row([id.0], |row| row.get(0))?;
    Ok(MailboxInfo {
        id,
        name: seen.name,
        attributes: seen.attributes,
        special_use: seen.special_use,
        subscribed: seen.subscribed,
        object_id: seen.object_id,
        selectable: seen.selectable,
        gone,
        epoch: newest_epoch(from, id)?,
        live: live.cast_unsigned(),
        lost: super::damaged::in_mailbox(from, id)?,
    })
}

const EPOCH_COLUMNS: &str = "id, validity, marked, uid_next, modseq, mark_messages, live,
    EXISTS (SELECT 1 FROM names WHERE place = epochs.id << 32)";

fn epoch_of_row(row: &Row<'_>) -> rusqlite::Result<EpochInfo> {
    let marked: bool = row.get(2)?;
    let mark = Mark {
        uid_next: row.get::<_, Option<u32>>(3)?.and_then(Uid::new),
        highest_modseq: row.get::<_, Option<i64>>(4)?.map(|modseq| ModSeq(modseq.cast_unsigned())),
        messages: row.get(5)?,
    };
    Ok(EpochInfo {
        id: EpochId(row.get(0)?),
        validity: row.get::<_, Option<u32>>(1)?.and_then(UidValidity::new),
        pop3: row.get(7)?,
        mark: marked.then_some(mark),
        live: row.get::<_, i64>(6)?.cast_unsigned(),
    })
}

pub(crate) fn newest_epoch(from: &Connection, mailbox: MailboxId) -> Result<Option<EpochInfo>> {
    let mut select = from.prepare_cached(&format!(
        "SELECT {EPOCH_COLUMNS} FROM epochs WHERE mailbox = ?1 ORDER BY id DESC LIMIT 1"
    ))?;
    Ok(select.query_row([mailbox.0], epoch_of_row).optional()?)
}

pub(crate) fn epochs(from: &Connection, mailbox: MailboxId) -> Result<Vec<EpochInfo>> {
    let mut select =
        from.prepare_cached(&format!("SELECT {EPOCH_COLUMNS} FROM epochs WHERE mailbox = ?1 ORDER BY id"))?;
    Ok(select.query_map([mailbox.0], epoch_of_row)?.collect::<Result<_, _>>()?)
}

pub(crate) fn epoch(from: &Connection, epoch: EpochId) -> Result<Option<EpochInfo>> {
    let mut select = from.prepare_cached(&format!("SELECT {EPOCH_COLUMNS} FROM epochs WHERE id = ?1"))?;
    Ok(select.query_row([epoch.0], epoch_of_row).optional()?)
}

/// Epochs of which something is marked.
pub(crate) fn marked_epochs(from: &Connection) -> Result<Vec<EpochId>> {
    let mut select = from.prepare_cached("SELECT id FROM epochs WHERE marked = 1 ORDER BY id")?;
    Ok(select.query_map([], |row| row.get(0).map(EpochId))?.collect::<Result<_, _>>()?)
}

/// Whether the two give an epoch that both know by its record different validities.
pub(crate) fn other_validity(left: &Connection, right: &Connection) -> Result<bool> {
    let mut select = left.prepare("SELECT id, validity FROM epochs WHERE mailbox > 0")?;
    let mut same = right.prepare("SELECT validity FROM epochs WHERE id = ?1 AND mailbox > 0")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (id, validity): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
        let other: Option<Option<i64>> = same.query_row([id], |row| row.get(0)).optional()?;
        if other.is_some_and(|other| other != validity) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The mailbox and the account of an epoch.
pub(crate) fn epoch_owner(from: &Connection, epoch: EpochId) -> Result<Option<(MailboxId, AccountId)>> {
    let mut select = from.prepare_cached("SELECT mailbox, account FROM epochs WHERE id = ?1")?;
    let owner = select.query_row([epoch.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(owner.map(|(mailbox, account)| (MailboxId(mailbox), AccountId(account))))
}

// Placements

/// Columns of a placement after its place; `former` has them under the same names.
const PLACEMENT_COLUMNS: &str = "message, date, zone, raw_date, flags, proof, first_run, last_run";

/// A placement before message and flags are looked up.
pub(crate) struct PlacementRow {
    pub(crate) place: i64,
    pub(crate) message: MessageNumber,
    pub(crate) internal_date: InternalDate,
    pub(crate) flags: i64,
    pub(crate) proof: Proof,
    pub(crate) first_run: RunId,
    pub(crate) last_run: Option<RunId>,
}

pub(super) fn placement_of_row(row: &Row<'_>) -> rusqlite::Result<PlacementRow> {
    let header_only: bool = row.get(6)?;
    Ok(PlacementRow {
        place: row.get(0)?,
        message: MessageNumber(row.get::<_, i64>(1)?.cast_unsigned()),
        internal_date: date_of_row(row, 2)?,
        flags: row.get(5)?,
        proof: if header_only { Proof::Header } else { Proof::Bytes },
        first_run: RunId(row.get(7)?),
        last_run: row.get::<_, Option<u32>>(8)?.map(RunId),
    })
}

/// A date from three columns: seconds, zone, text.
pub(super) fn date_of_row(row: &Row<'_>, column: usize) -> rusqlite::Result<InternalDate> {
    let raw: Option<String> = row.get(column + 2)?;
    if let Some(raw) = raw {
        return Ok(InternalDate::parse(&raw));
    }
    let (unix, zone): (i64, i64) = (row.get(column)?, row.get(column + 1)?);
    Ok(date_from(unix, zone).unwrap_or_else(|| InternalDate::parse("")))
}

pub(crate) fn placement(from: &Connection, epoch: EpochId, uid: Uid) -> Result<Option<PlacementRow>> {
    let mut select =
        from.prepare_cached(&format!("SELECT place, {PLACEMENT_COLUMNS} FROM placements WHERE place = ?1"))?;
    Ok(select.query_row([place(epoch, uid.get())], placement_of_row).optional()?)
}

/// What held until the first change after `run`, as far as that change was to this placement.
pub(super) fn flags_as_of(from: &Connection, row: &PlacementRow, run: RunId) -> Result<i64> {
    let mut select = from.prepare_cached(
        "SELECT flags FROM flag_history WHERE place = ?1 AND run > ?2 AND run <= ?3 ORDER BY run LIMIT 1",
    )?;
    let until = row.last_run.map_or(u32::MAX, |last| last.0);
    Ok(select.query_row((row.place, run.0, until), |row| row.get(0)).optional()?.unwrap_or(row.flags))
}

pub(crate) fn flags_text(from: &Connection, set: i64) -> Result<Flags> {
    let mut select = from.prepare_cached("SELECT flags FROM flag_sets WHERE id = ?1")?;
    let text: Option<String> = select.query_row([set], |row| row.get(0)).optional()?;
    Ok(Flags::parse(&text.ok_or(wrong("a set of flags that is not there"))?))
}

pub(crate) fn held_uids(from: &Connection, epoch: EpochId) -> Result<UidSet> {
    uids(
        from,
        "SELECT place FROM placements WHERE place BETWEEN ?1 AND ?2 AND last_run IS NULL
           AND message NOT IN (SELECT number FROM lost_messages)",
        epoch,
    )
}

pub(crate) fn unproven(from: &Connection, epoch: EpochId) -> Result<UidSet> {
    uids(
        from,
        "SELECT place FROM placements WHERE proof = 1 AND place BETWEEN ?1 AND ?2 AND last_run IS NULL ORDER BY place",
        epoch,
    )
}

fn uids(from: &Connection, select: &str, epoch: EpochId) -> Result<UidSet> {
    let mut select = from.prepare_cached(select)?;
    let mut rows = select.query(places(epoch))?;
    let mut set = UidSet::new();
    // Ranges are put together here, so that the set is asked once for each.
    let mut range: Option<(Uid, Uid)> = None;
    while let Some(row) = rows.next()? {
        let Some((_, uid)) = unplace(row.get(0)?) else { continue };
        range = match range {
            Some((first, last)) if last.get().checked_add(1) == Some(uid.get()) => Some((first, uid)),
            Some((first, last)) => {
                set.insert_range(first..=last);
                Some((uid, uid))
            }
            None => Some((uid, uid)),
        };
    }
    if let Some((first, last)) = range {
        set.insert_range(first..=last);
    }
    Ok(set)
}

pub(crate) fn flags_in(
    from: &Connection,
    epoch: EpochId,
    range: &RangeInclusive<Uid>,
) -> Result<Vec<(Uid, Flags)>> {
    let mut select = from.prepare_cached(
        "SELECT place, flags FROM placements WHERE place BETWEEN ?1 AND ?2 AND last_run IS NULL ORDER BY place",
    )?;
    let mut rows = select.query((place(epoch, range.start().get()), place(epoch, range.end().get())))?;
    let mut found = Vec::new();
    // Neighbours mostly have the same flags.
    let mut last: Option<(i64, Flags)> = None;
    while let Some(row) = rows.next()? {
        let (Some((_, uid)), set) = (unplace(row.get(0)?), row.get(1)?) else { continue };
        let flags = match last.take().filter(|(known, _)| *known == set) {
            Some((_, flags)) => flags,
            None => flags_text(from, set)?,
        };
        found.push((uid, flags.clone()));
        last = Some((set, flags));
    }
    Ok(found)
}

/// See [`View::survey_in`](crate::view::View::survey_in).
pub(crate) type SurveyRow = (Uid, u64, InternalDate, MessageKey);

pub(crate) fn survey_in(
    from: &Connection,
    epoch: EpochId,
    range: &RangeInclusive<Uid>,
) -> Result<Vec<SurveyRow>> {
    survey(
        from,
        "SELECT p.place, m.size, m.prefix, m.rest, p.date, p.zone, p.raw_date
         FROM placements p JOIN messages m ON m.number = p.message
         WHERE p.place BETWEEN ?1 AND ?2 AND p.last_run IS NULL ORDER BY p.place",
        epoch,
        range,
    )
}

fn survey(
    from: &Connection,
    select: &str,
    epoch: EpochId,
    range: &RangeInclusive<Uid>,
) -> Result<Vec<SurveyRow>> {
    let mut select = from.prepare_cached(select)?;
    let mut rows = select.query((place(epoch, range.start().get()), place(epoch, range.end().get())))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let Some((_, uid)) = unplace(row.get(0)?) else { continue };
        let size: i64 = row.get(1)?;
        found.push((uid, size.cast_unsigned(), date_of_row(row, 4)?, key_of_row(row, 2)?));
    }
    Ok(found)
}

/// Placements that have ended, under UIDs that are not live now; of several under one UID the last.
pub(crate) fn past_in(
    from: &Connection,
    epoch: EpochId,
    range: &RangeInclusive<Uid>,
) -> Result<Vec<SurveyRow>> {
    survey(
        from,
        "SELECT p.place, m.size, m.prefix, m.rest, p.date, p.zone, p.raw_date
         FROM placements p JOIN messages m ON m.number = p.message
         WHERE p.place BETWEEN ?1 AND ?2 AND p.last_run IS NOT NULL
           AND p.message NOT IN (SELECT number FROM lost_messages) ORDER BY p.place",
        epoch,
        range,
    )
}

pub(crate) fn unproven_count(from: &Connection, account: AccountId) -> Result<u64> {
    let mut select = from.prepare_cached(
        "SELECT count(*) FROM placements p JOIN epochs e ON e.id = p.place >> 32
         WHERE p.proof = 1 AND p.last_run IS NULL AND e.account = ?1",
    )?;
    Ok(select.query_row([account.0], |row| row.get::<_, i64>(0))?.cast_unsigned())
}

pub(crate) fn troubles(from: &Connection, epoch: EpochId) -> Result<Vec<TroubleInfo>> {
    let mut select = from.prepare_cached(
        "SELECT place, reason, attempts, last_run FROM troubles WHERE place BETWEEN ?1 AND ?2 ORDER BY place",
    )?;
    let mut rows = select.query(places(epoch))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let Some((_, uid)) = unplace(row.get(0)?) else { continue };
        found.push(TroubleInfo {
            uid,
            reason: row.get(1)?,
            attempts: row.get(2)?,
            last_run: RunId(row.get(3)?),
        });
    }
    Ok(found)
}

/// Whether any message lies or lay under a UID.
pub(crate) fn has_place(from: &Connection, at: i64) -> Result<bool> {
    let mut select = from.prepare_cached(
        "SELECT 1 FROM placements WHERE place = ?1 UNION ALL SELECT 1 FROM former WHERE place = ?1",
    )?;
    Ok(select.exists([at])?)
}

/// Messages that `left` knows at a place and `right` does not know there.
pub(crate) fn placed_only_in(left: &Connection, right: &Connection) -> Result<Vec<(MessageNumber, i64)>> {
    let mut select =
        left.prepare("SELECT message, place FROM whereabouts ORDER BY account, message, place")?;
    let mut known = right.prepare(
        "SELECT 1 FROM placements p JOIN messages m ON m.number = p.message WHERE p.place = ?2 AND p.message = ?1
         UNION ALL SELECT 1 FROM former WHERE place = ?2 AND message = ?1",
    )?;
    let mut rows = select.query([])?;
    let mut only = Vec::new();
    while let Some(row) = rows.next()? {
        let (message, place): (i64, i64) = (row.get(0)?, row.get(1)?);
        if !known.exists((message, place))? {
            only.push((MessageNumber(message.cast_unsigned()), place));
        }
    }
    Ok(only)
}

/// Account and mailbox of a place, as people call them.
pub(crate) fn place_names(from: &Connection, at: i64) -> Result<Option<(String, String, Uid)>> {
    let Some((epoch, uid)) = unplace(at) else { return Ok(None) };
    let mut select = from.prepare_cached(
        "SELECT a.name, m.raw, m.utf8, m.delimiter FROM epochs e
         JOIN mailboxes m ON m.id = e.mailbox JOIN accounts a ON a.id = e.account WHERE e.id = ?1",
    )?;
    let names = select.query_row([epoch.0], |row| {
        let utf8: bool = row.get(2)?;
        let encoding = if utf8 { NameEncoding::Utf8 } else { NameEncoding::ModifiedUtf7 };
        let name = MailboxName::new(row.get::<_, Vec<u8>>(1)?, encoding, row.get(3)?);
        Ok((row.get(0)?, name.text(), uid))
    });
    Ok(names.optional()?)
}

// Messages and blobs

/// A message as the catalogue has it.
#[derive(Clone, Debug)]
pub(crate) struct MessageRow {
    pub(crate) number: MessageNumber,
    pub(crate) key: MessageKey,
    pub(crate) size: u64,
    pub(crate) fields: Fields,
    pub(crate) recipe: Vec<u8>,
}

const MESSAGE_COLUMNS: &str = "number, prefix, rest, size, date, subject, sender, recipe";

fn message_of_row(row: &Row<'_>) -> rusqlite::Result<MessageRow> {
    Ok(MessageRow {
        number: MessageNumber(row.get::<_, i64>(0)?.cast_unsigned()),
        key: key_of_row(row, 1)?,
        size: row.get::<_, i64>(3)?.cast_unsigned(),
        fields: Fields {
            date: row.get(4)?,
            subject: row.get(5)?,
            from: row.get(6)?,
            message_id: String::new(),
        },
        recipe: row.get(7)?,
    })
}

/// A message's key from its two columns.
pub(super) fn key_of_row(row: &Row<'_>, column: usize) -> rusqlite::Result<MessageKey> {
    let (prefix, rest): (i32, [u8; 32 - PREFIX_BYTES]) = (row.get(column)?, row.get(column + 1)?);
    let mut key = [0; 32];
    key[..PREFIX_BYTES].copy_from_slice(&prefix.to_be_bytes());
    key[PREFIX_BYTES..].copy_from_slice(&rest);
    Ok(MessageKey::from_bytes(key))
}

pub(crate) fn message_row(from: &Connection, number: MessageNumber) -> Result<Option<MessageRow>> {
    let mut select =
        from.prepare_cached(&format!("SELECT {MESSAGE_COLUMNS} FROM messages WHERE number = ?1"))?;
    Ok(select.query_row([sql(number.0)], message_of_row).optional()?)
}

pub(crate) fn message_by_key(from: &Connection, key: &MessageKey) -> Result<Option<MessageRow>> {
    let mut select = from
        .prepare_cached(&format!("SELECT {MESSAGE_COLUMNS} FROM messages WHERE prefix = ?1 AND rest = ?2"))?;
    Ok(select
        .query_row((prefix(key.as_bytes()), &key.as_bytes()[PREFIX_BYTES..]), message_of_row)
        .optional()?)
}

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

/// Whether an account has or had a message.
pub(crate) fn has_had(from: &Connection, account: AccountId, message: MessageNumber) -> Result<bool> {
    let mut select = from.prepare_cached("SELECT 1 FROM whereabouts WHERE account = ?1 AND message = ?2")?;
    Ok(select.exists((account.0, sql(message.0)))?)
}

/// All messages from number `start` on, in order, at most `limit`.
pub(crate) fn messages_from(from: &Connection, start: u64, limit: u32) -> Result<Vec<MessageRow>> {
    let mut select = from.prepare_cached(&format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages WHERE number >= ?1 ORDER BY number LIMIT ?2"
    ))?;
    Ok(select.query_map((sql(start), limit), message_of_row)?.collect::<Result<_, _>>()?)
}

/// Keys that begin with these hex digits, at most `limit`, in order of the key.
pub(crate) fn keys_with_prefix(from: &Connection, digits: &str, limit: usize) -> Result<Vec<MessageKey>> {
    let digits = digits.to_ascii_lowercase();
    if digits.is_empty() || digits.len() > 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Vec::new());
    }
    let head = &digits[..digits.len().min(2 * PREFIX_BYTES)];
    let rest = 2 * PREFIX_BYTES - head.len();
    let bound = |fill: &str| u32::from_str_radix(&format!("{head}{}", fill.repeat(rest)), 16);
    let (Ok(low), Ok(high)) = (bound("0"), bound("f")) else { return Ok(Vec::new()) };
    // Within one first digit the signed order of the column is the order of the keys.
    let mut select = from.prepare_cached(
        "SELECT prefix, rest FROM messages WHERE prefix BETWEEN ?1 AND ?2 ORDER BY prefix, rest",
    )?;
    let mut rows = select.query((low.cast_signed(), high.cast_signed()))?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()?.filter(|_| keys.len() < limit) {
        let key = key_of_row(row, 0)?;
        if key.to_string().starts_with(&digits) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// Distinct messages of one size that an account has or had.
pub(crate) fn messages_of_size(from: &Connection, account: AccountId, size: u64) -> Result<Vec<MessageRow>> {
    let mut select = from.prepare_cached(&format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages m WHERE size = ?1
           AND number NOT IN (SELECT number FROM lost_messages)
           AND EXISTS (SELECT 1 FROM whereabouts w WHERE w.account = ?2 AND w.message = m.number)"
    ))?;
    Ok(select.query_map((sql(size), account.0), message_of_row)?.collect::<Result<_, _>>()?)
}

/// The received dates under which an account has or had a message.
pub(crate) fn dates_of(
    from: &Connection,
    account: AccountId,
    message: MessageNumber,
) -> Result<Vec<InternalDate>> {
    let mut select = from.prepare_cached(
        "SELECT p.date, p.zone, p.raw_date FROM whereabouts w JOIN placements p ON p.place = w.place
           WHERE w.account = ?1 AND w.message = ?2 AND p.message = ?2
         UNION SELECT f.date, f.zone, f.raw_date FROM whereabouts w JOIN former f ON f.place = w.place
           WHERE w.account = ?1 AND w.message = ?2 AND f.message = ?2",
    )?;
    let rows = select.query_map((account.0, sql(message.0)), |row| date_of_row(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The numbers of blobs in a stored recipe, and its steps.
pub(crate) fn decode_recipe(recipe: &[u8]) -> Result<(Vec<BlobNumber>, &[u8])> {
    let mut cursor = Cursor::new(recipe);
    let broken = |_| wrong("a recipe that cannot be read");
    let count = cursor.varint("a recipe").map_err(broken)?;
    if count > limit::BLOBS_IN_MESSAGE as u64 {
        return Err(wrong("a recipe of too many blobs"));
    }
    let (mut blobs, mut last) = (Vec::new(), 0u64);
    for _ in 0..count {
        last = last.wrapping_add(cursor.signed("a recipe").map_err(broken)?.cast_unsigned());
        blobs.push(BlobNumber(last));
    }
    Ok((blobs, cursor.rest()))
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

// Sums

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

/// Whether any UID of a range is live, or in trouble.
pub(crate) fn is_anything_in(from: &Connection, epoch: EpochId, range: &RangeInclusive<Uid>) -> Result<bool> {
    let places = (place(epoch, range.start().get()), place(epoch, range.end().get()));
    let live = from
        .prepare_cached(
            "SELECT 1 FROM placements WHERE place BETWEEN ?1 AND ?2 AND last_run IS NULL LIMIT 1",
        )?
        .exists(places)?;
    let troubled = from
        .prepare_cached("SELECT 1 FROM troubles WHERE place BETWEEN ?1 AND ?2 LIMIT 1")?
        .exists(places)?;
    Ok(live || troubled)
}
