#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use std::os::unix::fs::PermissionsExt;

use insta::assert_snapshot;
use miette::{GraphicalReportHandler, GraphicalTheme};
use remote::Security;
use remote::pop3::Auth;
use sync::Pop3Listing;

use super::*;

const ARCHIVE: &str = "[archive]\npath = \"/srv/mail\"\n";

const ACCOUNT: &str = r#"
[[account]]
name = "work"
host = "mail.example.org"
user = "me@example.org"
password_command = ["pass", "mail/work"]
"#;

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("/etc/restante/restante.toml"), text)
}

/// What a person reads, without colours.
fn shown(result: Result<impl std::fmt::Debug, ConfigError>) -> String {
    let handler = GraphicalReportHandler::new_themed(GraphicalTheme::none()).with_wrap_lines(false);
    match result {
        Err(ConfigError::Invalid(invalid)) => {
            let mut shown = String::new();
            for report in invalid.reports() {
                handler.render_report(&mut shown, report.as_ref()).unwrap();
            }
            shown.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
        }
        Err(other) => other.to_string(),
        Ok(value) => panic!("accepted: {value:?}"),
    }
}

fn refused(text: &str) -> String {
    shown(parse(text))
}

/// The example account with more lines.
fn account(lines: &str) -> String {
    format!("{ARCHIVE}{ACCOUNT}{lines}")
}

#[test]
fn the_example_of_the_contract_is_accepted() {
    let config = parse(
        r#"
        [archive]
        path = "/var/lib/restante"

        [[account]]
        name = "work"
        protocol = "imap"
        host = "mail.example.org"
        port = 993
        tls = "implicit"
        tls_ca_file = "ca.pem"
        user = "me@example.org"
        password_file = "secret"
        schedule = "0 */2 * * *"
        timezone = "Europe/Paris"
        include = ["*"]
        exclude = ["Junk"]
        "#,
    )
    .unwrap();
    let work = config.account("work").unwrap();
    assert_eq!(work.tls_ca_file.as_deref(), Some(Path::new("/etc/restante/ca.pem")));
    assert!(
        matches!(&work.password, PasswordSource::File(path) if path == Path::new("/etc/restante/secret"))
    );
    assert_eq!((work.port, work.tls, work.protocol), (993, Security::Implicit, Protocol::Imap));
    assert!(work.schedule.is_some());
}

#[test]
fn defaults_are_those_of_the_document() {
    let config = parse(&account("")).unwrap();
    let archive = &config.archive;
    assert_eq!((archive.grace, archive.reserve), (Duration::from_secs(604_800), 1_073_741_824));
    let of_archive = |keys| parse(&format!("[archive]\npath = \"x\"\n{keys}")).unwrap().archive;
    assert_eq!(
        ["", "compact = true", "compact = false"].map(|keys| of_archive(keys).compact),
        [true, true, false]
    );
    let work = &config.accounts[0];
    assert_eq!((work.port, work.tls, work.protocol), (993, Security::Implicit, Protocol::Imap));
    assert_eq!((work.include.clone(), work.exclude.len()), (vec!["*".to_owned()], 0));
    assert_eq!(thresholds(work), (20, 0.1, 0.3));
    assert!(work.schedule.is_none() && work.max_bytes_per_day.is_none());
}

fn thresholds(account: &Account) -> (u64, f64, f64) {
    let watchdog = account.watchdog;
    (watchdog.vanished_min, watchdog.vanished_share, watchdog.account_share)
}

#[test]
fn the_port_follows_from_protocol_and_tls() {
    let table = [
        ("imap", "implicit", 993),
        ("imap", "starttls", 143),
        ("pop3", "implicit", 995),
        ("pop3", "starttls", 110),
    ];
    for (protocol, tls, port) in table {
        let config = parse(&account(&format!("protocol = \"{protocol}\"\ntls = \"{tls}\"\n"))).unwrap();
        assert_eq!(config.accounts[0].port, port);
    }
}

#[test]
fn how_pop3_logs_in_and_lists_can_be_chosen() {
    let pop3 = |lines: &str| {
        let config = parse(&account(&format!("protocol = \"pop3\"\n{lines}"))).unwrap();
        match config.accounts[0].protocol {
            Protocol::Pop3(pop3) => (pop3.auth, pop3.listing),
            Protocol::Imap => panic!("POP3 was asked for"),
        }
    };
    assert_eq!(pop3(""), (Auth::Auto, Pop3Listing::All));
    assert_eq!(pop3("listing = \"new\"\n"), (Auth::Auto, Pop3Listing::New));
    for (word, auth) in [
        ("auto", Auth::Auto),
        ("user", Auth::User),
        ("plain", Auth::Plain),
        ("apop", Auth::Apop),
        ("xoauth2", Auth::XOauth2),
        ("oauthbearer", Auth::OAuthBearer),
    ] {
        assert_eq!(pop3(&format!("auth = \"{word}\"\n")).0, auth);
    }
}

#[test]
fn p06_gmail_lists_what_is_new_unless_the_operator_says_otherwise() {
    let listing = |from: &str, to: &str, lines: &str| {
        let text = account(&format!("protocol = \"pop3\"\n{lines}")).replace(from, to);
        match parse(&text).unwrap().accounts[0].protocol {
            Protocol::Pop3(pop3) => pop3.listing,
            Protocol::Imap => panic!("POP3 was asked for"),
        }
    };
    assert_eq!(listing("mail.example.org", "pop.gmail.com", ""), Pop3Listing::New);
    assert_eq!(listing("mail.example.org", "pop.gmail.com", "listing = \"all\"\n"), Pop3Listing::All);
    assert_eq!(listing("\"me@", "\"recent:me@", ""), Pop3Listing::New);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    assert_snapshot!(refused(
        r#"
[archive]
paht = "/srv/mail"
reserve = "1"

[[account]]
name = "wörk"
host = "imaps://mail.example.org"
port = 70000
tls = "ssl"
user = ""
"#
    ), @r#"
         x /etc/restante/restante.toml, line 2: `archive.path`: is missing
          ,-[/etc/restante/restante.toml:2:2]
        1 |
        2 | [archive]
          :  ^^^^^^^
        3 | paht = "/srv/mail"
          `----
         x /etc/restante/restante.toml, line 3: `archive.paht`: unknown key
          ,-[/etc/restante/restante.toml:3:1]
        2 | [archive]
        3 | paht = "/srv/mail"
          : ^^^^
        4 | reserve = "1"
          `----
         help: did you mean `path`?
         x /etc/restante/restante.toml, line 4: `archive.reserve`: write "0", or a number with B, KB, MB, GB, KiB, MiB or GiB, like "1GiB"
          ,-[/etc/restante/restante.toml:4:11]
        3 | paht = "/srv/mail"
        4 | reserve = "1"
          :           ^^^
        5 |
          `----
         x /etc/restante/restante.toml, line 6: account 1: `password_file`: is missing: no source of the password is given
          ,-[/etc/restante/restante.toml:6:1]
        5 |
        6 | [[account]]
          : ^^^^^^^^^^^
        7 | name = "wörk"
          `----
         help: give one of password_file, password_command, password_credential, password
         x /etc/restante/restante.toml, line 7: account 1: `name`: may hold only letters (a to z), digits, '.', '_' and '-'
          ,-[/etc/restante/restante.toml:7:8]
        6 | [[account]]
        7 | name = "wörk"
          :        ^^^^^^
        8 | host = "imaps://mail.example.org"
          `----
         x /etc/restante/restante.toml, line 8: account 1: `host`: is not a host name
          ,-[/etc/restante/restante.toml:8:8]
        7 | name = "wörk"
        8 | host = "imaps://mail.example.org"
          :        ^^^^^^^^^^^^^^^^^^^^^^^^^^
        9 | port = 70000
          `----
         help: give the name alone, like "mail.example.org"; the port goes to `port`, the user to `user`
         x /etc/restante/restante.toml, line 9: account 1: `port`: must be a number from 1 to 65535
           ,-[/etc/restante/restante.toml:9:8]
         8 | host = "imaps://mail.example.org"
         9 | port = 70000
           :        ^^^^^
        10 | tls = "ssl"
           `----
         x /etc/restante/restante.toml, line 10: account 1: `tls`: must be "implicit", "starttls" or "none"
           ,-[/etc/restante/restante.toml:10:7]
         9 | port = 70000
        10 | tls = "ssl"
           :       ^^^^^
        11 | user = ""
           `----
         x /etc/restante/restante.toml, line 11: account 1: `user`: is empty
           ,-[/etc/restante/restante.toml:11:8]
        10 | tls = "ssl"
        11 | user = ""
           :        ^^
           `----
    "#);
}

#[test]
fn a_password_never_stands_in_an_error() {
    assert_snapshot!(refused(&account("password = \"canary\"\n")), @r#"
         x /etc/restante/restante.toml, line 9: account "work": `password`: more than one source of the password (password_command, password); give exactly one
          ,-[/etc/restante/restante.toml:9:12]
        8 | password_command = ["pass", "mail/work"]
        9 | password =*********
          :            ^^^^^^^^
          `----
    "#);
    let broken = refused("[archive]\npath = \"/srv\"\n[[account]]\npassword = \"canary\nname = 7");
    assert!(broken.contains("not TOML") && !broken.contains("canary"), "{broken}");
}

#[test]
fn a_name_is_used_once() {
    assert_snapshot!(refused(&format!("{ARCHIVE}{ACCOUNT}{ACCOUNT}")), @r#"
         x /etc/restante/restante.toml, line 11: account "work": `name`: is used twice; each account needs a name of its own
           ,-[/etc/restante/restante.toml:11:8]
        10 | [[account]]
        11 | name = "work"
           :        ^^^^^^
        12 | host = "mail.example.org"
           `----
    "#);
    let other_case = refused(&format!("{ARCHIVE}{ACCOUNT}{}", ACCOUNT.replace("work", "Work")));
    assert!(
        other_case.contains("line 11: account \"Work\": `name`: differs from \"work\" only in case"),
        "{other_case}"
    );
}

#[test]
fn plaintext_goes_to_this_host_only() {
    assert_snapshot!(refused(&account("tls = \"none\"\n")), @r#"
         x /etc/restante/restante.toml, line 9: account "work": `tls`: "none" would send the password in the clear to another host
          ,-[/etc/restante/restante.toml:9:7]
        8 | password_command = ["pass", "mail/work"]
        9 | tls = "none"
          :       ^^^^^^
          `----
         help: use "implicit" or "starttls"; if the line is safe all the same, set allow_plaintext = true
    "#);
    for host in ["localhost", "127.0.0.1", "127.8.9.10", "::1", "[::1]"] {
        let text = account("tls = \"none\"\n").replace("mail.example.org", host);
        assert!(!parse(&text).unwrap().accounts[0].plaintext_to_others, "{host}");
    }
    let allowed = parse(&account("tls = \"none\"\nallow_plaintext = true\n")).unwrap();
    assert!(allowed.accounts[0].plaintext_to_others);
}

#[test]
fn what_is_wrong_with_single_keys_is_said_in_their_words() {
    let table = [
        ("schedul = \"0 2 * * *\"", "`schedul`: unknown key"),
        ("schedule = \"61 2 * * *\"", "`schedule`: not a cron expression"),
        ("schedule = \"0 0 30 2 *\"", "`schedule`: this cron expression is never due"),
        ("schedule = \"0 2 * * *\"\ntimezone = \"Mars/Base\"", "`timezone`: no time zone of this name"),
        ("include = [\"a[\"]", "`include`: folder glob \"a[\" is not valid"),
        ("include = []", "`include`: is empty"),
        ("exclude = \"Junk\"", "`exclude`: expected a list of texts"),
        ("exclude = [\"Junk\", 7]", "`exclude`: expected texts, found a whole number"),
        ("protocol = \"smtp\"", "`protocol`: must be \"imap\" or \"pop3\""),
        ("protocol = 3", "`protocol`: expected a text"),
        ("auth = \"plain\"", "`auth`: is for POP3 accounts, and this one is of IMAP"),
        ("listing = \"new\"", "`listing`: is for POP3 accounts, and this one is of IMAP"),
        ("auth = \"digest\"\nprotocol = \"pop3\"", "`auth`: must be one of \"auto\", \"user\", "),
        ("listing = \"some\"\nprotocol = \"pop3\"", "`listing`: must be one of \"all\", \"new\""),
        ("include = [\"Sent\"]\nprotocol = \"pop3\"", "`include`: leaves nothing to back up"),
        ("exclude = [\"IN*\"]\nprotocol = \"pop3\"", "`exclude`: leaves nothing to back up"),
        ("port = \"993\"", "`port`: expected a whole number, found a text"),
        ("port = 0", "`port`: must be a number from 1 to 65535"),
        ("max_bytes_per_day = \"2400\"", "`max_bytes_per_day`: write \"0\""),
        ("allow_plaintext = \"yes\"", "`allow_plaintext`: expected true or false"),
        ("watchdog.vanished_share = 10", "`watchdog.vanished_share`: must be a number from 0 to 1"),
        ("limits.connect = 60", "`limits.connect`: expected a text"),
        ("limits.connect = \"60\"", "`limits.connect`: write \"0\""),
        ("limits.progress = \"0\"", "`limits.progress`: must be from \"1s\" to \"3600s\""),
        ("limits.run = \"1000d\"", "`limits.run`: must be from"),
        ("limits.commands_in_flight = 0", "`limits.commands_in_flight`: must be a number from 1 to 16"),
        ("limits.literal = \"1MiB\"", "`limits.literal`: must be from"),
        ("limits.retrys = 3", "did you mean `retries`?"),
        ("watchdog.vanished = 10", "account \"work\": `watchdog.vanished`: unknown key"),
    ];
    for (line, expected) in table {
        let said = refused(&account(line));
        assert!(said.contains(expected), "{line}: {said}");
        assert!(said.contains("line 9") || said.contains("line 10"), "{line}: {said}");
    }
}

#[test]
fn there_is_exactly_one_source_of_the_password() {
    let without = ACCOUNT.replace("password_command = [\"pass\", \"mail/work\"]\n", "");
    assert!(refused(&format!("{ARCHIVE}{without}")).contains("no source of the password"));
    for wrong in [
        "password_command = []",
        "password_command = [\"\"]",
        "password_file = \"\"",
        "password_credential = \"../work\"",
        "password = \"\"",
        "password = \"two\\nlines\"",
    ] {
        let key = wrong.split(' ').next().unwrap();
        let said = refused(&format!("{ARCHIVE}{without}{wrong}\n"));
        assert!(said.contains(&format!("`{key}`: ")), "{wrong}: {said}");
    }
}

#[test]
fn the_watchdog_of_an_account_begins_with_that_of_all() {
    let text = format!(
        "{}[watchdog]\nvanished_min = 5\nvanished_share = 0.5\n",
        account("watchdog.vanished_share = 1\n")
    );
    let config = parse(&text).unwrap();
    assert_eq!(thresholds(&config.accounts[0]), (5, 1.0, 0.3));
}

#[test]
fn unknown_sections_are_errors_too() {
    let said = refused(&format!("{}[[accounts]]\nname = \"a\"\n", account("")));
    assert!(said.contains("`accounts`: unknown key") && said.contains("did you mean `account`?"), "{said}");
    assert!(refused("archive = 7\n").contains("`archive`: expected a table, found a whole number"));
    assert!(refused("").contains("`archive.path`: is missing"));
}

/// A configuration on disk with one account; `password` is its line.
fn on_disk(password: &str, mode: u32) -> (tempfile::TempDir, Config) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("restante.toml");
    let text = account("").replace("password_command = [\"pass\", \"mail/work\"]", password);
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    let config = Config::load(Some(&file)).unwrap();
    (folder, config)
}

fn checked(config: &Config) -> Result<(), ConfigError> {
    config.check_secrets(&config.accounts.iter().collect::<Vec<_>>())
}

#[test]
fn a_password_in_a_configuration_that_others_can_read_is_refused() {
    let (_folder, open) = on_disk("password = \"canary\"", 0o644);
    let said = shown(checked(&open));
    assert!(said.contains("line 8: account \"work\": `password`: "), "{said}");
    assert!(said.contains("mode 0644") && said.contains("chmod 600") && !said.contains("canary"), "{said}");
    let (_folder, private) = on_disk("password = \"canary\"", 0o600);
    assert!(checked(&private).is_ok());
}

#[test]
fn an_unreadable_password_file_is_named_with_its_line() {
    let (_folder, config) = on_disk("password_file = \"secret\"", 0o644);
    let said = shown(checked(&config));
    assert!(said.contains("line 8: account \"work\": `password_file`: cannot read"), "{said}");
}

#[test]
fn secrets_are_not_needed_to_read_the_archive() {
    let (_folder, config) = on_disk("password_file = \"secret\"", 0o644);
    assert_eq!(config.archive.path, Path::new("/srv/mail"));
}

#[test]
fn the_system_s_file_comes_before_the_user_s() {
    let folder = tempfile::tempdir().unwrap();
    let system = folder.path().join("system.toml");
    let own = folder.path().join("restante/restante.toml");
    let variable = |name: &'static str| (name == "XDG_CONFIG_HOME").then(|| folder.path().into());
    let missing = find(&system, variable).unwrap_err().to_string();
    assert!(missing.contains("system.toml and ") && missing.contains("restante/restante.toml"), "{missing}");
    std::fs::create_dir(folder.path().join("restante")).unwrap();
    std::fs::write(&own, "").unwrap();
    assert_eq!(find(&system, variable).unwrap(), own);
    std::fs::write(&system, "").unwrap();
    assert_eq!(find(&system, variable).unwrap(), system);
}

#[test]
fn the_limits_of_an_account_begin_with_those_of_all() {
    let text = format!(
        "{}[limits]\nconnect = \"10s\"\nprogress = \"20s\"\nretries = 9\nline = \"1MiB\"\nrecheck = \"0\"\n",
        account("limits.progress = \"5m\"\nlimits.slowest = 1\n")
    );
    let limits = &parse(&text).unwrap().accounts[0].limits;
    let seconds = |time: Duration| time.as_secs();
    assert_eq!((seconds(limits.remote.connect), seconds(limits.remote.progress)), (10, 300));
    assert_eq!((limits.remote.slowest, limits.patience.cuts, limits.remote.line), (1, 9, 1 << 20));
    assert!(limits.recheck.is_zero());
    assert_eq!(seconds(limits.remote.greeting), 60, "what nobody says is as it was");
}

#[test]
fn i22_a_known_provider_has_its_budget_unless_the_operator_says_another() {
    let gmail = |more: &str| account(more).replace("mail.example.org", "imap.gmail.com");
    let budget = |text: &str| parse(text).unwrap().accounts[0].max_bytes_per_day;
    assert_eq!(budget(&gmail("")), Some(2_400_000_000));
    assert_eq!(budget(&gmail("max_bytes_per_day = \"1GB\"\n")), Some(1_000_000_000));
    assert_eq!(budget(&gmail("protocol = \"pop3\"\n")), Some(1_200_000_000));
    assert_eq!(budget(&account("")), None);
}
