//! What runs by itself: for now, the arithmetic of when a job is due.
//!
//! [`schedule`] turns a crontab line and a time zone into the next moment after a given one. It asks
//! no clock; whoever waits for the moment does.

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod schedule;

pub use schedule::{InvalidSchedule, Schedule};
