//! What runs by itself: when a job is due, and which jobs begin now.
//!
//! [`schedule`] turns a crontab line and a time zone into the next moment after a given one.
//! [`scheduler`] is told what happens and says what begins. Neither asks a clock; [`service`] does,
//! which waits for the moments and has the runs done. [`care`] says when the archive is looked after.
//! [`watch`] says when a connection that waits for news is opened anew, and how often it may ask for a
//! run.
//! [`metrics`] says how all of it stands.
//! [`alerts`] is told what came of it all, and says who is told of trouble, and when.

pub mod alerts;
pub mod care;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod metrics;
pub mod schedule;
pub mod scheduler;
pub mod service;
pub mod watch;

pub use schedule::{InvalidSchedule, Schedule};
pub use scheduler::Scheduler;
