//! A drill for people and programs: what was tried, how much of the mail that is, what went wrong, and as
//! the last line whether the backup can be given back.

use std::io::{self, Write};

use archive::{DrillInfo, DrillScope};
use message::escape::escape;
use serde::Serialize;
use sync::{FolderReport, RestoreOutcome, RestoreTotals};

use super::amount::{count, size};
use super::restore_report::{folders, messages, word, write_folder};

/// The drill of one account. Its JSON form is a contract (docs/json.md).
#[derive(Debug, Clone, Serialize)]
pub(crate) struct DrillReport {
    pub(crate) account: String,
    pub(crate) started: String,
    pub(crate) finished: String,
    /// The same in milliseconds since 1970.
    #[serde(skip)]
    pub(crate) times_ms: (i64, i64),
    pub(crate) outcome: RestoreOutcome,
    /// `sample` or `whole`.
    pub(crate) scope: &'static str,
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
    /// Whether the archive knows of it.
    pub(crate) recorded: bool,
    /// Why it does not.
    pub(crate) not_recorded: Option<String>,
}

/// So much mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Amount {
    pub(crate) messages: u64,
    pub(crate) bytes: u64,
}

impl DrillReport {
    /// What the archive keeps of it.
    pub(crate) fn to_info(&self) -> DrillInfo {
        let sent = self.totals.bytes_sent;
        let bytes_asked = if self.totals.asked == self.chosen.messages { self.chosen.bytes } else { sent };
        let all_proven = self.totals.proven == self.totals.asked;
        DrillInfo {
            scope: if self.seed.is_some() { DrillScope::Sample } else { DrillScope::Whole },
            as_of: None,
            started_ms: self.times_ms.0,
            finished_ms: self.times_ms.1,
            messages_asked: self.totals.asked,
            messages_proven: self.totals.proven,
            bytes_asked,
            bytes_proven: if all_proven { bytes_asked } else { self.proven_bytes() },
            outcome: word(self.outcome).to_owned(),
        }
    }

    /// An estimate where not all was proven: what is not, is taken to be of the usual size.
    fn proven_bytes(&self) -> u64 {
        let (chosen, proven) = (self.chosen, u128::from(self.totals.proven));
        let estimate = u128::from(chosen.bytes) * proven / u128::from(chosen.messages.max(1));
        u64::try_from(estimate).unwrap_or(chosen.bytes).min(chosen.bytes)
    }

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
        write_folder(out, folder, folder.error.as_deref())?;
    }
    if let Some(error) = &report.error {
        writeln!(out, "{account}: stopped: {}", escape(error))?;
    }
    if let Some(why) = &report.not_recorded {
        writeln!(out, "{account}: not recorded in the archive: {}", escape(why))?;
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
            times_ms: (0, 9_000),
            scope: "sample",
            seed: Some(4711),
            held: Amount { messages: 11_424, bytes: 503_600_000 },
            chosen: Amount { messages: 5_000, bytes: 268_000_000 },
            parts: 1,
            error: None,
            warnings: Vec::new(),
            totals: RestoreTotals::of(&folders),
            folders,
            recorded: true,
            not_recorded: None,
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
        let all = DrillReport {
            scope: "whole",
            seed: None,
            not_recorded: Some("the archive is read only".into()),
            ..report(RestoreOutcome::Proven, vec![folder(5_000)])
        };
        assert_snapshot!(shown(&all), @r#"
            work: all 5 000 messages, 255.6 MiB, from 1 folder, given back to the embedded server
            work: not recorded in the archive: the archive is read only
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
        let info = report.to_info();
        assert_eq!(
            (info.messages_asked, info.messages_proven, info.outcome.as_str()),
            (5_000, 4_999, "partial")
        );
        assert!(info.bytes_proven < info.bytes_asked && info.bytes_proven > info.bytes_asked / 2);
        assert_snapshot!(shown(&report), @r#"
            work: a sample of 5 000 messages, 255.6 MiB, of 11 424, 480.3 MiB (--seed 4711 chooses it again), from 1 folder, given back to the embedded server
            INBOX: not on the server: 1 message (UID 7): the archive cannot give it: block damaged
            work: THE DRILL WENT WRONG: 4 999 of 5 000 messages were proven; `restante verify` says whether the archive is damaged
        "#);
    }
}
