//! From an open connection to a session: greeting, STLS, login, and what is switched on before it.
//!
//! The order is the security of it: nothing secret is sent before the connection is as private as the
//! configuration wants it, and nothing that was said before TLS counts after it, but the timestamp of
//! the greeting, which is not said again. A refused login is final for this connection; no second
//! mechanism is tried, for each try counts towards a lock.

use std::time::Duration;

use bytes::Bytes;

use super::Session;
use super::auth::{self, Auth};
use super::capabilities::Capabilities;
use super::command::Command;
use super::number::SessionId;
use super::reply::Reply;
use super::wire::Wire;
use crate::endpoint::{Credentials, Endpoint, Security};
use crate::error::{Error, Kind, excerpt};
use crate::limits::Limits;
use crate::net::Transport;
use crate::net::meter::Counters;
use crate::net::network::{Internet, Network, Reached, reach};
use crate::refusal::Refusal;
use crate::stranger::what_else;

/// How servers without response codes say that another session has the maildrop, in small letters.
const LOCKED_TEXTS: [&str; 8] = [
    "already locked",
    "unable to lock",
    "cannot lock",
    "can't lock",
    "maildrop is locked",
    "mailbox is locked",
    "mailbox in use",
    "lock busy",
];

/// Longer delays are not obeyed as told: the next run of the schedule comes first.
const LONGEST_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Session {
    /// Connects and logs in.
    ///
    /// Asks for the capabilities before and after the login, and in between for messages as they are,
    /// not translated (UTF8, RFC 6856), and for texts in English (LANG), where the server offers that.
    ///
    /// # Errors
    /// See [`Error::kind`]: `Network` and `Limit` may do better later, `Unsure` perhaps; `Credentials`
    /// and `Refused` will not.
    pub async fn open(
        endpoint: &Endpoint,
        credentials: &Credentials,
        auth: Auth,
        limits: &Limits,
    ) -> Result<Self, Error> {
        Self::open_through(&Internet, endpoint, credentials, auth, limits).await
    }

    /// As [`open`](Self::open), through this network.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_through(
        network: &dyn Network,
        endpoint: &Endpoint,
        credentials: &Credentials,
        auth: Auth,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let Reached { transport, counters, .. } = reach(network, endpoint, limits).await?;
        Self::begin(transport, counters, endpoint, credentials, auth, limits).await
    }

    /// The same over a connection that is there.
    pub(crate) async fn begin(
        transport: Box<dyn Transport>,
        counters: Counters,
        endpoint: &Endpoint,
        credentials: &Credentials,
        auth: Auth,
        limits: &Limits,
    ) -> Result<Self, Error> {
        auth::check(credentials)?;
        let mut opening = Opening { wire: Wire::new(transport, counters, limits), endpoint, limits };
        let greeting = opening.greeting().await?;
        let mut offered = opening.capabilities().await?;
        if endpoint.security == Security::StartTls {
            opening = opening.start_tls(&offered).await?;
            offered = opening.capabilities().await?;
        }
        opening.prepare(&offered).await?;
        opening.login(credentials, auth, &offered, &greeting).await?;
        let mut capabilities = opening.capabilities().await?;
        if !capabilities.announced {
            // Some answer CAPA before the login only.
            capabilities = offered;
        }
        capabilities.pipelining &= limits.pipelined > 1;
        Ok(Self {
            wire: opening.wire,
            capabilities,
            limits: limits.clone(),
            id: SessionId::new(),
            stat: None,
            given_up: false,
        })
    }
}

/// A connection that is not logged in yet.
struct Opening<'a> {
    wire: Wire,
    endpoint: &'a Endpoint,
    limits: &'a Limits,
}

impl Opening<'_> {
    /// The text of the greeting.
    async fn greeting(&mut self) -> Result<Bytes, Error> {
        let line = match self.wire.greeting().await {
            Ok(line) => line,
            Err(Error::Cut { .. } | Error::Bound { .. } | Error::Stalled { .. })
                if !Reply::may_begin_with(self.wire.unread()) =>
            {
                return Err(self.not_pop3(self.wire.unread()));
            }
            Err(Error::Stalled { waited, received: 0, .. }) => {
                let hint = match self.endpoint.security {
                    Security::Implicit => "",
                    _ => " (if this port speaks TLS from the start, set tls = \"implicit\")",
                };
                return Err(Error::Stalled { waited, received: 0, hint });
            }
            Err(error) => return Err(error),
        };
        match Reply::read(&line) {
            Some(Reply::Ok(text)) => Ok(text),
            Some(Reply::Err { refusal, .. }) => Err(Error::Bye(refusal)),
            _ => Err(self.not_pop3(&line)),
        }
    }

    fn not_pop3(&self, first: &[u8]) -> Error {
        Error::NotPop3 {
            host: self.endpoint.host.clone(),
            port: self.endpoint.port,
            first: excerpt(first),
            hint: what_else(first),
        }
    }

    /// What the server can do in the present state.
    async fn capabilities(&mut self) -> Result<Capabilities, Error> {
        match self.wire.ask(Command::new("CAPA")).await? {
            Reply::Ok(_) => {
                let mut capabilities = Capabilities::announced();
                let most = self.limits.capabilities as u64;
                self.wire.listing(most, |line| capabilities.learn(line)).await?;
                Ok(capabilities)
            }
            _ => Ok(Capabilities::unannounced()),
        }
    }

    /// STLS (RFC 2595 §4), on guard against what <https://nostarttls.secvuln.info> found.
    async fn start_tls(mut self, offered: &Capabilities) -> Result<Self, Error> {
        let host = self.endpoint.host.clone();
        // Who does not know CAPA may know STLS.
        if offered.announced && !offered.stls {
            return Err(Error::NoStartTls { host, how: "does not offer STLS".to_owned() });
        }
        if let Reply::Err { refusal, .. } = self.wire.ask(Command::new("STLS")).await? {
            return Err(Error::NoStartTls { host, how: format!("refused STLS: {refusal}") });
        }
        if !self.wire.is_clean() {
            return Err(Error::Injected { host, command: "STLS" });
        }
        let wire = self.wire.encrypted(self.endpoint).await?;
        Ok(Self { wire, ..self })
    }

    /// What makes messages and texts come as they should; the server may do without.
    async fn prepare(&mut self, offered: &Capabilities) -> Result<(), Error> {
        for (command, is_offered) in [("UTF8", offered.utf8), ("LANG en", offered.lang)] {
            if is_offered && let Reply::Err { refusal, .. } = self.wire.ask(Command::new(command)).await? {
                tracing::debug!(command, %refusal, "the server offers this and refuses it");
            }
        }
        Ok(())
    }

    async fn login(
        &mut self,
        credentials: &Credentials,
        auth: Auth,
        offered: &Capabilities,
        greeting: &[u8],
    ) -> Result<(), Error> {
        let answer =
            auth::log_in(&mut self.wire, self.endpoint, credentials, auth, offered, greeting).await?;
        let Reply::Err { refusal, number } = answer else { return Ok(()) };
        let wait = number.map(Duration::from_secs).or(offered.login_delay);
        let kind = what_it_means(&refusal, wait);
        let hint = refusal.login_hint();
        Err(Error::Login { user: credentials.user.clone(), refusal, hint, kind })
    }
}

/// What a refused login means: the code decides, then what the text is known to mean. A server that
/// says neither may mean anything.
fn what_it_means(refusal: &Refusal, wait: Option<Duration>) -> Kind {
    let is_delay = refusal.code.as_deref() == Some("LOGIN-DELAY");
    let text = refusal.text.to_ascii_lowercase();
    match refusal.kind() {
        Some(Kind::Limit { wait: None }) if is_delay => {
            Kind::Limit { wait: wait.map(|wait| wait.min(LONGEST_DELAY)) }
        }
        Some(kind) => kind,
        None if LOCKED_TEXTS.iter().any(|known| text.contains(known)) => Kind::Limit { wait: None },
        None => Kind::Unsure,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
