//! Mail and servers that mean harm, or are only odd: everything is archived as it is, and nothing of
//! it reaches a terminal, a log or a file outside an export as more than text.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use message::{Flags, InternalDate, MessageKey};
use serde_json::Value;
use server::{Behaviour, Effect, Fault, Store, Trigger};
use tempfile::TempDir;
use testkit::{Output, Restante, Scripted};

const USER: &str = "anna";

/// A server that does as it is told, and the program beside it.
struct World {
    server: Scripted,
    program: Restante,
    folder: TempDir,
}

impl World {
    /// A server that says more and more odd things while a test is being arranged.
    fn new(store: Store, behaviour: Behaviour) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = Scripted::start(store, behaviour);
        let config = folder.path().join("r.toml");
        let text = format!(
            "[archive]\npath = \"archive\"\nreserve = \"0\"\n\n[[account]]\nname = \"work\"\nuser = \"{USER}\"\n\
             password = \"pass\"\nhost = \"localhost\"\nport = {}\ntls = \"none\"\n",
            server.port()
        );
        fs::write(&config, text).expect("the test's own folder can be written");
        fs::set_permissions(&config, fs::Permissions::from_mode(0o600)).expect("an own file");
        Self { server, program: Restante::new(&config, folder.path()), folder }
    }

    fn with(messages: &[&[u8]]) -> Self {
        let store = store();
        for (number, bytes) in (0..).zip(messages) {
            deliver(&store, "INBOX", "", number, bytes);
        }
        Self::new(store, Behaviour::modern())
    }

    fn run(&self, code: i32, arguments: &[&str]) -> Output {
        let output = self.program.run(arguments);
        output.expect_code(code);
        output
    }

    fn json(&self, arguments: &[&str]) -> Value {
        self.run(0, &[&["--json"], arguments].concat()).json()
    }

    /// Pulls, and asserts that everything is there, and comes back byte for byte.
    fn pull_all(&self) {
        let ledger = &self.json(&["--run-now"])["runs"][0];
        assert_eq!(ledger["outcome"], "ok", "{ledger}");
        assert_eq!(ledger["totals"]["archived"], ledger["totals"]["on_server"]);
        for message in self.server.store().messages(USER, "INBOX").expect("the user has an INBOX") {
            let key = MessageKey::of(&message.bytes).to_string();
            let shown = self.run(0, &["show", &key]).stdout;
            assert!(shown == *message.bytes, "UID {} is not what it was", message.uid);
        }
        self.run(0, &["verify"]);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What a person sees on a terminal: all that the program writes there. `None` without script(1).
    fn on_a_terminal(&self, arguments: &[&str]) -> Option<String> {
        let quoted = |word: &str| format!("'{}'", word.replace('\'', "'\\''"));
        let command = self.program.command(arguments);
        let words: Vec<String> = std::iter::once(command.get_program())
            .chain(command.get_args())
            .map(|word| quoted(&word.to_string_lossy()))
            .collect();
        let mut script = Command::new("script");
        script.args(["-q", "-e", "-c", &words.join(" "), "/dev/null"]);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => script.env(name, value),
                None => script.env_remove(name),
            };
        }
        let output = script.env("TERM", "xterm-256color").stdin(Stdio::null()).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn store() -> Store {
    let store = Store::new();
    store.add_user(USER, "pass");
    store
}

fn deliver(store: &Store, mailbox: &str, flags: &str, minute: i64, bytes: &[u8]) {
    let date = InternalDate::from_unix(1_772_445_600 + minute * 60, 0);
    store.append(USER, mailbox, &Flags::parse(flags), &date, bytes).expect("the mailbox is there");
}

/// A title for the terminal's window, C1 for red letters, text turned around, nothing visible, a line
/// that looks like ours.
const EVIL: &str = "\x1b]0;owned\x07\u{9b}31m\u{202e}fdp.exe\u{200b}\rFORGED";

/// No octet of it may be written: what a terminal or a reader of lines would act on.
fn assert_harmless(what: &str, text: &str, terminal: bool) {
    for trick in ["\x1b]", "\x07", "\u{9b}", "\u{202e}", "\u{200b}", "\u{0}", "\u{8}"] {
        assert!(!text.contains(trick), "{what}: {trick:?} in {text:?}");
    }
    // On a terminal colours and bars are our own, and lines end with CR LF.
    let ours = |c: char| c == '\n' || terminal && matches!(c, '\r' | '\x1b' | '\t');
    let control = text.chars().find(|&c| c.is_control() && !ours(c));
    assert_eq!(control, None, "{what}: {text:?}");
    let forged = text.split(['\n', '\r']).find(|line| line.starts_with("FORGED"));
    assert_eq!(forged, None, "{what}: {text:?}");
}

/// A mailbox in which everything that can carry text carries [`EVIL`].
fn evil_world(faults: &[Fault]) -> World {
    let store = store();
    let folder = format!("a{EVIL}\n\t\0b");
    store.create(USER, &folder).expect("a new mailbox");
    store.create_raw(USER, b"raw\xff\x9b31m\x01").expect("a new mailbox");
    let encoded = "=1B]0;owned=07=9B31m=0D=0AFORGED";
    let mail = format!(
        "From: {EVIL} <x@example.org>\r\nSubject: =?iso-8859-1?Q?{encoded}?= =?utf-8?Q?=E2=80=AE_=00?= {EVIL}\r\n\
         Message-ID: <{EVIL}@x>\r\nDate: {EVIL}\r\n\r\n{EVIL}\r\n"
    );
    for mailbox in ["INBOX", &folder] {
        deliver(&store, mailbox, &format!("\\Seen kw{EVIL}"), 1, mail.as_bytes());
        deliver(&store, mailbox, "", 2, b"Subject: refused\r\n\r\nx");
    }
    let evil_bytes = EVIL.replace('\r', "");
    let mut behaviour = Behaviour::modern().with_greeting(&format!("OK [ALERT] {evil_bytes}"));
    for fault in faults {
        behaviour = behaviour.with_fault(fault.clone());
    }
    World::new(store, behaviour)
}

#[test]
fn m09_nothing_from_mail_or_server_is_written_raw_by_any_command() {
    let evil_bytes = EVIL.replace('\r', "");
    let refused = Fault::new(Trigger::Body(2), Effect::No(format!("[SERVERBUG] {evil_bytes}")));
    let alert = Fault::new(
        Trigger::Command("NOOP".to_owned()),
        Effect::Before(format!("* NO [ALERT] {evil_bytes}\r\n* OK {evil_bytes}\r\n").into_bytes()),
    );
    let world = evil_world(&[refused, alert]);
    let out = world.path("out");
    let out = out.to_str().expect("a plain path");
    let evil_id = "\x1b]0;owned\x07\u{202e}FORGED";
    let mut runs: Vec<Vec<String>> = Vec::new();
    let mut add = |words: &[&str]| runs.push(words.iter().map(|word| (*word).to_owned()).collect());
    add(&["--verbose", "--run-now"]);
    add(&["--json", "--run-now"]);
    for json in [&[][..], &["--json"]] {
        for words in [
            &["list"][..],
            &["list", "work"],
            &["list", "work", "INBOX"],
            &["list", "work", "raw*"],
            &["list", evil_id],
            &["list", "work", evil_id],
            &["status"],
            &["verify"],
            &["verify", evil_id],
            &["rebuild"],
            &["check-config"],
            &["check-config", "--connect"],
            &["show", evil_id],
            &["export", evil_id, "x", "--format", "eml"],
            &["export", "work", "x", "--format", "eml", "--as-of", evil_id],
            &["export", "work", "x", "--format", "eml", "--folder", evil_id],
        ] {
            add(&[json, words].concat());
        }
    }
    add(&["export", "work", out, "--format", "maildir"]);
    for words in &runs {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let output = world.program.run(&words);
        assert!(output.code.is_some_and(|code| code != 101), "{words:?}: {}", output.stderr);
        let stdout =
            String::from_utf8(output.stdout).expect("what is written for people and programs is UTF-8");
        assert_harmless(&format!("{words:?}"), &stdout, false);
        assert_harmless(&format!("{words:?}"), &output.stderr, false);
        if let Some(seen) = world.on_a_terminal(&words) {
            assert_harmless(&format!("{words:?} on a terminal"), &seen, true);
        }
    }
    let listed = world.run(0, &["list", "work", "INBOX"]).stdout;
    let listed = String::from_utf8_lossy(&listed);
    assert!(listed.contains("FORGED") && listed.contains("\\u{202e}"), "not shown at all: {listed}");
    let ledger = world.run(3, &["--json", "--run-now"]).json();
    let why = ledger["runs"][0].to_string();
    assert!(why.contains("SERVERBUG"), "the refused message is not named: {why}");
    for entry in names_below(&world.path("out")) {
        assert_harmless("a name of the export", &entry, false);
    }
}

/// The names of all files and folders.
fn names_below(folder: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).expect("an exported folder") {
        let entry = entry.expect("an exported file");
        names.push(entry.file_name().to_string_lossy().into_owned());
        if entry.file_type().expect("an exported file").is_dir() {
            names.extend(names_below(&entry.path()));
        }
    }
    names
}

#[test]
fn m09_an_error_of_the_server_is_not_written_raw() {
    let evil_bytes = EVIL.replace('\r', "");
    // A broken line is tried again after a pause, a refusal is final: the first are only looked at.
    let (look, run) = (&["check-config", "--connect"][..], &["--run-now"][..]);
    for (words, fault) in [
        (run, Fault::new(Trigger::Login, Effect::No(format!("[AUTHENTICATIONFAILED] {evil_bytes}")))),
        (run, Fault::new(Trigger::Command("LIST".to_owned()), Effect::Bad(evil_bytes.clone()))),
        (look, Fault::new(Trigger::Login, Effect::No(evil_bytes.clone()))),
        (look, Fault::new(Trigger::Login, Effect::Bye(evil_bytes.clone()))),
        (look, Fault::new(Trigger::Greeting, Effect::Instead(format!("220 {evil_bytes}\r\n").into_bytes()))),
        (look, Fault::new(Trigger::Command("CAPABILITY".to_owned()), Effect::Bad(evil_bytes.clone()))),
    ] {
        let world = evil_world(std::slice::from_ref(&fault));
        for words in [words, &[&["--json"], words].concat(), &["status"]] {
            let output = world.program.run(words);
            assert!(output.code.is_some_and(|code| code != 101), "{fault:?}: {}", output.stderr);
            let told = format!("{fault:?} {words:?}");
            assert_harmless(&told, &String::from_utf8_lossy(&output.stdout), false);
            assert_harmless(&told, &output.stderr, false);
        }
        let seen = world.on_a_terminal(words).unwrap_or_default();
        assert_harmless(&format!("{fault:?} {words:?} on a terminal"), &seen, true);
    }
}

#[test]
fn m09_a_message_is_not_shown_on_a_terminal_and_exact_everywhere_else() {
    let bytes = format!("Subject: x\r\n\r\n{EVIL}");
    let world = World::with(&[bytes.as_bytes()]);
    world.pull_all();
    let key = MessageKey::of(bytes.as_bytes()).to_string();
    let Some(seen) = world.on_a_terminal(&["show", &key]) else { return };
    assert!(seen.contains("not written to a terminal"), "{seen:?}");
    assert_harmless("show on a terminal", &seen, true);
}

#[test]
fn m01_anything_is_a_message() {
    world_of_odd_mail().pull_all();
}

fn world_of_odd_mail() -> World {
    World::with(&[
        b"\r\n",
        b"\r\nempty line first",
        b"Subject: header only",
        b"Subject: header only\r\n",
        b"no header at all",
        b"bare\rcr\nbare lf\r\r\n\x1a",
        b"Subject: caf\xe9 \xff\xfe\r\nFrom: \xc3\x28@example.org\r\n\r\n\xf0\x28\x8c\xbc",
        b"Subject: =?x-klingon?B?8J+SqQ==?=\r\nContent-Type: text/plain; charset=\"no such\"\r\n\r\nx",
        b"\0\0\0\r\n\0",
        b"From x\r\n>From y\r\n.\r\n..\r\n",
    ])
}

#[test]
fn m03_lines_and_headers_of_megabytes_are_kept_whole_and_listed_short() {
    let long_line = [b"Subject: line\r\n\r\n", &vec![b'x'; 10 << 20][..]].concat();
    let long_field = format!("Subject: {}\r\n\r\nx", "word ".repeat(2 << 20)).into_bytes();
    let many_fields = format!("{}Subject: last\r\n\r\nx", "X-Spam: no\r\n".repeat(100_000)).into_bytes();
    let addresses = "a@example.org,\r\n ".repeat(100_000);
    let many_addresses = format!("Subject: many\r\nFrom: {addresses}b@x\r\nTo: {addresses}c@x\r\n\r\nx");
    let world = World::with(&[&long_line, &long_field, &many_fields, many_addresses.as_bytes()]);
    world.pull_all();
    let listed = world.json(&["list", "work", "INBOX"]);
    for message in listed["messages"].as_array().expect("a list of messages") {
        for field in ["subject", "from"] {
            assert!(message[field].as_str().is_some_and(|text| text.len() <= 512), "{message}");
        }
    }
    world.run(0, &["list", "work", "INBOX"]);
}

#[test]
fn m04_nesting_and_parts_without_end_cost_no_stack() {
    let mut nested = b"Subject: nested\r\n".to_vec();
    for depth in 0..10_000 {
        let part = format!("Content-Type: multipart/mixed; boundary=b{depth}\r\n\r\n--b{depth}\r\n");
        nested.extend_from_slice(part.as_bytes());
    }
    let mut messages = b"Subject: message in message\r\n".to_vec();
    messages.extend_from_slice(&b"Content-Type: message/rfc822\r\n\r\n".repeat(10_000));
    let mut parts = b"Subject: parts\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n".to_vec();
    parts.extend_from_slice(&b"--b\r\n\r\nx\r\n".repeat(100_000));
    let comments =
        format!("Subject: comments\r\nFrom: {}{} a@x\r\n\r\n", "(".repeat(20_000), ")".repeat(20_000));
    let groups = format!("Subject: groups\r\nFrom: {}\r\n\r\n", "a:<\"\\".repeat(20_000));
    let prefix = b"Subject: prefix\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--bb\r\n--b\r\n--b--b\r\n--b--\r\n";
    let world = World::with(&[&nested, &messages, &parts, comments.as_bytes(), groups.as_bytes(), prefix]);
    world.pull_all();
    let listed = world.json(&["list", "work", "INBOX"]);
    let subjects: Vec<&str> = listed["messages"]
        .as_array()
        .expect("a list of messages")
        .iter()
        .map(|message| message["subject"].as_str().expect("a subject"))
        .collect();
    assert_eq!(subjects, ["prefix", "groups", "comments", "parts", "message in message", "nested"]);
}

#[test]
fn m05_base64_in_every_odd_form_comes_back() {
    let line = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2d3h5ejAx";
    let body = |end: &str, last: &str| format!("{}{last}", format!("{line}{end}").repeat(40));
    let header = "Subject: x\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    let mails: Vec<String> = [
        body("\r\n", ""),
        body("\n", "QQ=="),
        body(" \r\n", ""),
        body("\r\n", "QR=="),
        body("\r\n", "QQ"),
        body("\r\n", "QQ=\r\n="),
        body("\r\r\n", ""),
        format!("{}{}", body("\r\n", ""), body("\n", "\r\n\r\n")),
        format!("{line}\r\n{}\r\n", &line[4..]).repeat(30),
        format!("{}=\r\n", &line[1..]).repeat(30),
    ]
    .iter()
    .map(|body| format!("{header}{body}"))
    .collect();
    let mails: Vec<&[u8]> = mails.iter().map(String::as_bytes).collect();
    World::with(&mails).pull_all();
}

#[test]
fn m06_other_bytes_are_another_message_and_equal_bytes_are_kept_once_for_every_place() {
    let head =
        "Message-ID: <same@example.org>\r\nSubject: same\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n\r\n";
    let store = store();
    store.create(USER, "Sent").expect("a new mailbox");
    let copies =
        [format!("{head}draft\r\n"), format!("{head}sent!\r\n"), format!("X-List: a\r\n{head}sent!\r\n")];
    // Equal in size, date and header, too.
    for (mailbox, body) in [("INBOX", &copies[0]), ("Sent", &copies[1]), ("INBOX", &copies[2])] {
        deliver(&store, mailbox, "", 0, body.as_bytes());
    }
    let equal = format!("{head}{}", "equal\r\n".repeat(500));
    (0..1_000).for_each(|_| deliver(&store, "INBOX", "", 0, equal.as_bytes()));
    let world = World::new(store, Behaviour::modern());
    let ledger = &world.json(&["--run-now"])["runs"][0];
    assert_eq!((&ledger["outcome"], &ledger["totals"]["archived"]), (&"ok".into(), &1_003.into()));
    world.pull_all();
    let status = world.json(&["status"]);
    let (messages, bytes) = (&status["accounts"][0]["messages"], &status["archive"]["bytes"]);
    assert!(
        bytes.as_u64().is_none_or(|bytes| bytes < 400_000),
        "{messages} messages in {bytes} bytes: {status}"
    );
    let out = world.path("out");
    world.run(0, &["export", "work", out.to_str().expect("a plain path"), "--format", "eml"]);
    let files = names_below(&out);
    assert_eq!(files.iter().filter(|name| name.ends_with(".eml")).count(), 1_003);
}

#[test]
fn m07_signatures_verify_after_export() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut mails: Vec<(&str, Vec<u8>)> = Vec::new();
    mails.extend(smime(folder.path()).map(|mail| ("smime", mail)));
    mails.extend(pgp(folder.path()).map(|mail| ("pgp", mail)));
    if mails.is_empty() {
        // Neither openssl nor gpg: that exported bytes are those of the server is proven elsewhere.
        return;
    }
    let bytes: Vec<&[u8]> = mails.iter().map(|(_, mail)| &mail[..]).collect();
    let world = World::with(&bytes);
    world.pull_all();
    for (kind, mail) in &mails {
        let exported = world.run(0, &["show", &MessageKey::of(mail).to_string()]).stdout;
        let file = folder.path().join("exported.eml");
        fs::write(&file, &exported).expect("a temporary file");
        match *kind {
            "smime" => {
                let verify = ["smime", "-verify", "-noverify", "-in", "exported.eml"];
                assert!(tool(folder.path(), "openssl", &verify).is_some(), "the S/MIME signature is broken");
            }
            _ => {
                let text = String::from_utf8(exported).expect("this mail is ASCII");
                let parts: Vec<&str> = text.split("--b\r\n").collect();
                fs::write(folder.path().join("part"), parts[1].trim_end_matches("\r\n"))
                    .expect("a temporary file");
                let (_, signature) = parts[2].split_once("\r\n\r\n").expect("a header and a body");
                fs::write(folder.path().join("part.asc"), signature).expect("a temporary file");
                let verified =
                    tool(folder.path(), "gpg", &["--homedir", ".", "--verify", "part.asc", "part"]);
                assert!(verified.is_some(), "the PGP signature is broken");
            }
        }
    }
}

/// Runs a tool in this folder; `None` when it is not there or does not succeed.
fn tool(folder: &std::path::Path, name: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new(name).args(arguments).current_dir(folder).stdin(Stdio::null()).output().ok()?;
    output.status.success().then_some(output.stdout)
}

/// A mail signed with S/MIME, blanks at line ends and all.
fn smime(folder: &std::path::Path) -> Option<Vec<u8>> {
    fs::write(folder.join("body"), "Content-Type: text/plain\r\n\r\nSigned, with a blank at the end: \r\n")
        .ok()?;
    let request = "req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=anna";
    tool(folder, "openssl", &request.split(' ').collect::<Vec<_>>())?;
    let sign = "smime -sign -in body -signer cert.pem -inkey key.pem -crlfeol -subject signed";
    tool(folder, "openssl", &sign.split(' ').collect::<Vec<_>>())
}

/// A mail signed with PGP/MIME (RFC 3156).
fn pgp(folder: &std::path::Path) -> Option<Vec<u8>> {
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).ok()?;
    let common = ["--homedir", ".", "--batch", "--pinentry-mode", "loopback", "--passphrase", ""];
    let run = |more: &[&str]| tool(folder, "gpg", &[&common, more].concat());
    run(&["--quick-generate-key", "anna@example.org", "ed25519", "sign", "never"])?;
    let part = "Content-Type: text/plain\r\n\r\nSigned, with =20 and From and a dash:\r\n- x\r\n";
    fs::write(folder.join("signed"), part.trim_end_matches("\r\n")).ok()?;
    run(&["--armor", "--detach-sign", "--output", "signed.asc", "signed"])?;
    let signature = fs::read_to_string(folder.join("signed.asc")).ok()?.replace('\n', "\r\n");
    let head = "Subject: signed\r\nContent-Type: multipart/signed; boundary=b; protocol=\"application/pgp-signature\"";
    let mail = format!(
        "{head}\r\n\r\n--b\r\n{part}--b\r\nContent-Type: application/pgp-signature\r\n\r\n{signature}--b--\r\n"
    );
    Some(mail.into_bytes())
}

#[test]
fn m10_an_export_never_follows_what_is_planted_in_its_target() {
    let store = store();
    for name in ["../../escaped", "..", "a/../../b"] {
        store.create(USER, name).expect("a new mailbox");
        deliver(&store, name, "", 0, b"Subject: x\r\n\r\nx");
    }
    let world = World::new(store, Behaviour::modern());
    world.json(&["--run-now"]);
    let (target, elsewhere) = (world.path("target"), world.path("elsewhere"));
    fs::create_dir_all(&target).expect("a temporary folder");
    fs::create_dir_all(&elsewhere).expect("a temporary folder");
    std::os::unix::fs::symlink(&elsewhere, target.join("INBOX")).expect("a link");
    let target_text = target.to_str().expect("a plain path");
    let output = world.program.run(["export", "work", target_text, "--format", "eml"]);
    assert_ne!(output.code, Some(0), "a folder that is not empty was taken");
    assert_eq!(names_below(&elsewhere), [""; 0]);
    for format in ["eml", "maildir", "mbox"] {
        let out = world.path("deep/er").join(format);
        fs::create_dir_all(&out).expect("a temporary folder");
        world.run(0, &["export", "work", out.to_str().expect("a plain path"), "--format", format]);
        fs::remove_dir_all(&out).expect("the export is below its target");
    }
    assert_eq!(names_below(&world.path("deep")), ["er"]);
}

#[test]
fn m14_odd_dates_are_kept_and_the_order_is_that_of_receipt() {
    let dates = [
        "Date: Mon, 1 Jan 1900 00:00:00 +0000\r\n",
        "Date: Wed, 1 Jan 2200 00:00:00 +0000\r\n",
        "",
        "Date: Thu, 1 Jan 1970 00:00:00 +0000\r\nDate: Fri, 2 Jan 1970 00:00:00 +0000\r\n",
        "Date: yesterday\r\n",
        "Date: Mon, 32 Foo 20244 99:99:99 +9999\r\n",
    ];
    let mails: Vec<String> =
        (0..).zip(dates).map(|(number, date)| format!("Subject: {number}\r\n{date}\r\nx")).collect();
    let mails: Vec<&[u8]> = mails.iter().map(String::as_bytes).collect();
    let world = World::with(&mails);
    world.pull_all();
    let listed = world.json(&["list", "work", "INBOX"]);
    let listed = listed["messages"].as_array().expect("a list of messages");
    let subjects: Vec<&str> =
        listed.iter().map(|message| message["subject"].as_str().expect("a text")).collect();
    assert_eq!(subjects, ["5", "4", "3", "2", "1", "0"]);
    world.run(0, &["list", "work", "INBOX"]);
}

#[test]
fn m02_a_message_larger_than_the_memory_allowed_is_pulled_verified_and_shown() {
    let long = std::env::var_os("RESTANTE_LONG").is_some_and(|value| value == "1");
    let mebibytes = if long { 1_024 } else { 224 };
    let mut message = b"Subject: large\r\n\r\n".to_vec();
    // Lines that neither compress to nothing nor are base64.
    let mut state = 7_u64;
    while message.len() < mebibytes << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        message.extend_from_slice(format!("{:x} {} of many lines\r\n", state >> 40, state >> 60).as_bytes());
    }
    let world = World::with(&[&message]);
    let key = MessageKey::of(&message).to_string();
    for words in [&["--json", "--run-now"][..], &["verify"], &["list", "work", "INBOX"], &["show", &key]] {
        let command = world.program.command(words);
        let mut limited = Command::new("sh");
        limited.args(["-c", &format!("ulimit -d {MEMORY_KIB}; exec \"$@\""), "sh"]);
        limited.arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => limited.env(name, value),
                None => limited.env_remove(name),
            };
        }
        let output = limited.output().expect("sh is there");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(words[0] != "show" || output.stdout == message, "the message is not what it was");
    }
}

/// What the program may take of data, heap and stacks together.
const MEMORY_KIB: u64 = 192 << 10;
