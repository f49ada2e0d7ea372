//! What a simulated disk can be told to do wrong.
//!
//! A fault is due by counting: the n-th call of one kind from the moment in which the fault was set.
//! So a test can let every single call of a story fail in turn, and say afterwards which it was.

use std::io;
use std::ops::Range;

use super::State;

/// A kind of call of [`Disk`](crate::disk::Disk) or [`DiskFile`](crate::disk::DiskFile).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each is the call of its name")]
pub enum Call {
    CreateDir,
    Create,
    Open,
    Read,
    Write,
    Sync,
    Truncate,
    Rename,
    Remove,
    List,
    SyncDir,
    Lock,
    Length,
    FreeBytes,
}

/// The numbers of errors, as Linux has them.
#[expect(missing_docs, reason = "each is the error of its name")]
pub mod errno {
    pub const INTR: i32 = 4;
    pub const IO: i32 = 5;
    pub const NXIO: i32 = 6;
    pub const BADF: i32 = 9;
    pub const ACCES: i32 = 13;
    pub const MFILE: i32 = 24;
    pub const NOSPC: i32 = 28;
    pub const ROFS: i32 = 30;
    pub const STALE: i32 = 116;
    pub const DQUOT: i32 = 122;
}

/// How a call goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// It fails with this error and does nothing.
    Error(i32),
    /// The power goes: it does nothing, and so does every call of any kind after it.
    PowerCut,
}

/// A call that fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Calls of this kind; `None`: of any kind.
    pub call: Option<Call>,
    /// Which of them, counted from 1, the next one.
    pub number: usize,
    /// Whether those after it fail too.
    pub lasting: bool,
    /// How.
    pub problem: Problem,
}

/// What the system does with what a failed sync should have written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AfterFailedSync {
    /// It is tried again by a later sync.
    Kept,
    /// It can be read until the system forgets it, and is never written ("fsyncgate").
    Hidden,
    /// It is gone at once.
    #[default]
    Dropped,
}

/// What the disk shall do wrong.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// A call that fails.
    pub failure: Option<Failure>,
    /// What becomes of the bytes when a sync fails.
    pub after_failed_sync: AfterFailedSync,
    /// After so many more syncs, of files or folders, the disk says that it has synced and has not (D16).
    pub syncs_before_lies: Option<usize>,
    /// Bytes that may still be written; then the disk is full.
    pub room: Option<usize>,
    /// So many files can be open at the same time (D23).
    pub open_files: Option<usize>,
    /// Writes take at most so many bytes at a time.
    pub short: Option<usize>,
    /// Reads that touch this range of any file fail.
    pub unreadable: Option<Range<u64>>,
}

impl Faults {
    /// The n-th call of this kind (1 is the next) fails once, with this error.
    #[must_use]
    pub fn once(call: Call, number: usize, error: i32) -> Self {
        let failure = Failure { call: Some(call), number, lasting: false, problem: Problem::Error(error) };
        Self { failure: Some(failure), ..Self::default() }
    }

    /// The n-th call of this kind and all of this kind after it fail.
    #[must_use]
    pub fn from_then_on(call: Call, number: usize, error: i32) -> Self {
        let failure = Failure { call: Some(call), number, lasting: true, problem: Problem::Error(error) };
        Self { failure: Some(failure), ..Self::default() }
    }

    /// The power goes with the n-th call (1 is the next), whatever it is.
    #[must_use]
    pub fn power_cut(number: usize) -> Self {
        let failure = Failure { call: None, number, lasting: true, problem: Problem::PowerCut };
        Self { failure: Some(failure), ..Self::default() }
    }

    /// Whether the sync that is being done is a lie.
    pub(super) fn syncs_lie(&mut self) -> bool {
        match &mut self.syncs_before_lies {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }
}

impl State {
    /// Counts a call, and gives the error that is due.
    pub(super) fn count(&mut self, call: Call) -> io::Result<()> {
        *self.calls.entry(call).or_default() += 1;
        let Some(failure) = &mut self.faults.failure else { return Ok(()) };
        if failure.call.is_some_and(|failing| failing != call) {
            return Ok(());
        }
        if failure.number > 1 {
            failure.number -= 1;
            return Ok(());
        }
        let problem = failure.problem;
        if !failure.lasting {
            self.faults.failure = None;
        }
        match problem {
            Problem::Error(error) => Err(io::Error::from_raw_os_error(error)),
            Problem::PowerCut => Err(io::Error::from_raw_os_error(errno::IO)),
        }
    }
}
