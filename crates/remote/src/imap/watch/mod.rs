//! Waiting for news: IDLE (RFC 2177, RFC 9051 §6.3.13), for all mailboxes where the server has NOTIFY
//! (RFC 5465).
//!
//! A [`Watch`] is a session that has INBOX open read-only and waits. What the server says there only
//! matters as a sign that something has changed: what it was is found by a run, over a connection of
//! its own. So nothing is kept of it, and a flood of it costs time, not memory.
//!
//! A silent connection may be dead. Each [`Limits::idle`] IDLE is ended and begun again, and a server
//! that does not answer this soon is lost. Whoever has lost one opens another.

mod settling;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use message::{MailboxName, NameEncoding};
use tokio::time::{Instant, timeout, timeout_at};

use super::command::Command;
use super::conversation::{Event, Status, Tag};
use super::data::Data;
use super::{Refusal, Session};
use crate::endpoint::{Credentials, Endpoint};
use crate::error::Error;
use crate::limits::Limits;
use crate::net::network::{Internet, Network, Reached, reach};
use settling::{Change, Settling};

/// IDLE and DONE are answered at once, or the connection is dead.
const ANSWER: Duration = Duration::from_secs(60);

/// A server that ends IDLE by itself sooner than this would be asked again without end.
const LEAST_IDLE: Duration = Duration::from_secs(60);

/// Lines between two times that we say something: a million messages may go at once.
const MOST_LINES: u64 = 2_000_000;
/// And octets.
const MOST_OCTETS: u64 = 64 << 20;
/// Nothing is asked for that would hold a literal beyond a mailbox's name.
const LONGEST_LITERAL: u64 = 1 << 20;

/// Longer than any wait of ours, which ends by our own clock.
const FOR_EVER: Duration = Duration::from_secs(365 * 86_400);

/// Whether news of a mailbox (its name as people see it) is wanted.
pub type Wanted = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// What a server tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All mailboxes that are the user's own.
    Everything,
    /// INBOX alone.
    Inbox,
}

/// A connection that waits for news.
pub struct Watch {
    session: Session,
    scope: Scope,
    wanted: Wanted,
    settling: Settling,
    /// IDLE is under way, and when it began.
    idling: Option<(Tag, Instant)>,
}

impl Watch {
    /// Connects, logs in, and begins to wait. `None`: the server cannot tell of news by itself.
    ///
    /// It takes one login and one connection, as long as it stays. Nothing is compressed: hardly
    /// anything comes, and each connection would hold memory for it.
    ///
    /// # Errors
    /// As those of [`Session::open`]; `Refused` when INBOX cannot be opened.
    pub async fn open(
        endpoint: &Endpoint,
        credentials: &Credentials,
        limits: &Limits,
        wanted: Wanted,
    ) -> Result<Option<Self>, Error> {
        Self::open_through(&Internet, endpoint, credentials, limits, wanted).await
    }

    /// As [`open`](Self::open), through this network.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_through(
        network: &dyn Network,
        endpoint: &Endpoint,
        credentials: &Credentials,
        limits: &Limits,
        wanted: Wanted,
    ) -> Result<Option<Self>, Error> {
        let limits = narrowed(limits);
        let Reached { transport, counters, .. } = reach(network, endpoint, &limits).await?;
        let session = Session::begin(transport, counters, endpoint, credentials, &limits, false).await?;
        Self::begin(session, wanted).await
    }

    /// Begins to wait on a session with [`narrowed`] limits.
    async fn begin(mut session: Session, wanted: Wanted) -> Result<Option<Self>, Error> {
        if !session.capabilities.idle {
            session.logout().await;
            return Ok(None);
        }
        session.examine(&MailboxName::new("INBOX", NameEncoding::ModifiedUtf7, None), None).await?;
        let scope = subscribe(&mut session).await?;
        let mut watch = Self { session, scope, wanted, settling: Settling::default(), idling: None };
        watch.begin_idle().await?;
        Ok(Some(watch))
    }

    /// What the server tells of.
    #[must_use]
    pub fn scope(&self) -> Scope {
        self.scope
    }

    /// Waits until something has changed and has settled. Dropping this half-way leaves the connection
    /// to be dropped, too.
    ///
    /// # Errors
    /// When the connection is lost, or the server does not let us wait.
    pub async fn changed(&mut self) -> Result<(), Error> {
        loop {
            let now = Instant::now();
            if self.settling.take(now) {
                return Ok(());
            }
            let Some((tag, began)) = self.idling else {
                self.begin_idle().await?;
                continue;
            };
            let renew = began + self.session.limits.idle;
            if renew <= now {
                self.end_idle(tag).await?;
                continue;
            }
            let until = self.settling.due().map_or(renew, |due| due.min(renew));
            if let Ok(heard) = timeout_at(until, self.hear()).await
                && let Some(status) = heard?.of(tag)
            {
                self.ended_by_server(status, began)?;
            }
        }
    }

    async fn begin_idle(&mut self) -> Result<(), Error> {
        self.session.check()?;
        let wait = self.answer_within();
        let begun = timeout(wait, async {
            let tag = self.session.talk.send(&Command::new("IDLE")).await?;
            loop {
                match self.hear().await? {
                    Heard::Continue => return Ok(tag),
                    Heard::Done(done, refusal, _) if done == tag => {
                        return Err(Error::Refused { command: "IDLE".to_owned(), refusal });
                    }
                    Heard::Done(..) | Heard::Other => {}
                }
            }
        });
        let tag = begun.await.unwrap_or_else(|_| Err(self.stalled(wait)))?;
        self.idling = Some((tag, Instant::now()));
        self.session.talk.guard().be_patient(FOR_EVER);
        Ok(())
    }

    /// DONE, to which an answer is due: so a line that is dead is found out.
    async fn end_idle(&mut self, tag: Tag) -> Result<(), Error> {
        let wait = self.answer_within();
        let ended = timeout(wait, async {
            self.session.talk.send_line(b"DONE\r\n").await?;
            while self.hear().await?.of(tag).is_none() {}
            Ok(())
        });
        ended.await.unwrap_or_else(|_| Err(self.stalled(wait)))?;
        self.idling = None;
        Ok(())
    }

    fn ended_by_server(&mut self, status: Status, began: Instant) -> Result<(), Error> {
        self.idling = None;
        if status == Status::Ok && began.elapsed() >= LEAST_IDLE {
            return Ok(());
        }
        let refusal = Refusal::new(None, "it was ended as soon as it had begun");
        Err(Error::Refused { command: "IDLE".to_owned(), refusal })
    }

    /// How long an answer may take from now on.
    fn answer_within(&mut self) -> Duration {
        let wait = ANSWER.min(self.session.limits.progress);
        self.session.talk.guard().be_patient(wait);
        wait
    }

    fn stalled(&self, waited: Duration) -> Error {
        Error::Stalled { hint: "", waited, received: self.session.talk.counters().received() }
    }

    /// The next thing that the server says; news in it is noted. May be dropped half-way.
    async fn hear(&mut self) -> Result<Heard, Error> {
        let exists = self.session.exists;
        let event = self.session.next().await?;
        if let Some(change) = self.change(&event, exists) {
            self.settling.note(change, Instant::now());
        }
        Ok(match event {
            Event::Continue => Heard::Continue,
            Event::Done { tag, status, answer } => Heard::Done(tag, answer.refusal(), status),
            Event::Said { answer, .. } if answer.word() == Some("NOTIFICATIONOVERFLOW") => {
                // From here on it is as if NOTIFY had never been (RFC 5465 §5.8).
                tracing::info!("the server gives up telling of all mailboxes; INBOX is watched alone");
                self.scope = Scope::Inbox;
                self.settling.note(Change::Messages, Instant::now());
                Heard::Other
            }
            Event::Said { .. } | Event::Data(_) => Heard::Other,
        })
    }

    /// What an event says has changed; `exists` is how many messages INBOX had before it.
    fn change(&self, event: &Event, exists: u32) -> Option<Change> {
        let Event::Data(data) = event else { return None };
        match data {
            // Some servers say it again and again to keep the line busy.
            Data::Exists(now) => (*now != exists).then_some(Change::Messages),
            Data::Expunge | Data::Vanished { earlier: false, .. } => Some(Change::Messages),
            Data::Fetch(_) => Some(Change::Flags),
            Data::Status(line) => {
                let name = MailboxName::new(line.name.as_slice(), self.session.encoding, None);
                let messages = line.messages.is_some() || line.uid_next.is_some();
                let change = if messages { Change::Messages } else { Change::Flags };
                (self.wanted)(&name.text()).then_some(change)
            }
            _ => None,
        }
    }
}

/// What was heard, as far as it matters while we wait.
enum Heard {
    Continue,
    Done(Tag, Refusal, Status),
    Other,
}

impl Heard {
    /// How the command of this tag has ended, if it has.
    fn of(&self, tag: Tag) -> Option<Status> {
        match self {
            Self::Done(done, _, status) if *done == tag => Some(*status),
            _ => None,
        }
    }
}

/// A connection that waits needs less than one that fetches.
fn narrowed(limits: &Limits) -> Limits {
    Limits {
        responses: limits.responses.min(MOST_LINES),
        answer: limits.answer.min(MOST_OCTETS),
        literal: limits.literal.min(LONGEST_LITERAL),
        ..limits.clone()
    }
}

/// Asks for news of all mailboxes, where the server can do that and will.
async fn subscribe(session: &mut Session) -> Result<Scope, Error> {
    if !session.capabilities.has("NOTIFY") {
        return Ok(Scope::Inbox);
    }
    const EVENTS: &str = "(MessageNew MessageExpunge FlagChange)";
    let command = Command::new(&format!("NOTIFY SET (SELECTED {EVENTS}) (PERSONAL {EVENTS})"));
    match session.run(command, &mut |_| {}).await {
        Ok(_) => Ok(Scope::Everything),
        Err(Error::Refused { refusal, .. }) => {
            tracing::debug!(%refusal, "the server offers NOTIFY and refuses it; INBOX is watched alone");
            Ok(Scope::Inbox)
        }
        Err(error) => Err(error),
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { session, scope, settling, idling, wanted: _ } = self;
        f.debug_struct("Watch")
            .field("session", session)
            .field("scope", scope)
            .field("settling", settling)
            .field("idling", idling)
            .finish()
    }
}
