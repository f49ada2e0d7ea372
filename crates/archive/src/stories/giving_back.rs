//! What a restore asks: which folders there were, and which messages each held, none of them too often.

use super::*;

/// UID, number of the mail and flags of what is to be given back, in the order in which it comes.
fn wanted(view: View<'_>, mailboxes: &[MailboxId], when: When) -> Vec<(u32, u32, String)> {
    let mut found = Vec::new();
    view.wanted(mailboxes, when, &mut |message| {
        let number = (1..100).find(|&number| MessageKey::of(&mail(number)) == message.message).unwrap();
        assert_eq!(message.size, mail(number).len() as u64);
        found.push((message.uid.get(), number, message.flags.to_string()));
        ControlFlow::Continue(())
    })
    .unwrap();
    found
}

fn numbers(view: View<'_>, mailbox: MailboxId, when: When) -> Vec<u32> {
    wanted(view, &[mailbox], when).into_iter().map(|(_, number, _)| number).collect()
}

fn as_of(run: &Run) -> When {
    When { as_of: Some(run.run), deleted: false }
}

const WITH_DELETED: When = When { as_of: None, deleted: true };

fn place(writer: &mut Writer, epoch: EpochId, at: u32, number: u32) {
    let key = put(writer, &mail(number)).unwrap();
    writer.place(epoch, uid(at), placement(key, number)).unwrap();
}

#[test]
fn r10_what_lay_there_twice_is_wanted_twice_and_in_the_order_of_arrival() {
    let world = World::new();
    let mut writer = world.writer();
    let run = begin(&mut writer, "INBOX").unwrap();
    for (at, number) in [(9, 1), (2, 3), (5, 1), (7, 2)] {
        place(&mut writer, run.epoch, at, number);
    }
    writer.commit().unwrap();
    let seen = |uid, number| (uid, number, "\\Seen".to_owned());
    let all = [seen(2, 3), seen(5, 1), seen(7, 2), seen(9, 1)];
    assert_eq!(wanted(writer.view(), &[run.mailbox], When::default()), all);
    assert_eq!(wanted(writer.view(), &[run.mailbox], WITH_DELETED), all);
    let mut count = 0;
    let stop = &mut |_| {
        count += 1;
        ControlFlow::Break(())
    };
    writer.view().wanted(&[run.mailbox], When::default(), stop).unwrap();
    assert_eq!(count, 1);
}

#[test]
fn r10_a_new_uidvalidity_does_not_double_what_had_vanished() {
    let world = World::new();
    let mut writer = world.writer();
    let first = pull(&mut writer, 1..5);
    // 3 is there twice; 4 vanishes; then all UIDs are others.
    let second = begin(&mut writer, "INBOX").unwrap();
    place(&mut writer, second.epoch, 30, 3);
    writer.vanished(second.epoch, &uids("4")).unwrap();
    writer.commit().unwrap();
    let third = begin(&mut writer, "INBOX").unwrap();
    let epoch = writer.epoch(first.mailbox, UidValidity::new(8)).unwrap();
    for (at, number) in [(101, 1), (102, 2), (103, 3), (104, 5)] {
        place(&mut writer, epoch, at, number);
    }
    writer.set_flags(epoch, uid(102), &flags("\\Flagged")).unwrap();
    writer.end_epoch(first.epoch).unwrap();
    writer.commit().unwrap();
    let view = writer.view();
    assert_eq!(numbers(view, first.mailbox, When::default()), [1, 2, 3, 5]);
    assert_eq!(numbers(view, first.mailbox, as_of(&second)), [1, 2, 3, 3]);
    assert_eq!(numbers(view, first.mailbox, as_of(&first)), [1, 2, 3, 4]);
    let all = wanted(view, &[first.mailbox], WITH_DELETED);
    let seen = |uid, number| (uid, number, "\\Seen".to_owned());
    assert_eq!(
        all,
        [seen(4, 4), seen(30, 3), seen(101, 1), (102, 2, "\\Flagged".to_owned()), seen(103, 3), seen(104, 5)],
        "both copies of 3 come back; the newest placement of 2 counts"
    );
    let by_second = When { as_of: Some(second.run), deleted: true };
    assert_eq!(numbers(view, first.mailbox, by_second), [1, 2, 3, 4, 3]);
    assert_eq!(listing(view, first.mailbox, WITH_DELETED).len(), 9, "a list shows every placement");
    assert_eq!(third.mailbox, first.mailbox);
}

#[test]
fn r10_what_is_kept_under_the_old_uidvalidity_until_a_second_run_is_not_doubled() {
    let world = World::new();
    let mut writer = world.writer();
    let first = pull(&mut writer, 1..5);
    let second = begin(&mut writer, "INBOX").unwrap();
    let epoch = writer.epoch(first.mailbox, UidValidity::new(8)).unwrap();
    place(&mut writer, epoch, 1, 2);
    writer.commit().unwrap();
    assert_eq!(numbers(writer.view(), first.mailbox, When::default()), [1, 3, 4, 2]);
    assert_eq!(numbers(writer.view(), first.mailbox, as_of(&second)), [1, 3, 4, 2]);
}

#[test]
fn r10_what_went_and_came_back_is_wanted_once() {
    let world = World::new();
    let mut writer = world.writer();
    let first = pull(&mut writer, 1..4);
    let second = begin(&mut writer, "INBOX").unwrap();
    writer.vanished(second.epoch, &uids("1:3")).unwrap();
    writer.commit().unwrap();
    let third = begin(&mut writer, "INBOX").unwrap();
    // One under its old UID, one under a new one, one under the UID of another; one comes and goes.
    for (at, number) in [(1, 1), (12, 2), (2, 3), (13, 6)] {
        place(&mut writer, third.epoch, at, number);
    }
    writer.vanished(third.epoch, &uids("13")).unwrap();
    writer.commit().unwrap();
    let view = writer.view();
    assert_eq!(numbers(view, first.mailbox, WITH_DELETED), [1, 3, 2, 6]);
    assert_eq!(numbers(view, first.mailbox, When { as_of: Some(second.run), deleted: true }), [1, 2, 3]);
    assert_eq!(numbers(view, first.mailbox, as_of(&second)), []);
    drop(writer);
    world.drop_catalogue();
    assert_eq!(numbers(world.reader().view(), first.mailbox, WITH_DELETED), [1, 3, 2, 6]);
}

#[test]
fn r10_two_lives_of_one_folder_are_wanted_as_one() {
    let world = World::new();
    let mut writer = world.writer();
    let first = pull(&mut writer, 1..4);
    begin(&mut writer, "INBOX").unwrap();
    writer.rename_mailbox(first.mailbox, &seen("Old")).unwrap();
    let again = begin(&mut writer, "INBOX").unwrap();
    assert_ne!(again.mailbox, first.mailbox);
    for number in 2..6 {
        place(&mut writer, again.epoch, number, number);
    }
    writer.commit().unwrap();
    let both = [again.mailbox, first.mailbox];
    let all = wanted(writer.view(), &both, When::default());
    assert_eq!(all.iter().map(|(_, number, _)| *number).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
}

#[test]
fn the_flags_that_are_wanted_are_those_of_the_moment() {
    let world = World::new();
    let mut writer = world.writer();
    let first = pull(&mut writer, 1..3);
    let second = begin(&mut writer, "INBOX").unwrap();
    writer.set_flags(second.epoch, uid(1), &flags("$Label1 \\Answered")).unwrap();
    writer.commit().unwrap();
    let third = begin(&mut writer, "INBOX").unwrap();
    writer.set_flags(third.epoch, uid(1), &Flags::new()).unwrap();
    writer.vanished(third.epoch, &uids("1")).unwrap();
    writer.commit().unwrap();
    let of_one = |when| wanted(writer.view(), &[first.mailbox], when).swap_remove(0).2;
    assert_eq!(of_one(as_of(&first)), "\\Seen");
    assert_eq!(of_one(as_of(&second)), "\\Answered $Label1");
    assert_eq!(of_one(WITH_DELETED), "");
}

#[test]
fn a_header_block_is_named_without_reading_mail() {
    let world = World::new();
    let mut writer = world.writer();
    pull(&mut writer, 1..30);
    put(&mut writer, b"no header at all").unwrap();
    writer.commit().unwrap();
    let view = writer.view();
    for number in 1..30 {
        let key = MessageKey::of(&mail(number));
        let recipe = view.message(&key).unwrap().unwrap().recipe;
        assert_eq!(view.header_of(&key).unwrap().as_ref(), recipe.header());
        let bytes = mail(number);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let header = view.header_of(&key).unwrap().unwrap();
        assert_eq!(header.name, message::BlobName::of(&bytes[..end]));
        assert_eq!(header.length as usize, end);
    }
    assert_eq!(view.header_of(&MessageKey::of(b"unknown")).unwrap(), None);
}

/// Name, live messages, and whether it was gone.
fn mailboxes(view: View<'_>, account: AccountId, when: When) -> Vec<(String, u64, bool)> {
    let mailboxes = view.mailboxes_as_of(account, when).unwrap();
    mailboxes.iter().map(|mailbox| (mailbox.name.text(), mailbox.live, mailbox.gone.is_some())).collect()
}

#[test]
fn the_folders_of_a_moment_are_those_that_were_there_then_under_their_names_of_then() {
    let world = World::new();
    let mut writer = world.writer();
    let first = pull(&mut writer, 1..4);
    let projects = begin(&mut writer, "Projects").unwrap();
    fill(&mut writer, &projects, 4..6).unwrap();
    begin(&mut writer, "Empty").unwrap();
    writer.commit().unwrap();
    let before = begin(&mut writer, "INBOX").unwrap();
    writer.commit().unwrap();
    // One is renamed, one is gone, one is new, one loses a message.
    let after = begin(&mut writer, "INBOX").unwrap();
    writer.rename_mailbox(projects.mailbox, &seen("Attic/Projects")).unwrap();
    writer.vanished(after.epoch, &uids("2")).unwrap();
    let empty = writer.mailbox(first.account, &seen("Empty")).unwrap();
    writer.mailbox_gone(empty).unwrap();
    writer.mailbox(first.account, &seen("New")).unwrap();
    writer.commit().unwrap();
    let last = begin(&mut writer, "INBOX").unwrap();
    writer.mailbox_gone(projects.mailbox).unwrap();
    writer.mailbox(first.account, &seen("Empty")).unwrap();
    writer.commit().unwrap();

    let check = |view: View<'_>| {
        let at = |when| mailboxes(view, first.account, when);
        let named = |name: &str, live, gone| (name.to_owned(), live, gone);
        assert_eq!(at(as_of(&first)), [named("INBOX", 3, false)]);
        let then = [named("INBOX", 3, false), named("Projects", 2, false), named("Empty", 0, false)];
        assert_eq!(at(as_of(&before)), then);
        let then = [named("INBOX", 2, false), named("Attic/Projects", 2, false), named("New", 0, false)];
        assert_eq!(at(as_of(&after)), then);
        let deleted = |run: &Run| When { as_of: Some(run.run), deleted: true };
        assert_eq!(at(deleted(&after)), then, "what was gone and had held nothing is left out");
        let now = [named("INBOX", 2, false), named("Empty", 0, false), named("New", 0, false)];
        assert_eq!(at(as_of(&last)), now);
        assert_eq!(at(When::default()), now);
        let with_gone = [
            named("INBOX", 2, false),
            named("Attic/Projects", 0, true),
            named("Empty", 0, false),
            named("New", 0, false),
        ];
        assert_eq!(at(deleted(&last)), with_gone);
        assert_eq!(at(WITH_DELETED), with_gone);
        let epoch = |when| view.mailboxes_as_of(first.account, when).unwrap()[0].epoch.unwrap().id;
        assert_eq!(epoch(as_of(&before)), first.epoch);
    };
    check(writer.view());
    drop(writer);
    world.drop_catalogue();
    check(world.reader().view());
}
