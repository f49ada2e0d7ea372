//! Comparing the bytes of messages that were recognised without them.
//!
//! In each run some of those that earlier runs matched by header are fetched, until none is left.
//! One that turns out to be another message says that matches in this folder are not to be relied
//! on, and while they wait, the true bytes are on the server alone: then all of the folder's are
//! fetched at once.

use std::collections::HashMap;

use archive::EpochId;
use message::{MessageKey, Uid, UidSet};
use remote::imap::Session;

use super::fetch::Wanted;
use super::folder::{FolderState, fetch_and_account, survey};
use super::{Context, RunError};
use crate::ledger::FolderLedger;

/// Proves some of these placements, as many as the run still has to; all of them if one was wrong.
pub(super) async fn prove(
    context: &Context<'_>,
    session: &mut Session,
    folder: &mut FolderState<'_>,
    entry: &mut FolderLedger,
    epoch: EpochId,
    unproven: &UidSet,
) -> Result<(), RunError> {
    let share = usize::try_from(*folder.to_prove).unwrap_or(usize::MAX);
    let sample: UidSet = unproven.iter().take(share).collect();
    if sample.is_empty() {
        return Ok(());
    }
    *folder.to_prove -= sample.len();
    let wrong = fetch_again(context, session, folder, entry, epoch, &sample).await?;
    let rest = unproven.difference(&sample);
    if wrong > 0 && !rest.is_empty() {
        entry.notices.push(format!(
            "{wrong} of {} messages that were recognised by their headers were other ones; \
             the other {} are fetched now",
            sample.len(),
            rest.len()
        ));
        fetch_again(context, session, folder, entry, epoch, &rest).await?;
    }
    Ok(())
}

/// Fetches messages that are held, and says how many were other ones.
async fn fetch_again(
    context: &Context<'_>,
    session: &mut Session,
    folder: &mut FolderState<'_>,
    entry: &mut FolderLedger,
    epoch: EpochId,
    uids: &UidSet,
) -> Result<usize, RunError> {
    let before = keys(context, epoch, uids).await?;
    let mut messages = survey(session, uids).await?;
    folder.peek.try_out(session, &messages, &mut entry.bytes_fetched).await?;
    messages.retain(|message| folder.peek.may_fetch(message));
    let wanted = Wanted { epoch, messages, prove: true };
    fetch_and_account(context, session, folder, entry, &wanted, &[]).await?;
    let after = keys(context, epoch, uids).await?;
    Ok(before.iter().filter(|(uid, key)| after.get(uid) != Some(key)).count())
}

async fn keys(
    context: &Context<'_>,
    epoch: EpochId,
    uids: &UidSet,
) -> Result<HashMap<Uid, MessageKey>, RunError> {
    // What has just been stored can be looked up once it is committed.
    context.pipeline.commit().await?;
    let uids = uids.clone();
    let keys = context.pipeline.ask(move |writer| {
        let view = writer.view();
        let mut keys = HashMap::new();
        for uid in uids.iter() {
            keys.extend(view.placement(epoch, uid)?.map(|held| (uid, held.message)));
        }
        Ok(keys)
    });
    keys.await
}
