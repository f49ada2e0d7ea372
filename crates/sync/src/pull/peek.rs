//! Whether looking at mail leaves it unread.
//!
//! Everything is fetched with PEEK from a mailbox that was opened read-only, so nothing may change by
//! it; but servers exist that mark as read what is peeked at. A backup that does so to all mail has
//! done harm that cannot be undone. So in each run, before the first unread message is fetched, one
//! octet of one is, and its flags are looked at again; if it is read now, a second one tells whether
//! that was us or its owner. On a server that marks, unread messages are left where they are, by
//! name; what is read already is fetched.

use std::ops::ControlFlow;

use message::{Uid, UidSet};
use remote::imap::{Delivery, FetchRequest, FetchSink, Part, Refusal, Session, Surveyed};

use super::RunError;

const SEEN: &str = "\\Seen";

/// What is known of the server in this respect.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Peek {
    /// No unread message was met yet.
    #[default]
    Untried,
    /// What is peeked at stays unread.
    Harmless,
    /// What is peeked at becomes read.
    Marks,
}

/// Why a message was left out on a server that marks.
pub(crate) const WHY_LEFT: &str =
    "it is unread, and this server marks as read what is only looked at; it is fetched once it is read";

impl Peek {
    /// Tries it out, if these messages have an unread one and it was not tried before.
    pub(crate) async fn try_out(
        &mut self,
        session: &mut Session,
        messages: &[Surveyed],
        bytes_fetched: &mut u64,
    ) -> Result<(), RunError> {
        let mut unread = messages.iter().filter(|message| is_unread(message)).map(|message| message.uid);
        if *self != Self::Untried {
            return Ok(());
        }
        let (Some(first), second) = (unread.next(), unread.next()) else { return Ok(()) };
        let mut marks = is_marked_by_a_look(session, first, bytes_fetched).await?;
        if let (true, Some(second)) = (marks, second) {
            marks = is_marked_by_a_look(session, second, bytes_fetched).await?;
        }
        *self = if marks { Self::Marks } else { Self::Harmless };
        Ok(())
    }

    /// Whether this message can be looked at without changing it.
    pub(crate) fn may_fetch(self, message: &Surveyed) -> bool {
        self != Self::Marks || !is_unread(message)
    }
}

fn is_unread(message: &Surveyed) -> bool {
    !message.flags.contains(SEEN)
}

async fn is_marked_by_a_look(
    session: &mut Session,
    uid: Uid,
    bytes_fetched: &mut u64,
) -> Result<bool, RunError> {
    let only = UidSet::from_iter([uid]);
    let part = Part::Slice { offset: 0, length: 1 };
    let mut glance = Glance(0);
    session.fetch(vec![FetchRequest { uids: only.clone(), part }], &mut glance).await?;
    *bytes_fetched += glance.0;
    let mut seen = false;
    session.flags(&only, None, &mut |change| seen = change.flags.contains(SEEN)).await?;
    Ok(seen)
}

/// Counts the octets and keeps none.
struct Glance(u64);

impl FetchSink for Glance {
    async fn delivered(&mut self, delivery: Delivery) -> ControlFlow<()> {
        self.0 += delivery.bytes.len() as u64;
        ControlFlow::Continue(())
    }

    async fn finished(&mut self, _request: FetchRequest, _refused: Option<Refusal>) -> ControlFlow<()> {
        // A message that cannot be had says nothing about peeking; the real fetch will name it.
        ControlFlow::Continue(())
    }
}
