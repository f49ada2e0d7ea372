//! On which servers the mailbox may be: the one that is named, else what an address leads to.

use discover::{Address, Candidate, Dns, Doors, Found, Https, Service, Source, find};

use super::entry::Server;
use crate::cli::{Add, Spoken, Tls};
use crate::commands::Context;
use crate::config::parse_host;
use crate::exit::{Exit, Failure};

/// What is known before anything is tried.
#[derive(Debug)]
pub(super) struct Servers {
    /// The best first; never none.
    pub(super) servers: Vec<Server>,
    /// What a person should know of the search.
    pub(super) remarks: Vec<String>,
}

impl Servers {
    /// The server that `--host` names.
    ///
    /// # Errors
    /// When it is none, or the password would cross a network in the open.
    pub(super) fn named(what: &Add, host: &str, user: String) -> Result<Self, Failure> {
        let host = parse_host(host)
            .map_err(|error| Failure::words(Exit::Usage, format!("--host: \"{host}\" {error}")))?;
        let protocol = what.protocol.unwrap_or(Spoken::Imap);
        let tls = what.tls.unwrap_or(Tls::Implicit);
        let port = what.port.unwrap_or_else(|| Server::usual_port(protocol, tls));
        if tls == Tls::None && !is_this_machine(&host, port) {
            let message = "--tls none would send the password in the clear to another host";
            return Err(Failure::words(Exit::Usage, message).help("use --tls implicit or --tls starttls"));
        }
        let server = Server { protocol, host, port, tls, user, source: None };
        Ok(Self { servers: vec![server], remarks: Vec::new() })
    }

    /// The servers of an address.
    ///
    /// # Errors
    /// When there are none.
    pub(super) fn found(context: &Context, what: &Add, address: &Address) -> Result<Self, Failure> {
        let found = if what.no_lookup {
            find(address, None)
        } else {
            context.say(&format!("looking for the servers of {}", address.domain()));
            ask_around(address)
        };
        Self::chosen(found, what.protocol, what.user.as_deref()).map_err(|remarks| {
            let mut words = format!("no server was found for {}", address.text());
            for remark in remarks {
                words.push('\n');
                words.push_str(&remark);
            }
            Failure::words(Exit::Failed, words).help("name one: --host HOST")
        })
    }

    /// What is left of what was found, where only one protocol is wanted; the remarks when that is nothing.
    fn chosen(found: Found, protocol: Option<Spoken>, user: Option<&str>) -> Result<Self, Vec<String>> {
        let is_wanted = |candidate: &Candidate| match protocol {
            None => true,
            Some(Spoken::Imap) => candidate.service == Service::Imap,
            Some(Spoken::Pop3) => candidate.service == Service::Pop3,
        };
        let Found { candidates, remarks } = found;
        let servers: Vec<Server> = candidates
            .into_iter()
            .filter(is_wanted)
            .map(|candidate| Server::found(candidate, user))
            .collect();
        if servers.is_empty() { Err(remarks) } else { Ok(Self { servers, remarks }) }
    }

    /// The server to write down untried.
    ///
    /// # Errors
    /// When all that there is was guessed.
    pub(super) fn untried(self) -> Result<Server, Failure> {
        let best = self.servers.into_iter().find(|server| server.source != Some(Source::Guess));
        best.ok_or_else(|| {
            Failure::words(Exit::Usage, "nobody says where this mailbox is, and --no-test tries nothing")
                .help("name the server with --host HOST, or leave out --no-test")
        })
    }
}

/// Whether a connection stays on this machine.
fn is_this_machine(host: &str, port: u16) -> bool {
    let endpoint = remote::Endpoint {
        host: host.to_owned(),
        port,
        security: remote::Security::Plain,
        extra_authorities: Vec::new(),
        extra_authorities_from: String::new(),
    };
    !endpoint.is_plain_and_remote()
}

fn ask_around(address: &Address) -> Found {
    let web = Https::with_the_system_s_authorities();
    match Dns::of_the_system() {
        Ok(names) => find(address, Some(Doors { names: &names, web: &web })),
        Err(error) => {
            let mut found = find(address, None);
            found.remarks.push(format!("DNS cannot be asked: {error}"));
            found
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    fn found() -> Found {
        find(&Address::parse("anna@example.org").unwrap(), None)
    }

    #[test]
    fn only_the_wanted_protocol_is_left_and_a_given_user_is_taken() {
        let pop3 = Servers::chosen(found(), Some(Spoken::Pop3), Some("anna")).unwrap();
        assert!(pop3.servers.iter().all(|server| server.protocol == Spoken::Pop3 && server.user == "anna"));
        let all = Servers::chosen(found(), None, None).unwrap();
        assert_eq!(all.servers[0].protocol, Spoken::Imap);
        assert_eq!(all.servers[0].user, "anna@example.org");
        let nothing = Found { candidates: Vec::new(), remarks: vec!["why".to_owned()] };
        assert_eq!(Servers::chosen(nothing, None, None).unwrap_err(), ["why"]);
    }

    #[test]
    fn what_is_only_guessed_is_not_written_down_untried() {
        let guessed = Servers::chosen(found(), None, None).unwrap();
        assert!(guessed.untried().unwrap_err().summary().unwrap().contains("nobody says"));
        let mut told = found();
        told.candidates[3].source = Source::Srv;
        assert_eq!(Servers::chosen(told, None, None).unwrap().untried().unwrap().port, 143);
    }

    #[test]
    fn plain_connections_stay_on_this_machine() {
        for (host, here) in [
            ("localhost", true),
            ("127.0.0.1", true),
            ("::1", true),
            ("mail.example.org", false),
            ("192.0.2.1", false),
        ] {
            assert_eq!(is_this_machine(host, 143), here, "{host}");
        }
    }
}
