//! How fast mail may come, so that a backup leaves some of a line to others.
//!
//! What comes is paid for afterwards: each read moves on the time until which its bucket is used up,
//! and who reads next waits for that time. All who share a bucket wait for the same one, read little at
//! a time, and so take turns. TCP tells the server, which sends no faster than we read.
//!
//! Time that is spent waiting here is no fault of the server's: it is told to the connection's
//! [`Counters`], and the [`Clock`](super::clock::Clock) leaves it out.

use std::io;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::layer::write_through;
use super::meter::Counters;

/// What was not used for this long may be made up for, no more.
const BURST: Duration = Duration::from_secs(1);

/// Of a second's octets at most this part is read at once, so that many take turns evenly.
const PARTS: u64 = 8;

/// And at least so many octets, for a read has its price.
const LEAST_READ: u64 = 1 << 10;

/// The first octets of a connection are paid for and not waited for: TLS, greeting and login have
/// time-outs of their own.
const NOT_HELD_BACK: usize = 16 << 10;

/// So many octets a second may come, over all connections that have a clone of this.
#[derive(Clone, Debug, Default)]
pub struct Throttle(Vec<Arc<Mutex<Bucket>>>);

impl Throttle {
    /// At most so many octets a second. The default is as many as the line gives.
    #[must_use]
    pub fn per_second(octets: NonZeroU64) -> Self {
        Self(vec![Arc::new(Mutex::new(Bucket { per_second: octets, used_until: None }))])
    }

    /// Both: what comes has to pay for each.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().chain(&other.0).cloned().collect())
    }

    /// Whether nothing is ever held back.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.0.is_empty()
    }

    /// Octets have come; the next shall not before the moment that is given back.
    fn pay(&self, octets: usize, now: Instant) -> Instant {
        self.each(|bucket| bucket.pay(octets as u64, now)).fold(now, Instant::max)
    }

    /// The most octets that are to be read at once.
    fn most_at_once(&self) -> usize {
        let least = self.each(|bucket| bucket.per_second.get() / PARTS).min().unwrap_or(u64::MAX);
        usize::try_from(least.max(LEAST_READ)).unwrap_or(usize::MAX)
    }

    fn each<T>(&self, mut f: impl FnMut(&mut Bucket) -> T) -> impl Iterator<Item = T> {
        // A moment is a moment, whatever became of the thread that left it.
        self.0.iter().map(move |bucket| f(&mut bucket.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// What of a line has been used up.
#[derive(Debug)]
struct Bucket {
    per_second: NonZeroU64,
    /// At this moment all that came until now will have been paid for.
    used_until: Option<Instant>,
}

impl Bucket {
    fn pay(&mut self, octets: u64, now: Instant) -> Instant {
        let earliest = now.checked_sub(BURST).unwrap_or(now);
        let from = self.used_until.map_or(earliest, |until| until.max(earliest));
        let nanos = u128::from(octets) * 1_000_000_000 / u128::from(self.per_second.get());
        let price = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        let until = from.checked_add(price).unwrap_or(from);
        self.used_until = Some(until);
        until
    }
}

/// A connection that is read no faster than it may be.
pub(crate) struct Throttled<T> {
    inner: T,
    throttle: Throttle,
    counters: Counters,
    /// Octets that are not waited for any more.
    free: usize,
    /// Nothing is read before.
    resume: Instant,
    /// While it waits for that.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<T> Throttled<T> {
    pub(crate) fn new(inner: T, throttle: Throttle, counters: Counters) -> Self {
        let (free, resume) = (NOT_HELD_BACK, Instant::now());
        Self { inner, throttle, counters, free, resume, waiting: None }
    }

    /// Ready when the next octets may be read.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let left = self.resume.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            let (resume, counters) = (self.resume, &self.counters);
            let waiting = self.waiting.get_or_insert_with(|| {
                counters.hold_back(left);
                Box::pin(sleep_until(resume))
            });
            ready!(waiting.as_mut().poll(cx));
        }
        self.waiting = None;
        Poll::Ready(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Throttled<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.throttle.is_none() {
            return Pin::new(&mut this.inner).poll_read(cx, buffer);
        }
        ready!(this.poll_turn(cx));
        let most = buffer.remaining().min(this.throttle.most_at_once());
        let mut part = ReadBuf::new(buffer.initialize_unfilled_to(most));
        ready!(Pin::new(&mut this.inner).poll_read(cx, &mut part))?;
        let octets = part.filled().len();
        buffer.advance(octets);
        let resume = this.throttle.pay(octets, Instant::now());
        match this.free.checked_sub(octets) {
            Some(free) => this.free = free,
            None => (this.free, this.resume) = (0, resume),
        }
        Poll::Ready(Ok(()))
    }
}

write_through!(Throttled<T>, inner, |_: &Self, octets| octets);

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::limits::Limits;
    use crate::net::clock::Clock;

    fn rate(octets: u64) -> NonZeroU64 {
        NonZeroU64::new(octets).unwrap()
    }

    /// Where a connection that is held back is read from, and what is written to it.
    fn line(throttle: &Throttle) -> (Throttled<tokio::io::DuplexStream>, tokio::io::DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(1 << 20);
        (Throttled::new(ours, throttle.clone(), Counters::default()), theirs)
    }

    /// How many octets come in so much time.
    async fn come_within(line: &mut Throttled<tokio::io::DuplexStream>, time: Duration) -> usize {
        let until = Instant::now() + time;
        let (mut come, mut buffer) = (0, vec![0; 64 << 10]);
        while let Ok(read) = tokio::time::timeout_at(until, line.read(&mut buffer)).await {
            match read.unwrap() {
                0 => break,
                octets => come += octets,
            }
        }
        come
    }

    proptest! {
        #[test]
        fn never_more_comes_than_the_rate_times_the_time_and_a_second_more(
            per_second in 1_000_u64..1_000_000,
            reads in prop::collection::vec((1_u64..70_000, 0_u64..3_000), 1..60),
        ) {
            let mut bucket = Bucket { per_second: rate(per_second), used_until: None };
            // Before it the machine may not have been on.
            let begun = Instant::now() + BURST;
            let (mut now, mut come, mut largest) = (begun, 0, 0);
            for (octets, idle_ms) in reads {
                come += octets;
                largest = largest.max(octets);
                let next = bucket.pay(octets, now);
                now = now.max(next) + Duration::from_millis(idle_ms);
                let allowed = (now - begun).as_secs_f64() + BURST.as_secs_f64();
                #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
                let (come, per_second) = (come as f64, per_second as f64);
                prop_assert!(come <= allowed * per_second + 1.0, "{come} in {allowed} s at {per_second}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_not_used_for_an_hour_is_made_up_for_by_a_second_s_worth() {
        let mut bucket = Bucket { per_second: rate(1_000), used_until: None };
        bucket.pay(1, Instant::now());
        tokio::time::advance(Duration::from_secs(3_600)).await;
        let now = Instant::now();
        assert_eq!(bucket.pay(1_000, now), now);
        assert_eq!(bucket.pay(500, now), now + Duration::from_millis(500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_line_is_read_at_its_rate_and_two_that_share_one_take_turns() {
        let throttle = Throttle::per_second(rate(100_000));
        let (mut first, mut their_first) = line(&throttle);
        let (mut second, mut their_second) = line(&throttle);
        their_first.write_all(&vec![0; 1 << 20]).await.unwrap();
        their_second.write_all(&vec![0; 1 << 20]).await.unwrap();
        let time = Duration::from_secs(10);
        let (one, other) = tokio::join!(come_within(&mut first, time), come_within(&mut second, time));
        // Ten seconds' worth, the second that may be made up for, and what is not held back.
        let most = 1_100_000 + 4 * NOT_HELD_BACK;
        assert!((1_000_000..most).contains(&(one + other)), "{one} and {other}");
        // Who comes first has the second that may be made up for.
        assert!(one.abs_diff(other) <= 100_000 + 2 * NOT_HELD_BACK, "{one} and {other}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_smaller_of_two_rates_holds_and_the_larger_is_paid_all_the_same() {
        let all = Throttle::per_second(rate(100_000));
        let (mut slow, mut their_slow) = line(&all.and(&Throttle::per_second(rate(20_000))));
        let (mut other, mut their_other) = line(&all);
        their_slow.write_all(&vec![0; 1 << 20]).await.unwrap();
        let time = Duration::from_secs(20);
        let alone = come_within(&mut slow, time).await;
        assert!((400_000..420_000 + 4 * NOT_HELD_BACK).contains(&alone), "{alone}");
        their_other.write_all(&vec![0; 1 << 20]).await.unwrap();
        let time = Duration::from_secs(5);
        let (slow, other) = tokio::join!(come_within(&mut slow, time), come_within(&mut other, time));
        assert!(slow < 130_000 && slow + other < 600_000 + 4 * NOT_HELD_BACK, "{slow} and {other}");
    }

    #[tokio::test(start_paused = true)]
    async fn n03_time_that_we_hold_back_is_no_fault_of_the_server_s() {
        let counters = Counters::default();
        // Slower than the server has to be, for far longer than it may be silent.
        let limits = Limits { slowest: 5_000, progress: Duration::from_secs(20), ..Limits::default() };
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        let metered = super::super::meter::Meter::new(ours, counters.clone());
        let mut line = Throttled::new(metered, Throttle::per_second(rate(100)), counters.clone());
        theirs.write_all(&vec![0; 30_000]).await.unwrap();
        let mut clock = Clock::new(counters.clone(), limits.progress, &limits);
        clock.begin_wait();
        let mut buffer = vec![0; 64 << 10];
        let begun = Instant::now();
        for _ in 0..25 {
            let octets = std::future::poll_fn(|cx| {
                let mut room = ReadBuf::new(&mut buffer);
                match Pin::new(&mut line).poll_read(cx, &mut room) {
                    Poll::Ready(read) => Poll::Ready(read.map(|()| room.filled().len()).unwrap()),
                    Poll::Pending => clock.poll_silence(cx).map(|error| panic!("{error}")),
                }
            })
            .await;
            assert!(octets > 0);
            clock.heard().unwrap();
        }
        assert!(begun.elapsed() > 3 * limits.progress);
        // What the server itself leaves out still counts: nothing is left to read now.
        while line.read(&mut buffer[..1]).await.is_ok_and(|_| counters.received() < 30_000) {}
        clock.begin_wait();
        let silence = std::future::poll_fn(|cx| {
            let mut room = ReadBuf::new(&mut buffer);
            assert!(Pin::new(&mut line).poll_read(cx, &mut room).is_pending());
            clock.poll_silence(cx)
        })
        .await;
        assert!(silence.to_string().contains("stalled"), "{silence}");
    }
}
