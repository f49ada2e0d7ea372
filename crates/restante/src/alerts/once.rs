//! Telling after `--run-now`, which a timer starts and which ends with its runs.
//!
//! Runs are far apart then, so that the first failure counts; each channel is tried once, and what it
//! does not take is tried again after the next round. Where a daemon tells of the same archive's
//! troubles, it goes on doing so, and nothing is told here.

use archive::ArchiveId;
use daemon::alerts::{Patience, RunEnd};

use super::channel::Channel;
use super::store::{Store, StoreError};
use super::{machine, now_ms, rules};
use crate::config::Config;
use crate::memory::Memory;

/// Bounds the time that a long queue takes.
const MOST_ROUNDS: usize = 10;

/// Tells of these runs.
pub(crate) fn tell(config: &Config, memory: &Memory, archive: ArchiveId, ends: Vec<RunEnd>) {
    if !config.alerts.has_channels() {
        return;
    }
    let (store, mut alerts) = match Store::open(memory, archive) {
        Ok(opened) => opened,
        Err(StoreError::Busy) => return tracing::debug!("the daemon tells of troubles"),
        Err(error) => return tracing::warn!("nobody is told of troubles: {error}"),
    };
    let now = now_ms();
    let mut rules = rules::rules(config, now);
    (rules.collect_ms, rules.patience) = (0, Patience::NONE);
    alerts.configure(now, rules);
    ends.into_iter().for_each(|end| alerts.run_ended(now, end));
    if alerts.step(now) {
        tracing::warn!("too many messages wait; the oldest are dropped");
    }
    let save = |alerts: &_| {
        if let Err(error) = store.save(alerts) {
            tracing::warn!("what was told cannot be written down, and may be told again: {error}");
        }
    };
    save(&alerts);
    let (channels, machine) = (Channel::all(&config.alerts), machine());
    for _ in 0..MOST_ROUNDS {
        let due = alerts.due(now_ms());
        if due.is_empty() {
            break;
        }
        let results: Vec<_> = std::thread::scope(|scope| {
            let deliver = |(name, message): &(String, _)| {
                let channel = channels.iter().find(|channel| channel.name == *name)?;
                Some(channel.deliver(message, &machine))
            };
            let tried: Vec<_> = due.iter().map(|due| scope.spawn(move || deliver(due))).collect();
            tried.into_iter().map(|tried| tried.join().ok().flatten()).collect()
        });
        for ((name, message), result) in due.iter().zip(results) {
            match result {
                Some(Ok(())) => alerts.taken(name, message.number),
                Some(Err(why)) => {
                    tracing::warn!("{name} did not take a message: {why}");
                    alerts.refused(now_ms(), name, message.number);
                }
                None => {
                    alerts.refused(now_ms(), name, message.number);
                }
            }
        }
        save(&alerts);
    }
}
