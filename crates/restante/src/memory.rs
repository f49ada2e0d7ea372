//! What is remembered outside the archive: which archive belongs to a path, and how far it was.
//!
//! A disk that is not mounted leaves an empty folder, and a backup that begins anew in it looks like
//! a good one. An archive put back from an old copy, or another one at the same path, would be
//! written on as if nothing had happened. So the path's archive id and last commit are kept in the
//! state directory (systemd's `$STATE_DIRECTORY`, else the packages' where it is this user's, else
//! `$XDG_STATE_HOME/restante`, else `~/.local/state/restante`) in `archives.json`, and [`judge`] compares them with what is found.
//!
//! Invariant: an archive is created only where none was ever remembered.

mod care;

use std::cmp::Ordering;
use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use archive::{ArchiveId, CommitId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A thousand archives fit.
const MAX_FILE_BYTES: u64 = 1 << 20;

const FILE: &str = "archives.json";

/// Where packages and units keep the memory. Who runs a command by hand as the service's user shares it.
const PACKAGED_FOLDER: &str = "/var/lib/restante-state";

/// What is known of the archive at one path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remembered {
    /// The path, absolute.
    path: PathBuf,
    /// Which archive it is.
    #[serde(with = "as_text")]
    archive: ArchiveId,
    /// Its last commit.
    #[serde(with = "as_text")]
    commit: CommitId,
    /// When it was verified last, and how that went.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) verified: Option<Verified>,
}

/// The last verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Verified {
    /// Seconds since 1970.
    pub(crate) at: i64,
    /// `quick`, `full`, or `rolling`: the daemon reads pack after pack.
    pub(crate) depth: String,
    /// Whether it found the archive whole.
    pub(crate) whole: bool,
}

impl Remembered {
    /// Whether it is this archive.
    pub(crate) fn is_of(&self, archive: ArchiveId) -> bool {
        self.archive == archive
    }
}

/// What lies at an archive's path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing, or an empty folder.
    Nothing,
    /// Something that is no archive.
    Other,
    /// An archive, and its last commit.
    Archive(ArchiveId, CommitId),
}

/// What may be done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Create an archive.
    Create,
    /// Use the archive.
    Use,
    /// Read it, but do not write, because of this.
    ReadOnly(String),
    /// There is no archive, because of this.
    Absent(String),
}

/// Compares what is remembered with what is found.
pub(crate) fn judge(remembered: Option<&Remembered>, found: &Found) -> Verdict {
    match (remembered, found) {
        (None, Found::Nothing) => Verdict::Create,
        (None, Found::Archive(..)) => Verdict::Use,
        (None, Found::Other) => Verdict::Absent("the folder is not empty and holds no archive".to_owned()),
        (Some(known), Found::Nothing | Found::Other) => {
            Verdict::Absent(format!("archive {} was there before – disk not mounted?", known.archive))
        }
        (Some(known), Found::Archive(archive, commit)) => match continues(known, *archive, *commit) {
            Ok(()) => Verdict::Use,
            Err(why) => Verdict::ReadOnly(why),
        },
    }
}

/// Whether an archive is the one that is known, and at least as far.
fn continues(known: &Remembered, archive: ArchiveId, commit: CommitId) -> Result<(), String> {
    if archive != known.archive {
        return Err(format!(
            "it is archive {archive}, and the one that was there before is {}",
            known.archive
        ));
    }
    match commit.number.cmp(&known.commit.number) {
        Ordering::Less => Err(format!(
            "its last commit is number {}, and number {} was there before: it is an older copy",
            commit.number, known.commit.number
        )),
        Ordering::Equal if commit != known.commit => {
            Err(format!("its commit number {} is not the one that was there before", commit.number))
        }
        Ordering::Equal | Ordering::Greater => Ok(()),
    }
}

/// The memory on disk.
#[derive(Debug, Clone)]
pub(crate) struct Memory {
    folder: PathBuf,
}

/// Why nothing can be remembered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MemoryError {
    #[error(
        "there is no state directory: neither STATE_DIRECTORY nor XDG_STATE_HOME nor HOME is set; set one of them"
    )]
    Homeless,
    #[error(
        "the state directory {state} lies in the archive {archive}, and would be lost with it; \
         set STATE_DIRECTORY to another place"
    )]
    InsideArchive { state: PathBuf, archive: PathBuf },
    #[error("cannot use the state file {path}: {source}")]
    File { path: PathBuf, source: io::Error },
    #[error("the state file {path} cannot be read: {reason}; move it away, and run `restante init --accept`")]
    Garbled { path: PathBuf, reason: String },
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    archives: Vec<Remembered>,
}

impl Memory {
    /// The memory of this user or unit, for an archive at `archive`.
    ///
    /// # Errors
    /// When there is no place for it, or it lies where it must not.
    pub(crate) fn open(archive: &Path) -> Result<Self, MemoryError> {
        let packaged = Path::new(PACKAGED_FOLDER);
        let is_ours = fs::symlink_metadata(packaged)
            .is_ok_and(|there| there.is_dir() && there.uid() == rustix::process::geteuid().as_raw());
        Self::find(archive, is_ours.then_some(packaged), |name| std::env::var_os(name))
    }

    #[cfg(test)]
    pub(crate) fn in_folder(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    fn find(
        archive: &Path,
        of_the_service: Option<&Path>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Result<Self, MemoryError> {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let own = || {
            if let Some(folder) = of_the_service {
                return Some(folder.to_owned());
            }
            let home = || set("HOME").map(|home| PathBuf::from(home).join(".local/state"));
            set("XDG_STATE_HOME").map(PathBuf::from).or_else(home).map(|state| state.join("restante"))
        };
        let folders: Vec<PathBuf> = match set("STATE_DIRECTORY") {
            Some(list) => std::env::split_paths(&list).map(|path| absolute(&path)).collect(),
            None => vec![absolute(&own().ok_or(MemoryError::Homeless)?)],
        };
        // A unit may have the archive in a state directory, too; systemd sorts them as it likes.
        let archive = absolute(archive);
        match folders.iter().find(|folder| !folder.starts_with(&archive)) {
            Some(folder) => Ok(Self { folder: folder.clone() }),
            None => Err(MemoryError::InsideArchive {
                state: folders.into_iter().next().unwrap_or_default(),
                archive,
            }),
        }
    }

    /// What is known of the archive at a path.
    ///
    /// # Errors
    /// When the state file is there and cannot be read: then nothing may be created.
    pub(crate) fn recall(&self, archive: &Path) -> Result<Option<Remembered>, MemoryError> {
        let path = absolute(archive);
        Ok(self.read()?.archives.into_iter().find(|known| known.path == path))
    }

    /// Remembers the archive at a path; what is known of its last verification stays, unless it is
    /// another archive.
    ///
    /// # Errors
    /// When the state file cannot be written.
    pub(crate) fn remember(
        &self,
        path: &Path,
        archive: ArchiveId,
        commit: CommitId,
    ) -> Result<(), MemoryError> {
        self.change(path, |known| {
            let verified = known.filter(|known| known.archive == archive).and_then(|known| known.verified);
            Some(Remembered { path: absolute(path), archive, commit, verified })
        })
    }

    /// Remembers how a verification of this archive went, up to a commit. Where another archive is
    /// remembered nothing is changed.
    ///
    /// # Errors
    /// When the state file cannot be written.
    pub(crate) fn remember_verified(
        &self,
        path: &Path,
        (archive, commit): (ArchiveId, CommitId),
        verified: Verified,
    ) -> Result<(), MemoryError> {
        self.change(path, |known| match known {
            Some(known) if known.archive != archive => Some(known),
            Some(known) => Some(Remembered { verified: Some(verified), ..known }),
            None => Some(Remembered { path: absolute(path), archive, commit, verified: Some(verified) }),
        })
    }

    fn change(
        &self,
        archive: &Path,
        change: impl FnOnce(Option<Remembered>) -> Option<Remembered>,
    ) -> Result<(), MemoryError> {
        let _alone = self.alone();
        let path = absolute(archive);
        let mut content = self.read()?;
        let known = content.archives.iter().position(|known| known.path == path);
        let known = known.map(|at| content.archives.remove(at));
        let changed = change(known.clone());
        if changed.is_some() && changed == known {
            return Ok(());
        }
        content.archives.extend(changed);
        content.archives.sort_by(|a, b| a.path.cmp(&b.path));
        self.write(&content)
    }

    fn read(&self) -> Result<Content, MemoryError> {
        self.read_file(FILE, MAX_FILE_BYTES)
    }

    fn write(&self, content: &Content) -> Result<(), MemoryError> {
        self.write_file(FILE, content)
    }

    /// While somebody has this, nobody else in this process changes a file.
    #[expect(clippy::unused_self, reason = "who changes a memory has one")]
    fn alone(&self) -> MutexGuard<'static, ()> {
        static ALONE: Mutex<()> = Mutex::new(());
        ALONE.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a state file holds; nothing where there is none.
    fn read_file<T: DeserializeOwned + Default>(&self, name: &str, limit: u64) -> Result<T, MemoryError> {
        let path = self.folder.join(name);
        let failed = |source| MemoryError::File { path: path.clone(), source };
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(T::default()),
            Err(error) => return Err(failed(error)),
        };
        let mut bytes = Vec::new();
        file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| MemoryError::Garbled { path: path.clone(), reason: error.to_string() })
    }

    fn write_file(&self, name: &str, content: &impl Serialize) -> Result<(), MemoryError> {
        let written = serde_json::to_vec_pretty(content).map_err(io::Error::from);
        written
            .and_then(|bytes| self.replace(name, &bytes))
            .map_err(|source| MemoryError::File { path: self.folder.join(name), source })
    }

    /// The state directory.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Makes sure that the state directory is there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(crate) fn make_folder(&self) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)
    }

    /// Replaces a file of the state directory. Written aside, synced, renamed, the folder synced: after
    /// a crash the old or the new one is there.
    ///
    /// # Errors
    /// When it cannot be written; then the old one is still there.
    pub(crate) fn replace(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.make_folder()?;
        let aside = self.folder.join(format!("{name}.{}", std::process::id()));
        // S4: what lies there is a remainder, or a trap; it is taken away, never written through.
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&aside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&aside, self.folder.join(name))?;
        File::open(&self.folder)?.sync_all()
    }
}

/// The same path however it was written; links are not followed, for the disk may not be there.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// Ids in the state file stand as people see them.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &impl Display, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    const A: ArchiveId = ArchiveId::from_bytes([0xa; 16]);
    const B: ArchiveId = ArchiveId::from_bytes([0xb; 16]);

    fn commit(number: u64, check: u8) -> CommitId {
        CommitId { number, check: [check; 16] }
    }

    fn known() -> Remembered {
        Remembered { path: "/srv/mail".into(), archive: A, commit: commit(7, 1), verified: None }
    }

    #[test]
    fn an_archive_begins_only_where_none_was() {
        assert_eq!(judge(None, &Found::Nothing), Verdict::Create);
        assert!(matches!(judge(None, &Found::Other), Verdict::Absent(_)));
        for gone in [Found::Nothing, Found::Other] {
            let Verdict::Absent(why) = judge(Some(&known()), &gone) else { panic!("{gone:?}") };
            assert!(why.contains("disk not mounted?"), "{why}");
        }
    }

    #[test]
    fn what_has_only_grown_is_written_on() {
        for at in [commit(7, 1), commit(8, 2)] {
            assert_eq!(judge(Some(&known()), &Found::Archive(A, at)), Verdict::Use);
        }
        assert_eq!(judge(None, &Found::Archive(A, commit(7, 1))), Verdict::Use);
    }

    #[test]
    fn another_or_an_older_archive_is_only_read() {
        let table = [
            (Found::Archive(B, commit(9, 1)), "it is archive 0b0b"),
            (Found::Archive(A, commit(6, 1)), "older copy"),
            (Found::Archive(A, commit(7, 2)), "not the one"),
        ];
        for (at, expected) in table {
            let Verdict::ReadOnly(why) = judge(Some(&known()), &at) else { panic!("{at:?}") };
            assert!(why.contains(expected), "{why}");
        }
    }

    fn memory(state: &Path) -> Memory {
        let state = state.join("state").into_os_string();
        Memory::find(Path::new("/srv/mail"), None, |name| (name == "STATE_DIRECTORY").then(|| state.clone()))
            .unwrap()
    }

    #[test]
    fn what_is_remembered_is_there_the_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let archive = Path::new("/srv/mail");
        assert_eq!(memory(folder.path()).recall(archive).unwrap(), None);
        memory(folder.path()).remember(archive, A, commit(7, 1)).unwrap();
        memory(folder.path()).remember(Path::new("/srv/other"), B, commit(1, 1)).unwrap();
        let verified = Verified { at: 5, depth: "full".into(), whole: true };
        let verify = |id, verified| {
            memory(folder.path()).remember_verified(archive, (id, commit(7, 1)), verified).unwrap();
        };
        verify(A, verified.clone());
        verify(B, Verified { at: 6, ..verified.clone() });
        memory(folder.path()).remember(archive, A, commit(8, 2)).unwrap();
        let recalled = memory(folder.path()).recall(Path::new("/srv/./mail")).unwrap().unwrap();
        assert_eq!((recalled.commit, recalled.verified), (commit(8, 2), Some(verified)));
        memory(folder.path()).remember(archive, B, commit(1, 2)).unwrap();
        assert_eq!(memory(folder.path()).recall(archive).unwrap().unwrap().verified, None);
        assert_eq!(fs::read_dir(folder.path().join("state")).unwrap().count(), 1);
    }

    #[test]
    fn s04_a_link_in_the_place_of_the_file_written_aside_is_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        let aside = folder.path().join("state").join(format!("{FILE}.{}", std::process::id()));
        std::os::unix::fs::symlink(&victim, &aside).unwrap();
        memory(folder.path()).remember(Path::new("/srv/mail"), A, commit(7, 1)).unwrap();
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
        assert!(memory(folder.path()).recall(Path::new("/srv/mail")).unwrap().is_some());
    }

    #[test]
    fn a_garbled_memory_is_not_taken_for_an_empty_one() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("state")).unwrap();
        fs::write(folder.path().join("state").join(FILE), "{\"archives\": [{}").unwrap();
        let error = memory(folder.path()).recall(Path::new("/srv/mail")).unwrap_err();
        assert!(matches!(error, MemoryError::Garbled { .. }), "{error}");
    }

    #[test]
    fn the_memory_never_lies_in_the_archive() {
        let find = |state: &'static str| {
            Memory::find(Path::new("/srv/mail"), None, move |name| {
                (name == "STATE_DIRECTORY").then(|| state.into())
            })
        };
        assert!(find("/srv/mail").is_err() && find("/srv/mail/state").is_err());
        for both in ["/srv/mailstate:/srv/mail", "/srv/mail:/srv/mailstate"] {
            assert_eq!(find(both).unwrap().folder, Path::new("/srv/mailstate"));
        }
    }

    #[test]
    fn the_place_is_that_of_the_unit_then_of_the_packages_then_of_the_user() {
        let find = |set: &[(&str, &str)]| {
            let set: Vec<(String, OsString)> = set.iter().map(|&(k, v)| (k.to_owned(), v.into())).collect();
            let service = set.iter().any(|(key, _)| key == "packaged").then_some(Path::new("/p"));
            Memory::find(Path::new("/a"), service, |name| {
                set.iter().find(|(key, _)| key == name).map(|(_, v)| v.clone())
            })
        };
        assert_eq!(find(&[("HOME", "/h")]).unwrap().folder, Path::new("/h/.local/state/restante"));
        assert_eq!(
            find(&[("HOME", "/h"), ("XDG_STATE_HOME", "/x")]).unwrap().folder,
            Path::new("/x/restante")
        );
        assert_eq!(find(&[("HOME", "/h"), ("STATE_DIRECTORY", "/s")]).unwrap().folder, Path::new("/s"));
        let (packaged, home) = (("packaged", ""), ("HOME", "/h"));
        assert_eq!(find(&[packaged, home]).unwrap().folder, Path::new("/p"));
        assert_eq!(find(&[packaged, home, ("STATE_DIRECTORY", "/s")]).unwrap().folder, Path::new("/s"));
        assert!(matches!(find(&[("HOME", "")]), Err(MemoryError::Homeless)));
    }
}
