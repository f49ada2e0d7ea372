//! What was exported comes back: bytes, flags, dates, folders, in all three formats; and nothing is
//! written anywhere else.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]
#![allow(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "counts in tests are small")]
#![allow(clippy::print_stderr, reason = "a test that tests nothing says so")]
#![allow(unreachable_pub, reason = "the reader is a module of the tests")]

mod common;

use std::path::Path;

use common::{FORMATS, Folder, Mail, Mails, export, read_back};
use message::{Flags, InternalDate};
use proptest::prelude::*;
use restante_formats::{Error, ExportMessage, Format, exporter};

fn mail(uid: u32, flags: &str, bytes: &[u8]) -> Mail {
    let internal_date = format!("17-Jul-1996 02:44:{:02} -0700", uid % 60);
    Mail { uid, flags: Flags::parse(flags), internal_date, bytes: bytes.to_vec() }
}

fn folder(name: &str) -> Folder {
    name.split('/').map(str::to_owned).collect()
}

fn assert_round_trip(mails: &Mails) {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("a/b/c");
        std::fs::create_dir_all(&deep).unwrap();
        let target = deep.join("target");
        export(format, &target, mails);
        let back = read_back(format, &target);
        assert!(&back == mails, "{format:?} changes what it is given");
        for entry in walkdir::WalkDir::new(dir.path()) {
            let entry = entry.unwrap();
            let inside = entry.path().starts_with(&target) || target.starts_with(entry.path());
            assert!(inside && !entry.path_is_symlink(), "{format:?} wrote {}", entry.path().display());
        }
    }
}

#[test]
fn m13_every_kind_of_message_comes_back_in_every_format() {
    let messages: Vec<Mail> = [
        &b""[..],
        b"\n",
        b"\r\n",
        b"no line end",
        b"Subject: x\r\n\r\nbody\r\n",
        b"From first\n>From second\n\n\nFrom third\n\n",
        b"ends in From ",
        b"bare\rcr\rFrom x",
        b"\0\xff\x1a",
    ]
    .iter()
    .zip(1..)
    .map(|(bytes, uid)| mail(uid, "\\Seen \\Flagged $Forwarded Junk", bytes))
    .collect();
    assert_round_trip(&Mails::from([(folder("INBOX"), messages)]));
}

#[test]
fn a_message_in_three_folders_is_three_files() {
    let folders = ["INBOX", "Sent", "Archive/2024"].map(|name| (folder(name), vec![mail(7, "", b"x")]));
    let dir = tempfile::tempdir().unwrap();
    export(Format::Eml, dir.path(), &Mails::from(folders));
    let walk = walkdir::WalkDir::new(dir.path()).into_iter().map(Result::unwrap);
    let mut files: Vec<String> = walk
        .map(|entry| entry.path().strip_prefix(dir.path()).unwrap().display().to_string())
        .filter(|path| path.ends_with(".eml"))
        .collect();
    files.sort();
    let name = format!("19960717T094407Z-0000000007-{}.eml", &common::key(b"x")[..16]);
    assert_eq!(files, ["Archive/2024", "INBOX", "Sent"].map(|folder| format!("{folder}/{name}")));
}

#[test]
fn m13_a_maildir_looks_as_dovecot_expects() {
    let flags = "\\Answered \\Deleted \\Draft \\Flagged \\Odd \\Seen $Forwarded NonJunk";
    let mails = Mails::from([
        (folder("INBOX"), vec![mail(1, flags, b"x\n")]),
        (folder("Entwürfe/v1.2"), vec![mail(2, "", b"y\n")]),
    ]);
    let dir = tempfile::tempdir().unwrap();
    export(Format::Maildir, dir.path(), &mails);
    assert_eq!(
        std::fs::read_to_string(dir.path().join("dovecot-keywords")).unwrap(),
        "0 $Forwarded\n1 NonJunk\n"
    );
    let file = format!("cur/837596641.U1K{}.restante,S=2:2,DFRSTab", &common::key(b"x\n")[..16]);
    assert_eq!(std::fs::read(dir.path().join(file)).unwrap(), b"x\n");
    assert!(dir.path().join(".Entw&APw-rfe.v1%2E2/maildirfolder").exists());
    assert_eq!(read_back(Format::Maildir, dir.path()), mails);
}

#[test]
fn m13_more_keywords_than_letters_are_kept_in_the_index() {
    let many = (0..40).map(|number| mail(number + 1, &format!("k{number} k{}", number / 2), b"x")).collect();
    assert_round_trip(&Mails::from([(folder("INBOX"), many)]));
}

#[test]
fn the_same_uid_twice_is_two_messages() {
    let mails = vec![mail(1, "", b"x"), mail(1, "\\Seen", b"x"), mail(1, "", b"x"), mail(1, "", b"y")];
    assert_round_trip(&Mails::from([(folder("INBOX"), mails)]));
}

#[test]
fn m12_folders_that_file_systems_confuse_stay_apart() {
    let names = [
        "INBOX",
        "Inbox",
        "inbox/a",
        "INBOX/A",
        "caf\u{e9}",
        "cafe\u{301}",
        "folders",
        "index",
        "cur",
        "new",
        "folders.jsonl",
        "index.jsonl",
        "A",
        "A.mbox",
        "A.mbox/x",
        "a.MBOX",
        "A/b",
        "A.b",
        "x.eml",
        "",
        "/",
        "//",
        ".",
        "..",
        "../../x",
        "%2E",
        "%",
        "CON",
        "con",
        "A%~2",
    ];
    let mails: Mails = names.iter().map(|name| (folder(name), vec![mail(1, "", name.as_bytes())])).collect();
    assert_eq!(mails.len(), names.len());
    assert_round_trip(&mails);
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        export(format, dir.path(), &mails);
        let mut seen = std::collections::HashSet::new();
        for entry in walkdir::WalkDir::new(dir.path()).min_depth(1) {
            let entry = entry.unwrap();
            let eml = entry.file_name().to_str().unwrap().to_ascii_lowercase().ends_with(".eml");
            assert_eq!(eml, format == Format::Eml && entry.file_type().is_file() && !is_list(entry.path()));
            let path = entry.path().to_str().unwrap().to_lowercase();
            assert!(seen.insert(path.clone()), "{format:?}: {path} is two files but for case");
        }
    }
}

fn is_list(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "jsonl")
}

#[test]
fn a_folder_may_be_taken_up_again() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (folder("a"), folder("b"));
        let mut exporter = exporter(format, dir.path(), &[b.clone(), a.clone()]).unwrap();
        let mut expected = Mails::new();
        for (folder, mail) in [(&a, mail(1, "x", b"1")), (&b, mail(2, "y", b"2")), (&a, mail(3, "z x", b"3"))]
        {
            let (key, date) = (common::key(&mail.bytes), InternalDate::parse(&mail.internal_date));
            exporter.folder(folder).unwrap();
            let message =
                ExportMessage { uid: mail.uid, key: &key, flags: &mail.flags, internal_date: &date };
            exporter.message(&message, &mail.bytes).unwrap();
            expected.entry(folder.clone()).or_default().push(mail);
        }
        assert_eq!(exporter.finish().unwrap().folders, 2);
        assert_eq!(read_back(format, dir.path()), expected);
    }
}

#[test]
fn nothing_is_written_over_and_nothing_unannounced() {
    for format in FORMATS {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("precious"), "x").unwrap();
        assert!(matches!(exporter(format, dir.path(), &[]), Err(Error::NotEmpty { .. })));
        assert!(matches!(exporter(format, &dir.path().join("precious"), &[]), Err(Error::Io { .. })));
        assert!(matches!(exporter(format, &dir.path().join("a/b"), &[]), Err(Error::Io { .. })));
        let mut exporter = exporter(format, &dir.path().join("new"), &[folder("a")]).unwrap();
        assert!(matches!(exporter.folder(&folder("b")), Err(Error::UnknownFolder { .. })));
        let (flags, date) = (Flags::new(), InternalDate::parse(""));
        let message = ExportMessage { uid: 1, key: "", flags: &flags, internal_date: &date };
        assert!(matches!(exporter.message(&message, b""), Err(Error::NoFolder)));
    }
}

#[test]
fn a_corpus_of_real_mail_comes_back_in_every_format() {
    let Some(corpus) = std::env::var_os("RESTANTE_CORPUS") else {
        eprintln!("skipped: RESTANTE_CORPUS names no folder");
        return;
    };
    let mut mails = Mails::new();
    for (entry, uid) in walkdir::WalkDir::new(&corpus).into_iter().zip(1..) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let above = entry.path().parent().unwrap().strip_prefix(&corpus).unwrap();
            let folder = above.iter().map(|name| name.to_string_lossy().into_owned()).collect();
            let mail = mail(uid, "\\Seen", &std::fs::read(entry.path()).unwrap());
            mails.entry(folder).or_default().push(mail);
        }
    }
    let root = mails.remove(&Vec::new()).unwrap();
    mails.insert(folder("INBOX"), root);
    assert_round_trip(&mails);
}

fn any_component() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[a-cA-C]{1,2}",
        2 => "[./\\\\ %:~&\\x00-\\x1f]{0,4}",
        1 => prop::sample::select(vec!["..", ".", "", "/etc", "../..", "nul", "INBOX", "cur", "x.eml", "~"])
            .prop_map(str::to_owned),
        1 => "\\PC{0,12}",
        1 => "[a-z]{250,270}",
    ]
}

fn any_mail() -> impl Strategy<Value = Mail> {
    let bytes = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..40),
        "((>{0,3}From |x|\r|\n|>)){0,12}".prop_map(String::into_bytes),
    ];
    let flags = prop::sample::subsequence(vec!["\\Seen", "\\Draft", "\\Odd", "Junk", "$Label1", "b"], 0..6);
    (1u32..4, flags, bytes).prop_map(|(uid, flags, bytes)| mail(uid, &flags.join(" "), &bytes))
}

proptest! {
    // Few cases: each export waits for the disk.
    #![proptest_config(ProptestConfig { cases: 50, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn m10_whatever_folders_are_called_all_comes_back_and_nothing_lies_outside(
        mails in prop::collection::btree_map(
            prop::collection::vec(any_component(), 1..4),
            prop::collection::vec(any_mail(), 0..4),
            1..6,
        ),
    ) {
        assert_round_trip(&mails);
    }
}
