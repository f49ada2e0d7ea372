//! What is tried when nobody says where an address's mail lies: large providers that are known by where
//! a domain has its mail sent, and the names that most servers have.

use crate::address::Address;
use crate::candidate::{Candidate, Encryption, Service, Source};
use crate::door::MailExchanger;
use crate::host;
use crate::limits::RECORDS;

/// Providers that take the mail of other people's domains: the domain of their mail exchangers, and
/// their IMAP server. All want the whole address as user name.
const PROVIDERS: [(&str, &str); 8] = [
    ("google.com", "imap.gmail.com"),
    ("googlemail.com", "imap.gmail.com"),
    ("mail.protection.outlook.com", "outlook.office365.com"),
    ("mx.microsoft", "outlook.office365.com"),
    ("messagingengine.com", "imap.fastmail.com"),
    ("mail.icloud.com", "imap.mail.me.com"),
    ("yahoodns.net", "imap.mail.yahoo.com"),
    ("purelymail.com", "imap.purelymail.com"),
];

/// The server of the provider that takes the domain's mail, where that is a known one.
pub(crate) fn from_exchangers(address: &Address, exchangers: &[MailExchanger]) -> Option<Candidate> {
    let mut exchangers: Vec<&MailExchanger> = exchangers.iter().take(RECORDS).collect();
    exchangers.sort_by_key(|exchanger| exchanger.preference);
    let hosts = exchangers.iter().filter_map(|exchanger| host::name(&exchanger.host));
    let server = hosts.into_iter().find_map(|exchanger| {
        PROVIDERS.iter().find(|(theirs, _)| host::is_within(&exchanger, theirs)).map(|&(_, server)| server)
    })?;
    Some(Candidate {
        service: Service::Imap,
        host: server.to_owned(),
        port: 993,
        encryption: Encryption::Implicit,
        user: address.text().to_owned(),
        source: Source::Mx,
    })
}

/// The names that servers of this service usually have, TLS from the first octet before STARTTLS.
pub(crate) fn usual(address: &Address, service: Service) -> Vec<Candidate> {
    let domain = address.domain();
    let own = match service {
        Service::Imap => "imap",
        Service::Pop3 => "pop",
    };
    let hosts = [format!("{own}.{domain}"), format!("mail.{domain}"), domain.to_owned()];
    let ways = [Encryption::Implicit, Encryption::StartTls];
    let candidate = |host: &String, encryption| Candidate {
        service,
        host: host.clone(),
        port: service.usual_port(encryption),
        encryption,
        user: address.text().to_owned(),
        source: Source::Guess,
    };
    ways.iter().flat_map(|&way| hosts.iter().map(move |host| candidate(host, way))).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    fn exchangers(hosts: &[(u16, &str)]) -> Vec<MailExchanger> {
        let exchanger =
            |&(preference, host): &(u16, &str)| MailExchanger { preference, host: host.to_owned() };
        hosts.iter().map(exchanger).collect()
    }

    #[test]
    fn a_domain_whose_mail_goes_to_a_known_provider_is_there() {
        let address = Address::parse("anna@example.org").unwrap();
        let found = |hosts: &[(u16, &str)]| {
            from_exchangers(&address, &exchangers(hosts)).map(|candidate| candidate.host)
        };
        assert_eq!(found(&[(1, "aspmx.l.google.com.")]).as_deref(), Some("imap.gmail.com"));
        let microsoft = "example-org.mail.protection.outlook.com.";
        assert_eq!(found(&[(0, microsoft)]).as_deref(), Some("outlook.office365.com"));
        assert_eq!(
            found(&[(20, microsoft), (10, "ASPMX.L.Google.com.")]).as_deref(),
            Some("imap.gmail.com"),
            "the preferred one is asked first"
        );
        assert_eq!(found(&[(0, "mx.example.org."), (0, "evil-google.com.")]), None);
        assert_eq!(found(&[(0, ".")]), None);
    }

    #[test]
    fn usual_names_lie_in_the_domain_and_are_private_from_the_start_first() {
        let address = Address::parse("anna@example.org").unwrap();
        let guesses = usual(&address, Service::Imap);
        let shown: Vec<String> =
            guesses.iter().map(|guess| format!("{}:{}", guess.host, guess.port)).collect();
        let expected = [
            "imap.example.org:993",
            "mail.example.org:993",
            "example.org:993",
            "imap.example.org:143",
            "mail.example.org:143",
            "example.org:143",
        ];
        assert_eq!(shown, expected);
        assert!(guesses.iter().all(|guess| address.covers(&guess.host)));
    }
}
