//! The packs read from where the catalogue has come to, and applied to it.
//!
//! A replay walks the packs in order, chains the commits, applies those that count, and says where
//! writing can go on. Which commits count (rules C3 to C8):
//!
//! * A commit behind which another commit or a later pack lies was synced: it counts, and what is
//!   damaged in it is damage.
//! * The very last commit may have been cut off by a crash: it counts only if every byte of it is
//!   right, unless the catalogue had applied it already, which happens only after the sync.
//! * A pack whose header was never written, and that no successor names, is void: what a power cut has
//!   left of a pack's beginning.
//! * What lies in a pack behind the end that its successor names was given up and is void. What lies
//!   before that end and has lost its commit record counts all the same.
//!
//! Invariant: nothing here changes a pack.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::Range;

use rusqlite::Connection;

use crate::block::Directory;
use crate::catalogue::apply::Applier;
use crate::catalogue::{self, State, query, retired};
use crate::damage::{Damage, DamageKind, sort_out};
use crate::disk::is_medium_error;
use crate::error::{Context as _, Error, Result};
use crate::frame::{CommitFields, Kind, NextNumbers};
use crate::ids::{ArchiveId, CommitId, PackId};
use crate::journal::codec::{self, JournalError};
use crate::pack::files::{Header, PackFile, PackFiles};
use crate::pack::header::{FORMAT_VERSION, PACK_HEADER_BYTES};
use crate::pack::reader::{Decoder, Fault, PackReader, decoder};
use crate::pack::replaces::Replaces;
use crate::pack::walk::{Event, FoundCommit, FrameAt, Walk};
use crate::pack::writer::StoredBlock;

/// A commit at the very end of the archive that is not whole and does not count. A power cut or a killed
/// process leaves that behind, and then nobody was told that it had been kept; so it is no damage. (If
/// none has happened, damage has taken the last commit, and no catalogue was there to tell.)
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The file.
    pub pack: String,
    /// Where it begins.
    pub offset: u64,
}

/// What lies in the last pack behind its last commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tail {
    /// Nothing.
    None,
    /// Bytes without a commit among them.
    Torn,
    /// A commit that was not written whole.
    TornCommit,
}

/// What a replay found.
#[derive(Debug)]
pub(crate) struct Replayed {
    pub(crate) last: CommitId,
    pub(crate) next: NextNumbers,
    /// Damage that the journal does not know yet.
    pub(crate) damage: Vec<Damage>,
    /// Damage that `repair` has found before.
    pub(crate) known_damage: Vec<Damage>,
    /// The pack with the last commit that counts, and where that ends; `None` when there is no commit.
    pub(crate) end: Option<(PackId, u64)>,
    pub(crate) tail: Tail,
    pub(crate) unfinished: Option<Unfinished>,
    /// Whether the medium did not give what lies behind the last commit: there may be another.
    pub(crate) unreadable: bool,
    /// Whether the last pack can be continued, as far as its content goes.
    pub(crate) intact: bool,
    pub(crate) commits: u64,
    /// Frames of those commits, without their commit frames.
    pub(crate) frames: u64,
    /// Places whose message was lost to damage.
    pub(crate) dangling: BTreeSet<i64>,
}

/// Applies to the catalogue what the packs have beyond it. `vouched` is what an earlier catalogue had
/// applied, when this one is new.
///
/// # Errors
/// Those of the file system and of SQLite, and packs that a newer version has written. Damage is not
/// an error: it is listed.
pub(crate) fn replay(files: &PackFiles, to: &Connection, vouched: Option<State>) -> Result<Replayed> {
    replay_until(files, to, vouched, None, &mut || Ok(()))
}

/// [`replay`] that leaves out what comes after commit `until`. `go_on` is asked often; its error ends it.
pub(crate) fn replay_until(
    files: &PackFiles,
    to: &Connection,
    vouched: Option<State>,
    until: Option<u64>,
    go_on: &mut dyn FnMut() -> Result<()>,
) -> Result<Replayed> {
    let state =
        catalogue::state(to)?.ok_or(Error::CatalogueWrong { what: "it does not say how far it has come" })?;
    to.execute_batch("BEGIN IMMEDIATE")?;
    let replayed = Replay::new(files, Some(to), &state, (vouched, until), go_on).finish(&state)?;
    to.execute_batch("COMMIT")?;
    Ok(replayed)
}

/// The same walk over all packs, with nothing applied: structure, checksums of headers, the chain.
pub(crate) fn survey(
    files: &PackFiles,
    id: ArchiveId,
    vouched: Option<State>,
    until: Option<u64>,
    go_on: &mut dyn FnMut() -> Result<()>,
) -> Result<Replayed> {
    let state = State { archive: id, commit: CommitId::NONE, position: None, next: NextNumbers::default() };
    Replay::new(files, None, &state, (vouched, until), go_on).finish(&state)
}

/// How far each pack counts, in the words of its successor, or of itself if it was made by compaction: bytes,
/// and the commit with which they end.
fn claims(files: &PackFiles) -> HashMap<PackId, (u64, CommitId)> {
    let mut claims: HashMap<PackId, (u64, CommitId)> = HashMap::new();
    let mut note = |pack, length, base: CommitId| {
        let claim = claims.entry(pack).or_insert((length, base));
        if (length, base.number) > (claim.0, claim.1.number) {
            *claim = (length, base);
        }
    };
    for file in files.packs() {
        if let Some(replaces) = files.replaces(file.pack) {
            note(file.pack, replaces.length, replaces.last);
        }
        let Header::Read(header) = &file.header else { continue };
        let Some(previous) = header.previous else { continue };
        match files.standing_for(previous.pack).filter(|stand_in| stand_in.pack != previous.pack) {
            Some(stand_in) => {
                let length = files.replaces(stand_in.pack).map_or(stand_in.length, |all| all.length);
                note(stand_in.pack, length, header.base);
            }
            None => note(previous.pack, previous.length, header.base),
        }
    }
    claims
}

/// What later packs say of a pack.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// One names it, or might have: what it held was synced.
    Vouched,
    /// The next one names a pack that is missing, and that one may have named this; it could do so only if
    /// this one ends with that commit or an earlier one.
    BeforeMissing(u64),
    /// None follows.
    Last,
    /// One follows that names an earlier pack.
    Passed,
}

/// A commit that waits for a sign that it was synced.
struct Pending {
    reader: PackReader,
    commit: FoundCommit,
    confirmed: bool,
    /// What is wrong with it, if it counts; if it does not, it was never written whole.
    doubts: Vec<Damage>,
}

struct Replay<'r> {
    files: &'r PackFiles,
    /// `None`: nothing is applied, the walk is all.
    to: Option<&'r Connection>,
    until: Option<u64>,
    go_on: &'r mut dyn FnMut() -> Result<()>,
    /// Whether a commit beyond `until` was met.
    stopped: bool,
    /// The pack that is being read.
    walking: Option<PackId>,
    applier: Applier,
    decoder: Decoder,
    claims: HashMap<PackId, (u64, CommitId)>,
    vouched: Option<((PackId, u64), CommitId)>,
    /// The last commit seen, applied or waiting.
    last: CommitId,
    pending: Option<Pending>,
    /// What was odd since the last commit: damage, if a commit follows that counts, else a torn tail.
    doubts: Vec<Damage>,
    replayed: Replayed,
}

impl<'r> Replay<'r> {
    fn new(
        files: &'r PackFiles,
        to: Option<&'r Connection>,
        state: &State,
        (vouched, until): (Option<State>, Option<u64>),
        go_on: &'r mut dyn FnMut() -> Result<()>,
    ) -> Self {
        let replayed = Replayed {
            last: state.commit,
            next: state.next,
            damage: Vec::new(),
            known_damage: Vec::new(),
            end: state.position,
            tail: Tail::None,
            unfinished: None,
            unreadable: false,
            intact: true,
            commits: 0,
            frames: 0,
            dangling: BTreeSet::new(),
        };
        Self {
            files,
            to,
            until,
            go_on,
            stopped: false,
            walking: None,
            applier: Applier::default(),
            decoder: decoder(),
            claims: claims(files),
            vouched: vouched.and_then(|state| Some((state.position?, state.commit))),
            last: state.commit,
            pending: None,
            doubts: Vec::new(),
            replayed,
        }
    }

    fn finish(mut self, state: &State) -> Result<Replayed> {
        self.run(state)?;
        self.replayed.dangling = std::mem::take(&mut self.applier.dangling);
        if let Some(to) = self.to {
            let found = std::mem::take(&mut self.replayed.damage);
            (self.replayed.damage, self.replayed.known_damage) = sort_out(to, found)?;
        }
        Ok(self.replayed)
    }

    fn run(&mut self, state: &State) -> Result<()> {
        let packs = self.files.packs();
        let start = match state.position {
            Some((pack, _)) => packs.iter().position(|file| file.pack == pack),
            None => Some(0),
        };
        let start = start.ok_or(Error::CatalogueWrong { what: "its last pack is missing" })?;
        let known = state.position.or(self.vouched.map(|(position, _)| position)).map(|(pack, _)| pack);
        let void = self.void_packs(known)?;
        let mut rest = packs[start..].iter().filter(|file| !void.contains(&file.pack)).peekable();
        while let Some(file) = rest.next().filter(|_| !self.stopped) {
            if let Some(pending) = &mut self.pending {
                pending.confirmed = true;
            }
            let from = match state.position {
                Some((pack, end)) if pack == file.pack => end,
                _ => PACK_HEADER_BYTES as u64,
            };
            // Where a later pack is whole and does not name this one, its writer has not counted it.
            let standing = match rest.peek().map(|next| &next.header) {
                _ if self.claims.contains_key(&file.pack) => Standing::Vouched,
                None => Standing::Last,
                Some(Header::Read(next)) => match next.previous {
                    Some(previous) if self.files.standing_for(previous.pack).is_none() => {
                        Standing::BeforeMissing(next.base.number)
                    }
                    _ => Standing::Passed,
                },
                Some(_) => Standing::Vouched,
            };
            self.pack(file, from, standing)?;
        }
        self.apply_pending()
    }

    /// P8: packs that a power cut has left half begun. Their header was never written, no successor
    /// names them, and a catalogue does not know them. If a later pack is whole, its writer did not count
    /// them; the last ones may still have lost a header to damage: then more than one commit is in them,
    /// for the second is written only when the first and the header were synced.
    fn void_packs(&self, known: Option<PackId>) -> Result<HashSet<PackId>> {
        let (mut void, mut has_successor) = (HashSet::new(), false);
        for file in self.files.packs().iter().rev() {
            let unwritten = file.header == Header::Unwritten;
            let unnamed = known != Some(file.pack) && !self.claims.contains_key(&file.pack);
            if unwritten && unnamed && (has_successor || self.commits_in(file)? < 2) {
                void.insert(file.pack);
            } else {
                has_successor |= !unwritten;
            }
        }
        Ok(void)
    }

    fn commits_in(&self, file: &PackFile) -> Result<usize> {
        let path = self.files.dir().join(&*file.name);
        let reader = self.files.reader(file.pack)?;
        let mut walk = Walk::new(&reader, (PACK_HEADER_BYTES as u64).min(file.length), file.length);
        let mut count = 0;
        while let Some(event) = walk.next().doing("read", &path)? {
            count += usize::from(matches!(event, Event::Commit(_)));
        }
        Ok(count)
    }

    fn pack(&mut self, file: &PackFile, from: u64, standing: Standing) -> Result<()> {
        self.walking = Some(file.pack);
        let sealed = self.to.map_or(Ok(false), |to| query::is_sealed(to, file.pack))?;
        (self.replayed.tail, self.replayed.intact) = (Tail::None, !sealed);
        self.replayed.unreadable |= standing == Standing::Last && file.header == Header::Unreadable;
        if matches!(file.header, Header::Damaged | Header::Unreadable | Header::Unwritten) {
            let header = 0..(PACK_HEADER_BYTES as u64).min(file.length);
            self.note(file, header, DamageKind::Bytes, "the pack's header is damaged".to_owned());
        }
        let path = self.files.dir().join(&*file.name);
        let reader = self.files.reader(file.pack)?;
        let claim = self.claims.get(&file.pack).copied();
        let limit = match claim {
            Some((length, _)) if length > file.length => {
                let what = format!("the pack has {} bytes, its successor knows {length}", file.length);
                self.note(file, file.length..length, DamageKind::Bytes, what);
                file.length
            }
            Some((length, _)) => length,
            None => file.length,
        };
        let mut walk = Walk::new(&reader, from.min(limit), limit);
        while let Some(event) = walk.next().doing("read", &path)? {
            (self.go_on)()?;
            if self.stopped {
                return self.apply_pending();
            }
            match event {
                Event::Commit(commit) => self.commit((file, standing), &reader, commit)?,
                Event::Damage { bytes, what } => self.doubt(file, bytes, DamageKind::Bytes, what),
                Event::End { frames, last_frame_end, torn } => {
                    let claimed = claim.map(|(_, base)| base);
                    if self.is_vouched(standing) {
                        self.replayed.damage.append(&mut self.doubts);
                    }
                    self.end(file, &reader, frames, (last_frame_end, limit, torn), claimed)?;
                }
            }
        }
        if let Some(offset) = walk.unreadable() {
            // W2: not a torn tail, whatever stands there.
            let bytes = offset..file.length.max(offset);
            self.note(file, bytes, DamageKind::Bytes, "the medium does not give these bytes".to_owned());
            self.replayed.unreadable |= standing == Standing::Last;
        }
        if self.is_vouched(standing) { Ok(()) } else { self.settle_last(file, standing) }
    }

    /// Whether what has been read of a pack was synced, by what later packs say.
    fn is_vouched(&self, standing: Standing) -> bool {
        match standing {
            Standing::Vouched => true,
            Standing::BeforeMissing(commit) => self.last.number <= commit,
            Standing::Last | Standing::Passed => false,
        }
    }

    fn commit(
        &mut self,
        (file, standing): (&PackFile, Standing),
        reader: &PackReader,
        commit: FoundCommit,
    ) -> Result<()> {
        let number = commit.fields.number;
        // Behind a pack that was passed over the numbers go on from an earlier one.
        if standing != Standing::Passed && self.until.is_some_and(|until| number > until) {
            self.stopped = true;
            return Ok(());
        }
        if number <= self.last.number {
            let what =
                format!("commit {number} comes after commit {}: another history, left out", self.last.number);
            let bytes = commit.fields.first_offset.min(commit.end)..commit.end;
            self.note(file, bytes, DamageKind::OtherHistory, what);
            return Ok(());
        }
        let begins = commit.fields.first_number();
        if begins > self.last.number + 1 {
            let (first, last) = (self.last.number + 1, begins - 1);
            let (at, count) = (commit.fields.first_offset, begins - first);
            let what = format!("commits {first} to {last} are missing before it");
            self.doubt(file, at..at, DamageKind::CommitsMissing { first, count }, what);
        } else if commit.fields.previous_check != self.last.check {
            let before = begins.saturating_sub(1);
            let what = format!("commit {begins} continues another commit {before} than the one found");
            let at = commit.fields.first_offset;
            self.doubt(file, at..at, DamageKind::Commit, what);
        }
        let doubts = std::mem::take(&mut self.doubts);
        self.apply_pending()?;
        self.last = CommitId { number, check: commit.check };
        self.pending = Some(Pending { reader: reader.clone(), commit, confirmed: false, doubts });
        Ok(())
    }

    /// The end of a pack: what lies behind its last commit.
    fn end(
        &mut self,
        file: &PackFile,
        reader: &PackReader,
        frames: Vec<FrameAt>,
        (last_frame_end, limit, torn): (u64, u64, bool),
        claimed: Option<CommitId>,
    ) -> Result<()> {
        let doubts = std::mem::take(&mut self.doubts);
        if let Some(base) = claimed {
            self.replayed.damage.extend(doubts);
            if torn {
                let what = "no frame can be read there".to_owned();
                self.note(file, last_frame_end..limit.max(last_frame_end), DamageKind::Bytes, what);
            }
            return self.salvage(file, reader, frames, base, last_frame_end);
        }
        if torn || !frames.is_empty() {
            self.replayed.tail = Tail::Torn;
        }
        let vouched = self.vouched.filter(|((pack, _), _)| *pack == file.pack);
        if let Some(((_, end), commit)) = vouched {
            self.replayed.damage.extend(doubts.into_iter().filter(|doubt| doubt.offset < end));
            if torn && last_frame_end < end.min(limit) {
                let what = "no frame can be read there".to_owned();
                self.note(file, last_frame_end..end.min(limit), DamageKind::Bytes, what);
            }
            let frames: Vec<FrameAt> = frames.into_iter().filter(|frame| frame.offset < end).collect();
            // Only so much is said to count as can be read: the next pack's header will say it too.
            let end = frames.last().map_or(end, |frame| frame.bytes().end);
            return self.salvage(file, reader, frames, commit, end);
        }
        Ok(())
    }

    /// C6: frames that lost their commit record, and are known to have been committed.
    fn salvage(
        &mut self,
        file: &PackFile,
        reader: &PackReader,
        frames: Vec<FrameAt>,
        base: CommitId,
        end: u64,
    ) -> Result<()> {
        let Some(first) = frames.first().map(|frame| frame.offset).filter(|_| base.number > self.last.number)
        else {
            return Ok(());
        };
        let what = format!("the record of commit {} is lost; its frames are not", base.number);
        self.note(file, first..first, DamageKind::Commit, what);
        let fields = CommitFields {
            number: base.number,
            previous_check: self.last.check,
            first_offset: first,
            frames: frames.len() as u64,
            frames_check: [0; 16],
            unix_ms: 0,
            next: self.numbers_used(reader, &frames),
            stands_for: None,
        };
        self.apply_pending()?;
        self.last = base;
        let commit = FoundCommit { fields, check: base.check, frames, whole: true, end, seals: false };
        self.pending = Some(Pending { reader: reader.clone(), commit, confirmed: true, doubts: vec![] });
        self.replayed.intact = false;
        Ok(())
    }

    /// The numbers that these frames use, for a commit whose own record of them is lost.
    fn numbers_used(&mut self, reader: &PackReader, frames: &[FrameAt]) -> NextNumbers {
        let mut next = self.replayed.next;
        for frame in frames {
            match read_frame(reader, frame, &mut self.decoder) {
                Ok(Content::Block(directory)) => {
                    next = next.max(directory.next_numbers());
                }
                Ok(Content::Journal { keys, records }) => {
                    let mut journal = codec::Decoder::new(&keys, &records);
                    while let Ok(Some(record)) = journal.next() {
                        next = next.max(record.next_numbers());
                    }
                }
                Ok(Content::Replaces(_) | Content::Nothing) | Err(_) => {}
            }
        }
        next
    }

    fn apply_pending(&mut self) -> Result<()> {
        let Some(Pending { reader, commit, doubts, .. }) = self.pending.take() else { return Ok(()) };
        self.replayed.damage.extend(doubts);
        if !commit.whole {
            let what = format!("commit {} does not have the frames that it names", commit.fields.number);
            let at = commit.fields.first_offset;
            self.note_in(&reader, at..at, DamageKind::Commit, what);
        }
        let (id, position) =
            (CommitId { number: commit.fields.number, check: commit.check }, (reader.pack, commit.end));
        let mut next = commit.fields.next;
        if let Some(to) = self.to {
            // A commit says which numbers are free; one that is forged may say so of numbers in use.
            next = next.max(self.apply(to, &reader, &commit)?);
            self.applier.commit(to, id, position, next)?;
        }
        self.replayed.frames += commit.frames.len() as u64;
        self.replayed.next = self.replayed.next.max(next);
        self.replayed.last = id;
        self.replayed.commits += 1;
        self.replayed.end = Some(position);
        if self.walking == Some(reader.pack) {
            self.replayed.intact &= !commit.seals;
        }
        Ok(())
    }

    /// Applies what can be read of a commit's frames; the numbers that come after those in them.
    fn apply(&mut self, to: &Connection, reader: &PackReader, commit: &FoundCommit) -> Result<NextNumbers> {
        let mut next = NextNumbers::default();
        let pack = self.applier.pack(to, reader.pack, commit.end, commit.seals)?;
        for frame in &commit.frames {
            match read_frame(reader, frame, &mut self.decoder) {
                Ok(Content::Block(directory)) => {
                    next = next.max(directory.next_numbers());
                    let (offset, header) = (frame.offset, &frame.header);
                    let (directory_bytes, body_bytes) = (header.meta_length.into(), header.body_length);
                    let block = StoredBlock { offset, directory_bytes, body_bytes, directory };
                    self.applier.block(to, pack, &block)?;
                }
                Ok(Content::Journal { keys, records }) => {
                    next = next.max(self.journal(to, reader, frame, (&keys, &records))?);
                }
                Ok(Content::Replaces(replaces)) => retired::note(to, reader.pack, &replaces)?,
                Ok(Content::Nothing) => {}
                Err(FrameProblem::Fault(Fault::Io(error))) if !is_medium_error(&error) => {
                    return Err(error).doing("read", &self.files.dir().join(&*reader.name));
                }
                Err(FrameProblem::Fault(fault)) => {
                    self.note_in(reader, frame.bytes(), frame.damage_kind(), fault.to_string());
                }
                Err(FrameProblem::Newer(kind)) => return Err(newer(reader, kind)),
            }
        }
        Ok(next)
    }

    fn journal(
        &mut self,
        to: &Connection,
        reader: &PackReader,
        frame: &FrameAt,
        (keys, records): (&[u8], &[u8]),
    ) -> Result<NextNumbers> {
        let mut journal = codec::Decoder::new(keys, records);
        let mut next = NextNumbers::default();
        loop {
            match journal.next() {
                Ok(Some(record)) => {
                    next = next.max(record.next_numbers());
                    self.applier.record(to, &record)?;
                }
                Ok(None) => return Ok(next),
                Err(JournalError::UnknownRecord(kind)) => return Err(newer(reader, kind)),
                Err(error) => {
                    self.note_in(reader, frame.bytes(), DamageKind::Bytes, error.to_string());
                    return Ok(next);
                }
            }
        }
    }

    /// C5: whether the very last commit counts.
    fn settle_last(&mut self, file: &PackFile, standing: Standing) -> Result<()> {
        let Some(pending) = self.pending.take() else { return Ok(()) };
        let id = CommitId { number: pending.commit.fields.number, check: pending.commit.check };
        let acknowledged = self.vouched.is_some_and(|(_, commit)| {
            commit == id || standing == Standing::Last && commit.number > id.number
        });
        // K6: a compacted pack was put in place when it was whole.
        let was_whole = pending.commit.fields.stands_for.is_some();
        if pending.confirmed || acknowledged || was_whole || self.is_whole(file, &pending)? {
            self.pending = Some(pending);
            return self.apply_pending();
        }
        self.last = self.replayed.last;
        if standing == Standing::Last {
            self.replayed.tail = Tail::TornCommit;
            let (pack, offset) = (pending.reader.name.to_string(), pending.commit.fields.first_offset);
            self.replayed.unfinished = Some(Unfinished { pack, offset });
        }
        Ok(())
    }

    /// Whether every byte of a commit is right. What the medium does not give is not, and is damage.
    fn is_whole(&mut self, file: &PackFile, pending: &Pending) -> Result<bool> {
        if !pending.commit.whole {
            return Ok(false);
        }
        for frame in pending.commit.fields.own(&pending.commit.frames) {
            let (reader, offset) = (&pending.reader, frame.offset);
            let read =
                reader.meta(&frame.header, offset).and_then(|_| reader.stored_body(&frame.header, offset));
            match read {
                Ok(_) => {}
                Err(Fault::Io(error)) if !is_medium_error(&error) => {
                    return Err(error).doing("read", &self.files.dir().join(&*file.name));
                }
                Err(fault) => {
                    if let Fault::Io(_) = fault {
                        self.replayed.unreadable = true;
                        self.note_in(reader, frame.bytes(), frame.damage_kind(), fault.to_string());
                    }
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Notes what is damage if a commit behind it counts.
    fn doubt(&mut self, file: &PackFile, bytes: Range<u64>, kind: DamageKind, what: String) {
        self.replayed.intact = false;
        self.doubts.push(damage((file.pack, &file.name), bytes, kind, what));
    }

    fn note(&mut self, file: &PackFile, bytes: Range<u64>, kind: DamageKind, what: String) {
        self.replayed.intact = false;
        self.replayed.damage.push(damage((file.pack, &file.name), bytes, kind, what));
    }

    fn note_in(&mut self, reader: &PackReader, bytes: Range<u64>, kind: DamageKind, what: String) {
        self.replayed.intact = false;
        self.replayed.damage.push(damage((reader.pack, &reader.name), bytes, kind, what));
    }
}

fn damage((id, name): (PackId, &str), bytes: Range<u64>, kind: DamageKind, what: String) -> Damage {
    let (offset, length) = (bytes.start, bytes.end - bytes.start);
    Damage { pack: name.to_owned(), offset, length, what, id, kind }
}

fn newer(reader: &PackReader, kind: u8) -> Error {
    let what = format!("{} (kind {kind})", reader.name);
    Error::NewerFormat { what, found: u64::from(FORMAT_VERSION) + 1, known: FORMAT_VERSION.into() }
}

/// What a frame means to the catalogue.
enum Content {
    Block(Directory),
    Journal { keys: Vec<u8>, records: Vec<u8> },
    Replaces(Replaces),
    Nothing,
}

enum FrameProblem {
    Fault(Fault),
    Newer(u8),
}

impl From<Fault> for FrameProblem {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

/// Of a block only the directory is read.
fn read_frame(reader: &PackReader, frame: &FrameAt, decoder: &mut Decoder) -> Result<Content, FrameProblem> {
    match frame.header.kind {
        Kind::Block => {
            let meta = reader.meta(&frame.header, frame.offset)?;
            let directory = Directory::decode(&meta, frame.header.plain_length);
            Ok(Content::Block(directory.map_err(Fault::Content)?))
        }
        Kind::Journal => {
            let (keys, records) = reader.contents(&frame.header, frame.offset, decoder)?;
            Ok(Content::Journal { keys, records })
        }
        Kind::Replaces => {
            let meta = reader.meta(&frame.header, frame.offset)?;
            Ok(Content::Replaces(Replaces::decode(&meta).map_err(Fault::Content)?))
        }
        Kind::Commit | Kind::Seal => check_only(reader, frame),
        Kind::Other(_) if frame.header.skippable => check_only(reader, frame),
        Kind::Other(kind) => Err(FrameProblem::Newer(kind)),
    }
}

/// A frame that means nothing to the catalogue is to be whole all the same.
fn check_only(reader: &PackReader, frame: &FrameAt) -> Result<Content, FrameProblem> {
    reader.meta(&frame.header, frame.offset)?;
    reader.stored_body(&frame.header, frame.offset)?;
    Ok(Content::Nothing)
}
