//! Round trips, exactly: the time that a run takes over a line in this process on which nothing counts
//! but the way there and back. Octets cost nothing, nor does the work of either side, so what a run
//! takes, divided by a round trip, is the longest chain of questions that waited for an answer.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod line;
#[path = "../common/paused.rs"]
mod paused;
mod runs;
mod world;
