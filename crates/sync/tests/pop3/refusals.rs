//! Servers that say no: to a login, to a message, for now or for good.

use std::time::Duration;

use restante_sync::Outcome;
use server::pop3::{Behaviour, Effect, Fault, Trigger};

use crate::world::{World, asked, with};

fn err(text: &str) -> Effect {
    Effect::Err(text.to_owned())
}

#[test]
fn p09_a_temporary_trouble_at_login_is_tried_again() {
    let world = World::with_messages(5);
    let (ledger, server) =
        world.pull(with([Fault::new(Trigger::Login, err("[SYS/TEMP] disk is full")).first(2)]));
    world.assert_whole(&ledger);
    assert_eq!(server.counts().connections, 3);
}

#[test]
fn p09_a_permanent_trouble_at_login_is_told_in_the_servers_words_and_not_tried_again() {
    let world = World::with_messages(5);
    let (ledger, server) =
        world.pull(with([Fault::new(Trigger::Login, err("[SYS/PERM] your mailbox has moved"))]));
    assert_eq!((ledger.outcome, server.counts().connections), (Outcome::Failed, 1));
    let error = ledger.error.unwrap();
    assert!(error.contains("your mailbox has moved") && !error.contains("password"), "{error}");
}

#[test]
fn p09_a_wrong_password_is_told_at_once() {
    for behaviour in [Behaviour::modern(), with([Fault::new(Trigger::Login, err("[AUTH] PASS failed"))])] {
        let world = World::with_messages(5);
        world.store.add_user(crate::world::USER, "another");
        let (ledger, server) = world.pull(behaviour);
        assert_eq!((ledger.outcome, server.counts().connections), (Outcome::Failed, 1), "{ledger:#?}");
        assert!(ledger.error.is_some_and(|error| error.contains("login as anna failed")));
    }
}

#[test]
fn p09_a_bare_refusal_counts_as_a_wrong_password_only_when_it_is_repeated() {
    let world = World::with_messages(5);
    let bare = Fault::on("PASS", err("no"));
    let (ledger, server) = world.pull(with([bare.clone().first(1)]));
    world.assert_whole(&ledger);
    assert_eq!(server.counts().logins_refused, 1);
    let (ledger, server) = world.pull(with([bare]));
    assert_eq!((ledger.outcome, server.counts().logins_refused), (Outcome::Failed, 2), "{ledger:#?}");
    assert!(ledger.error.as_ref().is_some_and(|error| error.contains("login as anna failed")), "{ledger:#?}");
}

#[test]
fn p09_a_message_that_is_refused_for_now_is_asked_for_again() {
    for text in ["[SYS/TEMP] try again", "failed"] {
        let world = World::with_messages(30);
        let (ledger, server) = world.pull(with([Fault::new(Trigger::Message(11), err(text)).first(1)]));
        world.assert_whole(&ledger);
        assert!(asked(&server, "RETR") <= 62, "{:?}", server.log());
    }
}

#[test]
fn p09_a_message_that_is_always_refused_is_left_out_by_name_and_tried_again_later() {
    let world = World::with_messages(30);
    let refused = Fault::new(Trigger::Content("number 11\r".into()), err("[SYS/PERM] corrupt message"));
    let (ledger, _) = world.pull(with([refused.clone()]));
    assert_eq!((ledger.outcome, world.held().len()), (Outcome::Partial, 29), "{ledger:#?}");
    let [item] = &ledger.folders[0].failed[..] else { panic!("{ledger:#?}") };
    assert!(item.why.contains("corrupt message"), "{item:?}");
    assert_eq!((ledger.totals.on_server, ledger.totals.archived), (30, 29));
    let asked_for: usize = (0..6)
        .map(|_| {
            let (ledger, server) = world.pull(with([refused.clone()]));
            assert_eq!(ledger.outcome, Outcome::Partial);
            asked(&server, "RETR")
        })
        .sum();
    assert!(asked_for <= 8, "at growing intervals: {asked_for}");
    // It is due again some day, and then it comes.
    let runs = (0..64).take_while(|_| world.pull_with([]).outcome != Outcome::Ok).count();
    assert!(runs < 64);
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn i21_a_server_that_wants_less_in_the_middle_is_waited_for_and_blamed_on_no_message() {
    for effect in [err("[IN-USE] too many sessions"), err("[LOGIN-DELAY] slow down")] {
        let world = World::with_messages(60);
        let (ledger, server) = world.pull(with([Fault::new(Trigger::Message(20), effect).first(1)]));
        world.assert_whole(&ledger);
        assert!(server.counts().logins <= 2, "{:?}", server.counts());
    }
}

#[test]
fn i21_a_greeting_that_says_not_now_is_tried_again() {
    for effect in
        [err("[SYS/TEMP] back in a moment"), err("[IN-USE] too many connections"), Effect::Disconnect]
    {
        let world = World::with_messages(5);
        let ledger = world.pull_with([Fault::new(Trigger::Greeting, effect).first(2)]);
        world.assert_whole(&ledger);
    }
}

#[test]
fn i22_with_a_byte_budget_the_newest_come_first_and_later_runs_go_on() {
    let mut world = World::new();
    world.fill(1..=12, 500_000);
    world.limits.max_bytes = Some(2_000_000);
    let ledger = world.pull_with([]);
    assert_ne!(ledger.outcome, Outcome::Ok);
    let held: Vec<u32> = world.placements("a").iter().map(|placement| placement.uid.get()).collect();
    assert!(!held.is_empty() && held.iter().all(|uid| *uid > 4), "{held:?}");
    let runs = (1..20).take_while(|_| world.pull_with([]).outcome != Outcome::Ok).count();
    assert!((1..8).contains(&runs), "{runs} more");
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn n03_a_run_ends_when_its_time_is_up_and_says_what_it_has() {
    let mut world = World::with_messages(60);
    world.limits.patience.run = Duration::from_millis(300);
    let ledger = world.pull_with([Fault::new(Trigger::Message(20), Effect::Silence)]);
    assert_ne!(ledger.outcome, Outcome::Ok);
    assert!(serde_json::to_string(&ledger).unwrap().contains("[limits] run"), "{ledger:#?}");
    // The last one that had come was not proven by an answer behind it.
    assert_eq!(world.held().len(), 39, "what had come is kept");
    world.limits.patience.run = Duration::from_secs(600);
    world.assert_whole(&world.pull_with([]));
}
