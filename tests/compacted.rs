//! Compaction end to end: beside readers and pulls, cut off, and copied in the middle of it (D20, D24, D26).

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use message::{Flags, InternalDate};
use restante_tests::{ACCOUNT, World, copy_in_random_order, is_long};
use server::sample::Random;
use testkit::Restante;

const WORDS: [&str; 12] = [
    "invoice", "meeting", "tomorrow", "regards", "attached", "please", "project", "because", "Tuesday",
    "question", "answer", "between",
];

/// So many mails of 40 KB, half words and half what hardly shrinks, and a run that brings them: as a daily run
/// does, in a commit of its own. Half of their lines were in the mails of the runs before, as what is quoted
/// is: a pull cannot know it, a compaction sees it. (Not their beginnings: by these mail is recognised.)
fn daily_run(world: &World, random: &mut Random, mails: usize) {
    let mut judge = world.judge();
    for number in 0..mails {
        let mut mail = format!("Subject: mail {number}\r\nFrom: a@example.org\r\n\r\n").into_bytes();
        let mut quoted = Random::new(number as u64);
        for line in 0..700 {
            let random = if line % 20 >= 10 { &mut quoted } else { &mut *random };
            let digits: Vec<String> =
                (0..3).map(|_| format!("{:x}", random.below(usize::MAX >> 8))).collect();
            let words: Vec<&str> = (0..6).map(|_| WORDS[random.below(WORDS.len())]).collect();
            mail.extend_from_slice(format!("{} {}", words.join(" "), digits.join(" ")).as_bytes());
            mail.extend_from_slice(b"\r\n");
        }
        judge.append("INBOX", &Flags::new(), &InternalDate::from_unix(1_795_000_000, 0), &mail);
    }
    let _ = world.run_now();
}

/// A run that brings mail of nothing but hex digits.
fn noise_run(world: &World, random: &mut Random, mails: usize) {
    let mut judge = world.judge();
    for number in 0..mails {
        let mut mail = format!("Subject: noise {number}\r\nFrom: a@example.org\r\n\r\n").into_bytes();
        for _ in 0..1_000 {
            let digits: String = (0..5).map(|_| format!("{:014x}", random.below(usize::MAX >> 8))).collect();
            mail.extend_from_slice(format!("{digits}\r\n").as_bytes());
        }
        judge.append("INBOX", &Flags::new(), &InternalDate::from_unix(1_795_000_000, 0), &mail);
    }
    let _ = world.run_now();
}

/// An archive that is worth it.
fn lived() -> Option<(World, Random)> {
    let world = World::new()?;
    let mut random = Random::new(0xc0);
    for _ in 0..6 {
        daily_run(&world, &mut random, 10);
    }
    Some((world, random))
}

fn start(world: &World, arguments: &[&str]) -> Child {
    let mut command = world.program.command(arguments);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")
}

#[test]
fn d26_readers_beside_a_compaction_see_what_they_saw_and_the_archive_is_smaller_afterwards() {
    let Some((world, _)) = lived() else { return };
    let before = world.run(0, &["--json", "list", ACCOUNT, "INBOX"]).stdout;
    let told = world.json(&["compact", "--dry-run"]);
    assert_eq!((told["compactions"].as_array().map(Vec::len), &told["dry_run"]), (Some(1), &true.into()));
    let mut child = start(&world, &["--json", "compact"]);
    while child.try_wait().expect("the child can be asked").is_none() {
        assert_eq!(world.run(0, &["--json", "list", ACCOUNT, "INBOX"]).stdout, before);
        world.run(0, &["verify", "--quick"]);
    }
    let output = child.wait_with_output().expect("the child ends");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let done: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one document");
    let (old, new) = (&done["compactions"][0]["bytes_before"], &done["compactions"][0]["bytes"]);
    assert!(new.as_u64() < old.as_u64() && new.as_u64() > Some(0), "{done}");
    assert_eq!((&done["retired"]["packs"], &done["packs"]), (&1.into(), &1.into()), "{done}");
    assert_eq!(world.run(0, &["--json", "list", ACCOUNT, "INBOX"]).stdout, before);
    let verified = world.json(&["verify"]);
    assert_eq!((&verified["whole"], &verified["retired"]["packs"]), (&true.into(), &1.into()));
    world.run(0, &["rebuild"]);
    assert_eq!(world.run(0, &["--json", "list", ACCOUNT, "INBOX"]).stdout, before);
    assert_eq!(world.json(&["compact"])["compactions"].as_array().map(Vec::len), Some(0));
    world.assert_archive_equals_server();
    assert_eq!(world.run_now()["totals"]["bytes_fetched"], 0);
}

#[test]
fn d26_mail_of_nothing_but_noise_does_not_grow_and_is_not_tried_again() {
    let Some(world) = World::new() else { return };
    noise_run(&world, &mut Random::new(0xd26), 60);
    let bytes = |done: &serde_json::Value| done["pack_bytes"].as_u64().expect("a number");
    let before = bytes(&world.json(&["compact", "--dry-run"]));
    let done = world.json(&["compact"]);
    // Whether it is left as it is or made a little smaller is zstd's affair (the archive's own tests know of
    // noise that nothing makes smaller). The open pack was sealed for it, once and for all.
    let after = bytes(&done);
    assert!((1..before + 1_000).contains(&after), "{after} bytes instead of {before}: {done}");
    for made in done["compactions"].as_array().expect("a list") {
        assert!(made["bytes"].as_u64() < made["bytes_before"].as_u64(), "{made}");
    }
    for left in done["left"].as_array().expect("a list") {
        assert_eq!((&left["reason"], &left["damaged"]), (&"not_smaller".into(), &false.into()));
    }
    let again = world.json(&["compact"]);
    assert_eq!(
        (&again["compactions"], &again["left"]),
        (&serde_json::json!([]), &serde_json::json!([])),
        "{again}"
    );
    assert_eq!((bytes(&again), &again["retired"]["packs"]), (after, &done["retired"]["packs"]), "{again}");
    world.run(0, &["rebuild"]);
    let rebuilt = world.json(&["compact"]);
    assert!(bytes(&rebuilt) <= after, "{rebuilt}");
    world.run(0, &["verify"]);
    world.assert_archive_equals_server();
}

#[test]
fn d24_a_compaction_that_is_asked_to_stop_or_killed_leaves_the_archive_as_it_was() {
    let Some((world, mut random)) = lived() else { return };
    for round in 0..if is_long() { 30 } else { 6 } {
        let mut child = start(&world, &["--quiet", "compact", "--level", "19"]);
        std::thread::sleep(std::time::Duration::from_millis(random.below(600) as u64));
        let pid = child.id().to_string();
        let signal = if round % 2 == 0 { "-TERM" } else { "-KILL" };
        let _ = std::process::Command::new("kill").args([signal, &pid]).status();
        let code = child.wait().expect("the child ends").code();
        assert!(matches!(code, Some(0 | 3) | None), "{code:?}");
        world.run(0, &["verify"]);
        daily_run(&world, &mut random, 3);
        world.assert_archive_equals_server();
    }
    world.run(0, &["compact"]);
    let making = |path: &Path| path.extension().is_some_and(|end| end == "new");
    assert!(!world.packs().iter().any(|path| making(path)), "{:?}", world.packs());
    world.run(0, &["verify"]);
    world.assert_archive_equals_server();
}

#[test]
fn d20_copies_taken_while_pulling_and_compacting_open_and_verify() {
    let Some((world, mut random)) = lived() else { return };
    for round in 0..if is_long() { 30 } else { 5 } {
        let before = world.listing()["INBOX"].len();
        let mut child = start(&world, &["--quiet", "compact", "--level", "15"]);
        let copy = world.path(&format!("copy {round}"));
        copy_in_random_order(&world.archive(), &copy, &mut random);
        daily_run(&world, &mut random, 20);
        assert!(child.wait().expect("the child ends").success());

        let config = world.path("copy.toml");
        fs::write(&config, format!("[archive]\npath = {copy:?}\n\n")).expect("the folder is ours");
        let home = world.path(&format!("home {round}"));
        fs::create_dir(&home).expect("the folder is ours");
        let reader = Restante::new(&config, &home);
        let verified = reader.run(["--json", "verify"]);
        assert_eq!(verified.code, Some(0), "round {round}: {}", verified.stderr);
        let listed = reader.run(["--json", "list", ACCOUNT, "INBOX"]);
        let held = listed.json()["messages"].as_array().expect("a list").len();
        assert!(held >= before, "round {round}: {held} messages, {before} were committed before");
        fs::remove_dir_all(copy).expect("the copy is ours");
    }
    world.run(0, &["verify"]);
    world.assert_archive_equals_server();
}
