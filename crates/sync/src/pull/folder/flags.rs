//! The flags of the messages that are held.

use archive::EpochId;
use message::{ModSeq, UidSet};
use remote::imap::{Examined, FlagChange, Session};

use super::super::{Context, RunError};
use super::held::Held;
use crate::ledger::FolderLedger;
use crate::plan;

/// Records flags that are not as the archive has them: what QRESYNC told, what changed since the
/// mark, or, on a server that has neither, a comparison of all of them. Gives back the messages whose
/// flags the server refuses to tell.
pub(super) async fn note_flags(
    context: &Context<'_>,
    session: &mut Session,
    opened: &Examined,
    held: &Held,
    server: &UidSet,
    resynced: bool,
    entry: &mut FolderLedger,
) -> Result<UidSet, RunError> {
    let epoch = held.epoch;
    if resynced {
        let (changed, deleted) = record_flags(context, epoch, opened.changed.clone()).await?;
        entry.flags_changed += changed;
        entry.marked_deleted += deleted;
        return Ok(UidSet::new());
    }
    let (windows, since) = questions(opened, held, server);
    let mut untold = UidSet::new();
    for window in windows {
        let mut changes = Vec::new();
        let refused = session.flags(&window, since, &mut |change: FlagChange| changes.push(change)).await?;
        untold.extend_from(&refused);
        let (changed, deleted) = record_flags(context, epoch, changes).await?;
        entry.flags_changed += changed;
        entry.marked_deleted += deleted;
    }
    Ok(untold)
}

/// Whose flags are asked for without QRESYNC, some at a time, and since when.
pub(super) fn questions(opened: &Examined, held: &Held, server: &UidSet) -> (Vec<UidSet>, Option<ModSeq>) {
    if opened.highest_modseq.is_some() && opened.highest_modseq == held.modseq() {
        return (Vec::new(), None);
    }
    let since = held.modseq().filter(|&then| opened.highest_modseq.is_some_and(|now| now >= then));
    (plan::windows(&held.believed().intersection(server)), since)
}

/// Says how many messages had other flags, and how many of them are marked for deletion now.
async fn record_flags(
    context: &Context<'_>,
    epoch: EpochId,
    changes: Vec<FlagChange>,
) -> Result<(u64, u64), RunError> {
    let record = context.pipeline.ask(move |writer| {
        let (mut changed, mut deleted) = (0, 0);
        for change in changes {
            if writer.set_flags(epoch, change.uid, &change.flags)? {
                changed += 1;
                deleted += u64::from(change.flags.contains("\\Deleted"));
            }
        }
        Ok((changed, deleted))
    });
    record.await
}
