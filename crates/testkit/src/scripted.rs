//! The project's own server on a thread of its own, for tests that have no runtime.

use std::ops::Deref;
use std::sync::mpsc;
use std::thread::JoinHandle;

use server::{Behaviour, Server, Store};
use tokio::sync::oneshot;

/// A running [`Server`]; everything that a server can be asked, it can be asked. Dropping it drops
/// all connections.
pub struct Scripted {
    server: Option<Server>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Scripted {
    /// Starts a server on loopback.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start(store: Store, behaviour: Behaviour) -> Self {
        let (give, take) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async {
                let server = Server::start(store, behaviour).await.expect("the server can listen");
                give.send(server).expect("the test waits for its server");
                // An answer and a dropped sender both say to stop.
                let _ = stopped.await;
            });
        });
        let server = take.recv().expect("the server has started");
        Self { server: Some(server), stop: Some(stop), thread: Some(thread) }
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address().port()
    }
}

impl Deref for Scripted {
    type Target = Server;

    fn deref(&self) -> &Server {
        self.server.as_ref().expect("the server is there until it is dropped")
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        drop(self.server.take());
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A server that panicked has stopped as well; the test has its own opinion of it.
            let _ = thread.join();
        }
    }
}
