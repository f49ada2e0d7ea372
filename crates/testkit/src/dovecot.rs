//! A real Dovecot 2.3 on loopback, private to one test: its own folder, ports, certificates, users.
//!
//! Any user name logs in with the password `pass`; mail lies in Maildir++ below the folder. It works
//! for root (mail then belongs to `nobody`) and for any other user (who then owns everything).
//! Mail can be put in place behind the server's back by writing Maildir files.
//!
//! Dovecot sends every line end as CRLF: a message delivered with a bare LF comes back with CRLF.
//!
//! It speaks POP3 too, over the INBOX of the same users, where that part of Dovecot is installed.

mod config;
mod maildir;
mod options;
mod owner;

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use message::{Flags, InternalDate};
use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::imap::Imap;
use crate::mail::Mail;
use crate::pop3::Pop3;
use crate::service::{Service, find, free_ports, left_out};

pub use options::Options;
use owner::Owner;

/// Debian has it in a package of its own, dovecot-pop3d.
const POP3_PROGRAM: &str = "/usr/lib/dovecot/pop3";

/// The password of every user.
const PASSWORD: &str = "pass";

/// A running Dovecot. Dropping it stops it and removes its folder.
pub struct Dovecot {
    // In this order: its processes end before their folder goes.
    service: Option<Service>,
    folder: TempDir,
    program: PathBuf,
    options: Options,
    ports: Ports,
    speaks_pop3: bool,
    owner: Owner,
    certificates: Certificates,
    delivered: u64,
}

/// Where it listens.
#[derive(Debug, Clone, Copy)]
struct Ports {
    imap: SocketAddr,
    imaps: SocketAddr,
    pop3: SocketAddr,
    pop3s: SocketAddr,
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
        for name in ["run", "state", "mail", "sessions"] {
            fs::create_dir(path.join(name)).expect("the folder is ours");
        }
        owner.give(&path.join("mail"));
        owner.give(&path.join("sessions"));
        let identity = options.identity.as_ref().unwrap_or(&certificates.good);
        fs::write(path.join("cert.pem"), &identity.certificate).expect("the folder is ours");
        fs::write(path.join("key.pem"), &identity.key).expect("the folder is ours");
        let [imap, imaps, pop3, pop3s] = free_ports();
        let ports = Ports { imap, imaps, pop3, pop3s };
        let speaks_pop3 = Path::new(POP3_PROGRAM).is_file();
        let service = Some(start(program, path, ports, speaks_pop3, owner, options)?);
        let (program, options, certificates) = (program.to_owned(), options.clone(), certificates.clone());
        let delivered = 0;
        Ok(Self { service, folder, program, options, ports, speaks_pop3, owner, certificates, delivered })
    }

    /// Where it speaks plain IMAP, and TLS after STARTTLS.
    #[must_use]
    pub fn plain(&self) -> SocketAddr {
        self.ports.imap
    }

    /// Where it speaks TLS from the first octet.
    #[must_use]
    pub fn encrypted(&self) -> SocketAddr {
        self.ports.imaps
    }

    /// Where it speaks plain POP3, and TLS after STLS; `None`, and a line on standard error, where
    /// Dovecot's POP3 is not installed.
    #[must_use]
    pub fn pop3(&self) -> Option<SocketAddr> {
        if !self.speaks_pop3 {
            left_out("no dovecot-pop3d is installed: what needs it is not tested");
        }
        self.speaks_pop3.then_some(self.ports.pop3)
    }

    /// Where it speaks POP3 over TLS from the first octet; `None` as for [`Dovecot::pop3`].
    #[must_use]
    pub fn pop3s(&self) -> Option<SocketAddr> {
        self.pop3().map(|_| self.ports.pop3s)
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
        Imap::login(self.ports.imap, user, PASSWORD)
    }

    /// A POP3 connection of the judge, logged in as this user.
    ///
    /// # Panics
    /// Where Dovecot's POP3 is not installed.
    #[must_use]
    pub fn pop3_session(&self, user: &str) -> Pop3 {
        Pop3::login(self.pop3().expect("dovecot-pop3d is installed"), user, PASSWORD)
    }

    /// What POP3 clients have sent after their logins: the commands of each session, in the order
    /// of their first ones.
    ///
    /// # Panics
    /// When the files cannot be read.
    #[must_use]
    pub fn pop3_commands(&self) -> Vec<Vec<String>> {
        let entries = fs::read_dir(self.folder.path().join("sessions")).expect("the folder is ours");
        let files = entries.map(|entry| entry.expect("a file").path());
        let heard = files.filter(|file| file.extension().is_some_and(|extension| extension == "in"));
        // Before each line stands when it came.
        let mut sessions: Vec<Vec<(String, String)>> = heard
            .map(|file| {
                let octets = fs::read(file).expect("what Dovecot has written can be read");
                let text = String::from_utf8_lossy(&octets);
                let lines = text.lines().filter_map(|line| line.split_once(' '));
                lines.map(|(time, command)| (time.to_owned(), command.to_owned())).collect()
            })
            .collect();
        sessions.retain(|session| !session.is_empty());
        sessions.sort();
        sessions
            .into_iter()
            .map(|session| session.into_iter().map(|(_, command)| command).collect())
            .collect()
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
        self.restart();
    }

    /// Makes POP3 unique-ids of something else from now on: all of them change. Dovecot is started
    /// anew.
    ///
    /// # Panics
    /// When it does not start again.
    pub fn set_uidl_format(&mut self, format: &str) {
        self.options.uidl_format = Some(format.to_owned());
        self.restart();
    }

    /// Starts Dovecot anew, where it was: all connections end.
    ///
    /// # Panics
    /// When it does not start again.
    pub fn restart(&mut self) {
        // Its ports must be free before the next one wants them.
        self.service = None;
        let path = self.folder.path();
        let service = start(&self.program, path, self.ports, self.speaks_pop3, self.owner, &self.options);
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

/// Configures and starts one in this folder, on these ports.
fn start(
    program: &Path,
    folder: &Path,
    ports: Ports,
    speaks_pop3: bool,
    owner: Owner,
    options: &Options,
) -> Result<Service, String> {
    let text = config::text(folder, ports, speaks_pop3, owner, options);
    fs::write(folder.join("dovecot.conf"), text).expect("the folder is ours");
    let mut command = Command::new(program);
    command.args(["-F", "-c"]).arg(folder.join("dovecot.conf"));
    let logs = ["stderr", "dovecot.log"].map(|name| folder.join(name));
    Service::start(command, ports.imap, [&logs[0], &logs[1]])
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
