//! APPEND: messages out, answers in (RFC 9051 §6.3.12; RFC 3502, RFC 3516, RFC 4315, RFC 7888).
//!
//! One command holds one message, or several where the server takes that; several commands are under
//! way at once. Message bytes are written from where they lie. With LITERAL+ (or LITERAL- and small
//! messages) a command goes out in one go; else each message waits for the server's leave, and then
//! no other command may be under way: a leave that was meant for something else would have message
//! bytes read as commands.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use bytes::Bytes;
use message::{Flags, InternalDate, MailboxName, Uid};

use super::{Target, sendable_flags};
use crate::error::Error;
use crate::imap::Refusal;
use crate::imap::command::{Command, Literals};
use crate::imap::conversation::{Answer, Code, Event, Sent, Status, Tag};

/// A message to be added.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Those that can be sent are: see [`sendable_flags`].
    pub flags: Flags,
    /// Sent as [`sendable_date`] has it; without one the server takes the present.
    pub date: Option<InternalDate>,
    /// The message.
    pub bytes: Bytes,
}

/// How messages are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AppendStyle {
    /// Wait for the server's leave before each message, whatever it offers.
    pub synchronising: bool,
}

/// An APPEND that is under way: of one [`Target`], never the same twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AppendId(u32);

/// What has become of an APPEND.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// The server says that it has all messages.
    Stored {
        /// Their UIDs in their order, where the server told them and they can be right: as many as
        /// there were messages, none twice.
        uids: Option<Vec<Uid>>,
    },
    /// It has none of them.
    Refused {
        /// BAD and not NO: it did not understand.
        status_bad: bool,
        /// Its reasons.
        refusal: Refusal,
    },
}

/// A command that is sent and not answered.
#[derive(Debug)]
pub(super) struct Flight {
    tag: Tag,
    id: AppendId,
    messages: usize,
}

impl Target {
    /// The most messages that one APPEND may hold here: 1 without MULTIAPPEND.
    #[must_use]
    pub fn most_per_append(&self) -> usize {
        if self.capabilities().multiappend {
            usize::try_from(self.session.limits.bodies_per_command).unwrap_or(usize::MAX).max(1)
        } else {
            1
        }
    }

    /// Sends one APPEND; its outcome comes from [`appended`](Self::appended), in whatever order the
    /// server answers. It is all or nothing (RFC 3502 §6.3.11). At most
    /// [`Limits::commands_in_flight`](crate::Limits) are under way: for more, answers are awaited here
    /// and kept.
    ///
    /// # Errors
    /// When the connection is lost or out of step. Whether this and the others under way were
    /// stored is not known then, but for those that `appended` still gives.
    ///
    /// # Panics
    /// Without messages, and for more than [`most_per_append`](Self::most_per_append).
    pub async fn append(
        &mut self,
        name: &MailboxName,
        messages: &[Outgoing],
        style: AppendStyle,
    ) -> Result<AppendId, Error> {
        assert!((1..=self.most_per_append()).contains(&messages.len()), "{} in one APPEND", messages.len());
        let sent = self.send(name, messages, style).await;
        // What came while it was written, also before an error.
        while let Some(event) = self.session.talk.take_early() {
            self.session.note(&event);
            self.settle(event);
        }
        self.session.given_up |= !matches!(sent, Ok((_, Sent::InStep)));
        sent.map(|(id, _)| id)
    }

    async fn send(
        &mut self,
        name: &MailboxName,
        messages: &[Outgoing],
        style: AppendStyle,
    ) -> Result<(AppendId, Sent), Error> {
        let literals = self.literals(name, messages, style);
        let most = match literals {
            Literals::Synchronising => 1,
            Literals::Small | Literals::All => self.session.limits.commands_in_flight.max(1),
        };
        while self.flights.len() >= most {
            self.hear().await?;
        }
        self.check()?;
        let command = Command::new("APPEND").mailbox(name);
        let tag = self.session.talk.begin(&command);
        let id = AppendId(tag.number());
        self.flights.push(Flight { tag, id, messages: messages.len() });
        let texts = Texts::new(tag, name, messages, literals, self.capabilities().binary);
        let sent = self.session.talk.send_stages(tag, &texts.stages(name, messages)).await?;
        Ok((id, sent))
    }

    /// All literals of a command wait for leave, or none does: where only some do, a server that gives
    /// leave for one that needs none would have the next one sent too early.
    fn literals(&self, name: &MailboxName, messages: &[Outgoing], style: AppendStyle) -> Literals {
        let offered = self.capabilities().literals();
        let mut lengths = messages.iter().map(|message| message.bytes.len()).chain([name.raw().len()]);
        if style.synchronising || !lengths.all(|length| offered.at_once(length)) {
            Literals::Synchronising
        } else {
            offered
        }
    }

    /// The next outcome of an APPEND.
    ///
    /// # Errors
    /// When the connection is lost or out of step; `GivenUp` when nothing is under way. Outcomes that
    /// had come before come first.
    pub async fn appended(&mut self) -> Result<(AppendId, Appended), Error> {
        loop {
            if let Some(settled) = self.settled.pop_front() {
                return Ok(settled);
            }
            if self.flights.is_empty() {
                return Err(Error::GivenUp);
            }
            self.hear().await?;
        }
    }

    /// Nothing can be said on this connection any more, though outcomes that had come may still be
    /// waiting in [`appended`](Self::appended): they tell why.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.check().is_err()
    }

    /// How many appends are sent whose outcome was not given out yet.
    #[must_use]
    pub fn appends_in_flight(&self) -> usize {
        self.flights.len() + self.settled.len()
    }

    fn check(&self) -> Result<(), Error> {
        if self.session.given_up || self.session.talk.is_torn() { Err(Error::GivenUp) } else { Ok(()) }
    }

    /// Waits for the next thing the server says.
    async fn hear(&mut self) -> Result<(), Error> {
        self.check()?;
        match self.session.next().await {
            Ok(event) => {
                self.settle(event);
                Ok(())
            }
            Err(error) => {
                self.session.given_up = true;
                Err(error)
            }
        }
    }

    fn settle(&mut self, event: Event) {
        let Event::Done { tag, status, answer } = event else { return };
        let Some(at) = self.flights.iter().position(|flight| flight.tag == tag) else { return };
        let flight = self.flights.remove(at);
        let outcome = match status {
            Status::Ok => Appended::Stored { uids: uids(&answer, flight.messages) },
            status => Appended::Refused { status_bad: status == Status::Bad, refusal: answer.refusal() },
        };
        self.settled.push_back((flight.id, outcome));
    }
}

/// What stands before, between and behind the literals of a command.
struct Texts {
    /// Ends in the announcement of the first literal.
    first: Vec<u8>,
    /// Before each message, where that is not `first`; ends in its announcement.
    before: Vec<Vec<u8>>,
    /// The name is a literal.
    name_is_literal: bool,
    synchronising: bool,
}

impl Texts {
    fn new(tag: Tag, name: &MailboxName, messages: &[Outgoing], literals: Literals, binary: bool) -> Self {
        let synchronising = literals == Literals::Synchronising;
        let announce = |sigil: &str, length: usize| {
            let plus = if synchronising { "" } else { "+" };
            format!("{sigil}{{{length}{plus}}}\r\n")
        };
        let named = Command::new("APPEND").mailbox(name);
        let name_is_literal = named.has_literals();
        let mut text = format!("{} ", tag.text()).into_bytes();
        text.extend_from_slice(named.text_before_literals());
        let mut before = Vec::with_capacity(messages.len());
        let mut first = None;
        if name_is_literal {
            text.extend_from_slice(announce("", name.raw().len()).as_bytes());
            first = Some(std::mem::take(&mut text));
        }
        for message in messages {
            text.extend_from_slice(message.options().as_bytes());
            // A plain literal may not hold NUL; where there is no other, the server has to decide.
            let sigil = if binary && memchr::memchr(0, &message.bytes).is_some() { "~" } else { "" };
            text.extend_from_slice(announce(sigil, message.bytes.len()).as_bytes());
            before.push(std::mem::take(&mut text));
        }
        let first = first.unwrap_or_else(|| before.remove(0));
        Self { first, before, name_is_literal, synchronising }
    }

    /// What goes out in one go each.
    fn stages<'a>(&'a self, name: &'a MailboxName, messages: &'a [Outgoing]) -> Vec<Vec<&'a [u8]>> {
        let name = self.name_is_literal.then(|| name.raw());
        let literals = name.into_iter().chain(messages.iter().map(|message| &*message.bytes));
        let after = self.before.iter().map(Vec::as_slice).chain([b"\r\n".as_slice()]);
        let mut stages = vec![vec![self.first.as_slice()]];
        for (literal, text) in literals.zip(after) {
            if self.synchronising {
                stages.push(Vec::new());
            }
            stages.last_mut().expect("begun with one").extend([literal, text]);
        }
        stages
    }
}

impl Outgoing {
    /// Flags and date, a blank before each and one behind all.
    fn options(&self) -> String {
        let (flags, left_out) = sendable_flags(&self.flags);
        if !left_out.is_empty() {
            tracing::debug!(?left_out, "flags that are no atoms are not sent");
        }
        let mut options = String::from(" ");
        if !flags.is_empty() {
            options.push_str(&format!("({flags}) "));
        }
        if let Some(date) = self.date.as_ref().and_then(sendable_date) {
            options.push_str(&format!("\"{date}\" "));
        }
        options
    }
}

/// A received date as APPEND takes it (RFC 9051 §9, `date-time`): the day always in two digits, for
/// some servers refuse one, and in UTC where the zone is beyond what clocks on earth show. `None`
/// when the text of a server cannot be read as a date.
#[must_use]
pub fn sendable_date(date: &InternalDate) -> Option<InternalDate> {
    /// Kiribati's clocks are 14 hours ahead; nobody's are as far behind.
    const FURTHEST: u16 = 14 * 60;
    let offset = date.offset_minutes()?;
    let offset = if offset.unsigned_abs() > FURTHEST { 0 } else { offset };
    Some(InternalDate::from_unix(date.unix()?, offset))
}

/// The UIDs of an APPENDUID code, in the order of the messages, if they can be right. A range counts
/// up, whichever end is told first (RFC 4315 §3).
pub(super) fn uids(answer: &Answer, messages: usize) -> Option<Vec<Uid>> {
    let Some(Code::AppendUid(_, ranges)) = &answer.code else { return None };
    let length = |range: &RangeInclusive<u32>| u64::from(range.end() - range.start()) + 1;
    // Held against the number of messages before any memory is taken.
    if ranges.iter().map(length).sum::<u64>() != messages as u64 {
        return None;
    }
    let uids: Vec<Uid> = ranges.iter().flat_map(Clone::clone).filter_map(Uid::new).collect();
    let distinct: HashSet<&Uid> = uids.iter().collect();
    (distinct.len() == messages).then_some(uids)
}
