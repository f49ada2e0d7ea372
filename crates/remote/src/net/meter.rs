//! Counting octets on the wire: below TLS and compression, where a line is paid for.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};

use super::layer::write_through;

/// Octets and round trips of a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Octets from the server, on the wire.
    pub received: u64,
    /// Octets to the server, on the wire.
    pub sent: u64,
    /// Times that we asked while no other answer was due.
    pub round_trips: u64,
}

/// The counts of one connection: octets in, octets out, nanoseconds held back. Clones count together.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters(Arc<[AtomicU64; 3]>);

impl Counters {
    pub(crate) fn received(&self) -> u64 {
        self.0[0].load(Ordering::Relaxed)
    }

    pub(crate) fn sent(&self) -> u64 {
        self.0[1].load(Ordering::Relaxed)
    }

    /// For how long we have not read what may have been there.
    pub(crate) fn held_back(&self) -> Duration {
        Duration::from_nanos(self.0[2].load(Ordering::Relaxed))
    }

    /// We do not read for so long.
    pub(crate) fn hold_back(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0[2].fetch_add(nanos, Ordering::Relaxed);
    }

    fn add(&self, which: usize, octets: usize) {
        self.0[which].fetch_add(octets as u64, Ordering::Relaxed);
    }
}

/// A connection whose octets are counted.
pub(crate) struct Meter<T> {
    inner: T,
    counters: Counters,
}

impl<T> Meter<T> {
    pub(crate) fn new(inner: T, counters: Counters) -> Self {
        Self { inner, counters }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Meter<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(cx, buffer))?;
        self.counters.add(0, buffer.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

write_through!(Meter<T>, inner, |meter: &Self, octets| {
    meter.counters.add(1, octets);
    octets
});
