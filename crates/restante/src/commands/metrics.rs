//! Metrics: what the archive, its disk and the ledgers say for them, and the file that they are written
//! to. The daemon keeps them up to date (`daemon/metrics.rs`); `--run-now` writes them once, at its end.

pub(super) mod reading;
pub(super) mod textfile;

use std::time::Duration;

use archive::View;
use daemon::metrics::{Metrics, Outcome, Run};
use sync::Ledger;

use crate::config::Config;

/// What is known without looking anywhere: the accounts that are configured, and when their schedules
/// plan the next run.
pub(super) fn of(config: &Config) -> Metrics {
    let mut metrics = Metrics { version: env!("CARGO_PKG_VERSION"), ..Metrics::default() };
    configure(&mut metrics, config);
    metrics
}

/// Takes over a configuration; what is known of accounts that stay is kept.
pub(super) fn configure(metrics: &mut Metrics, config: &Config) {
    let mut known = std::mem::take(&mut metrics.accounts);
    for account in &config.accounts {
        let kept = known.remove(&account.name).unwrap_or_default();
        metrics.accounts.insert(account.name.clone(), kept);
    }
    metrics.archive.reserve_bytes = config.archive.reserve;
    plan(metrics, config);
}

/// When the next runs are planned, as of now.
pub(super) fn plan(metrics: &mut Metrics, config: &Config) {
    let now = jiff::Timestamp::now().as_second();
    for account in &config.accounts {
        if let Some(known) = metrics.accounts.get_mut(&account.name) {
            known.next = config.schedule_of(account).and_then(|schedule| schedule.next_after(now));
        }
    }
}

/// A run that has just ended.
pub(super) fn run_of(ledger: &Ledger, took: Duration) -> Run {
    let totals = &ledger.totals;
    Run {
        outcome: match ledger.outcome {
            sync::Outcome::Ok => Outcome::Ok,
            sync::Outcome::Partial => Outcome::Partial,
            sync::Outcome::Failed => Outcome::Failed,
        },
        suspicious: ledger.suspicious,
        ended_ms: jiff::Timestamp::now().as_millisecond(),
        took,
        new: totals.new,
        vanished: totals.vanished,
        failed: totals.failed,
        fetched_bytes: totals.bytes_fetched,
    }
}

/// Writes the file after `--run-now`, where one is wished for. A backup does not fail because of it.
pub(super) fn write_after_runs(config: &Config, view: &View<'_>) {
    let Some(path) = &config.metrics.textfile else { return };
    let mut metrics = of(config);
    let names: Vec<String> = metrics.accounts.keys().cloned().collect();
    match reading::read(view, &names, reading::Search::Deep) {
        Ok(read) => read.into_metrics(&mut metrics),
        Err(error) => {
            tracing::warn!("the archive cannot be read for metrics: {}", error.in_full());
            metrics.archive.readable = Some(false);
        }
    }
    reading::look_around(config).into_metrics(&mut metrics);
    if let Err(error) = textfile::write(path, &metrics.to_text()) {
        tracing::warn!("{error}");
    }
}
