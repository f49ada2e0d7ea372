//! What goes wrong with which calls.
//!
//! A rule names files by a part of their path below the mount point, kinds of calls, which of those
//! calls fail (the n-th once, or from it on), and how. The first rule that fits decides. Rules count
//! on their own, so that "the third sync of a pack" is the same call in each run of a test.

use rustix::io::Errno;

/// A kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// Opening a file that is there.
    Open,
    /// Making a file or a folder.
    Create,
    /// Reading from a file.
    Read,
    /// Writing to a file.
    Write,
    /// Making a file's content durable.
    Sync,
    /// Making a folder's names durable.
    SyncFolder,
    /// Giving a file another name.
    Rename,
    /// Removing a file or a folder.
    Remove,
    /// Changing a file's length.
    Truncate,
    /// Looking: at a file's name, length, owner, at what is in a folder, at the free space.
    Look,
}

impl Call {
    /// All that change something, sync among them.
    pub const CHANGES: [Self; 7] =
        [Self::Create, Self::Write, Self::Sync, Self::SyncFolder, Self::Rename, Self::Remove, Self::Truncate];

    /// All.
    pub const ALL: [Self; 10] = [
        Self::Open,
        Self::Create,
        Self::Read,
        Self::Write,
        Self::Sync,
        Self::SyncFolder,
        Self::Rename,
        Self::Remove,
        Self::Truncate,
        Self::Look,
    ];

    /// Whether it changes what is on the disk: the calls that power cuts are counted in.
    pub(super) fn changes(self) -> bool {
        Self::CHANGES.contains(&self)
    }
}

/// How a call fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effect {
    Error(Errno),
    /// At most so many bytes are read or written.
    Short(usize),
}

/// A thing that goes wrong.
#[derive(Clone, Debug)]
pub struct Fault {
    path: String,
    calls: Vec<Call>,
    effect: Effect,
    skip: u64,
    times: u64,
    range: std::ops::Range<u64>,
}

impl Fault {
    /// Every call of these kinds on every file fails with this error; narrowed by the methods.
    #[must_use]
    pub fn error(error: Errno, calls: &[Call]) -> Self {
        let effect = Effect::Error(error);
        Self {
            path: String::new(),
            calls: calls.to_vec(),
            effect,
            skip: 0,
            times: u64::MAX,
            range: 0..u64::MAX,
        }
    }

    /// Reads and writes move at most so many bytes at a time.
    #[must_use]
    pub fn short(bytes: usize) -> Self {
        Self { effect: Effect::Short(bytes), ..Self::error(Errno::IO, &[Call::Read, Call::Write]) }
    }

    /// Only on files with this in their path (`packs/`, `catalog.db`).
    #[must_use]
    pub fn on(mut self, path: &str) -> Self {
        path.clone_into(&mut self.path);
        self
    }

    /// Not before the n-th such call, from 1.
    #[must_use]
    pub fn from_nth(mut self, n: u64) -> Self {
        self.skip = n.saturating_sub(1);
        self
    }

    /// Only once.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.times = 1;
        self
    }

    /// Only reads and writes that touch these bytes of the file.
    #[must_use]
    pub fn in_range(mut self, range: std::ops::Range<u64>) -> Self {
        self.range = range;
        self
    }

    /// What this rule makes of a call; it is counted.
    pub(super) fn meet(&mut self, call: Call, path: &str, range: &std::ops::Range<u64>) -> Option<Effect> {
        let touches = range.start < self.range.end && self.range.start < range.end.max(range.start + 1);
        if !self.calls.contains(&call) || !path.contains(&self.path) || !touches {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.times = self.times.checked_sub(1)?;
        Some(self.effect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_meets_the_calls_that_it_names_and_no_others() {
        let mut fault = Fault::error(Errno::IO, &[Call::Sync]).on("packs/").from_nth(2).once();
        let mut meet = |call, path| fault.meet(call, path, &(0..0)).is_some();
        let met = [
            meet(Call::Sync, "a/packs/1"),
            meet(Call::Sync, "a/catalog.db"),
            meet(Call::Write, "a/packs/1"),
            meet(Call::Sync, "a/packs/2"),
            meet(Call::Sync, "a/packs/2"),
        ];
        assert_eq!(met, [false, false, false, true, false]);
    }

    #[test]
    fn a_bad_range_is_met_by_what_touches_it() {
        let mut fault = Fault::error(Errno::IO, &[Call::Read]).in_range(100..200);
        let mut meet = |range| fault.meet(Call::Read, "x", &range).is_some();
        assert_eq!([meet(0..100), meet(0..101), meet(199..300), meet(200..300)], [false, true, true, false]);
    }
}
