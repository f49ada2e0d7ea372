//! The POP3 server, seen from a client: what it does by the book, and what it does wrong on script.

#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod book;
mod client;
mod faults;
mod hostile;
mod providers;
