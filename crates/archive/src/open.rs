//! An archive opened: its packs found, its catalogue brought to where the packs are.
//!
//! The catalogue is believed only where the packs agree: it must be of this archive, and the commit
//! that it names as its last must lie where it says. Then what the packs have beyond it is replayed.
//! Anything else about it that is odd means that it is made anew: beside the old one, and put in its
//! place when it is finished (D14).

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::catalogue::{self, Mode, State, query, retired};
use crate::compact::place::{follow_the_end, take_waiting};
use crate::damage::{self, Damage, DamageKind};
use crate::error::{Context as _, Error, Result};
use crate::frame::{CommitFields, FrameHeader, HEADER_BYTES, Kind};
use crate::identity::Place;
use crate::ids::{ArchiveId, CommitId, PackId};
use crate::pack::files::PackFiles;
use crate::pack::replaces::standing_commit;
use crate::pack::standing::Known;
use crate::quarantine;
use crate::replay::{Replayed, replay};

/// An archive whose catalogue knows all that its packs have.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) catalogue: Connection,
    pub(crate) files: PackFiles,
    pub(crate) replayed: Replayed,
    /// The catalogue as it was before, when it was to be believed.
    pub(crate) before: Option<State>,
    /// What another catalogue of this archive had applied, when this one is new.
    pub(crate) vouched: Option<State>,
    /// Whether the last pack may be written on: it could be synced, when that was asked for, and no
    /// catalogue says that it once was another (D22).
    pub(crate) settled: bool,
}

/// Brings the catalogue up to date. The caller holds the lock. With `settle`, the end of the last pack
/// is synced and then read from the medium, because it may become the ground for new commits.
pub(crate) fn bring_up(place: &Place, id: ArchiveId, mode: Mode, settle: bool) -> Result<Opened> {
    let usable = match use_catalogue(place, id, mode, settle) {
        Ok(opened) => opened,
        Err(error) if catalogue::is_broken(&error) => Unusable::Broken.into(),
        Err(error) => return Err(error),
    };
    match usable {
        Usable::Yes(opened) => Ok(*opened),
        Usable::No(reason) => make_anew(place, id, mode, (reason.vouched(), reason.old()), settle),
    }
}

/// The same for a reader, which leaves a catalogue alone that knows more than the packs: `repair` will
/// want it. The damage that was met. The caller holds the lock.
pub(crate) fn bring_up_to_read(place: &Place, id: ArchiveId) -> Result<Vec<Damage>> {
    let usable = match use_catalogue(place, id, Mode::Shared, false) {
        Ok(opened) => opened,
        Err(error) if catalogue::is_broken(&error) => Unusable::Broken.into(),
        Err(error) => return Err(error),
    };
    match usable {
        Usable::Yes(opened) => Ok(opened.replayed.damage),
        Usable::No(Unusable::Contradicted(_)) => Ok(Vec::new()),
        Usable::No(reason) => {
            Ok(make_anew(place, id, Mode::Shared, (None, reason.old()), false)?.replayed.damage)
        }
    }
}

/// The catalogue that is there, as one that may know what damaged packs have lost.
#[derive(Debug)]
pub(crate) enum Witness {
    /// There is none.
    Missing,
    /// It is damaged, or another archive's.
    Unsound,
    /// It is sound and of this archive, and knows all that the packs have.
    Usable(Box<Connection>, State),
}

/// Brings the catalogue up to date and looks whether it can be believed. The caller holds the lock.
pub(crate) fn witness(place: &Place, id: ArchiveId, mode: Mode) -> Result<Witness> {
    let looked = || -> Result<Witness> {
        let catalogue = match use_catalogue(place, id, mode, false)? {
            Usable::Yes(opened) => opened.catalogue,
            // What it misses is not missing.
            Usable::No(Unusable::Missing | Unusable::Overtaken) => return Ok(Witness::Missing),
            Usable::No(Unusable::Broken) => return Ok(Witness::Unsound),
            Usable::No(Unusable::Contradicted(_)) => {
                catalogue::open_for_writing(place.catalogue.as_deref(), mode, id)?
            }
        };
        let state =
            catalogue::state(&catalogue)?.filter(|_| catalogue::is_sound(&catalogue).unwrap_or(false));
        Ok(state.map_or(Witness::Unsound, |state| Witness::Usable(Box::new(catalogue), state)))
    };
    match looked() {
        Err(error) if catalogue::is_broken(&error) => Ok(Witness::Unsound),
        looked => looked,
    }
}

/// What becomes of the catalogue in whose place another is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Old {
    /// It holds nothing that the new one does not.
    Discard,
    /// It is damaged, another archive's, or knows what the packs do not: moved into quarantine.
    Keep,
    /// Moved into quarantine when damage is met in the packs: then it may be what knows more.
    KeepIfHurt,
}

/// Brings the catalogue up to date if it can be used, and leaves it alone if not. The caller holds the lock.
pub(crate) fn follow(place: &Place, id: ArchiveId) -> Result<Vec<Damage>> {
    match use_catalogue(place, id, Mode::Shared, false)? {
        Usable::Yes(opened) => Ok(opened.replayed.damage),
        Usable::No(_) => Ok(Vec::new()),
    }
}

/// Makes the catalogue from the packs alone. The caller holds the lock.
pub(crate) fn make_anew(
    place: &Place,
    id: ArchiveId,
    mode: Mode,
    (vouched, old): (Option<State>, Old),
    settle: bool,
) -> Result<Opened> {
    let files = discover(place, id, &Known::default())?;
    let settled = (!settle || settle_last(&files, None)?) && vouched.is_none();
    let Some(path) = &place.catalogue else {
        let catalogue = catalogue::open_for_writing(None, mode, id)?;
        let replayed = replay_all(&files, &catalogue, vouched)?;
        return Ok(Opened { catalogue, files, replayed, before: None, vouched, settled });
    };
    let aside = aside(path);
    catalogue::remove(&aside)?;
    let making = catalogue::open_for_making(Some(&aside), id)?;
    let replayed = replay_all(&files, &making, vouched)?;
    catalogue::finish(&making)?;
    drop(making);
    if old == Old::Keep || old == Old::KeepIfHurt && !replayed.damage.is_empty() {
        quarantine::catalogue(path)?;
    }
    catalogue::replace(&aside, path)?;
    let catalogue = catalogue::open_for_writing(Some(path), mode, id)?;
    Ok(Opened { catalogue, files, replayed, before: None, vouched, settled })
}

/// Everything that the packs hold. What a catalogue has vouched for and they do not have is damage, and
/// none of the numbers that it knows is handed out again.
fn replay_all(files: &PackFiles, to: &Connection, vouched: Option<State>) -> Result<Replayed> {
    let mut replayed = replay(files, to, vouched)?;
    if let Some(state) = vouched {
        let (new, known) =
            damage::sort_out(to, missing_at_the_end(replayed.last, &state).into_iter().collect())?;
        replayed.damage.extend(new);
        replayed.known_damage.extend(known);
        replayed.next = replayed.next.max(state.next);
    }
    Ok(replayed)
}

/// D12: commits that a catalogue has applied, and with which the packs should end.
pub(crate) fn missing_at_the_end(last: CommitId, vouched: &State) -> Option<Damage> {
    let count = vouched.commit.number.checked_sub(last.number).filter(|&count| count > 0)?;
    let (pack, _) = vouched.position?;
    let first = last.number + 1;
    Some(Damage {
        pack: pack.to_string(),
        offset: 0,
        length: 0,
        what: format!(
            "commits {first} to {} are missing; the catalogue has seen them",
            vouched.commit.number
        ),
        id: pack,
        kind: DamageKind::CommitsMissing { first, count },
    })
}

/// A catalogue in a temporary place, from the packs alone, for reading where nothing can be written.
pub(crate) fn make_temporary(place: &Place, id: ArchiveId, vouched: Option<State>) -> Result<Opened> {
    let files = discover(place, id, &Known::default())?;
    let catalogue = catalogue::open_for_making(None, id)?;
    let replayed = replay_all(&files, &catalogue, vouched)?;
    catalogue::finish(&catalogue)?;
    Ok(Opened { catalogue, files, replayed, before: None, vouched, settled: true })
}

/// Finds the packs. What is known may be believed by its name.
pub(crate) fn discover(place: &Place, id: ArchiveId, known: &Known) -> Result<PackFiles> {
    PackFiles::discover(place.disk.clone(), place.packs(), id, known)
}

/// Finds the packs that belong to a catalogue. Names are believed as long as nothing is odd; else every
/// file is looked into (D13): packs may have each other's names. That of the pack that may be written to is
/// looked at in any case.
pub(crate) fn look(place: &Place, id: ArchiveId, catalogue: &Connection, state: &State) -> Result<PackFiles> {
    let known = Known { by_name: true, ..known_packs(catalogue)? };
    let files = discover(place, id, &known)?;
    let mut believed = agrees(&files, state)? && missing_or_cut(&files, catalogue)?.is_empty();
    if let Some((pack, _)) = state.position.filter(|_| believed) {
        believed = !files.is_elsewhere(pack)?;
    }
    if believed {
        return Ok(files);
    }
    discover(place, id, &Known { by_name: false, ..known })
}

/// The packs that a catalogue knows.
pub(crate) fn known_packs(catalogue: &Connection) -> Result<Known> {
    let packs = query::packs(catalogue)?.into_iter().map(|(pack, _)| pack).collect();
    Ok(Known { packs, retired: retired::all(catalogue)?, by_name: false })
}

/// Whether the catalogue counts with other packs than those that are there, and all the same nothing is
/// missing: it is older than the removal of packs that were replaced; or it is younger than a copy that was
/// made in the middle of a compaction, which has the old packs and not the one that stands for them.
pub(crate) fn is_overtaken(files: &PackFiles, catalogue: &Connection) -> Result<bool> {
    let is_gone = |(pack, _): (PackId, u64)| files.is_retired(pack);
    Ok(query::packs(catalogue)?.into_iter().any(is_gone)
        || files.retired().iter().any(|file| files.standing_for(file.pack).is_none()))
}

fn aside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

enum Usable {
    Yes(Box<Opened>),
    No(Unusable),
}

/// Why a catalogue is made anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unusable {
    Missing,
    Broken,
    /// Of this archive, and it counts with other packs that hold the same.
    Overtaken,
    /// Of this archive, but ahead of the packs, or of another history. What it had applied was synced.
    Contradicted(State),
}

impl Unusable {
    fn vouched(self) -> Option<State> {
        match self {
            Self::Contradicted(state) => Some(state),
            Self::Missing | Self::Broken | Self::Overtaken => None,
        }
    }

    /// What becomes of the catalogue.
    fn old(self) -> Old {
        match self {
            Self::Missing => Old::Discard,
            Self::Overtaken => Old::KeepIfHurt,
            Self::Broken | Self::Contradicted(_) => Old::Keep,
        }
    }
}

impl From<Unusable> for Usable {
    fn from(reason: Unusable) -> Self {
        Self::No(reason)
    }
}

fn use_catalogue(place: &Place, id: ArchiveId, mode: Mode, settle: bool) -> Result<Usable> {
    if place.catalogue.as_ref().is_none_or(|path| !path.exists()) {
        return Ok(Unusable::Missing.into());
    }
    let catalogue = catalogue::open_for_writing(place.catalogue.as_deref(), mode, id)?;
    if catalogue::is_outdated(&catalogue)? {
        return Ok(Unusable::Missing.into());
    }
    let Some(state) = catalogue::state(&catalogue)?.filter(|state| state.archive == id) else {
        return Ok(Unusable::Broken.into());
    };
    let mut files = look(place, id, &catalogue, &state)?;
    if is_overtaken(&files, &catalogue)? {
        return Ok(Unusable::Overtaken.into());
    }
    if !agrees(&files, &state)? {
        return Ok(Unusable::Contradicted(state).into());
    }
    let settled = !settle || settle_last(&files, Some(&state))?;
    let mut replayed = replay(&files, &catalogue, None)?;
    if !files.waiting().is_empty() {
        take_waiting(&files, &catalogue)?;
        files = discover(place, id, &known_packs(&catalogue)?)?;
        follow_the_end(&mut replayed, &catalogue)?;
    }
    let (new, known) = damage::sort_out(&catalogue, missing_or_cut(&files, &catalogue)?)?;
    replayed.damage.splice(0..0, new);
    replayed.known_damage.splice(0..0, known);
    let before = Some(state);
    Ok(Usable::Yes(Box::new(Opened { catalogue, files, replayed, before, vouched: None, settled })))
}

/// Whether the catalogue's last commit lies where it says.
pub(crate) fn agrees(files: &PackFiles, state: &State) -> Result<bool> {
    let Some((pack, end)) = state.position else { return Ok(state.commit.number == 0) };
    if files.find(pack).is_none_or(|file| file.length < end) {
        return Ok(false);
    }
    let Some(offset) = end.checked_sub(HEADER_BYTES as u64 + CommitFields::BYTES) else { return Ok(false) };
    let reader = match files.reader(pack) {
        Ok(reader) => reader,
        Err(Error::PackMissing { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let is_it = |header: FrameHeader| header.kind == Kind::Commit && header.check == state.commit.check;
    let stands_for_it = || {
        standing_commit(&reader, end).is_some_and(|(number, others)| {
            (number, others.check) == (state.commit.number, state.commit.check)
        })
    };
    Ok(reader.header(offset).is_ok_and(is_it) || stands_for_it())
}

/// D12: packs that the catalogue knows and that are not there, or shorter than they were.
pub(crate) fn missing_or_cut(files: &PackFiles, catalogue: &Connection) -> Result<Vec<Damage>> {
    let mut damage = Vec::new();
    for (id, length) in query::packs(catalogue)? {
        match files.find(id) {
            Some(file) if file.length >= length => {}
            Some(file) => {
                let what = format!("the pack has {} bytes, it had {length}", file.length);
                let (pack, offset) = (file.name.to_string(), file.length);
                let (length, kind) = (length - offset, DamageKind::Bytes);
                damage.push(Damage { pack, offset, length, what, id, kind });
            }
            None if !query::has_pack(catalogue, id)? => {
                return Err(Error::CatalogueWrong { what: "its packs are not those of its index" });
            }
            None => {
                let (what, kind) = ("the pack is missing".to_owned(), DamageKind::PackMissing);
                damage.push(Damage { pack: id.to_string(), offset: 0, length, what, id, kind });
            }
        }
    }
    Ok(damage)
}

/// D6: what an earlier writer left behind the catalogue's last commit may be only in memory. It is
/// synced, and then read from the medium.
/// `false`: the sync failed. What is read afterwards decides, but nothing is appended there any more.
fn settle_last(files: &PackFiles, state: Option<&State>) -> Result<bool> {
    let Some(last) = files.packs().last() else { return Ok(true) };
    let known_end = state.and_then(|state| state.position).filter(|(pack, _)| *pack == last.pack);
    if known_end.is_some_and(|(_, end)| end == last.length) {
        return Ok(true);
    }
    let reader = files.reader(last.pack)?;
    let synced = reader.file.sync().is_ok();
    reader.file.forget_cached();
    Ok(synced)
}

/// The identity of the archive, or the error that there is none.
pub(crate) fn require_identity(place: &Place) -> Result<ArchiveId> {
    crate::identity::identify_at(place)?.ok_or_else(|| Error::NotAnArchive { path: place.dir.clone() })
}

/// How SQLite can be used where the catalogue lies.
pub(crate) fn mode_for(place: &Place) -> Result<Mode> {
    let Some(dir) = place.catalogue.as_deref().and_then(Path::parent) else { return Ok(Mode::Shared) };
    let network = crate::disk::is_network(dir).doing("look at the file system of", dir)?;
    Ok(if network { Mode::Exclusive } else { Mode::Shared })
}
