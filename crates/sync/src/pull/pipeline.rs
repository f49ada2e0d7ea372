//! The pipeline from the wire to the disk: three threads, one way, no back and forth.
//!
//! ```text
//! network thread ── whole messages or slices ──> splitter thread ── pieces ──> archive thread
//!   (tokio)                                       BLAKE3, split, proof           blocks, zstd, commit
//! ```
//!
//! Order is kept from end to end, so the archive's tasks (questions, records, commits) run in the
//! order in which the engine issued them, and a [`Pipeline::flush`] is enough to know that all that
//! was fetched before it has reached the archive. Back-pressure is a budget of octets in flight: a
//! message is taken off the wire only when there is room for it, and its share is given back when
//! the archive has taken it. So memory does not grow with the mailbox.

use std::sync::mpsc;
use std::sync::{Arc, Mutex, PoisonError};

use archive::{EpochId, PopName, Writer};
use bytes::Bytes;
use message::split::{SplitError, SplitMessage, Splitter, split};
use message::{Flags, InternalDate, Uid};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::RunError;
use super::desk::Task;
use super::pop3::pool::Pool;
use crate::surroundings::Time;

/// Octets of messages between the wire and the archive. A larger message waits until it is alone.
const BUDGET_BYTES: u32 = 12 << 20;
const PERMIT_BYTES: u32 = 1 << 10;

/// What a message takes of memory on its way beside its octets, for all that is known of it and of its parts.
const ESCORT_BYTES: usize = 4 << 10;

/// So much is handed to the archive's thread at once, if there is so much.
const READY_TASKS: usize = 32;

/// Where a message lay and what the server said of it.
#[derive(Debug)]
pub(crate) struct Arrived {
    pub(crate) epoch: EpochId,
    pub(crate) uid: Uid,
    pub(crate) flags: Flags,
    pub(crate) internal_date: InternalDate,
    /// Whether it was fetched only to prove a match by header.
    pub(crate) proves: bool,
    /// What lies there is called so from now on, if it turns out to be another message.
    pub(crate) renames: Option<PopName>,
    /// The server has no name for it: where it lies is found by its content, and `uid` only stands
    /// in for one while it is on its way.
    pub(crate) nameless: Option<Arc<Pool>>,
}

/// A share of the budget, given back when dropped.
pub(crate) struct Share(#[expect(dead_code, reason = "held, never read")] OwnedSemaphorePermit);

enum Raw {
    Whole { arrived: Arrived, bytes: Bytes, share: Share },
    Slice { bytes: Bytes, share: Share },
    EndOfSlices(Arrived),
    AbortSlices,
    Task(Task),
}

/// The engine's end of the pipeline.
#[derive(Clone)]
pub(crate) struct Pipeline {
    to_splitter: mpsc::Sender<Raw>,
    budget: Arc<Semaphore>,
    spoilt: Arc<Mutex<Vec<(Uid, String)>>>,
    time: Time,
}

/// The splitter thread's end.
pub(super) struct SplitterEnd {
    from_engine: mpsc::Receiver<Raw>,
    to_archive: mpsc::Sender<Task>,
    spoilt: Arc<Mutex<Vec<(Uid, String)>>>,
}

/// Makes the pipeline to this archive thread: the engine's end, and the splitter's end.
pub(super) fn pipeline(time: Time, to_archive: mpsc::Sender<Task>) -> (Pipeline, SplitterEnd) {
    let (to_splitter, from_engine) = mpsc::channel();
    let spoilt = Arc::default();
    let budget = Arc::new(Semaphore::new((BUDGET_BYTES / PERMIT_BYTES) as usize));
    let engine = Pipeline { to_splitter, budget, spoilt: Arc::clone(&spoilt), time };
    (engine, SplitterEnd { from_engine, to_archive, spoilt })
}

impl Pipeline {
    /// Waits until there is room for so many octets.
    pub(crate) async fn room(&self, bytes: usize) -> Result<Share, RunError> {
        let all = bytes.saturating_add(ESCORT_BYTES);
        let wanted = u32::try_from(all).unwrap_or(u32::MAX).div_ceil(PERMIT_BYTES);
        let permits = wanted.min(BUDGET_BYTES / PERMIT_BYTES);
        let permit = self.time.wait(Arc::clone(&self.budget).acquire_many_owned(permits)).await;
        permit.map(Share).map_err(|_| RunError::PipelineGone)
    }

    /// A whole message.
    pub(crate) fn message(&self, arrived: Arrived, bytes: Bytes, share: Share) -> Result<(), RunError> {
        self.send(Raw::Whole { arrived, bytes, share })
    }

    /// The next slice of the one message that is on its way in slices.
    pub(crate) fn slice(&self, bytes: Bytes, share: Share) -> Result<(), RunError> {
        self.send(Raw::Slice { bytes, share })
    }

    /// All slices of the message are there.
    pub(crate) fn end_of_slices(&self, arrived: Arrived) -> Result<(), RunError> {
        self.send(Raw::EndOfSlices(arrived))
    }

    /// The slices so far are of no use.
    pub(crate) fn abort_slices(&self) -> Result<(), RunError> {
        self.send(Raw::AbortSlices)
    }

    /// Runs a question or a record on the archive thread, after everything sent before it.
    ///
    /// # Errors
    /// The archive's own, also one that an earlier message met: then nothing more can be stored.
    pub(crate) async fn ask<R: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Writer) -> Result<R, archive::Error> + Send + 'static,
    ) -> Result<R, RunError> {
        let (reply, answer) = oneshot::channel();
        self.send(Raw::Task(Box::new(move |desk| {
            let result = desk.attempt(task);
            // The engine may have stopped waiting; then nobody needs the answer.
            let _ = reply.send(result);
        })))?;
        self.time.wait(answer).await.map_err(|_| RunError::PipelineGone)?
    }

    /// Waits until all that was sent has reached the archive.
    pub(crate) async fn flush(&self) -> Result<(), RunError> {
        self.ask(|_| Ok(())).await
    }

    /// Makes all that was sent durable.
    pub(crate) async fn commit(&self) -> Result<(), RunError> {
        self.ask(|writer| writer.commit().map(|_| ())).await
    }

    /// Messages that could not be taken apart and put together again to the same bytes since the
    /// last call, and why: memory or processor at fault.
    pub(crate) fn take_spoilt(&self) -> Vec<(Uid, String)> {
        std::mem::take(&mut *self.spoilt.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn send(&self, raw: Raw) -> Result<(), RunError> {
        self.to_splitter.send(raw).map_err(|_| RunError::PipelineGone)
    }
}

impl SplitterEnd {
    /// The splitter thread: until the engine hangs up.
    pub(super) fn run(self) {
        let mut sliced = Splitter::new();
        let mut ready = Vec::new();
        while let Some(raw) = self.next(&mut ready) {
            ready.extend(self.split(raw, &mut sliced));
        }
    }

    /// What comes next. What is ready is handed to the archive's thread before this one waits for more, or
    /// when it is much: two threads that wake each other for every small message do little else.
    fn next(&self, ready: &mut Vec<Task>) -> Option<Raw> {
        if ready.len() < READY_TASKS
            && let Ok(raw) = self.from_engine.try_recv()
        {
            return Some(raw);
        }
        let tasks = std::mem::take(ready);
        if !tasks.is_empty() {
            self.to_archive.send(Box::new(move |desk| desk.do_all(tasks))).ok()?;
        }
        self.from_engine.recv().ok()
    }

    /// What the archive's thread has to do with it.
    fn split(&self, raw: Raw, sliced: &mut Splitter<'static>) -> Option<Task> {
        let mut pieces = Vec::new();
        let mut keep = |piece| pieces.push(piece);
        let task: Task = match raw {
            Raw::Task(task) => task,
            Raw::AbortSlices => {
                *sliced = Splitter::new();
                return None;
            }
            Raw::Slice { bytes, share } => {
                sliced.push(&bytes, &mut keep);
                Box::new(move |desk| desk.put(pieces, Some(share)))
            }
            Raw::EndOfSlices(arrived) => {
                let whole = std::mem::take(sliced).finish(&mut keep);
                let message = self.sound(arrived.uid, whole)?;
                Box::new(move |desk| desk.store(arrived, &message, pieces, None))
            }
            Raw::Whole { arrived, bytes, share } => {
                let message = self.sound(arrived.uid, split(&bytes, &mut keep))?;
                Box::new(move |desk| desk.store(arrived, &message, pieces, Some(share)))
            }
        };
        Some(task)
    }

    fn sound(&self, uid: Uid, split: Result<SplitMessage, SplitError>) -> Option<SplitMessage> {
        let note = |error: SplitError| {
            self.spoilt.lock().unwrap_or_else(PoisonError::into_inner).push((uid, error.to_string()));
        };
        split.map_err(note).ok()
    }
}
