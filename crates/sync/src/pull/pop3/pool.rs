//! Finding the place of a message without a UIDL by its content.
//!
//! Such a message can be known only when its bytes are here. The pool holds the places of the
//! maildrop's messages that no name in the listing speaks for; a message that comes takes the one
//! that has its content, and nothing is recorded, for nothing has changed. What finds no place gets
//! a UID of its own then, so that none is given in vain. The archive's thread does it, in the order in
//! which messages come.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use archive::{EpochId, PopName, Writer};
use message::{MessageKey, Uid, Uidl};

/// Messages by their content, and what is known of those that are on their way.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    vacant: HashMap<MessageKey, VecDeque<Uid>>,
    next: Option<Uid>,
    /// How many messages found no place and got a UID.
    given: u64,
    /// What the server said of those on their way, by the UID that stands in for each.
    expected: HashMap<Uid, (Option<Uidl>, u64)>,
    /// Where they came to lie.
    found: HashMap<Uid, Uid>,
}

/// Where a message lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Where the archive has it already.
    Held(Uid),
    /// Under this UID, which has just been given.
    New(Uid),
}

impl Pool {
    /// A pool of these places; new UIDs are given from `next` on.
    pub(super) fn new(vacant: impl IntoIterator<Item = (MessageKey, Uid)>, next: Uid) -> Self {
        let mut state = State { next: Some(next), ..State::default() };
        vacant.into_iter().for_each(|(key, uid)| state.vacant.entry(key).or_default().push_back(uid));
        Self(Mutex::new(state))
    }

    /// What the server says of a message that will come under this stand-in.
    pub(super) fn expect(&self, stand_in: Uid, uidl: Option<Uidl>, octets: u64) {
        self.state().expected.insert(stand_in, (uidl, octets));
    }

    /// Where the message that came under this stand-in lies.
    pub(super) fn found(&self, stand_in: Uid) -> Option<Uid> {
        self.state().found.get(&stand_in).copied()
    }

    /// How many messages got a UID of their own.
    pub(super) fn given(&self) -> u64 {
        self.state().given
    }

    /// The place of a message whose bytes are here. A new UID is recorded with its name.
    pub(crate) fn place_of(
        &self,
        writer: &mut Writer,
        epoch: EpochId,
        stand_in: Uid,
        key: MessageKey,
    ) -> Result<Place, archive::Error> {
        let mut state = self.state();
        let vacant = state.vacant.get_mut(&key).and_then(VecDeque::pop_front);
        if let Some(uid) = vacant {
            state.found.insert(stand_in, uid);
            return Ok(Place::Held(uid));
        }
        let uid = state.next.ok_or(archive::Error::NumbersUsedUp { what: "UID" })?;
        state.next = uid.get().checked_add(1).and_then(Uid::new);
        let (uidl, octets) = state.expected.get(&stand_in).cloned().unwrap_or_default();
        writer.name(epoch, &[PopName { uid, uidl, octets }])?;
        state.found.insert(stand_in, uid);
        state.given += 1;
        Ok(Place::New(uid))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
