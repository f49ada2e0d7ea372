//! How sessions come about, and how they do not.

use super::*;
use crate::script::World;

fn plain() -> World {
    World::new(Security::Plain)
}

fn local() -> World {
    let mut world = plain();
    world.endpoint.host = "127.0.0.1".to_owned();
    world.credentials.password = "pass".into();
    world
}

async fn opens(world: &World, auth: Auth, script: &str) -> Capabilities {
    world.pop3(auth, script, async |session| session.capabilities().clone()).await.unwrap()
}

async fn fails(world: &World, auth: Auth, script: &str) -> Error {
    world.pop3(auth, script, async |_| ()).await.expect_err("this server cannot be logged in to")
}

#[tokio::test]
async fn a_login_with_plain_in_one_step_and_in_two() {
    let script = |exchange: &str| {
        format!(
            "S: +OK hi
             C: CAPA
             S: +OK
             S: SASL PLAIN
             S: USER
             S: .
             {exchange}
             S: +OK
             C: CAPA
             S: +OK
             S: UIDL
             S: .utf8
             S: ."
        )
    };
    let capabilities = opens(&local(), Auth::Auto, &script("C: AUTH PLAIN AG1lAHBhc3M=")).await;
    assert!(capabilities.announced && capabilities.uidl && capabilities.utf8 && !capabilities.user);
    for challenge in ["S: +", "S: + go on", "S: + "] {
        let exchange = format!("C: AUTH PLAIN AG1lAHBhc3M=\n{challenge}\nC: AG1lAHBhc3M=");
        opens(&local(), Auth::Plain, &script(&exchange)).await;
    }
    let mut world = local();
    world.credentials.password = "x".repeat(200).into();
    opens(&world, Auth::Plain, &script("C: AUTH PLAIN\nS: + \nC# 274")).await;
}

#[tokio::test]
async fn a_login_with_user_and_pass_where_nothing_else_is_offered_or_nothing_announced() {
    for offers in ["S: -ERR what", "S: +OK\nS: USER\nS: .", "S: +OK\nS: ."] {
        let script = format!(
            "S: +OK hi
             C: CAPA
             {offers}
             C: USER me
             S: +OK
             C: PASS canary-\"p\\w\"-7431
             S: +OK
             C: CAPA
             S: -ERR not now"
        );
        let capabilities = opens(&plain(), Auth::Auto, &script).await;
        assert_eq!(capabilities.announced, offers.contains("+OK"));
        assert!(!capabilities.pipelining);
        // What cannot be announced is worth trying.
        assert_eq!(capabilities.uidl, offers.contains("-ERR"));
    }
}

#[tokio::test]
async fn in_the_open_the_password_goes_by_the_oldest_way_that_is_offered() {
    let begin = "S: +OK hi\nC: CAPA\nS: +OK\nS: SASL PLAIN\n";
    let user = format!("{begin}S: USER\nS: .\nC: USER me\nS: -ERR [SYS/PERM] not without TLS");
    assert_eq!(fails(&plain(), Auth::Auto, &user).await.kind(), Kind::Refused);
    let mut world = plain();
    world.credentials.password = "pass".into();
    let sasl = format!("{begin}S: .\nC: AUTH PLAIN AG1lAHBhc3M=\nS: -ERR [SYS/PERM] not without TLS");
    assert_eq!(fails(&world, Auth::Auto, &sasl).await.kind(), Kind::Refused);
}

#[tokio::test]
async fn apop_is_spoken_only_when_it_is_asked_for_and_offered() {
    let mut world = plain();
    world.credentials.user = "mrose".to_owned();
    world.credentials.password = "tanstaaf".into();
    let greeting = "S: +OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\nC: CAPA\nS: -ERR\n";
    opens(
        &world,
        Auth::Apop,
        &format!("{greeting}C: APOP mrose c4c9334bac560ecc979e58001b3e22fb\nS: +OK\nC: CAPA\nS: -ERR"),
    )
    .await;
    opens(
        &world,
        Auth::Auto,
        &format!("{greeting}C: USER mrose\nS: +OK\nC: PASS tanstaaf\nS: +OK\nC: CAPA\nS: -ERR"),
    )
    .await;
    let error = fails(&world, Auth::Apop, "S: +OK ready\nC: CAPA\nS: +OK\nS: USER\nS: .").await;
    assert_eq!(
        error.to_string(),
        "mail.example.org offers no login that fits a password; it offers: USER; no APOP, for its greeting has no timestamp"
    );
}

#[tokio::test]
async fn bearer_tokens_have_their_shapes() {
    let mut world = local();
    world.credentials.user = "a=b,c@example.org".to_owned();
    world.credentials.password = "token".into();
    let encode = |text: &str| base64_simd::STANDARD.encode_to_string(text);
    for (auth, name, text, last_word) in [
        (Auth::XOauth2, "XOAUTH2", "user=a=b,c@example.org\x01auth=Bearer token\x01\x01", ""),
        (
            Auth::OAuthBearer,
            "OAUTHBEARER",
            "n,a=a=3Db=2Cc@example.org,\x01host=127.0.0.1\x01port=143\x01auth=Bearer token\x01\x01",
            "AQ==",
        ),
    ] {
        let begin = format!(
            "S: +OK hi\nC: CAPA\nS: +OK\nS: SASL PLAIN {name}\nS: .\nC: AUTH {name} {}\n",
            encode(text)
        );
        opens(&world, auth, &format!("{begin}S: +OK\nC: CAPA\nS: -ERR")).await;
        // An empty challenge: what came at once was not read.
        opens(&world, auth, &format!("{begin}S: + \nC: {}\nS: +OK\nC: CAPA\nS: -ERR", encode(text))).await;
        let reason = encode("{\"status\":\"401\"}");
        let error =
            fails(&world, auth, &format!("{begin}S: + {reason}\nC: {last_word}\nS: -ERR [AUTH] no")).await;
        assert_eq!(error.kind(), Kind::Credentials);
        assert!(error.to_string().contains("no ({\"status\":\"401\"})"), "{error}");
        let endless = format!("C: {last_word}\nS: + {reason}\n").repeat(3);
        let error = fails(&world, auth, &format!("{begin}S: + {reason}\n{endless}C: {last_word}")).await;
        assert_eq!(error.kind(), Kind::Protocol);
    }
}

#[tokio::test]
async fn i23_no_common_mechanism_names_what_is_offered() {
    let begin = "S: +OK hi\nC: CAPA\nS: +OK\nS: SASL XOAUTH2 GSSAPI\nS: .";
    for auth in [Auth::Auto, Auth::Plain, Auth::OAuthBearer] {
        let error = fails(&local(), auth, begin).await;
        assert_eq!(
            error.to_string(),
            "127.0.0.1 offers no login that fits a password; it offers: SASL XOAUTH2, SASL GSSAPI"
        );
        assert_eq!(error.kind(), Kind::Credentials);
    }
}

#[tokio::test]
async fn nothing_is_sent_that_would_be_two_commands() {
    for (user, password) in [("me\r\nDELE 1", "p"), ("me", "p\nDELE 1"), ("me\0", "p"), ("me", "p\r")] {
        let mut world = plain();
        world.credentials.user = user.to_owned();
        world.credentials.password = password.into();
        for auth in [Auth::Auto, Auth::User, Auth::Plain, Auth::Apop, Auth::XOauth2, Auth::OAuthBearer] {
            let error = fails(&world, auth, "").await;
            assert!(matches!(error, Error::Unsendable { .. }), "{error}");
            assert_eq!(error.kind(), Kind::Credentials);
        }
    }
}

#[tokio::test]
async fn n09_stls_goes_first_and_what_was_said_before_is_forgotten() {
    let capabilities = opens(
        &World::new(Security::StartTls),
        Auth::Auto,
        "S: +OK hi
         C: CAPA
         S: +OK
         S: STLS
         S: TOP
         S: PIPELINING
         S: .
         C: STLS
         S: +OK begin
         TLS
         C: CAPA
         S: +OK
         S: UTF8
         S: LANG
         S: USER
         S: .
         C: UTF8
         S: +OK
         C: LANG en
         S: -ERR no English
         C: USER me
         S: +OK
         C: PASS canary-\"p\\w\"-7431
         S: +OK
         C: CAPA
         S: +OK
         S: UIDL
         S: .",
    )
    .await;
    assert!(capabilities.uidl && !capabilities.top && !capabilities.pipelining);
}

#[tokio::test]
async fn n09_without_stls_no_password_is_sent() {
    let world = World::new(Security::StartTls);
    for script in [
        "S: +OK hi\nC: CAPA\nS: +OK\nS: USER\nS: .",
        "S: +OK hi\nC: CAPA\nS: +OK\nS: STLS\nS: .\nC: STLS\nS: -ERR not today",
        // A server that does not know CAPA is asked all the same.
        "S: +OK hi\nC: CAPA\nS: -ERR\nC: STLS\nS: -ERR what",
    ] {
        let error = fails(&world, Auth::Auto, script).await;
        assert!(matches!(error, Error::NoStartTls { .. }), "{error}");
        assert_eq!(error.kind(), Kind::Tls);
    }
}

#[tokio::test]
async fn n10_bytes_behind_the_answer_to_stls_are_an_injection() {
    let error = fails(
        &World::new(Security::StartTls),
        Auth::Auto,
        r"S: +OK hi
          C: CAPA
          S: +OK
          S: STLS
          S: .
          C: STLS
          S| +OK begin\r\n+OK\r\nUSER\r\n.\r\n",
    )
    .await;
    assert_eq!(
        error.to_string(),
        "mail.example.org sent plain bytes after its answer to STLS: injected, by an attacker or a broken proxy; \
         the password was not sent"
    );
    assert_eq!(error.kind(), Kind::Tls);
}

#[tokio::test]
async fn n10_an_answer_injected_before_stls_was_asked_is_no_answer_to_it() {
    // The first +OK is taken for the answer to STLS; the server's own is then left over.
    let error = fails(
        &World::new(Security::StartTls),
        Auth::Auto,
        r"S: +OK hi
          C: CAPA
          S| +OK\r\nSTLS\r\n.\r\n+OK injected\r\n+OK another\r\n
          C: STLS",
    )
    .await;
    assert!(matches!(error, Error::Injected { .. }), "{error}");
}

#[tokio::test]
async fn n07_what_is_not_pop3_is_named_and_gets_no_password() {
    let world = plain();
    for (script, shown) in [
        ("S: * OK [CAPABILITY IMAP4rev1] ready", "(an IMAP server: set protocol = \"imap\""),
        ("S: 220 smtp.example.org ESMTP", "(an SMTP or FTP server)"),
        ("S: HTTP/1.1 400 Bad Request", "(a web server"),
        ("S| SSH-2.0-OpenSSH_9", "(an SSH server)"),
        (r"S| \x15\x03\x01\x00\x02\x02\x16", "(it speaks TLS"),
        (r"S| \x1b[2J\x00\n", r"\u{1b}[2J"),
        ("S: +OKAY", "\"+OKAY\""),
        ("S: + go on", "\"+ go on\""),
    ] {
        let error = fails(&world, Auth::Auto, script).await;
        assert!(matches!(error, Error::NotPop3 { .. }), "{script}: {error}");
        assert!(error.to_string().contains(shown), "{error}");
    }
    let endless = format!("S| {}", "x".repeat(50_000));
    assert_eq!(fails(&world, Auth::Auto, &endless).await.kind(), Kind::NotThisProtocol);
    let endless = format!("S| +OK {}", "x".repeat(50_000));
    assert!(matches!(fails(&world, Auth::Auto, &endless).await, Error::Bound { .. }));
    assert_eq!(fails(&world, Auth::Auto, "").await.kind(), Kind::Network);
}

#[tokio::test]
async fn p14_an_endless_answer_to_capa_meets_a_bound() {
    let mut world = plain();
    world.limits.capabilities = 10;
    let script = format!("S: +OK hi\nC: CAPA\nS: +OK\n{}", "S: X-ODD\n".repeat(11));
    let error = fails(&world, Auth::Auto, &script).await;
    assert!(matches!(error, Error::Bound { bound: 10, .. }), "{error}");
}

#[tokio::test(start_paused = true)]
async fn n03_a_server_that_never_greets_is_left() {
    let error = fails(&plain(), Auth::Auto, "HANG").await;
    assert_eq!(
        error.to_string(),
        "the server stalled for 60 s after 0 bytes (if this port speaks TLS from the start, set tls = \"implicit\")"
    );
}

#[tokio::test]
async fn p09_codes_decide_what_a_refused_login_means() {
    let world = plain();
    let limit = |seconds: Option<u64>| Kind::Limit { wait: seconds.map(Duration::from_secs) };
    let user = "S: +OK hi
                C: CAPA
                S: +OK
                S: LOGIN-DELAY 900
                S: USER
                S: .
                C: USER me\n";
    let pass = format!("{user}S: +OK\nC: PASS canary-\"p\\w\"-7431\n");
    for (script, kind) in [
        ("S: -ERR [IN-USE] maildrop locked".to_owned(), limit(None)),
        ("S: -ERR [SYS/TEMP] try later".to_owned(), Kind::Network),
        ("S: -ERR go away".to_owned(), Kind::Network),
        (format!("{user}S: -ERR [AUTH] no such user"), Kind::Credentials),
        (format!("{pass}S: -ERR [AUTH] wrong"), Kind::Credentials),
        (format!("{pass}S: -ERR [IN-USE] locked by another session"), limit(None)),
        (format!("{pass}S: -ERR [LOGIN-DELAY] too often"), limit(Some(900))),
        (format!("{pass}S: -ERR [LOGIN-DELAY 60] too often"), limit(Some(60))),
        (format!("{pass}S: -ERR [LOGIN-DELAY 99999999999] too often"), limit(Some(24 * 60 * 60))),
        (format!("{pass}S: -ERR [SYS/TEMP] backend is down"), Kind::Network),
        (format!("{pass}S: -ERR [SYS/PERM] no mailbox for you"), Kind::Refused),
        (format!("{pass}S: -ERR"), Kind::Unsure),
        (format!("{pass}S: -ERR Authentication failed"), Kind::Unsure),
        (format!("{pass}S: -ERR Unable to lock maildrop"), limit(None)),
        (format!("{pass}S: -ERR Too many connections"), limit(None)),
        (format!("{pass}S: -ERR Temporary failure"), Kind::Network),
    ] {
        let error = fails(&world, Auth::Auto, &script).await;
        assert_eq!(error.kind(), kind, "{error}");
    }
    let off = format!("{pass}S: -ERR [SYS/PERM] Your account is not enabled for POP access.");
    assert!(fails(&world, Auth::Auto, &off).await.to_string().contains("(POP3 is switched off"));
}
