//! What is missing, brought: recognised where the archive has it under another UID, else fetched, the
//! newest first.

use message::UidSet;
use remote::imap::{Next, Session};

use super::super::copies::place_copies;
use super::super::fetch::Wanted;
use super::super::prove::prove;
use super::super::recognise::recognise;
use super::super::revive::revive;
use super::super::{Context, RunError};
use super::FolderState;
use super::held::Held;
use super::reckoning::fetch_and_account;
use super::survey::{harmless, look, survey_missing};
use crate::ledger::FolderLedger;
use crate::plan;
use crate::retry::message_is_due;

/// What the server has and the archive has not, but for messages that are left alone for a while.
pub(super) fn missing(
    context: &Context<'_>,
    folder: &FolderState<'_>,
    held: &Held,
    server: &UidSet,
) -> UidSet {
    let now = context.run.get();
    let resting =
        held.troubles.iter().filter(|trouble| !message_is_due(trouble.attempts, trouble.last_run.get(), now));
    let left_out: UidSet = resting.map(|trouble| trouble.uid).chain(folder.skipped.iter()).collect();
    server.difference(&held.uids).difference(&left_out)
}

/// One round: what has vanished is recorded, what the archive has under another UID is recognised,
/// the rest is fetched.
pub(super) async fn catch_up(
    context: &Context<'_>,
    session: &mut Session,
    folder: &mut FolderState<'_>,
    entry: &mut FolderLedger,
    held: &mut Held,
    server: &UidSet,
    exists: u64,
) -> Result<(), RunError> {
    let epoch = held.epoch;
    let gone = held.gone_from(server);
    // A list that is shorter than the server's own count says nothing about what is not in it.
    if !gone.is_empty() && server.len() >= exists {
        entry.vanished += gone.len();
        held.uids = held.uids.difference(&gone);
        held.lost = held.lost.difference(&gone);
        context.pipeline.ask(move |writer| writer.vanished(epoch, &gone)).await?;
    }
    let mut missing = missing(context, folder, held, server);

    if folder.may_match {
        for window in plan::windows(&missing.difference(&held.lost)) {
            let mut surveyed = look(session, folder, &window).await?;
            let again = revive(context, held.before, &held.same_validity, &surveyed).await?;
            folder.delivered += again.len();
            held.uids.extend_from(&again);
            surveyed.retain(|message| !again.contains(message.uid));
            surveyed = harmless(session, folder, entry, surveyed).await?;
            let found = recognise(context, session, epoch, &surveyed, &mut entry.bytes_fetched).await?;
            entry.matched_by_header += found.len();
            entry.new += found.len();
            folder.delivered += found.len();
            held.uids.extend_from(&found);
            surveyed.retain(|message| !found.contains(message.uid));
            if missing.len() <= plan::WINDOW_MESSAGES {
                folder.surveyed.put(&window, surveyed);
            }
        }
        missing = missing.difference(&held.uids);
    }
    let unproven = std::mem::take(&mut held.unproven).intersection(server).intersection(&held.uids);
    prove(context, session, folder, entry, epoch, &unproven).await?;
    folder.waiting = missing.len();
    // Newest first: when a run ends early, it is the old mail that waits.
    let mut windows = plan::windows(&missing);
    while let Some(window) = windows.pop() {
        let mut messages = survey_missing(session, folder, entry, &window).await?;
        held.uids.extend_from(&place_copies(context, session, folder, entry, epoch, &mut messages).await?);
        let wanted = Wanted { epoch, messages, prove: false };
        let octets = wanted.messages.iter().map(|message| message.size).sum();
        context.progress.folder_begins(&entry.folder, wanted.messages.len() as u64, octets);
        let next = what_follows(folder, windows.last());
        let stored = fetch_and_account(context, session, folder, entry, &wanted, &next).await?;
        folder.copies.note(epoch, &wanted.messages, &stored);
        let healed = stored.intersection(&held.lost);
        entry.new += stored.len() - healed.len();
        held.uids.extend_from(&stored);
        if !healed.is_empty() {
            entry.healed += healed.len();
            held.lost = held.lost.difference(&healed);
            // The same messages may be missed in other folders, which shall see that they are back.
            context.pipeline.commit().await?;
        }
    }
    Ok(())
}

/// What is asked after the bodies of a window: about the next one, or what comes after the last.
fn what_follows(folder: &FolderState<'_>, next: Option<&UidSet>) -> Vec<Next> {
    match next {
        Some(window) if folder.surveyed.not_in(window).is_empty() => Vec::new(),
        Some(window) => vec![Next::Survey(window.clone())],
        None => folder.then.clone(),
    }
}
