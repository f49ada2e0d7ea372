//! Domains that say much, little and nothing, over doors that lead nowhere.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use std::collections::HashMap;
use std::sync::Mutex;

use super::*;
use crate::candidate::Encryption;
use crate::door::{MailExchanger, ServiceRecord};

/// A world of names and files; whatever is not in it is not there.
#[derive(Default)]
struct World {
    services: HashMap<String, Vec<ServiceRecord>>,
    exchangers: Vec<MailExchanger>,
    files: HashMap<String, String>,
    broken_dns: bool,
    broken_web: bool,
    asked: Mutex<Vec<String>>,
}

impl Names for World {
    fn services(&self, name: &str) -> Result<Vec<ServiceRecord>, NoAnswer> {
        self.asked.lock().unwrap().push(name.to_owned());
        if self.broken_dns {
            return Err(NoAnswer("no answer within 3 s".to_owned()));
        }
        Ok(self.services.get(name).cloned().unwrap_or_default())
    }

    fn exchangers(&self, _domain: &str) -> Result<Vec<MailExchanger>, NoAnswer> {
        if self.broken_dns {
            Err(NoAnswer("no answer within 3 s".to_owned()))
        } else {
            Ok(self.exchangers.clone())
        }
    }
}

impl Web for World {
    fn get(&self, url: &str) -> Result<Option<Vec<u8>>, NoAnswer> {
        self.asked.lock().unwrap().push(url.to_owned());
        if self.broken_web {
            return Err(NoAnswer("no route".to_owned()));
        }
        Ok(self.files.get(url).map(|file| file.clone().into_bytes()))
    }
}

impl World {
    fn with_service(mut self, service: &str, port: u16, target: &str) -> Self {
        let record = ServiceRecord { priority: 0, weight: 0, port, target: target.to_owned() };
        self.services.entry(format!("{service}._tcp.example.org")).or_default().push(record);
        self
    }

    fn with_file(mut self, url: &str, host: &str) -> Self {
        let server = format!(
            "<incomingServer type=\"imap\"><hostname>{host}</hostname><socketType>SSL</socketType></incomingServer>"
        );
        let file = format!("<clientConfig><emailProvider>{server}</emailProvider></clientConfig>");
        self.files.insert(url.to_owned(), file);
        self
    }

    fn find(&self) -> Found {
        find(&address(), Some(Doors { names: self, web: self }))
    }

    fn hosts(&self) -> Vec<String> {
        self.find().candidates.into_iter().map(|candidate| candidate.host).collect()
    }
}

fn address() -> Address {
    Address::parse("anna@example.org").unwrap()
}

const OWN: &str = "https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=anna%40example.org";
const WELL_KNOWN: &str = "https://example.org/.well-known/autoconfig/mail/config-v1.1.xml";
const OF_DATABASE: &str = "https://autoconfig.thunderbird.net/v1.1/example.org";

#[test]
fn what_the_domain_says_comes_in_order_and_nobody_else_is_asked() {
    let world = World::default()
        .with_service("_pop3s", 995, "pop.example.org.")
        .with_service("_imaps", 993, "srv.example.org.")
        .with_file(OWN, "own.example.org")
        .with_file(WELL_KNOWN, "srv.example.org")
        .with_file(OF_DATABASE, "database.example");
    assert_eq!(world.hosts(), ["srv.example.org", "own.example.org", "pop.example.org"]);
    let asked = world.asked.lock().unwrap();
    assert!(!asked.iter().any(|asked| asked.contains("thunderbird")), "{asked:?}");
}

#[test]
fn the_database_is_asked_with_the_domain_alone_where_the_domain_is_silent() {
    let world = World::default().with_file(OF_DATABASE, "imap.provider.example");
    let found = world.find();
    assert_eq!(found.candidates.len(), 1);
    assert_eq!(found.candidates[0].source, Source::Database);
    assert!(!address().covers(&found.candidates[0].host));
    let asked = world.asked.lock().unwrap();
    let told: Vec<_> = asked.iter().filter(|asked| asked.contains("anna")).collect();
    assert_eq!(told, [OWN], "the address goes to its own domain and nowhere else");
}

#[test]
fn the_provider_that_takes_the_mail_is_known_by_its_exchangers() {
    let exchangers = vec![MailExchanger { preference: 1, host: "aspmx.l.google.com.".to_owned() }];
    let world = World { exchangers, ..World::default() };
    assert_eq!(world.hosts(), ["imap.gmail.com"]);
    assert_eq!(world.find().candidates[0].source, Source::Mx);
}

#[test]
fn usual_names_are_tried_where_nobody_says_anything_or_is_asked() {
    let found = World::default().find();
    assert_eq!(found.candidates.len(), 12);
    assert_eq!(found.candidates[0].host, "imap.example.org");
    assert!(found.remarks.is_empty(), "{:?}", found.remarks);
    assert_eq!(find(&address(), None), found, "and the same where nobody is asked");
    let dead = World { broken_dns: true, broken_web: true, ..World::default() };
    let found = dead.find();
    assert_eq!(found.candidates.len(), 12);
    assert!(found.remarks[0].contains("no answer within 3 s"), "{:?}", found.remarks);
    let names = dead.asked.lock().unwrap().iter().filter(|asked| asked.starts_with('_')).count();
    assert_eq!(names, 1, "who does not answer is not asked again");
}

#[test]
fn a_protocol_that_the_domain_has_not_is_not_tried() {
    let world = World::default().with_service("_imaps", 0, ".").with_service("_imap", 0, ".");
    let found = world.find();
    assert!(found.candidates.iter().all(|candidate| candidate.service == Service::Pop3));
    assert!(found.remarks[0].contains("no IMAP"), "{:?}", found.remarks);
    let none = world.with_service("_pop3s", 0, ".").with_service("_pop3", 0, ".");
    assert!(none.hosts().is_empty());
}

#[test]
fn no_candidate_is_without_encryption() {
    let mut world = World::default();
    let file = "<clientConfig><emailProvider><incomingServer type=\"imap\"><hostname>old.example.org</hostname>\
                <port>143</port><socketType>plain</socketType></incomingServer></emailProvider></clientConfig>";
    world.files.insert(WELL_KNOWN.to_owned(), file.to_owned());
    world.files.insert(OWN.to_owned(), "<html>Welcome</html".to_owned());
    let found = world.find();
    assert!(found.candidates.iter().all(|candidate| candidate.source == Source::Guess));
    assert!(
        found.remarks.iter().any(|remark| remark.contains("old.example.org is named without encryption"))
    );
    let useless = found.remarks.iter().find(|remark| remark.contains("of no use")).unwrap();
    assert!(!useless.contains("anna"), "{useless}");
    let ways: Vec<Encryption> = found.candidates.iter().map(|candidate| candidate.encryption).collect();
    assert!(ways.contains(&Encryption::Implicit) && ways.contains(&Encryption::StartTls));
}
