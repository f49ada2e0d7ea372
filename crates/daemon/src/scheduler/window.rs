//! The hours in which an account may begin a run, by the clock on its wall.
//!
//! A window has a beginning and an end, and may go over midnight. Where clocks are put forward, a
//! window that opens in the missing hour opens when the clock has jumped; one that lies wholly in
//! it does not open that day. A run that has begun goes on when the window closes.

use crate::schedule::{InvalidSchedule, Schedule, Zone};

/// More than any window stays away for: a zone skips one day at most (Samoa, 2011), and the next
/// opening comes after that.
const OPENINGS_TO_TRY: usize = 4;

/// Hours of the day, in a time zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Seconds since midnight.
    from: u32,
    /// Seconds since midnight; not in the window.
    until: u32,
    zone: Zone,
    opens: Schedule,
}

/// Why a window cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidWindow {
    /// The text is not two times of day.
    #[error("a window is written like 22:00-06:00")]
    Text,
    /// Both times are the same.
    #[error("a window that ends when it begins is always closed, or always open; leave it out for always")]
    Empty,
    /// The zone is not in the IANA database.
    #[error(transparent)]
    Zone(#[from] InvalidSchedule),
}

impl Window {
    /// Reads `22:00-06:00`; `zone` as for [`Schedule::parse`].
    ///
    /// # Errors
    /// When the text or the zone cannot be read, or when both times are the same.
    pub fn parse(text: &str, zone: Option<&str>) -> Result<Self, InvalidWindow> {
        let (from, until) = text.split_once('-').ok_or(InvalidWindow::Text)?;
        let (from, until) = (minute_of_day(from)?, minute_of_day(until)?);
        if from == until {
            return Err(InvalidWindow::Empty);
        }
        let opens = Schedule::parse(&format!("{} {} * * *", from % 60, from / 60), zone)?;
        Ok(Self { from: from * 60, until: until * 60, zone: Zone::parse(zone)?, opens })
    }

    /// Whether a run may begin at this moment, in seconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn is_open(&self, unix_seconds: i64) -> bool {
        self.zone.time_of_day(unix_seconds).is_none_or(|now| {
            if self.from < self.until {
                (self.from..self.until).contains(&now)
            } else {
                now >= self.from || now < self.until
            }
        })
    }

    /// The next moment after this one at which it opens, both in seconds since
    /// 1970-01-01T00:00:00Z. `None` near the end of the calendar.
    #[must_use]
    pub fn opens_after(&self, unix_seconds: i64) -> Option<i64> {
        let mut at = unix_seconds;
        for _ in 0..OPENINGS_TO_TRY {
            at = self.opens.next_after(at)?;
            if self.is_open(at) {
                return Some(at);
            }
        }
        None
    }

    /// How long it stays open on a day without a change of clocks, in seconds.
    pub(super) fn seconds(&self) -> u32 {
        const DAY: u32 = 86_400;
        (self.until + DAY - self.from) % DAY
    }
}

fn minute_of_day(text: &str) -> Result<u32, InvalidWindow> {
    let number = |digits: &str, below: u32| -> Result<u32, InvalidWindow> {
        let short = (1..=2).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit());
        digits.parse().ok().filter(|&number| short && number < below).ok_or(InvalidWindow::Text)
    };
    let (hour, minute) = text.trim().split_once(':').ok_or(InvalidWindow::Text)?;
    if minute.len() != 2 {
        return Err(InvalidWindow::Text);
    }
    Ok(number(hour, 24)? * 60 + number(minute, 60)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use chrono::DateTime;

    use super::*;

    fn at(text: &str) -> i64 {
        DateTime::parse_from_rfc3339(text).unwrap().timestamp()
    }

    fn window(text: &str) -> Window {
        Window::parse(text, Some("Europe/Paris")).unwrap()
    }

    #[test]
    fn a_window_may_go_over_midnight() {
        let night = window("22:00-06:00");
        for (moment, open) in [
            ("2026-11-23T21:59:59+01:00", false),
            ("2026-11-23T22:00:00+01:00", true),
            ("2026-11-24T00:00:00+01:00", true),
            ("2026-11-24T05:59:59+01:00", true),
            ("2026-11-24T06:00:00+01:00", false),
        ] {
            assert_eq!(night.is_open(at(moment)), open, "{moment}");
        }
        assert_eq!(night.opens_after(at("2026-11-24T06:00:00+01:00")), Some(at("2026-11-24T22:00:00+01:00")));
        assert_eq!(night.seconds(), 8 * 3_600);
    }

    #[test]
    fn o7_a_window_in_the_missing_hour_opens_when_the_clock_has_jumped_or_on_the_next_day() {
        let before = at("2026-03-29T01:00:00+01:00");
        assert_eq!(window("02:30-05:00").opens_after(before), Some(at("2026-03-29T03:00:00+02:00")));
        assert_eq!(window("02:10-02:40").opens_after(before), Some(at("2026-03-30T02:10:00+02:00")));
    }

    #[test]
    fn a_window_that_nobody_can_mean_is_refused() {
        let refused = |text, zone| Window::parse(text, zone).unwrap_err();
        for text in
            ["", "-", "22-06", "24:00-06:00", "22:60-06:00", "22:0-06:00", "22:00", "+1:00-02:00", "a:b-c:d"]
        {
            assert_eq!(refused(text, None), InvalidWindow::Text, "{text:?}");
        }
        assert_eq!(refused("06:00-06:00", None), InvalidWindow::Empty);
        assert_eq!(refused("22:00-06:00", Some("Mars/Base")), InvalidWindow::Zone(InvalidSchedule::Zone));
    }
}
