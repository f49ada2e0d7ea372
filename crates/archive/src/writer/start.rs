//! Where a writer goes on.

use crate::disk::Access;
use crate::error::{Context as _, Result};
use crate::identity::Place;
use crate::open::Opened;
use crate::pack::header::Previous;
use crate::pack::writer::{Resume, Start};
use crate::replay::Tail;

/// What the system calls a medium that does not give its bytes.
const EIO: i32 = 5;

/// Where writing goes on: in the last pack if it ends with a commit, or can be cut to it; else in a new
/// one (rules C9 and C10).
pub(super) fn start(place: &Place, opened: &Opened) -> Result<Start> {
    let Opened { files, replayed, before, .. } = opened;
    let last = replayed.last;
    let acknowledged = opened.vouched.map_or(0, |state| state.commit.number);
    // Should packs that are missing now come back, theirs are the lower sequences: each has a commit.
    let missing = acknowledged.saturating_sub(last.number);
    let newest = files.packs().last().map_or(0, |file| file.sequence);
    let next_sequence = newest.saturating_add(missing).saturating_add(1);
    let anew = Start { last, previous: None, resume: None, next_sequence, acknowledged };
    let Some(file) = files.packs().last() else { return Ok(anew) };
    let path = place.packs().join(&*file.name);
    if replayed.unreadable {
        // A new pack would make void what may be a commit that was acknowledged.
        return Err(std::io::Error::from_raw_os_error(EIO)).doing("read the end of", &path);
    }
    // Without a commit there is nothing that counts, whatever has been begun.
    let Some((pack, end)) = replayed.end else {
        return Ok(anew);
    };
    // Only what the catalogue had applied is known to be all that was ever acknowledged.
    let vouched = before.is_some_and(|state| state.commit == last) && replayed.commits == 0;
    let resume = match replayed.tail {
        // P6: behind a pack that was begun in vain nothing is appended to the one before it; C11. D6: nor
        // to a file whose sync has failed.
        _ if !replayed.intact || !opened.settled || file.pack != pack || acknowledged > last.number => false,
        Tail::None => true,
        Tail::Torn => vouched,
        Tail::TornCommit => false,
    };
    let cut = || -> std::io::Result<()> {
        let open = place.disk.open(&path, Access::Write)?;
        open.truncate(end)?;
        open.sync()
    };
    // A file that cannot be cut is left as it is.
    let resume = resume && (replayed.tail != Tail::Torn || cut().is_ok());
    Ok(Start {
        previous: Some(Previous { pack, length: end }),
        resume: resume.then(|| Resume { name: file.name.clone(), sequence: file.sequence }),
        ..anew
    })
}
