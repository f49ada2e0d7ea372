//! The one writer of an archive.
//!
//! What it is told it writes as journal records and applies to the catalogue in the same breath; blobs
//! go into blocks, blocks to the pack. All of it becomes durable, and visible to others, with
//! [`Writer::commit`], and none of it before. Nothing is recorded that changes nothing, so a run in which
//! all is as it was writes only its own beginning and end.
//!
//! After an error of the disk or the catalogue the writer is finished: it returns
//! [`Error::Abandoned`] from then on, what was put since the last commit is not in the archive, and the
//! numbers given out since then mean nothing. Whoever wants to go on opens the archive again.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use message::recipe::Stream;
use message::split::{Piece, SplitMessage};
use message::{BlobName, Flags, InternalDate, Uid, UidSet, UidValidity};
use rusqlite::Connection;

use crate::block::BlockBuilder;
use crate::blocks::{BlockCache, Shelves};
use crate::catalogue::apply::{Applier, message_number};
use crate::catalogue::{self, Mode, State, damaged, query};
use crate::damage::Damage;
use crate::disk::Access;
use crate::error::{Context as _, Error, Result};
use crate::frame::{NextNumbers, limit};
use crate::identity::{Place, read_identity, write_identity};
use crate::ids::{AccountId, ArchiveId, BlobNumber, CommitId, EpochId, MailboxId, MessageNumber, RunId};
use crate::info::{DrillInfo, MailboxSeen, Mark, NewPlacement, Proof};
use crate::journal::codec::Encoder;
use crate::journal::record::{MessageRecord, Placed, Record};
use crate::lock::{Lock, OwnerMark};
use crate::open::{Old, Opened, bring_up, make_anew, mode_for, require_identity};
use crate::pack::files::{Header, PackFile, PackFiles};
use crate::pack::header::Previous;
use crate::pack::stage::PackStage;
use crate::pack::writer::{Finished, PackOptions, PackWriter, Resume, Start, Workplace};
use crate::replay::Tail;
use crate::surroundings::{Machine, Surroundings};
use crate::view::{View, find_blob};

mod maildrop;

/// A journal frame is closed when it has this many bytes before compression.
const JOURNAL_FRAME_BYTES: usize = 1 << 20;

/// Lost blobs that have come back are put into blocks when they have so many bytes.
const AGAIN_BYTES: usize = 8 << 20;

/// What a record is counted as in [`Writer::uncommitted_bytes`].
const RECORD_WEIGHT: u64 = 64;

/// How an archive is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// A pack larger than this is sealed and the next one begun.
    pub pack_bytes: u64,
    /// Blobs are gathered until a block has this many bytes.
    pub block_bytes: usize,
    /// zstd level of blocks.
    pub level: i32,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self { pack_bytes: 256 << 20, block_bytes: 1 << 20, level: 3 }
    }
}

/// Holds the lock and writes. See the module.
#[derive(Debug)]
pub struct Writer {
    place: Place,
    id: ArchiveId,
    catalogue: Connection,
    /// Sees the last commit while a batch is open; where there can be only one connection, `None`.
    reader: Option<Connection>,
    files: PackFiles,
    cache: BlockCache,
    applier: Applier,
    journal: Encoder,
    builders: [BlockBuilder; 3],
    /// Blobs put or asked for since the last commit.
    blobs: HashMap<BlobName, BlobNumber>,
    /// Lost blobs that have come back: they keep their numbers, and wait to be put into blocks of their
    /// own, in which numbers ascend (B3).
    again: BTreeMap<BlobNumber, (Stream, BlobName, Vec<u8>)>,
    again_bytes: usize,
    /// Those that came back since the last commit.
    healed_blobs: HashSet<BlobNumber>,
    runs: HashMap<AccountId, RunId>,
    owners: HashMap<EpochId, (MailboxId, AccountId)>,
    next: NextNumbers,
    last: CommitId,
    uncommitted_bytes: u64,
    batch_open: bool,
    failed: bool,
    damage: Vec<Damage>,
    pub(crate) dangling: BTreeSet<i64>,
    pub(crate) known_damage: usize,
    network: bool,
    // Dropped in this order: the thread has written its last before the lock is let go.
    stage: PackStage,
    _lock: Lock,
}

impl Drop for Writer {
    fn drop(&mut self) {
        // A reader that closes last cannot empty the write-ahead log, so it goes first. What is left in
        // the log is safe there; it only takes space. So nobody waits here for another process that
        // reads: a restore may read for hours.
        self.reader = None;
        if self.place.catalogue.is_some() && !self.network {
            let _ = self.catalogue.busy_timeout(Duration::ZERO);
            let _ = self.catalogue.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
    }
}

impl Writer {
    /// Opens an archive for writing: takes the lock, brings the catalogue up to date, cuts a torn tail.
    ///
    /// # Errors
    /// When there is no archive, another writer has it, it is in a newer format, it belongs to another
    /// user and this is root, or the disk refuses. Damage is no error: see [`damage`](Self::damage).
    pub fn open(dir: &Path, options: WriterOptions) -> Result<Self> {
        refuse_foreign_owner(dir)?;
        Self::open_at(Place::real(dir), Arc::new(Machine), options)
    }

    /// [`open`](Self::open) on any disk, with any source of chance and time.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_at(
        place: Place,
        surroundings: Arc<dyn Surroundings>,
        options: WriterOptions,
    ) -> Result<Self> {
        // A folder without an archive is left as it is.
        require_identity(&place)?;
        let lock = Lock::take(&place)?;
        Self::open_locked(place, surroundings, options, (lock, None))
    }

    /// [`open_at`](Self::open_at) under a lock that is held already; `vouched` is what another catalogue of
    /// this archive has applied.
    pub(crate) fn open_locked(
        place: Place,
        surroundings: Arc<dyn Surroundings>,
        options: WriterOptions,
        (lock, vouched): (Lock, Option<State>),
    ) -> Result<Self> {
        let id = require_identity(&place)?;
        if read_identity(&place)? != Some(id) {
            write_identity(&place, id)?;
        }
        let owner = OwnerMark::leave(&place, &*surroundings)?;
        let mode = mode_for(&place)?;
        let opened = match vouched {
            None => bring_up(&place, id, mode, true)?,
            Some(_) => make_anew(&place, id, mode, (vouched, Old::Discard), true)?,
        };
        let start = start(&place, &opened)?;
        let reader = match (&place.catalogue, mode) {
            (Some(path), Mode::Shared) => Some(catalogue::open_for_reading(path)?),
            _ => None,
        };
        let Opened { catalogue, files, replayed, .. } = opened;
        let workplace =
            Workplace { disk: place.disk.clone(), dir: place.packs(), archive: id, surroundings, owner };
        let pack_options = PackOptions { pack_bytes: options.pack_bytes, level: options.level };
        let stage = PackStage::start(PackWriter::new(workplace, pack_options, start)?)?;
        let builder = |stream| BlockBuilder::new(stream, options.block_bytes);
        Ok(Self {
            id,
            catalogue,
            reader,
            files,
            cache: BlockCache::default(),
            applier: Applier::default(),
            journal: Encoder::default(),
            builders: [Stream::Header, Stream::Text, Stream::Attachment].map(builder),
            blobs: HashMap::new(),
            again: BTreeMap::new(),
            again_bytes: 0,
            healed_blobs: HashSet::new(),
            runs: HashMap::new(),
            owners: HashMap::new(),
            next: replayed.next,
            last: replayed.last,
            uncommitted_bytes: 0,
            batch_open: false,
            failed: false,
            damage: replayed.damage,
            dangling: replayed.dangling,
            known_damage: replayed.known_damage.len(),
            network: mode == Mode::Exclusive,
            stage,
            _lock: lock,
            place,
        })
    }

    /// Which archive this is.
    #[must_use]
    pub fn id(&self) -> ArchiveId {
        self.id
    }

    /// Damage that was met when the archive was opened, and that no repair has found before. Verify looks
    /// everywhere; this is only what lay on the way.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }

    /// Whether the archive lies on a network file system, where a sync may not mean what it says (D16).
    #[must_use]
    pub fn is_on_network(&self) -> bool {
        self.network
    }

    /// The last commit.
    #[must_use]
    pub fn last_commit(&self) -> CommitId {
        self.last
    }

    /// Whether an error has finished this writer: to go on, drop it and open the archive again.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.failed
    }

    /// Bytes of blobs put since the last commit, before compression, and a little for each record.
    #[must_use]
    pub fn uncommitted_bytes(&self) -> u64 {
        self.uncommitted_bytes
    }

    /// Bytes that are free for us on the packs' file system.
    ///
    /// # Errors
    /// When the file system does not say.
    pub fn free_bytes(&self) -> Result<u64> {
        let packs = self.place.packs();
        self.place.disk.free_bytes(&packs).doing("ask for the free space of", &packs)
    }

    /// The archive as of the last commit. (On a network file system, and with a catalogue in memory,
    /// also what was recorded since; its messages cannot be read yet.)
    #[must_use]
    pub fn view(&self) -> View<'_> {
        let catalogue = self.reader.as_ref().unwrap_or(&self.catalogue);
        View {
            id: self.id,
            shelves: Shelves { catalogue, files: &self.files, cache: &self.cache },
            catalogue_file: self.place.catalogue.as_deref(),
        }
    }

    /// The catalogue, with what was recorded since the last commit.
    pub(crate) fn catalogue(&self) -> &Connection {
        &self.catalogue
    }

    /// The same, for a test that watches it.
    #[cfg(test)]
    pub(crate) fn catalogue_mut(&mut self) -> &mut Connection {
        &mut self.catalogue
    }

    pub(crate) fn files(&self) -> &PackFiles {
        &self.files
    }

    /// Lets go of the catalogue's file; the lock stays taken until the writer is dropped.
    pub(crate) fn close_catalogue(&mut self) -> Result<()> {
        self.reader = None;
        if !self.network {
            self.catalogue.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        }
        self.catalogue = Connection::open_in_memory()?;
        Ok(())
    }

    /// Lets SQLite look after the catalogue: what its planner knows of the tables is made new where it is
    /// old, and the write-ahead log is emptied. How many bytes the catalogue has then; `None` while a batch is
    /// open, and nothing was done.
    ///
    /// # Errors
    /// When SQLite says no. The packs are not touched.
    pub fn tidy(&mut self) -> Result<Option<u64>> {
        if !self.catalogue.is_autocommit() {
            return Ok(None);
        }
        self.catalogue.execute_batch("PRAGMA analysis_limit = 400; PRAGMA optimize")?;
        let Some(path) = &self.place.catalogue else { return Ok(Some(0)) };
        if !self.network {
            // Who reads is not waited for; the next time will do.
            self.catalogue.busy_timeout(Duration::ZERO)?;
            let emptied = self.catalogue.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
            self.catalogue.busy_timeout(catalogue::PATIENCE)?;
            emptied?;
        }
        Ok(Some(std::fs::metadata(path).map_or(0, |file| file.len())))
    }

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

    fn begin_epoch(
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

    /// Stores a blob, unless the archive or the open batch has it.
    ///
    /// # Errors
    /// As [`account`](Self::account), and for a blob beyond the format's limit.
    pub fn put_blob(&mut self, piece: Piece) -> Result<()> {
        self.refuse_if_failed()?;
        let length = piece.bytes.len();
        if length > limit::BLOB_BYTES {
            let limit = limit::BLOB_BYTES as u64;
            return Err(Error::TooLarge { what: "a blob", length: length as u64, limit });
        }
        if self.blob_number(&piece.name)?.is_some() {
            return Ok(());
        }
        self.begin_batch()?;
        self.uncommitted_bytes += length as u64;
        if let Some(number) = self.lost_blob(&piece.name)? {
            return self.put_again(number, piece);
        }
        let number = BlobNumber(take_large_number(&mut self.next.blob, "blob")?);
        self.blobs.insert(piece.name, number);
        let full = self.builders[piece.stream as usize - 1].add(number, piece.name, piece.bytes);
        match full {
            Some(block) => self.stage.block(block).or_else(|_| self.fail()),
            None => Ok(()),
        }
    }

    /// A lost blob has come back. Under its old number every message that is made of it is whole again.
    fn put_again(&mut self, number: BlobNumber, piece: Piece) -> Result<()> {
        self.blobs.insert(piece.name, number);
        self.healed_blobs.insert(number);
        self.again_bytes += piece.bytes.len();
        self.again.insert(number, (piece.stream, piece.name, piece.bytes));
        if self.again_bytes < AGAIN_BYTES { Ok(()) } else { self.store_again() }
    }

    /// Puts the blobs that have come back into blocks, one after the other in the order of their numbers.
    fn store_again(&mut self) -> Result<()> {
        self.again_bytes = 0;
        let mut builders = self.builders.each_ref().map(BlockBuilder::another);
        let mut blocks = Vec::new();
        for (number, (stream, name, bytes)) in std::mem::take(&mut self.again) {
            blocks.extend(builders[stream as usize - 1].add(number, name, bytes));
        }
        blocks.extend(builders.iter_mut().filter_map(BlockBuilder::close));
        for block in blocks {
            if self.stage.block(block).is_err() {
                return self.fail();
            }
        }
        Ok(())
    }

    /// Records a message whose blobs have been put. `false`: it is known already. One that was lost is
    /// recorded again, and with it all its places are whole.
    ///
    /// # Errors
    /// As [`account`](Self::account), and when a blob is missing.
    pub fn put_message(&mut self, message: &SplitMessage) -> Result<bool> {
        self.refuse_if_failed()?;
        let known = message_number(&self.catalogue, &message.key)?;
        if let Some(known) = known
            && !damaged::is_lost(&self.catalogue, known)?
        {
            return Ok(false);
        }
        if message.recipe.blobs.len() > limit::BLOBS_IN_MESSAGE {
            // As the splitter cuts them, a message of more than this.
            let limit = limit::BLOBS_IN_MESSAGE as u64 * message::split::MAX_BLOB as u64;
            return Err(Error::TooLarge { what: "a message", length: message.size, limit });
        }
        let mut blobs = Vec::with_capacity(message.recipe.blobs.len());
        for blob in &message.recipe.blobs {
            blobs.push(self.blob_number(&blob.name)?.ok_or(Error::BlobNotPut(blob.name))?);
        }
        let mut steps = Vec::new();
        message.recipe.encode_steps(&mut steps);
        let number = match known {
            Some(known) => known,
            None => MessageNumber(take_large_number(&mut self.next.message, "message")?),
        };
        self.record(Record::Message(MessageRecord {
            number,
            key: message.key,
            size: message.size,
            subject: message.fields.subject.clone(),
            from: message.fields.from.clone(),
            date: message.fields.date,
            blobs,
            steps,
        }))?;
        Ok(true)
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

    /// Makes everything since the last commit durable and visible: blobs, journal, commit record, one
    /// sync, then the catalogue. Without anything to write it returns the last commit.
    ///
    /// # Errors
    /// After any error the writer is finished; nothing since the last commit is in the archive. An error
    /// of the catalogue is the exception: then it is in the packs, and the next opening shows it.
    pub fn commit(&mut self) -> Result<CommitId> {
        self.refuse_if_failed()?;
        if !self.batch_open {
            return Ok(self.last);
        }
        self.record_healed()?;
        let committed = self.write_batch().and_then(|finished| self.apply_batch(finished));
        if committed.is_err() {
            self.give_up();
        }
        committed
    }

    /// Lost messages of which no blob is lost any more, because another message has brought them back.
    fn record_healed(&mut self) -> Result<()> {
        if self.healed_blobs.is_empty() {
            return Ok(());
        }
        for number in damaged::messages(&self.catalogue)? {
            let Some(row) = query::message_row(&self.catalogue, number)? else { continue };
            let record = MessageRecord::from_row(&row)?;
            let mut whole = true;
            for &blob in &record.blobs {
                let there = self.healed_blobs.contains(&blob)
                    || query::blob_place(&self.catalogue, blob)?.is_some()
                        && !damaged::is_blob_lost(&self.catalogue, blob)?;
                whole &= there;
            }
            if whole {
                self.record(Record::Message(record))?;
            }
        }
        Ok(())
    }

    /// Nothing more is written, and what is read from now on is the last commit.
    fn give_up(&mut self) {
        self.failed = true;
        // The transaction goes with the connection in any case.
        let _ = self.catalogue.execute_batch("ROLLBACK");
    }

    /// Waits until all full blocks are on the disk, where another host would see them.
    #[cfg(test)]
    pub(crate) fn wait_for_blocks(&self) {
        self.stage.wait();
    }

    fn write_batch(&mut self) -> Result<Option<Finished>> {
        if !self.again.is_empty() {
            self.store_again()?;
        }
        for builder in &mut self.builders {
            if let Some(block) = builder.close() {
                // The error that stopped the stage is told by its commit.
                let _ = self.stage.block(block);
            }
        }
        if let Some((keys, records)) = self.journal.take() {
            let _ = self.stage.journal(keys, records);
        }
        self.stage.commit(self.next)
    }

    fn apply_batch(&mut self, finished: Option<Finished>) -> Result<CommitId> {
        if let Some(finished) = finished {
            let Finished { commit, pack, name, sequence, end, sealed, blocks } = finished;
            self.files.note(PackFile { name, pack, sequence, length: end, header: Header::Unread });
            let number = self.applier.pack(&self.catalogue, pack, end, sealed)?;
            for block in blocks {
                self.applier.block(&self.catalogue, number, &block)?;
            }
            self.applier.commit(&self.catalogue, commit, (pack, end), self.next)?;
            self.last = commit;
        }
        self.catalogue.execute_batch("COMMIT")?;
        self.batch_open = false;
        self.blobs.clear();
        self.healed_blobs.clear();
        self.uncommitted_bytes = 0;
        Ok(self.last)
    }

    /// Journals a record and applies it.
    pub(crate) fn record(&mut self, record: Record) -> Result<()> {
        self.refuse_if_failed()?;
        self.begin_batch()?;
        self.journal.add(&record).map_err(|length| Error::TooLarge {
            what: "a journal record",
            length: length as u64,
            limit: limit::RECORD_BYTES as u64,
        })?;
        self.uncommitted_bytes += RECORD_WEIGHT;
        if let Err(error) = self.applier.record(&self.catalogue, &record) {
            // Journal and catalogue differ now: the batch is lost.
            self.give_up();
            return Err(error);
        }
        let full = self.journal.length() >= JOURNAL_FRAME_BYTES || self.journal.keys_are_full();
        if full && let Some((keys, records)) = self.journal.take() {
            return self.stage.journal(keys, records).or_else(|_| self.fail());
        }
        Ok(())
    }

    fn begin_batch(&mut self) -> Result<()> {
        if !self.batch_open {
            self.catalogue.execute_batch("BEGIN IMMEDIATE")?;
            self.batch_open = true;
        }
        Ok(())
    }

    /// The stage has stopped: the error that made it stop is what its commit says.
    fn fail(&mut self) -> Result<()> {
        self.give_up();
        match self.stage.commit(self.next) {
            Err(error) => Err(error),
            Ok(_) => Err(Error::Abandoned),
        }
    }

    fn refuse_if_failed(&self) -> Result<()> {
        if self.failed { Err(Error::Abandoned) } else { Ok(()) }
    }

    /// A blob's number, when the open batch or the archive has it.
    fn blob_number(&mut self, name: &BlobName) -> Result<Option<BlobNumber>> {
        if let Some(&number) = self.blobs.get(name) {
            return Ok(Some(number));
        }
        let shelves = Shelves { catalogue: &self.catalogue, files: &self.files, cache: &self.cache };
        let found = find_blob(&shelves, name)?.map(|at| at.entry.number);
        if let Some(number) = found {
            self.blobs.insert(*name, number);
        }
        Ok(found)
    }

    /// The number of a lost blob of this name, where the name can still be read.
    fn lost_blob(&self, name: &BlobName) -> Result<Option<BlobNumber>> {
        let shelves = Shelves { catalogue: &self.catalogue, files: &self.files, cache: &self.cache };
        for number in damaged::blobs_like(&self.catalogue, name.as_bytes())? {
            if shelves.find(number).is_ok_and(|at| at.entry.name == *name) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }

    fn account_of(&self, mailbox: MailboxId) -> Result<AccountId> {
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

/// The same for numbers that SQLite must be able to hold, with a sign.
fn take_large_number(next: &mut u64, what: &'static str) -> Result<u64> {
    let number = *next;
    if number >= i64::MAX.cast_unsigned() {
        return Err(Error::NumbersUsedUp { what });
    }
    *next = number + 1;
    Ok(number)
}

/// D28: files that root makes in another user's archive would lock that user out of it.
pub(crate) fn refuse_foreign_owner(dir: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = std::fs::metadata(dir) else { return Ok(()) };
    let foreign = rustix::process::geteuid().is_root() && metadata.uid() != 0;
    if foreign { Err(Error::ForeignOwner { path: dir.to_owned(), owner: metadata.uid() }) } else { Ok(()) }
}

/// What the system calls a medium that does not give its bytes.
const EIO: i32 = 5;

/// Where writing goes on: in the last pack if it ends with a commit, or can be cut to it; else in a new
/// one (rules C9 and C10).
fn start(place: &Place, opened: &Opened) -> Result<Start> {
    let Opened { files, replayed, before, .. } = opened;
    let last = replayed.last;
    let acknowledged = opened.vouched.map_or(0, |state| state.commit.number);
    // Should packs that are missing now come back, theirs are the lower sequences: each has a commit.
    let missing = acknowledged.saturating_sub(last.number);
    let newest = files.packs().last().map_or(0, |file| file.sequence);
    let next_sequence = newest.saturating_add(missing).saturating_add(1);
    let anew = Start { last, previous: None, resume: None, next_sequence, acknowledged };
    let Some(file) = files.packs().last() else { return Ok(anew) };
    let path = place.packs().join(&*file.name);
    if replayed.unreadable {
        // A new pack would make void what may be a commit that was acknowledged.
        return Err(std::io::Error::from_raw_os_error(EIO)).doing("read the end of", &path);
    }
    // Without a commit there is nothing that counts, whatever has been begun.
    let Some((pack, end)) = replayed.end else {
        return Ok(anew);
    };
    // Only what the catalogue had applied is known to be all that was ever acknowledged.
    let vouched = before.is_some_and(|state| state.commit == last) && replayed.commits == 0;
    let resume = match replayed.tail {
        // P6: behind a pack that was begun in vain nothing is appended to the one before it; C11. D6: nor
        // to a file whose sync has failed.
        _ if !replayed.intact || !opened.settled || file.pack != pack || acknowledged > last.number => false,
        Tail::None => true,
        Tail::Torn => vouched,
        Tail::TornCommit => false,
    };
    let cut = || -> std::io::Result<()> {
        let open = place.disk.open(&path, Access::Write)?;
        open.truncate(end)?;
        open.sync()
    };
    // A file that cannot be cut is left as it is.
    let resume = resume && (replayed.tail != Tail::Torn || cut().is_ok());
    Ok(Start {
        previous: Some(Previous { pack, length: end }),
        resume: resume.then(|| Resume { name: file.name.clone(), sequence: file.sequence }),
        ..anew
    })
}
