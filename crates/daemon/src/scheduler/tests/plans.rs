//! Planned times, missed times, requests and reloads.

use super::*;

const MORNING: &str = "2026-11-23T08:00:30Z";

#[test]
fn each_planned_time_has_one_run() {
    let mut world = World::with_one("*/10 * * * *", MORNING);
    world.pass(30 * MINUTE);
    assert_eq!(world.starts(), ["23 08:10:00", "23 08:20:00", "23 08:30:00"]);
    assert_eq!(world.told, []);
    assert_eq!(world.outlook("work").next_ms, Some(at("2026-11-23T08:40:00Z")));
}

#[test]
fn o7_a_planned_time_that_comes_while_a_run_goes_on_is_skipped_and_said_once() {
    let mut world = World::with_one("*/10 * * * *", MORNING);
    world.runs_take(35 * MINUTE, Outcome::Done);
    world.pass(11 * MINUTE);
    world.runs_take(10_000, Outcome::Done);
    world.pass(30 * MINUTE);
    // The first at once, the rest when the run is over.
    assert_eq!(world.starts(), ["23 08:10:00"]);
    let skipped = |minute| at(&format!("2026-11-23T08:{minute}:00Z"));
    assert_eq!(world.skipped(), [(Skip::StillRunning, skipped(20), skipped(20))]);
    world.pass(10 * MINUTE);
    assert_eq!(world.skipped(), [(Skip::StillRunning, skipped(30), skipped(40))]);
    assert_eq!(world.starts(), ["23 08:50:00"]);
}

#[test]
fn accounts_of_one_schedule_are_spread_each_to_its_own_moment() {
    let accounts = (0..20).map(|number| AccountPlan {
        spread: Duration::from_secs(600),
        ..account(&format!("user{number}"), "0 * * * *", at(MORNING))
    });
    let mut world = World::new(plan(accounts.collect(), limits(20, 20)), at(MORNING));
    world.pass(90 * MINUTE);
    let mut starts = world.starts();
    assert_eq!(starts.len(), 20);
    assert!(starts.iter().all(|start| start.starts_with("23 09:0")), "{starts:?}");
    starts.dedup();
    assert!(starts.len() > 15, "{starts:?}");
}

#[test]
fn a_spread_longer_than_the_interval_ends_with_it() {
    let spread =
        AccountPlan { spread: Duration::from_secs(86_400), ..account("work", "*/5 * * * *", at(MORNING)) };
    let mut world = World::new(plan(vec![spread], limits(1, 1)), at(MORNING));
    world.pass(HOUR);
    // The last may be still to come.
    assert!((11..=12).contains(&world.began.len()), "{:?}", world.began);
    assert_eq!(world.told, []);
}

#[test]
fn o7_times_missed_while_the_process_was_down_are_made_up_for_by_one_run() {
    let three_days_ago = at(MORNING) - 3 * DAY;
    let accounts = (0..100).map(|number| account(&format!("user{number}"), "5 9 * * *", three_days_ago));
    let mut world = World::new(plan(accounts.collect(), limits(100, 100)), at(MORNING));
    assert!(world.began.len() < 5, "the rest is spread");
    world.pass(6 * MINUTE);
    let made_up = Why::MadeUp { since: at("2026-11-20T09:05:00Z") / 1_000 };
    let reasons = world.reasons();
    assert_eq!(reasons, vec![made_up; 100]);
    let last_through = at(MORNING) / 1_000;
    let missed = world
        .told
        .iter()
        .filter(|told| matches!(told, Told::Missed { through, .. } if *through == last_through));
    assert_eq!(missed.count(), 100);
    world.pass(DAY);
    assert_eq!(world.reasons().len(), 100);
}

#[test]
fn a_planned_time_that_comes_before_the_make_up_run_makes_up_for_all() {
    let accounts = (0..200).map(|number| account(&format!("user{number}"), "* * * * *", at(MORNING) - HOUR));
    let mut world = World::new(plan(accounts.collect(), limits(200, 200)), at(MORNING));
    world.pass(30_000);
    let early = world.reasons().into_iter().filter(|why| matches!(why, Why::MadeUp { .. })).count();
    world.pass(15 * MINUTE);
    let made_up = world.reasons().into_iter().filter(|why| matches!(why, Why::MadeUp { .. })).count();
    assert!(early < 200 && made_up == 0, "{early} {made_up}");
}

#[test]
fn an_account_that_never_ran_has_its_first_run_soon() {
    let new = AccountPlan { last_start_ms: None, ..account("work", "0 3 * * *", 0) };
    let mut world = World::new(plan(vec![new], limits(1, 1)), at(MORNING));
    world.pass(MINUTE);
    assert_eq!(world.reasons(), [Why::First]);
    world.pass(DAY);
    assert_eq!(world.starts(), ["24 03:00:00"]);
}

#[test]
fn who_asks_gets_a_run_at_once_and_one_more_after_the_one_that_goes_on() {
    let watched = AccountPlan { schedule: None, ..account("work", "* * * * *", 0) };
    let mut world = World::new(plan(vec![watched], limits(1, 1)), at(MORNING));
    assert!(world.request("work") && world.request("work") && world.request("work"));
    assert!(!world.request("nobody"));
    world.pass(HOUR);
    assert_eq!(world.starts(), ["23 08:00:30", "23 08:00:40"]);
    assert_eq!(world.outlook("work"), Outlook { state: State::Idle, next_ms: None, failures: 0 });
}

#[test]
fn a_reload_neither_loses_nor_doubles_a_planned_time() {
    let spread =
        AccountPlan { spread: Duration::from_secs(300), ..account("work", "0 * * * *", at(MORNING)) };
    let mut world = World::new(plan(vec![spread.clone()], limits(1, 1)), at(MORNING));
    for _ in 0..(5 * 60) {
        world.pass(MINUTE);
        world.reload(plan(vec![spread.clone()], limits(1, 1)));
    }
    world.pass(5 * MINUTE);
    let planned = world.reasons();
    assert_eq!(planned.len(), 5, "{planned:?}");
    assert!(planned.windows(2).all(|pair| pair[0] != pair[1]));
}

#[test]
fn another_schedule_is_planned_from_now_on() {
    let mut world = World::with_one("0 3 * * *", MORNING);
    world.pass(HOUR);
    world.reload(plan(vec![account("work", "30 * * * *", 0)], limits(1, 1)));
    world.pass(HOUR);
    assert_eq!(world.starts(), ["23 09:30:00"]);
    assert_eq!(world.told, []);
}

#[test]
fn an_account_that_is_removed_or_switched_off_in_mid_run_ends_that_run_and_begins_no_other() {
    let both = || vec![account("home", "* * * * *", at(MORNING)), account("work", "* * * * *", at(MORNING))];
    let mut world = World::new(plan(both(), limits(2, 2)), at(MORNING));
    world.runs_take(5 * MINUTE, Outcome::Done);
    world.pass(MINUTE);
    let off = AccountPlan { enabled: false, ..account("home", "* * * * *", 0) };
    world.reload(plan(vec![off], limits(2, 2)));
    assert_eq!((world.scheduler.running(), world.outlook("home").state), (2, State::Running));
    world.pass(HOUR);
    assert_eq!(world.began.len(), 2);
    assert_eq!(world.outlook("home").state, State::Off);
    assert!(world.scheduler.outlook("work", world.now).is_none());
    // And back again, while it runs.
    world.reload(plan(both(), limits(2, 2)));
    world.pass(90_000);
    world.reload(plan(Vec::new(), limits(2, 2)));
    world.reload(plan(both(), limits(2, 2)));
    world.pass(HOUR);
    assert!(world.began.len() > 20);
}

#[test]
fn after_a_stop_nothing_begins() {
    let mut world = World::with_one("* * * * *", MORNING);
    world.pass(3 * MINUTE);
    world.starts();
    world.scheduler.stop();
    world.request("work");
    world.pass(HOUR);
    assert_eq!(world.starts(), [""; 0]);
}
