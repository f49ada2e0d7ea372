//! A message that the target does not take as it is: what is tried next (R4, R13, R14). Pure.
//!
//! The message comes first: rather than leaving it out, it is sent without what the server seems to
//! dislike, one step at a time: without its keywords, without any flags, with the nearest received
//! date that every server knows, without a date, with literals that wait for leave. The words of the
//! refusal say where to begin. What was left off is tried once more with STORE, and what is missing in
//! the end is found by the proof.

use message::{Flags, InternalDate};
use remote::imap::Refusal;

use super::wanted::{Moment, Wanted};

/// What has been tried with one message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempt {
    /// How often the connection was lost while it was under way.
    pub(super) cuts: u32,
    /// It is sent in a command of its own.
    pub(super) alone: bool,
    pub(super) flags: Kept,
    pub(super) date: DateSent,
    pub(super) synchronising: bool,
}

/// Which flags go along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kept {
    #[default]
    All,
    System,
    None,
}

/// Which received date goes along.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum DateSent {
    #[default]
    Own,
    Nearest,
    None,
}

/// From 1980 on every file system and server knows dates, and until 2038 in 32 bits.
const SAFE_DATES: std::ops::RangeInclusive<i64> = 315_532_800..=2_147_400_000;

impl Attempt {
    /// The flags to send.
    pub(super) fn flags(&self, flags: &Flags) -> Flags {
        match self.flags {
            Kept::All => flags.clone(),
            Kept::System => flags.iter().filter(|flag| flag.starts_with('\\')).collect(),
            Kept::None => Flags::new(),
        }
    }

    /// The date to send.
    pub(super) fn date(&self, wanted: &Wanted) -> Option<InternalDate> {
        let own = wanted.date?;
        match self.date {
            DateSent::Own => Some(own.to_date()),
            DateSent::Nearest => Some(nearest(own).to_date()),
            DateSent::None => None,
        }
    }

    /// In a command of its own.
    pub(super) fn is_alone(&self) -> bool {
        self.alone || self.cuts > 0
    }

    /// With nothing else on the line, so that a cut can only mean this one.
    pub(super) fn is_by_itself(&self) -> bool {
        self.cuts > 1
    }

    pub(super) fn is_synchronising(&self) -> bool {
        self.synchronising || self.cuts > 1
    }

    /// What is to be tried after a refusal of the message alone; `None` when nothing is left.
    pub(super) fn after(mut self, wanted: &Wanted, bad: bool, refusal: &Refusal) -> Option<Self> {
        let has_keywords = wanted.flags.iter().any(|flag| !flag.starts_with('\\'));
        let fewer_flags = |flags: Kept| match flags {
            Kept::All if has_keywords => Some(Kept::System),
            Kept::All | Kept::System if !wanted.flags.is_empty() => Some(Kept::None),
            _ => None,
        };
        let fewer_dates = |date: DateSent| match (date, wanted.date) {
            (DateSent::Own, Some(own)) if nearest(own) != own => Some(DateSent::Nearest),
            (DateSent::Own | DateSent::Nearest, Some(_)) => Some(DateSent::None),
            _ => None,
        };
        if refusal.speaks_of_date()
            && let Some(date) = fewer_dates(self.date)
        {
            self.date = date;
            return Some(self);
        }
        if bad && !self.synchronising && !refusal.speaks_of_flags() {
            self.synchronising = true;
            return Some(self);
        }
        if let Some(flags) = fewer_flags(self.flags) {
            self.flags = flags;
            return Some(self);
        }
        if let Some(date) = fewer_dates(self.date) {
            self.date = date;
            return Some(self);
        }
        None
    }
}

fn nearest(own: Moment) -> Moment {
    if SAFE_DATES.contains(&own.unix) {
        return own;
    }
    Moment { unix: own.unix.clamp(*SAFE_DATES.start(), *SAFE_DATES.end()), offset_minutes: 0 }
}
