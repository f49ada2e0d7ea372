//! Servers whose counts of octets are others than what they send.

use restante_sync::Outcome;
use server::pop3::{Behaviour, Counting, Effect, Fault, Trigger};

use crate::scripted::mail;
use crate::world::{World, asked, with};

#[test]
fn p10_wrong_counts_of_octets_change_no_message() {
    for counting in
        [Counting::LineFeeds, Counting::Sent, Counting::Plus(1), Counting::Plus(-7), Counting::Plus(1 << 40)]
    {
        let world = World::with_messages(30);
        let behaviour = || Behaviour::modern().with_counts(counting);
        let (ledger, _) = world.pull(behaviour());
        world.assert_whole(&ledger);
        let (ledger, server) = world.pull(behaviour());
        world.assert_whole(&ledger);
        assert_eq!((asked(&server, "RETR"), world.stored()), (0, 30), "{counting:?}");
        world.deliver(&mail(31, 2_000));
        world.assert_whole(&world.pull(behaviour()).0);
    }
}

#[test]
fn p10_a_server_that_begins_to_count_otherwise_doubles_nothing() {
    let world = World::with_messages(30);
    world.assert_whole(&world.pull(Behaviour::modern().with_counts(Counting::LineFeeds)).0);
    for counting in [Counting::Stored, Counting::LineFeeds, Counting::Plus(3), Counting::Stored] {
        let (ledger, _) = world.pull(Behaviour::modern().with_counts(counting));
        world.assert_whole(&ledger);
        assert_eq!((world.stored(), world.placements("a").len()), (30, 30), "{counting:?}");
    }
}

#[test]
fn p10_what_stat_and_the_status_lines_say_decides_nothing() {
    let world = World::with_messages(10);
    let octets =
        [Fault::on("RETR", Effect::Octets(3)), Fault::on("STAT", Effect::Instead(b"+OK 10 7\r\n".to_vec()))];
    for _ in 0..2 {
        world.assert_whole(&world.pull(with(octets.clone())).0);
        assert_eq!(world.stored(), 10);
    }
}

#[test]
fn p10_more_messages_than_are_listed_are_missed_and_fewer_are_no_loss() {
    let world = World::with_messages(10);
    world.assert_whole(&world.pull_with([]));
    let stat = |text: &[u8]| Fault::on("STAT", Effect::Instead(text.to_vec()));
    let (ledger, _) = world.pull(with([stat(b"+OK 12 25000\r\n")]));
    assert_eq!((ledger.outcome, ledger.totals.vanished), (Outcome::Partial, 0), "{ledger:#?}");
    let (ledger, _) = world.pull(with([stat(b"+OK 4 8000\r\n")]));
    assert_eq!((ledger.totals.vanished, world.held().len()), (0, 10), "{ledger:#?}");
    assert_ne!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
    let (ledger, _) = world.pull(with([stat(b"+OK 4000000000 80000000000000000000000\r\n")]));
    assert_ne!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
    assert_eq!((ledger.totals.vanished, world.stored()), (0, 10));
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn p11_a_lost_dot_is_seen_by_the_count_where_the_others_are_exact() {
    let world = World::with_messages(40);
    world.deliver(b"Subject: dots\r\n\r\n.hidden\r\nrest\r\n");
    let unstuffed = Fault::new(Trigger::Content("Subject: dots".into()), Effect::Unstuffed);
    let (ledger, _) = world.pull(with([unstuffed.clone()]));
    let told = |ledger: &restante_sync::Ledger| ledger.warnings.iter().any(|warning| warning.contains("dot"));
    assert!(told(&ledger), "{ledger:#?}");
    // Where counts are never exact, they prove nothing, and nobody is alarmed message by message.
    let world = World::with_messages(10);
    world.deliver(b"Subject: dots\r\n\r\n.hidden\r\nrest\r\n");
    let behaviour = Behaviour::modern().with_counts(Counting::Plus(5)).with_fault(unstuffed);
    let (ledger, _) = world.pull(behaviour);
    assert!(!told(&ledger), "{ledger:#?}");
}
