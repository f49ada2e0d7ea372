//! `--run-now`: one run of each account, one after the other, and the ledger at the end.
//!
//! An account that cannot even be tried (no password, a protocol that this version does not speak)
//! has a run all the same, recorded as failed, so that `status` shows it. So has one into whose mailbox
//! mail is being restored at the moment.

use std::path::Path;

use archive::{AccountLock, Writer};
use sync::{Clock, Ledger, Outcome, Stop, SystemClock, Totals};

use super::alarm::{Loss, way_back, write_way_back};
use super::place::{open_writer, remember};
use super::stop::listen;
use super::target::job;
use super::{Context, warn_of_damage};
use crate::config::{Account, Config};
use crate::exit::{Exit, Failure, chain};
use crate::memory::Memory;
use crate::output::{json, ledger, progress, stdout};

const DAY_MS: i64 = 86_400_000;

/// So many runs of an account are looked at to see what it has fetched in a day.
const MAX_RUNS_A_DAY: usize = 10_000;

pub(super) fn run(context: &Context, names: &[String]) -> Result<Exit, Failure> {
    let config = context.config()?;
    let accounts = select(&config, names)?;
    config.check_secrets(&accounts)?;
    let path = &config.archive.path;
    let memory = Memory::open(path)?;
    let stop = listen(&context.screen)
        .map_err(|error| Failure::words(Exit::Failed, format!("cannot listen for signals: {error}")))?;
    let mut writer = open_writer(path, &memory)?;
    warn_of_damage(writer.damage());
    if writer.is_on_network() {
        tracing::warn!(
            "the archive lies on a network file system, where a sync may not mean what it says; \
             it is used with exclusive locking"
        );
    }
    let mut ledgers = Vec::with_capacity(accounts.len());
    let mut left = accounts.into_iter();
    let mut broken = None;
    for account in left.by_ref() {
        let ledger = run_account(context, &config, account, &mut writer, &stop)
            .unwrap_or_else(|failure| failed(account, &SystemClock::default(), &words(&failure)));
        ledgers.push(ledger);
        if writer.is_abandoned() {
            // What was committed is safe; the others begin where a new writer finds the archive.
            drop(writer);
            writer = match open_again(path, &memory, &ledgers[ledgers.len() - 1]) {
                Ok(writer) => writer,
                Err(failure) => {
                    let why = format!("not begun, for the archive cannot be opened: {}", words(&failure));
                    ledgers.extend(left.map(|account| failed(account, &SystemClock::default(), &why)));
                    return end_early(context, &ledgers, failure);
                }
            };
        }
        broken = remember(path, &memory, &writer).err();
    }
    if let Some(failure) = broken {
        return end_early(context, &ledgers, failure);
    }
    report(context, &ledgers)?;
    Ok(if writer.damage().is_empty() { exit(&ledgers) } else { Exit::Damaged })
}

/// A new writer after the old one has failed, with the failed run recorded as far as that is possible.
fn open_again(path: &Path, memory: &Memory, ledger: &Ledger) -> Result<Writer, Failure> {
    let mut writer = open_writer(path, memory)?;
    let Err(failure) = record(&mut writer, ledger) else { return Ok(writer) };
    tracing::warn!("the failed run cannot be recorded: {}", words(&failure));
    if !writer.is_abandoned() {
        return Ok(writer);
    }
    drop(writer);
    open_writer(path, memory)
}

/// The ledgers, and beside them why not all is done.
fn end_early(context: &Context, ledgers: &[Ledger], failure: Failure) -> Result<Exit, Failure> {
    for report in &failure.reports {
        context.screen.report(report);
    }
    report(context, ledgers)?;
    Ok(failure.exit)
}

fn words(failure: &Failure) -> String {
    failure.summary().unwrap_or_default()
}

/// The accounts of these names, or all, in the order of the configuration.
fn select<'c>(config: &'c Config, names: &[String]) -> Result<Vec<&'c Account>, Failure> {
    if let Some(unknown) = names.iter().find(|name| config.account(name).is_none()) {
        let known =
            config.accounts.iter().map(|account| account.name.as_str()).collect::<Vec<_>>().join(", ");
        let message = format!("there is no account \"{unknown}\" in {}", config.file.display());
        return Err(Failure::words(Exit::Usage, message).help(&format!("it has: {known}")));
    }
    if config.accounts.is_empty() {
        let message = format!("{} has no account, so there is nothing to back up", config.file.display());
        return Err(Failure::words(Exit::Usage, message).help("add an [[account]]"));
    }
    let wanted = |account: &&Account| names.is_empty() || names.contains(&account.name);
    Ok(config.accounts.iter().filter(wanted).collect())
}

fn run_account(
    context: &Context,
    config: &Config,
    account: &Account,
    writer: &mut Writer,
    stop: &Stop,
) -> Result<Ledger, Failure> {
    let _span = tracing::info_span!("account", account = account.name).entered();
    let clock = SystemClock::default();
    if stop.requested() {
        return record_failure(writer, account, &clock, "interrupted before it began");
    }
    let mut job = match job(config, account) {
        Ok(job) => job,
        Err(error) => return record_failure(writer, account, &clock, &chain(&error)),
    };
    if let Some(budget) = account.max_bytes_per_day {
        let spent = fetched_since(writer, account, clock.unix_ms().saturating_sub(DAY_MS))?;
        job.limits.max_bytes = Some(budget.saturating_sub(spent));
    }
    let lock = match AccountLock::try_take(&config.archive.path, &account.name) {
        Ok(lock) => lock,
        Err(error) => return record_failure(writer, account, &clock, &error.in_full()),
    };
    tracing::info!("backing up {} on {}", account.user, account.host);
    let progress = progress::for_account(&context.screen, &account.name);
    let mut ledger = sync::pull(writer, &job, &clock, progress.as_ref(), stop);
    drop(progress);
    ledger.warnings.extend(lock.warning().map(str::to_owned));
    drop(lock);
    if account.plaintext_to_others {
        ledger
            .warnings
            .push("the password and all mail went over the network unencrypted (allow_plaintext)".to_owned());
    }
    log_result(&ledger);
    Ok(ledger)
}

fn log_result(ledger: &Ledger) {
    for warning in &ledger.warnings {
        tracing::warn!("{warning}");
    }
    let (totals, word) = (&ledger.totals, ledger.outcome.word());
    let (on_server, archived, new) = (totals.on_server, totals.archived, totals.new);
    match (&ledger.error, ledger.outcome) {
        (Some(error), _) => tracing::error!(on_server, archived, new, "{word}: {error}"),
        (None, Outcome::Ok) => tracing::info!(on_server, archived, new, "{word}"),
        (None, _) => tracing::error!(on_server, archived, new, failed = totals.failed, "{word}"),
    }
}

/// A run that could not begin, in the archive as everywhere else.
fn record_failure(
    writer: &mut Writer,
    account: &Account,
    clock: &dyn Clock,
    error: &str,
) -> Result<Ledger, Failure> {
    let ledger = failed(account, clock, error);
    record(writer, &ledger)?;
    log_result(&ledger);
    Ok(ledger)
}

/// The ledger of a run that brought nothing.
fn failed(account: &Account, clock: &dyn Clock, error: &str) -> Ledger {
    let at = sync::rfc3339(clock.unix_ms());
    Ledger {
        account: account.name.clone(),
        protocol: account.protocol.word(),
        started: at.clone(),
        finished: at,
        outcome: Outcome::Failed,
        suspicious: false,
        before: None,
        lost: Vec::new(),
        warnings: Vec::new(),
        error: Some(error.to_owned()),
        totals: Totals::default(),
        excluded: Vec::new(),
        folders: Vec::new(),
    }
}

/// Writes a ledger into the archive as a run of its own.
fn record(writer: &mut Writer, ledger: &Ledger) -> Result<(), Failure> {
    let now = SystemClock::default().unix_ms();
    let id = writer.account(&ledger.account, ledger.protocol)?;
    let run = writer.begin_run(id, now)?;
    writer.end_run(run, ledger.outcome.word(), now, &json::to_text(ledger))?;
    writer.commit()?;
    Ok(())
}

/// Octets of content that the account's runs have fetched since a moment.
fn fetched_since(writer: &Writer, account: &Account, since_ms: i64) -> Result<u64, Failure> {
    let view = writer.view();
    let Some(info) = view.account(&account.name)? else { return Ok(0) };
    let runs = view.runs(info.id, MAX_RUNS_A_DAY)?;
    let recent = runs.iter().take_while(|run| run.started_ms >= since_ms);
    Ok(recent.filter_map(|run| fetched(run.ledger_json.as_deref()?)).fold(0, u64::saturating_add))
}

fn fetched(ledger_json: &str) -> Option<u64> {
    let ledger: serde_json::Value = serde_json::from_str(ledger_json).ok()?;
    ledger["totals"]["bytes_fetched"].as_u64()
}

/// The document of `--json`.
#[derive(serde::Serialize)]
struct Runs<'a> {
    runs: &'a [Ledger],
}

fn report(context: &Context, ledgers: &[Ledger]) -> Result<(), Failure> {
    let mut out = stdout();
    if context.global.json {
        json::write(&mut out, &Runs { runs: ledgers })?;
        return Ok(());
    }
    if !context.global.quiet || exit(ledgers) != Exit::Done {
        ledger::write(&mut out, ledgers)?;
        for ledger in ledgers {
            let Some(before) = ledger.before.as_ref().filter(|_| ledger.suspicious) else { continue };
            let folders: Vec<&str> = ledger.lost.iter().map(|loss| loss.folder.as_str()).collect();
            let config = context.global.config.as_deref();
            let loss = Loss {
                account: &ledger.account,
                protocol: ledger.protocol,
                as_of: &before.as_of,
                folders: &folders,
            };
            let commands = way_back(&loss, config);
            write_way_back(&mut out, &commands)?;
        }
    }
    std::io::Write::flush(&mut out)?;
    Ok(())
}

/// The exit status of these runs.
fn exit(ledgers: &[Ledger]) -> Exit {
    let all = |outcome: Outcome| ledgers.iter().all(|ledger| ledger.outcome == outcome);
    match () {
        () if all(Outcome::Failed) => Exit::Failed,
        () if all(Outcome::Ok) && !ledgers.iter().any(|ledger| ledger.suspicious) => Exit::Done,
        () => Exit::Partial,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(outcome: Outcome, suspicious: bool) -> Ledger {
        Ledger {
            account: "work".into(),
            protocol: "imap",
            started: String::new(),
            finished: String::new(),
            outcome,
            suspicious,
            before: None,
            lost: Vec::new(),
            warnings: Vec::new(),
            error: None,
            totals: Totals::default(),
            excluded: Vec::new(),
            folders: Vec::new(),
        }
    }

    #[test]
    fn the_exit_status_tells_whole_from_part_from_nothing() {
        let (ok, partial, failed) =
            (ledger(Outcome::Ok, false), ledger(Outcome::Partial, false), ledger(Outcome::Failed, false));
        let table = [
            (vec![ok.clone()], Exit::Done),
            (vec![ok.clone(), partial.clone()], Exit::Partial),
            (vec![ok.clone(), failed.clone()], Exit::Partial),
            (vec![partial.clone(), failed.clone()], Exit::Partial),
            (vec![failed.clone(), failed], Exit::Failed),
            (vec![ok, ledger(Outcome::Ok, true)], Exit::Partial),
        ];
        for (ledgers, expected) in table {
            assert_eq!(exit(&ledgers), expected);
        }
    }

    #[test]
    fn the_day_s_budget_counts_what_ledgers_say() {
        assert_eq!(fetched(r#"{"totals":{"bytes_fetched":7}}"#), Some(7));
        assert_eq!(fetched("{}"), None);
        assert_eq!(fetched("not JSON"), None);
    }
}
