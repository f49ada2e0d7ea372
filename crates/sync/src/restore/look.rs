//! A look at a mailbox of the target: what is in it, and which of it is ours.
//!
//! The same look is the plan before a folder is restored, the way to go on after a cut, and the proof
//! at the end. All messages are surveyed; of those that have the size of one of ours the header block
//! is fetched (or, to prove all bytes, the whole message); what is in doubt is settled by bytes. What
//! is left on both sides then may be the same mail, changed by the server: those with the Message-ID
//! of one of ours, or without one but with the same received date, are compared byte by byte, and
//! [`likeness`](super::likeness) says what was done to them.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use archive::View;
use bytes::Bytes;
use message::fields::Fields;
use message::{BlobName, MailboxName, MessageKey, Uid, UidSet, UidValidity};
use remote::imap::{Delivery, FetchRequest, FetchSink, Part, Refusal, Session};

use super::error::RestoreError;
use super::likeness::{Likeness, likeness};
use super::pairing::{self, Content, How, Pair, Pairing, Seen};
use super::reader::Reader;
use super::wanted::{Header, SharedFlags, Wanted};

/// Messages asked about by one FETCH command.
const BATCH_MESSAGES: usize = 500;

/// Larger messages are fetched in slices.
const LARGE: u64 = 16 << 20;
const SLICE: u32 = 8 << 20;

/// Messages of the target that may be ours, changed, are fetched by so many. A mailbox that was encrypted
/// in place has nothing else: when so many lots in a row bring none of ours, the rest is not fetched.
const SUSPECTS_AT_ONCE: usize = 200;
const MOST_FRUITLESS: usize = 2;

/// So many header blocks are asked of the archive at a time.
const HEADERS_AT_ONCE: usize = 2_000;

/// How much is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    Headers,
    Bytes,
}

/// What was seen.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) validity: Option<UidValidity>,
    pub(super) seen: Vec<Seen>,
    /// For each wanted message, in their order.
    pub(super) pairs: Vec<Option<Pair>>,
}

impl Look {
    /// A mailbox that is not there yet.
    pub(super) fn at_nothing(wanted: usize) -> Self {
        Self { validity: None, seen: Vec::new(), pairs: vec![None; wanted] }
    }

    /// The message of the target that is this one of ours.
    pub(super) fn of(&self, index: usize) -> Option<(&Seen, &How)> {
        let pair = self.pairs[index].as_ref()?;
        Some((&self.seen[pair.seen], &pair.how))
    }
}

/// Opens the mailbox read-only and finds ours in it. `given` are the UIDs that the server has given to
/// what was just sent.
pub(super) async fn look(
    reader: &Reader,
    session: &mut Session,
    mailbox: &MailboxName,
    wanted: &mut [Wanted],
    given: &HashSet<Uid>,
    depth: Depth,
) -> Result<Look, RestoreError> {
    let examined = session.examine(mailbox, None).await?;
    let mut seen = survey(session, examined.exists, given).await?;
    let known = pairing::of_known_size(wanted, &seen);
    match depth {
        Depth::Headers => {
            name_headers(reader, wanted, &seen, &known).await?;
            ask_headers(session, &mut seen, &known).await?;
        }
        Depth::Bytes => ask_bytes(session, &mut seen, &known).await?,
    }
    let mut pairing = pairing::pair(wanted, &seen);
    if !pairing.doubtful.is_empty() {
        ask_bytes(session, &mut seen, &pairing.doubtful).await?;
        pairing = pairing::pair(wanted, &seen);
    }
    find_changed(reader, session, wanted, &seen, &mut pairing).await?;
    Ok(Look { validity: examined.uid_validity, seen, pairs: pairing.pairs })
}

/// Compares the bytes of some pairs; tells those that are not as they were taken to be.
pub(super) async fn settle_by_bytes(
    session: &mut Session,
    wanted: &[Wanted],
    look: &mut Look,
    sample: &[usize],
) -> Result<Vec<usize>, RestoreError> {
    let places: Vec<usize> =
        sample.iter().filter_map(|&index| Some(look.pairs[index].as_ref()?.seen)).collect();
    ask_bytes(session, &mut look.seen, &places).await?;
    let mut wrong = Vec::new();
    for &index in sample {
        let Some(pair) = &mut look.pairs[index] else { continue };
        if look.seen[pair.seen].content == Content::Bytes(wanted[index].key) {
            pair.how = How::Bytes;
        } else {
            wrong.push(index);
        }
    }
    Ok(wrong)
}

async fn survey(session: &mut Session, exists: u32, given: &HashSet<Uid>) -> Result<Vec<Seen>, RestoreError> {
    if exists == 0 {
        return Ok(Vec::new());
    }
    let uids = session.uids().await?;
    let (mut seen, mut flags) = (Vec::new(), SharedFlags::default());
    session
        .survey(&uids, &mut |row| {
            seen.push(Seen {
                uid: row.uid,
                size: row.size,
                date: row.internal_date.unix(),
                flags: flags.share(row.flags),
                content: Content::Unknown,
                is_given: given.contains(&row.uid),
            });
        })
        .await?;
    seen.sort_unstable_by_key(|seen| seen.uid);
    Ok(seen)
}

/// Asks the archive for the header blocks of those of ours that have the size of one of theirs.
async fn name_headers(
    reader: &Reader,
    wanted: &mut [Wanted],
    seen: &[Seen],
    known: &[usize],
) -> Result<(), RestoreError> {
    let sizes: HashSet<u64> = known.iter().map(|&index| seen[index].size).collect();
    let open = |wanted: &Wanted| wanted.header == Header::NotAsked && sizes.contains(&wanted.size);
    let open: Vec<usize> = (0..wanted.len()).filter(|&index| open(&wanted[index])).collect();
    for chunk in open.chunks(HEADERS_AT_ONCE) {
        let keys: Vec<MessageKey> = chunk.iter().map(|&index| wanted[index].key).collect();
        let names = reader.ask(move |view| keys.iter().map(|key| header(view, key)).collect()).await?;
        let names: Vec<Header> = names;
        for (&index, name) in chunk.iter().zip(names) {
            wanted[index].header = name;
        }
    }
    Ok(())
}

fn header(view: &View<'_>, key: &MessageKey) -> Result<Header, archive::Error> {
    Ok(view.header_of(key)?.map_or(Header::None, |blob| Header::Named(blob.name)))
}

async fn ask_headers(session: &mut Session, seen: &mut [Seen], places: &[usize]) -> Result<(), RestoreError> {
    let mut answers = Answers::default();
    session.fetch(requests(seen, places, Part::Header), &mut answers).await?;
    for &place in places {
        if let Some(&name) = answers.headers.get(&seen[place].uid) {
            seen[place].content = Content::Header(name);
        }
    }
    Ok(())
}

/// Fetches whole messages, one after the other, and keeps their keys.
async fn ask_bytes(session: &mut Session, seen: &mut [Seen], places: &[usize]) -> Result<(), RestoreError> {
    let (large, small): (Vec<usize>, Vec<usize>) =
        places.iter().partition(|&&place| seen[place].size > LARGE);
    let mut answers = Answers::default();
    session.fetch(requests(seen, &small, Part::Plain), &mut answers).await?;
    for &place in &small {
        if let Some(&key) = answers.keys.get(&seen[place].uid) {
            seen[place].content = Content::Bytes(key);
        }
    }
    for place in large {
        if let Some(key) = key_in_slices(session, seen[place].uid, seen[place].size).await? {
            seen[place].content = Content::Bytes(key);
        }
    }
    Ok(())
}

async fn key_in_slices(
    session: &mut Session,
    uid: Uid,
    size: u64,
) -> Result<Option<MessageKey>, RestoreError> {
    let mut hasher = blake3::Hasher::new();
    let mut offset = 0;
    // One slice more than the size asks for: a message may be longer than its server says.
    while offset <= size {
        let part = Part::Slice { offset, length: SLICE };
        let mut slice = Whole::default();
        session.fetch(vec![FetchRequest { uids: UidSet::from_iter([uid]), part }], &mut slice).await?;
        let Some(bytes) = slice.0.pop() else { return Ok(None) };
        hasher.update(&bytes);
        offset += bytes.len() as u64;
        if bytes.len() < SLICE as usize {
            break;
        }
    }
    Ok(Some(hasher.finalize().into()))
}

fn requests(seen: &[Seen], places: &[usize], part: Part) -> Vec<FetchRequest> {
    let request =
        |places: &[usize]| FetchRequest { uids: places.iter().map(|&place| seen[place].uid).collect(), part };
    places.chunks(BATCH_MESSAGES).map(request).collect()
}

/// Finds ours among what is left on the target, though the server has changed them.
async fn find_changed(
    reader: &Reader,
    session: &mut Session,
    wanted: &[Wanted],
    seen: &[Seen],
    pairing: &mut Pairing,
) -> Result<(), RestoreError> {
    let missing: Vec<usize> = (0..wanted.len())
        .filter(|&index| pairing.pairs[index].is_none() && !wanted[index].lost && wanted[index].size <= LARGE)
        .collect();
    let taken = pairing.taken();
    let left: Vec<usize> =
        (0..seen.len()).filter(|place| !taken.contains(place) && seen[*place].size <= 2 * LARGE).collect();
    if missing.is_empty() || left.is_empty() {
        return Ok(());
    }
    let suspects = suspects(reader, session, wanted, &missing, seen, &left).await?;
    let mut places: Vec<usize> = suspects.values().map(|suspect| suspect.place).collect();
    // What an earlier restore has brought is the newest.
    places.sort_unstable_by(|a, b| b.cmp(a));
    let mut comparer =
        Comparer { reader, wanted, suspects, pairs: &mut pairing.pairs, found: 0, failure: None };
    let mut fruitless = 0;
    for chunk in places.chunks(SUSPECTS_AT_ONCE) {
        comparer.found = 0;
        session.fetch(requests(seen, chunk, Part::Plain), &mut comparer).await?;
        if let Some(failure) = comparer.failure {
            return Err(failure);
        }
        fruitless = if comparer.found == 0 { fruitless + 1 } else { 0 };
        if fruitless == MOST_FRUITLESS {
            tracing::debug!(compared = SUSPECTS_AT_ONCE * MOST_FRUITLESS, "none of ours has been changed");
            break;
        }
    }
    Ok(())
}

/// Compares what comes with what it may be.
struct Comparer<'a> {
    reader: &'a Reader,
    wanted: &'a [Wanted],
    suspects: HashMap<Uid, Suspect>,
    pairs: &'a mut Vec<Option<Pair>>,
    found: usize,
    failure: Option<RestoreError>,
}

/// A message of the target that may be ours although it looks otherwise.
struct Suspect {
    place: usize,
    /// Those of ours that it may be.
    candidates: Vec<usize>,
}

impl FetchSink for Comparer<'_> {
    async fn delivered(&mut self, delivery: Delivery) -> ControlFlow<()> {
        let Some(suspect) = self.suspects.remove(&delivery.uid) else { return ControlFlow::Continue(()) };
        for index in suspect.candidates {
            if self.pairs[index].is_some() {
                continue;
            }
            let (key, theirs) = (self.wanted[index].key, delivery.bytes.clone());
            match self.reader.ask(move |view| compare(view, &key, &theirs)).await {
                Ok(None) => {}
                Ok(Some(how)) => {
                    self.pairs[index] = Some(Pair { seen: suspect.place, how });
                    self.found += 1;
                    break;
                }
                Err(failure) => {
                    self.failure = Some(failure);
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    }

    async fn finished(&mut self, _request: FetchRequest, _refused: Option<Refusal>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

fn compare(view: &View<'_>, key: &MessageKey, theirs: &[u8]) -> Result<Option<How>, archive::Error> {
    let ours = match view.read_to_vec(key) {
        Ok(ours) => ours,
        Err(error) if error.is_damage() => return Ok(None),
        Err(error) => return Err(error),
    };
    Ok(match likeness(&ours, theirs) {
        Likeness::Exact => Some(How::Bytes),
        changed @ Likeness::ButFor(_) => Some(How::ButFor(changed.to_string())),
        Likeness::Different => None,
    })
}

/// Those that are left and may be ours: with the Message-ID of one of ours, or without one but with
/// the received date of one of ours that has none either.
async fn suspects(
    reader: &Reader,
    session: &mut Session,
    wanted: &[Wanted],
    missing: &[usize],
    seen: &[Seen],
    left: &[usize],
) -> Result<HashMap<Uid, Suspect>, RestoreError> {
    let mut theirs = Answers::default();
    session.fetch(requests(seen, left, Part::Fields), &mut theirs).await?;
    let mut by_id: HashMap<String, Vec<usize>> = HashMap::new();
    let mut by_date: HashMap<i64, Vec<usize>> = HashMap::new();
    for chunk in missing.chunks(HEADERS_AT_ONCE) {
        let keys: Vec<MessageKey> = chunk.iter().map(|&index| wanted[index].key).collect();
        let ours: Vec<String> =
            reader.ask(move |view| keys.iter().map(|key| message_id(view, key)).collect()).await?;
        for (&index, id) in chunk.iter().zip(ours) {
            match wanted[index].date {
                _ if !id.is_empty() => by_id.entry(id).or_default().push(index),
                Some(date) => by_date.entry(date.unix).or_default().push(index),
                None => {}
            }
        }
    }
    let suspect = |&place: &usize| {
        let seen = &seen[place];
        let id = theirs.message_ids.get(&seen.uid).filter(|id| !id.is_empty());
        let candidates = match (id, seen.date) {
            (Some(id), _) => by_id.get(id),
            (None, Some(date)) => by_date.get(&date),
            (None, None) => None,
        };
        candidates.map(|candidates| (seen.uid, Suspect { place, candidates: candidates.clone() }))
    };
    Ok(left.iter().filter_map(suspect).collect())
}

/// The Message-ID of one of ours; empty when it has none or cannot be read.
fn message_id(view: &View<'_>, key: &MessageKey) -> Result<String, archive::Error> {
    const HEADER_READ: u32 = 64 << 10;
    let length = view.header_of(key)?.map_or(HEADER_READ, |header| header.length.min(HEADER_READ));
    match view.read_start(key, length as usize) {
        Ok(start) => Ok(Fields::parse(&start).message_id),
        Err(error) if error.is_damage() => Ok(String::new()),
        Err(error) => Err(error),
    }
}

/// What the server sent, in short.
#[derive(Default)]
struct Answers {
    headers: HashMap<Uid, BlobName>,
    keys: HashMap<Uid, MessageKey>,
    message_ids: HashMap<Uid, String>,
}

impl FetchSink for Answers {
    async fn delivered(&mut self, delivery: Delivery) -> ControlFlow<()> {
        let Delivery { uid, part, bytes, .. } = delivery;
        match part {
            Part::Header => drop(self.headers.insert(uid, BlobName::of(&bytes))),
            Part::Fields => drop(self.message_ids.insert(uid, Fields::parse(&bytes).message_id)),
            Part::Whole | Part::Plain => drop(self.keys.insert(uid, MessageKey::of(&bytes))),
            Part::Slice { .. } => {}
        }
        ControlFlow::Continue(())
    }

    async fn finished(&mut self, _request: FetchRequest, _refused: Option<Refusal>) -> ControlFlow<()> {
        // What did not come stays unknown, and is not taken for one of ours.
        ControlFlow::Continue(())
    }
}

/// The bytes that the server sent.
#[derive(Default)]
struct Whole(Vec<Bytes>);

impl FetchSink for Whole {
    async fn delivered(&mut self, delivery: Delivery) -> ControlFlow<()> {
        self.0.push(delivery.bytes);
        ControlFlow::Continue(())
    }

    async fn finished(&mut self, _request: FetchRequest, _refused: Option<Refusal>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}
