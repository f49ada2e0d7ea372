//! What is known of trouble and messages, kept in the state directory across restarts.
//!
//! A file an archive, `alerts-ID.json`, written anew before a message goes out and after it was taken, so
//! that a process that is killed tells nothing twice. Who has it holds a lock: a daemon and a run by hand
//! do not write over each other. A file that cannot be read is begun anew: nothing in it is worth a backup
//! that does not run.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;

use archive::ArchiveId;
use daemon::alerts::Alerts;

use crate::memory::Memory;

/// Far more than ten thousand accounts in trouble need.
const MAX_FILE_BYTES: u64 = 64 << 20;

/// The file, ours as long as this lives.
#[derive(Debug)]
pub(crate) struct Store {
    memory: Memory,
    name: String,
    _lock: File,
}

/// Why it is not ours.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    /// Another process tells of this archive's troubles.
    #[error("another restante has them")]
    Busy,
    /// The state directory cannot be used.
    #[error("cannot use {0}: {1}")]
    File(String, io::Error),
}

impl Store {
    /// Takes the file of this archive, and reads it.
    ///
    /// # Errors
    /// When it cannot be had.
    pub(crate) fn open(memory: &Memory, archive: ArchiveId) -> Result<(Self, Alerts), StoreError> {
        let name = format!("alerts-{archive}.json");
        let lock_path = memory.folder().join(format!("alerts-{archive}.lock"));
        let failed = |error| StoreError::File(lock_path.display().to_string(), error);
        memory.make_folder().map_err(failed)?;
        let no_follow = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(no_follow)
            .open(&lock_path)
            .map_err(failed)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(StoreError::Busy),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        let store = Self { memory: memory.clone(), name, _lock: lock };
        let alerts = store.read();
        Ok((store, alerts))
    }

    fn read(&self) -> Alerts {
        let path = self.memory.folder().join(&self.name);
        let read = || -> io::Result<Alerts> {
            let mut bytes = Vec::new();
            File::open(&path)?.take(MAX_FILE_BYTES).read_to_end(&mut bytes)?;
            Ok(serde_json::from_slice(&bytes)?)
        };
        match read() {
            Ok(alerts) => alerts,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Alerts::default(),
            Err(error) => {
                let path = path.display();
                tracing::warn!(
                    "{path} cannot be read, so that trouble that was told may be told again: {error}"
                );
                Alerts::default()
            }
        }
    }

    /// Writes down all that is known.
    ///
    /// # Errors
    /// When that cannot be done.
    pub(crate) fn save(&self, alerts: &Alerts) -> io::Result<()> {
        self.memory.replace(&self.name, &serde_json::to_vec(alerts)?)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use std::path::Path;

    use daemon::alerts::Body;

    use super::*;

    const ARCHIVE: ArchiveId = ArchiveId::from_bytes([7; 16]);

    #[test]
    fn what_is_known_is_there_the_next_time_and_one_process_at_a_time_has_it() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::in_folder(folder.path());
        let (store, mut alerts) = Store::open(&memory, ARCHIVE).unwrap();
        assert!(matches!(Store::open(&memory, ARCHIVE).unwrap_err(), StoreError::Busy));
        assert!(Store::open(&memory, ArchiveId::from_bytes([8; 16])).is_ok());
        let _ = alerts.put(5, Body::Test, &["mail 1".to_owned()]);
        store.save(&alerts).unwrap();
        drop(store);
        let (_store, read) = Store::open(&memory, ARCHIVE).unwrap();
        assert_eq!(read.due(5), alerts.due(5));
        assert_eq!(read.due(5).len(), 1);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::in_folder(folder.path());
        let file = |name: &str| Path::new(folder.path()).join(name);
        for garbage in ["", "{\"desk\": 7}", "[", "\0\0"] {
            std::fs::write(file(&format!("alerts-{ARCHIVE}.json")), garbage).unwrap();
            let (_store, alerts) = Store::open(&memory, ARCHIVE).unwrap();
            assert_eq!(alerts, Alerts::default());
        }
    }

    #[test]
    fn s04_a_link_in_the_place_of_the_lock_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::in_folder(folder.path());
        let victim = folder.path().join("victim");
        std::os::unix::fs::symlink(&victim, folder.path().join(format!("alerts-{ARCHIVE}.lock"))).unwrap();
        assert!(matches!(Store::open(&memory, ARCHIVE).unwrap_err(), StoreError::File(..)));
        assert!(!victim.exists());
    }
}
