//! Waiting until a target has done what it is still doing for a connection that is gone.
//!
//! When restante is killed, or a line is cut, what had been sent may lie in the server's buffers, and
//! it may be stored seconds later. A look that came before that would not see it, and it would be sent
//! again. So, before the first look at a target that has mail, and before the look after a cut, the
//! counts of the mailboxes are asked for until they stand still for a while.

use std::collections::HashMap;
use std::time::Duration;

use message::MailboxName;
use remote::imap::{Session, Status};

use super::Room;
use super::error::RestoreError;

/// Somebody else may be putting mail there all the time.
const MOST_ROUNDS: usize = 10;

/// Waits until these mailboxes stand still, for some rounds at most.
pub(super) async fn wait(
    room: &Room<'_>,
    session: &mut Session,
    mailboxes: &[MailboxName],
) -> Result<(), RestoreError> {
    let settle: Duration = room.job.limits.settle;
    if settle.is_zero() || mailboxes.is_empty() {
        return Ok(());
    }
    let mut before = counts(session, mailboxes).await?;
    for _ in 0..MOST_ROUNDS {
        tokio::select! {
            biased;
            () = tokio::time::sleep(settle) => {}
            () = room.surroundings.stop.wait() => return Err(RestoreError::Stopped),
        }
        let now = counts(session, mailboxes).await?;
        if now == before {
            return Ok(());
        }
        before = now;
    }
    Ok(())
}

/// How many messages each of these has; by one LIST where the server can and there are several.
async fn counts(
    session: &mut Session,
    mailboxes: &[MailboxName],
) -> Result<HashMap<MailboxName, u32>, RestoreError> {
    let mut told: HashMap<MailboxName, Status> = HashMap::new();
    if mailboxes.len() > 1 && session.capabilities().list_status {
        let listed = session.list().await?;
        told.extend(listed.into_iter().filter_map(|mailbox| Some((mailbox.name, mailbox.status?))));
    }
    let mut counts = HashMap::new();
    for name in mailboxes {
        let messages = match told.get(name) {
            Some(status) => status.messages,
            None => match session.status(name).await {
                Ok(status) => status.messages,
                Err(error) if error.kind() == remote::Kind::Refused => continue,
                Err(error) => return Err(error.into()),
            },
        };
        counts.insert(name.clone(), messages);
    }
    Ok(counts)
}
