//! Compaction end to end: beside readers and pulls, cut off, and copied in the middle of it (D20, D24, D26).

use std::fs;
use std::path::Path;
use std::process::{Child, Stdio};

use message::Flags;
use restante_tests::{ACCOUNT, World, copy_in_random_order, date, is_long, noisy_mail, quoting_mail};
use server::sample::Random;
use testkit::Restante;

/// So many mails, and a run that brings them: as a daily run does, in a commit of its own.
fn daily_run(world: &World, random: &mut Random, mails: u32) {
    let mut judge = world.judge();
    for number in 0..mails {
        judge.append("INBOX", &Flags::new(), &date(number), &quoting_mail(number, random));
    }
    let _ = world.run_now();
}

/// A run that brings mail with attachments of nothing but noise.
fn noise_run(world: &World, random: &mut Random, mails: u32) {
    let mut judge = world.judge();
    for number in 0..mails {
        judge.append("INBOX", &Flags::new(), &date(number), &noisy_mail(number, 3_000_000, random));
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
    noise_run(&world, &mut Random::new(0xd26), 1);
    let bytes = |done: &serde_json::Value| done["pack_bytes"].as_u64().expect("a number");
    let told = world.json(&["compact", "--dry-run"]);
    assert_eq!(told["compactions"].as_array().map(Vec::len), Some(1), "it looks worth it: {told}");
    let done = world.json(&["compact"]);
    let left = &done["left"][0];
    assert_eq!((&left["reason"], &left["damaged"]), (&"not_smaller".into(), &false.into()), "{done}");
    // The open pack was sealed for it, once and for all.
    let (before, after) = (bytes(&told), bytes(&done));
    assert!((before..before + 1_000).contains(&after), "{after} bytes instead of {before}: {done}");
    let again = world.json(&["compact"]);
    let nothing = serde_json::json!([]);
    assert_eq!((&again["compactions"], &again["left"]), (&nothing, &nothing), "{again}");
    assert_eq!((bytes(&again), &again["retired"]["packs"]), (after, &0.into()), "{again}");
    // A catalogue that is made anew has forgotten it.
    world.run(0, &["rebuild"]);
    let tried = world.json(&["compact"]);
    assert_eq!((&tried["left"][0]["reason"], bytes(&tried)), (&"not_smaller".into(), after), "{tried}");
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
