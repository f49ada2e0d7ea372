//! A server that listens, and what it keeps count of.
//!
//! Passwords are never kept: the log has `***` in their place.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use message::{Flags, InternalDate};

use crate::behaviour::Behaviour;
use crate::fault::{Fault, Script};
use crate::listener::Listener;
use crate::session::Session;
use crate::store::Store;
use crate::{limits, session};

/// What a server was asked and what it sent, over all connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Connections taken.
    pub connections: u64,
    /// Commands received, whatever became of them.
    pub commands: u64,
    /// Logins that succeeded.
    pub logins: u64,
    /// Logins that were refused.
    pub logins_refused: u64,
    /// Messages given by APPEND and stored.
    pub appended: u64,
    /// Octets of message content sent: bodies and headers, nothing around them.
    pub body_octets: u64,
    /// Octets sent, before compression and encryption.
    pub octets_sent: u64,
    /// Octets received, as they were after decryption.
    pub octets_received: u64,
}

/// What all sessions of a server share.
pub(crate) struct Shared {
    pub(crate) store: Store,
    pub(crate) behaviour: Behaviour,
    pub(crate) script: Script,
    counts: Mutex<Counts>,
    log: Mutex<Vec<String>>,
    /// One for each session that is logged in, besides this one.
    admitted: Arc<()>,
    /// What is still to be stored, for clients that are gone.
    late: Mutex<Vec<Late>>,
}

/// Messages that are stored only when somebody asks for their mailbox.
pub(crate) struct Late {
    pub(crate) user: String,
    /// In the store.
    pub(crate) mailbox: Vec<u8>,
    /// So many times yet.
    pub(crate) questions: u32,
    pub(crate) messages: Vec<(Flags, InternalDate, Arc<[u8]>)>,
}

/// A session that is logged in, as long as it is kept.
pub(crate) struct Admitted(#[expect(dead_code, reason = "it is only counted")] Arc<()>);

impl Shared {
    pub(crate) fn new(store: Store, behaviour: Behaviour) -> Self {
        let script = Script::new(behaviour.faults());
        Self {
            store,
            script,
            behaviour,
            counts: Mutex::default(),
            log: Mutex::default(),
            admitted: Arc::default(),
            late: Mutex::default(),
        }
    }

    pub(crate) fn keep_back(&self, late: Late) {
        self.late.lock().unwrap_or_else(PoisonError::into_inner).push(late);
    }

    /// The mailbox has been asked for: stores what was kept back for it, when it is time.
    pub(crate) fn store_late(&self, user: &str, mailbox: &[u8]) {
        let mut late = self.late.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |late: &mut Late| {
            let is_meant = late.user == user && late.mailbox == mailbox;
            late.questions = late.questions.saturating_sub(u32::from(is_meant));
            is_meant && late.questions == 0
        };
        let due: Vec<Late> = late.extract_if(.., is_due).collect();
        for (flags, date, bytes) in due.into_iter().flat_map(|late| late.messages) {
            // A mailbox that is gone by now takes nothing.
            let _ = self.store.with(|state| state.user(user)?.append(mailbox, flags, date, bytes));
        }
    }

    /// Lets one more session in, unless there are too many.
    pub(crate) fn admit(&self) -> Option<Admitted> {
        let one_more = Arc::clone(&self.admitted);
        // The server's own is counted, too.
        let sessions = Arc::strong_count(&one_more) - 1;
        (sessions <= self.behaviour.sessions_at_once()).then_some(Admitted(one_more))
    }

    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn counts(&self) -> Counts {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn count(&self, add: impl FnOnce(&mut Counts)) {
        add(&mut self.counts.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn note(&self, line: &str) {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.len() < limits::LOG_LINES {
            log.push(line.chars().take(limits::LOG_LINE).collect());
        }
    }

    /// Whether the server says that it takes literals without being asked, and does not understand
    /// them.
    pub(crate) fn misses_unasked(&self) -> bool {
        let broken = |capability| self.behaviour.announces(capability) && !self.behaviour.offers(capability);
        !self.behaviour.offers("LITERAL+") && (broken("LITERAL+") || broken("LITERAL-"))
    }

    /// Whether a literal of this length may come without being asked for (RFC 7888).
    pub(crate) fn takes_unasked(&self, length: u64) -> bool {
        let short = self.behaviour.offers("LITERAL-") || self.behaviour.offers("IMAP4rev2");
        self.behaviour.offers("LITERAL+") || (short && length <= 4096)
    }
}

/// A running server. Dropping it stops it.
pub struct Server {
    listener: Listener,
    shared: Arc<Shared>,
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
        let address = behaviour.address();
        let shared = Arc::new(Shared::new(store, behaviour));
        let served = Arc::clone(&shared);
        let serve = move |stream| {
            served.count(|counts| counts.connections += 1);
            session::serve(Session::new(Box::new(stream), Arc::clone(&served)))
        };
        Ok(Self { listener: Listener::start(address, serve).await?, shared })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.listener.address()
    }

    /// The mail that it serves.
    #[must_use]
    pub fn store(&self) -> Store {
        self.shared.store.clone()
    }

    /// The commands received, without tags, in order; passwords and literals left out.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.shared.log()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// Other faults from now on, in open connections, too; how often each has struck is counted
    /// anew.
    pub fn set_faults(&self, faults: &[Fault]) {
        self.shared.script.replace(faults);
    }

    /// Drops all connections and listens no more.
    pub async fn stop(self) {
        self.listener.stop().await;
    }
}
