//! The archive's thread: questions come in from the network's side, answers go back.
//!
//! An archive is read by one thread; the folders that are under way at the same time share it. A
//! question that is [begun](Reader::begin) is worked on while the network is busy, so the next batch
//! of messages is read while the last one is sent.

use std::sync::mpsc;

use archive::View;
use tokio::sync::oneshot;

use super::error::RestoreError;
use crate::surroundings::Time;

/// The archive thread's work.
pub(super) type Task = Box<dyn FnOnce(&View<'_>) + Send>;

/// The network's end.
#[derive(Clone, Debug)]
pub(super) struct Reader {
    tasks: mpsc::Sender<Task>,
    time: Time,
}

/// An answer that is being worked on.
pub(super) struct Pending<R> {
    answer: oneshot::Receiver<Result<R, archive::Error>>,
    time: Time,
}

impl Reader {
    /// The network's end, and the queue that the archive's thread works off until all ends are gone.
    pub(super) fn new(time: Time) -> (Self, mpsc::Receiver<Task>) {
        let (tasks, queue) = mpsc::channel();
        (Self { tasks, time }, queue)
    }

    /// Puts a question.
    pub(super) fn begin<R: Send + 'static>(
        &self,
        question: impl FnOnce(&View<'_>) -> Result<R, archive::Error> + Send + 'static,
    ) -> Pending<R> {
        let (reply, answer) = oneshot::channel();
        let task: Task = Box::new(move |view| {
            // Whoever asked may have stopped waiting; then nobody needs the answer.
            let _ = reply.send(question(view));
        });
        // Where nobody works any more the answer never comes, and that is told then.
        let _ = self.tasks.send(task);
        Pending { answer, time: self.time }
    }

    /// Puts a question and waits for the answer.
    pub(super) async fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(&View<'_>) -> Result<R, archive::Error> + Send + 'static,
    ) -> Result<R, RestoreError> {
        self.begin(question).get().await
    }
}

impl<R> Pending<R> {
    /// Waits for the answer.
    pub(super) async fn get(self) -> Result<R, RestoreError> {
        let answer = self.time.wait(self.answer).await.map_err(|_| RestoreError::ReaderGone)?;
        answer.map_err(Into::into)
    }
}
