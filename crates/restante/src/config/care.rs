//! How the daemon looks after the archive: `[care]`.

use std::time::Duration;

use daemon::Schedule;
use daemon::care::CarePlan;

use super::daemon::{schedule, window};
use super::document::Section;
use super::size::{parse_duration, parse_size};

/// At night, after most people's runs.
const SCHEDULE: &str = "30 3 * * *";
const FULL_EVERY: Duration = Duration::from_secs(30 * 86_400);
const SHORTEST: Duration = Duration::from_secs(86_400);
/// What an old disk gives beside other work, in bytes a second.
const RATE: u64 = 20_000_000;

/// The section `[care]`.
#[derive(Debug, Clone)]
pub(crate) struct CareConfig {
    /// What is done when; `None`: nothing by itself.
    pub(crate) plan: Option<CarePlan>,
    /// So many bytes of packs are read in a second at most; 0: as fast as it goes.
    pub(crate) rate: u64,
}

impl Default for CareConfig {
    fn default() -> Self {
        let plan = Schedule::parse(SCHEDULE, None).ok();
        let plan = plan.map(|at| CarePlan { at, all_within: Some(FULL_EVERY), window: None });
        Self { plan, rate: RATE }
    }
}

impl CareConfig {
    /// Reads the section; what it does not say is as usual.
    pub(super) fn read(mut section: Section<'_, '_>) -> Self {
        let mut read = Self::default();
        let off = section.flag("off");
        let at = schedule(&mut section);
        let window = window(&mut section);
        let all_within = full_every(&mut section);
        read.rate = rate(&mut section).unwrap_or(read.rate);
        read.plan = read.plan.filter(|_| !off).map(|usual| CarePlan {
            at: at.unwrap_or(usual.at),
            all_within: all_within.unwrap_or(usual.all_within),
            window,
        });
        section.close();
        read
    }
}

/// `Some(None)` where it shall never be.
fn full_every(section: &mut Section<'_, '_>) -> Option<Option<Duration>> {
    match parse_duration(&section.text("full_every")?) {
        Ok(Duration::ZERO) => return Some(None),
        Ok(span) if span >= SHORTEST => return Some(Some(span)),
        Ok(_) => drop(section.wrong("full_every", "must be a day (\"1d\") or more, or \"0\" for never")),
        Err(problem) => drop(section.wrong("full_every", problem)),
    }
    None
}

fn rate(section: &mut Section<'_, '_>) -> Option<u64> {
    match parse_size(&section.text("rate")?) {
        Ok(bytes) => Some(bytes),
        Err(problem) => {
            section.wrong("rate", problem);
            None
        }
    }
}
