//! The engine: from what the server says and what the archive holds to what is fetched, recorded and
//! accounted for.
//!
//! * [`pull`] runs one account and returns its [`Ledger`].
//! * `plan`, `matching`, `renames`, `retry`, `recheck`, `hints` and `watchdog` decide; they are pure.
//! * [`Surroundings`] is what comes in from outside: time, network, watcher, request to stop.
//!
//! It knows nothing of configuration files, terminals or signals.

mod filter;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod hints;
mod ledger;
mod matching;
mod past;
mod plan;
mod pull;
mod recheck;
mod renames;
mod restore;
mod retry;
mod surroundings;
mod watchdog;

pub use filter::{FolderFilter, InvalidGlob};
pub use hints::{bytes_per_day, pop3_bytes_per_day, pop3_listing, pop3_remark};
pub use ledger::{EndedBy, FolderLedger, Item, Ledger, Listing, Outcome, Totals, rfc3339};
pub use pull::{
    Archivist, Job, Pop3Listing, Pop3Options, Probed, Protocol, PullLimits, probe, probe_and_count, pull,
    pull_beside_others, pull_in,
};
pub use restore::{
    FolderReport, Refused, Remark, RestoreJob, RestoreLimits, RestoreOutcome, RestoreProgress, RestoreReport,
    RestoreTotals, TargetReport, Verify, restore, restore_in,
};
pub use retry::Patience;
pub use surroundings::{Chance, Clock, Dice, Progress, Stop, Surroundings, SystemClock, Time};
pub use watchdog::Watchdog;
