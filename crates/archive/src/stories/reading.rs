//! Putting mail in and getting it out.

use super::*;

#[test]
fn mail_comes_back_byte_for_byte_after_its_commit() {
    let world = World::new();
    let mut writer = world.writer();
    pull(&mut writer, 1..100);
    let run = pull(&mut writer, 100..200);
    assert_eq!(check_mails(writer.view()), 199);
    assert!(world.packs().len() > 1, "packs are sealed at their size");
    drop(writer);
    let archive = world.reader();
    assert_eq!(check_mails(archive.view()), 199);
    let key = MessageKey::of(&mail(17));
    let info = archive.view().message(&key).unwrap().unwrap();
    assert_eq!(
        (info.fields.subject.as_str(), info.fields.message_id.as_str()),
        ("Mail number 17", "17@example.org")
    );
    assert_eq!(archive.view().read_start(&key, 20).unwrap(), &mail(17)[..20]);
    assert_eq!(archive.view().find(&key.to_string()[..10]).unwrap(), [key]);
    assert_eq!(archive.view().held_uids(run.epoch).unwrap(), uids("1:199"));
    let sizes = archive.view().sizes().unwrap();
    assert_eq!(sizes.packs, world.packs().len() as u64);
    let placed = archive.view().placement(run.epoch, uid(17)).unwrap().unwrap();
    assert_eq!(
        (placed.message, placed.size, placed.fields.from.as_str()),
        (key, mail(17).len() as u64, info.fields.from.as_str())
    );
    assert_eq!(
        archive.view().candidates(run.account, placed.size).unwrap().iter().filter(|c| c.key == key).count(),
        1
    );
}

#[test]
fn any_bytes_are_a_message() {
    let world = World::new();
    let mut writer = world.writer();
    let odd: [&[u8]; 5] = [b"", b"\n", b"\0\xff\r", b"no header at all", b"a: b\n\nbare line feeds\n"];
    let keys: Vec<_> = odd.iter().map(|bytes| put(&mut writer, bytes).unwrap()).collect();
    writer.commit().unwrap();
    for (key, bytes) in keys.iter().zip(odd) {
        assert_eq!(writer.view().read_to_vec(key).unwrap(), bytes);
    }
}

#[test]
fn a_message_is_stored_once_however_often_it_is_placed() {
    let world = World::new();
    let mut writer = world.writer();
    let run = pull(&mut writer, 1..30);
    let before = writer.view().sizes().unwrap();
    let archive = writer.account("work", "imap").unwrap();
    writer.begin_run(archive, 5).unwrap();
    let other = writer.mailbox(archive, &seen("Copies")).unwrap();
    let epoch = writer.epoch(other, UidValidity::new(9)).unwrap();
    for number in 1..30 {
        let key = put(&mut writer, &mail(number)).unwrap();
        writer.place(epoch, uid(number + 100), placement(key, number)).unwrap();
    }
    writer.commit().unwrap();
    let after = writer.view().sizes().unwrap();
    assert_eq!((before.blobs, before.blob_bytes), (after.blobs, after.blob_bytes));
    let totals = writer.view().totals(Some(run.account)).unwrap();
    assert_eq!((totals.live, totals.messages), (58, 29));
    assert_eq!(totals, writer.view().totals(None).unwrap());
}

#[test]
fn nothing_is_seen_before_its_commit() {
    let world = World::new();
    let mut writer = world.writer();
    pull(&mut writer, 1..10);
    let run = begin(&mut writer, "INBOX").unwrap();
    fill(&mut writer, &run, 10..20).unwrap();
    assert!(writer.uncommitted_bytes() > 1000);
    assert_eq!(writer.view().held_uids(run.epoch).unwrap(), uids("1:9"));
    let beside = world.reader();
    assert_eq!(check_mails(beside.view()), 9);
    writer.commit().unwrap();
    assert_eq!(writer.uncommitted_bytes(), 0);
    assert_eq!(writer.view().held_uids(run.epoch).unwrap(), uids("1:19"));
    assert_eq!(check_mails(beside.view()), 9, "a reader keeps the state in which it was opened");
    assert_eq!(check_mails(world.reader().view()), 19);
}

#[test]
fn d17_a_second_writer_is_refused_while_the_first_has_the_lock() {
    let world = World::new();
    let writer = world.writer();
    assert!(matches!(world.try_writer(), Err(Error::Locked { .. })));
    drop(writer);
    world.writer();
}

#[test]
fn d17_a_writer_whose_mark_was_taken_over_commits_no_more() {
    let world = World::new();
    let mut writer = world.writer();
    pull(&mut writer, 1..5);
    world.disk.write(Path::new("/archive/owner"), b"another machine!");
    begin(&mut writer, "INBOX").unwrap();
    assert!(matches!(writer.commit(), Err(Error::OwnerChanged { .. })));
    assert!(matches!(writer.commit(), Err(Error::Abandoned)));
    drop(writer);
    assert_eq!(check_mails(world.writer().view()), 4);
}

#[test]
fn a_run_that_learns_nothing_new_writes_only_its_own_beginning_and_end() {
    let world = World::new();
    let mut writer = world.writer();
    let run = pull(&mut writer, 1..50);
    let mark = Mark { uid_next: Some(uid(50)), highest_modseq: None, messages: 49 };
    begin(&mut writer, "INBOX").unwrap();
    writer.mark(run.epoch, &mark).unwrap();
    writer.commit().unwrap();
    let before = writer.view().sizes().unwrap().pack_bytes;
    let again = pull(&mut writer, 1..50);
    writer.mark(run.epoch, &mark).unwrap_err();
    assert_eq!(again.epoch, run.epoch);
    let after = writer.view().sizes().unwrap().pack_bytes;
    assert!(after - before < 500, "{} bytes", after - before);
}

#[test]
fn what_is_recorded_without_a_run_or_for_the_unknown_is_refused() {
    let world = World::new();
    let mut writer = world.writer();
    let run = pull(&mut writer, 1..3);
    let stranger = MessageKey::of(b"never put");
    assert!(matches!(writer.vanished(run.epoch, &uids("1")), Err(Error::NoRun(_))));
    begin(&mut writer, "INBOX").unwrap();
    assert!(matches!(writer.place(run.epoch, uid(9), placement(stranger, 9)), Err(Error::UnknownMessage(_))));
    assert!(matches!(writer.set_flags(EpochId(99), uid(9), &Flags::new()), Err(Error::Unknown { .. })));
    assert!(matches!(writer.view().read_to_vec(&stranger), Err(Error::UnknownMessage(_))));
    assert!(matches!(writer.rename_mailbox(MailboxId(77), &seen("x")), Err(Error::Unknown { .. })));
}

#[test]
fn d28_a_folder_without_an_archive_is_told_from_a_damaged_one() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(Archive::open(dir.path()), Err(Error::NotAnArchive { .. })));
    assert!(matches!(Writer::open(dir.path(), SMALL), Err(Error::NotAnArchive { .. })));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "nothing was made");
}

#[test]
fn an_archive_on_the_machines_disk_works_as_well() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archive");
    init(&path).unwrap();
    let mut writer = Writer::open(&path, SMALL).unwrap();
    pull(&mut writer, 1..60);
    assert!(matches!(Writer::open(&path, SMALL), Err(Error::Locked { .. })));
    assert_eq!(check_mails(Archive::open(&path).unwrap().view()), 59);
    drop(writer);
    assert_eq!(check_mails(Archive::open(&path).unwrap().view()), 59);
    rebuild(&path).unwrap();
    assert_eq!(check_mails(Archive::open(&path).unwrap().view()), 59);
}

#[test]
fn a_glance_is_had_beside_a_writer_and_keeps_none_out() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("archive");
    init(&path).unwrap();
    assert!(Archive::glance(dir.path()).is_err(), "there is no archive");
    let mut writer = Writer::open(&path, SMALL).unwrap();
    pull(&mut writer, 1..30);
    writer.commit().unwrap();
    put(&mut writer, b"not committed").unwrap();
    let glance = Archive::glance(&path).unwrap().expect("the catalogue can be read");
    assert_eq!(glance.view().totals(None).unwrap().messages, 29);
    drop(writer);
    let _reader = Archive::glance(&path).unwrap().expect("the catalogue can be read");
    drop(Writer::open(&path, SMALL).expect("a glance takes no lock"));
    std::fs::remove_file(path.join("catalog.db")).unwrap();
    assert!(Archive::glance(&path).unwrap().is_none(), "it makes no catalogue");
    assert!(!path.join("catalog.db").exists());
}

/// A mail of 4 to 90 KiB: words, and in every second one an attachment that does not compress.
fn long_mail(number: u32) -> Vec<u8> {
    let mut dice = blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof();
    let mut random = vec![0; 8 << 10];
    dice.fill(&mut random);
    let mut mail = format!("From: a@example.org\r\nSubject: Long mail {number}\r\n\r\n").into_bytes();
    for line in random.chunks(8).take(usize::from(random[0]) * 3 + 40) {
        mail.extend(
            format!("line of {number} with {line:?} and the same words as every other one\r\n").bytes(),
        );
    }
    if number.is_multiple_of(2) {
        mail.extend_from_slice(b"\r\n");
        let mut attachment = vec![0; 57 * (200 + usize::from(random[1]) * 4)];
        dice.fill(&mut attachment);
        for line in attachment.chunks(57) {
            mail.extend(base64(line).bytes());
            mail.extend_from_slice(b"\r\n");
        }
    }
    mail
}

/// Reads these folders side by side, some messages of each in turn; how often a block was opened for each
/// that there is, and how many bytes it gave.
fn read_side_by_side(archive: &Archive, folders: &[(MailboxId, std::ops::Range<u32>)]) -> (f64, usize) {
    let view = archive.view();
    let mut lists = Vec::new();
    for (mailbox, uids) in folders {
        let mut keys = Vec::new();
        view.wanted(&[*mailbox], When::default(), &mut |message| {
            keys.extend(uids.contains(&message.uid.get()).then_some(message.message));
            ControlFlow::Continue(())
        })
        .unwrap();
        lists.push(keys);
    }
    let mut bytes = 0;
    let longest = lists.iter().map(Vec::len).max().unwrap();
    for from in (0..longest).step_by(50) {
        for keys in &lists {
            for key in keys.iter().skip(from).take(50) {
                bytes += view.read_to_vec(key).unwrap().len();
            }
        }
    }
    let blocks: u32 =
        view.shelves.catalogue.query_row("SELECT count(*) FROM blocks", [], |row| row.get(0)).unwrap();
    (view.shelves.cache.opened() as f64 / f64::from(blocks), bytes)
}

/// What this thread has had of a processor, where the system says so.
fn processor_seconds() -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    told.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok()).unwrap_or(0.0) / 1e9
}

#[test]
fn a_folder_that_came_newest_first_is_read_from_its_oldest_on_and_each_block_is_opened_about_once() {
    let mut world = World::new();
    world.options = WriterOptions::default();
    let mut writer = world.writer();
    let run = begin(&mut writer, "INBOX").unwrap();
    let messages = if is_long() { 12_000 } else { 1_200 };
    let mut first = messages + 1;
    while first > 1 {
        // A command: about 4 MiB, ascending.
        let (last, mut mails, mut weight) = (first, Vec::new(), 0);
        while first > 1 && weight < 4 << 20 {
            first -= 1;
            mails.push((first, long_mail(first)));
            weight += mails.last().unwrap().1.len();
        }
        assert_eq!(mails.len() as u32, last - first);
        for (number, mail) in mails.iter().rev() {
            let key = put(&mut writer, mail).unwrap();
            writer.place(run.epoch, uid(*number), placement(key, *number)).unwrap();
        }
    }
    writer.commit().unwrap();
    drop(writer);

    let began = processor_seconds();
    let (opened, bytes) = read_side_by_side(&world.reader(), &[(run.mailbox, 1..messages + 1)]);
    let rate = bytes as f64 / 1e6 / (processor_seconds() - began);
    tell(&format!(
        "{bytes} bytes, {rate:.0} MB a second of one processor, each block opened {opened:.2} times"
    ));
    assert!(opened < 1.1, "{opened}");
    // Four folders at once, as a restore reads them.
    let quarter = messages / 4;
    let parts: Vec<_> =
        (0..4).map(|part| (run.mailbox, 1 + part * quarter..1 + (part + 1) * quarter)).collect();
    let (opened, _) = read_side_by_side(&world.reader(), &parts);
    tell(&format!("side by side each block opened {opened:.2} times"));
    assert!(opened < 1.5, "{opened}");
    // Headers are named without opening any.
    let archive = world.reader();
    let mut keys = Vec::new();
    archive
        .view()
        .wanted(&[run.mailbox], When::default(), &mut |message| {
            keys.push(message.message);
            ControlFlow::Continue(())
        })
        .unwrap();
    let began = processor_seconds();
    assert!(keys.iter().all(|key| archive.view().header_of(key).unwrap().is_some()));
    tell(&format!("{messages} headers named in {:.2} s", processor_seconds() - began));
    assert_eq!(archive.view().shelves.cache.opened(), 0);
}
