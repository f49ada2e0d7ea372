//! The manual pages: restante(1) with everything on it, and one page a command, such as
//! restante-restore(1), with what that command alone takes.

use std::io::{self, Write};

use clap::Command;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use super::Files;

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

pub(super) fn pages(restante: &Command) -> io::Result<Files> {
    let mut pages = Files::from([("restante.1".to_owned(), whole(restante)?)]);
    for command in commands(restante) {
        pages.insert(format!("{}.1", page_name(command)), single(command)?);
    }
    Ok(pages)
}

/// All that a person can ask for, in the order of `--help`; of a group of commands its members.
fn commands(command: &Command) -> Vec<&Command> {
    let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
    shown.flat_map(|sub| if sub.has_subcommands() { commands(sub) } else { vec![sub] }).collect()
}

/// The name of a command's page: `restante-account-add`.
fn page_name(command: &Command) -> String {
    full_name(command).replace(' ', "-")
}

/// The words that call a command: `restante account add`.
fn full_name(command: &Command) -> &str {
    command.get_bin_name().unwrap_or(command.get_name())
}

/// The words of a command without the program's: `account add`.
fn short_name(command: &Command) -> &str {
    let name = full_name(command);
    name.strip_prefix("restante ").unwrap_or(name)
}

fn titled(command: Command, title: &str) -> Man {
    Man::new(command).title(title).manual("Mail backup").source("restante")
}

/// restante(1): the options that every command takes, and every command with its own.
fn whole(restante: &Command) -> io::Result<Vec<u8>> {
    let man = titled(restante.clone(), "restante");
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    synopsis(restante).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    writeln!(page, ".SH COMMANDS")?;
    for command in commands(restante) {
        described(command).to_writer(&mut page)?;
    }
    list("EXIT STATUS", &EXIT_STATUS).to_writer(&mut page)?;
    list("FILES", &FILES).to_writer(&mut page)?;
    list("ENVIRONMENT", &ENVIRONMENT).to_writer(&mut page)?;
    see_also(&commands(restante)).to_writer(&mut page)?;
    Ok(page)
}

/// The page of one command: what every command takes is left to restante(1).
fn single(command: &Command) -> io::Result<Vec<u8>> {
    let own = command.clone().mut_args(|argument| {
        let elsewhere = argument.is_global_set();
        argument.hide(elsewhere)
    });
    let man = titled(own, &page_name(command));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    let mut synopsis = Roff::new();
    synopsis.control("SH", ["SYNOPSIS"]);
    synopsis.text([bold("restante"), roman(" [options] "), bold(short_name(command)), roman(usage(command))]);
    synopsis.to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    see_also(&[]).to_writer(&mut page)?;
    Ok(page)
}

fn synopsis(restante: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text([bold("restante"), roman(" [options] "), bold("--run-now"), roman(" [ACCOUNT]...")]);
    for command in commands(restante) {
        roff.control("br", []);
        roff.text([bold("restante"), roman(" [options] "), bold(short_name(command)), roman(usage(command))]);
    }
    roff
}

/// The arguments of a command, as its usage line names them.
fn usage(command: &Command) -> String {
    let usage = command.clone().render_usage().to_string();
    let after = usage.split_once(full_name(command)).map_or("", |(_, after)| after);
    after.trim_end().to_owned()
}

fn described(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SS", [short_name(command)]);
    roff.text([roman(command.get_about().map(ToString::to_string).unwrap_or_default())]);
    for argument in command.get_arguments().filter(|argument| !argument.is_global_set()) {
        if argument.is_hide_set() || argument.get_id() == "help" {
            continue;
        }
        roff.control("TP", []);
        roff.text([bold(argument.to_string())]);
        roff.text([roman(argument.get_help().map(ToString::to_string).unwrap_or_default())]);
    }
    roff
}

/// Every page names restante(1), and that one names them all.
fn see_also(commands: &[&Command]) -> Roff {
    let pages: Vec<_> = match commands {
        [] => vec!["restante".to_owned()],
        commands => commands.iter().map(|command| page_name(command)).collect(),
    };
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    for (at, page) in pages.iter().enumerate() {
        let end = if at + 1 < pages.len() { "(1)," } else { "(1)" };
        roff.text([bold(page), roman(end)]);
    }
    roff
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
