//! Who is told of trouble, and how: `[alerts]`, with `[[alerts.mail]]`, `[[alerts.webhook]]` and
//! `[[alerts.command]]`; and what of it an account may say for itself.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::daemon::Schedule;
use lettre::message::Mailbox;
use remote::Security;
use toml::Spanned;
use toml::de::DeTable;

use super::account::{is_loopback, password, tls};
use super::document::{Problem, Section};
use super::host;
use super::secret::PasswordSource;
use super::size::parse_duration;
use super::web::WebUrl;

const COLLECT: Duration = Duration::from_secs(120);
const LONGEST_COLLECT: Duration = Duration::from_secs(3_600);
const SUMMARY_AT: &str = "07:00";
/// More ways to tell one person something are a mistake.
const MAX_CHANNELS: usize = 32;
const MAX_RECIPIENTS: usize = 64;

/// The section `[alerts]`.
#[derive(Debug, Clone)]
pub(crate) struct AlertsConfig {
    /// So long others with the same trouble are waited for.
    pub(crate) collect: Duration,
    /// For accounts that say nothing else; `None`: by their schedules.
    pub(crate) stale_after: Option<Duration>,
    /// Servers' words may be told.
    pub(crate) details: bool,
    /// Asked for when all accounts are good.
    pub(crate) ping_url: Option<WebUrl>,
    /// Failures are told to the ping addresses, with `/fail`.
    pub(crate) ping_failures: bool,
    /// When summaries are mailed.
    pub(crate) summary: Option<Schedule>,
    pub(crate) mail: Vec<MailConfig>,
    pub(crate) webhooks: Vec<WebhookConfig>,
    /// Programs with their arguments.
    pub(crate) commands: Vec<Vec<String>>,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        Self {
            collect: COLLECT,
            stale_after: None,
            details: false,
            ping_url: None,
            ping_failures: false,
            summary: None,
            mail: Vec::new(),
            webhooks: Vec::new(),
            commands: Vec::new(),
        }
    }
}

/// One `[[alerts.mail]]`.
#[derive(Debug, Clone)]
pub(crate) struct MailConfig {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: Security,
    pub(crate) tls_ca_file: Option<PathBuf>,
    /// Who logs in, where the server wants that.
    pub(crate) login: Option<(String, PasswordSource)>,
    pub(crate) from: Mailbox,
    pub(crate) to: Vec<Mailbox>,
    pub(super) places: Places,
}

/// One `[[alerts.webhook]]`.
#[derive(Debug, Clone)]
pub(crate) struct WebhookConfig {
    pub(crate) url: WebUrl,
    pub(crate) tls_ca_file: Option<PathBuf>,
    /// A header's name, and where its value comes from.
    pub(crate) header: Option<(String, PasswordSource)>,
    pub(super) places: Places,
}

/// Places in the file that are needed after reading.
#[derive(Debug, Clone)]
pub(super) struct Places {
    pub(super) password: Range<usize>,
    pub(super) tls_ca_file: Range<usize>,
}

impl AlertsConfig {
    /// Reads the section; what it does not say is as usual.
    pub(super) fn read(mut section: Section<'_, '_>, folder: &Path) -> Self {
        let collect = match duration(&mut section, "collect") {
            Some(collect) if collect > LONGEST_COLLECT => {
                section.wrong("collect", "is longer than an hour");
                COLLECT
            }
            read => read.unwrap_or(COLLECT),
        };
        let mut read = Self {
            collect,
            stale_after: stale_after(&mut section),
            details: section.flag("details"),
            ping_url: ping_url(&mut section),
            ping_failures: section.flag("ping_failures"),
            summary: summary(&mut section),
            ..Self::default()
        };
        for (number, (table, span)) in (1..).zip(section.tables("mail")) {
            read.mail.extend(mail(number, table, span, folder, section.problems()));
        }
        for (number, (table, span)) in (1..).zip(section.tables("webhook")) {
            read.webhooks.extend(webhook(number, table, span, folder, section.problems()));
        }
        for (number, (table, span)) in (1..).zip(section.tables("command")) {
            read.commands.extend(command(number, table, span, folder, section.problems()));
        }
        if read.summary.is_some() && !section.has("mail") {
            section.wrong("summary", "goes by mail, and there is no [[alerts.mail]]");
        }
        for key in ["mail", "webhook", "command"] {
            let count = [read.mail.len(), read.webhooks.len(), read.commands.len()].into_iter().max();
            if count > Some(MAX_CHANNELS) && section.has(key) {
                section.wrong(key, format!("more than {MAX_CHANNELS} of a kind"));
            }
        }
        section.close();
        read
    }

    /// Whether there is anybody to be told anything.
    pub(crate) fn has_channels(&self) -> bool {
        !(self.mail.is_empty() && self.webhooks.is_empty() && self.commands.is_empty())
    }
}

fn duration(section: &mut Section<'_, '_>, key: &'static str) -> Option<Duration> {
    match parse_duration(&section.text(key)?) {
        Ok(duration) => Some(duration),
        Err(problem) => {
            section.wrong(key, problem);
            None
        }
    }
}

/// After how much time without a good run an account is stale.
pub(super) fn stale_after(section: &mut Section<'_, '_>) -> Option<Duration> {
    let span = duration(section, "stale_after")?;
    if span < Duration::from_secs(60) {
        section.wrong("stale_after", "is shorter than a minute");
        return None;
    }
    Some(span)
}

/// What is asked for when a run was good.
pub(super) fn ping_url(section: &mut Section<'_, '_>) -> Option<WebUrl> {
    url(section, "ping_url")
}

fn url(section: &mut Section<'_, '_>, key: &'static str) -> Option<WebUrl> {
    match WebUrl::parse(&section.text(key)?) {
        Ok(url) => Some(url),
        Err(problem) => {
            section.wrong(key, problem);
            None
        }
    }
}

fn summary(section: &mut Section<'_, '_>) -> Option<Schedule> {
    let days = section.text("summary");
    let at = section.text("summary_at").unwrap_or_else(|| SUMMARY_AT.to_owned());
    let time = at.split_once(':').and_then(|(hour, minute)| {
        let number = |text: &str, most: u8| text.parse().ok().filter(|number: &u8| *number <= most);
        Some((number(hour, 23)?, number(minute, 59)?))
    });
    let Some((hour, minute)) = time else {
        section.wrong("summary_at", "is not a time of day like \"07:00\"");
        return None;
    };
    let days = match days.as_deref() {
        None | Some("never") => return None,
        Some("daily") => "*",
        Some("weekly") => "1",
        Some(_) => {
            section.wrong("summary", "must be \"daily\", \"weekly\" or \"never\"");
            return None;
        }
    };
    Schedule::parse(&format!("{minute} {hour} * * {days}"), None).ok()
}

/// Whether a key for a password is there, under any of its names.
fn has_password(section: &Section<'_, '_>) -> bool {
    ["password_file", "password_command", "password_credential", "password"]
        .into_iter()
        .any(|key| section.has(key))
}

fn mail(
    number: usize,
    table: &DeTable<'_>,
    span: Range<usize>,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Option<MailConfig> {
    let mut section = Section::new(format!("alerts.mail {number}: "), table, span, problems);
    let host = section.required_text("host").and_then(|text| match host::parse(&text) {
        Ok(host) => Some(host),
        Err(error) => {
            section.wrong("host", error);
            None
        }
    });
    let tls = tls(&mut section);
    if tls == Some(Security::Plain) && !host.as_deref().is_none_or(is_loopback) {
        section.wrong("tls", "\"none\" is for a server on this machine alone");
    }
    let port = port(&mut section, tls);
    let tls_ca_file = section.text("tls_ca_file").map(|path| folder.join(path));
    let user = if section.has("user") { section.required_text("user") } else { None };
    let (login, password_place) = match (user, has_password(&section)) {
        (Some(user), _) => {
            let (password, place) = password(&mut section, folder);
            (password.map(|password| (user, password)), place)
        }
        (None, true) => {
            let place = password(&mut section, folder).1;
            section.wrong("user", "is missing, though there is a password");
            (None, place)
        }
        (None, false) => (None, section.place("host")),
    };
    let from = section.required_text("from").and_then(|text| {
        let address = mailbox(&text);
        if address.is_none() {
            section.wrong("from", NO_ADDRESS);
        }
        address
    });
    let to = recipients(&mut section);
    let places = Places { password: password_place, tls_ca_file: section.place("tls_ca_file") };
    section.close();
    Some(MailConfig { host: host?, port: port?, tls: tls?, tls_ca_file, login, from: from?, to: to?, places })
}

const NO_ADDRESS: &str = "is not an address like \"restante@example.org\"";

fn mailbox(text: &str) -> Option<Mailbox> {
    text.parse().ok().filter(|_| !text.contains(char::is_control))
}

fn recipients(section: &mut Section<'_, '_>) -> Option<Vec<Mailbox>> {
    if !section.has("to") {
        section.wrong("to", "is missing");
    }
    let texts = section.texts("to")?;
    if texts.is_empty() || texts.len() > MAX_RECIPIENTS {
        section.wrong("to", format!("must name 1 to {MAX_RECIPIENTS} addresses"));
        return None;
    }
    let mut addresses = Vec::with_capacity(texts.len());
    for text in texts {
        match mailbox(text.get_ref()) {
            Some(address) => addresses.push(address),
            None => {
                let message = format!("{}: {NO_ADDRESS}", section.key("to"));
                section.problems().push(Problem::at(text.span(), message));
            }
        }
    }
    Some(addresses)
}

fn port(section: &mut Section<'_, '_>, tls: Option<Security>) -> Option<u16> {
    let number = section.number("port");
    if !section.has("port") {
        return Some(match tls? {
            Security::Implicit => 465,
            Security::StartTls => 587,
            Security::Plain => 25,
        });
    }
    let port = u16::try_from(number?).ok().filter(|&port| port > 0);
    if port.is_none() {
        section.wrong("port", "must be a number from 1 to 65535");
    }
    port
}

fn webhook(
    number: usize,
    table: &DeTable<'_>,
    span: Range<usize>,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Option<WebhookConfig> {
    let mut section = Section::new(format!("alerts.webhook {number}: "), table, span, problems);
    if !section.has("url") {
        section.wrong("url", "is missing");
    }
    let url = url(&mut section, "url");
    let allow_plaintext = section.flag("allow_plaintext");
    if url.as_ref().is_some_and(WebUrl::is_open_to_others) && !allow_plaintext {
        section.wrong_help(
            "url",
            "\"http\" would send what is told in the clear to another host",
            "use \"https\"; if the line is safe all the same, set allow_plaintext = true",
        );
    }
    let tls_ca_file = section.text("tls_ca_file").map(|path| folder.join(path));
    let name = if section.has("header") { section.required_text("header") } else { None };
    if name.as_deref().is_some_and(|name| ureq::http::HeaderName::from_bytes(name.as_bytes()).is_err()) {
        section.wrong("header", "is not the name of a header, like \"Authorization\"");
    }
    let (header, password_place) = match (name, has_password(&section)) {
        (Some(name), _) => {
            let (value, place) = password(&mut section, folder);
            (value.map(|value| (name, value)), place)
        }
        (None, true) => {
            let place = password(&mut section, folder).1;
            section.wrong("header", "is missing, so that nothing says where the password goes");
            (None, place)
        }
        (None, false) => (None, section.place("url")),
    };
    let places = Places { password: password_place, tls_ca_file: section.place("tls_ca_file") };
    section.close();
    Some(WebhookConfig { url: url?, tls_ca_file, header, places })
}

fn command(
    number: usize,
    table: &DeTable<'_>,
    span: Range<usize>,
    folder: &Path,
    problems: &mut Vec<Problem>,
) -> Option<Vec<String>> {
    let mut section = Section::new(format!("alerts.command {number}: "), table, span, problems);
    let words = section.texts("command").unwrap_or_default();
    let mut argv: Vec<String> = words.into_iter().map(Spanned::into_inner).collect();
    if argv.first().is_none_or(String::is_empty) || argv.iter().any(|word| word.contains('\0')) {
        section.wrong("command", "names no program; write [\"program\", \"argument\", …]");
        section.close();
        return None;
    }
    // As a shell would: a bare word is looked for in PATH, a path is a path.
    if argv[0].contains('/')
        && let Some(path) = folder.join(&argv[0]).to_str()
    {
        argv[0] = path.to_owned();
    }
    section.close();
    Some(argv)
}

#[cfg(test)]
mod tests;
