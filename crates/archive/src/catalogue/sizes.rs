//! What the blocks weigh, by stream: plain, stored, and the directories beside them.
//!
//! The catalogue has a row a block, which is about one for a megabyte of mail, so that sums over all of them
//! cost nothing that could be felt.

use message::recipe::Stream;
use rusqlite::Connection;

use crate::error::Result;
use crate::frame::HEADER_BYTES;
use crate::info::{Breakdown, StreamSizes};

/// Sums over all blocks; what is no block is left at 0.
pub(crate) fn blocks(from: &Connection) -> Result<Breakdown> {
    let mut select = from.prepare_cached(
        "SELECT stream, count(*), sum(plain), sum(stored), sum(directory) FROM blocks GROUP BY stream",
    )?;
    let mut rows = select.query([])?;
    let mut found = Breakdown::default();
    while let Some(row) = rows.next()? {
        let number = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let (blocks, directories) = (number(1)?, number(4)?);
        found.directory_bytes += directories + blocks * HEADER_BYTES as u64;
        let sizes = StreamSizes { blocks, plain_bytes: number(2)?, stored_bytes: number(3)? };
        match Stream::from_number(row.get(0)?) {
            Some(Stream::Header) => found.headers = sizes,
            Some(Stream::Text) => found.texts = sizes,
            Some(Stream::Attachment) => found.attachments = sizes,
            None => {}
        }
    }
    Ok(found)
}
