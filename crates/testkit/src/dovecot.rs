//! A real Dovecot on loopback, private to one test.
//!
//! It runs from a temporary folder on ports of its own, as root or as an ordinary user, takes any
//! user name with the password [`PASSWORD`], and keeps mail in Maildirs that a test may also write
//! to directly. It is stopped and removed when dropped.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::certificates::Certificates;
use crate::judge::Judge;

/// The password of every user.
pub const PASSWORD: &str = "pass";

/// How long a start may take before it is an error.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// Another process may take a free port before Dovecot does; then other ports are tried.
const START_ATTEMPTS: u32 = 5;

/// What kind of Dovecot to start.
#[derive(Clone, Debug)]
pub struct Options {
    /// The hierarchy delimiter of the namespace.
    pub separator: char,
    /// The namespace's prefix, such as `INBOX.`.
    pub prefix: String,
    /// More lines for the configuration, such as `imap_capability = …`.
    pub extra: String,
}

impl Default for Options {
    fn default() -> Self {
        Self { separator: '/', prefix: String::new(), extra: String::new() }
    }
}

impl Options {
    /// Offers these capabilities only (RFC 9051 §7.2.2), whatever this Dovecot can do.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: &str) -> Self {
        let _ = writeln!(self.extra, "imap_capability = {capabilities}");
        self
    }
}

/// A running Dovecot.
pub struct Dovecot {
    folder: tempfile::TempDir,
    ports: Ports,
    certificates: Certificates,
    owner: Option<(u32, u32)>,
}

#[derive(Clone, Copy, Debug)]
struct Ports {
    imap: u16,
    imaps: u16,
}

impl Dovecot {
    /// Starts one, or says on standard error that there is none and returns `None`: the test is then
    /// left out.
    ///
    /// # Panics
    /// When Dovecot is installed and does not start; the message holds its log.
    #[must_use]
    pub fn start(options: &Options) -> Option<Self> {
        let Some(program) = find_program() else {
            report("left out: this test needs Dovecot (apt-get install dovecot-imapd)");
            return None;
        };
        for _ in 0..START_ATTEMPTS {
            match Self::try_start(&program, options) {
                Ok(dovecot) => return Some(dovecot),
                Err(error) => report(&format!("Dovecot did not start, trying other ports: {error}")),
            }
        }
        panic!("Dovecot is installed and does not start");
    }

    fn try_start(program: &Path, options: &Options) -> io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("restante-dovecot-").tempdir()?;
        // Dovecot's own users must be able to reach the mail below it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
        let certificates = Certificates::for_localhost();
        fs::write(folder.path().join("cert.pem"), &certificates.server_chain)?;
        fs::write(folder.path().join("key.pem"), &certificates.server_key)?;
        let owner = mail_owner(folder.path())?;
        for name in ["run", "state", "mail"] {
            fs::create_dir(folder.path().join(name))?;
        }
        let ports = Ports { imap: free_port()?, imaps: free_port()? };
        let dovecot = Self { folder, ports, certificates, owner };
        dovecot.give_to_mail_user(&dovecot.path("mail"))?;
        let configuration = dovecot.configuration(options);
        fs::write(dovecot.path("dovecot.conf"), configuration)?;
        let status = Command::new(program)
            .arg("-c")
            .arg(dovecot.path("dovecot.conf"))
            .stdin(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(io::Error::other(format!("{status}: {}", dovecot.log())));
        }
        dovecot.wait_until_it_answers()?;
        Ok(dovecot)
    }

    /// The port for plain IMAP and STARTTLS.
    #[must_use]
    pub fn imap_port(&self) -> u16 {
        self.ports.imap
    }

    /// The port for IMAP over TLS.
    #[must_use]
    pub fn imaps_port(&self) -> u16 {
        self.ports.imaps
    }

    /// A file with the authority that signed the server's certificate, for `tls_ca_file`.
    ///
    /// # Panics
    /// When it cannot be written.
    #[must_use]
    pub fn authority_file(&self) -> PathBuf {
        let path = self.path("ca.pem");
        fs::write(&path, &self.certificates.authority).expect("the test's own folder can be written");
        path
    }

    /// A connection that is logged in as this user.
    #[must_use]
    pub fn judge(&self, user: &str) -> Judge {
        Judge::login(self.ports.imap, user, PASSWORD)
    }

    /// The Maildir of a user's INBOX; folders are `.Name` below it.
    #[must_use]
    pub fn maildir(&self, user: &str) -> PathBuf {
        self.path("mail").join(user).join("Maildir")
    }

    /// Puts a message into a Maildir as it is, without a server in between that could refuse or
    /// change it. `folder` is empty for INBOX, else Dovecot's name on disk, such as `.Archive`.
    /// `name` must be unique in the folder.
    ///
    /// # Panics
    /// When the file cannot be written.
    pub fn deliver(&self, user: &str, folder: &str, name: &str, flags: &str, bytes: &[u8]) {
        let maildir = self.maildir(user).join(folder);
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(maildir.join(part)).expect("the mail folder can be written");
        }
        let file = maildir.join("cur").join(format!("{name}:2,{flags}"));
        fs::write(file, bytes).expect("the mail folder can be written");
        self.give_to_mail_user(&self.path("mail").join(user)).expect("root may give files away");
    }

    /// Makes Dovecot forget the UIDs of a folder, so that it gives new ones under a new UIDVALIDITY.
    ///
    /// # Panics
    /// When its index files cannot be removed.
    pub fn forget_uids(&self, user: &str, folder: &str) {
        let maildir = self.maildir(user).join(folder);
        for entry in fs::read_dir(&maildir).expect("the folder is there") {
            let path = entry.expect("the folder can be read").path();
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            if name.starts_with("dovecot.index") || name == "dovecot-uidlist" || name == "dovecot.list.index"
            {
                fs::remove_file(&path).expect("an index file can be removed");
            }
        }
        // The new UIDVALIDITY is taken from a counter at the root, or else from the clock.
        let counter = self.maildir(user);
        for entry in fs::read_dir(&counter).expect("the maildir is there") {
            let path = entry.expect("the maildir can be read").path();
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
            if name.starts_with("dovecot.list.index") {
                fs::remove_file(&path).expect("an index file can be removed");
            }
        }
    }

    /// What Dovecot has logged.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("dovecot.log")).unwrap_or_default()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configuration(&self, options: &Options) -> String {
        let folder = self.folder.path().display();
        let (uid, gid) = self.owner.unwrap_or_else(|| own_ids(self.folder.path()).unwrap_or((0, 0)));
        let Ports { imap, imaps } = self.ports;
        let Options { separator, prefix, extra } = options;
        let unprivileged = if self.owner.is_some() { String::new() } else { unprivileged_lines() };
        format!(
            "base_dir = {folder}/run\nstate_dir = {folder}/state\nlog_path = {folder}/dovecot.log\n\
             protocols = imap\nlisten = 127.0.0.1\n\
             ssl = yes\nssl_cert = <{folder}/cert.pem\nssl_key = <{folder}/key.pem\n\
             disable_plaintext_auth = no\nauth_mechanisms = plain login\n\
             mail_location = maildir:%h/Maildir\nmail_uid = {uid}\nmail_gid = {gid}\n\
             first_valid_uid = 1\nfirst_valid_gid = 1\nmail_fsync = never\nmail_max_userip_connections = 200\n\
             namespace inbox {{\n  inbox = yes\n  separator = {separator}\n  prefix = {prefix}\n}}\n\
             passdb {{\n  driver = static\n  args = password={PASSWORD}\n}}\n\
             userdb {{\n  driver = static\n  args = uid={uid} gid={gid} home={folder}/mail/%u\n}}\n\
             service imap-login {{\n  inet_listener imap {{\n    port = {imap}\n  }}\n  \
             inet_listener imaps {{\n    port = {imaps}\n    ssl = yes\n  }}\n}}\n{unprivileged}{extra}"
        )
    }

    fn wait_until_it_answers(&self) -> io::Result<()> {
        let deadline = Instant::now() + START_PATIENCE;
        while TcpStream::connect(("127.0.0.1", self.ports.imap)).is_err() {
            if Instant::now() > deadline {
                return Err(io::Error::other(format!("it does not listen: {}", self.log())));
            }
            std::thread::yield_now();
        }
        Ok(())
    }

    fn give_to_mail_user(&self, path: &Path) -> io::Result<()> {
        let Some((uid, gid)) = self.owner else { return Ok(()) };
        let mut folders = vec![path.to_owned()];
        while let Some(path) = folders.pop() {
            chown(&path, Some(uid), Some(gid))?;
            if path.is_dir() {
                for entry in fs::read_dir(path)? {
                    folders.push(entry?.path());
                }
            }
        }
        Ok(())
    }
}

impl Drop for Dovecot {
    fn drop(&mut self) {
        let pid = fs::read_to_string(self.path("run/master.pid")).unwrap_or_default();
        if !pid.trim().is_empty() {
            // If it is gone already, there is nothing to stop.
            let _ = Command::new("kill").arg(pid.trim()).stderr(Stdio::null()).status();
        }
    }
}

fn find_program() -> Option<PathBuf> {
    ["/usr/sbin/dovecot", "/usr/local/sbin/dovecot"].iter().map(PathBuf::from).find(|path| path.exists())
}

/// The user and group that mail belongs to, or `None` when we are not root and cannot choose.
/// Dovecot refuses to serve mail as root.
fn mail_owner(own_folder: &Path) -> io::Result<Option<(u32, u32)>> {
    if own_ids(own_folder)?.0 != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    Ok(ids("mail").or_else(|| ids("nobody")))
}

fn own_ids(own_folder: &Path) -> io::Result<(u32, u32)> {
    fs::metadata(own_folder).map(|own| (own.uid(), own.gid()))
}

/// Without root there are no other users to run its parts as, and no chroot.
fn unprivileged_lines() -> String {
    let name = |flag: &str| {
        let output = Command::new("id").arg(flag).output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    let (user, group) = (name("-un"), name("-gn"));
    let mut lines = format!(
        "default_internal_user = {user}\ndefault_internal_group = {group}\ndefault_login_user = {user}\n"
    );
    for service in ["anvil", "imap-login", "stats"] {
        let _ = writeln!(lines, "service {service} {{\n  chroot =\n}}");
    }
    lines
}

fn free_port() -> io::Result<u16> {
    TcpListener::bind("127.0.0.1:0")?.local_addr().map(|address| address.port())
}

#[expect(clippy::print_stderr, reason = "a test that is left out must be seen to be")]
fn report(text: &str) {
    eprintln!("{text}");
}
