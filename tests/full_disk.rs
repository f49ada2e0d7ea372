//! A disk of 64 MB that fills: the run ends with the cause, everything can be read with no byte free,
//! and once there is room the next run completes (D7, O8).
//!
//! Both on FUSE, whose disk fills to the byte, and on an ext4 of its own, where SQLite has its
//! write-ahead log. Most of the disk is taken by ballast, so that filling the rest is quick.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use message::Flags;
use restante_tests::{ACCOUNT, World, date};
use server::sample::Random;
use testkit::{FaultyDisk, LoopDisk};

const DISK_BYTES: u64 = 64 << 20;

/// Messages of some 60 KB that do not get smaller.
fn heavy(number: u32) -> Vec<u8> {
    let mut random = Random::new(u64::from(number));
    let mut text = format!(
        "From: Sender <sender@example.org>\r\nSubject: Heavy {number}\r\nMIME-Version: 1.0\r\n\
         Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    )
    .into_bytes();
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for _ in 0..800 {
        text.extend((0..76).map(|_| *random.one_of(alphabet)));
        text.extend_from_slice(b"\r\n");
    }
    text
}

#[track_caller]
fn assert_tells_that_it_is_full(words: &str) {
    let cause = ["No space left on device", "no room is left"].iter().any(|cause| words.contains(cause));
    assert!(cause && words.contains("make room"), "{words}");
}

/// An account with more mail than the disk has room for.
struct Crowded {
    world: World,
    disk: PathBuf,
    messages: u32,
}

impl Crowded {
    fn new(disk: &Path) -> Option<Self> {
        let mut world = World::new()?;
        world.keep_archive_in(&disk.join("archive"), &world.path(""));
        let mut crowded = Self { world, disk: disk.to_owned(), messages: 0 };
        crowded.arrive(5);
        let _ = crowded.world.run_now();
        crowded.arrive(60);
        Some(crowded)
    }

    fn arrive(&mut self, count: u32) {
        let mut judge = self.world.judge();
        for number in self.messages..self.messages + count {
            judge.append("INBOX", &Flags::new(), &date(number), &heavy(number));
        }
        self.messages += count;
    }

    fn free(&self) -> u64 {
        let disk = rustix::fs::statvfs(&self.disk).expect("the disk can be asked");
        disk.f_bavail * disk.f_frsize
    }

    fn ballast(&self) -> PathBuf {
        self.disk.join("ballast")
    }

    /// Leaves so many bytes free.
    fn leave(&self, bytes: u64) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).expect("a file");
        while self.free() > bytes {
            let chunk = usize::try_from((self.free() - bytes).clamp(1, 1 << 20)).expect("a small number");
            // The last clusters may be needed for the file system's own sake.
            if ballast.write_all(&vec![0x55; chunk]).is_err() {
                break;
            }
        }
        // What a full disk says here is no news.
        let _ = ballast.sync_all();
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("the ballast is there");
    }

    fn archived(&self) -> u64 {
        self.world.json(&["list", ACCOUNT])["folders"][0]["messages"].as_u64().expect("a number")
    }

    /// Every way to read works, and gives what was committed.
    fn assert_readable(&self) {
        let listed = self.world.json(&["list", ACCOUNT, "INBOX"]);
        let messages = listed["messages"].as_array().expect("a list of messages");
        assert!(messages.len() >= 5);
        let id = messages[0]["id"].as_str().expect("an id");
        assert!(self.world.run(0, &["show", id]).stdout.ends_with(b"\r\n"));
        assert_eq!(self.world.export("eml").len(), messages.len());
        self.world.run(0, &["verify"]);
        self.world.run(0, &["verify", "--quick"]);
        self.world.run(0, &["status"]);
    }

    fn fills_and_goes_on(mut self) {
        self.leave(1_500_000);
        let ledger = self.world.run_with_code(1);
        let error = ledger["error"].as_str().expect("the run failed as a whole");
        assert_tells_that_it_is_full(error);
        assert_eq!(ledger["outcome"], "failed");

        self.leave(0);
        self.assert_readable();
        // Nothing to be had, and said so again; the archive does not get worse.
        let again = self.world.program.run(["--json", "--run-now"]);
        again.expect_code(1);
        let words = format!("{}{}", String::from_utf8_lossy(&again.stdout), again.stderr);
        assert_tells_that_it_is_full(&words);
        self.leave(0);
        self.assert_readable();

        self.make_room();
        let ledger = self.world.run_now();
        assert_eq!(ledger["totals"]["archived"], self.messages);
        self.world.assert_archive_equals_server();
        self.world.run(0, &["verify"]);
        self.keeps_the_reserve();
    }

    /// Below the reserve nothing is fetched, from the beginning of a run, and everybody is told.
    fn keeps_the_reserve(&mut self) {
        let before = self.archived();
        self.world.set_reserve("1GiB");
        self.arrive(3);
        let ledger = self.world.run_with_code(1);
        let error = ledger["error"].as_str().expect("the run failed as a whole");
        assert!(error.contains("reserve") && error.contains("make room"), "{error}");
        assert_eq!((&ledger["outcome"], &ledger["totals"]["bytes_fetched"]), (&"failed".into(), &0.into()));
        assert_eq!(self.archived(), before);
        let status = self.world.json(&["status"]);
        let last = &status["accounts"][0]["last_run"];
        assert_eq!(last["outcome"], "failed");
        assert!(last["error"].as_str().is_some_and(|error| error.contains("reserve")), "{last}");
        self.world.set_reserve("4MB");
        assert_eq!(self.world.run_now()["totals"]["archived"], self.messages);
    }
}

#[test]
fn d07_o08_a_full_disk_to_the_byte_harms_nothing_and_the_run_goes_on_when_there_is_room() {
    let Some(disk) = FaultyDisk::with_capacity(DISK_BYTES) else { return };
    let Some(crowded) = Crowded::new(disk.path()) else { return };
    crowded.fills_and_goes_on();
}

#[test]
fn d07_o08_a_full_ext4_harms_nothing_and_the_run_goes_on_when_there_is_room() {
    let Some(disk) = LoopDisk::mount(DISK_BYTES) else { return };
    let Some(crowded) = Crowded::new(&disk.path()) else { return };
    crowded.fills_and_goes_on();
}

#[test]
fn d07_a_disk_that_is_full_when_an_archive_is_to_be_made_is_told_and_the_next_run_makes_it() {
    let Some(disk) = FaultyDisk::with_capacity(DISK_BYTES) else { return };
    let Some(mut world) = World::new() else { return };
    world.keep_archive_in(&disk.join("archive"), &world.path(""));
    for room in [0, 1, 2, 3, 4, 6, 8, 12, 20] {
        let used = DISK_BYTES - disk.free_bytes();
        disk.set_capacity(used.next_multiple_of(4096) + room * 4096);
        let run = world.program.run(["--json", "--run-now"]);
        if run.code != Some(0) {
            let words = format!("{}{}", String::from_utf8_lossy(&run.stdout), run.stderr);
            assert_tells_that_it_is_full(&words);
        }
        disk.set_capacity(DISK_BYTES);
    }
    assert_eq!(world.run_now()["outcome"], "ok");
    world.run(0, &["verify"]);
}
