//! The archive, open while a run needs it and closed when none does, so that `ack`, `repair` and
//! `--run-now` can have it in between.
//!
//! All runs of a time share one writer, which has a thread of its own. The last one to go closes it.

use std::sync::{Arc, Mutex, PoisonError, Weak, mpsc};
use std::thread::JoinHandle;

use sync::{Archivist, SystemClock};

use super::super::account_run::limits;
use super::super::place::{open_writer, remember};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::memory::Memory;

/// Opens the archive for whoever comes first.
pub(super) struct Keeper(Mutex<State>);

struct State {
    open: Weak<Open>,
    /// Of the last writer: until it has ended no other can be had.
    thread: Option<JoinHandle<()>>,
}

/// The archive is open as long as anybody has this.
pub(super) struct Open {
    archivist: Archivist,
    is_damaged: bool,
    /// Its end is what the writer's thread waits for.
    _until: mpsc::Sender<()>,
}

impl Open {
    pub(super) fn archivist(&self) -> &Archivist {
        &self.archivist
    }

    /// Whether damage was met when it was opened.
    pub(super) fn is_damaged(&self) -> bool {
        self.is_damaged
    }
}

/// Why the archive cannot be had.
#[derive(Debug)]
pub(super) struct Closed {
    /// For people.
    pub(super) why: String,
    /// Another restante has it, and will let it go.
    pub(super) is_busy: bool,
}

impl std::fmt::Display for Closed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.why)
    }
}

impl From<String> for Closed {
    fn from(why: String) -> Self {
        Self { why, is_busy: false }
    }
}

impl Keeper {
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { open: Weak::new(), thread: None }))
    }

    /// The archive.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub(super) fn open(&self, config: &Config) -> Result<Arc<Open>, Closed> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = state.open.upgrade() {
            return Ok(open);
        }
        wait_for(&mut state);
        let (tell, told) = mpsc::channel();
        let (until, end) = mpsc::channel::<()>();
        let config = config.clone();
        let keep = move || match keep(&config, &tell, end) {
            Ok(()) => {}
            Err(failure) => {
                let why = failure.summary().unwrap_or_default();
                let closed = Closed { why, is_busy: failure.exit == Exit::Busy };
                if let Err(mpsc::SendError(Err(closed))) = tell.send(Err(closed)) {
                    tracing::error!("the archive was not closed well: {}", closed.why);
                }
            }
        };
        let thread = std::thread::Builder::new().name("archive".to_owned()).spawn(keep);
        state.thread = Some(thread.map_err(|error| format!("no thread can be had: {error}"))?);
        let (archivist, is_damaged) =
            told.recv().map_err(|_| "the archive's thread has ended".to_owned())??;
        let open = Arc::new(Open { archivist, is_damaged, _until: until });
        state.open = Arc::downgrade(&open);
        Ok(open)
    }

    /// Waits until the archive is closed.
    pub(super) fn close(&self) {
        wait_for(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn wait_for(state: &mut State) {
    if let Some(thread) = state.thread.take()
        && thread.join().is_err()
    {
        tracing::error!("the archive's thread has panicked; what was committed is safe");
    }
}

/// The writer's thread: opens, serves until `end` comes, closes.
fn keep(
    config: &Config,
    tell: &mpsc::Sender<Result<(Archivist, bool), Closed>>,
    end: mpsc::Receiver<()>,
) -> Result<(), Failure> {
    let path = &config.archive.path;
    let memory = Memory::open(path)?;
    let mut writer = open_writer(path, &memory)?;
    let is_damaged = !writer.damage().is_empty();
    let tell = tell.clone();
    Archivist::serve(&mut writer, &SystemClock::default(), &limits(config), move |archivist| {
        if tell.send(Ok((archivist, is_damaged))).is_ok() {
            // Nothing is ever sent: it ends when all who have the archive are gone.
            let _ = end.recv();
        }
    });
    remember(path, &memory, &writer)
}
