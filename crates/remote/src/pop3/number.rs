//! The number of a message: where it stands in the maildrop as one session sees it (RFC 1939 §3).
//!
//! Numbers are given anew in each session. Whoever keeps one and uses it in another fetches another
//! message, so a number knows its session, and only that session takes it.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;

/// A message number, good in the session that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Number {
    number: u32,
    session: SessionId,
}

/// Tells sessions apart within this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SessionId(u64);

impl SessionId {
    /// One that no other session has.
    pub(super) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }

    pub(super) fn number(self, number: u32) -> Number {
        Number { number, session: self }
    }

    /// The number as it goes over the line, if it is one of this session.
    pub(super) fn check(self, number: Number) -> Result<u32, Error> {
        match number.session == self {
            true => Ok(number.number),
            false => Err(Error::OtherSession { number: number.number }),
        }
    }
}

impl Number {
    /// From 1; for people and for counting only.
    #[must_use]
    pub fn get(self) -> u32 {
        self.number
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}
