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

use message::BlobName;
use message::recipe::Stream;
use rusqlite::Connection;

use crate::block::BlockBuilder;
use crate::blocks::{BlockCache, Shelves};
use crate::catalogue::apply::Applier;
use crate::catalogue::{self, Mode, State};
use crate::damage::Damage;
use crate::error::{Context as _, Error, Result};
use crate::frame::{NextNumbers, limit};
use crate::identity::{Place, read_identity, write_identity};
use crate::ids::{AccountId, ArchiveId, BlobNumber, CommitId, EpochId, MailboxId, RunId};
use crate::journal::codec::Encoder;
use crate::journal::record::Record;
use crate::lock::{Lock, OwnerMark};
use crate::open::{Old, Opened, bring_up, make_anew, mode_for, require_identity};
use crate::pack::files::{Header, PackFile, PackFiles};
use crate::pack::stage::PackStage;
use crate::pack::writer::{Finished, PackOptions, PackWriter, Workplace};
use crate::surroundings::{Machine, Surroundings};
use crate::view::View;

mod blobs;
mod maildrop;
mod records;
mod start;

use start::start;

/// A journal frame is closed when it has this many bytes before compression.
const JOURNAL_FRAME_BYTES: usize = 1 << 20;

/// What a record is counted as in [`Writer::uncommitted_bytes`]: what it takes of memory until it is
/// committed, with the names of its blobs and the pages of the indexes. So a batch of small mail ends early.
const RECORD_WEIGHT: u64 = 2_048;

/// How an archive is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterOptions {
    /// A pack larger than this is sealed and the next one begun.
    pub pack_bytes: u64,
    /// Blobs are gathered until a block has this many bytes; attachments, which hardly shrink however many
    /// lie together, until it has half of it.
    pub block_bytes: usize,
    /// zstd level of blocks.
    pub level: i32,
}

impl Default for WriterOptions {
    fn default() -> Self {
        // Level 2 would be a third faster, and headers and texts 5 % larger.
        Self { pack_bytes: 256 << 20, block_bytes: 2 << 20, level: 3 }
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
        let builder = |stream| {
            let share = if stream == Stream::Attachment { 2 } else { 1 };
            BlockBuilder::new(stream, options.block_bytes / share)
        };
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
        self.view_of(self.reader.as_ref().unwrap_or(&self.catalogue))
    }

    /// The archive as it will be with the next commit. Messages that were put since the last one are listed,
    /// and cannot be read yet.
    #[must_use]
    pub fn draft(&self) -> View<'_> {
        self.view_of(&self.catalogue)
    }

    fn view_of<'a>(&'a self, catalogue: &'a Connection) -> View<'a> {
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
        self.write_and_apply(false)
    }

    /// Ends the open pack, so that the next commit begins another. Nothing may have been put since the last.
    pub(crate) fn seal(&mut self) -> Result<CommitId> {
        self.refuse_if_failed()?;
        self.begin_batch()?;
        self.write_and_apply(true)
    }

    fn write_and_apply(&mut self, seal: bool) -> Result<CommitId> {
        let committed = self.write_batch(seal).and_then(|finished| self.apply_batch(finished));
        if committed.is_err() {
            self.give_up();
        }
        committed
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

    fn write_batch(&mut self, seal: bool) -> Result<Option<Finished>> {
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
        self.stage.commit(self.next, seal)
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
        match self.stage.commit(self.next, false) {
            Err(error) => Err(error),
            Ok(_) => Err(Error::Abandoned),
        }
    }

    fn refuse_if_failed(&self) -> Result<()> {
        if self.failed { Err(Error::Abandoned) } else { Ok(()) }
    }
}

/// D28: files that root makes in another user's archive would lock that user out of it.
pub(crate) fn refuse_foreign_owner(dir: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt as _;
    let Ok(metadata) = std::fs::metadata(dir) else { return Ok(()) };
    let foreign = rustix::process::geteuid().is_root() && metadata.uid() != 0;
    if foreign { Err(Error::ForeignOwner { path: dir.to_owned(), owner: metadata.uid() }) } else { Ok(()) }
}
