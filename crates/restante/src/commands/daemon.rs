//! `daemon`: backs up the accounts by their schedules until it is stopped.
//!
//! The loop, and what begins when, is in the crate `daemon`; here it gets its household: the
//! configuration, the archive while anybody needs it, signals, and systemd.
//!
//! * SIGHUP reads the configuration again; a wrong one is told, and the old one stays in force.
//! * SIGTERM and SIGINT end it within seconds: runs commit what they have. A second one ends at once.

mod alerts;
mod care;
mod herald;
mod keeper;
mod metrics;
mod news;
mod watch;

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use archive::{Archive, Writer};
use daemon::scheduler::{AccountPlan, Limits, Outcome, Plan, Skip, Told, Trouble, Why};
use daemon::service::{Doorbell, Household, Service};
use remote::Kind;
use sync::{Archivist, EndedBy, Ledger, Stop, SystemClock};
use tokio::signal::unix::{SignalKind, signal};

use super::Context;
use super::account_run::{failed, run_account};
use super::place::open_writer;
use super::warn_of_damage;
use crate::config::{Account, Config};
use crate::exit::{Exit, Failure};
use crate::memory::Memory;
use crate::output::amount::local_time;
use crate::output::screen::Screen;
pub(super) use care::packs;
use care::{Caretaker, Ear};
use herald::Systemd;
use keeper::{Closed, Keeper};
use metrics::Meter;
use news::{Listener, News};
use watch::Watchers;

pub(super) fn run(context: &Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    if config.accounts.is_empty() {
        let message = format!("{} has no account, so there is nothing to back up", config.file.display());
        return Err(Failure::words(Exit::Usage, message).help("add an [[account]]"));
    }
    config.check_secrets(&config.accounts.iter().collect::<Vec<_>>())?;
    config.check_alert_secrets()?;
    let memory = Memory::open(&config.archive.path)?;
    // A wrong path, or an archive that is not there, is told now and not in the night.
    let writer = open_writer(&config.archive.path, &memory)?;
    let archive = writer.id();
    warn_of_damage(writer.damage());
    drop(writer);

    let config = Arc::new(config);
    let meter = Meter::start(&config).map_err(|why| Failure::words(Exit::Failed, why))?;
    let (bell, teller) = alerts::start(&config, &memory, archive)
        .map_err(|error| Failure::words(Exit::Failed, format!("no thread can be had: {error}")))?;
    let service = Service::default();
    let stop = Stop::default();
    listen(&context.screen, service.doorbell())
        .map_err(|error| Failure::words(Exit::Failed, format!("cannot listen for signals: {error}")))?;
    let watchers = Watchers::start(service.doorbell())
        .map_err(|error| Failure::words(Exit::Failed, format!("no thread can be had to watch: {error}")))?;
    let caretaker = Arc::new(Caretaker::default());
    let house = House {
        screen: context.screen.clone(),
        named: context.global.config.clone(),
        keeper: Keeper::new(),
        stop,
        reloads: AtomicU64::new(0),
        config: RwLock::new(Arc::clone(&config)),
        listeners: vec![
            Box::new(meter),
            Box::new(bell),
            Box::new(Arc::clone(&watchers)),
            Box::new(Ear(Arc::clone(&caretaker))),
        ],
        watchers,
    };
    tracing::info!("{} accounts, archive {}", config.accounts.len(), config.archive.path.display());
    house.announce(&News::Configured(&config));
    let plan = house.plan(&config, &last_starts(&config));
    caretaker.beside(&house, || service.run(&house, plan, &mut Systemd));
    house.watchers.stop();
    house.keeper.close();
    teller.end();
    tracing::info!("stopped");
    Ok(Exit::Done)
}

/// What the scheduler works for.
struct House {
    screen: Screen,
    /// The configuration file, as it was named on the command line.
    named: Option<PathBuf>,
    config: RwLock<Arc<Config>>,
    keeper: Keeper,
    stop: Stop,
    reloads: AtomicU64,
    /// Who hears what happens.
    listeners: Vec<Box<dyn Listener>>,
    watchers: Arc<Watchers>,
}

impl House {
    fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn announce(&self, news: &News<'_>) {
        self.listeners.iter().for_each(|listener| listener.hear(news));
    }

    /// What the scheduler goes by; `last_starts` are those of accounts that it does not know yet.
    fn plan(&self, config: &Config, last_starts: &[(String, i64)]) -> Plan {
        let login = self.reloads.load(Ordering::Relaxed);
        let account = |account: &Account| AccountPlan {
            name: account.name.as_str().into(),
            host: account.host.to_ascii_lowercase().into(),
            schedule: config.schedule_of(account).cloned(),
            spread: account.spread.unwrap_or(config.daemon.spread),
            window: account.window.clone(),
            enabled: true,
            // Who has the configuration read again may have mended any password.
            login,
            last_start_ms: last_starts.iter().find(|(name, _)| *name == account.name).map(|(_, at)| *at),
        };
        Plan {
            accounts: config.accounts.iter().map(account).collect(),
            limits: Limits { at_once: config.daemon.runs, per_host: config.daemon.runs_per_host },
            catch_up: config.daemon.catch_up,
        }
    }

    fn read_again(&self) -> Result<Config, Failure> {
        let mut config = Config::load(self.named.as_deref())?;
        if config.archive.path != self.config().archive.path {
            let message = "archive.path cannot be changed by a reload; restart the daemon for that";
            return Err(Failure::words(Exit::Usage, message));
        }
        config.check_secrets(&config.accounts.iter().collect::<Vec<_>>())?;
        config.check_alert_secrets()?;
        config.daemon.go_on_from(&self.config().daemon);
        Ok(config)
    }
}

/// When each account's last run began, in milliseconds since 1970.
fn last_starts(config: &Config) -> Vec<(String, i64)> {
    let read = || -> Result<Vec<(String, i64)>, archive::Error> {
        let archive = Archive::open(&config.archive.path)?;
        let view = archive.view();
        let mut starts = Vec::new();
        for account in view.accounts()? {
            starts
                .extend(view.runs(account.id, 1)?.first().map(|run| (account.name.clone(), run.started_ms)));
        }
        Ok(starts)
    };
    read().unwrap_or_else(|error| {
        tracing::warn!("cannot read when the last runs were, so all accounts run soon: {}", error.in_full());
        Vec::new()
    })
}

/// Whether an account has suspicious runs that nobody has acknowledged; `None` where the archive does
/// not say.
fn has_alarms(archivist: &Archivist, account: &str) -> Option<bool> {
    let account = account.to_owned();
    let read = move |writer: &mut Writer| -> Result<bool, archive::Error> {
        let view = writer.view();
        let Some(known) = view.account(&account)? else { return Ok(false) };
        Ok(!view.alarms(known.id)?.is_empty())
    };
    archivist.with(read)?.ok()
}

/// What a ledger means for the next attempt.
fn outcome(ledger: &Ledger) -> Outcome {
    let trouble = match ledger.ended_by {
        Some(EndedBy::Request) => return Outcome::Interrupted,
        _ if ledger.outcome != sync::Outcome::Failed => return Outcome::Done,
        Some(EndedBy::Server(kind)) => trouble(kind),
        Some(EndedBy::Other) | None => Trouble::Other,
    };
    Outcome::Failed(trouble)
}

/// What trouble with a server means for the next attempt.
fn trouble(kind: Kind) -> Trouble {
    match kind {
        Kind::Credentials | Kind::Unsure => Trouble::Credentials,
        Kind::Limit { wait } => Trouble::Limit { wait },
        Kind::Network => Trouble::Network,
        _ => Trouble::Other,
    }
}

impl Household for House {
    fn run(&self, account: &str, why: Why) -> Outcome {
        tracing::debug!(account, ?why, "begins");
        let config = self.config();
        // Removed by a reload a moment ago.
        let Some(account) = config.account(account) else { return Outcome::Done };
        self.announce(&News::RunBegins { account: &account.name });
        let began = Instant::now();
        let (ledger, opened, unacknowledged) = match self.keeper.open(&config) {
            Ok(open) => {
                self.announce(&News::ArchiveOpened { damaged: open.is_damaged() });
                let ledger = run_account(&self.screen, &config, account, open.archivist(), &self.stop);
                (ledger, true, has_alarms(open.archivist(), &account.name))
            }
            Err(Closed { why, is_busy }) => {
                tracing::error!(account = account.name, "not begun: {why}");
                self.announce(&News::ArchiveClosed { why: &why, is_busy });
                (failed(account, &SystemClock::default(), &why), false, None)
            }
        };
        self.announce(&News::RunEnded { ledger: &ledger, opened, unacknowledged, took: began.elapsed() });
        outcome(&ledger)
    }

    fn reload(&self) -> Result<Plan, String> {
        match self.read_again() {
            Ok(config) => {
                self.reloads.fetch_add(1, Ordering::Relaxed);
                let config = Arc::new(config);
                *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&config);
                tracing::info!("configuration read again: {} accounts", config.accounts.len());
                self.announce(&News::Configured(&config));
                // Reading the archive for last runs could hold up the scheduler for minutes; who is new
                // to it runs soon.
                Ok(self.plan(&config, &[]))
            }
            Err(failure) => {
                for report in &failure.reports {
                    self.screen.report(report);
                }
                let why = failure.summary().unwrap_or_else(|| "see above".to_owned());
                tracing::error!("the configuration is wrong, and the old one stays in force: {why}");
                self.announce(&News::ConfigurationWrong { why: &why });
                Err(why)
            }
        }
    }

    fn ask_to_end(&self) {
        self.stop.request();
        self.announce(&News::Stopping);
    }

    fn aside(&self) -> Option<String> {
        self.watchers.status()
    }

    fn tell(&self, told: &Told) {
        match told {
            Told::Skipped { account, from, through, why } => {
                let why = match why {
                    Skip::StillRunning => "the run before it goes on",
                    Skip::StillWaiting => "the run before it still waits",
                    Skip::Resting => "the last run failed, and the server is left in peace for a while",
                };
                let (from, through) = (local_time(*from), local_time(*through));
                tracing::warn!(account = &**account, "no run for {from} to {through}: {why}");
            }
            Told::Missed { account, from, through, wait } => {
                let (from, through, wait) = (local_time(*from), local_time(*through), wait.as_secs());
                tracing::warn!(
                    account = &**account,
                    "runs were missed from {from} to {through}; one makes up for them in {wait} s"
                );
            }
            Told::ClockJumped { by_ms } => tracing::warn!("the clock jumped by {} s", by_ms / 1_000),
        }
    }
}

/// Rings for signals.
fn listen(screen: &Screen, doorbell: Doorbell) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let (mut terminate, mut interrupt, mut hangup) = {
        let _inside = runtime.enter();
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?)
    };
    let screen = screen.clone();
    let hear = async move {
        let mut asked = false;
        loop {
            tokio::select! {
                _ = hangup.recv() => doorbell.reload(),
                _ = terminate.recv() => break_off(&doorbell, &screen, &mut asked),
                _ = interrupt.recv() => break_off(&doorbell, &screen, &mut asked),
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || runtime.block_on(hear))?;
    Ok(())
}

fn break_off(doorbell: &Doorbell, screen: &Screen, asked: &mut bool) {
    if std::mem::replace(asked, true) {
        std::process::exit(i32::from(Exit::Failed.number()));
    }
    screen.say("asked to stop: committing what has come; once more ends at once");
    doorbell.stop();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_a_run_came_to_decides_when_it_is_tried_again() {
        let account = |outcome, ended_by| {
            let ledger = Ledger { outcome, ended_by, ..Ledger::failed("work", "imap", "") };
            self::outcome(&ledger)
        };
        let (ok, partial, failed) = (sync::Outcome::Ok, sync::Outcome::Partial, sync::Outcome::Failed);
        let wait = Some(Duration::from_secs(9));
        for (outcome, ended_by, expected) in [
            (ok, None, Outcome::Done),
            (partial, None, Outcome::Done),
            (partial, Some(EndedBy::Server(Kind::Network)), Outcome::Done),
            (partial, Some(EndedBy::Request), Outcome::Interrupted),
            (failed, Some(EndedBy::Request), Outcome::Interrupted),
            (failed, Some(EndedBy::Server(Kind::Credentials)), Outcome::Failed(Trouble::Credentials)),
            (failed, Some(EndedBy::Server(Kind::Limit { wait })), Outcome::Failed(Trouble::Limit { wait })),
            (failed, Some(EndedBy::Server(Kind::Network)), Outcome::Failed(Trouble::Network)),
            (failed, Some(EndedBy::Other), Outcome::Failed(Trouble::Other)),
            (failed, None, Outcome::Failed(Trouble::Other)),
        ] {
            assert_eq!(account(outcome, ended_by), expected, "{outcome:?} {ended_by:?}");
        }
    }
}
