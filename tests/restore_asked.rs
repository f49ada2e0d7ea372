//! What can be asked of `restore`, what it refuses, and what it says: targets, passwords, parts of
//! a mailbox, earlier states, kinds of proof, damage.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use restante_tests::{ACCOUNT, Content, World, append, is_long, uids};
use serde_json::Value;
use server::sample::Random;
use testkit::{LoopDisk, Output};

/// Two folders, two runs; the second has seen five messages go and ten come.
fn backed_up() -> Option<World> {
    let world = World::new()?;
    let mut judge = world.judge();
    judge.create("Sent");
    judge.create("Work/Offers");
    append(&mut judge, "INBOX", 0..30);
    append(&mut judge, "Sent", 30..45);
    append(&mut judge, "Work/Offers", 45..50);
    let _ = world.run_now();
    judge.expunge("INBOX", &uids("1:5"));
    append(&mut judge, "INBOX", 50..60);
    let _ = world.run_now();
    Some(world)
}

fn run(world: &World, to: &str, arguments: &[&str]) -> Output {
    world.restore_command(to, arguments).output().expect("the program starts").into()
}

#[test]
fn every_kind_of_url_reaches_its_server() {
    let Some(world) = backed_up() else { return };
    let source = world.content();
    let authority = world.dovecot.authority_file();
    let authority = authority.to_str().expect("a plain path");
    let (plain, encrypted) = (world.dovecot.plain().port(), world.dovecot.encrypted().port());
    for (user, url) in [
        ("u1", format!("imap://u1@127.0.0.1:{plain}")),
        ("u2", format!("imap://u2@localhost:{plain}")),
        ("u3", format!("imaps://u3@localhost:{encrypted}")),
        ("u4", format!("imap+starttls://u4@localhost:{plain}")),
        ("u5@example.org", format!("imaps://u5%40example.org@localhost:{encrypted}")),
        ("u6@example.org", format!("imaps://u6@example.org@localhost:{encrypted}")),
    ] {
        let report = world.restore(0, &url, &["--tls-ca-file", authority]);
        assert_eq!(report["target"]["user"], user, "{report}");
        Content::of(world.dovecot.imap(user)).assert_is(&source);
    }
    // A certificate of somebody whom the system does not know.
    let output = run(&world, &format!("imaps://u7@localhost:{encrypted}"), &[]);
    output.expect_code(1);
    let error = output.json()["error"].as_str().expect("the report says why").to_owned();
    assert!(error.contains("certificate"), "{error}");
}

#[test]
fn a_target_that_is_wrong_is_told_and_nothing_is_sent() {
    let Some(world) = backed_up() else { return };
    let port = world.dovecot.plain().port();
    let wrong = world.path("wrong");
    fs::write(&wrong, "not-the-password\n").expect("the folder is ours");
    fs::set_permissions(&wrong, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    let password = world.path("password").display().to_string();
    let wrong = wrong.display().to_string();
    let asks: [(&[&str], i32, &str); 9] = [
        (
            &[ACCOUNT, "--to", &format!("imap://b@127.0.0.1:{port}"), "--password-file", &wrong],
            1,
            "login as b failed",
        ),
        (&[ACCOUNT, "--to", "imap://b@127.0.0.1:1", "--password-file", &password], 1, "127.0.0.1"),
        (&[ACCOUNT, "--to", "elsewhere"], 2, "elsewhere"),
        (&["nobody", "--to", ACCOUNT], 1, "nobody"),
        (&[ACCOUNT, "--to", &format!("imap://b:canary-7431@127.0.0.1:{port}")], 2, "password"),
        (&[ACCOUNT, "--to", "imap://b@mail.example.org"], 2, "in the clear"),
        (&[ACCOUNT, "--to", &format!("imap://b@127.0.0.1:{port}")], 2, "password"),
        (&[ACCOUNT, "--to", "pop3://b@127.0.0.1"], 2, "imaps://"),
        (&[ACCOUNT], 2, "--to"),
    ];
    for (arguments, code, word) in asks {
        // A server that does not listen is asked again for half a minute.
        if word == "127.0.0.1" && !is_long() {
            continue;
        }
        let output = world.program.run([&["restore"], arguments].concat());
        assert_eq!(output.code, Some(code), "{arguments:?}: {}", output.stderr);
        let told = String::from_utf8_lossy(&output.stdout).to_lowercase() + &output.stderr.to_lowercase();
        assert!(told.contains(&word.to_lowercase()), "{arguments:?}: {told}");
        assert!(!told.contains("canary-7431"), "{told}");
    }
    assert_eq!(world.dovecot.imap("b").count(), 0);
}

#[test]
fn s01_the_target_s_password_stands_in_no_output_wherever_it_comes_from() {
    let Some(world) = backed_up() else { return };
    let canary = world.dovecot.password();
    // `pass` is a word that may stand anywhere: the canary is one that logs in nowhere.
    let secret = "canary-9174-target";
    let file = world.path("canary");
    fs::write(&file, secret).expect("the folder is ours");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    let file = file.display().to_string();
    let command = format!("cat {file}");
    let url = World::url(world.dovecot.plain(), "berta");
    for source in [["--password-file", &file], ["--password-command", &command]] {
        for before in [&["--verbose"][..], &["--json", "--verbose"]] {
            let arguments = [before, &["restore", ACCOUNT, "--to", &url], &source].concat();
            let mut program = world.program.command(&arguments);
            let output = Output::from(program.env("RUST_LOG", "trace").output().expect("it starts"));
            output.expect_code(1);
            let text = output.stderr + &String::from_utf8_lossy(&output.stdout);
            assert!(!text.contains("canary-9174"), "{text}");
            // As SASL PLAIN sends it: the middle of the base64.
            assert!(!text.contains("Y2FuYXJ5LTkxNz"), "{text}");
        }
    }
    let command = format!("echo {canary}");
    let arguments = ["restore", ACCOUNT, "--to", &url, "--password-command", &command];
    world.program.run(arguments).expect_code(0);
    Content::of(world.dovecot.imap("berta")).assert_is(&world.content());
    fs::set_permissions(world.path("canary"), fs::Permissions::from_mode(0o644)).expect("the file is ours");
    let readable = world.program.run(["restore", ACCOUNT, "--to", &url, "--password-file", &file]);
    assert!(readable.expect_code(2).stderr.contains("chmod 600"), "{}", readable.stderr);
}

#[test]
fn parts_of_a_mailbox_come_back_where_they_are_wanted() {
    let Some(world) = backed_up() else { return };
    let source = world.content();
    let given = |user: &str, arguments: &[&str]| {
        let _ = world.restore_beside(0, user, arguments);
        Content::of(world.dovecot.imap(user))
    };
    let with_inbox = |name: &str| name == "INBOX";
    let some = given("u1", &["--folder", "Sent", "--folder", "Work/*"]);
    some.clone().only(|name| !with_inbox(name)).assert_is(&source.clone().only(|name| !with_inbox(name)));
    assert_eq!(some.folder("INBOX").len(), 0);
    let most = given("u2", &["--exclude", "Sent"]);
    most.assert_is(&source.clone().only(|name| name != "Sent"));
    let below = given("u3", &["--prefix", "Given/back"]);
    let below = below.only(|name| name != "INBOX").renamed(|name| name.replace("Given/back/", ""));
    below.only(|name| name != "Given/back").assert_is(&source);
}

#[test]
fn earlier_states_come_back_and_what_has_vanished_when_it_is_wanted() {
    let Some(world) = backed_up() else { return };
    let counts = |report: &Value| report["totals"]["added"].as_u64().expect("a number");
    assert_eq!(counts(&world.restore_beside(0, "u1", &["--as-of", "run:1"])), 50);
    assert_eq!(world.dovecot.imap("u1").status("INBOX").messages, 30);
    assert_eq!(counts(&world.restore_beside(0, "u2", &["--as-of", "run:2"])), 55);
    assert_eq!(counts(&world.restore_beside(0, "u3", &["--deleted"])), 60);
    assert_eq!(world.dovecot.imap("u3").status("INBOX").messages, 40);
    // The old state, then the new one: what both hold is not added again.
    assert_eq!(counts(&world.restore_beside(0, "u1", &[])), 10);
    assert_eq!(world.dovecot.imap("u1").count(), 60);
    assert_eq!(run(&world, &World::url(world.dovecot.plain(), "u4"), &["--as-of", "run:77"]).code, Some(1));
}

#[test]
fn a_dry_run_says_what_would_be_done_and_changes_nothing() {
    let Some(world) = backed_up() else { return };
    append(&mut world.dovecot.imap("berta"), "INBOX", 10..20);
    let before = Content::of(world.dovecot.imap("berta"));
    let plan = world.restore_beside(0, "berta", &["--dry-run"]);
    assert_eq!(plan["outcome"], "planned", "{plan}");
    let totals = &plan["totals"];
    assert_eq!(
        (&totals["asked"], &totals["already_there"], &totals["added"]),
        (&55.into(), &10.into(), &45.into())
    );
    Content::of(world.dovecot.imap("berta")).assert_is(&before);
    assert_eq!(plan["target"]["messages"], 10, "{plan}");
    let done = world.restore_beside(0, "berta", &[]);
    for count in ["asked", "already_there", "added"] {
        assert_eq!(done["totals"][count], totals[count], "the plan was right about {count}");
    }
}

#[test]
fn r19_the_report_names_the_kind_of_proof_and_says_when_there_was_none() {
    let Some(world) = backed_up() else { return };
    let none = world.restore_beside(3, "u1", &["--no-verify"]);
    assert_eq!((&none["outcome"], &none["verify"]), (&"unproven".into(), &"off".into()));
    assert_eq!(none["totals"]["proven"], 0, "{none}");
    Content::of(world.dovecot.imap("u1")).assert_is(&world.content());
    let headers = world.restore_beside(0, "u2", &[]);
    assert_eq!((&headers["outcome"], &headers["verify"]), (&"proven".into(), &"headers".into()));
    let full = world.restore_beside(0, "u3", &["--verify=full"]);
    assert_eq!((&full["verify"], &full["totals"]["proven_by_bytes"]), (&"full".into(), &55.into()));
    // What was sent without a proof can have it afterwards.
    let later = world.restore_beside(0, "u1", &["--verify=full"]);
    assert_eq!(later["totals"]["proven_by_bytes"], 55, "{later}");
    assert_eq!(later["totals"]["added"], 0, "{later}");
}

#[test]
fn r17_the_target_and_what_it_holds_are_shown_before_anything_is_sent() {
    let Some(world) = backed_up() else { return };
    append(&mut world.dovecot.imap("berta"), "INBOX", 100..117);
    let url = World::url(world.dovecot.plain(), "berta");
    let password = world.path("password").display().to_string();
    let output = world.program.run(["restore", ACCOUNT, "--to", &url, "--password-file", &password]);
    output.expect_code(0);
    let shown = output.stderr.lines().find(|line| line.contains("berta") && line.contains("17"));
    assert!(shown.is_some(), "{}", output.stderr);
}

#[test]
fn r18_a_damaged_message_is_left_out_by_name_and_the_others_come_back() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..40);
    let _ = world.run_now();
    let source = world.content();
    let packs: Vec<_> =
        world.packs().into_iter().map(|pack| (fs::read(&pack).expect("a pack"), pack)).collect();
    let mut random = Random::new(0x18);
    let mut met = 0;
    for flip in 0..6 {
        let (bytes, pack) = &packs[random.below(packs.len())];
        let mut damaged = bytes.clone();
        // Beyond the header of the file.
        let at = 64 + random.below(bytes.len() - 64);
        damaged[at] ^= 1 << random.below(8);
        fs::write(pack, &damaged).expect("the pack can be damaged");
        let user = format!("user{flip}");
        let output = run(&world, &World::url(world.dovecot.plain(), &user), &["--verify=full"]);
        let given = Content::of(world.dovecot.imap(&user));
        source.assert_holds(&given);
        match output.code {
            Some(0) => given.assert_is(&source),
            Some(4) => {
                met += 1;
                let report = output.json();
                let folder = &report["folders"][0];
                let refused = folder["refused"].as_array().expect("a list");
                let missing = source.count() - given.count();
                assert_eq!(refused.len(), missing, "flip {flip} at {at}: {report}");
                assert!(refused.iter().all(|one| one["damaged"] == true), "{report}");
            }
            // What says which messages there are is damaged.
            Some(1) => assert!(!output.stderr.is_empty(), "flip {flip} at {at}"),
            code => panic!("flip {flip} at {at}: {code:?} {}", output.stderr),
        }
        fs::write(pack, bytes).expect("the pack can be mended");
    }
    assert!(met > 0, "some of the damage must hit messages");
}

#[test]
fn an_archive_on_a_read_only_disk_can_be_given_back() {
    let Some(mut world) = World::new() else { return };
    let Some(disk) = LoopDisk::mount(64 << 20) else { return };
    world.keep_archive_in(&disk.join("archive"), &world.path(""));
    append(&mut world.judge(), "INBOX", 0..30);
    let _ = world.run_now();
    disk.set_read_only(true);
    let report = world.restore_beside(0, "berta", &[]);
    assert_eq!(report["totals"]["proven"], 30, "{report}");
    Content::of(world.dovecot.imap("berta")).assert_is(&world.content());
}
