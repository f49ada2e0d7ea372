//! The summary that is mailed daily or weekly: how it all stands, for people who like to see that it
//! works.

use archive::{Archive, RunInfo, View};
use message::escape::escape;

use crate::config::Config;
use crate::output::amount::{count, local_time, size};
use crate::output::table::{Align, Table};

/// So many accounts have a line of their own.
const MAX_ACCOUNTS: usize = 500;
/// So many runs of an account are looked at: a week of runs every ten minutes.
const MAX_RUNS: usize = 1_000;

/// The summary's lines, with what came since a moment.
///
/// # Errors
/// Why the archive cannot be read.
pub(crate) fn summary(config: &Config, since_ms: i64) -> Result<String, String> {
    let failed = |error: archive::Error| error.in_full();
    let archive = Archive::open(&config.archive.path).map_err(failed)?;
    let view = archive.view();
    let known = view.accounts().map_err(failed)?;
    let mut table = Table::new(&[
        ("account", Align::Left),
        ("last good run", Align::Left),
        ("new", Align::Right),
        ("vanished", Align::Right),
        ("messages", Align::Right),
        ("size", Align::Right),
    ]);
    for account in config.accounts.iter().take(MAX_ACCOUNTS) {
        let Some(info) = known.iter().find(|known| known.name == account.name) else {
            table.row([account.name.clone(), "never".to_owned(), "".into(), "".into(), "".into(), "".into()]);
            continue;
        };
        let totals = view.totals(Some(info.id)).map_err(failed)?;
        let past = Past::of(&view, info.id, since_ms).map_err(failed)?;
        table.row([
            account.name.clone(),
            past.good_ms.map_or_else(|| "never".to_owned(), |ms| local_time(ms.div_euclid(1_000))),
            count(past.new),
            count(past.vanished),
            count(totals.live),
            size(totals.live_bytes),
        ]);
    }
    let sizes = view.sizes().map_err(failed)?;
    let mut text = format!("since {}\n\n", local_time(since_ms.div_euclid(1_000)));
    let mut lines = Vec::new();
    table.write(&mut lines).map_err(|error| error.to_string())?;
    text += &String::from_utf8_lossy(&lines);
    if let Some(more) = config.accounts.len().checked_sub(MAX_ACCOUNTS).filter(|more| *more > 0) {
        text += &format!("and {} more accounts: `restante status` shows all\n", count(more as u64));
    }
    let bytes = size(sizes.pack_bytes.saturating_add(sizes.catalogue_bytes));
    text += &format!("\narchive {}: {bytes}", escape(&config.archive.path.display().to_string()));
    Ok(text)
}

/// What the runs since a moment brought.
struct Past {
    good_ms: Option<i64>,
    new: u64,
    vanished: u64,
}

impl Past {
    fn of(view: &View<'_>, account: archive::AccountId, since_ms: i64) -> Result<Self, archive::Error> {
        let runs = view.runs(account, MAX_RUNS)?;
        let good = runs.iter().find(|run| run.outcome.as_deref() == Some("ok"));
        let mut past = Self { good_ms: good.and_then(|run| run.finished_ms), new: 0, vanished: 0 };
        for run in runs.iter().take_while(|run| run.started_ms >= since_ms) {
            let (new, vanished) = came_and_went(run);
            past.new = past.new.saturating_add(new);
            past.vanished = past.vanished.saturating_add(vanished);
        }
        Ok(past)
    }
}

fn came_and_went(run: &RunInfo) -> (u64, u64) {
    let ledger: serde_json::Value =
        run.ledger_json.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let total = |key: &str| ledger["totals"][key].as_u64().unwrap_or(0);
    (total("new"), total("vanished"))
}
