//! Files that are of no use, or stand in the way, are moved aside and never deleted.
//!
//! Damaged frames stay in their packs; what goes into the folder `quarantine` are whole files: a catalogue
//! that is damaged, of another archive, or that knows what the packs do not say, before another takes its
//! place; and a file named like a pack of which not one frame can be read. Nothing reads this folder. A person
//! may look into it, hand it to whoever rescues data, or delete it.

use std::path::{Path, PathBuf};

use crate::catalogue;
use crate::error::{Context as _, Result};
use crate::identity::Place;

/// The folder's name, in the archive.
pub(crate) const FOLDER: &str = "quarantine";

/// Moves a catalogue, with its write-ahead log, out of the way; where it is now.
pub(crate) fn catalogue(path: &Path) -> Result<Option<PathBuf>> {
    if !path.exists() {
        return Ok(None);
    }
    let folder = path.parent().unwrap_or(Path::new(".")).join(FOLDER);
    if !folder.exists() {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new().mode(0o700).create(&folder).doing("create", &folder)?;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let target = numbered(&name).map(|name| folder.join(name)).find(|target| !target.exists());
    let target = target.expect("numbers do not end before names do");
    catalogue::rename(path, &target)?;
    let synced = std::fs::File::open(&folder).and_then(|folder| folder.sync_all());
    synced.doing("sync", &folder)?;
    Ok(Some(target))
}

/// The catalogues that were moved out of the way of this one.
pub(crate) fn catalogues(path: &Path) -> Vec<PathBuf> {
    let folder = path.parent().unwrap_or(Path::new(".")).join(FOLDER);
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let is_one = |other: &str| {
        other == name
            || other
                .strip_prefix(&name)
                .and_then(|rest| rest.strip_prefix('.'))
                .is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    // Without the folder there is none.
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries
        .filter(|entry| is_one(&entry.file_name().to_string_lossy()))
        .map(|entry| entry.path())
        .collect();
    found.sort();
    found
}

/// Moves a file of the folder of packs out of the way; where it is now, within the archive.
pub(crate) fn pack(place: &Place, name: &str) -> Result<String> {
    let (disk, folder) = (&place.disk, place.dir.join(FOLDER));
    let there = match disk.list(&folder) {
        Ok(there) => there,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            disk.create_dir(&folder).doing("create", &folder)?;
            disk.sync_dir(&place.dir).doing("sync", &place.dir)?;
            Vec::new()
        }
        Err(error) => return Err(error).doing("list", &folder),
    };
    let free = numbered(name).find(|name| there.iter().all(|entry| entry.name != *name));
    let target = free.expect("numbers do not end before names do");
    let from = place.packs().join(name);
    disk.rename(&from, &folder.join(&target)).doing("move aside", &from)?;
    for dir in [&folder, &place.packs()] {
        disk.sync_dir(dir).doing("sync", dir)?;
    }
    Ok(format!("{FOLDER}/{target}"))
}

/// A name, and more names like it.
fn numbered(name: &str) -> impl Iterator<Item = String> {
    let name = name.to_owned();
    (1u64..).map(move |number| if number == 1 { name.clone() } else { format!("{name}.{number}") })
}
