//! The line is cut at any octet, again and again, and in the end everything is there (N1).
//!
//! Over IMAP and over POP3. Each run goes through a proxy that cuts its connections at octets that a seed decides. Whatever
//! was committed before a cut is not fetched again, so that all octets together stay near what one
//! undisturbed run takes.
//!
//! With RESTANTE_LONG=1 there are 210 cuts, else 30.

use std::net::SocketAddr;

use restante_tests::{World, append, is_long};
use testkit::{FaultProxy, Harm, Options};

const MESSAGES: u32 = 300;

// Three at the same time, for after each cut the program waits a little before it tries again.
const CUTS_EACH: u64 = 10;

fn cuts() -> u64 {
    if is_long() { 70 } else { CUTS_EACH }
}

#[test]
fn n01_a_line_cut_at_random_octets_costs_little_and_loses_nothing() {
    cut_imap(cuts(), 1);
}

#[test]
fn n01_a_line_cut_at_other_octets_costs_little_and_loses_nothing() {
    cut_imap(cuts(), 1_000);
}

#[test]
fn n01_a_line_cut_at_yet_other_octets_costs_little_and_loses_nothing() {
    cut_imap(cuts(), 1_000_000);
}

#[test]
fn n01_a_line_cut_at_random_octets_of_a_pop3_session_costs_little_and_loses_nothing() {
    let Some(world) = World::over_pop3(Options::default()) else { return };
    append(&mut world.judge(), "INBOX", 0..MESSAGES);
    let address = world.dovecot.pop3().expect("it speaks POP3");
    let line = Line { address, lines: "protocol = \"pop3\"\n", messages: MESSAGES };
    cut_again_and_again(&world, &line, cuts(), 5, World::assert_archive_equals_maildrop);
}

fn cut_imap(cuts: u64, seed: u64) {
    let Some(world) = World::new() else { return };
    let mut judge = world.judge();
    judge.create("Sent");
    append(&mut judge, "INBOX", 0..MESSAGES);
    append(&mut judge, "Sent", MESSAGES..MESSAGES + 60);
    let line = Line { address: world.dovecot.plain(), lines: "", messages: MESSAGES + 60 };
    cut_again_and_again(&world, &line, cuts, seed, World::assert_archive_equals_server);
}

/// What is cut.
struct Line {
    address: SocketAddr,
    /// For the account, beside its port.
    lines: &'static str,
    /// How many messages are to be had.
    messages: u32,
}

/// Cuts the line so often, at octets that depend on the seed.
fn cut_again_and_again(world: &World, line: &Line, cuts: u64, mut seed: u64, check: impl Fn(&World)) {
    let everything = world.judge().everything();
    let floor: u64 = everything.values().flatten().map(|message| message.bytes.len() as u64).sum();

    let (mut done, mut fetched, mut runs) = (0, 0, 0);
    let mut held = 0;
    while done < cuts {
        // Every second round a new archive, so that all stages of a first run are cut.
        let proxy = FaultProxy::start(line.address, Harm::Seeded { seed, most: floor / 2, times: 6 });
        world.configure(&format!("port = {}\n{}", proxy.address().port(), line.lines));
        let run = world.program.run(["--json", "--run-now"]);
        assert!(matches!(run.code, Some(0 | 1 | 3)), "{:?}: {}", run.code, run.stderr);
        let ledger = &run.json()["runs"][0];
        assert!(run.code == Some(0) || !run.stderr.is_empty(), "a run that is not whole says why");
        fetched += ledger["totals"]["bytes_fetched"].as_u64().expect("a number");
        runs += 1;
        let archived = ledger["totals"]["archived"].as_u64().expect("a number");
        if run.code == Some(0) {
            assert_eq!(archived, u64::from(line.messages));
            done += proxy.connections().saturating_sub(1).max(1);
            assert!(
                fetched <= floor * 3 / 2 + 200_000,
                "{fetched} octets fetched in {runs} runs (seed {seed}) of a mailbox of {floor}"
            );
            check(world);
            world.run(0, &["verify"]);
            std::fs::remove_dir_all(world.archive()).expect("the archive is ours");
            std::fs::remove_dir_all(world.path("state")).expect("the state is ours");
            (fetched, runs, held) = (0, 0, 0);
        } else {
            assert!(archived >= held, "seed {seed}: {archived} messages, {held} before");
            held = archived;
            done += proxy.connections();
        }
        seed += 1;
        assert!(runs < 60, "it does not come to an end");
    }
}
