//! The program against POP3 servers that do what providers do: show some mail at a time, delete what
//! is fetched, refuse with codes or without.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use message::Flags;
use restante_tests::{date, mail};
use serde_json::Value;
use server::Store;
use server::pop3::{Behaviour, Effect, Fault};
use tempfile::TempDir;
use testkit::{Restante, ScriptedPop3};

const MESSAGES: u32 = 60;

/// A server of this kind with mail for `anna`, and the program configured for it.
struct Provider {
    server: ScriptedPop3,
    program: Restante,
    folder: TempDir,
}

impl Provider {
    fn new(behaviour: Behaviour, lines: &str) -> Self {
        let store = Store::new();
        store.add_user("anna", "pass");
        for number in 0..MESSAGES {
            store
                .append("anna", "INBOX", &Flags::new(), &date(number), mail(number))
                .expect("the store takes mail");
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let provider = Self {
            server: ScriptedPop3::start(store, behaviour),
            program: Restante::new(&folder.path().join("r.toml"), folder.path()),
            folder,
        };
        provider.write("password", "pass\n");
        provider.configure(lines);
        provider
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("the folder is ours");
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("the file is ours");
    }

    fn configure(&self, lines: &str) {
        let port = self.server.port();
        let text = format!(
            "[archive]\npath = \"archive\"\nreserve = \"0\"\n\n[[account]]\nname = \"work\"\nprotocol = \"pop3\"\n\
             host = \"localhost\"\nport = {port}\ntls = \"none\"\npassword_file = \"password\"\n"
        );
        let user = if lines.contains("user =") { "" } else { "user = \"anna\"\n" };
        self.write("r.toml", &format!("{text}{user}{lines}"));
    }

    #[track_caller]
    fn run(&self, code: i32) -> Value {
        self.program.run(["--json", "--run-now"]).expect_code(code).json()["runs"][0].clone()
    }

    /// The ids of what the archive has of the server's present INBOX, each once.
    fn listed(&self) -> BTreeSet<String> {
        let listed = self.program.run(["--json", "list", "work", "INBOX"]).expect_code(0).json();
        let messages = listed["messages"].as_array().expect("a list of messages");
        let ids: BTreeSet<String> =
            messages.iter().map(|message| message["id"].as_str().expect("an id").to_owned()).collect();
        assert_eq!(ids.len(), messages.len(), "each message once");
        ids
    }
}

#[test]
fn p06_what_is_shown_some_at_a_time_comes_session_by_session_and_nothing_counts_as_vanished() {
    let provider = Provider::new(Behaviour::gmail(25), "listing = \"new\"\n");
    let ledger = provider.run(0);
    assert_eq!((&ledger["outcome"], &ledger["totals"]["vanished"]), (&"ok".into(), &0.into()), "{ledger}");
    assert_eq!(provider.listed().len(), MESSAGES as usize);
    assert!(provider.server.counts().logins >= 4, "{:?}", provider.server.counts());
    let again = provider.run(0);
    assert_eq!((&again["totals"]["vanished"], &again["totals"]["bytes_fetched"]), (&0.into(), &0.into()));
    assert_eq!(provider.listed().len(), MESSAGES as usize);

    provider.configure("user = \"recent:anna\"\n");
    let recent = provider.run(0);
    assert_eq!((&recent["totals"]["vanished"], &recent["totals"]["new"]), (&0.into(), &0.into()), "{recent}");
    assert_eq!(provider.listed().len(), MESSAGES as usize);
}

#[test]
fn p07_a_server_that_deletes_what_was_fetched_has_given_all_of_it() {
    for listing in ["all", "new"] {
        let behaviour = Behaviour::modern().deleting_what_is_fetched().with("EXPIRE 0");
        let provider = Provider::new(behaviour, &format!("listing = \"{listing}\"\n"));
        let ledger = provider.run(0);
        assert_eq!(ledger["totals"]["new"], MESSAGES, "{ledger}");
        let warned = ledger["warnings"].as_array().expect("a list of warnings");
        assert!(
            warned.iter().any(|warning| warning.as_str().is_some_and(|w| w.contains("delete"))),
            "{ledger}"
        );
        provider.program.run(["verify"]).expect_code(0);
        let held =
            provider.program.run(["--json", "list", "work", "INBOX", "--deleted"]).expect_code(0).json();
        assert_eq!(held["messages"].as_array().map(Vec::len), Some(MESSAGES as usize));
    }
}

#[test]
fn p09_the_exit_status_tells_what_a_code_means() {
    let refused = |command: &str, words: &str| Fault::on(command, Effect::Err(words.to_owned()));
    let table = [
        // The server's own trouble, and our own session of before: once is not for ever.
        (refused("PASS", "[SYS/TEMP] later").first(1), 0, ""),
        (refused("PASS", "[IN-USE] somebody is there").first(1), 0, ""),
        (refused("RETR", "[SYS/TEMP] later").first(1), 0, ""),
        (refused("PASS", "[IN-USE] somebody is there"), 1, "IN-USE"),
        (refused("PASS", "[AUTH] no"), 1, "AUTH"),
        (refused("PASS", "[SYS/PERM] your mailbox is broken"), 1, "SYS/PERM"),
        (refused("PASS", "no"), 1, "no"),
        (refused("UIDL", "[SYS/PERM] broken"), 0, ""),
        // One message of many.
        (Fault::new(server::pop3::Trigger::Message(7), Effect::Err("[SYS/PERM] broken".into())), 3, ""),
    ];
    for (fault, code, words) in table {
        let told = format!("{fault:?}");
        let lines = "auth = \"user\"\n[account.limits]\nretries = 2\nfirst_pause = \"1s\"\n";
        let provider = Provider::new(Behaviour::modern().with_fault(fault), lines);
        let output = provider.program.run(["--json", "--run-now"]);
        assert_eq!(output.code, Some(code), "{told}: {}\n{}", output.json(), output.stderr);
        let ledger = output.json()["runs"][0].clone();
        let error = ledger["error"].as_str().unwrap_or_default();
        assert!(error.contains(words), "{told}: {ledger}");
        let archived = ledger["totals"]["archived"].as_u64();
        let expected = [(0, MESSAGES), (3, MESSAGES - 1), (1, 0)].into_iter().find(|(of, _)| *of == code);
        assert_eq!(archived, expected.map(|(_, count)| count.into()), "{told}: {ledger}");
    }
}
