//! `repair`: save what damage has left, record what it has taken, and say what that means.
//!
//! The archive does the work; here it is decided whether it may be done, and said what came of it. An
//! archive that is an older state of the one that was here may be repaired, for losing its newest pack makes
//! it just that; another archive may not.

use archive::{MessageHit, RepairReport, VerifyProgress};
use indicatif::{ProgressBar, ProgressStyle};

use super::Context;
use super::place::look;
use super::verify::{damage_to_json, hit_to_json, lost_in_words, say_damage, table_of};
use crate::config::Config;
use crate::exit::{Exit, Failure};
use crate::memory::{Found, Memory, Verdict, judge};
use crate::output::amount::{count, size};
use crate::output::{json, stdout};

pub(super) fn run(context: &Context, dry_run: bool) -> Result<Exit, Failure> {
    let config = context.config()?;
    let path = &config.archive.path;
    let memory = Memory::open(path)?;
    let older = may_be_repaired(&config, &memory)?;
    let bar = context.screen.bars().add(ProgressBar::new(0).with_style(style()));
    let report = archive::repair(path, dry_run, &mut |progress: VerifyProgress| {
        bar.set_length(progress.messages_total);
        bar.set_position(progress.messages);
        bar.set_message(size(progress.bytes));
    });
    bar.finish_and_clear();
    let report = report?;
    if !dry_run && let Found::Archive(id, commit) = look(path)? {
        memory.remember(path, id, commit)?;
    }
    if context.global.json {
        json::write(&mut stdout(), &document(&config, dry_run, older.as_deref(), &report))?;
    } else {
        write(context, dry_run, older.as_deref(), &report)?;
    }
    Ok(exit(dry_run, older.is_some(), &report))
}

fn style() -> ProgressStyle {
    ProgressStyle::with_template("repair {bar:24} {pos}/{len} messages  {msg}  {eta} left")
        .expect("the template is valid")
        .progress_chars("=> ")
}

/// Whether the archive that is there may be written to; if it is an older state of the one that was there
/// before, in what words.
fn may_be_repaired(config: &Config, memory: &Memory) -> Result<Option<String>, Failure> {
    let path = &config.archive.path;
    let (found, remembered) = (look(path)?, memory.recall(path)?);
    let shown = path.display();
    match judge(remembered.as_ref(), &found) {
        Verdict::Use => Ok(None),
        Verdict::ReadOnly(why) => match found {
            Found::Archive(id, _) if remembered.is_some_and(|known| known.is_of(id)) => Ok(Some(why)),
            _ => Err(Failure::words(Exit::Failed, format!("the archive in {shown} is not repaired: {why}"))
                .help("if it is the right one, say so first: restante init --accept")),
        },
        Verdict::Create => Err(Failure::words(Exit::Failed, format!("there is no archive in {shown}"))),
        Verdict::Absent(why) => {
            Err(Failure::words(Exit::Failed, format!("there is no archive in {shown}: {why}"))
                .help("mount its disk"))
        }
    }
}

/// 0: nothing is missing. 3: something is, and it is recorded: a run may bring it back. 4: a dry run has
/// found that the archive is damaged.
fn exit(dry_run: bool, older: bool, report: &RepairReport) -> Exit {
    let missing = !report.lost.is_empty()
        || report.messages_lost > 0
        || !report.forgotten.is_empty()
        || report.journal_lost
        || older;
    match (dry_run, missing) {
        (true, _) if !report.damage.is_empty() => Exit::Damaged,
        (_, true) => Exit::Partial,
        (_, false) => Exit::Done,
    }
}

fn document(config: &Config, dry_run: bool, older: Option<&str>, report: &RepairReport) -> serde_json::Value {
    let hits = |hits: &[MessageHit]| hits.iter().map(hit_to_json).collect::<Vec<_>>();
    let restated = &report.restated;
    serde_json::json!({
        "archive": config.archive.path.display().to_string(),
        "dry_run": dry_run,
        "nothing_to_do": report.found_nothing(),
        "damage": report.damage.iter().map(damage_to_json).collect::<Vec<_>>(),
        "known_damage": report.known_damage,
        "restated": {
            "accounts": restated.accounts, "runs": restated.runs, "folders": restated.mailboxes,
            "epochs": restated.epochs, "messages": restated.messages, "placements": restated.places,
            "names": restated.names,
        },
        "journal_lost": report.journal_lost,
        "blobs_without_message": report.blobs_without_message,
        "forgotten": hits(&report.forgotten),
        "lost": hits(&report.lost),
        "messages": report.messages,
        "messages_lost": report.messages_lost,
        "messages_lost_anew": report.messages_lost_anew,
        "messages_found_again": report.messages_found_again,
        "blobs_lost_anew": report.blobs_lost_anew,
        "quarantined": report.quarantined,
        "catalogue_made_anew": report.catalogue_made_anew,
        "foreign_files": report.foreign_files,
        "commit": report.commit.map(|commit| commit.number),
        "older": older,
    })
}

fn write(
    context: &Context,
    dry_run: bool,
    older: Option<&str>,
    report: &RepairReport,
) -> Result<(), Failure> {
    let mut out = stdout();
    for hits in [&report.forgotten, &report.lost].into_iter().filter(|hits| !hits.is_empty()) {
        table_of(hits).write(&mut out)?;
    }
    std::io::Write::flush(&mut out)?;
    say_damage(context, &report.damage);
    if let Some(why) = older {
        context.screen.say(&format!("commits are missing at the end: {why}"));
    }
    for line in words(report) {
        context.screen.say(&line);
    }
    for file in &report.foreign_files {
        context.say(&format!("not of this archive, left alone: {file}"));
    }
    let messages = count(report.messages);
    context.say(&match (dry_run, report.found_nothing()) {
        (_, true) if report.messages_lost > 0 => {
            format!("{messages} messages looked at; nothing new to record")
        }
        (_, true) => format!("nothing to repair: {messages} messages are whole"),
        (true, false) => format!("{messages} messages looked at; nothing was changed (--dry-run)"),
        (false, false) => {
            format!("repaired: {messages} messages looked at; damaged parts stay where they are")
        }
    });
    Ok(())
}

/// What was done and what it means, a line each.
fn words(report: &RepairReport) -> Vec<String> {
    let mut lines = Vec::new();
    let restated = &report.restated;
    if !restated.is_nothing() {
        let names = match restated.names {
            0 => String::new(),
            names => format!(", what a POP3 server called {} messages", count(names)),
        };
        lines.push(format!(
            "said again from the catalogue, which still knew it: {} messages, {} placements, {} folders, {} runs{names}",
            count(restated.messages),
            count(restated.places),
            count(restated.mailboxes),
            count(restated.runs)
        ));
    }
    if report.journal_lost {
        lines.push(format!(
            "parts of the journal are lost, and no sound catalogue knows what they said: folders are compared \
             message by message in the next run, what is still on the server is fetched again, and of what has \
             vanished from there nothing is known any more; {} pieces of messages have no message and are kept",
            count(report.blobs_without_message)
        ));
    }
    if report.messages_found_again > 0 {
        lines.push(format!(
            "{} messages that were lost can be given back again",
            count(report.messages_found_again)
        ));
    }
    if report.catalogue_made_anew {
        lines.push("the catalogue was made anew from the packs".to_owned());
    }
    lines.extend(report.quarantined.iter().map(|name| format!("moved aside: {name}")));
    lines.extend(lost_in_words(&report.lost));
    if !report.forgotten.is_empty() {
        lines.push(format!(
            "{} places are known of which the message is not; the next run fetches what still lies there",
            count(report.forgotten.len() as u64)
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    /// The report on an archive with one message, whose pack is damaged in the place given.
    fn report(spoil: impl FnOnce(&mut Vec<u8>)) -> (tempfile::TempDir, RepairReport) {
        use archive::{NewPlacement, Proof, Writer, WriterOptions};
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive");
        archive::init(&path).unwrap();
        let mut writer = Writer::open(&path, WriterOptions::default()).unwrap();
        let account = writer.account("work", "imap").unwrap();
        writer.begin_run(account, 0).unwrap();
        let seen = archive::MailboxSeen::named(message::MailboxName::from_text("INBOX", None));
        let mailbox = writer.mailbox(account, &seen).unwrap();
        let epoch = writer.epoch(mailbox, message::UidValidity::new(1)).unwrap();
        let mut pieces = Vec::new();
        let mut splitter = message::split::Splitter::new();
        splitter.push(b"Subject: only one\r\n\r\nwith a text that compresses badly\r\n", &mut |piece| {
            pieces.push(piece);
        });
        let split = splitter.finish(&mut |piece| pieces.push(piece)).unwrap();
        pieces.into_iter().for_each(|piece| writer.put_blob(piece).unwrap());
        writer.put_message(&split).unwrap();
        let internal_date = message::InternalDate::from_unix(1_795_420_800, 0);
        let flags = message::Flags::new();
        let placement = NewPlacement { message: split.key, internal_date, flags, proof: Proof::Bytes };
        writer.place(epoch, message::Uid::MIN, placement).unwrap();
        writer.commit().unwrap();
        drop(writer);
        let pack = std::fs::read_dir(path.join("packs")).unwrap().next().unwrap().unwrap().path();
        let mut bytes = std::fs::read(&pack).unwrap();
        spoil(&mut bytes);
        std::fs::write(&pack, bytes).unwrap();
        let report = archive::repair(&path, false, &mut |_| {}).unwrap();
        (folder, report)
    }

    #[test]
    fn an_archive_without_damage_needs_nothing() {
        let (_folder, report) = report(|_| {});
        assert!(report.found_nothing(), "{report:?}");
        assert_eq!((exit(false, false, &report), words(&report)), (Exit::Done, vec![]));
        assert_eq!(exit(false, true, &report), Exit::Partial, "commits are missing that were there before");
    }

    #[test]
    fn what_only_the_server_can_bring_back_is_done_in_part() {
        // The header block of the message: its frame begins behind the pack's header.
        let (_folder, report) = report(|bytes| bytes[128 + 80 + 36] ^= 1);
        assert_eq!(exit(false, false, &report), Exit::Partial);
        assert_eq!(exit(true, false, &report), Exit::Damaged);
        let words = words(&report).join("\n");
        assert!(words.contains("1 messages are lost and will be fetched again"), "{words}");
        assert_eq!((report.lost.len(), report.lost[0].subject.as_str()), (1, "only one"));
    }
}
