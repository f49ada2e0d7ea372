//! How messages go out, and what the server says of those that it has taken.

use super::*;
use crate::imap::{sendable_date, sendable_flags};

#[tokio::test]
async fn a_message_goes_out_in_one_go_with_its_flags_and_its_date() {
    let message = dated("a\r\nb", "$Forwarded \\Seen", "17-Jul-1996 02:44:25 -0700");
    let outcome = appends(
        "LITERAL+ UIDPLUS",
        r#"C: r1 APPEND "INBOX" (\Seen $Forwarded) "17-Jul-1996 02:44:25 -0700" {4+}
           C: a
           C: b
           S: r1 OK [APPENDUID 7 39] done"#,
        &[message],
        AT_ONCE,
    )
    .await;
    assert_eq!(outcome, uids(&[39]));
}

#[tokio::test]
async fn r14_without_literal_plus_or_when_told_to_each_message_waits_for_leave() {
    for (capabilities, style) in [("", AT_ONCE), ("LITERAL+", WAITING), ("LITERAL-", WAITING)] {
        let outcome = appends(
            &format!("MULTIAPPEND {capabilities}"),
            r#"C: r1 APPEND "INBOX" {3}
               S: * 3 EXISTS
               S: + go on
               C: one (\Seen) {0}
               S: +
               C:  (\Flagged) "01-Jan-2024 10:00:00 +0000" {5}
               S: + go on
               C: three
               S: r1 OK done"#,
            &[
                bare("one"),
                Outgoing { flags: Flags::parse("\\Seen"), ..bare("") },
                dated("three", "\\Flagged", "1-Jan-2024 10:00:00 +0000"),
            ],
            style,
        )
        .await;
        assert_eq!(outcome, Appended::Stored { uids: None });
    }
}

#[tokio::test]
async fn r14_small_messages_go_out_at_once_with_literal_minus_and_larger_ones_wait() {
    let (small, large) = ("s".repeat(4096), "l".repeat(4097));
    let script = format!("C: r1 APPEND \"INBOX\" {{4096+}}\nC: {small}\nS: r1 OK");
    appends("LITERAL-", &script, &[bare(&small)], AT_ONCE).await;
    let script = format!("C: r1 APPEND \"INBOX\" {{4097}}\nS: +\nC: {large}\nS: r1 OK");
    appends("LITERAL-", &script, &[bare(&large)], AT_ONCE).await;
    // Then all of the command waits: a leave too many could not be told from the one that is due.
    let script =
        format!("C: r1 APPEND \"INBOX\" {{4096}}\nS: +\nC: {small} {{4097}}\nS: +\nC: {large}\nS: r1 OK");
    appends("LITERAL- MULTIAPPEND", &script, &[bare(&small), bare(&large)], AT_ONCE).await;
}

#[tokio::test]
async fn r11_a_message_with_nul_goes_out_as_binary_where_that_is_offered() {
    let nul = [bare("a\0b"), bare("c")];
    let binary = r#"C: r1 APPEND "INBOX" ~{3+}
                    C# 3
                    C:  {1+}
                    C: c
                    S: r1 OK"#;
    appends("MULTIAPPEND LITERAL+ BINARY", binary, &nul, AT_ONCE).await;
    appends("MULTIAPPEND LITERAL+ IMAP4rev2", binary, &nul, AT_ONCE).await;
    let plain = r#"C: r1 APPEND "INBOX" {3+}
                   C# 3
                   C:  {1+}
                   C: c
                   S: r1 BAD NUL in literal"#;
    let outcome = appends("MULTIAPPEND LITERAL+", plain, &nul, AT_ONCE).await;
    assert!(matches!(outcome, Appended::Refused { status_bad: true, .. }));
}

#[tokio::test]
async fn a_mailbox_whose_name_needs_a_literal_is_named_by_one() {
    let entwürfe = MailboxName::new("Entwürfe", NameEncoding::Utf8, Some(b'/'));
    let at_once = r#"C: r1 APPEND {9+}
                     C: Entwürfe {1+}
                     C: a
                     S: r1 OK"#;
    let waiting = r#"C: r1 APPEND {9}
                     S: +
                     C: Entwürfe {1}
                     S: +
                     C: a
                     S: r1 OK"#;
    for (script, style) in [(at_once, AT_ONCE), (waiting, WAITING)] {
        let outcome = give("LITERAL+", script, async |mut target| {
            target.append(&entwürfe, &[bare("a")], style).await.unwrap();
            target.appended().await.unwrap().1
        });
        assert_eq!(outcome.await, Appended::Stored { uids: None });
    }
}

#[tokio::test]
async fn answers_are_told_to_their_appends_in_whatever_order_they_come() {
    give(
        "LITERAL+ MULTIAPPEND",
        r#"C: r1 APPEND "INBOX" {1+}
           C: a
           C: r2 APPEND "INBOX" {1+}
           C: b {1+}
           C: b
           C: r3 APPEND "INBOX" {1+}
           C: c
           S: r2 NO [OVERQUOTA] full
           S: * 4 EXISTS
           S: r3 OK [APPENDUID 1 4]
           S: r1 OK [APPENDUID 1 3]
           C: r4 NOOP
           S: r4 OK"#,
        async |mut target| {
            let inbox = name("INBOX");
            let a = target.append(&inbox, &[bare("a")], AT_ONCE).await.unwrap();
            let b = target.append(&inbox, &[bare("b"), bare("b")], AT_ONCE).await.unwrap();
            let c = target.append(&inbox, &[bare("c")], AT_ONCE).await.unwrap();
            assert_eq!(target.appends_in_flight(), 3);
            let (first, outcome) = target.appended().await.unwrap();
            let Appended::Refused { status_bad: false, refusal } = outcome else { panic!("{outcome:?}") };
            assert!(first == b && refusal.is_over_quota());
            assert_eq!(target.appended().await.unwrap(), (c, uids(&[4])));
            assert_eq!(target.appended().await.unwrap(), (a, uids(&[3])));
            assert!(target.appended().await.is_err(), "nothing is under way");
            assert_eq!(target.session().recount().await.unwrap(), 4);
        },
    )
    .await;
}

#[tokio::test]
async fn no_more_appends_are_under_way_than_the_bound_and_none_is_forgotten() {
    let limits = Limits { commands_in_flight: 2, ..Limits::default() };
    give_within(
        limits,
        "LITERAL+",
        r#"C: r1 APPEND "INBOX" {1+}
           C: a
           C: r2 APPEND "INBOX" {1+}
           C: b
           S: r1 OK [APPENDUID 1 3]
           C: r3 APPEND "INBOX" {1+}
           C: c
           S: r3 OK
           S: r2 OK"#,
        async |mut target| {
            let mut ids = Vec::new();
            for text in ["a", "b", "c"] {
                ids.push(target.append(&name("INBOX"), &[bare(text)], AT_ONCE).await.unwrap());
            }
            assert_eq!(target.appends_in_flight(), 3);
            let mut answered = Vec::new();
            for _ in 0..3 {
                answered.push(target.appended().await.unwrap().0);
            }
            assert_eq!(answered, [ids[0], ids[2], ids[1]]);
        },
    )
    .await;
}

#[tokio::test]
async fn r14_a_message_that_waits_for_leave_goes_out_alone() {
    give(
        "LITERAL+",
        r#"C: r1 APPEND "INBOX" {1+}
           C: a
           S: + needless leave
           S: r1 OK
           C: r2 APPEND "INBOX" {1}
           S: +
           C: b
           S: r2 OK"#,
        async |mut target| {
            target.append(&name("INBOX"), &[bare("a")], AT_ONCE).await.unwrap();
            target.append(&name("INBOX"), &[bare("b")], WAITING).await.unwrap();
            target.appended().await.unwrap();
            target.appended().await.unwrap();
        },
    )
    .await;
}

#[tokio::test]
async fn r07_uids_are_taken_only_where_they_can_be_right() {
    let three = [bare("a"), bare("b"), bare("c")];
    for (told, expected) in [
        ("[APPENDUID 7 5:7]", uids(&[5, 6, 7])),
        ("[APPENDUID 7 7:5]", uids(&[5, 6, 7])),
        ("[APPENDUID 7 9,3,4]", uids(&[9, 3, 4])),
        ("[appenduid 7 9,3:4] x", uids(&[9, 3, 4])),
        ("[APPENDUID 7 5:6]", Appended::Stored { uids: None }),
        ("[APPENDUID 7 5:8]", Appended::Stored { uids: None }),
        ("[APPENDUID 7 5,5,6]", Appended::Stored { uids: None }),
        ("[APPENDUID 7 0:2]", Appended::Stored { uids: None }),
        ("[APPENDUID 7 1:4294967295]", Appended::Stored { uids: None }),
        ("[APPENDUID 7 1:4294967295,1:4294967295,3]", Appended::Stored { uids: None }),
        ("[APPENDUID 7 5:*]", Appended::Stored { uids: None }),
        ("[APPENDUID 7]", Appended::Stored { uids: None }),
        ("[HIGHESTMODSEQ 9] done", Appended::Stored { uids: None }),
        ("APPEND completed", Appended::Stored { uids: None }),
    ] {
        let script =
            format!("C: r1 APPEND \"INBOX\" {{1+}}\nC: a {{1+}}\nC: b {{1+}}\nC: c\nS: r1 OK {told}");
        let outcome = appends("MULTIAPPEND LITERAL+ UIDPLUS", &script, &three, AT_ONCE).await;
        assert_eq!(outcome, expected, "{told}");
    }
}

#[tokio::test]
async fn r04_flags_that_would_break_the_command_are_left_out() {
    let message = dated("a", "\\Seen a)b \"x {3} $ok é", "");
    let outcome = appends(
        "LITERAL+",
        r#"C: r1 APPEND "INBOX" (\Seen $ok) {1+}
           C: a
           S: r1 OK"#,
        std::slice::from_ref(&message),
        AT_ONCE,
    );
    assert_eq!(outcome.await, Appended::Stored { uids: None });
    assert_eq!(sendable_flags(&message.flags).1.len(), 4);
}

#[test]
fn r13_a_date_is_sent_in_the_form_of_the_standard_whatever_the_source_wrote() {
    for (raw, sent) in [
        (" 7-Jul-1996 02:44:25 -0700", Some("07-Jul-1996 02:44:25 -0700")),
        ("7-jul-1996 02:44:25 -0700", Some("07-Jul-1996 02:44:25 -0700")),
        ("31-Dec-1999 23:59:60 +0000", Some("01-Jan-2000 00:00:00 +0000")),
        ("01-Jan-2020 00:00:00 +1400", Some("01-Jan-2020 00:00:00 +1400")),
        ("01-Jan-2020 00:00:00 +9900", Some("27-Dec-2019 21:00:00 +0000")),
        ("01-Jan-0001 00:00:00 +0000", Some("01-Jan-0001 00:00:00 +0000")),
        ("00-Jan-0000 00:00:00 +0000", None),
        ("", None),
        ("yesterday\" {5}", None),
    ] {
        let date = sendable_date(&InternalDate::parse(raw));
        assert_eq!(date.as_ref().map(InternalDate::raw), sent, "{raw}");
    }
}
