//! How near to real time, and how fast: `watch` and `max_bytes_per_second`, of an account and of all.

use std::num::NonZeroU64;

use super::document::Section;
use super::size::parse_size;

/// Slower than this, and TLS and logins of a few connections would run into their time-outs.
const LEAST_RATE: u64 = 10_000;

/// Whether news is waited for; `None`: as `[daemon]` says. It is a thing of IMAP.
pub(super) fn watch(section: &mut Section<'_, '_>, is_pop3: bool) -> Option<bool> {
    let watch = section.flag("watch");
    if watch && is_pop3 {
        section.wrong_help(
            "watch",
            "is for IMAP accounts: a POP3 server has no way to tell that mail has come",
            "take the line out; a schedule like \"*/10 * * * *\" looks often",
        );
    }
    section.has("watch").then_some(watch)
}

/// Octets a second; `None`: as fast as the line is.
pub(super) fn rate(section: &mut Section<'_, '_>) -> Option<NonZeroU64> {
    const KEY: &str = "max_bytes_per_second";
    match parse_size(&section.text(KEY)?) {
        Ok(octets) if octets >= LEAST_RATE => return NonZeroU64::new(octets),
        Ok(_) => drop(section.wrong(KEY, "is less than \"10KB\", with which logins would time out")),
        Err(problem) => drop(section.wrong(KEY, problem)),
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use std::path::Path;

    use super::super::{Config, ConfigError};

    fn parse(daemon: &str, first: &str, second: &str) -> Result<Config, ConfigError> {
        let account = |name: &str, lines: &str| {
            format!(
                "[[account]]\nname = \"{name}\"\nhost = \"h\"\nuser = \"u\"\npassword_file = \"p\"\n{lines}\n"
            )
        };
        let accounts = account("one", first) + &account("two", second);
        let text = format!("[archive]\npath = \"/a\"\n[daemon]\n{daemon}\n{accounts}");
        Config::parse(Path::new("/etc/restante.toml"), &text)
    }

    /// Why it is refused.
    fn refused(daemon: &str, first: &str) -> String {
        let Err(ConfigError::Invalid(invalid)) = parse(daemon, first, "") else { panic!("it is accepted") };
        invalid.reports().iter().map(|report| format!("{report:?}\n")).collect()
    }

    #[test]
    fn an_account_is_watched_if_it_or_all_shall_be_and_pop3_never() {
        let pop3 = "protocol = \"pop3\"";
        for (daemon, first, second, expected) in [
            ("", "", "watch = true", [false, true]),
            ("watch = true", "", "watch = false", [true, false]),
            ("watch = true", pop3, "", [false, true]),
        ] {
            let config = parse(daemon, first, second).unwrap();
            let watched: Vec<bool> =
                config.accounts.iter().map(|account| config.is_watched(account)).collect();
            assert_eq!(watched, expected, "{daemon} {first} {second}");
        }
        let why = refused("", &format!("{pop3}\nwatch = true"));
        assert!(why.contains("a POP3 server has no way to tell") && why.contains("*/10"), "{why}");
        assert!(refused("watch = 1", "").contains("true or false"));
    }

    #[test]
    fn rates_are_sizes_and_no_rate_is_too_low_to_log_in() {
        let config = parse("max_bytes_per_second = \"1MB\"", "max_bytes_per_second = \"0.5MB\"", "").unwrap();
        assert_eq!(config.daemon.max_bytes_per_second.map(u64::from), Some(1_000_000));
        let rates: Vec<_> =
            config.accounts.iter().map(|account| account.max_bytes_per_second.map(u64::from)).collect();
        assert_eq!(rates, [Some(500_000), None]);
        let held_back = |config: &Config| !config.throttle_of(&config.accounts[1]).is_none();
        assert!(held_back(&config) && !held_back(&parse("", "", "").unwrap()));
        for rate in ["\"0\"", "\"9KB\""] {
            assert!(refused(&format!("max_bytes_per_second = {rate}"), "").contains("less than"));
        }
        assert!(refused("", "max_bytes_per_second = \"fast\"").contains("write"));
        assert!(refused("", "max_bytes_per_second = 1000000").contains("a text in quotes"));
    }

    #[test]
    fn a_watch_goes_on_after_a_reload_unless_it_would_be_another() {
        let before = parse("", "schedule = \"@daily\"", "").unwrap();
        let same =
            |first: &str| before.accounts[0].is_same_mailbox(&parse("", first, "").unwrap().accounts[0]);
        assert!(same("schedule = \"@hourly\"\nmax_bytes_per_second = \"1MB\""));
        for other in ["port = 9", "tls = \"starttls\"", "exclude = [\"Junk\"]", "tls_ca_file = \"x\""] {
            assert!(!same(other), "{other}");
        }
        assert!(!before.accounts[0].is_same_mailbox(&before.accounts[1]));
    }
}
