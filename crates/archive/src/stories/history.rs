//! The mailbox as of any run.

use super::*;

fn list(world: &World, mailbox: MailboxId, as_of: Option<RunId>, deleted: bool) -> Vec<(u32, String)> {
    let list = listing(world.reader().view(), mailbox, When { as_of, deleted });
    list.into_iter().map(|(uid, _, flags)| (uid, flags)).collect()
}

fn run_of(writer: &mut Writer) -> Run {
    begin(writer, "INBOX").unwrap()
}

#[test]
fn flags_placements_and_vanished_mail_are_told_as_of_each_run() {
    let world = World::new();
    let mut writer = world.writer();
    let first = pull(&mut writer, 1..5);
    let second = run_of(&mut writer);
    writer.set_flags(second.epoch, uid(2), &flags("\\Flagged")).unwrap();
    writer.set_flags(second.epoch, uid(2), &flags("\\Flagged \\Seen")).unwrap();
    writer.vanished(second.epoch, &uids("3")).unwrap();
    fill(&mut writer, &second, 5..6).unwrap();
    writer.commit().unwrap();
    let third = run_of(&mut writer);
    writer.set_flags(third.epoch, uid(2), &Flags::new()).unwrap();
    writer.commit().unwrap();

    let seen = |uid: u32| (uid, "\\Seen".to_owned());
    assert_eq!(list(&world, first.mailbox, Some(first.run), false), [seen(4), seen(3), seen(2), seen(1)]);
    let flagged = (2, "\\Flagged \\Seen".to_owned());
    assert_eq!(list(&world, first.mailbox, Some(second.run), false), [seen(5), seen(4), flagged, seen(1)]);
    let now = [seen(5), seen(4), (2, String::new()), seen(1)];
    assert_eq!(list(&world, first.mailbox, Some(third.run), false), now);
    assert_eq!(list(&world, first.mailbox, None, false), now);
    assert_eq!(list(&world, first.mailbox, None, true).len(), 5);
    assert_eq!(list(&world, first.mailbox, Some(RunId(0)), true), []);
}

#[test]
fn i10_a_uid_with_another_message_shows_the_new_one_and_keeps_the_old() {
    let world = World::new();
    let mut writer = world.writer();
    let first = pull(&mut writer, 1..4);
    let second = run_of(&mut writer);
    let other = put(&mut writer, &mail(50)).unwrap();
    writer.place(second.epoch, uid(2), placement(other, 50)).unwrap();
    writer.commit().unwrap();
    let keys = |when| {
        let list = listing(writer.view(), first.mailbox, when);
        list.into_iter().filter(|(uid, ..)| *uid == 2).map(|(_, key, _)| key).collect::<Vec<_>>()
    };
    let old = MessageKey::of(&mail(2));
    assert_eq!(keys(When::default()), [other]);
    assert_eq!(keys(When { as_of: Some(first.run), deleted: false }), [old]);
    assert_eq!(keys(When { as_of: None, deleted: true }), [other, old]);
    assert_eq!(writer.view().read_to_vec(&old).unwrap(), mail(2));
    assert_eq!(writer.view().totals(Some(first.account)).unwrap().live, 3);
    let dates = writer.view().candidates(first.account, mail(2).len() as u64).unwrap();
    let dates = &dates.iter().find(|candidate| candidate.key == old).unwrap().internal_dates;
    assert_eq!(dates, &[placement(old, 2).internal_date]);
}

#[test]
fn l09_what_vanished_and_returns_was_away_in_between() {
    let world = World::new();
    let mut writer = world.writer();
    let first = pull(&mut writer, 1..4);
    let second = run_of(&mut writer);
    writer.vanished(second.epoch, &uids("1:3")).unwrap();
    writer.commit().unwrap();
    let third = run_of(&mut writer);
    for number in 1..4 {
        let key = writer.view().placement(third.epoch, uid(number)).unwrap().unwrap().message;
        writer.place(third.epoch, uid(number), placement(key, number)).unwrap();
    }
    writer.commit().unwrap();
    let count = |run| list(&world, first.mailbox, Some(run), false).len();
    assert_eq!((count(first.run), count(second.run), count(third.run)), (3, 0, 3));
    assert_eq!(writer.view().held_uids(first.epoch).unwrap(), uids("1:3"));
}

#[test]
fn a_mailbox_that_goes_and_comes_back_is_the_same_mailbox() {
    let world = World::new();
    let mut writer = world.writer();
    let first = pull(&mut writer, 1..4);
    let second = run_of(&mut writer);
    writer.mailbox_gone(first.mailbox).unwrap();
    writer.commit().unwrap();
    let info = writer.view().mailboxes(first.account).unwrap().remove(0);
    assert_eq!((info.gone, info.live), (Some(second.run), 0));
    assert_eq!(list(&world, first.mailbox, Some(first.run), false).len(), 3);
    let third = run_of(&mut writer);
    writer.commit().unwrap();
    assert_eq!((third.mailbox, third.epoch), (first.mailbox, first.epoch));
    assert_eq!(writer.view().mailboxes(first.account).unwrap()[0].gone, None);
}

#[test]
fn l06_a_renamed_mailbox_keeps_its_mail() {
    let world = World::new();
    let mut writer = world.writer();
    let first = pull(&mut writer, 1..4);
    begin(&mut writer, "INBOX").unwrap();
    writer.rename_mailbox(first.mailbox, &seen("Old mail")).unwrap();
    writer.commit().unwrap();
    let info = writer.view().mailboxes(first.account).unwrap().remove(0);
    assert_eq!((info.name.text(), info.live), ("Old mail".to_owned(), 3));
    assert_eq!(writer.mailbox(first.account, &seen("Old mail")).unwrap(), first.mailbox);
    assert_ne!(writer.mailbox(first.account, &seen("INBOX")).unwrap(), first.mailbox);
}

#[test]
fn i12_a_new_uidvalidity_begins_an_epoch_and_header_matches_wait_for_proof() {
    let world = World::new();
    let mut writer = world.writer();
    let first = pull(&mut writer, 1..4);
    let second = run_of(&mut writer);
    let epoch = writer.epoch(second.mailbox, UidValidity::new(8)).unwrap();
    assert_ne!(epoch, first.epoch);
    writer.end_epoch(first.epoch).unwrap();
    for number in 1..4 {
        let matched =
            NewPlacement { proof: Proof::Header, ..placement(MessageKey::of(&mail(number)), number) };
        writer.place(epoch, uid(number + 10), matched).unwrap();
    }
    writer.commit().unwrap();
    assert_eq!(writer.view().unproven(epoch).unwrap(), uids("11:13"));
    assert_eq!(writer.view().held_uids(first.epoch).unwrap(), UidSet::new());
    assert_eq!(list(&world, first.mailbox, None, false).len(), 3);
    writer.proven(epoch, &uids("11")).unwrap();
    let fetched = placement(MessageKey::of(&mail(2)), 2);
    writer.place(epoch, uid(12), fetched).unwrap();
    writer.commit().unwrap();
    assert_eq!(writer.view().unproven(epoch).unwrap(), uids("13"));
    // I11: without a validity, each time another epoch.
    let nameless = writer.epoch(first.mailbox, None).unwrap();
    assert_ne!(writer.epoch(first.mailbox, None).unwrap(), nameless);
}

#[test]
fn troubles_count_the_runs_in_which_a_message_failed_and_end_with_it() {
    let world = World::new();
    let mut writer = world.writer();
    let run = run_of(&mut writer);
    writer.trouble(run.epoch, uid(7), "NO").unwrap();
    writer.trouble(run.epoch, uid(7), "NO again").unwrap();
    writer.trouble(run.epoch, uid(8), "BAD").unwrap();
    run_of(&mut writer);
    writer.trouble(run.epoch, uid(7), "NO, still").unwrap();
    writer.commit().unwrap();
    let troubles = writer.view().troubles(run.epoch).unwrap();
    assert_eq!((troubles[0].reason.as_str(), troubles[0].attempts), ("NO, still", 2));
    let key = put(&mut writer, &mail(7)).unwrap();
    writer.place(run.epoch, uid(7), placement(key, 7)).unwrap();
    writer.vanished(run.epoch, &uids("8")).unwrap();
    writer.commit().unwrap();
    assert_eq!(writer.view().troubles(run.epoch).unwrap(), []);
}

#[test]
fn d25_runs_are_found_by_when_they_ended_and_ordered_by_number() {
    let world = World::new();
    let mut writer = world.writer();
    let account = writer.account("work", "imap").unwrap();
    let mut runs = Vec::new();
    for (started, finished) in [(10, 20), (30, 40), (5, 8)] {
        let run = writer.begin_run(account, started).unwrap();
        writer.end_run(run, "ok", finished, "{\"n\":1}").unwrap();
        runs.push(run);
    }
    let cut_off = writer.begin_run(account, 50).unwrap();
    writer.commit().unwrap();
    let view = writer.view();
    assert_eq!(view.run_as_of(account, 7).unwrap(), None);
    assert_eq!(view.run_as_of(account, 100).unwrap(), Some(runs[2]));
    let listed = view.runs(account, 2).unwrap();
    assert_eq!((listed[0].id, listed[1].id), (cut_off, runs[2]));
    assert_eq!((listed[0].finished_ms, listed[1].ledger_json.as_deref()), (None, Some("{\"n\":1}")));
}

#[test]
fn what_ledgers_say_is_summed_up_and_the_newest_good_run_is_found() {
    let world = World::new();
    let mut writer = world.writer();
    let account = writer.account("work", "imap").unwrap();
    let other = writer.account("home", "imap").unwrap();
    let good = r#"{"suspicious":false,"totals":{"new":7,"vanished":2}}"#;
    // What is no ledger says nothing, and stops nothing.
    let odd =
        ["", "{", "[]", r#"{"totals":3}"#, r#"{"suspicious":"yes","totals":{"new":-4,"vanished":1e300}}"#];
    let mut at = 1_000;
    let mut run = |writer: &mut Writer, account, outcome: &str, ledger: &str| {
        let run = writer.begin_run(account, at).unwrap();
        writer.end_run(run, outcome, at + 9, ledger).unwrap();
        at += 1_000;
    };
    run(&mut writer, other, "ok", good);
    assert_eq!(writer.catalogue().query_row("SELECT new FROM runs", [], |row| row.get(0)), Ok(7));
    run(&mut writer, account, "partial", good);
    run(&mut writer, account, "ok", good);
    run(&mut writer, account, "ok", r#"{"suspicious":true,"totals":{"new":1,"vanished":900}}"#);
    writer.commit().unwrap();
    assert_eq!(writer.view().last_good_run(account).unwrap(), Some(3_009));
    assert_eq!(writer.view().came_and_went(account, 2_000).unwrap(), (15, 904));
    assert_eq!(writer.view().came_and_went(account, 4_000).unwrap(), (1, 900));
    for ledger in odd {
        run(&mut writer, account, "failed", ledger);
        writer.begin_run(account, 0).unwrap();
        writer.commit().unwrap();
        let view = writer.view();
        assert_eq!(view.runs(account, 2).unwrap()[1].ledger_json.as_deref(), Some(ledger));
        assert_eq!(view.came_and_went(account, 5_000).unwrap(), (0, 0), "{ledger:?}");
    }
    assert_eq!(writer.view().last_good_run(account).unwrap(), Some(3_009));
}

#[test]
fn odd_dates_and_flags_are_kept_as_they_came() {
    let world = World::new();
    let mut writer = world.writer();
    let run = run_of(&mut writer);
    let key = put(&mut writer, &mail(1)).unwrap();
    for (at, date) in [(1, " 7-Jul-1996 02:44:25 -0000"), (2, "00-Jan-0000 00:00:00 +0000"), (3, "")] {
        let internal_date = InternalDate::parse(date);
        writer.place(run.epoch, uid(at), NewPlacement { internal_date, ..placement(key, 1) }).unwrap();
    }
    writer.commit().unwrap();
    let view = writer.view();
    let survey = view.survey_in(run.epoch, Uid::MIN..=Uid::MAX).unwrap();
    let dates: Vec<&str> = survey.iter().map(|(_, _, date, _)| date.raw()).collect();
    assert_eq!(dates, [" 7-Jul-1996 02:44:25 -0000", "00-Jan-0000 00:00:00 +0000", ""]);
    assert_eq!(view.flags_in(run.epoch, Uid::MIN..=uid(2)).unwrap().len(), 2);
}

#[test]
fn l01_a_loss_is_what_lies_nowhere_any_more_and_in_a_bin_is_nowhere() {
    let world = World::new();
    let mut writer = world.writer();
    let inbox = begin(&mut writer, "INBOX").unwrap();
    fill(&mut writer, &inbox, 1..11).unwrap();
    let trash = begin(&mut writer, "Trash").unwrap();
    fill(&mut writer, &trash, 20..23).unwrap();
    writer.commit().unwrap();
    let before = trash.run;

    // 1 and 2 are filed, 3 and 4 thrown away, 5 to 7 are gone; one comes again under another UID with
    // other bytes, and the bin is emptied of 20.
    let attic = begin(&mut writer, "Attic").unwrap();
    fill(&mut writer, &attic, 1..3).unwrap();
    fill(&mut writer, &trash, 3..5).unwrap();
    writer.vanished(inbox.epoch, &uids("1:7")).unwrap();
    writer.vanished(trash.epoch, &uids("20")).unwrap();
    let encrypted = put(&mut writer, &[mail(5), b"0xdeadbeef".to_vec()].concat()).unwrap();
    writer.place(inbox.epoch, uid(30), placement(encrypted, 30)).unwrap();
    writer.commit().unwrap();

    let bins = [trash.mailbox].into();
    let losses = |since, bins| writer.view().losses(inbox.account, since, bins).unwrap();
    let loss = |mailbox, before, lost, altered| MailboxLoss { mailbox, before, lost, altered };
    assert_eq!(losses(before, &bins), [loss(inbox.mailbox, 10, 5, 1), loss(trash.mailbox, 3, 1, 0)]);
    let none = std::collections::HashSet::new();
    assert_eq!(losses(before, &none), [loss(inbox.mailbox, 10, 3, 1), loss(trash.mailbox, 3, 1, 0)]);
    assert!(losses(attic.run, &bins).iter().all(|loss| loss.lost == 0), "nothing since");
    assert_eq!(writer.view().missing_in(attic.epoch, inbox.epoch).unwrap(), 2);
    assert_eq!(writer.view().missing_in(attic.epoch, attic.epoch).unwrap(), 0);
}

#[test]
fn l01_an_alarm_stands_until_it_is_acknowledged_and_outlives_the_catalogue() {
    let world = World::new();
    let mut writer = world.writer();
    let mut alarmed = Vec::new();
    for _ in 0..3 {
        let run = run_of(&mut writer);
        writer.alarm(run.account, run.run).unwrap();
        writer.end_run(run.run, "ok", 7, "{}").unwrap();
        alarmed.push(run);
    }
    writer.commit().unwrap();
    let account = alarmed[0].account;
    let standing = |archive: &Archive| {
        archive.view().alarms(account).unwrap().iter().map(|run| run.id).collect::<Vec<_>>()
    };
    assert_eq!(standing(&world.reader()), [alarmed[2].run, alarmed[1].run, alarmed[0].run]);
    writer.acknowledge(account, alarmed[1].run).unwrap();
    writer.commit().unwrap();
    drop(writer);
    assert_eq!(standing(&world.reader()), [alarmed[2].run]);
    world.drop_catalogue();
    assert_eq!(standing(&world.reader()), [alarmed[2].run]);
}

#[test]
fn o14_the_last_drill_is_the_last_in_the_journal_and_outlives_the_catalogue() {
    let world = World::new();
    let mut writer = world.writer();
    let run = pull(&mut writer, 1..3);
    let other = writer.account("other", "imap").unwrap();
    assert_eq!(writer.view().last_drill(run.account).unwrap(), None);
    let later =
        DrillInfo { finished_ms: 9_000, scope: DrillScope::Sample, as_of: None, ..drill(run.run, "") };
    let last = DrillInfo { messages_proven: 69, ..drill(run.run, "partial") };
    for drilled in [&drill(run.run, "proven"), &later, &last] {
        writer.drilled(run.account, drilled).unwrap();
        writer.commit().unwrap();
        assert_eq!(writer.view().last_drill(run.account).unwrap().as_ref(), Some(drilled));
    }
    drop(writer);
    world.drop_catalogue();
    let reader = world.reader();
    assert_eq!(reader.view().last_drill(run.account).unwrap(), Some(last), "whatever the clock said");
    assert_eq!(reader.view().last_drill(other).unwrap(), None);
}

#[test]
fn what_runs_did_is_counted_also_where_one_was_cut_off_and_a_message_has_its_life() {
    let world = World::new();
    let mut writer = world.writer();
    let first = pull(&mut writer, 1..4);
    let second = run_of(&mut writer);
    writer.set_flags(second.epoch, uid(1), &flags("$Todo")).unwrap();
    writer.vanished(second.epoch, &uids("2")).unwrap();
    fill(&mut writer, &second, 4..5).unwrap();
    writer.commit().unwrap();
    // UID 1 is given to another message, and comes back; the mailbox has a new UIDVALIDITY then.
    let third = run_of(&mut writer);
    let other = put(&mut writer, &mail(50)).unwrap();
    writer.place(third.epoch, uid(1), placement(other, 50)).unwrap();
    let fourth = run_of(&mut writer);
    let key = MessageKey::of(&mail(1));
    writer.place(fourth.epoch, uid(1), placement(key, 1)).unwrap();
    writer.set_flags(fourth.epoch, uid(1), &flags("\\Answered")).unwrap();
    let fifth = run_of(&mut writer);
    writer.set_flags(fifth.epoch, uid(1), &Flags::new()).unwrap();
    let epoch = writer.epoch(first.mailbox, UidValidity::new(8)).unwrap();
    writer.end_epoch(first.epoch).unwrap();
    writer.place(epoch, uid(70), placement(key, 1)).unwrap();
    writer.commit().unwrap();

    let view = writer.view();
    let changes = |new, flags_changed, vanished| Changes { new, flags_changed, vanished };
    let expected = [
        (first.run, changes(3, 0, 0)),
        (second.run, changes(1, 1, 1)),
        (third.run, changes(1, 0, 1)),
        (fourth.run, changes(1, 0, 1)),
        (fifth.run, changes(1, 1, 3)),
    ];
    assert_eq!(view.changes(&[first.mailbox]).unwrap(), expected.into());
    assert_eq!(view.changes(&[]).unwrap().len(), 0);

    let life = view.life_of(first.account, &key).unwrap();
    let told: Vec<_> = life
        .iter()
        .map(|life| {
            let flags = life.flags.iter().map(|(run, flags)| (*run, flags.to_string()));
            (life.uid.get(), life.first_run, life.last_run, flags.collect::<Vec<_>>())
        })
        .collect();
    let seen = || "\\Seen".to_owned();
    assert_eq!(
        told,
        [
            (1, first.run, Some(third.run), vec![(first.run, seen()), (second.run, "$Todo".to_owned())]),
            (
                1,
                fourth.run,
                Some(fifth.run),
                vec![(fourth.run, "\\Answered".to_owned()), (fifth.run, String::new())]
            ),
            (70, fifth.run, None, vec![(fifth.run, seen())]),
        ]
    );
    assert_eq!(life[2].validity, UidValidity::new(8));
    let stranger = writer.account("stranger", "imap").unwrap();
    assert_eq!(writer.view().life_of(stranger, &key).unwrap(), []);
}
