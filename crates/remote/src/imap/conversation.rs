//! Commands out, events in: the conversation on one connection.
//!
//! Completions, status responses and continuations are read by async-imap (through the
//! [`Guard`]); mailbox data come beside, as [`Data`]. Commands are written by us, straight to the
//! guard: they need literals and pipelining, and async-imap would log what it sends, passwords
//! included. How they go out is in `writing`.

mod writing;

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::pin::pin;
use std::task::{Context, Poll};

use async_imap::Client;
use async_imap::imap_proto::rfc4315::UidSetMember;
use async_imap::imap_proto::{Capability, Outcome, Response, ResponseCode, Status as ProtoStatus};
use bytes::Bytes;
use message::escape::escape;
use tokio::io::AsyncWriteExt;

use super::command::{Command, Literals};
use super::data::Data;
use super::frame::Frame;
use super::guard::Guard;
use super::tolerance;
use crate::error::Error;
use crate::limits::Limits;
use crate::net::Transport;
use crate::net::meter::Counters;
use crate::refusal::Refusal;

pub(crate) use writing::Sent;

/// The number of a command; on the wire `r` and the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Tag(u32);

/// Something the server said.
#[derive(Debug)]
pub(crate) enum Event {
    Data(Data),
    /// Untagged OK, NO, BAD, PREAUTH. (BYE is an error unless we are leaving.)
    Said {
        status: Status,
        answer: Answer,
    },
    /// A command is complete.
    Done {
        tag: Tag,
        status: Status,
        answer: Answer,
    },
    /// `+`: it waits for what we have announced.
    Continue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Ok,
    No,
    Bad,
    PreAuth,
    Bye,
}

/// A response code, if any, and the text for people.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Answer {
    pub(crate) code: Option<Code>,
    pub(crate) text: String,
}

/// The response codes that mean something to us (RFC 9051 §7.1).
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Code {
    Capability(Vec<String>),
    UidValidity(u32),
    UidNext(u32),
    HighestModSeq(u64),
    ReadOnly,
    ReadWrite,
    /// The flags that can be kept here (RFC 9051 §7.1).
    PermanentFlags(Vec<String>),
    /// UIDVALIDITY, and the UIDs of the messages in their order (RFC 4315 §3).
    AppendUid(u32, Vec<RangeInclusive<u32>>),
    /// Any other: its first word in capitals, and what follows.
    Other(String, String),
}

impl Answer {
    pub(super) fn new(outcome: &Outcome<'_>) -> Self {
        let mut text = outcome.information.as_deref().unwrap_or_default();
        let code = match &outcome.code {
            Some(ResponseCode::Capabilities(list)) => {
                Some(Code::Capability(list.iter().map(capability).collect()))
            }
            Some(ResponseCode::UidValidity(number)) => Some(Code::UidValidity(*number)),
            Some(ResponseCode::UidNext(number)) => Some(Code::UidNext(*number)),
            Some(ResponseCode::HighestModSeq(number)) => Some(Code::HighestModSeq(*number)),
            Some(ResponseCode::ReadOnly) => Some(Code::ReadOnly),
            Some(ResponseCode::ReadWrite) => Some(Code::ReadWrite),
            Some(ResponseCode::Alert) => Some(Code::Other("ALERT".to_owned(), String::new())),
            Some(ResponseCode::TryCreate) => Some(Code::Other("TRYCREATE".to_owned(), String::new())),
            Some(ResponseCode::Parse) => Some(Code::Other("PARSE".to_owned(), String::new())),
            Some(ResponseCode::PermanentFlags(flags)) => {
                Some(Code::PermanentFlags(flags.iter().map(|flag| flag.clone().into_owned()).collect()))
            }
            Some(ResponseCode::AppendUid(validity, uids)) => {
                Some(Code::AppendUid(*validity, uids.iter().map(range).collect()))
            }
            Some(_) => None,
            // Codes that imap-proto does not know stand in the text.
            None => {
                let parts = text.strip_prefix('[').and_then(|text| text.split_once(']'));
                parts.map(|(inside, after)| {
                    text = after.trim_start();
                    let (word, rest) = inside.split_once(' ').unwrap_or((inside, ""));
                    match word.to_ascii_uppercase() {
                        word if word == "CAPABILITY" => {
                            Code::Capability(rest.split(' ').map(str::to_ascii_uppercase).collect())
                        }
                        // Flags that imap-proto does not take for flags: with octets beyond ASCII.
                        word if word == "PERMANENTFLAGS" => {
                            let flags = rest.split([' ', '(', ')']).filter(|flag| !flag.is_empty());
                            Code::PermanentFlags(flags.map(str::to_owned).collect())
                        }
                        word => Code::Other(word, rest.to_owned()),
                    }
                })
            }
        };
        Self { code, text: text.to_owned() }
    }

    /// The first word of a code that has no type of its own.
    pub(crate) fn word(&self) -> Option<&str> {
        match &self.code {
            Some(Code::Other(word, _)) => Some(word),
            _ => None,
        }
    }

    pub(crate) fn refusal(&self) -> Refusal {
        Refusal::new(self.word().map(str::to_owned), &self.text)
    }
}

fn capability(capability: &Capability<'_>) -> String {
    match capability {
        Capability::Imap4rev1 => "IMAP4REV1".to_owned(),
        Capability::Auth(mechanism) => format!("AUTH={}", mechanism.to_ascii_uppercase()),
        Capability::Atom(word) => word.to_ascii_uppercase(),
    }
}

fn range(member: &UidSetMember) -> RangeInclusive<u32> {
    match member {
        UidSetMember::UidRange(range) => range.clone(),
        UidSetMember::Uid(uid) => *uid..=*uid,
    }
}

/// One connection's talk.
#[derive(Debug)]
pub(crate) struct Conversation {
    client: Client<Guard>,
    last_tag: u32,
    /// Commands without an answer yet, oldest first.
    open: Vec<Tag>,
    round_trips: u64,
    /// Events that came while we were writing, or while a literal waited for its leave.
    early: VecDeque<Event>,
    /// Which literals may be sent without leave.
    pub(crate) literals: Literals,
    /// A command has gone out in part, and its rest has not: nothing can be said any more.
    torn: bool,
    /// Octets of messages that have left us, and may not have arrived.
    in_transit: u64,
    /// Messages have been sent: whatever shows that their octets were read as commands is an error.
    strict: bool,
    /// We have said LOGOUT: BYE is an answer now.
    leaving: bool,
    /// Since the last completion.
    responses: u64,
    octets: u64,
    limits: Limits,
}

impl Conversation {
    pub(crate) fn new(guard: Guard, limits: &Limits) -> Self {
        Self {
            client: Client::new(guard),
            last_tag: 0,
            open: Vec::new(),
            round_trips: 0,
            early: VecDeque::new(),
            literals: Literals::Synchronising,
            torn: false,
            in_transit: 0,
            strict: false,
            leaving: false,
            responses: 0,
            octets: 0,
            limits: limits.clone(),
        }
    }

    /// Goes on with the numbers of an earlier talk on the same connection.
    pub(crate) fn after(mut self, last_tag: u32, round_trips: u64) -> Self {
        self.last_tag = last_tag;
        self.round_trips = round_trips;
        self
    }

    pub(crate) fn guard(&mut self) -> &mut Guard {
        self.client.get_mut()
    }

    pub(crate) fn counters(&self) -> &Counters {
        self.client.get_ref().counters()
    }

    pub(crate) fn round_trips(&self) -> u64 {
        self.round_trips
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.open.len()
    }

    /// Does not wait for this command any more.
    pub(crate) fn forget(&mut self, tag: Tag) {
        self.open.retain(|open| *open != tag);
    }

    pub(crate) fn last_tag(&self) -> u32 {
        self.last_tag
    }

    /// Whether nothing has come that was not answered for.
    pub(crate) fn is_clean(&self) -> bool {
        self.early.is_empty() && self.client.get_ref().is_clean()
    }

    /// The connection, to be wrapped anew. What was read and not used goes with it.
    pub(crate) fn into_parts(self) -> (Box<dyn Transport>, Counters, Bytes) {
        self.client.into_inner().into_parts()
    }

    /// Octets of a body that was asked for do not count as idle talk.
    pub(crate) fn was_asked_for(&mut self, octets: usize) {
        self.octets = self.octets.saturating_sub(octets as u64);
    }

    /// The first thing the server says. `None`: it is not IMAP, and [`Guard::unread`] or the bytes
    /// given tell what it is.
    pub(crate) async fn greeting(&mut self) -> Result<Result<Event, Bytes>, Error> {
        self.round_trips += 1;
        match self.step().await? {
            Step::Spoken(Event::Done { .. } | Event::Continue) => Ok(Err(Bytes::new())),
            Step::Spoken(event) => {
                let patience = self.limits.progress;
                self.guard().be_patient(patience);
                Ok(Ok(event))
            }
            Step::Raw(frame) => Ok(Err(frame.head)),
        }
    }

    /// The next thing the server says.
    pub(crate) async fn next(&mut self) -> Result<Event, Error> {
        match self.early.pop_front() {
            Some(event) => Ok(event),
            None => self.read().await,
        }
    }

    /// What has come already and was not asked for yet.
    pub(crate) fn take_early(&mut self) -> Option<Event> {
        self.early.pop_front()
    }

    async fn read(&mut self) -> Result<Event, Error> {
        let step = self.step().await?;
        self.event_of(step)
    }

    fn event_of(&self, step: Step) -> Result<Event, Error> {
        match step {
            Step::Spoken(event) => Ok(event),
            Step::Raw(frame) => self.data(&frame).map(Event::Data),
        }
    }

    fn data(&self, frame: &Frame) -> Result<Data, Error> {
        if !frame.head.starts_with(b"* ") {
            tracing::debug!(line = %crate::error::excerpt(&frame.head), "passed over a line that is not IMAP");
            return Ok(Data::Other);
        }
        match Data::parse(frame, self.limits.flags) {
            Ok(data) => Ok(data),
            // With a literal in it the two sides may no longer agree where a message ends.
            Err(_) if !frame.rest.is_empty() => Err(Error::malformed("response with a literal", &frame.head)),
            Err(_) => {
                tracing::warn!(line = %crate::error::excerpt(&frame.head), "passed over an unreadable response");
                Ok(Data::Other)
            }
        }
    }

    /// One response, counted and held against the bounds.
    async fn step(&mut self) -> Result<Step, Error> {
        self.client.get_mut().begin_wait();
        std::future::poll_fn(|cx| self.poll_step(cx)).await
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, Error>> {
        // A new future each time: it keeps nothing between polls, all state is in the client.
        let polled = pin!(self.client.read_response()).poll(cx);
        let response = match polled {
            Poll::Ready(Ok(Some(response))) => response,
            Poll::Ready(Ok(None)) => return Poll::Ready(Err(self.failure("it ended"))),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(self.failure(&error.to_string()))),
            Poll::Pending => {
                let Some(frame) = self.client.get_mut().take_data() else { return Poll::Pending };
                self.octets = self.octets.saturating_add(frame.len());
                self.responses += 1;
                return Poll::Ready(self.check_bounds().map(|()| Step::Raw(frame)));
            }
        };
        self.responses += 1;
        let event = self.check_bounds().and_then(|()| self.event(response.parsed()));
        Poll::Ready(event.map(Step::Spoken))
    }

    fn check_bounds(&self) -> Result<(), Error> {
        if self.responses > self.limits.responses {
            return Err(Error::Bound {
                what: "endless responses to a command",
                bound: self.limits.responses,
            });
        }
        if self.octets > self.limits.answer {
            return Err(Error::Bound {
                what: "endless data in answer to a command",
                bound: self.limits.answer,
            });
        }
        Ok(())
    }

    fn failure(&mut self, cause: &str) -> Error {
        let received = self.counters().received();
        let own = self.client.get_mut().take_failure();
        own.unwrap_or_else(|| Error::Cut { received, cause: cause.to_owned() })
    }

    fn event(&mut self, response: &Response<'_>) -> Result<Event, Error> {
        match response {
            Response::Continue(_) => {
                // It has read what came before.
                self.set_in_transit(0);
                Ok(Event::Continue)
            }
            Response::Data { status, outcome } => {
                let (status, answer) = (status_of(status), Answer::new(outcome));
                if status == Status::Bye && !self.leaving {
                    return Err(Error::Bye(answer.refusal()));
                }
                if status == Status::Bad && self.strict {
                    return Err(Error::OutOfStep { heard: format!("BAD {}", answer.refusal()) });
                }
                if answer.word() == Some("ALERT") {
                    tracing::warn!(text = %answer.refusal(), "the server has a message for people");
                }
                Ok(Event::Said { status, answer })
            }
            Response::Done { tag, status, outcome } => {
                let number = tag.0.strip_prefix('r').and_then(|number| number.parse().ok());
                let tag = match number {
                    Some(number) if number <= self.last_tag => Tag(number),
                    _ if self.strict => {
                        let heard = format!("an answer to \"{}\", which was not sent", escape(&tag.0));
                        return Err(Error::OutOfStep { heard });
                    }
                    _ => match self.open.as_slice() {
                        [only] if tolerance::stands_for_ours(&tag.0) => *only,
                        _ => return Ok(Event::Data(Data::Other)),
                    },
                };
                self.forget(tag);
                if self.open.is_empty() {
                    self.set_in_transit(0);
                }
                self.responses = 0;
                self.octets = 0;
                Ok(Event::Done { tag, status: status_of(status), answer: Answer::new(outcome) })
            }
            _ => Ok(Event::Data(Data::Other)),
        }
    }

    /// LOGOUT, with little patience; whatever becomes of it, we are gone.
    pub(crate) async fn leave(mut self) {
        self.leaving = true;
        let limit = self.limits.logout;
        let farewell = async {
            let tag = self.send(&Command::new("LOGOUT")).await?;
            loop {
                if matches!(self.next().await?, Event::Done { tag: done, .. } if done == tag) {
                    break;
                }
            }
            // The way TLS says that nothing was cut off (RFC 8446 §6.1).
            self.client
                .get_mut()
                .shutdown()
                .await
                .map_err(|error| Error::Cut { received: 0, cause: error.to_string() })
        };
        if let Ok(Err(error)) = tokio::time::timeout(limit, farewell).await {
            tracing::debug!(%error, "the farewell was cut short");
        }
    }
}

enum Step {
    Spoken(Event),
    Raw(Frame),
}

fn status_of(status: &ProtoStatus) -> Status {
    match status {
        ProtoStatus::Ok => Status::Ok,
        ProtoStatus::No => Status::No,
        ProtoStatus::Bad => Status::Bad,
        ProtoStatus::PreAuth => Status::PreAuth,
        ProtoStatus::Bye => Status::Bye,
    }
}
