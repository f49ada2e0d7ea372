//! Serves the sample mailbox until it is interrupted: user `alice`, password `secret`.
//!
//! For trying other mail programs against the server. The first argument is the port; `bare` as
//! the second offers no extension.

#![expect(clippy::print_stdout, reason = "it says where it listens")]

use std::error::Error;
use std::net::{Ipv4Addr, SocketAddr};

use restante_server::{Behaviour, Server, Store, sample};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let bare = arguments.next().is_some_and(|word| word == "bare");
    let behaviour = if bare { Behaviour::bare() } else { Behaviour::modern() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let store = Store::new();
        store.add_user("alice", "secret");
        let messages = sample::fill(&store, "alice")?;
        let server =
            Server::start(store, behaviour.at(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))).await?;
        println!("{messages} messages at {}", server.address());
        std::future::pending::<Result<(), Box<dyn Error>>>().await
    })
}
