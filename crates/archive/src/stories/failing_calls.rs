//! D6 to D10, D19, D23: every single call of the disk made to fail, once and from then on.
//!
//! A pull is done on a copy of the same small archive again and again, and each time another call fails:
//! the first `open`, the second, ..., the last `sync`, with each of the errors that file systems give.
//! Whatever fails, the run ends with an error that names the file, the cause and the remedy, nothing
//! that was acknowledged is harmed, reading goes on while the fault lasts, and on a healthy disk the
//! archive verifies and the next pull completes ([`examine`]). The same for reading: it gives all, or
//! says what it could not give.

use std::collections::BTreeMap;

use message::BlobName;
use message::recipe::Stream;
use message::split::Piece;

use super::crash_states::{BATCH, OPTIONS, assert_verified, examine, in_memory};
use super::*;
use crate::disk::simulated::{AfterFailedSync, Call, Faults, errno};
use crate::surroundings::Seeded;

/// What each error is called by its system, and what a person is told to do.
const ERRORS: [(i32, &str, &str); 9] = [
    (errno::NOSPC, "No space left on device", "make room"),
    (errno::DQUOT, "quota", "raise it"),
    (errno::IO, "Input/output error", "system's log"),
    (errno::ROFS, "Read-only file system", "system's log"),
    (errno::INTR, "Interrupted", ""),
    (errno::ACCES, "Permission denied", "must belong to the user"),
    (errno::MFILE, "Too many open files", "raise the limit"),
    (errno::STALE, "Stale file handle", "mount it anew"),
    (errno::NXIO, "No such device or address", "plug it in"),
];

/// Calls that change something; while they fail, all that is there can be read.
pub(super) const CHANGES: [Call; 7] =
    [Call::Create, Call::Write, Call::Sync, Call::Truncate, Call::Rename, Call::Remove, Call::SyncDir];

/// An archive of two commits.
fn small_archive() -> SimulatedDisk {
    let disk = SimulatedDisk::new();
    let (place, chance) = (in_memory(&disk), Arc::new(Seeded::new(1)));
    init_at(&place, &*chance).unwrap();
    let mut writer = Writer::open_at(place, chance, OPTIONS).unwrap();
    for commit in 0..HELD / BATCH {
        pull(&mut writer, commit * BATCH + 1..(commit + 1) * BATCH + 1);
    }
    drop(writer);
    disk.copy()
}

/// Mails of the small archive.
const HELD: u32 = 2 * BATCH;

/// Two more commits, the second in another pack. How many mails are acknowledged, and the error that
/// ended it.
fn attempt(place: &Place) -> (u32, Result<()>) {
    let mut acknowledged = HELD;
    let mut run = || -> Result<()> {
        let mut writer = Writer::open_at(place.clone(), Arc::new(Seeded::new(2)), OPTIONS)?;
        for _ in 0..2 {
            let run = begin(&mut writer, "INBOX")?;
            fill(&mut writer, &run, acknowledged + 1..acknowledged + BATCH + 1)?;
            writer.end_run(run.run, "ok", 2_000, "{}")?;
            writer.commit()?;
            acknowledged += BATCH;
        }
        Ok(())
    };
    let ended = run();
    (acknowledged, ended)
}

fn assert_clear(error: &Error, (cause, advice): (&str, &str), what: &str) {
    let text = chain(error);
    assert!(text.contains(" /"), "{what}: which file? {text}");
    assert!(text.contains(cause), "{what}: why? {text}");
    assert!(text.contains(advice), "{what}: what is to be done? {text}");
}

/// How often each call is made by this work.
pub(super) fn calls_of(disk: &SimulatedDisk, work: impl FnOnce(&SimulatedDisk)) -> BTreeMap<Call, usize> {
    let counting = disk.copy();
    work(&counting);
    counting.calls()
}

/// All cases: each call of each kind, with every error, or in turn with one of them.
pub(super) fn cases(calls: &BTreeMap<Call, usize>) -> Vec<(Call, usize, (i32, &'static str, &'static str))> {
    let mut cases = Vec::new();
    for (&call, &count) in calls {
        for number in 1..=count {
            for (at, error) in ERRORS.into_iter().enumerate() {
                if is_long() || (at + number + call as usize).is_multiple_of(3) {
                    cases.push((call, number, error));
                }
            }
        }
    }
    cases
}

pub(super) fn faults_of(call: Call, number: usize, error: i32) -> Vec<Faults> {
    let (once, lasting) = (Faults::once(call, number, error), Faults::from_then_on(call, number, error));
    if call != Call::Sync {
        return vec![once, lasting];
    }
    let fates = [AfterFailedSync::Kept, AfterFailedSync::Hidden, AfterFailedSync::Dropped];
    let with = |faults: &Faults, after_failed_sync| Faults { after_failed_sync, ..faults.clone() };
    fates.into_iter().flat_map(|fate| [with(&once, fate), with(&lasting, fate)]).collect()
}

/// One fault in a pull.
fn try_pull(disk: &SimulatedDisk, place: &Place, faults: &Faults, words: (&str, &str), what: &str) {
    disk.set_faults(faults.clone());
    let (acknowledged, ended) = attempt(place);
    if let Err(error) = &ended {
        assert_clear(error, words, what);
    } else {
        assert_eq!(acknowledged, HELD + 2 * BATCH, "{what}");
    }
    let failure = faults.failure.unwrap();
    if failure.lasting && failure.call.is_some_and(|call| CHANGES.contains(&call) || call == Call::Lock) {
        let reader =
            Archive::open_at(place.clone()).unwrap_or_else(|error| panic!("{what}: {}", chain(&error)));
        assert!(readable(reader.view()).is_superset(&up_to(acknowledged)), "{what}: reading meanwhile");
        drop(reader);
        assert_verified(place, &format!("{what}, meanwhile"));
    }
    disk.set_faults(Faults::default());
    examine(disk, place, OPTIONS, acknowledged, what);
}

#[test]
fn d06_d07_d08_d10_whichever_call_of_a_pull_fails_nothing_acknowledged_is_harmed_and_the_next_completes() {
    let archive = small_archive();
    let calls = calls_of(&archive, |disk| attempt(&in_memory(disk)).1.unwrap());
    let mut count = 0;
    for (call, number, (error, cause, advice)) in cases(&calls) {
        for faults in faults_of(call, number, error) {
            let disk = archive.copy();
            let what = format!("{call:?} {number} fails: {cause}, {faults:?}");
            try_pull(&disk, &in_memory(&disk), &faults, (cause, advice), &what);
            count += 1;
        }
    }
    tell(&format!("calls that failed in a pull: {count}"));
    assert!(count > 200, "{count}");
}

#[test]
fn d06_d07_the_catalogue_is_never_ahead_of_what_a_failing_disk_has_kept() {
    let archive = small_archive();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("catalog.db");
    let on =
        |disk: &SimulatedDisk| Place::on(Arc::new(disk.clone()), Path::new("/archive"), Some(file.clone()));
    drop(Writer::open_at(on(&archive), Arc::new(Seeded::new(9)), OPTIONS).unwrap());
    let archive = archive.copy();
    let before = std::fs::read(&file).unwrap();
    let calls = calls_of(&archive, |disk| attempt(&on(disk)).1.unwrap());
    for (at, (call, number, (error, cause, advice))) in cases(&calls).into_iter().enumerate() {
        for faults in faults_of(call, number, error) {
            // Changes are what this is about; of the others a few will do.
            if !CHANGES.contains(&call) && !is_long() && !at.is_multiple_of(9) {
                continue;
            }
            let disk = archive.copy();
            crate::catalogue::remove(&file).unwrap();
            std::fs::write(&file, &before).unwrap();
            let what = format!("{call:?} {number} fails: {cause}, {faults:?}, with a catalogue");
            try_pull(&disk, &on(&disk), &faults, (cause, advice), &what);
        }
    }
}

#[test]
fn d07_a_disk_that_becomes_full_at_any_byte_takes_back_to_a_whole_commit() {
    let archive = small_archive();
    let step = if is_long() { 1 } else { 53 };
    let mut room = 0;
    loop {
        let disk = archive.copy();
        disk.set_faults(Faults { room: Some(room), ..Faults::default() });
        let (acknowledged, ended) = attempt(&in_memory(&disk));
        let what = format!("room for {room} bytes");
        match &ended {
            Ok(()) => break,
            Err(error) => {
                assert!(error.is_full(), "{what}: {}", chain(error));
                assert!(chain(error).contains("the disk is full; make room"), "{what}: {}", chain(error));
            }
        }
        let reader = Archive::open_at(in_memory(&disk)).unwrap();
        assert_eq!(readable(reader.view()), up_to(acknowledged), "{what}: a full disk can be read");
        disk.set_faults(Faults::default());
        examine(&disk, &in_memory(&disk), OPTIONS, acknowledged, &what);
        room += step;
    }
    assert!(room > 2_000, "{room}");
}

#[test]
fn d09_d19_whichever_call_of_reading_fails_all_is_given_or_it_is_told_what_is_not() {
    let archive = small_archive();
    let calls = calls_of(&archive, |disk| {
        let reader = Archive::open_at(in_memory(disk)).unwrap();
        assert_eq!(readable(reader.view()), up_to(HELD));
        assert_verified(&in_memory(disk), "healthy");
    });
    for (call, number, (error, cause, advice)) in cases(&calls) {
        for lasting in [false, true] {
            let disk = archive.copy();
            let (place, what) =
                (in_memory(&disk), format!("{call:?} {number} fails (lasting: {lasting}): {cause}"));
            let faults = if lasting { Faults::from_then_on } else { Faults::once };
            disk.set_faults(faults(call, number, error));
            match Archive::open_at(place.clone()) {
                Err(error) => assert_clear(&error, (cause, advice), &what),
                Ok(reader) => read_under_fault(&reader, &what),
            }
            match verify_at(&place, Depth::Full, None, &mut |_| {}) {
                Err(error) => assert_clear(&error, (cause, advice), &what),
                Ok(report) => assert!(
                    !report.is_whole() || report.messages == u64::from(HELD),
                    "{what}: verify has not seen all and says that it is whole"
                ),
            }
            disk.set_faults(Faults::default());
            examine(&disk, &place, OPTIONS, HELD, &what);
        }
    }
}

/// What an opened archive gives is right; what it does not give it tells.
fn read_under_fault(reader: &Archive, what: &str) {
    let view = reader.view();
    for number in 1..=HELD {
        match view.read_to_vec(&MessageKey::of(&mail(number))) {
            Ok(bytes) => assert_eq!(bytes, mail(number), "{what}"),
            Err(Error::UnknownMessage(_)) => {
                assert!(!reader.damage().is_empty(), "{what}: mail {number} is missing and nobody says so");
            }
            Err(error) => assert!(error.is_damage() || matches!(error, Error::Io { .. }), "{what}: {error}"),
        }
    }
}

#[test]
fn d19_a_read_that_fails_once_is_tried_again_and_nobody_notices() {
    let archive = small_archive();
    let reads = calls_of(&archive, |disk| attempt(&in_memory(disk)).1.unwrap())[&Call::Read];
    for number in 1..=reads {
        let disk = archive.copy();
        disk.set_faults(Faults::once(Call::Read, number, errno::IO));
        let (acknowledged, ended) = attempt(&in_memory(&disk));
        ended.unwrap_or_else(|error| panic!("read {number}: {}", chain(&error)));
        assert_eq!(acknowledged, HELD + 2 * BATCH);
        assert_verified(&in_memory(&disk), &format!("read {number} failed once"));
    }
}

#[test]
fn d07_d10_whichever_call_of_init_fails_it_says_why_and_works_the_next_time() {
    let make = |disk: &SimulatedDisk| init_at(&in_memory(disk), &Seeded::new(3));
    let calls = calls_of(&SimulatedDisk::new(), |disk| {
        make(disk).unwrap();
    });
    for (call, number, (error, cause, advice)) in cases(&calls) {
        for faults in faults_of(call, number, error) {
            let (disk, what) = (SimulatedDisk::new(), format!("{call:?} {number} fails in init: {cause}"));
            disk.set_faults(faults);
            let made = make(&disk);
            disk.set_faults(Faults::default());
            match made {
                Ok(_) => assert!(identify_at(&in_memory(&disk)).unwrap().is_some(), "{what}"),
                Err(error) => {
                    assert_clear(&error, (cause, advice), &what);
                    if identify_at(&in_memory(&disk)).unwrap().is_none() {
                        make(&disk).unwrap_or_else(|error| panic!("{what}: {}", chain(&error)));
                    }
                }
            }
            examine(&disk, &in_memory(&disk), OPTIONS, 0, &what);
        }
    }
}

#[test]
fn d23_an_archive_of_many_packs_is_read_verified_and_written_with_few_open_files() {
    let disk = small_archive();
    let place = in_memory(&disk);
    let tiny = WriterOptions { pack_bytes: 1, ..OPTIONS };
    let mut writer = Writer::open_at(place.clone(), Arc::new(Seeded::new(4)), tiny).unwrap();
    for number in HELD + 1..HELD + 41 {
        pull(&mut writer, number..number + 1);
    }
    drop(writer);
    let archive = disk.copy();
    let enough = 16;
    for most in (0..=enough).rev() {
        let disk = archive.copy();
        let (place, what) = (in_memory(&disk), format!("{most} open files"));
        disk.set_faults(Faults { open_files: Some(most), ..Faults::default() });
        let words = ("Too many open files", "raise the limit");
        match Archive::open_at(place.clone()) {
            Ok(reader) if most == enough => assert_eq!(readable(reader.view()), up_to(HELD + 40)),
            Ok(reader) => assert_eq!(reader.damage(), [], "{what}"),
            Err(error) => assert_clear(&error, words, &what),
        }
        let pulled =
            Writer::open_at(place.clone(), Arc::new(Seeded::new(5)), OPTIONS).and_then(|mut writer| {
                let run = begin(&mut writer, "INBOX")?;
                fill(&mut writer, &run, 100..102)?;
                writer.commit()
            });
        match pulled {
            Ok(_) => {}
            Err(error) if most < enough => assert_clear(&error, words, &what),
            Err(error) => panic!("{what}: {}", chain(&error)),
        }
        disk.set_faults(Faults::default());
        assert!(readable(Archive::open_at(place.clone()).unwrap().view()).is_superset(&up_to(HELD + 40)));
        assert_verified(&place, &what);
    }
}

/// Nine megabytes that zstd cannot shrink.
fn put_noise(writer: &mut Writer) -> Result<()> {
    let mut noise = blake3::Hasher::new().finalize_xof();
    for _ in 0..3 {
        let mut bytes = vec![0; 3 << 20];
        noise.fill(&mut bytes);
        let name = BlobName::of(&bytes);
        writer.put_blob(Piece { stream: Stream::Attachment, name, bytes })?;
    }
    Ok(())
}

#[test]
fn d06_a_commit_does_not_count_when_a_sync_ahead_of_it_has_failed() {
    // The first sync is the one ahead, the second the commit's own.
    for (failing, counts) in [(1, false), (2, false), (3, true)] {
        let disk = small_archive();
        let place = in_memory(&disk);
        let mut writer = Writer::open_at(place.clone(), Arc::new(Seeded::new(3)), OPTIONS).unwrap();
        let before = writer.last_commit();
        disk.set_faults(Faults::once(Call::Sync, failing, errno::IO));
        put_noise(&mut writer).unwrap();
        match writer.commit() {
            Ok(after) => assert!(counts && after.number == before.number + 1),
            Err(error) => {
                assert!(!counts);
                assert_clear(&error, ("Input/output error", "system's log"), "sync ahead");
            }
        }
        drop(writer);
        disk.set_faults(Faults::default());
        // What was not acknowledged may be there all the same, as long as it is whole (C5).
        let found = Archive::open_at(place.clone()).unwrap().last_commit().unwrap().number - before.number;
        assert!(found == 1 || found == 0 && !counts, "{failing}: {found}");
        assert_verified(&place, &failing.to_string());
    }
}
