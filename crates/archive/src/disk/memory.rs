//! A disk in memory for tests: it records every operation, fails when told to, and can say what a
//! real disk might hold after a crash at any point.
//!
//! What may be left after a power cut before operation `n` is made again from the record: what a
//! sync had covered is there, each other write is there or not as the test decides. Entries of
//! folders (files made, renamed, removed) become durable with the sync of their folder.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::*;

/// One operation, as it was asked for.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    CreateDir(PathBuf),
    Create { path: PathBuf, file: usize },
    Write { file: usize, offset: u64, bytes: Vec<u8> },
    Sync { file: usize },
    Truncate { file: usize, length: u64 },
    Rename { from: PathBuf, to: PathBuf },
    Remove(PathBuf),
    SyncDir(PathBuf),
}

/// What the disk shall do wrong.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// The n-th sync from now on (1 is the next) fails, and what it should have kept is dropped.
    pub(crate) sync: Option<usize>,
    /// Bytes that may still be written; then the disk is full.
    pub(crate) room: Option<usize>,
    /// Writes take at most so many bytes at a time.
    pub(crate) short: Option<usize>,
    /// Reads that touch this range of any file fail.
    pub(crate) unreadable: Option<std::ops::Range<u64>>,
}

#[derive(Debug, Default)]
struct State {
    dirs: HashSet<PathBuf>,
    names: BTreeMap<PathBuf, usize>,
    files: Vec<Vec<u8>>,
    /// What each file held at its last sync.
    durable: Vec<Vec<u8>>,
    locked: HashSet<usize>,
    record: Vec<Operation>,
    faults: Faults,
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct MemoryDisk(Arc<Mutex<State>>);

impl MemoryDisk {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        work(&mut self.0.lock().expect("no test thread panics while it holds the disk"))
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.with(|state| state.faults = faults);
    }

    pub(crate) fn record(&self) -> Vec<Operation> {
        self.with(|state| state.record.clone())
    }

    /// The paths of all files.
    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.with(|state| state.names.keys().cloned().collect())
    }

    /// A file's bytes.
    pub(crate) fn read(&self, path: &Path) -> Vec<u8> {
        self.with(|state| state.files[state.names[path]].clone())
    }

    /// Puts bytes in a file, which is made when it is not there.
    pub(crate) fn write(&self, path: &Path, bytes: &[u8]) {
        self.with(|state| {
            let file = *state.names.entry(path.to_owned()).or_insert(state.files.len());
            if file == state.files.len() {
                state.files.push(Vec::new());
                state.durable.push(Vec::new());
            }
            state.files[file] = bytes.to_vec();
            state.durable[file] = bytes.to_vec();
        });
    }

    pub(crate) fn unlink(&self, path: &Path) {
        self.with(|state| state.names.remove(path));
    }

    /// Another disk with the same content.
    pub(crate) fn copy(&self) -> Self {
        self.with(|state| {
            Self(Arc::new(Mutex::new(State {
                dirs: state.dirs.clone(),
                names: state.names.clone(),
                files: state.files.clone(),
                durable: state.files.clone(),
                ..State::default()
            })))
        })
    }

    /// The disk after a crash before operation `crash` of `record`: operations that a sync covered
    /// are done, of the others those that `keep` chooses (by their number).
    pub(crate) fn after_crash(record: &[Operation], crash: usize, keep: impl Fn(usize) -> bool) -> Self {
        let done = &record[..crash];
        let disk = Self::new();
        for (number, operation) in done.iter().enumerate() {
            if !is_covered(&done[number..]) && !keep(number) {
                // The numbers of files must stay those of the record.
                if let Operation::Create { .. } = operation {
                    disk.with(|state| {
                        state.files.push(Vec::new());
                        state.durable.push(Vec::new());
                    });
                }
                continue;
            }
            disk.with(|state| state.apply(operation));
        }
        disk.with(|state| state.durable.clone_from(&state.files));
        disk
    }
}

/// Whether the first of these operations is made durable by a later one.
fn is_covered(operations: &[Operation]) -> bool {
    let (first, rest) = operations.split_first().expect("asked about an operation");
    match first {
        Operation::Write { file, .. } | Operation::Truncate { file, .. } => {
            rest.iter().any(|later| matches!(later, Operation::Sync { file: synced } if synced == file))
        }
        Operation::Create { path, .. } | Operation::Rename { to: path, .. } | Operation::Remove(path) => {
            rest.iter().any(|later| matches!(later, Operation::SyncDir(dir) if Some(&**dir) == path.parent()))
        }
        Operation::CreateDir(_) | Operation::Sync { .. } | Operation::SyncDir(_) => true,
    }
}

impl State {
    fn apply(&mut self, operation: &Operation) {
        match operation {
            Operation::CreateDir(path) => {
                self.dirs.insert(path.clone());
            }
            Operation::Create { path, file } => {
                self.names.insert(path.clone(), *file);
                self.files.push(Vec::new());
                self.durable.push(Vec::new());
            }
            Operation::Write { file, offset, bytes } => {
                let content = &mut self.files[*file];
                let start = usize::try_from(*offset).expect("test files are small");
                if content.len() < start + bytes.len() {
                    content.resize(start + bytes.len(), 0);
                }
                content[start..start + bytes.len()].copy_from_slice(bytes);
            }
            Operation::Truncate { file, length } => {
                let length = usize::try_from(*length).expect("test files are small");
                self.files[*file].resize(length, 0);
            }
            Operation::Rename { from, to } => {
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
            }
            Operation::Remove(path) => {
                self.names.remove(path);
            }
            Operation::Sync { .. } | Operation::SyncDir(_) => {}
        }
    }

    fn perform(&mut self, operation: Operation) {
        self.apply(&operation);
        self.record.push(operation);
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    file: usize,
    locked: Mutex<bool>,
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        let locked = self.locked.lock().is_ok_and(|locked| *locked);
        if locked {
            self.disk.with(|state| state.locked.remove(&self.file));
        }
    }
}

impl MemoryDisk {
    fn handle(&self, file: usize) -> Arc<dyn DiskFile> {
        Arc::new(MemoryFile { disk: self.clone(), file, locked: Mutex::new(false) })
    }
}

impl Disk for MemoryDisk {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        self.with(|state| {
            if state.dirs.contains(path) {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            state.perform(Operation::CreateDir(path.to_owned()));
            Ok(())
        })
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        self.with(|state| {
            if !state.dirs.contains(dir) {
                return Err(io::ErrorKind::NotFound.into());
            }
            let inside = state.names.iter().filter(|(path, _)| path.parent() == Some(dir));
            let files = inside.map(|(path, &file)| Entry {
                name: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                length: state.files[file].len() as u64,
                is_file: true,
            });
            Ok(files.collect())
        })
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.with(|state| {
            if state.names.contains_key(path) {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists));
            }
            if state.faults.room == Some(0) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            let file = state.files.len();
            state.perform(Operation::Create { path: path.to_owned(), file });
            Ok(file)
        })?;
        Ok(self.handle(file))
    }

    fn open(&self, path: &Path, _access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let file = self.with(|state| state.names.get(path).copied());
        Ok(self.handle(file.ok_or(io::Error::from(io::ErrorKind::NotFound))?))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.with(|state| state.perform(Operation::Rename { from: from.to_owned(), to: to.to_owned() }));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.with(|state| state.perform(Operation::Remove(path.to_owned())));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.with(|state| state.perform(Operation::SyncDir(dir.to_owned())));
        Ok(())
    }
}

impl DiskFile for MemoryFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.disk.with(|state| state.files[self.file].len() as u64))
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.disk.with(|state| {
            let content = &state.files[self.file];
            let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
            let count = bytes.len().min(content.len() - start);
            let bad =
                |range: &std::ops::Range<u64>| offset < range.end && offset + count as u64 > range.start;
            if state.faults.unreadable.as_ref().is_some_and(bad) {
                return Err(io::Error::other("medium error"));
            }
            bytes[..count].copy_from_slice(&content[start..start + count]);
            Ok(count)
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.disk.with(|state| {
            let mut count = bytes.len().min(state.faults.short.unwrap_or(usize::MAX));
            if let Some(room) = &mut state.faults.room {
                count = count.min(*room);
                *room -= count;
                if count == 0 {
                    return Err(io::ErrorKind::StorageFull.into());
                }
            }
            let bytes = bytes[..count].to_vec();
            state.perform(Operation::Write { file: self.file, offset, bytes });
            Ok(count)
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.disk.with(|state| {
            if let Some(left) = &mut state.faults.sync {
                *left -= 1;
                if *left == 0 {
                    state.faults.sync = None;
                    state.files[self.file] = state.durable[self.file].clone();
                    return Err(io::Error::other("medium error"));
                }
            }
            state.durable[self.file] = state.files[self.file].clone();
            state.perform(Operation::Sync { file: self.file });
            Ok(())
        })
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.disk.with(|state| state.perform(Operation::Truncate { file: self.file, length }));
        Ok(())
    }

    fn forget_cached(&self) {}

    fn try_lock(&self) -> io::Result<bool> {
        let free = self.disk.with(|state| state.locked.insert(self.file));
        *self.locked.lock().expect("no test thread panics with the lock") |= free;
        Ok(free)
    }
}
