//! One account on a scripted POP3 server, and its archive.

use std::path::PathBuf;
use std::time::Duration;

use archive::{Archive, PlacementInfo, Writer, WriterOptions};
use message::{Flags, InternalDate, MessageKey, Uid, UidSet};
use remote::pop3::Auth;
use remote::{Credentials, Endpoint, Security};
use restante_sync::{
    FolderFilter, Job, Ledger, Outcome, Pop3Options, Progress, Protocol, PullLimits, Stop, pull,
};
use server::pop3::{Behaviour, Fault};
use server::{Store, StoredMessage};
use testkit::{Scripted, ScriptedPop3};

use crate::scripted::{Calendar, mail, placements};

pub(crate) const USER: &str = "anna";

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) limits: PullLimits,
    pub(crate) options: Pop3Options,
    pub(crate) user: String,
    pub(crate) security: Security,
    /// In PEM.
    pub(crate) authority: String,
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
        Self {
            store,
            limits,
            options: Pop3Options { auth: Auth::User, ..Pop3Options::default() },
            user: USER.to_owned(),
            security: Security::Plain,
            authority: String::new(),
            clock: Calendar::default(),
            archive,
        }
    }

    /// A maildrop of so many messages of about 2,000 octets.
    pub(crate) fn with_messages(count: u32) -> Self {
        let world = Self::new();
        world.fill(1..=count, 2_000);
        world
    }

    pub(crate) fn deliver(&self, bytes: &[u8]) -> Uid {
        self.deliver_on(0, bytes)
    }

    /// Messages of these numbers, of about so many octets each.
    pub(crate) fn fill(&self, numbers: impl IntoIterator<Item = u32>, length: usize) {
        for number in numbers {
            self.deliver(&mail(number, length));
        }
    }

    /// Received on this day since the first of 2026.
    pub(crate) fn deliver_on(&self, day: i64, bytes: &[u8]) -> Uid {
        let date = InternalDate::from_unix(1_767_225_600 + day * 86_400, 0);
        self.store.append(USER, "INBOX", &Flags::new(), &date, bytes).unwrap()
    }

    /// Another client deletes these.
    pub(crate) fn expunge(&self, uids: &str) {
        self.store.expunge(USER, "INBOX", &UidSet::parse(uids).unwrap()).unwrap();
    }

    pub(crate) fn on_server(&self) -> Vec<StoredMessage> {
        self.store.messages(USER, "INBOX").unwrap()
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.archive.path().join("a")
    }

    /// One run. The server was never asked to delete anything.
    pub(crate) fn pull(&self, behaviour: Behaviour) -> (Ledger, ScriptedPop3) {
        self.pull_watched(behaviour, &())
    }

    pub(crate) fn pull_watched(
        &self,
        behaviour: Behaviour,
        progress: &dyn Progress,
    ) -> (Ledger, ScriptedPop3) {
        let server = ScriptedPop3::start(self.store.clone(), behaviour);
        let ledger = self.pull_from(&server, progress);
        (ledger, server)
    }

    /// One run against a server that goes on running.
    pub(crate) fn pull_from(&self, server: &ScriptedPop3, progress: &dyn Progress) -> Ledger {
        let protocol = Protocol::Pop3(self.options);
        let ledger = self.run("a", protocol, server.port(), progress);
        let log = server.log();
        assert!(log.iter().all(|line| !line.starts_with("DELE") && !line.starts_with("RSET")), "{log:?}");
        assert_eq!(ledger.protocol, "pop3");
        ledger
    }

    pub(crate) fn pull_with(&self, faults: impl IntoIterator<Item = Fault>) -> Ledger {
        self.pull(with(faults)).0
    }

    /// One run of an account over IMAP, from the same mail.
    pub(crate) fn pull_over_imap(&self, account: &str) -> Ledger {
        let server = Scripted::start(self.store.clone(), server::Behaviour::modern());
        self.run(account, Protocol::Imap, server.port(), &())
    }

    fn run(&self, account: &str, protocol: Protocol, port: u16, progress: &dyn Progress) -> Ledger {
        let mut writer = Writer::open(&self.path(), WriterOptions::default()).unwrap();
        let job = Job {
            account: account.into(),
            protocol,
            endpoint: Endpoint {
                host: "127.0.0.1".into(),
                port,
                security: self.security,
                extra_authorities: self.authority.clone().into_bytes(),
                extra_authorities_from: String::new(),
            },
            credentials: Credentials { user: self.user.clone(), password: "pass".to_owned().into() },
            filter: FolderFilter::new(&[], &[]).unwrap(),
            limits: self.limits.clone(),
        };
        pull(&mut writer, &job, &self.clock, progress, &Stop::default())
    }

    /// The run is `ok`, and the archive has each message of the maildrop, byte for byte, once.
    pub(crate) fn assert_whole(&self, ledger: &Ledger) {
        assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
        assert_eq!(self.held(), self.keys_on_server());
        let count = self.on_server().len() as u64;
        assert_eq!((ledger.totals.on_server, ledger.totals.archived), (count, count), "{ledger:#?}");
    }

    /// The keys of what is on the server, sorted.
    pub(crate) fn keys_on_server(&self) -> Vec<MessageKey> {
        let mut keys: Vec<_> =
            self.on_server().iter().map(|message| MessageKey::of(&message.bytes)).collect();
        keys.sort_unstable();
        keys
    }

    /// The keys of what the archive holds of INBOX, each message read back in full; sorted.
    pub(crate) fn held(&self) -> Vec<MessageKey> {
        let archive = Archive::open(&self.path()).unwrap();
        let read = |placement: &PlacementInfo| {
            MessageKey::of(&archive.view().read_to_vec(&placement.message).unwrap())
        };
        let mut held: Vec<_> = placements(&archive, "a", "INBOX").iter().map(read).collect();
        held.sort_unstable();
        held
    }

    /// What the archive knows of INBOX of an account, by UID.
    pub(crate) fn placements(&self, account: &str) -> Vec<PlacementInfo> {
        placements(&Archive::open(&self.path()).unwrap(), account, "INBOX")
    }

    /// How many messages the archive has, each counted once.
    pub(crate) fn stored(&self) -> u64 {
        Archive::open(&self.path()).unwrap().view().totals(None).unwrap().messages
    }
}

/// A modern server with these faults.
pub(crate) fn with(faults: impl IntoIterator<Item = Fault>) -> Behaviour {
    faults.into_iter().fold(Behaviour::modern(), Behaviour::with_fault)
}

/// How often a command was given.
pub(crate) fn asked(server: &ScriptedPop3, command: &str) -> usize {
    let is_meant = |line: &&String| line.split(' ').next() == Some(command);
    server.log().iter().filter(is_meant).count()
}

/// Acts with each message that has come.
pub(crate) struct WhenMessageComes<F>(pub(crate) F);

impl<F: Fn() + Send + Sync> Progress for WhenMessageComes<F> {
    fn message(&self, _bytes: u64) {
        (self.0)();
    }
}
