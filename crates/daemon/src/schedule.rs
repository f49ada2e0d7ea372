//! When a job is due: a cron expression in a time zone.
//!
//! People paste lines from their crontab, so the reading is that of crontab(5): five fields (six
//! with seconds in front), 1 is Monday, and where both day of month and day of week are given,
//! either may hold. A time that the clock jumps over in spring is due when the clock has jumped;
//! one that comes twice in autumn is due the first time only. Without a zone the host's own is
//! taken.
//!
//! Invariant: pure arithmetic on the moment that is handed in. Nothing here asks for the time.

use std::time::Duration;

use chrono::{DateTime, Local, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// Longer expressions are refused unread: the longest sensible one names every minute of an hour.
const MAX_EXPRESSION_BYTES: usize = 1024;

/// The moments at which a job is due. Two are equal when their expressions mean the same, in one zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    cron: Cron,
    zone: Zone,
}

/// Where clocks are read: the host's own zone, or one of the IANA database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Zone {
    Local,
    Named(Tz),
}

impl Zone {
    /// `None` is the host's own zone.
    pub(crate) fn parse(name: Option<&str>) -> Result<Self, InvalidSchedule> {
        match name {
            None => Ok(Self::Local),
            Some(name) => name.parse().map(Self::Named).map_err(|_| InvalidSchedule::Zone),
        }
    }

    /// What a clock on the wall shows at this moment, in seconds since its midnight. `None` beyond
    /// the end of the calendar.
    pub(crate) fn time_of_day(self, unix_seconds: i64) -> Option<u32> {
        let moment = DateTime::<Utc>::from_timestamp(unix_seconds, 0)?;
        Some(match self {
            Self::Local => moment.with_timezone(&Local).num_seconds_from_midnight(),
            Self::Named(zone) => moment.with_timezone(&zone).num_seconds_from_midnight(),
        })
    }
}

/// Why a schedule cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSchedule {
    /// The expression is not one of cron.
    #[error("not a cron expression (minute hour day-of-month month day-of-week): {reason}")]
    Expression {
        /// What cannot be read.
        reason: String,
    },
    /// The expression can be read, and no moment fulfils it, such as 30 February.
    #[error("this cron expression is never due")]
    Never,
    /// The zone is not in the IANA database.
    #[error("no time zone of this name; write it like Europe/Paris, or UTC")]
    Zone,
}

impl Schedule {
    /// Reads a cron expression of five fields, or six with seconds first, or `@hourly`, `@daily`,
    /// `@weekly`, `@monthly`, `@yearly`; `zone` is a name of the IANA database, `None` the host's
    /// own zone.
    ///
    /// # Errors
    /// When the expression or the zone cannot be read, or when the expression is never due.
    pub fn parse(expression: &str, zone: Option<&str>) -> Result<Self, InvalidSchedule> {
        let schedule = Self { cron: cron(expression)?, zone: Zone::parse(zone)? };
        let some_day = 0;
        if schedule.next_after(some_day).is_none() {
            return Err(InvalidSchedule::Never);
        }
        Ok(schedule)
    }

    /// The first moment later than `unix_seconds`, both in seconds since 1970-01-01T00:00:00Z.
    /// `None` when there is none, which only the end of the calendar can bring about.
    #[must_use]
    pub fn next_after(&self, unix_seconds: i64) -> Option<i64> {
        match self.zone {
            Zone::Local => self.next_in(&Local, unix_seconds),
            Zone::Named(zone) => self.next_in(&zone, unix_seconds),
        }
    }

    /// The longest pause between two moments that follow `unix_seconds`, as far as some weeks show it;
    /// of moments that are less than an hour apart, up to an hour less.
    #[must_use]
    pub fn longest_pause(&self, unix_seconds: i64) -> Duration {
        const HOUR: i64 = 3_600;
        const LOOKED_AT: i64 = 35 * 24 * HOUR;
        /// A schedule of once a year is looked at for some years.
        const FEWEST: usize = 3;
        let Some(mut from) = self.next_after(unix_seconds) else { return Duration::ZERO };
        let until = from.saturating_add(LOOKED_AT);
        let (mut longest, mut seen) = (0, 0);
        while from < until || seen < FEWEST {
            let Some(next) = self.next_after(from) else { break };
            longest = longest.max(next - from);
            seen += 1;
            from = next.max(from.saturating_add(HOUR));
        }
        Duration::from_secs(longest.unsigned_abs())
    }

    fn next_in<Z: TimeZone>(&self, zone: &Z, unix_seconds: i64) -> Option<i64>
    where
        DateTime<Z>: croner::CronDateTime,
    {
        let from = DateTime::<Utc>::from_timestamp(unix_seconds, 0)?.with_timezone(zone);
        Some(self.cron.find_next_occurrence(&from, false).ok()?.timestamp())
    }
}

fn cron(expression: &str) -> Result<Cron, InvalidSchedule> {
    let refuse = |reason: String| InvalidSchedule::Expression { reason };
    if expression.len() > MAX_EXPRESSION_BYTES {
        return Err(refuse(format!("longer than {MAX_EXPRESSION_BYTES} bytes")));
    }
    let expression = expression.trim();
    let fields = expression.split_whitespace().count();
    if !expression.starts_with('@') && !(5..=6).contains(&fields) {
        return Err(refuse(format!("it has {fields} fields in place of 5, or 6 with seconds")));
    }
    CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build()
        .parse(expression)
        .map_err(|error| refuse(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    const PARIS: Option<&str> = Some("Europe/Paris");

    /// The next `count` moments after `from` (RFC 3339), as people in the zone would write them.
    fn due(expression: &str, from: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(expression, PARIS).unwrap();
        let mut at = DateTime::parse_from_rfc3339(from).unwrap().timestamp();
        let zone: Tz = PARIS.unwrap().parse().unwrap();
        (0..count)
            .map(|_| {
                at = schedule.next_after(at).unwrap();
                let shown = DateTime::<Utc>::from_timestamp(at, 0).unwrap().with_timezone(&zone);
                shown.format("%a %F %T %z").to_string()
            })
            .collect()
    }

    #[test]
    fn five_fields_are_minutes_to_weekdays_and_six_begin_with_seconds() {
        assert_eq!(
            due("0 */2 * * *", "2026-11-23T07:59:59+01:00", 2),
            ["Mon 2026-11-23 08:00:00 +0100", "Mon 2026-11-23 10:00:00 +0100"]
        );
        assert_eq!(due("30 0 2 * * *", "2026-11-23T00:00:00Z", 1), ["Mon 2026-11-23 02:00:30 +0100"]);
        assert_eq!(due("@daily", "2026-11-23T12:00:00Z", 1), ["Tue 2026-11-24 00:00:00 +0100"]);
    }

    #[test]
    fn the_moment_itself_is_not_after_itself() {
        assert_eq!(due("0 8 * * *", "2026-11-23T08:00:00+01:00", 1), ["Tue 2026-11-24 08:00:00 +0100"]);
    }

    #[test]
    fn weekday_one_is_monday() {
        assert_eq!(due("0 12 * * 1", "2026-11-18T00:00:00Z", 1), ["Mon 2026-11-23 12:00:00 +0100"]);
        assert_eq!(due("0 12 * * MON", "2026-11-18T00:00:00Z", 1), ["Mon 2026-11-23 12:00:00 +0100"]);
    }

    #[test]
    fn day_of_month_and_day_of_week_are_either_or_as_in_crontab() {
        assert_eq!(
            due("0 12 13 * 5", "2026-11-30T00:00:00Z", 4),
            [
                "Fri 2026-12-04 12:00:00 +0100",
                "Fri 2026-12-11 12:00:00 +0100",
                "Sun 2026-12-13 12:00:00 +0100",
                "Fri 2026-12-18 12:00:00 +0100"
            ]
        );
    }

    #[test]
    fn a_time_that_spring_skips_is_due_once_when_the_clock_has_jumped() {
        assert_eq!(
            due("30 2 * * *", "2026-03-28T12:00:00+01:00", 2),
            ["Sun 2026-03-29 03:00:00 +0200", "Mon 2026-03-30 02:30:00 +0200"]
        );
    }

    #[test]
    fn a_time_that_autumn_repeats_is_due_once() {
        assert_eq!(
            due("30 2 * * *", "2026-10-24T12:00:00+02:00", 2),
            ["Sun 2026-10-25 02:30:00 +0200", "Mon 2026-10-26 02:30:00 +0100"]
        );
    }

    #[test]
    fn every_planned_time_of_ten_years_comes_once_and_in_order() {
        let schedule = Schedule::parse("30 2 * * *", PARIS).unwrap();
        let zone: Tz = "Europe/Paris".parse().unwrap();
        let start = zone.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
        let end = zone.with_ymd_and_hms(2036, 1, 1, 0, 0, 0).unwrap();
        let mut days = 0;
        let mut last_day = None;
        let mut at = start.timestamp();
        while let Some(next) = schedule.next_after(at).filter(|&next| next < end.timestamp()) {
            let day = zone.timestamp_opt(next, 0).unwrap().date_naive();
            assert!(next > at && last_day < Some(day), "{day}");
            (at, last_day, days) = (next, Some(day), days + 1);
        }
        assert_eq!(days, (end.date_naive() - start.date_naive()).num_days());
    }

    #[test]
    fn what_cron_cannot_mean_is_refused_with_the_reason() {
        let refused = |text: &str| Schedule::parse(text, PARIS).unwrap_err().to_string();
        for text in ["", "* * *", "* * * * * * *", "61 * * * *", "* * * * MOO", "@often", "a b c d e"] {
            assert!(refused(text).starts_with("not a cron expression"), "{text:?}: {}", refused(text));
        }
        assert!(refused(&"1,".repeat(1000)).contains("longer than 1024 bytes"));
        assert_eq!(Schedule::parse("0 0 30 2 *", PARIS).unwrap_err(), InvalidSchedule::Never);
        assert_eq!(Schedule::parse("0 0 * * *", Some("Europe/Lutetia")).unwrap_err(), InvalidSchedule::Zone);
    }

    #[test]
    fn the_longest_pause_is_that_of_weekends_nights_and_years() {
        let hours =
            |expression| Schedule::parse(expression, PARIS).unwrap().longest_pause(0).as_secs() / 3_600;
        assert_eq!(hours("0 */2 * * *"), 2);
        assert_eq!(hours("0 9 * * 1-5"), 72);
        assert_eq!(hours("0 8-18 * * *"), 14);
        assert!((13..=14).contains(&hours("*/5 8-18 * * *")));
        assert_eq!(hours("@yearly") / 24, 366, "1972 is among the first");
    }
}
