//! Limits, order and windows.

use super::*;

const MORNING: &str = "2026-11-23T08:00:30Z";

fn on(host: &str, name: &str, cron: &str) -> AccountPlan {
    AccountPlan { host: host.into(), ..account(name, cron, at(MORNING)) }
}

#[test]
fn a_full_host_does_not_hold_up_the_others() {
    let mut accounts: Vec<_> =
        (0..50).map(|number| on("big", &format!("a{number:02}"), "0 9 * * *")).collect();
    accounts.push(on("small", "z", "1 9 * * *"));
    let mut world = World::new(plan(accounts, limits(4, 2)), at(MORNING));
    world.runs_take(10 * MINUTE, Outcome::Done);
    world.pass(65 * MINUTE);
    let names: Vec<_> = world.began.iter().map(|began| began.account.as_str()).collect();
    assert_eq!(names, ["a00", "a01", "z"]);
}

#[test]
fn the_longest_waiting_goes_first() {
    let accounts = vec![on("h", "c", "0 9 * * *"), on("h", "b", "1 9 * * *"), on("i", "a", "2 9 * * *")];
    let mut world = World::new(plan(accounts, limits(1, 1)), at(MORNING));
    world.runs_take(10 * MINUTE, Outcome::Done);
    world.pass(2 * HOUR);
    let names: Vec<_> = world.began.iter().map(|began| began.account.as_str()).collect();
    assert_eq!(names, ["c", "b", "a"]);
}

#[test]
fn an_account_that_waits_for_a_place_does_not_pile_up_planned_times() {
    let accounts = vec![on("h", "a", "0 9 * * *"), on("h", "b", "1-59/10 9 * * *")];
    let mut world = World::new(plan(accounts, limits(1, 1)), at(MORNING));
    world.runs_take(55 * MINUTE, Outcome::Done);
    world.pass(3 * HOUR);
    assert_eq!(world.starts(), ["23 09:00:00", "23 09:55:00"]);
    assert!(world.skipped().iter().any(|(why, ..)| *why == Skip::StillWaiting));
}

#[test]
fn lower_limits_hold_for_what_begins_after_them() {
    let accounts: Vec<_> = (0..8).map(|number| on("h", &format!("a{number}"), "*/10 * * * *")).collect();
    let mut world = World::new(plan(accounts.clone(), limits(8, 8)), at(MORNING));
    world.runs_take(15 * MINUTE, Outcome::Done);
    world.pass(10 * MINUTE);
    assert_eq!(world.scheduler.running(), 8);
    world.reload(plan(accounts, limits(3, 2)));
    assert_eq!(world.scheduler.running(), 8);
    world.pass(20 * MINUTE);
    assert_eq!(world.scheduler.running(), 2);
}

#[test]
fn outside_of_its_window_nothing_begins_and_one_run_follows_when_it_opens() {
    let mut night = on("h", "work", "0 * * * *");
    night.window = Some(Window::parse("22:00-06:00", Some("UTC")).unwrap());
    let mut world = World::new(plan(vec![night], limits(1, 1)), at(MORNING));
    world.pass(HOUR);
    assert_eq!((world.began.len(), world.outlook("work").state), (0, State::Waiting));
    let expected = world.outlook("work").next_ms.unwrap();
    assert!(world.request("work"));
    world.pass(10 * HOUR);
    assert_eq!(world.began.len(), 0);
    world.pass(2 * DAY);
    assert_eq!(world.began[0].wall, expected);
    assert_eq!(world.began.len(), 2 * 8);
    for began in &world.began {
        let hour = began.wall.rem_euclid(DAY) / HOUR;
        assert!(!(6..22).contains(&hour), "{began:?}");
    }
    assert!(world.skipped().iter().all(|(why, ..)| *why == Skip::StillWaiting));
}

#[test]
fn a_window_that_closes_while_an_account_waits_for_a_place_is_waited_for_again() {
    let mut late = on("h", "b", "30 9 * * *");
    late.window = Some(Window::parse("09:00-10:00", Some("UTC")).unwrap());
    let mut world = World::new(plan(vec![on("h", "a", "0 9 * * *"), late], limits(1, 1)), at(MORNING));
    world.runs_take(2 * HOUR, Outcome::Done);
    world.pass(12 * HOUR);
    assert_eq!(world.starts(), ["23 09:00:00"]);
    world.runs_take(MINUTE, Outcome::Done);
    world.pass(DAY);
    // What waited; then both as planned.
    let names: Vec<_> = world.began.iter().map(|began| began.account.as_str()).collect();
    assert_eq!(names, ["a", "b", "b"]);
}

#[test]
fn of_ten_thousand_accounts_an_event_looks_at_few() {
    let accounts: Vec<_> = (0..10_000)
        .map(|number| AccountPlan {
            spread: Duration::from_secs(3_000),
            ..on(&format!("host{}", number % 200), &format!("user{number}"), "0 * * * *")
        })
        .collect();
    let mut world = World::new(plan(accounts, limits(100, 4)), at(MORNING));
    let before = world.scheduler.touches;
    world.pass(2 * HOUR + 55 * MINUTE);
    let runs = u64::try_from(world.began.len()).unwrap();
    assert_eq!(runs, 20_000);
    // One when the time comes, two to begin, one to end; guards and clocks need few.
    let touches = world.scheduler.touches - before;
    assert!(touches <= runs * 5, "{touches} for {runs} runs in {} steps", world.steps);
}
