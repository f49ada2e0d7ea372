//! Proof that the archive is whole.
//!
//! *Quick* walks all packs from header to header: nothing is missing, lengths are right, each commit
//! names its predecessor and its frames, and the catalogue has come as far as the packs. *Full* reads
//! every byte: every frame's checksums, every blob's hash, every message put together and hashed, and
//! the catalogue compared, row for row, with one made from the packs alone.
//!
//! Damage never ends it: all of it is found in one pass, each with its place, and told as the messages
//! that it hits, by folder, UID and subject (D9, D11). It works beside a writer: what is committed after
//! it has begun is left out.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use message::{MessageKey, Uid};
use rusqlite::Connection;

use crate::archive::{catch_up, snapshot};
use crate::blocks::{BlockCache, Shelves};
use crate::catalogue::{self, Mode, State, compare, query};
use crate::error::{Error, Result};
use crate::identity::{Place, identity_damage};
use crate::ids::{AccountId, ArchiveId, CommitId, MessageNumber};
use crate::open::{discover, mode_for, require_identity};
use crate::pack::files::PackFiles;
use crate::replay::{Damage, Replayed, Unfinished, replay_until, survey};
use crate::view::read_row;

/// Messages taken from the catalogue at a time.
const PAGE: u32 = 1024;

/// How closely to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Structure and lengths.
    Quick,
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
    /// All damage, in the order in which it lies.
    pub damage: Vec<Damage>,
    /// Every place of every message that cannot be given back, or whose record is lost.
    pub messages_hit: Vec<MessageHit>,
    /// What became of the catalogue.
    pub catalogue: CatalogueFinding,
    /// Files among the packs that are none of this archive's, or doubles.
    pub foreign_files: Vec<String>,
}

impl VerifyReport {
    /// Whether nothing is wrong with the packs. (A wrong catalogue is made anew by `rebuild`.)
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

/// A message that damage hits, at one of the places where it lies or lay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageHit {
    /// Which message.
    pub key: MessageKey,
    /// The account's name.
    pub account: String,
    /// The mailbox's name, decoded; not fit for a terminal without escaping.
    pub mailbox: String,
    /// Its UID there.
    pub uid: Uid,
    /// Its subject.
    pub subject: String,
    /// What is wrong with it.
    pub reason: String,
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
    let live = live_catalogue(place, id)?;
    let until = live.as_ref().map(|(_, state)| state.commit.number);
    let vouched = live.as_ref().map(|(_, state)| *state);
    // After the snapshot, so that every pack that it knows is there; with nothing taken as known.
    let files = discover(place, id, &HashSet::new())?;
    let verification = Verification { files: &files, live: live.as_ref(), id, until, vouched };
    let mut report = match depth {
        Depth::Quick => verification.quick(),
        Depth::Full => verification.full(accounts, progress),
    }?;
    report.damage.splice(0..0, identity_damage(place, id)?);
    Ok(report)
}

/// The catalogue as it is, brought up to date first if nobody writes.
fn live_catalogue(place: &Place, id: ArchiveId) -> Result<Option<(Connection, State)>> {
    if mode_for(place)? == Mode::Shared && place.catalogue.as_deref().is_some_and(Path::exists) {
        // Its damage is found again by the walk over all packs.
        catch_up(place, id, false)?;
    }
    match snapshot(place, id) {
        Ok(live) => Ok(live),
        Err(Error::Catalogue(_) | Error::CatalogueWrong { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

struct Verification<'v> {
    files: &'v PackFiles,
    live: Option<&'v (Connection, State)>,
    id: ArchiveId,
    until: Option<u64>,
    vouched: Option<State>,
}

impl Verification<'_> {
    fn quick(&self) -> Result<VerifyReport> {
        let surveyed = survey(self.files, self.id, self.vouched, self.until)?;
        let catalogue = match self.live {
            None => CatalogueFinding::Unusable,
            Some((_, state)) if state.commit == surveyed.last => CatalogueFinding::Ok,
            Some((_, state)) => CatalogueFinding::Differs {
                what: format!("it ends with commit {}, the packs with {}", state.commit, surveyed.last),
            },
        };
        let mut report = self.report(surveyed, catalogue);
        report.damage.extend(self.missing_packs()?);
        Ok(report)
    }

    fn full(
        &self,
        accounts: Option<&[String]>,
        progress: &mut dyn FnMut(VerifyProgress),
    ) -> Result<VerifyReport> {
        let fresh = catalogue::open_for_making(None, self.id)?;
        let replayed = replay_until(self.files, &fresh, self.vouched, self.until)?;
        catalogue::finish(&fresh)?;
        let mut lost = BTreeMap::new();
        let catalogue = match self.live {
            None => CatalogueFinding::Unusable,
            Some((live, _)) => match compare::first_difference(live, &fresh)? {
                None => CatalogueFinding::Ok,
                Some(what) => {
                    if !replayed.damage.is_empty() {
                        lost = query::placed_only_in(live, &fresh)?;
                    }
                    CatalogueFinding::Differs { what }
                }
            },
        };
        let mut report = self.report(replayed, catalogue);
        report.damage.extend(self.missing_packs()?);
        // What the catalogue knows beyond the packs is what damage has taken from them.
        let known = self.live.map_or(&fresh, |(live, _)| live);
        let accounts = accounts.map(|names| account_ids(known, names)).transpose()?;
        let mut hits = self.messages(known, accounts.as_deref(), &mut report, progress)?;
        for (message, reason) in lost {
            hits.entry(message).or_insert(reason);
        }
        report.messages_hit = tell_hits(known, &hits)?;
        report.damage.sort_by(|a, b| (&a.pack, a.offset).cmp(&(&b.pack, b.offset)));
        report.damage.dedup_by(|b, a| (&a.pack, a.offset) == (&b.pack, b.offset));
        Ok(report)
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
            damage: walked.damage,
            messages_hit: Vec::new(),
            catalogue,
            foreign_files: self.files.foreign().to_vec(),
        }
    }

    /// D12: packs that the catalogue knows and nobody has.
    fn missing_packs(&self) -> Result<Vec<Damage>> {
        let Some((live, _)) = self.live else { return Ok(Vec::new()) };
        let packs = query::packs(live)?.into_iter().filter(|(pack, _)| self.files.find(*pack).is_none());
        let what = "the pack is missing";
        Ok(packs
            .map(|(pack, _)| Damage { pack: pack.to_string(), offset: 0, what: what.to_owned() })
            .collect())
    }

    /// Puts every message together, and reads what no message needs; the messages that failed, with why.
    fn messages(
        &self,
        known: &Connection,
        accounts: Option<&[AccountId]>,
        report: &mut VerifyReport,
        progress: &mut dyn FnMut(VerifyProgress),
    ) -> Result<BTreeMap<MessageNumber, String>> {
        let cache = BlockCache::inspecting();
        let shelves = Shelves { catalogue: known, files: self.files, cache: &cache };
        let messages_total = query::totals(known, None)?.messages;
        let (mut hits, mut next) = (BTreeMap::new(), 1);
        loop {
            let page = query::messages_from(known, next, PAGE)?;
            let Some(last) = page.last() else { break };
            next = last.number.0 + 1;
            for row in page {
                if !belongs(known, accounts, row.number)? {
                    continue;
                }
                match read_row(&shelves, &row, &mut |_| Ok(())) {
                    Ok(()) => {}
                    Err(error) if error.is_damage() || matches!(error, Error::Io { .. }) => {
                        let reason = match error {
                            Error::Damaged { reason, .. } => reason,
                            other => other.to_string(),
                        };
                        hits.insert(row.number, reason);
                    }
                    Err(error) => return Err(error),
                }
                report.messages += 1;
                report.bytes += row.size;
            }
            progress(VerifyProgress { messages: report.messages, messages_total, bytes: report.bytes });
        }
        inspect_the_rest(&shelves)?;
        let inspection = cache.into_inspection();
        report.blobs = inspection.blobs;
        report.damage.extend(inspection.damage);
        Ok(hits)
    }
}

fn account_ids(known: &Connection, names: &[String]) -> Result<Vec<AccountId>> {
    let id = |name: &String| {
        let account = query::account(known, name)?;
        Ok(account.ok_or_else(|| Error::UnknownAccount(name.clone()))?.id)
    };
    names.iter().map(id).collect()
}

fn belongs(known: &Connection, accounts: Option<&[AccountId]>, message: MessageNumber) -> Result<bool> {
    let Some(accounts) = accounts else { return Ok(true) };
    for account in accounts {
        if query::has_had(known, *account, message)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Blocks that no message needed: of other accounts, or of messages whose record is lost.
fn inspect_the_rest(shelves: &Shelves<'_>) -> Result<()> {
    let mut next = 1;
    loop {
        let page = query::blocks_from(shelves.catalogue, next, PAGE)?;
        let Some(&last) = page.last() else { return Ok(()) };
        next = last + 1;
        for block in page {
            if !shelves.cache.has_inspected(block) {
                shelves.inspect(block)?;
            }
        }
    }
}

/// Each place of each message hit.
fn tell_hits(known: &Connection, hits: &BTreeMap<MessageNumber, String>) -> Result<Vec<MessageHit>> {
    if hits.is_empty() {
        return Ok(Vec::new());
    }
    let mut places = Vec::new();
    query::places_of(known, &|message| hits.contains_key(&message), &mut |message, at| {
        places.push((message, at));
    })?;
    let mut told = Vec::new();
    for (message, at) in places {
        let (Some(row), Some((account, mailbox, uid))) =
            (query::message_row(known, message)?, query::place_names(known, at)?)
        else {
            continue;
        };
        let reason = hits.get(&message).cloned().unwrap_or_default();
        told.push(MessageHit { key: row.key, account, mailbox, uid, subject: row.fields.subject, reason });
    }
    Ok(told)
}
