//! Sessions against servers that play a script: one file for each thing that a session can do.

mod ahead;
mod bodies;
mod bounds;
mod mailboxes;
mod messages;

use message::{MailboxName, NameEncoding, Uid, UidSet};

use crate::Limits;

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

fn name(raw: &str) -> MailboxName {
    MailboxName::new(raw, NameEncoding::ModifiedUtf7, Some(b'/'))
}

fn uid(number: u32) -> Uid {
    Uid::new(number).unwrap()
}

fn set(text: &str) -> UidSet {
    UidSet::parse(text).unwrap()
}
