//! The names of things in an archive.
//!
//! Some are random (archive, pack), so that copies and strangers can be told apart; the others are
//! numbers that the writer hands out in order, writes into the journal, and never uses twice, so
//! that a catalogue made again has the same ones. Each has a type of its own: a mailbox number where
//! an epoch is wanted does not compile.

use std::fmt;

/// What an archive is known by: random, made once, in every pack of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArchiveId(pub(crate) [u8; 16]);

/// What a pack is known by: random, in its header and in its file name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackId(pub(crate) [u8; 8]);

/// One commit: its number, counted from 1, and the checksum that only this commit has, so that two
/// histories with the same numbers can be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommitId {
    /// Counted from 1; 0 before the first.
    pub number: u64,
    /// The header checksum of the commit's frame; zeros before the first.
    pub check: [u8; 16],
}

impl CommitId {
    /// The state of an archive in which nothing has been committed.
    pub const NONE: Self = Self { number: 0, check: [0; 16] };
}

impl ArchiveId {
    /// The id from its bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Reads exactly `N` bytes of hex digits.
pub(crate) fn parse_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    let mut bytes = [0; N];
    for (i, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * i..2 * i + 2)?, 16).ok()?;
    }
    Some(bytes)
}

impl fmt::Display for ArchiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl fmt::Debug for ArchiveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ArchiveId({self})")
    }
}

impl std::str::FromStr for ArchiveId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        parse_hex(text).map(Self).ok_or(InvalidId)
    }
}

impl fmt::Display for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_hex(f, &self.0)
    }
}

impl std::str::FromStr for PackId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        parse_hex(text).map(Self).ok_or(InvalidId)
    }
}

impl fmt::Debug for PackId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackId({self})")
    }
}

/// `number-check`, as it is remembered outside the archive.
impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.number)?;
        write_hex(f, &self.check)
    }
}

impl std::str::FromStr for CommitId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let (number, check) = text.split_once('-').ok_or(InvalidId)?;
        let number = number.parse().map_err(|_| InvalidId)?;
        Ok(Self { number, check: parse_hex(check).ok_or(InvalidId)? })
    }
}

/// The text is not such an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an archive id, pack id or commit id")]
pub struct InvalidId;

macro_rules! number {
    ($(#[$doc:meta])* $visible:vis $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $visible struct $name(pub(crate) $inner);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number! {
    /// An account.
    pub AccountId(u32)
}
number! {
    /// A mailbox of an account. It stays the same when the mailbox is renamed.
    pub MailboxId(u32)
}
number! {
    /// One run of one account. Order of runs is order of these numbers, never of clocks.
    pub RunId(u32)
}
number! {
    /// One mailbox under one UIDVALIDITY. A UID has a meaning only within an epoch.
    pub EpochId(u32)
}
number! {
    /// A message in the journal and the catalogue, in the order in which messages came.
    pub(crate) MessageNumber(u64)
}
number! {
    /// A blob in the packs, in the order in which blobs came. It stays the same when the blob moves.
    pub(crate) BlobNumber(u64)
}

impl RunId {
    /// The number.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn ids_come_back_from_their_text() {
        let archive = ArchiveId([0xab; 16]);
        assert_eq!(archive.to_string().parse(), Ok(archive));
        let commit = CommitId { number: 77, check: [3; 16] };
        assert_eq!(commit.to_string().parse(), Ok(commit));
        for text in ["", "-", "1-", "x-00", "1-+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1+1", "1"] {
            assert_eq!(text.parse::<CommitId>(), Err(InvalidId), "{text}");
        }
    }
}
