//! Messages, whoever has them: their keys, headers and recipes.

use message::fields::Fields;
use message::{InternalDate, MessageKey};
use rusqlite::{Connection, OptionalExtension as _, Row};

use super::placements::date_of_row;
use crate::catalogue::apply::{PREFIX_BYTES, prefix, sql};
use crate::error::{Error, Result};
use crate::frame::limit;
use crate::ids::{AccountId, BlobNumber, MessageNumber};
use crate::wire::Cursor;

/// A message as the catalogue has it.
#[derive(Clone, Debug)]
pub(crate) struct MessageRow {
    pub(crate) number: MessageNumber,
    pub(crate) key: MessageKey,
    pub(crate) size: u64,
    pub(crate) fields: Fields,
    pub(crate) recipe: Vec<u8>,
}

const MESSAGE_COLUMNS: &str = "number, prefix, rest, size, date, subject, sender, recipe";

fn message_of_row(row: &Row<'_>) -> rusqlite::Result<MessageRow> {
    Ok(MessageRow {
        number: MessageNumber(row.get::<_, i64>(0)?.cast_unsigned()),
        key: key_of_row(row, 1)?,
        size: row.get::<_, i64>(3)?.cast_unsigned(),
        fields: Fields {
            date: row.get(4)?,
            subject: row.get(5)?,
            from: row.get(6)?,
            message_id: String::new(),
        },
        recipe: row.get(7)?,
    })
}

/// A message's key from its two columns.
pub(in crate::catalogue) fn key_of_row(row: &Row<'_>, column: usize) -> rusqlite::Result<MessageKey> {
    let (prefix, rest): (i32, [u8; 32 - PREFIX_BYTES]) = (row.get(column)?, row.get(column + 1)?);
    let mut key = [0; 32];
    key[..PREFIX_BYTES].copy_from_slice(&prefix.to_be_bytes());
    key[PREFIX_BYTES..].copy_from_slice(&rest);
    Ok(MessageKey::from_bytes(key))
}

pub(crate) fn message_row(from: &Connection, number: MessageNumber) -> Result<Option<MessageRow>> {
    let mut select =
        from.prepare_cached(&format!("SELECT {MESSAGE_COLUMNS} FROM messages WHERE number = ?1"))?;
    Ok(select.query_row([sql(number.0)], message_of_row).optional()?)
}

pub(crate) fn message_by_key(from: &Connection, key: &MessageKey) -> Result<Option<MessageRow>> {
    let mut select = from
        .prepare_cached(&format!("SELECT {MESSAGE_COLUMNS} FROM messages WHERE prefix = ?1 AND rest = ?2"))?;
    Ok(select
        .query_row((prefix(key.as_bytes()), &key.as_bytes()[PREFIX_BYTES..]), message_of_row)
        .optional()?)
}

/// Whether an account has or had a message.
pub(crate) fn has_had(from: &Connection, account: AccountId, message: MessageNumber) -> Result<bool> {
    let mut select = from.prepare_cached("SELECT 1 FROM whereabouts WHERE account = ?1 AND message = ?2")?;
    Ok(select.exists((account.0, sql(message.0)))?)
}

/// All messages from number `start` on, in order, at most `limit`.
pub(crate) fn messages_from(from: &Connection, start: u64, limit: u32) -> Result<Vec<MessageRow>> {
    let mut select = from.prepare_cached(&format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages WHERE number >= ?1 ORDER BY number LIMIT ?2"
    ))?;
    Ok(select.query_map((sql(start), limit), message_of_row)?.collect::<Result<_, _>>()?)
}

/// Keys that begin with these hex digits, at most `limit`, in order of the key.
pub(crate) fn keys_with_prefix(from: &Connection, digits: &str, limit: usize) -> Result<Vec<MessageKey>> {
    let digits = digits.to_ascii_lowercase();
    if digits.is_empty() || digits.len() > 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Ok(Vec::new());
    }
    let head = &digits[..digits.len().min(2 * PREFIX_BYTES)];
    let rest = 2 * PREFIX_BYTES - head.len();
    let bound = |fill: &str| u32::from_str_radix(&format!("{head}{}", fill.repeat(rest)), 16);
    let (Ok(low), Ok(high)) = (bound("0"), bound("f")) else { return Ok(Vec::new()) };
    // Within one first digit the signed order of the column is the order of the keys.
    let mut select = from.prepare_cached(
        "SELECT prefix, rest FROM messages WHERE prefix BETWEEN ?1 AND ?2 ORDER BY prefix, rest",
    )?;
    let mut rows = select.query((low.cast_signed(), high.cast_signed()))?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()?.filter(|_| keys.len() < limit) {
        let key = key_of_row(row, 0)?;
        if key.to_string().starts_with(&digits) {
            keys.push(key);
        }
    }
    Ok(keys)
}

/// Distinct messages of one size that an account has or had.
pub(crate) fn messages_of_size(from: &Connection, account: AccountId, size: u64) -> Result<Vec<MessageRow>> {
    let mut select = from.prepare_cached(&format!(
        "SELECT {MESSAGE_COLUMNS} FROM messages m WHERE size = ?1
           AND number NOT IN (SELECT number FROM lost_messages)
           AND EXISTS (SELECT 1 FROM whereabouts w WHERE w.account = ?2 AND w.message = m.number)"
    ))?;
    Ok(select.query_map((sql(size), account.0), message_of_row)?.collect::<Result<_, _>>()?)
}

/// The received dates under which an account has or had a message.
pub(crate) fn dates_of(
    from: &Connection,
    account: AccountId,
    message: MessageNumber,
) -> Result<Vec<InternalDate>> {
    let mut select = from.prepare_cached(
        "SELECT p.date, p.zone, p.raw_date FROM whereabouts w JOIN placements p ON p.place = w.place
           WHERE w.account = ?1 AND w.message = ?2 AND p.message = ?2
         UNION SELECT f.date, f.zone, f.raw_date FROM whereabouts w JOIN former f ON f.place = w.place
           WHERE w.account = ?1 AND w.message = ?2 AND f.message = ?2",
    )?;
    let rows = select.query_map((account.0, sql(message.0)), |row| date_of_row(row, 0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The numbers of blobs in a stored recipe, and its steps.
pub(crate) fn decode_recipe(recipe: &[u8]) -> Result<(Vec<BlobNumber>, &[u8])> {
    let mut cursor = Cursor::new(recipe);
    let broken = |_| Error::CatalogueWrong { what: "a recipe that cannot be read" };
    let count = cursor.varint("a recipe").map_err(broken)?;
    if count > limit::BLOBS_IN_MESSAGE as u64 {
        return Err(Error::CatalogueWrong { what: "a recipe of too many blobs" });
    }
    let (mut blobs, mut last) = (Vec::new(), 0u64);
    for _ in 0..count {
        last = last.wrapping_add(cursor.signed("a recipe").map_err(broken)?.cast_unsigned());
        blobs.push(BlobNumber(last));
    }
    Ok((blobs, cursor.rest()))
}
