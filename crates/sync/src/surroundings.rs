//! What the engine needs from outside: the time, somebody who watches, and a way to be told to stop.
//!
//! Nothing in this crate asks the operating system for the time; it is handed a [`Clock`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time, in the two forms that must not be mixed up.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970 by the wall clock: for records only, it may jump.
    fn unix_ms(&self) -> i64;
    /// Time since some fixed moment: for intervals, it never goes back.
    fn monotonic(&self) -> Duration;
}

/// The operating system's clocks.
#[derive(Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn unix_ms(&self) -> i64 {
        let since = |time: SystemTime| time.duration_since(UNIX_EPOCH).ok().map(|since| since.as_millis());
        since(SystemTime::now()).and_then(|ms| i64::try_from(ms).ok()).unwrap_or(0)
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// Who watches a run: a progress bar, or nobody. All texts come from a server and are not escaped.
pub trait Progress: Send + Sync {
    /// So many folders are wanted.
    fn folders(&self, _total: usize) {}
    /// A folder is opened; so many messages and octets (as the server counts them) are to be fetched.
    fn folder_begins(&self, _folder: &str, _messages: u64, _bytes: u64) {}
    /// A message of so many octets has been fetched.
    fn message(&self, _bytes: u64) {}
    /// A folder is done.
    fn folder_ends(&self, _folder: &str) {}
    /// Something that a person who watches should read now.
    fn notice(&self, _text: &str) {}
}

/// Nobody watches.
impl Progress for () {}

/// Asks a run to end soon: what is committed stays, the open batch is committed, the ledger says
/// that it was interrupted. Clones share the request.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    asked: Arc<AtomicBool>,
    wake: Arc<tokio::sync::Notify>,
}

impl Stop {
    /// Asks; may be called from any thread, any number of times.
    pub fn request(&self) {
        self.asked.store(true, Ordering::SeqCst);
        self.wake.notify_one();
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn requested(&self) -> bool {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits until somebody asks.
    pub(crate) async fn wait(&self) {
        while !self.requested() {
            self.wake.notified().await;
        }
    }
}
