//! What an earlier run's ledger says that this run must know: from which state losses are counted, and
//! what is suspected but not yet believed.
//!
//! A run that failed has judged nothing, and one that was cut off has no ledger; what they recorded is
//! judged by the next run that is whole enough. So the run to compare with is the newest that ended
//! `ok` or `partial`, or that raised an alarm of its own.

use std::collections::HashMap;

use archive::{AccountId, RunId, RunInfo, View};
use serde_json::Value;

/// The run to compare with.
#[derive(Clone, Debug)]
pub(crate) struct Past {
    pub(crate) run: RunInfo,
    /// Whether no other run of the account lies between it and now.
    pub(crate) is_latest: bool,
    pub(crate) was_suspicious: bool,
    folders: HashMap<String, Suspicion>,
}

/// What a ledger suspected of a folder.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Suspicion {
    /// Messages that seemed to be gone with an old UIDVALIDITY.
    pub(crate) unconfirmed: u64,
    /// In how many runs the folder was not listed.
    pub(crate) unseen: u32,
}

impl Past {
    /// The run to compare the run `now` with, if there is one.
    pub(crate) fn find(
        view: &View<'_>,
        account: AccountId,
        now: RunId,
    ) -> Result<Option<Self>, archive::Error> {
        // Mostly it is the last one; ledgers of accounts with many folders are large.
        for limit in [4, 64, 1_024, usize::MAX] {
            let runs = view.runs(account, limit)?;
            let all = runs.len() < limit;
            let mut past = runs.into_iter().filter(|run| run.id < now).enumerate();
            let found = past.find_map(|(back, run)| Some((back, read(&run)?, run)));
            if let Some((back, (was_suspicious, folders), run)) = found {
                return Ok(Some(Self { run, is_latest: back == 0, was_suspicious, folders }));
            }
            if all {
                break;
            }
        }
        Ok(None)
    }

    /// What was suspected of a folder.
    pub(crate) fn suspicion(&self, folder: &str) -> Suspicion {
        self.folders.get(folder).copied().unwrap_or_default()
    }
}

/// Whether a run was suspicious, and what it suspected; `None` when it is not one to compare with.
fn read(run: &RunInfo) -> Option<(bool, HashMap<String, Suspicion>)> {
    run.finished_ms?;
    let ledger: Value = run.ledger_json.as_deref().and_then(|json| serde_json::from_str(json).ok())?;
    let was_suspicious = ledger["suspicious"] == true;
    let judged = run.outcome.as_deref() != Some("failed") || was_suspicious;
    let suspicion = |folder: &Value| {
        let unseen = folder["not_visible"].as_u64().and_then(|runs| u32::try_from(runs).ok());
        let unconfirmed = folder["unconfirmed"].as_u64().unwrap_or(0);
        let name = folder["folder"].as_str()?.to_owned();
        Some((name, Suspicion { unconfirmed, unseen: unseen.unwrap_or(0) }))
    };
    let folders = ledger["folders"].as_array().into_iter().flatten();
    judged.then(|| (was_suspicious, folders.filter_map(suspicion).collect()))
}
