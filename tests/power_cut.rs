//! The power goes at any moment of a pull, and nothing that was committed is lost (D1).
//!
//! The program runs on a disk that keeps unsynced writes apart and, when its power is cut, loses, tears
//! and reorders them; the program is killed in the same moment. What it remembers outside the archive
//! lies on the same disk, so that it must never be ahead of the archive. Then the archive is opened on
//! what is left: it is whole, holds what it held before, and the next run goes on.
//!
//! With RESTANTE_LONG=1 there are 200 cuts in each test.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Stdio;

use message::Flags;
use restante_tests::{ACCOUNT, World, append, is_long, uids};
use server::sample::Random;
use testkit::{FaultyDisk, LoopDisk};

const FOLDERS: [&str; 3] = ["INBOX", "Sent", "Work/R&D"];

/// What the archive holds or ever held: folder and message.
type Held = BTreeSet<(String, String)>;

/// A world in which the server's mailbox goes on living while the archive's disk suffers.
struct Life {
    world: World,
    next_message: u32,
    held: Held,
    /// Whether a run has said that all is in the archive.
    promised: bool,
    completed: u32,
}

impl Life {
    fn new() -> Option<Self> {
        let world = World::new()?;
        let mut judge = world.judge();
        for name in &FOLDERS[1..] {
            judge.create(name);
        }
        let mut life = Self { world, next_message: 0, held: Held::new(), promised: false, completed: 0 };
        life.arrive(120);
        Some(life)
    }

    fn use_disk(&mut self, path: &Path) {
        let home = path.join("home");
        std::fs::create_dir_all(&home).expect("the disk can be written");
        // The test's own folder is durable; what the program makes in it is the program's affair.
        for folder in [&home, path] {
            let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
            synced.expect("the disk can be synced");
        }
        self.world.keep_archive_in(&path.join("archive"), &home);
        (self.held, self.promised) = (Held::new(), false);
    }

    /// New messages, spread over the folders.
    fn arrive(&mut self, count: u32) {
        let mut judge = self.world.judge();
        for number in self.next_message..self.next_message + count {
            append(&mut judge, FOLDERS[number as usize % FOLDERS.len()], [number]);
        }
        self.next_message += count;
    }

    /// The mailbox changes: mail comes, goes, moves and is read.
    fn go_on(&mut self) {
        self.completed += 1;
        self.arrive(12);
        let mut judge = self.world.judge();
        let uid = self.completed;
        judge.expunge("INBOX", &uids(&uid.to_string()));
        judge.store("Sent", &uids(&format!("1:{uid}")), "FLAGS", &Flags::parse("\\Seen Kept"));
        judge.move_to("Work/R&D", &uids(&uid.to_string()), "Sent");
    }

    /// The archive as it is now: whole, with all that was there before. `false`: nothing was begun yet.
    fn look(&mut self, moment: &str) -> bool {
        let verified = self.world.program.run(["--json", "verify"]);
        let not_begun = verified.code == Some(1) && verified.stderr.contains("no archive");
        if not_begun && self.held.is_empty() && !self.promised {
            return false;
        }
        assert_eq!(verified.code, Some(0), "{moment}: verify\n{}", verified.stderr);
        let held = self.held(moment);
        let lost: Vec<_> = self.held.difference(&held).collect();
        assert!(lost.is_empty(), "{moment}: lost {lost:?}");
        self.held = held;
        true
    }

    fn held(&self, moment: &str) -> Held {
        let listed = self.world.program.run(["--json", "list"]);
        assert_eq!(listed.code, Some(0), "{moment}: list\n{}", listed.stderr);
        let mut held = Held::new();
        for folder in FOLDERS {
            let listed = self.world.program.run(["--json", "list", ACCOUNT, folder, "--deleted"]);
            // Before the first commit that names it there is no such account or folder.
            let Some(messages) = listed.code.filter(|&code| code == 0).map(|_| listed.json()) else {
                assert!(listed.stderr.contains("holds no"), "{moment}: {}", listed.stderr);
                continue;
            };
            for message in messages["messages"].as_array().expect("a list of messages") {
                held.insert((folder.to_owned(), message["id"].as_str().expect("an id").to_owned()));
            }
        }
        held
    }

    /// Ends with a whole run and everything as on the server.
    fn end(&mut self) {
        let ledger = self.world.run_now();
        assert_eq!(ledger["outcome"], "ok");
        self.world.assert_archive_equals_server();
        assert!(self.look("at the end"));
    }
}

/// One run on the disk, whose power goes after `changes` changing calls: whether it came to its end.
fn run_until_cut(life: &mut Life, disk: &FaultyDisk, changes: u64) -> bool {
    disk.cut_after(changes);
    let mut command = life.world.program.command(["--quiet", "--run-now"]);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts");
    disk.power(child.id());
    let output = child.wait_with_output().expect("the child ends");
    if disk.is_cut() {
        return false;
    }
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "a run that was not cut: {said}");
    life.promised = true;
    true
}

#[test]
fn d01_a_power_cut_at_any_moment_of_a_pull_loses_nothing_that_was_committed() {
    let Some(mut disk) = FaultyDisk::mount() else { return };
    let Some(mut life) = Life::new() else { return };
    life.use_disk(disk.path());
    assert!(run_until_cut(&mut life, &disk, u64::MAX >> 1));
    let whole_run = usize::try_from(disk.changes()).expect("a small number");
    assert!(whole_run > 30, "a run makes enough changes to be cut in: {whole_run}");

    let mut random = Random::new(0xd01);
    let (mut cuts, mut afresh) = (0, 0);
    while cuts < if is_long() { 200 } else { 30 } {
        // A new disk now and then, so that the beginning of an archive is cut as well.
        if cuts % 6 == 0 {
            disk = FaultyDisk::mount().expect("it was there before");
            life.use_disk(disk.path());
            afresh += 1;
        }
        let changes = random.below(whole_run) as u64;
        let moment = format!("cut {cuts} after {changes} changes on disk {afresh}");
        let ended = run_until_cut(&mut life, &disk, changes);
        disk.power_cut(random.number());
        let begun = life.look(&moment);
        if ended {
            assert!(begun, "{moment}: a run that was whole is lost");
            life.go_on();
        } else {
            cuts += 1;
        }
    }
    life.end();
}

#[test]
fn d01_a_power_cut_while_an_archive_is_being_made_does_not_stand_in_the_way_of_the_next_run() {
    if FaultyDisk::mount().is_none() {
        return;
    }
    let Some(mut life) = Life::new() else { return };
    let mut random = Random::new(0xd010);
    // Making an archive and the first commit take about so many changes.
    for changes in 0..18 {
        for _ in 0..if is_long() { 10 } else { 1 } {
            let mut disk = FaultyDisk::mount().expect("it was there before");
            life.use_disk(disk.path());
            assert!(!run_until_cut(&mut life, &disk, changes), "a run makes more changes");
            disk.power_cut(random.number());
            life.look(&format!("after {changes} changes"));
            let run = life.world.program.run(["--json", "--run-now"]);
            assert_eq!(run.code, Some(0), "after {changes} changes: {}", run.stderr);
            assert_eq!(run.json()["runs"][0]["totals"]["archived"], life.next_message);
        }
    }
}

#[test]
fn d01_a_power_cut_on_ext4_with_a_write_ahead_log_loses_nothing_that_was_committed() {
    let Some(disk) = LoopDisk::mount(64 << 20) else { return };
    let Some(mut life) = Life::new() else { return };
    life.use_disk(&disk.path());
    let mut random = Random::new(0xe4);
    let mut cuts = 0;
    while cuts < if is_long() { 200 } else { 12 } {
        let wanted = life.world.pack_bytes() + 1 + random.below(40_000) as u64;
        let mut command = life.world.program.command(["--quiet", "--run-now"]);
        let mut child =
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the program starts");
        let ended = loop {
            if let Some(status) = child.try_wait().expect("the child can be asked") {
                assert!(status.success(), "a run that was not cut: {status}");
                break true;
            }
            if life.world.pack_bytes() >= wanted {
                break false;
            }
            std::thread::yield_now();
        };
        disk.power_off();
        if !ended {
            // It may have come to its end in spite of it all.
            let _ = child.kill();
            child.wait().expect("the child can be reaped");
        }
        disk.power_on();
        life.promised |= ended;
        let begun = life.look(&format!("cut {cuts}"));
        if ended {
            assert!(begun, "cut {cuts}: a run that was whole is lost");
            life.go_on();
        }
        cuts += 1;
    }
    life.end();
}
