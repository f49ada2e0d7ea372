//! For tests only: the world around the program.
//!
//! * [`Dovecot`] is a real mail server on loopback, private to one test, with [`Imap`], a client
//!   of its own that fills it and judges what came back, and [`Pop3`], which reads it the other way.
//!   They share no code with the program's clients.
//! * [`Cyrus`] is the other kind of real server: another delimiter, a prefix, other refusals.
//! * [`Scripted`] and [`ScriptedPop3`] are the project's own servers on a thread, for tests without a
//!   runtime: those that misbehave on demand.
//! * [`FaultProxy`] stands between the program and any server, and cuts or stalls after n octets.
//! * [`FaultyDisk`] is a mounted disk that loses power, fails, fills up and is pulled out;
//!   [`LoopDisk`] an ext4 of its own.
//! * [`Mail`] makes mailboxes of any size, the same for the same seed.
//! * [`Certificates`] are of each kind that a client must tell apart.
//! * [`Web`] and [`PostOffice`] take what the program tells people.
//! * [`Restante`] runs the program itself.
//!
//! Everything here is plain blocking code that panics when the test's world cannot be built: that
//! is a failed test. The one exception is a server that is not installed: then there is none, and
//! the test says so.

mod certificates;
mod cyrus;
mod disk;
mod dovecot;
mod imap;
mod loop_disk;
mod mail;
mod pop3;
mod program;
mod proxy;
mod receiver;
mod scripted;
mod service;

pub use certificates::{Certificates, Identity};
pub use cyrus::Cyrus;
pub use disk::{Call, Fault, FaultyDisk};
pub use dovecot::{Dovecot, Options};
pub use imap::{Fetched, Imap, Listed, Status};
pub use loop_disk::LoopDisk;
pub use mail::Mail;
pub use pop3::Pop3;
pub use program::{Output, Restante};
pub use proxy::{Direction, FaultProxy, Harm, How};
pub use receiver::{Counter, PostOffice, Posted, Request, Web};
pub use scripted::{Scripted, ScriptedPop3};
