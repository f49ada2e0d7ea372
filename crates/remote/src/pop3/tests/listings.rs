//! STAT, LIST, UIDL, TOP, QUIT.

use std::ops::ControlFlow;

use bytes::Bytes;
use message::Uidl;

use super::super::script::{number_of, talk, talk_within, with_mail};
use crate::pop3::{HeaderSink, Number, Session, Stat};
use crate::{Error, Kind, Limits, Refusal};

const ALL: [&str; 3] = ["UIDL", "TOP", "PIPELINING"];

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

fn texts(uidls: Vec<(Number, Uidl)>) -> Vec<String> {
    uidls.into_iter().map(|(number, uidl)| format!("{} {uidl}", number.get())).collect()
}

#[tokio::test]
async fn an_overview_costs_one_round_trip_where_the_server_pipelines() {
    let script = "C: STAT
                  C: UIDL
                  S: +OK 2 320
                  S: +OK unique-ids follow
                  S: 1 whqtswO00WBw418f9t5JxYwZ
                  S: 2 QhdPYR:00WBw1Ph7x7
                  S: .";
    talk(&ALL, script, async |mut session| {
        let before = session.traffic().round_trips;
        let overview = session.overview(true).await.unwrap();
        assert_eq!(session.traffic().round_trips, before + 1);
        assert_eq!(overview.stat, Stat { messages: 2, octets: 320 });
        let uidls = texts(overview.uidls.unwrap());
        assert_eq!(uidls, ["1 whqtswO00WBw418f9t5JxYwZ", "2 QhdPYR:00WBw1Ph7x7"]);
        assert!(session.number(2).is_some() && session.number(3).is_none() && session.number(0).is_none());
    })
    .await;
}

#[tokio::test]
async fn p14_without_pipelining_commands_go_one_by_one() {
    let script = "C: STAT
                  S: +OK 1 320
                  C: UIDL
                  S: +OK
                  S: 1 a
                  S: .
                  C: UIDL 1
                  S: +OK 1 a
                  C: UIDL 1
                  S: +OK 1 a
                  C: LIST 1
                  S: +OK 1 320";
    talk(&["UIDL"], script, async |mut session| {
        assert_eq!(texts(session.overview(true).await.unwrap().uidls.unwrap()), ["1 a"]);
        let one = number_of(&session, 1);
        assert_eq!(session.uidl_of(&[one, one]).await.unwrap(), vec![(one, Uidl::new(b"a")); 2]);
        assert_eq!(session.size_of(&[one]).await.unwrap(), [(one, Some(320))]);
    })
    .await;
}

#[tokio::test]
async fn p14_a_server_that_refuses_or_does_not_announce_uidl_has_none() {
    for (capabilities, script) in [
        (&["TOP"][..], ""),
        (&ALL[..], "C: UIDL\nS: +OK 1 1\nS: -ERR what"),
        (&["UIDL"][..], "S: +OK 1 1\nC: UIDL\nS: -ERR what"),
    ] {
        let script = match script {
            "" => "C: STAT\nS: +OK 1 1\nC: NOOP".to_owned(),
            script => format!("C: STAT\n{script}"),
        };
        talk(capabilities, &script.replace("\nC: NOOP", ""), async |mut session| {
            assert_eq!(session.overview(true).await.unwrap().uidls, None);
        })
        .await;
    }
}

#[tokio::test]
async fn p08_odd_lines_of_a_listing_are_as_if_missing() {
    let script = "C: STAT
                  C: UIDL
                  S: +OK 5 320
                  S: +OK
                  S: 3 c
                  S: 1 a
                  S: 6 beyond
                  S: 0 none
                  S: 2
                  S: gibberish
                  S: 3 c
                  S| 5 first\\n5 second\\r\\n
                  S: .
                  C: LIST
                  S: +OK 5 messages
                  S: 1 100
                  S: 2 x
                  S: 4 400 octets
                  S: .";
    talk(&ALL, script, async |mut session| {
        assert_eq!(texts(session.overview(true).await.unwrap().uidls.unwrap()), ["1 a", "3 c"]);
        let sizes = session.sizes().await.unwrap();
        let sizes: Vec<(u32, u64)> = sizes.into_iter().map(|(number, size)| (number.get(), size)).collect();
        assert_eq!(sizes, [(1, 100), (4, 400)]);
    })
    .await;
}

#[tokio::test]
async fn p02_unique_ids_with_blanks_and_octets_beyond_ascii_are_kept() {
    let script = format!(
        "C: STAT
         C: UIDL
         S: +OK 3 320
         S: +OK
         S| 1 a b\\xe9\\r\\n
         S: 2 {}
         S: 3 a
         S: .",
        "x".repeat(Uidl::MAX_LENGTH + 1)
    );
    talk(&ALL, &script, async |mut session| {
        let uidls = session.overview(true).await.unwrap().uidls.unwrap();
        assert_eq!(uidls.len(), 2);
        assert_eq!(uidls[0].1.as_bytes(), b"a b\xe9");
        assert_eq!(uidls[1].0.get(), 3);
    })
    .await;
}

#[tokio::test]
async fn single_unique_ids_and_sizes_are_asked_for_in_windows() {
    let limits = limits(|limits| limits.pipelined = 4);
    let script = "C: UIDL 1
                  C: UIDL 2
                  C: UIDL 3
                  C: UIDL 4
                  S: +OK 1 a
                  S: -ERR no such message
                  C: UIDL 5
                  S: +OK 2 wrong
                  S: +OK four
                  S: +OK 5 e";
    with_mail(limits, &ALL, 5, script, async |mut session| {
        let numbers: Vec<Number> = (1..=5).map(|number| number_of(&session, number)).collect();
        let told = session.uidl_of(&numbers).await.unwrap();
        let told: Vec<Option<String>> =
            told.into_iter().map(|(_, uidl)| uidl.map(|uidl| uidl.to_string())).collect();
        assert_eq!(told, [Some("a".to_owned()), None, None, None, Some("e".to_owned())]);
    })
    .await;
}

#[tokio::test]
async fn p05_a_number_of_another_session_is_refused_before_anything_is_sent() {
    let theirs = with_mail(Limits::default(), &ALL, 5, "", async |session| number_of(&session, 1)).await;
    let script = "C: UIDL 1\nS: +OK 1 a";
    with_mail(Limits::default(), &ALL, 5, script, async |mut session| {
        let error = session.uidl_of(&[theirs]).await.unwrap_err();
        assert!(matches!(error, Error::OtherSession { number: 1 }), "{error}");
        assert!(matches!(session.size_of(&[theirs]).await, Err(Error::OtherSession { .. })));
        assert!(matches!(
            session.headers(&[theirs], &mut Headers::default()).await,
            Err(Error::OtherSession { .. })
        ));
        // The session is as good as it was.
        assert!(session.uidl_of(&[number_of(&session, 1)]).await.unwrap()[0].1.is_some());
    })
    .await;
}

#[tokio::test]
async fn p09_a_refused_stat_is_a_refusal_and_the_connection_stands() {
    let script = "C: STAT
                  C: UIDL
                  S: -ERR [IN-USE] locked
                  S: +OK
                  S: 1 a
                  S: .
                  C: STAT
                  S: +OK 1 1";
    talk(&ALL, script, async |mut session| {
        let error = session.overview(true).await.unwrap_err();
        assert_eq!(error.to_string(), "the server refused STAT: [IN-USE] locked");
        assert_eq!(error.kind(), Kind::Limit { wait: None });
        assert_eq!(session.stat().await.unwrap().messages, 1);
    })
    .await;
}

#[tokio::test]
async fn p14_endless_listings_and_lines_meet_a_bound() {
    let limits = limits(|limits| {
        limits.responses = 3;
        limits.answer = 100;
        limits.line = 60;
    });
    let begin = "C: STAT\nC: UIDL\nS: +OK 9 1\nS: +OK\n";
    for endless in [
        "S: 1 a\nS: 2 b\nS: 3 c\nS: 4 d\nS: .".to_owned(),
        format!("S: 1 {0}\nS: 2 {0}\nS: 3 {0}", "x".repeat(50)),
        format!("S| 1 {}", "x".repeat(70)),
    ] {
        let script = format!("{begin}{endless}");
        talk_within(limits.clone(), &ALL, &script, async |mut session| {
            let error = session.overview(true).await.unwrap_err();
            assert!(matches!(error, Error::Bound { .. }), "{error}");
            assert_eq!(error.kind(), Kind::Protocol);
            assert!(matches!(session.stat().await, Err(Error::GivenUp)));
        })
        .await;
    }
}

#[tokio::test]
async fn quit_is_confirmed_or_not() {
    talk(&ALL, "C: QUIT\nS: +OK bye", async |session| session.quit().await.unwrap()).await;
    talk(&ALL, "C: QUIT\nS: -ERR some messages not removed", async |session| {
        assert!(matches!(session.quit().await, Err(Error::Refused { .. })));
    })
    .await;
    talk(&ALL, "C: QUIT", async |session| {
        assert!(matches!(session.quit().await, Err(Error::Cut { .. })));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn n03_quit_never_waits_for_long() {
    talk(&ALL, "C: QUIT\nHANG", async |session| {
        let error = session.quit().await.unwrap_err();
        assert!(matches!(error, Error::Stalled { waited, .. } if waited.as_secs() == 5), "{error}");
    })
    .await;
}

#[derive(Default)]
struct Headers(Vec<String>);

impl HeaderSink for Headers {
    async fn header(&mut self, number: Number, header: Result<Bytes, Refusal>) -> ControlFlow<()> {
        self.0.push(match header {
            Ok(bytes) => format!("{}={}", number.get(), bytes.escape_ascii()),
            Err(refusal) => format!("{} refused: {refusal}", number.get()),
        });
        ControlFlow::Continue(())
    }
}

async fn headers(
    session: &mut Session,
    numbers: std::ops::RangeInclusive<u32>,
) -> (Vec<String>, Option<Error>) {
    let numbers: Vec<Number> = numbers.map(|number| number_of(session, number)).collect();
    let mut headers = Headers::default();
    let error = session.headers(&numbers, &mut headers).await.err();
    (headers.0, error)
}

#[tokio::test]
async fn headers_come_with_their_empty_line_and_nothing_else() {
    let limits = limits(|limits| limits.header = 40);
    let script = format!(
        "C: TOP 1 0
         C: TOP 2 0
         C: TOP 3 0
         C: TOP 4 0
         C: TOP 5 0
         C: NOOP
         S| +OK\\r\\nA: b\\r\\n\\r\\n.\\r\\n
         S| +OK\\r\\nA: b\\r\\n..c\\r\\n\\r\\nbody, unasked\\r\\n.\\r\\n
         S| +OK\\r\\nA: {0}\\r\\n\\r\\n.\\r\\n
         S| +OK\\r\\nA: b\\r\\n\\r\\n{0}\\r\\n.\\r\\n
         S: -ERR no such message
         S: +OK",
        "x".repeat(200)
    );
    with_mail(limits, &ALL, 5, &script, async |mut session| {
        let (lines, error) = headers(&mut session, 1..=5).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(
            lines,
            [
                r"1=A: b\r\n\r\n",
                r"2=A: b\r\n.c\r\n\r\n",
                "3 refused: its header is longer than 40 octets",
                r"4=A: b\r\n\r\n",
                "5 refused: no such message"
            ]
        );
    })
    .await;
}
