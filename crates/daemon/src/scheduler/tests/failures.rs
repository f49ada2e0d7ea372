//! What comes after a failure.

use super::*;

const MIDNIGHT: &str = "2026-11-23T00:00:30Z";

fn gaps_in_minutes(world: &mut World) -> Vec<i64> {
    let began = std::mem::take(&mut world.began);
    began.windows(2).map(|pair| (pair[1].steady - pair[0].steady) / MINUTE).collect()
}

#[test]
fn retries_come_at_growing_pauses_until_the_next_planned_time_and_end_with_success() {
    let mut world = World::with_one("0 1 * * *", MIDNIGHT);
    world.runs_take(1_000, Outcome::Failed(Trouble::Network));
    world.pass(DAY);
    let gaps = gaps_in_minutes(&mut world);
    assert!((8..12).contains(&gaps.len()), "{gaps:?}");
    assert!(gaps.windows(2).all(|pair| pair[0] <= pair[1]) && gaps[0] <= 1, "{gaps:?}");
    assert_eq!(world.outlook("work").state, State::Resting);
    world.runs_take(1_000, Outcome::Done);
    world.pass(DAY);
    assert_eq!(world.outlook("work").failures, 0);
    world.starts();
    world.pass(2 * DAY);
    assert_eq!(
        world.starts(),
        ["26 01:00:00", "25 01:00:00"].map(str::to_owned).into_iter().rev().collect::<Vec<_>>()
    );
}

#[test]
fn a_planned_time_does_not_wait_for_a_retry_that_comes_later() {
    let mut world = World::with_one("*/10 * * * *", MIDNIGHT);
    world.runs_take(1_000, Outcome::Failed(Trouble::Other));
    world.pass(6 * HOUR);
    let planned = world.began.iter().filter(|began| matches!(began.why, Why::Planned { .. })).count();
    let retries = world.began.len() - planned;
    assert_eq!(planned, 36);
    assert!(retries < 6, "{retries}: pauses go on growing over planned times");
}

#[test]
fn o2_wrong_credentials_hold_planned_times_back_and_every_one_is_said() {
    let mut world = World::with_one("* * * * *", MIDNIGHT);
    world.runs_take(1_000, Outcome::Failed(Trouble::Credentials));
    world.pass(3 * DAY);
    let gaps = gaps_in_minutes(&mut world);
    assert_eq!(gaps.len(), 5, "{gaps:?}");
    for (gap, least) in gaps.iter().zip([15, 60, 360, 1_440, 1_440]) {
        assert!((least..=least * 11 / 10).contains(gap), "{gaps:?}");
    }
    let skipped = world.skipped();
    assert!(skipped.iter().all(|(why, ..)| *why == Skip::Resting));
    // One at the beginning of each rest, and one for the others of it at its end.
    assert!(skipped.len() <= 12, "{skipped:?}");
}

#[test]
fn a_login_that_was_mended_is_tried_at_once_after_the_reload() {
    let mut world = World::with_one("0 * * * *", MIDNIGHT);
    world.runs_take(1_000, Outcome::Failed(Trouble::Credentials));
    world.pass(5 * HOUR);
    world.starts();
    world.runs_take(1_000, Outcome::Done);
    world.reload(plan(vec![account("work", "0 * * * *", 0)], limits(1, 1)));
    world.pass(2 * MINUTE);
    assert_eq!(world.starts(), [""; 0], "nothing was mended");
    world.reload(plan(vec![AccountPlan { login: 1, ..account("work", "0 * * * *", 0) }], limits(1, 1)));
    world.pass(2 * MINUTE);
    assert_eq!(world.reasons(), [Why::Retry { failures: 0 }]);
}

#[test]
fn a_wait_that_the_server_named_is_kept_by_planned_times_and_requests_alike() {
    let mut world = World::with_one("*/5 * * * *", MIDNIGHT);
    world.runs_take(1_000, Outcome::Failed(Trouble::Limit { wait: Some(Duration::from_secs(3_600)) }));
    world.pass(5 * MINUTE);
    world.runs_take(1_000, Outcome::Done);
    world.began.clear();
    world.request("work");
    world.pass(59 * MINUTE);
    assert_eq!(world.began.len(), 0);
    world.pass(8 * MINUTE);
    assert!(!world.began.is_empty());
}

#[test]
fn requests_do_not_drive_an_account_that_fails() {
    let mut world = World::with_one("0 3 * * *", MIDNIGHT);
    world.runs_take(1_000, Outcome::Failed(Trouble::Network));
    for _ in 0..3_600 {
        world.request("work");
        world.pass(1_000);
    }
    assert!((4..9).contains(&world.began.len()), "{}", world.began.len());
}

#[test]
fn an_interrupted_run_is_made_anew_within_a_minute_and_is_no_failure() {
    let mut world = World::with_one("0 1 * * *", MIDNIGHT);
    world.runs_take(1_000, Outcome::Interrupted);
    world.pass(HOUR);
    world.runs_take(1_000, Outcome::Done);
    world.pass(MINUTE + 2_000);
    assert_eq!(world.reasons()[1], Why::Retry { failures: 0 });
}

#[test]
fn o9_an_account_in_trouble_holds_up_no_other() {
    let accounts = ["bad", "good"].map(|name| AccountPlan {
        host: format!("{name}.example.org").into(),
        ..account(name, "*/10 * * * *", at(MIDNIGHT))
    });
    let mut world = World::new(plan(accounts.to_vec(), limits(2, 1)), at(MIDNIGHT));
    world.ending = Box::new(|name| match name {
        "bad" => (Duration::from_secs(7_200), Outcome::Failed(Trouble::Network)),
        _ => (Duration::from_secs(10), Outcome::Done),
    });
    world.pass(DAY);
    let good = world.began.iter().filter(|began| began.account == "good").count();
    assert_eq!(good, 144);
}
