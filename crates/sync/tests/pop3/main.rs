//! Accounts over POP3: what servers do to a backup, row by row of the faults' section P, and of the
//! others that POP3 can meet as well.

#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod counts;
mod framing;
mod imap;
mod lines;
mod lists;
mod names;
mod providers;
mod refusals;
#[path = "../common/scripted.rs"]
mod scripted;
mod world;
