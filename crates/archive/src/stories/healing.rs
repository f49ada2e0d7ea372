//! Every flipped byte is found, what comes back with one message heals the others, and a repair that is cut
//! off is done again.

use std::path::PathBuf;

use super::repair::{copy_of, everything, lived, places, repair_it, sync, unreadable, verify_all};
use super::*;
use crate::disk::simulated::Faults;
use crate::frame::MAGIC;

/// The packs' bytes as one: which pack and where in it.
fn every_byte(world: &World, count: usize) -> Vec<(PathBuf, usize)> {
    let packs: Vec<_> = world.packs().into_iter().map(|path| (world.disk.read(&path).len(), path)).collect();
    let all: usize = packs.iter().map(|(length, _)| length).sum();
    let place = |mut at: usize| {
        for (length, path) in &packs {
            if at < *length {
                return (path.clone(), at);
            }
            at -= length;
        }
        panic!("byte {at} is beyond the packs");
    };
    (0..count).map(|number| place(number * all / count)).collect()
}

#[test]
fn d11_five_hundred_flipped_bytes_over_a_whole_archive_are_all_found() {
    let (world, _) = lived();
    for (pack, at) in every_byte(&world, 500) {
        let whole = world.disk.read(&pack);
        let mut bytes = whole.clone();
        bytes[at] ^= 0x20;
        world.disk.write(&pack, &bytes);
        let report = verify_all(&world);
        assert!(!report.damage.is_empty(), "{} at {at}", pack.display());
        world.disk.write(&pack, &whole);
    }
    assert!(verify_all(&world).is_whole());
}

/// Where the body of each attachment block begins.
fn attachment_blocks(bytes: &[u8]) -> Vec<usize> {
    let (mut found, mut at) = (Vec::new(), 128);
    while at + 80 <= bytes.len() {
        if bytes[at..at + 4] != MAGIC {
            at += 1;
            continue;
        }
        let number = |from: usize| u32::from_le_bytes(bytes[from..from + 4].try_into().unwrap()) as usize;
        let (directory, body) = (at + 80, at + 80 + number(at + 8));
        if bytes[at + 4] == 1 && bytes[directory] == 3 {
            found.push(body);
        }
        at = body + number(at + 16);
    }
    found
}

#[test]
fn d12_a_damaged_commit_before_a_pack_that_is_put_aside_goes_on_to_count() {
    let (whole, _) = lived();
    let packs = whole.packs();
    for (before, emptied) in packs.iter().zip(&packs[1..packs.len() - 1]) {
        let world = copy_of(&whole, true);
        let mut bytes = world.disk.read(before);
        // In a frame of the last commit: behind it stand a seal and the record of the commit.
        let at = bytes.len() - 300;
        bytes[at] ^= 1;
        world.disk.write(before, &bytes);
        world.disk.write(emptied, b"");
        let truth = everything(whole.reader().view());
        let report = repair_it(&world);
        assert_eq!(report.quarantined.len(), 2, "the empty pack, and the catalogue: {report:?}");
        let after = verify_all(&world);
        assert!(after.is_whole() && after.catalogue == CatalogueFinding::Ok, "{after:?}");
        assert_eq!(everything(world.reader().view()), truth);
        assert!(repair_it(&world).found_nothing());
    }
}

#[test]
fn d12_a_torn_last_commit_behind_a_pack_that_was_cut_does_not_hide_what_is_written_later() {
    let (whole, _) = lived();
    let packs = whole.packs();
    let [.., cut, last] = &packs[..] else { panic!("{packs:?}") };
    let world = copy_of(&whole, false);
    // Several commits are gone with the end of a pack; the one in the last pack is not whole.
    let bytes = world.disk.read(cut);
    let is_commit = |at: &usize| bytes[*at..].starts_with(&MAGIC) && bytes[at + 4] == 3;
    let commit = (128..bytes.len() - 80).filter(is_commit).nth(2).unwrap();
    world.disk.write(cut, &bytes[..commit + 80 + 96 + 20]);
    let mut bytes = world.disk.read(last);
    bytes[181] ^= 1;
    world.disk.write(last, &bytes);
    // Its number is below that of the commit that is not whole.
    let repaired = repair_it(&world).commit;
    let after = verify_all(&world);
    assert!(after.is_whole() && after.catalogue == CatalogueFinding::Ok, "{after:?}");
    assert_eq!(Some(after.last_commit), repaired);
    assert_eq!(after.last_commit, world.reader().view().last_commit().unwrap());
}

#[test]
fn d13_a_pack_whose_name_went_to_one_with_a_damaged_header_is_read_where_it_is() {
    let (lived, server) = lived();
    let packs = lived.packs();
    let [first, .., second, last] = &packs[..] else { panic!("{packs:?}") };
    for taken in [first, last] {
        let world = copy_of(&lived, false);
        let (whole, mut damaged) = (world.disk.read(taken), world.disk.read(second));
        damaged[50] ^= 1;
        world.disk.write(second, &whole);
        world.disk.write(taken, &damaged);
        let report = repair_it(&world);
        assert_eq!(unreadable(world.reader().view()), places(&report.lost));
        // Nor is it written to where it is not.
        sync(&mut world.writer(), &server);
        let after = verify_all(&world);
        assert!(after.is_whole() && after.catalogue == CatalogueFinding::Ok, "{after:?}");
        assert_eq!(unreadable(world.reader().view()), places(&after.messages_lost));
        assert!(world.disk.read(taken) == damaged);
    }
}

#[test]
fn d11_an_attachment_that_comes_back_with_one_message_heals_the_others() {
    let (world, server) = lived();
    // Mail 3 has vanished, and no other has its text. Mail 6 has too; its attachment is that of mail 9.
    for pack in world.packs() {
        let mut bytes = world.disk.read(&pack);
        for body in attachment_blocks(&bytes) {
            bytes[body + 5] ^= 1;
        }
        world.disk.write(&pack, &bytes);
    }
    let report = repair_it(&world);
    assert!(places(&report.lost).contains(&("INBOX".to_owned(), 6)), "{:?}", report.lost);
    assert!(report.blobs_lost_anew > 0 && report.damage.iter().all(|damage| !damage.kind.may_hit_journal()));
    sync(&mut world.writer(), &server);
    let after = verify_all(&world);
    let gone: Vec<u32> = after.messages_lost.iter().map(|hit| hit.uid.get()).collect();
    assert!(!gone.contains(&6), "mail 9 has brought the attachment of mail 6 back: {gone:?}");
    assert_eq!(unreadable(world.reader().view()), places(&after.messages_lost));
    world.drop_catalogue();
    assert_eq!(unreadable(world.reader().view()), places(&after.messages_lost), "so do the packs alone say");
    assert_eq!(verify_all(&world).messages_hit, []);
}

#[test]
fn d13_a_file_in_place_of_a_pack_is_moved_aside_and_never_deleted() {
    for sequence in [2, 99] {
        let (world, _) = lived();
        let truth = everything(world.reader().view());
        let name = format!("{sequence:08}-abababababababab.pack");
        let garbage: Vec<u8> = (0..9_000u32).map(|number| (number * 7 + 1) as u8).collect();
        world.disk.write(&Path::new("/archive/packs").join(&name), &garbage);
        let report = repair_it(&world);
        assert_eq!(report.quarantined[0], format!("quarantine/{name}"), "{report:?}");
        assert_eq!(world.disk.read(&Path::new("/archive/quarantine").join(&name)), garbage);
        assert!(report.lost.is_empty(), "{report:?}");
        let after = verify_all(&world);
        assert!(after.is_whole() && after.catalogue == CatalogueFinding::Ok, "{after:?}");
        assert_eq!(everything(world.reader().view()), truth);
        assert!(repair_it(&world).found_nothing());
    }
}

#[test]
fn d01_a_repair_that_is_cut_off_anywhere_is_done_again_and_knows_as_much() {
    let (whole, _) = lived();
    let truth = everything(whole.reader().view());
    let damaged = |world: &World| {
        // The journal of one pack, all of another.
        let packs = world.packs();
        let mut bytes = world.disk.read(&packs[1]);
        let middle = bytes.len() / 2;
        bytes[middle..middle + 900].fill(0);
        world.disk.write(&packs[1], &bytes);
        world.disk.unlink(packs.last().unwrap());
    };
    let mut number = 1;
    loop {
        let world = copy_of(&whole, true);
        damaged(&world);
        world.disk.set_faults(Faults::power_cut(number));
        let cut = repair_at(&world.place, world.surroundings.clone(), world.options, &mut |_| {});
        world.disk.set_faults(Faults::default());
        if cut.is_ok() {
            break;
        }
        for kept in [true, false] {
            let disk = world.disk.after_crash(world.disk.operations(), 512, &mut |possibilities| {
                if kept { possibilities - 1 } else { 0 }
            });
            let after = on_disk(&world, &disk);
            let story = format!("cut off at call {number}, unsynced kept: {kept}");
            repair_it(&after);
            assert_eq!(everything(after.reader().view()), truth, "{story}");
            let report = verify_all(&after);
            assert!(report.is_whole() && report.catalogue == CatalogueFinding::Ok, "{story}: {report:?}");
            assert!(repair_it(&after).found_nothing(), "{story}");
        }
        number += 1;
    }
    assert!(number > 10, "only {number} calls were cut off");
}

/// The same archive and catalogue, its packs on another disk.
fn on_disk(world: &World, disk: &SimulatedDisk) -> World {
    let mut other = World::on(disk);
    other.options = world.options;
    for _ in 0..60 {
        // Ids that the repair which was cut off has not drawn.
        other.surroundings.random().unwrap();
    }
    std::fs::copy(world.place.catalogue.as_ref().unwrap(), other.place.catalogue.as_ref().unwrap()).unwrap();
    other
}
