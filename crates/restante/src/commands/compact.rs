//! `compact`: packs made into fewer and smaller ones, proven before the old ones go.
//!
//! The archive does the work; here it is decided whether it may be done, shown how far it is, and said what
//! came of it.

use std::ops::ControlFlow;

use archive::{
    CompactOptions, CompactProgress, CompactReport, CompactStage, Compaction, LeftAlone, LeftReason,
    RetiredPacks,
};
use indicatif::{ProgressBar, ProgressStyle};

use super::Context;
use super::place::{look, refuse_unwritable};
use super::stop::listen_and_say;
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::memory::{Found, Memory};
use crate::output::amount::{count, local_time, size};
use crate::output::{json, stdout};

const STOPPING: &str = "asked to stop: what is half done is thrown away; once more ends at once";

/// More threads would want more memory than they save time.
const MOST_THREADS: usize = 4;

pub(super) fn run(context: &Context, dry_run: bool, level: Option<i32>) -> Result<Exit, Failure> {
    let config = context.config()?;
    let path = &config.archive.path;
    let memory = Memory::open(path)?;
    refuse_unwritable(path, &memory)?;
    let stop = listen_and_say(&context.screen, STOPPING)
        .map_err(|error| Failure::words(Exit::Failed, format!("cannot listen for signals: {error}")))?;
    let options = options(&config, dry_run, level);
    let bar = context.screen.bars().add(ProgressBar::new(0).with_style(style()));
    let report = archive::compact(path, &options, &mut |so_far: CompactProgress| {
        bar.set_length(so_far.bytes_total);
        bar.set_position(so_far.bytes);
        bar.set_message(in_words(so_far.stage));
        if stop.requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    bar.finish_and_clear();
    let report = report?;
    if !dry_run && let Found::Archive(id, commit) = look(path)? {
        memory.remember(path, id, commit)?;
    }
    if context.global.json {
        json::write(&mut stdout(), &document(&config, &options, &report))?;
    } else {
        write(context, dry_run, &report);
    }
    Ok(exit(&report))
}

/// How this archive is compacted.
pub(super) fn options(config: &Config, dry_run: bool, level: Option<i32>) -> CompactOptions {
    let defaults = CompactOptions::default();
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    CompactOptions {
        level: level.unwrap_or(defaults.level),
        threads: threads.min(MOST_THREADS),
        grace: config.archive.grace,
        reserve: config.archive.reserve,
        dry_run,
        ..defaults
    }
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("compact {bar:24} {bytes}/{total_bytes}  {msg}  {eta} left")
        .expect("the template is valid")
        .progress_chars("=> ")
}

const fn in_words(stage: CompactStage) -> &'static str {
    match stage {
        CompactStage::Looking => "",
        CompactStage::WaitingForWriter => "waiting for another restante that writes",
        CompactStage::Writing => "writing",
        CompactStage::Proving => "reading back",
    }
}

/// 3: broken off, something was not understood, or room was lacking for the rest. 4: a damaged pack was met.
fn exit(report: &CompactReport) -> Exit {
    let is_left = |reason| report.left.iter().any(|left| left.reason == reason);
    if is_left(LeftReason::Damaged) {
        Exit::Damaged
    } else if report.is_broken_off || is_left(LeftReason::NotUnderstood) || is_left(LeftReason::NoRoom) {
        Exit::Partial
    } else {
        Exit::Done
    }
}

fn document(config: &Config, options: &CompactOptions, report: &CompactReport) -> serde_json::Value {
    let compaction = |done: &Compaction| {
        let made = done.made.as_ref();
        serde_json::json!({
            "sources": done.sources, "bytes_before": done.bytes_before,
            "pack": made.map(|(name, _)| name), "bytes": made.map(|(_, bytes)| bytes),
        })
    };
    let left = |left: &LeftAlone| {
        let (reason, damaged) = (reason(left.reason), left.reason == LeftReason::Damaged);
        serde_json::json!({ "pack": left.pack, "why": left.why, "reason": reason, "damaged": damaged })
    };
    serde_json::json!({
        "archive": config.archive.path.display().to_string(),
        "dry_run": options.dry_run,
        "level": options.level,
        "compactions": report.compactions.iter().map(compaction).collect::<Vec<_>>(),
        "left": report.left.iter().map(left).collect::<Vec<_>>(),
        "removed": { "packs": report.removed.packs, "bytes": report.removed.bytes },
        "retired": {
            "packs": report.retired.packs, "bytes": report.retired.bytes,
            "until": report.retired.until_unix_ms.and_then(timestamp),
        },
        "packs": report.packs, "pack_bytes": report.pack_bytes,
        "broken_off": report.is_broken_off,
    })
}

const fn reason(reason: LeftReason) -> &'static str {
    match reason {
        LeftReason::Damaged => "damaged",
        LeftReason::NotUnderstood => "not_understood",
        LeftReason::NotSmaller => "not_smaller",
        LeftReason::NoRoom => "no_room",
    }
}

fn timestamp(unix_ms: i64) -> Option<String> {
    jiff::Timestamp::from_second(unix_ms.div_euclid(1000)).ok().map(|at| at.to_string())
}

fn write(context: &Context, dry_run: bool, report: &CompactReport) {
    for LeftAlone { pack, why, reason } in &report.left {
        let line = format!("left as it is: {pack}: {why}");
        // What is as small as it can be is no trouble.
        if *reason == LeftReason::NotSmaller { context.say(&line) } else { context.screen.say(&line) }
    }
    for Compaction { sources, bytes_before, made } in &report.compactions {
        let (packs, before) = (count(sources.len() as u64), size(*bytes_before));
        context.say(&match made {
            Some((name, bytes)) => {
                format!("{packs} packs with {before} are now {name} with {}", size(*bytes))
            }
            None => format!("{packs} packs with {before} would be made into one"),
        });
    }
    for line in sums(dry_run, report) {
        context.say(&line);
    }
}

/// What it comes to, a line each.
fn sums(dry_run: bool, report: &CompactReport) -> Vec<String> {
    let mut lines = Vec::new();
    if report.removed.packs > 0 {
        lines.push(format!(
            "removed: {} packs with {} that were replaced and have had their grace",
            count(report.removed.packs),
            size(report.removed.bytes)
        ));
    }
    let (packs, bytes) = (count(report.packs), size(report.pack_bytes));
    let before: u64 = report.compactions.iter().map(|done| done.bytes_before).sum();
    let after: u64 = report.compactions.iter().filter_map(|done| done.made.as_ref()).map(|made| made.1).sum();
    lines.push(match (report.compactions.is_empty(), dry_run) {
        (true, _) => format!("nothing to compact: {packs} packs with {bytes}"),
        (false, true) => "nothing was changed (--dry-run)".to_owned(),
        (false, false) => {
            format!("compacted: {} are now {}; {packs} packs with {bytes}", size(before), size(after))
        }
    });
    lines.extend(retired_in_words(&report.retired));
    if report.is_broken_off {
        lines.push("broken off; the next one goes on from here".to_owned());
    }
    lines
}

/// What waits for its grace to pass.
fn retired_in_words(retired: &RetiredPacks) -> Option<String> {
    let (packs, bytes) = (count(retired.packs), size(retired.bytes));
    (retired.packs > 0).then(|| {
        let until = retired.until_unix_ms.map(|ms| local_time(ms.div_euclid(1000)));
        let when = until.map_or_else(String::new, |until| format!(" until {until}"));
        format!("replaced, and kept{when} for copies that are being made: {packs} packs with {bytes}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> CompactReport {
        let made = Some(("00000003-0011223344556677.pack".to_owned(), 5 << 20));
        let sources = vec!["00000002-8899aabbccddeeff.pack".to_owned(); 3];
        CompactReport {
            compactions: vec![Compaction { sources, bytes_before: 7 << 20, made }],
            retired: RetiredPacks { packs: 3, bytes: 7 << 20, until_unix_ms: None },
            packs: 2,
            pack_bytes: 6 << 20,
            ..CompactReport::default()
        }
    }

    #[test]
    fn what_was_done_and_what_waits_is_said_in_a_line_each() {
        insta::assert_snapshot!(sums(false, &report()).join("\n"), @r"
        compacted: 7.0 MiB are now 5.0 MiB; 2 packs with 6.0 MiB
        replaced, and kept for copies that are being made: 3 packs with 7.0 MiB
        ");
        let nothing = CompactReport { packs: 2, pack_bytes: 6 << 20, ..CompactReport::default() };
        assert_eq!(sums(false, &nothing), ["nothing to compact: 2 packs with 6.0 MiB"]);
    }

    #[test]
    fn damage_and_what_is_not_done_show_in_the_exit_status() {
        let left = |reason| LeftAlone { pack: String::new(), why: String::new(), reason };
        let [damaged, unknown, small] =
            [LeftReason::Damaged, LeftReason::NotUnderstood, LeftReason::NotSmaller].map(left);
        let without_room = vec![left(LeftReason::NoRoom)];
        assert_eq!(exit(&CompactReport { left: without_room, ..report() }), Exit::Partial);
        assert_eq!(exit(&report()), Exit::Done);
        assert_eq!(exit(&CompactReport { is_broken_off: true, ..report() }), Exit::Partial);
        assert_eq!(exit(&CompactReport { left: vec![small.clone()], ..report() }), Exit::Done);
        assert_eq!(exit(&CompactReport { left: vec![small, unknown.clone()], ..report() }), Exit::Partial);
        assert_eq!(exit(&CompactReport { left: vec![unknown, damaged], ..report() }), Exit::Damaged);
    }
}
