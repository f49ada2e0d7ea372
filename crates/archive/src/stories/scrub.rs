//! Packs read one after the other: together they prove what a look at everything proves.

use std::path::Path;

use super::repair::{copy_of, lived, places, repair_it, sync, verify_all};
use super::*;
use crate::disk::simulated::Faults;
use crate::pack::header::parse_file_name;

fn scrub(world: &World, pack: PackId) -> VerifyReport {
    verify_watched_at(&world.place, Depth::Pack(pack), &mut |_| ControlFlow::Continue(())).unwrap()
}

/// Which pack a file is.
fn id_of(path: &Path) -> PackId {
    parse_file_name(path.file_name().unwrap().to_str().unwrap()).unwrap().1
}

#[test]
fn d11_every_flipped_byte_is_found_in_its_pack_and_told_as_by_a_look_at_everything() {
    let (world, _) = lived();
    let count = if is_long() { 60 } else { 15 };
    let mut hit = 0;
    for path in world.packs() {
        let whole = world.disk.read(&path);
        let pack = id_of(&path);
        assert!(scrub(&world, pack).is_whole(), "{}", path.display());
        for number in 0..count {
            let at = number * (whole.len() - 1) / (count - 1);
            let mut bytes = whole.clone();
            bytes[at] ^= 0x20;
            world.disk.write(&path, &bytes);
            let (found, full) = (scrub(&world, pack), verify_all(&world));
            let story = format!("{} at {at}", path.display());
            assert!(!found.is_whole(), "{story}");
            assert_eq!(found.damage, full.damage, "{story}");
            assert_eq!(places(&found.messages_hit), places(&full.messages_hit), "{story}");
            hit += found.messages_hit.len();
        }
        world.disk.write(&path, &whole);
    }
    assert!(hit > 0, "some of it must hit messages");
}

#[test]
fn all_packs_in_turn_read_every_blob_and_put_every_message_together() {
    let (world, _) = lived();
    let full = verify_all(&world);
    let packs = packs_at(&world.place).unwrap();
    assert_eq!(packs.len(), world.packs().len());
    let reports: Vec<VerifyReport> = packs.iter().map(|(pack, _)| scrub(&world, *pack)).collect();
    assert!(
        reports.iter().map(|report| report.blobs).sum::<u64>() >= full.blobs,
        "each in its pack, at least"
    );
    assert_eq!(reports.iter().map(|report| report.messages).sum::<u64>(), full.messages);
    assert_eq!(reports.iter().map(|report| report.frames).sum::<u64>(), full.frames);
}

#[test]
fn what_repair_has_found_is_known_and_a_pack_with_it_is_no_new_alarm() {
    let (world, server) = lived();
    let path = world.packs().remove(1);
    let mut bytes = world.disk.read(&path);
    let middle = bytes.len() / 2;
    bytes[middle..middle + 600].fill(0);
    world.disk.write(&path, &bytes);
    assert!(!scrub(&world, id_of(&path)).is_whole());
    repair_it(&world);
    let after = scrub(&world, id_of(&path));
    assert!(after.is_whole() && !after.known_damage.is_empty(), "{after:?}");
    sync(&mut world.writer(), &server);
    for (pack, _) in packs_at(&world.place).unwrap() {
        assert!(scrub(&world, pack).is_whole(), "{pack}");
    }
}

#[test]
fn d09_what_the_medium_does_not_give_is_damage_of_that_pack() {
    let (world, _) = lived();
    world.disk.set_faults(Faults { unreadable: Some(3_000..3_010), ..Faults::default() });
    // Each pack has it there.
    for path in world.packs().iter().filter(|path| world.disk.read(path).len() > 3_010) {
        let report = scrub(&world, id_of(path));
        assert!(!report.damage.is_empty(), "{}", path.display());
    }
}

#[test]
fn d12_a_pack_that_is_gone_or_cut_is_told_and_one_that_never_was_is_an_error() {
    let (whole, _) = lived();
    let path = whole.packs().remove(2);
    let world = copy_of(&whole, true);
    world.disk.unlink(&path);
    let report = scrub(&world, id_of(&path));
    assert!(!report.is_whole() && !report.messages_hit.is_empty(), "{report:?}");
    let world = copy_of(&whole, true);
    let bytes = world.disk.read(&path);
    world.disk.write(&path, &bytes[..bytes.len() - 50]);
    assert!(!scrub(&world, id_of(&path)).is_whole());
    let never =
        verify_watched_at(&whole.place, Depth::Pack(PackId([9; 8])), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(never, Err(Error::PackMissing { .. })), "{never:?}");
}

#[test]
fn d14_without_a_catalogue_and_with_a_wrong_one_the_packs_alone_are_believed() {
    let (world, _) = lived();
    let pack = id_of(&world.packs()[0]);
    let catalogue = rusqlite::Connection::open(world.place.catalogue.as_ref().unwrap()).unwrap();
    catalogue.execute("UPDATE messages SET size = size + 1 WHERE number = 1", []).unwrap();
    drop(catalogue);
    let report = scrub(&world, pack);
    assert!(report.is_whole() && matches!(report.catalogue, CatalogueFinding::Differs { .. }), "{report:?}");
    let as_known = packs_at(&world.place).unwrap();
    world.drop_catalogue();
    assert_eq!(packs_at(&world.place).unwrap(), as_known);
    let report = scrub(&world, pack);
    assert!(report.is_whole() && report.catalogue == CatalogueFinding::Unusable, "{report:?}");
    assert!(!world.place.catalogue.as_ref().unwrap().exists(), "who only looks makes none");
}

#[test]
fn a_look_beside_a_writer_takes_no_lock_and_can_be_broken_off_at_any_moment() {
    let (world, _) = lived();
    let mut writer = world.writer();
    let run = begin(&mut writer, "INBOX").unwrap();
    fill(&mut writer, &run, 200..220).unwrap();
    let packs = packs_at(&world.place).unwrap();
    let depths = packs.iter().map(|(pack, _)| Depth::Pack(*pack)).chain([Depth::Quick, Depth::Full]);
    for depth in depths {
        let mut times = 0;
        let mut read_bytes = 0;
        let report = verify_watched_at(&world.place, depth, &mut |so_far| {
            times += 1;
            read_bytes = so_far.read_bytes.max(read_bytes);
            ControlFlow::Continue(())
        });
        assert!(report.unwrap().is_whole(), "{depth:?}");
        assert!(times > 1, "{depth:?}: asked {times} times");
        assert_eq!(read_bytes > 0, depth != Depth::Quick, "{depth:?}");
        for moment in 1..=times {
            let mut left = moment;
            let broken = verify_watched_at(&world.place, depth, &mut |_| {
                left -= 1;
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            assert!(matches!(broken, Err(Error::Interrupted)), "{depth:?} at {moment}: {broken:?}");
            assert_eq!(left, 0, "{depth:?} at {moment}: it went on");
        }
    }
    writer.end_run(run.run, "ok", 2_000, "{}").unwrap();
    writer.commit().unwrap();
    assert!(verify_all(&world).is_whole());
}

#[test]
fn messages_made_of_old_blobs_cost_no_more_than_so_many_blocks() {
    let mut world = World::new();
    world.options.pack_bytes = 30_000;
    world.options.block_bytes = 200;
    let mut writer = world.writer();
    pull(&mut writer, 1..400);
    // New messages whose attachments all lie in the packs before.
    let run = begin(&mut writer, "Copies").unwrap();
    for number in (3..400).step_by(3) {
        let mut bytes = b"X: 1\r\n".to_vec();
        bytes.extend(mail(number));
        let key = put(&mut writer, &bytes).unwrap();
        writer.place(run.epoch, uid(number), placement(key, number)).unwrap();
    }
    writer.end_run(run.run, "ok", 2_000, "{}").unwrap();
    writer.commit().unwrap();
    drop(writer);
    let mut together = 0;
    for (pack, _) in packs_at(&world.place).unwrap() {
        let report = scrub(&world, pack);
        assert!(report.is_whole(), "{report:?}");
        together += report.messages;
    }
    let full = verify_all(&world);
    assert!(full.is_whole() && together < full.messages, "{together} of {} put together", full.messages);
}
