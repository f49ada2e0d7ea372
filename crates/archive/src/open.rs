//! An archive opened: its packs found, its catalogue brought to where the packs are.
//!
//! The catalogue is believed only where the packs agree: it must be of this archive, and the commit
//! that it names as its last must lie where it says. Then what the packs have beyond it is replayed.
//! Anything else about it that is odd means that it is made anew: beside the old one, and put in its
//! place when it is finished (D14).

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::catalogue::{self, Mode, State, query};
use crate::error::{Context as _, Error, Result};
use crate::frame::{CommitFields, HEADER_BYTES, Kind};
use crate::identity::Place;
use crate::ids::{ArchiveId, PackId};
use crate::pack::files::PackFiles;
use crate::replay::{Damage, Replayed, replay};

/// An archive whose catalogue knows all that its packs have.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) catalogue: Connection,
    pub(crate) files: PackFiles,
    pub(crate) replayed: Replayed,
    /// The catalogue as it was before, when it was to be believed.
    pub(crate) before: Option<State>,
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
        Usable::No(reason) => make_anew(place, id, mode, reason.vouched(), settle),
    }
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
    vouched: Option<State>,
    settle: bool,
) -> Result<Opened> {
    let files = discover(place, id, &HashSet::new())?;
    if settle {
        settle_last(&files, None)?;
    }
    let Some(path) = &place.catalogue else {
        let catalogue = catalogue::open_for_writing(None, mode, id)?;
        let replayed = replay(&files, &catalogue, vouched)?;
        return Ok(Opened { catalogue, files, replayed, before: None });
    };
    let aside = aside(path);
    catalogue::remove(&aside)?;
    let making = catalogue::open_for_making(Some(&aside), id)?;
    let replayed = replay(&files, &making, vouched)?;
    catalogue::finish(&making)?;
    drop(making);
    catalogue::replace(&aside, path)?;
    let catalogue = catalogue::open_for_writing(Some(path), mode, id)?;
    Ok(Opened { catalogue, files, replayed, before: None })
}

/// A catalogue in a temporary place, from the packs alone, for reading where nothing can be written.
pub(crate) fn make_temporary(place: &Place, id: ArchiveId) -> Result<Opened> {
    let files = discover(place, id, &HashSet::new())?;
    let catalogue = catalogue::open_for_making(None, id)?;
    let replayed = replay(&files, &catalogue, None)?;
    catalogue::finish(&catalogue)?;
    Ok(Opened { catalogue, files, replayed, before: None })
}

/// Finds the packs; those that the catalogue knows are not looked into.
pub(crate) fn discover(place: &Place, id: ArchiveId, known: &HashSet<PackId>) -> Result<PackFiles> {
    PackFiles::discover(place.disk.clone(), place.packs(), id, known)
}

/// The packs that a catalogue knows.
pub(crate) fn known_packs(catalogue: &Connection) -> Result<HashSet<PackId>> {
    Ok(query::packs(catalogue)?.into_iter().map(|(pack, _)| pack).collect())
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
enum Unusable {
    Missing,
    Broken,
    /// Of this archive, but ahead of the packs, or of another history. What it had applied was synced.
    Contradicted(State),
}

impl Unusable {
    fn vouched(self) -> Option<State> {
        match self {
            Self::Contradicted(state) => Some(state),
            Self::Missing | Self::Broken => None,
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
    let Some(state) = catalogue::state(&catalogue)?.filter(|state| state.archive == id) else {
        return Ok(Unusable::Broken.into());
    };
    let files = discover(place, id, &known_packs(&catalogue)?)?;
    if !agrees(&files, &state)? {
        return Ok(Unusable::Contradicted(state).into());
    }
    if settle {
        settle_last(&files, Some(&state))?;
    }
    let mut replayed = replay(&files, &catalogue, None)?;
    replayed.damage.splice(0..0, missing_or_cut(&files, &catalogue)?);
    Ok(Usable::Yes(Box::new(Opened { catalogue, files, replayed, before: Some(state) })))
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
    Ok(reader
        .header(offset)
        .is_ok_and(|header| header.kind == Kind::Commit && header.check == state.commit.check))
}

/// D12: packs that the catalogue knows and that are not there, or shorter than they were.
fn missing_or_cut(files: &PackFiles, catalogue: &Connection) -> Result<Vec<Damage>> {
    let mut damage = Vec::new();
    for (pack, length) in query::packs(catalogue)? {
        match files.find(pack) {
            Some(file) if file.length >= length => {}
            Some(file) => {
                let what = format!("the pack has {} bytes, it had {length}", file.length);
                damage.push(Damage { pack: file.name.to_string(), offset: file.length, what });
            }
            None => {
                let what = "the pack is missing".to_owned();
                damage.push(Damage { pack: pack.to_string(), offset: 0, what });
            }
        }
    }
    Ok(damage)
}

/// D6: what an earlier writer left behind the catalogue's last commit may be only in memory. It is
/// synced, and then read from the medium.
fn settle_last(files: &PackFiles, state: Option<&State>) -> Result<()> {
    let Some(last) = files.packs().last() else { return Ok(()) };
    let known_end = state.and_then(|state| state.position).filter(|(pack, _)| *pack == last.pack);
    if known_end.is_some_and(|(_, end)| end == last.length) {
        return Ok(());
    }
    let reader = files.reader(last.pack)?;
    // A failure here is the second word of a disk that failed before: what is read afterwards decides.
    let _ = reader.file.sync();
    reader.file.forget_cached();
    Ok(())
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
