//! What can be asked of the program, one file a command.
//!
//! A command reads the configuration, does its work, writes its data to standard output (a table, or
//! with `--json` one document) and ends with an [`Exit`], or with a [`Failure`] that says why not.

mod account;
mod account_run;
mod ack;
mod alarm;
mod alert_test;
mod check_config;
mod compact;
mod daemon;
mod demo;
mod drill;
mod embedded;
mod export;
mod history;
mod init;
mod list;
mod metrics;
mod moment;
mod password;
mod place;
mod prompt;
mod rebuild;
mod remarks;
mod repair;
mod restore;
mod run_now;
mod show;
mod status;
mod stop;
mod target;
mod verify;

use archive::{AccountInfo, Archive, Damage, View};

use crate::cli::{Command, Global};
use crate::config::{Config, ConfigError};
use crate::exit::{Exit, Failure};
use crate::output::screen::Screen;

/// What every command is given.
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) screen: Screen,
}

/// Does what was asked for.
///
/// # Errors
/// When it could not be done.
pub(crate) fn run(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::RunNow { accounts } => run_now::run(context, &accounts),
        Command::Account(what) => account::run(context, &what),
        Command::Daemon => daemon::run(context),
        Command::List(what) => list::run(context, &what),
        Command::Show { id } => show::run(context, &id),
        Command::History(what) => history::run(context, &what),
        Command::Export(what) => export::run(context, &what),
        Command::Restore(what) => restore::run(context, &what),
        Command::Drill(what) => drill::run(context, &what),
        Command::Status { sizes } => status::run(context, sizes),
        Command::Ack { account } => ack::run(context, &account),
        Command::Verify { quick, accounts } => verify::run(context, quick, &accounts),
        Command::Compact { dry_run, level } => compact::run(context, dry_run, level),
        Command::Rebuild => rebuild::run(context),
        Command::Repair { dry_run } => repair::run(context, dry_run),
        Command::CheckConfig { connect } => check_config::run(context, connect),
        Command::AlertTest => alert_test::run(context),
        Command::Demo { keep } => demo::run(context, keep),
        Command::Init { accept } => init::run(context, accept),
    }
}

impl Context {
    /// The configuration, for a command that cannot do without.
    fn config(&self) -> Result<Config, Failure> {
        if self.global.archive.is_some() {
            let message =
                "--archive is for commands that only read an archive; this one needs a configuration";
            return Err(Failure::words(Exit::Usage, message));
        }
        Ok(Config::load(self.global.config.as_deref())?)
    }

    /// The configuration, for a command that only reads an archive: on the day when nothing is left
    /// but the disk, `--archive` alone will do (O14).
    fn reading_config(&self) -> Result<Config, Failure> {
        match (&self.global.archive, &self.global.config) {
            (None, named) => Config::load(named.as_deref()).map_err(|error| {
                let missing = matches!(error, ConfigError::Missing { .. });
                let failure = Failure::from(error);
                if missing {
                    failure.help("--archive DIR reads an archive without a configuration")
                } else {
                    failure
                }
            }),
            (Some(archive), None) => Ok(Config::of_archive(archive)),
            (Some(archive), Some(named)) => {
                let mut config = Config::load(Some(named))?;
                config.archive.path.clone_from(archive);
                Ok(config)
            }
        }
    }

    /// Says something to a person, unless they wished not to be told.
    fn say(&self, line: &str) {
        if !self.global.quiet {
            self.screen.say(line);
        }
    }
}

impl From<archive::Error> for Failure {
    fn from(error: archive::Error) -> Self {
        let exit = match &error {
            archive::Error::Locked { .. }
            | archive::Error::Compacting { .. }
            | archive::Error::AccountBusy { .. }
            | archive::Error::OwnerChanged { .. } => Exit::Busy,
            error if error.is_damage() => Exit::Damaged,
            _ => Exit::Failed,
        };
        Self::words(exit, error.in_full())
    }
}

/// Opens the archive to read in it; also one that may not be written to.
fn read_archive(config: &Config) -> Result<Archive, Failure> {
    let archive = Archive::open(&config.archive.path)?;
    warn_of_damage(archive.damage());
    Ok(archive)
}

/// Says what was met while an archive was opened; `verify` says what it means.
fn warn_of_damage(damage: &[Damage]) {
    for Damage { pack, offset, what, .. } in damage {
        tracing::error!(
            "{pack} is damaged at byte {offset}: {what}; `restante verify` says which messages are hit, \
             `restante repair` what can be done"
        );
    }
}

/// The account of this name in the archive.
fn known_account(view: &View<'_>, name: &str) -> Result<AccountInfo, Failure> {
    view.account(name)?.ok_or_else(|| {
        Failure::words(Exit::Failed, format!("the archive holds no account \"{name}\""))
            .help("`restante list` names the accounts that it holds")
    })
}
