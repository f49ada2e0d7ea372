//! People are told of trouble, while the daemon works.
//!
//! The listener takes down what happens and gives it to a thread of its own, the only one that knows
//! `daemon::alerts::Alerts`: it writes down what is known, hands messages to channels, and hears what
//! became of them. Each channel works on a thread of its own, so that one that is dead holds up neither
//! backups nor other channels. The archive's disk is asked for its room on another one, for a disk that
//! hangs would hold up the telling.
//!
//! Rule: what is known is written down before a message goes out and after it was taken, so that a
//! daemon that is killed tells nothing twice.

mod hands;

use std::collections::HashSet;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use archive::ArchiveId;
use daemon::alerts::{Alerts, Body, Fate, Kind, RunEnd, RunResult, Sighting};

use super::news::{Listener, News};
use crate::alerts::channel::{Channel, takers};
use crate::alerts::rules::{rules, run_end};
use crate::alerts::store::{Store, StoreError};
use crate::alerts::{machine, now_ms, summary};
use crate::config::{Config, WebUrl};
use crate::memory::Memory;

/// So much may happen while the thread writes to a slow disk; what is more is not told.
const MOST_EVENTS: usize = 10_000;
/// All accounts' ping comes no more often.
const ALL_GOOD_PAUSE: Duration = Duration::from_secs(60);
/// How often the time alone is looked at.
const TICK: Duration = Duration::from_secs(60);
/// That the machine is awake is written down so often.
const SAVE_PAUSE: Duration = Duration::from_secs(300);
/// At the end channels that are at work are waited for.
const LAST_PATIENCE: Duration = Duration::from_secs(5);

enum Event {
    Configured(Arc<Config>),
    ConfigurationWrong(String),
    RunEnded(RunEnd),
    Seen(Kind, String),
    Gone(Kind),
    Free(u64),
    Delivered { channel: String, number: u64, result: Result<(), String> },
    Summary(Result<String, String>),
    End,
}

/// Takes down what happens.
pub(super) struct Bell {
    events: SyncSender<Event>,
    /// Whether details may be told, by the configuration in force.
    details: Mutex<bool>,
}

/// The thread that tells.
pub(super) struct Teller {
    events: SyncSender<Event>,
    thread: JoinHandle<()>,
}

/// Begins to tell of this archive's troubles.
pub(super) fn start(
    config: &Arc<Config>,
    memory: &Memory,
    archive: ArchiveId,
) -> std::io::Result<(Bell, Teller)> {
    let (events, happened) = mpsc::sync_channel(MOST_EVENTS);
    let (store, alerts) = match Store::open(memory, archive) {
        Ok((store, alerts)) => (Some(store), alerts),
        Err(error) => {
            if let StoreError::Busy = error {
                tracing::warn!("another restante tells of this archive's troubles, too");
            } else {
                tracing::warn!("a restart will forget what was told of troubles: {error}");
            }
            (None, Alerts::default())
        }
    };
    let pings = hands::pinger()?;
    hands::watch_space(config.archive.path.clone(), events.clone())?;
    let office = Office {
        alerts,
        store,
        events: events.clone(),
        pings,
        machine: machine(),
        config: Arc::clone(config),
        channels: Vec::new(),
        busy: HashSet::new(),
        is_summing: false,
        all_good_at: None,
        saved_at: None,
        is_changed: true,
    };
    let thread =
        std::thread::Builder::new().name("alerts".to_owned()).spawn(move || office.work(&happened))?;
    let details = Mutex::new(config.alerts.details);
    Ok((Bell { events: events.clone(), details }, Teller { events, thread }))
}

impl Teller {
    /// Tells what can still be told, and ends.
    pub(super) fn end(self) {
        if self.events.send(Event::End).is_ok() && self.thread.join().is_err() {
            tracing::error!("the thread that tells of troubles has panicked");
        }
    }
}

impl Bell {
    fn ring(&self, event: Event) {
        // Neither a run nor the scheduler waits here.
        if let Err(mpsc::TrySendError::Full(_)) = self.events.try_send(event) {
            tracing::warn!("more happens than can be told of");
        }
    }

    fn details(&self) -> bool {
        *self.details.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Listener for Bell {
    fn hear(&self, news: &News<'_>) {
        match news {
            News::Configured(config) => {
                *self.details.lock().unwrap_or_else(PoisonError::into_inner) = config.alerts.details;
                self.ring(Event::Configured(Arc::clone(config)));
            }
            News::ConfigurationWrong { why } => self.ring(Event::ConfigurationWrong((*why).to_owned())),
            // Where it stays busy, accounts become stale.
            News::ArchiveClosed { is_busy: true, .. } => {}
            News::ArchiveClosed { why, .. } => self.ring(Event::Seen(Kind::Archive, (*why).to_owned())),
            News::ArchiveOpened { damaged } => {
                self.ring(Event::Gone(Kind::Archive));
                self.ring(if *damaged {
                    Event::Seen(Kind::Damage, String::new())
                } else {
                    Event::Gone(Kind::Damage)
                });
            }
            // That the archive cannot be opened is no account's trouble.
            News::RunEnded { opened: false, .. } => {}
            News::RunEnded { ledger, unacknowledged, .. } => {
                if let Some(end) = run_end(ledger, *unacknowledged, self.details()) {
                    self.ring(Event::RunEnded(end));
                }
            }
            News::Verified { whole: true, .. } => self.ring(Event::Gone(Kind::Verification)),
            News::Verified { whole: false, .. } => {
                self.ring(Event::Seen(Kind::Verification, String::new()));
            }
            News::RunBegins { .. } | News::Stopping => {}
        }
    }
}

/// What the thread has before it.
struct Office {
    alerts: Alerts,
    store: Option<Store>,
    events: SyncSender<Event>,
    pings: SyncSender<WebUrl>,
    machine: String,
    config: Arc<Config>,
    channels: Vec<Channel>,
    /// Channels that are at work.
    busy: HashSet<String>,
    /// A summary is being made.
    is_summing: bool,
    all_good_at: Option<Instant>,
    saved_at: Option<Instant>,
    /// Something has changed since it was saved.
    is_changed: bool,
}

impl Office {
    fn work(mut self, happened: &Receiver<Event>) {
        let mut ends_at: Option<Instant> = None;
        // What waits from before goes to the channels that there are now.
        self.take(Event::Configured(Arc::clone(&self.config)));
        loop {
            match happened.recv_timeout(self.patience(ends_at)) {
                Ok(Event::End) => ends_at = Some(Instant::now() + LAST_PATIENCE),
                Ok(event) => self.take(event),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.tell(ends_at.is_none());
            if ends_at.is_some_and(|at| self.busy.is_empty() || Instant::now() >= at) {
                return;
            }
        }
    }

    /// Until when nothing is to be done, if nothing happens.
    fn patience(&self, ends_at: Option<Instant>) -> Duration {
        if let Some(at) = ends_at {
            return at.saturating_duration_since(Instant::now());
        }
        let due = self.alerts.wake_ms().map_or(i64::MAX, |wake| wake.saturating_sub(now_ms()));
        // A channel that is at work has its next message due all the time.
        let least = if self.busy.is_empty() { Duration::ZERO } else { Duration::from_secs(1) };
        Duration::from_millis(u64::try_from(due).unwrap_or(0)).clamp(least, TICK)
    }

    fn take(&mut self, event: Event) {
        let now = now_ms();
        let detail = |why: String| self.config.alerts.details.then_some(why).filter(|why| !why.is_empty());
        match event {
            Event::Configured(config) => {
                self.alerts.configure(now, rules(&config, now));
                self.channels = Channel::all(&config.alerts);
                self.config = config;
            }
            Event::ConfigurationWrong(why) => {
                let detail = detail(why);
                self.alerts.seen(now, Sighting::of_all(Kind::Configuration, detail));
            }
            Event::Seen(kind, why) => {
                let detail = detail(why);
                self.alerts.seen(now, Sighting::of_all(kind, detail));
            }
            Event::Gone(kind) => self.alerts.gone(now, None, kind),
            Event::Free(free) => self.alerts.measured(now, free, self.config.archive.reserve),
            Event::RunEnded(end) => {
                let account = (end.account.clone(), end.result);
                self.alerts.run_ended(now, end);
                self.ping(now, &account);
            }
            Event::Delivered { channel, number, result } => self.delivered(now, &channel, number, result),
            Event::Summary(text) => self.put_summary(now, text),
            Event::End => {}
        }
        self.is_changed = true;
    }

    /// Tells what is to be told by now.
    fn tell(&mut self, may_begin: bool) {
        let now = now_ms();
        let before = self.alerts.wake_ms();
        if self.alerts.step(now) {
            tracing::warn!("too many messages wait for their channels; the oldest are dropped");
        }
        self.is_changed |= self.alerts.wake_ms() != before;
        self.sum_up(now);
        self.save();
        if !may_begin {
            return;
        }
        for (name, message) in self.alerts.due(now) {
            let channel = self.channels.iter().find(|channel| channel.name == name);
            if let Some(channel) = channel.filter(|_| !self.busy.contains(&name)) {
                let (channel, machine) = (channel.clone(), self.machine.clone());
                if hands::deliver(channel, message, machine, self.events.clone()).is_ok() {
                    self.busy.insert(name);
                }
            }
        }
    }

    fn delivered(&mut self, now: i64, channel: &str, number: u64, result: Result<(), String>) {
        self.busy.remove(channel);
        let Err(why) = result else {
            tracing::info!("{channel} has taken message {number}");
            return self.alerts.taken(channel, number);
        };
        match self.alerts.refused(now, channel, number) {
            Fate::Again(pause) => {
                let seconds = pause.as_secs();
                tracing::warn!("{channel} did not take message {number}, again in {seconds} s: {why}");
            }
            Fate::GivenUp => {
                tracing::error!("{channel} did not take message {number}, which is given up: {why}");
            }
        }
    }

    fn save(&mut self) {
        let is_due = self.saved_at.is_none_or(|at| at.elapsed() >= SAVE_PAUSE);
        if !(self.is_changed || is_due) {
            return;
        }
        let first_time = self.is_changed;
        (self.saved_at, self.is_changed) = (Some(Instant::now()), false);
        if let Some(Err(error)) = self.store.as_ref().map(|store| store.save(&self.alerts))
            && first_time
        {
            tracing::warn!("what was told of troubles cannot be written down: {error}");
        }
    }

    /// Pings for a run of this account.
    fn ping(&mut self, now: i64, (account, result): &(String, RunResult)) {
        let own = self.config.account(account).and_then(|account| account.ping_url.clone());
        let url = match (own, result) {
            (Some(url), RunResult::Good) => Some(url),
            (Some(url), _) if self.config.alerts.ping_failures => Some(url.below("fail")),
            _ => None,
        };
        let all = self.config.alerts.ping_url.clone().filter(|_| {
            let is_due = self.all_good_at.is_none_or(|at| at.elapsed() >= ALL_GOOD_PAUSE);
            *result == RunResult::Good && is_due && self.alerts.all_good(now)
        });
        if all.is_some() {
            self.all_good_at = Some(Instant::now());
        }
        for url in url.into_iter().chain(all) {
            if self.pings.try_send(url).is_err() {
                tracing::warn!("a ping is left out, for many wait");
            }
        }
    }

    /// Begins a summary, where one is due.
    fn sum_up(&mut self, now: i64) {
        let Some(schedule) = self.config.alerts.summary.as_ref().filter(|_| !self.is_summing) else { return };
        let since = self.alerts.last_summary_ms(now);
        let due = schedule.next_after(since.div_euclid(1_000));
        if due.is_none_or(|due| due > now.div_euclid(1_000)) {
            return;
        }
        let (config, events) = (Arc::clone(&self.config), self.events.clone());
        let read = move || {
            // Where nobody waits for it any more, it is not needed.
            let _ = events.send(Event::Summary(summary::summary(&config, since)));
        };
        if std::thread::Builder::new().name("summary".to_owned()).spawn(read).is_ok() {
            self.is_summing = true;
        }
    }

    fn put_summary(&mut self, now: i64, text: Result<String, String>) {
        self.is_summing = false;
        self.alerts.summary_made(now);
        match text {
            Ok(text) => {
                let body = Body::Summary { text };
                let channels = takers(&self.channels, &body);
                if self.alerts.put(now, body, &channels) {
                    tracing::warn!("too many messages wait for their channels; the oldest are dropped");
                }
            }
            Err(why) => tracing::error!("no summary can be made: {why}"),
        }
    }
}
