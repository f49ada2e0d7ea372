//! Compaction: packs that follow each other made into one, smaller and in order, and proven before the old
//! ones go.
//!
//! 1. `choose`: which groups of packs are worth it.
//! 2. `source`, `make`: a group is read strictly and written anew: the same records in the same order, the
//!    same blobs under the same numbers, in full blocks, compressed with more patience.
//!    Where that is not smaller, it goes again, and the group is remembered as tried.
//! 3. `prove`: what was written is read back from the disk and compared with what it was made from.
//! 4. `place`: it takes the place of its sources: one rename, then one transaction of the catalogue.
//! 5. `retire`: the old packs stay for a time of grace, then they are removed.
//!
//! Sealed packs never change, so 2 and 3 need no lock and go on beside pulls and readers. The writer's lock
//! is taken for a moment to look and to seal the open pack, and again for 4 and 5; while a pull has it, that
//! waits. One compaction works at a time. It goes on group by group and can be broken off between two
//! blocks: what is half done is a file at which nobody looks, and is removed.
//!
//! Invariant: nothing that counts is removed before what stands for it has been synced, read back and put in
//! place, and then only after the grace.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use crate::error::{Context as _, Error, Result};
use crate::identity::Place;
use crate::ids::{ArchiveId, PackId};
use crate::lock::{Lock, OwnerMark};
use crate::open::{discover, known_packs, require_identity};
use crate::pack::files::{PackFile, PackFiles};
use crate::pack::standing::Known;
use crate::surroundings::{Machine, Surroundings};
use crate::verify::{going_on, live_catalogue};
use crate::writer::{Writer, WriterOptions, refuse_foreign_owner};

mod choose;
mod make;
pub(crate) mod place;
mod prove;
mod retire;
mod source;
mod stock;

use choose::Wish;
use make::{Made, Workshop};
pub use retire::RetiredPacks;
use stock::{Groups, Search};

/// The file on which a compaction holds a lock.
const LOCK_FILE: &str = "compact.lock";

/// How long a lock is waited for before it is asked for again.
const PATIENCE: Duration = Duration::from_millis(200);

/// How an archive is compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CompactOptions {
    /// zstd level of blocks, and of the journal unless a pull's is higher, 1 to 22.
    pub level: i32,
    /// Packs are not made larger than this.
    pub pack_bytes: u64,
    /// For less than this nothing is done.
    pub least_bytes: u64,
    /// Blobs are gathered until a block has this many bytes.
    pub block_bytes: usize,
    /// Threads that compress.
    pub threads: usize,
    /// How long packs stay that were replaced.
    pub grace: Duration,
    /// Bytes of the disk that are left free.
    pub reserve: u64,
    /// Groups that are made, at most.
    pub most_groups: usize,
    /// Only says what would be done.
    pub dry_run: bool,
}

impl Default for CompactOptions {
    fn default() -> Self {
        Self {
            level: 12,
            pack_bytes: 256 << 20,
            least_bytes: 1 << 20,
            block_bytes: 4 << 20,
            threads: 1,
            grace: Duration::from_secs(7 * 86_400),
            reserve: 0,
            most_groups: usize::MAX,
            dry_run: false,
        }
    }
}

/// What is being done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// A look at what there is.
    #[default]
    Looking,
    /// Another writer has the archive.
    WaitingForWriter,
    /// A group is read and written.
    Writing,
    /// What was written is read back.
    Proving,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompactProgress {
    /// Bytes of packs read: those of the group, and then those of what was made from it.
    pub bytes: u64,
    /// Of about so many.
    pub bytes_total: u64,
    /// What is being done.
    pub stage: Stage,
}

/// Is told often how far it has come, and may take its time over that. To break ends it.
pub(crate) type Watch<'w> = dyn FnMut(CompactProgress) -> ControlFlow<()> + 'w;

/// Packs that were made into one, or would be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compaction {
    /// Their files, oldest first.
    pub sources: Vec<String>,
    /// Their bytes.
    pub bytes_before: u64,
    /// The file that stands in their place, and its bytes; `None` for a dry run.
    pub made: Option<(String, u64)>,
}

/// A pack that was to be compacted and was left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftAlone {
    /// Its file; of a group that was to be made into one, the first.
    pub pack: String,
    /// Why, in words.
    pub why: String,
    /// Why, for those who act by it.
    pub reason: LeftReason,
}

/// Why a pack is left as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftReason {
    /// It is damaged.
    Damaged,
    /// Something about it is not known to this version, or is beyond its bounds.
    NotUnderstood,
    /// It would not have become smaller. It is not tried again at this level but together with as much of
    /// something else.
    NotSmaller,
    /// There was no room for another pack beside it, after others had been made.
    NoRoom,
}

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactReport {
    /// What was made of what.
    pub compactions: Vec<Compaction>,
    /// What was left as it is.
    pub left: Vec<LeftAlone>,
    /// Replaced packs that were removed because their grace had passed.
    pub removed: RetiredPacks,
    /// Replaced packs that wait for that.
    pub retired: RetiredPacks,
    /// Whether it was broken off.
    pub is_broken_off: bool,
    /// Packs that count now, and their bytes.
    pub packs: u64,
    /// Their bytes.
    pub pack_bytes: u64,
}

/// Compacts an archive. Works beside a writer and beside readers.
///
/// # Errors
/// When there is no archive, another compaction is at work, it belongs to another user and this is root,
/// there is no room for the first group, or the disk refuses. Damage is no error: damaged packs are left as
/// they are, and told. To be broken off is none either.
pub fn compact(dir: &Path, options: &CompactOptions, watch: &mut Watch<'_>) -> Result<CompactReport> {
    refuse_foreign_owner(dir)?;
    compact_at(&Place::real(dir), Arc::new(Machine), options, watch)
}

/// [`compact`] on any disk, with any source of chance and time.
///
/// # Errors
/// As [`compact`].
pub fn compact_at(
    place: &Place,
    surroundings: Arc<dyn Surroundings>,
    options: &CompactOptions,
    watch: &mut Watch<'_>,
) -> Result<CompactReport> {
    let id = require_identity(place)?;
    let mut work = Work {
        place,
        id,
        surroundings,
        options,
        report: CompactReport::default(),
        left: HashSet::new(),
        tries: 0,
    };
    if options.dry_run {
        work.rehearse()?;
        return Ok(work.report);
    }
    let _lock = Lock::take_file(place, LOCK_FILE, || Error::Compacting { path: place.dir.clone() })?;
    make::discard_all(place)?;
    match work.run(watch) {
        Ok(()) => {}
        Err(Error::Interrupted) => work.report.is_broken_off = true,
        Err(error) => return Err(error),
    }
    Ok(work.report)
}

/// A compaction at work.
struct Work<'w> {
    place: &'w Place,
    id: ArchiveId,
    surroundings: Arc<dyn Surroundings>,
    options: &'w CompactOptions,
    report: CompactReport,
    /// Packs that could not be read as they should.
    left: HashSet<PackId>,
    /// Groups that were made, or tried in vain.
    tries: usize,
}

impl Work<'_> {
    /// Until nothing is left that is worth it.
    fn run(&mut self, watch: &mut Watch<'_>) -> Result<()> {
        if !self.remove_retired(watch)? {
            return Ok(());
        }
        loop {
            let groups = self.plan(watch)?;
            if groups.is_empty() || self.tries >= self.options.most_groups {
                return Ok(());
            }
            let total = groups.iter().flatten().map(|file| 2 * file.length).sum();
            let mut so_far = CompactProgress { bytes_total: total, ..CompactProgress::default() };
            for group in groups {
                if self.tries < self.options.most_groups {
                    self.one(&group, &mut so_far, watch)?;
                }
            }
        }
    }

    /// What would be done now. Takes no lock.
    fn rehearse(&mut self) -> Result<()> {
        let Some((live, _)) = live_catalogue(self.place, self.id)? else { return Ok(()) };
        let known = Known { by_name: true, ..known_packs(&live)? };
        let files = discover(self.place, self.id, &known)?;
        for group in self.groups(&live, &files, true)?.groups {
            self.report.compactions.push(Compaction {
                sources: group.iter().map(|file| file.name.to_string()).collect(),
                bytes_before: bytes_of(&group),
                made: None,
            });
        }
        self.take_stock(&files);
        Ok(())
    }

    /// Removes what has had its grace; whether to go on.
    fn remove_retired(&mut self, watch: &mut Watch<'_>) -> Result<bool> {
        let writer = self.writer(watch)?;
        let all = discover(self.place, self.id, &known_packs(writer.catalogue())?)?;
        if !all.void().is_empty() {
            // Without what it would replace it might be taken for what there is.
            let why = "a compacted pack that was cut short or came too late; nothing is compacted or removed \
                       while it lies there: move it out of the folder";
            let reason = LeftReason::NotUnderstood;
            let left = |pack: &String| LeftAlone { pack: pack.clone(), why: why.to_owned(), reason };
            self.report.left = all.void().iter().map(left).collect();
            self.take_stock(&all);
            return Ok(false);
        }
        let when = (self.options.grace, self.surroundings.unix_ms());
        self.report.removed = retire::remove(self.place, writer.files(), when)?;
        Ok(true)
    }

    /// The groups that are worth it, of packs that will not change: the open one is sealed for that.
    fn plan(&mut self, watch: &mut Watch<'_>) -> Result<Vec<Vec<PackFile>>> {
        let mut writer = self.writer(watch)?;
        let mut found = self.groups(writer.catalogue(), writer.files(), true)?;
        if found.have_open {
            writer.seal()?;
            found = self.groups(writer.catalogue(), writer.files(), false)?;
        }
        drop(writer);
        let files = discover(self.place, self.id, &Known::default())?;
        self.take_stock(&files);
        Ok(found.groups)
    }

    fn take_stock(&mut self, files: &PackFiles) {
        self.report.retired = retire::waiting(files, self.options.grace);
        self.report.packs = files.packs().len() as u64;
        self.report.pack_bytes = files.packs().iter().map(|file| file.length).sum();
    }

    fn groups(&self, known: &Connection, files: &PackFiles, with_open: bool) -> Result<Groups> {
        let wish = Wish { full_bytes: self.options.pack_bytes, least_bytes: self.options.least_bytes };
        let search = Search { wish, level: self.options.level, left: &self.left, with_open };
        stock::groups(known, files, &search)
    }

    /// One group, from the look at its packs to the moment when another stands in their place.
    fn one(&mut self, group: &[PackFile], so_far: &mut CompactProgress, watch: &mut Watch<'_>) -> Result<()> {
        match self.refuse_without_room(group) {
            Err(error) if self.has_done_something() => return self.leave_for_want_of_room(group, &error),
            there_is => there_is?,
        }
        let surroundings = Arc::clone(&self.surroundings);
        let workshop =
            Workshop { place: self.place, id: self.id, surroundings: &*surroundings, options: self.options };
        let begun = so_far.bytes;
        let made = make_and_prove(&workshop, group, so_far, watch);
        so_far.bytes = begun + 2 * bytes_of(group);
        let made = match made {
            Ok(Attempt::Proven(made)) => made,
            Ok(Attempt::InVain(made)) => {
                make::discard(self.place, &made.file.name)?;
                return self.leave_as_small(group, made.replaces.length, so_far, watch);
            }
            Err(error) => {
                make::discard_all(self.place)?;
                if error.is_full() && self.has_done_something() {
                    return self.leave_for_want_of_room(group, &error);
                }
                return self.leave(group, error);
            }
        };
        let placed = self.put_in_place(&made, so_far, watch);
        if !matches!(placed, Ok(true)) {
            // Harmless where it has been renamed already.
            make::discard(self.place, &made.file.name)?;
        }
        if placed? {
            self.tries += 1;
            self.report.compactions.push(Compaction {
                sources: group.iter().map(|file| file.name.to_string()).collect(),
                bytes_before: bytes_of(group),
                made: Some((made.name, made.replaces.length)),
            });
        } else {
            self.left.extend(group.iter().map(|file| file.pack));
        }
        Ok(())
    }

    /// A group that did not become smaller stays, and is not tried again at once.
    fn leave_as_small(
        &mut self,
        group: &[PackFile],
        bytes: u64,
        so_far: &CompactProgress,
        watch: &mut Watch<'_>,
    ) -> Result<()> {
        let before = bytes_of(group);
        let packs: Vec<PackId> = group.iter().map(|file| file.pack).collect();
        let lock = self.lock(so_far, watch)?;
        OwnerMark::leave(self.place, &*self.surroundings)?;
        place::remember_tried(self.place, self.id, &packs, (before, self.options.level))?;
        drop(lock);
        self.tries += 1;
        // Also where there is no catalogue's file that remembers it.
        self.left.extend(packs);
        let with = match group.len() {
            1 => String::new(),
            several => format!(" with the {} packs behind it", several - 1),
        };
        self.report.left.push(LeftAlone {
            pack: group.first().map(|file| file.name.to_string()).unwrap_or_default(),
            why: format!("compacted{with} it would have {bytes} bytes instead of {before}"),
            reason: LeftReason::NotSmaller,
        });
        Ok(())
    }

    fn put_in_place(&self, made: &Made, so_far: &mut CompactProgress, watch: &mut Watch<'_>) -> Result<bool> {
        let lock = self.lock(so_far, watch)?;
        // D17: another machine that writes without having seen our lock stops.
        OwnerMark::leave(self.place, &*self.surroundings)?;
        let placed = place::put_in_place(self.place, self.id, &made.file, &made.name, &made.replaces);
        drop(lock);
        placed
    }

    /// A pack that cannot be read as it should, or not understood, is left as it is; the others go on.
    fn leave(&mut self, group: &[PackFile], error: Error) -> Result<()> {
        let pack = match &error {
            Error::PackDamaged { pack, .. } => pack.clone(),
            Error::NewerFormat { what, .. } => what.clone(),
            Error::TooLarge { .. } => group.first().map(|file| file.name.to_string()).unwrap_or_default(),
            _ => return Err(error),
        };
        let Some(file) = group.iter().find(|file| *file.name == *pack) else { return Err(error) };
        self.left.insert(file.pack);
        let reason = if error.is_damage() { LeftReason::Damaged } else { LeftReason::NotUnderstood };
        self.report.left.push(LeftAlone { pack, why: error.to_string(), reason });
        Ok(())
    }

    /// Whether there is something to tell, should the disk be full now.
    fn has_done_something(&self) -> bool {
        self.tries > 0 || self.report.removed.packs > 0
    }

    /// The others may be smaller; and what was done is told.
    fn leave_for_want_of_room(&mut self, group: &[PackFile], error: &Error) -> Result<()> {
        self.left.extend(group.iter().map(|file| file.pack));
        let pack = group.first().map(|file| file.name.to_string()).unwrap_or_default();
        self.report.left.push(LeftAlone { pack, why: error.to_string(), reason: LeftReason::NoRoom });
        Ok(())
    }

    /// The new pack lies beside the old ones until these go.
    fn refuse_without_room(&self, group: &[PackFile]) -> Result<()> {
        let packs = self.place.packs();
        let free = self.place.disk.free_bytes(&packs).doing("ask for the free space of", &packs)?;
        let needed = bytes_of(group);
        if free < needed.saturating_add(self.options.reserve) {
            return Err(Error::NoRoom { needed, free, reserve: self.options.reserve });
        }
        Ok(())
    }

    fn writer(&self, watch: &mut Watch<'_>) -> Result<Writer> {
        loop {
            let surroundings = Arc::clone(&self.surroundings);
            match Writer::open_at(self.place.clone(), surroundings, WriterOptions::default()) {
                Err(Error::Locked { .. }) => self.wait(CompactProgress::default(), watch)?,
                opened => return opened,
            }
        }
    }

    fn lock(&self, so_far: &CompactProgress, watch: &mut Watch<'_>) -> Result<Lock> {
        loop {
            match Lock::take(self.place) {
                Err(Error::Locked { .. }) => self.wait(*so_far, watch)?,
                taken => return taken,
            }
        }
    }

    fn wait(&self, so_far: CompactProgress, watch: &mut Watch<'_>) -> Result<()> {
        going_on(watch(CompactProgress { stage: Stage::WaitingForWriter, ..so_far }))?;
        std::thread::sleep(PATIENCE);
        Ok(())
    }
}

fn bytes_of(group: &[PackFile]) -> u64 {
    group.iter().map(|file| file.length).sum()
}

/// What came of a group.
enum Attempt {
    /// A pack that is smaller, and was read back.
    Proven(Made),
    /// One that is not smaller.
    InVain(Made),
}

fn make_and_prove(
    workshop: &Workshop<'_>,
    group: &[PackFile],
    so_far: &mut CompactProgress,
    watch: &mut Watch<'_>,
) -> Result<Attempt> {
    let sources = source::open(workshop.place, workshop.id, group)?;
    let blobs = source::blobs(&sources)?;
    let made = make::make(workshop, &sources, &blobs, so_far, watch)?;
    if made.replaces.length >= bytes_of(group) {
        return Ok(Attempt::InVain(made));
    }
    prove::prove(workshop, &made, (&sources, blobs), so_far, watch)?;
    Ok(Attempt::Proven(made))
}
