//! Flags and keywords: refused, not kept, set on what is there (R4).

use message::{Flags, Uid};
use server::{Behaviour, Effect, Fault, Trigger};

use super::world::{World, bad, contents, kept, mail, no, on, put};

fn flags(world: &World, mailbox: &str) -> Vec<String> {
    let mut flags: Vec<String> =
        kept(&world.target, mailbox).into_iter().map(|(_, flags, _)| flags).collect();
    flags.sort();
    flags
}

/// Three messages: keywords, only system flags, none.
fn three() -> World {
    let world = World::empty();
    world.deliver("INBOX", &mail(1), "\\Seen $NotJunk odd");
    world.deliver("INBOX", &mail(2), "\\Seen \\Flagged");
    world.deliver("INBOX", &mail(3), "");
    world.pull();
    world
}

#[test]
fn r04_a_keyword_that_append_refuses_is_left_off_and_told_and_the_message_is_there() {
    for effect in [no("[CANNOT] no such keyword"), bad("parse error: invalid keyword")] {
        for target in [Behaviour::modern(), Behaviour::bare()] {
            let world = three();
            let restored = world.restore(target.with_fault(Fault::new(Trigger::Keyword, effect.clone())));
            restored.assert_partial();
            let inbox = restored.folder("INBOX");
            assert_eq!((inbox.added, inbox.proven, inbox.refused.len()), (3, 2, 0), "{restored:#?}");
            assert_eq!(restored.remarks("INBOX"), ["flags not kept: $NotJunk odd"]);
            assert_eq!(flags(&world, "INBOX"), ["", "\\flagged \\seen", "\\seen"]);
        }
    }
}

#[test]
fn r04_one_flag_that_is_refused_costs_only_that_flag() {
    let world = World::empty();
    world.deliver("INBOX", &mail(1), "\\Deleted \\Seen \\Answered mine");
    world.deliver("INBOX", &mail(2), "\\Seen");
    world.pull();
    let fault = Fault::new(Trigger::Flag("\\Deleted".into()), no("[CANNOT] APPEND failed: \\Deleted"));
    let restored = world.restore_despite([fault]);
    restored.assert_partial();
    assert_eq!(restored.remarks("INBOX"), ["flags not kept: \\Deleted"]);
    assert_eq!(flags(&world, "INBOX"), ["\\answered \\seen mine", "\\seen"]);
}

#[test]
fn r04_what_permanentflags_leaves_out_is_not_sent() {
    let world = three();
    let target = Behaviour::modern().with_permanent_flags(&["\\Seen", "$NotJunk"], false);
    let restored =
        world.restore(target.with_fault(Fault::new(Trigger::Flag("odd".into()), bad("what is that"))));
    restored.assert_partial();
    let mut remarks = restored.remarks("INBOX");
    remarks.sort_unstable();
    assert_eq!(remarks, ["flags not kept: \\Flagged", "flags not kept: odd"]);
    assert_eq!(flags(&world, "INBOX"), ["", "$notjunk \\seen", "\\seen"]);
    assert!(restored.appends().iter().all(|line| !line.contains("odd") && !line.contains("\\Flagged")));
}

#[test]
fn r04_keywords_that_vanish_without_a_word_are_missed_by_the_proof() {
    let world = three();
    // Neither on APPEND nor on STORE, and SELECT says that it keeps all.
    let faults = [
        Fault::new(on("APPEND"), Effect::DropsFlags(vec![])),
        Fault::new(on("UID STORE"), no("[CANNOT] no keywords")),
    ];
    let restored = world.restore_despite(faults);
    restored.assert_partial();
    assert_eq!(restored.remarks("INBOX"), ["flags not kept: $NotJunk odd"]);
    assert_eq!(restored.folder("INBOX").proven, 2);
}

#[test]
fn r04_keywords_that_append_loses_are_set_afterwards() {
    let world = three();
    let restored = world.restore_despite([Fault::new(on("APPEND"), Effect::DropsFlags(vec![]))]);
    restored.assert_proven();
    world.assert_back();
}

#[test]
fn r04_recent_is_never_sent() {
    let world = World::empty();
    world.deliver("INBOX", &mail(1), "\\Recent \\Seen");
    world.pull();
    let restored =
        world.restore_despite([Fault::new(Trigger::Flag("\\Recent".into()), bad("\\Recent is ours"))]);
    restored.assert_proven();
    assert_eq!(flags(&world, "INBOX"), ["\\seen"]);
}

/// The target has all messages with other flags.
fn with_other_flags(world: &World) {
    world.restore(Behaviour::modern()).assert_proven();
    for number in 1..=3 {
        let uid = Uid::new(number).unwrap();
        world.target.set_flags("anna", "INBOX", uid, &Flags::parse("\\Draft zeta")).unwrap();
    }
}

#[test]
fn what_is_there_gets_the_flags_of_the_archive() {
    for target in [Behaviour::modern(), Behaviour::bare()] {
        let world = three();
        with_other_flags(&world);
        let restored = world.restore(target);
        restored.assert_proven();
        let totals = restored.report.totals;
        assert_eq!((totals.already_there, totals.added, totals.flags_set), (3, 0, 3));
        world.assert_back();
    }
}

#[test]
fn with_keep_flags_what_is_there_keeps_those_it_has() {
    let world = three();
    with_other_flags(&world);
    world.deliver("INBOX", &mail(4), "\\Seen late");
    world.pull();
    let restored = world.restore_with(Behaviour::modern(), |job| job.keep_flags = true);
    restored.assert_proven();
    assert_eq!(restored.report.totals.flags_set, 0);
    assert_eq!(flags(&world, "INBOX"), ["\\draft zeta", "\\draft zeta", "\\draft zeta", "\\seen late"]);
    assert!(restored.server.log().iter().all(|line| !line.starts_with("UID STORE")));
}

#[test]
fn flags_that_cannot_be_set_on_what_is_there_are_told_and_lose_nothing() {
    let world = three();
    with_other_flags(&world);
    let before = contents(&world.target);
    let restored = world.restore_despite([Fault::new(on("UID STORE"), no("[READ-ONLY] not here"))]);
    restored.assert_partial();
    assert_eq!(restored.folder("INBOX").remarks.len(), 3);
    assert!(restored.notices("INBOX").contains("not here"), "{restored:#?}");
    assert_eq!(contents(&world.target), before);
}

#[test]
fn flags_are_set_once_when_the_connection_is_cut_while_they_are_set() {
    for effect in [Effect::Disconnect, Effect::DisconnectAfter(0)] {
        let world = three();
        with_other_flags(&world);
        let restored = world.restore_despite([Fault::new(on("UID STORE"), effect).first(1)]);
        restored.assert_proven();
        world.assert_back();
    }
}

#[test]
fn nothing_on_a_target_is_deleted_or_expunged() {
    let world = three();
    let date = message::InternalDate::from_unix(1_400_000_000, 0);
    put(&world.target, "INBOX", &mail(50), "\\Deleted", &date);
    put(&world.target, "Other", &mail(51), "\\Deleted", &date);
    let restored = world.restore(Behaviour::modern());
    restored.assert_proven();
    assert_eq!(contents(&world.target)["INBOX"].len(), 4);
    assert_eq!(contents(&world.target)["Other"].len(), 1);
    for line in restored.server.log() {
        let forbidden = ["EXPUNGE", "UID EXPUNGE", "CLOSE", "DELETE", "RENAME", "UID MOVE", "UID COPY"];
        assert!(!forbidden.iter().any(|word| line.split(' ').next() == Some(word)), "{line}");
    }
}

#[test]
fn r04_a_server_that_refuses_all_keywords_is_not_asked_with_each_message() {
    let world = World::empty();
    for number in 1..=300 {
        world.deliver("INBOX", &mail(number), "\\Seen odd");
    }
    world.pull();
    let restored = world.restore_despite([Fault::new(Trigger::Keyword, no("[CANNOT] no keywords"))]);
    restored.assert_partial();
    assert_eq!((restored.folder("INBOX").added, restored.folder("INBOX").remarks.len()), (300, 300));
    let (appends, stores) = (restored.appends().len(), restored.server.log().len());
    assert!(appends < 150, "{appends} APPENDs for 300 messages");
    assert!(stores < 200, "{stores} commands");
}

#[test]
fn r04_a_flag_that_does_not_exist_is_not_taken_for_a_mailbox_that_does_not() {
    let world = three();
    let fault = Fault::new(Trigger::Flag("\\Flagged".into()), no("no such flag"));
    let restored = world.restore(Behaviour::bare().with_fault(fault));
    restored.assert_partial();
    assert_eq!((restored.folder("INBOX").added, restored.folder("INBOX").proven), (3, 2));
    assert_eq!(restored.remarks("INBOX"), ["flags not kept: \\Flagged"]);
}
