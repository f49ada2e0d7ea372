//! Where the configuration is, or would be: what a command needs that writes one.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Config, ConfigError, SYSTEM_FILE, find};

/// Where the packages put the archive of the system's service.
const SYSTEM_ARCHIVE: &str = "/var/lib/restante";

/// Beside a configuration that somebody has named.
const NAMED_ARCHIVE: &str = "mail-archive";

/// The configuration's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) file: PathBuf,
    pub(crate) exists: bool,
    /// It is the one that the units read.
    pub(crate) is_system: bool,
    /// Where an archive is put when nothing else is said; relative paths begin beside the file.
    pub(crate) usual_archive: PathBuf,
}

impl Config {
    /// The file that was named, else the one that is there, else the one that would be made: root's is
    /// the system's, other users have their own.
    ///
    /// # Errors
    /// When there is no file, and no place for one.
    pub(crate) fn locate(named: Option<&Path>) -> Result<Place, ConfigError> {
        let is_root = rustix::process::geteuid().is_root();
        locate(named, Path::new(SYSTEM_FILE), is_root, std::env::var_os)
    }
}

fn locate(
    named: Option<&Path>,
    system: &Path,
    is_root: bool,
    variable: impl Fn(&'static str) -> Option<OsString>,
) -> Result<Place, ConfigError> {
    let home = |xdg: &'static str, below: &str| {
        let set = variable(xdg).map(PathBuf::from).filter(|path| path.is_absolute());
        set.or_else(|| Some(PathBuf::from(variable("HOME")?).join(below)))
    };
    let file = match (named, find(system, &variable)) {
        (Some(named), _) => named.to_owned(),
        (None, Ok(found)) => found,
        (None, Err(_)) if is_root => system.to_owned(),
        (None, Err(missing)) => {
            home("XDG_CONFIG_HOME", ".config").ok_or(missing)?.join("restante/restante.toml")
        }
    };
    let is_system = file == system;
    let usual_archive = match home("XDG_DATA_HOME", ".local/share") {
        _ if is_system => PathBuf::from(SYSTEM_ARCHIVE),
        Some(data) if named.is_none() => data.join("restante"),
        _ => PathBuf::from(NAMED_ARCHIVE),
    };
    // What cannot be looked at is there: opening it will say why it cannot be read.
    let exists = file.try_exists().unwrap_or(true) || file.is_symlink();
    Ok(Place { file, exists, is_system, usual_archive })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    #[test]
    fn a_configuration_that_is_made_lies_where_it_will_be_looked_for() {
        let folder = tempfile::tempdir().unwrap();
        let (system, home) = (folder.path().join("system.toml"), folder.path().join("home"));
        let variable = |name: &'static str| (name == "HOME").then(|| home.clone().into_os_string());
        let place = locate(None, &system, false, variable).unwrap();
        let own = home.join(".config/restante/restante.toml");
        assert_eq!((&place.file, place.exists, place.is_system), (&own, false, false));
        assert_eq!(place.usual_archive, home.join(".local/share/restante"));
        let place = locate(None, &system, true, variable).unwrap();
        assert_eq!((&place.file, place.exists, place.is_system), (&system, false, true));
        assert_eq!(place.usual_archive, Path::new("/var/lib/restante"));
        let place = locate(Some(Path::new("other.toml")), &system, true, variable).unwrap();
        assert_eq!((place.is_system, place.usual_archive.as_path()), (false, Path::new("mail-archive")));
        assert!(locate(None, &system, false, |_| None).is_err());
        std::fs::write(&system, "").unwrap();
        let place = locate(None, &system, false, variable).unwrap();
        assert_eq!((&place.file, place.exists, place.is_system), (&system, true, true));
    }
}
