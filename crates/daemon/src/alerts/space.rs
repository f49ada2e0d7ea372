//! When the archive's disk will be full (O8).
//!
//! Nearly full is less free room than twice the reserve; soon full is a disk that reaches the reserve
//! within a week, if it goes on as in the last days. What is over must be so by a margin, so that it
//! is not told with every message that comes and goes.

use serde::{Deserialize, Serialize};

use super::desk::DAY_MS;

/// A sample is kept each six hours, for eight days.
const SAMPLE_PAUSE_MS: i64 = DAY_MS / 4;
const MOST_SAMPLES: usize = 32;
/// Growth is told from so many days on: a first backup fills a disk fast, and then not at all.
const SHORTEST_PAST_MS: i64 = DAY_MS;
/// Full within this is trouble...
const SOON_MS: i64 = 7 * DAY_MS;
/// ...and over when it is not full within this.
const LATER_MS: i64 = 10 * DAY_MS;

/// What the free room was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Space {
    samples: Vec<Sample>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sample {
    at_ms: i64,
    free: u64,
}

/// How the disk stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// There is enough.
    Enough,
    /// There is little, or will be.
    Scarce,
    /// Neither: what was told stays as it is.
    Between,
}

impl Space {
    /// So many bytes are free, and `reserve` shall stay so.
    pub(super) fn measured(&mut self, now_ms: i64, free: u64, reserve: u64) -> Room {
        self.samples.retain(|sample| sample.at_ms <= now_ms);
        let is_due =
            self.samples.last().is_none_or(|last| now_ms.saturating_sub(last.at_ms) >= SAMPLE_PAUSE_MS);
        if is_due {
            self.samples.push(Sample { at_ms: now_ms, free });
            let over = self.samples.len().saturating_sub(MOST_SAMPLES);
            self.samples.drain(..over);
        }
        let full_in = self.full_in_ms(now_ms, free, reserve);
        if free < reserve.saturating_mul(2) || full_in.is_some_and(|span| span < SOON_MS) {
            Room::Scarce
        } else if free >= reserve.saturating_mul(5) / 2 && full_in.is_none_or(|span| span > LATER_MS) {
            Room::Enough
        } else {
            Room::Between
        }
    }

    /// When the reserve is reached, from now, if it goes on as it has; `None`: not to be seen.
    fn full_in_ms(&self, now_ms: i64, free: u64, reserve: u64) -> Option<i64> {
        let first = self.samples.first()?;
        let past = now_ms.saturating_sub(first.at_ms);
        let used = first.free.checked_sub(free).filter(|used| *used > 0)?;
        if past < SHORTEST_PAST_MS {
            return None;
        }
        let left = u128::from(free.saturating_sub(reserve));
        let span = left * u128::from(past.unsigned_abs()) / u128::from(used);
        Some(i64::try_from(span).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: u64 = 1 << 30;

    /// What is said on each of these days' free GiB, measured each hour.
    fn days(free: &[u64], reserve: u64) -> Vec<Room> {
        let mut space = Space::default();
        let mut now = 0;
        let mut said = Vec::new();
        for (day, gib) in free.iter().enumerate() {
            let next = free.get(day + 1).unwrap_or(gib);
            let mut last = Room::Enough;
            for hour in 0..24 {
                let free = gib * GIB - (gib.saturating_sub(*next) * GIB / 24) * hour;
                last = space.measured(now, free, reserve * GIB);
                now += DAY_MS / 24;
            }
            said.push(last);
        }
        said
    }

    #[test]
    fn o08_little_room_is_told_and_over_only_by_a_margin() {
        let mut space = Space::default();
        for (tenths, expected) in [
            (50, Room::Enough),
            (20, Room::Between),
            (19, Room::Scarce),
            (24, Room::Between),
            (25, Room::Enough),
        ] {
            assert_eq!(space.measured(0, tenths * GIB / 10, GIB), expected, "{tenths}");
        }
    }

    #[test]
    fn o08_a_disk_that_will_be_full_within_a_week_is_told_before() {
        let said = days(&[100, 90, 80, 70, 60, 50], 1);
        assert_eq!(said[0], Room::Enough, "one day is no past");
        assert_eq!(said[4], Room::Scarce);
    }

    #[test]
    fn o08_a_first_backup_that_has_come_to_its_end_is_no_forecast() {
        let said = days(&[100, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40, 40], 1);
        assert_eq!(said.last(), Some(&Room::Enough), "{said:?}");
    }

    #[test]
    fn a_reserve_of_nothing_and_a_clock_that_goes_back_do_no_harm() {
        let mut space = Space::default();
        assert_eq!(space.measured(DAY_MS * 9, 10, 0), Room::Enough);
        assert_eq!(space.measured(0, 9, 0), Room::Enough);
        assert_eq!(space.measured(i64::MIN, 5, u64::MAX), Room::Scarce);
        assert_eq!(space.measured(i64::MAX, 0, 0), Room::Scarce);
    }
}
