//! How far the care for each archive is: `care.json` beside `archives.json`.
//!
//! Losing it costs no more than reading packs again that were read before their time. So a file that
//! cannot be read is put up with, where that of the archives must not be.

use std::path::{Path, PathBuf};

use archive::ArchiveId;
use daemon::care::Care;
use serde::{Deserialize, Serialize};

use super::{Memory, MemoryError, absolute, as_text};

const FILE: &str = "care.json";

/// Some hundred thousand packs fit: tens of terabytes.
const MAX_FILE_BYTES: u64 = 32 << 20;

/// The care for the archive at one path.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Kept {
    path: PathBuf,
    #[serde(with = "as_text")]
    archive: ArchiveId,
    care: Care,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Content {
    archives: Vec<Kept>,
}

impl Memory {
    /// How far the care for the archive at a path is.
    ///
    /// # Errors
    /// When the file cannot be read for other reasons than what is in it.
    pub(crate) fn care(&self, path: &Path, archive: ArchiveId) -> Result<Care, MemoryError> {
        let path = absolute(path);
        let kept =
            self.cares()?.archives.into_iter().find(|kept| kept.path == path && kept.archive == archive);
        Ok(kept.map(|kept| kept.care).unwrap_or_default())
    }

    /// Changes it; what it is then. Another archive's at the same path is forgotten.
    ///
    /// # Errors
    /// When the file cannot be read or written.
    pub(crate) fn change_care(
        &self,
        path: &Path,
        archive: ArchiveId,
        change: impl FnOnce(&mut Care),
    ) -> Result<Care, MemoryError> {
        let _alone = self.alone();
        let path = absolute(path);
        let mut content = self.cares()?;
        let at = content.archives.iter().position(|kept| kept.path == path);
        let known = at.map(|at| content.archives.remove(at)).filter(|kept| kept.archive == archive);
        let mut care = known.map(|kept| kept.care).unwrap_or_default();
        change(&mut care);
        content.archives.push(Kept { path, archive, care: care.clone() });
        content.archives.sort_by(|a, b| a.path.cmp(&b.path));
        self.write_file(FILE, &content)?;
        Ok(care)
    }

    fn cares(&self) -> Result<Content, MemoryError> {
        match self.read_file(FILE, MAX_FILE_BYTES) {
            Err(MemoryError::Garbled { path, reason }) => {
                tracing::warn!(
                    "{} cannot be read ({reason}); it is written anew, and all packs are read again in their turn",
                    path.display()
                );
                Ok(Content::default())
            }
            read => read,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use daemon::care::Pack;

    use super::*;

    const A: ArchiveId = ArchiveId::from_bytes([0xa; 16]);
    const B: ArchiveId = ArchiveId::from_bytes([0xb; 16]);

    #[test]
    fn the_care_for_an_archive_is_remembered_for_that_archive_alone() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory { folder: folder.path().join("state") };
        let (mail, other) = (Path::new("/srv/mail"), Path::new("/srv/other"));
        let packs = [Pack { name: "07".repeat(8), bytes: 9 }];
        let read = |care: &mut Care| care.read_all(&packs, &[], false, 1_000);
        memory.change_care(mail, A, read).unwrap();
        memory.change_care(other, B, |care| care.read_all(&[], &[], true, 2_000)).unwrap();
        assert_eq!(memory.care(Path::new("/srv/./mail"), A).unwrap().readings().read, 1);
        assert_eq!(memory.care(mail, B).unwrap(), Care::default());
        assert!(!memory.care(other, B).unwrap().is_whole());
        let file = folder.path().join("state").join(FILE);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        memory.change_care(mail, B, |_| ()).unwrap();
        assert_eq!(memory.care(mail, A).unwrap(), Care::default(), "another archive came to its place");
        assert_eq!(fs::read_dir(folder.path().join("state")).unwrap().count(), 1);
    }

    #[test]
    fn a_garbled_file_costs_no_more_than_reading_again() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory { folder: folder.path().to_owned() };
        for garbage in ["", "{\"archives\":[{\"path\":7}]}", "\u{0}\u{0}\u{0}"] {
            fs::write(folder.path().join(FILE), garbage).unwrap();
            let mail = Path::new("/srv/mail");
            assert_eq!(memory.care(mail, A).unwrap(), Care::default(), "{garbage:?}");
            memory.change_care(mail, A, |care| care.read_all(&[], &[], false, 1_000)).unwrap();
            assert_eq!(memory.care(mail, A).unwrap().last_look(), Some(1_000));
        }
    }
}
