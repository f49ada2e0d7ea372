//! From a name to a TCP connection (RFC 8305, "happy eyeballs").
//!
//! Every address is tried. When one does not answer within 250 ms, the next, of the other family if
//! there is one, is tried beside it; the first that connects wins. So an IPv6 route into nowhere
//! costs a quarter of a second, not a time-out.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use futures::stream::{FuturesUnordered, StreamExt};
use rustix::net::sockopt;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::error::Error;

/// The time that an address has before the next is tried beside it (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// More addresses than this are not tried; no mail host has as many.
const MOST_ADDRESSES: usize = 16;

/// So long a connection is silent before a sign of life is asked for. The most forgetful routers
/// forget after a few minutes.
const SILENCE: Duration = Duration::from_secs(60);
/// Between two questions that get no answer.
const BETWEEN_PROBES: Duration = Duration::from_secs(15);
/// So many are asked before the connection counts as dead.
const PROBES: u32 = 4;

/// Resolves and connects, all within `limit`.
pub(crate) async fn connect(host: &str, port: u16, limit: Duration) -> Result<TcpStream, Error> {
    let until = Instant::now() + limit;
    // Asked anew for each connection: names move.
    let asked = async { Ok(lookup_host((host, port)).await?.take(MOST_ADDRESSES).collect()) };
    let addresses = alternate(resolved(host, until, asked).await?);
    let stream = race(addresses, until, TcpStream::connect).await.map_err(|attempts| Error::Connect {
        host: host.to_owned(),
        port,
        attempts,
    })?;
    // Commands are small and pipelined; waiting to fill a segment would only delay them. A socket
    // that cannot do this works all the same.
    let _ = stream.set_nodelay(true);
    if let Err(error) = keep_alive(&stream) {
        tracing::debug!(%error, "a dead connection may be noticed late");
    }
    Ok(stream)
}

/// Has the system ask the other end for a sign of life while the connection is silent (RFC 9293
/// §3.8.4): routers on the way remember it, and one that is dead is known within two minutes.
fn keep_alive(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_tcp_keepidle(stream, SILENCE)?;
    sockopt::set_tcp_keepintvl(stream, BETWEEN_PROBES)?;
    sockopt::set_tcp_keepcnt(stream, PROBES)?;
    sockopt::set_socket_keepalive(stream, true)?;
    Ok(())
}

/// What the resolver answers in time.
async fn resolved(
    host: &str,
    until: Instant,
    asked: impl Future<Output = io::Result<Vec<SocketAddr>>>,
) -> Result<Vec<SocketAddr>, Error> {
    let late = || io::Error::new(io::ErrorKind::TimedOut, "the resolver did not answer in time");
    let answer = timeout_at(until, asked).await.unwrap_or_else(|_| Err(late()));
    answer.map_err(|source| Error::Resolve { host: host.to_owned(), source })
}

/// The families in turn, beginning with the resolver's first choice.
fn alternate(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let first_is_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut order = Vec::new();
    loop {
        let before = order.len();
        order.extend(first.next());
        order.extend(second.next());
        if order.len() == before {
            return order;
        }
    }
}

/// The first connection to come about, or every address with what became of it.
async fn race<T, F>(
    addresses: Vec<SocketAddr>,
    until: Instant,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, String>
where
    F: Future<Output = io::Result<T>>,
{
    let attempt = |address| {
        let connecting = connect(address);
        async move { (address, connecting.await) }
    };
    let mut waiting = addresses.into_iter();
    let mut running = FuturesUnordered::new();
    let mut tried = Vec::new();
    let mut failures = Vec::new();
    let mut next_start = Instant::now();
    loop {
        if running.is_empty() || Instant::now() >= next_start {
            match waiting.next() {
                Some(address) => {
                    tried.push(address);
                    running.push(attempt(address));
                    next_start = Instant::now() + HEAD_START;
                }
                None if running.is_empty() => break,
                None => next_start = until,
            }
        }
        tokio::select! {
            Some((address, result)) = running.next() => match result {
                Ok(connection) => return Ok(connection),
                Err(error) => {
                    tried.retain(|other| *other != address);
                    failures.push(format!("{}: {error}", address.ip()));
                    next_start = Instant::now();
                }
            },
            () = sleep_until(next_start.min(until)) => {
                if Instant::now() >= until {
                    failures.extend(tried.iter().map(|address| format!("{}: no answer", address.ip())));
                    break;
                }
            }
        }
    }
    if failures.is_empty() {
        failures.push("the name has no address".to_owned());
    }
    Err(failures.join("; "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        SocketAddr::new(text.parse().unwrap(), 143)
    }

    fn in_a_minute() -> Instant {
        Instant::now() + Duration::from_secs(60)
    }

    #[test]
    fn families_take_turns() {
        let order = ["::1", "::2", "::3", "1.1.1.1"].map(address).to_vec();
        assert_eq!(alternate(order), ["::1", "1.1.1.1", "::2", "::3"].map(address));
    }

    #[tokio::test(start_paused = true)]
    async fn n05_a_name_that_cannot_be_resolved_or_not_in_time_is_a_passing_fault_of_the_network() {
        let refused = async { Err(io::Error::other("server failure")) };
        let error = resolved("mail.example.org", in_a_minute(), refused).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot find the address of mail.example.org: server failure");
        assert_eq!(error.kind(), crate::Kind::Network);
        let error = resolved("mail.example.org", in_a_minute(), std::future::pending()).await.unwrap_err();
        assert!(error.to_string().contains("did not answer in time"), "{error}");
        assert_eq!(error.kind(), crate::Kind::Network);
    }

    #[tokio::test(start_paused = true)]
    async fn n06_a_black_hole_costs_a_quarter_of_a_second() {
        let start = Instant::now();
        let connect = |to: SocketAddr| async move {
            if to.is_ipv6() {
                std::future::pending::<()>().await;
            }
            Ok(to)
        };
        let addresses = ["::1", "1.1.1.1"].map(address).to_vec();
        assert_eq!(race(addresses, in_a_minute(), connect).await, Ok(address("1.1.1.1")));
        assert_eq!(start.elapsed().as_millis(), 250);
    }

    #[tokio::test(start_paused = true)]
    async fn n05_all_addresses_are_tried_and_named() {
        let connect = |to: SocketAddr| async move {
            match to.is_ipv6() {
                true => std::future::pending::<io::Result<()>>().await,
                false => Err(io::Error::new(io::ErrorKind::ConnectionRefused, "refused")),
            }
        };
        let addresses = ["1.1.1.1", "::1", "1.1.1.2"].map(address).to_vec();
        let error = race(addresses, in_a_minute(), connect).await.unwrap_err();
        assert_eq!(error, "1.1.1.1: refused; 1.1.1.2: refused; ::1: no answer");
        let none = race(Vec::new(), in_a_minute(), connect).await.unwrap_err();
        assert_eq!(none, "the name has no address");
    }
}
