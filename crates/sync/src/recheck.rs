//! When a mailbox is looked at in full, although its numbers say that nothing has changed.
//!
//! Marks, counts and modification sequences save nearly all the work of a run, and each of them has
//! been seen to lie: flags that change without a trace, other mail under a UID, searches that lag. So
//! every few days each mailbox is opened whatever STATUS says, its UIDs are listed by FETCH, all its
//! flags are compared, and a sample of what is held is compared with the server.
//!
//! Time is cut into periods, each mailbox's at another moment, so that not all of them fall due in
//! one run. A mailbox is due when the run before fell into another period, or did not complete it.
//! Nothing needs to be kept for that but the time of that run.

use std::time::Duration;

use message::{BlobName, MailboxName, UidSet};

/// A sample is one in so many of the messages held,
const SAMPLE_SHARE: u64 = 100;
/// but at least so many,
const SAMPLE_MIN: u64 = 200;
/// and at most so many: what one mailbox may cost at a time.
const SAMPLE_MAX: u64 = 20_000;

/// Whether the mailbox of this name is due at `now_ms`, when the run before began at `before_ms`
/// (none: there is nothing yet that could be checked). `every`: the length of a period; 0 for never.
pub(crate) fn is_due(mailbox: &MailboxName, before_ms: Option<i64>, now_ms: i64, every: Duration) -> bool {
    let period = i64::try_from(every.as_millis()).unwrap_or(i64::MAX);
    let (Some(before), true) = (before_ms, period > 0) else { return false };
    let offset = spread(mailbox) % period;
    let number_of = |ms: i64| ms.saturating_add(offset).div_euclid(period);
    number_of(before) != number_of(now_ms)
}

/// A number of the name's own, from 0 up.
fn spread(mailbox: &MailboxName) -> i64 {
    let name = BlobName::of(&mailbox.identity());
    let [a, b, c, d, ..] = *name.as_bytes();
    i64::from(u32::from_le_bytes([a, b, c, d])) * 1_000
}

/// Which of the held messages are compared: evenly spread, others in each run.
pub(crate) fn sample(held: &UidSet, run: u32) -> UidSet {
    let wanted = (held.len() / SAMPLE_SHARE).clamp(SAMPLE_MIN, SAMPLE_MAX);
    let step = usize::try_from(held.len().div_ceil(wanted)).unwrap_or(usize::MAX).max(1);
    held.iter().skip(run as usize % step).step_by(step).collect()
}

#[cfg(test)]
mod tests {
    use message::Uid;

    use super::*;

    const DAY: i64 = 86_400_000;
    const WEEK: Duration = Duration::from_secs(7 * 86_400);

    fn mailbox(number: u32) -> MailboxName {
        MailboxName::from_text(&format!("folder {number}"), Some(b'/'))
    }

    #[test]
    fn each_mailbox_is_due_once_in_a_period_and_not_all_at_the_same_time() {
        let start = 20_000 * DAY;
        let due_days = |number| {
            let is_due = |day: &i64| {
                let now = start + day * DAY;
                is_due(&mailbox(number), Some(now - DAY), now, WEEK)
            };
            (0..28).filter(is_due).collect::<Vec<_>>()
        };
        for number in 0..50 {
            assert_eq!(due_days(number).len(), 4, "once a week");
        }
        let first_days: std::collections::HashSet<i64> = (0..50).map(|number| due_days(number)[0]).collect();
        assert_eq!(first_days.len(), 7, "spread over the week");
    }

    #[test]
    fn a_mailbox_that_was_not_looked_at_for_long_is_due_and_a_new_one_is_not() {
        let inbox = mailbox(7);
        assert!(is_due(&inbox, Some(0), 30 * DAY, WEEK));
        assert!(is_due(&inbox, Some(30 * DAY), 0, WEEK), "a clock that went back");
        assert!(!is_due(&inbox, None, 30 * DAY, WEEK));
        assert!(!is_due(&inbox, Some(0), 30 * DAY, Duration::ZERO), "switched off");
    }

    #[test]
    fn in_the_course_of_time_every_message_is_compared() {
        let held: UidSet = (1..=1_000).filter_map(Uid::new).collect();
        let mut seen = UidSet::new();
        for run in 0..5 {
            let sample = sample(&held, run);
            assert_eq!(sample.len(), 200);
            seen.extend_from(&sample);
        }
        assert_eq!(seen, held);
        let few: UidSet = (1..=150).filter_map(Uid::new).collect();
        assert_eq!(sample(&few, 77), few);
    }
}
