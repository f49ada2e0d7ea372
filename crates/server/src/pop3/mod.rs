//! A small POP3 server over the same mail, with faults on script.
//!
//! It serves the INBOX of each user of a [`Store`](crate::Store) as a maildrop (RFC 1939), with
//! CAPA, RESP-CODES, LOGIN-DELAY, EXPIRE, PIPELINING (RFC 2449), STLS (RFC 2595), SASL (RFC 5034),
//! AUTH-RESP-CODE (RFC 3206), UTF8 and LANG (RFC 6856). A maildrop is what INBOX holds at the
//! moment of the login, locked while a session has it; DELE counts at QUIT.
//!
//! * [`Behaviour`] is what kind of server it is: what it announces, its unique-ids ([`Uidls`]), how
//!   it counts octets ([`Counting`]), what it shows, what it takes away.
//! * [`Fault`]s say what it does wrong, and when.
//! * [`Server`] listens on loopback; a [`Host`] serves clients in the same process. Both keep a log
//!   of commands, without secrets, and count.

mod behaviour;
mod effect;
mod fault;
mod maildrop;
mod server;
mod session;
mod wire;

pub use behaviour::{Behaviour, Counting, Shown, Stuffing, Uidls};
pub use effect::Effect;
pub use fault::{Fault, Trigger};
pub use server::{Counts, Host, Server};
