//! A real Dovecot 2.3 on loopback, private to one test: its own folder, ports, certificates, users.
//!
//! Any user name logs in with the password `pass`; mail lies in Maildir++ below the folder. It works
//! for root (mail then belongs to `nobody`) and for any other user (who then owns everything).
//! Mail can be put in place behind the server's back by writing Maildir files.
//!
//! Dovecot sends every line end as CRLF: a message delivered with a bare LF comes back with CRLF.

mod config;
mod maildir;

use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use message::{Flags, InternalDate};
use tempfile::TempDir;

use crate::certificates::{Certificates, Identity};
use crate::imap::Imap;
use crate::mail::Mail;
use crate::service::{Service, account, find, free_ports, left_out};

/// The password of every user.
const PASSWORD: &str = "pass";

/// The user that owns nothing, where the system does not say which number it has.
const NOBODY: (u32, u32) = (65_534, 65_534);

/// What kind of Dovecot; see [`Dovecot::start`].
#[derive(Debug, Clone)]
pub struct Options {
    separator: char,
    prefix: String,
    identity: Option<Identity>,
    mailboxes: Vec<(String, String)>,
    mbox: bool,
    quota_bytes: Option<u64>,
    extra: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            separator: '/',
            prefix: String::new(),
            identity: None,
            mailboxes: Vec::new(),
            mbox: false,
            quota_bytes: None,
            extra: Vec::new(),
        }
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

    /// A folder that every user has from the start, with a special use such as `\Sent`; its name is
    /// ASCII.
    #[must_use]
    pub fn special_folder(mut self, name: &str, special_use: &str) -> Self {
        self.mailboxes.push((name.to_owned(), special_use.to_owned()));
        self
    }

    /// The special folders as a server in a German office calls them.
    #[must_use]
    pub fn german_special_folders(self) -> Self {
        self.special_folder("Gesendet", "\\Sent")
            .special_folder("Papierkorb", "\\Trash")
            .special_folder("Entwurf", "\\Drafts")
            .special_folder("Spamverdacht", "\\Junk")
            .special_folder("Ablage", "\\Archive")
    }

    /// Mail in mbox files: what holds messages has no folders below it. Nothing can be delivered
    /// behind the server's back then.
    #[must_use]
    pub fn mbox(mut self) -> Self {
        self.mbox = true;
        self
    }

    /// What each user may store, in octets; as much as there is room for otherwise. See
    /// [`Dovecot::set_quota`].
    #[must_use]
    pub fn quota(mut self, bytes: u64) -> Self {
        self.quota_bytes = Some(bytes);
        self
    }

    /// Keywords longer than this are refused; Dovecot's own limit is 50.
    #[must_use]
    pub fn longest_keyword(self, octets: u32) -> Self {
        self.extra(&format!("mail_max_keyword_length = {octets}"))
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
    // In this order: its processes end before their folder goes.
    service: Option<Service>,
    folder: TempDir,
    program: PathBuf,
    options: Options,
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
            left_out("no Dovecot is installed: what needs it is not tested");
            return None;
        };
        let certificates = Certificates::new();
        let attempt = || Self::attempt(&program, &options, &certificates);
        Some(Service::try_some_times("Dovecot", attempt))
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
        let service = Some(start(program, path, [plain, encrypted], owner, options)?);
        let (program, options, certificates) = (program.to_owned(), options.clone(), certificates.clone());
        Ok(Self { service, folder, program, options, plain, encrypted, owner, certificates, delivered: 0 })
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

    /// Gives each user another quota, in octets. Dovecot is started anew: all connections end.
    ///
    /// # Panics
    /// When it was not started with [`Options::quota`], or does not start again.
    pub fn set_quota(&mut self, bytes: u64) {
        assert!(self.options.quota_bytes.is_some(), "this Dovecot has no quota");
        self.options.quota_bytes = Some(bytes);
        // Its ports must be free before the next one wants them.
        self.service = None;
        let path = self.folder.path();
        let ports = [self.plain, self.encrypted];
        let service = start(&self.program, path, ports, self.owner, &self.options);
        self.service =
            Some(service.unwrap_or_else(|failure| panic!("Dovecot does not start again: {failure}")));
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

/// Configures and starts one in this folder, on these ports: plain and encrypted.
fn start(
    program: &Path,
    folder: &Path,
    [plain, encrypted]: [SocketAddr; 2],
    owner: Owner,
    options: &Options,
) -> Result<Service, String> {
    let text = config::text(folder, plain.port(), encrypted.port(), owner, options);
    fs::write(folder.join("dovecot.conf"), text).expect("the folder is ours");
    let mut command = Command::new(program);
    command.args(["-F", "-c"]).arg(folder.join("dovecot.conf"));
    let logs = ["stderr", "dovecot.log"].map(|name| folder.join(name));
    Service::start(command, plain, [&logs[0], &logs[1]])
}

impl Owner {
    /// Whoever owns a folder just made is who runs this.
    fn of(folder: &Path) -> Self {
        let made = fs::metadata(folder).expect("the folder is there");
        if made.uid() != 0 {
            return Self { uid: made.uid(), gid: made.gid(), is_root: false };
        }
        let (uid, gid) = account("nobody").unwrap_or(NOBODY);
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use super::*;

    #[test]
    fn a_quota_holds_and_can_be_raised() {
        let Some(mut dovecot) = Dovecot::start(Options::default().quota(20 << 10)) else { return };
        let date = InternalDate::parse("02-Mar-2026 10:00:00 +0000");
        let letter =
            |number: u32| format!("Subject: {number}\r\n\r\n{}\r\n", "x".repeat(12_000)).into_bytes();
        dovecot.imap("anna").append("INBOX", &Flags::new(), &date, &letter(1));
        let refused = dovecot.imap("anna").try_append("INBOX", &Flags::new(), &date, &letter(2));
        assert!(refused.unwrap_err().contains("[OVERQUOTA]"));
        dovecot.set_quota(100 << 10);
        dovecot.imap("anna").append("INBOX", &Flags::new(), &date, &letter(2));
        assert_eq!(dovecot.imap("anna").count(), 2);
    }

    #[test]
    fn special_folders_are_there_under_other_names() {
        let Some(dovecot) = Dovecot::start(Options::default().german_special_folders()) else { return };
        let sent = dovecot.imap("anna").list().into_iter().find(|listed| listed.name == "Gesendet").unwrap();
        assert!(sent.attributes.iter().any(|attribute| attribute == "\\Sent"), "{sent:?}");
    }

    #[test]
    fn what_holds_messages_in_an_mbox_holds_no_folders() {
        let Some(dovecot) = Dovecot::start(Options::default().mbox()) else { return };
        let mut imap = dovecot.imap("anna");
        imap.create("both");
        assert!(imap.try_command("CREATE both/below").is_err());
    }
}
