//! What is borne from servers: `[limits]`, for all accounts or, as `[account.limits]`, for one.
//!
//! Each key has bounds of its own, for a limit of zero or of a century helps nobody. The bounds that
//! are not here stay in the code, in the tables of `remote::Limits` and `sync::PullLimits`: they
//! protect the program, and there is no mailbox for which they would have to be others.

use std::time::Duration;

use sync::{Patience, PullLimits};

use super::document::Section;
use super::size::{parse_duration, parse_size};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// Messages up to 16 MiB are fetched in one piece, and their size is only a hint.
const SMALLEST_LITERAL: u64 = 17 << 20;

/// The limits of an account.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    pub(crate) patience: Patience,
    pub(crate) recheck: Duration,
    pub(crate) remote: remote::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        let PullLimits { patience, recheck, remote, .. } = PullLimits::default();
        Self { patience, recheck, remote }
    }
}

/// Reads a section; what it does not say is taken from `defaults`.
pub(super) fn read(mut section: Section<'_, '_>, defaults: &Limits) -> Limits {
    let mut limits = defaults.clone();
    let Limits { patience, recheck, remote } = &mut limits;
    time(&mut section, "connect", 1..=HOUR, &mut remote.connect);
    time(&mut section, "greeting", 1..=HOUR, &mut remote.greeting);
    time(&mut section, "progress", 1..=HOUR, &mut remote.progress);
    number(&mut section, "slowest", 1..=1_000_000, &mut remote.slowest);
    time(&mut section, "run", MINUTE..=365 * DAY, &mut patience.run);
    number(&mut section, "retries", 0..=1_000, &mut patience.cuts);
    time(&mut section, "first_pause", 1..=HOUR, &mut patience.first_pause);
    time(&mut section, "longest_wait", 0..=DAY, &mut patience.longest_wait);
    time(&mut section, "recheck", 0..=365 * DAY, recheck);
    number(&mut section, "commands_in_flight", 1..=16, &mut remote.commands_in_flight);
    number(&mut section, "folders", 1..=10_000_000, &mut remote.mailboxes);
    size(&mut section, "line", 64 << 10..=1 << 30, &mut remote.line);
    size(&mut section, "literal", SMALLEST_LITERAL..=1 << 30, &mut remote.literal);
    section.close();
    limits
}

type Bounds = std::ops::RangeInclusive<u64>;

/// A time; its bounds are in seconds.
fn time(section: &mut Section<'_, '_>, key: &'static str, bounds: Bounds, limit: &mut Duration) {
    match section.text(key).as_deref().map(parse_duration) {
        None => {}
        Some(Err(problem)) => drop(section.wrong(key, problem)),
        Some(Ok(read)) if bounds.contains(&read.as_secs()) => *limit = read,
        Some(Ok(_)) => {
            let (least, most) = (bounds.start(), bounds.end());
            section.wrong(key, format!("must be from \"{least}s\" to \"{most}s\""));
        }
    }
}

fn size<N: TryFrom<u64>>(section: &mut Section<'_, '_>, key: &'static str, bounds: Bounds, limit: &mut N) {
    match section.text(key).as_deref().map(parse_size) {
        None => {}
        Some(Err(problem)) => drop(section.wrong(key, problem)),
        Some(Ok(read)) => match N::try_from(read) {
            Ok(fitting) if bounds.contains(&read) => *limit = fitting,
            _ => {
                let (least, most) = (bounds.start() >> 10, bounds.end() >> 10);
                section.wrong(key, format!("must be from \"{least}KiB\" to \"{most}KiB\""));
            }
        },
    }
}

fn number<N: TryFrom<u64>>(section: &mut Section<'_, '_>, key: &'static str, bounds: Bounds, limit: &mut N) {
    let Some(read) = section.number(key) else { return };
    match N::try_from(read) {
        Ok(fitting) if bounds.contains(&read) => *limit = fitting,
        _ => {
            let (least, most) = (bounds.start(), bounds.end());
            section.wrong(key, format!("must be a number from {least} to {most}"));
        }
    }
}
