//! Servers that refuse, stumble, or go away while messages are sent to them.

use std::time::Duration;

use super::*;
use crate::script::World;
use crate::{Error, Kind, Security};

/// More than the script's connection holds at once.
const LARGE: usize = 300_000;

fn large() -> Outgoing {
    Outgoing { bytes: Bytes::from(vec![b'x'; LARGE]), ..bare("") }
}

/// The outcome of one APPEND of a large message, with literals that wait for nothing. After an error
/// nothing counts as an outcome, and not an octet is sent.
async fn gives_large(script: &str) -> Result<Appended, Error> {
    give("LITERAL+", script, async |mut target| {
        let inbox = name("INBOX");
        let outcome = match target.append(&inbox, &[large()], AT_ONCE).await {
            Ok(_) => target.appended().await.map(|(_, outcome)| outcome),
            Err(error) => Err(error),
        };
        if outcome.is_err() {
            is_over(&mut target).await;
        }
        outcome
    })
    .await
}

/// Whatever is asked for, nothing is said.
async fn is_over(target: &mut Target) {
    let sent = target.session().traffic().sent;
    let inbox = name("INBOX");
    assert!(matches!(target.append(&inbox, &[bare("b")], AT_ONCE).await, Err(Error::GivenUp)));
    assert!(matches!(target.appended().await, Err(Error::GivenUp)));
    assert!(matches!(target.session().recount().await, Err(Error::GivenUp)));
    assert_eq!(target.session().traffic().sent, sent);
}

fn refused(outcome: Appended) -> (bool, String) {
    match outcome {
        Appended::Refused { status_bad, refusal } => (status_bad, refusal.to_string()),
        Appended::Stored { .. } => panic!("it is stored"),
    }
}

#[tokio::test]
async fn r05_a_message_that_is_refused_before_it_is_sent_leaves_the_conversation_in_step() {
    give(
        "",
        r#"C: r1 APPEND "INBOX" {5}
           S: r1 NO [TOOBIG] too large
           C: r2 APPEND "INBOX" {1}
           S: + go on
           C: b
           S: r2 OK [APPENDUID 1 9]"#,
        async |mut target| {
            target.append(&name("INBOX"), &[bare("large")], AT_ONCE).await.unwrap();
            let (_, outcome) = target.appended().await.unwrap();
            assert_eq!(refused(outcome), (false, "[TOOBIG] too large".to_owned()));
            target.append(&name("INBOX"), &[bare("b")], AT_ONCE).await.unwrap();
            assert_eq!(target.appended().await.unwrap().1, uids(&[9]));
        },
    )
    .await;
}

#[tokio::test]
async fn r14_messages_that_are_refused_between_two_leave_the_conversation_in_step() {
    let waiting = r#"C: r1 APPEND "INBOX" {1}
                     S: +
                     C: a {1}
                     S: r1 NO [LIMIT] one at a time
                     C: r2 NOOP
                     S: r2 OK"#;
    let at_once = r#"C: r1 APPEND "INBOX" {1+}
                     C: a {1+}
                     S: r1 NO [LIMIT] one at a time
                     C: b
                     C: r2 NOOP
                     S: r2 OK"#;
    for (script, style) in [(waiting, WAITING), (at_once, AT_ONCE)] {
        give("MULTIAPPEND LITERAL+", script, async |mut target| {
            target.append(&name("INBOX"), &[bare("a"), bare("b")], style).await.unwrap();
            let (_, outcome) = target.appended().await.unwrap();
            assert_eq!(refused(outcome), (false, "[LIMIT] one at a time".to_owned()));
            target.session().recount().await.unwrap();
        })
        .await;
    }
}

#[tokio::test]
async fn r06_a_no_in_the_middle_of_a_message_is_heard_and_the_message_is_sent_to_its_end() {
    let script = format!(
        "C: r1 APPEND \"INBOX\" {{{LARGE}+}}\nC# 1000\nS: r1 NO [OVERQUOTA] full\nC# {}\nC: \nC: r2 NOOP\nS: r2 OK",
        LARGE - 1000
    );
    let (_, outcome) = give("LITERAL+", &script, async |mut target| {
        target.append(&name("INBOX"), &[large()], AT_ONCE).await.unwrap();
        let outcome = target.appended().await.unwrap();
        target.session().recount().await.unwrap();
        outcome
    })
    .await;
    assert_eq!(refused(outcome), (false, "[OVERQUOTA] full".to_owned()));
}

#[tokio::test]
async fn r14_after_a_bad_in_the_middle_of_a_message_no_octet_of_it_is_sent_any_more() {
    let script = format!(
        "C: r1 APPEND \"INBOX\" {{{LARGE}+}}\nC# 1000\nS: r1 BAD Command Argument Error. 11\nWAIT 1\nHANG"
    );
    give("LITERAL+", &script, async |mut target| {
        assert!(!target.is_over());
        target.append(&name("INBOX"), &[large()], AT_ONCE).await.unwrap();
        assert!(target.is_over() && target.appends_in_flight() == 1, "the refusal is still to be told");
        let (_, outcome) = target.appended().await.unwrap();
        assert_eq!(refused(outcome), (true, "Command Argument Error. 11".to_owned()));
        let sent = target.session().traffic().sent;
        assert!(sent < LARGE as u64, "{sent}");
        is_over(&mut target).await;
        target.logout().await;
    })
    .await;
}

#[tokio::test]
async fn r14_a_refusal_where_the_next_message_is_announced_already_ends_the_connection() {
    let script = format!(
        "C: r1 APPEND \"INBOX\" {{{LARGE}}}\nS: +\nC# 1000\nS: r1 NO full\nC# {}\nC:  {{1}}\nWAIT 1",
        LARGE - 1000
    );
    give("MULTIAPPEND", &script, async |mut target| {
        target.append(&name("INBOX"), &[large(), bare("b")], WAITING).await.unwrap();
        assert_eq!(refused(target.appended().await.unwrap().1), (false, "full".to_owned()));
        assert!(matches!(target.session().recount().await, Err(Error::GivenUp)));
    })
    .await;
}

#[tokio::test]
async fn r14_a_server_that_talks_while_it_reads_does_not_block_and_is_not_blocked() {
    let talk = "S: * OK Hang in there, this is going to take a while yet\n".repeat(3000);
    let script = format!(
        "C: r1 APPEND \"INBOX\" {{{LARGE}+}}\n{talk}S: * 4 EXISTS\nC# {LARGE}\nC: \nS: r1 OK [APPENDUID 1 4]"
    );
    assert_eq!(gives_large(&script).await.unwrap(), uids(&[4]));
}

#[tokio::test]
async fn s09_a_server_that_talks_for_ever_while_it_is_written_to_is_given_up() {
    let talk = "S: * NO x\n".repeat(10_100);
    let script = format!("C: r1 APPEND \"INBOX\" {{{LARGE}+}}\n{talk}HANG");
    let error = gives_large(&script).await.unwrap_err();
    assert!(matches!(error, Error::Bound { .. }), "{error}");
}

#[tokio::test]
async fn r14_a_goodbye_in_the_middle_of_a_message_is_heard_with_its_reason() {
    let script = format!("C: r1 APPEND \"INBOX\" {{{LARGE}+}}\nC# 1000\nS: * BYE System Error");
    let error = gives_large(&script).await.unwrap_err();
    assert!(matches!(&error, Error::Bye(refusal) if refusal.text == "System Error"), "{error}");
    // Also where the connection is closed before we have written anything.
    let error = gives_large("S: * BYE Idle for too long").await.unwrap_err();
    assert!(matches!(&error, Error::Bye(refusal) if refusal.text == "Idle for too long"), "{error}");
}

#[tokio::test]
async fn r08_what_was_answered_before_the_connection_broke_is_still_told() {
    let script = format!(
        "C: r1 APPEND \"INBOX\" {{1+}}\nC: a\nC: r2 APPEND \"INBOX\" {{{LARGE}+}}\nS: r1 OK [APPENDUID 1 3]\nC# 1000"
    );
    give("LITERAL+", &script, async |mut target| {
        let first = target.append(&name("INBOX"), &[bare("a")], AT_ONCE).await.unwrap();
        let error = target.append(&name("INBOX"), &[large()], AT_ONCE).await.unwrap_err();
        assert!(matches!(error, Error::Cut { .. }), "{error}");
        assert_eq!(target.appended().await.unwrap(), (first, uids(&[3])));
        assert!(matches!(target.appended().await, Err(Error::GivenUp)));
    })
    .await;
}

#[tokio::test]
async fn r08_an_answer_that_never_comes_is_an_error_and_not_an_outcome() {
    let script = format!("C: r1 APPEND \"INBOX\" {{{LARGE}+}}\nC# {LARGE}\nC: ");
    let error = gives_large(&script).await.unwrap_err();
    assert!(matches!(error, Error::Cut { .. }), "{error}");
}

#[tokio::test]
async fn r14_a_server_that_reads_a_message_as_commands_is_left() {
    for heard in
        ["Received: BAD unknown command", "* BAD Invalid tag", "r1 OK before it was sent", "x OK noop"]
    {
        let script = format!("C: r1 APPEND \"INBOX\" {{{LARGE}+}}\nC# 1000\nS: {heard}\nHANG");
        let error = gives_large(&script).await.unwrap_err();
        assert!(matches!(error, Error::OutOfStep { .. }), "{heard}: {error}");
        assert_eq!(error.kind(), Kind::Protocol);
    }
    // And after it has refused the message, too.
    give(
        "LITERAL+",
        r#"C: r1 APPEND "INBOX" {1+}
           C: a
           S: r1 BAD what
           C: r2 NOOP
           S: a BAD unknown command"#,
        async |mut target| {
            target.append(&name("INBOX"), &[bare("a")], AT_ONCE).await.unwrap();
            target.appended().await.unwrap();
            let error = target.session().recount().await.unwrap_err();
            assert!(matches!(error, Error::OutOfStep { .. }), "{error}");
        },
    )
    .await;
}

#[tokio::test]
async fn r14_ok_in_place_of_leave_is_no_outcome() {
    let script = "C: r1 APPEND \"INBOX\" {1}\nS: r1 OK done";
    give("", script, async |mut target| {
        let error = target.append(&name("INBOX"), &[bare("a")], AT_ONCE).await.unwrap_err();
        assert!(matches!(error, Error::OutOfStep { .. }), "{error}");
        assert!(matches!(target.appended().await, Err(Error::GivenUp)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn n02_a_slow_line_is_no_stall_as_long_as_octets_go_out() {
    let pieces = "WAIT 170\nC# 50000\n".repeat(LARGE / 50_000);
    let script = format!("C: r1 APPEND \"INBOX\" {{{LARGE}+}}\n{pieces}C: \nS: r1 OK [APPENDUID 1 1]");
    assert_eq!(gives_large(&script).await.unwrap(), uids(&[1]));
}

#[tokio::test(start_paused = true)]
async fn n02_an_answer_has_the_time_that_unsent_octets_take_on_a_slow_line() {
    // As if the octets that have left us were waiting in buffers on the way.
    let message = Outgoing { bytes: Bytes::from(vec![b'x'; 8 << 20]), ..bare("") };
    let then = "S: r1 OK\nC: r2 NOOP\nWAIT 170\nS: r2 OK\nC: r3 NOOP\nWAIT 200";
    for (seconds, arrives, then) in [(600, true, then), (800, false, "")] {
        let script = format!("C: r1 APPEND \"INBOX\" {{{0}+}}\nC# {0}\nC: \nWAIT {seconds}\n{then}", 8 << 20);
        give("LITERAL+", &script, async |mut target| {
            target.append(&name("INBOX"), std::slice::from_ref(&message), AT_ONCE).await.unwrap();
            let outcome = target.appended().await;
            assert_eq!(outcome.is_ok(), arrives, "{outcome:?}");
            if arrives {
                target.session().recount().await.unwrap();
                let error = target.session().recount().await.unwrap_err();
                assert!(matches!(error, Error::Stalled { .. }), "nothing is on its way any more: {error}");
            }
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn n02_a_server_that_takes_nothing_has_stalled() {
    let start = tokio::time::Instant::now();
    let script = format!("C: r1 APPEND \"INBOX\" {{{LARGE}+}}\nWAIT 500");
    let error = gives_large(&script).await.unwrap_err();
    assert!(matches!(error, Error::Stalled { .. }), "{error}");
    // The script plays on to its end; the error says when it came.
    let Error::Stalled { waited, .. } = error else { unreachable!() };
    assert!(waited < Duration::from_secs(200) && start.elapsed() >= Duration::from_secs(180));
}

#[tokio::test(start_paused = true)]
async fn n03_a_server_that_takes_an_octet_now_and_then_has_stalled() {
    let pieces = "C# 1\nWAIT 170\n".repeat(20);
    let script = format!("C: r1 APPEND \"INBOX\" {{{LARGE}+}}\n{pieces}");
    let error = gives_large(&script).await.unwrap_err();
    assert!(matches!(&error, Error::Stalled { hint, .. } if !hint.is_empty()), "{error}");
}

#[tokio::test(start_paused = true)]
async fn r08_who_gives_up_on_an_append_half_way_says_nothing_more_on_that_connection() {
    let script = format!("C: r1 APPEND \"INBOX\" {{{LARGE}+}}\nC# 1000\nWAIT 100\nHANG");
    give("LITERAL+", &script, async |mut target| {
        let limit = Duration::from_secs(10);
        let inbox = name("INBOX");
        assert!(tokio::time::timeout(limit, target.append(&inbox, &[large()], AT_ONCE)).await.is_err());
        is_over(&mut target).await;
        target.logout().await;
    })
    .await;
}

#[tokio::test]
async fn appends_go_through_tls_and_compression_alike() {
    let messages = [large(), bare("b")];
    let append = format!("APPEND \"INBOX\" {{{LARGE}+}}\nC# {LARGE}\nC:  {{1+}}\nC: b");
    let compressed = format!(
        "S: * PREAUTH [CAPABILITY IMAP4rev1 LITERAL+ MULTIAPPEND COMPRESS=DEFLATE] hello
         C: r1 COMPRESS DEFLATE
         S: r1 OK
         DEFLATE
         C: r2 {append}
         S: r2 OK [APPENDUID 1 5:6]"
    );
    let encrypted = format!(
        "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] hello
         C: r1 STARTTLS
         S: r1 OK
         TLS
         C: r2 CAPABILITY
         S: * CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR
         S: r2 OK
         C: r3 AUTHENTICATE PLAIN AG1lAGNhbmFyeS0icFx3Ii03NDMx
         S: r3 OK [CAPABILITY IMAP4rev1 LITERAL+ MULTIAPPEND] welcome
         C: r4 {append}
         S: r4 OK [APPENDUID 1 5:6]"
    );
    for (security, script) in [(Security::Plain, compressed), (Security::StartTls, encrypted)] {
        let mut world = World::new(security);
        world.compress = true;
        let outcome = world.play(&script, async |session| {
            let mut target = Target::new(session);
            target.append(&name("INBOX"), &messages, AT_ONCE).await.unwrap();
            target.appended().await.unwrap().1
        });
        assert_eq!(outcome.await.unwrap(), uids(&[5, 6]));
    }
}
