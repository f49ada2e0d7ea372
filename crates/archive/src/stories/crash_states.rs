//! D1 to D5: every state that a power cut can leave, opened, proven and continued.
//!
//! A life of an archive is lived once on a recording disk ([`Life`]). Then, for a crash before each
//! single operation, the states that the disk may be in are made ([`SimulatedDisk::after_crash`]): all
//! of them where they are few, else the first of them and a sample by chance. Each state is examined
//! as its owner would ([`examine`]): it opens, `verify` has nothing to say, exactly the mails of whole
//! commits are there, every acknowledged one among them, and the next pull goes on from there.
//!
//! How many states were tried is printed (`cargo test ... -- --nocapture`). `RESTANTE_LONG=1` tries
//! many times as many.

use std::collections::HashSet;

use super::*;
use crate::disk::simulated::{Chances, Operation};
use crate::surroundings::Seeded;

/// Mails of one commit. A state with part of them has seen half a commit.
pub(super) const BATCH: u32 = 2;

/// Packs of two commits.
pub(super) const OPTIONS: WriterOptions = WriterOptions { pack_bytes: 3_000, block_bytes: 2_000, level: 1 };

/// How many states are tried.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    /// Combinations per crash point, in sectors of 4096 bytes; if there are no more, it was all of them.
    combinations: usize,
    /// States by chance per crash point, in sectors of 512 bytes.
    samples: u64,
}

impl Effort {
    pub(super) fn quick_or_long(quick: (usize, u64), long: (usize, u64)) -> Self {
        let (combinations, samples) = if is_long() { long } else { quick };
        Self { combinations, samples }
    }
}

/// One life of an archive, from before `init`.
struct Life {
    disk: SimulatedDisk,
    place: Place,
    chance: Arc<Seeded>,
    /// So many mails had been acknowledged when so many operations had been done.
    acknowledged: Vec<(usize, u32)>,
    /// When `init` had returned.
    made: usize,
}

impl Life {
    /// On an empty disk; `init` is the first thing that happens.
    fn begin() -> Self {
        let disk = SimulatedDisk::new();
        let (place, chance) = (in_memory(&disk), Arc::new(Seeded::new(1)));
        init_at(&place, &*chance).unwrap();
        let made = disk.operations();
        Self { disk, place, chance, acknowledged: vec![(made, 0)], made }
    }

    fn writer(&self) -> Writer {
        Writer::open_at(self.place.clone(), self.chance.clone(), OPTIONS).unwrap()
    }

    /// So many commits by one writer.
    fn commits(mut self, count: u32) -> Self {
        let mut writer = self.writer();
        for _ in 0..count {
            let held = self.acknowledged.last().unwrap().1;
            pull(&mut writer, held + 1..held + 1 + BATCH);
            self.acknowledged.push((self.disk.operations(), held + BATCH));
        }
        self
    }

    /// A careless copy has left the identity file out.
    fn identity_lost(self) -> Self {
        self.disk.unlink(Path::new("/archive/archive.toml"));
        self
    }

    /// How many mails are acknowledged when the power goes before this operation.
    fn floor(&self, crash: usize) -> u32 {
        self.acknowledged
            .iter()
            .rev()
            .find(|(operations, _)| *operations <= crash)
            .map_or(0, |(_, held)| *held)
    }
}

pub(super) fn in_memory(disk: &SimulatedDisk) -> Place {
    Place::on(Arc::new(disk.clone()), Path::new("/archive"), None)
}

/// The states in which a power cut before operation `crash` may leave a disk, each once.
pub(super) fn states(
    disk: &SimulatedDisk,
    crash: usize,
    effort: Effort,
    each: &mut dyn FnMut(SimulatedDisk),
) {
    let mut seen = HashSet::new();
    let mut offer = |state: SimulatedDisk| {
        if seen.insert(state.fingerprint()) {
            each(state);
        }
    };
    for sector in [512, 4096] {
        // Everything that was written has reached the medium.
        offer(disk.after_crash(crash, sector, &mut |possibilities| possibilities - 1));
    }
    let mut chances = Chances::exhaustive();
    for _ in 0..effort.combinations {
        offer(disk.after_crash(crash, 4096, &mut |possibilities| chances.choose(possibilities)));
        if !chances.turn() {
            break;
        }
    }
    for seed in 0..effort.samples {
        let mut chances = Chances::seeded(seed);
        offer(disk.after_crash(crash, 512, &mut |possibilities| chances.choose(possibilities)));
    }
}

/// What a state of the disk turned out to be.
pub(super) struct Found {
    held: u32,
    /// The mails that are acknowledged after the pull that followed.
    pub(super) then_held: u32,
    /// How many operations had been done when that pull was acknowledged.
    acknowledged_at: usize,
}

/// What a power cut may do to an archive: nothing that its owner would notice beyond the loss of what was
/// not yet acknowledged.
pub(super) fn examine(
    disk: &SimulatedDisk,
    place: &Place,
    options: WriterOptions,
    floor: u32,
    what: &str,
) -> Found {
    let reader = Archive::open_at(place.clone()).unwrap_or_else(|error| panic!("{what}: {}", chain(&error)));
    let held = whole_batches(reader.view(), floor, what);
    assert_eq!(reader.damage(), [], "{what}: reading");
    drop(reader);
    assert_verified(place, what);
    let chance = Arc::new(Seeded::new(u64::from_le_bytes(disk.fingerprint()[..8].try_into().unwrap())));
    let opened = Writer::open_at(place.clone(), chance, options);
    let mut writer = opened.unwrap_or_else(|error| panic!("{what}: {}", chain(&error)));
    assert_eq!(writer.damage(), [], "{what}: writing");
    let then_held = held + BATCH;
    pull(&mut writer, held + 1..then_held + 1);
    let acknowledged_at = disk.operations();
    assert_eq!(whole_batches(writer.view(), then_held, what), then_held, "{what}: after a pull");
    drop(writer);
    assert_verified(place, what);
    Found { held, then_held, acknowledged_at }
}

/// Exactly the mails 1 to n are there, byte for byte, n being a multiple of a batch and at least `floor`.
fn whole_batches(view: View<'_>, floor: u32, what: &str) -> u32 {
    let found = readable(view);
    let held = found.len() as u32;
    assert_eq!(found, up_to(held), "{what}");
    assert!(held >= floor, "{what}: {held} mails of {floor} acknowledged ones");
    assert!(held.is_multiple_of(BATCH), "{what}: {held} mails are half a commit");
    held
}

pub(super) fn assert_verified(place: &Place, what: &str) {
    let mut report = verify_at(place, Depth::Full, None, &mut |_| {}).unwrap();
    if identity::read_identity(place).unwrap().is_none() {
        // Told, and written again by the next writer.
        report.damage.retain(|damage| damage.pack != "archive.toml");
    }
    assert_eq!((report.damage, report.messages_hit), (vec![], vec![]), "{what}: verify");
    assert!(!matches!(report.catalogue, CatalogueFinding::Differs { .. }), "{what}: {:?}", report.catalogue);
}

/// Every state of every crash point from operation `from` on, examined without a catalogue.
fn crash_everywhere(life: &Life, from: usize, effort: Effort) -> u64 {
    let mut count = 0;
    for crash in from..=life.disk.operations() {
        states(&life.disk, crash, effort, &mut |state| {
            let what = format!("crash before operation {crash}, state {count}");
            examine(&state, &in_memory(&state), OPTIONS, life.floor(crash), &what);
            count += 1;
        });
    }
    count
}

/// Crashes again in the recovery from each of the states, and so on, `depth` times.
fn crash_again(
    disk: &SimulatedDisk,
    floor: &dyn Fn(usize) -> u32,
    (from, step): (usize, usize),
    (depth, effort): (usize, Effort),
    (what, count): (&str, &mut u64),
) {
    for crash in (from..=disk.operations()).step_by(step) {
        let mut offered = Vec::new();
        states(disk, crash, effort, &mut |state| offered.push(state));
        for state in offered {
            *count += 1;
            let what = format!("{what}, cut before operation {crash} (state {count})");
            let found = examine(&state, &in_memory(&state), OPTIONS, floor(crash), &what);
            if depth > 1 {
                let floor = |crash| if crash >= found.acknowledged_at { found.then_held } else { found.held };
                crash_again(&state, &floor, (0, step), (depth - 1, effort), (&what, &mut *count));
            }
        }
    }
}

#[test]
fn d01_d02_d04_after_a_power_cut_at_any_moment_a_whole_commit_is_found_and_verify_is_clean() {
    let life = Life::begin().commits(3).commits(2);
    let packs = life.disk.paths().iter().filter(|path| path.extension().is_some_and(|e| e == "pack")).count();
    assert!(packs > 1, "the life changes its pack");
    let count = crash_everywhere(&life, life.made, Effort::quick_or_long((24, 24), (400, 400)));
    tell(&format!("states after a power cut: {count}"));
    assert!(count > 800, "{count}");
}

#[test]
fn d01_a_second_and_a_third_power_cut_during_the_recovery_change_nothing() {
    let life = Life::begin().commits(3);
    let mut count = 0;
    let effort = Effort::quick_or_long((3, 3), (10, 10));
    let step = if is_long() { 1 } else { 3 };
    let floor = |crash| life.floor(crash);
    let depth = if is_long() { 3 } else { 2 };
    crash_again(&life.disk, &floor, (life.made, step), (depth, effort), ("life", &mut count));
    tell(&format!("states after power cuts during recovery: {count}"));
    assert!(count > 1_000, "{count}");
}

#[test]
fn d01_a_power_cut_during_init_leaves_an_archive_or_a_folder_in_which_init_works() {
    let life = Life::begin();
    let (mut count, mut without) = (0, 0);
    for crash in 0..=life.made {
        states(&life.disk, crash, Effort { combinations: 5_000, samples: 20 }, &mut |state| {
            let (place, what) = (in_memory(&state), format!("crash before operation {crash}, state {count}"));
            if identify_at(&place).unwrap().is_none() {
                assert!(crash < life.made, "{what}: init had returned");
                init_at(&place, &*life.chance).unwrap_or_else(|error| panic!("{what}: {}", chain(&error)));
                without += 1;
            }
            examine(&state, &place, OPTIONS, 0, &what);
            count += 1;
        });
    }
    tell(&format!("states after a power cut in init: {count}, {without} of them without an archive"));
    assert!(without > 10 && count > without, "{count} {without}");
}

#[test]
fn d05_a_power_cut_while_a_lost_identity_file_is_written_again_loses_nothing() {
    let life = Life::begin().commits(1).identity_lost().commits(1);
    let record = life.disk.record();
    let lost = record.iter().position(|operation| matches!(operation, Operation::Remove(_))).unwrap();
    let effort = Effort::quick_or_long((100, 10), (2_000, 100));
    let count = crash_everywhere(&life, lost, effort);
    tell(&format!("states after a power cut while the identity is written: {count}"));
    assert!(count > 100, "{count}");
}

/// What may have become of the catalogue when the power went: SQLite keeps the last states of its own, or
/// somebody has lost the file.
#[derive(Clone, Copy, Debug)]
enum Catalogue {
    Gone,
    /// As it was after so many commits.
    Older(usize),
    /// As it was after the last acknowledged commit.
    Current,
    /// Bytes that SQLite does not take, and a half made new one beside them.
    Garbage,
}

#[test]
fn d01_d14_with_any_catalogue_that_a_power_cut_can_leave_every_state_opens_and_verifies() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog.db");
    let mut life = Life::begin();
    life.place = Place::on(Arc::new(life.disk.clone()), Path::new("/archive"), Some(file.clone()));
    let mut versions = vec![];
    for _ in 0..4 {
        life = life.commits(1);
        versions.push(std::fs::read(&file).unwrap());
    }
    let (samples, step) = if is_long() { (40, 1) } else { (2, 2) };
    let mut count = 0;
    for crash in (life.made..=life.disk.operations()).step_by(step) {
        let known = (life.floor(crash) / BATCH) as usize;
        let kinds = [Catalogue::Gone, Catalogue::Garbage, Catalogue::Current, Catalogue::Older(known / 2)];
        for kind in kinds {
            states(&life.disk, crash, Effort { combinations: 1, samples }, &mut |state| {
                crate::catalogue::remove(&file).unwrap();
                let version = match kind {
                    Catalogue::Gone => None,
                    Catalogue::Older(commits) => commits.checked_sub(1).map(|at| versions[at].clone()),
                    Catalogue::Current => known.checked_sub(1).map(|at| versions[at].clone()),
                    Catalogue::Garbage => {
                        std::fs::write(dir.path().join("catalog.db.new"), b"half made").unwrap();
                        Some(vec![0x5a; 20_000])
                    }
                };
                if let Some(bytes) = version {
                    std::fs::write(&file, bytes).unwrap();
                }
                let place = Place::on(Arc::new(state.clone()), Path::new("/archive"), Some(file.clone()));
                let what = format!("crash before operation {crash}, catalogue {kind:?}, state {count}");
                examine(&state, &place, OPTIONS, life.floor(crash), &what);
                count += 1;
            });
        }
    }
    tell(&format!("states with a catalogue: {count}"));
    assert!(count > 200, "{count}");
}
