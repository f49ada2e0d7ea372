//! Messages that are there again under their old UID.
//!
//! A server that lists too little today and everything tomorrow, a share that was withdrawn and given
//! back: what had vanished returns under the same UIDVALIDITY and the same UID. Within one UIDVALIDITY
//! that is the same message (RFC 9051 §2.3.1.1), so where size and INTERNALDATE agree as well it
//! continues, and not one octet of it is fetched in this run.
//!
//! A server that was put back from an old backup breaks that rule: it forgets UIDs and gives them anew,
//! and a message that is moved there brings its old date along. So
//!
//! * a UID that the server had not given yet by its own word, its UIDNEXT when the mailbox was last
//!   completed, is no old one; nor is one of which we knew two such messages. These are left to be
//!   recognised by more, or fetched;
//! * what had vanished is placed as matched by its header: later runs compare its bytes, for the server
//!   may have been put back and have caught up with its numbers before any run saw it.

use std::collections::{BTreeMap, HashMap};

use archive::{EpochId, NewPlacement, Proof};
use message::{InternalDate, MessageKey, Uid, UidSet};
use remote::imap::Surveyed;

use super::{Context, RunError};

/// An epoch in which a message may have lain under its present UID.
#[derive(Clone, Copy, Debug)]
pub(super) struct Before {
    pub(super) epoch: EpochId,
    /// UIDNEXT when it was last completed: lower UIDs had been given to messages by then.
    pub(super) uid_next: Option<Uid>,
}

/// Places those of these messages that the epoch, or one of the former epochs under the same
/// UIDVALIDITY, had under the same UID. Returns their UIDs.
pub(super) async fn revive(
    context: &Context<'_>,
    before: Before,
    former: &[Before],
    messages: &[Surveyed],
) -> Result<UidSet, RunError> {
    let (Some(first), Some(last)) = (messages.first(), messages.last()) else { return Ok(UidSet::new()) };
    let range = first.uid..=last.uid;
    let seen: HashMap<Uid, Surveyed> =
        messages.iter().map(|message| (message.uid, message.clone())).collect();
    let former = former.to_vec();
    let place = context.pipeline.ask(move |writer| {
        let mut returned = Returned::default();
        for former in former {
            for (uid, size, date, key) in writer.view().survey_in(former.epoch, range.clone())? {
                let Some(now) = is_again(&seen, former, uid, size, &date) else { continue };
                // It was never gone, so it counts as what it counted as.
                let then = writer.view().placement(former.epoch, uid)?;
                returned.note(now, key, then.map_or(Proof::Header, |then| then.proof));
            }
        }
        for (uid, size, date, key) in writer.view().past_in(before.epoch, range)? {
            if let Some(now) = is_again(&seen, before, uid, size, &date) {
                returned.note(now, key, Proof::Header);
            }
        }
        let mut placed = UidSet::new();
        for (uid, placement) in returned.certain() {
            if writer.view().holds_message(&placement.message)? {
                writer.place(before.epoch, uid, placement)?;
                placed.insert(uid);
            }
        }
        Ok(placed)
    });
    place.await
}

/// What the server has now under a UID, if that may be the message of this size and date that lay there.
fn is_again<'a>(
    seen: &'a HashMap<Uid, Surveyed>,
    before: Before,
    uid: Uid,
    size: u64,
    date: &InternalDate,
) -> Option<&'a Surveyed> {
    let now = seen.get(&uid).filter(|_| before.uid_next.is_some_and(|next| uid < next))?;
    let same_date = date.unix().is_some() && date.unix() == now.internal_date.unix();
    (size == now.size && same_date).then_some(now)
}

/// What lies under its old UID again, as far as size and date tell.
#[derive(Default)]
struct Returned(BTreeMap<Uid, Option<NewPlacement>>);

impl Returned {
    fn note(&mut self, now: &Surveyed, message: MessageKey, proof: Proof) {
        let (internal_date, flags) = (now.internal_date.clone(), now.flags.clone());
        let placement = NewPlacement { message, internal_date, flags, proof };
        let noted = self.0.entry(now.uid).or_insert_with(|| Some(placement));
        // Two messages that both lay there: which of them it is, size and date do not tell.
        if noted.as_ref().is_some_and(|noted| noted.message != message) {
            *noted = None;
        }
    }

    fn certain(self) -> impl Iterator<Item = (Uid, NewPlacement)> {
        self.0.into_iter().filter_map(|(uid, placement)| Some((uid, placement?)))
    }
}
