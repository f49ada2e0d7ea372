//! Blobs and messages: what is stored, and what of it is there already.
//!
//! A blob that the archive has is not stored again. One that damage has taken is stored under its old number
//! where its name can still be read, so that every message that is made of it is whole again (W7).

use message::BlobName;
use message::split::{Piece, SplitMessage};

use super::Writer;
use crate::block::BlockBuilder;
use crate::blocks::Shelves;
use crate::catalogue::apply::message_number;
use crate::catalogue::{damaged, query};
use crate::error::{Error, Result};
use crate::frame::limit;
use crate::ids::{BlobNumber, MessageNumber};
use crate::join::find_blob;
use crate::journal::record::{MessageRecord, Record};

/// Lost blobs that have come back are put into blocks when they have so many bytes.
const AGAIN_BYTES: usize = 8 << 20;

impl Writer {
    /// Stores a blob, unless the archive or the open batch has it.
    ///
    /// # Errors
    /// As [`account`](Self::account), and for a blob beyond the format's limit.
    pub fn put_blob(&mut self, piece: Piece) -> Result<()> {
        self.refuse_if_failed()?;
        let length = piece.bytes.len();
        if length > limit::BLOB_BYTES {
            let limit = limit::BLOB_BYTES as u64;
            return Err(Error::TooLarge { what: "a blob", length: length as u64, limit });
        }
        if self.blob_number(&piece.name)?.is_some() {
            return Ok(());
        }
        self.begin_batch()?;
        self.uncommitted_bytes += length as u64;
        if let Some(number) = self.lost_blob(&piece.name)? {
            return self.put_again(number, piece);
        }
        let number = BlobNumber(take_large_number(&mut self.next.blob, "blob")?);
        self.blobs.insert(piece.name, number);
        let full = self.builders[piece.stream as usize - 1].add(number, piece.name, piece.bytes);
        match full {
            Some(block) => self.stage.block(block).or_else(|_| self.fail()),
            None => Ok(()),
        }
    }

    /// A lost blob has come back. Under its old number every message that is made of it is whole again.
    fn put_again(&mut self, number: BlobNumber, piece: Piece) -> Result<()> {
        self.blobs.insert(piece.name, number);
        self.healed_blobs.insert(number);
        self.again_bytes += piece.bytes.len();
        self.again.insert(number, (piece.stream, piece.name, piece.bytes));
        if self.again_bytes < AGAIN_BYTES { Ok(()) } else { self.store_again() }
    }

    /// Puts the blobs that have come back into blocks, one after the other in the order of their numbers.
    pub(super) fn store_again(&mut self) -> Result<()> {
        self.again_bytes = 0;
        let mut builders = self.builders.each_ref().map(BlockBuilder::another);
        let mut blocks = Vec::new();
        for (number, (stream, name, bytes)) in std::mem::take(&mut self.again) {
            blocks.extend(builders[stream as usize - 1].add(number, name, bytes));
        }
        blocks.extend(builders.iter_mut().filter_map(BlockBuilder::close));
        for block in blocks {
            if self.stage.block(block).is_err() {
                return self.fail();
            }
        }
        Ok(())
    }

    /// Records a message whose blobs have been put. `false`: it is known already. One that was lost is
    /// recorded again, and with it all its places are whole.
    ///
    /// # Errors
    /// As [`account`](Self::account), and when a blob is missing.
    pub fn put_message(&mut self, message: &SplitMessage) -> Result<bool> {
        self.refuse_if_failed()?;
        let known = message_number(&self.catalogue, &message.key)?;
        if let Some(known) = known
            && !damaged::is_lost(&self.catalogue, known)?
        {
            return Ok(false);
        }
        if message.recipe.blobs.len() > limit::BLOBS_IN_MESSAGE {
            // As the splitter cuts them, a message of more than this.
            let limit = limit::BLOBS_IN_MESSAGE as u64 * message::split::MAX_BLOB as u64;
            return Err(Error::TooLarge { what: "a message", length: message.size, limit });
        }
        let mut blobs = Vec::with_capacity(message.recipe.blobs.len());
        for blob in &message.recipe.blobs {
            blobs.push(self.blob_number(&blob.name)?.ok_or(Error::BlobNotPut(blob.name))?);
        }
        let mut steps = Vec::new();
        message.recipe.encode_steps(&mut steps);
        let number = match known {
            Some(known) => known,
            None => MessageNumber(take_large_number(&mut self.next.message, "message")?),
        };
        self.record(Record::Message(MessageRecord {
            number,
            key: message.key,
            size: message.size,
            subject: message.fields.subject.clone(),
            from: message.fields.from.clone(),
            date: message.fields.date,
            blobs,
            steps,
        }))?;
        Ok(true)
    }

    /// Lost messages of which no blob is lost any more, because another message has brought them back.
    pub(super) fn record_healed(&mut self) -> Result<()> {
        if self.healed_blobs.is_empty() {
            return Ok(());
        }
        for number in damaged::messages(&self.catalogue)? {
            let Some(row) = query::message_row(&self.catalogue, number)? else { continue };
            let record = MessageRecord::from_row(&row)?;
            let mut whole = true;
            for &blob in &record.blobs {
                let there = self.healed_blobs.contains(&blob)
                    || query::blob_place(&self.catalogue, blob)?.is_some()
                        && !damaged::is_blob_lost(&self.catalogue, blob)?;
                whole &= there;
            }
            if whole {
                self.record(Record::Message(record))?;
            }
        }
        Ok(())
    }

    /// A blob's number, when the open batch or the archive has it.
    fn blob_number(&mut self, name: &BlobName) -> Result<Option<BlobNumber>> {
        if let Some(&number) = self.blobs.get(name) {
            return Ok(Some(number));
        }
        let shelves = Shelves { catalogue: &self.catalogue, files: &self.files, cache: &self.cache };
        let found = find_blob(&shelves, name)?.map(|at| at.entry.number);
        if let Some(number) = found {
            self.blobs.insert(*name, number);
        }
        Ok(found)
    }

    /// The number of a lost blob of this name, where the name can still be read.
    fn lost_blob(&self, name: &BlobName) -> Result<Option<BlobNumber>> {
        let shelves = Shelves { catalogue: &self.catalogue, files: &self.files, cache: &self.cache };
        for number in damaged::blobs_like(&self.catalogue, name.as_bytes())? {
            if shelves.find(number).is_ok_and(|at| at.entry.name == *name) {
                return Ok(Some(number));
            }
        }
        Ok(None)
    }
}

/// The same for numbers that SQLite must be able to hold, with a sign.
fn take_large_number(next: &mut u64, what: &'static str) -> Result<u64> {
    let number = *next;
    if number >= i64::MAX.cast_unsigned() {
        return Err(Error::NumbersUsedUp { what });
    }
    *next = number + 1;
    Ok(number)
}
