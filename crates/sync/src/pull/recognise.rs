//! Asking the server just enough to recognise messages that the archive holds under another UID.
//!
//! The rule, and what it risks, is in [`crate::matching`]; here its questions are put to the archive
//! and to the server, and what was recognised is placed.

use std::collections::HashMap;
use std::ops::ControlFlow;

use archive::{EpochId, NewPlacement, Proof};
use message::{BlobName, MessageKey, Uid, UidSet};
use remote::imap::{Delivery, FetchRequest, FetchSink, Part, Refusal, Session, Surveyed};

use super::{Context, RunError};
use crate::matching::{self, Known, Question, Stranger, start_length};

/// Messages asked about by one FETCH command.
const BATCH_MESSAGES: usize = 1_000;

/// Recognises what it can of these messages and places it. Returns the UIDs that are placed.
pub(super) async fn recognise(
    context: &Context<'_>,
    session: &mut Session,
    epoch: EpochId,
    messages: &[Surveyed],
    bytes_fetched: &mut u64,
) -> Result<UidSet, RunError> {
    let strangers: Vec<Stranger> = messages
        .iter()
        .map(|message| Stranger { uid: message.uid, size: message.size, date: message.internal_date.unix() })
        .collect();
    let known = known_of_these_sizes(context, &strangers).await?;
    let questions = matching::questions(&strangers, &known);
    if questions.is_empty() {
        return Ok(UidSet::new());
    }
    let answers = ask_server(session, &questions, bytes_fetched).await?;
    let known_start = beginnings(context, &questions).await?;
    let found = matching::decide(&questions, &answers.starts, &known_start, &answers.headers);
    place(context, epoch, messages, found).await
}

async fn known_of_these_sizes(
    context: &Context<'_>,
    strangers: &[Stranger],
) -> Result<HashMap<u64, Vec<Known>>, RunError> {
    let mut sizes: Vec<u64> = strangers.iter().map(|stranger| stranger.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let account = context.account;
    let known = context.pipeline.ask(move |writer| {
        let view = writer.view();
        let mut known = HashMap::new();
        for size in sizes {
            let candidates = view.candidates(account, size)?;
            if !candidates.is_empty() {
                known.insert(size, candidates.into_iter().map(known_message).collect());
            }
        }
        Ok(known)
    });
    known.await
}

fn known_message(candidate: archive::Candidate) -> Known {
    Known {
        key: candidate.key,
        dates: candidate.internal_dates.iter().filter_map(message::InternalDate::unix).collect(),
        header: candidate.header.map(|blob| blob.name),
    }
}

async fn ask_server(
    session: &mut Session,
    questions: &[Question],
    bytes_fetched: &mut u64,
) -> Result<Answers, RunError> {
    let mut parts: HashMap<Part, Vec<Uid>> = HashMap::new();
    for question in questions {
        let (part, uid) = match question {
            Question::Start { stranger, .. } => {
                (Part::Slice { offset: 0, length: start_length(stranger.size) }, stranger.uid)
            }
            Question::Header { stranger, .. } => (Part::Header, stranger.uid),
        };
        parts.entry(part).or_default().push(uid);
    }
    ask(session, parts, bytes_fetched).await
}

/// Asks for a part of each of these messages.
pub(super) async fn ask(
    session: &mut Session,
    parts: HashMap<Part, Vec<Uid>>,
    bytes_fetched: &mut u64,
) -> Result<Answers, RunError> {
    let mut parts: Vec<(Part, Vec<Uid>)> = parts.into_iter().collect();
    parts.sort_by_key(|(_, uids)| uids.first().copied());
    let requests = parts.into_iter().flat_map(|(part, uids)| {
        let sets =
            uids.chunks(BATCH_MESSAGES).map(|uids| uids.iter().copied().collect()).collect::<Vec<UidSet>>();
        sets.into_iter().map(move |uids| FetchRequest { uids, part })
    });
    let mut answers = Answers::default();
    session.fetch(requests.collect(), &mut answers).await?;
    *bytes_fetched += answers.octets;
    Ok(answers)
}

/// What the server sent.
#[derive(Default)]
pub(super) struct Answers {
    starts: HashMap<Uid, Vec<u8>>,
    pub(super) headers: HashMap<Uid, BlobName>,
    octets: u64,
}

impl FetchSink for Answers {
    async fn delivered(&mut self, delivery: Delivery) -> ControlFlow<()> {
        self.octets += delivery.bytes.len() as u64;
        match delivery.part {
            Part::Header => drop(self.headers.insert(delivery.uid, BlobName::of(&delivery.bytes))),
            Part::Slice { length, .. } if delivery.bytes.len() == length as usize => {
                self.starts.insert(delivery.uid, delivery.bytes.to_vec());
            }
            // Shorter than asked for: no beginning of a message of the size that was told.
            Part::Slice { .. } | Part::Whole | Part::Plain | Part::Fields => {}
        }
        ControlFlow::Continue(())
    }

    async fn finished(&mut self, _request: FetchRequest, _refused: Option<Refusal>) -> ControlFlow<()> {
        // Without an answer there is no match, and the message is fetched.
        ControlFlow::Continue(())
    }
}

/// The beginnings of the candidates, from the archive. A damaged candidate is no candidate.
async fn beginnings(
    context: &Context<'_>,
    questions: &[Question],
) -> Result<HashMap<MessageKey, Vec<u8>>, RunError> {
    let mut wanted: HashMap<MessageKey, usize> = HashMap::new();
    for question in questions {
        if let Question::Start { stranger, candidates } = question {
            wanted.extend(candidates.iter().map(|&key| (key, start_length(stranger.size) as usize)));
        }
    }
    let read = context.pipeline.ask(move |writer| {
        let view = writer.view();
        Ok(wanted
            .into_iter()
            .filter_map(|(key, length)| Some((key, view.read_start(&key, length).ok()?)))
            .collect())
    });
    read.await
}

async fn place(
    context: &Context<'_>,
    epoch: EpochId,
    messages: &[Surveyed],
    found: Vec<(Uid, MessageKey)>,
) -> Result<UidSet, RunError> {
    let by_uid: HashMap<Uid, &Surveyed> = messages.iter().map(|message| (message.uid, message)).collect();
    let mut placements = Vec::with_capacity(found.len());
    for (uid, message) in found {
        if let Some(seen) = by_uid.get(&uid) {
            let (internal_date, flags) = (seen.internal_date.clone(), seen.flags.clone());
            placements.push((uid, NewPlacement { message, internal_date, flags, proof: Proof::Header }));
        }
    }
    placements.sort_by_key(|(uid, _)| *uid);
    let placed = placements.iter().map(|(uid, _)| *uid).collect();
    let record = context.pipeline.ask(move |writer| {
        placements.into_iter().try_for_each(|(uid, placement)| writer.place(epoch, uid, placement))
    });
    record.await?;
    Ok(placed)
}
