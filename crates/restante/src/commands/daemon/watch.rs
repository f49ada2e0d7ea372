//! Near real time: a connection for each watched account that waits for news, and rings for a run.
//!
//! All watches live on one thread: a task for each account, which opens a [`Watch`](remote::imap::Watch),
//! waits on it, and opens it anew when it is lost. When, and how often it may ring, is decided by the
//! machine in `daemon::watch`; here are the clock and the line.
//!
//! What a watch cannot do, the schedule does: it goes on as if there were no watch.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use daemon::scheduler::{Outcome, Trouble};
use daemon::service::Doorbell;
use daemon::watch::{Rings, Watch as Plan};
use remote::Throttle;
use remote::imap::{Scope, Watch};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::{Semaphore, watch};
use tokio::task::{AbortHandle, LocalSet, spawn_blocking, spawn_local};
use tokio::time::Instant;
use tracing::Instrument;

use super::news::{Listener, News};
use super::{outcome, trouble};
use crate::commands::target::job;
use crate::config::{Account, Config};
use crate::exit::chain;

/// So many are opened at a time: a dead host's hold up few of the others.
const OPENING_AT_ONCE: usize = 16;
/// Password commands and the resolver have so many threads.
const THREADS: usize = 8;
/// When many are to be opened, so much time lies between two on average, and no more than a few
/// minutes between first and last.
const BETWEEN_OPENINGS: Duration = Duration::from_millis(500);
const LONGEST_OPENING: Duration = Duration::from_secs(300);

/// The watches of all accounts that want one.
pub(super) struct Watchers {
    tell: UnboundedSender<Order>,
    open: Arc<AtomicUsize>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

enum Order {
    Configured(Arc<Config>),
    RunEnded(String, Outcome),
    Stop,
}

impl Watchers {
    /// Begins, with nothing to watch.
    ///
    /// # Errors
    /// When no thread can be had.
    pub(super) fn start(doorbell: Doorbell) -> io::Result<Arc<Self>> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(THREADS)
            .build()?;
        let (tell, orders) = unbounded_channel();
        let open = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&open);
        let watch = move || {
            let tasks = LocalSet::new();
            tasks.block_on(&runtime, attend(orders, doorbell, counted));
            drop(tasks);
            // A password command may still be waiting for a person.
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("watch".to_owned()).spawn(watch)?;
        Ok(Arc::new(Self { tell, open, thread: Mutex::new(Some(thread)) }))
    }

    /// How many accounts are watched now, in words for the status.
    pub(super) fn status(&self) -> Option<String> {
        match self.open.load(Ordering::Relaxed) {
            0 => None,
            1 => Some("watching 1 account".to_owned()),
            many => Some(format!("watching {many} accounts")),
        }
    }

    /// Closes all, at once.
    pub(super) fn stop(&self) {
        self.order(Order::Stop);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the watch's thread has panicked");
        }
    }

    fn order(&self, order: Order) {
        // Whoever has stopped needs nothing any more.
        let _ = self.tell.send(order);
    }
}

impl Listener for Arc<Watchers> {
    fn hear(&self, news: &News<'_>) {
        match news {
            News::Configured(config) => self.order(Order::Configured(Arc::clone(config))),
            News::RunEnded { ledger, .. } => {
                self.order(Order::RunEnded(ledger.account.clone(), outcome(ledger)));
            }
            News::Stopping => self.order(Order::Stop),
            _ => {}
        }
    }
}

/// The thread's work: a task for each account that is to be watched, until it is told to stop.
async fn attend(mut orders: UnboundedReceiver<Order>, doorbell: Doorbell, open: Arc<AtomicUsize>) {
    let mut watched: BTreeMap<String, Watched> = BTreeMap::new();
    let openings = Arc::new(Semaphore::new(OPENING_AT_ONCE));
    let mut newest: Option<watch::Sender<Arc<Config>>> = None;
    while let Some(order) = orders.recv().await {
        match order {
            Order::Configured(config) => {
                let newest = newest.get_or_insert_with(|| watch::Sender::new(Arc::clone(&config)));
                newest.send_replace(Arc::clone(&config));
                let wanted: Vec<&Account> =
                    config.accounts.iter().filter(|account| config.is_watched(account)).collect();
                watched.retain(|_, old| wanted.iter().any(|account| account.is_same_mailbox(&old.account)));
                let span = BETWEEN_OPENINGS
                    .saturating_mul(u32::try_from(wanted.len()).unwrap_or(u32::MAX))
                    .min(LONGEST_OPENING);
                for account in wanted {
                    watched.entry(account.name.clone()).or_insert_with(|| {
                        let (tell, runs) = unbounded_channel();
                        let attendant = Attendant {
                            name: account.name.clone(),
                            config: newest.subscribe(),
                            doorbell: doorbell.clone(),
                            openings: Arc::clone(&openings),
                            open: Arc::clone(&open),
                        };
                        let span_of_log = tracing::error_span!("account", account = account.name);
                        let task = spawn_local(attendant.attend(runs, span).instrument(span_of_log));
                        Watched { account: account.clone(), runs: tell, task: task.abort_handle() }
                    });
                }
            }
            Order::RunEnded(account, outcome) => {
                if let Some(watched) = watched.get(&account) {
                    // A task that has panicked hears no more; its account keeps its schedule.
                    let _ = watched.runs.send(outcome);
                }
            }
            Order::Stop => return,
        }
    }
}

/// A watched account, and its task, which ends with this.
struct Watched {
    account: Account,
    runs: UnboundedSender<Outcome>,
    task: AbortHandle,
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Looks after the watch of one account.
struct Attendant {
    name: String,
    config: watch::Receiver<Arc<Config>>,
    doorbell: Doorbell,
    openings: Arc<Semaphore>,
    /// How many watches are open.
    open: Arc<AtomicUsize>,
}

/// Why there is no watch.
enum NoWatch {
    Remote(remote::Error),
    /// The account is not as the configuration says: no password, no authorities.
    Job(String),
    Unsupported,
}

impl Attendant {
    async fn attend(self, mut runs: UnboundedReceiver<Outcome>, span: Duration) {
        let begun = Instant::now();
        let mut plan = Plan::new(&self.name, span, begun.elapsed());
        let mut rings = Rings::default();
        // How often it was lost since it was open last.
        let mut losses = 1;
        loop {
            wait_until_it_may_open(&mut plan, &mut runs, begun).await;
            let why = match self.open().await {
                Ok(mut watch) => {
                    plan.opened(begun.elapsed());
                    let _counted = Counted::new(&self.open);
                    losses = 0;
                    tracing::info!("watching {}", words(watch.scope()));
                    // Mail may have come while nobody looked.
                    self.ring(&mut rings, begun).await;
                    match self.listen(&mut watch, &mut plan, &mut rings, &mut runs, begun).await {
                        Some(error) => NoWatch::Remote(error),
                        None => {
                            tracing::warn!(
                                "the server let no more connections in, so the watch made room for the backup"
                            );
                            continue;
                        }
                    }
                }
                Err(why) => why,
            };
            self.lose(&mut plan, &why, begun.elapsed(), losses);
            losses += 1;
        }
    }

    /// Rings for each piece of news. `None`: the watch is to be closed.
    async fn listen(
        &self,
        watch: &mut Watch,
        plan: &mut Plan,
        rings: &mut Rings,
        runs: &mut UnboundedReceiver<Outcome>,
        begun: Instant,
    ) -> Option<remote::Error> {
        loop {
            let mut next = std::pin::pin!(watch.changed());
            let changed = loop {
                tokio::select! {
                    changed = &mut next => break changed,
                    Some(outcome) = runs.recv() => {
                        if plan.run_ended(outcome, begun.elapsed()) {
                            return None;
                        }
                    }
                }
            };
            match changed {
                Ok(()) => self.ring(rings, begun).await,
                Err(error) => return Some(error),
            }
        }
    }

    async fn ring(&self, rings: &mut Rings, begun: Instant) {
        let at = rings.ring_at(begun.elapsed());
        tokio::time::sleep_until(begun + at).await;
        tracing::debug!("there is news");
        self.doorbell.run(&self.name);
    }

    /// A watch that waits.
    async fn open(&self) -> Result<Watch, NoWatch> {
        // Never closed, so it always gives leave in the end.
        let _leave = self.openings.acquire().await;
        let (config, name) = (Arc::clone(&self.config.borrow()), self.name.clone());
        // Fetching a password may run a program.
        let made = spawn_blocking(move || {
            let account = config.account(&name).ok_or("it is not configured any more")?;
            job(&config, account).map_err(|error| chain(&error))
        });
        let job = made.await.map_err(|error| NoWatch::Job(error.to_string()))?.map_err(NoWatch::Job)?;
        let mut limits = job.limits.remote;
        // What tells of mail is not to wait for a line that is full of it.
        limits.throttle = Throttle::default();
        let filter = job.filter;
        let wanted = Arc::new(move |folder: &str| filter.wants(folder));
        match Watch::open(&job.endpoint, &job.credentials, &limits, wanted).await {
            Ok(Some(watch)) => Ok(watch),
            Ok(None) => Err(NoWatch::Unsupported),
            Err(error) => Err(NoWatch::Remote(error)),
        }
    }

    fn lose(&self, plan: &mut Plan, why: &NoWatch, now: Duration, losses: u32) {
        let words = match why {
            NoWatch::Remote(error) => {
                plan.lost(trouble(error.kind()), now);
                chain(error)
            }
            NoWatch::Job(words) => {
                plan.lost(Trouble::Other, now);
                words.clone()
            }
            NoWatch::Unsupported => {
                plan.unsupported(now);
                "the server has no IDLE, so it cannot tell when mail has come".to_owned()
            }
        };
        let wait = plan.opens_at().map(|at| at.saturating_sub(now).as_secs());
        match (losses, wait) {
            // Servers restart, and lines are cut each night.
            (0, Some(wait)) => tracing::info!("the watch was lost, and is opened again in {wait} s: {words}"),
            (1, Some(wait)) => {
                tracing::warn!("not watched, tried again in {wait} s; runs go on by schedule: {words}");
            }
            (_, None) => tracing::warn!("not watched until a run has logged in: {words}"),
            (_, Some(wait)) => tracing::debug!("not watched, tried again in {wait} s: {words}"),
        }
    }
}

/// Hears of runs meanwhile.
async fn wait_until_it_may_open(plan: &mut Plan, runs: &mut UnboundedReceiver<Outcome>, begun: Instant) {
    loop {
        let opens_at = plan.opens_at();
        let due = async {
            match opens_at {
                Some(at) => tokio::time::sleep_until(begun + at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = due => return,
            Some(outcome) = runs.recv() => {
                // Nothing is open that could be closed.
                let _ = plan.run_ended(outcome, begun.elapsed());
            }
        }
    }
}

fn words(scope: Scope) -> &'static str {
    match scope {
        Scope::Everything => "all folders",
        Scope::Inbox => "INBOX",
    }
}

/// A watch that is open, and counted as long as it is.
struct Counted<'c>(&'c AtomicUsize);

impl<'c> Counted<'c> {
    fn new(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
