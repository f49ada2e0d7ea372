//! What goes wrong between us and a mail server, in words for the one who must mend it.
//!
//! Each variant says what happened and to what; [`Error::kind`] sorts them by what a caller does
//! next. Texts from servers are bounded where they are read and escaped where they are shown here;
//! no variant ever holds a secret.

use std::io;
use std::time::Duration;

use message::escape::escape_bytes;

use crate::refusal::Refusal;

/// What a caller does about an [`Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The network or the server is not well; another connection may do better.
    Network,
    /// The server does not accept these credentials. Trying again makes it worse.
    Credentials,
    /// The server wants us to slow down, and perhaps said how long to wait.
    Limit {
        /// The time that the server named.
        wait: Option<Duration>,
    },
    /// No private connection could be made; nothing was sent.
    Tls,
    /// The server broke the protocol or passed a bound; the connection is gone.
    Protocol,
    /// The server understood and said no; the connection still stands.
    Refused,
    /// Whatever answers there speaks another protocol.
    NotThisProtocol,
    /// A login was refused without a word on why, as POP3 servers do for wrong passwords and for
    /// everything else: about the credentials only if it is said again after a while.
    Unsure,
}

/// A failure of one connection or command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The name could not be resolved.
    #[error("cannot find the address of {host}: {source}")]
    Resolve {
        /// As configured.
        host: String,
        /// The resolver's words.
        source: io::Error,
    },
    /// Every address of the host refused.
    #[error("cannot connect to {host} port {port}: {attempts}")]
    Connect {
        /// As configured.
        host: String,
        /// As configured.
        port: u16,
        /// Each address with its cause.
        attempts: String,
    },
    /// No private connection: certificate, version, or a server that does not speak TLS there.
    #[error("no secure connection to {host}: {problem}")]
    Tls {
        /// As configured.
        host: String,
        /// What is wrong, and what can be done.
        problem: String,
    },
    /// STARTTLS is configured, and the server cannot or will not.
    #[error("{host} {how}; the password was not sent (with TLS from the start, set tls = \"implicit\")")]
    NoStartTls {
        /// As configured.
        host: String,
        /// Does not offer it, or refused it.
        how: String,
    },
    /// Bytes came between the answer to STARTTLS or STLS and the first of TLS.
    #[error(
        "{host} sent plain bytes after its answer to {command}: injected, by an attacker or a broken proxy; the password was not sent"
    )]
    Injected {
        /// As configured.
        host: String,
        /// `STARTTLS` or, in POP3, `STLS`.
        command: &'static str,
    },
    /// The server says that we are logged in already, where that would prevent STARTTLS.
    #[error(
        "{host} greets as logged in already (PREAUTH), which prevents STARTTLS: an attacker or a wrong port; the password was not sent"
    )]
    PreAuth {
        /// As configured.
        host: String,
    },
    /// The first bytes are not a greeting.
    #[error("{host} port {port} is not an IMAP server; it begins with: {first}{hint}")]
    NotImap {
        /// As configured.
        host: String,
        /// As configured.
        port: u16,
        /// The first bytes, escaped.
        first: String,
        /// A guess at the cause, or nothing.
        hint: &'static str,
    },
    /// The first bytes are not a greeting of POP3.
    #[error("{host} port {port} is not a POP3 server; it begins with: {first}{hint}")]
    NotPop3 {
        /// As configured.
        host: String,
        /// As configured.
        port: u16,
        /// The first bytes, escaped.
        first: String,
        /// A guess at the cause, or nothing.
        hint: &'static str,
    },
    /// The server closed with a word.
    #[error("the server said goodbye: {0}")]
    Bye(Refusal),
    /// The credentials were not accepted, or the server cannot take logins now.
    #[error("login as {user} failed: {refusal}{hint}")]
    Login {
        /// As configured.
        user: String,
        /// The server's answer.
        refusal: Refusal,
        /// What people usually have to do, when the text is known.
        hint: &'static str,
        /// What the protocol makes of it.
        kind: Kind,
    },
    /// User or password hold what the protocol cannot send; nothing was sent.
    #[error("{what} holds a line end or a NUL, which cannot be sent to a POP3 server")]
    Unsendable {
        /// `the user name` or `the password`.
        what: &'static str,
    },
    /// There is no way to log in that both sides know.
    #[error("{host} offers no login that fits a password; it offers: {offered}")]
    NoMechanism {
        /// As configured.
        host: String,
        /// The capabilities that have to do with it.
        offered: String,
    },
    /// NO or BAD.
    #[error("the server refused {command}: {refusal}")]
    Refused {
        /// The command, without secrets.
        command: String,
        /// The server's answer.
        refusal: Refusal,
    },
    /// Nothing, or too little, came while an answer was due.
    #[error("the server stalled for {} s after {received} bytes{hint}", waited.as_secs())]
    Stalled {
        /// A guess at the cause, or nothing.
        hint: &'static str,
        /// How long we waited.
        waited: Duration,
        /// Octets received on this connection until then.
        received: u64,
    },
    /// The connection ended in mid-conversation.
    #[error("the connection was cut after {received} bytes: {cause}")]
    Cut {
        /// Octets received on this connection until then.
        received: u64,
        /// End of file, or the system's words.
        cause: String,
    },
    /// A bound of [`Limits`](crate::Limits) was passed.
    #[error("the server sent {what}, more than the bound of {bound}; connection dropped")]
    Bound {
        /// What there was too much of.
        what: &'static str,
        /// The bound.
        bound: u64,
    },
    /// A response cannot be understood and cannot be passed over either.
    #[error("the server sent something unreadable ({what}): {excerpt}")]
    Malformed {
        /// What was expected.
        what: &'static str,
        /// Its beginning, escaped.
        excerpt: String,
    },
    /// The server answers what was not asked, after messages were sent to it.
    #[error(
        "the server lost step while messages were added ({heard}): it may have read octets of a message as commands; connection dropped"
    )]
    OutOfStep {
        /// What it said, escaped.
        heard: String,
    },
    /// The server completed a later command before an earlier one, although the later one was about
    /// another mailbox.
    #[error("the server answered commands in another order than they were sent in; connection dropped")]
    OutOfOrder,
    /// A message number of one POP3 session was used in another, where it may be another message's;
    /// nothing was sent.
    #[error("message number {number} belongs to another session")]
    OtherSession {
        /// The number.
        number: u32,
    },
    /// The connection was given up earlier; a new one is needed.
    #[error("the connection was given up before")]
    GivenUp,
}

impl Error {
    /// What to do about it.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Resolve { .. }
            | Self::Connect { .. }
            | Self::Stalled { .. }
            | Self::Cut { .. }
            | Self::OtherSession { .. }
            | Self::GivenUp => Kind::Network,
            Self::Tls { .. } | Self::NoStartTls { .. } | Self::Injected { .. } | Self::PreAuth { .. } => {
                Kind::Tls
            }
            Self::NotImap { .. } | Self::NotPop3 { .. } => Kind::NotThisProtocol,
            Self::Bye(refusal) => refusal.kind().unwrap_or(Kind::Network),
            Self::Login { kind, .. } => *kind,
            Self::NoMechanism { .. } | Self::Unsendable { .. } => Kind::Credentials,
            // One mailbox or message that cannot be read today says nothing about the connection.
            Self::Refused { refusal, .. } => match refusal.kind() {
                Some(limit @ Kind::Limit { .. }) => limit,
                _ => Kind::Refused,
            },
            Self::Bound { .. } | Self::Malformed { .. } | Self::OutOfStep { .. } | Self::OutOfOrder => {
                Kind::Protocol
            }
        }
    }

    pub(crate) fn malformed(what: &'static str, bytes: &[u8]) -> Self {
        Self::Malformed { what, excerpt: excerpt(bytes) }
    }
}

/// The beginning of what a server sent, fit for a terminal.
pub(crate) fn excerpt(bytes: &[u8]) -> String {
    const LENGTH: usize = 80;
    let cut = &bytes[..bytes.len().min(LENGTH)];
    let dots = if bytes.len() > LENGTH { "…" } else { "" };
    format!("\"{}\"{dots}", escape_bytes(cut))
}
