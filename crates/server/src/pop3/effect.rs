//! What a POP3 server does when a [`Fault`](super::Fault) strikes.
//!
//! Some effects take the place of an answer or end it, some change what an answer says. Each works
//! wherever it has a meaning and does nothing elsewhere.

use crate::effect::Gate;

/// What the server does then.
#[derive(Debug, Clone)]
pub enum Effect {
    /// Drops the connection; what was not sent yet is lost. Over TLS there is no close_notify.
    Disconnect,
    /// Does what was asked, but drops the connection when so many octets of the answer are sent,
    /// the status line included. With 0 it is done and nobody hears of it.
    DisconnectAfter(u64),
    /// Answers -ERR with this text (a code in brackets may come first), and does nothing.
    Err(String),
    /// Sends these octets in place of the whole answer.
    Instead(Vec<u8>),
    /// Sends these octets before the answer.
    Before(Vec<u8>),
    /// Sends these octets right after the answer, in one segment with it: after STLS, what an
    /// attacker injects.
    After(Vec<u8>),
    /// Never answers, and reads on until the client goes.
    Silence,
    /// Sends so many octets of the answer, and then nothing more; reads on until the client goes.
    SilenceAfter(u64),
    /// Sends so many octets of the answer at a time and waits at the gate after each.
    Drip(usize, Gate),
    /// The answer has no end: in place of its terminator these octets come again and again, until
    /// the client goes.
    Endless(Vec<u8>),

    /// LIST or UIDL ends in good order after so many lines.
    EndsAfter(usize),
    /// On [`Trigger::Listed`](super::Trigger::Listed): these octets are the line, with its end.
    Line(Vec<u8>),
    /// On [`Trigger::Listed`](super::Trigger::Listed): the line is left out.
    Hide,

    /// The status line of RETR says so many octets, whatever is sent.
    Octets(u64),
    /// The message is sent as these octets.
    Content(Vec<u8>),
    /// No dot is stuffed.
    Unstuffed,
    /// No line end is added where the message ends without one.
    BareEnd,
    /// These octets are the terminator of the answer.
    Terminator(Vec<u8>),
    /// TOP sends so many lines of the body more than it was asked for.
    TopMore(u64),
    /// TOP for no lines lacks the empty line behind the header.
    TopUnended,
}
