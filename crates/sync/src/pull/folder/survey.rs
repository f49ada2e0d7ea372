//! What the server says of messages before they are fetched.

use std::collections::HashMap;

use archive::EpochId;
use message::{Uid, UidSet};
use remote::imap::{Session, Surveyed};

use super::super::peek;
use super::super::{Context, RunError};
use super::FolderState;
use crate::ledger::{FolderLedger, Item};
use crate::plan;
use crate::renames;

/// What the server said of messages that are still to be dealt with.
#[derive(Default)]
pub(super) struct Answers {
    /// Which messages were asked about, whether it had an answer or not.
    asked: UidSet,
    told: HashMap<Uid, Surveyed>,
}

impl Answers {
    pub(super) fn put(&mut self, asked: &UidSet, told: Vec<Surveyed>) {
        self.asked.extend_from(asked);
        self.told.extend(told.into_iter().map(|message| (message.uid, message)));
    }

    /// Those that were not asked about.
    pub(super) fn not_in(&self, uids: &UidSet) -> UidSet {
        uids.difference(&self.asked)
    }

    /// What was said of these, in order, if all of them were asked about.
    fn take(&mut self, uids: &UidSet) -> Option<Vec<Surveyed>> {
        if uids.is_empty() || !self.not_in(uids).is_empty() {
            return None;
        }
        self.asked = self.asked.difference(uids);
        Some(uids.iter().filter_map(|uid| self.told.remove(&uid)).collect())
    }
}

/// What the server says of messages that are to be fetched.
pub(super) async fn survey_missing(
    session: &mut Session,
    folder: &mut FolderState<'_>,
    entry: &mut FolderLedger,
    uids: &UidSet,
) -> Result<Vec<Surveyed>, RunError> {
    let messages = look(session, folder, uids).await?;
    harmless(session, folder, entry, messages).await
}

/// What the server says of these messages: now, or a moment ago.
pub(super) async fn look(
    session: &mut Session,
    folder: &mut FolderState<'_>,
    uids: &UidSet,
) -> Result<Vec<Surveyed>, RunError> {
    match folder.surveyed.take(uids) {
        Some(messages) => Ok(messages),
        None => survey(session, uids).await,
    }
}

/// Those of the messages that can be fetched without changing them; the others are named.
pub(super) async fn harmless(
    session: &mut Session,
    folder: &mut FolderState<'_>,
    entry: &mut FolderLedger,
    mut messages: Vec<Surveyed>,
) -> Result<Vec<Surveyed>, RunError> {
    folder.peek.try_out(session, &messages, &mut entry.bytes_fetched).await?;
    messages.retain(|message| {
        let may = folder.peek.may_fetch(message);
        if !may && !folder.left_unread.contains(message.uid) {
            folder.left_unread.insert(message.uid);
            entry.failed.push(Item::new(message.uid, peek::WHY_LEFT.to_owned()));
        }
        may
    });
    Ok(messages)
}

pub(in crate::pull) async fn survey(session: &mut Session, uids: &UidSet) -> Result<Vec<Surveyed>, RunError> {
    let mut messages = Vec::new();
    session.survey(uids, &mut |message| messages.push(message)).await?;
    messages.retain(|message: &Surveyed| uids.contains(message.uid));
    Ok(in_order(messages))
}

pub(super) fn in_order(mut messages: Vec<Surveyed>) -> Vec<Surveyed> {
    messages.sort_by_key(|message| message.uid);
    messages.dedup_by_key(|message| message.uid);
    messages
}

/// Whether the mailbox that is open has the messages of this epoch of the archive, by UID, size
/// and INTERNALDATE: then it was renamed. Fetches no content.
pub(in crate::pull) async fn has_the_messages_of(
    context: &Context<'_>,
    session: &mut Session,
    epoch: EpochId,
) -> Result<bool, RunError> {
    let uids = context.pipeline.ask(move |writer| {
        let mut uids = writer.view().held_uids(epoch)?;
        uids.extend_from(&writer.view().lost_uids(epoch)?);
        Ok(uids)
    });
    let uids = uids.await?;
    for window in plan::windows(&uids) {
        let (Some(first), Some(last)) = (window.first(), window.last()) else { continue };
        let known = context.pipeline.ask(move |writer| writer.view().survey_in(epoch, first..=last)).await?;
        let known: Vec<_> = known.into_iter().map(|(uid, size, date, _)| (uid, size, date.unix())).collect();
        let now = survey(session, &window).await?;
        let now: Vec<_> = now
            .into_iter()
            .map(|message| (message.uid, message.size, message.internal_date.unix()))
            .collect();
        if !renames::is_same(&known, &now) {
            return Ok(false);
        }
    }
    Ok(!uids.is_empty())
}
