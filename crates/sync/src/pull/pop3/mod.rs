//! An account that is pulled over POP3 (RFC 1939): one maildrop, which appears as the folder INBOX.
//!
//! What IMAP promises by UIDVALIDITY and UID is made here of UIDLs. The archive gives each message a
//! UID of its own and keeps, in its journal, which UIDL the server had for it; so lists, history,
//! restores and verification need to know nothing of POP3. A session sees the maildrop as it was when
//! it began, and its message numbers mean nothing in the next one.
//!
//! * `listing` pairs what is listed with what is known (pure), `pool` does it by content.
//! * `maildrop` brings the maildrop up to date over one connection: `survey` asks what there is, `open`
//!   what the archive has of it, `missing` and `nameless` bring the difference, `doubt` compares what is
//!   held, `books` accounts for it all.
//! * `fetch` brings messages, `recognise` spares those that the archive has under another name.
//!
//! Nothing is ever deleted on the server: the client has no command for it. QUIT is said when all that
//! was fetched is on disk, for there are servers that delete then what was fetched.

mod books;
mod doubt;
mod fetch;
mod listing;
mod maildrop;
mod missing;
mod nameless;
mod open;
pub(super) mod pool;
mod recognise;
mod survey;

use std::sync::Arc;

use archive::{MailboxInfo, MailboxSeen};
use message::{MailboxName, UidSet};
use remote::Kind;
use remote::pop3::Session;

use super::account::{Before, UNFINISHED, is_done, unreached};
use super::cuts::Cuts;
use super::probe::Probed;
use super::{Context, Job, Pop3Listing, Pop3Options, RunError};
use crate::ledger::{FolderLedger, Ledger};
use crate::past::Past;
use maildrop::Maildrop;

/// Sessions in one run with a server that shows some messages at a time.
const MOST_SESSIONS: u32 = 10_000;

fn inbox() -> MailboxName {
    MailboxName::from_text("INBOX", None)
}

/// Pulls the maildrop, through any number of cuts. The ledger is filled as far as the run comes.
pub(super) async fn pull(
    context: Context<'_>,
    options: Pop3Options,
    ledger: &mut Ledger,
) -> Result<(), RunError> {
    let account = context.account;
    let known = context.pipeline.ask(move |writer| writer.view().mailboxes(account)).await?;
    if !context.job.filter.wants("INBOX") {
        let text = "the only folder that POP3 has, INBOX, is not wanted: nothing is backed up";
        ledger.warnings.push(text.to_owned());
        return Ok(());
    }
    let (inbox, others): (Vec<_>, Vec<_>) = known.into_iter().partition(|mailbox| mailbox.name.is_inbox());
    ledger.warnings.extend(unseen_over_pop3(&others));
    context.progress.folders(1);
    ledger.folders = vec![unreached(&self::inbox())];
    let mut maildrop = maildrop(&context, options, inbox.into_iter().next()).await?;

    // In its place from the beginning, so that it is true also when the run ends half-way.
    ledger.folders[0].error = Some(UNFINISHED.to_owned());
    let entry = &mut ledger.folders[0];
    let result = sessions(&context, &mut maildrop, entry).await;
    match &result {
        Err(error) => entry.error = Some(error.to_string()),
        Ok(()) => entry.error = entry.error.take().filter(|error| error != UNFINISHED),
    }
    let notices = std::mem::take(&mut entry.notices);
    ledger.warnings.extend(notices.into_iter().map(|notice| format!("INBOX: {notice}")));
    context.progress.folder_ends("INBOX");
    result?;
    context.pipeline.flush().await
}

/// What to tell of folders that the account had over IMAP.
fn unseen_over_pop3(others: &[MailboxInfo]) -> Option<String> {
    let live = others.iter().filter(|mailbox| mailbox.gone.is_none() && mailbox.live > 0);
    let folders = live.count();
    (folders > 0).then(|| {
        format!(
            "POP3 shows INBOX alone; {folders} other folders stay in the archive as they were when they were last \
             seen over IMAP"
        )
    })
}

async fn maildrop(
    context: &Context<'_>,
    options: Pop3Options,
    known: Option<MailboxInfo>,
) -> Result<Maildrop, RunError> {
    let account = context.account;
    let seen = mailbox_seen(known.as_ref());
    let mailbox = context.pipeline.ask(move |writer| writer.mailbox(account, &seen)).await?;
    let runs = context.pipeline.ask(move |writer| writer.view().runs(account, 64)).await?;
    let run = context.run;
    let past = context.pipeline.ask(move |writer| Past::find(&writer.view(), account, run)).await?;
    let before = Before::find(context, &runs);
    let mut maildrop = Maildrop::new(mailbox, options);
    maildrop.may_match = runs.iter().any(is_done);
    maildrop.recheck = Before::is_recheck_due(before.as_ref(), context, &inbox());
    maildrop.loss_was_told = past.is_some_and(|past| past.suspicion("INBOX").unconfirmed > 0);
    Ok(maildrop)
}

/// The mailbox as it is known, so that a change of protocol changes nothing about it.
fn mailbox_seen(known: Option<&MailboxInfo>) -> MailboxSeen {
    let known = known.cloned();
    MailboxSeen {
        name: known.as_ref().map_or_else(inbox, |known| known.name.clone()),
        subscribed: known.as_ref().is_none_or(|known| known.subscribed),
        object_id: known.as_ref().and_then(|known| known.object_id.clone()),
        special_use: known.as_ref().and_then(|known| known.special_use.clone()),
        attributes: known.map(|known| known.attributes).unwrap_or_default(),
        selectable: true,
    }
}

/// One session after the other, until a listing has brought nothing new.
async fn sessions(
    context: &Context<'_>,
    maildrop: &mut Maildrop,
    entry: &mut FolderLedger,
) -> Result<(), RunError> {
    let mut cuts = Cuts::default();
    let mut quits_lost = 0;
    for _ in 0..MOST_SESSIONS {
        let mut session = loop {
            context.may_go_on(entry.bytes_fetched)?;
            match connect(context, maildrop).await {
                Ok(session) => break session,
                Err(RunError::Remote(error)) => cuts.wait(context, error).await?,
                Err(error) => return Err(error),
            }
        };
        maildrop.one_at_a_time |= cuts.throttled();
        let delivered_before = maildrop.delivered;
        let result = tokio::select! {
            biased;
            result = maildrop::pull(context, &mut session, maildrop, entry) => result,
            () = context.stop.wait() => Err(RunError::Stopped),
        };
        // Before QUIT, and before the next attempt goes on from there.
        let has_brought = maildrop.delivered > delivered_before;
        match result {
            Ok(()) => {
                context.pipeline.commit().await?;
                let delay = session.capabilities().login_delay;
                // What a server does at QUIT is its own affair; all that was wanted is here. Only a server
                // that shows what was not fetched may need it.
                if let Err(error) = session.quit().await {
                    tracing::debug!(%error, "the server did not confirm QUIT");
                    quits_lost += 1;
                    if quits_lost <= context.job.limits.patience.cuts {
                        maildrop.shown_again = UidSet::new();
                    }
                }
                if !has_brought || maildrop.options.listing == Pop3Listing::All {
                    entry.notices.extend(maildrop.shows_what_was_fetched(context));
                    return Ok(());
                }
                context
                    .sleep(delay.unwrap_or_default().min(context.job.limits.patience.longest_wait))
                    .await?;
            }
            Err(RunError::Remote(error)) if error.kind() == Kind::Refused => {
                entry.error = Some(error.to_string());
                return Ok(());
            }
            Err(RunError::Remote(error)) => {
                drop(session);
                context.pipeline.commit().await?;
                if matches!(*error, remote::Error::Stalled { .. }) {
                    maildrop.note_stall(has_brought);
                }
                if has_brought {
                    cuts.forgive();
                }
                maildrop.note_cut(&context.job.limits.patience);
                cuts.wait(context, error).await?;
            }
            Err(error) => return Err(error),
        }
    }
    entry.error = Some(format!("the server has shown new messages in {MOST_SESSIONS} sessions"));
    Ok(())
}

async fn connect(context: &Context<'_>, maildrop: &Maildrop) -> Result<Session, RunError> {
    let job = context.job;
    let network = context.surroundings.network;
    let (endpoint, credentials, auth) = (&job.endpoint, &job.credentials, maildrop.options.auth);
    let mut limits = job.limits.remote.clone();
    if !maildrop.may_pipeline() {
        limits.pipelined = 1;
    }
    tokio::select! {
        biased;
        opened = Session::open_through(network, endpoint, credentials, auth, &limits) => {
            opened.map_err(|error| RunError::Remote(Arc::new(error)))
        }
        () = context.stop.wait() => Err(RunError::Stopped),
    }
}

/// Logs in, asks how much there is, and says goodbye.
pub(super) async fn probe(job: &Job, options: Pop3Options) -> Result<Vec<Probed>, remote::Error> {
    let (endpoint, credentials, limits) = (&job.endpoint, &job.credentials, &job.limits.remote);
    let mut session = Session::open(endpoint, credentials, options.auth, limits).await?;
    let messages = Some(u64::from(session.stat().await?.messages));
    // What the server thinks of the farewell changes nothing.
    let _ = session.quit().await;
    let inbox = Probed { name: "INBOX".to_owned(), messages, is_bin: false };
    Ok(Some(inbox).into_iter().filter(|folder| job.filter.wants(&folder.name)).collect())
}
