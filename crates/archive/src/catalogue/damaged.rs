//! What `repair` has found: damage that is known, blobs and messages that cannot be given back.
//!
//! A lost blob is not found by its name any more, so the same content is stored again when it comes: under
//! its old number where its name can still be read, so that every message made of it is whole again at
//! once. A lost message keeps its places in lists and in history, but nobody takes it for held. Neither
//! stands here once it has come back.

use message::{InternalDate, UidSet};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::apply::{prefix, sql, unplace};
use super::query;
use crate::damage::KnownDamage;
use crate::error::Result;
use crate::ids::{BlobNumber, EpochId, MailboxId, MessageNumber, PackId};

pub(super) fn note_damage(to: &Connection, damage: &KnownDamage) -> Result<()> {
    let KnownDamage { pack, kind, start, length, what } = damage;
    to.prepare_cached("INSERT OR REPLACE INTO known_damage VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![pack.0, kind, sql(*start), sql(*length), what])?;
    Ok(())
}

pub(super) fn note(to: &Connection, blobs: &[BlobNumber], messages: &[MessageNumber]) -> Result<()> {
    let mut insert = to.prepare_cached("INSERT OR IGNORE INTO lost_blobs VALUES (?1)")?;
    for blob in blobs {
        insert.execute([sql(blob.0)])?;
    }
    let mut insert = to.prepare_cached("INSERT OR IGNORE INTO lost_messages VALUES (?1)")?;
    for message in messages {
        insert.execute([sql(message.0)])?;
    }
    Ok(())
}

/// These blobs are in a block that comes later than what was lost.
pub(super) fn found_blobs(to: &Connection, blobs: impl Iterator<Item = BlobNumber>) -> Result<()> {
    if !to.prepare_cached("SELECT 1 FROM lost_blobs LIMIT 1")?.exists([])? {
        return Ok(());
    }
    let mut delete = to.prepare_cached("DELETE FROM lost_blobs WHERE number = ?1")?;
    for blob in blobs {
        delete.execute([sql(blob.0)])?;
    }
    Ok(())
}

pub(super) fn found_message(to: &Connection, message: MessageNumber) -> Result<()> {
    to.prepare_cached("DELETE FROM lost_messages WHERE number = ?1")?.execute([sql(message.0)])?;
    Ok(())
}

/// All damage that is known.
pub(crate) fn known_damage(from: &Connection) -> Result<Vec<KnownDamage>> {
    let mut select = from.prepare_cached(
        "SELECT pack, kind, start, length, what FROM known_damage ORDER BY pack, kind, start, length",
    )?;
    let rows = select.query_map([], |row| {
        Ok(KnownDamage {
            pack: PackId(row.get(0)?),
            kind: row.get(1)?,
            start: row.get::<_, i64>(2)?.cast_unsigned(),
            length: row.get::<_, i64>(3)?.cast_unsigned(),
            what: row.get(4)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// All lost messages, ascending.
pub(crate) fn messages(from: &Connection) -> Result<Vec<MessageNumber>> {
    let mut select = from.prepare_cached("SELECT number FROM lost_messages ORDER BY number")?;
    let rows = select.query_map([], |row| Ok(MessageNumber(row.get::<_, i64>(0)?.cast_unsigned())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Whether any message is lost.
pub(crate) fn any_message(from: &Connection) -> Result<bool> {
    Ok(from.prepare_cached("SELECT 1 FROM lost_messages LIMIT 1")?.exists([])?)
}

pub(crate) fn is_lost(from: &Connection, message: MessageNumber) -> Result<bool> {
    let mut select = from.prepare_cached("SELECT 1 FROM lost_messages WHERE number = ?1")?;
    Ok(select.exists([sql(message.0)])?)
}

pub(crate) fn is_blob_lost(from: &Connection, blob: BlobNumber) -> Result<bool> {
    let mut select = from.prepare_cached("SELECT 1 FROM lost_blobs WHERE number = ?1")?;
    Ok(select.exists([sql(blob.0)])?)
}

/// Lost blobs whose names begin with the same bytes.
pub(crate) fn blobs_like(from: &Connection, name: &[u8; 32]) -> Result<Vec<BlobNumber>> {
    let mut select = from.prepare_cached(
        "SELECT l.number FROM blob_names n JOIN lost_blobs l ON l.number = n.blob WHERE n.prefix = ?1",
    )?;
    let rows =
        select.query_map([prefix(name)], |row| Ok(BlobNumber(row.get::<_, i64>(0)?.cast_unsigned())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// The blobs of a block; with a slot, that one.
pub(crate) fn blobs_of_block(from: &Connection, block: i64, slot: Option<usize>) -> Result<Vec<BlobNumber>> {
    let mut select =
        from.prepare_cached("SELECT number FROM blobs WHERE block = ?1 AND (?2 IS NULL OR slot = ?2)")?;
    let slot = slot.map(|slot| sql(slot as u64));
    let rows =
        select.query_map((block, slot), |row| Ok(BlobNumber(row.get::<_, i64>(0)?.cast_unsigned())))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// UIDs of an epoch whose message is believed to be on the server, and is lost.
pub(crate) fn uids(from: &Connection, epoch: EpochId) -> Result<UidSet> {
    let mut select = from.prepare_cached(
        "SELECT p.place FROM lost_messages l JOIN epochs e ON e.id = ?1
           JOIN whereabouts w ON w.account = e.account AND w.message = l.number
           JOIN placements p ON p.place = w.place AND p.message = l.number
         WHERE w.place >> 32 = ?1 AND p.last_run IS NULL",
    )?;
    let mut rows = select.query([epoch.0])?;
    let mut uids = UidSet::new();
    while let Some(row) = rows.next()? {
        if let Some((_, uid)) = unplace(row.get(0)?) {
            uids.insert(uid);
        }
    }
    Ok(uids)
}

/// How many live placements of a mailbox are of lost messages.
pub(crate) fn in_mailbox(from: &Connection, mailbox: MailboxId) -> Result<u64> {
    if !any_message(from)? {
        return Ok(0);
    }
    let mut lost = 0;
    for epoch in query::epochs(from, mailbox)? {
        lost += uids(from, epoch.id)?.len();
    }
    Ok(lost)
}

/// Whether a message is believed to be on a server, anywhere.
pub(crate) fn is_live(from: &Connection, message: MessageNumber) -> Result<bool> {
    let mut select = from.prepare_cached(
        "SELECT 1 FROM accounts a JOIN whereabouts w ON w.account = a.id AND w.message = ?1
           JOIN placements p ON p.place = w.place AND p.message = ?1 WHERE p.last_run IS NULL LIMIT 1",
    )?;
    Ok(select.exists([sql(message.0)])?)
}

/// When the server received what lay under a UID.
pub(crate) fn date_at(from: &Connection, at: i64, message: MessageNumber) -> Result<Option<InternalDate>> {
    let mut select = from.prepare_cached(
        "SELECT date, zone, raw_date FROM placements WHERE place = ?1 AND message = ?2
         UNION ALL SELECT date, zone, raw_date FROM former WHERE place = ?1 AND message = ?2 LIMIT 1",
    )?;
    Ok(select.query_row((at, sql(message.0)), |row| query::date_of_row(row, 0)).optional()?)
}

/// Every place where a message lies or lay.
pub(crate) fn places(from: &Connection, message: MessageNumber) -> Result<Vec<i64>> {
    let mut select = from.prepare_cached(
        "SELECT w.place FROM accounts a JOIN whereabouts w ON w.account = a.id AND w.message = ?1 ORDER BY w.place",
    )?;
    Ok(select.query_map([sql(message.0)], |row| row.get(0))?.collect::<Result<_, _>>()?)
}
