//! `account`: the accounts of the configuration.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// What is done with accounts.
#[derive(Debug, Subcommand)]
pub(crate) enum Account {
    /// Add a mailbox to the configuration: find its servers, log in, show the folders, and write
    /// account and password down
    ///
    /// On a terminal it asks for what is not given. The configuration keeps every byte that it has, and
    /// is created where there is none; --archive DIR then says where the archive is to be. Nothing is
    /// written before a login has worked, unless --no-test is given.
    Add(Box<Add>),
}

/// The account that is added.
#[derive(Debug, Args)]
pub(crate) struct Add {
    /// The mail address; its servers are looked for by DNS and in what its provider publishes
    #[arg(value_name = "ADDRESS")]
    pub(crate) address: Option<String>,
    /// The same as ADDRESS, for scripts
    #[arg(long = "address", value_name = "ADDRESS", conflicts_with = "address")]
    pub(crate) named_address: Option<String>,
    /// The account's name in configuration and archive [default: made of the address]
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// The user name of the login [default: what the provider says, else the address]
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// The server; nothing is looked for then
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// The server's port [default: the usual one]
    #[arg(long, value_name = "PORT", requires = "host", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: Option<u16>,
    /// How the line to the server becomes private; none: this machine only
    #[arg(long, value_enum, value_name = "HOW", requires = "host")]
    pub(crate) tls: Option<Tls>,
    /// What is spoken with the server [default: imap, pop3 where there is no IMAP]
    #[arg(long, value_enum, value_name = "PROTOCOL")]
    pub(crate) protocol: Option<Spoken>,
    /// Authorities that are trusted besides the system's, as PEM; the configuration refers to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) tls_ca_file: Option<PathBuf>,
    /// The password is the first line of this file, which nobody else may read; the configuration
    /// refers to it
    #[arg(long, value_name = "FILE", group = "source")]
    pub(crate) password_file: Option<PathBuf>,
    /// The password is what this command prints, now and in each run; it is divided at blanks, '…', "…"
    /// and \ group, and no shell reads it
    #[arg(long, value_name = "COMMAND", group = "source")]
    pub(crate) password_command: Option<String>,
    /// Read the password from standard input, and write it to NAME.password beside the configuration
    #[arg(long, group = "source")]
    pub(crate) password_stdin: bool,
    /// Ask nothing: log in to servers outside of the address's domain, too, and write
    #[arg(long, short = 'y')]
    pub(crate) yes: bool,
    /// Ask neither DNS nor the web for servers; try the usual names in the address's domain
    #[arg(long, conflicts_with = "host")]
    pub(crate) no_lookup: bool,
    /// Write without a login; needs a server that is given or published
    #[arg(long)]
    pub(crate) no_test: bool,
    /// Write nothing; print what would be added to the configuration
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// How a line becomes private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tls {
    /// From the first byte
    Implicit,
    /// By STARTTLS or STLS
    Starttls,
    /// Never
    None,
}

/// What is spoken with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Spoken {
    /// All folders
    Imap,
    /// The INBOX alone
    Pop3,
}
