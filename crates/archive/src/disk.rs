//! The one door to the file system for everything but the catalogue.
//!
//! Packs, the identity file, the lock and the owner mark are touched only through [`Disk`] and
//! [`DiskFile`], so that a test can put a disk there that records, fails, forgets or crashes. The
//! operations are those that the archive needs and no more: positional reads and writes, sync,
//! cutting a file, rename, and the sync of a folder. Nothing is ever mapped into memory, so that a
//! read error is an error and not a signal (D9).
//!
//! Invariant: an operation that returned an error may have been done in part, and a caller treats
//! it so; one that returned `Ok` without a sync after it may still be lost in a power cut.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::{Advice, OFlags};

#[cfg(any(test, feature = "simulation"))]
pub mod simulated;

/// A file that was found in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name; what is not UTF-8 has U+FFFD in it and is never one of ours.
    pub name: String,
    /// Its length in bytes; 0 for what is not a regular file.
    pub length: u64,
    /// Whether it is a regular file.
    pub is_file: bool,
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing; the file must be there.
    Write,
}

/// A file system.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Makes a folder for its owner alone (mode 0700).
    ///
    /// # Errors
    /// Those of the file system, also when it is there already.
    fn create_dir(&self, path: &Path) -> io::Result<()>;

    /// What lies in a folder, in no order.
    ///
    /// # Errors
    /// Those of the file system.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;

    /// Makes a file for its owner alone (mode 0600) and opens it for writing.
    ///
    /// # Errors
    /// Those of the file system, also when it is there already.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;

    /// Opens a file; a symbolic link at the end of the path is refused.
    ///
    /// # Errors
    /// Those of the file system.
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>>;

    /// Puts a file in the place of another, at once.
    ///
    /// # Errors
    /// Those of the file system.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// Those of the file system.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the entries of a folder durable: files made, renamed and removed in it.
    ///
    /// # Errors
    /// Those of the file system.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;

    /// On how many threads it is worth to read and work at a time. One: then all is read in order.
    fn threads(&self) -> usize {
        1
    }

    /// Bytes that are free on the file system of a folder; a disk without limits has `u64::MAX`.
    ///
    /// # Errors
    /// When the file system does not say.
    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let _ = dir;
        Ok(u64::MAX)
    }
}

/// An open file. Reads and writes may be short, as those of the system are.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// The length in bytes.
    ///
    /// # Errors
    /// Those of the file system.
    fn length(&self) -> io::Result<u64>;

    /// Reads at a place; 0 at the end.
    ///
    /// # Errors
    /// Those of the file system.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes at a place.
    ///
    /// # Errors
    /// Those of the file system.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes everything written durable, with what is needed to read it back.
    ///
    /// # Errors
    /// Those of the file system. After one, nothing written since the last success counts (D6).
    fn sync(&self) -> io::Result<()>;

    /// Cuts the file.
    ///
    /// # Errors
    /// Those of the file system.
    fn truncate(&self, length: u64) -> io::Result<()>;

    /// Asks the system to forget what it holds of the file in memory, so that the next read comes
    /// from the medium. A hint.
    fn forget_cached(&self);

    /// Waits before a read that failed is tried again: a disk that was pulled at, or is waking up, needs
    /// that. A disk of a test does not.
    fn wait_a_moment(&self) {}

    /// Takes the advisory lock on the file, held until the last handle is dropped. `false`: another
    /// has it.
    ///
    /// # Errors
    /// Those of the file system.
    fn try_lock(&self) -> io::Result<bool>;
}

/// Whether an error concerns these bytes and not the file, the process or the connection: then the rest
/// of the file is read all the same.
pub(crate) fn is_medium_error(error: &io::Error) -> bool {
    // EIO; what file systems say of a block whose checksum is wrong (EBADMSG, EILSEQ); what drivers say
    // of a sector (ENODATA, EREMOTEIO).
    error.raw_os_error().is_none_or(|code| matches!(code, 5 | 61 | 74 | 84 | 121))
}

/// Fills `bytes` from `offset`. `false` when the file ends before. What the medium does not give is
/// asked for once more after a moment (D19).
pub(crate) fn read_exact_at(file: &dyn DiskFile, mut bytes: &mut [u8], mut offset: u64) -> io::Result<bool> {
    let (mut tried_again, mut interruptions) = (false, 0);
    while !bytes.is_empty() {
        match file.read_at(bytes, offset) {
            Ok(0) => return Ok(false),
            Ok(count) => {
                bytes = &mut bytes[count..];
                offset += count as u64;
            }
            Err(error) if is_interruption(&error, &mut interruptions) => {}
            Err(error) if !tried_again && is_medium_error(&error) => {
                tried_again = true;
                file.wait_a_moment();
            }
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// Writes all of `bytes` at `offset`, however short the single writes are (D8).
pub(crate) fn write_all_at(file: &dyn DiskFile, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    let mut interruptions = 0;
    while !bytes.is_empty() {
        match file.write_at(bytes, offset) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => {
                bytes = &bytes[count..];
                offset += count as u64;
            }
            Err(error) if is_interruption(&error, &mut interruptions) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// A call that is interrupted so often does nothing but that.
const MOST_INTERRUPTIONS: u32 = 1_000;

/// Whether a call was only interrupted by a signal and is to be made again.
fn is_interruption(error: &io::Error, interruptions: &mut u32) -> bool {
    *interruptions += 1;
    error.kind() == io::ErrorKind::Interrupted && *interruptions < MOST_INTERRUPTIONS
}

/// Reads a small file whole. What is longer than `limit` is cut there.
pub(crate) fn read_small(file: &dyn DiskFile, limit: usize) -> io::Result<Vec<u8>> {
    let length = usize::try_from(file.length()?).unwrap_or(limit).min(limit);
    let mut bytes = vec![0; length];
    let whole = read_exact_at(file, &mut bytes, 0)?;
    if !whole {
        bytes.clear();
    }
    Ok(bytes)
}

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn threads(&self) -> usize {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        std::fs::DirBuilder::new().mode(0o700).create(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                Ok(metadata) => metadata,
                // Another process took the file away while the folder was being read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let is_file = metadata.is_file();
            let length = if is_file { metadata.size() } else { 0 };
            entries.push(Entry { name: entry.file_name().to_string_lossy().into_owned(), length, is_file });
        }
        Ok(entries)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600).custom_flags(no_follow());
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn DiskFile>> {
        let mut options = OpenOptions::new();
        options.read(true).write(access == Access::Write).custom_flags(no_follow());
        Ok(Arc::new(RealFile(options.open(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn free_bytes(&self, dir: &Path) -> io::Result<u64> {
        let disk = rustix::fs::statvfs(dir)?;
        Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        File::open(dir)?.sync_all()
    }
}

fn no_follow() -> i32 {
    (OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK).bits().cast_signed()
}

/// Short, because a disk with many bad sectors is read to its end all the same.
const READ_PAUSE: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.size())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.0.read_at(bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.0.write_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn forget_cached(&self) {
        // A hint that some file systems do not take; without it the check reads what is in memory.
        let _ = rustix::fs::fadvise(&self.0, 0, None, Advice::DontNeed);
    }

    fn wait_a_moment(&self) {
        std::thread::sleep(READ_PAUSE);
    }

    fn try_lock(&self) -> io::Result<bool> {
        match self.0.try_lock() {
            Ok(()) => Ok(true),
            Err(std::fs::TryLockError::WouldBlock) => Ok(false),
            Err(std::fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

/// Whether a folder lies on a file system where SQLite's shared memory and locks are not to be
/// relied on (D15): network file systems, and FUSE, behind which they often hide.
///
/// # Errors
/// Those of the file system.
pub fn is_network(dir: &Path) -> io::Result<bool> {
    let kind = rustix::fs::statfs(dir)?.f_type;
    // The numbers are 32 bits wide, whatever the width and sign of the field.
    Ok(is_network_type((kind as u64 & 0xffff_ffff) as u32))
}

/// The numbers of statfs(2) and linux/magic.h.
const NETWORK_TYPES: [u32; 12] = [
    0x6969,      // NFS
    0x517b,      // SMB
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB 2 and later
    0x6573_5546, // FUSE: sshfs, s3fs, glusterfs
    0x0102_1997, // 9P
    0x5346_414f, // AFS
    0x6b41_4653, // kAFS
    0x00c3_6400, // Ceph
    0x7375_7245, // Coda
    0x0bd0_0bd0, // Lustre
    0x786f_4256, // VirtualBox shared folder
];

fn is_network_type(kind: u32) -> bool {
    NETWORK_TYPES.contains(&kind)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn d15_network_file_systems_are_recognised_by_their_number() {
        for (kind, network) in [(0x6969, true), (0xff53_4d42, true), (0xef53, false), (0x0102_1994, false)] {
            assert_eq!(is_network_type(kind), network, "{kind:x}");
        }
        assert!(is_network(&std::env::temp_dir()).is_ok());
    }

    #[test]
    fn s03_files_and_folders_are_for_their_owner_alone() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        RealDisk.create_dir(&folder).unwrap();
        RealDisk.create(&folder.join("file")).unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join("file"))), (0o700, 0o600));
    }

    #[test]
    fn s04_a_symbolic_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (target, link) = (dir.path().join("target"), dir.path().join("link"));
        std::fs::write(&target, b"x").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(RealDisk.open(&link, Access::Read).is_err());
        assert!(RealDisk.create(&link).is_err());
    }
}
