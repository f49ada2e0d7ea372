//! A catalogue from nowhere beside good packs (S12).

use super::*;

/// The catalogue's bytes with a few of them changed: pages zeroed, bytes set, the end cut off.
fn spoilt(bytes: &[u8], number: u64) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut random = blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof();
    let mut draw = |below: usize| {
        let mut drawn = [0; 8];
        random.fill(&mut drawn);
        usize::try_from(u64::from_le_bytes(drawn) % below as u64).unwrap()
    };
    for _ in 0..=draw(8) {
        let at = draw(bytes.len());
        match draw(8) {
            0 => {
                let page = at / 4096 * 4096;
                let end = (page + 4096).min(bytes.len());
                bytes[page..end].fill(0);
            }
            1 if draw(4) == 0 => bytes.truncate(at.max(1)),
            2 => bytes[at] = 0xff,
            _ => bytes[at] ^= 1 << draw(8),
        }
    }
    bytes
}

/// Everything that a reader can be asked, in any order; what it gives must be right.
fn read(place: &Place) {
    let Ok(archive) = Archive::open_at(place.clone()) else { return };
    let view = archive.view();
    for account in view.accounts().unwrap_or_default() {
        for mailbox in view.mailboxes(account.id).unwrap_or_default() {
            let mut keys = Vec::new();
            // An error is an answer; what came before it is looked at.
            let _ = view.placements(mailbox.id, When::default(), &mut |info| {
                keys.push(info.message);
                ControlFlow::Continue(())
            });
            for key in keys {
                if let Ok(bytes) = view.read_to_vec(&key) {
                    assert_eq!(MessageKey::of(&bytes), key);
                }
                let _ = view.message(&key);
            }
            for epoch in view.epochs(mailbox.id).unwrap_or_default() {
                let _ = (view.held_uids(epoch.id), view.unproven(epoch.id), view.troubles(epoch.id));
            }
        }
    }
}

#[test]
fn s12_a_catalogue_from_nowhere_gives_no_wrong_bytes_and_is_made_anew() {
    let world = World::new();
    let mut writer = world.writer();
    let run = pull(&mut writer, 1..30);
    drop(writer);
    let catalogue = world.place.catalogue.clone().unwrap();
    let good = std::fs::read(&catalogue).unwrap();
    let before = listing(world.reader().view(), run.mailbox, When::default());
    for number in 0..120 {
        crate::catalogue::remove(&catalogue).unwrap();
        std::fs::write(&catalogue, spoilt(&good, number)).unwrap();
        read(&world.place);
        let report = verify_at(&world.place, Depth::Full, None, &mut |_| ());
        let report = report.unwrap_or_else(|error| panic!("{number}: {error}: {error:?}"));
        assert!(report.is_whole(), "{number}: the packs are: {report:?}");
        rebuild_at(&world.place).unwrap_or_else(|error| panic!("{number}: {error}: {error:?}"));
        assert_eq!(listing(world.reader().view(), run.mailbox, When::default()), before, "{number}");
    }
}

#[test]
fn s12_what_a_catalogue_would_run_is_not_run_by_a_reader() {
    let world = World::new();
    pull(&mut world.writer(), 1..5);
    let catalogue = world.place.catalogue.clone().unwrap();
    let planted = rusqlite::Connection::open(&catalogue).unwrap();
    planted
        .execute_batch(
            "ALTER TABLE accounts RENAME TO real_accounts;
             CREATE VIEW accounts AS SELECT id, name || load_extension('/no/such.so') AS name, protocol,
                messages, message_bytes FROM real_accounts;",
        )
        .unwrap();
    drop(planted);
    // The view is asked and refuses (or the catalogue is taken for what it is); nothing is loaded.
    let archive = world.reader();
    if let Ok(accounts) = archive.view().accounts() {
        assert_eq!(accounts.iter().map(|account| &account.name[..]).collect::<Vec<_>>(), ["work"]);
    }
    rebuild_at(&world.place).unwrap();
    assert_eq!(world.reader().view().accounts().unwrap().len(), 1);
}
