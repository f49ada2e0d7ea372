//! One account on a scripted server, and its archive.

use std::path::PathBuf;
use std::time::Duration;

use archive::{Archive, MailboxInfo, PlacementInfo, Writer, WriterOptions};
use message::{Flags, InternalDate, MessageKey, Uid, UidSet};
use remote::{Credentials, Endpoint, Security};
use restante_sync::{FolderFilter, Job, Ledger, Outcome, Progress, PullLimits, Stop, pull};
use server::{Behaviour, Fault, Store};
use testkit::Scripted;

use crate::scripted::{Calendar, mail, placements};

pub(crate) const USER: &str = "anna";

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) limits: PullLimits,
    pub(crate) clock: Calendar,
    archive: tempfile::TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        let store = Store::new();
        store.add_user(USER, "pass");
        let archive = tempfile::tempdir().unwrap();
        archive::init(&archive.path().join("a")).unwrap();
        let mut limits = PullLimits { reserve_bytes: 0, ..PullLimits::default() };
        limits.patience.first_pause = Duration::from_millis(1);
        Self { store, archive, limits, clock: Calendar::default() }
    }

    /// INBOX with so many messages of about 2,000 octets, all read.
    pub(crate) fn with_messages(count: u32) -> Self {
        let world = Self::new();
        for number in 1..=count {
            world.deliver("INBOX", &mail(number, 2_000));
        }
        world
    }

    pub(crate) fn deliver(&self, mailbox: &str, bytes: &[u8]) -> Uid {
        self.deliver_with(mailbox, bytes, "\\Seen")
    }

    pub(crate) fn deliver_with(&self, mailbox: &str, bytes: &[u8], flags: &str) -> Uid {
        let date = InternalDate::from_unix(1_772_445_600 + i64::try_from(bytes.len()).unwrap(), 0);
        self.store.append(USER, mailbox, &Flags::parse(flags), &date, bytes).unwrap()
    }

    /// So many short messages with these flags.
    pub(crate) fn fill(&self, mailbox: &str, count: u32, flags: &str) {
        for number in 1..=count {
            self.deliver_with(mailbox, &mail(number, 100), flags);
        }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.archive.path().join("a")
    }

    pub(crate) fn pull(&self, behaviour: Behaviour) -> (Ledger, Scripted) {
        self.pull_watched(behaviour, &())
    }

    pub(crate) fn pull_watched(&self, behaviour: Behaviour, progress: &dyn Progress) -> (Ledger, Scripted) {
        let server = Scripted::start(self.store.clone(), behaviour);
        let ledger = self.pull_from_port(server.port(), progress);
        (ledger, server)
    }

    pub(crate) fn pull_from_port(&self, port: u16, progress: &dyn Progress) -> Ledger {
        let mut writer = Writer::open(&self.path(), WriterOptions::default()).unwrap();
        let job = Job {
            account: "a".into(),
            protocol: restante_sync::Protocol::Imap,
            endpoint: Endpoint {
                host: "127.0.0.1".into(),
                port,
                security: Security::Plain,
                extra_authorities: Vec::new(),
                extra_authorities_from: String::new(),
            },
            credentials: Credentials { user: USER.into(), password: "pass".to_owned().into() },
            filter: FolderFilter::new(&[], &[]).unwrap(),
            limits: self.limits.clone(),
        };
        pull(&mut writer, &job, &self.clock, progress, &Stop::default())
    }

    pub(crate) fn pull_with(&self, faults: impl IntoIterator<Item = Fault>) -> Ledger {
        let behaviour = faults.into_iter().fold(Behaviour::modern(), Behaviour::with_fault);
        self.pull(behaviour).0
    }

    /// The run is `ok`, and the archive has each message of each mailbox, byte for byte.
    pub(crate) fn assert_whole(&self, ledger: &Ledger) {
        assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
        for mailbox in self.store.mailboxes(USER).unwrap() {
            let on_server = self.store.messages(USER, &mailbox.name).unwrap();
            let mut expected: Vec<_> = on_server.iter().map(|m| (m.uid, MessageKey::of(&m.bytes))).collect();
            expected.sort_unstable();
            assert_eq!(self.held(&mailbox.name), expected, "{}", mailbox.name);
        }
    }

    /// What the archive holds of a mailbox, each message read back in full.
    pub(crate) fn held(&self, mailbox: &str) -> Vec<(Uid, MessageKey)> {
        let archive = Archive::open(&self.path()).unwrap();
        let read = |placement: &PlacementInfo| {
            (placement.uid, MessageKey::of(&archive.view().read_to_vec(&placement.message).unwrap()))
        };
        let mut held: Vec<_> = placements(&archive, "a", mailbox).iter().map(read).collect();
        held.sort_unstable();
        held
    }

    /// What the archive knows of a mailbox.
    pub(crate) fn mailbox(&self, name: &str) -> MailboxInfo {
        let archive = Archive::open(&self.path()).unwrap();
        let view = archive.view();
        let account = view.account("a").unwrap().unwrap();
        view.mailboxes(account.id).unwrap().into_iter().find(|info| info.name.text() == name).unwrap()
    }

    /// What the archive holds of a mailbox, by UID: all that it knows of each message.
    pub(crate) fn placements(&self, mailbox: &str) -> Vec<PlacementInfo> {
        placements(&Archive::open(&self.path()).unwrap(), "a", mailbox)
    }
}

pub(crate) fn uids(text: &str) -> UidSet {
    UidSet::parse(text).unwrap()
}

/// Acts whenever the fetching of a folder begins: what other clients do in the middle of a run.
pub(crate) struct WhenFolderBegins<F>(pub(crate) F);

impl<F: Fn(&str) + Send + Sync> Progress for WhenFolderBegins<F> {
    fn folder_begins(&self, folder: &str, _messages: u64, _bytes: u64) {
        (self.0)(folder);
    }
}
