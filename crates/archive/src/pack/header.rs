//! The first 128 bytes of a pack, and its file name.
//!
//! The header says to which archive the pack belongs, what it is called, and where it stands in the
//! chain: its sequence number, which pack came before, how many bytes of that one count, and the
//! commit with which they end. What lies in the predecessor behind those bytes is void, though it
//! may look like a commit: it was written and never known to be synced.
//!
//! Rules P1 to P7. The header's shape is the same in all versions of the format, so that an old
//! program can tell a newer pack from a damaged one.

use crate::frame::FrameKey;
use crate::ids::{ArchiveId, CommitId, PackId, parse_hex};
use crate::wire::Cursor;

/// What a pack begins with: not text, and damaged by any transfer that takes it for text.
const MAGIC: [u8; 8] = [0x89, b'R', b'S', b'T', b'P', 0x0d, 0x0a, 0x1a];

/// The version that this program writes, and the newest that it reads.
pub(crate) const FORMAT_VERSION: u32 = 1;

/// Bytes of a pack header; the first frame begins here.
pub(crate) const PACK_HEADER_BYTES: usize = 128;

const CHECKED_BYTES: usize = 112;

/// What a pack says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PackHeader {
    pub(crate) archive: ArchiveId,
    pub(crate) pack: PackId,
    /// Counted from 1; a later pack has a higher one.
    pub(crate) sequence: u64,
    /// `None` in the first pack.
    pub(crate) previous: Option<Previous>,
    /// The last commit before this pack.
    pub(crate) base: CommitId,
}

/// Where the pack before ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Previous {
    pub(crate) pack: PackId,
    /// So many of its bytes count.
    pub(crate) length: u64,
}

/// Why bytes are not the header of a pack that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoHeader {
    /// Something else: a foreign file.
    NotAPack,
    /// A pack whose header is damaged.
    Damaged,
    /// Written by a later version.
    Newer(u32),
}

impl PackHeader {
    pub(crate) fn encode(&self) -> [u8; PACK_HEADER_BYTES] {
        let mut out = Vec::with_capacity(PACK_HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&FORMAT_VERSION.to_le_bytes());
        out.extend_from_slice(&u32::try_from(PACK_HEADER_BYTES).unwrap_or(u32::MAX).to_le_bytes());
        out.extend_from_slice(&self.archive.0);
        out.extend_from_slice(&self.pack.0);
        out.extend_from_slice(&self.sequence.to_le_bytes());
        let (previous, length) =
            self.previous.map_or(([0; 8], 0), |previous| (previous.pack.0, previous.length));
        out.extend_from_slice(&previous);
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&self.base.number.to_le_bytes());
        out.extend_from_slice(&self.base.check);
        out.resize(CHECKED_BYTES, 0);
        let check = FrameKey::new(self.archive, self.pack).checksum(&[&out]);
        out.extend_from_slice(&check);
        out.try_into().expect("the fields above have 128 bytes")
    }

    pub(crate) fn decode(bytes: &[u8; PACK_HEADER_BYTES]) -> Result<Self, NoHeader> {
        if bytes[..8] != MAGIC {
            return Err(NoHeader::NotAPack);
        }
        let (version, header) = Self::fields(bytes).ok_or(NoHeader::Damaged)?;
        let key = FrameKey::new(header.archive, header.pack);
        if key.checksum(&[&bytes[..CHECKED_BYTES]]) != bytes[CHECKED_BYTES..] {
            return Err(NoHeader::Damaged);
        }
        if version > FORMAT_VERSION {
            return Err(NoHeader::Newer(version));
        }
        Ok(header)
    }

    /// Whether bytes that are no header were one once. A header is written at once and lies in one sector,
    /// so after a power cut it is there or not; where a part of it stands, the rest is damaged.
    pub(crate) fn was_written(bytes: &[u8; PACK_HEADER_BYTES], archive: ArchiveId) -> bool {
        bytes[..8] == MAGIC || bytes[16..32] == archive.0
    }

    fn fields(bytes: &[u8; PACK_HEADER_BYTES]) -> Option<(u32, Self)> {
        let what = "a pack header";
        let mut cursor = Cursor::new(&bytes[8..]);
        let version = cursor.u32(what).ok()?;
        cursor.u32(what).ok()?;
        let archive = ArchiveId(cursor.array(what).ok()?);
        let pack = PackId(cursor.array(what).ok()?);
        let sequence = cursor.u64(what).ok()?;
        let previous = PackId(cursor.array(what).ok()?);
        let length = cursor.u64(what).ok()?;
        let base = CommitId { number: cursor.u64(what).ok()?, check: cursor.array(what).ok()? };
        let previous = (previous.0 != [0; 8]).then_some(Previous { pack: previous, length });
        Some((version, Self { archive, pack, sequence, previous, base }))
    }
}

/// The name of a pack's file: the sequence in eight digits or more, the id in hex.
pub(crate) fn file_name(sequence: u64, pack: PackId) -> String {
    format!("{sequence:08}-{pack}.pack")
}

/// Reads a file name of the form that [`file_name`] gives, and no other.
pub(crate) fn parse_file_name(name: &str) -> Option<(u64, PackId)> {
    let (sequence, pack) = name.strip_suffix(".pack")?.split_once('-')?;
    let sequence: u64 = sequence.parse().ok()?;
    let pack = PackId(parse_hex(pack)?);
    (file_name(sequence, pack) == name).then_some((sequence, pack))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn header() -> PackHeader {
        PackHeader {
            archive: ArchiveId([1; 16]),
            pack: PackId([2; 8]),
            sequence: 7,
            previous: Some(Previous { pack: PackId([3; 8]), length: 999 }),
            base: CommitId { number: 41, check: [4; 16] },
        }
    }

    #[test]
    fn p2_a_pack_header_comes_back() {
        assert_eq!(PackHeader::decode(&header().encode()), Ok(header()));
        let first = PackHeader { previous: None, base: CommitId::NONE, ..header() };
        assert_eq!(PackHeader::decode(&first.encode()), Ok(first));
    }

    #[test]
    fn d29_a_newer_pack_is_told_from_a_damaged_one() {
        let mut bytes = header().encode();
        bytes[8] = 2;
        assert_eq!(PackHeader::decode(&bytes), Err(NoHeader::Damaged));
        let check = FrameKey::new(header().archive, header().pack).checksum(&[&bytes[..112]]);
        bytes[112..].copy_from_slice(&check);
        assert_eq!(PackHeader::decode(&bytes), Err(NoHeader::Newer(2)));
        assert_eq!(PackHeader::decode(&[0; 128]), Err(NoHeader::NotAPack));
    }

    #[test]
    fn p1_file_names_come_back_and_others_are_not_taken_for_ours() {
        let name = file_name(12, PackId([0xab; 8]));
        assert_eq!(name, "00000012-abababababababab.pack");
        assert_eq!(parse_file_name(&name), Some((12, PackId([0xab; 8]))));
        for foreign in
            ["lost+found", "00000012-abababababababab (copy).pack", "12-abababababababab.pack", ".nfs01"]
        {
            assert_eq!(parse_file_name(foreign), None, "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn every_flipped_bit_of_a_pack_header_is_found(bit in 0usize..PACK_HEADER_BYTES * 8) {
            let mut bytes = header().encode();
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(PackHeader::decode(&bytes).is_err());
        }
    }
}
