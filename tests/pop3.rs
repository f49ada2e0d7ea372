//! A maildrop goes in over POP3 and comes out, on a real Dovecot, whose IMAP is the judge.
//!
//! Dovecot counts the octets of a message without the line end that POP3 adds, so that both protocols
//! give the same bytes.

use std::collections::BTreeMap;
use std::process::Command;

use message::Flags;
use restante_tests::{ACCOUNT, USER, World, append, corpus, date, mail, uids};
use serde_json::Value;
use testkit::{Direction, FaultProxy, Harm, Options};

/// Mail with all that POP3 makes difficult: dots, no line end at the end, long lines, next to nothing.
fn difficult() -> Vec<Vec<u8>> {
    let long = format!("Subject: long\r\n\r\n{}\r\n", "x".repeat(300_000));
    let dots = format!("Subject: dots\r\n\r\n{}", ".\r\n..\r\n. \r\n...x\r\n".repeat(700));
    let plain = [
        "Subject: no line end at the end\r\n\r\nend",
        "Subject: only a header\r\n",
        "Subject: only a header and an empty line\r\n\r\n",
        "\r\nno header\r\n",
        "x",
        "Subject: ends with a dot\r\n\r\n.",
        "Subject: ends with empty lines\r\n\r\nend\r\n\r\n\r\n",
        "Subject: \u{1b}[2J 8-bit \u{e4}\u{f6}\u{fc}\r\n\r\n\u{2603}\r\n",
        &long,
        &dots,
    ];
    plain.iter().map(|text| text.as_bytes().to_vec()).collect()
}

/// Ordinary mail, difficult mail, and one message twice.
fn sample() -> Vec<Vec<u8>> {
    (0..150).chain([7]).map(mail).chain(difficult()).collect()
}

/// The same, and what the corpus has. Dovecot's IMAP shows a NUL as 0x80, so that the judge could not
/// tell what is right there.
fn sample_and_corpus() -> Vec<Vec<u8>> {
    let corpus = corpus().unwrap_or_default().into_iter().filter(|bytes| !bytes.contains(&0));
    sample().into_iter().chain(corpus).collect()
}

/// A maildrop with this mail.
fn filled(mails: &[Vec<u8>]) -> Option<(World, u32)> {
    let mut world = World::over_pop3(Options::default())?;
    let mut count = 0;
    for bytes in mails {
        world.dovecot.deliver(USER, "INBOX", &Flags::new(), &date(count), bytes);
        count += 1;
    }
    Some((world, count))
}

/// How often each content is listed.
fn ids(messages: &[Value]) -> BTreeMap<&str, usize> {
    let mut ids = BTreeMap::new();
    for message in messages {
        *ids.entry(message["id"].as_str().expect("an id")).or_default() += 1;
    }
    ids
}

fn total(ledger: &Value, key: &str) -> u64 {
    ledger["totals"][key].as_u64().unwrap_or_else(|| panic!("no {key} in {ledger}"))
}

/// Whether a session left everything where it was: no DELE, and an orderly end.
#[track_caller]
fn assert_left_alone(world: &World) {
    for session in world.dovecot.pop3_commands() {
        assert!(!session.iter().any(|command| command.to_uppercase().starts_with("DELE")), "{session:?}");
        assert_eq!(session.last().map(String::as_str), Some("QUIT"), "{session:?}");
    }
}

#[test]
fn the_same_mailbox_over_pop3_and_over_imap_is_the_same_mail_and_is_stored_once() {
    let Some((world, count)) = filled(&sample_and_corpus()) else { return };
    let beside = format!(
        "[[account]]\nname = \"web\"\nhost = \"localhost\"\nport = {}\ntls = \"none\"\nuser = \"{USER}\"\n\
         password_file = \"password\"\n",
        world.dovecot.plain().port()
    );
    world.configure(&format!("{}{beside}", world.pop3_lines()));
    world.run(0, &["--run-now", ACCOUNT]);
    world.assert_archive_equals_maildrop();
    let alone = world.pack_bytes();
    world.run(0, &["--run-now", "web"]);
    let grown = world.pack_bytes() - alone;
    let [pop3, imap] = [ACCOUNT, "web"].map(|account| world.messages(account, "INBOX", &[]));
    assert_eq!((pop3.len(), ids(&pop3)), (count as usize, ids(&imap)));
    // A place in the journal, and nothing of the mail.
    assert!(grown < 2_000 + 60 * u64::from(count), "{grown} octets for {count} messages");
    assert!(pop3.iter().all(|message| message["uidl"].is_string()), "{:?}", pop3[0]);
    assert!(imap.iter().all(|message| message.get("uidl").is_none()), "{:?}", imap[0]);
    world.run(0, &["verify"]);
}

#[test]
fn a_nul_comes_as_it_is() {
    let Some(mut world) = World::over_pop3(Options::default()) else { return };
    let letter = b"Subject: a NUL\r\n\r\nhere: \0 and \0\0\r\n";
    world.dovecot.deliver(USER, "INBOX", &Flags::new(), &date(1), letter);
    assert_eq!(total(&world.run_now(), "archived"), 1);
    assert_eq!(world.export("eml"), [letter]);
    assert_eq!(world.dovecot.pop3_session(USER).fetch_all(), [letter]);
}

#[test]
fn a_second_run_asks_for_one_listing_of_unique_ids_and_for_no_message() {
    let Some((world, count)) = filled(&sample()) else { return };
    let first = world.run_now();
    assert_eq!((total(&first, "archived"), total(&first, "new")), (u64::from(count), u64::from(count)));
    let again = world.run_now();
    assert_eq!(again["outcome"], "ok");
    assert_eq!((total(&again, "archived"), total(&again, "bytes_fetched")), (u64::from(count), 0));
    let sessions = world.dovecot.pop3_commands();
    let last = sessions.last().expect("there was a session");
    let of = |name: &str| last.iter().filter(|command| command.split(' ').next() == Some(name)).count();
    assert_eq!((of("UIDL"), of("RETR"), of("TOP"), of("LIST")), (1, 0, 0, 0), "{last:?}");
    assert_left_alone(&world);
}

#[test]
fn all_that_can_be_done_with_an_archive_works_on_what_came_over_pop3() {
    let Some((world, count)) = filled(&sample()) else { return };
    let _ = world.run_now();
    let listed = world.messages(ACCOUNT, "INBOX", &[]);
    assert_eq!(listed.len(), count as usize);
    for message in listed.iter().take(20) {
        let id = message["id"].as_str().expect("an id");
        let shown = world.run(0, &["show", id]).stdout;
        assert_eq!(message["size"], shown.len(), "{message}");
        assert_eq!(world.json(&["history", ACCOUNT, id])["stays"][0]["folder"], "INBOX");
    }
    world.assert_archive_equals_maildrop();
    assert_eq!(world.json(&["history", ACCOUNT])["runs"][0]["new"], count);
    assert_eq!(world.json(&["status"])["accounts"][0]["account"], ACCOUNT);
    assert_eq!(world.json(&["check-config", "--connect"])["accounts"][0]["folders"], 1);

    let report = world.restore_beside(0, "berta", &["--verify=full"]);
    assert_eq!((&report["outcome"], &report["totals"]["proven"]), (&"proven".into(), &count.into()));
    let mut restored: Vec<Vec<u8>> =
        world.dovecot.imap("berta").fetch_all("INBOX").into_iter().map(|m| m.bytes).collect();
    let mut wanted: Vec<Vec<u8>> = world.judge().fetch_all("INBOX").into_iter().map(|m| m.bytes).collect();
    restored.sort_unstable();
    wanted.sort_unstable();
    assert!(restored == wanted, "what was restored is not what was there");

    assert_eq!(world.json(&["drill", "--all"])["drills"][0]["outcome"], "proven");
    for entry in std::fs::read_dir(world.archive()).expect("the archive").flatten() {
        if entry.file_name().to_string_lossy().starts_with("catalog.db") {
            std::fs::remove_file(entry.path()).expect("the catalogue can be deleted");
        }
    }
    world.run(0, &["rebuild"]);
    assert_eq!(world.messages(ACCOUNT, "INBOX", &[]), listed);
    assert_eq!(total(&world.run_now(), "bytes_fetched"), 0, "what was fetched is known after a rebuild");
    world.run(0, &["verify"]);
}

#[test]
fn what_vanishes_is_known_and_the_day_before_is_one_as_of_away() {
    let Some(world) = World::over_pop3(Options::default()) else { return };
    append(&mut world.judge(), "INBOX", 0..40);
    let _ = world.run_now();
    let before = world.messages(ACCOUNT, "INBOX", &[]);
    world.judge().expunge("INBOX", &uids("2:4"));
    append(&mut world.judge(), "INBOX", 40..45);
    let ledger = world.run_now();
    assert_eq!((total(&ledger, "vanished"), total(&ledger, "new"), total(&ledger, "archived")), (3, 5, 42));
    world.assert_archive_equals_maildrop();
    let then = world.messages(ACCOUNT, "INBOX", &["--as-of", "run:1"]);
    assert_eq!(ids(&then), ids(&before));
    let all = world.messages(ACCOUNT, "INBOX", &["--deleted"]);
    let gone = all.iter().filter(|message| message["on_server"] == false).count();
    assert_eq!((all.len(), gone), (45, 3));
    let vanished = world.json(&["history", ACCOUNT, "INBOX"])["runs"][0]["vanished"].clone();
    assert_eq!(vanished, 3);
    assert_left_alone(&world);
}

#[test]
fn all_unique_ids_change_and_nothing_is_fetched_twice_or_doubled() {
    let Some((mut world, count)) = filled(&sample_and_corpus()) else { return };
    let proxy = FaultProxy::start(world.dovecot.pop3().expect("it speaks POP3"), Harm::None);
    world.configure(&format!("protocol = \"pop3\"\nport = {}\n", proxy.address().port()));
    let _ = world.run_now();
    let before = world.messages(ACCOUNT, "INBOX", &[]);
    let full = proxy.octets(Direction::ToClient);

    world.dovecot.restart();
    assert_eq!(total(&world.run_now(), "bytes_fetched"), 0, "a restart changes no unique-id");
    assert_eq!(world.messages(ACCOUNT, "INBOX", &[]), before);

    // A move to another server, as far as a client can see.
    world.dovecot.set_uidl_format("%g");
    let counted = proxy.octets(Direction::ToClient);
    let ledger = world.run_now();
    let moved = proxy.octets(Direction::ToClient) - counted;
    assert_eq!(ledger["outcome"], "ok", "{ledger}");
    assert_eq!(
        (total(&ledger, "archived"), total(&ledger, "on_server")),
        (u64::from(count), u64::from(count))
    );
    assert!(moved < full / 2, "{moved} octets after {full}");
    let after = world.messages(ACCOUNT, "INBOX", &[]);
    assert_eq!(ids(&after), ids(&before));
    world.assert_archive_equals_maildrop();
    // What was recognised by its header is proven by its bytes, some of it in each run, to the last.
    let later: Vec<Value> =
        (0..60).map(|_| world.run_now()).take_while(|run| total(run, "bytes_fetched") > 0).collect();
    assert!((1..60).contains(&later.len()), "{} runs", later.len());
    assert!(later.iter().all(|run| total(run, "new") == 0), "{later:?}");
    assert_eq!(world.messages(ACCOUNT, "INBOX", &[]), after);
    world.run(0, &["verify"]);
}

#[test]
fn tls_is_spoken_from_the_first_octet_and_after_stls() {
    let Some(world) = World::over_pop3(Options::default()) else { return };
    append(&mut world.judge(), "INBOX", 0..3);
    let trusted = format!("tls_ca_file = \"{}\"\n", world.dovecot.authority_file().display());
    let pop3 = world.dovecot.pop3().expect("it speaks POP3").port();
    let pop3s = world.dovecot.pop3s().expect("it speaks POP3").port();
    let account = |port: u16, tls: &str, more: &str| {
        format!("protocol = \"pop3\"\nport = {port}\ntls = \"{tls}\"\n{more}")
    };
    world.configure(&account(pop3s, "implicit", &trusted));
    assert_eq!(total(&world.run_now(), "new"), 3);
    world.configure(&account(pop3, "starttls", &trusted));
    assert_eq!(total(&world.run_now(), "archived"), 3);

    for (port, tls) in [(pop3s, "implicit"), (pop3, "starttls")] {
        world.configure(&account(port, tls, ""));
        let refused = world.run_with_code(1);
        let error = refused["error"].as_str().expect("the run failed as a whole");
        assert!(error.contains("tls_ca_file"), "{error}");
    }
    // TLS where there is none, and an account of the other protocol.
    world.configure(&account(pop3, "implicit", &trusted));
    assert_eq!(world.run_with_code(1)["outcome"], "failed");
    world.configure(&account(world.dovecot.plain().port(), "none", ""));
    let refused = world.run_with_code(1);
    assert!(refused["error"].as_str().is_some_and(|error| error.contains("imap")), "{refused}");
    assert_left_alone(&world);
}

#[test]
fn p09_a_wrong_password_is_a_failed_run_that_says_so() {
    let Some(world) = World::over_pop3(Options::default()) else { return };
    append(&mut world.judge(), "INBOX", 0..2);
    std::fs::write(world.path("password"), "not-this\n").expect("an own file");
    let refused = world.run_with_code(1);
    assert_eq!(refused["outcome"], "failed");
    let error = refused["error"].as_str().expect("the run failed as a whole");
    assert!(error.contains("password") || error.contains("login"), "{error}");
    assert!(!error.contains("not-this"), "{error}");
    let checked = world.run(1, &["--json", "check-config", "--connect"]).json();
    assert!(checked["accounts"][0]["error"].is_string(), "{checked}");
    std::fs::write(world.path("password"), "pass\n").expect("an own file");
    assert_eq!(total(&world.run_now(), "archived"), 2);
}

#[test]
fn the_benchmark_finds_what_it_measures() {
    let Some(world) = World::over_pop3(Options::default()) else { return };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/pop3");
    let mut command = Command::new("python3");
    command.args([script, "--quick", "--restante"]).arg(world.program.program());
    // A machine without Python can do without the benchmark.
    let Ok(output) = command.output() else { return };
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    for kind in ["floor", "pop3", "imap", "uidl", "nothing new"] {
        assert!(told.contains(&format!("| {kind} |")), "{told}");
    }
}

#[test]
fn l01_an_emptied_maildrop_is_told_and_comes_back_to_an_imap_server() {
    let Some(world) = World::over_pop3(Options::default()) else { return };
    append(&mut world.judge(), "INBOX", 0..60);
    let _ = world.run_now();
    let wanted = world.export("eml");
    world.judge().expunge("INBOX", &uids("1:55"));
    let ledger = world.run_with_code(3);
    assert_eq!(
        (&ledger["suspicious"], &ledger["totals"]["vanished"]),
        (&true.into(), &55.into()),
        "{ledger}"
    );
    let status = world.json(&["status"]);
    let command = &status["accounts"][0]["unacknowledged"][0]["commands"][0];
    let command = command.as_str().expect("a command");
    let (_, as_of) = command.rsplit_once(" --as-of ").expect("the state before");
    assert!(command.contains("--to imaps://USER@HOST"), "{command}");
    let text = world.run(0, &["status"]).stdout;
    assert!(String::from_utf8_lossy(&text).contains("POP3 takes no mail back"));
    world.run(2, &["restore", ACCOUNT, "--to", ACCOUNT, "--as-of", as_of]);
    let report = world.restore_beside(0, "berta", &["--as-of", as_of]);
    assert_eq!((&report["outcome"], &report["totals"]["added"]), (&"proven".into(), &60.into()));
    let mut restored: Vec<Vec<u8>> =
        world.dovecot.imap("berta").fetch_all("INBOX").into_iter().map(|m| m.bytes).collect();
    let mut wanted = wanted;
    restored.sort_unstable();
    wanted.sort_unstable();
    assert!(restored == wanted, "what was restored is not what was there");
}
