//! Accounts that are watched: mail is in the archive soon after it came, whatever the schedule says.

use std::fs;
use std::time::{Duration, Instant};

use message::{Flags, InternalDate};
use restante_tests::{ACCOUNT, Daemon, PATIENCE, USER, World};
use rustix::process::Signal;
use server::{Behaviour, Store};
use testkit::{Options, Restante, Scripted};

/// The first run comes at once, the next by schedule in a year.
const WATCHED: &str = "schedule = \"0 0 1 1 *\"\nwatch = true\n";

fn wait_until_watching(daemon: &mut Daemon) {
    daemon.wait_for_status("it watches", |status| status.contains("watching 1 account"));
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
    wait_until_watching(&mut daemon);
    world.judge().append("INBOX", &Flags::new(), &date, &letter(1));
    wait_for_mail(&world.program, ACCOUNT, "INBOX", 1);
    world.judge().append("Lists", &Flags::new(), &date, &letter(2));
    wait_for_mail(&world.program, ACCOUNT, "Lists", 1);

    world.dovecot.restart();
    world.dovecot.deliver(USER, "INBOX", &Flags::new(), &date, &letter(3));
    wait_for_mail(&world.program, ACCOUNT, "INBOX", 2);

    wait_until_watching(&mut daemon);
    let waits = |world: &World| world.dovecot.log().matches("IDLE running").count();
    let before = waits(&world);
    world.configure(&WATCHED.replace("true", "false"));
    daemon.send(Signal::HUP);
    until("the connection that waited is gone", || waits(&world) > before);
    daemon.wait_for_status("it does not watch", |status| !status.contains("watching"));
    let log = daemon.end();
    world.program.run(["verify"]).expect_code(0);
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
    daemon.wait_for_status("the run has failed", |status| status.contains("1 failed"));
    write_password(folder.path(), "pass");
    daemon.send(Signal::HUP);
    wait_until_watching(&mut daemon);
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
    wait_until_watching(&mut daemon);
    deliver(1);
    wait_for_mail(&program, ACCOUNT, "INBOX", 1);
    let file = folder.path().join("r.toml");
    let text = fs::read_to_string(&file).expect("the test's own file") + "max_bytes_per_day = \"5GB\"\n";
    fs::write(&file, text).expect("the test's own file");
    daemon.send(Signal::HUP);
    until("the configuration is read again", || daemon.log().contains("configuration read again"));
    deliver(2);
    wait_for_mail(&program, ACCOUNT, "INBOX", 2);
    assert_eq!(server.log().iter().filter(|command| *command == "IDLE").count(), 1);
    assert_eq!(daemon.log().matches("watching INBOX").count(), 1);
    daemon.end();
}

#[test]
fn where_there_is_room_for_one_connection_the_backup_has_it() {
    let (server, store, folder, program) = scripted(Behaviour::modern().with_sessions_at_once(1), "pass");
    let file = folder.path().join("r.toml");
    let text = fs::read_to_string(&file).expect("the test's own file") + "[account.limits]\nretries = 0\n";
    fs::write(&file, text).expect("the test's own file");
    let daemon = Daemon::start(&program, folder.path());
    store.append(USER, "INBOX", &Flags::new(), &InternalDate::from_unix(0, 0), letter(1)).expect("a user");
    // Whoever comes first: either the run has it, and the watch stands back, or the watch makes room.
    until("the watch has stood back", || {
        let log = daemon.log();
        log.contains("made room") || log.contains("not watched")
    });
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
    until("it is told", || daemon.log().contains("the server has no IDLE"));
    assert_eq!(daemon.end().matches("the server has no IDLE").count(), 1);
}
