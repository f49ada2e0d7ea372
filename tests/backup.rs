//! A mailbox goes in and comes out: the main job, on a real Dovecot.

use std::fs;

use message::Flags;
use restante_tests::{ACCOUNT, World, append, date, mail, uids};
use testkit::{Mail, Options};

/// A mailbox with what makes trouble: nested, non-ASCII, quoted names, a folder that is not wanted,
/// an empty one, and copies of one message in several folders.
fn filled(options: Options, account: &str) -> Option<World> {
    let world = World::with(options, account)?;
    let mut judge = world.judge();
    for name in [
        "Sent",
        "Work",
        "Work/R&D",
        "Queries \"quoted\" (2020)",
        "back\\slash",
        "Empty",
        "Junk",
        "Entwürfe",
        "家族/写真",
        "Ünïcödé ☂ 📎",
    ] {
        judge.create(name);
    }
    append(&mut judge, "INBOX", 0..120);
    append(&mut judge, "Sent", 100..140);
    append(&mut judge, "Work/R&D", 140..150);
    append(&mut judge, "Queries \"quoted\" (2020)", 150..153);
    append(&mut judge, "back\\slash", 153..154);
    append(&mut judge, "家族/写真", 0..5);
    Some(world)
}

#[test]
fn a_mailbox_comes_back_byte_for_byte_and_a_second_run_fetches_nothing() {
    let Some(world) = filled(Options::default(), "") else { return };
    let ledger = world.run_now();
    assert_eq!(ledger["outcome"], "ok");
    assert_eq!(ledger["totals"]["on_server"], 179);
    assert_eq!(ledger["totals"]["archived"], 179);
    world.assert_archive_equals_server();

    let again = world.run_now();
    assert_eq!(again["outcome"], "ok");
    assert_eq!(again["totals"]["bytes_fetched"], 0);
    assert_eq!(again["totals"]["new"], 0);
    assert_eq!(again["totals"]["archived"], 179);
    world.run(0, &["verify"]);
}

/// A server may answer for a later slice first: what comes early is kept, and nothing is fetched twice.
#[test]
fn large_messages_are_fetched_once() {
    let Some(world) = World::new() else { return };
    let mut judge = world.judge();
    let mut octets = 0;
    for number in 0..6 {
        let mut large = mail(number);
        let line = format!("{number} and a line that says nothing new, over and over again\r\n");
        large.extend(line.bytes().cycle().take(18 << 20));
        octets += large.len() as u64;
        judge.append("INBOX", &Flags::new(), &date(number), &large);
    }
    let ledger = world.run_now();
    assert_eq!(ledger["outcome"], "ok");
    let fetched = ledger["totals"]["bytes_fetched"].as_u64().expect("a number");
    // Besides one octet, by which a run sees whether this server marks what is only looked at.
    assert!((octets..octets + 10).contains(&fetched), "{fetched} octets of {octets}");
    world.assert_archive_equals_server();
}

#[test]
fn a_mailbox_of_somebody_who_files_everything_comes_back() {
    let Some(mut world) = World::new() else { return };
    let messages = world.fill(&Mail::new(7, 700));
    let ledger = world.run_now();
    assert_eq!(ledger["totals"]["archived"], messages);
    world.assert_archive_equals_server();
    assert_eq!(world.run_now()["totals"]["bytes_fetched"], 0);
}

#[test]
fn nothing_is_touched_on_the_server() {
    let Some(world) = filled(Options::default(), "") else { return };
    let before = world.judge().everything();
    let _ = world.run_now();
    assert!(world.judge().everything() == before, "the run changed the mailbox");
}

#[test]
fn a_server_without_any_extension_is_backed_up_as_well() {
    let bare = Options::default().extra("imap_capability = IMAP4rev1\n");
    let Some(world) = filled(bare, "") else { return };
    assert_eq!(world.run_now()["outcome"], "ok");
    world.assert_archive_equals_server();

    let mut judge = world.judge();
    judge.store("INBOX", &uids("3"), "FLAGS", &Flags::parse("\\Flagged Later"));
    judge.expunge("INBOX", &uids("5:7"));
    append(&mut judge, "INBOX", 300..303);
    let ledger = world.run_now();
    let counted = |key: &str| ledger["totals"][key].as_u64();
    assert_eq!((counted("flags_changed"), counted("vanished"), counted("new")), (Some(1), Some(3), Some(3)));
    world.assert_archive_equals_server();
}

#[test]
fn changes_on_the_server_are_followed_and_the_past_is_kept() {
    let Some(world) = filled(Options::default(), "") else { return };
    let _ = world.run_now();
    let mut judge = world.judge();
    judge.store("INBOX", &uids("1:2"), "FLAGS", &Flags::parse("\\Draft \\Seen"));
    judge.expunge("Sent", &uids("1:4"));
    judge.move_to("INBOX", &uids("10"), "Work");
    append(&mut judge, "INBOX", 200..210);
    let ledger = world.run_now();
    assert_eq!(ledger["outcome"], "ok");
    assert_eq!(ledger["totals"]["vanished"], 5);
    assert_eq!(ledger["totals"]["new"], 11);
    world.assert_archive_equals_server();

    let out = world.path("with-deleted");
    let target = out.to_str().expect("a plain path");
    world.run(0, &["export", ACCOUNT, target, "--format", "eml", "--folder", "Sent", "--deleted"]);
    let files = fs::read_dir(out.join("Sent")).expect("the folder is exported");
    let messages = files
        .filter(|file| file.as_ref().is_ok_and(|file| file.path().extension().is_some_and(|e| e == "eml")));
    assert_eq!(messages.count(), 40, "what vanished from the server is still in the archive");
}

#[test]
fn only_wanted_folders_are_pulled_and_the_others_are_named() {
    let Some(world) = filled(Options::default(), "exclude = [\"Junk\", \"Work*\"]\n") else { return };
    let ledger = world.run_now();
    let folders: Vec<&str> = ledger["folders"]
        .as_array()
        .expect("folders")
        .iter()
        .filter_map(|folder| folder["folder"].as_str())
        .collect();
    assert!(
        folders.contains(&"INBOX") && !folders.iter().any(|name| name.starts_with("Work")),
        "{folders:?}"
    );
    let mut excluded: Vec<&str> =
        ledger["excluded"].as_array().expect("a list").iter().filter_map(|n| n.as_str()).collect();
    excluded.sort_unstable();
    assert_eq!(excluded, ["Junk", "Work", "Work/R&D"]);
}

#[test]
fn tls_is_spoken_and_its_faults_are_told() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..3);
    let authority = world.dovecot.authority_file();
    let trusted = format!("tls_ca_file = \"{}\"\n", authority.display());
    let (imap, imaps) = (world.dovecot.plain().port(), world.dovecot.encrypted().port());

    world.configure(&format!("port = {imaps}\ntls = \"implicit\"\n{trusted}"));
    assert_eq!(world.run_now()["totals"]["new"], 3);
    world.configure(&format!("port = {imap}\ntls = \"starttls\"\n{trusted}"));
    assert_eq!(world.run_now()["totals"]["archived"], 3);

    world.configure(&format!("port = {imaps}\ntls = \"implicit\"\n"));
    let refused = world.run_with_code(1);
    let error = refused["error"].as_str().expect("the run failed as a whole");
    assert!(error.contains("tls_ca_file"), "{error}");
    world.configure(&format!("port = {imap}\ntls = \"implicit\"\n{trusted}"));
    assert_eq!(world.run_with_code(1)["outcome"], "failed");
}

#[test]
fn a_namespace_with_a_prefix_and_a_dot_is_followed() {
    let options = Options::default().separator('.').prefix("INBOX.");
    let Some(world) = World::with(options, "") else { return };
    let mut judge = world.judge();
    judge.create("INBOX.Lists.rust");
    append(&mut judge, "INBOX.Lists.rust", 0..4);
    append(&mut judge, "INBOX", 4..6);
    assert_eq!(world.run_now()["totals"]["archived"], 6);
    world.assert_archive_equals_server();
}

#[test]
fn a_lost_catalogue_is_made_again_from_the_packs_alone() {
    let Some(world) = filled(Options::default(), "") else { return };
    let _ = world.run_now();
    world.judge().expunge("INBOX", &uids("1:9"));
    let _ = world.run_now();
    let before = world.listing();
    for entry in fs::read_dir(world.archive()).expect("the archive").flatten() {
        if entry.file_name().to_string_lossy().starts_with("catalog.db") {
            fs::remove_file(entry.path()).expect("the catalogue can be deleted");
        }
    }
    world.run(0, &["rebuild"]);
    assert_eq!(world.listing(), before);
    world.run(0, &["verify"]);
}

#[test]
fn a_flipped_byte_is_found_and_told_as_messages() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..60);
    let _ = world.run_now();
    let pack = world.packs().remove(0);
    let sound = fs::read(&pack).expect("the pack");
    let mut named = 0;
    for part in 1..20 {
        let mut damaged = sound.clone();
        let position = sound.len() * part / 20;
        damaged[position] ^= 0x10;
        fs::write(&pack, &damaged).expect("the pack can be damaged");
        let report = world.run(4, &["--json", "verify"]).json();
        named += report["messages_hit"].as_array().map_or(0, Vec::len);
    }
    assert!(named > 0, "some of the damage must hit messages");
    fs::write(&pack, &sound).expect("the pack can be mended");
    world.run(0, &["verify"]);
}

#[test]
fn one_message_is_shown_as_it_was_sent() {
    let Some(world) = World::new() else { return };
    world.judge().append("INBOX", &Flags::new(), &date(1), &mail(3));
    let _ = world.run_now();
    let listed = &world.listing()["INBOX"][0];
    let id = listed["id"].as_str().expect("an id");
    for id in [id, &id[..8]] {
        assert!(world.run(0, &["show", id]).stdout == mail(3), "show {id}");
    }
    assert_eq!(listed["subject"], "Message number 3");
    assert!(world.run(2, &["show", "abc"]).stdout.is_empty());
}

#[test]
fn a_second_program_on_the_same_archive_is_told_to_wait() {
    let Some(world) = World::new() else { return };
    let _ = world.run_now();
    let lock = fs::File::open(world.archive().join("lock")).expect("the archive has a lock");
    lock.lock().expect("nobody else has it");
    world.run(75, &["--run-now"]);
    world.run(0, &["list", ACCOUNT]);
}

#[test]
fn maildir_and_mbox_hold_every_message() {
    let Some(world) = filled(Options::default(), "") else { return };
    let _ = world.run_now();
    for (format, pattern) in [("maildir", "cur"), ("mbox", "mbox")] {
        let out = world.path(&format!("as {format}"));
        world.run(0, &["export", ACCOUNT, out.to_str().expect("a plain path"), "--format", format]);
        let (mut files, mut from_lines, mut folders) = (0, 0, vec![out]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("an exported folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.components().any(|part| part.as_os_str() == pattern) {
                    files += 1;
                } else if path.extension().is_some_and(|extension| extension == pattern) {
                    let bytes = fs::read(&path).expect("an exported mbox");
                    from_lines +=
                        bytes.split(|&byte| byte == b'\n').filter(|line| line.starts_with(b"From ")).count();
                }
            }
        }
        assert_eq!(files + from_lines, 179, "{format}");
    }
}
