//! A disk that fails: reads, writes, syncs and renames that end in an error, once or for good.
//!
//! Whatever fails, the run ends by itself with words that name the file and the system's answer, with
//! exit status 1; what the archive held before it still holds, and the next run on a healthy disk has
//! everything. The disk is a FUSE file system, which the program takes for a network one: the catalogue
//! there has no write-ahead log.

use std::collections::BTreeSet;

use message::Flags;
use restante_tests::{ACCOUNT, World, append, date, noisy_mail};
use rustix::io::Errno;
use server::sample::Random;
use testkit::{Call, Fault, FaultyDisk, Output};

/// Messages that are in the archive before anything fails.
const BEFORE: u32 = 30;

/// An archive with some mail on a disk that can be made to fail.
struct Patient {
    disk: FaultyDisk,
    world: World,
    next_message: u32,
}

impl Patient {
    fn new() -> Option<Self> {
        let disk = FaultyDisk::mount()?;
        let mut world = World::new()?;
        let home = disk.join("home");
        std::fs::create_dir(&home).expect("the disk can be written");
        world.keep_archive_in(&disk.join("archive"), &home);
        let mut patient = Self { disk, world, next_message: 0 };
        patient.arrive(BEFORE);
        let _ = patient.world.run_now();
        Some(patient)
    }

    fn arrive(&mut self, count: u32) {
        append(&mut self.world.judge(), "INBOX", self.next_message..self.next_message + count);
        self.next_message += count;
    }

    /// So many messages with 6 MB each that does not shrink.
    fn arrive_large(&mut self, count: u32) {
        let mut judge = self.world.judge();
        for number in self.next_message..self.next_message + count {
            let mail = noisy_mail(number, 6_000_000, &mut Random::new(u64::from(number)));
            judge.append("INBOX", &Flags::new(), &date(number), &mail);
        }
        self.next_message += count;
    }

    fn ids(&self) -> BTreeSet<String> {
        let listed = self.world.json(&["list", ACCOUNT, "INBOX"]);
        let messages = listed["messages"].as_array().expect("a list of messages");
        messages.iter().map(|message| message["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// A run with new mail on the server while the disk fails like this; then one on a healthy disk,
    /// after which all must be well.
    fn run_with(&mut self, fault: Fault) -> Output {
        let before = self.ids();
        self.arrive(3);
        self.disk.fail(fault);
        let output = self.world.program.run(["--json", "--run-now"]);
        self.disk.heal();
        let after = self.ids();
        assert!(after.is_superset(&before), "a committed message is gone: {}", output.stderr);
        let ledger = self.world.run_now();
        assert_eq!(
            (&ledger["outcome"], &ledger["totals"]["archived"]),
            (&"ok".into(), &self.next_message.into())
        );
        output
    }

    fn end(&self) {
        self.world.assert_archive_equals_server();
        self.world.run(0, &["verify"]);
    }
}

/// What a run said, wherever it said it.
fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), output.stderr)
}

/// The run failed as a whole and told these words.
#[track_caller]
fn assert_failed(output: &Output, words: &[&str]) {
    output.expect_code(1);
    let said = said(output);
    for word in words {
        assert!(said.contains(word), "nothing of {word:?} in:\n{said}");
    }
    assert!(!said.contains("panicked"), "{said}");
}

#[test]
fn d06_d07_d08_a_failing_pack_ends_the_run_with_the_cause_and_the_next_one_completes() {
    let Some(mut patient) = Patient::new() else { return };
    let (io, full, quota, readonly) =
        ("Input/output error", "No space left on device", "Disk quota exceeded", "Read-only file system");
    let table = [
        (Fault::error(Errno::IO, &[Call::Write]).once(), io),
        (Fault::error(Errno::IO, &[Call::Write]).from_nth(3).once(), io),
        (Fault::error(Errno::NOSPC, &[Call::Write]).once(), full),
        (Fault::error(Errno::NOSPC, &[Call::Write, Call::Create]), full),
        (Fault::error(Errno::NOSPC, &[Call::Write]).from_nth(4).once(), full),
        (Fault::error(Errno::DQUOT, &[Call::Write]).from_nth(2), quota),
        (Fault::error(Errno::IO, &[Call::Sync]).once(), io),
        (Fault::error(Errno::NOSPC, &[Call::Sync]).once(), full),
        (Fault::error(Errno::IO, &[Call::Sync]), io),
        (Fault::error(Errno::ROFS, &[Call::Write, Call::Create, Call::Truncate, Call::Sync]), readonly),
    ];
    for (fault, cause) in table {
        let output = patient.run_with(fault.on("archive/packs/"));
        assert_failed(&output, &["packs/", cause]);
    }
    // Every 8 MiB the pack is synced while the run goes on, beside the sync that ends it.
    for nth in [1, 2] {
        patient.arrive_large(3);
        let fault = Fault::error(Errno::IO, &[Call::Sync]).on("archive/packs/").from_nth(nth).once();
        assert_failed(&patient.run_with(fault), &["packs/", io]);
    }
    // The folder's own sync is not below it.
    let output = patient.run_with(Fault::error(Errno::IO, &[Call::SyncFolder]).on("archive/packs").once());
    assert_failed(&output, &["packs", io]);
    patient.end();
}

#[test]
fn d07_a_failed_run_is_recorded_with_its_cause_when_the_disk_allows_it() {
    let Some(mut patient) = Patient::new() else { return };
    patient.run_with(Fault::error(Errno::IO, &[Call::Sync]).on("archive/packs/").once());
    patient.arrive(2);
    patient.disk.fail(Fault::error(Errno::NOSPC, &[Call::Write]).on("archive/packs/").once());
    patient.world.run(1, &["--run-now"]);
    patient.disk.heal();
    let status = patient.world.json(&["status"]);
    let last = &status["accounts"][0]["last_run"];
    assert_eq!(last["outcome"], "failed");
    assert!(last["error"].as_str().is_some_and(|error| error.contains("No space left")), "{last}");
}

#[test]
fn d07_a_failing_catalogue_ends_the_run_with_the_cause_and_the_next_one_completes() {
    let Some(mut patient) = Patient::new() else { return };
    let mut failed = 0;
    for error in [Errno::IO, Errno::NOSPC] {
        for nth in [1, 2, 5, 9] {
            for calls in [&[Call::Write][..], &[Call::Sync], &[Call::Truncate], &[Call::Open, Call::Create]] {
                let fault = Fault::error(error, calls).on("archive/catalog.db").from_nth(nth);
                let output = patient.run_with(fault.clone());
                if output.code == Some(0) {
                    continue;
                }
                failed += 1;
                assert_failed(&output, &["catalog"]);
                // Making it anew would need the disk as well.
                let text = said(&output);
                assert!(!text.contains("`restante rebuild`"), "{fault:?}: {text}");
            }
        }
    }
    assert!(failed > 10, "only {failed} runs failed");
    patient.end();
}

#[test]
fn d09_a_catalogue_that_cannot_be_read_is_told_and_nothing_is_harmed() {
    let Some(mut patient) = Patient::new() else { return };
    for nth in [1, 2, 3, 6] {
        let fault = Fault::error(Errno::IO, &[Call::Read]).on("archive/catalog.db").from_nth(nth);
        let output = patient.run_with(fault);
        assert_failed(&output, &["catalog"]);
    }
    patient.end();
}

#[test]
fn d07_what_is_remembered_outside_the_archive_fails_loudly_too() {
    let Some(mut patient) = Patient::new() else { return };
    // It is read at the beginning and at the end, and written only when the archive has grown.
    for (error, call, calls) in [
        (Errno::NOSPC, Call::Write, 1),
        (Errno::IO, Call::Sync, 1),
        (Errno::IO, Call::Rename, 1),
        (Errno::NOSPC, Call::Create, 1),
        (Errno::IO, Call::Read, 2),
        (Errno::ACCESS, Call::Open, 2),
    ] {
        for nth in 1..=calls {
            let output = patient.run_with(Fault::error(error, &[call]).on("home/state/").from_nth(nth));
            assert_failed(&output, &["archives.json"]);
        }
    }
    patient.end();
}

#[test]
fn d07_lock_owner_mark_and_identity_that_fail_are_named() {
    let Some(mut patient) = Patient::new() else { return };
    for (file, call) in [
        ("archive/owner", Call::Write),
        ("archive/owner", Call::Sync),
        ("archive/owner", Call::Read),
        ("archive/lock", Call::Open),
        ("archive/archive.toml", Call::Open),
        ("archive/archive.toml", Call::Read),
    ] {
        let output = patient.run_with(Fault::error(Errno::IO, &[call]).on(file));
        assert_failed(&output, &[file, "Input/output error"]);
    }
    patient.end();
}

#[test]
fn d08_short_reads_and_writes_are_gone_on_with() {
    let Some(mut patient) = Patient::new() else { return };
    let output = patient.run_with(Fault::short(700).on("archive/packs/"));
    output.expect_code(0);
    patient.disk.fail(Fault::short(513).on("archive/packs/"));
    patient.end();
}

#[test]
fn d09_bad_sectors_cost_only_the_messages_in_them() {
    let Some(patient) = Patient::new() else { return };
    let pack = patient.world.packs().remove(0);
    let length = std::fs::metadata(&pack).expect("the pack is there").len();
    let name = format!("archive/packs/{}", pack.file_name().expect("a name").to_string_lossy());
    let listed = patient.world.json(&["list", ACCOUNT, "INBOX"]);
    let messages = listed["messages"].as_array().expect("a list of messages");
    // In the blocks of mail, well behind the header and before the journal.
    let bad = length / 3..length / 3 + 4096;
    patient.disk.fail(Fault::error(Errno::IO, &[Call::Read]).on(&name).in_range(bad));
    let report = patient.world.run(4, &["--json", "verify"]).json();
    let hit = report["messages_hit"].as_array().expect("a list of messages").len();
    assert!(hit > 0, "{report}");
    let (mut given, mut refused) = (0, 0);
    for message in messages {
        let id = message["id"].as_str().expect("an id");
        let shown = patient.world.program.run(["show", id]);
        match shown.code {
            Some(0) => given += 1,
            Some(4) => {
                refused += 1;
                assert!(
                    shown.stderr.contains(&pack.file_name().expect("a name").to_string_lossy()[..8]),
                    "{}",
                    shown.stderr
                );
            }
            code => panic!("{code:?}: {}", shown.stderr),
        }
    }
    assert_eq!((given + refused, refused), (messages.len(), hit));
    assert_eq!(patient.world.json(&["list", ACCOUNT, "INBOX"]), listed);
    patient.disk.heal();
    patient.end();
}

#[test]
fn d10_a_disk_that_turns_read_only_in_mid_run_ends_it_and_can_be_read() {
    let Some(mut patient) = Patient::new() else { return };
    for nth in [1, 2, 4, 8, 12] {
        let readonly = || Fault::error(Errno::ROFS, &Call::CHANGES).from_nth(nth);
        let output = patient.run_with(readonly());
        assert_failed(&output, &["Read-only file system"]);
    }
    patient.disk.fail(Fault::error(Errno::ROFS, &Call::CHANGES));
    patient.end();
}

#[test]
fn d19_a_disk_that_is_pulled_out_ends_the_run_at_once() {
    let Some(mut patient) = Patient::new() else { return };
    for (error, nth) in [(Errno::IO, 30), (Errno::NODEV, 45), (Errno::NOENT, 60), (Errno::NXIO, 80)] {
        let output = patient.run_with(Fault::error(error, &Call::ALL).from_nth(nth));
        output.expect_code(1);
        assert!(!said(&output).contains("panicked"), "{}", said(&output));
        assert!(said(&output).contains("archive"), "{}", said(&output));
    }
    patient.end();
}
