//! Being told: the daemon and `--run-now` tell receivers on loopback of trouble, once, and when it is
//! over, whatever happens to the program meanwhile.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use message::{Flags, InternalDate};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use server::{Behaviour, Store};
use testkit::{Certificates, Counter, PostOffice, Request, Restante, Scripted, Web};

/// Beyond this something hangs.
const PATIENCE: Duration = Duration::from_secs(60);
const RIGHT: &str = "canary-right-8841";
const WRONG: &str = "canary-wrong-8841";
const HEADER: &str = "canary-header-8841";
const URL: &str = "canary-url-8841";
/// Runs begin at once after a start or a reload, and then in a year.
const ONCE: &str = "schedule = \"0 0 1 1 *\"\nspread = \"0s\"\n";
const EACH_SECOND: &str = "schedule = \"* * * * * *\"\nspread = \"0s\"\n";

struct World {
    folder: tempfile::TempDir,
    program: Restante,
    server: Scripted,
    store: Store,
    web: Web,
}

impl World {
    fn new() -> Self {
        let store = Store::new();
        store.add_user("anna", RIGHT);
        let server = Scripted::start(store.clone(), Behaviour::modern());
        let folder = tempfile::tempdir().expect("a temporary folder");
        let program = Restante::new(&folder.path().join("r.toml"), folder.path());
        let world = Self { program, server, store, web: Web::start(), folder };
        world.secret("header", HEADER);
        world.configure("", "");
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn secret(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).expect("the test's own folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("an own file");
    }

    /// A configuration with the webhook, and with more lines for `[alerts]` and the account.
    fn configure(&self, alerts: &str, account: &str) {
        let hook = self.web.url(&format!("/{URL}"));
        let schedule = if account.contains("schedule") { "" } else { ONCE };
        let text = format!(
            "[archive]\npath = \"archive\"\nreserve = \"0\"\n[alerts]\ncollect = \"0s\"\n{alerts}\n\
             [[alerts.webhook]]\nurl = \"{hook}\"\nheader = \"X-Key\"\npassword_file = \"header\"\n\
             [[account]]\nname = \"anna\"\nhost = \"127.0.0.1\"\nport = {}\ntls = \"none\"\nuser = \"anna\"\n\
             password_file = \"password\"\n{schedule}{account}",
            self.server.port()
        );
        self.secret("r.toml", &text);
    }

    fn start(&self) -> Daemon {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.path("log")).expect("a log");
        let mut command = self.program.command(["--verbose", "daemon"]);
        let child = command.env("RUST_LOG", "trace").stdout(Stdio::null()).stderr(log).spawn();
        Daemon(child.expect("the program starts"))
    }

    /// The webhook's messages of this type that were taken.
    fn told(&self, kind: &str) -> usize {
        self.web.requests().iter().filter(|request| is(request, kind)).count()
    }

    #[track_caller]
    fn wait_told(&self, count: usize, kind: &str) -> Vec<Value> {
        self.web.wait_for(count, |request| is(request, kind)).iter().map(json).collect()
    }

    /// How often the log says this.
    fn logged(&self, words: &str) -> usize {
        fs::read_to_string(self.path("log")).unwrap_or_default().matches(words).count()
    }

    /// Waits until this is so.
    #[track_caller]
    fn wait(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            let log = fs::read_to_string(self.path("log")).unwrap_or_default();
            assert!(begun.elapsed() < PATIENCE, "{what}; the log: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What the program has written down of troubles.
    fn known(&self) -> Value {
        let folder = self.path("state/restante");
        let files = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let named =
            |path: &Path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("alerts-"));
        let read = files.filter(|path| named(path) && path.extension().is_some_and(|end| end == "json"));
        let mut read = read.filter_map(|path| serde_json::from_slice(&fs::read(path).ok()?).ok());
        read.next().unwrap_or_default()
    }

    /// Waits until every message has been taken, and that is written down.
    #[track_caller]
    fn wait_settled(&self) {
        self.wait("messages wait", || {
            self.known()["outbox"]["messages"].as_array().is_some_and(Vec::is_empty)
        });
    }

    /// No secret is in any file but those that hold it, nor in what receivers were told.
    fn assert_no_secret_is_told(&self) {
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                if path.is_dir() {
                    folders.push(path);
                    continue;
                }
                if ["r.toml", "password", "header"].iter().any(|name| path.ends_with(name)) {
                    continue;
                }
                let bytes = fs::read(&path).unwrap_or_default();
                for secret in [RIGHT, WRONG, HEADER, URL] {
                    let holds = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                    assert!(!holds, "{secret} is in {}", path.display());
                }
            }
        }
        for request in self.web.requests() {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            assert!(![RIGHT, WRONG, HEADER, URL].iter().any(|secret| body.contains(secret)), "{body}");
        }
    }
}

fn json(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap_or_default()
}

fn is(request: &Request, kind: &str) -> bool {
    json(request)["type"] == kind
}

/// A daemon that ends with the test.
struct Daemon(Child);

impl Daemon {
    fn send(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, signal).expect("it runs");
    }

    fn end(mut self, signal: Signal) {
        self.send(signal);
        self.0.wait().expect("it ends");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn o01_a_refused_login_is_one_message_however_often_it_fails_even_past_a_kill_and_one_when_it_works_again() {
    let world = World::new();
    world.configure("", EACH_SECOND);
    world.secret("password", WRONG);
    let daemon = world.start();
    let told = world.wait_told(1, "trouble").remove(0);
    assert_eq!(
        (&told["troubles"][0]["kind"], &told["troubles"][0]["accounts"][0]),
        (&"login".into(), &"anna".into())
    );
    assert_eq!(told["troubles"][0]["detail"], Value::Null);
    let refused = || world.logged("failed: login as anna failed");
    // Asked until it is heard: a reload ends a rest only once that has begun.
    let asked_again = |daemon: &Daemon, count| {
        daemon.send(Signal::HUP);
        refused() >= count
    };
    world.wait("no second attempt", || asked_again(&daemon, 2));
    world.wait_settled();
    daemon.end(Signal::KILL);

    let before = refused();
    let daemon = world.start();
    world.wait("no attempt after the start", || refused() > before);
    world.wait("no second attempt after the start", || asked_again(&daemon, before + 2));
    world.wait_settled();
    world.secret("password", RIGHT);
    world.wait("it is not told as over", || {
        daemon.send(Signal::HUP);
        world.told("over") > 0
    });
    let over = world.wait_told(1, "over").remove(0);
    assert_eq!(over["troubles"][0]["kind"], "login");
    world.wait_settled();
    daemon.end(Signal::TERM);
    assert_eq!((world.told("trouble"), world.told("over"), world.told("reminder")), (1, 1, 0));
    let first = world.web.requests().remove(0);
    assert_eq!(first.header("x-key"), Some(HEADER));
    world.assert_no_secret_is_told();
}

#[test]
fn o09_a_channel_that_was_down_gets_each_message_once_and_holds_up_neither_backups_nor_the_others() {
    let world = World::new();
    let office = PostOffice::start(Counter::Plain, &Certificates::new().good);
    let mail = format!(
        "[[alerts.mail]]\nhost = \"localhost\"\nport = {}\ntls = \"none\"\nfrom = \"r@example.org\"\nto = [\"a@example.org\"]\n",
        office.port()
    );
    world.secret("password", WRONG);
    world.configure(&mail, "");
    world.web.answer("503 Later");
    let daemon = world.start();
    let mails = office.wait_for(1);
    assert!(mails[0].data.contains("the server refuses the login"), "{}", mails[0].data);
    let _ = world.wait_told(1, "trouble");
    world
        .store
        .append(
            "anna",
            "INBOX",
            &Flags::default(),
            &InternalDate::from_unix(0, 0),
            &b"Subject: 1\r\n\r\nx\r\n"[..],
        )
        .expect("the user exists");
    world.secret("password", RIGHT);
    world.wait("no backup beside a dead channel", || {
        daemon.send(Signal::HUP);
        world.server.counts().body_octets > 0
    });
    assert!(office.wait_for(2)[1].data.contains("the login works again"));
    world.web.answer("200 OK");
    world.wait_settled();
    let taken = world.web.requests().into_iter().filter(|request| request.status == "200");
    let taken: Vec<Value> = taken.map(|request| json(&request)["type"].clone()).collect();
    assert_eq!(taken, ["trouble", "over"]);
    assert_eq!(office.mails().len(), 2);
    world.assert_no_secret_is_told();
}

#[test]
fn o05_a_wrong_configuration_is_told_and_its_end_too() {
    let world = World::new();
    world.secret("password", RIGHT);
    let daemon = world.start();
    world.wait("it does not run", || world.server.counts().logins > 0);
    let right = fs::read_to_string(world.path("r.toml")).expect("the configuration");
    world.secret("r.toml", &format!("{right}\nwhat = \"{WRONG}\"\n"));
    daemon.send(Signal::HUP);
    let told = world.wait_told(1, "trouble").remove(0);
    assert_eq!(told["troubles"][0]["kind"], "configuration");
    daemon.send(Signal::HUP);
    world.secret("r.toml", &right);
    daemon.send(Signal::HUP);
    assert_eq!(world.wait_told(1, "over")[0]["troubles"][0]["kind"], "configuration");
    world.wait_settled();
    assert_eq!(world.told("trouble"), 1);
}

#[test]
fn an_archive_that_is_gone_is_told_as_the_archive_s_trouble_and_its_return_too() {
    let world = World::new();
    world.secret("password", RIGHT);
    world.configure("", "schedule = \"*/5 * * * * *\"\nspread = \"0s\"\n");
    let _daemon = world.start();
    world.wait("it does not run", || world.server.counts().logins > 0);
    // Between two runs.
    world.wait("the archive is not free", || world.program.run(["--run-now"]).code == Some(0));
    fs::rename(world.path("archive"), world.path("away")).expect("the test's own folder");
    let told = world.wait_told(1, "trouble").remove(0);
    assert_eq!(told["troubles"][0]["kind"], "archive");
    assert!(!world.path("archive").exists());
    fs::rename(world.path("away"), world.path("archive")).expect("the test's own folder");
    assert_eq!(world.wait_told(1, "over")[0]["troubles"][0]["kind"], "archive");
    world.wait_settled();
    assert_eq!(world.told("trouble"), 1);
}

#[test]
fn o08_a_disk_with_little_room_is_told() {
    let world = World::new();
    world.secret("password", RIGHT);
    let text = fs::read_to_string(world.path("r.toml")).expect("the configuration");
    world.secret("r.toml", &text.replace("reserve = \"0\"", "reserve = \"9000000GB\""));
    let daemon = world.start();
    let is_space = |request: &Request| json(request)["troubles"].to_string().contains("\"space\"");
    let _ = world.web.wait_for(1, is_space);
    drop(daemon);
}

#[test]
fn a_verification_that_finds_damage_is_told() {
    let world = World::new();
    world.secret("password", RIGHT);
    world.configure("", "[care]\nschedule = \"0 0 1 1 *\"\nfull_every = \"1d\"\nrate = \"0\"\n");
    for number in 0..200 {
        let mail = format!("Subject: {number}\r\n\r\n{}\r\n", number * 7919);
        let date = InternalDate::from_unix(number, 0);
        world
            .store
            .append("anna", "INBOX", &Flags::default(), &date, mail.as_bytes())
            .expect("the user exists");
    }
    world.program.run(["--run-now"]).expect_code(0);
    let packs = fs::read_dir(world.path("archive/packs")).expect("the archive has packs").flatten();
    let pack = packs.map(|pack| pack.path()).next().expect("a pack");
    let mut bytes = fs::read(&pack).expect("a pack");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&pack, bytes).expect("the test's own folder");
    let daemon = world.start();
    let told = world.wait_told(1, "trouble").remove(0);
    assert_eq!(told["troubles"][0]["kind"], "verification", "{told}");
    drop(daemon);
}

#[test]
fn a_loss_is_told_at_once_and_is_over_when_somebody_has_looked() {
    let world = World::new();
    world.secret("password", RIGHT);
    world.configure("", EACH_SECOND);
    for number in 0..60 {
        let mail = format!("Subject: {number} canary-url-8841\r\n\r\n{number}\r\n");
        let date = InternalDate::from_unix(number, 0);
        world
            .store
            .append("anna", "INBOX", &Flags::default(), &date, mail.as_bytes())
            .expect("the user exists");
    }
    let daemon = world.start();
    world.wait("no good run", || {
        let status = world.program.run(["--json", "status"]);
        status.json()["accounts"][0]["messages"] == 60
    });
    world.store.wipe("anna").expect("the user exists");
    let told = world.wait_told(1, "trouble").remove(0);
    assert_eq!(told["troubles"][0]["kind"], "suspicious");
    assert!(!told.to_string().contains(URL), "{told}");
    // The archive is the daemon's while a run goes on.
    world.wait("it cannot be acknowledged", || world.program.run(["ack", "anna"]).code == Some(0));
    assert_eq!(world.wait_told(1, "over")[0]["troubles"][0]["kind"], "suspicious");
    drop(daemon);
}

#[test]
fn o10_a_good_run_pings_the_account_s_address_and_that_of_all_and_a_failed_one_says_so() {
    let world = World::new();
    world.secret("password", WRONG);
    let (all, own) = (world.web.url("/all"), world.web.url(&format!("/own/{URL}")));
    world.configure(
        &format!("ping_url = \"{all}\"\nping_failures = true\n"),
        &format!("ping_url = \"{own}\"\n"),
    );
    let daemon = world.start();
    let get =
        |path: String| world.web.wait_for(1, move |request| request.method == "GET" && request.path == path);
    let _ = get(format!("/own/{URL}/fail"));
    assert!(!world.web.requests().iter().any(|request| request.path == "/all"));
    world.secret("password", RIGHT);
    world.wait("no run with the right password", || {
        daemon.send(Signal::HUP);
        world.server.counts().logins > 0
    });
    let ping = get(format!("/own/{URL}")).remove(0);
    assert_eq!((ping.body.len(), ping.header("x-key")), (0, None));
    let _ = get("/all".to_owned());
    world.wait_settled();
    daemon.end(Signal::TERM);
    world.assert_no_secret_is_told();
}

#[test]
fn a_run_by_hand_tells_as_the_daemon_does_and_leaves_it_to_the_daemon_where_there_is_one() {
    let world = World::new();
    world.secret("password", WRONG);
    for _ in 0..3 {
        world.program.run(["--run-now"]).expect_code(1);
    }
    assert_eq!((world.told("trouble"), world.web.requests().len()), (1, 1));
    world.secret("password", RIGHT);
    world.program.run(["--run-now"]).expect_code(0);
    assert_eq!((world.told("over"), world.web.requests().len()), (1, 2));
    let daemon = world.start();
    world.wait("the daemon does not begin", || world.logged("1 accounts") == 1);
    world.secret("password", WRONG);
    // The daemon's own run may be about to end.
    world.wait("the archive is not free", || world.program.run(["--run-now"]).code == Some(1));
    assert_eq!(world.web.requests().len(), 2, "the daemon does the telling");
    drop(daemon);
}

#[test]
fn a_summary_is_mailed_when_it_is_due() {
    let world = World::new();
    let office = PostOffice::start(Counter::Plain, &Certificates::new().good);
    world.secret("password", RIGHT);
    world.configure(
        &format!(
            "summary = \"daily\"\n[[alerts.mail]]\nhost = \"localhost\"\nport = {}\ntls = \"none\"\n\
             from = \"r@example.org\"\nto = [\"a@example.org\"]\n",
            office.port()
        ),
        "",
    );
    let daemon = world.start();
    world.wait("nothing is written down", || world.known()["summary_ms"].is_number());
    world.wait("it does not run", || world.server.counts().logins > 0);
    daemon.end(Signal::TERM);
    assert!(office.mails().is_empty());
    let state = world.path("state/restante");
    let file = fs::read_dir(state).expect("the state").flatten().map(|entry| entry.path());
    let file = file
        .filter(|path| path.to_string_lossy().contains("alerts-"))
        .find(|path| path.extension().is_some_and(|end| end == "json"));
    let mut known = world.known();
    known["summary_ms"] = 0.into();
    fs::write(file.expect("the state file"), known.to_string()).expect("the test's own folder");
    let daemon = world.start();
    world.wait("no summary comes", || !office.mails().is_empty());
    let mail = office.mails().remove(0);
    assert!(mail.data.contains("Subject: restante on") && mail.data.contains(": summary"), "{}", mail.data);
    assert!(mail.data.contains("last good run") && mail.data.contains("anna"), "{}", mail.data);
    assert_eq!(world.web.requests().len(), 0);
    drop(daemon);
}

#[test]
fn a_test_message_goes_through_each_channel_and_who_did_not_take_it_is_named() {
    let world = World::new();
    world.secret("password", WRONG);
    world.configure("[[alerts.command]]\ncommand = [\"/bin/false\"]\n", "");
    let output = world.program.run(["--json", "alert-test"]);
    let channels = output.expect_code(3).json()["channels"].clone();
    assert_eq!((&channels[0]["channel"], &channels[0]["ok"]), (&"webhook 1".into(), &true.into()));
    assert_eq!((&channels[1]["channel"], &channels[1]["ok"]), (&"command 1".into(), &false.into()));
    assert_eq!(world.told("test"), 1);
    world.web.answer("401 No");
    let output = world.program.run(["alert-test"]);
    output.expect_code(1);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("webhook 1: FAILED: localhost does not take it (status 401)"), "{said}");
    world.secret("r.toml", "[archive]\npath = \"archive\"\n");
    world.program.run(["alert-test"]).expect_code(2);
    world.assert_no_secret_is_told();
}
