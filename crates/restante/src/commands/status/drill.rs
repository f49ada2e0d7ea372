//! The last drill of an account: how long ago its mail was given back for trial, and what came of it.

use std::io::Write;

use archive::{DrillInfo, DrillScope, RunId};
use message::escape::escape;
use serde::Serialize;

use crate::output::amount::{count, rfc3339, size, span};

#[derive(Serialize)]
pub(super) struct Drill {
    started: Option<String>,
    finished: Option<String>,
    age_seconds: i64,
    /// `whole` or `sample`.
    scope: &'static str,
    /// The run whose state was drilled; none: the newest.
    as_of_run: Option<u32>,
    outcome: String,
    messages_asked: u64,
    messages_proven: u64,
    bytes_asked: u64,
    bytes_proven: u64,
}

pub(super) fn last_drill(drill: DrillInfo, now: i64) -> Drill {
    let finished = drill.finished_ms.div_euclid(1_000);
    Drill {
        started: rfc3339(drill.started_ms.div_euclid(1_000)),
        finished: rfc3339(finished),
        age_seconds: now.saturating_sub(finished),
        scope: match drill.scope {
            DrillScope::Whole => "whole",
            DrillScope::Sample => "sample",
        },
        as_of_run: drill.as_of.map(RunId::get),
        outcome: drill.outcome,
        messages_asked: drill.messages_asked,
        messages_proven: drill.messages_proven,
        bytes_asked: drill.bytes_asked,
        bytes_proven: drill.bytes_proven,
    }
}

/// Whether the mail has been given back for trial, and what came of it.
pub(super) fn write(out: &mut impl Write, account: &str, drill: Option<&Drill>) -> std::io::Result<()> {
    let Some(drill) = drill else {
        return writeln!(
            out,
            "{account}: no drill yet; `restante drill {account}` gives its mail back for trial"
        );
    };
    let age = span(drill.age_seconds.max(0).unsigned_abs());
    let of_what = if drill.scope == "whole" { "" } else { "a sample of " };
    let (proven, asked) = (count(drill.messages_proven), count(drill.messages_asked));
    let outcome = match drill.outcome.as_str() {
        "proven" => "proven".to_owned(),
        other => escape(other).to_uppercase(),
    };
    writeln!(
        out,
        "{account}: last drill {age} ago: {outcome}, {proven} of {of_what}{asked} messages, {}",
        size(drill.bytes_proven)
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    #[test]
    fn o14_the_last_drill_is_shown_with_its_age_and_outcome_and_its_absence_is_said() {
        let started_ms = 1_795_420_800_000;
        let drill = |scope, outcome: &str, messages_proven| {
            let info = DrillInfo {
                scope,
                as_of: None,
                started_ms,
                finished_ms: started_ms + 60_000,
                messages_asked: 1_200,
                messages_proven,
                bytes_asked: 2_000_000,
                bytes_proven: 1_900_000,
                outcome: outcome.to_owned(),
            };
            last_drill(info, started_ms / 1_000 + 60 + 3 * 86_400)
        };
        let line = |drill: Option<&Drill>| {
            let mut out = Vec::new();
            write(&mut out, "work", drill).unwrap();
            String::from_utf8(out).unwrap()
        };
        let none = "work: no drill yet; `restante drill work` gives its mail back for trial\n";
        assert_eq!(line(None), none);
        let proven = drill(DrillScope::Whole, "proven", 1_200);
        let told = format!(
            "work: last drill 3 days ago: proven, {0} of {0} messages, {1}\n",
            count(1_200),
            size(1_900_000)
        );
        assert_eq!(line(Some(&proven)), told);
        let partial = line(Some(&drill(DrillScope::Sample, "partial", 1_100)));
        assert!(partial.contains("PARTIAL, ") && partial.contains(" of a sample of "), "{partial}");
        let evil = line(Some(&drill(DrillScope::Sample, "\u{1b}[2J\n", 0)));
        assert!(!evil.contains('\u{1b}') && evil.lines().count() == 1, "{evil:?}");
        assert_eq!((proven.age_seconds, proven.scope), (3 * 86_400, "whole"));
    }
}
