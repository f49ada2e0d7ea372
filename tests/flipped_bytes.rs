//! Any byte of an archive flipped: `verify` finds it, and nothing gives wrong bytes (D11, S11).
//!
//! Offsets are spread over all files of the archive by a seed. After each flip `verify` must end with 4
//! (or, where the byte is in the catalogue, find or mend it), `export` must give only true bytes, and
//! whatever is missing is named.
//!
//! With RESTANTE_LONG=1 500 bytes are flipped, else 40.

use std::collections::BTreeSet;
use std::fs;

use restante_tests::{ACCOUNT, World, append, is_long};
use server::sample::Random;

#[test]
fn d11_s11_every_flipped_byte_of_a_pack_is_found_and_no_wrong_byte_is_given_out() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..60);
    let _ = world.run_now();
    append(&mut world.judge(), "INBOX", 60..80);
    let _ = world.run_now();
    let sound: BTreeSet<Vec<u8>> = world.export("eml").into_iter().collect();
    let packs: Vec<_> =
        world.packs().into_iter().map(|pack| (fs::read(&pack).expect("a pack"), pack)).collect();
    let total: usize = packs.iter().map(|(bytes, _)| bytes.len()).sum();
    let mut random = Random::new(0xd11);
    let (mut hit, mut withheld) = (0, 0);
    for flip in 0..if is_long() { 500 } else { 40 } {
        let mut at = random.below(total);
        let (bytes, pack) = packs
            .iter()
            .find(|(bytes, _)| {
                let here = at < bytes.len();
                at -= if here { 0 } else { bytes.len() };
                here
            })
            .expect("the place is in one of them");
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << random.below(8);
        fs::write(pack, &damaged).expect("the pack can be damaged");
        let moment = format!("flip {flip} at byte {at} of {}", pack.display());

        let report = world.program.run(["--json", "verify"]);
        assert_eq!(report.code, Some(4), "{moment}: {}", report.stderr);
        let report = report.json();
        let named = report["messages_hit"].as_array().expect("a list of messages").len();
        hit += usize::from(named > 0);

        let target = tempfile::tempdir().expect("a temporary folder");
        let out = target.path().join("out");
        let out_text = out.to_str().expect("a plain path");
        let export = world.program.run(["export", ACCOUNT, out_text, "--format", "eml"]);
        let given = read_all(&out);
        for bytes in &given {
            assert!(sound.contains(bytes), "{moment}: a message came out that was never put in");
        }
        let missing = sound.len() - given.len();
        withheld += missing;
        assert!(missing == 0 || export.code != Some(0), "{moment}: {missing} messages are missing silently");
        assert!(missing <= named, "{moment}: {missing} are missing, {named} are named");
        fs::write(pack, bytes).expect("the pack can be mended");
    }
    assert!(hit > 0 && withheld > 0, "some of the damage must hit messages");
    world.run(0, &["verify"]);
    world.assert_archive_equals_server();
}

fn read_all(folder: &std::path::Path) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "eml") {
                files.push(fs::read(path).expect("an exported file"));
            }
        }
    }
    files
}

#[test]
fn d11_d14_every_flipped_byte_of_the_other_files_is_found_or_does_no_harm() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..40);
    let _ = world.run_now();
    let listing = world.listing();
    let mut random = Random::new(0xd14);
    for name in ["archive.toml", "catalog.db", "owner", "lock"] {
        let path = world.archive().join(name);
        let sound = fs::read(&path).expect("the file is there");
        let flips = if is_long() { 100 } else { 6 }.min(sound.len());
        for _ in 0..flips {
            let at = random.below(sound.len());
            let mut damaged = sound.clone();
            damaged[at] ^= 1 << random.below(8);
            fs::write(&path, &damaged).expect("the file can be damaged");
            let verify = world.program.run(["verify"]);
            assert!(
                matches!(verify.code, Some(0 | 4)),
                "{name} at {at}: {:?} {}",
                verify.code,
                verify.stderr
            );
            // What does not stand in the packs is made again from them.
            world.run(0, &["rebuild"]);
            let ledger = world.run_now();
            assert_eq!(ledger["totals"]["bytes_fetched"], 0, "{name} at {at}");
            assert_eq!(world.listing(), listing, "{name} at {at}");
            world.run(0, &["verify"]);
        }
    }
}
