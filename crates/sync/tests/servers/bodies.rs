//! Messages that do not come as they should: without UID, with another length than told, refused,
//! empty, other ones each time.

use restante_sync::Outcome;
use server::{Effect, Fault, Field, Trigger};

use crate::scripted::mail;
use crate::world::{USER, WhenFolderBegins, World, uids};

fn at_body(uid: u32, effect: Effect) -> Fault {
    Fault::new(Trigger::Body(uid), effect)
}

/// On commands that ask for whole messages, in the usual form.
fn when_asked_whole(effect: Effect) -> Fault {
    Fault::new(Trigger::Line("INTERNALDATE BODY.PEEK[])".into()), effect)
}

#[test]
fn i04_messages_that_come_without_their_uid_are_asked_for_one_at_a_time() {
    let world = World::with_messages(30);
    let ledger = world.pull_with([3, 5, 7, 30].map(|uid| at_body(uid, Effect::Omit(Field::Uid))));
    world.assert_whole(&ledger);
}

#[test]
fn i04_pieces_that_name_no_message_are_bound_to_none() {
    let world = World::with_messages(30);
    let ledger = world.pull_with([Fault::new(Trigger::Always, Effect::InPieces)]);
    assert_eq!(ledger.outcome, Outcome::Partial);
    assert_eq!(ledger.folders[0].failed.len(), 30, "each is named");
    assert!(world.held("INBOX").is_empty());
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn i06_a_message_whose_length_is_told_wrong_comes_in_slices_that_agree() {
    for effect in [Effect::LongLiteral(7), Effect::ShortLiteral(3)] {
        let world = World::with_messages(1);
        let ledger = world.pull_with([when_asked_whole(effect)]);
        world.assert_whole(&ledger);
    }
}

#[test]
fn i06_slices_that_do_not_agree_are_not_taken() {
    let world = World::with_messages(1);
    let ledger = world.pull_with([when_asked_whole(Effect::LongLiteral(7)), at_body(1, Effect::Rebuilt)]);
    assert_eq!(ledger.outcome, Outcome::Partial);
    assert!(ledger.folders[0].failed[0].why.contains("another one each time"), "{ledger:#?}");
    assert!(world.held("INBOX").is_empty());
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn i06_a_message_whose_length_is_always_told_wrong_is_left_out_by_name() {
    let world = World::with_messages(20);
    let ledger = world.pull_with([at_body(11, Effect::LongLiteral(7))]);
    assert_eq!(ledger.outcome, Outcome::Partial);
    assert_eq!(ledger.folders[0].failed.iter().filter_map(|item| item.uid).collect::<Vec<_>>(), [11]);
    assert_eq!(ledger.totals.archived, 19);
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn i07_a_message_that_is_expunged_before_it_is_fetched_is_no_failure() {
    let world = World::with_messages(30);
    let store = world.store.clone();
    let expunge = move |_: &str| drop(store.expunge(USER, "INBOX", &uids("9,20")));
    let (ledger, _) = world.pull_watched(server::Behaviour::modern(), &WhenFolderBegins(expunge));
    world.assert_whole(&ledger);
    assert_eq!(ledger.totals.archived, 28);
}

#[test]
fn i07_a_message_that_comes_without_one_octet_is_not_taken_for_an_empty_one() {
    let world = World::with_messages(20);
    let ledger = world.pull_with([at_body(4, Effect::Content(Vec::new()))]);
    assert_eq!(ledger.outcome, Outcome::Partial);
    assert_eq!(ledger.folders[0].failed.iter().filter_map(|item| item.uid).collect::<Vec<_>>(), [4]);
    assert_eq!(world.held("INBOX").len(), 19);
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn i07_a_message_that_really_is_empty_is_taken() {
    let world = World::with_messages(2);
    world.deliver("INBOX", b"");
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn i24_a_server_that_refuses_the_right_command_is_asked_in_the_simplest_form() {
    let world = World::with_messages(12);
    let flags = "\\Answered red";
    world.deliver_with("INBOX", &mail(13, 500), flags);
    let refusal = Effect::Bad("Command Argument Error. 11".into());
    let ledger = world.pull_with([when_asked_whole(refusal)]);
    world.assert_whole(&ledger);
    assert_eq!(world.placements("INBOX").last().unwrap().flags, message::Flags::parse(flags));
}
