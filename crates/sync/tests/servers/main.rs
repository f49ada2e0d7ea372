//! Runs against hostile and odd servers: each test is one thing that a server does wrong, and what
//! becomes of the backup. The numbers in the names are those of the faults in docs/reliability.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bodies;
mod copies;
mod flags;
mod listings;
mod patience;
mod recheck;
#[path = "../common/scripted.rs"]
mod scripted;
mod world;
