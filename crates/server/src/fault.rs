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

use std::sync::Arc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;

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
    /// On a command with a set whose widest range spans more than so many numbers.
    Wider(u32),
    /// When a FETCH comes to the message of this UID.
    Fetch(u32),
    /// When a FETCH comes to the message of this UID and sends octets of it.
    Body(u32),
    /// When so many octets have been sent in one connection.
    Sent(u64),
    /// When so many octets have been sent in all connections together.
    SentInAll(u64),
    /// On each command.
    Always,
}

/// What the server does then.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Drops the connection; what was not sent yet is lost. Over TLS there is no close_notify.
    Disconnect,
    /// Does what was asked, but drops the connection when so many octets of the answer are sent.
    /// With 0 it is done and nobody hears of it.
    DisconnectAfter(u64),
    /// Answers NO with this text (a code in brackets may come first), and does nothing. In the
    /// middle of a FETCH: what came before is sent.
    No(String),
    /// As [`No`](Self::No), with BAD.
    Bad(String),
    /// Says BYE with this text and closes.
    Bye(String),
    /// Sends these octets in place of the whole answer; `{tag}` stands for the tag.
    Instead(Vec<u8>),
    /// Sends these octets before the answer.
    Before(Vec<u8>),
    /// Sends these octets right after the answer, in one segment with it: after STARTTLS, what an
    /// attacker injects.
    After(Vec<u8>),
    /// Never answers, and reads on until the client goes.
    Silence,
    /// Sends so many octets of the answer at a time and waits at the gate after each.
    Drip(usize, Gate),

    /// The literal of a body is shorter than it says by so many octets.
    ShortLiteral(u32),
    /// The literal of a body is longer than it says by so many octets.
    LongLiteral(u32),
    /// RFC822.SIZE is this.
    Size(u64),
    /// EMAILID is this.
    EmailId(String),
    /// INTERNALDATE is this text.
    Date(String),
    /// The FETCH answer lacks this item.
    Omit(Field),
    /// This item of the FETCH answer is NIL.
    Nil(Field),
    /// The message is passed over as if it were not there.
    Hide,
    /// Its octets are these.
    Content(Vec<u8>),
    /// Its octets are others each time: a header field with a count comes first.
    Rebuilt,
    /// UID comes last in the FETCH answer, after the literal.
    UidLast,
    /// Each item comes in a FETCH answer of its own.
    InPieces,
    /// The FETCH answers come in descending order.
    Descending,
    /// Content that is only peeked at is marked as read all the same.
    SetsSeen,

    /// SEARCH finds no more than so many.
    SearchLimit(usize),
    /// SEARCH finds these as well.
    SearchAlso(Vec<u32>),

    /// Only so many messages of a mailbox are shown, the newest, unless UIDONLY is enabled: what a
    /// large provider does.
    ShowsNewest(usize),

    /// EXISTS of SELECT and MESSAGES of STATUS is this.
    Exists(u32),
    /// UIDVALIDITY is this, or is not said.
    Validity(Option<u32>),
    /// UIDVALIDITY is another each time.
    ValidityChanges,
    /// UIDNEXT is this, or is not said.
    UidNext(Option<u32>),
    /// HIGHESTMODSEQ is this (0: `[NOMODSEQ]`), or is not said.
    HighestModSeq(Option<u64>),
    /// VANISHED (EARLIER) of SELECT tells this set, whatever is true.
    Vanished(String),
}

/// An item of a FETCH answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// UID
    Uid,
    /// FLAGS
    Flags,
    /// INTERNALDATE
    InternalDate,
    /// RFC822.SIZE
    Size,
    /// MODSEQ
    ModSeq,
    /// BODY\[…\], whole or in part
    Body,
}

/// Where a dripping server waits until a test lets it go on.
#[derive(Debug, Clone)]
pub struct Gate(Arc<Semaphore>);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    /// Lets so many steps pass, now or when they come.
    pub fn open(&self, steps: usize) {
        self.0.add_permits(steps.min(Semaphore::MAX_PERMITS / 4));
    }

    pub(crate) async fn pass(&self) {
        // The semaphore is never closed; a failure would only mean to go on.
        if let Ok(permit) = self.0.acquire().await {
            permit.forget();
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    Every,
    First(u32),
    Only(u32),
    From(u32),
}

impl Times {
    fn meant(self, count: u32) -> bool {
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

    /// Only while this mailbox (its name in the store) is open.
    #[must_use]
    pub fn in_mailbox(self, mailbox: &str) -> Self {
        Self { mailbox: Some(mailbox.to_owned()), ..self }
    }
}

/// What happens in a session that a trigger may wait for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event<'a> {
    Greeting,
    Command { name: &'a str, line: &'a str, widest: u32 },
    Message { uid: u32, with_body: bool },
}

/// All faults of a server with their counts.
#[derive(Debug, Default)]
pub(crate) struct Script(Mutex<Play>);

#[derive(Debug, Default)]
struct Play {
    faults: Vec<(Fault, u32)>,
    sent: u64,
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
        play.sent = 0;
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
    /// `sent` is what this connection has sent so far, `handled` the octets up to which its own
    /// faults have struck.
    pub(crate) fn room(&self, sent: u64, wanted: u64) -> u64 {
        let play = self.lock();
        let mut room = wanted;
        for (fault, _) in &play.faults {
            match fault.when {
                Trigger::Sent(at) if at > sent => room = room.min(at - sent),
                Trigger::SentInAll(at) if at > play.sent => room = room.min(at - play.sent),
                _ => {}
            }
        }
        room
    }

    /// Notes that `octets` were sent, `sent` with them in this connection; gives what strikes at
    /// this point. Octets are noted in the portions that [`room`](Self::room) gave.
    pub(crate) fn sent(&self, sent: u64, octets: u64) -> Vec<Effect> {
        let mut play = self.lock();
        play.sent += octets;
        let in_all = play.sent;
        let mut effects = Vec::new();
        for (fault, count) in &mut play.faults {
            let struck = match fault.when {
                Trigger::Sent(at) => at == sent,
                Trigger::SentInAll(at) => at == in_all,
                _ => false,
            };
            if struck && octets > 0 {
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
            (Self::Line(wanted), Event::Command { line, .. }) => {
                line.to_ascii_lowercase().contains(&wanted.to_ascii_lowercase())
            }
            (Self::Login, Event::Command { name, .. }) => matches!(name, "LOGIN" | "AUTHENTICATE"),
            (Self::Wider(limit), Event::Command { widest, .. }) => widest > *limit,
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
        Event::Command { name: "NOOP", line: "NOOP", widest: 0 }
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
    }
}
