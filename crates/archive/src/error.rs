//! What can go wrong in the archive, told for whoever reads it at three in the morning.
//!
//! Damage (bytes that are not what was written), trouble of the file system, and wrong use are
//! different variants, so that a caller can choose its exit status and a person knows whether to
//! look for a disk, a process or a bug.

use std::io;
use std::path::PathBuf;

use message::{BlobName, MessageKey, Uid};

/// An error of the archive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder holds no archive.
    #[error("{path} holds no archive; is its disk mounted?")]
    NotAnArchive {
        /// The folder.
        path: PathBuf,
    },
    /// A new archive wants a folder of its own.
    #[error("{path} is not empty; a new archive is made only in a missing or an empty folder")]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// Written by a later version of the program.
    #[error(
        "{what} has format {found}; this version of restante knows formats up to {known}: use a newer one"
    )]
    NewerFormat {
        /// The file.
        what: String,
        /// The format that the file says it has.
        found: u64,
        /// The newest format that this program reads.
        known: u64,
    },
    /// Another writer has the archive.
    #[error("another restante is writing to {path}")]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// Another compaction of the archive is at work.
    #[error("another restante is compacting {path}")]
    Compacting {
        /// The folder.
        path: PathBuf,
    },
    /// A pack that was made could not be read back as it was written.
    #[error(
        "a pack that was made is not as it was written, and was thrown away ({what}); nothing else was changed. \
         Look at the disk and the memory of this machine"
    )]
    Unproven {
        /// What is wrong.
        what: String,
    },
    /// The disk has no room for a pack beside those that it shall replace.
    #[error(
        "no room to compact: a new pack of up to {needed} bytes lies beside the old ones for a while, {free} \
         bytes are free, and {reserve} of them are to stay free"
    )]
    NoRoom {
        /// What the new pack may take.
        needed: u64,
        /// What is free.
        free: u64,
        /// What is to stay free.
        reserve: u64,
    },
    /// Another process works on the mailbox of an account.
    #[error(
        "another restante is backing up or restoring to account \"{account}\"; try again when it has ended"
    )]
    AccountBusy {
        /// The account's name.
        account: String,
    },
    /// Another writer took the archive although this one has the lock: two machines on one disk.
    #[error(
        "another restante, perhaps on another machine, has taken over {path}; nothing more is written here"
    )]
    OwnerChanged {
        /// The folder.
        path: PathBuf,
    },
    /// The program runs as root, the archive belongs to somebody else.
    #[error(
        "{path} belongs to user {owner}: files written as root would lock that user out; run as that user"
    )]
    ForeignOwner {
        /// The folder.
        path: PathBuf,
        /// The number of the user it belongs to.
        owner: u32,
    },
    /// The file system said no.
    #[error("cannot {action} {path}{}", advice(.source))]
    Io {
        /// What was to be done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// SQLite said no. The packs are not touched by this: `restante rebuild` makes the catalogue anew.
    #[error("the catalogue cannot be used (`restante rebuild` makes it anew from the packs)")]
    Catalogue(#[from] rusqlite::Error),
    /// The catalogue holds something that it cannot hold.
    #[error("the catalogue is wrong ({what}); `restante rebuild` makes it anew from the packs")]
    CatalogueWrong {
        /// What was found.
        what: &'static str,
    },
    /// A frame is not what was written.
    #[error("{pack} is damaged at byte {offset}: {what}; `restante verify` says which messages are hit")]
    PackDamaged {
        /// The file.
        pack: String,
        /// Where the frame begins.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// A pack that the catalogue knows is not there.
    #[error("pack {pack} is missing; `restante verify` says which messages are hit")]
    PackMissing {
        /// The file.
        pack: String,
    },
    /// A message cannot be given back as it was.
    #[error("message {message} is damaged: {reason}")]
    Damaged {
        /// Which one.
        message: MessageKey,
        /// Why.
        reason: String,
    },
    /// No such message.
    #[error("the archive holds no message {0}")]
    UnknownMessage(MessageKey),
    /// An account, mailbox, epoch or run that the archive does not know.
    #[error("the archive knows no {what} {number}")]
    Unknown {
        /// What kind of thing.
        what: &'static str,
        /// Its number.
        number: u64,
    },
    /// No account of this name.
    #[error("the archive knows no account {0:?}")]
    UnknownAccount(String),
    /// Something was to be recorded for an account that has no run open.
    #[error("no run has been begun for account {0}")]
    NoRun(u32),
    /// A message of a POP3 maildrop was to get a UID that is not above all that were given before.
    #[error("UID {0} of this POP3 maildrop may have been given before")]
    UidTaken(Uid),
    /// A message was put before one of its blobs.
    #[error("blob {0} was not put before the message that uses it")]
    BlobNotPut(BlobName),
    /// A blob's bytes are not those that it was named by: memory changed them on the way to the disk.
    #[error(
        "blob {0} changed in memory before it was written, and was not written; the memory of this machine \
         is not to be trusted: test it before the next run"
    )]
    ChangedInMemory(BlobName),
    /// Something is larger than the format allows.
    #[error("{what} of {length} bytes is larger than the archive takes ({limit})")]
    TooLarge {
        /// What it is.
        what: &'static str,
        /// Its length.
        length: u64,
        /// The limit.
        limit: u64,
    },
    /// The numbers of a kind have been handed out up to the last, which only a forged archive says.
    #[error("the archive has no number left for a new {what}; begin a new archive")]
    NumbersUsedUp {
        /// What was to be recorded.
        what: &'static str,
    },
    /// After a failed write nothing more is written until the archive is opened again.
    #[error("an earlier write to the archive failed; what came after the last commit is to be put again")]
    Abandoned,
    /// Whoever watched a verification broke it off.
    #[error("it was broken off before its end")]
    Interrupted,
    /// The caller's output did not take the bytes.
    #[error("the message could not be handed on")]
    Output(#[source] io::Error),
}

impl Error {
    /// Whether the archive itself is damaged, as opposed to out of reach or wrongly used.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::PackDamaged { .. } | Self::PackMissing { .. } | Self::Damaged { .. })
    }

    /// Whether a disk or a quota is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            Self::Io { source, .. } => is_full(source),
            Self::Catalogue(error) => is_full_for_sqlite(error),
            _ => false,
        }
    }

    /// All of it in one line: what, where, the system's answer, and what to do where the answer alone
    /// does not say it.
    #[must_use]
    pub fn in_full(&self) -> String {
        let mut words = match self {
            // Making the catalogue anew would need more room, not less.
            Self::Catalogue(error) if self.is_full() => {
                format!("no room is left for the catalogue: {error}")
            }
            Self::Catalogue(error) if is_io(error) => {
                format!(
                    "the disk does not let the catalogue be used: {error}; look at it, and at who may write there"
                )
            }
            Self::Catalogue(error) => format!("{self}: {error}"),
            error => error.to_string(),
        };
        // What SQLite has below its own words are its own words again.
        let mut source = std::error::Error::source(self).filter(|_| !matches!(self, Self::Catalogue(_)));
        while let Some(cause) = source {
            let cause_words = cause.to_string();
            if !words.contains(&cause_words) {
                words = format!("{words}: {cause_words}");
            }
            source = cause.source();
        }
        if self.is_full() {
            words.push_str("; make room on the archive's disk, the next run goes on from the last commit");
        }
        words
    }
}

fn is_io(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, PermissionDenied, ReadOnly, SystemIoFailure};
    let code = error.sqlite_error_code();
    code.is_some_and(|code| [CannotOpen, PermissionDenied, ReadOnly, SystemIoFailure].contains(&code))
}

/// SQLite makes its shared memory as large as it needs at once, and has no word of its own for a disk
/// that is too full for it.
fn is_full_for_sqlite(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|failure| {
        failure.code == rusqlite::ErrorCode::DiskFull
            || failure.extended_code == rusqlite::ffi::SQLITE_IOERR_SHMSIZE
    })
}

/// What to do about an error of the file system, in brackets behind what it was about.
fn advice(error: &io::Error) -> &'static str {
    const TOO_MANY_OPEN: [Option<i32>; 2] = [Some(23), Some(24)];
    const DEVICE_GONE: [Option<i32>; 2] = [Some(6), Some(19)];
    const MEDIUM: Option<i32> = Some(5);
    let code = error.raw_os_error();
    match error.kind() {
        io::ErrorKind::StorageFull => {
            " (the disk is full; make room, and the next run goes on from the last commit)"
        }
        io::ErrorKind::QuotaExceeded => {
            " (the quota is used up; raise it or make room, and the next run goes on from the last commit)"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            " (the file system is read-only; Linux makes it so after an error of the disk, which the system's \
             log shows; what is in the archive can be read)"
        }
        io::ErrorKind::PermissionDenied => " (the archive must belong to the user who runs restante)",
        io::ErrorKind::StaleNetworkFileHandle => {
            " (the network file system has lost the file; mount it anew)"
        }
        _ if TOO_MANY_OPEN.contains(&code) => {
            " (too many files are open; raise the limit, LimitNOFILE= in a systemd unit)"
        }
        _ if DEVICE_GONE.contains(&code) => " (its disk is gone; plug it in and mount it)",
        _ if code == MEDIUM => {
            " (the disk or its cable fails; look at the system's log, then run `restante verify`)"
        }
        _ => "",
    }
}

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// The result of anything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Adds what was to be done, and to what, to an error of the file system.
pub(crate) trait Context<T> {
    fn doing(self, action: &'static str, path: &std::path::Path) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn doing(self, action: &'static str, path: &std::path::Path) -> Result<T> {
        self.map_err(|source| Error::Io { action, path: path.to_owned(), source })
    }
}
