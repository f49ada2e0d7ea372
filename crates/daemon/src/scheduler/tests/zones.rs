//! Ten years of clocks that are put forward and back, lived through by the scheduler.

use std::collections::BTreeMap;

use chrono::{NaiveDate, TimeZone, Utc};
use chrono_tz::Tz;

use super::*;

/// Europe; the southern half; half an hour only (Lord Howe); a change at midnight, so that days
/// begin at one (Havana); at one with a break for Ramadan (Casablanca); a zone of quarters (Chatham);
/// none.
const ZONES: [&str; 7] = [
    "Europe/Paris",
    "America/Santiago",
    "Australia/Lord_Howe",
    "America/Havana",
    "Africa/Casablanca",
    "Pacific/Chatham",
    "Asia/Kolkata",
];

/// The runs of each day, as the zone's wall shows it.
fn ten_years(zone: &str, cron: &str) -> (BTreeMap<NaiveDate, u32>, u64) {
    let tz: Tz = zone.parse().unwrap();
    let start = tz.with_ymd_and_hms(2026, 1, 1, 12, 0, 0).unwrap().timestamp_millis();
    let mut daily = account("work", cron, start);
    daily.schedule = Some(Schedule::parse(cron, Some(zone)).unwrap());
    let mut world = World::new(plan(vec![daily], limits(1, 1)), start);
    world.clock_is_right = true;
    let end = tz.with_ymd_and_hms(2036, 1, 1, 12, 0, 0).unwrap().timestamp_millis();
    world.pass(end - start);
    let mut days = BTreeMap::new();
    for began in &world.began {
        assert!(matches!(began.why, Why::Planned { at } if at * 1_000 == began.wall), "{began:?}");
        let date = Utc.timestamp_millis_opt(began.wall).unwrap().with_timezone(&tz).date_naive();
        *days.entry(date).or_default() += 1;
    }
    assert_eq!(world.told, []);
    (days, (end - start).div_euclid(DAY).unsigned_abs())
}

#[test]
fn o7_a_daily_time_in_the_missing_or_doubled_hour_runs_once_on_each_day_of_ten_years() {
    for zone in ZONES {
        for cron in ["30 2 * * *", "30 0 * * *", "0 3 * * *"] {
            let (days, expected) = ten_years(zone, cron);
            let twice: Vec<_> = days.iter().filter(|(_, runs)| **runs != 1).collect();
            assert_eq!(twice, [], "{zone} {cron}");
            assert_eq!(u64::try_from(days.len()).unwrap(), expected, "{zone} {cron}");
        }
    }
}
