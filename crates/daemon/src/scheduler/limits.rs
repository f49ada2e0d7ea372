//! Whose turn it is: accounts that wait for a place, under limits in all and per host.
//!
//! The longest waiting goes first, among those whose host has room; a host that is full holds up
//! only its own. Every step costs the logarithm of the number of accounts.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::time::Duration;

use super::Name;

/// How many runs may go on together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// In all.
    pub at_once: NonZeroUsize,
    /// To one host.
    pub per_host: NonZeroUsize,
}

/// Where an account stands in the queue.
pub(super) type Ticket = (Duration, Name);

/// The queue, and what is running.
#[derive(Debug)]
pub(super) struct Queue {
    limits: Limits,
    running: usize,
    hosts: HashMap<Name, Host>,
    /// Hosts with room and with someone who waits, by how long the first of them has waited.
    open: BTreeSet<(Duration, Name)>,
}

#[derive(Debug, Default)]
struct Host {
    running: usize,
    waiting: BTreeSet<Ticket>,
    /// The host's entry in `open`.
    listed: Option<Duration>,
}

impl Queue {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, running: 0, hosts: HashMap::new(), open: BTreeSet::new() }
    }

    pub(super) fn running(&self) -> usize {
        self.running
    }

    /// Runs that are more than the new limits allow go on; only none begins.
    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
        let hosts: Vec<Name> = self.hosts.keys().cloned().collect();
        for host in hosts {
            self.refresh(&host);
        }
    }

    pub(super) fn enter(&mut self, host: &Name, ticket: Ticket) {
        self.hosts.entry(host.clone()).or_default().waiting.insert(ticket);
        self.refresh(host);
    }

    pub(super) fn leave(&mut self, host: &Name, ticket: &Ticket) {
        if let Some(entry) = self.hosts.get_mut(host) {
            entry.waiting.remove(ticket);
        }
        self.refresh(host);
    }

    /// The account whose turn it is, if there is room. It stays in the queue until it leaves.
    pub(super) fn first(&self) -> Option<Name> {
        if self.running >= self.limits.at_once.get() {
            return None;
        }
        let (_, host) = self.open.first()?;
        let (_, account) = self.hosts.get(host)?.waiting.first()?;
        Some(account.clone())
    }

    pub(super) fn began(&mut self, host: &Name) {
        self.running += 1;
        self.hosts.entry(host.clone()).or_default().running += 1;
        self.refresh(host);
    }

    pub(super) fn ended(&mut self, host: &Name) {
        self.running = self.running.saturating_sub(1);
        if let Some(entry) = self.hosts.get_mut(host) {
            entry.running = entry.running.saturating_sub(1);
        }
        self.refresh(host);
    }

    /// Brings a host's entry in `open` up to date; forgets a host that nobody speaks of.
    fn refresh(&mut self, name: &Name) {
        let Some(host) = self.hosts.get_mut(name) else { return };
        if let Some(since) = host.listed.take() {
            self.open.remove(&(since, name.clone()));
        }
        if host.running == 0 && host.waiting.is_empty() {
            self.hosts.remove(name);
        } else if host.running < self.limits.per_host.get()
            && let Some((since, _)) = host.waiting.first()
        {
            host.listed = Some(*since);
            self.open.insert((*since, name.clone()));
        }
    }
}
