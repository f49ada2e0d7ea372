//! POP3 maildrops: UIDs that the archive gives, and the names that they were given for.

use std::time::Instant;

use message::Uidl;

use super::repair::repair_it;
use super::*;
use crate::disk::simulated::Chances;

/// A name as Dovecot gives it.
fn name(number: u32) -> PopName {
    let uidl = format!("{number:08x}65a1b2c3");
    PopName { uid: uid(number), uidl: Uidl::new(uidl.as_bytes()), octets: 1_000 + u64::from(number) }
}

fn unnamed(number: u32) -> PopName {
    PopName { uidl: None, ..name(number) }
}

/// A run at a maildrop.
fn begin_maildrop(writer: &mut Writer) -> Run {
    let account = writer.account("work", "pop3").unwrap();
    let run = writer.begin_run(account, 1_000).unwrap();
    let mailbox = writer.mailbox(account, &seen("INBOX")).unwrap();
    let epoch = writer.pop3_epoch(mailbox).unwrap();
    Run { account, run, mailbox, epoch }
}

/// Whether the packs alone give the catalogue that the writer has left.
fn assert_rebuilt_the_same(world: &World) {
    let report = verify_at(&world.place, Depth::Full, None, &mut |_| {}).unwrap();
    assert!(report.is_whole(), "{report:?}");
    assert_eq!(report.catalogue, CatalogueFinding::Ok);
}

#[test]
fn p03_names_of_any_kind_are_known_again_from_the_packs_alone() {
    let world = World::new();
    let longest: Vec<u8> = (0..=255u8).rev().cycle().take(Uidl::MAX_LENGTH).collect();
    let names = vec![
        name(1),
        // P2, P4: given to two messages, or to another one later.
        PopName { uidl: name(1).uidl, ..name(2) },
        unnamed(3),
        PopName { uidl: Uidl::new(&longest), octets: u64::from(u32::MAX) * 7, ..name(9) },
    ];
    let mut writer = world.writer();
    let run = begin_maildrop(&mut writer);
    writer.name(run.epoch, &names[..2]).unwrap();
    writer.name(run.epoch, &names[2..]).unwrap();
    fill(&mut writer, &run, 1..4).unwrap();
    writer.commit().unwrap();
    assert_eq!(writer.view().pop3_names(run.epoch).unwrap(), names);
    assert_eq!(writer.view().pop3_next_uid(run.epoch).unwrap(), Some(uid(10)));
    drop(writer);
    assert_rebuilt_the_same(&world);
    world.drop_catalogue();
    let archive = world.reader();
    assert_eq!(archive.view().pop3_names(run.epoch).unwrap(), names);

    let mut shown = Vec::new();
    archive
        .view()
        .placements(run.mailbox, When::default(), &mut |info| {
            shown.push((info.uid.get(), info.uidl));
            ControlFlow::Continue(())
        })
        .unwrap();
    shown.sort();
    assert_eq!(shown, [(1, name(1).uidl), (2, name(1).uidl), (3, None)]);
    let life = archive.view().life_of(run.account, &MessageKey::of(&mail(2))).unwrap();
    assert_eq!(life[0].uidl, name(1).uidl);
}

#[test]
fn p02_the_last_name_of_a_uid_holds_also_from_the_packs_alone() {
    let world = World::new();
    let mut writer = world.writer();
    let run = begin_maildrop(&mut writer);
    writer.name(run.epoch, &[name(1), name(2)]).unwrap();
    writer.commit().unwrap();
    let other = PopName { uid: uid(1), ..name(7) };
    writer.rename(run.epoch, other.clone()).unwrap();
    let refused = writer.rename(run.epoch, name(3)).unwrap_err();
    assert!(matches!(refused, Error::Unknown { what: "UID", number: 3 }), "{refused}");
    writer.commit().unwrap();
    assert_eq!(writer.view().pop3_next_uid(run.epoch).unwrap(), Some(uid(3)));
    drop(writer);
    assert_rebuilt_the_same(&world);
    world.drop_catalogue();
    assert_eq!(world.reader().view().pop3_names(run.epoch).unwrap(), [other, name(2)]);
}

#[test]
fn a_maildrop_is_one_epoch_until_imap_comes_between() {
    let world = World::new();
    let mut writer = world.writer();
    let first = begin_maildrop(&mut writer);
    writer.commit().unwrap();
    drop(writer);
    let mut writer = world.writer();
    assert_eq!(begin_maildrop(&mut writer).epoch, first.epoch, "an empty one is the same one");
    writer.name(first.epoch, &[name(1)]).unwrap();
    let imap = begin(&mut writer, "INBOX").unwrap();
    assert_ne!(imap.epoch, first.epoch);
    assert_eq!(begin(&mut writer, "INBOX").unwrap().epoch, imap.epoch);
    let second = begin_maildrop(&mut writer);
    assert!(second.epoch > imap.epoch);
    writer.name(second.epoch, &[name(1)]).unwrap();
    writer.commit().unwrap();
    let kinds: Vec<bool> =
        writer.view().epochs(first.mailbox).unwrap().iter().map(|epoch| epoch.pop3).collect();
    assert_eq!(kinds, [true, false, true]);
    assert_eq!(writer.view().pop3_names(imap.epoch).unwrap(), []);
    let refused = writer.name(imap.epoch, &[name(1)]).unwrap_err();
    assert!(matches!(refused, Error::Unknown { what: "POP3 maildrop", .. }), "{refused}");
    drop(writer);
    assert_rebuilt_the_same(&world);
}

#[test]
fn p04_a_uid_is_given_once() {
    let world = World::new();
    let mut writer = world.writer();
    let run = begin_maildrop(&mut writer);
    writer.name(run.epoch, &[name(5), name(7)]).unwrap();
    for wrong in [vec![name(7)], vec![name(6)], vec![name(9), name(9)], vec![name(9), name(8)]] {
        let refused = writer.name(run.epoch, &wrong).unwrap_err();
        assert!(matches!(refused, Error::UidTaken(_)), "{refused}");
    }
    // Placed without a name: damage has taken it.
    fill(&mut writer, &run, 11..12).unwrap();
    assert!(writer.name(run.epoch, &[name(10)]).is_err());
    writer.name(run.epoch, &[name(12)]).unwrap();
    writer.name(run.epoch, &[name(u32::MAX)]).unwrap();
    assert!(writer.name(run.epoch, &[name(u32::MAX)]).is_err());
    writer.commit().unwrap();
    assert_eq!(writer.view().pop3_next_uid(run.epoch).unwrap(), None);
    let given: Vec<u32> =
        writer.view().pop3_names(run.epoch).unwrap().iter().map(|name| name.uid.get()).collect();
    assert_eq!(given, [5, 7, 12, u32::MAX]);
}

#[test]
fn p04_after_a_power_cut_at_any_moment_a_uid_still_means_one_message_and_none_is_given_twice() {
    let world = World::new();
    let mut writer = world.writer();
    let run = begin_maildrop(&mut writer);
    writer.commit().unwrap();
    let from = world.disk.operations();
    // Three listings: what is new is named, and placed in a later commit than its name.
    for listing in 0..3u32 {
        let numbers = listing * 5 + 1..listing * 5 + 6;
        writer.name(run.epoch, &numbers.clone().map(name).collect::<Vec<_>>()).unwrap();
        writer.commit().unwrap();
        fill(&mut writer, &run, numbers).unwrap();
        writer.commit().unwrap();
    }
    drop(writer);
    for crash in from..=world.disk.operations() {
        for seed in 0..3u64 {
            let mut chances = Chances::seeded(seed);
            let disk = world.disk.after_crash(crash, 512, &mut |sides| chances.choose(sides));
            let after = World::on(&disk);
            let mut writer = after.writer();
            let names = writer.view().pop3_names(run.epoch).unwrap();
            let held = readable(writer.view());
            // As a listing finds it: known by its name, or new. Mail and name have the same number here.
            let known: BTreeSet<u32> = names.iter().map(|name| name.uid.get()).collect();
            assert_eq!(known, up_to(known.len() as u32), "crash before {crash}, seed {seed}");
            assert!(held.is_subset(&known), "crash before {crash}, seed {seed}: {held:?} {known:?}");
            assert_eq!(names, known.iter().map(|&number| name(number)).collect::<Vec<_>>());
            let again = begin_maildrop(&mut writer);
            assert_eq!(again.epoch, run.epoch);
            let next = writer.view().pop3_next_uid(run.epoch).unwrap().unwrap().get();
            writer.name(run.epoch, &(next..16).map(name).collect::<Vec<_>>()).unwrap();
            for missing in up_to(15).difference(&held) {
                fill(&mut writer, &run, *missing..missing + 1).unwrap();
            }
            writer.commit().unwrap();
            assert_eq!(readable(writer.view()), up_to(15));
            drop(writer);
            assert_rebuilt_the_same(&after);
        }
    }
}

#[test]
fn d11_damage_to_names_takes_no_message_and_a_catalogue_that_knows_them_says_them_again() {
    let mut world = World::new();
    world.options.pack_bytes = 1 << 30;
    let mut writer = world.writer();
    let run = begin_maildrop(&mut writer);
    writer.commit().unwrap();
    let pack = world.packs().remove(0);
    let names: Vec<PopName> = (1..8).map(name).collect();
    let at = world.disk.read(&pack).len();
    writer.name(run.epoch, &names).unwrap();
    writer.commit().unwrap();
    fill(&mut writer, &run, 1..8).unwrap();
    writer.commit().unwrap();
    drop(writer);
    // Behind the header of the journal's frame, which has no directory, stand the names.
    let mut bytes = world.disk.read(&pack);
    bytes[at + 83] ^= 1;
    world.disk.write(&pack, &bytes);

    let forgetful = World::on(&world.disk.copy());
    let archive = forgetful.reader();
    assert_eq!(readable(archive.view()), up_to(7));
    assert_eq!(archive.view().held_uids(run.epoch).unwrap(), uids("1:7"));
    assert!(archive.view().epochs(run.mailbox).unwrap()[0].pop3);
    assert_eq!(archive.view().pop3_names(run.epoch).unwrap(), []);
    assert_eq!(archive.view().pop3_next_uid(run.epoch).unwrap(), Some(uid(8)), "none is given again");

    let report = repair_it(&world);
    assert_eq!((report.restated.names, report.restated.places, report.messages_lost), (7, 0, 0));
    world.drop_catalogue();
    let archive = world.reader();
    assert_eq!(archive.view().pop3_names(run.epoch).unwrap(), names);
    assert_eq!(readable(archive.view()), up_to(7));
    drop(archive);
    assert!(repair_it(&world).found_nothing());
}

/// One name as a server gives it that has such unique-ids.
type Naming = fn(u32) -> String;

/// What 11,424 names add to the packs and to the catalogue, a name.
fn weight_of_a_name(naming: Naming) -> (f64, f64) {
    const COUNT: u32 = 11_424;
    let mut world = World::new();
    world.options = WriterOptions::default();
    let mut writer = world.writer();
    let run = begin_maildrop(&mut writer);
    writer.commit().unwrap();
    let weigh = |writer: &Writer| {
        writer.catalogue().execute_batch("VACUUM").unwrap();
        let pages: i64 = writer.catalogue().pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        (writer.view().sizes().unwrap().pack_bytes, pages * 4096)
    };
    let before = weigh(&writer);
    let names: Vec<PopName> = (1..=COUNT)
        .map(|number| {
            let dice = blake3::hash(&number.to_le_bytes());
            let [a, b, c, d] = *dice.as_bytes().first_chunk().unwrap();
            let octets = 2_000 + u64::from(a) * u64::from(b) * u64::from(c) / 300 + u64::from(d);
            PopName { uid: uid(number), uidl: Uidl::new(naming(number).as_bytes()), octets }
        })
        .collect();
    writer.name(run.epoch, &names).unwrap();
    writer.commit().unwrap();
    let after = weigh(&writer);
    let each = |bytes: i64| bytes as f64 / f64::from(COUNT);
    (each((after.0 - before.0).cast_signed()), each(after.1 - before.1))
}

#[test]
fn a_name_costs_the_archive_little_more_than_what_is_new_in_it() {
    let cases: [(&str, Naming, f64); 3] = [
        ("16 digits that count upwards", |n| format!("{n:08x}65a1b2c3"), 4.0),
        ("16 digits by chance", |n| blake3::hash(&n.to_le_bytes()).to_hex()[48..].to_owned(), 13.0),
        (
            "names of Maildir files",
            |n| {
                let micros = u32::from(blake3::hash(&n.to_le_bytes()).as_bytes()[9]) * 3_000 + n % 1_000;
                format!("{}.M{micros}P{}.mail.example.org", 1_700_000_000 + n * 617, 1_000 + n * 37 % 30_000)
            },
            14.0,
        ),
    ];
    for (what, naming, most) in cases {
        let (packs, catalogue) = weight_of_a_name(naming);
        tell(&format!("{what}: {packs:.1} bytes in the packs, {catalogue:.1} in the catalogue"));
        assert!(packs < most, "{what}: {packs} bytes a name");
        assert!(catalogue < 64.0, "{what}: {catalogue} bytes a name");
    }
}

#[test]
fn p03_a_hundred_thousand_names_are_given_and_known_again() {
    let mut world = World::new();
    world.options = WriterOptions::default();
    let mut writer = world.writer();
    let run = begin_maildrop(&mut writer);
    let names: Vec<PopName> = (1..=100_000).map(name).collect();
    // All at once, and by the dozen.
    let (first, rest) = names.split_at(50_000);
    let begun = Instant::now();
    writer.name(run.epoch, first).unwrap();
    for dozen in rest.chunks(12) {
        writer.name(run.epoch, dozen).unwrap();
    }
    writer.commit().unwrap();
    tell(&format!("100,000 names given in {:?}", begun.elapsed()));
    assert_eq!(writer.view().pop3_names(run.epoch).unwrap(), names);
    drop(writer);
    world.drop_catalogue();
    assert_eq!(world.reader().view().pop3_names(run.epoch).unwrap(), names);
}
