//! RETR where all goes well, or is refused.

use super::super::script::{Notes, retrieves, wanted, with_mail};
use crate::pop3::{How, Pace};
use crate::{Error, Kind, Limits};

const ALL: [&str; 3] = ["UIDL", "TOP", "PIPELINING"];
const PLAIN: [&str; 1] = ["UIDL"];

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

#[tokio::test]
async fn messages_are_asked_for_together_and_told_when_an_answer_follows() {
    let script = r"C: RETR 1
                   C: RETR 2
                   C: RETR 3
                   C: NOOP
                   S| +OK 8 octets\r\none\r\n..\r\n.\r\n
                   S| +OK\r\ntwo\r\n.\r\n+OK\r\nthree\r\n.\r\n
                   S: +OK";
    with_mail(Limits::default(), &ALL, 3, script, async |mut session| {
        let before = session.traffic().round_trips;
        let sizes = [(1, Some(8)), (2, Some(3)), (3, None)];
        let (lines, error) = retrieves(&mut session, &sizes, Pace::Fast).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(lines, [r"1=one\r\n.\r\n Exact", "2=two WithoutLastLineEnd", r"3=three\r\n Untold"]);
        assert_eq!(session.traffic().round_trips, before + 1);
    })
    .await;
}

#[tokio::test]
async fn p14_without_pipelining_or_one_by_one_each_waits_for_the_one_before() {
    let script = r"C: RETR 1
                   S| +OK\r\none\r\n.\r\n
                   C: RETR 2
                   S| +OK\r\ntwo\r\n.\r\n
                   C: NOOP
                   S: -ERR unknown";
    for (capabilities, pace) in [(&PLAIN[..], Pace::Fast), (&ALL[..], Pace::OneByOne)] {
        with_mail(Limits::default(), capabilities, 2, script, async |mut session| {
            let (lines, error) = retrieves(&mut session, &[(1, Some(5)), (2, Some(5))], pace).await;
            assert!(error.is_none(), "{error:?}");
            assert_eq!(lines, [r"1=one\r\n Exact", r"2=two\r\n Exact"]);
        })
        .await;
    }
}

#[tokio::test]
async fn p07_a_careful_pace_has_each_message_confirmed_and_taken_before_the_next() {
    let script = r"C: RETR 1
                   S| +OK\r\none\r\n.\r\n
                   C: NOOP
                   S: +OK
                   C: RETR 2
                   S: -ERR [SYS/TEMP] not now
                   C: NOOP
                   S: +OK";
    with_mail(Limits::default(), &ALL, 2, script, async |mut session| {
        let (lines, error) = retrieves(&mut session, &[(1, Some(5)), (2, Some(5))], Pace::Careful).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(lines, [r"1=one\r\n Exact", "2 refused: [SYS/TEMP] not now"]);
    })
    .await;
}

#[tokio::test]
async fn a_refusal_in_the_middle_is_that_messages_alone() {
    let script = r"C: RETR 1
                   C: RETR 2
                   C: RETR 3
                   C: NOOP
                   S: -ERR [SYS/PERM] damaged
                   S| +OK\r\ntwo\r\n.\r\n
                   S: -ERR
                   S: +OK";
    with_mail(Limits::default(), &ALL, 3, script, async |mut session| {
        let sizes = [(1, Some(5)), (2, Some(5)), (3, Some(5))];
        let (lines, error) = retrieves(&mut session, &sizes, Pace::Fast).await;
        assert!(error.is_none(), "{error:?}");
        let expected = ["1 refused: [SYS/PERM] damaged", r"2=two\r\n Exact", "3 refused: no reason given"];
        assert_eq!(lines, expected);
    })
    .await;
}

#[tokio::test]
async fn p10_wrong_counts_change_nothing_but_what_is_told_of_them() {
    // A message that is believed to be of 4 GiB has the line for itself.
    let script = r"C: RETR 1
                   S| +OK 999 octets\r\none\r\n.\r\n
                   C: RETR 2
                   C: RETR 3
                   C: RETR 4
                   C: NOOP
                   S| +OK 0 octets\r\ntwo\r\n.\r\n
                   S| +OK\r\na\r\nb\r\n.\r\n
                   S| +OK\r\n.\r\n
                   S: +OK";
    with_mail(Limits::default(), &ALL, 4, script, async |mut session| {
        let sizes = [(1, Some(u64::from(u32::MAX))), (2, Some(0)), (3, Some(4)), (4, Some(0))];
        let (lines, error) = retrieves(&mut session, &sizes, Pace::Fast).await;
        assert!(error.is_none(), "{error:?}");
        let expected = [
            r"1=one\r\n Other { told: 4294967295, came: 5 }",
            r"2=two\r\n Other { told: 0, came: 5 }",
            r"3=a\r\nb\r\n Other { told: 4, came: 6 }",
            "4= Exact",
        ];
        assert_eq!(lines, expected);
    })
    .await;
}

#[tokio::test]
async fn no_more_is_on_the_line_than_its_bounds_allow() {
    let limits = limits(|limits| {
        limits.pipelined = 4;
        limits.octets_under_way = 100;
    });
    let script = r"C: RETR 1
                   C: RETR 2
                   S| +OK\r\na\r\n.\r\n
                   S| +OK\r\nb\r\n.\r\n
                   C: RETR 3
                   S| +OK\r\nc\r\n.\r\n
                   C: RETR 4
                   C: RETR 5
                   C: RETR 6
                   C: NOOP
                   S| +OK\r\nd\r\n.\r\n
                   S| +OK\r\ne\r\n.\r\n
                   S| +OK\r\nf\r\n.\r\n
                   S: +OK";
    with_mail(limits, &ALL, 6, script, async |mut session| {
        let sizes = [(1, Some(50)), (2, Some(50)), (3, Some(1000)), (4, Some(1)), (5, Some(2)), (6, Some(3))];
        let (lines, error) = retrieves(&mut session, &sizes, Pace::Fast).await;
        assert!(error.is_none(), "{error:?}");
        assert_eq!(lines.len(), 6);
    })
    .await;
}

#[tokio::test]
async fn p12_a_large_message_comes_in_slices_and_is_never_held_as_a_whole() {
    let limits = limits(|limits| {
        limits.whole = 300_000;
        limits.slice = 100_000;
    });
    let body = "0123456789.\n".repeat(100_000);
    for told in [Some(1_300_000), Some(1_299_998), Some(7), None] {
        let lines: String = body.lines().map(|line| format!("S: {line}\n")).collect();
        let script = format!("C: RETR 1\nC: NOOP\nS: +OK\n{lines}S: .\nS: +OK");
        with_mail(limits.clone(), &ALL, 1, &script, async |mut session| {
            let wanted = wanted(&session, &[(1, told)]);
            let mut notes = Notes::default();
            session.retrieve(&wanted, Pace::Fast, &mut notes).await.unwrap();
            assert!(notes.bytes.iter().all(|slice| slice.len() <= 100_000));
            let whole = notes.bytes.concat();
            let expected = body.replace('\n', "\r\n").into_bytes();
            let end = notes.lines.last().unwrap();
            match told {
                Some(1_299_998) => {
                    assert!(whole == expected[..expected.len() - 2] && end == "1 end WithoutLastLineEnd");
                }
                Some(1_300_000) => assert!(whole == expected && end == "1 end Exact"),
                _ => assert!(whole == expected, "{end}"),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_second_opinion_is_asked_for_by_top() {
    let script = r"C: TOP 1 2147483647
                   S| +OK\r\none\r\n.\r\n
                   C: NOOP
                   S: +OK";
    with_mail(Limits::default(), &ALL, 1, script, async |mut session| {
        let mut wanted = wanted(&session, &[(1, Some(5))]);
        wanted[0].how = How::Top;
        let mut notes = Notes::default();
        session.retrieve(&wanted, Pace::Careful, &mut notes).await.unwrap();
        assert_eq!(notes.lines, [r"1=one\r\n Exact"]);
    })
    .await;
}

#[tokio::test]
async fn p05_a_number_of_another_session_is_not_retrieved() {
    let limits = Limits::default();
    let theirs = with_mail(limits.clone(), &ALL, 1, "", async |session| wanted(&session, &[(1, None)])).await;
    with_mail(limits, &ALL, 1, "C: QUIT\nS: +OK", async |mut session| {
        let mut notes = Notes::default();
        let error = session.retrieve(&theirs, Pace::Fast, &mut notes).await.unwrap_err();
        assert!(matches!(error, Error::OtherSession { number: 1 }), "{error}");
        assert_eq!(error.to_string(), "message number 1 belongs to another session");
        assert!(notes.lines.is_empty());
        session.quit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_sink_that_stops_costs_what_is_on_the_line_if_that_is_little() {
    let script = r"C: RETR 1
                   C: RETR 2
                   C: RETR 3
                   C: NOOP
                   S| +OK\r\none\r\n.\r\n+OK\r\ntwo\r\n.\r\n-ERR\r\n+OK\r\n
                   C: QUIT
                   S: +OK";
    with_mail(Limits::default(), &ALL, 3, script, async |mut session| {
        let wanted = wanted(&session, &[(1, Some(5)), (2, Some(5)), (3, Some(5))]);
        let mut notes = Notes { stop_after: Some(1), ..Notes::default() };
        session.retrieve(&wanted, Pace::Fast, &mut notes).await.unwrap();
        assert_eq!(notes.lines.len(), 1);
        session.quit().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_sink_that_stops_before_much_ends_the_session() {
    let script = r"C: RETR 1
                   C: RETR 2
                   C: NOOP
                   S| +OK\r\none\r\n.\r\n+OK\r\ntwo";
    with_mail(Limits::default(), &ALL, 3, script, async |mut session| {
        let wanted = wanted(&session, &[(1, Some(5)), (2, Some(1 << 20))]);
        let mut notes = Notes { stop_after: Some(1), ..Notes::default() };
        session.retrieve(&wanted, Pace::Fast, &mut notes).await.unwrap();
        assert_eq!(notes.lines.len(), 1);
        assert!(matches!(session.stat().await, Err(Error::GivenUp)));
        assert!(matches!(session.quit().await, Err(Error::GivenUp)));
    })
    .await;
}

#[tokio::test]
async fn n01_half_a_message_is_never_told() {
    for end in
        [r"S| +OK\r\nhal", r"S| +OK\r\nhalf\r\n", r"S| +OK\r\nhalf\r\n.", r"S| +OK\r\nhalf\r\n.\r\n", "S| +O"]
    {
        let script = format!("C: RETR 1\nC: RETR 2\nC: NOOP\n{end}");
        with_mail(Limits::default(), &ALL, 2, &script, async |mut session| {
            let (lines, error) = retrieves(&mut session, &[(1, Some(6)), (2, None)], Pace::Fast).await;
            assert!(lines.is_empty(), "{lines:?}");
            assert_eq!(error.unwrap().kind(), Kind::Network, "{end}");
            assert!(matches!(session.stat().await, Err(Error::GivenUp)));
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn n03_a_server_that_drips_or_is_silent_is_left() {
    let drip = "S| x\nWAIT 100\n".repeat(100);
    for script in [r"S| +OK\r\nhalf", "", &format!("S| +OK\\r\\n\n{drip}")] {
        let script = format!("C: RETR 1\nC: NOOP\n{script}\nHANG");
        with_mail(Limits::default(), &ALL, 1, &script, async |mut session| {
            let (lines, error) = retrieves(&mut session, &[(1, None)], Pace::Fast).await;
            assert!(lines.is_empty(), "{lines:?}");
            assert!(matches!(error, Some(Error::Stalled { .. })), "{error:?}");
            drop(session);
        })
        .await;
    }
}
