//! Frames: what a pack consists of.
//!
//! A frame is a header of 80 bytes, a directory (`meta`) and a body. The header says what the frame
//! is, how long its parts are and how they are encoded, and carries three checksums: of the
//! directory, of the body as it is stored, and of itself together with the byte at which it lies.
//!
//! All three are BLAKE3 under a key made from the archive's and the pack's id. Somebody who sends
//! mail cannot know that key, so bytes from a mail are never taken for a frame, not even a whole
//! pack that comes as an attachment and is stored as it is. A frame that has moved within its file
//! is no frame either.
//!
//! Rules F3 to F12 of docs/archive-format.md. Invariant: no length is believed before the checksum of
//! its header has been compared, and none above the limits here.

use std::ops::Range;

use crate::ids::{ArchiveId, PackId};
use crate::wire::{Cursor, Malformed, malformed};

/// What a frame begins with; what a search for frames behind damage looks for.
pub(crate) const MAGIC: [u8; 4] = [0xf5, b'R', b'F', 0x0a];

/// Bytes of a frame header.
pub(crate) const HEADER_BYTES: usize = 80;

/// The part of the header that its own checksum covers.
const CHECKED_BYTES: usize = 64;

/// Set when a reader that does not know the kind may go on behind the frame.
pub(crate) const SKIPPABLE: u8 = 1;

/// The limits of the format against hostile or damaged packs. Larger is refused.
pub(crate) mod limit {
    /// A directory: 16,384 blobs take some 600 KiB.
    pub(crate) const META_BYTES: u32 = 1 << 20;
    /// A body, stored and plain: the largest blob or journal record, and room.
    pub(crate) const BODY_BYTES: u64 = 32 << 20;
    /// One blob.
    pub(crate) const BLOB_BYTES: usize = 16 << 20;
    /// Blobs in one block.
    pub(crate) const BLOBS_IN_BLOCK: usize = 16_384;
    /// Blobs of one message. Each costs a reader some 100 bytes and a writer of hostile packs one: without
    /// a bound, a record of 16 MiB would take 2 GiB. Our splitter needs so many for a message of 4 TB.
    pub(crate) const BLOBS_IN_MESSAGE: usize = 1 << 20;
    /// One journal record: a ledger with every UID of a very large mailbox in it.
    pub(crate) const RECORD_BYTES: usize = 16 << 20;
    /// Names in one record of them: three bytes of a record become forty in memory.
    pub(crate) const NAMES_IN_RECORD: usize = 8_192;
    /// Message keys in one journal frame (they are its directory).
    pub(crate) const KEYS_IN_FRAME: usize = META_BYTES as usize / 32;
}

/// What a frame holds. The list is open: other numbers may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Blobs.
    Block,
    /// Journal records.
    Journal,
    /// The end of a commit.
    Commit,
    /// The pack ends with the commit that this frame is in.
    Seal,
    /// The pack stands in the place of others, and this says of which.
    Replaces,
    /// One that this version does not know.
    Other(u8),
}

impl Kind {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Block => 1,
            Self::Journal => 2,
            Self::Commit => 3,
            Self::Seal => 4,
            Self::Replaces => 5,
            Self::Other(number) => number,
        }
    }

    const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Block,
            2 => Self::Journal,
            3 => Self::Commit,
            4 => Self::Seal,
            5 => Self::Replaces,
            other => Self::Other(other),
        }
    }
}

/// How a body is encoded. The list is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    /// As it is.
    Stored,
    /// One zstd frame.
    Zstd,
    /// One that this version does not know.
    Other(u8),
}

impl Codec {
    const fn number(self) -> u8 {
        match self {
            Self::Stored => 0,
            Self::Zstd => 1,
            Self::Other(number) => number,
        }
    }

    const fn from_number(number: u8) -> Self {
        match number {
            0 => Self::Stored,
            1 => Self::Zstd,
            other => Self::Other(other),
        }
    }
}

/// The key of a pack's checksums.
#[derive(Clone)]
pub(crate) struct FrameKey([u8; 32]);

impl FrameKey {
    pub(crate) fn new(archive: ArchiveId, pack: PackId) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("restante archive format 1: checksums of a pack");
        hasher.update(&archive.0).update(&pack.0);
        Self(*hasher.finalize().as_bytes())
    }

    /// The keyed checksum of `parts`, one after the other.
    pub(crate) fn checksum(&self, parts: &[&[u8]]) -> [u8; 16] {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        for part in parts {
            hasher.update(part);
        }
        let mut short = [0; 16];
        short.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
        short
    }
}

/// A frame's header, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) kind: Kind,
    pub(crate) skippable: bool,
    pub(crate) codec: Codec,
    pub(crate) sealing: u8,
    pub(crate) meta_length: u32,
    pub(crate) body_length: u64,
    pub(crate) plain_length: u64,
    pub(crate) meta_check: [u8; 16],
    pub(crate) body_check: [u8; 16],
    /// The checksum of the header itself and of where it lies: the frame's fingerprint.
    pub(crate) check: [u8; 16],
}

impl FrameHeader {
    /// Reads a header that lies at `offset`. `None` when it is not a frame of this pack at this place.
    pub(crate) fn decode(bytes: &[u8; HEADER_BYTES], offset: u64, key: &FrameKey) -> Option<Self> {
        if bytes[..4] != MAGIC
            || key.checksum(&[&bytes[..CHECKED_BYTES], &offset.to_le_bytes()]) != bytes[64..]
        {
            return None;
        }
        Self::fields(bytes).ok().filter(Self::within_limits)
    }

    fn fields(bytes: &[u8; HEADER_BYTES]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(&bytes[4..]);
        let what = "a frame header";
        let header = Self {
            kind: Kind::from_number(cursor.u8(what)?),
            skippable: cursor.u8(what)? & SKIPPABLE != 0,
            codec: Codec::from_number(cursor.u8(what)?),
            sealing: cursor.u8(what)?,
            meta_length: cursor.u32(what)?,
            // Four reserved bytes follow: written as zeros, not looked at.
            body_length: {
                cursor.u32(what)?;
                cursor.u64(what)?
            },
            plain_length: cursor.u64(what)?,
            meta_check: cursor.array(what)?,
            body_check: cursor.array(what)?,
            check: cursor.array(what)?,
        };
        if cursor.is_empty() { Ok(header) } else { Err(malformed(what)) }
    }

    /// F7: what is above the limits is no frame, whatever its checksum says.
    fn within_limits(&self) -> bool {
        self.meta_length <= limit::META_BYTES
            && self.body_length <= limit::BODY_BYTES
            && self.plain_length <= limit::BODY_BYTES
    }

    /// The length of the whole frame.
    pub(crate) fn frame_length(&self) -> u64 {
        HEADER_BYTES as u64 + u64::from(self.meta_length) + self.body_length
    }

    /// Where the body lies within the frame.
    pub(crate) fn body_range(&self) -> Range<u64> {
        let start = HEADER_BYTES as u64 + u64::from(self.meta_length);
        start..start + self.body_length
    }
}

/// A frame about to be written.
pub(crate) struct NewFrame<'f> {
    pub(crate) kind: Kind,
    pub(crate) codec: Codec,
    pub(crate) meta: &'f [u8],
    pub(crate) body: &'f [u8],
    pub(crate) plain_length: u64,
}

impl NewFrame<'_> {
    /// The header bytes for a frame that will lie at `offset`.
    pub(crate) fn header(&self, offset: u64, key: &FrameKey) -> [u8; HEADER_BYTES] {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[self.kind.number(), 0, self.codec.number(), 0]);
        let meta_length = u32::try_from(self.meta.len()).expect("directories are kept far below 4 GiB");
        bytes.extend_from_slice(&meta_length.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&(self.body.len() as u64).to_le_bytes());
        bytes.extend_from_slice(&self.plain_length.to_le_bytes());
        bytes.extend_from_slice(&key.checksum(&[self.meta]));
        bytes.extend_from_slice(&key.checksum(&[self.body]));
        let check = key.checksum(&[&bytes, &offset.to_le_bytes()]);
        bytes.extend_from_slice(&check);
        bytes.try_into().expect("the fields above have 80 bytes")
    }
}

/// The fields of a commit frame's directory (rule C1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CommitFields {
    pub(crate) number: u64,
    pub(crate) previous_check: [u8; 16],
    /// Where the first frame of the commit lies in this pack.
    pub(crate) first_offset: u64,
    /// How many frames it has, this one not counted.
    pub(crate) frames: u64,
    /// Keyed checksum of the header checksums of those frames, in their order.
    pub(crate) frames_check: [u8; 16],
    /// When it was written, in milliseconds since 1970. For people; nothing is decided by it.
    pub(crate) unix_ms: i64,
    /// The next number of each kind that will be handed out.
    pub(crate) next: NextNumbers,
    /// Set in the commit of a pack that stands in the place of others (rule K4).
    pub(crate) stands_for: Option<StandsFor>,
}

/// The commits in whose place one stands: from `first` to its own number, of which the last had this check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StandsFor {
    pub(crate) first: u64,
    pub(crate) check: [u8; 16],
}

/// The numbers that the writer hands out next: none below is ever handed out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NextNumbers {
    pub(crate) blob: u64,
    pub(crate) message: u64,
    pub(crate) account: u32,
    pub(crate) mailbox: u32,
    pub(crate) epoch: u32,
    pub(crate) run: u32,
}

impl Default for NextNumbers {
    fn default() -> Self {
        Self { blob: 1, message: 1, account: 1, mailbox: 1, epoch: 1, run: 1 }
    }
}

impl NextNumbers {
    /// The larger of each: after damage, no number that either side knows is handed out.
    pub(crate) fn max(self, other: Self) -> Self {
        Self {
            blob: self.blob.max(other.blob),
            message: self.message.max(other.message),
            account: self.account.max(other.account),
            mailbox: self.mailbox.max(other.mailbox),
            epoch: self.epoch.max(other.epoch),
            run: self.run.max(other.run),
        }
    }
}

impl CommitFields {
    /// Bytes of the directory that this version writes.
    pub(crate) const BYTES: u64 = 96;

    /// The same, of a commit that stands for others.
    pub(crate) const BYTES_STANDING: u64 = 120;

    /// The number of the first commit that it is, or stands for.
    pub(crate) fn first_number(&self) -> u64 {
        self.stands_for.map_or(self.number, |others| others.first)
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(96);
        out.extend_from_slice(&self.number.to_le_bytes());
        out.extend_from_slice(&self.previous_check);
        out.extend_from_slice(&self.first_offset.to_le_bytes());
        out.extend_from_slice(&self.frames.to_le_bytes());
        out.extend_from_slice(&self.frames_check);
        out.extend_from_slice(&self.unix_ms.to_le_bytes());
        out.extend_from_slice(&self.next.blob.to_le_bytes());
        out.extend_from_slice(&self.next.message.to_le_bytes());
        for number in [self.next.account, self.next.mailbox, self.next.epoch, self.next.run] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        if let Some(StandsFor { first, check }) = self.stands_for {
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&check);
        }
        out
    }

    /// Longer directories are from later versions: what follows the known fields is ignored (C2).
    pub(crate) fn decode(meta: &[u8]) -> Result<Self, Malformed> {
        let mut cursor = Cursor::new(meta);
        let what = "a commit frame";
        Ok(Self {
            number: cursor.u64(what)?,
            previous_check: cursor.array(what)?,
            first_offset: cursor.u64(what)?,
            frames: cursor.u64(what)?,
            frames_check: cursor.array(what)?,
            unix_ms: cursor.array(what).map(i64::from_le_bytes)?,
            next: NextNumbers {
                blob: cursor.u64(what)?,
                message: cursor.u64(what)?,
                account: cursor.u32(what)?,
                mailbox: cursor.u32(what)?,
                epoch: cursor.u32(what)?,
                run: cursor.u32(what)?,
            },
            stands_for: Self::decode_standing(&mut cursor),
        })
    }

    fn decode_standing(cursor: &mut Cursor<'_>) -> Option<StandsFor> {
        let what = "a commit frame";
        let (first, check) = (cursor.u64(what).ok()?, cursor.array(what).ok()?);
        // Its own commits begin at 1.
        (first > 0).then_some(StandsFor { first, check })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn key() -> FrameKey {
        FrameKey::new(ArchiveId([1; 16]), PackId([2; 8]))
    }

    fn header_at(offset: u64) -> [u8; HEADER_BYTES] {
        let frame =
            NewFrame { kind: Kind::Block, codec: Codec::Zstd, meta: b"m", body: b"body", plain_length: 9 };
        frame.header(offset, &key())
    }

    #[test]
    fn a_header_comes_back_with_its_lengths() {
        let header = FrameHeader::decode(&header_at(128), 128, &key()).unwrap();
        assert_eq!((header.kind, header.codec, header.sealing), (Kind::Block, Codec::Zstd, 0));
        assert_eq!((header.meta_length, header.body_length, header.plain_length), (1, 4, 9));
        assert_eq!((header.frame_length(), header.body_range()), (85, 81..85));
    }

    #[test]
    fn f5_a_frame_elsewhere_or_of_another_pack_is_no_frame() {
        let bytes = header_at(128);
        assert!(FrameHeader::decode(&bytes, 129, &key()).is_none());
        assert!(
            FrameHeader::decode(&bytes, 128, &FrameKey::new(ArchiveId([1; 16]), PackId([3; 8]))).is_none()
        );
        assert!(
            FrameHeader::decode(&bytes, 128, &FrameKey::new(ArchiveId([9; 16]), PackId([2; 8]))).is_none()
        );
    }

    #[test]
    fn f7_lengths_above_the_limits_are_no_frame_even_with_a_right_checksum() {
        let mut bytes = header_at(0);
        bytes[16..24].copy_from_slice(&u64::MAX.to_le_bytes());
        let check = key().checksum(&[&bytes[..64], &0u64.to_le_bytes()]);
        bytes[64..].copy_from_slice(&check);
        assert!(FrameHeader::decode(&bytes, 0, &key()).is_none());
    }

    #[test]
    fn d02_zeros_are_never_a_frame() {
        assert!(FrameHeader::decode(&[0; HEADER_BYTES], 0, &key()).is_none());
    }

    #[test]
    fn c1_k4_commit_fields_have_96_bytes_or_120_and_come_back() {
        let next = NextNumbers { blob: 9, message: 8, account: 7, mailbox: 6, epoch: 5, run: 4 };
        let fields = CommitFields {
            number: 3,
            previous_check: [7; 16],
            first_offset: 128,
            frames: 4,
            frames_check: [8; 16],
            unix_ms: -5,
            next,
            stands_for: None,
        };
        let mut meta = fields.encode();
        assert_eq!(meta.len(), 96);
        meta.push(0);
        assert_eq!(CommitFields::decode(&meta), Ok(fields.clone()));
        assert!(CommitFields::decode(&meta[..95]).is_err());
        let stands_for = Some(StandsFor { first: 2, check: [9; 16] });
        let standing = CommitFields { stands_for, ..fields };
        let mut meta = standing.encode();
        assert_eq!((meta.len() as u64, standing.first_number()), (CommitFields::BYTES_STANDING, 2));
        meta.push(0);
        assert_eq!(CommitFields::decode(&meta), Ok(standing));
    }

    proptest! {
        #[test]
        fn every_flipped_bit_of_a_header_is_found(bit in 0usize..HEADER_BYTES * 8) {
            let mut bytes = header_at(4096);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(FrameHeader::decode(&bytes, 4096, &key()).is_none());
        }
    }
}
