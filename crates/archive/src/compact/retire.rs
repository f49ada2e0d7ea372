//! Packs that were replaced, and their end.
//!
//! They stay for a time of grace, because a copy of the archive that was being made meanwhile may have taken
//! the old packs and not the new one (D20), and because readers that were open go on with them. Then they go,
//! the newest first: so what is left of a group is always its beginning, which no reader takes for more than
//! the pack that stands for all of it. Never while that pack is not whole.

use std::collections::HashMap;
use std::time::Duration;

use crate::error::{Context as _, Result};
use crate::identity::Place;
use crate::ids::PackId;
use crate::pack::files::{PackFile, PackFiles};
use crate::pack::header::PACK_HEADER_BYTES;
use crate::pack::replaces::Replaces;
use crate::pack::walk::{Event, Walk};

/// Packs that were replaced and are still there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetiredPacks {
    /// How many.
    pub packs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last of them may go, in milliseconds since 1970.
    pub until_unix_ms: Option<i64>,
}

/// A pack that was replaced, and when it may go.
struct Leaving<'f> {
    file: &'f PackFile,
    /// `None`: what stands for it cannot be read, or is not whole.
    after_unix_ms: Option<i64>,
}

/// Those that are there and wait for their end.
pub(super) fn waiting(files: &PackFiles, grace: Duration) -> RetiredPacks {
    let mut found = RetiredPacks::default();
    for leaving in leaving(files, grace) {
        found.packs += 1;
        found.bytes += leaving.file.length;
        found.until_unix_ms = found.until_unix_ms.max(leaving.after_unix_ms);
    }
    found
}

/// Removes those whose time has come. The caller holds the lock.
pub(super) fn remove(
    place: &Place,
    files: &PackFiles,
    (grace, now_unix_ms): (Duration, i64),
) -> Result<RetiredPacks> {
    let mut removed = RetiredPacks::default();
    for leaving in leaving(files, grace).into_iter().rev() {
        if leaving.after_unix_ms.is_none_or(|after| now_unix_ms < after) {
            continue;
        }
        let path = place.packs().join(&*leaving.file.name);
        place.disk.remove(&path).doing("remove", &path)?;
        // One after the other also for the disk.
        place.disk.sync_dir(&place.packs()).doing("sync", &place.packs())?;
        removed.packs += 1;
        removed.bytes += leaving.file.length;
    }
    Ok(removed)
}

fn leaving(files: &PackFiles, grace: Duration) -> Vec<Leaving<'_>> {
    let grace_ms = i64::try_from(grace.as_millis()).unwrap_or(i64::MAX);
    let mut stand_ins: HashMap<PackId, Option<i64>> = HashMap::new();
    let leaving = files.retired().iter().map(|file| {
        let made = files.standing_for(file.pack).and_then(|stand_in| {
            *stand_ins.entry(stand_in.pack).or_insert_with(|| made_unix_ms(files, stand_in))
        });
        Leaving { file, after_unix_ms: made.map(|made| made.saturating_add(grace_ms)) }
    });
    leaving.collect()
}

/// When a compacted pack was made, if a quick look finds it whole: all its frames are there, and its commit
/// names them.
fn made_unix_ms(files: &PackFiles, file: &PackFile) -> Option<i64> {
    let reader = files.open(file).ok()?;
    let replaces = Replaces::of(&reader).filter(|replaces| replaces.is_whole(&reader))?;
    let mut walk = Walk::new(&reader, PACK_HEADER_BYTES as u64, replaces.length);
    match walk.next().ok()?? {
        Event::Commit(commit) if commit.whole && commit.end == replaces.length => Some(replaces.unix_ms),
        _ => None,
    }
}
