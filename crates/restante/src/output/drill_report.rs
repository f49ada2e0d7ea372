//! A drill for people and programs: what was tried, how much of the mail that is, what went wrong, and as
//! the last line whether the backup can be given back.

use std::io::{self, Write};

use message::escape::escape;
use serde::Serialize;
use sync::{FolderReport, RestoreOutcome, RestoreTotals};

use super::amount::{count, size};
use super::restore_report::{folders, messages, write_folder};

/// The drill of one account. Its JSON form is a contract (docs/json.md).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DrillReport {
    pub(crate) account: String,
    pub(crate) started: String,
    pub(crate) finished: String,
    pub(crate) outcome: RestoreOutcome,
    /// `sample` or `all`.
    pub(crate) extent: &'static str,
    /// What chose the sample.
    pub(crate) seed: Option<u64>,
    /// What the archive holds of the account's newest state.
    pub(crate) held: Amount,
    /// What of it was to be given back.
    pub(crate) chosen: Amount,
    /// In so many parts, each to a server of its own.
    pub(crate) parts: u64,
    pub(crate) error: Option<String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) totals: RestoreTotals,
    /// The folders of which something was chosen.
    pub(crate) folders: Vec<FolderReport>,
}

/// So much mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Amount {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl DrillReport {
    /// Whether the archive could not give some message, because it is damaged.
    pub(crate) fn met_damage(&self) -> bool {
        self.folders.iter().flat_map(|folder| &folder.refused).any(|refused| refused.damaged)
    }
}

/// Writes what a drill has shown.
///
/// # Errors
/// When `out` cannot be written to.
pub(crate) fn write(out: &mut impl Write, report: &DrillReport) -> io::Result<()> {
    let account = escape(&report.account);
    let (held, chosen) = (report.held, report.chosen);
    let what = match report.seed {
        Some(seed) => format!(
            "a sample of {}, {}, of {}, {} (--seed {seed} chooses it again)",
            messages(chosen.messages),
            size(chosen.bytes),
            count(held.messages),
            size(held.bytes)
        ),
        None => format!("all {}, {}", messages(chosen.messages), size(chosen.bytes)),
    };
    writeln!(
        out,
        "{account}: {what}, from {}, given back to the embedded server",
        folders(report.folders.len() as u64)
    )?;
    for warning in &report.warnings {
        writeln!(out, "{account}: warning: {}", escape(warning))?;
    }
    for folder in report.folders.iter().filter(|folder| !folder.is_proven()) {
        write_folder(out, folder)?;
    }
    if let Some(error) = &report.error {
        writeln!(out, "{account}: stopped: {}", escape(error))?;
    }
    writeln!(out, "{account}: {}", conclusion(report))
}

fn conclusion(report: &DrillReport) -> String {
    let (asked, proven) = (report.totals.asked, report.totals.proven);
    match report.outcome {
        RestoreOutcome::Proven if asked == 0 => {
            "the archive holds no message of it, so there was nothing to try".to_owned()
        }
        RestoreOutcome::Proven => {
            format!("the drill went well: {} came back, each proven byte for byte", messages(asked))
        }
        _ => format!(
            "THE DRILL WENT WRONG: {} of {} were proven; `restante verify` says whether the archive is damaged",
            count(proven),
            messages(report.chosen.messages.max(asked))
        ),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use insta::assert_snapshot;
    use sync::Refused;

    use super::*;

    fn report(outcome: RestoreOutcome, folders: Vec<FolderReport>) -> DrillReport {
        DrillReport {
            account: "work".into(),
            started: "2026-11-23T08:00:00Z".into(),
            finished: "2026-11-23T08:00:09Z".into(),
            outcome,
            extent: "sample",
            seed: Some(4711),
            held: Amount { messages: 11_424, bytes: 503_600_000 },
            chosen: Amount { messages: 5_000, bytes: 268_000_000 },
            parts: 1,
            error: None,
            warnings: Vec::new(),
            totals: RestoreTotals::of(&folders),
            folders,
        }
    }

    fn shown(report: &DrillReport) -> String {
        let mut out = Vec::new();
        write(&mut out, report).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn folder(proven: u64) -> FolderReport {
        FolderReport {
            asked: 5_000,
            added: 5_000,
            proven,
            ..FolderReport::new("INBOX".into(), "INBOX".into())
        }
    }

    #[test]
    fn a_drill_that_went_well_is_two_lines() {
        assert_snapshot!(shown(&report(RestoreOutcome::Proven, vec![folder(5_000)])), @r#"
            work: a sample of 5 000 messages, 255.6 MiB, of 11 424, 480.3 MiB (--seed 4711 chooses it again), from 1 folder, given back to the embedded server
            work: the drill went well: 5 000 messages came back, each proven byte for byte
        "#);
        let all =
            DrillReport { extent: "all", seed: None, ..report(RestoreOutcome::Proven, vec![folder(5_000)]) };
        assert_snapshot!(shown(&all), @r#"
            work: all 5 000 messages, 255.6 MiB, from 1 folder, given back to the embedded server
            work: the drill went well: 5 000 messages came back, each proven byte for byte
        "#);
    }

    #[test]
    fn a_drill_that_went_wrong_names_what_is_missing_and_what_to_do() {
        let mut inbox = folder(4_999);
        inbox.added = 4_999;
        let why = "the archive cannot give it: block damaged".to_owned();
        inbox.refused.push(Refused { id: "3f2a9c01".into(), uid: 7, why, damaged: true });
        let report = report(RestoreOutcome::Partial, vec![inbox]);
        assert!(report.met_damage());
        assert_snapshot!(shown(&report), @r#"
            work: a sample of 5 000 messages, 255.6 MiB, of 11 424, 480.3 MiB (--seed 4711 chooses it again), from 1 folder, given back to the embedded server
            INBOX: not on the server: 1 message (UID 7): the archive cannot give it: block damaged
            work: THE DRILL WENT WRONG: 4 999 of 5 000 messages were proven; `restante verify` says whether the archive is damaged
        "#);
    }
}
