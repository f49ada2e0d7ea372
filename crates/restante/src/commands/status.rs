//! `status`: per account the last run, its result, the next one, and how long ago the newest good one
//! was; of the archive its size and when it was verified.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;

use archive::{AccountInfo, Archive, ArchiveId, DrillInfo, DrillScope, MessageHit, RunId, RunInfo, View};
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

/// So many runs are looked through for the newest good one: a month of hourly ones.
const MAX_RUNS: usize = 1_000;
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
    last_drill: Option<Drill>,
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

#[derive(Serialize)]
struct Drill {
    started: Option<String>,
    finished: Option<String>,
    age_seconds: i64,
    /// `whole` or `sample`.
    scope: &'static str,
    /// The run whose state was drilled; none: the newest.
    as_of_run: Option<u32>,
    outcome: String,
    messages_asked: u64,
    messages_proven: u64,
    bytes_asked: u64,
    bytes_proven: u64,
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
    care: Option<CareStatus>,
    /// Places in the packs that `repair` has found damaged.
    known_damage: u64,
    /// Every place of every message that damage has taken, and that has not come back.
    lost: Vec<Value>,
    warning: Option<String>,
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

#[derive(Serialize)]
struct CareStatus {
    last_look: Option<String>,
    /// Within which time all packs are to be re-read; none: never.
    full_every_seconds: Option<u64>,
    packs_read: usize,
    /// Never since the daemon looks after them.
    packs_unread: usize,
    /// When they were read last.
    packs_damaged: usize,
    oldest_reading: Option<String>,
    oldest_reading_age_seconds: Option<i64>,
}

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
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
    status.archive.care = archive.and_then(|archive| care(&config, archive.id(), now));
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
    let names: BTreeSet<&str> = configured.chain(known.iter().map(|account| account.name.as_str())).collect();
    let mut accounts = Vec::with_capacity(names.len());
    for name in names {
        let mut status = match (&view, known.iter().find(|account| account.name == name)) {
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
    let good = match &last {
        Some(run) if is_good(run) => last.clone(),
        Some(_) => view.runs(account.id, MAX_RUNS)?.into_iter().find(is_good),
        None => None,
    };
    let good_at = good.and_then(|run| run.finished_ms).map(|ms| ms.div_euclid(1_000));
    Ok(AccountStatus {
        account: account.name.clone(),
        last_run: last.as_ref().map(last_run),
        newest_good_run: good_at.and_then(rfc3339),
        newest_good_run_age_seconds: good_at.map(|at| now - at),
        messages: totals.live,
        bytes: totals.live_bytes,
        trend: trend(view, account, now)?,
        unacknowledged: alarms(view, account, config_file)?,
        last_drill: view.last_drill(account.id)?.map(|drill| last_drill(drill, now)),
        ..AccountStatus::default()
    })
}

/// What the ledgers of the last days say of mail that came and went: a provider's retention and a slow
/// theft show here and in no single run.
fn trend(view: &View<'_>, account: &AccountInfo, now: i64) -> Result<Trend, Failure> {
    let since_ms = now.saturating_sub(TREND_DAYS * 86_400).saturating_mul(1_000);
    let mut trend = Trend { days: TREND_DAYS, ..Trend::default() };
    for run in view.runs(account.id, MAX_RUNS)?.iter().take_while(|run| run.started_ms >= since_ms) {
        let totals = &ledger(run)["totals"];
        trend.new += totals["new"].as_u64().unwrap_or(0);
        trend.vanished += totals["vanished"].as_u64().unwrap_or(0);
    }
    Ok(trend)
}

/// A run that a person can rely on: whole, and nothing odd about it.
fn is_good(run: &RunInfo) -> bool {
    run.outcome.as_deref() == Some("ok") && !is_suspicious(&ledger(run))
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

fn last_drill(drill: DrillInfo, now: i64) -> Drill {
    let finished = drill.finished_ms.div_euclid(1_000);
    Drill {
        started: rfc3339(drill.started_ms.div_euclid(1_000)),
        finished: rfc3339(finished),
        age_seconds: now.saturating_sub(finished),
        scope: match drill.scope {
            DrillScope::Whole => "whole",
            DrillScope::Sample => "sample",
        },
        as_of_run: drill.as_of.map(RunId::get),
        outcome: drill.outcome,
        messages_asked: drill.messages_asked,
        messages_proven: drill.messages_proven,
        bytes_asked: drill.bytes_asked,
        bytes_proven: drill.bytes_proven,
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
        warning,
    })
}

/// How far the care for the archive is, where anybody cares.
fn care(config: &Config, archive: ArchiveId, now: i64) -> Option<CareStatus> {
    let path = &config.archive.path;
    let care = Memory::open(path).and_then(|memory| memory.care(path, archive)).unwrap_or_default();
    let last_look = care.last_look()?;
    let readings = care.readings();
    Some(CareStatus {
        last_look: rfc3339(last_look),
        full_every_seconds: config
            .care
            .plan
            .as_ref()
            .and_then(|plan| plan.all_within)
            .map(|span| span.as_secs()),
        packs_read: readings.read,
        packs_unread: readings.unread,
        packs_damaged: readings.damaged,
        oldest_reading: readings.oldest.and_then(rfc3339),
        oldest_reading_age_seconds: readings.oldest.map(|at| now.saturating_sub(at)),
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
        write_drill(out, &name, account.last_drill.as_ref())?;
    }
    write_archive(out, &status.archive, now)
}

/// Whether the mail has been given back for trial, and what came of it.
fn write_drill(out: &mut impl Write, account: &str, drill: Option<&Drill>) -> std::io::Result<()> {
    let Some(drill) = drill else {
        return writeln!(
            out,
            "{account}: no drill yet; `restante drill {account}` gives its mail back for trial"
        );
    };
    let age = span(drill.age_seconds.max(0).unsigned_abs());
    let of_what = if drill.scope == "whole" { "" } else { "a sample of " };
    let (proven, asked) = (count(drill.messages_proven), count(drill.messages_asked));
    let outcome = match drill.outcome.as_str() {
        "proven" => "proven".to_owned(),
        other => escape(other).to_uppercase(),
    };
    writeln!(
        out,
        "{account}: last drill {age} ago: {outcome}, {proven} of {of_what}{asked} messages, {}",
        size(drill.bytes_proven)
    )
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
        write_care(out, care)?;
    }
    if let Some(words) = lost_in_words(&archive.lost_places) {
        table_of(&archive.lost_places[..archive.lost_places.len().min(MAX_LOST)]).write(out)?;
        writeln!(out, "{words}")?;
        if archive.lost_places.len() > MAX_LOST {
            writeln!(out, "--json names all {} places", count(archive.lost_places.len() as u64))?;
        }
    }
    match &archive.warning {
        Some(warning) => writeln!(out, "warning: {}", escape(warning)),
        None => Ok(()),
    }
}

/// How long ago each byte of the packs was read.
fn write_care(out: &mut impl Write, care: &CareStatus) -> std::io::Result<()> {
    let (read, all) = (care.packs_read as u64, (care.packs_read + care.packs_unread) as u64);
    let age = care.oldest_reading_age_seconds.map(|age| age.max(0).unsigned_abs());
    let ago = age.map(|age| format!("; the longest ago {}", span(age))).unwrap_or_default();
    match (care.full_every_seconds, age) {
        _ if all == 0 => {}
        (None, None) => {}
        (Some(within), None) => {
            writeln!(out, "none of {} packs re-read yet; all will be within {}", count(all), span(within))?;
        }
        _ if read < all => writeln!(out, "{} of {} packs re-read so far{ago}", count(read), count(all))?,
        (Some(within), Some(age)) if age <= within => {
            writeln!(out, "all {} packs re-read within {}{ago}", count(all), span(within))?;
        }
        (Some(within), Some(_)) => {
            writeln!(out, "all {} packs re-read{ago}, and {} are wanted", count(all), span(within))?;
        }
        (None, Some(_)) => writeln!(out, "all {} packs re-read{ago}", count(all))?,
    }
    if care.packs_damaged > 0 {
        let damaged = count(care.packs_damaged as u64);
        writeln!(
            out,
            "{damaged} packs are DAMAGED: `restante verify` names what is hit, `restante repair` records what is \
             lost, and the next run fetches it again"
        )?;
    }
    Ok(())
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
    fn a_run_is_good_when_it_is_whole_and_not_odd() {
        assert!(is_good(&run(Some("ok"), r#"{"suspicious":false}"#)));
        assert!(!is_good(&run(Some("ok"), r#"{"suspicious":true}"#)));
        assert!(!is_good(&run(Some("partial"), "{}")) && !is_good(&run(None, "")));
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
    fn o14_the_last_drill_is_shown_with_its_age_and_outcome_and_its_absence_is_said() {
        let started_ms = STARTED_MS;
        let drill = |scope, outcome: &str, messages_proven| {
            let info = DrillInfo {
                scope,
                as_of: None,
                started_ms,
                finished_ms: started_ms + 60_000,
                messages_asked: 1_200,
                messages_proven,
                bytes_asked: 2_000_000,
                bytes_proven: 1_900_000,
                outcome: outcome.to_owned(),
            };
            last_drill(info, started_ms / 1_000 + 60 + 3 * 86_400)
        };
        let line = |drill: Option<&Drill>| {
            let mut out = Vec::new();
            write_drill(&mut out, "work", drill).unwrap();
            String::from_utf8(out).unwrap()
        };
        let none = "work: no drill yet; `restante drill work` gives its mail back for trial\n";
        assert_eq!(line(None), none);
        let proven = drill(DrillScope::Whole, "proven", 1_200);
        let told = format!(
            "work: last drill 3 days ago: proven, {0} of {0} messages, {1}\n",
            count(1_200),
            size(1_900_000)
        );
        assert_eq!(line(Some(&proven)), told);
        let partial = line(Some(&drill(DrillScope::Sample, "partial", 1_100)));
        assert!(partial.contains("PARTIAL, ") && partial.contains(" of a sample of "), "{partial}");
        let evil = line(Some(&drill(DrillScope::Sample, "\u{1b}[2J\n", 0)));
        assert!(!evil.contains('\u{1b}') && evil.lines().count() == 1, "{evil:?}");
        assert_eq!((proven.age_seconds, proven.scope), (3 * 86_400, "whole"));
    }

    #[test]
    fn how_long_ago_all_packs_were_read_is_said_and_what_is_damaged_or_late() {
        let line = |within: Option<u64>, (read, unread, damaged), age: Option<i64>| {
            let care = CareStatus {
                last_look: None,
                full_every_seconds: within.map(|days| days * 86_400),
                packs_read: read,
                packs_unread: unread,
                packs_damaged: damaged,
                oldest_reading: None,
                oldest_reading_age_seconds: age.map(|days| days * 86_400),
            };
            let mut out = Vec::new();
            write_care(&mut out, &care).unwrap();
            String::from_utf8(out).unwrap()
        };
        for (within, packs, age, told) in [
            (
                Some(30),
                (12, 0, 0),
                Some(12),
                "all 12 packs re-read within 30 days; the longest ago 12 days\n",
            ),
            (
                Some(30),
                (12, 0, 0),
                Some(40),
                "all 12 packs re-read; the longest ago 40 days, and 30 days are wanted\n",
            ),
            (None, (12, 0, 0), Some(40), "all 12 packs re-read; the longest ago 40 days\n"),
            (Some(30), (3, 9, 0), Some(2), "3 of 12 packs re-read so far; the longest ago 2 days\n"),
            (Some(30), (0, 9, 0), None, "none of 9 packs re-read yet; all will be within 30 days\n"),
            (None, (0, 9, 0), None, ""),
            (Some(30), (0, 0, 0), None, ""),
        ] {
            assert_eq!(line(within, packs, age), told);
        }
        assert!(line(Some(30), (12, 0, 2), Some(1)).contains("2 packs are DAMAGED"));
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
