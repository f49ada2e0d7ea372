//! One mailbox, brought up to date.
//!
//! The mailbox is opened with EXAMINE, so nothing in it is touched. The server's set of UIDs less
//! the set that the archive holds is what is missing; the reverse has vanished. Flags that differ
//! are recorded. At the end the server counts again, and what came or went meanwhile is caught up
//! with, a few rounds long. The mark that lets the next run skip an unchanged mailbox is written
//! last, in the same commit as the messages it covers, or a later one.

use std::collections::{HashMap, HashSet};

use archive::{EpochId, MailboxId, MailboxInfo, Mark, TroubleInfo};
use message::{ModSeq, Uid, UidSet, UidValidity};
use remote::imap::{Examined, FlagChange, Listed, Session, Since, Surveyed};

use super::account::{AccountState, Suspects, server_state};
use super::compare::{compare, redate, replace};
use super::copies::{Copies, place_copies};
use super::fetch::{Brought, Doubts, Wanted, bring};
use super::peek::{self, Peek};
use super::prove::prove;
use super::recognise::recognise;
use super::revive::revive;
use super::{Context, RunError};
use crate::ledger::{FolderLedger, Item, Listing};
use crate::plan::{self, HeldState, ServerState};
use crate::recheck;
use crate::renames;
use crate::retry::{Patience, message_is_due};

/// Rounds of catching up with a mailbox that changes while it is pulled; then the next run goes on.
const MAX_ROUNDS: u32 = 3;
/// More vanished messages than this are believed only when a full list of UIDs says the same:
/// servers have been seen to report living messages as vanished.
const VANISHED_ON_TRUST: u64 = 20;

/// The mark of a mailbox whose held messages are to be compared with the server's before anything else is
/// believed.
const IN_DOUBT: Mark = Mark { uid_next: None, highest_modseq: None, messages: 0 };

/// What is known of a mailbox in the course of a run, over any number of connections.
pub(super) struct FolderState<'a> {
    mailbox: MailboxId,
    listed: &'a Listed,
    known: Option<MailboxInfo>,
    unproven: u64,
    may_match: bool,
    /// It is to be looked at in full, whatever its numbers say.
    recheck: bool,
    pub(super) to_prove: &'a mut u64,
    pub(super) peek: &'a mut Peek,
    pub(super) copies: &'a mut Copies,
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
    /// Messages gained so far.
    pub(super) delivered: u64,
    opened_before: bool,
}

impl<'a> FolderState<'a> {
    pub(super) fn new(
        mailbox: MailboxId,
        listed: &'a Listed,
        known: Option<MailboxInfo>,
        account: &'a mut AccountState,
        recheck: bool,
    ) -> Self {
        Self {
            recheck,
            mailbox,
            listed,
            unproven: known
                .as_ref()
                .and_then(|known| account.unproven.get(&known.epoch?.id))
                .copied()
                .unwrap_or(0),
            known,
            may_match: account.may_match,
            waiting: 0,
            loss_was_told: account
                .past
                .as_ref()
                .is_some_and(|past| past.suspicion(&listed.name.text()).unconfirmed > 0),
            to_prove: &mut account.to_prove,
            peek: &mut account.peek,
            copies: &mut account.copies,
            suspects: Suspects::default(),
            doubts: Doubts::default(),
            skipped: UidSet::new(),
            left_unread: UidSet::new(),
            on_its_way: None,
            delivered: 0,
            opened_before: false,
        }
    }

    /// The connection was cut: the message that was on its way may be the reason.
    pub(super) fn note_cut(&mut self, patience: &Patience) {
        self.suspects.note(self.on_its_way.take());
        self.doubts.alone = self.suspects.cut_at_least(patience.cuts_before_alone);
        self.doubts.in_slices = self.suspects.cut_at_least(patience.cuts_before_slices);
        self.skipped = self.suspects.cut_at_least(patience.cuts_before_skipped);
    }

    fn held_state(&self) -> Option<HeldState> {
        let known = self.known.as_ref().filter(|known| known.gone.is_none())?;
        let epoch = known.epoch.as_ref()?;
        Some(HeldState {
            validity: epoch.validity,
            mark: epoch.mark,
            // What damage has taken is not held: the mailbox is opened, and it is fetched.
            live: known.live.saturating_sub(known.lost),
            unproven: self.unproven,
        })
    }
}

/// What the archive holds of the mailbox that was opened.
struct Held {
    epoch: EpochId,
    uids: UidSet,
    /// Believed to be on the server, and lost to damage: fetched again, never matched.
    lost: UidSet,
    /// Older epochs whose messages are still believed to be on the server.
    leftovers: Vec<EpochId>,
    /// Those of them under the same UIDVALIDITY.
    same_validity: Vec<EpochId>,
    troubles: Vec<TroubleInfo>,
    unproven: UidSet,
    mark: Option<Mark>,
}

impl Held {
    /// What the archive believes to be on the server.
    fn believed(&self) -> UidSet {
        let mut believed = self.uids.clone();
        believed.extend_from(&self.lost);
        believed
    }

    fn modseq(&self) -> Option<ModSeq> {
        self.mark.and_then(|mark| mark.highest_modseq)
    }

    /// The server went back behind the mark. A UIDNEXT below a UID that the server lists is a fault of
    /// its own (I14).
    fn server_went_back(&self, opened: &Examined, listed: &UidSet) -> bool {
        let server = ServerState {
            messages: opened.exists,
            validity: opened.uid_validity,
            uid_next: opened.uid_next.max(after_last(listed)),
            modseq: opened.highest_modseq,
        };
        self.mark.is_some_and(|mark| plan::went_back(&server, &mark))
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
    let held_state = folder.held_state();
    let status = folder.listed.status.as_ref().map(server_state);
    if let (Some(held), Some(server), false) = (&held_state, &status, folder.opened_before || folder.recheck)
        && plan::is_unchanged(server, held)
    {
        entry.on_server = u64::from(server.messages);
        entry.archived = held.live;
        return Ok(());
    }
    let since = held_state.as_ref().filter(|_| !folder.recheck);
    let since = since.and_then(|held| plan::resync_from(status.as_ref(), held));
    let since = since.map(|(validity, modseq)| Since { validity, modseq });
    let opened = session.examine(&folder.listed.name, since).await?;
    if opened.uid_validity.is_none() && !folder.opened_before {
        entry.notices.push(UNSTABLE.to_owned());
    }
    if !folder.opened_before {
        tell_of_new_validity(folder, opened.uid_validity);
    }
    folder.opened_before = true;
    let mut held = open_epoch(context, folder.mailbox, &opened).await?;

    let resynced = opened.resynced
        && since.is_some_and(|since| Some(since.validity) == opened.uid_validity)
        && !held.server_went_back(&opened, &UidSet::new());
    let mut server = match folder.recheck {
        true => session.uids_by_fetch().await?,
        false => {
            let is_said_to_be_empty = status.as_ref().is_none_or(|status| status.messages == 0);
            uids_on_server(session, &opened, &held, resynced, is_said_to_be_empty).await?
        }
    };
    let doubted = doubt(context, session, &opened, &mut held, &server, folder.recheck, entry).await?;
    if folder.recheck {
        // Its modification sequence is one of the numbers that are not believed now.
        held.mark = None;
    }
    let resynced = resynced && !doubted;
    note_listing(entry, &held, &server);
    let untold = note_flags(context, session, &opened, &held, &server, resynced, entry).await?;
    let mut exists = u64::from(opened.exists);
    for round in 1..=MAX_ROUNDS {
        catch_up(context, session, folder, entry, &mut held, &server, exists).await?;
        let now = u64::from(session.recount().await?);
        let whole = server.difference(&held.uids).is_empty();
        if now == server.len() && (whole || round > 1) {
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

/// Notes what is to be brought. What was held before the run is noted once, whatever happens to the line.
fn note_listing(entry: &mut FolderLedger, held: &Held, server: &UidSet) {
    let earlier = entry.listing.take().filter(|listing| listing.epoch == held.epoch);
    let held_before =
        earlier.map_or_else(|| held.uids.intersection(server).len(), |listing| listing.held_before);
    entry.listing = Some(Listing { epoch: held.epoch, uids: server.clone(), held_before });
}

/// The UID after the last one of these.
fn after_last(uids: &UidSet) -> Option<Uid> {
    uids.last().and_then(|last| Uid::new(last.get().saturating_add(1)))
}

/// Whether the server's UIDs can be trusted. Where its numbers went back, or where the newest messages
/// that we hold are others there, all that is held is compared, and what differs counts as held no
/// more: it is fetched like any new message (L4, L5).
async fn doubt(
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

/// All messages of a folder under new UIDs: nothing is lost by it, and all has to be recognised anew.
fn tell_of_new_validity(folder: &FolderState<'_>, now: Option<UidValidity>) {
    let known = folder.known.as_ref().filter(|known| known.gone.is_none());
    let before = known.and_then(|known| known.epoch.as_ref()).and_then(|epoch| epoch.validity);
    if let (Some(before), Some(now)) = (before, now)
        && before != now
    {
        let (before, now, folder) = (before.get(), now.get(), folder.listed.name.text());
        tracing::warn!(folder, before, now, "the server has given new UIDs to all messages (UIDVALIDITY)");
    }
}

async fn open_epoch(context: &Context<'_>, mailbox: MailboxId, opened: &Examined) -> Result<Held, RunError> {
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
                    same_validity.push(info.id);
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
        })
    });
    held.await
}

/// The server's UIDs: from what QRESYNC told, if its sum agrees with the server's count; else the
/// full list.
async fn uids_on_server(
    session: &mut Session,
    opened: &Examined,
    held: &Held,
    resynced: bool,
    is_said_to_be_empty: bool,
) -> Result<UidSet, RunError> {
    if opened.exists == 0 {
        // A count of 0 alone is not enough to say that everything has vanished, or that nothing came:
        // we hold some of it, STATUS counts some, or UIDs have been given.
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
    Ok(session.uids().await?)
}

/// Records flags that are not as the archive has them: what QRESYNC told, what changed since the
/// mark, or, on a server that has neither, a comparison of all of them. Gives back the messages whose
/// flags the server refuses to tell.
async fn note_flags(
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
    let known = held.believed().intersection(server);
    if opened.highest_modseq.is_some() && opened.highest_modseq == held.modseq() {
        return Ok(UidSet::new());
    }
    let since = held.modseq().filter(|&then| opened.highest_modseq.is_some_and(|now| now >= then));
    let mut untold = UidSet::new();
    for window in plan::windows(&known) {
        let mut changes = Vec::new();
        let refused = session.flags(&window, since, &mut |change: FlagChange| changes.push(change)).await?;
        untold.extend_from(&refused);
        let (changed, deleted) = record_flags(context, epoch, changes).await?;
        entry.flags_changed += changed;
        entry.marked_deleted += deleted;
    }
    Ok(untold)
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

/// One round: what has vanished is recorded, what the archive has under another UID is recognised,
/// the rest is fetched.
async fn catch_up(
    context: &Context<'_>,
    session: &mut Session,
    folder: &mut FolderState<'_>,
    entry: &mut FolderLedger,
    held: &mut Held,
    server: &UidSet,
    exists: u64,
) -> Result<(), RunError> {
    let epoch = held.epoch;
    let gone = held.believed().difference(server);
    // A list that is shorter than the server's own count says nothing about what is not in it.
    if !gone.is_empty() && server.len() >= exists {
        entry.vanished += gone.len();
        held.uids = held.uids.difference(&gone);
        held.lost = held.lost.difference(&gone);
        context.pipeline.ask(move |writer| writer.vanished(epoch, &gone)).await?;
    }
    let (now, skipped) = (context.run.get(), &folder.skipped);
    let resting =
        held.troubles.iter().filter(|trouble| !message_is_due(trouble.attempts, trouble.last_run.get(), now));
    let left_out: UidSet = resting.map(|trouble| trouble.uid).chain(skipped.iter()).collect();
    let mut missing = server.difference(&held.uids).difference(&left_out);

    let mut surveyed = Vec::new();
    let mut surveyed_set = UidSet::new();
    if folder.may_match {
        for window in plan::windows(&missing.difference(&held.lost)) {
            surveyed = survey(session, &window).await?;
            let again = revive(context, epoch, &held.same_validity, &surveyed).await?;
            folder.delivered += again.len();
            held.uids.extend_from(&again);
            surveyed.retain(|message| !again.contains(message.uid));
            surveyed = harmless(session, folder, entry, surveyed).await?;
            let found = recognise(context, session, epoch, &surveyed, &mut entry.bytes_fetched).await?;
            entry.matched_by_header += found.len();
            entry.new += found.len();
            folder.delivered += found.len();
            held.uids.extend_from(&found);
            surveyed.retain(|message| !found.contains(message.uid));
            surveyed_set = window;
        }
        missing = missing.difference(&held.uids);
    }
    let unproven = std::mem::take(&mut held.unproven).intersection(server).intersection(&held.uids);
    prove(context, session, folder, entry, epoch, &unproven).await?;
    folder.waiting = missing.len();
    // Newest first: when a run ends early, it is the old mail that waits.
    for window in plan::windows(&missing).into_iter().rev() {
        // A few new messages were surveyed a moment ago, to recognise them.
        let mut messages =
            if window.difference(&surveyed_set).is_empty() && missing.len() <= plan::WINDOW_MESSAGES {
                std::mem::take(&mut surveyed)
            } else {
                survey_missing(session, folder, entry, &window).await?
            };
        held.uids.extend_from(&place_copies(context, session, folder, entry, epoch, &mut messages).await?);
        let wanted = Wanted { epoch, messages, prove: false };
        let octets = wanted.messages.iter().map(|message| message.size).sum();
        context.progress.folder_begins(&entry.folder, wanted.messages.len() as u64, octets);
        let stored = fetch_and_account(context, session, folder, entry, &wanted).await?;
        folder.copies.note(epoch, &wanted.messages, &stored);
        let healed = stored.intersection(&held.lost);
        entry.new += stored.len() - healed.len();
        held.uids.extend_from(&stored);
        if !healed.is_empty() {
            entry.healed += healed.len();
            held.lost = held.lost.difference(&healed);
            // The same messages may be missed in other folders, which shall see that they are back.
            context.pipeline.commit().await?;
        }
    }
    Ok(())
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

/// Fetches, and returns what the archive has taken. What failed is recorded with its reason.
pub(super) async fn fetch_and_account(
    context: &Context<'_>,
    session: &mut Session,
    folder: &mut FolderState<'_>,
    entry: &mut FolderLedger,
    wanted: &Wanted,
) -> Result<UidSet, RunError> {
    let mut brought = Brought::default();
    let doubts = folder.doubts.among(&wanted.messages);
    let result = bring(context, session, wanted, &doubts, &mut brought, &mut entry.bytes_fetched).await;
    folder.delivered += brought.delivered.len();
    if let Err(error) = &result {
        folder.on_its_way = brought.on_its_way();
        if !wanted.prove && !matches!(error, RunError::Remote(_)) {
            entry.notices.push(forecast(folder.waiting.saturating_sub(brought.delivered.len()), wanted));
        }
        // The entry counts what is stored; the caller will not come back here for it.
        entry.new += if wanted.prove { 0 } else { brought.delivered.len() };
    }
    result?;
    folder.waiting = folder.waiting.saturating_sub(wanted.messages.len() as u64);
    context.pipeline.flush().await?;
    let spoilt = context.pipeline.take_spoilt();
    let spoilt_uids: UidSet = spoilt.iter().map(|(uid, _)| *uid).collect();
    for (uid, why) in spoilt.into_iter().chain(brought.refused) {
        note_failure(context, wanted.epoch, entry, uid, why).await?;
    }
    Ok(brought.delivered.difference(&spoilt_uids))
}

/// What is left for later runs, judged by the messages at hand.
fn forecast(waiting: u64, at_hand: &Wanted) -> String {
    let octets: u64 = at_hand.messages.iter().map(|message| message.size).fold(0, u64::saturating_add);
    let each = octets / (at_hand.messages.len() as u64).max(1);
    format!("{waiting} messages are still to be fetched, about {} octets", waiting.saturating_mul(each))
}

async fn note_failure(
    context: &Context<'_>,
    epoch: EpochId,
    entry: &mut FolderLedger,
    uid: Uid,
    why: String,
) -> Result<(), RunError> {
    if entry.failed.iter().any(|item| item.uid == Some(uid.get())) {
        return Ok(());
    }
    entry.failed.push(Item::new(uid, why.clone()));
    context.pipeline.ask(move |writer| writer.trouble(epoch, uid, &why)).await
}

/// Names every message that the server has and the archive has not, with the reason.
async fn name_what_is_missing(
    context: &Context<'_>,
    folder: &FolderState<'_>,
    entry: &mut FolderLedger,
    held: &Held,
    server: &UidSet,
) -> Result<(), RunError> {
    let missing = server.difference(&held.uids);
    // What failed and has left the server since is no loss; what was left unread and has been read and
    // fetched since is no failure.
    let is_missing = |item: &Item| {
        let fetched = |uid| folder.left_unread.contains(uid) && held.uids.contains(uid);
        item.uid.and_then(Uid::new).is_none_or(|uid| server.contains(uid) && !fetched(uid))
    };
    entry.failed.retain(is_missing);
    let named: HashSet<u32> = entry.failed.iter().filter_map(|item| item.uid).collect();
    let troubles: HashMap<Uid, &TroubleInfo> =
        held.troubles.iter().map(|trouble| (trouble.uid, trouble)).collect();
    for uid in missing.iter() {
        let trouble = troubles.get(&uid);
        if named.contains(&uid.get()) {
            continue;
        } else if folder.skipped.contains(uid) {
            let why = "the connection is cut whenever it is fetched".to_owned();
            note_failure(context, held.epoch, entry, uid, why).await?;
        } else if let Some(trouble) = trouble {
            let why =
                format!("failed in {} runs, will be tried again later: {}", trouble.attempts, trouble.reason);
            entry.skipped.push(Item::new(uid, why));
        } else {
            note_failure(
                context,
                held.epoch,
                entry,
                uid,
                "the server lists it but does not send it".to_owned(),
            )
            .await?;
        }
    }
    Ok(())
}

/// What the server says of messages that are to be fetched.
async fn survey_missing(
    session: &mut Session,
    folder: &mut FolderState<'_>,
    entry: &mut FolderLedger,
    uids: &UidSet,
) -> Result<Vec<Surveyed>, RunError> {
    let messages = survey(session, uids).await?;
    harmless(session, folder, entry, messages).await
}

/// Those of the messages that can be fetched without changing them; the others are named.
async fn harmless(
    session: &mut Session,
    folder: &mut FolderState<'_>,
    entry: &mut FolderLedger,
    mut messages: Vec<Surveyed>,
) -> Result<Vec<Surveyed>, RunError> {
    folder.peek.try_out(session, &messages, &mut entry.bytes_fetched).await?;
    messages.retain(|message| {
        let may = folder.peek.may_fetch(message);
        if !may && !folder.left_unread.contains(message.uid) {
            folder.left_unread.insert(message.uid);
            entry.failed.push(Item::new(message.uid, peek::WHY_LEFT.to_owned()));
        }
        may
    });
    Ok(messages)
}

pub(super) async fn survey(session: &mut Session, uids: &UidSet) -> Result<Vec<Surveyed>, RunError> {
    let mut messages = Vec::new();
    session.survey(uids, &mut |message| messages.push(message)).await?;
    messages.retain(|message: &Surveyed| uids.contains(message.uid));
    messages.sort_by_key(|message| message.uid);
    messages.dedup_by_key(|message| message.uid);
    Ok(messages)
}

/// Whether the mailbox that is open has the messages of this epoch of the archive, by UID, size
/// and INTERNALDATE: then it was renamed. Fetches no content.
pub(super) async fn has_the_messages_of(
    context: &Context<'_>,
    session: &mut Session,
    epoch: EpochId,
) -> Result<bool, RunError> {
    let uids = context.pipeline.ask(move |writer| {
        let mut uids = writer.view().held_uids(epoch)?;
        uids.extend_from(&writer.view().lost_uids(epoch)?);
        Ok(uids)
    });
    let uids = uids.await?;
    for window in plan::windows(&uids) {
        let (Some(first), Some(last)) = (window.first(), window.last()) else { continue };
        let known = context.pipeline.ask(move |writer| writer.view().survey_in(epoch, first..=last)).await?;
        let known: Vec<_> = known.into_iter().map(|(uid, size, date, _)| (uid, size, date.unix())).collect();
        let now = survey(session, &window).await?;
        let now: Vec<_> = now
            .into_iter()
            .map(|message| (message.uid, message.size, message.internal_date.unix()))
            .collect();
        if !renames::is_same(&known, &now) {
            return Ok(false);
        }
    }
    Ok(!uids.is_empty())
}
