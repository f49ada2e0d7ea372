//! Where connections come from: the network of this machine, or one that a test has made.
//!
//! Everything above it (TLS, the clients, the engine) takes a [`Network`] as it takes a clock, so
//! that whole lives of an account can be played against a server in the same process, without a
//! socket, octet for octet the same each time.

use std::time::Duration;

use futures::future::BoxFuture;

use super::Transport;
use super::connect::connect;
use super::meter::{Counters, Meter};
use super::throttle::Throttled;
use super::tls::encrypt;
use crate::endpoint::{Endpoint, Security};
use crate::error::Error;
use crate::limits::Limits;

/// What connections are made through.
pub trait Network: Send + Sync {
    /// Connects to a host, all within `limit`.
    ///
    /// # Errors
    /// When no connection comes about.
    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Connection, Error>>;
}

/// A connection that was made.
pub struct Connection {
    /// Its two directions.
    pub stream: Box<dyn Transport>,
    /// Whether its other end is on this machine, where compression only costs time.
    pub is_local: bool,
}

/// A connection that is counted, and private if it is to be so from its first octet.
pub(crate) struct Reached {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) counters: Counters,
    pub(crate) is_local: bool,
}

/// Connects to a server; with TLS where that comes first.
pub(crate) async fn reach(
    network: &dyn Network,
    endpoint: &Endpoint,
    limits: &Limits,
) -> Result<Reached, Error> {
    let Connection { stream, is_local } =
        network.connect(&endpoint.host, endpoint.port, limits.connect).await?;
    let counters = Counters::default();
    let metered = Meter::new(stream, counters.clone());
    let throttled = Throttled::new(metered, limits.throttle.clone(), counters.clone());
    let transport: Box<dyn Transport> = match endpoint.security {
        Security::Implicit => Box::new(encrypt(endpoint, throttled, limits).await?),
        Security::StartTls | Security::Plain => Box::new(throttled),
    };
    Ok(Reached { transport, counters, is_local })
}

/// The network of this machine: names are resolved, and TCP connections made, by its own means.
#[derive(Clone, Copy, Debug, Default)]
pub struct Internet;

impl Network for Internet {
    fn connect<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        limit: Duration,
    ) -> BoxFuture<'a, Result<Connection, Error>> {
        Box::pin(async move {
            let stream = connect(host, port, limit).await?;
            let is_local = stream.peer_addr().is_ok_and(|peer| peer.ip().to_canonical().is_loopback());
            Ok(Connection { stream: Box::new(stream), is_local })
        })
    }
}
