//! Damage told as what a person has lost by it: messages, by folder, UID and subject.

use std::collections::{BTreeMap, BTreeSet};

use message::{InternalDate, MessageKey, Uid};
use rusqlite::Connection;

use crate::catalogue::{damaged, query};
use crate::error::Result;
use crate::ids::MessageNumber;

/// A message that damage hits, at one of the places where it lies or lay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageHit {
    /// Which message; `None` where even that is lost.
    pub key: Option<MessageKey>,
    /// The account's name.
    pub account: String,
    /// The mailbox's name, decoded; not fit for a terminal without escaping.
    pub mailbox: String,
    /// Its UID there.
    pub uid: Uid,
    /// Its subject.
    pub subject: String,
    /// When the server received it.
    pub internal_date: Option<InternalDate>,
    /// Whether the server was last seen to have the message, in whatever folder: then a run may bring it
    /// back. If not, it is lost for good.
    pub on_server: bool,
    /// What is wrong with it.
    pub reason: String,
}

/// Each place of each message hit.
pub(crate) fn tell_hits(
    known: &Connection,
    hits: &BTreeMap<MessageNumber, String>,
) -> Result<Vec<MessageHit>> {
    let mut told = Vec::new();
    for (&message, reason) in hits {
        for at in damaged::places(known, message)? {
            told.extend(tell_place(known, message, at, reason)?);
        }
    }
    told.sort_by(MessageHit::by_place);
    Ok(told)
}

/// One place of a message hit.
pub(crate) fn tell_place(
    known: &Connection,
    message: MessageNumber,
    at: i64,
    reason: &str,
) -> Result<Option<MessageHit>> {
    let (Some(row), Some((account, mailbox, uid))) =
        (query::message_row(known, message)?, query::place_names(known, at)?)
    else {
        return Ok(None);
    };
    Ok(Some(MessageHit {
        key: Some(row.key),
        account,
        mailbox,
        uid,
        subject: row.fields.subject,
        internal_date: damaged::date_at(known, at, message)?,
        on_server: damaged::is_live(known, message)?,
        reason: reason.to_owned(),
    }))
}

impl MessageHit {
    pub(crate) fn by_place(&self, other: &Self) -> std::cmp::Ordering {
        (&self.account, &self.mailbox, self.uid).cmp(&(&other.account, &other.mailbox, other.uid))
    }
}

/// Places of which only this much is known: that a message lay there.
pub(crate) fn tell_dangling(
    names: &Connection,
    packs_say: &Connection,
    dangling: &BTreeSet<i64>,
) -> Result<Vec<MessageHit>> {
    let mut told = Vec::new();
    for &at in dangling {
        // Where a catalogue knows the message, it has been told by its name.
        if query::has_place(names, at)? || query::has_place(packs_say, at)? {
            continue;
        }
        let Some((account, mailbox, uid)) = query::place_names(packs_say, at)? else { continue };
        let reason = "the record that says which message lay there is lost".to_owned();
        let (subject, internal_date) = (String::new(), None);
        told.push(MessageHit {
            key: None,
            account,
            mailbox,
            uid,
            subject,
            internal_date,
            on_server: true,
            reason,
        });
    }
    Ok(told)
}
