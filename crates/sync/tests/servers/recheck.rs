//! What changes without a trace is found when a folder is looked at in full, as it is once in a week.

use message::{Flags, Uid};
use server::{Behaviour, Effect, Fault, Trigger};

use crate::scripted::mail;
use crate::world::{USER, World, uids};

fn uid(number: u32) -> Uid {
    Uid::new(number).unwrap()
}

#[test]
fn i16_flags_that_change_without_a_trace_are_found_within_a_week() {
    let world = World::with_messages(50);
    world.assert_whole(&world.pull_with([]));
    let flags = Flags::parse("\\Answered \\Seen");
    world.store.set_flags_unseen(USER, "INBOX", uid(7), &flags).unwrap();
    world.clock.pass_hours(1);
    assert_eq!(world.pull_with([]).totals.flags_changed, 0, "nothing tells of it");
    world.clock.pass_hours(7 * 24);
    assert_eq!(world.pull_with([]).totals.flags_changed, 1);
    assert_eq!(world.placements("INBOX")[6].flags, flags);
}

#[test]
fn i13_another_message_under_a_held_uid_is_found_within_a_week_and_fetched() {
    let world = World::with_messages(300);
    world.assert_whole(&world.pull_with([]));
    let was = world.placements("INBOX")[4].message;
    world.store.replace_bytes(USER, "INBOX", uid(5), mail(777, 4_000)).unwrap();
    world.clock.pass_hours(1);
    let ledger = world.pull_with([]);
    assert_eq!(ledger.totals.bytes_fetched, 0, "nothing tells of it");
    let found_in = (1..=3).find(|_| {
        world.clock.pass_hours(7 * 24);
        world.pull_with([]).totals.new > 0
    });
    assert!(found_in.is_some(), "each message is compared in the course of two samples");
    world.assert_whole(&world.pull_with([]));
    let archive = archive::Archive::open(&world.path()).unwrap();
    assert!(archive.view().holds_message(&was).unwrap(), "what was there is kept");
}

#[test]
fn i01_a_message_that_no_search_shows_is_found_within_a_week() {
    let world = World::with_messages(30);
    let bare = || Behaviour::bare().with("ESEARCH");
    world.assert_whole(&world.pull(bare()).0);
    world.store.expunge(USER, "INBOX", &uids("1")).unwrap();
    world.store.skip_to_uid(USER, "INBOX", uid(40)).unwrap();
    world.deliver("INBOX", &mail(40, 700));
    world.deliver("INBOX", &mail(41, 700));
    world.store.expunge(USER, "INBOX", &uids("2")).unwrap();
    // As many as there are, and the newest among them, but not number 40.
    let stale = b"* ESEARCH (TAG \"{tag}\") UID COUNT 30 ALL 2:30,41\r\n{tag} OK done\r\n".to_vec();
    let lags = || Fault::new(Trigger::Command("UID SEARCH".into()), Effect::Instead(stale.clone()));
    world.clock.pass_hours(1);
    world.pull(bare().with_fault(lags()));
    assert!(
        !world.held("INBOX").iter().any(|(held, _)| *held == uid(40)),
        "a search can hide it for a while"
    );
    world.clock.pass_hours(7 * 24);
    world.assert_whole(&world.pull(bare().with_fault(lags())).0);
}
