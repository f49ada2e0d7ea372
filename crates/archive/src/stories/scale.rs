//! What things cost as an archive grows, counted and not timed: steps of SQLite's machine, and reads of
//! the disk. Both are the same in every run.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::Connection;

use super::*;
use crate::catalogue::{finish, open_for_making, open_for_reading};
use crate::disk::simulated::Call;
use crate::open::{discover, require_identity};
use crate::replay::replay;

/// An archive with so many messages, by tens in runs of their own, and as many runs as there are messages.
fn archive_of(messages: u32) -> World {
    let world = World::new();
    let mut writer = world.writer();
    for first in (1..=messages).step_by(10) {
        pull(&mut writer, first..(first + 10).min(messages + 1));
    }
    drop(writer);
    world
}

/// Counts the steps that a catalogue takes from now on.
fn count_steps(catalogue: &mut Connection) -> Arc<AtomicU64> {
    let steps = Arc::new(AtomicU64::new(0));
    let counter = steps.clone();
    let count = move || {
        counter.fetch_add(1, Ordering::Relaxed);
        false
    };
    catalogue.progress_handler(1, Some(count)).unwrap();
    steps
}

/// Something that is asked of an archive.
type Question<'q> = &'q dyn Fn(View<'_>);

/// Steps of the catalogue and reads of the disk that these questions cost.
fn cost_of(world: &World, ask: Question<'_>) -> (u64, usize) {
    let mut catalogue = open_for_reading(world.place.catalogue.as_deref().unwrap()).unwrap();
    let steps = count_steps(&mut catalogue);
    let archive = Archive::over(&world.place, require_identity(&world.place).unwrap(), catalogue);
    let reads = || world.disk.calls().get(&Call::Read).copied().unwrap_or(0);
    let before = reads();
    ask(archive.view());
    (steps.load(Ordering::Relaxed), reads() - before)
}

const FEW: u32 = 60;
const MANY: u32 = 16 * FEW;

#[test]
fn status_and_show_cost_the_same_however_much_mail_there_is() {
    let key = MessageKey::of(&mail(FEW / 2));
    let questions: [(&str, Question<'_>); 5] = [
        ("sums", &|view| {
            let account = view.account("work").unwrap().unwrap().id;
            assert_ne!(view.totals(Some(account)).unwrap(), Totals::default());
            view.totals(None).unwrap();
        }),
        ("the newest runs", &|view| {
            let account = view.account("work").unwrap().unwrap().id;
            assert!(view.last_good_run(account).unwrap().is_some());
            assert_eq!(view.runs(account, 1).unwrap().len(), 1);
        }),
        ("folders", &|view| {
            let account = view.account("work").unwrap().unwrap().id;
            assert_eq!(view.mailboxes(account).unwrap().len(), 1);
            view.lost().unwrap();
        }),
        ("one message", &|view| {
            assert_eq!(view.find(&key.to_string()[..8]).unwrap(), [key]);
            assert_eq!(view.read_to_vec(&key).unwrap(), mail(FEW / 2));
        }),
        ("one placement", &|view| {
            let account = view.account("work").unwrap().unwrap().id;
            let epoch = view.mailboxes(account).unwrap()[0].epoch.unwrap().id;
            assert!(view.placement(epoch, uid(FEW / 2)).unwrap().is_some());
        }),
    ];
    let (small, large) = (archive_of(FEW), archive_of(MANY));
    for (what, ask) in questions {
        let (few, many) = (cost_of(&small, ask), cost_of(&large, ask));
        assert!(few.0 > 0, "{what}: nothing was asked");
        assert_eq!(few, many, "{what}: steps and reads in an archive of {FEW} messages, and of {MANY}");
    }
}

#[test]
fn a_rebuild_costs_the_same_for_each_message_however_many_there_are() {
    let cost = |messages: u32| {
        let world = archive_of(messages);
        let id = require_identity(&world.place).unwrap();
        let files = discover(&world.place, id, &Default::default()).unwrap();
        let reads = || world.disk.calls().get(&Call::Read).copied().unwrap_or(0);
        let before = reads();
        let mut making = open_for_making(None, id).unwrap();
        let steps = count_steps(&mut making);
        replay(&files, &making, None).unwrap();
        finish(&making).unwrap();
        (steps.load(Ordering::Relaxed) / u64::from(messages), (reads() - before) as u64 / u64::from(messages))
    };
    let (few, many) = (cost(FEW), cost(MANY));
    let is_about = |many: u64, few: u64| many <= few + few / 10 + 1;
    assert!(
        is_about(many.0, few.0) && is_about(many.1, few.1),
        "steps and reads a message: {few:?}, {many:?}"
    );
}

#[test]
fn a_message_costs_the_same_to_keep_however_many_are_there_already() {
    let cost = |messages: u32| {
        let world = archive_of(messages);
        let mut writer = world.writer();
        let steps = count_steps(writer.catalogue_mut());
        pull(&mut writer, messages + 1..messages + 41);
        steps.load(Ordering::Relaxed)
    };
    let (few, many) = (cost(FEW), cost(MANY));
    assert!(many <= few + few / 20, "steps for forty messages: {few} behind {FEW}, {many} behind {MANY}");
}

#[test]
fn a_folder_is_listed_with_the_same_cost_for_each_message() {
    let list = |view: View<'_>| {
        let account = view.account("work").unwrap().unwrap().id;
        let mailbox = view.mailboxes(account).unwrap()[0].id;
        assert!(!listing(view, mailbox, When::default()).is_empty());
    };
    let cost = |messages: u32| cost_of(&archive_of(messages), &list).0 / u64::from(messages);
    let (few, many) = (cost(FEW), cost(MANY));
    assert!(many <= few + few / 10, "steps a message: {few}, {many}");
}
