//! One mail message, and the place where it lay.
//!
//! This crate holds what every other room speaks of, and nothing that touches disk, network or
//! clock:
//!
//! * [`key`]: what makes two messages the same (BLAKE3 of their exact bytes), and the names of blobs.
//! * [`split`] and [`recipe`]: a message taken apart into header block, text and decoded base64
//!   runs, and the recipe that joins them again, byte for byte.
//! * [`fields`]: the few header fields that lists show.
//! * [`mailbox`], [`place`], [`uid_set`], [`flags`], [`date`]: the words of RFC 9051 for where a
//!   message lies and what the server says about it.
//! * [`uidl`]: what a POP3 server calls a message (RFC 1939 §7).
//! * [`escape`]: text from strangers made fit for a terminal, a log line or a JSON document.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is"))]

mod base64_lines;
pub mod date;
pub mod escape;
pub mod fields;
pub mod flags;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod key;
pub mod mailbox;
pub mod place;
mod received;
pub mod recipe;
pub mod split;
pub mod uid_set;
pub mod uidl;

pub use date::InternalDate;
pub use flags::Flags;
pub use key::{BlobName, MessageKey};
pub use mailbox::{MailboxName, NameEncoding};
pub use place::{ModSeq, Uid, UidValidity};
pub use received::received_date;
pub use uid_set::UidSet;
pub use uidl::Uidl;
