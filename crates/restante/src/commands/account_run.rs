//! One run of one account, as `--run-now` and the daemon make it.
//!
//! An account that cannot even be tried (no password) has a run all the same, recorded as failed, so
//! that `status` shows it. So has one into whose mailbox mail is being restored at the moment.

use std::panic::{AssertUnwindSafe, catch_unwind};

use archive::{AccountLock, RunId, Writer};
use sync::{Archivist, Clock, Ledger, PullLimits, Stop, Surroundings, SystemClock, pull_beside_others};

use super::target::job;
use crate::config::{Account, Config};
use crate::exit::chain;
use crate::output::screen::Screen;
use crate::output::{json, progress, run_log};

const DAY_MS: i64 = 86_400_000;

/// So many runs of an account are looked at to see what it has fetched in a day.
const MAX_RUNS_A_DAY: usize = 10_000;

/// How the archive is written to.
pub(super) fn limits(config: &Config) -> PullLimits {
    PullLimits { reserve_bytes: config.archive.reserve, ..PullLimits::default() }
}

/// Runs an account to its end.
pub(super) fn run_account(
    screen: &Screen,
    config: &Config,
    account: &Account,
    archivist: &Archivist,
    stop: &Stop,
) -> Ledger {
    // Of the level of an error, or --quiet would take account and run from the lines that it leaves.
    let run = tracing::field::Empty;
    let _span = tracing::error_span!("run", account = account.name, run).entered();
    let clock = SystemClock::default();
    let tried = guarded(|| try_to_run(screen, config, account, (archivist, &clock, stop)));
    let ledger = tried.unwrap_or_else(|why| {
        let ledger = failed(account, &clock, &why);
        let as_recorded = ledger.clone();
        match archivist.with(move |writer| record(writer, &as_recorded)) {
            Some(Ok(run)) => drop(tracing::Span::current().record("run", run.get())),
            Some(Err(error)) => tracing::warn!("the failed run cannot be recorded: {}", error.in_full()),
            None => tracing::warn!("the failed run cannot be recorded: the archive is closed"),
        }
        ledger
    });
    run_log::ended(&ledger);
    ledger
}

/// S10: a fault of ours is this account's failure, recorded and told as any other.
fn guarded(run: impl FnOnce() -> Result<Ledger, String>) -> Result<Ledger, String> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let words = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no words");
        Err(format!("a fault of restante itself ended the run, please report it: {words}"))
    })
}

/// The run, or why it could not begin.
fn try_to_run(
    screen: &Screen,
    config: &Config,
    account: &Account,
    (archivist, clock, stop): (&Archivist, &SystemClock, &Stop),
) -> Result<Ledger, String> {
    if stop.requested() {
        return Err("interrupted before it began".to_owned());
    }
    let mut job = job(config, account).map_err(|error| chain(&error))?;
    if let Some(budget) = account.max_bytes_per_day {
        let (name, since) = (account.name.clone(), clock.unix_ms().saturating_sub(DAY_MS));
        let spent = archivist.with(move |writer| fetched_since(writer, &name, since));
        let spent = spent.ok_or("the archive is closed")?.map_err(|error| error.in_full())?;
        job.limits.max_bytes = Some(budget.saturating_sub(spent));
    }
    let lock = AccountLock::try_take(&config.archive.path, &account.name).map_err(|error| error.in_full())?;
    run_log::begins(&account.user, &account.host);
    let progress = progress::for_account(screen, &account.name);
    let surroundings = Surroundings::here(clock, progress.as_ref(), stop);
    let mut ledger = pull_beside_others(surroundings, archivist, &job);
    drop(progress);
    ledger.warnings.extend(lock.warning().map(str::to_owned));
    if account.plaintext_to_others {
        ledger
            .warnings
            .push("the password and all mail went over the network unencrypted (allow_plaintext)".to_owned());
    }
    Ok(ledger)
}

/// The ledger of a run that brought nothing.
pub(super) fn failed(account: &Account, clock: &dyn Clock, error: &str) -> Ledger {
    let at = sync::rfc3339(clock.unix_ms());
    Ledger { error: Some(error.to_owned()), ..Ledger::failed(&account.name, account.protocol.word(), &at) }
}

/// Writes a ledger into the archive as a run of its own.
pub(super) fn record(writer: &mut Writer, ledger: &Ledger) -> Result<RunId, archive::Error> {
    let now = SystemClock::default().unix_ms();
    let id = writer.account(&ledger.account, ledger.protocol)?;
    let run = writer.begin_run(id, now)?;
    writer.end_run(run, ledger.outcome.word(), now, &json::to_text(ledger))?;
    writer.commit()?;
    Ok(run)
}

/// Octets of content that the account's runs have fetched since a moment.
fn fetched_since(writer: &Writer, account: &str, since_ms: i64) -> Result<u64, archive::Error> {
    let view = writer.view();
    let Some(info) = view.account(account)? else { return Ok(0) };
    let runs = view.runs(info.id, MAX_RUNS_A_DAY)?;
    let recent = runs.iter().take_while(|run| run.started_ms >= since_ms);
    Ok(recent.filter_map(|run| fetched(run.ledger_json.as_deref()?)).fold(0, u64::saturating_add))
}

fn fetched(ledger_json: &str) -> Option<u64> {
    let ledger: serde_json::Value = serde_json::from_str(ledger_json).ok()?;
    ledger["totals"]["bytes_fetched"].as_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s10_a_panic_is_a_failed_run_with_its_words() {
        let why = guarded(|| panic!("nested too deep")).expect_err("it has failed");
        assert!(why.contains("nested too deep") && why.contains("restante itself"), "{why}");
    }

    #[test]
    fn the_day_s_budget_counts_what_ledgers_say() {
        assert_eq!(fetched(r#"{"totals":{"bytes_fetched":7}}"#), Some(7));
        assert_eq!(fetched("{}"), None);
        assert_eq!(fetched("not JSON"), None);
    }
}
