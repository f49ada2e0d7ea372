//! Sending what is missing: batches of messages, some on the line and the next ones being read.
//!
//! With MULTIAPPEND a command carries up to [`BATCH_BYTES`]; the server takes all of it or nothing. A
//! batch that is refused is halved until the message is found that it does not want; that one is
//! tried in other ways ([`attempt`](super::attempt)) and at last left out by name. A refusal that
//! means "full" ends the restore at once; one that means "not now" ends the connection, and the next
//! one goes on after a pause.

use std::collections::{HashMap, VecDeque};

use archive::View;
use bytes::Bytes;
use message::{Flags, MessageKey};
use remote::Kind;
use remote::imap::{AppendId, AppendStyle, Appended, Outgoing, PermanentFlags, Refusal, Target};

use super::Room;
use super::attempt::Attempt;
use super::error::RestoreError;
use super::folder::{Folder, State};
use super::reader::Pending;

/// Octets of messages in one command. Large enough that the server's work for each commit is small
/// beside it, small enough that a refusal or a cut costs little.
const BATCH_BYTES: u64 = 4 << 20;
const BATCH_MESSAGES: usize = 200;

/// Octets on the line. A message that is larger is alone there.
const WINDOW_BYTES: u64 = 8 << 20;

/// Batches that are read while others are sent.
const READ_AHEAD: usize = 2;

/// After so many batches that were refused while none was taken the server is believed not to have
/// MULTIAPPEND, whatever it announces.
const MULTI_TRIES: u32 = 2;

/// Messages that go in one command.
struct Batch {
    indices: Vec<usize>,
    /// How each was sent, once it was.
    attempts: Vec<Attempt>,
    bytes: u64,
}

/// A message's bytes, or why the archive cannot give them.
type Read = Result<Bytes, String>;

struct Work<'a> {
    room: &'a Room<'a>,
    target: &'a mut Target,
    folder: &'a mut Folder,
    queue: VecDeque<usize>,
    /// Parts of batches that were refused.
    halves: VecDeque<Vec<usize>>,
    reading: VecDeque<(Batch, Pending<Vec<Read>>)>,
    flights: HashMap<AppendId, Batch>,
    bytes_in_flight: u64,
    multi: Multi,
    /// Messages in one command.
    most: usize,
}

/// Whether the server takes several messages in one command.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Multi {
    No,
    Untried { refused: u32 },
    Works,
}

/// Sends all that is missing in a mailbox. What the server has taken when an error ends this is noted
/// in the folder.
pub(super) async fn append(
    room: &Room<'_>,
    target: &mut Target,
    folder: &mut Folder,
) -> Result<(), RestoreError> {
    let most = target.most_per_append();
    let multi = if most > 1 { Multi::Untried { refused: 0 } } else { Multi::No };
    let queue = folder.missing().collect();
    let mut work = Work {
        room,
        target,
        folder,
        queue,
        halves: VecDeque::new(),
        reading: VecDeque::new(),
        flights: HashMap::new(),
        bytes_in_flight: 0,
        multi,
        most: most.min(BATCH_MESSAGES),
    };
    work.run().await
}

impl Work<'_> {
    async fn run(&mut self) -> Result<(), RestoreError> {
        // Why nothing more is sent. The answers to what is on the line are waited for all the same: a
        // server that finished them after we had gone would be given them once more by the next look.
        let mut ending = None;
        loop {
            self.read_ahead();
            // Where the connection is over, what it has said counts first: it tells why.
            while ending.is_none() && !self.target.is_over() && self.may_send() {
                self.send().await?;
                self.read_ahead();
            }
            if self.flights.is_empty() {
                let cut = (!self.reading.is_empty()).then(|| remote::Error::GivenUp.into());
                return ending.or(cut).map_or(Ok(()), Err);
            }
            let (id, outcome) = self.target.appended().await?;
            let Some(batch) = self.flights.remove(&id) else { continue };
            self.bytes_in_flight -= batch.bytes;
            for index in &batch.indices {
                self.folder.in_flight.remove(index);
            }
            match outcome {
                Appended::Stored { uids } => self.stored(&batch, uids.unwrap_or_default()),
                Appended::Refused { .. } if ending.is_some() => {}
                Appended::Refused { status_bad, refusal } => {
                    ending = self.refused(&batch, status_bad, &refusal).err();
                }
            }
            ending = ending.or_else(|| self.room.may_go_on().err());
        }
    }

    fn read_ahead(&mut self) {
        while self.reading.len() < READ_AHEAD
            && let Some(batch) = self.next_batch()
        {
            let keys: Vec<MessageKey> =
                batch.indices.iter().map(|&index| self.folder.wanted[index].key).collect();
            let pending = self.room.reader.begin(move |view| read(view, &keys));
            self.reading.push_back((batch, pending));
        }
    }

    fn next_batch(&mut self) -> Option<Batch> {
        let wanted = &self.folder.wanted;
        let sum = |indices: &[usize]| indices.iter().map(|&index| wanted[index].size).sum();
        if let Some(indices) = self.halves.pop_front() {
            return Some(Batch { bytes: sum(&indices), indices, attempts: Vec::new() });
        }
        let mut batch = Batch { indices: vec![self.queue.pop_front()?], attempts: Vec::new(), bytes: 0 };
        batch.bytes = sum(&batch.indices);
        let is_alone = |index: usize| self.folder.attempts.get(&index).is_some_and(Attempt::is_alone);
        if self.multi == Multi::No || is_alone(batch.indices[0]) {
            return Some(batch);
        }
        while let Some(&next) = self.queue.front()
            && batch.indices.len() < self.most
            && batch.bytes + wanted[next].size <= BATCH_BYTES
            && !is_alone(next)
        {
            self.queue.pop_front();
            batch.bytes += wanted[next].size;
            batch.indices.push(next);
        }
        Some(batch)
    }

    fn may_send(&self) -> bool {
        let Some((next, _)) = self.reading.front() else { return false };
        if self.flights.is_empty() {
            return true;
        }
        let on_the_line = self.flights.values().flat_map(|batch| &batch.indices);
        let by_itself = |index: &usize| self.folder.attempts.get(index).is_some_and(Attempt::is_by_itself);
        self.target.appends_in_flight() < self.room.appends_in_flight()
            && self.bytes_in_flight + next.bytes <= WINDOW_BYTES
            && !next.indices.iter().chain(on_the_line).any(by_itself)
    }

    async fn send(&mut self) -> Result<(), RestoreError> {
        let Some((mut batch, pending)) = self.reading.pop_front() else { return Ok(()) };
        let read = pending.get().await?;
        let (mut messages, mut indices) = (Vec::with_capacity(read.len()), Vec::with_capacity(read.len()));
        let mut synchronising = false;
        for (&index, read) in batch.indices.iter().zip(read) {
            match read {
                Ok(bytes) => {
                    let attempt = self.folder.attempt(index);
                    let wanted = &self.folder.wanted[index];
                    synchronising |= attempt.is_synchronising();
                    let flags = kept(&attempt.flags(&wanted.flags), self.folder.keeps.as_ref());
                    messages.push(Outgoing { flags, date: attempt.date(wanted), bytes });
                    indices.push(index);
                    batch.attempts.push(attempt);
                }
                Err(why) => self.folder.refuse(index, format!("damaged in the archive: {why}"), true),
            }
        }
        if messages.is_empty() {
            return Ok(());
        }
        batch.bytes = messages.iter().map(|message| message.bytes.len() as u64).sum();
        batch.indices = indices;
        self.folder.in_flight.extend(&batch.indices);
        self.folder.changed = true;
        let id = self.target.append(&self.folder.name, &messages, AppendStyle { synchronising }).await?;
        self.bytes_in_flight += batch.bytes;
        self.flights.insert(id, batch);
        Ok(())
    }

    fn stored(&mut self, batch: &Batch, uids: Vec<message::Uid>) {
        if batch.indices.len() > 1 {
            self.multi = Multi::Works;
        }
        if uids.len() == batch.indices.len() {
            self.folder.given.extend(batch.indices.iter().copied().zip(uids));
        }
        let mut something_new = false;
        for (&index, &attempt) in batch.indices.iter().zip(&batch.attempts) {
            self.folder.states[index] = State::Added;
            something_new |= self.folder.lessons.learn(attempt, &self.folder.wanted[index].flags);
        }
        if something_new {
            self.begin_anew();
        }
        self.folder.report.bytes_sent += batch.bytes;
        self.room.progress.there(batch.indices.len() as u64, batch.bytes);
    }

    /// What was taken apart before we knew better is put together again: it was not the number of
    /// messages that the server had refused, nor this one or that.
    fn begin_anew(&mut self) {
        if self.multi == Multi::No && self.most > 1 {
            self.multi = Multi::Untried { refused: 0 };
        }
        let (kept, again): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.halves)
            .into_iter()
            .partition(|half| half.iter().any(|index| self.folder.attempts.contains_key(index)));
        self.halves = kept;
        for index in again.into_iter().flatten().rev() {
            self.queue.push_front(index);
        }
    }

    fn refused(&mut self, batch: &Batch, bad: bool, refusal: &Refusal) -> Result<(), RestoreError> {
        if refusal.is_over_quota() {
            return Err(RestoreError::TargetFull(refusal.clone()));
        }
        if matches!(refusal.kind(), Some(Kind::Limit { .. } | Kind::Network)) {
            return Err(RestoreError::NotNow(refusal.clone()));
        }
        if let (&[index], &[attempt]) = (&batch.indices[..], &batch.attempts[..]) {
            return self.refused_alone(index, attempt, bad, refusal);
        }
        if let Multi::Untried { refused } = &mut self.multi {
            *refused += 1;
            if *refused >= MULTI_TRIES {
                self.multi = Multi::No;
            }
        }
        if self.multi == Multi::No {
            batch.indices.iter().rev().for_each(|&index| self.halves.push_front(vec![index]));
        } else {
            let (first, second) = batch.indices.split_at(batch.indices.len() / 2);
            self.halves.push_front(second.to_vec());
            self.halves.push_front(first.to_vec());
        }
        Ok(())
    }

    fn refused_alone(
        &mut self,
        index: usize,
        attempt: Attempt,
        bad: bool,
        refusal: &Refusal,
    ) -> Result<(), RestoreError> {
        if refusal.wants_create() {
            let command = format!("APPEND to {}", self.folder.report.target);
            return Err(remote::Error::Refused { command, refusal: refusal.clone() }.into());
        }
        let next =
            if refusal.is_too_big() { None } else { attempt.after(&self.folder.wanted[index], bad, refusal) };
        match next {
            Some(next) => {
                self.folder.attempts.insert(index, next);
                self.halves.push_front(vec![index]);
            }
            None => self.folder.refuse(index, format!("the server refuses it: {refusal}"), false),
        }
        Ok(())
    }
}

/// The flags that the mailbox keeps (RFC 9051 §7.1, PERMANENTFLAGS); all where it does not say.
pub(super) fn kept(flags: &Flags, keeps: Option<&PermanentFlags>) -> Flags {
    match keeps {
        Some(keeps) => flags.iter().filter(|flag| keeps.keeps(flag)).collect(),
        None => flags.clone(),
    }
}

fn read(view: &View<'_>, keys: &[MessageKey]) -> Result<Vec<Read>, archive::Error> {
    let read = |key: &MessageKey| match view.read_to_vec(key) {
        Ok(bytes) => Ok(Ok(Bytes::from(bytes))),
        Err(error) if error.is_damage() => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    };
    keys.iter().map(read).collect()
}
