//! The connection of one POP3 client: lines in, octets out.
//!
//! Answers are gathered and sent in portions; here is where faults that count octets strike: cuts,
//! drips, silence.

use std::sync::Arc;

use super::effect::Effect;
use super::server::Shared;
use crate::effect::Gate;
use crate::limits;
use crate::tls::TlsConfig;
use crate::transport::{Broken, Stream, Transport};

/// What may be sent of the answer to the current command.
#[derive(Default)]
struct Brake {
    end: Option<(u64, End)>,
    drip: Option<(usize, Gate)>,
}

/// What comes after the last octet that may be sent.
#[derive(Clone, Copy)]
enum End {
    Cut,
    Silence,
}

/// One client's connection.
pub(super) struct Wire {
    transport: Transport,
    input: Vec<u8>,
    /// So much of the input has been taken.
    taken: usize,
    /// What is to be sent next.
    pub(super) out: Vec<u8>,
    sent: u64,
    brake: Brake,
    shared: Arc<Shared>,
}

impl Wire {
    pub(super) fn new(stream: Box<dyn Stream>, shared: Arc<Shared>) -> Self {
        Self {
            transport: Transport::new(stream),
            input: Vec::new(),
            taken: 0,
            out: Vec::new(),
            sent: 0,
            brake: Brake::default(),
            shared,
        }
    }

    /// Takes up TLS; what the client sent before it counts for nothing.
    pub(super) async fn start_tls(&mut self, config: TlsConfig) -> Result<(), Broken> {
        self.forget_input();
        self.transport.start_tls(config).await
    }

    fn forget_input(&mut self) {
        self.input.clear();
        self.taken = 0;
    }

    /// An effect on what is sent from here on; gives it back if it is none.
    pub(super) async fn suffer(&mut self, effect: Effect) -> Result<Option<Effect>, Broken> {
        match effect {
            Effect::Disconnect => return Err(self.transport.cut().await),
            Effect::Silence => return Err(self.transport.fall_silent().await),
            Effect::DisconnectAfter(octets) => self.brake.end = Some((octets, End::Cut)),
            Effect::SilenceAfter(octets) => self.brake.end = Some((octets, End::Silence)),
            Effect::Drip(octets, gate) => self.brake.drip = Some((octets.max(1), gate)),
            other => return Ok(Some(other)),
        }
        Ok(None)
    }

    /// The answer is over: cuts and drips that were meant for it are, too.
    pub(super) fn release(&mut self) {
        self.brake = Brake::default();
    }

    /// Sends what is gathered when it is much.
    pub(super) async fn flush_some(&mut self) -> Result<(), Broken> {
        if self.out.len() >= limits::WRITE { self.flush().await } else { Ok(()) }
    }

    /// Sends what is gathered, as far as the faults let it.
    pub(super) async fn flush(&mut self) -> Result<(), Broken> {
        let out = std::mem::take(&mut self.out);
        let mut rest = out.as_slice();
        while !rest.is_empty() && self.left() > 0 {
            let mut room = self.left().min(rest.len() as u64);
            if let Some((octets, _)) = &self.brake.drip {
                room = room.min(*octets as u64);
            }
            room = self.shared.script.room(self.sent, room);
            let (now, later) = rest.split_at(usize::try_from(room).unwrap_or(rest.len()));
            self.transport.write(now).await?;
            rest = later;
            self.sent += room;
            self.shared.count(|counts| counts.octets_sent += room);
            if let Some((left, _)) = &mut self.brake.end {
                *left -= room;
            }
            for effect in self.shared.script.sent(self.sent, room) {
                if let Some(Effect::Before(octets) | Effect::After(octets) | Effect::Instead(octets)) =
                    self.suffer(effect).await?
                {
                    self.transport.write(&octets).await?;
                }
            }
            if !rest.is_empty() {
                self.wait_at_gate().await?;
            }
        }
        match self.brake.end {
            Some((0, End::Cut)) => Err(self.transport.cut().await),
            Some((0, End::Silence)) => Err(self.transport.fall_silent().await),
            _ => Ok(()),
        }
    }

    /// How many octets may still be sent.
    fn left(&self) -> u64 {
        self.brake.end.map_or(u64::MAX, |(left, _)| left)
    }

    /// Where the answer drips: waits until it may go on. A client that goes meanwhile is noticed.
    async fn wait_at_gate(&mut self) -> Result<(), Broken> {
        let Some((_, gate)) = self.brake.drip.clone() else { return Ok(()) };
        let passed = gate.pass();
        tokio::pin!(passed);
        while self.input.len() < limits::COMMAND_TEXT {
            tokio::select! {
                () = &mut passed => return Ok(()),
                heard = self.transport.read(&mut self.input, limits::READ as u64) => {
                    let octets = heard? as u64;
                    self.shared.count(|counts| counts.octets_received += octets);
                    if octets == 0 {
                        return Err(Broken::Gone);
                    }
                }
            }
        }
        passed.await;
        Ok(())
    }

    /// Says so and closes.
    pub(super) async fn close(&mut self) {
        if self.flush().await.is_ok() {
            self.transport.close().await;
        }
    }

    async fn fill(&mut self) -> Result<(), Broken> {
        self.input.drain(..std::mem::take(&mut self.taken));
        let octets = self.transport.read(&mut self.input, limits::READ as u64).await? as u64;
        self.shared.count(|counts| counts.octets_received += octets);
        if octets == 0 { Err(Broken::Gone) } else { Ok(()) }
    }

    /// A line without its end; a bare LF ends it, too.
    pub(super) async fn line(&mut self, limit: usize) -> Result<Vec<u8>, Broken> {
        let waits = self.taken == self.input.len();
        self.shared.count(|counts| if waits { counts.round_trips += 1 } else { counts.pipelined += 1 });
        loop {
            let waiting = &self.input[self.taken..];
            if let Some(end) = waiting.iter().position(|&byte| byte == b'\n') {
                let line = &waiting[..end];
                let line = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
                self.taken += end + 1;
                if self.shared.behaviour.loses_pipelined() {
                    self.forget_input();
                    self.transport.discard().await;
                }
                return Ok(line);
            }
            if waiting.len() > limit {
                return Err(Broken::abuse("line too long"));
            }
            self.fill().await?;
        }
    }
}
