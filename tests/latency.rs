//! How often a run waits for the server (N16): on a real one, behind a line on which octets take their time.
//!
//! Exact numbers, by a clock that is not real and for more kinds of servers, are in
//! `crates/sync/tests/latency`; here are the goals, with real sockets and threads. What is asserted are
//! round trips and octets, never times.

use std::time::Duration;

use restante_tests::{World, append};
use testkit::{Direction, FaultProxy};

/// Long enough that what a client sends together is taken together, also on a busy machine.
const ROUND_TRIP: Duration = Duration::from_millis(100);

/// What a run has cost.
struct Cost {
    round_trips: u64,
    octets: u64,
}

/// A run over a long line, which must be whole and bring so many messages.
fn run(world: &World, new: u64) -> Cost {
    let line = FaultProxy::long_line(world.dovecot.plain(), ROUND_TRIP);
    // Of a thousand folders some may fall due, in any minute, to be looked at in full.
    world.configure(&format!("port = {}\n\n[limits]\nrecheck = \"0\"\n", line.address().port()));
    let ledger = world.run_now();
    assert_eq!(ledger["totals"]["new"], new, "{ledger}");
    assert_eq!(line.connections(), 1);
    let octets = line.octets(Direction::ToServer) + line.octets(Direction::ToClient);
    Cost { round_trips: line.round_trips(), octets }
}

/// The run of a few that waited least: where a busy machine makes the server pause, that looks like one more
/// wait.
fn least(mut run: impl FnMut() -> Cost) -> Cost {
    let tried: Vec<Cost> = (0..3).map(|_| run()).collect();
    tried.into_iter().min_by_key(|cost| cost.round_trips).expect("there were some")
}

#[test]
fn nothing_new_in_a_thousand_folders_costs_at_most_six_round_trips() {
    let Some(world) = World::new() else { return };
    let mut judge = world.judge();
    (1..1_000).for_each(|number| judge.create(&format!("folder {number}")));
    append(&mut judge, "folder 7", 0..5);
    assert_eq!(world.run_now()["totals"]["new"], 5);
    let again = least(|| run(&world, 0));
    assert!(again.round_trips <= 6, "{}", again.round_trips);
}

#[test]
fn nothing_new_costs_the_same_for_few_messages_and_for_many() {
    let Some(world) = World::new() else { return };
    let [few, many] = [0..10, 10..410].map(|numbers| {
        append(&mut world.judge(), "INBOX", numbers.clone());
        world.configure("");
        assert_eq!(world.run_now()["totals"]["new"], numbers.len());
        least(|| run(&world, 0))
    });
    assert!(many.round_trips <= 6, "{}", many.round_trips);
    assert!(many.octets < few.octets + 20, "{} and {}: only numbers are longer", few.octets, many.octets);
}

#[test]
fn a_first_pull_waits_at_most_three_times_for_each_folder() {
    let Some(world) = World::new() else { return };
    let mut judge = world.judge();
    append(&mut judge, "INBOX", 0..40);
    for folder in 1..37 {
        let name = format!("folder {folder}");
        judge.create(&name);
        append(&mut judge, &name, folder * 40..folder * 40 + 5);
    }
    let first = run(&world, 40 + 36 * 5);
    assert!(first.round_trips <= 8 + 3 * 37, "{}", first.round_trips);
    world.assert_archive_equals_server();
}

#[test]
fn one_new_message_costs_a_few_round_trips_more_than_none() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..100);
    assert_eq!(world.run_now()["totals"]["new"], 100);
    let mut next = 100;
    let one = least(|| {
        append(&mut world.judge(), "INBOX", next..next + 1);
        next += 1;
        run(&world, 1)
    });
    assert!(one.round_trips <= 12, "{}", one.round_trips);
}
