//! A POP3 server that listens or is handed its clients, and what it keeps count of.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use message::Uid;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::{Duration, Instant};

use super::behaviour::{Behaviour, Uidls};
use super::fault::{Fault, Script};
use super::session::{self, Session};
use crate::limits;
use crate::listener::Listener;
use crate::store::Store;

/// What a server was asked and what it sent, over all connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections taken.
    pub connections: u64,
    /// Commands received, whatever became of them.
    pub commands: u64,
    /// Commands that were there before the one ahead of them was answered.
    pub pipelined: u64,
    /// How often a session had answered everything and waited for its client.
    pub round_trips: u64,
    /// Logins that succeeded.
    pub logins: u64,
    /// Logins that were refused.
    pub logins_refused: u64,
    /// Octets of message content that RETR was answered with, before stuffing.
    pub retrieved_octets: u64,
    /// The same of TOP.
    pub top_octets: u64,
    /// Octets sent, before encryption.
    pub octets_sent: u64,
    /// Octets received, as they were after decryption.
    pub octets_received: u64,
}

/// What all sessions of a server share.
pub(super) struct Shared {
    pub(super) store: Store,
    pub(super) behaviour: Behaviour,
    pub(super) script: Script,
    state: Mutex<State>,
    /// Changes whenever a maildrop is given back.
    given_back: watch::Sender<()>,
}

/// What changes while the server runs.
struct State {
    counts: Counts,
    log: Vec<String>,
    uidls: Uidls,
    /// By user.
    maildrops: BTreeMap<String, Access>,
}

/// What is remembered of a user's maildrop from session to session.
#[derive(Default)]
struct Access {
    open: bool,
    /// Logins yet to be refused because of a lock that nobody holds any more.
    kept_locked: u32,
    last_login: Option<Instant>,
    /// UIDVALIDITY and UID of what was fetched.
    fetched: BTreeSet<(u32, Uid)>,
}

/// Why nobody is let in, though the password is right.
pub(super) enum Closed {
    InUse,
    TooSoon,
}

impl Shared {
    fn new(store: Store, behaviour: Behaviour) -> Self {
        let script = Script::new(&behaviour.faults);
        let uidls = behaviour.uidls.clone();
        let state = State { counts: Counts::default(), log: Vec::new(), uidls, maildrops: BTreeMap::new() };
        Self { store, behaviour, script, state: Mutex::new(state), given_back: watch::Sender::new(()) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.state().counts);
    }

    pub(super) fn note(&self, line: &str) {
        let log = &mut self.state().log;
        if log.len() < limits::LOG_LINES {
            log.push(line.chars().take(limits::LOG_LINE).collect());
        }
    }

    pub(super) fn uidls(&self) -> Uidls {
        self.state().uidls.clone()
    }

    pub(super) fn is_fetched(&self, user: &str, validity: u32, uid: Uid) -> bool {
        self.state().maildrops.get(user).is_some_and(|access| access.fetched.contains(&(validity, uid)))
    }

    pub(super) fn note_fetched(&self, user: &str, validity: u32, uids: impl Iterator<Item = Uid>) {
        let mut state = self.state();
        let access = state.maildrops.entry(user.to_owned()).or_default();
        access.fetched.extend(uids.map(|uid| (validity, uid)));
    }

    /// Lets a session have the user's maildrop. One whose last session is about to end is waited
    /// for, or a client that was cut off could come back sooner than the server has noticed.
    pub(super) async fn enter(self: &Arc<Self>, user: &str) -> Result<Option<Lock>, Closed> {
        /// Longer than it takes to see that a client has gone.
        const PATIENCE: Duration = Duration::from_millis(250);
        let mut given_back = self.given_back.subscribe();
        let patience = tokio::time::sleep(PATIENCE);
        tokio::pin!(patience);
        loop {
            match self.try_enter(user) {
                Err(Closed::InUse) if self.is_open(user) => {}
                outcome => return outcome,
            }
            tokio::select! {
                () = &mut patience => return self.try_enter(user),
                _ = given_back.changed() => {}
            }
        }
    }

    fn is_open(&self, user: &str) -> bool {
        self.state().maildrops.get(user).is_some_and(|access| access.open)
    }

    fn try_enter(self: &Arc<Self>, user: &str) -> Result<Option<Lock>, Closed> {
        let mut state = self.state();
        let access = state.maildrops.entry(user.to_owned()).or_default();
        let now = Instant::now();
        if access.last_login.is_some_and(|last| now - last < self.behaviour.login_delay) {
            return Err(Closed::TooSoon);
        }
        if !self.behaviour.exclusive {
            access.last_login = Some(now);
            return Ok(None);
        }
        if access.open || access.kept_locked > 0 {
            access.kept_locked = access.kept_locked.saturating_sub(u32::from(!access.open));
            return Err(Closed::InUse);
        }
        (access.open, access.last_login) = (true, Some(now));
        Ok(Some(Lock {
            shared: Arc::clone(self),
            user: user.to_owned(),
            kept_for: self.behaviour.kept_locked,
        }))
    }
}

/// A user's maildrop, had by one session. When it is dropped, the session went without QUIT.
pub(super) struct Lock {
    shared: Arc<Shared>,
    user: String,
    /// So many logins are refused afterwards.
    kept_for: u32,
}

impl Lock {
    /// Given back in good order.
    pub(super) fn release(mut self) {
        self.kept_for = 0;
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if let Some(access) = self.shared.state().maildrops.get_mut(&self.user) {
            (access.open, access.kept_locked) = (false, self.kept_for);
        }
        self.shared.given_back.send_replace(());
    }
}

/// A server to which connections are handed as streams of octets in the same process. Clones are
/// the same server.
#[derive(Clone)]
pub struct Host(Arc<Shared>);

impl Host {
    /// A server of this kind for this mail.
    #[must_use]
    pub fn new(store: Store, behaviour: Behaviour) -> Self {
        Self(Arc::new(Shared::new(store, behaviour)))
    }

    /// Serves one client until it goes, or is sent away. TLS is spoken as the behaviour says.
    pub async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) {
        self.0.count(|counts| counts.connections += 1);
        session::serve(Session::new(Box::new(stream), Arc::clone(&self.0))).await;
    }

    /// The mail that it serves.
    #[must_use]
    pub fn store(&self) -> Store {
        self.0.store.clone()
    }

    /// Other faults from now on, in open connections, too; how often each has struck is counted
    /// anew.
    pub fn set_faults(&self, faults: &[Fault]) {
        self.0.script.replace(faults);
    }

    /// Other unique-ids from now on.
    pub fn set_uidls(&self, uidls: Uidls) {
        self.0.state().uidls = uidls;
    }

    /// The commands received, in order, with `***` for secrets.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.0.state().log.clone()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.state().counts
    }
}

/// A running server. Dropping it stops it. All that a [`Host`] can be asked, it can be asked.
pub struct Server {
    listener: Listener,
    host: Host,
}

impl Server {
    /// Listens, and serves until it is stopped.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start(store: Store, behaviour: Behaviour) -> io::Result<Self> {
        let address = behaviour.address;
        let host = Host::new(store, behaviour);
        let serving = host.clone();
        let serve = move |stream| {
            let host = serving.clone();
            async move { host.serve(stream).await }
        };
        Ok(Self { listener: Listener::start(address, serve).await?, host })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// Drops all connections and listens no more.
    pub async fn stop(self) {
        self.listener.stop().await;
    }
}

impl std::ops::Deref for Server {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}
