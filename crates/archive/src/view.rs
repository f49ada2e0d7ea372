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
use message::recipe::{BlobRef, InvalidRecipe, JoinError, Recipe, Step, Stream};
use message::{BlobName, Flags, InternalDate, MessageKey, Uid, UidSet};

use crate::blocks::{BlobAt, Shelves};
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

/// At most so many keys are given for a prefix.
const KEYS_FOUND: usize = 16;

/// A header block longer than this is not looked into for its Message-ID.
const HEADER_READ: usize = 1 << 20;

/// Room that is made for a message before its first byte is there.
const RESERVED: usize = 4 << 20;

/// The archive as of a commit.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    pub(crate) id: ArchiveId,
    pub(crate) shelves: Shelves<'a>,
    /// The catalogue's file, for its size.
    pub(crate) catalogue_file: Option<&'a std::path::Path>,
}

/// Why a message could not be handed on.
enum Stop {
    Archive(Error),
    Output(io::Error),
    /// As much as was wanted has been given.
    Enough,
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
        let head = self.head(&row, HEADER_READ)?;
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
        // A forged size makes no more than its recipe gives.
        let room = usize::try_from(row.size).unwrap_or(usize::MAX).min(RESERVED);
        let mut bytes = Vec::with_capacity(room);
        let (recipe, places) = recipe_of(&self.shelves, &row)?;
        let blob = |index: u32| self.shelves.bytes(&places[index as usize]);
        join_in_memory(row.key, &recipe, blob, &mut bytes)?;
        Ok(bytes)
    }

    /// The first bytes of a message, at most `length`. They are checked by their blocks, but not by the
    /// message's hash, which needs the rest.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn read_start(&self, key: &MessageKey, length: usize) -> Result<Vec<u8>> {
        let row = query::message_by_key(self.shelves.catalogue, key)?.ok_or(Error::UnknownMessage(*key))?;
        self.head(&row, length)
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

    fn head(&self, row: &MessageRow, length: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let joined = join(&self.shelves, row, &mut |piece| {
            let wanted = (length - bytes.len()).min(piece.len());
            bytes.extend_from_slice(&piece[..wanted]);
            if bytes.len() < length { Ok(()) } else { Err(Stop::Enough) }
        });
        match joined {
            Ok(()) | Err(Stop::Enough) => Ok(bytes),
            Err(stop) => Err(stopped(row.key, stop)),
        }
    }
}

/// Gives a message's bytes, and an error at the end if they are not those of its key.
pub(crate) fn read_row(
    shelves: &Shelves<'_>,
    row: &MessageRow,
    out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> Result<()> {
    let mut hasher = blake3::Hasher::new();
    let joined = join(shelves, row, &mut |piece| {
        hasher.update(piece);
        out(piece).map_err(Stop::Output)
    });
    joined.map_err(|stop| stopped(row.key, stop))?;
    if MessageKey::from(hasher.finalize()) == row.key {
        return Ok(());
    }
    Err(wrong_bytes(row.key))
}

fn wrong_bytes(message: MessageKey) -> Error {
    Error::Damaged { message, reason: "its bytes do not have the hash that the message had".to_owned() }
}

fn join(
    shelves: &Shelves<'_>,
    row: &MessageRow,
    out: &mut dyn FnMut(&[u8]) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let (recipe, places) = recipe_of(shelves, row).map_err(Stop::Archive)?;
    let blob = |index: u32| shelves.bytes(&places[index as usize]).map_err(Stop::Archive);
    recipe.join(blob, out).map_err(|error| match error {
        JoinError::Caller(stop) => stop,
        other => Stop::Archive(Error::Damaged { message: row.key, reason: wrong_recipe(&other) }),
    })
}

/// Bytes that are hashed at a time: many lanes of BLAKE3 at once, and still in the cache.
const HASHED_BYTES: usize = 64 << 10;

/// Puts a message together in `buffer` from blobs that `blob` gives, and compares it with its key.
pub(crate) fn join_in_memory<B: AsRef<[u8]>>(
    key: MessageKey,
    recipe: &Recipe,
    blob: impl FnMut(u32) -> Result<B>,
    buffer: &mut Vec<u8>,
) -> Result<()> {
    buffer.clear();
    let (mut hasher, mut hashed) = (blake3::Hasher::new(), 0);
    let joined = recipe.join(blob, |piece| {
        buffer.extend_from_slice(piece);
        while buffer.len() - hashed >= HASHED_BYTES {
            hasher.update(&buffer[hashed..hashed + HASHED_BYTES]);
            hashed += HASHED_BYTES;
        }
        Ok(())
    });
    joined.map_err(|error| match error {
        JoinError::Caller(error) => of_message(key, error),
        other => Error::Damaged { message: key, reason: wrong_recipe(&other) },
    })?;
    let found = MessageKey::from(hasher.update(&buffer[hashed..]).finalize());
    if found == key { Ok(()) } else { Err(wrong_bytes(key)) }
}

/// A message's recipe with names and lengths of its blobs, and where they lie.
pub(crate) fn recipe_of(shelves: &Shelves<'_>, row: &MessageRow) -> Result<(Recipe, Vec<BlobAt>)> {
    let damaged = |reason: String| Error::Damaged { message: row.key, reason };
    let (numbers, steps) = query::decode_recipe(&row.recipe)?;
    let steps = Recipe::decode_steps(steps).map_err(|error: InvalidRecipe| damaged(error.to_string()))?;
    let mut places = Vec::with_capacity(numbers.len());
    for number in numbers {
        places.push(shelves.find(number).map_err(|error| of_message(row.key, error))?);
    }
    let blob = |at: &BlobAt| BlobRef { stream: at.stream, name: at.entry.name, length: at.entry.length };
    let recipe = Recipe { blobs: places.iter().map(blob).collect(), steps };
    // Also proves that no step names a blob beyond the list.
    match recipe.size() {
        Ok(size) if size == row.size => Ok((recipe, places)),
        Ok(size) => Err(damaged(format!("its recipe gives {size} bytes where it had {}", row.size))),
        Err(error) => Err(damaged(error.to_string())),
    }
}

/// As [`Recipe::header`], from the blobs of the first two steps: a header block of several pieces begins
/// with two.
fn header_block(shelves: &Shelves<'_>, row: &MessageRow) -> Result<Option<BlobRef>> {
    let (numbers, steps) = query::decode_recipe(&row.recipe)?;
    let Ok(steps) = Recipe::decode_steps(steps) else { return Ok(None) };
    let blob = |step: &Step| -> Result<Option<BlobRef>> {
        let Some(&number) = numbers.get(step.blob() as usize) else { return Ok(None) };
        let at = shelves.find(number)?;
        Ok(Some(BlobRef { stream: at.stream, name: at.entry.name, length: at.entry.length }))
    };
    let Some(first) = steps.first() else { return Ok(None) };
    let Some(header) = blob(first)?.filter(|blob| blob.stream == Stream::Header) else { return Ok(None) };
    let is_whole = *first == Step::Copy { blob: first.blob(), length: header.length };
    let second = steps.get(1).filter(|second| second.blob() != first.blob());
    let second = second.map(blob).transpose()?.flatten();
    let goes_on = second.is_some_and(|second| second.stream == Stream::Header);
    Ok((is_whole && !goes_on).then_some(header))
}

/// A blob by its name. The catalogue knows its first bytes; the block's directory has the rest.
pub(crate) fn find_blob(shelves: &Shelves<'_>, name: &BlobName) -> Result<Option<BlobAt>> {
    for number in query::blobs_like(shelves.catalogue, name.as_bytes())? {
        match shelves.find(number) {
            Ok(at) if at.entry.name == *name => return Ok(Some(at)),
            Ok(_) => {}
            // What cannot be read is not held: it is stored again.
            Err(error) if error.is_damage() => {}
            Err(Error::Io { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Damage of a block, told as damage of the message that needs it.
fn of_message(message: MessageKey, error: Error) -> Error {
    match error {
        Error::Damaged { .. } => error,
        error if error.is_damage() => Error::Damaged { message, reason: error.to_string() },
        error => error,
    }
}

fn stopped(message: MessageKey, stop: Stop) -> Error {
    match stop {
        Stop::Archive(error) => of_message(message, error),
        Stop::Output(error) => Error::Output(error),
        Stop::Enough => Error::Damaged { message, reason: "it was left off".to_owned() },
    }
}

fn wrong_recipe<E>(error: &JoinError<E>) -> String {
    match error {
        JoinError::Recipe(error) => error.to_string(),
        JoinError::BlobLength { name, expected, found } => {
            format!("blob {name} has {found} bytes where the recipe says {expected}")
        }
        JoinError::Caller(_) => String::new(),
    }
}
