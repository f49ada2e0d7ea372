//! Which message on the target is which message of ours: pure.
//!
//! Both sides are multisets: two equal messages that lay in a folder are two, and each message of the
//! target stands for one of ours at most. Content is told by as little as is enough:
//!
//! * the same size, header block (by its BLAKE3) and received date, where that fits one message of ours
//!   only; the date may be any where we have put the message there ourselves;
//! * the bytes, where only two of the three agree, or where messages of ours share size and header block
//!   but not their bytes. Who encrypts mail in place may keep its size and its header;
//! * for what a server has changed, [`likeness`](super::likeness), which is asked elsewhere.
//!
//! Among equals, those with the same date and flags are paired first.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use message::{BlobName, Flags, MessageKey, Uid};

use super::wanted::{Header, Wanted};

/// A message on the target.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) uid: Uid,
    pub(super) size: u64,
    /// Seconds since 1970; `None` when the server says none that can be read.
    pub(super) date: Option<i64>,
    pub(super) flags: Arc<Flags>,
    pub(super) content: Content,
    /// The server has given this UID to a message that we have just sent.
    pub(super) is_given: bool,
}

/// What is known of a seen message's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Unknown,
    Header(BlobName),
    Bytes(MessageKey),
}

/// How a pair was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum How {
    Header,
    Bytes,
    /// The server has changed it; what it has done to it.
    ButFor(String),
}

/// A message of ours found on the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pair {
    /// Its place among the seen.
    pub(super) seen: usize,
    pub(super) how: How,
}

/// The pairs that were found.
#[derive(Debug)]
pub(super) struct Pairing {
    /// For each wanted message, in their order.
    pub(super) pairs: Vec<Option<Pair>>,
    /// Seen messages whose bytes must be known before they can be paired.
    pub(super) doubtful: Vec<usize>,
}

impl Pairing {
    /// Which of the seen have a partner.
    pub(super) fn taken(&self) -> HashSet<usize> {
        self.pairs.iter().flatten().map(|pair| pair.seen).collect()
    }
}

/// The seen messages that could be one of ours, by their size.
pub(super) fn of_known_size(wanted: &[Wanted], seen: &[Seen]) -> Vec<usize> {
    let sizes: HashSet<u64> = wanted.iter().map(|wanted| wanted.size).collect();
    (0..seen.len()).filter(|&index| sizes.contains(&seen[index].size)).collect()
}

/// Pairs what can be paired with what is known.
pub(super) fn pair(wanted: &[Wanted], seen: &[Seen]) -> Pairing {
    let mut work = Work { wanted, seen, pairs: vec![None; wanted.len()], taken: vec![false; seen.len()] };
    let by_bytes = |seen: &Seen| match seen.content {
        Content::Bytes(key) => Some(key),
        _ => None,
    };
    work.join(|wanted| Some(wanted.key), by_bytes, &How::Bytes);
    let ambiguous = ambiguous_headers(wanted);
    let unambiguous = |size: u64, header: BlobName| {
        let known = (size, header);
        (!ambiguous.contains(&known)).then_some(known)
    };
    let ours = |wanted: &Wanted| match wanted.header {
        Header::Named(name) => unambiguous(wanted.size, name),
        Header::NotAsked | Header::None => None,
    };
    let theirs = |seen: &Seen| match seen.content {
        Content::Header(name) => unambiguous(seen.size, name),
        _ => None,
    };
    let ours_dated = |wanted: &Wanted| Some((ours(wanted)?, wanted.date?.unix));
    work.join(ours_dated, |seen| Some((theirs(seen)?, seen.date?)), &How::Header);
    work.join(ours, |seen| theirs(seen).filter(|_| seen.is_given), &How::Header);
    let doubtful = work.doubtful(&ambiguous);
    Pairing { pairs: work.pairs, doubtful }
}

/// Header blocks that messages of one size and different bytes have.
fn ambiguous_headers(wanted: &[Wanted]) -> HashSet<(u64, BlobName)> {
    let mut first: HashMap<(u64, BlobName), MessageKey> = HashMap::new();
    let mut ambiguous = HashSet::new();
    for wanted in wanted {
        if let Header::Named(name) = wanted.header
            && *first.entry((wanted.size, name)).or_insert(wanted.key) != wanted.key
        {
            ambiguous.insert((wanted.size, name));
        }
    }
    ambiguous
}

struct Work<'a> {
    wanted: &'a [Wanted],
    seen: &'a [Seen],
    pairs: Vec<Option<Pair>>,
    taken: Vec<bool>,
}

impl Work<'_> {
    /// Pairs those of both sides that have the same name, the most alike first.
    fn join<N: Copy + Eq + Hash>(
        &mut self,
        ours: impl Fn(&Wanted) -> Option<N>,
        theirs: impl Fn(&Seen) -> Option<N>,
        how: &How,
    ) {
        let (wanted, seen) = (self.wanted, self.seen);
        let date = |index: usize| wanted[index].date.map(|date| date.unix);
        let all = |index: usize| Some((ours(&wanted[index])?, date(index), &*wanted[index].flags));
        let all_seen = |index: usize| Some((theirs(&seen[index])?, seen[index].date, &*seen[index].flags));
        self.join_by(all, all_seen, how);
        let dated = |index: usize| Some((ours(&wanted[index])?, date(index)));
        self.join_by(dated, |index| Some((theirs(&seen[index])?, seen[index].date)), how);
        self.join_by(|index| ours(&wanted[index]), |index| theirs(&seen[index]), how);
    }

    fn join_by<N: Eq + Hash>(
        &mut self,
        ours: impl Fn(usize) -> Option<N>,
        theirs: impl Fn(usize) -> Option<N>,
        how: &How,
    ) {
        let mut free: HashMap<N, VecDeque<usize>> = HashMap::new();
        for index in (0..self.seen.len()).filter(|&index| !self.taken[index]) {
            if let Some(name) = theirs(index) {
                free.entry(name).or_default().push_back(index);
            }
        }
        if free.is_empty() {
            return;
        }
        for index in 0..self.wanted.len() {
            if self.pairs[index].is_none()
                && let Some(name) = ours(index)
                && let Some(seen) = free.get_mut(&name).and_then(VecDeque::pop_front)
            {
                self.taken[seen] = true;
                self.pairs[index] = Some(Pair { seen, how: how.clone() });
            }
        }
    }

    /// The seen whose bytes would tell more.
    fn doubtful(&self, ambiguous: &HashSet<(u64, BlobName)>) -> Vec<usize> {
        let (mut dates, mut headers) = (HashSet::new(), HashSet::new());
        for (wanted, _) in self.wanted.iter().zip(&self.pairs).filter(|(_, pair)| pair.is_none()) {
            dates.insert((wanted.size, wanted.date.map(|date| date.unix)));
            if let Header::Named(name) = wanted.header {
                headers.insert((wanted.size, name));
            }
        }
        let is_doubtful = |index: &usize| {
            let seen = &self.seen[*index];
            let has_date = || dates.contains(&(seen.size, seen.date));
            !self.taken[*index]
                && match seen.content {
                    Content::Bytes(_) => false,
                    Content::Header(name) => {
                        let known = (seen.size, name);
                        ambiguous.contains(&known) || headers.contains(&known) || has_date()
                    }
                    Content::Unknown => has_date(),
                }
        };
        (0..self.seen.len()).filter(is_doubtful).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::wanted::Moment;
    use super::*;

    fn wanted(key: u8, size: u64, header: Option<u8>, date: i64) -> Wanted {
        Wanted {
            uid: Uid::new(1).expect("not 0"),
            key: MessageKey::of(&[key]),
            size,
            date: Some(Moment { unix: date, offset_minutes: 0 }),
            flags: Arc::new(Flags::new()),
            header: header.map_or(Header::None, |header| Header::Named(BlobName::of(&[header]))),
            lost: false,
        }
    }

    fn seen(size: u64, content: Content, date: i64) -> Seen {
        let uid = Uid::new(1).expect("not 0");
        Seen { uid, size, date: Some(date), flags: Arc::new(Flags::new()), content, is_given: false }
    }

    fn header(header: u8) -> Content {
        Content::Header(BlobName::of(&[header]))
    }

    fn bytes(key: u8) -> Content {
        Content::Bytes(MessageKey::of(&[key]))
    }

    fn partners(pairing: &Pairing) -> Vec<Option<usize>> {
        pairing.pairs.iter().map(|pair| pair.as_ref().map(|pair| pair.seen)).collect()
    }

    #[test]
    fn r10_equal_messages_are_counted_not_merged() {
        let ours = [wanted(1, 10, Some(1), 5), wanted(1, 10, Some(1), 5), wanted(2, 20, Some(2), 5)];
        let one = pair(&ours, &[seen(10, header(1), 5)]);
        assert_eq!(partners(&one), [Some(0), None, None]);
        let both = pair(&ours, &[seen(10, header(1), 5), seen(10, header(1), 5), seen(10, header(1), 5)]);
        assert_eq!(partners(&both), [Some(0), Some(1), None], "the third is none of ours");
    }

    #[test]
    fn among_equals_the_same_date_and_flags_go_together() {
        let flagged = |mut wanted: Wanted| {
            wanted.flags = Arc::new(Flags::parse("\\Seen"));
            wanted
        };
        let ours = [wanted(1, 10, Some(1), 1), wanted(1, 10, Some(1), 2), flagged(wanted(1, 10, Some(1), 1))];
        let mut read = seen(10, header(1), 1);
        read.flags = Arc::new(Flags::parse("\\Seen"));
        let found = pair(&ours, &[read, seen(10, header(1), 2), seen(10, header(1), 1)]);
        assert_eq!(partners(&found), [Some(2), Some(1), Some(0)]);
    }

    #[test]
    fn what_shares_size_and_header_is_told_apart_by_its_bytes() {
        let ours = [wanted(1, 10, Some(1), 5), wanted(2, 10, Some(1), 5)];
        let first = pair(&ours, &[seen(10, header(1), 5)]);
        assert_eq!((partners(&first), first.doubtful), (vec![None, None], vec![0]));
        let then = pair(&ours, &[seen(10, bytes(2), 5)]);
        assert_eq!((partners(&then), then.doubtful), (vec![None, Some(0)], vec![]));
    }

    #[test]
    fn l03_what_has_our_size_and_header_and_another_date_is_compared_by_bytes() {
        let ours = [wanted(1, 10, Some(1), 5)];
        let later = pair(&ours, &[seen(10, header(1), 6)]);
        assert_eq!((partners(&later), later.doubtful), (vec![None], vec![0]));
        let given = Seen { is_given: true, ..seen(10, header(1), 6) };
        assert_eq!(partners(&pair(&ours, &[given])), [Some(0)], "a server that ignores dates");
    }

    #[test]
    fn a_header_that_cannot_be_named_is_compared_by_bytes_where_size_and_date_agree() {
        let ours = [wanted(1, 10, None, 5)];
        assert_eq!(pair(&ours, &[seen(10, header(9), 5)]).doubtful, [0]);
        assert_eq!(pair(&ours, &[seen(10, header(9), 6)]).doubtful, [0usize; 0]);
        assert_eq!(pair(&ours, &[seen(11, header(9), 5)]).doubtful, [0usize; 0]);
    }

    proptest! {
        /// A seen message stands for one of ours at most, with the same content; and with all bytes
        /// known as many are paired as the multisets have in common.
        #[test]
        fn pairs_are_a_matching_of_multisets(
            ours in prop::collection::vec((0u8..4, 0i64..3), 0..12),
            theirs in prop::collection::vec((0u8..4, 0i64..3), 0..12),
        ) {
            let wanted: Vec<Wanted> =
                ours.iter().map(|&(key, date)| wanted(key, u64::from(key), Some(key), date)).collect();
            let seen: Vec<Seen> =
                theirs.iter().map(|&(key, date)| seen(u64::from(key), bytes(key), date)).collect();
            let found = pair(&wanted, &seen);
            let partners: Vec<usize> = found.pairs.iter().flatten().map(|pair| pair.seen).collect();
            prop_assert_eq!(found.taken().len(), partners.len());
            for (own, pair) in ours.iter().zip(&found.pairs) {
                prop_assert!(pair.as_ref().is_none_or(|pair| theirs[pair.seen].0 == own.0));
            }
            let count = |side: &[(u8, i64)], key: u8| side.iter().filter(|message| message.0 == key).count();
            let common: usize = (0..4).map(|key| count(&ours, key).min(count(&theirs, key))).sum();
            prop_assert_eq!(partners.len(), common);
        }
    }
}
