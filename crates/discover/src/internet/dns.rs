//! DNS, asked by the system's servers.
//!
//! The resolver is asynchronous and this crate is not: it has a runtime of its own, on which each
//! question is waited for.

use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{ResolverBuilder, TokioResolver};
use tokio::runtime::Runtime;

use crate::door::{MailExchanger, Names, NoAnswer, ServiceRecord};
use crate::limits::{DNS_TIME, RECORDS};

/// The system's DNS servers.
pub struct Dns {
    runtime: Runtime,
    resolver: TokioResolver,
}

impl Dns {
    /// The servers that `/etc/resolv.conf` names.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_the_system() -> Result<Self, NoAnswer> {
        Self::asking(TokioResolver::builder_tokio().map_err(|error| NoAnswer(error.to_string()))?)
    }

    fn asking(mut servers: ResolverBuilder<TokioRuntimeProvider>) -> Result<Self, NoAnswer> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| NoAnswer(error.to_string()))?;
        let options = servers.options_mut();
        options.timeout = DNS_TIME;
        options.attempts = 1;
        let resolver = servers.build().map_err(|error| NoAnswer(error.to_string()))?;
        Ok(Self { runtime, resolver })
    }

    fn ask(&self, name: &str, kind: RecordType) -> Result<Vec<RData>, NoAnswer> {
        // With the dot at its end it is looked for as it is, and not in the domains of resolv.conf.
        let name = format!("{name}.");
        let answer = self.runtime.block_on(async {
            let limit = DNS_TIME * 2;
            tokio::time::timeout(limit, self.resolver.lookup(name, kind))
                .await
                .map_err(|_| NoAnswer(format!("no answer within {} s", limit.as_secs())))
        })?;
        match answer {
            Ok(lookup) => {
                let records = lookup.answers().iter().map(|record| record.data.clone());
                Ok(records.take(RECORDS).collect())
            }
            Err(error) if error.is_no_records_found() => Ok(Vec::new()),
            Err(error) => Err(NoAnswer(error.to_string())),
        }
    }
}

impl Names for Dns {
    fn services(&self, name: &str) -> Result<Vec<ServiceRecord>, NoAnswer> {
        let records = self.ask(name, RecordType::SRV)?.into_iter().filter_map(|data| match data {
            RData::SRV(record) => Some(ServiceRecord {
                priority: record.priority,
                weight: record.weight,
                port: record.port,
                target: record.target.to_ascii(),
            }),
            _ => None,
        });
        Ok(records.collect())
    }

    fn exchangers(&self, domain: &str) -> Result<Vec<MailExchanger>, NoAnswer> {
        let records = self.ask(domain, RecordType::MX)?.into_iter().filter_map(|data| match data {
            RData::MX(record) => {
                Some(MailExchanger { preference: record.preference, host: record.exchange.to_ascii() })
            }
            _ => None,
        });
        Ok(records.collect())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use std::net::{IpAddr, Ipv4Addr, UdpSocket};

    use hickory_resolver::config::{NameServerConfig, ResolverConfig};
    use hickory_resolver::proto::op::{Message, OpCode, ResponseCode};
    use hickory_resolver::proto::rr::rdata::{MX, SRV};
    use hickory_resolver::proto::rr::{Name, Record};

    use super::*;

    /// A server on loopback that knows three names, and says of `broken.example.org` that it is not well.
    fn server() -> u16 {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = socket.local_addr().unwrap().port();
        std::thread::spawn(move || {
            let mut bytes = [0; 1500];
            while let Ok((length, asker)) = socket.recv_from(&mut bytes) {
                let question = Message::from_vec(&bytes[..length]).unwrap();
                socket.send_to(&answer(&question).to_vec().unwrap(), asker).unwrap();
            }
        });
        port
    }

    fn answer(question: &Message) -> Message {
        let query = question.queries[0].clone();
        let mut answer = Message::response(question.metadata.id, OpCode::Query);
        answer.metadata.recursion_available = true;
        let name = query.name().clone();
        let host = |text: &str| Name::from_ascii(text).unwrap();
        let data = match (name.to_ascii().as_str(), query.query_type()) {
            ("_imaps._tcp.example.org.", RecordType::SRV) => {
                vec![
                    RData::SRV(SRV::new(1, 2, 993, host("Mail.Example.Org."))),
                    RData::SRV(SRV::new(0, 0, 0, host("."))),
                ]
            }
            ("many.example.org.", RecordType::SRV) => {
                let server = |number| RData::SRV(SRV::new(number, 0, 993, host("mail.example.org.")));
                (0..20).map(server).collect()
            }
            ("example.org.", RecordType::MX) => vec![RData::MX(MX::new(5, host("mx.example.net.")))],
            ("broken.example.org.", _) => {
                answer.metadata.response_code = ResponseCode::ServFail;
                vec![]
            }
            _ => {
                answer.metadata.response_code = ResponseCode::NXDomain;
                vec![]
            }
        };
        answer.add_query(query);
        for data in data {
            answer.add_answer(Record::from_rdata(name.clone(), 60, data));
        }
        answer
    }

    fn dns(port: u16) -> Dns {
        let mut server = NameServerConfig::udp(IpAddr::V4(Ipv4Addr::LOCALHOST));
        server.connections[0].port = port;
        let config = ResolverConfig::from_parts(None, vec![], vec![server]);
        let builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        Dns::asking(builder).map_err(|error| error.to_string()).unwrap()
    }

    #[test]
    fn records_come_as_dns_has_them_and_none_is_no_error() {
        let dns = dns(server());
        let services = dns.services("_imaps._tcp.example.org").unwrap();
        let record = |priority, weight, port, target: &str| ServiceRecord {
            priority,
            weight,
            port,
            target: target.to_owned(),
        };
        assert!(services.contains(&record(1, 2, 993, "Mail.Example.Org.")), "{services:?}");
        assert!(services.contains(&record(0, 0, 0, ".")), "{services:?}");
        let exchangers = dns.exchangers("example.org").unwrap();
        assert_eq!(exchangers, [MailExchanger { preference: 5, host: "mx.example.net.".to_owned() }]);
        assert_eq!(dns.services("_pop3s._tcp.example.org"), Ok(vec![]));
        assert_eq!(dns.services("many.example.org").unwrap().len(), RECORDS);
    }

    #[test]
    fn a_server_that_is_not_well_is_an_error_and_not_an_empty_answer() {
        assert!(dns(server()).services("broken.example.org").is_err());
    }
}
