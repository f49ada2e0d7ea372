//! A set of UIDs, kept as ranges.
//!
//! A mailbox of a million messages is usually a handful of ranges, so sets of any mailbox stay
//! small, and the arithmetic that the planner does (server less archive) costs by range, not by
//! message. The text form is the `sequence-set` of RFC 9051 §9, without `*`.

use std::fmt;
use std::ops::RangeInclusive;

use crate::Uid;

/// UIDs in ascending, disjoint, non-adjacent ranges.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { ranges: Vec::new() }
    }

    /// How many UIDs are in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.ranges.iter().map(|&(first, last)| u64::from(last - first) + 1).sum()
    }

    /// Whether the set holds no UID.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The lowest UID.
    #[must_use]
    pub fn first(&self) -> Option<Uid> {
        self.ranges.first().and_then(|&(first, _)| Uid::new(first))
    }

    /// The highest UID.
    #[must_use]
    pub fn last(&self) -> Option<Uid> {
        self.ranges.last().and_then(|&(_, last)| Uid::new(last))
    }

    /// Whether `uid` is in the set.
    #[must_use]
    pub fn contains(&self, uid: Uid) -> bool {
        let uid = uid.get();
        let after = self.ranges.partition_point(|&(first, _)| first <= uid);
        after > 0 && self.ranges[after - 1].1 >= uid
    }

    /// Adds one UID. Cheap at the end of the set, where UIDs arrive.
    pub fn insert(&mut self, uid: Uid) {
        self.insert_range(uid..=uid);
    }

    /// Adds all UIDs of a range; an empty range adds nothing.
    pub fn insert_range(&mut self, range: RangeInclusive<Uid>) {
        let (mut first, mut last) = (range.start().get(), range.end().get());
        if first > last {
            return;
        }
        // All ranges that touch or adjoin the new one are swallowed by it.
        let from = self.ranges.partition_point(|&(_, end)| end.saturating_add(1) < first);
        let to = self.ranges.partition_point(|&(start, _)| start <= last.saturating_add(1));
        if from < to {
            first = first.min(self.ranges[from].0);
            last = last.max(self.ranges[to - 1].1);
        }
        self.ranges.splice(from..to, [(first, last)]);
    }

    /// The UIDs in `self` that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        let mut cuts = other.ranges.iter().copied().peekable();
        for &(mut first, last) in &self.ranges {
            let mut rest = true;
            while let Some(&(cut_first, cut_last)) = cuts.peek() {
                if cut_last < first {
                    cuts.next();
                } else if cut_first > last {
                    break;
                } else {
                    if cut_first > first {
                        left.push((first, cut_first - 1));
                    }
                    if cut_last >= last {
                        rest = false;
                        break;
                    }
                    first = cut_last + 1;
                    cuts.next();
                }
            }
            if rest {
                left.push((first, last));
            }
        }
        Self { ranges: left }
    }

    /// The UIDs in both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        self.difference(&self.difference(other))
    }

    /// Adds every UID of `other`.
    pub fn extend_from(&mut self, other: &Self) {
        for range in other.ranges() {
            self.insert_range(range);
        }
    }

    /// The ranges, ascending.
    pub fn ranges(&self) -> impl DoubleEndedIterator<Item = RangeInclusive<Uid>> + '_ {
        self.ranges.iter().filter_map(|&(first, last)| Some(Uid::new(first)?..=Uid::new(last)?))
    }

    /// Every UID, ascending.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Uid> + '_ {
        self.ranges.iter().flat_map(|&(first, last)| first..=last).filter_map(Uid::new)
    }

    /// Reads a `sequence-set` of numbers and ranges (either end first, as RFC 9051 allows).
    ///
    /// # Errors
    /// When the text is anything else: `*`, 0, a sign, a blank, an empty item.
    pub fn parse(text: &str) -> Result<Self, InvalidUidSet> {
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            plain.then(|| digits.parse().ok().and_then(Uid::new)).flatten().ok_or(InvalidUidSet)
        };
        let mut set = Self::new();
        for item in text.split(',') {
            let (a, b) = item.split_once(':').unwrap_or((item, item));
            let (a, b) = (number(a)?, number(b)?);
            set.insert_range(a.min(b)..=a.max(b));
        }
        Ok(set)
    }

    /// Cuts the set into sets whose text is at most `max_text` bytes long (but each holds at least
    /// one range), for servers that refuse long command lines.
    #[must_use]
    pub fn chunks(&self, max_text: usize) -> Vec<Self> {
        let mut chunks: Vec<Self> = Vec::new();
        let mut text = usize::MAX;
        for &(first, last) in &self.ranges {
            let cost = first.to_string().len() + last.to_string().len() + 2;
            match chunks.last_mut() {
                Some(chunk) if text.saturating_add(cost) <= max_text => {
                    chunk.ranges.push((first, last));
                    text += cost;
                }
                _ => {
                    chunks.push(Self { ranges: vec![(first, last)] });
                    text = cost;
                }
            }
        }
        chunks
    }
}

impl FromIterator<Uid> for UidSet {
    fn from_iter<I: IntoIterator<Item = Uid>>(uids: I) -> Self {
        let mut set = Self::new();
        uids.into_iter().for_each(|uid| set.insert(uid));
        set
    }
}

impl fmt::Display for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, &(first, last)) in self.ranges.iter().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}:{last}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for UidSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UidSet({self})")
    }
}

/// The text is not a set of UIDs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a set of UIDs")]
pub struct InvalidUidSet;

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn set(numbers: &BTreeSet<u32>) -> UidSet {
        numbers.iter().copied().filter_map(Uid::new).collect()
    }

    proptest! {
        #[test]
        fn a_uid_set_is_a_set(a in prop::collection::btree_set(1u32..60, 0..40),
                              b in prop::collection::btree_set(1u32..60, 0..40)) {
            let (x, y) = (set(&a), set(&b));
            prop_assert_eq!(x.len(), a.len() as u64);
            prop_assert!(x.iter().map(Uid::get).eq(a.iter().copied()));
            prop_assert_eq!(x.difference(&y), set(&a.difference(&b).copied().collect()));
            prop_assert_eq!(x.intersection(&y), set(&a.intersection(&b).copied().collect()));
            let mut both = x.clone();
            both.extend_from(&y);
            prop_assert_eq!(both, set(&a.union(&b).copied().collect()));
            for n in 1..60 {
                let uid = Uid::new(n).expect("from 1");
                prop_assert_eq!(x.contains(uid), a.contains(&n));
            }
            if !a.is_empty() {
                prop_assert_eq!(UidSet::parse(&x.to_string()), Ok(x.clone()));
            }
            let mut joined = UidSet::new();
            for chunk in x.chunks(10) {
                prop_assert!(chunk.to_string().len() <= 10);
                joined.extend_from(&chunk);
            }
            prop_assert_eq!(joined, x);
        }
    }

    #[test]
    fn the_whole_range_of_uids_fits() {
        let mut all = UidSet::new();
        all.insert_range(Uid::MIN..=Uid::MAX);
        all.insert(Uid::MAX);
        assert_eq!(all.len(), u64::from(u32::MAX));
        assert_eq!(all.to_string(), "1:4294967295");
    }

    #[test]
    fn hostile_sets_are_refused() {
        for text in ["", "*", "1:*", "0", "0:5", "1,", ",1", "+1", " 1", "1:2:3", "4294967296", "-1"] {
            assert_eq!(UidSet::parse(text), Err(InvalidUidSet), "{text:?}");
        }
        assert_eq!(UidSet::parse("5:3,9").map(|set| set.to_string()), Ok("3:5,9".into()));
    }
}
