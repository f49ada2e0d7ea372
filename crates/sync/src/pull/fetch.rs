//! Bringing the wanted messages of a mailbox: in bulk, with several commands in flight; then, for
//! what did not come, again with fewer at a time, down to one message alone.
//!
//! Every message that is asked for ends in one of three lists: delivered (it is on its way through
//! the pipeline), absent (the server said OK and sent nothing) or refused (the server's words). None
//! is ever left out silently.

use std::collections::HashMap;
use std::ops::ControlFlow;

use archive::EpochId;
use message::{Flags, InternalDate, Uid, UidSet};
use remote::imap::{Delivery, FetchRequest, FetchSink, Part, Refusal, Session, Surveyed};

use super::pipeline::{Arrived, Pipeline};
use super::{Context, RunError};
use crate::plan::{self, SLICE_BYTES};

/// Slices of one message that are asked for at a time: bounds what a wrong size can cost.
const SLICES_AT_A_TIME: u64 = 8;
/// A message that goes on beyond so many octets is not a message.
const MAX_MESSAGE_BYTES: u64 = 1 << 40;

/// What became of the wanted messages.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    pub(crate) delivered: UidSet,
    /// The server said OK and did not send them.
    pub(crate) absent: UidSet,
    /// The server refused them, each by itself.
    pub(crate) refused: Vec<(Uid, String)>,
}

/// What is wanted of one mailbox.
pub(crate) struct Wanted {
    pub(crate) epoch: EpochId,
    pub(crate) messages: Vec<Surveyed>,
    /// They are held already, and are fetched to prove it by their bytes.
    pub(crate) prove: bool,
}

/// Fetches all that is wanted. `alone` are messages during which the connection was cut before: they
/// come last and one at a time. `brought` is filled also when an error ends the work.
pub(crate) async fn bring(
    context: &Context<'_>,
    session: &mut Session,
    wanted: &Wanted,
    alone: &UidSet,
    brought: &mut Brought,
    bytes_fetched: &mut u64,
) -> Result<(), RunError> {
    let messages: HashMap<Uid, &Surveyed> =
        wanted.messages.iter().map(|message| (message.uid, message)).collect();
    let in_bulk: Vec<_> =
        wanted.messages.iter().filter(|m| !alone.contains(m.uid)).map(|m| (m.uid, m.size)).collect();
    let plan::Orders { mut whole, sliced } = plan::orders(&in_bulk);
    let mut singles: Vec<UidSet> =
        messages.keys().filter(|uid| alone.contains(**uid)).map(|&uid| [uid].into_iter().collect()).collect();
    loop {
        let mut sink = WholeSink {
            context,
            wanted,
            messages: &messages,
            brought: &mut *brought,
            bytes_fetched: &mut *bytes_fetched,
            again: Vec::new(),
            ended_by: None,
        };
        let requests = whole.drain(..).map(|uids| FetchRequest { uids, part: Part::Whole }).collect();
        let result = session.fetch(requests, &mut sink).await;
        let WholeSink { again, ended_by, .. } = sink;
        if let Some(ended_by) = ended_by {
            return Err(ended_by);
        }
        result?;
        whole = again;
        if whole.is_empty() {
            match singles.pop() {
                Some(single) => whole.push(single),
                None => break,
            }
        }
    }
    for (uid, size) in sliced {
        if let Some(message) = messages.get(&uid) {
            bring_in_slices(context, session, wanted, message, size, brought, bytes_fetched).await?;
        }
    }
    Ok(())
}

struct WholeSink<'a, 'c> {
    context: &'a Context<'c>,
    wanted: &'a Wanted,
    messages: &'a HashMap<Uid, &'a Surveyed>,
    brought: &'a mut Brought,
    bytes_fetched: &'a mut u64,
    /// What must be asked for again, in smaller sets.
    again: Vec<UidSet>,
    ended_by: Option<RunError>,
}

impl FetchSink for WholeSink<'_, '_> {
    async fn delivered(&mut self, delivery: Delivery) -> ControlFlow<()> {
        *self.bytes_fetched += delivery.bytes.len() as u64;
        // Nobody asked for it, or it came twice: the first answer stands.
        let Some(message) = self.messages.get(&delivery.uid) else { return ControlFlow::Continue(()) };
        if self.brought.delivered.contains(delivery.uid) {
            return ControlFlow::Continue(());
        }
        let sent = self.pass_on(message, delivery).await;
        self.end_with(sent.and_then(|()| self.context.may_go_on(*self.bytes_fetched)))
    }

    async fn finished(&mut self, request: FetchRequest, refused: Option<Refusal>) -> ControlFlow<()> {
        let missing = request.uids.difference(&self.brought.delivered);
        let single = missing.first().filter(|_| request.uids.len() == 1);
        match (refused, single) {
            _ if missing.is_empty() => {}
            (Some(refusal), Some(uid)) => self.brought.refused.push((uid, refusal.to_string())),
            (None, Some(uid)) => self.brought.absent.insert(uid),
            (Some(_), None) => self.again.extend(plan::halves(&missing)),
            (None, None) => self.again.extend(missing.iter().map(|uid| UidSet::from_iter([uid]))),
        }
        ControlFlow::Continue(())
    }
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

fn arrived(wanted: &Wanted, message: &Surveyed, flags: Option<Flags>, date: Option<InternalDate>) -> Arrived {
    Arrived {
        epoch: wanted.epoch,
        uid: message.uid,
        flags: flags.unwrap_or_else(|| message.flags.clone()),
        internal_date: date.unwrap_or_else(|| message.internal_date.clone()),
        proves: wanted.prove,
    }
}

/// A large message, in slices that follow each other without a gap; the first one that is shorter
/// than asked for is the last. The size that the server told is only a hint.
async fn bring_in_slices(
    context: &Context<'_>,
    session: &mut Session,
    wanted: &Wanted,
    message: &Surveyed,
    size: u64,
    brought: &mut Brought,
    bytes_fetched: &mut u64,
) -> Result<(), RunError> {
    let slice = u64::from(SLICE_BYTES);
    let mut sink = SliceSink {
        context,
        pipeline: &context.pipeline,
        uid: message.uid,
        offset: 0,
        state: SliceState::Open,
        bytes_fetched,
        ended_by: None,
    };
    while matches!(sink.state, SliceState::Open) {
        let start = sink.offset;
        // One more than the size needs, so that a message that ends where a slice ends is seen to end.
        let left = (size.saturating_sub(start) / slice + 1).clamp(1, SLICES_AT_A_TIME);
        let request = |n| {
            let part = Part::Slice { offset: start + n * slice, length: SLICE_BYTES };
            FetchRequest { uids: UidSet::from_iter([message.uid]), part }
        };
        let result = session.fetch((0..left).map(request).collect(), &mut sink).await;
        if let Some(error) = sink.ended_by.take() {
            return Err(error);
        }
        if let Err(error) = result {
            context.pipeline.abort_slices()?;
            return Err(error.into());
        }
        if sink.offset == start && matches!(sink.state, SliceState::Open) {
            // Not one octet more. If something came before, that was all of it.
            sink.state = if start > 0 { SliceState::Complete } else { SliceState::Absent };
        } else if sink.offset > MAX_MESSAGE_BYTES {
            sink.state = SliceState::Refused("it does not end".to_owned());
        }
    }
    match sink.state {
        SliceState::Complete => {
            context.pipeline.end_of_slices(arrived(wanted, message, None, None))?;
            brought.delivered.insert(message.uid);
        }
        SliceState::Absent | SliceState::Open => {
            context.pipeline.abort_slices()?;
            brought.absent.insert(message.uid);
        }
        SliceState::Refused(why) => {
            context.pipeline.abort_slices()?;
            brought.refused.push((message.uid, why));
        }
    }
    Ok(())
}

enum SliceState {
    Open,
    Complete,
    Absent,
    Refused(String),
}

struct SliceSink<'a, 'c> {
    context: &'a Context<'c>,
    pipeline: &'a Pipeline,
    uid: Uid,
    offset: u64,
    state: SliceState,
    bytes_fetched: &'a mut u64,
    ended_by: Option<RunError>,
}

impl FetchSink for SliceSink<'_, '_> {
    async fn delivered(&mut self, delivery: Delivery) -> ControlFlow<()> {
        *self.bytes_fetched += delivery.bytes.len() as u64;
        let expected = matches!(delivery.part, Part::Slice { offset, .. } if offset == self.offset);
        if delivery.uid != self.uid || !expected || !matches!(self.state, SliceState::Open) {
            return ControlFlow::Continue(());
        }
        let length = delivery.bytes.len();
        if length > SLICE_BYTES as usize {
            self.state = SliceState::Refused("the server sent more than was asked for".to_owned());
            return ControlFlow::Continue(());
        }
        let sent = match self.pipeline.room(length).await {
            Ok(share) => self.pipeline.slice(delivery.bytes, share),
            Err(error) => Err(error),
        };
        if let Err(error) = sent.and_then(|()| self.context.may_go_on(*self.bytes_fetched)) {
            self.ended_by = Some(error);
            return ControlFlow::Break(());
        }
        self.context.progress.message(length as u64);
        self.offset += length as u64;
        if length < SLICE_BYTES as usize {
            self.state = SliceState::Complete;
        }
        ControlFlow::Continue(())
    }

    async fn finished(&mut self, _request: FetchRequest, refused: Option<Refusal>) -> ControlFlow<()> {
        if let (Some(refusal), SliceState::Open) = (refused, &self.state) {
            self.state = SliceState::Refused(refusal.to_string());
        }
        ControlFlow::Continue(())
    }
}
