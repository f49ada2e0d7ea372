//! From which loss on a server on a run is called suspicious: `[watchdog]`, for all accounts or, as
//! `[account.watchdog]`, for one.

use sync::Watchdog;

use super::document::Section;

/// Reads a section; what it does not say is taken from `defaults`.
pub(super) fn read(mut section: Section<'_, '_>, defaults: &Watchdog) -> Watchdog {
    let read = Watchdog {
        vanished_min: section.number("vanished_min").unwrap_or(defaults.vanished_min),
        vanished_share: section.share("vanished_share").unwrap_or(defaults.vanished_share),
        account_share: section.share("account_share").unwrap_or(defaults.account_share),
        trash_share: section.share("trash_share").unwrap_or(defaults.trash_share),
        flags_share: section.share("flags_share").unwrap_or(defaults.flags_share),
        unseen_runs: section
            .number("unseen_runs")
            .map_or(defaults.unseen_runs, |runs| u32::try_from(runs).unwrap_or(u32::MAX)),
    };
    section.close();
    read
}
