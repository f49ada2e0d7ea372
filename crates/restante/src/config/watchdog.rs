//! From which loss on a server on a run is called suspicious: `[watchdog]`, for all accounts or, as
//! `[account.watchdog]`, for one.

use super::document::Section;

/// The thresholds; a run that is over them is reported, never acted upon.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Watchdog {
    /// So many messages of a folder may vanish in a run before the share counts.
    pub(crate) vanished_min: u64,
    /// The share of a folder that may vanish in a run.
    pub(crate) vanished_share: f64,
    /// The share of an account that may vanish in a run.
    pub(crate) account_share: f64,
}

impl Default for Watchdog {
    fn default() -> Self {
        Self { vanished_min: 20, vanished_share: 0.1, account_share: 0.3 }
    }
}

impl Watchdog {
    /// Reads a section; what it does not say is taken from `defaults`.
    pub(super) fn read(mut section: Section<'_, '_>, defaults: &Self) -> Self {
        let read = Self {
            vanished_min: section.number("vanished_min").unwrap_or(defaults.vanished_min),
            vanished_share: section.share("vanished_share").unwrap_or(defaults.vanished_share),
            account_share: section.share("account_share").unwrap_or(defaults.account_share),
        };
        section.close();
        read
    }
}
