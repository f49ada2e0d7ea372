//! Damage in the archive of a real mailbox: named, repaired, and healed by the server as far as it can.

use std::fs;
use std::path::Path;

use restante_tests::{ACCOUNT, World, append, uids};
use serde_json::Value;

const BLOCK: u8 = 1;
const JOURNAL: u8 = 2;
const COMMIT: u8 = 3;

/// A frame as docs/archive-format.md describes it: kind, and where directory and body lie.
#[derive(Debug, Clone, Copy)]
struct Frame {
    kind: u8,
    start: usize,
    directory: usize,
    body: usize,
}

/// The frames of a pack, in order; what is no frame is passed over.
fn frames(bytes: &[u8]) -> Vec<Frame> {
    let (mut frames, mut at) = (Vec::new(), 128);
    while at + 80 <= bytes.len() {
        if bytes[at..at + 4] != [0xf5, 0x52, 0x46, 0x0a] {
            at += 1;
            continue;
        }
        let number = |from: usize| u32::from_le_bytes(bytes[from..from + 4].try_into().expect("four bytes"));
        let (meta, length) = (number(at + 8) as usize, number(at + 16) as usize);
        let (directory, body) = (at + 80, at + 80 + meta);
        frames.push(Frame { kind: bytes[at + 4], start: at, directory, body });
        at = body + length;
    }
    frames
}

fn flip(pack: &Path, choose: impl Fn(&[Frame]) -> usize) {
    let mut bytes = fs::read(pack).expect("a pack");
    let at = choose(&frames(&bytes));
    bytes[at] ^= 0x40;
    fs::write(pack, bytes).expect("the pack can be damaged");
}

/// The nth frame of a kind.
fn nth(frames: &[Frame], kind: u8, number: usize) -> Frame {
    *frames.iter().filter(|frame| frame.kind == kind).nth(number).expect("so many frames of this kind")
}

/// A mailbox that was backed up in several runs, with mail in two folders at once.
fn backed_up() -> Option<World> {
    let world = World::new()?;
    let mut judge = world.judge();
    judge.create("Copies");
    for part in 0..5 {
        append(&mut judge, "INBOX", part * 40..part * 40 + 40);
        append(&mut judge, "Copies", part * 40..part * 40 + 5);
        assert_eq!(world.run_now()["outcome"], "ok");
    }
    Some(world)
}

fn json(world: &World, code: i32, arguments: &[&str]) -> Value {
    world.run(code, &[&["--json"], arguments].concat()).json()
}

fn count(value: &Value) -> usize {
    value.as_array().expect("a list").len()
}

#[test]
fn d11_a_flip_in_any_part_of_a_pack_is_named_repaired_and_healed() {
    let Some(world) = backed_up() else { return };
    let pack = world.packs().remove(0);
    type Choose = fn(&[Frame]) -> usize;
    let parts: [(&str, Choose, bool); 6] = [
        ("the pack's header", |_| 20, false),
        ("a block's header", |frames| nth(frames, BLOCK, 0).start + 50, true),
        ("a block's directory", |frames| nth(frames, BLOCK, 4).directory + 3, true),
        ("a block's body", |frames| nth(frames, BLOCK, 7).body + 9, true),
        ("a journal's body", |frames| nth(frames, JOURNAL, 2).body + 9, false),
        ("a commit", |frames| nth(frames, COMMIT, 3).directory + 9, false),
    ];
    for (part, choose, loses) in parts {
        flip(&pack, choose);
        let verified = json(&world, 4, &["verify"]);
        assert!(count(&verified["damage"]) > 0, "{part}: {verified}");
        let rehearsed = json(&world, 4, &["repair", "--dry-run"]);
        let repaired = json(&world, if loses { 3 } else { 0 }, &["repair"]);
        assert_eq!(rehearsed["damage"], repaired["damage"], "{part}");
        assert_eq!(count(&repaired["lost"]) > 0, loses, "{part}: {repaired}");
        if loses {
            assert_eq!(repaired["lost"], verified["messages_hit"], "{part}");
        }
        let known = json(&world, 0, &["verify"]);
        assert_eq!((&known["whole"], count(&known["messages_hit"])), (&Value::Bool(true), 0), "{part}");
        assert_eq!(known["messages_lost"], repaired["lost"], "{part}");
        assert!(count(&known["known_damage"]) > 0, "{part}");
        let ledger = world.run_now();
        assert_eq!(ledger["totals"]["healed"].as_u64() > Some(0), loses, "{part}: {ledger}");
        assert_eq!(ledger["totals"]["new"], 0, "{part}");
        world.assert_archive_equals_server();
        let healed = json(&world, 0, &["verify"]);
        assert_eq!(count(&healed["messages_lost"]), 0, "{part}");
        let again = json(&world, 0, &["repair"]);
        assert_eq!(again["nothing_to_do"], true, "{part}: {again}");
    }
    // Nothing of this rests on the catalogue.
    let listed = world.listing();
    world.run(0, &["rebuild"]);
    assert_eq!(world.listing(), listed);
    assert_eq!(world.run_now()["totals"]["bytes_fetched"], 0);
}

#[test]
fn d12_a_pack_that_is_missing_costs_what_only_it_had_and_the_server_has_no_more() {
    let Some(world) = backed_up() else { return };
    let mut judge = world.judge();
    judge.expunge("INBOX", &uids("3:7"));
    assert_eq!(world.run_now()["totals"]["vanished"], 5);
    let before = json(&world, 0, &["list", ACCOUNT, "INBOX", "--deleted"]);
    fs::remove_file(world.packs().remove(0)).expect("the pack can be removed");

    let verified = json(&world, 4, &["verify"]);
    assert_eq!(count(&verified["messages_hit"]), 225, "every place of every message is named");
    let repaired = json(&world, 3, &["repair"]);
    assert_eq!(repaired["messages_lost"], 200);
    assert_eq!((&repaired["restated"]["messages"], &repaired["journal_lost"]), (&200.into(), &false.into()));
    // All is known that was known, and what is lost is called so.
    let after = json(&world, 0, &["list", ACCOUNT, "INBOX", "--deleted"]);
    let (before, after) = (before["messages"].as_array(), after["messages"].as_array());
    let (before, after) = (before.expect("a list"), after.expect("a list"));
    assert_eq!(before.len(), after.len());
    for (then, now) in before.iter().zip(after) {
        assert_eq!((&then["id"], &then["flags"]), (&now["id"], &now["flags"]));
        assert_eq!((&then["on_server"], &now["lost"]), (&now["on_server"], &Value::Bool(true)));
    }

    let ledger = world.run_now();
    // What is still in INBOX, and the three that are among the copies only: no copy is fetched twice.
    assert_eq!((&ledger["totals"]["healed"], &ledger["totals"]["new"]), (&198.into(), &0.into()), "{ledger}");
    world.assert_archive_equals_server();
    // Mail 2 to 6 lay under UID 3 to 7; 2, 3 and 4 are among the copies.
    let verified = json(&world, 0, &["verify"]);
    let gone = verified["messages_lost"].as_array().expect("a list");
    let gone: Vec<(u64, bool)> =
        gone.iter().map(|hit| (hit["uid"].as_u64().expect("a UID"), hit["on_server"] == true)).collect();
    assert_eq!(gone, [(6, false), (7, false)], "lost for good, and named");
    let status = json(&world, 0, &["status"]);
    let ids = |hits: &Value| -> Vec<Value> {
        hits.as_array().expect("a list").iter().map(|hit| hit["id"].clone()).collect()
    };
    assert_eq!(ids(&status["archive"]["lost"]), ids(&verified["messages_lost"]));
    let said = world.run(0, &["status"]);
    let said = String::from_utf8_lossy(&said.stdout);
    assert!(said.contains("2 messages are lost for good"), "{said}");
    let id = status["archive"]["lost"][0]["id"].as_str().expect("an id").to_owned();
    world.run(4, &["--json", "show", &id]);
    json(&world, 3, &["repair"]);
}

#[test]
fn d14_a_damaged_catalogue_is_moved_aside_and_never_deleted() {
    let Some(world) = backed_up() else { return };
    let listed = world.listing();
    let catalogue = world.archive().join("catalog.db");
    let mut bytes = fs::read(&catalogue).expect("a catalogue");
    let length = bytes.len();
    bytes[100..length].fill(0x55);
    fs::write(&catalogue, &bytes).expect("the catalogue can be damaged");
    json(&world, 0, &["repair"]);
    let kept = world.archive().join("quarantine/catalog.db");
    assert!(fs::read(kept).expect("it is kept") == bytes);
    assert_eq!(world.listing(), listed);
    world.run(0, &["verify"]);
}
