//! Messages that a server shows in several folders.

use server::{Behaviour, Effect, Fault, Trigger};

use crate::scripted::mail;
use crate::world::{USER, World};

/// INBOX and a label hold so many messages each, "All Mail" all of them.
fn labelled(count: u32) -> (World, u64) {
    let world = World::new();
    for name in ["All Mail", "label"] {
        world.store.create(USER, name).unwrap();
    }
    world.store.set_special_use(USER, "All Mail", Some("\\All")).unwrap();
    let mut octets = 0;
    for number in 1..=2 * count {
        let bytes = mail(number, 3_000);
        octets += bytes.len() as u64;
        world.deliver("All Mail", &bytes);
        world.deliver(if number <= count { "INBOX" } else { "label" }, &bytes);
    }
    (world, octets)
}

#[test]
fn i31_what_lies_in_several_folders_is_fetched_once() {
    let (world, octets) = labelled(150);
    let (ledger, server) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    let fetched = server.counts().body_octets;
    assert!(fetched < octets + octets / 20, "{fetched} of {octets}");
    assert!(ledger.totals.matched_by_header >= 290, "{:?}", ledger.totals);
}

#[test]
fn i31_without_ids_every_folder_is_fetched_and_the_bytes_are_kept_once() {
    let (world, octets) = labelled(30);
    for behaviour in [Behaviour::modern().without("OBJECTID"), Behaviour::bare()] {
        world.assert_whole(&world.pull(behaviour).0);
    }
    let archive = archive::Archive::open(&world.path()).unwrap();
    assert!(archive.view().sizes().unwrap().blob_bytes <= octets);
}

#[test]
fn i31_an_id_that_is_offered_and_refused_costs_nothing() {
    let (world, _) = labelled(30);
    let refused = Fault::new(Trigger::Line("EMAILID".into()), Effect::Bad("unknown item".into()));
    world.assert_whole(&world.pull_with([refused]));
}

/// Folders whose messages all have one size, and ids as the function gives them.
fn lying_ids(id: impl Fn(u32, u32) -> String) -> restante_sync::Ledger {
    let world = World::new();
    let mut faults = Vec::new();
    for (folder, name) in [(0, "INBOX"), (1, "All Mail")] {
        if folder > 0 {
            world.store.create(USER, name).unwrap();
        }
        for number in 1..=40 {
            let mut bytes = mail(1_000 * (1 + folder) + number, 0);
            bytes.resize(2_000, b'x');
            world.deliver(name, &bytes);
            let lie = Effect::EmailId(id(number, folder));
            faults.push(Fault::new(Trigger::Fetch(number), lie).in_mailbox(name));
        }
    }
    world.store.set_special_use(USER, "All Mail", Some("\\All")).unwrap();
    let ledger = world.pull_with(faults);
    world.assert_whole(&ledger);
    ledger
}

#[test]
fn i31_ids_that_are_the_same_for_different_messages_are_found_out_by_the_sample() {
    let ledger = lying_ids(|number, _| format!("E{number}"));
    assert!(ledger.warnings.iter().any(|text| text.contains("ids are not believed")), "{ledger:#?}");
}

#[test]
fn i31_an_id_that_stands_for_several_messages_stands_for_none() {
    lying_ids(|_, _| "E1".to_owned());
    lying_ids(|number, folder| if folder == 0 { format!("E{number}") } else { "E1".to_owned() });
}

#[test]
fn i12_a_match_that_proves_wrong_has_all_of_its_folder_fetched() {
    let (world, _) = labelled(150);
    world.assert_whole(&world.pull(Behaviour::modern()).0);
    // All that was matched was another message all the time, of the same size and beginning.
    for message in world.store.messages(USER, "label").unwrap() {
        let mut bytes = message.bytes.to_vec();
        let last = bytes.len() - 3;
        bytes[last] ^= 1;
        world.store.replace_bytes(USER, "label", message.uid, bytes).unwrap();
    }
    let found = (1..=20).any(|_| {
        let ledger = world.pull(Behaviour::modern()).0;
        ledger.warnings.iter().any(|text| text.contains("were other ones"))
    });
    assert!(found, "by the sample");
    let truth: Vec<_> = world.store.messages(USER, "label").unwrap();
    let matched = world.placements("label").into_iter().filter(|held| held.proof == archive::Proof::Header);
    assert_eq!(matched.count(), 0, "none waits any more");
    let wrong = world
        .held("label")
        .into_iter()
        .zip(&truth)
        .filter(|((_, held), now)| *held != message::MessageKey::of(&now.bytes));
    assert!(wrong.count() <= 3, "but for those that the first run had fetched as its own sample");
}
