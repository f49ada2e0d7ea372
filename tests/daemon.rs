//! The daemon, started as systemd starts it: it says when it is ready and how it stands, backs up by
//! schedule, reads its configuration again, and ends when it is told to.

use std::process::Command;
use std::time::{Duration, Instant};

use restante_tests::{PATIENCE, ScriptedWorld};
use rustix::process::Signal;
use server::{Behaviour, Effect, Fault, Trigger};
use testkit::Output;

const EACH_SECOND: &str = "schedule = \"* * * * * *\"\nspread = \"0s\"\n";
/// The first run comes at once, the next in a year.
const ONCE: &str = "schedule = \"0 0 1 1 *\"\n";

/// Waits until the archive has so many messages of the user.
fn wait_for_mail(world: &ScriptedWorld, user: &str, count: usize) {
    let begun = Instant::now();
    loop {
        let listed = world.program.run(["--json", "list", user, "INBOX"]);
        let there = listed.json()["messages"].as_array().map_or(0, Vec::len);
        if there == count {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{there} of {count} messages of {user} came");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn accounts_run_by_schedule_and_the_service_manager_knows_how_it_stands() {
    let world = ScriptedWorld::new(&["anna", "ben"], Behaviour::modern());
    world.configure("", &["anna", "ben"], EACH_SECOND);
    world.deliver_many("anna", "INBOX", 5);
    let mut daemon = world.start();
    daemon.wait_for("READY=1");
    wait_for_mail(&world, "anna", 5);
    world.deliver("anna", "INBOX", 5);
    world.deliver("ben", "INBOX", 0);
    wait_for_mail(&world, "anna", 6);
    wait_for_mail(&world, "ben", 1);
    daemon.wait_for("WATCHDOG=1");
    daemon.wait_for("next: ");
    daemon.send(Signal::TERM);
    daemon.wait_for("STOPPING=1");
    daemon.ended();
    world.program.run(["verify"]).expect_code(0);
}

#[test]
fn o05_a_broken_configuration_is_told_and_the_old_one_goes_on_until_it_is_mended() {
    let world = ScriptedWorld::new(&["anna", "ben"], Behaviour::modern());
    world.configure("", &["anna"], EACH_SECOND);
    world.deliver("anna", "INBOX", 0);
    world.deliver("ben", "INBOX", 0);
    let mut daemon = world.start();
    daemon.wait_for("READY=1");
    wait_for_mail(&world, "anna", 1);

    daemon.forget();
    world.write("[archive]\npath = \"archive\"\nwhat = \"is this\"\n");
    daemon.send(Signal::HUP);
    daemon.wait_for("RELOADING=1");
    daemon.wait_for("READY=1");
    daemon.wait_for("the configuration is wrong");
    world.deliver("anna", "INBOX", 1);
    // No command can read the broken file; the archive itself can be read.
    let archive = world.path("archive");
    let begun = Instant::now();
    let listed = || {
        let mut command = Command::new(world.program.program());
        command.arg("--archive").arg(&archive).args(["--json", "list", "anna", "INBOX"]);
        let listed: Output = command.env("HOME", world.path("")).output().expect("the program starts").into();
        listed.json()["messages"].as_array().map_or(0, Vec::len)
    };
    while listed() < 2 {
        assert!(begun.elapsed() < PATIENCE, "the old configuration is not in force");
        std::thread::sleep(Duration::from_millis(100));
    }

    daemon.forget();
    world.configure("", &["anna", "ben"], EACH_SECOND);
    daemon.send(Signal::HUP);
    daemon.wait_for("RELOADING=1");
    wait_for_mail(&world, "ben", 1);
    let log = daemon.end();
    assert!(log.contains("the old one stays in force"), "{log}");
}

#[test]
fn between_runs_the_archive_is_free_for_others() {
    let world = ScriptedWorld::new(&["anna"], Behaviour::modern());
    world.configure("", &["anna"], ONCE);
    world.deliver("anna", "INBOX", 0);
    let mut daemon = world.start();
    daemon.wait_for("READY=1");
    wait_for_mail(&world, "anna", 1);
    world.deliver("anna", "INBOX", 1);
    let begun = Instant::now();
    // The daemon's own run may be about to end.
    while world.program.run(["--quiet", "--run-now"]).code == Some(75) {
        assert!(begun.elapsed() < PATIENCE, "the daemon keeps the archive");
    }
    wait_for_mail(&world, "anna", 2);
    daemon.send(Signal::INT);
    daemon.ended();
}

#[test]
fn d24_a_stop_in_the_middle_of_a_pull_ends_within_seconds_and_loses_nothing() {
    let stuck = Fault::new(Trigger::Body(20), Effect::Silence);
    let world = ScriptedWorld::new(&["anna"], Behaviour::modern().with_fault(stuck));
    world.configure("", &["anna"], ONCE);
    world.deliver_many("anna", "INBOX", 60);
    let mut daemon = world.start();
    daemon.wait_for("running: anna");
    let begun = Instant::now();
    while world.server.counts().body_octets == 0 {
        assert!(begun.elapsed() < PATIENCE, "the pull does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    daemon.end();
    world.server.set_faults(&[]);
    let after = world.program.run(["--json", "--run-now"]);
    assert_eq!(after.expect_code(0).json()["runs"][0]["totals"]["archived"], 60);
}

#[test]
fn what_is_wrong_from_the_start_is_told_with_the_exit_status_of_every_command() {
    let world = ScriptedWorld::new(&["anna"], Behaviour::modern());
    world.write("[archive]\npath = \"archive\"\n");
    let none = world.program.run(["daemon"]);
    none.expect_code(2);
    assert!(none.stderr.contains("has no account"), "{}", none.stderr);
    world.write("[archive]\npath = \"archive\"\n[daemon]\nruns = 0\nspread = \"2d\"\n");
    let wrong = world.program.run(["daemon"]);
    wrong.expect_code(2);
    assert!(wrong.stderr.contains("runs") && wrong.stderr.contains("longer than a day"), "{}", wrong.stderr);
}
