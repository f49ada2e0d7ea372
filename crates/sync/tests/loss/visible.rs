//! Folders that are not listed, and folders that have another name.

use restante_sync::Outcome;
use server::{Behaviour, Effect, Fault, Trigger};

use crate::scripted::mail;
use crate::world::{USER, World};

fn with_attic() -> World {
    let world = World::with_messages(5);
    world.store.create(USER, "Attic").unwrap();
    for number in 100..140 {
        world.deliver("Attic", &mail(number, 500));
    }
    world.assert_whole(&world.pull(Behaviour::modern()).0);
    world
}

#[test]
fn l09_a_folder_that_is_not_listed_is_not_visible_and_continues_when_it_is_there_again() {
    let world = with_attic();
    let whole = world.store.snapshot();
    world.store.delete(USER, "Attic").unwrap();
    let (ledger, _) = world.pull(Behaviour::modern());
    assert_eq!(ledger.outcome, Outcome::Partial, "{ledger:#?}");
    let attic = ledger.folders.iter().find(|folder| folder.folder == "Attic").unwrap();
    assert!(attic.error.as_deref().unwrap().contains("not visible"), "{attic:?}");
    assert_eq!(attic.not_visible, Some(1));
    assert!(ledger.suspicious && ledger.lost[0].folder == "Attic", "{ledger:#?}");
    let now = world.runs()[0].id.get();
    assert_eq!(world.count_as_of("Attic", now), 40, "nothing has ended");
    world.store.restore(&whole);
    let (ledger, server) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    assert_eq!((server.counts().body_octets, ledger.totals.new, ledger.totals.vanished), (0, 0, 0));
}

#[test]
fn l09_a_folder_counts_as_gone_when_it_was_not_listed_in_three_runs_in_a_row() {
    let world = with_attic();
    world.store.delete(USER, "Attic").unwrap();
    let mut alarms = Vec::new();
    for run in 1..=4 {
        // A run that cannot even list says nothing of the folder.
        let refuse = Fault::new(Trigger::Login, Effect::No("[UNAVAILABLE] later".into()));
        world.pull(Behaviour::modern().with_fault(refuse));
        let (ledger, _) = world.pull(Behaviour::modern());
        let expected = if run < 3 { Outcome::Partial } else { Outcome::Ok };
        assert_eq!(ledger.outcome, expected, "run {run}: {ledger:#?}");
        alarms.push(ledger.suspicious);
        let count = world.count_as_of("Attic", world.runs()[0].id.get());
        assert_eq!(count, if run < 3 { 40 } else { 0 }, "run {run}");
    }
    assert_eq!(alarms, [true, false, false, false], "told once");
    assert_eq!(world.ever_held().len(), 45);
}

#[test]
fn l06_ten_thousand_messages_in_a_renamed_folder_cost_not_one_octet() {
    for behaviour in [Behaviour::modern(), Behaviour::bare()] {
        let world = World::new();
        world.store.create(USER, "Attic").unwrap();
        for number in 0..10_000 {
            let length = 200 + number as usize % 700;
            world.deliver("Attic", &mail(number, length));
        }
        world.pull(behaviour.clone());
        world.store.rename(USER, "Attic", "Loft/Attic").unwrap();
        let (ledger, server) = world.pull(behaviour);
        assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
        assert_eq!((ledger.totals.bytes_fetched, server.counts().body_octets), (0, 0), "{ledger:#?}");
        assert_eq!((ledger.totals.vanished, ledger.totals.new, ledger.totals.archived), (0, 0, 10_000));
        assert_eq!(ledger.warnings[0], "Attic is now called Loft/Attic");
        assert!(!ledger.suspicious);
    }
}
