//! What a person sees while mail is given back: first of all where it goes; then bars on a terminal,
//! log lines anywhere else.
//!
//! Folders are under way at the same time, so the bars count all of them together, and the folder that
//! was begun last stands beside.

use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;
use message::escape::escape;
use sync::{FolderReport, RestoreProgress, TargetReport};

use super::amount::size;
use super::progress::{BAR, BYTES, MAX_NAME, bar};
use super::restore_report::{folders, messages};
use super::screen::Screen;

/// What is to be said of the target before anything on it is changed (R17).
#[derive(Debug, Clone, Copy)]
pub(crate) struct Announcement {
    /// The target is the mailbox that the mail was archived from.
    pub(crate) is_source: bool,
    /// Nothing will be changed.
    pub(crate) dry_run: bool,
}

/// Watches a restore.
pub(crate) struct Watcher {
    screen: Screen,
    announcement: Option<Announcement>,
    /// On a terminal; drawn when it is known how much there is to do.
    bars: Mutex<Option<Bars>>,
}

/// Folders done, and messages and octets on the target.
struct Bars {
    folders: ProgressBar,
    messages: ProgressBar,
    bytes: ProgressBar,
}

impl Watcher {
    /// A watcher that fits the screen; without an announcement nothing is said of the target.
    pub(crate) fn new(screen: &Screen, announcement: Option<Announcement>) -> Self {
        Self { screen: screen.clone(), announcement, bars: Mutex::new(None) }
    }

    fn bars(&self, change: impl FnOnce(&Bars)) {
        let bars = self.bars.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bars) = &*bars {
            change(bars);
        }
    }
}

impl Bars {
    fn new(screen: &Screen, folders: usize, messages: u64, bytes: u64) -> Self {
        let folders = bar(screen, BAR, "", folders as u64);
        folders.set_message("folders");
        let messages = bar(screen, BAR, "", messages);
        messages.set_message("messages");
        Self { folders, messages, bytes: bar(screen, BYTES, "", bytes) }
    }

    fn name(&self, doing: &str, folder: &str) {
        let room = MAX_NAME.saturating_sub(doing.len() + 1);
        let shown: String = escape(folder).chars().take(room).collect();
        self.folders.set_prefix(format!("{doing} {shown}"));
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        for bar in [&self.folders, &self.messages, &self.bytes] {
            bar.finish_and_clear();
        }
    }
}

impl RestoreProgress for Watcher {
    fn target(&self, target: &TargetReport) {
        for line in self.announcement.iter().flat_map(|&announcement| lines(announcement, target)) {
            self.screen.say(&line);
        }
    }

    fn asked(&self, asked: usize, number: u64, bytes: u64) {
        if self.screen.has_bars() {
            let bars = Bars::new(&self.screen, asked, number, bytes);
            *self.bars.lock().unwrap_or_else(PoisonError::into_inner) = Some(bars);
        } else {
            tracing::info!(
                "to be given back: {}, {}, in {}",
                messages(number),
                size(bytes),
                folders(asked as u64)
            );
        }
    }

    fn folder_begins(&self, folder: &str) {
        tracing::debug!(folder, "folder begun");
        self.bars(|bars| bars.name("to", folder));
    }

    fn there(&self, messages: u64, bytes: u64) {
        self.bars(|bars| {
            bars.messages.inc(messages);
            bars.bytes.inc(bytes);
        });
    }

    fn proof_begins(&self, folder: &str, number: u64) {
        tracing::debug!(folder, "reading back {}", messages(number));
        self.bars(|bars| bars.name("proving", folder));
    }

    fn folder_ends(&self, folder: &FolderReport) {
        if !self.screen.has_bars() {
            let (there, added, proven) = (folder.already_there, folder.added, folder.proven);
            let refused = folder.refused.len();
            match &folder.error {
                Some(error) => tracing::error!(folder = folder.folder, there, added, refused, "{error}"),
                None => tracing::info!(folder = folder.folder, there, added, refused, proven, "folder done"),
            }
        }
        self.bars(|bars| bars.folders.inc(1));
    }

    fn notice(&self, text: &str) {
        if self.screen.has_bars() {
            self.screen.say(text);
        } else {
            tracing::warn!("{text}");
        }
    }
}

/// What is said before anything is changed.
fn lines(announcement: Announcement, target: &TargetReport) -> Vec<String> {
    let Announcement { is_source, dry_run } = announcement;
    let TargetReport { host, port, user, mailboxes, messages: number } = target;
    let mut lines = vec![format!(
        "The target: {user} on {host} port {port}; it has {} in {}.",
        messages(*number),
        folders(*mailboxes)
    )];
    if is_source {
        lines.push("This is the mailbox that the mail was archived from.".to_owned());
    }
    lines.push(match (dry_run, number) {
        (true, _) => "A dry run: nothing is changed.".to_owned(),
        (false, 0) => "What is missing is added.".to_owned(),
        (false, _) => "What is there stays, and is not added again; what is missing is added.".to_owned(),
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r17_the_target_is_named_with_what_it_has_before_anything_is_changed() {
        let announcement = Announcement { is_source: true, dry_run: false };
        let target = TargetReport {
            host: "mail.example.org".into(),
            port: 993,
            user: "anna".into(),
            mailboxes: 12,
            messages: 3421,
        };
        insta::assert_snapshot!(lines(announcement, &target).join("\n"), @r#"
            The target: anna on mail.example.org port 993; it has 3 421 messages in 12 folders.
            This is the mailbox that the mail was archived from.
            What is there stays, and is not added again; what is missing is added.
        "#);
        let empty = TargetReport { messages: 0, ..target };
        let announcement = Announcement { is_source: false, dry_run: true };
        insta::assert_snapshot!(lines(announcement, &empty).join("\n"), @r#"
            The target: anna on mail.example.org port 993; it has 0 messages in 12 folders.
            A dry run: nothing is changed.
        "#);
    }
}
