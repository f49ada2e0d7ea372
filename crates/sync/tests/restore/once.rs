//! Every message exactly once: equal ones, cuts in each phase, servers that do not say what they took
//! (R7 to R10).

use restante_sync::RestoreOutcome;
use server::{Behaviour, Effect, Fault, Trigger};

use super::world::{World, contents, mail, no, on, put, store};

/// Those that know many ways to take mail, and those that know only one.
fn targets() -> [(&'static str, Behaviour); 4] {
    let modern = Behaviour::modern();
    [
        ("modern", modern.clone()),
        ("bare", Behaviour::bare()),
        ("one by one", modern.clone().without("MULTIAPPEND")),
        ("without UIDPLUS", modern.without("UIDPLUS").without("IMAP4rev2")),
    ]
}

#[test]
fn r09_a_second_restore_adds_nothing() {
    for (kind, target) in targets() {
        let world = World::with(9);
        world.restore(target.clone()).assert_proven();
        world.assert_back();
        let again = world.restore(target);
        again.assert_proven();
        assert_eq!((again.report.totals.already_there, again.report.totals.added), (9, 0), "{kind}");
        assert!(again.appends().is_empty());
        world.assert_back();
    }
}

#[test]
fn r10_equal_messages_come_back_as_often_as_they_were_there() {
    for (kind, target) in targets() {
        let world = World::empty();
        for flags in ["\\Seen", "\\Seen", "", "\\Flagged"] {
            world.deliver("INBOX", &mail(1), flags);
            world.deliver("Sent", &mail(1), flags);
        }
        world.deliver("INBOX", &mail(2), "");
        world.pull();
        // One of the four is there already.
        let date = world.source.messages("anna", "INBOX").unwrap()[0].date.clone();
        put(&world.target, "INBOX", &mail(1), "\\Seen", &date);
        let restored = world.restore(target.clone());
        restored.assert_proven();
        assert_eq!(restored.folder("INBOX").already_there, 1, "{kind}");
        world.assert_back();
        world.restore(target).assert_proven();
        world.assert_back();
    }
}

#[test]
fn r07_where_no_uid_is_told_the_new_messages_are_found_all_the_same() {
    let silent = Behaviour::modern().with_fault(Fault::new(on("APPEND"), Effect::NoAppendUid));
    for target in [Behaviour::modern().without("UIDPLUS").without("IMAP4rev2"), silent, Behaviour::bare()] {
        let world = World::with(7);
        // What was in the mailbox before is none of ours, and has the same size and date.
        let date = world.source.messages("anna", "INBOX").unwrap()[0].date.clone();
        put(&world.target, "INBOX", &mail(1).to_ascii_uppercase(), "", &date);
        let restored = world.restore(target);
        restored.assert_proven();
        assert_eq!((restored.report.totals.added, restored.report.totals.proven), (7, 7));
        assert_eq!(contents(&world.target)["INBOX"].len(), 8);
    }
}

/// Each phase of an APPEND in which a connection can end.
fn phases() -> [(&'static str, Trigger, Effect); 7] {
    [
        ("before the literal", Trigger::Literal, Effect::Disconnect),
        ("at the first octet of the literal", Trigger::Literal, Effect::DisconnectInLiteral(0)),
        ("in the literal", Trigger::Literal, Effect::DisconnectInLiteral(200)),
        ("at the end of the literal", Trigger::Literal, Effect::DisconnectInLiteral(10_000)),
        ("before it is stored", on("APPEND"), Effect::Disconnect),
        ("after it is stored, before the OK", on("APPEND"), Effect::DisconnectAfter(0)),
        ("in the OK", on("APPEND"), Effect::DisconnectAfter(9)),
    ]
}

#[test]
fn r08_a_run_that_is_cut_in_any_phase_of_an_append_goes_on_and_adds_nothing_twice() {
    for (kind, target) in targets() {
        for (phase, when, what) in phases() {
            let world = World::with(6);
            let fault = Fault::new(when, what);
            let restored =
                world.restore(target.clone().with_fault(fault.clone().only(1)).with_fault(fault.only(4)));
            assert_eq!(restored.report.outcome, RestoreOutcome::Proven, "{kind}, {phase}: {restored:#?}");
            assert_eq!(restored.report.totals.added, 6, "{kind}, {phase}");
            assert!(restored.folder("INBOX").notices.is_empty(), "{kind}, {phase}: {restored:#?}");
            assert_eq!(contents(&world.target), contents(&world.source), "{kind}, {phase}");
        }
    }
}

#[test]
fn r09_a_run_that_ends_in_any_phase_of_an_append_is_done_by_the_next_and_nothing_is_there_twice() {
    for (kind, target) in targets() {
        for (phase, when, what) in phases() {
            let mut world = World::with(6);
            world.patience.cuts = 0;
            let cut = world.restore(target.clone().with_fault(Fault::new(when, what)));
            assert_ne!(cut.report.outcome, RestoreOutcome::Proven, "{kind}, {phase}");
            let taken = contents(&world.target)["INBOX"].len() as u64;
            let again = world.restore(target.clone());
            again.assert_proven();
            assert_eq!(again.report.totals.already_there, taken, "{kind}, {phase}");
            assert_eq!(again.report.totals.added, 6 - taken, "{kind}, {phase}");
            assert_eq!(contents(&world.target), contents(&world.source), "{kind}, {phase}");
        }
    }
}

#[test]
fn r09_cut_at_every_few_octets_and_run_again_every_message_is_there_once() {
    for (kind, target) in targets() {
        let mut world = World::with(3);
        let whole = world.restore(target.clone());
        whole.assert_proven();
        let (sent, received) = (whole.server.counts().octets_sent, whole.server.counts().octets_received);
        drop(whole);
        world.patience.cuts = 0;
        let steps = |octets: u64| (1..octets).step_by(usize::try_from(octets / 30).unwrap() + 1);
        let cuts = steps(sent).map(Trigger::SentInAll).chain(steps(received).map(Trigger::ReceivedInAll));
        for cut in cuts {
            world.target = store();
            world.restore(target.clone().with_fault(Fault::new(cut.clone(), Effect::Disconnect)));
            let again = world.restore(target.clone());
            assert_eq!(again.report.outcome, RestoreOutcome::Proven, "{kind}, {cut:?}: {again:#?}");
            assert_eq!(contents(&world.target), contents(&world.source), "{kind}, {cut:?}");
        }
    }
}

#[test]
fn r08_a_server_that_goes_away_in_the_middle_is_waited_for() {
    let world = World::with(8);
    let target = Behaviour::bare()
        .with_fault(Fault::new(Trigger::Appends(2), Effect::Bye("[UNAVAILABLE] moving".into())));
    let restored = world.restore(target);
    restored.assert_proven();
    world.assert_back();
    assert!(restored.server.counts().logins >= 4, "{:?}", restored.server.counts());
}

#[test]
fn r09_what_others_do_to_the_target_meanwhile_is_not_undone() {
    let world = World::with(5);
    world.restore(Behaviour::modern()).assert_proven();
    // Somebody deletes one of them and gets new mail: it is brought back, the new mail stays.
    let uid = world.target.messages("anna", "INBOX").unwrap()[2].uid;
    world.target.expunge("anna", "INBOX", &message::UidSet::from_iter([uid])).unwrap();
    let date = message::InternalDate::from_unix(1_700_000_000, 0);
    put(&world.target, "INBOX", &mail(900), "", &date);
    let again = world.restore(Behaviour::modern());
    again.assert_proven();
    assert_eq!((again.report.totals.already_there, again.report.totals.added), (4, 1));
    assert_eq!(contents(&world.target)["INBOX"].len(), 6);
}

#[test]
fn r08_an_answer_that_never_comes_is_a_cut() {
    let world = World::with(4);
    let silent = Fault::new(on("APPEND"), Effect::Silence).first(1);
    let restored = world.restore_with(Behaviour::bare().with_fault(silent), |job| {
        job.limits.remote.progress = std::time::Duration::from_millis(200);
    });
    restored.assert_proven();
    world.assert_back();
}

#[test]
fn r08_a_refused_login_on_the_way_is_told_and_the_next_run_goes_on() {
    let world = World::with(4);
    let faults = [
        Fault::new(on("APPEND"), Effect::Disconnect).first(1),
        Fault::new(Trigger::Login, no("[AUTHENTICATIONFAILED] no longer")).from(3),
    ];
    let restored = world.restore(faults.into_iter().fold(Behaviour::bare(), Behaviour::with_fault));
    assert_ne!(restored.report.outcome, RestoreOutcome::Proven);
    assert!(restored.report.error.is_some(), "{restored:#?}");
    world.restore(Behaviour::bare()).assert_proven();
    world.assert_back();
}

#[test]
fn r08_what_the_server_still_stores_for_a_connection_that_is_gone_is_not_sent_again() {
    for (kind, target) in targets() {
        for (cuts, has_mail) in [(0, true), (5, true), (0, false), (5, false)] {
            let mut world = World::empty();
            world.fill("INBOX", 6);
            world.fill("Work", 2);
            world.pull();
            if has_mail {
                let date = message::InternalDate::from_unix(1_600_000_000, 0);
                put(&world.target, "INBOX", &mail(70), "", &date);
            }
            world.patience.cuts = cuts;
            let settles = |job: &mut restante_sync::RestoreJob| {
                job.connections = 1;
                job.limits.settle = std::time::Duration::from_millis(1);
            };
            // The target is counted once before it has to stand still; a cut in a run needs no such count.
            let late = Effect::StoresLate(if cuts == 0 { 2 } else { 1 });
            let late = Fault::new(on("APPEND"), late).only(1);
            let server = testkit::Scripted::start(world.target.clone(), target.clone().with_fault(late));
            let first = world.restore_to(&server, settles);
            assert_eq!(first.outcome == RestoreOutcome::Proven, cuts > 0, "{kind}: {first:#?}");
            let again = world.restore_to(&server, settles);
            assert_eq!(again.outcome, RestoreOutcome::Proven, "{kind}: {again:#?}");
            let there = contents(&world.target)["INBOX"].len();
            assert_eq!(there, 6 + usize::from(has_mail), "{kind}, {cuts} cuts borne");
        }
    }
}
