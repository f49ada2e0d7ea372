//! What lies where, since when and until when, with which flags; and what cannot be fetched.

use std::ops::RangeInclusive;

use message::{Flags, InternalDate, MailboxName, MessageKey, NameEncoding, Uid, UidSet};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::messages::key_of_row;
use crate::catalogue::apply::{place, places, unplace};
use crate::error::{Error, Result};
use crate::ids::{AccountId, EpochId, MessageNumber, RunId};
use crate::info::{Proof, TroubleInfo};
use crate::journal::codec::date_from;

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

pub(in crate::catalogue) fn placement_of_row(row: &Row<'_>) -> rusqlite::Result<PlacementRow> {
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
pub(in crate::catalogue) fn date_of_row(row: &Row<'_>, column: usize) -> rusqlite::Result<InternalDate> {
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
pub(in crate::catalogue) fn flags_as_of(from: &Connection, row: &PlacementRow, run: RunId) -> Result<i64> {
    let mut select = from.prepare_cached(
        "SELECT flags FROM flag_history WHERE place = ?1 AND run > ?2 AND run <= ?3 ORDER BY run LIMIT 1",
    )?;
    let until = row.last_run.map_or(u32::MAX, |last| last.0);
    Ok(select.query_row((row.place, run.0, until), |row| row.get(0)).optional()?.unwrap_or(row.flags))
}

pub(crate) fn flags_text(from: &Connection, set: i64) -> Result<Flags> {
    let mut select = from.prepare_cached("SELECT flags FROM flag_sets WHERE id = ?1")?;
    let text: Option<String> = select.query_row([set], |row| row.get(0)).optional()?;
    Ok(Flags::parse(&text.ok_or(Error::CatalogueWrong { what: "a set of flags that is not there" })?))
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
