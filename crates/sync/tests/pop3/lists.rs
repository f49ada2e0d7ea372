//! Lists that are not whole, commands that are missing or do something else, odd announcements.

use restante_sync::Outcome;
use server::pop3::{Behaviour, Effect, Fault, Trigger};

use crate::scripted::mail;
use crate::world::{World, asked, with};

#[test]
fn p08_a_listing_that_ends_early_is_completed_one_by_one() {
    for command in ["UIDL", "LIST"] {
        let world = World::with_messages(30);
        let (ledger, server) = world.pull(with([Fault::on(command, Effect::EndsAfter(18))]));
        world.assert_whole(&ledger);
        assert!(asked(&server, command) >= 12, "{command}: {:?}", server.log());
        let (ledger, server) = world.pull(with([Fault::on(command, Effect::EndsAfter(18))]));
        world.assert_whole(&ledger);
        assert_eq!((asked(&server, "RETR"), world.stored()), (0, 30));
    }
}

#[test]
fn p08_a_listing_that_ends_early_never_makes_a_message_vanish() {
    let world = World::with_messages(30);
    world.assert_whole(&world.pull_with([]));
    let refused = |number: u32| Fault::new(Trigger::Line(format!("UIDL {number}")), Effect::Err("no".into()));
    let faults = (1..=30).map(refused).chain([Fault::on("UIDL", Effect::EndsAfter(10)).only(1)]);
    let (ledger, _) = world.pull(with(faults));
    assert_eq!((ledger.totals.vanished, ledger.suspicious), (0, false), "{ledger:#?}");
    assert_eq!((world.held(), world.stored()), (world.keys_on_server(), 30));
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn p08_lines_that_lack_are_odd_or_come_twice_are_no_loss() {
    let line = |number, octets: &[u8]| Fault::new(Trigger::Listed(number), Effect::Line(octets.to_vec()));
    let world = World::with_messages(30);
    world.assert_whole(&world.pull_with([]));
    for _ in 0..2 {
        let odd = [
            Fault::new(Trigger::Listed(3), Effect::Hide),
            line(5, b"x y\r\n"),
            line(7, b"4294967297 abc\r\n"),
            line(8, b"999 abc\r\n"),
            line(9, b"\r\n"),
            line(11, b"12 12\r\n11 11\r\n"),
            line(13, &[&b"13 "[..], &[b'u'; 5_000], b"\r\n"].concat()),
        ];
        let (ledger, _) = world.pull(with(odd));
        assert_eq!((ledger.totals.vanished, ledger.suspicious), (0, false), "{ledger:#?}");
        // A message that was called by another name as well may lie there twice until the next run.
        let mut held = world.held();
        held.dedup();
        assert_eq!((held, world.stored()), (world.keys_on_server(), 30));
    }
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn p08_mail_that_is_delivered_in_the_middle_waits_for_the_next_run() {
    let world = World::with_messages(5);
    let progress = crate::world::WhenMessageComes(|| world.fill([900], 900));
    let (ledger, _) = world.pull_watched(Behaviour::modern(), &progress);
    assert_eq!((ledger.outcome, ledger.totals.archived), (Outcome::Ok, 5), "{ledger:#?}");
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn p14_top_may_be_missing_announced_in_vain_or_do_something_else() {
    let behaviours = [
        Behaviour::modern().without("TOP"),
        Behaviour::modern().with_broken("TOP"),
        with([Fault::on("TOP", Effect::TopMore(3))]),
        with([Fault::on("TOP", Effect::TopUnended)]),
        with([Fault::on("TOP", Effect::Content(b"Subject: the same for all\r\n\r\n".to_vec()))]),
        with([Fault::on("TOP", Effect::Instead(b"+OK\r\n.\r\n".to_vec()))]),
    ];
    for (case, behaviour) in behaviours.into_iter().enumerate() {
        let world = World::with_messages(40);
        world.assert_whole(&world.pull(behaviour.clone()).0);
        world.deliver(&mail(41, 2_000));
        let (ledger, _) = world.pull(behaviour.clone());
        world.assert_whole(&ledger);
        let placements = world.placements("a").len();
        assert_eq!((ledger.totals.new, world.stored(), placements), (1, 41, 41), "{case}: {ledger:#?}");
        let (ledger, _) = world.pull(behaviour.without("UIDL"));
        world.assert_whole(&ledger);
        assert_eq!(world.stored(), 41, "{case}");
    }
}

#[test]
fn p14_pipelining_is_used_only_where_it_is_announced() {
    let world = World::with_messages(60);
    let (ledger, server) = world.pull(Behaviour::modern().without("PIPELINING"));
    world.assert_whole(&ledger);
    assert_eq!(server.counts().pipelined, 0);
    let world = World::with_messages(60);
    let (ledger, server) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    assert!(server.counts().pipelined > 30, "{:?}", server.counts());
    assert!(server.counts().round_trips < 20, "{:?}", server.counts());
}

#[test]
fn p14_pipelining_that_is_announced_and_does_not_work_is_done_without() {
    let mut world = World::with_messages(60);
    world.limits.remote.progress = std::time::Duration::from_millis(200);
    let (ledger, server) = world.pull(Behaviour::modern().with_broken("PIPELINING"));
    world.assert_whole(&ledger);
    assert!(server.counts().logins < 5, "{:?}", server.counts());
}

#[test]
fn p14_what_is_announced_may_be_odd_or_nothing() {
    let odd: [&[u8]; 5] = [
        b"-ERR what?\r\n",
        b"+OK\r\n.\r\n",
        b"+OK\r\ntop\r\nuidl\r\nEXPIRE\r\nEXPIRE x y\r\nLOGIN-DELAY\r\nLOGIN-DELAY -1 USER\r\nSASL\r\n.\r\n",
        b"+OK\r\n\r\n   \r\nX-\xff\xfe\x1b[2J\r\nUIDL TOP\r\n.\r\n",
        b"+OK list follows\r\nEXPIRE 99999999999999999999\r\nLOGIN-DELAY 99999999999999999999\r\nUSER\r\nUIDL\r\n.\r\n",
    ];
    for answer in odd {
        let world = World::with_messages(10);
        let behaviour = with([Fault::on("CAPA", Effect::Instead(answer.to_vec()))]);
        let (ledger, _) = world.pull(behaviour.clone());
        world.assert_whole(&ledger);
        let (ledger, server) = world.pull(behaviour);
        world.assert_whole(&ledger);
        let text = answer.escape_ascii();
        assert_eq!((world.stored(), ledger.totals.new), (10, 0), "{text}: {:?}", server.log());
    }
}

#[test]
fn p14_a_greeting_may_say_anything_behind_ok() {
    for greeting in ["", "\x1b[2J ready \u{202e}", "<not a timestamp", &"x".repeat(4_000)] {
        let world = World::with_messages(3);
        let (ledger, _) = world.pull(Behaviour::modern().with_greeting(greeting));
        world.assert_whole(&ledger);
    }
}
