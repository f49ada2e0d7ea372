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
    pub(super) flags: Kept,
    pub(super) date: DateSent,
    pub(super) synchronising: bool,
}

/// Which flags go along: fewer and fewer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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
    /// With what has helped other messages, too.
    pub(super) fn at_least(self, lesson: Self) -> Self {
        Self {
            flags: self.flags.max(lesson.flags),
            synchronising: self.synchronising || lesson.synchronising,
            ..self
        }
    }

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
        self.cuts > 0
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

/// After so many messages for which the same thing helped, it is done with the next ones at once.
const SAME_TRIES: u32 = 3;

/// What the messages of a mailbox have taught: a server that refuses keywords or literals that it has
/// not asked for refuses them each time, and asking again with each message would take long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lessons {
    without_keywords: u32,
    keywords_taken: bool,
    when_asked: u32,
}

impl Lessons {
    /// How a message of which nothing else is known is sent.
    pub(super) fn first_attempt(self) -> Attempt {
        let no_keywords = self.without_keywords >= SAME_TRIES && !self.keywords_taken;
        Attempt {
            flags: if no_keywords { Kept::System } else { Kept::All },
            synchronising: self.when_asked >= SAME_TRIES,
            ..Attempt::default()
        }
    }

    /// A message has been taken that was sent in this way. True: there is something new to be done.
    pub(super) fn learn(&mut self, attempt: Attempt, flags: &Flags) -> bool {
        let before = self.first_attempt();
        let has_keywords = flags.iter().any(|flag| !flag.starts_with('\\'));
        match attempt.flags {
            Kept::All => self.keywords_taken |= has_keywords,
            Kept::System | Kept::None => self.without_keywords += u32::from(has_keywords),
        }
        // With fewer flags as well, it was those that helped.
        if attempt.is_synchronising() && attempt.flags == Kept::All {
            self.when_asked += 1;
        }
        self.first_attempt() != before
    }
}

fn nearest(own: Moment) -> Moment {
    if SAFE_DATES.contains(&own.unix) {
        return own;
    }
    Moment { unix: own.unix.clamp(*SAFE_DATES.start(), *SAFE_DATES.end()), offset_minutes: 0 }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use message::{MessageKey, Uid};

    use super::super::wanted::Header;
    use super::*;

    fn wanted(flags: &str, unix: i64) -> Wanted {
        Wanted {
            uid: Uid::new(1).expect("not 0"),
            key: MessageKey::of(b""),
            size: 0,
            date: Some(Moment { unix, offset_minutes: 60 }),
            flags: Arc::new(Flags::parse(flags)),
            header: Header::NotAsked,
            lost: false,
        }
    }

    fn refusal(text: &str) -> Refusal {
        Refusal { code: None, text: text.to_owned() }
    }

    /// All that is tried with a message that is never taken.
    fn ladder(wanted: &Wanted, bad: bool, text: &str) -> Vec<Attempt> {
        let first = Attempt::default();
        std::iter::successors(Some(first), |attempt| attempt.after(wanted, bad, &refusal(text))).collect()
    }

    #[test]
    fn r04_flags_are_given_up_before_the_message_is_keywords_first() {
        let message = wanted("\\Seen $NotJunk", 1_700_000_000);
        let tried = ladder(&message, false, "invalid keyword");
        let flags: Vec<String> =
            tried.iter().map(|attempt| attempt.flags(&message.flags).to_string()).collect();
        assert_eq!(flags, ["\\Seen $NotJunk", "\\Seen", "", ""]);
        let has_date: Vec<bool> = tried.iter().map(|attempt| attempt.date(&message).is_some()).collect();
        assert_eq!(has_date, [true, true, true, false]);
    }

    #[test]
    fn r13_a_date_that_is_refused_becomes_the_nearest_that_every_server_knows() {
        let message = wanted("\\Seen", -86_400);
        let tried = ladder(&message, false, "date out of range");
        let dates: Vec<Option<String>> =
            tried.iter().take(3).map(|attempt| attempt.date(&message).map(|date| date.to_string())).collect();
        let texts: Vec<Option<&str>> = dates.iter().map(Option::as_deref).collect();
        assert_eq!(texts, [Some("31-Dec-1969 01:00:00 +0100"), Some("01-Jan-1980 00:00:00 +0000"), None]);
        assert_eq!(tried[2].flags, Kept::All, "the flags were not spoken of");
    }

    #[test]
    fn r14_what_is_not_understood_is_sent_with_literals_that_wait() {
        let tried = ladder(&wanted("", 1_700_000_000), true, "Command Argument Error. 11");
        let waits: Vec<bool> = tried.iter().map(Attempt::is_synchronising).collect();
        assert_eq!(waits, [false, true, true], "and at last without its date");
    }

    #[test]
    fn every_ladder_ends() {
        for flags in ["", "\\Seen", "x", "\\Seen x"] {
            for unix in [-1, 1_700_000_000, i64::from(u32::MAX)] {
                for bad in [false, true] {
                    for text in ["", "flag", "date", "flag date"] {
                        assert!(ladder(&wanted(flags, unix), bad, text).len() <= 6);
                    }
                }
            }
        }
    }

    #[test]
    fn r14_what_was_on_the_line_when_it_was_cut_goes_alone_and_then_by_itself() {
        let cut = |cuts| Attempt { cuts, ..Attempt::default() };
        let told =
            |attempt: Attempt| (attempt.is_alone(), attempt.is_by_itself(), attempt.is_synchronising());
        assert_eq!(told(cut(0)), (false, false, false));
        assert_eq!(told(cut(1)), (true, false, false));
        assert_eq!(told(cut(2)), (true, true, true));
    }

    #[test]
    fn r04_keywords_are_left_off_after_three_refusals_unless_some_were_taken() {
        let (with, without) = (Flags::parse("\\Seen odd"), Flags::parse("\\Seen"));
        let bare = Attempt { flags: Kept::System, ..Attempt::default() };
        let mut lessons = Lessons::default();
        // A message without keywords teaches nothing about them.
        let news: Vec<bool> =
            [&with, &without, &with, &with, &with].map(|flags| lessons.learn(bare, flags)).to_vec();
        assert_eq!(news, [false, false, false, true, false]);
        assert_eq!(lessons.first_attempt(), bare);
        assert!(lessons.learn(Attempt::default(), &with), "it was one of them that the server refused");
        assert_eq!(lessons.first_attempt(), Attempt::default());
    }

    #[test]
    fn r14_literals_wait_after_three_that_helped_and_what_was_tried_before_is_kept() {
        let waits = Attempt { synchronising: true, ..Attempt::default() };
        let mut lessons = Lessons::default();
        for _ in 0..SAME_TRIES {
            lessons.learn(waits, &Flags::new());
        }
        let tried = Attempt { cuts: 1, flags: Kept::None, date: DateSent::Nearest, ..Attempt::default() };
        assert_eq!(tried.at_least(lessons.first_attempt()), Attempt { synchronising: true, ..tried });
    }
}
