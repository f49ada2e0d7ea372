//! The mailboxes that an account had at the end of a run: which there were, under which names, with how
//! much in them.
//!
//! The journal says what a mailbox is from a record on, and whose; the newest run of its account that had
//! begun by then is the run in which that was learnt. Where damage has taken the record that first named a
//! mailbox, it is believed to have been there since the first message in it, under the oldest name known.

use rusqlite::{Connection, OptionalExtension as _};

use super::apply::places;
use super::query::{self, mailbox_of_row};
use crate::error::Result;
use crate::ids::{AccountId, EpochId, MailboxId, RunId};
use crate::info::{MailboxInfo, MailboxSeen, When};

/// See [`View::mailboxes_as_of`](crate::view::View::mailboxes_as_of).
pub(crate) fn mailboxes(from: &Connection, account: AccountId, when: When) -> Result<Vec<MailboxInfo>> {
    let mut mailboxes = Vec::new();
    for now in query::mailboxes(from, account)? {
        let then = match when.as_of {
            None => Some(now),
            Some(run) => as_of(from, now, run)?,
        };
        let Some(then) = then else { continue };
        if then.gone.is_none() || when.deleted && has_held(from, then.id, when)? {
            mailboxes.push(then);
        }
    }
    Ok(mailboxes)
}

/// A mailbox as it was, if it was there, or had been before.
fn as_of(from: &Connection, now: MailboxInfo, run: RunId) -> Result<Option<MailboxInfo>> {
    let contents = contents(from, now.id, run)?;
    let (seen, gone) = match known_by(from, now.id, run)? {
        Some(known) => known,
        None if contents.begun => (oldest_known(from, now.id)?.unwrap_or_else(|| seen_of(&now)), None),
        None => return Ok(None),
    };
    Ok(Some(MailboxInfo {
        name: seen.name,
        attributes: seen.attributes,
        special_use: seen.special_use,
        subscribed: seen.subscribed,
        object_id: seen.object_id,
        selectable: seen.selectable,
        gone,
        epoch: contents.epoch.map(|epoch| query::epoch(from, epoch)).transpose()?.flatten(),
        live: contents.live,
        lost: contents.lost,
        ..now
    }))
}

const HISTORY_COLUMNS: &str =
    "mailbox, raw, utf8, delimiter, attributes, special_use, subscribed, object_id, selectable, gone";

/// What was known of a mailbox when a run had ended; the run in which it was found gone, if it was.
fn known_by(
    from: &Connection,
    mailbox: MailboxId,
    run: RunId,
) -> Result<Option<(MailboxSeen, Option<RunId>)>> {
    let mut select = from.prepare_cached(&format!(
        "SELECT {HISTORY_COLUMNS} FROM mailbox_history WHERE mailbox = ?1 AND run <= ?2
         ORDER BY run DESC LIMIT 1"
    ))?;
    let row = select.query_row((mailbox.0, run.0), mailbox_of_row).optional()?;
    Ok(row.map(|row| (row.seen, row.gone)))
}

fn oldest_known(from: &Connection, mailbox: MailboxId) -> Result<Option<MailboxSeen>> {
    let mut select = from.prepare_cached(&format!(
        "SELECT {HISTORY_COLUMNS} FROM mailbox_history WHERE mailbox = ?1 ORDER BY run LIMIT 1"
    ))?;
    Ok(select.query_row([mailbox.0], mailbox_of_row).optional()?.map(|row| row.seen))
}

fn seen_of(mailbox: &MailboxInfo) -> MailboxSeen {
    MailboxSeen {
        name: mailbox.name.clone(),
        attributes: mailbox.attributes.clone(),
        special_use: mailbox.special_use.clone(),
        subscribed: mailbox.subscribed,
        object_id: mailbox.object_id.clone(),
        selectable: mailbox.selectable,
    }
}

/// What lay in a mailbox when a run had ended.
#[derive(Default)]
struct Contents {
    live: u64,
    lost: u64,
    /// The newest epoch in which anything had been seen by then.
    epoch: Option<EpochId>,
    /// Whether anything had been seen by then.
    begun: bool,
}

fn contents(from: &Connection, mailbox: MailboxId, run: RunId) -> Result<Contents> {
    let mut count = from.prepare_cached(
        "SELECT count(*), ifnull(sum(live), 0),
                ifnull(sum(live AND message IN (SELECT number FROM lost_messages)), 0)
         FROM (SELECT message, last_run IS NULL OR last_run > ?3 AS live FROM placements
                 WHERE place BETWEEN ?1 AND ?2 AND first_run <= ?3
               UNION ALL
               SELECT message, last_run > ?3 FROM former WHERE place BETWEEN ?1 AND ?2 AND first_run <= ?3)",
    )?;
    let mut contents = Contents::default();
    for epoch in query::epochs(from, mailbox)? {
        let (first, last) = places(epoch.id);
        let number = |row: &rusqlite::Row<'_>, column| row.get::<_, i64>(column).map(i64::cast_unsigned);
        let (begun, live, lost) = count
            .query_row((first, last, run.0), |row| Ok((number(row, 0)?, number(row, 1)?, number(row, 2)?)))?;
        contents.live += live;
        contents.lost += lost;
        if begun > 0 {
            contents.begun = true;
            contents.epoch = Some(epoch.id);
        }
    }
    Ok(contents)
}

/// Whether anything had ever been seen in a mailbox by then.
fn has_held(from: &Connection, mailbox: MailboxId, when: When) -> Result<bool> {
    let run = when.as_of.map_or(u32::MAX, RunId::get);
    let mut select = from.prepare_cached(
        "SELECT 1 FROM epochs e WHERE e.mailbox = ?1 AND (
           EXISTS (SELECT 1 FROM placements
                     WHERE place BETWEEN e.id << 32 AND (e.id << 32) + 4294967295 AND first_run <= ?2)
           OR EXISTS (SELECT 1 FROM former
                     WHERE place BETWEEN e.id << 32 AND (e.id << 32) + 4294967295 AND first_run <= ?2))",
    )?;
    Ok(select.exists((mailbox.0, run))?)
}
