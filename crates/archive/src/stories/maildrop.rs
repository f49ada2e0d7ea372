//! POP3 maildrops: UIDs that the archive gives, and the names that they were given for.

use super::*;
use message::Uidl;

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
fn p03_a_hundred_thousand_names_take_time_and_room_by_their_number() {
    let mut world = World::new();
    world.options = WriterOptions::default();
    let mut writer = world.writer();
    let run = begin_maildrop(&mut writer);
    let packed = |writer: &Writer| writer.view().sizes().unwrap().pack_bytes;
    writer.commit().unwrap();
    let begun = packed(&writer);
    let names: Vec<PopName> = (1..=100_000).map(name).collect();
    writer.name(run.epoch, &names).unwrap();
    writer.commit().unwrap();
    let bytes = packed(&writer) - begun;
    assert!(bytes < 100_000 * 8, "{bytes} bytes for 100,000 names");
    assert_eq!(writer.view().pop3_names(run.epoch).unwrap(), names);
    drop(writer);
    world.drop_catalogue();
    assert_eq!(world.reader().view().pop3_names(run.epoch).unwrap(), names);
}
