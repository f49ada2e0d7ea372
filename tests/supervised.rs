//! The daemon, and a service manager that notes what it is told by it.

use std::fs::{self, File};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use testkit::Restante;

/// Beyond this something hangs.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// A running daemon. It ends with the test, if the test has not ended it.
pub struct Daemon {
    child: Child,
    manager: UnixDatagram,
    told: Vec<String>,
    log: PathBuf,
}

impl Daemon {
    /// Starts it; log and the manager's socket lie in this folder.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn start(program: &Restante, folder: &Path) -> Self {
        let (socket, log) = (folder.join("notify"), folder.join("daemon.log"));
        // That of the daemon before may be there.
        let _ = fs::remove_file(&socket);
        let manager = UnixDatagram::bind(&socket).expect("a socket");
        manager.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket can be told");
        let mut command = program.command(["daemon"]);
        command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "30000000");
        let stderr = File::create(&log).expect("the test's own folder");
        let child = command.stdout(Stdio::null()).stderr(stderr).spawn().expect("the program starts");
        Self { child, manager, told: Vec::new(), log }
    }

    /// What it has written until now.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until the manager has been told this, since the start or since [`forget`](Self::forget).
    ///
    /// # Panics
    /// When it is not told in time.
    pub fn wait_for(&mut self, words: &str) {
        self.wait_until(words, |told| told.iter().any(|told| told.contains(words)));
    }

    /// Waits until the last status that the manager was told is one of these.
    ///
    /// # Panics
    /// When it is not told in time.
    pub fn wait_for_status(&mut self, what: &str, is: impl Fn(&str) -> bool) {
        let last = |told: &[String]| -> Option<bool> {
            let lines = told.iter().rev().flat_map(|told| told.lines());
            lines.filter_map(|line| line.strip_prefix("STATUS=")).map(&is).next()
        };
        self.wait_until(what, |told| last(told) == Some(true));
    }

    fn wait_until(&mut self, what: &str, is_so: impl Fn(&[String]) -> bool) {
        let begun = Instant::now();
        while !is_so(&self.told) {
            assert!(begun.elapsed() < PATIENCE, "not {what}, but {:?}", self.told);
            self.hear();
        }
    }

    /// Takes what the manager is told next, if it comes soon.
    fn hear(&mut self) -> bool {
        let mut buffer = [0; 4096];
        let heard = self.manager.recv(&mut buffer);
        self.told.extend(heard.iter().map(|&length| String::from_utf8_lossy(&buffer[..length]).into_owned()));
        heard.is_ok()
    }

    /// What the manager was told until now counts no more.
    pub fn forget(&mut self) {
        while self.hear() {}
        self.told.clear();
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it has ended.
    pub fn send(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("it runs");
    }

    /// Waits until it has ended, which it must do well; its log.
    ///
    /// # Panics
    /// When it does not.
    pub fn ended(mut self) -> String {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("the child can be asked") {
                assert!(status.success(), "{status}: {}", self.log());
                return self.log();
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Asks it to end; its log.
    ///
    /// # Panics
    /// As [`ended`](Self::ended).
    pub fn end(self) -> String {
        self.send(Signal::TERM);
        self.ended()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It has mostly ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
