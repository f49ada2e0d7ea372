//! The connection of one client: octets in and out, plain, over TLS, deflated.
//!
//! Commands are read with their literals, within the limits. Answers are gathered and sent in
//! portions; here is where faults that count octets strike: cuts, drips, silence. Octets are
//! counted as they are before compression and encryption.

use std::sync::Arc;

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use crate::arguments::Part;
use crate::effect::{Effect, Gate};
use crate::fault::Event;
use crate::limits;
use crate::server::Shared;
use crate::tls::TlsConfig;
use crate::transport::{Broken, Stream, Transport};

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
    /// So much of the input has been taken.
    taken: usize,
    /// What is to be sent next.
    pub(crate) out: Vec<u8>,
    sent: u64,
    received: u64,
    /// What strikes before more is received.
    struck: Vec<Effect>,
    brake: Brake,
    shared: Arc<Shared>,
}

impl Wire {
    pub(crate) fn new(stream: Box<dyn Stream>, shared: Arc<Shared>) -> Self {
        Self {
            transport: Transport::new(stream),
            deflated: None,
            input: Vec::new(),
            taken: 0,
            out: Vec::new(),
            sent: 0,
            received: 0,
            struck: Vec::new(),
            brake: Brake::default(),
            shared,
        }
    }

    /// Takes up TLS; what the client sent before it counts for nothing (RFC 9051 §6.2.1).
    pub(crate) async fn start_tls(&mut self, config: TlsConfig) -> Result<(), Broken> {
        self.input.clear();
        self.taken = 0;
        self.transport.start_tls(config).await
    }

    /// Deflates both directions from here on (RFC 4978).
    pub(crate) fn start_deflate(&mut self) {
        self.input.drain(..std::mem::take(&mut self.taken));
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

    /// See [`Transport::cut`].
    pub(crate) async fn cut(&mut self) -> Broken {
        self.transport.cut().await
    }

    /// See [`Transport::fall_silent`].
    pub(crate) async fn fall_silent(&mut self) -> Broken {
        self.transport.fall_silent().await
    }

    /// Sends what is left and closes in good order.
    pub(crate) async fn close(&mut self) {
        if self.flush().await.is_ok() {
            self.transport.close().await;
        }
    }

    /// Waits for more input. Can be given up and tried again.
    async fn fill(&mut self) -> Result<(), Broken> {
        // What has been taken goes before the buffer grows: it is moved once for each portion.
        self.input.drain(..std::mem::take(&mut self.taken));
        loop {
            if self.inflate_some()? {
                return Ok(());
            }
            while let Some(effect) = self.struck.pop() {
                self.suffer(effect).await?;
            }
            let room = self.shared.script.room_to_receive(self.received, limits::READ as u64);
            let buffer = match &mut self.deflated {
                Some(deflated) => &mut deflated.waiting,
                None => &mut self.input,
            };
            buffer.reserve(limits::READ);
            let octets = self.transport.read(buffer, room).await? as u64;
            if octets == 0 {
                return Err(Broken::Gone);
            }
            self.received += octets;
            self.shared.count(|counts| counts.octets_received += octets);
            self.struck = self.shared.script.received(self.received, octets);
            if self.deflated.is_none() {
                return Ok(());
            }
        }
    }

    /// Inflates what has been received; whether anything came of it.
    fn inflate_some(&mut self) -> Result<bool, Broken> {
        let Some(deflated) = self.deflated.as_mut().filter(|deflated| !deflated.waiting.is_empty()) else {
            return Ok(false);
        };
        let start = self.input.len();
        self.input.reserve_exact(limits::READ);
        let before = deflated.read.total_in();
        let status = deflated
            .read
            .decompress_vec(&deflated.waiting, &mut self.input, FlushDecompress::None)
            .map_err(|_| Broken::abuse("not a deflated stream"))?;
        let taken = usize::try_from(deflated.read.total_in() - before).unwrap_or(usize::MAX);
        deflated.waiting.drain(..taken.min(deflated.waiting.len()));
        if self.input.len() > start {
            return Ok(true);
        }
        if taken == 0 || status == Status::StreamEnd {
            return Err(Broken::abuse("the deflated stream has ended"));
        }
        Ok(false)
    }

    /// A line without its end; a bare LF ends it, too. Can be given up and tried again.
    pub(crate) async fn line(&mut self, limit: usize) -> Result<Vec<u8>, Broken> {
        let mut searched = 0;
        loop {
            let waiting = &self.input[self.taken..];
            if let Some(end) = waiting[searched..].iter().position(|&byte| byte == b'\n') {
                let line = &waiting[..searched + end];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.taken += searched + end + 1;
                return Ok(line);
            }
            searched = waiting.len();
            if searched > limit {
                return Err(Broken::abuse("line too long"));
            }
            self.fill().await?;
        }
    }

    /// The octets of a literal. Memory for a large one is taken as it comes, not as it is announced.
    async fn octets(&mut self, length: u64) -> Result<Arc<[u8]>, Broken> {
        let length = usize::try_from(length).map_err(|_| Broken::abuse("literal too large"))?;
        if length > limits::READ_IN_PLACE {
            let mut octets = Vec::with_capacity(limits::READ_IN_PLACE);
            while octets.len() < length {
                let portion = self.some_octets(length - octets.len()).await?;
                octets.extend_from_slice(portion);
            }
            return Ok(octets.into());
        }
        let mut octets: Arc<[u8]> = std::iter::repeat_n(0, length).collect();
        let mut rest = Arc::get_mut(&mut octets).expect("nobody else has it yet");
        while !rest.is_empty() {
            let portion = self.some_octets(rest.len()).await?;
            let (now, later) = rest.split_at_mut(portion.len());
            now.copy_from_slice(portion);
            rest = later;
        }
        Ok(octets)
    }

    /// Takes so many octets and keeps none of them.
    async fn pass_over(&mut self, mut octets: u64) -> Result<(), Broken> {
        while octets > 0 {
            let most = usize::try_from(octets).unwrap_or(usize::MAX);
            octets -= self.some_octets(most).await?.len() as u64;
        }
        Ok(())
    }

    /// At least one octet and at most so many, of those that come next.
    async fn some_octets(&mut self, most: usize) -> Result<&[u8], Broken> {
        if self.taken == self.input.len() {
            self.fill().await?;
        }
        let from = self.taken;
        self.taken = self.input.len().min(from.saturating_add(most));
        Ok(&self.input[from..self.taken])
    }

    /// A command with its literals. `authenticated` decides how much is listened to.
    pub(crate) async fn command(&mut self, authenticated: bool) -> Result<Command, Broken> {
        let limit = if authenticated { limits::COMMAND_TEXT } else { limits::COMMAND_TEXT_BEFORE_LOGIN };
        let (mut text_left, mut literals_left) = (limit, limits::COMMAND_LITERALS);
        let mut command = Command::default();
        loop {
            let mut line = self.line(text_left).await?;
            text_left = text_left.saturating_sub(line.len());
            let announced = Announcement::at_end_of(&line);
            if let Some(announced) = &announced {
                line.truncate(announced.at);
            }
            command.parts.push(Part::Text(line));
            let Some(announced) = announced else { return Ok(command) };
            let appends = authenticated && is_append(&command.parts);
            let limit = if appends { limits::MESSAGE } else { limits::SMALL_LITERAL }.min(literals_left);
            let too_many = announced.length > limit || command.parts.len() > 2 * limits::LITERALS;
            if too_many && !announced.waits {
                return Err(Broken::abuse("[TOOBIG] literal too large"));
            }
            if too_many {
                command.refuse("NO [TOOBIG] literal too large");
            } else {
                self.judge_literal(&announced, appends, &mut command).await?;
            }
            literals_left = literals_left.saturating_sub(announced.length);
            match (&command.refused, announced.waits) {
                // It is not asked for, so the command ends here (RFC 9051 §4.3).
                (Some(_), true) => return Ok(command),
                (Some(_), false) => {
                    self.pass_over(announced.length).await?;
                    continue;
                }
                (None, true) => {
                    self.out.extend_from_slice(b"+ go ahead\r\n");
                    self.flush().await?;
                }
                (None, false) => {}
            }
            if let Some(octets) = command.cut_in_literal {
                self.pass_over(octets.min(announced.length)).await?;
                return Err(self.cut().await);
            }
            command.parts.push(Part::Literal(self.octets(announced.length).await?));
        }
    }

    /// What the server thinks of a literal before it comes: notes in the command why it is refused,
    /// or where the connection is to be cut.
    async fn judge_literal(
        &mut self,
        announced: &Announcement,
        appends: bool,
        command: &mut Command,
    ) -> Result<(), Broken> {
        let (length, unasked) = (announced.length, !announced.waits);
        if unasked && self.shared.misses_unasked() {
            command.refuse("BAD what is {n+}");
        } else if unasked && !self.shared.takes_unasked(length) {
            return Err(Broken::abuse("LITERAL+ is not offered"));
        }
        if !appends {
            return Ok(());
        }
        if self.shared.behaviour.append_limit().is_some_and(|limit| length > limit) {
            command.refuse("NO [TOOBIG] no message may be so large here");
        }
        for effect in self.shared.script.strikes(Event::Literal { length, unasked }, None) {
            match effect {
                Effect::No(text) => command.refuse(&format!("NO {text}")),
                Effect::Bad(text) => command.refuse(&format!("BAD {text}")),
                Effect::Bye(text) => return Err(Broken::Abuse(text.into())),
                Effect::DisconnectInLiteral(octets) => command.cut_in_literal = Some(octets),
                other => self.suffer(other).await?,
            }
        }
        Ok(())
    }
}

/// A command as it came.
#[derive(Default)]
pub(crate) struct Command {
    pub(crate) parts: Vec<Part>,
    /// Its answer without the tag, when a literal of it was refused. The parts are then not all.
    pub(crate) refused: Option<String>,
    cut_in_literal: Option<u64>,
}

impl Command {
    /// The first reason counts.
    fn refuse(&mut self, answer: &str) {
        self.refused.get_or_insert_with(|| answer.to_owned());
    }
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
