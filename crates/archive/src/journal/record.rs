//! One thing that was learnt.
//!
//! A record carries the number of its run where time matters, so that the mailbox as of any run can
//! be told. All numbers (account, mailbox, epoch, run, message, blob) were handed out by the writer
//! that wrote the record: a replay gives the same ones.

use message::{Flags, InternalDate, MessageKey, Uid, UidSet, UidValidity};

use crate::catalogue::query::{MessageRow, decode_recipe};
use crate::damage::KnownDamage;
use crate::error::Result;
use crate::frame::NextNumbers;
use crate::ids::{AccountId, BlobNumber, EpochId, MailboxId, MessageNumber, RunId};
use crate::info::{DrillInfo, MailboxSeen, Mark, PopName, Proof};

/// A record of the journal. The comments give the number of each type in docs/archive-format.md.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Record {
    /// 1: an account exists.
    Account { account: AccountId, name: String, protocol: String },
    /// 2: a run begins.
    RunBegin { run: RunId, account: AccountId, started_ms: i64 },
    /// 3: a run has ended.
    RunEnd { run: RunId, finished_ms: i64, outcome: String, ledger: String },
    /// 4: a mailbox as it is now: new, changed, renamed, or there again.
    Mailbox { mailbox: MailboxId, account: AccountId, seen: MailboxSeen },
    /// 5: a mailbox is not listed any more; what was live in it ends.
    MailboxGone { run: RunId, mailbox: MailboxId },
    /// 6: a mailbox has got a new UIDVALIDITY, or its first.
    EpochBegin { epoch: EpochId, mailbox: MailboxId, validity: Option<UidValidity> },
    /// 7: what was live in the epoch ends.
    EpochEnd { run: RunId, epoch: EpochId },
    /// 8: a message, and how it is put together. With a number that is known: a new recipe for it, and
    /// it can be given back again.
    Message(MessageRecord),
    /// 9: a message lies under a UID.
    Placed { run: RunId, epoch: EpochId, placed: Placed },
    /// 10: a message's flags are others now.
    FlagsChanged { run: RunId, epoch: EpochId, uid: Uid, flags: Flags },
    /// 11: UIDs are not there any more.
    Vanished { run: RunId, epoch: EpochId, uids: UidSet },
    /// 12: what was matched by its header is now proven by its bytes.
    Proven { epoch: EpochId, uids: UidSet },
    /// 13: what the server said of the mailbox when it was last complete.
    Mark { epoch: EpochId, mark: Mark },
    /// 14: a message could not be had in this run.
    Trouble { run: RunId, epoch: EpochId, uid: Uid, reason: String },
    /// 152: a person should look at what happened in the run.
    Alarm { run: RunId, account: AccountId },
    /// 153: a person has looked at the alarms of the account up to this run.
    Acknowledged { account: AccountId, run: RunId },
    /// 154: mail of the account was given back for trial, and this came of it.
    Drilled { account: AccountId, drill: DrillInfo },
    /// 155: the epoch is a POP3 maildrop, and these UIDs were given in it.
    Names { epoch: EpochId, names: Vec<PopName> },
    /// 16: all that was ever known of a UID, in place of what the records before say of it.
    Restated { epoch: EpochId, uid: Uid, history: History },
    /// 128: damage that `repair` has found in the packs.
    KnownDamage(KnownDamage),
    /// 129: what cannot be given back.
    Lost { blobs: Vec<BlobNumber>, messages: Vec<MessageNumber> },
}

/// What lay and lies under a UID.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct History {
    /// One after the other, the newest last; only that one may be live.
    pub(crate) stays: Vec<Stay>,
    /// The flags that held until a run changed them, ascending.
    pub(crate) flags_until: Vec<(RunId, Flags)>,
}

/// A message's time under a UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stay {
    pub(crate) first_run: RunId,
    /// The run that saw it no more; `None` while it is live.
    pub(crate) last_run: Option<RunId>,
    pub(crate) message: MessageNumber,
    pub(crate) date: InternalDate,
    /// The newest flags.
    pub(crate) flags: Flags,
    pub(crate) proof: Proof,
}

/// A message and its recipe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct MessageRecord {
    pub(crate) number: MessageNumber,
    pub(crate) key: MessageKey,
    pub(crate) size: u64,
    pub(crate) subject: String,
    pub(crate) from: String,
    /// The `Date:` header, in seconds since 1970.
    pub(crate) date: Option<i64>,
    pub(crate) blobs: Vec<BlobNumber>,
    /// The recipe's steps, in the form of `message::recipe`.
    pub(crate) steps: Vec<u8>,
}

impl MessageRecord {
    /// The record that says again what the catalogue says.
    pub(crate) fn from_row(row: &MessageRow) -> Result<Self> {
        let (blobs, steps) = decode_recipe(&row.recipe)?;
        Ok(Self {
            number: row.number,
            key: row.key,
            size: row.size,
            subject: row.fields.subject.clone(),
            from: row.fields.from.clone(),
            date: row.fields.date,
            blobs,
            steps: steps.to_vec(),
        })
    }
}

/// A message's placement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Placed {
    pub(crate) uid: Uid,
    pub(crate) message: MessageNumber,
    pub(crate) date: InternalDate,
    pub(crate) flags: Flags,
    pub(crate) proof: Proof,
}

impl Record {
    /// The numbers that come after those in this record.
    pub(crate) fn next_numbers(&self) -> NextNumbers {
        let mut next = NextNumbers::default();
        match self {
            Self::Account { account, .. } => next.account = account.0.saturating_add(1),
            Self::RunBegin { run, .. } => next.run = run.0.saturating_add(1),
            Self::Mailbox { mailbox, .. } => next.mailbox = mailbox.0.saturating_add(1),
            Self::EpochBegin { epoch, .. } => next.epoch = epoch.0.saturating_add(1),
            Self::Message(message) => next.message = message.number.0.saturating_add(1),
            _ => {}
        }
        next
    }
}
