//! How the daemon works: `[daemon]`, and what of it an account may say for itself.

use std::num::{NonZeroU64, NonZeroUsize};
use std::time::Duration;

use daemon::scheduler::{InvalidWindow, Window};
use daemon::{InvalidSchedule, Schedule};
use remote::Throttle;

use super::document::Section;
use super::near;
use super::size::parse_duration;

/// Accounts that say nothing else run every two hours.
const SCHEDULE: &str = "0 */2 * * *";
const RUNS: usize = 4;
const RUNS_PER_HOST: usize = 2;
const MOST_RUNS: u64 = 256;
const TEN_MINUTES: Duration = Duration::from_secs(600);
const LONGEST_SPREAD: Duration = Duration::from_secs(86_400);

/// The section `[daemon]`.
#[derive(Debug, Clone)]
pub(crate) struct DaemonConfig {
    /// How many accounts are pulled at a time.
    pub(crate) runs: NonZeroUsize,
    /// And from one host.
    pub(crate) runs_per_host: NonZeroUsize,
    /// For accounts that have none of their own.
    pub(crate) schedule: Option<Schedule>,
    /// In this span after its planned time a run begins.
    pub(crate) spread: Duration,
    /// Runs that make up for missed ones are spread over this.
    pub(crate) catch_up: Duration,
    /// Whether accounts that say nothing else are watched.
    pub(crate) watch: bool,
    /// For all runs together.
    pub(crate) max_bytes_per_second: Option<NonZeroU64>,
    /// What they share of the line; the clones of a configuration have the same.
    pub(crate) throttle: Throttle,
}

impl Default for DaemonConfig {
    fn default() -> Self {
        Self {
            runs: NonZeroUsize::new(RUNS).unwrap_or(NonZeroUsize::MIN),
            runs_per_host: NonZeroUsize::new(RUNS_PER_HOST).unwrap_or(NonZeroUsize::MIN),
            schedule: Schedule::parse(SCHEDULE, None).ok(),
            spread: TEN_MINUTES,
            catch_up: TEN_MINUTES,
            watch: false,
            max_bytes_per_second: None,
            throttle: Throttle::default(),
        }
    }
}

impl DaemonConfig {
    /// Reads the section; what it does not say is as usual.
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let mut read = Self::default();
        count(&mut section, "runs", &mut read.runs);
        count(&mut section, "runs_per_host", &mut read.runs_per_host);
        read.schedule = schedule(&mut section).or(read.schedule);
        read.spread = span(&mut section, "spread").unwrap_or(read.spread);
        read.catch_up = span(&mut section, "catch_up").unwrap_or(read.catch_up);
        read.watch = near::watch(&mut section, false).unwrap_or(read.watch);
        read.max_bytes_per_second = near::rate(&mut section);
        read.throttle = read.max_bytes_per_second.map(Throttle::per_second).unwrap_or_default();
        section.close();
        read
    }

    /// Takes over what goes on from the configuration before it: runs that go on and runs that begin
    /// share one line.
    pub(crate) fn go_on_from(&mut self, before: &Self) {
        if self.max_bytes_per_second == before.max_bytes_per_second {
            self.throttle = before.throttle.clone();
        }
    }
}

fn count(section: &mut Section<'_, '_>, key: &'static str, into: &mut NonZeroUsize) {
    let Some(number) = section.number(key) else { return };
    match usize::try_from(number).ok().and_then(NonZeroUsize::new) {
        Some(number) if number.get() as u64 <= MOST_RUNS => *into = number,
        _ => drop(section.wrong(key, format!("must be a number from 1 to {MOST_RUNS}"))),
    }
}

/// A span of time in which runs begin.
pub(super) fn span(section: &mut Section<'_, '_>, key: &'static str) -> Option<Duration> {
    match parse_duration(&section.text(key)?) {
        Ok(span) if span <= LONGEST_SPREAD => return Some(span),
        Ok(_) => drop(section.wrong(key, "is longer than a day")),
        Err(problem) => drop(section.wrong(key, problem)),
    }
    None
}

/// `schedule`, in `timezone`.
pub(super) fn schedule(section: &mut Section<'_, '_>) -> Option<Schedule> {
    let zone = section.text("timezone");
    let expression = section.text("schedule");
    let Some(expression) = expression else {
        // Without a schedule the zone has no use; it shall be right all the same.
        if zone.is_some() && Schedule::parse("@daily", zone.as_deref()).is_err() {
            section.wrong("timezone", InvalidSchedule::Zone);
        }
        return None;
    };
    match Schedule::parse(&expression, zone.as_deref()) {
        Ok(schedule) => Some(schedule),
        Err(error @ InvalidSchedule::Zone) => {
            section.wrong("timezone", error);
            None
        }
        Err(error) => {
            section.wrong("schedule", error);
            None
        }
    }
}

/// `window`, the hours in which something may begin, in `timezone`.
pub(super) fn window(section: &mut Section<'_, '_>) -> Option<Window> {
    let zone = section.text("timezone");
    let text = section.text("window")?;
    match Window::parse(&text, zone.as_deref()) {
        Ok(window) => Some(window),
        // Told of the zone itself already.
        Err(InvalidWindow::Zone(_)) => None,
        Err(error) => {
            section.wrong("window", error);
            None
        }
    }
}
