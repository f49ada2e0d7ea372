//! Every flipped byte is found, and what comes back with one message heals the others.

use std::path::PathBuf;

use super::repair::{lived, places, repair_it, sync, unreadable, verify_all};
use super::*;
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
