//! Which messages of a maildrop are which messages of the archive.
//!
//! A listing gives each message a number, which holds for one session, and mostly a UIDL, which
//! should hold for ever. UIDLs break in two ways: one stands for two messages at a time, or stands for
//! another message than it did (RFC 1939 §7 allows the first). So a UIDL is believed where it is alone
//! on both sides and the octets that the server counts are those that it counted before, or those
//! that the archive has. Everything else is told by its content.
//!
//! Pure: values in, values out.

use std::collections::HashMap;
use std::hash::Hash;

use message::{BlobName, Uid, UidSet, Uidl};

/// A message as the server lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed<N> {
    pub(super) number: N,
    /// Its UIDL, where the server has one that can be used.
    pub(super) uidl: Option<Uidl>,
    /// Its octets by LIST; `None` while LIST was not asked for, or does not name it.
    pub(super) octets: Option<u64>,
}

/// A message to which the archive gave a UID.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) uid: Uid,
    pub(super) uidl: Option<Uidl>,
    /// What the server counted when the UID was given.
    pub(super) octets: u64,
    pub(super) state: State,
}

/// What the archive has of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Nothing yet.
    Named,
    /// It is believed to be on the server; so many octets lie here.
    Live(u64),
    /// It was on the server once; so many octets lie here.
    Ended(u64),
}

impl Known {
    /// How many octets of it are here.
    pub(super) fn octets_here(&self) -> Option<u64> {
        match self.state {
            State::Named => None,
            State::Live(size) | State::Ended(size) => Some(size),
        }
    }

    /// Whether a count of the server speaks for this message. Counts change when servers begin to count
    /// the line ends; then it is the archive's own count that they come to.
    fn agrees(&self, octets: Option<u64>) -> bool {
        octets.is_none_or(|told| told == self.octets || Some(told) == self.octets_here())
    }
}

/// Where the listed messages belong. Each is in exactly one of the lists, which keep the order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Pairing<N> {
    /// Under this UID, which is live or still waits for its message.
    pub(super) paired: Vec<(N, Uid)>,
    /// Under this UID once; it was gone since.
    pub(super) returning: Vec<(N, Uid)>,
    /// Not seen before, or another message under a UIDL that was seen before.
    pub(super) fresh: Vec<N>,
    /// Without a UIDL of its own: only the content can tell.
    pub(super) nameless: Vec<N>,
}

impl<N> Pairing<N> {
    /// Whether the UIDLs alone do not tell everything.
    pub(super) fn leaves_questions(&self) -> bool {
        !(self.returning.is_empty() && self.fresh.is_empty() && self.nameless.is_empty())
    }
}

/// Pairs what is listed with what is known, which ascends by UID.
pub(super) fn pair<N: Copy>(listed: &[Listed<N>], known: &[Known]) -> Pairing<N> {
    let mut times: HashMap<&Uidl, u32> = HashMap::new();
    for uidl in listed.iter().filter_map(|message| message.uidl.as_ref()) {
        *times.entry(uidl).or_default() += 1;
    }
    let mut by_uidl: HashMap<&Uidl, Vec<&Known>> = HashMap::new();
    for message in known {
        if let Some(uidl) = &message.uidl {
            by_uidl.entry(uidl).or_default().push(message);
        }
    }
    let mut pairing =
        Pairing { paired: Vec::new(), returning: Vec::new(), fresh: Vec::new(), nameless: Vec::new() };
    for message in listed {
        let alone = message.uidl.as_ref().filter(|uidl| times.get(uidl) == Some(&1));
        let Some(uidl) = alone else {
            pairing.nameless.push(message.number);
            continue;
        };
        let of_this_name = by_uidl.get(uidl).map(Vec::as_slice).unwrap_or_default();
        let is_live = |known: &&&Known| matches!(known.state, State::Live(_));
        if of_this_name.iter().filter(is_live).count() > 1 {
            pairing.nameless.push(message.number);
            continue;
        }
        let newest = of_this_name.iter().rev();
        let present =
            newest.clone().find(is_live).or_else(|| newest.clone().find(|k| k.state == State::Named));
        match present.or_else(|| newest.clone().next()) {
            Some(known) if !known.agrees(message.octets) => pairing.fresh.push(message.number),
            Some(known) if matches!(known.state, State::Ended(_)) => {
                pairing.returning.push((message.number, known.uid));
            }
            Some(known) => pairing.paired.push((message.number, known.uid)),
            None => pairing.fresh.push(message.number),
        }
    }
    pairing
}

/// What is known of a message without a name, on either side: octets and header block.
pub(super) type Clue = (u64, BlobName);

/// Pairs messages without a UIDL of their own with those of the pool of which the same is known. Of several
/// that agree each is paired once, in order.
pub(super) fn pair_by_clue<N: Copy, C: Eq + Hash>(listed: &[(N, C)], pool: &[(Uid, C)]) -> Vec<(N, Uid)> {
    let mut uids = grouped(pool.iter().map(|(uid, clue)| (clue, *uid)));
    let pairs = listed.iter().filter_map(|(number, clue)| Some((*number, uids.get_mut(clue)?.next()?)));
    pairs.collect()
}

fn grouped<K: Eq + Hash, V>(pairs: impl Iterator<Item = (K, V)>) -> HashMap<K, std::vec::IntoIter<V>> {
    let mut groups: HashMap<K, Vec<V>> = HashMap::new();
    pairs.for_each(|(key, value)| groups.entry(key).or_default().push(value));
    groups.into_iter().map(|(key, values)| (key, values.into_iter())).collect()
}

/// The UIDs of pairs.
pub(super) fn uids_of<N>(pairs: &[(N, Uid)]) -> UidSet {
    pairs.iter().map(|&(_, uid)| uid).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uid(number: u32) -> Uid {
        Uid::new(number).expect("not 0")
    }

    fn listed(number: u32, uidl: &str, octets: u64) -> Listed<u32> {
        Listed { number, uidl: Uidl::new(uidl.as_bytes()), octets: Some(octets) }
    }

    fn known(number: u32, uidl: &str, octets: u64, state: State) -> Known {
        Known { uid: uid(number), uidl: Uidl::new(uidl.as_bytes()), octets, state }
    }

    #[test]
    fn p05_a_message_is_known_by_its_uidl_whatever_its_number() {
        let archive = [
            known(1, "a", 10, State::Live(10)),
            known(2, "b", 20, State::Named),
            known(3, "c", 30, State::Ended(30)),
        ];
        let listing = [listed(1, "b", 20), listed(2, "c", 30), listed(3, "new", 5), listed(4, "a", 10)];
        let pairing = pair(&listing, &archive);
        assert_eq!(pairing.paired, [(1, uid(2)), (4, uid(1))]);
        assert_eq!(pairing.returning, [(2, uid(3))]);
        assert_eq!((pairing.fresh, pairing.nameless), (vec![3], vec![]));
    }

    #[test]
    fn p04_other_octets_under_a_known_uidl_are_another_message() {
        let archive = [known(1, "a", 10, State::Live(12)), known(2, "b", 20, State::Ended(20))];
        assert_eq!(pair(&[listed(1, "a", 11), listed(2, "b", 21)], &archive).fresh, [1, 2]);
        let counts_line_ends_now = pair(&[listed(1, "a", 12)], &archive);
        assert_eq!(counts_line_ends_now.paired, [(1, uid(1))]);
        let not_told = Listed { octets: None, ..listed(1, "a", 0) };
        assert_eq!(pair(&[not_told], &archive).paired, [(1, uid(1))]);
    }

    #[test]
    fn p04_the_newest_message_under_a_recycled_uidl_counts() {
        let archive = [known(1, "a", 10, State::Ended(10)), known(7, "a", 99, State::Live(99))];
        assert_eq!(pair(&[listed(1, "a", 99)], &archive).paired, [(1, uid(7))]);
        assert_eq!(pair(&[listed(1, "a", 10)], &archive).fresh, [1]);
    }

    #[test]
    fn p02_a_uidl_that_stands_for_two_messages_on_either_side_names_none() {
        let archive = [known(1, "a", 10, State::Live(10))];
        let two_listed = pair(&[listed(1, "a", 10), listed(2, "a", 10), listed(3, "", 4)], &archive);
        assert_eq!(two_listed.nameless, [1, 2, 3]);
        let two_known = [known(1, "a", 10, State::Live(10)), known(2, "a", 10, State::Live(10))];
        assert_eq!(pair(&[listed(1, "a", 10)], &two_known).nameless, [1]);
    }

    #[test]
    fn p01_without_uidls_octets_and_header_pair_each_message_once() {
        let clue = |octets, header: &str| (octets, BlobName::of(header.as_bytes()));
        let pool = [(uid(1), clue(10, "h")), (uid(2), clue(10, "h")), (uid(3), clue(11, "h"))];
        let listing = [
            (1, clue(10, "h")),
            (2, clue(11, "h")),
            (3, clue(10, "h")),
            (4, clue(10, "h")),
            (5, clue(10, "g")),
        ];
        assert_eq!(pair_by_clue(&listing, &pool), [(1, uid(1)), (2, uid(3)), (3, uid(2))]);
    }

    proptest! {
        #[test]
        fn every_message_belongs_somewhere_and_no_uid_to_two(
            names in prop::collection::vec((0u8..6, 0u64..3), 0..12),
            archive in prop::collection::vec((0u8..6, 0u64..3, 0u8..3), 0..12),
        ) {
            let name = |letter: u8| if letter == 0 { String::new() } else { letter.to_string() };
            let listing: Vec<_> =
                names.iter().zip(1..).map(|(&(letter, octets), n)| listed(n, &name(letter), octets)).collect();
            let state = |kind, size| [State::Named, State::Live(size), State::Ended(size)][usize::from(kind)];
            let archive: Vec<_> = archive.iter().zip(1..)
                .map(|(&(letter, octets, kind), n)| known(n, &name(letter), octets, state(kind, octets)))
                .collect();
            let pairing = pair(&listing, &archive);
            let uids: Vec<Uid> = pairing.paired.iter().chain(&pairing.returning).map(|&(_, uid)| uid).collect();
            prop_assert_eq!(uids.iter().copied().collect::<UidSet>().len(), uids.len() as u64);
            let mut numbers: Vec<u32> = pairing.paired.iter().chain(&pairing.returning).map(|&(n, _)| n).collect();
            numbers.extend(pairing.fresh.iter().chain(&pairing.nameless));
            numbers.sort_unstable();
            prop_assert_eq!(numbers, (1..).take(listing.len()).collect::<Vec<u32>>());
        }
    }
}
