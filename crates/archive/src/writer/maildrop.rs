//! What the writer records of a POP3 maildrop.
//!
//! A maildrop is an epoch without UIDVALIDITY whose UIDs the archive gives itself; everything else (messages,
//! placements, troubles, marks, what has vanished) is recorded as for any other epoch.
//!
//! Invariant: a UID is given once, so a place means the same for good; what was taken for another message by
//! mistake is put right there, name and all.

use message::Uid;

use super::Writer;
use crate::catalogue::apply::place;
use crate::catalogue::{names, query};
use crate::error::{Error, Result};
use crate::frame::limit;
use crate::ids::{EpochId, MailboxId};
use crate::info::PopName;
use crate::journal::record::Record;

impl Writer {
    /// The mailbox's newest epoch if it is a POP3 maildrop; else one begins.
    ///
    /// # Errors
    /// As [`account`](Self::account), and for an unknown mailbox.
    pub fn pop3_epoch(&mut self, mailbox: MailboxId) -> Result<EpochId> {
        let account = self.account_of(mailbox)?;
        let newest = query::newest_epoch(&self.catalogue, mailbox)?;
        if let Some(newest) = newest.filter(|newest| newest.pop3) {
            return Ok(newest.id);
        }
        let epoch = self.begin_epoch(mailbox, account, None)?;
        self.record(Record::Names { epoch, names: Vec::new() })?;
        Ok(epoch)
    }

    /// Records that messages of a POP3 maildrop are given these UIDs, which ascend and lie above all that
    /// were given or placed before ([`View::pop3_next_uid`](crate::View::pop3_next_uid)). Becomes durable
    /// with the next commit; a UID that is named and holds nothing does no harm.
    ///
    /// # Errors
    /// As [`account`](Self::account); for an epoch that is no maildrop; and for UIDs that do not ascend:
    /// then nothing is recorded.
    pub fn name(&mut self, epoch: EpochId, names: &[PopName]) -> Result<()> {
        self.refuse_if_no_maildrop(epoch)?;
        let mut next = names::next_uid(&self.catalogue, epoch)?;
        for name in names {
            if next.is_none_or(|next| name.uid < next) {
                return Err(Error::UidTaken(name.uid));
            }
            next = name.uid.get().checked_add(1).and_then(Uid::new);
        }
        for names in names.chunks(limit::NAMES_IN_RECORD) {
            self.record(Record::Names { epoch, names: names.to_vec() })?;
        }
        Ok(())
    }

    /// Records that what lies under a UID which was given before is known by another name. Becomes durable
    /// with the next commit.
    ///
    /// # Errors
    /// As [`account`](Self::account); for an epoch that is no maildrop; and for a UID that was not given.
    pub fn rename(&mut self, epoch: EpochId, name: PopName) -> Result<()> {
        self.refuse_if_no_maildrop(epoch)?;
        if names::next_uid(&self.catalogue, epoch)?.is_some_and(|next| name.uid >= next) {
            return Err(Error::Unknown { what: "UID", number: name.uid.get().into() });
        }
        if names::name(&self.catalogue, place(epoch, name.uid.get()))?.as_ref() == Some(&name) {
            return Ok(());
        }
        self.record(Record::Names { epoch, names: vec![name] })
    }

    fn refuse_if_no_maildrop(&self, epoch: EpochId) -> Result<()> {
        self.refuse_if_failed()?;
        let maildrop = query::epoch(&self.catalogue, epoch)?.filter(|known| known.pop3);
        maildrop.ok_or(Error::Unknown { what: "POP3 maildrop", number: epoch.0.into() })?;
        Ok(())
    }
}
