//! What a monitoring system is told: how each account and the archive stand, as Prometheus reads it.
//!
//! [`Metrics`] is what is known at a moment, in plain types; [`Metrics::to_text`] writes it down. Who
//! knows it, and who asks, is not our concern. The names are a contract (docs/monitoring.md): they are
//! added to, never changed.
//!
//! There is a label for the account and none for folders or messages: with five hundred accounts a page
//! has some ten thousand lines, and strangers, who name folders, cannot make it longer.

mod histogram;
mod page;

use std::collections::BTreeMap;
use std::time::Duration;

pub use histogram::Durations;
pub use page::MEDIA_TYPE;
use page::{Kind, Page};

/// What is known at a moment.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// The program's version.
    pub version: &'static str,
    /// Of the daemon alone.
    pub daemon: Option<Daemon>,
    /// The configured accounts.
    pub accounts: BTreeMap<String, Account>,
    /// The archive.
    pub archive: Archive,
}

/// How the daemon stands.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// When it began, in seconds since 1970.
    pub started: i64,
    /// Whether the last reload found a configuration that is right.
    pub configuration_is_right: bool,
    /// How long runs took.
    pub durations: Durations,
}

/// How an account stands.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Whether a run goes on.
    pub running: bool,
    /// The last run that has ended.
    pub last: Option<Run>,
    /// When the newest good run ended, in milliseconds since 1970.
    pub last_good_ms: Option<i64>,
    /// When its schedule plans the next run, in seconds since 1970.
    pub next: Option<i64>,
    /// What the archive holds of it.
    pub held: Option<Held>,
    /// What has happened since the process began.
    pub counts: Counts,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything is in the archive.
    Ok,
    /// Something is missing.
    Partial,
    /// Nothing can be said.
    Failed,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Ok, Self::Partial, Self::Failed];

    /// The word of the ledger.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Partial => "partial",
            Self::Failed => "failed",
        }
    }

    /// From the word of the ledger.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.word() == word)
    }
}

/// A run that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// How.
    pub outcome: Outcome,
    /// Whether so much has vanished or changed that a person should look.
    pub suspicious: bool,
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: i64,
    /// How long it took.
    pub took: Duration,
    /// Messages that it placed for the first time.
    pub new: u64,
    /// Messages that the server no longer has.
    pub vanished: u64,
    /// Messages and folders that could not be brought.
    pub failed: u64,
    /// Octets of message content that the server sent.
    pub fetched_bytes: u64,
}

impl Run {
    /// Whether a person can rely on it: whole, and nothing odd about it.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.outcome == Outcome::Ok && !self.suspicious
    }
}

/// What the archive holds of an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Held {
    /// Messages in its folders.
    pub messages: u64,
    /// Their octets.
    pub bytes: u64,
    /// Suspicious runs that nobody has acknowledged.
    pub unacknowledged: u64,
}

/// What has happened since the process began.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    runs: [u64; Outcome::ALL.len()],
    new: u64,
    vanished: u64,
    failed: u64,
    fetched_bytes: u64,
}

/// How the archive stands.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    /// Whether it could be read when it was last tried; none: not tried yet.
    pub readable: Option<bool>,
    /// As it was when it could be read.
    pub sizes: Option<Sizes>,
    /// Of its disk.
    pub disk: Option<Disk>,
    /// Room that is to stay free, in bytes.
    pub reserve_bytes: u64,
    /// The last verification of each depth.
    verified: BTreeMap<String, Verified>,
}

/// How large the archive is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Pack files.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
    /// The catalogue's bytes.
    pub catalogue_bytes: u64,
    /// Messages, each counted once.
    pub messages: u64,
    /// Octets of the mail in all folders, as often as it lies there.
    pub mail_bytes: u64,
    /// Places in the packs that `repair` has found damaged.
    pub known_damage: u64,
}

/// The archive's disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disk {
    /// What can still be written, in bytes.
    pub free_bytes: u64,
    /// All of it, in bytes.
    pub size_bytes: u64,
}

/// A verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// When, in seconds since 1970.
    pub at: i64,
    /// Whether it found the archive whole.
    pub whole: bool,
}

impl Account {
    /// A run has ended in this process.
    pub fn ended(&mut self, run: Run) {
        self.counts.runs
            [Outcome::ALL.iter().position(|outcome| *outcome == run.outcome).unwrap_or_default()] += 1;
        self.counts.new += run.new;
        self.counts.vanished += run.vanished;
        self.counts.failed += run.failed;
        self.counts.fetched_bytes += run.fetched_bytes;
        self.running = false;
        self.recall(Some(run), None);
    }

    /// These are the last run and the end of the newest good one that the archive knows of; what is
    /// known already and is newer stays.
    pub fn recall(&mut self, last: Option<Run>, last_good_ms: Option<i64>) {
        let ended = |run: &Run| run.ended_ms;
        self.last = self.last.into_iter().chain(last).max_by_key(ended);
        let good = last.filter(Run::is_good).map(|run| run.ended_ms);
        self.last_good_ms = self.last_good_ms.into_iter().chain(last_good_ms).chain(good).max();
    }
}

impl Archive {
    /// Takes down how a verification of this depth (`quick`, `full`, …) went, unless a newer one is known.
    pub fn verified(&mut self, depth: &str, verified: Verified) {
        let known = self.verified.entry(depth.to_owned()).or_insert(verified);
        if known.at <= verified.at {
            *known = verified;
        }
    }
}

impl Metrics {
    /// The page.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut page = Page::default();
        page.family("restante_build_info", Kind::Gauge, "The version of restante; always 1.")
            .sample(&[("version", self.version)], 1);
        page.family("restante_accounts", Kind::Gauge, "Configured accounts.")
            .sample(&[], self.accounts.len());
        if let Some(daemon) = &self.daemon {
            write_daemon(&mut page, daemon);
        }
        self.write_runs(&mut page);
        self.write_held(&mut page);
        if self.daemon.is_some() {
            self.write_counts(&mut page);
        }
        write_archive(&mut page, &self.archive);
        page.into_text()
    }

    /// A gauge with a sample for each account of which the value is known.
    fn gauge<V: std::fmt::Display>(
        &self,
        page: &mut Page,
        (name, help): (&'static str, &'static str),
        value: impl Fn(&Account) -> Option<V>,
    ) {
        let mut family = page.family(name, Kind::Gauge, help);
        for (account, known) in &self.accounts {
            if let Some(value) = value(known) {
                family.sample(&[("account", account)], value);
            }
        }
    }

    fn write_runs(&self, page: &mut Page) {
        let last = |value: fn(&Run) -> u64| move |account: &Account| account.last.as_ref().map(value);
        let name = "restante_last_good_run_timestamp_seconds";
        let help = "When the newest run ended that was whole and not suspicious; 0: there is none.";
        // Never is told as 0, so that the rule for a run too old has something to go by.
        self.gauge(page, (name, help), |account| Some(seconds(account.last_good_ms.unwrap_or(0))));
        let about = ("restante_last_run_timestamp_seconds", "When the last run ended.");
        self.gauge(page, about, |account| account.last.map(|run| seconds(run.ended_ms)));
        let about = ("restante_last_run_duration_seconds", "How long the last run took.");
        self.gauge(page, about, |account| account.last.map(|run| run.took.as_secs_f64()));
        let help = "How the last run ended: 1 for that outcome, 0 for the others.";
        let mut family = page.family("restante_last_run_outcome", Kind::Gauge, help);
        for (account, known) in &self.accounts {
            let Some(run) = known.last else { continue };
            for outcome in Outcome::ALL {
                let labels = [("account", account.as_str()), ("outcome", outcome.word())];
                family.sample(&labels, u8::from(run.outcome == outcome));
            }
        }
        let help = "1 where so much vanished or changed in the last run that a person should look.";
        let about = ("restante_last_run_suspicious", help);
        self.gauge(page, about, last(|run| u64::from(run.suspicious)));
        let about = ("restante_last_run_new_messages", "Messages that the last run brought.");
        self.gauge(page, about, last(|run| run.new));
        let help = "Messages that had vanished from the server in the last run.";
        self.gauge(page, ("restante_last_run_vanished_messages", help), last(|run| run.vanished));
        let help = "Messages and folders that the last run could not bring.";
        self.gauge(page, ("restante_last_run_failed_messages", help), last(|run| run.failed));
        let help = "Bytes of message content that the last run fetched.";
        self.gauge(page, ("restante_last_run_fetched_bytes", help), last(|run| run.fetched_bytes));
        let about = ("restante_next_run_timestamp_seconds", "When the schedule plans the next run.");
        self.gauge(page, about, |account| account.next);
    }

    fn write_held(&self, page: &mut Page) {
        let held = |value: fn(&Held) -> u64| move |account: &Account| account.held.as_ref().map(value);
        let about = ("restante_account_messages", "Messages in the account's folders.");
        self.gauge(page, about, held(|held| held.messages));
        let about = ("restante_account_bytes", "Bytes of the messages in the account's folders.");
        self.gauge(page, about, held(|held| held.bytes));
        let help = "Suspicious runs that nobody has acknowledged with `restante ack`.";
        self.gauge(page, ("restante_unacknowledged_alarms", help), held(|held| held.unacknowledged));
    }

    /// What only counts from a start on that stays the same for a while.
    fn write_counts(&self, page: &mut Page) {
        let about = ("restante_account_running", "1 while a run of the account goes on.");
        self.gauge(page, about, |account| Some(u8::from(account.running)));
        let mut runs = page.family("restante_runs_total", Kind::Counter, "Runs that ended, by outcome.");
        for (account, known) in &self.accounts {
            for (outcome, count) in Outcome::ALL.into_iter().zip(known.counts.runs) {
                runs.sample(&[("account", account), ("outcome", outcome.word())], count);
            }
        }
        type Count = fn(&Counts) -> u64;
        let counters: [(_, _, Count); 4] = [
            ("restante_new_messages_total", "Messages brought.", |counts| counts.new),
            ("restante_vanished_messages_total", "Messages that vanished from servers.", |counts| {
                counts.vanished
            }),
            ("restante_failed_messages_total", "Messages and folders that could not be brought.", |counts| {
                counts.failed
            }),
            ("restante_fetched_bytes_total", "Bytes of message content fetched.", |counts| {
                counts.fetched_bytes
            }),
        ];
        for (name, help, count) in counters {
            let mut family = page.family(name, Kind::Counter, help);
            for (account, known) in &self.accounts {
                family.sample(&[("account", account)], count(&known.counts));
            }
        }
    }
}

fn write_daemon(page: &mut Page, daemon: &Daemon) {
    page.family("restante_start_time_seconds", Kind::Gauge, "When the daemon began.")
        .sample(&[], daemon.started);
    let help = "1 where the configuration was right when it was last read, 0 where an older one is in force.";
    page.family("restante_config_last_reload_successful", Kind::Gauge, help)
        .sample(&[], u8::from(daemon.configuration_is_right));
    let help = "How long runs took.";
    daemon.durations.write(&mut page.family("restante_run_duration_seconds", Kind::Histogram, help));
}

fn write_archive(page: &mut Page, archive: &Archive) {
    let mut gauge = |name, help, value: Option<u64>| {
        if let Some(value) = value {
            page.family(name, Kind::Gauge, help).sample(&[], value);
        }
    };
    let sizes = archive.sizes.as_ref();
    let readable = archive.readable.map(u64::from);
    gauge("restante_archive_readable", "1 where the archive could be read when last tried.", readable);
    gauge("restante_archive_packs", "Pack files.", sizes.map(|sizes| sizes.packs));
    gauge("restante_archive_pack_bytes", "Bytes of the pack files.", sizes.map(|sizes| sizes.pack_bytes));
    let catalogue = sizes.map(|sizes| sizes.catalogue_bytes);
    gauge("restante_archive_catalogue_bytes", "Bytes of the catalogue.", catalogue);
    let help = "Messages in the archive, each counted once.";
    gauge("restante_archive_messages", help, sizes.map(|sizes| sizes.messages));
    let help = "Bytes of the mail in all folders, counted as often as it lies there.";
    gauge("restante_archive_mail_bytes", help, sizes.map(|sizes| sizes.mail_bytes));
    let help = "Places in the packs that `restante repair` has found damaged.";
    gauge("restante_archive_known_damage", help, sizes.map(|sizes| sizes.known_damage));
    let (free, size) = (archive.disk.map(|disk| disk.free_bytes), archive.disk.map(|disk| disk.size_bytes));
    gauge("restante_archive_disk_free_bytes", "Bytes free on the archive's disk.", free);
    gauge("restante_archive_disk_size_bytes", "Bytes of the archive's disk.", size);
    let help = "Bytes that are to stay free on the archive's disk.";
    gauge("restante_archive_reserve_bytes", help, Some(archive.reserve_bytes));
    if let Some(ratio) = sizes.and_then(Sizes::ratio) {
        let help = "Size of the archive in relation to the mail in all folders.";
        page.family("restante_archive_ratio", Kind::Gauge, help).sample(&[], ratio);
    }
    let name = "restante_archive_last_verification_timestamp_seconds";
    let mut family = page.family(name, Kind::Gauge, "When the archive was last verified, by depth.");
    for (depth, Verified { at, .. }) in &archive.verified {
        family.sample(&[("depth", depth)], at);
    }
    // What the newest found holds: an archive that was repaired since is whole.
    if let Some(newest) = archive.verified.values().max_by_key(|verified| (verified.at, !verified.whole)) {
        let help = "1 where the last verification found the archive whole.";
        page.family("restante_archive_last_verification_whole", Kind::Gauge, help)
            .sample(&[], u8::from(newest.whole));
    }
}

impl Sizes {
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no 53 bits")]
    fn ratio(&self) -> Option<f64> {
        let bytes = self.pack_bytes + self.catalogue_bytes;
        (self.mail_bytes > 0).then(|| bytes as f64 / self.mail_bytes as f64)
    }
}

/// Milliseconds as Prometheus counts time.
#[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 need 41 bits")]
fn seconds(unix_ms: i64) -> f64 {
    unix_ms as f64 / 1_000.0
}

#[cfg(test)]
mod tests;
