//! Bringing the wanted messages of a mailbox: in bulk, newest first, with several commands in
//! flight; then, for what did not come, again with fewer at a time, down to one message.
//!
//! What still does not come is asked for once more with no other command under way and in the
//! simplest form there is (`BODY.PEEK[]`), for servers are known that answer without UIDs, or
//! refuse the longer form. A message during which the connection broke is fetched alone; if it
//! breaks again, in slices, twice, and is taken only if both times gave the same octets.
//!
//! Every message that is asked for ends in one of three lists: delivered (it is on its way through
//! the pipeline), absent (the server said OK and sent nothing) or refused (the server's words). None
//! is ever left out silently. A refusal that means "slow down" is none of a message's: it ends the
//! work, and the account waits.

use std::collections::HashMap;
use std::ops::ControlFlow;

use archive::EpochId;
use message::{Flags, InternalDate, Uid, UidSet};
use remote::Kind;
use remote::imap::{Delivery, FetchRequest, FetchSink, Part, Refusal, Session, Surveyed};

use super::pipeline::Arrived;
use super::{Context, RunError};
use crate::plan;

/// Messages of one window that are asked for a last time, each by itself: bounds the round trips
/// that a server can make us spend on what it does not give.
const MOST_LAST_TRIES: usize = 1_000;

/// What became of the wanted messages.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    pub(crate) delivered: UidSet,
    /// The server said OK and did not send them.
    pub(crate) absent: UidSet,
    /// The server refused them, each by itself.
    pub(crate) refused: Vec<(Uid, String)>,
    /// What is being asked for, one set a command, in this order.
    asked: Vec<UidSet>,
    /// Whose command is complete.
    answered: UidSet,
}

impl Brought {
    /// Which message was on its way when the connection was cut: the first that is missing of the
    /// oldest command without an answer.
    pub(crate) fn on_its_way(&self) -> Option<Uid> {
        let missing = |set: &UidSet| set.difference(&self.delivered).difference(&self.answered).first();
        self.asked.iter().find_map(missing)
    }

    pub(super) fn asks(&mut self, sets: &[UidSet]) {
        self.asked = sets.to_vec();
        self.answered = UidSet::new();
    }
}

/// Messages during which the connection was cut before.
#[derive(Debug, Default)]
pub(crate) struct Doubts {
    /// Once: they come after the others, each by itself.
    pub(crate) alone: UidSet,
    /// More often: they come last, in slices.
    pub(crate) in_slices: UidSet,
}

impl Doubts {
    /// There is nothing that has to be fetched in another way.
    pub(crate) fn is_empty(&self) -> bool {
        self.alone.is_empty() && self.in_slices.is_empty()
    }

    /// Those about these messages.
    pub(crate) fn among(&self, messages: &[Surveyed]) -> Self {
        let those = |doubtful: &UidSet| {
            messages.iter().map(|message| message.uid).filter(|uid| doubtful.contains(*uid)).collect()
        };
        Self { alone: those(&self.alone), in_slices: those(&self.in_slices) }
    }
}

/// What is wanted of one mailbox.
pub(crate) struct Wanted {
    pub(crate) epoch: EpochId,
    pub(crate) messages: Vec<Surveyed>,
    /// They are held already, and are fetched to prove it by their bytes.
    pub(crate) prove: bool,
}

/// Fetches all that is wanted. `brought` is filled also when an error ends the work.
pub(crate) async fn bring(
    context: &Context<'_>,
    session: &mut Session,
    wanted: &Wanted,
    doubts: &Doubts,
    brought: &mut Brought,
    bytes_fetched: &mut u64,
) -> Result<(), RunError> {
    let messages: HashMap<Uid, &Surveyed> =
        wanted.messages.iter().map(|message| (message.uid, message)).collect();
    let is_doubtful = |uid| doubts.alone.contains(uid) || doubts.in_slices.contains(uid);
    let newest_first = wanted.messages.iter().rev();
    let in_bulk: Vec<_> = newest_first.filter(|m| !is_doubtful(m.uid)).map(|m| (m.uid, m.size)).collect();
    let plan::Orders { whole, sliced } = plan::orders(&in_bulk);
    let mut bringing = Bringing { context, session, wanted, messages, brought, bytes_fetched };

    let mut unanswered = bringing.in_bulk(whole).await?;
    for &(uid, size) in &sliced {
        bringing.in_slices(uid, size).await?;
    }
    for uid in doubts.alone.difference(&doubts.in_slices).iter() {
        unanswered.extend(bringing.in_bulk(vec![UidSet::from_iter([uid])]).await?);
    }
    bringing.a_last_time(unanswered).await?;
    for uid in doubts.in_slices.iter() {
        bringing.in_agreeing_slices(uid).await?;
    }
    Ok(())
}

/// A message that did not come, and the server's words if it refused it.
type Unanswered = (Uid, Option<Refusal>);

/// The work of [`bring`].
pub(super) struct Bringing<'a, 'c> {
    pub(super) context: &'a Context<'c>,
    pub(super) session: &'a mut Session,
    pub(super) wanted: &'a Wanted,
    pub(super) messages: HashMap<Uid, &'a Surveyed>,
    pub(super) brought: &'a mut Brought,
    pub(super) bytes_fetched: &'a mut u64,
}

impl Bringing<'_, '_> {
    /// Whole messages, in fewer and fewer at a time. Gives back what did not come when asked for by
    /// itself.
    async fn in_bulk(&mut self, mut whole: Vec<UidSet>) -> Result<Vec<Unanswered>, RunError> {
        let mut unanswered = Vec::new();
        while !whole.is_empty() {
            let failures = self.once(whole, Part::Whole).await?;
            whole = failures.again;
            unanswered.extend(failures.unanswered);
        }
        Ok(unanswered)
    }

    /// Each by itself, with nothing else under way, in the simplest form.
    async fn a_last_time(&mut self, unanswered: Vec<Unanswered>) -> Result<(), RunError> {
        for (number, (uid, refusal)) in unanswered.into_iter().enumerate() {
            let mut left = vec![(uid, refusal)];
            if number < MOST_LAST_TRIES {
                left = self.once(vec![UidSet::from_iter([uid])], Part::Plain).await?.unanswered;
            }
            for (uid, refusal) in left {
                match refusal {
                    Some(refusal) => self.brought.refused.push((uid, refusal.to_string())),
                    None => self.brought.absent.insert(uid),
                }
            }
        }
        Ok(())
    }

    async fn once(&mut self, sets: Vec<UidSet>, part: Part) -> Result<Failures, RunError> {
        self.brought.asks(&sets);
        let mut sink = WholeSink {
            context: self.context,
            wanted: self.wanted,
            messages: &self.messages,
            brought: &mut *self.brought,
            bytes_fetched: &mut *self.bytes_fetched,
            failures: Failures::default(),
            ended_by: None,
        };
        let requests = sets.into_iter().map(|uids| FetchRequest { uids, part }).collect();
        let result = self.session.fetch(requests, &mut sink).await;
        let WholeSink { failures, ended_by, .. } = sink;
        if let Some(ended_by) = ended_by {
            return Err(ended_by);
        }
        result?;
        Ok(failures)
    }
}

/// What did not come.
#[derive(Default)]
struct Failures {
    /// What must be asked for again, in smaller sets.
    again: Vec<UidSet>,
    /// What was asked for by itself.
    unanswered: Vec<Unanswered>,
}

struct WholeSink<'a, 'c> {
    context: &'a Context<'c>,
    wanted: &'a Wanted,
    messages: &'a HashMap<Uid, &'a Surveyed>,
    brought: &'a mut Brought,
    bytes_fetched: &'a mut u64,
    failures: Failures,
    ended_by: Option<RunError>,
}

impl FetchSink for WholeSink<'_, '_> {
    async fn delivered(&mut self, delivery: Delivery) -> ControlFlow<()> {
        *self.bytes_fetched += delivery.bytes.len() as u64;
        // Nobody asked for it, or it came twice: the first answer stands.
        let Some(message) = self.messages.get(&delivery.uid) else { return ControlFlow::Continue(()) };
        // No octets of a message that is said to have some: as good as no answer.
        let is_hollow = delivery.bytes.is_empty() && message.size > 0;
        if is_hollow || self.brought.delivered.contains(delivery.uid) {
            return ControlFlow::Continue(());
        }
        let sent = self.pass_on(message, delivery).await;
        self.end_with(sent.and_then(|()| self.context.may_go_on(*self.bytes_fetched)))
    }

    async fn finished(&mut self, request: FetchRequest, refused: Option<Refusal>) -> ControlFlow<()> {
        let missing = request.uids.difference(&self.brought.delivered);
        self.brought.answered.extend_from(&request.uids);
        let single = missing.first().filter(|_| request.uids.len() == 1);
        match (refused, single) {
            _ if missing.is_empty() => {}
            (Some(refusal), _) if is_throttling(&refusal) => {
                return self.end_with(Err(throttled(&request.uids, refusal)));
            }
            (refusal, Some(uid)) => self.failures.unanswered.push((uid, refusal)),
            (Some(_), None) => self.failures.again.extend(plan::halves(&missing)),
            (None, None) => {
                self.failures.again.extend(missing.iter().map(|uid| UidSet::from_iter([uid])));
            }
        }
        ControlFlow::Continue(())
    }
}

/// The server wants less of everything, not less of this message.
pub(super) fn is_throttling(refusal: &Refusal) -> bool {
    matches!(refusal.kind(), Some(Kind::Limit { .. }))
}

pub(super) fn throttled(uids: &UidSet, refusal: Refusal) -> RunError {
    remote::Error::Refused { command: format!("UID FETCH {uids}"), refusal }.into()
}

impl WholeSink<'_, '_> {
    async fn pass_on(&mut self, message: &Surveyed, delivery: Delivery) -> Result<(), RunError> {
        let share = self.context.pipeline.room(delivery.bytes.len()).await?;
        let arrived = arrived(self.wanted, message, delivery.flags, delivery.internal_date);
        self.context.progress.message(delivery.bytes.len() as u64);
        self.context.pipeline.message(arrived, delivery.bytes, share)?;
        self.brought.delivered.insert(message.uid);
        Ok(())
    }

    fn end_with(&mut self, result: Result<(), RunError>) -> ControlFlow<()> {
        match result {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.ended_by = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}

pub(super) fn arrived(
    wanted: &Wanted,
    message: &Surveyed,
    flags: Option<Flags>,
    date: Option<InternalDate>,
) -> Arrived {
    Arrived {
        epoch: wanted.epoch,
        uid: message.uid,
        flags: flags.unwrap_or_else(|| message.flags.clone()),
        internal_date: date.unwrap_or_else(|| message.internal_date.clone()),
        proves: wanted.prove,
        renames: None,
        nameless: None,
    }
}
