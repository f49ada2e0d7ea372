//! A run in the log: what a ledger says, as lines with fields, so that a journal can be asked for an
//! account, a folder or a run (docs/monitoring.md).
//!
//! One line for each thing that went wrong, by name. How many of a kind are written is not our concern:
//! the log's guard against floods counts what is too much.

use sync::{FolderLedger, Item, Ledger, Outcome};

/// A run begins.
pub(crate) fn begins(user: &str, host: &str) {
    tracing::info!("backing up {user} on {host}");
}

/// A run has ended.
pub(crate) fn ended(ledger: &Ledger) {
    ledger.folders.iter().for_each(folder);
    for loss in &ledger.lost {
        let (before, lost, altered) = (loss.before, loss.lost, loss.altered);
        tracing::error!(
            folder = loss.folder,
            before,
            lost,
            altered,
            "mass loss: {lost} of {before} messages are gone"
        );
    }
    for warning in &ledger.warnings {
        tracing::warn!("{warning}");
    }
    if ledger.suspicious {
        tracing::error!(
            "suspicious: so much has vanished or changed that a person should look; `restante status` says what \
             and how to bring it back, `restante ack {}` that it was meant",
            ledger.account
        );
    }
    let (totals, word) = (&ledger.totals, ledger.outcome.word());
    let (on_server, archived, new) = (totals.on_server, totals.archived, totals.new);
    let (vanished, failed, skipped) = (totals.vanished, totals.failed, totals.skipped);
    match (&ledger.error, ledger.outcome) {
        (Some(error), Outcome::Failed) => {
            tracing::error!(outcome = word, on_server, archived, new, "{word}: {error}");
        }
        (Some(error), _) => {
            tracing::warn!(outcome = word, on_server, archived, new, failed, "{word}: {error}");
        }
        (None, Outcome::Ok) => tracing::info!(outcome = word, on_server, archived, new, vanished, "{word}"),
        (None, Outcome::Partial) => {
            tracing::warn!(outcome = word, on_server, archived, new, vanished, failed, skipped, "{word}");
        }
        (None, Outcome::Failed) => {
            tracing::error!(outcome = word, on_server, archived, new, failed, "{word}");
        }
    }
}

fn folder(ledger: &FolderLedger) {
    let folder = ledger.folder.as_str();
    for Item { uid, uidl, why } in &ledger.failed {
        tracing::warn!(folder, uid, uidl, "a message was not brought: {why}");
    }
    for Item { uid, uidl, why } in &ledger.skipped {
        tracing::info!(folder, uid, uidl, "a message was left out: {why}");
    }
    if let Some(runs) = ledger.not_visible {
        tracing::warn!(folder, runs, "the server does not list this folder");
    }
    if ledger.unconfirmed > 0 {
        let unconfirmed = ledger.unconfirmed;
        tracing::warn!(folder, unconfirmed, "messages seem to be gone; the next run will tell");
    }
    let (on_server, archived) = (ledger.on_server, ledger.archived);
    if let Some(error) = &ledger.error {
        tracing::warn!(folder, on_server, archived, "the folder is not complete: {error}");
    } else if on_server != archived {
        tracing::warn!(folder, on_server, archived, "the folder is not complete");
    }
}
