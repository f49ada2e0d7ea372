//! The read side: everything that can be asked of an archive.
//!
//! A [`View`] belongs to a [`Writer`](crate::Writer) (then it shows the last commit, while a batch is
//! open) or to an [`Archive`](crate::Archive). It answers lists from the catalogue and messages from
//! the packs. Whatever leaves it as a message's bytes has been hashed and compared with the message's
//! key (S11).

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::ops::{ControlFlow, RangeInclusive};

use message::fields::Fields;
use message::recipe::BlobRef;
use message::{BlobName, Flags, InternalDate, MessageKey, Uid, UidSet};

use crate::blocks::Shelves;
use crate::catalogue::apply::place;
use crate::catalogue::query::{self, MessageRow};
use crate::catalogue::state;
use crate::catalogue::{as_of, changes, damaged, ledgers, listing, loss, names, sizes, wanted};
use crate::error::{Error, Result};
use crate::hits::{MessageHit, tell_hits};
use crate::ids::{AccountId, ArchiveId, CommitId, EpochId, MailboxId, RunId};
use crate::info::{
    AccountInfo, Breakdown, Candidate, Changes, DrillInfo, EpochInfo, Life, MailboxInfo, MailboxLoss,
    MessageInfo, PlacementInfo, PopName, RunInfo, Sizes, Totals, TroubleInfo, WantedMessage, When,
};
use crate::join::{find_blob, header_block, read_row, recipe_of, row_to_vec, start_of_row};

/// At most so many keys are given for a prefix.
const KEYS_FOUND: usize = 16;

/// A header block longer than this is not looked into for its Message-ID.
const HEADER_READ: usize = 1 << 20;

/// The archive as of a commit.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(crate) id: ArchiveId,
    pub(crate) shelves: Shelves<'a>,
    /// The catalogue's file, for its size.
    pub(crate) catalogue_file: Option<&'a std::path::Path>,
}

impl View<'_> {
    /// Which archive this is.
    #[must_use]
    pub fn id(&self) -> ArchiveId {
        self.id
    }

    /// The last commit that is seen.
    ///
    /// # Errors
    /// When the catalogue cannot be read.
    pub fn last_commit(&self) -> Result<CommitId> {
        let state = state(self.shelves.catalogue)?;
        Ok(state.ok_or(Error::CatalogueWrong { what: "it does not say how far it has come" })?.commit)
    }

    /// All accounts that ever had a run.
    ///
    /// # Errors
    /// When the catalogue cannot be read; so with all that follow and do not say more.
    pub fn accounts(&self) -> Result<Vec<AccountInfo>> {
        query::accounts(self.shelves.catalogue)
    }

    /// The account of this name.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn account(&self, name: &str) -> Result<Option<AccountInfo>> {
        query::account(self.shelves.catalogue, name)
    }

    /// Runs of an account, newest first, at most `limit`.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn runs(&self, account: AccountId, limit: usize) -> Result<Vec<RunInfo>> {
        query::runs(self.shelves.catalogue, account, limit)
    }

    /// One run.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn run(&self, run: RunId) -> Result<Option<RunInfo>> {
        query::run(self.shelves.catalogue, run)
    }

    /// The last run of the account, by its number, that had ended by this time.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn run_as_of(&self, account: AccountId, unix_ms: i64) -> Result<Option<RunId>> {
        query::run_as_of(self.shelves.catalogue, account, unix_ms)
    }

    /// When the newest run of an account ended that was whole and not suspicious, in milliseconds since
    /// 1970.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn last_good_run(&self, account: AccountId) -> Result<Option<i64>> {
        ledgers::last_good_run(self.shelves.catalogue, account)
    }

    /// How many messages came and how many vanished, as the ledgers say of all runs of an account that began
    /// at this time or later. Costs by run, and reads no ledger.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn came_and_went(&self, account: AccountId, since_ms: i64) -> Result<(u64, u64)> {
        ledgers::came_and_went(self.shelves.catalogue, account, since_ms)
    }

    /// Runs of an account that a person should look at and nobody has acknowledged, newest first.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn alarms(&self, account: AccountId) -> Result<Vec<RunInfo>> {
        query::alarms(self.shelves.catalogue, account)
    }

    /// What each run did in these mailboxes; runs that did nothing there are left out. Reads all their
    /// placements once.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn changes(&self, mailboxes: &[MailboxId]) -> Result<BTreeMap<RunId, Changes>> {
        changes::changes(self.shelves.catalogue, mailboxes)
    }

    /// Where a message lay in an account, from which run to which, and with which flags; in the order in
    /// which it came there. Empty for one that the account never had.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn life_of(&self, account: AccountId, key: &MessageKey) -> Result<Vec<Life>> {
        changes::life_of(self.shelves.catalogue, account, key)
    }

    /// The last drill of an account; `None` where there has been none.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn last_drill(&self, account: AccountId) -> Result<Option<DrillInfo>> {
        query::last_drill(self.shelves.catalogue, account)
    }

    /// What the mailboxes of an account had when a run had ended, and have lost since. A message that
    /// lies elsewhere in the account by now is not lost, unless that is in `bins` only; what a bin had
    /// may lie anywhere. Reads all placements of the account once.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn losses(
        &self,
        account: AccountId,
        since: RunId,
        bins: &HashSet<MailboxId>,
    ) -> Result<Vec<MailboxLoss>> {
        loss::losses(self.shelves.catalogue, account, since, bins)
    }

    /// How many live placements of an epoch are of messages that are not live in another epoch of the
    /// same account.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn missing_in(&self, epoch: EpochId, other: EpochId) -> Result<u64> {
        loss::missing_in(self.shelves.catalogue, epoch, other)
    }

    /// All mailboxes of an account, also those that are gone, in the order in which they were first seen.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn mailboxes(&self, account: AccountId) -> Result<Vec<MailboxInfo>> {
        query::mailboxes(self.shelves.catalogue, account)
    }

    /// One mailbox.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn mailbox(&self, mailbox: MailboxId) -> Result<Option<MailboxInfo>> {
        query::mailbox(self.shelves.catalogue, mailbox)
    }

    /// All epochs of a mailbox, oldest first.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn epochs(&self, mailbox: MailboxId) -> Result<Vec<EpochInfo>> {
        query::epochs(self.shelves.catalogue, mailbox)
    }

    /// What the messages of a POP3 maildrop were known by when they got their UIDs: all that were ever given,
    /// ascending by UID. Empty for any other epoch.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn pop3_names(&self, epoch: EpochId) -> Result<Vec<PopName>> {
        names::all(self.shelves.catalogue, epoch)
    }

    /// The UID that comes after all that were ever given in a POP3 maildrop, also after those whose names
    /// damage has taken; `None` when the last one has been given.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn pop3_next_uid(&self, epoch: EpochId) -> Result<Option<Uid>> {
        names::next_uid(self.shelves.catalogue, epoch)
    }

    /// UIDs of the live placements whose messages can be given back: those of lost messages are left out,
    /// so that they are fetched again. Costs by placement in time, by range in memory.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn held_uids(&self, epoch: EpochId) -> Result<UidSet> {
        query::held_uids(self.shelves.catalogue, epoch)
    }

    /// UIDs of the live placements whose messages are lost: damage has taken them, `repair` has found
    /// that, and they have not come back yet.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn lost_uids(&self, epoch: EpochId) -> Result<UidSet> {
        damaged::uids(self.shelves.catalogue, epoch)
    }

    /// Every place of every lost message.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn lost(&self) -> Result<Vec<MessageHit>> {
        let lost = damaged::messages(self.shelves.catalogue)?;
        let why = "damage has taken it".to_owned();
        tell_hits(self.shelves.catalogue, &lost.into_iter().map(|number| (number, why.clone())).collect())
    }

    /// How many places in the packs are damaged, as `repair` has found them.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn known_damage(&self) -> Result<u64> {
        Ok(damaged::known_damage(self.shelves.catalogue)?.len() as u64)
    }

    /// The newest placement under a UID, live or not.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn placement(&self, epoch: EpochId, uid: Uid) -> Result<Option<PlacementInfo>> {
        listing::full(self.shelves.catalogue, place(epoch, uid.get()))
    }

    /// Placements of a mailbox in all its epochs, newest first (received date, then UID), until `each`
    /// says stop.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn placements(
        &self,
        mailbox: MailboxId,
        when: When,
        each: &mut dyn FnMut(PlacementInfo) -> ControlFlow<()>,
    ) -> Result<()> {
        listing::placements(self.shelves.catalogue, mailbox, when, each)
    }

    /// What a folder held, as a multiset of messages to be given back, in the order of epochs and UIDs
    /// (which is the order of arrival), until `each` says stop. Without `deleted` that is what was live;
    /// with it also what had vanished, but each message only as often as it ever lay there at the same
    /// time: neither a new UIDVALIDITY nor a return makes it more, and the newest placement counts. More
    /// than one mailbox is given where one folder had several lives, each under a number of its own.
    ///
    /// Streams; what must be compared keeps some 24 bytes a placement.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn wanted(
        &self,
        mailboxes: &[MailboxId],
        when: When,
        each: &mut dyn FnMut(WantedMessage) -> ControlFlow<()>,
    ) -> Result<()> {
        wanted::wanted(self.shelves.catalogue, mailboxes, when, each)
    }

    /// The mailboxes that an account had, in the order in which they were first seen, each with the name
    /// that it had then, what was live in it, and in which epoch. With `deleted` also those that were
    /// gone by then and had ever held a message. `wanted` tells what was in them.
    ///
    /// Reads all placements of the account once, unless the state of now is asked for.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn mailboxes_as_of(&self, account: AccountId, when: When) -> Result<Vec<MailboxInfo>> {
        as_of::mailboxes(self.shelves.catalogue, account, when)
    }

    /// Flags of the live placements in a range of UIDs, ascending.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn flags_in(&self, epoch: EpochId, range: RangeInclusive<Uid>) -> Result<Vec<(Uid, Flags)>> {
        query::flags_in(self.shelves.catalogue, epoch, &range)
    }

    /// Size, received date and key of the live placements in a range of UIDs, ascending.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn survey_in(
        &self,
        epoch: EpochId,
        range: RangeInclusive<Uid>,
    ) -> Result<Vec<(Uid, u64, InternalDate, MessageKey)>> {
        query::survey_in(self.shelves.catalogue, epoch, &range)
    }

    /// The same of placements that have ended, under UIDs that are not live now: a server that shows one
    /// of them again shows the message again (L9).
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn past_in(
        &self,
        epoch: EpochId,
        range: RangeInclusive<Uid>,
    ) -> Result<Vec<(Uid, u64, InternalDate, MessageKey)>> {
        query::past_in(self.shelves.catalogue, epoch, &range)
    }

    /// How many live placements of an account are not yet proven by their bytes.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn unproven_count(&self, account: AccountId) -> Result<u64> {
        query::unproven_count(self.shelves.catalogue, account)
    }

    /// Live placements that were matched by their header and not yet proven by their bytes.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn unproven(&self, epoch: EpochId) -> Result<UidSet> {
        query::unproven(self.shelves.catalogue, epoch)
    }

    /// Messages that could not be had, ascending.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn troubles(&self, epoch: EpochId) -> Result<Vec<TroubleInfo>> {
        query::troubles(self.shelves.catalogue, epoch)
    }

    /// Distinct messages of this size that the account has or had, and that are not lost.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts). A message whose blocks are damaged has no `header`.
    pub fn candidates(&self, account: AccountId, size: u64) -> Result<Vec<Candidate>> {
        let catalogue = self.shelves.catalogue;
        let rows = query::messages_of_size(catalogue, account, size)?;
        let candidate = |row: MessageRow| {
            let internal_dates = query::dates_of(catalogue, account, row.number)?;
            let header = match recipe_of(&self.shelves, &row) {
                Ok((recipe, _)) => recipe.header().copied(),
                Err(error) if error.is_damage() => None,
                Err(error) => return Err(error),
            };
            Ok(Candidate { key: row.key, internal_dates, header })
        };
        rows.into_iter().map(candidate).collect()
    }

    /// What is known of a message. Reads its header block, for the Message-ID.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts), and when the message's blocks are damaged.
    pub fn message(&self, key: &MessageKey) -> Result<Option<MessageInfo>> {
        let Some(row) = query::message_by_key(self.shelves.catalogue, key)? else { return Ok(None) };
        let (recipe, _) = recipe_of(&self.shelves, &row)?;
        let head = start_of_row(&self.shelves, &row, HEADER_READ)?;
        let fields = Fields { message_id: Fields::parse(&head).message_id, ..row.fields };
        Ok(Some(MessageInfo { key: row.key, size: row.size, fields, recipe }))
    }

    /// The header block of a message, when that is one blob: its name is the BLAKE3 of its bytes. Cheap:
    /// looks into the directory of its block and reads no mail. `None` also for a message that is not
    /// there, or whose block is damaged.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn header_of(&self, key: &MessageKey) -> Result<Option<BlobRef>> {
        let Some(row) = query::message_by_key(self.shelves.catalogue, key)? else { return Ok(None) };
        match header_block(&self.shelves, &row) {
            Err(error) if error.is_damage() => Ok(None),
            header => header,
        }
    }

    /// Whether the archive has a message, and has not lost it.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn holds_message(&self, key: &MessageKey) -> Result<bool> {
        let Some(row) = query::message_by_key(self.shelves.catalogue, key)? else { return Ok(false) };
        Ok(!damaged::is_lost(self.shelves.catalogue, row.number)?)
    }

    /// Keys that begin with these hex digits, in order, at most 16.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn find(&self, prefix_hex: &str) -> Result<Vec<MessageKey>> {
        query::keys_with_prefix(self.shelves.catalogue, prefix_hex, KEYS_FOUND)
    }

    /// Whether a blob of this name is in a pack that can be read.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn holds_blob(&self, name: &BlobName) -> Result<bool> {
        Ok(find_blob(&self.shelves, name)?.is_some())
    }

    /// A message's exact bytes, in pieces. They are hashed on the way: when they are wrong, the error
    /// comes after the last piece, so a caller that must not hand on wrong bytes keeps them until then.
    ///
    /// # Errors
    /// When there is no such message, when it is damaged, when `out` fails.
    pub fn read(&self, key: &MessageKey, out: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<()> {
        let row = query::message_by_key(self.shelves.catalogue, key)?.ok_or(Error::UnknownMessage(*key))?;
        read_row(&self.shelves, &row, out)
    }

    /// A message's exact bytes, right or not at all.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_to_vec(&self, key: &MessageKey) -> Result<Vec<u8>> {
        let row = query::message_by_key(self.shelves.catalogue, key)?.ok_or(Error::UnknownMessage(*key))?;
        row_to_vec(&self.shelves, &row)
    }

    /// The first bytes of a message, at most `length`. They are checked by their blocks, but not by the
    /// message's hash, which needs the rest.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_start(&self, key: &MessageKey, length: usize) -> Result<Vec<u8>> {
        let row = query::message_by_key(self.shelves.catalogue, key)?.ok_or(Error::UnknownMessage(*key))?;
        start_of_row(&self.shelves, &row, length)
    }

    /// Sums of an account, or of all.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn totals(&self, account: Option<AccountId>) -> Result<Totals> {
        query::totals(self.shelves.catalogue, account)
    }

    /// How large the archive is on disk.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn sizes(&self) -> Result<Sizes> {
        let (blobs, blob_bytes) = query::blob_sums(self.shelves.catalogue)?;
        let packs = self.shelves.files.packs();
        let catalogue_bytes =
            self.catalogue_file.and_then(|file| std::fs::metadata(file).ok()).map_or(0, |file| file.len());
        Ok(Sizes {
            packs: packs.len() as u64,
            pack_bytes: packs.iter().map(|pack| pack.length).sum(),
            catalogue_bytes,
            blobs,
            blob_bytes,
        })
    }

    /// Where the bytes of the packs go. Costs by block, and reads no pack.
    ///
    /// # Errors
    /// As [`accounts`](Self::accounts).
    pub fn breakdown(&self) -> Result<Breakdown> {
        let counted: u64 = query::packs(self.shelves.catalogue)?.iter().map(|(_, length)| length).sum();
        let there: u64 = self.shelves.files.packs().iter().map(|pack| pack.length).sum();
        let blocks = sizes::blocks(self.shelves.catalogue)?;
        let streams = [blocks.headers, blocks.texts, blocks.attachments];
        let stored = streams.iter().map(|stream| stream.stored_bytes).sum::<u64>() + blocks.directory_bytes;
        // Where damage has taken packs, the catalogue counts more than is there.
        let (journal_bytes, idle_bytes) = (counted.saturating_sub(stored), there.saturating_sub(counted));
        let retired_bytes = self.shelves.files.retired().iter().map(|pack| pack.length).sum();
        Ok(Breakdown { journal_bytes, idle_bytes, retired_bytes, ..blocks })
    }

    /// Files among the packs that are none of this archive's, or doubles (D13).
    #[must_use]
    pub fn foreign_files(&self) -> &[String] {
        self.shelves.files.foreign()
    }
}
