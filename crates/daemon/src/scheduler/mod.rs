//! Which runs begin, and when: a machine of states without clock, threads or I/O.
//!
//! It is told what happens (a run ended, the configuration changed, mail has come, time has passed)
//! and answers which runs begin now and when it wants to be asked again. Whoever holds the clocks
//! and the threads does what it says; so years can be lived through in a test. An account has at
//! most one wish to run (`account`); those that may run queue for a place (`limits`).
//!
//! Every event costs the logarithm of the number of accounts, but for a reload and for a wall clock
//! that was set, which look at each account once.
//!
//! Invariant: an account is queued, or has its next moment in `by_wall` or `by_steady`, or nothing
//! will ever come for it by itself. Only `touch` changes an account, and it keeps this.

mod account;
mod clock;
mod limits;
mod plan;
mod retry;
mod spread;
#[cfg(test)]
mod tests;
mod window;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use account::{Account, Alarms, Surroundings};
use clock::Clock;
use limits::Queue;

pub use clock::Now;
pub use limits::Limits;
pub use plan::{AccountPlan, Orders, Outcome, Outlook, Plan, Skip, Start, State, Told, Why};
pub use retry::Trouble;
pub(crate) use spread::Place;
pub use window::{InvalidWindow, Window};

/// The name of an account or of a host.
pub type Name = Arc<str>;

/// The wall clock may be set at any time without our hearing of it, so it is looked at so often.
const LOOK_AT_THE_CLOCK: Duration = Duration::from_secs(60);
/// Of the span over which missed times are made up for, each account needs no more than this.
const CATCH_UP_PER_ACCOUNT: Duration = Duration::from_secs(3);

/// Decides when which account runs.
#[derive(Debug)]
pub struct Scheduler {
    accounts: BTreeMap<Name, Entry>,
    by_wall: BTreeSet<(i64, Name)>,
    by_steady: BTreeSet<(Duration, Name)>,
    queue: Queue,
    clock: Clock,
    catch_up: Duration,
    told: Vec<Told>,
    stopping: bool,
    /// How often any account was looked at: what an event costs.
    #[cfg(test)]
    touches: u64,
}

#[derive(Debug)]
struct Entry {
    account: Account,
    alarms: Alarms,
}

impl Scheduler {
    /// Begins with this plan. Planned times since an account's last run are made up for; an account
    /// that never ran gets its first run soon.
    #[must_use]
    pub fn new(plan: Plan, now: Now) -> Self {
        let mut scheduler = Self {
            accounts: BTreeMap::new(),
            by_wall: BTreeSet::new(),
            by_steady: BTreeSet::new(),
            queue: Queue::new(plan.limits),
            clock: Clock::new(now),
            catch_up: plan.catch_up,
            told: Vec::new(),
            stopping: false,
            #[cfg(test)]
            touches: 0,
        };
        scheduler.reload(plan, now);
        scheduler
    }

    /// Takes another configuration. Runs go on, also those of accounts that it does not name; what
    /// failed stays failed unless the login changed; planned times of an unchanged schedule are
    /// neither lost nor doubled.
    pub fn reload(&mut self, plan: Plan, now: Now) {
        self.observe(now);
        self.queue.set_limits(plan.limits);
        let enabled = plan.accounts.iter().filter(|account| account.enabled).count();
        let for_all = CATCH_UP_PER_ACCOUNT.saturating_mul(u32::try_from(enabled).unwrap_or(u32::MAX));
        self.catch_up = plan.catch_up.min(for_all);
        let mut removed: BTreeSet<Name> = self.accounts.keys().cloned().collect();
        for account in plan.accounts {
            let name = account.name.clone();
            removed.remove(&name);
            if self.accounts.contains_key(&name) {
                self.touch(&name, now, |existing, _| existing.reconfigure(account, now));
            } else {
                let account = Account::new(account, self.surroundings(now));
                self.accounts.insert(name.clone(), Entry { account, alarms: Alarms::default() });
                self.touch(&name, now, |_, _| ());
            }
        }
        for name in removed {
            self.touch(&name, now, |account, _| account.remove());
        }
    }

    /// A run that was ordered has ended. Of an account that does not run, nothing happens.
    pub fn finished(&mut self, account: &str, outcome: Outcome, now: Now) {
        self.observe(now);
        let mut host = None;
        self.touch(account, now, |account, told| host = account.end(outcome, now, told));
        if let Some(host) = host {
            self.queue.ended(&host);
        }
    }

    /// A run of this account shall begin as soon as it may: mail has come. While one goes on, one
    /// more follows it. False where there is no such account, or it is switched off.
    pub fn request(&mut self, account: &str, now: Now) -> bool {
        self.observe(now);
        let mut known = false;
        self.touch(account, now, |account, _| known = account.ask(now));
        known
    }

    /// From now on nothing begins.
    pub fn stop(&mut self) {
        self.stopping = true;
    }

    /// What is to be done now. To be asked after each event and at [`Orders::wake`].
    pub fn step(&mut self, now: Now) -> Orders {
        self.observe(now);
        let mut start = Vec::new();
        if !self.stopping {
            while let Some((_, name)) = self.by_wall.first().filter(|(ms, _)| *ms <= now.unix_ms).cloned() {
                self.touch(&name, now, |_, _| ());
            }
            while let Some((_, name)) = self.by_steady.first().filter(|(at, _)| *at <= now.steady).cloned() {
                self.touch(&name, now, |_, _| ());
            }
            while let Some(account) = self.queue.first() {
                start.extend(self.begin(account, now));
            }
        }
        Orders { start, told: std::mem::take(&mut self.told), wake: self.wake(now) }
    }

    /// How an account stands.
    #[must_use]
    pub fn outlook(&self, account: &str, now: Now) -> Option<Outlook> {
        self.accounts.get(account).map(|entry| entry.account.outlook(now, &entry.alarms))
    }

    /// How all accounts stand, by name. Looks at each.
    pub fn outlooks(&self, now: Now) -> impl Iterator<Item = (&Name, Outlook)> {
        self.accounts.iter().map(move |(name, entry)| (name, entry.account.outlook(now, &entry.alarms)))
    }

    /// How many runs go on.
    #[must_use]
    pub fn running(&self) -> usize {
        self.queue.running()
    }

    /// The account whose turn it is begins, unless its window has closed while it waited.
    fn begin(&mut self, account: Name, now: Now) -> Option<Start> {
        self.touch(&account, now, |_, _| ());
        let (host, _) = self.accounts.get(&account)?.alarms.queued.clone()?;
        let mut why = None;
        self.touch(&account, now, |account, told| why = account.begin(now, told));
        let why = why?;
        self.queue.began(&host);
        Some(Start { account, why })
    }

    fn observe(&mut self, now: Now) {
        let Some(by_ms) = self.clock.observe(now) else { return };
        self.told.push(Told::ClockJumped { by_ms });
        let names: Vec<Name> = self.accounts.keys().cloned().collect();
        for name in names {
            self.touch(&name, now, |account, _| account.clock_jumped(now));
        }
    }

    /// Changes an account, deals with what has come for it, and remembers its next moment.
    fn touch(&mut self, name: &str, now: Now, change: impl FnOnce(&mut Account, &mut Vec<Told>)) {
        let around = self.surroundings(now);
        let Some((name, mut entry)) = self.accounts.remove_entry(name) else { return };
        #[cfg(test)]
        {
            self.touches += 1;
        }
        self.forget(&name, &entry.alarms);
        change(&mut entry.account, &mut self.told);
        entry.account.settle(around, &mut self.told);
        entry.alarms = entry.account.alarms(around);
        if entry.account.is_gone() {
            return;
        }
        self.remember(&name, &entry.alarms);
        self.accounts.insert(name, entry);
    }

    fn forget(&mut self, name: &Name, alarms: &Alarms) {
        if let Some(ms) = alarms.wall_ms {
            self.by_wall.remove(&(ms, name.clone()));
        }
        if let Some(at) = alarms.steady {
            self.by_steady.remove(&(at, name.clone()));
        }
        if let Some((host, ticket)) = &alarms.queued {
            self.queue.leave(host, ticket);
        }
    }

    fn remember(&mut self, name: &Name, alarms: &Alarms) {
        self.by_wall.extend(alarms.wall_ms.map(|ms| (ms, name.clone())));
        self.by_steady.extend(alarms.steady.map(|at| (at, name.clone())));
        if let Some((host, ticket)) = &alarms.queued {
            self.queue.enter(host, ticket.clone());
        }
    }

    fn wake(&self, now: Now) -> Duration {
        let look = now.steady.saturating_add(LOOK_AT_THE_CLOCK);
        if self.stopping {
            return look;
        }
        let wall = self.by_wall.first().map(|(ms, _)| now.steady_at(*ms));
        let steady = self.by_steady.first().map(|(at, _)| *at);
        wall.into_iter().chain(steady).fold(look, Duration::min)
    }

    fn surroundings(&self, now: Now) -> Surroundings {
        Surroundings { now, clock: self.clock, catch_up: self.catch_up }
    }
}
