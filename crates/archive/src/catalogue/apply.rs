//! How anything gets into the catalogue.
//!
//! The writer applies each record when it is learnt, a replay applies the records of the packs: both
//! through [`Applier`], so that they cannot differ. Everything here depends on the records alone, never
//! on time, chance or what was asked in between.
//!
//! Records may refer to things that damage has taken: an account that no record defines is called
//! "lost-" and its number, an epoch that no record defines is put in a mailbox called "lost", a message that no record defines cannot be placed and is counted.

use std::collections::{BTreeSet, HashMap};

use message::{Flags, InternalDate, MessageKey, Uid, UidSet};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::history::clear_lost_mailbox;
use super::{damaged, ledgers, names, schema};
use crate::error::Result;
use crate::frame::NextNumbers;
use crate::ids::{BlobNumber, CommitId, EpochId, MessageNumber, PackId, RunId};
use crate::info::{DrillScope, MailboxSeen, Proof};
use crate::journal::codec::canonical;
use crate::journal::record::{MessageRecord, Placed, Record};
use crate::pack::writer::StoredBlock;
use crate::wire::{put_signed, put_varint};

/// Epoch and UID as one number.
pub(crate) fn place(epoch: EpochId, uid: u32) -> i64 {
    i64::from(epoch.0) << 32 | i64::from(uid)
}

/// The first and the last place of an epoch.
pub(crate) fn places(epoch: EpochId) -> (i64, i64) {
    (place(epoch, 0), place(epoch, u32::MAX))
}

/// Epoch and UID from the one number.
pub(crate) fn unplace(place: i64) -> Option<(EpochId, Uid)> {
    let epoch = u32::try_from(place >> 32).ok()?;
    let uid = u32::try_from(place & 0xffff_ffff).ok()?;
    Some((EpochId(epoch), Uid::new(uid)?))
}

/// Of a hash an index has so many bytes: enough that among many millions hardly two are alike, and what is
/// found by them is compared in full.
pub(crate) const PREFIX_BYTES: usize = 4;

/// The first bytes of a hash as a signed integer, which SQLite keeps in as many bytes.
pub(crate) fn prefix(hash: &[u8; 32]) -> i64 {
    let mut bytes = [0; PREFIX_BYTES];
    bytes.copy_from_slice(&hash[..PREFIX_BYTES]);
    i32::from_be_bytes(bytes).into()
}

/// Numbers as SQLite has them. None that is handed out reaches 2^63.
pub(crate) fn sql(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A recipe as the catalogue keeps it.
pub(crate) fn encode_recipe(blobs: &[BlobNumber], steps: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(8 + blobs.len() * 2 + steps.len());
    put_varint(&mut out, blobs.len() as u64);
    let mut last = 0u64;
    for blob in blobs {
        put_signed(&mut out, blob.0.wrapping_sub(last).cast_signed());
        last = blob.0;
    }
    out.extend_from_slice(steps);
    out
}

/// What is kept between records, because asking for it each time would cost too much. It is written
/// out with each commit.
#[derive(Debug, Default)]
pub(crate) struct Applier {
    flag_sets: HashMap<String, i64>,
    accounts_of_epochs: HashMap<EpochId, u32>,
    /// Changes of `live` and `live_bytes`.
    pub(super) live: HashMap<EpochId, (i64, i64)>,
    /// Changes of an account's `messages` and `message_bytes`.
    pub(super) distinct: HashMap<u32, (i64, i64)>,
    blobs: i64,
    blob_bytes: i64,
    messages: i64,
    message_bytes: i64,
    /// Places whose message no record defines.
    pub(crate) dangling: BTreeSet<i64>,
    pub(super) newest: Newest,
}

/// What saves most of the questions. Numbers ascend, so what has one that is higher than all others is new;
/// a message is mostly placed right after it was recorded; and mostly nothing is in trouble.
#[derive(Debug, Default)]
pub(super) struct Newest {
    blob: Option<i64>,
    message: Option<i64>,
    /// The message that was recorded last, when it was new then, and its size.
    recorded: Option<(i64, i64)>,
    /// Whether that one lies nowhere yet.
    pub(super) is_unplaced: bool,
    /// Whether any place may be in trouble.
    has_troubles: Option<bool>,
    /// Whether names of blobs are put aside until the catalogue is finished.
    names_wait: Option<bool>,
}

impl Newest {
    /// Whether a blob has a number above all others.
    fn is_new_blob(&mut self, to: &Connection, number: i64) -> Result<bool> {
        is_above(&mut self.blob, number, || highest(to, "SELECT ifnull(max(number), 0) FROM blobs"))
    }

    /// Whether a message has a number above all others.
    fn is_new_message(&mut self, to: &Connection, number: i64) -> Result<bool> {
        is_above(&mut self.message, number, || highest(to, "SELECT ifnull(max(number), 0) FROM messages"))
    }

    fn has_troubles(&mut self, to: &Connection) -> Result<bool> {
        ask_once(&mut self.has_troubles, || exists(to, "SELECT 1 FROM troubles LIMIT 1"))
    }

    fn names_wait(&mut self, to: &Connection) -> Result<bool> {
        ask_once(&mut self.names_wait, || exists(to, schema::IS_BEING_MADE))
    }
}

fn is_above(highest: &mut Option<i64>, number: i64, ask: impl FnOnce() -> Result<i64>) -> Result<bool> {
    let known = ask_once(highest, ask)?;
    if number > known {
        *highest = Some(number);
    }
    Ok(number > known)
}

fn ask_once<T: Copy>(known: &mut Option<T>, ask: impl FnOnce() -> Result<T>) -> Result<T> {
    match *known {
        Some(known) => Ok(known),
        None => Ok(*known.insert(ask()?)),
    }
}

fn highest(from: &Connection, select: &str) -> Result<i64> {
    Ok(from.query_row(select, [], |row| row.get(0))?)
}

fn exists(from: &Connection, select: &str) -> Result<bool> {
    Ok(from.prepare(select)?.exists([])?)
}

impl Applier {
    /// Takes note of a pack, or of how far its commits reach now.
    pub(crate) fn pack(&mut self, to: &Connection, pack: PackId, length: u64, sealed: bool) -> Result<i64> {
        let mut insert = to.prepare_cached(
            "INSERT INTO packs (id, length, sealed) VALUES (?1, ?2, ?3)
             ON CONFLICT (id) DO UPDATE SET length = ?2, sealed = ?3 RETURNING number",
        )?;
        Ok(insert.query_row(params![pack.0, sql(length), sealed], |row| row.get(0))?)
    }

    /// A block of a pack. A blob that is elsewhere already has moved here.
    pub(crate) fn block(&mut self, to: &Connection, pack: i64, stored: &StoredBlock) -> Result<()> {
        let directory = &stored.directory;
        let block = put_block(to, pack, stored)?;
        let mut insert = to.prepare_cached("INSERT INTO blobs (number, block, slot) VALUES (?1, ?2, ?3)")?;
        let mut name = to.prepare_cached(match self.newest.names_wait(to)? {
            true => schema::PUT_NAME_ASIDE,
            false => "INSERT OR IGNORE INTO blob_names (prefix, blob) VALUES (?1, ?2)",
        })?;
        for (slot, blob) in directory.blobs.iter().enumerate() {
            let number = sql(blob.number.0);
            if self.newest.is_new_blob(to, number)? || !is_blob_known(to, number)? {
                insert.execute((number, block, slot as i64))?;
                name.execute((prefix(blob.name.as_bytes()), number))?;
                self.blobs += 1;
                self.blob_bytes += i64::from(blob.length);
            } else {
                to.prepare_cached("UPDATE blobs SET block = ?2, slot = ?3 WHERE number = ?1")?.execute((
                    number,
                    block,
                    slot as i64,
                ))?;
            }
        }
        // Wherever they were before: the earlier place may be one that compaction has left out.
        damaged::found_blobs(to, directory.blobs.iter().map(|blob| blob.number))
    }

    /// One record.
    pub(crate) fn record(&mut self, to: &Connection, record: &Record) -> Result<()> {
        match record {
            Record::Account { account, name, protocol } => {
                to.prepare_cached(
                    "INSERT INTO accounts VALUES (?1, ?2, ?3, 0, 0)
                     ON CONFLICT DO UPDATE SET name = ?2, protocol = ?3",
                )?
                .execute((account.0, name, protocol))?;
            }
            Record::RunBegin { run, account, started_ms } => {
                nameless_account(to, account.0)?;
                to.prepare_cached("INSERT OR REPLACE INTO runs VALUES (?1, ?2, ?3, NULL, NULL, 0, 0, 0)")?
                    .execute((run.0, account.0, started_ms))?;
                ledgers::forget(to, *run)?;
            }
            Record::RunEnd { run, finished_ms, outcome, ledger } => {
                ledgers::end_run(to, *run, *finished_ms, (outcome, ledger))?;
            }
            Record::Mailbox { mailbox, account, seen } => self.mailbox(to, mailbox.0, account.0, seen)?,
            Record::MailboxGone { run, mailbox } => {
                to.prepare_cached("UPDATE mailboxes SET gone = ?2 WHERE id = ?1")?
                    .execute((mailbox.0, run.0))?;
                // Restated by repair, it may come behind a later state; nothing is known of that.
                to.prepare_cached("DELETE FROM mailbox_history WHERE mailbox = ?1 AND run > ?2")?
                    .execute((mailbox.0, run.0))?;
                note_history(to, mailbox.0, run.0)?;
                let mut epochs = to.prepare_cached("SELECT id FROM epochs WHERE mailbox = ?1")?;
                let epochs: Vec<u32> =
                    epochs.query_map([mailbox.0], |row| row.get(0))?.collect::<Result<_, _>>()?;
                for epoch in epochs {
                    self.end_epoch(to, *run, EpochId(epoch))?;
                }
            }
            Record::EpochBegin { epoch, mailbox, validity } => {
                let account = to
                    .prepare_cached("SELECT account FROM mailboxes WHERE id = ?1")?
                    .query_row([mailbox.0], |row| row.get::<_, u32>(0))
                    .optional()?;
                let (mailbox, account) = match account {
                    Some(account) => (mailbox.0, account),
                    None => {
                        lost_mailbox(to)?;
                        (LOST, LOST)
                    }
                };
                self.move_whereabouts(to, *epoch, account)?;
                to.prepare_cached(
                    "INSERT INTO epochs VALUES (?1, ?2, ?3, ?4, 0, NULL, NULL, 0, 0, 0)
                     ON CONFLICT (id) DO UPDATE SET mailbox = ?2, account = ?3, validity = ?4",
                )?
                .execute((
                    epoch.0,
                    mailbox,
                    account,
                    validity.map(message::UidValidity::get),
                ))?;
                self.accounts_of_epochs.insert(*epoch, account);
                if account != LOST {
                    clear_lost_mailbox(to)?;
                }
            }
            Record::EpochEnd { run, epoch } => self.end_epoch(to, *run, *epoch)?,
            Record::Message(message) => self.message(to, message)?,
            Record::Placed { run, epoch, placed } => self.placed(to, *run, *epoch, placed)?,
            Record::FlagsChanged { run, epoch, uid, flags } => {
                self.flags_changed(to, *run, place(*epoch, uid.get()), flags)?;
            }
            Record::Vanished { run, epoch, uids } => self.vanished(to, *run, *epoch, uids)?,
            Record::Proven { epoch, uids } => {
                let mut update = to.prepare_cached(
                    "UPDATE placements SET proof = 0
                     WHERE proof = 1 AND place BETWEEN ?1 AND ?2 AND last_run IS NULL",
                )?;
                for range in uids.ranges() {
                    update.execute((place(*epoch, range.start().get()), place(*epoch, range.end().get())))?;
                }
            }
            Record::Mark { epoch, mark } => {
                to.prepare_cached(
                    "UPDATE epochs SET marked = 1, uid_next = ?2, modseq = ?3, mark_messages = ?4 WHERE id = ?1",
                )?
                .execute((
                    epoch.0,
                    mark.uid_next.map(Uid::get),
                    // RFC 7162: modification sequences are positive 63-bit numbers.
                    mark.highest_modseq.map(|modseq| modseq.0.cast_signed()),
                    mark.messages,
                ))?;
            }
            Record::Trouble { run, epoch, uid, reason } => {
                to.prepare_cached(
                    "INSERT INTO troubles VALUES (?1, ?2, 1, ?3) ON CONFLICT DO UPDATE
                     SET reason = ?2, attempts = attempts + (last_run <> ?3), last_run = ?3",
                )?
                .execute((place(*epoch, uid.get()), reason, run.0))?;
                self.newest.has_troubles = Some(true);
            }
            Record::Alarm { run, account } => {
                to.prepare_cached("INSERT OR REPLACE INTO alarms VALUES (?1, ?2, 0)")?
                    .execute((run.0, account.0))?;
            }
            Record::Acknowledged { account, run } => {
                to.prepare_cached("UPDATE alarms SET acknowledged = 1 WHERE account = ?1 AND run <= ?2")?
                    .execute((account.0, run.0))?;
            }
            Record::Drilled { account, drill } => {
                to.prepare_cached(
                    "INSERT OR REPLACE INTO drills VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )?
                .execute(params![
                    account.0,
                    drill.scope == DrillScope::Sample,
                    drill.as_of.map(|run| run.0),
                    drill.started_ms,
                    drill.finished_ms,
                    sql(drill.messages_asked),
                    sql(drill.messages_proven),
                    sql(drill.bytes_asked),
                    sql(drill.bytes_proven),
                    drill.outcome,
                ])?;
            }
            Record::Names { epoch, names } => names::note(to, *epoch, names)?,
            Record::Restated { epoch, uid, history } => self.restate(to, *epoch, *uid, history)?,
            Record::KnownDamage(damage) => damaged::note_damage(to, damage)?,
            Record::Lost { blobs, messages } => damaged::note(to, blobs, messages)?,
        }
        Ok(())
    }

    /// The end of a commit: sums are written out, and how far the packs have been applied.
    pub(crate) fn commit(
        &mut self,
        to: &Connection,
        commit: CommitId,
        position: (PackId, u64),
        next: NextNumbers,
    ) -> Result<()> {
        let epochs: Vec<EpochId> = self.live.keys().copied().collect();
        for epoch in epochs {
            self.write_live(to, epoch)?;
        }
        for (account, (messages, bytes)) in self.distinct.drain() {
            to.prepare_cached(
                "UPDATE accounts SET messages = messages + ?2, message_bytes = message_bytes + ?3 WHERE id = ?1",
            )?
            .execute((account, messages, bytes))?;
        }
        to.prepare_cached(
            "UPDATE state SET commit_number = ?1, commit_check = ?2, pack = ?3, pack_end = ?4,
                next_blob = max(next_blob, ?5), next_message = max(next_message, ?6),
                next_account = max(next_account, ?7), next_mailbox = max(next_mailbox, ?8),
                next_epoch = max(next_epoch, ?9), next_run = max(next_run, ?10),
                blobs = blobs + ?11, blob_bytes = blob_bytes + ?12,
                messages = messages + ?13, message_bytes = message_bytes + ?14",
        )?
        .execute(params![
            sql(commit.number),
            commit.check,
            position.0.0,
            sql(position.1),
            sql(next.blob),
            sql(next.message),
            next.account,
            next.mailbox,
            next.epoch,
            next.run,
            std::mem::take(&mut self.blobs),
            std::mem::take(&mut self.blob_bytes),
            std::mem::take(&mut self.messages),
            std::mem::take(&mut self.message_bytes),
        ])?;
        Ok(())
    }

    fn mailbox(&mut self, to: &Connection, mailbox: u32, account: u32, seen: &MailboxSeen) -> Result<()> {
        nameless_account(to, account)?;
        let attributes: String =
            seen.attributes.iter().flat_map(|attribute| [attribute.as_str(), "\n"]).collect();
        to.prepare_cached(
            "INSERT OR REPLACE INTO mailboxes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, NULL)",
        )?
        .execute(params![
            mailbox,
            account,
            seen.name.identity(),
            seen.name.raw(),
            seen.name.encoding() == message::NameEncoding::Utf8,
            seen.name.delimiter(),
            attributes,
            seen.special_use,
            seen.subscribed,
            seen.object_id,
            seen.selectable,
        ])?;
        // The record has no run; it was written in the newest one of its account.
        let run = to
            .prepare_cached("SELECT ifnull(max(id), 0) FROM runs WHERE account = ?1")?
            .query_row([account], |row| row.get(0))?;
        note_history(to, mailbox, run)
    }

    fn message(&mut self, to: &Connection, message: &MessageRecord) -> Result<()> {
        let recipe = encode_recipe(&message.blobs, &message.steps);
        let (number, key) = (sql(message.number.0), message.key.as_bytes());
        if !self.newest.is_new_message(to, number)? {
            let known = to
                .prepare_cached("UPDATE messages SET recipe = ?2 WHERE number = ?1")?
                .execute((number, &recipe))?;
            if known == 1 {
                return damaged::found_message(to, message.number);
            }
        }
        self.newest.recorded = Some((number, sql(message.size)));
        self.newest.is_unplaced = true;
        to.prepare_cached("INSERT INTO messages VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)")?.execute(
            params![
                number,
                prefix(key),
                &key[PREFIX_BYTES..],
                sql(message.size),
                message.date,
                message.subject,
                message.from,
                recipe,
            ],
        )?;
        self.messages += 1;
        self.message_bytes += sql(message.size);
        Ok(())
    }

    fn placed(&mut self, to: &Connection, run: RunId, epoch: EpochId, placed: &Placed) -> Result<()> {
        let number = sql(placed.message.0);
        let at = place(epoch, placed.uid.get());
        let recorded = self.newest.recorded.filter(|(recorded, _)| *recorded == number);
        let size = match recorded {
            Some((_, size)) => Some(size),
            None => size_of(to, placed.message)?,
        };
        let Some(size) = size else {
            if self.dangling.len() < DANGLING_KEPT {
                self.dangling.insert(at);
            }
            return Ok(());
        };
        self.dangling.remove(&at);
        let (date, zone, raw) = date_columns(&placed.date);
        let flags = self.flag_set(to, &placed.flags)?;
        let mut insert = to.prepare_cached(
            "INSERT OR IGNORE INTO placements VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, NULL)",
        )?;
        let row = params![at, number, date, zone, raw, flags, placed.proof == Proof::Header, run.0];
        if insert.execute(row)? == 0 {
            self.put_aside(to, run, epoch, at)?;
            insert.execute(row)?;
        }
        let live = self.live.entry(epoch).or_default();
        *live = (live.0 + 1, live.1 + size);
        let lies_nowhere = recorded.is_some() && std::mem::take(&mut self.newest.is_unplaced);
        self.note_whereabouts(to, epoch, at, (number, size), lies_nowhere)?;
        if self.newest.has_troubles(to)? {
            to.prepare_cached("DELETE FROM troubles WHERE place = ?1")?.execute([at])?;
        }
        Ok(())
    }

    /// Makes room for what lies under a UID now: what lay there becomes history.
    fn put_aside(&mut self, to: &Connection, run: RunId, epoch: EpochId, at: i64) -> Result<()> {
        let before = to
            .prepare_cached(
                "SELECT m.size, p.last_run IS NULL FROM placements p JOIN messages m ON m.number = p.message
                 WHERE place = ?1",
            )?
            .query_row([at], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, bool>(1)?)))
            .optional()?;
        let Some((size, was_live)) = before else { return Ok(()) };
        to.prepare_cached(
            "INSERT OR IGNORE INTO former SELECT place, ifnull(last_run, ?2), first_run, message, date, zone,
                raw_date, flags, proof FROM placements WHERE place = ?1",
        )?
        .execute((at, run.0))?;
        to.prepare_cached("DELETE FROM placements WHERE place = ?1")?.execute([at])?;
        if was_live {
            let live = self.live.entry(epoch).or_default();
            *live = (live.0 - 1, live.1 - size);
        }
        Ok(())
    }

    fn flags_changed(&mut self, to: &Connection, run: RunId, at: i64, flags: &Flags) -> Result<()> {
        let held = to
            .prepare_cached("SELECT flags, first_run FROM placements WHERE place = ?1 AND last_run IS NULL")?
            .query_row([at], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?)))
            .optional()?;
        let Some((held, first_run)) = held else { return Ok(()) };
        let flags = self.flag_set(to, flags)?;
        if flags == held {
            return Ok(());
        }
        // What a run saw first and then saw change was never there as of any run.
        if first_run != run.0 {
            to.prepare_cached("INSERT OR IGNORE INTO flag_history VALUES (?1, ?2, ?3)")?
                .execute((at, run.0, held))?;
        }
        to.prepare_cached("UPDATE placements SET flags = ?2 WHERE place = ?1")?.execute((at, flags))?;
        Ok(())
    }

    fn vanished(&mut self, to: &Connection, run: RunId, epoch: EpochId, uids: &UidSet) -> Result<()> {
        for range in uids.ranges() {
            let (first, last) = (place(epoch, range.start().get()), place(epoch, range.end().get()));
            let (count, bytes): (i64, i64) = to
                .prepare_cached(
                    "SELECT count(*), ifnull(sum(m.size), 0) FROM placements p JOIN messages m ON m.number = p.message
                     WHERE place BETWEEN ?1 AND ?2 AND last_run IS NULL",
                )?
                .query_row((first, last), |row| Ok((row.get(0)?, row.get(1)?)))?;
            to.prepare_cached(
                "UPDATE placements SET last_run = ?3 WHERE place BETWEEN ?1 AND ?2 AND last_run IS NULL",
            )?
            .execute((first, last, run.0))?;
            to.prepare_cached("DELETE FROM troubles WHERE place BETWEEN ?1 AND ?2")?
                .execute((first, last))?;
            let live = self.live.entry(epoch).or_default();
            *live = (live.0 - count, live.1 - bytes);
        }
        Ok(())
    }

    fn end_epoch(&mut self, to: &Connection, run: RunId, epoch: EpochId) -> Result<()> {
        let (first, last) = places(epoch);
        to.prepare_cached(
            "UPDATE placements SET last_run = ?3 WHERE place BETWEEN ?1 AND ?2 AND last_run IS NULL",
        )?
        .execute((first, last, run.0))?;
        to.prepare_cached("DELETE FROM troubles WHERE place BETWEEN ?1 AND ?2")?.execute((first, last))?;
        self.live.remove(&epoch);
        to.prepare_cached("UPDATE epochs SET live = 0, live_bytes = 0 WHERE id = ?1")?.execute([epoch.0])?;
        Ok(())
    }

    fn write_live(&mut self, to: &Connection, epoch: EpochId) -> Result<()> {
        if let Some((count, bytes)) = self.live.remove(&epoch) {
            to.prepare_cached(
                "UPDATE epochs SET live = live + ?2, live_bytes = live_bytes + ?3 WHERE id = ?1",
            )?
            .execute((epoch.0, count, bytes))?;
        }
        Ok(())
    }

    pub(super) fn flag_set(&mut self, to: &Connection, flags: &Flags) -> Result<i64> {
        /// Sets kept in memory; a mailbox has a few dozen.
        const KEPT: usize = 4096;
        let text = flags.to_string();
        if let Some(&id) = self.flag_sets.get(&text) {
            return Ok(id);
        }
        let known = to
            .prepare_cached("SELECT id FROM flag_sets WHERE flags = ?1")?
            .query_row([&text], |row| row.get(0))
            .optional()?;
        let id = match known {
            Some(id) => id,
            None => {
                to.prepare_cached("INSERT INTO flag_sets (flags) VALUES (?1)")?.execute([&text])?;
                to.last_insert_rowid()
            }
        };
        if self.flag_sets.len() >= KEPT {
            self.flag_sets.clear();
        }
        self.flag_sets.insert(text, id);
        Ok(id)
    }

    pub(super) fn account_of(&mut self, to: &Connection, epoch: EpochId) -> Result<u32> {
        if let Some(&account) = self.accounts_of_epochs.get(&epoch) {
            return Ok(account);
        }
        let account = to
            .prepare_cached("SELECT account FROM epochs WHERE id = ?1")?
            .query_row([epoch.0], |row| row.get(0))
            .optional()?;
        let account = match account {
            Some(account) => account,
            None => {
                lost_mailbox(to)?;
                to.prepare_cached("INSERT INTO epochs VALUES (?1, ?2, ?2, NULL, 0, NULL, NULL, 0, 0, 0)")?
                    .execute((epoch.0, LOST))?;
                LOST
            }
        };
        self.accounts_of_epochs.insert(epoch, account);
        Ok(account)
    }
}

/// A block without its blobs; its number.
pub(super) fn put_block(to: &Connection, pack: i64, stored: &StoredBlock) -> Result<i64> {
    let StoredBlock { offset, directory_bytes, body_bytes, directory } = stored;
    let plain_bytes: u64 = directory.blobs.iter().map(|blob| u64::from(blob.length)).sum();
    to.prepare_cached(
        "INSERT INTO blocks (pack, start, stream, directory, stored, plain) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?
    .execute((
        pack,
        sql(*offset),
        directory.stream as u8,
        sql(*directory_bytes),
        sql(*body_bytes),
        sql(plain_bytes),
    ))?;
    Ok(to.last_insert_rowid())
}

/// So many places of messages without a record are named; more are only fetched again.
const DANGLING_KEPT: usize = 100_000;

/// The number of the account and the mailbox for what has lost its own; others begin at 1.
pub(super) const LOST: u32 = 0;

/// An account whose own record is lost has a name all the same, so that what is in it is listed.
fn nameless_account(to: &Connection, account: u32) -> Result<()> {
    to.prepare_cached("INSERT OR IGNORE INTO accounts VALUES (?1, 'lost-' || ?1, '', 0, 0)")?
        .execute([account])?;
    Ok(())
}

/// From this run on the mailbox is what it is now.
fn note_history(to: &Connection, mailbox: u32, run: u32) -> Result<()> {
    to.prepare_cached(
        "INSERT OR REPLACE INTO mailbox_history SELECT id, ?2, raw, utf8, delimiter, attributes, special_use,
           subscribed, object_id, selectable, gone FROM mailboxes WHERE id = ?1",
    )?
    .execute((mailbox, run))?;
    Ok(())
}

fn lost_mailbox(to: &Connection) -> Result<()> {
    to.execute("INSERT OR IGNORE INTO accounts VALUES (?1, 'lost', '', 0, 0)", [LOST])?;
    to.execute(
        "INSERT OR IGNORE INTO mailboxes VALUES (?1, ?1, x'6c6f7374', x'6c6f7374', 0, NULL, '', NULL, 0, NULL, 1, NULL)",
        [LOST],
    )?;
    Ok(())
}

fn is_blob_known(to: &Connection, number: i64) -> Result<bool> {
    Ok(to.prepare_cached("SELECT 1 FROM blobs WHERE number = ?1")?.exists([number])?)
}

pub(super) fn size_of(to: &Connection, message: MessageNumber) -> Result<Option<i64>> {
    let mut select = to.prepare_cached("SELECT size FROM messages WHERE number = ?1")?;
    Ok(select.query_row([sql(message.0)], |row| row.get(0)).optional()?)
}

/// Seconds, zone and, only where these two do not give it back, the text.
pub(super) fn date_columns(date: &InternalDate) -> (Option<i64>, Option<i16>, Option<&str>) {
    match canonical(date) {
        Some((unix, zone)) => (Some(unix), Some(zone), None),
        None => (date.unix(), None, Some(date.raw())),
    }
}

/// The number of a message by its key.
pub(crate) fn message_number(from: &Connection, key: &MessageKey) -> Result<Option<MessageNumber>> {
    let mut select = from.prepare_cached("SELECT number FROM messages WHERE prefix = ?1 AND rest = ?2")?;
    let number: Option<i64> = select
        .query_row((prefix(key.as_bytes()), &key.as_bytes()[PREFIX_BYTES..]), |row| row.get(0))
        .optional()?;
    Ok(number.map(|number| MessageNumber(number.cast_unsigned())))
}
