//! Whether a run looks like a loss, judged when all of it is in the archive.
//!
//! What the run recorded is compared with the state of the run before ([`Past`]). A run that was cut
//! off in between has judged nothing, so what it recorded is judged here as well.

use std::collections::{HashMap, HashSet};

use archive::{AccountId, MailboxId, MailboxInfo, MailboxLoss, RunId, View};

use crate::ledger::{Before, FolderLedger, Ledger, Loss};
use crate::past::Past;
use crate::watchdog::{FolderChange, Watchdog, is_bin};

/// Marks the ledger as suspicious where it is, with what was lost and the state before. Says whether a
/// person should be told: not of what the last run has told already.
pub(super) fn judge(
    view: &View<'_>,
    account: AccountId,
    run: RunId,
    watchdog: &Watchdog,
    ledger: &mut Ledger,
) -> Result<bool, archive::Error> {
    let Some(past) = Past::find(view, account, run)? else { return Ok(ledger.suspicious) };
    let mailboxes = view.mailboxes(account)?;
    let changes = changes(view, account, &past, &mailboxes, ledger)?;
    let findings = watchdog.findings(&changes);
    let is_news = !findings.is_empty() || !past.was_suspicious;
    ledger.suspicious |= !findings.is_empty();
    ledger.warnings.extend(findings);
    if ledger.suspicious {
        ledger.before = Some(Before { run: past.run.id.get(), as_of: moment(view, account, &past)? });
        let lost = changes.into_iter().filter(|change| change.lost > 0);
        ledger.lost = lost
            .map(|FolderChange { folder, before, lost, altered, .. }| Loss { folder, before, lost, altered })
            .collect();
    }
    Ok(ledger.suspicious && is_news)
}

/// What the run changed, folder by folder.
fn changes(
    view: &View<'_>,
    account: AccountId,
    past: &Past,
    mailboxes: &[MailboxInfo],
    ledger: &Ledger,
) -> Result<Vec<FolderChange>, archive::Error> {
    let entries: HashMap<&str, &FolderLedger> =
        ledger.folders.iter().map(|entry| (entry.folder.as_str(), entry)).collect();
    let losses = losses(view, account, past, mailboxes, ledger)?;
    let change = |mailbox: &MailboxInfo| {
        let folder = mailbox.name.text();
        let entry = entries.get(folder.as_str()).filter(|_| mailbox.gone.is_none());
        let loss = losses.get(&mailbox.id);
        let mut change = FolderChange {
            is_bin: is_a_bin(mailbox),
            before: loss.map_or(mailbox.live, |loss| loss.before),
            lost: loss.map_or(0, |loss| loss.lost),
            altered: loss.map_or(0, |loss| loss.altered),
            flags_changed: entry.map_or(0, |entry| entry.flags_changed),
            marked_deleted: entry.map_or(0, |entry| entry.marked_deleted),
            folder,
        };
        // What was told when it was first suspected is not told again when it is believed.
        let told = past.suspicion(&change.folder);
        match entry {
            None if told.unseen > 0 => change.lost = 0,
            None => {}
            Some(entry) if entry.not_visible == Some(1) => change.lost = mailbox.live,
            Some(entry) if entry.unconfirmed > 0 => change.lost += entry.unconfirmed,
            Some(_) => change.lost = change.lost.saturating_sub(told.unconfirmed),
        }
        change
    };
    Ok(mailboxes.iter().map(change).collect())
}

/// What the archive says, where anything can have ended.
fn losses(
    view: &View<'_>,
    account: AccountId,
    past: &Past,
    mailboxes: &[MailboxInfo],
    ledger: &Ledger,
) -> Result<HashMap<MailboxId, MailboxLoss>, archive::Error> {
    let moved = |entry: &FolderLedger| entry.new + entry.vanished + entry.matched_by_header > 0;
    let gone = |mailbox: &MailboxInfo| mailbox.gone.is_some_and(|run| run > past.run.id);
    if past.is_latest && !ledger.folders.iter().any(moved) && !mailboxes.iter().any(gone) {
        return Ok(HashMap::new());
    }
    let bins: HashSet<MailboxId> =
        mailboxes.iter().filter(|mailbox| is_a_bin(mailbox)).map(|mailbox| mailbox.id).collect();
    let losses = view.losses(account, past.run.id, &bins)?;
    Ok(losses.into_iter().map(|loss| (loss.mailbox, loss)).collect())
}

fn is_a_bin(mailbox: &MailboxInfo) -> bool {
    let delimiter = mailbox.name.delimiter().map(char::from);
    is_bin(mailbox.special_use.as_deref(), &mailbox.name.text(), delimiter)
}

/// The end of the run as `--as-of` takes it: a time, unless clocks went so wrong that another run
/// would be found by it; then the run by its number.
fn moment(view: &View<'_>, account: AccountId, past: &Past) -> Result<String, archive::Error> {
    let by_number = format!("run:{}", past.run.id);
    let Some(finished_ms) = past.run.finished_ms else { return Ok(by_number) };
    let time = jiff::Timestamp::from_millisecond(finished_ms).ok();
    let found = view.run_as_of(account, finished_ms)?;
    Ok(time.filter(|_| found == Some(past.run.id)).map_or(by_number, |time| time.to_string()))
}
