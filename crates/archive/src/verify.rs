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

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::Path;

use message::{InternalDate, MessageKey, Uid};
use rusqlite::Connection;

use crate::archive::{catch_up, snapshot};
use crate::catalogue::{self, Mode, State, compare, damaged, query};
use crate::damage::{self, Damage};
use crate::error::{Error, Result};
use crate::examine::{Examined, belongs, examine};
use crate::identity::{Place, identity_damage};
use crate::ids::{AccountId, ArchiveId, CommitId, MessageNumber};
use crate::open::{discover, missing_at_the_end, missing_or_cut, mode_for, require_identity};
use crate::pack::files::PackFiles;
use crate::replay::{Replayed, Unfinished, replay_until, survey};

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

/// A message that damage hits, at one of the places where it lies or lay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessageHit {
    /// Which message; `None` where even that is lost.
    pub key: Option<MessageKey>,
    /// The account's name.
    pub account: String,
    /// The mailbox's name, decoded; not fit for a terminal without escaping.
    pub mailbox: String,
    /// Its UID there.
    pub uid: Uid,
    /// Its subject.
    pub subject: String,
    /// When the server received it.
    pub internal_date: Option<InternalDate>,
    /// Whether the server was last seen to have the message, in whatever folder: then a run may bring it
    /// back. If not, it is lost for good.
    pub on_server: bool,
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
        let mut surveyed = survey(self.files, self.id, self.vouched, self.until)?;
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

    fn full(
        &self,
        accounts: Option<&[String]>,
        progress: &mut dyn FnMut(VerifyProgress),
    ) -> Result<VerifyReport> {
        let fresh = catalogue::open_for_making(None, self.id)?;
        let mut replayed = replay_until(self.files, &fresh, self.vouched, self.until)?;
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
        let accounts = accounts.map(|names_of| account_ids(names, names_of)).transpose()?;
        let mut report = self.report(replayed, finding);

        // The packs alone decide what can be given back: a catalogue may be wrong in any way.
        let examined = examine(&fresh, self.files, accounts.as_deref(), progress)?;
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

/// Each place of each message hit.
pub(crate) fn tell_hits(
    known: &Connection,
    hits: &BTreeMap<MessageNumber, String>,
) -> Result<Vec<MessageHit>> {
    let mut told = Vec::new();
    for (&message, reason) in hits {
        for at in damaged::places(known, message)? {
            told.extend(tell_place(known, message, at, reason)?);
        }
    }
    told.sort_by(MessageHit::by_place);
    Ok(told)
}

/// One place of a message hit.
fn tell_place(
    known: &Connection,
    message: MessageNumber,
    at: i64,
    reason: &str,
) -> Result<Option<MessageHit>> {
    let (Some(row), Some((account, mailbox, uid))) =
        (query::message_row(known, message)?, query::place_names(known, at)?)
    else {
        return Ok(None);
    };
    Ok(Some(MessageHit {
        key: Some(row.key),
        account,
        mailbox,
        uid,
        subject: row.fields.subject,
        internal_date: damaged::date_at(known, at, message)?,
        on_server: damaged::is_live(known, message)?,
        reason: reason.to_owned(),
    }))
}

impl MessageHit {
    fn by_place(&self, other: &Self) -> std::cmp::Ordering {
        (&self.account, &self.mailbox, self.uid).cmp(&(&other.account, &other.mailbox, other.uid))
    }
}

/// Places of which only this much is known: that a message lay there.
pub(crate) fn tell_dangling(
    names: &Connection,
    packs_say: &Connection,
    dangling: &BTreeSet<i64>,
) -> Result<Vec<MessageHit>> {
    let mut told = Vec::new();
    for &at in dangling {
        // Where a catalogue knows the message, it has been told by its name.
        if query::has_place(names, at)? || query::has_place(packs_say, at)? {
            continue;
        }
        let Some((account, mailbox, uid)) = query::place_names(packs_say, at)? else { continue };
        let reason = "the record that says which message lay there is lost".to_owned();
        let (subject, internal_date) = (String::new(), None);
        told.push(MessageHit {
            key: None,
            account,
            mailbox,
            uid,
            subject,
            internal_date,
            on_server: true,
            reason,
        });
    }
    Ok(told)
}
