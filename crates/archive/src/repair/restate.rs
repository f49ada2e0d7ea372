//! What a catalogue knows and the packs have lost, as journal records that say it again.
//!
//! Two catalogues are compared: the one that is there, which had applied every record before it was damaged,
//! and one made from the packs as they are. Where they differ, the first is restated. A record sets the
//! whole of what it speaks of (an account, a run, a mailbox, an epoch, a message, all that ever lay under a
//! UID), so that it may be applied over whatever is known, and twice as well as once.
//!
//! A catalogue is asked only when the journal is damaged, only when it is sound, and only if the two do not
//! contradict each other in what never changes. What it knows of messages that could not be had is not
//! restated: they are tried again.

use std::collections::BTreeMap;

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::catalogue::apply::unplace;
use crate::catalogue::{history, names, query};
use crate::error::Result;
use crate::frame::limit;
use crate::ids::{AccountId, EpochId, MailboxId, MessageNumber, RunId};
use crate::info::PopName;
use crate::journal::record::{MessageRecord, Record};

/// How much was said again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Restated {
    /// Accounts.
    pub accounts: u64,
    /// Runs.
    pub runs: u64,
    /// Mailboxes.
    pub mailboxes: u64,
    /// Mailboxes under one UIDVALIDITY.
    pub epochs: u64,
    /// Messages: what they are made of.
    pub messages: u64,
    /// UIDs: what ever lay there.
    pub places: u64,
    /// UIDs of POP3 maildrops: what their messages were known by.
    pub names: u64,
}

impl Restated {
    /// Whether nothing was.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    pub(super) fn count(&mut self, record: &Record) {
        match record {
            Record::Account { .. } => self.accounts += 1,
            Record::RunBegin { .. } => self.runs += 1,
            Record::Mailbox { .. } => self.mailboxes += 1,
            Record::EpochBegin { .. } => self.epochs += 1,
            Record::Message(_) => self.messages += 1,
            Record::Restated { .. } => self.places += 1,
            Record::Names { names, .. } => self.names += names.len() as u64,
            _ => {}
        }
    }

    pub(super) fn add(&mut self, more: Self) {
        self.accounts += more.accounts;
        self.runs += more.runs;
        self.mailboxes += more.mailboxes;
        self.epochs += more.epochs;
        self.messages += more.messages;
        self.places += more.places;
        self.names += more.names;
    }
}

/// Everything in which the packs say something else than the catalogue that had applied them. `None` when
/// the two are not of one history.
pub(super) fn all(knows: &Connection, packs_say: &Connection) -> Result<Option<Vec<Record>>> {
    restate(knows, packs_say, false)
}

/// Only what the packs know nothing of: for a catalogue that has not applied all of them.
pub(super) fn what_is_unknown(knows: &Connection, packs_say: &Connection) -> Result<Option<Vec<Record>>> {
    restate(knows, packs_say, true)
}

const ACCOUNTS: &str = "SELECT id, name, protocol FROM accounts WHERE id > 0 ORDER BY id";
/// A ledger is in the same record as the outcome.
const RUNS: &str =
    "SELECT id, account, started_ms, finished_ms, outcome, new, vanished, suspicious FROM runs ORDER BY id";
const ALARMS: &str = "SELECT run, account, acknowledged FROM alarms ORDER BY run";
const DRILLS: &str = "SELECT * FROM drills ORDER BY account";
const MAILBOXES: &str =
    "SELECT id, account, identity, raw, utf8, delimiter, attributes, special_use, subscribed,
    object_id, selectable, gone FROM mailboxes WHERE id > 0 ORDER BY id";
const EPOCHS: &str = "SELECT id, mailbox, validity, marked, uid_next, modseq, mark_messages FROM epochs
    WHERE mailbox > 0 ORDER BY id";
const NAMES: &str = "SELECT place, octets, uidl FROM names ORDER BY place";
const MESSAGES: &str = "SELECT number, prefix, rest FROM messages ORDER BY number";
const PLACEMENTS: &str =
    "SELECT p.place, p.message, p.date, p.zone, p.raw_date, s.flags, p.proof, p.first_run,
    p.last_run FROM placements p JOIN flag_sets s ON s.id = p.flags ORDER BY p.place";
const FORMER: &str = "SELECT p.place, p.message, p.date, p.zone, p.raw_date, s.flags, p.proof, p.first_run,
    p.last_run FROM former p JOIN flag_sets s ON s.id = p.flags
    ORDER BY p.place, p.last_run, p.first_run, p.message";
const FLAG_HISTORY: &str =
    "SELECT h.place, h.run, s.flags FROM flag_history h JOIN flag_sets s ON s.id = h.flags
    ORDER BY h.place, h.run";

fn restate(knows: &Connection, packs_say: &Connection, only_unknown: bool) -> Result<Option<Vec<Record>>> {
    let messages = differing(knows, packs_say, MESSAGES)?;
    // A message's number never means another message; a UIDVALIDITY never changes.
    if messages.values().any(|&known| known) || query::other_validity(knows, packs_say)? {
        return Ok(None);
    }
    let wanted = |differing: BTreeMap<i64, bool>| {
        differing.into_iter().filter(move |&(_, known)| !(only_unknown && known)).map(|(key, _)| key)
    };
    let mut records = Vec::new();
    for id in wanted(differing(knows, packs_say, ACCOUNTS)?) {
        for known in query::accounts(knows)?.into_iter().filter(|known| i64::from(known.id.0) == id) {
            let (account, name, protocol) = (known.id, known.name, known.protocol);
            records.push(Record::Account { account, name, protocol });
        }
    }
    for id in wanted(differing(knows, packs_say, RUNS)?) {
        records.extend(run(knows, RunId(number(id)))?);
    }
    for id in wanted(differing(knows, packs_say, ALARMS)?) {
        records.extend(alarm(knows, RunId(number(id)))?);
    }
    for id in wanted(differing(knows, packs_say, DRILLS)?) {
        let account = AccountId(number(id));
        let drill = query::last_drill(knows, account)?;
        records.extend(drill.map(|drill| Record::Drilled { account, drill }));
    }
    for id in wanted(differing(knows, packs_say, MAILBOXES)?) {
        records.extend(mailbox(knows, MailboxId(number(id)))?);
    }
    let epochs: Vec<i64> = wanted(differing(knows, packs_say, EPOCHS)?).collect();
    for &id in &epochs {
        records.extend(epoch(knows, EpochId(number(id)))?);
    }
    records.extend(maildrop_names(knows, wanted(differing(knows, packs_say, NAMES)?))?);
    for number in wanted(messages) {
        if let Some(row) = query::message_row(knows, MessageNumber(number.cast_unsigned()))? {
            records.push(Record::Message(MessageRecord::from_row(&row)?));
        }
    }
    let mut places = BTreeMap::new();
    for table in [PLACEMENTS, FORMER, FLAG_HISTORY] {
        for (at, _) in differing(knows, packs_say, table)? {
            places.insert(at, query::has_place(packs_say, at)?);
        }
    }
    for at in wanted(places) {
        if let Some((epoch, uid)) = unplace(at) {
            records.push(Record::Restated { epoch, uid, history: history::history(knows, at)? });
        }
    }
    for id in epochs {
        let epoch = EpochId(number(id));
        if let Some(mark) = query::epoch(knows, epoch)?.and_then(|known| known.mark) {
            records.push(Record::Mark { epoch, mark });
        }
    }
    Ok(Some(records))
}

fn number(id: i64) -> u32 {
    u32::try_from(id).unwrap_or(0)
}

fn run(knows: &Connection, run: RunId) -> Result<Vec<Record>> {
    let Some(known) = query::run(knows, run)? else { return Ok(Vec::new()) };
    let mut records = vec![Record::RunBegin { run, account: known.account, started_ms: known.started_ms }];
    if let (Some(finished_ms), Some(outcome), Some(ledger)) =
        (known.finished_ms, known.outcome, known.ledger_json)
    {
        records.push(Record::RunEnd { run, finished_ms, outcome, ledger });
    }
    Ok(records)
}

/// What was acknowledged was acknowledged with all alarms before it.
fn alarm(knows: &Connection, run: RunId) -> Result<Vec<Record>> {
    let Some((account, acknowledged)) = query::alarm(knows, run)? else { return Ok(Vec::new()) };
    let mut records = vec![Record::Alarm { run, account }];
    records.extend(acknowledged.then_some(Record::Acknowledged { account, run }));
    Ok(records)
}

fn mailbox(knows: &Connection, mailbox: MailboxId) -> Result<Vec<Record>> {
    let (Some(known), Some(account)) =
        (query::mailbox_row(knows, mailbox)?, query::mailbox_account(knows, mailbox)?)
    else {
        return Ok(Vec::new());
    };
    let mut records = vec![Record::Mailbox { mailbox, account, seen: known.seen }];
    records.extend(known.gone.map(|run| Record::MailboxGone { run, mailbox }));
    Ok(records)
}

fn epoch(knows: &Connection, epoch: EpochId) -> Result<Option<Record>> {
    let (Some((mailbox, AccountId(_))), Some(known)) =
        (query::epoch_owner(knows, epoch)?, query::epoch(knows, epoch)?)
    else {
        return Ok(None);
    };
    Ok(Some(Record::EpochBegin { epoch, mailbox, validity: known.validity }))
}

/// What is known of these places, epoch by epoch. UID 0 has no name, and says all the same that its epoch is a
/// maildrop.
fn maildrop_names(knows: &Connection, places: impl Iterator<Item = i64>) -> Result<Vec<Record>> {
    let mut by_epoch: BTreeMap<u32, Vec<PopName>> = BTreeMap::new();
    for at in places {
        let Ok(epoch) = u32::try_from(at >> 32) else { continue };
        by_epoch.entry(epoch).or_default().extend(names::name(knows, at)?);
    }
    let mut records = Vec::new();
    for (epoch, names) in by_epoch {
        let epoch = EpochId(epoch);
        if names.is_empty() {
            records.push(Record::Names { epoch, names: Vec::new() });
        }
        let parts = names.chunks(limit::NAMES_IN_RECORD);
        records.extend(parts.map(|names| Record::Names { epoch, names: names.to_vec() }));
    }
    Ok(records)
}

/// The keys (first column) under which `left` has other rows than `right`, and whether `right` has any.
/// Runs through both in step and holds the rows of one key of each.
fn differing(left: &Connection, right: &Connection, select: &str) -> Result<BTreeMap<i64, bool>> {
    let (mut left, mut right) = (left.prepare(select)?, right.prepare(select)?);
    let columns = left.column_count();
    let (mut left, mut right) =
        (Groups::new(left.query([])?, columns)?, Groups::new(right.query([])?, columns)?);
    let mut differing = BTreeMap::new();
    while let Some(key) = left.key {
        while right.key.is_some_and(|other| other < key) {
            right.advance()?;
        }
        let known = right.key == Some(key);
        if !known || left.rows != right.rows {
            differing.insert(key, known);
        }
        left.advance()?;
    }
    Ok(differing)
}

/// Rows with the same key, one key after the other.
struct Groups<'s> {
    rows_to_come: rusqlite::Rows<'s>,
    columns: usize,
    ahead: Option<Vec<Value>>,
    key: Option<i64>,
    rows: Vec<Vec<Value>>,
}

impl<'s> Groups<'s> {
    fn new(rows: rusqlite::Rows<'s>, columns: usize) -> Result<Self> {
        let mut groups = Self { rows_to_come: rows, columns, ahead: None, key: None, rows: Vec::new() };
        groups.ahead = groups.fetch()?;
        groups.advance()?;
        Ok(groups)
    }

    fn fetch(&mut self) -> Result<Option<Vec<Value>>> {
        let Some(row) = self.rows_to_come.next()? else { return Ok(None) };
        Ok(Some((0..self.columns).map(|column| row.get(column)).collect::<Result<_, _>>()?))
    }

    fn advance(&mut self) -> Result<()> {
        self.rows.clear();
        self.key = self.ahead.as_deref().and_then(key_of);
        while self.ahead.is_some() && self.ahead.as_deref().and_then(key_of) == self.key {
            self.rows.extend(self.ahead.take());
            self.ahead = self.fetch()?;
        }
        Ok(())
    }
}

fn key_of(row: &[Value]) -> Option<i64> {
    match row.first() {
        Some(Value::Integer(key)) => Some(*key),
        _ => None,
    }
}
