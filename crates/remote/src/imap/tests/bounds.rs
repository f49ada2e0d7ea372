//! Each bound of the table is passed once, and the clock runs out.

use std::time::Duration;

use super::super::script::{World, talk_within};
use super::*;
use crate::imap::{FetchRequest, Part};
use crate::{Error, Kind, Limits, Security};

/// What becomes of a NOOP that is answered so.
async fn noop(limits: Limits, answer: &str) -> Error {
    let script = format!("C: r1 NOOP\n{answer}");
    talk_within(limits, "", &script, async |mut session| session.recount().await.unwrap_err()).await
}

#[tokio::test]
async fn n04_s08_endless_lines_literals_and_data_end_the_connection() {
    let exists = "S: * 1 EXISTS\n".repeat(30);
    let literals = "S: * 1 FETCH (A {0}\n".to_owned() + &"S:  {0}\n".repeat(5);
    let wide = format!("S: * 1 FETCH (UID 1 X {{50}}\nS: {})\n", "x".repeat(50)).repeat(5);
    for (limits, answer, told) in [
        (limits(|l| l.line = 200), format!("S| * OK {}", "x".repeat(300)), "a line without end"),
        (limits(|l| l.literal = 99), "S: * 1 FETCH (BODY[] {100}".to_owned(), "a large literal"),
        (limits(|l| l.literals = 4), literals, "many literals"),
        (limits(|l| l.responses = 20), exists, "endless responses"),
        (limits(|l| l.answer = 200), wide, "endless data"),
    ] {
        let error = noop(limits, &answer).await;
        assert_eq!(error.kind(), Kind::Protocol);
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[tokio::test]
async fn s09_an_announced_length_alone_takes_no_memory() {
    let answer = "S| * 1 FETCH (BODY[] {25165824}\\r\\nshort";
    assert_eq!(noop(Limits::default(), answer).await.kind(), Kind::Network);
}

#[tokio::test]
async fn i30_a_listing_without_end_is_bounded() {
    let limits = limits(|l| l.mailboxes = 3);
    let script = format!(
        "C: r1 LIST \"\" \"*\"\n{}HANG",
        (0..4).map(|n| format!("S: * LIST () \"/\" m{n}\n")).collect::<String>()
    );
    let error = talk_within(limits, "", &script, async |mut session| session.list().await.unwrap_err()).await;
    assert!(error.to_string().contains("endless mailboxes"), "{error}");
}

#[tokio::test]
async fn bodies_that_nobody_asked_for_are_bounded() {
    struct Nobody;
    impl crate::imap::FetchSink for Nobody {
        async fn delivered(&mut self, _: crate::imap::Delivery) -> std::ops::ControlFlow<()> {
            panic!("nothing was asked for")
        }

        async fn finished(
            &mut self,
            _: FetchRequest,
            _: Option<crate::imap::Refusal>,
        ) -> std::ops::ControlFlow<()> {
            panic!("nothing has ended")
        }
    }
    let limits = limits(|l| l.unasked = 2);
    let script = format!(
        "C: r1 UID FETCH 1 (UID FLAGS INTERNALDATE BODY.PEEK[])\n{}HANG",
        "S: * 7 FETCH (UID 7 BODY[] \"x\")\n".repeat(3)
    );
    let error = talk_within(limits, "", &script, async |mut session| {
        let request = FetchRequest { uids: set("1"), part: Part::Whole };
        session.fetch(vec![request], &mut Nobody).await.unwrap_err()
    })
    .await;
    assert!(error.to_string().contains("bodies that nobody asked for"), "{error}");
}

#[tokio::test]
async fn qresync_that_floods_is_dropped() {
    let limits = limits(|l| l.changes = 2);
    let script = "C: r1 ENABLE QRESYNC
                  C: r2 NOOP
                  S: * ENABLED QRESYNC
                  S: r2 OK
                  C: r3 EXAMINE \"INBOX\" (QRESYNC (5 90))
                  S: * OK [UIDVALIDITY 5] x
                  S: * OK [HIGHESTMODSEQ 99] x
                  S: * 1 FETCH (UID 1 FLAGS ())
                  S: * 2 FETCH (UID 2 FLAGS ())
                  S: * 3 FETCH (UID 3 FLAGS ())
                  S: r3 OK";
    let since =
        crate::imap::Since { validity: message::UidValidity::new(5).unwrap(), modseq: message::ModSeq(90) };
    let examined = talk_within(limits, "ENABLE QRESYNC", script, async |mut session| {
        session.examine(&name("INBOX"), Some(since)).await.unwrap()
    })
    .await;
    assert!(!examined.resynced && examined.changed.is_empty());
}

#[tokio::test(start_paused = true)]
async fn n02_silence_is_a_stall_that_tells_how_far_it_came() {
    let error = noop(Limits::default(), "S| * 1 FETCH (UID 1 BODY[] {50}\\r\\nhel\nHANG").await;
    let Error::Stalled { waited, received, .. } = error else { panic!("{error}") };
    assert_eq!(waited, Duration::from_secs(180));
    assert_eq!(
        received,
        "* PREAUTH [CAPABILITY IMAP4rev1 ] hello\r\n* 1 FETCH (UID 1 BODY[] {50}\r\nhel".len() as u64
    );
}

#[tokio::test(start_paused = true)]
async fn n03_an_octet_now_and_then_is_a_stall_too() {
    let world = World::new(Security::Plain);
    let start = tokio::time::Instant::now();
    let script = format!(
        "S: * PREAUTH [CAPABILITY IMAP4rev1] hello\nC: r1 NOOP\n{}HANG",
        "WAIT 60\nS| x\n".repeat(1_000)
    );
    let error = world.play(&script, async |mut session| session.recount().await.unwrap_err()).await.unwrap();
    assert!(matches!(error, Error::Stalled { .. }), "{error}");
    assert!(start.elapsed() < Duration::from_secs(100_000));
}

#[tokio::test(start_paused = true)]
async fn n03_a_farewell_without_answer_is_cut_short() {
    let start = tokio::time::Instant::now();
    talk_within(Limits::default(), "", "C: r1 LOGOUT\nHANG", async |session| session.logout().await).await;
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test]
async fn n12_the_end_of_tls_without_a_word_is_a_cut() {
    let world = World::new(Security::StartTls);
    let script = "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] hi
                  C: r1 STARTTLS
                  S: r1 OK begin
                  TLS
                  C: r2 CAPABILITY
                  S: * CAPABILITY IMAP4rev1
                  S: r2 OK
                  C: r3 LOGIN \"me\" \"canary-\\\"p\\\\w\\\"-7431\"
                  S: r3 OK [CAPABILITY IMAP4rev1] in
                  C: r4 NOOP
                  S: * 1 EXISTS";
    let error = world.play(script, async |mut session| session.recount().await.unwrap_err()).await.unwrap();
    assert!(matches!(error, Error::Cut { .. }), "{error}");
    assert!(error.to_string().contains("close_notify"), "{error}");
}
