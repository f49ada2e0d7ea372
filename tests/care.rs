//! The daemon looks after its archive by itself: it verifies it piece by piece, says what it finds, and
//! `status` knows.

use std::fs;
use std::ops::Deref;
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use restante_tests::ScriptedWorld;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use server::Behaviour;

const USER: &str = "anna";
/// Beyond this something hangs.
const PATIENCE: Duration = Duration::from_secs(60);
/// All packs are due at once, and after that there is no look in this year.
const AT_ONCE: &str = "schedule = \"0 0 1 1 *\"\nfull_every = \"1d\"\nrate = \"0\"\n";
/// The first block alone takes hours.
const SLOWLY: &str = "schedule = \"0 0 1 1 *\"\nfull_every = \"1d\"\nrate = \"1B\"\n";

struct World {
    scripted: ScriptedWorld,
    manager: UnixDatagram,
}

impl Deref for World {
    type Target = ScriptedWorld;

    fn deref(&self) -> &ScriptedWorld {
        &self.scripted
    }
}

impl World {
    /// With mail in the archive already.
    fn new(care: &str) -> Self {
        let scripted = ScriptedWorld::new(&[USER], Behaviour::modern());
        let manager = UnixDatagram::bind(scripted.path("notify")).expect("a socket");
        manager.set_read_timeout(Some(PATIENCE)).expect("a socket can be told");
        let world = Self { scripted, manager };
        world.configure(care);
        (0..200).for_each(|number| world.deliver(USER, "INBOX", number));
        world.program.run(["--run-now"]).expect_code(0);
        world
    }

    fn configure(&self, care: &str) {
        self.scripted.configure(&format!("[care]\n{care}"), &[USER], "schedule = \"0 0 1 1 *\"\n");
    }

    fn start(&self) -> Child {
        let mut command = self.program.command(["daemon"]);
        command.env("NOTIFY_SOCKET", self.path("notify")).env("WATCHDOG_USEC", "30000000");
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
    }

    fn packs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.path("archive/packs")).expect("there is an archive");
        entries.map(|entry| entry.expect("a file").path()).collect()
    }

    fn status(&self) -> Value {
        self.program.run(["--json", "status"]).expect_code(0).json()["archive"].clone()
    }

    /// What `status` shows to people.
    fn shown(&self) -> String {
        let shown = self.program.run(["status"]);
        shown.expect_code(0);
        String::from_utf8(shown.stdout).expect("it is text")
    }

    /// Waits until `status` shows it.
    fn wait_for(&self, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
        let begun = Instant::now();
        loop {
            let status = self.status();
            if is_so(&status) {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "not {what}: {status:#}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    fn forget_what_was_said(&self) {
        self.manager.set_nonblocking(true).expect("a socket can be told");
        while self.manager.recv(&mut [0; 4096]).is_ok() {}
        self.manager.set_nonblocking(false).expect("a socket can be told");
    }

    /// Waits until the service manager is told this.
    fn hear(&self, words: &str) {
        let begun = Instant::now();
        let mut buffer = [0; 4096];
        loop {
            assert!(begun.elapsed() < PATIENCE, "{words} was not said");
            let length = self.manager.recv(&mut buffer).expect("something is said in time");
            if String::from_utf8_lossy(&buffer[..length]).contains(words) {
                return;
            }
        }
    }
}

/// Asks the daemon to end, which it must do well; its log.
fn end(mut child: Child) -> String {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, Signal::TERM).expect("it runs");
    let begun = Instant::now();
    while child.try_wait().expect("the child can be asked").is_none() {
        assert!(begun.elapsed() < PATIENCE, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().expect("it has ended");
    let log = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{}: {log}", output.status);
    log
}

fn all_is_read(status: &Value) -> bool {
    status["care"]["packs_read"].as_u64().is_some_and(|read| read > 0) && status["care"]["packs_unread"] == 0
}

#[test]
fn an_archive_that_was_never_verified_is_verified_at_once_and_status_shows_it() {
    let world = World::new(AT_ONCE);
    assert_eq!(world.status()["last_verification"], Value::Null);
    let child = world.start();
    let status = world.wait_for("read", all_is_read);
    assert_eq!(status["last_verification"]["whole"], true, "{status:#}");
    assert_eq!(status["care"]["packs_damaged"], 0);
    assert!(status["care"]["oldest_reading_age_seconds"].as_i64().is_some_and(|age| age < 600), "{status:#}");
    let shown = world.shown();
    assert!(shown.contains("packs re-read within 24 h"), "{shown}");
    let log = end(child);
    assert!(log.contains("the archive is whole") && !log.contains("damaged"), "{log}");
}

#[test]
fn d11_a_byte_that_has_flipped_is_told_by_the_log_and_by_status_until_it_is_repaired() {
    let world = World::new(AT_ONCE);
    let pack = world.packs().remove(0);
    let mut bytes = fs::read(&pack).expect("a pack");
    // In the first block's body, behind header and directory: no look at the structure sees it.
    let at = bytes.len() / 3;
    bytes[at] ^= 4;
    fs::write(&pack, &bytes).expect("the pack can be damaged");
    let child = world.start();
    // The one is written a moment after the other.
    let damaged = |status: &Value| {
        status["care"]["packs_damaged"] == 1 && status["last_verification"]["whole"] == false
    };
    world.wait_for("found damaged", damaged);
    let shown = world.shown();
    assert!(shown.contains("packs are DAMAGED"), "{shown}");
    // The daemon lives, and so it would back up.
    world.hear("next: ");
    let log = end(child);
    assert!(log.contains("damaged: ") && log.contains("restante repair"), "{log}");
    assert!(
        log.contains("cannot be given back: ") && log.contains(" account=anna folder=INBOX uid="),
        "{log}"
    );

    let repaired = world.program.run(["repair"]);
    assert_eq!(repaired.code, Some(3), "some mail is to come back: {}", repaired.stderr);
    world.program.run(["--run-now"]).expect_code(0);
    world.program.run(["verify"]).expect_code(0);
    let status = world.status();
    assert_eq!(status["last_verification"]["whole"], true, "{status:#}");
    assert_eq!((&status["care"]["packs_damaged"], &status["care"]["packs_unread"]), (&0.into(), &0.into()));
}

#[test]
fn o13_a_long_reading_holds_up_neither_heartbeat_nor_stop_and_goes_on_with_the_next_start() {
    let world = World::new(SLOWLY);
    let child = world.start();
    let looked = world.wait_for("looked at", |status| status["last_verification"]["depth"] == "quick");
    assert_eq!(looked["care"]["packs_read"], 0, "{looked:#}");
    world.forget_what_was_said();
    world.hear("WATCHDOG=1");
    end(child);
    world.configure(AT_ONCE);
    let child = world.start();
    let is_told = |status: &Value| all_is_read(status) && status["last_verification"]["depth"] == "rolling";
    let status = world.wait_for("read", is_told);
    assert_eq!(status["care"]["last_look"], looked["care"]["last_look"], "the look was not made again");
    end(child);
}

#[test]
fn a_daemon_that_shall_not_look_after_the_archive_leaves_it_alone_and_wrong_keys_are_told() {
    let world = World::new("off = true\n");
    let child = world.start();
    world.hear("next: ");
    end(child);
    assert_eq!(world.status()["last_verification"], Value::Null);
    world.configure("full_every = \"5m\"\nrate = \"fast\"\nschedule = \"daily\"\nwhat = 1\n");
    let wrong = world.program.run(["daemon"]);
    wrong.expect_code(2);
    for word in ["full_every", "rate", "schedule", "what"] {
        assert!(wrong.stderr.contains(word), "{word}: {}", wrong.stderr);
    }
}
