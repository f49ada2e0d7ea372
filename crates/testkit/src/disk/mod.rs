//! A disk for tests, mounted by FUSE: it loses power, fails, fills up, and is pulled out.
//!
//! The program under test sees a folder. Behind it [`image`] keeps what was written apart from what
//! was synced, [`crash`] decides what a power cut leaves, [`fault`] which calls fail, and [`serve`]
//! answers the kernel. Nothing is cached by the kernel, so that each call of the program arrives here.
//!
//! It is mounted with mount(2), so it takes root and `/dev/fuse`; without them there is no such disk,
//! and the test says that it is left out. FUSE counts as a network file system (D15), so the
//! catalogue works there with exclusive locking and without a write-ahead log; what needs the log is
//! tested on [`LoopDisk`](crate::LoopDisk).

mod crash;
mod fault;
mod image;
mod serve;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fuser::{BackgroundSession, Config, MountOption, SessionACL};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub use fault::{Call, Fault};
use image::Image;
use serve::Served;

/// Larger than any test.
const ENDLESS: u64 = 1 << 40;

/// A mounted disk. Dropping it unmounts it; programs that use it must have ended.
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
    session: Option<BackgroundSession>,
    folder: TempDir,
}

/// What the disk is and what awaits it.
struct State {
    image: Image,
    faults: Vec<Fault>,
    /// Changing calls so far.
    changes: u64,
    /// The power goes when so many changing calls have been done.
    cut_after: u64,
    /// The power is gone: nothing is done any more.
    is_cut: bool,
    /// The program that the power cut ends.
    victim: Option<Pid>,
    /// Calls in order, when they are wanted.
    trace: Option<Vec<String>>,
}

impl FaultyDisk {
    /// An empty disk; `None`, and a line on standard error, where it cannot be mounted.
    #[must_use]
    pub fn mount() -> Option<Self> {
        Self::with_capacity(ENDLESS)
    }

    /// An empty disk of so many bytes.
    ///
    /// # Panics
    /// When it should be possible to mount it, and fails.
    #[must_use]
    pub fn with_capacity(bytes: u64) -> Option<Self> {
        if !Path::new("/dev/fuse").exists() || !rustix::process::geteuid().is_root() {
            #[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
            {
                eprintln!("no /dev/fuse, or not root: what needs a failing disk is not tested");
            }
            return None;
        }
        let state = State {
            image: Image::new(bytes),
            faults: Vec::new(),
            changes: 0,
            cut_after: u64::MAX,
            is_cut: false,
            victim: None,
            trace: None,
        };
        let folder = TempDir::with_prefix("faulty-disk-").expect("a folder can be made");
        let mut disk = Self { state: Arc::new(Mutex::new(state)), session: None, folder };
        disk.attach();
        Some(disk)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// A path on it.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn attach(&mut self) {
        let mut config = Config::default();
        let name = MountOption::FSName("restante-test".to_owned());
        config.mount_options = vec![name, MountOption::DefaultPermissions, MountOption::NoAtime];
        config.acl = SessionACL::All;
        let served = Served(Arc::clone(&self.state));
        let session = fuser::spawn_mount(served, self.folder.path(), &config);
        self.session = Some(session.expect("a FUSE file system can be mounted"));
    }

    fn detach(&mut self) {
        if let Some(session) = self.session.take() {
            session.umount_and_join().expect("nobody uses the disk any more");
        }
    }

    /// Adds a fault.
    pub fn fail(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// All faults are over.
    pub fn heal(&self) {
        self.state().faults.clear();
    }

    /// Changing calls (writes, syncs, new names) since the last power cut.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Begins to note calls, for a person who looks for a fault.
    pub fn trace(&self) {
        self.state().trace = Some(Vec::new());
    }

    /// The calls noted since, each `kind path`.
    #[must_use]
    pub fn traced(&self) -> Vec<String> {
        self.state().trace.take().unwrap_or_default()
    }

    /// The power will go when so many more changing calls have been done.
    pub fn cut_after(&self, changes: u64) {
        let mut state = self.state();
        state.cut_after = state.changes + changes;
    }

    /// Whom the power cut ends, too. If it has come already, at once.
    pub fn power(&self, process: u32) {
        let mut state = self.state();
        state.victim = i32::try_from(process).ok().and_then(Pid::from_raw);
        if state.is_cut {
            state.end_victim();
        }
    }

    /// Whether the power has gone.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.state().is_cut
    }

    /// Cuts the power if it has not gone yet, and switches it on again: the disk is mounted anew with
    /// what this seed's cut leaves. Faults stay. Nobody may be using it.
    pub fn power_cut(&mut self, seed: u64) {
        self.detach();
        {
            let mut state = self.state();
            crash::power_cut(&mut state.image, seed);
            (state.is_cut, state.changes, state.cut_after, state.victim) = (false, 0, u64::MAX, None);
        }
        self.attach();
    }

    /// Another capacity from now on.
    pub fn set_capacity(&self, bytes: u64) {
        self.state().image.capacity = bytes;
    }

    /// Bytes that are free.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        self.state().image.free()
    }
}

impl Drop for FaultyDisk {
    fn drop(&mut self) {
        self.state().faults.clear();
        // Where a program still has it open (a test has failed), the mount goes with the process.
        if let Some(session) = self.session.take() {
            let _ = session.umount_and_join();
        }
    }
}

impl State {
    fn end_victim(&mut self) {
        if let Some(victim) = self.victim.take() {
            // It may have ended by itself.
            let _ = kill_process(victim, Signal::KILL);
        }
    }
}
