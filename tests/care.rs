//! The daemon looks after its archive by itself: it verifies it piece by piece, says what it finds, and
//! `status` knows.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use message::Flags;
use restante_tests::{PATIENCE, ScriptedWorld, date, quoting_mail};
use serde_json::Value;
use server::Behaviour;
use server::sample::Random;

const USER: &str = "anna";
/// All packs are due at once, and after that there is no look in this year.
const AT_ONCE: &str = "schedule = \"0 0 1 1 *\"\nfull_every = \"1d\"\nrate = \"0\"\n";
/// The first block alone takes hours.
const SLOWLY: &str = "schedule = \"0 0 1 1 *\"\nfull_every = \"1d\"\nrate = \"1B\"\n";

/// With mail in the archive already.
fn world(care: &str) -> ScriptedWorld {
    let world = ScriptedWorld::new(&[USER], Behaviour::modern());
    configure(&world, care);
    world.deliver_many(USER, "INBOX", 200);
    world.program.run(["--run-now"]).expect_code(0);
    world
}

fn configure(world: &ScriptedWorld, care: &str) {
    world.configure(&format!("[care]\n{care}"), &[USER], "schedule = \"0 0 1 1 *\"\n");
}

fn packs(world: &ScriptedWorld) -> Vec<PathBuf> {
    let entries = fs::read_dir(world.path("archive/packs")).expect("there is an archive");
    entries.map(|entry| entry.expect("a file").path()).collect()
}

fn status(world: &ScriptedWorld) -> Value {
    world.program.run(["--json", "status"]).expect_code(0).json()["archive"].clone()
}

/// What `status` shows to people.
fn shown(world: &ScriptedWorld) -> String {
    let shown = world.program.run(["status"]);
    shown.expect_code(0);
    String::from_utf8(shown.stdout).expect("it is text")
}

/// Waits until `status` shows it.
fn wait_for(world: &ScriptedWorld, what: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let begun = Instant::now();
    loop {
        let status = status(world);
        if is_so(&status) {
            return status;
        }
        assert!(begun.elapsed() < PATIENCE, "not {what}: {status:#}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn all_is_read(status: &Value) -> bool {
    status["care"]["packs_read"].as_u64().is_some_and(|read| read > 0) && status["care"]["packs_unread"] == 0
}

#[test]
fn an_archive_that_was_never_verified_is_verified_at_once_and_status_shows_it() {
    let world = world(AT_ONCE);
    assert_eq!(status(&world)["last_verification"], Value::Null);
    let daemon = world.start();
    let status = wait_for(&world, "read", all_is_read);
    assert_eq!(status["last_verification"]["whole"], true, "{status:#}");
    assert_eq!(status["care"]["packs_damaged"], 0);
    assert!(status["care"]["oldest_reading_age_seconds"].as_i64().is_some_and(|age| age < 600), "{status:#}");
    let shown = shown(&world);
    assert!(shown.contains("packs re-read within 24 h"), "{shown}");
    let log = daemon.end();
    assert!(log.contains("the archive is whole") && !log.contains("damaged"), "{log}");
}

#[test]
fn d11_a_byte_that_has_flipped_is_told_by_the_log_and_by_status_until_it_is_repaired() {
    let world = world(AT_ONCE);
    let pack = packs(&world).remove(0);
    let mut bytes = fs::read(&pack).expect("a pack");
    // In the first block's body, behind header and directory: no look at the structure sees it.
    let at = bytes.len() / 3;
    bytes[at] ^= 4;
    fs::write(&pack, &bytes).expect("the pack can be damaged");
    let mut daemon = world.start();
    // The one is written a moment after the other.
    let damaged = |status: &Value| {
        status["care"]["packs_damaged"] == 1 && status["last_verification"]["whole"] == false
    };
    wait_for(&world, "found damaged", damaged);
    let shown = shown(&world);
    assert!(shown.contains("packs are DAMAGED"), "{shown}");
    // The daemon lives, and so it would back up.
    daemon.wait_for("next: ");
    let log = daemon.end();
    assert!(log.contains("damaged: ") && log.contains("restante repair"), "{log}");
    assert!(
        log.contains("cannot be given back: ") && log.contains(" account=anna folder=INBOX uid="),
        "{log}"
    );

    let repaired = world.program.run(["repair"]);
    assert_eq!(repaired.code, Some(3), "some mail is to come back: {}", repaired.stderr);
    world.program.run(["--run-now"]).expect_code(0);
    world.program.run(["verify"]).expect_code(0);
    let status = status(&world);
    assert_eq!(status["last_verification"]["whole"], true, "{status:#}");
    assert_eq!((&status["care"]["packs_damaged"], &status["care"]["packs_unread"]), (&0.into(), &0.into()));
}

#[test]
fn o13_a_long_reading_holds_up_neither_heartbeat_nor_stop_and_goes_on_with_the_next_start() {
    let world = world(SLOWLY);
    let mut daemon = world.start();
    let looked = wait_for(&world, "looked at", |status| status["last_verification"]["depth"] == "quick");
    assert_eq!(looked["care"]["packs_read"], 0, "{looked:#}");
    daemon.forget();
    daemon.wait_for("WATCHDOG=1");
    daemon.end();
    configure(&world, AT_ONCE);
    let daemon = world.start();
    let is_told = |status: &Value| all_is_read(status) && status["last_verification"]["depth"] == "rolling";
    let status = wait_for(&world, "read", is_told);
    assert_eq!(status["care"]["last_look"], looked["care"]["last_look"], "the look was not made again");
    daemon.end();
}

/// Mail of ten daily runs, of which a compaction makes less.
fn lived(sections: &str) -> ScriptedWorld {
    let world = ScriptedWorld::new(&[USER], Behaviour::modern());
    world.configure(sections, &[USER], "schedule = \"0 0 1 1 *\"\n");
    let mut random = Random::new(0xca5e);
    for run in 0..10 {
        for number in 0..10 {
            let mail = quoting_mail(number, &mut random);
            let added = world.store.append(USER, "INBOX", &Flags::new(), &date(run * 10 + number), mail);
            added.expect("the user is there");
        }
        world.program.run(["--run-now"]).expect_code(0);
    }
    world
}

#[test]
fn behind_its_look_the_daemon_compacts_what_runs_have_left() {
    let world = lived(&format!("[care]\n{AT_ONCE}"));
    let listed = |world: &ScriptedWorld| world.program.run(["--json", "list", USER, "INBOX"]).json();
    let (old, before) = (packs(&world), listed(&world));
    let daemon = world.start();
    // What was made is read, and what was replaced is not.
    wait_for(&world, "compacted and read", |status| all_is_read(status) && packs(&world).len() > old.len());
    let log = daemon.end();
    assert!(log.contains("compacted: 1 packs with") && log.contains("are now one with"), "{log}");
    assert_eq!(listed(&world), before);
    let verified = world.program.run(["--json", "verify"]).json();
    assert_eq!((&verified["whole"], &verified["retired"]["packs"]), (&true.into(), &old.len().into()));
    let again = world.program.run(["--json", "compact", "--dry-run"]).json();
    assert_eq!(again["compactions"], serde_json::json!([]), "there is nothing left to do: {again}");
    world.program.run(["--run-now"]).expect_code(0);
}

#[test]
fn a_daemon_that_shall_not_compact_leaves_the_packs_as_they_are() {
    let world = lived(&format!("compact = false\n[care]\n{AT_ONCE}"));
    let before = packs(&world);
    let daemon = world.start();
    wait_for(&world, "read", all_is_read);
    let log = daemon.end();
    assert_eq!((packs(&world), log.contains("compacted")), (before, false), "{log}");
}

#[test]
fn a_daemon_that_shall_not_look_after_the_archive_leaves_it_alone_and_wrong_keys_are_told() {
    let world = world("off = true\n");
    let mut daemon = world.start();
    daemon.wait_for("next: ");
    daemon.end();
    assert_eq!(status(&world)["last_verification"], Value::Null);
    configure(&world, "full_every = \"5m\"\nrate = \"fast\"\nschedule = \"daily\"\nwhat = 1\n");
    let wrong = world.program.run(["daemon"]);
    wrong.expect_code(2);
    for word in ["full_every", "rate", "schedule", "what"] {
        assert!(wrong.stderr.contains(word), "{word}: {}", wrong.stderr);
    }
}
