//! The mail that the server serves, and the hands of everybody else on it.
//!
//! A [`Store`] is a handle; all its clones see the same mail. Sessions change it through IMAP,
//! and whoever holds a handle changes it behind their back, as another client, an administrator
//! or a thief would; sessions then hear of it by the rules of IMAP.
//!
//! Mailboxes are named here by text, with `/` between the levels; the delimiter and the prefix that
//! a client sees are part of the server's behaviour. Names that are not valid modified UTF-7 can be
//! made as raw bytes.
//!
//! Invariant: within one UIDVALIDITY a UID is given once, UIDs ascend, and every change that RFC
//! 7162 speaks of raises the mailbox's modification sequence – unless a method says that it
//! breaks this on purpose.

mod mailbox;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use message::mailbox::encode_modified_utf7;
use message::{Flags, InternalDate, ModSeq, Uid, UidSet, UidValidity};
use tokio::sync::watch;

pub(crate) use mailbox::{Mailbox, Message};
pub(crate) use state::{State, User, fold_inbox, name_text};

/// The hierarchy delimiter inside the store.
pub(crate) const DELIMITER: u8 = b'/';

/// Users and their mail, in memory. Cloning gives another handle to the same mail.
#[derive(Clone)]
pub struct Store {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changes: watch::Sender<u64>,
}

/// All mail of a store at one moment; costs no copy of the messages.
#[derive(Clone)]
pub struct Snapshot(State);

/// A mailbox, as [`Store::mailboxes`] tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxInfo {
    /// Its name for people, `/` between the levels.
    pub name: String,
    /// The object id that OBJECTID tells (RFC 8474); it survives a rename.
    pub id: String,
    /// The generation of its UIDs.
    pub validity: UidValidity,
    /// The UID that the next message gets.
    pub uid_next: Uid,
    /// Grows with each change.
    pub highest_modseq: ModSeq,
    /// How many messages it holds.
    pub messages: usize,
    /// Whether the user has subscribed to it.
    pub subscribed: bool,
    /// `\Sent`, `\Drafts`, … (RFC 6154).
    pub special_use: Option<String>,
}

/// A message, as [`Store::messages`] tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// Its UID.
    pub uid: Uid,
    /// Its flags and keywords.
    pub flags: Flags,
    /// When it was received.
    pub date: InternalDate,
    /// Its exact bytes.
    pub bytes: Arc<[u8]>,
    /// When it was last changed.
    pub modseq: ModSeq,
}

/// Why the store did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// There is no such user.
    #[error("no user {0:?}")]
    NoUser(String),
    /// The user has no such mailbox.
    #[error("no mailbox {0:?}")]
    NoMailbox(String),
    /// A mailbox of this name is there already.
    #[error("mailbox {0:?} exists")]
    Exists(String),
    /// The mailbox holds no message of this UID.
    #[error("no message with UID {0}")]
    NoMessage(Uid),
    /// INBOX can neither be deleted nor made.
    #[error("INBOX cannot be deleted")]
    Inbox,
    /// The user's quota is used up.
    #[error("no room is left for this")]
    OverQuota,
    /// The mailbox takes no message of this size.
    #[error("mailbox {0:?} takes no message so large")]
    TooLarge(String),
    /// The mailbox shows what others hold, and holds nothing itself.
    #[error("mailbox {0:?} is a view of others")]
    Virtual(String),
    /// All 2³² − 1 UIDs of the mailbox are used up.
    #[error("no UID is left in mailbox {0:?}")]
    NoUidLeft(String),
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// A store without users.
    #[must_use]
    pub fn new() -> Self {
        let state = State { users: BTreeMap::new(), next_mailbox: 1 };
        Self { shared: Arc::new(Shared { state: Mutex::new(state), changes: watch::Sender::new(0) }) }
    }

    /// Adds a user with an empty INBOX, or gives a known one another password.
    pub fn add_user(&self, user: &str, password: &str) {
        self.with(|state| {
            if let Some(known) = state.users.get_mut(user) {
                password.clone_into(&mut known.password);
                return;
            }
            let mut mailboxes = BTreeMap::new();
            mailboxes.insert(b"INBOX".to_vec(), state.new_mailbox());
            let user_state = User {
                password: password.to_owned(),
                mailboxes,
                subscribed: BTreeSet::from([b"INBOX".to_vec()]),
                quota: None,
            };
            state.users.insert(user.to_owned(), user_state);
        });
    }

    /// Makes an empty mailbox, subscribed. Its parents need not exist.
    ///
    /// # Errors
    /// When there is one already, or no such user.
    pub fn create(&self, user: &str, mailbox: &str) -> Result<(), StoreError> {
        self.create_raw(user, &encode_modified_utf7(mailbox))
    }

    /// Makes a mailbox whose name a client sees as these bytes: for names that are valid in no
    /// encoding.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub fn create_raw(&self, user: &str, name: &[u8]) -> Result<(), StoreError> {
        self.with(|state| {
            state.create(user, name)?;
            state.user(user)?.subscribed.insert(fold_inbox(name));
            Ok(())
        })
    }

    /// Marks a mailbox with a special use such as `\Sent` (RFC 6154), or takes the mark away.
    ///
    /// # Errors
    /// When there is no such mailbox.
    pub fn set_special_use(
        &self,
        user: &str,
        mailbox: &str,
        special: Option<&str>,
    ) -> Result<(), StoreError> {
        self.change(user, mailbox, |mailbox| mailbox.special_use = special.map(str::to_owned))
    }

    /// Gives a mailbox attributes that LIST tells, besides those that the server finds itself.
    /// With `\Noselect` or `\NonExistent` it can no longer be opened.
    ///
    /// # Errors
    /// When there is no such mailbox.
    pub fn set_attributes(&self, user: &str, mailbox: &str, attributes: &[&str]) -> Result<(), StoreError> {
        self.change(user, mailbox, |mailbox| {
            mailbox.attributes = attributes.iter().map(|&attribute| attribute.to_owned()).collect();
        })
    }

    /// The largest message that the mailbox takes, in octets (RFC 7889); `None`: any.
    ///
    /// # Errors
    /// When there is no such mailbox.
    pub fn set_append_limit(&self, user: &str, mailbox: &str, limit: Option<u64>) -> Result<(), StoreError> {
        self.change(user, mailbox, |mailbox| mailbox.append_limit = limit)
    }

    /// Makes a mailbox a view: from now on it shows each message that is added to any other mailbox
    /// of the user, equal ones once, and clients can give it none.
    ///
    /// # Errors
    /// When there is no such mailbox.
    pub fn make_virtual(&self, user: &str, mailbox: &str) -> Result<(), StoreError> {
        self.change(user, mailbox, |mailbox| mailbox.is_virtual = true)
    }

    /// How many octets all messages of the user together may have; `None`: any number. What is there
    /// already stays.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn set_quota(&self, user: &str, octets: Option<u64>) -> Result<(), StoreError> {
        self.with(|state| {
            state.user(user)?.quota = octets;
            Ok(())
        })
    }

    /// Subscribes to a mailbox that need not exist, or ends the subscription.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn set_subscribed(&self, user: &str, mailbox: &str, subscribed: bool) -> Result<(), StoreError> {
        self.with(|state| {
            let name = fold_inbox(&encode_modified_utf7(mailbox));
            let known = &mut state.user(user)?.subscribed;
            if subscribed {
                known.insert(name)
            } else {
                known.remove(&name)
            };
            Ok(())
        })
    }

    /// Removes a mailbox with its messages; mailboxes below it stay.
    ///
    /// # Errors
    /// When there is no such mailbox, or it is INBOX.
    pub fn delete(&self, user: &str, mailbox: &str) -> Result<(), StoreError> {
        self.with(|state| {
            let name = state.raw_name(user, mailbox)?;
            state.delete(user, &name)
        })
    }

    /// Renames a mailbox and all below it. Renaming INBOX moves its messages (RFC 9051 §6.3.6).
    ///
    /// # Errors
    /// When there is no such mailbox, or one of the new name.
    pub fn rename(&self, user: &str, from: &str, to: &str) -> Result<(), StoreError> {
        self.with(|state| {
            let from = state.raw_name(user, from)?;
            state.rename(user, &from, &encode_modified_utf7(to))
        })
    }

    /// Adds a message and gives its UID.
    ///
    /// # Errors
    /// When there is no such mailbox, or no UID is left in it.
    pub fn append(
        &self,
        user: &str,
        mailbox: &str,
        flags: &Flags,
        date: &InternalDate,
        bytes: impl Into<Arc<[u8]>>,
    ) -> Result<Uid, StoreError> {
        let bytes = bytes.into();
        self.with(|state| {
            let name = state.raw_name(user, mailbox)?;
            state.user(user)?.append(&name, flags.clone(), date.clone(), bytes)
        })
    }

    /// Sets a message's flags.
    ///
    /// # Errors
    /// When there is no such mailbox or message.
    pub fn set_flags(&self, user: &str, mailbox: &str, uid: Uid, flags: &Flags) -> Result<(), StoreError> {
        self.change(user, mailbox, |mailbox| mailbox.set_flags(uid.get(), flags))?
            .map(drop)
            .ok_or(StoreError::NoMessage(uid))
    }

    /// Sets a message's flags without raising any modification sequence, as servers with a broken
    /// CONDSTORE do.
    ///
    /// # Errors
    /// When there is no such mailbox or message.
    pub fn set_flags_unseen(
        &self,
        user: &str,
        mailbox: &str,
        uid: Uid,
        flags: &Flags,
    ) -> Result<(), StoreError> {
        self.change_message(user, mailbox, uid, |message| message.flags = flags.clone())
    }

    /// Puts other bytes under a UID and changes nothing else, as broken bridges do.
    ///
    /// # Errors
    /// When there is no such mailbox or message.
    pub fn replace_bytes(
        &self,
        user: &str,
        mailbox: &str,
        uid: Uid,
        bytes: impl Into<Arc<[u8]>>,
    ) -> Result<(), StoreError> {
        self.change_message(user, mailbox, uid, |message| message.bytes = bytes.into())
    }

    /// Removes messages; UIDs that are not there are passed over. Gives how many went.
    ///
    /// # Errors
    /// When there is no such mailbox.
    pub fn expunge(&self, user: &str, mailbox: &str, uids: &UidSet) -> Result<u64, StoreError> {
        self.change(user, mailbox, |mailbox| mailbox.expunge(|message| uids.contains(message.uid)).len())
    }

    /// Leaves a gap in the UIDs: the next message gets this UID, unless that one is past.
    ///
    /// # Errors
    /// When there is no such mailbox.
    pub fn skip_to_uid(&self, user: &str, mailbox: &str, next: Uid) -> Result<(), StoreError> {
        self.change(user, mailbox, |mailbox| mailbox.uid_next = mailbox.uid_next.max(u64::from(next.get())))
    }

    /// Begins a new generation of UIDs; with `renumber` the messages are numbered from 1 again,
    /// without it they keep their UIDs. Sessions that have the mailbox open are sent away.
    ///
    /// # Errors
    /// When there is no such mailbox.
    pub fn set_validity(
        &self,
        user: &str,
        mailbox: &str,
        validity: UidValidity,
        renumber: bool,
    ) -> Result<(), StoreError> {
        self.change(user, mailbox, |mailbox| mailbox.begin_generation(validity.get(), renumber))
    }

    /// Takes everything away but an empty INBOX: the mailbox after a disaster.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn wipe(&self, user: &str) -> Result<(), StoreError> {
        self.with(|state| {
            let inbox = state.new_mailbox();
            let user = state.user(user)?;
            user.mailboxes.clear();
            user.subscribed.clear();
            user.mailboxes.insert(b"INBOX".to_vec(), inbox);
            Ok(())
        })
    }

    /// All mail as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.with(|state| state.clone()))
    }

    /// Puts all mail back to what it was: a server restored from an old backup, UIDVALIDITY,
    /// UIDNEXT and modification sequences included.
    pub fn restore(&self, snapshot: &Snapshot) {
        self.with(|state| *state = snapshot.0.clone());
    }

    /// The user's mailboxes, sorted by raw name.
    ///
    /// # Errors
    /// When there is no such user.
    pub fn mailboxes(&self, user: &str) -> Result<Vec<MailboxInfo>, StoreError> {
        self.with(|state| {
            let user = state.user(user)?;
            let told = user.mailboxes.iter().map(|(name, mailbox)| MailboxInfo {
                name: name_text(name),
                id: mailbox.id.clone(),
                validity: UidValidity::new(mailbox.validity).unwrap_or(FIRST_VALIDITY),
                uid_next: u32::try_from(mailbox.uid_next).ok().and_then(Uid::new).unwrap_or(Uid::MAX),
                highest_modseq: ModSeq(mailbox.modseq),
                messages: mailbox.messages.len(),
                subscribed: user.subscribed.contains(name),
                special_use: mailbox.special_use.clone(),
            });
            Ok(told.collect())
        })
    }

    /// The messages of a mailbox, by UID.
    ///
    /// # Errors
    /// When there is no such mailbox.
    pub fn messages(&self, user: &str, mailbox: &str) -> Result<Vec<StoredMessage>, StoreError> {
        self.with(|state| {
            let name = state.raw_name(user, mailbox)?;
            let told = state.mailbox(user, &name)?.messages.iter().map(|message| StoredMessage {
                uid: message.uid,
                flags: message.flags.clone(),
                date: message.date.clone(),
                bytes: Arc::clone(&message.bytes),
                modseq: ModSeq(message.modseq),
            });
            Ok(told.collect())
        })
    }

    fn change<T>(
        &self,
        user: &str,
        mailbox: &str,
        change: impl FnOnce(&mut Mailbox) -> T,
    ) -> Result<T, StoreError> {
        self.with(|state| {
            let name = state.raw_name(user, mailbox)?;
            Ok(change(state.mailbox(user, &name)?))
        })
    }

    fn change_message(
        &self,
        user: &str,
        mailbox: &str,
        uid: Uid,
        change: impl FnOnce(&mut Message),
    ) -> Result<(), StoreError> {
        self.change(user, mailbox, |mailbox| mailbox.message_mut(uid.get()).map(change))?
            .ok_or(StoreError::NoMessage(uid))
    }

    /// Works on the mail under the lock, then tells the sessions that wait in IDLE.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        let done = work(&mut self.lock());
        self.shared.changes.send_modify(|count| *count = count.wrapping_add(1));
        done
    }

    /// Looks at the mail under the lock; nobody is told.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic in a test's thread leaves plain data behind, which is all that is needed here.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes at each change from now on.
    pub(crate) fn watch(&self) -> watch::Receiver<u64> {
        self.shared.changes.subscribe()
    }
}

const FIRST_VALIDITY: UidValidity = UidValidity::new(1).expect("1 is not 0");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use super::*;

    fn store() -> Store {
        let store = Store::new();
        store.add_user("alice", "secret");
        store
    }

    fn add(store: &Store, mailbox: &str, text: &str) -> Uid {
        let date = InternalDate::from_unix(1_000_000_000, 0);
        store.append("alice", mailbox, &Flags::new(), &date, text.as_bytes()).unwrap()
    }

    #[test]
    fn uids_ascend_and_are_never_given_twice() {
        let store = store();
        let first = add(&store, "INBOX", "one");
        store.expunge("alice", "inbox", &UidSet::from_iter([first])).unwrap();
        assert_eq!(add(&store, "INBOX", "two").get(), 2);
        store.skip_to_uid("alice", "INBOX", Uid::MAX).unwrap();
        assert_eq!(add(&store, "INBOX", "last"), Uid::MAX);
        let date = InternalDate::parse("");
        let refused = store.append("alice", "INBOX", &Flags::new(), &date, *b"no more");
        assert_eq!(refused, Err(StoreError::NoUidLeft("INBOX".into())));
    }

    #[test]
    fn a_rename_takes_along_what_lies_below_and_only_that() {
        let store = store();
        for name in ["Entwürfe", "Entwürfe/alt", "Entwürfe-2"] {
            store.create("alice", name).unwrap();
        }
        let id = store.mailboxes("alice").unwrap().into_iter().find(|m| m.name == "Entwürfe/alt").unwrap().id;
        store.rename("alice", "Entwürfe", "Drafts").unwrap();
        let now = store.mailboxes("alice").unwrap();
        let names: Vec<&str> = now.iter().map(|mailbox| mailbox.name.as_str()).collect();
        assert_eq!(names, ["Drafts", "Drafts/alt", "Entwürfe-2", "INBOX"]);
        assert_eq!(now[1].id, id);
    }

    #[test]
    fn renaming_inbox_moves_its_messages_out() {
        let store = store();
        add(&store, "INBOX", "one");
        store.rename("alice", "INBOX", "Old").unwrap();
        assert_eq!(store.messages("alice", "INBOX").unwrap().len(), 0);
        assert_eq!(&*store.messages("alice", "Old").unwrap()[0].bytes, b"one");
    }

    #[test]
    fn a_snapshot_brings_back_everything() {
        let store = store();
        add(&store, "INBOX", "one");
        let before = (store.mailboxes("alice").unwrap(), store.messages("alice", "INBOX").unwrap());
        let snapshot = store.snapshot();
        add(&store, "INBOX", "two");
        store.wipe("alice").unwrap();
        assert_ne!(store.mailboxes("alice").unwrap()[0].validity, before.0[0].validity);
        store.restore(&snapshot);
        assert_eq!((store.mailboxes("alice").unwrap(), store.messages("alice", "INBOX").unwrap()), before);
    }
}
