//! The file from which node_exporter's textfile collector reads. Whoever reads it sees a whole one: it is
//! written aside and renamed.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// node_exporter runs as another user, and there is nothing secret in it.
const MODE: u32 = 0o644;

#[derive(Debug, thiserror::Error)]
#[error(
    "metrics cannot be written to {path}: {source}; its folder must be there and be writable for restante \
     (in a systemd unit by ReadWritePaths=)"
)]
pub(in super::super) struct TextfileError {
    path: PathBuf,
    source: io::Error,
}

/// Writes it.
///
/// # Errors
/// When the disk refuses.
pub(in super::super) fn write(path: &Path, text: &str) -> Result<(), TextfileError> {
    let write = || -> io::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // A name that node_exporter passes over.
        let aside = path.with_file_name(format!(".{name}.{}", std::process::id()));
        // S4: what lies there is a remainder, or a trap; it is taken away, never written through.
        match fs::remove_file(&aside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(&aside)?;
        let written = file
            .set_permissions(Permissions::from_mode(MODE))
            .and_then(|()| file.write_all(text.as_bytes()))
            .and_then(|()| file.sync_data())
            .and_then(|()| fs::rename(&aside, path));
        if written.is_err() {
            // What is left aside is taken away by the next attempt at the latest.
            let _ = fs::remove_file(&aside);
        }
        written
    };
    write().map_err(|source| TextfileError { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    #[test]
    fn the_file_is_whole_readable_for_all_and_alone_in_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("restante.prom");
        for text in ["a 1\n", "b 2\n"] {
            write(&path, text).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn s04_links_in_its_place_are_replaced_and_not_written_through() {
        let folder = tempfile::tempdir().unwrap();
        let victim = folder.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        let path = folder.path().join("restante.prom");
        let aside = folder.path().join(format!(".restante.prom.{}", std::process::id()));
        for link in [&path, &aside] {
            std::os::unix::fs::symlink(&victim, link).unwrap();
            write(&path, "a 1\n").unwrap();
            assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
            assert_eq!(fs::read_to_string(&path).unwrap(), "a 1\n");
        }
    }

    #[test]
    fn a_folder_that_is_not_there_is_named_with_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&folder.path().join("none/restante.prom"), "").unwrap_err().to_string();
        assert!(error.contains("none/restante.prom") && error.contains("ReadWritePaths="), "{error}");
    }
}
