//! A disk in memory, for tests: it records every operation, fails when told to, and can say what a
//! real disk might hold after a power cut at any moment.
//!
//! * This file: the disk itself and its record. Clones are the same disk; [`SimulatedDisk::other_host`]
//!   is the same disk seen from a machine with a lock table of its own.
//! * [`crash`]: every state that a power cut can leave, made from the record.
//! * [`faults`]: calls that fail.
//!
//! It behaves as POSIX does and promises no more: bytes are durable after the sync of their file,
//! names after the sync of their folder, and what was synced under a lost name is lost with it.
//! Outside this crate it is there under the feature `simulation`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::*;

mod crash;
mod faults;

pub use crash::Chances;
pub use faults::{AfterFailedSync, Call, Failure, Faults, Problem, errno};

/// One operation that changed the disk, in the order in which they were done.
#[derive(Clone, Debug)]
pub enum Operation {
    /// A folder was made.
    CreateDir(PathBuf),
    /// A file was made; files are known by number, whatever their names become.
    Create {
        /// Under which name.
        path: PathBuf,
        /// Its number.
        file: usize,
    },
    /// Bytes were written.
    Write {
        /// To which file.
        file: usize,
        /// Where.
        offset: u64,
        /// Which.
        bytes: Arc<[u8]>,
    },
    /// A file was synced.
    Sync {
        /// Which.
        file: usize,
    },
    /// A sync failed, and the system forgot what it should have written.
    Forgotten {
        /// Of which file.
        file: usize,
    },
    /// A file was cut, or made longer.
    Truncate {
        /// Which.
        file: usize,
        /// Its length in bytes.
        length: u64,
    },
    /// A file got another name.
    Rename {
        /// The old one.
        from: PathBuf,
        /// The new one.
        to: PathBuf,
    },
    /// A name was removed.
    Remove(PathBuf),
    /// The names in a folder were synced.
    SyncDir(PathBuf),
}

/// Folders, names and contents at one moment.
#[derive(Clone, Debug, Default)]
struct Image {
    dirs: BTreeSet<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    files: Vec<Vec<u8>>,
}

#[derive(Debug, Default)]
struct State {
    now: Image,
    /// What the medium held before the first operation of the record.
    base: Image,
    /// What each file held at its last sync.
    synced: Vec<Vec<u8>>,
    record: Vec<Operation>,
    faults: Faults,
    calls: BTreeMap<Call, usize>,
    /// Files that are open.
    handles: usize,
}

/// The disk. See the module.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk {
    state: Arc<Mutex<State>>,
    /// Numbers of the files that are locked.
    locks: Arc<Mutex<HashSet<usize>>>,
}

impl SimulatedDisk {
    /// An empty disk; only the root folder `/` is there.
    #[must_use]
    pub fn new() -> Self {
        Self::holding(Image { dirs: BTreeSet::from(["/".into()]), ..Image::default() })
    }

    /// The same disk, seen from another machine: content is shared, locks are not (D17).
    #[must_use]
    pub fn other_host(&self) -> Self {
        Self { state: self.state.clone(), locks: Arc::default() }
    }

    /// Another disk with the same content, all of it durable; nothing recorded, no faults, no locks.
    #[must_use]
    pub fn copy(&self) -> Self {
        Self::holding(self.with(|state| state.now.clone()))
    }

    /// What the disk shall do wrong from now on; replaces what it did before.
    pub fn set_faults(&self, faults: Faults) {
        self.with(|state| state.faults = faults);
    }

    /// How often each call was made.
    #[must_use]
    pub fn calls(&self) -> BTreeMap<Call, usize> {
        self.with(|state| state.calls.clone())
    }

    /// How many operations have been recorded.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.with(|state| state.record.len())
    }

    /// The operations so far.
    #[must_use]
    pub fn record(&self) -> Vec<Operation> {
        self.with(|state| state.record.clone())
    }

    /// The disk after a power cut before operation `crash`, in one of the states that it may be in.
    ///
    /// Wherever more than one thing can have happened, `choose` is asked with the number of
    /// possibilities (2 or more) and answers with one of them, below that number; 0 is always the
    /// oldest, so a choice of all zeros loses everything that was not synced. `sector` is the unit in
    /// bytes in which the medium writes: what is torn is torn there.
    #[must_use]
    pub fn after_crash(&self, crash: usize, sector: usize, choose: &mut dyn FnMut(usize) -> usize) -> Self {
        let image = self.with(|state| crash::left_over(&state.base, &state.record[..crash], sector, choose));
        Self::holding(image)
    }

    /// The paths of all files.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.with(|state| state.now.names.keys().cloned().collect())
    }

    /// A file's bytes; nothing, when there is no such file.
    #[must_use]
    pub fn read(&self, path: &Path) -> Vec<u8> {
        self.with(|state| state.now.names.get(path).map_or(Vec::new(), |&file| state.now.files[file].clone()))
    }

    /// Gives a file these bytes, durably; it is made when it is not there.
    pub fn write(&self, path: &Path, bytes: &[u8]) {
        self.with(|state| {
            let file = match state.now.names.get(path) {
                Some(&file) => file,
                None => state.create(path),
            };
            state.perform(Operation::Truncate { file, length: 0 });
            state.perform(Operation::Write { file, offset: 0, bytes: bytes.into() });
            state.sync(file);
            state.perform(Operation::SyncDir(path.parent().unwrap_or(Path::new("/")).to_owned()));
        });
    }

    /// Takes a file away, durably.
    pub fn unlink(&self, path: &Path) {
        self.with(|state| {
            state.perform(Operation::Remove(path.to_owned()));
            state.perform(Operation::SyncDir(path.parent().unwrap_or(Path::new("/")).to_owned()));
        });
    }

    /// A fingerprint of everything on the disk: names and bytes.
    #[must_use]
    pub fn fingerprint(&self) -> [u8; 32] {
        let mut hasher = blake3::Hasher::new();
        self.with(|state| {
            for dir in &state.now.dirs {
                hasher.update(dir.as_os_str().as_encoded_bytes()).update(b"\0");
            }
            for (path, &file) in &state.now.names {
                let bytes = &state.now.files[file];
                hasher.update(path.as_os_str().as_encoded_bytes()).update(b"\0");
                hasher.update(&(bytes.len() as u64).to_le_bytes()).update(bytes);
            }
        });
        *hasher.finalize().as_bytes()
    }

    fn holding(image: Image) -> Self {
        let synced = image.files.clone();
        let state = State { now: image.clone(), base: image, synced, ..State::default() };
        Self { state: Arc::new(Mutex::new(state)), locks: Arc::default() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.state.lock().expect("nothing panics while it holds the disk"))
    }

    /// Does a call, unless a fault is due.
    fn call<T>(&self, call: Call, work: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.with(|state| {
            state.count(call)?;
            work(state)
        })
    }

    fn handle(&self, file: usize, access: Access) -> Arc<dyn DiskFile> {
        self.with(|state| state.handles += 1);
        Arc::new(SimulatedFile { disk: self.clone(), file, access, locked: Mutex::new(false) })
    }
}

impl Image {
    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::CreateDir(path) => {
                self.dirs.insert(path.clone());
            }
            Operation::Create { path, file } => {
                self.names.insert(path.clone(), *file);
                self.files.resize((*file + 1).max(self.files.len()), Vec::new());
            }
            Operation::Write { file, offset, bytes } => write_into(&mut self.files[*file], *offset, bytes),
            Operation::Truncate { file, length } => self.files[*file].resize(small(*length), 0),
            Operation::Rename { from, to } => {
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
            }
            Operation::Remove(path) => {
                self.names.remove(path);
            }
            Operation::Sync { .. } | Operation::Forgotten { .. } | Operation::SyncDir(_) => {}
        }
    }

    fn has_parent_of(&self, path: &Path) -> bool {
        path.parent().is_some_and(|dir| self.dirs.contains(dir))
    }
}

fn write_into(content: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = small(offset);
    if content.len() < start + bytes.len() {
        content.resize(start + bytes.len(), 0);
    }
    content[start..start + bytes.len()].copy_from_slice(bytes);
}

fn small(length: u64) -> usize {
    usize::try_from(length).expect("files of a simulation are small")
}

impl State {
    fn perform(&mut self, operation: Operation) {
        self.now.apply(&operation);
        self.record.push(operation);
    }

    fn create(&mut self, path: &Path) -> usize {
        let file = self.now.files.len();
        self.perform(Operation::Create { path: path.to_owned(), file });
        self.synced.push(Vec::new());
        file
    }

    fn sync(&mut self, file: usize) {
        self.synced[file].clone_from(&self.now.files[file]);
        self.perform(Operation::Sync { file });
    }

    fn refuse_more_handles(&self) -> io::Result<()> {
        match self.faults.open_files {
            Some(most) if self.handles >= most => Err(io::Error::from_raw_os_error(errno::MFILE)),
            _ => Ok(()),
        }
    }

    /// What was written since the last sync will never be durable.
    fn forget(&mut self, file: usize) {
        self.perform(Operation::Forgotten { file });
    }
}

/// An open file. The lock that it holds goes with it.
#[derive(Debug)]
struct SimulatedFile {
    disk: SimulatedDisk,
    file: usize,
    access: Access,
    locked: Mutex<bool>,
}

impl SimulatedFile {
    fn refuse_reader(&self) -> io::Result<()> {
        match self.access {
            Access::Write => Ok(()),
            Access::Read => Err(io::Error::from_raw_os_error(errno::BADF)),
        }
    }
}

impl Drop for SimulatedFile {
    fn drop(&mut self) {
        if self.locked.lock().is_ok_and(|locked| *locked)
            && let Ok(mut locks) = self.disk.locks.lock()
        {
            locks.remove(&self.file);
        }
        if let Ok(mut state) = self.disk.state.lock() {
            state.handles -= 1;
        }
    }
}

impl Disk for SimulatedDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.call(Call::CreateDir, |state| {
            if state.now.dirs.contains(path) || state.now.names.contains_key(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            if !state.now.has_parent_of(path) {
                return Err(io::ErrorKind::NotFound.into());
            }
            state.perform(Operation::CreateDir(path.to_owned()));
            Ok(())
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.call(Call::List, |state| {
            if !state.now.dirs.contains(dir) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let entry = |path: &Path, length: usize, is_file| Entry {
                name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                length: length as u64,
                is_file,
            };
            let inside = |path: &Path| path.parent() == Some(dir);
            let files = state.now.names.iter().filter(|(path, _)| inside(path));
            let files = files.map(|(path, &file)| entry(path, state.now.files[file].len(), true));
            let dirs = state.now.dirs.iter().filter(|path| inside(path)).map(|path| entry(path, 0, false));
            Ok(files.chain(dirs).collect())
        })
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.call(Call::Create, |state| {
            state.refuse_more_handles()?;
            if state.now.names.contains_key(path) || state.now.dirs.contains(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            if !state.now.has_parent_of(path) {
                return Err(io::ErrorKind::NotFound.into());
            }
            if state.faults.room == Some(0) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            Ok(state.create(path))
        })?;
        Ok(self.handle(file, Access::Write))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.call(Call::Open, |state| {
            state.refuse_more_handles()?;
            state.now.names.get(path).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
        })?;
        Ok(self.handle(file, access))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call(Call::Rename, |state| {
            if !state.now.names.contains_key(from) {
                return Err(io::ErrorKind::NotFound.into());
            }
            state.perform(Operation::Rename { from: from.to_owned(), to: to.to_owned() });
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.call(Call::Remove, |state| {
            if !state.now.names.contains_key(path) {
                return Err(io::ErrorKind::NotFound.into());
            }
            state.perform(Operation::Remove(path.to_owned()));
            Ok(())
        })
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.call(Call::SyncDir, |state| {
            if !state.now.dirs.contains(dir) {
                return Err(io::ErrorKind::NotFound.into());
            }
            if !state.faults.syncs_lie() {
                state.perform(Operation::SyncDir(dir.to_owned()));
            }
            Ok(())
        })
    }

    fn free_bytes(&self, _dir: &Path) -> io::Result<u64> {
        self.call(Call::FreeBytes, |state| Ok(state.faults.room.map_or(u64::MAX, |room| room as u64)))
    }
}

impl DiskFile for SimulatedFile {
    fn length(&self) -> io::Result<u64> {
        self.disk.call(Call::Length, |state| Ok(state.now.files[self.file].len() as u64))
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.call(Call::Read, |state| {
            let content = &state.now.files[self.file];
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
            let count = bytes.len().min(content.len() - start);
            let bad = |range: &Range<u64>| offset < range.end && offset + count as u64 > range.start;
            if state.faults.unreadable.as_ref().is_some_and(bad) {
                return Err(io::Error::from_raw_os_error(errno::IO));
            }
            bytes[..count].copy_from_slice(&content[start..start + count]);
            Ok(count)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.refuse_reader()?;
        self.disk.call(Call::Write, |state| {
            let mut count = bytes.len().min(state.faults.short.unwrap_or(usize::MAX));
            if let Some(room) = &mut state.faults.room {
                count = count.min(*room);
                *room -= count;
                if count == 0 && !bytes.is_empty() {
                    return Err(io::ErrorKind::StorageFull.into());
                }
            }
            state.perform(Operation::Write { file: self.file, offset, bytes: bytes[..count].into() });
            Ok(count)
        })
    }

    fn sync(&self) -> io::Result<()> {
        let failing = self.disk.with(|state| state.count(Call::Sync));
        self.disk.with(|state| match failing {
            Ok(()) if state.faults.syncs_lie() => Ok(()),
            Ok(()) => {
                state.sync(self.file);
                Ok(())
            }
            Err(error) => {
                match state.faults.after_failed_sync {
                    AfterFailedSync::Kept => {}
                    AfterFailedSync::Hidden => state.forget(self.file),
                    AfterFailedSync::Dropped => {
                        state.forget(self.file);
                        state.now.files[self.file] = state.synced[self.file].clone();
                    }
                }
                Err(error)
            }
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.refuse_reader()?;
        self.disk.call(Call::Truncate, |state| {
            state.perform(Operation::Truncate { file: self.file, length });
            Ok(())
        })
    }

    fn forget_cached(&self) {
        // What can be written is written before it is forgotten; what a failed sync has given up is
        // read from the medium again.
        self.disk.with(|state| {
            let given_up = state.record.iter().rev().find_map(|operation| match operation {
                Operation::Forgotten { file } if *file == self.file => Some(true),
                Operation::Write { file, .. } | Operation::Sync { file } if *file == self.file => Some(false),
                _ => None,
            });
            if given_up == Some(true) {
                state.now.files[self.file] = state.synced[self.file].clone();
            }
        });
    }

    fn try_lock(&self) -> io::Result<bool> {
        self.disk.with(|state| state.count(Call::Lock))?;
        let free = self.disk.locks.lock().expect("nothing panics with the locks").insert(self.file);
        *self.locked.lock().expect("nothing panics with the lock") |= free;
        Ok(free)
    }
}
