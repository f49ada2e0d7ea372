//! What a POP3 server does wrong, and when.
//!
//! ```
//! use restante_server::pop3::{Behaviour, Effect, Fault, Trigger};
//!
//! // The connection is cut 5,000 octets into message 37, the first two times somebody asks for it.
//! let fault = Fault::new(Trigger::Message(37), Effect::DisconnectAfter(5_000)).first(2);
//! let behaviour = Behaviour::modern().with_fault(fault);
//! ```

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::effect::Effect;
use crate::fault::Times;

/// When a fault strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// Before the greeting.
    Greeting,
    /// On a command by its name in capitals: `RETR`, `UIDL`, `PASS`.
    Command(String),
    /// On a command whose text (`UIDL 3`) is this, in any case.
    Line(String),
    /// On the command that decides a login: PASS, APOP, AUTH.
    Login,
    /// On RETR and TOP of the message of this number.
    Message(u32),
    /// On RETR and TOP of a message that contains this text.
    Content(String),
    /// On the line of the message of this number in LIST and UIDL.
    Listed(u32),
    /// When so many octets have been sent in one connection.
    Sent(u64),
    /// When so many octets have been sent in all connections together.
    SentInAll(u64),
    /// On each command.
    Always,
}

/// Something that a server does wrong. Counted over all connections.
#[derive(Debug, Clone)]
pub struct Fault {
    when: Trigger,
    what: Effect,
    times: Times,
}

impl Fault {
    /// A fault that strikes each time.
    #[must_use]
    pub fn new(when: Trigger, what: Effect) -> Self {
        Self { when, what, times: Times::Every }
    }

    /// A fault that strikes each time this command (its name in capitals) comes.
    #[must_use]
    pub fn on(command: &str, what: Effect) -> Self {
        Self::new(Trigger::Command(command.to_owned()), what)
    }

    /// Only the first `n` times.
    #[must_use]
    pub fn first(self, n: u32) -> Self {
        Self { times: Times::First(n), ..self }
    }

    /// Only the `n`-th time, counted from 1.
    #[must_use]
    pub fn only(self, n: u32) -> Self {
        Self { times: Times::Only(n), ..self }
    }

    /// From the `n`-th time on, counted from 1.
    #[must_use]
    pub fn from(self, n: u32) -> Self {
        Self { times: Times::From(n), ..self }
    }
}

/// What happens in a session that a trigger may wait for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Event<'a> {
    Greeting,
    Command { name: &'a str, line: &'a str },
    Message { number: u32, bytes: &'a [u8] },
    Listed { number: u32 },
}

/// All faults of a server with their counts.
#[derive(Debug, Default)]
pub(super) struct Script(Mutex<Play>);

#[derive(Debug, Default)]
struct Play {
    faults: Vec<(Fault, u32)>,
    sent: u64,
}

impl Script {
    pub(super) fn new(faults: &[Fault]) -> Self {
        let script = Self::default();
        script.replace(faults);
        script
    }

    /// Other faults from now on; the counts begin again.
    pub(super) fn replace(&self, faults: &[Fault]) {
        let faults = faults.iter().map(|fault| (fault.clone(), 0)).collect();
        *self.lock() = Play { faults, sent: 0 };
    }

    fn lock(&self) -> MutexGuard<'_, Play> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The effects of what just happened.
    pub(super) fn strikes(&self, event: Event<'_>) -> Vec<Effect> {
        self.lock().strike(|trigger| trigger.waits_for(event))
    }

    /// How many of `wanted` octets may be sent before the next fault that counts octets.
    /// `sent` is what this connection has sent so far.
    pub(super) fn room(&self, sent: u64, wanted: u64) -> u64 {
        let play = self.lock();
        let left = play.faults.iter().filter_map(|(fault, _)| match fault.when {
            Trigger::Sent(at) => at.checked_sub(sent),
            Trigger::SentInAll(at) => at.checked_sub(play.sent),
            _ => None,
        });
        left.filter(|left| *left > 0).fold(wanted, u64::min)
    }

    /// Notes that `octets` were sent, `sent` with them in this connection; gives what strikes at
    /// this point. Octets are noted in the portions that [`room`](Self::room) gave.
    pub(super) fn sent(&self, sent: u64, octets: u64) -> Vec<Effect> {
        let mut play = self.lock();
        play.sent += octets;
        let in_all = play.sent;
        play.strike(|trigger| match trigger {
            Trigger::Sent(at) => octets > 0 && *at == sent,
            Trigger::SentInAll(at) => octets > 0 && *at == in_all,
            _ => false,
        })
    }
}

impl Play {
    fn strike(&mut self, meant: impl Fn(&Trigger) -> bool) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (fault, count) in &mut self.faults {
            if meant(&fault.when) {
                *count = count.saturating_add(1);
                if fault.times.meant(*count) {
                    effects.push(fault.what.clone());
                }
            }
        }
        effects
    }
}

impl Trigger {
    fn waits_for(&self, event: Event<'_>) -> bool {
        match (self, event) {
            (Self::Greeting, Event::Greeting) | (Self::Always, Event::Command { .. }) => true,
            (Self::Command(wanted), Event::Command { name, .. }) => wanted.eq_ignore_ascii_case(name),
            (Self::Line(wanted), Event::Command { line, .. }) => wanted.eq_ignore_ascii_case(line),
            (Self::Login, Event::Command { name, .. }) => matches!(name, "PASS" | "APOP" | "AUTH"),
            (Self::Message(wanted), Event::Message { number, .. })
            | (Self::Listed(wanted), Event::Listed { number }) => *wanted == number,
            (Self::Content(text), Event::Message { bytes, .. }) => {
                text.is_empty() || bytes.windows(text.len()).any(|window| window == text.as_bytes())
            }
            _ => false,
        }
    }
}
