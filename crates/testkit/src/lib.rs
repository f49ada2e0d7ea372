//! For tests only: what an end-to-end test needs around the program.
//!
//! * [`dovecot`]: a real Dovecot on loopback, private to one test.
//! * [`judge`]: a second IMAP client that shares no code with ours, to fill a server and to say what
//!   is on it.
//! * [`certificates`]: sound and flawed ones.
//! * [`program`]: running `restante` as a user would.
//!
//! Everything here is synchronous and panics when something is not as a test needs it.

pub mod certificates;
pub mod dovecot;
pub mod judge;
pub mod program;
