//! What a folder held, as a multiset of messages to be given back.
//!
//! Placements are how an archive remembers: a message that lay under three UIDVALIDITYs, or went and
//! came back, has one for each time. A mailbox that is given back must have it only as often as it ever
//! lay there *at the same time*. A server has one UIDVALIDITY at a time, so what overlaps in two epochs
//! (an old one is kept until a second run finds the same loss) counts as often as in the fuller of them.
//!
//! Of several placements that stand for one copy the newest counts, with its flags and its received
//! date. What is chosen here is streamed in the order of epochs and UIDs, which is the order of arrival.
//!
//! Only where a message can have more than one placement (more than one epoch has any, or what has
//! vanished is wanted too) are they compared; that keeps 24 bytes for each of them.

use std::ops::ControlFlow;

use rusqlite::{Connection, Row, Statement};

use super::apply::{places, sql, unplace};
use super::query::{self, date_of_row, flags_as_of, flags_text, key_of_row};
use crate::error::{Error, Result};
use crate::ids::{EpochId, MailboxId, MessageNumber, RunId};
use crate::info::{WantedMessage, When};

/// Everything that ever lay in an epoch, in order; `?1` and `?2` are its places, `?3` is the run as of
/// which it is asked, `?4` whether what had vanished by then is wanted too.
const STAYS: &str = "
    SELECT place, message, date, zone, raw_date, flags, proof, first_run, last_run,
           ifnull(last_run, 4294967296) AS until FROM placements
      WHERE place BETWEEN ?1 AND ?2 AND first_run <= ?3 AND (?4 OR last_run IS NULL OR last_run > ?3)
    UNION ALL
    SELECT place, message, date, zone, raw_date, flags, proof, first_run, last_run, last_run FROM former
      WHERE place BETWEEN ?1 AND ?2 AND first_run <= ?3 AND (?4 OR last_run > ?3)
    ORDER BY place, until, first_run, message";

/// See [`View::wanted`](crate::view::View::wanted).
pub(crate) fn wanted(
    from: &Connection,
    mailboxes: &[MailboxId],
    when: When,
    each: &mut dyn FnMut(WantedMessage) -> ControlFlow<()>,
) -> Result<()> {
    let mut epochs = Vec::new();
    for &mailbox in mailboxes {
        epochs.extend(query::epochs(from, mailbox)?.into_iter().map(|epoch| (epoch.id, mailbox)));
    }
    epochs.sort_unstable();
    let mut stays = from.prepare_cached(STAYS)?;
    let doubles = doubles(&mut stays, &epochs, when)?;
    // Neighbours mostly have the same flags.
    let mut last_flags = None;
    for (epoch, mailbox) in epochs {
        let mut rows = stays.query(parameters(epoch, when))?;
        while let Some(row) = rows.next()? {
            let stay = Stay::of_row(row, when)?;
            if doubles.binary_search(&stay.name()).is_ok() {
                continue;
            }
            if each(message(from, mailbox, row, when, &mut last_flags)?).is_break() {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn parameters(epoch: EpochId, when: When) -> (i64, i64, u32, bool) {
    let (first, last) = places(epoch);
    (first, last, when.as_of.map_or(u32::MAX, RunId::get), when.deleted)
}

fn message(
    from: &Connection,
    mailbox: MailboxId,
    row: &Row<'_>,
    when: When,
    last_flags: &mut Option<(i64, message::Flags)>,
) -> Result<WantedMessage> {
    let placement = query::placement_of_row(row)?;
    let (epoch, uid) =
        unplace(placement.place).ok_or(Error::CatalogueWrong { what: "a place without epoch or UID" })?;
    let (key, size, lost) = key_and_size(from, placement.message)?;
    let set = match when.as_of {
        Some(run) => flags_as_of(from, &placement, run)?,
        None => placement.flags,
    };
    let flags = match last_flags {
        Some((known, flags)) if *known == set => flags.clone(),
        _ => last_flags.insert((set, flags_text(from, set)?)).1.clone(),
    };
    Ok(WantedMessage {
        mailbox,
        epoch,
        uid,
        message: key,
        size,
        internal_date: date_of_row(row, 2)?,
        flags,
        first_run: placement.first_run,
        last_run: placement.last_run,
        lost,
    })
}

fn key_and_size(from: &Connection, number: MessageNumber) -> Result<(message::MessageKey, u64, bool)> {
    let mut select = from.prepare_cached(
        "SELECT prefix, rest, size, EXISTS (SELECT 1 FROM lost_messages l WHERE l.number = m.number)
         FROM messages m WHERE number = ?1",
    )?;
    Ok(select.query_row([sql(number.0)], |row| {
        Ok((key_of_row(row, 0)?, row.get::<_, i64>(2)?.cast_unsigned(), row.get(3)?))
    })?)
}

/// A message's time under a UID, as far as it is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stay {
    message: i64,
    place: i64,
    first_run: u32,
    /// `u32::MAX` while it was live as of the moment.
    last_run: u32,
}

impl Stay {
    fn of_row(row: &Row<'_>, when: When) -> rusqlite::Result<Self> {
        let last_run =
            row.get::<_, Option<u32>>(8)?.filter(|&last| when.as_of.is_none_or(|as_of| last <= as_of.0));
        Ok(Self {
            message: row.get(1)?,
            place: row.get(0)?,
            first_run: row.get(7)?,
            last_run: last_run.unwrap_or(u32::MAX),
        })
    }

    /// What tells it apart from all others.
    fn name(&self) -> (i64, u32, u32, i64) {
        (self.place, self.last_run, self.first_run, self.message)
    }

    /// The newest is the greatest: what is there before what has gone, then what went last.
    fn age(&self) -> (u32, i64, u32, i64) {
        (self.last_run, self.place >> 32, self.first_run, self.place)
    }
}

/// Placements that stand for a copy for which another stands already, in order.
fn doubles(
    stays: &mut Statement<'_>,
    epochs: &[(EpochId, MailboxId)],
    when: When,
) -> Result<Vec<(i64, u32, u32, i64)>> {
    let mut doubles = Vec::new();
    if !when.deleted && only_one_has_any(stays, epochs, when)? {
        return Ok(doubles);
    }
    let mut all = Vec::new();
    for &(epoch, _) in epochs {
        let mut rows = stays.query(parameters(epoch, when))?;
        while let Some(row) = rows.next()? {
            all.push(Stay::of_row(row, when)?);
        }
    }
    all.sort_unstable_by_key(|stay| (stay.message, std::cmp::Reverse(stay.age())));
    for of_one_message in all.chunk_by(|a, b| a.message == b.message) {
        let beyond = of_one_message.iter().skip(most_at_once(of_one_message));
        doubles.extend(beyond.map(Stay::name));
    }
    doubles.sort_unstable();
    Ok(doubles)
}

/// Whether at most one epoch has anything that is wanted: then no message has two placements for one copy.
fn only_one_has_any(stays: &mut Statement<'_>, epochs: &[(EpochId, MailboxId)], when: When) -> Result<bool> {
    let mut with_any = 0;
    for &(epoch, _) in epochs {
        with_any += usize::from(stays.query(parameters(epoch, when))?.next()?.is_some());
    }
    Ok(with_any <= 1)
}

/// How many copies of a message lay in the folder at the same time, at most; never less than one. A stay
/// that no run has seen the end of a run of counts for itself alone.
fn most_at_once(stays: &[Stay]) -> usize {
    if let [_] = stays {
        return 1;
    }
    // By epoch, then by time; at one moment what goes is counted before what comes.
    let mut changes: Vec<(i64, u32, bool)> = Vec::with_capacity(2 * stays.len());
    for stay in stays.iter().filter(|stay| stay.first_run < stay.last_run) {
        let epoch = stay.place >> 32;
        changes.extend([(epoch, stay.first_run, true), (epoch, stay.last_run, false)]);
    }
    changes.sort_unstable();
    let (mut now, mut most) = (0usize, 1);
    for (_, _, comes) in changes {
        now = if comes { now + 1 } else { now.saturating_sub(1) };
        most = most.max(now);
    }
    most
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn stays_come_in_order_without_being_sorted() {
        let catalogue = crate::catalogue::open_for_making(None, crate::ArchiveId([1; 16])).unwrap();
        crate::catalogue::finish(&catalogue).unwrap();
        let mut explain = catalogue.prepare(&format!("EXPLAIN QUERY PLAN {STAYS}")).unwrap();
        let plan = explain.query_map((1, 2, 3, true), |row| row.get::<_, String>(3)).unwrap();
        let plan: Vec<String> = plan.map(Result::unwrap).collect();
        assert!(plan.iter().any(|step| step.contains("SEARCH placements")), "{plan:?}");
        assert!(!plan.iter().any(|step| step.contains("TEMP B-TREE")), "{plan:?}");
    }

    fn stay(epoch: u32, uid: u32, first_run: u32, last_run: u32) -> Stay {
        Stay { message: 1, place: super::super::apply::place(EpochId(epoch), uid), first_run, last_run }
    }

    #[test]
    fn copies_are_counted_by_how_many_lay_there_at_the_same_time() {
        const NOW: u32 = u32::MAX;
        for (stays, expected) in [
            (vec![stay(1, 1, 1, NOW)], 1),
            (vec![stay(1, 1, 1, NOW), stay(1, 2, 1, NOW)], 2),
            // Went, and came back with the run in which it was found gone.
            (vec![stay(1, 1, 1, 3), stay(1, 9, 3, NOW)], 1),
            (vec![stay(1, 1, 1, 4), stay(1, 9, 3, NOW)], 2),
            // A new UIDVALIDITY; also one that overlaps the old.
            (vec![stay(1, 1, 1, 3), stay(1, 2, 1, 3), stay(2, 1, 3, NOW)], 2),
            (vec![stay(1, 1, 1, 5), stay(2, 1, 3, NOW)], 1),
            // Seen and gone within one run.
            (vec![stay(1, 1, 3, 3), stay(1, 2, 3, 3)], 1),
        ] {
            assert_eq!(most_at_once(&stays), expected, "{stays:?}");
        }
    }
}
