//! One run of one account: pull what the archive lacks, record what changed, and account for it all.
//!
//! [`pull`] is the door. Inside, `account` goes through the folders over a `line` that may be cut at any
//! time, `folder` brings one mailbox up to date, `fetch` brings messages, `recognise` spares those that
//! the archive has under another UID, and `pipeline` carries the bytes to the archive. `pop3` is the
//! same for an account that is pulled over POP3.
//!
//! The rule that must never break: a ledger says `ok` only when, in every wanted folder, the count
//! that the server gave at the end equals the number of those messages that the archive has on disk.

mod account;
mod compare;
mod copies;
mod cuts;
mod desk;
mod fetch;
mod folder;
mod judge;
mod line;
mod peek;
mod pipeline;
mod pop3;
mod probe;
mod prove;
mod recognise;
mod revive;
mod slices;

use std::sync::Arc;
use std::time::Duration;

use archive::{AccountId, RunId, Writer};
use remote::{Credentials, Endpoint};

use crate::filter::FolderFilter;
use crate::ledger::{EndedBy, Ledger, Outcome, Totals, rfc3339};
use crate::retry::Patience;
use crate::surroundings::{Clock, Progress, Stop, Surroundings, Time};
use crate::watchdog::Watchdog;
pub use desk::Archivist;
use desk::Desk;
use pipeline::Pipeline;
pub use probe::{Probed, probe, probe_and_count};

/// What to pull, from where, and within which bounds.
#[derive(Clone, Debug)]
pub struct Job {
    /// The account's name in the configuration: its identity in the archive.
    pub account: String,
    /// What is spoken with the server.
    pub protocol: Protocol,
    /// The server.
    pub endpoint: Endpoint,
    /// Who we are to it.
    pub credentials: Credentials,
    /// Which folders are wanted.
    pub filter: FolderFilter,
    /// The bounds of the run.
    pub limits: PullLimits,
}

/// What is spoken with a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// IMAP, with all its folders.
    Imap,
    /// POP3: one mailbox, which appears as the folder INBOX.
    Pop3(Pop3Options),
}

impl Protocol {
    /// The word of the ledger and of the archive.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Imap => "imap",
            Self::Pop3(_) => "pop3",
        }
    }
}

/// What there is to choose with POP3.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pop3Options {
    /// How to log in.
    pub auth: remote::pop3::Auth,
    /// What the server lists.
    pub listing: Pop3Listing,
    /// How often the account is pulled, where that is known: servers say after how many days they
    /// delete (EXPIRE, RFC 2449 §6.7).
    pub every: Option<Duration>,
}

/// What a POP3 server lists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pop3Listing {
    /// The whole maildrop: what is not listed any more has vanished.
    #[default]
    All,
    /// What has not been fetched yet, some of it at a time, as Gmail does: what is not listed says
    /// nothing, and each message is durable here before the next is asked for.
    New,
}

/// The bounds of a run.
#[derive(Clone, Debug)]
pub struct PullLimits {
    /// A commit after so many octets of new blobs: what an interruption can cost at most.
    pub commit_bytes: u64,
    /// And after so much time.
    pub commit_interval: Duration,
    /// Free space that must remain on the archive's disk; below it nothing is fetched.
    pub reserve_bytes: u64,
    /// Octets of message content that this run may fetch, `None` for any number.
    pub max_bytes: Option<u64>,
    /// When a loss is suspicious.
    pub watchdog: Watchdog,
    /// What is borne from a server before a message is left out, or the run ends.
    pub patience: Patience,
    /// Each mailbox is looked at in full once in so much time, whatever its numbers say; 0: never.
    pub recheck: Duration,
    /// The bounds of the conversation with the server.
    pub remote: remote::Limits,
}

impl Default for PullLimits {
    fn default() -> Self {
        Self {
            commit_bytes: 64 << 20,
            commit_interval: Duration::from_secs(5),
            reserve_bytes: 1 << 30,
            max_bytes: None,
            watchdog: Watchdog::default(),
            patience: Patience::default(),
            recheck: Duration::from_secs(7 * 86_400),
            remote: remote::Limits::default(),
        }
    }
}

/// Why a run, or a part of it, ended early.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("{0}")]
    Remote(Arc<remote::Error>),
    #[error("{}", .0.in_full())]
    Archive(Arc<archive::Error>),
    #[error(
        "only {free} bytes are free on the archive's disk, less than the reserve of {reserve} ([archive] reserve); \
         make room and run again"
    )]
    DiskReserve { free: u64, reserve: u64 },
    #[error("interrupted; the next run goes on from here")]
    Stopped,
    #[error(
        "the day's budget (max_bytes_per_day) is spent, of which {0} bytes were left for this run; \
         a later run goes on from here"
    )]
    Budget(u64),
    #[error("the run has taken longer than {} s, which is the limit ([limits] run); a later run goes on from here", .0.as_secs())]
    TimeUp(Duration),
    #[error("the network runtime cannot be started: {0}")]
    Runtime(String),
    #[error("the archive's thread has ended")]
    PipelineGone,
    #[error("a fault in restante itself; please report it: {0}")]
    Panicked(String),
}

impl From<remote::Error> for RunError {
    fn from(error: remote::Error) -> Self {
        Self::Remote(Arc::new(error))
    }
}

/// What every room of a run needs.
pub(crate) struct Context<'a> {
    job: &'a Job,
    pipeline: Pipeline,
    surroundings: Surroundings<'a>,
    progress: &'a dyn Progress,
    stop: &'a Stop,
    account: AccountId,
    run: RunId,
    /// When the run began, in milliseconds since 1970.
    started_ms: i64,
    /// Octets of content that this run has fetched in the folders before the present one.
    fetched_before: u64,
}

impl Context<'_> {
    /// Whether the run may fetch more, when the present folder has fetched so many octets.
    fn may_go_on(&self, fetched_in_folder: u64) -> Result<(), RunError> {
        if self.stop.requested() {
            return Err(RunError::Stopped);
        }
        match self.job.limits.max_bytes {
            Some(most) if self.fetched_before + fetched_in_folder >= most => Err(RunError::Budget(most)),
            _ => Ok(()),
        }
    }

    /// A pause, unless somebody asks the run to end.
    async fn sleep(&self, pause: Duration) -> Result<(), RunError> {
        tokio::select! {
            biased;
            () = tokio::time::sleep(pause) => Ok(()),
            () = self.stop.wait() => Err(RunError::Stopped),
        }
    }
}

/// Runs the job to its end, whatever happens on the way: what failed is in the ledger, and what was
/// brought before it failed is in the archive.
///
/// The archive works on the calling thread; all else has threads of its own.
pub fn pull(
    writer: &mut Writer,
    job: &Job,
    clock: &dyn Clock,
    progress: &dyn Progress,
    stop: &Stop,
) -> Ledger {
    pull_in(Surroundings::here(clock, progress, stop), writer, job)
}

/// [`pull`], in these surroundings.
pub fn pull_in(surroundings: Surroundings<'_>, writer: &mut Writer, job: &Job) -> Ledger {
    Archivist::serve(writer, surroundings.clock, &job.limits, |archivist| {
        pull_beside_others(surroundings, &archivist, job)
    })
}

/// [`pull`] into an archive that others may be pulling into at the same time, of other accounts. It
/// goes on on the calling thread, and on two of its own.
///
/// Events of all three are in the caller's `tracing` span; where that has a field `run`, the run's number
/// is told there.
pub fn pull_beside_others(surroundings: Surroundings<'_>, archivist: &Archivist, job: &Job) -> Ledger {
    let clock = surroundings.clock;
    let mut ledger = Ledger::failed(&job.account, job.protocol.word(), &rfc3339(clock.unix_ms()));
    if let Err(error) = run(surroundings, archivist, job, &mut ledger) {
        ledger.outcome = Outcome::Failed;
        ledger.ended_by.get_or_insert(ended_by(&error));
        // What made the run fail is known already when the run cannot even be recorded.
        ledger.error.get_or_insert_with(|| error.to_string());
    }
    ledger.totals = Totals::of(&ledger.folders);
    ledger.finished = rfc3339(clock.unix_ms());
    ledger
}

fn run(
    surroundings: Surroundings<'_>,
    archivist: &Archivist,
    job: &Job,
    ledger: &mut Ledger,
) -> Result<(), RunError> {
    let Surroundings { clock, progress, stop, time, .. } = surroundings;
    let started_ms = clock.unix_ms();
    let (name, protocol) = (job.account.clone(), job.protocol.word());
    let (account, run, has_room) = archivist
        .ask(move |desk| {
            let account = desk.writer.account(&name, protocol)?;
            let run = desk.writer.begin_run(account, started_ms)?;
            Ok((account, run, desk.has_room()))
        })?
        .map_err(from_archive)?;

    let span = tracing::Span::current();
    span.record("run", run.get());
    let (pipeline, splitter) = pipeline::pipeline(time, archivist.tasks());
    let context =
        Context { job, pipeline, surroundings, progress, stop, account, run, started_ms, fetched_before: 0 };
    let result = has_room.and_then(|()| {
        std::thread::scope(|scope| {
            let splitter = scope.spawn(|| span.in_scope(|| splitter.run()));
            let engine = scope.spawn(|| span.in_scope(|| on_a_runtime(time, pull_over(context, ledger))));
            both(engine.join(), splitter.join())
        })
    });
    let (watchdog, so_far) = (job.limits.watchdog, ledger.clone());
    let (whole, recorded) = archivist.ask(move |desk| {
        let mut ledger = so_far;
        let recorded = end(desk, (account, run), &watchdog, result, &mut ledger);
        (ledger, recorded)
    })?;
    *ledger = whole;
    recorded.map_err(from_archive)
}

/// Records what the run came to, whatever has failed, together with the last of what it brought: in one
/// commit, so that the archive never says more than it holds. What has come to disk is known only then, so
/// where anything has failed it is counted first.
fn end(
    desk: &mut Desk<'_>,
    (account, run): (AccountId, RunId),
    watchdog: &Watchdog,
    result: Result<(), RunError>,
    ledger: &mut Ledger,
) -> Result<(), archive::Error> {
    let (writer, clock) = (&mut *desk.writer, desk.clock);
    if let Err(error) = &result {
        let has_failed = writer.commit().is_err() || matches!(error, RunError::Archive(_));
        count_on_disk(writer, ledger, has_failed)?;
    }
    ledger.outcome = outcome(ledger, result.as_ref().err());
    ledger.error = result.as_ref().err().map(ToString::to_string);
    ledger.ended_by = result.as_ref().err().map(ended_by);
    ledger.totals = Totals::of(&ledger.folders);
    ledger.finished = rfc3339(clock.unix_ms());
    let recorded = record_end(writer, (account, run), watchdog, ledger, clock.unix_ms());
    if result.is_ok() && recorded.is_err() {
        count_on_disk(writer, ledger, true)?;
    }
    recorded
}

fn record_end(
    writer: &mut Writer,
    (account, run): (AccountId, RunId),
    watchdog: &Watchdog,
    ledger: &mut Ledger,
    now_ms: i64,
) -> Result<(), archive::Error> {
    if judge::judge(&writer.draft(), account, run, watchdog, ledger)? {
        writer.alarm(account, run)?;
    }
    let json = for_the_journal(ledger);
    writer.end_run(run, ledger.outcome.word(), now_ms, &json)?;
    writer.commit()?;
    Ok(())
}

fn ended_by(error: &RunError) -> EndedBy {
    match error {
        RunError::Stopped => EndedBy::Request,
        RunError::Remote(error) => EndedBy::Server(error.kind()),
        _ => EndedBy::Other,
    }
}

fn from_archive(error: archive::Error) -> RunError {
    RunError::Archive(Arc::new(error))
}

/// Speaks the account's protocol, for as long as a run may take.
async fn pull_over(context: Context<'_>, ledger: &mut Ledger) -> Result<(), RunError> {
    if context.job.endpoint.is_plain_and_remote() {
        ledger.warnings.push("the connection is not encrypted (allow_plaintext)".to_owned());
    }
    let limit = context.job.limits.patience.run;
    let work = async {
        match context.job.protocol {
            Protocol::Imap => account::pull(context, ledger).await,
            Protocol::Pop3(options) => pop3::pull(context, options, ledger).await,
        }
    };
    // Within the run nothing waits for ever; this is for a server that is merely slow without end.
    tokio::time::timeout(limit, work).await.unwrap_or(Err(RunError::TimeUp(limit)))
}

/// A longer ledger is journalled without its whole folders, for a record of the journal has its bound.
const MOST_LEDGER_BYTES: usize = 8 << 20;

/// The ledger as the archive keeps it: what is missing is named in it, also with 100,000 folders.
fn for_the_journal(ledger: &Ledger) -> String {
    let mut json = serde_json::to_string(ledger).unwrap_or_default();
    if json.len() <= MOST_LEDGER_BYTES {
        return json;
    }
    let mut short = ledger.clone();
    short.folders.retain(|folder| !folder.is_whole());
    short.excluded.truncate(1_000);
    short.warnings.truncate(1_000);
    short
        .warnings
        .push("too long for the archive, which keeps this ledger without its whole folders".to_owned());
    loop {
        json = serde_json::to_string(&short).unwrap_or_default();
        if json.len() <= MOST_LEDGER_BYTES || short.folders.is_empty() {
            return json;
        }
        short.folders.truncate(short.folders.len() / 2);
    }
}

/// Counts what has come to disk: of all folders where the archive has failed, for their last messages may
/// not be in a commit; else of those that were not completed.
fn count_on_disk(writer: &Writer, ledger: &mut Ledger, all: bool) -> Result<(), archive::Error> {
    let view = writer.view();
    for entry in ledger.folders.iter_mut().filter(|entry| all || entry.error.is_some()) {
        let Some(listing) = entry.listing.take() else { continue };
        entry.count_on_disk(&listing.uids, listing.held_before, &view.held_uids(listing.epoch)?);
    }
    Ok(())
}

/// The engine's result, unless it or the splitter has panicked: that is a fault of ours, from which
/// the other accounts must not suffer. (A panic of the archive's thread, which is the caller's, goes on.)
fn both(
    engine: std::thread::Result<Result<(), RunError>>,
    splitter: std::thread::Result<()>,
) -> Result<(), RunError> {
    match (engine, splitter) {
        (Err(panic), _) | (_, Err(panic)) => Err(RunError::Panicked(words_of(panic.as_ref()))),
        (Ok(result), Ok(())) => result,
    }
}

/// What a panicking thread said.
pub(crate) fn words_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no reason given").to_owned()
}

fn outcome(ledger: &Ledger, error: Option<&RunError>) -> Outcome {
    let disk = matches!(
        error,
        Some(
            RunError::Archive(_)
                | RunError::DiskReserve { .. }
                | RunError::PipelineGone
                | RunError::Panicked(_)
        )
    );
    let some_folder_done = ledger.folders.iter().any(|folder| folder.error.is_none());
    if disk || !some_folder_done {
        Outcome::Failed
    } else if error.is_none() && ledger.folders.iter().all(crate::ledger::FolderLedger::is_whole) {
        Outcome::Ok
    } else {
        Outcome::Partial
    }
}

fn on_a_runtime<R>(time: Time, work: impl Future<Output = Result<R, RunError>>) -> Result<R, RunError> {
    time.runtime().map_err(|error| RunError::Runtime(error.to_string()))?.block_on(work)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s10_a_panic_of_the_splitter_is_a_failed_run_and_nothing_more() {
        let splitter = std::thread::spawn(|| panic!("nested too deep")).join();
        let result = both(Ok(Err(RunError::PipelineGone)), splitter);
        let error = result.expect_err("the run has failed").to_string();
        assert!(error.contains("nested too deep"), "{error}");
    }
}
