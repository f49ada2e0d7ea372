//! What a person sees while an account is pulled: bars on a terminal, log lines anywhere else.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use message::escape::escape;
use sync::Progress;

use super::amount::{count, size};
use super::screen::Screen;

/// Folder names are cut to this many letters beside a bar.
pub(super) const MAX_NAME: usize = 30;

pub(super) const BAR: &str = "{prefix:30!} {bar:24} {pos}/{len}  {msg}";
pub(super) const BYTES: &str = "{prefix:30!} {bar:24} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left";

/// The watcher that fits the screen.
pub(crate) fn for_account(screen: &Screen, account: &str) -> Box<dyn Progress> {
    if screen.has_bars() { Box::new(Bars::new(screen, account)) } else { Box::new(Lines) }
}

/// Bars: folders done; in the present folder, messages and octets with rate and time left.
struct Bars {
    screen: Screen,
    folders: ProgressBar,
    folder: Mutex<Option<FolderBars>>,
}

struct FolderBars {
    messages: ProgressBar,
    bytes: ProgressBar,
}

impl Bars {
    fn new(screen: &Screen, account: &str) -> Self {
        let folders = bar(screen, BAR, account, 0);
        folders.set_message("folders");
        Self { screen: screen.clone(), folders, folder: Mutex::new(None) }
    }

    fn replace(&self, new: Option<FolderBars>) {
        let mut present = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = std::mem::replace(&mut *present, new) {
            old.messages.finish_and_clear();
            old.bytes.finish_and_clear();
        }
    }
}

impl Progress for Bars {
    fn folders(&self, total: usize) {
        self.folders.set_length(total as u64);
    }

    fn folder_begins(&self, folder: &str, messages: u64, bytes: u64) {
        let messages = bar(&self.screen, BAR, folder, messages);
        messages.set_message("messages");
        let bytes = bar(&self.screen, BYTES, "", bytes);
        self.replace(Some(FolderBars { messages, bytes }));
    }

    fn message(&self, bytes: u64) {
        let present = self.folder.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = &*present {
            folder.messages.inc(1);
            folder.bytes.inc(bytes);
        }
    }

    fn folder_ends(&self, _folder: &str) {
        self.replace(None);
        self.folders.inc(1);
    }

    fn notice(&self, text: &str) {
        self.screen.say(text);
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        self.replace(None);
        self.folders.finish_and_clear();
    }
}

/// A bar of this length below those that are there.
pub(super) fn bar(screen: &Screen, template: &str, prefix: &str, length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the templates are valid");
    let bar = screen.bars().add(ProgressBar::new(length).with_style(style.progress_chars("=> ")));
    let shown: String = escape(prefix).chars().take(MAX_NAME).collect();
    bar.set_prefix(shown);
    // Redrawing it for each small message would cost more than fetching it.
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}

/// Log lines: a folder that brings something, when it begins.
struct Lines;

impl Progress for Lines {
    fn folders(&self, total: usize) {
        tracing::debug!(folders = total, "folders listed");
    }

    fn folder_begins(&self, folder: &str, messages: u64, bytes: u64) {
        if messages > 0 {
            tracing::info!(folder, "fetching {} messages, {}", count(messages), size(bytes));
        } else {
            tracing::debug!(folder, "nothing to fetch");
        }
    }

    fn folder_ends(&self, folder: &str) {
        tracing::debug!(folder, "folder done");
    }

    fn notice(&self, text: &str) {
        tracing::warn!("{text}");
    }
}
