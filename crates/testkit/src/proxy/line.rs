//! A long line: octets take their time in each direction, in order, as many as there are; and round
//! trips are counted.
//!
//! A round trip is counted when the client says something after the server has, and nothing is under
//! way in either direction: then it has waited for an answer with the line idle. Questions that are sent
//! together, or while an answer is still coming, cost nothing more. The first one is the wait for the
//! greeting.

use std::io::Write;
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Direction;

/// Pieces under way in one direction before more is taken: 64 MiB, more than fits on any real line.
const MOST_PIECES: usize = 4096;

/// One connection's line.
pub(super) struct Line {
    delay: Duration,
    round_trips: Arc<AtomicU64>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Pieces that were taken from one side and not given to the other yet.
    under_way: u64,
    /// The client has heard something since it last spoke.
    heard: bool,
}

impl Line {
    /// A new connection: its client waits for the greeting.
    pub(super) fn new(round_trip: Duration, round_trips: &Arc<AtomicU64>) -> Self {
        round_trips.fetch_add(1, Ordering::Relaxed);
        Self { delay: round_trip / 2, round_trips: Arc::clone(round_trips), state: Mutex::default() }
    }

    /// Something was said.
    fn taken(&self, direction: Direction) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if direction == Direction::ToServer && std::mem::take(&mut state.heard) && state.under_way == 0 {
            self.round_trips.fetch_add(1, Ordering::Relaxed);
        }
        state.under_way += 1;
    }

    /// It is about to be heard.
    fn given(&self, direction: Direction) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.under_way -= 1;
        state.heard |= direction == Direction::ToClient;
    }
}

/// One direction of a line: what is put into it comes out at the other end, later. Dropping it waits
/// until all has come out.
pub(super) struct Way {
    line: Arc<Line>,
    direction: Direction,
    pieces: Option<mpsc::SyncSender<(Instant, Vec<u8>)>>,
    writer: Option<JoinHandle<()>>,
}

impl Way {
    pub(super) fn new(line: Arc<Line>, direction: Direction, mut to: TcpStream) -> Self {
        let (pieces, due) = mpsc::sync_channel::<(Instant, Vec<u8>)>(MOST_PIECES);
        let shared = Arc::clone(&line);
        let writer = thread::spawn(move || {
            for (at, octets) in due {
                thread::sleep(at.saturating_duration_since(Instant::now()));
                shared.given(direction);
                if to.write_all(&octets).is_err() {
                    return;
                }
            }
        });
        Self { line, direction, pieces: Some(pieces), writer: Some(writer) }
    }

    /// False: the other side is gone.
    pub(super) fn put(&self, octets: &[u8]) -> bool {
        self.line.taken(self.direction);
        let piece = (Instant::now() + self.line.delay, octets.to_vec());
        self.pieces.as_ref().is_some_and(|pieces| pieces.send(piece).is_ok())
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        drop(self.pieces.take());
        if let Some(writer) = self.writer.take() {
            // One that panicked has written as much as it could.
            let _ = writer.join();
        }
    }
}
