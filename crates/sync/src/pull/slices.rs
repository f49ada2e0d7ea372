//! Bringing a message in slices, in the order of its octets: one that is too large to be had whole, or
//! one during which the connection broke.
//!
//! Several slices are on their way at a time. A server may answer a later one first (Dovecot does, when
//! an answer has to wait for the line), so what comes early is kept until its turn.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use bytes::Bytes;
use message::{MessageKey, Uid, UidSet};
use remote::imap::{Delivery, FetchRequest, FetchSink, Part, Refusal};

use super::Context;
use super::RunError;
use super::fetch::{Bringing, arrived, is_throttling, throttled};
use super::pipeline::Pipeline;
use crate::plan::SLICE_BYTES;

/// Slices of one message that are asked for at a time: bounds what a wrong size can cost, and what is
/// kept of those that come early.
const SLICES_AT_A_TIME: u64 = 8;
/// Slices of a message that could not be had whole: small, so that a fault that sits at one place of
/// it, or strikes after so many octets, leaves some room.
const SMALL_SLICE_BYTES: u32 = 256 << 10;
/// A message that goes on beyond so many octets is not a message.
const MAX_MESSAGE_BYTES: u64 = 1 << 40;

impl Bringing<'_, '_> {
    /// A large message, in slices that follow each other without a gap; the first one that is
    /// shorter than asked for is the last. The size that the server told is only a hint.
    pub(super) async fn in_slices(&mut self, uid: Uid, size: u64) -> Result<(), RunError> {
        let read = self.read_slices(uid, size, SLICE_BYTES, true).await?;
        self.end_of_slices(uid, read.state)
    }

    /// A message that could not be had otherwise: read in slices once to know its hash, and once
    /// more to keep it, if it is the same.
    pub(super) async fn in_agreeing_slices(&mut self, uid: Uid) -> Result<(), RunError> {
        let Some(size) = self.messages.get(&uid).map(|message| message.size) else { return Ok(()) };
        let first = self.read_slices(uid, size, SMALL_SLICE_BYTES, false).await?;
        if !matches!(first.state, SliceState::Complete) {
            return self.end_of_slices(uid, first.state);
        }
        let second = self.read_slices(uid, size, SMALL_SLICE_BYTES, true).await?;
        let agrees = first.key == second.key || !matches!(second.state, SliceState::Complete);
        let why = "the connection is cut when it is fetched whole, and in slices it is another one each time";
        let state = if agrees { second.state } else { SliceState::Refused(why.to_owned()) };
        self.end_of_slices(uid, state)
    }

    /// Reads a message in slices to its end; with `keep` they go into the pipeline, whose message
    /// is then to be ended or aborted.
    async fn read_slices(
        &mut self,
        uid: Uid,
        size: u64,
        slice_bytes: u32,
        keep: bool,
    ) -> Result<Slices, RunError> {
        self.brought.asks(&[UidSet::from_iter([uid])]);
        let slice = u64::from(slice_bytes);
        let mut sink = SliceSink {
            context: self.context,
            pipeline: Some(&self.context.pipeline).filter(|_| keep),
            uid,
            slice_bytes,
            order: InOrder::default(),
            hasher: blake3::Hasher::new(),
            state: SliceState::Open,
            bytes_fetched: &mut *self.bytes_fetched,
            ended_by: None,
        };
        while matches!(sink.state, SliceState::Open) {
            let start = sink.order.offset;
            // One more than the size needs, so that a message that ends where a slice ends is seen to end.
            let left = (size.saturating_sub(start) / slice + 1).clamp(1, SLICES_AT_A_TIME);
            let request = |n| {
                let part = Part::Slice { offset: start + n * slice, length: slice_bytes };
                FetchRequest { uids: UidSet::from_iter([uid]), part }
            };
            let result = self.session.fetch((0..left).map(request).collect(), &mut sink).await;
            let ended_by = sink.ended_by.take().or_else(|| result.err().map(RunError::from));
            if let Some(error) = ended_by {
                self.context.pipeline.abort_slices()?;
                return Err(error);
            }
            // What a gap has kept from its turn is asked for again.
            sink.order.early.clear();
            if sink.order.offset == start && matches!(sink.state, SliceState::Open) {
                // Not one octet more. If something came before, that was all of it.
                sink.state = if start > 0 { SliceState::Complete } else { SliceState::Absent };
            } else if sink.order.offset > MAX_MESSAGE_BYTES {
                sink.state = SliceState::Refused("it does not end".to_owned());
            }
        }
        let hollow = sink.order.offset == 0 && size > 0 && matches!(sink.state, SliceState::Complete);
        let state = if hollow { SliceState::Absent } else { sink.state };
        Ok(Slices { state, key: MessageKey::from(sink.hasher.finalize()) })
    }

    fn end_of_slices(&mut self, uid: Uid, state: SliceState) -> Result<(), RunError> {
        let pipeline = &self.context.pipeline;
        match (state, self.messages.get(&uid)) {
            (SliceState::Complete, Some(message)) => {
                pipeline.end_of_slices(arrived(self.wanted, message, None, None))?;
                self.brought.delivered.insert(uid);
            }
            (SliceState::Refused(why), _) => {
                pipeline.abort_slices()?;
                self.brought.refused.push((uid, why));
            }
            (SliceState::Absent | SliceState::Open | SliceState::Complete, _) => {
                pipeline.abort_slices()?;
                self.brought.absent.insert(uid);
            }
        }
        Ok(())
    }
}

/// A message read in slices.
struct Slices {
    state: SliceState,
    key: MessageKey,
}

enum SliceState {
    Open,
    Complete,
    Absent,
    Refused(String),
}

/// Slices that wait for the ones before them.
#[derive(Default)]
struct InOrder {
    /// Where the next slice begins.
    offset: u64,
    early: BTreeMap<u64, Bytes>,
}

impl InOrder {
    /// Takes a slice that begins at `offset`; one that was there already changes nothing.
    fn put(&mut self, offset: u64, bytes: Bytes) {
        if offset >= self.offset {
            self.early.entry(offset).or_insert(bytes);
        }
    }

    /// The slice whose turn it is, if it has come.
    fn next(&mut self) -> Option<Bytes> {
        let bytes = self.early.remove(&self.offset)?;
        self.offset += bytes.len() as u64;
        Some(bytes)
    }
}

struct SliceSink<'a, 'c> {
    context: &'a Context<'c>,
    /// Where the slices go, if they are to be kept.
    pipeline: Option<&'a Pipeline>,
    uid: Uid,
    slice_bytes: u32,
    order: InOrder,
    hasher: blake3::Hasher,
    state: SliceState,
    bytes_fetched: &'a mut u64,
    ended_by: Option<RunError>,
}

impl SliceSink<'_, '_> {
    /// Passes on all slices whose turn it is, until the message ends.
    async fn pass_on(&mut self) -> Result<(), RunError> {
        while matches!(self.state, SliceState::Open)
            && let Some(bytes) = self.order.next()
        {
            let length = bytes.len();
            self.hasher.update(&bytes);
            if let Some(pipeline) = self.pipeline {
                let share = pipeline.room(length).await?;
                pipeline.slice(bytes, share)?;
            }
            self.context.progress.message(length as u64);
            if length < self.slice_bytes as usize {
                self.state = SliceState::Complete;
            }
        }
        self.context.may_go_on(*self.bytes_fetched)
    }
}

impl FetchSink for SliceSink<'_, '_> {
    async fn delivered(&mut self, delivery: Delivery) -> ControlFlow<()> {
        *self.bytes_fetched += delivery.bytes.len() as u64;
        let Part::Slice { offset, .. } = delivery.part else { return ControlFlow::Continue(()) };
        if delivery.uid != self.uid || !matches!(self.state, SliceState::Open) {
            return ControlFlow::Continue(());
        }
        if delivery.bytes.len() > self.slice_bytes as usize {
            self.state = SliceState::Refused("the server sent more than was asked for".to_owned());
            return ControlFlow::Continue(());
        }
        self.order.put(offset, delivery.bytes);
        match self.pass_on().await {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                self.ended_by = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    async fn finished(&mut self, request: FetchRequest, refused: Option<Refusal>) -> ControlFlow<()> {
        if let (Some(refusal), SliceState::Open) = (refused, &self.state) {
            if is_throttling(&refusal) {
                self.ended_by = Some(throttled(&request.uids, refusal));
                return ControlFlow::Break(());
            }
            self.state = SliceState::Refused(refusal.to_string());
        }
        ControlFlow::Continue(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_taken_in_the_order_of_their_octets_however_they_come() {
        let mut order = InOrder::default();
        let slice = |text: &'static str| Bytes::from_static(text.as_bytes());
        order.put(4, slice("efgh"));
        order.put(8, slice("i"));
        assert!(order.next().is_none());
        order.put(0, slice("abcd"));
        order.put(4, slice("not so"));
        let taken: Vec<Bytes> = std::iter::from_fn(|| order.next()).collect();
        assert_eq!(taken.concat(), b"abcdefghi");
        order.put(0, slice("abcd"));
        assert!(order.early.is_empty(), "what was taken does not come again");
    }
}
