//! Whether the server's UIDs can be trusted (L4, L5).

use archive::Mark;
use message::UidSet;
use remote::imap::{Examined, Session};

use super::super::compare::{compare, redate, replace};
use super::super::{Context, RunError};
use super::held::Held;
use crate::ledger::FolderLedger;
use crate::plan;
use crate::recheck;

/// The mark of a mailbox whose held messages are to be compared with the server's before anything else is
/// believed.
pub(super) const IN_DOUBT: Mark = Mark { uid_next: None, highest_modseq: None, messages: 0 };

/// Whether the server's UIDs can be trusted. Where its numbers went back, or where the newest messages
/// that we hold are others there, all that is held is compared, and what differs counts as held no
/// more: it is fetched like any new message (L4, L5).
pub(super) async fn doubt(
    context: &Context<'_>,
    session: &mut Session,
    opened: &Examined,
    held: &mut Held,
    server: &UidSet,
    recheck: bool,
    entry: &mut FolderLedger,
) -> Result<bool, RunError> {
    let known = held.uids.intersection(server);
    let went_back = held.server_went_back(opened, server);
    if !went_back && held.mark != Some(IN_DOUBT) {
        let mut sample = plan::sample(&known);
        if recheck {
            sample.extend_from(&recheck::sample(&known, context.run.get()));
        }
        let found = compare(context, session, held.epoch, &sample, &mut entry.bytes_fetched).await?;
        if found.other.is_empty() {
            redate(context, held.epoch, found.redated).await?;
            return Ok(false);
        }
    }
    // Its modification sequences are not believed either; nor by the next run, should this one be cut off
    // in the middle, when the server's numbers have passed the old mark.
    held.mark = None;
    let epoch = held.epoch;
    context.pipeline.ask(move |writer| writer.mark(epoch, &IN_DOUBT)).await?;
    let found = compare(context, session, held.epoch, &known, &mut entry.bytes_fetched).await?;
    let replaced = replace(context, held.epoch, found).await?;
    held.uids = held.uids.difference(&replaced);
    entry.replaced += replaced.len();
    entry.vanished += replaced.len();
    if !went_back && replaced.is_empty() {
        return Ok(true);
    }
    let lacks = held.uids.difference(server).len();
    let what =
        if went_back { "the server was put back to an older state" } else { "the server gave UIDs twice" };
    entry.notices.push(format!(
        "{what} (same UIDVALIDITY); it lacks {} messages that the archive holds, and has others under {} UIDs, \
         which are fetched",
        lacks + replaced.len(),
        replaced.len()
    ));
    Ok(true)
}
