//! When to try again: after a broken connection, and after a message that failed.
//!
//! Pure arithmetic; the caller holds the clock and the dice. Pauses grow and are jittered, so that
//! many accounts of one host do not come back in step.

use std::time::Duration;

/// After this many cuts with not one message gained in between, the account's run gives up.
const MAX_FRUITLESS_CUTS: u32 = 5;
/// A server may ask us to wait; within a run we wait no longer than this.
const MAX_WAIT: Duration = Duration::from_secs(300);
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The pause before connection attempt number `cut` (1 after the first cut), or `None` when it is
/// time to give up. `asked` is what the server told us to wait; `jitter` is from 0 to 1.
#[must_use]
pub(crate) fn pause_after_cut(cut: u32, asked: Option<Duration>, jitter: f64) -> Option<Duration> {
    if cut > MAX_FRUITLESS_CUTS {
        return None;
    }
    match asked {
        Some(wait) if wait > MAX_WAIT => None,
        Some(wait) => Some(wait),
        None => {
            let full = FIRST_PAUSE * 2u32.pow(cut.min(8));
            Some(full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0))
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
        let pauses: Vec<_> = (1..=6).map(|cut| pause_after_cut(cut, None, 1.0)).collect();
        let seconds: Vec<_> = pauses.iter().flatten().map(Duration::as_secs).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16]);
        assert_eq!(pauses[5], None);
    }

    #[test]
    fn a_server_that_asks_for_patience_gets_it_within_reason() {
        let wait = |seconds| pause_after_cut(1, Some(Duration::from_secs(seconds)), 0.0);
        assert_eq!(wait(120), Some(Duration::from_secs(120)));
        assert_eq!(wait(3_600), None);
    }

    #[test]
    fn a_failing_message_is_tried_again_at_growing_intervals() {
        let due: Vec<u32> = (11..30).filter(|&now| message_is_due(3, 10, now)).take(1).collect();
        assert_eq!(due, [14]);
        assert!(message_is_due(1, 10, 11));
        assert!(message_is_due(60, 10, 74) && !message_is_due(60, 10, 73));
    }
}
