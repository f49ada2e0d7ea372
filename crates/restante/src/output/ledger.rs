//! The ledger of a run for people: a line for each folder, the account's sums, and what is missing and
//! why.
//! The JSON form is the engine's own.

use std::io::{self, Write};

use message::escape::escape;
use sync::{FolderLedger, Item, Ledger, Outcome};

use super::amount::{count, size};
use super::table::{Align, Table};

/// Of so many messages that failed in a folder is the reason shown; the rest are counted.
const MAX_ITEMS: usize = 10;

/// Writes what the runs found.
///
/// # Errors
/// When `out` cannot be written to.
pub(crate) fn write(out: &mut impl Write, runs: &[Ledger]) -> io::Result<()> {
    let mut table = Table::new(&[
        ("account", Align::Left),
        ("folder", Align::Left),
        ("on server", Align::Right),
        ("archived", Align::Right),
        ("new", Align::Right),
        ("vanished", Align::Right),
        ("skipped", Align::Right),
        ("failed", Align::Right),
        ("result", Align::Left),
    ]);
    for run in runs {
        for folder in &run.folders {
            table.row(folder_row(run, folder));
        }
        table.row(total_row(run));
    }
    if !table.is_empty() {
        table.write(out)?;
    }
    runs.iter().try_for_each(|run| write_words(out, run))
}

fn folder_row(run: &Ledger, folder: &FolderLedger) -> [String; 9] {
    [
        run.account.clone(),
        folder.folder.clone(),
        count(folder.on_server),
        count(folder.archived),
        count(folder.new),
        count(folder.vanished),
        count(folder.skipped.len() as u64),
        count(folder.failed.len() as u64),
        if folder.is_whole() { "ok" } else { "not whole" }.to_owned(),
    ]
}

fn total_row(run: &Ledger) -> [String; 9] {
    let totals = &run.totals;
    let suspicious = if run.suspicious { ", suspicious" } else { "" };
    [
        run.account.clone(),
        format!("= {} folders, {} fetched", count(run.folders.len() as u64), size(totals.bytes_fetched)),
        count(totals.on_server),
        count(totals.archived),
        count(totals.new),
        count(totals.vanished),
        count(totals.skipped),
        count(totals.failed),
        format!("{}{suspicious}", run.outcome.word()),
    ]
}

fn write_words(out: &mut impl Write, run: &Ledger) -> io::Result<()> {
    let account = escape(&run.account);
    if let Some(error) = &run.error {
        let verb = if run.outcome == Outcome::Failed { "failed" } else { "stopped" };
        writeln!(out, "{account}: {verb}: {}", escape(error))?;
    }
    for warning in &run.warnings {
        writeln!(out, "{account}: warning: {}", escape(warning))?;
    }
    for folder in &run.folders {
        let name = escape(&folder.folder);
        if let Some(error) = &folder.error {
            writeln!(out, "{account}: {name}: {}", escape(error))?;
        }
        write_items(out, &format!("{account}: {name}: failed"), &folder.failed)?;
        write_items(out, &format!("{account}: {name}: skipped"), &folder.skipped)?;
    }
    if !run.excluded.is_empty() {
        let excluded = count(run.excluded.len() as u64);
        writeln!(out, "{account}: {excluded} folders are left out by the configuration or belong to others")?;
    }
    Ok(())
}

fn write_items(out: &mut impl Write, what: &str, items: &[Item]) -> io::Result<()> {
    for item in items.iter().take(MAX_ITEMS) {
        let name = match (&item.uidl, item.uid) {
            (Some(uidl), _) => format!("UIDL {}: ", escape(uidl)),
            (None, Some(uid)) => format!("UID {uid}: "),
            (None, None) => String::new(),
        };
        writeln!(out, "{what}: {name}{}", escape(&item.why))?;
    }
    match items.len().saturating_sub(MAX_ITEMS) {
        0 => Ok(()),
        more => writeln!(out, "{what}: and {} more; --json names them all", count(more as u64)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use insta::assert_snapshot;
    use sync::Totals;

    use super::*;

    fn shown(runs: &[Ledger]) -> String {
        let mut out = Vec::new();
        write(&mut out, runs).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn ledger(outcome: Outcome, folders: Vec<FolderLedger>) -> Ledger {
        Ledger {
            finished: "2026-11-23T08:00:09Z".into(),
            outcome,
            totals: Totals::of(&folders),
            folders,
            ..Ledger::failed("work", "imap", "2026-11-23T08:00:00Z")
        }
    }

    fn item(uid: u32) -> Item {
        Item { uid: Some(uid), uidl: None, why: "NO [SERVERBUG]".into() }
    }

    #[test]
    fn a_run_is_shown_with_its_sums() {
        let inbox = FolderLedger {
            on_server: 11_424,
            archived: 11_424,
            new: 37,
            bytes_fetched: 1_200_345,
            vanished: 2,
            ..FolderLedger::new("INBOX".into())
        };
        assert_snapshot!(shown(&[ledger(Outcome::Ok, vec![inbox, FolderLedger::new("Sent".into())])]), @r#"
            account  folder                        on server  archived  new  vanished  skipped  failed  result
            work     INBOX                            11 424    11 424   37         2        0       0  ok
            work     Sent                                  0         0    0         0        0       0  ok
            work     = 2 folders, 1.1 MiB fetched     11 424    11 424   37         2        0       0  ok
        "#);
    }

    #[test]
    fn what_is_missing_is_named_and_what_is_much_is_counted() {
        let lists = FolderLedger {
            on_server: 40,
            archived: 25,
            failed: (1..=15).map(item).collect(),
            ..FolderLedger::new("Lists".into())
        };
        let gone = FolderLedger { error: Some("cannot be opened".into()), ..FolderLedger::new("Old".into()) };
        let mut run = ledger(Outcome::Partial, vec![lists, gone]);
        run.suspicious = true;
        run.warnings.push("300 messages vanished from Lists".into());
        run.excluded.push("Junk".into());
        assert_snapshot!(shown(&[run]), @r#"
            account  folder                    on server  archived  new  vanished  skipped  failed  result
            work     Lists                            40        25    0         0        0      15  not whole
            work     Old                               0         0    0         0        0       0  not whole
            work     = 2 folders, 0 B fetched         40        25    0         0        0      16  partial, suspicious
            work: warning: 300 messages vanished from Lists
            work: Lists: failed: UID 1: NO [SERVERBUG]
            work: Lists: failed: UID 2: NO [SERVERBUG]
            work: Lists: failed: UID 3: NO [SERVERBUG]
            work: Lists: failed: UID 4: NO [SERVERBUG]
            work: Lists: failed: UID 5: NO [SERVERBUG]
            work: Lists: failed: UID 6: NO [SERVERBUG]
            work: Lists: failed: UID 7: NO [SERVERBUG]
            work: Lists: failed: UID 8: NO [SERVERBUG]
            work: Lists: failed: UID 9: NO [SERVERBUG]
            work: Lists: failed: UID 10: NO [SERVERBUG]
            work: Lists: failed: and 5 more; --json names them all
            work: Old: cannot be opened
            work: 1 folders are left out by the configuration or belong to others
        "#);
    }

    #[test]
    fn a_server_s_words_do_not_reach_the_terminal_raw() {
        let evil = "\u{1b}[2J\r\nforged\u{202e}";
        let folder = FolderLedger {
            error: Some(evil.into()),
            failed: vec![Item { uid: Some(1), uidl: None, why: evil.into() }],
            skipped: vec![Item { uid: None, uidl: Some(evil.into()), why: evil.into() }],
            ..FolderLedger::new(evil.into())
        };
        let mut run = ledger(Outcome::Failed, vec![folder]);
        run.error = Some(evil.into());
        run.warnings.push(evil.into());
        let text = shown(&[run]);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("forged")));
    }
}
