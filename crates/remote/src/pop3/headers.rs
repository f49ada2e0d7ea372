//! Headers without their bodies (TOP, RFC 1939 §7), to compare with those of messages that we have.
//!
//! A header comes with the empty line that ends it, as it stands in the message. Servers that send
//! lines of the body too, or all of it, are forgiven: what follows the empty line is dropped.

use std::ops::ControlFlow;

use bytes::{Bytes, BytesMut};

use super::Session;
use super::number::Number;
use super::retrieve::{Pace, RetrieveSink, Retrieved};
use super::transfer::Request;
use crate::error::Error;
use crate::refusal::Refusal;

/// Takes headers. Each call is awaited before more is read; `Break` is as in
/// [`RetrieveSink`].
pub trait HeaderSink {
    /// The header of a message with the empty line that ends it, or why there is none.
    fn header(
        &mut self,
        number: Number,
        header: Result<Bytes, Refusal>,
    ) -> impl Future<Output = ControlFlow<()>>;
}

impl Session {
    /// Fetches headers, several at a time where the server offers PIPELINING. One that is longer than
    /// [`Limits::header`](crate::Limits::header) counts as refused.
    ///
    /// # Errors
    /// As [`retrieve`](Self::retrieve).
    pub async fn headers(&mut self, numbers: &[Number], sink: &mut impl HeaderSink) -> Result<(), Error> {
        let mut requests = Vec::with_capacity(numbers.len());
        for number in numbers {
            self.id.check(*number)?;
            requests.push(Request::header(*number));
        }
        let longest = self.limits.header;
        let mut headers = Headers { sink, longest, gathered: BytesMut::new() };
        self.transfer(&requests, Pace::Fast, longest, &mut headers).await
    }
}

/// Makes headers of what is retrieved.
struct Headers<'a, S> {
    sink: &'a mut S,
    longest: usize,
    /// The beginning of a message that came in slices.
    gathered: BytesMut,
}

impl<S> Headers<'_, S> {
    /// The header that these octets begin with; all of them where there is nothing else.
    fn header(&self, bytes: &Bytes, is_whole: bool) -> Result<Bytes, Refusal> {
        let length = header_length(bytes).or(is_whole.then_some(bytes.len()));
        match length.filter(|length| *length <= self.longest) {
            Some(length) => Ok(bytes.slice(..length)),
            None => Err(Refusal::new(None, &format!("its header is longer than {} octets", self.longest))),
        }
    }
}

impl<S: HeaderSink> RetrieveSink for Headers<'_, S> {
    async fn retrieved(&mut self, event: Retrieved) -> ControlFlow<()> {
        let (number, header) = match event {
            Retrieved::Whole { number, bytes, .. } => (number, self.header(&bytes, true)),
            Retrieved::Slice { bytes, .. } => {
                let room = self.longest.saturating_sub(self.gathered.len());
                self.gathered.extend_from_slice(&bytes[..bytes.len().min(room)]);
                return ControlFlow::Continue(());
            }
            Retrieved::EndOfSlices { number, .. } => {
                let gathered = std::mem::take(&mut self.gathered).freeze();
                (number, self.header(&gathered, false))
            }
            Retrieved::Refused { number, refusal } => (number, Err(refusal)),
            // The error follows.
            Retrieved::Torn { .. } => return ControlFlow::Continue(()),
        };
        self.sink.header(number, header).await
    }
}

/// Up to and including the first empty line.
fn header_length(bytes: &[u8]) -> Option<usize> {
    let mut start = 0;
    for end in memchr::memchr_iter(b'\n', bytes) {
        if matches!(&bytes[start..end], b"" | b"\r") {
            return Some(end + 1);
        }
        start = end + 1;
    }
    None
}
