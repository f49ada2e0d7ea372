//! UIDs, flags, dates, sizes.

use message::ModSeq;

use super::super::script::{talk, talk_within};
use super::*;
use crate::imap::{Session, Surveyed};
use crate::{Error, Kind};

async fn surveys(session: &mut Session, uids: &str) -> Result<Vec<Surveyed>, Error> {
    let mut seen = Vec::new();
    session.survey(&set(uids), &mut |message| seen.push(message)).await?;
    seen.sort_by_key(|message| message.uid);
    Ok(seen)
}

fn numbers(seen: &[Surveyed]) -> Vec<u32> {
    seen.iter().map(|message| message.uid.get()).collect()
}

const OPENED: &str = "C: r1 EXAMINE \"INBOX\"\nS: * OK [UIDNEXT 10] x\n";

#[tokio::test]
async fn i01_a_search_is_believed_when_it_shows_the_whole_mailbox() {
    for (search, expected) in [
        ("S: * ESEARCH (TAG \"r2\") UID COUNT 3 ALL 2,8:9\nS: r2 OK\nBEYOND", "2,8:9"),
        // As many as there are, but not the newest: an index that lags behind.
        ("S: * ESEARCH (TAG \"r2\") UID COUNT 3 ALL 2,7:8\nS: r2 OK\nLAGS", "2,8:9"),
        // Cut off, inconsistent, missing, refused: FETCH is asked.
        ("S: * ESEARCH (TAG \"r2\") UID COUNT 2 ALL 8:9\nS: r2 OK\nFETCH", "2,8:9"),
        ("S: * ESEARCH (TAG \"r2\") UID COUNT 3 ALL 8:9\nS: r2 OK\nFETCH", "2,8:9"),
        ("S: * ESEARCH (TAG \"r2\") UID ALL 1:*\nS: r2 OK\nFETCH", "2,8:9"),
        ("S: * SEARCH 2 8 9\nS: r2 OK\nFETCH", "2,8:9"),
        ("S: r2 BAD broken\nFETCH", "2,8:9"),
    ] {
        let fetch = "C: r3 UID FETCH 1:9 (UID)
                     S: * 3 FETCH (UID 9)
                     S: * 1 FETCH (UID 2)
                     S: * 2 FETCH (UID 8)
                     S: r3 OK";
        let beyond = "C: r3 UID FETCH 10:* (UID)
                      S: * 3 FETCH (UID 9)
                      S: r3 OK";
        let lags = format!("{}\n{}", beyond.replace("10:", "9:"), fetch.replace("r3", "r4"));
        let search =
            search.replace("BEYOND", beyond).replace("LAGS", &lags).replace("\nFETCH", &format!("\n{fetch}"));
        let script =
            format!("{OPENED}S: * 3 EXISTS\nS: r1 OK\nC: r2 UID SEARCH RETURN (ALL COUNT) ALL\n{search}");
        talk("ESEARCH", &script, async |mut session| {
            session.examine(&name("INBOX"), None).await.unwrap();
            assert_eq!(session.uids().await.unwrap(), set(expected), "{search}");
        })
        .await;
    }
}

#[tokio::test]
async fn i02_messages_without_numbers_are_understood() {
    let script = "C: r1 ENABLE UIDONLY
                  C: r2 NOOP
                  S: * ENABLED UIDONLY
                  S: r1 OK
                  S: r2 OK
                  C: r3 UID FETCH 7:8,70 (UID FLAGS INTERNALDATE RFC822.SIZE)
                  S: * 70 UIDFETCH (FLAGS () INTERNALDATE \"x\" RFC822.SIZE 5)
                  S: * 8 UIDFETCH (FLAGS (\\Seen) INTERNALDATE \"x\" RFC822.SIZE 6)
                  S: r3 OK";
    talk("ENABLE UIDONLY", script, async |mut session| {
        assert!(session.capabilities().uid_only);
        assert_eq!(numbers(&surveys(&mut session, "7:8,70").await.unwrap()), [8, 70]);
    })
    .await;
}

#[tokio::test]
async fn i03_a_told_message_limit_is_kept() {
    let script = "C: r1 UID FETCH 1:2 (UID FLAGS)
                  C: r2 UID FETCH 3:4 (UID FLAGS)
                  C: r3 UID FETCH 5 (UID FLAGS)
                  S: r1 OK
                  S: r2 OK
                  S: r3 OK";
    talk("MESSAGELIMIT=2", script, async |mut session| {
        session.flags(&set("1:5"), None, &mut |_| {}).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn i14_uids_beyond_uidnext_are_found() {
    let script = format!(
        "{OPENED}S: * 3 EXISTS\nS: r1 OK
         C: r2 UID FETCH 1:9 (UID)
         S: * 1 FETCH (UID 2)
         S: r2 OK
         C: r3 UID FETCH 3:* (UID)
         S: * 2 FETCH (UID 70)
         S: * 3 FETCH (UID 90)
         S: r3 OK"
    );
    talk("", &script, async |mut session| {
        session.examine(&name("INBOX"), None).await.unwrap();
        assert_eq!(session.uids().await.unwrap(), set("2,70,90"));
    })
    .await;
}

#[tokio::test]
async fn i14_a_huge_uidnext_costs_few_round_trips() {
    let mut script = "C: r1 EXAMINE \"INBOX\"
                      S: * OK [UIDNEXT 4294967295] x
                      S: * 2 EXISTS
                      S: r1 OK\n"
        .to_owned();
    let (mut first, mut width, mut tag) = (1u64, 20_000u64, 2);
    while first <= 4_294_967_294 {
        let last = (first + width - 1).min(4_294_967_294);
        script.push_str(&format!("C: r{tag} UID FETCH {first}:{last} (UID)\nS: r{tag} OK\n"));
        (first, width, tag) = (last + 1, width * 2, tag + 1);
    }
    script.push_str(&format!("C: r{tag} UID FETCH {first}:* (UID)\nS: * 1 FETCH (UID 3)\nS: r{tag} OK\n"));
    talk("", &script, async |mut session| {
        session.examine(&name("INBOX"), None).await.unwrap();
        assert_eq!(session.uids().await.unwrap(), set("3"));
        assert!(session.traffic().round_trips < 25);
    })
    .await;
}

#[tokio::test]
async fn an_empty_mailbox_is_asked_again_before_it_is_believed() {
    talk("", "C: r1 NOOP\nS: r1 OK", async |mut session| {
        assert!(session.uids().await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn i04_a_survey_takes_answers_in_any_order_and_in_pieces() {
    let date = "INTERNALDATE \"17-Jul-1996 02:44:25 -0700\"";
    let script = format!(
        "C: r1 UID FETCH 1:5 (UID FLAGS INTERNALDATE RFC822.SIZE)
         S: * 4 FETCH (RFC822.SIZE 10 {date} FLAGS (\\Seen) UID 4)
         S: * 1 FETCH (UID 1 FLAGS (a))
         S: * 9 FETCH (UID 9 FLAGS () {date} RFC822.SIZE 1)
         S: * 2 FETCH (FLAGS () {date} RFC822.SIZE 1)
         S: * 1 FETCH (UID 1 {date} RFC822.SIZE 11)
         S: * 4 FETCH (UID 4 FLAGS ())
         S: * 3 FETCH (UID 3 RFC822.SIZE 99999999999)
         S: * 5 FETCH (UID 5 FLAGS (\\Deleted))
         S: r1 OK"
    );
    talk("", &script, async |mut session| {
        let seen = surveys(&mut session, "1:5").await.unwrap();
        assert_eq!(numbers(&seen), [1, 3, 4]);
        assert_eq!((seen[0].flags.to_string().as_str(), seen[0].size), ("a", 11));
        assert_eq!((seen[1].internal_date.raw(), seen[1].size), ("", 99_999_999_999));
        assert!(seen[2].flags.contains("\\Seen"));
    })
    .await;
}

#[tokio::test]
async fn i03_refused_ranges_are_halved_down_to_one_message() {
    let items = "(UID FLAGS INTERNALDATE RFC822.SIZE)";
    let row = |n: u32| format!("S: * {n} FETCH (UID {n} FLAGS () INTERNALDATE \"\" RFC822.SIZE 1)\n");
    let limits = limits(|l| {
        l.commands_in_flight = 1;
    });
    let script = format!(
        "C: r1 UID FETCH 1:4 {items}
         S: r1 NO too many
         C: r2 UID FETCH 1:2 {items}
         {}S: r2 OK [MESSAGELIMIT 1] cut off
         C: r3 UID FETCH 3:4 {items}
         {}{}S: r3 OK
         C: r4 UID FETCH 1 {items}
         {}S: r4 OK
         C: r5 UID FETCH 2 {items}
         S: r5 NO broken message",
        row(1),
        row(3),
        row(4),
        row(1)
    );
    talk_within(limits, "", &script, async |mut session| {
        assert_eq!(numbers(&surveys(&mut session, "1:4").await.unwrap()), [1, 3, 4]);
    })
    .await;
}

#[tokio::test]
async fn a_server_that_refuses_every_message_is_believed_in_the_end() {
    let limits = limits(|l| {
        l.refusals_in_a_row = 1;
        l.rows_per_command = 1;
        l.commands_in_flight = 1;
    });
    let items = "(UID FLAGS INTERNALDATE RFC822.SIZE)";
    let script = format!(
        "C: r1 UID FETCH 1 {items}\nS: r1 BAD no\nC: r2 UID FETCH 2 {items}\nS: r2 BAD no such command"
    );
    talk_within(limits, "", &script, async |mut session| {
        let error = surveys(&mut session, "1:9").await.unwrap_err();
        assert_eq!(error.kind(), Kind::Refused);
        assert!(error.to_string().contains("no such command"), "{error}");
    })
    .await;
}

#[tokio::test]
async fn i21_a_throttled_survey_is_not_tried_in_smaller_pieces() {
    let script = "C: r1 UID FETCH 1:9 (UID FLAGS INTERNALDATE RFC822.SIZE)\nS: r1 NO [LIMIT] slow down";
    let kind =
        talk("", script, async |mut session| surveys(&mut session, "1:9").await.unwrap_err().kind()).await;
    assert_eq!(kind, Kind::Limit { wait: None });
}

#[tokio::test]
async fn n16_commands_are_pipelined() {
    let limits = limits(|l| {
        l.rows_per_command = 2;
    });
    let script = "C: r1 UID FETCH 1:2 (UID FLAGS)
                  C: r2 UID FETCH 3:4 (UID FLAGS)
                  C: r3 UID FETCH 5:6 (UID FLAGS)
                  C: r4 UID FETCH 7:8 (UID FLAGS)
                  S: * 1 FETCH (UID 1 FLAGS (a))
                  S: * 1 FETCH (UID 100 FLAGS (a))
                  S: r1 OK
                  C: r5 UID FETCH 9:10 (UID FLAGS)
                  S: r2 OK
                  C: r6 UID FETCH 11,90 (UID FLAGS)
                  S: * 2 FETCH (UID 90 FLAGS (b))
                  S: r3 OK
                  S: r4 OK
                  S: r5 OK
                  S: r6 OK";
    talk_within(limits, "", script, async |mut session| {
        let mut seen = Vec::new();
        session.flags(&set("1:11,90"), Some(ModSeq(7)), &mut |change| seen.push(change.uid)).await.unwrap();
        assert_eq!(seen, [uid(1), uid(90)]);
        assert_eq!(session.traffic().round_trips, 2);
    })
    .await;
}

#[tokio::test]
async fn changes_are_asked_for_since_a_modseq() {
    let script = "C: r1 ENABLE CONDSTORE
                  C: r2 NOOP
                  S: * ENABLED CONDSTORE
                  S: r1 OK
                  S: r2 OK
                  C: r3 UID FETCH 1:9 (UID FLAGS) (CHANGEDSINCE 7)
                  S: * 1 FETCH (UID 1 MODSEQ (9) FLAGS (a))
                  S: r3 OK";
    talk("ENABLE CONDSTORE", script, async |mut session| {
        let mut seen = Vec::new();
        session.flags(&set("1:9"), Some(ModSeq(7)), &mut |change| seen.push(change)).await.unwrap();
        assert_eq!(seen[0].modseq, Some(ModSeq(9)));
    })
    .await;
}

#[tokio::test]
async fn i09_structures_that_nobody_asked_for_are_passed_over_readable_or_not() {
    let date = "INTERNALDATE \"17-Jul-1996 02:44:25 -0700\"";
    let script = format!(
        "C: r1 UID FETCH 1:3 (UID FLAGS INTERNALDATE RFC822.SIZE)
         S: * 1 FETCH (UID 1 ENVELOPE (NIL \"a \\\"b\" ((NIL NIL \"x\" \"y\")) NIL) FLAGS () {date} RFC822.SIZE 5)
         S: * 2 FETCH (UID 2 BODYSTRUCTURE (\"TEXT\" \"PLAIN\" NIL NIL NIL \"7BIT\" 12 -1) FLAGS () {date} RFC822.SIZE 6)
         S: * 3 FETCH (UID 3 ENVELOPE (\"an \"unescaped\" quote\" NIL
         S: * 3 FETCH (UID 3 ENVELOPE (\"räw\" NIL) FLAGS () {date} RFC822.SIZE 7)
         S: r1 OK"
    );
    talk("", &script, async |mut session| {
        let seen = surveys(&mut session, "1:3").await.unwrap();
        assert_eq!(numbers(&seen), [1, 2, 3]);
        assert_eq!(seen.iter().map(|message| message.size).collect::<Vec<_>>(), [5, 6, 7]);
    })
    .await;
}
