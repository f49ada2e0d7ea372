//! The embedded mail server on a thread of its own, so that it answers while the engine works: the
//! demo's mailbox, and the one that a drill restores to.
//!
//! It listens on a loopback port that the system chooses, without TLS, and only the user that the
//! caller has put into the [`Store`] gets in. It lives as long as its [`Embedded`].

use std::io;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread::JoinHandle;

use server::{Behaviour, Server, Store};
use tokio::sync::oneshot;

/// A running server. Dropping it ends it.
pub(super) struct Embedded {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Serves this mail.
    ///
    /// # Errors
    /// When the system has no port or thread left.
    pub(super) fn start(store: &Store) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let (told, telling) = mpsc::channel();
        let store = store.clone();
        let serve = move || {
            runtime.block_on(async {
                match Server::start(store, Behaviour::modern()).await {
                    Err(error) => drop(told.send(Err(error))),
                    Ok(server) => {
                        let _ = told.send(Ok(server.address()));
                        // Stopped or dropped: both mean that it is wanted no more.
                        let _ = stopped.await;
                        server.stop().await;
                    }
                }
            });
        };
        let thread = std::thread::Builder::new().name("server".to_owned()).spawn(serve)?;
        let address = telling.recv().map_err(|_| io::Error::other("its thread has ended"))??;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The same for the engine.
    pub(super) fn endpoint(&self) -> remote::Endpoint {
        remote::Endpoint {
            host: self.address.ip().to_string(),
            port: self.address.port(),
            security: remote::Security::Plain,
            extra_authorities: Vec::new(),
            extra_authorities_from: String::new(),
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // One that has panicked has ended, too.
            let _ = thread.join();
        }
    }
}
