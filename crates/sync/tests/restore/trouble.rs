//! Targets that do not take a message, a literal or several at once, and those that are busy (R14).

use message::MessageKey;
use restante_sync::RestoreOutcome;
use server::{Behaviour, Effect, Fault, Trigger};

use super::world::{World, bad, contents, given, kept, mail, no, on};

#[test]
fn r14_a_message_that_is_always_refused_is_named_and_the_rest_goes_on() {
    for (kind, target) in [("modern", Behaviour::modern()), ("bare", Behaviour::bare())] {
        let world = World::with(30);
        let fault = Fault::new(given(17), bad("Command Argument Error. 11"));
        let restored = world.restore(target.with_fault(fault));
        restored.assert_partial();
        let refused = &restored.folder("INBOX").refused;
        assert_eq!(refused.len(), 1, "{kind}: {restored:#?}");
        assert_eq!(refused[0].id, MessageKey::of(&mail(17)).to_string());
        assert!(refused[0].why.contains("Command Argument Error. 11"), "{kind}: {}", refused[0].why);
        assert_eq!(restored.folder("INBOX").proven, 29);
        assert_eq!(kept(&world.target, "INBOX").len(), 29);
    }
}

#[test]
fn r14_a_message_that_ends_the_connection_is_found_out_and_named_and_the_rest_goes_on() {
    for effect in [Effect::Bye("System Error".into()), Effect::Disconnect] {
        for (kind, target) in [("modern", Behaviour::modern()), ("bare", Behaviour::bare())] {
            let world = World::with(12);
            let restored = world.restore(target.with_fault(Fault::new(given(7), effect.clone())));
            restored.assert_partial();
            let refused = &restored.folder("INBOX").refused;
            assert_eq!(refused.len(), 1, "{kind}: {restored:#?}");
            assert_eq!(refused[0].id, MessageKey::of(&mail(7)).to_string());
            assert_eq!(kept(&world.target, "INBOX").len(), 11, "{kind}");
            assert_eq!(restored.folder("INBOX").proven, 11, "{kind}");
        }
    }
}

#[test]
fn r14_several_at_once_that_are_always_refused_go_one_by_one() {
    let several = |refusal| {
        // Only in a command of several does anything follow a literal.
        Behaviour::modern().with_fault(Fault::new(Trigger::Line("} (".into()), refusal))
    };
    for target in [
        several(bad("MULTIAPPEND? never heard of it")),
        several(no("[CANNOT] one at a time")),
        Behaviour::modern().with_broken("MULTIAPPEND"),
    ] {
        let world = World::with(9);
        let restored = world.restore(target);
        restored.assert_proven();
        world.assert_back();
    }
}

#[test]
fn r14_a_server_that_goes_away_at_unasked_literals_is_soon_understood() {
    let world = World::with(120);
    let target = Behaviour::modern().with_fault(Fault::new(Trigger::Unasked(0), Effect::Disconnect));
    let restored = world.restore(target);
    restored.assert_proven();
    world.assert_back();
    let connections = restored.server.counts().connections;
    assert!(connections < 30, "{connections} connections");
}

#[test]
fn r14_literals_that_are_not_understood_unasked_are_sent_when_asked_for() {
    let world = World::with(9);
    let restored = world.restore(Behaviour::modern().with_broken("LITERAL+"));
    restored.assert_proven();
    world.assert_back();
}

#[test]
fn r14_a_server_that_chokes_on_unasked_literals_gets_them_when_it_asks() {
    for effect in [Effect::Disconnect, Effect::Bye("protocol error".into()), Effect::Silence] {
        let world = World::with(3);
        let target = Behaviour::modern().with_fault(Fault::new(Trigger::Unasked(0), effect.clone()));
        let restored = world.restore_with(target, |job| {
            job.limits.remote.progress = std::time::Duration::from_millis(200);
            job.limits.patience.cuts = 20;
        });
        assert_eq!(restored.report.outcome, RestoreOutcome::Proven, "{effect:?}: {restored:#?}");
        world.assert_back();
    }
}

#[test]
fn r14_with_literal_minus_no_more_than_4096_octets_come_unasked() {
    for length in [4095_usize, 4096, 4097, 9000] {
        let world = World::empty();
        let mut bytes = mail(1);
        bytes.resize(length, b'x');
        world.deliver("INBOX", &bytes, "\\Seen");
        world.pull();
        let target = Behaviour::bare().with("LITERAL-");
        let fault = Fault::new(Trigger::Unasked(4096), bad("no more than 4096"));
        let restored = world.restore(target.with_fault(fault));
        restored.assert_proven();
        world.assert_back();
        assert_eq!(restored.appends().len(), 1, "{length}");
    }
}

#[test]
fn r14_a_server_that_is_busy_is_given_time() {
    for busy in [no("[LIMIT] slow down"), no("[THROTTLED] too many commands"), no("[UNAVAILABLE] later")] {
        for (kind, target) in [("modern", Behaviour::modern()), ("bare", Behaviour::bare())] {
            let world = World::with(10);
            let fault = Fault::new(on("APPEND"), busy.clone()).first(2);
            let restored = world.restore(target.with_fault(fault));
            assert_eq!(restored.report.outcome, RestoreOutcome::Proven, "{kind}, {busy:?}: {restored:#?}");
            world.assert_back();
        }
    }
}

#[test]
fn r14_a_server_that_takes_few_in_a_connection_gets_more_connections() {
    let world = World::with(10);
    let target = Behaviour::bare().with_fault(Fault::new(Trigger::Appends(3), no("[LIMIT] no more today")));
    let restored = world.restore(target);
    restored.assert_proven();
    world.assert_back();
}

#[test]
fn r14_a_server_that_never_takes_more_ends_the_restore_with_its_words() {
    let world = World::with(10);
    let busy = Fault::new(on("APPEND"), no("[LIMIT] come back tomorrow")).from(4);
    let restored = world.restore(Behaviour::bare().with_fault(busy));
    restored.assert_partial();
    let error = restored.report.error.clone().unwrap();
    assert!(error.contains("come back tomorrow"), "{error}");
    assert_eq!(restored.folder("INBOX").added, 3);
    assert_eq!(restored.folder("INBOX").not_sent, 7);
    world.restore(Behaviour::bare()).assert_proven();
    world.assert_back();
}

#[test]
fn r14_a_server_that_lets_in_few_connections_is_served_by_those() {
    let world = World::empty();
    for folder in ["INBOX", "a", "b", "c", "d"] {
        world.fill(folder, 3);
    }
    world.pull();
    for sessions in 1..=3 {
        for target in [Behaviour::modern(), Behaviour::bare()] {
            world.target.wipe("anna").unwrap();
            let target = target.with_sessions_at_once(sessions);
            let restored = world.restore_with(target.clone(), |job| job.connections = 4);
            assert_eq!(restored.report.outcome, RestoreOutcome::Proven, "{sessions}: {restored:?}");
            assert_eq!(contents(&world.target), contents(&world.source));
            // With flags to be set, and read again.
            let uid = message::Uid::MIN;
            world.target.set_flags("anna", "a", uid, &message::Flags::parse("other")).unwrap();
            let again = world.restore_with(target, |job| job.connections = 4);
            assert_eq!(again.report.outcome, RestoreOutcome::Proven, "{sessions}: {again:?}");
            assert_eq!(again.report.totals.flags_set, 1);
            assert_eq!(contents(&world.target), contents(&world.source));
        }
    }
}

#[test]
fn r14_a_mailbox_that_is_in_use_costs_only_itself() {
    let world = World::empty();
    for folder in ["INBOX", "Busy", "Other"] {
        world.fill(folder, 3);
        if folder != "INBOX" {
            world.target.create("anna", folder).unwrap();
        }
    }
    world.pull();
    let names = |command: &str| Trigger::Names(command.into(), "Busy".into());
    let faults = || {
        [
            Fault::new(names("SELECT"), no("[INUSE] locked")),
            Fault::new(names("EXAMINE"), no("[INUSE] locked")),
            Fault::new(names("APPEND"), no("[INUSE] locked")),
        ]
    };
    let restored = world.restore_despite(faults());
    restored.assert_partial();
    let busy = restored.folder("Busy");
    assert!(busy.error.as_deref().is_some_and(|error| error.contains("locked")), "{busy:#?}");
    assert_eq!((restored.folder("INBOX").proven, restored.folder("Other").proven), (3, 3));
    assert!(kept(&world.target, "Busy").is_empty());
    world.restore(Behaviour::modern()).assert_proven();
    world.assert_back();
}
