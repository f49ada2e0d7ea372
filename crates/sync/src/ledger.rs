//! The ledger: what a run found on the server, what the archive holds of it, and what is missing.
//!
//! It is the run's statement to a person or a program, and its sums must add up: a folder is whole
//! only when the server's own count, taken at the end, equals the number of those messages that the
//! archive has on disk. The JSON form is a contract (docs/json.md).

use archive::EpochId;
use message::{Uid, UidSet};
use serde::Serialize;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Every wanted folder is whole.
    Ok,
    /// Something is missing; the ledger names it.
    Partial,
    /// Nothing can be said of the account: it could not be reached or listed, or the archive failed.
    Failed,
}

impl Outcome {
    /// The word in the ledger and in the journal.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }
}

/// What ended a run before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndedBy {
    /// Somebody asked it to end.
    Request,
    /// The server, or the way to it.
    Server(remote::Kind),
    /// Anything else: the archive, its disk, a bound, a fault of ours.
    Other,
}

/// One run of one account.
#[derive(Clone, Debug, Serialize)]
pub struct Ledger {
    /// The account's name in the configuration.
    pub account: String,
    /// `imap` or `pop3`.
    pub protocol: &'static str,
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC.
    pub finished: String,
    /// How it ended.
    pub outcome: Outcome,
    /// So much has vanished or changed that a person should look.
    pub suspicious: bool,
    /// The state that a suspicious run compares with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Before>,
    /// What a suspicious run lost, by folder.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost: Vec<Loss>,
    /// What a person should know, whatever the outcome.
    pub warnings: Vec<String>,
    /// Why the run failed or stopped as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The same for whoever decides when to try again.
    #[serde(skip)]
    pub ended_by: Option<EndedBy>,
    /// The sums over all folders.
    pub totals: Totals,
    /// Folders that the server has and the configuration (or their namespace) leaves out.
    pub excluded: Vec<String>,
    /// Each wanted folder, as far as the run came.
    pub folders: Vec<FolderLedger>,
}

/// The account's state before a suspicious run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Before {
    /// The number of the run that saw it last.
    pub run: u32,
    /// The same as a moment for `--as-of`.
    pub as_of: String,
}

/// What a folder has lost since [`Before`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The name as people see it.
    pub folder: String,
    /// Messages that it had.
    pub before: u64,
    /// Those that are gone from the account, or lie only in a bin by now.
    pub lost: u64,
    /// For how many of these another message with the same subject and sender has come.
    pub altered: u64,
}

/// The sums over all folders of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Messages on the server, counted at the end of each folder's pull.
    pub on_server: u64,
    /// Those of them whose bytes the archive holds and has synced to disk.
    pub archived: u64,
    /// Messages that this run placed for the first time in their folder.
    pub new: u64,
    /// Messages that damage had taken from the archive, and that this run has brought back.
    pub healed: u64,
    /// Octets of message content (headers, text, whole messages) that the server sent.
    pub bytes_fetched: u64,
    /// Messages whose flags were not as recorded.
    pub flags_changed: u64,
    /// Messages that the server no longer has.
    pub vanished: u64,
    /// UIDs under which the server has another message than before, although it must not.
    pub replaced: u64,
    /// Placed by size, date and header alone; their bytes are not yet compared.
    pub matched_by_header: u64,
    /// Messages left out on purpose.
    pub skipped: u64,
    /// Messages and folders that could not be brought.
    pub failed: u64,
}

/// One folder of a run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct FolderLedger {
    /// The name as people see it.
    pub folder: String,
    /// Messages on the server at the end of the folder's pull.
    pub on_server: u64,
    /// Those of them that the archive holds on disk.
    pub archived: u64,
    /// Messages placed for the first time.
    pub new: u64,
    /// Messages that damage had taken from the archive, and that are back.
    pub healed: u64,
    /// Octets of message content received.
    pub bytes_fetched: u64,
    /// Messages whose flags were not as recorded.
    pub flags_changed: u64,
    /// Messages that the server no longer has.
    pub vanished: u64,
    /// UIDs under which the server has another message than before, although it must not; counted in
    /// `vanished` as well.
    pub replaced: u64,
    /// Messages that went with an old UIDVALIDITY: so many that the next run must find the same before
    /// they count as gone in the history. In `vanished`, too.
    #[serde(skip_serializing_if = "is_zero")]
    pub unconfirmed: u64,
    /// In how many runs in a row the server has not listed the folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_visible: Option<u32>,
    /// Placed by size, date and header alone in this run.
    pub matched_by_header: u64,
    /// Messages that have been marked `\\Deleted` since the last run.
    #[serde(skip)]
    pub marked_deleted: u64,
    /// Messages left out on purpose, and why.
    pub skipped: Vec<Item>,
    /// Messages that could not be brought, and why.
    pub failed: Vec<Item>,
    /// Why the folder as a whole could not be completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What a person should know of it; goes to the ledger's warnings.
    #[serde(skip)]
    pub notices: Vec<String>,
    /// What was to be brought, from which it can be told what has come to disk when not all has.
    #[serde(skip)]
    pub listing: Option<Listing>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What the server listed in a folder, and how much of it the archive held before the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    pub(crate) epoch: EpochId,
    pub(crate) uids: UidSet,
    pub(crate) held_before: u64,
}

/// A message that is not in the archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Item {
    /// Its UID. With POP3 it is the archive's own; a message that the server gives no name has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// Its UIDL, where the server has them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uidl: Option<String>,
    /// Why it is not.
    pub why: String,
}

impl Item {
    /// A message by its UID.
    #[must_use]
    pub fn new(uid: Uid, why: String) -> Self {
        Self { uid: Some(uid.get()), uidl: None, why }
    }
}

impl Ledger {
    /// A run that has brought nothing; it ended in the moment, RFC 3339, in which it began.
    #[must_use]
    pub fn failed(account: &str, protocol: &'static str, at: &str) -> Self {
        Self {
            account: account.to_owned(),
            protocol,
            started: at.to_owned(),
            finished: at.to_owned(),
            outcome: Outcome::Failed,
            suspicious: false,
            before: None,
            lost: Vec::new(),
            warnings: Vec::new(),
            error: None,
            ended_by: None,
            totals: Totals::default(),
            excluded: Vec::new(),
            folders: Vec::new(),
        }
    }
}

impl FolderLedger {
    /// A folder of which nothing is known yet.
    #[must_use]
    pub fn new(folder: String) -> Self {
        Self { folder, ..Self::default() }
    }

    /// Counts again: of the UIDs that the server listed, those that the archive holds on disk.
    pub(crate) fn count_on_disk(&mut self, listed: &UidSet, held_before: u64, held: &UidSet) {
        if self.on_server == 0 {
            // Not completed: the server has not counted at the folder's end.
            self.on_server = listed.len();
        }
        self.archived = held.intersection(listed).len();
        self.new = self.archived.saturating_sub(held_before).saturating_sub(self.healed);
    }

    /// Whether the archive holds everything that the server has in this folder.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.error.is_none()
            && self.failed.is_empty()
            && self.skipped.is_empty()
            && self.on_server == self.archived
    }
}

impl Totals {
    /// The sums over these folders.
    #[must_use]
    pub fn of(folders: &[FolderLedger]) -> Self {
        folders.iter().fold(Self::default(), |sum, folder| Self {
            on_server: sum.on_server + folder.on_server,
            archived: sum.archived + folder.archived,
            new: sum.new + folder.new,
            healed: sum.healed + folder.healed,
            bytes_fetched: sum.bytes_fetched + folder.bytes_fetched,
            flags_changed: sum.flags_changed + folder.flags_changed,
            vanished: sum.vanished + folder.vanished,
            replaced: sum.replaced + folder.replaced,
            matched_by_header: sum.matched_by_header + folder.matched_by_header,
            skipped: sum.skipped + folder.skipped.len() as u64,
            failed: sum.failed + folder.failed.len() as u64 + u64::from(folder.error.is_some()),
        })
    }
}

/// Milliseconds since 1970 as RFC 3339 in UTC, to the second; `1970-01-01T00:00:00Z` for a clock
/// that is out of any calendar.
#[must_use]
pub fn rfc3339(unix_ms: i64) -> String {
    let at = jiff::Timestamp::from_second(unix_ms.div_euclid(1_000)).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    at.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_whole_only_when_the_sums_agree_and_nothing_failed() {
        let whole = FolderLedger { on_server: 3, archived: 3, ..FolderLedger::new("INBOX".into()) };
        assert!(whole.is_whole());
        assert!(!FolderLedger { archived: 2, ..whole.clone() }.is_whole());
        let named = Item { uid: Some(7), uidl: None, why: "NO".into() };
        assert!(!FolderLedger { failed: vec![named], ..whole.clone() }.is_whole());
        assert!(!FolderLedger { error: Some("not openable".into()), ..whole }.is_whole());
    }

    #[test]
    fn what_did_not_come_to_disk_is_not_counted() {
        let uids = |text| UidSet::parse(text).expect("a set");
        let listed = uids("1:100");
        let whole = FolderLedger { on_server: 100, archived: 100, new: 60, ..FolderLedger::default() };
        let mut cut = whole.clone();
        cut.count_on_disk(&listed, 40, &uids("1:70,200"));
        assert_eq!((cut.on_server, cut.archived, cut.new), (100, 70, 30));
        let mut unfinished = FolderLedger { new: 25, ..FolderLedger::default() };
        unfinished.count_on_disk(&listed, 40, &uids("1:40"));
        assert_eq!((unfinished.on_server, unfinished.archived, unfinished.new), (100, 40, 0));
        let mut healing = FolderLedger { healed: 5, ..FolderLedger::default() };
        healing.count_on_disk(&listed, 40, &uids("1:60"));
        assert_eq!((healing.archived, healing.new), (60, 15), "what was brought back is not new");
    }

    #[test]
    fn a_failed_folder_counts_as_a_failure() {
        let folder = FolderLedger { error: Some("NO".into()), on_server: 2, ..FolderLedger::new("a".into()) };
        assert_eq!(Totals::of(&[folder]), Totals { failed: 1, on_server: 2, ..Totals::default() });
    }

    #[test]
    fn times_are_rfc_3339() {
        assert_eq!(rfc3339(1_795_420_800_999), "2026-11-23T08:00:00Z");
        assert_eq!(rfc3339(i64::MAX), "1970-01-01T00:00:00Z");
    }
}
