//! Each channel against a receiver on loopback.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use daemon::alerts::{Body, Message};
use testkit::{Certificates, Counter, PostOffice, Web};

use super::channel::{Channel, takers};
use super::web;
use crate::config::{Config, WebUrl};

const CANARY: &str = "canary-5512";

struct World {
    folder: tempfile::TempDir,
    certificates: Certificates,
}

impl World {
    fn new() -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap(), certificates: Certificates::new() };
        fs::write(world.path("ca.pem"), &world.certificates.authority).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The channels of these lines.
    fn channels(&self, lines: &str) -> Vec<Channel> {
        let file = self.path("r.toml");
        fs::write(&file, format!("[archive]\npath = \"archive\"\n{lines}")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
        let config = Config::load(Some(&file)).unwrap_or_else(|error| panic!("{error:?}"));
        Channel::all(&config.alerts)
    }

    fn channel(&self, lines: &str) -> Channel {
        self.channels(lines).remove(0)
    }

    fn mail(&self, office: &PostOffice, lines: &str) -> Channel {
        let port = office.port();
        self.channel(&format!(
            "[[alerts.mail]]\nhost = \"localhost\"\nport = {port}\nfrom = \"r@example.org\"\n\
             to = [\"a@example.org\", \"b@example.org\"]\n{lines}"
        ))
    }

    fn webhook(&self, web: &Web, path: &str, lines: &str) -> Channel {
        self.channel(&format!("[[alerts.webhook]]\nurl = \"{}\"\n{lines}", web.url(path)))
    }
}

fn message() -> Message {
    Message { number: 7, at_ms: 1_795_420_800_000, body: Body::Summary { text: "Zürich\n.\nend".into() } }
}

fn fails(channel: &Channel) -> String {
    let why = channel.deliver(&message(), "here").unwrap_err();
    assert!(!why.contains(CANARY), "{why}");
    why
}

const LOGIN: &str = "user = \"me\"\npassword = \"canary-5512\"\n";

#[test]
fn a_mail_comes_whole_over_tls_starttls_and_plain() {
    let world = World::new();
    for (counter, tls, login) in [
        (Counter::Implicit, "tls_ca_file = \"ca.pem\"\n", LOGIN),
        (Counter::StartTls, "tls = \"starttls\"\ntls_ca_file = \"ca.pem\"\n", LOGIN),
        (Counter::Plain, "tls = \"none\"\n", ""),
    ] {
        let office = PostOffice::start(counter, &world.certificates.good);
        world.mail(&office, &format!("{tls}{login}")).deliver(&message(), "here").unwrap();
        let mail = office.wait_for(1).remove(0);
        assert_eq!((mail.with_tls, mail.to.len()), (counter != Counter::Plain, 2));
        assert_eq!(mail.login.is_some(), !login.is_empty());
        assert!(mail.from.contains("r@example.org"), "{mail:?}");
        for part in [
            "Subject: restante on here: summary\n",
            "Auto-Submitted: auto-generated\n",
            "Message-ID: <restante.7.1795420800000@here>\n",
            "Date: Mon, 23 Nov 2026 08:00:00 +0000\n",
            "Z=C3=BCrich\n..\nend\n",
        ] {
            assert!(mail.data.contains(part), "{part} is not in {}", mail.data);
        }
    }
}

#[test]
fn s01_s06_a_mail_server_that_refuses_or_cannot_be_trusted_gets_nothing_and_is_told_without_its_words() {
    let world = World::new();
    let start = |counter| PostOffice::start(counter, &world.certificates.good);
    let office = start(Counter::Implicit);
    let trusted = world.mail(&office, &format!("tls_ca_file = \"ca.pem\"\n{LOGIN}"));
    office.refuse("AUTH", &format!("535 you said {CANARY}"));
    assert!(fails(&trusted).contains("refuses the login (reply 535)"));
    office.refuse("RCPT", "550 nobody here");
    assert!(fails(&trusted).contains("does not take the mail (reply 550)"));
    let stranger = PostOffice::start(Counter::Implicit, &world.certificates.unknown_authority);
    fails(&world.mail(&stranger, &format!("tls_ca_file = \"ca.pem\"\n{LOGIN}")));
    let other_name = PostOffice::start(Counter::Implicit, &world.certificates.other_name);
    fails(&world.mail(&other_name, &format!("tls_ca_file = \"ca.pem\"\n{LOGIN}")));
    // It offers no STARTTLS: nothing is said in the clear.
    let plain = start(Counter::Plain);
    fails(&world.mail(&plain, &format!("tls = \"starttls\"\ntls_ca_file = \"ca.pem\"\n{LOGIN}")));
    for office in [office, stranger, other_name, plain] {
        assert!(office.mails().is_empty());
    }
}

#[test]
fn a_webhook_gets_json_and_its_header_over_tls() {
    let world = World::new();
    let web = Web::with_tls(&world.certificates.good);
    let lines = "tls_ca_file = \"ca.pem\"\nheader = \"Authorization\"\npassword = \"Bearer canary-5512\"\n";
    world.webhook(&web, "/hook?x=1", lines).deliver(&message(), "here").unwrap();
    let request = web.wait_for(1, |_| true).remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("POST", "/hook?x=1"));
    assert_eq!(request.header("authorization"), Some("Bearer canary-5512"));
    assert_eq!(request.header("content-type"), Some("application/json"));
    let json: serde_json::Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!((json["type"].as_str(), json["number"].as_u64()), (Some("summary"), Some(7)));
    assert!(json["text"].as_str().unwrap().contains("Zürich"));
    let stranger = Web::with_tls(&world.certificates.unknown_authority);
    assert!(fails(&world.webhook(&stranger, "/canary-5512", lines)).starts_with("localhost: "));
    assert!(stranger.requests().is_empty());
}

#[test]
fn s07_no_redirect_is_followed_by_a_webhook_or_a_ping() {
    let world = World::new();
    let (web, elsewhere) = (Web::start(), Web::start());
    let hook = world.webhook(&web, "/canary-5512", "header = \"X-Key\"\npassword = \"canary-5512\"\n");
    let ping = WebUrl::parse(&web.url("/canary-5512")).unwrap();
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        web.answer(&format!("{status}\r\nLocation: {}", elsewhere.url("/canary-5512")));
        assert!(fails(&hook).contains("redirects elsewhere"));
        assert!(web::ping(&ping).unwrap_err().contains("redirects elsewhere"));
    }
    assert!(elsewhere.requests().is_empty());
    assert_eq!(web.requests().len(), 8);
}

#[test]
fn a_web_server_that_refuses_is_not_there_or_answers_without_end_is_a_failure_without_its_address() {
    let world = World::new();
    let web = Web::start();
    let hook = world.webhook(&web, "/canary-5512", "");
    web.answer("500 canary-5512");
    assert!(fails(&hook).contains("(status 500)"));
    web.answer(&format!("200 OK\r\n{}", "X-Long: canary-5512\r\n".repeat(10_000).trim_end()));
    fails(&hook);
    web.answer("garbage");
    fails(&hook);
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    fails(&world.channel(&format!("[[alerts.webhook]]\nurl = \"http://{closed}/canary-5512\"\n")));
    let ping = WebUrl::parse(&web.url("/ping")).unwrap();
    web.answer("200 OK");
    web::ping(&ping).unwrap();
    web::ping(&ping.below("fail")).unwrap();
    let paths: Vec<String> = web.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths[paths.len() - 2..], ["/ping", "/ping/fail"]);
}

#[test]
fn s05_a_program_gets_the_message_without_a_shell_and_a_clean_environment() {
    let world = World::new();
    let command = |script: &str| {
        world.channel(&format!("[[alerts.command]]\ncommand = [\"/bin/sh\", \"-c\", {script:?}, \"$(x)\"]\n"))
    };
    let file = world.path("came");
    let script =
        format!("cat > {}; echo \"$0 ${{CARGO_MANIFEST_DIR:-none}}\" >> {}", file.display(), file.display());
    command(&script).deliver(&message(), "here").unwrap();
    let came = fs::read_to_string(&file).unwrap();
    let (json, rest) = came.split_once('}').map(|_| came.rsplit_once('}').unwrap()).unwrap();
    let json: serde_json::Value = serde_json::from_str(&format!("{json}}}")).unwrap();
    assert_eq!(json["type"], "summary");
    assert_eq!(rest.trim(), "$(x) none");
    // One that reads nothing and fails says why, escaped.
    let why = fails(&command("printf 'no\\033[2J' >&2; exit 3"));
    assert!(why.contains("exit status: 3") && why.contains("no\\u{1b}[2J"), "{why}");
    let missing = world.channel("[[alerts.command]]\ncommand = [\"/nonexistent/tell\"]\n");
    assert!(fails(&missing).contains("cannot start"));
}

#[test]
fn summaries_go_by_mail_and_trouble_to_all() {
    let world = World::new();
    let channels = world.channels(
        "[[alerts.command]]\ncommand = [\"x\"]\n[[alerts.webhook]]\nurl = \"https://h.example/\"\n\
         [[alerts.mail]]\nhost = \"localhost\"\nfrom = \"r@example.org\"\nto = [\"a@example.org\"]\n",
    );
    assert_eq!(takers(&channels, &message().body), ["mail 1"]);
    assert_eq!(takers(&channels, &Body::Test), ["mail 1", "webhook 1", "command 1"]);
}
