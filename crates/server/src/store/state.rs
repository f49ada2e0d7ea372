//! The mail itself, under the store's lock: what each operation on mailboxes does.
//!
//! Here names are raw: modified UTF-7 with `/` between the levels, as sessions have them when their
//! own delimiter and prefix are taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use message::mailbox::encode_modified_utf7;
use message::{Flags, InternalDate, MailboxName, NameEncoding, Uid};

use super::mailbox::Mailbox;
use super::{DELIMITER, StoreError};

#[derive(Clone)]
pub(crate) struct State {
    pub(super) users: BTreeMap<String, User>,
    /// UIDVALIDITY of the next mailbox, and the number in its id.
    pub(super) next_mailbox: u32,
}

#[derive(Clone)]
pub(crate) struct User {
    pub(super) password: String,
    /// By raw name: modified UTF-7 with `/`.
    pub(crate) mailboxes: BTreeMap<Vec<u8>, Mailbox>,
    /// Raw names; a subscription outlives its mailbox (RFC 9051 §6.3.7).
    pub(crate) subscribed: BTreeSet<Vec<u8>>,
    /// In octets.
    pub(crate) quota: Option<u64>,
}

impl User {
    /// Adds a message to a mailbox, and to the views of all mailboxes.
    pub(crate) fn append(
        &mut self,
        name: &[u8],
        flags: Flags,
        date: InternalDate,
        bytes: Arc<[u8]>,
    ) -> Result<Uid, StoreError> {
        let missing = || StoreError::NoMailbox(name_text(name));
        if !self.mailboxes.contains_key(name) {
            return Err(missing());
        }
        for (_, view) in self.mailboxes.iter_mut().filter(|(other, view)| view.is_virtual && *other != name) {
            if view.messages.iter().all(|message| message.bytes != bytes) {
                // A view whose UIDs are used up shows no more; nothing is lost by it.
                let _ = view.append(flags.clone(), date.clone(), Arc::clone(&bytes));
            }
        }
        let mailbox = self.mailboxes.get_mut(name).ok_or_else(missing)?;
        mailbox.append(flags, date, bytes).ok_or_else(|| StoreError::NoUidLeft(name_text(name)))
    }

    /// The octets of all messages, those that views show left out.
    pub(crate) fn octets(&self) -> u64 {
        let mailboxes = self.mailboxes.values().filter(|mailbox| !mailbox.is_virtual);
        mailboxes.flat_map(|mailbox| &mailbox.messages).map(|message| message.bytes.len() as u64).sum()
    }

    /// Whether the mailbox takes messages from clients, these many octets each.
    pub(crate) fn takes(&self, name: &[u8], sizes: &[u64]) -> Result<(), StoreError> {
        let mailbox = self.mailboxes.get(name).ok_or_else(|| StoreError::NoMailbox(name_text(name)))?;
        if mailbox.is_virtual {
            return Err(StoreError::Virtual(name_text(name)));
        }
        let left = (u64::from(u32::MAX) + 1).saturating_sub(mailbox.uid_next);
        if left < sizes.len() as u64 {
            return Err(StoreError::NoUidLeft(name_text(name)));
        }
        if mailbox.append_limit.is_some_and(|limit| sizes.iter().any(|size| *size > limit)) {
            return Err(StoreError::TooLarge(name_text(name)));
        }
        let needed = sizes.iter().fold(0, |sum: u64, size| sum.saturating_add(*size));
        match self.quota {
            Some(quota) if self.octets().saturating_add(needed) > quota => Err(StoreError::OverQuota),
            _ => Ok(()),
        }
    }
}

impl State {
    pub(super) fn new_mailbox(&mut self) -> Mailbox {
        let number = self.next_mailbox;
        self.next_mailbox = self.next_mailbox.wrapping_add(1).max(1);
        Mailbox::new(number)
    }

    pub(crate) fn password_of(&self, user: &str) -> Option<&str> {
        self.users.get(user).map(|known| known.password.as_str())
    }

    pub(crate) fn password_is(&self, user: &str, password: &str) -> bool {
        self.password_of(user) == Some(password)
    }

    pub(crate) fn first_user(&self) -> Option<String> {
        self.users.keys().next().cloned()
    }

    /// All mailboxes of all users.
    pub(crate) fn mailboxes_mut(&mut self) -> impl Iterator<Item = &mut Mailbox> {
        self.users.values_mut().flat_map(|user| user.mailboxes.values_mut())
    }

    pub(crate) fn user(&mut self, user: &str) -> Result<&mut User, StoreError> {
        self.users.get_mut(user).ok_or_else(|| StoreError::NoUser(user.to_owned()))
    }

    pub(crate) fn mailbox(&mut self, user: &str, name: &[u8]) -> Result<&mut Mailbox, StoreError> {
        let mailboxes = &mut self.user(user)?.mailboxes;
        mailboxes.get_mut(&fold_inbox(name)).ok_or_else(|| StoreError::NoMailbox(name_text(name)))
    }

    /// The raw name of the mailbox that people call `text`.
    pub(super) fn raw_name(&mut self, user: &str, text: &str) -> Result<Vec<u8>, StoreError> {
        let mailboxes = &self.user(user)?.mailboxes;
        let encoded = fold_inbox(&encode_modified_utf7(text));
        if mailboxes.contains_key(&encoded) {
            return Ok(encoded);
        }
        let odd = mailboxes.keys().find(|name| name_text(name) == text);
        odd.cloned().ok_or_else(|| StoreError::NoMailbox(text.to_owned()))
    }

    pub(crate) fn create(&mut self, user: &str, name: &[u8]) -> Result<&mut Mailbox, StoreError> {
        let name = fold_inbox(name);
        if self.user(user)?.mailboxes.contains_key(&name) {
            return Err(StoreError::Exists(name_text(&name)));
        }
        let mailbox = self.new_mailbox();
        Ok(self.user(user)?.mailboxes.entry(name).or_insert(mailbox))
    }

    pub(crate) fn delete(&mut self, user: &str, name: &[u8]) -> Result<(), StoreError> {
        let name = fold_inbox(name);
        if name == b"INBOX" {
            return Err(StoreError::Inbox);
        }
        let removed = self.user(user)?.mailboxes.remove(&name);
        removed.map(drop).ok_or_else(|| StoreError::NoMailbox(name_text(&name)))
    }

    pub(crate) fn rename(&mut self, user: &str, from: &[u8], to: &[u8]) -> Result<(), StoreError> {
        let (from, to) = (fold_inbox(from), fold_inbox(to));
        let mailboxes = &self.user(user)?.mailboxes;
        if mailboxes.contains_key(&to) {
            return Err(StoreError::Exists(name_text(&to)));
        }
        if from == b"INBOX" {
            let moved = self.mailbox(user, &from)?.take_all();
            let target = self.create(user, &to)?;
            for message in moved {
                // A mailbox just made has all its UIDs left.
                let _ = target.append(message.flags, message.date, message.bytes);
            }
            return Ok(());
        }
        let below: Vec<Vec<u8>> = mailboxes
            .range::<Vec<u8>, _>((Bound::Included(&from), Bound::Unbounded))
            .map(|(name, _)| name)
            .take_while(|name| name.starts_with(&from))
            .filter(|name| name.len() == from.len() || name[from.len()] == DELIMITER)
            .cloned()
            .collect();
        if below.is_empty() {
            return Err(StoreError::NoMailbox(name_text(&from)));
        }
        let mailboxes = &mut self.user(user)?.mailboxes;
        for old in below {
            if let Some(mailbox) = mailboxes.remove(&old) {
                mailboxes.insert([to.as_slice(), &old[from.len()..]].concat(), mailbox);
            }
        }
        Ok(())
    }
}

/// INBOX is the same in any case (RFC 9051 §5.1); all other names are what they are.
pub(crate) fn fold_inbox(name: &[u8]) -> Vec<u8> {
    if name.eq_ignore_ascii_case(b"INBOX") { b"INBOX".to_vec() } else { name.to_vec() }
}

/// The name for people.
pub(crate) fn name_text(name: &[u8]) -> String {
    MailboxName::new(name, NameEncoding::ModifiedUtf7, Some(DELIMITER)).text()
}
