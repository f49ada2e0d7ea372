//! What a compacted pack says of the packs in whose place it stands.
//!
//! A compacted pack holds the blobs and the records of packs that follow each other, gathered anew. Its
//! first frame names them: those are *retired*, whether they are still there or not. It also says how long
//! the pack is, so that a copy of it that was cut short is told from a whole one, and for which commits it
//! stands, so that the chain of commits goes on across it.
//!
//! Rules K1 to K8 of docs/archive-format.md.

use super::reader::PackReader;
use crate::frame::{CommitFields, HEADER_BYTES, Kind, StandsFor, limit};
use crate::ids::{CommitId, PackId};
use crate::pack::header::PACK_HEADER_BYTES;
use crate::wire::{Cursor, Malformed, malformed};

/// Bytes of the directory before the first pack that it names.
const FIXED_BYTES: usize = 56;

/// Bytes for each pack.
const ENTRY_BYTES: usize = 24;

/// So many packs fit into the frame's directory.
pub(crate) const MOST_RETIRED: usize = (limit::META_BYTES as usize - FIXED_BYTES) / ENTRY_BYTES;

/// The directory of a frame of kind 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Replaces {
    /// Of the whole pack that says it.
    pub(crate) length: u64,
    /// The first commit for which it stands.
    pub(crate) first_commit: u64,
    /// The last one.
    pub(crate) last: CommitId,
    /// When it was made, in milliseconds since 1970: the grace of what it replaces counts from then.
    pub(crate) unix_ms: i64,
    /// Its blocks were compressed at this level, or at a higher one.
    pub(crate) level: i32,
    /// The packs that it was made from, oldest first; with these it can be done without.
    pub(crate) sources: Vec<Retired>,
    /// The packs that those had replaced.
    pub(crate) before: Vec<Retired>,
}

/// A pack that has been replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Retired {
    pub(crate) pack: PackId,
    pub(crate) sequence: u64,
    /// So many of its bytes counted.
    pub(crate) length: u64,
}

impl Replaces {
    /// Bytes of the frame, so that room can be left for it.
    pub(crate) fn frame_bytes(&self) -> u64 {
        (HEADER_BYTES + FIXED_BYTES + (self.sources.len() + self.before.len()) * ENTRY_BYTES) as u64
    }

    /// All packs that are retired by it.
    pub(crate) fn all(&self) -> impl Iterator<Item = &Retired> {
        self.sources.iter().chain(&self.before)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(FIXED_BYTES + self.all().count() * ENTRY_BYTES);
        out.extend_from_slice(&self.length.to_le_bytes());
        out.extend_from_slice(&self.first_commit.to_le_bytes());
        out.extend_from_slice(&self.last.number.to_le_bytes());
        out.extend_from_slice(&self.last.check);
        out.extend_from_slice(&self.unix_ms.to_le_bytes());
        out.extend_from_slice(&self.level.to_le_bytes());
        let sources = u32::try_from(self.sources.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&sources.to_le_bytes());
        for retired in self.all() {
            out.extend_from_slice(&retired.pack.0);
            out.extend_from_slice(&retired.sequence.to_le_bytes());
            out.extend_from_slice(&retired.length.to_le_bytes());
        }
        out
    }

    pub(crate) fn decode(meta: &[u8]) -> Result<Self, Malformed> {
        let what = "what a compacted pack replaces";
        let mut cursor = Cursor::new(meta);
        let mut replaces = Self {
            length: cursor.u64(what)?,
            first_commit: cursor.u64(what)?,
            last: CommitId { number: cursor.u64(what)?, check: cursor.array(what)? },
            unix_ms: cursor.array(what).map(i64::from_le_bytes)?,
            level: cursor.array(what).map(i32::from_le_bytes)?,
            sources: Vec::new(),
            before: Vec::new(),
        };
        let sources = usize::try_from(cursor.u32(what)?).map_err(|_| malformed(what))?;
        let mut all = Vec::new();
        while !cursor.is_empty() {
            let pack = PackId(cursor.array(what)?);
            all.push(Retired { pack, sequence: cursor.u64(what)?, length: cursor.u64(what)? });
        }
        let in_order = (1..=replaces.last.number).contains(&replaces.first_commit);
        if sources == 0 || sources > all.len() || !in_order {
            return Err(malformed(what));
        }
        replaces.before = all.split_off(sources);
        replaces.sources = all;
        Ok(replaces)
    }

    /// What a pack says of itself, if it is a compacted one. The frame must be right; of what cannot be read,
    /// nothing is said here.
    pub(crate) fn of(pack: &PackReader) -> Option<Self> {
        let offset = PACK_HEADER_BYTES as u64;
        let header = pack.header(offset).ok().filter(|header| header.kind == Kind::Replaces)?;
        let meta = pack.meta(&header, offset).ok()?;
        Self::decode(&meta).ok().filter(|replaces| replaces.all().all(|retired| retired.pack != pack.pack))
    }

    /// Whether the pack ends with the commit with which it should end.
    pub(crate) fn is_whole(&self, pack: &PackReader) -> bool {
        standing_commit(pack, self.length).is_some_and(|(number, others)| {
            (number, others.first, others.check) == (self.last.number, self.first_commit, self.last.check)
        })
    }
}

/// The commit frame of a compacted pack that ends at `end`: its number, and for what it stands.
pub(crate) fn standing_commit(pack: &PackReader, end: u64) -> Option<(u64, StandsFor)> {
    let offset = end.checked_sub(HEADER_BYTES as u64 + CommitFields::BYTES_STANDING)?;
    let header = pack.header(offset).ok().filter(|header| header.kind == Kind::Commit)?;
    let meta = pack.meta(&header, offset).ok()?;
    let fields = CommitFields::decode(&meta).ok()?;
    Some((fields.number, fields.stands_for?))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    fn retired(number: u8) -> Retired {
        Retired { pack: PackId([number; 8]), sequence: number.into(), length: 1000 + u64::from(number) }
    }

    #[test]
    fn k2_what_is_replaced_comes_back_and_nonsense_is_refused() {
        let replaces = Replaces {
            length: 5000,
            first_commit: 3,
            last: CommitId { number: 9, check: [7; 16] },
            unix_ms: -1,
            level: 12,
            sources: vec![retired(1), retired(2)],
            before: vec![retired(3)],
        };
        let meta = replaces.encode();
        assert_eq!(meta.len() as u64 + HEADER_BYTES as u64, replaces.frame_bytes());
        assert_eq!(Replaces::decode(&meta), Ok(replaces.clone()));
        for cut in 0..meta.len() {
            let whole_entries =
                cut >= FIXED_BYTES + 2 * ENTRY_BYTES && (cut - FIXED_BYTES).is_multiple_of(ENTRY_BYTES);
            assert_eq!(Replaces::decode(&meta[..cut]).is_ok(), whole_entries, "{cut}");
        }
        let of_nothing = Replaces { sources: vec![], before: vec![], ..replaces.clone() };
        assert!(Replaces::decode(&of_nothing.encode()).is_err());
        for first_commit in [0, 10] {
            let meta = Replaces { first_commit, ..replaces.clone() }.encode();
            assert!(Replaces::decode(&meta).is_err(), "{first_commit}");
        }
    }
}
