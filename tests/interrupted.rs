//! Killed at any moment, a run goes on from its last commit and ends as if nothing had happened.

use std::process::{Command, Stdio};
use std::time::Duration;

use restante_tests::{World, append};

const MESSAGES: u32 = 600;

/// Kills the program when the archive has grown to `bytes`, or lets it end.
fn run_and_kill(world: &World, bytes: u64) -> bool {
    let mut child = world
        .program
        .command(["--quiet", "--run-now"])
        .stdout(Stdio::null())
        .spawn()
        .expect("the program starts");
    let size = |world: &World| {
        let packs = std::fs::read_dir(world.archive().join("packs")).into_iter().flatten().flatten();
        packs.filter_map(|pack| pack.metadata().ok()).map(|pack| pack.len()).sum::<u64>()
    };
    loop {
        if child.try_wait().expect("the child can be asked").is_some() {
            return false;
        }
        if size(world) >= bytes {
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
    while killed < 12 && run_and_kill(&world, size) {
        killed += 1;
        size += 40_000;
    }
    assert!(killed > 0, "the run was too quick to be killed");
    let ledger = world.run_now();
    assert_eq!(ledger["totals"]["archived"], MESSAGES);
    world.assert_archive_equals_server();
    world.run(0, &["verify"]);
}

#[test]
fn a_polite_end_leaves_a_ledger_that_says_so() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..MESSAGES);
    let child = world
        .program
        .command(["--json", "--run-now"])
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    std::thread::sleep(Duration::from_millis(30));
    let pid = child.id().to_string();
    assert!(Command::new("kill").arg(pid).status().expect("kill runs").success());
    let output = child.wait_with_output().expect("the child ends");
    // It may have ended before the signal, or before it could hear it; it must never leave damage.
    if let Some(code) = output.status.code().filter(|&code| code != 0) {
        assert!([1, 3].contains(&code), "{code}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(world.run_now()["outcome"], "ok");
    world.assert_archive_equals_server();
}
