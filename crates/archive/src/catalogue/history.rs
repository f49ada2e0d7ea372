//! All that is known of a UID: which messages lay there from which run to which, and with what flags.
//!
//! `repair` asks a catalogue for it that still knows what damaged packs have lost, and restates it in the
//! journal; applied, it takes the place of whatever is known of that UID. So a restated history is exact,
//! in whatever order and however often the records around it are read.

use std::collections::BTreeSet;

use message::{Flags, Uid};
use rusqlite::{Connection, OptionalExtension as _};

use super::apply::{Applier, LOST, date_columns, place, places, size_of, sql};
use super::query;
use crate::error::Result;
use crate::ids::{EpochId, MessageNumber, RunId};
use crate::info::Proof;
use crate::journal::record::{History, Stay};

/// What is known of a place.
pub(crate) fn history(from: &Connection, at: i64) -> Result<History> {
    let mut former = from.prepare_cached(
        "SELECT place, message, date, zone, raw_date, flags, proof, first_run, last_run FROM former
         WHERE place = ?1 ORDER BY last_run, first_run, message",
    )?;
    let rows = former.query_map([at], query::placement_of_row)?.collect::<Result<Vec<_>, _>>()?;
    let newest = from
        .prepare_cached(
            "SELECT place, message, date, zone, raw_date, flags, proof, first_run, last_run FROM placements
             WHERE place = ?1",
        )?
        .query_row([at], query::placement_of_row)
        .optional()?;
    let mut history = History::default();
    for row in rows.into_iter().chain(newest) {
        history.stays.push(Stay {
            first_run: row.first_run,
            last_run: row.last_run,
            message: row.message,
            date: row.internal_date,
            flags: query::flags_text(from, row.flags)?,
            proof: row.proof,
        });
    }
    let mut changes = from.prepare_cached(
        "SELECT h.run, s.flags FROM flag_history h JOIN flag_sets s ON s.id = h.flags
         WHERE h.place = ?1 ORDER BY h.run",
    )?;
    let changes =
        changes.query_map([at], |row| Ok((RunId(row.get(0)?), Flags::parse(&row.get::<_, String>(1)?))))?;
    history.flags_until = changes.collect::<Result<_, _>>()?;
    Ok(history)
}

impl Applier {
    /// Puts this history in the place of what is known of the UID.
    pub(super) fn restate(
        &mut self,
        to: &Connection,
        epoch: EpochId,
        uid: Uid,
        history: &History,
    ) -> Result<()> {
        let at = place(epoch, uid.get());
        self.forget(to, epoch, at)?;
        self.dangling.remove(&at);
        let mut known = Vec::with_capacity(history.stays.len());
        for stay in &history.stays {
            // What is restated was restated with its messages; without them it cannot be listed.
            if let Some(size) = size_of(to, stay.message)? {
                known.push((stay, size));
            }
        }
        let newest = known.len().saturating_sub(1);
        for (index, (stay, size)) in known.into_iter().enumerate() {
            let (date, zone, raw) = date_columns(&stay.date);
            let flags = self.flag_set(to, &stay.flags)?;
            let (message, header_only) = (sql(stay.message.0), stay.proof == Proof::Header);
            if index == newest {
                to.prepare_cached("INSERT INTO placements VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)")?
                    .execute((
                        at,
                        message,
                        date,
                        zone,
                        raw,
                        flags,
                        header_only,
                        stay.first_run.0,
                        stay.last_run.map(|run| run.0),
                    ))?;
                if stay.last_run.is_none() {
                    let live = self.live.entry(epoch).or_default();
                    *live = (live.0 + 1, live.1 + size);
                }
            } else {
                let last_run = stay.last_run.unwrap_or(stay.first_run).0;
                to.prepare_cached(
                    "INSERT OR IGNORE INTO former VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )?
                .execute((
                    at,
                    last_run,
                    stay.first_run.0,
                    message,
                    date,
                    zone,
                    raw,
                    flags,
                    header_only,
                ))?;
            }
            self.note_whereabouts(to, epoch, at, (message, size), false)?;
        }
        for (run, flags) in &history.flags_until {
            let flags = self.flag_set(to, flags)?;
            to.prepare_cached("INSERT OR IGNORE INTO flag_history VALUES (?1, ?2, ?3)")?
                .execute((at, run.0, flags))?;
        }
        to.prepare_cached("DELETE FROM troubles WHERE place = ?1")?.execute([at])?;
        Ok(())
    }

    /// Forgets what lay and lies under a UID.
    fn forget(&mut self, to: &Connection, epoch: EpochId, at: i64) -> Result<()> {
        let account = self.account_of(to, epoch)?;
        let before = history(to, at)?;
        if let Some(newest) = before.stays.last().filter(|stay| stay.last_run.is_none()) {
            let size = size_of(to, newest.message)?.unwrap_or(0);
            let live = self.live.entry(epoch).or_default();
            *live = (live.0 - 1, live.1 - size);
        }
        let messages: BTreeSet<i64> = before.stays.iter().map(|stay| sql(stay.message.0)).collect();
        for message in messages {
            self.leave_whereabouts(to, account, message, at)?;
        }
        for table in ["placements", "former", "flag_history"] {
            to.prepare_cached(&format!("DELETE FROM {table} WHERE place = ?1"))?.execute([at])?;
        }
        Ok(())
    }

    /// Notes that the epoch's account has or had a message, of this number and size. `lies_nowhere`: it is
    /// known that the message lay nowhere before.
    pub(super) fn note_whereabouts(
        &mut self,
        to: &Connection,
        epoch: EpochId,
        at: i64,
        (message, size): (i64, i64),
        lies_nowhere: bool,
    ) -> Result<()> {
        let account = self.account_of(to, epoch)?;
        let known = !lies_nowhere && is_known(to, account, message)?;
        self.enter_whereabouts(to, account, (message, size), at, known)
    }

    fn enter_whereabouts(
        &mut self,
        to: &Connection,
        account: u32,
        (message, size): (i64, i64),
        at: i64,
        known: bool,
    ) -> Result<()> {
        // Whichever message this is; at worst the next one is asked for once too often.
        self.newest.is_unplaced = false;
        to.prepare_cached("INSERT OR IGNORE INTO whereabouts VALUES (?1, ?2, ?3)")?
            .execute((account, message, at))?;
        if !known {
            let distinct = self.distinct.entry(account).or_default();
            *distinct = (distinct.0 + 1, distinct.1 + size);
        }
        Ok(())
    }

    fn leave_whereabouts(&mut self, to: &Connection, account: u32, message: i64, at: i64) -> Result<()> {
        let left = to
            .prepare_cached("DELETE FROM whereabouts WHERE account = ?1 AND message = ?2 AND place = ?3")?
            .execute((account, message, at))?;
        if left == 1 && !is_known(to, account, message)? {
            let size = size_of(to, MessageNumber(message.cast_unsigned()))?.unwrap_or(0);
            let distinct = self.distinct.entry(account).or_default();
            *distinct = (distinct.0 - 1, distinct.1 - size);
        }
        Ok(())
    }

    /// An epoch turns out to be another account's than was thought: damage had taken the record that
    /// said so, and it is restated.
    pub(super) fn move_whereabouts(&mut self, to: &Connection, epoch: EpochId, account: u32) -> Result<()> {
        let known = to
            .prepare_cached("SELECT account FROM epochs WHERE id = ?1")?
            .query_row([epoch.0], |row| row.get::<_, u32>(0))
            .optional()?;
        let Some(before) = known.filter(|&before| before != account) else { return Ok(()) };
        let (first, last) = places(epoch);
        let moved = to
            .prepare_cached(
                "SELECT w.message, m.size, w.place FROM whereabouts w JOIN messages m ON m.number = w.message
                 WHERE w.account = ?1 AND w.place BETWEEN ?2 AND ?3",
            )?
            .query_map((before, first, last), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
            .collect::<Result<Vec<(i64, i64, i64)>, _>>()?;
        for (message, size, at) in moved {
            self.leave_whereabouts(to, before, message, at)?;
            let known = is_known(to, account, message)?;
            self.enter_whereabouts(to, account, (message, size), at, known)?;
        }
        Ok(())
    }
}

fn is_known(to: &Connection, account: u32, message: i64) -> Result<bool> {
    let mut select = to.prepare_cached("SELECT 1 FROM whereabouts WHERE account = ?1 AND message = ?2")?;
    Ok(select.exists((account, message))?)
}

/// Takes away the mailbox of what had lost its own, once nothing is in it any more.
pub(super) fn clear_lost_mailbox(to: &Connection) -> Result<()> {
    to.prepare_cached(
        "DELETE FROM mailboxes WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM epochs WHERE mailbox = ?1)",
    )?
    .execute([LOST])?;
    to.prepare_cached(
        "DELETE FROM accounts WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM epochs WHERE account = ?1)",
    )?
    .execute([LOST])?;
    Ok(())
}
