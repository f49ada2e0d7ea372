//! Watches on real servers: what happens in a mailbox is told.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::sync::Arc;
use std::time::Duration;

use message::{Flags, InternalDate, Uid, UidSet};
use restante_remote::imap::{Scope, Wanted, Watch};
use restante_remote::{Credentials, Endpoint, Limits, Security};
use server::{Behaviour, Server, Store};
use testkit::{Dovecot, Options};
use tokio::time::timeout;

/// Beyond this something hangs; flags alone take a minute.
const PATIENCE: Duration = Duration::from_secs(150);

fn endpoint(port: u16) -> Endpoint {
    Endpoint {
        host: "127.0.0.1".to_owned(),
        port,
        security: Security::Plain,
        extra_authorities: Vec::new(),
        extra_authorities_from: String::new(),
    }
}

async fn open(port: u16, limits: &Limits) -> Option<Watch> {
    let credentials = Credentials { user: "anna".to_owned(), password: "pass".into() };
    let wanted: Wanted = Arc::new(|_| true);
    Watch::open(&endpoint(port), &credentials, limits, wanted).await.unwrap()
}

async fn told(watch: &mut Watch) {
    timeout(PATIENCE, watch.changed()).await.expect("it is told").unwrap();
}

fn date() -> InternalDate {
    InternalDate::parse("02-Mar-2026 10:00:00 +0000")
}

#[tokio::test]
async fn dovecot_tells_of_mail_in_every_folder() {
    let Some(mut dovecot) = Dovecot::start(Options::default()) else { return };
    let mut other = dovecot.imap("anna");
    other.create("Lists");
    let mut watch = open(dovecot.plain().port(), &Limits::default()).await.unwrap();
    assert_eq!(watch.scope(), Scope::Everything);
    let letter = b"Subject: a letter\r\n\r\nHello\r\n";
    other.append("INBOX", &Flags::new(), &date(), letter);
    told(&mut watch).await;
    other.append("Lists", &Flags::new(), &date(), letter);
    told(&mut watch).await;
    other.expunge("INBOX", &UidSet::from_iter([Uid::new(1).unwrap()]));
    told(&mut watch).await;
    // What is delivered behind the server's back is found by it, too.
    dovecot.deliver("anna", "INBOX", &Flags::new(), &date(), letter);
    told(&mut watch).await;
    dovecot.restart();
    let error = timeout(PATIENCE, watch.changed()).await.expect("a lost line is noticed").unwrap_err();
    assert_eq!(error.kind(), restante_remote::Kind::Network, "{error}");
}

#[tokio::test]
async fn a_server_with_idle_alone_tells_of_inbox_however_often_it_is_asked_anew() {
    let store = Store::new();
    store.add_user("anna", "pass");
    let server = Server::start(store.clone(), Behaviour::modern()).await.unwrap();
    let mut limits = Limits::default();
    limits.idle = Duration::from_millis(20);
    let mut watch = open(server.address().port(), &limits).await.unwrap();
    assert_eq!(watch.scope(), Scope::Inbox);
    for number in 1..=3 {
        let letter = format!("Subject: {number}\r\n\r\n");
        store.append("anna", "INBOX", &Flags::new(), &date(), letter.as_bytes()).unwrap();
        told(&mut watch).await;
    }
    let commands = server.log();
    assert!(commands.iter().filter(|command| *command == "IDLE").count() > 10, "{commands:?}");
    let selects = |command: &&String| command.starts_with("SELECT") || command.starts_with("STORE");
    assert_eq!(commands.iter().find(selects), None);
    server.stop().await;
}
