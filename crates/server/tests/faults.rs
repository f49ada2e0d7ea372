//! What the server does wrong on demand, seen from a client.

#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod support;

use message::Uid;
use restante_server::{Behaviour, Effect, Fault, Field, Gate, Server, Trigger};
use support::{Client, server_with};

fn on(command: &str) -> Trigger {
    Trigger::Command(command.to_owned())
}

async fn with(messages: u32, when: Trigger, what: Effect) -> Server {
    server_with(messages, Behaviour::modern().with_fault(Fault::new(when, what))).await
}

async fn open(server: &Server) -> Client {
    let mut client = Client::login(server).await;
    client.ok("EXAMINE INBOX").await;
    client
}

#[tokio::test]
async fn one_message_can_kill_the_connection_and_those_before_it_arrive() {
    let server = with(5, Trigger::Body(3), Effect::Disconnect).await;
    let mut client = open(&server).await;
    let lines = client.ask("UID FETCH 1:5 (BODY.PEEK[])").await;
    assert_eq!(lines.len(), 2);
    let mut client = open(&server).await;
    assert_eq!(client.ok("UID FETCH 1:5 (RFC822.SIZE)").await.len(), 6);
    assert_eq!(client.ok("UID FETCH 4:5 (BODY.PEEK[])").await.len(), 3);
}

#[tokio::test]
async fn a_command_is_refused_as_often_as_it_is_told() {
    let fault = Fault::new(on("UID FETCH"), Effect::No("[LIMIT] slow down".into())).first(1);
    let server = server_with(2, Behaviour::modern().with_fault(fault)).await;
    let mut client = open(&server).await;
    assert_eq!(client.ask("UID FETCH 1 (UID)").await, ["NO [LIMIT] slow down"]);
    client.ok("UID FETCH 1 (UID)").await;
    server.set_faults(&[
        Fault::new(Trigger::Wider(2), Effect::Bad("range too wide".into())),
        Fault::new(Trigger::Line("body.peek[]".into()), Effect::Bye("enough".into())),
    ]);
    assert_eq!(client.ask("UID FETCH 1:3 (UID)").await, ["BAD range too wide"]);
    client.ok("UID FETCH 2:1,2 (UID)").await;
    assert_eq!(client.ask("UID FETCH 1 (BODY.PEEK[])").await, ["* BYE enough"]);
    assert!(client.is_over().await);
}

#[tokio::test]
async fn an_answer_is_cut_at_the_octet_or_not_given_though_it_was_done() {
    let server = with(1, on("UID FETCH"), Effect::DisconnectAfter(40)).await;
    let mut client = open(&server).await;
    let before = server.counts().octets_sent;
    assert!(client.ask("UID FETCH 1 (BODY.PEEK[])").await.is_empty());
    assert_eq!(server.counts().octets_sent - before, 40);

    server.set_faults(&[Fault::new(on("APPEND"), Effect::DisconnectAfter(0))]);
    let mut client = Client::login(&server).await;
    assert!(client.ask("APPEND INBOX {1+}\r\nx").await.is_empty());
    assert_eq!(server.store().messages("alice", "INBOX").unwrap().len(), 2);

    server.set_faults(&[Fault::new(Trigger::Sent(700), Effect::Disconnect)]);
    let before = server.counts().octets_sent;
    let mut client = open(&server).await;
    client.ask("UID FETCH 1 (BODY.PEEK[])").await;
    assert!(client.is_over().await);
    assert_eq!(server.counts().octets_sent - before, 700);
}

#[tokio::test]
async fn literals_lie_in_both_directions() {
    let server = with(1, Trigger::Body(1), Effect::ShortLiteral(5)).await;
    let mut client = open(&server).await;
    client.send(b"a UID FETCH 1 (BODY.PEEK[TEXT])\r\na NOOP\r\n").await;
    assert_eq!(client.line().await.unwrap(), "* 1 FETCH (UID 1 BODY[TEXT] {8}\r\nTex)\r\na OK FETCH done");
    server.set_faults(&[Fault::new(Trigger::Body(1), Effect::LongLiteral(3))]);
    let mut client = open(&server).await;
    let lines = client.ask("UID FETCH 1 (BODY.PEEK[TEXT])").await;
    assert_eq!(lines[0], "* 1 FETCH (UID 1 BODY[TEXT] {8}\r\nText 1\r\nxxx)");
}

#[tokio::test]
async fn items_are_wrong_missing_or_in_odd_order() {
    let cases = [
        (
            Effect::Size(u64::from(u32::MAX)),
            "* 1 FETCH (UID 1 RFC822.SIZE 4294967295 BODY[TEXT] {8}\r\nText 1\r\n)",
        ),
        (Effect::Omit(Field::Uid), "* 1 FETCH (RFC822.SIZE 51 BODY[TEXT] {8}\r\nText 1\r\n)"),
        (Effect::Omit(Field::Body), "* 1 FETCH (UID 1 RFC822.SIZE 51)"),
        (Effect::Nil(Field::Body), "* 1 FETCH (UID 1 RFC822.SIZE 51 BODY[TEXT] NIL)"),
        (Effect::Nil(Field::Size), "* 1 FETCH (UID 1 RFC822.SIZE NIL BODY[TEXT] {8}\r\nText 1\r\n)"),
        (Effect::UidLast, "* 1 FETCH (RFC822.SIZE 51 BODY[TEXT] {8}\r\nText 1\r\n UID 1)"),
        (
            Effect::Content(b"A: b\r\n\r\nother".to_vec()),
            "* 1 FETCH (UID 1 RFC822.SIZE 51 BODY[TEXT] {5}\r\nother)",
        ),
        (Effect::Before(b"* 1 EXPUNGE\r\n".to_vec()), "* 1 EXPUNGE"),
        (Effect::Hide, "OK FETCH done"),
    ];
    let server = server_with(1, Behaviour::modern()).await;
    let mut client = open(&server).await;
    for (what, wanted) in cases {
        server.set_faults(&[Fault::new(Trigger::Fetch(1), what)]);
        assert_eq!(client.ok("UID FETCH 1 (RFC822.SIZE BODY.PEEK[TEXT])").await[0], wanted);
    }
    server.set_faults(&[Fault::new(on("UID FETCH"), Effect::InPieces)]);
    assert_eq!(
        client.ok("UID FETCH 1 (RFC822.SIZE)").await[..2],
        ["* 1 FETCH (UID 1)", "* 1 FETCH (RFC822.SIZE 51)"]
    );
    server.set_faults(&[Fault::new(Trigger::Always, Effect::Rebuilt)]);
    let first = client.ok("UID FETCH 1 (BODY.PEEK[])").await;
    assert_ne!(client.ok("UID FETCH 1 (BODY.PEEK[])").await, first);
    server.set_faults(&[Fault::new(on("UID FETCH"), Effect::SetsSeen)]);
    client.ok("UID FETCH 1 (BODY.PEEK[])").await;
    assert!(server.store().messages("alice", "INBOX").unwrap()[0].flags.contains("\\Seen"));
}

#[tokio::test]
async fn numbers_of_a_mailbox_and_of_a_search_are_wrong() {
    let server = server_with(4, Behaviour::modern()).await;
    let mut client = Client::login(&server).await;
    for (what, present, absent) in [
        (Effect::Exists(7), "* 7 EXISTS", "* 4 EXISTS"),
        (Effect::Validity(None), "* 4 EXISTS", "* OK [UIDVALIDITY"),
        (Effect::Validity(Some(0)), "* OK [UIDVALIDITY 0]", "* OK [UIDVALIDITY 1]"),
        (Effect::UidNext(Some(2)), "* OK [UIDNEXT 2]", "* OK [UIDNEXT 5]"),
        (Effect::HighestModSeq(Some(0)), "* OK [NOMODSEQ]", "* OK [HIGHESTMODSEQ"),
    ] {
        server.set_faults(&[Fault::new(on("EXAMINE"), what)]);
        let lines = client.ok("EXAMINE INBOX").await;
        assert!(lines.iter().any(|line| line.starts_with(present)), "{present}: {lines:?}");
        assert!(!lines.iter().any(|line| line.starts_with(absent)), "{absent}: {lines:?}");
    }
    server.set_faults(&[Fault::new(Trigger::Always, Effect::ValidityChanges)]);
    let first = client.ok("STATUS INBOX (UIDVALIDITY)").await;
    assert_ne!(client.ok("STATUS INBOX (UIDVALIDITY)").await, first);
    server.set_faults(&[Fault::new(on("UID SEARCH"), Effect::SearchLimit(2))]);
    assert_eq!(client.ok("UID SEARCH ALL").await[0], "* SEARCH 1 2");
    server.set_faults(&[Fault::new(on("UID SEARCH"), Effect::SearchAlso(vec![90]))]);
    assert_eq!(client.ok("UID SEARCH 4").await[0], "* SEARCH 4 90");

    server.set_faults(&[Fault::new(on("SELECT"), Effect::Vanished("1:4".into()))]);
    client.ok("ENABLE QRESYNC").await;
    let lines = client.ok("SELECT INBOX (QRESYNC (1 1))").await;
    assert!(lines.contains(&"* VANISHED (EARLIER) 1:4".to_owned()));
}

#[tokio::test]
async fn a_fault_can_be_meant_for_one_mailbox() {
    let fault = Fault::new(Trigger::Fetch(1), Effect::Hide).in_mailbox("Sent");
    let server = server_with(1, Behaviour::modern().with_fault(fault)).await;
    let store = server.store();
    store.create("alice", "Sent").unwrap();
    let inbox = store.messages("alice", "INBOX").unwrap().remove(0);
    store.append("alice", "Sent", &inbox.flags, &inbox.date, inbox.bytes).unwrap();
    assert_eq!(store.messages("alice", "Sent").unwrap()[0].uid, Uid::MIN);
    let mut client = open(&server).await;
    assert_eq!(client.ok("UID FETCH 1 (UID)").await.len(), 2);
    client.ok("EXAMINE Sent").await;
    assert_eq!(client.ok("UID FETCH 1 (UID)").await.len(), 1);
}

#[tokio::test]
async fn a_silent_server_and_a_dripping_one_keep_the_client_waiting() {
    let gate = Gate::new();
    let server = with(1, on("UID FETCH"), Effect::Drip(10, gate.clone())).await;
    let mut client = open(&server).await;
    client.send(b"a UID FETCH 1 (BODY.PEEK[TEXT])\r\n").await;
    let mut ten = [0; 10];
    tokio::io::AsyncReadExt::read_exact(&mut client.stream, &mut ten).await.unwrap();
    assert_eq!(&ten, b"* 1 FETCH ");
    gate.open(1000);
    assert_eq!(client.line().await.unwrap(), "(UID 1 BODY[TEXT] {8}\r\nText 1\r\n)");
    assert_eq!(client.answer("a").await.len(), 1);

    server.set_faults(&[Fault::new(on("NOOP"), Effect::Silence)]);
    client.send(b"b NOOP\r\n").await;
    tokio::select! {
        biased;
        _ = client.line() => panic!("it was to be silent"),
        () = async { while server.counts().commands < 4 { tokio::task::yield_now().await } } => {}
    }
    server.stop().await;
    assert!(client.is_over().await);
}

#[tokio::test]
async fn greetings_and_answers_are_what_the_script_says() {
    let fault =
        Fault::new(Trigger::Greeting, Effect::Instead(b"220 mail.example ESMTP\r\n".to_vec())).only(1);
    let login = Fault::new(Trigger::Login, Effect::No("[UNAVAILABLE] later".into())).first(1);
    let status =
        Fault::new(on("STATUS"), Effect::Instead(b"* STATUS INBOX ()\r\nwrong OK\r\n{tag} OK\r\n".to_vec()));
    let behaviour = Behaviour::modern().with_fault(fault).with_fault(login).with_fault(status);
    let server = server_with(0, behaviour).await;
    let mut client = Client::over(tokio::net::TcpStream::connect(server.address()).await.unwrap());
    assert_eq!(client.line().await.unwrap(), "220 mail.example ESMTP");
    let mut client = Client::connect(&server).await;
    assert_eq!(client.ask("LOGIN alice secret").await, ["NO [UNAVAILABLE] later"]);
    client.ok("LOGIN alice secret").await;
    assert_eq!(client.ok("STATUS INBOX (MESSAGES)").await, ["* STATUS INBOX ()", "wrong OK", "OK"]);
    let server = server_with(0, Behaviour::bare().with_greeting("BYE too many connections")).await;
    let mut client = Client::over(tokio::net::TcpStream::connect(server.address()).await.unwrap());
    assert_eq!(client.line().await.unwrap(), "* BYE too many connections");
    assert!(client.is_over().await);
}
