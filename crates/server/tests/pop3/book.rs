//! What RFC 1939 and its extensions say.

use restante_server::Store;
use restante_server::pop3::{Behaviour, Counting, Host, Server, Stuffing, Uidls};
use tokio::net::TcpStream;

use crate::client::{Client, host, store_with};

#[tokio::test]
async fn messages_are_counted_listed_named_and_sent() {
    let host = host(Behaviour::modern());
    let mut client = Client::login(&host).await;
    assert_eq!(client.ok("STAT").await, "3 44");
    assert_eq!(client.lines("LIST").await, "1 13\r\n2 18\r\n3 13\r\n");
    assert_eq!(client.ok("LIST 2").await, "2 18");
    let uidls = client.lines("UIDL").await;
    assert_eq!(uidls, "1 0000000100000001\r\n2 0000000100000002\r\n3 0000000100000003\r\n");
    assert_eq!(client.ok("UIDL 3").await, "3 0000000100000003");
    assert_eq!(client.lines("RETR 1").await, "A: 1\r\n\r\none\r\n");
    assert_eq!(client.lines("TOP 1 0").await, "A: 1\r\n\r\n");
    assert_eq!(client.lines("TOP 2 1").await, "A: 2\r\n\r\n..two\r\n");
    for wrong in ["RETR 4", "RETR 0", "RETR x", "RETR", "TOP 1", "LIST 9", "UIDL 9", "PASS pass", "XTND"] {
        assert!(client.ask(wrong).await.starts_with("-ERR"), "{wrong}");
    }
    assert_eq!(client.ok("QUIT").await, "see you");
    let counts = host.counts();
    assert_eq!((counts.retrieved_octets, counts.top_octets, counts.logins), (13, 8 + 14, 1));
    assert_eq!(&host.log()[..3], ["USER anna", "PASS ***", "STAT"]);
}

#[tokio::test]
async fn dots_are_stuffed_and_the_last_line_gets_its_end() {
    let host = host(Behaviour::modern());
    let mut client = Client::login(&host).await;
    assert_eq!(client.lines("RETR 2").await, "A: 2\r\n\r\n..two\r\n...\r\n");
    assert_eq!(client.lines("RETR 3").await, "A: 3\r\n\r\nthree\r\n");
    client.ok("QUIT").await;

    let store = || store_with(&[b"A: 1\r\n\r\n.a\n.b\r\n"]);
    for (stuffing, sent) in [(Stuffing::AfterCrlf, "..a\n.b\r\n"), (Stuffing::AfterLf, "..a\n..b\r\n")] {
        let host = Host::new(store(), Behaviour::modern().with_stuffing(stuffing));
        let mut client = Client::login(&host).await;
        assert_eq!(client.lines("RETR 1").await, format!("A: 1\r\n\r\n{sent}"));
    }
}

#[tokio::test]
async fn what_is_deleted_goes_at_quit_and_not_before() {
    let host = host(Behaviour::modern());
    let left = |store: &Store| store.messages("anna", "INBOX").unwrap().len();
    let mut client = Client::login(&host).await;
    client.ok("DELE 1").await;
    assert_eq!(client.ok("STAT").await, "2 31");
    assert!(client.ask("RETR 1").await.starts_with("-ERR"));
    client.ok("RSET").await;
    assert_eq!(client.ok("STAT").await, "3 44");
    client.ok("DELE 2").await;
    drop(client);

    let mut client = Client::login(&host).await;
    assert_eq!(client.ok("STAT").await, "3 44");
    client.ok("DELE 2").await;
    assert_eq!(left(&host.store()), 3);
    client.ok("QUIT").await;
    assert_eq!(left(&host.store()), 2);
    assert_eq!(Client::login(&host).await.ok("STAT").await, "2 26");
}

#[tokio::test]
async fn a_bare_server_knows_nothing_that_is_optional() {
    let host = host(Behaviour::bare());
    let mut client = Client::login(&host).await;
    for command in ["CAPA", "TOP 1 0", "UIDL", "UIDL 1", "AUTH", "STLS", "LANG en", "UTF8"] {
        assert!(client.ask(command).await.starts_with("-ERR"), "{command}");
    }
    assert_eq!(client.lines("LIST").await.lines().count(), 3);
}

#[tokio::test]
async fn capabilities_are_told_and_commands_that_come_together_are_done_in_order() {
    let host = host(Behaviour::modern().with("EXPIRE 30"));
    let mut client = Client::login(&host).await;
    let told = client.lines("CAPA").await;
    assert!(told.contains("\r\nPIPELINING\r\n") && told.contains("EXPIRE 30\r\n"), "{told}");
    let before = host.counts();
    client.send("STAT\r\nNOOP\r\nRETR 1\r\n").await;
    assert!(client.line().await.unwrap().starts_with("+OK 3 44"));
    assert!(client.line().await.unwrap().starts_with("+OK nothing"));
    assert!(client.line().await.unwrap().starts_with("+OK 13"));
    assert_eq!(host.counts().pipelined - before.pipelined, 2);
}

#[tokio::test]
async fn each_way_to_log_in_works_and_takes_no_wrong_secret() {
    let ways = [
        ("AUTH PLAIN AGFubmEAcGFzcw==", "AUTH PLAIN AGFubmEAcGFzcA=="),
        ("AUTH PLAIN\r\nAGFubmEAcGFzcw==", "AUTH PLAIN\r\n*"),
        ("AUTH XOAUTH2 dXNlcj1hbm5hAWF1dGg9QmVhcmVyIHBhc3MBAQ==", "AUTH XOAUTH2 dXNlcj1hbm5hAQE=\r\n"),
        (
            "AUTH OAUTHBEARER bixhPWFubmEsAWhvc3Q9aAFhdXRoPUJlYXJlciBwYXNzAQE=",
            "AUTH OAUTHBEARER bixhPWFubmEsAQE=\r\nAQ==",
        ),
        ("APOP anna 74d2308d76bcb30c709875582f984d33", "APOP anna 00000000000000000000000000000000"),
    ];
    for (right, wrong) in ways {
        let behaviour =
            Behaviour::modern().with("SASL PLAIN XOAUTH2 OAUTHBEARER").with_greeting("hi <1.2@x>");
        let host = host(behaviour);
        let mut client = Client::connect(&host).await;
        client.send(&format!("{wrong}\r\n{right}\r\nSTAT\r\n")).await;
        let mut heard = String::new();
        while !heard.ends_with("+OK 3 44\n") {
            heard.push_str(&client.line().await.unwrap_or_else(|| panic!("{right}: {heard}")));
            heard.push('\n');
        }
        assert!(heard.contains("-ERR"), "{wrong}: {heard}");
        assert_eq!((host.counts().logins, host.counts().logins_refused), (1, 1), "{right}");
        assert!(
            host.log().iter().all(|line| !line.contains("cGFz") && !line.contains("74d2")),
            "{:?}",
            host.log()
        );
    }
}

#[tokio::test]
async fn octets_are_counted_as_the_server_does() {
    for (counting, stat) in
        [(Counting::Sent, "3 46"), (Counting::LineFeeds, "3 35"), (Counting::Plus(10), "3 74")]
    {
        let host = host(Behaviour::modern().with_counts(counting));
        assert_eq!(Client::login(&host).await.ok("STAT").await, stat);
    }
}

#[tokio::test]
async fn unique_ids_are_what_a_test_wants_and_may_change_at_any_time() {
    let odd = Uidls::by_uid().but(1, b"same").but(2, b"same").but(3, b"a b \xff");
    let host = host(Behaviour::modern().with_uidls(odd));
    let mut client = Client::login(&host).await;
    assert_eq!(client.lines("UIDL").await, "1 same\r\n2 same\r\n3 a b \u{ff}\r\n");
    host.set_uidls(Uidls::numbers());
    assert_eq!(client.lines("UIDL").await, "1 1\r\n2 2\r\n3 3\r\n");
    host.set_uidls(Uidls::of_generation(7));
    assert_eq!(client.ok("UIDL 2").await, "2 7.0000000100000002");
    host.set_uidls(Uidls::by_content());
    assert_eq!(client.ok("UIDL 2").await.len(), 2 + 64);
}

#[tokio::test]
async fn it_listens_on_loopback_until_it_is_stopped() {
    let server = Server::start(store_with(&[b"A: 1\r\n\r\none\r\n"]), Behaviour::bare()).await.unwrap();
    let mut client = Client::over(TcpStream::connect(server.address()).await.unwrap());
    assert!(client.line().await.unwrap().starts_with("+OK"));
    assert_eq!(server.counts().connections, 1);
    server.stop().await;
    assert_eq!(client.line().await, None);
}
