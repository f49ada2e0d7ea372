//! Proof that the archive is whole.
//!
//! *Quick* walks all packs from header to header: nothing is missing, lengths are right, each commit
//! names its predecessor and its frames, and the catalogue has come as far as the packs. *Full* reads
//! every byte: every frame's checksums, every blob's hash, every message put together and hashed, and
//! the catalogue compared, row for row, with one made from the packs alone. *Pack* does that for one pack
//! (see `scrub`); who looks at each pack in its turn has read every byte.
//!
//! Damage never ends it: all of it is found in one pass, each with its place, and told as the messages
//! that it hits, by folder, UID and subject (D9, D11). It works beside a writer: what is committed after
//! it has begun is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::ControlFlow;
use std::path::Path;

use rusqlite::Connection;

use crate::archive::{catch_up, snapshot};
use crate::catalogue::{self, Mode, State, compare, damaged, query};
use crate::damage::{self, Damage};
use crate::error::{Error, Result};
use crate::examine::{Examined, belongs, examine};
use crate::hits::{MessageHit, tell_dangling, tell_hits, tell_place};
use crate::identity::{Place, identity_damage};
use crate::ids::{AccountId, ArchiveId, CommitId, MessageNumber, PackId};
use crate::open::{
    discover, is_overtaken, known_packs, missing_at_the_end, missing_or_cut, mode_for, require_identity,
};
use crate::pack::files::PackFiles;
use crate::pack::standing::Known;
use crate::replay::{Replayed, Unfinished, replay_until, survey};
use crate::scrub;

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Structure and lengths.
    Quick,
    /// Every byte of one pack. Where they are as they were written, nothing else is looked at; else all
    /// that is damaged is told as by a full look, but for the bytes of blocks in other packs.
    Pack(PackId),
    /// Every byte.
    Full,
}

/// How far it has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VerifyProgress {
    /// Messages put together and hashed.
    pub messages: u64,
    /// Of so many.
    pub messages_total: u64,
    /// Bytes of mail hashed.
    pub bytes: u64,
    /// Bytes read from the packs for that, as they are stored; headers are not counted.
    pub read_bytes: u64,
}

/// Is told often how far it has come, and may take its time over that, so that others get at the disk. To
/// break ends it, with [`Error::Interrupted`].
pub type Watch<'w> = dyn FnMut(VerifyProgress) -> ControlFlow<()> + 'w;

/// [`Error::Interrupted`] where the watch has broken.
pub(crate) fn going_on(flow: ControlFlow<()>) -> Result<()> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(Error::Interrupted),
    }
}

/// What was looked at, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReport {
    /// Up to which commit.
    pub last_commit: CommitId,
    /// Packs walked.
    pub packs: u64,
    /// Frames in their commits.
    pub frames: u64,
    /// Blobs hashed; 0 for a quick look.
    pub blobs: u64,
    /// Messages put together and hashed; 0 for a quick look.
    pub messages: u64,
    /// Bytes of those messages.
    pub bytes: u64,
    /// A commit that was not finished, and so does not count: what a power cut leaves; no damage.
    pub unfinished: Option<Unfinished>,
    /// All damage that is new, in the order in which it lies.
    pub damage: Vec<Damage>,
    /// Damage that `repair` has found before; it stays where it is.
    pub known_damage: Vec<Damage>,
    /// Every place of every message that cannot be given back, or whose record is lost, and that no
    /// repair has found before.
    pub messages_hit: Vec<MessageHit>,
    /// The same for messages that `repair` has recorded as lost, and that have not come back.
    pub messages_lost: Vec<MessageHit>,
    /// What became of the catalogue.
    pub catalogue: CatalogueFinding,
    /// Files among the packs that are none of this archive's, or doubles.
    pub foreign_files: Vec<String>,
    /// Packs that were replaced and wait for their end; they are not looked at.
    pub retired_packs: u64,
    /// Their bytes.
    pub retired_bytes: u64,
}

impl VerifyReport {
    /// Whether nothing is wrong with the packs but what is known. (A wrong catalogue is made anew by
    /// `rebuild`.)
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.damage.is_empty() && self.messages_hit.is_empty()
    }
}

/// How the catalogue compares with the packs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogueFinding {
    /// It says what the packs say.
    Ok,
    /// It does not.
    Differs {
        /// The first difference.
        what: String,
    },
    /// There is none, or none that can be read; the packs alone were looked at.
    Unusable,
}

/// Looks at the whole archive; `accounts` names those whose messages are put together and hashed (all,
/// if `None`).
///
/// # Errors
/// When there is no archive, an account is unknown, or the disk refuses in a way that is no damage.
/// Damage is not an error: it is in the report.
pub fn verify(
    dir: &Path,
    depth: Depth,
    accounts: Option<&[String]>,
    progress: &mut dyn FnMut(VerifyProgress),
) -> Result<VerifyReport> {
    verify_at(&Place::real(dir), depth, accounts, progress)
}

/// [`verify`] on any disk.
///
/// # Errors
/// As [`verify`].
pub fn verify_at(
    place: &Place,
    depth: Depth,
    accounts: Option<&[String]>,
    progress: &mut dyn FnMut(VerifyProgress),
) -> Result<VerifyReport> {
    let id = require_identity(place)?;
    if mode_for(place)? == Mode::Shared && place.catalogue.as_deref().is_some_and(Path::exists) {
        // Its damage is found again by the walk over all packs.
        catch_up(place, id, false)?;
    }
    look(place, id, (depth, accounts), &mut |so_far| {
        progress(so_far);
        ControlFlow::Continue(())
    })
}

/// Looks at the archive beside those who work with it: never takes the writer's lock, can be broken off,
/// and goes as slowly as it is let. What is committed and not in the catalogue is left out.
///
/// # Errors
/// As [`verify`]; [`Error::Interrupted`] when `watch` breaks; [`Error::PackMissing`] for a pack that
/// neither the catalogue nor the folder knows.
pub fn verify_watched(dir: &Path, depth: Depth, watch: &mut Watch<'_>) -> Result<VerifyReport> {
    verify_watched_at(&Place::real(dir), depth, watch)
}

/// [`verify_watched`] on any disk.
///
/// # Errors
/// As [`verify_watched`].
pub fn verify_watched_at(place: &Place, depth: Depth, watch: &mut Watch<'_>) -> Result<VerifyReport> {
    look(place, require_identity(place)?, (depth, None), watch)
}

fn look(
    place: &Place,
    id: ArchiveId,
    (depth, accounts): (Depth, Option<&[String]>),
    watch: &mut Watch<'_>,
) -> Result<VerifyReport> {
    let mut live = live_catalogue(place, id)?;
    // After the snapshot, so that every pack that it knows is there.
    let mut files = discover_for(place, id, live.as_ref())?;
    if let Some((catalogue, _)) = &live
        && is_overtaken(&files, catalogue)?
    {
        live = None;
        files = discover_for(place, id, None)?;
    }
    let until = live.as_ref().map(|(_, state)| state.commit.number);
    let vouched = live.as_ref().map(|(_, state)| *state);
    let verification = Verification { files: &files, live: live.as_ref(), id, until, vouched };
    let mut report = match depth {
        Depth::Quick => verification.quick(watch),
        Depth::Pack(pack) => verification.pack(pack, watch),
        Depth::Full => verification.full(What::Everything(accounts), watch),
    }?;
    report.damage.splice(0..0, identity_damage(place, id)?);
    Ok(report)
}

/// The packs that count for a catalogue; no name is believed.
fn discover_for(place: &Place, id: ArchiveId, live: Option<&(Connection, State)>) -> Result<PackFiles> {
    let known = match live.map(|(live, _)| known_packs(live)) {
        Some(Err(error)) if !catalogue::is_broken(&error) => return Err(error),
        Some(Ok(known)) => known,
        Some(Err(_)) | None => Known::default(),
    };
    discover(place, id, &known)
}

/// The catalogue as it is.
pub(crate) fn live_catalogue(place: &Place, id: ArchiveId) -> Result<Option<(Connection, State)>> {
    match snapshot(place, id) {
        Ok(live) => Ok(live),
        Err(Error::Catalogue(_) | Error::CatalogueWrong { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What is read to the last byte.
#[derive(Clone, Copy)]
enum What<'w> {
    /// Everything; of messages, those of these accounts (all, if `None`).
    Everything(Option<&'w [String]>),
    Pack(PackId),
}

struct Verification<'v> {
    files: &'v PackFiles,
    live: Option<&'v (Connection, State)>,
    id: ArchiveId,
    until: Option<u64>,
    vouched: Option<State>,
}

impl Verification<'_> {
    fn quick(&self, watch: &mut Watch<'_>) -> Result<VerifyReport> {
        let mut go_on = || going_on(watch(VerifyProgress::default()));
        let mut surveyed = survey(self.files, self.id, self.vouched, self.until, &mut go_on)?;
        let catalogue = match self.live {
            None => CatalogueFinding::Unusable,
            Some((_, state)) if state.commit == surveyed.last => CatalogueFinding::Ok,
            Some((_, state)) => CatalogueFinding::Differs {
                what: format!("it ends with commit {}, the packs with {}", state.commit, surveyed.last),
            },
        };
        // What is known stands in the journal, which a quick look does not read: the catalogue says it.
        if let Some((live, _)) = self.live {
            let found = std::mem::take(&mut surveyed.damage);
            (surveyed.damage, surveyed.known_damage) = damage::sort_out(live, found)?;
            self.add_missing(live, &mut surveyed)?;
        }
        Ok(self.report(surveyed, catalogue))
    }

    /// Most packs are as they were written, so that is all that is looked for at first. Where anything is
    /// odd, the packs alone decide what it is.
    fn pack(&self, pack: PackId, watch: &mut Watch<'_>) -> Result<VerifyReport> {
        let Some((live, state)) = self.live else { return self.full(What::Pack(pack), watch) };
        let examined = match scrub::examine_pack(live, self.files, pack, watch) {
            Ok(examined) => examined.filter(scrub::PackExamined::is_whole),
            Err(error) if catalogue::is_broken(&error) => None,
            Err(error) => return Err(error),
        };
        let Some(scrub::PackExamined { examined, frames, .. }) = examined else {
            return self.full(What::Pack(pack), watch);
        };
        Ok(VerifyReport {
            last_commit: state.commit,
            packs: 1,
            frames,
            blobs: examined.blobs,
            messages: examined.messages,
            bytes: examined.bytes,
            unfinished: None,
            damage: Vec::new(),
            known_damage: Vec::new(),
            messages_hit: Vec::new(),
            messages_lost: Vec::new(),
            catalogue: CatalogueFinding::Ok,
            foreign_files: self.files.foreign().to_vec(),
            retired_packs: self.files.retired().len() as u64,
            retired_bytes: self.files.retired().iter().map(|file| file.length).sum(),
        })
    }

    fn full(&self, what: What<'_>, watch: &mut Watch<'_>) -> Result<VerifyReport> {
        let fresh = catalogue::open_for_making(None, self.id)?;
        let mut go_on = || going_on(watch(VerifyProgress::default()));
        let mut replayed = replay_until(self.files, &fresh, self.vouched, self.until, &mut go_on)?;
        catalogue::finish(&fresh)?;
        let (live, finding) = self.compare(&fresh)?;
        self.add_missing(&fresh, &mut replayed)?;
        let dangling = std::mem::take(&mut replayed.dangling);
        let hurt = !replayed.damage.is_empty() || !replayed.known_damage.is_empty();
        // What the catalogue knows beyond damaged packs is what damage has taken from them.
        let beyond = live.filter(|_| hurt && finding != CatalogueFinding::Ok);
        let only_live =
            beyond.map(|live| query::placed_only_in(live, &fresh)).transpose()?.unwrap_or_default();
        let names = live.unwrap_or(&fresh);
        let accounts = match what {
            What::Everything(Some(wanted)) => Some(account_ids(names, wanted)?),
            What::Everything(None) | What::Pack(_) => None,
        };
        let mut report = self.report(replayed, finding);

        // The packs alone decide what can be given back: a catalogue may be wrong in any way.
        let examined = match what {
            What::Everything(_) => examine(&fresh, self.files, accounts.as_deref(), watch)?,
            What::Pack(pack) => scrub::examine_damaged(&fresh, self.files, pack, watch)?,
        };
        if let What::Pack(pack) = what
            && self.files.find(pack).is_none()
            && report.damage.iter().chain(&report.known_damage).all(|damage| damage.id != pack)
        {
            return Err(Error::PackMissing { pack: pack.to_string() });
        }
        report.add(&fresh, &examined)?;
        let known: BTreeSet<MessageNumber> = damaged::messages(&fresh)?.into_iter().collect();
        let is_known = |message: &MessageNumber| known.contains(message);
        let hits = examined.hits.into_iter();
        let (lost, new): (BTreeMap<_, _>, BTreeMap<_, _>) = hits.partition(|(message, _)| is_known(message));
        report.messages_hit = tell_hits(names, &new)?;
        for (message, at) in only_live {
            if !new.contains_key(&message) && belongs(names, accounts.as_deref(), message)? {
                let why = "its record in the journal is lost; only the catalogue still knows it";
                report.messages_hit.extend(tell_place(names, message, at, why)?);
            }
        }
        report.messages_hit.extend(tell_dangling(names, &fresh, &dangling)?);
        report.messages_hit.sort_by(MessageHit::by_place);
        report.messages_lost = tell_hits(names, &lost)?;
        Ok(report)
    }

    /// The catalogue, when it can be read, and how it compares with one made from the packs alone.
    fn compare(&self, fresh: &Connection) -> Result<(Option<&Connection>, CatalogueFinding)> {
        let Some((live, _)) = self.live else { return Ok((None, CatalogueFinding::Unusable)) };
        match compare::first_difference(live, fresh) {
            Ok(None) => Ok((Some(live), CatalogueFinding::Ok)),
            Ok(Some(what)) => Ok((Some(live), CatalogueFinding::Differs { what })),
            Err(error) if catalogue::is_broken(&error) => Ok((None, CatalogueFinding::Unusable)),
            Err(error) => Err(error),
        }
    }

    /// D12: what the catalogue knows to have been there. `knows` knows what damage is known.
    fn add_missing(&self, knows: &Connection, replayed: &mut Replayed) -> Result<()> {
        let Some((live, state)) = self.live else { return Ok(()) };
        let mut missing = match missing_or_cut(self.files, live) {
            Err(error) if catalogue::is_broken(&error) => Vec::new(),
            missing => missing?,
        };
        missing.extend(missing_at_the_end(replayed.last, state));
        let (new, known) = damage::sort_out(knows, missing)?;
        replayed.damage.extend(new);
        replayed.known_damage.extend(known);
        Ok(())
    }

    fn report(&self, walked: Replayed, catalogue: CatalogueFinding) -> VerifyReport {
        VerifyReport {
            last_commit: walked.last,
            packs: self.files.packs().len() as u64,
            frames: walked.frames,
            blobs: 0,
            messages: 0,
            bytes: 0,
            unfinished: walked.unfinished,
            damage: damage::in_order(walked.damage),
            known_damage: damage::in_order(walked.known_damage),
            messages_hit: Vec::new(),
            messages_lost: Vec::new(),
            catalogue,
            foreign_files: self.files.foreign().to_vec(),
            retired_packs: self.files.retired().len() as u64,
            retired_bytes: self.files.retired().iter().map(|file| file.length).sum(),
        }
    }
}

impl VerifyReport {
    /// Adds what reading everything has found.
    fn add(&mut self, knows: &Connection, examined: &Examined) -> Result<()> {
        (self.blobs, self.messages, self.bytes) = (examined.blobs, examined.messages, examined.bytes);
        let (new, known) = damage::sort_out(knows, examined.damage.clone())?;
        self.damage.extend(new);
        self.known_damage.extend(known);
        self.damage = damage::in_order(std::mem::take(&mut self.damage));
        self.known_damage = damage::in_order(std::mem::take(&mut self.known_damage));
        Ok(())
    }
}

fn account_ids(known: &Connection, names: &[String]) -> Result<Vec<AccountId>> {
    let id = |name: &String| {
        let account = query::account(known, name)?;
        Ok(account.ok_or_else(|| Error::UnknownAccount(name.clone()))?.id)
    };
    names.iter().map(id).collect()
}
