//! The catalogue made anew from the packs alone.

use std::path::Path;

use crate::archive::snapshot;
use crate::damage::Damage;
use crate::error::Result;
use crate::identity::Place;
use crate::ids::CommitId;
use crate::lock::Lock;
use crate::open::{Old, make_anew, mode_for, require_identity};
use crate::writer::refuse_foreign_owner;

/// What a rebuild found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuildReport {
    /// Packs that were read.
    pub packs: u64,
    /// Commits that were applied.
    pub commits: u64,
    /// The last of them.
    pub last_commit: CommitId,
    /// Damage that was met and that no repair has found before.
    pub damage: Vec<Damage>,
}

/// Makes the catalogue anew, beside the old one, and puts it in its place. Equal row for row to the one
/// that a writer keeps. When damage is met, the old one may know more than the packs: then it is moved into
/// the folder `quarantine`, where [`repair`](crate::repair) finds it.
///
/// # Errors
/// When there is no archive, a writer has it, it belongs to another user and this is root, or the disk
/// refuses.
pub fn rebuild(dir: &Path) -> Result<RebuildReport> {
    refuse_foreign_owner(dir)?;
    rebuild_at(&Place::real(dir))
}

/// [`rebuild`] on any disk.
///
/// # Errors
/// As [`rebuild`].
pub fn rebuild_at(place: &Place) -> Result<RebuildReport> {
    let id = require_identity(place)?;
    let _lock = Lock::take(place)?;
    // The catalogue that is there has no say, but what it has seen and the packs have not is damage.
    let vouched = snapshot(place, id).ok().flatten().map(|(_, state)| state);
    let opened = make_anew(place, id, mode_for(place)?, (vouched, Old::KeepIfHurt), false)?;
    Ok(RebuildReport {
        packs: opened.files.packs().len() as u64,
        commits: opened.replayed.commits,
        last_commit: opened.replayed.last,
        damage: opened.replayed.damage,
    })
}
