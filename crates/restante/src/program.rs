//! Other programs, run for what they print or for what they do with what they are given.
//!
//! A program is started without a shell, in a process group of its own, with the few variables of
//! [`KEPT`] and none of our descriptors (all we open are closed on exec). It has a time to come to its
//! end, after which it is stopped with all that it has started; what it prints is bounded.

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use message::escape::escape_bytes;
use secrecy::zeroize::Zeroizing;

/// How much of what a failing program says is shown.
const MAX_COMPLAINT_BYTES: u64 = 1024;

/// What of our environment a program gets: enough for pass, gpg and secret-tool.
const KEPT: [&str; 12] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "LANG",
    "LC_ALL",
    "XDG_RUNTIME_DIR",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
    "DBUS_SESSION_BUS_ADDRESS",
    "GNUPGHOME",
    "PASSWORD_STORE_DIR",
];

/// What may be a secret: wiped when dropped.
pub(crate) type Bytes = Zeroizing<Vec<u8>>;

/// How a program ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// What it wrote to standard output, up to the bound.
    pub(crate) printed: Bytes,
    /// What it wrote to standard error, escaped.
    pub(crate) said: String,
}

/// Why there is no end of it.
#[derive(Debug)]
pub(crate) enum NoEnd {
    /// It cannot be started.
    Start(io::Error),
    /// It took too long, and was stopped.
    Slow,
}

/// Runs a program with these arguments; `input` is what it can read, `most` how much of what it prints
/// is wanted.
///
/// # Errors
/// When it does not come to an end of its own.
pub(crate) fn run(argv: &[String], input: Vec<u8>, most: u64, limit: Duration) -> Result<Ended, NoEnd> {
    let (program, arguments) = argv.split_first().expect("checked when the configuration was read");
    let kept = KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    let stdin = if input.is_empty() { Stdio::null() } else { Stdio::piped() };
    let mut child = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(kept)
        .stdin(stdin)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .map_err(NoEnd::Start)?;
    let deadline = Instant::now() + limit;
    if let Some(mut pipe) = child.stdin.take() {
        // On a thread of its own, so that a program that reads nothing never blocks us. One that ends
        // before it has read all is judged by its exit status.
        std::thread::spawn(move || drop(pipe.write_all(&input)));
    }
    let printed = collect(child.stdout.take(), most);
    let said = collect(child.stderr.take(), MAX_COMPLAINT_BYTES);
    let finished = wait(&mut child, deadline);
    let printed = finished.and_then(|status| Some((status, receive(&printed, deadline)?)));
    let Some((status, printed)) = printed else {
        stop(&mut child);
        return Err(NoEnd::Slow);
    };
    let said = if status.success() { None } else { receive(&said, deadline) };
    let said = escape_bytes(said.unwrap_or_default().trim_ascii()).into_owned();
    Ok(Ended { status, printed, said })
}

/// Reads a pipe on a thread of its own, so that a program that fills both never blocks; what is
/// over the limit is read and dropped.
fn collect(pipe: Option<impl Read + Send + 'static>, limit: u64) -> mpsc::Receiver<Bytes> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Zeroizing::new(Vec::new());
        if let Some(mut pipe) = pipe {
            // A pipe that breaks ends like one that is closed: the exit status tells which it was.
            let _ = pipe.by_ref().take(limit).read_to_end(&mut bytes);
            let _ = sender.send(bytes);
            let _ = io::copy(&mut pipe, &mut io::sink());
        }
    });
    receiver
}

fn receive(from: &mpsc::Receiver<Bytes>, deadline: Instant) -> Option<Bytes> {
    from.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
}

fn wait(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    const LOOK_EVERY: Duration = Duration::from_millis(10);
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => std::thread::sleep(LOOK_EVERY),
            Ok(None) | Err(_) => return None,
        }
    }
}

/// Ends the command and what it has started.
fn stop(child: &mut Child) {
    let group = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(group) = group {
        // It may have ended meanwhile.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
    }
    let _ = child.wait();
}
