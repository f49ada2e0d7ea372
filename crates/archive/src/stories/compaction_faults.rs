//! D20, D26: power cuts at each step of a compaction, calls that fail, and copies that are taken meanwhile.

use std::collections::HashSet;

use super::compaction::{OPTIONS, WITH_GRACE, compact, daily_runs};
use super::crash_states::{self, BATCH, Effort, assert_verified, examine, in_memory, states};
use super::failing_calls::{CHANGES, calls_of, cases, faults_of};
use super::*;
use crate::disk::simulated::Faults;
use crate::surroundings::Seeded;

/// Commits of two mails each, in several packs.
fn life(commits: u32) -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let (place, chance) = (in_memory(&disk), Arc::new(Seeded::new(1)));
    init_at(&place, &*chance).unwrap();
    let mut writer = Writer::open_at(place, chance, crash_states::OPTIONS).unwrap();
    for commit in 0..commits {
        pull(&mut writer, commit * BATCH + 1..(commit + 1) * BATCH + 1);
    }
    drop(writer);
    disk.copy()
}

fn compact_on(disk: &SimulatedDisk, seed: u64, options: &CompactOptions) -> Result<CompactReport> {
    let chance = Arc::new(Seeded::new(seed));
    compact_at(&in_memory(disk), chance, options, &mut |_| ControlFlow::Continue(()))
}

/// Whatever was left, the next compaction finishes it.
fn finish(disk: &SimulatedDisk, held: u32, what: &str) {
    for seed in [77, 78] {
        let done = compact_on(disk, seed, &OPTIONS);
        let report = done.unwrap_or_else(|error| panic!("{what}: {}", chain(&error)));
        // A pack of two mails has little to gain.
        let is_well = |left: &LeftAlone| left.reason == LeftReason::NotSmaller;
        assert!(report.left.iter().all(is_well), "{what}: {:?}", report.left);
    }
    assert!(disk.paths().iter().all(|path| path.extension().is_none_or(|end| end != "new")), "{what}");
    assert_eq!(readable(Archive::open_at(in_memory(disk)).unwrap().view()), up_to(held), "{what}");
    assert_verified(&in_memory(disk), what);
}

#[test]
fn d26_after_a_power_cut_at_any_step_of_a_compaction_all_is_there() {
    let effort = Effort::quick_or_long((3, 2), (200, 60));
    for options in [OPTIONS, WITH_GRACE].into_iter().take(if is_long() { 2 } else { 1 }) {
        let disk = life(4);
        // Twice: the second one removes what the first has replaced, if there is no grace.
        compact_on(&disk, 2, &options).unwrap();
        let place = in_memory(&disk);
        let mut writer = Writer::open_at(place, Arc::new(Seeded::new(3)), crash_states::OPTIONS).unwrap();
        pull(&mut writer, 4 * BATCH + 1..5 * BATCH + 1);
        drop(writer);
        let pulled = disk.operations();
        compact_on(&disk, 4, &options).unwrap();
        let mut count = 0;
        for crash in 0..=disk.operations() {
            let floor = if crash >= pulled { 5 * BATCH } else { 4 * BATCH };
            states(&disk, crash, effort, &mut |state| {
                count += 1;
                let what = format!("cut before operation {crash}, state {count}");
                let found = examine(&state, &in_memory(&state), crash_states::OPTIONS, floor, &what);
                finish(&state, found.then_held, &what);
            });
        }
        tell(&format!("states after a power cut in a compaction: {count}"));
        assert!(count > 100, "{count}");
    }
}

#[test]
fn d26_whichever_call_of_a_compaction_fails_nothing_is_harmed_and_the_next_one_completes() {
    let archive = life(4);
    let calls = calls_of(&archive, |disk| {
        compact_on(disk, 2, &OPTIONS).unwrap();
    });
    let mut count = 0;
    for (at, (call, number, (error, cause, _))) in cases(&calls).into_iter().enumerate() {
        // Changes are what this is about; of the others a few will do.
        if !CHANGES.contains(&call) && !is_long() && !at.is_multiple_of(11) {
            continue;
        }
        for faults in faults_of(call, number, error) {
            let disk = archive.copy();
            let what = format!("{call:?} {number} fails: {cause}, {faults:?}");
            disk.set_faults(faults);
            match compact_on(&disk, 2, &OPTIONS) {
                Ok(report) => assert!(
                    report.left.iter().all(|left| left.reason == LeftReason::Damaged),
                    "{what}: {report:?}"
                ),
                Err(Error::Unproven { .. }) => {}
                Err(error) => assert!(chain(&error).contains(cause), "{what}: {}", chain(&error)),
            }
            disk.set_faults(Faults::default());
            let found = examine(&disk, &in_memory(&disk), crash_states::OPTIONS, 4 * BATCH, &what);
            finish(&disk, found.then_held, &what);
            count += 1;
        }
    }
    tell(&format!("calls that failed in a compaction: {count}"));
    assert!(count > 60, "{count}");
}

#[test]
fn d20_a_copy_taken_in_any_order_while_pulling_and_compacting_opens_and_verifies() {
    // What the folder was like after each step.
    let world = daily_runs(4);
    let mut moments = vec![(world.disk.copy(), 12)];
    for round in 0..5 {
        let mut writer = world.writer();
        for commit in 0..3 {
            let first = 13 + round * 9 + commit * 3;
            pull(&mut writer, first..first + 3);
            moments.push((world.disk.copy(), first + 2));
        }
        drop(writer);
        compact(&world, &WITH_GRACE);
        moments.push((world.disk.copy(), 12 + (round + 1) * 9));
    }
    for seed in 0..150u64 {
        let chance = |number: usize| {
            let hash = blake3::hash(&[seed.to_le_bytes(), (number as u64).to_le_bytes()].concat());
            usize::from(hash.as_bytes()[0]) << 8 | usize::from(hash.as_bytes()[1])
        };
        // The folder is listed at one moment, and each file is copied at a later one.
        let listed = chance(0) % moments.len();
        let (list, held) = &moments[listed];
        let copy = list.copy();
        for (number, path) in list.paths().iter().enumerate() {
            if path.extension().is_some_and(|end| end == "pack") {
                let then = listed + chance(number + 1) % (moments.len() - listed);
                copy.write(path, &moments[then].0.read(path));
            }
        }
        let opened = World::on(&copy);
        let what = format!("seed {seed}, listed at {listed}");
        let found = readable(opened.reader().view());
        assert!(found.is_superset(&up_to(*held)), "{what}: {found:?} of {held}");
        let report = verify_at(&opened.place, Depth::Full, None, &mut |_| {}).unwrap();
        assert_eq!((report.damage, report.messages_hit), (vec![], vec![]), "{what}");
        let mut writer = opened.writer();
        pull(&mut writer, 200..203);
        drop(writer);
        assert!(readable(opened.reader().view()).is_superset(&found), "{what}");
        compact(&opened, &OPTIONS);
        let report = verify_at(&opened.place, Depth::Full, None, &mut |_| {}).unwrap();
        assert_eq!((report.damage, report.messages_hit), (vec![], vec![]), "{what}");
    }
    let names: HashSet<_> = moments.iter().flat_map(|(disk, _)| disk.paths()).collect();
    assert!(names.len() > 10, "packs came and went");
}
