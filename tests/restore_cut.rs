//! Restores that do not come to their end: killed, cut off, or out of room; run again they end as if
//! undisturbed, every message exactly once.
//!
//! With RESTANTE_LONG=1 there are at least 30 kills and 40 cuts each way, else a few.

use std::process::{Child, Command, Stdio};

use message::Flags;
use restante_tests::{ACCOUNT, Content, World, date, is_long};
use server::sample::Random;
use testkit::{Cyrus, Direction, Dovecot, FaultProxy, Harm, How, Mail, Options, Output};

/// A mailbox that takes a moment to send.
fn backed_up() -> Option<World> {
    let mut world = World::new()?;
    let folders = ["INBOX", "Sent", "Archive/2024", "Work/Offers", "家族"];
    let _ = world.fill(&Mail::small(21, 300).in_folders(&folders));
    let _ = world.run_now();
    Some(world)
}

/// Octets that a whole restore sends, by which the moments of the others are chosen.
fn octets_of_a_restore(world: &World, proxy: &FaultProxy, direction: Direction) -> u64 {
    let before = proxy.octets(direction);
    let _ = world.restore(0, &World::url(proxy.address(), "measure"), &[]);
    proxy.octets(direction) - before
}

fn start(world: &World, to: &str) -> Child {
    let mut command: Command = world.restore_command(to, &[]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts")
}

#[test]
fn r09_killed_at_random_points_and_run_again_every_message_is_there_once() {
    let Some(world) = backed_up() else { return };
    let source = world.content();
    let proxy = FaultProxy::start(world.dovecot.plain(), Harm::None);
    let all = octets_of_a_restore(&world, &proxy, Direction::ToServer);
    let mut random = Random::new(0x09);
    let mut killed = 0;
    for round in 0..if is_long() { 25 } else { 1 } {
        let user = format!("user{round}");
        let url = World::url(proxy.address(), &user);
        // The second time there is less to send.
        for part in [all, all / 3] {
            let wanted = proxy.octets(Direction::ToServer) + random.number() % part;
            let mut child = start(&world, &url);
            let mut ended = false;
            while proxy.octets(Direction::ToServer) < wanted && !ended {
                ended = child.try_wait().expect("the child can be asked").is_some();
                std::thread::yield_now();
            }
            killed += u32::from(!ended);
            child.kill().expect("the child can be killed");
            child.wait().expect("the child can be reaped");
        }
        let report = world.restore(0, &url, &[]);
        assert_eq!(report["outcome"], "proven");
        Content::of(world.dovecot.imap(&user)).assert_is(&source);
    }
    assert!(killed >= if is_long() { 30 } else { 1 }, "the restores were too quick to be killed: {killed}");
}

/// Cuts the first connections of a restore at octets of chance, then lets it go on; and once more, it
/// finds everything.
fn cut_again_and_again(direction: Direction, times: u32) {
    let Some(world) = backed_up() else { return };
    let source = world.content();
    let proxy = FaultProxy::start(world.dovecot.plain(), Harm::None);
    let all = octets_of_a_restore(&world, &proxy, direction);
    let mut random = Random::new(0x08);
    for round in 0..times {
        let user = format!("user{round}");
        let url = World::url(proxy.address(), &user);
        let octets = 1 + random.number() % (all / 2).max(1);
        proxy.set_harm(Harm::Each { direction, octets, how: How::Cut });
        let before = proxy.connections();
        let mut child = start(&world, &url);
        while child.try_wait().expect("the child can be asked").is_none() {
            // It has come back after the first cuts.
            if proxy.connections() > before + 4 {
                proxy.set_harm(Harm::None);
            }
            std::thread::yield_now();
        }
        proxy.set_harm(Harm::None);
        let report = world.restore(0, &url, &[]);
        assert_eq!(report["outcome"], "proven", "{octets} octets {direction:?}");
        Content::of(world.dovecot.imap(&user)).assert_is(&source);
    }
}

#[test]
fn r08_a_line_cut_on_the_way_to_the_server_doubles_nothing_and_loses_nothing() {
    cut_again_and_again(Direction::ToServer, if is_long() { 40 } else { 2 });
}

#[test]
fn r08_a_line_cut_before_the_answers_doubles_nothing_and_loses_nothing() {
    cut_again_and_again(Direction::ToClient, if is_long() { 40 } else { 2 });
}

/// Thirty letters of 300 KB, backed up: more than goes out in one command.
fn with_large_letters() -> Option<(World, Content, u64)> {
    let world = World::new()?;
    let mut judge = world.judge();
    for number in 0..30 {
        let line = format!("{number} {}\r\n", "as large as a photograph ".repeat(3));
        let text =
            format!("Message-ID: <{number}@example.org>\r\nSubject: {number}\r\n\r\n{}", line.repeat(4000));
        judge.append("INBOX", &Flags::parse("\\Seen"), &date(number), text.as_bytes());
    }
    let _ = world.run_now();
    let source = world.content();
    let bytes = source.everywhere().iter().map(|kept| kept.bytes.len() as u64).sum();
    Some((world, source, bytes))
}

/// A restore that the target has no room for: what came is told, what did not is, too, and why.
fn assert_filled(world: &World, url: &str, held: impl Fn() -> u64) {
    let output = Output::from(world.restore_command(url, &[]).output().expect("the program starts"));
    let report = output.expect_code(3).json();
    assert_eq!(report["outcome"], "partial", "{report}");
    assert!(
        report["folders"][0]["error"].as_str().is_some_and(|error| error.contains("the target is full")),
        "{report}"
    );
    let totals = &report["totals"];
    assert!((1..30).contains(&held()), "{}", held());
    assert_eq!((&totals["added"], &totals["proven"]), (&held().into(), &held().into()), "{report}");
    assert_eq!(totals["not_sent"], 30 - held(), "{report}");
}

#[test]
fn r06_a_target_that_fills_up_is_told_and_the_next_run_goes_on() {
    let Some((world, source, bytes)) = with_large_letters() else { return };
    let Some(mut full) = Dovecot::start(Options::default().quota(bytes * 2 / 3)) else { return };
    let url = World::url(full.plain(), "berta");
    assert_filled(&world, &url, || full.imap("berta").count());
    let held = full.imap("berta").count();
    full.set_quota(bytes * 2);
    let report = world.restore(0, &url, &[]);
    assert_eq!(report["totals"]["already_there"], held, "{report}");
    Content::of(full.imap("berta")).assert_is(&source);
}

#[test]
fn r06_a_cyrus_that_fills_up_is_told_and_the_next_run_goes_on() {
    let Some((world, source, bytes)) = with_large_letters() else { return };
    let Some(cyrus) = Cyrus::start() else { return };
    cyrus.add_user("berta");
    cyrus.set_quota("berta", bytes * 2 / 3 / 1024);
    let url = World::url(cyrus.address(), "berta");
    assert_filled(&world, &url, || cyrus.imap("berta").count());
    cyrus.set_quota("berta", bytes * 2 / 1024);
    let _ = world.restore(0, &url, &[]);
    Content::of(cyrus.imap("berta")).assert_is(&source);
}

#[test]
fn r17_the_mailbox_that_is_being_restored_is_not_pulled_at_the_same_time() {
    let Some(world) = backed_up() else { return };
    let proxy = FaultProxy::start(world.dovecot.plain(), Harm::None);
    // A restore that waits for ever in the middle of its work.
    let harm = Harm::Each { direction: Direction::ToServer, octets: 500, how: How::Stall };
    let port = |port: u16| format!("port = {port}\n");
    world.configure(&port(proxy.address().port()));
    proxy.set_harm(harm);
    let mut restoring = start(&world, ACCOUNT);
    while proxy.octets(Direction::ToServer) < 400 {
        assert!(restoring.try_wait().expect("the child can be asked").is_none(), "it waits");
        std::thread::yield_now();
    }
    world.configure(&port(world.dovecot.plain().port()));
    let ledger = world.run_with_code(1);
    let told = ledger["error"].as_str().unwrap_or_default();
    assert!(told.contains("restoring"), "{ledger}");
    world.restore_command(ACCOUNT, &[]).output().map(Output::from).expect("it starts").expect_code(75);
    restoring.kill().expect("the child can be killed");
    restoring.wait().expect("the child can be reaped");
    let _ = world.run_now();
}
