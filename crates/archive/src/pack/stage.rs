//! The writer of packs on a thread of its own.
//!
//! The archive's writer gathers blobs; this stage compresses a full block and writes it while the
//! next one fills. A bounded queue lies between, so memory stays bounded by a few blocks. Work is
//! done in the order in which it was given. The first error stops everything after it: it is what the
//! next commit returns, and the stage takes no more work.

use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::JoinHandle;

use super::writer::{Finished, PackWriter};
use crate::block::PlainBlock;
use crate::error::{Context as _, Error, Result};
use crate::frame::NextNumbers;

/// Blocks waiting to be compressed.
const QUEUE: usize = 2;

/// A piece of work.
enum Work {
    Block(PlainBlock),
    Journal {
        keys: Vec<u8>,
        records: Vec<u8>,
    },
    Commit {
        next: NextNumbers,
        seal: bool,
        answer: Sender<Result<Option<Finished>>>,
    },
    #[cfg(test)]
    Nothing(Sender<()>),
}

/// The thread and the way to it.
#[derive(Debug)]
pub(crate) struct PackStage {
    queue: Option<SyncSender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl PackStage {
    pub(crate) fn start(writer: PackWriter) -> Result<Self> {
        let (queue, work) = sync_channel(QUEUE);
        let name = "pack writer".to_owned();
        let thread = std::thread::Builder::new().name(name).spawn(move || run(writer, &work));
        let thread = thread.doing("start the writer's thread for", std::path::Path::new("packs"))?;
        Ok(Self { queue: Some(queue), thread: Some(thread) })
    }

    /// Hands a block over. An error shows at the commit.
    pub(crate) fn block(&self, block: PlainBlock) -> Result<()> {
        self.send(Work::Block(block))
    }

    /// Hands journal records over.
    pub(crate) fn journal(&self, keys: Vec<u8>, records: Vec<u8>) -> Result<()> {
        self.send(Work::Journal { keys, records })
    }

    /// Waits until everything handed over is durable. With `seal` the open pack ends with it.
    pub(crate) fn commit(&self, next: NextNumbers, seal: bool) -> Result<Option<Finished>> {
        let (answer, finished) = channel();
        self.send(Work::Commit { next, seal, answer })?;
        finished.recv().map_err(|_| Error::Abandoned)?
    }

    /// Waits until everything handed over is written, or has failed.
    #[cfg(test)]
    pub(crate) fn wait(&self) {
        let (answer, done) = channel();
        self.send(Work::Nothing(answer)).expect("the thread runs until a commit has failed");
        done.recv().expect("the thread answers");
    }

    fn send(&self, work: Work) -> Result<()> {
        self.queue.as_ref().ok_or(Error::Abandoned)?.send(work).map_err(|_| Error::Abandoned)
    }
}

impl Drop for PackStage {
    fn drop(&mut self) {
        // The thread ends when the queue is gone; waiting for it means that no write comes after the
        // lock has been let go.
        self.queue = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Works until the queue is closed, or until a commit has told of an error.
fn run(mut writer: PackWriter, queue: &Receiver<Work>) {
    let mut failed: Option<Error> = None;
    while let Ok(work) = queue.recv() {
        match (work, failed.take()) {
            #[cfg(test)]
            (Work::Nothing(answer), earlier) => {
                failed = earlier;
                answer.send(()).expect("whoever asked waits");
                continue;
            }
            (Work::Commit { answer, .. }, Some(error)) => {
                // Nobody waits any more when the archive was dropped meanwhile.
                let _ = answer.send(Err(error));
                return;
            }
            (_, Some(error)) => failed = Some(error),
            (Work::Block(block), None) => failed = writer.block(block).err(),
            (Work::Journal { keys, records }, None) => failed = writer.journal(&keys, &records).err(),
            (Work::Commit { next, seal, answer }, None) => {
                let done = writer.commit(next, seal);
                let error = done.is_err();
                if let Err(error) = &done {
                    writer.abandon(error);
                }
                let _ = answer.send(done);
                if error {
                    return;
                }
                continue;
            }
        }
        if let Some(error) = failed.as_ref() {
            writer.abandon(error);
        }
    }
}
