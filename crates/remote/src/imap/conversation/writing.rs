//! Writing, with an ear for what the server says meanwhile.
//!
//! A message may take minutes to go out. While it does, the server may refuse it, say goodbye, or
//! answer earlier commands until its own buffers are full; so whatever is written is written in
//! chunks, and between them, and whenever the connection takes no more, what has come is read and
//! kept. Neither side can block the other for ever, and a time-out counts from the last octet that
//! went out or came in.
//!
//! The rule that must never break: octets of a message go out only where the server reads them as a
//! literal. Who cannot be sure of that any more writes nothing more on this connection.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use secrecy::zeroize::Zeroizing;
use tokio::io::AsyncWrite;
use tokio::time::Instant;

use super::{Command, Conversation, Data, Error, Event, Status, Step, Tag};

/// Octets offered to the connection at once: enough to be worth a system call, little enough that
/// compression holds no more of a message than this.
const CHUNK: usize = 128 << 10;

/// Pieces offered to the connection at once.
const SLICES: usize = 32;

/// Events that may come while a command is written, or before the server lets us go on with a literal.
const MOST_EARLY: usize = 10_000;

/// How far a command with messages in it has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// All of it, or all that the server wanted to read after it had refused.
    InStep,
    /// Refused in a place where the server may read what follows as commands, or waits for more: the
    /// rest was not sent, and the connection is of no more use.
    CutShort,
}

/// What is left to write.
struct Outgoing<'a> {
    pieces: &'a [&'a [u8]],
    /// Octets of the first piece that are gone.
    gone: usize,
}

impl<'a> Outgoing<'a> {
    fn is_empty(&self) -> bool {
        self.pieces.iter().all(|piece| piece.is_empty())
    }

    /// The next chunk, as it lies in the pieces.
    fn chunk<'b>(&self, slices: &'b mut [IoSlice<'a>; SLICES]) -> &'b [IoSlice<'a>] {
        let (mut count, mut room, mut gone) = (0, CHUNK, self.gone);
        for piece in self.pieces {
            let rest = &piece[gone..];
            gone = 0;
            if count == SLICES || room == 0 {
                break;
            }
            if rest.is_empty() {
                continue;
            }
            let cut = &rest[..rest.len().min(room)];
            room -= cut.len();
            slices[count] = IoSlice::new(cut);
            count += 1;
        }
        &slices[..count]
    }

    fn advance(&mut self, mut octets: usize) {
        while let Some((first, rest)) = self.pieces.split_first() {
            let left = first.len() - self.gone;
            if octets < left {
                self.gone += octets;
                return;
            }
            octets -= left;
            self.pieces = rest;
            self.gone = 0;
        }
    }
}

/// What one look at the connection has brought.
enum Turn {
    Wrote(usize),
    Flushed,
    Heard(Result<Step, Error>),
    Failed(io::Error),
}

impl Conversation {
    /// Sends a command; its answer comes as events.
    pub(crate) async fn send(&mut self, command: &Command) -> Result<Tag, Error> {
        let tag = self.begin(command);
        let pieces = command.pieces(&tag.text(), self.literals);
        for (index, piece) in pieces.into_iter().enumerate() {
            let piece = Zeroizing::new(piece);
            if index > 0 && !self.await_leave(tag).await? {
                return Ok(tag);
            }
            self.write(&[&piece], None).await?;
        }
        Ok(tag)
    }

    /// Whether a command can be sent without waiting for the server in the middle of it.
    pub(crate) fn goes_at_once(&self, command: &Command) -> bool {
        command.goes_at_once(self.literals)
    }

    /// A new command is under way.
    pub(crate) fn begin(&mut self, command: &Command) -> Tag {
        self.last_tag = self.last_tag.wrapping_add(1);
        let tag = Tag(self.last_tag);
        tracing::trace!(tag = tag.0, %command, "sent");
        if self.open.is_empty() {
            self.round_trips += 1;
        }
        self.open.push(tag);
        tag
    }

    /// Sends a line of an exchange that is under way (SASL).
    pub(crate) async fn send_line(&mut self, line: &[u8]) -> Result<(), Error> {
        self.round_trips += 1;
        self.write(&[line], None).await?;
        Ok(())
    }

    /// Sends a command that holds messages, begun as `tag`: its stages, with the server's leave
    /// awaited between them. Where the leave is refused, the command is over.
    pub(crate) async fn send_stages(&mut self, tag: Tag, stages: &[Vec<&[u8]>]) -> Result<Sent, Error> {
        self.strict = true;
        let last = stages.len() - 1;
        for (index, stage) in stages.iter().enumerate() {
            if index > 0 && !self.await_leave(tag).await? {
                self.check_refused(tag)?;
                return Ok(Sent::InStep);
            }
            if self.write(stage, Some(tag)).await? == Sent::CutShort {
                return Ok(Sent::CutShort);
            }
            let octets: usize = stage.iter().map(|piece| piece.len()).sum();
            self.set_in_transit(self.in_transit.saturating_add(octets as u64));
            // The next message is announced already: whether the server waits for it is not known.
            if index < last && self.is_answered(tag) {
                self.check_refused(tag)?;
                self.torn = true;
                return Ok(Sent::CutShort);
            }
        }
        Ok(Sent::InStep)
    }

    /// What is on its way has time to get there before an answer is due.
    pub(super) fn set_in_transit(&mut self, octets: u64) {
        if octets == self.in_transit {
            return;
        }
        self.in_transit = octets;
        let limits = &self.limits;
        let travel = octets.min(limits.buffered) / u64::from(limits.slow_line.max(1));
        let patience = limits.progress + Duration::from_secs(travel);
        self.guard().be_patient(patience);
    }

    /// Whether a command went out in part only.
    pub(crate) fn is_torn(&self) -> bool {
        self.torn
    }

    fn is_answered(&self, tag: Tag) -> bool {
        !self.open.contains(&tag)
    }

    /// OK is no answer to a command that has not been sent to its end, and nobody is to take it for one.
    fn check_refused(&mut self, tag: Tag) -> Result<(), Error> {
        let is_ok = |event: &Event| matches!(event, Event::Done { tag: done, status: Status::Ok, .. } if *done == tag);
        let kept = self.early.len();
        self.early.retain(|event| !is_ok(event));
        if self.early.len() < kept {
            return Err(Error::OutOfStep { heard: "OK before the message was sent".to_owned() });
        }
        Ok(())
    }

    /// Waits for `+`. False: the command was refused before its literal.
    async fn await_leave(&mut self, tag: Tag) -> Result<bool, Error> {
        if self.is_answered(tag) {
            return Ok(false);
        }
        self.round_trips += 1;
        loop {
            match self.read().await? {
                Event::Continue => return Ok(true),
                event => self.keep(event)?,
            }
            if self.is_answered(tag) {
                return Ok(false);
            }
        }
    }

    /// Writes these pieces one after the other. With `own` they belong to a command that holds
    /// messages, and its answer is looked out for.
    async fn write(&mut self, pieces: &[&[u8]], own: Option<Tag>) -> Result<Sent, Error> {
        // If this is dropped half-way, or fails, nothing can be said after it.
        self.torn = true;
        let mut outgoing = Outgoing { pieces, gone: 0 };
        let mut listen = false;
        let (began, mut octets) = (Instant::now(), 0);
        loop {
            self.guard().begin_wait();
            match self.turn(&outgoing, listen).await {
                Turn::Wrote(0) => return Err(self.last_words(&io::ErrorKind::WriteZero.into()).await),
                Turn::Wrote(taken) => {
                    outgoing.advance(taken);
                    octets += taken as u64;
                    self.check_pace(began, octets)?;
                }
                Turn::Flushed => break,
                Turn::Failed(error) => return Err(self.last_words(&error).await),
                Turn::Heard(step) => {
                    let event = self.event_of(step?)?;
                    let unreadable = is_bad(&event, own);
                    self.keep(event)?;
                    if unreadable && !outgoing.is_empty() {
                        return Ok(Sent::CutShort);
                    }
                    if !outgoing.is_empty()
                        && let Some(own) = own
                    {
                        self.check_refused(own)?;
                    }
                }
            }
            listen = true;
        }
        self.torn = false;
        Ok(Sent::InStep)
    }

    /// An error when the server takes octets more slowly than anyone has to put up with.
    fn check_pace(&self, began: Instant, octets: u64) -> Result<(), Error> {
        let waited = began.elapsed();
        let allowed =
            self.limits.progress + Duration::from_secs(octets / u64::from(self.limits.slowest.max(1)));
        if waited <= allowed {
            return Ok(());
        }
        let received = self.counters().received();
        Err(Error::Stalled { waited, received, hint: " (it takes what is sent, but far too slowly)" })
    }

    /// Writes a chunk, or flushes when nothing is left. What the server has said comes first if we
    /// are to `listen`; a command that goes out at once is not delayed by that.
    async fn turn(&mut self, outgoing: &Outgoing<'_>, listen: bool) -> Turn {
        let whole = outgoing.is_empty();
        std::future::poll_fn(|cx: &mut Context<'_>| {
            if listen
                && !whole
                && let Poll::Ready(step) = self.poll_step(cx)
            {
                return Poll::Ready(Turn::Heard(step));
            }
            let guard = Pin::new(self.guard());
            let polled = if whole {
                guard.poll_flush(cx).map_ok(|()| Turn::Flushed)
            } else {
                let mut slices = [IoSlice::new(&[]); SLICES];
                guard.poll_write_vectored(cx, outgoing.chunk(&mut slices)).map_ok(Turn::Wrote)
            };
            match polled {
                Poll::Ready(turn) => Poll::Ready(turn.unwrap_or_else(Turn::Failed)),
                Poll::Pending => self.poll_step(cx).map(Turn::Heard),
            }
        })
        .await
    }

    /// Keeps what came while nobody asked for it.
    fn keep(&mut self, event: Event) -> Result<(), Error> {
        match &event {
            Event::Data(Data::Other) | Event::Continue => return Ok(()),
            // Servers that count each message aloud: the last count is enough.
            Event::Data(Data::Exists(_)) => {
                self.early.pop_back_if(|last| matches!(last, Event::Data(Data::Exists(_))));
            }
            _ => {}
        }
        if self.early.len() >= MOST_EARLY {
            return Err(Error::Bound {
                what: "endless data while it was written to",
                bound: MOST_EARLY as u64,
            });
        }
        self.early.push_back(event);
        Ok(())
    }

    /// The connection takes no more: why, in the server's words if it has left any.
    async fn last_words(&mut self, cause: &io::Error) -> Error {
        let limit = self.limits.logout;
        let listening = async {
            loop {
                let event = self.read().await?;
                self.keep(event)?;
            }
        };
        let heard: Result<Result<(), Error>, _> = tokio::time::timeout(limit, listening).await;
        match heard {
            Ok(Err(bye @ Error::Bye(_))) => bye,
            _ => Error::Cut { received: self.counters().received(), cause: cause.to_string() },
        }
    }
}

impl Tag {
    pub(crate) fn number(self) -> u32 {
        self.0
    }

    /// As it stands on the wire.
    pub(crate) fn text(self) -> String {
        format!("r{}", self.0)
    }
}

/// Whether the server says that it could not read the command `own`.
fn is_bad(event: &Event, own: Option<Tag>) -> bool {
    matches!(event, Event::Done { tag, status: Status::Bad, .. } if Some(*tag) == own)
}
