//! What runs brought and took: counted by folder, and told of one message.
//!
//! Ledgers say what a run did as a whole; these answers come from the placements, so they are there for a
//! run that was cut off too, and for a folder whatever it was called at the time.

use std::collections::BTreeMap;

use rusqlite::Connection;

use super::apply::{places, sql, unplace};
use super::{history, names, query};
use crate::error::Result;
use crate::ids::{AccountId, MailboxId, RunId};
use crate::info::{Changes, Life};
use message::{Flags, MessageKey};

/// See [`View::changes`](crate::view::View::changes).
pub(crate) fn changes(from: &Connection, mailboxes: &[MailboxId]) -> Result<BTreeMap<RunId, Changes>> {
    let mut changes: BTreeMap<RunId, Changes> = BTreeMap::new();
    let mut stays = from.prepare_cached(
        "SELECT first_run, last_run FROM placements WHERE place BETWEEN ?1 AND ?2
         UNION ALL SELECT first_run, last_run FROM former WHERE place BETWEEN ?1 AND ?2",
    )?;
    let mut flags = from.prepare_cached("SELECT run FROM flag_history WHERE place BETWEEN ?1 AND ?2")?;
    for &mailbox in mailboxes {
        for epoch in query::epochs(from, mailbox)? {
            let mut rows = stays.query(places(epoch.id))?;
            while let Some(row) = rows.next()? {
                changes.entry(RunId(row.get(0)?)).or_default().new += 1;
                if let Some(last) = row.get::<_, Option<u32>>(1)? {
                    changes.entry(RunId(last)).or_default().vanished += 1;
                }
            }
            let mut rows = flags.query(places(epoch.id))?;
            while let Some(row) = rows.next()? {
                changes.entry(RunId(row.get(0)?)).or_default().flags_changed += 1;
            }
        }
    }
    Ok(changes)
}

/// See [`View::life_of`](crate::view::View::life_of).
pub(crate) fn life_of(from: &Connection, account: AccountId, key: &MessageKey) -> Result<Vec<Life>> {
    let Some(message) = super::apply::message_number(from, key)? else { return Ok(Vec::new()) };
    let mut select = from
        .prepare_cached("SELECT place FROM whereabouts WHERE account = ?1 AND message = ?2 ORDER BY place")?;
    let found = select.query_map((account.0, sql(message.0)), |row| row.get(0))?;
    let found: Vec<i64> = found.collect::<std::result::Result<_, _>>()?;
    let mut lives = Vec::new();
    for at in found {
        let Some((epoch, uid)) = unplace(at) else { continue };
        let Some((mailbox, _)) = query::epoch_owner(from, epoch)? else { continue };
        let validity = query::epoch(from, epoch)?.and_then(|epoch| epoch.validity);
        let uidl = names::uidl(from, at)?;
        let history = history::history(from, at)?;
        for stay in history.stays.into_iter().filter(|stay| stay.message == message) {
            let within = |run: RunId| run > stay.first_run && stay.last_run.is_none_or(|last| run <= last);
            let until = history.flags_until.iter().filter(|(run, _)| within(*run));
            lives.push(Life {
                mailbox,
                validity,
                uid,
                uidl: uidl.clone(),
                internal_date: stay.date,
                first_run: stay.first_run,
                last_run: stay.last_run,
                flags: from_until(stay.first_run, until, stay.flags),
                proof: stay.proof,
            });
        }
    }
    lives.sort_by_key(|life| (life.first_run, life.mailbox, life.uid));
    Ok(lives)
}

/// Since when which flags held, from those that held until a run changed them and those that held last.
fn from_until<'f>(
    first_run: RunId,
    until: impl Iterator<Item = &'f (RunId, Flags)>,
    newest: Flags,
) -> Vec<(RunId, Flags)> {
    let mut since = first_run;
    let mut flags = Vec::new();
    for (run, held) in until {
        flags.push((since, held.clone()));
        since = *run;
    }
    flags.push((since, newest));
    flags
}
