//! Damage: what in the packs is not what was written, and which of it is known already.
//!
//! A damaged frame stays where it is: packs are never changed, so the place itself is its quarantine.
//! What `repair` has found once it writes into the journal as *known damage*; from then on it is told
//! apart from what is new, so that new damage is never lost in a list of old one (rule W6).
//!
//! Bytes are known when a known range of the same pack covers all of them: a known place may be found
//! again in another way (first its checksum is wrong, later its header too), but not one byte beyond it.

use rusqlite::Connection;

use crate::catalogue::damaged;
use crate::error::Result;
use crate::ids::PackId;

/// Something in the packs that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file.
    pub pack: String,
    /// Where in it, in bytes.
    pub offset: u64,
    /// How many bytes are hit; 0 where it is not a matter of bytes that are there.
    pub length: u64,
    /// What is wrong.
    pub what: String,
    pub(crate) id: PackId,
    pub(crate) kind: DamageKind,
}

/// What kind of damage it is. The numbers are those of the journal (docs/archive-format.md).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DamageKind {
    /// 1: bytes that are no frame, or a frame that may have been of any kind.
    Bytes,
    /// 2: a block; the journal has lost nothing by it.
    Block,
    /// 3: the numbers of commits that are in no pack.
    CommitsMissing { first: u64, count: u64 },
    /// 4: a commit that belongs to another history.
    OtherHistory,
    /// 5: a commit whose own record is lost, or that does not fit the others.
    Commit,
    /// 6: a pack that was there once.
    PackMissing,
}

impl DamageKind {
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Bytes => 1,
            Self::Block => 2,
            Self::CommitsMissing { .. } => 3,
            Self::OtherHistory => 4,
            Self::Commit => 5,
            Self::PackMissing => 6,
        }
    }

    /// Whether records of the journal may have gone with it.
    pub(crate) const fn may_hit_journal(self) -> bool {
        !matches!(self, Self::Block)
    }
}

/// Damage as the journal knows it: where it is, without words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownDamage {
    pub(crate) pack: PackId,
    pub(crate) kind: u8,
    /// Bytes; for commits that are missing, their first number.
    pub(crate) start: u64,
    /// Bytes; for commits that are missing, how many.
    pub(crate) length: u64,
    pub(crate) what: String,
}

impl Damage {
    /// The pack's id.
    #[must_use]
    pub fn id(&self) -> PackId {
        self.id
    }

    /// As the journal writes it.
    pub(crate) fn to_known(&self) -> KnownDamage {
        let (start, length) = self.extent();
        let (pack, kind, what) = (self.id, self.kind.number(), self.what.clone());
        KnownDamage { pack, kind, start, length, what }
    }

    fn extent(&self) -> (u64, u64) {
        match self.kind {
            DamageKind::CommitsMissing { first, count } => (first, count),
            _ => (self.offset, self.length),
        }
    }

    fn is_covered_by(&self, known: &KnownDamage) -> bool {
        let (start, length) = self.extent();
        let within =
            known.start <= start && start.saturating_add(length) <= known.start.saturating_add(known.length);
        match self.kind {
            DamageKind::Bytes | DamageKind::Block | DamageKind::OtherHistory => {
                let of_bytes = matches!(known.kind, 1 | 2 | 4 | 6);
                of_bytes && known.pack == self.id && within
            }
            // Wherever the gap shows: the pack behind it may be another one by now.
            DamageKind::CommitsMissing { .. } => known.kind == self.kind.number() && within,
            DamageKind::Commit | DamageKind::PackMissing => {
                known.kind == self.kind.number() && known.pack == self.id && known.start == start
            }
        }
    }
}

/// Parts damage into what is new and what the journal knows already.
pub(crate) fn sort_out(catalogue: &Connection, found: Vec<Damage>) -> Result<(Vec<Damage>, Vec<Damage>)> {
    if found.is_empty() {
        return Ok((found, Vec::new()));
    }
    let known = damaged::known_damage(catalogue)?;
    let is_known = |damage: &Damage| known.iter().any(|known| damage.is_covered_by(known));
    Ok(found.into_iter().partition(|damage| !is_known(damage)))
}

/// In the order in which it lies, and each once.
pub(crate) fn in_order(mut damage: Vec<Damage>) -> Vec<Damage> {
    let order = |damage: &Damage| (damage.pack.clone(), damage.offset, damage.kind.number());
    damage.sort_by_cached_key(order);
    let place = |damage: &Damage| (damage.id, damage.offset);
    // Where the walk over the pack has found no frame, the look for a block finds none either.
    let again = |first: &Damage, then: &Damage| {
        first.kind == then.kind || (first.kind, then.kind) == (DamageKind::Bytes, DamageKind::Block)
    };
    damage.dedup_by(|then, first| {
        let same = place(then) == place(first) && again(first, then);
        if same && then.length > first.length {
            std::mem::swap(first, then);
        }
        same
    });
    damage
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACK: PackId = PackId([7; 8]);

    fn damage(kind: DamageKind, offset: u64, length: u64) -> Damage {
        Damage { pack: PACK.to_string(), offset, length, what: String::new(), id: PACK, kind }
    }

    #[test]
    fn w06_known_bytes_cover_themselves_and_not_one_byte_more() {
        let known = damage(DamageKind::Block, 100, 50).to_known();
        for kind in [DamageKind::Block, DamageKind::Bytes] {
            assert!(damage(kind, 100, 50).is_covered_by(&known), "{kind:?}");
            assert!(damage(kind, 120, 10).is_covered_by(&known), "{kind:?}");
            assert!(!damage(kind, 99, 50).is_covered_by(&known), "{kind:?}");
            assert!(!damage(kind, 100, 51).is_covered_by(&known), "{kind:?}");
        }
        let elsewhere = Damage { id: PackId([8; 8]), ..damage(DamageKind::Block, 100, 50) };
        assert!(!elsewhere.is_covered_by(&known));
    }

    #[test]
    fn of_two_that_begin_at_one_place_the_longer_is_told() {
        let header = damage(DamageKind::Bytes, 0, 0);
        let whole = damage(DamageKind::Bytes, 0, 900);
        let commit = damage(DamageKind::Commit, 0, 0);
        let block = damage(DamageKind::Block, 0, 80);
        let told = in_order(vec![block, commit.clone(), header, whole.clone()]);
        assert_eq!(told, [whole, commit]);
    }

    #[test]
    fn w06_missing_commits_are_known_by_their_numbers_wherever_the_gap_shows() {
        let missing = |first, count| damage(DamageKind::CommitsMissing { first, count }, 999, 0);
        let known = missing(3, 2).to_known();
        assert!(missing(3, 2).is_covered_by(&known) && missing(4, 1).is_covered_by(&known));
        let moved = Damage { id: PackId([8; 8]), offset: 5, ..missing(3, 2) };
        assert!(moved.is_covered_by(&known));
        assert!(!missing(3, 3).is_covered_by(&known) && !missing(2, 2).is_covered_by(&known));
        assert!(!damage(DamageKind::Bytes, 3, 2).is_covered_by(&known), "numbers are no bytes");
    }
}
