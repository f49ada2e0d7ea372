//! The command line, as people type it. The words here are a contract: scripts and units rely on
//! them. The manual pages and completions in packaging/ are made from this file.

mod account;

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

pub(crate) use account::{Account, Add, Spoken, Tls};

use crate::config::parse_size;

/// A headless backup daemon for mailboxes: pulls mail into a deduplicated local archive that proves
/// what it holds.
#[derive(Debug, Parser)]
#[command(name = "restante", version, disable_help_subcommand = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,

    /// Back up the named accounts (all, if none is named) once, now, in the foreground
    #[arg(long)]
    run_now: bool,

    /// Accounts for --run-now
    #[arg(value_name = "ACCOUNT", requires = "run_now", hide = true)]
    accounts: Vec<String>,

    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct Global {
    /// Configuration file [default: /etc/restante/restante.toml, else
    /// $XDG_CONFIG_HOME/restante/restante.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Read the archive in this folder, with no configuration but what --config names; for commands
    /// that only read an archive, such as list, export, verify and restore
    #[arg(long, global = true, value_name = "DIR")]
    pub(crate) archive: Option<PathBuf>,

    /// Print one JSON document on standard output, and nothing else there
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Say only what went wrong
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Say what is being done
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,

    /// How log lines are written to standard error; under the systemd journal `auto` talks to it
    #[arg(long, global = true, value_enum, default_value_t, value_name = "FORMAT")]
    pub(crate) log_format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// To the systemd journal with its fields when standard error is the journal, else text
    #[default]
    Auto,
    /// One line of text
    Text,
    /// One line of JSON
    Json,
}

/// What is to be done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Back up accounts once; on the command line this is --run-now
    #[command(skip)]
    RunNow {
        /// None: all.
        accounts: Vec<String>,
    },
    /// Work on the accounts of the configuration
    #[command(subcommand)]
    Account(Account),
    /// Back up accounts by their schedules until it is stopped: what the systemd unit starts
    Daemon,
    /// List accounts, the folders of an account, or the messages of a folder, newest first
    List(List),
    /// Show what each run of an account brought, changed and saw vanish, newest first; or the same of one
    /// folder; or the life of one message
    History(History),
    /// Print the exact bytes of one message
    Show {
        /// The message's content hash, or its first hex digits (at least 8)
        #[arg(value_name = "ID")]
        id: String,
    },
    /// Write messages out as files
    Export(Export),
    /// Give mail back to an IMAP server, and prove that it is there
    Restore(Restore),
    /// Practise a restore: give mail back to an embedded server, and prove it byte for byte
    Drill(Drill),
    /// Show per account the last and the next run, and how large the archive is
    Status {
        /// Also tell where the archive's bytes go
        #[arg(long)]
        sizes: bool,
    },
    /// Say that you have looked at the suspicious runs of an account; status shows them until then
    Ack {
        /// The account
        #[arg(value_name = "ACCOUNT")]
        account: String,
    },
    /// Prove that the archive is whole
    Verify {
        /// Check structure and lengths only, without reading and hashing everything
        #[arg(long)]
        quick: bool,
        /// Look at the messages of these accounts only
        #[arg(value_name = "ACCOUNT")]
        accounts: Vec<String>,
    },
    /// Make old packs into fewer and smaller ones, and prove them before the old ones go
    Compact {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
        /// How hard to compress, from 1 to 22; 12 if not given. From 16 on it is slow
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=22))]
        level: Option<i32>,
    },
    /// Make the catalogue again from the packs alone
    Rebuild,
    /// Save what damage has left: record what is lost, so that the next run fetches it again
    Repair {
        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// Read the configuration and say what is wrong, and where
    CheckConfig {
        /// Also log in to every account, without changing anything
        #[arg(long)]
        connect: bool,
    },
    /// Send a test message through every channel of [alerts], and say which took it
    AlertTest,
    /// Show the whole life of a backup in a temporary folder, with an embedded mail server
    Demo {
        /// Keep the temporary folder
        #[arg(long)]
        keep: bool,
    },
    /// Create the archive, or accept the one that is found at its path
    Init {
        /// From now on write to the archive that is found there, although it is not the one that
        /// was there before, or an older state of it
        #[arg(long)]
        accept: bool,
    },
}

/// What `list` lists.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// List the folders of this account
    #[arg(value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// List the messages of this folder
    #[arg(value_name = "FOLDER", requires = "account")]
    pub(crate) folder: Option<String>,
    /// As the mailbox was then: RFC 3339, YYYY-MM-DD for the end of that day, or run:N for the end of
    /// a run
    #[arg(long, value_name = "TIME", requires = "account")]
    pub(crate) as_of: Option<String>,
    /// Also what has vanished from the server since
    #[arg(long, requires = "account")]
    pub(crate) deleted: bool,
}

/// Whose past `history` shows.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// The account
    #[arg(value_name = "ACCOUNT")]
    pub(crate) account: String,
    /// A folder of it, or a message: its content hash or the first hex digits (at least 8)
    #[arg(value_name = "FOLDER|ID")]
    pub(crate) subject: Option<String>,
    /// At most so many runs
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) limit: u32,
}

/// What `export` writes.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// The account whose mail is wanted
    #[arg(value_name = "ACCOUNT")]
    pub(crate) account: String,
    /// Where to write; created if need be, and nothing in it is overwritten
    #[arg(value_name = "DIR")]
    pub(crate) dir: PathBuf,
    /// eml: a file a message; mbox: a file a folder; maildir: one Maildir++ tree
    #[arg(long, value_enum)]
    pub(crate) format: ExportFormat,
    #[command(flatten)]
    pub(crate) part: Part,
}

/// What of an account's mail is wanted; nothing said: its newest state, all folders.
#[derive(Debug, Args)]
pub(crate) struct Part {
    /// Only folders that match; `*` crosses the hierarchy; may be given more than once
    #[arg(long, value_name = "GLOB")]
    pub(crate) folder: Vec<String>,
    /// Not the folders that match; may be given more than once
    #[arg(long, value_name = "GLOB")]
    pub(crate) exclude: Vec<String>,
    /// As the mailbox was then: RFC 3339, YYYY-MM-DD for the end of that day, or run:N for the end of
    /// a run
    #[arg(long, value_name = "TIME")]
    pub(crate) as_of: Option<String>,
    /// Also what has vanished from the server since
    #[arg(long)]
    pub(crate) deleted: bool,
}

/// What `restore` gives back, where, and how.
#[derive(Debug, Args)]
pub(crate) struct Restore {
    /// The account whose mail is wanted, by its name in the archive
    #[arg(value_name = "ACCOUNT")]
    pub(crate) account: String,
    /// Where to: the name of a configured account, or a URL: imaps://USER@HOST[:PORT],
    /// imap+starttls://…, or imap://… (plain: this machine only)
    #[arg(long, value_name = "TARGET")]
    pub(crate) to: String,
    #[command(flatten)]
    pub(crate) part: Part,
    /// Put everything below this folder of the target, INBOX too; levels are divided by `/`
    #[arg(long, value_name = "FOLDER")]
    pub(crate) prefix: Option<String>,
    /// Change nothing; say what would be done
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// How what is there afterwards is proven: headers (sizes, dates, flags and header blocks of all,
    /// bytes of a sample) or full (every byte is read back)
    #[arg(long, value_enum, default_value_t, value_name = "HOW")]
    pub(crate) verify: Proof,
    /// Do not read back what was given; the restore ends as not proven
    #[arg(long, conflicts_with = "verify")]
    pub(crate) no_verify: bool,
    /// Leave the flags of messages that are already there as they are
    #[arg(long)]
    pub(crate) keep_flags: bool,
    /// Use at most so many connections at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub(crate) connections: u8,
    /// The password of the target is the first line of this file, which nobody else may read
    #[arg(long, value_name = "FILE")]
    pub(crate) password_file: Option<PathBuf>,
    /// The password of the target is what this command prints; it is divided at blanks, '…', "…" and \
    /// group, and no shell reads it
    #[arg(long, value_name = "COMMAND", conflicts_with = "password_file")]
    pub(crate) password_command: Option<String>,
    /// Authorities that are trusted besides the system's, as PEM
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca_file: Option<PathBuf>,
}

/// How a restore is proven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Proof {
    /// Sizes, dates, flags and header blocks of all, bytes of a sample
    #[default]
    Headers,
    /// Every byte
    Full,
}

/// What `drill` tries.
#[derive(Debug, Args)]
pub(crate) struct Drill {
    /// The account whose mail is given back for practice [default: all that the archive holds]
    #[arg(value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
    /// How much mail of an account: its newest, its oldest and a random part of each folder
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_size)]
    pub(crate) sample: u64,
    /// All mail, a part after the other
    #[arg(long, conflicts_with_all = ["sample", "seed"])]
    pub(crate) all: bool,
    /// Choose as the drill did that told this number
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
}

/// The kinds of files that `export` writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// One file a message and folder, exact bytes
    Eml,
    /// One Maildir++ tree
    Maildir,
    /// One mboxrd file a folder
    Mbox,
}

impl Cli {
    /// Reads the arguments and says what is to be done.
    ///
    /// # Errors
    /// A usage error, or the help or version that was asked for; both know how to print themselves.
    pub(crate) fn read(
        arguments: impl IntoIterator<Item = std::ffi::OsString>,
    ) -> Result<(Global, Command), clap::Error> {
        let cli = match Self::try_parse_from(arguments) {
            // A word that is no command was taken for an account of --run-now.
            Err(error) if error.kind() == ErrorKind::MissingRequiredArgument => {
                return Err(plain_word(error));
            }
            parsed => parsed?,
        };
        let wrong = |kind, message: &str| Err(Self::command().error(kind, message));
        match (cli.run_now, cli.command) {
            (true, None) => Ok((cli.global, Command::RunNow { accounts: cli.accounts })),
            (false, Some(command)) => Ok((cli.global, command)),
            (true, Some(_)) => wrong(
                ErrorKind::ArgumentConflict,
                "--run-now takes no command; an account that is called like one stands after `--`",
            ),
            (false, None) => wrong(
                ErrorKind::MissingSubcommand,
                "say what to do: --run-now, or a command; `restante --help` names them",
            ),
        }
    }
}

fn plain_word(error: clap::Error) -> clap::Error {
    use clap::error::{ContextKind, ContextValue};
    let missing = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) => missing.iter().any(|name| name == "--run-now"),
        _ => false,
    };
    if missing {
        let message = "no such command; `restante --help` names them";
        return Cli::command().error(ErrorKind::InvalidSubcommand, message);
    }
    error
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    fn read(line: &str) -> Result<(Global, Command), clap::Error> {
        Cli::read(std::iter::once("restante").chain(line.split_whitespace()).map(Into::into))
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn run_now_takes_accounts_wherever_they_stand() {
        for line in [
            "--run-now work home",
            "work --run-now home",
            "--run-now --json work home",
            "--json --run-now work home",
            "--run-now -- work home",
        ] {
            let (_, command) = read(line).unwrap();
            assert!(
                matches!(&command, Command::RunNow { accounts } if accounts == &["work", "home"]),
                "{line}: {command:?}"
            );
        }
        assert!(matches!(read("--run-now").unwrap().1, Command::RunNow { accounts } if accounts.is_empty()));
        let list = read("--run-now -- list").unwrap().1;
        assert!(matches!(list, Command::RunNow { accounts } if accounts == ["list"]));
    }

    #[test]
    fn global_options_stand_before_or_after_the_command() {
        for line in ["--json --config a.toml status", "status --json --config a.toml"] {
            let (global, command) = read(line).unwrap();
            assert!(global.json && matches!(command, Command::Status { sizes: false }));
            assert_eq!(global.config, Some(PathBuf::from("a.toml")));
        }
    }

    #[test]
    fn what_is_no_command_is_a_usage_error() {
        for line in [
            "",
            "daemon work",
            "account",
            "account add a@b.example --address a@b.example",
            "account add a@b.example --port 993",
            "account add a@b.example --host h --port 0",
            "account add a@b.example --host h --tls maybe",
            "account add a@b.example --host h --no-lookup",
            "account add a@b.example --password-stdin --password-file f",
            "account add a@b.example --password-command c --password-file f",
            "restore work",
            "restore work --to home --no-verify --verify=full",
            "restore work --to home --verify=not",
            "restore work --to home --connections 0",
            "restore work --to home --password-file a --password-command b",
            "drill work --all --sample 1MiB",
            "drill work --all --seed 7",
            "drill work --sample much",
            "frobnicate",
            "--run-now list",
            "list --nope",
            "-q -v status",
        ] {
            let error = read(line).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{line}");
        }
        assert!(read("frobnicate").unwrap_err().to_string().contains("no such command"));
        assert_eq!(read("--help").unwrap_err().exit_code(), 0);
        assert_eq!(read("--version").unwrap_err().exit_code(), 0);
    }

    #[test]
    fn every_command_of_the_contract_is_read() {
        for line in [
            "list",
            "list work",
            "list work INBOX",
            "list work --as-of run:7 --deleted",
            "history work",
            "history work INBOX --limit 7",
            "history work 0123abcd",
            "show 0123abcd",
            "export work out --format eml",
            "export work out --format maildir --folder A --folder B --exclude C --as-of 2026-11-23 --deleted",
            "export work out --format mbox",
            "restore work --to home",
            "restore work --to imaps://me%40example.org@mail.example.org:993 --folder A --folder B --exclude C",
            "restore work --to home --as-of 2026-11-23 --deleted --dry-run --prefix Old/Mail --no-verify",
            "restore work --to home --verify full --keep-flags --connections 2 --password-file p --tls-ca-file c",
            "restore work --to home --verify=headers --password-command p --archive /mnt/restante",
            "drill",
            "drill work",
            "drill work --sample 1GiB --seed 7",
            "drill --all",
            "status",
            "ack work",
            "verify",
            "verify --quick work",
            "compact",
            "compact --dry-run --level 19",
            "rebuild",
            "repair",
            "repair --dry-run",
            "check-config --connect",
            "alert-test",
            "demo --keep",
            "init --accept",
        ] {
            assert!(read(line).is_ok(), "{line}");
        }
    }
}
