//! Which packs there are, and the few of them that are open.
//!
//! A folder that people copy, sync and mount holds more than packs: doubles, half copies, `.nfs`
//! files, `lost+found`. What a file is, its header says, not its name (D13): foreign files are left
//! alone and mentioned, a pack that is there twice counts once. Only where the header itself is
//! damaged is the name believed, and even then every frame proves by its checksum that it is right.
//!
//! Headers of packs that the catalogue knows are not read when the archive is opened, but when the
//! pack is first used, so that opening costs one listing, however many packs there are. Few packs
//! are kept open at a time (D23).

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::header::{FORMAT_VERSION, NoHeader, PACK_HEADER_BYTES, PackHeader, parse_file_name};
use super::reader::PackReader;
use super::replaces::Replaces;
use super::standing::{Compacted, Known, judge};
use super::walk::{Event, Walk};
use crate::disk::{Access, Disk, DiskFile, Entry, is_medium_error, read_exact_at};
use crate::error::{Context as _, Error, Result};
use crate::frame::FrameKey;
use crate::ids::{ArchiveId, PackId};

/// What a pack is called while it is being made (rule K3).
pub(crate) const MAKING_SUFFIX: &str = ".pack.new";

/// Packs kept open at the same time.
const OPEN_FILES: usize = 8;

/// One pack, as it was found.
#[derive(Clone, Debug)]
pub(crate) struct PackFile {
    pub(crate) name: Arc<str>,
    pub(crate) pack: PackId,
    pub(crate) sequence: u64,
    pub(crate) length: u64,
    pub(crate) header: Header,
}

/// What is known of a pack's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    /// Not read: name and length are those of a pack that the catalogue knows.
    Unread,
    /// Read, and right.
    Read(PackHeader),
    /// Damaged; id and sequence are those of the file's name.
    Damaged,
    /// The medium does not give it; so it may be right.
    Unreadable,
    /// Nothing of a header stands there: a power cut may have left the name before the bytes. Id and
    /// sequence are those of the file's name.
    Unwritten,
}

/// The packs of an archive.
#[derive(Debug)]
pub(crate) struct PackFiles {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    archive: ArchiveId,
    packs: Vec<PackFile>,
    retired: Vec<PackFile>,
    /// Which pack counts for one that is retired, whether that is there or not.
    stand_ins: HashMap<PackId, PackId>,
    waiting: Vec<(PackFile, Arc<Replaces>)>,
    /// Compacted packs that do not count, and might if their sources went.
    void: Vec<String>,
    /// What the compacted packs say that were looked into.
    compacted: HashMap<PackId, Arc<Replaces>>,
    foreign: Vec<String>,
    open: Mutex<Vec<PackReader>>,
}

impl PackFiles {
    /// Looks into the folder. What is known already may be believed by its name.
    pub(crate) fn discover(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        archive: ArchiveId,
        known: &Known,
    ) -> Result<Self> {
        let mut entries = disk.list(&dir).doing("list", &dir)?;
        // Ours before their doubles, and in an order that does not depend on the file system.
        entries.sort_by_cached_key(|entry| (parse_file_name(&entry.name).is_none(), entry.name.clone()));
        let mut found: HashMap<PackId, PackFile> = HashMap::new();
        let mut compacted: HashMap<PackId, Compacted> = HashMap::new();
        let mut foreign = Vec::new();
        for entry in entries {
            if entry.is_file && entry.name.ends_with(MAKING_SUFFIX) {
                continue;
            }
            let Some((file, stands_for)) = identify(&*disk, &dir, archive, known, &entry)? else {
                foreign.push(entry.name);
                continue;
            };
            let better = found.get(&file.pack).is_none_or(|other| file.is_better_than(other));
            let loser = if better {
                compacted.remove(&file.pack);
                compacted.extend(stands_for.map(|compacted| (file.pack, compacted)));
                found.insert(file.pack, file)
            } else {
                Some(file)
            };
            foreign.extend(loser.map(|file| file.name.to_string()));
        }
        let lengths = found.iter().map(|(pack, file)| (*pack, file.length)).collect();
        let verdict = judge(&lengths, compacted.values().cloned().collect(), known);
        let mut take = |pack: &PackId| found.remove(pack);
        let void: Vec<String> =
            verdict.void.iter().filter_map(&mut take).map(|file| file.name.to_string()).collect();
        foreign.extend_from_slice(&void);
        let waiting: Vec<PackFile> = verdict.waiting.iter().filter_map(&mut take).collect();
        let retired: Vec<PackFile> = verdict.retired.keys().filter_map(&mut take).collect();
        let mut compacted: HashMap<PackId, Arc<Replaces>> =
            compacted.into_iter().map(|(pack, found)| (pack, found.replaces)).collect();
        let waiting = waiting.into_iter().filter_map(|file| Some((compacted.remove(&file.pack)?, file)));
        let waiting = waiting.map(|(replaces, file)| (file, replaces)).collect();
        let mut files = Self {
            disk,
            dir,
            archive,
            packs: found.into_values().collect(),
            retired,
            stand_ins: verdict.retired,
            waiting,
            void,
            compacted,
            foreign,
            open: Mutex::default(),
        };
        for packs in [&mut files.packs, &mut files.retired] {
            packs.sort_by_key(|file| (file.sequence, file.pack));
        }
        files.foreign.sort();
        Ok(files)
    }

    /// The packs that count, oldest first.
    pub(crate) fn packs(&self) -> &[PackFile] {
        &self.packs
    }

    /// Files in the folder that are no packs of this archive, or doubles of one.
    pub(crate) fn foreign(&self) -> &[String] {
        &self.foreign
    }

    pub(crate) fn archive(&self) -> ArchiveId {
        self.archive
    }

    /// On how many threads packs are read at a time, at most.
    pub(crate) fn threads(&self) -> usize {
        self.disk.threads()
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Packs that were replaced and are still there, oldest first.
    pub(crate) fn retired(&self) -> &[PackFile] {
        &self.retired
    }

    /// Compacted packs that are whole, and of which the catalogue does not know yet; the oldest first.
    pub(crate) fn waiting(&self) -> &[(PackFile, Arc<Replaces>)] {
        &self.waiting
    }

    /// Compacted packs that do not count: cut short, or too late (K6).
    pub(crate) fn void(&self) -> &[String] {
        &self.void
    }

    /// What a compacted pack says that was looked into.
    pub(crate) fn replaces(&self, pack: PackId) -> Option<&Replaces> {
        self.compacted.get(&pack).map(|replaces| &**replaces)
    }

    /// Whether another pack counts for this one.
    pub(crate) fn is_retired(&self, pack: PackId) -> bool {
        self.stand_ins.contains_key(&pack)
    }

    /// The pack that counts for the one that is named: itself, or what has replaced it.
    pub(crate) fn standing_for(&self, pack: PackId) -> Option<&PackFile> {
        self.find(self.stand_ins.get(&pack).copied().unwrap_or(pack))
    }

    pub(crate) fn find(&self, pack: PackId) -> Option<&PackFile> {
        self.packs.iter().rev().find(|file| file.pack == pack)
    }

    /// Takes note of a pack that has been made, or has grown.
    pub(crate) fn note(&mut self, file: PackFile) {
        match self.packs.iter_mut().rev().find(|known| known.pack == file.pack) {
            Some(known) => known.length = file.length,
            None => self.packs.push(file),
        }
    }

    /// Opens a file that was found, whether it counts or not.
    pub(crate) fn open(&self, found: &PackFile) -> Result<PackReader> {
        open_pack(&*self.disk, &self.dir, self.archive, found)
    }

    /// Opens a pack, or gives the one that is open.
    pub(crate) fn reader(&self, pack: PackId) -> Result<PackReader> {
        let mut open = self.open.lock().expect("nothing panics while it holds the list of open packs");
        if let Some(at) = open.iter().position(|reader| reader.pack == pack) {
            let reader = open.remove(at);
            open.push(reader.clone());
            return Ok(reader);
        }
        let missing = || Error::PackMissing { pack: pack.to_string() };
        let known = self.find(pack).ok_or_else(missing)?;
        let mut known = Cow::Borrowed(known);
        let mut path = self.dir.join(&*known.name);
        let mut file = self.disk.open(&path, Access::Read).doing("open", &path)?;
        if known.header == Header::Unread {
            let says = named_by_header(&*file);
            if says != Some(pack) {
                // The name may lie, and some other file be the pack.
                match self.look_everywhere(pack)? {
                    Some(other) => {
                        path = self.dir.join(&*other.name);
                        file = self.disk.open(&path, Access::Read).doing("open", &path)?;
                        known = Cow::Owned(other);
                    }
                    None if says.is_some() => return Err(missing()),
                    None => {}
                }
            }
        }
        let reader = PackReader::new(pack, known.name.clone(), file, FrameKey::new(self.archive, pack));
        if open.len() >= OPEN_FILES {
            open.remove(0);
        }
        open.push(reader.clone());
        Ok(reader)
    }
}

impl PackFiles {
    /// Whether neither the file's header nor one frame can be read, although the medium gives all its bytes.
    pub(crate) fn is_of_no_use(&self, file: &PackFile) -> Result<bool> {
        if !matches!(file.header, Header::Damaged | Header::Unwritten) {
            return Ok(false);
        }
        let reader = self.reader(file.pack)?;
        let mut walk = Walk::new(&reader, 0, file.length);
        let nothing = match walk.next() {
            Ok(Some(Event::End { frames, .. })) => frames.is_empty(),
            _ => false,
        };
        Ok(nothing && is_given(&*reader.file, file.length))
    }

    /// Whether the name of a pack that is known by it lies: another file has its header.
    pub(crate) fn is_elsewhere(&self, pack: PackId) -> Result<bool> {
        let Some(known) = self.find(pack).filter(|known| known.header == Header::Unread) else {
            return Ok(false);
        };
        let path = self.dir.join(&*known.name);
        let file = self.disk.open(&path, Access::Read).doing("open", &path)?;
        Ok(named_by_header(&*file) != Some(pack)
            && self.look_everywhere(pack)?.is_some_and(|other| other.name != known.name))
    }

    /// The pack, by the headers of all files.
    fn look_everywhere(&self, pack: PackId) -> Result<Option<PackFile>> {
        let all = Self::discover(self.disk.clone(), self.dir.clone(), self.archive, &Known::default())?;
        let mut found = all.packs.iter().chain(&all.retired);
        Ok(found
            .find(|file| file.pack == pack)
            .filter(|file| matches!(file.header, Header::Read(_)))
            .cloned())
    }
}

impl PackFile {
    /// Of two files with one id: the one whose header is right, else the longer one, else the first.
    fn is_better_than(&self, other: &Self) -> bool {
        let proven = |file: &Self| matches!(file.header, Header::Unread | Header::Read(_));
        let rank = |file: &Self| (proven(file), file.length);
        rank(self) > rank(other)
    }
}

/// Opens a file of a folder of packs.
pub(crate) fn open_pack(
    disk: &dyn Disk,
    dir: &Path,
    archive: ArchiveId,
    found: &PackFile,
) -> Result<PackReader> {
    let path = dir.join(&*found.name);
    let file = disk.open(&path, Access::Read).doing("open", &path)?;
    Ok(PackReader::new(found.pack, found.name.clone(), file, FrameKey::new(archive, found.pack)))
}

/// Whether the medium gives every byte of the file.
fn is_given(file: &dyn DiskFile, length: u64) -> bool {
    const AT_A_TIME: usize = 1 << 20;
    let mut bytes = vec![0; AT_A_TIME];
    let mut offset = 0;
    while offset < length {
        let wanted = usize::try_from(length - offset).unwrap_or(AT_A_TIME).min(AT_A_TIME);
        if !matches!(read_exact_at(file, &mut bytes[..wanted], offset), Ok(true)) {
            return false;
        }
        offset += wanted as u64;
    }
    true
}

/// Which pack the file is by its header, if that is whole.
fn named_by_header(file: &dyn DiskFile) -> Option<PackId> {
    let mut bytes = [0; PACK_HEADER_BYTES];
    let read = read_exact_at(file, &mut bytes, 0).unwrap_or(false);
    PackHeader::decode(&bytes).ok().filter(|_| read).map(|header| header.pack)
}

/// A file as the pack that it is, and what that says of others; `None` for a foreign file.
fn identify(
    disk: &dyn Disk,
    dir: &Path,
    archive: ArchiveId,
    known: &Known,
    entry: &Entry,
) -> Result<Option<(PackFile, Option<Compacted>)>> {
    if !entry.is_file {
        return Ok(None);
    }
    let named = parse_file_name(&entry.name);
    let file = |pack, sequence, header| PackFile {
        name: entry.name.as_str().into(),
        pack,
        sequence,
        length: entry.length,
        header,
    };
    let is_believed =
        |pack: &PackId| known.by_name && (known.packs.contains(pack) || known.retired.contains_key(pack));
    if let Some((sequence, pack)) = named.filter(|(_, pack)| is_believed(pack)) {
        return Ok(Some((file(pack, sequence, Header::Unread), None)));
    }
    let no_header = |header| named.map(|(sequence, pack)| file(pack, sequence, header));
    let path = dir.join(&entry.name);
    let open = disk.open(&path, Access::Read);
    let mut bytes = [0; PACK_HEADER_BYTES];
    let read = open.and_then(|open| Ok((read_exact_at(&*open, &mut bytes, 0)?, open)));
    let open = match read {
        // A name of ours over a file that cannot be read, or is too short: told later.
        Err(error) if is_medium_error(&error) => return Ok(no_header(Header::Unreadable).map(alone)),
        // It went while the folder was being read, or is a link, which is none of ours.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error).doing("read", &path),
        Ok((false, _)) => return Ok(no_header(Header::Unwritten).map(alone)),
        Ok((true, open)) => open,
    };
    let found = match PackHeader::decode(&bytes) {
        Ok(header) if header.archive == archive => {
            Some(file(header.pack, header.sequence, Header::Read(header)))
        }
        // A pack of another archive, perhaps in a file with a name of ours.
        Ok(_) => None,
        Err(NoHeader::NotAPack) if named.is_none() => None,
        Err(NoHeader::Newer(found)) => {
            return Err(Error::NewerFormat {
                what: path.display().to_string(),
                found: found.into(),
                known: FORMAT_VERSION.into(),
            });
        }
        Err(_) if PackHeader::was_written(&bytes, archive) => no_header(Header::Damaged),
        Err(NoHeader::Damaged | NoHeader::NotAPack) => no_header(Header::Unwritten),
    };
    let Some(found) = found else { return Ok(None) };
    let key = FrameKey::new(archive, found.pack);
    let reader = PackReader::new(found.pack, found.name.clone(), open, key);
    let compacted = Replaces::of(&reader).map(|replaces| Compacted {
        pack: found.pack,
        is_whole: found.length >= replaces.length && replaces.is_whole(&reader),
        replaces: Arc::new(replaces),
    });
    Ok(Some((found, compacted)))
}

/// A pack that says nothing of others.
fn alone(file: PackFile) -> (PackFile, Option<Compacted>) {
    (file, None)
}
