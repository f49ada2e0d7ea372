//! The archive's place: not mounted, another one, an older copy, somebody else's, copied in mid-run,
//! wanted by twenty programs at once (D13, D17, D18, D20, D21, D23, D28), and the
//! one thing that is left when the host is gone (O14).

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::process::{Command, Stdio};

use restante_tests::{ACCOUNT, USER, World, append, copy_in_random_order, is_long};
use server::sample::Random;
use testkit::{LoopDisk, Restante};

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the target is ours");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            fs::copy(&path, &target).expect("a file can be copied");
        }
    }
}

#[test]
fn d18_a_disk_that_is_not_mounted_is_told_and_nothing_begins_in_its_place() {
    let Some(disk) = LoopDisk::mount(32 << 20) else { return };
    let Some(mut world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..10);
    // The archive is the root of the disk, where ext4 keeps its own folder.
    let home = world.path("");
    world.keep_archive_in(&disk.path(), &home);
    let _ = world.run_now();
    disk.unmount();
    for arguments in [&["--run-now"][..], &["init"], &["list"], &["verify"], &["rebuild"]] {
        let output = world.run(1, arguments);
        assert!(output.stderr.contains("mounted"), "{arguments:?}: {}", output.stderr);
    }
    assert_eq!(fs::read_dir(disk.path()).expect("the mount point").count(), 0, "the root disk is unchanged");
    disk.mount_again();
    assert_eq!(world.run_now()["totals"]["bytes_fetched"], 0);
    world.assert_archive_equals_server();
}

#[test]
fn d18_another_archive_in_its_place_is_read_and_not_written() {
    let Some(mut world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..10);
    let home = world.path("");
    world.keep_archive_in(&world.path("other"), &home);
    let _ = world.run_now();
    world.keep_archive_in(&world.path("archive"), &home);
    let _ = world.run_now();
    append(&mut world.judge(), "INBOX", 10..12);
    fs::rename(world.path("archive"), world.path("kept")).expect("the folder is ours");
    copy_folder(&world.path("other"), &world.path("archive"));
    let output = world.run(1, &["--run-now"]);
    assert!(
        output.stderr.contains("it is archive") && output.stderr.contains("init --accept"),
        "{}",
        output.stderr
    );
    assert_eq!(world.listing()["INBOX"].len(), 10);
    world.run(0, &["init", "--accept"]);
    assert_eq!(world.run_now()["totals"]["archived"], 12);
}

#[test]
fn d21_an_older_copy_is_read_and_goes_on_only_when_it_is_accepted() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..10);
    let _ = world.run_now();
    copy_folder(&world.archive(), &world.path("older"));
    append(&mut world.judge(), "INBOX", 10..20);
    let _ = world.run_now();
    fs::rename(world.archive(), world.path("lost")).expect("the folder is ours");
    fs::rename(world.path("older"), world.archive()).expect("the folder is ours");
    let output = world.run(1, &["--run-now"]);
    assert!(output.stderr.contains("older copy"), "{}", output.stderr);
    assert_eq!(world.listing()["INBOX"].len(), 10, "reading works");
    let status = world.json(&["status"]);
    assert!(
        status["archive"]["warning"].as_str().is_some_and(|told| told.contains("older copy")),
        "{status}"
    );
    world.run(0, &["init", "--accept"]);
    assert_eq!(world.run_now()["totals"]["new"], 10);
    world.assert_archive_equals_server();
    world.run(0, &["verify"]);
}

#[test]
fn d20_a_copy_made_in_the_middle_of_a_run_opens_up_to_a_commit() {
    let Some(world) = World::new() else { return };
    let mut judge = world.judge();
    let mut random = Random::new(0xd20);
    let mut next = 0;
    for round in 0..if is_long() { 40 } else { 6 } {
        append(&mut judge, "INBOX", next..next + 60);
        next += 60;
        let before = if round == 0 { 0 } else { world.listing()["INBOX"].len() };
        let mut command = world.program.command(["--quiet", "--run-now"]);
        let mut child = command.stdout(Stdio::null()).spawn().expect("the program starts");
        while !world.archive().join("archive.toml").exists() {
            std::thread::yield_now();
        }
        let copy = world.path(&format!("copy {round}"));
        copy_in_random_order(&world.archive(), &copy, &mut random);
        assert!(child.wait().expect("the child ends").success());

        let config = world.path("copy.toml");
        let text = format!("[archive]\npath = {copy:?}\n\n");
        fs::write(&config, text).expect("the folder is ours");
        let home = world.path(&format!("home {round}"));
        fs::create_dir(&home).expect("the folder is ours");
        let reader = Restante::new(&config, &home);
        let verified = reader.run(["--json", "verify"]);
        assert_eq!(verified.code, Some(0), "round {round}: {}", verified.stderr);
        let listed = reader.run(["--json", "list", ACCOUNT, "INBOX"]);
        let held = if listed.code == Some(0) {
            listed.json()["messages"].as_array().expect("a list").len()
        } else {
            assert!(listed.stderr.contains("holds no"), "{}", listed.stderr);
            0
        };
        assert!(held >= before, "round {round}: {held} messages, {before} were committed before");
        fs::remove_dir_all(copy).expect("the copy is ours");
    }
    world.assert_archive_equals_server();
}

#[test]
fn d17_of_twenty_programs_at_once_one_works_and_the_others_say_so() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..150);
    let start = || {
        let mut command = world.program.command(["--quiet", "--run-now"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("the program starts")
    };
    let children: Vec<_> = (0..20).map(|_| start()).collect();
    let mut worked = 0;
    for child in children {
        let output = child.wait_with_output().expect("the child ends");
        let said = String::from_utf8_lossy(&output.stderr);
        match output.status.code() {
            Some(0) => worked += 1,
            Some(75) => assert!(said.contains("another restante"), "{said}"),
            code => panic!("{code:?}: {said}"),
        }
    }
    assert!(worked > 0, "nobody worked");
    assert_eq!(world.run_now()["totals"]["archived"], 150);
    world.assert_archive_equals_server();
    world.run(0, &["verify"]);
}

#[test]
fn d23_few_descriptors_are_enough_and_too_few_are_told() {
    let Some(world) = World::new() else { return };
    let mut judge = world.judge();
    for folder in 0..12 {
        let name = format!("Folder {folder}");
        judge.create(&name);
        append(&mut judge, &name, folder * 5..folder * 5 + 5);
    }
    let limited = |descriptors: u32, arguments: &[&str]| {
        let inner = world.program.command(arguments);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n {descriptors}; exec \"$0\" \"$@\"")]);
        command.arg(inner.get_program()).args(inner.get_args());
        for (name, value) in inner.get_envs() {
            value.map(|value| command.env(name, value));
        }
        command.stdin(Stdio::null()).output().expect("a shell")
    };
    let (mut failed, mut good) = (0, 0);
    for descriptors in (4..=32).step_by(4) {
        let output = limited(descriptors, &["--run-now"]);
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        assert!(!said.contains("panicked"), "{descriptors}: {said}");
        match output.status.code() {
            Some(0) => good += 1,
            Some(1..=3) => failed += 1,
            code => panic!("{descriptors}: {code:?}: {said}"),
        }
    }
    assert!(failed > 0 && good > 0, "{failed} failed, {good} did not");
    for arguments in [&["--run-now"][..], &["verify"], &["list", ACCOUNT, "INBOX"], &["status"]] {
        let output = limited(32, arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(world.run_now()["totals"]["archived"], 60);
    world.assert_archive_equals_server();
}

#[test]
fn d28_root_does_not_write_into_another_user_s_archive() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..5);
    let _ = world.run_now();
    if chown(world.archive(), Some(65_534), None).is_err() {
        // Only root can meet this fault.
        return;
    }
    append(&mut world.judge(), "INBOX", 5..8);
    for arguments in [&["--run-now"][..], &["rebuild"]] {
        let output = world.run(1, arguments);
        assert!(output.stderr.contains("belongs to user 65534"), "{arguments:?}: {}", output.stderr);
    }
    assert_eq!(world.listing()["INBOX"].len(), 5);
    chown(world.archive(), Some(0), None).expect("root may");
    assert_eq!(world.run_now()["totals"]["archived"], 8);
}

#[test]
fn o14_an_archive_is_read_with_no_configuration_at_all() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..10);
    let _ = world.run_now();
    let (archive, out) = (world.path("archive"), world.path("out"));
    // Another machine: no configuration, no memory, nothing but the disk.
    let home = world.path("home");
    fs::create_dir(&home).expect("the folder is ours");
    let run = |arguments: &[&str]| {
        let output = Command::new(world.program.program())
            .args(["--json", "--archive", archive.to_str().expect("a plain path")])
            .args(arguments)
            .env("HOME", &home)
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env("XDG_STATE_HOME", home.join("state"))
            .output()
            .expect("the program starts");
        let json = serde_json::from_slice(&output.stdout).unwrap_or(serde_json::Value::Null);
        (output.status.code(), json, String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, listed, _) = run(&["list"]);
    assert_eq!((code, &listed["accounts"][0]["messages"]), (Some(0), &10.into()));
    let (code, listed, _) = run(&["list", ACCOUNT, "INBOX"]);
    assert_eq!(code, Some(0));
    let id = listed["messages"][0]["id"].as_str().expect("an id");
    let (code, shown, _) = run(&["show", id]);
    assert_eq!((code, &shown["id"]), (Some(0), &id.into()));
    let out = out.to_str().expect("a plain path");
    let (code, exported, _) = run(&["export", ACCOUNT, out, "--format", "eml"]);
    assert_eq!((code, &exported["exported"]), (Some(0), &10.into()));
    let (code, verified, _) = run(&["verify"]);
    assert_eq!((code, &verified["whole"]), (Some(0), &true.into()));
    // What needs more than an archive says so, and touches nothing.
    for arguments in [&["--run-now"][..], &["rebuild"], &["init", "--accept"], &["ack", ACCOUNT]] {
        let (code, _, said) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {said}");
        assert!(said.contains("--archive"), "{arguments:?}: {said}");
    }
}

#[test]
fn r17_an_account_that_mail_is_restored_to_is_not_pulled_and_the_others_are() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..10);
    let port = world.dovecot.plain().port();
    world.configure(&format!(
        "[[account]]\nname = \"spare\"\nprotocol = \"imap\"\n host = \"localhost\"\n port = {port}\n \
         tls = \"none\"\nuser = \"{USER}\"\npassword_file = \"password\"\n"
    ));
    let _ = world.run(0, &["--run-now"]);
    let held = fs::File::open(world.archive().join(format!("account-{ACCOUNT}.lock"))).expect("it was made");
    held.lock().expect("nobody has it");
    append(&mut world.judge(), "INBOX", 10..12);
    let runs = world.run(3, &["--run-now", "--json"]).json();
    let (held_back, other) = (&runs["runs"][0], &runs["runs"][1]);
    assert_eq!((&held_back["account"], &held_back["outcome"]), (&ACCOUNT.into(), &"failed".into()));
    let error = held_back["error"].as_str().unwrap_or_default();
    assert!(error.contains("restoring to account"), "{held_back}");
    assert_eq!((&other["outcome"], &other["totals"]["archived"]), (&"ok".into(), &12.into()));
    let status = world.json(&["status"]);
    assert_eq!(status["accounts"][1]["last_run"]["error"], error, "{status}");
    drop(held);
    assert_eq!(world.run_now()["totals"]["new"], 2);
}
