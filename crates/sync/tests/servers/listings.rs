//! What a server shows of folders and messages: parts of it, odd names, levels without messages.

use message::{InternalDate, MailboxName, Uid};
use restante_sync::Outcome;
use server::{Behaviour, Effect, Fault, Field, Trigger};

use crate::scripted::mail;
use crate::world::{USER, WhenFolderBegins, World, uids};

fn always(effect: Effect) -> Fault {
    Fault::new(Trigger::Always, effect)
}

#[test]
fn i01_a_search_index_that_lags_behind_hides_no_new_message() {
    let world = World::with_messages(30);
    let bare = || Behaviour::bare().with("ESEARCH");
    world.assert_whole(&world.pull(bare()).0);
    world.store.expunge(USER, "INBOX", &uids("1")).unwrap();
    world.deliver("INBOX", &mail(31, 2_000));
    let stale = b"* ESEARCH (TAG \"{tag}\") UID COUNT 30 ALL 1:30\r\n{tag} OK done\r\n".to_vec();
    let lags = Fault::new(Trigger::Command("UID SEARCH".into()), Effect::Instead(stale));
    world.assert_whole(&world.pull(bare().with_fault(lags)).0);
}

#[test]
fn i01_uids_that_are_found_and_cannot_be_fetched_are_passed_over() {
    let world = World::with_messages(30);
    for behaviour in [Behaviour::modern(), Behaviour::bare()] {
        let (ledger, _) = world.pull(behaviour.with_fault(always(Effect::SearchAlso(vec![40, 41]))));
        world.assert_whole(&ledger);
    }
}

#[test]
fn i02_where_all_messages_are_shown_only_without_numbers_all_are_fetched() {
    let world = World::with_messages(50);
    let part = always(Effect::ShowsNewest(10));
    let (ledger, _) = world.pull(Behaviour::modern().with("UIDONLY").with_fault(part.clone()));
    world.assert_whole(&ledger);
    world.store.expunge(USER, "INBOX", &uids("3,44")).unwrap();
    world.deliver("INBOX", &mail(51, 2_000));
    let (ledger, _) = world.pull(Behaviour::modern().with("UIDONLY").with_fault(part));
    world.assert_whole(&ledger);
}

#[test]
fn i02_a_round_number_of_messages_gives_a_hint() {
    let world = World::new();
    world.fill("INBOX", 1_010, "\\Seen");
    let (ledger, _) = world.pull(Behaviour::modern().with_fault(always(Effect::ShowsNewest(1_000))));
    assert_eq!((ledger.totals.on_server, ledger.totals.archived), (1_000, 1_000));
    assert!(ledger.warnings.iter().any(|text| text.contains("round number")), "{ledger:#?}");
}

#[test]
fn i03_refused_ranges_cost_no_message() {
    for effect in [Effect::No("too many".into()), Effect::Bad("BAD UID parameters!".into())] {
        let world = World::with_messages(100);
        let ranges = Fault::new(Trigger::Wider(20), effect);
        let (ledger, _) = world.pull(Behaviour::bare().with_fault(ranges));
        world.assert_whole(&ledger);
    }
}

#[test]
fn i15_a_mailbox_that_grows_without_end_ends_the_run_all_the_same() {
    let world = World::with_messages(20);
    let store = world.store.clone();
    let more = move |_: &str| {
        let date = InternalDate::from_unix(1_772_445_600, 0);
        store.append(USER, "INBOX", &message::Flags::default(), &date, mail(7, 3_000)).unwrap();
    };
    let (ledger, _) = world.pull_watched(Behaviour::modern(), &WhenFolderBegins(more));
    assert!(ledger.totals.archived >= 20, "{ledger:#?}");
    assert_eq!(ledger.totals.vanished, 0);
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn i15_a_storm_of_unasked_responses_changes_nothing() {
    let storm = b"* 7 EXISTS\r\n* 1 FETCH (FLAGS (\\Deleted))\r\n* FLAGS (\\Seen)\r\n* 3 RECENT\r\n\
        * OK [ALERT] maintenance\r\n* LIST () \"/\" \"ghost\"\r\n* STATUS \"ghost\" (MESSAGES 9)\r\n\
        * 2 FETCH (UID 4000000000 FLAGS () BODY[] {5}\r\nghost)\r\n* 20 EXISTS\r\n"
        .to_vec();
    let world = World::with_messages(20);
    let stormy = Fault::new(Trigger::Command("UID FETCH".into()), Effect::Before(storm));
    world.assert_whole(&world.pull_with([stormy]));
    assert_eq!(world.held("ghost"), []);
}

#[test]
fn i18_living_messages_that_are_told_as_vanished_are_still_there() {
    for told in ["1:40", "5", "1:30", "0", "38:*"] {
        let world = World::with_messages(40);
        world.pull_with([]);
        world.deliver("INBOX", &mail(41, 2_000));
        let ledger = world.pull_with([always(Effect::Vanished(told.into()))]);
        assert_eq!(ledger.totals.vanished, 0, "{told}: {ledger:#?}");
        world.assert_whole(&ledger);
    }
}

#[test]
fn i26_received_dates_that_are_none_are_kept_as_they_came_and_hinder_nothing() {
    let world = World::with_messages(6);
    let date = |uid, text: &str| Fault::new(Trigger::Fetch(uid), Effect::Date(text.into()));
    let ledger = world.pull_with([
        date(1, "00-Jan-0000 00:00:00 +0000"),
        date(2, "31-Dec-9999 23:59:60 +9999"),
        date(3, "yesterday \u{fc}"),
        Fault::new(Trigger::Fetch(4), Effect::Omit(Field::InternalDate)),
        Fault::new(Trigger::Fetch(5), Effect::Nil(Field::InternalDate)),
    ]);
    world.assert_whole(&ledger);
    let raw: Vec<String> =
        world.placements("INBOX").iter().map(|held| held.internal_date.raw().to_owned()).collect();
    assert_eq!(raw[..3], ["00-Jan-0000 00:00:00 +0000", "31-Dec-9999 23:59:60 +9999", "yesterday \u{fc}"]);
    assert_eq!(raw[3..5], ["", ""]);
}

#[test]
fn i27_five_hundred_folders_with_odd_names_are_each_pulled() {
    let world = World::new();
    let mut names: Vec<Vec<u8>> = Vec::new();
    let odd: [&[u8]; 12] = [
        b"a b",
        b" lead",
        b"trail ",
        b"q\"uote",
        b"back\\slash",
        b"per%cent",
        b"st*ar",
        b"&-",
        b"&AAA",
        b"raw \xc3\xbc",
        b"latin \xfc",
        b"line\r\nend",
    ];
    for number in 0..500usize {
        let mut name = odd[number % odd.len()].to_vec();
        name.extend_from_slice(format!("-{}", number / odd.len()).as_bytes());
        if number % 100 == 0 {
            name.extend(std::iter::repeat_n(b'x', 4_000));
        }
        names.push(name);
    }
    for name in &names {
        world.store.create_raw(USER, name).unwrap();
    }
    let mailboxes = world.store.mailboxes(USER).unwrap();
    for (number, mailbox) in (1..).zip(&mailboxes) {
        world.deliver(&mailbox.name, &mail(number, 60));
    }
    let ledger = world.pull_with([]);
    assert_eq!(ledger.outcome, Outcome::Ok, "{:#?}", ledger.folders.iter().find(|f| !f.is_whole()));
    assert_eq!(ledger.folders.len(), 501, "INBOX and all the others");
    assert_eq!(ledger.totals.archived, 501);
}

#[test]
fn i28_only_inbox_is_the_same_in_any_case() {
    let world = World::new();
    let composed = MailboxName::from_text("r\u{e9}sum\u{e9}", Some(b'/'));
    let decomposed = MailboxName::from_text("re\u{301}sume\u{301}", Some(b'/'));
    for name in ["Lists", "lists", "LISTS"] {
        world.store.create(USER, name).unwrap();
        world.deliver(name, &mail(1, 100));
    }
    for (number, name) in [(2, &composed), (3, &decomposed)] {
        world.store.create_raw(USER, name.raw()).unwrap();
        world.deliver(&name.text(), &mail(number, 100));
    }
    world.deliver("INBOX", &mail(9, 100));
    let behaviour = Behaviour::modern().with_fault(Fault::new(
        Trigger::Command("LIST".into()),
        Effect::Before(b"* LIST () \"/\" inbox\r\n".to_vec()),
    ));
    let (ledger, _) = world.pull(behaviour);
    world.assert_whole(&ledger);
    assert_eq!(ledger.folders.len(), 6);
}

#[test]
fn i29_levels_without_messages_are_recorded_and_what_cannot_be_opened_is_failed() {
    let world = World::with_messages(3);
    world.store.create(USER, "Lists").unwrap();
    world.store.create(USER, "Lists/rust").unwrap();
    world.store.set_attributes(USER, "Lists", &["\\Noselect"]).unwrap();
    world.store.create(USER, "broken").unwrap();
    let refuse = Fault::new(Trigger::Line("EXAMINE \"broken\"".into()), Effect::No("I/O error".into()));
    let (ledger, _) = world.pull(Behaviour::modern().with_fault(refuse));
    assert_eq!(ledger.outcome, Outcome::Partial);
    let broken = ledger.folders.iter().find(|folder| folder.folder == "broken").unwrap();
    assert!(broken.error.as_deref().is_some_and(|error| error.contains("I/O error")), "{broken:?}");
    assert!(
        !ledger.folders.iter().any(|folder| folder.folder == "Lists"),
        "no failure, for it holds nothing"
    );
    let lists = world.mailbox("Lists");
    assert!(!lists.selectable && lists.gone.is_none());

    world.assert_whole(&world.pull_with([]));
    assert!(world.mailbox("Lists").gone.is_none(), "listed, and so not gone");
}

#[test]
fn i29_a_folder_that_is_only_a_level_now_has_lost_its_messages() {
    let world = World::with_messages(1);
    world.store.create(USER, "Lists").unwrap();
    world.store.create(USER, "Lists/rust").unwrap();
    world.deliver("Lists", &mail(2, 100));
    world.assert_whole(&world.pull_with([]));
    world.store.expunge(USER, "Lists", &uids("1")).unwrap();
    world.store.set_attributes(USER, "Lists", &["\\Noselect"]).unwrap();
    // Rights may have been withdrawn for a while: it is believed when it was so in three runs (L9).
    for live in [1, 1, 0] {
        let ledger = world.pull_with([]);
        let told = ledger.warnings.iter().any(|text| text.starts_with("Lists is no longer on the server"));
        assert_eq!((world.mailbox("Lists").live, told), (live, live == 0), "{ledger:#?}");
    }
}

#[test]
fn i35_a_message_that_is_moved_keeps_its_old_date_and_is_found() {
    let world = World::with_messages(10);
    world.store.create(USER, "Archive").unwrap();
    world.deliver("Archive", &mail(50, 9_000));
    world.assert_whole(&world.pull_with([]));
    let old = InternalDate::from_unix(946_684_800, 0);
    world.store.append(USER, "Archive", &message::Flags::parse("\\Seen"), &old, mail(51, 700)).unwrap();
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn i14_a_uidnext_that_is_missing_or_wrong_hides_nothing_and_ends() {
    for next in [None, Some(1), Some(4), Some(500_000)] {
        let world = World::with_messages(10);
        world.store.skip_to_uid(USER, "INBOX", Uid::new(40).unwrap()).unwrap();
        world.deliver("INBOX", &mail(11, 300));
        for _ in 0..2 {
            for behaviour in [Behaviour::modern(), Behaviour::bare()] {
                let (ledger, _) = world.pull(behaviour.with_fault(always(Effect::UidNext(next))));
                world.assert_whole(&ledger);
            }
        }
    }
}

#[test]
fn i11_uids_that_hold_for_one_session_are_told_and_cost_no_second_fetch() {
    for effect in [Effect::Validity(None), Effect::Validity(Some(0))] {
        let world = World::with_messages(60);
        let first = world.pull_with([always(effect.clone())]);
        assert!(first.warnings.iter().any(|text| text.contains("unstable UIDs")), "{first:#?}");
        let second = world.pull_with([always(effect)]);
        assert_eq!(second.outcome, Outcome::Ok, "{second:#?}");
        assert_eq!(world.placements("INBOX").len(), 60);
        assert!(second.totals.bytes_fetched * 4 < first.totals.bytes_fetched, "{:?}", second.totals);
    }
}

#[test]
fn n16_many_messages_and_folders_cost_few_commands() {
    let world = World::new();
    world.fill("INBOX", 2_000, "\\Seen");
    let (ledger, server) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    let commands = server.counts().commands;
    assert!(commands <= 24, "{commands} commands for a first run of 2,000 messages: {:?}", server.log());
    let (ledger, server) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    assert!(server.counts().commands <= 8, "an idle run: {:?}", server.log());
}

/// 1,000 folders; 100,000 of them with RESTANTE_LONG=1.
#[test]
fn i30_very_many_folders_are_pulled_and_cost_nothing_when_nothing_changes() {
    let world = World::new();
    let count = if std::env::var_os("RESTANTE_LONG").is_some() { 100_000 } else { 1_000 };
    for number in 0..count {
        // Five levels deep, as loops of links make them deeper.
        let name = format!("a/a/a/{}/{number}", number % 100);
        world.store.create(USER, &name).unwrap();
    }
    world.deliver(&format!("a/a/a/7/{}", count - 93), &mail(1, 500));
    let (ledger, _) = world.pull(Behaviour::modern());
    assert_eq!(ledger.outcome, Outcome::Ok);
    assert_eq!((ledger.folders.len(), ledger.totals.archived), (count + 1, 1));
    let (ledger, server) = world.pull(Behaviour::modern());
    assert_eq!(ledger.outcome, Outcome::Ok);
    assert!(server.counts().commands <= 8, "{} commands", server.counts().commands);
}
