//! What one session sees of INBOX: the messages that were there when it logged in, numbered from 1.
//!
//! Nothing is taken out of the store before QUIT (RFC 1939 §6).

use std::sync::Arc;

use message::UidSet;

use super::behaviour::{Shown, Uidls};
use super::server::{Lock, Shared};

/// A maildrop, open in one session.
pub(super) struct Maildrop {
    user: String,
    validity: u32,
    messages: Vec<Held>,
    /// Fetched messages count as fetched for other sessions, too.
    fetching_counts: bool,
    lock: Option<Lock>,
}

/// A message of the maildrop.
pub(super) struct Held {
    pub(super) number: u32,
    uid: message::Uid,
    pub(super) bytes: Arc<[u8]>,
    pub(super) deleted: bool,
    pub(super) retrieved: bool,
}

/// Who logs in with this before the name sees the mail of the last days, fetched or not.
const RECENT: &str = "recent:";

/// How much that is.
const RECENT_SECONDS: i64 = 30 * 86_400;

impl Maildrop {
    /// The user of the store whom a login means.
    pub(super) fn owner(shared: &Shared, login: &str) -> String {
        match shared.behaviour.shown {
            Shown::NotYetFetched(_) => login.strip_prefix(RECENT).unwrap_or(login).to_owned(),
            Shown::All => login.to_owned(),
        }
    }

    /// What this login sees now; `None` when the user has no INBOX.
    pub(super) fn open(shared: &Shared, login: &str, lock: Option<Lock>) -> Option<Self> {
        let user = Self::owner(shared, login);
        let recent_only = user != login;
        let (validity, mut messages) = shared.store.look(|state| {
            let inbox = state.mailbox(&user, b"INBOX").ok()?;
            Some((inbox.validity, inbox.messages.clone()))
        })?;
        let fetching_counts = matches!(shared.behaviour.shown, Shown::NotYetFetched(_)) && !recent_only;
        if recent_only {
            let newest = messages.iter().filter_map(|message| message.date.unix()).max();
            let since = newest.unwrap_or(i64::MIN).saturating_sub(RECENT_SECONDS);
            messages.retain(|message| message.date.unix().is_some_and(|date| date >= since));
        }
        if let (Shown::NotYetFetched(at_a_time), true) = (shared.behaviour.shown, fetching_counts) {
            messages.retain(|message| !shared.is_fetched(&user, validity, message.uid));
            messages.truncate(at_a_time);
        }
        let held = |(number, message): (u32, crate::store::Message)| Held {
            number,
            uid: message.uid,
            bytes: message.bytes,
            deleted: false,
            retrieved: false,
        };
        let messages = (1..).zip(messages).map(held).collect();
        Some(Self { user, validity, messages, fetching_counts, lock })
    }

    /// The messages that are not marked as deleted.
    pub(super) fn messages(&self) -> impl Iterator<Item = &Held> {
        self.messages.iter().filter(|message| !message.deleted)
    }

    pub(super) fn message(&self, number: u32) -> Option<&Held> {
        self.messages.get(number.checked_sub(1)? as usize).filter(|message| !message.deleted)
    }

    pub(super) fn message_mut(&mut self, number: u32) -> Option<&mut Held> {
        self.messages.get_mut(number.checked_sub(1)? as usize).filter(|message| !message.deleted)
    }

    /// The unique-id of a message, where the server has these.
    pub(super) fn uidl(&self, uidls: &Uidls, message: &Held) -> Vec<u8> {
        uidls.of(self.validity, message.uid.get(), message.number, &message.bytes)
    }

    /// RSET: no message is marked as deleted any more.
    pub(super) fn keep_all(&mut self) {
        self.messages.iter_mut().for_each(|message| message.deleted = false);
    }

    /// QUIT: what was only marked is done now, and the lock is given back.
    pub(super) fn update(mut self, shared: &Shared) {
        let takes_fetched = shared.behaviour.deletes_retrieved;
        let goes = |message: &&Held| message.deleted || (takes_fetched && message.retrieved);
        let gone: UidSet = self.messages.iter().filter(goes).map(|message| message.uid).collect();
        if !gone.is_empty() {
            // A mailbox that is gone by now has nothing left to delete.
            let _ = shared.store.expunge(&self.user, "INBOX", &gone);
        }
        if self.fetching_counts {
            let fetched = self.messages.iter().filter(|message| message.retrieved).map(|message| message.uid);
            shared.note_fetched(&self.user, self.validity, fetched);
        }
        if let Some(lock) = self.lock.take() {
            lock.release();
        }
    }
}
