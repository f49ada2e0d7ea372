//! An account goes from POP3 to IMAP, or back, under the same name: one archive, nothing doubled.

use std::collections::BTreeSet;

use message::Flags;
use restante_tests::{ACCOUNT, USER, World, append, date, uids};
use serde_json::Value;
use testkit::Options;

const MESSAGES: u32 = 120;

fn total(ledger: &Value, key: &str) -> u64 {
    ledger["totals"][key].as_u64().unwrap_or_else(|| panic!("no {key} in {ledger}"))
}

/// A maildrop with mail beside a folder that POP3 does not see.
fn world() -> Option<World> {
    let world = World::over_pop3(Options::default())?;
    let mut judge = world.judge();
    append(&mut judge, "INBOX", 0..MESSAGES);
    judge.create("Sent");
    append(&mut judge, "Sent", 500..510);
    Some(world)
}

/// The ids that a folder lists, sorted.
fn ids(world: &World, folder: &str) -> Vec<String> {
    let messages = world.messages(ACCOUNT, folder, &[]);
    let mut ids: Vec<String> =
        messages.iter().map(|message| message["id"].as_str().expect("an id").to_owned()).collect();
    ids.sort();
    ids
}

#[test]
fn from_pop3_to_imap_the_archive_goes_on_and_stores_nothing_twice() {
    let Some(world) = world() else { return };
    assert_eq!(total(&world.run_now(), "archived"), u64::from(MESSAGES));
    let (inbox, size) = (ids(&world, "INBOX"), world.pack_bytes());

    world.configure("");
    let ledger = world.run_now();
    assert_eq!(ledger["outcome"], "ok", "{ledger}");
    assert_eq!(total(&ledger, "archived"), u64::from(MESSAGES) + 10);
    assert_eq!(ids(&world, "INBOX"), inbox, "the folder holds the same mail");
    assert_eq!(ids(&world, "Sent").len(), 10);
    assert!(ledger["suspicious"] != true, "{ledger}");
    world.assert_archive_equals_server();
    let grown = world.pack_bytes() - size;
    assert!(grown < 60_000, "{grown} octets: more than 10 messages and the journal");
    let before = world.messages(ACCOUNT, "INBOX", &["--as-of", "run:1"]);
    assert_eq!(before.len(), inbox.len());
    world.run(0, &["verify"]);
}

#[test]
fn from_imap_to_pop3_only_what_was_not_known_is_fetched() {
    let Some(world) = world() else { return };
    world.configure("");
    assert_eq!(total(&world.run_now(), "archived"), u64::from(MESSAGES) + 10);
    let (inbox, size) = (ids(&world, "INBOX"), world.pack_bytes());

    append(&mut world.judge(), "INBOX", 700..703);
    world.judge().expunge("INBOX", &uids("5"));
    world.configure(&world.pop3_lines());
    let ledger = world.run_now();
    assert_eq!(ledger["outcome"], "ok", "{ledger}");
    assert_eq!(total(&ledger, "archived"), u64::from(MESSAGES) + 2);
    assert!(total(&ledger, "bytes_fetched") < 100_000, "{ledger}");
    assert!(ledger["suspicious"] != true, "{ledger}");
    assert_eq!(ids(&world, "INBOX").len(), inbox.len() + 2);
    let grown = world.pack_bytes() - size;
    assert!(grown < 40_000, "{grown} octets: more than 3 messages and the journal");
    let past = world.messages(ACCOUNT, "INBOX", &["--as-of", "run:1"]);
    assert_eq!(past.len(), inbox.len());

    // And back again.
    world.configure("");
    let ledger = world.run_now();
    assert_eq!(ledger["outcome"], "ok", "{ledger}");
    world.assert_archive_equals_server();
    world.run(0, &["verify"]);
}

#[test]
fn what_the_other_protocol_shows_with_other_bytes_is_found_out_and_kept_in_both_forms() {
    let Some(mut world) = world() else { return };
    // IMAP has no NUL; Dovecot shows 0x80 in its place. Size and header block are the same.
    let letter = format!("Subject: a NUL\r\n\r\n{}\0\r\n", "x".repeat(5_000));
    world.dovecot.deliver(USER, "INBOX", &Flags::new(), &date(1), letter.as_bytes());
    let _ = world.run_now();
    assert!(world.export("eml").contains(&letter.clone().into_bytes()));
    world.configure("");
    // Recognised by its header at first; some of those are compared in each run, to the last.
    let runs = (0..20).map(|_| world.run_now()).take_while(|run| total(run, "bytes_fetched") > 0).count();
    assert!((1..20).contains(&runs), "{runs} runs");
    world.assert_archive_equals_server();
    let past = world.messages(ACCOUNT, "INBOX", &["--as-of", "run:1"]);
    assert_eq!(past.len(), MESSAGES as usize + 1);
    let all = world.messages(ACCOUNT, "INBOX", &["--deleted"]);
    let forms =
        all.iter().filter(|message| message["subject"] == "a NUL").map(|message| message["id"].as_str());
    assert_eq!(forms.collect::<BTreeSet<_>>().len(), 2, "{all:?}");
    world.run(0, &["verify"]);
}
