//! One folder, from the first look to the proof, through any number of cuts.
//!
//! A look says what is missing; that is sent; another look, on the connection that only reads, is the
//! proof. When a connection is cut, everything begins with a look again. So a restore needs no memory
//! of its own, and what the server has taken without being heard is not sent twice.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use message::escape::escape;
use message::{Flags, MailboxName, Uid, UidSet};
use remote::imap::{Session, Target};

use super::append::{append, kept};
use super::error::RestoreError;
use super::folder::{Folder, ProvenState, State};
use super::line::Line;
use super::look::{Depth, Look, look, settle_by_bytes};
use super::pairing::How;
use super::proof::{self, are_same};
use super::{Room, Verify, quiet};

/// At least so many messages of a folder are compared byte for byte, and one of so many.
const SAMPLE_LEAST: usize = 20;
const SAMPLE_SHARE: usize = 100;

/// Brings a folder to the target and proves it. What concerns only this folder is told in its report.
pub(super) async fn restore(
    room: &Room<'_>,
    line: &mut Line,
    folder: &mut Folder,
) -> Result<Option<ProvenState>, RestoreError> {
    loop {
        room.may_go_on()?;
        let missing_before = folder.missing().count();
        let error = tokio::select! {
            biased;
            done = attempt(room, line, folder) => match done {
                Ok(proven) => return Ok(proven),
                Err(error) => error,
            },
            () = room.surroundings.stop.wait() => RestoreError::Stopped,
        };
        if error.is_of_one_folder() {
            folder.in_flight.clear();
            return Err(error);
        }
        folder.is_unsettled |= !folder.in_flight.is_empty();
        if error.is_a_cut() {
            folder.note_cut(room.job.limits.patience.cuts_before_skipped);
        }
        folder.in_flight.clear();
        if folder.missing().count() < missing_before {
            line.gained();
        }
        line.cut(room, error).await?;
    }
}

async fn attempt(
    room: &Room<'_>,
    line: &mut Line,
    folder: &mut Folder,
) -> Result<Option<ProvenState>, RestoreError> {
    if room.job.verify == Verify::Full {
        folder.depth = Depth::Bytes;
    }
    loop {
        let mut seen = plan(room, line, folder).await?;
        if room.job.dry_run {
            return Ok(None);
        }
        let full = send(room, line, folder).await?;
        if room.job.verify == Verify::Off {
            set_flags(room, line, folder, &mut seen).await?;
            return full.map_or(Ok(None), Err);
        }
        room.progress.proof_begins(&folder.report.folder, folder.wanted.len() as u64);
        if folder.changed {
            seen = sampled_look(room, line, folder).await?;
        }
        if full.is_none() && folder.demote(&seen) {
            continue;
        }
        set_flags(room, line, folder, &mut seen).await?;
        proof::prove(folder, &seen, room.job.keep_flags);
        let state = ProvenState { validity: seen.validity, messages: seen.seen.len() as u64 };
        return full.map_or(Ok(Some(state)), Err);
    }
}

/// Finds out what is there, and what need not be sent.
async fn plan(room: &Room<'_>, line: &mut Line, folder: &mut Folder) -> Result<Look, RestoreError> {
    let seen = match folder.is_planned {
        true => Look::at_nothing(folder.wanted.len()),
        false => sampled_look(room, line, folder).await?,
    };
    if folder.missing().next().is_some() {
        let target = line.writing(room).await?;
        leave_out_what_is_too_large(target, folder).await?;
    }
    Ok(seen)
}

/// Sends what is missing. A full target is given back as the error that it is, after what it has taken
/// before: that is proven all the same.
async fn send(
    room: &Room<'_>,
    line: &mut Line,
    folder: &mut Folder,
) -> Result<Option<RestoreError>, RestoreError> {
    if folder.missing().next().is_none() {
        return Ok(None);
    }
    let target = line.writing(room).await?;
    ask_what_is_kept(target, folder).await?;
    let full = match append(room, target, folder).await {
        Ok(()) => None,
        Err(full @ RestoreError::TargetFull(_)) => {
            room.halted.set(true);
            Some(full)
        }
        Err(error) => return Err(error),
    };
    line.gained();
    Ok(full)
}

/// A look, of whose pairs that were found by their headers some are compared by their bytes; if one is
/// wrong, all are, from then on. So neither what is believed to be there nor what is proven rests on
/// headers alone.
async fn sampled_look(room: &Room<'_>, line: &mut Line, folder: &mut Folder) -> Result<Look, RestoreError> {
    let session = line.reading(room).await?;
    if folder.is_unsettled {
        quiet::wait(room, session, std::slice::from_ref(&folder.name)).await?;
        folder.is_unsettled = false;
    }
    let given: HashSet<Uid> = folder.given.values().copied().collect();
    let mut seen =
        look(&room.reader, session, &folder.name, &mut folder.wanted, &given, folder.depth).await?;
    let by_header = |&index: &usize| seen.of(index).is_some_and(|(_, how)| *how == How::Header);
    let by_header: Vec<usize> = (0..folder.wanted.len()).filter(by_header).collect();
    let sample = sample(&by_header, room.surroundings.dice.throw());
    let wrong = settle_by_bytes(session, &folder.wanted, &mut seen, &sample).await?;
    if !wrong.is_empty() {
        folder.report.notices.push(format!(
            "{} of {} messages that were compared have the right header and another content: all were \
             compared byte for byte",
            wrong.len(),
            sample.len()
        ));
        folder.depth = Depth::Bytes;
        seen = look(&room.reader, session, &folder.name, &mut folder.wanted, &given, folder.depth).await?;
    }
    let (messages, bytes) = folder.note_look(&seen);
    room.progress.there(messages, bytes);
    Ok(seen)
}

/// What the server says beforehand that it will not take need not be sent (RFC 7889).
async fn leave_out_what_is_too_large(target: &mut Target, folder: &mut Folder) -> Result<(), RestoreError> {
    let asked = if folder.is_planned { MailboxName::from_text("INBOX", None) } else { folder.name.clone() };
    let Some(limit) = target.append_limit(&asked).await? else { return Ok(()) };
    let too_large: Vec<usize> = folder.missing().filter(|&index| folder.wanted[index].size > limit).collect();
    for index in too_large {
        let size = folder.wanted[index].size;
        let why = format!("it has {size} octets, and the server takes no more than {limit} (APPENDLIMIT)");
        folder.refuse(index, why, false);
    }
    Ok(())
}

/// Opens the mailbox for writing to learn which flags it keeps, and closes it again: the server shall
/// not tell us of each message that we add to it.
async fn ask_what_is_kept(target: &mut Target, folder: &mut Folder) -> Result<(), RestoreError> {
    if folder.keeps.is_none() {
        let selected = target.select(&folder.name).await?;
        folder.keeps = selected.permanent_flags;
        target.unselect().await?;
    }
    Ok(())
}

/// Evenly spread over all, from a random beginning.
fn sample(all: &[usize], chance: f64) -> Vec<usize> {
    let count = (all.len() / SAMPLE_SHARE).max(SAMPLE_LEAST).min(all.len());
    if count == 0 {
        return Vec::new();
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index below the length"
    )]
    let start = (chance.clamp(0.0, 1.0) * all.len() as f64) as usize;
    (0..count).map(|number| all[(start + number * all.len() / count) % all.len()]).collect()
}

/// Gives the messages that are there the flags that the archive knows, where they differ.
async fn set_flags(
    room: &Room<'_>,
    line: &mut Line,
    folder: &mut Folder,
    look: &mut Look,
) -> Result<(), RestoreError> {
    let differs = differing(room, folder, look);
    if differs.is_empty() {
        return Ok(());
    }
    let target = line.writing(room).await?;
    let selected = target.select(&folder.name).await?;
    let mut sets: HashMap<Flags, UidSet> = HashMap::new();
    for &index in &differs {
        let Some((seen, _)) = look.of(index) else { continue };
        let flags = kept(&folder.wanted[index].flags, selected.permanent_flags.as_ref());
        // Flags that the mailbox does not keep make no difference that STORE could mend.
        if !are_same(&flags, &seen.flags) {
            sets.entry(flags).or_default().extend_from(&UidSet::from_iter([seen.uid]));
        }
    }
    let mut refused = BTreeMap::new();
    for (flags, uids) in &sets {
        if store(target, uids, flags, &mut refused).await? {
            folder.report.flags_set += uids.len();
        }
    }
    folder.report.notices.extend(
        refused.iter().map(|(flag, error)| format!("flags could not be set: {} ({error})", escape(flag))),
    );
    target.unselect().await?;
    let name = folder.name.clone();
    read_flags(room, line, &name, look, &sets).await
}

/// Sets flags, and if that is refused as many of them as the server takes; whether anything was set.
/// Flags found to be refused are noted with the refusal, and left out from then on.
async fn store(
    target: &mut Target,
    uids: &UidSet,
    flags: &Flags,
    refused: &mut BTreeMap<String, String>,
) -> Result<bool, RestoreError> {
    let hopeful: Flags = flags.iter().filter(|flag| !refused.contains_key(*flag)).collect();
    if hopeful.is_empty() && !flags.is_empty() {
        return Ok(false);
    }
    let Some(error) = try_to_store(target, uids, &hopeful).await? else { return Ok(true) };
    let mut taken = Flags::new();
    for flag in hopeful.iter() {
        let more: Flags = taken.iter().chain([flag]).collect();
        match try_to_store(target, uids, &more).await? {
            None => taken = more,
            Some(error) => drop(refused.insert(flag.to_owned(), error)),
        }
    }
    if hopeful.is_empty() {
        refused.insert("none".to_owned(), error);
    }
    Ok(!taken.is_empty())
}

/// The refusal, if it is refused.
async fn try_to_store(
    target: &mut Target,
    uids: &UidSet,
    flags: &Flags,
) -> Result<Option<String>, RestoreError> {
    match target.store_flags(uids, flags).await {
        Ok(()) => Ok(None),
        Err(error) if error.kind() == remote::Kind::Refused => Ok(Some(error.to_string())),
        Err(error) => Err(error.into()),
    }
}

/// Messages whose flags are not those of the archive and shall be.
fn differing(room: &Room<'_>, folder: &Folder, look: &Look) -> Vec<usize> {
    let differs = |&index: &usize| {
        let is_left_alone = room.job.keep_flags && folder.states[index] == State::There;
        let flags = &folder.wanted[index].flags;
        !is_left_alone && look.of(index).is_some_and(|(seen, _)| !are_same(flags, &seen.flags))
    };
    (0..folder.wanted.len()).filter(differs).collect()
}

/// The connection that reads, with the mailbox open that a look has opened on it.
async fn reading_in<'l>(
    room: &Room<'_>,
    line: &'l mut Line,
    mailbox: &MailboxName,
) -> Result<&'l mut Session, RestoreError> {
    let alternates = line.alternates();
    let session = line.reading(room).await?;
    if alternates {
        session.examine(mailbox, None).await?;
    }
    Ok(session)
}

/// Reads the flags again that were set, over the other connection.
async fn read_flags(
    room: &Room<'_>,
    line: &mut Line,
    mailbox: &MailboxName,
    look: &mut Look,
    sets: &HashMap<Flags, UidSet>,
) -> Result<(), RestoreError> {
    let mut uids = UidSet::new();
    sets.values().for_each(|set| uids.extend_from(set));
    if uids.is_empty() {
        return Ok(());
    }
    let session = reading_in(room, line, mailbox).await?;
    // The server tells of changes made elsewhere when it is asked for anything.
    session.recount().await?;
    let mut now = HashMap::new();
    session.flags(&uids, None, &mut |change| drop(now.insert(change.uid, change.flags))).await?;
    for seen in &mut look.seen {
        if let Some(flags) = now.remove(&seen.uid) {
            seen.flags = Arc::new(flags);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_has_twenty_or_one_in_a_hundred_each_once() {
        for (all, expected) in [(0, 0), (7, 7), (100, 20), (2_000, 20), (11_424, 114)] {
            let all: Vec<usize> = (0..all).collect();
            for chance in [0.0, 0.3, 0.999_999, 1.0] {
                let mut sample = sample(&all, chance);
                sample.sort_unstable();
                sample.dedup();
                assert_eq!(sample.len(), expected, "of {} by {chance}", all.len());
            }
        }
    }
}
