//! What the archive holds of a mailbox.

use archive::{EpochId, MailboxId, Mark, TroubleInfo};
use message::{ModSeq, Uid, UidSet};
use remote::imap::Examined;

use super::super::revive::Before;
use super::super::{Context, RunError};
use crate::plan::{self, ServerState};

/// What the archive holds of the mailbox that was opened.
pub(super) struct Held {
    pub(super) epoch: EpochId,
    pub(super) uids: UidSet,
    /// Believed to be on the server, and lost to damage: fetched again, never matched.
    pub(super) lost: UidSet,
    /// Older epochs whose messages are still believed to be on the server.
    pub(super) leftovers: Vec<EpochId>,
    /// Those of them under the same UIDVALIDITY.
    pub(super) same_validity: Vec<Before>,
    pub(super) troubles: Vec<TroubleInfo>,
    pub(super) unproven: UidSet,
    pub(super) mark: Option<Mark>,
    /// What the mark said of UIDs, whatever else of it is believed.
    pub(super) before: Before,
}

impl Held {
    /// What the archive believes to be on the server.
    pub(super) fn believed(&self) -> UidSet {
        let mut believed = self.uids.clone();
        believed.extend_from(&self.lost);
        believed
    }

    /// What is believed to be on the server, and is not there.
    pub(super) fn gone_from(&self, server: &UidSet) -> UidSet {
        self.believed().difference(server)
    }

    pub(super) fn modseq(&self) -> Option<ModSeq> {
        self.mark.and_then(|mark| mark.highest_modseq)
    }

    /// The server went back behind the mark. A UIDNEXT below a UID that the server lists is a fault of
    /// its own (I14).
    pub(super) fn server_went_back(&self, opened: &Examined, listed: &UidSet) -> bool {
        let server = ServerState {
            messages: opened.exists,
            validity: opened.uid_validity,
            uid_next: opened.uid_next.max(after_last(listed)),
            modseq: opened.highest_modseq,
        };
        self.mark.is_some_and(|mark| plan::went_back(&server, &mark))
    }
}

/// The UID after the last one of these.
pub(super) fn after_last(uids: &UidSet) -> Option<Uid> {
    uids.last().and_then(|last| Uid::new(last.get().saturating_add(1)))
}

fn before(epoch: EpochId, mark: Option<Mark>) -> Before {
    Before { epoch, uid_next: mark.and_then(|mark| mark.uid_next) }
}

/// The epoch of the mailbox that was opened, and what is held in it.
pub(super) async fn open_epoch(
    context: &Context<'_>,
    mailbox: MailboxId,
    opened: &Examined,
) -> Result<Held, RunError> {
    let validity = opened.uid_validity;
    let held = context.pipeline.ask(move |writer| {
        let epoch = writer.epoch(mailbox, validity)?;
        let view = writer.view();
        let epochs = view.epochs(mailbox)?;
        let (mut leftovers, mut same_validity) = (Vec::new(), Vec::new());
        for info in epochs.iter().filter(|info| info.id != epoch) {
            if !view.held_uids(info.id)?.is_empty() || !view.lost_uids(info.id)?.is_empty() {
                leftovers.push(info.id);
                if validity.is_some() && info.validity == validity {
                    same_validity.push(before(info.id, info.mark));
                }
            }
        }
        let mark = epochs.iter().find(|info| info.id == epoch).and_then(|info| info.mark);
        Ok(Held {
            epoch,
            uids: view.held_uids(epoch)?,
            lost: view.lost_uids(epoch)?,
            leftovers,
            same_validity,
            troubles: view.troubles(epoch)?,
            unproven: view.unproven(epoch)?,
            mark,
            before: before(epoch, mark),
        })
    });
    held.await
}
