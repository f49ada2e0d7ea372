//! The IMAP client of a backup: reads everything, changes nothing (RFC 9051, and RFC 3501 servers).
//!
//! A [`Session`] is one connection, logged in. It lists mailboxes, opens them read-only (EXAMINE,
//! never SELECT), and fetches with PEEK; no command that changes a mailbox can be formed with it. A
//! restore has a [`Target`], which can add mail, make mailboxes and set flags; it has no command that
//! takes anything away. A [`Watch`] is a connection that waits until there is something to fetch.
//! From the socket upwards:
//!
//! * `frame` cuts octets into responses; `guard` bounds and times them, hands the conversation to
//!   async-imap and takes mailbox data out; `conversation` sends commands and gives events.
//! * `tokens` and `data` read mailbox data; `tolerance` holds what we forgive.
//! * `login` and `settle` make a session; `list`, `mailbox`, `uids`, `rows` and `fetch` are what it can
//!   do. Many commands cost one round trip: `burst` sends them together, `ahead` before their turn.
//! * `target` is what can be added; `watch` waits for news.
//!
//! After any error but `Error::Refused`, or when a call was dropped half-way, the connection is of no
//! more use; a new session goes on where this one was.
//!
//! Of async-imap this uses the connection, not the typed commands: imap-proto reads nested
//! structures by recursion (ten thousand parentheses end the process), loses what a backup keeps
//! (raw names, sizes beyond 32 bits), and async-imap would copy each body twice and log passwords.

mod ahead;
mod burst;
mod capabilities;
mod command;
mod conversation;
mod data;
mod fetch;
mod frame;
mod guard;
mod list;
mod login;
mod mailbox;
mod rows;
mod settle;
mod target;
mod tokens;
mod tolerance;
mod uids;
mod watch;

/// What the fuzz targets need of the private modules.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod doors {
    pub(crate) use super::data::Data;
    pub(crate) use super::frame::{Frame, Framer};
    pub(crate) use super::target::doors::{kept_flags, told_uids};
    pub(crate) use super::tolerance::conversational;
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod script;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

use message::NameEncoding;

pub use ahead::Next;
pub use capabilities::Capabilities;
pub use fetch::{Delivery, FetchRequest, FetchSink, Part};
pub use list::Listed;
pub use mailbox::{Examined, Since, Status};
pub use rows::{FlagChange, Surveyed};
pub use target::{
    AppendId, AppendStyle, Appended, Namespace, Outgoing, PermanentFlags, Quota, Selected, Target,
    sendable_date, sendable_flags,
};

pub use watch::{Scope, Wanted, Watch};

pub use crate::refusal::Refusal;

use crate::error::Error;
use crate::limits::Limits;
use crate::net::meter::Traffic;
use command::Command;
use conversation::{Answer, Conversation, Event, Status as Outcome, Tag};
use data::Data;

/// A connection that is logged in.
#[derive(Debug)]
pub struct Session {
    talk: Conversation,
    capabilities: Capabilities,
    limits: Limits,
    encoding: NameEncoding,
    /// Messages in the open mailbox, as the server last said.
    exists: u32,
    /// The next UID, as the server said when the mailbox was opened.
    uid_next: Option<message::Uid>,
    /// Whether surveys ask for ids of content.
    content_ids: rows::ContentIds,
    /// The mailbox that is open.
    open: Option<ahead::Open>,
    /// What will be asked next, as far as it is known.
    ahead: ahead::Ahead,
    /// Answers are due that nobody waits for: no more commands.
    given_up: bool,
}

impl Session {
    /// What the server can do, and has been asked to.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// What this connection has cost until now.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let counters = self.talk.counters();
        Traffic { received: counters.received(), sent: counters.sent(), round_trips: self.talk.round_trips() }
    }

    /// Says goodbye, for a few seconds at most. Nothing depends on its success.
    pub async fn logout(self) {
        if self.check().is_ok() {
            self.talk.leave().await;
        }
    }

    /// The connection is in step: every answer that was due has been read, but those to what was asked
    /// ahead.
    fn check(&self) -> Result<(), Error> {
        if self.given_up || self.talk.is_torn() || self.talk.in_flight() > self.ahead.under_way() {
            Err(Error::GivenUp)
        } else {
            Ok(())
        }
    }

    /// One command with its answer.
    async fn run(&mut self, command: Command, each: &mut dyn FnMut(Heard)) -> Result<Answer, Error> {
        self.check()?;
        let sent = self.issue(&command).await?;
        self.answer(sent, command, each).await
    }

    /// The answer to a command that is under way.
    async fn answer(
        &mut self,
        sent: Tag,
        command: Command,
        each: &mut dyn FnMut(Heard),
    ) -> Result<Answer, Error> {
        loop {
            match self.next().await? {
                Event::Data(data) => each(Heard::Data(data)),
                Event::Said { answer, .. } => each(Heard::Said(answer)),
                Event::Done { tag, status: Outcome::Ok, answer } if tag == sent => {
                    each(Heard::Said(answer.clone()));
                    return Ok(answer);
                }
                Event::Done { tag, answer, .. } if tag == sent => {
                    return Err(Error::Refused { command: command.to_string(), refusal: answer.refusal() });
                }
                Event::Done { .. } | Event::Continue => {}
            }
        }
    }

    /// The next event; what it says about the open mailbox is kept (it may come at any time).
    async fn next(&mut self) -> Result<Event, Error> {
        let event = match self.ahead.again() {
            Some(again) => again,
            None => self.talk.next().await?,
        };
        if self.ahead.is_early(&event) || !self.ahead.keep(&event) {
            return Err(Error::OutOfOrder);
        }
        self.note(&event);
        Ok(event)
    }

    fn note(&mut self, event: &Event) {
        let gone = match event {
            Event::Data(Data::Exists(exists)) => {
                self.exists = *exists;
                0
            }
            Event::Data(Data::Expunge) => 1,
            Event::Data(Data::Vanished { earlier: false, uids: Some(uids) }) => uids.len(),
            _ => 0,
        };
        self.exists = self.exists.saturating_sub(u32::try_from(gone).unwrap_or(u32::MAX));
    }
}

/// What comes in answer to a command, besides its completion.
enum Heard {
    Data(Data),
    /// A status response, or the text of the completion.
    Said(Answer),
}
