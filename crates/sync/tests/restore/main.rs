//! Giving mail back to every kind of target, from a pull of one scripted server to the proof on
//! another (section R of the list of faults, each test by the number of its row).
//!
//! A test's world is a server whose mail is in an archive, and another server that it is given back
//! to and that does something wrong. What the target's store holds then is the judge; the report is
//! held against it. Whatever a target does: no message is lost without a word, and none is there
//! twice.

#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod chance;
mod changed;
mod dovecot;
mod flags;
mod full;
mod names;
mod once;
mod sample;
mod scope;
mod trouble;
mod world;
