//! A real Cyrus IMAP server on loopback, private to one test: the other kind of server.
//!
//! Its names are those that a Debian administrator finds: the delimiter is `.`, all of a user's folders
//! lie below `INBOX.`, and nobody may make a mailbox beside that ([`Cyrus::start`]); or with
//! `altnamespace` and `/` as newer sites have it ([`Cyrus::start_alternative`]). These keep octets as they
//! are; [`Cyrus::start_munging`] replaces some, as Cyrus does when nobody tells it not to (`munge8bit`). Any user name that was added logs
//! in with any password. Nothing but IMAP runs. It needs root, for Cyrus works as the user `cyrus`.
//! Debian lets nobody install both Cyrus and Dovecot; `tests/run --full` therefore installs only what
//! they do not both provide, and puts Cyrus's `imapd` below /usr/local.
//!
//! What Cyrus 3.6 does not take, or changes, as tried:
//! * refused: messages with NUL, with a bare LF, without one octet, or whose first line is no header
//!   field; received dates before 1970; flags such as `\Recent`, `\Forwarded` or `weird!key` (BAD);
//!   more than 128 keywords in a mailbox; names with one of ``! " % / ; < > \ ` { | }``.
//! * a full mailbox and a refused keyword are told without a response code: `NO Over quota`,
//!   `NO Too many user flags in mailbox`.
//! * changed: octets over 127 in header fields become `X` (each one, with `munge8bit`); the received date of the first
//!   second of 1970 becomes now; received dates are told in the server's own time zone.
//!   An untagged `BAD` follows the refusal of a message without an octet.
//! * taken as it is: a bare CR, 8-bit bodies, no line end at the end, a header without a body.
//! * a second mailbox with the same special use is refused (`[USEATTR]`).

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::imap::Imap;
use crate::service::{Service, account, find, free_ports, left_out};

/// Any would do.
const PASSWORD: &str = "pass";

/// Who may make other users' mailboxes.
const ADMINISTRATOR: &str = "admin";

/// Where Debian has the programs that the master starts.
const PROGRAMS: &str = "/usr/lib/cyrus/bin";

/// Where the one is that speaks IMAP: Debian's own place, or where `tests/run --full` puts it.
const IMAPD: [&str; 2] = ["/usr/lib/cyrus/bin/imapd", "/usr/local/lib/cyrus/bin/imapd"];

/// A running Cyrus. Dropping it stops it and removes its folder.
pub struct Cyrus {
    // In this order: its processes end before their folder goes.
    _service: Service,
    folder: TempDir,
    address: SocketAddr,
    kind: Kind,
}

/// What kind of Cyrus.
#[derive(Debug, Clone, Copy, Default)]
struct Kind {
    /// `altnamespace` and `unixhierarchysep`.
    alternative: bool,
    /// `munge8bit`.
    munges: bool,
}

impl Kind {
    fn separator(self) -> char {
        if self.alternative { '/' } else { '.' }
    }
}

impl Cyrus {
    /// Starts it with Cyrus's own way of naming and waits until it answers; `None`, and a line on
    /// standard error, when Cyrus is not installed or the test does not run as root.
    ///
    /// # Panics
    /// When there is one and it does not start.
    #[must_use]
    pub fn start() -> Option<Self> {
        Self::start_as(Kind::default())
    }

    /// The same with `altnamespace` and `unixhierarchysep`: no prefix, and `/` between the levels.
    ///
    /// # Panics
    /// When there is one and it does not start.
    #[must_use]
    pub fn start_alternative() -> Option<Self> {
        Self::start_as(Kind { alternative: true, ..Kind::default() })
    }

    /// The one with a prefix, which replaces octets over 127 in header fields.
    ///
    /// # Panics
    /// When there is one and it does not start.
    #[must_use]
    pub fn start_munging() -> Option<Self> {
        Self::start_as(Kind { munges: true, ..Kind::default() })
    }

    fn start_as(kind: Kind) -> Option<Self> {
        let imapd = IMAPD.into_iter().find(|file| Path::new(file).is_file());
        let (Some(master), Some(imapd), Some(owner)) = (find("cyrmaster"), imapd, account("cyrus")) else {
            left_out("no Cyrus is installed: what needs it is not tested");
            return None;
        };
        if !is_root() {
            left_out("not root: what needs Cyrus is not tested");
            return None;
        }
        Some(Service::try_some_times("Cyrus", || Self::attempt(&master, imapd, owner, kind)))
    }

    fn attempt(master: &Path, imapd: &str, owner: (u32, u32), kind: Kind) -> Result<Self, String> {
        let folder = TempDir::with_prefix("cyrus-").expect("a folder can be made");
        let path = folder.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("the folder is ours");
        for name in ["config", "mail"] {
            fs::create_dir(path.join(name)).expect("the folder is ours");
            chown(path.join(name), Some(owner.0), Some(owner.1)).expect("root may give files away");
        }
        let [address] = free_ports();
        fs::write(path.join("imapd.conf"), imapd_conf(path, kind)).expect("the folder is ours");
        fs::write(path.join("cyrus.conf"), cyrus_conf(path, imapd, address)).expect("the folder is ours");
        let mut command = Command::new(master);
        command.arg("-D");
        for (option, file) in [("-C", "imapd.conf"), ("-M", "cyrus.conf"), ("-p", "config/pid")] {
            command.arg(option).arg(path.join(file));
        }
        let logs = [path.join("stderr"), path.join("config/log")];
        let service = Service::start(command, address, [&logs[0], &logs[1]])?;
        Ok(Self { _service: service, folder, address, kind })
    }

    /// Where it speaks plain IMAP.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The password of every user.
    #[must_use]
    pub fn password(&self) -> &'static str {
        PASSWORD
    }

    /// Makes a user with an empty INBOX.
    ///
    /// # Panics
    /// When it is there already.
    pub fn add_user(&self, user: &str) {
        let separator = self.kind.separator();
        let mut administrator = self.imap(ADMINISTRATOR);
        administrator.command(&format!("CREATE user{separator}{user}"));
    }

    /// Limits what a user may store, in units of 1024 octets.
    ///
    /// # Panics
    /// When there is no such user.
    pub fn set_quota(&self, user: &str, kibibytes: u64) {
        let separator = self.kind.separator();
        let mut administrator = self.imap(ADMINISTRATOR);
        administrator.command(&format!("SETQUOTA user{separator}{user} (STORAGE {kibibytes})"));
    }

    /// A connection of the judge, logged in as this user.
    #[must_use]
    pub fn imap(&self, user: &str) -> Imap {
        Imap::login(self.address, user, PASSWORD)
    }

    /// Where its files are.
    #[must_use]
    pub fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }
}

/// Whoever owns a file of the process itself is who runs it.
fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

fn imapd_conf(folder: &Path, kind: Kind) -> String {
    let dir = folder.display();
    let [alternative, munges] = [kind.alternative, kind.munges].map(|yes| if yes { "yes" } else { "no" });
    format!(
        "configdirectory: {dir}/config\n\
         proc_path: {dir}/config/proc\n\
         mboxname_lockpath: {dir}/config/lock\n\
         defaultpartition: default\n\
         partition-default: {dir}/mail\n\
         altnamespace: {alternative}\n\
         unixhierarchysep: {alternative}\n\
         admins: {ADMINISTRATOR}\n\
         allowplaintext: yes\n\
         sasl_mech_list: PLAIN\n\
         sasl_pwcheck_method: alwaystrue\n\
         munge8bit: {munges}\n\
         reject8bit: no\n\
         lmtpsocket: {dir}/config/lmtp\n\
         idlesocket: {dir}/config/idle\n\
         notifysocket: {dir}/config/notify\n"
    )
}

fn cyrus_conf(folder: &Path, imapd: &str, address: SocketAddr) -> String {
    let dir = folder.display();
    format!(
        "START {{\n  recover cmd=\"{PROGRAMS}/ctl_cyrusdb -C {dir}/imapd.conf -r\"\n}}\n\
         SERVICES {{\n  imap cmd=\"{imapd} -U 250 -C {dir}/imapd.conf\" listen=\"{address}\" prefork=1 maxchild=100\n}}\n\
         EVENTS {{\n  checkpoint cmd=\"{PROGRAMS}/ctl_cyrusdb -C {dir}/imapd.conf -c\" period=30\n}}\n"
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use message::{Flags, InternalDate};

    use super::*;

    #[test]
    fn folders_lie_below_inbox_and_odd_mail_is_refused() {
        let Some(cyrus) = Cyrus::start() else { return };
        cyrus.add_user("anna");
        let mut imap = cyrus.imap("anna");
        imap.create("INBOX.Projects.Boat");
        assert!(imap.try_command("CREATE Projects").is_err(), "nothing may lie beside INBOX");
        assert!(imap.try_command("CREATE INBOX.a/b").is_err());
        let listed = imap.list();
        assert!(listed.iter().all(|listed| listed.delimiter == Some('.')), "{listed:?}");
        let date = InternalDate::parse("02-Mar-2026 10:00:00 +0130");
        let flags = Flags::parse("\\Seen $Forwarded");
        for odd in [&b"no header\r\n"[..], b"Subject: x\r\n\r\nbare\n", b"Subject: x\r\n\r\n\0\r\n"] {
            assert!(imap.try_append("INBOX", &flags, &date, odd).is_err());
        }
        assert!(cyrus.imap("anna").try_append("INBOX", &flags, &date, b"").is_err());
        imap.append("INBOX.Projects.Boat", &flags, &date, b"Subject: \xfc\r\n\r\n\xfc");
        let [kept] = &imap.fetch_all("INBOX.Projects.Boat")[..] else { panic!("one message") };
        assert_eq!(kept.bytes, b"Subject: \xfc\r\n\r\n\xfc");
        assert_eq!((kept.internal_date.unix(), &kept.flags), (date.unix(), &flags));
        cyrus.set_quota("anna", 1);
        let large = [b"Subject: large\r\n\r\n".to_vec(), vec![b'x'; 3000]].concat();
        assert_eq!(imap.try_append("INBOX", &flags, &date, &large).unwrap_err(), " NO Over quota");
        assert_eq!(imap.count(), 1);
    }

    #[test]
    fn one_that_munges_replaces_octets_in_header_fields() {
        let Some(cyrus) = Cyrus::start_munging() else { return };
        cyrus.add_user("anna");
        let date = InternalDate::parse("02-Mar-2026 10:00:00 +0130");
        cyrus.imap("anna").append("INBOX", &Flags::new(), &date, b"Subject: \xc3\xbc\r\n\r\n\xfc");
        let [kept] = &cyrus.imap("anna").fetch_all("INBOX")[..] else { panic!("one message") };
        assert_eq!(kept.bytes, b"Subject: XX\r\n\r\n\xfc");
    }

    #[test]
    fn the_alternative_has_no_prefix() {
        let Some(cyrus) = Cyrus::start_alternative() else { return };
        cyrus.add_user("anna");
        let mut imap = cyrus.imap("anna");
        imap.create("Projects/Boat");
        assert!(imap.list().iter().any(|listed| listed.name == "Projects/Boat"));
    }
}
