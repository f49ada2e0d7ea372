//! Messages that end where they should not, or never (P11, P12).

use super::super::script::{retrieves, with_mail};
use crate::pop3::Pace;
use crate::{Error, Kind, Limits};

const ALL: [&str; 3] = ["UIDL", "TOP", "PIPELINING"];

fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
    let mut limits = Limits::default();
    change(&mut limits);
    limits
}

/// Messages of which the second holds a line that is a dot, on a server that does not stuff it.
async fn undotted(script: &str, pace: Pace) -> (Vec<String>, Error) {
    with_mail(Limits::default(), &ALL, 3, script, async |mut session| {
        let sizes = [(1, Some(5)), (2, Some(20)), (3, Some(5))];
        let (lines, error) = retrieves(&mut session, &sizes, pace).await;
        assert!(matches!(session.stat().await, Err(Error::GivenUp)));
        (lines, error.unwrap())
    })
    .await
}

#[tokio::test]
async fn p11_a_message_that_ends_early_is_torn_and_none_after_it_is_told() {
    let script = r"C: RETR 1
                   C: RETR 2
                   C: RETR 3
                   C: NOOP
                   S| +OK\r\none\r\n.\r\n
                   S| +OK\r\ntwo\r\n.\r\nits rest\r\n.\r\n
                   S| +OK\r\nthree\r\n.\r\n
                   S: +OK";
    let (lines, error) = undotted(script, Pace::Fast).await;
    assert_eq!(lines, [r"1=one\r\n Exact", "2 torn"]);
    assert_eq!(error.kind(), Kind::Protocol);
    assert!(error.to_string().contains("its rest"), "{error}");
}

#[tokio::test]
async fn p11_one_by_one_not_an_octet_may_follow_the_end() {
    for pace in [Pace::OneByOne, Pace::Careful] {
        let confirmation = if pace == Pace::Careful { "C: NOOP\nS: +OK" } else { "" };
        let script = format!(
            r"C: RETR 1
              S| +OK\r\none\r\n.\r\n
              {confirmation}
              C: RETR 2
              S| +OK\r\ntwo\r\n.\r\n+OK is what this line begins with\r\n.\r\n"
        );
        let (lines, error) = undotted(&script, pace).await;
        assert_eq!(lines, [r"1=one\r\n Exact", "2 torn"]);
        assert_eq!(error.kind(), Kind::Protocol);
    }
}

#[tokio::test]
async fn p11_what_follows_the_last_answer_tears_the_last_message() {
    let script = r"C: RETR 1
                   C: RETR 2
                   C: RETR 3
                   C: NOOP
                   S| +OK\r\none\r\n.\r\n
                   S| +OK\r\ntwo\r\n.\r\n
                   S| +OK\r\nthree\r\n.\r\n+OK says a line of it\r\n.\r\n+OK\r\n";
    let (lines, error) = undotted(script, Pace::Fast).await;
    assert_eq!(lines, [r"1=one\r\n Exact", r"2=two\r\n Other { told: 20, came: 5 }", "3 torn"]);
    assert_eq!(error.kind(), Kind::Protocol);
}

#[tokio::test]
async fn p11_rest_without_a_line_end_is_no_answer_either() {
    for script in [r"S| its rest", r"S| +"] {
        let script = format!("C: RETR 1\nC: NOOP\nS| +OK\\r\\none\\r\\n.\\r\\n\n{script}");
        with_mail(Limits::default(), &ALL, 1, &script, async |mut session| {
            let (lines, error) = retrieves(&mut session, &[(1, Some(5))], Pace::Fast).await;
            let may_be_an_answer = script.ends_with('+');
            assert_eq!(lines.is_empty(), may_be_an_answer, "{lines:?}");
            assert!(matches!(error, Some(Error::Cut { .. })), "{error:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn p12_an_endless_message_meets_a_bound() {
    let limits = limits(|limits| {
        limits.message = 100_000;
        limits.whole = 30_000;
        limits.slice = 10_000;
    });
    let lines = "S: 0123456789\n".repeat(20_000);
    let script = format!("C: RETR 1\nC: NOOP\nS: +OK\n{lines}");
    with_mail(limits, &ALL, 1, &script, async |mut session| {
        let (lines, error) = retrieves(&mut session, &[(1, Some(10))], Pace::Fast).await;
        assert_eq!(lines.last().unwrap(), "1 torn");
        assert_eq!(
            error.unwrap().to_string(),
            "the server sent an endless message, more than the bound of 100000; connection dropped"
        );
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn p12_an_end_that_never_comes_whole_tears_the_message() {
    for end in [r".\r", r".\n", ".", r"\n.\r\n"] {
        let before = if end.starts_with('\\') { "" } else { "\\r\\n" };
        let script = format!("C: RETR 1\nC: NOOP\nS| +OK\\r\\none{before}{end}\nHANG");
        with_mail(Limits::default(), &ALL, 1, &script, async |mut session| {
            let (lines, error) = retrieves(&mut session, &[(1, Some(5))], Pace::Fast).await;
            assert_eq!(lines, ["1 torn"], "{end}");
            assert!(matches!(error, Some(Error::Stalled { .. })), "{error:?}");
            drop(session);
        })
        .await;
    }
}
