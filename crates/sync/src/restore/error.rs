//! Why a restore, or a part of it, ended early.

use std::sync::Arc;

use remote::imap::Refusal;

/// What ends a folder, or the whole restore.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum RestoreError {
    #[error("{0}")]
    Remote(Arc<remote::Error>),
    #[error("{}", .0.in_full())]
    Archive(Arc<archive::Error>),
    #[error("the archive holds no account \"{0}\"")]
    NoAccount(String),
    #[error("no folder of the account matches, so there is nothing to restore")]
    NothingWanted,
    #[error(
        "the target is full ({0}); make room there, and run the same command again: it goes on from here"
    )]
    TargetFull(Refusal),
    #[error("the server does not take more now: {0}")]
    NotNow(Refusal),
    #[error("ended early because of another folder")]
    Halted,
    #[error("interrupted; the same command goes on from here")]
    Stopped,
    #[error("the network runtime cannot be started: {0}")]
    Runtime(String),
    #[error("the thread that reads the archive has ended")]
    ReaderGone,
    #[error("a fault in restante itself; please report it: {0}")]
    Panicked(String),
}

impl From<remote::Error> for RestoreError {
    fn from(error: remote::Error) -> Self {
        Self::Remote(Arc::new(error))
    }
}

impl From<archive::Error> for RestoreError {
    fn from(error: archive::Error) -> Self {
        Self::Archive(Arc::new(error))
    }
}

impl RestoreError {
    /// Whether a connection was lost, so that what was on it may be the cause.
    pub(super) fn is_a_cut(&self) -> bool {
        match self {
            Self::Remote(error) => matches!(error.kind(), remote::Kind::Network | remote::Kind::Protocol),
            _ => false,
        }
    }

    /// Whether it concerns this folder only, so that the others go on.
    pub(super) fn is_of_one_folder(&self) -> bool {
        match self {
            Self::Remote(error) => error.kind() == remote::Kind::Refused,
            _ => false,
        }
    }
}
