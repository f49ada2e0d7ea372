//! One mailbox, brought up to date.
//!
//! The mailbox is opened with EXAMINE, so nothing in it is touched. The server's set of UIDs less
//! the set that the archive holds is what is missing; the reverse has vanished. Flags that differ
//! are recorded. At the end the server counts again, and what came or went meanwhile is caught up
//! with, a few rounds long. The mark that lets the next run skip an unchanged mailbox is written
//! last, in the same commit as the messages it covers, or a later one.

mod doubt;
mod flags;
mod held;
mod missing;
mod prospect;
mod reckoning;
mod survey;
mod uids;

use archive::{EpochId, MailboxId, Mark};
use message::{Uid, UidSet, UidValidity};
use remote::imap::{Next, Session};

use super::account::{AccountState, Suspects};
use super::copies::Copies;
use super::fetch::Doubts;
use super::peek::Peek;
use super::{Context, RunError};
use crate::ledger::FolderLedger;
use crate::retry::Patience;
use doubt::doubt;
use flags::note_flags;
use held::{after_last, open_epoch};
use missing::{catch_up, missing};
pub(super) use prospect::Prospect;
use prospect::next_looks;
pub(super) use reckoning::fetch_and_account;
use reckoning::name_what_is_missing;
pub(super) use survey::{has_the_messages_of, survey};
use uids::{note_listing, uids_on_server};

/// Rounds of catching up with a mailbox that changes while it is pulled; then the next run goes on.
const MAX_ROUNDS: u32 = 3;

/// What is known of a mailbox in the course of a run, over any number of connections.
pub(super) struct FolderState<'a> {
    mailbox: MailboxId,
    prospect: &'a Prospect<'a>,
    may_match: bool,
    pub(super) to_prove: &'a mut u64,
    pub(super) peek: &'a mut Peek,
    pub(super) copies: &'a mut Copies,
    /// Whether the session is told what it will be asked next.
    asks_ahead: bool,
    /// What that is, once all that is missing here is on its way.
    then: Vec<Next>,
    /// What the server said of messages that are still missing.
    surveyed: survey::Answers,
    /// Messages that are missing and not asked for yet.
    waiting: u64,
    /// The last run suspected that messages went with an old UIDVALIDITY.
    loss_was_told: bool,
    suspects: Suspects,
    doubts: Doubts,
    skipped: UidSet,
    /// Unread messages that this server would mark as read.
    left_unread: UidSet,
    /// The message that is on its way: if the connection is cut now, it may be the reason.
    on_its_way: Option<Uid>,
    /// Messages gained so far in the present epoch.
    pub(super) delivered: u64,
    /// The most that were gained in any, when a connection was cut.
    most_delivered: u64,
    epoch: Option<EpochId>,
    opened_before: bool,
}

impl<'a> FolderState<'a> {
    pub(super) fn new(mailbox: MailboxId, prospect: &'a Prospect<'a>, account: &'a mut AccountState) -> Self {
        Self {
            mailbox,
            prospect,
            may_match: account.may_match,
            asks_ahead: false,
            then: Vec::new(),
            surveyed: survey::Answers::default(),
            waiting: 0,
            loss_was_told: account
                .past
                .as_ref()
                .is_some_and(|past| past.suspicion(&prospect.listed.name.text()).unconfirmed > 0),
            to_prove: &mut account.to_prove,
            peek: &mut account.peek,
            copies: &mut account.copies,
            suspects: Suspects::default(),
            doubts: Doubts::default(),
            skipped: UidSet::new(),
            left_unread: UidSet::new(),
            on_its_way: None,
            delivered: 0,
            most_delivered: 0,
            epoch: None,
            opened_before: false,
        }
    }

    /// Whether more has been gained than ever before in this run. A server that says another UIDVALIDITY, or
    /// none, each time has all recognised anew each time: where that is cut off at the same place for ever, it
    /// is no progress.
    pub(super) fn has_progressed(&mut self) -> bool {
        let is_more = self.delivered > self.most_delivered;
        self.most_delivered = self.most_delivered.max(self.delivered);
        is_more
    }

    fn enter(&mut self, epoch: EpochId) {
        if self.epoch.replace(epoch) != Some(epoch) {
            self.delivered = 0;
        }
    }

    /// The connection was cut: the message that was on its way may be the reason.
    pub(super) fn note_cut(&mut self, patience: &Patience) {
        self.suspects.note(self.on_its_way.take());
        self.doubts.alone = self.suspects.cut_at_least(patience.cuts_before_alone);
        self.doubts.in_slices = self.suspects.cut_at_least(patience.cuts_before_slices);
        self.skipped = self.suspects.cut_at_least(patience.cuts_before_skipped);
    }

    /// From now on questions are asked ahead, up to the first ones about the `next` mailbox; or none are.
    pub(super) fn look_ahead(&mut self, asks_ahead: bool, next: Option<&Prospect<'_>>) {
        self.asks_ahead = asks_ahead;
        self.then.clear();
        if asks_ahead {
            self.then.push(Next::Recount);
            self.then.extend(next.into_iter().flat_map(Prospect::questions));
        }
    }
}

/// What the ledger says of a mailbox without UIDVALIDITY.
const UNSTABLE: &str = "unstable UIDs: the server gives no UIDVALIDITY, so its UIDs hold for one session only, and \
                        what is held is recognised by its content in each run";

/// Brings the mailbox up to date over this connection. After an error it may be called again with
/// another connection; it goes on from what the archive has.
pub(super) async fn pull(
    context: &Context<'_>,
    session: &mut Session,
    folder: &mut FolderState<'_>,
    entry: &mut FolderLedger,
) -> Result<(), RunError> {
    if let (Some(held), false) = (folder.prospect.unchanged(), folder.opened_before) {
        entry.on_server = held.live;
        entry.archived = held.live;
        return Ok(());
    }
    // What was said over another connection may not hold any more.
    folder.surveyed = survey::Answers::default();
    let recheck = folder.prospect.recheck;
    let since = folder.prospect.since();
    if folder.asks_ahead {
        session.expect(&folder.prospect.questions());
    }
    let opened = session.examine(&folder.prospect.listed.name, since).await?;
    if opened.uid_validity.is_none() && !folder.opened_before {
        entry.notices.push(UNSTABLE.to_owned());
    }
    if !folder.opened_before {
        tell_of_new_validity(folder, opened.uid_validity);
    }
    folder.opened_before = true;
    let mut held = open_epoch(context, folder.mailbox, &opened).await?;
    folder.enter(held.epoch);

    let resynced = opened.resynced
        && since.is_some_and(|since| Some(since.validity) == opened.uid_validity)
        && !held.server_went_back(&opened, &UidSet::new());
    let mut server = match recheck {
        true => session.uids_by_fetch().await?,
        false => uids_on_server(session, folder, &opened, &held, resynced).await?,
    };
    if folder.asks_ahead && !recheck {
        let lacking = missing(context, folder, &held, &server).difference(&held.lost);
        let lacking = folder.surveyed.not_in(&lacking);
        session.expect(&next_looks(&held, &opened, &server, resynced, &lacking));
    }
    let doubted = doubt(context, session, &opened, &mut held, &server, recheck, entry).await?;
    if recheck {
        // Its modification sequence is one of the numbers that are not believed now.
        held.mark = None;
    }
    let resynced = resynced && !doubted;
    note_listing(entry, &held, &server);
    let untold = note_flags(context, session, &opened, &held, &server, resynced, entry).await?;
    let mut exists = u64::from(opened.exists);
    for round in 1..=MAX_ROUNDS {
        catch_up(context, session, folder, entry, &mut held, &server, exists).await?;
        session.expect(&folder.then);
        let now = u64::from(session.recount().await?);
        let whole = server.difference(&held.uids).is_empty();
        if now == server.len() && held.gone_from(&server).is_empty() && (whole || round > 1) {
            exists = now;
            break;
        }
        exists = now;
        server = match server.is_empty() || now > 0 {
            true => session.uids().await?,
            // Emptied meanwhile, or a count that is not true: nothing vanishes on a count alone.
            false => session.uids_by_fetch().await?,
        };
        note_listing(entry, &held, &server);
    }
    let what = ("it has another UIDVALIDITY", folder.loss_was_told);
    end_leftovers(context, what, entry, held.epoch, &held.leftovers).await?;
    name_what_is_missing(context, folder, entry, &held, &server).await?;
    entry.on_server = exists;
    entry.archived = held.uids.intersection(&server).len();
    let is_told = server.len() == exists && untold.is_empty();
    if server.len() != exists {
        let only = if server.len() < exists { "only " } else { "" };
        entry.error = Some(format!("the server counts {exists} messages but lists {only}{}", server.len()));
    } else if !held.gone_from(&server).is_empty() {
        entry.error = Some("the server's count changed too often to tell what has vanished".to_owned());
    } else if !is_told {
        entry.error = Some(format!("the server refuses to tell the flags of {} messages", untold.len()));
    }
    let mark = Mark {
        uid_next: opened.uid_next.max(after_last(&server)),
        // Changes of flags that were not heard are asked for again (I17).
        highest_modseq: if is_told { opened.highest_modseq } else { held.modseq() },
        messages: u32::try_from(exists).unwrap_or(u32::MAX),
    };
    let epoch = held.epoch;
    context.pipeline.ask(move |writer| writer.mark(epoch, &mark)).await
}

/// All messages of a folder under new UIDs: nothing is lost by it, and all has to be recognised anew.
fn tell_of_new_validity(folder: &FolderState<'_>, now: Option<UidValidity>) {
    let before = folder.prospect.held.as_ref().and_then(|held| held.validity);
    if let (Some(before), Some(now)) = (before, now)
        && before != now
    {
        let (before, now, folder) = (before.get(), now.get(), folder.prospect.listed.name.text());
        tracing::warn!(folder, before, now, "the server has given new UIDs to all messages (UIDVALIDITY)");
    }
}

/// The messages of former epochs end, now that those that are still there lie in the present one. When
/// many are not, the account may have been replaced by another, or a wrong server answered (L2): then
/// they end only when the next run finds the same.
pub(super) async fn end_leftovers(
    context: &Context<'_>,
    (what, loss_was_told): (&str, bool),
    entry: &mut FolderLedger,
    epoch: EpochId,
    leftovers: &[EpochId],
) -> Result<(), RunError> {
    if leftovers.is_empty() {
        return Ok(());
    }
    // The archive answers as of the last commit.
    context.pipeline.commit().await?;
    let leftovers = leftovers.to_vec();
    let ends = leftovers.clone();
    let count = context.pipeline.ask(move |writer| {
        let (mut before, mut missing) = (0, 0);
        for &leftover in &leftovers {
            before += writer.view().held_uids(leftover)?.len() + writer.view().lost_uids(leftover)?.len();
            missing += writer.view().missing_in(leftover, epoch)?;
        }
        Ok((before, missing))
    });
    let (before, missing) = count.await?;
    if context.job.limits.watchdog.is_suspicious(before, missing) && !loss_was_told {
        entry.unconfirmed = missing;
        entry.vanished += missing;
        entry.notices.push(format!(
            "{what}, and {missing} of {before} messages are not in it any more; they count \
             as gone when the next run finds the same"
        ));
        return Ok(());
    }
    entry.vanished += if loss_was_told { 0 } else { missing };
    let end = context
        .pipeline
        .ask(move |writer| ends.into_iter().try_for_each(|leftover| writer.end_epoch(leftover)));
    end.await
}
