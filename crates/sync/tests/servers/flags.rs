//! Flags: many of them, in any case, changed without a trace, and changed by our own looking.

use message::Flags;
use restante_sync::Outcome;
use server::{Behaviour, Effect, Fault, Trigger};

use crate::scripted::mail;
use crate::world::{USER, World};

#[test]
fn i16_a_server_without_modification_sequences_is_asked_for_all_flags() {
    for modseq in [Some(0), None] {
        let world = World::with_messages(10);
        let none = || Fault::new(Trigger::Always, Effect::HighestModSeq(modseq));
        world.assert_whole(&world.pull_with([none()]));
        let flags = Flags::parse("\\Seen \\Flagged");
        world.store.set_flags(USER, "INBOX", message::Uid::new(4).unwrap(), &flags).unwrap();
        let ledger = world.pull_with([none()]);
        assert_eq!(ledger.totals.flags_changed, 1, "{ledger:#?}");
        assert_eq!(world.placements("INBOX")[3].flags, flags);
    }
}

#[test]
fn i33_a_server_that_marks_what_is_only_looked_at_is_found_out_before_harm_is_done() {
    let world = World::new();
    for number in 1..=20 {
        world.deliver_with("INBOX", &mail(number, 2_000), if number % 2 == 0 { "\\Seen" } else { "" });
    }
    let ledger = world.pull_with([Fault::new(Trigger::Always, Effect::SetsSeen)]);
    assert_eq!(ledger.outcome, Outcome::Partial);
    assert!(ledger.suspicious);
    assert!(ledger.warnings.iter().any(|text| text.contains("marks messages as read")), "{ledger:#?}");
    let unread =
        world.store.messages(USER, "INBOX").unwrap().iter().filter(|m| !m.flags.contains("\\Seen")).count();
    assert_eq!(unread, 8, "two were marked to find out, no more");
    assert_eq!(world.held("INBOX").len(), 12, "what is read is fetched");
    assert_eq!(ledger.folders[0].failed.len(), 8, "the others are named");
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn i33_a_message_that_its_owner_reads_meanwhile_is_no_fault_of_the_server() {
    let world = World::new();
    world.fill("INBOX", 5, "");
    // Only the first look finds a message that has just been read.
    let read = Fault::new(Trigger::Body(1), Effect::SetsSeen).first(1);
    world.assert_whole(&world.pull_with([read]));
}

#[test]
fn i33_mail_is_as_unread_after_a_backup_as_before() {
    let world = World::new();
    world.fill("INBOX", 20, "");
    for behaviour in [Behaviour::modern(), Behaviour::bare()] {
        let (ledger, _) = world.pull(behaviour);
        world.assert_whole(&ledger);
    }
    let all = world.store.messages(USER, "INBOX").unwrap();
    assert!(all.iter().all(|message| message.flags.is_empty()));
}

#[test]
fn i34_hundreds_of_keywords_are_kept_and_their_case_is_no_change() {
    let world = World::with_messages(3);
    let keywords = |shout: bool| {
        let word = |n: u32| if shout { format!("KEY.WORD{n}!") } else { format!("key.word{n}!") };
        Flags::parse(&(0..400).map(word).collect::<Vec<_>>().join(" "))
    };
    let uid = message::Uid::new(2).unwrap();
    world.store.set_flags(USER, "INBOX", uid, &keywords(false)).unwrap();
    world.assert_whole(&world.pull_with([]));
    assert_eq!(world.placements("INBOX")[1].flags, keywords(false));
    world.store.set_flags(USER, "INBOX", uid, &keywords(true)).unwrap();
    let ledger = world.pull_with([]);
    world.assert_whole(&ledger);
    assert_eq!(ledger.totals.flags_changed, 0, "{:?}", ledger.totals);
}
