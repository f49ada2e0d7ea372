//! Amounts as people write them: `"1GiB"`, `"2400MB"`, `"7d"`.
//!
//! KB, MB and GB are powers of 1000, KiB, MiB and GiB powers of 1024; a bare number must be `0`, so
//! that nobody has to guess a unit.

use std::time::Duration;

const SIZE_UNITS: [(&str, u64); 7] = [
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("KB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
    ("B", 1),
];

const TIME_UNITS: [(&str, u64); 4] = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];

/// Reads a number of bytes; a fraction such as `"1.5GiB"` is rounded down.
///
/// # Errors
/// What is wrong with the text, for people.
pub(crate) fn parse_size(text: &str) -> Result<u64, &'static str> {
    const FORM: &str = "write \"0\", or a number with B, KB, MB, GB, KiB, MiB or GiB, like \"1GiB\"";
    amount(text, &SIZE_UNITS, FORM)
}

/// Reads a span of time.
///
/// # Errors
/// What is wrong with the text, for people.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, &'static str> {
    const FORM: &str = "write \"0\", or a number with s, m, h or d, like \"7d\"";
    amount(text, &TIME_UNITS, FORM).map(Duration::from_secs)
}

fn amount(text: &str, units: &[(&str, u64)], form: &'static str) -> Result<u64, &'static str> {
    let text = text.trim();
    if text == "0" {
        return Ok(0);
    }
    let number_and_unit =
        units.iter().find_map(|&(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), factor)));
    let (number, factor) = number_and_unit.ok_or(form)?;
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits = |part: &str| (1..=18).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
    if !digits(whole) || !digits(fraction) {
        return Err(form);
    }
    let whole: u64 = whole.parse().map_err(|_| form)?;
    let numerator: u128 = fraction.parse().map_err(|_| form)?;
    let denominator = 10u128.pow(u32::try_from(fraction.len()).map_err(|_| form)?);
    let part = u64::try_from(u128::from(factor) * numerator / denominator).map_err(|_| form)?;
    whole.checked_mul(factor).and_then(|bytes| bytes.checked_add(part)).ok_or("this is too large")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        let table = [
            ("0", 0),
            ("1B", 1),
            ("1KB", 1_000),
            ("2400MB", 2_400_000_000),
            ("3 GB", 3_000_000_000),
            ("1KiB", 1_024),
            ("1MiB", 1_048_576),
            ("1.5GiB", 1_610_612_736),
            (" 1GiB ", 1_073_741_824),
        ];
        for (text, bytes) in table {
            assert_eq!(parse_size(text), Ok(bytes), "{text:?}");
        }
    }

    #[test]
    fn a_size_without_unit_is_refused() {
        for text in ["", "1", "GB", "-1GB", "1 TB", "1e3MB", "1.GB", ".5GB", "1gb", "1,5GB", "GiB1", "٣GB"] {
            assert!(parse_size(text).is_err(), "{text:?}");
        }
        assert_eq!(parse_size("18446744073709551GB"), Err("this is too large"));
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(parse_duration("7d"), Ok(Duration::from_secs(604_800)));
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("1.5h"), Ok(Duration::from_secs(5_400)));
        assert_eq!(parse_duration("0"), Ok(Duration::ZERO));
        assert!(parse_duration("7").is_err());
        assert!(parse_duration("a week").is_err());
    }
}
