//! The identity of an archive: `archive.toml`, and what to make of a folder that lacks it.
//!
//! The file says which archive this is and in which format; each pack says the same. So when the
//! file is lost or empty (a crash of another program, a careless copy), the packs, if they all agree,
//! are believed, and the next writer writes the file again (rules A1 to A6).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::damage::{Damage, DamageKind};
use crate::disk::{Access, Disk, Entry, RealDisk, read_exact_at, read_small, write_all_at};
use crate::error::{Context as _, Error, Result};
use crate::ids::{ArchiveId, PackId, parse_hex};
use crate::lock::Lock;
use crate::pack::header::{FORMAT_VERSION, PACK_HEADER_BYTES, PackHeader, parse_file_name};
use crate::surroundings::{Machine, Surroundings};

/// The identity file.
const IDENTITY_FILE: &str = "archive.toml";
/// Written first, then renamed over the identity file.
const IDENTITY_ASIDE: &str = "archive.toml.new";
/// The folder of packs.
const PACKS_DIR: &str = "packs";
/// The lock; its content means nothing.
const LOCK_FILE: &str = "lock";
/// The owner mark.
const OWNER_FILE: &str = "owner";
/// The catalogue.
const CATALOGUE_FILE: &str = "catalog.db";
/// An identity file is some 150 bytes long.
const IDENTITY_LIMIT: usize = 4096;

/// An archive's folder, and the disk that it lies on.
#[derive(Clone, Debug)]
pub struct Place {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    /// Where the catalogue lies; `None`: in memory, made anew at each opening.
    pub(crate) catalogue: Option<PathBuf>,
}

impl Place {
    /// A folder of the machine.
    #[must_use]
    pub fn real(dir: &Path) -> Self {
        Self { disk: Arc::new(RealDisk), dir: dir.to_owned(), catalogue: Some(dir.join(CATALOGUE_FILE)) }
    }

    /// A folder on another kind of disk; the catalogue, which SQLite keeps, in memory or in a file of
    /// the machine.
    #[must_use]
    pub fn on(disk: Arc<dyn Disk>, dir: &Path, catalogue: Option<PathBuf>) -> Self {
        Self { disk, dir: dir.to_owned(), catalogue }
    }

    pub(crate) fn packs(&self) -> PathBuf {
        self.dir.join(PACKS_DIR)
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.dir.join(LOCK_FILE)
    }

    pub(crate) fn owner(&self) -> PathBuf {
        self.dir.join(OWNER_FILE)
    }
}

/// Makes a new archive in a [vacant](is_vacant) folder; the folders above it must be there. All of it
/// is for its owner alone.
///
/// # Errors
/// When something is in the folder, another is making an archive there, or the file system refuses.
pub fn init(dir: &Path) -> Result<ArchiveId> {
    init_at(&Place::real(dir), &Machine)
}

/// Which archive lies in the folder; `None` when none does (also when there is no such folder).
///
/// # Errors
/// When the folder cannot be read, or holds an archive in a newer format.
pub fn identify(dir: &Path) -> Result<Option<ArchiveId>> {
    identify_at(&Place::real(dir))
}

/// [`init`] on any disk.
///
/// # Errors
/// As [`init`].
pub fn init_at(place: &Place, surroundings: &dyn Surroundings) -> Result<ArchiveId> {
    let (disk, dir) = (&*place.disk, &*place.dir);
    match disk.list(dir) {
        Ok(entries) if !is_free(place, &entries)? => return Err(Error::NotEmpty { path: dir.to_owned() }),
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            may_be_there(disk.create_dir(dir)).doing("create", dir)?;
            if let Some(parent) = dir.parent().filter(|parent| !parent.as_os_str().is_empty()) {
                disk.sync_dir(parent).doing("sync", parent)?;
            }
        }
        Err(error) => return Err(error).doing("list", dir),
    }
    // D17: of several that begin at once, one makes the archive. Two would leave one's packs under the
    // other's identity.
    let _lock = Lock::take(place)?;
    if read_identity(place)?.is_some() {
        return Err(Error::Locked { path: dir.to_owned() });
    }
    let id = ArchiveId(surroundings.random().doing("draw an id for", dir)?);
    may_be_there(disk.create_dir(&place.packs())).doing("create", &place.packs())?;
    may_be_there(disk.create(&place.owner()).map(drop)).doing("create", &place.owner())?;
    // An identity file without the rest would be an archive that cannot be opened.
    disk.sync_dir(dir).doing("sync", dir)?;
    // Last, because it is what makes the folder an archive.
    write_identity(place, id)?;
    Ok(id)
}

/// Whether a new archive can be made in the folder: it is missing, or holds nothing but what an
/// [`init`] that was cut short has made there, and the `lost+found` of a disk's own root.
///
/// # Errors
/// When the folder cannot be read.
pub fn is_vacant(dir: &Path) -> Result<bool> {
    let place = Place::real(dir);
    match place.disk.list(dir) {
        Ok(entries) => is_free(&place, &entries),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(error).doing("list", dir),
    }
}

/// Whether a new archive can be made in a folder that holds this: nothing, or no more than an `init`
/// leaves behind that was cut off before there was an archive.
fn is_free(place: &Place, entries: &[Entry]) -> Result<bool> {
    for entry in entries {
        let left_by_init = match &*entry.name {
            PACKS_DIR if !entry.is_file => {
                place.disk.list(&place.packs()).doing("list", &place.packs())?.is_empty()
            }
            LOCK_FILE | OWNER_FILE => entry.is_file && entry.length == 0,
            IDENTITY_ASIDE => entry.is_file,
            "lost+found" => !entry.is_file,
            _ => false,
        };
        if !left_by_init {
            return Ok(false);
        }
    }
    Ok(true)
}

fn may_be_there(made: std::io::Result<()>) -> std::io::Result<()> {
    match made {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

/// [`identify`] on any disk.
///
/// # Errors
/// As [`identify`].
pub fn identify_at(place: &Place) -> Result<Option<ArchiveId>> {
    match read_identity(place)? {
        Some(id) => Ok(Some(id)),
        None => identity_by_packs(place),
    }
}

/// Writes the identity file: aside, synced, renamed, the folder synced (D5).
pub(crate) fn write_identity(place: &Place, id: ArchiveId) -> Result<()> {
    let (disk, aside) = (&*place.disk, place.dir.join(IDENTITY_ASIDE));
    let target = place.dir.join(IDENTITY_FILE);
    let statement = statement(FORMAT_VERSION.into(), id);
    let text = format!(
        "# This folder is an archive of restante; docs/archive-format.md describes it.\n\
         {statement}check = \"{}\"\n",
        check(&statement)
    );
    // A remainder of an earlier attempt; it was never more than a copy.
    let _ = disk.remove(&aside);
    let file = disk.create(&aside).doing("create", &aside)?;
    write_all_at(&*file, text.as_bytes(), 0).doing("write", &aside)?;
    file.sync().doing("sync", &aside)?;
    disk.rename(&aside, &target).doing("rename", &aside)?;
    disk.sync_dir(&place.dir).doing("sync", &place.dir)
}

/// What the identity file says, in the lines that its check covers (A6).
fn statement(format: u64, id: ArchiveId) -> String {
    format!("format = {format}\nid = \"{id}\"\n")
}

/// The first eight bytes of the statement's BLAKE3, in hex: a flipped digit of the id would else name
/// another archive, to which no pack belongs.
fn check(statement: &str) -> String {
    blake3::hash(statement.as_bytes()).to_hex()[..16].to_owned()
}

/// The identity file's word; `None` when it is missing or damaged.
pub(crate) fn read_identity(place: &Place) -> Result<Option<ArchiveId>> {
    let path = place.dir.join(IDENTITY_FILE);
    let bytes = match place.disk.open(&path, Access::Read).and_then(|file| read_small(&*file, IDENTITY_LIMIT))
    {
        Ok(bytes) => bytes,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error).doing("read", &path),
    };
    let text = String::from_utf8_lossy(&bytes);
    let value = |key: &str| {
        text.lines().filter_map(|line| line.split_once('=')).find_map(|(found, value)| {
            (found.trim() == key).then(|| value.trim().trim_matches('"').to_owned())
        })
    };
    let Some(format) = value("format").and_then(|text| text.parse::<u64>().ok()) else {
        return Ok(None);
    };
    let id = value("id").and_then(|text| parse_hex(&text)).map(ArchiveId);
    let said = id.map(|id| check(&statement(format, id)));
    if value("check").is_some_and(|check| said != Some(check)) {
        return Ok(None);
    }
    if format > FORMAT_VERSION.into() {
        let what = path.display().to_string();
        return Err(Error::NewerFormat { what, found: format, known: FORMAT_VERSION.into() });
    }
    Ok(id)
}

/// What verify says of an identity file that does not name its archive.
pub(crate) fn identity_damage(place: &Place, id: ArchiveId) -> Result<Option<Damage>> {
    let what = match read_identity(place)? {
        Some(found) if found == id => return Ok(None),
        Some(found) => format!("it names archive {found}, the packs are of {id}"),
        None => format!(
            "it is missing or damaged; the packs are of archive {id}, and the next run writes it again"
        ),
    };
    let (pack, nowhere) = (IDENTITY_FILE.to_owned(), PackId([0; 8]));
    Ok(Some(Damage { pack, offset: 0, length: 0, what, id: nowhere, kind: DamageKind::Bytes }))
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// A3: without the file, the packs are asked; they must agree.
fn identity_by_packs(place: &Place) -> Result<Option<ArchiveId>> {
    let dir = place.packs();
    let entries = match place.disk.list(&dir) {
        Ok(entries) => entries,
        Err(error) if is_absent(&error) => return Ok(None),
        Err(error) => return Err(error).doing("list", &dir),
    };
    let mut agreed = None;
    for entry in entries.iter().filter(|entry| entry.is_file && parse_file_name(&entry.name).is_some()) {
        let path = dir.join(&entry.name);
        let mut bytes = [0; PACK_HEADER_BYTES];
        let file = place.disk.open(&path, Access::Read).doing("open", &path)?;
        if !read_exact_at(&*file, &mut bytes, 0).doing("read", &path)? {
            continue;
        }
        let Ok(header) = PackHeader::decode(&bytes) else { continue };
        if agreed.is_some_and(|agreed| agreed != header.archive) {
            return Ok(None);
        }
        agreed = Some(header.archive);
    }
    Ok(agreed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_new_archive_is_known_by_its_id_and_is_made_only_in_an_empty_folder() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("archive");
        assert_eq!(identify(&path).unwrap(), None);
        let id = init(&path).unwrap();
        assert_eq!(identify(&path).unwrap(), Some(id));
        assert!(matches!(init(&path), Err(Error::NotEmpty { .. })));
        assert!(matches!(init(dir.path()), Err(Error::NotEmpty { .. })));
    }

    #[test]
    fn d29_an_identity_file_of_a_newer_format_is_refused_with_both_versions() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("archive.toml"), "format = 7\nfuture = [1]\n").unwrap();
        let error = identify(dir.path()).unwrap_err().to_string();
        assert!(error.contains("format 7") && error.contains("up to 1"), "{error}");
    }

    #[test]
    fn d11_every_flipped_bit_of_the_identity_file_is_harmless_or_told() {
        use crate::stories::{World, pull};
        let world = World::new();
        pull(&mut world.writer(), 1..4);
        let path = Path::new("/archive").join(IDENTITY_FILE);
        let whole = world.disk.read(&path);
        let id = identify_at(&world.place).unwrap();
        let comment = whole.iter().position(|&byte| byte == b'\n').unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            world.disk.write(&path, &bytes);
            assert_eq!(identify_at(&world.place).unwrap(), id, "bit {bit}");
            let told = identity_damage(&world.place, id.unwrap()).unwrap().is_some();
            let says_the_same = read_identity(&world.place).unwrap() == id;
            assert!(told != says_the_same, "bit {bit}");
            assert!(bit / 8 >= comment || says_the_same, "a comment may say what it likes");
        }
        world.disk.write(&path, &[]);
        drop(world.writer());
        assert_eq!(world.disk.read(&path), whole, "the next writer writes it again");
    }

    #[test]
    fn d05_the_identity_file_is_renamed_only_after_its_bytes_are_synced() {
        use crate::disk::simulated::{Operation, SimulatedDisk};
        let disk = SimulatedDisk::new();
        let place = Place::on(Arc::new(disk.clone()), Path::new("/a"), None);
        init_at(&place, &crate::surroundings::fixed::Fixed::default()).unwrap();
        let record = disk.record();
        let at = |wanted: fn(&Operation) -> bool| record.iter().rposition(wanted).unwrap();
        let written = at(|operation| matches!(operation, Operation::Write { .. }));
        let synced = at(|operation| matches!(operation, Operation::Sync { .. }));
        let renamed = at(|operation| matches!(operation, Operation::Rename { .. }));
        let entered = at(|operation| matches!(operation, Operation::SyncDir(_)));
        assert!(written < synced && synced < renamed && renamed < entered);
    }
}
