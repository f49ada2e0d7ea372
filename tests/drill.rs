//! The drill: mail is given back for practice, recorded, and tells when it cannot be given back (O14).

use std::fs;
use std::process::Stdio;

use message::Flags;
use restante_tests::{ACCOUNT, date, mail};
use serde_json::Value;
use server::{Behaviour, Store};
use tempfile::TempDir;
use testkit::{Direction, FaultProxy, Harm, How, Restante, Scripted};

const MESSAGES: u32 = 150;

struct Practice {
    server: Scripted,
    folder: TempDir,
    program: Restante,
}

impl Practice {
    fn new() -> Self {
        let store = Store::new();
        store.add_user("anna", "pw");
        store.create("anna", "Lists/rust").expect("a new mailbox");
        for number in 0..MESSAGES {
            let folder = if number % 5 == 0 { "Lists/rust" } else { "INBOX" };
            let flags = Flags::parse(if number % 3 == 0 { "\\Seen Todo" } else { "" });
            store.append("anna", folder, &flags, &date(number), mail(number)).expect("the store takes mail");
        }
        let folder = tempfile::tempdir().expect("a temporary folder");
        let practice = Self {
            program: Restante::new(&folder.path().join("r.toml"), folder.path()),
            server: Scripted::start(store, Behaviour::modern()),
            folder,
        };
        practice.configure(practice.server.port());
        practice.program.run(["--run-now"]).expect_code(0);
        practice
    }

    fn configure(&self, port: u16) {
        let text = format!(
            "[archive]\npath = \"archive\"\nreserve = \"0\"\n\n[[account]]\nname = \"{ACCOUNT}\"\nhost = \"localhost\"\n\
             port = {port}\ntls = \"none\"\nuser = \"anna\"\npassword_command = [\"/bin/echo\", \"pw\"]\n"
        );
        fs::write(self.folder.path().join("r.toml"), text).expect("the folder is ours");
    }

    /// A drill that must end with this exit status; the report of its only account.
    fn drill(&self, code: i32, arguments: &[&str]) -> Value {
        let output = self.program.run([&["--json", "drill"], arguments].concat());
        let document = output.expect_code(code).json();
        assert_eq!(document["drills"].as_array().map(Vec::len), Some(1), "{document}");
        document["drills"][0].clone()
    }

    fn last_drill(&self) -> Value {
        let status = self.program.run(["--json", "status"]).json();
        status["accounts"][0]["last_drill"].clone()
    }
}

#[test]
fn o14_a_drill_gives_all_mail_back_proves_it_and_status_shows_it() {
    let practice = Practice::new();
    assert_eq!(practice.last_drill(), Value::Null);
    let connections = practice.server.counts().connections;
    let report = practice.drill(0, &["--all"]);
    assert_eq!((&report["outcome"], &report["scope"]), (&"proven".into(), &"whole".into()));
    for field in ["asked", "added", "proven", "proven_by_bytes"] {
        assert_eq!(report["totals"][field], MESSAGES, "{field}");
    }
    assert_eq!((&report["held"], &report["seed"]), (&report["chosen"], &Value::Null));
    assert_eq!((&report["recorded"], &report["not_recorded"]), (&true.into(), &Value::Null));
    let drill = practice.last_drill();
    assert_eq!((&drill["outcome"], &drill["scope"]), (&"proven".into(), &"whole".into()));
    assert_eq!(
        (&drill["messages_proven"], &drill["bytes_proven"]),
        (&MESSAGES.into(), &report["held"]["bytes"])
    );
    assert_eq!(practice.server.counts().connections, connections, "the real server is left alone");
    practice.program.run(["verify"]).expect_code(0);
}

#[test]
fn o14_a_sample_differs_each_time_and_its_seed_brings_it_back() {
    let practice = Practice::new();
    let size = ["--sample", "100KiB"];
    let report = practice.drill(0, &size);
    let (asked, bytes) = (report["totals"]["asked"].as_u64(), report["chosen"]["bytes"].as_u64());
    assert!(asked.is_some_and(|asked| (20..u64::from(MESSAGES)).contains(&asked)), "{report}");
    assert!(bytes.is_some_and(|bytes| bytes <= 100 << 10), "{report}");
    let seed = report["seed"].as_u64().expect("a seed").to_string();
    let again = practice.drill(0, &[&size[..], &["--seed", &seed]].concat());
    assert_eq!((&again["chosen"], &again["folders"]), (&report["chosen"], &report["folders"]));
    let others: Vec<Value> = (0..4).map(|_| practice.drill(0, &size)["seed"].clone()).collect();
    assert!(others.iter().all(|other| *other != report["seed"]), "{others:?}");
}

#[test]
fn o14_a_damaged_message_makes_the_drill_go_wrong_and_is_named() {
    let practice = Practice::new();
    // Into the middle of what the first pack holds of mail.
    let packs = fs::read_dir(practice.folder.path().join("archive/packs")).expect("packs");
    let pack = packs.map(|pack| pack.expect("a pack").path()).min().expect("a pack");
    let mut bytes = fs::read(&pack).expect("the pack is ours");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x55;
    fs::write(&pack, bytes).expect("the pack is ours");
    let report = practice.drill(4, &["--all"]);
    assert_eq!(report["outcome"], "partial");
    let refused = report["folders"].as_array().expect("folders").iter();
    let refused: Vec<&Value> = refused.filter_map(|folder| folder["refused"].as_array()).flatten().collect();
    assert!(!refused.is_empty() && refused.iter().all(|refused| refused["damaged"] == true), "{refused:?}");
    let (asked, proven) = (&report["totals"]["asked"], report["totals"]["proven"].as_u64().unwrap_or(0));
    assert_eq!(
        (asked, proven),
        (&MESSAGES.into(), u64::from(MESSAGES) - refused.len() as u64),
        "the others came back"
    );
    assert_eq!(practice.last_drill()["outcome"], "partial");
    let output = practice.program.run(["drill"]);
    let said = String::from_utf8_lossy(&output.expect_code(4).stdout).into_owned();
    assert!(said.contains("THE DRILL WENT WRONG"), "{said}");
}

#[test]
fn o14_a_drill_that_cannot_be_recorded_is_one_all_the_same() {
    let practice = Practice::new();
    let address = std::net::SocketAddr::from((std::net::Ipv4Addr::LOCALHOST, practice.server.port()));
    let harm = Harm::Each { direction: Direction::ToClient, octets: 400, how: How::Stall };
    let proxy = FaultProxy::start(address, harm);
    practice.configure(proxy.address().port());
    let mut run = practice.program.command(["--run-now"]).stderr(Stdio::null()).spawn().expect("it starts");
    while proxy.octets(Direction::ToServer) < 20 {
        assert!(run.try_wait().expect("the child can be asked").is_none(), "it waits for the server");
        std::thread::yield_now();
    }
    let report = practice.drill(0, &[ACCOUNT]);
    assert_eq!((&report["outcome"], &report["recorded"]), (&"proven".into(), &false.into()));
    let why = report["not_recorded"].as_str().expect("a reason");
    assert!(why.contains("another restante"), "{why}");
    run.kill().expect("the child can be killed");
    run.wait().expect("the child can be reaped");
    // With nothing but the disk, which is only read.
    let archive = practice.folder.path().join("archive").display().to_string();
    let report = practice.drill(0, &["--archive", &archive]);
    assert_eq!((&report["outcome"], &report["recorded"]), (&"proven".into(), &false.into()));
    assert_eq!(practice.last_drill(), Value::Null);
}

#[test]
fn a_drill_of_nobody_is_told() {
    let practice = Practice::new();
    let output = practice.program.run(["drill", "wrok"]);
    output.expect_code(1);
    assert!(output.stderr.contains("holds no account \"wrok\""), "{}", output.stderr);
}
