//! `status`: per account the last run, its result, the next one, and how long ago the newest good one
//! was; of the archive its size and when it was verified.

mod care;
mod drill;
mod sizes;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;

use archive::{AccountInfo, Archive, MessageHit, RunInfo, View};
use message::escape::escape;
use serde::Serialize;
use serde_json::Value;

use super::alarm::{self, Alarm, alarms};
use super::verify::{hit_to_json, lost_in_words, table_of};
use super::{Context, read_archive};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::memory::{Found, Memory, Remembered, Verdict, judge};
use crate::output::amount::{count, local_time, rfc3339, size, span};
use crate::output::table::{Align, Table};
use crate::output::{json, stdout};

/// So many days are summed up.
const TREND_DAYS: i64 = 30;

/// So many places of lost messages are named to people.
const MAX_LOST: usize = 20;

#[derive(Serialize)]
struct Status {
    accounts: Vec<AccountStatus>,
    archive: ArchiveStatus,
}

#[derive(Serialize, Default)]
struct AccountStatus {
    account: String,
    configured: bool,
    last_run: Option<LastRun>,
    newest_good_run: Option<String>,
    newest_good_run_age_seconds: Option<i64>,
    next_run: Option<String>,
    messages: u64,
    bytes: u64,
    /// What came and went in the last days.
    trend: Trend,
    /// Suspicious runs that nobody has acknowledged, newest first.
    unacknowledged: Vec<Alarm>,
    /// The last time that its mail was given back for trial; none where it never was.
    last_drill: Option<drill::Drill>,
    #[serde(skip)]
    next_run_at: Option<i64>,
}

#[derive(Serialize, Default)]
struct Trend {
    days: i64,
    new: u64,
    vanished: u64,
}

#[derive(Serialize)]
struct LastRun {
    started: Option<String>,
    finished: Option<String>,
    /// `interrupted` where the run was cut off or is still going on.
    outcome: String,
    suspicious: bool,
    warnings: Vec<String>,
    error: Option<String>,
    #[serde(skip)]
    number: u32,
    #[serde(skip)]
    started_at: i64,
}

#[derive(Serialize, Default)]
struct ArchiveStatus {
    path: String,
    id: Option<String>,
    packs: u64,
    pack_bytes: u64,
    catalogue_bytes: u64,
    messages: u64,
    mail_bytes: u64,
    /// Size of the archive in relation to the mail that is on the servers; none where there is none.
    ratio: Option<f64>,
    last_verification: Option<Verification>,
    /// How far packs have been re-read, each in its turn; none where nobody does that.
    care: Option<care::CareStatus>,
    /// Places in the packs that `repair` has found damaged.
    known_damage: u64,
    /// Every place of every message that damage has taken, and that has not come back.
    lost: Vec<Value>,
    warning: Option<String>,
    /// Where the bytes go, where that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    sizes: Option<sizes::Sizes>,
    #[serde(skip)]
    lost_places: Vec<MessageHit>,
}

#[derive(Serialize)]
struct Verification {
    at: Option<String>,
    depth: String,
    whole: bool,
    age_seconds: i64,
}

pub(super) fn run(context: &Context, sizes: bool) -> Result<Exit, Failure> {
    let config = context.config()?;
    let path = &config.archive.path;
    let now = jiff::Timestamp::now().as_second();
    let remembered = Memory::open(path).and_then(|memory| memory.recall(path)).unwrap_or_default();
    let archive = match super::place::look(path)? {
        // An archive that was never begun is no failure; one that is gone is.
        Found::Nothing if remembered.is_none() => None,
        _ => Some(read_archive(&config)?),
    };
    let named = context.global.config.as_deref();
    let mut status = collect(&config, named, archive.as_ref(), remembered.as_ref(), now)?;
    if let Some(archive) = &archive {
        status.archive.care = care::care(&config, archive.id(), now);
        status.archive.sizes = sizes.then(|| sizes::measure(&archive.view(), path)).transpose()?;
    }
    let mut out = stdout();
    if context.global.json {
        json::write(&mut out, &status)?;
    } else {
        write(&mut out, &status, now)?;
    }
    out.flush()?;
    Ok(Exit::Done)
}

fn collect(
    config: &Config,
    config_file: Option<&Path>,
    archive: Option<&Archive>,
    remembered: Option<&Remembered>,
    now: i64,
) -> Result<Status, Failure> {
    let path = config.archive.path.display().to_string();
    let view = archive.map(Archive::view);
    let known = match &view {
        Some(view) => view.accounts()?,
        None => Vec::new(),
    };
    let configured = config.accounts.iter().map(|account| account.name.as_str());
    let known: BTreeMap<&str, &AccountInfo> =
        known.iter().map(|account| (account.name.as_str(), account)).collect();
    let names: BTreeSet<&str> = configured.chain(known.keys().copied()).collect();
    let mut accounts = Vec::with_capacity(names.len());
    for name in names {
        let mut status = match (&view, known.get(name)) {
            (Some(view), Some(account)) => of_account(view, account, config_file, now)?,
            _ => AccountStatus { account: name.to_owned(), ..AccountStatus::default() },
        };
        if let Some(account) = config.account(name) {
            status.configured = true;
            status.next_run_at = config.schedule_of(account).and_then(|schedule| schedule.next_after(now));
            status.next_run = status.next_run_at.and_then(rfc3339);
        }
        accounts.push(status);
    }
    let archive = match &view {
        Some(view) => of_archive(view, path, remembered, now)?,
        None => ArchiveStatus { path, ..ArchiveStatus::default() },
    };
    Ok(Status { accounts, archive })
}

fn of_account(
    view: &View<'_>,
    account: &AccountInfo,
    config_file: Option<&Path>,
    now: i64,
) -> Result<AccountStatus, Failure> {
    let totals = view.totals(Some(account.id))?;
    let last = view.runs(account.id, 1)?.pop();
    let good_at = view.last_good_run(account.id)?.map(|ms| ms.div_euclid(1_000));
    Ok(AccountStatus {
        account: account.name.clone(),
        last_run: last.as_ref().map(last_run),
        newest_good_run: good_at.and_then(rfc3339),
        newest_good_run_age_seconds: good_at.map(|at| now - at),
        messages: totals.live,
        bytes: totals.live_bytes,
        trend: trend(view, account, now)?,
        unacknowledged: alarms(view, account, config_file)?,
        last_drill: view.last_drill(account.id)?.map(|drill| drill::last_drill(drill, now)),
        ..AccountStatus::default()
    })
}

/// What the ledgers of the last days say of mail that came and went: a provider's retention and a slow
/// theft show here and in no single run.
fn trend(view: &View<'_>, account: &AccountInfo, now: i64) -> Result<Trend, Failure> {
    let since_ms = now.saturating_sub(TREND_DAYS * 86_400).saturating_mul(1_000);
    let (new, vanished) = view.came_and_went(account.id, since_ms)?;
    Ok(Trend { days: TREND_DAYS, new, vanished })
}

fn is_suspicious(ledger: &Value) -> bool {
    ledger["suspicious"].as_bool().unwrap_or(false)
}

/// The run's ledger; null where it has none.
fn ledger(run: &RunInfo) -> Value {
    run.ledger_json.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default()
}

fn last_run(run: &RunInfo) -> LastRun {
    let ledger = ledger(run);
    let started_at = run.started_ms.div_euclid(1_000);
    let warnings = ledger["warnings"].as_array().into_iter().flatten();
    LastRun {
        started: rfc3339(started_at),
        finished: run.finished_ms.and_then(|ms| rfc3339(ms.div_euclid(1_000))),
        outcome: run.outcome.clone().unwrap_or_else(|| "interrupted".to_owned()),
        suspicious: is_suspicious(&ledger),
        warnings: warnings.filter_map(|warning| warning.as_str().map(str::to_owned)).collect(),
        error: ledger["error"].as_str().map(str::to_owned),
        number: run.id.get(),
        started_at,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a ratio needs no 53 bits")]
fn of_archive(
    view: &View<'_>,
    path: String,
    remembered: Option<&Remembered>,
    now: i64,
) -> Result<ArchiveStatus, Failure> {
    let (sizes, totals) = (view.sizes()?, view.totals(None)?);
    let bytes = sizes.pack_bytes + sizes.catalogue_bytes;
    let found = Found::Archive(view.id(), view.last_commit()?);
    let warning = match judge(remembered, &found) {
        Verdict::ReadOnly(why) => Some(format!("not written to: {why}; see `restante init --accept`")),
        _ => None,
    };
    let lost = view.lost()?;
    let verified = remembered.and_then(|remembered| remembered.verified.as_ref());
    Ok(ArchiveStatus {
        path,
        id: Some(view.id().to_string()),
        packs: sizes.packs,
        pack_bytes: sizes.pack_bytes,
        catalogue_bytes: sizes.catalogue_bytes,
        messages: totals.messages,
        mail_bytes: totals.live_bytes,
        ratio: (totals.live_bytes > 0).then(|| bytes as f64 / totals.live_bytes as f64),
        known_damage: view.known_damage()?,
        lost: lost.iter().map(hit_to_json).collect(),
        lost_places: lost,
        last_verification: verified.map(|verified| Verification {
            at: rfc3339(verified.at),
            depth: verified.depth.clone(),
            whole: verified.whole,
            age_seconds: now - verified.at,
        }),
        // Whoever asks knows what the program remembers.
        care: None,
        sizes: None,
        warning,
    })
}

fn write(out: &mut impl Write, status: &Status, now: i64) -> std::io::Result<()> {
    let mut table = Table::new(&[
        ("account", Align::Left),
        ("last run", Align::Left),
        ("result", Align::Left),
        ("newest good run", Align::Left),
        ("next run", Align::Left),
        ("messages", Align::Right),
        ("size", Align::Right),
    ]);
    for account in &status.accounts {
        let last = account.last_run.as_ref();
        let good = account.newest_good_run_age_seconds;
        table.row([
            account.account.clone(),
            last.map_or_else(|| "never".to_owned(), |run| local_time(run.started_at)),
            last.map(result).unwrap_or_default(),
            good.map_or_else(|| "never".to_owned(), |age| format!("{} ago", span(age.max(0).unsigned_abs()))),
            next(account),
            count(account.messages),
            size(account.bytes),
        ]);
    }
    if !table.is_empty() {
        table.write(out)?;
        writeln!(out)?;
    }
    for account in &status.accounts {
        let name = escape(&account.account);
        let Some(run) = &account.last_run else { continue };
        if let Some(error) = &run.error {
            writeln!(out, "{name}: {}", escape(error))?;
        }
        // What an alarm says below need not be said twice.
        let is_told = account.unacknowledged.iter().any(|alarm| alarm.run == run.number);
        for warning in run.warnings.iter().filter(|_| !is_told) {
            writeln!(out, "{name}: warning: {}", escape(warning))?;
        }
        alarm::write(out, &account.account, &account.unacknowledged)?;
        let Trend { days, new, vanished } = account.trend;
        if vanished > 0 {
            let (new, vanished) = (count(new), count(vanished));
            writeln!(out, "{name}: in {days} days {new} messages came, and {vanished} went from the server")?;
        }
        drill::write(out, &name, account.last_drill.as_ref())?;
    }
    write_archive(out, &status.archive, now)
}

fn result(run: &LastRun) -> String {
    if run.suspicious { format!("{}, suspicious", run.outcome) } else { run.outcome.clone() }
}

fn next(account: &AccountStatus) -> String {
    match account.next_run_at {
        _ if !account.configured => "no longer configured".to_owned(),
        Some(at) => local_time(at),
        None => "no schedule".to_owned(),
    }
}

fn write_archive(out: &mut impl Write, archive: &ArchiveStatus, now: i64) -> std::io::Result<()> {
    let path = escape(&archive.path);
    let Some(id) = &archive.id else {
        return writeln!(out, "archive {path}: not begun yet");
    };
    let bytes = size(archive.pack_bytes + archive.catalogue_bytes);
    let ratio =
        archive.ratio.map(|ratio| format!(", {ratio:.3} of the mail on the servers")).unwrap_or_default();
    writeln!(out, "archive {path} ({id}): {bytes} in {} packs{ratio}", count(archive.packs))?;
    match &archive.last_verification {
        None => writeln!(out, "never verified; `restante verify` does it")?,
        Some(verified) => {
            let how = if verified.whole { "whole" } else { "DAMAGED" };
            let age = span(verified.age_seconds.max(0).unsigned_abs());
            let at = local_time(now - verified.age_seconds);
            writeln!(out, "last verified {at} ({}, {age} ago): {how}", verified.depth)?;
        }
    }
    if let Some(care) = &archive.care {
        care::write(out, care)?;
    }
    if let Some(words) = lost_in_words(&archive.lost_places) {
        table_of(&archive.lost_places[..archive.lost_places.len().min(MAX_LOST)]).write(out)?;
        writeln!(out, "{words}")?;
        if archive.lost_places.len() > MAX_LOST {
            writeln!(out, "--json names all {} places", count(archive.lost_places.len() as u64))?;
        }
    }
    if let Some(warning) = &archive.warning {
        writeln!(out, "warning: {}", escape(warning))?;
    }
    match &archive.sizes {
        Some(sizes) => sizes::write(out, sizes),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use archive::{Writer, WriterOptions};

    use super::*;

    const STARTED_MS: i64 = 1_795_420_800_000;

    /// A run as the archive gives it back; without `outcome` it was cut off.
    fn run(outcome: Option<&str>, ledger_json: &str) -> RunInfo {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive");
        archive::init(&path).unwrap();
        let mut writer = Writer::open(&path, WriterOptions::default()).unwrap();
        let account = writer.account("work", "imap").unwrap();
        let run = writer.begin_run(account, STARTED_MS).unwrap();
        if let Some(outcome) = outcome {
            writer.end_run(run, outcome, STARTED_MS + 9_000, ledger_json).unwrap();
        }
        writer.commit().unwrap();
        writer.view().runs(account, 1).unwrap().remove(0)
    }

    fn shown(status: &Status, now: i64) -> String {
        let mut out = Vec::new();
        write(&mut out, status, now).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_run_that_was_cut_off_is_called_interrupted() {
        let last = last_run(&run(None, ""));
        assert_eq!((last.outcome.as_str(), last.finished), ("interrupted", None));
        assert_eq!(last.started.as_deref(), Some("2026-11-23T08:00:00Z"));
    }

    #[test]
    fn an_account_that_never_ran_and_an_archive_that_is_not_there_are_said() {
        let account = AccountStatus { account: "work".into(), configured: true, ..AccountStatus::default() };
        let archive = ArchiveStatus { path: "/srv/mail".into(), ..ArchiveStatus::default() };
        let text = shown(&Status { accounts: vec![account], archive }, 0);
        assert!(text.contains("never") && text.contains("no schedule"), "{text}");
        assert!(text.contains("archive /srv/mail: not begun yet"), "{text}");
    }

    #[test]
    fn a_server_s_words_do_not_reach_the_terminal_raw() {
        let ledger = r#"{"error":"\u001b[2J\nforged","warnings":["\u202e\r\nforged"]}"#;
        let evil = "\u{1b}]0;x\u{7}\nforged".to_owned();
        let account = AccountStatus {
            account: evil.clone(),
            last_run: Some(last_run(&run(Some("partial"), ledger))),
            ..AccountStatus::default()
        };
        let archive = ArchiveStatus {
            path: evil.clone(),
            id: Some("a".into()),
            warning: Some(evil),
            ..ArchiveStatus::default()
        };
        let text = shown(&Status { accounts: vec![account], archive }, 1_795_420_900);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("forged")), "{text}");
    }
}
