//! What the archive has of a maildrop.

use std::collections::{BTreeMap, HashMap};

use archive::{EpochId, MailboxId, TroubleInfo};
use message::{MessageKey, Uid, UidSet};

use super::super::{Context, RunError};
use super::listing::{Known, State};
use crate::plan;

/// What the archive has, as of the last commit.
pub(super) struct Held {
    pub(super) epoch: EpochId,
    /// All that was ever given a UID, ascending.
    pub(super) known: Vec<Known>,
    /// Believed to be on the server, and here.
    pub(super) uids: UidSet,
    /// Believed to be on the server, and lost here to damage: fetched again.
    pub(super) lost: UidSet,
    pub(super) unproven: UidSet,
    pub(super) troubles: Vec<TroubleInfo>,
    /// Epochs before this one whose messages are still believed to be on the server.
    pub(super) leftovers: Vec<EpochId>,
    /// The first UID that was never given.
    next: Option<Uid>,
}

/// Above these stand the UIDs that stand in for messages without a name.
const MOST_UID: u32 = 1 << 31;

impl Held {
    /// What the archive believes to be on the server.
    pub(super) fn believed(&self) -> UidSet {
        let mut believed = self.uids.clone();
        believed.extend_from(&self.lost);
        believed
    }

    /// The first UID that was never given.
    pub(super) fn next_uid(&self) -> Result<Uid, RunError> {
        self.next.ok_or_else(|| RunError::Archive(archive::Error::NumbersUsedUp { what: "UID" }.into()))
    }

    /// Gives it.
    pub(super) fn take_uid(&mut self) -> Result<Uid, RunError> {
        let uid = self.next_uid()?;
        self.next = Uid::new(uid.get() + 1).filter(|next| next.get() < MOST_UID);
        Ok(uid)
    }
}

/// Opens the mailbox's epoch, and reads what is in it.
pub(super) async fn open(context: &Context<'_>, mailbox: MailboxId) -> Result<Held, RunError> {
    let begun = context.pipeline.ask(move |writer| {
        let epoch = writer.pop3_epoch(mailbox)?;
        // The archive answers as of the last commit, and this one may have just begun.
        writer.commit()?;
        let view = writer.view();
        let mut leftovers = Vec::new();
        for info in view.epochs(mailbox)?.iter().filter(|info| info.id != epoch) {
            if !view.held_uids(info.id)?.is_empty() || !view.lost_uids(info.id)?.is_empty() {
                leftovers.push(info.id);
            }
        }
        Ok(Held {
            epoch,
            known: Vec::new(),
            uids: view.held_uids(epoch)?,
            lost: view.lost_uids(epoch)?,
            unproven: view.unproven(epoch)?,
            troubles: view.troubles(epoch)?,
            leftovers,
            next: view.pop3_next_uid(epoch)?.filter(|next| next.get() < MOST_UID),
        })
    });
    let mut held = begun.await?;
    held.known = known(context, &held).await?;
    Ok(held)
}

async fn known(context: &Context<'_>, held: &Held) -> Result<Vec<Known>, RunError> {
    let (epoch, believed) = (held.epoch, held.believed());
    let names = context.pipeline.ask(move |writer| writer.view().pop3_names(epoch)).await?;
    let sizes = sizes(context, epoch, &names.iter().map(|name| name.uid).collect()).await?;
    let state = |uid| match sizes.get(&uid) {
        None => State::Named,
        Some(&size) if believed.contains(uid) => State::Live(size),
        Some(&size) => State::Ended(size),
    };
    let known = names.into_iter().map(|name| {
        let state = state(name.uid);
        Known { uid: name.uid, uidl: name.uidl, octets: name.octets, state }
    });
    Ok(known.collect())
}

/// How many octets the archive has of each, live or not.
async fn sizes(context: &Context<'_>, epoch: EpochId, uids: &UidSet) -> Result<HashMap<Uid, u64>, RunError> {
    let mut sizes = HashMap::new();
    for window in plan::windows(uids) {
        let (Some(first), Some(last)) = (window.first(), window.last()) else { continue };
        let part = context.pipeline.ask(move |writer| {
            let view = writer.view();
            let all =
                view.past_in(epoch, first..=last)?.into_iter().chain(view.survey_in(epoch, first..=last)?);
            Ok(all.map(|(uid, size, ..)| (uid, size)).collect::<Vec<_>>())
        });
        sizes.extend(part.await?);
    }
    Ok(sizes)
}

/// Which message lies under each of these UIDs, as of the last commit.
pub(super) async fn keys(
    context: &Context<'_>,
    epoch: EpochId,
    uids: &UidSet,
) -> Result<BTreeMap<Uid, MessageKey>, RunError> {
    context.pipeline.commit().await?;
    let mut keys = BTreeMap::new();
    for window in plan::windows(uids) {
        let (Some(first), Some(last)) = (window.first(), window.last()) else { continue };
        let part = context.pipeline.ask(move |writer| writer.view().survey_in(epoch, first..=last)).await?;
        keys.extend(
            part.into_iter().map(|(uid, _, _, key)| (uid, key)).filter(|(uid, _)| window.contains(*uid)),
        );
    }
    Ok(keys)
}
