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
    };
    section.close();
    read
}
