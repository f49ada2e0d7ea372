//! Stories of the whole crate: what a user of it would notice.

#![allow(clippy::cast_possible_truncation, reason = "the numbers of a test are small")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use message::split::{SplitMessage, Splitter};
use message::{Flags, InternalDate, MailboxName, MessageKey, Uid, UidSet, UidValidity};

use crate::disk::simulated::SimulatedDisk;
use crate::surroundings::fixed::Fixed;
use crate::*;

mod catalogue;
mod compaction;
mod compaction_faults;
mod crash_states;
mod crashes;
mod example;
mod failing_calls;
mod giving_back;
mod healing;
mod history;
mod hostile;
mod hosts;
mod lies;
mod maildrop;
mod reading;
mod repair;
mod scale;
mod scrub;

/// An archive on a disk in memory, with its catalogue in a file, and the mail that is put in it.
pub(crate) struct World {
    pub(crate) disk: SimulatedDisk,
    pub(crate) place: Place,
    pub(crate) options: WriterOptions,
    surroundings: Arc<Fixed>,
    _dir: tempfile::TempDir,
}

/// Small packs and blocks, so that little mail makes many.
pub(crate) const SMALL: WriterOptions = WriterOptions { pack_bytes: 12_000, block_bytes: 4_000, level: 3 };

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = SimulatedDisk::new();
        let place =
            Place::on(Arc::new(disk.clone()), Path::new("/archive"), Some(dir.path().join("catalog.db")));
        let surroundings = Arc::new(Fixed::default());
        init_at(&place, &*surroundings).unwrap();
        Self { disk, place, options: SMALL, surroundings, _dir: dir }
    }

    /// The same archive on another disk, without a catalogue.
    pub(crate) fn on(disk: &SimulatedDisk) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place =
            Place::on(Arc::new(disk.clone()), Path::new("/archive"), Some(dir.path().join("catalog.db")));
        let surroundings = Arc::new(Fixed::default());
        for _ in 0..100 {
            // Ids that no pack on the disk has.
            surroundings.random().unwrap();
        }
        Self { disk: disk.clone(), place, options: SMALL, surroundings, _dir: dir }
    }

    pub(crate) fn writer(&self) -> Writer {
        self.try_writer().unwrap()
    }

    pub(crate) fn try_writer(&self) -> Result<Writer> {
        Writer::open_at(self.place.clone(), self.surroundings.clone(), self.options)
    }

    pub(crate) fn reader(&self) -> Archive {
        Archive::open_at(self.place.clone()).unwrap()
    }

    pub(crate) fn packs(&self) -> Vec<std::path::PathBuf> {
        self.disk.paths().into_iter().filter(|path| path.extension().is_some_and(|e| e == "pack")).collect()
    }

    pub(crate) fn drop_catalogue(&self) {
        crate::catalogue::remove(self.place.catalogue.as_ref().unwrap()).unwrap();
    }
}

/// A mail with a number; every third has an attachment.
pub(crate) fn mail(number: u32) -> Vec<u8> {
    let mut mail = format!(
        "From: Sender {} <s{}@example.org>\r\nSubject: Mail number {number}\r\nMessage-ID: <{number}@example.org>\r\n\
         Date: Mon, 1 Jan 2024 00:00:{:02} +0000\r\n\r\nDear reader,\r\nthis is mail number {number}.\r\n",
        number % 7,
        number % 7,
        number % 60
    )
    .into_bytes();
    for line in 0..number % 20 {
        mail.extend(
            format!("Line {line} of {number}: {:x}\r\n", u64::from(number * 77 + line).pow(3)).bytes(),
        );
    }
    if number.is_multiple_of(3) {
        mail.extend_from_slice(b"\r\n");
        let seed = blake3::hash(&(number / 6).to_le_bytes());
        for line in 0..30u8 {
            let bytes: Vec<u8> =
                seed.as_bytes().iter().map(|byte| byte ^ line).chain(*seed.as_bytes()).take(57).collect();
            mail.extend(base64(&bytes).bytes());
            mail.extend_from_slice(b"\r\n");
        }
    }
    mail
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks_exact(3) {
        let bits = u32::from(chunk[0]) << 16 | u32::from(chunk[1]) << 8 | u32::from(chunk[2]);
        for shift in [18, 12, 6, 0] {
            text.push(char::from(ALPHABET[(bits >> shift & 63) as usize]));
        }
    }
    text
}

/// Splits a mail and puts it; its key.
pub(crate) fn put(writer: &mut Writer, bytes: &[u8]) -> Result<MessageKey> {
    let mut pieces = Vec::new();
    let mut splitter = Splitter::new();
    splitter.push(bytes, &mut |piece| pieces.push(piece));
    let message: SplitMessage = splitter.finish(&mut |piece| pieces.push(piece)).unwrap();
    for piece in pieces {
        writer.put_blob(piece)?;
    }
    writer.put_message(&message)?;
    Ok(message.key)
}

pub(crate) fn uid(number: u32) -> Uid {
    Uid::new(number).unwrap()
}

pub(crate) fn uids(text: &str) -> UidSet {
    UidSet::parse(text).unwrap()
}

pub(crate) fn flags(text: &str) -> Flags {
    Flags::parse(text)
}

pub(crate) fn seen(name: &str) -> MailboxSeen {
    MailboxSeen {
        attributes: vec!["\\HasNoChildren".to_owned()],
        ..MailboxSeen::named(MailboxName::from_text(name, Some(b'/')))
    }
}

pub(crate) fn placement(message: MessageKey, number: u32) -> NewPlacement {
    NewPlacement {
        message,
        internal_date: InternalDate::from_unix(1_700_000_000 + i64::from(number) * 60, 60),
        flags: flags("\\Seen"),
        proof: Proof::Bytes,
    }
}

/// A drill of the whole account as it was then.
pub(crate) fn drill(as_of: RunId, outcome: &str) -> DrillInfo {
    DrillInfo {
        scope: DrillScope::Whole,
        as_of: Some(as_of),
        started_ms: 3_000,
        finished_ms: 4_000,
        messages_asked: 70,
        messages_proven: 70,
        bytes_asked: 71_000,
        bytes_proven: 71_000,
        outcome: outcome.to_owned(),
    }
}

/// What a run needs: account, run, mailbox, epoch.
pub(crate) struct Run {
    pub(crate) account: AccountId,
    pub(crate) run: RunId,
    pub(crate) mailbox: MailboxId,
    pub(crate) epoch: EpochId,
}

pub(crate) fn begin(writer: &mut Writer, mailbox: &str) -> Result<Run> {
    let account = writer.account("work", "imap")?;
    let run = writer.begin_run(account, 1_000)?;
    let mailbox = writer.mailbox(account, &seen(mailbox))?;
    let epoch = writer.epoch(mailbox, UidValidity::new(7))?;
    Ok(Run { account, run, mailbox, epoch })
}

/// Puts the mails of these numbers, each under its number as UID.
pub(crate) fn fill(writer: &mut Writer, run: &Run, numbers: std::ops::Range<u32>) -> Result<()> {
    for number in numbers {
        let key = put(writer, &mail(number))?;
        writer.place(run.epoch, uid(number), placement(key, number))?;
    }
    Ok(())
}

/// One whole run that brings these mails.
pub(crate) fn pull(writer: &mut Writer, numbers: std::ops::Range<u32>) -> Run {
    let run = begin(writer, "INBOX").unwrap();
    fill(writer, &run, numbers).unwrap();
    writer.end_run(run.run, "ok", 2_000, "{}").unwrap();
    writer.commit().unwrap();
    run
}

/// UID, key and flags of everything in a mailbox.
pub(crate) fn listing(view: View<'_>, mailbox: MailboxId, when: When) -> Vec<(u32, MessageKey, String)> {
    let mut list = Vec::new();
    view.placements(mailbox, when, &mut |info| {
        list.push((info.uid.get(), info.message, info.flags.to_string()));
        ControlFlow::Continue(())
    })
    .unwrap();
    list
}

/// Reads back every mail that the archive's first mailbox shows, and compares it with what was put.
pub(crate) fn check_mails(view: View<'_>) -> u32 {
    let mut count = 0;
    for account in view.accounts().unwrap() {
        for mailbox in view.mailboxes(account.id).unwrap() {
            for (uid, key, _) in listing(view, mailbox.id, When::default()) {
                assert_eq!(view.read_to_vec(&key).unwrap(), mail(uid));
                count += 1;
            }
        }
    }
    count
}

/// Every mail that can be listed is read and compared; which they are.
pub(crate) fn readable(view: View<'_>) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    for account in view.accounts().unwrap() {
        for mailbox in view.mailboxes(account.id).unwrap() {
            for (uid, key, _) in listing(view, mailbox.id, When::default()) {
                assert_eq!(key, MessageKey::of(&mail(uid)));
                match view.read_to_vec(&key) {
                    Ok(bytes) => assert_eq!(bytes, mail(uid)),
                    Err(error) => {
                        assert!(error.is_damage(), "{error}");
                        continue;
                    }
                }
                found.insert(uid);
            }
        }
    }
    found
}

/// The numbers of the first mails.
pub(crate) fn up_to(last: u32) -> BTreeSet<u32> {
    (1..=last).collect()
}

/// Whether the tests shall take their time (RESTANTE_LONG=1).
pub(crate) fn is_long() -> bool {
    std::env::var_os("RESTANTE_LONG").is_some_and(|value| value == "1")
}

/// An error with its causes.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(&format!(": {error}"));
        source = error.source();
    }
    text
}

/// Says how much was tried; seen with `-- --nocapture`.
#[expect(clippy::print_stdout, reason = "the harness of the tests shows it to whoever asks")]
pub(crate) fn tell(text: &str) {
    println!("{text}");
}
