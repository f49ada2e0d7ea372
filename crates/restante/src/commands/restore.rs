//! `restore`: mail given back to an IMAP server, and proven to be there.
//!
//! This file puts the job together: what of the archive (as `export` does), where to (`target`), with
//! which password (`password`). The engine does the work, shows the target before it changes anything,
//! and proves what it did; its report decides how the command ends. Nothing is remembered here: a
//! restore that was cut off is gone on with by the same command, which looks at the target first.

mod target;

use std::path::Path;

use archive::{AccountLock, Archive, When};
use remote::{Credentials, Endpoint};
use sync::{FolderFilter, RestoreJob, RestoreLimits, RestoreOutcome, RestoreReport, SystemClock, Verify};

use super::stop::listen_and_say;
use super::target::NoJob;
use super::{Context, known_account, moment, password, read_archive};
use crate::cli::{Proof, Restore};
use crate::config::{Account, Config, PasswordSource};
use crate::exit::{Exit, Failure};
use crate::output::restore_progress::{Announcement, Watcher};
use crate::output::{json, restore_report, stdout};
use target::{Place, Target};

const STOPPING: &str =
    "asked to stop: ending in good order; the same command goes on later; once more ends at once";

pub(super) fn run(context: &Context, what: &Restore) -> Result<Exit, Failure> {
    let target =
        Target::parse(&what.to).map_err(|error| Failure::words(Exit::Usage, format!("--to: {error}")))?;
    let filter = FolderFilter::new(&what.part.folder, &what.part.exclude)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let source = password::named(what.password_file.as_deref(), what.password_command.as_deref())?;
    let config = context.reading_config()?;
    let door = Door::of(&config, target, what.tls_ca_file.as_deref(), source)?;
    let archive = read_archive(&config)?;
    let when = when(&archive, what)?;
    let owners = door.owners(&config);
    let _locks = lock(&config, &door, &owners, what.dry_run)?;
    let credentials = door.credentials(context)?;
    let stop = listen_and_say(&context.screen, STOPPING)
        .map_err(|error| Failure::words(Exit::Failed, format!("cannot listen for signals: {error}")))?;
    let announcement =
        Announcement { is_source: owners.contains(&what.account.as_str()), dry_run: what.dry_run };
    let job = job(what, filter, when, door, credentials);
    let watcher = Watcher::new(&context.screen, (!context.global.quiet).then_some(announcement));
    let report = sync::restore(&archive, &job, &SystemClock::default(), &watcher, &stop);
    drop(watcher);
    let exit = exit(&report);
    write(context, &report, stop.requested(), exit)?;
    Ok(exit)
}

/// The way to a target: where it is, who logs in, and where the password comes from.
struct Door<'c> {
    endpoint: Endpoint,
    user: String,
    /// `None`: a person is asked.
    password: Option<PasswordSource>,
    limits: RestoreLimits,
    /// The account of the configuration, where it is one.
    account: Option<&'c Account>,
}

impl<'c> Door<'c> {
    /// What the command line says comes before what the configuration says.
    fn of(
        config: &'c Config,
        target: Target,
        authorities: Option<&Path>,
        password: Option<PasswordSource>,
    ) -> Result<Self, Failure> {
        let mut door = match target {
            Target::Url(place) => Self::to(place, password),
            Target::Account(name) => Self::to_account(config, &name, password)?,
        };
        let configured = door.account.and_then(|account| account.tls_ca_file.as_deref());
        if let Some(path) = authorities.or(configured) {
            let from = path.display().to_string();
            let read =
                std::fs::read(path).map_err(|source| NoJob::Authorities { path: from.clone(), source });
            door.endpoint.extra_authorities = read.map_err(|error| Failure::new(Exit::Usage, error))?;
            door.endpoint.extra_authorities_from = from;
        }
        Ok(door)
    }

    fn to(place: Place, password: Option<PasswordSource>) -> Self {
        let (endpoint, user) = (place.endpoint(), place.user);
        Self { endpoint, user, password, limits: RestoreLimits::default(), account: None }
    }

    fn to_account(config: &'c Config, name: &str, password: Option<PasswordSource>) -> Result<Self, Failure> {
        let Some(account) = config.account(name) else {
            let known: Vec<&str> = config.accounts.iter().map(|account| account.name.as_str()).collect();
            let message = format!("--to: there is no account \"{name}\" in {}", config.file.display());
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Failure::words(Exit::Usage, message)
                .help(&format!("it has: {known}; another mailbox is named by a URL: imaps://USER@HOST")));
        };
        if account.protocol.is_pop3() {
            let message =
                format!("--to: account \"{name}\" is of POP3, over which no mail can be given back");
            return Err(
                Failure::words(Exit::Usage, message).help("name its IMAP server by a URL: imaps://USER@HOST")
            );
        }
        if password.is_none() {
            config.check_secrets(&[account])?;
        }
        let endpoint = Endpoint {
            host: account.host.clone(),
            port: account.port,
            security: account.tls,
            extra_authorities: Vec::new(),
            extra_authorities_from: String::new(),
        };
        let limits = RestoreLimits {
            patience: account.limits.patience.clone(),
            remote: account.limits.remote.clone(),
            ..RestoreLimits::default()
        };
        let password = password.unwrap_or_else(|| account.password.clone());
        Ok(Self {
            endpoint,
            user: account.user.clone(),
            password: Some(password),
            limits,
            account: Some(account),
        })
    }

    /// The accounts of the configuration whose mailbox this is: a pull of them must not run meanwhile.
    fn owners<'a>(&self, config: &'a Config) -> Vec<&'a str> {
        let is_same = |account: &&Account| {
            account.host.eq_ignore_ascii_case(&self.endpoint.host) && account.user == self.user
        };
        config.accounts.iter().filter(is_same).map(|account| account.name.as_str()).collect()
    }

    fn credentials(&self, context: &Context) -> Result<Credentials, Failure> {
        let password = match &self.password {
            Some(source) => source.reveal().map_err(|error| Failure::new(Exit::Usage, error))?,
            None => {
                let whose = format!("{} on {}", self.user, self.endpoint.host);
                password::asked(&context.screen, &whose)?
            }
        };
        Ok(Credentials { user: self.user.clone(), password })
    }
}

/// Keeps runs and other restores away from the target's mailbox, also where no account of the
/// configuration is it.
fn lock(
    config: &Config,
    door: &Door<'_>,
    owners: &[&str],
    dry_run: bool,
) -> Result<Vec<AccountLock>, Failure> {
    if dry_run {
        return Ok(Vec::new());
    }
    let mailbox = format!("{}@{}", door.user, door.endpoint.host.to_ascii_lowercase());
    let names = owners.iter().copied().chain([mailbox.as_str()]);
    let take = |name| {
        let lock = AccountLock::try_take(&config.archive.path, name)?;
        if let Some(warning) = lock.warning() {
            tracing::warn!("{warning}");
        }
        Ok(lock)
    };
    names.map(take).collect()
}

/// The moment that is wanted; also sees that the archive has the account.
fn when(archive: &Archive, what: &Restore) -> Result<When, Failure> {
    let view = archive.view();
    let account = known_account(&view, &what.account)?;
    moment::when(&view, &account, what.part.as_of.as_deref(), what.part.deleted)
}

fn job(
    what: &Restore,
    filter: FolderFilter,
    when: When,
    door: Door<'_>,
    credentials: Credentials,
) -> RestoreJob {
    RestoreJob {
        account: what.account.clone(),
        endpoint: door.endpoint,
        credentials,
        filter,
        when,
        only: None,
        prefix: what.prefix.clone(),
        verify: match what.verify {
            _ if what.no_verify => Verify::Off,
            Proof::Headers => Verify::Headers,
            Proof::Full => Verify::Full,
        },
        keep_flags: what.keep_flags,
        dry_run: what.dry_run,
        connections: usize::from(what.connections),
        limits: door.limits,
    }
}

/// How a restore ends for a shell.
pub(super) fn exit(report: &RestoreReport) -> Exit {
    let totals = &report.totals;
    match report.outcome {
        _ if report.met_damage() => Exit::Damaged,
        RestoreOutcome::Failed => Exit::Failed,
        RestoreOutcome::Proven => Exit::Done,
        RestoreOutcome::Planned if totals.already_there + totals.added == totals.asked => Exit::Done,
        RestoreOutcome::Planned | RestoreOutcome::Partial | RestoreOutcome::Unproven => Exit::Partial,
    }
}

fn write(context: &Context, report: &RestoreReport, stopped: bool, exit: Exit) -> Result<(), Failure> {
    let mut out = stdout();
    if context.global.json {
        return Ok(json::write(&mut out, report)?);
    }
    if !context.global.quiet || exit != Exit::Done {
        restore_report::write(&mut out, report, stopped)?;
    }
    Ok(std::io::Write::flush(&mut out)?)
}

#[cfg(test)]
mod tests {
    use sync::{FolderReport, Refused, RestoreTotals, TargetReport};

    use super::*;

    fn report(outcome: RestoreOutcome, folder: FolderReport) -> RestoreReport {
        let folders = vec![folder];
        RestoreReport {
            account: "work".into(),
            target: TargetReport::default(),
            started: String::new(),
            finished: String::new(),
            outcome,
            verify: "headers",
            error: None,
            warnings: Vec::new(),
            totals: RestoreTotals::of(&folders),
            folders,
        }
    }

    #[test]
    fn the_exit_status_tells_proven_from_part_from_nothing_from_damage() {
        let folder = FolderReport { asked: 3, already_there: 1, added: 2, ..FolderReport::default() };
        let refused = |damaged| FolderReport {
            added: 1,
            refused: vec![Refused { id: String::new(), uid: 1, why: String::new(), damaged }],
            ..folder.clone()
        };
        let table = [
            (RestoreOutcome::Proven, folder.clone(), Exit::Done),
            (RestoreOutcome::Planned, folder.clone(), Exit::Done),
            (RestoreOutcome::Planned, refused(false), Exit::Partial),
            (RestoreOutcome::Partial, refused(false), Exit::Partial),
            (RestoreOutcome::Unproven, folder.clone(), Exit::Partial),
            (RestoreOutcome::Failed, folder.clone(), Exit::Failed),
            (RestoreOutcome::Partial, refused(true), Exit::Damaged),
            (RestoreOutcome::Planned, refused(true), Exit::Damaged),
        ];
        for (outcome, folder, expected) in table {
            assert_eq!(exit(&report(outcome, folder)), expected, "{outcome:?}");
        }
    }

    fn config() -> Config {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("restante.toml");
        let text = "[archive]\npath = \"a\"\n\
            [[account]]\nname = \"work\"\nhost = \"mail.example.org\"\nuser = \"anna\"\npassword_credential = \"x\"\n\
            tls = \"starttls\"\n\
            [[account]]\nname = \"again\"\nhost = \"MAIL.example.org\"\nuser = \"anna\"\npassword_credential = \"x\"\n\
            [[account]]\nname = \"other\"\nhost = \"mail.example.org\"\nuser = \"berta\"\npassword_credential = \"x\"\n\
            [[account]]\nname = \"old\"\nprotocol = \"pop3\"\nhost = \"pop.example.org\"\nuser = \"anna\"\n\
            password_credential = \"x\"\n";
        std::fs::write(&file, text).expect("the folder is ours");
        Config::load(Some(&file)).expect("it is right")
    }

    fn door<'c>(config: &'c Config, to: &str) -> Result<Door<'c>, Failure> {
        Door::of(config, Target::parse(to).expect("a target"), None, None)
    }

    #[test]
    fn a_target_is_an_account_of_the_configuration_or_a_url() {
        let config = config();
        let work = door(&config, "work").expect("it is configured");
        assert_eq!((work.endpoint.port, work.user.as_str(), work.password.is_some()), (143, "anna", true));
        let url = door(&config, "imaps://carl@mail.example.org").expect("a URL");
        assert_eq!((url.endpoint.port, url.user.as_str(), url.password.is_some()), (993, "carl", false));
        for (to, words) in [("wrk", "work, again, other, old"), ("old", "POP3")] {
            let failure = door(&config, to).map(drop).expect_err(to);
            let said = failure.reports.iter().map(|report| format!("{report:?}")).collect::<String>();
            assert_eq!(failure.exit, Exit::Usage);
            assert!(said.contains(words), "{said}");
        }
    }

    #[test]
    fn r17_all_accounts_that_are_the_target_s_mailbox_are_its_owners() {
        let config = config();
        for (to, expected) in [
            ("work", &["work", "again"][..]),
            ("imaps://anna@Mail.Example.Org:993", &["work", "again"]),
            ("other", &["other"]),
            ("imaps://anna@elsewhere.example.org", &[]),
        ] {
            assert_eq!(door(&config, to).expect("a target").owners(&config), expected, "{to}");
        }
    }
}
