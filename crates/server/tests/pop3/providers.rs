//! What providers do on purpose: locks, delays, mail that is shown once, mail that is taken away.

use std::time::Duration;

use restante_server::pop3::{Behaviour, Host};

use crate::client::{Client, deliver, host, store_with};

async fn login_says(host: &Host, user: &str) -> String {
    let mut client = Client::connect(host).await;
    client.ok(&format!("USER {user}")).await;
    client.ask("PASS pass").await
}

#[tokio::test(start_paused = true)]
async fn a_maildrop_is_one_sessions_at_a_time() {
    let host = host(Behaviour::modern());
    let first = Client::login(&host).await;
    assert!(login_says(&host, "anna").await.starts_with("-ERR [IN-USE]"));
    drop(first);
    assert!(login_says(&host, "anna").await.starts_with("+OK"));

    let shared = crate::client::host(Behaviour::bare().sharing_maildrops());
    let _first = Client::login(&shared).await;
    Client::login(&shared).await;
}

#[tokio::test]
async fn the_lock_of_a_session_that_was_cut_off_stays_for_some_logins() {
    let host = host(Behaviour::modern().keeping_locks_for(2));
    drop(Client::login(&host).await);
    assert!(login_says(&host, "anna").await.starts_with("-ERR [IN-USE]"));
    assert!(login_says(&host, "anna").await.starts_with("-ERR [IN-USE]"));
    let mut client = Client::login(&host).await;
    client.ok("QUIT").await;
    assert!(login_says(&host, "anna").await.starts_with("+OK"));
}

#[tokio::test(start_paused = true)]
async fn a_login_that_comes_too_soon_is_refused() {
    let host = host(Behaviour::modern().with_login_delay(Duration::from_secs(60)));
    let mut client = Client::login(&host).await;
    assert!(client.lines("CAPA").await.contains("LOGIN-DELAY 60\r\n"));
    client.ok("QUIT").await;
    assert!(login_says(&host, "anna").await.starts_with("-ERR [LOGIN-DELAY]"));
    tokio::time::advance(Duration::from_secs(61)).await;
    Client::login(&host).await;
}

/// All of what is shown now; then QUIT.
async fn fetch_all(host: &Host) -> Vec<String> {
    let mut client = Client::login(host).await;
    let count: u32 = client.ok("STAT").await.split(' ').next().unwrap().parse().unwrap();
    let mut fetched = Vec::new();
    for number in 1..=count {
        fetched.push(client.lines(&format!("RETR {number}")).await);
    }
    client.ok("QUIT").await;
    fetched
}

#[tokio::test]
async fn gmail_shows_the_oldest_that_were_not_fetched_and_recent_mail_to_who_asks_for_it() {
    let store = store_with(&[]);
    for day in 0..5 {
        deliver(&store, day * 10, format!("Day: {day}\r\n\r\n").as_bytes());
    }
    let host = Host::new(store, Behaviour::gmail(2));
    let mut interrupted = Client::login(&host).await;
    interrupted.lines("RETR 1").await;
    drop(interrupted);
    let days = |fetched: Vec<String>| -> String { fetched.iter().map(|message| &message[5..6]).collect() };
    assert_eq!(days(fetch_all(&host).await), "01");
    assert_eq!(days(fetch_all(&host).await), "23");
    assert_eq!(days(fetch_all(&host).await), "4");
    assert_eq!(days(fetch_all(&host).await), "");
    let mut recent = Client::connect(&host).await;
    recent.ok("USER recent:anna").await;
    recent.ok("PASS pass").await;
    assert!(recent.ok("STAT").await.starts_with("4 "), "those of the last 30 days");
    assert_eq!(host.store().messages("anna", "INBOX").unwrap().len(), 5);
}

#[tokio::test]
async fn some_servers_delete_at_quit_what_was_fetched() {
    let host = host(Behaviour::modern().deleting_what_is_fetched());
    let mut client = Client::login(&host).await;
    assert!(client.lines("CAPA").await.contains("EXPIRE 0\r\n"));
    client.lines("RETR 2").await;
    client.lines("TOP 1 0").await;
    drop(client);
    assert_eq!(host.store().messages("anna", "INBOX").unwrap().len(), 3);
    assert_eq!(fetch_all(&host).await.len(), 3);
    assert!(host.store().messages("anna", "INBOX").unwrap().is_empty());
}

#[tokio::test]
async fn mail_beyond_ascii_may_need_utf8() {
    let host = Host::new(store_with(&["S: ü\r\n\r\nx\r\n".as_bytes()]), Behaviour::modern().needing_utf8());
    assert!(Client::login(&host).await.ask("RETR 1").await.starts_with("-ERR [UTF8]"));
    let mut client = Client::connect(&host).await;
    client.ok("UTF8").await;
    client.ok("USER anna").await;
    client.ok("PASS pass").await;
    client.lines("RETR 1").await;
}
