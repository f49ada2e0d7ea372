//! The line itself: commands out, lines in; bounded and timed.
//!
//! All octets that have come lie in one buffer, and whole messages are cut out of it where they lie
//! (`multiline`). Lines of answers and listings may end in a bare LF; what ends a message is decided
//! elsewhere, and strictly. What is sent at once is short ([`Limits::pipelined`]), so that it finds room in
//! the buffers below even while the server waits for us to read; who waits to write never waits for ever.

use std::fmt;
use std::future::poll_fn;
use std::pin::pin;
use std::task::{Context, Poll};

use bytes::buf::BufMut;
use bytes::{Bytes, BytesMut};
use secrecy::zeroize::Zeroizing;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::command::Command;
use super::reply::Reply;
use crate::endpoint::Endpoint;
use crate::error::Error;
use crate::limits::Limits;
use crate::net::Transport;
use crate::net::clock::Clock;
use crate::net::meter::{Counters, Traffic};
use crate::net::tls::encrypt;

/// Octets asked of the connection at once.
const READ: usize = 64 << 10;

/// The buffer grows by this much: some messages at once, and few allocations.
const BLOCK: usize = 256 << 10;

/// A buffer that holds more than a block grows by as much as it holds, up to this.
const MOST_GROWTH: usize = 4 << 20;

/// The reading and writing end of one connection.
pub(super) struct Wire {
    transport: Box<dyn Transport>,
    counters: Counters,
    clock: Clock,
    limits: Limits,
    buffer: BytesMut,
    /// How much of `buffer` is known to hold no line end.
    searched: usize,
    /// Answers that are due.
    due: usize,
    round_trips: u64,
}

impl Wire {
    /// A connection on which a greeting is due.
    pub(super) fn new(transport: Box<dyn Transport>, counters: Counters, limits: &Limits) -> Self {
        Self {
            transport,
            clock: Clock::new(counters.clone(), limits.greeting, limits),
            counters,
            limits: limits.clone(),
            buffer: BytesMut::new(),
            searched: 0,
            due: 0,
            round_trips: 0,
        }
    }

    /// The same conversation inside TLS; nothing may be left over.
    pub(super) async fn encrypted(self, endpoint: &Endpoint) -> Result<Self, Error> {
        let stream = encrypt(endpoint, self.transport, &self.limits).await?;
        let mut wire = Self::new(Box::new(stream), self.counters, &self.limits);
        wire.clock.be_patient(self.limits.progress);
        wire.round_trips = self.round_trips + 1;
        Ok(wire)
    }

    /// The first line, with the time and the room that a greeting has.
    pub(super) async fn greeting(&mut self) -> Result<Bytes, Error> {
        self.clock.begin_wait();
        let line = self.line(self.limits.greeting_line.min(self.limits.line)).await?;
        self.clock.be_patient(self.limits.progress);
        Ok(line)
    }

    /// Sends commands, all at once; an answer to each is due then.
    pub(super) async fn send(&mut self, commands: &[Command]) -> Result<(), Error> {
        if self.due == 0 {
            self.round_trips += 1;
        }
        self.due += commands.len();
        self.write(commands).await
    }

    /// Sends a line of an exchange that is under way.
    pub(super) async fn send_on(&mut self, line: Command) -> Result<(), Error> {
        self.round_trips += 1;
        self.write(&[line]).await
    }

    async fn write(&mut self, commands: &[Command]) -> Result<(), Error> {
        let length = commands.iter().map(|command| command.as_bytes().len() + 2).sum();
        let mut lines = Zeroizing::new(Vec::with_capacity(length));
        for command in commands {
            tracing::trace!(%command, "sent");
            lines.extend_from_slice(command.as_bytes());
            lines.extend_from_slice(b"\r\n");
        }
        let writing = async {
            self.transport.write_all(&lines).await?;
            self.transport.flush().await
        };
        let patience = self.limits.progress;
        let received = self.counters.received();
        match timeout(patience, writing).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error::Cut { received, cause: error.to_string() }),
            Err(_) => Err(Error::Stalled { hint: "", waited: patience, received }),
        }
    }

    /// The first line of the next answer. `Err` within: this line, which is none.
    pub(super) async fn reply(&mut self) -> Result<Result<Reply, Bytes>, Error> {
        self.clock.begin_wait();
        let line = self.line(self.limits.line).await?;
        let reply = Reply::read(&line);
        if !matches!(reply, Some(Reply::Continue(_))) {
            self.due = self.due.saturating_sub(1);
        }
        Ok(reply.ok_or(line))
    }

    /// The first line of the answer to a command that takes no steps.
    pub(super) async fn answer(&mut self) -> Result<Reply, Error> {
        match self.reply().await? {
            Ok(Reply::Continue(challenge)) => Err(Error::malformed("the answer to a command", &challenge)),
            Ok(reply) => Ok(reply),
            Err(line) => Err(Error::malformed("the answer to a command", &line)),
        }
    }

    /// Sends one command; the first line of its answer.
    pub(super) async fn ask(&mut self, command: Command) -> Result<Reply, Error> {
        self.send(&[command]).await?;
        self.answer().await
    }

    /// The lines that follow the first, up to the one that ends them, each without a dot that was
    /// stuffed; `most` of them.
    pub(super) async fn listing(&mut self, most: u64, mut each: impl FnMut(&[u8])) -> Result<(), Error> {
        self.clock.begin_wait();
        let (mut lines, mut octets) = (0, 0);
        loop {
            let line = self.line(self.limits.line).await?;
            if line == b"."[..] {
                return Ok(());
            }
            lines += 1;
            octets += line.len() as u64;
            if lines > most {
                return Err(Error::Bound { what: "an endless listing", bound: most });
            }
            if octets > self.limits.answer {
                let bound = self.limits.answer;
                return Err(Error::Bound { what: "endless data in answer to a command", bound });
            }
            each(line.strip_prefix(b".").unwrap_or(&line));
        }
    }

    /// A line without its end, LF or CR LF.
    async fn line(&mut self, bound: usize) -> Result<Bytes, Error> {
        loop {
            let found = memchr::memchr(b'\n', &self.buffer[self.searched..]);
            let length = found.map_or(self.buffer.len(), |at| self.searched + at);
            if length > bound {
                return Err(Error::Bound { what: "a line without end", bound: bound as u64 });
            }
            if found.is_some() {
                self.searched = 0;
                let line = self.buffer.split_to(length + 1).freeze();
                let line = line.slice(..length);
                let ends_in_cr = line.ends_with(b"\r");
                return Ok(line.slice(..length - usize::from(ends_in_cr)));
            }
            self.searched = self.buffer.len();
            self.fill().await?;
        }
    }

    /// Time begins anew: what passed while a message was in other hands is not the server's.
    pub(super) fn begin_wait(&mut self) {
        self.clock.begin_wait();
    }

    /// Reads what the connection has, at least one octet, to the end of the buffer.
    pub(super) async fn fill(&mut self) -> Result<(), Error> {
        if self.buffer.capacity() - self.buffer.len() < READ / 8 {
            self.buffer.reserve(self.buffer.len().clamp(BLOCK, MOST_GROWTH));
        }
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let room = (self.buffer.capacity() - self.buffer.len()).min(READ);
        let mut room = (&mut self.buffer).limit(room);
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

    /// What has come and was not taken yet. Between a line and the next, all of it may be taken.
    pub(super) fn buffer(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer
    }

    /// Whether every octet that was read belonged to an answer.
    pub(super) fn is_clean(&self) -> bool {
        self.buffer.is_empty()
    }

    pub(super) fn traffic(&self) -> Traffic {
        Traffic {
            received: self.counters.received(),
            sent: self.counters.sent(),
            round_trips: self.round_trips,
        }
    }

    /// Says that nothing more will be sent: the way TLS tells that nothing was cut off (RFC 8446 §6.1).
    pub(super) async fn shut_down(&mut self) -> Result<(), Error> {
        self.transport.shutdown().await.map_err(|error| self.cut(&error.to_string()))
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").field("received", &self.counters.received()).finish_non_exhaustive()
    }
}
