//! From a host name to a private stream of octets: addresses, TCP, TLS, counting, compression, patience,
//! and how fast it may come.

pub(crate) mod clock;
pub(crate) mod connect;
pub(crate) mod deflate;
pub(crate) mod layer;
pub(crate) mod meter;
pub(crate) mod network;
pub(crate) mod throttle;
pub(crate) mod tls;

use tokio::io::{AsyncRead, AsyncWrite};

/// A connection, whatever it is made of.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}
