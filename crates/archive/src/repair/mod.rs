//! Repair: all that can be saved is saved, the rest is written down, and nothing is thrown away.
//!
//! 1. A catalogue is made from the packs alone, in a file beside the one that is there.
//! 2. Where damage may have hit the journal, what it said is asked of the catalogue that is there, if that
//!    one is sound and of this archive, and *restated*: said again in new journal records (`restate`).
//! 3. Everything is read and hashed, as `verify` does it.
//! 4. What was found is recorded: damage (known from then on, and told apart from new damage), blobs that
//!    are lost, messages that cannot be given back.
//! 5. One commit. Then the catalogue made in step 1 takes the place of the old one, which goes into
//!    quarantine if it knew anything else.
//!
//! Cut off anywhere before the commit, nothing has changed but a file that nobody reads; cut off behind it,
//! the old catalogue follows the packs as it always does. A second repair finds nothing to do.
//!
//! Invariant: no byte of a pack is changed. A damaged frame stays where it is; that is its quarantine.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::Connection;

use crate::archive::snapshot;
use crate::catalogue::apply::{Applier, unplace};
use crate::catalogue::{self, State, compare, damaged, query};
use crate::damage::{self, Damage};
use crate::error::Result;
use crate::examine::{Examined, examine};
use crate::hits::{MessageHit, tell_dangling, tell_hits};
use crate::identity::Place;
use crate::ids::{ArchiveId, BlobNumber, CommitId, MessageNumber};
use crate::info::Mark;
use crate::journal::record::{History, MessageRecord, Record};
use crate::lock::Lock;
use crate::open::{Witness, make_temporary, missing_or_cut, mode_for, require_identity, witness};
use crate::pack::files::PackFiles;
use crate::quarantine;
use crate::surroundings::{Machine, Surroundings};
use crate::verify::VerifyProgress;
use crate::writer::{Writer, WriterOptions};

mod restate;

pub use restate::Restated;

/// Numbers in one record of what is lost.
const NUMBERS_IN_RECORD: usize = 100_000;

/// What was found and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairReport {
    /// Damage that no repair had found before.
    pub damage: Vec<Damage>,
    /// How many places were known to be damaged already.
    pub known_damage: u64,
    /// What damaged parts of the journal had said, and a catalogue still knew.
    pub restated: Restated,
    /// Whether the journal is damaged and no sound catalogue could say what stood there: mailboxes are then
    /// compared message by message in the next run.
    pub journal_lost: bool,
    /// Places where a message lay of which nothing else is known any more.
    pub forgotten: Vec<MessageHit>,
    /// Every place of every message that cannot be given back now.
    pub lost: Vec<MessageHit>,
    /// How many messages that is.
    pub messages_lost: u64,
    /// How many of them no repair had found before.
    pub messages_lost_anew: u64,
    /// Messages that were lost, and can be given back again.
    pub messages_found_again: u64,
    /// Blobs of those that are lost now: pieces of messages that stood in damaged blocks.
    pub blobs_lost_anew: u64,
    /// Blobs that can be read and that no message is made of any more, because its record is lost.
    pub blobs_without_message: u64,
    /// Messages looked at.
    pub messages: u64,
    /// Files moved into quarantine.
    pub quarantined: Vec<String>,
    /// Whether the catalogue was made anew.
    pub catalogue_made_anew: bool,
    /// Files among the packs that are none of this archive's, or doubles.
    pub foreign_files: Vec<String>,
    /// The commit with which all this was recorded; `None` when there was nothing to record.
    pub commit: Option<CommitId>,
}

impl RepairReport {
    /// Whether there was nothing to do.
    #[must_use]
    pub fn found_nothing(&self) -> bool {
        self.damage.is_empty()
            && self.commit.is_none()
            && self.quarantined.is_empty()
            && !self.catalogue_made_anew
    }
}

/// Repairs an archive; with `dry_run` it only says what it would do, and writes nothing.
///
/// # Errors
/// When there is no archive, a writer has it, or the disk refuses.
pub fn repair(dir: &Path, dry_run: bool, progress: &mut dyn FnMut(VerifyProgress)) -> Result<RepairReport> {
    let place = Place::real(dir);
    if dry_run {
        return rehearse_at(&place, progress);
    }
    crate::writer::refuse_foreign_owner(dir)?;
    repair_at(&place, Arc::new(Machine), WriterOptions::default(), progress)
}

/// [`repair`] on any disk, with any source of chance and time.
///
/// # Errors
/// As [`repair`].
pub fn repair_at(
    place: &Place,
    surroundings: Arc<dyn Surroundings>,
    options: WriterOptions,
    progress: &mut dyn FnMut(VerifyProgress),
) -> Result<RepairReport> {
    let id = require_identity(place)?;
    let lock = Lock::take(place)?;
    let there = witness(place, id, mode_for(place)?)?;
    let aside = Place { catalogue: place.catalogue.as_deref().map(aside), ..place.clone() };
    if let Some(path) = &aside.catalogue {
        catalogue::remove(path)?;
    }
    let vouched = there.state();
    let mut writer = Writer::open_locked(aside, surroundings, options, (lock, vouched))?;
    let found = Found {
        damage: writer.damage().to_vec(),
        known_damage: writer.known_damage as u64,
        dangling: writer.dangling.clone(),
    };
    let stale = older_catalogues(place, id);
    let mut report = mend(&mut writer, found, (&there, &stale), progress)?;
    let before = writer.last_commit();
    let after = writer.commit()?;
    report.commit = (after != before).then_some(after);
    for name in unreadable(writer.files())? {
        report.quarantined.push(quarantine::pack(place, &name)?);
    }
    let old = match &there {
        Witness::Missing => Some(false),
        Witness::Unsound => Some(true),
        Witness::Usable(catalogue, _) => {
            let differs = compare::first_difference(catalogue, writer.catalogue());
            match differs {
                Ok(None) => None,
                Err(error) if !catalogue::is_broken(&error) => return Err(error),
                _ => Some(true),
            }
        }
    };
    drop(there);
    writer.leave_catalogue(place, old, &mut report)?;
    Ok(report)
}

/// What [`repair_at`] would do. Works beside a writer.
///
/// # Errors
/// When there is no archive, or the disk refuses.
pub fn rehearse_at(place: &Place, progress: &mut dyn FnMut(VerifyProgress)) -> Result<RepairReport> {
    let id = require_identity(place)?;
    let there = match snapshot(place, id) {
        Ok(Some((catalogue, state))) if catalogue::is_sound(&catalogue)? => {
            Witness::Usable(Box::new(catalogue), state)
        }
        Ok(_) => Witness::Missing,
        Err(error) if catalogue::is_broken(&error) => Witness::Unsound,
        Err(error) => return Err(error),
    };
    let opened = make_temporary(place, id, there.state())?;
    let found = Found {
        damage: opened.replayed.damage,
        known_damage: opened.replayed.known_damage.len() as u64,
        dangling: opened.replayed.dangling,
    };
    let mut rehearsal =
        Rehearsal { catalogue: opened.catalogue, files: opened.files, applier: Applier::default() };
    let stale = older_catalogues(place, id);
    let mut report = mend(&mut rehearsal, found, (&there, &stale), progress)?;
    report.quarantined = unreadable(&rehearsal.files)?;
    report.catalogue_made_anew = match &there {
        Witness::Missing => false,
        Witness::Unsound => true,
        Witness::Usable(catalogue, _) => compare::first_difference(catalogue, &rehearsal.catalogue)
            .map_or(true, |differs| differs.is_some()),
    };
    Ok(report)
}

/// What a replay of the packs has found.
struct Found {
    damage: Vec<Damage>,
    known_damage: u64,
    dangling: BTreeSet<i64>,
}

/// What is repaired: the archive, or a catalogue in a temporary place where it is only tried.
trait Target {
    fn catalogue(&self) -> &Connection;
    fn files(&self) -> &PackFiles;
    fn record(&mut self, record: Record) -> Result<()>;
}

impl Target for Writer {
    fn catalogue(&self) -> &Connection {
        Self::catalogue(self)
    }

    fn files(&self) -> &PackFiles {
        Self::files(self)
    }

    fn record(&mut self, record: Record) -> Result<()> {
        Self::record(self, record)
    }
}

struct Rehearsal {
    catalogue: Connection,
    files: PackFiles,
    applier: Applier,
}

impl Target for Rehearsal {
    fn catalogue(&self) -> &Connection {
        &self.catalogue
    }

    fn files(&self) -> &PackFiles {
        &self.files
    }

    fn record(&mut self, record: Record) -> Result<()> {
        self.applier.record(&self.catalogue, &record)
    }
}

fn mend(
    target: &mut dyn Target,
    found: Found,
    (there, stale): (&Witness, &[Connection]),
    progress: &mut dyn FnMut(VerifyProgress),
) -> Result<RepairReport> {
    let Found { mut damage, mut known_damage, dangling } = found;
    if let Witness::Usable(catalogue, _) = there {
        let (new, known) = damage::sort_out(target.catalogue(), missing_or_cut(target.files(), catalogue)?)?;
        damage.extend(new);
        known_damage += known.len() as u64;
    }
    let hurt = damage.iter().any(|damage| damage.kind.may_hit_journal());
    let mut restated = Restated::default();
    let mut journal_lost = false;
    if hurt {
        let told = match there {
            Witness::Usable(catalogue, _) => restate::all(catalogue, target.catalogue())?,
            Witness::Missing | Witness::Unsound => None,
        };
        journal_lost = told.is_none();
        restated.add(record_all(target, told.unwrap_or_default())?);
        for catalogue in stale {
            let told = restate::what_is_unknown(catalogue, target.catalogue())?;
            restated.add(record_all(target, told.unwrap_or_default())?);
        }
    }
    if journal_lost {
        distrust_marks(target)?;
    }
    let forgotten = tell_dangling(target.catalogue(), target.catalogue(), &dangling)?;
    forget(target, &dangling)?;
    let examined = examine(target.catalogue(), target.files(), None, &mut |so_far| {
        progress(so_far);
        ControlFlow::Continue(())
    })?;
    let (new, known) = damage::sort_out(target.catalogue(), examined.damage.clone())?;
    damage.extend(new);
    known_damage += known.len() as u64;
    let damage = damage::in_order(damage);
    let losses = record_losses(target, &examined)?;
    for damage in &damage {
        target.record(Record::KnownDamage(damage.to_known()))?;
    }
    let blobs_without_message = if journal_lost { blobs_without_message(target.catalogue())? } else { 0 };
    Ok(RepairReport {
        damage,
        known_damage,
        restated,
        journal_lost,
        forgotten,
        lost: tell_hits(target.catalogue(), &examined.hits)?,
        messages_lost: examined.hits.len() as u64,
        messages_lost_anew: losses.messages,
        messages_found_again: losses.found_again,
        blobs_lost_anew: losses.blobs,
        blobs_without_message,
        messages: examined.messages,
        quarantined: Vec::new(),
        catalogue_made_anew: false,
        foreign_files: target.files().foreign().to_vec(),
        commit: None,
    })
}

fn record_all(target: &mut dyn Target, records: Vec<Record>) -> Result<Restated> {
    let mut restated = Restated::default();
    for record in records {
        restated.count(&record);
        target.record(record)?;
    }
    Ok(restated)
}

/// What was said of mailboxes behind the damage rests on what the damage has taken: an unchanged count of
/// messages means nothing any more, nor does a modification sequence for flags.
fn distrust_marks(target: &mut dyn Target) -> Result<()> {
    for epoch in query::marked_epochs(target.catalogue())? {
        target.record(Record::Mark { epoch, mark: Mark::default() })?;
    }
    Ok(())
}

/// Places whose message is unknown: they are told once, and then not known at all.
fn forget(target: &mut dyn Target, dangling: &BTreeSet<i64>) -> Result<()> {
    for &at in dangling {
        if query::has_place(target.catalogue(), at)? {
            continue;
        }
        if let Some((epoch, uid)) = unplace(at) {
            target.record(Record::Restated { epoch, uid, history: History::default() })?;
        }
    }
    Ok(())
}

struct Losses {
    blobs: u64,
    messages: u64,
    found_again: u64,
}

/// Records what cannot be given back, and what can be again.
fn record_losses(target: &mut dyn Target, examined: &Examined) -> Result<Losses> {
    let catalogue = target.catalogue();
    let mut blobs = BTreeSet::new();
    for &(block, slot) in &examined.spoilt {
        for blob in damaged::blobs_of_block(catalogue, block, slot)? {
            if !damaged::is_blob_lost(catalogue, blob)? {
                blobs.insert(blob);
            }
        }
    }
    let before: BTreeSet<MessageNumber> = damaged::messages(catalogue)?.into_iter().collect();
    let messages: Vec<MessageNumber> =
        examined.hits.keys().copied().filter(|message| !before.contains(message)).collect();
    let mut found_again = Vec::new();
    for &message in before.iter().filter(|message| !examined.hits.contains_key(message)) {
        if let Some(row) = query::message_row(catalogue, message)? {
            found_again.push(MessageRecord::from_row(&row)?);
        }
    }
    let losses = Losses {
        blobs: blobs.len() as u64,
        messages: messages.len() as u64,
        found_again: found_again.len() as u64,
    };
    let blobs: Vec<BlobNumber> = blobs.into_iter().collect();
    for blobs in blobs.chunks(NUMBERS_IN_RECORD) {
        target.record(Record::Lost { blobs: blobs.to_vec(), messages: Vec::new() })?;
    }
    for messages in messages.chunks(NUMBERS_IN_RECORD) {
        target.record(Record::Lost { blobs: Vec::new(), messages: messages.to_vec() })?;
    }
    for message in found_again {
        target.record(Record::Message(message))?;
    }
    Ok(losses)
}

/// Blobs that no recipe names: the record of their message is lost, or a run was cut off before it came.
fn blobs_without_message(catalogue: &Connection) -> Result<u64> {
    let mut named: HashSet<BlobNumber> = HashSet::new();
    let mut next = 1;
    loop {
        let page = query::messages_from(catalogue, next, 1024)?;
        let Some(last) = page.last() else { break };
        next = last.number.0 + 1;
        for row in page {
            named.extend(query::decode_recipe(&row.recipe)?.0);
        }
    }
    query::count_blobs_without(catalogue, &named)
}

/// Catalogues in quarantine that are sound and of this archive, the oldest first: they may know what was
/// lost before somebody made the catalogue anew.
fn older_catalogues(place: &Place, id: ArchiveId) -> Vec<Connection> {
    let mut found: BTreeMap<u64, Connection> = BTreeMap::new();
    for path in place.catalogue.iter().flat_map(|path| quarantine::catalogues(path)) {
        let opened = catalogue::open_for_reading(&path).and_then(|catalogue| {
            let state = catalogue::state(&catalogue)?.filter(|state| state.archive == id);
            Ok(state
                .filter(|_| catalogue::is_sound(&catalogue).unwrap_or(false))
                .map(|state| (state, catalogue)))
        });
        // One that cannot be opened is in quarantine for that.
        if let Ok(Some((state, catalogue))) = opened {
            found.insert(state.commit.number, catalogue);
        }
    }
    // The newest knows most.
    found.into_values().rev().collect()
}

/// Files with the name of a pack of which neither the header nor one frame can be read, although the
/// medium gives all of their bytes.
fn unreadable(files: &PackFiles) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for file in files.packs() {
        if files.is_of_no_use(file)? {
            names.push(file.name.to_string());
        }
    }
    Ok(names)
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".repair");
    name.into()
}

impl Writer {
    /// Ends the writer. Its catalogue takes the place of the archive's (`old`: whether the one that is
    /// there is kept in quarantine), or goes if that one says the same.
    fn leave_catalogue(mut self, place: &Place, old: Option<bool>, report: &mut RepairReport) -> Result<()> {
        self.close_catalogue()?;
        let Some(path) = &place.catalogue else { return Ok(()) };
        let made = aside(path);
        let Some(keep) = old else { return catalogue::remove(&made) };
        if keep && let Some(kept) = quarantine::catalogue(path)? {
            let name = kept.file_name().unwrap_or_default().to_string_lossy().into_owned();
            report.quarantined.push(format!("{}/{name}", quarantine::FOLDER));
        }
        report.catalogue_made_anew = true;
        catalogue::replace(&made, path)
    }
}

impl Witness {
    fn state(&self) -> Option<State> {
        match self {
            Self::Usable(_, state) => Some(*state),
            Self::Missing | Self::Unsound => None,
        }
    }
}
