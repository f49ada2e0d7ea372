//! Lines as servers send them, and what is made of them.

use proptest::prelude::*;

use super::*;

fn frame(text: &str) -> Frame {
    // `«…»` stands for a literal.
    let mut parts = text.split('«');
    let head = Bytes::copy_from_slice(parts.next().unwrap().as_bytes());
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let rest = parts.map(|part| part.split_once('»').unwrap()).map(|(a, b)| (bytes(a), bytes(b))).collect();
    Frame { head, rest }
}

fn parse(text: &str) -> Result<Data, Unreadable> {
    Data::parse(&frame(text), 10)
}

fn row(text: &str) -> Row {
    match parse(text) {
        Ok(Data::Fetch(row)) => row,
        other => panic!("{text}: {other:?}"),
    }
}

fn list(text: &str) -> ListLine {
    match parse(text) {
        Ok(Data::List(line)) => line,
        other => panic!("{text}: {other:?}"),
    }
}

fn status(text: &str) -> StatusLine {
    match parse(text) {
        Ok(Data::Status(line)) => line,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn a_fetch_is_read_in_any_order() {
    for text in [
        r#"* 3 FETCH (UID 7 FLAGS (\Seen a) INTERNALDATE "17-Jul-1996 02:44:25 -0700" BODY[] «ab»)"#,
        r#"* 3 fetch (body[] «ab» X-NEW (a ("b" (c)) {) flags (\Seen a) uid 7 internaldate "17-Jul-1996 02:44:25 -0700" )"#,
    ] {
        let row = row(text);
        assert_eq!(row.uid, Uid::new(7));
        assert_eq!(row.flags.unwrap().to_string(), "\\Seen a");
        assert_eq!(row.internal_date.unwrap().unix(), Some(837_596_665));
        let body = row.body.unwrap();
        assert_eq!((body.section.as_str(), body.origin), ("", None));
        assert_eq!(body.bytes.unwrap(), "ab");
    }
}

#[test]
fn sections_and_slices_are_told_apart() {
    for (item, section, origin) in [
        ("BODY[]", "", None),
        ("BODY[]<0>", "", Some(0)),
        ("BODY[]<4194304>", "", Some(4_194_304)),
        ("BODY[HEADER]", "HEADER", None),
        ("BODY[HEADER.FIELDS (TO CC)]", "HEADER.FIELDS (TO CC)", None),
    ] {
        let body = row(&format!("* 1 FETCH ({item} \"x\" UID 2)")).body.unwrap();
        assert_eq!((body.section.as_str(), body.origin), (section, origin), "{item}");
    }
    assert_eq!(row("* 1 FETCH (BODY[] NIL UID 2)").body.unwrap().bytes, None);
    assert_eq!(row("* 1 FETCH (BODY[] \"\" UID 2)").body.unwrap().bytes.unwrap(), "");
}

#[test]
fn i05_sizes_beyond_32_bits_are_read() {
    assert_eq!(row("* 1 FETCH (UID 1 RFC822.SIZE 4294967296)").size, Some(1 << 32));
    assert_eq!(row("* 1 FETCH (UID 1 RFC822.SIZE -1)").size, None);
    assert_eq!(row("* 1 FETCH (UID 0 RFC822.SIZE 99999999999999999999)"), Row::default());
}

#[test]
fn i26_dates_are_kept_as_they_came() {
    let date = row(r#"* 1 FETCH (UID 1 INTERNALDATE "00-Jan-0000 00:00:00 +0000")"#).internal_date;
    assert_eq!(date.unwrap().raw(), "00-Jan-0000 00:00:00 +0000");
    assert_eq!(row("* 1 FETCH (UID 1 INTERNALDATE NIL)").internal_date, None);
}

#[test]
fn i34_flags_are_raw_and_bounded() {
    let flags = row("* 1 FETCH (FLAGS (\\Seen OIB-[Gmail]/All foo[bar naïve a\"b))").flags.unwrap();
    assert_eq!(flags.to_string(), "\\Seen a\"b foo[bar naïve OIB-[Gmail]/All");
    let many: String = (0..50).map(|n| format!("k{n} ")).collect();
    assert_eq!(row(&format!("* 1 FETCH (FLAGS ({many}))")).flags.unwrap().iter().len(), 10);
}

#[test]
fn a_fetch_that_does_not_close_is_unreadable() {
    for text in [
        "* 1 FETCH (UID 1",
        "* 1 FETCH (UID 1))",
        "* 1 FETCH (UID 1) x",
        "* 1 FETCH UID 1",
        "* 1 FETCH (BODY[] «x» * 2 FETCH (UID 1)",
        "* 1 FETCH (BODY[] ()",
        "* 1 FETCH (UID",
        "* 1 FETCH (ENVELOPE (\"a",
    ] {
        assert_eq!(parse(text), Err(Unreadable), "{text}");
    }
}

#[test]
fn s10_nesting_costs_no_stack() {
    let deep = format!("* 1 FETCH (X {}{} UID 3)", "(".repeat(1_000_000), ")".repeat(1_000_000));
    assert_eq!(row(&deep).uid, Uid::new(3));
}

#[test]
fn i27_names_of_all_kinds_are_listed() {
    for (text, delimiter, name) in [
        (r#"* LIST (\HasNoChildren) "/" INBOX"#, Some(b'/'), "INBOX"),
        (r#"* LIST () "/" "a \"b\" \\c""#, Some(b'/'), r#"a "b" \c"#),
        (r#"* LIST () "\\" "a\\b""#, Some(b'\\'), r"a\b"),
        (r#"* LIST () NIL "a.b""#, None, "a.b"),
        ("* LIST () \".\" «we\"ird (\nname»", Some(b'.'), "we\"ird (\nname"),
        (r#"* LIST () "/" Sent Items"#, Some(b'/'), "Sent Items"),
        (r#"* LIST () "/" "x" (("CHILDINFO" ("SUBSCRIBED")))"#, Some(b'/'), "x"),
        (r#"* LIST () "/" NIL"#, Some(b'/'), "NIL"),
        (r#"* LIST () "/" Entwürfe"#, Some(b'/'), "Entwürfe"),
    ] {
        let line = list(text);
        assert_eq!(
            (line.delimiter, String::from_utf8(line.name).unwrap().as_str()),
            (delimiter, name),
            "{text}"
        );
    }
    assert_eq!(list(r#"* LIST (\Noselect \Sent) "/" x"#).attributes, ["\\Noselect", "\\Sent"]);
    assert_eq!(list("* LIST (\\Noselect").name, b"(\\Noselect");
    assert_eq!(list(r#"* LIST () "/" "a"b""#).name, br#"() "/" "a"b""#);
}

#[test]
fn statuses_of_all_kinds_are_read() {
    let line = status(
        "* STATUS \"a b\" (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 0 HIGHESTMODSEQ 12 SIZE 99999999999 MAILBOXID (M1) X (y))",
    );
    assert_eq!(line.name, b"a b");
    assert_eq!((line.messages, line.uid_next, line.uid_validity), (Some(3), Uid::new(9), None));
    assert_eq!((line.highest_modseq, line.object_id.as_deref()), (Some(ModSeq(12)), Some("M1")));
    let line = status("* STATUS Sent (old) Items (UIDNEXT 4 MAILBOXID (M2) MESSAGES 1)");
    assert_eq!((line.name.as_slice(), line.messages), (b"Sent (old) Items".as_slice(), Some(1)));
    assert_eq!(status("* STATUS «a» (MESSAGES 1 )").name, b"a");
    // As Cyrus 3.6 does: octets from anywhere, closed or not.
    for id in ["(\u{8b}\u{a1};o\u{93}U))", "(\\\"(;o))", "(", "(a b!)", "()"] {
        let line = status(&format!("* STATUS x (MESSAGES 3 UIDNEXT 4 MAILBOXID {id}"));
        assert_eq!((line.messages, line.uid_next, line.object_id), (Some(3), Uid::new(4), None), "{id}");
    }
    assert_eq!(status("* STATUS x ()"), StatusLine { name: b"x".to_vec(), ..StatusLine::default() });
}

#[test]
fn searches_vanished_and_capabilities_are_read() {
    let set = |text: &str| Some(UidSet::parse(text).unwrap());
    assert_eq!(
        parse("* ESEARCH (TAG \"r7\") UID MIN 1 COUNT 4 ALL 9,1:3 MODSEQ 7"),
        Ok(Data::Esearch(Esearch { tag: Some("r7".into()), count: Some(4), all: set("1:3,9") }))
    );
    assert_eq!(parse("* ESEARCH"), Ok(Data::Esearch(Esearch::default())));
    assert_eq!(parse("* ESEARCH (TAG \"r7\") UID ALL 1:*"), Err(Unreadable));
    assert_eq!(
        parse("* VANISHED (EARLIER) 41,43:116"),
        Ok(Data::Vanished { earlier: true, uids: set("41,43:116") })
    );
    assert_eq!(parse("* VANISHED 5"), Ok(Data::Vanished { earlier: false, uids: set("5") }));
    assert_eq!(parse("* VANISHED (EARLIER) 0:5"), Ok(Data::Vanished { earlier: true, uids: None }));
    assert_eq!(
        parse("* CAPABILITY imap4rev2 AUTH=plain"),
        Ok(Data::Capability(vec!["IMAP4REV2".into(), "AUTH=PLAIN".into()]))
    );
    assert_eq!(parse("* 4 EXISTS"), Ok(Data::Exists(4)));
    assert_eq!(parse("* 4294967296 EXISTS"), Err(Unreadable));
    assert_eq!(parse("* SEARCH 1 2 (MODSEQ 9)"), Ok(Data::Other));
    assert_eq!(parse("* XYZZY (((("), Ok(Data::Other));
}

#[test]
fn i32_namespaces_are_told_apart() {
    let Ok(Data::Namespace(spaces)) = parse(
        r##"* NAMESPACE (("" "/")("INBOX." "." "X" ("a" "b"))) (("~" "/")) (("#shared/" "/")("Public/" "/"))"##,
    ) else {
        panic!("readable")
    };
    assert_eq!(spaces.personal, [b"".to_vec(), b"INBOX.".to_vec()]);
    assert_eq!(spaces.outside, [b"~".to_vec(), b"#shared/".to_vec(), b"Public/".to_vec()]);
    assert_eq!(parse("* NAMESPACE NIL NIL NIL"), Ok(Data::Namespace(Namespaces::default())));
    assert_eq!(parse("* NAMESPACE (("), Err(Unreadable));
}

proptest! {
    #[test]
    fn no_response_makes_it_panic(
        kind in prop::sample::select(vec![
            "* 1 FETCH (", "* LIST ", "* STATUS ", "* ESEARCH ", "* NAMESPACE ", "* VANISHED ", "* ",
        ]),
        words in prop::collection::vec(prop::sample::select(vec![
            "(", ")", " ", "\"", "\\", "UID", "FLAGS", "BODY[", "]", "<1>", "1", "0", "NIL", "«x»", "ALL", "MODSEQ",
            "MAILBOXID", "MESSAGES", ",", ":", "*", "é",
        ]), 0..25),
    ) {
        let _ = parse(&format!("{kind}{}", words.concat()));
    }
}
