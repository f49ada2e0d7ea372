//! Directories and files below one directory, and nowhere else.
//!
//! A directory is known by its open handle. What is made in it is made by a single name, which no
//! link can lead astray and which must be new. Where the kernel has `openat2`, it also sees to it
//! that a name cannot leave its directory (RESOLVE_BENEATH); the names are encoded so that they could
//! not anyhow.
//!
//! Rule: nothing that this export did not make is opened for writing.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, AtFlags, CWD, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use crate::Error;

const DIRECTORY_MODE: Mode = Mode::RWXU;
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The target of an export.
pub(crate) struct Tree {
    root: Folder,
    /// Directories made so far, by their path below the root.
    made: HashSet<PathBuf>,
}

/// A directory of an export.
pub(crate) struct Folder {
    handle: OwnedFd,
    path: PathBuf,
}

impl Tree {
    /// Makes the target, or takes it if it is an empty directory.
    pub(crate) fn create(dir: &Path) -> Result<Self, Error> {
        match fs::mkdirat(CWD, dir, DIRECTORY_MODE) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(errno) => return Err(Error::io("make the folder", dir)(errno.into())),
        }
        // The target itself is the user's word, so a link there is followed.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = fs::openat(CWD, dir, flags, Mode::empty())
            .map_err(|errno| Error::io("open", dir)(errno.into()))?;
        let entries = fs::Dir::read_from(&handle).and_then(|mut entries| {
            entries.try_fold(0, |count, entry| {
                let name = entry?;
                let name = name.file_name().to_bytes();
                Ok(count + u64::from(name != b"." && name != b".."))
            })
        });
        if entries.map_err(|errno| Error::io("read", dir)(errno.into()))? > 0 {
            return Err(Error::NotEmpty { dir: dir.to_owned() });
        }
        let root = Folder { handle, path: dir.to_owned() };
        Ok(Self { root, made: HashSet::new() })
    }

    pub(crate) fn root(&self) -> &Folder {
        &self.root
    }

    /// The directory at this path below the target; each level is made if this is its first use.
    pub(crate) fn folder(&mut self, path: &[String]) -> Result<Folder, Error> {
        let mut below = PathBuf::new();
        let mut folder = self.root.again()?;
        for name in path {
            below.push(name);
            if !self.made.contains(&below) {
                folder.make(name)?;
                self.made.insert(below.clone());
            }
            folder = folder.open(name)?;
        }
        Ok(folder)
    }

    /// Waits until all that was written is on the disk.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        fs::syncfs(&self.root.handle).map_err(|errno| Error::io("sync", &self.root.path)(errno.into()))
    }
}

impl Folder {
    /// Another handle of the same directory.
    pub(crate) fn again(&self) -> Result<Self, Error> {
        let handle = self.handle.try_clone().map_err(Error::io("open", &self.path))?;
        Ok(Self { handle, path: self.path.clone() })
    }

    /// What to call a file of this directory in messages.
    pub(crate) fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A new directory in this one.
    pub(crate) fn make(&self, name: &str) -> Result<(), Error> {
        match fs::mkdirat(&self.handle, name, DIRECTORY_MODE) {
            Ok(()) => Ok(()),
            Err(Errno::EXIST) => Err(Error::Taken { path: self.path_of(name) }),
            Err(errno) => Err(Error::io("make the folder", self.path_of(name))(errno.into())),
        }
    }

    /// A directory in this one that was made before.
    pub(crate) fn open(&self, name: &str) -> Result<Self, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let handle = open_beneath(&self.handle, name, flags, Mode::empty());
        let handle = handle.map_err(|errno| Error::io("open", self.path_of(name))(errno.into()))?;
        Ok(Self { handle, path: self.path_of(name) })
    }

    /// A new file, written at its end; `None` if the name is taken.
    pub(crate) fn try_create(&self, name: &str) -> Result<Option<File>, Error> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::APPEND;
        match open_beneath(&self.handle, name, flags, FILE_MODE) {
            Ok(handle) => Ok(Some(handle.into())),
            Err(Errno::EXIST) => Ok(None),
            Err(errno) => Err(Error::io("create", self.path_of(name))(errno.into())),
        }
    }

    /// A new file.
    pub(crate) fn create(&self, name: &str) -> Result<File, Error> {
        self.try_create(name)?.ok_or_else(|| Error::Taken { path: self.path_of(name) })
    }

    /// A file made before by this export, to be written at its end.
    pub(crate) fn append(&self, name: &str) -> Result<File, Error> {
        let flags = OFlags::WRONLY | OFlags::APPEND;
        match open_beneath(&self.handle, name, flags, Mode::empty()) {
            Ok(handle) => Ok(handle.into()),
            Err(errno) => Err(Error::io("open", self.path_of(name))(errno.into())),
        }
    }

    /// Removes a file that this export has made and could not complete.
    pub(crate) fn remove(&self, name: &str) -> Result<(), Error> {
        fs::unlinkat(&self.handle, name, AtFlags::empty())
            .map_err(|errno| Error::io("remove", self.path_of(name))(errno.into()))
    }
}

/// Opens one name in a directory, never through a link.
fn open_beneath(directory: &OwnedFd, name: &str, flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    if name.is_empty() || name == "." || name == ".." || name.contains(['/', '\0']) {
        return Err(Errno::INVAL);
    }
    let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    match fs::openat2(directory, name, flags, mode, resolve) {
        // An old kernel, or a sandbox that does not know the call.
        Err(Errno::NOSYS | Errno::PERM) => fs::openat(directory, name, flags, mode),
        opened => opened,
    }
}

/// The error of a write to a file of this directory.
pub(crate) fn cannot_write(folder: &Folder, name: &str) -> impl FnOnce(io::Error) -> Error {
    Error::io("write", folder.path_of(name))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_target_that_holds_anything_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(".hidden"), "x").unwrap();
        assert!(matches!(Tree::create(dir.path()), Err(Error::NotEmpty { .. })));
    }

    #[test]
    fn m10_a_planted_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let (target, elsewhere) = (dir.path().join("target"), dir.path().join("elsewhere"));
        std::fs::create_dir(&elsewhere).unwrap();
        let mut tree = Tree::create(&target).unwrap();
        symlink(&elsewhere, target.join("INBOX")).unwrap();
        symlink(elsewhere.join("file"), target.join("folders.jsonl")).unwrap();
        assert!(matches!(tree.folder(&["INBOX".to_owned()]), Err(Error::Taken { .. })));
        assert!(matches!(tree.root().create("folders.jsonl"), Err(Error::Taken { .. })));
        assert!(tree.root().append("folders.jsonl").is_err());
        assert!(tree.root().open("INBOX").is_err());
        assert_eq!(elsewhere.read_dir().unwrap().count(), 0);
    }

    #[test]
    fn m10_no_name_leads_out_of_its_directory() {
        let dir = tempfile::tempdir().unwrap();
        let tree = Tree::create(&dir.path().join("target")).unwrap();
        for name in ["", ".", "..", "../x", "/tmp/x", "a/b", "a\0b"] {
            assert!(tree.root().try_create(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn only_the_owner_can_read_an_export() {
        let dir = tempfile::tempdir().unwrap();
        let mut tree = Tree::create(&dir.path().join("target")).unwrap();
        tree.folder(&["a".to_owned()]).unwrap().create("b").unwrap();
        let mode = |path: &str| dir.path().join(path).metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("target"), mode("target/a"), mode("target/a/b")), (0o700, 0o700, 0o600));
    }
}
