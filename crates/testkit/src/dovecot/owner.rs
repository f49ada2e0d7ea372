//! To whom the mail of a private Dovecot belongs: to whoever runs the test, but never to root.

use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::{fs, io};

use crate::service::account;

/// The user that owns nothing, where the system does not say which number it has.
const NOBODY: (u32, u32) = (65_534, 65_534);

/// To whom the mail belongs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) is_root: bool,
}

impl Owner {
    /// Whoever owns a folder just made is who runs this.
    pub(super) fn of(folder: &Path) -> Self {
        let made = fs::metadata(folder).expect("the folder is there");
        if made.uid() != 0 {
            return Self { uid: made.uid(), gid: made.gid(), is_root: false };
        }
        let (uid, gid) = account("nobody").unwrap_or(NOBODY);
        Self { uid, gid, is_root: true }
    }

    pub(super) fn give(self, path: &Path) {
        if self.is_root {
            chown(path, Some(self.uid), Some(self.gid)).expect("root may give files away");
        }
    }

    pub(super) fn give_all(self, folder: &Path) -> io::Result<()> {
        if !self.is_root {
            return Ok(());
        }
        let mut left = vec![folder.to_owned()];
        while let Some(path) = left.pop() {
            let known = fs::symlink_metadata(&path)?;
            if known.uid() != self.uid {
                chown(&path, Some(self.uid), Some(self.gid))?;
            }
            if known.is_dir() {
                for entry in fs::read_dir(&path)? {
                    left.push(entry?.path());
                }
            }
        }
        Ok(())
    }
}
