//! What a folder held, as the archive knows it: the messages that are asked for.
//!
//! A folder may have millions of messages, so what is kept of each is small; bytes and header fields
//! are asked of the archive when they are needed.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::sync::Arc;

use archive::{MailboxId, View, WantedMessage, When};
use message::{BlobName, Flags, InternalDate, MessageKey, Uid, UidSet};

/// A received date, short. Texts that no calendar knows are not kept: no server would take them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Moment {
    pub(super) unix: i64,
    pub(super) offset_minutes: i16,
}

impl Moment {
    pub(super) fn of(date: &InternalDate) -> Option<Self> {
        Some(Self { unix: date.unix()?, offset_minutes: date.offset_minutes()? })
    }

    pub(super) fn to_date(self) -> InternalDate {
        InternalDate::from_unix(self.unix, self.offset_minutes)
    }
}

/// A message that is asked for.
#[derive(Clone, Debug)]
pub(super) struct Wanted {
    /// Under which UID the archive has it; for people.
    pub(super) uid: Uid,
    pub(super) key: MessageKey,
    pub(super) size: u64,
    pub(super) date: Option<Moment>,
    pub(super) flags: Arc<Flags>,
    /// The name of its header block, once that was asked for.
    pub(super) header: Header,
    /// The archive cannot give it.
    pub(super) lost: bool,
}

/// What is known of a header block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    NotAsked,
    Named(BlobName),
    /// It is not one blob, or cannot be read: the message is compared by its bytes.
    None,
}

/// Flags that many messages share, kept once.
#[derive(Debug, Default)]
pub(super) struct SharedFlags(HashMap<Flags, Arc<Flags>>);

impl SharedFlags {
    pub(super) fn share(&mut self, flags: Flags) -> Arc<Flags> {
        if let Some(known) = self.0.get(&flags) {
            return Arc::clone(known);
        }
        let shared = Arc::new(flags.clone());
        self.0.insert(flags, Arc::clone(&shared));
        shared
    }
}

/// The messages of a folder, in the order in which they came to it. More than one mailbox is given
/// where one folder had several lives; with `beside`, only what lies in none of those folders.
pub(super) fn of_folder(
    view: &View<'_>,
    mailboxes: &[MailboxId],
    when: When,
    only: Option<&HashMap<MailboxId, UidSet>>,
    beside: Option<&[Vec<MailboxId>]>,
) -> Result<Vec<Wanted>, archive::Error> {
    let elsewhere = keys_of(view, beside.unwrap_or_default(), when)?;
    let (mut wanted, mut flags) = (Vec::new(), SharedFlags::default());
    let is_wanted = |message: &WantedMessage| {
        let chosen = |only: &HashMap<MailboxId, UidSet>| {
            only.get(&message.mailbox).is_some_and(|uids| uids.contains(message.uid))
        };
        only.is_none_or(chosen) && !elsewhere.contains(&short(&message.message))
    };
    view.wanted(mailboxes, when, &mut |message| {
        if is_wanted(&message) {
            wanted.push(Wanted {
                uid: message.uid,
                key: message.message,
                size: message.size,
                date: Moment::of(&message.internal_date),
                flags: flags.share(message.flags),
                header: Header::NotAsked,
                lost: message.lost,
            });
        }
        ControlFlow::Continue(())
    })?;
    Ok(wanted)
}

/// How many messages with how many octets a folder held; what lies elsewhere too is counted.
pub(super) fn count(
    view: &View<'_>,
    mailboxes: &[MailboxId],
    when: When,
    only: Option<&HashMap<MailboxId, UidSet>>,
) -> Result<(u64, u64), archive::Error> {
    let (mut messages, mut bytes) = (0, 0);
    view.wanted(mailboxes, when, &mut |message| {
        if only.is_none_or(|only| only.get(&message.mailbox).is_some_and(|uids| uids.contains(message.uid))) {
            messages += 1;
            bytes += message.size;
        }
        ControlFlow::Continue(())
    })?;
    Ok((messages, bytes))
}

/// What lies in these folders, by keys cut short: enough to tell the messages of one account apart.
fn keys_of(
    view: &View<'_>,
    folders: &[Vec<MailboxId>],
    when: When,
) -> Result<HashSet<[u8; 16]>, archive::Error> {
    let mut keys = HashSet::new();
    for mailboxes in folders {
        view.wanted(mailboxes, when, &mut |message| {
            keys.insert(short(&message.message));
            ControlFlow::Continue(())
        })?;
    }
    Ok(keys)
}

fn short(key: &MessageKey) -> [u8; 16] {
    let mut short = [0; 16];
    short.copy_from_slice(&key.as_bytes()[..16]);
    short
}
