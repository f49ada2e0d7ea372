//! `restante account add`: from an address and a password to an account that is backed up, and nothing
//! half-written when it does not come to that.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use restante_tests::{ACCOUNT, World, append};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use testkit::{Output, Restante};

/// No answer takes so long, however busy the machine.
const LONG: Duration = Duration::from_secs(120);

/// A world whose mailbox has five messages, and no configuration yet.
fn unconfigured() -> Option<World> {
    let world = World::new()?;
    let mut judge = world.judge();
    judge.create("Trash");
    append(&mut judge, "INBOX", 0..5);
    fs::remove_file(world.path("r.toml")).expect("it was there");
    fs::remove_file(world.path("password")).expect("it was there");
    Some(world)
}

/// Arguments that lead to the world's server, with TLS.
fn add(world: &World, more: &[&str]) -> Vec<String> {
    let port = world.dovecot.encrypted().port().to_string();
    let authority = world.dovecot.authority_file().display().to_string();
    let archive = world.archive().display().to_string();
    let mut arguments: Vec<&str> = Vec::new();
    if !world.path("r.toml").exists() {
        arguments.extend(["--archive", &archive]);
    }
    arguments.extend(["account", "add", "--host", "localhost", "--port", &port, "--tls-ca-file", &authority]);
    arguments.extend(more);
    arguments.into_iter().map(str::to_owned).collect()
}

/// Runs it with this on standard input.
fn run(world: &World, arguments: &[String], input: &str) -> Output {
    let mut command = world.program.command(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that does not want to read closes the pipe.
    let _ = child.stdin.take().expect("it is piped").write_all(input.as_bytes());
    child.wait_with_output().expect("the program ends").into()
}

/// Every file and folder in the world's own folder, with what is in it.
fn state(world: &World) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(world.path("")).expect("the folder is ours");
    let mut state: Vec<(String, Vec<u8>)> = entries
        .map(|entry| {
            let path = entry.expect("the folder is ours").path();
            (path.display().to_string(), fs::read(&path).unwrap_or_default())
        })
        .collect();
    state.sort();
    state
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o7777
}

#[test]
fn an_account_that_a_script_adds_is_backed_up() {
    let Some(world) = unconfigured() else { return };
    let arguments = add(&world, &["anna@example.org", "--user", "anna", "--password-stdin"]);
    let output = run(&world, &arguments, &format!("{}\n", world.dovecot.password()));
    output.expect_code(0);
    assert!(output.stderr.contains("5  INBOX"), "{}", output.stderr);
    assert!(output.stderr.contains("thrown away is backed up, too (Trash)"), "{}", output.stderr);
    assert!(output.stderr.contains("--run-now anna"), "{}", output.stderr);
    assert!(output.stdout.is_empty());
    assert_eq!(mode(&world.path("r.toml")), 0o600);
    assert_eq!(mode(&world.path("anna.password")), 0o600);
    let ledger = world.run_now();
    assert_eq!(ledger["account"], "anna", "{ledger}");
    assert_eq!(ledger["totals"]["archived"], 5, "{ledger}");
    let checked = world.json(&["check-config", "--connect"]);
    assert_eq!(checked["accounts"][0]["tls"], "implicit", "{checked}");
}

#[test]
fn what_stands_in_a_configuration_stays_and_no_name_is_used_twice() {
    let Some(world) = World::new() else { return };
    let file = world.path("r.toml");
    let mut before = fs::read_to_string(&file).expect("it is there");
    before.push_str("\n# a word of the administrator's, and no line end");
    fs::write(&file, &before).expect("the folder is ours");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).expect("the file is ours");
    let password = world.path("password").display().to_string();
    let second = add(&world, &["berta@example.org", "--name", "second", "--password-file", &password]);
    run(&world, &second, "").expect_code(0);
    let after = fs::read_to_string(&file).expect("it is there");
    assert!(after.starts_with(&before), "{after}");
    assert_eq!(mode(&file), 0o640);
    assert!(!world.path("second.password").exists(), "the file that was named is used where it is");
    for name in ["second", "SECOND", ACCOUNT] {
        let twice = add(&world, &["carla@example.org", "--name", name, "--password-file", &password]);
        let output = run(&world, &twice, "");
        assert!(output.expect_code(2).stderr.contains("already"), "{}", output.stderr);
    }
    let same = add(&world, &["berta@example.org", "--name", "third", "--password-file", &password]);
    let output = run(&world, &same, "");
    assert!(
        output.expect_code(2).stderr.contains("\"second\" has this mailbox already"),
        "{}",
        output.stderr
    );
    assert_eq!(fs::read_to_string(&file).expect("it is there"), after);
    let runs = world.json(&["--run-now"]);
    assert_eq!(runs["runs"].as_array().map(Vec::len), Some(2), "{runs}");
}

#[test]
fn where_no_login_comes_about_nothing_is_written() {
    let Some(world) = unconfigured() else { return };
    let before = state(&world);
    let canary = "canary-5521-pw";
    let wrong = add(&world, &["anna@example.org", "--password-stdin"]);
    let output = run(&world, &wrong, canary);
    output.expect_code(1);
    assert!(output.stderr.contains("AUTHENTICATIONFAILED"), "{}", output.stderr);
    assert!(output.stderr.contains("nothing was written"), "{}", output.stderr);
    assert!(output.stderr.contains("app password"), "{}", output.stderr);
    assert!(!output.stderr.contains("canary"), "{}", output.stderr);
    let untrusted: Vec<String> = wrong
        .iter()
        .filter(|argument| !argument.starts_with("--tls-ca") && !argument.ends_with(".pem"))
        .cloned()
        .collect();
    let output = run(&world, &untrusted, world.dovecot.password());
    assert!(output.expect_code(1).stderr.contains("certificate"), "{}", output.stderr);
    // Nobody to be asked, nothing given; not a password; another host without TLS.
    run(&world, &add(&world, &["anna@example.org"]), "").expect_code(2);
    run(&world, &wrong, "").expect_code(2);
    let port = world.dovecot.plain().port().to_string();
    let open = ["account", "add", "a@b.example", "--host", "192.0.2.1", "--port", &port, "--tls", "none"];
    let output = world.program.run([&open[..], &["--password-stdin"]].concat());
    assert!(output.expect_code(2).stderr.contains("in the clear"), "{}", output.stderr);
    assert_eq!(state(&world), before);
}

#[test]
fn s01_the_password_stands_in_no_output_and_in_no_file_but_its_own() {
    let Some(world) = unconfigured() else { return };
    let canary = "canary-9174-add";
    let helper = world.path("helper");
    fs::write(&helper, format!("#!/bin/sh\necho {canary}\n")).expect("the folder is ours");
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o700)).expect("the file is ours");
    let helper = helper.display().to_string();
    for source in [&["--password-stdin"][..], &["--password-command", &helper]] {
        for before in [&["--verbose"][..], &["--json", "--verbose"]] {
            let arguments = add(&world, &[&["anna@example.org"], source, before].concat());
            let mut command = world.program.command(&arguments);
            command
                .env("RUST_LOG", "trace")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped());
            let mut child = command.spawn().expect("the program starts");
            let _ = child.stdin.take().expect("it is piped").write_all(canary.as_bytes());
            let output = Output::from(child.wait_with_output().expect("it ends"));
            let text = output.expect_code(1).stderr.clone() + &String::from_utf8_lossy(&output.stdout);
            assert!(!text.contains("canary-9174") && !text.contains("Y2FuYXJ5LTkxNz"), "{text}");
        }
    }
}

#[test]
fn a_dry_run_prints_what_would_be_written_and_json_tells_all_of_it() {
    let Some(world) = unconfigured() else { return };
    let before = state(&world);
    let password = world.dovecot.password();
    let dry = add(&world, &["anna@example.org", "--user", "anna", "--password-stdin", "--dry-run"]);
    let output = run(&world, &dry, password);
    let toml = String::from_utf8(output.expect_code(0).stdout.clone()).expect("it is text");
    assert!(toml.contains("[archive]") && toml.contains("password_file = \"anna.password\""), "{toml}");
    assert_eq!(state(&world), before);
    let untested = add(&world, &["anna@example.org", "--user", "anna", "--dry-run", "--no-test"]);
    assert_eq!(String::from_utf8_lossy(&run(&world, &untested, "").expect_code(0).stdout), {
        let without_bins: Vec<&str> = toml.lines().filter(|line| !line.starts_with("#exclude")).collect();
        without_bins.join("\n") + "\n"
    });
    let output = run(
        &world,
        &add(&world, &["anna@example.org", "--user", "anna", "--password-stdin", "--json"]),
        password,
    );
    let told = output.expect_code(0).json();
    assert_eq!(
        (&told["account"], &told["written"], &told["created"]),
        (&"anna".into(), &true.into(), &true.into())
    );
    assert_eq!((&told["server"]["host"], &told["messages"]), (&"localhost".into(), &5.into()), "{told}");
    assert_eq!(told["toml"], toml, "{told}");
    assert_eq!(fs::read_to_string(world.path("r.toml")).expect("it is there"), toml);
    // Its password file is there; without the account it is nobody's, and still not overwritten.
    fs::remove_file(world.path("r.toml")).expect("it is there");
    let output =
        run(&world, &add(&world, &["anna@example.org", "--user", "anna", "--password-stdin"]), password);
    assert!(output.expect_code(2).stderr.contains("is there already"), "{}", output.stderr);
}

#[test]
fn an_account_over_pop3_is_added_with_what_pop3_cannot_give() {
    let Some(world) = unconfigured() else { return };
    let Some(address) = world.dovecot.pop3s() else { return };
    let authority = world.dovecot.authority_file().display().to_string();
    let (archive, port) = (world.archive().display().to_string(), address.port().to_string());
    let arguments = [
        "--archive",
        &archive,
        "account",
        "add",
        "--protocol",
        "pop3",
        "--host",
        "localhost",
        "--port",
        &port,
        "--tls-ca-file",
        &authority,
        "--user",
        "anna",
        "--password-stdin",
    ]
    .map(str::to_owned);
    let output = run(&world, &arguments, world.dovecot.password());
    assert!(output.expect_code(0).stderr.contains("INBOX alone"), "{}", output.stderr);
    assert!(output.stderr.contains("1 folders, 5 messages"), "{}", output.stderr);
    assert_eq!(world.run_now()["totals"]["archived"], 5);
}

#[test]
fn s03_what_root_adds_for_another_user_belongs_to_that_user() {
    let Some(world) = unconfigured() else { return };
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let file = world.path("r.toml");
    fs::write(&file, format!("[archive]\npath = {:?}\n", world.archive())).expect("the folder is ours");
    std::os::unix::fs::chown(&file, Some(4711), Some(4712)).expect("root may");
    let output =
        run(&world, &add(&world, &["anna@example.org", "--password-stdin"]), world.dovecot.password());
    output.expect_code(0);
    for path in [file, world.path("anna.password")] {
        let metadata = fs::metadata(&path).expect("it is there");
        assert_eq!((metadata.uid(), metadata.gid()), (4711, 4712), "{}", path.display());
    }
}

/// A person at a terminal, and the program at the other end of it.
struct Terminal {
    keys: File,
    shown: Receiver<Vec<u8>>,
    text: String,
    program: std::process::Child,
}

impl Terminal {
    fn start(program: &Restante, arguments: &[String]) -> Self {
        let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&person).expect("it is ours");
        unlockpt(&person).expect("it is ours");
        let name = ptsname(&person, Vec::new()).expect("it has a name").into_string().expect("of letters");
        let open = || OpenOptions::new().read(true).write(true).open(&name).expect("its other end");
        let mut command: Command = program.command(arguments);
        let program = command.stdin(open()).stderr(open()).stdout(Stdio::null()).spawn().expect("it starts");
        drop(command);
        let keys = File::from(person);
        let mut screen = keys.try_clone().expect("a second handle");
        let (sender, shown) = channel();
        std::thread::spawn(move || {
            let mut piece = [0; 1000];
            // The end is an error when nobody has the other end open any more.
            while let Ok(length @ 1..) = screen.read(&mut piece) {
                if sender.send(piece[..length].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { keys, shown, text: String::new(), program }
    }

    /// Waits until this is shown, behind what was waited for before.
    fn expect(&mut self, words: &str) -> &mut Self {
        loop {
            if let Some(at) = self.text.find(words) {
                self.text.drain(..at + words.len());
                return self;
            }
            match self.shown.recv_timeout(LONG) {
                Ok(piece) => self.text.push_str(&String::from_utf8_lossy(&piece)),
                Err(_) => panic!("{words:?} is not shown:\n{}", self.text),
            }
        }
    }

    fn answer(&mut self, line: &str) -> &mut Self {
        self.keys.write_all(format!("{line}\n").as_bytes()).expect("the terminal takes it");
        self
    }

    /// The exit status, and what was shown since the last answer.
    fn end(mut self) -> (Option<i32>, String) {
        let status = self.program.wait().expect("it ends");
        while let Ok(piece) = self.shown.recv_timeout(LONG) {
            self.text.push_str(&String::from_utf8_lossy(&piece));
        }
        (status.code(), self.text)
    }
}

#[test]
fn a_person_at_a_terminal_is_asked_for_what_is_missing() {
    let Some(world) = unconfigured() else { return };
    let mut terminal = Terminal::start(&world.program, &add(&world, &[]));
    terminal.expect("Mail address: ").answer("Anna@example.org");
    terminal.expect("User name [Anna@example.org]: ").answer("anna");
    terminal.expect("Name for the account [anna]: ").answer("");
    terminal.expect("Password of anna: ").answer(world.dovecot.password());
    terminal.expect("5  INBOX").expect("Write it to ").expect("[Y/n]: ").answer("");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("--run-now anna"), "{shown}");
    assert!(!shown.contains(&format!("\n{}", world.dovecot.password())), "{shown}");
    assert_eq!(world.run_now()["totals"]["archived"], 5);
}

#[test]
fn who_says_no_at_the_end_or_goes_away_has_changed_nothing() {
    let Some(world) = unconfigured() else { return };
    let before = state(&world);
    let arguments = add(&world, &["anna@example.org", "--user", "anna", "--name", "anna"]);
    let mut terminal = Terminal::start(&world.program, &arguments);
    terminal.expect("Password of anna: ").answer(world.dovecot.password());
    terminal.expect("[Y/n]: ").answer("n");
    assert_eq!(terminal.end().0, Some(1));
    let mut terminal = Terminal::start(&world.program, &arguments);
    terminal.expect("Password of anna: ").answer("\u{3}");
    assert_eq!(terminal.end().0, Some(1));
    assert_eq!(state(&world), before);
}
