//! What a power cut can leave.
//!
//! What the file systems of Linux promise, and no more:
//!
//! * A file's bytes are durable as of its last sync. What was written since may be there or not, sector
//!   by sector, in any combination; a sector holds what it held after one of the writes that touched it.
//! * The length is the one of the last sync, or any that the file had since, or a sector's border on the
//!   way. Where the length covers sectors that were not written stand zeros, or what lay there before.
//! * A cut (truncate) that was not synced has happened or not.
//! * Names that were made, renamed or removed since the last sync of their folder are there or not, each
//!   on its own. A rename may be half done: both names. Never is neither there.
//! * A file that was synced under a name that was not is lost with the name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Image, Operation, small, write_into};

/// Answers to the questions of [`SimulatedDisk::after_crash`](super::SimulatedDisk::after_crash): all
/// combinations one after the other, like an odometer, or by chance.
#[derive(Clone, Debug, Default)]
pub struct Chances {
    /// The answers of this turn, each with the number of possibilities.
    digits: Vec<(usize, usize)>,
    at: usize,
    seed: Option<u64>,
}

impl Chances {
    /// All combinations: the first turn answers 0 everywhere.
    #[must_use]
    pub fn exhaustive() -> Self {
        Self::default()
    }

    /// Answers that depend on the seed alone.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self { seed: Some(seed), ..Self::default() }
    }

    /// One of `possibilities`.
    pub fn choose(&mut self, possibilities: usize) -> usize {
        let at = self.at;
        self.at += 1;
        if let Some(seed) = self.seed {
            return dice(seed, at, possibilities);
        }
        if at == self.digits.len() {
            self.digits.push((0, possibilities));
        }
        let digit = &mut self.digits[at];
        digit.1 = possibilities;
        digit.0.min(possibilities - 1)
    }

    /// Goes on to the next combination; `false` when there is none. (With a seed: to another draw.)
    pub fn turn(&mut self) -> bool {
        let asked = std::mem::take(&mut self.at);
        if let Some(seed) = &mut self.seed {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            return true;
        }
        self.digits.truncate(asked);
        while let Some((digit, possibilities)) = self.digits.pop() {
            if digit + 1 < possibilities {
                self.digits.push((digit + 1, possibilities));
                return true;
            }
        }
        false
    }
}

/// A number below `sides`. Every third draw leans to one end, so that "nearly nothing" and "nearly
/// everything" come up as often as the middle.
fn dice(seed: u64, at: usize, sides: usize) -> usize {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes[8..].copy_from_slice(&(at as u64).to_le_bytes());
    let drawn = *blake3::hash(&bytes).as_bytes();
    let number = usize::from(u16::from_le_bytes([drawn[0], drawn[1]]));
    match (seed % 5, drawn[2] < 200) {
        (0, true) => 0,
        (1, true) => sides - 1,
        _ => number % sides,
    }
}

/// The disk after a power cut behind the last of these operations. See
/// [`SimulatedDisk::after_crash`](super::SimulatedDisk::after_crash).
pub(super) fn left_over(
    base: &Image,
    record: &[Operation],
    sector: usize,
    choose: &mut dyn FnMut(usize) -> usize,
) -> Image {
    let mut fold = Fold::new(base);
    for operation in record {
        fold.take(operation);
    }
    fold.resolve(sector, choose)
}

/// The record gone through: what is durable, and what waits for a sync.
struct Fold {
    /// Names and folders as the running system sees them.
    seen: Image,
    durable: Image,
    /// Changes of each file since its last sync.
    unsynced: BTreeMap<usize, Vec<Change>>,
    /// Changes of names since the last sync of their folders, in their order.
    unnamed: Vec<(PathBuf, Naming)>,
}

/// A change of a file's bytes.
enum Change {
    Write { offset: u64, bytes: Arc<[u8]> },
    Truncate(u64),
}

/// A change of the names in a folder.
enum Naming {
    Dir(PathBuf),
    File { path: PathBuf, file: usize },
    Rename { from: PathBuf, to: PathBuf, file: usize },
    Remove(PathBuf),
}

impl Fold {
    fn new(base: &Image) -> Self {
        let seen = Image { files: Vec::new(), ..base.clone() };
        Self { seen, durable: base.clone(), unsynced: BTreeMap::new(), unnamed: Vec::new() }
    }

    fn take(&mut self, operation: &Operation) {
        match operation {
            Operation::CreateDir(path) => self.name(path, Naming::Dir(path.clone())),
            Operation::Create { path, file } => {
                self.durable.files.resize((*file + 1).max(self.durable.files.len()), Vec::new());
                self.name(path, Naming::File { path: path.clone(), file: *file });
                self.seen.names.insert(path.clone(), *file);
            }
            Operation::Rename { from, to } => {
                let Some(file) = self.seen.names.remove(from) else { return };
                self.seen.names.insert(to.clone(), file);
                self.name(to, Naming::Rename { from: from.clone(), to: to.clone(), file });
            }
            Operation::Remove(path) => {
                self.seen.names.remove(path);
                self.name(path, Naming::Remove(path.clone()));
            }
            Operation::SyncDir(dir) => {
                let (synced, rest) =
                    std::mem::take(&mut self.unnamed).into_iter().partition(|(parent, _)| parent == dir);
                self.unnamed = rest;
                let synced: Vec<_> = synced;
                for (_, naming) in synced {
                    apply(&mut self.durable, &naming, Done::Whole);
                }
            }
            Operation::Write { file, offset, bytes } => {
                let change = Change::Write { offset: *offset, bytes: bytes.clone() };
                self.unsynced.entry(*file).or_default().push(change);
            }
            Operation::Truncate { file, length } => {
                self.unsynced.entry(*file).or_default().push(Change::Truncate(*length));
            }
            Operation::Sync { file } => {
                for change in self.unsynced.remove(file).unwrap_or_default() {
                    change.apply(&mut self.durable.files[*file]);
                }
            }
            Operation::Forgotten { file } => {
                self.unsynced.remove(file);
            }
        }
    }

    fn name(&mut self, path: &Path, naming: Naming) {
        self.unnamed.push((path.parent().unwrap_or(Path::new("/")).to_owned(), naming));
    }

    fn resolve(self, sector: usize, choose: &mut dyn FnMut(usize) -> usize) -> Image {
        let Self { mut durable, unsynced, unnamed, .. } = self;
        for (_, naming) in &unnamed {
            let done = match naming {
                Naming::Rename { .. } => [Done::Not, Done::Whole, Done::Half][choose(3)],
                _ => [Done::Not, Done::Whole][choose(2)],
            };
            apply(&mut durable, naming, done);
        }
        drop_what_no_folder_holds(&mut durable);
        for (file, changes) in unsynced {
            // Nobody will ever see the others.
            if durable.names.values().any(|named| *named == file) {
                let content = &mut durable.files[file];
                *content = torn(content, &changes, sector, choose);
            }
        }
        durable
    }
}

/// How much of a change of names has reached the medium.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Done {
    Not,
    Whole,
    /// Of a rename: the new name is there, the old one still.
    Half,
}

fn apply(image: &mut Image, naming: &Naming, done: Done) {
    if done == Done::Not {
        return;
    }
    match naming {
        Naming::Dir(path) => {
            image.dirs.insert(path.clone());
        }
        Naming::File { path, file } => {
            image.names.insert(path.clone(), *file);
        }
        Naming::Rename { from, to, file } => {
            image.names.insert(to.clone(), *file);
            if done == Done::Whole && image.names.get(from) == Some(file) {
                image.names.remove(from);
            }
        }
        Naming::Remove(path) => {
            image.names.remove(path);
        }
    }
}

/// A folder that was lost takes with it what lay in it.
fn drop_what_no_folder_holds(image: &mut Image) {
    let dirs = image.dirs.clone();
    let held = |path: &Path| path.ancestors().skip(1).all(|dir| dirs.contains(dir));
    image.dirs.retain(|dir| held(dir));
    image.names.retain(|path, _| held(path));
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { offset, bytes } => write_into(content, *offset, bytes),
            Self::Truncate(length) => content.resize(small(*length), 0),
        }
    }
}

/// What a sector may hold: the bytes after each write that touched it, oldest first. The first may be
/// shorter than the sector: behind it nothing was ever written.
type Versions = Vec<Vec<u8>>;

/// A file's content after some of these changes.
fn torn(old: &[u8], changes: &[Change], sector: usize, choose: &mut dyn FnMut(usize) -> usize) -> Vec<u8> {
    let mut content = old.to_vec();
    let mut sectors: Vec<Versions> = old.chunks(sector).map(|bytes| vec![bytes.to_vec()]).collect();
    let mut lengths = BTreeSet::from([content.len()]);
    for change in changes {
        match change {
            Change::Truncate(length) => {
                if choose(2) == 0 {
                    continue;
                }
                let length = small(*length);
                content.resize(length, 0);
                sectors.resize(length.div_ceil(sector), vec![Vec::new()]);
                if let Some(last) = sectors.last_mut().filter(|_| !length.is_multiple_of(sector)) {
                    last.iter_mut().for_each(|version| version.truncate(length % sector));
                }
                lengths = BTreeSet::from([length]);
            }
            Change::Write { offset, bytes } => {
                if bytes.is_empty() {
                    continue;
                }
                write_into(&mut content, *offset, bytes);
                sectors.resize(content.len().div_ceil(sector).max(sectors.len()), vec![Vec::new()]);
                let start = small(*offset);
                for number in start / sector..=(start + bytes.len() - 1) / sector {
                    let end = ((number + 1) * sector).min(content.len());
                    sectors[number].push(content[number * sector..end].to_vec());
                }
                lengths.insert(content.len());
            }
        }
    }
    let (shortest, longest) = (*lengths.first().unwrap_or(&0), *lengths.last().unwrap_or(&0));
    lengths.extend((shortest / sector + 1..longest.div_ceil(sector)).map(|number| number * sector));
    let lengths: Vec<usize> = lengths.into_iter().collect();
    let length = if lengths.len() == 1 { lengths[0] } else { lengths[choose(lengths.len())] };
    let mut left = Vec::with_capacity(length);
    let mut holes = Vec::new();
    for (number, versions) in sectors.iter().enumerate().take(length.div_ceil(sector)) {
        let version = if versions.len() == 1 { &versions[0] } else { &versions[choose(versions.len())] };
        left.extend_from_slice(version);
        let end = ((number + 1) * sector).min(length);
        if left.len() < end {
            holes.push(left.len()..end);
            left.resize(end, 0);
        }
        left.truncate(end);
    }
    left.resize(length, 0);
    if !holes.is_empty() {
        fill(&mut left, old, &holes, choose(3));
    }
    left
}

/// What stands where nothing was written: zeros, noise, or an old piece of the same file.
fn fill(content: &mut [u8], old: &[u8], holes: &[std::ops::Range<usize>], with: usize) {
    for at in holes.iter().cloned().flatten() {
        content[at] = match with {
            0 => 0,
            1 => 0xa5,
            _ => old.get(at % old.len().max(1)).copied().unwrap_or(0x5a),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_combinations_come_up_once_also_when_later_questions_depend_on_earlier_answers() {
        let mut chances = Chances::exhaustive();
        let mut found = Vec::new();
        loop {
            let first = chances.choose(3);
            let second = if first == 1 { chances.choose(2) } else { 9 };
            found.push((first, second));
            if !chances.turn() {
                break;
            }
        }
        assert_eq!(found, [(0, 9), (1, 0), (1, 1), (2, 9)]);
    }

    fn all(old: &[u8], changes: &[Change]) -> BTreeSet<Vec<u8>> {
        let (mut chances, mut states) = (Chances::exhaustive(), BTreeSet::new());
        loop {
            states.insert(torn(old, changes, 2, &mut |possibilities| chances.choose(possibilities)));
            if !chances.turn() {
                return states;
            }
        }
    }

    #[test]
    fn two_sectors_of_one_write_are_kept_or_lost_each_on_its_own() {
        let states = all(b"abcd", &[Change::Write { offset: 0, bytes: b"ABCD"[..].into() }]);
        assert_eq!(states, BTreeSet::from([*b"abcd", *b"ABcd", *b"abCD", *b"ABCD"].map(Vec::from)));
    }

    #[test]
    fn an_appended_sector_is_absent_zeros_noise_or_there() {
        let states = all(b"ab", &[Change::Write { offset: 2, bytes: b"CD"[..].into() }]);
        assert_eq!(
            states,
            BTreeSet::from([&b"ab"[..], b"ab\0\0", b"ab\xa5\xa5", b"abab", b"abCD"].map(Vec::from))
        );
    }

    #[test]
    fn a_cut_has_happened_or_not_whatever_became_of_what_was_written_behind_it() {
        let changes = [Change::Truncate(1), Change::Write { offset: 1, bytes: b"X"[..].into() }];
        let states = all(b"abc", &changes);
        for wanted in [&b"abc"[..], b"aXc", b"a", b"aX", b"a\0"] {
            assert!(states.contains(wanted), "{wanted:?} in {states:?}");
        }
    }
}
