//! The configuration file: found, read, checked.
//!
//! Everything that is wrong is reported at once, each with file, line and key, before anything is
//! started. docs/configuration.md describes every key.
//!
//! Checking has two steps, for an archive must stay readable on the day when the passwords are gone:
//! [`Config::load`] is about the file alone and serves every command; [`Config::check_secrets`] looks
//! at password and authority files, for commands that log in somewhere.

mod account;
mod alerts;
mod care;
mod daemon;
mod document;
#[cfg(any(test, feature = "fuzzing"))]
#[allow(unreachable_pub, reason = "reached through doors.rs, in a fuzz build alone")]
pub mod fuzzing;
mod host;
mod limits;
mod metrics;
mod near;
mod place;
mod protocol;
mod secret;
mod size;
mod watchdog;
mod web;

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(crate) use account::{Account, MAX_NAME_BYTES};
pub(crate) use alerts::{AlertsConfig, MailConfig, WebhookConfig};
pub(crate) use care::CareConfig;
pub(crate) use daemon::DaemonConfig;
pub(crate) use document::Invalid;
pub(crate) use host::parse as parse_host;
pub(crate) use limits::Limits;
pub(crate) use metrics::{Listen, MetricsConfig};
pub(crate) use place::Place;
pub(crate) use protocol::{Pop3, Protocol};
pub(crate) use secret::{PasswordSource, SecretError, password};
pub(crate) use size::parse_size;
pub(crate) use web::WebUrl;

use ::daemon::Schedule;
use alerts::Places;
use document::{Problem, Section};
use remote::Throttle;

/// Where the configuration is looked for first.
const SYSTEM_FILE: &str = "/etc/restante/restante.toml";

/// Ten thousand accounts fit; a wrong path does not fill the memory.
const MAX_FILE_BYTES: u64 = 16 << 20;

const DEFAULT_GRACE: Duration = Duration::from_secs(7 * 86_400);

/// Below this much room on the archive's disk no new bodies are fetched.
const DEFAULT_RESERVE: u64 = 1 << 30;

/// A configuration that can be acted upon.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// The file it came from.
    pub(crate) file: PathBuf,
    pub(crate) archive: ArchiveConfig,
    pub(crate) daemon: DaemonConfig,
    pub(crate) metrics: MetricsConfig,
    pub(crate) alerts: AlertsConfig,
    pub(crate) care: CareConfig,
    /// In the order of the file; the names are unique.
    pub(crate) accounts: Vec<Account>,
    text: String,
}

/// The section `[archive]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ArchiveConfig {
    pub(crate) path: PathBuf,
    /// How long retired packs stay.
    pub(crate) grace: Duration,
    /// Room that is left free on the archive's disk, in bytes.
    pub(crate) reserve: u64,
    /// Whether the daemon compacts it by itself.
    pub(crate) compact: bool,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("there is no configuration file; looked for {}", list(looked))]
    Missing { looked: Vec<PathBuf> },
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("the configuration is wrong")]
    Invalid(Box<Invalid>),
}

fn list(paths: &[PathBuf]) -> String {
    paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" and ")
}

impl Config {
    /// Reads the file that was named on the command line, else the one of the system or the user.
    ///
    /// # Errors
    /// When there is none, or anything in it is wrong.
    pub(crate) fn load(named: Option<&Path>) -> Result<Self, ConfigError> {
        let file = match named {
            Some(path) => path.to_owned(),
            None => find(Path::new(SYSTEM_FILE), std::env::var_os)?,
        };
        let text = read(&file).map_err(|source| ConfigError::Read { path: file.clone(), source })?;
        Self::parse(&file, &text)
    }

    /// Reads a configuration from its text; relative paths in it are relative to `file`.
    ///
    /// # Errors
    /// With everything that is wrong in it.
    pub(crate) fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let invalid = |problems| Err(ConfigError::Invalid(Box::new(Invalid::new(file, text, problems))));
        let document = match document::parse(text) {
            Ok(document) => document,
            Err(problems) => return invalid(problems),
        };
        let mut problems = Vec::new();
        // What is remembered of an archive's path must not depend on where the program was started.
        let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let folder = absolute.parent().unwrap_or(Path::new(""));
        let mut root = Section::new("", document.get_ref(), 0..0, &mut problems);
        if !root.has("archive") {
            let missing = Problem::whole("`archive.path`: is missing");
            root.problems().push(missing.help("say where the archive is: [archive] path = \"…\""));
        }
        let archive = root.section("archive").and_then(|section| ArchiveConfig::read(section, folder));
        let daemon = root.section("daemon").map(DaemonConfig::read).unwrap_or_default();
        let place = archive.as_ref().map(|archive| archive.path.as_path());
        let metrics =
            root.section("metrics").map(|section| metrics::read(section, folder, place)).unwrap_or_default();
        let alerts = match root.section("alerts") {
            Some(section) => AlertsConfig::read(section, folder),
            None => AlertsConfig::default(),
        };
        let care = root.section("care").map(CareConfig::read).unwrap_or_default();
        let watchdog = match root.section("watchdog") {
            Some(section) => watchdog::read(section, &sync::Watchdog::default()),
            None => sync::Watchdog::default(),
        };
        let limits = match root.section("limits") {
            Some(section) => limits::read(section, &Limits::default()),
            None => Limits::default(),
        };
        let defaults = account::Defaults { watchdog, limits };
        let mut accounts = Vec::new();
        for (number, (table, span)) in (1..).zip(root.tables("account")) {
            accounts.extend(account::read(number, table, span, folder, &defaults, root.problems()));
        }
        root.close();
        refuse_doubles(&accounts, &mut problems);
        match archive {
            Some(archive) if problems.is_empty() => {
                let text = document::blot(text);
                Ok(Self { file: file.to_owned(), archive, daemon, metrics, alerts, care, accounts, text })
            }
            _ => invalid(problems),
        }
    }

    /// What holds where there is no file at all: an archive, and no account.
    pub(crate) fn of_archive(path: &Path) -> Self {
        let (grace, reserve) = (DEFAULT_GRACE, DEFAULT_RESERVE);
        let archive = ArchiveConfig { path: path.to_owned(), grace, reserve, compact: true };
        Self {
            file: PathBuf::from("(no configuration)"),
            archive,
            daemon: DaemonConfig::default(),
            metrics: MetricsConfig::default(),
            alerts: AlertsConfig::default(),
            care: CareConfig::default(),
            accounts: Vec::new(),
            text: String::new(),
        }
    }

    /// The account of this name.
    pub(crate) fn account(&self, name: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| account.name == name)
    }

    /// When the daemon backs this account up: by its own schedule, else by the one of all.
    pub(crate) fn schedule_of<'c>(&'c self, account: &'c Account) -> Option<&'c Schedule> {
        account.schedule.as_ref().or(self.daemon.schedule.as_ref())
    }

    /// Whether the daemon waits for news of this account.
    pub(crate) fn is_watched(&self, account: &Account) -> bool {
        !account.protocol.is_pop3() && account.watch.unwrap_or(self.daemon.watch)
    }

    /// How fast mail of this account may come: of the line that all share, and of its own.
    pub(crate) fn throttle_of(&self, account: &Account) -> Throttle {
        let own = account.max_bytes_per_second.map(Throttle::per_second).unwrap_or_default();
        self.daemon.throttle.and(&own)
    }

    /// Looks at what the named accounts need besides the configuration: password files that are
    /// there and nobody else's, authorities that can be read, and, where a password stands in the
    /// configuration itself, whether others can read that.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with everything that is wrong.
    pub(crate) fn check_secrets(&self, accounts: &[&Account]) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        for account in accounts {
            let whose = format!("account \"{}\"", account.name);
            let places = &account.places;
            self.check_password(&whose, &account.password, &places.password, &mut problems);
            check_authorities(&whose, account.tls_ca_file.as_deref(), &places.tls_ca_file, &mut problems);
        }
        if problems.is_empty() { Ok(()) } else { Err(self.invalid(problems)) }
    }

    /// The same for what `[alerts]` needs.
    ///
    /// # Errors
    /// [`ConfigError::Invalid`] with everything that is wrong.
    pub(crate) fn check_alert_secrets(&self) -> Result<(), ConfigError> {
        let mut problems = Vec::new();
        let mut check = |whose: &str, secret: Option<&PasswordSource>, ca: Option<&Path>, places: &Places| {
            if let Some(secret) = secret {
                self.check_password(whose, secret, &places.password, &mut problems);
            }
            check_authorities(whose, ca, &places.tls_ca_file, &mut problems);
        };
        for (number, mail) in (1..).zip(&self.alerts.mail) {
            let password = mail.login.as_ref().map(|(_, password)| password);
            check(&format!("alerts.mail {number}"), password, mail.tls_ca_file.as_deref(), &mail.places);
        }
        for (number, hook) in (1..).zip(&self.alerts.webhooks) {
            let value = hook.header.as_ref().map(|(_, value)| value);
            check(&format!("alerts.webhook {number}"), value, hook.tls_ca_file.as_deref(), &hook.places);
        }
        if problems.is_empty() { Ok(()) } else { Err(self.invalid(problems)) }
    }

    fn check_password(
        &self,
        whose: &str,
        password: &PasswordSource,
        place: &Range<usize>,
        problems: &mut Vec<Problem>,
    ) {
        if let Err(error) = password.check() {
            problems.push(Problem::at(place.clone(), format!("{whose}: `password_file`: {error}")));
        }
        if let PasswordSource::Inline(_) = password
            && let Err(error) = self.is_private()
        {
            problems.push(Problem::at(place.clone(), format!("{whose}: `password`: {error}")));
        }
    }

    fn is_private(&self) -> Result<(), SecretError> {
        let file =
            File::open(&self.file).map_err(|source| SecretError::Read { path: self.file.clone(), source })?;
        secret::must_be_private(&self.file, &file)
    }

    fn invalid(&self, problems: Vec<Problem>) -> ConfigError {
        ConfigError::Invalid(Box::new(Invalid::new(&self.file, &self.text, problems)))
    }
}

impl ArchiveConfig {
    fn read(mut section: Section<'_, '_>, folder: &Path) -> Option<Self> {
        let path = section.required_text("path").map(|path| folder.join(path));
        let grace = match section.text("grace").as_deref().map(size::parse_duration) {
            None => DEFAULT_GRACE,
            Some(Ok(grace)) => grace,
            Some(Err(problem)) => {
                section.wrong("grace", problem);
                DEFAULT_GRACE
            }
        };
        let reserve = match section.text("reserve").as_deref().map(parse_size) {
            None => DEFAULT_RESERVE,
            Some(Ok(reserve)) => reserve,
            Some(Err(problem)) => {
                section.wrong("reserve", problem);
                DEFAULT_RESERVE
            }
        };
        let compact = section.flag("compact") || !section.has("compact");
        section.close();
        Some(Self { path: path?, grace, reserve, compact })
    }
}

/// The file to take when none is named.
fn find(system: &Path, variable: impl Fn(&'static str) -> Option<OsString>) -> Result<PathBuf, ConfigError> {
    let own = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(PathBuf::from(variable("HOME")?).join(".config")))
        .map(|folder| folder.join("restante/restante.toml"));
    let looked: Vec<PathBuf> = [Some(system.to_owned()), own].into_iter().flatten().collect();
    // A file that cannot be looked at is there: opening it will say why it cannot be read.
    let found = looked.iter().find(|path| path.try_exists().unwrap_or(true)).cloned();
    found.ok_or(ConfigError::Missing { looked })
}

/// A file of no more than a configuration may have.
///
/// # Errors
/// When it cannot be read, is larger, or is not UTF-8.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read = File::open(path)?.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if read as u64 > MAX_FILE_BYTES {
        return Err(io::Error::other(format!("it is larger than {} MiB", MAX_FILE_BYTES >> 20)));
    }
    Ok(text)
}

fn check_authorities(whose: &str, file: Option<&Path>, place: &Range<usize>, problems: &mut Vec<Problem>) {
    let Some(path) = file else { return };
    if let Err(error) = read(path) {
        let message = format!("{whose}: `tls_ca_file`: cannot read {}: {error}", path.display());
        problems.push(Problem::at(place.clone(), message));
    }
}

fn refuse_doubles(accounts: &[Account], problems: &mut Vec<Problem>) {
    let mut seen: HashMap<String, &str> = HashMap::new();
    for account in accounts {
        let message = match seen.insert(account.name.to_lowercase(), &account.name) {
            None => continue,
            Some(first) if first == account.name => {
                "is used twice; each account needs a name of its own".to_owned()
            }
            Some(first) => format!("differs from \"{first}\" only in case; people would mix them up"),
        };
        let message = format!("account \"{}\": `name`: {message}", account.name);
        problems.push(Problem::at(account.places.name.clone(), message));
    }
}

#[cfg(test)]
mod tests;
