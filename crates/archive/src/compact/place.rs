//! A compacted pack that takes the place of those that it was made from.
//!
//! The rename is the moment from which it counts: before it the file has a name that nobody looks at, and
//! behind it the pack is whole, for it was synced and read back. What the catalogue says follows in one
//! transaction; where a power cut comes between the two, whoever opens the archive for writing next does the
//! same step, and readers go on with the old packs until then.

use rusqlite::Connection;

use super::source::block_directories;
use crate::catalogue::{self, retired, tried};
use crate::error::{Context as _, Result};
use crate::identity::Place;
use crate::ids::{ArchiveId, PackId};
use crate::open::{bring_up, mode_for};
use crate::pack::files::{PackFile, PackFiles, open_pack};
use crate::pack::reader::PackReader;
use crate::pack::replaces::Replaces;
use crate::replay::{Replayed, Tail};

/// Brings a catalogue up to the compacted packs of which it has not heard. The caller holds the lock.
pub(crate) fn take_waiting(files: &PackFiles, catalogue: &Connection) -> Result<()> {
    for (file, replaces) in files.waiting() {
        take_place(files, catalogue, file, replaces)?;
    }
    Ok(())
}

/// What a replay has found, after packs were replaced: the last commit may lie in another one now.
pub(crate) fn follow_the_end(replayed: &mut Replayed, catalogue: &Connection) -> Result<()> {
    let position = catalogue::state(catalogue)?.and_then(|state| state.position);
    if replayed.end != position {
        // A compacted pack is sealed and has nothing behind its end.
        (replayed.end, replayed.tail, replayed.intact) = (position, Tail::None, false);
    }
    Ok(())
}

fn take_place(files: &PackFiles, to: &Connection, file: &PackFile, replaces: &Replaces) -> Result<()> {
    let reader = files.open(file)?;
    let mut blocks = block_directories(&reader, replaces.length)?;
    to.execute_batch("BEGIN IMMEDIATE")?;
    let taken = retired::take_place(to, file.pack, replaces, &mut blocks);
    to.execute_batch(if taken.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    taken
}

/// Gives a pack that was made and proven its name, and tells the catalogue. The caller holds the lock.
/// `false`: what it was made from is not what counts any more, and nothing was done.
pub(super) fn put_in_place(
    place: &Place,
    id: ArchiveId,
    making: &PackFile,
    name: &str,
    replaces: &Replaces,
) -> Result<bool> {
    let opened = bring_up(place, id, mode_for(place)?, false)?;
    if retired::sources(&opened.catalogue, replaces)?.is_none() {
        return Ok(false);
    }
    let (from, to) = (place.packs().join(&*making.name), place.packs().join(name));
    place.disk.rename(&from, &to).doing("rename", &from)?;
    place.disk.sync_dir(&place.packs()).doing("sync", &place.packs())?;
    let file = PackFile { name: name.into(), ..making.clone() };
    take_place(&opened.files, &opened.catalogue, &file, replaces)?;
    Ok(true)
}

/// Remembers that packs became no smaller. The caller holds the lock.
pub(super) fn remember_tried(
    place: &Place,
    id: ArchiveId,
    packs: &[PackId],
    (bytes, level): (u64, i32),
) -> Result<()> {
    let opened = bring_up(place, id, mode_for(place)?, false)?;
    opened.catalogue.execute_batch("BEGIN IMMEDIATE")?;
    let noted = tried::note(&opened.catalogue, packs, bytes, level);
    opened.catalogue.execute_batch(if noted.is_ok() { "COMMIT" } else { "ROLLBACK" })?;
    noted
}

/// Opens a file that is no pack yet.
pub(super) fn open_making(place: &Place, id: ArchiveId, making: &PackFile) -> Result<PackReader> {
    let reader = open_pack(&*place.disk, &place.packs(), id, making)?;
    reader.file.forget_cached();
    Ok(reader)
}
