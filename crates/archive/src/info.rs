//! What is put into the archive and what it answers, as plain values.

use message::fields::Fields;
use message::recipe::{BlobRef, Recipe};
use message::{Flags, InternalDate, MailboxName, MessageKey, ModSeq, Uid, UidValidity, Uidl};

use crate::ids::{AccountId, EpochId, MailboxId, RunId};

/// A mailbox as a server lists it.
#[derive(Clone, Debug)]
pub struct MailboxSeen {
    /// Its name; names with one identity are one mailbox.
    pub name: MailboxName,
    /// The attributes of LIST, as they came.
    pub attributes: Vec<String>,
    /// `\Sent`, `\Trash` and so on (RFC 6154).
    pub special_use: Option<String>,
    /// Whether the user is subscribed to it.
    pub subscribed: bool,
    /// MAILBOXID (RFC 8474), which survives a rename.
    pub object_id: Option<String>,
    /// Whether it can hold messages and be opened.
    pub selectable: bool,
}

impl MailboxSeen {
    /// One that can be opened, of which nothing but its name is known.
    #[must_use]
    pub fn named(name: MailboxName) -> Self {
        Self {
            name,
            attributes: Vec::new(),
            special_use: None,
            subscribed: true,
            object_id: None,
            selectable: true,
        }
    }
}

/// Equal when a server could see no difference: the raw bytes of the name count, not its identity.
impl PartialEq for MailboxSeen {
    fn eq(&self, other: &Self) -> bool {
        let name = |seen: &Self| (seen.name.raw().to_vec(), seen.name.encoding(), seen.name.delimiter());
        name(self) == name(other)
            && self.attributes == other.attributes
            && self.special_use == other.special_use
            && self.subscribed == other.subscribed
            && self.object_id == other.object_id
            && self.selectable == other.selectable
    }
}

impl Eq for MailboxSeen {}

/// How it is known that a placement is of this message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Proof {
    /// The server gave these bytes under this UID.
    Bytes,
    /// Size, date and header block are equal; the body has not been fetched under this UID.
    Header,
}

/// What the server said when a mailbox was last completed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    /// UIDNEXT.
    pub uid_next: Option<Uid>,
    /// HIGHESTMODSEQ (RFC 7162).
    pub highest_modseq: Option<ModSeq>,
    /// How many messages it had.
    pub messages: u32,
}

/// A message seen under a UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPlacement {
    /// Which message.
    pub message: MessageKey,
    /// When the server received it.
    pub internal_date: InternalDate,
    /// Its flags.
    pub flags: Flags,
    /// How it is known to be this message.
    pub proof: Proof,
}

/// An account that the archive knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountInfo {
    /// Its number.
    pub id: AccountId,
    /// Its name in the configuration, which is its identity.
    pub name: String,
    /// `imap` or `pop3`, as it was when it was last written.
    pub protocol: String,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// Its number.
    pub id: RunId,
    /// Whose run.
    pub account: AccountId,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
    /// When it ended; `None` when it was cut off, or goes on.
    pub finished_ms: Option<i64>,
    /// How it ended.
    pub outcome: Option<String>,
    /// The ledger, as JSON.
    pub ledger_json: Option<String>,
}

/// A mailbox that the archive knows, there or gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailboxInfo {
    /// Its number.
    pub id: MailboxId,
    /// Its newest name.
    pub name: MailboxName,
    /// The attributes of LIST.
    pub attributes: Vec<String>,
    /// RFC 6154.
    pub special_use: Option<String>,
    /// Whether the user was subscribed to it.
    pub subscribed: bool,
    /// MAILBOXID.
    pub object_id: Option<String>,
    /// Whether it can be opened.
    pub selectable: bool,
    /// The run in which it was found gone.
    pub gone: Option<RunId>,
    /// Its newest epoch.
    pub epoch: Option<EpochInfo>,
    /// Live placements, of all epochs.
    pub live: u64,
    /// How many of them are of messages that are lost: damage has taken them, and they have not come
    /// back yet.
    pub lost: u64,
}

/// A mailbox under one UIDVALIDITY, or as a POP3 maildrop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EpochInfo {
    /// Its number.
    pub id: EpochId,
    /// `None` where the server has none: then its UIDs held for one session only, unless it is `pop3`.
    pub validity: Option<UidValidity>,
    /// A POP3 maildrop: its UIDs are ours, and hold for good.
    pub pop3: bool,
    /// What the server said when the mailbox was last completed.
    pub mark: Option<Mark>,
    /// Live placements.
    pub live: u64,
}

/// What a message of a POP3 maildrop was known by when it was given its UID. POP3 has no UIDs: the archive
/// gives them, ascending, and none twice in an epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PopName {
    /// The UID that it was given.
    pub uid: Uid,
    /// What the server called it, which it may have called other messages too; `None` where it has no UIDL.
    pub uidl: Option<Uidl>,
    /// How many octets the server said that it has (LIST).
    pub octets: u64,
}

/// A message in a mailbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacementInfo {
    /// Where.
    pub epoch: EpochId,
    /// Under which UID.
    pub uid: Uid,
    /// What a POP3 server called it, where it was had from one that has UIDL.
    pub uidl: Option<Uidl>,
    /// Which message.
    pub message: MessageKey,
    /// Its size in bytes.
    pub size: u64,
    /// When the server received it.
    pub internal_date: InternalDate,
    /// Its flags, as of the moment that was asked for.
    pub flags: Flags,
    /// What lists show. `message_id` is left empty here; [`MessageInfo`] has it.
    pub fields: Fields,
    /// The run that saw it first.
    pub first_run: RunId,
    /// The run that saw it no more; `None` while it is live.
    pub last_run: Option<RunId>,
    /// How it is known to be this message.
    pub proof: Proof,
    /// The message is lost: damage has taken it, and it has not come back yet.
    pub lost: bool,
}

/// Which placements of a mailbox are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct When {
    /// As they were when this run had ended; `None`: as they are now.
    pub as_of: Option<RunId>,
    /// Also those that had vanished by then.
    pub deleted: bool,
}

/// A message that a folder held, to be given back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedMessage {
    /// In which mailbox it lay.
    pub mailbox: MailboxId,
    /// Where in it.
    pub epoch: EpochId,
    /// Under which UID.
    pub uid: Uid,
    /// Which message.
    pub message: MessageKey,
    /// Its size in bytes.
    pub size: u64,
    /// When the server received it.
    pub internal_date: InternalDate,
    /// Its flags, as of the moment that was asked for.
    pub flags: Flags,
    /// The run that saw it there first.
    pub first_run: RunId,
    /// The run that saw it there no more, if any has by now.
    pub last_run: Option<RunId>,
    /// The message is lost: damage has taken it, and it has not come back yet.
    pub lost: bool,
}

/// What a run did in some mailboxes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Placements that it saw first. All of a mailbox where it has got a new UIDVALIDITY.
    pub new: u64,
    /// Changes of flags.
    pub flags_changed: u64,
    /// Placements that it saw no more.
    pub vanished: u64,
}

/// The time of a message under a UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// Where.
    pub mailbox: MailboxId,
    /// Under which UIDVALIDITY, where the server has any.
    pub validity: Option<UidValidity>,
    /// Under which UID.
    pub uid: Uid,
    /// What a POP3 server called it, where it was had from one that has UIDL.
    pub uidl: Option<Uidl>,
    /// When the server received it.
    pub internal_date: InternalDate,
    /// The run that saw it there first.
    pub first_run: RunId,
    /// The run that saw it there no more; `None` while it is live.
    pub last_run: Option<RunId>,
    /// Its flags, each with the run since which they held; at least one.
    pub flags: Vec<(RunId, Flags)>,
    /// How it is known to be this message.
    pub proof: Proof,
}

/// What of an account a drill gave back for trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DrillScope {
    /// Everything.
    Whole,
    /// Some of its messages.
    Sample,
}

/// A drill: mail of an account was given back for trial, to a server that is nobody's, and read again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DrillInfo {
    /// How much was tried.
    pub scope: DrillScope,
    /// The run whose state it was; `None`: the newest.
    pub as_of: Option<RunId>,
    /// When it began, in milliseconds since 1970.
    pub started_ms: i64,
    /// When it ended.
    pub finished_ms: i64,
    /// How many messages were to be given back.
    pub messages_asked: u64,
    /// How many of them were proven to be there.
    pub messages_proven: u64,
    /// How many bytes the messages had that were asked for.
    pub bytes_asked: u64,
    /// How many those had that were proven.
    pub bytes_proven: u64,
    /// How it ended: `proven`, `partial` or `failed`.
    pub outcome: String,
}

/// What a mailbox has lost since a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MailboxLoss {
    /// Which mailbox.
    pub mailbox: MailboxId,
    /// How many placements it had when that run had ended.
    pub before: u64,
    /// How many of them are of messages that now lie nowhere in the account, or only in a bin.
    pub lost: u64,
    /// For how many of these a new message with the same subject and sender has come: they may have
    /// been altered in place.
    pub altered: u64,
}

/// A message, wherever it lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageInfo {
    /// BLAKE3 of its bytes.
    pub key: MessageKey,
    /// Its size in bytes.
    pub size: u64,
    /// The fields that lists show.
    pub fields: Fields,
    /// How it is put together.
    pub recipe: Recipe,
}

/// A message that may be the one that a server shows under a new UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// BLAKE3 of its bytes.
    pub key: MessageKey,
    /// The received dates under which the account has or had it.
    pub internal_dates: Vec<InternalDate>,
    /// Its header block, when that is one blob.
    pub header: Option<BlobRef>,
}

/// A message that could not be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TroubleInfo {
    /// Its UID.
    pub uid: Uid,
    /// Why, the last time.
    pub reason: String,
    /// In how many runs it failed.
    pub attempts: u32,
    /// The last of them.
    pub last_run: RunId,
}

/// Sums over an account, or over all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Live placements.
    pub live: u64,
    /// The sum of their sizes.
    pub live_bytes: u64,
    /// Distinct messages that were ever placed.
    pub messages: u64,
    /// The sum of their sizes.
    pub message_bytes: u64,
}

/// Where the bytes of the packs go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Breakdown {
    /// Header blocks of messages.
    pub headers: StreamSizes,
    /// Texts, and whatever is no decoded attachment.
    pub texts: StreamSizes,
    /// Decoded attachments.
    pub attachments: StreamSizes,
    /// Names and lengths of the blobs, and the headers of the frames that hold them.
    pub directory_bytes: u64,
    /// The journal, commits, seals, and the headers of the packs.
    pub journal_bytes: u64,
    /// What lies in pack files and does not count: behind the last commit, or in files that the catalogue
    /// does not know.
    pub idle_bytes: u64,
    /// Packs that a compaction has replaced, and that wait for their end.
    pub retired_bytes: u64,
}

/// The blocks of one stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StreamSizes {
    /// How many.
    pub blocks: u64,
    /// Bytes of their blobs.
    pub plain_bytes: u64,
    /// The same as they are stored.
    pub stored_bytes: u64,
}

/// How large the archive is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Pack files.
    pub packs: u64,
    /// Bytes of them.
    pub pack_bytes: u64,
    /// Bytes of the catalogue.
    pub catalogue_bytes: u64,
    /// Blobs.
    pub blobs: u64,
    /// Bytes of them before compression.
    pub blob_bytes: u64,
}
