//! The world of an end-to-end test: a mailbox on a real Dovecot, an archive, and the program between
//! them. The judge is an IMAP client that shares no code with the program.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;
use tempfile::TempDir;
use testkit::dovecot::{Dovecot, Options, PASSWORD};
use testkit::judge::{Judge, Judged};
use testkit::program::{Ended, Program};

/// The account's name in the configuration, and the user on the server.
pub const ACCOUNT: &str = "work";
const USER: &str = "anna";

/// A server, an archive and the program.
pub struct World {
    /// The server.
    pub dovecot: Dovecot,
    /// The program, configured.
    pub program: Program,
    folder: TempDir,
}

impl World {
    /// An empty mailbox on a Dovecot with everything it can do; `None` where there is no Dovecot.
    #[must_use]
    pub fn new() -> Option<Self> {
        Self::with(&Options::default(), "")
    }

    /// The same with another kind of Dovecot and more lines in the account's configuration.
    ///
    /// # Panics
    /// When the test's own folder cannot be written.
    #[must_use]
    pub fn with(options: &Options, account: &str) -> Option<Self> {
        let dovecot = Dovecot::start(options)?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let password = folder.path().join("password");
        fs::write(&password, format!("{PASSWORD}\n")).expect("the test's own folder can be written");
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).expect("an own file");
        let world =
            Self { program: Program::new(&folder.path().join("r.toml"), folder.path()), dovecot, folder };
        world.configure(account);
        Some(world)
    }

    /// Writes the configuration anew, with these lines for the account beside the usual ones. What
    /// `account` sets (`port`, `tls`) replaces the usual line.
    ///
    /// # Panics
    /// When the test's own folder cannot be written.
    pub fn configure(&self, account: &str) {
        let mut text =
            format!("[archive]\npath = \"archive\"\nreserve = \"0\"\n\n[[account]]\nname = \"{ACCOUNT}\"\n");
        let _ = write!(text, "protocol = \"imap\"\nuser = \"{USER}\"\npassword_file = \"password\"\n");
        for (key, line) in [
            ("host", "host = \"localhost\"".to_owned()),
            ("port", format!("port = {}", self.dovecot.imap_port())),
            ("tls", "tls = \"none\"".to_owned()),
        ] {
            if !account.lines().any(|own| own.starts_with(key)) {
                let _ = writeln!(text, "{line}");
            }
        }
        fs::write(self.folder.path().join("r.toml"), text + account)
            .expect("the test's own folder can be written");
    }

    /// Where the archive is.
    #[must_use]
    pub fn archive(&self) -> PathBuf {
        self.folder.path().join("archive")
    }

    /// A path in the test's own folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The judge, logged in as the account's user.
    #[must_use]
    pub fn judge(&self) -> Judge {
        self.dovecot.judge(USER)
    }

    /// The user's Maildir on the server: see [`Dovecot::deliver`].
    pub fn deliver(&self, folder: &str, name: &str, flags: &str, bytes: &[u8]) {
        self.dovecot.deliver(USER, folder, name, flags, bytes);
    }

    /// New UIDs under a new UIDVALIDITY for a folder on disk.
    pub fn forget_uids(&self, folder: &str) {
        self.dovecot.forget_uids(USER, folder);
    }

    /// One run that must be whole; returns its ledger.
    #[must_use]
    pub fn run_now(&self) -> Value {
        self.run_with_code(0)
    }

    /// One run that must end with this exit status; returns its ledger.
    #[must_use]
    pub fn run_with_code(&self, code: i32) -> Value {
        let ended = self.program.run(&["--json", "--run-now"]).expect_code(code);
        ended.json()["runs"][0].clone()
    }

    /// Runs a command of the program that must succeed, and returns its JSON.
    #[must_use]
    pub fn json(&self, arguments: &[&str]) -> Value {
        let arguments: Vec<&str> = [&["--json"], arguments].concat();
        self.program.run(&arguments).expect_code(0).json()
    }

    /// Runs a command of the program that must end with this exit status.
    pub fn run(&self, code: i32, arguments: &[&str]) -> Ended {
        self.program.run(arguments).expect_code(code)
    }

    /// What `list --json` says of every folder, by the folder's name.
    ///
    /// # Panics
    /// When the JSON is not as docs/json.md says.
    #[must_use]
    pub fn listing(&self) -> BTreeMap<String, Vec<Value>> {
        let folders = self.json(&["list", ACCOUNT]);
        let folders = folders["folders"].as_array().expect("a list of folders");
        let names = folders.iter().map(|folder| folder["folder"].as_str().expect("a name").to_owned());
        let messages = |name: &String| {
            let listed = self.json(&["list", ACCOUNT, name]);
            listed["messages"].as_array().expect("a list of messages").clone()
        };
        names.map(|name| (name.clone(), messages(&name))).collect()
    }

    /// Asserts that `list` and `export` give every message of the server back: bytes, UID, flags and
    /// date, each exactly once.
    ///
    /// # Panics
    /// With the first difference.
    pub fn assert_archive_equals_server(&self) {
        let mut judge = self.judge();
        let mut listing = self.listing();
        let mut bytes_on_server = Vec::new();
        for mailbox in judge.mailboxes() {
            let name = decoded(&mailbox);
            let messages = judge.messages(&mailbox);
            let listed = listing.remove(&name).unwrap_or_else(|| panic!("{name} is not listed"));
            assert_same(&name, &messages, &listed);
            bytes_on_server.extend(messages.into_iter().map(|message| message.bytes));
        }
        assert!(listing.values().all(Vec::is_empty), "folders that the server has not: {:?}", listing.keys());
        let mut exported = self.export("eml");
        bytes_on_server.sort_unstable();
        exported.sort_unstable();
        assert_eq!(exported.len(), bytes_on_server.len(), "exported files");
        assert!(exported == bytes_on_server, "the exported bytes are not those of the server");
    }

    /// Exports the account in this format and returns the bytes of each file that ends in `.eml`.
    ///
    /// # Panics
    /// When the export fails.
    #[must_use]
    pub fn export(&self, format: &str) -> Vec<Vec<u8>> {
        let target = tempfile::tempdir().expect("a temporary folder");
        let out = target.path().join("out");
        let out_text = out.to_str().expect("a plain path");
        self.program.run(&["export", ACCOUNT, out_text, "--format", format]).expect_code(0);
        let mut files = Vec::new();
        let mut folders = vec![out];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("an exported folder") {
                let path = entry.expect("an exported file").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "eml") {
                    files.push(fs::read(path).expect("an exported file"));
                }
            }
        }
        files
    }

    /// The pack files, in order.
    ///
    /// # Panics
    /// When there is no archive.
    #[must_use]
    pub fn packs(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.archive().join("packs")).expect("the archive has packs");
        let mut packs: Vec<PathBuf> = entries.map(|entry| entry.expect("a pack").path()).collect();
        packs.sort();
        packs
    }
}

fn assert_same(folder: &str, server: &[Judged], listed: &[Value]) {
    let mut by_uid: BTreeMap<u64, &Value> = BTreeMap::new();
    for message in listed {
        let uid = message["uid"].as_u64().expect("a UID");
        assert!(by_uid.insert(uid, message).is_none(), "{folder}: UID {uid} is listed twice");
    }
    assert_eq!(by_uid.len(), server.len(), "{folder}: messages listed");
    for message in server {
        let listed =
            by_uid.get(&u64::from(message.uid)).unwrap_or_else(|| panic!("{folder}: no UID {}", message.uid));
        let flags = listed["flags"].as_array().expect("a list of flags").iter();
        let mut flags: Vec<&str> = flags.map(|flag| flag.as_str().expect("a flag")).collect();
        flags.sort_unstable();
        assert_eq!(flags, message.flags, "{folder} {}: flags", message.uid);
        assert_eq!(listed["size"], message.bytes.len(), "{folder} {}: size", message.uid);
        assert_eq!(listed["internal_date_raw"], message.internal_date, "{folder} {}: date", message.uid);
    }
}

/// The name that people see of a name on the wire; the tests use few that are not ASCII.
#[must_use]
pub fn decoded(wire: &str) -> String {
    NAMES.iter().find(|(_, encoded)| *encoded == wire).map_or(wire, |(name, _)| name).replace("&-", "&")
}

/// Folders that are not ASCII, and their names on the wire.
pub const NAMES: [(&str, &str); 3] = [
    ("Entwürfe", "Entw&APw-rfe"),
    ("家族/写真", "&W7ZlzQ-/&UZl3Hw-"),
    ("Ünïcödé ☂", "&ANw-n&AO8-c&APY-d&AOk- &JgI-"),
];

/// A message that is different for each number: every third is multipart with an attachment, and
/// attachments repeat.
#[must_use]
pub fn mail(number: u32) -> Vec<u8> {
    let mut text = format!(
        "Return-Path: <sender{}@example.org>\r\nReceived: from mx{number}.example.org (192.0.2.{}) by mail.example.org\r\n\
         \tid {:08x}; Mon, 2 Mar 2026 10:00:00 +0000\r\nMessage-ID: <{number}.test@example.org>\r\n\
         From: Sender {number} <sender@example.org>\r\nSubject: Message number {number}\r\n\
         Date: Mon, 2 Mar 2026 10:00:00 +0000\r\n",
        number % 7,
        number % 250,
        number.wrapping_mul(2_654_435_761)
    );
    let words = ["letter", "post", "office", "keeps", "until", "you", "come", "for", "them", "again"];
    let mut state = number.wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 8
    };
    let mut body = String::new();
    for _ in 0..40 + next() % 300 {
        body.push_str(words[(next() % 10) as usize]);
        body.push_str(if next().is_multiple_of(12) { "\r\n" } else { " " });
    }
    if !number.is_multiple_of(3) {
        let _ = write!(text, "\r\n{body}\r\n");
        return text.into_bytes();
    }
    let mut attachment = (number / 9).wrapping_add(77);
    let mut encoded = String::new();
    for _ in 0..60 + (number / 9) % 90 {
        for _ in 0..76 {
            attachment = attachment.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
            encoded.push(char::from(alphabet[(attachment >> 26) as usize]));
        }
        encoded.push_str("\r\n");
    }
    let _ = write!(
        text,
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"b\"\r\n\r\n--b\r\n\r\n{body}\r\n--b\r\n\
         Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n{encoded}--b--\r\n"
    );
    text.into_bytes()
}

/// The received date of [`mail`]: a second apart for each number.
#[must_use]
pub fn date(number: u32) -> String {
    format!("{:02}-Mar-2026 10:{:02}:{:02} +0100", 1 + number / 3_600 % 28, number / 60 % 60, number % 60)
}

/// Puts the messages of these numbers into a mailbox of the server.
pub fn fill(judge: &mut Judge, mailbox: &str, numbers: impl IntoIterator<Item = u32>) {
    for number in numbers {
        let flags = ["", "\\Seen", "\\Seen \\Answered", "\\Flagged $Forwarded", "\\Draft \\Seen Todo"];
        judge.append(mailbox, flags[number as usize % flags.len()], &date(number), &mail(number));
    }
}
