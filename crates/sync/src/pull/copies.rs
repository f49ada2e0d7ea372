//! Messages that lie in several folders, told by an id of their content: fetched once.
//!
//! Where a provider shows one message in many folders ("All Mail" and labels), the bytes would come
//! over the line as often. EMAILID (RFC 8474) and Gmail's X-GM-MSGID are the same for the same
//! content, so what this run has stored under an id is placed in the other folders without being
//! fetched again, if the size is the same too, and the id stands for one message only in each of the
//! two. The server's word is not proof: of each lot a hundredth, and at least three, are fetched all
//! the same and compared; one that differs, and no id of this server is believed for the rest of the
//! run. The others are recorded as matched by header, and later runs prove them by their bytes like
//! any other match.

use std::collections::HashMap;

use archive::{EpochId, NewPlacement, Proof};
use message::{MessageKey, Uid, UidSet};
use remote::imap::{Session, Surveyed};

use super::fetch::Wanted;
use super::folder::{FolderState, fetch_and_account};
use super::{Context, RunError};
use crate::ledger::FolderLedger;

/// One in so many is fetched to see whether the ids are true,
const SAMPLE_SHARE: usize = 100;
/// but at least so many.
const SAMPLE_MIN: usize = 3;
/// Ids that are remembered in a run, some 50 octets each; what comes after them is fetched.
const MOST_IDS: usize = 1_000_000;

/// The first octets of an id's BLAKE3: ids may be long.
type Id = [u8; 16];

/// What this run has stored, by the id of the content.
#[derive(Debug, Default)]
pub(crate) struct Copies {
    places: HashMap<Id, Place>,
    /// The server gave one id to different messages.
    untrue: bool,
}

#[derive(Clone, Copy, Debug)]
struct Place {
    epoch: EpochId,
    uid: Uid,
    size: u64,
    /// Another message of the same mailbox has this id too.
    ambiguous: bool,
}

impl Copies {
    /// These of the messages are stored in this epoch now.
    pub(super) fn note(&mut self, epoch: EpochId, messages: &[Surveyed], stored: &UidSet) {
        for message in messages.iter().filter(|message| stored.contains(message.uid)) {
            if let (Some(id), true) = (id_of(message), self.places.len() < MOST_IDS && !self.untrue) {
                let place = Place { epoch, uid: message.uid, size: message.size, ambiguous: false };
                let known = self.places.entry(id).or_insert(place);
                known.ambiguous |= known.epoch == epoch && known.uid != message.uid;
            }
        }
    }

    fn place_of(&self, message: &Surveyed) -> Option<Place> {
        let place = self.places.get(&id_of(message)?)?;
        let fits = place.size == message.size && !place.ambiguous && !self.untrue;
        fits.then_some(*place)
    }

    fn forget(&mut self) {
        self.untrue = true;
        self.places = HashMap::new();
    }
}

fn id_of(message: &Surveyed) -> Option<Id> {
    let hash = blake3::hash(message.content_id.as_ref()?.as_bytes());
    hash.as_bytes().first_chunk().copied()
}

/// Places what this run has stored in another folder already. Gives the UIDs that are held now, and
/// leaves in `messages` those that are to be fetched.
pub(super) async fn place_copies(
    context: &Context<'_>,
    session: &mut Session,
    folder: &mut FolderState<'_>,
    entry: &mut FolderLedger,
    epoch: EpochId,
    messages: &mut Vec<Surveyed>,
) -> Result<UidSet, RunError> {
    let expected = expected_keys(context, folder.copies, messages).await?;
    if expected.is_empty() {
        return Ok(UidSet::new());
    }
    let (mut copies, rest): (Vec<_>, Vec<_>) =
        messages.drain(..).partition(|message| expected.contains_key(&message.uid));
    *messages = rest;
    let step = copies.len() / (copies.len() / SAMPLE_SHARE).max(SAMPLE_MIN);
    let sample: Vec<Surveyed> = copies.iter().step_by(step.max(1)).cloned().collect();
    let wanted = Wanted { epoch, messages: sample, prove: false };
    let mut held = fetch_and_account(context, session, folder, entry, &wanted, &[]).await?;
    entry.new += held.len();
    let tried: UidSet = wanted.messages.iter().map(|message| message.uid).collect();
    copies.retain(|message| !tried.contains(message.uid));

    if !are_as_expected(context, epoch, &held, &expected).await? {
        folder.copies.forget();
        entry
            .notices
            .push("the server gives different messages the same id; its ids are not believed".to_owned());
        messages.append(&mut copies);
        messages.sort_by_key(|message| message.uid);
        return Ok(held);
    }
    let placed: UidSet = copies.iter().map(|message| message.uid).collect();
    let place = context.pipeline.ask(move |writer| {
        copies.into_iter().try_for_each(|copy| {
            let Some(&message) = expected.get(&copy.uid) else { return Ok(()) };
            let (internal_date, flags, proof) = (copy.internal_date, copy.flags, Proof::Header);
            writer.place(epoch, copy.uid, NewPlacement { message, internal_date, flags, proof })
        })
    });
    place.await?;
    entry.new += placed.len();
    entry.matched_by_header += placed.len();
    folder.delivered += placed.len();
    held.extend_from(&placed);
    Ok(held)
}

/// Which message each of these should be, by its id.
async fn expected_keys(
    context: &Context<'_>,
    copies: &Copies,
    messages: &[Surveyed],
) -> Result<HashMap<Uid, MessageKey>, RunError> {
    let mut counts: HashMap<Id, u32> = HashMap::new();
    for id in messages.iter().filter_map(id_of) {
        *counts.entry(id).or_default() += 1;
    }
    let is_alone = |message: &&Surveyed| id_of(message).is_some_and(|id| counts.get(&id) == Some(&1));
    let known = |message: &Surveyed| Some((message.uid, copies.place_of(message)?));
    let known: Vec<(Uid, Place)> = messages.iter().filter(is_alone).filter_map(known).collect();
    if known.is_empty() {
        return Ok(HashMap::new());
    }
    // What this run has stored can be looked up once it is committed.
    context.pipeline.commit().await?;
    let keys = context.pipeline.ask(move |writer| {
        let view = writer.view();
        let mut keys = HashMap::with_capacity(known.len());
        for (uid, place) in known {
            if let Some(held) = view.placement(place.epoch, place.uid)? {
                keys.insert(uid, held.message);
            }
        }
        Ok(keys)
    });
    keys.await
}

async fn are_as_expected(
    context: &Context<'_>,
    epoch: EpochId,
    fetched: &UidSet,
    expected: &HashMap<Uid, MessageKey>,
) -> Result<bool, RunError> {
    let pairs: Vec<(Uid, Option<MessageKey>)> =
        fetched.iter().map(|uid| (uid, expected.get(&uid).copied())).collect();
    context.pipeline.commit().await?;
    let compare = context.pipeline.ask(move |writer| {
        let view = writer.view();
        for (uid, expected) in pairs {
            if view.placement(epoch, uid)?.map(|held| held.message) != expected {
                return Ok(false);
            }
        }
        Ok(true)
    });
    compare.await
}
