//! One at a time for each account.
//!
//! Mail that is being put back into a mailbox must not be pulled from it at the same time: the pull
//! would count a half-filled folder, and what it brings would change what the restore compares with. Two
//! restores into one mailbox would each find what the other has not added yet, and add it twice. None
//! of them needs the writer's lock for that: a restore only reads the archive, and other accounts go on.
//!
//! So each account has a small empty file beside the packs, and whoever works on the account's mailbox
//! holds the kernel's lock on it. It goes with the process: there is no stale lock to judge. The file is
//! made when it is first needed and never removed. Where it cannot be made (the archive lies on a medium
//! that cannot be written, or is full) or the file system knows no locks, the work goes on without it,
//! and whoever does it says so: a mailbox must not wait for a disk.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::disk::{Access, Disk, DiskFile};
use crate::error::{Error, Result};
use crate::identity::Place;

/// A name longer than this is cut, with its hash behind it: file systems take 255 bytes.
const NAME_BYTES: usize = 120;

/// The right to work on an account's mailbox, until it is dropped or the process ends.
#[derive(Debug)]
pub struct AccountLock {
    _file: Option<Arc<dyn DiskFile>>,
    warning: Option<String>,
}

impl AccountLock {
    /// Takes the lock of the account of this name, whether the archive knows it already or not.
    ///
    /// # Errors
    /// [`Error::AccountBusy`] when another has it. That it cannot be had for other reasons is no error,
    /// but a [`warning`](Self::warning).
    pub fn try_take(archive: &Path, account: &str) -> Result<Self> {
        Self::try_take_at(&Place::real(archive), account)
    }

    /// [`try_take`](Self::try_take) on any disk.
    ///
    /// # Errors
    /// As [`try_take`](Self::try_take).
    pub fn try_take_at(place: &Place, account: &str) -> Result<Self> {
        let path = place.dir.join(file_name(account));
        let file = open(&*place.disk, &path);
        match file.and_then(|file| Ok((file.try_lock()?, file))) {
            Ok((true, file)) => Ok(Self { _file: Some(file), warning: None }),
            Ok((false, _)) => Err(Error::AccountBusy { account: account.to_owned() }),
            Err(error) => Ok(Self { _file: None, warning: Some(warning(account, path, &error)) }),
        }
    }

    /// Why the account is not locked, for a person.
    #[must_use]
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }
}

fn open(disk: &dyn Disk, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
    // Locks over a network want a file that is open for writing; on a disk one for reading will do.
    let opened = match disk.open(path, Access::Write) {
        Err(error) if error.kind() == ErrorKind::NotFound => disk.create(path),
        Err(_) => disk.open(path, Access::Read),
        opened => opened,
    };
    match opened {
        // Another was quicker to make it.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => disk.open(path, Access::Write),
        opened => opened,
    }
}

fn warning(account: &str, path: PathBuf, error: &io::Error) -> String {
    format!(
        "account \"{account}\" cannot be locked ({}: {error}); see to it that nothing else backs it up or \
         restores to it meanwhile",
        path.display()
    )
}

/// `account-NAME.lock`. What is no letter, digit, `.`, `_` or `-` stands as `%` and two hex digits.
fn file_name(account: &str) -> String {
    let mut name = String::from("account-");
    for byte in account.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'_' | b'-' => name.push(char::from(byte)),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if name.len() > NAME_BYTES {
        name.truncate(NAME_BYTES);
        name.push('-');
        name.push_str(&blake3::hash(account.as_bytes()).to_hex()[..16]);
    }
    name.push_str(".lock");
    name
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::stories::World;

    fn is_busy(taken: &Result<AccountLock>) -> bool {
        matches!(taken, Err(Error::AccountBusy { account }) if account == "work")
    }

    #[test]
    fn r17_an_account_is_worked_on_by_one_at_a_time_and_others_go_on() {
        let dir = tempfile::tempdir().unwrap();
        let take = |account| AccountLock::try_take(dir.path(), account);
        let lock = take("work").unwrap();
        assert_eq!(lock.warning(), None);
        assert!(is_busy(&take("work")));
        assert!(take("home").unwrap().warning().is_none());
        drop(lock);
        let again = take("work").unwrap();
        assert!(is_busy(&take("work")));
        drop(again);
    }

    #[test]
    fn r17_a_writer_does_not_lock_accounts_and_a_locked_account_does_not_stop_a_writer() {
        let world = World::new();
        let lock = AccountLock::try_take_at(&world.place, "work").unwrap();
        let writer = world.writer();
        assert!(is_busy(&AccountLock::try_take_at(&world.place, "work")));
        drop(lock);
        assert_eq!(AccountLock::try_take_at(&world.place, "work").unwrap().warning(), None);
        drop(writer);
        assert!(crate::verify_at(&world.place, crate::Depth::Full, None, &mut |_| ()).unwrap().is_whole());
    }

    #[test]
    fn r17_an_archive_that_cannot_be_written_is_read_without_a_lock_and_says_so() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("not there");
        let lock = AccountLock::try_take(&missing, "work").unwrap();
        assert!(lock.warning().unwrap().contains("account-work.lock"), "{lock:?}");
        assert!(!missing.exists());
        // One that is there serves, though it may only be read.
        let path = dir.path().join(file_name("work"));
        std::fs::write(&path, b"").unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o400)).unwrap();
        let lock = AccountLock::try_take(dir.path(), "work").unwrap();
        assert_eq!(lock.warning(), None);
        assert!(is_busy(&AccountLock::try_take(dir.path(), "work")));
    }

    #[test]
    fn a_name_cannot_leave_the_archive_and_names_stay_apart() {
        assert_eq!(file_name("work"), "account-work.lock");
        assert_eq!(file_name("../x y"), "account-..%2Fx%20y.lock");
        let (one, other) = (file_name(&"ä".repeat(200)), file_name(&"ä".repeat(201)));
        assert_ne!(one, other);
        assert!(one.len() < 255 && one.is_ascii());
    }
}
