//! A server without a listener, for simulations.
//!
//! Connections are handed to it as streams of octets in the same process, so that a whole
//! conversation goes by without a socket: in the same order, with the same octets, each time.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::behaviour::Behaviour;
use crate::fault::Fault;
use crate::server::{Counts, Shared};
use crate::session::{self, Session};
use crate::store::Store;

/// A server to which connections are handed. Clones are the same server.
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

    /// Other faults from now on, in open connections, too; how often each has struck is counted
    /// anew.
    pub fn set_faults(&self, faults: &[Fault]) {
        self.0.script.replace(faults);
    }

    /// The commands received, without tags, in order; passwords and literals left out.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.0.log()
    }

    /// What was counted so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.0.counts()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_client_in_the_same_process_is_served_until_it_logs_out() {
        let store = Store::new();
        store.add_user("anna", "pass");
        let host = Host::new(store, Behaviour::bare());
        let (mut client, server) = tokio::io::duplex(1 << 10);
        let talk = async {
            client.write_all(b"a LOGIN anna pass\r\nb LOGOUT\r\n").await.unwrap();
            let mut heard = String::new();
            client.read_to_string(&mut heard).await.unwrap();
            heard
        };
        let ((), heard) = tokio::join!(host.serve(server), talk);
        assert!(heard.starts_with("* OK") && heard.contains("\na OK") && heard.contains("\nb OK"), "{heard}");
        assert_eq!((host.counts().connections, host.counts().logins), (1, 1));
    }
}
