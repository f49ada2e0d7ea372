//! The account that a restore gives of itself: per folder what was asked for, what the target had,
//! what was added, what it would not take and why, and what was proven by reading it back.
//!
//! Counts are of messages, and each message asked for is in exactly one of `already_there`, `added`,
//! `refused` and `not_sent`. A message is `proven` when the target, read back after the last change, has it
//! with the same content, flags and received date; how the content was compared is `verify`. What is
//! there but not exactly has a [`Remark`], and is not counted as proven. The JSON form is a contract
//! (docs/json.md); texts are not escaped in it beyond what JSON asks for.

use serde::Serialize;

/// How a restore ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RestoreOutcome {
    /// All that was asked for is on the target, and proven.
    Proven,
    /// Nothing was done, as asked; this is what would be done.
    Planned,
    /// The target took everything; as asked, it was not read back.
    Unproven,
    /// Something is not there, or not proven; the report names it.
    Partial,
    /// It failed as a whole: the target could not be reached or listed, or the archive failed.
    Failed,
}

/// One restore of one account.
#[derive(Clone, Debug, Serialize)]
pub struct RestoreReport {
    /// Whose mail, by its name in the archive.
    pub account: String,
    /// Where it went.
    pub target: TargetReport,
    /// RFC 3339, UTC.
    pub started: String,
    /// RFC 3339, UTC.
    pub finished: String,
    /// How it ended.
    pub outcome: RestoreOutcome,
    /// How content was compared: `headers` (size and header block of all, bytes of a sample), `full`
    /// (all bytes) or `off`.
    pub verify: &'static str,
    /// Why it failed or stopped as a whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What a person should know, whatever the outcome.
    pub warnings: Vec<String>,
    /// The sums over all folders.
    pub totals: RestoreTotals,
    /// Each wanted folder, as far as the restore came.
    pub folders: Vec<FolderReport>,
}

/// The target, as it was found before anything was changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TargetReport {
    /// As configured.
    pub host: String,
    /// As configured.
    pub port: u16,
    /// As whom we are logged in.
    pub user: String,
    /// Mailboxes that can hold messages.
    pub mailboxes: u64,
    /// Messages in them, where the server tells without opening each.
    pub messages: u64,
}

/// The sums over all folders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RestoreTotals {
    /// Messages that the archive has for these folders.
    pub asked: u64,
    /// Those that the target had before.
    pub already_there: u64,
    /// Those that the target has taken; in a plan, those that would be sent.
    pub added: u64,
    /// Those that the target did not take, or that the archive cannot give.
    pub refused: u64,
    /// Those that were not tried, because the restore ended early.
    pub not_sent: u64,
    /// Those that were found again, exact in all.
    pub proven: u64,
    /// Those of them whose bytes were all compared.
    pub proven_by_bytes: u64,
    /// Messages whose flags were set to those of the archive.
    pub flags_set: u64,
    /// Octets of messages that were sent.
    pub bytes_sent: u64,
}

/// One folder of a restore.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FolderReport {
    /// Its name in the archive, as people see it.
    pub folder: String,
    /// Its name on the target, as people see it.
    pub target: String,
    /// It was made for this; in a plan, it would be.
    pub created: bool,
    /// Messages that the archive has for it.
    pub asked: u64,
    /// Those that the target had before.
    pub already_there: u64,
    /// Those that the target has taken; in a plan, those that would be sent.
    pub added: u64,
    /// Those that the target did not take, or that the archive cannot give, and why.
    pub refused: Vec<Refused>,
    /// Those that were not tried, because the restore ended early.
    pub not_sent: u64,
    /// Those that were found again, exact in all.
    pub proven: u64,
    /// Those of them whose bytes were all compared.
    pub proven_by_bytes: u64,
    /// Messages whose flags were set to those of the archive.
    pub flags_set: u64,
    /// Octets of messages that were sent.
    pub bytes_sent: u64,
    /// Messages that are there, but not exactly.
    pub remarks: Vec<Remark>,
    /// What a person should know of the folder.
    pub notices: Vec<String>,
    /// Why the folder as a whole could not be completed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A message that is not on the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The message's key, in hex.
    pub id: String,
    /// The UID under which the archive has it.
    pub uid: u32,
    /// Why it is not there.
    pub why: String,
    /// The archive itself cannot give it: it is damaged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub damaged: bool,
}

/// A message that is on the target, but not exactly; or that was taken and is not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remark {
    /// The message's key, in hex.
    pub id: String,
    /// The UID under which the archive has it.
    pub uid: u32,
    /// What is different.
    pub what: String,
}

impl FolderReport {
    /// A folder of which nothing is known yet.
    #[must_use]
    pub fn new(folder: String, target: String) -> Self {
        Self { folder, target, ..Self::default() }
    }

    /// Whether the target has all that was asked for and shows it exactly.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.error.is_none() && self.proven == self.asked
    }

    /// Whether the target has taken all that was asked for.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.error.is_none() && self.already_there + self.added == self.asked
    }
}

impl RestoreTotals {
    /// The sums over these folders.
    #[must_use]
    pub fn of(folders: &[FolderReport]) -> Self {
        folders.iter().fold(Self::default(), |sum, folder| Self {
            asked: sum.asked + folder.asked,
            already_there: sum.already_there + folder.already_there,
            added: sum.added + folder.added,
            refused: sum.refused + folder.refused.len() as u64,
            not_sent: sum.not_sent + folder.not_sent,
            proven: sum.proven + folder.proven,
            proven_by_bytes: sum.proven_by_bytes + folder.proven_by_bytes,
            flags_set: sum.flags_set + folder.flags_set,
            bytes_sent: sum.bytes_sent + folder.bytes_sent,
        })
    }
}

impl RestoreReport {
    /// Whether the archive could not give some message, because it is damaged.
    #[must_use]
    pub fn met_damage(&self) -> bool {
        self.folders.iter().any(|folder| folder.refused.iter().any(|refused| refused.damaged))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_proven_only_when_every_message_asked_for_was_found_again() {
        let whole =
            FolderReport { asked: 3, already_there: 1, added: 2, proven: 3, ..FolderReport::default() };
        assert!(whole.is_proven() && whole.is_taken());
        assert!(!FolderReport { proven: 2, ..whole.clone() }.is_proven());
        assert!(!FolderReport { added: 1, ..whole.clone() }.is_taken());
        assert!(!FolderReport { error: Some("NO".into()), ..whole }.is_proven());
    }
}
