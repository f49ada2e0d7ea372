//! Servers that want less: throttling, limits of connections, and servers that are slow without end.

use std::time::Duration;

use restante_sync::Outcome;
use server::{Behaviour, Effect, Fault, Trigger};

use crate::scripted::mail;
use crate::world::World;

fn logins(server: &server::Server) -> usize {
    let is_login = |line: &&String| line.starts_with("LOGIN") || line.starts_with("AUTHENTICATE");
    server.log().iter().filter(is_login).count()
}

#[test]
fn i20_a_limit_of_connections_is_waited_for_and_not_read_as_a_wrong_password() {
    let world = World::with_messages(5);
    let full = "[ALERT] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=1)";
    let refused = Fault::new(Trigger::Login, Effect::No(full.into())).first(2);
    let (ledger, server) = world.pull(Behaviour::modern().with_fault(refused));
    world.assert_whole(&ledger);
    assert_eq!(logins(&server), 3);
}

#[test]
fn i20_one_account_uses_one_connection() {
    let world = World::with_messages(50);
    (0..5).for_each(|number| {
        world.store.create(crate::world::USER, &format!("folder {number}")).unwrap();
        world.deliver(&format!("folder {number}"), &mail(number, 300));
    });
    let (ledger, server) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    assert_eq!(logins(&server), 1);
}

#[test]
fn i21_throttling_in_the_middle_of_the_bodies_is_waited_for_and_blamed_on_no_message() {
    let text = "[THROTTLED] Request is throttled. Suggested Backoff Time: 20 milliseconds";
    for effect in [Effect::No(text.into()), Effect::Bye(text.into())] {
        let world = World::with_messages(60);
        let (ledger, server) =
            world.pull(Behaviour::modern().with_fault(Fault::new(Trigger::Body(20), effect).first(1)));
        world.assert_whole(&ledger);
        assert_eq!(logins(&server), 2);
    }
}

#[test]
fn i21_a_server_that_asks_for_more_time_than_a_run_has_is_left_and_the_next_run_goes_on() {
    let world = World::with_messages(60);
    let text = "Suggested Backoff Time: 3600 seconds".to_owned();
    let ledger = world.pull_with([Fault::new(Trigger::Body(20), Effect::No(text))]);
    assert_eq!(ledger.outcome, Outcome::Failed, "no folder was completed");
    assert!(ledger.error.as_deref().is_some_and(|error| error.contains("Backoff")), "{ledger:#?}");
    assert!(!world.held("INBOX").is_empty(), "what had come is kept");
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn i21_a_goodbye_as_greeting_is_tried_again() {
    let world = World::with_messages(5);
    let goodbye = Effect::Instead(b"* BYE [UNAVAILABLE] back in a moment\r\n".to_vec());
    let ledger = world.pull_with([Fault::new(Trigger::Greeting, goodbye).first(2)]);
    world.assert_whole(&ledger);
}

#[test]
fn n03_a_run_ends_when_its_time_is_up_and_says_what_it_has() {
    let mut world = World::with_messages(60);
    world.limits.patience.run = Duration::from_millis(300);
    world.limits.remote.bodies_per_command = 10;
    let ledger = world.pull_with([Fault::new(Trigger::Body(20), Effect::Silence)]);
    assert_eq!(ledger.outcome, Outcome::Failed, "no folder was completed");
    assert!(ledger.error.as_deref().is_some_and(|error| error.contains("[limits] run")), "{ledger:#?}");
    assert!(!world.held("INBOX").is_empty(), "what had come is kept");
    world.limits.patience.run = Duration::from_secs(600);
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn i22_with_a_byte_budget_the_newest_come_first_and_later_runs_go_on() {
    let mut world = World::new();
    for number in 1..=12 {
        world.deliver("INBOX", &mail(number, 1_500_000));
    }
    world.limits.max_bytes = Some(4_000_000);
    let ledger = world.pull_with([]);
    assert_ne!(ledger.outcome, Outcome::Ok);
    assert!(ledger.error.as_deref().is_some_and(|error| error.contains("max_bytes_per_day")), "{ledger:#?}");
    let held: Vec<u32> = world.held("INBOX").iter().map(|(uid, _)| uid.get()).collect();
    assert!(!held.is_empty() && held.iter().all(|uid| *uid > 6), "{held:?}");
    let runs = (1..20).take_while(|_| world.pull_with([]).outcome != Outcome::Ok).count();
    assert!((2..8).contains(&runs), "{runs} more");
    world.assert_whole(&world.pull_with([]));
}
