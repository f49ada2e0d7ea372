//! Power cuts, bad sectors, full disks, missing files.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;
use crate::disk::simulated::{Call, Chances, Faults, Operation, errno};

/// Three commits of ten mails each in one pack.
fn three_commits() -> (World, PathBuf, Vec<usize>) {
    let mut world = World::new();
    world.options.pack_bytes = 1 << 30;
    let mut writer = world.writer();
    let mut ends = vec![];
    for commit in 0..3 {
        pull(&mut writer, commit * 10 + 1..commit * 10 + 11);
        ends.push(world.disk.read(&world.packs()[0]).len());
    }
    drop(writer);
    let pack = world.packs().remove(0);
    (world, pack, ends)
}

#[test]
fn d02_a_pack_cut_at_any_byte_opens_as_its_last_whole_commit() {
    let (world, pack, ends) = three_commits();
    let whole = world.disk.read(&pack);
    let step = if cfg!(debug_assertions) { 53 } else { 1 };
    for cut in (0..whole.len()).step_by(step).chain(ends.iter().flat_map(|end| [end - 1, *end, end + 1])) {
        if cut > whole.len() {
            continue;
        }
        let disk = world.disk.copy();
        disk.write(&pack, &whole[..cut]);
        let expected = ends.iter().filter(|end| **end <= cut).count() as u32 * 10;
        let mut cut_world = World::on(&disk);
        cut_world.options = world.options;
        assert_eq!(readable(cut_world.reader().view()), up_to(expected), "cut at {cut}");
        cut_world.drop_catalogue();
        let mut writer = cut_world.writer();
        assert_eq!(readable(writer.view()), up_to(expected), "cut at {cut}");
        pull(&mut writer, 31..33);
        drop(writer);
        cut_world.drop_catalogue();
        let after = readable(cut_world.reader().view());
        assert_eq!(after, up_to(expected).into_iter().chain(31..33).collect(), "cut at {cut}");
    }
}

#[test]
fn d02_zeros_behind_the_last_commit_are_an_end() {
    let (world, pack, ends) = three_commits();
    let mut bytes = world.disk.read(&pack);
    bytes.resize(bytes.len() + 100_000, 0);
    world.disk.write(&pack, &bytes);
    let mut writer = world.writer();
    assert_eq!(readable(writer.view()), up_to(30));
    assert_eq!(world.disk.read(&pack).len(), ends[2], "the catalogue vouches that nothing was lost: cut");
    pull(&mut writer, 31..35);
    assert_eq!((readable(writer.view()), world.packs().len()), (up_to(34), 1));
}

#[test]
fn d03_no_tail_is_cut_where_nobody_vouches_that_it_was_never_acknowledged() {
    let (world, pack, ends) = three_commits();
    let mut bytes = world.disk.read(&pack);
    bytes[ends[2] - 90] ^= 1;
    world.disk.write(&pack, &bytes);
    world.drop_catalogue();
    let mut writer = world.writer();
    assert_eq!(readable(writer.view()), up_to(20));
    pull(&mut writer, 21..25);
    assert!(world.disk.read(&pack) == bytes, "nothing is cut off");
    assert_eq!((readable(writer.view()), world.packs().len()), (up_to(24), 2));
    drop(writer);
    world.drop_catalogue();
    assert_eq!(readable(world.reader().view()), up_to(24));
}

#[test]
fn d03_damage_before_valid_commits_loses_none_of_them() {
    let (world, pack, ends) = three_commits();
    let whole = world.disk.read(&pack);
    let step = if cfg!(debug_assertions) { 101 } else { 3 };
    for at in (128..ends[1]).step_by(step) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        let disk = world.disk.copy();
        disk.write(&pack, &bytes);
        let damaged = World::on(&disk);
        let mut writer = damaged.writer();
        let found = readable(writer.view());
        assert!(found.is_superset(&(22..31).collect()), "flipped {at}: {found:?}");
        pull(&mut writer, 31..33);
        drop(writer);
        assert!(
            disk.read(&pack).starts_with(&bytes),
            "flipped {at}: nothing of the damaged pack is cut or changed"
        );
    }
}

#[test]
fn d11_every_flipped_byte_of_a_pack_is_found_and_told() {
    let (world, pack, ends) = three_commits();
    let whole = world.disk.read(&pack);
    let report = verify_at(&world.place, Depth::Full, None, &mut |_| {}).unwrap();
    assert!(report.is_whole());
    assert_eq!((report.messages, report.catalogue), (30, CatalogueFinding::Ok));
    let step = if cfg!(debug_assertions) { 97 } else { 1 };
    for at in (0..ends[2]).step_by(step).chain((0..128).step_by(step / 16 + 1)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        world.disk.write(&pack, &bytes);
        let report = verify_at(&world.place, Depth::Full, None, &mut |_| {}).unwrap();
        assert!(!report.damage.is_empty(), "flipped {at}");
        for hit in &report.messages_hit {
            assert_eq!((hit.account.as_str(), hit.mailbox.as_str()), ("work", "INBOX"));
            assert_eq!(hit.subject, format!("Mail number {}", hit.uid));
        }
        // No read path gives wrong bytes.
        readable(world.reader().view());
    }
    world.disk.write(&pack, &whole);
    let report = verify_at(&world.place, Depth::Quick, Some(&["work".to_owned()]), &mut |_| {}).unwrap();
    assert!(report.is_whole());
    assert!(matches!(
        verify_at(&world.place, Depth::Full, Some(&["nobody".to_owned()]), &mut |_| {}),
        Err(Error::UnknownAccount(_))
    ));
}

#[test]
fn d09_an_unreadable_block_hits_only_its_messages_and_verify_goes_on() {
    let (world, pack, ends) = three_commits();
    let all = readable(world.reader().view());
    assert_eq!(all, up_to(30));
    let middle = (ends[0] as u64 + ends[1] as u64) / 2;
    world.disk.set_faults(Faults { unreadable: Some(middle..middle + 10), ..Faults::default() });
    let report = verify_at(&world.place, Depth::Full, None, &mut |_| {}).unwrap();
    let hit: BTreeSet<u32> = report.messages_hit.iter().map(|hit| hit.uid.get()).collect();
    let unreadable: BTreeSet<u32> = all.difference(&readable(world.reader().view())).copied().collect();
    assert!(!hit.is_empty() && hit == unreadable, "{hit:?} {unreadable:?}");
    assert_eq!(report.damage.len(), 1, "{:?}", report.damage);
    assert!(world.packs().contains(&pack));
}

#[test]
fn d01_after_a_power_cut_between_any_two_operations_a_whole_commit_is_found() {
    let world = World::new();
    let mut writer = world.writer();
    // How many mails were acknowledged when so many operations had been done.
    let mut acknowledged = vec![(world.disk.record().len(), 0)];
    for commit in 0..6 {
        pull(&mut writer, commit * 12 + 1..commit * 12 + 13);
        acknowledged.push((world.disk.record().len(), (commit + 1) * 12));
    }
    drop(writer);
    let from = acknowledged[0].0;
    for crash in from..=world.disk.operations() {
        let at_least = acknowledged.iter().rev().find(|(operations, _)| *operations <= crash).unwrap().1;
        for seed in 0..4u64 {
            let mut chances = Chances::seeded(seed);
            let disk = world.disk.after_crash(crash, 512, &mut |sides| chances.choose(sides));
            let after = World::on(&disk);
            let mut writer = after.writer();
            let found = readable(writer.view());
            let last = found.len() as u32;
            assert_eq!(found, up_to(last), "crash before {crash}, seed {seed}");
            assert!(
                last >= at_least && last.is_multiple_of(12),
                "crash before {crash}, seed {seed}: {last} of {at_least}"
            );
            pull(&mut writer, last + 1..last + 3);
            assert_eq!(readable(writer.view()), up_to(last + 2));
        }
    }
}

#[test]
fn d04_a_new_pack_is_named_in_its_folder_before_its_first_commit_is_acknowledged() {
    let world = World::new();
    let before = world.disk.record().len();
    pull(&mut world.writer(), 1..3);
    let record = world.disk.record().split_off(before);
    let synced = record.iter().position(|operation| matches!(operation, Operation::SyncDir(_))).unwrap();
    let written = record.iter().rposition(|operation| matches!(operation, Operation::Write { .. })).unwrap();
    assert!(written < synced);
}

#[test]
fn d06_after_a_failed_sync_nothing_of_the_batch_counts_and_the_file_is_left() {
    let world = World::new();
    let mut writer = world.writer();
    pull(&mut writer, 1..11);
    let run = begin(&mut writer, "INBOX").unwrap();
    fill(&mut writer, &run, 11..15).unwrap();
    world.disk.set_faults(Faults::once(Call::Sync, 1, errno::IO));
    assert!(matches!(writer.commit(), Err(Error::Io { .. })));
    assert!(matches!(writer.commit(), Err(Error::Abandoned)));
    assert!(matches!(begin(&mut writer, "INBOX"), Err(Error::Abandoned)));
    drop(writer);
    let mut writer = world.writer();
    assert_eq!(readable(writer.view()), up_to(10));
    assert_eq!(world.packs().len(), 2, "the next pack makes void what lies behind the last commit");
    pull(&mut writer, 11..13);
    drop(writer);
    world.drop_catalogue();
    assert_eq!(readable(world.reader().view()), up_to(12));
}

#[test]
fn d06_what_looks_like_a_commit_behind_a_failed_sync_is_void() {
    let world = World::new();
    let mut writer = world.writer();
    pull(&mut writer, 1..11);
    let pack = world.packs().remove(0);
    // The same commit, once on a disk where the sync worked ...
    let lucky = world.disk.copy();
    let beside = World::on(&lucky);
    std::fs::copy(world.place.catalogue.as_ref().unwrap(), beside.place.catalogue.as_ref().unwrap()).unwrap();
    pull(&mut beside.writer(), 11..15);
    // ... is put where it failed, as if the pages had reached the medium all the same.
    let run = begin(&mut writer, "INBOX").unwrap();
    fill(&mut writer, &run, 11..15).unwrap();
    world.disk.set_faults(Faults::once(Call::Sync, 1, errno::IO));
    writer.commit().unwrap_err();
    drop(writer);
    world.disk.write(&pack, &lucky.read(&pack));
    world.drop_catalogue();
    assert_eq!(readable(world.reader().view()), up_to(10));
}

#[test]
fn d07_a_full_disk_takes_back_to_the_last_commit_and_reading_goes_on() {
    let world = World::new();
    let mut writer = world.writer();
    pull(&mut writer, 1..11);
    for room in [0, 50, 200, 1000, 3000] {
        let run = begin(&mut writer, "INBOX").unwrap();
        fill(&mut writer, &run, 100..140).unwrap_or_default();
        world.disk.set_faults(Faults { room: Some(room), ..Faults::default() });
        let error = writer.commit().unwrap_err();
        assert!(error.is_full() || matches!(error, Error::Abandoned), "{error}");
        assert_eq!(readable(writer.view()), up_to(10), "a finished writer still reads");
        drop(writer);
        assert_eq!(readable(world.reader().view()), up_to(10));
        world.disk.set_faults(Faults::default());
        writer = world.writer();
        assert_eq!((readable(writer.view()), world.packs().len()), (up_to(10), 1));
    }
}

#[test]
fn d08_short_writes_are_gone_on_with() {
    let world = World::new();
    world.disk.set_faults(Faults { short: Some(13), ..Faults::default() });
    pull(&mut world.writer(), 1..20);
    world.disk.set_faults(Faults::default());
    world.drop_catalogue();
    assert_eq!(readable(world.reader().view()), up_to(19));
}

/// Several sealed packs of a few mails each.
fn many_packs() -> World {
    let mut world = World::new();
    world.options.pack_bytes = 9_000;
    let mut writer = world.writer();
    for commit in 0..8 {
        pull(&mut writer, commit * 10 + 1..commit * 10 + 11);
    }
    assert!(world.packs().len() >= 3, "{:?}", world.packs());
    world
}

#[test]
fn d12_with_any_one_pack_missing_or_cut_the_rest_is_read_and_writing_goes_on() {
    for spoiled in 0..many_packs().packs().len() {
        for cut in [None, Some(0), Some(3000)] {
            for forget in [false, true] {
                let world = many_packs();
                let last = spoiled + 1 == world.packs().len();
                let pack = world.packs().remove(spoiled);
                match cut {
                    None => world.disk.unlink(&pack),
                    Some(length) => world.disk.write(&pack, &world.disk.read(&pack)[..length]),
                }
                if forget {
                    world.drop_catalogue();
                }
                let mut writer = world.writer();
                assert!(!writer.damage().is_empty() || last || forget, "pack {spoiled} cut {cut:?}");
                let found = readable(writer.view());
                assert!(!found.is_empty(), "pack {spoiled} cut {cut:?} forget {forget}");
                pull(&mut writer, 200..205);
                assert!(readable(writer.view()).is_superset(&(200..205).collect()));
                drop(writer);
                let report = verify_at(&world.place, Depth::Full, None, &mut |_| {}).unwrap();
                assert!(last || !report.damage.is_empty(), "pack {spoiled} cut {cut:?} forget {forget}");
            }
        }
    }
}

#[test]
fn d13_foreign_and_doubled_files_are_left_alone_and_mentioned() {
    let world = many_packs();
    let expected = readable(world.reader().view());
    let packs = world.packs();
    let folder = Path::new("/archive/packs");
    world.disk.write(&folder.join("00000001 (copy).pack"), &world.disk.read(&packs[0]));
    world.disk.write(&folder.join(".nfs0001"), b"left over");
    world.disk.write(&folder.join("half of a copy.pack"), &world.disk.read(&packs[1])[..5000]);
    // A pack that somebody gave another name is the pack that it is.
    let renamed = folder.join("renamed.pack");
    world.disk.write(&renamed, &world.disk.read(&packs[2]));
    world.disk.unlink(&packs[2]);
    world.drop_catalogue();
    let reader = world.reader();
    assert_eq!(readable(reader.view()), expected);
    assert_eq!(reader.view().foreign_files(), [".nfs0001", "00000001 (copy).pack", "half of a copy.pack"]);
    let report = verify_at(&world.place, Depth::Full, None, &mut |_| {}).unwrap();
    assert!(report.is_whole());
    assert_eq!(report.foreign_files.len(), 3);
}

#[test]
fn d20_a_copy_taken_in_any_order_while_writing_opens_up_to_a_whole_commit() {
    // What each file looked like after each commit.
    let world = World::new();
    let mut writer = world.writer();
    let mut moments = vec![world.disk.copy()];
    for commit in 0..6 {
        pull(&mut writer, commit * 12 + 1..commit * 12 + 13);
        moments.push(world.disk.copy());
    }
    drop(writer);
    for seed in 0..60u8 {
        let copy = moments[0].copy();
        for (number, path) in world.packs().iter().enumerate() {
            let chance = usize::from(blake3::hash(&[seed, number as u8]).as_bytes()[0]);
            let moment = &moments[chance % moments.len()];
            if moment.paths().contains(path) {
                copy.write(path, &moment.read(path));
            }
        }
        let opened = World::on(&copy);
        let mut writer = opened.writer();
        let found = readable(writer.view());
        pull(&mut writer, 100..103);
        assert!(readable(writer.view()).is_superset(&found), "seed {seed}");
    }
}

#[test]
fn an_identity_file_that_was_lost_is_written_again_from_the_packs() {
    let world = many_packs();
    let path = Path::new("/archive/archive.toml");
    let text = world.disk.read(path);
    world.disk.unlink(path);
    assert_eq!(readable(world.reader().view()).len(), 80);
    drop(world.writer());
    assert_eq!(world.disk.read(path), text);
    world.disk.write(path, b"");
    assert_eq!(readable(world.writer().view()).len(), 80);
    assert_eq!(world.disk.read(path), text);
}
