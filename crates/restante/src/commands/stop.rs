//! Hearing that the program shall stop: SIGTERM from a service manager, SIGINT from a terminal,
//! SIGHUP from one that was closed.
//!
//! The first signal asks the run to commit what it has and end; the second ends the process at once,
//! which the archive survives like any other kill.

use std::fs::File;
use std::io;

use sync::Stop;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::exit::Exit;
use crate::output::screen::Screen;

/// More than a run opens at a time: signals, network, packs, catalogue.
const SPARE_DESCRIPTORS: usize = 26;

/// Starts to listen, for a run.
///
/// # Errors
/// When the signals cannot be had, or there are too few descriptors for a run.
pub(super) fn listen(screen: &Screen) -> io::Result<Stop> {
    listen_and_say(screen, "asked to stop: committing what has come; once more ends at once")
}

/// The same with other words for the person who asks to stop.
///
/// # Errors
/// As [`listen`].
pub(super) fn listen_and_say(screen: &Screen, words: &'static str) -> io::Result<Stop> {
    // The runtime panics where it cannot have descriptors for its signals (D23).
    let spare: io::Result<Vec<File>> = (0..SPARE_DESCRIPTORS).map(|_| File::open("/dev/null")).collect();
    drop(spare?);
    let stop = Stop::default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
        }
    };
    let (asked, screen) = (stop.clone(), screen.clone());
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            signals.next().await;
            asked.request();
            screen.say(words);
            signals.next().await;
            std::process::exit(i32::from(Exit::Failed.number()));
        });
    })?;
    Ok(stop)
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
