//! `verify`: prove that the archive is whole, and if it is not, say which messages are hit.

use archive::{CatalogueFinding, Damage, Depth, MessageHit, Unfinished, VerifyProgress, VerifyReport};
use indicatif::{ProgressBar, ProgressStyle};

use super::Context;
use super::daemon::packs;
use super::list::with_offset;
use crate::config::Config;
use crate::exit::{Exit, Failure, chain};
use crate::memory::{Memory, Verified};
use crate::output::amount::{count, local_time, size};
use crate::output::table::{Align, Table};
use crate::output::{json, stdout};

pub(super) fn run(context: &Context, quick: bool, accounts: &[String]) -> Result<Exit, Failure> {
    let config = context.reading_config()?;
    let depth = if quick { Depth::Quick } else { Depth::Full };
    let wanted = (!accounts.is_empty()).then_some(accounts);
    let bar = context.screen.bars().add(ProgressBar::new(0).with_style(style()));
    let report = archive::verify(&config.archive.path, depth, wanted, &mut |progress: VerifyProgress| {
        bar.set_length(progress.messages_total);
        bar.set_position(progress.messages);
        bar.set_message(size(progress.bytes));
    });
    bar.finish_and_clear();
    let report = report?;
    if wanted.is_none() {
        note(&config, quick, &report)?;
    }
    // Who sits before a terminal sees the table.
    if !std::io::IsTerminal::is_terminal(&std::io::stderr()) {
        log_hits(&report);
    }
    if context.global.json {
        json::write(&mut stdout(), &document(&config, quick, &report))?;
    } else {
        write(context, &report)?;
    }
    Ok(if is_whole(&report) { Exit::Done } else { Exit::Damaged })
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("verify {bar:24} {pos}/{len} messages  {msg}  {eta} left")
        .expect("the template is valid")
        .progress_chars("=> ")
}

/// Whether everything is as it was written. A catalogue that cannot be used is made again by whoever
/// needs it; one that says something else than the packs would give wrong answers.
pub(super) fn is_whole(report: &VerifyReport) -> bool {
    report.is_whole() && !matches!(report.catalogue, CatalogueFinding::Differs { .. })
}

/// What is to be said of the catalogue, if anything.
pub(super) fn catalogue_remark(finding: &CatalogueFinding) -> Option<String> {
    match finding {
        CatalogueFinding::Ok => None,
        CatalogueFinding::Differs { what } => Some(format!(
            "the catalogue is not what the packs say ({what}); `restante rebuild` makes it again"
        )),
        CatalogueFinding::Unusable => {
            Some("there is no catalogue that can be used; `restante rebuild` makes it again".to_owned())
        }
    }
}

/// Remembers the result for `status`. Who verifies need not be who backs up, so this may fail.
fn note(config: &Config, quick: bool, report: &VerifyReport) -> Result<(), Failure> {
    let path = &config.archive.path;
    let Some(archive) = archive::identify(path)? else { return Ok(()) };
    let verified = Verified {
        at: jiff::Timestamp::now().as_second(),
        depth: if quick { "quick" } else { "full" }.to_owned(),
        whole: is_whole(report),
    };
    let which = (archive, report.last_commit);
    let packs = packs(path);
    let damaged: Vec<String> = report.damage.iter().map(|damage| damage.id().to_string()).collect();
    let noted = Memory::open(path).and_then(|memory| {
        // The daemon need not read again what was just read.
        if let Ok(packs) = packs.as_ref()
            && !quick
        {
            let (found_damage, at) = (!verified.whole, verified.at);
            memory.change_care(path, archive, |care| care.read_all(packs, &damaged, found_damage, at))?;
        }
        memory.remember_verified(path, which, verified)
    });
    if let Err(error) = noted {
        tracing::warn!("the result will not be in `status`: {}", chain(&error));
    }
    Ok(())
}

/// Says in the log, by name, what is damaged and which messages are hit; not their subjects.
pub(super) fn log_hits(report: &VerifyReport) {
    let _span = tracing::error_span!("verify").entered();
    for Damage { pack, offset, what, .. } in &report.damage {
        tracing::error!(pack, offset, "damaged: {what}");
    }
    for MessageHit { account, mailbox, uid, key, reason, .. } in &report.messages_hit {
        let (uid, message_id) = (uid.get(), key.map(|key| key.to_string()));
        tracing::error!(account, folder = mailbox, uid, message_id, "cannot be given back: {reason}");
    }
}

/// Names each place that is not what was written.
pub(super) fn say_damage(context: &Context, damage: &[Damage]) {
    for Damage { pack, offset, what, .. } in damage {
        context.screen.say(&format!("damaged: {pack} at byte {offset}: {what}"));
    }
}

/// The same for programs.
pub(super) fn damage_to_json(damage: &Damage) -> serde_json::Value {
    let Damage { pack, offset, length, what, .. } = damage;
    serde_json::json!({ "pack": pack, "offset": offset, "length": length, "what": what })
}

/// A place of a message that is hit, for programs.
pub(super) fn hit_to_json(hit: &MessageHit) -> serde_json::Value {
    serde_json::json!({
        "id": hit.key.map(|key| key.to_string()), "account": hit.account, "folder": hit.mailbox,
        "uid": hit.uid.get(), "subject": hit.subject,
        "internal_date": hit.internal_date.as_ref().and_then(with_offset),
        "on_server": hit.on_server, "why": hit.reason,
    })
}

/// A table of places of messages that are hit.
pub(super) fn table_of(hits: &[MessageHit]) -> Table {
    let mut table = Table::new(&[
        ("account", Align::Left),
        ("folder", Align::Left),
        ("uid", Align::Right),
        ("id", Align::Left),
        ("received", Align::Left),
        ("subject", Align::Left),
        ("why", Align::Left),
    ]);
    for hit in hits {
        let id: String = hit.key.map(|key| key.to_string()).unwrap_or_default().chars().take(12).collect();
        let received = hit.internal_date.as_ref().and_then(message::InternalDate::unix);
        table.row([
            hit.account.clone(),
            hit.mailbox.clone(),
            hit.uid.to_string(),
            id,
            received.map(local_time).unwrap_or_default(),
            hit.subject.clone(),
            hit.reason.clone(),
        ]);
    }
    table
}

/// Places of lost messages in words: what may still come back, and what will not.
pub(super) fn lost_in_words(lost: &[MessageHit]) -> Option<String> {
    if lost.is_empty() {
        return None;
    }
    let distinct = |on_server| {
        let keys: std::collections::BTreeSet<_> =
            lost.iter().filter(|hit| hit.on_server == on_server).map(|hit| hit.key).collect();
        keys.len() as u64
    };
    let (waiting, gone) = (distinct(true), distinct(false));
    let mut parts = Vec::new();
    if waiting > 0 {
        parts.push(format!(
            "{} messages are lost and will be fetched again by the next run, if the server still has them",
            count(waiting)
        ));
    }
    if gone > 0 {
        parts.push(format!(
            "{} messages are lost for good: the server has them no more (unless a damaged pack comes back)",
            count(gone)
        ));
    }
    Some(parts.join("; "))
}

fn document(config: &Config, quick: bool, report: &VerifyReport) -> serde_json::Value {
    serde_json::json!({
        "archive": config.archive.path.display().to_string(),
        "depth": if quick { "quick" } else { "full" },
        "whole": is_whole(report),
        "packs": report.packs, "frames": report.frames, "blobs": report.blobs,
        "messages": report.messages, "bytes": report.bytes,
        "unfinished": report.unfinished.as_ref().map(|unfinished| {
            serde_json::json!({ "pack": unfinished.pack, "offset": unfinished.offset })
        }),
        "damage": report.damage.iter().map(damage_to_json).collect::<Vec<_>>(),
        "known_damage": report.known_damage.iter().map(damage_to_json).collect::<Vec<_>>(),
        "messages_hit": report.messages_hit.iter().map(hit_to_json).collect::<Vec<_>>(),
        "messages_lost": report.messages_lost.iter().map(hit_to_json).collect::<Vec<_>>(),
        "catalogue": match report.catalogue {
            CatalogueFinding::Ok => "ok",
            CatalogueFinding::Differs { .. } => "differs",
            CatalogueFinding::Unusable => "unusable",
        },
        "foreign_files": report.foreign_files,
        "retired": { "packs": report.retired_packs, "bytes": report.retired_bytes },
    })
}

fn write(context: &Context, report: &VerifyReport) -> Result<(), Failure> {
    let mut out = stdout();
    let hits = [&report.messages_hit, &report.messages_lost];
    for hits in hits.into_iter().filter(|hits| !hits.is_empty()) {
        table_of(hits).write(&mut out)?;
    }
    std::io::Write::flush(&mut out)?;
    say_damage(context, &report.damage);
    if let Some(Unfinished { pack, offset }) = &report.unfinished {
        context.screen.say(&format!(
            "not finished: the last commit in {pack}, from byte {offset} on, does not count; a power cut or a \
             killed process leaves that behind (if there was none, the disk is to be looked at)"
        ));
    }
    if let Some(remark) = catalogue_remark(&report.catalogue) {
        context.screen.say(&remark);
    }
    for file in &report.foreign_files {
        context.say(&format!("not of this archive, ignored: {file}"));
    }
    if report.retired_packs > 0 {
        let (packs, bytes) = (count(report.retired_packs), size(report.retired_bytes));
        context.say(&format!("replaced by `restante compact`, not looked at: {packs} packs with {bytes}"));
    }
    let (messages, packs) = (count(report.messages), count(report.packs));
    let hit = count(report.messages_hit.len() as u64);
    let known = report.known_damage.len() as u64;
    if known > 0 {
        context.say(&format!(
            "known since the last repair, left where they are: {} damaged places",
            count(known)
        ));
    }
    if let Some(words) = lost_in_words(&report.messages_lost) {
        context.screen.say(&words);
    }
    if is_whole(report) && !report.messages_lost.is_empty() {
        context.say(&format!(
            "nothing new: {messages} messages in {packs} packs, {} read; the lost ones are named above",
            size(report.bytes)
        ));
    } else if is_whole(report) {
        context.say(&format!("whole: {messages} messages in {packs} packs, {} read", size(report.bytes)));
    } else {
        context.screen.say(&format!("not whole: {hit} of {messages} messages in {packs} packs are hit"));
        context.say("`restante repair` records what is lost, and the next run fetches it again");
    }
    Ok(())
}
