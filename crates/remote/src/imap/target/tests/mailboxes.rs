//! Making, opening and asking about mailboxes.

use super::*;
use crate::imap::{Namespace, PermanentFlags, Quota};
use crate::{Error, Kind};

#[tokio::test]
async fn r01_the_first_personal_namespace_says_where_mail_goes() {
    for (answer, prefix, delimiter) in [
        (r#"(("INBOX." ".")) NIL NIL"#, "INBOX.", Some(b'.')),
        (r##"(("" "/")("#mh/" "\\" "X-PARAM" ("A" "B"))) (("Other Users/" "^")) NIL"##, "", Some(b'/')),
        (r#"(("" NIL)) NIL NIL"#, "", None),
        (r#"((INBOX. ".")("" "/")) NIL NIL"#, "INBOX.", Some(b'.')),
        (r#"(("" "") ("x" "/")) NIL NIL"#, "", None),
    ] {
        let script = format!("C: r1 NAMESPACE\nS: * NAMESPACE {answer}\nS: r1 OK");
        let told = give("NAMESPACE", &script, async |mut target| target.namespace().await.unwrap()).await;
        assert_eq!(told, Some(Namespace { prefix: prefix.into(), delimiter }), "{answer}");
    }
}

#[tokio::test]
async fn r01_without_namespaces_there_is_none_to_go_by() {
    for (capabilities, script) in [
        ("", ""),
        ("NAMESPACE", "C: r1 NAMESPACE\nS: r1 NO not today"),
        ("NAMESPACE", "C: r1 NAMESPACE\nS: * NAMESPACE NIL NIL ((\"Shared/\" \"/\"))\nS: r1 OK"),
    ] {
        let told = give(capabilities, script, async |mut target| target.namespace().await.unwrap()).await;
        assert_eq!(told, None);
    }
}

#[tokio::test]
async fn r02_a_mailbox_is_made_with_its_use_or_without_where_that_is_refused() {
    let sent = name("Gesendet");
    give("CREATE-SPECIAL-USE", "C: r1 CREATE \"Gesendet\" (USE (\\Sent))\nS: r1 OK", async |mut target| {
        assert!(target.create(&sent, Some("\\Sent")).await.unwrap());
    })
    .await;
    let refused = "C: r1 CREATE \"Gesendet\" (USE (\\Sent))\nS: r1 NO [USEATTR] no\nC: r2 CREATE \"Gesendet\"\nS: r2 OK";
    give("CREATE-SPECIAL-USE", refused, async |mut target| {
        assert!(target.create(&sent, Some("\\Sent")).await.unwrap());
    })
    .await;
    give("SPECIAL-USE", "C: r1 CREATE \"Gesendet\"\nS: r1 OK", async |mut target| {
        assert!(target.create(&sent, Some("\\Sent")).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn r03_a_mailbox_that_is_there_is_as_good_as_made_and_a_refusal_is_told() {
    for (answer, made) in [
        ("NO [ALREADYEXISTS] there", true),
        ("NO Mailbox already exists", true),
        ("NO [CANNOT] Invalid mailbox name", false),
        ("NO Parent does not exist", false),
        ("NO [NOPERM] exists, but not yours", false),
        ("BAD what", false),
    ] {
        let script = format!("C: r1 CREATE \"a/b\"\nS: r1 {answer}\nC: r2 SUBSCRIBE \"a/b\"\nS: r2 NO no");
        give("", &script, async |mut target| {
            match target.create(&name("a/b"), None).await {
                Ok(new) => assert!(made && !new, "{answer}"),
                Err(error) => assert!(!made && error.kind() == Kind::Refused, "{answer}: {error}"),
            }
            let error = target.subscribe(&name("a/b")).await.unwrap_err();
            assert!(matches!(error, Error::Refused { .. }), "{error}");
        })
        .await;
    }
}

#[tokio::test]
async fn r04_a_selected_mailbox_tells_which_flags_it_keeps() {
    let selected = |answer: &'static str| async move {
        let script = format!(
            "C: r1 SELECT \"a\"\nS: * 3 EXISTS\nS: * OK [UIDVALIDITY 9] x\nS: {answer}\nS: r1 OK [READ-WRITE] x"
        );
        give("", &script, async |mut target| target.select(&name("a")).await.unwrap()).await
    };
    let told = selected("* OK [PERMANENTFLAGS (\\Seen $Forwarded \\*)] x").await;
    assert_eq!((told.examined.exists, told.examined.read_write), (3, true));
    let flags = ["\\Seen", "$Forwarded"].map(str::to_owned).to_vec();
    assert_eq!(told.permanent_flags, Some(PermanentFlags { flags, any_keyword: true }));
    let told = selected("* OK [PERMANENTFLAGS ()] x").await.permanent_flags.unwrap();
    assert!(!told.keeps("\\Seen") && !told.keeps("a"));
    let told = selected("* OK [permanentflags (\\Seen caf\u{e9} x%y \\*)] x").await.permanent_flags.unwrap();
    assert!(told.keeps("\\Seen") && told.keeps("new") && !told.keeps("\\Deleted"), "{told:?}");
    assert_eq!(selected("* FLAGS (\\Seen)").await.permanent_flags, None);
}

#[tokio::test]
async fn r04_what_was_told_of_the_mailbox_before_does_not_count_for_the_next() {
    let script = r#"C: r1 SELECT "a"
                    S: * OK [PERMANENTFLAGS (\Seen)] of the one before
                    S: * OK [CLOSED] x
                    S: r1 OK [READ-ONLY] x"#;
    let told = give("", script, async |mut target| target.select(&name("a")).await.unwrap()).await;
    assert_eq!((told.permanent_flags, told.examined.read_write), (None, false));
}

#[tokio::test]
async fn flags_are_set_in_bounded_commands() {
    let limits = Limits { rows_per_command: 3, ..Limits::default() };
    let script = r#"C: r1 UID STORE 1:3 FLAGS.SILENT (\Seen $a)
                    S: r1 OK
                    C: r2 UID STORE 4,9 FLAGS.SILENT (\Seen $a)
                    S: r2 OK
                    C: r3 UID STORE 9 FLAGS.SILENT ()
                    S: r3 NO [CANNOT] not here"#;
    give_within(limits, "", script, async |mut target| {
        target.store_flags(&set("1:4,9"), &Flags::parse("$a \\Seen b)")).await.unwrap();
        let error = target.store_flags(&set("9"), &Flags::new()).await.unwrap_err();
        assert!(matches!(&error, Error::Refused { refusal, .. } if refusal.is_impossible()), "{error}");
    })
    .await;
}

#[tokio::test]
async fn r06_the_tightest_quota_counts() {
    let script = r#"C: r1 GETQUOTAROOT "INBOX"
                    S: * QUOTAROOT INBOX "user" "all of us"
                    S: * QUOTA "user" (MESSAGE 3 100 storage 10 512)
                    S: * QUOTA "all of us" (STORAGE 1000 1001)
                    S: * QUOTA "odd" (STORAGE x y)
                    S: * QUOTA "none" ()
                    S: r1 OK"#;
    let told = give("QUOTA", script, async |mut target| target.quota(&name("INBOX")).await.unwrap()).await;
    assert_eq!(told, Some(Quota { used_bytes: 1000 << 10, limit_bytes: 1001 << 10 }));
    for (capabilities, script) in [("", ""), ("QUOTA", "C: r1 GETQUOTAROOT \"INBOX\"\nS: r1 NO no")] {
        let told = give(capabilities, script, async |mut target| target.quota(&name("INBOX")).await);
        assert_eq!(told.await.unwrap(), None);
    }
}

#[tokio::test]
async fn r05_the_largest_message_is_known_from_the_capability_or_from_status() {
    let asked = "C: r1 STATUS \"a\" (APPENDLIMIT)\n";
    for (capabilities, answer, limit) in [
        ("", String::new(), None),
        ("APPENDLIMIT=35651584", String::new(), Some(35_651_584)),
        ("APPENDLIMIT", format!("{asked}S: * STATUS a (APPENDLIMIT 257890)\nS: r1 OK"), Some(257_890)),
        ("APPENDLIMIT", format!("{asked}S: * STATUS a (APPENDLIMIT NIL)\nS: r1 OK"), None),
        ("APPENDLIMIT", format!("{asked}S: r1 BAD what"), None),
    ] {
        let told = give(capabilities, &answer, async |mut target| target.append_limit(&name("a")).await);
        assert_eq!(told.await.unwrap(), limit, "{capabilities} {answer}");
    }
}
