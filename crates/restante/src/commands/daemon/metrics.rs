//! Metrics of the running daemon: kept up to date from the news, told at a door and in a file.
//!
//! News change what is known at once. Reading the archive and writing the file is done on a thread of its
//! own, which spends at most a tenth of its time with it; so a page is never waited for, and says what
//! was known a moment ago.

mod http;
mod server;

use std::collections::BTreeSet;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use daemon::metrics::{Daemon, Durations, Metrics, Verified};

use super::super::metrics::reading::{self, Search};
use super::super::metrics::{self, textfile};
use super::news::{Listener, News};
use crate::config::{Config, Listen};
use server::Server;

/// The file is written at least so often, and the disk looked at.
const MINUTE: Duration = Duration::from_secs(60);
/// All accounts are read anew so often, for what others have done to the archive.
const WHOLE_READING: Duration = Duration::from_secs(600);
/// After a reading that took a while this many times as long is waited.
const REST: u32 = 10;

/// Hears the news, and makes metrics of them.
pub(super) struct Meter {
    board: Board,
    /// Its end is the thread's.
    notes: Option<mpsc::Sender<Note>>,
    thread: Option<JoinHandle<()>>,
}

/// What is known, shared with whoever tells it.
#[derive(Clone)]
struct Board(Arc<Mutex<Metrics>>);

/// What the thread is told.
enum Note {
    Configured(Arc<Config>),
    Ended(String),
}

impl Meter {
    /// Begins to tell metrics as this configuration wishes.
    ///
    /// # Errors
    /// What to do, where the door cannot be opened or no thread can be had.
    pub(super) fn start(config: &Arc<Config>) -> Result<Self, String> {
        let mut known = metrics::of(config);
        known.daemon = Some(Daemon {
            started: jiff::Timestamp::now().as_second(),
            configuration_is_right: true,
            durations: Durations::default(),
        });
        let board = Board(Arc::new(Mutex::new(known)));
        let server = config.metrics.listen.as_ref().map(|listen| open_door(listen, &board)).transpose()?;
        let (notes, told) = mpsc::channel();
        let worker = Worker {
            board: board.clone(),
            config: Arc::clone(config),
            server,
            stale: BTreeSet::new(),
            read_all: None,
            complaint: None,
        };
        let thread = std::thread::Builder::new().name("metrics".to_owned()).spawn(move || worker.work(&told));
        let thread = thread.map_err(|error| format!("no thread can be had for metrics: {error}"))?;
        Ok(Self { board, notes: Some(notes), thread: Some(thread) })
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.notes = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that reads for metrics has panicked; backups are not touched by it");
        }
    }
}

impl Listener for Meter {
    fn hear(&self, news: &News<'_>) {
        let mut known = self.board.lock();
        let note = match news {
            News::Configured(config) => {
                metrics::configure(&mut known, config);
                set_right(&mut known, true);
                Note::Configured(Arc::clone(config))
            }
            News::ConfigurationWrong { .. } => return set_right(&mut known, false),
            News::Verified { whole, depth, .. } => {
                let verified = Verified { at: jiff::Timestamp::now().as_second(), whole: *whole };
                return known.archive.verified(depth, verified);
            }
            News::ArchiveOpened { .. } | News::ArchiveClosed { .. } | News::Stopping => return,
            News::RunBegins { account } => {
                if let Some(account) = known.accounts.get_mut(*account) {
                    account.running = true;
                }
                return;
            }
            News::RunEnded { ledger, took, .. } => {
                if let Some(account) = known.accounts.get_mut(&ledger.account) {
                    account.ended(metrics::run_of(ledger, *took));
                }
                if let Some(daemon) = &mut known.daemon {
                    daemon.durations.observe(*took);
                }
                Note::Ended(ledger.account.clone())
            }
        };
        drop(known);
        // Without its thread there is nothing to be read; the page goes on with what is heard.
        let _ = self.notes.as_ref().map(|notes| notes.send(note));
    }
}

fn set_right(known: &mut Metrics, right: bool) {
    if let Some(daemon) = &mut known.daemon {
        daemon.configuration_is_right = right;
    }
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Metrics> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open_door(listen: &Listen, board: &Board) -> Result<Server, String> {
    let board = board.clone();
    let server = Server::start(listen, Arc::new(move || board.lock().to_text())).map_err(|error| {
        let place = match listen {
            Listen::Tcp(address) => address.to_string(),
            Listen::Unix(path) => path.display().to_string(),
        };
        format!("metrics cannot be told on {place} (metrics.listen): {error}")
    })?;
    tracing::info!("metrics are told on {}", server.place());
    Ok(server)
}

/// The thread that reads the archive and writes the file.
struct Worker {
    board: Board,
    config: Arc<Config>,
    server: Option<Server>,
    /// Accounts of which the archive knows more than the board.
    stale: BTreeSet<String>,
    /// When all accounts were read last.
    read_all: Option<Instant>,
    /// What was last said of the file, so that it is not said each minute.
    complaint: Option<String>,
}

impl Worker {
    fn work(mut self, told: &mpsc::Receiver<Note>) {
        loop {
            let begun = Instant::now();
            if self.config.metrics != crate::config::MetricsConfig::default() {
                self.read();
                self.write();
            }
            let rested = Instant::now() + begun.elapsed() * REST;
            let mut until = begun + MINUTE;
            // A note is worth a new page, but for the rest after the last one.
            while let Some(wait) = until.max(rested).checked_duration_since(Instant::now()) {
                match told.recv_timeout(wait) {
                    Ok(note) => {
                        self.take(note);
                        until = rested;
                    }
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => return self.write(),
                }
            }
        }
    }

    fn take(&mut self, note: Note) {
        match note {
            Note::Ended(account) => drop(self.stale.insert(account)),
            Note::Configured(config) => {
                let before = std::mem::replace(&mut self.config, config);
                if before.metrics.listen != self.config.metrics.listen {
                    self.move_door();
                }
                self.read_all = None;
                self.complaint = None;
            }
        }
    }

    fn move_door(&mut self) {
        self.server = None;
        let Some(listen) = &self.config.metrics.listen else { return };
        match open_door(listen, &self.board) {
            Ok(server) => self.server = Some(server),
            Err(error) => tracing::error!("{error}"),
        }
    }

    /// Reads what the archive knows more.
    fn read(&mut self) {
        let all = self.read_all.is_none_or(|at| at.elapsed() >= WHOLE_READING);
        let mut accounts = std::mem::take(&mut self.stale);
        let mut search = Search::Recent;
        {
            let known = self.board.lock();
            // Whether an alarm has been acknowledged is asked for until it is.
            let asks = |held: &daemon::metrics::Held| held.unacknowledged > 0;
            let wanted =
                known.accounts.iter().filter(|(_, account)| all || account.held.as_ref().is_some_and(asks));
            accounts.extend(wanted.map(|(name, _)| name.clone()));
            if known.accounts.values().any(|account| account.held.is_none()) {
                search = Search::Deep;
            }
        }
        let accounts: Vec<String> = accounts.into_iter().collect();
        let read = reading::glance(&self.config, &accounts, search);
        let mut known = self.board.lock();
        match read {
            Ok(Some(read)) => {
                read.into_metrics(&mut known);
                if all {
                    self.read_all = Some(Instant::now());
                }
            }
            // On a network file system, or while the catalogue is made anew: what was known stays.
            Ok(None) => {}
            Err(error) => {
                tracing::debug!("the archive cannot be read for metrics: {}", error.in_full());
                known.archive.readable = Some(false);
            }
        }
        metrics::plan(&mut known, &self.config);
        drop(known);
        let around = reading::look_around(&self.config);
        around.into_metrics(&mut self.board.lock());
    }

    fn write(&mut self) {
        let Some(path) = &self.config.metrics.textfile else { return };
        let text = self.board.lock().to_text();
        let complaint = textfile::write(path, &text).err().map(|error| error.to_string());
        if let Some(complaint) = complaint.as_ref().filter(|new| self.complaint.as_ref() != Some(new)) {
            tracing::warn!("{complaint}");
        }
        self.complaint = complaint;
    }
}
