//! Faults strike where, and as often as, they should.

use restante_server::pop3::{Behaviour, Effect, Fault, Host, Trigger};
use restante_server::{Gate, Tls, tls_config};

use crate::client::{Client, host, store_with};

fn with(fault: Fault) -> Host {
    host(Behaviour::modern().with_fault(fault))
}

#[tokio::test]
async fn the_line_is_dropped_in_a_message_as_often_as_it_is_said() {
    let host = with(Fault::new(Trigger::Message(2), Effect::DisconnectAfter(20)).first(2));
    for _ in 0..2 {
        let mut client = Client::login(&host).await;
        assert_eq!(client.lines("RETR 1").await.len(), 13);
        client.send("RETR 2\r\n").await;
        assert_eq!(client.rest().await, "+OK 18 octets\r\nA: 2\r");
    }
    assert_eq!(Client::login(&host).await.lines("RETR 2").await.len(), 20);
}

#[tokio::test]
async fn the_line_is_dropped_after_so_many_octets_whatever_was_sent() {
    let host = with(Fault::new(Trigger::Sent(100), Effect::Disconnect));
    for _ in 0..2 {
        let mut client = Client::new(&host);
        client.send("USER anna\r\nPASS pass\r\nLIST\r\nRETR 1\r\nRETR 2\r\nRETR 3\r\n").await;
        assert_eq!(client.rest().await.len(), 100);
    }
    host.set_faults(&[Fault::new(Trigger::SentInAll(150), Effect::Disconnect)]);
    let mut client = Client::login(&host).await;
    client.send("RETR 1\r\nRETR 2\r\nRETR 3\r\nLIST\r\nUIDL\r\n").await;
    client.rest().await;
    assert_eq!(Client::login(&host).await.lines("RETR 1").await.len(), 13);
}

#[tokio::test]
async fn a_refusal_takes_the_place_of_an_answer() {
    let refused = Fault::on("RETR", Effect::Err("[SYS/TEMP] later".into())).only(2);
    let host = host(
        Behaviour::modern()
            .with_fault(refused)
            .with_fault(Fault::new(Trigger::Content("three".into()), Effect::Err("[SYS/PERM] never".into()))),
    );
    let mut client = Client::login(&host).await;
    assert!(client.ask("RETR 3").await.starts_with("-ERR [SYS/PERM] never"));
    assert!(client.ask("RETR 1").await.starts_with("-ERR [SYS/TEMP] later"));
    assert_eq!(client.lines("RETR 1").await.len(), 13);
    assert!(client.ask("TOP 3 0").await.starts_with("-ERR [SYS/PERM] never"));

    host.set_faults(&[Fault::new(Trigger::Login, Effect::Err("[IN-USE] busy".into())).first(1)]);
    drop(client);
    let mut client = Client::connect(&host).await;
    client.ok("USER anna").await;
    assert_eq!(client.ask("PASS pass").await, "-ERR [IN-USE] busy");
    client.ok("USER anna").await;
    client.ok("PASS pass").await;
}

#[tokio::test]
async fn lists_end_early_lack_lines_and_have_odd_ones() {
    let host = host(Behaviour::modern().with_fault(Fault::on("UIDL", Effect::EndsAfter(1))));
    let mut client = Client::login(&host).await;
    assert_eq!(client.lines("UIDL").await, "1 0000000100000001\r\n");
    assert_eq!(client.lines("LIST").await.lines().count(), 3);
    host.set_faults(&[
        Fault::new(Trigger::Listed(1), Effect::Hide),
        Fault::new(Trigger::Listed(3), Effect::Line(b"x 99\r\n".to_vec())),
    ]);
    assert_eq!(client.lines("LIST").await, "2 18\r\nx 99\r\n");
}

#[tokio::test]
async fn messages_are_framed_wrongly() {
    let host = with(Fault::on("RETR", Effect::Unstuffed));
    let mut client = Client::login(&host).await;
    assert_eq!(client.lines("RETR 2").await, "A: 2\r\n\r\n.two\r\n..\r\n");
    for (effect, sent) in [
        (Effect::Terminator(b".\r".to_vec()), "+OK 13 octets\r\nA: 3\r\n\r\nthree\r\n.\r"),
        (Effect::BareEnd, "+OK 13 octets\r\nA: 3\r\n\r\nthree.\r\n"),
        (Effect::Octets(7), "+OK 7 octets\r\nA: 3\r\n\r\nthree\r\n.\r\n"),
        (Effect::Content(b"other".to_vec()), "+OK 13 octets\r\nother\r\n.\r\n"),
        (Effect::After(b"+OK more\r\n".to_vec()), "+OK 13 octets\r\nA: 3\r\n\r\nthree\r\n.\r\n+OK more\r\n"),
        (Effect::Instead(b"* OK\r\n".to_vec()), "* OK\r\n"),
    ] {
        host.set_faults(&[Fault::new(Trigger::Message(3), effect)]);
        client.send("RETR 3\r\n").await;
        assert_eq!(client.until(sent.as_bytes()).await, sent);
    }
    host.set_faults(&[Fault::on("TOP", Effect::TopMore(1))]);
    assert_eq!(client.lines("TOP 1 0").await, "A: 1\r\n\r\none\r\n");
    host.set_faults(&[Fault::on("TOP", Effect::TopUnended)]);
    client.send("TOP 1 0\r\n").await;
    assert_eq!(client.until(b".\r\n").await, "+OK the top of it\r\nA: 1\r\n.\r\n");
}

#[tokio::test]
async fn answers_have_no_end() {
    for (trigger, command, begins) in [
        (Trigger::Command("RETR".into()), "RETR 1", "+OK 13 octets\r\nA: 1\r\n\r\none\r\nxxx"),
        (Trigger::Command("CAPA".into()), "CAPA", "+OK this is what there is\r\n"),
        (Trigger::Command("NOOP".into()), "NOOP", "+OK nothing donexxx"),
    ] {
        let host = with(Fault::new(trigger, Effect::Endless(b"x".to_vec())));
        let mut client = Client::login(&host).await;
        client.send(&format!("{command}\r\n")).await;
        let heard = client.until(&[b'x'; 1_000_000]).await;
        assert!(heard.starts_with(begins), "{}", &heard[..100]);
    }
}

#[tokio::test]
async fn a_greeting_may_be_anything() {
    for (effect, greeting) in [
        (Effect::Err("[SYS/TEMP] come back later".into()), "-ERR [SYS/TEMP] come back later\r\n"),
        (Effect::Instead(b"* OK IMAP4rev1\r\n".to_vec()), "* OK IMAP4rev1\r\n"),
        (Effect::Disconnect, ""),
    ] {
        let host = with(Fault::new(Trigger::Greeting, effect));
        let mut client = Client::new(&host);
        assert_eq!(client.until(b"\r\n").await, greeting);
    }
}

#[tokio::test]
async fn a_silent_server_says_nothing_and_a_dripping_one_waits_for_the_gate() {
    let host = with(Fault::on("RETR", Effect::SilenceAfter(5)).only(1));
    let mut client = Client::login(&host).await;
    client.send("RETR 1\r\nNOOP\r\n").await;
    assert_eq!(client.until(b"+OK 1").await, "+OK 1");
    let more = tokio::time::timeout(std::time::Duration::from_millis(20), client.line()).await;
    assert!(more.is_err(), "nothing more comes: {more:?}");
    drop(client);

    let gate = Gate::new();
    host.set_faults(&[Fault::on("RETR", Effect::Drip(4, gate.clone()))]);
    let mut client = Client::login(&host).await;
    client.send("RETR 1\r\n").await;
    assert_eq!(client.until(b"+OK ").await, "+OK ");
    gate.open(1);
    assert_eq!(client.until(b"13 o").await, "13 o");
    gate.open(100);
    assert!(client.until(b"\r\n.\r\n").await.ends_with("one\r\n.\r\n"));
}

#[tokio::test]
async fn an_attackers_line_comes_in_one_segment_with_the_answer_to_stls() {
    let signed = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let config =
        tls_config(signed.cert.pem().as_bytes(), signed.signing_key.serialize_pem().as_bytes()).unwrap();
    let injected = Fault::on("STLS", Effect::After(b"+OK evil\r\n".to_vec()));
    let behaviour = Behaviour::modern().with_tls(Tls::StartTls(config)).with_fault(injected);
    let host = Host::new(store_with(&[]), behaviour);
    let mut client = Client::connect(&host).await;
    let told = client.lines("CAPA").await;
    assert!(told.contains("STLS") && !told.contains("USER") && !told.contains("SASL"), "{told}");
    assert!(client.ask("USER anna").await.starts_with("-ERR"));
    client.send("STLS\r\n").await;
    assert_eq!(client.until(b"evil\r\n").await, "+OK begin TLS\r\n+OK evil\r\n");
}

#[tokio::test]
async fn pipelining_that_is_only_announced_loses_commands() {
    let host = host(Behaviour::modern().with_broken("PIPELINING"));
    let mut client = Client::login(&host).await;
    assert!(client.lines("CAPA").await.contains("PIPELINING"));
    client.send("STAT\r\nNOOP\r\n").await;
    assert!(client.line().await.unwrap().starts_with("+OK 3 44"));
    assert!(client.ok("LIST 1").await.starts_with("1 13"));
    assert!(!host.log().contains(&"NOOP".to_owned()));
}
