//! Header blocks by TOP: what tells messages apart without their bodies.
//!
//! The rule for messages under a new UIDL is that of [`crate::matching`], and so is the risk: equal
//! octets and an equal header block, unique on both sides. POP3 tells no received date that could
//! save more.

use std::collections::HashMap;
use std::ops::ControlFlow;

use archive::{EpochId, NewPlacement, Proof};
use bytes::Bytes;
use message::{BlobName, Flags, InternalDate, MessageKey, Uid, UidSet};
use remote::Refusal;
use remote::pop3::{HeaderSink, Number, Session};

use super::super::{Context, RunError};
use super::fetch::Want;
use super::listing::Clue;
use super::open::keys;
use crate::matching::{self, Known, Question, Stranger};

/// Recognises what it can of these messages and places it. Returns the UIDs that are placed.
pub(super) async fn recognise(
    context: &Context<'_>,
    session: &mut Session,
    epoch: EpochId,
    wants: &[Want],
    bytes_fetched: &mut u64,
) -> Result<UidSet, RunError> {
    let strangers: Vec<Stranger> = wants
        .iter()
        .filter_map(|want| Some(Stranger { uid: want.uid, size: want.octets?, date: None }))
        .collect();
    let (known, dates) = known_of_these_sizes(context, &strangers).await?;
    let questions = matching::questions(&strangers, &known);
    let asked: UidSet = questions.iter().map(uid_of).collect();
    if asked.is_empty() {
        return Ok(UidSet::new());
    }
    let numbers: HashMap<Number, Uid> =
        wants.iter().filter(|want| asked.contains(want.uid)).map(|want| (want.number, want.uid)).collect();
    let heard = headers(session, numbers.keys().copied().collect(), bytes_fetched).await?;
    let headers =
        heard.into_iter().filter_map(|(number, header)| Some((*numbers.get(&number)?, header))).collect();
    let found = matching::decide(&questions, &HashMap::new(), &HashMap::new(), &headers);
    place(context, epoch, found, dates).await
}

fn uid_of(question: &Question) -> Uid {
    match question {
        Question::Start { stranger, .. } | Question::Header { stranger, .. } => stranger.uid,
    }
}

/// What the account has of these sizes, and when it was received.
async fn known_of_these_sizes(
    context: &Context<'_>,
    strangers: &[Stranger],
) -> Result<(HashMap<u64, Vec<Known>>, HashMap<MessageKey, InternalDate>), RunError> {
    let mut sizes: Vec<u64> = strangers.iter().map(|stranger| stranger.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let account = context.account;
    let known = context.pipeline.ask(move |writer| {
        let view = writer.view();
        let (mut known, mut dates) = (HashMap::new(), HashMap::new());
        for size in sizes {
            let mut of_this_size = Vec::new();
            for candidate in view.candidates(account, size)? {
                dates.extend(candidate.internal_dates.first().map(|date| (candidate.key, date.clone())));
                let header = candidate.header.map(|blob| blob.name);
                of_this_size.push(Known { key: candidate.key, dates: Vec::new(), header });
            }
            known.insert(size, of_this_size);
        }
        Ok((known, dates))
    });
    known.await
}

async fn place(
    context: &Context<'_>,
    epoch: EpochId,
    mut found: Vec<(Uid, MessageKey)>,
    dates: HashMap<MessageKey, InternalDate>,
) -> Result<UidSet, RunError> {
    found.sort_unstable_by_key(|&(uid, _)| uid);
    let placed = found.iter().map(|&(uid, _)| uid).collect();
    let now = InternalDate::from_unix(context.started_ms.div_euclid(1_000), 0);
    let record = context.pipeline.ask(move |writer| {
        found.into_iter().try_for_each(|(uid, message)| {
            // It was received when it was received.
            let internal_date = dates.get(&message).unwrap_or(&now).clone();
            let (flags, proof) = (Flags::default(), Proof::Header);
            writer.place(epoch, uid, NewPlacement { message, internal_date, flags, proof })
        })
    });
    record.await?;
    Ok(placed)
}

/// Held messages whose header blocks are others on the server now: their UIDLs were given again.
pub(super) async fn differing(
    context: &Context<'_>,
    session: &mut Session,
    epoch: EpochId,
    held: &[(Number, Uid)],
    bytes_fetched: &mut u64,
) -> Result<UidSet, RunError> {
    let here = header_blocks(context, epoch, &held.iter().map(|&(_, uid)| uid).collect()).await?;
    let there = headers(session, held.iter().map(|&(number, _)| number).collect(), bytes_fetched).await?;
    let differs = |&(number, uid): &(Number, Uid)| match (there.get(&number), here.get(&uid)) {
        (Some(there), Some(here)) => there != here,
        // Without an answer there is no reason for doubt.
        _ => false,
    };
    Ok(held.iter().filter(|pair| differs(pair)).map(|&(_, uid)| uid).collect())
}

/// The header blocks of the messages under these UIDs, where each is one blob that can be read.
pub(super) async fn header_blocks(
    context: &Context<'_>,
    epoch: EpochId,
    uids: &UidSet,
) -> Result<HashMap<Uid, BlobName>, RunError> {
    let keys = keys(context, epoch, uids).await?;
    let blocks = context.pipeline.ask(move |writer| {
        let view = writer.view();
        let header = |(uid, key): (Uid, MessageKey)| Some((uid, view.header_of(&key).ok().flatten()?.name));
        Ok(keys.into_iter().filter_map(header).collect())
    });
    blocks.await
}

/// What each of these listed messages can be told by, where the server says it.
pub(super) async fn clues(
    session: &mut Session,
    wants: &[Want],
    bytes_fetched: &mut u64,
) -> Result<Vec<(Uid, Clue)>, RunError> {
    let heard = headers(session, wants.iter().map(|want| want.number).collect(), bytes_fetched).await?;
    let clue = |want: &Want| Some((want.uid, (want.octets?, *heard.get(&want.number)?)));
    Ok(wants.iter().filter_map(clue).collect())
}

/// The names of the header blocks that the server sends.
async fn headers(
    session: &mut Session,
    mut numbers: Vec<Number>,
    bytes_fetched: &mut u64,
) -> Result<HashMap<Number, BlobName>, RunError> {
    if !session.capabilities().top {
        return Ok(HashMap::new());
    }
    numbers.sort_unstable();
    let mut heard = Heard::default();
    session.headers(&numbers, &mut heard).await?;
    *bytes_fetched += heard.octets;
    Ok(heard.names)
}

#[derive(Default)]
struct Heard {
    names: HashMap<Number, BlobName>,
    octets: u64,
}

impl HeaderSink for Heard {
    async fn header(&mut self, number: Number, answer: Result<Bytes, Refusal>) -> ControlFlow<()> {
        // A message whose header cannot be had is fetched.
        if let Ok(bytes) = answer {
            self.octets += bytes.len() as u64;
            self.names.insert(number, BlobName::of(&bytes));
        }
        ControlFlow::Continue(())
    }
}
