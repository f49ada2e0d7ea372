//! The catalogue is the journal replayed, and nothing else.

use proptest::prelude::*;

use super::*;
use crate::catalogue::apply::message_number;
use crate::catalogue::compare::first_difference;
use crate::catalogue::{finish, open_for_making, open_for_reading, schema};
use crate::journal::record::{History, Record, Stay};
use crate::open::{discover, require_identity};
use crate::replay::replay;

/// The first difference between the catalogue that a writer kept and one made from the packs.
fn difference(world: &World) -> Option<String> {
    let id = require_identity(&world.place).unwrap();
    let fresh = open_for_making(None, id).unwrap();
    let files = discover(&world.place, id, &Default::default()).unwrap();
    let replayed = replay(&files, &fresh, None).unwrap();
    assert_eq!(replayed.damage, []);
    finish(&fresh).unwrap();
    let live = open_for_reading(world.place.catalogue.as_deref().unwrap()).unwrap();
    first_difference(&live, &fresh).unwrap()
}

/// Something that a pull may learn.
#[derive(Clone, Debug)]
enum Step {
    Mail { number: u32, uid: u32 },
    Flags { uid: u32, flags: &'static str },
    Vanish(u32, u32),
    Trouble(u32),
    ByHeader { number: u32, uid: u32 },
    Proven(u32),
    Mark(u32),
    Mailbox(usize),
    Gone,
    Rename(usize),
    Validity(u32),
    EndEpoch,
    NewRun,
    Commit,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let flags = prop::sample::select(vec!["", "\\Seen", "\\Seen $Work", "\\Flagged", "b a"]);
    prop_oneof![
        8 => (1u32..40, 1u32..30).prop_map(|(number, uid)| Step::Mail { number, uid }),
        3 => (1u32..30, flags).prop_map(|(uid, flags)| Step::Flags { uid, flags }),
        2 => (1u32..30, 0u32..9).prop_map(|(uid, count)| Step::Vanish(uid, count)),
        1 => (1u32..30).prop_map(Step::Trouble),
        1 => (1u32..40, 1u32..30).prop_map(|(number, uid)| Step::ByHeader { number, uid }),
        1 => (1u32..30).prop_map(Step::Proven),
        1 => (1u32..99).prop_map(Step::Mark),
        2 => (0usize..3).prop_map(Step::Mailbox),
        1 => Just(Step::Gone),
        1 => (0usize..3).prop_map(Step::Rename),
        1 => (0u32..3).prop_map(Step::Validity),
        1 => Just(Step::EndEpoch),
        2 => Just(Step::NewRun),
        2 => Just(Step::Commit),
        1 => Just(Step::Reopen),
    ]
}

const NAMES: [&str; 3] = ["INBOX", "Sent", "Ünïcode"];

/// Does what the steps say, and commits at the end.
fn perform(world: &World, steps: &[Step]) {
    let mut writer = Some(world.writer());
    let mut run = None;
    for step in steps {
        if matches!(step, Step::Reopen) {
            writer = None;
            run = None;
            continue;
        }
        let writer = writer.get_or_insert_with(|| world.writer());
        let run = run.get_or_insert_with(|| begin(writer, "INBOX").unwrap());
        take(writer, run, step).unwrap();
    }
    if let Some(mut writer) = writer {
        writer.commit().unwrap();
    }
}

fn take(writer: &mut Writer, run: &mut Run, step: &Step) -> Result<()> {
    match *step {
        Step::Mail { number, uid: at } | Step::ByHeader { number, uid: at } => {
            let key = put(writer, &mail(number))?;
            let proof = if matches!(step, Step::Mail { .. }) { Proof::Bytes } else { Proof::Header };
            writer.place(run.epoch, uid(at), NewPlacement { proof, ..placement(key, number) })
        }
        Step::Flags { uid: at, flags: text } => {
            writer.set_flags(run.epoch, uid(at), &flags(text)).map(|_| ())
        }
        Step::Vanish(first, count) => {
            writer.vanished(run.epoch, &uids(&format!("{first}:{}", first + count)))
        }
        Step::Trouble(at) => writer.trouble(run.epoch, uid(at), "refused"),
        Step::Proven(at) => writer.proven(run.epoch, &uids(&format!("1:{at}"))),
        Step::Mark(messages) => {
            writer.mark(run.epoch, &Mark { uid_next: Uid::new(messages), highest_modseq: None, messages })
        }
        Step::Mailbox(name) => {
            run.mailbox = writer.mailbox(run.account, &seen(NAMES[name]))?;
            run.epoch = writer.epoch(run.mailbox, UidValidity::new(7))?;
            Ok(())
        }
        Step::Gone => writer.mailbox_gone(run.mailbox),
        Step::Rename(name) => writer.rename_mailbox(run.mailbox, &seen(NAMES[name])),
        Step::Validity(validity) => {
            run.epoch = writer.epoch(run.mailbox, UidValidity::new(validity))?;
            Ok(())
        }
        Step::EndEpoch => writer.end_epoch(run.epoch),
        Step::NewRun => {
            writer.end_run(run.run, "ok", 5, "{}")?;
            run.run = writer.begin_run(run.account, 4)?;
            Ok(())
        }
        Step::Commit => writer.commit().map(|_| ()),
        Step::Reopen => Ok(()),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn a_replay_of_the_journal_is_the_catalogue_row_for_row(steps in prop::collection::vec(step(), 1..80)) {
        let world = World::new();
        perform(&world, &steps);
        prop_assert_eq!(difference(&world), None);
        let report = verify_at(&world.place, Depth::Full, None, &mut |_| {}).unwrap();
        prop_assert_eq!(report.damage, []);
        prop_assert_eq!(report.catalogue, CatalogueFinding::Ok);
    }
}

#[test]
fn every_table_is_compared_that_the_packs_give() {
    let connection = open_for_making(None, ArchiveId([0; 16])).unwrap();
    let mut tables: Vec<String> = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")
        .unwrap()
        .query_map([], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let mut compared: Vec<String> = schema::TABLES.map(|(table, _)| table.to_owned()).to_vec();
    compared.push("tried".to_owned());
    tables.sort();
    compared.sort();
    assert_eq!(tables, compared);
}

#[test]
fn d14_a_catalogue_that_is_gone_old_foreign_or_broken_is_made_anew() {
    let world = World::new();
    let path = world.place.catalogue.clone().unwrap();
    let mut writer = world.writer();
    pull(&mut writer, 1..30);
    drop(writer);
    let old = std::fs::read(&path).unwrap();
    pull(&mut world.writer(), 30..60);
    let new = std::fs::read(&path).unwrap();
    let foreign = {
        let other = World::new();
        std::fs::copy(other.place.catalogue.as_ref().unwrap(), &path).ok();
        let mut writer = other.writer();
        pull(&mut writer, 1..3);
        drop(writer);
        let mut foreign = std::fs::read(other.place.catalogue.as_ref().unwrap()).unwrap();
        // Both worlds draw the same ids; another archive has another.
        let id = require_identity(&other.place).unwrap().0;
        let at = foreign.windows(16).position(|window| window == id).unwrap();
        foreign[at] ^= 1;
        foreign
    };
    let states: [&dyn Fn(); 6] = [
        &|| crate::catalogue::remove(&path).unwrap(),
        &|| std::fs::write(&path, &old).unwrap(),
        &|| std::fs::write(&path, &foreign).unwrap(),
        &|| {
            std::fs::write(&path, b"not a database, but long enough to be looked at as if it were one")
                .unwrap();
        },
        &|| std::fs::write(&path, &new[..new.len() / 2]).unwrap(),
        &|| std::fs::write(&path, b"").unwrap(),
    ];
    for (number, spoil) in states.iter().enumerate() {
        crate::catalogue::remove(&path).unwrap();
        spoil();
        assert_eq!(check_mails(world.reader().view()), 59, "state {number}, reading");
        crate::catalogue::remove(&path).unwrap();
        spoil();
        assert_eq!(check_mails(world.writer().view()), 59, "state {number}, writing");
        assert_eq!(difference(&world), None, "state {number}");
    }
}

#[test]
fn a_catalogue_of_a_state_that_the_packs_do_not_know_is_made_anew() {
    let world = World::new();
    pull(&mut world.writer(), 1..20);
    let (before, path) = (world.disk.copy(), world.place.catalogue.clone().unwrap());
    pull(&mut world.writer(), 20..40);
    let newer = std::fs::read(&path).unwrap();
    // D21: the packs are those of an older copy.
    let rolled_back = World::on(&before);
    std::fs::write(rolled_back.place.catalogue.as_ref().unwrap(), newer).unwrap();
    assert_eq!(check_mails(rolled_back.writer().view()), 19);
    assert_eq!(difference(&rolled_back), None);
}

#[test]
fn a_reader_without_the_lock_and_without_a_catalogue_reads_from_a_temporary_one() {
    let world = World::new();
    let mut writer = world.writer();
    pull(&mut writer, 1..20);
    world.drop_catalogue();
    assert_eq!(check_mails(world.reader().view()), 19);
}

#[test]
fn rebuild_says_what_it_read() {
    let world = World::new();
    let mut writer = world.writer();
    pull(&mut writer, 1..40);
    pull(&mut writer, 40..80);
    assert!(matches!(rebuild_at(&world.place), Err(Error::Locked { .. })));
    let last = writer.last_commit();
    drop(writer);
    let report = rebuild_at(&world.place).unwrap();
    assert_eq!((report.commits, report.last_commit, report.damage), (2, last, vec![]));
    assert_eq!(report.packs as usize, world.packs().len());
    assert_eq!(difference(&world), None);
}

#[test]
fn a_tidied_catalogue_says_the_same_and_an_open_batch_is_not_disturbed() {
    let world = World::new();
    let mut writer = world.writer();
    pull(&mut writer, 1..60);
    assert!(writer.tidy().unwrap().is_some_and(|bytes| bytes > 0));
    let log = world.place.catalogue.as_ref().unwrap().with_extension("db-wal");
    assert_eq!(std::fs::metadata(log).map_or(0, |file| file.len()), 0, "the log is empty");
    let run = begin(&mut writer, "INBOX").unwrap();
    fill(&mut writer, &run, 60..70).unwrap();
    assert_eq!(writer.tidy().unwrap(), None);
    writer.end_run(run.run, "ok", 2_000, "{}").unwrap();
    writer.commit().unwrap();
    // A reader with an old state in its hands is no reason to fail.
    let reader = world.reader();
    pull(&mut writer, 70..80);
    writer.tidy().unwrap();
    assert_eq!(check_mails(reader.view()), 69);
    drop((reader, writer));
    let report = verify_at(&world.place, Depth::Full, None, &mut |_| {}).unwrap();
    assert!(report.is_whole() && report.catalogue == CatalogueFinding::Ok, "{report:?}");
}

#[test]
fn a_message_that_is_restated_before_it_is_placed_elsewhere_is_counted_once() {
    let world = World::new();
    let mut writer = world.writer();
    let run = begin(&mut writer, "INBOX").unwrap();
    let sent = writer.mailbox(run.account, &seen("Sent")).unwrap();
    let sent = writer.epoch(sent, UidValidity::new(7)).unwrap();
    let key = put(&mut writer, &mail(1)).unwrap();
    let message = message_number(writer.catalogue(), &key).unwrap().unwrap();
    let NewPlacement { internal_date: date, flags, proof, .. } = placement(key, 1);
    let stay = Stay { first_run: run.run, last_run: None, message, date, flags, proof };
    let history = History { stays: vec![stay], flags_until: Vec::new() };
    writer.record(Record::Restated { epoch: run.epoch, uid: uid(1), history }).unwrap();
    writer.place(sent, uid(1), placement(key, 1)).unwrap();
    writer.commit().unwrap();
    let totals = writer.view().totals(Some(run.account)).unwrap();
    assert_eq!((totals.messages, totals.live), (1, 2));
    drop(writer);
    assert_eq!(difference(&world), None);
}
