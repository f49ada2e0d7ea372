//! Targets against servers that play a script: one file for each thing that a target can do.

mod appends;
mod mailboxes;
mod trouble;

use bytes::Bytes;
use message::{Flags, InternalDate, MailboxName, NameEncoding, Uid, UidSet};

use super::{AppendStyle, Appended, Outgoing, Target};
use crate::Limits;
use crate::imap::script::{talk, talk_within};

fn name(raw: &str) -> MailboxName {
    MailboxName::new(raw, NameEncoding::ModifiedUtf7, Some(b'/'))
}

fn set(text: &str) -> UidSet {
    UidSet::parse(text).unwrap()
}

fn uids(numbers: &[u32]) -> Appended {
    Appended::Stored { uids: Some(numbers.iter().filter_map(|&number| Uid::new(number)).collect()) }
}

/// A message without flags and date.
fn bare(bytes: &str) -> Outgoing {
    Outgoing { flags: Flags::new(), date: None, bytes: Bytes::copy_from_slice(bytes.as_bytes()) }
}

fn dated(bytes: &str, flags: &str, date: &str) -> Outgoing {
    Outgoing { flags: Flags::parse(flags), date: Some(InternalDate::parse(date)), ..bare(bytes) }
}

const AT_ONCE: AppendStyle = AppendStyle { synchronising: false };
const WAITING: AppendStyle = AppendStyle { synchronising: true };

/// A target that needs no login, at a server that can do `capabilities`, and then plays `script`.
async fn give<T>(capabilities: &str, script: &str, test: impl AsyncFnOnce(Target) -> T) -> T {
    talk(capabilities, script, async |session| test(Target::new(session)).await).await
}

async fn give_within<T>(
    limits: Limits,
    capabilities: &str,
    script: &str,
    test: impl AsyncFnOnce(Target) -> T,
) -> T {
    talk_within(limits, capabilities, script, async |session| test(Target::new(session)).await).await
}

/// One APPEND of these messages to INBOX, and its outcome.
async fn appends(capabilities: &str, script: &str, messages: &[Outgoing], style: AppendStyle) -> Appended {
    give(capabilities, script, async |mut target| {
        let id = target.append(&name("INBOX"), messages, style).await.unwrap();
        let (answered, outcome) = target.appended().await.unwrap();
        assert_eq!((answered, target.appends_in_flight()), (id, 0));
        outcome
    })
    .await
}
