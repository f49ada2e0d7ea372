//! An archive opened for reading, beside a writer or alone.
//!
//! When nobody writes and the catalogue lags behind the packs, is missing or broken, it is brought up to
//! date first. When that cannot be done (a writer has the lock and the catalogue cannot be used, or the
//! medium cannot be written), a catalogue is made in a temporary place: slow, and right.

use std::path::Path;

use rusqlite::Connection;

use crate::blocks::{BlockCache, Shelves};
use crate::catalogue::{self, Mode, State, query};
use crate::damage::Damage;
use crate::error::{Error, Result};
use crate::identity::Place;
use crate::ids::{ArchiveId, CommitId};
use crate::lock::Lock;
use crate::open::{
    agrees, bring_up_to_read, follow, is_overtaken, look, make_temporary, mode_for, require_identity,
};
use crate::pack::files::PackFiles;
use crate::view::View;

/// An archive, as of the moment in which it was opened.
#[derive(Debug)]
pub struct Archive {
    place: Place,
    id: ArchiveId,
    catalogue: Connection,
    files: PackFiles,
    cache: BlockCache,
    damage: Vec<Damage>,
}

impl Archive {
    /// Opens an archive for reading.
    ///
    /// # Errors
    /// When there is no archive, it is in a newer format, or the disk refuses.
    pub fn open(dir: &Path) -> Result<Self> {
        Self::open_at(Place::real(dir))
    }

    /// [`open`](Self::open) on any disk.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_at(place: Place) -> Result<Self> {
        let id = require_identity(&place)?;
        let mut damage = Vec::new();
        if place.catalogue.is_some() && mode_for(&place)? == Mode::Shared {
            if let Some(archive) = Self::as_it_is(&place, id, true)? {
                return Ok(archive);
            }
            let caught_up = catch_up(&place, id, true)?;
            // A writer may have more in the packs than it has committed; nobody else may.
            let newest = matches!(caught_up, CaughtUp::Failed);
            if let CaughtUp::Yes(found) = caught_up {
                damage = found;
            }
            if let Some(archive) = Self::as_it_is(&place, id, newest)? {
                return Ok(Self { damage, ..archive });
            }
        }
        // A catalogue that knows more than the packs says at least what they should have.
        let vouched = snapshot(&place, id).ok().flatten().map(|(_, state)| state);
        let opened = make_temporary(&place, id, vouched)?;
        damage.extend(opened.replayed.damage);
        let (catalogue, files) = (opened.catalogue, opened.files);
        Ok(Self { place, id, catalogue, files, cache: BlockCache::default(), damage })
    }

    /// Opens an archive as far as its catalogue knows it: at once, without a lock that would keep a writer
    /// out even for a moment, and perhaps a commit behind the packs. None where that is not to be had: the
    /// catalogue cannot be used, or (on a network file system) is its writer's alone.
    ///
    /// # Errors
    /// When there is no archive, it is in a newer format, or the disk refuses.
    pub fn glance(dir: &Path) -> Result<Option<Self>> {
        let place = Place::real(dir);
        let id = require_identity(&place)?;
        if place.catalogue.is_none() || mode_for(&place)? != Mode::Shared {
            return Ok(None);
        }
        Self::as_it_is(&place, id, false)
    }

    /// With the catalogue as it is, if it can be used; with `newest` only if it knows all that the packs
    /// seem to have.
    fn as_it_is(place: &Place, id: ArchiveId, newest: bool) -> Result<Option<Self>> {
        let opened = snapshot(place, id);
        let (catalogue, state) = match opened {
            Ok(Some(opened)) => opened,
            Ok(None) | Err(Error::Catalogue(_) | Error::CatalogueWrong { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let files = match look(place, id, &catalogue, &state) {
            Err(error) if catalogue::is_broken(&error) => return Ok(None),
            looked => looked?,
        };
        if is_overtaken(&files, &catalogue)?
            || !agrees(&files, &state)?
            || newest && !is_newest(&files, &state)
        {
            return Ok(None);
        }
        let place = place.clone();
        Ok(Some(Self { place, id, catalogue, files, cache: BlockCache::default(), damage: Vec::new() }))
    }

    /// With this catalogue, whatever the packs say.
    #[cfg(test)]
    pub(crate) fn over(place: &Place, id: ArchiveId, catalogue: Connection) -> Self {
        let files = crate::open::discover(place, id, &Default::default()).expect("the packs can be listed");
        let (place, cache) = (place.clone(), BlockCache::default());
        Self { place, id, catalogue, files, cache, damage: Vec::new() }
    }

    /// Everything that can be asked.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        View {
            id: self.id,
            shelves: Shelves { catalogue: &self.catalogue, files: &self.files, cache: &self.cache },
            catalogue_file: self.place.catalogue.as_deref(),
        }
    }

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
        self.view().last_commit()
    }

    /// Damage that was met while the catalogue was brought up to date.
    #[must_use]
    pub fn damage(&self) -> &[Damage] {
        &self.damage
    }
}

/// The catalogue in one state, whatever is committed meanwhile; `None` when it is not to be used.
pub(crate) fn snapshot(place: &Place, id: ArchiveId) -> Result<Option<(Connection, State)>> {
    let Some(path) = place.catalogue.as_deref().filter(|path| path.exists()) else { return Ok(None) };
    let catalogue = catalogue::open_for_reading(path)?;
    catalogue.execute_batch("BEGIN")?;
    let state = catalogue::state(&catalogue)?.filter(|state| state.archive == id);
    // Something of every kind is read once, so that what SQLite cannot read shows here.
    query::packs(&catalogue)?;
    Ok(state.map(|state| (catalogue, state)))
}

/// Whether the listing shows nothing beyond what the catalogue knows.
fn is_newest(files: &PackFiles, state: &State) -> bool {
    match (files.packs().last(), state.position) {
        (None, None) => true,
        (Some(last), Some((pack, end))) => last.pack == pack && last.length == end,
        _ => false,
    }
}

/// What became of an attempt to bring the catalogue up to date.
pub(crate) enum CaughtUp {
    /// It was made; damage that was met.
    Yes(Vec<Damage>),
    /// A writer is at work, and keeps it up to date.
    Writing,
    /// The medium cannot be written, or is full.
    Failed,
}

/// Brings the catalogue up to date, if nobody writes and it can be written.
///
/// With `anew`, one that cannot be used is made again.
pub(crate) fn catch_up(place: &Place, id: ArchiveId, anew: bool) -> Result<CaughtUp> {
    let lock = match Lock::take(place) {
        Ok(lock) => lock,
        Err(Error::Locked { .. }) => return Ok(CaughtUp::Writing),
        Err(Error::Io { .. }) => return Ok(CaughtUp::Failed),
        Err(error) => return Err(error),
    };
    let brought = match anew {
        true => bring_up_to_read(place, id),
        false => follow(place, id),
    };
    drop(lock);
    match brought {
        Ok(damage) => Ok(CaughtUp::Yes(damage)),
        // The temporary catalogue will do.
        Err(Error::Catalogue(_) | Error::CatalogueWrong { .. } | Error::Io { .. }) => Ok(CaughtUp::Failed),
        Err(error) => Err(error),
    }
}
