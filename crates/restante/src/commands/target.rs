//! From an account of the configuration to a job for the engine.

use std::time::Duration;

use daemon::Schedule;
use secrecy::SecretString;
use sync::{FolderFilter, Job, Pop3Options, PullLimits};

use crate::config::{Account, Config, Pop3, Protocol, SecretError};

/// So many runs are looked ahead to find the longest pause between two: enough for a week's pattern.
const RUNS_AHEAD: usize = 64;

/// Why an account cannot be worked on, though its configuration is right.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoJob {
    #[error(transparent)]
    Secret(#[from] SecretError),
    #[error("cannot read {path}: {source} (tls_ca_file)")]
    Authorities { path: String, source: std::io::Error },
    #[error(transparent)]
    Globs(#[from] sync::InvalidGlob),
}

/// Fetches the account's password and authorities and puts the job together.
///
/// # Errors
/// When something that the account needs is not there.
pub(super) fn job(config: &Config, account: &Account) -> Result<Job, NoJob> {
    job_with(config, account, account.password.reveal()?)
}

/// The same with a password that is known already.
///
/// # Errors
/// When something else that the account needs is not there.
pub(super) fn job_with(config: &Config, account: &Account, password: SecretString) -> Result<Job, NoJob> {
    let (extra_authorities, extra_authorities_from) = match &account.tls_ca_file {
        None => (Vec::new(), String::new()),
        Some(path) => {
            let from = path.display().to_string();
            let read =
                std::fs::read(path).map_err(|source| NoJob::Authorities { path: from.clone(), source })?;
            (read, from)
        }
    };
    let mut remote = account.limits.remote.clone();
    remote.throttle = config.throttle_of(account);
    Ok(Job {
        account: account.name.clone(),
        protocol: protocol(config, account, jiff::Timestamp::now().as_second()),
        endpoint: remote::Endpoint {
            host: account.host.clone(),
            port: account.port,
            security: account.tls,
            extra_authorities,
            extra_authorities_from,
        },
        credentials: remote::Credentials { user: account.user.clone(), password },
        filter: FolderFilter::new(&account.include, &account.exclude)?,
        limits: PullLimits {
            reserve_bytes: config.archive.reserve,
            watchdog: account.watchdog,
            patience: account.limits.patience.clone(),
            recheck: account.limits.recheck,
            remote,
            ..PullLimits::default()
        },
    })
}

/// `now` in seconds since 1970-01-01T00:00:00Z.
fn protocol(config: &Config, account: &Account, now: i64) -> sync::Protocol {
    match account.protocol {
        Protocol::Imap => sync::Protocol::Imap,
        Protocol::Pop3(Pop3 { auth, listing }) => {
            let every = config.schedule_of(account).and_then(|schedule| longest_pause(schedule, now));
            sync::Protocol::Pop3(Pop3Options { auth, listing, every })
        }
    }
}

/// The longest time between two of the next runs: over a weekend, say, when mail is fetched on
/// working days.
fn longest_pause(schedule: &Schedule, now: i64) -> Option<Duration> {
    let runs = std::iter::successors(schedule.next_after(now), |&run| schedule.next_after(run));
    let runs: Vec<i64> = runs.take(RUNS_AHEAD).collect();
    let pauses = runs.windows(2).filter_map(|pair| u64::try_from(pair[1] - pair[0]).ok());
    pauses.max().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p07_what_counts_is_the_longest_pause_of_a_schedule() {
        for (expression, hours) in [("0 */2 * * *", 2), ("0 9 * * 1-5", 72), ("@weekly", 168)] {
            let schedule = Schedule::parse(expression, Some("UTC")).expect("a schedule");
            let pause = longest_pause(&schedule, 1_772_445_600);
            assert_eq!(pause, Some(Duration::from_secs(hours * 3_600)), "{expression}");
        }
    }
}
