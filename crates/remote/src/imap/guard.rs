//! The guard between the server and async-imap.
//!
//! async-imap reads the conversation: greeting, continuations, completions and their codes. It does
//! so through this `AsyncRead`, which frames every response, bounds it, and passes on one at a time.
//! Mailbox data (FETCH, LIST, STATUS, …) are taken out and waited for here, whole, with their
//! literals untouched: the conversation's reader finds nothing to read (`Pending`) as long as such a
//! response waits, and takes it with [`Guard::take_data`]. So order is kept, bodies are never
//! copied or parsed, and what imap-proto cannot read never reaches it.
//!
//! Each wait for a response is held against the [`Clock`].

use std::fmt;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};

use super::frame::{Frame, Framer, is_data};
use super::tolerance;
use crate::error::Error;
use crate::limits::Limits;
use crate::net::Transport;
use crate::net::clock::Clock;
use crate::net::layer::write_through;
use crate::net::meter::Counters;

/// Octets asked of the connection at once.
const READ: usize = 256 << 10;

/// The reading and writing end of one connection. An error is final.
pub(crate) struct Guard {
    transport: Box<dyn Transport>,
    framer: Framer,
    counters: Counters,
    /// A response on its way to async-imap.
    passing: Bytes,
    /// A response for ourselves.
    data: Option<Frame>,
    /// What went wrong, for whoever sees async-imap's `io::Error`.
    failure: Option<Error>,
    /// Until the greeting has come: how long the first line may be.
    greeting: bool,
    clock: Clock,
    line: usize,
}

impl Guard {
    /// Guards a connection on which a greeting is due (or not: after STARTTLS).
    pub(crate) fn new(
        transport: Box<dyn Transport>,
        counters: Counters,
        limits: &Limits,
        greeting: bool,
    ) -> Self {
        let mut framer = Framer::new(limits);
        if greeting {
            framer.bound_lines(limits.greeting_line.min(limits.line));
        }
        let patience = if greeting { limits.greeting } else { limits.progress };
        let clock = Clock::new(counters.clone(), patience, limits);
        Self {
            transport,
            framer,
            counters,
            passing: Bytes::new(),
            data: None,
            failure: None,
            greeting,
            clock,
            line: limits.line,
        }
    }

    /// How long the server may be silent from now on.
    pub(crate) fn be_patient(&mut self, patience: Duration) {
        self.clock.be_patient(patience);
    }

    /// A wait for a response begins: time spent elsewhere does not count against the server.
    pub(crate) fn begin_wait(&mut self) {
        self.clock.begin_wait();
    }

    /// The response that async-imap is not to see, if one has come.
    pub(crate) fn take_data(&mut self) -> Option<Frame> {
        self.data.take()
    }

    /// Why reading failed.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// What has come of the first line.
    pub(crate) fn unread(&self) -> &[u8] {
        self.framer.unread()
    }

    /// The connection below, and the octets that were read from it and not used.
    pub(crate) fn into_parts(self) -> (Box<dyn Transport>, Counters, Bytes) {
        (self.transport, self.counters, self.framer.into_rest())
    }

    /// Whether every octet read belonged to a response that was given out.
    pub(crate) fn is_clean(&self) -> bool {
        self.framer.is_clean() && self.passing.is_empty() && self.data.is_none()
    }

    /// The next response: for async-imap into `passing`, else into `data`.
    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            if let Some(frame) = self.framer.next()? {
                // Other servers greet with `+OK` or `220 …`, which is not for async-imap to read.
                let may_pass = !self.greeting || frame.head.starts_with(b"* ");
                if self.greeting {
                    self.greeting = false;
                    self.framer.bound_lines(self.line);
                }
                if may_pass
                    && !is_data(&frame.head)
                    && let Some(line) = tolerance::conversational(&frame.head)
                {
                    self.passing = line.into();
                } else {
                    self.data = Some(frame);
                }
                return Poll::Ready(Ok(()));
            }
            ready!(self.poll_fill(cx))?;
        }
    }

    /// Reads what the connection has.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut room = self.framer.room(READ);
        let polled = pin!(self.transport.read_buf(&mut room)).poll(cx);
        match polled {
            Poll::Ready(Ok(0)) => Poll::Ready(Err(self.cut("it was closed by the server"))),
            Poll::Ready(Ok(_)) => Poll::Ready(self.clock.heard()),
            Poll::Ready(Err(error)) => Poll::Ready(Err(self.cut(&error.to_string()))),
            Poll::Pending => self.clock.poll_silence(cx).map(Err),
        }
    }

    fn cut(&self, cause: &str) -> Error {
        Error::Cut { received: self.counters.received(), cause: cause.to_owned() }
    }
}

impl AsyncRead for Guard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.data.is_none()
            && self.passing.is_empty()
            && let Err(error) = ready!(self.poll_frame(cx))
        {
            self.failure = Some(error);
            return Poll::Ready(Err(io::Error::other("see the guard's failure")));
        }
        if self.passing.is_empty() {
            // Whoever polls us takes `data` when async-imap comes back with nothing.
            return Poll::Pending;
        }
        let length = self.passing.len().min(buffer.remaining());
        buffer.put_slice(&self.passing[..length]);
        self.passing.advance(length);
        Poll::Ready(Ok(()))
    }
}

write_through!(Guard, transport, |_: &Self, octets| octets);

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guard").field("received", &self.counters.received()).finish_non_exhaustive()
    }
}
