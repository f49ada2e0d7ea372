//! One mailbox: its messages by UID, and what has happened to them since it was made.
//!
//! Expunged UIDs are kept with the modification sequence of their end, so that QRESYNC can tell a
//! client what vanished since it last looked (RFC 7162 §3.2).

use std::sync::Arc;

use message::{Flags, InternalDate, Uid, UidSet};

/// A message in a mailbox.
#[derive(Clone)]
pub(crate) struct Message {
    pub(crate) uid: Uid,
    pub(crate) flags: Flags,
    pub(crate) date: InternalDate,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) modseq: u64,
}

/// A mailbox; the messages are sorted by UID.
#[derive(Clone)]
pub(crate) struct Mailbox {
    pub(crate) id: String,
    pub(crate) validity: u32,
    /// One more than the largest UID when all are used up.
    pub(crate) uid_next: u64,
    pub(crate) modseq: u64,
    /// The last change that was none by adding: what came before it may have changed or gone.
    pub(crate) stirred: u64,
    pub(crate) special_use: Option<String>,
    pub(crate) attributes: Vec<String>,
    pub(crate) messages: Vec<Message>,
    /// The largest message that it takes.
    pub(crate) append_limit: Option<u64>,
    /// It shows what others hold.
    pub(crate) is_virtual: bool,
    /// What is gone, and when it went.
    expunged: Vec<(u64, Uid)>,
}

impl Mailbox {
    pub(crate) fn new(number: u32) -> Self {
        Self {
            id: format!("M{number:08x}"),
            validity: number,
            uid_next: 1,
            modseq: 1,
            stirred: 1,
            special_use: None,
            attributes: Vec::new(),
            messages: Vec::new(),
            append_limit: None,
            is_virtual: false,
            expunged: Vec::new(),
        }
    }

    /// Whether it can be opened.
    pub(crate) fn is_selectable(&self) -> bool {
        let closed = |name: &String| {
            name.eq_ignore_ascii_case("\\Noselect") || name.eq_ignore_ascii_case("\\NonExistent")
        };
        !self.attributes.iter().any(closed)
    }

    fn step(&mut self) -> u64 {
        self.modseq += 1;
        self.stirred = self.modseq;
        self.modseq
    }

    fn position(&self, uid: u32) -> Result<usize, usize> {
        self.messages.binary_search_by_key(&uid, |message| message.uid.get())
    }

    pub(crate) fn message(&self, uid: u32) -> Option<&Message> {
        self.position(uid).ok().map(|at| &self.messages[at])
    }

    pub(crate) fn message_mut(&mut self, uid: u32) -> Option<&mut Message> {
        self.position(uid).ok().map(|at| &mut self.messages[at])
    }

    /// `None` when no UID is left.
    pub(crate) fn append(&mut self, flags: Flags, date: InternalDate, bytes: Arc<[u8]>) -> Option<Uid> {
        let uid = u32::try_from(self.uid_next).ok().and_then(Uid::new)?;
        self.uid_next += 1;
        self.modseq += 1;
        let modseq = self.modseq;
        self.messages.push(Message { uid, flags, date, bytes, modseq });
        Some(uid)
    }

    /// Sets flags; the modification sequence grows only when they differ. `None`: no such message;
    /// otherwise the message's modification sequence.
    pub(crate) fn set_flags(&mut self, uid: u32, flags: &Flags) -> Option<u64> {
        let at = self.position(uid).ok()?;
        if self.messages[at].flags != *flags {
            let modseq = self.step();
            let message = &mut self.messages[at];
            message.flags = flags.clone();
            message.modseq = modseq;
        }
        Some(self.messages[at].modseq)
    }

    /// Removes the messages meant and gives their UIDs.
    pub(crate) fn expunge(&mut self, meant: impl Fn(&Message) -> bool) -> UidSet {
        let gone: UidSet = self.messages.iter().filter(|message| meant(message)).map(|m| m.uid).collect();
        if !gone.is_empty() {
            let modseq = self.step();
            self.messages.retain(|message| !gone.contains(message.uid));
            self.expunged.extend(gone.iter().map(|uid| (modseq, uid)));
        }
        gone
    }

    /// Expunges all messages and gives them.
    pub(crate) fn take_all(&mut self) -> Vec<Message> {
        let all = self.messages.clone();
        self.expunge(|_| true);
        all
    }

    /// What vanished after `modseq`.
    pub(crate) fn vanished_since(&self, modseq: u64) -> UidSet {
        self.expunged.iter().filter(|&&(when, _)| when > modseq).map(|&(_, uid)| uid).collect()
    }

    pub(crate) fn begin_generation(&mut self, validity: u32, renumber: bool) {
        self.validity = validity;
        self.expunged.clear();
        let modseq = self.step();
        if renumber {
            for (number, message) in (1..).zip(&mut self.messages) {
                message.uid = Uid::new(number).unwrap_or(Uid::MAX);
                message.modseq = modseq;
            }
            self.uid_next = self.messages.len() as u64 + 1;
        }
    }
}
