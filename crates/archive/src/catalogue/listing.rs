//! The placements of a mailbox, newest first.
//!
//! They are put in order by what is known of them without their messages, 24 bytes for each; a message is
//! looked up when its turn comes. So the first is given soon, and a folder of a million messages needs
//! 24 MB while it is listed.

use std::collections::HashSet;
use std::ops::ControlFlow;

use message::Flags;
use message::fields::Fields;
use rusqlite::{Connection, Row};

use super::apply::{places, unplace};
use super::query::{PlacementRow, epochs, flags_as_of, flags_text, key_of_row, placement_of_row};
use super::{damaged, names};
use crate::error::{Error, Result};
use crate::ids::{EpochId, MailboxId, RunId};
use crate::info::{PlacementInfo, When};

/// One of the rows that are put in order.
struct Listed {
    /// The least there is for a placement without a date.
    date: i64,
    place: i64,
    first_run: u32,
    /// In `former`: where the rest of the row's key stands, counted from 1; 0 for the newest placement.
    former: u32,
}

/// The rows, and for those of `former` the last run and the message.
#[derive(Default)]
struct List {
    rows: Vec<Listed>,
    former: Vec<(u32, i64)>,
}

/// See [`View::placements`](crate::view::View::placements).
pub(crate) fn placements(
    from: &Connection,
    mailbox: MailboxId,
    when: When,
    each: &mut dyn FnMut(PlacementInfo) -> ControlFlow<()>,
) -> Result<()> {
    let (mut list, mut teller) = (List::default(), Teller::new(from, when.as_of)?);
    for epoch in epochs(from, mailbox)? {
        list.add(from, epoch.id, when)?;
        teller.named.extend(epoch.pop3.then_some(epoch.id));
    }
    let List { mut rows, former } = list;
    let order = |row: &Listed| (row.date, row.place & 0xffff_ffff, row.place, row.first_run);
    rows.sort_unstable_by_key(|row| std::cmp::Reverse(order(row)));
    let mut newest = from.prepare_cached(&select_from("placements", "place = ?1"))?;
    let of_former = "place = ?1 AND p.last_run = ?2 AND p.first_run = ?3 AND p.message = ?4";
    let mut past = from.prepare_cached(&select_from("former", of_former))?;
    for Listed { place, first_run, former: index, .. } in rows {
        let info = match index.checked_sub(1).and_then(|index| former.get(index as usize)) {
            None => newest.query_row([place], |row| Ok(teller.tell(row)))?,
            Some((last_run, message)) => {
                past.query_row((place, last_run, first_run, message), |row| Ok(teller.tell(row)))?
            }
        };
        if each(info?).is_break() {
            break;
        }
    }
    Ok(())
}

/// A placement with what lists show of its message.
fn select_from(table: &str, condition: &str) -> String {
    format!(
        "SELECT p.place, p.message, p.date, p.zone, p.raw_date, p.flags, p.proof, p.first_run, p.last_run,
           m.prefix, m.rest, m.size, m.date, m.subject, m.sender
         FROM {table} p LEFT JOIN messages m ON m.number = p.message WHERE {condition}"
    )
}

/// The newest placement under a UID.
pub(crate) fn full(from: &Connection, at: i64) -> Result<Option<PlacementInfo>> {
    let mut teller = Teller::new(from, None)?;
    teller.named.extend(unplace(at).map(|(epoch, _)| epoch));
    let mut select = from.prepare_cached(&select_from("placements", "place = ?1"))?;
    let mut rows = select.query([at])?;
    rows.next()?.map(|row| teller.tell(row)).transpose()
}

/// Tells placements, one after the other.
struct Teller<'c> {
    from: &'c Connection,
    as_of: Option<RunId>,
    /// Whether any message is lost.
    any_lost: bool,
    /// Epochs whose messages may have been given names by a server.
    named: HashSet<EpochId>,
    /// Neighbours mostly have the same flags.
    flags: Option<(i64, Flags)>,
}

impl<'c> Teller<'c> {
    fn new(from: &'c Connection, as_of: Option<RunId>) -> Result<Self> {
        let any_lost = damaged::any_message(from)?;
        Ok(Self { from, as_of, any_lost, named: HashSet::new(), flags: None })
    }

    fn tell(&mut self, row: &Row<'_>) -> Result<PlacementInfo> {
        let placement = placement_of_row(row)?;
        let (epoch, uid) =
            unplace(placement.place).ok_or(Error::CatalogueWrong { what: "a place without epoch or UID" })?;
        if row.get::<_, Option<i64>>(9)?.is_none() {
            return Err(Error::CatalogueWrong { what: "a placement of an unknown message" });
        }
        let uidl = if self.named.contains(&epoch) { names::uidl(self.from, placement.place)? } else { None };
        Ok(PlacementInfo {
            epoch,
            uid,
            uidl,
            message: key_of_row(row, 9)?,
            size: row.get::<_, i64>(11)?.cast_unsigned(),
            flags: self.flags_of(&placement)?,
            internal_date: placement.internal_date,
            fields: Fields {
                date: row.get(12)?,
                subject: row.get(13)?,
                from: row.get(14)?,
                message_id: String::new(),
            },
            first_run: placement.first_run,
            last_run: placement.last_run,
            proof: placement.proof,
            lost: self.any_lost && damaged::is_lost(self.from, placement.message)?,
        })
    }

    fn flags_of(&mut self, placement: &PlacementRow) -> Result<Flags> {
        let set = match self.as_of {
            Some(run) => flags_as_of(self.from, placement, run)?,
            None => placement.flags,
        };
        if let Some((known, flags)) = &self.flags
            && *known == set
        {
            return Ok(flags.clone());
        }
        Ok(self.flags.insert((set, flags_text(self.from, set)?)).1.clone())
    }
}

impl List {
    fn add(&mut self, from: &Connection, epoch: EpochId, when: When) -> Result<()> {
        let as_of = when.as_of.map_or(u32::MAX, RunId::get);
        let wanted = |first_run: u32, last_run: Option<u32>| {
            first_run <= as_of && (when.deleted || last_run.is_none_or(|last_run| last_run > as_of))
        };
        let mut select = from.prepare_cached(
            "SELECT place, date, first_run, last_run FROM placements WHERE place BETWEEN ?1 AND ?2",
        )?;
        let mut rows = select.query(places(epoch))?;
        while let Some(row) = rows.next()? {
            let first_run = row.get(2)?;
            if wanted(first_run, row.get(3)?) {
                let date = row.get::<_, Option<i64>>(1)?.unwrap_or(i64::MIN);
                self.rows.push(Listed { date, place: row.get(0)?, first_run, former: 0 });
            }
        }
        if when.as_of.is_none() && !when.deleted {
            return Ok(());
        }
        let mut select = from.prepare_cached(
            "SELECT place, date, first_run, last_run, message FROM former WHERE place BETWEEN ?1 AND ?2",
        )?;
        let mut rows = select.query(places(epoch))?;
        while let Some(row) = rows.next()? {
            let (first_run, last_run) = (row.get(2)?, row.get(3)?);
            if wanted(first_run, Some(last_run)) {
                self.former.push((last_run, row.get(4)?));
                // So many would be a hundred gigabytes here.
                let former = u32::try_from(self.former.len()).unwrap_or(u32::MAX);
                let date = row.get::<_, Option<i64>>(1)?.unwrap_or(i64::MIN);
                self.rows.push(Listed { date, place: row.get(0)?, first_run, former });
            }
        }
        Ok(())
    }
}
