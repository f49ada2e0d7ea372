//! Accounts that are watched: mail is in the archive soon after it came, whatever the schedule says.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use message::{Flags, InternalDate};
use restante_tests::{ACCOUNT, USER, World};
use rustix::process::{Pid, Signal, kill_process};
use server::{Behaviour, Store};
use testkit::{Options, Restante, Scripted};

/// Beyond this something hangs: a watch that was lost may rest for half a minute by then.
const PATIENCE: Duration = Duration::from_secs(180);

/// The first run comes at once, the next by schedule in a year.
const WATCHED: &str = "schedule = \"0 0 1 1 *\"\nwatch = true\n";

/// A daemon, and what it tells its service manager.
struct Daemon {
    child: Child,
    manager: UnixDatagram,
    /// The last status.
    status: String,
}

impl Daemon {
    fn start(program: &Restante, folder: &std::path::Path) -> Self {
        let manager = UnixDatagram::bind(folder.join("notify")).expect("a socket");
        manager.set_read_timeout(Some(Duration::from_millis(100))).expect("a socket can be told");
        let mut command = program.command(["daemon"]);
        let log = fs::File::create(folder.join("daemon.log")).expect("the test's own folder");
        command.env("NOTIFY_SOCKET", folder.join("notify")).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().expect("the program starts");
        Self { child, manager, status: String::new() }
    }

    /// Waits until the status is one of these.
    fn wait_for(&mut self, what: &str, is: impl Fn(&str) -> bool) {
        let begun = Instant::now();
        let mut buffer = [0; 4096];
        while !is(&self.status) {
            assert!(begun.elapsed() < PATIENCE, "{what}: not so, but: {}", self.status);
            let Ok(length) = self.manager.recv(&mut buffer) else { continue };
            let told = String::from_utf8_lossy(&buffer[..length]);
            if let Some(status) = told.lines().find_map(|line| line.strip_prefix("STATUS=")) {
                status.clone_into(&mut self.status);
            }
        }
    }

    fn wait_until_watching(&mut self) {
        self.wait_for("it watches", |status| status.contains("watching 1 account"));
    }

    fn send(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("it runs");
    }

    fn end(mut self) {
        self.send(Signal::TERM);
        let begun = Instant::now();
        while self.child.try_wait().expect("the child can be asked").is_none() {
            assert!(begun.elapsed() < PATIENCE, "it does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(self.child.wait().expect("it has ended").success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Only after a test that failed; else it has ended.
        let _ = self.child.kill();
    }
}

fn until(what: &str, mut is: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not so");
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn letter(number: u32) -> Vec<u8> {
    format!("Subject: {number}\r\n\r\n{}", "a line\r\n".repeat(20)).into_bytes()
}

/// Waits until the archive has so many messages in this folder.
fn wait_for_mail(program: &Restante, account: &str, folder: &str, count: usize) {
    until(&format!("{folder} of {account} has {count} messages"), || {
        let listed = program.run(["--json", "list", account, folder]);
        listed.code == Some(0) && listed.json()["messages"].as_array().map_or(0, Vec::len) == count
    });
}

#[test]
fn n15_mail_is_archived_soon_after_it_came_in_every_folder_also_after_the_server_was_gone() {
    let Some(mut world) = World::with(Options::default(), WATCHED) else { return };
    let date = InternalDate::parse("02-Mar-2026 10:00:00 +0000");
    world.judge().create("Lists");
    let folder = world.path("");
    let mut daemon = Daemon::start(&world.program, &folder);
    daemon.wait_until_watching();
    world.judge().append("INBOX", &Flags::new(), &date, &letter(1));
    wait_for_mail(&world.program, ACCOUNT, "INBOX", 1);
    world.judge().append("Lists", &Flags::new(), &date, &letter(2));
    wait_for_mail(&world.program, ACCOUNT, "Lists", 1);

    world.dovecot.restart();
    world.dovecot.deliver(USER, "INBOX", &Flags::new(), &date, &letter(3));
    wait_for_mail(&world.program, ACCOUNT, "INBOX", 2);

    daemon.wait_until_watching();
    let waits = |world: &World| world.dovecot.log().matches("IDLE running").count();
    let before = waits(&world);
    world.configure(&WATCHED.replace("true", "false"));
    daemon.send(Signal::HUP);
    until("the connection that waited is gone", || waits(&world) > before);
    daemon.wait_for("it does not watch", |status| !status.contains("watching"));
    daemon.end();
    world.program.run(["verify"]).expect_code(0);
    let log = fs::read_to_string(folder.join("daemon.log")).expect("the test's own folder");
    assert!(log.contains("watching all folders") && log.contains("the watch was lost"), "{log}");
}

/// A daemon for one account on a scripted server, in a folder of its own.
fn scripted(behaviour: Behaviour, password: &str) -> (Scripted, Store, tempfile::TempDir, Restante) {
    let store = Store::new();
    store.add_user(USER, "pass");
    let server = Scripted::start(store.clone(), behaviour);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("r.toml");
    write_password(folder.path(), password);
    let text = format!(
        "[archive]\npath = \"archive\"\nreserve = \"0\"\n[[account]]\nname = \"{ACCOUNT}\"\nhost = \"127.0.0.1\"\n\
         port = {}\ntls = \"none\"\nuser = \"{USER}\"\npassword_file = \"password\"\n{WATCHED}",
        server.port()
    );
    fs::write(&file, text).expect("the test's own folder");
    let program = Restante::new(&file, folder.path());
    (server, store, folder, program)
}

fn write_password(folder: &std::path::Path, password: &str) {
    use std::os::unix::fs::PermissionsExt;
    let file = folder.join("password");
    fs::write(&file, password).expect("the test's own folder");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("an own file");
}

#[test]
fn o01_a_watch_whose_login_is_refused_waits_for_a_run_that_is_not() {
    let (server, store, folder, program) = scripted(Behaviour::modern(), "wrong");
    let mut daemon = Daemon::start(&program, folder.path());
    daemon.wait_for("the run has failed", |status| status.contains("1 failed"));
    write_password(folder.path(), "pass");
    daemon.send(Signal::HUP);
    daemon.wait_until_watching();
    // One by the run, and perhaps one by the watch that was opened before it.
    assert!(server.counts().logins_refused <= 2, "{}", server.counts().logins_refused);
    store.append(USER, "INBOX", &Flags::new(), &InternalDate::from_unix(0, 0), letter(1)).expect("a user");
    wait_for_mail(&program, ACCOUNT, "INBOX", 1);
    daemon.end();
}

#[test]
fn a_reload_leaves_the_connection_of_an_account_alone_that_is_what_it_was() {
    let (server, store, folder, program) = scripted(Behaviour::modern(), "pass");
    let deliver = |number| {
        let date = InternalDate::from_unix(0, 0);
        store.append(USER, "INBOX", &Flags::new(), &date, letter(number)).expect("a user");
    };
    let mut daemon = Daemon::start(&program, folder.path());
    daemon.wait_until_watching();
    deliver(1);
    wait_for_mail(&program, ACCOUNT, "INBOX", 1);
    let file = folder.path().join("r.toml");
    let text = fs::read_to_string(&file).expect("the test's own file") + "max_bytes_per_day = \"5GB\"\n";
    fs::write(&file, text).expect("the test's own file");
    daemon.send(Signal::HUP);
    let log = || fs::read_to_string(folder.path().join("daemon.log")).unwrap_or_default();
    until("the configuration is read again", || log().contains("configuration read again"));
    deliver(2);
    wait_for_mail(&program, ACCOUNT, "INBOX", 2);
    assert_eq!(server.log().iter().filter(|command| *command == "IDLE").count(), 1);
    assert_eq!(log().matches("watching INBOX").count(), 1);
    daemon.end();
}

#[test]
fn where_there_is_room_for_one_connection_the_backup_has_it() {
    let (server, store, folder, program) = scripted(Behaviour::modern().with_sessions_at_once(1), "pass");
    let file = folder.path().join("r.toml");
    let text = fs::read_to_string(&file).expect("the test's own file") + "[account.limits]\nretries = 0\n";
    fs::write(&file, text).expect("the test's own file");
    let daemon = Daemon::start(&program, folder.path());
    let log = || fs::read_to_string(folder.path().join("daemon.log")).unwrap_or_default();
    store.append(USER, "INBOX", &Flags::new(), &InternalDate::from_unix(0, 0), letter(1)).expect("a user");
    // Whoever comes first: either the run has it, and the watch stands back, or the watch makes room.
    until("the watch has stood back", || log().contains("made room") || log().contains("not watched"));
    let logins = server.counts().logins;
    assert!(logins <= 3, "{logins}");
    daemon.end();
    program.run(["--quiet", "--run-now"]).expect_code(0);
}

#[test]
fn a_server_without_idle_is_told_once_and_backed_up_by_schedule() {
    let (_server, store, folder, program) =
        scripted(Behaviour::modern().without("IDLE").without("IMAP4rev2"), "pass");
    store.append(USER, "INBOX", &Flags::new(), &InternalDate::from_unix(0, 0), letter(1)).expect("a user");
    let daemon = Daemon::start(&program, folder.path());
    wait_for_mail(&program, ACCOUNT, "INBOX", 1);
    let log = || fs::read_to_string(folder.path().join("daemon.log")).unwrap_or_default();
    until("it is told", || log().contains("the server has no IDLE"));
    daemon.end();
    assert_eq!(log().matches("the server has no IDLE").count(), 1);
}
