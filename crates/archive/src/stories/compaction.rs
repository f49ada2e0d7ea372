//! Compaction: packs made into one, and nothing is different but where things lie.

use std::path::PathBuf;
use std::time::Duration;

use super::repair::{everything, history, lived, repair_it, sync};
use super::*;
use crate::pack::header::parse_file_name;

/// Blocks and packs of a small world, no grace, two threads.
pub(super) const OPTIONS: CompactOptions = CompactOptions {
    level: 5,
    pack_bytes: 100_000,
    least_bytes: 500,
    block_bytes: 8_000,
    threads: 2,
    grace: Duration::ZERO,
    reserve: 0,
    most_groups: usize::MAX,
    dry_run: false,
};

/// What has been replaced stays.
pub(super) const WITH_GRACE: CompactOptions = CompactOptions { grace: Duration::from_secs(60), ..OPTIONS };

pub(super) fn compact(world: &World, options: &CompactOptions) -> CompactReport {
    try_compact(world, options).unwrap_or_else(|error| panic!("{}", chain(&error)))
}

pub(super) fn try_compact(world: &World, options: &CompactOptions) -> Result<CompactReport> {
    compact_at(&world.place, world.surroundings.clone(), options, &mut |_| ControlFlow::Continue(()))
}

/// Many packs with one commit or two each.
pub(super) fn daily_runs(count: u32) -> World {
    let mut world = World::new();
    world.options.pack_bytes = 3_000;
    let mut writer = world.writer();
    for run in 0..count {
        pull(&mut writer, run * 3 + 1..run * 3 + 4);
    }
    drop(writer);
    world
}

/// Verify has nothing to say, and the catalogue is the one that is made from the packs alone.
pub(super) fn assert_whole(world: &World) -> VerifyReport {
    let report = verify_at(&world.place, Depth::Full, None, &mut |_| {}).unwrap();
    assert_eq!((&report.damage, &report.messages_hit), (&vec![], &vec![]));
    assert_eq!((&report.catalogue, &report.foreign_files), (&CatalogueFinding::Ok, &vec![]));
    report
}

/// How many packs count, and how many are retired.
fn packs_of(world: &World) -> (u64, u64) {
    let report = verify_at(&world.place, Depth::Quick, None, &mut |_| {}).unwrap();
    assert!(report.is_whole(), "{report:?}");
    (report.packs, report.retired_packs)
}

fn bytes_of(world: &World) -> usize {
    world.packs().iter().map(|pack| world.disk.read(pack).len()).sum()
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn what_daily_runs_leave_becomes_one_small_pack_and_a_second_look_finds_nothing_to_do() {
    let world = daily_runs(30);
    let (before, count) = (bytes_of(&world), world.packs().len() as u64);
    assert!(count >= 10);
    let told = compact(&world, &CompactOptions { dry_run: true, ..WITH_GRACE });
    assert_eq!((told.compactions.len(), told.compactions[0].sources.len() as u64), (1, count));
    assert_eq!(told.compactions[0].made, None);
    assert_eq!(packs_of(&world), (count, 0), "a dry run does nothing");
    let report = compact(&world, &WITH_GRACE);
    assert_eq!((report.compactions.len(), report.packs, report.retired.packs), (1, 1, count));
    assert_eq!(packs_of(&world), (1, count));
    let made = report.compactions[0].made.clone().unwrap();
    assert!(made.1 * 3 < before as u64 * 2, "{} of {before} bytes", made.1);
    assert_eq!(check_mails(world.reader().view()), 90);
    assert_eq!(compact(&world, &WITH_GRACE).compactions, []);
    // The grace has passed.
    let report = compact(&world, &OPTIONS);
    assert_eq!((report.compactions.len(), report.removed.packs, report.retired.packs), (0, count, 0));
    assert_eq!((packs_of(&world), bytes_of(&world) as u64), ((1, 0), made.1));
    assert_eq!(check_mails(world.reader().view()), 90);
    assert_whole(&world);
}

#[test]
fn history_is_the_same_record_for_record_and_rebuild_gives_the_same_catalogue() {
    let (world, server) = lived();
    let then = (everything(world.reader().view()), history(world.reader().view()));
    let last = world.reader().last_commit().unwrap();
    let report = compact(&world, &OPTIONS);
    assert!(!report.compactions.is_empty());
    for forget in [false, true] {
        if forget {
            world.drop_catalogue();
        }
        let reader = world.reader();
        assert_eq!(reader.damage(), []);
        assert_eq!((everything(reader.view()), history(reader.view())), then);
        let now = reader.last_commit().unwrap();
        if report.compactions.iter().any(|compaction| compaction.sources.len() > 1) {
            assert!(now.number >= last.number);
        }
        drop(reader);
        assert_whole(&world);
        rebuild_at(&world.place).unwrap();
        assert_whole(&world);
    }
    let mut writer = world.writer();
    assert_eq!(sync(&mut writer, &server), 0, "nothing is fetched again");
    drop(writer);
    assert_whole(&world);
}

#[test]
fn pulls_go_on_behind_a_compacted_pack_and_the_packs_stay_few_over_the_years() {
    let mut world = World::new();
    world.options.pack_bytes = 1 << 20;
    let mut most = 0;
    for night in 0..30 {
        let mut writer = world.writer();
        pull(&mut writer, night * 4 + 1..night * 4 + 5);
        drop(writer);
        let report = compact(&world, &CompactOptions { least_bytes: 1_500, ..OPTIONS });
        most = most.max(report.packs);
        if night % 9 == 0 {
            world.drop_catalogue();
            assert_eq!(readable(world.reader().view()), up_to(night * 4 + 4));
        }
    }
    assert!(most <= 8, "{most} packs");
    assert_whole(&world);
    assert_eq!(check_mails(world.reader().view()), 120);
}

#[test]
fn d26_a_reader_goes_on_with_what_it_has_opened_and_one_that_comes_later_sees_the_same() {
    let world = daily_runs(20);
    let reader = world.reader();
    compact(&world, &WITH_GRACE);
    assert_eq!(check_mails(reader.view()), 60);
    assert_eq!(check_mails(world.reader().view()), 60);
}

/// The world before a compaction, and what its disk was like behind the rename.
fn renamed_and_no_more(world: &World) -> Vec<u8> {
    let catalogue = world.place.catalogue.clone().unwrap();
    let before = std::fs::read(&catalogue).unwrap();
    compact(world, &WITH_GRACE);
    crate::catalogue::remove(&catalogue).unwrap();
    std::fs::write(&catalogue, &before).unwrap();
    before
}

#[test]
fn k7_a_pack_that_is_in_place_and_that_the_catalogue_does_not_know_is_taken_up_by_the_next_writer() {
    let world = daily_runs(12);
    // The open pack is sealed already, or the catalogue would know less than the compaction.
    world.writer().seal().unwrap();
    let before = renamed_and_no_more(&world);
    let reader = world.reader();
    assert_eq!(check_mails(reader.view()), 36, "with the old packs");
    drop(reader);
    assert_eq!(std::fs::read(world.place.catalogue.as_ref().unwrap()).unwrap(), before);
    let report = verify_watched_at(&world.place, Depth::Full, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(report.is_whole() && report.catalogue == CatalogueFinding::Ok, "{report:?}");
    assert!(report.packs > 1 && report.retired_packs == 0);
    let mut writer = world.writer();
    assert_eq!(writer.damage(), []);
    assert_eq!(check_mails(writer.view()), 36);
    pull(&mut writer, 37..40);
    drop(writer);
    assert_eq!(packs_of(&world).0, 2);
    assert_whole(&world);
}

#[test]
fn an_older_catalogue_that_counts_with_packs_that_are_gone_is_made_anew() {
    let world = daily_runs(12);
    let catalogue = world.place.catalogue.clone().unwrap();
    let old = std::fs::read(&catalogue).unwrap();
    compact(&world, &OPTIONS);
    compact(&world, &OPTIONS);
    assert_eq!(packs_of(&world), (1, 0));
    for writing in [false, true] {
        crate::catalogue::remove(&catalogue).unwrap();
        std::fs::write(&catalogue, &old).unwrap();
        if writing {
            let writer = world.writer();
            assert_eq!((writer.damage(), check_mails(writer.view())), (&[][..], 36));
        } else {
            let reader = world.reader();
            assert_eq!((reader.damage(), check_mails(reader.view())), (&[][..], 36));
        }
        assert_whole(&world);
    }
}

#[test]
fn d20_a_catalogue_that_is_younger_than_the_packs_beside_it_does_no_harm() {
    // The open pack stays as it is, so the catalogue's last commit is where it was.
    let world = daily_runs(12);
    let mut writer = world.writer();
    writer.seal().unwrap();
    pull(&mut writer, 37..38);
    drop(writer);
    let report = compact(&world, &CompactOptions { most_groups: 1, pack_bytes: 14_000, ..WITH_GRACE });
    let (made, _) = report.compactions[0].made.clone().unwrap();
    assert!(packs_of(&world).0 > 1);
    world.disk.unlink(&Path::new("/archive/packs").join(made));
    let report = verify_watched_at(&world.place, Depth::Full, &mut |_| ControlFlow::Continue(())).unwrap();
    assert!(report.is_whole() && report.catalogue == CatalogueFinding::Unusable, "{report:?}");
    let reader = world.reader();
    assert_eq!((reader.damage(), check_mails(reader.view())), (&[][..], 37));
    drop(reader);
    let writer = world.writer();
    assert_eq!((writer.damage(), check_mails(writer.view())), (&[][..], 37));
    drop(writer);
    assert_whole(&world);
}

/// A compacted pack beside those that it replaces, without a catalogue.
fn both() -> (World, PathBuf) {
    let world = daily_runs(12);
    let report = compact(&world, &WITH_GRACE);
    let name = &report.compactions[0].made.as_ref().unwrap().0;
    let pack = Path::new("/archive/packs").join(name);
    world.drop_catalogue();
    (world, pack)
}

#[test]
fn k6_a_copy_of_a_compacted_pack_that_was_cut_anywhere_is_void_beside_the_old_ones() {
    let (world, pack) = both();
    let whole = world.disk.read(&pack);
    for cut in (0..whole.len()).step_by(if is_long() { 1 } else { 37 }) {
        let disk = world.disk.copy();
        disk.write(&pack, &whole[..cut]);
        let cut_world = World::on(&disk);
        let reader = cut_world.reader();
        assert_eq!((reader.damage(), check_mails(reader.view())), (&[][..], 36), "cut at {cut}");
        drop(reader);
        let mut writer = cut_world.writer();
        pull(&mut writer, 37..39);
        assert_eq!(check_mails(writer.view()), 38, "cut at {cut}");
    }
}

#[test]
fn k6_a_compacted_pack_that_is_cut_without_the_old_ones_gives_what_it_has_and_tells_the_rest() {
    let (world, pack) = both();
    for path in world.packs().iter().filter(|path| **path != pack) {
        world.disk.unlink(path);
    }
    let whole = world.disk.read(&pack);
    let mut found = BTreeSet::new();
    for cut in (whole.len() / 3..whole.len()).step_by(29) {
        let disk = world.disk.copy();
        disk.write(&pack, &whole[..cut]);
        let cut_world = World::on(&disk);
        let reader = cut_world.reader();
        assert!(!reader.damage().is_empty(), "cut at {cut}");
        found.insert(readable(reader.view()).len());
        drop(reader);
        let mut writer = cut_world.writer();
        pull(&mut writer, 37..39);
        assert!(readable(writer.view()).is_superset(&(37..39).collect()), "cut at {cut}");
    }
    assert!(found.len() > 3 && found.contains(&36), "the end holds no mail: {found:?}");
}

#[test]
fn d11_a_flipped_byte_of_the_last_pack_costs_what_it_hits_and_not_the_pack() {
    let (world, pack) = both();
    for path in world.packs().iter().filter(|path| **path != pack) {
        world.disk.unlink(path);
    }
    let whole = world.disk.read(&pack);
    let directory = u32::from_le_bytes(whole[136..140].try_into().unwrap()) as usize;
    let (beginning, end) = (128 + 80 + directory, whole.len());
    for at in (0..end).step_by(61).chain((0..beginning).step_by(9)).chain((end - 288..end).step_by(9)) {
        let mut bytes = whole.clone();
        bytes[at] ^= 4;
        let disk = world.disk.copy();
        disk.write(&pack, &bytes);
        let hurt = World::on(&disk);
        let report = verify_at(&hurt.place, Depth::Full, None, &mut |_| {}).unwrap();
        assert!(!report.damage.is_empty(), "flipped {at}");
        let found = readable(hurt.reader().view());
        // What holds it together: its header and what it replaces, its seal and its commit.
        if at < beginning || at >= end - 288 {
            assert_eq!(found, up_to(36), "flipped {at}");
        }
    }
}

#[test]
fn d26_a_damaged_pack_is_left_as_it_is_and_told_and_the_others_go_on() {
    let world = daily_runs(16);
    let packs = world.packs();
    let hurt = packs[packs.len() / 2].clone();
    let mut bytes = world.disk.read(&hurt);
    // In the body of the first block.
    bytes[128 + 80 + 120] ^= 1;
    world.disk.write(&hurt, &bytes);
    let before = readable(world.reader().view());
    let report = compact(&world, &OPTIONS);
    assert_eq!(report.left.len(), 1);
    assert_eq!((&report.left[0].pack, report.left[0].reason), (&name_of(&hurt), LeftReason::Damaged));
    assert_eq!((report.compactions.len(), report.packs), (2, 3));
    assert_eq!((world.disk.read(&hurt), readable(world.reader().view())), (bytes, before.clone()));
    repair_it(&world);
    let report = compact(&world, &OPTIONS);
    assert!(report.left.is_empty(), "what is known is not met again");
    assert_eq!(readable(world.reader().view()), before);
    world.drop_catalogue();
    assert_eq!(readable(world.reader().view()), before);
}

#[test]
fn w07_what_was_lost_and_has_come_back_is_no_more_lost_behind_a_compaction() {
    let (world, server) = lived();
    let hurt = world.packs().remove(1);
    let whole = world.disk.read(&hurt);
    let mut bytes = whole.clone();
    bytes[128 + 80 + 120] ^= 1;
    world.disk.write(&hurt, &bytes);
    repair_it(&world);
    let mut writer = world.writer();
    assert!(sync(&mut writer, &server) > 0, "it is fetched again");
    drop(writer);
    let lost = world.reader().view().lost().unwrap().len();
    let then = everything(world.reader().view());
    // Once beside the damaged pack; then it comes back whole, and what is known of it is still known.
    for better_copy in [false, true] {
        if better_copy {
            world.disk.write(&hurt, &whole);
        }
        assert!(compact(&world, &OPTIONS).left.is_empty());
        assert_eq!(world.reader().view().lost().unwrap().len(), lost);
        assert_eq!(everything(world.reader().view()), then);
        rebuild_at(&world.place).unwrap();
        assert_eq!(world.reader().view().lost().unwrap().len(), lost);
        let report = verify_at(&world.place, Depth::Full, None, &mut |_| {}).unwrap();
        assert_eq!((&report.damage, &report.catalogue), (&vec![], &CatalogueFinding::Ok));
    }
}

/// A run that brings so much mail of hex digits, of which no level makes less.
fn noise(writer: &mut Writer, numbers: std::ops::Range<u32>) {
    let run = begin(writer, "INBOX").unwrap();
    for number in numbers {
        let mut noise = [0; 1_500];
        blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof().fill(&mut noise);
        let digits: String = noise.iter().map(|byte| format!("{byte:02x}")).collect();
        let key = put(writer, format!("Subject: {number}\r\n\r\n{digits}\r\n").as_bytes()).unwrap();
        writer.place(run.epoch, uid(number), placement(key, number)).unwrap();
    }
    writer.end_run(run.run, "ok", 2_000, "{}").unwrap();
    writer.commit().unwrap();
}

fn reasons(report: &CompactReport) -> Vec<LeftReason> {
    report.left.iter().map(|left| left.reason).collect()
}

#[test]
fn d26_what_would_not_become_smaller_is_left_and_not_tried_again_until_as_much_has_come() {
    let mut world = World::new();
    world.options =
        WriterOptions { pack_bytes: 30_000, block_bytes: OPTIONS.block_bytes, level: OPTIONS.level };
    noise(&mut world.writer(), 1..30);
    let (before, bytes) = (world.packs(), bytes_of(&world));
    let report = compact(&world, &OPTIONS);
    assert_eq!((report.compactions.len(), reasons(&report)), (0, vec![LeftReason::NotSmaller]), "{report:?}");
    assert!(report.left[0].why.contains("bytes instead of"), "{}", report.left[0].why);
    for again in [OPTIONS, CompactOptions { dry_run: true, ..OPTIONS }] {
        let report = compact(&world, &again);
        assert_eq!((report.compactions.len(), report.left.len()), (0, 0), "{report:?}");
    }
    assert_eq!((world.packs(), bytes_of(&world)), (before, bytes));
    assert_whole(&world);
    // A higher level is another matter, and so is a catalogue that was made anew.
    assert_eq!(reasons(&compact(&world, &CompactOptions { level: 7, ..OPTIONS })), [LeftReason::NotSmaller]);
    assert_eq!(
        compact(&world, &OPTIONS).left,
        [],
        "what was tried at a higher level is not tried at a lower"
    );
    rebuild_at(&world.place).unwrap();
    assert_eq!(reasons(&compact(&world, &OPTIONS)), [LeftReason::NotSmaller]);
    // A little more is done by itself.
    pull(&mut world.writer(), 101..110);
    let report = compact(&world, &OPTIONS);
    let of = |done: &Compaction| done.sources.len();
    assert_eq!((report.compactions.iter().map(of).collect::<Vec<_>>(), report.left), (vec![1], vec![]));
    assert_whole(&world);
}

#[test]
fn d26_tiny_packs_become_one_whatever_their_mail_because_that_is_smaller() {
    let mut world = World::new();
    world.options =
        WriterOptions { pack_bytes: 3_000, block_bytes: OPTIONS.block_bytes, level: OPTIONS.level };
    let mut writer = world.writer();
    (1..13).for_each(|number| noise(&mut writer, number..number + 1));
    drop(writer);
    let (packs, bytes) = (world.packs().len(), bytes_of(&world));
    assert!(packs >= 6, "{packs}");
    let report = compact(&world, &OPTIONS);
    assert_eq!((report.packs, report.left.len()), (1, 0), "{report:?}");
    let done = compact(&world, &OPTIONS);
    assert!(done.pack_bytes < bytes as u64 && done.compactions.is_empty(), "{done:?}");
    assert_whole(&world);
}

#[test]
fn one_compaction_works_at_a_time_and_waits_for_a_writer() {
    let world = daily_runs(8);
    let lock = lock::Lock::take_file(&world.place, "compact.lock", || Error::Abandoned).unwrap();
    assert!(matches!(try_compact(&world, &OPTIONS), Err(Error::Compacting { .. })));
    drop(lock);
    let mut writer = Some(world.writer());
    let mut waited = false;
    let report = compact_at(&world.place, world.surroundings.clone(), &OPTIONS, &mut |so_far| {
        if so_far.stage == CompactStage::WaitingForWriter {
            waited = true;
            writer = None;
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert!(waited && report.compactions.len() == 1);
    assert_whole(&world);
}

#[test]
fn d26_broken_off_anywhere_it_leaves_nothing_behind_and_the_next_one_goes_on() {
    let world = daily_runs(10);
    for last in 0.. {
        let disk = world.disk.copy();
        let again = World::on(&disk);
        let mut calls = 0;
        let report = compact_at(&again.place, again.surroundings.clone(), &WITH_GRACE, &mut |_| {
            calls += 1;
            if calls > last { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })
        .unwrap();
        assert!(disk.paths().iter().all(|path| path.extension().is_none_or(|end| end != "new")));
        assert_eq!(check_mails(again.reader().view()), 30);
        if !report.is_broken_off {
            assert!(last > 5 && report.compactions.len() == 1);
            return;
        }
        assert_eq!(report.compactions, []);
        assert_eq!(compact(&again, &WITH_GRACE).compactions.len(), 1);
        assert_whole(&again);
    }
}

#[test]
fn o08_without_room_beside_the_old_packs_nothing_is_begun() {
    let world = daily_runs(10);
    let before = world.disk.paths();
    world.disk.set_faults(disk::simulated::Faults { room: Some(2_000), ..Default::default() });
    match try_compact(&world, &CompactOptions { reserve: 500, ..OPTIONS }) {
        Err(Error::NoRoom { needed, free, reserve }) => {
            assert!(needed > 2_000 && free <= 2_000 && reserve == 500);
        }
        other => panic!("{other:?}"),
    }
    world.disk.set_faults(Default::default());
    world.disk.unlink(Path::new("/archive/compact.lock"));
    assert_eq!(world.disk.paths(), before);
    assert_eq!(compact(&world, &OPTIONS).compactions.len(), 1);
    assert_whole(&world);
}

#[test]
fn o08_when_the_room_is_used_up_in_the_middle_what_was_done_is_told_and_the_rest_waits() {
    let world = daily_runs(12);
    let options = CompactOptions { pack_bytes: 9_000, ..WITH_GRACE };
    let groups = compact(&world, &CompactOptions { dry_run: true, ..options }).compactions;
    assert!(groups.len() >= 3, "{groups:?}");
    let most = groups.iter().map(|group| group.bytes_before).max().unwrap();
    // Room for the first group, as it may be at its largest; what it takes is lacking for the next.
    world.disk.set_faults(disk::simulated::Faults {
        room: Some(usize::try_from(most).unwrap() + 1_000),
        ..Default::default()
    });
    let report = compact(&world, &options);
    world.disk.set_faults(Default::default());
    assert!(!report.compactions.is_empty(), "{report:?}");
    assert!(reasons(&report).contains(&LeftReason::NoRoom), "{report:?}");
    assert_eq!(check_mails(world.reader().view()), 36);
    let report = compact(&world, &options);
    assert!(!report.compactions.is_empty() && report.left.is_empty(), "{report:?}");
    assert_whole(&world);
}

#[test]
fn p1_the_new_pack_has_the_place_of_the_last_one_that_it_replaces() {
    let world = daily_runs(6);
    let last = parse_file_name(&name_of(world.packs().last().unwrap())).unwrap().0;
    let report = compact(&world, &WITH_GRACE);
    let (name, _) = report.compactions[0].made.clone().unwrap();
    assert_eq!(parse_file_name(&name).unwrap().0, last);
    let mut writer = world.writer();
    pull(&mut writer, 19..20);
    assert_eq!(parse_file_name(&name_of(world.packs().last().unwrap())).unwrap().0, last + 1);
}
