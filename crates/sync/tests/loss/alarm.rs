//! Runs in which much vanished or changed: they complete, lose nothing, mark themselves, and say from
//! which state it can all be brought back.

use std::collections::HashMap;

use archive::When;
use message::{Flags, InternalDate, MessageKey, Uid, UidValidity};
use restante_sync::{Ledger, Outcome};
use server::{Behaviour, Effect, Fault, Trigger};

use crate::scripted::mail;
use crate::world::{USER, World, uids};

fn says(ledger: &Ledger, words: &str) {
    assert!(ledger.warnings.iter().any(|warning| warning.contains(words)), "{words}: {:?}", ledger.warnings);
}

/// The number of messages in a mailbox in the state that the ledger calls the one before.
fn before(world: &World, ledger: &Ledger, mailbox: &str) -> usize {
    let before = ledger.before.as_ref().unwrap();
    world.count_as_of(mailbox, before.run)
}

fn is_calm(ledger: &Ledger) {
    assert!(!ledger.suspicious && ledger.warnings.is_empty(), "{ledger:#?}");
    assert_eq!(ledger.outcome, Outcome::Ok);
    assert!(ledger.before.is_none() && ledger.lost.is_empty());
}

#[test]
fn l01_an_emptied_folder_is_whole_in_the_ledger_and_suspicious_all_the_same() {
    let world = World::with_messages(80);
    world.store.create(USER, "Sent").unwrap();
    for number in 100..110 {
        world.deliver("Sent", &mail(number, 500));
    }
    is_calm(&world.pull(Behaviour::modern()).0);
    world.store.expunge(USER, "INBOX", &uids("1:80")).unwrap();
    let (ledger, _) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    assert!(ledger.suspicious);
    says(&ledger, "INBOX: 80 of 80 messages are gone from the server");
    says(&ledger, "80 of 90 messages of this account are gone");
    assert_eq!((ledger.lost.len(), ledger.lost[0].lost, ledger.lost[0].before), (1, 80, 80));
    assert_eq!((before(&world, &ledger, "INBOX"), before(&world, &ledger, "Sent")), (80, 10));
    assert_eq!(world.ever_held().len(), 90);
    assert_eq!(world.alarms(), [world.runs()[0].id], "it waits for a person");
    is_calm(&world.pull(Behaviour::modern()).0);
    assert_eq!(world.alarms().len(), 1, "and is not forgotten by a calm run");
}

#[test]
fn l01_what_a_run_recorded_before_it_was_killed_is_judged_by_the_next() {
    let mut world = World::with_messages(80);
    world.pull(Behaviour::modern());
    world.store.expunge(USER, "INBOX", &uids("1:60")).unwrap();
    world.deliver("INBOX", &mail(500, 2_000));
    // The loss is committed; then the disk fills, and the run does not come to its end.
    world.limits.commit_bytes = 1;
    world.limits.reserve_bytes = u64::MAX;
    let (failed, _) = world.pull(Behaviour::modern());
    assert_eq!(failed.outcome, Outcome::Failed);
    world.limits.reserve_bytes = 0;
    let first_alarm = world.alarms();
    let (ledger, _) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    assert!(failed.suspicious || ledger.suspicious, "{failed:#?} {ledger:#?}");
    assert!(!world.alarms().is_empty() && world.alarms().len() >= first_alarm.len());
    let told = if failed.suspicious { &failed } else { &ledger };
    assert_eq!(before(&world, told, "INBOX"), 80);
}

#[test]
fn l01_mail_that_is_moved_is_not_lost_but_in_the_trash_it_is() {
    let world = World::with_messages(80);
    for folder in ["Attic", "Trash"] {
        world.store.create(USER, folder).unwrap();
    }
    world.pull(Behaviour::modern());
    let moved = |from: &str, to: &str, set: &str| {
        let set = uids(set);
        for message in world.store.messages(USER, from).unwrap() {
            if set.contains(message.uid) {
                world.store.append(USER, to, &message.flags, &message.date, message.bytes).unwrap();
            }
        }
        world.store.expunge(USER, from, &set).unwrap();
    };
    moved("INBOX", "Attic", "1:30");
    is_calm(&world.pull(Behaviour::modern()).0);
    moved("INBOX", "Trash", "31:60");
    let (ledger, _) = world.pull(Behaviour::modern());
    assert!(ledger.suspicious);
    says(&ledger, "INBOX: 30 of 50 messages are gone");
    world.store.expunge(USER, "Trash", &uids("1:30")).unwrap();
    is_calm(&world.pull(Behaviour::modern()).0);
    assert_eq!(world.ever_held().len(), 80);
}

#[test]
fn l02_an_account_replaced_by_an_empty_one_ends_nothing_before_a_second_run_says_so() {
    let world = World::with_messages(60);
    world.store.create(USER, "Sent").unwrap();
    for number in 100..130 {
        world.deliver("Sent", &mail(number, 500));
    }
    world.pull(Behaviour::modern());
    let right = world.store.snapshot();
    world.store.wipe(USER).unwrap();

    let (first, _) = world.pull(Behaviour::modern());
    assert!(first.suspicious, "{first:#?}");
    says(&first, "INBOX: it has another UIDVALIDITY, and 60 of 60 messages are not in it any more");
    says(&first, "INBOX: 60 of 60 messages are gone");
    says(&first, "Sent: 30 of 30 messages are gone");
    assert_eq!(first.totals.vanished, 60);
    assert_eq!(before(&world, &first, "INBOX"), 60);
    let now = world.runs()[0].id.get();
    assert_eq!(
        (world.count_as_of("INBOX", now), world.count_as_of("Sent", now)),
        (60, 30),
        "nothing has ended"
    );

    let (second, _) = world.pull(Behaviour::modern());
    assert!(!second.suspicious, "told once: {second:#?}");
    assert_eq!(second.totals.vanished, 0, "counted once");
    let now = world.runs()[0].id.get();
    assert_eq!(world.count_as_of("INBOX", now), 0, "believed now");
    assert_eq!(world.ever_held().len(), 90);
    assert_eq!(world.alarms().len(), 1);

    // The right server is back: its UIDs are those of the first epoch.
    world.store.restore(&right);
    let (back, _) = world.pull(Behaviour::modern());
    world.assert_whole(&back);
}

#[test]
fn l02_a_wrong_server_for_one_run_costs_no_octet_when_the_right_one_is_back() {
    let world = World::with_messages(60);
    world.pull(Behaviour::modern());
    let right = world.store.snapshot();
    world.store.wipe(USER).unwrap();
    assert!(world.pull(Behaviour::modern()).0.suspicious);
    world.store.restore(&right);
    let (back, server) = world.pull(Behaviour::modern());
    world.assert_whole(&back);
    assert_eq!((back.totals.bytes_fetched, server.counts().body_octets), (0, 0));
    assert_eq!(back.totals.vanished, 0, "{back:#?}");
}

#[test]
fn l03_mail_that_is_encrypted_in_place_is_told_and_both_are_kept() {
    let world = World::with_messages(500);
    world.pull(Behaviour::modern());
    let messages = world.store.messages(USER, "INBOX").unwrap();
    for message in &messages[..400] {
        let text = String::from_utf8(message.bytes.to_vec()).unwrap();
        let (header, body) = text.split_once("\r\n\r\n").unwrap();
        let encrypted: String = body.chars().map(|c| char::from(b'!' + (c as u8) % 90)).collect();
        let bytes = format!("{header}\r\n\r\n{encrypted}");
        world.store.append(USER, "INBOX", &message.flags, &message.date, bytes.into_bytes()).unwrap();
    }
    world.store.expunge(USER, "INBOX", &uids("1:400")).unwrap();
    let (ledger, _) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    assert!(ledger.suspicious, "the counts agree: {:?}", ledger.totals);
    says(
        &ledger,
        "INBOX: 400 of 500 messages are gone from the server; for 400 of them another with the same",
    );
    assert_eq!((ledger.lost[0].lost, ledger.lost[0].altered), (400, 400));
    assert_eq!(before(&world, &ledger, "INBOX"), 500);
    assert_eq!(world.ever_held().len(), 900);
}

#[test]
fn l07_flags_that_change_all_at_once_are_told_and_each_state_is_kept() {
    let states: [(&str, &str); 4] = [
        ("", "the flags of 60 of 60 messages changed at once"),
        ("\\Seen", "the flags of 60 of 60 messages changed at once"),
        ("\\Seen \\Deleted", "60 of 60 messages were marked for deletion"),
        ("\\Seen \\Flagged Label", "the flags of 60 of 60 messages changed at once"),
    ];
    for behaviour in [Behaviour::modern(), Behaviour::bare()] {
        let world = World::with_messages(60);
        world.pull(behaviour.clone());
        let mut seen_in = HashMap::from([(world.runs()[0].id, "\\Seen".to_owned())]);
        for (flags, words) in states {
            for message in world.store.messages(USER, "INBOX").unwrap() {
                world.store.set_flags(USER, "INBOX", message.uid, &Flags::parse(flags)).unwrap();
            }
            let (ledger, _) = world.pull(behaviour.clone());
            assert!(ledger.suspicious, "{flags}: {ledger:#?}");
            says(&ledger, words);
            assert_eq!(ledger.totals.flags_changed, 60);
            seen_in.insert(world.runs()[0].id, flags.to_owned());
        }
        for (run, flags) in seen_in {
            let then = world.all_placements(When { as_of: Some(run), deleted: false });
            assert_eq!(then.len(), 60);
            assert!(then.iter().all(|(_, info)| info.flags == Flags::parse(&flags)), "{flags} in run {run}");
        }
    }
}

#[test]
fn l07_a_few_changed_flags_are_nothing() {
    let world = World::with_messages(60);
    world.pull(Behaviour::modern());
    for number in 1..=30 {
        world.store.set_flags(USER, "INBOX", Uid::new(number).unwrap(), &Flags::new()).unwrap();
    }
    is_calm(&world.pull(Behaviour::modern()).0);
}

#[test]
fn l08_when_all_dates_become_the_day_of_the_migration_both_are_kept_and_nothing_is_fetched_twice() {
    let world = World::with_messages(60);
    let (first, _) = world.pull(Behaviour::modern());
    let old = world.store.messages(USER, "INBOX").unwrap();
    let migration = InternalDate::from_unix(1_790_000_000, 0);
    world.store.expunge(USER, "INBOX", &uids("1:60")).unwrap();
    world.store.set_validity(USER, "INBOX", UidValidity::new(4_712).unwrap(), true).unwrap();
    for message in &old {
        world.store.append(USER, "INBOX", &message.flags, &migration, message.bytes.clone()).unwrap();
    }
    let (ledger, _) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    assert!(!ledger.suspicious, "{ledger:#?}");
    assert_eq!(ledger.totals.matched_by_header, 60);
    assert!(ledger.totals.bytes_fetched * 10 < first.totals.bytes_fetched, "{:?}", ledger.totals);
    let all = world.all_placements(When { as_of: None, deleted: true });
    for message in &old {
        let key = MessageKey::of(&message.bytes);
        let mut dates: Vec<_> = all
            .iter()
            .filter(|(_, info)| info.message == key)
            .map(|(_, info)| info.internal_date.unix().unwrap())
            .collect();
        dates.sort_unstable();
        assert_eq!(dates, [message.date.unix().unwrap(), 1_790_000_000]);
    }
}

#[test]
fn l10_nightly_retention_and_emptied_bins_raise_no_daily_alarm() {
    let world = World::new();
    world.store.create(USER, "Trash").unwrap();
    world.store.create(USER, "Karton").unwrap();
    world.store.set_special_use(USER, "Karton", Some("\\Junk")).unwrap();
    let (mut number, mut vanished) = (0, 0);
    for day in 0..60 {
        for _ in 0..if day == 0 { 600 } else { 10 } {
            number += 1;
            world.deliver("INBOX", &mail(number, 200));
        }
        for folder in ["Trash", "Karton"] {
            // Emptied each night, and full again by the evening.
            let all = world.store.messages(USER, folder).unwrap().iter().map(|message| message.uid).collect();
            vanished += world.store.expunge(USER, folder, &all).unwrap();
            for _ in 0..30 {
                number += 1;
                world.deliver(folder, &mail(number, 200));
            }
        }
        if day > 0 {
            let oldest = world.store.messages(USER, "INBOX").unwrap()[..10].iter().map(|m| m.uid).collect();
            vanished += world.store.expunge(USER, "INBOX", &oldest).unwrap();
        }
        let (ledger, _) = world.pull(Behaviour::modern());
        is_calm(&ledger);
    }
    assert_eq!(world.ever_held().len() as u64, 660 + vanished, "nothing is lost");
    assert!(world.alarms().is_empty());
}

#[test]
fn l11_of_a_mail_bomb_the_newest_comes_first_within_the_day_s_budget() {
    let mut world = World::with_messages(20);
    world.pull(Behaviour::modern());
    for number in 1_000..3_000 {
        world.deliver("INBOX", &mail(number, 2_000));
    }
    world.limits.max_bytes = Some(1_000_000);
    let (ledger, server) = world.pull(Behaviour::modern());
    assert_ne!(ledger.outcome, Outcome::Ok);
    assert!(server.counts().body_octets < 8_000_000, "{}", server.counts().body_octets);
    let error = ledger.folders[0].error.as_deref().unwrap();
    assert!(error.contains("max_bytes_per_day"), "{error}");
    says(&ledger, "INBOX: ");
    says(&ledger, " messages are still to be fetched");
    let held: Vec<u32> = world.held("INBOX").iter().map(|(uid, _)| uid.get()).collect();
    let new: Vec<u32> = held.into_iter().filter(|&uid| uid > 20).collect();
    // 500 go into one command.
    assert!(new.len() > 100 && new.iter().all(|&uid| uid > 1_520), "{new:?}");
    world.limits.max_bytes = None;
    world.assert_whole(&world.pull(Behaviour::modern()).0);
}

#[test]
fn l12_whatever_servers_say_the_packs_only_grow_and_every_message_stays() {
    let world = World::with_messages(120);
    world.store.create(USER, "Sent").unwrap();
    for number in 200..240 {
        world.deliver("Sent", &mail(number, 700));
    }
    world.pull(Behaviour::modern());
    let full = world.store.snapshot();
    let everything = world.ever_held();
    assert_eq!(everything.len(), 160);
    let all_deleted = |world: &World| {
        for message in world.store.messages(USER, "INBOX").unwrap() {
            world.store.set_flags(USER, "INBOX", message.uid, &Flags::parse("\\Deleted")).unwrap();
        }
    };
    let empty = |world: &World| assert_eq!(world.store.expunge(USER, "INBOX", &uids("1:500")), Ok(120));
    type Blow = (&'static str, Box<dyn Fn(&World)>, Behaviour);
    let same = |_: &World| {};
    let validity = UidValidity::new(77).unwrap();
    let fault = |trigger, effect| Behaviour::modern().with_fault(Fault::new(trigger, effect));
    let blows: Vec<Blow> = vec![
        ("marked", Box::new(all_deleted), Behaviour::modern()),
        ("vanished", Box::new(same), fault(Trigger::Always, Effect::Vanished("1:120".into()))),
        ("counted as none", Box::new(same), fault(Trigger::Always, Effect::Exists(0))),
        (
            "new generation",
            Box::new(move |w| w.store.set_validity(USER, "INBOX", validity, true).unwrap()),
            Behaviour::modern(),
        ),
        ("ever new generations", Box::new(same), fault(Trigger::Always, Effect::ValidityChanges)),
        ("deleted", Box::new(|w| w.store.delete(USER, "Sent").unwrap()), Behaviour::modern()),
        ("emptied", Box::new(empty), Behaviour::bare()),
        ("wiped", Box::new(|w| w.store.wipe(USER).unwrap()), Behaviour::modern()),
        ("still wiped", Box::new(same), Behaviour::bare()),
    ];
    let mut packs = read_packs(&world);
    for (name, blow, behaviour) in blows {
        blow(&world);
        world.pull(behaviour);
        assert!(world.ever_held().is_superset(&everything), "{name}: a message is missing");
        let now = read_packs(&world);
        for (pack, bytes) in &packs {
            assert!(now.get(pack).is_some_and(|now| now.starts_with(bytes)), "{name}: {pack} was changed");
        }
        packs = now;
    }
    world.store.restore(&full);
    world.assert_whole(&world.pull(Behaviour::modern()).0);
}

fn read_packs(world: &World) -> HashMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(world.path().join("packs")).unwrap();
    let read = |entry: std::fs::DirEntry| {
        (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap())
    };
    entries.map(|entry| read(entry.unwrap())).collect()
}
