//! What happens in the daemon, told to those who make something of it.
//!
//! The rooms of the daemon that watch, tell and measure need not know one another, nor the runs of
//! them: what happens is [`News`], and each [`Listener`] hears all of it, on the thread on which it
//! happened. So a listener is quick: it takes down what it wants, and does its work elsewhere.

use std::sync::Arc;
use std::time::Duration;

use sync::Ledger;

use crate::config::Config;

/// Something that has happened.
#[derive(Debug)]
pub(super) enum News<'n> {
    /// This configuration is in force: at the start, and after each reload that was right.
    Configured(&'n Arc<Config>),
    /// A reload was asked for, the file is wrong, and the configuration before it stays in force.
    ConfigurationWrong {
        /// What is wrong with it.
        why: &'n str,
    },
    /// A run of this account begins.
    RunBegins {
        /// The account.
        account: &'n str,
    },
    /// The archive was opened for a run.
    ArchiveOpened {
        /// Damage was met.
        damaged: bool,
    },
    /// The archive cannot be opened for a run.
    ArchiveClosed {
        /// Why.
        why: &'n str,
        /// Another restante has it, and will let it go.
        is_busy: bool,
    },
    /// A run has ended, well or not.
    RunEnded {
        /// What came of it.
        ledger: &'n Ledger,
        /// The archive could be opened for it.
        opened: bool,
        /// Whether the account has suspicious runs that nobody has acknowledged; `None`: not known.
        unacknowledged: Option<bool>,
        /// For how long it went on.
        took: Duration,
    },
    /// The archive was looked at: all packs in their structure, or one to its last byte.
    Verified {
        /// Whether nothing is damaged, by all that is known now; not only by this look.
        whole: bool,
        /// `quick` or `rolling`, as `status` has it.
        depth: &'static str,
    },
    /// The daemon ends: what goes on beside the runs ends, too, within seconds.
    Stopping,
}

/// Hears what happens.
pub(super) trait Listener: Send + Sync {
    /// Takes it down. Never waits for network or disk: it holds up the run, or the scheduler.
    fn hear(&self, news: &News<'_>);
}
