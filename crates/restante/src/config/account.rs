//! One `[[account]]` of the configuration: reading it and checking what can be checked without
//! touching network or secrets.

use std::net::IpAddr;
use std::num::NonZeroU64;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::daemon::Schedule;
use ::daemon::scheduler::Window;
use remote::Security;
use secrecy::SecretString;
use sync::{FolderFilter, Watchdog};
use toml::Spanned;
use toml::de::DeTable;

use super::alerts;
use super::daemon;
use super::document::{Problem, Section};
use super::host::{self, NoHost};
use super::limits::{self, Limits};
use super::near;
use super::protocol::{self, Protocol};
use super::secret::PasswordSource;
use super::size::parse_size;
use super::watchdog;
use super::web::WebUrl;

/// Longer names do not fit where names go: journal fields, metric labels, file names.
pub(crate) const MAX_NAME_BYTES: usize = 64;

/// One mailbox account.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    /// Unique; letters, digits, `.`, `_`, `-`.
    pub(crate) name: String,
    pub(crate) protocol: Protocol,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Security,
    /// `tls = "none"` to a host that is not this one, as the operator wished.
    pub(crate) plaintext_to_others: bool,
    pub(crate) tls_ca_file: Option<PathBuf>,
    pub(crate) user: String,
    pub(crate) password: PasswordSource,
    pub(crate) schedule: Option<Schedule>,
    /// Outside of these hours the daemon begins no run.
    pub(crate) window: Option<Window>,
    /// In this span after its planned time the daemon begins a run.
    pub(crate) spread: Option<Duration>,
    /// So long after its last good run it counts as stale.
    pub(crate) stale_after: Option<Duration>,
    /// Asked for after each good run.
    pub(crate) ping_url: Option<WebUrl>,
    pub(crate) include: Vec<String>,
    pub(crate) exclude: Vec<String>,
    /// The operator's, else the provider's where it is known; `None`: not limited.
    pub(crate) max_bytes_per_day: Option<u64>,
    /// `None`: as fast as the line is.
    pub(crate) max_bytes_per_second: Option<NonZeroU64>,
    /// Whether the daemon waits for news; `None`: as for all.
    pub(crate) watch: Option<bool>,
    pub(crate) watchdog: Watchdog,
    pub(crate) limits: Limits,
    /// Where things stand in the file that are looked at again later.
    pub(super) places: Places,
}

impl Account {
    /// Whether both are the same folders of the same mailbox, reached in the same way.
    pub(crate) fn is_same_mailbox(&self, other: &Self) -> bool {
        self.name == other.name
            && (&self.host, self.port, self.tls, &self.tls_ca_file)
                == (&other.host, other.port, other.tls, &other.tls_ca_file)
            && self.user == other.user
            && self.password.is_same(&other.password)
            && (&self.include, &self.exclude) == (&other.include, &other.exclude)
    }
}

/// Places in the file that are needed after reading.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) name: Range<usize>,
    pub(super) password: Range<usize>,
    pub(super) tls_ca_file: Range<usize>,
}

/// What holds for every account that says nothing else.
pub(super) struct Defaults {
    pub(super) watchdog: Watchdog,
    pub(super) limits: Limits,
}

/// Reads one account, the `number`th of the file from 1; `None` when something that it cannot do without is wrong (then that is noted).
pub(super) fn read(
    number: usize,
    table: &DeTable<'_>,
    span: Range<usize>,
    folder: &Path,
    defaults: &Defaults,
    problems: &mut Vec<Problem>,
) -> Option<Account> {
    let mut section = Section::new(format!("account {number}: "), table, span, problems);
    let name = name(&mut section);
    if let Some(name) = &name {
        section.set_context(format!("account \"{name}\": "));
    }
    let host = host(&mut section);
    let user = section.required_text("user");
    let protocol = protocol::read(&mut section, host.as_deref(), user.as_deref());
    let tls = tls(&mut section);
    let allow_plaintext = section.flag("allow_plaintext");
    let plaintext_to_others = tls == Some(Security::Plain) && !host.as_deref().is_none_or(is_loopback);
    if plaintext_to_others && !allow_plaintext {
        section.wrong_help(
            "tls",
            "\"none\" would send the password in the clear to another host",
            "use \"implicit\" or \"starttls\"; if the line is safe all the same, set allow_plaintext = true",
        );
    }
    let port = port(&mut section, protocol, tls);
    let tls_ca_file = section.text("tls_ca_file").map(|path| folder.join(path));
    let (password, password_place) = password(&mut section, folder);
    let schedule = daemon::schedule(&mut section);
    let window = daemon::window(&mut section);
    let spread = daemon::span(&mut section, "spread");
    let stale_after = alerts::stale_after(&mut section);
    let ping_url = alerts::ping_url(&mut section);
    let include = globs(&mut section, "include").unwrap_or_else(|| vec!["*".to_owned()]);
    let exclude = globs(&mut section, "exclude").unwrap_or_default();
    if include.is_empty() {
        section.wrong("include", "is empty, so that no folder would be backed up");
    }
    let is_pop3 = protocol.is_some_and(Protocol::is_pop3);
    if is_pop3 {
        protocol::must_want_inbox(&mut section, &include, &exclude);
    }
    let of_provider =
        host.as_deref().and_then(if is_pop3 { sync::pop3_bytes_per_day } else { sync::bytes_per_day });
    let max_bytes_per_day = size(&mut section, "max_bytes_per_day").or(of_provider);
    let max_bytes_per_second = near::rate(&mut section);
    let watch = near::watch(&mut section, is_pop3);
    let watchdog = match section.section("watchdog") {
        Some(own) => watchdog::read(own, &defaults.watchdog),
        None => defaults.watchdog,
    };
    let limits = match section.section("limits") {
        Some(own) => limits::read(own, &defaults.limits),
        None => defaults.limits.clone(),
    };
    let places = Places {
        name: section.place("name"),
        password: password_place,
        tls_ca_file: section.place("tls_ca_file"),
    };
    section.close();
    Some(Account {
        name: name?,
        protocol: protocol?,
        host: host?,
        port: port?,
        tls: tls?,
        plaintext_to_others,
        tls_ca_file,
        user: user?,
        password: password?,
        schedule,
        window,
        spread,
        stale_after,
        ping_url,
        include,
        exclude,
        max_bytes_per_day,
        max_bytes_per_second,
        watch,
        watchdog,
        limits,
        places,
    })
}

fn name(section: &mut Section<'_, '_>) -> Option<String> {
    let name = section.required_text("name")?;
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if !name.chars().all(allowed) {
        section.wrong("name", "may hold only letters (a to z), digits, '.', '_' and '-'");
        return None;
    }
    if name.len() > MAX_NAME_BYTES {
        section.wrong("name", format!("is longer than {MAX_NAME_BYTES} characters"));
        return None;
    }
    Some(name)
}

fn host(section: &mut Section<'_, '_>) -> Option<String> {
    let text = section.required_text("host")?;
    match host::parse(&text) {
        Ok(host) => Some(host),
        Err(NoHost::More) => {
            section.wrong_help(
                "host",
                NoHost::More,
                "give the name alone, like \"mail.example.org\"; the port goes to `port`, the user to `user`",
            );
            None
        }
        Err(NoHost::Letters) => {
            section.wrong("host", NoHost::Letters);
            None
        }
    }
}

pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(super) fn tls(section: &mut Section<'_, '_>) -> Option<Security> {
    match section.text("tls").as_deref() {
        Some("implicit") => Some(Security::Implicit),
        Some("starttls") => Some(Security::StartTls),
        Some("none") => Some(Security::Plain),
        Some(_) => {
            section.wrong("tls", "must be \"implicit\", \"starttls\" or \"none\"");
            None
        }
        None if section.has("tls") => None,
        None => Some(Security::Implicit),
    }
}

fn port(section: &mut Section<'_, '_>, protocol: Option<Protocol>, tls: Option<Security>) -> Option<u16> {
    let number = section.number("port");
    if !section.has("port") {
        return Some(match (protocol?, tls?) {
            (Protocol::Imap, Security::Implicit) => 993,
            (Protocol::Imap, Security::StartTls | Security::Plain) => 143,
            (Protocol::Pop3(_), Security::Implicit) => 995,
            (Protocol::Pop3(_), Security::StartTls | Security::Plain) => 110,
        });
    }
    let port = u16::try_from(number?).ok().filter(|&port| port > 0);
    if port.is_none() {
        section.wrong("port", "must be a number from 1 to 65535");
    }
    port
}

/// The one source of the password, and where it stands.
pub(super) fn password(
    section: &mut Section<'_, '_>,
    folder: &Path,
) -> (Option<PasswordSource>, Range<usize>) {
    const SOURCES: [&str; 4] = ["password_file", "password_command", "password_credential", "password"];
    let given: Vec<&str> = SOURCES.into_iter().filter(|key| section.has(key)).collect();
    let file = section.text("password_file").filter(|path| !path.is_empty());
    let command = section.texts("password_command");
    let credential = section.text("password_credential");
    let inline = section.text("password").map(SecretString::from);
    let source = match given[..] {
        [] => {
            section.wrong_help(
                "password_file",
                "is missing: no source of the password is given",
                "give one of password_file, password_command, password_credential, password",
            );
            None
        }
        ["password_file"] => {
            if file.is_none() {
                section.wrong("password_file", "is not the path of a file");
            }
            file.map(|path| PasswordSource::File(folder.join(path)))
        }
        ["password_command"] => command_line(section, command, folder),
        ["password_credential"] => credential_name(section, credential),
        ["password"] => inline_password(section, inline),
        [.., second] => {
            let all = given.join(", ");
            section.wrong(second, format!("more than one source of the password ({all}); give exactly one"));
            None
        }
    };
    let place = section.place(given.first().copied().unwrap_or("name"));
    (source, place)
}

fn command_line(
    section: &mut Section<'_, '_>,
    words: Option<Vec<Spanned<String>>>,
    folder: &Path,
) -> Option<PasswordSource> {
    let mut argv: Vec<String> = words?.into_iter().map(Spanned::into_inner).collect();
    if argv.first().is_none_or(String::is_empty) || argv.iter().any(|word| word.contains('\0')) {
        section.wrong("password_command", "names no program; write [\"program\", \"argument\", …]");
        return None;
    }
    // As a shell would: a bare word is looked for in PATH, a path is a path.
    if argv[0].contains('/')
        && let Some(path) = folder.join(&argv[0]).to_str()
    {
        argv[0] = path.to_owned();
    }
    Some(PasswordSource::Command(argv))
}

fn credential_name(section: &mut Section<'_, '_>, name: Option<String>) -> Option<PasswordSource> {
    let name = name?;
    let plain = !name.is_empty() && !name.contains(['/', '\0']) && !matches!(name.as_str(), "." | "..");
    if !plain {
        section.wrong("password_credential", "is not the name of a systemd credential");
        return None;
    }
    Some(PasswordSource::Credential(name))
}

fn inline_password(section: &mut Section<'_, '_>, password: Option<SecretString>) -> Option<PasswordSource> {
    use secrecy::ExposeSecret;
    let password = password?;
    let text = password.expose_secret();
    if text.is_empty() || text.contains(['\0', '\r', '\n']) {
        section.wrong("password", "is not a line of text");
        return None;
    }
    Some(PasswordSource::Inline(password))
}

fn globs(section: &mut Section<'_, '_>, key: &'static str) -> Option<Vec<String>> {
    let globs = section.texts(key)?;
    for glob in &globs {
        if let Err(error) = FolderFilter::new(std::slice::from_ref(glob.get_ref()), &[]) {
            let message = format!("{}: {error}", section.key(key));
            section.problems().push(Problem::at(glob.span(), message));
        }
    }
    Some(globs.into_iter().map(Spanned::into_inner).collect())
}

fn size(section: &mut Section<'_, '_>, key: &'static str) -> Option<u64> {
    let text = section.text(key)?;
    match parse_size(&text) {
        Ok(bytes) => Some(bytes),
        Err(problem) => {
            section.wrong(key, problem);
            None
        }
    }
}
