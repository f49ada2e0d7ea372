//! The only clock of a connection: when a server that has to answer is given up.
//!
//! Nothing for [`Limits::progress`], or less than [`Limits::slowest`] on average once that has passed,
//! is a stall. Time spent elsewhere (a slow disk, an archive that is busy) does not count against the
//! server: each wait for an answer begins with [`Clock::begin_wait`], and time in which we hold back
//! ourselves ([`Counters::held_back`]) is left out.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep_until};

use super::meter::Counters;
use crate::error::Error;
use crate::limits::Limits;

/// The wait for one answer.
pub(crate) struct Clock {
    counters: Counters,
    patience: Duration,
    /// Octets a second.
    slowest: u32,
    began: Instant,
    began_at_octet: u64,
    /// Held back until it began.
    began_held_back: Duration,
    progress: Instant,
    /// Held back until then.
    progress_held_back: Duration,
    sleep: Pin<Box<Sleep>>,
}

impl Clock {
    /// A first wait begins, in which the server may be silent for `patience`.
    pub(crate) fn new(counters: Counters, patience: Duration, limits: &Limits) -> Self {
        let now = Instant::now();
        Self {
            counters,
            patience,
            slowest: limits.slowest.max(1),
            began: now,
            began_at_octet: 0,
            began_held_back: Duration::ZERO,
            progress: now,
            progress_held_back: Duration::ZERO,
            sleep: Box::pin(sleep_until(now)),
        }
    }

    /// How long the server may be silent from now on.
    pub(crate) fn be_patient(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// A wait for an answer begins.
    pub(crate) fn begin_wait(&mut self) {
        let now = Instant::now();
        self.began = now;
        self.progress = now;
        self.began_at_octet = self.counters.received();
        self.began_held_back = self.counters.held_back();
        self.progress_held_back = self.began_held_back;
    }

    /// Octets have come: an error when they come more slowly than anyone has to put up with.
    pub(crate) fn heard(&mut self) -> Result<(), Error> {
        self.progress = Instant::now();
        self.progress_held_back = self.counters.held_back();
        let octets = self.counters.received() - self.began_at_octet;
        let held_back = self.progress_held_back.saturating_sub(self.began_held_back);
        let allowed = self.patience + held_back + Duration::from_secs(octets / u64::from(self.slowest));
        if self.progress - self.began > allowed { Err(self.stalled()) } else { Ok(()) }
    }

    /// Nothing has come: wakes the task, and is ready, when the server has been silent for too long.
    pub(crate) fn poll_silence(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        loop {
            let held_back = self.counters.held_back().saturating_sub(self.progress_held_back);
            let deadline = self.progress + self.patience + held_back;
            if Instant::now() >= deadline {
                return Poll::Ready(self.stalled());
            }
            // Moved only when it has fired: moving it costs, and octets come all the time.
            if self.sleep.deadline() <= Instant::now() || self.sleep.deadline() > deadline {
                self.sleep.as_mut().reset(deadline);
            }
            ready!(self.sleep.as_mut().poll(cx));
        }
    }

    fn stalled(&self) -> Error {
        Error::Stalled { waited: self.began.elapsed(), received: self.counters.received(), hint: "" }
    }
}
