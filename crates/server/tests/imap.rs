//! What the server does by the book, seen from a client.

#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod support;

use message::{Flags, InternalDate, Uid, UidSet, UidValidity};
use restante_server::{Behaviour, Server, sample};
use support::{Client, mail, server_with, store_with};

fn uids(text: &str) -> UidSet {
    UidSet::parse(text).unwrap()
}

#[tokio::test]
async fn a_peek_leaves_a_message_unread_and_a_plain_fetch_does_not() {
    let server = server_with(2, Behaviour::modern()).await;
    let mut client = Client::login(&server).await;
    client.ok("SELECT INBOX").await;
    let lines = client.ok("UID FETCH 1 (BODY.PEEK[])").await;
    assert_eq!(lines[0], format!("* 1 FETCH (UID 1 BODY[] {{51}}\r\n{})", String::from_utf8_lossy(&mail(1))));
    assert!(server.store().messages("alice", "INBOX").unwrap()[0].flags.is_empty());
    let lines = client.ok("FETCH 2 BODY[TEXT]<1.3>").await;
    assert_eq!(lines[0], "* 2 FETCH (FLAGS (\\Seen) BODY[TEXT]<1> {3}\r\next)");
    client.ok("EXAMINE INBOX").await;
    client.ok("UID FETCH 1 BODY[]").await;
    let flags: Vec<String> =
        server.store().messages("alice", "INBOX").unwrap().iter().map(|m| m.flags.to_string()).collect();
    assert_eq!(flags, ["", "\\Seen"]);
    assert_eq!(server.counts().body_octets, 51 + 3 + 51);
}

#[tokio::test]
async fn the_facts_of_a_mailbox_are_told_by_status_and_by_examine() {
    let server = server_with(3, Behaviour::modern()).await;
    let mut client = Client::login(&server).await;
    let status =
        client.ok("STATUS INBOX (MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ MAILBOXID)").await;
    assert_eq!(
        status[0],
        "* STATUS \"INBOX\" (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 1 UNSEEN 3 HIGHESTMODSEQ 4 MAILBOXID (M00000001))"
    );
    let examined = client.ok("EXAMINE inbox").await;
    for fact in ["* 3 EXISTS", "* OK [UIDVALIDITY 1]", "* OK [UIDNEXT 4]", "* OK [HIGHESTMODSEQ 4]"] {
        assert!(examined.iter().any(|line| line.starts_with(fact)), "{fact} in {examined:?}");
    }
    assert!(examined.last().unwrap().contains("[READ-ONLY]"));
    assert!(client.ask("UID STORE 1 +FLAGS (\\Seen)").await[0].starts_with("NO"));
}

#[tokio::test]
async fn a_bare_server_knows_no_extension() {
    let server = server_with(1, Behaviour::bare()).await;
    let mut client = Client::login(&server).await;
    for command in [
        "ID NIL",
        "ENABLE CONDSTORE",
        "NAMESPACE",
        "LIST \"\" * RETURN (STATUS (MESSAGES))",
        "STATUS INBOX (HIGHESTMODSEQ)",
        "EXAMINE INBOX (CONDSTORE)",
        "COMPRESS DEFLATE",
        "IDLE",
    ] {
        assert!(client.ask(command).await[0].starts_with("BAD"), "{command}");
    }
    client.ok("EXAMINE INBOX").await;
    for command in ["UID SEARCH RETURN (COUNT) ALL", "UID FETCH 1 (MODSEQ)", "UNSELECT", "UID EXPUNGE 1"] {
        assert!(client.ask(command).await[0].starts_with("BAD"), "{command}");
    }
    assert_eq!(client.ok("UID SEARCH ALL").await[0], "* SEARCH 1");
}

#[tokio::test]
async fn a_list_tells_levels_children_use_and_numbers() {
    let store = store_with(1);
    for name in ["Archive/2024", "Entwürfe", "Sent"] {
        store.create("alice", name).unwrap();
    }
    store.set_special_use("alice", "Sent", Some("\\Sent")).unwrap();
    store.set_subscribed("alice", "Sent", false).unwrap();
    let server = Server::start(store.clone(), Behaviour::modern()).await.unwrap();
    let mut client = Client::login(&server).await;
    assert_eq!(
        client.ok("LIST \"\" *").await[..5],
        [
            "* LIST (\\NonExistent \\Noselect \\HasChildren) \"/\" \"Archive\"",
            "* LIST (\\HasNoChildren) \"/\" \"Archive/2024\"",
            "* LIST (\\HasNoChildren) \"/\" \"Entw&APw-rfe\"",
            "* LIST (\\HasNoChildren) \"/\" \"INBOX\"",
            "* LIST (\\Sent \\HasNoChildren) \"/\" \"Sent\"",
        ]
    );
    let subscribed = client.ok("LIST (SUBSCRIBED) \"\" (% Nothing) RETURN (STATUS (MESSAGES))").await;
    assert_eq!(
        subscribed[..4],
        [
            "* LIST (\\Subscribed \\HasNoChildren) \"/\" \"Entw&APw-rfe\"",
            "* STATUS \"Entw&APw-rfe\" (MESSAGES 0)",
            "* LIST (\\Subscribed \\HasNoChildren) \"/\" \"INBOX\"",
            "* STATUS \"INBOX\" (MESSAGES 1)",
        ]
    );
    client.ok("ENABLE UTF8=ACCEPT").await;
    assert_eq!(client.ok("LIST \"\" Entw*").await[0], "* LIST (\\HasNoChildren) \"/\" \"Entwürfe\"");

    let dotted = Behaviour::bare().with_delimiter(Some('.')).with_prefix("INBOX.");
    let server = Server::start(store.clone(), dotted.with("NAMESPACE")).await.unwrap();
    let mut client = Client::login(&server).await;
    assert_eq!(client.ok("NAMESPACE").await[0], "* NAMESPACE ((\"INBOX.\" \".\")) NIL NIL");
    let listed = client.ok("LIST \"\" INBOX.%").await;
    assert_eq!(listed[0], "* LIST (\\Noselect) \".\" \"INBOX.Archive\"");
    client.ok("EXAMINE INBOX.Archive.2024").await;
    assert!(client.ask("EXAMINE Archive.2024").await[0].starts_with("NO [NONEXISTENT]"));
    client.ok("CREATE INBOX.New.Below").await;
    client.ok("RENAME INBOX.New.Below INBOX.Newer").await;
    client.ok("DELETE INBOX.Sent").await;
    let names: Vec<String> =
        store.mailboxes("alice").unwrap().into_iter().map(|mailbox| mailbox.name).collect();
    assert_eq!(names, ["Archive/2024", "Entwürfe", "INBOX", "Newer"]);
}

#[tokio::test]
async fn what_is_appended_comes_back_byte_for_byte() {
    let server = server_with(0, Behaviour::modern()).await;
    let mut client = Client::login(&server).await;
    let odd = b"no header\nbare \x00 nul \xff\r";
    client.send(b"a APPEND INBOX (\\Flagged zeta) \"02-Feb-2020 10:00:00 -0330\" {20+}\r\n").await;
    client.send(&odd[..20]).await;
    client.send(b" (\\Seen) {3}\r\n").await;
    assert!(client.line().await.unwrap().starts_with('+'));
    client.send(b"abc\r\n").await;
    assert_eq!(client.answer("a").await[0], "OK [APPENDUID 1 1:2] APPEND done");
    let messages = server.store().messages("alice", "INBOX").unwrap();
    assert_eq!((&*messages[0].bytes, &*messages[1].bytes), (&odd[..20], b"abc".as_slice()));
    assert_eq!(messages[0].flags.to_string(), "\\Flagged zeta");
    assert_eq!(messages[0].date.raw(), "02-Feb-2020 10:00:00 -0330");
    assert!(client.ask("APPEND None {3+}\r\nabc").await[0].starts_with("NO [TRYCREATE]"));
    assert_eq!(server.counts().appended, 2);
}

#[tokio::test]
async fn a_client_that_resynchronises_hears_what_changed_and_what_vanished() {
    let server = server_with(6, Behaviour::modern()).await;
    let mut client = Client::login(&server).await;
    let mut store = server.store();
    let before = store.mailboxes("alice").unwrap()[0].highest_modseq.0;
    store.expunge("alice", "INBOX", &uids("2,4:5")).unwrap();
    store.set_flags("alice", "INBOX", Uid::new(3).unwrap(), &Flags::parse("\\Seen")).unwrap();
    assert!(client.ask(&format!("EXAMINE INBOX (QRESYNC (1 {before}))")).await[0].starts_with("BAD"));
    client.ok("ENABLE QRESYNC").await;
    let lines = client.ok(&format!("EXAMINE INBOX (QRESYNC (1 {before}))")).await;
    assert!(lines.contains(&"* VANISHED (EARLIER) 2,4:5".to_owned()), "{lines:?}");
    assert!(lines.contains(&"* 2 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (9))".to_owned()), "{lines:?}");
    let lines = client.ok(&format!("UID FETCH 1:4 (FLAGS) (CHANGEDSINCE {before} VANISHED)")).await;
    assert_eq!(lines[..2], ["* VANISHED (EARLIER) 2,4", "* 2 FETCH (UID 3 FLAGS (\\Seen) MODSEQ (9))"]);
    // Under another UIDVALIDITY nothing of this means anything.
    let lines = client.ok(&format!("EXAMINE INBOX (QRESYNC (7 {before}))")).await;
    assert!(!lines.iter().any(|line| line.contains("VANISHED")));

    store.expunge("alice", "INBOX", &uids("1")).unwrap();
    assert_eq!(client.ok("NOOP").await[0], "* VANISHED 1");
    store = server.store();
    store.set_validity("alice", "INBOX", UidValidity::new(99).unwrap(), true).unwrap();
    assert!(client.ask("NOOP").await[0].starts_with("* BYE"));
}

#[tokio::test]
async fn the_doings_of_others_are_told_in_order_and_in_idle_at_once() {
    let server = server_with(4, Behaviour::modern()).await;
    let store = server.store();
    let mut client = Client::login(&server).await;
    client.ok("SELECT INBOX").await;
    store.expunge("alice", "INBOX", &uids("1,3")).unwrap();
    // Expunges would shift the numbers of a FETCH by number, so they wait.
    let lines = client.ok("FETCH 1:4 (UID)").await;
    assert_eq!(lines[..2], ["* 2 FETCH (UID 2)", "* 4 FETCH (UID 4)"]);
    assert_eq!(client.ok("NOOP").await[..2], ["* 3 EXPUNGE", "* 1 EXPUNGE"]);

    client.send(b"i IDLE\r\n").await;
    assert!(client.line().await.unwrap().starts_with('+'));
    let date = InternalDate::from_unix(0, 0);
    store.append("alice", "INBOX", &Flags::new(), &date, mail(9)).unwrap();
    assert_eq!(client.line().await.unwrap(), "* 3 EXISTS");
    store.set_flags("alice", "INBOX", Uid::new(4).unwrap(), &Flags::parse("\\Seen")).unwrap();
    assert_eq!(client.line().await.unwrap(), "* 2 FETCH (UID 4 FLAGS (\\Seen))");
    client.send(b"DONE\r\n").await;
    assert_eq!(client.answer("i").await, ["OK IDLE done"]);

    client.ok("UID STORE 2 +FLAGS.SILENT (\\Deleted)").await;
    assert_eq!(client.ok("UID EXPUNGE 2,4").await[0], "* 1 EXPUNGE");
    store.rename("alice", "INBOX", "Elsewhere").unwrap();
    assert_eq!(client.ok("NOOP").await[..2], ["* 2 EXPUNGE", "* 1 EXPUNGE"]);
}

#[tokio::test]
async fn a_search_finds_by_set_flag_and_header() {
    let server = server_with(5, Behaviour::modern()).await;
    let store = server.store();
    store.set_flags("alice", "INBOX", Uid::new(2).unwrap(), &Flags::parse("\\Seen x")).unwrap();
    store.expunge("alice", "INBOX", &uids("1")).unwrap();
    let mut client = Client::login(&server).await;
    client.ok("EXAMINE INBOX").await;
    assert_eq!(
        client.ok("UID SEARCH RETURN (ALL COUNT MIN MAX) ALL").await[0],
        "* ESEARCH (TAG \"t3\") UID MIN 2 MAX 5 COUNT 4 ALL 2:5"
    );
    assert_eq!(client.ok("SEARCH UNSEEN").await[0], "* SEARCH 2 3 4");
    assert_eq!(client.ok("UID SEARCH KEYWORD x").await[0], "* SEARCH 2");
    assert_eq!(client.ok("UID SEARCH UID 3:* HEADER Subject \"number 4\"").await[0], "* SEARCH 4");
    assert_eq!(client.ok("UID SEARCH UID 90:91 SEEN").await[0], "* SEARCH");
}

#[tokio::test]
async fn a_deflated_session_says_the_same() {
    let store = restante_server::Store::new();
    store.add_user("alice", "secret");
    sample::fill(&store, "alice").unwrap();
    let server = Server::start(store, Behaviour::modern()).await.unwrap();
    let mut plain = Client::login(&server).await;
    plain.ok("EXAMINE INBOX").await;
    let wanted = plain.ok("UID FETCH 1:* (FLAGS BODY.PEEK[])").await;

    let mut client = Client::login(&server).await;
    client.ok("COMPRESS DEFLATE").await;
    let mut client = support::deflated(client);
    client.ok("EXAMINE INBOX").await;
    assert_eq!(client.ok("UID FETCH 1:* (FLAGS BODY.PEEK[])").await, wanted);
}

#[tokio::test]
async fn copies_and_moves_tell_the_new_uids() {
    let server = server_with(3, Behaviour::modern()).await;
    server.store().create("alice", "Other").unwrap();
    let mut client = Client::login(&server).await;
    client.ok("SELECT INBOX").await;
    assert_eq!(client.ok("UID COPY 1:2 Other").await[0], "OK [COPYUID 2 1:2 1:2] COPY done");
    let lines = client.ok("UID MOVE 3 Other").await;
    assert_eq!(lines[..2], ["* OK [COPYUID 2 3 3] moved", "* 3 EXPUNGE"]);
    assert_eq!(server.store().messages("alice", "Other").unwrap().len(), 3);
}

#[tokio::test]
async fn passwords_are_asked_for_in_two_ways_and_never_logged() {
    let server = server_with(0, Behaviour::modern()).await;
    let mut client = Client::connect(&server).await;
    assert!(client.ask("LOGIN alice wrong").await[0].starts_with("NO [AUTHENTICATIONFAILED]"));
    assert!(client.ask("EXAMINE INBOX").await[0].starts_with("BAD"));
    client.ok("AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==").await;
    let mut client = Client::connect(&server).await;
    client.send(b"p AUTHENTICATE PLAIN\r\n").await;
    assert_eq!(client.line().await.unwrap(), "+ ");
    client.send(b"AGFsaWNlAHNlY3JldA==\r\n").await;
    assert!(client.answer("p").await[0].starts_with("OK [CAPABILITY IMAP4rev1"));
    let counts = server.counts();
    assert_eq!((counts.connections, counts.logins, counts.logins_refused), (2, 2, 1));
    assert_eq!(server.log(), ["LOGIN ***", "EXAMINE INBOX", "AUTHENTICATE ***", "AUTHENTICATE ***"]);
}

#[tokio::test]
async fn a_hostile_client_is_sent_away() {
    let server = server_with(1, Behaviour::modern()).await;
    let mut client = Client::connect(&server).await;
    let endless = vec![b'x'; 200 << 10];
    // The server may have gone before it has taken all of it.
    let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, &endless).await;
    assert!(client.is_over().await);
    let mut client = Client::login(&server).await;
    assert_eq!(client.ask("SELECT {4294967295}").await, ["NO [TOOBIG] literal too large"]);
    assert!(client.ask("SELECT {4294967295+}").await[0].starts_with("* BYE"));
    let mut client = Client::login(&server).await;
    client.ok("EXAMINE INBOX").await;
    for bad in [
        "FETCH",
        "FETCH 1 (",
        "FETCH 2 UID",
        "UID FETCH 0 UID",
        "UID FETCH 1 BODY[1.MIME]",
        "STORE 1",
        "",
        "UID",
        "SEARCH (((((",
        "LIST \"\"",
        "STATUS INBOX (",
        "UID FETCH 1 BODY[]<5",
    ] {
        let answer = client.ask(bad).await;
        assert!(answer.iter().any(|line| line.contains("BAD")), "{bad}: {answer:?}");
    }
    client.ok("NOOP").await;
}
