//! The files that an account is written to: the configuration, and a password beside it.
//!
//! The configuration is replaced as a whole or not at all, and only while it is still what was read. The
//! password comes first, into a file that was not there before, and goes again when the configuration
//! cannot be replaced: whatever happens, no configuration names a password that is not there.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use rustix::fs::Access;
use secrecy::{ExposeSecret, SecretString};

use super::owner::{self, Known, Owner, Plan};
use crate::config::{Config, ConfigError, Place};
use crate::exit::{Exit, Failure};

/// The configuration, as it is before an account is added.
pub(super) struct Configuration {
    /// As it was named: relative paths in it begin in its folder.
    pub(super) named: PathBuf,
    /// The file itself, where `named` is a link.
    target: PathBuf,
    /// Its text; `None`: there is no file yet.
    pub(super) before: Option<String>,
    plan: Plan,
    owner: Option<(Owner, u32)>,
}

/// A password file that is to be made.
pub(super) struct NewPassword<'p> {
    pub(super) path: PathBuf,
    pub(super) password: &'p SecretString,
}

impl Configuration {
    /// Looks at the file, and whether it could be written.
    ///
    /// # Errors
    /// When it is there and cannot be read, or cannot be replaced.
    pub(super) fn open(place: &Place) -> Result<Self, Failure> {
        let named = std::path::absolute(&place.file).unwrap_or_else(|_| place.file.clone());
        let no_access = |path: &Path, error: io::Error| {
            Failure::words(Exit::Usage, format!("cannot write {}: {error}", path.display()))
                .help("the configuration is written by whom it belongs to; the system's by root")
        };
        let (target, before, owner) = if place.exists {
            let target = fs::canonicalize(&named).map_err(|error| no_access(&named, error))?;
            let text = crate::config::read(&named)
                .map_err(|source| ConfigError::Read { path: named.clone(), source })?;
            let metadata = fs::metadata(&target).map_err(|error| no_access(&target, error))?;
            let owner = Owner { user: metadata.uid(), group: metadata.gid() };
            (target, Some(text), Some((owner, metadata.mode() & 0o7777)))
        } else {
            (named.clone(), None, None)
        };
        let me =
            Owner { user: rustix::process::geteuid().as_raw(), group: rustix::process::getegid().as_raw() };
        if let Some((owner, _)) = owner
            && me.user != 0
            && owner.user != me.user
        {
            return Err(no_access(&target, io::Error::other("it belongs to another user")));
        }
        // A folder that is not there yet is made later on.
        for folder in [target.parent(), named.parent()].into_iter().flatten().filter(|folder| folder.exists())
        {
            rustix::fs::access(folder, Access::WRITE_OK).map_err(|error| no_access(folder, error.into()))?;
        }
        let plan = owner::plan(Known {
            me,
            configuration: owner.map(|(owner, _)| owner),
            service: owner::service(),
            is_system: place.is_system,
        });
        Ok(Self { named, target, before, plan, owner })
    }

    /// The folder in which relative paths of the configuration begin.
    pub(super) fn folder(&self) -> &Path {
        self.named.parent().unwrap_or(Path::new("/"))
    }

    /// Whether what is written belongs to the service's user.
    pub(super) fn is_for_service(&self) -> bool {
        self.plan.for_service
    }

    /// Whether a file is none of the service's, where the service is to read it.
    pub(super) fn keeps_from_service(&self, path: &Path) -> bool {
        let reader = self.plan.password.filter(|_| self.plan.for_service);
        let owner = fs::metadata(path).map(|metadata| metadata.uid());
        reader.is_some_and(|reader| owner.is_ok_and(|owner| owner != reader.user))
    }

    /// What a text would mean in this place.
    pub(super) fn read(&self, text: &str) -> Result<Config, ConfigError> {
        Config::parse(&self.named, text)
    }

    /// Puts `text` in place of what was read, and the password beside it; both, or neither.
    ///
    /// # Errors
    /// When something cannot be written, is there already, or was changed meanwhile.
    pub(super) fn write(&self, text: &str, password: Option<&NewPassword<'_>>) -> Result<(), Failure> {
        let failed = |path: &Path, error: &io::Error| {
            Failure::words(
                Exit::Failed,
                format!("cannot write {}: {error}; nothing was changed", path.display()),
            )
        };
        for folder in [self.folder(), self.target.parent().unwrap_or(Path::new("/"))] {
            fs::create_dir_all(folder).map_err(|error| failed(folder, &error))?;
        }
        if let Some(NewPassword { path, password }) = password {
            write_password(path, password, self.plan.password).map_err(|error| match error.kind() {
                io::ErrorKind::AlreadyExists => already_there(path),
                _ => failed(path, &error),
            })?;
        }
        let replaced = self.replace(text).map_err(|error| failed(&self.target, &error));
        if let (Err(_), Some(NewPassword { path, .. })) = (&replaced, password) {
            // Where even this fails, the next attempt says that the file is there.
            let _ = fs::remove_file(path);
        }
        replaced
    }

    fn replace(&self, text: &str) -> io::Result<()> {
        let folder = self.target.parent().unwrap_or(Path::new("/"));
        let mut file = tempfile::Builder::new().prefix(".restante-").suffix(".toml").tempfile_in(folder)?;
        file.write_all(text.as_bytes())?;
        let (owner, mode) = match (self.owner, self.plan.new_configuration) {
            (Some((owner, mode)), _) | (None, Some((owner, mode))) => (Some(owner), mode),
            (None, None) => (None, 0o600),
        };
        // The owner first: a change of owner takes bits away.
        give(file.as_file(), owner)?;
        file.as_file().set_permissions(Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        match &self.before {
            Some(before) => {
                if crate::config::read(&self.target)? != *before {
                    return Err(io::Error::other("somebody else has changed it meanwhile"));
                }
                file.persist(&self.target).map_err(|error| error.error)?;
            }
            None => drop(file.persist_noclobber(&self.target).map_err(|error| error.error)?),
        }
        // It is in place whatever this says; a power cut might bring the old one back, whole.
        let _ = File::open(folder).and_then(|folder| folder.sync_all());
        Ok(())
    }
}

/// Refuses a password file that is there already.
pub(super) fn already_there(path: &Path) -> Failure {
    Failure::words(Exit::Usage, format!("{} is there already, and is not overwritten", path.display()))
        .help("choose another --name, or remove the file if no account uses it")
}

fn write_password(path: &Path, password: &SecretString, owner: Option<Owner>) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let written = (|| {
        file.write_all(password.expose_secret().as_bytes())?;
        file.write_all(b"\n")?;
        give(&file, owner)?;
        file.sync_all()
    })();
    if written.is_err() {
        // The first error is the one to tell.
        let _ = fs::remove_file(path);
    }
    written
}

/// Makes a file somebody's; no question is asked where it is already.
fn give(file: &File, owner: Option<Owner>) -> io::Result<()> {
    let Some(owner) = owner else { return Ok(()) };
    let metadata = file.metadata()?;
    if (metadata.uid(), metadata.gid()) == (owner.user, owner.group) {
        return Ok(());
    }
    fchown(file, Some(owner.user), Some(owner.group))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use tempfile::TempDir;

    use super::*;

    fn open(path: &Path) -> Configuration {
        let exists = path.exists();
        let place = Place { file: path.to_owned(), exists, is_system: false, usual_archive: PathBuf::new() };
        Configuration::open(&place).map_err(|_| ()).unwrap()
    }

    fn world(text: &str) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("restante.toml");
        fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_configuration_keeps_its_mode_and_a_link_stays_a_link() {
        let (folder, path) = world("before");
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let elsewhere = folder.path().join("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        let link = elsewhere.join("link.toml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        let password = SecretString::from("canary");
        let beside = NewPassword { path: open(&link).folder().join("me.password"), password: &password };
        open(&link).write("after", Some(&beside)).map_err(|_| ()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "after");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
        assert_eq!(names(folder.path()), ["elsewhere", "restante.toml"]);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        // Relative paths begin in the folder of the link.
        let secret = elsewhere.join("me.password");
        assert_eq!(fs::read_to_string(&secret).unwrap(), "canary\n");
        assert_eq!(fs::metadata(&secret).unwrap().mode() & 0o7777, 0o600);
    }

    #[test]
    fn a_file_that_was_changed_meanwhile_is_not_overwritten_and_nothing_is_left_behind() {
        let (folder, path) = world("before");
        let configuration = open(&path);
        fs::write(&path, "somebody else's").unwrap();
        let password = SecretString::from("canary");
        let beside = NewPassword { path: folder.path().join("me.password"), password: &password };
        let failure = configuration.write("after", Some(&beside)).unwrap_err();
        assert!(failure.summary().unwrap().contains("changed it meanwhile"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "somebody else's");
        assert_eq!(names(folder.path()), ["restante.toml"]);
    }

    #[test]
    fn a_password_file_that_is_there_is_never_overwritten_nor_removed() {
        let (folder, path) = world("before");
        let secret = folder.path().join("me.password");
        fs::write(&secret, "old").unwrap();
        let password = SecretString::from("canary");
        let beside = NewPassword { path: secret.clone(), password: &password };
        let failure = open(&path).write("after", Some(&beside)).unwrap_err();
        assert!(failure.summary().unwrap().contains("is there already"));
        assert_eq!(fs::read_to_string(&secret).unwrap(), "old");
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
    }

    #[test]
    fn a_file_that_is_not_there_yet_is_made_with_its_folders_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/restante.toml");
        open(&path).write("new", None).map_err(|_| ()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        let twice = open(&folder.path().join("c.toml"));
        fs::write(folder.path().join("c.toml"), "came meanwhile").unwrap();
        assert!(twice.write("new", None).is_err());
        assert_eq!(fs::read_to_string(folder.path().join("c.toml")).unwrap(), "came meanwhile");
    }
}
