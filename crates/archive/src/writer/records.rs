//! What the writer records of accounts, runs, mailboxes and the messages in them.
//!
//! Nothing is recorded that changes nothing, so what is told again costs a look into the catalogue and no
//! byte.

use message::{Flags, InternalDate, Uid, UidSet, UidValidity};

use super::Writer;
use crate::catalogue::apply::message_number;
use crate::catalogue::query;
use crate::error::{Error, Result};
use crate::ids::{AccountId, EpochId, MailboxId, RunId};
use crate::info::{DrillInfo, MailboxSeen, Mark, NewPlacement, Proof};
use crate::journal::record::{Placed, Record};

impl Writer {
    /// The account of this name, recorded when it is new or its protocol is another.
    ///
    /// # Errors
    /// When the writer is finished; so with all that follow.
    pub fn account(&mut self, name: &str, protocol: &str) -> Result<AccountId> {
        let known = query::account(&self.catalogue, name)?;
        if let Some(known) = known.as_ref().filter(|known| known.protocol == protocol) {
            return Ok(known.id);
        }
        let account = match known {
            Some(known) => known.id,
            None => AccountId(take_number(&mut self.next.account, "account")?),
        };
        self.record(Record::Account { account, name: name.to_owned(), protocol: protocol.to_owned() })?;
        Ok(account)
    }

    /// Begins a run. What is recorded for the account from now on is of this run.
    ///
    /// # Errors
    /// As [`account`](Self::account).
    pub fn begin_run(&mut self, account: AccountId, started_unix_ms: i64) -> Result<RunId> {
        let run = RunId(take_number(&mut self.next.run, "run")?);
        self.record(Record::RunBegin { run, account, started_ms: started_unix_ms })?;
        self.runs.insert(account, run);
        Ok(run)
    }

    /// Ends a run.
    ///
    /// # Errors
    /// As [`account`](Self::account), and when the ledger is larger than a record may be.
    pub fn end_run(
        &mut self,
        run: RunId,
        outcome: &str,
        finished_unix_ms: i64,
        ledger_json: &str,
    ) -> Result<()> {
        let (outcome, ledger) = (outcome.to_owned(), ledger_json.to_owned());
        self.record(Record::RunEnd { run, finished_ms: finished_unix_ms, outcome, ledger })?;
        self.runs.retain(|_, open| *open != run);
        Ok(())
    }

    /// Records that a person should look at what happened in a run that has begun and not ended.
    ///
    /// # Errors
    /// As [`account`](Self::account).
    pub fn alarm(&mut self, account: AccountId, run: RunId) -> Result<()> {
        self.record(Record::Alarm { run, account })
    }

    /// Records that a person has looked at the alarms of an account up to a run.
    ///
    /// # Errors
    /// As [`account`](Self::account).
    pub fn acknowledge(&mut self, account: AccountId, up_to: RunId) -> Result<()> {
        self.record(Record::Acknowledged { account, run: up_to })
    }

    /// Records that mail of an account was given back for trial. Belongs to no run.
    ///
    /// # Errors
    /// As [`account`](Self::account).
    pub fn drilled(&mut self, account: AccountId, drill: &DrillInfo) -> Result<()> {
        self.record(Record::Drilled { account, drill: drill.clone() })
    }

    /// The mailbox of this name, recorded when it is new, differs from what is known, or was gone.
    ///
    /// # Errors
    /// As [`account`](Self::account).
    pub fn mailbox(&mut self, account: AccountId, seen: &MailboxSeen) -> Result<MailboxId> {
        let known = query::mailbox_named(&self.catalogue, account, &seen.name)?;
        let mailbox = match known {
            Some(known) if known.gone.is_none() && known.seen == *seen => return Ok(known.id),
            Some(known) => known.id,
            None => MailboxId(take_number(&mut self.next.mailbox, "mailbox")?),
        };
        self.record(Record::Mailbox { mailbox, account, seen: seen.clone() })?;
        Ok(mailbox)
    }

    /// The mailbox has another name now. Its placements stay.
    ///
    /// # Errors
    /// As [`account`](Self::account), and for an unknown mailbox.
    pub fn rename_mailbox(&mut self, mailbox: MailboxId, seen: &MailboxSeen) -> Result<()> {
        let account = self.account_of(mailbox)?;
        self.record(Record::Mailbox { mailbox, account, seen: seen.clone() })
    }

    /// The mailbox is not listed any more: its live placements end with this run.
    ///
    /// # Errors
    /// As [`account`](Self::account), for an unknown mailbox, and when the account has no run.
    pub fn mailbox_gone(&mut self, mailbox: MailboxId) -> Result<()> {
        let account = self.account_of(mailbox)?;
        let run = self.run(account)?;
        self.record(Record::MailboxGone { run, mailbox })
    }

    /// The mailbox's newest epoch if it has this validity; else a new one begins. Without a validity a
    /// new one begins each time.
    ///
    /// # Errors
    /// As [`account`](Self::account), and for an unknown mailbox.
    pub fn epoch(&mut self, mailbox: MailboxId, validity: Option<UidValidity>) -> Result<EpochId> {
        let account = self.account_of(mailbox)?;
        let newest = query::newest_epoch(&self.catalogue, mailbox)?;
        if let Some(newest) = newest.filter(|newest| validity.is_some() && newest.validity == validity) {
            return Ok(newest.id);
        }
        self.begin_epoch(mailbox, account, validity)
    }

    pub(super) fn begin_epoch(
        &mut self,
        mailbox: MailboxId,
        account: AccountId,
        validity: Option<UidValidity>,
    ) -> Result<EpochId> {
        let epoch = EpochId(take_number(&mut self.next.epoch, "mailbox generation")?);
        self.record(Record::EpochBegin { epoch, mailbox, validity })?;
        self.owners.insert(epoch, (mailbox, account));
        Ok(epoch)
    }

    /// All live placements of the epoch end with this run.
    ///
    /// # Errors
    /// As [`mailbox_gone`](Self::mailbox_gone).
    pub fn end_epoch(&mut self, epoch: EpochId) -> Result<()> {
        let run = self.run_of(epoch)?;
        if !query::is_anything_in(&self.catalogue, epoch, &(Uid::MIN..=Uid::MAX))? {
            return Ok(());
        }
        self.record(Record::EpochEnd { run, epoch })
    }

    /// Records that a message lies under a UID. Of what is known already nothing is recorded but what
    /// differs; what lay there before becomes history.
    ///
    /// # Errors
    /// As [`mailbox_gone`](Self::mailbox_gone), and when the message has not been put.
    pub fn place(&mut self, epoch: EpochId, uid: Uid, placement: NewPlacement) -> Result<()> {
        let run = self.run_of(epoch)?;
        let key = placement.message;
        let message = message_number(&self.catalogue, &key)?.ok_or(Error::UnknownMessage(key))?;
        // As they will be read back, so that a replay cannot differ.
        let date = InternalDate::parse(placement.internal_date.raw());
        let flags = Flags::parse(&placement.flags.to_string());
        let held = query::placement(&self.catalogue, epoch, uid)?;
        let same = held
            .filter(|held| held.last_run.is_none() && held.message == message && held.internal_date == date);
        let Some(held) = same else {
            let placed = Placed { uid, message, date, flags, proof: placement.proof };
            return self.record(Record::Placed { run, epoch, placed });
        };
        if held.proof == Proof::Header && placement.proof == Proof::Bytes {
            self.record(Record::Proven { epoch, uids: [uid].into_iter().collect() })?;
        }
        self.set_flags(epoch, uid, &flags)?;
        Ok(())
    }

    /// Records a message's flags, if they are others than those known. What is not held has no flags.
    /// Says whether they were others.
    ///
    /// # Errors
    /// As [`mailbox_gone`](Self::mailbox_gone).
    pub fn set_flags(&mut self, epoch: EpochId, uid: Uid, flags: &Flags) -> Result<bool> {
        let run = self.run_of(epoch)?;
        let Some(held) =
            query::placement(&self.catalogue, epoch, uid)?.filter(|held| held.last_run.is_none())
        else {
            return Ok(false);
        };
        let flags = Flags::parse(&flags.to_string());
        let known = query::flags_text(&self.catalogue, held.flags)?;
        // Two atoms that differ only in case are the same flag.
        if known.to_string().eq_ignore_ascii_case(&flags.to_string()) {
            return Ok(false);
        }
        self.record(Record::FlagsChanged { run, epoch, uid, flags })?;
        Ok(true)
    }

    /// Records that UIDs are not on the server any more. What is not held is left out.
    ///
    /// # Errors
    /// As [`mailbox_gone`](Self::mailbox_gone).
    pub fn vanished(&mut self, epoch: EpochId, uids: &UidSet) -> Result<()> {
        let run = self.run_of(epoch)?;
        let mut held = UidSet::new();
        for range in uids.ranges() {
            if query::is_anything_in(&self.catalogue, epoch, &range)? {
                held.insert_range(range);
            }
        }
        if held.is_empty() {
            return Ok(());
        }
        self.record(Record::Vanished { run, epoch, uids: held })
    }

    /// Records that placements matched by their header are now proven by their bytes.
    ///
    /// # Errors
    /// As [`mailbox_gone`](Self::mailbox_gone).
    pub fn proven(&mut self, epoch: EpochId, uids: &UidSet) -> Result<()> {
        self.run_of(epoch)?;
        let uids = query::unproven(&self.catalogue, epoch)?.intersection(uids);
        if uids.is_empty() {
            return Ok(());
        }
        self.record(Record::Proven { epoch, uids })
    }

    /// Records what the server said of the mailbox, if it is not what it said before. It becomes durable
    /// with the messages of the same batch, never before them (I17).
    ///
    /// # Errors
    /// As [`mailbox_gone`](Self::mailbox_gone).
    pub fn mark(&mut self, epoch: EpochId, mark: &Mark) -> Result<()> {
        self.run_of(epoch)?;
        let (mailbox, _) = self.owner(epoch)?;
        let known = query::epochs(&self.catalogue, mailbox)?.into_iter().find(|known| known.id == epoch);
        if known.is_some_and(|known| known.mark == Some(*mark)) {
            return Ok(());
        }
        self.record(Record::Mark { epoch, mark: *mark })
    }

    /// Records that a message could not be had in this run. It is forgotten when the message is placed or
    /// vanishes.
    ///
    /// # Errors
    /// As [`mailbox_gone`](Self::mailbox_gone).
    pub fn trouble(&mut self, epoch: EpochId, uid: Uid, reason: &str) -> Result<()> {
        let run = self.run_of(epoch)?;
        self.record(Record::Trouble { run, epoch, uid, reason: reason.to_owned() })
    }

    pub(super) fn account_of(&self, mailbox: MailboxId) -> Result<AccountId> {
        let account = query::mailbox_account(&self.catalogue, mailbox)?;
        account.ok_or(Error::Unknown { what: "mailbox", number: mailbox.0.into() })
    }

    fn owner(&mut self, epoch: EpochId) -> Result<(MailboxId, AccountId)> {
        if let Some(&owner) = self.owners.get(&epoch) {
            return Ok(owner);
        }
        let owner = query::epoch_owner(&self.catalogue, epoch)?;
        let owner = owner.ok_or(Error::Unknown { what: "epoch", number: epoch.0.into() })?;
        self.owners.insert(epoch, owner);
        Ok(owner)
    }

    fn run_of(&mut self, epoch: EpochId) -> Result<RunId> {
        self.refuse_if_failed()?;
        let (_, account) = self.owner(epoch)?;
        self.run(account)
    }

    fn run(&self, account: AccountId) -> Result<RunId> {
        self.runs.get(&account).copied().ok_or(Error::NoRun(account.0))
    }
}

/// The next number; the last one is never handed out, for it could not be followed by a next.
fn take_number(next: &mut u32, what: &'static str) -> Result<u32> {
    let number = *next;
    *next = number.checked_add(1).ok_or(Error::NumbersUsedUp { what })?;
    Ok(number)
}
