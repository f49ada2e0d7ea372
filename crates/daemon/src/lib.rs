//! What runs by itself: when a job is due, and which jobs begin now.
//!
//! [`schedule`] turns a crontab line and a time zone into the next moment after a given one.
//! [`scheduler`] is told what happens and says what begins. Neither asks a clock; whoever waits for
//! the moment does.

#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod schedule;
pub mod scheduler;

pub use schedule::{InvalidSchedule, Schedule};
pub use scheduler::Scheduler;
