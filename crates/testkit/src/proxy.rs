//! A proxy on loopback that does harm: it cuts or stalls connections after n octets, and counts; or it
//! is a long line, on which octets take their time.
//!
//! It forwards octets as they are, so TLS passes through; what a client sees is a network that
//! fails. Harm is planned per connection, from a seed where it should differ.

mod line;

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use line::{Line, Way};
use server::sample::Random;

/// Which way octets go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// What happens to the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Both sides see its end.
    Cut,
    /// Nothing more comes through in this direction, and nobody is told.
    Stall,
}

/// What the proxy does to connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Harm {
    /// Nothing.
    None,
    /// Each connection fails when so many octets have passed in this direction.
    Each {
        /// Where they are counted.
        direction: Direction,
        /// How many pass.
        octets: u64,
        /// What happens then.
        how: How,
    },
    /// Each connection is cut after a number of octets to the client that the seed decides: at
    /// least 1, below `most`. After `times` cuts there is no more harm.
    Seeded {
        /// Equal seeds make equal cuts.
        seed: u64,
        /// No cut comes later.
        most: u64,
        /// How many connections are cut.
        times: u32,
    },
    /// New connections are closed at once.
    Refuse,
}

/// A running proxy. Dropping it ends all its connections.
pub struct FaultProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    listener: Option<JoinHandle<()>>,
}

struct Shared {
    target: SocketAddr,
    plan: Mutex<Plan>,
    to_server: AtomicU64,
    to_client: AtomicU64,
    connections: AtomicU64,
    /// How long an octet and the answer to it take, if not no time at all.
    round_trip: Option<Duration>,
    round_trips: Arc<AtomicU64>,
    over: AtomicBool,
    /// Wakes those that stall when all is over.
    stalled: Condvar,
}

struct Plan {
    harm: Harm,
    random: Random,
    cuts: u32,
    open: Vec<TcpStream>,
}

/// Where one connection fails.
#[derive(Clone, Copy)]
struct Limit {
    direction: Direction,
    octets: u64,
    how: How,
}

impl FaultProxy {
    /// Listens on a free port and forwards to `target`.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start(target: SocketAddr, harm: Harm) -> Self {
        Self::start_with(target, harm, None)
    }

    /// Does no harm, but octets take half of this time in each direction, however many there are.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn long_line(target: SocketAddr, round_trip: Duration) -> Self {
        Self::start_with(target, Harm::None, Some(round_trip))
    }

    fn start_with(target: SocketAddr, harm: Harm, round_trip: Option<Duration>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let random = Random::new(seed_of(&harm));
        let plan = Mutex::new(Plan { harm, random, cuts: 0, open: Vec::new() });
        let shared = Arc::new(Shared {
            target,
            plan,
            to_server: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            round_trip,
            round_trips: Arc::default(),
            over: AtomicBool::new(false),
            stalled: Condvar::new(),
        });
        let listening = Arc::clone(&shared);
        let listener = thread::spawn(move || listen(&listener, &listening));
        Self { address, shared, listener: Some(listener) }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Other harm, for connections from now on.
    pub fn set_harm(&self, harm: Harm) {
        let mut plan = self.shared.plan();
        plan.random = Random::new(seed_of(&harm));
        plan.harm = harm;
        plan.cuts = 0;
    }

    /// Cuts all connections that are open now.
    pub fn cut_all(&self) {
        for stream in self.shared.plan().open.drain(..) {
            // One that is over already is cut.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Octets that went through in this direction, over all connections.
    #[must_use]
    pub fn octets(&self, direction: Direction) -> u64 {
        self.shared.counter(direction).load(Ordering::Relaxed)
    }

    /// Times that a client has waited for an answer with a [long line](Self::long_line) idle, the waits
    /// for greetings included.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.shared.round_trips.load(Ordering::Relaxed)
    }

    /// Connections taken.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.shared.connections.load(Ordering::Relaxed)
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.over.store(true, Ordering::SeqCst);
        self.cut_all();
        // Under the lock, so that nobody begins to wait after the call.
        drop(self.shared.plan());
        self.shared.stalled.notify_all();
        // The listener wakes up to see that it is over.
        let _ = TcpStream::connect(self.address);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

fn seed_of(harm: &Harm) -> u64 {
    if let Harm::Seeded { seed, .. } = harm { *seed } else { 0 }
}

impl Shared {
    fn plan(&self) -> MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counter(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }
}

impl Plan {
    /// What awaits the next connection; an error is its end.
    fn next_limit(&mut self) -> Result<Option<Limit>, ()> {
        match self.harm {
            Harm::None => Ok(None),
            Harm::Refuse => Err(()),
            Harm::Each { direction, octets, how } => Ok(Some(Limit { direction, octets, how })),
            Harm::Seeded { most, times, .. } => {
                if self.cuts >= times {
                    return Ok(None);
                }
                self.cuts += 1;
                let octets = 1 + self.random.number() % most.saturating_sub(1).max(1);
                Ok(Some(Limit { direction: Direction::ToClient, octets, how: How::Cut }))
            }
        }
    }
}

fn listen(listener: &TcpListener, shared: &Arc<Shared>) {
    for client in listener.incoming() {
        if shared.is_over() {
            return;
        }
        let Ok(client) = client else { continue };
        shared.connections.fetch_add(1, Ordering::Relaxed);
        // A server that cannot be reached is for the client to see, as a closed connection.
        let _ = forward(client, shared);
    }
}

fn forward(client: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    let limit = shared.plan().next_limit();
    let Ok(limit) = limit else { return client.shutdown(Shutdown::Both) };
    let server = TcpStream::connect(shared.target)?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        shared.plan().open.push(stream.try_clone()?);
    }
    let line = shared.round_trip.map(|round_trip| Arc::new(Line::new(round_trip, &shared.round_trips)));
    let ways = [
        (Direction::ToServer, client.try_clone()?, server.try_clone()?),
        (Direction::ToClient, server, client),
    ];
    for (direction, from, to) in ways {
        let shared = Arc::clone(shared);
        let limit = limit.filter(|limit| limit.direction == direction);
        let way = match &line {
            Some(line) => Some(Way::new(Arc::clone(line), direction, to.try_clone()?)),
            None => None,
        };
        thread::spawn(move || {
            pump(&from, &to, way, direction, limit, &shared);
        });
    }
    Ok(())
}

fn pump(
    mut from: &TcpStream,
    mut to: &TcpStream,
    way: Option<Way>,
    direction: Direction,
    limit: Option<Limit>,
    shared: &Shared,
) {
    let mut left = limit.map(|limit| limit.octets);
    let mut buffer = [0; 16 << 10];
    loop {
        if let (Some(0), Some(limit)) = (left, limit) {
            if limit.how == How::Stall {
                let plan = shared.plan();
                drop(shared.stalled.wait_while(plan, |_| !shared.is_over()));
            }
            break;
        }
        let Ok(octets @ 1..) = from.read(&mut buffer) else { break };
        let passing = left.map_or(octets, |left| octets.min(usize::try_from(left).unwrap_or(octets)));
        let passes = match &way {
            Some(way) => way.put(&buffer[..passing]),
            None => to.write_all(&buffer[..passing]).is_ok(),
        };
        if !passes {
            break;
        }
        shared.counter(direction).fetch_add(passing as u64, Ordering::Relaxed);
        left = left.map(|left| left - passing as u64);
    }
    drop(way);
    // Either end may be closed already.
    let _ = from.shutdown(Shutdown::Both);
    let _ = to.shutdown(Shutdown::Both);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use super::*;

    /// A server that sends 1000 octets to each client.
    fn talker() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let _ = stream.unwrap().write_all(&[7; 1000]);
            }
        });
        address
    }

    fn heard(proxy: &FaultProxy) -> usize {
        let mut octets = Vec::new();
        let _ = TcpStream::connect(proxy.address()).unwrap().read_to_end(&mut octets);
        octets.len()
    }

    #[test]
    fn a_connection_is_cut_at_the_octet() {
        let proxy = FaultProxy::start(talker(), Harm::None);
        assert_eq!(heard(&proxy), 1000);
        proxy.set_harm(Harm::Each { direction: Direction::ToClient, octets: 123, how: How::Cut });
        assert_eq!((heard(&proxy), heard(&proxy)), (123, 123));
        assert_eq!((proxy.octets(Direction::ToClient), proxy.connections()), (1246, 3));
        proxy.set_harm(Harm::Refuse);
        assert_eq!(heard(&proxy), 0);
    }

    #[test]
    fn seeded_cuts_come_again_and_have_an_end() {
        let cuts = |seed| {
            let proxy = FaultProxy::start(talker(), Harm::Seeded { seed, most: 900, times: 3 });
            (0..4).map(|_| heard(&proxy)).collect::<Vec<_>>()
        };
        assert_eq!(cuts(5), cuts(5));
        assert_ne!(cuts(5), cuts(6));
        assert_eq!(cuts(5)[3], 1000);
    }

    #[test]
    fn a_stalled_connection_ends_with_the_proxy() {
        let proxy = FaultProxy::start(
            talker(),
            Harm::Each { direction: Direction::ToClient, octets: 10, how: How::Stall },
        );
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        let mut octets = [0; 10];
        stream.read_exact(&mut octets).unwrap();
        drop(proxy);
        let _ = stream.read_to_end(&mut Vec::new());
    }

    #[test]
    fn a_long_line_counts_the_waits_and_not_what_is_said() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let target = listener.local_addr().unwrap();
        thread::spawn(move || {
            let mut stream = listener.accept().unwrap().0;
            stream.write_all(b"hello").unwrap();
            let mut octet = [0];
            while stream.read_exact(&mut octet).is_ok() {
                stream.write_all(&octet).unwrap();
            }
        });
        let proxy = FaultProxy::long_line(target, Duration::from_millis(40));
        let mut stream = TcpStream::connect(proxy.address()).unwrap();
        stream.set_nodelay(true).unwrap();
        let mut heard = [0; 5];
        stream.read_exact(&mut heard).unwrap();
        for said in [b"a", b"b"] {
            stream.write_all(said).unwrap();
            stream.read_exact(&mut heard[..1]).unwrap();
        }
        assert_eq!(proxy.round_trips(), 3, "the greeting, and two questions");
        stream.write_all(b"cde").unwrap();
        stream.read_exact(&mut heard[..3]).unwrap();
        assert_eq!((proxy.round_trips(), &heard[..3]), (4, &b"cde"[..]), "what is asked together costs one");
        stream.write_all(b"f").unwrap();
        drop(stream);
    }
}
