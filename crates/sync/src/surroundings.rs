//! What the engine needs from outside: the time, the network, dice, somebody who watches, and a way to
//! be told to stop.
//!
//! Nothing in this crate asks the operating system for the time or for chance; it is handed a
//! [`Clock`] and [`Dice`]. [`Surroundings`] holds all of it: those of this machine, or a world that a
//! test has made, in which a run is the same each time, octet for octet.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use remote::{Internet, Network};

/// Everything that a run meets besides its job and the archive.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The time of records.
    pub clock: &'a dyn Clock,
    /// What connections are made through.
    pub network: &'a dyn Network,
    /// What spreads the pauses.
    pub dice: &'a dyn Dice,
    /// What time-outs and pauses are measured with.
    pub time: Time,
    /// Who watches.
    pub progress: &'a dyn Progress,
    /// Who may ask the run to end.
    pub stop: &'a Stop,
}

impl<'a> Surroundings<'a> {
    /// Those of this machine.
    #[must_use]
    pub fn here(clock: &'a dyn Clock, progress: &'a dyn Progress, stop: &'a Stop) -> Self {
        Self { clock, network: &Internet, dice: &Chance, time: Time::Real, progress, stop }
    }
}

/// How the time of time-outs and pauses goes by.
#[derive(Clone, Copy, Debug)]
pub enum Time {
    /// By itself.
    Real,
    /// On a runtime made by this function, whose clock is paused: when nothing else is left to be
    /// done, it jumps to the next time-out or pause. It stands still while the archive works.
    Paused(fn() -> io::Result<tokio::runtime::Runtime>),
}

impl Time {
    pub(crate) fn runtime(self) -> io::Result<tokio::runtime::Runtime> {
        match self {
            Self::Real => tokio::runtime::Builder::new_current_thread().enable_all().build(),
            Self::Paused(runtime) => runtime(),
        }
    }

    /// Waits for the archive.
    pub(crate) async fn wait<T>(self, answer: impl Future<Output = T>) -> T {
        match self {
            Self::Real => answer.await,
            // A paused clock would take the waiting for idleness, and jump. Nor may tokio put the answer off
            // until this task has let others have a turn: it will not.
            Self::Paused(_) => futures::executor::block_on(tokio::task::unconstrained(answer)),
        }
    }
}

/// Chance.
pub trait Dice: Send + Sync {
    /// From 0 to 1.
    fn throw(&self) -> f64;
}

/// Real chance: the keys of the standard library's hasher are random enough to spread pauses.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chance;

impl Dice for Chance {
    fn throw(&self) -> f64 {
        f64::from(u16::try_from(RandomState::new().build_hasher().finish() & 0xffff).unwrap_or(0)) / 65_536.0
    }
}

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
