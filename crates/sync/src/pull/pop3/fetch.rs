//! Bringing messages of a maildrop: newest first and in bulk; then, for what did not come, one at a
//! time; then by TOP, which on some servers takes another way to the same bytes.
//!
//! Every message that is asked for ends delivered (it is on its way through the pipeline) or refused
//! with a reason. A message during which the connection broke, or behind which the server was out of
//! step, is asked for by itself the next time, then by TOP, then left out by name.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use archive::{EpochId, PopName};
use bytes::Bytes;
use message::fields::Fields;
use message::{Flags, InternalDate, Uid, UidSet, received_date};
use remote::pop3::{Count, How, Number, Pace, RetrieveSink, Retrieved, Session, Wanted};
use remote::{Kind, Refusal};

use super::super::pipeline::Arrived;
use super::super::{Context, RunError};
use super::pool::Pool;

/// A `Received` field that is this far ahead of our clock is not believed.
const AHEAD_SECONDS: i64 = 86_400;

/// After so many right counts of octets a wrong one is no habit of the server's.
const RIGHT_COUNTS: u64 = 3;

/// A message that is to be brought.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    pub(super) number: Number,
    /// Where it belongs; for a message without a name, what stands in for its UID.
    pub(super) uid: Uid,
    /// By LIST.
    pub(super) octets: Option<u64>,
}

/// What for.
#[derive(Clone)]
pub(super) enum Purpose {
    /// It belongs under its UID.
    Keep,
    /// It is held already, and its bytes are compared.
    Prove,
    /// The same of messages without a name of their own; which name each has, should it be another one.
    ProveNameless(Arc<HashMap<Uid, PopName>>),
    /// It belongs wherever its content lies.
    Place(Arc<Pool>),
}

/// What is to be brought, and how.
pub(super) struct Order<'a> {
    pub(super) epoch: EpochId,
    pub(super) purpose: &'a Purpose,
    pub(super) wants: &'a [Want],
    pub(super) doubts: Doubts,
    pub(super) pace: Pace,
}

/// Messages during which connections broke, and how far their fetching has come down.
#[derive(Debug, Default)]
pub(super) struct Doubts {
    /// Each by itself.
    pub(super) alone: UidSet,
    /// By TOP.
    pub(super) by_top: UidSet,
    /// How many messages the server has counted as it sends them; `None` where some were of another
    /// length, and counts prove nothing.
    pub(super) counted_right: Option<u64>,
}

/// What became of the messages.
#[derive(Debug, Default)]
pub(super) struct Brought {
    pub(super) delivered: UidSet,
    pub(super) refused: Vec<(Uid, String)>,
    /// What is being asked for, in this order.
    asked: Vec<Uid>,
    /// Behind which the server was out of step.
    pub(super) torn: Option<Uid>,
    /// Which may have been another message's answer, or two of them.
    doubtful: Option<Uid>,
    pub(super) counts: Counts,
}

/// How true the server's counts of octets are.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) exact: u64,
    /// Which it counts so, and how many came.
    pub(super) other: Vec<(Uid, u64, u64)>,
}

impl Brought {
    /// Which message was on its way when the connection broke or was given up.
    pub(super) fn on_its_way(&self) -> Option<Uid> {
        if self.torn.or(self.doubtful).is_some() {
            return self.torn.or(self.doubtful);
        }
        let is_done = |uid: Uid| {
            self.delivered.contains(uid) || self.refused.iter().any(|&(refused, _)| refused == uid)
        };
        self.asked.iter().copied().find(|&uid| !is_done(uid))
    }
}

/// Brings the messages. `brought` is filled also when an error ends the work.
pub(super) async fn bring(
    context: &Context<'_>,
    session: &mut Session,
    order: &Order<'_>,
    brought: &mut Brought,
    bytes_fetched: &mut u64,
) -> Result<(), RunError> {
    let &Order { epoch, purpose, wants, ref doubts, pace } = order;
    let by_number = wants.iter().map(|want| (want.number, *want)).collect();
    let mut sink = Sink {
        context,
        epoch,
        purpose,
        wants: by_number,
        how: How::Retr,
        commit_each: pace == Pace::Careful,
        counted_right: doubts.counted_right,
        several_under_way: pace == Pace::Fast && session.capabilities().pipelining,
        sliced: None,
        again: Vec::new(),
        last_try: false,
        brought,
        bytes_fetched,
        ended_by: None,
    };
    let is_doubtful = |want: &&Want| doubts.alone.contains(want.uid) || doubts.by_top.contains(want.uid);
    let mut in_bulk: Vec<Want> = wants.iter().filter(|want| !is_doubtful(want)).copied().collect();
    // When a run ends early, it is the old mail that waits.
    in_bulk.sort_by_key(|want| std::cmp::Reverse(want.number));
    let of = |set: &UidSet| wants.iter().filter(|want| set.contains(want.uid)).copied().collect::<Vec<_>>();
    let one_by_one = if pace == Pace::Fast { Pace::OneByOne } else { pace };

    sink.ask(session, &in_bulk, pace).await?;
    sink.several_under_way = false;
    let mut again = std::mem::take(&mut sink.again);
    again.extend(of(&doubts.alone.difference(&doubts.by_top)));
    sink.last_try = true;
    sink.ask(session, &again, one_by_one).await?;
    sink.how = How::Top;
    sink.ask(session, &of(&doubts.by_top), one_by_one).await
}

/// Where messages go.
struct Sink<'a, 'c> {
    context: &'a Context<'c>,
    epoch: EpochId,
    purpose: &'a Purpose,
    wants: HashMap<Number, Want>,
    how: How,
    /// Each message is made durable before the next is asked for.
    commit_each: bool,
    counted_right: Option<u64>,
    /// Answers to several commands are on their way at once.
    several_under_way: bool,
    /// The message that is coming in slices: its received date, and its octets so far.
    sliced: Option<(Number, InternalDate, u64)>,
    again: Vec<Want>,
    last_try: bool,
    brought: &'a mut Brought,
    bytes_fetched: &'a mut u64,
    ended_by: Option<RunError>,
}

impl Sink<'_, '_> {
    async fn ask(&mut self, session: &mut Session, wants: &[Want], pace: Pace) -> Result<(), RunError> {
        if wants.is_empty() {
            return Ok(());
        }
        self.brought.asked = wants.iter().map(|want| want.uid).collect();
        let how = self.how;
        let wanted: Vec<Wanted> =
            wants.iter().map(|want| Wanted { number: want.number, octets: want.octets, how }).collect();
        let result = session.retrieve(&wanted, pace, self).await;
        if self.sliced.take().is_some() {
            self.context.pipeline.abort_slices()?;
        }
        match self.ended_by.take() {
            Some(ended_by) => Err(ended_by),
            None => Ok(result?),
        }
    }

    async fn hear(&mut self, event: Retrieved) -> Result<(), RunError> {
        match event {
            Retrieved::Whole { number, bytes, count } => self.whole(number, bytes, count).await,
            Retrieved::Slice { number, bytes } => self.slice(number, bytes).await,
            Retrieved::EndOfSlices { number, count } => self.end_of_slices(number, count).await,
            Retrieved::Refused { number, refusal } => self.refused(number, refusal),
            Retrieved::Torn { number } => {
                self.brought.torn = self.wants.get(&number).map(|want| want.uid);
                self.void_slices()
            }
        }
    }

    async fn whole(&mut self, number: Number, bytes: Bytes, count: Count) -> Result<(), RunError> {
        *self.bytes_fetched += bytes.len() as u64;
        let Some(want) = self.wants.get(&number).copied() else { return Ok(()) };
        if bytes.is_empty() && want.octets.is_some_and(|octets| octets > 0) {
            return self.fails(want, "the server sent nothing of it".to_owned());
        }
        if !self.is_credible(want, count)? {
            return Ok(());
        }
        let share = self.context.pipeline.room(bytes.len()).await?;
        let arrived = self.arrived(want, self.date(&bytes));
        self.context.progress.message(bytes.len() as u64);
        self.context.pipeline.message(arrived, bytes, share)?;
        self.delivered(want, count).await
    }

    async fn slice(&mut self, number: Number, bytes: Bytes) -> Result<(), RunError> {
        let octets = bytes.len() as u64;
        *self.bytes_fetched += octets;
        let (date, before) = match self.sliced.take() {
            Some((sliced, date, before)) if sliced == number => (date, before),
            other => {
                if other.is_some() {
                    self.context.pipeline.abort_slices()?;
                }
                (self.date(&bytes), 0)
            }
        };
        self.sliced = Some((number, date, before + octets));
        let share = self.context.pipeline.room(bytes.len()).await?;
        self.context.pipeline.slice(bytes, share)?;
        // A message that never ends shall not go on beyond what the run may fetch.
        self.context.may_go_on(*self.bytes_fetched)
    }

    async fn end_of_slices(&mut self, number: Number, count: Count) -> Result<(), RunError> {
        let (Some((_, date, octets)), Some(want)) = (self.sliced.clone(), self.wants.get(&number).copied())
        else {
            return self.context.pipeline.abort_slices();
        };
        if !self.is_credible(want, count)? {
            return self.void_slices();
        }
        self.sliced = None;
        self.context.progress.message(octets);
        let arrived = self.arrived(want, date);
        self.context.pipeline.end_of_slices(arrived)?;
        self.delivered(want, count).await
    }

    /// What TOP gives counts only if it is as long as LIST says: some servers leave something out.
    ///
    /// Where one of several answers has no end, or looks like two, all that follow would be taken for
    /// other messages. So the first that is of another length, where counts were right until then,
    /// ends the connection; it is asked for by itself.
    fn is_credible(&mut self, want: Want, count: Count) -> Result<bool, RunError> {
        if let (Count::Other { told, came }, true) = (count, self.may_be_shifted()) {
            self.brought.doubtful = Some(want.uid);
            let what = "a message of as many octets as it was listed with";
            let excerpt = format!("{told} listed, {came} came");
            return Err(remote::Error::Malformed { what, excerpt }.into());
        }
        let is_as_told = matches!(count, Count::Exact | Count::WithoutLastLineEnd);
        if self.how == How::Top && !is_as_told {
            let why = "the connection breaks whenever it is fetched, and what TOP gives is not as long as LIST says";
            self.brought.refused.push((want.uid, why.to_owned()));
            return Ok(false);
        }
        Ok(true)
    }

    fn may_be_shifted(&self) -> bool {
        let Counts { exact, other } = &self.brought.counts;
        let right = self.counted_right.filter(|_| other.is_empty()).map_or(0, |before| before + exact);
        self.several_under_way && right >= RIGHT_COUNTS
    }

    async fn delivered(&mut self, want: Want, count: Count) -> Result<(), RunError> {
        match count {
            Count::Exact | Count::WithoutLastLineEnd => self.brought.counts.exact += 1,
            Count::Other { told, came } => self.brought.counts.other.push((want.uid, told, came)),
            Count::Untold => {}
        }
        self.brought.delivered.insert(want.uid);
        if self.commit_each {
            self.context.pipeline.commit().await?;
        }
        self.context.may_go_on(*self.bytes_fetched)
    }

    fn refused(&mut self, number: Number, refusal: Refusal) -> Result<(), RunError> {
        self.void_slices()?;
        let Some(want) = self.wants.get(&number).copied() else { return Ok(()) };
        if matches!(refusal.kind(), Some(Kind::Limit { .. })) {
            // It wants less of everything, not less of this message.
            return Err(remote::Error::Refused { command: format!("RETR {number}"), refusal }.into());
        }
        self.fails(want, refusal.to_string())
    }

    fn fails(&mut self, want: Want, why: String) -> Result<(), RunError> {
        match self.last_try {
            true => self.brought.refused.push((want.uid, why)),
            false => self.again.push(want),
        }
        Ok(())
    }

    fn void_slices(&mut self) -> Result<(), RunError> {
        match self.sliced.take() {
            Some(_) => self.context.pipeline.abort_slices(),
            None => Ok(()),
        }
    }

    fn arrived(&self, want: Want, internal_date: InternalDate) -> Arrived {
        Arrived {
            epoch: self.epoch,
            uid: want.uid,
            flags: Flags::default(),
            internal_date,
            proves: matches!(self.purpose, Purpose::Prove | Purpose::ProveNameless(_)),
            renames: match self.purpose {
                Purpose::ProveNameless(names) => names.get(&want.uid).cloned(),
                _ => None,
            },
            nameless: match self.purpose {
                Purpose::Place(pool) => Some(Arc::clone(pool)),
                _ => None,
            },
        }
    }

    /// POP3 tells no received date. The topmost `Received` field does; a message without one was
    /// written at its `Date`, and one without either was received in this run.
    fn date(&self, beginning: &[u8]) -> InternalDate {
        let now = self.context.started_ms.div_euclid(1_000);
        let is_credible = |unix: i64| unix <= now + AHEAD_SECONDS;
        if let Some(received) = received_date(beginning)
            && received.unix().is_some_and(is_credible)
        {
            return received;
        }
        let written = Fields::parse(beginning).date.filter(|&unix| is_credible(unix));
        InternalDate::from_unix(written.unwrap_or(now), 0)
    }
}

impl RetrieveSink for Sink<'_, '_> {
    async fn retrieved(&mut self, event: Retrieved) -> ControlFlow<()> {
        match self.hear(event).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.ended_by = Some(error);
                ControlFlow::Break(())
            }
        }
    }
}
