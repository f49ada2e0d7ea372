//! Where connections come from: the network of this machine, or one that a test has made.
//!
//! Everything above it (TLS, the IMAP client, the engine) takes a [`Network`] as it takes a clock, so
//! that whole lives of an account can be played against a server in the same process, without a
//! socket, octet for octet the same each time.

use std::time::Duration;

use futures::future::BoxFuture;

use super::Transport;
use super::connect::connect;
use crate::error::Error;

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
