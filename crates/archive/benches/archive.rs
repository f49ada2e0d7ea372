//! How fast mail goes into an archive and comes out again: blocks compressed, framed, written and synced;
//! packs read, checked and decompressed; the journal replayed into a catalogue.
//!
//! The archives lie in the system's temporary folder (`TMPDIR`): on a slow disk it is the disk that is
//! measured.

#![allow(clippy::unwrap_used, reason = "a measurement that cannot go on should stop where it is")]

use std::path::Path;

use divan::Bencher;
use divan::counter::{BytesCount, ItemsCount};
use message::split::{Piece, SplitMessage, Splitter};
use message::{Flags, InternalDate, MailboxName, MessageKey, Uid, UidValidity};
use restante_archive::{
    Archive, Depth, EpochId, MailboxSeen, NewPlacement, Proof, Writer, WriterOptions, init, rebuild, verify,
};
use tempfile::TempDir;
use testkit::Mail;

fn main() {
    divan::main();
}

/// As often as a pull commits.
const COMMIT_BYTES: u64 = 64 << 20;

/// A message taken apart, as the splitter hands it on.
struct Split {
    pieces: Vec<Piece>,
    message: SplitMessage,
}

fn split(message: &[u8]) -> Split {
    let mut pieces = Vec::new();
    let mut splitter = Splitter::new();
    splitter.push(message, &mut |piece| pieces.push(piece));
    let message = splitter.finish(&mut |piece| pieces.push(piece)).unwrap();
    Split { pieces, message }
}

/// What is written.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// As people have it: most of the bytes in attachments.
    Mail,
    /// Headers and text.
    Letters,
}

impl Kind {
    fn messages(self) -> Vec<Split> {
        let mail = match self {
            Self::Mail => Mail::new(7, 600),
            Self::Letters => Mail::small(7, 4_000),
        };
        mail.messages().map(|message| split(&message.bytes)).collect()
    }
}

fn bytes(messages: &[Split]) -> BytesCount {
    BytesCount::new(messages.iter().map(|split| split.message.size).sum::<u64>())
}

/// An archive with an account that has one mailbox, and a run begun.
fn begin(folder: &Path) -> (Writer, EpochId) {
    init(folder).unwrap();
    let mut writer = Writer::open(folder, WriterOptions::default()).unwrap();
    let account = writer.account("bench", "imap").unwrap();
    writer.begin_run(account, 0).unwrap();
    let seen = MailboxSeen::named(MailboxName::from_text("INBOX", Some(b'/')));
    let mailbox = writer.mailbox(account, &seen).unwrap();
    let epoch = writer.epoch(mailbox, UidValidity::new(1)).unwrap();
    (writer, epoch)
}

fn place(writer: &mut Writer, epoch: EpochId, uid: usize, message: MessageKey) {
    let placement = NewPlacement {
        message,
        internal_date: InternalDate::from_unix(1_750_000_000 + 60 * uid as i64, 0),
        flags: Flags::parse("\\Seen"),
        proof: Proof::Bytes,
    };
    writer.place(epoch, Uid::new(u32::try_from(uid).unwrap()).unwrap(), placement).unwrap();
}

fn write(folder: &Path, messages: &[Split]) {
    let (mut writer, epoch) = begin(folder);
    for (uid, split) in (1..).zip(messages) {
        for piece in &split.pieces {
            writer.put_blob(piece.clone()).unwrap();
        }
        writer.put_message(&split.message).unwrap();
        place(&mut writer, epoch, uid, split.message.key);
        if writer.uncommitted_bytes() > COMMIT_BYTES {
            writer.commit().unwrap();
        }
    }
    writer.commit().unwrap();
}

/// An archive of these messages.
fn written(messages: &[Split]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), messages);
    folder
}

#[divan::bench(args = [Kind::Mail, Kind::Letters], sample_count = 10, sample_size = 1)]
fn write_blocks(bencher: Bencher<'_, '_>, kind: Kind) {
    let messages = kind.messages();
    let fresh = || tempfile::tempdir().unwrap();
    bencher.counter(bytes(&messages)).with_inputs(fresh).bench_local_refs(|folder| {
        write(folder.path(), &messages);
    });
}

#[divan::bench(args = [Kind::Mail, Kind::Letters], sample_count = 10, sample_size = 1)]
fn read_messages(bencher: Bencher<'_, '_>, kind: Kind) {
    let messages = kind.messages();
    let folder = written(&messages);
    bencher.counter(bytes(&messages)).bench_local(|| {
        let archive = Archive::open(folder.path()).unwrap();
        let mut out = |bytes: &[u8]| {
            divan::black_box(bytes);
            Ok(())
        };
        for split in &messages {
            archive.view().read(&split.message.key, &mut out).unwrap();
        }
    });
}

#[divan::bench(args = [Kind::Mail, Kind::Letters], sample_count = 10, sample_size = 1)]
fn verify_all(bencher: Bencher<'_, '_>, kind: Kind) {
    let messages = kind.messages();
    let folder = written(&messages);
    bencher.counter(bytes(&messages)).bench_local(|| {
        let report = verify(folder.path(), Depth::Full, None, &mut |_| ()).unwrap();
        assert!(report.is_whole(), "{report:?}");
    });
}

/// Records of placements: encoded, put into a catalogue, compressed, written, synced.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn journal_placements(bencher: Bencher<'_, '_>) {
    const PLACEMENTS: usize = 50_000;
    let message = split(b"Subject: one\r\n\r\nfor all\r\n");
    let fresh = || {
        let folder = tempfile::tempdir().unwrap();
        let (mut writer, epoch) = begin(folder.path());
        message.pieces.iter().for_each(|piece| writer.put_blob(piece.clone()).unwrap());
        writer.put_message(&message.message).unwrap();
        writer.commit().unwrap();
        (writer, epoch, folder)
    };
    bencher.counter(ItemsCount::new(PLACEMENTS)).with_inputs(fresh).bench_local_refs(|(writer, epoch, _)| {
        (1..=PLACEMENTS).for_each(|uid| place(writer, *epoch, uid, message.message.key));
        writer.commit().unwrap();
    });
}

/// The journal read, and the catalogue made of it, in messages.
#[divan::bench(sample_count = 10, sample_size = 1)]
fn rebuild_catalogue(bencher: Bencher<'_, '_>) {
    let messages = Kind::Letters.messages();
    let folder = written(&messages);
    bencher.counter(ItemsCount::new(messages.len())).bench_local(|| {
        let report = rebuild(folder.path()).unwrap();
        assert!(report.damage.is_empty(), "{report:?}");
    });
}
