//! The archive's thread: the one writer, the work that runs hand to it, and when it commits.
//!
//! Any number of runs may hand work to one desk. Each piece of work is whole by itself (a message with
//! its place, a question, a record), so what one run commits may well hold a part of what another is
//! still about, as a commit after so many octets does anyway. An archive that fails, fails for all
//! of them.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use archive::{NewPlacement, Proof, Writer};
use message::UidSet;
use message::split::{Piece, SplitMessage};

use super::pipeline::{Arrived, Share};
use super::pop3::pool::Place;
use super::{PullLimits, RunError};
use crate::surroundings::Clock;

/// When what has been put is made durable.
#[derive(Clone, Copy, Debug)]
struct CommitPolicy {
    /// After so many octets of plain blobs.
    bytes: u64,
    /// Or after so much time, if anything was put.
    interval: Duration,
    /// Free space that must remain on the archive's disk.
    reserve_bytes: u64,
}

/// The archive thread's work.
pub(super) type Task = Box<dyn FnOnce(&mut Desk<'_>) + Send>;

/// Hands work to the thread that has the archive. Clones hand it to the same one.
#[derive(Clone, Debug)]
pub struct Archivist(mpsc::Sender<Task>);

impl Archivist {
    /// Serves runs with this writer, on the calling thread, until `work` is done, which goes on beside it
    /// on a thread of its own and may pass the archivist on. How often is committed, and how much room must
    /// be left, is taken from `limits`.
    ///
    /// After a failure of the archive all that is handed in fails; whoever wants to go on lets the work
    /// end, and begins anew with a writer that is not [abandoned](Writer::is_abandoned).
    pub fn serve<R: Send>(
        writer: &mut Writer,
        clock: &dyn Clock,
        limits: &PullLimits,
        work: impl FnOnce(Self) -> R + Send,
    ) -> R {
        let policy = CommitPolicy {
            bytes: limits.commit_bytes,
            interval: limits.commit_interval,
            reserve_bytes: limits.reserve_bytes,
        };
        let (to_desk, tasks) = mpsc::channel();
        let mut desk = Desk::new(writer, clock, policy);
        std::thread::scope(|scope| {
            let working = scope.spawn(move || work(Self(to_desk)));
            desk.run(&tasks);
            working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Has this done by the writer, after everything that was handed in before it, and waits for the
    /// answer; `None` when the archive's thread is gone. Whoever records something commits it as well.
    pub fn with<R: Send + 'static>(&self, task: impl FnOnce(&mut Writer) -> R + Send + 'static) -> Option<R> {
        self.ask(|desk| task(desk.writer)).ok()
    }

    /// Another end, for a pipeline.
    pub(super) fn tasks(&self) -> mpsc::Sender<Task> {
        self.0.clone()
    }

    /// Has this done, after everything that was handed in before it, and waits for the answer.
    pub(super) fn ask<R: Send + 'static>(
        &self,
        task: impl FnOnce(&mut Desk<'_>) -> R + Send + 'static,
    ) -> Result<R, RunError> {
        let (reply, answer) = mpsc::channel();
        let task: Task = Box::new(move |desk| {
            let result = task(desk);
            // Whoever asked waits for it.
            let _ = reply.send(result);
        });
        self.0.send(task).map_err(|_| RunError::PipelineGone)?;
        answer.recv().map_err(|_| RunError::PipelineGone)
    }
}

/// The archive thread: the writer, and when it commits.
pub(super) struct Desk<'a> {
    /// For the end of a run, which is recorded whatever has failed.
    pub(super) writer: &'a mut Writer,
    pub(super) clock: &'a dyn Clock,
    policy: CommitPolicy,
    committed_at: Duration,
    /// After the first failure nothing more is stored: what is not committed does not count.
    failure: Option<RunError>,
}

impl<'a> Desk<'a> {
    fn new(writer: &'a mut Writer, clock: &'a dyn Clock, policy: CommitPolicy) -> Self {
        Self { writer, clock, policy, committed_at: clock.monotonic(), failure: None }
    }

    /// Until all who hand work to it have hung up. What is not committed then is dropped by the writer.
    fn run(&mut self, tasks: &mpsc::Receiver<Task>) {
        loop {
            match tasks.recv_timeout(self.policy.interval) {
                Ok(task) => self.do_all([task]),
                Err(mpsc::RecvTimeoutError::Timeout) => self.commit_if_due(),
                Err(mpsc::RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Works in this order. When is committed depends on the work alone, not on what came together.
    pub(super) fn do_all(&mut self, tasks: impl IntoIterator<Item = Task>) {
        for task in tasks {
            task(self);
            self.commit_if_due();
        }
    }

    pub(super) fn attempt<R>(
        &mut self,
        task: impl FnOnce(&mut Writer) -> Result<R, archive::Error>,
    ) -> Result<R, RunError> {
        if let Some(failure) = &self.failure {
            return Err(failure.clone());
        }
        task(self.writer).map_err(|error| self.fail(RunError::Archive(Arc::new(error))))
    }

    fn fail(&mut self, failure: RunError) -> RunError {
        self.failure.get_or_insert(failure).clone()
    }

    pub(super) fn put(&mut self, pieces: Vec<Piece>, share: Option<Share>) {
        // A failure is kept and told at the next question.
        let _ = self.attempt(|writer| pieces.into_iter().try_for_each(|piece| writer.put_blob(piece)));
        drop(share);
    }

    pub(super) fn store(
        &mut self,
        arrived: Arrived,
        message: &SplitMessage,
        pieces: Vec<Piece>,
        share: Option<Share>,
    ) {
        self.put(pieces, share);
        let Arrived { epoch, uid, flags, internal_date, proves, renames, nameless } = arrived;
        let _ = self.attempt(|writer| {
            writer.put_message(message)?;
            let uid = match nameless {
                Some(pool) => match pool.place_of(writer, epoch, uid, message.key)? {
                    Place::New(uid) => uid,
                    Place::Held(uid) => return writer.proven(epoch, &UidSet::from_iter([uid])),
                },
                None => uid,
            };
            if proves && writer.view().placement(epoch, uid)?.is_some_and(|held| held.message == message.key)
            {
                return writer.proven(epoch, &UidSet::from_iter([uid]));
            }
            if let Some(name) = renames {
                writer.rename(epoch, name)?;
            }
            let placement = NewPlacement { message: message.key, internal_date, flags, proof: Proof::Bytes };
            writer.place(epoch, uid, placement)
        });
    }

    fn commit_if_due(&mut self) {
        let put = self.writer.uncommitted_bytes();
        let elapsed = self.clock.monotonic().saturating_sub(self.committed_at);
        if self.failure.is_some() || put == 0 || (put < self.policy.bytes && elapsed < self.policy.interval) {
            return;
        }
        let _ = self.attempt(|writer| writer.commit().map(|_| ()));
        self.committed_at = self.clock.monotonic();
        self.keep_the_reserve();
    }

    /// A full disk is noticed before it is full: below the reserve nothing (more) is fetched.
    fn keep_the_reserve(&mut self) {
        if let Err(failure) = self.has_room() {
            self.fail(failure);
        }
    }

    /// Whether more than the reserve is free on the archive's disk.
    ///
    /// # Errors
    /// When it is not, or the file system does not say.
    pub(super) fn has_room(&self) -> Result<(), RunError> {
        let reserve = self.policy.reserve_bytes;
        match self.writer.free_bytes() {
            Ok(free) if free < reserve => Err(RunError::DiskReserve { free, reserve }),
            Ok(_) => Ok(()),
            Err(error) => Err(RunError::Archive(Arc::new(error))),
        }
    }
}
