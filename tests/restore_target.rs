//! Where a restore goes and how sure it is of it: the target is shown, nobody else works on it meanwhile,
//! nothing but the disk is needed, and the report names the kind of proof (R17, R19, O14).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Stdio};

use message::{Flags, InternalDate};
use restante_tests::{date, mail};
use serde_json::Value;
use server::{Behaviour, Store};
use tempfile::TempDir;
use testkit::{Direction, FaultProxy, Harm, How, Output, Restante, Scripted};

const MESSAGES: u32 = 120;

/// A mailbox on a server that the archive was pulled from, and the program.
struct Post {
    store: Store,
    server: Scripted,
    folder: TempDir,
    program: Restante,
}

impl Post {
    fn new() -> Self {
        let store = Store::new();
        store.add_user("anna", "pw");
        for number in 0..MESSAGES {
            let flags = Flags::parse(if number % 3 == 0 { "\\Seen Todo" } else { "" });
            store.append("anna", "INBOX", &flags, &date(number), mail(number)).expect("the store takes mail");
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let home = folder.path().join("home");
        fs::create_dir(&home).expect("the folder is ours");
        let post = Self {
            program: Restante::new(&folder.path().join("r.toml"), &home),
            server: Scripted::start(store.clone(), Behaviour::modern()),
            store,
            folder,
        };
        let secret = post.path("secret");
        fs::write(&secret, "pw\n").expect("the folder is ours");
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).expect("the file is ours");
        post.configure(post.server.port());
        post.run(0, &["--run-now"]);
        post
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn configure(&self, port: u16) {
        let text = format!(
            "[archive]\npath = \"archive\"\nreserve = \"0\"\n\n[[account]]\nname = \"work\"\nhost = \"localhost\"\n\
             port = {port}\ntls = \"none\"\nuser = \"anna\"\npassword_file = \"secret\"\n"
        );
        fs::write(self.path("r.toml"), text).expect("the folder is ours");
    }

    fn run(&self, code: i32, arguments: &[&str]) -> Output {
        let output = self.program.run(arguments);
        output.expect_code(code);
        output
    }

    fn json(&self, code: i32, arguments: &[&str]) -> Value {
        self.run(code, &[&["--json"], arguments].concat()).json()
    }

    /// Another user's empty mailbox on the same server.
    fn other(&self, user: &str) -> String {
        self.store.add_user(user, "pw");
        format!("imap://{user}@localhost:{}", self.server.port())
    }

    fn messages(&self, user: &str, mailbox: &str) -> Vec<(Vec<u8>, Flags, InternalDate)> {
        let messages = self.store.messages(user, mailbox).expect("the mailbox is there");
        let mut messages: Vec<_> = messages
            .into_iter()
            .map(|message| (message.bytes.to_vec(), message.flags, message.date))
            .collect();
        messages.sort_by(|a, b| a.0.cmp(&b.0));
        messages
    }

    /// A run of the account that has begun and waits for its server for ever.
    fn stalled_run(&self) -> (Child, FaultProxy) {
        let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, self.server.port()));
        let harm = Harm::Each { direction: Direction::ToClient, octets: 400, how: How::Stall };
        let proxy = FaultProxy::start(address, harm);
        self.configure(proxy.address().port());
        let mut child = self.program.command(["--run-now"]).stderr(Stdio::null()).spawn().expect("it starts");
        // Something of its login has come to the server, so it has its locks.
        while proxy.octets(Direction::ToServer) < 20 {
            assert!(child.try_wait().expect("the child can be asked").is_none(), "it waits for the server");
            std::thread::yield_now();
        }
        (child, proxy)
    }
}

#[test]
fn r17_the_target_and_what_it_holds_are_shown_and_whether_it_is_the_source() {
    let post = Post::new();
    let before = post.messages("anna", "INBOX");
    let output = post.run(0, &["restore", "work", "--to", "work", "--dry-run"]);
    let port = post.server.port();
    for line in [
        &format!("The target: anna on localhost port {port}; it has 120 messages in 1 folder.\n"),
        "This is the mailbox that the mail was archived from.\n",
        "A dry run: nothing is changed.\n",
    ] {
        assert!(output.stderr.contains(line), "{}", output.stderr);
    }
    let other = post.other("berta");
    let secret = post.path("secret").display().to_string();
    let to_other = ["restore", "work", "--to", &other, "--password-file", &secret];
    let output = post.run(0, &to_other);
    let line = format!("The target: berta on localhost port {port}; it has 0 messages in 1 folder.\n");
    assert!(output.stderr.contains(&line), "{}", output.stderr);
    assert!(!output.stderr.contains("archived from"), "{}", output.stderr);
    assert_eq!(post.messages("berta", "INBOX"), before);
    let output = post.run(0, &[&["--quiet"], &to_other[..]].concat());
    assert_eq!(
        (output.stdout.len(), output.stderr.as_str()),
        (0, ""),
        "nothing went wrong, so nothing is said"
    );
}

#[test]
fn r17_nobody_restores_to_a_mailbox_that_is_being_pulled_by_whatever_name() {
    let post = Post::new();
    let (mut run, _proxy) = post.stalled_run();
    let url = format!("imap://anna@LOCALHOST:{}", post.server.port());
    let secret = post.path("secret").display().to_string();
    for arguments in [
        &["restore", "work", "--to", "work"][..],
        &["restore", "work", "--to", &url, "--password-file", &secret],
    ] {
        let output = post.run(75, arguments);
        assert!(output.stderr.contains("try again"), "{}", output.stderr);
    }
    // Another mailbox is nobody's business.
    let other = post.other("berta");
    post.run(0, &["restore", "work", "--to", &other, "--password-file", &secret]);
    run.kill().expect("the child can be killed");
    run.wait().expect("the child can be reaped");
    post.configure(post.server.port());
    post.run(0, &["restore", "work", "--to", "work"]);
}

#[test]
fn who_asks_a_restore_to_stop_is_told_that_the_same_command_goes_on() {
    let post = Post::new();
    post.other("berta");
    let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, post.server.port()));
    // Somewhere among the messages the line stands still.
    let harm = Harm::Each { direction: Direction::ToServer, octets: 100_000, how: How::Stall };
    let proxy = FaultProxy::start(address, harm);
    let url = format!("imap://berta@localhost:{}", proxy.address().port());
    let secret = post.path("secret").display().to_string();
    let arguments = ["restore", "work", "--to", &url, "--password-file", &secret];
    let mut command = post.program.command(arguments);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts");
    while proxy.octets(Direction::ToServer) < 100_000 {
        std::thread::yield_now();
    }
    let id = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).expect("it is there");
    let output = child.wait_with_output().expect("the child ends");
    let (said, shown) = (String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
    // Nothing of its only folder is known to be there.
    assert_eq!(output.status.code(), Some(1), "{said}{shown}");
    assert!(said.contains("asked to stop") && said.contains("the same command goes on"), "{said}");
    let last = shown.lines().last().unwrap_or_default();
    assert!(last.starts_with("Stopped: ") && last.contains("The same command goes on from here"), "{shown}");
    proxy.set_harm(Harm::None);
    post.run(0, &arguments);
    assert_eq!(post.messages("berta", "INBOX"), post.messages("anna", "INBOX"), "everything once");
}

#[test]
fn r19_the_report_names_the_kind_of_proof() {
    let post = Post::new();
    let secret = post.path("secret").display().to_string();
    let to = |user: &str, more: &[&str], code| {
        let other = post.other(user);
        let arguments = [&["restore", "work", "--to", &other, "--password-file", &secret], more].concat();
        let report = post.json(code, &arguments);
        let said = String::from_utf8(post.run(code, &arguments).stdout).expect("text");
        (report, said)
    };
    let (report, said) = to("berta", &[], 0);
    assert_eq!((&report["outcome"], &report["verify"]), (&"proven".into(), &"headers".into()));
    assert_eq!(report["totals"]["proven"], MESSAGES);
    let by_bytes = report["totals"]["proven_by_bytes"].as_u64().expect("a count");
    assert!(by_bytes > 0 && by_bytes < u64::from(MESSAGES), "a sample: {by_bytes}");
    assert!(
        said.ends_with("All 120 messages are on the server, proven by sizes, headers, flags and dates.\n"),
        "{said}"
    );

    let (report, said) = to("carl", &["--verify=full"], 0);
    assert_eq!((&report["verify"], &report["totals"]["proven_by_bytes"]), (&"full".into(), &MESSAGES.into()));
    assert!(said.ends_with("All 120 messages are on the server, proven byte for byte.\n"), "{said}");

    let (report, said) = to("dora", &["--no-verify"], 3);
    assert_eq!((&report["outcome"], &report["verify"]), (&"unproven".into(), &"off".into()));
    assert_eq!((&report["totals"]["added"], &report["totals"]["proven"]), (&MESSAGES.into(), &0.into()));
    assert!(said.contains("nothing was proven"), "{said}");
    assert_eq!(post.messages("dora", "INBOX"), post.messages("anna", "INBOX"), "it is there all the same");

    // A plan proves nothing and changes nothing.
    let (report, said) = to("emil", &["--dry-run"], 0);
    assert_eq!((&report["outcome"], &report["totals"]["added"]), (&"planned".into(), &MESSAGES.into()));
    assert!(
        said.ends_with("Nothing was changed. 120 messages would be added, 0 are there already.\n"),
        "{said}"
    );
    assert!(post.messages("emil", "INBOX").is_empty());
}

#[test]
fn o14_mail_is_given_back_from_a_disk_alone_to_a_server_that_nobody_configured() {
    let post = Post::new();
    let before = post.messages("anna", "INBOX");
    let other = post.other("berta@example.org").replacen("berta@", "berta%40", 1);
    fs::remove_file(post.path("r.toml")).expect("the file is ours");
    let home = post.path("another machine");
    fs::create_dir(&home).expect("the folder is ours");
    let mut command = std::process::Command::new(post.program.program());
    command.arg("--archive").arg(post.path("archive")).args(["restore", "work", "--to", &other]);
    command.arg("--password-file").arg(post.path("secret")).arg("--json");
    let output =
        command.env("HOME", &home).env("XDG_STATE_HOME", &home).output().expect("the program starts");
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(report["outcome"], "proven", "{report}");
    assert_eq!(post.messages("berta@example.org", "INBOX"), before);
}

#[test]
fn what_is_wrong_is_told_before_anything_is_asked_of_a_server() {
    let post = Post::new();
    let connections = post.server.counts().connections;
    let url = format!("imap://anna@localhost:{}", post.server.port());
    let (secret, none) = (post.path("secret").display().to_string(), post.path("none").display().to_string());
    let password = ["--password-file", secret.as_str()];
    let table: [(i32, &str, Vec<&str>); 10] = [
        (1, "holds no account \"wrok\"", vec!["restore", "wrok", "--to", "work"]),
        (2, "no account \"home\"", vec!["restore", "work", "--to", "home"]),
        (2, "must begin with imaps://", vec!["restore", "work", "--to", "smtp://anna@localhost"]),
        (2, "in the clear", vec!["restore", "work", "--to", "imap://anna@mail.example.org"]),
        (2, "--password-file FILE", vec!["restore", "work", "--to", &url]),
        (2, &none, vec!["restore", "work", "--to", &url, "--password-file", &none]),
        (2, "tls_ca_file", vec!["restore", "work", "--to", "work", "--tls-ca-file", &none]),
        (2, "is not a time", vec!["restore", "work", "--to", "work", "--as-of", "yesterday"]),
        (1, "no run", vec!["restore", "work", "--to", "work", "--as-of", "1999-01-01"]),
        (2, "a[", [&["restore", "work", "--to", &url, "--folder", "a["], &password[..]].concat()),
    ];
    for (code, words, arguments) in table {
        let output = post.run(code, &arguments);
        assert!(output.stderr.contains(words), "{arguments:?}: {}", output.stderr);
    }
    assert_eq!(post.server.counts().connections, connections, "nobody has called");
    // A folder that is not there is known when the archive has been asked.
    let output = post.run(1, &["restore", "work", "--to", "work", "--folder", "Nowhere"]);
    assert!(
        String::from_utf8_lossy(&output.stdout).contains("no folder of the account matches"),
        "{:?}",
        output.stdout
    );
}
