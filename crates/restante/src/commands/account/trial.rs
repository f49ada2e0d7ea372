//! Which server lets us in: each is tried as the configuration would have it, the best first.
//!
//! A server that cannot be reached, has no certificate for its name, or speaks something else is passed
//! over. One that refuses the password ends the search: the same password would go to one server after
//! the other, and some lock accounts after a few attempts. Each server is asked once.

use std::time::Duration;

use discover::Address;
use remote::Kind;
use secrecy::SecretString;
use sync::Probed;

use super::entry::{Entry, Secret, Server, appended};
use super::file::Configuration;
use super::person::Person;
use crate::commands::Context;
use crate::commands::target::job_with;
use crate::config::Config;
use crate::exit::{Exit, Failure, chain};

/// For a name that may not even exist nobody waits longer.
const PATIENCE: Duration = Duration::from_secs(15);

/// What is tried.
pub(super) struct Trial<'t> {
    pub(super) context: &'t Context,
    pub(super) person: &'t Person<'t>,
    pub(super) configuration: &'t Configuration,
    /// The configuration's text without the account.
    pub(super) base: &'t str,
    pub(super) name: &'t str,
    pub(super) address: Option<&'t Address>,
    pub(super) secret: &'t Secret,
    pub(super) tls_ca_file: Option<&'t str>,
}

/// A server that was passed over.
#[derive(Debug)]
pub(super) struct PassedOver {
    pub(super) server: Server,
    pub(super) why: String,
}

/// The server that lets us in.
#[derive(Debug)]
pub(super) struct Accepted {
    pub(super) server: Server,
    pub(super) folders: Vec<Probed>,
    pub(super) passed_over: Vec<PassedOver>,
}

impl Trial<'_> {
    /// The configuration with the account on this server.
    pub(super) fn text(&self, server: &Server, bins: &[String]) -> (String, String) {
        let entry = Entry {
            name: self.name,
            address: self.address.map(Address::text),
            server,
            secret: self.secret,
            tls_ca_file: self.tls_ca_file,
            bins,
        };
        let section = entry.text();
        (appended(self.base, &section), section)
    }

    /// Tries one server after the other.
    ///
    /// # Errors
    /// When the login is refused, or no server can be used.
    pub(super) fn run(&self, servers: Vec<Server>, password: &SecretString) -> Result<Accepted, Failure> {
        let mut passed_over = Vec::new();
        let mut unknown_hosts: Vec<String> = Vec::new();
        for server in servers {
            // A host that does not exist has no other port either.
            if unknown_hosts.contains(&server.host) {
                continue;
            }
            if !self.may_know_the_password(&server)? {
                passed_over.push(PassedOver { server, why: "not wanted".to_owned() });
                continue;
            }
            self.context.say(&format!("logging in to {} as {}", server.shown(), server.user));
            match self.attempt(&server, password)? {
                Ok(folders) => return Ok(Accepted { server, folders, passed_over }),
                Err(error) if ends_the_search(&error) => return Err(refused(&server, &error)),
                Err(error) => {
                    if let remote::Error::Resolve { host, .. } = &error {
                        unknown_hosts.push(host.clone());
                    }
                    passed_over.push(PassedOver { server, why: chain(&error) });
                }
            }
        }
        Err(none_left(&passed_over))
    }

    /// A password goes to a host outside of its address's domain only with its owner's consent: who named
    /// that host can mostly not be proven. A host that the person has named is consent.
    fn may_know_the_password(&self, server: &Server) -> Result<bool, Failure> {
        let Some(what) = elsewhere(server, self.address) else { return Ok(true) };
        self.person.agrees_to(&what, "if that is right, say --yes; else name the server with --host")
    }

    fn attempt(
        &self,
        server: &Server,
        password: &SecretString,
    ) -> Result<Result<Vec<Probed>, remote::Error>, Failure> {
        let config = self.configuration.read(&self.text(server, &[]).0)?;
        let account = added(&config, self.name)?;
        let mut job =
            job_with(&config, account, password.clone()).map_err(|error| Failure::new(Exit::Usage, error))?;
        job.limits.remote.connect = job.limits.remote.connect.min(PATIENCE);
        job.limits.remote.greeting = job.limits.remote.greeting.min(PATIENCE);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::new(Exit::Failed, error))?;
        Ok(runtime.block_on(sync::probe_and_count(&job)))
    }
}

/// What there is to consent to, where a server was found outside of its address's domain.
fn elsewhere(server: &Server, address: Option<&Address>) -> Option<String> {
    let (source, address) = (server.source?, address?);
    (!address.covers(&server.host)).then(|| {
        let domain = address.domain();
        format!(
            "{} is outside of {domain}, and is named by {source}; the password would go there",
            server.host
        )
    })
}

/// The account as the configuration has it now.
///
/// # Errors
/// When it has none of this name, whatever was written into it.
pub(super) fn added<'c>(config: &'c Config, name: &str) -> Result<&'c crate::config::Account, Failure> {
    config.account(name).ok_or_else(|| {
        Failure::words(Exit::Failed, format!("the configuration would not have the account \"{name}\""))
    })
}

/// Whether a server has taken notice of the login, or of us: then no other is tried.
fn ends_the_search(error: &remote::Error) -> bool {
    matches!(error, remote::Error::Login { .. })
        || matches!(error.kind(), Kind::Credentials | Kind::Unsure | Kind::Limit { .. } | Kind::Refused)
}

fn refused(server: &Server, error: &remote::Error) -> Failure {
    let words = format!("{}: {}; nothing was written", server.shown(), chain(error));
    Failure::words(Exit::Failed, words).help(
        "providers that ask for a second factor want a password made for one program (an app password), and some \
         want IMAP switched on first, both in the account's settings; where the user name is not the address, give \
         --user",
    )
}

fn none_left(passed_over: &[PassedOver]) -> Failure {
    let mut words = "no server could be used; nothing was written".to_owned();
    for PassedOver { server, why } in passed_over {
        words.push_str(&format!("\n{}: {why}", server.shown()));
    }
    Failure::words(Exit::Failed, words)
        .help("name the server: --host HOST, with --port and --tls where they are unusual")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use discover::Source;
    use remote::{Error, Refusal};

    use super::*;
    use crate::cli::{Spoken, Tls};

    fn server(host: &str, source: Option<Source>) -> Server {
        Server {
            protocol: Spoken::Imap,
            host: host.into(),
            port: 993,
            tls: Tls::Implicit,
            user: "anna".into(),
            source,
        }
    }

    #[test]
    fn s07_a_host_outside_of_the_address_s_domain_needs_consent_unless_the_person_has_named_it() {
        let address = Address::parse("anna@example.org").unwrap();
        let asked = |host: &str, source| elsewhere(&server(host, source), Some(&address));
        assert_eq!(asked("imap.example.org", Some(Source::Srv)), None);
        assert_eq!(asked("mail.other.example", None), None);
        for source in [Source::Srv, Source::Autoconfig, Source::Database, Source::Mx] {
            let words = asked("imap.example.org.evil.example", Some(source)).unwrap();
            assert!(words.contains("evil.example is outside of example.org"), "{words}");
            assert!(words.contains(&source.to_string()), "{words}");
        }
    }

    #[test]
    fn s07_the_password_goes_to_no_further_server_once_one_has_refused_it() {
        let login = |kind| Error::Login {
            user: "anna".into(),
            refusal: Refusal { code: None, text: "no".into() },
            hint: "",
            kind,
        };
        // Also a server that only cannot take logins just now has seen it.
        for kind in [Kind::Credentials, Kind::Unsure, Kind::Network, Kind::Limit { wait: None }] {
            assert!(ends_the_search(&login(kind)), "{kind:?}");
        }
        let unreached = Error::Connect { host: "h".into(), port: 993, attempts: "refused".into() };
        let untrusted = Error::Tls { host: "h".into(), problem: "another name".into() };
        let other = Error::NotImap { host: "h".into(), port: 993, first: "+OK".into(), hint: "" };
        for error in [unreached, untrusted, other] {
            assert!(!ends_the_search(&error), "{error}");
        }
    }
}
