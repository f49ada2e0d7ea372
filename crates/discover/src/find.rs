//! Asks around, and puts what is said in order.
//!
//! First what the domain says of itself: SRV records, and its autoconfig files, all asked at the same
//! time. Where that names no server, the provider that takes the domain's mail, if it is a known one,
//! and the database of autoconfig files, which learns the domain and nothing more. Where nobody says
//! anything, the usual names; not those of a protocol that the domain says it has not.

use std::thread;

use crate::address::Address;
use crate::autoconfig::{self, Offer};
use crate::candidate::{Candidate, Service, Source};
use crate::door::{Names, NoAnswer, Web};
use crate::guess;
use crate::srv::{self, SERVICES, Told};

/// The database of autoconfig files that Mozilla keeps.
const DATABASE: &str = "https://autoconfig.thunderbird.net/v1.1/";

/// Whom to ask.
#[derive(Clone, Copy)]
pub struct Doors<'d> {
    /// DNS.
    pub names: &'d dyn Names,
    /// The web.
    pub web: &'d dyn Web,
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The best first; no server twice.
    pub candidates: Vec<Candidate>,
    /// What a person should know: who could not be asked, what was left out and why. Text from
    /// strangers may be in it, not escaped.
    pub remarks: Vec<String>,
}

/// Looks for the servers of an address; without doors nobody is asked, and the usual names are given.
#[must_use]
pub fn find(address: &Address, doors: Option<Doors<'_>>) -> Found {
    let mut found = Found::default();
    let mut denied = Vec::new();
    if let Some(doors) = doors {
        denied = of_the_domain(address, doors, &mut found);
        if found.candidates.is_empty() {
            of_others(address, doors, &mut found);
        }
    }
    if found.candidates.is_empty() {
        for service in [Service::Imap, Service::Pop3] {
            if denied.contains(&service) {
                let word = if service == Service::Imap { "IMAP" } else { "POP3" };
                found.remarks.push(format!("{} says that it offers no {word}", address.domain()));
            } else {
                found.candidates.extend(guess::usual(address, service));
            }
        }
    }
    found.candidates.sort_by_key(|candidate| candidate.service);
    let mut seen: Vec<(Service, String, u16)> = Vec::new();
    found.candidates.retain(|candidate| {
        let place = (candidate.service, candidate.host.clone(), candidate.port);
        let is_new = !seen.contains(&place);
        seen.push(place);
        is_new
    });
    found
}

/// What the domain says of itself; gives the services of which it says that it has none.
fn of_the_domain(address: &Address, doors: Doors<'_>, found: &mut Found) -> Vec<Service> {
    let domain = address.domain();
    let urls = [
        format!("https://autoconfig.{domain}/mail/config-v1.1.xml?emailaddress={}", address.in_a_url()),
        format!("https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml"),
    ];
    let panicked = |_| Err(NoAnswer("the question ended in a panic".to_owned()));
    let (told, files) = thread::scope(|scope| {
        let files = urls.each_ref().map(|url| scope.spawn(move || doors.web.get(url)));
        let told = services(address, doors.names);
        (told, files.map(|file| file.join().unwrap_or_else(panicked)))
    });
    let Told { candidates, denied } = told.unwrap_or_else(|error| {
        found.remarks.push(format!("DNS could not be asked for services of {domain}: {error}"));
        Told::default()
    });
    found.candidates.extend(candidates);
    for (url, file) in urls.iter().zip(files) {
        // Most domains have no such host, or nothing there; that is no news.
        if let Ok(Some(file)) = file {
            take_file(&file, url, address, Source::Autoconfig, found);
        }
    }
    denied
}

fn services(address: &Address, names: &dyn Names) -> Result<Told, NoAnswer> {
    let mut answers = Vec::new();
    for (service, ..) in SERVICES {
        // Who does not answer once would not answer three times more.
        answers.push(names.services(&format!("{service}.{}", address.domain()))?);
    }
    Ok(srv::read(address, &answers))
}

/// What others say of the domain.
fn of_others(address: &Address, doors: Doors<'_>, found: &mut Found) {
    let domain = address.domain();
    let url = format!("{DATABASE}{domain}");
    let (exchangers, file) = thread::scope(|scope| {
        let file = scope.spawn(|| doors.web.get(&url));
        let exchangers = doors.names.exchangers(domain);
        (
            exchangers,
            file.join().unwrap_or_else(|_| Err(NoAnswer("the question ended in a panic".to_owned()))),
        )
    });
    match file {
        Ok(Some(file)) => take_file(&file, &url, address, Source::Database, found),
        Ok(None) => {}
        Err(error) => found.remarks.push(format!("the database could not be asked ({url}): {error}")),
    }
    // The database knows user names and POP3 as well.
    if found.candidates.is_empty() {
        match exchangers {
            Ok(exchangers) => found.candidates.extend(guess::from_exchangers(address, &exchangers)),
            Err(error) => {
                found.remarks.push(format!("DNS could not be asked who takes mail for {domain}: {error}"));
            }
        }
    }
}

fn take_file(file: &[u8], url: &str, address: &Address, source: Source, found: &mut Found) {
    // The address in the URL is known to whom it is shown.
    let shown = url.split('?').next().unwrap_or(url);
    match autoconfig::read(file, address, source) {
        Ok(Offer { candidates, plain, tokens }) => {
            found.candidates.extend(candidates);
            for host in plain {
                let why = "is named without encryption, and left out";
                found.remarks.push(format!("{host} {why} ({shown})"));
            }
            for host in tokens {
                let why = "takes no password, but tokens (OAuth) alone, and is left out";
                found.remarks.push(format!("{host} {why} ({shown})"));
            }
        }
        // Web servers like to give a page of their own for whatever is asked.
        Err(error) => found.remarks.push(format!("{shown} is of no use: {error}")),
    }
}

#[cfg(test)]
mod tests;
