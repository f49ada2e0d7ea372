//! One writer at a time.
//!
//! The lock is the kernel's, on a file that is always there: it goes with the process, so there is
//! no stale lock to judge and no file to make on a full disk. Kernel locks do not always reach across
//! machines, so each writer also leaves a random mark in the file `owner` and looks before each frame
//! whether it still stands there: if another's does, nothing more is written (D17).

use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::Arc;

use crate::disk::{Access, Disk, DiskFile, read_small, write_all_at};
use crate::error::{Context as _, Error, Result};
use crate::identity::Place;
use crate::surroundings::Surroundings;

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: Arc<dyn DiskFile>,
}

impl Lock {
    /// Takes the lock, or says that another has it.
    pub(crate) fn take(place: &Place) -> Result<Self> {
        Self::take_at(place, place.lock(), || Error::Locked { path: place.dir.clone() })
    }

    /// Takes another lock of the archive.
    pub(crate) fn take_file(place: &Place, name: &str, busy: impl FnOnce() -> Error) -> Result<Self> {
        Self::take_at(place, place.dir.join(name), busy)
    }

    fn take_at(place: &Place, path: PathBuf, busy: impl FnOnce() -> Error) -> Result<Self> {
        let file = match place.disk.open(&path, Access::Write) {
            // A copy that left the lock out is an archive all the same.
            Err(error) if error.kind() == ErrorKind::NotFound => match place.disk.create(&path) {
                // Another was quicker to make it.
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                    place.disk.open(&path, Access::Write)
                }
                created => created,
            },
            opened => opened,
        };
        let file = file.doing("open", &path)?;
        if file.try_lock().doing("lock", &path)? { Ok(Self { _file: file }) } else { Err(busy()) }
    }
}

/// The mark of this writer.
#[derive(Debug)]
pub(crate) struct OwnerMark {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    path: PathBuf,
    mark: [u8; 16],
}

impl OwnerMark {
    /// Leaves a new mark, in place of the last writer's.
    pub(crate) fn leave(place: &Place, surroundings: &dyn Surroundings) -> Result<Self> {
        let path = place.owner();
        let mark = surroundings.random().doing("draw a mark for", &path)?;
        let file = match place.disk.open(&path, Access::Write) {
            Err(error) if error.kind() == ErrorKind::NotFound => place.disk.create(&path),
            opened => opened,
        };
        let file = file.doing("open", &path)?;
        write_all_at(&*file, &mark, 0).doing("write", &path)?;
        file.sync().doing("sync", &path)?;
        Ok(Self { disk: place.disk.clone(), dir: place.dir.clone(), path, mark })
    }

    /// Whether the mark still stands.
    pub(crate) fn check(&self) -> Result<()> {
        let file = self.disk.open(&self.path, Access::Read).doing("open", &self.path)?;
        let found = read_small(&*file, 64).doing("read", &self.path)?;
        if found == self.mark { Ok(()) } else { Err(self.changed()) }
    }

    /// The error for what only another writer can have done.
    pub(crate) fn changed(&self) -> Error {
        Error::OwnerChanged { path: self.dir.clone() }
    }
}
