//! Packs: the append-only files that hold everything.
//!
//! * [`header`]: the first 128 bytes, which say whose pack it is and where its predecessor ends.
//! * [`replaces`]: what a compacted pack says of those in whose place it stands.
//! * [`standing`]: which packs count, where some stand in the place of others.
//! * [`files`]: which packs there are, foreign files and doubles left aside, and the open files.
//! * [`reader`]: one frame at a known place, checked.
//! * [`walk`]: all frames from a place on, also behind damage, gathered into commits.
//! * [`writer`]: frames appended to the open pack, the commit record, the sync, the next pack.
//! * [`ahead`]: syncs before the one that counts.
//! * [`stage`]: the same on a thread of its own, so that one block is compressed while the next fills.
//!
//! Invariant: a byte that a commit covers is never written again, and a pack is only ever cut behind
//! its last commit.

pub(crate) mod ahead;
pub(crate) mod files;
pub(crate) mod header;
pub(crate) mod reader;
pub(crate) mod replaces;
pub(crate) mod stage;
pub(crate) mod standing;
pub(crate) mod walk;
pub(crate) mod writer;
