//! Messages whose end is wrong, missing or hidden, and messages that look like one.

use std::time::Duration;

use message::MessageKey;
use restante_sync::Outcome;
use server::pop3::{Behaviour, Counting, Effect, Fault, Stuffing, Trigger};

use crate::world::{World, asked, with};

/// A message with a line that is nothing but a dot.
const DOT: &[u8] = b"Subject: dot\r\n\r\nbefore\r\n.\r\nafter\r\n";

/// The same by somebody who knows what follows then.
const FORGED: &[u8] = b"Subject: dot\r\n\r\nbefore\r\n.\r\n+OK 5 octets\r\nafter\r\n.\r\nend\r\n";

fn dot_is_meant() -> Trigger {
    Trigger::Content("Subject: dot".to_owned())
}

#[test]
fn p11_a_message_whose_dots_are_not_stuffed_is_refused_and_all_others_come() {
    let (fast, slow) = (Behaviour::modern(), Behaviour::modern().without("PIPELINING"));
    for (message, behaviour) in [(DOT, fast.clone()), (DOT, slow.clone()), (FORGED, fast), (FORGED, slow)] {
        let world = World::with_messages(30);
        world.deliver(message);
        world.fill(31..=40, 2_000);
        let (ledger, server) =
            world.pull(behaviour.with_fault(Fault::new(dot_is_meant(), Effect::Unstuffed)));
        assert_eq!((ledger.outcome, world.held().len()), (Outcome::Partial, 40), "{ledger:#?}");
        let [item] = &ledger.folders[0].failed[..] else { panic!("{ledger:#?}") };
        assert!(!item.why.is_empty());
        assert!(
            !world.held().iter().any(|key| !world.keys_on_server().contains(key)),
            "nothing wrong is kept"
        );
        assert!(asked(&server, "TOP") >= 1, "a second opinion: {:?}", server.log());
        world.assert_whole(&(0..70).map(|_| world.pull_with([])).find(|l| l.outcome == Outcome::Ok).unwrap());
    }
}

#[test]
fn p11_where_top_does_it_right_it_is_the_second_opinion() {
    for message in [DOT, FORGED] {
        let world = World::with_messages(10);
        world.deliver(message);
        world.fill(11..=20, 2_000);
        let (ledger, server) = world.pull(with([Fault::on("RETR", Effect::Unstuffed)]));
        world.assert_whole(&ledger);
        assert!(asked(&server, "TOP") >= 1, "{:?}", server.log());
    }
}

#[test]
fn p11_octets_behind_a_message_are_no_answer_to_the_next() {
    let world = World::with_messages(20);
    let injected = Fault::new(
        Trigger::Message(7),
        Effect::After(b"+OK 20 octets\r\nSubject: forged\r\n\r\n.\r\n".to_vec()),
    );
    let (ledger, _) = world.pull(with([injected.first(1)]));
    world.assert_whole(&ledger);
    assert_eq!(world.stored(), 20);
}

#[test]
fn p12_an_end_that_never_comes_costs_one_message() {
    let endings = [
        Effect::Terminator(Vec::new()),
        Effect::Terminator(b".\r".to_vec()),
        Effect::Terminator(b".\n".to_vec()),
        Effect::SilenceAfter(700),
    ];
    for ending in endings {
        let mut world = World::with_messages(20);
        world.limits.remote.progress = Duration::from_millis(150);
        let fault = Fault::new(Trigger::Content("number 7\r".into()), ending.clone());
        let (ledger, _) = world.pull(with([fault]));
        assert_eq!((ledger.outcome, world.held().len()), (Outcome::Partial, 19), "{ending:?} {ledger:#?}");
        assert_eq!(ledger.folders[0].failed.len(), 1, "{ledger:#?}");
        world.assert_whole(&(0..70).map(|_| world.pull_with([])).find(|l| l.outcome == Outcome::Ok).unwrap());
    }
}

#[test]
fn p12_a_message_without_end_is_given_up_at_a_bound() {
    let mut world = World::with_messages(20);
    world.limits.remote.message = 3 << 20;
    let endless = Effect::Endless(b"a line that comes again and again\r\n".to_vec());
    let (ledger, server) = world.pull(with([Fault::new(Trigger::Content("number 7\r".into()), endless)]));
    assert_eq!((ledger.outcome, world.held().len()), (Outcome::Partial, 19), "{ledger:#?}");
    assert!(server.counts().octets_sent < 60 << 20, "{:?}", server.counts());
}

#[test]
fn p12_a_line_without_end_is_held_in_no_memory() {
    let mut world = World::with_messages(5);
    (world.limits.remote.message, world.limits.remote.whole) = (8 << 20, 1 << 20);
    world.limits.remote.slice = 1 << 20;
    let endless = Fault::new(Trigger::Content("number 3\r".into()), Effect::Endless(vec![b'x'; 1000]));
    let (ledger, _) = world.pull(with([endless]));
    assert_eq!((ledger.outcome, world.held().len()), (Outcome::Partial, 4), "{ledger:#?}");
}

/// Everything that a line end and a dot can be.
fn odd_mail() -> Vec<Vec<u8>> {
    let bodies: [&[u8]; 22] = [
        b"",
        b"\r\n",
        b".",
        b".\r\n",
        b"..\r\n.\r\n...\r\n",
        b"\n.\n",
        b"a\n.\nb\r\n",
        b"a\r\n.\nb\r\n",
        b"a\n.\r\nb\r\n",
        b"a\r.\r\nb\r\n",
        b"a\r\r\n.\r\nb",
        b"no line end",
        b"bare LF\n",
        b"bare CR\r",
        b"\r\n\r\n\r\n",
        b"nul \0 and \xff\xfe\r\n",
        b".hidden\r\n..twice\r\n",
        b"-ERR no\r\n+OK yes\r\n",
        b"\n\n\n",
        b"\r\r\r",
        b"ends in a dot.",
        b"ends in CRLF dot\r\n.",
    ];
    let header = |n: usize| format!("Subject: {n}\r\n\r\n").into_bytes();
    bodies.iter().enumerate().map(|(n, body)| [&header(n), *body].concat()).collect()
}

#[test]
fn p13_all_octets_come_as_they_are_and_equal_at_each_fetch() {
    let world = World::new();
    for mail in odd_mail() {
        world.deliver(&mail);
    }
    world.deliver(&[b"Subject: long\r\n\r\n".to_vec(), vec![b'x'; 3 << 20], b"\r\n.end".to_vec()].concat());
    world.deliver(b"no header at all");
    world.deliver(b".\r\n");
    world.deliver(b"\r\n");
    world.assert_whole(&world.pull_with([]));
    // The same mail over IMAP has the same bytes, and is stored once.
    let stored = world.stored();
    let ledger = world.pull_over_imap("b");
    assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
    assert_eq!(world.stored(), stored);
    // A second fetch of all gives the same.
    let ledger = world.pull(Behaviour::modern().without("UIDL").without("TOP")).0;
    world.assert_whole(&ledger);
    assert_eq!(world.stored(), stored);
}

#[test]
fn p13_messages_in_slices_are_the_same_messages() {
    let mut world = World::new();
    world.limits.remote.whole = 64 << 10;
    world.limits.remote.slice = 16 << 10;
    let dots = [b"Subject: dots\r\n\r\n".to_vec(), b".\r\n..\r\n\r\n".repeat(60_000)].concat();
    world.deliver(&dots);
    world.deliver(&[&dots[..], b"without an end"].concat());
    world.fill(1..=5, 300_000);
    world.assert_whole(&world.pull_with([]));
    world.limits.remote.whole = 16 << 20;
    world.assert_whole(&world.pull(Behaviour::modern().without("UIDL").without("TOP")).0);
    assert_eq!(world.stored(), 7);
}

#[test]
fn p13_a_server_that_counts_the_end_it_adds_gives_it_each_time() {
    let world = World::new();
    world.deliver(b"Subject: 1\r\n\r\none\r\ntwo");
    for _ in 0..2 {
        let (ledger, _) =
            world.pull(Behaviour::modern().with_counts(Counting::Sent).without("UIDL").without("TOP"));
        assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
        assert_eq!(world.held(), [MessageKey::of(b"Subject: 1\r\n\r\none\r\ntwo\r\n")]);
    }
}

#[test]
fn p13_a_server_that_reads_lines_by_lf_gives_the_same_at_each_fetch() {
    let world = World::new();
    for mail in odd_mail() {
        world.deliver(&mail);
    }
    let behaviour = || Behaviour::modern().with_stuffing(Stuffing::AfterLf);
    assert_eq!(world.pull(behaviour()).0.outcome, Outcome::Ok);
    let held = world.held();
    let (ledger, _) = world.pull(behaviour().without("UIDL").without("TOP"));
    assert_eq!((ledger.outcome, world.held()), (Outcome::Ok, held), "{ledger:#?}");
}
