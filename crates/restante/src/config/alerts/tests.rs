#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use std::path::Path;

use super::*;
use crate::config::{Config, ConfigError};

const ARCHIVE: &str = "[archive]\npath = \"/srv/mail\"\n";

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("/etc/restante/restante.toml"), &format!("{ARCHIVE}{text}"))
}

/// What is wrong, each in a line, and the file as it would be shown.
fn refused(text: &str) -> String {
    match parse(text) {
        Err(ConfigError::Invalid(invalid)) => {
            let problems = invalid.to_json();
            let lines =
                problems.as_array().into_iter().flatten().filter_map(|problem| problem["message"].as_str());
            let shown = invalid.reports().into_iter().map(|report| format!("{report:?}\n"));
            lines.map(|line| format!("{line}\n")).chain(shown).collect()
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_channels_are_read_with_their_defaults() {
    let config = parse(
        r#"
        [alerts]
        collect = "30s"
        stale_after = "2d"
        details = true
        ping_url = "https://hc.example.org/ping/1"
        summary = "weekly"
        summary_at = "6:30"

        [[alerts.mail]]
        host = "smtp.example.org"
        tls = "starttls"
        user = "restante"
        password_file = "smtp.password"
        from = "Backup <restante@example.org>"
        to = ["admin@example.org", "Second <second@example.org>"]

        [[alerts.mail]]
        host = "localhost"
        tls = "none"
        from = "restante@example.org"
        to = ["root@example.org"]

        [[alerts.webhook]]
        url = "https://hooks.example.org/1"
        header = "Authorization"
        password_command = ["pass", "hook"]

        [[alerts.command]]
        command = ["bin/tell", "me"]
        "#,
    )
    .unwrap();
    let alerts = &config.alerts;
    assert_eq!((alerts.collect.as_secs(), alerts.stale_after.unwrap().as_secs()), (30, 172_800));
    assert!(alerts.details && alerts.has_channels());
    assert_eq!(alerts.mail.iter().map(|mail| mail.port).collect::<Vec<_>>(), [587, 25]);
    assert!(matches!(&alerts.mail[0].login, Some((user, PasswordSource::File(path)))
            if user == "restante" && path == Path::new("/etc/restante/smtp.password")));
    assert!(alerts.mail[1].login.is_none());
    assert_eq!(alerts.webhooks[0].header.as_ref().unwrap().0, "Authorization");
    assert_eq!(alerts.commands, [["/etc/restante/bin/tell", "me"]]);
    assert_eq!(alerts.summary, Schedule::parse("30 6 * * 1", None).ok());
    let none = parse("").unwrap().alerts;
    assert!(!none.has_channels() && none.summary.is_none() && !none.details);
    assert_eq!(none.collect.as_secs(), 120);
}

#[test]
fn what_is_wrong_with_a_channel_is_said_with_its_place() {
    let said = refused(
        r#"
[alerts]
collect = "2h"
stale_after = "5s"
summary = "hourly"
summary_at = "25:00"

[[alerts.mail]]
host = "smtp.example.org"
tls = "none"
password_file = "x"
from = "nobody"
to = ["admin@example.org", "b\r\nBcc: c@example.org"]

[[alerts.webhook]]
url = "http://hooks.example.org/"
header = "not a header"
password = "canary"

[[alerts.command]]
command = []
what = 1
"#,
    );
    for expected in [
        "`alerts.collect`: is longer than an hour",
        "`alerts.stale_after`: is shorter than a minute",
        "`alerts.summary_at`: is not a time of day",
        "alerts.mail 1: `tls`: \"none\" is for a server on this machine alone",
        "alerts.mail 1: `user`: is missing",
        "alerts.mail 1: `from`: is not an address",
        "alerts.mail 1: `to`: is not an address",
        "alerts.webhook 1: `url`: \"http\" would send",
        "alerts.webhook 1: `header`: is not the name of a header",
        "alerts.command 1: `command`: names no program",
        "alerts.command 1: `what`: unknown key",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert!(!said.contains("canary"));
    let hourly = refused("[alerts]\nsummary = \"hourly\"\n");
    assert!(hourly.contains("must be \"daily\", \"weekly\" or \"never\""), "{hourly}");
    let no_mail = refused("[alerts]\nsummary = \"daily\"\n");
    assert!(no_mail.contains("goes by mail, and there is no"), "{no_mail}");
}

#[test]
fn an_address_that_is_as_good_as_a_password_is_not_shown_beside_an_error() {
    let said = refused(
        "[alerts]\nping_url = \"https://hc.example.org/canary\"\n[[alerts.webhook]]\nurl = \"x canary\"\n",
    );
    assert!(said.contains("`url`: is not an address") && !said.contains("canary"), "{said}");
}

#[test]
fn an_account_may_have_a_ping_and_a_patience_of_its_own() {
    let config = parse(
        "[[account]]\nname = \"a\"\nhost = \"mail.example.org\"\nuser = \"a\"\npassword_command = [\"x\"]\n\
         stale_after = \"90m\"\nping_url = \"https://hc.example.org/a\"\n",
    )
    .unwrap();
    assert_eq!(config.accounts[0].stale_after.unwrap().as_secs(), 5_400);
    assert_eq!(config.accounts[0].ping_url.as_ref().unwrap().host(), "hc.example.org");
}
