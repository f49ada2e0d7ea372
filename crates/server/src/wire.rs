//! The connection of one client: octets in and out, plain, over TLS, deflated.
//!
//! Commands are read with their literals, within the limits. Answers are gathered and sent in
//! portions; here is where faults that count octets strike: cuts, drips, silence. Octets are
//! counted as they are before compression and encryption.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::arguments::Part;
use crate::fault::{Effect, Gate};
use crate::limits;
use crate::server::Shared;
use crate::tls::TlsConfig;

/// The connection is over, or must be.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The client has gone, or the server went on purpose.
    Gone,
    /// The client broke a limit or the framing; it is told so before it is sent away.
    Abuse(&'static str),
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        // Whatever the cause, nobody is left to be told.
        Self::Gone
    }
}

/// A connection's two directions, whatever they are made of: TCP, or memory.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

enum Transport {
    Plain(Box<dyn Stream>),
    Tls(Box<TlsStream<Box<dyn Stream>>>),
    Gone,
}

impl Transport {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer).await,
            Self::Tls(stream) => stream.read(buffer).await,
            Self::Gone => Ok(0),
        }
    }

    async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(octets).await,
            Self::Tls(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await
            }
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

struct Deflated {
    write: Compress,
    read: Decompress,
    /// Received and not inflated yet.
    waiting: Vec<u8>,
}

/// What may be sent of the answer to the current command.
#[derive(Default)]
struct Brake {
    cut_after: Option<u64>,
    drip: Option<(usize, Gate)>,
}

/// One client's connection.
pub(crate) struct Wire {
    transport: Transport,
    deflated: Option<Box<Deflated>>,
    input: Vec<u8>,
    /// What is to be sent next.
    pub(crate) out: Vec<u8>,
    sent: u64,
    brake: Brake,
    shared: Arc<Shared>,
}

impl Wire {
    pub(crate) fn new(stream: Box<dyn Stream>, shared: Arc<Shared>) -> Self {
        Self {
            transport: Transport::Plain(stream),
            deflated: None,
            input: Vec::new(),
            out: Vec::new(),
            sent: 0,
            brake: Brake::default(),
            shared,
        }
    }

    /// Takes up TLS; what the client sent before it counts for nothing (RFC 9051 §6.2.1).
    pub(crate) async fn start_tls(&mut self, config: TlsConfig) -> Result<(), Broken> {
        self.input.clear();
        let Transport::Plain(stream) = std::mem::replace(&mut self.transport, Transport::Gone) else {
            return Err(Broken::Gone);
        };
        let stream = TlsAcceptor::from(config).accept(stream).await?;
        self.transport = Transport::Tls(Box::new(stream));
        Ok(())
    }

    /// Deflates both directions from here on (RFC 4978).
    pub(crate) fn start_deflate(&mut self) {
        self.deflated = Some(Box::new(Deflated {
            write: Compress::new(Compression::fast(), false),
            read: Decompress::new(false),
            waiting: std::mem::take(&mut self.input),
        }));
    }

    /// Sends only so many octets more, then cuts the connection.
    pub(crate) fn cut_after(&mut self, octets: u64) {
        self.brake.cut_after = Some(octets);
    }

    /// Sends so many octets at a time, waiting at the gate after each portion.
    pub(crate) fn drip(&mut self, octets: usize, gate: Gate) {
        self.brake.drip = Some((octets.max(1), gate));
    }

    /// The answer is over: cuts and drips that were meant for it are, too.
    pub(crate) fn release(&mut self) {
        self.brake = Brake::default();
    }

    /// Sends what is gathered when it is much.
    pub(crate) async fn flush_some(&mut self) -> Result<(), Broken> {
        if self.out.len() >= limits::WRITE { self.flush().await } else { Ok(()) }
    }

    /// Sends what is gathered, as far as the faults let it.
    pub(crate) async fn flush(&mut self) -> Result<(), Broken> {
        let out = std::mem::take(&mut self.out);
        let mut rest = out.as_slice();
        while !rest.is_empty() && self.brake.cut_after != Some(0) {
            let mut room = rest.len() as u64;
            room = room.min(self.brake.cut_after.unwrap_or(room));
            if let Some((octets, _)) = &self.brake.drip {
                room = room.min(*octets as u64);
            }
            room = self.shared.script.room(self.sent, room);
            let (now, later) = rest.split_at(usize::try_from(room).unwrap_or(rest.len()));
            self.transmit(now).await?;
            rest = later;
            self.sent += room;
            self.shared.count(|counts| counts.octets_sent += room);
            if let Some(left) = &mut self.brake.cut_after {
                *left -= room;
            }
            for effect in self.shared.script.sent(self.sent, room) {
                self.suffer(effect).await?;
            }
            if let (Some((_, gate)), false) = (&self.brake.drip, rest.is_empty()) {
                gate.pass().await;
            }
        }
        if self.brake.cut_after == Some(0) { Err(self.cut().await) } else { Ok(()) }
    }

    async fn suffer(&mut self, effect: Effect) -> Result<(), Broken> {
        match effect {
            Effect::Disconnect => Err(self.cut().await),
            Effect::Silence => Err(self.fall_silent().await),
            Effect::Drip(octets, gate) => {
                self.drip(octets, gate);
                Ok(())
            }
            Effect::Bye(text) => {
                self.transmit(format!("\r\n* BYE {text}\r\n").as_bytes()).await?;
                Err(self.cut().await)
            }
            Effect::Before(octets) | Effect::After(octets) | Effect::Instead(octets) => {
                self.transmit(&octets).await
            }
            _ => Ok(()),
        }
    }

    async fn transmit(&mut self, octets: &[u8]) -> Result<(), Broken> {
        let Some(deflated) = &mut self.deflated else {
            return Ok(self.transport.write(octets).await?);
        };
        let mut small = Vec::with_capacity(octets.len() / 2 + 64);
        let mut rest = octets;
        loop {
            small.reserve(256);
            let before = deflated.write.total_in();
            deflated.write.compress_vec(rest, &mut small, FlushCompress::Sync).map_err(|_| Broken::Gone)?;
            let taken = usize::try_from(deflated.write.total_in() - before).unwrap_or(rest.len());
            rest = &rest[taken..];
            // Room left over means that everything has come out.
            if rest.is_empty() && small.len() < small.capacity() {
                break;
            }
        }
        Ok(self.transport.write(&small).await?)
    }

    /// Drops the connection without a word; over TLS without close_notify. What was sent before
    /// arrives: unread input is taken first, for it would turn the end into a reset.
    pub(crate) async fn cut(&mut self) -> Broken {
        let mut transport = std::mem::replace(&mut self.transport, Transport::Gone);
        let stream = match &mut transport {
            Transport::Plain(stream) => stream,
            Transport::Tls(stream) => stream.get_mut().0,
            Transport::Gone => return Broken::Gone,
        };
        while took_some(stream).await {}
        // The end of the connection is what is wanted; a failure is the same.
        let _ = stream.shutdown().await;
        Broken::Gone
    }

    /// Says nothing more and reads on until the client goes.
    pub(crate) async fn fall_silent(&mut self) -> Broken {
        let mut unheard = vec![0; limits::READ];
        while self.transport.read(&mut unheard).await.is_ok_and(|octets| octets > 0) {}
        Broken::Gone
    }

    /// Sends what is left and closes in good order.
    pub(crate) async fn close(&mut self) {
        if self.flush().await.is_err() {
            return;
        }
        // Nobody waits for the outcome of a farewell.
        let _ = match &mut self.transport {
            Transport::Plain(stream) => stream.shutdown().await,
            Transport::Tls(stream) => stream.shutdown().await,
            Transport::Gone => Ok(()),
        };
    }

    /// Waits for more input.
    async fn fill(&mut self) -> Result<(), Broken> {
        loop {
            let start = self.input.len();
            if let Some(deflated) = &mut self.deflated
                && !deflated.waiting.is_empty()
            {
                self.input.reserve_exact(limits::READ);
                let before = deflated.read.total_in();
                let status = deflated
                    .read
                    .decompress_vec(&deflated.waiting, &mut self.input, FlushDecompress::None)
                    .map_err(|_| Broken::Abuse("not a deflated stream"))?;
                let taken = usize::try_from(deflated.read.total_in() - before).unwrap_or(usize::MAX);
                deflated.waiting.drain(..taken.min(deflated.waiting.len()));
                if self.input.len() > start {
                    return Ok(());
                }
                if taken == 0 || status == Status::StreamEnd {
                    return Err(Broken::Abuse("the deflated stream has ended"));
                }
            }
            let mut buffer = vec![0; limits::READ];
            let octets = self.transport.read(&mut buffer).await?;
            if octets == 0 {
                return Err(Broken::Gone);
            }
            self.shared.count(|counts| counts.octets_received += octets as u64);
            match &mut self.deflated {
                Some(deflated) => deflated.waiting.extend_from_slice(&buffer[..octets]),
                None => {
                    self.input.extend_from_slice(&buffer[..octets]);
                    return Ok(());
                }
            }
        }
    }

    /// A line without its end; a bare LF ends it, too. Can be given up and tried again.
    pub(crate) async fn line(&mut self, limit: usize) -> Result<Vec<u8>, Broken> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.input[searched..].iter().position(|&byte| byte == b'\n') {
                let mut line: Vec<u8> = self.input.drain(..=searched + end).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(line);
            }
            searched = self.input.len();
            if searched > limit {
                return Err(Broken::Abuse("line too long"));
            }
            self.fill().await?;
        }
    }

    async fn octets(&mut self, length: u64) -> Result<Vec<u8>, Broken> {
        let length = usize::try_from(length).map_err(|_| Broken::Abuse("literal too large"))?;
        let mut octets = std::mem::take(&mut self.input);
        while octets.len() < length {
            self.fill().await?;
            octets.append(&mut self.input);
        }
        self.input = octets.split_off(length);
        Ok(octets)
    }

    /// A command with its literals. `authenticated` decides how much is listened to.
    pub(crate) async fn command(&mut self, authenticated: bool) -> Result<Vec<Part>, Broken> {
        let limit = if authenticated { limits::COMMAND_TEXT } else { limits::COMMAND_TEXT_BEFORE_LOGIN };
        let (mut text_left, mut literals_left) = (limit, limits::COMMAND_LITERALS);
        let mut parts = Vec::new();
        loop {
            let mut line = self.line(text_left).await?;
            text_left = text_left.saturating_sub(line.len());
            let announced = Announcement::at_end_of(&line);
            if let Some(announced) = &announced {
                line.truncate(announced.at);
            }
            parts.push(Part::Text(line));
            let Some(announced) = announced else { return Ok(parts) };
            let limit =
                if authenticated && is_append(&parts) { limits::MESSAGE } else { limits::SMALL_LITERAL };
            if announced.length > limit.min(literals_left) || parts.len() > 2 * limits::LITERALS {
                if announced.waits {
                    self.refuse_literal(&parts).await?;
                    parts.clear();
                    continue;
                }
                return Err(Broken::Abuse("[TOOBIG] literal too large"));
            }
            if announced.waits {
                self.out.extend_from_slice(b"+ go ahead\r\n");
                self.flush().await?;
            } else if !self.shared.takes_unasked(announced.length) {
                return Err(Broken::Abuse("LITERAL+ is not offered"));
            }
            literals_left -= announced.length;
            parts.push(Part::Literal(self.octets(announced.length).await?));
        }
    }

    async fn refuse_literal(&mut self, parts: &[Part]) -> Result<(), Broken> {
        let tag = match parts.first() {
            Some(Part::Text(text)) => text.split(|&byte| byte == b' ').next().unwrap_or_default(),
            _ => b"*",
        };
        self.out.extend_from_slice(tag);
        self.out.extend_from_slice(b" NO [TOOBIG] literal too large\r\n");
        self.flush().await
    }
}

/// Takes what has come, without waiting for more. Whether there was any.
async fn took_some(stream: &mut Box<dyn Stream>) -> bool {
    let mut unread = [0; 4096];
    let mut unread = ReadBuf::new(&mut unread);
    std::future::poll_fn(|cx| {
        let read = Pin::new(&mut *stream).poll_read(cx, &mut unread);
        Poll::Ready(matches!(read, Poll::Ready(Ok(()))) && !unread.filled().is_empty())
    })
    .await
}

fn is_append(parts: &[Part]) -> bool {
    let Some(Part::Text(text)) = parts.first() else { return false };
    text.split(|&byte| byte == b' ').nth(1).is_some_and(|name| name.eq_ignore_ascii_case(b"APPEND"))
}

/// `{n}` or `{n+}` at the end of a line.
#[derive(Debug, PartialEq, Eq)]
struct Announcement {
    at: usize,
    length: u64,
    waits: bool,
}

impl Announcement {
    fn at_end_of(line: &[u8]) -> Option<Self> {
        let inner = line.strip_suffix(b"}")?;
        let at = inner.iter().rposition(|&byte| byte == b'{')?;
        let digits = &inner[at + 1..];
        let (digits, waits) = match digits.strip_suffix(b"+") {
            Some(digits) => (digits, false),
            None => (digits, true),
        };
        if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        // A number beyond all bounds is as good as the largest: both are refused.
        let length = std::str::from_utf8(digits).ok()?.parse().unwrap_or(u64::MAX);
        Some(Self { at, length, waits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_literal_is_announced_at_the_end_of_a_line() {
        let announced = |at, length, waits| Some(Announcement { at, length, waits });
        assert_eq!(Announcement::at_end_of(b"a LOGIN {3}"), announced(8, 3, true));
        assert_eq!(Announcement::at_end_of(b"{10+}"), announced(0, 10, false));
        assert_eq!(Announcement::at_end_of(b"x {99999999999999999999}"), announced(2, u64::MAX, true));
        for none in ["a {3} ", "a {}", "a {+}", "a {-1}", "3}", "", "\"{3}\""] {
            assert_eq!(Announcement::at_end_of(none.as_bytes()), None, "{none}");
        }
    }
}
