//! What the runs of an account come to: from when on they are trouble.
//!
//! * A refused login is trouble at once (O1); where a server refuses without a word on why, the second
//!   time.
//! * A run that fails for the network or for a server's limits is trouble the second time in a row,
//!   for most of that heals itself before the next trial; any other failure at once.
//! * Partial runs are trouble the third time in a row.
//! * An account is stale when its last run that was not failed lies too far back and nothing else of
//!   it is told: then nothing runs, or nothing comes to an end (O10).

use serde::{Deserialize, Serialize};

use super::desk::Desk;
use super::trouble::{Cause, Kind, Sighting};

/// What an account must keep to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRule {
    /// Its name.
    pub name: String,
    /// Its server.
    pub host: String,
    /// So long after its last good run it is stale, in milliseconds.
    pub stale_after_ms: i64,
}

/// From when on runs are trouble, counted in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Failed runs whose cause may pass by itself.
    pub failed_runs: u32,
    /// Partial runs.
    pub partial_runs: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { failed_runs: 2, partial_runs: 3 }
    }
}

impl Patience {
    /// For runs that are far apart, and not tried again by themselves in between.
    pub const NONE: Self = Self { failed_runs: 1, partial_runs: 1 };
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunResult {
    /// All is there.
    Good,
    /// Something is missing.
    Partial,
    /// The server refused the login.
    LoginRefused,
    /// The same, but without a word on whether the login is wrong.
    PerhapsLoginRefused,
    /// It failed for another reason.
    Failed(Cause),
}

/// A run that has ended by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEnd {
    /// Whose.
    pub account: String,
    /// How.
    pub result: RunResult,
    /// The account has suspicious runs that nobody has acknowledged; `None` where that is not known.
    pub suspicious: Option<bool>,
    /// More on why, where the operator wants it told.
    pub detail: Option<String>,
}

/// What is remembered of an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Standing {
    name: String,
    /// The last run that reached the account; or since when the account is known.
    reached_ms: i64,
    failed_in_row: u32,
    partial_in_row: u32,
    /// Its last run was whole.
    is_good: bool,
}

/// All accounts that there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Accounts {
    standings: Vec<Standing>,
}

impl Accounts {
    /// These are the accounts from now on.
    pub(super) fn configure(&mut self, now_ms: i64, rules: &[AccountRule]) {
        let mut old = std::mem::take(&mut self.standings);
        old.sort_by(|a, b| a.name.cmp(&b.name));
        let standing = |rule: &AccountRule| match old.binary_search_by(|known| known.name.cmp(&rule.name)) {
            Ok(at) => Standing { reached_ms: old[at].reached_ms.min(now_ms), ..old[at].clone() },
            Err(_) => Standing {
                name: rule.name.clone(),
                reached_ms: now_ms,
                failed_in_row: 0,
                partial_in_row: 0,
                is_good: false,
            },
        };
        self.standings = rules.iter().map(standing).collect();
    }

    /// A run has ended; `rule` is of its account.
    pub(super) fn ended(
        &mut self,
        desk: &mut Desk,
        now_ms: i64,
        (end, rule): (RunEnd, &AccountRule),
        patience: Patience,
    ) {
        let Some(standing) = self.standings.iter_mut().find(|standing| standing.name == end.account) else {
            return;
        };
        let sighting = |kind, cause: Option<Cause>| Sighting {
            account: Some(end.account.clone()),
            kind,
            place: match cause {
                Some(cause) if !cause.is_of_server() => String::new(),
                _ => rule.host.clone(),
            },
            cause,
            detail: end.detail.clone(),
        };
        let name = Some(end.account.as_str());
        standing.is_good = end.result == RunResult::Good;
        match end.result {
            RunResult::Good | RunResult::Partial => {
                standing.reached_ms = now_ms;
                standing.failed_in_row = 0;
                [Kind::Login, Kind::Failed, Kind::Stale]
                    .into_iter()
                    .for_each(|kind| desk.gone(now_ms, name, kind));
            }
            _ => standing.failed_in_row += 1,
        }
        match end.result {
            RunResult::Good => {
                standing.partial_in_row = 0;
                desk.gone(now_ms, name, Kind::Partial);
            }
            RunResult::Partial => {
                standing.partial_in_row += 1;
                if standing.partial_in_row >= patience.partial_runs {
                    desk.seen(now_ms, sighting(Kind::Partial, None));
                }
            }
            RunResult::LoginRefused => desk.seen(now_ms, sighting(Kind::Login, None)),
            RunResult::PerhapsLoginRefused => {
                if standing.failed_in_row >= patience.failed_runs {
                    desk.seen(now_ms, sighting(Kind::Login, None));
                }
            }
            RunResult::Failed(cause) => {
                let heals = matches!(cause, Cause::Unreachable | Cause::Limit | Cause::NotBegun);
                if !heals || standing.failed_in_row >= patience.failed_runs {
                    desk.seen(now_ms, sighting(Kind::Failed, Some(cause)));
                }
            }
        }
        match end.suspicious {
            Some(true) => desk.seen(now_ms, sighting(Kind::Suspicious, None)),
            Some(false) => desk.gone(now_ms, name, Kind::Suspicious),
            None => {}
        }
    }

    /// Looks for accounts that are stale.
    pub(super) fn look(&mut self, desk: &mut Desk, now_ms: i64, rules: &[AccountRule]) {
        if desk.is_there(None, Kind::Archive) {
            return;
        }
        for (standing, rule) in self.standings.iter_mut().zip(rules) {
            standing.reached_ms = standing.reached_ms.min(now_ms);
            if !standing.is_stale(now_ms, rule) {
                continue;
            }
            let name = Some(rule.name.as_str());
            let is_told =
                [Kind::Login, Kind::Failed, Kind::Stale].into_iter().any(|kind| desk.is_there(name, kind));
            if !is_told {
                desk.seen(
                    now_ms,
                    Sighting {
                        account: Some(rule.name.clone()),
                        kind: Kind::Stale,
                        place: String::new(),
                        cause: None,
                        detail: None,
                    },
                );
            }
        }
    }

    /// Whether the last run of each was whole, and none is stale.
    pub(super) fn all_good(&self, now_ms: i64, rules: &[AccountRule]) -> bool {
        let is_good = |(standing, rule): (&Standing, &AccountRule)| {
            standing.is_good && !standing.is_stale(now_ms, rule)
        };
        !rules.is_empty()
            && self.standings.len() == rules.len()
            && self.standings.iter().zip(rules).all(is_good)
    }
}

impl Standing {
    fn is_stale(&self, now_ms: i64, rule: &AccountRule) -> bool {
        now_ms.saturating_sub(self.reached_ms) > rule.stale_after_ms
    }
}
