//! Wall clocks that are set, sleep, or never were right.

use super::*;

const MORNING: &str = "2026-11-23T08:00:30Z";

fn hundred(cron: &str) -> World {
    let accounts = (0..100).map(|number| account(&format!("user{number}"), cron, at(MORNING)));
    World::new(plan(accounts.collect(), limits(100, 100)), at(MORNING))
}

#[test]
fn o7_a_machine_that_slept_makes_up_for_the_night_with_one_run_each_and_spread() {
    let mut world = hundred("0 * * * *");
    world.pass(MINUTE);
    world.set_clock(at("2026-11-24T07:30:00Z"));
    world.pass(1_000);
    assert!(world.began.len() < 5);
    world.pass(6 * MINUTE);
    assert_eq!(world.reasons().len(), 100);
    world.pass(HOUR);
    assert_eq!(world.reasons().len(), 100);
}

#[test]
fn o7_a_clock_that_shows_1970_or_2100_for_a_while_brings_neither_a_storm_nor_silence() {
    for wrong in
        ["1970-01-01T00:00:00Z", "1969-06-01T00:00:00Z", "2100-06-01T12:00:00Z", "9999-12-31T00:00:00Z"]
    {
        for cron in ["* * * * *", "0 * * * *", "*/15 * * * *"] {
            let mut world = hundred(cron);
            world.pass(90 * MINUTE);
            let right = world.now.unix_ms;
            world.began.clear();
            world.set_clock(at(wrong));
            world.pass(HOUR);
            world.set_clock(right + HOUR);
            world.pass(11 * MINUTE);
            let interval = if cron == "* * * * *" {
                1
            } else if cron == "0 * * * *" {
                60
            } else {
                15
            };
            let most = 100 * (71 / interval + 3);
            assert!((100..=most).contains(&world.began.len()), "{wrong} {cron}: {}", world.began.len());
            world.began.clear();
            world.pass(2 * HOUR);
            assert_eq!(world.began.len(), 100 * 120 / interval, "{wrong} {cron}");
        }
    }
}

#[test]
fn a_clock_beyond_the_calendar_does_no_harm() {
    for wrong in [i64::MAX, i64::MIN, i64::MAX / 2] {
        let mut world = hundred("0 * * * *");
        world.set_clock(wrong);
        world.step();
        world.now.steady += Duration::from_secs(600);
        world.step();
        world.set_clock(at(MORNING) + 20 * MINUTE);
        world.step();
        world.pass(3 * HOUR);
        assert!((300..=500).contains(&world.began.len()), "{wrong}: {}", world.began.len());
    }
}

#[test]
fn a_small_step_back_repeats_no_planned_time() {
    let mut world = World::with_one("0 * * * *", MORNING);
    world.pass(61 * MINUTE);
    assert_eq!(world.starts(), ["23 09:00:00"]);
    world.set_clock(at("2026-11-23T08:30:00Z"));
    world.pass(89 * MINUTE);
    assert_eq!(world.starts(), [""; 0]);
    world.pass(2 * MINUTE);
    assert_eq!(world.starts(), ["23 10:00:00"]);
}

#[test]
fn a_long_step_back_does_not_silence_a_schedule_until_the_old_time_comes_again() {
    let mut world = World::with_one("*/10 * * * *", MORNING);
    world.pass(HOUR);
    world.starts();
    world.set_clock(at("2026-11-20T08:00:30Z"));
    world.pass(HOUR);
    assert_eq!(world.starts().len(), 6);
}

#[test]
fn a_clock_that_is_set_back_again_and_again_does_not_silence_a_schedule() {
    let mut world = World::with_one("0 * * * *", MORNING);
    for _ in 0..48 {
        world.pass(50 * MINUTE);
        world.set_clock(at(MORNING));
    }
    let gaps: Vec<_> =
        world.began.windows(2).map(|pair| (pair[1].steady - pair[0].steady) / MINUTE).collect();
    assert!(gaps.len() >= 18 && gaps.iter().all(|gap| (30..=125).contains(gap)), "{gaps:?}");
}

#[test]
fn a_clock_that_flips_brings_no_storm() {
    let mut world = World::with_one("0 * * * *", MORNING);
    for _ in 0..500 {
        world.set_clock(at("2026-11-23T07:59:50Z") + 365 * DAY);
        world.pass(30_000);
        world.set_clock(at("2026-11-23T07:59:50Z"));
        world.pass(30_000);
    }
    assert!(world.began.len() < 200, "{}", world.began.len());
}

#[test]
fn a_last_run_in_the_future_says_nothing() {
    let dated_2100 = account("work", "0 * * * *", at("2100-01-01T00:00:00Z"));
    let mut world = World::new(plan(vec![dated_2100], limits(1, 1)), at(MORNING));
    world.pass(HOUR);
    assert_eq!(world.starts(), ["23 09:00:00"]);
}
