//! Suspicious loss: when what vanished or changed in a run looks like a theft, a wipe or a mistake.
//!
//! The archive keeps everything whatever the server says; this only decides whether a person should
//! look. What counts is what is lost: messages that were moved within the account are not, unless they
//! were moved to a bin (Trash, Junk), from where they will be deleted. Bins have a mark of their own,
//! for they are emptied every day. The thresholds are those of the configuration's `[watchdog]`.

/// When a loss is suspicious. Shares are from 0 to 1; a share must be exceeded.
#[derive(Clone, Copy, Debug)]
pub struct Watchdog {
    /// Fewer messages than this in a folder never are.
    pub vanished_min: u64,
    /// Share of a folder's messages that are gone, or marked for deletion.
    pub vanished_share: f64,
    /// Share of an account's messages that are gone, bins not counted.
    pub account_share: f64,
    /// Share of a bin's messages that are gone. 1: never.
    pub trash_share: f64,
    /// Share of a folder's messages whose flags changed.
    pub flags_share: f64,
    /// A folder that the server no longer lists counts as gone after so many runs in a row.
    pub unseen_runs: u32,
}

impl Default for Watchdog {
    fn default() -> Self {
        Self {
            vanished_min: 20,
            vanished_share: 0.1,
            account_share: 0.3,
            trash_share: 1.0,
            flags_share: 0.5,
            unseen_runs: 3,
        }
    }
}

/// What a run changed in a folder.
#[derive(Clone, Debug, Default)]
pub(crate) struct FolderChange {
    pub(crate) folder: String,
    pub(crate) is_bin: bool,
    /// Messages before the run.
    pub(crate) before: u64,
    /// Those of them that are gone.
    pub(crate) lost: u64,
    /// Those of the lost for which another message with the same subject and sender has come.
    pub(crate) altered: u64,
    pub(crate) flags_changed: u64,
    /// Messages that are marked `\\Deleted` since.
    pub(crate) marked_deleted: u64,
}

impl Watchdog {
    /// Whether a folder that held `before` messages and lost `lost` of them needs a look.
    pub(crate) fn is_suspicious(&self, before: u64, lost: u64) -> bool {
        self.exceeds(lost, before, self.vanished_share)
    }

    /// What a person should look at, in words; nothing where all is usual.
    pub(crate) fn findings(&self, folders: &[FolderChange]) -> Vec<String> {
        let mut findings: Vec<String> = folders.iter().flat_map(|change| self.of_folder(change)).collect();
        let counted = || folders.iter().filter(|change| !change.is_bin);
        let before = counted().map(|change| change.before).sum();
        let lost = counted().map(|change| change.lost).sum();
        if self.exceeds(lost, before, self.account_share) {
            findings.push(format!("{lost} of {before} messages of this account are gone from the server"));
        }
        findings
    }

    fn of_folder(&self, change: &FolderChange) -> Vec<String> {
        let FolderChange { folder, before, .. } = change;
        let mut findings = Vec::new();
        let share = if change.is_bin { self.trash_share } else { self.vanished_share };
        if self.exceeds(change.lost, *before, share) {
            let mut text = format!("{folder}: {} of {before} messages are gone from the server", change.lost);
            if change.altered >= self.vanished_min.max(1) {
                text += &format!(
                    "; for {} of them another with the same subject and sender has come: they may have been \
                     altered or encrypted in place",
                    change.altered
                );
            }
            findings.push(text);
        }
        if self.exceeds(change.marked_deleted, *before, share) {
            let marked = change.marked_deleted;
            findings.push(format!("{folder}: {marked} of {before} messages were marked for deletion"));
        } else if self.exceeds(change.flags_changed, *before, self.flags_share) && !change.is_bin {
            let changed = change.flags_changed;
            findings.push(format!("{folder}: the flags of {changed} of {before} messages changed at once"));
        }
        findings
    }

    #[expect(clippy::cast_precision_loss, reason = "a share of messages needs no 53 bits")]
    fn exceeds(&self, part: u64, whole: u64, share: f64) -> bool {
        part >= self.vanished_min && part > 0 && part as f64 > whole as f64 * share
    }
}

/// Names of bins on servers that do not mark them (RFC 6154), in lower case.
const BIN_NAMES: [&str; 14] = [
    "trash",
    "junk",
    "spam",
    "bin",
    "deleted",
    "deleted items",
    "deleted messages",
    "junk email",
    "junk e-mail",
    "junk mail",
    "bulk mail",
    "papierkorb",
    "corbeille",
    "papelera",
];

/// Whether a mailbox is a bin: mail in it is meant to be deleted.
pub(crate) fn is_bin(special_use: Option<&str>, name: &str, delimiter: Option<char>) -> bool {
    let leaf = delimiter.and_then(|delimiter| name.rsplit(delimiter).next()).unwrap_or(name);
    match special_use {
        Some(special) => ["\\Trash", "\\Junk"].iter().any(|bin| special.eq_ignore_ascii_case(bin)),
        None => BIN_NAMES.contains(&leaf.to_lowercase().as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(before: u64, lost: u64) -> FolderChange {
        FolderChange { folder: "INBOX".into(), before, lost, ..FolderChange::default() }
    }

    fn findings(folders: &[FolderChange]) -> Vec<String> {
        Watchdog::default().findings(folders)
    }

    #[test]
    fn l01_a_loss_is_suspicious_only_when_it_is_large_in_number_and_share() {
        let watchdog = Watchdog::default();
        for (before, lost, suspicious) in
            [(1_000, 101, true), (1_000, 100, false), (30, 19, false), (30, 20, true), (0, 0, false)]
        {
            assert_eq!(watchdog.is_suspicious(before, lost), suspicious, "{lost} of {before}");
        }
        let many = |lost_in_each| vec![lost(100, lost_in_each); 10];
        assert!(findings(&many(10)).is_empty(), "a tenth everywhere");
        let split: Vec<_> = (0..100).map(|_| lost(60, 19)).collect();
        assert_eq!(findings(&split).len(), 1, "too few in each folder, too many in the account");
        let none = Watchdog { vanished_min: 0, ..Watchdog::default() };
        assert!(!none.is_suspicious(0, 0));
    }

    #[test]
    fn l10_a_bin_may_be_emptied_and_counts_for_nothing_else() {
        let bin = FolderChange { is_bin: true, folder: "Trash".into(), ..lost(5_000, 5_000) };
        assert!(findings(&[bin.clone(), lost(100, 0)]).is_empty());
        let strict = Watchdog { trash_share: 0.5, ..Watchdog::default() };
        assert_eq!(strict.findings(&[bin]).len(), 1);
        assert!(is_bin(Some("\\Trash"), "Korb", None) && is_bin(None, "INBOX.Spam", Some('.')));
        assert!(!is_bin(Some("\\Sent"), "Trash", None) && !is_bin(None, "Trash talk", Some('/')));
    }

    #[test]
    fn l07_many_flags_at_once_are_worth_a_look_and_marks_for_deletion_sooner() {
        let flags =
            |flags_changed, marked_deleted| FolderChange { flags_changed, marked_deleted, ..lost(100, 0) };
        assert!(findings(&[flags(50, 10)]).is_empty());
        assert!(findings(&[flags(51, 0)])[0].contains("flags of 51 of 100"));
        assert!(findings(&[flags(21, 21)])[0].contains("21 of 100 messages were marked for deletion"));
    }

    #[test]
    fn l03_what_came_again_with_other_bytes_is_said() {
        let altered = FolderChange { altered: 90, ..lost(100, 95) };
        let findings = findings(&[altered]);
        assert!(findings[0].contains("for 90 of them"), "{findings:?}");
    }
}
