//! Records as bytes.
//!
//! A record is its type (one byte), the length of what follows (varint), and that. Numbers that tend
//! to rise by little (UIDs, message and blob numbers, dates) are written as the difference from the
//! last one in the same frame; run and epoch stand in a record of their own when they change. Message
//! keys do not compress and would spoil the compression of what stands beside them, so they are the
//! frame's directory, in the order of the message records.
//!
//! A frame is read alone: all differences begin at zero in each. Rules J1 to J8.

use message::{Flags, InternalDate, MailboxName, MessageKey, ModSeq, NameEncoding, Uid, UidSet, UidValidity};

use super::names::{longest_names, put_names, take_names};
use super::record::{History, MessageRecord, Placed, Record, Stay};
use crate::damage::KnownDamage;
use crate::frame::limit;
use crate::ids::{AccountId, BlobNumber, EpochId, MailboxId, MessageNumber, PackId, RunId};
use crate::info::{DrillInfo, DrillScope, MailboxSeen, Mark, Proof};
use crate::wire::{Cursor, Malformed, malformed, put_bytes, put_signed, put_varint};

mod kind {
    //! The numbers of the record types.
    pub(super) const ACCOUNT: u8 = 1;
    pub(super) const RUN_BEGIN: u8 = 2;
    pub(super) const RUN_END: u8 = 3;
    pub(super) const MAILBOX: u8 = 4;
    pub(super) const MAILBOX_GONE: u8 = 5;
    pub(super) const EPOCH_BEGIN: u8 = 6;
    pub(super) const EPOCH_END: u8 = 7;
    pub(super) const MESSAGE: u8 = 8;
    pub(super) const PLACED: u8 = 9;
    pub(super) const FLAGS_CHANGED: u8 = 10;
    pub(super) const VANISHED: u8 = 11;
    pub(super) const PROVEN: u8 = 12;
    pub(super) const MARK: u8 = 13;
    pub(super) const TROUBLE: u8 = 14;
    /// Which run and epoch the next records are about.
    pub(super) const AT: u8 = 15;
    pub(super) const RESTATED: u8 = 16;
    pub(super) const ALARM: u8 = 152;
    pub(super) const ACKNOWLEDGED: u8 = 153;
    pub(super) const DRILLED: u8 = 154;
    pub(super) const NAMES: u8 = 155;
    /// Types with this bit may be skipped by who does not know them (J3).
    pub(super) const SKIPPABLE: u8 = 0x80;
    pub(super) const KNOWN_DAMAGE: u8 = SKIPPABLE;
    pub(super) const LOST: u8 = SKIPPABLE | 1;
}

/// A record that this version must not skip and does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum JournalError {
    #[error(transparent)]
    Malformed(#[from] Malformed),
    #[error("a journal record of type {0} is not known to this version of restante")]
    UnknownRecord(u8),
}

/// What differences are taken from.
#[derive(Default)]
struct Context {
    run: u32,
    epoch: u32,
    uid: u32,
    placed: u64,
    placed_date: i64,
    message: u64,
    blob: u64,
    date: i64,
}

/// Writes the records of one frame.
#[derive(Default)]
pub(crate) struct Encoder {
    context: Context,
    records: Vec<u8>,
    keys: Vec<u8>,
    payload: Vec<u8>,
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Encoder({} bytes)", self.records.len())
    }
}

impl Encoder {
    /// Adds a record. `Err` gives its length when it is larger than a record may be; the frame is as
    /// it was before.
    pub(crate) fn add(&mut self, record: &Record) -> Result<(), usize> {
        let bound = longest_payload(record);
        if bound > limit::RECORD_BYTES {
            return Err(bound);
        }
        let (run, epoch) = place_of(record);
        let (run, epoch) =
            (run.map_or(self.context.run, |run| run.0), epoch.map_or(self.context.epoch, |epoch| epoch.0));
        if (run, epoch) != (self.context.run, self.context.epoch) {
            let mut at = Vec::new();
            put_varint(&mut at, run.into());
            put_varint(&mut at, epoch.into());
            self.push(kind::AT, &at);
            (self.context.run, self.context.epoch) = (run, epoch);
        }
        let mut payload = std::mem::take(&mut self.payload);
        payload.clear();
        let kind = self.payload(record, &mut payload);
        self.push(kind, &payload);
        self.payload = payload;
        Ok(())
    }

    fn push(&mut self, kind: u8, payload: &[u8]) {
        self.records.push(kind);
        put_bytes(&mut self.records, payload);
    }

    /// Bytes of the records so far, before compression, with their keys.
    pub(crate) fn length(&self) -> usize {
        self.records.len() + self.keys.len()
    }

    /// Whether no further message record has room for its key.
    pub(crate) fn keys_are_full(&self) -> bool {
        self.keys.len() / 32 >= limit::KEYS_IN_FRAME
    }

    /// The frame's directory and body; `None` when nothing was added. What is added next begins a frame.
    pub(crate) fn take(&mut self) -> Option<(Vec<u8>, Vec<u8>)> {
        let frame = std::mem::take(self);
        (!frame.records.is_empty()).then_some((frame.keys, frame.records))
    }

    fn payload(&mut self, record: &Record, out: &mut Vec<u8>) -> u8 {
        match record {
            Record::Account { account, name, protocol } => {
                put_varint(out, account.0.into());
                put_bytes(out, name.as_bytes());
                put_bytes(out, protocol.as_bytes());
                kind::ACCOUNT
            }
            Record::RunBegin { account, started_ms, .. } => {
                put_varint(out, account.0.into());
                put_signed(out, *started_ms);
                kind::RUN_BEGIN
            }
            Record::RunEnd { finished_ms, outcome, ledger, .. } => {
                put_signed(out, *finished_ms);
                put_bytes(out, outcome.as_bytes());
                put_bytes(out, ledger.as_bytes());
                kind::RUN_END
            }
            Record::Mailbox { mailbox, account, seen } => {
                put_varint(out, mailbox.0.into());
                put_varint(out, account.0.into());
                put_seen(out, seen);
                kind::MAILBOX
            }
            Record::MailboxGone { mailbox, .. } => {
                put_varint(out, mailbox.0.into());
                kind::MAILBOX_GONE
            }
            Record::EpochBegin { mailbox, validity, .. } => {
                put_varint(out, mailbox.0.into());
                put_varint(out, validity.map_or(0, UidValidity::get).into());
                kind::EPOCH_BEGIN
            }
            Record::EpochEnd { .. } => kind::EPOCH_END,
            Record::Message(message) => {
                self.put_message(out, message);
                kind::MESSAGE
            }
            Record::Placed { placed, .. } => {
                self.put_placed(out, placed);
                kind::PLACED
            }
            Record::FlagsChanged { uid, flags, .. } => {
                self.put_uid(out, *uid);
                out.extend_from_slice(flags.to_string().as_bytes());
                kind::FLAGS_CHANGED
            }
            Record::Vanished { uids, .. } => {
                put_uids(out, uids);
                kind::VANISHED
            }
            Record::Proven { uids, .. } => {
                put_uids(out, uids);
                kind::PROVEN
            }
            Record::Mark { mark, .. } => {
                put_varint(out, mark.uid_next.map_or(0, Uid::get).into());
                // One more than the number, 0 for none: 0 itself is a number that may be said.
                put_varint(out, mark.highest_modseq.map_or(0, |modseq| modseq.0.saturating_add(1)));
                put_varint(out, mark.messages.into());
                kind::MARK
            }
            Record::Trouble { uid, reason, .. } => {
                self.put_uid(out, *uid);
                out.extend_from_slice(reason.as_bytes());
                kind::TROUBLE
            }
            Record::Alarm { account, .. } => {
                put_varint(out, account.0.into());
                kind::ALARM
            }
            Record::Acknowledged { account, run } => {
                put_varint(out, account.0.into());
                put_varint(out, run.0.into());
                kind::ACKNOWLEDGED
            }
            Record::Drilled { account, drill } => {
                put_varint(out, account.0.into());
                put_drill(out, drill);
                kind::DRILLED
            }
            Record::Names { names, .. } => {
                put_names(out, names);
                kind::NAMES
            }
            Record::Restated { uid, history, .. } => {
                self.put_uid(out, *uid);
                self.put_history(out, history);
                kind::RESTATED
            }
            Record::KnownDamage(damage) => {
                out.extend_from_slice(&damage.pack.0);
                out.push(damage.kind);
                put_varint(out, damage.start);
                put_varint(out, damage.length);
                out.extend_from_slice(damage.what.as_bytes());
                kind::KNOWN_DAMAGE
            }
            Record::Lost { blobs, messages } => {
                put_numbers(out, blobs.iter().map(|blob| blob.0));
                put_numbers(out, messages.iter().map(|message| message.0));
                kind::LOST
            }
        }
    }

    fn put_uid(&mut self, out: &mut Vec<u8>, uid: Uid) {
        put_signed(out, i64::from(uid.get()) - i64::from(self.context.uid));
        self.context.uid = uid.get();
    }

    fn put_message(&mut self, out: &mut Vec<u8>, message: &MessageRecord) {
        self.keys.extend_from_slice(message.key.as_bytes());
        put_step(out, &mut self.context.message, message.number.0);
        put_varint(out, message.size);
        put_bytes(out, message.subject.as_bytes());
        put_bytes(out, message.from.as_bytes());
        out.push(message.date.is_some().into());
        if let Some(date) = message.date {
            put_signed(out, date.wrapping_sub(self.context.date));
            self.context.date = date;
        }
        put_varint(out, message.blobs.len() as u64);
        for blob in &message.blobs {
            put_step(out, &mut self.context.blob, blob.0);
        }
        out.extend_from_slice(&message.steps);
    }

    fn put_placed(&mut self, out: &mut Vec<u8>, placed: &Placed) {
        out.push(form(&placed.date, placed.proof));
        self.put_uid(out, placed.uid);
        put_step(out, &mut self.context.placed, placed.message.0);
        self.put_date(out, &placed.date);
        out.extend_from_slice(placed.flags.to_string().as_bytes());
    }

    fn put_date(&mut self, out: &mut Vec<u8>, date: &InternalDate) {
        match canonical(date) {
            Some((unix, offset)) => {
                put_signed(out, unix.wrapping_sub(self.context.placed_date));
                put_signed(out, offset.into());
                self.context.placed_date = unix;
            }
            None => put_bytes(out, date.raw().as_bytes()),
        }
    }

    fn put_history(&mut self, out: &mut Vec<u8>, history: &History) {
        put_varint(out, history.stays.len() as u64);
        for stay in &history.stays {
            out.push(form(&stay.date, stay.proof));
            put_varint(out, stay.first_run.0.into());
            put_varint(out, stay.last_run.map_or(0, |run| run.0).into());
            put_step(out, &mut self.context.placed, stay.message.0);
            self.put_date(out, &stay.date);
            put_bytes(out, stay.flags.to_string().as_bytes());
        }
        put_varint(out, history.flags_until.len() as u64);
        for (run, flags) in &history.flags_until {
            put_varint(out, run.0.into());
            put_bytes(out, flags.to_string().as_bytes());
        }
    }
}

/// Bit 0: known by its header only. Bit 1: the date is text.
fn form(date: &InternalDate, proof: Proof) -> u8 {
    u8::from(proof == Proof::Header) | u8::from(canonical(date).is_none()) << 1
}

fn put_drill(out: &mut Vec<u8>, drill: &DrillInfo) {
    out.push(u8::from(drill.scope == DrillScope::Sample));
    put_varint(out, drill.as_of.map_or(0, RunId::get).into());
    put_signed(out, drill.started_ms);
    put_signed(out, drill.finished_ms);
    for number in [drill.messages_asked, drill.messages_proven, drill.bytes_asked, drill.bytes_proven] {
        put_varint(out, number);
    }
    out.extend_from_slice(drill.outcome.as_bytes());
}

fn take_drill(from: &mut Cursor<'_>) -> Result<DrillInfo, Malformed> {
    let what = "a drill";
    Ok(DrillInfo {
        scope: if from.u8(what)? & 1 == 0 { DrillScope::Whole } else { DrillScope::Sample },
        as_of: Some(from.varint32(what)?).filter(|&run| run > 0).map(RunId),
        started_ms: from.signed(what)?,
        finished_ms: from.signed(what)?,
        messages_asked: from.varint(what)?,
        messages_proven: from.varint(what)?,
        bytes_asked: from.varint(what)?,
        bytes_proven: from.varint(what)?,
        outcome: take_rest_text(from, what)?,
    })
}

/// Numbers that ascend, each as its distance from the one before. They take nothing from the frame's
/// context and leave nothing in it, so that a reader may skip them.
fn put_numbers(out: &mut Vec<u8>, numbers: impl ExactSizeIterator<Item = u64>) {
    put_varint(out, numbers.len() as u64);
    let mut last = 0;
    for number in numbers {
        put_varint(out, number.wrapping_sub(last));
        last = number;
    }
}

/// At most so many bytes of payload, looked at before anything is written.
fn longest_payload(record: &Record) -> usize {
    /// Numbers of a record, of at most ten bytes each.
    const NUMBERS: usize = 100;
    let texts = match record {
        Record::Account { name, protocol, .. } => name.len() + protocol.len(),
        Record::RunEnd { outcome, ledger, .. } => outcome.len() + ledger.len(),
        Record::Mailbox { seen, .. } => {
            let texts = seen.attributes.iter().chain(&seen.special_use).chain(&seen.object_id);
            seen.name.raw().len() + texts.map(|text| text.len() + 10).sum::<usize>()
        }
        Record::Message(message) => {
            message.subject.len() + message.from.len() + message.blobs.len() * 10 + message.steps.len()
        }
        Record::Placed { placed, .. } => placed.flags.to_string().len() + placed.date.raw().len(),
        Record::FlagsChanged { flags, .. } => flags.to_string().len(),
        Record::Vanished { uids, .. } | Record::Proven { uids, .. } => uids.ranges().count() * 10,
        Record::Trouble { reason, .. } => reason.len(),
        Record::Restated { history, .. } => {
            let stay = |stay: &Stay| 50 + stay.flags.to_string().len() + stay.date.raw().len();
            let change = |(_, flags): &(RunId, Flags)| 10 + flags.to_string().len();
            history.stays.iter().map(stay).sum::<usize>()
                + history.flags_until.iter().map(change).sum::<usize>()
        }
        Record::Drilled { drill, .. } => drill.outcome.len(),
        Record::Names { names, .. } => longest_names(names),
        Record::KnownDamage(damage) => damage.what.len(),
        Record::Lost { blobs, messages } => (blobs.len() + messages.len()) * 10,
        _ => 0,
    };
    texts + NUMBERS
}

/// The seconds and the zone of a date whose text they give back exactly.
pub(crate) fn canonical(date: &InternalDate) -> Option<(i64, i16)> {
    let (unix, offset) = (date.unix()?, date.offset_minutes()?);
    (date_from(unix, offset.into()).as_ref() == Some(date)).then_some((unix, offset))
}

/// A date from seconds and zone, when they are those of a date that can be written.
pub(crate) fn date_from(unix: i64, offset: i64) -> Option<InternalDate> {
    // The years 0 to 9999: beyond, the text has another form and the arithmetic could overflow.
    const SECONDS: std::ops::RangeInclusive<i64> = -62_200_000_000..=253_500_000_000;
    let offset = i16::try_from(offset).ok().filter(|_| SECONDS.contains(&unix))?;
    Some(InternalDate::from_unix(unix, offset))
}

/// The run and the epoch that a record is about, as far as it is about one.
fn place_of(record: &Record) -> (Option<RunId>, Option<EpochId>) {
    match record {
        Record::Account { .. }
        | Record::Mailbox { .. }
        | Record::Message(_)
        | Record::Acknowledged { .. }
        | Record::Drilled { .. }
        | Record::KnownDamage(_)
        | Record::Lost { .. } => (None, None),
        Record::RunBegin { run, .. }
        | Record::RunEnd { run, .. }
        | Record::MailboxGone { run, .. }
        | Record::Alarm { run, .. } => (Some(*run), None),
        Record::EpochBegin { epoch, .. }
        | Record::Proven { epoch, .. }
        | Record::Mark { epoch, .. }
        | Record::Names { epoch, .. }
        | Record::Restated { epoch, .. } => (None, Some(*epoch)),
        Record::EpochEnd { run, epoch }
        | Record::Placed { run, epoch, .. }
        | Record::FlagsChanged { run, epoch, .. }
        | Record::Vanished { run, epoch, .. }
        | Record::Trouble { run, epoch, .. } => (Some(*run), Some(*epoch)),
    }
}

fn put_step(out: &mut Vec<u8>, last: &mut u64, number: u64) {
    put_signed(out, number.wrapping_sub(*last).cast_signed());
    *last = number;
}

fn put_uids(out: &mut Vec<u8>, uids: &UidSet) {
    let mut last = 0;
    for range in uids.ranges() {
        put_varint(out, (range.start().get() - last).into());
        put_varint(out, (range.end().get() - range.start().get()).into());
        last = range.end().get();
    }
}

fn put_seen(out: &mut Vec<u8>, seen: &MailboxSeen) {
    let utf8 = seen.name.encoding() == NameEncoding::Utf8;
    let bits = [utf8, seen.subscribed, seen.selectable, seen.special_use.is_some(), seen.object_id.is_some()];
    out.push(bits.iter().rev().fold(0, |byte, &bit| byte << 1 | u8::from(bit)));
    put_bytes(out, seen.name.raw());
    put_bytes(out, seen.name.delimiter().as_slice());
    put_varint(out, seen.attributes.len() as u64);
    for text in seen.attributes.iter().chain(&seen.special_use).chain(&seen.object_id) {
        put_bytes(out, text.as_bytes());
    }
}

/// Reads the records of a frame.
pub(crate) struct Decoder<'f> {
    context: Context,
    records: Cursor<'f>,
    keys: Cursor<'f>,
    has_skipped: bool,
}

impl<'f> Decoder<'f> {
    pub(crate) fn new(keys: &'f [u8], records: &'f [u8]) -> Self {
        let (records, keys) = (Cursor::new(records), Cursor::new(keys));
        Self { context: Context::default(), records, keys, has_skipped: false }
    }

    /// Whether something was left out that this version does not know: a record, or the end of one (J3).
    pub(crate) fn has_skipped(&self) -> bool {
        self.has_skipped
    }

    /// The next record; `None` at the end.
    pub(crate) fn next(&mut self) -> Result<Option<Record>, JournalError> {
        while !self.records.is_empty() {
            let kind = self.records.u8("a record's type")?;
            let length = self.records.varint("a record's length")?;
            let length = usize::try_from(length).ok().filter(|&length| length <= limit::RECORD_BYTES);
            let length = length.ok_or(malformed("a record's length"))?;
            let mut payload = Cursor::new(self.records.take(length, "a record")?);
            let record = self.record(kind, &mut payload)?;
            self.has_skipped |= !payload.is_empty();
            if let Some(record) = record {
                return Ok(Some(record));
            }
        }
        if self.keys.is_empty() { Ok(None) } else { Err(malformed("the message keys of a frame").into()) }
    }

    fn record(&mut self, kind: u8, from: &mut Cursor<'f>) -> Result<Option<Record>, JournalError> {
        let (run, epoch) = (RunId(self.context.run), EpochId(self.context.epoch));
        let record = match kind {
            kind::AT => {
                self.context.run = from.varint32("a run's number")?;
                self.context.epoch = from.varint32("an epoch's number")?;
                return Ok(None);
            }
            kind::ACCOUNT => Record::Account {
                account: AccountId(from.varint32("an account's number")?),
                name: from.text("an account's name")?.to_owned(),
                protocol: from.text("an account's protocol")?.to_owned(),
            },
            kind::RUN_BEGIN => Record::RunBegin {
                run,
                account: AccountId(from.varint32("an account's number")?),
                started_ms: from.signed("a run's beginning")?,
            },
            kind::RUN_END => Record::RunEnd {
                run,
                finished_ms: from.signed("a run's end")?,
                outcome: from.text("a run's outcome")?.to_owned(),
                ledger: from.text("a run's ledger")?.to_owned(),
            },
            kind::MAILBOX => Record::Mailbox {
                mailbox: MailboxId(from.varint32("a mailbox's number")?),
                account: AccountId(from.varint32("an account's number")?),
                seen: take_seen(from)?,
            },
            kind::MAILBOX_GONE => {
                Record::MailboxGone { run, mailbox: MailboxId(from.varint32("a mailbox's number")?) }
            }
            kind::EPOCH_BEGIN => Record::EpochBegin {
                epoch,
                mailbox: MailboxId(from.varint32("a mailbox's number")?),
                validity: UidValidity::new(from.varint32("a UIDVALIDITY")?),
            },
            kind::EPOCH_END => Record::EpochEnd { run, epoch },
            kind::MESSAGE => Record::Message(self.take_message(from)?),
            kind::PLACED => Record::Placed { run, epoch, placed: self.take_placed(from)? },
            kind::FLAGS_CHANGED => {
                Record::FlagsChanged { run, epoch, uid: self.take_uid(from)?, flags: take_flags(from)? }
            }
            kind::VANISHED => Record::Vanished { run, epoch, uids: take_uids(from)? },
            kind::PROVEN => Record::Proven { epoch, uids: take_uids(from)? },
            kind::MARK => Record::Mark { epoch, mark: take_mark(from)? },
            kind::TROUBLE => {
                let uid = self.take_uid(from)?;
                Record::Trouble { run, epoch, uid, reason: take_rest_text(from, "a reason")? }
            }
            kind::ALARM => Record::Alarm { run, account: AccountId(from.varint32("an account's number")?) },
            kind::ACKNOWLEDGED => Record::Acknowledged {
                account: AccountId(from.varint32("an account's number")?),
                run: RunId(from.varint32("a run's number")?),
            },
            kind::DRILLED => Record::Drilled {
                account: AccountId(from.varint32("an account's number")?),
                drill: take_drill(from)?,
            },
            kind::NAMES => Record::Names { epoch, names: take_names(from)? },
            kind::RESTATED => {
                let uid = self.take_uid(from)?;
                Record::Restated { epoch, uid, history: self.take_history(from)? }
            }
            kind::KNOWN_DAMAGE => Record::KnownDamage(KnownDamage {
                pack: PackId(from.array("a pack's id")?),
                kind: from.u8("a kind of damage")?,
                start: from.varint("damage")?,
                length: from.varint("damage")?,
                what: take_rest_text(from, "damage")?,
            }),
            kind::LOST => Record::Lost {
                blobs: take_numbers(from, "a blob's number")?.into_iter().map(BlobNumber).collect(),
                messages: take_numbers(from, "a message's number")?.into_iter().map(MessageNumber).collect(),
            },
            unknown if unknown & kind::SKIPPABLE != 0 => {
                self.has_skipped = true;
                return Ok(None);
            }
            unknown => return Err(JournalError::UnknownRecord(unknown)),
        };
        Ok(Some(record))
    }

    fn take_uid(&mut self, from: &mut Cursor<'f>) -> Result<Uid, Malformed> {
        let what = "a UID";
        let number = i64::from(self.context.uid).checked_add(from.signed(what)?);
        let uid = number.and_then(|number| u32::try_from(number).ok()).and_then(Uid::new);
        let uid = uid.ok_or(malformed(what))?;
        self.context.uid = uid.get();
        Ok(uid)
    }

    fn take_message(&mut self, from: &mut Cursor<'f>) -> Result<MessageRecord, Malformed> {
        let key = MessageKey::from_bytes(self.keys.array("a message's key")?);
        let number = MessageNumber(take_step(from, &mut self.context.message, "a message's number")?);
        let size = from.varint("a message's size")?;
        let subject = from.text("a subject")?.to_owned();
        let sender = from.text("a sender")?.to_owned();
        let date = match from.u8("a date")? {
            0 => None,
            _ => {
                self.context.date = self.context.date.wrapping_add(from.signed("a date")?);
                Some(self.context.date)
            }
        };
        let count = from.varint("a recipe's blobs")?;
        if count > limit::BLOBS_IN_MESSAGE as u64 {
            return Err(malformed("a recipe's blobs"));
        }
        let mut blobs = Vec::new();
        for _ in 0..count {
            // Grows with the bytes that are there, not with the count.
            blobs.push(BlobNumber(take_step(from, &mut self.context.blob, "a blob's number")?));
        }
        let steps = from.rest().to_vec();
        Ok(MessageRecord { number, key, size, subject, from: sender, date, blobs, steps })
    }

    fn take_placed(&mut self, from: &mut Cursor<'f>) -> Result<Placed, Malformed> {
        let form = from.u8("a placement")?;
        let uid = self.take_uid(from)?;
        let message = MessageNumber(take_step(from, &mut self.context.placed, "a message's number")?);
        let date = self.take_date(from, form)?;
        Ok(Placed { uid, message, date, flags: take_flags(from)?, proof: proof(form) })
    }

    fn take_date(&mut self, from: &mut Cursor<'f>, form: u8) -> Result<InternalDate, Malformed> {
        let what = "a received date";
        if form & 2 != 0 {
            return Ok(InternalDate::parse(from.text(what)?));
        }
        let unix = self.context.placed_date.wrapping_add(from.signed(what)?);
        let date = date_from(unix, from.signed(what)?).ok_or(malformed(what))?;
        self.context.placed_date = unix;
        Ok(date)
    }

    fn take_history(&mut self, from: &mut Cursor<'f>) -> Result<History, Malformed> {
        let mut history = History::default();
        for _ in 0..from.varint("a count of stays")? {
            let form = from.u8("a stay")?;
            let first_run = RunId(from.varint32("a run's number")?);
            let last_run = Some(from.varint32("a run's number")?).filter(|&run| run > 0).map(RunId);
            let message = MessageNumber(take_step(from, &mut self.context.placed, "a message's number")?);
            let date = self.take_date(from, form)?;
            let flags = Flags::parse(from.text("flags")?);
            history.stays.push(Stay { first_run, last_run, message, date, flags, proof: proof(form) });
        }
        for _ in 0..from.varint("a count of flags")? {
            let run = RunId(from.varint32("a run's number")?);
            history.flags_until.push((run, Flags::parse(from.text("flags")?)));
        }
        Ok(history)
    }
}

fn proof(form: u8) -> Proof {
    if form & 1 == 0 { Proof::Bytes } else { Proof::Header }
}

/// Grows with the bytes that are there, not with the count.
fn take_numbers(from: &mut Cursor<'_>, what: &'static str) -> Result<Vec<u64>, Malformed> {
    let (mut numbers, mut last) = (Vec::new(), 0u64);
    for _ in 0..from.varint(what)? {
        let step = from.varint(what)?;
        let number = last.checked_add(step).filter(|_| step > 0).ok_or(malformed(what))?;
        i64::try_from(number).map_err(|_| malformed(what))?;
        numbers.push(number);
        last = number;
    }
    Ok(numbers)
}

fn take_step(from: &mut Cursor<'_>, last: &mut u64, what: &'static str) -> Result<u64, Malformed> {
    *last = last.wrapping_add(from.signed(what)?.cast_unsigned());
    // SQLite's integers have a sign; numbers are handed out from 1 and never come near.
    if i64::try_from(*last).is_ok_and(|number| number > 0) { Ok(*last) } else { Err(malformed(what)) }
}

fn take_rest_text(from: &mut Cursor<'_>, what: &'static str) -> Result<String, Malformed> {
    std::str::from_utf8(from.rest()).map(str::to_owned).map_err(|_| malformed(what))
}

fn take_flags(from: &mut Cursor<'_>) -> Result<Flags, Malformed> {
    take_rest_text(from, "flags").map(|text| Flags::parse(&text))
}

fn take_uids(from: &mut Cursor<'_>) -> Result<UidSet, Malformed> {
    let what = "a set of UIDs";
    let (mut set, mut last) = (UidSet::new(), 0u32);
    while !from.is_empty() {
        let first = last.checked_add(from.varint32(what)?).ok_or(malformed(what))?;
        last = first.checked_add(from.varint32(what)?).ok_or(malformed(what))?;
        let range = Uid::new(first).zip(Uid::new(last)).ok_or(malformed(what))?;
        set.insert_range(range.0..=range.1);
    }
    Ok(set)
}

fn take_mark(from: &mut Cursor<'_>) -> Result<Mark, Malformed> {
    let uid_next = Uid::new(from.varint32("a UIDNEXT")?);
    let highest_modseq = from.varint("a HIGHESTMODSEQ")?.checked_sub(1).map(ModSeq);
    Ok(Mark { uid_next, highest_modseq, messages: from.varint32("a message count")? })
}

fn take_seen(from: &mut Cursor<'_>) -> Result<MailboxSeen, Malformed> {
    let bits = from.u8("a mailbox")?;
    let bit = |number: u8| bits >> number & 1 == 1;
    let raw = from.bytes("a mailbox's name")?.to_vec();
    let delimiter = from.bytes("a delimiter")?.first().copied();
    let encoding = if bit(0) { NameEncoding::Utf8 } else { NameEncoding::ModifiedUtf7 };
    let mut attributes = Vec::new();
    for _ in 0..from.varint("a mailbox's attributes")? {
        attributes.push(from.text("a mailbox's attribute")?.to_owned());
    }
    let mut optional =
        |there: bool| there.then(|| from.text("a mailbox's use or id").map(str::to_owned)).transpose();
    Ok(MailboxSeen {
        name: MailboxName::new(raw, encoding, delimiter),
        attributes,
        special_use: optional(bit(3))?,
        object_id: optional(bit(4))?,
        subscribed: bit(1),
        selectable: bit(2),
    })
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
