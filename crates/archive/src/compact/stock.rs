//! What packs there are to choose from, without reading more of them than a frame.
//!
//! Neighbours in this list may be made into one, so whatever lies between two packs that count stands in it
//! too, as something that has to stay: a pack that was begun in vain or is of another history (it would
//! else come before what it came after), or one that is missing.

use std::collections::{HashMap, HashSet};

use rusqlite::Connection;

use super::choose::{Stock, Wish, choose};
use crate::catalogue::{damaged, query, tried};
use crate::error::Result;
use crate::ids::PackId;
use crate::open::known_packs;
use crate::pack::files::{PackFile, PackFiles};
use crate::pack::replaces::Replaces;

/// What is looked for.
pub(super) struct Search<'s> {
    pub(super) wish: Wish,
    /// Blocks of a lower level are to be compressed again.
    pub(super) level: i32,
    /// Packs that could not be read as they should.
    pub(super) left: &'s HashSet<PackId>,
    /// Whether the pack that may still be appended to is one to choose from.
    pub(super) with_open: bool,
}

/// Groups of packs that are worth it.
#[derive(Debug)]
pub(super) struct Groups {
    /// Their files; the lengths are the bytes that count.
    pub(super) groups: Vec<Vec<PackFile>>,
    /// Whether the pack that may still be appended to is in the last of them.
    pub(super) have_open: bool,
}

/// The groups that are worth it.
pub(super) fn groups(known: &Connection, files: &PackFiles, search: &Search<'_>) -> Result<Groups> {
    let stay: HashSet<PackId> = damaged::known_damage(known)?.into_iter().map(|damage| damage.pack).collect();
    let compacted: HashSet<PackId> = known_packs(known)?.retired.into_values().collect();
    let in_vain = tried::at_level(known, search.level)?;
    let counted = query::packs(known)?;
    let behind_missing: HashSet<PackId> =
        counted.windows(2).filter(|pair| files.find(pair[0].0).is_none()).map(|pair| pair[1].0).collect();
    let lengths: HashMap<PackId, u64> = counted.into_iter().collect();
    let all = files.packs();
    let (mut stocks, mut found): (Vec<Stock>, Vec<Option<PackFile>>) = (Vec::new(), Vec::new());
    for (at, file) in all.iter().enumerate() {
        let pack = file.pack;
        if behind_missing.contains(&pack) {
            stocks.push(Stock { pack, length: 0, settled_bytes: 0, is_fixed: true });
            found.push(None);
        }
        let length = lengths.get(&pack).copied().filter(|&length| length <= file.length);
        let is_open = at + 1 == all.len() && !query::is_sealed(known, pack)?;
        // What stands in its place would have the same sequence, and another id to be ordered by.
        let is_alone = all.iter().filter(|other| other.sequence == file.sequence).count() == 1;
        let is_kept = stay.contains(&pack) || search.left.contains(&pack);
        let is_done = compacted.contains(&pack) && level_of(files, file)? >= Some(search.level);
        let own_bytes = length.filter(|_| is_done).unwrap_or(0);
        stocks.push(Stock {
            pack,
            length: length.unwrap_or(0),
            settled_bytes: own_bytes.max(in_vain.get(&pack).copied().unwrap_or(0)),
            is_fixed: length.is_none() || is_kept || !is_alone || is_open && !search.with_open,
        });
        found.push(length.map(|length| PackFile { length, ..file.clone() }));
    }
    let chosen = choose(&stocks, search.wish);
    let is_open = match all.last() {
        Some(last) => !query::is_sealed(known, last.pack)?,
        None => false,
    };
    let have_open = is_open && chosen.last().is_some_and(|group| group.end == stocks.len());
    let groups = chosen.into_iter().map(|group| found[group].iter().flatten().cloned().collect());
    Ok(Groups { groups: groups.collect(), have_open })
}

/// At which level a compacted pack was made, if it can be read.
fn level_of(files: &PackFiles, file: &PackFile) -> Result<Option<i32>> {
    Ok(Replaces::of(&files.open(file)?).map(|replaces| replaces.level))
}
