//! Clients that say anything.

use proptest::prelude::*;
use restante_server::pop3::Behaviour;

use crate::client::{Client, host};

fn line() -> impl Strategy<Value = String> {
    let command = prop::sample::select(vec![
        "USER anna",
        "PASS pass",
        "APOP anna x",
        "AUTH PLAIN",
        "AUTH",
        "CAPA",
        "STLS",
        "STAT",
        "LIST",
        "UIDL",
        "RETR",
        "TOP",
        "DELE",
        "RSET",
        "NOOP",
        "LANG",
        "UTF8",
        "*",
        "=",
        "AGFubmEAcGFzcw==",
        "",
    ]);
    let argument = prop::sample::select(vec![
        "",
        "1",
        "3",
        "4",
        "0",
        "-1",
        "4294967296",
        "1 0",
        "1 18446744073709551615",
        "é \0",
    ]);
    prop_oneof![
        4 => (command, argument).prop_map(|(command, argument)| format!("{command} {argument}")),
        1 => "\\PC{0,40}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn whatever_a_client_says_is_answered_until_it_goes(lines in prop::collection::vec(line(), 0..30), logged_in: bool) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let host = host(Behaviour::modern().with("LANG").with("UTF8").with_greeting("<1.2@x>"));
            let mut client = if logged_in { Client::login(&host).await } else { Client::connect(&host).await };
            client.send(&(lines.join("\r\n") + "\r\n")).await;
            client.send("NOOP\r\nQUIT\r\n").await;
            let heard = client.rest().await;
            prop_assert!(heard.ends_with("+OK see you\r\n"), "{heard}");
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_line_that_never_ends_is_not_listened_to() {
    let host = host(Behaviour::modern());
    let mut client = Client::connect(&host).await;
    client.send(&"x".repeat(100_000)).await;
    assert_eq!(client.rest().await, "-ERR line too long\r\n");
}
