//! When to try again: after a broken connection, and after a message that failed.
//!
//! Pure arithmetic; the caller holds the clock and the dice. Pauses grow and are jittered, so that
//! many accounts of one host do not come back in step.

use std::time::Duration;

/// What is borne from a server. `Patience::default()` is right for all servers that we know of.
#[derive(Clone, Debug)]
pub struct Patience {
    /// After this many cuts in a row with not one message gained, the account's run gives up.
    pub cuts: u32,
    /// The pause after the first cut; each next is twice as long.
    pub first_pause: Duration,
    /// A server may ask us to wait; when it asks for more than this, the run ends and a later one
    /// goes on.
    pub longest_wait: Duration,
    /// Cuts during one message after which it is fetched by itself.
    pub cuts_before_alone: u32,
    /// Cuts during one message after which it is fetched in slices.
    pub cuts_before_slices: u32,
    /// Cuts during one message after which it is left out of the run.
    pub cuts_before_skipped: u32,
    /// The run ends after so much time; a later one goes on.
    pub run: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            cuts: 5,
            first_pause: Duration::from_secs(1),
            longest_wait: Duration::from_secs(300),
            cuts_before_alone: 1,
            cuts_before_slices: 2,
            cuts_before_skipped: 3,
            run: Duration::from_secs(3 * 86_400),
        }
    }
}

/// Why a connection is to be made anew.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cause {
    /// It broke.
    Broken,
    /// The server wants us to slow down, and perhaps said how long to wait.
    Throttled(Option<Duration>),
}

/// A server that wants us to slow down without saying for how long gets so many times the usual pause.
const THROTTLED_FACTOR: u32 = 8;

impl Patience {
    /// The pause before connection attempt number `cut` (1 after the first cut), or `None` when it
    /// is time to give up. `jitter` is from 0 to 1.
    #[must_use]
    pub(crate) fn pause(&self, cut: u32, cause: Cause, jitter: f64) -> Option<Duration> {
        if cut > self.cuts {
            return None;
        }
        let full = self.first_pause.saturating_mul(2u32.pow(cut.saturating_sub(1).min(8)));
        let jittered = |pause: Duration| pause.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        match cause {
            Cause::Throttled(Some(wait)) if wait > self.longest_wait => None,
            Cause::Throttled(Some(wait)) => Some(wait),
            Cause::Throttled(None) => Some(jittered(full.saturating_mul(THROTTLED_FACTOR))),
            Cause::Broken => Some(jittered(full)),
        }
    }
}

/// Whether a message that has failed in `attempts` runs, last in run `last_run`, is due again in
/// run `now`: the intervals double, up to 64 runs.
#[must_use]
pub(crate) fn message_is_due(attempts: u32, last_run: u32, now: u32) -> bool {
    let interval = 1u32 << attempts.saturating_sub(1).min(6);
    now.saturating_sub(last_run) >= interval
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_patience_ends() {
        let patience = Patience::default();
        let seconds = |cause| {
            let pauses = (1..=6).map(|cut| patience.pause(cut, cause, 1.0));
            pauses.map(|pause| pause.map(|pause| pause.as_secs())).collect::<Vec<_>>()
        };
        assert_eq!(seconds(Cause::Broken), [Some(1), Some(2), Some(4), Some(8), Some(16), None]);
        assert_eq!(seconds(Cause::Throttled(None)), [Some(8), Some(16), Some(32), Some(64), Some(128), None]);
        let jittered = patience.pause(3, Cause::Broken, 0.0);
        assert_eq!(jittered, Some(Duration::from_secs(2)), "many accounts do not come back in step");
    }

    #[test]
    fn i21_a_server_that_asks_for_patience_gets_it_within_reason() {
        let patience = Patience::default();
        let wait = |millis| patience.pause(1, Cause::Throttled(Some(Duration::from_millis(millis))), 0.0);
        assert_eq!(wait(299_609), Some(Duration::from_millis(299_609)), "what Gmail asks for");
        assert_eq!(wait(3_600_000), None);
    }

    #[test]
    fn a_failing_message_is_tried_again_at_growing_intervals() {
        let due: Vec<u32> = (11..30).filter(|&now| message_is_due(3, 10, now)).take(1).collect();
        assert_eq!(due, [14]);
        assert!(message_is_due(1, 10, 11));
        assert!(message_is_due(60, 10, 74) && !message_is_due(60, 10, 73));
    }
}
