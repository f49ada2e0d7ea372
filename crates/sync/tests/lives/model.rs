//! What is known of the server from outside: every message that ever lay on it, and every state that
//! it was in while a run went on.
//!
//! The model knows nothing of the engine. It is told what happens on the server, and is asked by the
//! invariants what must be true of the archive. Where a server lies, or gives its numbers twice, some
//! things cannot be known by anybody who only hears what it says; these are named here, one by one.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use message::{Flags, InternalDate, MessageKey, ModSeq, Uid, UidValidity};
use server::Store;

use crate::paused::USER;

/// A message where it lies.
#[derive(Clone, Debug)]
pub(crate) struct Lying {
    pub(crate) key: MessageKey,
    pub(crate) flags: Flags,
    pub(crate) date: InternalDate,
}

/// A folder of the server.
#[derive(Clone, Debug)]
pub(crate) struct Folder {
    pub(crate) validity: UidValidity,
    uid_next: Uid,
    modseq: ModSeq,
    pub(crate) messages: BTreeMap<Uid, Lying>,
}

impl Folder {
    pub(crate) fn uids(&self) -> BTreeSet<Uid> {
        self.messages.keys().copied().collect()
    }
}

/// All folders at one moment.
pub(crate) type State = BTreeMap<String, Folder>;

#[derive(Default)]
pub(crate) struct Model {
    /// Keys of the bytes seen so far; the bytes are held, so that no address comes twice.
    keys: HashMap<usize, (Arc<[u8]>, MessageKey)>,
    /// Every message that the server ever had, or gave out as one.
    ever: HashSet<MessageKey>,
    /// Every message that ever lay under a UID, in whatever folder, or was given out for one.
    under: HashSet<(Uid, MessageKey)>,
    /// What was given out for a UID without ever lying under it.
    given: HashSet<(Uid, MessageKey)>,
    /// Messages that the server sent with other octets than it has. What it sent may be put together by
    /// chance: a literal that is shorter than it says swallows what follows, and where that ends before a
    /// closing parenthesis, nobody can tell.
    torn: BTreeSet<Uid>,
    /// The states of the present run: one, or more when somebody changed the mail meanwhile.
    pub(crate) states: Vec<State>,
    /// Folders as they were in the last run that left them whole.
    whole: BTreeMap<String, Folder>,
    /// Folders that were put back to an older state since their last whole run.
    restored: BTreeSet<String>,
    /// Folders that were ever put back: all their numbers may be those of another state by coincidence.
    ever_restored: BTreeSet<String>,
    /// Folders whose flags changed in a way that no server can tell anybody: see [`Self::begin_run`].
    flags_untold: BTreeSet<String>,
    /// UIDs for which false flags were told, or none: nobody can know theirs.
    pub(crate) untrue_flags: BTreeSet<Uid>,
    /// Likewise INTERNALDATEs, which are asked for once.
    pub(crate) untrue_dates: BTreeSet<Uid>,
    /// Messages that were readable after some step, and must be readable for ever.
    pub(crate) committed: BTreeSet<MessageKey>,
}

impl Model {
    /// Looks at the server, and remembers all that lies there.
    pub(crate) fn look(&mut self, store: &Store) -> State {
        let mut state = State::new();
        for mailbox in store.mailboxes(USER).unwrap() {
            let mut messages = BTreeMap::new();
            for stored in store.messages(USER, &mailbox.name).unwrap() {
                let key = self.key_of(&stored.bytes);
                self.under.insert((stored.uid, key));
                messages.insert(stored.uid, Lying { key, flags: stored.flags, date: stored.date });
            }
            let (validity, uid_next) = (mailbox.validity, mailbox.uid_next);
            let folder = Folder { validity, uid_next, modseq: mailbox.highest_modseq, messages };
            state.insert(mailbox.name, folder);
        }
        state
    }

    fn key_of(&mut self, bytes: &Arc<[u8]>) -> MessageKey {
        let address = bytes.as_ptr().addr();
        let same = self.keys.get(&address).filter(|(known, _)| Arc::ptr_eq(known, bytes));
        let key = same.map_or_else(|| MessageKey::of(bytes), |(_, key)| *key);
        self.keys.insert(address, (Arc::clone(bytes), key));
        self.ever.insert(key);
        key
    }

    /// The server gives these bytes out for this UID, although it has others.
    pub(crate) fn gives_out(&mut self, uid: Uid, bytes: &[u8]) {
        let key = MessageKey::of(bytes);
        self.ever.insert(key);
        self.under.insert((uid, key));
        self.given.insert((uid, key));
    }

    /// The server sends a message under this UID with a literal that is shorter than it says.
    pub(crate) fn tears(&mut self, uid: Uid) {
        self.torn.insert(uid);
    }

    /// Whether what is held under this UID may be anything.
    pub(crate) fn may_be_torn(&self, uid: Uid) -> bool {
        self.torn.contains(&uid)
    }

    /// The server is put back to an older state.
    pub(crate) fn is_restored(&mut self, store: &Store) {
        let folders = store.mailboxes(USER).unwrap();
        self.restored.extend(folders.into_iter().map(|folder| folder.name));
    }

    /// A folder was made or renamed on a server that was put back once: its numbers may have been those
    /// of another folder.
    pub(crate) fn may_have_old_numbers(&mut self, folder: &str) {
        self.restored.insert(folder.to_owned());
    }

    /// A run begins. `condstore`: flags are told by modification sequence.
    ///
    /// After a server was put back, flags may be others under numbers that have caught up with those
    /// that the archive knows. Nothing that such a server says shows it; the flags of such a folder are
    /// not held against anybody. Where the numbers are still behind, they must be found.
    pub(crate) fn begin_run(&mut self, store: &Store, condstore: bool) {
        let state = self.look(store);
        self.ever_restored.extend(self.restored.iter().cloned());
        for name in std::mem::take(&mut self.restored) {
            let Some(now) = state.get(&name) else { continue };
            let shows = self.whole.get(&name).is_some_and(|then| {
                then.validity != now.validity || now.modseq < then.modseq || now.uid_next < then.uid_next
            });
            if !shows && condstore {
                self.flags_untold.insert(name);
            }
        }
        self.states = vec![state];
    }

    /// Somebody changed the mail while the run went on.
    pub(crate) fn changed_meanwhile(&mut self, store: &Store) {
        let state = self.look(store);
        self.states.push(state);
    }

    /// A run left this folder whole, or did not. Then what it had seen of a server that was put back may
    /// be lost with it, and the numbers may have caught up until the next run.
    pub(crate) fn ends(&mut self, folder: &str, whole: bool) {
        if !whole && self.ever_restored.contains(folder) {
            self.restored.insert(folder.to_owned());
        }
        match self.states.first().and_then(|state| state.get(folder)).filter(|_| whole) {
            Some(then) => drop(self.whole.insert(folder.to_owned(), then.clone())),
            None => drop(self.whole.remove(folder)),
        }
    }

    /// The flags of this folder are not held against anybody, as those of the folder that it was.
    pub(crate) fn flags_are_untold(&mut self, folder: &str) {
        self.flags_untold.insert(folder.to_owned());
    }

    /// What the flags of a folder are is known, and can be told.
    pub(crate) fn tells_flags(&self, folder: &str) -> bool {
        !self.flags_untold.contains(folder)
    }

    /// The engine looks at everything once a week: then it knows what no number has told it.
    pub(crate) fn everything_is_looked_at(&mut self) {
        self.ever_restored.clear();
        self.restored.clear();
        self.flags_untold.clear();
    }

    /// Whether all numbers of the folder may be those that they were in another state.
    pub(crate) fn may_look_unchanged(&self, folder: &str) -> bool {
        self.ever_restored.contains(folder)
    }

    pub(crate) fn ever_had(&self, key: &MessageKey) -> bool {
        self.ever.contains(key)
    }

    pub(crate) fn ever_had_under(&self, uid: Uid, key: &MessageKey) -> bool {
        self.under.contains(&(uid, *key))
    }

    /// Whether these bytes lay under a UID, or were given out for it without lying there.
    pub(crate) fn may_be(&self, uid: Uid, lying: &MessageKey, held: &MessageKey) -> bool {
        lying == held || self.given.contains(&(uid, *held)) || self.may_be_torn(uid)
    }
}
