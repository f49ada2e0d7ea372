//! `drill`: a restore for practice (O14). A backup that was never restored is a hope, and a restore to a
//! real mailbox every month is nobody's wish; so mail is given back to a server of our own, by the engine
//! that gives it back on the day of disaster, and read back from there byte for byte.
//!
//! A part of the mail at a time ([`PART_BYTES`]), each to a fresh server, so that memory stays bounded
//! however large the mailbox is. The server listens on this machine alone and its password is random:
//! other users of the machine do not get in. How it went is recorded in the archive, where `status` finds
//! it; a drill that cannot be recorded was one all the same, and says why.

mod choice;

use std::collections::HashMap;
use std::ops::ControlFlow;

use archive::{AccountInfo, Archive, MailboxId, View, When};
use message::UidSet;
use server::Store;
use sync::{
    Clock, FolderFilter, FolderReport, RestoreJob, RestoreLimits, RestoreOutcome, RestoreReport,
    RestoreTotals, Stop, SystemClock, Verify,
};

use super::embedded::Embedded;
use super::place::{open_writer, remember};
use super::stop::listen_and_say;
use super::{Context, known_account, read_archive};
use crate::cli::Drill;
use crate::config::Config;
use crate::exit::{Exit, Failure, chain};
use crate::memory::Memory;
use crate::output::drill_report::{self, Amount, DrillReport};
use crate::output::restore_progress::Watcher;
use crate::output::{json, stdout};
use choice::{Folder, Held, Part, parts, sample};

/// So much mail is given back at a time; the embedded server keeps it in memory.
const PART_BYTES: u64 = 256 << 20;

const USER: &str = "drill";

/// The server is in this process, so more would only wait for each other.
const CONNECTIONS: usize = 2;

const STOPPING: &str = "asked to stop: ending the drill; once more ends at once";

pub(super) fn run(context: &Context, what: &Drill) -> Result<Exit, Failure> {
    let config = context.reading_config()?;
    let accounts = accounts(&read_archive(&config)?.view(), what.account.as_deref())?;
    let stop = listen_and_say(&context.screen, STOPPING)
        .map_err(|error| Failure::words(Exit::Failed, format!("cannot listen for signals: {error}")))?;
    let mut reports = Vec::with_capacity(accounts.len());
    for account in &accounts {
        if stop.requested() && !reports.is_empty() {
            break;
        }
        let _span = tracing::error_span!("account", account = account.name).entered();
        let archive = Archive::open(&config.archive.path)?;
        let mut report = Practice { context, archive: &archive, account, what, stop: &stop }.report()?;
        // A writer waits for readers to end before it tidies the catalogue up.
        drop(archive);
        report.not_recorded = record(context, &config, account, &report, &stop).err();
        report.recorded = report.not_recorded.is_none();
        reports.push(report);
    }
    write(context, &reports)?;
    Ok(exit(&reports))
}

/// The account that was named, or all.
fn accounts(view: &View<'_>, name: Option<&str>) -> Result<Vec<AccountInfo>, Failure> {
    let mut accounts = match name {
        Some(name) => vec![known_account(view, name)?],
        None => view.accounts()?,
    };
    if accounts.is_empty() {
        return Err(Failure::words(
            Exit::Failed,
            "the archive holds no account, so there is nothing to give back",
        ));
    }
    accounts.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(accounts)
}

/// The drill of one account.
struct Practice<'a> {
    context: &'a Context,
    archive: &'a Archive,
    account: &'a AccountInfo,
    what: &'a Drill,
    stop: &'a Stop,
}

impl Practice<'_> {
    fn report(&self) -> Result<DrillReport, Failure> {
        let clock = SystemClock::default();
        let started_ms = clock.unix_ms();
        let (mailboxes, folders) = self.folders()?;
        let seed = (!self.what.all).then(|| self.what.seed.map_or_else(random, Ok)).transpose()?;
        let chosen = seed.map(|seed| sample(&folders, self.what.sample, seed));
        let parts = parts(chosen.as_ref().unwrap_or(&folders), PART_BYTES);
        let mut sum = Sum::default();
        for part in &parts {
            sum.add(self.give_back(&mailboxes, part, &clock)?);
            if self.stop.requested() {
                sum.error.get_or_insert_with(|| "interrupted".to_owned());
                break;
            }
        }
        let finished_ms = clock.unix_ms();
        let outcome = sum.outcome();
        Ok(DrillReport {
            account: self.account.name.clone(),
            started: sync::rfc3339(started_ms),
            finished: sync::rfc3339(finished_ms),
            times_ms: (started_ms, finished_ms),
            outcome,
            scope: if self.what.all { "whole" } else { "sample" },
            seed,
            held: amount(&folders),
            chosen: amount(chosen.as_ref().unwrap_or(&folders)),
            parts: parts.len() as u64,
            error: sum.error,
            warnings: sum.warnings,
            totals: RestoreTotals::of(&sum.folders),
            folders: sum.folders,
            recorded: false,
            not_recorded: None,
        })
    }

    /// What the account's folders hold now.
    fn folders(&self) -> Result<(Vec<MailboxId>, Vec<Folder>), Failure> {
        let view = self.archive.view();
        let when = When::default();
        let (mut mailboxes, mut folders) = (Vec::new(), Vec::new());
        for mailbox in view.mailboxes_as_of(self.account.id, when)? {
            let mut messages = Folder::new();
            view.wanted(&[mailbox.id], when, &mut |wanted| {
                messages.push(Held { uid: wanted.uid, bytes: wanted.size });
                ControlFlow::Continue(())
            })?;
            mailboxes.push(mailbox.id);
            folders.push(messages);
        }
        Ok((mailboxes, folders))
    }

    /// Gives a part of the mail back to a server that is there for it alone.
    fn give_back(
        &self,
        mailboxes: &[MailboxId],
        part: &Part,
        clock: &SystemClock,
    ) -> Result<RestoreReport, Failure> {
        let cannot = |what: &str, error: &dyn std::error::Error| {
            Failure::words(Exit::Failed, format!("the drill cannot have {what}: {}", chain(error)))
        };
        let password = format!("{:016x}{:016x}", random()?, random()?);
        let store = Store::new();
        store.add_user(USER, &password);
        let server = Embedded::start(&store).map_err(|error| cannot("a server", &error))?;
        let only: HashMap<MailboxId, UidSet> =
            part.only.iter().map(|(&folder, uids)| (mailboxes[folder], uids.clone())).collect();
        let job = RestoreJob {
            account: self.account.name.clone(),
            endpoint: server.endpoint(),
            credentials: remote::Credentials { user: USER.to_owned(), password: password.into() },
            filter: FolderFilter::new(&[], &[]).map_err(|error| cannot("a filter", &error))?,
            when: When::default(),
            only: Some(only),
            prefix: None,
            verify: Verify::Full,
            keep_flags: false,
            dry_run: false,
            connections: CONNECTIONS,
            limits: RestoreLimits::default(),
        };
        let watcher = Watcher::new(&self.context.screen, None);
        Ok(sync::restore(self.archive, &job, clock, &watcher, self.stop))
    }
}

/// Writes into the archive how the drill went; an error says why that cannot be.
fn record(
    context: &Context,
    config: &Config,
    account: &AccountInfo,
    report: &DrillReport,
    stop: &Stop,
) -> Result<(), String> {
    if context.global.archive.is_some() {
        return Err("an archive that is named with --archive is only read".to_owned());
    }
    if stop.requested() {
        return Err("it was interrupted".to_owned());
    }
    if report.chosen.messages == 0 {
        return Err("there was nothing to try".to_owned());
    }
    let path = &config.archive.path;
    let written = Memory::open(path).map_err(Failure::from).and_then(|memory| {
        let mut writer = open_writer(path, &memory)?;
        writer.drilled(account.id, &report.to_info())?;
        writer.commit()?;
        remember(path, &memory, &writer)
    });
    written.map_err(|failure| failure.summary().unwrap_or_default())
}

/// A number from the system, that nobody can guess.
fn random() -> Result<u64, Failure> {
    let mut bytes = [0; 8];
    let got = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    got.map_err(|error| {
        Failure::words(Exit::Failed, format!("the system gives no random numbers: {error}"))
    })?;
    // Every program can hold a number of 53 bits exactly, those that read our JSON too.
    Ok(u64::from_le_bytes(bytes) >> 11)
}

fn amount(folders: &[Folder]) -> Amount {
    let held = || folders.iter().flatten();
    Amount { messages: held().count() as u64, bytes: held().map(|held| held.bytes).sum() }
}

/// The reports of all parts as one.
#[derive(Default)]
struct Sum {
    folders: Vec<FolderReport>,
    warnings: Vec<String>,
    error: Option<String>,
    outcomes: Vec<RestoreOutcome>,
}

impl Sum {
    fn add(&mut self, report: RestoreReport) {
        self.outcomes.push(report.outcome);
        self.error = self.error.take().or(report.error);
        for warning in report.warnings {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        for folder in report.folders.into_iter().filter(|folder| folder.asked > 0 || folder.error.is_some()) {
            match self.folders.iter_mut().find(|known| known.folder == folder.folder) {
                Some(known) => join(known, folder),
                None => self.folders.push(folder),
            }
        }
    }

    /// Failed where not one message could be shown to be there.
    fn outcome(&self) -> RestoreOutcome {
        let all = |outcome| self.outcomes.iter().all(|&one| one == outcome);
        match () {
            () if all(RestoreOutcome::Proven) && self.error.is_none() => RestoreOutcome::Proven,
            () if all(RestoreOutcome::Failed) => RestoreOutcome::Failed,
            () => RestoreOutcome::Partial,
        }
    }
}

/// Another part of the same folder.
fn join(known: &mut FolderReport, other: FolderReport) {
    known.asked += other.asked;
    known.already_there += other.already_there;
    known.added += other.added;
    known.not_sent += other.not_sent;
    known.proven += other.proven;
    known.proven_by_bytes += other.proven_by_bytes;
    known.flags_set += other.flags_set;
    known.bytes_sent += other.bytes_sent;
    known.refused.extend(other.refused);
    known.remarks.extend(other.remarks);
    known.error = known.error.take().or(other.error);
    for notice in other.notices {
        if !known.notices.contains(&notice) {
            known.notices.push(notice);
        }
    }
}

fn write(context: &Context, reports: &[DrillReport]) -> Result<(), Failure> {
    let mut out = stdout();
    if context.global.json {
        return Ok(json::write(&mut out, &serde_json::json!({ "drills": reports }))?);
    }
    for report in reports {
        if !context.global.quiet || exit(std::slice::from_ref(report)) != Exit::Done {
            drill_report::write(&mut out, report)?;
        }
    }
    Ok(std::io::Write::flush(&mut out)?)
}

/// As of a restore; damage is told before all else.
fn exit(reports: &[DrillReport]) -> Exit {
    let all = |outcome: RestoreOutcome| reports.iter().all(|report| report.outcome == outcome);
    match () {
        () if reports.iter().any(DrillReport::met_damage) => Exit::Damaged,
        () if all(RestoreOutcome::Proven) => Exit::Done,
        () if all(RestoreOutcome::Failed) => Exit::Failed,
        () => Exit::Partial,
    }
}
