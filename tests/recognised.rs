//! New UIDs, new names: what the archive already holds is not fetched again, lost or doubled.

use restante_tests::{ACCOUNT, USER, World, append};

const MESSAGES: u32 = 400;

fn pulled() -> Option<(World, u64)> {
    let world = World::new()?;
    let mut judge = world.judge();
    judge.create("Archive");
    append(&mut judge, "INBOX", 0..MESSAGES);
    append(&mut judge, "Archive", MESSAGES..MESSAGES + 50);
    let bytes = world.run_now()["totals"]["bytes_fetched"].as_u64().expect("a number");
    Some((world, bytes))
}

fn mail_files(dir: &std::path::Path) -> usize {
    let files = std::fs::read_dir(dir).expect("the folder is exported").flatten();
    files.filter(|file| file.path().extension().is_some_and(|extension| extension == "eml")).count()
}

#[test]
fn a_new_uidvalidity_costs_a_fraction_and_doubles_nothing() {
    let Some((world, full)) = pulled() else { return };
    let before = world.judge().status("INBOX").uid_validity;
    world.dovecot.new_uidvalidity(USER, "INBOX");
    assert_ne!(world.judge().status("INBOX").uid_validity, before, "the server must have forgotten");
    let ledger = world.run_now();
    assert_eq!(ledger["outcome"], "ok");
    let fetched = ledger["totals"]["bytes_fetched"].as_u64().expect("a number");
    assert!(fetched * 10 < full, "{fetched} of {full} octets were fetched again");
    assert!(ledger["totals"]["matched_by_header"].as_u64() > Some(u64::from(MESSAGES) * 7 / 10));
    world.assert_archive_equals_server();
    let out = world.path("with-deleted");
    let target = out.to_str().expect("a plain path");
    world.run(0, &["export", ACCOUNT, target, "--format", "eml", "--folder", "INBOX", "--deleted"]);
    assert_eq!(
        mail_files(&out.join("INBOX")),
        MESSAGES as usize,
        "what lay there under old UIDs is the same"
    );

    // Later runs prove the matches by their bytes, until none is left.
    for _ in 0..40 {
        if world.run_now()["totals"]["bytes_fetched"] == 0 {
            world.assert_archive_equals_server();
            return;
        }
    }
    panic!("the matches are never all proven");
}

#[test]
fn a_renamed_folder_costs_no_octet() {
    let Some((world, _)) = pulled() else { return };
    world.judge().rename("Archive", "Attic");
    let ledger = world.run_now();
    assert_eq!(ledger["outcome"], "ok");
    assert_eq!(ledger["totals"]["bytes_fetched"], 0);
    assert_eq!(ledger["totals"]["vanished"], 0);
    world.assert_archive_equals_server();

    // As it was, it has its old name.
    let names = |listed: serde_json::Value| -> Vec<String> {
        let folders = listed["folders"].as_array().expect("folders").iter();
        folders.map(|folder| folder["folder"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(world.json(&["list", ACCOUNT])), ["INBOX", "Attic"]);
    assert_eq!(names(world.json(&["list", ACCOUNT, "--as-of", "run:1", "--deleted"])), ["INBOX", "Archive"]);
    let listed = |folder| world.json(&["list", ACCOUNT, folder, "--as-of", "run:1"])["messages"].clone();
    assert_eq!(listed("Archive").as_array().map(Vec::len), Some(50));
    assert_eq!(listed("Attic"), listed("Archive"), "nothing else was called that then");
    let out = world.path("as-of");
    let target = out.to_str().expect("a plain path");
    world.run(0, &["export", ACCOUNT, target, "--format", "eml", "--as-of", "run:1"]);
    assert_eq!(mail_files(&out.join("Archive")), 50);
    assert!(!out.join("Attic").exists());
}

#[test]
fn a_deleted_folder_stays_in_the_archive() {
    let Some((world, _)) = pulled() else { return };
    world.judge().delete("Archive");
    let _ = world.run_with_code(3);
    let out = world.path("out");
    let target = out.to_str().expect("a plain path");
    world.run(0, &["export", ACCOUNT, target, "--format", "eml", "--folder", "Archive", "--deleted"]);
    assert_eq!(mail_files(&out.join("Archive")), 50);
}

#[test]
fn a_mailbox_that_moved_to_another_server_is_recognised() {
    let Some((world, full)) = pulled() else { return };
    let Some(other) = World::new() else { return };
    let mut judge = other.judge();
    judge.create("Archive");
    append(&mut judge, "INBOX", 0..MESSAGES);
    append(&mut judge, "Archive", MESSAGES..MESSAGES + 50);
    world.configure(&format!("port = {}\n", other.dovecot.plain().port()));
    let ledger = world.run_now();
    let fetched = ledger["totals"]["bytes_fetched"].as_u64().expect("a number");
    assert!(fetched * 10 < full, "{fetched} of {full} octets were fetched again");
    assert_eq!(ledger["totals"]["archived"], MESSAGES + 50);
    assert_eq!(world.listing()["INBOX"].len(), MESSAGES as usize);
}
