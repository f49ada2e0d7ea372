//! What was fetched, what was not, and why: nothing that the server has and the archive has not is left
//! without a name.

use std::collections::{HashMap, HashSet};

use archive::{EpochId, TroubleInfo};
use message::{Uid, UidSet};
use remote::imap::{Next, Session};

use super::super::fetch::{Brought, Wanted, bring};
use super::super::{Context, RunError};
use super::FolderState;
use super::held::Held;
use crate::ledger::{FolderLedger, Item};
use crate::plan;

/// Fetches, and returns what the archive has taken. What failed is recorded with its reason. `next`
/// is what will be asked of the session then.
pub(in crate::pull) async fn fetch_and_account(
    context: &Context<'_>,
    session: &mut Session,
    folder: &mut FolderState<'_>,
    entry: &mut FolderLedger,
    wanted: &Wanted,
    next: &[Next],
) -> Result<UidSet, RunError> {
    let mut brought = Brought::default();
    let doubts = folder.doubts.among(&wanted.messages);
    // Not behind the first of several fetches: it would be in the way of the others.
    let at_once =
        doubts.is_empty() && wanted.messages.iter().all(|message| message.size <= plan::WHOLE_BYTES);
    session.expect(if at_once { next } else { &[] });
    let result = bring(context, session, wanted, &doubts, &mut brought, &mut entry.bytes_fetched).await;
    folder.delivered += brought.delivered.len();
    if let Err(error) = &result {
        folder.on_its_way = brought.on_its_way();
        if !wanted.prove && !matches!(error, RunError::Remote(_)) {
            entry.notices.push(forecast(folder.waiting.saturating_sub(brought.delivered.len()), wanted));
        }
        // The entry counts what is stored; the caller will not come back here for it.
        entry.new += if wanted.prove { 0 } else { brought.delivered.len() };
    }
    result?;
    folder.waiting = folder.waiting.saturating_sub(wanted.messages.len() as u64);
    context.pipeline.flush().await?;
    let spoilt = context.pipeline.take_spoilt();
    let spoilt_uids: UidSet = spoilt.iter().map(|(uid, _)| *uid).collect();
    for (uid, why) in spoilt.into_iter().chain(brought.refused) {
        note_failure(context, wanted.epoch, entry, uid, why).await?;
    }
    Ok(brought.delivered.difference(&spoilt_uids))
}

/// What is left for later runs, judged by the messages at hand.
fn forecast(waiting: u64, at_hand: &Wanted) -> String {
    let octets: u64 = at_hand.messages.iter().map(|message| message.size).fold(0, u64::saturating_add);
    let each = octets / (at_hand.messages.len() as u64).max(1);
    format!("{waiting} messages are still to be fetched, about {} octets", waiting.saturating_mul(each))
}

async fn note_failure(
    context: &Context<'_>,
    epoch: EpochId,
    entry: &mut FolderLedger,
    uid: Uid,
    why: String,
) -> Result<(), RunError> {
    if entry.failed.iter().any(|item| item.uid == Some(uid.get())) {
        return Ok(());
    }
    entry.failed.push(Item::new(uid, why.clone()));
    context.pipeline.ask(move |writer| writer.trouble(epoch, uid, &why)).await
}

/// Names every message that the server has and the archive has not, with the reason.
pub(super) async fn name_what_is_missing(
    context: &Context<'_>,
    folder: &FolderState<'_>,
    entry: &mut FolderLedger,
    held: &Held,
    server: &UidSet,
) -> Result<(), RunError> {
    let missing = server.difference(&held.uids);
    // What failed and has left the server since is no loss; what was left unread and has been read and
    // fetched since is no failure.
    let is_missing = |item: &Item| {
        let fetched = |uid| folder.left_unread.contains(uid) && held.uids.contains(uid);
        item.uid.and_then(Uid::new).is_none_or(|uid| server.contains(uid) && !fetched(uid))
    };
    entry.failed.retain(is_missing);
    let named: HashSet<u32> = entry.failed.iter().filter_map(|item| item.uid).collect();
    let troubles: HashMap<Uid, &TroubleInfo> =
        held.troubles.iter().map(|trouble| (trouble.uid, trouble)).collect();
    for uid in missing.iter() {
        let trouble = troubles.get(&uid);
        if named.contains(&uid.get()) {
            continue;
        } else if folder.skipped.contains(uid) {
            let why = "the connection is cut whenever it is fetched".to_owned();
            note_failure(context, held.epoch, entry, uid, why).await?;
        } else if let Some(trouble) = trouble {
            let why =
                format!("failed in {} runs, will be tried again later: {}", trouble.attempts, trouble.reason);
            entry.skipped.push(Item::new(uid, why));
        } else {
            note_failure(
                context,
                held.epoch,
                entry,
                uid,
                "the server lists it but does not send it".to_owned(),
            )
            .await?;
        }
    }
    Ok(())
}
