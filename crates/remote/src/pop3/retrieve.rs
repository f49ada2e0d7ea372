//! Messages: whole, or in slices where they are large (RFC 1939 §5).
//!
//! A message is told when what follows its end is seen to be an answer. A server that does not stuff
//! dots ends a message where a line of it is a dot; then its rest follows, which is no answer, and the
//! message is told as torn, not as whole.

use std::ops::ControlFlow;

use bytes::Bytes;

use super::Session;
use super::count::Count;
use super::number::Number;
use super::transfer::{Ended, Request, Transfer};
use crate::error::Error;
use crate::refusal::Refusal;

/// A message that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Which.
    pub number: Number,
    /// What it weighs, by LIST.
    pub octets: Option<u64>,
    /// By which command.
    pub how: How,
}

/// The command that asks for a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// RETR.
    Retr,
    /// TOP with all lines that a message can have: the same octets by another way, as a second opinion.
    Top,
}

/// How many messages are asked for at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// As many as fit on the line, where the server offers PIPELINING; else one by one.
    Fast,
    /// The next one when the one before has come.
    OneByOne,
    /// The next one when the one before has come, was confirmed (NOOP), and was taken by the sink.
    Careful,
}

/// What has become of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retrieved {
    /// It has come.
    Whole {
        /// Which.
        number: Number,
        /// Its octets.
        bytes: Bytes,
        /// Against LIST.
        count: Count,
    },
    /// The next part of a large one; void unless its end is told.
    Slice {
        /// Which; one message at a time comes in slices.
        number: Number,
        /// Its octets.
        bytes: Bytes,
    },
    /// All slices of it have come.
    EndOfSlices {
        /// Which.
        number: Number,
        /// Against LIST.
        count: Count,
    },
    /// The server does not give it.
    Refused {
        /// Which.
        number: Number,
        /// Why.
        refusal: Refusal,
    },
    /// Its end was none, or did not come: what was given of it is void. The connection is gone, and the
    /// error that says why follows.
    Torn {
        /// Which.
        number: Number,
    },
}

/// Takes what comes. Each call is awaited before more is read from the server. After `Break` nothing
/// more is asked for or told; what is under way is read and dropped if it is little, else the
/// connection is given up.
pub trait RetrieveSink {
    /// One message, or a part of one.
    fn retrieved(&mut self, event: Retrieved) -> impl Future<Output = ControlFlow<()>>;
}

impl Session {
    /// Retrieves messages, in the order in which they are wanted.
    ///
    /// # Errors
    /// When the connection is lost, the server breaks a bound or loses step, or a number is of another
    /// session (then nothing was sent): what was not told did not come.
    pub async fn retrieve(
        &mut self,
        wanted: &[Wanted],
        pace: Pace,
        sink: &mut impl RetrieveSink,
    ) -> Result<(), Error> {
        let requests: Result<Vec<Request>, Error> = wanted
            .iter()
            .map(|wanted| {
                self.id.check(wanted.number)?;
                let Wanted { number, octets, how } = *wanted;
                Ok(match how {
                    How::Retr => Request::retr(number, octets),
                    How::Top => Request::top(number, i32::MAX.unsigned_abs(), octets),
                })
            })
            .collect();
        let requests = requests?;
        self.transfer(&requests, pace, self.limits.whole, sink).await
    }

    /// Carries out `requests`; what is longer than `whole` comes in slices.
    pub(super) async fn transfer(
        &mut self,
        requests: &[Request],
        pace: Pace,
        whole: usize,
        sink: &mut impl RetrieveSink,
    ) -> Result<(), Error> {
        self.enter()?;
        let at_once = pace == Pace::Fast && self.capabilities.pipelining;
        let transfer = Transfer::new(&mut self.wire, &self.limits, requests, pace, at_once, whole, sink);
        let ended = transfer.run().await;
        let lost_step = matches!(ended, Ok(Ended::OutOfStep));
        let result = self.leave(ended.map(drop));
        self.given_up |= lost_step;
        result
    }
}
