//! What an account has lost since a run.
//!
//! A placement that has ended is no loss by itself: people move mail. It is one when its message is
//! live nowhere in the account any more, or only in a bin (Trash, Junk), where it was not before.
//! Nothing here changes anything; the archive keeps what was lost.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use rusqlite::{Connection, OptionalExtension as _};

use super::apply::places;
use crate::error::Result;
use crate::ids::{AccountId, EpochId, MailboxId, RunId};
use crate::info::MailboxLoss;

/// A message's number, as SQLite has it.
type Number = i64;

/// See [`View::losses`](crate::view::View::losses). Keeps some twelve bytes for each placement that
/// ended or began since.
pub(crate) fn losses(
    from: &Connection,
    account: AccountId,
    since: RunId,
    bins: &HashSet<MailboxId>,
) -> Result<Vec<MailboxLoss>> {
    let mut select = from.prepare_cached("SELECT id, mailbox FROM epochs WHERE account = ?1 ORDER BY id")?;
    let epochs = select.query_map([account.0], |row| Ok((EpochId(row.get(0)?), MailboxId(row.get(1)?))))?;
    let epochs: Vec<(EpochId, MailboxId)> = epochs.collect::<std::result::Result<_, _>>()?;
    let mut found = Found::default();
    for (epoch, mailbox) in epochs {
        found.look_through(from, epoch, mailbox, since)?;
    }
    let Found { before, ended, begun } = found;
    let mut losses: BTreeMap<MailboxId, MailboxLoss> = before
        .into_iter()
        .map(|(mailbox, before)| (mailbox, MailboxLoss { mailbox, before, lost: 0, altered: 0 }))
        .collect();
    let moved: HashSet<Number> = ended.iter().map(|&(_, message)| message).collect();
    let mut heirs = look_alikes(from, begun.into_iter().filter(|message| !moved.contains(message)))?;
    for (mailbox, message) in ended {
        if is_kept(from, account, message, |kept_in| !bins.contains(&kept_in) || bins.contains(&mailbox))? {
            continue;
        }
        let Some(loss) = losses.get_mut(&mailbox) else { continue };
        loss.lost += 1;
        let heir = look(from, message)?.and_then(|look| heirs.get_mut(&look)).filter(|heirs| **heirs > 0);
        if let Some(heirs) = heir {
            *heirs -= 1;
            loss.altered += 1;
        }
    }
    Ok(losses.into_values().collect())
}

#[derive(Default)]
struct Found {
    /// Per mailbox the placements that it had.
    before: HashMap<MailboxId, u64>,
    /// Those that have ended since.
    ended: Vec<(MailboxId, Number)>,
    /// Those that are live and began since.
    begun: Vec<Number>,
}

impl Found {
    fn look_through(
        &mut self,
        from: &Connection,
        epoch: EpochId,
        mailbox: MailboxId,
        since: RunId,
    ) -> Result<()> {
        let (first, last) = places(epoch);
        let mut select = from.prepare_cached(
            "SELECT message, first_run, last_run FROM placements WHERE place BETWEEN ?1 AND ?2
             UNION ALL SELECT message, first_run, last_run FROM former WHERE place BETWEEN ?1 AND ?2",
        )?;
        let mut rows = select.query((first, last))?;
        while let Some(row) = rows.next()? {
            let (message, first_run, last_run): (Number, u32, Option<u32>) =
                (row.get(0)?, row.get(1)?, row.get(2)?);
            match last_run {
                None if first_run > since.0 => self.begun.push(message),
                Some(last_run) if last_run <= since.0 || first_run > since.0 => {}
                last_run => {
                    *self.before.entry(mailbox).or_default() += 1;
                    if last_run.is_some() {
                        self.ended.push((mailbox, message));
                    }
                }
            }
        }
        Ok(())
    }
}

/// Whether a message is live in a mailbox of the account that counts.
fn is_kept(
    from: &Connection,
    account: AccountId,
    message: Number,
    counts: impl Fn(MailboxId) -> bool,
) -> Result<bool> {
    let mut select = from.prepare_cached(
        "SELECT e.mailbox FROM whereabouts w
         JOIN placements p ON p.place = w.place AND p.message = w.message AND p.last_run IS NULL
         JOIN epochs e ON e.id = w.place >> 32
         WHERE w.account = ?1 AND w.message = ?2",
    )?;
    let mut rows = select.query((account.0, message))?;
    while let Some(row) = rows.next()? {
        if counts(MailboxId(row.get(0)?)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many of these messages look alike, by their look.
fn look_alikes(from: &Connection, messages: impl Iterator<Item = Number>) -> Result<HashMap<u64, u64>> {
    let mut looks = HashMap::new();
    for message in messages {
        if let Some(look) = look(from, message)? {
            *looks.entry(look).or_default() += 1;
        }
    }
    Ok(looks)
}

/// Subject and sender of a message in one number; none without a subject.
fn look(from: &Connection, message: Number) -> Result<Option<u64>> {
    let mut select =
        from.prepare_cached("SELECT subject, sender FROM messages WHERE number = ?1 AND subject <> ''")?;
    let look = select.query_row([message], |row| {
        let mut hasher = DefaultHasher::new();
        (row.get::<_, String>(0)?, row.get::<_, String>(1)?).hash(&mut hasher);
        Ok(hasher.finish())
    });
    Ok(look.optional()?)
}

/// See [`View::missing_in`](crate::view::View::missing_in).
pub(crate) fn missing_in(from: &Connection, epoch: EpochId, other: EpochId) -> Result<u64> {
    let ((first, last), (other_first, other_last)) = (places(epoch), places(other));
    let mut select = from.prepare_cached(
        "SELECT count(*) FROM placements p JOIN epochs e ON e.id = ?5
         WHERE p.place BETWEEN ?1 AND ?2 AND p.last_run IS NULL AND NOT EXISTS (
             SELECT 1 FROM whereabouts w
             JOIN placements q ON q.place = w.place AND q.message = w.message AND q.last_run IS NULL
             WHERE w.account = e.account AND w.message = p.message AND w.place BETWEEN ?3 AND ?4)",
    )?;
    let count = select.query_row((first, last, other_first, other_last, epoch.0), |row| row.get::<_, i64>(0));
    Ok(count?.cast_unsigned())
}
