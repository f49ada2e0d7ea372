//! Somebody else, who changes the mail while a run goes on.

use std::sync::{Arc, Mutex};

use message::{Flags, InternalDate, MessageKey, UidSet};
use restante_sync::Progress;
use server::Store;

use crate::dice::Dice;
use crate::paused::USER;

/// Acts once, when the engine begins to fetch.
pub(super) struct Meddler(Mutex<Meddling>);

pub(super) struct Meddling {
    store: Store,
    /// `None` when nothing is left to be done.
    dice: Option<Dice>,
    pub(super) delivered: Vec<Arc<[u8]>>,
    pub(super) expunged: Option<MessageKey>,
    /// The maildrop after each change.
    pub(super) states: Vec<Vec<Arc<[u8]>>>,
}

impl Meddler {
    pub(super) fn new(store: &Store, dice: Option<Dice>) -> Self {
        let store = store.clone();
        Self(Mutex::new(Meddling { store, dice, delivered: Vec::new(), expunged: None, states: Vec::new() }))
    }

    /// What has been done.
    pub(super) fn into_inner(self) -> Meddling {
        self.0.into_inner().unwrap()
    }
}

impl Progress for Meddler {
    fn folder_begins(&self, _folder: &str, _messages: u64, _bytes: u64) {
        let mut meddling = self.0.lock().unwrap();
        let Meddling { store, dice, delivered, expunged, states } = &mut *meddling;
        let Some(mut dice) = dice.take() else { return };
        let bytes: Arc<[u8]> = format!("Subject: meanwhile {:x}\r\n\r\n", dice.number()).into_bytes().into();
        let date = InternalDate::from_unix(1_772_445_600, 0);
        store.append(USER, "INBOX", &Flags::new(), &date, Arc::clone(&bytes)).unwrap();
        delivered.push(bytes);
        let messages = store.messages(USER, "INBOX").unwrap();
        if let Some(message) = dice.pick(&messages) {
            store.expunge(USER, "INBOX", &UidSet::from_iter([message.uid])).unwrap();
            *expunged = Some(MessageKey::of(&message.bytes));
        }
        states
            .push(store.messages(USER, "INBOX").unwrap().into_iter().map(|message| message.bytes).collect());
    }
}
