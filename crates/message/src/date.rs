//! INTERNALDATE: when the server received a message (RFC 9051 §2.3.3).
//!
//! Servers send `00-Jan-0000`, years beyond 9999, or nothing (RFC 9051 §9, `date-time`). The text
//! as it came is what is kept and restored; the seconds are for sorting and comparing.

use std::fmt;

/// The received date of a message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InternalDate {
    raw: String,
    unix: Option<Seconds>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Seconds {
    since_1970: i64,
    offset_minutes: i16,
}

/// A moment as calendar and clock show it in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UtcTime {
    /// Of the Gregorian calendar.
    pub year: i64,
    /// 1 to 12.
    pub month: usize,
    /// 1 to 31.
    pub day: i64,
    /// 0 is Sunday.
    pub weekday: i64,
    /// 0 to 23.
    pub hour: i64,
    /// 0 to 59.
    pub minute: i64,
    /// 0 to 59.
    pub second: i64,
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

impl InternalDate {
    /// Longer texts are cut: a date has 26 characters.
    const MAX_RAW: usize = 64;

    /// Takes what the server sent between the quotes; anything is kept, what can be read is read.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let raw = text.chars().take(Self::MAX_RAW).collect();
        Self { unix: parse_date_time(text.trim()), raw }
    }

    /// A date from its parts; the text is the form of RFC 9051 with a two-digit day.
    #[must_use]
    pub fn from_unix(since_1970: i64, offset_minutes: i16) -> Self {
        let local = since_1970 + i64::from(offset_minutes) * 60;
        let (days, second) = (local.div_euclid(86_400), local.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let sign = if offset_minutes < 0 { '-' } else { '+' };
        let offset = offset_minutes.unsigned_abs();
        let raw = format!(
            "{day:02}-{}-{year:04} {:02}:{:02}:{:02} {sign}{:02}{:02}",
            MONTHS[month - 1],
            second / 3600,
            second / 60 % 60,
            second % 60,
            offset / 60,
            offset % 60
        );
        Self { raw, unix: Some(Seconds { since_1970, offset_minutes }) }
    }

    /// The text as the server sent it.
    #[must_use]
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// Seconds since 1970-01-01T00:00:00Z, when the text could be read.
    #[must_use]
    pub fn unix(&self) -> Option<i64> {
        self.unix.map(|at| at.since_1970)
    }

    /// What calendar and clock showed in UTC, when the text could be read.
    #[must_use]
    pub fn utc(&self) -> Option<UtcTime> {
        let since_1970 = self.unix()?;
        let (days, second) = (since_1970.div_euclid(86_400), since_1970.rem_euclid(86_400));
        let (year, month, day) = civil_from_days(days);
        let weekday = (days + 4).rem_euclid(7);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        Some(UtcTime { year, month, day, weekday, hour, minute, second })
    }

    /// The zone that the server used, in minutes east of UTC, when the text could be read.
    #[must_use]
    pub fn offset_minutes(&self) -> Option<i16> {
        self.unix.map(|at| at.offset_minutes)
    }
}

impl fmt::Display for InternalDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

/// `dd-Mon-yyyy hh:mm:ss ±hhmm`, the day with or without its leading zero.
fn parse_date_time(text: &str) -> Option<Seconds> {
    let mut parts = text.split_ascii_whitespace();
    let (date, time, zone) = (parts.next()?, parts.next()?, parts.next()?);
    let mut date = date.split('-');
    let day: i64 = digits(date.next()?)?;
    let month_name = date.next()?;
    let month = MONTHS.iter().position(|name| name.eq_ignore_ascii_case(month_name))? + 1;
    let year: i64 = digits(date.next()?)?;
    let mut time = time.split(':').map(digits);
    let (hour, minute, second) = (time.next()??, time.next()??, time.next()??);
    let exact = date.next().is_none() && time.next().is_none() && parts.next().is_none();
    let sane =
        (1..=31).contains(&day) && (1..=9999).contains(&year) && hour < 24 && minute < 60 && second <= 60;
    if !exact || !sane || zone.len() != 5 {
        return None;
    }
    let east: i64 = match zone.as_bytes()[0] {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let hhmm = digits(zone.get(1..)?)?;
    let offset = east * (hhmm / 100 * 60 + hhmm % 100);
    let since_1970 =
        days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset * 60;
    Some(Seconds { since_1970, offset_minutes: i16::try_from(offset).ok()? })
}

fn digits(text: &str) -> Option<i64> {
    let plain = (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    plain.then(|| text.parse().ok()).flatten()
}

/// Days from 1970-01-01 in the proleptic Gregorian calendar. The year is taken to begin in March,
/// so that the leap day is its last.
fn days_from_civil(year: i64, month: usize, day: i64) -> i64 {
    let month = month as i64;
    let (year, month_from_march) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`]: year, month (1 to 12), day.
fn civil_from_days(days: i64) -> (i64, usize, i64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, usize::try_from(month).unwrap_or(1), day)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_date_of_the_rfc_is_read() {
        let date = InternalDate::parse("17-Jul-1996 02:44:25 -0700");
        assert_eq!(date.unix(), Some(837_596_665));
        assert_eq!(date.offset_minutes(), Some(-420));
        assert_eq!(InternalDate::parse(" 7-Jul-1996 02:44:25 +0000").unix(), Some(836_707_465));
    }

    #[test]
    fn a_date_is_told_in_utc() {
        let utc = InternalDate::parse("17-Jul-1996 20:44:25 -0700").utc();
        let expected = UtcTime { year: 1996, month: 7, day: 18, weekday: 4, hour: 3, minute: 44, second: 25 };
        assert_eq!(utc, Some(expected));
    }

    #[test]
    fn what_cannot_be_read_is_kept_all_the_same() {
        for text in [
            "00-Jan-0000 00:00:00 +0000",
            "",
            "gestern",
            "01-Foo-2020 00:00:00 +0000",
            "1-Jan-2020 00:00:00 é000",
        ] {
            let date = InternalDate::parse(text);
            assert_eq!((date.unix(), date.raw()), (None, text));
        }
    }

    proptest! {
        #[test]
        fn text_and_seconds_agree(seconds in -60_000_000_000i64..250_000_000_000, offset in -719i16..720) {
            let date = InternalDate::from_unix(seconds, offset);
            prop_assert_eq!(InternalDate::parse(date.raw()), date);
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = InternalDate::parse(&text);
        }
    }
}
