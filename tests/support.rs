//! The world of an end-to-end test: a mailbox on a real Dovecot, an archive, and the program between
//! them. The judge is an IMAP client that shares no code with the program's.

mod content;
mod sample;
mod scripted;
mod supervised;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use message::{Flags, InternalDate, UidSet};
use serde_json::Value;
use server::sample::Random;
use tempfile::TempDir;
use testkit::{Dovecot, Fetched, Imap, Mail, Options, Output, Restante};

pub use content::{Content, Kept};
pub use sample::{append, corpus, date, mail, noisy_mail, quoting_mail};
pub use scripted::ScriptedWorld;
pub use supervised::{Daemon, PATIENCE};

/// The account's name in the configuration.
pub const ACCOUNT: &str = "work";
/// Its user on the server.
pub const USER: &str = "anna";

/// A server, an archive and the program.
pub struct World {
    /// The server.
    pub dovecot: Dovecot,
    /// The program, configured.
    pub program: Restante,
    folder: TempDir,
    archive: PathBuf,
    reserve: String,
}

impl World {
    /// An empty mailbox on a Dovecot with everything it can do; `None` where there is no Dovecot.
    #[must_use]
    pub fn new() -> Option<Self> {
        Self::with(Options::default(), "")
    }

    /// The same with another kind of Dovecot and more lines in the account's configuration.
    ///
    /// # Panics
    /// When the test's own folder cannot be written.
    #[must_use]
    pub fn with(options: Options, account: &str) -> Option<Self> {
        let dovecot = Dovecot::start(options)?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let password = folder.path().join("password");
        fs::write(&password, format!("{}\n", dovecot.password()))
            .expect("the test's own folder can be written");
        fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).expect("an own file");
        let world = Self {
            program: Restante::new(&folder.path().join("r.toml"), folder.path()),
            archive: folder.path().join("archive"),
            reserve: "0".to_owned(),
            dovecot,
            folder,
        };
        world.configure(account);
        Some(world)
    }

    /// Keeps the archive in another place, and what the program remembers outside it in the folder
    /// `home`, both perhaps on a disk of their own.
    ///
    /// # Panics
    /// When the test's own folder cannot be written.
    pub fn keep_archive_in(&mut self, archive: &Path, home: &Path) {
        archive.clone_into(&mut self.archive);
        self.program = Restante::new(&self.folder.path().join("r.toml"), home);
        self.configure("");
    }

    /// Sets `[archive] reserve`.
    ///
    /// # Panics
    /// When the test's own folder cannot be written.
    pub fn set_reserve(&mut self, reserve: &str) {
        reserve.clone_into(&mut self.reserve);
        self.configure("");
    }

    /// Delivers this mail to the account's mailbox; says how many messages.
    #[must_use]
    pub fn fill(&mut self, mail: &Mail) -> usize {
        self.dovecot.fill(USER, mail)
    }

    /// The same over POP3; `None` where Dovecot has none, too.
    #[must_use]
    pub fn over_pop3(options: Options) -> Option<Self> {
        let world = Self::with(options, "")?;
        world.dovecot.pop3()?;
        world.configure(&world.pop3_lines());
        Some(world)
    }

    /// Lines for [`World::configure`] with which the account is pulled over POP3.
    ///
    /// # Panics
    /// Where Dovecot has no POP3.
    #[must_use]
    pub fn pop3_lines(&self) -> String {
        let port = self.dovecot.pop3().expect("Dovecot speaks POP3").port();
        format!("protocol = \"pop3\"\nport = {port}\n")
    }

    /// Writes the configuration anew, with these lines for the account beside the usual ones. What
    /// `account` sets (`protocol`, `host`, `port`, `tls`) replaces the usual line; further accounts may
    /// follow.
    ///
    /// # Panics
    /// When the test's own folder cannot be written.
    pub fn configure(&self, account: &str) {
        let mut text = format!(
            "[archive]\npath = {:?}\nreserve = {:?}\n\n[[account]]\nname = \"{ACCOUNT}\"\n",
            self.archive, self.reserve
        );
        let _ = write!(text, "user = \"{USER}\"\npassword_file = \"password\"\n");
        let own: Vec<&str> = account.lines().take_while(|line| !line.starts_with("[[")).collect();
        for (key, line) in [
            ("protocol", "protocol = \"imap\"".to_owned()),
            ("host", "host = \"localhost\"".to_owned()),
            ("port", format!("port = {}", self.dovecot.plain().port())),
            ("tls", "tls = \"none\"".to_owned()),
        ] {
            if !own.iter().any(|line| line.starts_with(key)) {
                let _ = writeln!(text, "{line}");
            }
        }
        fs::write(self.folder.path().join("r.toml"), text + account)
            .expect("the test's own folder can be written");
    }

    /// Where the archive is.
    #[must_use]
    pub fn archive(&self) -> PathBuf {
        self.archive.clone()
    }

    /// A path in the test's own folder.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The judge, logged in as the account's user.
    #[must_use]
    pub fn judge(&self) -> Imap {
        self.dovecot.imap(USER)
    }

    /// One run that must be whole; returns its ledger.
    #[must_use]
    pub fn run_now(&self) -> Value {
        self.run_with_code(0)
    }

    /// One run that must end with this exit status; returns its ledger.
    #[must_use]
    pub fn run_with_code(&self, code: i32) -> Value {
        let output = self.program.run(["--json", "--run-now"]);
        output.expect_code(code).json()["runs"][0].clone()
    }

    /// Runs a command of the program that must succeed, and returns its JSON.
    #[must_use]
    pub fn json(&self, arguments: &[&str]) -> Value {
        self.program.run([&["--json"], arguments].concat()).expect_code(0).json()
    }

    /// Runs a command of the program that must end with this exit status.
    pub fn run(&self, code: i32, arguments: &[&str]) -> Output {
        let output = self.program.run(arguments);
        output.expect_code(code);
        output
    }

    /// The URL of a user of a server on loopback that speaks plain IMAP.
    #[must_use]
    pub fn url(address: SocketAddr, user: &str) -> String {
        format!("imap://{user}@127.0.0.1:{}", address.port())
    }

    /// A command that restores the account to a target, with the password of all test servers.
    #[must_use]
    pub fn restore_command(&self, to: &str, arguments: &[&str]) -> Command {
        let password = self.path("password");
        let mut command = self.program.command(["--json", "restore", ACCOUNT, "--to", to]);
        if to.contains("://") {
            command.arg("--password-file").arg(password);
        }
        command.args(arguments);
        command
    }

    /// Restores the account to a target, which must end with this exit status; returns the report.
    ///
    /// # Panics
    /// When it ends otherwise.
    #[must_use]
    #[track_caller]
    pub fn restore(&self, code: i32, to: &str, arguments: &[&str]) -> Value {
        let output = self.restore_command(to, arguments).output().expect("the program starts");
        Output::from(output).expect_code(code).json()
    }

    /// Restores the account to an empty mailbox of another user on its own server.
    #[must_use]
    #[track_caller]
    pub fn restore_beside(&self, code: i32, user: &str, arguments: &[&str]) -> Value {
        self.restore(code, &Self::url(self.dovecot.plain(), user), arguments)
    }

    /// What the account's mailbox holds on the server.
    #[must_use]
    pub fn content(&self) -> Content {
        Content::of(self.judge())
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
        names.map(|name| (name.clone(), self.messages(ACCOUNT, &name, &[]))).collect()
    }

    /// What `list --json` says of the messages of a folder, newest first.
    ///
    /// # Panics
    /// When the JSON is not as docs/json.md says.
    #[must_use]
    pub fn messages(&self, account: &str, folder: &str, arguments: &[&str]) -> Vec<Value> {
        let listed = self.json(&[&["list", account, folder], arguments].concat());
        listed["messages"].as_array().expect("a list of messages").clone()
    }

    /// Asserts that `list` and `export` give every message of the server back: bytes, UID, flags and
    /// date, each exactly once.
    ///
    /// # Panics
    /// With the first difference.
    pub fn assert_archive_equals_server(&self) {
        let mut listing = self.listing();
        let mut bytes_on_server = Vec::new();
        for (name, messages) in self.judge().everything() {
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

    /// Asserts that `export` gives back what IMAP shows of the INBOX, each message exactly once: all
    /// that there is to compare after a pull over POP3.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn assert_archive_equals_maildrop(&self) {
        let mut held = self.export("eml");
        let inbox = self.judge().fetch_all("INBOX");
        let mut wanted: Vec<Vec<u8>> = inbox.into_iter().map(|message| message.bytes).collect();
        held.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(held.len(), wanted.len(), "messages exported");
        assert!(held == wanted, "the exported bytes are not those of the server");
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
        self.run(0, &["export", ACCOUNT, out_text, "--format", format]);
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

    /// The octets of all packs together; 0 where there are none yet.
    #[must_use]
    pub fn pack_bytes(&self) -> u64 {
        let packs = fs::read_dir(self.archive().join("packs")).into_iter().flatten().flatten();
        packs.filter_map(|pack| pack.metadata().ok()).map(|pack| pack.len()).sum()
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

fn assert_same(folder: &str, server: &[Fetched], listed: &[Value]) {
    let mut by_uid: BTreeMap<u64, &Value> = BTreeMap::new();
    for message in listed {
        let uid = message["uid"].as_u64().expect("a UID");
        assert!(by_uid.insert(uid, message).is_none(), "{folder}: UID {uid} is listed twice");
    }
    assert_eq!(by_uid.len(), server.len(), "{folder}: messages listed");
    for message in server {
        let uid = message.uid;
        let listed = by_uid.get(&u64::from(uid.get())).unwrap_or_else(|| panic!("{folder}: no UID {uid}"));
        let flags = listed["flags"].as_array().expect("a list of flags").iter();
        let flags: Flags = flags.map(|flag| flag.as_str().expect("a flag")).collect();
        assert_eq!(flags, message.flags, "{folder} {uid}: flags");
        assert_eq!(listed["size"], message.bytes.len(), "{folder} {uid}: size");
        let date = listed["internal_date_raw"].as_str().expect("a date");
        assert_eq!(InternalDate::parse(date), message.internal_date, "{folder} {uid}: date");
    }
}

/// A set of UIDs from its text.
///
/// # Panics
/// When the text is no set.
#[must_use]
pub fn uids(text: &str) -> UidSet {
    UidSet::parse(text).expect("a set of UIDs")
}

/// Copies an archive as tools that copy folders do: a list first, then one file after the other.
///
/// # Panics
/// When the target cannot be written.
pub fn copy_in_random_order(from: &Path, to: &Path, random: &mut Random) {
    fs::create_dir_all(to.join("packs")).expect("the target is ours");
    let mut names = Vec::new();
    for folder in ["", "packs"] {
        let entries = fs::read_dir(from.join(folder)).expect("the archive").flatten();
        names.extend(entries.map(|entry| Path::new(folder).join(entry.file_name())));
    }
    names.sort();
    while !names.is_empty() {
        let name = names.swap_remove(random.below(names.len()));
        if from.join(&name).is_file() {
            // What has gone meanwhile is not copied, as with any tool.
            let _ = fs::copy(from.join(&name), to.join(&name));
        }
    }
}

/// Whether the long tests are wanted (RESTANTE_LONG=1).
#[must_use]
pub fn is_long() -> bool {
    std::env::var_os("RESTANTE_LONG").is_some_and(|value| value != "0" && !value.is_empty())
}
