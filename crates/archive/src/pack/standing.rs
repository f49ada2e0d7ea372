//! Which of the packs in a folder count, where some stand in the place of others.
//!
//! A compacted pack is put in place only when it is whole, so one that is whole counts, and what it replaces
//! is retired. Two things can come between: a copy of it that was cut short, and a catalogue that has not
//! heard of it yet. While all that it replaces is still there, nothing is lost by going on with that: the
//! cut one is *void*, and the new one is *waiting* until a writer brings the catalogue up to it.
//!
//! Rules K5 to K7. Pure: what was found goes in, what counts comes out.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::replaces::Replaces;
use crate::ids::PackId;

/// What a catalogue knows of the packs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// Those that it counts with.
    pub(crate) packs: HashSet<PackId>,
    /// Those that were replaced, and by which pack.
    pub(crate) retired: HashMap<PackId, PackId>,
    /// Whether a file with the name of one of `packs` is taken for that, unread.
    pub(crate) by_name: bool,
}

/// A compacted pack that was found.
#[derive(Clone, Debug)]
pub(crate) struct Compacted {
    pub(crate) pack: PackId,
    pub(crate) replaces: Arc<Replaces>,
    /// Whether it is as long as it should be, and ends as it should.
    pub(crate) is_whole: bool,
}

/// What became of the packs that were found.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Packs that do not count any more, and which one counts for them.
    pub(crate) retired: HashMap<PackId, PackId>,
    /// Compacted packs of which the catalogue does not know, the oldest first.
    pub(crate) waiting: Vec<PackId>,
    /// Compacted packs that were cut short, and whose sources are there; or that came too late, because
    /// another stands in the place of their sources.
    pub(crate) void: Vec<PackId>,
}

/// Judges compacted packs. `lengths` are those of all packs that were found, these among them.
pub(crate) fn judge(lengths: &HashMap<PackId, u64>, mut compacted: Vec<Compacted>, known: &Known) -> Verdict {
    let mut verdict = Verdict { retired: known.retired.clone(), ..Verdict::default() };
    // Who is whole is asked before who is not; and who replaces others that were made by compaction names
    // more than they do.
    compacted.sort_by_key(|found| {
        let Compacted { pack, replaces, is_whole } = found;
        (known.packs.contains(pack), *is_whole, replaces.all().count(), replaces.last.number, *pack)
    });
    for Compacted { pack, replaces, is_whole } in compacted.into_iter().rev() {
        if verdict.retired.contains_key(&pack) {
            continue;
        }
        let is_superseded = !known.packs.contains(&pack)
            && replaces.sources.iter().all(|source| verdict.retired.contains_key(&source.pack));
        if is_superseded {
            verdict.void.push(pack);
            continue;
        }
        let is_there = replaces
            .sources
            .iter()
            .all(|source| lengths.get(&source.pack).is_some_and(|&length| length >= source.length));
        let is_news = !known.packs.contains(&pack)
            && replaces.sources.iter().any(|source| known.packs.contains(&source.pack));
        if is_there && !is_whole && !known.packs.contains(&pack) {
            verdict.void.push(pack);
        } else if is_there && is_news {
            verdict.waiting.push(pack);
        } else {
            for retired in replaces.all() {
                verdict.retired.entry(retired.pack).or_insert(pack);
            }
        }
    }
    verdict.waiting.reverse();
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::CommitId;
    use crate::pack::replaces::Retired;

    const A: PackId = PackId([1; 8]);
    const B: PackId = PackId([2; 8]);
    const C: PackId = PackId([3; 8]);
    const P: PackId = PackId([8; 8]);
    const Q: PackId = PackId([9; 8]);

    fn retired(pack: PackId) -> Retired {
        Retired { pack, sequence: 1, length: 100 }
    }

    fn compacted(pack: PackId, sources: &[PackId], before: &[PackId], is_whole: bool) -> Compacted {
        let of = |packs: &[PackId]| packs.iter().copied().map(retired).collect();
        let last = CommitId { number: 9, check: [0; 16] };
        let replaces = Replaces {
            length: 90,
            first_commit: 1,
            last,
            unix_ms: 0,
            level: 9,
            sources: of(sources),
            before: of(before),
        };
        Compacted { pack, replaces: Arc::new(replaces), is_whole }
    }

    fn lengths(of: &[PackId]) -> HashMap<PackId, u64> {
        of.iter().map(|&pack| (pack, 100)).collect()
    }

    fn knows(packs: &[PackId]) -> Known {
        Known { packs: packs.iter().copied().collect(), ..Known::default() }
    }

    fn counts_for(verdict: &Verdict) -> Vec<(PackId, PackId)> {
        let mut pairs: Vec<_> = verdict.retired.iter().map(|(&pack, &by)| (pack, by)).collect();
        pairs.sort_unstable();
        pairs
    }

    #[test]
    fn k5_a_whole_one_retires_what_it_names_whether_that_is_there_or_not() {
        for there in [&[A, B, P][..], &[A, P], &[P]] {
            let verdict = judge(&lengths(there), vec![compacted(P, &[A, B], &[], true)], &Known::default());
            assert_eq!(counts_for(&verdict), [(A, P), (B, P)], "{there:?}");
            assert!(verdict.waiting.is_empty() && verdict.void.is_empty());
        }
    }

    #[test]
    fn k6_a_cut_one_is_void_while_its_sources_are_all_there_and_else_is_what_there_is() {
        let cut = || vec![compacted(P, &[A, B], &[], false)];
        let verdict = judge(&lengths(&[A, B, P]), cut(), &Known::default());
        assert_eq!((verdict.void, verdict.retired.len()), (vec![P], 0));
        let verdict = judge(&lengths(&[B, P]), cut(), &Known::default());
        assert_eq!((verdict.void.len(), counts_for(&verdict)), (0, vec![(A, P), (B, P)]));
        let mut short = lengths(&[A, B, P]);
        short.insert(A, 99);
        assert_eq!(judge(&short, cut(), &Known::default()).void, [], "a source is cut as well");
    }

    #[test]
    fn k7_one_that_the_catalogue_has_not_heard_of_waits_while_its_sources_are_there() {
        let new = || vec![compacted(P, &[A, B], &[], true)];
        for catalogue in [knows(&[A, B]), knows(&[A])] {
            let verdict = judge(&lengths(&[A, B, P]), new(), &catalogue);
            assert_eq!((verdict.waiting, verdict.retired.len()), (vec![P], 0));
        }
        // The catalogue is older than the deletion of what it counts with.
        let verdict = judge(&lengths(&[B, P]), new(), &knows(&[A, B]));
        assert_eq!((verdict.waiting.len(), counts_for(&verdict)), (0, vec![(A, P), (B, P)]));
        let verdict = judge(&lengths(&[A, B, P]), new(), &knows(&[P]));
        assert_eq!(counts_for(&verdict), [(A, P), (B, P)], "it counts with it");
    }

    #[test]
    fn k5_who_replaces_a_compacted_pack_retires_what_that_had_replaced() {
        let both = || vec![compacted(P, &[A, B], &[], true), compacted(Q, &[P, C], &[A, B], true)];
        let verdict = judge(&lengths(&[A, B, C, P, Q]), both(), &Known::default());
        assert_eq!(counts_for(&verdict), [(A, Q), (B, Q), (C, Q), (P, Q)]);
        let verdict = judge(&lengths(&[A, B, C, P, Q]), both(), &knows(&[A, B, C]));
        assert_eq!((verdict.waiting, verdict.retired.len()), (vec![P, Q], 0));
        let cut = vec![compacted(P, &[A, B], &[], true), compacted(Q, &[P, C], &[A, B], false)];
        let verdict = judge(&lengths(&[A, B, C, P, Q]), cut, &Known::default());
        assert_eq!((verdict.void.clone(), counts_for(&verdict)), (vec![Q], vec![(A, P), (B, P)]));
    }

    #[test]
    fn k6_a_void_one_stays_so_when_another_stands_for_its_sources_and_these_are_gone() {
        let both = || vec![compacted(P, &[A, B], &[], false), compacted(Q, &[A, B], &[], true)];
        for (there, catalogue) in
            [(&[A, B, P, Q][..], knows(&[])), (&[P, Q], knows(&[])), (&[P, Q], knows(&[Q]))]
        {
            let verdict = judge(&lengths(there), both(), &catalogue);
            assert_eq!((verdict.void.clone(), counts_for(&verdict)), (vec![P], vec![(A, Q), (B, Q)]));
        }
        let twice = vec![compacted(P, &[A, B], &[], true), compacted(Q, &[A, B], &[], true)];
        assert_eq!(
            judge(&lengths(&[P, Q]), twice, &knows(&[P])).void,
            [Q],
            "the catalogue counts with the other"
        );
    }

    #[test]
    fn packs_that_name_each_other_leave_one() {
        let each = vec![compacted(P, &[Q], &[], true), compacted(Q, &[P], &[], true)];
        let verdict = judge(&lengths(&[P, Q]), each, &Known::default());
        assert_eq!(counts_for(&verdict), [(P, Q)]);
    }
}
