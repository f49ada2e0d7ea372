//! A restore for people: a line for each folder, the sums, what is missing or different and why, what
//! the proof was, and as the last line what a tired person needs to know.
//!
//! Servers say the same of many messages, so reasons are said once with their number and the first few
//! UIDs, and of very many different reasons only some. The JSON form is the engine's own and names
//! every message.

use std::collections::HashMap;
use std::io::{self, Write};

use message::escape::escape;
use sync::{FolderReport, RestoreOutcome, RestoreReport};

use super::amount::{count, size};
use super::table::{Align, Table};

/// Of so many different reasons in a folder is each said; the rest are counted.
const MAX_REASONS: usize = 10;

/// So many messages of one reason are named by their UIDs.
const MAX_UIDS: usize = 5;

/// So many reasons stand in the last line.
const MAX_REASONS_AT_END: usize = 2;

/// Writes what a restore did.
///
/// # Errors
/// When `out` cannot be written to.
pub(crate) fn write(out: &mut impl Write, report: &RestoreReport, stopped: bool) -> io::Result<()> {
    if !report.folders.is_empty() {
        table(report).write(out)?;
    }
    for warning in &report.warnings {
        writeln!(out, "warning: {}", escape(warning))?;
    }
    for folder in &report.folders {
        // What ended it all is said once, below.
        let error = folder.error.as_ref().filter(|error| report.error.as_ref() != Some(*error));
        write_folder(out, folder, error.map(String::as_str))?;
    }
    if let Some(error) = &report.error {
        let failed = report.outcome == RestoreOutcome::Failed && !stopped;
        let verb = if failed { "failed" } else { "stopped" };
        writeln!(out, "{verb}: {}", escape(error))?;
    }
    if report.totals.flags_set > 0 {
        let verb = if report.outcome == RestoreOutcome::Planned { "would be set" } else { "set" };
        let number = messages(report.totals.flags_set);
        writeln!(
            out,
            "Flags: {verb} to those of the archive on {number} (--keep-flags leaves those that are there)."
        )?;
    }
    if let Some(proof) = proof(report) {
        writeln!(out, "{proof}")?;
    }
    writeln!(out, "{}", escape(&conclusion(report, stopped)))
}

fn table(report: &RestoreReport) -> Table {
    let planned = report.outcome == RestoreOutcome::Planned;
    let mut table = Table::new(&[
        ("folder", Align::Left),
        ("on the server", Align::Left),
        ("asked", Align::Right),
        ("already there", Align::Right),
        (if planned { "to be added" } else { "added" }, Align::Right),
        (if planned { "not possible" } else { "missing" }, Align::Right),
        ("proven", Align::Right),
        ("result", Align::Left),
    ]);
    for folder in &report.folders {
        table.row([
            folder.folder.clone(),
            folder.target.clone(),
            count(folder.asked),
            count(folder.already_there),
            count(folder.added),
            count(missing(folder)),
            if planned { "-".to_owned() } else { count(folder.proven) },
            result(report, folder).to_owned(),
        ]);
    }
    let totals = &report.totals;
    let sent = if planned { String::new() } else { format!("{} sent", size(totals.bytes_sent)) };
    table.row([
        format!("= {}", folders(report.folders.len() as u64)),
        sent,
        count(totals.asked),
        count(totals.already_there),
        count(totals.added),
        count(report.folders.iter().map(missing).sum()),
        if planned { "-".to_owned() } else { count(totals.proven) },
        word(report.outcome).to_owned(),
    ]);
    table
}

fn result(report: &RestoreReport, folder: &FolderReport) -> &'static str {
    match () {
        () if folder.error.is_some() => "not whole",
        () if report.outcome == RestoreOutcome::Planned && folder.created => "would be made",
        () if report.outcome == RestoreOutcome::Planned => "is there",
        () if folder.is_proven() => "proven",
        () if !folder.is_taken() => "not whole",
        () if report.verify == "off" => "not proven",
        () => "not exact",
    }
}

/// The word of an outcome.
pub(crate) const fn word(outcome: RestoreOutcome) -> &'static str {
    match outcome {
        RestoreOutcome::Proven => "proven",
        RestoreOutcome::Planned => "planned",
        RestoreOutcome::Unproven => "not proven",
        RestoreOutcome::Partial => "partial",
        RestoreOutcome::Failed => "failed",
    }
}

/// Writes what is to be said of a folder, besides the numbers; `error` is why it is not whole.
///
/// # Errors
/// When `out` cannot be written to.
pub(super) fn write_folder(
    out: &mut impl Write,
    folder: &FolderReport,
    error: Option<&str>,
) -> io::Result<()> {
    let name = escape(&folder.folder);
    if let Some(error) = error {
        writeln!(out, "{name}: {}", escape(error))?;
    }
    for notice in folder.notices.iter().take(MAX_REASONS) {
        writeln!(out, "{name}: {}", escape(notice))?;
    }
    write_more(out, &name, folder.notices.len().saturating_sub(MAX_REASONS), "notices")?;
    let refused = folder.refused.iter().map(|refused| (refused.why.as_str(), refused.uid));
    write_reasons(out, &format!("{name}: not on the server"), &Reasons::of(refused))?;
    let remarks = folder.remarks.iter().map(|remark| (remark.what.as_str(), remark.uid));
    write_reasons(out, &format!("{name}: not exact"), &Reasons::of(remarks))
}

fn write_reasons(out: &mut impl Write, what: &str, reasons: &Reasons<'_>) -> io::Result<()> {
    for reason in reasons.0.iter().take(MAX_REASONS) {
        let uids: Vec<String> = reason.uids.iter().map(u32::to_string).collect();
        let more = if reason.count > reason.uids.len() as u64 { ", …" } else { "" };
        let (count, uids) = (messages(reason.count), uids.join(", "));
        writeln!(out, "{what}: {count} (UID {uids}{more}): {}", escape(reason.words))?;
    }
    let rest: u64 = reasons.0.iter().skip(MAX_REASONS).map(|reason| reason.count).sum();
    write_more(out, what, usize::try_from(rest).unwrap_or(usize::MAX), "messages")
}

fn write_more(out: &mut impl Write, what: &str, more: usize, things: &str) -> io::Result<()> {
    match more {
        0 => Ok(()),
        more => writeln!(out, "{what}: and {} more {things}; --json names them all", count(more as u64)),
    }
}

/// What was said of how many messages, the most frequent first.
struct Reasons<'a>(Vec<Reason<'a>>);

struct Reason<'a> {
    words: &'a str,
    count: u64,
    uids: Vec<u32>,
}

impl<'a> Reasons<'a> {
    fn of(said: impl Iterator<Item = (&'a str, u32)>) -> Self {
        let (mut reasons, mut known) = (Vec::<Reason<'a>>::new(), HashMap::new());
        for (words, uid) in said {
            let at = *known.entry(words).or_insert_with(|| {
                reasons.push(Reason { words, count: 0, uids: Vec::new() });
                reasons.len() - 1
            });
            let reason = &mut reasons[at];
            reason.count += 1;
            if reason.uids.len() < MAX_UIDS {
                reason.uids.push(uid);
            }
        }
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
        Self(reasons)
    }
}

/// What kind of proof it was.
fn proof(report: &RestoreReport) -> Option<String> {
    let totals = &report.totals;
    let whole = totals.proven_by_bytes >= totals.proven;
    match report.outcome {
        RestoreOutcome::Planned | RestoreOutcome::Failed => None,
        _ if report.verify == "off" => Some("Proof: none, as asked (--no-verify).".to_owned()),
        _ if totals.proven == 0 => None,
        _ if whole => Some(format!(
            "Proof: {} read back from the server, every byte, with flags and received dates.",
            messages(totals.proven)
        )),
        _ => Some(format!(
            "Proof: sizes, header blocks, flags and received dates of {} read back from the server, and every \
             byte of {} of them (--verify=full reads all bytes of all).",
            messages(totals.proven),
            count(totals.proven_by_bytes)
        )),
    }
}

/// The last line: whether all is there, and what to do if it is not.
fn conclusion(report: &RestoreReport, stopped: bool) -> String {
    let totals = &report.totals;
    let asked = totals.asked;
    let missing = report.folders.iter().map(missing).sum::<u64>();
    let there = asked - missing.min(asked);
    match report.outcome {
        RestoreOutcome::Proven if asked == 0 => {
            "The archive has no message in these folders as of then, so there was nothing to give back; --as-of \
             chooses another state."
                .to_owned()
        }
        RestoreOutcome::Proven if totals.proven_by_bytes >= asked => {
            format!("{} on the server, proven byte for byte.", all_are(asked))
        }
        RestoreOutcome::Proven => {
            format!("{} on the server, proven by sizes, headers, flags and dates.", all_are(asked))
        }
        RestoreOutcome::Planned => {
            let (to_add, there) = (messages(totals.added), count(totals.already_there));
            let not = match missing {
                0 => String::new(),
                missing => format!(" {} could NOT be given back: {}.", messages(missing), why(report)),
            };
            format!("Nothing was changed. {to_add} would be added, {there} are there already.{not}")
        }
        RestoreOutcome::Unproven => format!(
            "{} on the server, it says, but nothing was proven; the same command without --no-verify proves it.",
            all_are(asked)
        ),
        RestoreOutcome::Partial | RestoreOutcome::Failed if stopped => format!(
            "Stopped: {} of {} are on the server. The same command goes on from here, and adds nothing twice.",
            count(there),
            messages(asked)
        ),
        RestoreOutcome::Failed if asked == 0 => {
            "Nothing was given back. When the cause is mended, run the same command again.".to_owned()
        }
        RestoreOutcome::Partial if missing == 0 => format!(
            "{} on the server, but {} not proven to be exact: see above.",
            all_are(asked),
            count(asked - totals.proven.min(asked))
        ),
        RestoreOutcome::Partial | RestoreOutcome::Failed => format!(
            "{} of {} are NOT on the server: {}. When the cause is mended, run the same command again: it goes \
             on, and adds nothing twice.",
            count(missing),
            messages(asked),
            why(report)
        ),
    }
}

/// How many messages of a folder are not on the server.
fn missing(folder: &FolderReport) -> u64 {
    folder.asked.saturating_sub(folder.already_there + folder.added)
}

/// Why messages are missing, in few words, and of how many each is true; the most frequent first.
fn why(report: &RestoreReport) -> String {
    let refused = report.folders.iter().flat_map(|folder| &folder.refused);
    let refused = Reasons::of(refused.map(|refused| (refused.why.as_str(), refused.uid)));
    let mut reasons: Vec<(u64, String)> =
        refused.0.iter().map(|reason| (reason.count, reason.words.to_owned())).collect();
    for folder in &report.folders {
        let unsaid = missing(folder).saturating_sub(folder.refused.len() as u64);
        if let Some(error) = folder.error.as_ref().filter(|_| unsaid > 0) {
            reasons.push((unsaid, format!("{}: {error}", folder.folder)));
        }
    }
    reasons.sort_by_key(|&(number, _)| std::cmp::Reverse(number));
    let more = reasons.len() > MAX_REASONS_AT_END;
    let counted = reasons.into_iter().take(MAX_REASONS_AT_END);
    let mut parts: Vec<String> = report.error.iter().cloned().collect();
    parts.extend(counted.map(|(number, words)| format!("{words} ({})", messages(number))));
    match (parts.is_empty(), more) {
        (true, _) => "see above".to_owned(),
        (false, false) => parts.join("; "),
        (false, true) => format!("{}; and other reasons above", parts.join("; ")),
    }
}

fn all_are(number: u64) -> String {
    match number {
        1 => "The one message is".to_owned(),
        number => format!("All {} are", messages(number)),
    }
}

/// `1 folder`, `37 folders`.
pub(crate) fn folders(number: u64) -> String {
    match number {
        1 => "1 folder".to_owned(),
        number => format!("{} folders", count(number)),
    }
}

/// `1 message`, `37 messages`.
pub(crate) fn messages(number: u64) -> String {
    match number {
        1 => "1 message".to_owned(),
        number => format!("{} messages", count(number)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use insta::assert_snapshot;
    use sync::{Refused, Remark, RestoreTotals, TargetReport};

    use super::*;

    fn report(outcome: RestoreOutcome, verify: &'static str, folders: Vec<FolderReport>) -> RestoreReport {
        RestoreReport {
            account: "work".into(),
            target: TargetReport::default(),
            started: "2026-11-23T08:00:00Z".into(),
            finished: "2026-11-23T08:00:09Z".into(),
            outcome,
            verify,
            error: None,
            warnings: Vec::new(),
            totals: RestoreTotals::of(&folders),
            folders,
        }
    }

    fn folder(name: &str, asked: u64, already_there: u64) -> FolderReport {
        let (added, proven) = (asked - already_there, asked);
        let bytes_sent = added * 44_000;
        FolderReport {
            asked,
            already_there,
            added,
            proven,
            bytes_sent,
            ..FolderReport::new(name.into(), name.into())
        }
    }

    fn refused(uid: u32, why: &str) -> Refused {
        Refused { id: "3f2a9c01".into(), uid, why: why.into(), damaged: false }
    }

    fn shown(report: &RestoreReport) -> String {
        let mut out = Vec::new();
        write(&mut out, report, false).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn last_line(report: &RestoreReport, stopped: bool) -> String {
        let mut out = Vec::new();
        write(&mut out, report, stopped).unwrap();
        String::from_utf8(out).unwrap().lines().last().unwrap().to_owned()
    }

    #[test]
    fn a_restore_that_went_well_says_so_in_one_line() {
        let sent = FolderReport { target: "Gesendet".into(), created: true, ..folder("Sent", 1_200, 0) };
        let mut report = report(RestoreOutcome::Proven, "headers", vec![folder("INBOX", 10_224, 37), sent]);
        (report.totals.proven_by_bytes, report.totals.flags_set) = (115, 4);
        assert_snapshot!(shown(&report), @r#"
            folder       on the server    asked  already there   added  missing  proven  result
            INBOX        INBOX           10 224             37  10 187        0  10 224  proven
            Sent         Gesendet         1 200              0   1 200        0   1 200  proven
            = 2 folders  477.8 MiB sent  11 424             37  11 387        0  11 424  proven
            Flags: set to those of the archive on 4 messages (--keep-flags leaves those that are there).
            Proof: sizes, header blocks, flags and received dates of 11 424 messages read back from the server, and every byte of 115 of them (--verify=full reads all bytes of all).
            All 11 424 messages are on the server, proven by sizes, headers, flags and dates.
        "#);
    }

    #[test]
    fn r19_the_last_line_names_the_kind_of_proof() {
        let mut full = report(RestoreOutcome::Proven, "full", vec![folder("INBOX", 1, 0)]);
        full.totals.proven_by_bytes = 1;
        assert_snapshot!(last_line(&full, false), @"The one message is on the server, proven byte for byte.");
        let mut off = folder("INBOX", 3, 1);
        off.proven = 0;
        assert_snapshot!(shown(&report(RestoreOutcome::Unproven, "off", vec![off])), @r#"
            folder      on the server  asked  already there  added  missing  proven  result
            INBOX       INBOX              3              1      2        0       0  not proven
            = 1 folder  85.9 KiB sent      3              1      2        0       0  not proven
            Proof: none, as asked (--no-verify).
            All 3 messages are on the server, it says, but nothing was proven; the same command without --no-verify proves it.
        "#);
        assert_snapshot!(last_line(&report(RestoreOutcome::Proven, "headers", Vec::new()), false), @"The archive has no message in these folders as of then, so there was nothing to give back; --as-of chooses another state.");
    }

    #[test]
    fn what_is_missing_is_said_once_with_its_number_and_what_to_do_next() {
        let mut lists = folder("Lists", 4_000, 0);
        lists.refused = (1..=2_000).map(|uid| refused(uid, "the target is full: NO [OVERQUOTA]")).collect();
        lists.refused.push(refused(2_001, "larger than the server takes (25.0 MiB)"));
        (lists.added, lists.proven) = (1_999, 1_998);
        let what = "equal but for: 1 header field added (X-Scanned)".into();
        lists.remarks.push(Remark { id: "3f2a9c01".into(), uid: 3_000, what });
        lists.notices.push("named Lists_2 there, for Lists is taken".into());
        let gone = FolderReport {
            error: Some("NO cannot be opened".into()),
            asked: 7,
            ..FolderReport::new("Old".into(), "Old".into())
        };
        assert_snapshot!(shown(&report(RestoreOutcome::Partial, "headers", vec![lists, gone])), @r#"
            folder       on the server   asked  already there  added  missing  proven  result
            Lists        Lists           4 000              0  1 999    2 001   1 998  not whole
            Old          Old                 7              0      0        7       0  not whole
            = 2 folders  167.8 MiB sent  4 007              0  1 999    2 008   1 998  partial
            Lists: named Lists_2 there, for Lists is taken
            Lists: not on the server: 2 000 messages (UID 1, 2, 3, 4, 5, …): the target is full: NO [OVERQUOTA]
            Lists: not on the server: 1 message (UID 2001): larger than the server takes (25.0 MiB)
            Lists: not exact: 1 message (UID 3000): equal but for: 1 header field added (X-Scanned)
            Old: NO cannot be opened
            Proof: sizes, header blocks, flags and received dates of 1 998 messages read back from the server, and every byte of 0 of them (--verify=full reads all bytes of all).
            2 008 of 4 007 messages are NOT on the server: the target is full: NO [OVERQUOTA] (2 000 messages); Old: NO cannot be opened (7 messages); and other reasons above. When the cause is mended, run the same command again: it goes on, and adds nothing twice.
        "#);
    }

    #[test]
    fn a_plan_says_what_would_be_done() {
        let mut lists = folder("Lists", 40, 10);
        (lists.added, lists.proven, lists.created) = (29, 0, true);
        lists.refused.push(refused(9, "larger than the server takes"));
        assert_snapshot!(shown(&report(RestoreOutcome::Planned, "headers", vec![lists])), @r#"
            folder      on the server  asked  already there  to be added  not possible  proven  result
            Lists       Lists             40             10           29             1       -  would be made
            = 1 folder                    40             10           29             1       -  planned
            Lists: not on the server: 1 message (UID 9): larger than the server takes
            Nothing was changed. 29 messages would be added, 10 are there already. 1 message could NOT be given back: larger than the server takes (1 message).
        "#);
    }

    #[test]
    fn every_end_has_its_last_line() {
        let mut inexact = folder("INBOX", 30, 0);
        inexact.proven = 28;
        assert_snapshot!(last_line(&report(RestoreOutcome::Partial, "headers", vec![inexact]), false), @"All 30 messages are on the server, but 2 not proven to be exact: see above.");
        let mut part = folder("INBOX", 30, 0);
        (part.added, part.proven) = (12, 0);
        assert_snapshot!(last_line(&report(RestoreOutcome::Partial, "headers", vec![part]), true), @"Stopped: 12 of 30 messages are on the server. The same command goes on from here, and adds nothing twice.");
        let mut failed = report(RestoreOutcome::Failed, "headers", Vec::new());
        failed.error = Some("cannot log in: NO [AUTHENTICATIONFAILED]".into());
        assert_snapshot!(shown(&failed), @r#"
            failed: cannot log in: NO [AUTHENTICATIONFAILED]
            Nothing was given back. When the cause is mended, run the same command again.
        "#);
    }

    #[test]
    fn a_flood_of_reasons_is_counted() {
        let mut folder = folder("INBOX", 100, 0);
        (folder.added, folder.proven) = (0, 0);
        folder.refused = (1..=100).map(|uid| refused(uid, &format!("reason {uid}"))).collect();
        folder.notices = (0..100).map(|number| format!("notice {number}")).collect();
        let text = shown(&report(RestoreOutcome::Partial, "headers", vec![folder]));
        assert_eq!(text.lines().count(), 3 + 2 * (MAX_REASONS + 1) + 1, "{text}");
        assert!(text.contains("and 90 more messages; --json names them all"), "{text}");
    }

    #[test]
    fn a_server_s_words_do_not_reach_the_terminal_raw() {
        let evil = "\u{1b}[2J\r\nforged\u{202e}";
        let folder = FolderReport {
            asked: 3,
            error: Some(evil.into()),
            refused: vec![refused(1, evil)],
            remarks: vec![Remark { id: String::new(), uid: 2, what: evil.into() }],
            notices: vec![evil.into()],
            ..FolderReport::new(evil.into(), evil.into())
        };
        let mut report = report(RestoreOutcome::Failed, "headers", vec![folder]);
        report.error = Some(evil.into());
        report.warnings.push(evil.into());
        let text = shown(&report);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("forged")));
    }
}
