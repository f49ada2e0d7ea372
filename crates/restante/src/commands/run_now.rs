//! `--run-now`: one run of each account, one after the other, and the ledger at the end.

use std::path::Path;

use archive::Writer;
use daemon::alerts::RunEnd;
use sync::{Archivist, Ledger, Outcome, Stop, SystemClock};

use super::account_run::{failed, limits, record, run_account};
use super::alarm::{Loss, way_back, write_way_back};
use super::metrics;
use super::place::{open_writer, remember};
use super::stop::listen;
use super::{Context, warn_of_damage};
use crate::alerts::once;
use crate::alerts::rules::run_end;
use crate::config::{Account, Config};
use crate::exit::{Exit, Failure};
use crate::memory::Memory;
use crate::output::{json, ledger, stdout};

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
        ledgers.push(run_one(context, &config, account, &mut writer, &stop));
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
    metrics::write_after_runs(&config, &writer.view());
    let (archive, is_damaged) = (writer.id(), !writer.damage().is_empty());
    let ends = ends(&config, &writer, &ledgers);
    // Channels may be slow; neither who waits for the ledgers nor who wants the archive waits for them.
    drop(writer);
    let ended = match broken {
        Some(failure) => end_early(context, &ledgers, failure),
        None => report(context, &ledgers).map(|()| if is_damaged { Exit::Damaged } else { exit(&ledgers) }),
    };
    once::tell(&config, &memory, archive, ends);
    ended
}

fn run_one(
    context: &Context,
    config: &Config,
    account: &Account,
    writer: &mut Writer,
    stop: &Stop,
) -> Ledger {
    let clock = SystemClock::default();
    Archivist::serve(writer, &clock, &limits(config), |archivist| {
        run_account(&context.screen, config, account, &archivist, stop)
    })
}

/// What the runs came to, for those who are told of it.
fn ends(config: &Config, writer: &Writer, ledgers: &[Ledger]) -> Vec<RunEnd> {
    let view = writer.view();
    let end = |ledger: &Ledger| {
        let alarms = view
            .account(&ledger.account)
            .and_then(|known| known.map_or(Ok(false), |known| Ok(!view.alarms(known.id)?.is_empty())));
        run_end(ledger, alarms.ok(), config.alerts.details)
    };
    ledgers.iter().filter_map(end).collect()
}

/// A new writer after the old one has failed, with the failed run recorded as far as that is possible.
fn open_again(path: &Path, memory: &Memory, ledger: &Ledger) -> Result<Writer, Failure> {
    let mut writer = open_writer(path, memory)?;
    let Err(error) = record(&mut writer, ledger) else { return Ok(writer) };
    tracing::warn!("the failed run cannot be recorded: {}", error.in_full());
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
        Ledger { outcome, suspicious, ..Ledger::failed("work", "imap", "") }
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
}
