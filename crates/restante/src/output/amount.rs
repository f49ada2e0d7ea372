//! Numbers, sizes and times as people read them.

use jiff::Timestamp;

/// A size with a unit of 1024: `0 B`, `999 B`, `1.5 KiB`, `2.0 GiB`.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    let (mut amount, mut unit) = (bytes as f64 / 1024.0, 0);
    while amount >= 1024.0 && unit + 1 < UNITS.len() {
        (amount, unit) = (amount / 1024.0, unit + 1);
    }
    format!("{amount:.1} {}", UNITS[unit])
}

/// A whole number with thin groups: `11 424`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(' ');
        }
        grouped.push(digit);
    }
    grouped
}

/// How long ago, or how long until: `12 s`, `5 min`, `3 h`, `4 days`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// A moment in the host's own zone: `2026-11-23 08:00`. `-` for what no calendar has.
pub(crate) fn local_time(unix_seconds: i64) -> String {
    match Timestamp::from_second(unix_seconds) {
        Ok(at) => at.to_zoned_datetime(jiff::tz::TimeZone::system()).strftime("%Y-%m-%d %H:%M").to_string(),
        Err(_) => "-".to_owned(),
    }
}

/// A moment as RFC 3339 in UTC, to the second; `None` for what no calendar has.
pub(crate) fn rfc3339(unix_seconds: i64) -> Option<String> {
    Timestamp::from_second(unix_seconds).ok().map(|at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_short() {
        let table = [
            (0, "0 B"),
            (1023, "1023 B"),
            (1536, "1.5 KiB"),
            (1 << 31, "2.0 GiB"),
            (u64::MAX, "16384.0 PiB"),
        ];
        for (bytes, text) in table {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn numbers_are_grouped() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1 000"), (11_424_000, "11 424 000")] {
            assert_eq!(count(number), text);
        }
    }

    #[test]
    fn moments_out_of_any_calendar_are_no_panic() {
        assert_eq!(local_time(i64::MAX), "-");
        assert_eq!(rfc3339(i64::MIN), None);
        assert_eq!(rfc3339(1_795_420_800).as_deref(), Some("2026-11-23T08:00:00Z"));
    }

    #[test]
    fn spans_are_rounded_down_to_one_unit() {
        for (seconds, text) in
            [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (200_000, "2 days")]
        {
            assert_eq!(span(seconds), text);
        }
    }
}
