//! The daemon, started as systemd starts it: it says when it is ready and how it stands, backs up by
//! schedule, reads its configuration again, and ends when it is told to.

use std::ops::Deref;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use restante_tests::ScriptedWorld;
use rustix::process::{Pid, Signal, kill_process};
use server::{Behaviour, Effect, Fault, Trigger};
use testkit::Output;

/// Beyond this something hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const EACH_SECOND: &str = "schedule = \"* * * * * *\"\nspread = \"0s\"\n";
/// The first run comes at once, the next in a year.
const ONCE: &str = "schedule = \"0 0 1 1 *\"\n";

struct World {
    scripted: ScriptedWorld,
    manager: UnixDatagram,
    heard: Vec<String>,
}

impl Deref for World {
    type Target = ScriptedWorld;

    fn deref(&self) -> &ScriptedWorld {
        &self.scripted
    }
}

impl World {
    fn new(users: &[&str], behaviour: Behaviour) -> Self {
        let scripted = ScriptedWorld::new(users, behaviour);
        let manager = UnixDatagram::bind(scripted.path("notify")).expect("a socket");
        manager.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket can be told");
        Self { scripted, manager, heard: Vec::new() }
    }

    fn start(&self) -> Child {
        let mut command = self.program.command(["daemon"]);
        command.env("NOTIFY_SOCKET", self.path("notify")).env("WATCHDOG_USEC", "30000000");
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
    }

    /// Waits until the service manager has been told this; gives back all that it was told since the last.
    fn wait_for(&mut self, words: &str) {
        let begun = Instant::now();
        let mut buffer = [0; 4096];
        while !self.heard.iter().any(|heard| heard.contains(words)) {
            assert!(begun.elapsed() < PATIENCE, "{words} was not said, but {:?}", self.heard);
            if let Ok(length) = self.manager.recv(&mut buffer) {
                self.heard.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
            }
        }
    }

    /// Waits until the archive has so many messages of the user.
    fn wait_for_mail(&self, user: &str, count: usize) {
        let begun = Instant::now();
        loop {
            let listed = self.program.run(["--json", "list", user, "INBOX"]);
            let there = listed.json()["messages"].as_array().map_or(0, Vec::len);
            if there == count {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{there} of {count} messages of {user} came");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn send(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, signal).expect("it runs");
}

fn end(mut child: Child) -> (ExitStatus, String) {
    let begun = Instant::now();
    while child.try_wait().expect("the child can be asked").is_none() {
        assert!(begun.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().expect("it has ended");
    (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn accounts_run_by_schedule_and_the_service_manager_knows_how_it_stands() {
    let mut world = World::new(&["anna", "ben"], Behaviour::modern());
    world.configure("", &["anna", "ben"], EACH_SECOND);
    (0..5).for_each(|number| world.deliver("anna", "INBOX", number));
    let child = world.start();
    world.wait_for("READY=1");
    world.wait_for_mail("anna", 5);
    world.deliver("anna", "INBOX", 5);
    world.deliver("ben", "INBOX", 0);
    world.wait_for_mail("anna", 6);
    world.wait_for_mail("ben", 1);
    world.wait_for("WATCHDOG=1");
    world.wait_for("next: ");
    send(&child, Signal::TERM);
    world.wait_for("STOPPING=1");
    let (status, log) = end(child);
    assert!(status.success(), "{status}: {log}");
    world.program.run(["verify"]).expect_code(0);
}

#[test]
fn o05_a_broken_configuration_is_told_and_the_old_one_goes_on_until_it_is_mended() {
    let mut world = World::new(&["anna", "ben"], Behaviour::modern());
    world.configure("", &["anna"], EACH_SECOND);
    world.deliver("anna", "INBOX", 0);
    world.deliver("ben", "INBOX", 0);
    let child = world.start();
    world.wait_for("READY=1");
    world.wait_for_mail("anna", 1);

    world.heard.clear();
    world.write("[archive]\npath = \"archive\"\nwhat = \"is this\"\n");
    send(&child, Signal::HUP);
    world.wait_for("RELOADING=1");
    world.wait_for("READY=1");
    world.wait_for("the configuration is wrong");
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

    world.heard.clear();
    world.configure("", &["anna", "ben"], EACH_SECOND);
    send(&child, Signal::HUP);
    world.wait_for("RELOADING=1");
    world.wait_for_mail("ben", 1);
    send(&child, Signal::TERM);
    let (status, log) = end(child);
    assert!(status.success(), "{status}: {log}");
    assert!(log.contains("the old one stays in force"), "{log}");
}

#[test]
fn between_runs_the_archive_is_free_for_others() {
    let mut world = World::new(&["anna"], Behaviour::modern());
    world.configure("", &["anna"], ONCE);
    world.deliver("anna", "INBOX", 0);
    let child = world.start();
    world.wait_for("READY=1");
    world.wait_for_mail("anna", 1);
    world.deliver("anna", "INBOX", 1);
    let begun = Instant::now();
    // The daemon's own run may be about to end.
    while world.program.run(["--quiet", "--run-now"]).code == Some(75) {
        assert!(begun.elapsed() < PATIENCE, "the daemon keeps the archive");
    }
    world.wait_for_mail("anna", 2);
    send(&child, Signal::INT);
    let (status, log) = end(child);
    assert!(status.success(), "{status}: {log}");
}

#[test]
fn d24_a_stop_in_the_middle_of_a_pull_ends_within_seconds_and_loses_nothing() {
    let stuck = Fault::new(Trigger::Body(20), Effect::Silence);
    let mut world = World::new(&["anna"], Behaviour::modern().with_fault(stuck));
    world.configure("", &["anna"], ONCE);
    (0..60).for_each(|number| world.deliver("anna", "INBOX", number));
    let child = world.start();
    world.wait_for("running: anna");
    let begun = Instant::now();
    while world.server.counts().body_octets == 0 {
        assert!(begun.elapsed() < PATIENCE, "the pull does not begin");
        std::thread::sleep(Duration::from_millis(20));
    }
    send(&child, Signal::TERM);
    let (status, log) = end(child);
    assert!(status.success(), "{status}: {log}");
    world.server.set_faults(&[]);
    let after = world.program.run(["--json", "--run-now"]);
    assert_eq!(after.expect_code(0).json()["runs"][0]["totals"]["archived"], 60);
}

#[test]
fn what_is_wrong_from_the_start_is_told_with_the_exit_status_of_every_command() {
    let world = World::new(&["anna"], Behaviour::modern());
    world.write("[archive]\npath = \"archive\"\n");
    let none = world.program.run(["daemon"]);
    none.expect_code(2);
    assert!(none.stderr.contains("has no account"), "{}", none.stderr);
    world.write("[archive]\npath = \"archive\"\n[daemon]\nruns = 0\nspread = \"2d\"\n");
    let wrong = world.program.run(["daemon"]);
    wrong.expect_code(2);
    assert!(wrong.stderr.contains("runs") && wrong.stderr.contains("longer than a day"), "{}", wrong.stderr);
}
