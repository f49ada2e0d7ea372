//! Listening, whatever the protocol.
//!
//! Each connection is a task of its own on the caller's runtime; when the listener stops or is
//! dropped, all of them end.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// A running listener. Dropping it stops it.
pub(crate) struct Listener {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: Option<JoinHandle<()>>,
}

impl Listener {
    /// Listens, and serves until it is stopped.
    pub(crate) async fn start<S>(
        address: SocketAddr,
        serve: impl Fn(TcpStream) -> S + Send + 'static,
    ) -> io::Result<Self>
    where
        S: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let stop = watch::Sender::new(false);
        let task = tokio::spawn(listen(listener, serve, stop.subscribe()));
        Ok(Self { address, stop, task: Some(task) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Drops all connections and listens no more.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(task) = self.task.take() {
            // A listener that panicked has stopped as well.
            let _ = task.await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// How long to wait when the system has no descriptors left for a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

async fn listen<S>(listener: TcpListener, serve: impl Fn(TcpStream) -> S, mut stop: watch::Receiver<bool>)
where
    S: Future<Output = ()> + Send + 'static,
{
    let mut sessions = JoinSet::new();
    loop {
        tokio::select! {
            // The only change there is, and the sender's end, both say to stop.
            _ = stop.changed() => break,
            Some(_) = sessions.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // Answers are sent whole; waiting to fill a packet would only delay them.
                    let _ = stream.set_nodelay(true);
                    sessions.spawn(serve(stream));
                }
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
        }
    }
    sessions.shutdown().await;
}
