//! Everything that a program does with an archive, done with one that nobody can vouch for.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use message::split::Splitter;
use message::{MailboxName, MessageKey, Uid, UidSet, Uidl};

use crate::surroundings::Surroundings;
use crate::*;

/// A message that a writer adds.
const MAIL: &[u8] = b"Subject: after all\r\n\r\nStill here.\r\n";

/// Opens, lists, reads, verifies, rebuilds, writes, compacts; and then all that can be read once more.
pub(super) fn take(place: &Place) {
    if !look(place) {
        return;
    }
    let report = match rebuild_at(place) {
        Ok(report) => report,
        Err(error) => return refused(&error),
    };
    let dice = Arc::new(Dice::default());
    let Some(commit) = write(place, dice.clone()) else { return };
    assert!(commit.number > report.last_commit.number, "{commit} after {}", report.last_commit);
    look_for_mail(place);
    for _ in 0..2 {
        compact(place, dice.clone());
        look_for_mail(place);
    }
}

fn look_for_mail(place: &Place) {
    assert!(look(place), "an archive that was written to cannot be opened");
    let archive = Archive::open_at(place.clone()).expect("it was just opened");
    let read = archive.view().read_to_vec(&MessageKey::of(MAIL));
    assert_eq!(read.expect("what was committed is there"), MAIL);
}

/// Makes of the packs what can be made of them; the second time without the old ones.
fn compact(place: &Place, dice: Arc<Dice>) {
    let options = CompactOptions {
        level: 1,
        least_bytes: 0,
        block_bytes: 1 << 20,
        grace: Duration::ZERO,
        ..CompactOptions::default()
    };
    match compact_at(place, dice, &options, &mut |_| ControlFlow::Continue(())) {
        Ok(report) => assert!(!report.is_broken_off),
        Err(Error::NumbersUsedUp { .. }) => {}
        Err(error) => panic!("{error}: {error:?}"),
    }
}

/// Verifies and reads all; false when the archive is refused as one of a later version.
fn look(place: &Place) -> bool {
    for depth in [Depth::Quick, Depth::Full] {
        match verify_at(place, depth, None, &mut |_| ()) {
            Ok(_) => {}
            Err(error) => {
                refused(&error);
                return false;
            }
        }
    }
    match Archive::open_at(place.clone()) {
        Ok(archive) => read_all(archive.view()).expect("a catalogue made from packs can be read"),
        Err(error) => {
            refused(&error);
            return false;
        }
    }
    true
}

/// The only reason for which an archive with right checksums may be refused as a whole.
fn refused(error: &Error) {
    assert!(matches!(error, Error::NewerFormat { .. }), "{error}: {error:?}");
}

/// Asks everything that can be asked.
fn read_all(view: View<'_>) -> Result<()> {
    let mut messages = 0;
    for account in view.accounts()? {
        view.runs(account.id, 100)?;
        view.run_as_of(account.id, i64::MAX)?;
        view.totals(Some(account.id))?;
        view.unproven_count(account.id)?;
        view.account(&account.name)?;
        view.last_drill(account.id)?;
        for when in [When { as_of: Some(RunId(1)), deleted: true }, When { as_of: None, deleted: true }] {
            for mailbox in view.mailboxes_as_of(account.id, when)? {
                view.changes(&[mailbox.id])?;
                view.wanted(&[mailbox.id], when, &mut |_| ControlFlow::Continue(()))?;
            }
        }
        for mailbox in view.mailboxes(account.id)? {
            let _ = mailbox.name.components();
            let mut listed = Vec::new();
            for when in [When::default(), When { as_of: Some(RunId(1)), ..When::default() }] {
                view.placements(mailbox.id, when, &mut |placed| {
                    listed.push(placed);
                    ControlFlow::Continue(())
                })?;
            }
            for placed in listed {
                messages += 1;
                if messages < 200 {
                    read_one(view, account.id, &placed)?;
                }
            }
            for epoch in view.epochs(mailbox.id)? {
                let held: UidSet = view.held_uids(epoch.id)?;
                view.unproven(epoch.id)?;
                view.troubles(epoch.id)?;
                view.pop3_names(epoch.id)?;
                view.pop3_next_uid(epoch.id)?;
                if let Some((first, last)) = held.first().zip(held.last()) {
                    view.placement(epoch.id, first)?;
                    view.flags_in(epoch.id, first..=last)?;
                }
                view.placement(epoch.id, Uid::MAX)?;
            }
        }
    }
    view.totals(None)?;
    view.sizes()?;
    view.find("00")?;
    Ok(())
}

/// S11: right, or not at all.
fn read_one(view: View<'_>, account: AccountId, placed: &PlacementInfo) -> Result<()> {
    match view.read_to_vec(&placed.message) {
        Ok(bytes) => {
            assert_eq!(MessageKey::of(&bytes), placed.message);
            assert!(!view.life_of(account, &placed.message)?.is_empty());
            let recipe = view.message(&placed.message)?.expect("it has just been read").recipe;
            let header = view.header_of(&placed.message)?;
            assert!(recipe.header().is_none() || header.as_ref() == recipe.header());
            view.candidates(account, bytes.len() as u64)?;
        }
        Err(error) => assert!(error.is_damage(), "{error}: {error:?}"),
    }
    Ok(())
}

/// Adds a message to the archive; `None` when it is refused as one of a later version.
fn write(place: &Place, dice: Arc<Dice>) -> Option<CommitId> {
    let options = WriterOptions::default();
    let mut writer = match Writer::open_at(place.clone(), dice, options) {
        Ok(writer) => writer,
        Err(error) => {
            refused(&error);
            return None;
        }
    };
    let written = add(&mut writer);
    match written {
        Ok(commit) => Some(commit),
        // Numbers that a stranger has used up to the last are an error, not a panic.
        Err(Error::NumbersUsedUp { .. }) => None,
        Err(error) => panic!("{error}: {error:?}"),
    }
}

fn add(writer: &mut Writer) -> Result<CommitId> {
    let account = writer.account("helper", "pop3")?;
    let seen = MailboxSeen::named(MailboxName::from_text("INBOX", None));
    let run = writer.begin_run(account, 0)?;
    let mut pieces = Vec::new();
    let mut splitter = Splitter::new();
    splitter.push(MAIL, &mut |piece| pieces.push(piece));
    let message = splitter.finish(&mut |piece| pieces.push(piece)).expect("memory keeps what it is given");
    for piece in pieces {
        writer.put_blob(piece)?;
    }
    writer.put_message(&message)?;
    let mailbox = writer.mailbox(account, &seen)?;
    let epoch = writer.pop3_epoch(mailbox)?;
    if let Some(uid) = writer.view().pop3_next_uid(epoch)? {
        writer.name(epoch, &[PopName { uid, uidl: Uidl::new(b"after all"), octets: MAIL.len() as u64 }])?;
    }
    writer.end_run(run, "ok", 0, "{}")?;
    writer.commit()?;
    Ok(writer.last_commit())
}

/// Chance without chance: the ids of new packs are none that a forger uses.
#[derive(Debug, Default)]
struct Dice(AtomicU8);

impl Surroundings for Dice {
    fn random(&self) -> std::io::Result<[u8; 16]> {
        Ok([0xe0 | self.0.fetch_add(1, Ordering::Relaxed); 16])
    }

    fn unix_ms(&self) -> i64 {
        0
    }
}
