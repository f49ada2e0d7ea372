//! Messages on their way: which are asked for, which answer is due, what is held until it is proven.
//!
//! ```text
//! asked:   RETR 1  RETR 2  RETR 3  NOOP
//! read:    +OK … message 1 … .  +OK          message 1 is told here, for an answer follows its end
//!                               … message 2 … .  what is this?        message 2 is torn
//! ```
//! One message is held at most, and it has all come; more than one is under way only where the server
//! offers PIPELINING. Each round ends with a NOOP, so that the last message is proven too; and where
//! nothing more is under way, not one octet may be left over.

use std::collections::VecDeque;

use bytes::Bytes;

use super::command::Command;
use super::count::Tally;
use super::multiline::Multiline;
use super::number::Number;
use super::reply::Reply;
use super::retrieve::{Pace, RetrieveSink, Retrieved};
use super::wire::Wire;
use crate::error::Error;
use crate::limits::Limits;

/// What a message is believed to weigh of which nothing was told.
const UNTOLD: u64 = 64 << 10;

/// A message to ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    number: Number,
    verb: Verb,
    told: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
enum Verb {
    Retr,
    /// So many lines of the body.
    Top(u32),
}

impl Request {
    pub(super) fn retr(number: Number, told: Option<u64>) -> Self {
        Self { number, verb: Verb::Retr, told }
    }

    pub(super) fn top(number: Number, lines: u32, told: Option<u64>) -> Self {
        Self { number, verb: Verb::Top(lines), told }
    }

    pub(super) fn header(number: Number) -> Self {
        Self { number, verb: Verb::Top(0), told: None }
    }

    fn command(&self) -> Command {
        let number = self.number.get();
        match self.verb {
            Verb::Retr => Command::new(format!("RETR {number}")),
            Verb::Top(lines) => Command::new(format!("TOP {number} {lines}")),
        }
    }

    /// Octets that are expected.
    fn weight(&self) -> u64 {
        match self.verb {
            // Some kilobytes: as many as may be are asked for at once.
            Verb::Top(0) => 0,
            _ => self.told.unwrap_or(UNTOLD),
        }
    }
}

/// A command that is under way.
#[derive(Clone, Copy, Debug)]
enum Step {
    Get(Request),
    Noop,
}

impl Step {
    fn command(&self) -> Command {
        match self {
            Self::Get(request) => request.command(),
            Self::Noop => Command::new("NOOP"),
        }
    }

    fn weight(&self) -> u64 {
        match self {
            Self::Get(request) => request.weight(),
            Self::Noop => 0,
        }
    }
}

/// How a transfer has ended, if not by an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    InStep,
    /// Answers are under way that nobody reads.
    OutOfStep,
}

/// One round of requests.
pub(super) struct Transfer<'a, S> {
    wire: &'a mut Wire,
    limits: &'a Limits,
    sink: &'a mut S,
    /// Not asked for yet.
    waiting: std::slice::Iter<'a, Request>,
    /// A NOOP is due before anything else.
    noop_due: bool,
    /// A NOOP after each message.
    careful: bool,
    /// Commands under way at once.
    at_once: usize,
    /// Longer messages are told in slices.
    whole: usize,
    under_way: VecDeque<Step>,
    /// A message that has come to its end, and is not proven yet.
    held: Option<Retrieved>,
    /// The sink wants no more.
    stopped: bool,
}

impl<'a, S: RetrieveSink> Transfer<'a, S> {
    pub(super) fn new(
        wire: &'a mut Wire,
        limits: &'a Limits,
        requests: &'a [Request],
        pace: Pace,
        at_once: bool,
        whole: usize,
        sink: &'a mut S,
    ) -> Self {
        Self {
            wire,
            limits,
            sink,
            waiting: requests.iter(),
            noop_due: false,
            careful: pace == Pace::Careful,
            at_once: if at_once { limits.pipelined.max(1) } else { 1 },
            whole,
            under_way: VecDeque::new(),
            held: None,
            stopped: false,
        }
    }

    pub(super) async fn run(mut self) -> Result<Ended, Error> {
        loop {
            self.ask().await?;
            let Some(step) = self.under_way.pop_front() else { break };
            let reply = self.answer(&step).await?;
            if self.stopped && self.octets_under_way() + step.weight() > self.limits.drained {
                return Ok(Ended::OutOfStep);
            }
            let Step::Get(request) = step else { continue };
            match reply {
                Reply::Err { refusal, .. } => {
                    self.tell(Retrieved::Refused { number: request.number, refusal }).await;
                }
                _ => {
                    if self.message(&request).await? == Ended::OutOfStep {
                        return Ok(Ended::OutOfStep);
                    }
                }
            }
        }
        Ok(if self.wire.is_clean() { Ended::InStep } else { Ended::OutOfStep })
    }

    /// Sends what may be under way besides what is.
    async fn ask(&mut self) -> Result<(), Error> {
        // Not one by one: each write costs as much as many commands.
        let idle = self.under_way.is_empty();
        if !idle && (self.under_way.len() > self.at_once / 2 || self.is_heavy(0)) {
            return Ok(());
        }
        if idle && !self.wire.is_clean() {
            let error = Error::malformed("octets that nobody asked for", self.wire.unread());
            return Err(self.torn(error).await);
        }
        let first = self.under_way.len();
        while self.under_way.len() < self.at_once
            && let Some(step) = self.next_step()
        {
            self.under_way.push_back(step);
        }
        let commands: Vec<Command> = self.under_way.iter().skip(first).map(Step::command).collect();
        if commands.is_empty() { Ok(()) } else { self.wire.send(&commands).await }
    }

    fn next_step(&mut self) -> Option<Step> {
        if self.stopped {
            return None;
        }
        if !(self.noop_due && self.careful)
            && let Some(request) = self.waiting.as_slice().first()
        {
            if !self.under_way.is_empty() && self.is_heavy(request.weight()) {
                return None;
            }
            self.waiting.next();
            self.noop_due = true;
            return Some(Step::Get(*request));
        }
        std::mem::take(&mut self.noop_due).then_some(Step::Noop)
    }

    /// Whether with so many octets more there would be too many on the line.
    fn is_heavy(&self, more: u64) -> bool {
        self.octets_under_way().saturating_add(more) > self.limits.octets_under_way
    }

    fn octets_under_way(&self) -> u64 {
        self.under_way.iter().map(Step::weight).fold(0, u64::saturating_add)
    }

    /// The answer to `step`, which proves the message before it.
    async fn answer(&mut self, step: &Step) -> Result<Reply, Error> {
        let last = matches!(step, Step::Noop) && self.under_way.is_empty();
        let reply = match self.wire.answer().await {
            Ok(_) if last && !self.wire.is_clean() => {
                Err(Error::malformed("octets that nobody asked for", self.wire.unread()))
            }
            // Nothing, or the beginning of an answer: the line broke.
            Err(error @ (Error::Cut { .. } | Error::Stalled { .. }))
                if Reply::may_begin_with(self.wire.unread()) =>
            {
                return Err(error);
            }
            reply => reply,
        };
        match reply {
            Ok(reply) => {
                if let Some(message) = self.held.take() {
                    self.tell(message).await;
                }
                Ok(reply)
            }
            Err(error) => Err(self.torn(error).await),
        }
    }

    /// Tells of the message that is held that it is none, if there is one; gives the error that follows.
    async fn torn(&mut self, error: Error) -> Error {
        if let Some(Retrieved::Whole { number, .. } | Retrieved::EndOfSlices { number, .. }) =
            self.held.take()
        {
            self.tell(Retrieved::Torn { number }).await;
        }
        error
    }

    async fn tell(&mut self, event: Retrieved) {
        if !self.stopped {
            self.stopped = self.sink.retrieved(event).await.is_break();
        }
    }

    /// Reads a message to its end, telling slices of it if it is long, and holds it.
    async fn message(&mut self, request: &Request) -> Result<Ended, Error> {
        let number = request.number;
        let told = request.told;
        let mut multiline = Multiline::default();
        let mut tally = Tally::default();
        let mut most = match told {
            Some(told) if told > self.whole as u64 => self.limits.slice.min(self.whole),
            _ => self.whole,
        };
        let mut sliced = false;
        loop {
            if let Some(rest) = multiline.end(self.wire.buffer()) {
                tally.add(&rest);
                let count = tally.count(told);
                let rest = match count {
                    super::Count::WithoutLastLineEnd => rest.slice(..rest.len() - 2),
                    _ => rest,
                };
                if !sliced {
                    self.held = Some(Retrieved::Whole { number, bytes: rest, count });
                    return Ok(Ended::InStep);
                }
                self.tell_slices(number, rest).await;
                self.held = Some(Retrieved::EndOfSlices { number, count });
                return Ok(Ended::InStep);
            }
            let ready = multiline.ready();
            let came = tally.octets() + ready as u64;
            if came > self.limits.message {
                let bound = self.limits.message;
                self.tell(Retrieved::Torn { number }).await;
                return Err(Error::Bound { what: "an endless message", bound });
            }
            if self.stopped && came > self.limits.drained {
                return Ok(Ended::OutOfStep);
            }
            if ready > most {
                sliced = true;
                most = self.limits.slice.min(self.whole);
                let bytes = multiline.take(self.wire.buffer());
                tally.add(&bytes);
                self.tell_slices(number, bytes).await;
                self.wire.begin_wait();
                continue;
            }
            if let Err(error) = self.wire.fill().await {
                let is_broken = matches!(error, Error::Stalled { .. })
                    && Multiline::ends_in_broken_dot(self.wire.unread());
                if is_broken {
                    self.tell(Retrieved::Torn { number }).await;
                }
                return Err(error);
            }
        }
    }

    async fn tell_slices(&mut self, number: Number, mut bytes: Bytes) {
        while !bytes.is_empty() {
            let slice = bytes.split_to(bytes.len().min(self.limits.slice.max(1)));
            self.tell(Retrieved::Slice { number, bytes: slice }).await;
        }
    }
}
