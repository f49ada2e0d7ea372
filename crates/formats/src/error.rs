//! What can go wrong in an export. Paths are shown escaped: folder names come from strangers.

use std::io;
use std::path::{Path, PathBuf};

use message::escape::escape_bytes;

/// An export, or one message of it, could not be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The target holds something already. Nothing was written.
    #[error("{} is not empty; an export goes into a new or empty folder", shown(.dir))]
    NotEmpty {
        /// The target.
        dir: PathBuf,
    },
    /// A name that was free when the export began is taken: someone else writes there too.
    #[error("{} is there already, and not from this export; nothing is overwritten", shown(.path))]
    Taken {
        /// What was to be made.
        path: PathBuf,
    },
    /// A folder that the exporter was not told of when it was made.
    #[error("folder {} is not part of this export", escape_bytes(.folder.join("/").as_bytes()))]
    UnknownFolder {
        /// Its levels.
        folder: Vec<String>,
    },
    /// A message before the first folder.
    #[error("a message was to be written before any folder was begun")]
    NoFolder,
    /// The system refused.
    #[error("cannot {action} {}: {source}", shown(.path))]
    Io {
        /// What was tried.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { action, path, source }
    }
}

fn shown(path: &Path) -> String {
    escape_bytes(path.as_os_str().as_encoded_bytes()).into_owned()
}
