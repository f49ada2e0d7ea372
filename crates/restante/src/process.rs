//! What the process as a whole promises, set before anything else: files are made for their owner
//! alone, passwords do not end up in core dumps, and a request to stop is heard.

use rustix::fs::Mode;
use rustix::process::DumpableBehavior;

/// Makes everything that is created private, and keeps the memory out of core dumps and debuggers
/// of the same user.
pub(crate) fn harden() {
    rustix::process::umask(Mode::RWXG | Mode::RWXO);
    // An old kernel or a strict sandbox may refuse; the unit sets LimitCORE=0 besides.
    let _ = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_created_is_private_and_memory_is_not_dumped() {
        harden();
        assert_eq!(rustix::process::umask(Mode::RWXG | Mode::RWXO), Mode::RWXG | Mode::RWXO);
        assert_eq!(rustix::process::dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}
