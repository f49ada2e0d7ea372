//! Listing, looking into, and opening mailboxes.

use message::{ModSeq, UidValidity};

use super::super::script::talk;
use super::*;
use crate::imap::{Examined, Listed, Since, Status};
use crate::{Error, Kind};

fn shown(listed: &[Listed]) -> Vec<String> {
    let sign = |is: bool, sign: &'static str| if is { sign } else { "" };
    let show = |mailbox: &Listed| {
        format!(
            "{}{}{}{}{}",
            mailbox.name.text(),
            sign(!mailbox.selectable, " unselectable"),
            sign(mailbox.subscribed, " subscribed"),
            sign(mailbox.outside, " outside"),
            mailbox.special_use.as_ref().map_or_else(String::new, |name| format!(" {name}"))
        )
    };
    listed.iter().map(show).collect()
}

async fn lists(capabilities: &str, script: &str) -> Result<Vec<Listed>, Error> {
    talk(capabilities, script, async |mut session| session.list().await).await
}

#[tokio::test]
async fn one_list_brings_everything() {
    let listed = lists(
        "NAMESPACE LIST-EXTENDED LIST-STATUS SPECIAL-USE OBJECTID",
        r#"C: r1 NAMESPACE
           S: * NAMESPACE (("" "/")) (("Others/" "/")) NIL
           S: r1 OK
           C: r2 LIST "" "*" RETURN (SUBSCRIBED CHILDREN SPECIAL-USE STATUS (MESSAGES UIDNEXT UIDVALIDITY MAILBOXID))
           S: * LIST (\Subscribed \HasChildren) "/" INBOX
           S: * STATUS INBOX (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 1 MAILBOXID (F1))
           S: * LIST (\Noselect) "/" "Lists"
           S: * LIST (\HasNoChildren \Sent) "/" "Gesendete Entw&APw-rfe"
           S: * LIST () "/" "Others/eve/Mail"
           S: * LIST (\NonExistent \Subscribed) "/" "Gone"
           S: r2 OK
           C: r3 LIST (SUBSCRIBED) "" "*"
           S: * LIST (\Subscribed) "/" INBOX
           S: * LIST (\NonExistent \Subscribed) "/" "Gone"
           S: r3 OK"#,
    )
    .await
    .unwrap();
    assert_eq!(
        shown(&listed),
        [
            "INBOX subscribed",
            "Lists unselectable",
            "Gesendete Entwürfe \\Sent",
            "Others/eve/Mail outside",
            "Gone unselectable subscribed"
        ]
    );
    let status = listed[0].status.as_ref().unwrap();
    assert_eq!((status.messages, status.object_id.as_deref()), (3, Some("F1")));
}

#[tokio::test]
async fn an_old_server_is_asked_in_the_old_way() {
    let listed = lists(
        "",
        r#"C: r1 LIST "" "*"
           S: * LIST () "." inbox
           S: * LIST () "." INBOX
           S: * LIST () "." {10}
           S: odd "na
           S: e
           S: * LIST () NIL flat
           S: r1 OK
           C: r2 LSUB "" "*"
           S: * LSUB () "." INBOX
           S: * LSUB (\Noselect) "." parent
           S: * LSUB () "." hidden
           S: * LSUB () "." gone
           S: r2 OK
           C: r3 STATUS "hidden" (MESSAGES UIDNEXT UIDVALIDITY)
           S: * STATUS hidden (MESSAGES 1)
           S: r3 OK
           C: r4 STATUS "gone" (MESSAGES UIDNEXT UIDVALIDITY)
           S: r4 NO [NONEXISTENT] no such mailbox"#,
    )
    .await
    .unwrap();
    assert_eq!(
        shown(&listed),
        ["INBOX subscribed", "odd \"na\r\ne", "flat", "hidden subscribed", "gone unselectable subscribed"]
    );
}

#[tokio::test]
async fn i23_options_that_are_offered_and_refused_are_left_out() {
    let listed = lists(
        "LIST-EXTENDED LIST-STATUS NAMESPACE",
        r#"C: r1 NAMESPACE
           S: r1 BAD what
           C: r2 LIST "" "*" RETURN (SUBSCRIBED CHILDREN STATUS (MESSAGES UIDNEXT UIDVALIDITY))
           C: r3 LIST (SUBSCRIBED) "" "*"
           S: r2 NO internal
           S: r3 BAD what
           C: r4 LIST "" "*" RETURN (SUBSCRIBED CHILDREN)
           S: * LIST () "/" INBOX
           S: r4 OK"#,
    )
    .await;
    assert_eq!(shown(&listed.unwrap()), ["INBOX"]);
}

#[tokio::test]
async fn numbers_that_the_list_does_not_tell_are_asked_for_several_at_a_time() {
    let script = r#"C: r1 STATUS "a" (MESSAGES UIDNEXT UIDVALIDITY)
        C: r2 STATUS "b" (MESSAGES UIDNEXT UIDVALIDITY)
        C: r3 STATUS "c" (MESSAGES UIDNEXT UIDVALIDITY)
        S: * STATUS a (MESSAGES 1)
        S: * STATUS nobody-asked (MESSAGES 7)
        S: r1 OK
        S: r2 NO not yours
        S: * STATUS c (MESSAGES 3)
        S: r3 OK"#;
    talk("", script, async |mut session| {
        let statuses = session.statuses(&[name("a"), name("b"), name("c")]).await.unwrap();
        let messages = |of| statuses.get(&name(of)).map(|status: &Status| status.messages);
        assert_eq!((messages("a"), messages("b"), messages("c")), (Some(1), None, Some(3)));
        assert_eq!((statuses.len(), session.traffic().round_trips), (2, 2));
    })
    .await;
}

#[tokio::test]
async fn i29_what_is_subscribed_and_not_listed_is_left_out_only_if_it_does_not_exist() {
    let listed = lists(
        "LIST-EXTENDED",
        r#"C: r1 LIST "" "*" RETURN (SUBSCRIBED CHILDREN)
           S: * LIST (\Subscribed) "/" INBOX
           S: r1 OK
           C: r2 LIST (SUBSCRIBED) "" "*"
           S: * LIST () "/" INBOX
           S: * LIST () "/" hidden
           S: * LIST () "/" locked
           S: * LIST () "/" old
           S: * LIST () "/" older
           S: * LIST (\NonExistent) "/" oldest
           S: r2 OK
           C: r3 STATUS "hidden" (MESSAGES UIDNEXT UIDVALIDITY)
           S: * STATUS hidden (MESSAGES 1)
           S: r3 OK
           C: r4 STATUS "locked" (MESSAGES UIDNEXT UIDVALIDITY)
           S: r4 NO [NOPERM] not yours
           C: r5 STATUS "old" (MESSAGES UIDNEXT UIDVALIDITY)
           S: r5 NO [NONEXISTENT] gone
           C: r6 STATUS "older" (MESSAGES UIDNEXT UIDVALIDITY)
           S: r6 NO Mailbox doesn't exist: older"#,
    )
    .await
    .unwrap();
    assert_eq!(
        shown(&listed),
        [
            "INBOX subscribed",
            "hidden subscribed",
            "locked subscribed",
            "old unselectable subscribed",
            "older unselectable subscribed"
        ]
    );
}

#[tokio::test]
async fn status_needs_no_right_spelling_of_the_name() {
    let script = "C: r1 STATUS \"a b\" (MESSAGES UIDNEXT UIDVALIDITY)
                  S: * STATUS a b (MESSAGES 7 UIDVALIDITY 0 UIDNEXT 12)
                  S: r1 OK
                  C: r2 STATUS \"x\" (MESSAGES UIDNEXT UIDVALIDITY)
                  S: r2 OK but nothing";
    talk("", script, async |mut session| {
        let status = session.status(&name("a b")).await.unwrap();
        assert_eq!(status, Status { messages: 7, uid_next: Some(uid(12)), ..Status::default() });
        assert_eq!(session.status(&name("x")).await.unwrap_err().kind(), Kind::Refused);
    })
    .await;
}

const QRESYNC: &str = "ENABLE CONDSTORE QRESYNC";
const ENABLED: &str = "C: r1 ENABLE CONDSTORE QRESYNC
                       C: r2 NOOP
                       S: * ENABLED QRESYNC
                       S: r1 OK
                       S: r2 OK\n";

fn since() -> Option<Since> {
    Some(Since { validity: UidValidity::new(5).unwrap(), modseq: ModSeq(90) })
}

async fn examines(script: &str) -> Examined {
    talk(QRESYNC, &format!("{ENABLED}{script}"), async |mut session| {
        session.examine(&name("INBOX"), since()).await.unwrap()
    })
    .await
}

#[tokio::test]
async fn qresync_tells_what_has_happened() {
    let examined = examines(
        "C: r3 EXAMINE \"INBOX\" (QRESYNC (5 90))
         S: * 7 EXISTS
         S: * VANISHED 1:100
         S: * OK [CLOSED] before
         S: * 4 EXISTS
         S: * OK [UIDVALIDITY 5] x
         S: * OK [UIDNEXT 44] x
         S: * OK [HIGHESTMODSEQ 99] x
         S: * OK [MAILBOXID (F2212-ea)] x
         S: * VANISHED (EARLIER) 41,43
         S: * VANISHED (EARLIER) 3:5
         S: * 2 FETCH (UID 9 FLAGS (\\Seen) MODSEQ (98))
         S: r3 OK [READ-ONLY] done",
    )
    .await;
    assert_eq!((examined.exists, examined.uid_next), (4, Some(uid(44))));
    assert_eq!(examined.object_id.as_deref(), Some("F2212-ea"));
    assert_eq!(examined.highest_modseq, Some(ModSeq(99)));
    assert_eq!(examined.vanished, set("3:5,41,43"));
    assert_eq!(examined.changed.len(), 1);
    assert!(examined.resynced && !examined.read_write);
}

#[tokio::test]
async fn i18_i19_what_cannot_be_trusted_is_no_resync() {
    let opening = "C: r3 EXAMINE \"INBOX\" (QRESYNC (5 90))
                   S: * 4 EXISTS
                   S: * OK [HIGHESTMODSEQ 99] x
                   S: * 2 FETCH (UID 9 FLAGS ())\n";
    for rest in [
        "S: * OK [UIDVALIDITY 6] x\nS: * VANISHED (EARLIER) 3:5",
        "S: * VANISHED (EARLIER) 3:5",
        "S: * OK [UIDVALIDITY 0] x\nS: * VANISHED (EARLIER) 3:5",
        "S: * OK [UIDVALIDITY 5] x\nS: * VANISHED (EARLIER) 0:5",
        "S: * OK [UIDVALIDITY 5] x\nS: * VANISHED (EARLIER) 5:*",
        "S: * OK [UIDVALIDITY 5] x\nS: * OK [NOMODSEQ] x",
        "S: * OK [UIDVALIDITY 5] x\nS: * 3 FETCH (FLAGS (\\Seen))",
    ] {
        let examined = examines(&format!("{opening}{rest}\nS: r3 OK [READ-ONLY] done")).await;
        assert!(!examined.resynced, "{rest}");
        assert!(examined.vanished.is_empty() && examined.changed.is_empty());
        assert_eq!(examined.exists, 4);
    }
}

#[tokio::test]
async fn i23_a_refused_option_is_left_out_once() {
    let examined = examines(
        "C: r3 EXAMINE \"INBOX\" (QRESYNC (5 90))
         S: r3 BAD unknown
         C: r4 EXAMINE \"INBOX\"
         S: * 1 EXISTS
         S: * OK [UIDVALIDITY 5] x
         S: r4 OK [READ-WRITE] done",
    )
    .await;
    assert_eq!(examined.exists, 1);
    assert!(!examined.resynced);
    assert!(examined.read_write, "i33: told");
}

#[tokio::test]
async fn i33_what_cannot_be_examined_is_not_selected() {
    let script = "C: r1 EXAMINE {8}
                  S: + 
                  C: Entwürf
                  S: r1 NO [NOPERM] not yours";
    let script = script.replace("{7}", "{8}");
    let error =
        talk("", &script, async |mut session| session.examine(&name("Entwürf"), None).await.unwrap_err())
            .await;
    assert_eq!(error.to_string(), "the server refused EXAMINE …: [NOPERM] not yours");
    assert_eq!(error.kind(), Kind::Refused);
}

#[tokio::test]
async fn i15_the_count_follows_the_mailbox() {
    let script = "C: r1 EXAMINE \"INBOX\"
                  S: * 5 EXISTS
                  S: r1 OK
                  C: r2 NOOP
                  S: * 2 EXPUNGE
                  S: * VANISHED 7:8
                  S: * 6 EXISTS
                  S: * 1 EXPUNGE
                  S: r2 OK";
    talk("", script, async |mut session| {
        assert_eq!(session.examine(&name("INBOX"), None).await.unwrap().exists, 5);
        assert_eq!(session.recount().await.unwrap(), 5);
        assert_eq!(session.traffic().round_trips, 3);
    })
    .await;
}

#[tokio::test]
async fn i25_a_completion_with_a_foreign_tag_is_ours_when_one_command_is_under_way() {
    let script = "C: r1 NOOP
                  S: r0 BAD late
                  S: A1 OK
                  C: r2 NOOP
                  S: * OK [ALERT] maintenance on Sunday
                  S: garbage
                  S: r2 OK";
    talk("", script, async |mut session| {
        session.recount().await.unwrap();
        session.recount().await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn a_session_says_goodbye() {
    talk("", "C: r1 LOGOUT\nS: * BYE bye\nS: r1 OK", async |session| session.logout().await).await;
}

#[tokio::test]
async fn i36_a_server_is_told_who_we_are_before_a_mailbox_is_opened() {
    let version = env!("CARGO_PKG_VERSION");
    let script = format!(
        "C: r1 ID (\"name\" \"restante\" \"version\" \"{version}\")
         S: * ID NIL
         S: r1 OK
         C: r2 EXAMINE \"INBOX\"
         S: * 0 EXISTS
         S: r2 OK"
    );
    talk("ID", &script, async |mut session| session.examine(&name("INBOX"), None).await.unwrap()).await;
}

#[tokio::test]
async fn s07_a_server_that_refers_us_elsewhere_is_not_obeyed() {
    // The one connection there is: whoever wants another one fails this test by a panic.
    let error = crate::script::World::new(crate::Security::Plain)
        .fail(
            "S: * OK [CAPABILITY IMAP4rev1] hi
             C: r1 LOGIN \"me\" \"canary-\\\"p\\\\w\\\"-7431\"
             S: r1 NO [REFERRAL imap://me@elsewhere.example.net/] your mail has moved",
        )
        .await;
    assert_eq!(error.kind(), Kind::Credentials);
    assert!(error.to_string().contains("your mail has moved"), "{error}");
    let script = "C: r1 EXAMINE \"INBOX\"
                  S: r1 NO [REFERRAL imap://elsewhere.example.net/INBOX] elsewhere";
    talk("", script, async |mut session| {
        assert_eq!(session.examine(&name("INBOX"), None).await.unwrap_err().kind(), Kind::Refused);
    })
    .await;
}
