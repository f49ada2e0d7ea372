//! How sessions come about, and how they do not.

use super::*;
use crate::script::World;

fn plain() -> World {
    World::new(Security::Plain)
}

async fn opens(world: &World, script: &str) -> Capabilities {
    world.play(script, async |session| session.capabilities().clone()).await.unwrap()
}

#[tokio::test]
async fn a_login_in_one_round_trip() {
    let mut world = plain();
    world.credentials.password = "pass".into();
    let capabilities = opens(
        &world,
        "S: * OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] hi
         C: r1 AUTHENTICATE PLAIN AG1lAHBhc3M=
         S: r1 OK [CAPABILITY IMAP4rev1 ID ENABLE CONDSTORE QRESYNC LITERAL+] in
         C: r2 ENABLE CONDSTORE QRESYNC
         C: r3 ID (\"name\" \"restante\" \"version\" \"0.1.0\")
         S: * ENABLED CONDSTORE QRESYNC
         S: r2 OK
         S: * ID NIL
         S: r3 OK",
    )
    .await;
    assert!(capabilities.qresync && capabilities.condstore && capabilities.literal_plus);
}

#[tokio::test]
async fn a_login_step_by_step() {
    let mut world = plain();
    world.credentials.password = "pass".into();
    opens(
        &world,
        "S: * OK hi
         C: r1 CAPABILITY
         S: * CAPABILITY IMAP4rev1 AUTH=PLAIN
         S: r1 OK
         C: r2 AUTHENTICATE PLAIN
         S: +
         C: AG1lAHBhc3M=
         S: r2 OK
         C: r3 CAPABILITY
         S: * CAPABILITY IMAP4rev1
         S: r3 OK",
    )
    .await;
}

#[tokio::test]
async fn a_plain_old_login_quotes_what_it_must() {
    opens(
        &plain(),
        r#"S: * OK [CAPABILITY IMAP4rev1] hi
           C: r1 LOGIN "me" "canary-\"p\\w\"-7431"
           S: r1 OK [CAPABILITY IMAP4rev1] in"#,
    )
    .await;
    let mut world = plain();
    world.credentials.password = "naïve".into();
    opens(
        &world,
        "S: * OK [CAPABILITY IMAP4rev1] hi
         C: r1 LOGIN \"me\" {6}
         S: * OK still here
         S: + go on
         C: naïve
         S: r1 OK [CAPABILITY IMAP4rev1] in",
    )
    .await;
}

#[tokio::test]
async fn i18_an_enable_that_is_never_answered_is_no_error() {
    let capabilities = opens(
        &plain(),
        "S: * PREAUTH [CAPABILITY IMAP4rev1 ENABLE CONDSTORE QRESYNC] hi
         C: r1 ENABLE CONDSTORE QRESYNC
         C: r2 NOOP
         S: r2 OK",
    )
    .await;
    assert!(!capabilities.qresync && !capabilities.condstore);
}

#[tokio::test]
async fn a_server_without_imap4rev1_is_spoken_to_in_utf8() {
    let encoding = plain()
        .play(
            "S: * PREAUTH [CAPABILITY IMAP4rev2] hi
             C: r1 ENABLE IMAP4rev2
             C: r2 NOOP
             S: * ENABLED IMAP4rev2
             S: r1 OK
             S: r2 OK",
            async |session| session.encoding,
        )
        .await
        .unwrap();
    assert_eq!(encoding, NameEncoding::Utf8);
}

#[tokio::test]
async fn n09_starttls_goes_first_and_what_was_said_before_is_forgotten() {
    let capabilities = opens(
        &World::new(Security::StartTls),
        "S: * OK [CAPABILITY IMAP4rev1 STARTTLS LOGINDISABLED] hi
         C: r1 STARTTLS
         S: r1 OK begin
         TLS
         C: r2 CAPABILITY
         S: * CAPABILITY IMAP4rev1 IDLE
         S: r2 OK
         C: r3 LOGIN \"me\" \"canary-\\\"p\\\\w\\\"-7431\"
         S: r3 OK
         C: r4 CAPABILITY
         S: * CAPABILITY IMAP4rev1 UNSELECT
         S: r4 OK",
    )
    .await;
    assert!(capabilities.unselect && !capabilities.idle);
}

#[tokio::test]
async fn n09_without_starttls_no_password_is_sent() {
    let world = World::new(Security::StartTls);
    for script in [
        "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi",
        "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] hi
         C: r1 STARTTLS
         S: r1 NO not today",
        "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] hi
         C: r1 STARTTLS
         S: r1 BAD what",
    ] {
        let error = world.fail(script).await;
        assert!(matches!(error, Error::NoStartTls { .. }), "{error}");
        assert_eq!(error.kind(), Kind::Tls);
    }
}

#[tokio::test]
async fn n10_bytes_behind_the_answer_to_starttls_are_an_injection() {
    let error = World::new(Security::StartTls)
        .fail(
            r"S: * OK [CAPABILITY IMAP4rev1 STARTTLS] hi
              C: r1 STARTTLS
              S| r1 OK begin\r\n* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n",
        )
        .await;
    assert!(matches!(error, Error::Injected { .. }), "{error}");
}

#[tokio::test]
async fn n11_preauth_is_refused_where_tls_is_due() {
    let error = World::new(Security::StartTls).fail("S: * PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hi").await;
    assert!(matches!(error, Error::PreAuth { .. }), "{error}");
}

#[tokio::test]
async fn n07_what_is_not_imap_is_named_and_gets_no_password() {
    let world = plain();
    for (script, shown) in [
        ("S: +OK POP3 ready", "\"+OK POP3 ready\" (a POP3 server"),
        ("S: 220 smtp.example.org ESMTP", "(an SMTP or FTP server)"),
        ("S: HTTP/1.1 400 Bad Request", "(a web server"),
        ("S| SSH-2.0-OpenSSH_9", "(an SSH server)"),
        (r"S| \x15\x03\x01\x00\x02\x02\x16", "(it speaks TLS"),
        (r"S| \x1b[2J\x00\n", r"\u{1b}[2J"),
        ("S: * 3 EXISTS", "\"* 3 EXISTS\""),
        ("S: r1 OK done", "\"r1 OK done\""),
    ] {
        let error = world.fail(script).await;
        assert!(matches!(error, Error::NotImap { .. }), "{script}: {error}");
        assert!(error.to_string().contains(shown), "{error}");
    }
    let endless = format!("S| {}", "x".repeat(50_000));
    assert_eq!(world.fail(&endless).await.kind(), Kind::NotThisProtocol);
    assert_eq!(world.fail("").await.kind(), Kind::Network);
}

#[tokio::test(start_paused = true)]
async fn n03_a_server_that_never_greets_is_left() {
    let error = plain().fail("HANG").await;
    assert_eq!(
        error.to_string(),
        "the server stalled for 60 s after 0 bytes (if this port speaks TLS from the start, set tls = \"implicit\")"
    );
}

#[tokio::test]
async fn i21_goodbyes_and_refusals_are_sorted() {
    let world = plain();
    let limit = |wait: Option<u64>| Kind::Limit { wait: wait.map(std::time::Duration::from_millis) };
    let greeting = "S: * OK [CAPABILITY IMAP4rev1] hi
                    C: r1 LOGIN \"me\" \"canary-\\\"p\\\\w\\\"-7431\"\n";
    for (script, kind) in [
        ("S: * BYE Server shutting down".to_owned(), Kind::Network),
        ("S: * BYE Too many connections from your address".to_owned(), limit(None)),
        (format!("{greeting}S: r1 NO [AUTHENTICATIONFAILED] no"), Kind::Credentials),
        (format!("{greeting}S: r1 NO wrong"), Kind::Credentials),
        (format!("{greeting}S: r1 NO [UNAVAILABLE] later"), Kind::Network),
        (format!("{greeting}S: r1 NO [LIMIT] too many"), limit(None)),
        (
            format!("{greeting}S: r1 NO [THROTTLED] Suggested Backoff Time: 2500 milliseconds"),
            limit(Some(2500)),
        ),
        (format!("{greeting}S: * BYE Too many simultaneous connections"), limit(None)),
    ] {
        let error = world.fail(&script).await;
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[tokio::test]
async fn o02_there_is_one_try_and_no_second_mechanism() {
    let error = plain()
        .fail(
            "S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hi
             C: r1 AUTHENTICATE PLAIN
             S: + 
             C# 30
             S: r1 NO [ALERT] Application-specific password required",
        )
        .await;
    assert!(error.to_string().contains("a password made for one program"), "{error}");
}

#[tokio::test]
async fn i23_no_common_mechanism_names_what_is_offered() {
    let error = plain().fail("S: * OK [CAPABILITY IMAP4rev1 AUTH=OAUTHBEARER LOGINDISABLED] hi").await;
    assert_eq!(
        error.to_string(),
        "mail.example.org offers no login that fits a password; it offers: AUTH=OAUTHBEARER LOGINDISABLED"
    );
}

#[tokio::test]
async fn compression_is_used_where_it_is_offered() {
    let mut world = plain();
    world.compress = true;
    let script = "S: * PREAUTH [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] hi
                  C: r1 COMPRESS DEFLATE
                  S: r1 OK
                  DEFLATE
                  C: r2 NOOP
                  S: * 7 EXISTS
                  S: r2 OK";
    assert_eq!(world.play(script, async |mut session| session.recount().await.unwrap()).await.unwrap(), 7);
    let refused = "S: * PREAUTH [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] hi
                   C: r1 COMPRESS DEFLATE
                   S: r1 NO [COMPRESSIONACTIVE] already
                   C: r2 NOOP
                   S: r2 OK";
    assert_eq!(world.play(refused, async |mut session| session.recount().await.unwrap()).await.unwrap(), 0);
}

#[tokio::test]
async fn all_that_follows_a_login_goes_out_at_once() {
    let mut world = plain();
    world.compress = true;
    let script = "S: * PREAUTH [CAPABILITY IMAP4rev1 ID ENABLE CONDSTORE LIST-EXTENDED LIST-STATUS COMPRESS=DEFLATE] hi
        C: r1 ENABLE CONDSTORE
        C: r2 ID (\"name\" \"restante\" \"version\" \"0.1.0\")
        C: r3 LIST \"\" \"*\" RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ))
        C: r4 LIST (SUBSCRIBED) \"\" \"*\"
        C: r5 COMPRESS DEFLATE
        S: * ENABLED CONDSTORE
        S: r2 OK
        S: * LIST (\\Subscribed) \"/\" INBOX
        S: * STATUS INBOX (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 1 HIGHESTMODSEQ 40)
        S: r3 OK
        S: * LIST (\\Subscribed) \"/\" INBOX
        S: * LIST (\\Subscribed \\NonExistent) \"/\" gone
        S: r4 OK
        S: r5 OK
        DEFLATE
        C: r6 NOOP
        S: r6 OK";
    // ENABLE is never completed: nobody waits for it.
    let result = world
        .meet(script, async |transport, counters| {
            let (endpoint, credentials, limits) = (&world.endpoint, &world.credentials, &world.limits);
            let session = Session::log_in(transport, counters, endpoint, credentials, limits).await?;
            let (mut session, listed) = session.settle_and_list(true).await?;
            session.recount().await?;
            Ok::<_, Error>((listed, session.traffic().round_trips))
        })
        .await;
    let (listed, round_trips) = result.unwrap();
    assert_eq!(listed.len(), 1);
    assert!(listed[0].subscribed && listed[0].status.as_ref().unwrap().highest_modseq.is_some());
    assert_eq!(round_trips, 3, "greeting, all of this, NOOP");
}

#[tokio::test]
async fn n14_a_bomb_meets_the_same_bounds() {
    let mut world = plain();
    world.compress = true;
    world.limits.line = 1 << 20;
    let script = format!(
        "S: * PREAUTH [CAPABILITY IMAP4rev1 COMPRESS=DEFLATE] hi
         C: r1 COMPRESS DEFLATE
         S: r1 OK
         DEFLATE
         C: r2 NOOP
         S: * OK {}",
        "0".repeat(5 << 20)
    );
    let error = world.play(&script, async |mut session| session.recount().await.unwrap_err()).await.unwrap();
    assert!(matches!(error, Error::Bound { .. }), "{error}");
}
