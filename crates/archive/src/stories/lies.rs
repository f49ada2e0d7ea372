//! D16, D25, D27: disks, clocks and memories that do not tell the truth.

use std::collections::BTreeSet;

use super::crash_states::{BATCH, OPTIONS, assert_verified, in_memory};
use super::*;
use crate::disk::simulated::{Call, Chances, Faults};
use crate::surroundings::Seeded;

/// Mails that are listed, whether or not they can be read.
fn listed(view: View<'_>) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for account in view.accounts().unwrap() {
        for mailbox in view.mailboxes(account.id).unwrap() {
            found.extend(listing(view, mailbox.id, When::default()).into_iter().map(|(uid, ..)| uid));
        }
    }
    found
}

#[test]
fn d16_a_disk_that_acknowledges_and_forgets_loses_nothing_from_before_the_lie_and_the_loss_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog.db");
    let on =
        |disk: &SimulatedDisk| Place::on(Arc::new(disk.clone()), Path::new("/archive"), Some(file.clone()));
    let (mut count, mut losses) = (0, 0);
    let samples = if is_long() { 200 } else { 6 };
    for truths in 0.. {
        let _ = crate::catalogue::remove(&file);
        let disk = SimulatedDisk::new();
        init_at(&on(&disk), &Seeded::new(1)).unwrap();
        let syncs =
            || disk.calls().get(&Call::Sync).unwrap_or(&0) + disk.calls().get(&Call::SyncDir).unwrap_or(&0);
        let begun = syncs();
        disk.set_faults(Faults { syncs_before_lies: Some(truths), ..Faults::default() });
        let mut writer = Writer::open_at(on(&disk), Arc::new(Seeded::new(2)), OPTIONS).unwrap();
        let (mut floor, mut acknowledged) = (0, 0);
        for _ in 0..4 {
            pull(&mut writer, acknowledged + 1..acknowledged + BATCH + 1);
            acknowledged += BATCH;
            if syncs() - begun <= truths {
                floor = acknowledged;
            }
        }
        drop(writer);
        if floor == acknowledged {
            break;
        }
        let catalogue = std::fs::read(&file).unwrap();
        for seed in 0..samples {
            let mut chances = if seed == 0 { Chances::exhaustive() } else { Chances::seeded(seed) };
            let after = disk.after_crash(disk.operations(), 512, &mut |sides| chances.choose(sides));
            crate::catalogue::remove(&file).unwrap();
            std::fs::write(&file, &catalogue).unwrap();
            let what = format!("{truths} true syncs, seed {seed}");
            losses += u32::from(examine_lied_to(&on(&after), floor, acknowledged, &what));
            count += 1;
        }
    }
    tell(&format!("states of a disk that lied: {count}, {losses} of them with a loss"));
    assert!(count > 30 && losses > 10, "{count} {losses}");
}

/// Whether something was lost; then it was told, and the next pull fetches it.
fn examine_lied_to(place: &Place, floor: u32, acknowledged: u32, what: &str) -> bool {
    let verified = verify_at(place, Depth::Full, None, &mut |_| {}).unwrap();
    let mut writer = Writer::open_at(place.clone(), Arc::new(Seeded::new(3)), OPTIONS)
        .unwrap_or_else(|error| panic!("{what}: {}", chain(&error)));
    let (found, held) = (readable(writer.view()), listed(writer.view()));
    assert!(found.is_superset(&up_to(floor)), "{what}: {found:?} of {floor}");
    let lost = found != up_to(acknowledged);
    // What is gone shows when the archive is opened, what is wrong in a block when it is verified.
    let told = !writer.damage().is_empty() || !verified.is_whole();
    assert!(!lost || told, "{what}: {found:?} of {acknowledged} and nobody says so");
    // As the planner does: what the server has and the archive has not.
    let run = begin(&mut writer, "INBOX").unwrap();
    for number in 1..=acknowledged {
        if !held.contains(&number) {
            fill(&mut writer, &run, number..number + 1).unwrap();
        }
    }
    writer.commit().unwrap();
    drop(writer);
    let reader = Archive::open_at(place.clone()).unwrap();
    assert_eq!(listed(reader.view()), up_to(acknowledged), "{what}: after the next pull");
    let again = readable(reader.view());
    assert!(again.is_superset(&found), "{what}: {again:?} after {found:?}");
    drop(reader);
    // A mail that shares a piece with a damaged one stays damaged until a repair; it is named.
    let report = verify_at(place, Depth::Full, None, &mut |_| {}).unwrap();
    let hit: BTreeSet<u32> = report.messages_hit.iter().map(|hit| hit.uid.get()).collect();
    assert!(
        up_to(acknowledged).difference(&again).all(|mail| hit.contains(mail)),
        "{what}: {again:?} {hit:?}"
    );
    lost
}

#[test]
fn d25_whatever_the_clock_says_commits_are_ordered_by_their_number() {
    let disk = SimulatedDisk::new();
    let (place, chance) = (in_memory(&disk), Arc::new(Seeded::new(1)));
    init_at(&place, &*chance).unwrap();
    let clocks = [1_795_000_000_000, 0, -1, i64::MAX, i64::MIN, 1_795_000_000_000];
    for (number, clock) in (1..).zip(clocks) {
        chance.set_clock(clock);
        let mut writer = Writer::open_at(place.clone(), chance.clone(), OPTIONS).unwrap();
        pull(&mut writer, number..number + 1);
        assert_eq!(writer.last_commit().number, u64::from(number));
    }
    let last = clocks.len() as u32;
    let reader = Archive::open_at(place.clone()).unwrap();
    assert_eq!(reader.last_commit().unwrap().number, u64::from(last));
    assert_eq!(readable(reader.view()), up_to(last));
    assert_verified(&place, "a clock that jumps");
}

#[test]
fn d27_a_blob_that_changed_in_memory_is_not_written_under_a_checksum_that_says_it_is_right() {
    let world = World::new();
    let mut writer = world.writer();
    pull(&mut writer, 1..3);
    let run = begin(&mut writer, "INBOX").unwrap();
    let mut pieces = Vec::new();
    let mut splitter = Splitter::new();
    splitter.push(&mail(3), &mut |piece| pieces.push(piece));
    let message = splitter.finish(&mut |piece| pieces.push(piece)).unwrap();
    // One bit of memory flips between the splitter and the pack.
    let last = pieces.last_mut().unwrap();
    let mut bytes = last.bytes.to_vec();
    bytes[5] ^= 4;
    last.bytes = bytes;
    for piece in pieces {
        writer.put_blob(piece).unwrap();
    }
    writer.put_message(&message).unwrap();
    writer.place(run.epoch, uid(3), placement(message.key, 3)).unwrap();
    let error = writer.commit().unwrap_err();
    assert!(matches!(error, Error::ChangedInMemory(_)), "{error}");
    assert!(error.to_string().contains("test it before the next run"), "{error}");
    drop(writer);
    let mut writer = world.writer();
    assert_eq!(readable(writer.view()), up_to(2));
    pull(&mut writer, 3..4);
    drop(writer);
    assert_eq!(readable(world.reader().view()), up_to(3));
    assert_verified(&world.place, "after a flipped bit in memory");
}
