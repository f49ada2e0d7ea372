//! What a server does wrong, and when: the script language of tests.
//!
//! A [`Fault`] is a [`Trigger`], an [`Effect`], and how often. Some effects take the place of an
//! answer or end it (a refusal, a cut), others change what is in it (a size, a count); each works
//! wherever it has a meaning and does nothing elsewhere.
//!
//! ```
//! use restante_server::{Behaviour, Effect, Fault, Trigger};
//!
//! // UID 37 kills the connection, the first three times somebody asks for its content.
//! let fault = Fault::new(Trigger::Body(37), Effect::Disconnect).first(3);
//! let behaviour = Behaviour::modern().with_fault(fault);
//! ```

use std::sync::{Mutex, MutexGuard, PoisonError};

use message::Flags;

use crate::effect::Effect;

/// When a fault strikes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trigger {
    /// Before the greeting.
    Greeting,
    /// On a command by its name in capitals: `LOGIN`, `UID FETCH`, `SELECT`.
    Command(String),
    /// On a command whose text (without tag, from its name on) contains this, in any case.
    Line(String),
    /// On LOGIN and AUTHENTICATE.
    Login,
    /// On this command (its name in capitals) when it names this mailbox (as the store does).
    Names(String, String),
    /// On a command with a set whose widest range spans more than so many numbers.
    Wider(u32),
    /// On an APPEND after so many that went well in the same connection.
    Appends(u32),
    /// When APPEND announces a literal, before the server asks for it; a command that is refused
    /// here is none for the other triggers.
    Literal,
    /// When APPEND sends a literal longer than this without being asked for it (RFC 7888).
    Unasked(u64),
    /// When APPEND gives a message that contains this text; once for each message. Empty: any
    /// message.
    Given(String),
    /// When APPEND or STORE sets this flag or keyword; once for each message or STORE.
    Flag(String),
    /// When APPEND or STORE sets a keyword, whichever.
    Keyword,
    /// When a FETCH comes to the message of this UID.
    Fetch(u32),
    /// When a FETCH comes to the message of this UID and sends octets of it.
    Body(u32),
    /// When so many octets have been sent in one connection.
    Sent(u64),
    /// When so many octets have been sent in all connections together.
    SentInAll(u64),
    /// When so many octets have been received in one connection, before compression is undone:
    /// what was whole by then is done and answered.
    Received(u64),
    /// When so many octets have been received in all connections together.
    ReceivedInAll(u64),
    /// On each command.
    Always,
}

/// How often a fault strikes, of all the times that it could.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Times {
    Every,
    First(u32),
    Only(u32),
    From(u32),
}

impl Times {
    /// Whether the `count`-th time is meant, counted from 1.
    pub(crate) fn meant(self, count: u32) -> bool {
        match self {
            Self::Every => true,
            Self::First(n) => count <= n,
            Self::Only(n) => count == n,
            Self::From(n) => count >= n,
        }
    }
}

/// Something that a server does wrong. Counted over all connections.
#[derive(Debug, Clone)]
pub struct Fault {
    when: Trigger,
    what: Effect,
    times: Times,
    mailbox: Option<String>,
}

impl Fault {
    /// A fault that strikes each time.
    #[must_use]
    pub fn new(when: Trigger, what: Effect) -> Self {
        Self { when, what, times: Times::Every, mailbox: None }
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

    /// Only while this mailbox (its name in the store) is open; of what APPEND gives, only what is
    /// given to it.
    #[must_use]
    pub fn in_mailbox(self, mailbox: &str) -> Self {
        Self { mailbox: Some(mailbox.to_owned()), ..self }
    }
}

/// What happens in a session that a trigger may wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event<'a> {
    Greeting,
    Command {
        name: &'a str,
        line: &'a str,
        /// The mailbox that it names, as the store does.
        names: Option<&'a str>,
        widest: u32,
        /// APPENDs that went well in this connection.
        appends: u32,
    },
    Literal {
        length: u64,
        unasked: bool,
    },
    Given {
        bytes: &'a [u8],
    },
    Flags(&'a Flags),
    Message {
        uid: u32,
        with_body: bool,
    },
}

/// All faults of a server with their counts.
#[derive(Debug, Default)]
pub(crate) struct Script(Mutex<Play>);

#[derive(Debug, Default)]
struct Play {
    faults: Vec<(Fault, u32)>,
    sent: u64,
    received: u64,
}

impl Script {
    pub(crate) fn new(faults: &[Fault]) -> Self {
        let script = Self::default();
        script.replace(faults);
        script
    }

    /// Other faults from now on; the counts begin again.
    pub(crate) fn replace(&self, faults: &[Fault]) {
        let mut play = self.lock();
        play.faults = faults.iter().map(|fault| (fault.clone(), 0)).collect();
        (play.sent, play.received) = (0, 0);
    }

    fn lock(&self) -> MutexGuard<'_, Play> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The effects of what just happened; `mailbox` is the one that is open.
    pub(crate) fn strikes(&self, event: Event<'_>, mailbox: Option<&str>) -> Vec<Effect> {
        let mut effects = Vec::new();
        for (fault, count) in &mut self.lock().faults {
            let here = fault.mailbox.is_none() || fault.mailbox.as_deref() == mailbox;
            if here && fault.when.waits_for(event) {
                *count = count.saturating_add(1);
                if fault.times.meant(*count) {
                    effects.push(fault.what.clone());
                }
            }
        }
        effects
    }

    /// How many of `wanted` octets may be sent before the next fault that counts octets.
    /// `sent` is what this connection has sent so far.
    pub(crate) fn room(&self, sent: u64, wanted: u64) -> u64 {
        self.lock().room(Way::Out, sent, wanted)
    }

    /// Notes that `octets` were sent, `sent` with them in this connection; gives what strikes at
    /// this point. Octets are noted in the portions that [`room`](Self::room) gave.
    pub(crate) fn sent(&self, sent: u64, octets: u64) -> Vec<Effect> {
        self.lock().pass(Way::Out, sent, octets)
    }

    /// As [`room`](Self::room), of what is received.
    pub(crate) fn room_to_receive(&self, received: u64, wanted: u64) -> u64 {
        self.lock().room(Way::In, received, wanted)
    }

    /// As [`sent`](Self::sent), of what was received.
    pub(crate) fn received(&self, received: u64, octets: u64) -> Vec<Effect> {
        self.lock().pass(Way::In, received, octets)
    }
}

/// Which way octets go.
#[derive(Clone, Copy)]
enum Way {
    Out,
    In,
}

impl Play {
    fn in_all(&mut self, way: Way) -> &mut u64 {
        match way {
            Way::Out => &mut self.sent,
            Way::In => &mut self.received,
        }
    }

    fn room(&mut self, way: Way, here: u64, wanted: u64) -> u64 {
        let in_all = *self.in_all(way);
        let marks = self.faults.iter().filter_map(|(fault, _)| fault.when.mark(way));
        let left = marks.filter_map(|(at, all)| at.checked_sub(if all { in_all } else { here }));
        left.filter(|left| *left > 0).fold(wanted, u64::min)
    }

    fn pass(&mut self, way: Way, here: u64, octets: u64) -> Vec<Effect> {
        *self.in_all(way) += octets;
        let in_all = *self.in_all(way);
        let mut effects = Vec::new();
        for (fault, count) in &mut self.faults {
            let Some((at, all)) = fault.when.mark(way) else { continue };
            if octets > 0 && at == if all { in_all } else { here } {
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
    /// The octet that it waits for, going this way, and whether it counts all connections.
    fn mark(&self, way: Way) -> Option<(u64, bool)> {
        match (self, way) {
            (Self::Sent(at), Way::Out) | (Self::Received(at), Way::In) => Some((*at, false)),
            (Self::SentInAll(at), Way::Out) | (Self::ReceivedInAll(at), Way::In) => Some((*at, true)),
            _ => None,
        }
    }

    fn waits_for(&self, event: Event<'_>) -> bool {
        match (self, event) {
            (Self::Greeting, Event::Greeting) | (Self::Always, Event::Command { .. }) => true,
            (Self::Command(wanted), Event::Command { name, .. }) => wanted.eq_ignore_ascii_case(name),
            (Self::Line(wanted), Event::Command { line, .. }) => {
                line.to_ascii_lowercase().contains(&wanted.to_ascii_lowercase())
            }
            (Self::Login, Event::Command { name, .. }) => matches!(name, "LOGIN" | "AUTHENTICATE"),
            (Self::Names(command, mailbox), Event::Command { name, names, .. }) => {
                command.eq_ignore_ascii_case(name) && names == Some(mailbox.as_str())
            }
            (Self::Wider(limit), Event::Command { widest, .. }) => widest > *limit,
            (Self::Appends(limit), Event::Command { name, appends, .. }) => {
                name == "APPEND" && appends >= *limit
            }
            (Self::Literal, Event::Literal { .. }) => true,
            (Self::Unasked(limit), Event::Literal { length, unasked }) => unasked && length > *limit,
            (Self::Given(text), Event::Given { bytes }) => {
                text.is_empty() || bytes.windows(text.len()).any(|window| window == text.as_bytes())
            }
            (Self::Flag(flag), Event::Flags(flags)) => flags.contains(flag),
            (Self::Keyword, Event::Flags(flags)) => flags.iter().any(|flag| !flag.starts_with('\\')),
            (Self::Fetch(wanted), Event::Message { uid, .. }) => *wanted == uid,
            (Self::Body(wanted), Event::Message { uid, with_body }) => with_body && *wanted == uid,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noop() -> Event<'static> {
        Event::Command { name: "NOOP", line: "NOOP", names: None, widest: 0, appends: 0 }
    }

    #[test]
    fn a_fault_strikes_as_often_as_it_says() {
        let fault = |times: fn(Fault) -> Fault| {
            let script = Script::new(&[times(Fault::new(Trigger::Command("noop".into()), Effect::Silence))]);
            (0..4).map(|_| script.strikes(noop(), None).len()).collect::<Vec<_>>()
        };
        assert_eq!(fault(|f| f), [1, 1, 1, 1]);
        assert_eq!(fault(|f| f.first(2)), [1, 1, 0, 0]);
        assert_eq!(fault(|f| f.only(2)), [0, 1, 0, 0]);
        assert_eq!(fault(|f| f.from(3)), [0, 0, 1, 1]);
    }

    #[test]
    fn octets_are_counted_by_connection_and_in_all() {
        let script = Script::new(&[
            Fault::new(Trigger::Sent(10), Effect::Disconnect),
            Fault::new(Trigger::SentInAll(15), Effect::Disconnect),
        ]);
        assert_eq!(script.room(0, 100), 10);
        assert_eq!(script.sent(10, 10).len(), 1);
        assert_eq!(script.room(0, 100), 5);
        assert_eq!(script.sent(5, 5).len(), 1);
        assert_eq!(script.room(5, 100), 5);
        assert_eq!(script.room(10, 100), 100);
        assert_eq!(script.room_to_receive(0, 100), 100);
    }
}
