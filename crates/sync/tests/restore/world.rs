//! A server whose mail is in an archive, and another one that it is given back to.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use archive::{Archive, When, Writer, WriterOptions};
use message::{Flags, InternalDate, MessageKey};
use remote::{Credentials, Endpoint, Security};
use restante_sync::{
    FolderFilter, FolderReport, Job, Outcome, Patience, PullLimits, RestoreJob, RestoreLimits,
    RestoreOutcome, RestoreReport, Stop, SystemClock, Verify, pull, restore,
};
use server::{Behaviour, Effect, Fault, Store, Trigger};
use testkit::Scripted;

pub(crate) const USER: &str = "anna";

/// A message as a mailbox has it: content, flags, received date.
pub(crate) type Kept = (MessageKey, String, Option<i64>);

pub(crate) struct World {
    pub(crate) source: Store,
    pub(crate) target: Store,
    pub(crate) patience: Patience,
    folder: tempfile::TempDir,
    delivered: Cell<i64>,
}

impl World {
    /// Both servers are empty, and so is the archive.
    pub(crate) fn empty() -> Self {
        let folder = tempfile::tempdir().unwrap();
        archive::init(&folder.path().join("a")).unwrap();
        let patience = Patience { first_pause: Duration::from_millis(1), ..Patience::default() };
        let (source, target) = (store(), store());
        Self { source, target, patience, folder, delivered: Cell::new(0) }
    }

    /// The archive holds an INBOX with so many messages of some 500 octets, with various flags.
    pub(crate) fn with(messages: u32) -> Self {
        let world = Self::empty();
        world.fill("INBOX", messages);
        world.pull();
        world
    }

    pub(crate) fn fill(&self, mailbox: &str, messages: u32) {
        for number in 1..=messages {
            let flags = ["\\Seen", "", "\\Seen \\Answered $Forwarded", "\\Flagged"][number as usize % 4];
            self.deliver(mailbox, &mail(number), flags);
        }
    }

    /// A message comes to the source, each with another received date.
    pub(crate) fn deliver(&self, mailbox: &str, bytes: &[u8], flags: &str) {
        self.delivered.set(self.delivered.get() + 1);
        let date = InternalDate::from_unix(1_500_000_000 + 3_601 * self.delivered.get(), 120);
        put(&self.source, mailbox, bytes, flags, &date);
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("a")
    }

    pub(crate) fn pull(&self) {
        let server = Scripted::start(self.source.clone(), Behaviour::modern());
        let job = Job {
            account: "a".into(),
            protocol: restante_sync::Protocol::Imap,
            endpoint: endpoint(server.port()),
            credentials: credentials(),
            filter: FolderFilter::new(&[], &[]).unwrap(),
            limits: PullLimits { reserve_bytes: 0, ..PullLimits::default() },
        };
        let mut writer = Writer::open(&self.path(), WriterOptions::default()).unwrap();
        let ledger = pull(&mut writer, &job, &SystemClock::default(), &(), &Stop::default());
        assert_ne!(ledger.outcome, Outcome::Failed, "{ledger:#?}");
    }

    pub(crate) fn restore(&self, behaviour: Behaviour) -> Restored {
        self.restore_with(behaviour, |_| ())
    }

    /// A modern target with these faults.
    pub(crate) fn restore_despite(&self, faults: impl IntoIterator<Item = Fault>) -> Restored {
        self.restore(faults.into_iter().fold(Behaviour::modern(), Behaviour::with_fault))
    }

    pub(crate) fn restore_with(
        &self,
        behaviour: Behaviour,
        change: impl FnOnce(&mut RestoreJob),
    ) -> Restored {
        let server = Scripted::start(self.target.clone(), behaviour);
        let report = self.restore_to(&server, change);
        Restored { report, server }
    }

    pub(crate) fn restore_to(
        &self,
        server: &Scripted,
        change: impl FnOnce(&mut RestoreJob),
    ) -> RestoreReport {
        let mut job = RestoreJob {
            account: "a".into(),
            endpoint: endpoint(server.port()),
            credentials: credentials(),
            filter: FolderFilter::new(&[], &[]).unwrap(),
            when: When::default(),
            only: None,
            prefix: None,
            verify: Verify::Headers,
            keep_flags: false,
            dry_run: false,
            connections: 2,
            limits: RestoreLimits {
                patience: self.patience.clone(),
                // This server does nothing more for a connection that is gone.
                settle: Duration::ZERO,
                ..RestoreLimits::default()
            },
        };
        change(&mut job);
        let archive = Archive::open(&self.path()).unwrap();
        restore(&archive, &job, &SystemClock::default(), &(), &Stop::default())
    }

    /// The target has each message of the source exactly as often as the source: bytes, flags, dates.
    pub(crate) fn assert_back(&self) {
        assert_eq!(contents(&self.target), contents(&self.source));
    }

    /// The same, whatever the mailboxes are called.
    pub(crate) fn assert_back_as(&self, names: &[(&str, &str)]) {
        let (source, target) = (contents(&self.source), contents(&self.target));
        for (from, to) in names {
            assert_eq!(target.get(*to), source.get(*from), "{from} as {to}; {:?}", target.keys());
        }
    }
}

/// A restore that is over, and the server it was made to.
pub(crate) struct Restored {
    pub(crate) report: RestoreReport,
    pub(crate) server: Scripted,
}

impl fmt::Debug for Restored {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#?}\n{:#?}", self.report, self.server.log())
    }
}

impl Restored {
    /// It is proven, and says nothing but that.
    pub(crate) fn assert_proven(&self) {
        assert_eq!(self.report.outcome, RestoreOutcome::Proven, "{:#?}", self.report);
        self.assert_sums();
    }

    /// It is partial, and says of each message what became of it.
    pub(crate) fn assert_partial(&self) {
        assert_eq!(self.report.outcome, RestoreOutcome::Partial, "{:#?}", self.report);
        self.assert_sums();
    }

    fn assert_sums(&self) {
        for folder in &self.report.folders {
            let sum = folder.already_there + folder.added + folder.refused.len() as u64 + folder.not_sent;
            assert_eq!(sum, folder.asked, "{folder:#?}");
            let told = folder.proven + folder.remarks.len() as u64 + folder.refused.len() as u64;
            assert!(told >= folder.asked || folder.error.is_some(), "{folder:#?}");
        }
    }

    pub(crate) fn folder(&self, name: &str) -> &FolderReport {
        let found = self.report.folders.iter().find(|folder| folder.folder == name);
        found.unwrap_or_else(|| panic!("no folder {name} in {:#?}", self.report))
    }

    /// The words of all remarks of a folder.
    pub(crate) fn remarks(&self, folder: &str) -> Vec<&str> {
        self.folder(folder).remarks.iter().map(|remark| remark.what.as_str()).collect()
    }

    /// Why messages of a folder are not there.
    pub(crate) fn refusals(&self, folder: &str) -> Vec<&str> {
        self.folder(folder).refused.iter().map(|refused| refused.why.as_str()).collect()
    }

    pub(crate) fn notices(&self, folder: &str) -> String {
        self.folder(folder).notices.join("\n")
    }

    /// The APPENDs that the server was given.
    pub(crate) fn appends(&self) -> Vec<String> {
        self.server.log().into_iter().filter(|line| line.starts_with("APPEND")).collect()
    }
}

pub(crate) fn store() -> Store {
    let store = Store::new();
    store.add_user(USER, "pass");
    store
}

/// Adds a message, in a mailbox that is made where it is missing.
pub(crate) fn put(store: &Store, mailbox: &str, bytes: &[u8], flags: &str, date: &InternalDate) {
    if store.messages(USER, mailbox).is_err() {
        store.create(USER, mailbox).unwrap();
    }
    store.append(USER, mailbox, &Flags::parse(flags), date, bytes).unwrap();
}

/// What each mailbox has: each message as often as it is there.
pub(crate) fn contents(store: &Store) -> BTreeMap<String, Vec<Kept>> {
    let names = store.mailboxes(USER).unwrap().into_iter().map(|mailbox| mailbox.name);
    names.map(|name| (name.clone(), kept(store, &name))).collect()
}

/// What one mailbox has.
pub(crate) fn kept(store: &Store, mailbox: &str) -> Vec<Kept> {
    let messages = store.messages(USER, mailbox).unwrap().into_iter();
    let mut messages: Vec<_> = messages
        .map(|message| (MessageKey::of(&message.bytes), sorted(&message.flags), message.date.unix()))
        .collect();
    messages.sort();
    messages
}

fn sorted(flags: &Flags) -> String {
    let mut flags: Vec<String> = flags.iter().map(str::to_lowercase).collect();
    flags.sort();
    flags.join(" ")
}

pub(crate) fn endpoint(port: u16) -> Endpoint {
    Endpoint {
        host: "127.0.0.1".into(),
        port,
        security: Security::Plain,
        extra_authorities: Vec::new(),
        extra_authorities_from: String::new(),
    }
}

pub(crate) fn credentials() -> Credentials {
    Credentials { user: USER.into(), password: "pass".to_owned().into() }
}

/// Mail of some 500 octets, another for each number.
pub(crate) fn mail(number: u32) -> Vec<u8> {
    let mut bytes = format!(
        "Message-ID: <{number}@post.example>\r\nDate: Mon, 2 Mar 2020 10:00:00 +0000\r\n\
         From: anna@post.example\r\nSubject: number {number}\r\n\r\n"
    )
    .into_bytes();
    for line in 0..8 {
        bytes.extend_from_slice(format!("line {line} of message {number}, and more of it\r\n").as_bytes());
    }
    bytes
}

pub(crate) fn on(command: &str) -> Trigger {
    Trigger::Command(command.to_owned())
}

/// A message whose subject has this number.
pub(crate) fn given(number: u32) -> Trigger {
    Trigger::Given(format!("Subject: number {number}\r\n"))
}

pub(crate) fn no(text: &str) -> Effect {
    Effect::No(text.to_owned())
}

pub(crate) fn bad(text: &str) -> Effect {
    Effect::Bad(text.to_owned())
}
