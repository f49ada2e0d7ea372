//! Runs against servers that lost, altered or forgot mail: what restante says of it, and that it keeps
//! what it had. The numbers in the names are those of the faults in docs/reliability.md.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod alarm;
mod history;
mod rollback;
#[path = "../common/scripted.rs"]
#[allow(dead_code, reason = "another suite uses the rest")]
mod scripted;
mod visible;
#[path = "../servers/world.rs"]
#[allow(dead_code, reason = "another suite uses the rest")]
mod world;
