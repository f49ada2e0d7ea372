//! A moment in an account's history, as `--as-of` names it.

use archive::{AccountInfo, RunId, View, When};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::exit::{Exit, Failure};

/// What of a mailbox is wanted: now or as of a moment, with or without what had vanished.
///
/// # Errors
/// When the time cannot be read, or no run of the account had ended by then.
pub(super) fn when(
    view: &View<'_>,
    account: &AccountInfo,
    as_of: Option<&str>,
    deleted: bool,
) -> Result<When, Failure> {
    let as_of = match as_of {
        None => None,
        Some(text) => Some(run_as_of(view, account, text)?),
    };
    Ok(When { as_of, deleted })
}

fn run_as_of(view: &View<'_>, account: &AccountInfo, text: &str) -> Result<RunId, Failure> {
    // Where a clock went wrong, a time does not tell runs apart; their numbers do.
    if let Some(number) = text.strip_prefix("run:").and_then(|number| number.parse::<u32>().ok()) {
        let run = view.runs(account.id, usize::MAX)?.into_iter().find(|run| run.id.get() == number);
        return run.map(|run| run.id).ok_or_else(|| {
            let message = format!("account \"{}\" has had no run number {number}", account.name);
            Failure::words(Exit::Failed, message)
        });
    }
    let moment = parse(text, &TimeZone::system()).ok_or_else(|| {
        Failure::words(Exit::Usage, format!("{text:?} is not a time"))
            .help("write it like 2026-11-23 or 2026-11-23T08:00:00Z")
    })?;
    view.run_as_of(account.id, moment)?.ok_or_else(|| {
        Failure::words(Exit::Failed, format!("no run of account \"{}\" had ended by {text}", account.name))
    })
}

/// Milliseconds since 1970. A day alone means its end in the zone of the host: what was there on it.
fn parse(text: &str, zone: &TimeZone) -> Option<i64> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(moment.as_millisecond());
    }
    let day: Date = text.parse().ok().filter(|_| text.len() == "2026-11-23".len())?;
    let next = day.checked_add(1.day()).ok()?.to_datetime(jiff::civil::Time::midnight());
    let next = zone.to_timestamp(next).ok()?;
    next.as_millisecond().checked_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_means_its_end_and_a_time_means_itself() {
        let at = |text: &str| parse(text, &TimeZone::UTC);
        assert_eq!(at("2026-11-23T08:00:00Z"), Some(1_795_420_800_000));
        assert_eq!(at("2026-11-23T09:00:00+01:00"), Some(1_795_420_800_000));
        assert_eq!(at("2026-11-23"), Some(1_795_478_399_999));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in ["", "yesterday", "2026-13-01", "2026-02-30", "23.11.2026", "2026-11-23T08:00:00"] {
            assert_eq!(parse(text, &TimeZone::UTC), None, "{text}");
        }
    }
}
