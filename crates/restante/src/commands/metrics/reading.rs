//! What the archive knows that metrics tell: how large it is, what it holds of each account, and how the
//! last runs ended, so that this survives a restart. Takes a moment, and is never done on a thread that
//! others wait for.

use std::time::Duration;

use archive::{Archive, RunInfo, View};
use daemon::metrics::{Disk, Held, Metrics, Outcome, Run, Sizes, Verified};
use serde::Deserialize;

use crate::config::Config;
use crate::memory::Memory;

/// So many runs are looked at where only what is new is of interest.
const RECENT_RUNS: usize = 4;
/// So many are looked through for the newest good one: a month of hourly ones.
const MAX_RUNS: usize = 1_000;

/// How far back a good run is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Search {
    /// As far as it pays.
    Deep,
    /// Among the last ones; older ones are known already.
    Recent,
}

/// What was read.
pub(in super::super) struct Reading {
    sizes: Sizes,
    accounts: Vec<(String, AccountReading)>,
}

#[derive(Default)]
struct AccountReading {
    held: Held,
    last: Option<Run>,
    last_good_ms: Option<i64>,
}

/// The part of a ledger that metrics are made of. What an older one does not say is 0.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Told {
    suspicious: bool,
    totals: Totals,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Totals {
    new: u64,
    vanished: u64,
    failed: u64,
    bytes_fetched: u64,
}

/// Reads it, for these accounts.
///
/// # Errors
/// When the catalogue cannot be read.
pub(in super::super) fn read(
    view: &View<'_>,
    accounts: &[String],
    search: Search,
) -> Result<Reading, archive::Error> {
    let (sizes, totals) = (view.sizes()?, view.totals(None)?);
    let sizes = Sizes {
        packs: sizes.packs,
        pack_bytes: sizes.pack_bytes,
        catalogue_bytes: sizes.catalogue_bytes,
        messages: totals.messages,
        mail_bytes: totals.live_bytes,
        known_damage: view.known_damage()?,
    };
    let accounts = accounts.iter().map(|name| Ok((name.clone(), of_account(view, name, search)?)));
    Ok(Reading { sizes, accounts: accounts.collect::<Result<_, archive::Error>>()? })
}

/// The same beside whoever writes, without ever being in their way; none where that cannot be.
///
/// # Errors
/// When there is no archive, or it cannot be read.
pub(in super::super) fn glance(
    config: &Config,
    accounts: &[String],
    search: Search,
) -> Result<Option<Reading>, archive::Error> {
    let archive = Archive::glance(&config.archive.path)?;
    archive.map(|archive| read(&archive.view(), accounts, search)).transpose()
}

fn of_account(view: &View<'_>, name: &str, search: Search) -> Result<AccountReading, archive::Error> {
    let Some(account) = view.account(name)? else { return Ok(AccountReading::default()) };
    let totals = view.totals(Some(account.id))?;
    let held = Held {
        messages: totals.live,
        bytes: totals.live_bytes,
        unacknowledged: view.alarms(account.id)?.len() as u64,
    };
    let ended =
        |limit| Ok::<_, archive::Error>(view.runs(account.id, limit)?.iter().filter_map(run).collect());
    let mut runs: Vec<Run> = ended(RECENT_RUNS)?;
    if search == Search::Deep && !runs.iter().any(Run::is_good) {
        runs = ended(MAX_RUNS)?;
    }
    let last_good_ms = runs.iter().find(|run| run.is_good()).map(|run| run.ended_ms);
    Ok(AccountReading { held, last: runs.first().copied(), last_good_ms })
}

/// A run that has ended; none where it goes on or was cut off.
fn run(info: &RunInfo) -> Option<Run> {
    let (outcome, ended_ms) = (Outcome::parse(info.outcome.as_deref()?)?, info.finished_ms?);
    let told = info.ledger_json.as_deref().and_then(|json| serde_json::from_str(json).ok());
    let Told { suspicious, totals } = told.unwrap_or_default();
    let took = u64::try_from(ended_ms.saturating_sub(info.started_ms)).unwrap_or(0);
    Some(Run {
        outcome,
        suspicious,
        ended_ms,
        took: Duration::from_millis(took),
        new: totals.new,
        vanished: totals.vanished,
        failed: totals.failed,
        fetched_bytes: totals.bytes_fetched,
    })
}

impl Reading {
    /// Puts it where it belongs; accounts that are no longer configured are left out.
    pub(in super::super) fn into_metrics(self, metrics: &mut Metrics) {
        metrics.archive.readable = Some(true);
        metrics.archive.sizes = Some(self.sizes);
        for (name, read) in self.accounts {
            if let Some(account) = metrics.accounts.get_mut(&name) {
                account.held = Some(read.held);
                account.recall(read.last, read.last_good_ms);
            }
        }
    }
}

/// What lies beside the archive.
pub(in super::super) struct Around {
    disk: Option<Disk>,
    verified: Option<(String, Verified)>,
}

/// Looks at its disk, and at what is remembered of the last verification.
pub(in super::super) fn look_around(config: &Config) -> Around {
    let path = &config.archive.path;
    let disk = rustix::fs::statvfs(path).ok().map(|disk| Disk {
        free_bytes: disk.f_bavail.saturating_mul(disk.f_frsize),
        size_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
    });
    // Where nothing can be remembered, backups say so themselves.
    let remembered = Memory::open(path).and_then(|memory| memory.recall(path)).ok().flatten();
    let verified = remembered.and_then(|remembered| remembered.verified);
    let verified =
        verified.map(|verified| (verified.depth, Verified { at: verified.at, whole: verified.whole }));
    Around { disk, verified }
}

impl Around {
    /// Puts it where it belongs.
    pub(in super::super) fn into_metrics(self, metrics: &mut Metrics) {
        metrics.archive.disk = self.disk;
        if let Some((depth, verified)) = self.verified {
            metrics.archive.verified(&depth, verified);
        }
    }
}
