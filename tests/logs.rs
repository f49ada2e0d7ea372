//! The log: of which account, folder and run a line speaks, in each form that it has; and that no flood
//! of bad messages floods it.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

use message::{UidSet, UidValidity};
use restante_tests::ScriptedWorld;
use serde_json::Value;
use server::{Behaviour, Effect, Fault, Trigger};
use testkit::Output;

/// What a server says to forge lines.
const FORGED: &str = "out of order\u{1b}[2J\u{202e}";

fn world(users: &[&str], behaviour: Behaviour) -> ScriptedWorld {
    let world = ScriptedWorld::new(users, behaviour);
    world.configure("", users, "");
    world
}

fn run(world: &ScriptedWorld, code: i32, arguments: &[&str]) -> Output {
    let output = world.program.run(arguments);
    output.expect_code(code);
    output
}

/// The lines of a run with a log in JSON.
fn log(world: &ScriptedWorld, code: i32) -> Vec<Value> {
    let output = run(world, code, &["--log-format", "json", "--run-now"]);
    output.stderr.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

fn message(line: &Value) -> &str {
    line["message"].as_str().unwrap_or_default()
}

#[test]
fn o09_a_hundred_bad_messages_are_one_kind_of_line_with_the_first_few_by_name_and_a_count() {
    let refuse = |uid| Fault::new(Trigger::Body(uid), Effect::No(FORGED.to_owned()));
    let behaviour = (1..=100).fold(Behaviour::modern(), |behaviour, uid| behaviour.with_fault(refuse(uid)));
    let world = world(&["anna"], behaviour);
    world.deliver_many("anna", "INBOX", 110);
    let output = run(&world, 3, &["--json", "--log-format", "json", "--run-now"]);
    let ledger = output.json()["runs"][0].clone();
    assert_eq!(ledger["folders"][0]["failed"].as_array().map(Vec::len), Some(100), "the ledger names all");
    let lines: Vec<Value> =
        output.stderr.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect();
    assert!(lines.len() < 60, "{} lines", lines.len());
    let alike = |line: &&Value| message(line).contains("a message was not brought");
    let named: Vec<&Value> = lines.iter().filter(alike).collect();
    let (rest, named) = named.split_last().expect("there are some");
    assert_eq!(named.len(), 20);
    for line in named {
        let fields = &line["fields"];
        assert_eq!((&fields["account"], &fields["folder"]), (&"anna".into(), &"INBOX".into()), "{line}");
        assert!(fields["uid"].is_string() && fields["run"].is_string(), "{line}");
        assert_eq!(line["level"], "warn");
    }
    assert!(message(rest).starts_with("and 80 more lines like: "), "{rest}");
    assert_eq!((&rest["fields"]["more"], &rest["fields"]["account"]), (&"80".into(), &"anna".into()));
    assert!(!output.stderr.contains(['\u{1b}', '\u{202e}']) && !output.stderr.contains("\\u001b"));
}

#[test]
fn every_line_of_a_run_says_of_which_account_and_run_it_is() {
    let world = world(&["anna", "ben"], Behaviour::modern());
    world.deliver_many("anna", "INBOX", 3);
    world.deliver_many("ben", "INBOX", 2);
    let lines = log(&world, 0);
    for user in ["anna", "ben"] {
        let mine: Vec<&Value> = lines.iter().filter(|line| line["fields"]["account"] == user).collect();
        let fetching = mine.iter().find(|line| message(line).starts_with("fetching")).expect("it fetches");
        let (fields, number) = (&fetching["fields"], fetching["fields"]["run"].clone());
        assert!(number.is_string() && fields["folder"] == "INBOX", "{fetching}");
        let ended = mine.iter().find(|line| line["fields"]["outcome"] == "ok").expect("it has ended");
        assert_eq!((&ended["fields"]["run"], &ended["level"]), (&number, &"info".into()), "{ended}");
    }
    let text = run(&world, 0, &["--verbose", "--run-now"]).stderr;
    let line = text.lines().find(|line| line.contains("folder done")).expect("it is told");
    assert!(line.contains(" folder=INBOX account=anna run="), "{line}");

    world.store.add_user("ben", "another");
    let lines = log(&world, 3);
    let failed = lines.iter().find(|line| line["fields"]["outcome"] == "failed").expect("it has failed");
    assert_eq!(
        (&failed["level"], &failed["fields"]["account"]),
        (&"error".into(), &"ben".into()),
        "{failed}"
    );
    assert!(failed["fields"]["run"].is_string(), "a run that came to nothing has a number, too: {failed}");
    let quiet = run(&world, 3, &["--quiet", "--run-now"]).stderr;
    let failed = quiet.lines().find(|line| line.starts_with("error: failed")).expect("it is told");
    assert!(failed.contains(" account=ben run="), "what is left of the lines says whose they are: {failed}");
}

#[test]
fn a_mass_loss_and_new_uids_are_told_with_their_folders() {
    let world = world(&["anna"], Behaviour::modern());
    world.deliver_many("anna", "INBOX", 40);
    log(&world, 0);
    let validity = UidValidity::new(777_777).expect("not 0");
    world.store.set_validity("anna", "INBOX", validity, false).expect("the folder is there");
    let lines = log(&world, 0);
    let told = lines.iter().find(|line| message(line).contains("UIDVALIDITY")).expect("new UIDs are told");
    assert_eq!((&told["fields"]["folder"], &told["fields"]["now"]), (&"INBOX".into(), &"777777".into()));

    let gone = UidSet::parse("1:39").expect("a set");
    world.store.expunge("anna", "INBOX", &gone).expect("the folder is there");
    let lines = log(&world, 3);
    let loss = lines.iter().find(|line| message(line).contains("mass loss")).expect("the loss is told");
    assert_eq!((&loss["level"], &loss["fields"]["folder"]), (&"error".into(), &"INBOX".into()), "{loss}");
    assert_eq!(loss["fields"]["lost"], "39", "{loss}");
    assert!(lines.iter().any(|line| line["level"] == "error" && message(line).contains("restante ack anna")));
}

#[test]
fn damage_is_told_with_folder_uid_and_the_archive_s_name_of_each_message() {
    let world = world(&["anna"], Behaviour::modern());
    world.deliver_many("anna", "INBOX", 4);
    log(&world, 0);
    let packs = fs::read_dir(world.path("archive").join("packs")).expect("there are packs");
    for pack in packs.map(|entry| entry.expect("an entry").path()) {
        let mut bytes = fs::read(&pack).expect("a pack");
        // Its first blocks, behind the header; the journal and the commit come after them.
        for byte in bytes.iter_mut().skip(200).take(40) {
            *byte ^= 0x55;
        }
        fs::write(&pack, bytes).expect("a pack can be written");
    }
    let output = run(&world, 4, &["--log-format", "json", "verify"]);
    let lines: Vec<Value> =
        output.stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let hit =
        lines.iter().find(|line| message(line).starts_with("cannot be given back")).expect("it is told");
    let fields = &hit["fields"];
    assert_eq!((&fields["account"], &fields["folder"]), (&"anna".into(), &"INBOX".into()), "{hit}");
    assert!(fields["uid"].is_string() && hit["level"] == "error", "{hit}");
    let id = fields["message_id"].as_str().expect("an id");
    assert_eq!((id.len(), id.chars().all(|c| c.is_ascii_hexdigit())), (64, true), "{hit}");
    let place = lines.iter().find(|line| message(line).starts_with("damaged: ")).expect("a place");
    assert!(place["fields"]["pack"].is_string() && place["fields"]["offset"].is_string(), "{place}");
}

/// The fields of a datagram of the journal's native protocol.
fn fields(datagram: &[u8]) -> Vec<(String, String)> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("our fields are text");
    let (mut fields, mut rest) = (Vec::new(), datagram);
    while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
        let (line, after) = (&rest[..end], &rest[end + 1..]);
        if let Some(equals) = line.iter().position(|&byte| byte == b'=') {
            fields.push((text(&line[..equals]), text(&line[equals + 1..])));
            rest = after;
        } else {
            let (length, after) = after.split_first_chunk().expect("a length");
            let length = usize::try_from(u64::from_le_bytes(*length)).expect("it fits");
            fields.push((text(line), text(&after[..length])));
            rest = &after[length + 1..];
        }
    }
    fields
}

#[test]
fn the_journal_gets_the_fields_in_capitals_with_priorities_that_fit() {
    let refuse = Fault::new(Trigger::Body(2), Effect::No(FORGED.to_owned()));
    let world = world(&["anna"], Behaviour::modern().with_fault(refuse));
    world.deliver_many("anna", "INBOX", 3);
    fs::create_dir(world.path("journal")).expect("the test's own folder");
    let journal = UnixDatagram::bind(world.path("journal").join("socket")).expect("a socket");
    journal.set_read_timeout(Some(Duration::from_millis(1))).expect("a socket can be told");
    // The journal's place is fixed, so the program gets a view of the machine in which ours is there.
    let within = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && \
                  mount --bind \"$0\" /run/systemd/journal && \
                  JOURNAL_STREAM=$(stat -L -c %d:%i /proc/self/fd/2) exec \"$@\"";
    let inside = |arguments: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", within]).arg(world.path("journal"));
        command.args(arguments).env("HOME", world.path("")).env("XDG_STATE_HOME", world.path("state"));
        command.stdin(Stdio::null()).output()
    };
    if !inside(&["true"]).is_ok_and(|output| output.status.success()) {
        return;
    }
    let program = world.program.program().display().to_string();
    let config = world.path("r.toml").display().to_string();
    let output = inside(&[&program, "--config", &config, "--run-now"]).expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!((output.status.code(), said.as_str()), (Some(3), ""), "all goes to the journal");

    let mut entries = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    while let Ok(length) = journal.recv(&mut buffer) {
        entries.push(fields(&buffer[..length]));
    }
    let entry = |words: &str| {
        let has = |entry: &&Vec<(String, String)>| {
            entry.iter().any(|(name, value)| name == "MESSAGE" && value.contains(words))
        };
        let entry = entries.iter().find(has).unwrap_or_else(|| panic!("{words} in {entries:?}"));
        let field =
            |name: &str| entry.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str());
        (field("PRIORITY"), field("ACCOUNT"), field("FOLDER"), field("UID"), field("RUN").is_some())
    };
    let refused = (Some("4"), Some("anna"), Some("INBOX"), Some("2"), true);
    assert_eq!(entry("a message was not brought: "), refused);
    assert_eq!(entry("fetching 3 messages"), (Some("5"), Some("anna"), Some("INBOX"), None, true));
    assert_eq!(entry("partial"), (Some("4"), Some("anna"), None, None, true));
    let all = entries.iter().flatten();
    assert!(all.clone().any(|(name, value)| name == "SYSLOG_IDENTIFIER" && value == "restante"));
    for (name, value) in all {
        assert!(
            !value.contains(['\u{1b}', '\u{202e}']) && !value.contains(ScriptedWorld::PASSWORD),
            "{name}={value:?}"
        );
    }
}
