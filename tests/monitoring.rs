//! What monitoring sees: metrics at a door and in a file, as they are while the daemon works, after it
//! has begun anew, and after `--run-now`; and that alert rules, dashboard and manual speak of metrics that
//! there are.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use restante_tests::{Daemon, PATIENCE, ScriptedWorld};
use server::Behaviour;

/// The first run comes at once, the next in a year.
const ONCE: &str = "schedule = \"0 0 1 1 *\"\n";

fn world(users: &[&str]) -> ScriptedWorld {
    let world = ScriptedWorld::new(users, Behaviour::modern());
    configure(&world, users, "");
    world
}

/// These accounts, each with these lines, and metrics in both ways.
fn configure(world: &ScriptedWorld, users: &[&str], lines: &str) {
    let metrics = "[metrics]\nlisten = \"127.0.0.1:0\"\ntextfile = \"restante.prom\"\n";
    world.configure(metrics, users, &format!("{ONCE}{lines}"));
}

fn file(world: &ScriptedWorld) -> String {
    fs::read_to_string(world.path("restante.prom")).unwrap_or_default()
}

/// A running daemon's metrics.
struct Door(SocketAddr);

/// Starts the daemon, and waits until it tells where its metrics are.
fn start(world: &ScriptedWorld) -> (Daemon, Door) {
    let daemon = world.start();
    let begun = Instant::now();
    loop {
        let log = daemon.log();
        let told = log.split("http://").nth(1).and_then(|rest| rest.split_once("/metrics")?.0.parse().ok());
        if let Some(door) = told {
            return (daemon, Door(door));
        }
        assert!(begun.elapsed() < PATIENCE, "no door is told: {log}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Door {
    fn ask(&self, head: &str) -> String {
        let mut stream = TcpStream::connect(self.0).expect("the door is open");
        stream.write_all(head.as_bytes()).expect("it reads");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("it answers in UTF-8");
        response
    }

    fn page(&self) -> String {
        let response = self.ask("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
        response.split_once("\r\n\r\n").expect("a response").1.to_owned()
    }

    /// The page, once it says this.
    fn page_with(&self, line: &str) -> String {
        wait_for(line, || self.page())
    }
}

/// Text that has this line in it, asked for until it has.
fn wait_for(line: &str, text: impl Fn() -> String) -> String {
    let begun = Instant::now();
    loop {
        let text = text();
        if text.lines().any(|other| other == line) {
            return text;
        }
        assert!(begun.elapsed() < PATIENCE, "{line} does not come:\n{text}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn value(text: &str, sample: &str) -> f64 {
    let value = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {sample} in:\n{text}"))
}

#[test]
fn metrics_follow_the_daemon_and_what_the_archive_knows_outlives_it() {
    let world = world(&["anna", "ben"]);
    world.deliver_many("anna", "INBOX", 5);
    world.deliver_many("ben", "INBOX", 2);
    let (daemon, door) = start(&world);
    door.page_with("restante_account_messages{account=\"anna\"} 5");
    let page = door.page_with("restante_account_messages{account=\"ben\"} 2");
    for (sample, expected) in [
        ("restante_accounts", 2.0),
        ("restante_runs_total{account=\"anna\",outcome=\"ok\"}", 1.0),
        ("restante_runs_total{account=\"anna\",outcome=\"failed\"}", 0.0),
        ("restante_new_messages_total{account=\"anna\"}", 5.0),
        ("restante_last_run_outcome{account=\"ben\",outcome=\"ok\"}", 1.0),
        ("restante_account_running{account=\"ben\"}", 0.0),
        ("restante_archive_readable", 1.0),
        ("restante_archive_messages", 7.0),
        ("restante_run_duration_seconds_count", 2.0),
    ] {
        assert!((value(&page, sample) - expected).abs() < f64::EPSILON, "{sample}:\n{page}");
    }
    let good = value(&page, "restante_last_good_run_timestamp_seconds{account=\"anna\"}");
    assert!(good > 0.0 && value(&page, "restante_next_run_timestamp_seconds{account=\"anna\"}") > good);
    assert!(value(&page, "restante_archive_disk_free_bytes") > 0.0);
    assert!(value(&page, "restante_archive_pack_bytes") > 0.0);
    wait_for("restante_account_messages{account=\"ben\"} 2", || file(&world));
    daemon.end();

    let (daemon, door) = start(&world);
    let page = door.page_with("restante_account_messages{account=\"anna\"} 5");
    let good = |page: &str| value(page, "restante_last_good_run_timestamp_seconds{account=\"anna\"}");
    assert!(good(&page) > 0.0, "{page}");
    let count = value(&page, "restante_runs_total{account=\"anna\",outcome=\"ok\"}");
    assert!(count.abs() < f64::EPSILON, "it counts from its own beginning:\n{page}");
    assert!((value(&page, "restante_last_run_new_messages{account=\"anna\"}") - 5.0).abs() < f64::EPSILON);
    daemon.end();
}

#[test]
fn s15_the_door_is_on_loopback_changes_nothing_and_tells_no_mail() {
    let world = world(&["anna"]);
    world.deliver_many("anna", "INBOX", 3);
    let (daemon, door) = start(&world);
    assert!(door.0.ip().is_loopback());
    let page = door.page_with("restante_account_messages{account=\"anna\"} 3");
    assert!(
        !page.contains("Subject") && !page.contains("INBOX") && !page.contains(ScriptedWorld::PASSWORD),
        "{page}"
    );
    let status = |head: &str| door.ask(head).split(' ').nth(1).unwrap_or_default().to_owned();
    for (head, expected) in [
        ("POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nstop", "405"),
        ("GET /metrics HTTP/1.1\r\nHost: rebound.example\r\n\r\n", "421"),
        ("GET /../r.toml HTTP/1.1\r\nHost: localhost\r\n\r\n", "404"),
        ("HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"),
    ] {
        assert_eq!(status(head), expected, "{head}");
    }
    let text = fs::read_to_string(world.path("r.toml")).expect("an own file");
    fs::write(world.path("r.toml"), text.replace("127.0.0.1:0", "0.0.0.0:0")).expect("an own file");
    let refused = world.program.run(["check-config"]);
    refused.expect_code(2);
    assert!(refused.stderr.contains("must be on loopback"), "{}", refused.stderr);
    daemon.end();
}

#[test]
fn o10_a_timer_s_runs_leave_their_metrics_in_the_file_with_the_age_of_the_newest_good_run() {
    let world = world(&["anna"]);
    world.deliver_many("anna", "INBOX", 4);
    world.program.run(["--run-now"]).expect_code(0);
    let first = file(&world);
    let good = |text: &str| value(text, "restante_last_good_run_timestamp_seconds{account=\"anna\"}");
    assert!(good(&first) > 0.0, "{first}");
    assert!((value(&first, "restante_account_messages{account=\"anna\"}") - 4.0).abs() < f64::EPSILON);
    let mode = fs::metadata(world.path("restante.prom")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o644, "node_exporter is another user");

    world.store.add_user("anna", "another");
    world.program.run(["--run-now"]).expect_code(1);
    let second = file(&world);
    assert!((good(&second) - good(&first)).abs() < f64::EPSILON, "a failed run is no good one:\n{second}");
    assert!(second.contains("restante_last_run_outcome{account=\"anna\",outcome=\"failed\"} 1"), "{second}");

    fs::remove_file(world.path("restante.prom")).expect("it is there");
    fs::create_dir(world.path("restante.prom")).expect("an own folder");
    let unwritable = world.program.run(["--run-now"]);
    assert!(unwritable.stderr.contains("metrics cannot be written to"), "{}", unwritable.stderr);
}

#[test]
fn o11_a_run_in_which_nothing_is_wanted_has_failed_and_never_counts_as_good() {
    let world = world(&["anna"]);
    world.deliver_many("anna", "INBOX", 4);
    configure(&world, &["anna"], "exclude = [\"*\"]\n");
    let output = world.program.run(["--json", "--run-now"]);
    let run = output.expect_code(1).json()["runs"][0].clone();
    assert_eq!((&run["outcome"], &run["excluded"][0]), (&"failed".into(), &"INBOX".into()), "{run}");
    assert!(run["warnings"].to_string().contains("no folder is wanted"), "{run}");
    let text = file(&world);
    let good = value(&text, "restante_last_good_run_timestamp_seconds{account=\"anna\"}");
    assert!(good.abs() < f64::EPSILON, "{text}");
    fs::write(world.path("r.toml"), "[archive]\npath = \"archive\"\n").expect("an own file");
    for command in ["--run-now", "daemon"] {
        let none = world.program.run([command]);
        none.expect_code(2);
        assert!(none.stderr.contains("has no account"), "{command}: {}", none.stderr);
    }
}

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_part(c)).filter(|word| word.starts_with("restante_"));
    words.map(str::to_owned).collect()
}

#[test]
fn rules_dashboard_and_manual_speak_of_the_metrics_that_there_are() {
    let world = world(&["anna"]);
    world.deliver_many("anna", "INBOX", 1);
    world.program.run(["--run-now"]).expect_code(0);
    world.program.run(["verify"]).expect_code(0);
    let (daemon, door) = start(&world);
    let page = door.page_with("restante_archive_last_verification_whole 1");
    daemon.end();
    let families: BTreeSet<String> = page
        .lines()
        .filter_map(|line| Some(line.strip_prefix("# TYPE ")?.split(' ').next()?.to_owned()))
        .collect();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |name: &str| fs::read_to_string(root.join(name)).expect("it is in the tree");
    for file in ["packaging/prometheus/restante.rules.yml", "packaging/grafana/restante.json"] {
        let used = names(&read(file));
        assert!(used.len() > 8, "{file}: {used:?}");
        for name in used {
            let family = name.strip_suffix("_bucket").unwrap_or(&name);
            assert!(families.contains(family), "{file} asks for {name}, which nobody tells");
        }
    }
    let dashboard: serde_json::Value =
        serde_json::from_str(&read("packaging/grafana/restante.json")).expect("JSON");
    assert!(dashboard["panels"].as_array().is_some_and(|panels| panels.len() > 10));
    assert_eq!(names(&read("docs/monitoring.md")), families, "docs/monitoring.md says what each means");
}
