//! Which messages a drill gives back: a sample, or everything in parts. Pure: from what the folders
//! hold, a size and a seed.
//!
//! A sample has the newest and the oldest messages of each folder, for that is where a backup that went
//! wrong shows it (the last runs, and what was written by old versions), and as many of the others, by
//! chance, as the size allows. The same seed chooses the same as long as the archive holds the same.

use std::collections::BTreeMap;

use message::{Uid, UidSet};
use server::sample::Random;

/// So many messages of each end of a folder come before chance.
const ENDS: usize = 10;

/// What a folder holds, in the order of arrival.
pub(super) type Folder = Vec<Held>;

/// A message that could be chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) uid: Uid,
    pub(super) bytes: u64,
}

/// What is given back at a time: of each folder, by its place among the folders, these UIDs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) only: BTreeMap<usize, UidSet>,
    pub(super) messages: u64,
    pub(super) bytes: u64,
}

impl Part {
    fn take(&mut self, folder: usize, held: Held) {
        self.only.entry(folder).or_default().insert(held.uid);
        self.messages += 1;
        self.bytes += held.bytes;
    }
}

/// Of each folder what is in a sample of at most so many bytes; of mail there is at least one message in
/// it.
pub(super) fn sample(folders: &[Folder], budget: u64, seed: u64) -> Vec<Folder> {
    let mut chosen: Vec<Folder> = vec![Folder::new(); folders.len()];
    let mut left = budget;
    let mut take = |folder: usize, held: Held| {
        if let Some(less) = left.checked_sub(held.bytes) {
            left = less;
            chosen[folder].push(held);
        }
    };
    // One of each folder after the other, so that a small sample has something of all.
    for nth in 0..ENDS {
        for (folder, messages) in folders.iter().enumerate() {
            let newest = messages.len().checked_sub(nth + 1).filter(|&newest| newest > nth);
            newest.into_iter().for_each(|at| take(folder, messages[at]));
        }
        for (folder, messages) in folders.iter().enumerate() {
            // Where both ends meet, the one in the middle is an oldest.
            if nth * 2 < messages.len() {
                take(folder, messages[nth]);
            }
        }
    }
    let mut others: Vec<(usize, Held)> = folders.iter().enumerate().flat_map(between_the_ends).collect();
    let mut random = Random::new(seed);
    for end in (1..=others.len()).rev() {
        let (folder, held) = others.swap_remove(random.below(end));
        take(folder, held);
    }
    if chosen.iter().all(Vec::is_empty) {
        let all = folders
            .iter()
            .enumerate()
            .flat_map(|(folder, messages)| messages.iter().map(move |&held| (folder, held)));
        if let Some((folder, smallest)) = all.min_by_key(|(_, held)| held.bytes) {
            chosen[folder].push(smallest);
        }
    }
    chosen
}

fn between_the_ends((folder, messages): (usize, &Folder)) -> impl Iterator<Item = (usize, Held)> {
    let inner = messages.len().saturating_sub(2 * ENDS);
    messages.iter().skip(ENDS).take(inner).map(move |&held| (folder, held))
}

/// Everything, in parts of at most so many bytes; a message that is larger is a part of its own.
pub(super) fn parts(folders: &[Folder], budget: u64) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut part = Part::default();
    for (folder, messages) in folders.iter().enumerate() {
        for &held in messages {
            if part.messages > 0 && part.bytes.saturating_add(held.bytes) > budget {
                parts.push(std::mem::take(&mut part));
            }
            part.take(folder, held);
        }
    }
    if part.messages > 0 {
        parts.push(part);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(sizes: impl IntoIterator<Item = u64>) -> Folder {
        let held = |(bytes, uid)| Some(Held { uid: Uid::new(uid)?, bytes });
        sizes.into_iter().zip(1..).filter_map(held).collect()
    }

    fn uids(messages: &[Held]) -> Vec<u32> {
        let mut uids: Vec<u32> = messages.iter().map(|held| held.uid.get()).collect();
        uids.sort_unstable();
        uids
    }

    #[test]
    fn a_sample_has_both_ends_of_each_folder_and_chance_in_between() {
        let folders = [folder(vec![10; 1_000]), folder(vec![10; 7]), folder([])];
        let chosen = sample(&folders, 2_000, 1);
        assert_eq!(chosen.iter().map(Vec::len).sum::<usize>(), 200);
        let first = uids(&chosen[0]);
        assert!((1..=10).chain(991..=1_000).all(|uid| first.contains(&uid)), "{first:?}");
        assert!(first.windows(2).all(|pair| pair[0] < pair[1]), "each once: {first:?}");
        assert_eq!(uids(&chosen[1]), [1, 2, 3, 4, 5, 6, 7], "each once");
        assert_ne!(first, uids(&sample(&folders, 2_000, 2)[0]), "another seed chooses others");
        assert_eq!(first, uids(&sample(&folders, 2_000, 1)[0]), "the same seed chooses the same");
    }

    #[test]
    fn a_small_sample_has_the_newest_of_each_folder_first() {
        let folders = [folder(vec![10; 50]), folder(vec![10; 50])];
        let chosen = sample(&folders, 30, 1);
        assert_eq!((uids(&chosen[0]), uids(&chosen[1])), (vec![1, 50], vec![50]));
    }

    #[test]
    fn a_sample_is_never_empty_where_there_is_mail_and_never_more_than_all() {
        let folders = [folder([900, 500, 700])];
        assert_eq!(uids(&sample(&folders, 10, 1)[0]), [2], "the smallest");
        assert_eq!(uids(&sample(&folders, u64::MAX, 1)[0]), [1, 2, 3]);
        assert!(sample(&[folder([])], 10, 1)[0].is_empty());
        for messages in 0..60 {
            let chosen = uids(&sample(&[folder(vec![1; messages])], u64::MAX, 3)[0]);
            assert_eq!(chosen, (1..).take(messages).collect::<Vec<u32>>());
        }
    }

    #[test]
    fn parts_have_everything_once_and_are_no_larger_than_asked() {
        let folders = [folder([5, 5, 5, 5]), folder([100, 1, 1])];
        let parts = parts(&folders, 12);
        let sizes: Vec<u64> = parts.iter().map(|part| part.bytes).collect();
        assert_eq!(sizes, [10, 10, 100, 2]);
        for (number, messages) in folders.iter().enumerate() {
            let sets = parts.iter().filter_map(|part| part.only.get(&number));
            let all: Vec<u32> = sets.flat_map(|set| set.iter().map(Uid::get)).collect();
            assert_eq!(all, uids(messages));
        }
        assert!(super::parts(&[folder([])], 12).is_empty());
    }
}
