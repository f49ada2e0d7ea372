//! The POP3 client of a backup: reads everything, takes nothing away (RFC 1939, 2449, 2595, 5034).
//!
//! A [`Session`] is one connection, logged in. It counts, lists and retrieves; there is no DELE in this
//! crate, so that mail is on the server after a session as it was before it, unless the server itself
//! takes away what was retrieved ([`Capabilities::expire`]). From the socket upwards:
//!
//! * `wire` sends commands and reads lines, bounded and timed; `reply` reads what answers begin with.
//! * `multiline` finds where a message ends and takes the stuffed dots out of it; `count` holds what came
//!   against what was told.
//! * `login` and `auth` make a session; `maildrop` lists; `retrieve` and `headers` fetch, both by way of
//!   `transfer`, which keeps several commands under way and sees when an end was none.
//!
//! POP3 has no tags: an answer belongs to the oldest command that has none yet. So who loses step loses
//! all that follows, and after any error but [`Error::Refused`] and [`Error::OtherSession`], or when a
//! call was dropped half-way, the connection is of no more use.

mod auth;
mod capabilities;
mod command;
mod count;
mod headers;
mod listing;
mod login;
mod maildrop;
mod multiline;
mod number;
mod reply;
mod retrieve;
mod transfer;
mod wire;

/// What the fuzz targets need of the private modules.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod doors {
    pub(crate) use super::multiline::trial::{read, stuffed};
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod script;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

pub use auth::Auth;
pub use capabilities::{Capabilities, Expire};
pub use count::Count;
pub use headers::HeaderSink;
pub use maildrop::{Overview, Stat};
pub use number::Number;
pub use retrieve::{How, Pace, RetrieveSink, Retrieved, Wanted};

use tokio::time::timeout;

use crate::error::Error;
use crate::limits::Limits;
use crate::net::meter::Traffic;
use command::Command;
use number::SessionId;
use reply::Reply;
use wire::Wire;

/// A connection that is logged in.
#[derive(Debug)]
pub struct Session {
    wire: Wire,
    capabilities: Capabilities,
    limits: Limits,
    id: SessionId,
    /// By the last STAT.
    stat: Option<Stat>,
    /// A call is under way, was dropped half-way, or has lost step: no more commands.
    given_up: bool,
}

impl Session {
    /// What the server can do.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// What this connection has cost until now.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        self.wire.traffic()
    }

    /// The message with this number, if there is one by the last STAT of this session.
    #[must_use]
    pub fn number(&self, number: u32) -> Option<Number> {
        let messages = self.stat.map_or(0, |stat| stat.messages);
        (1..=messages).contains(&number).then(|| self.id.number(number))
    }

    /// QUIT, with little patience. Without it a server may forget what it was to keep of this session
    /// (which messages were retrieved), but nothing is lost.
    ///
    /// # Errors
    /// When the server did not confirm.
    pub async fn quit(mut self) -> Result<(), Error> {
        self.enter()?;
        let limit = self.limits.logout;
        let received = self.traffic().received;
        let farewell = async {
            match self.wire.ask(Command::new("QUIT")).await? {
                Reply::Err { refusal, .. } => Err(Error::Refused { command: "QUIT".to_owned(), refusal }),
                _ => Ok(()),
            }
        };
        let confirmed = timeout(limit, farewell).await;
        // It is said, or not heard any more.
        let _ = timeout(limit, self.wire.shut_down()).await;
        confirmed.unwrap_or(Err(Error::Stalled { hint: "", waited: limit, received }))
    }

    /// A call begins; until it has ended in step the connection counts as given up.
    fn enter(&mut self) -> Result<(), Error> {
        if std::mem::replace(&mut self.given_up, true) { Err(Error::GivenUp) } else { Ok(()) }
    }

    /// A call has ended.
    fn leave<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        let in_step = matches!(&result, Ok(_) | Err(Error::Refused { .. }));
        self.given_up = !in_step;
        result
    }
}
