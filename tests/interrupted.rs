//! Killed at any moment, a run goes on from its last commit and ends as if nothing had happened.

use std::process::{Child, Output, Stdio};
use std::time::{Duration, Instant};

use restante_tests::{ACCOUNT, World, append, is_long};
use rustix::process::{Pid, Signal, kill_process};
use server::sample::Random;
use testkit::{Direction, FaultProxy, Harm, Mail, Options};

const MESSAGES: u32 = 600;

/// Kills the program when the archive has grown to `bytes`, or lets it end.
fn run_and_kill(world: &World, bytes: u64) -> bool {
    let mut child = world
        .program
        .command(["--quiet", "--run-now"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    loop {
        if child.try_wait().expect("the child can be asked").is_some() {
            return false;
        }
        if world.pack_bytes() >= bytes {
            child.kill().expect("the child can be killed");
            child.wait().expect("the child can be reaped");
            return true;
        }
        std::thread::yield_now();
    }
}

#[test]
fn killed_again_and_again_it_ends_as_if_undisturbed() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..MESSAGES);
    let mut killed = 0;
    let mut size = 1;
    while killed < 40 && run_and_kill(&world, size) {
        killed += 1;
        size += 12_000;
    }
    assert!(killed >= 15, "the run was too quick to be killed: {killed}");
    let ledger = world.run_now();
    assert_eq!(ledger["totals"]["archived"], MESSAGES);
    world.assert_archive_equals_server();
    world.run(0, &["verify"]);
}

/// Waits until the child has ended; one that is asked to stop has 10 s (D24).
fn end_of(mut child: Child) -> Output {
    let asked = Instant::now();
    while child.try_wait().expect("the child can be asked").is_none() {
        assert!(asked.elapsed() < Duration::from_secs(10), "it does not end");
        std::thread::yield_now();
    }
    child.wait_with_output().expect("the child has ended")
}

#[test]
fn d24_a_polite_end_at_any_moment_leaves_a_ledger_that_says_so() {
    let Some(world) = World::new() else { return };
    let mut judge = world.judge();
    let mut random = Random::new(0xd24);
    let (mut interrupted, mut next) = (0, 0);
    let proxy = FaultProxy::start(world.dovecot.plain(), Harm::None);
    world.configure(&format!("port = {}\n", proxy.address().port()));
    for signal in [Signal::TERM, Signal::INT, Signal::HUP].repeat(5) {
        append(&mut judge, "INBOX", next..next + 120);
        next += 120;
        // Octets to the program are the moments of a run.
        let wanted = proxy.octets(Direction::ToClient) + random.below(250_000) as u64;
        let mut command = world.program.command(["--json", "--run-now"]);
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
        let mut ended = false;
        while proxy.octets(Direction::ToClient) < wanted && !ended {
            ended = child.try_wait().expect("the child can be asked").is_some();
            std::thread::yield_now();
        }
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process");
        // It may have come to its end by itself.
        let _ = kill_process(pid, signal);
        let output = end_of(child);
        match output.status.code() {
            Some(0) => {}
            Some(1 | 3) => {
                let ledger: serde_json::Value =
                    serde_json::from_slice(&output.stdout).expect("the ledger is one JSON document");
                let told = ledger["runs"][0]["error"].as_str().expect("the ledger says why").to_owned();
                assert!(told.contains("interrupted"), "{told}");
                interrupted += 1;
            }
            // Before it could listen.
            None => {}
            code => panic!("{code:?}: {}", String::from_utf8_lossy(&output.stderr)),
        }
    }
    assert!(interrupted > 0, "no run was interrupted");
    assert_eq!(world.run_now()["totals"]["archived"], next);
    world.assert_archive_equals_server();
    world.run(0, &["verify"]);
}

#[test]
fn killed_at_random_points_over_pop3_nothing_is_there_twice_and_nothing_is_missing() {
    // What a killed run leaves of its session may stand in the way of the next one.
    let Some(world) = World::over_pop3(Options::default().pop3_lock_session()) else { return };
    let mut judge = world.judge();
    let mut random = Random::new(0x909);
    let (kills, mut next) = (if is_long() { 30 } else { 6 }, 0);
    let proxy = FaultProxy::start(world.dovecot.pop3().expect("it speaks POP3"), Harm::None);
    world.configure(&format!("protocol = \"pop3\"\nport = {}\n", proxy.address().port()));
    let mut killed = 0;
    for _ in 0..kills {
        append(&mut judge, "INBOX", next..next + 100);
        next += 100;
        let wanted = proxy.octets(Direction::ToClient) + 1 + random.below(500_000) as u64;
        let mut command = world.program.command(["--quiet", "--run-now"]);
        let mut child = command.stdout(Stdio::null()).spawn().expect("the program starts");
        let mut ended = false;
        while proxy.octets(Direction::ToClient) < wanted && !ended {
            ended = child.try_wait().expect("the child can be asked").is_some();
            std::thread::yield_now();
        }
        if !ended {
            child.kill().expect("the child can be killed");
            killed += 1;
        }
        child.wait().expect("the child can be reaped");
    }
    assert!(killed > 0, "no run was killed");
    let ledger = world.run_now();
    assert_eq!(ledger["totals"]["on_server"], next);
    assert_eq!(ledger["totals"]["archived"], next);
    let mut listed = world.messages(ACCOUNT, "INBOX", &[]);
    listed.sort_by_key(|message| message["uidl"].as_str().map(str::to_owned));
    listed.dedup_by_key(|message| message["uidl"].clone());
    assert_eq!(listed.len(), next as usize, "each unique-id once");
    world.assert_archive_equals_maildrop();
    world.run(0, &["verify"]);
}

#[test]
fn killed_30_times_in_a_large_maildrop_it_goes_on_from_its_last_commit() {
    if !is_long() {
        return;
    }
    let Some(mut world) = World::over_pop3(Options::default().pop3_lock_session()) else { return };
    let mut random = Random::new(0x910);
    let (mut killed, mut messages) = (0, 0);
    while killed < 30 {
        // Up to a commit's worth of mail is gone with each kill, and what was committed never is.
        if run_and_kill(&world, world.pack_bytes() + random.below(12 << 20) as u64) {
            killed += 1;
        } else {
            messages += world.fill(&Mail::new(random.number(), 2_500).in_folders(&["INBOX"]));
        }
    }
    let ledger = world.run_now();
    assert_eq!(ledger["totals"]["archived"], messages);
    assert_eq!(world.messages(ACCOUNT, "INBOX", &[]).len(), messages);
    world.assert_archive_equals_maildrop();
    world.run(0, &["verify"]);
}
