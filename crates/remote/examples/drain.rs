//! How fast can a mailbox be read? Fetches every message of every folder and throws it away.
//!
//! The password comes from standard input, so that it stands in no process list:
//!
//! ```text
//! echo secret | cargo run --release -p restante-remote --example drain -- HOST PORT USER [plain|starttls] [CA.pem]
//! ```
//!
//! It is also the shortest story of a pull: open, list, examine, uids, fetch, logout.

use std::ops::ControlFlow;
use std::time::Instant;

use restante_remote::imap::{Delivery, FetchRequest, FetchSink, Part, Refusal, Session};
use restante_remote::{Credentials, Endpoint, Limits, Security};

/// Counts what comes and forgets it.
#[derive(Default)]
struct Drain {
    messages: u64,
    octets: u64,
    refused: u64,
}

impl FetchSink for Drain {
    async fn delivered(&mut self, delivery: Delivery) -> ControlFlow<()> {
        self.messages += 1;
        self.octets += delivery.bytes.len() as u64;
        ControlFlow::Continue(())
    }

    async fn finished(&mut self, request: FetchRequest, refused: Option<Refusal>) -> ControlFlow<()> {
        self.refused += refused.map_or(0, |_| request.uids.len());
        ControlFlow::Continue(())
    }
}

#[expect(clippy::print_stdout, reason = "this is a program")]
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [host, port, user, rest @ ..] = arguments.as_slice() else {
        return Err("usage: drain HOST PORT USER [plain|starttls] [CA.pem]".into());
    };
    let security = match rest.first().map(String::as_str) {
        Some("plain") => Security::Plain,
        Some("starttls") => Security::StartTls,
        _ => Security::Implicit,
    };
    let ca = rest.iter().find(|argument| argument.ends_with(".pem"));
    let endpoint = Endpoint {
        host: host.clone(),
        port: port.parse()?,
        security,
        extra_authorities: ca.map(std::fs::read).transpose()?.unwrap_or_default(),
        extra_authorities_from: ca.cloned().unwrap_or_default(),
    };
    let password = std::io::read_to_string(std::io::stdin())?;
    let credentials =
        Credentials { user: user.clone(), password: password.trim_end_matches('\n').to_owned().into() };

    let start = Instant::now();
    let mut session = Session::open(&endpoint, &credentials, &Limits::default()).await?;
    let mut drain = Drain::default();
    for mailbox in session.list().await?.into_iter().filter(|mailbox| mailbox.selectable) {
        session.examine(&mailbox.name, None).await?;
        let uids = session.uids().await?;
        let request = FetchRequest { uids, part: Part::Whole };
        session.fetch(vec![request], &mut drain).await?;
    }
    let traffic = session.traffic();
    session.logout().await;
    println!(
        "{:.3} s: {} messages, {} octets of mail, {} refused; {} octets on the wire, {} round trips",
        start.elapsed().as_secs_f64(),
        drain.messages,
        drain.octets,
        drain.refused,
        traffic.received,
        traffic.round_trips
    );
    Ok(())
}
