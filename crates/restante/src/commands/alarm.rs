//! Suspicious runs that nobody has acknowledged, and the commands that bring back the state before.
//!
//! `status` shows them, the end of a run names them, `ack` puts them away. They are in the archive
//! (the journal), so that they go where it goes; what was lost and from which state is in the ledger
//! of the run. The way back is written in one place ([`way_back`]), from what this version can do.

use std::io::{self, Write};
use std::path::Path;

use archive::{AccountInfo, RunInfo, View};
use message::escape::escape;
use serde::Serialize;
use serde_json::Value;

use crate::exit::Failure;
use crate::output::amount::{local_time, rfc3339};

/// So many folders are named in the way back: those that lost most.
const MOST_FOLDERS: usize = 3;

/// A suspicious run.
#[derive(Serialize)]
pub(super) struct Alarm {
    pub(super) run: u32,
    started: Option<String>,
    finished: Option<String>,
    warnings: Vec<String>,
    /// The state that it is compared with; null when there is none, or the ledger does not say.
    before: Value,
    /// What it lost, by folder.
    lost: Value,
    /// What brings back the state before.
    commands: Vec<String>,
    #[serde(skip)]
    started_at: i64,
}

/// The alarms of an account, newest first.
///
/// # Errors
/// When the archive cannot be read.
pub(super) fn alarms(
    view: &View<'_>,
    account: &AccountInfo,
    config: Option<&Path>,
) -> Result<Vec<Alarm>, Failure> {
    let runs = view.alarms(account.id)?;
    Ok(runs.iter().map(|run| alarm(account, run, config)).collect())
}

fn alarm(account: &AccountInfo, run: &RunInfo, config: Option<&Path>) -> Alarm {
    let ledger: Value =
        run.ledger_json.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let warnings = ledger["warnings"].as_array().into_iter().flatten();
    let mut lost: Vec<(&str, u64)> = ledger["lost"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|loss| Some((loss["folder"].as_str()?, loss["lost"].as_u64()?)))
        .collect();
    lost.sort_by_key(|&(_, lost)| std::cmp::Reverse(lost));
    let folders: Vec<&str> = lost.iter().map(|&(folder, _)| folder).collect();
    let loss = ledger["before"]["as_of"].as_str().map(|as_of| Loss {
        account: &account.name,
        protocol: &account.protocol,
        as_of,
        folders: &folders,
    });
    let started_at = run.started_ms.div_euclid(1_000);
    Alarm {
        run: run.id.get(),
        started: rfc3339(started_at),
        finished: run.finished_ms.and_then(|ms| rfc3339(ms.div_euclid(1_000))),
        warnings: warnings.filter_map(|warning| warning.as_str().map(str::to_owned)).collect(),
        commands: loss.map(|loss| way_back(&loss, config)).unwrap_or_default(),
        before: ledger["before"].clone(),
        lost: ledger["lost"].clone(),
        started_at,
    }
}

/// What was lost, and from which state.
pub(super) struct Loss<'a> {
    pub(super) account: &'a str,
    /// `imap` or `pop3`.
    pub(super) protocol: &'a str,
    /// The moment of the state before, as `--as-of` takes it.
    pub(super) as_of: &'a str,
    /// The folders, those that lost most first.
    pub(super) folders: &'a [&'a str],
}

/// In place of a target that only a person knows: POP3 takes no mail back.
const SOME_IMAP_SERVER: &str = "imaps://USER@HOST";

/// The commands, as a shell takes them, that bring back an account as it was at a moment, and show it.
/// The first gives everything back, where that can be done to the account itself. `config`: the
/// configuration, where it was named.
pub(super) fn way_back(loss: &Loss<'_>, config: Option<&Path>) -> Vec<String> {
    let mut program = "restante".to_owned();
    if let Some(config) = config {
        program += &format!(" --config {}", quoted(&config.to_string_lossy()));
    }
    let account = quoted(loss.account);
    let target = if loss.protocol == "pop3" { SOME_IMAP_SERVER } else { &account };
    let as_of = quoted(loss.as_of);
    // A name that a terminal would not show as it is cannot be pasted either.
    let plain = loss.folders.iter().filter(|folder| escape(folder) == **folder).take(MOST_FOLDERS);
    let mut commands = vec![format!("{program} restore {account} --to {target} --as-of {as_of}")];
    commands
        .extend(plain.map(|folder| format!("{program} list {account} {} --as-of {as_of}", quoted(folder))));
    commands.push(format!("{program} export {account} before-the-loss --format maildir --as-of {as_of}"));
    commands
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-/:+@%,=".contains(c);
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Tells a person of the alarms of an account.
pub(super) fn write(out: &mut impl Write, account: &str, alarms: &[Alarm]) -> io::Result<()> {
    let name = escape(account);
    for alarm in alarms {
        writeln!(out, "{name}: SUSPICIOUS run of {}:", local_time(alarm.started_at))?;
        for warning in &alarm.warnings {
            writeln!(out, "  {}", escape(warning))?;
        }
        write_way_back(out, &alarm.commands)?;
    }
    if !alarms.is_empty() {
        writeln!(out, "  when it is as it should be: restante ack {}", quoted(&name))?;
    }
    Ok(())
}

/// Says how the state before a loss is brought back.
pub(super) fn write_way_back(out: &mut impl Write, commands: &[String]) -> io::Result<()> {
    if commands.is_empty() {
        return Ok(());
    }
    writeln!(
        out,
        "  nothing is lost from the archive; the state before is brought back (with --dry-run: only planned) \
         by the first of these, shown and written to files by the others"
    )?;
    if commands[0].contains(SOME_IMAP_SERVER) {
        writeln!(
            out,
            "  POP3 takes no mail back: put in user and host of an IMAP server, the mailbox's own or another"
        )?;
    }
    commands.iter().try_for_each(|command| writeln!(out, "    {}", escape(command)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_is_written_for_a_shell() {
        let folders = ["INBOX", "Bob's \"R&D\"", "evil\u{1b}[2J", "-rf", "Sent"];
        let as_of = "2026-11-23T08:00:00.123Z";
        let loss = Loss { account: "work", protocol: "imap", as_of, folders: &folders };
        let commands = way_back(&loss, Some(Path::new("/etc/my r.toml")));
        assert_eq!(
            commands,
            [
                "restante --config '/etc/my r.toml' restore work --to work --as-of 2026-11-23T08:00:00.123Z",
                "restante --config '/etc/my r.toml' list work INBOX --as-of 2026-11-23T08:00:00.123Z",
                r#"restante --config '/etc/my r.toml' list work 'Bob'\''s "R&D"' --as-of 2026-11-23T08:00:00.123Z"#,
                "restante --config '/etc/my r.toml' list work '-rf' --as-of 2026-11-23T08:00:00.123Z",
                "restante --config '/etc/my r.toml' export work before-the-loss --format maildir --as-of 2026-11-23T08:00:00.123Z",
            ]
        );
    }

    #[test]
    fn the_way_back_of_a_maildrop_leads_to_an_imap_server() -> io::Result<()> {
        let loss = Loss { account: "old", protocol: "pop3", as_of: "2026-11-23", folders: &["INBOX"] };
        let commands = way_back(&loss, None);
        assert_eq!(commands[0], "restante restore old --to imaps://USER@HOST --as-of 2026-11-23");
        let mut out = Vec::new();
        write_way_back(&mut out, &commands)?;
        assert!(String::from_utf8_lossy(&out).contains("POP3 takes no mail back"));
        Ok(())
    }

    #[test]
    fn a_server_s_words_do_not_reach_the_terminal_raw() -> io::Result<()> {
        let alarm = Alarm {
            run: 7,
            started: None,
            finished: None,
            warnings: vec!["\u{1b}[2J\nforged".into()],
            before: Value::Null,
            lost: Value::Null,
            commands: vec!["restante \u{202e}".into()],
            started_at: 0,
        };
        let mut out = Vec::new();
        write(&mut out, "work\nforged", &[alarm])?;
        let text = String::from_utf8_lossy(&out);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("forged")), "{text}");
        Ok(())
    }
}
