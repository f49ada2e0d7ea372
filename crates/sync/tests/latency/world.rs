//! One account behind a long line, and its archive.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use archive::{Writer, WriterOptions};
use message::{Flags, InternalDate};
use restante_sync::{
    Chance, Clock, Ledger, Outcome, Protocol, PullLimits, Stop, Surroundings, Time, pull_in,
};
use server::{Behaviour, Host, Store};

use crate::line::LongLine;
use crate::paused::{USER, job, runtime};

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) limits: PullLimits,
    archive: tempfile::TempDir,
    clock: Hours,
}

/// What a run has cost.
#[derive(Debug)]
pub(crate) struct Cost {
    /// Without the handshake of TCP.
    pub(crate) round_trips: u64,
    pub(crate) commands: usize,
    pub(crate) octets: u64,
}

impl World {
    /// INBOX and folders beside it, so many in all, each with so many messages.
    pub(crate) fn new(folders: u32, messages: u32) -> Self {
        let store = Store::new();
        store.add_user(USER, "pass");
        let archive = tempfile::tempdir().unwrap();
        archive::init(&archive.path().join("a")).unwrap();
        let limits = PullLimits { reserve_bytes: 0, ..PullLimits::default() };
        let world = Self { store, archive, limits, clock: Hours::default() };
        for folder in 0..folders {
            let name = if folder == 0 { "INBOX".to_owned() } else { format!("folder {folder}") };
            if folder > 0 {
                world.store.create(USER, &name).unwrap();
            }
            (0..messages).for_each(|number| world.deliver(&name, folder * messages + number, "\\Seen"));
        }
        world
    }

    pub(crate) fn deliver(&self, mailbox: &str, number: u32, flags: &str) {
        let bytes =
            format!("Subject: {number}\r\n\r\n{}\r\n", "line of text ".repeat(20 + number as usize % 40));
        let date = InternalDate::from_unix(1_772_445_600 + i64::from(number), 0);
        self.store.append(USER, mailbox, &Flags::parse(flags), &date, bytes.as_bytes()).unwrap();
    }

    pub(crate) fn expunge(&self, mailbox: &str, uids: &str) {
        self.store.expunge(USER, mailbox, &message::UidSet::parse(uids).unwrap()).unwrap();
    }

    /// One run, which must be whole.
    pub(crate) fn pull(&self, behaviour: Behaviour) -> (Ledger, Cost) {
        let line = LongLine::to(Host::new(self.store.clone(), behaviour));
        self.clock.0.fetch_add(1, Ordering::SeqCst);
        let surroundings = Surroundings {
            clock: &self.clock,
            network: &line,
            dice: &Chance,
            time: Time::Paused(runtime),
            progress: &(),
            stop: &Stop::default(),
        };
        let mut writer = Writer::open(&self.archive.path().join("a"), WriterOptions::default()).unwrap();
        let ledger = pull_in(surroundings, &mut writer, &job("a", Protocol::Imap, &self.limits));
        assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
        let counts = line.host.counts();
        let cost = Cost {
            round_trips: line.round_trips(),
            commands: line.host.log().len(),
            octets: counts.octets_sent + counts.octets_received,
        };
        (ledger, cost)
    }
}

/// An afternoon on which no folder falls due to be looked at in full; an hour passes with each run.
#[derive(Debug, Default)]
struct Hours(AtomicI64);

impl Clock for Hours {
    fn unix_ms(&self) -> i64 {
        1_795_000_000_000 + 3_600_000 * self.0.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(u64::try_from(self.0.load(Ordering::SeqCst)).unwrap() * 3_600)
    }
}
