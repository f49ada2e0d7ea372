//! Each bound of the table is passed once, and the clock runs out.

use std::ops::ControlFlow;
use std::time::Duration;

use proptest::prelude::*;

use super::super::script::talk_within;
use super::*;
use crate::imap::{Delivery, FetchRequest, FetchSink, Part, Refusal};
use crate::script::World;
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
async fn s08_a_mailbox_of_endless_attributes_keeps_the_first_of_them() {
    let limits = limits(|l| l.attributes = 3);
    let script = "C: r1 LIST \"\" \"*\"
                  S: * LIST (\\Noselect a b c d) \"/\" m
                  S: * LIST (e f) \"/\" m
                  S: * LIST (\\Sent) \"/\" n
                  S: * LIST (\\Trash) \"/\" n
                  S: r1 OK
                  C: r2 LSUB \"\" \"*\"
                  S: r2 OK";
    let listed = talk_within(limits, "", script, async |mut session| session.list().await.unwrap()).await;
    assert_eq!(listed[0].attributes, ["\\Noselect", "a", "b"]);
    assert_eq!(listed[1].attributes, ["\\Sent", "\\Trash"]);
}

#[tokio::test]
async fn s08_bodies_that_nobody_asked_for_are_bounded() {
    struct Nobody;
    impl FetchSink for Nobody {
        async fn delivered(&mut self, _: Delivery) -> ControlFlow<()> {
            panic!("nothing was asked for")
        }

        async fn finished(&mut self, _: FetchRequest, _: Option<Refusal>) -> ControlFlow<()> {
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
async fn s08_qresync_that_floods_is_dropped() {
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
async fn n03_a_server_that_never_says_go_on_with_a_literal_is_a_stall() {
    let error = talk_within(Limits::default(), "", "C: r1 EXAMINE {8}\nHANG", async |mut session| {
        session.examine(&name("Entw\u{fc}rf"), None).await.unwrap_err()
    })
    .await;
    assert!(matches!(error, Error::Stalled { .. }), "{error}");
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

/// Takes everything.
struct Everybody;

impl FetchSink for Everybody {
    async fn delivered(&mut self, _: Delivery) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    async fn finished(&mut self, _: FetchRequest, _: Option<Refusal>) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

/// Lines that make up a hostile server; the rest it makes of their order.
const LINES: [&str; 28] = [
    "r1 OK\\r\\n",
    "r2 OK [READ-ONLY]\\r\\n",
    "r2 NO [LIMIT] x\\r\\n",
    "r3 OK\\r\\n",
    "r3 BAD\\n",
    "r4 OK\\r\\n",
    "r5 NO [\\xc3\\xa9\\r\\n",
    "r6 OK [MESSAGELIMIT 1]\\r\\n",
    "r7 OK\\r\\n",
    "r8 OK\\r\\n",
    "x OK [ALERT]\\xc3\\xa9\\r\\n",
    "+ \\r\\n",
    "* 4294967295 EXISTS\\r\\n",
    "* 3 EXISTS\\r\\n",
    "* 0 EXPUNGE\\r\\n",
    "* VANISHED 1:4294967295\\r\\n",
    "* VANISHED (EARLIER) 4294967295:1,0\\r\\n",
    "* OK [UIDNEXT 4294967295] x\\r\\n",
    "* OK [UIDVALIDITY 0]\\xff\\r\\n",
    "* OK [HIGHESTMODSEQ 18446744073709551615] x\\r\\n",
    "* LIST () \"/\" {3}\\r\\n",
    "* LSUB () NIL \"\\r\\n",
    "* STATUS a (MESSAGES 4294967296)\\r\\n",
    "* ESEARCH (TAG \"r3\") UID COUNT 3 ALL 1:3\\r\\n",
    "* 1 FETCH (UID 4294967295 FLAGS () BODY[] {2}\\r\\nab)\\r\\n",
    "* 1 FETCH (UID 2 RFC822.SIZE 18446744073709551616 BODY[]<0> NIL)\\r\\n",
    "* 1 FETCH ((((\\r\\n",
    "\\0\\xff{9}\\r\\n",
];

proptest! {
    #[test]
    fn n04_no_server_makes_a_session_panic_or_hang(
        lines in prop::collection::vec(prop::sample::select(LINES.to_vec()), 0..40),
    ) {
        let script: String = lines.iter().map(|line| format!("S| {line}\n")).collect();
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        runtime.block_on(talk_within(Limits::default(), "NAMESPACE ESEARCH", &script, async |mut session| {
            let _ = session.list().await;
            let _ = session.examine(&name("INBOX"), None).await;
            let _ = session.uids().await;
            let _ = session.survey(&set("1:3"), &mut |_| {}).await;
            let requests = vec![FetchRequest { uids: set("1:3,4294967295"), part: Part::Whole }];
            let _ = session.fetch(requests, &mut Everybody).await;
            session.logout().await;
        }));
    }
}
