//! Giving mail back: an account's folders, as they were at a moment, to an IMAP server; and the proof.

mod report;

use std::collections::HashMap;

use archive::{MailboxId, When};
use message::UidSet;
use remote::{Credentials, Endpoint};

use crate::filter::FolderFilter;
use crate::retry::Patience;
pub use report::{FolderReport, Refused, Remark, RestoreOutcome, RestoreReport, RestoreTotals, TargetReport};

/// What to give back, where to, and how.
#[derive(Clone, Debug)]
pub struct RestoreJob {
    /// Whose mail, by its name in the archive.
    pub account: String,
    /// The target server.
    pub endpoint: Endpoint,
    /// Who we are to it.
    pub credentials: Credentials,
    /// Which folders of the archive are wanted.
    pub filter: FolderFilter,
    /// As of which run, and whether with what had vanished.
    pub when: When,
    /// Only these messages, by the UIDs under which the archive has them; `None`: all.
    pub only: Option<HashMap<MailboxId, UidSet>>,
    /// A folder on the target below which everything is put; its levels are divided by `/`.
    pub prefix: Option<String>,
    /// How the target is read back.
    pub verify: Verify,
    /// Messages that the target has already keep the flags that they have there.
    pub keep_flags: bool,
    /// Only say what would be done; nothing is changed.
    pub dry_run: bool,
    /// So many folders at a time, at most.
    pub connections: usize,
    /// The bounds.
    pub limits: RestoreLimits,
}

/// How the target is read back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verify {
    /// Sizes, dates, flags and header blocks of all, and the bytes of a sample.
    #[default]
    Headers,
    /// The bytes of all.
    Full,
    /// Not at all.
    Off,
}

impl Verify {
    /// The word of the report.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::Full => "full",
            Self::Off => "off",
        }
    }
}

/// The bounds of a restore.
#[derive(Clone, Debug, Default)]
pub struct RestoreLimits {
    /// What is borne from the target before a message is left out, or the restore ends.
    pub patience: Patience,
    /// The bounds of the conversation with the target.
    pub remote: remote::Limits,
}

/// Who watches a restore: progress bars, or nobody. All texts come from a server and are not escaped.
/// Folders may be under way at the same time.
pub trait RestoreProgress: Send + Sync {
    /// The target is known, and nothing on it has been changed yet.
    fn target(&self, _target: &TargetReport) {}
    /// So many folders with so many messages and octets are asked for.
    fn asked(&self, _folders: usize, _messages: u64, _bytes: u64) {}
    /// A folder is begun.
    fn folder_begins(&self, _folder: &str) {}
    /// So many messages, with so many octets, are on the target: found there, or taken by it.
    fn there(&self, _messages: u64, _bytes: u64) {}
    /// A folder is read back, with so many messages.
    fn proof_begins(&self, _folder: &str, _messages: u64) {}
    /// A folder is done.
    fn folder_ends(&self, _folder: &FolderReport) {}
    /// Something that a person who watches should read now.
    fn notice(&self, _text: &str) {}
}

/// Nobody watches.
impl RestoreProgress for () {}
