//! The seeds of this crate's targets, replayed and mutated; and where they come from.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::frame::Kind;
use crate::pack::reader::{PackReader, decoder};
use crate::pack::walk::{Event, Walk};
use crate::stories::{World, begin, fill, flags, mail, placement, put, uid, uids};
use crate::{NewPlacement, PopName, Proof};

/// A small archive with something of every kind in it: two mailboxes, two runs, flags changed, mail
/// gone, a new UIDVALIDITY, a message that could not be had, a POP3 maildrop.
fn eventful() -> World {
    let world = World::new();
    let mut writer = world.writer();
    let run = begin(&mut writer, "INBOX").unwrap();
    fill(&mut writer, &run, 1..5).unwrap();
    writer.trouble(run.epoch, uid(9), "the server says NO").unwrap();
    writer
        .mark(run.epoch, &crate::Mark { uid_next: Some(uid(10)), highest_modseq: None, messages: 5 })
        .unwrap();
    writer.end_run(run.run, "partial", 2_000, "{}").unwrap();
    writer.commit().unwrap();
    let run = begin(&mut writer, "INBOX").unwrap();
    writer.set_flags(run.epoch, uid(2), &flags("\\Seen \\Flagged Work")).unwrap();
    writer.vanished(run.epoch, &uids("3:4")).unwrap();
    let key = put(&mut writer, &mail(6)).unwrap();
    let by_header = NewPlacement { proof: Proof::Header, ..placement(key, 6) };
    writer.place(run.epoch, uid(6), by_header).unwrap();
    let sent = writer.mailbox(run.account, &crate::stories::seen("Entw\u{fc}rfe/alt")).unwrap();
    let epoch = writer.epoch(sent, None).unwrap();
    let key = put(&mut writer, &mail(1)).unwrap();
    writer.place(epoch, uid(1), placement(key, 1)).unwrap();
    let maildrop = writer.pop3_epoch(sent).unwrap();
    let names = [(3, Some(&b"000000035f8a\xe9 \x1b"[..])), (4, None)];
    let names = names.map(|(number, uidl)| PopName {
        uid: uid(number),
        uidl: uidl.and_then(message::Uidl::new),
        octets: 700,
    });
    writer.name(maildrop, &names).unwrap();
    writer.place(maildrop, uid(3), placement(key, 1)).unwrap();
    writer.end_run(run.run, "ok", 3_000, "{\"folders\":[]}").unwrap();
    writer.commit().unwrap();
    drop(writer);
    world
}

/// The instructions that forge this pack again, and its journal frames as the journal's target takes them.
fn instructions(world: &World) -> (Vec<u8>, Vec<Vec<u8>>) {
    let [path] = &world.packs()[..] else { panic!("the pack is not full") };
    let file = crate::disk::Disk::open(&world.disk, path, crate::disk::Access::Read).unwrap();
    let header = world.disk.read(path);
    let header = PackHeader::decode(header[..PACK_HEADER_BYTES].try_into().unwrap()).unwrap();
    let length = file.length().unwrap();
    let key = FrameKey::new(header.archive, header.pack);
    let reader = PackReader::new(header.pack, "pack".into(), file, key);
    let mut walk = Walk::new(&reader, PACK_HEADER_BYTES as u64, length);
    let (mut told, mut journals) = (Vec::new(), Vec::new());
    while let Some(event) = walk.next().unwrap() {
        let Event::Commit(commit) = event else { continue };
        for frame in commit.frames {
            let (meta, body) = reader.contents(&frame.header, frame.offset, &mut decoder()).unwrap();
            let kind = frame.header.kind.number();
            told.extend_from_slice(&[kind | 0x10, 0, 0]);
            told.extend_from_slice(&u16::try_from(meta.len()).unwrap().to_le_bytes());
            told.extend_from_slice(&u16::try_from(body.len()).unwrap().to_le_bytes());
            told.extend_from_slice(&u32::try_from(body.len()).unwrap().to_le_bytes()[..0]);
            told.extend_from_slice(&meta);
            told.extend_from_slice(&body);
            if frame.header.kind == Kind::Journal {
                let keys = u8::try_from(meta.len() / 32).unwrap();
                journals.push([&[keys], &meta[..], &body[..]].concat());
            }
        }
        told.push(8);
    }
    (told, journals)
}

/// Instructions by hand: a text with a directory of its own, and a message made of it.
fn by_hand() -> Vec<u8> {
    let text = b"Subject: forged\r\n\r\nhello\r\n";
    let mut told = vec![0x51, 0, 0, 1, 0, u8::try_from(text.len()).unwrap(), 0, 19];
    told.extend_from_slice(text);
    let record = |kind: u8, payload: &[u8]| [&[kind, u8::try_from(payload.len()).unwrap()], payload].concat();
    let steps = [0, 19, 2, 7];
    let message = [&[2, 26, 1, b's', 1, b'f', 0, 2, 2, 2], &steps[..]].concat();
    let records = [
        record(1, b"\x01\x04work\x04imap"),
        record(15, &[1, 0]),
        record(2, &[1, 0]),
        record(4, b"\x01\x01\x06\x05INBOX\x01/\x00"),
        record(15, &[1, 1]),
        record(6, &[1, 7]),
        record(8, &message),
        record(9, &[0, 2, 2, 0, 0]),
    ]
    .concat();
    told.extend_from_slice(&[2, 0, 0, 32, 0, u8::try_from(records.len()).unwrap(), 0]);
    told.extend_from_slice(message::MessageKey::of(text).as_bytes());
    told.extend_from_slice(&records);
    told.push(8);
    told
}

/// Six blocks and a journal frame of 32 MiB each, all in a few kilobytes.
fn expanding() -> Vec<u8> {
    let plain = vec![0x90; 2 * limit::BLOB_BYTES];
    let body = zstd::bulk::compress(&plain, 1).unwrap();
    let length = u16::try_from(body.len()).unwrap().to_le_bytes();
    let mut told = Vec::new();
    for block in 0..6u8 {
        let name = message::BlobName::of(&plain[..limit::BLOB_BYTES]);
        let mut meta = vec![2, 2];
        meta.extend_from_slice(&name.as_bytes().repeat(2));
        for step in [1 + 2 * block, 1] {
            meta.extend_from_slice(&[step, 0x80, 0x80, 0x80, 0x08]);
        }
        told.extend_from_slice(&[0x21, 0, 1, u8::try_from(meta.len()).unwrap(), 0]);
        told.extend_from_slice(&length);
        told.extend_from_slice(&(32u32 << 20).to_le_bytes());
        told.extend_from_slice(&meta);
        told.extend_from_slice(&body);
    }
    // The records: an unknown one that may be skipped, a hundred and forty-four bytes long, and so on.
    told.extend_from_slice(&[0x22, 0, 1, 0, 0]);
    told.extend_from_slice(&length);
    told.extend_from_slice(&(32u32 << 20).to_le_bytes());
    told.extend_from_slice(&body);
    told.push(8);
    told
}

#[test]
fn the_seeds_are_those_of_the_present_format() {
    let world = eventful();
    let bytes = world.disk.read(&world.packs()[0]);
    let (told, journals) = instructions(&world);
    seeds::assert_checked_in("pack", &[("eventful", bytes.clone())]);
    let empty_commit = vec![8, 8];
    let two_packs = [&told[..], &[9, 0], &by_hand()[..], &[10, 100]].concat();
    let torn = [&told[..], &[0x48], &[10, 3, 9, 0xf8], &by_hand()[..], &[9, 16]].concat();
    let last_numbers = [&by_hand()[..by_hand().len() - 1], &[0x28], &[0xff; 32][..]].concat();
    let last_commit = [&by_hand()[..by_hand().len() - 1], &[0x18, 255]].concat();
    let bomb = [vec![0x31, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 2], vec![0; 65_535], vec![8]].concat();
    let newer = vec![7, 0, 0, 0, 0, 0, 0, 8];
    let compacted = |how: u8, packs: u8| {
        let journal = b"\x01\x0b\x01\x04work\x04imap";
        [&[0x0b | how << 4, packs, 13, 0][..], journal].concat()
    };
    let compacted = [
        &by_hand()[..],
        &[9, 0],
        &by_hand(),
        &compacted(0, 2),
        &by_hand(),
        &compacted(6, 1),
        &by_hand(),
        &compacted(1, 9),
    ];
    let compacted = compacted.concat();
    let skipped = vec![7, 1, 9, 0, 0, 1, 0, 5, 8];
    seeds::assert_checked_in(
        "archive",
        &[
            ("eventful", told),
            ("by-hand", by_hand()),
            ("empty-commits", empty_commit),
            ("two-packs", two_packs),
            ("torn-and-longer-than-told", torn),
            ("numbers-used-up", last_numbers),
            ("commits-used-up", last_commit),
            ("claims-other-length", bomb),
            ("expands-a-thousandfold", expanding()),
            ("compacted", compacted),
            ("newer", newer),
            ("skippable", skipped),
        ],
    );
    let named: Vec<(String, Vec<u8>)> =
        (1..).zip(journals).map(|(n, journal)| (format!("eventful-{n}"), journal)).collect();
    let named: Vec<(&str, Vec<u8>)> = named.iter().map(|(n, journal)| (&n[..], journal.clone())).collect();
    seeds::assert_checked_in("journal", &named);
    let header = [&[0], &bytes[..PACK_HEADER_BYTES]].concat();
    let name = [&[0], "00000012-abababababababab.pack".as_bytes()].concat();
    seeds::assert_checked_in("pack_header", &[("first", header), ("name", name)]);
    let frame = [&128u64.to_le_bytes()[..], &[1], &bytes[128..208]].concat();
    seeds::assert_checked_in("frame", &[("block", frame)]);
    let (meta, body) = (u64::from_le_bytes(bytes[136..144].try_into().unwrap()), &bytes[128 + 24..][..8]);
    let plain = u32::try_from(u64::from_le_bytes(body.try_into().unwrap())).unwrap();
    let meta = usize::try_from(meta & 0xffff_ffff).unwrap();
    let directory = [&plain.to_le_bytes()[..], &bytes[208..208 + meta]].concat();
    let commit = [&[0; 4][..], &bytes[bytes.len() - 96..]].concat();
    seeds::assert_checked_in("directory", &[("headers", directory), ("commit", commit)]);
}

#[test]
fn the_forge_makes_archives_that_are_whole() {
    for told in [instructions(&eventful()).0, by_hand()] {
        let place = place(forge::archive(&told));
        let report = crate::verify_at(&place, crate::Depth::Full, None, &mut |_| ()).unwrap();
        assert!(report.is_whole() && report.messages > 0, "{report:?}");
    }
}

#[test]
fn s12_numbers_in_use_are_not_handed_out_again_whatever_a_commit_says() {
    // Its commit says that the next message is 1, which is the one that it brings.
    let place = place(forge::archive(&by_hand()));
    let before = listed(&place);
    tour::take(&place);
    assert_eq!(before.len(), 1);
    assert_eq!(listed(&place), before, "the new message has taken the old one's number");
}

fn listed(place: &Place) -> Vec<(u32, message::MessageKey)> {
    let archive = crate::Archive::open_at(place.clone()).unwrap();
    let mut listed = Vec::new();
    for account in archive.view().accounts().unwrap() {
        for mailbox in archive.view().mailboxes(account.id).unwrap() {
            let all = crate::stories::listing(archive.view(), mailbox.id, crate::When::default());
            listed.extend(all.into_iter().map(|(uid, key, _)| (uid, key)));
        }
    }
    listed
}

#[test]
fn s12_an_archive_without_numbers_left_says_so_and_can_be_read() {
    for told in ["numbers-used-up", "commits-used-up"] {
        let told = std::fs::read(seeds::folder("archive").join(told)).unwrap();
        let place = place(forge::archive(&told));
        let opened = crate::Writer::open_at(
            place.clone(),
            Arc::new(crate::surroundings::fixed::Fixed::default()),
            crate::WriterOptions::default(),
        );
        let mut writer = opened.unwrap();
        let written = writer.account("new", "imap").and_then(|_| writer.commit());
        let error = written.unwrap_err();
        assert!(matches!(error, crate::Error::NumbersUsedUp { .. }), "{error:?}");
        drop(writer);
        assert_eq!(listed(&place).len(), 1);
    }
}

#[test]
fn s18_no_header_makes_a_frame_larger_than_its_limits() {
    seeds::replay("frame", frame);
    seeds::mutate("frame", frame, 5_000);
}

#[test]
fn s18_no_bytes_make_a_pack_header_panic() {
    seeds::replay("pack_header", pack_header);
    seeds::mutate("pack_header", pack_header, 5_000);
}

#[test]
fn s18_no_directory_leads_beyond_its_block() {
    seeds::replay("directory", directory);
    seeds::mutate("directory", directory, 5_000);
}

#[test]
fn s18_any_record_that_can_be_read_can_be_applied() {
    seeds::replay("journal", journal);
    seeds::mutate("journal", journal, 800);
}

#[test]
fn d11_a_pack_with_any_damage_is_opened_verified_rebuilt_and_written_on() {
    seeds::replay("pack", pack);
    seeds::mutate("pack", pack, 250);
}

/// S12 and S9: in a process of its own, which may take no more memory than this.
#[test]
fn s12_a_forged_archive_gives_no_wrong_bytes_no_panic_and_takes_128_mib_at_most() {
    const NAME: &str =
        "fuzzing::tests::s12_a_forged_archive_gives_no_wrong_bytes_no_panic_and_takes_128_mib_at_most";
    const BOUNDED: &str = "RESTANTE_BOUNDED";
    if std::env::var_os(BOUNDED).is_some() {
        seeds::replay("archive", archive);
        seeds::mutate("archive", archive, 400);
        return;
    }
    let mut bounded = std::process::Command::new("sh");
    bounded.args(["-c", "ulimit -d 131072; exec \"$@\"", "sh"]).arg(std::env::current_exe().unwrap());
    let output = bounded.args(["--exact", NAME]).env(BOUNDED, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("1 passed"), "{said}");
}
