//! The project's own servers, each on a thread of its own, for tests that have no runtime.

use std::ops::Deref;
use std::sync::mpsc;
use std::thread::JoinHandle;

use server::{Behaviour, Server, Store, pop3};
use tokio::sync::oneshot;

/// A running IMAP [`Server`]; everything that a server can be asked, it can be asked. Dropping it
/// drops all connections.
pub struct Scripted(OwnThread<Server>);

impl Scripted {
    /// Starts a server on loopback.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start(store: Store, behaviour: Behaviour) -> Self {
        Self(OwnThread::start(async || Server::start(store, behaviour).await))
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
        self.0.server()
    }
}

/// The same for a POP3 server.
pub struct ScriptedPop3(OwnThread<pop3::Server>);

impl ScriptedPop3 {
    /// Starts a server on loopback.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn start(store: Store, behaviour: pop3::Behaviour) -> Self {
        Self(OwnThread::start(async || pop3::Server::start(store, behaviour).await))
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address().port()
    }
}

impl Deref for ScriptedPop3 {
    type Target = pop3::Server;

    fn deref(&self) -> &pop3::Server {
        self.0.server()
    }
}

/// A server and the thread that it runs on.
struct OwnThread<S> {
    server: Option<S>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl<S: Send + 'static> OwnThread<S> {
    fn start(start: impl AsyncFnOnce() -> std::io::Result<S> + Send + 'static) -> Self {
        let (give, take) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime can be made");
            runtime.block_on(async {
                let server = start().await.expect("the server can listen");
                assert!(give.send(server).is_ok(), "the test waits for its server");
                // An answer and a dropped sender both say to stop.
                let _ = stopped.await;
            });
        });
        let server = take.recv().expect("the server has started");
        Self { server: Some(server), stop: Some(stop), thread: Some(thread) }
    }

    fn server(&self) -> &S {
        self.server.as_ref().expect("the server is there until it is dropped")
    }
}

impl<S> Drop for OwnThread<S> {
    fn drop(&mut self) {
        drop(self.server.take());
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A server that panicked has stopped as well; the test has its own opinion of it.
            let _ = thread.join();
        }
    }
}
