//! Accounts come, go and move in the configuration; what the archive holds does not (O6).

use restante_tests::{ACCOUNT, USER, World, append};
use testkit::Options;

/// The lines of one more account on the same mailbox.
fn one_more(world: &World, name: &str) -> String {
    let port = world.dovecot.plain().port();
    format!(
        "[[account]]\nname = \"{name}\"\nhost = \"localhost\"\nport = {port}\ntls = \"none\"\n\
         user = \"{USER}\"\npassword_file = \"password\"\n"
    )
}

#[test]
fn o06_two_accounts_on_one_mailbox_keep_its_bytes_once() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..60);
    assert_eq!(world.run_now()["totals"]["archived"], 60);
    let alone = world.pack_bytes();

    world.configure(&one_more(&world, "twin"));
    let ledger = world.json(&["--run-now", "twin"])["runs"][0].clone();
    assert_eq!((&ledger["outcome"], &ledger["totals"]["archived"]), (&"ok".into(), &60.into()), "{ledger}");
    let ids = |account| {
        let messages = world.messages(account, "INBOX", &[]);
        messages.iter().map(|message| message["id"].to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(ACCOUNT), ids("twin"));
    let more = world.pack_bytes() - alone;
    assert!(more < alone / 4, "{more} bytes more for what was there, {alone} before");
}

#[test]
fn o06_an_account_that_is_renamed_or_removed_keeps_its_mail_and_is_said_to_be_configured_no_longer() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..20);
    assert_eq!(world.run_now()["outcome"], "ok");
    // Its table is the first of the file; under another name it is another account.
    let file = world.path("r.toml");
    let text = std::fs::read_to_string(&file).expect("the configuration is there");
    let renamed = text.replace(&format!("name = \"{ACCOUNT}\""), "name = \"renamed\"");
    std::fs::write(&file, renamed).expect("the test's own folder can be written");

    let run = world.run_now();
    assert_eq!((&run["account"], &run["outcome"]), (&"renamed".into(), &"ok".into()), "{run}");
    let status = world.json(&["status"]);
    let of = |name: &str| {
        let accounts = status["accounts"].as_array().expect("a list");
        accounts.iter().find(|account| account["account"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(
        (&of(ACCOUNT)["configured"], &of(ACCOUNT)["messages"]),
        (&false.into(), &20.into()),
        "{status}"
    );
    assert_eq!(
        (&of("renamed")["configured"], &of("renamed")["messages"]),
        (&true.into(), &20.into()),
        "{status}"
    );
    let said = world.run(0, &["status"]);
    let said = String::from_utf8_lossy(&said.stdout);
    assert!(said.contains("no longer configured"), "{said}");
    assert_eq!(world.export("eml").len(), 20);
    world.run(0, &["verify"]);
}

#[test]
fn o06_an_account_that_moves_to_another_host_recognises_what_it_holds_and_stores_nothing_twice() {
    let Some(world) = World::new() else { return };
    append(&mut world.judge(), "INBOX", 0..40);
    let before = world.run_now();
    assert_eq!(before["outcome"], "ok");
    let packs = world.pack_bytes();
    let Some(other) = testkit::Dovecot::start(Options::default()) else { return };
    append(&mut other.imap(USER), "INBOX", 0..41);
    std::fs::write(world.path("password"), format!("{}\n", other.password())).expect("an own file");
    world.configure(&format!("port = {}\n", other.plain().port()));

    let run = world.run_now();
    let totals = &run["totals"];
    assert_eq!((&run["outcome"], &totals["archived"]), (&"ok".into(), &41.into()), "{run}");
    // A sample of what is recognised is fetched all the same, to prove it by its bytes.
    let fetched = |run: &serde_json::Value| run["totals"]["bytes_fetched"].as_u64().unwrap_or(u64::MAX);
    assert!(fetched(&run) < fetched(&before) / 2, "{run}");
    assert!(world.pack_bytes() - packs < packs / 4, "{packs} bytes before, now {}", world.pack_bytes());
}
