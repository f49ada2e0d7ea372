//! Suspicious loss from outside: what the program says of a mailbox that was emptied, and that what it
//! prints brings the mailbox back.

use std::process::Command;

use message::Flags;
use restante_tests::{ACCOUNT, USER, World, append, uids};
use serde_json::Value;
use testkit::{Mail, Options};

/// Runs a line as a person would paste it into a shell.
fn paste(world: &World, line: &str) -> std::process::Output {
    let beside = world.program.program().parent().expect("the program lies in a folder");
    let path = format!("{}:{}", beside.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(line).env("PATH", path).current_dir(world.path(""));
    shell
        .env("HOME", world.path(""))
        .env("XDG_STATE_HOME", world.path("state"))
        .env_remove("STATE_DIRECTORY");
    shell.output().expect("a shell runs")
}

fn files_below(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("an exported folder").flatten();
    let count = entries.map(|entry| match entry.path() {
        path if path.is_dir() => files_below(&path),
        path => usize::from(path.parent().is_some_and(|parent| parent.ends_with("cur"))),
    });
    count.sum()
}

#[test]
fn l01_an_inbox_emptied_between_two_runs_is_told_and_brought_back_by_the_printed_commands() {
    let Some(world) = World::new() else { return };
    let mut judge = world.judge();
    judge.create("Bob's \"R&D\"");
    append(&mut judge, "INBOX", 0..60);
    append(&mut judge, "Bob's \"R&D\"", 60..100);
    let _ = world.run_now();
    append(&mut judge, "INBOX", 100..110);
    let _ = world.run_now();
    judge.expunge("INBOX", &uids("1:70"));
    judge.expunge("Bob's \"R&D\"", &uids("1:30"));

    let ledger = world.run_with_code(3);
    assert_eq!((&ledger["outcome"], &ledger["suspicious"]), (&"ok".into(), &true.into()));
    assert_eq!(ledger["totals"]["vanished"], 100);
    // More mail, and a calm run: the event waits for a person all the same.
    append(&mut judge, "INBOX", 200..203);
    assert_eq!(world.run_now()["suspicious"], false);

    let status = world.json(&["status"]);
    let alarms = status["accounts"][0]["unacknowledged"].as_array().expect("alarms").clone();
    assert_eq!(alarms.len(), 1, "{status}");
    assert_eq!(alarms[0]["lost"][0]["lost"], 70);
    let text = String::from_utf8(world.run(0, &["status"]).stdout).expect("text");
    assert!(text.contains("INBOX: 70 of 70 messages are gone from the server"), "{text}");
    assert!(text.contains(&format!("restante ack {ACCOUNT}")), "{text}");
    let printed: Vec<&str> = text.lines().map(str::trim).filter(|line| line.contains("--as-of")).collect();
    let commands: Vec<&str> =
        alarms[0]["commands"].as_array().expect("commands").iter().filter_map(Value::as_str).collect();
    assert_eq!(printed, commands, "people and programs are told the same");

    let mut listed = Vec::new();
    let mut restored = Vec::new();
    for line in &printed {
        let json = line.replacen("restante ", "restante --json ", 1);
        let output = paste(&world, &json);
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
        let document: Value = serde_json::from_slice(&output.stdout).expect("a JSON document");
        listed.extend(document["messages"].as_array().map(Vec::len));
        restored.extend(document["totals"]["added"].as_u64());
        assert!(document["outcome"].is_null() || document["outcome"] == "proven", "{document}");
    }
    assert!(printed[0].contains("restore"), "the way back comes first: {printed:?}");
    assert_eq!(restored, [100], "all that was gone, and nothing else");
    // One that has no folder open, and so sees them as they are.
    let mut judge = world.judge();
    assert_eq!(judge.status("INBOX").messages, 73);
    assert_eq!(judge.status("Bob's \"R&D\"").messages, 40);
    assert_eq!(listed, [70, 40], "each folder as the run before the loss saw it: {printed:?}");
    assert_eq!(files_below(&world.path("before-the-loss")), 110);

    let acknowledged = world.json(&["ack", ACCOUNT]);
    assert_eq!(acknowledged["acknowledged"].as_array().map(Vec::len), Some(1));
    let none = serde_json::json!([]);
    assert_eq!(world.json(&["status"])["accounts"][0]["unacknowledged"], none);
    assert_eq!(world.json(&["ack", ACCOUNT])["acknowledged"], none, "nothing more to put away");
    world.run(1, &["ack", "nobody"]);

    // It was put away in the archive: one that is moved, and its catalogue lost, remembers it.
    world.run(0, &["rebuild"]);
    assert_eq!(world.json(&["status"])["accounts"][0]["unacknowledged"], none);
    world.run(0, &["verify"]);
}

#[test]
fn l01_thresholds_are_settable_for_an_account() {
    let strict = "watchdog.vanished_min = 2\nwatchdog.vanished_share = 0.01\n";
    let Some(world) = World::with(Options::default(), strict) else { return };
    let mut judge = world.judge();
    append(&mut judge, "INBOX", 0..60);
    let _ = world.run_now();
    judge.expunge("INBOX", &uids("1:2"));
    assert_eq!(world.run_with_code(3)["suspicious"], true);
    world.configure("");
    judge.expunge("INBOX", &uids("3:10"));
    assert_eq!(world.run_now()["suspicious"], false);
}

#[test]
fn l01_a_moment_may_be_named_by_the_number_of_its_run() {
    let Some(world) = World::new() else { return };
    let mut judge = world.judge();
    append(&mut judge, "INBOX", 0..3);
    let _ = world.run_now();
    append(&mut judge, "INBOX", 3..5);
    let _ = world.run_now();
    let count = |moment: &str| {
        let listed = world.json(&["list", ACCOUNT, "INBOX", "--as-of", moment]);
        listed["messages"].as_array().map(Vec::len)
    };
    assert_eq!((count("run:1"), count("run:2")), (Some(3), Some(5)));
    world.run(1, &["list", ACCOUNT, "INBOX", "--as-of", "run:77"]);
    world.run(2, &["list", ACCOUNT, "INBOX", "--as-of", "run:x"]);
}

#[test]
fn the_history_tells_what_each_run_did_and_the_life_of_a_message() {
    let Some(world) = World::new() else { return };
    let mut judge = world.judge();
    judge.create("Archive");
    append(&mut judge, "INBOX", 0..5);
    let _ = world.run_now();
    let first = world.json(&["list", ACCOUNT, "INBOX"])["messages"][0].clone();
    let (id, uid) = (first["id"].as_str().expect("an id"), first["uid"].clone());
    let moved = uids(&uid.to_string());
    judge.store("INBOX", &moved, "+FLAGS", &Flags::parse("\\Flagged $Todo"));
    append(&mut judge, "Archive", 7..9);
    let _ = world.run_now();
    judge.move_to("INBOX", &moved, "Archive");
    let _ = world.run_now();

    let numbers = |row: &Value| {
        ["run", "new", "flags_changed", "vanished"].map(|name| row[name].as_u64().expect("a number"))
    };
    let rows = |history: Value| history["runs"].as_array().expect("runs").clone();
    let all = rows(world.json(&["history", ACCOUNT]));
    assert_eq!(all.iter().map(numbers).collect::<Vec<_>>(), [[3, 1, 0, 1], [2, 2, 1, 0], [1, 5, 0, 0]]);
    let inbox = rows(world.json(&["history", ACCOUNT, "INBOX", "--limit", "2"]));
    assert_eq!(inbox.iter().map(numbers).collect::<Vec<_>>(), [[3, 0, 0, 1], [2, 0, 1, 0]]);
    assert_eq!((&inbox[0]["messages"], &inbox[1]["messages"]), (&4.into(), &5.into()));
    let archive = rows(world.json(&["history", ACCOUNT, "Archive"]));
    assert_eq!(archive.iter().map(numbers).collect::<Vec<_>>(), [[3, 1, 0, 0], [2, 2, 0, 0]]);

    let life = world.json(&["history", ACCOUNT, &id[..12]]);
    assert_eq!((&life["id"], life["stays"].as_array().map(Vec::len)), (&id.into(), Some(2)), "{life}");
    let (then, now) = (&life["stays"][0], &life["stays"][1]);
    assert_eq!((&then["folder"], &then["uid"]), (&"INBOX".into(), &uid));
    assert_eq!((&then["first_run"]["run"], &then["last_run"]["run"]), (&1.into(), &3.into()));
    let flags: Vec<(u64, String)> = then["flags"]
        .as_array()
        .expect("flags")
        .iter()
        .map(|row| (row["since"]["run"].as_u64().expect("a run"), row["flags"].to_string()))
        .collect();
    assert_eq!(flags.len(), 2, "{life}");
    assert_eq!((flags[0].0, flags[1].0), (1, 2));
    assert!(flags[1].1.contains("$Todo") && !flags[0].1.contains("$Todo"), "{flags:?}");
    assert_eq!((&now["folder"], &now["first_run"]["run"]), (&"Archive".into(), &3.into()));
    assert!(now["last_run"].is_null(), "{life}");

    let text = |arguments: &[&str]| String::from_utf8(world.run(0, arguments).stdout).expect("text");
    assert_eq!(text(&["history", ACCOUNT]).lines().count(), 4);
    assert!(text(&["history", ACCOUNT, id]).contains("Archive"));
    world.run(1, &["history", ACCOUNT, "nowhere"]);
    world.run(1, &["history", ACCOUNT, "0000000000"]);
    world.run(1, &["history", "nobody"]);
    world.run(2, &["history", ACCOUNT, "--limit", "0"]);
}

#[test]
fn l06_thousands_of_messages_in_a_renamed_folder_cost_no_octet() {
    let Some(mut world) = World::new() else { return };
    // Ten thousand take most of a minute to deliver.
    let messages = if std::env::var_os("RESTANTE_LONG").is_some() { 10_000 } else { 1_000 };
    let count = world.fill(&Mail::small(11, messages).in_folders(&["Attic"]));
    assert_eq!(world.run_now()["totals"]["archived"], count);
    world.dovecot.imap(USER).rename("Attic", "Loft");
    let ledger = world.run_now();
    assert_eq!(ledger["totals"]["bytes_fetched"], 0, "{ledger}");
    assert_eq!((&ledger["totals"]["vanished"], &ledger["totals"]["new"]), (&0.into(), &0.into()));
    assert_eq!(ledger["totals"]["archived"], count);
    let listed = world.json(&["list", ACCOUNT, "Loft"]);
    assert_eq!(listed["messages"].as_array().map(Vec::len), Some(count));
}
