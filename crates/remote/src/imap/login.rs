//! From an open connection to a session: greeting, STARTTLS, login, and what is switched on then.
//!
//! The order is the security of it: nothing secret is sent before the connection is as private as
//! the configuration wants it, and nothing that was said before TLS counts after it. A refused login
//! is final for this connection; no second mechanism is tried, for each try counts towards a lock.

use message::NameEncoding;
use secrecy::ExposeSecret;
use secrecy::zeroize::Zeroizing;

use super::Session;
use super::capabilities::Capabilities;
use super::command::Command;
use super::conversation::{Answer, Code, Conversation, Event, Status, Tag};
use super::data::Data;
use super::guard::Guard;
use super::list::Listed;
use crate::endpoint::{Credentials, Endpoint, Security};
use crate::error::{Error, Kind, excerpt};
use crate::limits::Limits;
use crate::net::Transport;
use crate::net::meter::Counters;
use crate::net::network::{Internet, Network, Reached, reach};
use crate::net::tls::encrypt;
use crate::stranger::what_else;

impl Session {
    /// Connects and logs in.
    ///
    /// Asks for the capabilities anew after the login, says who we are (ID, RFC 2971), switches on
    /// CONDSTORE and QRESYNC where offered, and compresses unless the peer is this machine. Names
    /// are in modified UTF-7 unless the server has no IMAP4rev1; UTF8=ACCEPT is switched on only
    /// where the server says UTF8=ONLY, because servers that offer both are tried and true with
    /// the old names.
    ///
    /// # Errors
    /// See [`Error::kind`]: `Network` and `Limit` may do better later; `Credentials` will not.
    pub async fn open(
        endpoint: &Endpoint,
        credentials: &Credentials,
        limits: &Limits,
    ) -> Result<Self, Error> {
        Self::open_through(&Internet, endpoint, credentials, limits).await
    }

    /// As [`open`](Self::open), through this network.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn open_through(
        network: &dyn Network,
        endpoint: &Endpoint,
        credentials: &Credentials,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let (session, compress) = Self::reach(network, endpoint, credentials, limits).await?;
        session.settle(compress).await
    }

    /// As [`open_through`](Self::open_through), with [`list`](Self::list) in the same round trip as what
    /// is said after the login.
    ///
    /// # Errors
    /// As [`open`](Self::open) and [`list`](Self::list).
    pub async fn open_and_list(
        network: &dyn Network,
        endpoint: &Endpoint,
        credentials: &Credentials,
        limits: &Limits,
    ) -> Result<(Self, Vec<Listed>), Error> {
        let (session, compress) = Self::reach(network, endpoint, credentials, limits).await?;
        session.settle_and_list(compress).await
    }

    /// Connects and logs in; says whether octets are to be compressed.
    async fn reach(
        network: &dyn Network,
        endpoint: &Endpoint,
        credentials: &Credentials,
        limits: &Limits,
    ) -> Result<(Self, bool), Error> {
        let Reached { transport, counters, is_local } = reach(network, endpoint, limits).await?;
        let session = Self::log_in(transport, counters, endpoint, credentials, limits).await?;
        Ok((session, !is_local || limits.compress_loopback))
    }

    /// Opens a session over a connection that is there.
    pub(crate) async fn begin(
        transport: Box<dyn Transport>,
        counters: Counters,
        endpoint: &Endpoint,
        credentials: &Credentials,
        limits: &Limits,
        compress: bool,
    ) -> Result<Self, Error> {
        Self::log_in(transport, counters, endpoint, credentials, limits).await?.settle(compress).await
    }

    /// A session that has said no more than its login.
    async fn log_in(
        transport: Box<dyn Transport>,
        counters: Counters,
        endpoint: &Endpoint,
        credentials: &Credentials,
        limits: &Limits,
    ) -> Result<Self, Error> {
        let talk = Conversation::new(Guard::new(transport, counters, limits, true), limits);
        let mut opening = Opening { talk, endpoint, limits, capabilities: None };
        let logged_in = opening.greeting().await?;
        if endpoint.security == Security::StartTls {
            opening = opening.start_tls(logged_in).await?;
        }
        if !logged_in {
            opening.login(credentials).await?;
        }
        let capabilities = opening.capabilities().await?;
        Ok(Self {
            talk: opening.talk,
            capabilities,
            limits: limits.clone(),
            encoding: NameEncoding::ModifiedUtf7,
            exists: 0,
            uid_next: None,
            content_ids: super::rows::ContentIds::default(),
            open: None,
            ahead: super::ahead::Ahead::default(),
            given_up: false,
        })
    }
}

/// Whether these octets are the beginning of a greeting (RFC 9051 §7.1), or none at all: then the line
/// broke, and the server is an IMAP server all the same.
fn may_become_a_greeting(octets: &[u8]) -> bool {
    ["* OK", "* PREAUTH", "* BYE"].iter().any(|greeting| {
        let common = greeting.len().min(octets.len());
        greeting.as_bytes()[..common].eq_ignore_ascii_case(&octets[..common])
    })
}

/// A connection that is not logged in yet.
struct Opening<'a> {
    talk: Conversation,
    endpoint: &'a Endpoint,
    limits: &'a Limits,
    /// Forgotten after each change of state.
    capabilities: Option<Capabilities>,
}

impl<'a> Opening<'a> {
    /// Whether the greeting says that we are logged in already (PREAUTH).
    async fn greeting(&mut self) -> Result<bool, Error> {
        let event = match self.talk.greeting().await {
            Ok(Ok(event)) => event,
            Ok(Err(first)) => return Err(self.not_imap(&first)),
            Err(Error::Cut { .. } | Error::Bound { .. } | Error::Stalled { .. })
                if !may_become_a_greeting(self.talk.guard().unread()) =>
            {
                let first = self.talk.guard().unread().to_vec();
                return Err(self.not_imap(&first));
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
        match event {
            Event::Said { status: status @ (Status::Ok | Status::PreAuth), answer } => {
                self.learn(&answer);
                Ok(status == Status::PreAuth)
            }
            Event::Said { answer, .. } => Err(self.not_imap(answer.text.as_bytes())),
            _ => Err(self.not_imap(b"")),
        }
    }

    fn not_imap(&self, first: &[u8]) -> Error {
        Error::NotImap {
            host: self.endpoint.host.clone(),
            port: self.endpoint.port,
            first: excerpt(first),
            hint: what_else(first),
        }
    }

    fn learn(&mut self, answer: &Answer) {
        if let Some(Code::Capability(words)) = &answer.code {
            self.know(words.clone());
        }
    }

    fn know(&mut self, words: Vec<String>) {
        let capabilities = Capabilities::new(words);
        self.talk.literals = capabilities.literals();
        self.capabilities = Some(capabilities);
    }

    /// What the server can do in the present state; asked unless it has said so by itself.
    async fn capabilities(&mut self) -> Result<Capabilities, Error> {
        if let Some(known) = &self.capabilities {
            return Ok(known.clone());
        }
        let command = Command::new("CAPABILITY");
        let tag = self.talk.send(&command).await?;
        let (status, answer) = self.done(tag).await?;
        if status != Status::Ok {
            return Err(Error::Refused { command: command.to_string(), refusal: answer.refusal() });
        }
        Ok(self.capabilities.clone().unwrap_or_default())
    }

    /// The completion of a command. Capabilities that come along are kept.
    async fn done(&mut self, sent: Tag) -> Result<(Status, Answer), Error> {
        loop {
            match self.talk.next().await? {
                Event::Data(Data::Capability(words)) => self.know(words),
                Event::Said { answer, .. } => self.learn(&answer),
                Event::Done { tag, status, answer } if tag == sent => return Ok((status, answer)),
                _ => {}
            }
        }
    }

    /// STARTTLS (RFC 9051 §6.2.1), on guard against what <https://nostarttls.secvuln.info> found.
    async fn start_tls(mut self, logged_in: bool) -> Result<Self, Error> {
        let host = self.endpoint.host.clone();
        if logged_in {
            return Err(Error::PreAuth { host });
        }
        if !self.capabilities().await?.has("STARTTLS") {
            return Err(Error::NoStartTls { host, how: "does not offer STARTTLS".to_owned() });
        }
        let tag = self.talk.send(&Command::new("STARTTLS")).await?;
        let (status, answer) = self.done(tag).await?;
        if status != Status::Ok {
            return Err(Error::NoStartTls { host, how: format!("refused STARTTLS: {}", answer.refusal()) });
        }
        if !self.talk.is_clean() {
            return Err(Error::Injected { host, command: "STARTTLS" });
        }
        let (last_tag, round_trips) = (self.talk.last_tag(), self.talk.round_trips());
        let (transport, counters, _) = self.talk.into_parts();
        let stream = encrypt(self.endpoint, transport, self.limits).await?;
        let guard = Guard::new(Box::new(stream), counters, self.limits, false);
        let talk = Conversation::new(guard, self.limits).after(last_tag, round_trips + 1);
        Ok(Self { talk, capabilities: None, ..self })
    }

    async fn login(&mut self, credentials: &Credentials) -> Result<(), Error> {
        let offered = self.capabilities().await?;
        self.capabilities = None;
        let (status, answer) = if offered.has("AUTH=PLAIN") {
            self.authenticate_plain(credentials, offered.has("SASL-IR")).await?
        } else if offered.has("LOGINDISABLED") {
            let host = self.endpoint.host.clone();
            return Err(Error::NoMechanism { host, offered: offered.offered_logins() });
        } else {
            let command = Command::new("LOGIN")
                .string(credentials.user.as_bytes())
                .secret()
                .string(credentials.password.expose_secret().as_bytes());
            let tag = self.talk.send(&command).await?;
            self.done(tag).await?
        };
        if status != Status::Ok {
            let refusal = answer.refusal();
            let hint = refusal.login_hint();
            let kind = refusal.kind().unwrap_or(Kind::Credentials);
            return Err(Error::Login { user: credentials.user.clone(), refusal, hint, kind });
        }
        self.learn(&answer);
        Ok(())
    }

    /// AUTHENTICATE PLAIN (RFC 4616), in one round trip where the server allows it (RFC 4959).
    async fn authenticate_plain(
        &mut self,
        credentials: &Credentials,
        at_once: bool,
    ) -> Result<(Status, Answer), Error> {
        let password = credentials.password.expose_secret();
        let plain = Zeroizing::new(format!("\0{}\0{password}", credentials.user));
        let encoded = Zeroizing::new(base64_simd::STANDARD.encode_to_string(plain.as_bytes()));
        let mut command = Command::new("AUTHENTICATE PLAIN").secret();
        if at_once {
            command = command.text(" ").text(&encoded);
        }
        let sent = self.talk.send(&command).await?;
        let mut answered = false;
        loop {
            match self.talk.next().await? {
                Event::Continue if !answered => {
                    answered = true;
                    let line = Zeroizing::new(format!("{}\r\n", *encoded));
                    self.talk.send_line(line.as_bytes()).await?;
                }
                // It wants more than PLAIN has to say: the exchange is given up.
                Event::Continue => self.talk.send_line(b"*\r\n").await?,
                Event::Data(Data::Capability(words)) => self.know(words),
                Event::Said { answer, .. } => self.learn(&answer),
                Event::Done { tag, status, answer } if tag == sent => return Ok((status, answer)),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests;
