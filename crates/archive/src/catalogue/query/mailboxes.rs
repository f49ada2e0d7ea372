//! Mailboxes, and their epochs.

use message::{MailboxName, ModSeq, NameEncoding, Uid, UidValidity};
use rusqlite::{Connection, OptionalExtension as _, Row};

use crate::catalogue::damaged;
use crate::error::Result;
use crate::ids::{AccountId, EpochId, MailboxId, RunId};
use crate::info::{EpochInfo, MailboxInfo, MailboxSeen, Mark};

const MAILBOX_COLUMNS: &str =
    "id, raw, utf8, delimiter, attributes, special_use, subscribed, object_id, selectable, gone";

/// A mailbox as it was last seen, whose it is, and whether it is gone.
pub(crate) struct MailboxRow {
    pub(crate) id: MailboxId,
    pub(crate) seen: MailboxSeen,
    pub(crate) gone: Option<RunId>,
}

pub(in crate::catalogue) fn mailbox_of_row(row: &Row<'_>) -> rusqlite::Result<MailboxRow> {
    let utf8: bool = row.get(2)?;
    let encoding = if utf8 { NameEncoding::Utf8 } else { NameEncoding::ModifiedUtf7 };
    let attributes: String = row.get(4)?;
    Ok(MailboxRow {
        id: MailboxId(row.get(0)?),
        seen: MailboxSeen {
            name: MailboxName::new(row.get::<_, Vec<u8>>(1)?, encoding, row.get(3)?),
            attributes: attributes.split_terminator('\n').map(str::to_owned).collect(),
            special_use: row.get(5)?,
            subscribed: row.get(6)?,
            object_id: row.get(7)?,
            selectable: row.get(8)?,
        },
        gone: row.get::<_, Option<u32>>(9)?.map(RunId),
    })
}

/// The mailbox of this name; one that is there before one that is gone, the newest before older ones.
pub(crate) fn mailbox_named(
    from: &Connection,
    account: AccountId,
    name: &MailboxName,
) -> Result<Option<MailboxRow>> {
    let mut select = from.prepare_cached(&format!(
        "SELECT {MAILBOX_COLUMNS} FROM mailboxes WHERE account = ?1 AND identity = ?2
         ORDER BY gone IS NOT NULL, id DESC LIMIT 1"
    ))?;
    Ok(select.query_row((account.0, name.identity()), mailbox_of_row).optional()?)
}

pub(crate) fn mailbox_account(from: &Connection, mailbox: MailboxId) -> Result<Option<AccountId>> {
    let mut select = from.prepare_cached("SELECT account FROM mailboxes WHERE id = ?1")?;
    Ok(select.query_row([mailbox.0], |row| row.get(0)).optional()?.map(AccountId))
}

pub(crate) fn mailboxes(from: &Connection, account: AccountId) -> Result<Vec<MailboxInfo>> {
    let mut select = from
        .prepare_cached(&format!("SELECT {MAILBOX_COLUMNS} FROM mailboxes WHERE account = ?1 ORDER BY id"))?;
    let rows = select.query_map([account.0], mailbox_of_row)?;
    rows.map(|row| mailbox_info(from, row?)).collect()
}

pub(crate) fn mailbox(from: &Connection, mailbox: MailboxId) -> Result<Option<MailboxInfo>> {
    mailbox_row(from, mailbox)?.map(|row| mailbox_info(from, row)).transpose()
}

pub(crate) fn mailbox_row(from: &Connection, mailbox: MailboxId) -> Result<Option<MailboxRow>> {
    let mut select =
        from.prepare_cached(&format!("SELECT {MAILBOX_COLUMNS} FROM mailboxes WHERE id = ?1"))?;
    Ok(select.query_row([mailbox.0], mailbox_of_row).optional()?)
}

fn mailbox_info(from: &Connection, row: MailboxRow) -> Result<MailboxInfo> {
    let MailboxRow { id, seen, gone } = row;
    let live: i64 = from
        .prepare_cached("SELECT ifnull(sum(live), 0) FROM epochs WHERE mailbox = ?1")?
        .query_row([id.0], |row| row.get(0))?;
    Ok(MailboxInfo {
        id,
        name: seen.name,
        attributes: seen.attributes,
        special_use: seen.special_use,
        subscribed: seen.subscribed,
        object_id: seen.object_id,
        selectable: seen.selectable,
        gone,
        epoch: newest_epoch(from, id)?,
        live: live.cast_unsigned(),
        lost: damaged::in_mailbox(from, id)?,
    })
}

const EPOCH_COLUMNS: &str = "id, validity, marked, uid_next, modseq, mark_messages, live,
    EXISTS (SELECT 1 FROM names WHERE place = epochs.id << 32)";

fn epoch_of_row(row: &Row<'_>) -> rusqlite::Result<EpochInfo> {
    let marked: bool = row.get(2)?;
    let mark = Mark {
        uid_next: row.get::<_, Option<u32>>(3)?.and_then(Uid::new),
        highest_modseq: row.get::<_, Option<i64>>(4)?.map(|modseq| ModSeq(modseq.cast_unsigned())),
        messages: row.get(5)?,
    };
    Ok(EpochInfo {
        id: EpochId(row.get(0)?),
        validity: row.get::<_, Option<u32>>(1)?.and_then(UidValidity::new),
        pop3: row.get(7)?,
        mark: marked.then_some(mark),
        live: row.get::<_, i64>(6)?.cast_unsigned(),
    })
}

pub(crate) fn newest_epoch(from: &Connection, mailbox: MailboxId) -> Result<Option<EpochInfo>> {
    let mut select = from.prepare_cached(&format!(
        "SELECT {EPOCH_COLUMNS} FROM epochs WHERE mailbox = ?1 ORDER BY id DESC LIMIT 1"
    ))?;
    Ok(select.query_row([mailbox.0], epoch_of_row).optional()?)
}

pub(crate) fn epochs(from: &Connection, mailbox: MailboxId) -> Result<Vec<EpochInfo>> {
    let mut select =
        from.prepare_cached(&format!("SELECT {EPOCH_COLUMNS} FROM epochs WHERE mailbox = ?1 ORDER BY id"))?;
    Ok(select.query_map([mailbox.0], epoch_of_row)?.collect::<Result<_, _>>()?)
}

pub(crate) fn epoch(from: &Connection, epoch: EpochId) -> Result<Option<EpochInfo>> {
    let mut select = from.prepare_cached(&format!("SELECT {EPOCH_COLUMNS} FROM epochs WHERE id = ?1"))?;
    Ok(select.query_row([epoch.0], epoch_of_row).optional()?)
}

/// Epochs of which something is marked.
pub(crate) fn marked_epochs(from: &Connection) -> Result<Vec<EpochId>> {
    let mut select = from.prepare_cached("SELECT id FROM epochs WHERE marked = 1 ORDER BY id")?;
    Ok(select.query_map([], |row| row.get(0).map(EpochId))?.collect::<Result<_, _>>()?)
}

/// Whether the two give an epoch that both know by its record different validities.
pub(crate) fn other_validity(left: &Connection, right: &Connection) -> Result<bool> {
    let mut select = left.prepare("SELECT id, validity FROM epochs WHERE mailbox > 0")?;
    let mut same = right.prepare("SELECT validity FROM epochs WHERE id = ?1 AND mailbox > 0")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        let (id, validity): (i64, Option<i64>) = (row.get(0)?, row.get(1)?);
        let other: Option<Option<i64>> = same.query_row([id], |row| row.get(0)).optional()?;
        if other.is_some_and(|other| other != validity) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The mailbox and the account of an epoch.
pub(crate) fn epoch_owner(from: &Connection, epoch: EpochId) -> Result<Option<(MailboxId, AccountId)>> {
    let mut select = from.prepare_cached("SELECT mailbox, account FROM epochs WHERE id = ?1")?;
    let owner = select.query_row([epoch.0], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
    Ok(owner.map(|(mailbox, account)| (MailboxId(mailbox), AccountId(account))))
}
