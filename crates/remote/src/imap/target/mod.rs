//! The connection that may change mail: what a restore writes through (RFC 9051 §6.3, §6.4).
//!
//! A [`Target`] owns a [`Session`], and so can do all that one can: list, examine, survey, fetch. In
//! addition it makes mailboxes and subscribes to them (`mailbox`), adds messages (`append`), and sets
//! the flags of messages that are there (`flags`). That is all it can do: nothing here deletes,
//! expunges, moves or renames, so a restore cannot make a mailbox poorer.
//!
//! Appends are sent ahead of their answers. While any is under way, and after any error but
//! `Error::Refused`, the other calls give `Error::GivenUp`. What a server has promised or lost when the
//! connection ends in the middle of an append is not known here; only looking again tells.

mod append;
mod flags;
mod mailbox;

/// What the fuzz targets need: what is told by a status line that imap-proto can read.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod doors {
    use async_imap::imap_proto::Response;
    use message::Uid;

    use super::{PermanentFlags, append};
    use crate::imap::conversation::{Answer, Code};

    fn answer(line: &[u8]) -> Option<Answer> {
        match Response::parse(line).ok()?.1 {
            Response::Done { outcome, .. } | Response::Data { outcome, .. } => Some(Answer::new(&outcome)),
            _ => None,
        }
    }

    /// The UIDs of so many messages.
    pub(crate) fn told_uids(line: &[u8], messages: usize) -> Option<Vec<Uid>> {
        append::uids(&answer(line)?, messages)
    }

    /// The flags that are kept.
    pub(crate) fn kept_flags(line: &[u8]) -> Option<PermanentFlags> {
        match answer(line)?.code {
            Some(Code::PermanentFlags(flags)) => Some(PermanentFlags::new(flags)),
            _ => None,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

use std::collections::VecDeque;

pub use append::{AppendId, AppendStyle, Appended, Outgoing, sendable_date};
pub use flags::{PermanentFlags, sendable_flags};
pub use mailbox::{Namespace, Quota, Selected};

use super::{Capabilities, Session};
use crate::endpoint::{Credentials, Endpoint};
use crate::error::Error;
use crate::limits::Limits;
use crate::net::network::Network;

/// A connection, logged in, through which mail is given back.
#[derive(Debug)]
pub struct Target {
    session: Session,
    /// Appends that are sent and not answered, oldest first.
    flights: Vec<append::Flight>,
    /// Appends that are answered and not asked for yet.
    settled: VecDeque<(AppendId, Appended)>,
}

impl Target {
    /// Connects and logs in, as [`Session::open_through`].
    ///
    /// # Errors
    /// As [`Session::open_through`].
    pub async fn connect(
        network: &dyn Network,
        endpoint: &Endpoint,
        credentials: &Credentials,
        limits: &Limits,
    ) -> Result<Self, Error> {
        Ok(Self::new(Session::open_through(network, endpoint, credentials, limits).await?))
    }

    pub(crate) fn new(session: Session) -> Self {
        Self { session, flights: Vec::new(), settled: VecDeque::new() }
    }

    /// The same connection for everything that only reads. Its calls give `Error::GivenUp` while
    /// appends are under way.
    pub fn session(&mut self) -> &mut Session {
        &mut self.session
    }

    /// What the server can do.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        self.session.capabilities()
    }

    /// Says goodbye, as [`Session::logout`].
    pub async fn logout(self) {
        self.session.logout().await;
    }
}
