//! Which messages the server has: the set that all else is reckoned from.
//!
//! A list that is shorter than the server's own count never makes a message count as vanished.

use message::{Uid, UidSet};
use remote::imap::{Examined, Session};

use super::super::RunError;
use super::FolderState;
use super::held::Held;
use super::survey::in_order;
use crate::ledger::{FolderLedger, Listing};

/// More vanished messages than this are believed only when a full list of UIDs says the same:
/// servers have been seen to report living messages as vanished.
const VANISHED_ON_TRUST: u64 = 20;

/// The server's UIDs: from what QRESYNC told, if its sum agrees with the server's count; from what it
/// says of all messages, where none is held and there are not too many; else the full list.
pub(super) async fn uids_on_server(
    session: &mut Session,
    folder: &mut FolderState<'_>,
    opened: &Examined,
    held: &Held,
    resynced: bool,
) -> Result<UidSet, RunError> {
    if opened.exists == 0 {
        // A count of 0 alone is not enough to say that everything has vanished, or that nothing came:
        // we hold some of it, STATUS counts some, or UIDs have been given.
        let is_said_to_be_empty = folder.prospect.status().is_none_or(|status| status.messages == 0);
        let gave_no_uid = opened.uid_next.is_none_or(|next| next == Uid::MIN);
        let is_empty = is_said_to_be_empty && held.uids.is_empty() && gave_no_uid;
        return if is_empty { Ok(UidSet::new()) } else { Ok(session.uids_by_fetch().await?) };
    }
    if resynced {
        let mut told = held.believed();
        held.troubles.iter().for_each(|trouble| told.insert(trouble.uid));
        told = told.difference(&opened.vanished);
        opened.changed.iter().for_each(|change| told.insert(change.uid));
        let few_vanished = held.believed().difference(&told).len() <= VANISHED_ON_TRUST;
        if told.len() == u64::from(opened.exists) && few_vanished {
            return Ok(told);
        }
    }
    if held.believed().is_empty()
        && let Some(surveyed) = session.survey_all().await?
    {
        let surveyed = in_order(surveyed);
        let uids: UidSet = surveyed.iter().map(|message| message.uid).collect();
        folder.surveyed.put(&uids, surveyed);
        return Ok(uids);
    }
    Ok(session.uids().await?)
}

/// Notes what is to be brought. What was held before the run is noted once, whatever happens to the line.
pub(super) fn note_listing(entry: &mut FolderLedger, held: &Held, server: &UidSet) {
    let earlier = entry.listing.take().filter(|listing| listing.epoch == held.epoch);
    let held_before =
        earlier.map_or_else(|| held.uids.intersection(server).len(), |listing| listing.held_before);
    entry.listing = Some(Listing { epoch: held.epoch, uids: server.clone(), held_before });
}
