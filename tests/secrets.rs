//! Passwords go to the server and nowhere else; what is written is the owner's alone (S1 to S5).

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use message::{Flags, InternalDate};
use server::{Behaviour, Store};
use tempfile::TempDir;
use testkit::{Direction, FaultProxy, Harm, How, Output, Restante, Scripted, ScriptedPop3};

/// Nothing else in the world has this in it.
const CANARY: &str = "canary-7431-pw";

/// A server whose user has the canary for a password, and the program configured for it.
struct Vault {
    server: Scripted,
    folder: TempDir,
    program: Restante,
}

/// A message of a user whose password is the canary.
fn store() -> Store {
    let store = Store::new();
    store.add_user("anna", CANARY);
    let date = InternalDate::parse("02-Mar-2026 10:00:00 +0000");
    let text = b"Subject: hello\r\n\r\nHello.\r\n".to_vec();
    store.append("anna", "INBOX", &Flags::new(), &date, text).expect("the store takes mail");
    store
}

impl Vault {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let config = folder.path().join("r.toml");
        let home = folder.path().join("home");
        fs::create_dir(&home).expect("the folder is ours");
        let vault = Self {
            server: Scripted::start(store(), Behaviour::modern()),
            program: Restante::new(&config, &home),
            folder,
        };
        vault.write("secret", &format!("{CANARY}\n"), 0o600);
        vault.configure("password_file = \"secret\"", vault.server.port());
        vault
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        fs::write(self.path(name), text).expect("the folder is ours");
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(mode)).expect("the file is ours");
    }

    fn configure(&self, password: &str, port: u16) {
        let text = format!(
            "[archive]\npath = \"archive\"\nreserve = \"0\"\n\n[[account]]\nname = \"work\"\nhost = \"localhost\"\n\
             port = {port}\ntls = \"none\"\nuser = \"anna\"\n{password}\n"
        );
        self.write("r.toml", &text, 0o600);
    }

    /// Runs it as talkative as it can be.
    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.program.command(arguments);
        let output = command.env("RUST_LOG", "trace").output().expect("the program starts");
        Output {
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Every file that the program has made.
    fn made(&self) -> Vec<PathBuf> {
        [self.path("archive"), self.path("home")].iter().flat_map(|folder| below(folder)).collect()
    }
}

/// All files and folders below a folder, and itself.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut found = vec![folder.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        if path.is_dir() {
            found.extend(fs::read_dir(path).expect("a folder").map(|entry| entry.expect("an entry").path()));
        }
    }
    found
}

/// The canary as it is, and as base64 has it, wherever in a SASL response it begins.
const FORMS: [&str; 4] = ["canary", "Y2FuYXJ5LTc0MzEtcH", "hbmFyeS03NDMxLXB3", "YW5hcnktNzQzMS1wd"];

#[track_caller]
fn assert_clean(what: &str, bytes: &[u8]) {
    for form in FORMS {
        let found = bytes.windows(form.len()).any(|window| window == form.as_bytes());
        assert!(!found, "{what} holds {form}:\n{}", String::from_utf8_lossy(bytes));
    }
}

#[test]
fn s01_the_password_stands_in_no_output_and_in_no_file() {
    let vault = Vault::new();
    let helper = format!("#!/bin/sh\necho '{CANARY}'\n");
    vault.write("helper", &helper, 0o700);
    let broken = format!("#!/bin/sh\necho '{CANARY}'\necho no key >&2\nexit 3\n");
    vault.write("broken", &broken, 0o700);
    let sources = [
        "password_file = \"secret\"".to_owned(),
        format!("password = \"{CANARY}\""),
        format!("password_command = [\"{}\"]", vault.path("helper").display()),
        format!("password_command = [\"{}\"]", vault.path("broken").display()),
        // The server refuses it.
        format!("password = \"{CANARY}-not\""),
        // A configuration that is wrong right beside it.
        format!("password = \"{CANARY}\" oops"),
        format!("password = \"{CANARY}\"\npassword_file = \"secret\""),
        format!("passwort = \"{CANARY}\""),
    ];
    let mut good = 0;
    for source in sources {
        vault.configure(&source, vault.server.port());
        for arguments in [
            &["--verbose", "--run-now"][..],
            &["--json", "--verbose", "--run-now"],
            &["--log-format", "json", "--run-now"],
            &["--verbose", "check-config"],
            &["--verbose", "check-config", "--connect"],
            &["--json", "status"],
            &["--json", "list"],
            &["--json", "verify"],
            &["--verbose", "restore", "work", "--to", "work"],
            &["--json", "--verbose", "restore", "work", "--to", "work", "--dry-run"],
        ] {
            let output = vault.run(arguments);
            good += usize::from(output.code == Some(0));
            assert_clean(&format!("{arguments:?} with {source}: standard output"), &output.stdout);
            assert_clean(&format!("{arguments:?} with {source}: standard error"), output.stderr.as_bytes());
        }
    }
    assert!(good > 20, "most of it works: {good}");
    for path in vault.made().iter().filter(|path| path.is_file()) {
        assert_clean(&path.display().to_string(), &fs::read(path).expect("a file"));
    }
}

#[test]
fn s01_over_pop3_the_password_stands_in_no_output_and_in_no_file() {
    use server::pop3;
    let vault = Vault::new();
    let behaviour = pop3::Behaviour::modern().with_greeting("<1896.697@pop.example.org>");
    let server = ScriptedPop3::start(store(), behaviour.with("SASL PLAIN XOAUTH2 OAUTHBEARER"));
    let mut good = 0;
    for password in [CANARY.to_owned(), format!("{CANARY}-not")] {
        for auth in ["auto", "user", "plain", "apop", "xoauth2", "oauthbearer"] {
            let lines = format!("protocol = \"pop3\"\nauth = \"{auth}\"\npassword = \"{password}\"");
            vault.configure(&lines, server.port());
            for arguments in [
                &["--verbose", "--run-now"][..],
                &["--json", "--verbose", "--run-now"],
                &["--log-format", "json", "--run-now"],
                &["--verbose", "check-config", "--connect"],
            ] {
                let output = vault.run(arguments);
                good += usize::from(output.code == Some(0));
                assert_clean(&format!("{arguments:?} with {auth}: standard output"), &output.stdout);
                assert_clean(&format!("{arguments:?} with {auth}: standard error"), output.stderr.as_bytes());
            }
        }
    }
    assert_eq!(good, 24, "each way to log in works with the right password");
    for path in vault.made().iter().filter(|path| path.is_file()) {
        assert_clean(&path.display().to_string(), &fs::read(path).expect("a file"));
    }
}

#[test]
fn s01_the_password_of_a_restore_stands_in_no_output_and_in_no_file() {
    let vault = Vault::new();
    vault.run(&["--run-now"]).expect_code(0);
    vault.write("helper", &format!("#!/bin/sh\necho '{CANARY}'\n"), 0o700);
    vault.write("broken", &format!("#!/bin/sh\necho '{CANARY}'\nexit 3\n"), 0o700);
    vault.write("open", CANARY, 0o644);
    vault.write("wrong", &format!("{CANARY}-not"), 0o600);
    let url = format!("imap://anna@localhost:{}", vault.server.port());
    let with_password = format!("imap://anna:{CANARY}@localhost:{}", vault.server.port());
    let path = |name: &str| vault.path(name).display().to_string();
    let helper = format!("{} 'an argument'", path("helper"));
    let table: [(i32, &str, &[&str]); 8] = [
        (0, &url, &["--password-file", &path("secret")]),
        (0, &url, &["--password-command", &helper]),
        (2, &url, &["--password-command", &path("broken")]),
        (2, &url, &["--password-file", &path("open")]),
        (1, &url, &["--password-file", &path("wrong")]),
        // Nobody is there to be asked.
        (2, &url, &[]),
        (2, &with_password, &[]),
        (2, &format!("{with_password}/INBOX"), &["--password-file", &path("secret")]),
    ];
    for (code, to, more) in table {
        for first in [&["--verbose"][..], &["--json", "--verbose"], &["--log-format", "json"]] {
            let arguments = [first, &["restore", "work", "--to", to], more].concat();
            let output = vault.run(&arguments);
            output.expect_code(code);
            assert_clean(&format!("{more:?}: standard output"), &output.stdout);
            assert_clean(&format!("{more:?}: standard error"), output.stderr.as_bytes());
        }
    }
    let output = vault.run(&["--verbose", "--json", "drill"]);
    output.expect_code(0);
    for path in vault.made().iter().filter(|path| path.is_file()) {
        assert_clean(&path.display().to_string(), &fs::read(path).expect("a file"));
    }
}

#[test]
fn s01_the_password_stands_in_no_metrics_and_in_no_log_of_the_daemon() {
    for (password, outcome) in [(CANARY.to_owned(), "ok"), (format!("{CANARY}-not"), "failed")] {
        let vault = Vault::new();
        vault.configure(&format!("password = \"{password}\""), vault.server.port());
        let text = fs::read_to_string(vault.path("r.toml")).expect("it was just written");
        let metrics = "[metrics]\nlisten = \"home/metrics\"\ntextfile = \"home/restante.prom\"\n";
        let metrics = metrics.replace("\"home/m", &format!("\"{}/m", vault.path("home").display()));
        vault.write("r.toml", &format!("{metrics}{text}"), 0o600);
        let mut command = vault.program.command(["--verbose", "daemon"]);
        command.env("RUST_LOG", "trace").stdout(Stdio::piped()).stderr(Stdio::piped());
        let daemon = command.spawn().expect("the program starts");
        let words = format!("restante_last_run_outcome{{account=\"work\",outcome=\"{outcome}\"}} 1");
        let begun = std::time::Instant::now();
        let textfile = || fs::read_to_string(vault.path("home/restante.prom")).unwrap_or_default();
        while !textfile().contains(&words) {
            assert!(begun.elapsed().as_secs() < 60, "{words} does not come: {}", textfile());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let mut door =
            std::os::unix::net::UnixStream::connect(vault.path("home/metrics")).expect("the door is open");
        door.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").expect("it reads");
        let mut page = Vec::new();
        std::io::Read::read_to_end(&mut door, &mut page).expect("it answers");
        assert!(String::from_utf8_lossy(&page).contains(&words));
        assert_clean("the page", &page);
        let pid = i32::try_from(daemon.id()).ok().and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("a process"), rustix::process::Signal::TERM)
            .expect("it runs");
        let output = daemon.wait_with_output().expect("it ends");
        assert!(!output.stderr.is_empty());
        assert_clean("the daemon's standard output", &output.stdout);
        assert_clean("the daemon's log", &output.stderr);
        for path in vault.made().iter().filter(|path| path.is_file()) {
            assert_clean(&path.display().to_string(), &fs::read(path).expect("a file"));
        }
    }
}

#[test]
fn s02_the_password_stands_in_no_argument_and_no_environment() {
    let vault = Vault::new();
    let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, vault.server.port()));
    // The greeting comes through and nothing more, so that the program has the password and waits.
    let harm = Harm::Each { direction: Direction::ToClient, octets: 400, how: How::Stall };
    let proxy = FaultProxy::start(address, harm);
    let helper = format!("#!/bin/sh\ncat {}\n", vault.path("secret").display());
    vault.write("helper", &helper, 0o700);
    let source = format!("password_command = [\"{}\"]", vault.path("helper").display());
    vault.configure(&source, proxy.address().port());
    let mut child = vault
        .program
        .command(["--run-now"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    // A login has been sent when so much has gone to the server.
    while proxy.octets(Direction::ToServer) < 20 {
        assert!(child.try_wait().expect("the child can be asked").is_none(), "it waits for the server");
        std::thread::yield_now();
    }
    for file in ["cmdline", "environ"] {
        let bytes = fs::read(format!("/proc/{}/{file}", child.id()));
        // Not dumpable: without root not even its own user may look.
        if let Ok(bytes) = bytes {
            assert_clean(file, &bytes);
        }
    }
    child.kill().expect("the child can be killed");
    child.wait().expect("the child can be reaped");
}

#[test]
fn s03_everything_is_for_its_owner_alone_whatever_the_umask() {
    let vault = Vault::new();
    let out = vault.path("home").join("out");
    let run = |arguments: &str| {
        let script = format!("umask 000; exec \"$0\" --config \"$1\" {arguments}");
        let config = vault.path("r.toml");
        let status = Command::new("sh")
            .args(["-c", &script])
            .arg(vault.program.program())
            .arg(&config)
            .env("XDG_STATE_HOME", vault.path("home").join("state"))
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .status()
            .expect("a shell");
        assert!(status.success(), "{arguments}: {status}");
    };
    fs::set_permissions(vault.path("home"), fs::Permissions::from_mode(0o700)).expect("the folder is ours");
    run("--run-now");
    run("verify");
    fs::create_dir(&out).expect("the folder is ours");
    fs::set_permissions(&out, fs::Permissions::from_mode(0o700)).expect("the folder is ours");
    for format in ["eml", "maildir", "mbox"] {
        run(&format!("export work {} --format {format}", out.join(format).display()));
        fs::metadata(out.join(format)).expect("it was exported");
    }
    let made = vault.made();
    assert!(made.len() > 15, "{made:?}");
    for path in made {
        let mode = fs::symlink_metadata(&path).expect("it is there").mode();
        assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
    }
}

#[test]
fn s03_a_password_that_others_can_read_is_refused() {
    let vault = Vault::new();
    for mode in [0o640, 0o604, 0o660, 0o622] {
        vault.write("secret", CANARY, mode);
        let output = vault.run(&["--run-now"]);
        output.expect_code(2);
        assert!(output.stderr.contains("chmod 600"), "{}", output.stderr);
        assert!(!vault.path("archive").exists(), "nothing was started");
    }
}

#[test]
fn s04_a_symbolic_link_in_the_archive_or_the_state_is_not_written_through() {
    let vault = Vault::new();
    vault.run(&["--run-now"]).expect_code(0);
    let victim = vault.path("victim");
    fs::write(&victim, b"precious").expect("the folder is ours");
    let state = vault.path("home").join("state/restante/archives.json");
    for path in
        [vault.path("archive/lock"), vault.path("archive/owner"), vault.path("archive/archive.toml"), state]
    {
        let kept = fs::read(&path).expect("it is there");
        fs::remove_file(&path).expect("it is ours");
        std::os::unix::fs::symlink(&victim, &path).expect("a link can be made");
        let output = vault.run(&["--run-now"]);
        assert_ne!(output.code, Some(0), "{}", path.display());
        assert!(output.stderr.contains(&path.display().to_string()), "{}", output.stderr);
        assert_eq!(fs::read(&victim).expect("it is there"), b"precious", "{}", path.display());
        fs::remove_file(&path).expect("it is ours");
        fs::write(&path, kept).expect("the folder is ours");
        vault.run(&["--run-now"]).expect_code(0);
    }
}

#[test]
fn s05_a_password_command_has_no_shell_no_environment_and_no_descriptors() {
    let vault = Vault::new();
    let told = vault.path("told");
    let script = format!(
        "#!/bin/sh\n{{ printf '%s\\n' \"$@\"; echo --; env; echo --; ls -l /proc/$$/fd; }} > {}\necho {CANARY}\n",
        told.display()
    );
    vault.write("helper", &script, 0o700);
    let touched = vault.path("touched");
    let evil = format!("$(touch {0}); `touch {0}` | tee {0} && touch {0}", touched.display());
    vault.configure(
        &format!("password_command = [{:?}, {evil:?}]", vault.path("helper").display().to_string()),
        vault.server.port(),
    );
    let mut command = vault.program.command(["--run-now"]);
    let output = command.env("OTHER_SECRET", "canary-of-another").output().expect("the program starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!touched.exists(), "a shell has read the arguments");
    let told = fs::read_to_string(told).expect("the command has run");
    let parts: Vec<&str> = told.split("--\n").collect();
    assert_eq!(parts[0], format!("{evil}\n"), "the argument comes as it is");
    assert!(!parts[1].contains("OTHER_SECRET") && !parts[1].contains("XDG_STATE_HOME"), "{}", parts[1]);
    let archive = vault.path("archive").display().to_string();
    assert!(!parts[2].contains(&archive) && !parts[2].contains("socket:"), "{}", parts[2]);
}

#[test]
fn m09_a_closed_pipe_is_no_error() {
    let vault = Vault::new();
    vault.run(&["--run-now"]).expect_code(0);
    for arguments in [&["--json", "list", "work", "INBOX"][..], &["list"], &["--json", "status"], &["--help"]]
    {
        let mut child = vault
            .program
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("the child ends");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}: {said}");
        assert!(said.is_empty(), "{arguments:?}: {said}");
    }
    // A person's log that nobody reads any more does not end the work either.
    let mut child = vault.program.command(["--run-now"]).stderr(Stdio::piped()).spawn().expect("it starts");
    drop(child.stderr.take());
    assert!(child.wait().expect("the child ends").success());
    std::io::stdout().flush().expect("the test's own output is there");
}
