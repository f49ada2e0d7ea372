//! A server that was put back from an old backup, and one that gives UIDs twice.

use restante_sync::{Ledger, Outcome};
use server::{Behaviour, Effect, Fault, Trigger};

use crate::scripted::mail;
use crate::world::{USER, World, uids};

/// 50 messages, a snapshot, 30 more; all of it in the archive.
fn put_back() -> (World, server::Store) {
    let world = World::with_messages(50);
    let old = world.store.snapshot();
    for number in 51..=80 {
        world.deliver("INBOX", &mail(number, 2_000));
    }
    let (first, _) = world.pull(Behaviour::modern());
    world.assert_whole(&first);
    world.store.restore(&old);
    let store = world.store.clone();
    (world, store)
}

fn notice(ledger: &Ledger, words: &str) {
    assert!(ledger.warnings.iter().any(|warning| warning.contains(words)), "{words}: {:?}", ledger.warnings);
}

#[test]
fn l04_a_server_put_back_from_an_old_backup_is_listed_anew_and_what_it_lacks_is_counted() {
    let (world, _) = put_back();
    let (ledger, _) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    notice(&ledger, "put back to an older state");
    notice(&ledger, "it lacks 30 messages that the archive holds");
    assert!(ledger.suspicious, "30 of 80 are gone");
    assert_eq!((ledger.totals.vanished, ledger.totals.replaced), (30, 0));
    assert_eq!(world.ever_held().len(), 80);
    let (again, _) = world.pull(Behaviour::modern());
    assert!(again.warnings.is_empty() && !again.suspicious, "said once: {again:#?}");
}

#[test]
fn l05_new_mail_under_uids_that_were_used_before_is_not_taken_for_the_old() {
    // With fewer, as many and more new messages than were lost: UIDNEXT behind, at and beyond the mark.
    for new in [10u32, 29, 31, 45] {
        for behaviour in [Behaviour::modern(), Behaviour::bare()] {
            let (world, store) = put_back();
            for number in 0..new {
                world.deliver("INBOX", &mail(1_000 + number, 2_000));
            }
            let (ledger, _) = world.pull(behaviour);
            world.assert_whole(&ledger);
            assert_eq!(ledger.totals.replaced, u64::from(new.min(30)), "{ledger:#?}");
            assert_eq!(store.messages(USER, "INBOX").unwrap().len() as u64, ledger.totals.archived);
            assert_eq!(world.ever_held().len(), 80 + new as usize, "nothing is lost on either side");
        }
    }
}

#[test]
fn l05_a_folder_deleted_and_made_again_under_the_same_uidvalidity_hides_nothing() {
    let world = World::new();
    let empty = world.store.snapshot();
    for number in 1..=20 {
        world.deliver("INBOX", &mail(number, 2_000));
    }
    world.pull(Behaviour::modern());
    world.store.restore(&empty);
    for number in 101..=125 {
        world.deliver("INBOX", &mail(number, 2_000));
    }
    let (ledger, _) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    assert_eq!(ledger.totals.replaced, 20);
    assert_eq!(world.ever_held().len(), 45);
}

#[test]
fn l05_a_reused_uid_whose_message_fails_is_named_and_fetched_later() {
    let (world, _) = put_back();
    for number in 0..10 {
        world.deliver("INBOX", &mail(1_000 + number, 2_000));
    }
    let refuse = Fault::new(Trigger::Body(55), Effect::No("backend unavailable".into()));
    let ledger = world.pull_with([refuse]);
    assert_eq!(ledger.outcome, Outcome::Partial);
    assert_eq!(ledger.folders[0].failed.iter().filter_map(|item| item.uid).collect::<Vec<_>>(), [55]);
    let (ledger, _) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
}

#[test]
fn l05_a_cut_in_the_middle_of_the_comparison_hides_nothing() {
    let (world, _) = put_back();
    for number in 0..40 {
        world.deliver("INBOX", &mail(1_000 + number, 2_000));
    }
    for sent in [4_000, 8_000, 30_000] {
        let cut = Fault::new(Trigger::SentInAll(sent), Effect::Disconnect);
        world.pull_with([cut]);
    }
    let (ledger, _) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    assert_eq!(world.ever_held().len(), 120);
}

#[test]
fn l05_a_server_that_counts_octets_wrongly_raises_no_doubt() {
    let world = World::with_messages(30);
    world.pull(Behaviour::modern());
    world.deliver("INBOX", &mail(31, 2_000));
    let wrong = Fault::new(Trigger::Fetch(30), Effect::Size(7));
    let ledger = world.pull_with([wrong]);
    world.assert_whole(&ledger);
    assert_eq!(ledger.totals.replaced, 0);
    assert!(ledger.warnings.is_empty(), "{:?}", ledger.warnings);
}

#[test]
fn l09_a_listing_that_is_short_today_and_whole_tomorrow_costs_no_octet() {
    let world = World::with_messages(60);
    let small = mail(900, 100);
    world.deliver("INBOX", &small);
    world.pull(Behaviour::modern());
    let whole = world.store.snapshot();
    world.store.expunge(USER, "INBOX", &uids("20:61")).unwrap();
    let (short, _) = world.pull(Behaviour::modern());
    assert_eq!(short.totals.vanished, 42);
    world.store.restore(&whole);
    let (ledger, server) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    assert_eq!((ledger.totals.bytes_fetched, server.counts().body_octets), (0, 0));
    assert_eq!((ledger.totals.new, ledger.totals.matched_by_header), (0, 0));
}
