//! The manual page, made from the command line: packaging/restante.1.
//!
//! The test below fails when the page in the tree is not what the command line says;
//! `RESTANTE_WRITE_MANUAL=1 cargo test -p restante manual` writes it anew.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::Cli;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../packaging/restante.1");

const EXIT_STATUS: [(&str, &str); 6] = [
    ("0", "All done, all proven."),
    ("1", "It failed as a whole: the archive cannot be opened, or no account could be reached."),
    ("2", "Usage or configuration is wrong; nothing was started."),
    (
        "3",
        "Done in part: some account, folder or message failed; the ledger says which. Also when so much \
           has vanished from a server that a person should look.",
    ),
    ("4", "The archive is damaged."),
    ("75", "Another restante holds the archive; try again later."),
];

const FILES: [(&str, &str); 3] = [
    ("/etc/restante/restante.toml", "The configuration, unless --config names another file."),
    ("$XDG_CONFIG_HOME/restante/restante.toml", "The configuration where there is none in /etc."),
    (
        "$STATE_DIRECTORY/archives.json",
        "Which archive belongs to which path, and how far it was; without STATE_DIRECTORY in \
         $XDG_STATE_HOME/restante, else in ~/.local/state/restante.",
    ),
];

const ENVIRONMENT: [(&str, &str); 3] = [
    ("CREDENTIALS_DIRECTORY", "Where password_credential is looked for; systemd sets it."),
    ("NO_COLOR", "When set, no colours are used."),
    ("RUST_LOG", "What is logged, like debug or restante=debug,warn, in place of --quiet and --verbose."),
];

/// The whole page: one, with every command in it.
fn page() -> io::Result<Vec<u8>> {
    let mut command = Cli::command().name("restante");
    command.build();
    let man = Man::new(command.clone()).manual("Mail backup").source("restante");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis(&command).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    commands(&command, &mut page)?;
    list("EXIT STATUS", &EXIT_STATUS).to_writer(&mut page)?;
    list("FILES", &FILES).to_writer(&mut page)?;
    list("ENVIRONMENT", &ENVIRONMENT).to_writer(&mut page)?;
    Ok(page)
}

fn synopsis(command: &clap::Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold("restante"), roman(" [options] "), bold("--run-now"), roman(" [ACCOUNT]...")]);
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        roff.control("br", []);
        roff.text([bold("restante"), roman(" [options] "), bold(sub.get_name()), roman(arguments(sub))]);
    }
    roff
}

/// The arguments of a command, as its usage line names them.
fn arguments(sub: &clap::Command) -> String {
    let usage = sub.clone().render_usage().to_string();
    let after = usage.split_once(sub.get_name()).map_or("", |(_, after)| after);
    after.trim_end().to_owned()
}

fn commands(command: &clap::Command, page: &mut Vec<u8>) -> io::Result<()> {
    writeln!(page, ".SH COMMANDS")?;
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        let mut roff = Roff::new();
        roff.control("SS", [sub.get_name()]);
        roff.text([roman(sub.get_about().map(ToString::to_string).unwrap_or_default())]);
        for argument in sub.get_arguments().filter(|argument| !argument.is_global_set()) {
            if argument.is_hide_set() || argument.get_id() == "help" {
                continue;
            }
            roff.control("TP", []);
            roff.text([bold(argument.to_string())]);
            roff.text([roman(argument.get_help().map(ToString::to_string).unwrap_or_default())]);
        }
        roff.to_writer(page)?;
    }
    Ok(())
}

fn list(title: &str, entries: &[(&str, &str)]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (name, text) in entries {
        roff.control("TP", []);
        roff.text([bold(*name)]);
        roff.text([roman(*text)]);
    }
    roff
}

#[test]
fn the_manual_page_says_what_the_command_line_does() -> io::Result<()> {
    let page = String::from_utf8(page()?).expect("the page is text");
    let path = Path::new(PAGE);
    if std::env::var_os("RESTANTE_WRITE_MANUAL").is_some() {
        return std::fs::write(path, page);
    }
    let written = std::fs::read_to_string(path)?;
    assert!(
        written == page,
        "RESTANTE_WRITE_MANUAL=1 cargo test -p restante manual writes packaging/restante.1 anew"
    );
    Ok(())
}
