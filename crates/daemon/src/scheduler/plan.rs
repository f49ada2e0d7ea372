//! What the scheduler is told at the beginning and at each reload, and what it says.

use std::time::Duration;

use super::{Limits, Name, Window};
use crate::Schedule;

/// All that is to run by itself.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Each name once; a later one of the same name counts.
    pub accounts: Vec<AccountPlan>,
    /// How much may go on at a time.
    pub limits: Limits,
    /// Over so long a span the runs are spread that make up for missed times. With few accounts
    /// the span is shorter: three seconds for each.
    pub catch_up: Duration,
}

/// One account, as configured.
#[derive(Clone, Debug)]
pub struct AccountPlan {
    /// Its identity.
    pub name: Name,
    /// Where it logs in: what [`Limits::per_host`] counts by.
    pub host: Name,
    /// When it runs; `None`: only when asked for.
    pub schedule: Option<Schedule>,
    /// Runs begin in this span after the planned time, each account at a moment of its own. Where
    /// the next planned time comes sooner, the span ends there.
    pub spread: Duration,
    /// Outside of these hours nothing begins.
    pub window: Option<Window>,
    /// Nothing of it runs if not.
    pub enabled: bool,
    /// Another number when anything about the login is another than before: what has failed is
    /// then forgiven, and tried anew soon.
    pub login: u64,
    /// When its last run began, in milliseconds since 1970-01-01T00:00:00Z; `None`: it never ran.
    /// Read only when the account is new to the scheduler.
    pub last_start_ms: Option<i64>,
}

/// Why a run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Its time has come.
    Planned {
        /// The planned time, in seconds since 1970-01-01T00:00:00Z.
        at: i64,
    },
    /// It makes up for planned times that passed without a run.
    MadeUp {
        /// The first of them, in seconds since 1970-01-01T00:00:00Z.
        since: i64,
    },
    /// The account has a schedule, and never ran.
    First,
    /// The wall clock was set back so often that no planned time came, and enough time has passed.
    Overdue,
    /// The last run failed or was interrupted.
    Retry {
        /// How many failed in a row; 0 after an interruption.
        failures: u32,
    },
    /// Somebody asked, as a watch does when mail has come.
    Asked,
}

/// A run to begin. It counts as running from here on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Start {
    /// Whose.
    pub account: Name,
    /// What for.
    pub why: Why,
}

/// Why a planned time passes without a run of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Skip {
    /// The run before it goes on.
    StillRunning,
    /// The run before it has not begun: limits, or the window.
    StillWaiting,
    /// Credentials were refused, or the server wants quiet.
    Resting,
}

/// What people may want to know. Times are planned times, in seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// The planned times from the first to the last of these have no run. The first of several for
    /// one reason is told at once, the others together when the reason is gone.
    Skipped {
        /// Whose.
        account: Name,
        /// The first.
        from: i64,
        /// The last, or a moment after it.
        through: i64,
        /// Why.
        why: Skip,
    },
    /// The planned times from the first to the last of these were missed, and one run makes up for
    /// them: the next one.
    Missed {
        /// Whose.
        account: Name,
        /// The first.
        from: i64,
        /// The last, or a moment after it.
        through: i64,
        /// How long from now that run is due.
        wait: Duration,
    },
    /// The wall clock was set, or the machine slept.
    ClockJumped {
        /// Forward if above 0.
        by_ms: i64,
    },
}

/// What is to be done now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Orders {
    /// Runs to begin, in this order.
    pub start: Vec<Start>,
    /// What has happened since the last orders.
    pub told: Vec<Told>,
    /// When to ask again, by the steady clock, if nothing happens before: later than now, and
    /// within a minute, for the wall clock may be set meanwhile.
    pub wake: Duration,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// As it should.
    Done,
    /// It failed.
    Failed(super::Trouble),
    /// It was stopped in the middle, and nothing is wrong.
    Interrupted,
}

/// How an account stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// What it does.
    pub state: State,
    /// When its next run is expected to begin, in milliseconds since 1970-01-01T00:00:00Z. Those
    /// that wait for a place are expected now.
    pub next_ms: Option<i64>,
    /// Runs that failed in a row.
    pub failures: u32,
}

/// What an account does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing, until its time comes.
    Idle,
    /// It waits for a place or for its window.
    Waiting,
    /// The last run failed.
    Resting,
    /// A run goes on.
    Running,
    /// It is switched off, or no longer configured.
    Off,
}
