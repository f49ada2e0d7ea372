//! The two directions of one connection, whatever they are made of and whether they are encrypted.
//!
//! What is said over them is the affair of each protocol's own wire.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::task::Poll;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::limits;
use crate::tls::TlsConfig;

/// The connection is over, or must be.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The client has gone, or the server went on purpose.
    Gone,
    /// The client broke a limit or the framing; it is told so before it is sent away.
    Abuse(Cow<'static, str>),
}

impl Broken {
    pub(crate) fn abuse(what: &'static str) -> Self {
        Self::Abuse(Cow::Borrowed(what))
    }
}

impl From<io::Error> for Broken {
    fn from(_: io::Error) -> Self {
        // Whatever the cause, nobody is left to be told.
        Self::Gone
    }
}

/// A connection's two directions, whatever they are made of: TCP, or memory.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, as far as it is encrypted by now.
pub(crate) enum Transport {
    Plain(Box<dyn Stream>),
    Tls(Box<TlsStream<Box<dyn Stream>>>),
    Gone,
}

impl Transport {
    pub(crate) fn new(stream: Box<dyn Stream>) -> Self {
        Self::Plain(stream)
    }

    /// Takes up TLS as the server's side.
    pub(crate) async fn start_tls(&mut self, config: TlsConfig) -> Result<(), Broken> {
        let Self::Plain(stream) = std::mem::replace(self, Self::Gone) else {
            return Err(Broken::Gone);
        };
        *self = Self::Tls(Box::new(TlsAcceptor::from(config).accept(stream).await?));
        Ok(())
    }

    /// Adds what has come, at most so many octets, to the buffer; how many. 0 is the end.
    pub(crate) async fn read(&mut self, buffer: &mut Vec<u8>, most: u64) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.take(most).read_buf(buffer).await,
            Self::Tls(stream) => stream.take(most).read_buf(buffer).await,
            Self::Gone => Ok(0),
        }
    }

    pub(crate) async fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.write_all(octets).await,
            Self::Tls(stream) => {
                stream.write_all(octets).await?;
                stream.flush().await
            }
            Self::Gone => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Drops the connection without a word; over TLS without close_notify. What was sent before
    /// arrives: unread input is taken first, for it would turn the end into a reset.
    pub(crate) async fn cut(&mut self) -> Broken {
        let mut transport = std::mem::replace(self, Self::Gone);
        let stream = match &mut transport {
            Self::Plain(stream) => stream,
            Self::Tls(stream) => stream.get_mut().0,
            Self::Gone => return Broken::Gone,
        };
        while took_some(stream).await {}
        // The end of the connection is what is wanted; a failure is the same.
        let _ = stream.shutdown().await;
        Broken::Gone
    }

    /// Loses what has come and was not read.
    pub(crate) async fn discard(&mut self) {
        match self {
            Self::Plain(stream) => while took_some(stream).await {},
            Self::Tls(stream) => while took_some(stream.as_mut()).await {},
            Self::Gone => {}
        }
    }

    /// Says nothing more and reads on until the client goes.
    pub(crate) async fn fall_silent(&mut self) -> Broken {
        let mut unheard = Vec::with_capacity(limits::READ);
        while self.read(&mut unheard, limits::READ as u64).await.is_ok_and(|octets| octets > 0) {
            unheard.clear();
        }
        Broken::Gone
    }

    /// Closes in good order.
    pub(crate) async fn close(&mut self) {
        // Nobody waits for the outcome of a farewell.
        let _ = match self {
            Self::Plain(stream) => stream.shutdown().await,
            Self::Tls(stream) => stream.shutdown().await,
            Self::Gone => Ok(()),
        };
    }
}

/// Takes what has come, without waiting for more. Whether there was any.
async fn took_some(stream: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut unread = [0; 4096];
    let mut unread = ReadBuf::new(&mut unread);
    std::future::poll_fn(|cx| {
        let read = Pin::new(&mut *stream).poll_read(cx, &mut unread);
        Poll::Ready(matches!(read, Poll::Ready(Ok(()))) && !unread.filled().is_empty())
    })
    .await
}
