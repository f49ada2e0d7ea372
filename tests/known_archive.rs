//! What is remembered of an archive outside it: a disk that is not there, another one in its place, an
//! older copy of itself, and one that belongs to somebody else.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;

use restante_tests::{ACCOUNT, World, append};

fn pulled() -> Option<World> {
    let world = World::new()?;
    append(&mut world.judge(), "INBOX", 0..10);
    let _ = world.run_now();
    Some(world)
}

/// One run that must end with this exit status; what it said.
fn said(world: &World, code: i32) -> String {
    world.run(code, &["--run-now"]).stderr
}

fn copy(from: &Path, to: &Path) {
    let done = Command::new("cp").arg("-a").arg(from).arg(to).status().expect("cp runs");
    assert!(done.success());
}

#[test]
fn d18_a_disk_that_is_not_mounted_is_said_and_nothing_is_created_in_its_place() {
    let Some(world) = pulled() else { return };
    let away = world.path("away");
    fs::rename(world.archive(), &away).expect("the disk is unmounted");
    let said_missing = said(&world, 1);
    assert!(said_missing.contains("disk not mounted?"), "{said_missing}");
    assert!(!world.archive().exists(), "no folder was made");
    // As a mount point looks: an empty folder of the root disk.
    fs::create_dir(world.archive()).expect("a mount point");
    assert!(said(&world, 1).contains("disk not mounted?"));
    world.run(1, &["init"]);
    assert_eq!(fs::read_dir(world.archive()).expect("the mount point").count(), 0, "it is still empty");

    fs::remove_dir(world.archive()).expect("an empty folder");
    fs::rename(&away, world.archive()).expect("the disk is mounted");
    append(&mut world.judge(), "INBOX", 10..12);
    let _ = world.run_now();
    world.assert_archive_equals_server();
}

#[test]
fn d18_another_archive_in_its_place_is_read_and_not_written_to_until_it_is_accepted() {
    let Some(world) = pulled() else { return };
    let first = world.path("first");
    fs::rename(world.archive(), &first).expect("the first disk goes");
    world.run(0, &["init", "--accept"]);
    let _ = world.run_now();
    let other = world.path("other");
    fs::rename(world.archive(), &other).expect("the second disk goes");
    fs::rename(&first, world.archive()).expect("the first disk comes");

    let packs = bytes_of_packs(&world);
    let said_other = said(&world, 1);
    assert!(said_other.contains("is not written to") && said_other.contains("init --accept"), "{said_other}");
    assert_eq!(world.listing()["INBOX"].len(), 10, "reading works");
    assert!(bytes_of_packs(&world) == packs, "and nothing was written");
    world.run(0, &["ack", ACCOUNT]);
    assert!(bytes_of_packs(&world) == packs, "where there is nothing to put away, nothing is written");
    world.run(0, &["init", "--accept"]);
    append(&mut world.judge(), "INBOX", 10..12);
    let _ = world.run_now();
    world.assert_archive_equals_server();
}

#[test]
fn d21_an_archive_put_back_from_its_own_older_copy_is_seen_and_completes_when_accepted() {
    let Some(world) = pulled() else { return };
    let older = world.path("older");
    copy(&world.archive(), &older);
    append(&mut world.judge(), "INBOX", 10..30);
    let _ = world.run_now();
    fs::remove_dir_all(world.archive()).expect("the archive is lost");
    copy(&older, &world.archive());

    let packs = bytes_of_packs(&world);
    let said_older = said(&world, 1);
    assert!(said_older.contains("older copy") && said_older.contains("init --accept"), "{said_older}");
    let warning = world.json(&["status"])["archive"]["warning"].as_str().unwrap_or_default().to_owned();
    assert!(warning.contains("older copy"), "{warning}");
    assert!(bytes_of_packs(&world) == packs);
    world.run(0, &["init", "--accept"]);
    let _ = world.run_now();
    world.assert_archive_equals_server();
    world.run(0, &["verify"]);
}

#[test]
fn d28_root_does_not_write_into_an_archive_of_somebody_else() {
    let Some(world) = pulled() else { return };
    let owner = fs::metadata(world.archive()).expect("the archive").uid();
    if owner != 0 {
        // Only root can give a folder away, and only root is refused.
        return;
    }
    for path in everything_in(&world.archive()) {
        chown(&path, Some(12_345), Some(12_345)).expect("root gives it away");
    }
    append(&mut world.judge(), "INBOX", 10..12);
    let refused = said(&world, 1);
    let path = world.archive().display().to_string();
    assert!(refused.contains(&path) && refused.contains("12345"), "what and whose: {refused}");
    assert!(refused.contains("run as that user"), "and what to do: {refused}");
    // SQLite gives what it makes beside the catalogue to the catalogue's owner.
    let of_root = |path: &PathBuf| fs::metadata(path).is_ok_and(|file| file.uid() == 0);
    assert!(!everything_in(&world.archive()).iter().any(of_root), "no file of root's lies there");
    for path in everything_in(&world.archive()) {
        chown(&path, Some(0), Some(0)).expect("root takes it back");
    }
    let _ = world.run_now();
    world.assert_archive_equals_server();
}

#[test]
fn d28_an_archive_is_for_its_owner_alone_from_the_start() {
    let Some(world) = pulled() else { return };
    for path in everything_in(&world.archive()) {
        let mode = fs::metadata(&path).expect("a file of the archive").permissions().mode() & 0o777;
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, expected, "{}", path.display());
    }
}

fn bytes_of_packs(world: &World) -> Vec<(PathBuf, Vec<u8>)> {
    let read = |pack: PathBuf| (pack.clone(), fs::read(pack).expect("a pack"));
    world.packs().into_iter().map(read).collect()
}

fn everything_in(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        match entry.path() {
            path if path.is_dir() => all.extend(everything_in(&path)),
            path => all.push(path),
        }
    }
    all
}
