//! The two clocks: the one on the wall, by which people plan, and the steady one, which only counts on.
//!
//! Planned times are of the wall clock; pauses are of the steady one, so that no correction of the
//! hour stretches them. Where the two move apart, the wall clock has jumped: it was set, or the
//! machine slept while the steady clock stood still. A jump forward looks the same as a sleep and
//! is treated as one.

use std::time::Duration;

/// The clocks drift apart and are slewed back all the time; more than this is a jump.
const JUMP_MS: u64 = 30_000;

/// A moment, as both clocks show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// The wall clock: milliseconds since 1970-01-01T00:00:00Z.
    pub unix_ms: i64,
    /// The steady clock: since whenever it began to count.
    pub steady: Duration,
}

impl Now {
    /// The wall clock in whole seconds.
    pub(super) fn unix_seconds(self) -> i64 {
        self.unix_ms.div_euclid(1_000)
    }

    /// What the wall clock will show when the steady one comes to `moment`, if nobody sets it.
    pub(super) fn wall_at(self, moment: Duration) -> i64 {
        self.unix_ms.saturating_add(milliseconds(moment.saturating_sub(self.steady)))
    }

    /// When the steady clock will be, once the wall clock shows `unix_ms`, if nobody sets it.
    pub(super) fn steady_at(self, unix_ms: i64) -> Duration {
        let left = unix_ms.saturating_sub(self.unix_ms);
        self.steady.saturating_add(Duration::from_millis(left.max(0).unsigned_abs()))
    }
}

/// Notices when the wall clock jumps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Wall less steady, in milliseconds, as of the beginning or the last jump.
    apart: i64,
    jumped: Option<Duration>,
}

impl Clock {
    pub(super) fn new(now: Now) -> Self {
        Self { apart: apart(now), jumped: None }
    }

    /// By how many milliseconds the wall clock has jumped since it was last looked at.
    pub(super) fn observe(&mut self, now: Now) -> Option<i64> {
        let by = apart(now).saturating_sub(self.apart);
        if by.unsigned_abs() < JUMP_MS {
            return None;
        }
        *self = Self { apart: apart(now), jumped: Some(now.steady) };
        Some(by)
    }

    /// Whether it has jumped at `moment` or later.
    pub(super) fn jumped_since(&self, moment: Duration) -> bool {
        self.jumped.is_some_and(|jumped| jumped >= moment)
    }
}

fn apart(now: Now) -> i64 {
    now.unix_ms.saturating_sub(milliseconds(now.steady))
}

fn milliseconds(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
