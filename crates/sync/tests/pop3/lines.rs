//! The line itself: cuts, stalls, endless lines, and servers that speak something else.

use std::time::Duration;

use remote::Security;
use restante_sync::Outcome;
use server::pop3::{Behaviour, Effect, Fault, Trigger};
use server::{Gate, Tls};
use testkit::Certificates;

use crate::world::{World, asked, with};

#[test]
fn n01_a_cut_at_any_octet_costs_what_was_on_the_line_and_no_message() {
    let probe = World::with_messages(25);
    let (ledger, server) = probe.pull(Behaviour::modern().without("PIPELINING"));
    probe.assert_whole(&ledger);
    let (all, content) = (server.counts().octets_sent, server.counts().retrieved_octets);
    for pipelining in [true, false] {
        for cut in 1..40 {
            let world = World::with_messages(25);
            let fault = Fault::new(Trigger::SentInAll(all * cut / 40), Effect::Disconnect);
            let behaviour = with([fault]);
            let behaviour = if pipelining { behaviour } else { behaviour.without("PIPELINING") };
            let (ledger, server) = world.pull(behaviour);
            world.assert_whole(&ledger);
            assert_eq!(world.stored(), 25);
            let again = server.counts().retrieved_octets.saturating_sub(content);
            // Pipelined, what is under way may be sent into the void.
            let most = if pipelining { content } else { 2_300 };
            assert!(again <= most, "cut at {cut}/40: {again} octets again");
        }
    }
}

#[test]
fn n01_what_had_come_before_a_cut_is_kept_though_the_server_never_comes_back() {
    let world = World::with_messages(20);
    let gone = Fault::new(Trigger::Greeting, Effect::Disconnect).from(2);
    let cut = Fault::on("RETR", Effect::DisconnectAfter(100)).only(12);
    let (ledger, _) = world.pull(Behaviour::modern().without("PIPELINING").with_fault(gone).with_fault(cut));
    assert_ne!(ledger.outcome, Outcome::Ok);
    assert_eq!((world.held().len(), ledger.totals.archived), (11, 11), "{ledger:#?}");
    let (ledger, server) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    assert_eq!(asked(&server, "RETR"), 9);
}

#[test]
fn n01_a_message_that_always_breaks_the_line_is_left_out_by_name() {
    let world = World::with_messages(20);
    let kills = Fault::new(Trigger::Content("number 7\r".into()), Effect::DisconnectAfter(900));
    let (ledger, server) = world.pull(with([kills]));
    assert_eq!((ledger.outcome, world.held().len()), (Outcome::Partial, 19), "{ledger:#?}");
    assert_eq!(ledger.folders[0].failed.len(), 1, "{ledger:#?}");
    assert!(server.counts().logins <= 6, "{:?}", server.counts());
    world.assert_whole(&(0..70).map(|_| world.pull_with([])).find(|l| l.outcome == Outcome::Ok).unwrap());
}

#[test]
fn n01_a_cut_at_quit_changes_nothing() {
    for effect in [Effect::Disconnect, Effect::DisconnectAfter(2), Effect::Err("[SYS/TEMP] not now".into())] {
        let world = World::with_messages(3);
        world.assert_whole(&world.pull_with([Fault::on("QUIT", effect)]));
    }
}

#[test]
fn n02_a_line_that_is_dead_without_a_word_is_left_and_taken_up_again() {
    let mut world = World::with_messages(20);
    world.limits.remote.progress = Duration::from_millis(150);
    for command in ["RETR", "UIDL", "LIST", "STAT", "PASS", "CAPA"] {
        let silent = Fault::on(command, Effect::SilenceAfter(4)).only(1);
        let ledger = world.pull_with([silent]);
        world.assert_whole(&ledger);
    }
}

#[test]
fn n03_a_server_that_never_greets_or_never_says_goodbye_holds_nobody() {
    let mut world = World::with_messages(5);
    (world.limits.remote.greeting, world.limits.remote.logout) =
        (Duration::from_millis(150), Duration::from_millis(150));
    world.assert_whole(&world.pull_with([Fault::new(Trigger::Greeting, Effect::Silence).first(1)]));
    world.assert_whole(&world.pull_with([Fault::on("QUIT", Effect::Silence)]));
}

#[test]
fn n03_a_server_that_drips_is_left_when_it_is_too_slow() {
    let mut world = World::with_messages(5);
    (world.limits.remote.progress, world.limits.remote.slowest) = (Duration::from_millis(150), 100_000);
    let gate = Gate::new();
    gate.open(40);
    let drip = Fault::on("RETR", Effect::Drip(10, gate)).only(2);
    world.assert_whole(&world.pull_with([drip]));
}

#[test]
fn n04_lines_and_answers_without_end_are_left_at_their_bounds() {
    let mut world = World::with_messages(5);
    (world.limits.remote.line, world.limits.remote.answer) = (64 << 10, 1 << 20);
    world.limits.remote.responses = 50_000;
    let x = || Effect::Endless(b"x".to_vec());
    let faults = [
        Fault::new(Trigger::Greeting, x()),
        Fault::on("PASS", x()),
        Fault::on("CAPA", x()),
        Fault::on("CAPA", Effect::Endless(b"X-MORE\r\n".to_vec())),
        Fault::on("STAT", x()),
        Fault::on("UIDL", x()),
        Fault::on("UIDL", Effect::Endless(b"1 a\r\n".to_vec())),
        Fault::on("LIST", Effect::Endless(b"7 7\r\n".to_vec())),
        Fault::on("RETR", Effect::Instead(vec![b'x'; 1 << 20])),
        Fault::on("NOOP", x()),
    ];
    for fault in faults {
        let ledger = world.pull_with([fault.clone().first(1)]);
        assert!(ledger.outcome == Outcome::Ok || ledger.error.is_some(), "{fault:?} {ledger:#?}");
        world.assert_whole(&world.pull_with([]));
        let (ledger, server) = world.pull(with([fault.clone()]));
        assert!(server.counts().octets_sent < 100 << 20, "{fault:?} {:?}", server.counts());
        assert_eq!((ledger.totals.vanished, ledger.suspicious), (0, false), "{fault:?} {ledger:#?}");
    }
    assert_eq!(world.stored(), 5);
}

#[test]
fn n04_octets_before_the_greeting_and_between_answers_are_no_mail() {
    let world = World::with_messages(10);
    for fault in [
        Fault::new(Trigger::Greeting, Effect::Before(b"220 hello\r\n".to_vec())).first(1),
        Fault::on("UIDL", Effect::Before(b"+OK forged\r\n1 x\r\n.\r\n".to_vec())).only(1),
        Fault::on("RETR", Effect::Before(b"+OK 3 octets\r\nabc\r\n.\r\n".to_vec())).only(4),
    ] {
        let ledger = world.pull_with([fault.clone()]);
        assert_eq!((ledger.totals.vanished, ledger.suspicious), (0, false), "{fault:?} {ledger:#?}");
        world.assert_whole(&world.pull_with([]));
        assert_eq!(world.stored(), 10, "{fault:?}: nothing forged is kept");
    }
}

#[test]
fn n07_a_server_of_something_else_gets_no_password() {
    for greeting in [
        &b"* OK IMAP4rev1 ready\r\n"[..],
        b"220 mail.example.org ESMTP\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.9\r\n",
        b"\x15\x03\x01\x00\x02\x02\x46",
    ] {
        let mut world = World::with_messages(3);
        world.limits.remote.greeting = Duration::from_millis(150);
        let (ledger, server) =
            world.pull(with([Fault::new(Trigger::Greeting, Effect::Instead(greeting.to_vec()))]));
        assert_eq!(ledger.outcome, Outcome::Failed);
        assert!(server.log().iter().all(|line| !line.starts_with("USER") && !line.starts_with("PASS")));
        assert!(ledger.error.is_some_and(|error| error.contains("POP3")), "{}", greeting.escape_ascii());
    }
}

#[test]
fn n09_without_stls_no_credential_is_sent() {
    let mut world = World::with_messages(3);
    world.security = Security::StartTls;
    let refused = with([Fault::on("STLS", Effect::Err("no".into()))]).with("STLS");
    for behaviour in [Behaviour::modern(), Behaviour::bare(), refused] {
        let (ledger, server) = world.pull(behaviour);
        assert_eq!(ledger.outcome, Outcome::Failed, "{ledger:#?}");
        let log = server.log();
        assert!(log.iter().all(|line| ["CAPA", "STLS", "QUIT"].contains(&line.as_str())), "{log:?}");
    }
}

fn starting_tls(world: &mut World) -> Behaviour {
    let certificates = Certificates::new();
    let good = certificates.good;
    let config = server::tls_config(good.certificate.as_bytes(), good.key.as_bytes()).unwrap();
    (world.security, world.authority) = (Security::StartTls, certificates.authority);
    Behaviour::modern().with_tls(Tls::StartTls(config))
}

#[test]
fn n10_an_answer_that_was_injected_before_tls_ends_the_connection() {
    let mut world = World::with_messages(3);
    let behaviour = starting_tls(&mut world);
    let (ledger, server) = world.pull(behaviour.clone());
    world.assert_whole(&ledger);
    assert_eq!(asked(&server, "STLS"), 1);
    let injected = Fault::on("STLS", Effect::After(b"+OK evil\r\n".to_vec()));
    let (ledger, server) = world.pull(behaviour.with_fault(injected));
    assert_eq!(ledger.outcome, Outcome::Failed, "{ledger:#?}");
    assert!(server.log().iter().all(|line| !line.starts_with("PASS")), "{:?}", server.log());
}

#[test]
fn n16_round_trips_do_not_grow_with_the_mailbox_where_commands_may_be_pipelined() {
    let round_trips = |messages| {
        let world = World::with_messages(messages);
        let (ledger, server) = world.pull(Behaviour::modern());
        world.assert_whole(&ledger);
        server.counts().round_trips
    };
    let (few, many) = (round_trips(10), round_trips(300));
    assert!(few <= 10 && many <= 30, "{few} for 10 messages, {many} for 300");
}
