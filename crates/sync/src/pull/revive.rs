//! Messages that are there again under their old UID.
//!
//! A server that lists too little today and everything tomorrow, a share that was withdrawn and given
//! back: what had vanished returns under the same UIDVALIDITY and the same UID. Within one UIDVALIDITY
//! that is the same message (RFC 9051 §2.3.1.1), so where size and INTERNALDATE agree as well it
//! continues, and not one octet of it is fetched.

use std::collections::HashMap;

use archive::{EpochId, NewPlacement};
use message::{Uid, UidSet};
use remote::imap::Surveyed;

use super::{Context, RunError};

/// Places those of these messages that the epoch, or one of the former epochs under the same
/// UIDVALIDITY, had under the same UID. Returns their UIDs.
pub(super) async fn revive(
    context: &Context<'_>,
    epoch: EpochId,
    former: &[EpochId],
    messages: &[Surveyed],
) -> Result<UidSet, RunError> {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return Ok(UidSet::new()) };
    let range = first.uid..=last.uid;
    let seen: HashMap<Uid, Surveyed> =
        messages.iter().map(|message| (message.uid, message.clone())).collect();
    let former = former.to_vec();
    let place = context.pipeline.ask(move |writer| {
        let mut known = Vec::new();
        for &former in &former {
            let held = writer.view().survey_in(former, range.clone())?;
            known.extend(held.into_iter().map(|held| (former, held)));
        }
        known.extend(writer.view().past_in(epoch, range)?.into_iter().map(|past| (epoch, past)));
        let mut placed = UidSet::new();
        for (known_in, (uid, size, date, key)) in known {
            let Some(now) = seen.get(&uid).filter(|_| !placed.contains(uid)) else { continue };
            let same_date = date.unix().is_some() && date.unix() == now.internal_date.unix();
            if size != now.size || !same_date || !writer.view().holds_message(&key)? {
                continue;
            }
            let Some(then) = writer.view().placement(known_in, uid)? else { continue };
            let placement = NewPlacement {
                message: key,
                internal_date: now.internal_date.clone(),
                flags: now.flags.clone(),
                proof: then.proof,
            };
            writer.place(epoch, uid, placement)?;
            placed.insert(uid);
        }
        Ok(placed)
    });
    place.await
}
