//! From an address to the servers on which its mail may lie, the best first.
//!
//! * [`find`] asks around: SRV records (RFC 6186), the domain's own autoconfig file, the database of
//!   autoconfig files, the domain's mail exchangers; where nobody says anything it takes the names that
//!   most servers have.
//! * [`Address`], [`Candidate`]: what goes in, and what comes out.
//! * [`Names`], [`Web`]: the doors to DNS and to HTTPS; [`Dns`] and [`Https`] outside of tests.
//!
//! IMAP comes before POP3, for POP3 shows a part of a mailbox only. No candidate is without TLS.
//! **An answer is a hint, not a proof**: SRV records can be forged on the way, and a domain's files say
//! what they like. So [`Address::covers`] tells whether a host lies in the address's own domain;
//! a password goes to no other without the consent of whom it belongs to.
//!
//! What comes from outside is bounded: hosts are host names, user names have no control
//! characters. This crate tries no server and sees no password.

mod address;
mod autoconfig;
mod candidate;
mod door;
mod find;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod guess;
mod host;
mod internet;
mod limits;
mod srv;

pub use address::{Address, NoAddress};
pub use candidate::{Candidate, Encryption, Service, Source};
pub use door::{MailExchanger, Names, NoAnswer, ServiceRecord, Web};
pub use find::{Doors, Found, find};
pub use internet::{Dns, Https};
