//! SRV records of mail services (RFC 6186, RFC 8314 §5.1) and the order in which they are tried.

use crate::address::Address;
use crate::candidate::{Candidate, Encryption, Service, Source};
use crate::door::ServiceRecord;
use crate::host;
use crate::limits::RECORDS;

/// The services that are asked for, as RFC 6186 names them.
pub(crate) const SERVICES: [(&str, Service, Encryption); 4] = [
    ("_imaps._tcp", Service::Imap, Encryption::Implicit),
    ("_imap._tcp", Service::Imap, Encryption::StartTls),
    ("_pop3s._tcp", Service::Pop3, Encryption::Implicit),
    ("_pop3._tcp", Service::Pop3, Encryption::StartTls),
];

/// What a domain says of its services.
#[derive(Debug, Default)]
pub(crate) struct Told {
    /// IMAP first; among servers of a protocol by priority, then TLS from the first octet, then weight.
    pub(crate) candidates: Vec<Candidate>,
    /// The services of which it is said that there are none (RFC 6186 §3.4).
    pub(crate) denied: Vec<Service>,
}

/// Puts the answers together, which come in the order of [`SERVICES`].
///
/// By RFC 2782 a client throws dice among servers of one priority, so that the work is shared. Here the
/// one with the largest weight is taken: it goes into a configuration, and ought to be the same when
/// someone looks again.
pub(crate) fn read(address: &Address, answers: &[Vec<ServiceRecord>]) -> Told {
    let mut offered = Vec::new();
    let mut denied = [false; 4];
    for ((number, &(_, service, encryption)), records) in SERVICES.iter().enumerate().zip(answers) {
        denied[number] = records.iter().any(|record| is_denial(&record.target));
        for record in records.iter().take(RECORDS).filter(|record| record.port > 0) {
            let Some(host) = host::name(&record.target) else { continue };
            let user = address.text().to_owned();
            let port = record.port;
            let candidate = Candidate { service, host, port, encryption, user, source: Source::Srv };
            offered.push((service, record.priority, encryption, u16::MAX - record.weight, candidate));
        }
    }
    offered.sort_by(|(s1, p1, e1, w1, c1), (s2, p2, e2, w2, c2)| {
        (s1, p1, e1, w1, &c1.host).cmp(&(s2, p2, e2, w2, &c2.host))
    });
    let candidates: Vec<Candidate> = offered.into_iter().map(|(.., candidate)| candidate).collect();
    let denied = [(Service::Imap, denied[0] && denied[1]), (Service::Pop3, denied[2] && denied[3])]
        .into_iter()
        .filter(|&(service, denied)| denied && !candidates.iter().any(|offer| offer.service == service))
        .map(|(service, _)| service)
        .collect();
    Told { candidates, denied }
}

fn is_denial(target: &str) -> bool {
    matches!(target, "." | "")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use proptest::prelude::*;

    use super::*;

    fn record(priority: u16, weight: u16, port: u16, target: &str) -> ServiceRecord {
        ServiceRecord { priority, weight, port, target: target.to_owned() }
    }

    fn address() -> Address {
        Address::parse("anna@example.org").unwrap()
    }

    #[test]
    fn imap_comes_first_then_priority_then_tls_from_the_start_then_weight() {
        let told = read(
            &address(),
            &[
                vec![record(10, 1, 993, "d.example.org."), record(10, 9, 993, "c.example.org.")],
                vec![record(10, 9, 143, "e.example.org."), record(5, 0, 143, "B.example.org.")],
                vec![record(0, 0, 995, "p.example.org.")],
                vec![],
            ],
        );
        let order: Vec<(&str, u16)> =
            told.candidates.iter().map(|offer| (offer.host.as_str(), offer.port)).collect();
        let expected = [
            ("b.example.org", 143),
            ("c.example.org", 993),
            ("d.example.org", 993),
            ("e.example.org", 143),
            ("p.example.org", 995),
        ];
        assert_eq!(order, expected);
        assert!(told.denied.is_empty());
        assert!(told.candidates.iter().all(|offer| offer.user == "anna@example.org"));
    }

    #[test]
    fn a_single_dot_says_that_a_service_is_not_offered() {
        let none = vec![record(0, 0, 0, ".")];
        let told = read(&address(), &[none.clone(), none.clone(), vec![], none.clone()]);
        assert!(told.candidates.is_empty());
        assert_eq!(told.denied, [Service::Imap], "POP3 over TLS is not spoken of");
        let told = read(
            &address(),
            &[none.clone(), vec![record(0, 0, 143, "mail.example.org.")], none.clone(), none],
        );
        assert_eq!(told.candidates.len(), 1);
        assert_eq!(told.denied, [Service::Pop3], "IMAP is offered in one of two ways");
    }

    #[test]
    fn what_is_no_host_and_what_is_too_much_is_passed_over() {
        let bad =
            vec![record(0, 0, 993, "10.0.0.1."), record(0, 0, 993, "a b."), record(0, 0, 0, "a.example.")];
        assert!(read(&address(), &[bad]).candidates.is_empty());
        let many = vec![record(0, 0, 993, "a.example."); 1000];
        assert_eq!(read(&address(), &[many]).candidates.len(), RECORDS);
    }

    proptest! {
        #[test]
        fn whatever_dns_says_gives_hosts_with_ports(
            told in proptest::collection::vec(
                proptest::collection::vec((any::<u16>(), any::<u16>(), any::<u16>(), ".{0,40}"), 0..5), 0..5)
        ) {
            let answers: Vec<Vec<ServiceRecord>> = told
                .into_iter()
                .map(|records| records.into_iter().map(|(p, w, port, target)| record(p, w, port, &target)).collect())
                .collect();
            for offer in read(&address(), &answers).candidates {
                prop_assert!(offer.port > 0);
                let parsed = host::name(&offer.host);
                prop_assert_eq!(parsed.as_deref(), Some(offer.host.as_str()));
            }
        }
    }
}
