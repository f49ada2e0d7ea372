//! Message bodies: whole, in slices, or headers alone; always with PEEK (RFC 9051 §6.4.5).
//!
//! Several commands are under way at once, so that the line never idles for a round trip, and behind
//! the last of them goes what is asked next ([`ahead`](super::ahead)); what has come is handed to the
//! sink before more is read, so that a slow disk slows the server and memory holds no more than what is
//! in hand. A body belongs to the UID that stands in its own response, wherever it stands; order means
//! nothing. What nobody asked for is dropped and counted.

use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::ControlFlow;

use bytes::Bytes;
use message::{Flags, InternalDate, Uid, UidSet};

use super::Session;
use super::command::Command;
use super::conversation::{Answer, Event, Status as Outcome, Tag};
use super::data::{Body, Data, Row};
use super::rows::{cut, is_cut_off, merge};
use super::tolerance;
use crate::error::Error;
use crate::refusal::Refusal;

/// Which part of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Part {
    /// All of it.
    Whole,
    /// All of it, asked for in the simplest form there is, without flags and date: for servers that
    /// refuse or misread the longer form.
    Plain,
    /// Octets from `offset` on, at most `length`; fewer at the message's end.
    Slice {
        /// From 0.
        offset: u64,
        /// At least 1.
        length: u32,
    },
    /// The header with the empty line that ends it.
    Header,
    /// Of the header only the Message-ID fields, with the empty line that ends them.
    Fields,
}

impl Part {
    fn item(self) -> String {
        match self {
            Self::Whole | Self::Plain => "BODY.PEEK[]".to_owned(),
            Self::Slice { offset, length } => format!("BODY.PEEK[]<{offset}.{length}>"),
            Self::Header => "BODY.PEEK[HEADER]".to_owned(),
            Self::Fields => "BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)]".to_owned(),
        }
    }

    /// Whether this body is an answer to what was asked.
    fn fits(self, body: &Body) -> bool {
        let length = body.bytes.as_ref().map_or(0, Bytes::len);
        match self {
            Self::Whole | Self::Plain => body.section.is_empty() && body.origin.is_none(),
            Self::Slice { offset, length: most } => {
                body.section.is_empty() && body.origin == Some(offset) && length as u64 <= u64::from(most)
            }
            Self::Header => body.section == "HEADER" && body.origin.is_none(),
            Self::Fields => tolerance::is_message_id_section(&body.section) && body.origin.is_none(),
        }
    }
}

/// Messages whose bodies are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchRequest {
    /// Which messages.
    pub uids: UidSet,
    /// Which part of each.
    pub part: Part,
}

/// A body that has come, each at most once for a request.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Which message.
    pub uid: Uid,
    /// Which part.
    pub part: Part,
    /// The exact octets from the server.
    pub bytes: Bytes,
    /// The flags, when they came with the body or before it.
    pub flags: Option<Flags>,
    /// The received date, when it came with the body or before it.
    pub internal_date: Option<InternalDate>,
}

/// Takes what comes. Both calls are awaited before more is read from the server. `Break` ends the
/// fetch, and with it the use of the session.
pub trait FetchSink {
    /// A body.
    fn delivered(&mut self, delivery: Delivery) -> impl Future<Output = ControlFlow<()>>;

    /// A command is complete. Large requests are sent as several commands, so `request` holds a
    /// part of the UIDs of what was asked; each UID is in exactly one. Messages in it that were
    /// not delivered are those for which the server had no body: vanished, refused, or answered
    /// in a way that could not be told apart; asked for alone they may come.
    fn finished(
        &mut self,
        request: FetchRequest,
        refused: Option<Refusal>,
    ) -> impl Future<Output = ControlFlow<()>>;
}

/// A command under way.
struct Flight {
    tag: Tag,
    request: FetchRequest,
    delivered: HashSet<Uid>,
    /// What came without a body.
    pieces: HashMap<Uid, Row>,
}

impl Session {
    /// Fetches bodies from the open mailbox.
    ///
    /// A body without a UID is taken only while a single message is asked for, alone. Refusals go
    /// to the sink, and the others go on.
    ///
    /// # Errors
    /// When the connection is lost or the server breaks a bound: what was not told as finished is
    /// not finished.
    pub async fn fetch(
        &mut self,
        requests: Vec<FetchRequest>,
        sink: &mut impl FetchSink,
    ) -> Result<(), Error> {
        self.check()?;
        if requests.is_empty() {
            return Ok(());
        }
        self.take_back(true).await?;
        let limits = self.limits.clone();
        let mut requests = VecDeque::from(requests);
        let mut waiting: VecDeque<FetchRequest> = VecDeque::new();
        let mut flights: Vec<Flight> = Vec::new();
        let mut unasked = 0;
        loop {
            while flights.len() < limits.commands_in_flight.max(1) {
                if waiting.is_empty()
                    && let Some(FetchRequest { uids, part }) = requests.pop_front()
                {
                    let sets = cut(&uids, limits.set_text, limits.bodies_per_command);
                    waiting.extend(sets.into_iter().map(|uids| FetchRequest { uids, part }));
                    continue;
                }
                let Some(request) = waiting.pop_front() else { break };
                let tag = self.talk.send(&fetch_command(&request)).await?;
                flights.push(Flight { tag, request, delivered: HashSet::new(), pieces: HashMap::new() });
            }
            if flights.is_empty() {
                return Ok(());
            }
            if requests.is_empty() && waiting.is_empty() {
                self.ask_ahead().await?;
            }
            let flow = match self.next().await? {
                Event::Data(Data::Fetch(row)) => match self.bind(row, &mut flights) {
                    Found::Delivery(delivery) => sink.delivered(delivery).await,
                    Found::Nothing => ControlFlow::Continue(()),
                    Found::Unasked => {
                        unasked += 1;
                        if unasked > limits.unasked {
                            return Err(Error::Bound {
                                what: "bodies that nobody asked for",
                                bound: limits.unasked,
                            });
                        }
                        ControlFlow::Continue(())
                    }
                },
                Event::Done { tag, status, answer } => {
                    match flights.iter().position(|flight| flight.tag == tag) {
                        Some(at) => {
                            let flight = flights.remove(at);
                            sink.finished(flight.request, refusal(status, &answer)).await
                        }
                        None => ControlFlow::Continue(()),
                    }
                }
                _ => ControlFlow::Continue(()),
            };
            if flow.is_break() {
                self.given_up = true;
                return Ok(());
            }
        }
    }

    /// Finds the request that a response answers.
    fn bind(&mut self, mut row: Row, flights: &mut [Flight]) -> Found {
        let Some(body) = row.body.take() else {
            // Flags and date may come ahead of the body, or unasked for: kept only where awaited.
            if let Some(uid) = row.uid
                && let Some(flight) = flights.iter_mut().find(|flight| flight.awaits(uid))
            {
                let earlier = flight.pieces.remove(&uid);
                flight.pieces.insert(uid, merge(earlier, row));
            }
            return Found::Nothing;
        };
        let uid = row.uid.or_else(|| alone(flights));
        let found = uid.and_then(|uid| {
            let flight =
                flights.iter_mut().find(|flight| flight.awaits(uid) && flight.request.part.fits(&body))?;
            Some((uid, flight))
        });
        let Some((uid, flight)) = found else {
            tracing::debug!(?uid, section = body.section, "dropped a body that cannot be told to a request");
            return Found::Unasked;
        };
        // NIL is an answer, but not a body.
        let Some(bytes) = body.bytes else { return Found::Nothing };
        flight.delivered.insert(uid);
        let row = merge(flight.pieces.remove(&uid), row);
        let part = flight.request.part;
        self.talk.was_asked_for(bytes.len());
        Found::Delivery(Delivery { uid, part, bytes, flags: row.flags, internal_date: row.internal_date })
    }
}

impl Flight {
    fn awaits(&self, uid: Uid) -> bool {
        self.request.uids.contains(uid) && !self.delivered.contains(&uid)
    }
}

/// What becomes of a FETCH response.
enum Found {
    Delivery(Delivery),
    Nothing,
    Unasked,
}

/// The message that is asked for, when it is the only one.
fn alone(flights: &[Flight]) -> Option<Uid> {
    match flights {
        [only] if only.request.uids.len() == 1 => only.request.uids.first(),
        _ => None,
    }
}

fn fetch_command(request: &FetchRequest) -> Command {
    let command = Command::new("UID FETCH").uids(&request.uids);
    if request.part == Part::Plain {
        return command.text(" ").text(&request.part.item());
    }
    // A slice after the first needs no flags and no date again; asking alike keeps it simple.
    command.text(" (UID FLAGS INTERNALDATE ").text(&request.part.item()).text(")")
}

fn refusal(status: Outcome, answer: &Answer) -> Option<Refusal> {
    (status != Outcome::Ok || is_cut_off(answer)).then(|| answer.refusal())
}
