//! A real Dovecot 2.3 on loopback, private to one test: its own folder, ports, certificates, users.
//!
//! Any user name logs in with the password `pass`; mail lies in Maildir++ below the folder. It works
//! for root (mail then belongs to `nobody`) and for any other user (who then owns everything).
//! Mail can be put in place behind the server's back by writing Maildir files.
//!
//! Dovecot sends every line end as CRLF: a message delivered with a bare LF comes back with CRLF.

mod config;
mod maildir;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use message::{Flags, InternalDate};
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use crate::certificates::{Certificates, Identity};
use crate::imap::Imap;
use crate::mail::Mail;

/// Starting takes well below a second on an idle machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Ports found free may be taken by others before Dovecot has them.
const ATTEMPTS: usize = 5;

/// The password of every user.
const PASSWORD: &str = "pass";

/// What kind of Dovecot; see [`Dovecot::start`].
#[derive(Debug, Clone)]
pub struct Options {
    separator: char,
    prefix: String,
    identity: Option<Identity>,
    extra: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self { separator: '/', prefix: String::new(), identity: None, extra: Vec::new() }
    }
}

impl Options {
    /// The hierarchy delimiter that clients see; `/` otherwise.
    #[must_use]
    pub fn separator(mut self, separator: char) -> Self {
        self.separator = separator;
        self
    }

    /// The prefix of the personal namespace, such as `INBOX.`; none otherwise.
    #[must_use]
    pub fn prefix(mut self, prefix: &str) -> Self {
        prefix.clone_into(&mut self.prefix);
        self
    }

    /// The certificate shown; a good one of its own otherwise.
    #[must_use]
    pub fn identity(mut self, identity: &Identity) -> Self {
        self.identity = Some(identity.clone());
        self
    }

    /// Lines for the configuration, after all others.
    #[must_use]
    pub fn extra(mut self, lines: &str) -> Self {
        self.extra.push(lines.to_owned());
        self
    }
}

/// A running Dovecot. Dropping it stops it and removes its folder.
pub struct Dovecot {
    folder: TempDir,
    master: Child,
    plain: SocketAddr,
    encrypted: SocketAddr,
    owner: Owner,
    certificates: Certificates,
    delivered: u64,
}

/// To whom the mail belongs.
#[derive(Debug, Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
    is_root: bool,
}

impl Dovecot {
    /// Starts it and waits until it answers; `None`, and a line on standard error, when no Dovecot is
    /// installed.
    ///
    /// # Panics
    /// When there is one and it does not start; its log is in the message.
    #[must_use]
    pub fn start(options: Options) -> Option<Self> {
        let Some(program) = find("dovecot") else {
            #[expect(clippy::print_stderr, reason = "a test that does not run must say so")]
            {
                eprintln!("no Dovecot is installed: what needs it is not tested");
            }
            return None;
        };
        let certificates = Certificates::new();
        let mut failures = String::new();
        for _ in 0..ATTEMPTS {
            match Self::attempt(&program, &options, &certificates) {
                Ok(dovecot) => return Some(dovecot),
                Err(failure) => failures.push_str(&failure),
            }
        }
        panic!("Dovecot does not start:\n{failures}");
    }

    fn attempt(program: &Path, options: &Options, certificates: &Certificates) -> Result<Self, String> {
        let folder = TempDir::with_prefix("dovecot-").expect("a folder can be made");
        let owner = Owner::of(folder.path());
        let path = folder.path();
        // Root's Dovecot works for other users, who must get through to their mail.
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the folder is ours");
        for name in ["run", "state", "mail"] {
            fs::create_dir(path.join(name)).expect("the folder is ours");
        }
        owner.give(&path.join("mail"));
        let identity = options.identity.as_ref().unwrap_or(&certificates.good);
        fs::write(path.join("cert.pem"), &identity.certificate).expect("the folder is ours");
        fs::write(path.join("key.pem"), &identity.key).expect("the folder is ours");
        let [plain, encrypted] = free_ports();
        let text = config::text(path, plain.port(), encrypted.port(), owner, options);
        fs::write(path.join("dovecot.conf"), text).expect("the folder is ours");
        let mut master = Command::new(program)
            .args(["-F", "-c"])
            .arg(path.join("dovecot.conf"))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(path.join("stderr")).expect("the folder is ours"))
            .spawn()
            .expect("Dovecot can be run");
        let began = Instant::now();
        while let Some(failure) = not_ready(plain) {
            let ended = master.try_wait().expect("the master is our child").is_some();
            if ended || began.elapsed() > PATIENCE {
                stop(&mut master);
                let told = ["stderr", "dovecot.log"]
                    .map(|name| fs::read_to_string(path.join(name)).unwrap_or_default());
                return Err(format!("{failure}\n{}\n", told.join("\n")));
            }
            thread::sleep(Duration::from_millis(10));
        }
        let certificates = certificates.clone();
        Ok(Self { folder, master, plain, encrypted, owner, certificates, delivered: 0 })
    }

    /// Where it speaks plain IMAP, and TLS after STARTTLS.
    #[must_use]
    pub fn plain(&self) -> SocketAddr {
        self.plain
    }

    /// Where it speaks TLS from the first octet.
    #[must_use]
    pub fn encrypted(&self) -> SocketAddr {
        self.encrypted
    }

    /// The certificates made for it; its authority is what a client should trust.
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// A file with the authority in PEM, for configurations.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn authority_file(&self) -> PathBuf {
        let file = self.folder.path().join("authority.pem");
        fs::write(&file, &self.certificates.authority).expect("the folder is ours");
        file
    }

    /// The password of every user.
    #[must_use]
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// What Dovecot has logged so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("dovecot.log")).unwrap_or_default()
    }

    /// The user's Maildir; it is there after the first login or delivery.
    #[must_use]
    pub fn maildir(&self, user: &str) -> PathBuf {
        self.folder.path().join("mail").join(user).join("Maildir")
    }

    /// A connection of the judge, logged in as this user.
    #[must_use]
    pub fn imap(&self, user: &str) -> Imap {
        Imap::login(self.plain, user, PASSWORD)
    }

    /// Puts a message into a folder (`/` between the levels, whatever clients see) without asking the
    /// server. At most 26 keywords in a folder, as Dovecot has it.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn deliver(&mut self, user: &str, folder: &str, flags: &Flags, date: &InternalDate, bytes: &[u8]) {
        self.delivered += 1;
        let number = self.delivered;
        let base = self.maildir(user);
        maildir::deliver(&base, folder, number, flags, date, bytes)
            .and_then(|()| self.owner.give_all(&self.folder.path().join("mail").join(user)))
            .expect("mail can be delivered");
    }

    /// Delivers a whole mailbox; gives the number of messages.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn fill(&mut self, user: &str, mail: &Mail) -> usize {
        let base = self.maildir(user);
        let mut count = 0;
        for sample in mail.messages() {
            self.delivered += 1;
            count += 1;
            maildir::deliver(
                &base,
                &sample.folder,
                self.delivered,
                &sample.flags,
                &sample.date,
                &sample.bytes,
            )
            .expect("mail can be delivered");
        }
        let home = self.folder.path().join("mail").join(user);
        self.owner.give_all(&home).expect("the mail is ours to give");
        count
    }

    /// Makes Dovecot forget a folder's UIDs, as a restored or rebuilt server does: the next client
    /// sees another UIDVALIDITY and other UIDs. Nobody may have the folder open.
    ///
    /// # Panics
    /// When its files cannot be removed.
    pub fn new_uidvalidity(&self, user: &str, folder: &str) {
        let dir = maildir::folder_path(&self.maildir(user), folder);
        // The indexes of INBOX list all folders; those of the others stay.
        for entry in fs::read_dir(&dir).expect("the folder is there") {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let forgets = name == "dovecot-uidlist"
                || name.starts_with("dovecot.index")
                || (folder == "INBOX" && name.starts_with("dovecot.list.index"));
            if forgets {
                fs::remove_file(&path).expect("the file is ours to remove");
            }
        }
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        stop(&mut self.master);
    }
}

/// Ends the master and all that it has started, at once: its folder goes, too, so that an orderly
/// end, which takes seconds, would serve nobody.
fn stop(master: &mut Child) {
    if let Some(group) = i32::try_from(master.id()).ok().and_then(Pid::from_raw) {
        // They may have ended by themselves.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = master.wait();
}

impl Owner {
    /// Whoever owns a folder just made is who runs this.
    fn of(folder: &Path) -> Self {
        let made = fs::metadata(folder).expect("the folder is there");
        if made.uid() != 0 {
            return Self { uid: made.uid(), gid: made.gid(), is_root: false };
        }
        let (uid, gid) = nobody();
        Self { uid, gid, is_root: true }
    }

    fn give(self, path: &Path) {
        if self.is_root {
            chown(path, Some(self.uid), Some(self.gid)).expect("root may give files away");
        }
    }

    fn give_all(self, folder: &Path) -> io::Result<()> {
        if !self.is_root {
            return Ok(());
        }
        let mut left = vec![folder.to_owned()];
        while let Some(path) = left.pop() {
            let known = fs::symlink_metadata(&path)?;
            if known.uid() != self.uid {
                chown(&path, Some(self.uid), Some(self.gid))?;
            }
            if known.is_dir() {
                for entry in fs::read_dir(&path)? {
                    left.push(entry?.path());
                }
            }
        }
        Ok(())
    }
}

/// The user that owns nothing, as this system numbers it.
fn nobody() -> (u32, u32) {
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let line = accounts.lines().find(|line| line.starts_with("nobody:")).unwrap_or_default();
    let mut numbers = line.split(':').skip(2).map(str::parse);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(uid)), Some(Ok(gid))) => (uid, gid),
        _ => (65_534, 65_534),
    }
}

/// Programs of the system's administration are often not in a user's path.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders =
        std::env::split_paths(&path).chain(["/usr/sbin", "/usr/local/sbin", "/sbin"].map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

fn free_ports() -> [SocketAddr; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free"));
    listeners.map(|listener| listener.local_addr().expect("a listener has an address"))
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
