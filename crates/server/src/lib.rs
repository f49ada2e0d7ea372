//! Small mail servers over mailboxes in memory, with faults on script: IMAP, and POP3 in [`pop3`].
//!
//! It has three uses: `restante demo` shows a whole backup without a mail account, a restore drill
//! gives an archive back to a server that is thrown away afterwards, and tests play every server
//! that a backup will ever meet.
//!
//! * [`Store`] is the mail: users, mailboxes, messages. A test holds a handle of its own and changes
//!   it as another client, an administrator or a thief would.
//! * [`Behaviour`] is what kind of server it is: which extensions it offers, its delimiter and
//!   prefix, TLS, and [`Fault`]s: what it does wrong, and when.
//! * [`Server`] listens on loopback and keeps count of what it was asked and what it sent; a [`Host`]
//!   does not listen, and serves clients in the same process.
//! * [`sample`] is mail to fill a store with, the same for the same seed.
//!
//! What it offers it does by the book (RFC 9051, 3501, 7162, 4315, 4731, 5258, 5819, 6154, 7888,
//! 7889, 9208, 4978 and a few more); it is wrong only where a fault says so. It keeps nothing on disk. Whatever
//! a client sends is bounded by the table in `limits` and never makes it panic.

mod alteration;
mod arguments;
mod behaviour;
mod effect;
mod fault;
mod host;
mod limits;
mod listener;
mod names;
mod naming;
pub mod pop3;
pub mod sample;
mod section;
mod server;
mod session;
mod store;
mod tls;
mod transport;
mod wire;

pub use alteration::Alteration;
pub use behaviour::{Behaviour, Tls};
pub use effect::{Effect, Field, Gate};
pub use fault::{Fault, Trigger};
pub use host::Host;
pub use naming::Spelling;
pub use server::{Counts, Server};
pub use store::{MailboxInfo, Snapshot, Store, StoreError, StoredMessage};
pub use tls::{TlsConfig, TlsError, tls_config};
