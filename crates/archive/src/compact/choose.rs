//! Which packs are worth making into one. Pure.
//!
//! A pack that a pull has written is *rough*: it is compressed in a hurry, and daily runs have left small
//! blocks in it. To make it anew pays once. What has been compacted is touched again only when its pack at
//! least doubles by it; so over the years each byte is written as often as its pack can double, about eight
//! times from a megabyte to the full size, and the packs stay few.
//!
//! What was compacted and became no smaller by it (mail that is nothing but noise: a high level even loses a
//! little there) is left as it is, and counts as if it had been made into one pack with all that it was tried
//! with: it is tried again only together with as much of something else. There is one rule for large packs and
//! for groups of tiny ones: fewer bytes, or nothing. A merge saves the header, the commits and the journal
//! frames of each pack, so tiny packs become fewer by being smaller, whatever their mail; where not even
//! that makes up for the blocks, the packs are large, and therefore few.
//!
//! Only neighbours are put together: order is what the journal means.

use std::ops::Range;

use crate::ids::PackId;

/// A pack, as one knows it without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stock {
    pub(crate) pack: PackId,
    /// Bytes that count.
    pub(crate) length: u64,
    /// Bytes that were compacted together with it at the level that is wanted now, or in vain: its own, or
    /// those of the group that became no smaller. 0: it is rough.
    pub(crate) settled_bytes: u64,
    /// Whether it has to stay as it is.
    pub(crate) is_fixed: bool,
}

impl Stock {
    /// Whether it has never been compacted, or at a lower level than is wanted now.
    const fn is_rough(&self) -> bool {
        self.settled_bytes == 0
    }
}

/// What is aimed at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// Packs are not made larger than this.
    pub(crate) full_bytes: u64,
    /// For less than this nothing is done.
    pub(crate) least_bytes: u64,
}

/// The groups of neighbours that are worth being made into one pack each, in their order.
pub(crate) fn choose(stocks: &[Stock], wish: Wish) -> Vec<Range<usize>> {
    let mut groups = Vec::new();
    let mut start = 0;
    while start < stocks.len() {
        match best_from(&stocks[start..], wish) {
            Some(count) => {
                groups.push(start..start + count);
                start += count;
            }
            None => start += 1,
        }
    }
    groups
}

/// With how many of its successors the first of these is best made into one: with as many as can be.
fn best_from(stocks: &[Stock], wish: Wish) -> Option<usize> {
    let (mut total, mut most_settled, mut has_rough) = (0u64, 0u64, false);
    let mut best = None;
    for (at, stock) in stocks.iter().enumerate() {
        total = total.saturating_add(stock.length);
        if stock.is_fixed || at > 0 && total > wish.full_bytes {
            break;
        }
        has_rough |= stock.is_rough();
        most_settled = most_settled.max(stock.settled_bytes);
        let is_change = has_rough || at > 0;
        if is_change && total >= wish.least_bytes && most_settled.saturating_mul(2) <= total {
            best = Some(at + 1);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WISH: Wish = Wish { full_bytes: 256_000, least_bytes: 1_000 };

    fn stock(length: u64, settled_bytes: u64) -> Stock {
        Stock { pack: PackId([0; 8]), length, settled_bytes, is_fixed: false }
    }

    /// First and last of each group.
    fn chosen(stocks: &[Stock]) -> Vec<(usize, usize)> {
        choose(stocks, WISH).into_iter().map(|group| (group.start, group.end - 1)).collect()
    }

    fn rough(length: u64) -> Stock {
        stock(length, 0)
    }

    fn done(length: u64) -> Stock {
        stock(length, length)
    }

    /// Makes the groups: each shrinks to so many hundredths, or is left as it is where it would not. Bytes that
    /// were written again although they had been compacted or tried before.
    fn make(stocks: &mut Vec<Stock>, wish: Wish, percent: u64) -> u64 {
        let mut again = 0;
        loop {
            let groups = choose(stocks, wish);
            if groups.is_empty() {
                return again;
            }
            for group in groups.into_iter().rev() {
                let members = &stocks[group.clone()];
                again +=
                    members.iter().filter(|stock| !stock.is_rough()).map(|stock| stock.length).sum::<u64>();
                let total: u64 = members.iter().map(|stock| stock.length).sum();
                if percent < 100 {
                    stocks.splice(group, [done((total * percent / 100).max(1))]);
                } else {
                    stocks[group].iter_mut().for_each(|stock| stock.settled_bytes = total);
                }
            }
        }
    }

    #[test]
    fn what_a_first_pull_leaves_is_made_anew_pack_by_pack_and_then_left_alone() {
        let mut stocks = vec![rough(260_000), rough(258_000), rough(90_000)];
        assert_eq!(chosen(&stocks), [(0, 0), (1, 1), (2, 2)]);
        assert_eq!(make(&mut stocks, WISH, 90), 0);
        assert_eq!(chosen(&stocks), []);
    }

    #[test]
    fn small_packs_are_put_together_as_far_as_they_fit() {
        let stocks = [rough(100_000), rough(100_000), rough(100_000), rough(20_000)];
        assert_eq!(chosen(&stocks), [(0, 1), (2, 3)]);
        assert_eq!(chosen(&[rough(400)]), [], "for so little nothing is done");
        assert_eq!(chosen(&[rough(400), rough(700)]), [(0, 1)]);
    }

    #[test]
    fn what_was_compacted_is_touched_again_only_when_its_pack_doubles() {
        assert_eq!(chosen(&[done(100_000), rough(40_000)]), [(1, 1)]);
        assert_eq!(chosen(&[done(100_000), done(60_000), rough(40_000)]), [(0, 2)]);
        assert_eq!(chosen(&[done(100_000), done(60_000)]), []);
    }

    #[test]
    fn what_became_no_smaller_is_tried_again_only_with_as_much_of_something_else() {
        let in_vain = |length| stock(length, 100_000);
        assert_eq!(chosen(&[in_vain(60_000), in_vain(40_000)]), []);
        assert_eq!(chosen(&[in_vain(60_000), in_vain(40_000), rough(20_000)]), [(2, 2)]);
        assert_eq!(chosen(&[in_vain(60_000), in_vain(40_000), rough(100_000)]), [(0, 2)]);
    }

    #[test]
    fn a_pack_that_must_stay_parts_its_neighbours() {
        let fixed = Stock { is_fixed: true, ..rough(5_000) };
        assert_eq!(chosen(&[rough(5_000), fixed, rough(5_000)]), [(0, 0), (2, 2)]);
        assert_eq!(chosen(&[fixed]), []);
    }

    fn any_stock() -> impl Strategy<Value = Stock> {
        (1u64..300_000, any::<bool>(), prop::bool::weighted(0.1)).prop_map(|(length, is_rough, is_fixed)| {
            Stock { is_fixed, ..stock(length, if is_rough { 0 } else { length }) }
        })
    }

    proptest! {
        #[test]
        fn groups_are_of_neighbours_that_may_be_touched_and_stay_within_bounds(
            stocks in prop::collection::vec(any_stock(), 0..60),
        ) {
            let mut end = 0;
            for group in choose(&stocks, WISH) {
                prop_assert!(group.start >= end && !group.is_empty());
                end = group.end;
                let members = &stocks[group];
                let total: u64 = members.iter().map(|stock| stock.length).sum();
                prop_assert!(members.iter().all(|stock| !stock.is_fixed));
                prop_assert!(members.len() == 1 || total <= WISH.full_bytes);
                prop_assert!(members.len() > 1 || members[0].is_rough());
                prop_assert!(total >= WISH.least_bytes);
            }
        }

        #[test]
        fn over_the_years_each_byte_is_written_as_often_as_its_pack_can_double(
            nights in prop::collection::vec(1u64..30_000, 1..400),
            percent in 80u64..=100,
        ) {
            let (mut stocks, mut again) = (Vec::new(), 0);
            for &night in &nights {
                stocks.push(rough(night));
                again += make(&mut stocks, WISH, percent);
                prop_assert_eq!(choose(&stocks, WISH), [], "nothing is left to be done");
            }
            let total: u64 = nights.iter().sum();
            // From the least to the full size a pack doubles eight times; it shrinks by a fifth each time.
            let times = if percent == 100 { 9 } else { 14 };
            prop_assert!(again <= total * times, "{again} of {total}");
            let full = usize::try_from(total / (WISH.full_bytes / 4)).unwrap_or(usize::MAX);
            prop_assert!(percent == 100 || stocks.len() <= 2 * full + 12, "{} packs of {} bytes", stocks.len(), total);
        }
    }
}
