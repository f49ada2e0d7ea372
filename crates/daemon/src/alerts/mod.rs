//! Who is told of trouble, and when: without a clock, a thread or I/O.
//!
//! [`Alerts`] is told what happens (a run has ended, the disk has so much room, time has passed) and has
//! messages for channels to take. All that it knows is one value that can be written down and read
//! again, so that a restart neither tells anything twice nor forgets it.
//!
//! * [`accounts`]: from when on runs are trouble. [`space`]: when a disk will be full.
//! * [`desk`]: one message a trouble, reminders, the end of it, and no storms.
//! * [`outbox`]: what waits for channels. [`message`]: the words.

mod accounts;
mod desk;
mod message;
mod outbox;
mod space;
#[cfg(test)]
mod tests;
mod trouble;

use serde::{Deserialize, Serialize};

pub use accounts::{AccountRule, Patience, RunEnd, RunResult};
pub use message::{Body, Item, Message};
pub use outbox::Fate;
pub use trouble::{Cause, Kind, Sighting};

use accounts::Accounts;
use desk::Desk;
use outbox::Outbox;
use space::{Room, Space};

/// Without news for so long, this machine slept or was off.
const NAP_MS: i64 = 10 * 60_000;
/// After a nap accounts have so long to make up for what was missed before they count as stale.
const MORNING_MS: i64 = 90 * 60_000;

/// What is to be kept to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// The accounts.
    pub accounts: Vec<AccountRule>,
    /// The channels, by name.
    pub channels: Vec<String>,
    /// So long others of a group are waited for, in milliseconds.
    pub collect_ms: i64,
    /// From when on runs are trouble.
    pub patience: Patience,
}

/// All that is known of trouble and messages.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Alerts {
    desk: Desk,
    accounts: Accounts,
    space: Space,
    outbox: Outbox,
    /// When it was last told anything.
    heard_ms: i64,
    /// Since when this machine has been awake.
    awake_ms: i64,
    /// When the last summary was made, or since when there are any.
    summary_ms: Option<i64>,
    #[serde(skip)]
    rules: Rules,
}

impl Alerts {
    /// These rules are in force from now on.
    pub fn configure(&mut self, now_ms: i64, rules: Rules) {
        self.wake_up(now_ms);
        self.accounts.configure(now_ms, &rules.accounts);
        let names: std::collections::HashSet<&str> =
            rules.accounts.iter().map(|account| account.name.as_str()).collect();
        self.desk.keep(|name| names.contains(name));
        self.outbox.keep(now_ms, &rules.channels);
        self.desk.gone(now_ms, None, Kind::Configuration);
        self.rules = rules;
    }

    /// A run has ended by itself.
    pub fn run_ended(&mut self, now_ms: i64, end: RunEnd) {
        let Some(rule) = self.rules.accounts.iter().find(|rule| rule.name == end.account) else { return };
        self.accounts.ended(&mut self.desk, now_ms, (end, rule), self.rules.patience);
    }

    /// Trouble that lies with no run.
    pub fn seen(&mut self, now_ms: i64, sighting: Sighting) {
        self.desk.seen(now_ms, sighting);
    }

    /// It is not there.
    pub fn gone(&mut self, now_ms: i64, account: Option<&str>, kind: Kind) {
        self.desk.gone(now_ms, account, kind);
    }

    /// The archive's disk has so many bytes free, and shall keep `reserve`.
    pub fn measured(&mut self, now_ms: i64, free: u64, reserve: u64) {
        match self.space.measured(now_ms, free, reserve) {
            Room::Scarce => self.desk.seen(now_ms, Sighting::of_all(Kind::Space, None)),
            Room::Enough => self.desk.gone(now_ms, None, Kind::Space),
            Room::Between => {}
        }
    }

    /// Time has passed: puts in what is to be told by now. True when the outbox was full, so that old
    /// messages had to go.
    #[must_use]
    pub fn step(&mut self, now_ms: i64) -> bool {
        self.wake_up(now_ms);
        if now_ms.saturating_sub(self.awake_ms) >= MORNING_MS {
            self.accounts.look(&mut self.desk, now_ms, &self.rules.accounts);
        }
        let bodies = self.desk.step(now_ms, self.rules.collect_ms);
        bodies.into_iter().fold(false, |full, body| {
            let full_now = self.outbox.put(now_ms, body, &self.rules.channels);
            full || full_now
        })
    }

    /// Puts in a message for these channels.
    #[must_use]
    pub fn put(&mut self, now_ms: i64, body: Body, channels: &[String]) -> bool {
        self.outbox.put(now_ms, body, channels)
    }

    /// For each channel its oldest message, where it may be tried now.
    #[must_use]
    pub fn due(&self, now_ms: i64) -> Vec<(String, Message)> {
        self.outbox.due(now_ms)
    }

    /// The channel has the message.
    pub fn taken(&mut self, channel: &str, number: u64) {
        self.outbox.taken(channel, number);
    }

    /// The channel did not take the message.
    pub fn refused(&mut self, now_ms: i64, channel: &str, number: u64) -> Fate {
        self.outbox.refused(now_ms, channel, number)
    }

    /// When [`step`](Self::step) or [`due`](Self::due) may bring something, if nothing happens until then
    /// and no account becomes stale.
    #[must_use]
    pub fn wake_ms(&self) -> Option<i64> {
        self.desk.wake_ms(self.rules.collect_ms).into_iter().chain(self.outbox.wake_ms()).min()
    }

    /// Whether the last run of each account was whole and none is stale.
    #[must_use]
    pub fn all_good(&self, now_ms: i64) -> bool {
        self.accounts.all_good(now_ms, &self.rules.accounts)
    }

    /// When the last summary was made; from now on, where there was none.
    pub fn last_summary_ms(&mut self, now_ms: i64) -> i64 {
        let last = self.summary_ms.get_or_insert(now_ms);
        *last = (*last).min(now_ms);
        *last
    }

    /// A summary was made.
    pub fn summary_made(&mut self, now_ms: i64) {
        self.summary_ms = Some(now_ms);
    }

    /// Notes whether this machine has slept.
    fn wake_up(&mut self, now_ms: i64) {
        let silence = now_ms.saturating_sub(self.heard_ms);
        if !(0..=NAP_MS).contains(&silence) {
            self.awake_ms = now_ms;
        }
        self.heard_ms = now_ms;
    }
}
