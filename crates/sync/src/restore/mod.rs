//! Giving mail back: an account's folders, as they were at a moment, to an IMAP server; and the proof.
//!
//! [`restore`] is the door. Inside, `places` finds where folders land, and `account` lets several of them
//! go at a time; `steps` is one folder from the first look to the proof; `look` finds out what of ours a
//! mailbox has, by the rules of `pairing`; `append` sends what it lacks, and `attempt` says what to try
//! with a message that the server does not want; `proof` compares and reports.
//!
//! The rule that must never break: a message counts as proven only when the target, read over another
//! connection than the one that sent it, shows it with its content, flags and received date. And the
//! other one: nothing on a target is ever deleted or replaced. There is no code path for it.
//!
//! The archive is read on the calling thread; the network has a thread of its own.

mod account;
mod append;
mod attempt;
mod error;
mod folder;
mod likeness;
mod line;
mod look;
mod names;
mod pairing;
mod places;
mod proof;
mod quiet;
mod reader;
mod report;
mod roles;
mod steps;
mod wanted;

use std::cell::Cell;
use std::collections::HashMap;
use std::time::Duration;

use archive::{Archive, MailboxId, When};
use message::UidSet;
use remote::{Credentials, Endpoint};

use crate::filter::FolderFilter;
use crate::ledger::rfc3339;
use crate::pull::words_of;
use crate::retry::Patience;
use crate::surroundings::{Clock, Stop, Surroundings};
use error::RestoreError;
use reader::Reader;
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
    /// So many folders at a time, at most; each takes two connections.
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
#[derive(Clone, Debug)]
pub struct RestoreLimits {
    /// A target that may still be storing what an interrupted restore has sent must stand still for so
    /// long before it is looked at.
    pub settle: Duration,
    /// What is borne from the target before a message is left out, or the restore ends.
    pub patience: Patience,
    /// The bounds of the conversation with the target.
    pub remote: remote::Limits,
}

impl Default for RestoreLimits {
    fn default() -> Self {
        Self {
            settle: Duration::from_secs(1),
            patience: Patience::default(),
            remote: remote::Limits::default(),
        }
    }
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

/// What every part of a restore needs.
struct Room<'a> {
    job: &'a RestoreJob,
    reader: Reader,
    surroundings: Surroundings<'a>,
    progress: &'a dyn RestoreProgress,
    /// Another folder has met what ends the whole restore.
    halted: Cell<bool>,
    /// The server has asked us to slow down: one command at a time from now on.
    throttled: Cell<bool>,
}

impl Room<'_> {
    /// Whether there is a point in going on.
    fn may_go_on(&self) -> Result<(), RestoreError> {
        if self.surroundings.stop.requested() {
            return Err(RestoreError::Stopped);
        }
        if self.halted.get() { Err(RestoreError::Halted) } else { Ok(()) }
    }

    fn slow_down(&self) {
        self.throttled.set(true);
    }

    /// The bounds of a connection that is made now.
    fn remote_limits(&self) -> remote::Limits {
        let mut limits = self.job.limits.remote.clone();
        if self.throttled.get() {
            limits.commands_in_flight = 1;
        }
        limits
    }

    /// How many APPENDs may be under way.
    fn appends_in_flight(&self) -> usize {
        if self.throttled.get() { 1 } else { self.job.limits.remote.commands_in_flight }
    }
}

/// Restores, and gives an account of it, whatever happens on the way. Run again it adds nothing twice.
///
/// The archive is read on the calling thread.
pub fn restore(
    archive: &Archive,
    job: &RestoreJob,
    clock: &dyn Clock,
    progress: &dyn RestoreProgress,
    stop: &Stop,
) -> RestoreReport {
    restore_in(Surroundings::here(clock, &(), stop), archive, job, progress)
}

/// [`restore`], in these surroundings (whose own watcher is not told anything).
pub fn restore_in(
    surroundings: Surroundings<'_>,
    archive: &Archive,
    job: &RestoreJob,
    progress: &dyn RestoreProgress,
) -> RestoreReport {
    let clock = surroundings.clock;
    let mut report = RestoreReport {
        account: job.account.clone(),
        target: TargetReport {
            host: job.endpoint.host.clone(),
            port: job.endpoint.port,
            user: job.credentials.user.clone(),
            ..TargetReport::default()
        },
        started: rfc3339(clock.unix_ms()),
        finished: String::new(),
        outcome: RestoreOutcome::Failed,
        verify: job.verify.word(),
        error: None,
        warnings: Vec::new(),
        totals: RestoreTotals::default(),
        folders: Vec::new(),
    };
    let result = run(surroundings, archive, job, progress, &mut report);
    report.totals = RestoreTotals::of(&report.folders);
    report.outcome = outcome(job, &report, result.is_ok());
    report.error = result.err().map(|error| error.to_string());
    report.finished = rfc3339(clock.unix_ms());
    report
}

fn run(
    surroundings: Surroundings<'_>,
    archive: &Archive,
    job: &RestoreJob,
    progress: &dyn RestoreProgress,
    report: &mut RestoreReport,
) -> Result<(), RestoreError> {
    let (reader, queue) = Reader::new(surroundings.time);
    let engine = move || {
        let room = Room {
            job,
            reader,
            surroundings,
            progress,
            halted: Cell::new(false),
            throttled: Cell::new(false),
        };
        let runtime = surroundings.time.runtime();
        let runtime = runtime.map_err(|error| RestoreError::Runtime(error.to_string()))?;
        runtime.block_on(account::restore(&room, report))
    };
    std::thread::scope(|scope| {
        let span = tracing::Span::current();
        let engine = scope.spawn(move || span.in_scope(engine));
        let view = archive.view();
        while let Ok(task) = queue.recv() {
            task(&view);
        }
        match engine.join() {
            Ok(result) => result,
            Err(panic) => Err(RestoreError::Panicked(words_of(panic.as_ref()))),
        }
    })
}

fn outcome(job: &RestoreJob, report: &RestoreReport, came_to_its_end: bool) -> RestoreOutcome {
    let all = |is_well: fn(&FolderReport) -> bool| came_to_its_end && report.folders.iter().all(is_well);
    let in_vain = |folder: &FolderReport| folder.error.is_some() && folder.already_there + folder.added == 0;
    if report.folders.iter().all(in_vain) {
        RestoreOutcome::Failed
    } else if job.dry_run && came_to_its_end {
        RestoreOutcome::Planned
    } else if job.verify == Verify::Off && all(FolderReport::is_taken) {
        RestoreOutcome::Unproven
    } else if job.verify != Verify::Off && all(FolderReport::is_proven) {
        RestoreOutcome::Proven
    } else {
        RestoreOutcome::Partial
    }
}
