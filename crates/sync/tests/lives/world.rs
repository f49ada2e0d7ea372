//! The world of a life: a server and a line to it in this process, a disk in memory, a clock that
//! stands unless it is looked at, and the archive that the engine fills there.

use std::path::Path;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use archive::disk::simulated::SimulatedDisk;
use archive::{Archive, Place, Seeded, Writer, WriterOptions, init_at};
use futures::future::BoxFuture;
use remote::{Connection, Network};
use restante_sync::{Clock, Ledger, Progress, Protocol, PullLimits, Stop, Surroundings, Time, pull_in};
use server::Host;
use tokio::io::DuplexStream;

use crate::dice::{Dice, PauseDice};
use crate::paused::{job, runtime};

/// More connections than this in one run, and the engine is going round in circles.
const MOST_CONNECTIONS: usize = 400;
/// Octets under way in each direction.
const ON_THE_LINE: usize = 64 << 10;

/// A run that came to its end.
pub(crate) struct Pulled {
    /// By the wall clock: what the run is known by.
    pub(crate) started: i64,
    pub(crate) ledger: Ledger,
    /// The archive could read all of its own journal when it was opened; if not, it has said so.
    pub(crate) knows_all: bool,
}

/// A server in this process, of whatever protocol.
pub(crate) trait Hosting: Clone + Send + Sync + 'static {
    fn serve(&self, stream: DuplexStream) -> impl Future<Output = ()> + Send;

    fn protocol(&self) -> Protocol;
}

impl Hosting for Host {
    async fn serve(&self, stream: DuplexStream) {
        self.serve(stream).await;
    }

    fn protocol(&self) -> Protocol {
        Protocol::Imap
    }
}

pub(crate) struct World<H = Host> {
    pub(crate) host: H,
    pub(crate) disk: SimulatedDisk,
    /// A sync has failed, and what it should have kept may be gone.
    pub(crate) disk_lied: bool,
    chance: Arc<Seeded>,
    options: WriterOptions,
    limits: PullLimits,
    clock: Clockwork,
}

impl<H: Hosting> World<H> {
    pub(crate) fn new(dice: &mut Dice, host: H) -> Self {
        let disk = SimulatedDisk::new();
        let chance = Arc::new(Seeded::new(dice.number()));
        let options = WriterOptions {
            pack_bytes: *dice.pick(&[4_000, 20_000, 1 << 20]).unwrap(),
            block_bytes: *dice.pick(&[2_000, 1 << 20]).unwrap(),
            level: 1,
        };
        let commit_bytes = *dice.pick(&[500, 5_000, 1 << 20]).unwrap();
        let limits = PullLimits { commit_bytes, reserve_bytes: 0, ..PullLimits::default() };
        let world =
            Self { host, disk, disk_lied: false, chance, options, limits, clock: Clockwork::default() };
        init_at(&world.place(), &*world.chance).unwrap();
        world
    }

    fn place(&self) -> Place {
        Place::on(Arc::new(self.disk.clone()), Path::new("/archive"), None)
    }

    pub(crate) fn archive(&self) -> archive::Result<Archive> {
        Archive::open_at(self.place())
    }

    pub(crate) fn verify(&self) -> archive::Result<archive::VerifyReport> {
        archive::verify_at(&self.place(), archive::Depth::Full, None, &mut |_| {})
    }

    /// One run, from the opening of the archive to its end. An error is one of the opening.
    pub(crate) fn pull(
        &self,
        dice: &mut Dice,
        refused: usize,
        progress: &dyn Progress,
    ) -> archive::Result<Pulled> {
        let started = self.clock.next_hour();
        self.chance.set_clock(started);
        let network = InProcess { host: self.host.clone(), connections: AtomicUsize::new(0), refused };
        let surroundings = Surroundings {
            clock: &self.clock,
            network: &network,
            dice: &PauseDice(Mutex::new(dice.split())),
            time: Time::Paused(runtime),
            progress,
            stop: &Stop::default(),
        };
        let mut writer = Writer::open_at(self.place(), self.chance.clone(), self.options)?;
        let knows_all = writer.damage().is_empty();
        let ledger = pull_in(surroundings, &mut writer, &job("life", self.host.protocol(), &self.limits));
        Ok(Pulled { started, ledger, knows_all })
    }

    /// Time goes by in which nothing happens.
    pub(crate) fn days_go_by(&self, days: i64) {
        self.clock.hours.fetch_add(24 * days, Ordering::Relaxed);
    }
}

/// A line to a server in this process.
struct InProcess<H> {
    host: H,
    connections: AtomicUsize,
    refused: usize,
}

impl<H: Hosting> Network for InProcess<H> {
    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        _limit: Duration,
    ) -> BoxFuture<'a, Result<Connection, remote::Error>> {
        Box::pin(async move {
            let number = self.connections.fetch_add(1, Ordering::Relaxed);
            assert!(number < MOST_CONNECTIONS, "the engine connects again and again");
            if number < self.refused {
                let attempts = "refused".to_owned();
                return Err(remote::Error::Connect { host: host.to_owned(), port, attempts });
            }
            let (client, server) = tokio::io::duplex(ON_THE_LINE);
            let host = self.host.clone();
            tokio::spawn(async move { host.serve(server).await });
            Ok(Connection { stream: Box::new(client), is_local: true })
        })
    }
}

/// Goes on by a millisecond whenever it is looked at, and by an hour with each run.
#[derive(Debug, Default)]
struct Clockwork {
    hours: AtomicI64,
    looks: AtomicU64,
}

impl Clockwork {
    fn next_hour(&self) -> i64 {
        self.hours.fetch_add(1, Ordering::Relaxed);
        self.unix_ms()
    }
}

impl Clock for Clockwork {
    fn unix_ms(&self) -> i64 {
        1_795_000_000_000 + 3_600_000 * self.hours.load(Ordering::Relaxed)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.looks.fetch_add(1, Ordering::Relaxed))
    }
}
