//! Talking to mail servers: addresses, TLS, logging in, the IMAP client and the POP3 client.
//!
//! What comes from a server is hostile until read: [`Limits`] bounds all of it, and nothing a
//! server says makes this crate panic, allocate without bound, wait for ever, or send a password
//! over a connection that is not as private as [`Endpoint::security`] wants it. This crate knows
//! nothing of archives, and no command in it takes anything out of a mailbox.
//!
//! * [`Endpoint`], [`Credentials`]: where, and as whom.
//! * [`imap::Session`]: one connection, logged in; lists, opens read-only, fetches.
//! * [`imap::Target`]: one connection that may add mail to what is there.
//! * [`imap::Watch`]: one connection that waits until there is news.
//! * [`pop3::Session`]: one connection to a POP3 server, logged in; only reads.
//! * [`Error`], [`Kind`]: what went wrong in words, and what to do about it; [`Refusal`]: a server's no.
//! * [`Limits`]: every bound, in one table.
//! * [`Throttle`]: how fast mail may come.
//! * [`Network`]: what connections are made through; [`Internet`] outside tests.
//!
//! The log: this crate writes through `tracing`, never a secret. `async_imap` below it logs what it
//! reads at level `trace`; programs must keep that target silent all the same.

mod endpoint;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
pub mod imap;
mod limits;
mod net;
pub mod pop3;
mod refusal;
#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod script;
mod stranger;

pub use endpoint::{Credentials, Endpoint, Security};
pub use error::{Error, Kind};
pub use limits::Limits;
pub use net::Transport;
pub use net::meter::Traffic;
pub use net::network::{Connection, Internet, Network};
pub use net::throttle::Throttle;
pub use refusal::Refusal;
