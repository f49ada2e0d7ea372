//! A mail server's processes: found, started in a group of their own, waited for, ended.
//!
//! What the real servers of the tests have in common. A server is ready when it greets; ports that
//! were free may be taken before it has them, so that a start is tried some times. The end is
//! SIGKILL to the whole group: the server's folder goes, too, so that an orderly end, which takes
//! seconds, would serve nobody.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use rustix::process::{Pid, Signal, kill_process_group};

/// Starting takes well below a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ports found free may be taken by others before the server has them.
const ATTEMPTS: usize = 5;

/// A running server. Dropping it ends all that it has started.
pub(crate) struct Service {
    master: Child,
}

impl Service {
    /// Tries some times to start a server; each attempt has ports of its own.
    ///
    /// # Panics
    /// When none of them works; what they said is in the message.
    pub(crate) fn try_some_times<T>(name: &str, mut attempt: impl FnMut() -> Result<T, String>) -> T {
        let mut failures = String::new();
        for _ in 0..ATTEMPTS {
            match attempt() {
                Ok(started) => return started,
                Err(failure) => failures.push_str(&failure),
            }
        }
        panic!("{name} does not start:\n{failures}");
    }

    /// Starts the server and waits until it greets at this address.
    ///
    /// # Errors
    /// When it ends or says nothing for too long: what stands in `logs`, the first of which gets its
    /// standard error.
    pub(crate) fn start(mut command: Command, address: SocketAddr, logs: [&Path; 2]) -> Result<Self, String> {
        let errors = fs::File::create(logs[0]).expect("the server's folder is ours");
        command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(errors);
        let mut service = Self { master: command.spawn().expect("the server can be run") };
        let began = Instant::now();
        while let Some(failure) = not_ready(address) {
            let ended = service.master.try_wait().expect("the master is our child").is_some();
            if ended || began.elapsed() > PATIENCE {
                let told = logs.map(|log| fs::read_to_string(log).unwrap_or_default());
                return Err(format!("{failure}\n{}\n", told.join("\n")));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(service)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.master.id()).ok().and_then(Pid::from_raw) {
            // They may have ended by themselves.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.master.wait();
    }
}

/// Looks for a program also where those of the system's administration are, which often are not in
/// a user's path.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Addresses on loopback whose ports nobody uses now.
pub(crate) fn free_ports<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free"));
    listeners.map(|listener| listener.local_addr().expect("a listener has an address"))
}

/// The numbers of a user and of its first group.
pub(crate) fn account(name: &str) -> Option<(u32, u32)> {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = accounts.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut numbers = line.split(':').skip(2).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Says on standard error that something is not tested.
pub(crate) fn left_out(why: &str) {
    #[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
    {
        eprintln!("{why}");
    }
}

/// `None` when the server has greeted.
fn not_ready(address: SocketAddr) -> Option<io::Error> {
    let greeted = || {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let mut greeting = [0; 4];
        io::Read::read_exact(&mut stream, &mut greeting)?;
        Ok(())
    };
    greeted().err()
}
