//! Comparing what the archive holds under a UID with what the server has there now.
//!
//! Within one UIDVALIDITY a UID means one message for ever (RFC 9051 §2.3.1.1), and on that rests
//! that a held message is never fetched again. Servers break it: one that is put back from an old
//! backup gives the UIDs of lost messages to new ones, and bridges put other mail under a UID. So
//! where there is doubt the server is asked for size and INTERNALDATE of the messages (no content),
//! and for the header block of those where these do not decide.
//!
//! * [`compare`] looks and records nothing: a sample, say.
//! * [`redate`] records that a message has another date now.
//! * [`replace`] records what was found: another message under a UID means that the one that we hold
//!   has vanished from there, and that what lies there now is to be fetched.
//!
//! The rule that must never break: a UID whose message differs from ours never counts as held.

use std::collections::HashMap;

use archive::{EpochId, NewPlacement, Proof};
use message::{BlobName, InternalDate, MessageKey, Uid, UidSet};
use remote::imap::{Part, Session, Surveyed};

use super::folder::survey;
use super::recognise::ask;
use super::{Context, RunError};
use crate::plan;

/// What a comparison found. Every UID that was asked about is in exactly one of the sets.
#[derive(Debug, Default)]
pub(super) struct Compared {
    /// The server has the message that the archive holds.
    pub(super) same: UidSet,
    /// It has another message there.
    pub(super) other: UidSet,
    /// It cannot be told without the bytes: date and header block agree and the size does not (a
    /// server that counts wrongly, or another body), or the server gave no answer.
    pub(super) doubtful: UidSet,
    /// Those of `same` whose INTERNALDATE is another now.
    pub(super) redated: Vec<Surveyed>,
}

impl Compared {
    fn is_same(&mut self, now: Surveyed, date: &InternalDate) {
        self.same.insert(now.uid);
        // A server that tells no date has not changed it.
        if now.internal_date.unix().is_some() && now.internal_date.unix() != date.unix() {
            self.redated.push(now);
        }
    }
}

/// What the archive holds under a UID.
#[derive(Clone, Debug)]
struct Held {
    size: u64,
    date: InternalDate,
    key: MessageKey,
}

/// What size and date say of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Same,
    Other,
    /// The header block decides whether it is another message; if it is equal, it is the same.
    AskHeader,
    /// The header block decides whether it is another message; if it is equal, it stays in doubt.
    AskHeaderInDoubt,
}

/// Size alone or date alone proves nothing: servers count wrongly, and dates change with a migration. Of
/// no octets there is one message only, and it has no header block to ask for.
fn judge(held: &Held, now: &Surveyed) -> Verdict {
    let dates = (held.date.unix(), now.internal_date.unix());
    let same_date = matches!(dates, (Some(then), Some(now)) if then == now);
    let other_date = matches!(dates, (Some(then), Some(now)) if then != now);
    match held.size == now.size {
        true if same_date || now.size == 0 => Verdict::Same,
        true => Verdict::AskHeader,
        false if other_date => Verdict::Other,
        false => Verdict::AskHeaderInDoubt,
    }
}

/// Compares the held messages under these UIDs with the server's, in the mailbox that is open.
/// Fetches no content but header blocks of those that size and date leave open.
pub(super) async fn compare(
    context: &Context<'_>,
    session: &mut Session,
    epoch: EpochId,
    uids: &UidSet,
    bytes_fetched: &mut u64,
) -> Result<Compared, RunError> {
    let mut compared = Compared::default();
    for window in plan::windows(uids) {
        compare_window(context, session, epoch, &window, &mut compared, bytes_fetched).await?;
    }
    Ok(compared)
}

async fn compare_window(
    context: &Context<'_>,
    session: &mut Session,
    epoch: EpochId,
    uids: &UidSet,
    compared: &mut Compared,
    bytes_fetched: &mut u64,
) -> Result<(), RunError> {
    let (Some(first), Some(last)) = (uids.first(), uids.last()) else { return Ok(()) };
    let held = context.pipeline.ask(move |writer| writer.view().survey_in(epoch, first..=last)).await?;
    let held: HashMap<Uid, Held> =
        held.into_iter().map(|(uid, size, date, key)| (uid, Held { size, date, key })).collect();
    let mut heard = UidSet::new();
    let mut asked: Vec<(Surveyed, Held, Verdict)> = Vec::new();
    for now in survey(session, uids).await? {
        let Some(held) = held.get(&now.uid) else { continue };
        heard.insert(now.uid);
        match judge(held, &now) {
            Verdict::Same => compared.is_same(now, &held.date),
            Verdict::Other => compared.other.insert(now.uid),
            verdict => asked.push((now, held.clone(), verdict)),
        }
    }
    compared.doubtful.extend_from(&uids.difference(&heard));

    let part = HashMap::from([(Part::Header, asked.iter().map(|(now, ..)| now.uid).collect())]);
    let headers = ask(session, part, bytes_fetched).await?.headers;
    let known = header_blocks(context, asked.iter().map(|(_, held, _)| held.key).collect()).await?;
    for (now, held, verdict) in asked {
        match (headers.get(&now.uid), known.get(&held.key)) {
            (Some(there), Some(here)) if there != here => compared.other.insert(now.uid),
            (Some(_), Some(_)) if verdict == Verdict::AskHeader => compared.is_same(now, &held.date),
            _ => compared.doubtful.insert(now.uid),
        }
    }
    Ok(())
}

/// The header blocks of these messages, where each is one blob that can be read.
async fn header_blocks(
    context: &Context<'_>,
    keys: Vec<MessageKey>,
) -> Result<HashMap<MessageKey, BlobName>, RunError> {
    let blocks = context.pipeline.ask(move |writer| {
        let view = writer.view();
        let header = |key: MessageKey| {
            let message = view.message(&key).ok().flatten()?;
            Some((key, message.recipe.header()?.name))
        };
        Ok(keys.into_iter().filter_map(header).collect())
    });
    blocks.await
}

/// Records what a comparison found, and gives back the UIDs that are not held any more: under them
/// lies another message, or may lie one. The archive keeps what it had.
pub(super) async fn replace(
    context: &Context<'_>,
    epoch: EpochId,
    compared: Compared,
) -> Result<UidSet, RunError> {
    let Compared { mut other, doubtful, redated, .. } = compared;
    redate(context, epoch, redated).await?;
    other.extend_from(&doubtful);
    let gone = other.clone();
    context.pipeline.ask(move |writer| writer.vanished(epoch, &gone)).await?;
    Ok(other)
}

/// Records other received dates of messages whose header blocks are those that we hold.
pub(super) async fn redate(
    context: &Context<'_>,
    epoch: EpochId,
    redated: Vec<Surveyed>,
) -> Result<(), RunError> {
    if redated.is_empty() {
        return Ok(());
    }
    let record = context.pipeline.ask(move |writer| {
        for now in redated {
            let Some(held) = writer.view().placement(epoch, now.uid)? else { continue };
            // By the header only, so that a later run proves it by the bytes.
            let (message, proof) = (held.message, Proof::Header);
            let placement =
                NewPlacement { message, internal_date: now.internal_date, flags: now.flags, proof };
            writer.place(epoch, now.uid, placement)?;
        }
        Ok(())
    });
    record.await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_and_date_together_decide_and_the_header_where_one_of_them_differs() {
        let date = |unix: i64| InternalDate::from_unix(unix, 0);
        let held = |size| Held { size, date: date(7), key: MessageKey::of(b"x") };
        let now = |size, internal_date| Surveyed {
            uid: Uid::MIN,
            flags: message::Flags::default(),
            internal_date,
            size,
            modseq: None,
            content_id: None,
        };
        for (size, internal_date, expected) in [
            (500, date(7), Verdict::Same),
            (500, date(8), Verdict::AskHeader),
            (500, InternalDate::parse("00-Jan-0000"), Verdict::AskHeader),
            (501, date(7), Verdict::AskHeaderInDoubt),
            (0, InternalDate::parse(""), Verdict::AskHeaderInDoubt),
            (501, date(8), Verdict::Other),
        ] {
            let now = now(size, internal_date);
            assert_eq!(judge(&held(500), &now), expected, "{now:?}");
        }
        assert_eq!(judge(&held(0), &now(0, date(8))), Verdict::Same, "nothing is nothing");
    }
}
