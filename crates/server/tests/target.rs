//! The server as one that mail is given to: what it does by the book, and what targets of a restore
//! do otherwise.

#![allow(clippy::unwrap_used, reason = "a test says what it expects")]

mod support;

use message::{Flags, InternalDate};
use restante_server::{
    Alteration, Behaviour, Effect, Fault, Server, Spelling, Store, StoredMessage, Trigger,
};
use support::{Client, mail, server_with, store_with};

fn on(command: &str) -> Trigger {
    Trigger::Command(command.to_owned())
}

fn given(text: &str) -> Trigger {
    Trigger::Given(text.to_owned())
}

fn no(text: &str) -> Effect {
    Effect::No(text.to_owned())
}

/// APPEND of one message in INBOX with these flags and this date, unasked; the tagged answer, or
/// nothing.
async fn append(client: &mut Client, flags: &str, date: &str, bytes: &str) -> Option<String> {
    append_to(client, "INBOX", flags, date, bytes).await
}

async fn append_to(
    client: &mut Client,
    mailbox: &str,
    flags: &str,
    date: &str,
    bytes: &str,
) -> Option<String> {
    let command = format!("APPEND {mailbox} ({flags}) \"{date}\" {{{}+}}\r\n{bytes}", bytes.len());
    client.ask(&command).await.pop()
}

const DATE: &str = "02-Feb-2020 10:00:00 +0100";

fn inbox(server: &Server) -> Vec<StoredMessage> {
    server.store().messages("alice", "INBOX").unwrap()
}

fn text(message: &StoredMessage) -> String {
    String::from_utf8_lossy(&message.bytes).into_owned()
}

async fn empty(behaviour: Behaviour) -> (Server, Client) {
    let server = server_with(0, behaviour).await;
    let client = Client::login(&server).await;
    (server, client)
}

#[tokio::test]
async fn flags_that_are_not_permanent_are_told_and_dropped() {
    let behaviour = Behaviour::modern().with_permanent_flags(&["\\Seen", "\\Flagged", "$Forwarded"], false);
    let (server, mut client) = empty(behaviour).await;
    let lines = client.ok("SELECT INBOX").await;
    assert!(
        lines.contains(&"* OK [PERMANENTFLAGS (\\Seen \\Flagged $Forwarded)] flags that are kept".to_owned())
    );
    append(&mut client, "\\Seen \\Deleted $forwarded other", DATE, "a").await;
    assert_eq!(inbox(&server)[0].flags, Flags::parse("\\Seen $forwarded"));
    client.ok("UID STORE 1 FLAGS (\\Flagged \\Draft zeta)").await;
    assert_eq!(inbox(&server)[0].flags, Flags::parse("\\Flagged"));

    let (server, mut client) = empty(Behaviour::bare().with_permanent_flags(&["\\Seen"], true)).await;
    assert!(client.ok("SELECT INBOX").await.iter().any(|l| l.contains("[PERMANENTFLAGS (\\Seen \\*)]")));
    client.ok("NOOP").await;
    drop(server);
}

#[tokio::test]
async fn flags_and_keywords_are_refused_or_dropped() {
    let (server, mut client) = empty(Behaviour::modern()).await;
    server.set_faults(&[
        Fault::new(Trigger::Flag("\\Deleted".into()), no("[CANNOT] no such flag here")),
        Fault::new(Trigger::Keyword, Effect::Bad("parse error".into())).in_mailbox("INBOX"),
    ]);
    assert_eq!(append(&mut client, "\\deleted", DATE, "a").await.unwrap(), "NO [CANNOT] no such flag here");
    assert_eq!(append(&mut client, "\\Seen odd", DATE, "a").await.unwrap(), "BAD parse error");
    append(&mut client, "\\Seen", DATE, "a").await.unwrap();
    client.ok("SELECT INBOX").await;
    assert_eq!(client.ask("UID STORE 1 +FLAGS.SILENT (odd)").await, ["BAD parse error"]);
    assert_eq!(inbox(&server)[0].flags, Flags::parse("\\Seen"));
    server.set_faults(&[Fault::new(on("APPEND"), Effect::DropsFlags(vec![]))]);
    append(&mut client, "\\Seen odd $Even", DATE, "b").await.unwrap();
    server.set_faults(&[Fault::new(given("c"), Effect::DropsFlags(vec!["\\SEEN".into()]))]);
    append(&mut client, "\\Seen odd", DATE, "c").await.unwrap();
    let flags: Vec<String> = inbox(&server).iter().map(|message| message.flags.to_string()).collect();
    assert_eq!(flags, ["\\Seen", "\\Seen", "odd"]);
}

#[tokio::test]
async fn a_message_too_big_is_refused_before_it_is_sent_or_after() {
    let behaviour = Behaviour::modern().without("APPENDLIMIT").with("APPENDLIMIT=10");
    let (server, mut client) = empty(behaviour).await;
    assert_eq!(
        client.ask("APPEND INBOX {11}").await,
        ["NO [TOOBIG] no message may be so large here"],
        "it is not asked for"
    );
    client.send(b"a APPEND INBOX {2+}\r\nok {11+}\r\n0123456789\n {3+}\r\nabc\r\nb NOOP\r\n").await;
    assert_eq!(client.answer("a").await, ["NO [TOOBIG] no message may be so large here"]);
    assert_eq!(client.answer("b").await, ["OK NOOP done"]);
    assert!(append(&mut client, "", DATE, "0123456789").await.unwrap().starts_with("OK"));
    let store = server.store();
    store.create("alice", "Small").unwrap();
    store.set_append_limit("alice", "Small", Some(4)).unwrap();
    let status = client.ok("LIST \"\" * RETURN (STATUS (APPENDLIMIT))").await;
    assert_eq!(status[1], "* STATUS \"INBOX\" (APPENDLIMIT 10)");
    assert_eq!(status[3], "* STATUS \"Small\" (APPENDLIMIT 4)");
    let answer = append_to(&mut client, "Small", "", DATE, "01234").await.unwrap();
    assert!(answer.starts_with("NO [TOOBIG]"), "{answer}");
    assert_eq!(inbox(&server).len(), 1);

    let (server, mut client) = empty(Behaviour::bare().with("APPENDLIMIT")).await;
    assert_eq!(client.ok("STATUS INBOX (APPENDLIMIT)").await[0], "* STATUS \"INBOX\" (APPENDLIMIT NIL)");
    drop(server);
}

#[tokio::test]
async fn a_quota_is_told_in_units_of_1024_and_kept_to_the_octet() {
    let (server, mut client) = empty(Behaviour::modern().with("QUOTA").with("QUOTA=RES-STORAGE")).await;
    assert_eq!(client.ok("GETQUOTAROOT INBOX").await[0], "* QUOTAROOT \"INBOX\"");
    let store = server.store();
    store.set_quota("alice", Some(3000)).unwrap();
    append(&mut client, "", DATE, &"x".repeat(2000)).await.unwrap();
    assert_eq!(
        client.ok("GETQUOTAROOT INBOX").await[..2],
        ["* QUOTAROOT \"INBOX\" \"\"", "* QUOTA \"\" (STORAGE 2 2)"]
    );
    assert_eq!(client.ok("GETQUOTA \"\"").await[0], "* QUOTA \"\" (STORAGE 2 2)");
    // All or none.
    let two = format!("APPEND INBOX {{500+}}\r\n{0} {{501+}}\r\n{0}y", "y".repeat(500));
    assert_eq!(client.ask(&two).await, ["NO [OVERQUOTA] no room is left for this"]);
    append(&mut client, "", DATE, &"z".repeat(1000)).await.unwrap();
    client.ok("SELECT INBOX").await;
    assert!(client.ask("UID COPY 2 INBOX").await[0].starts_with("NO [OVERQUOTA]"));
    assert_eq!(inbox(&server).len(), 2);
    assert!(client.ask("GETQUOTAROOT None").await[0].starts_with("NO [NONEXISTENT]"));
    let (_server, mut client) = empty(Behaviour::bare()).await;
    assert!(client.ask("GETQUOTAROOT INBOX").await[0].starts_with("BAD"));
}

#[tokio::test]
async fn an_append_says_no_uid_where_none_is_offered_or_kept_back() {
    let (server, mut client) = empty(Behaviour::modern()).await;
    assert_eq!(append(&mut client, "", DATE, "a").await.unwrap(), "OK [APPENDUID 1 1] APPEND done");
    server.set_faults(&[Fault::new(on("APPEND"), Effect::NoAppendUid)]);
    assert_eq!(append(&mut client, "", DATE, "a").await.unwrap(), "OK APPEND done");
    let (server, mut client) = empty(Behaviour::bare()).await;
    client.send(b"a APPEND INBOX {1}\r\n").await;
    assert!(client.line().await.unwrap().starts_with('+'));
    client.send(b"x\r\n").await;
    assert_eq!(client.answer("a").await, ["OK APPEND done"]);
    assert_eq!(inbox(&server).len(), 1);
}

#[tokio::test]
async fn bytes_are_kept_otherwise_for_one_message_or_for_all() {
    let (server, mut client) = empty(Behaviour::modern()).await;
    server.set_faults(&[
        Fault::new(on("APPEND"), Effect::Alters(Alteration::LinesEndWithCrlf)),
        Fault::new(given("odd"), Effect::Alters(Alteration::AddsField("X-Odd: yes".into()))),
    ]);
    append(&mut client, "", DATE, "A: even\n\nx").await.unwrap();
    append(&mut client, "", DATE, "A: odd\n\nx").await.unwrap();
    let texts: Vec<String> = inbox(&server).iter().map(text).collect();
    assert_eq!(texts, ["A: even\r\n\r\nx", "X-Odd: yes\r\nA: odd\r\n\r\nx"]);
}

#[tokio::test]
async fn equal_messages_are_merged_with_the_date_of_the_first() {
    let (server, mut client) = empty(Behaviour::modern()).await;
    let store = server.store();
    store.create("alice", "Bin").unwrap();
    let old = InternalDate::from_unix(1_000_000_000, 0);
    store.append("alice", "Bin", &Flags::new(), &old, *b"Message-ID: <1@x>\r\n\r\none").unwrap();
    server.set_faults(&[Fault::new(on("APPEND"), Effect::Merges)]);
    append(&mut client, "", DATE, "Message-ID: <1@x>\r\n\r\none").await.unwrap();
    let again = append(&mut client, "\\Seen", DATE, "Message-ID: <1@x>\r\n\r\none").await.unwrap();
    assert_eq!(again, "OK [APPENDUID 1 1] APPEND done");
    assert_eq!(inbox(&server).iter().map(|message| message.date.clone()).collect::<Vec<_>>(), [old]);

    server.set_faults(&[Fault::new(on("APPEND"), Effect::MergesById)]);
    append(&mut client, "", DATE, "message-id: <1@X>\r\n\r\nanother").await.unwrap();
    append(&mut client, "", DATE, "Subject: none\r\n\r\nwithout").await.unwrap();
    append(&mut client, "", DATE, "Subject: none\r\n\r\nwithout").await.unwrap();
    assert_eq!(inbox(&server).len(), 3);
}

#[tokio::test]
async fn a_received_date_is_ignored_moved_or_refused() {
    let (server, mut client) = empty(Behaviour::modern()).await;
    server.set_faults(&[
        Fault::new(given("moved"), Effect::DateMoved(86_400)),
        Fault::new(given("ignored"), Effect::DateIgnored),
        Fault::new(given("bounded"), Effect::DatesWithin(0..=2_000_000_000)),
    ]);
    append(&mut client, "", DATE, "moved").await.unwrap();
    append(&mut client, "", DATE, "ignored").await.unwrap();
    let refused = append(&mut client, "", "01-Jan-1960 00:00:00 +0000", "bounded").await.unwrap();
    assert_eq!(refused, "BAD date out of range");
    assert!(append(&mut client, "", DATE, "bounded").await.unwrap().starts_with("OK"));
    let dates: Vec<String> = inbox(&server).iter().map(|message| message.date.raw().to_owned()).collect();
    assert_eq!((dates[0].as_str(), dates[2].as_str()), ("03-Feb-2020 10:00:00 +0100", DATE));
    assert_ne!(dates[1], DATE);
}

#[tokio::test]
async fn one_bad_message_fails_all_of_a_command_and_only_that() {
    let (server, mut client) = empty(Behaviour::modern()).await;
    server.set_faults(&[Fault::new(given("bad"), Effect::Bad("Command Argument Error. 11".into()))]);
    let both = "APPEND INBOX {4+}\r\ngood {3+}\r\nbad";
    assert_eq!(client.ask(both).await, ["BAD Command Argument Error. 11"]);
    assert!(inbox(&server).is_empty());
    assert!(append(&mut client, "", DATE, "good").await.unwrap().starts_with("OK"));
    server.set_faults(&[Fault::new(given("bad"), Effect::Bye("System Error".into()))]);
    assert_eq!(append(&mut client, "", DATE, "bad").await.unwrap(), "* BYE System Error");
    assert_eq!(inbox(&server).len(), 1);
}

#[tokio::test]
async fn literals_that_were_not_asked_for_have_their_rules() {
    // RFC 7888: up to 4096 octets with LITERAL-, and none where nothing is announced.
    let (_server, mut client) = empty(Behaviour::bare().with("LITERAL-")).await;
    assert!(append(&mut client, "", DATE, &"x".repeat(4096)).await.unwrap().starts_with("OK"));
    let refused = append(&mut client, "", DATE, &"x".repeat(4097)).await.unwrap();
    assert_eq!(refused, "* BYE LITERAL+ is not offered");
    assert!(client.is_over().await);

    let (server, mut client) = empty(Behaviour::modern().with_broken("LITERAL+")).await;
    client.send(b"a APPEND INBOX {3+}\r\nabc\r\nb NOOP\r\n").await;
    assert_eq!(client.answer("a").await, ["BAD what is {n+}"]);
    assert_eq!(client.answer("b").await, ["OK NOOP done"]);
    client.send(b"c APPEND INBOX {3}\r\n").await;
    assert!(client.line().await.unwrap().starts_with('+'));
    client.send(b"abc\r\n").await;
    assert!(client.answer("c").await[0].starts_with("OK"));

    server.set_faults(&[Fault::new(Trigger::Unasked(0), Effect::Disconnect)]);
    let (server, mut client) = empty(Behaviour::modern()).await;
    server.set_faults(&[Fault::new(Trigger::Unasked(2), no("[CANNOT] too much at once"))]);
    assert!(append(&mut client, "", DATE, "ab").await.unwrap().starts_with("OK"));
    assert_eq!(append(&mut client, "", DATE, "abc").await.unwrap(), "NO [CANNOT] too much at once");
}

#[tokio::test]
async fn a_busy_server_takes_so_many_in_a_connection() {
    let (server, mut client) = empty(Behaviour::modern()).await;
    server.set_faults(&[Fault::new(Trigger::Appends(2), Effect::Bye("[LIMIT] come again".into()))]);
    for _ in 0..2 {
        assert!(append(&mut client, "", DATE, "a").await.unwrap().starts_with("OK"));
    }
    assert_eq!(append(&mut client, "", DATE, "a").await.unwrap(), "* BYE [LIMIT] come again");
    let mut client = Client::login(&server).await;
    assert!(append(&mut client, "", DATE, "a").await.unwrap().starts_with("OK"));
}

#[tokio::test]
async fn so_many_sessions_are_let_in_at_a_time() {
    let (server, mut first) = empty(Behaviour::modern().with_sessions_at_once(2)).await;
    let _second = Client::login(&server).await;
    let mut third = Client::connect(&server).await;
    assert_eq!(third.ask("LOGIN alice secret").await, ["NO [LIMIT] too many sessions at a time"]);
    first.ok("LOGOUT").await;
    assert!(first.is_over().await);
    while !third.ask("LOGIN alice secret").await[0].starts_with("OK") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_append_is_cut_before_its_literal_in_it_and_after_it() {
    let (server, _) = empty(Behaviour::modern()).await;
    let cases = [
        (Trigger::Literal, Effect::Disconnect, 0),
        (Trigger::Literal, Effect::DisconnectInLiteral(3), 0),
        (on("APPEND"), Effect::Disconnect, 0),
        (on("APPEND"), Effect::DisconnectAfter(0), 1),
    ];
    for (when, what, stored) in cases {
        server.set_faults(&[Fault::new(when, what.clone())]);
        let (before, mut client) = (inbox(&server).len(), Client::login(&server).await);
        assert_eq!(append(&mut client, "", DATE, "abcdef").await, None, "{what:?}");
        assert!(client.is_over().await);
        assert_eq!(inbox(&server).len() - before, stored, "{what:?}");
    }
    // The same where the literal waits: `+` comes, or does not.
    server.set_faults(&[Fault::new(Trigger::Literal, Effect::Disconnect)]);
    let mut client = Client::login(&server).await;
    assert!(client.ask("APPEND INBOX {6}").await.is_empty());
    server.set_faults(&[Fault::new(Trigger::Literal, no("[CANNOT] not now")).first(1)]);
    let mut client = Client::login(&server).await;
    assert_eq!(client.ask("APPEND INBOX {6}").await, ["NO [CANNOT] not now"]);
    client.send(b"a APPEND INBOX {6}\r\n").await;
    assert!(client.line().await.unwrap().starts_with('+'));
}

#[tokio::test]
async fn what_was_whole_when_the_connection_is_cut_is_done() {
    let (login, append) = ("l LOGIN alice secret\r\n", "a APPEND INBOX {3+}\r\nabc\r\n");
    let whole = |appends: usize| login.len() + appends * append.len();
    for (octets, stored) in [(10, 0), (whole(1) - 1, 0), (whole(1), 1), (whole(2) - 1, 1), (whole(3), 3)] {
        let (server, _) = empty(Behaviour::modern()).await;
        server.set_faults(&[Fault::new(Trigger::Received(octets as u64), Effect::Disconnect)]);
        let mut client = Client::connect(&server).await;
        let all = format!("{login}{append}{append}{append}{append}");
        // The server may have gone before it has taken all of it.
        let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, all.as_bytes()).await;
        assert!(client.is_over().await);
        assert_eq!(inbox(&server).len(), stored, "{octets}");
    }
    let (server, mut first) = empty(Behaviour::modern()).await;
    server.set_faults(&[Fault::new(Trigger::ReceivedInAll(23 + 9 + 9), Effect::Disconnect)]);
    let mut second = Client::login(&server).await;
    second.ok("NOOP").await;
    first.ok("NOOP").await;
    assert!(first.is_over().await);
    second.ok("NOOP").await;
}

#[tokio::test]
async fn a_view_shows_what_the_others_get_and_takes_nothing() {
    let store = store_with(0);
    for mailbox in ["All", "Sent"] {
        store.create("alice", mailbox).unwrap();
    }
    store.make_virtual("alice", "All").unwrap();
    let server = Server::start(store.clone(), Behaviour::modern()).await.unwrap();
    let mut client = Client::login(&server).await;
    append(&mut client, "", DATE, "a").await.unwrap();
    append_to(&mut client, "Sent", "", DATE, "a").await.unwrap();
    append_to(&mut client, "Sent", "", DATE, "b").await.unwrap();
    let refused = append_to(&mut client, "All", "", DATE, "c").await.unwrap();
    assert!(refused.starts_with("NO [CANNOT]"), "{refused}");
    let shown: Vec<String> = store.messages("alice", "All").unwrap().iter().map(text).collect();
    assert_eq!(shown, ["a", "b"]);
}

#[tokio::test]
async fn names_are_refused_spelled_otherwise_or_the_same_in_any_case() {
    let (server, mut client) =
        empty(Behaviour::modern().refusing_names("*%ö", Some(8)).with_spelling(Spelling::TrailingBlankCut))
            .await;
    for name in ["\"a*\"", "\"h&APY-\"", "Deep/ninechars"] {
        let answer = client.ask(&format!("CREATE {name}")).await;
        assert!(answer[0].starts_with("NO [CANNOT]"), "{name}: {answer:?}");
    }
    client.ok("CREATE \"eight888/blank \"").await;
    client.ok("EXAMINE \"eight888/blank \"").await;
    assert!(client.ok("LIST \"\" *").await.iter().any(|line| line.ends_with("\"eight888/blank\"")));
    assert!(client.ask("CREATE \"eight888/blank\"").await[0].starts_with("NO [ALREADYEXISTS]"));
    server.set_faults(&[Fault::new(on("CREATE"), Effect::Spells(Spelling::LowerCase))]);
    client.ok("CREATE Folded").await;
    assert!(client.ask("EXAMINE Folded").await[0].starts_with("NO"));
    client.ok("EXAMINE folded").await;
    server.set_faults(&[
        Fault::new(Trigger::Names("SELECT".into(), "folded".into()), no("[INUSE] not now")),
        Fault::new(Trigger::Names("SUBSCRIBE".into(), "INBOX".into()), no("[NOPERM] no")),
    ]);
    assert_eq!(client.ask("SELECT {6+}\r\nfolded").await, ["NO [INUSE] not now"]);
    client.ok("SELECT inbox").await;
    client.ok("SUBSCRIBE folded").await;
    assert_eq!(client.ask("SUBSCRIBE inbox").await, ["NO [NOPERM] no"]);
    assert!(client.ask("CREATE \"h\u{f6}\"").await[0].starts_with("BAD"), "octets above 127 before ENABLE");

    let (_server, mut client) = empty(Behaviour::modern().with_names_in_any_case()).await;
    client.ok("CREATE Sent").await;
    assert!(client.ask("CREATE sENT").await[0].starts_with("NO [ALREADYEXISTS]"));
    client.ok("CREATE sent/Old").await;
    assert!(client.ok("LIST \"\" *").await.iter().any(|line| line.ends_with("\"Sent/Old\"")));
}

#[tokio::test]
async fn a_mailbox_that_is_a_file_has_messages_or_children() {
    let (_server, mut client) = empty(Behaviour::bare().with_mailboxes_as_files()).await;
    client.ok("CREATE Work").await;
    assert!(client.ask("CREATE Work/Old").await[0].starts_with("NO [CANNOT]"));
    assert!(client.ask("CREATE INBOX/Old").await[0].starts_with("NO [CANNOT]"));
    client.ok("CREATE Home/Old").await;
    assert!(client.ask("CREATE Home").await[0].starts_with("NO [ALREADYEXISTS]"));
    client.ok("CREATE Later/").await;
    client.ok("CREATE Later/Soon").await;
    assert_eq!(
        client.ok("LIST \"\" *").await[..6],
        [
            "* LIST (\\Noselect) \"/\" \"Home\"",
            "* LIST (\\NoInferiors) \"/\" \"Home/Old\"",
            "* LIST (\\NoInferiors) \"/\" \"INBOX\"",
            "* LIST (\\Noselect) \"/\" \"Later\"",
            "* LIST (\\NoInferiors) \"/\" \"Later/Soon\"",
            "* LIST (\\NoInferiors) \"/\" \"Work\"",
        ]
    );
    let store = Store::new();
    store.add_user("alice", "secret");
    store.create("alice", "Leaf").unwrap();
    store.set_attributes("alice", "Leaf", &["\\NoInferiors"]).unwrap();
    let server = Server::start(store, Behaviour::modern()).await.unwrap();
    let mut client = Client::login(&server).await;
    assert!(client.ask("CREATE Leaf/Below").await[0].starts_with("NO [CANNOT]"));
}

#[tokio::test]
async fn mail_is_taken_and_then_gone() {
    let (server, mut client) = empty(Behaviour::modern()).await;
    let store = server.store();
    store.create("alice", "Elsewhere").unwrap();
    server.set_faults(&[
        Fault::new(given("forget"), Effect::Forgets),
        Fault::new(given("move"), Effect::MovesTo("Elsewhere".into())),
        Fault::new(given("crash"), Effect::ForgetsAtEnd),
    ]);
    for (number, text) in [(1, "forget"), (2, "move"), (3, "crash"), (4, "stay")] {
        let answer = append(&mut client, "", DATE, text).await.unwrap();
        assert_eq!(answer, format!("OK [APPENDUID 1 {number}] APPEND done"));
    }
    assert_eq!(inbox(&server).iter().map(text).collect::<Vec<_>>(), ["crash", "stay"]);
    assert_eq!(store.messages("alice", "Elsewhere").unwrap().len(), 1);
    client.ok("LOGOUT").await;
    assert!(client.is_over().await);
    // The session ends after the connection.
    while inbox(&server).len() > 1 {
        tokio::task::yield_now().await;
    }
    assert_eq!(inbox(&server).iter().map(text).collect::<Vec<_>>(), ["stay"]);
}

#[tokio::test]
async fn mail_is_stored_late_for_a_client_that_is_gone() {
    for ask in ["STATUS INBOX (MESSAGES)", "LIST \"\" * RETURN (STATUS (MESSAGES))"] {
        let (server, mut client) = empty(Behaviour::modern()).await;
        server.set_faults(&[Fault::new(on("APPEND"), Effect::StoresLate(1))]);
        assert_eq!(append(&mut client, "\\Seen", DATE, "late").await, None);
        let mut client = Client::login(&server).await;
        client.ok("EXAMINE INBOX").await;
        assert!(inbox(&server).is_empty());
        assert!(client.ok(ask).await.iter().any(|line| line.contains("(MESSAGES 0)")), "{ask}");
        assert!(client.ok(ask).await.iter().any(|line| line.contains("(MESSAGES 1)")), "{ask}");
        assert_eq!(inbox(&server)[0].flags, Flags::parse("\\Seen"));
    }
}

#[tokio::test]
async fn literals_of_any_length_arrive_as_they_were_sent() {
    let (server, mut client) = empty(Behaviour::modern()).await;
    let sizes = [1, (64 << 10) - 1, 64 << 10, (4 << 20) - 1, (4 << 20) + 1];
    for (number, size) in sizes.into_iter().enumerate() {
        let bytes: Vec<u8> = (0..size).map(|at| u8::try_from((at * 7 + number) % 251).unwrap()).collect();
        client.send(format!("x{number} APPEND INBOX {{{size}+}}\r\n").as_bytes()).await;
        client.send(&bytes).await;
        client.send(b"\r\n").await;
        assert!(client.answer(&format!("x{number}")).await[0].starts_with("OK"));
        assert_eq!(&*inbox(&server)[number].bytes, bytes, "{size}");
    }
    let many: String = (1..=300).map(|n| format!(" {{{}+}}\r\n{}", mail(n).len(), text_of(n))).collect();
    assert!(client.ask(&format!("APPEND INBOX{many}")).await[0].starts_with("OK [APPENDUID 1 6:305]"));
    assert_eq!(&*inbox(&server)[304].bytes, mail(300));
}

fn text_of(number: u32) -> String {
    String::from_utf8(mail(number)).unwrap()
}
