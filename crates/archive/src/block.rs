//! Blocks: blobs gathered until compressing them together pays.
//!
//! A block has a directory (its stream; number, name and length of each blob) and a body (the blobs
//! one after the other). Headers, texts and attachments are gathered apart, because each compresses
//! best among its like. A blob as large as a block gets one of its own.
//!
//! A blob's number is what the journal refers to; it stays the same when compaction moves the blob to
//! another block. Its name, BLAKE3 of its bytes, is written here and nowhere else in the packs.
//!
//! Rules B1 to B6.

use message::BlobName;
use message::recipe::Stream;

use crate::frame::{NextNumbers, limit};
use crate::ids::BlobNumber;
use crate::wire::{Cursor, Malformed, malformed, put_varint};

/// What a block holds, in the order in which it holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Directory {
    pub(crate) stream: Stream,
    pub(crate) blobs: Vec<DirectoryEntry>,
}

/// One blob of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DirectoryEntry {
    pub(crate) number: BlobNumber,
    pub(crate) name: BlobName,
    pub(crate) length: u32,
    /// Where it begins in the plain body.
    pub(crate) start: u32,
}

impl DirectoryEntry {
    /// Where the blob lies in the plain body.
    pub(crate) fn range(&self) -> std::ops::Range<usize> {
        self.start as usize..self.start as usize + self.length as usize
    }
}

impl Directory {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.blobs.len() * 37);
        out.push(self.stream as u8);
        put_varint(&mut out, self.blobs.len() as u64);
        for blob in &self.blobs {
            out.extend_from_slice(blob.name.as_bytes());
        }
        let mut last = 0;
        for blob in &self.blobs {
            put_varint(&mut out, blob.number.0 - last);
            put_varint(&mut out, blob.length.into());
            last = blob.number.0;
        }
        out
    }

    /// The numbers that come after those in this block.
    pub(crate) fn next_numbers(&self) -> NextNumbers {
        let last = self.blobs.last().map_or(0, |blob| blob.number.0);
        NextNumbers { blob: last.saturating_add(1), ..NextNumbers::default() }
    }

    /// Reads a directory for a body of `plain_length` bytes. Numbers ascend, lengths add up exactly.
    pub(crate) fn decode(meta: &[u8], plain_length: u64) -> Result<Self, Malformed> {
        let what = "a block's directory";
        let mut cursor = Cursor::new(meta);
        let stream = Stream::from_number(cursor.u8(what)?).ok_or(malformed(what))?;
        let count = usize::try_from(cursor.varint(what)?).map_err(|_| malformed(what))?;
        if count > limit::BLOBS_IN_BLOCK {
            return Err(malformed(what));
        }
        let names = cursor.take(count * 32, what)?;
        let mut blobs = Vec::with_capacity(count);
        let (mut number, mut start) = (0u64, 0u32);
        for name in names.as_chunks::<32>().0 {
            let step = cursor.varint(what)?;
            number = number.checked_add(step).filter(|_| step > 0).ok_or(malformed(what))?;
            let length = cursor.varint32(what)?;
            blobs.push(DirectoryEntry {
                number: BlobNumber(number),
                name: BlobName::from_bytes(*name),
                length,
                start,
            });
            start = start.checked_add(length).ok_or(malformed(what))?;
        }
        if u64::from(start) != plain_length || !cursor.is_empty() {
            return Err(malformed(what));
        }
        Ok(Self { stream, blobs })
    }
}

/// A block that is full, or as full as its commit lets it get.
#[derive(Debug)]
pub(crate) struct PlainBlock {
    pub(crate) directory: Directory,
    pub(crate) body: Vec<u8>,
}

/// The block of one stream that is being filled.
#[derive(Debug)]
pub(crate) struct BlockBuilder {
    stream: Stream,
    target: usize,
    blobs: Vec<DirectoryEntry>,
    body: Vec<u8>,
}

impl BlockBuilder {
    /// Blocks are given out when they have `target` bytes.
    pub(crate) fn new(stream: Stream, target: usize) -> Self {
        Self { stream, target, blobs: Vec::new(), body: Vec::new() }
    }

    /// An empty one for the same kind of blocks.
    pub(crate) fn another(&self) -> Self {
        Self::new(self.stream, self.target)
    }

    /// The number of the last blob that waits in it.
    pub(crate) fn last(&self) -> Option<BlobNumber> {
        self.blobs.last().map(|blob| blob.number)
    }

    /// Adds a blob; gives the block that is full with it, or the one that it makes alone. Numbers
    /// must ascend from call to call.
    pub(crate) fn add(&mut self, number: BlobNumber, name: BlobName, bytes: Vec<u8>) -> Option<PlainBlock> {
        debug_assert!(bytes.len() <= limit::BLOB_BYTES, "the writer refuses longer blobs");
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        if bytes.len() >= self.target {
            let blobs = vec![DirectoryEntry { number, name, length, start: 0 }];
            return Some(PlainBlock { directory: Directory { stream: self.stream, blobs }, body: bytes });
        }
        if self.body.capacity() == 0 {
            // With some room for the blob that makes it full, so that it is not moved for that.
            self.body.reserve_exact(self.target + self.target / 4);
        }
        let start = u32::try_from(self.body.len()).unwrap_or(u32::MAX);
        self.blobs.push(DirectoryEntry { number, name, length, start });
        self.body.extend_from_slice(&bytes);
        let full = self.body.len() >= self.target || self.blobs.len() >= limit::BLOBS_IN_BLOCK;
        if full { self.close() } else { None }
    }

    /// Gives out what has been gathered.
    pub(crate) fn close(&mut self) -> Option<PlainBlock> {
        if self.blobs.is_empty() {
            return None;
        }
        let directory = Directory { stream: self.stream, blobs: std::mem::take(&mut self.blobs) };
        Some(PlainBlock { directory, body: std::mem::take(&mut self.body) })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use proptest::prelude::*;

    use super::*;

    fn fill(builder: &mut BlockBuilder, blobs: &[Vec<u8>]) -> Vec<PlainBlock> {
        let mut blocks = Vec::new();
        for (number, bytes) in blobs.iter().enumerate() {
            blocks.extend(builder.add(BlobNumber(number as u64 + 5), BlobName::of(bytes), bytes.clone()));
        }
        blocks.extend(builder.close());
        blocks
    }

    proptest! {
        #[test]
        fn every_blob_is_in_one_block_where_the_directory_says(
            blobs in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..30), 0..40),
        ) {
            let mut found = Vec::new();
            for block in fill(&mut BlockBuilder::new(Stream::Text, 20), &blobs) {
                prop_assert_eq!(block.directory.blobs.last().map_or(0, |blob| (blob.start + blob.length) as usize), block.body.len());
                let directory = Directory::decode(&block.directory.encode(), block.body.len() as u64).unwrap();
                prop_assert_eq!(&directory, &block.directory);
                for blob in directory.blobs {
                    let bytes = &block.body[blob.range()];
                    prop_assert_eq!(BlobName::of(bytes), blob.name);
                    found.push((blob.number.0, bytes.to_vec()));
                }
            }
            found.sort();
            let given: Vec<_> = blobs.into_iter().enumerate().map(|(n, b)| (n as u64 + 5, b)).collect();
            prop_assert_eq!(found, given);
        }

        #[test]
        fn no_bytes_make_a_directory_panic(meta: Vec<u8>, length in 0u64..100) {
            let _ = Directory::decode(&meta, length);
        }
    }

    #[test]
    fn b4_a_directory_that_does_not_add_up_is_refused() {
        let mut builder = BlockBuilder::new(Stream::Header, 100);
        let block = fill(&mut builder, &[vec![1; 10], vec![2; 5]]).remove(0);
        let meta = block.directory.encode();
        assert!(Directory::decode(&meta, 15).is_ok());
        assert!(Directory::decode(&meta, 14).is_err());
        assert!(Directory::decode(&[&meta[..], &[0]].concat(), 15).is_err());
        assert!(Directory::decode(&[&[9], &meta[1..]].concat(), 15).is_err());
    }
}
