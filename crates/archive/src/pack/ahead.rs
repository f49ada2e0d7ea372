//! Syncing ahead of the commit, on a thread of its own.
//!
//! What has been written of a commit is pushed to the disk while its later blocks are still being compressed, so
//! that the commit's own sync finds little left to do, and processor and disk work at the same time.
//!
//! Nothing counts because of it: the commit syncs the file again before it is acknowledged. But a sync that
//! fails here is a failure of that commit: the system tells of a lost write only once (D6).

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crate::disk::DiskFile;

/// So much is written between one sync and the next.
const BYTES_BETWEEN: u64 = 8 << 20;

/// The syncs of one pack, at most one at a time.
#[derive(Debug)]
pub(crate) struct SyncAhead {
    under_way: Option<JoinHandle<io::Result<()>>>,
    failure: Option<io::Error>,
    /// What was written when the last one began.
    begun_at: u64,
}

impl SyncAhead {
    /// For a file of which `synced` bytes are durable.
    pub(crate) fn new(synced: u64) -> Self {
        Self { under_way: None, failure: None, begun_at: synced }
    }

    /// The file has been written up to `end`: begins a sync if it is time.
    pub(crate) fn written(&mut self, file: &Arc<dyn DiskFile>, end: u64) {
        let busy = self.under_way.as_ref().is_some_and(|thread| !thread.is_finished());
        if busy || self.failure.is_some() || end.saturating_sub(self.begun_at) < BYTES_BETWEEN {
            return;
        }
        self.wait();
        let file = Arc::clone(file);
        // Where no thread is to be had, the commit has more to do.
        self.under_way = Builder::new().name("pack syncer".to_owned()).spawn(move || file.sync()).ok();
        self.begun_at = end;
    }

    /// Waits for the sync that is under way.
    ///
    /// # Errors
    /// The first failure of any.
    pub(crate) fn finish(&mut self, end: u64) -> io::Result<()> {
        self.wait();
        self.begun_at = end;
        self.failure.take().map_or(Ok(()), Err)
    }

    fn wait(&mut self) {
        let Some(thread) = self.under_way.take() else { return };
        let synced = thread.join().unwrap_or_else(|_| Err(io::Error::other("the sync panicked")));
        if let Err(error) = synced {
            self.failure.get_or_insert(error);
        }
    }
}

impl Drop for SyncAhead {
    fn drop(&mut self) {
        // Nothing touches the file after the writer has let go of its lock.
        self.wait();
    }
}
