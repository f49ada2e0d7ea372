//! `history`: the runs of an account and what each brought, changed and saw vanish; the same of one
//! folder; or the life of one message.
//!
//! An account's runs are told from their ledgers, so that a long history is read without looking at each
//! message. A run that was cut off has none: what it did is counted from the placements, as a folder's
//! history always is.

use std::collections::BTreeMap;
use std::io::Write;

use archive::{AccountInfo, Changes, Life, MailboxId, MailboxInfo, Proof, RunId, RunInfo, View, When};
use message::MessageKey;
use serde::Serialize;
use serde_json::Value;

use super::list::{mailboxes_of_name, with_offset};
use super::{Context, known_account, read_archive};
use crate::cli::History;
use crate::exit::{Exit, Failure};
use crate::output::amount::{count, local_time, rfc3339, size};
use crate::output::table::{Align, Table};
use crate::output::{json, stdout};

/// Shorter hex digits are no message's id, as in `show`.
const MIN_PREFIX: usize = 8;

pub(super) fn run(context: &Context, what: &History) -> Result<Exit, Failure> {
    let archive = read_archive(&context.reading_config()?)?;
    let view = archive.view();
    let account = known_account(&view, &what.account)?;
    let (limit, json) = (usize::try_from(what.limit).unwrap_or(usize::MAX), context.global.json);
    let Some(subject) = &what.subject else {
        of_account(&view, &account, limit, json)?;
        return Ok(Exit::Done);
    };
    let not_found = match mailboxes_of_name(&view, &account, subject, When::default()) {
        Ok(mailboxes) => {
            of_folder(&view, &account, &mailboxes, limit, json)?;
            return Ok(Exit::Done);
        }
        Err(failure) => failure,
    };
    let is_id = (MIN_PREFIX..=64).contains(&subject.len()) && subject.bytes().all(|b| b.is_ascii_hexdigit());
    if !is_id {
        return Err(not_found);
    }
    let key = find(&view, &account, subject)?;
    of_message(&view, &account, key, json)?;
    Ok(Exit::Done)
}

// Runs of an account

#[derive(Serialize)]
struct AccountHistory<'a> {
    account: &'a str,
    runs: Vec<RunRow>,
}

/// What is not in the ledger is null.
#[derive(Serialize)]
struct RunRow {
    run: u32,
    started: Option<String>,
    finished: Option<String>,
    outcome: String,
    suspicious: bool,
    new: Option<u64>,
    flags_changed: Option<u64>,
    vanished: Option<u64>,
    replaced: Option<u64>,
    matched_by_header: Option<u64>,
    healed: Option<u64>,
    failed: Option<u64>,
    bytes_fetched: Option<u64>,
    archived: Option<u64>,
    error: Option<String>,
    #[serde(skip)]
    started_at: i64,
}

fn of_account(view: &View<'_>, account: &AccountInfo, limit: usize, as_json: bool) -> Result<(), Failure> {
    let runs = view.runs(account.id, limit)?;
    let counted = match runs.iter().any(|run| run.ledger_json.is_none()) {
        true => {
            let mailboxes: Vec<MailboxId> =
                view.mailboxes(account.id)?.iter().map(|mailbox| mailbox.id).collect();
            view.changes(&mailboxes)?
        }
        false => BTreeMap::new(),
    };
    let rows: Vec<RunRow> = runs.iter().map(|run| run_row(run, &counted)).collect();
    let mut out = stdout();
    if as_json {
        return Ok(json::write(&mut out, &AccountHistory { account: &account.name, runs: rows })?);
    }
    let mut table = Table::new(&[
        ("run", Align::Right),
        ("began", Align::Left),
        ("result", Align::Left),
        ("new", Align::Right),
        ("flags", Align::Right),
        ("vanished", Align::Right),
        ("fetched", Align::Right),
        ("held", Align::Right),
        ("", Align::Left),
    ]);
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), count);
    for row in rows {
        table.row([
            row.run.to_string(),
            local_time(row.started_at),
            if row.suspicious { format!("{}, suspicious", row.outcome) } else { row.outcome },
            number(row.new),
            number(row.flags_changed),
            number(row.vanished),
            row.bytes_fetched.map_or_else(|| "-".to_owned(), size),
            number(row.archived),
            row.error.unwrap_or_default(),
        ]);
    }
    table.write(&mut out)?;
    Ok(out.flush()?)
}

fn run_row(run: &RunInfo, counted: &BTreeMap<RunId, Changes>) -> RunRow {
    let ledger: Value =
        run.ledger_json.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
    let totals = &ledger["totals"];
    let journal = run.ledger_json.is_none().then(|| counted.get(&run.id).copied().unwrap_or_default());
    let told = |name: &str, by_journal: fn(Changes) -> u64| totals[name].as_u64().or(journal.map(by_journal));
    let started_at = run.started_ms.div_euclid(1_000);
    RunRow {
        run: run.id.get(),
        started: rfc3339(started_at),
        finished: run.finished_ms.and_then(|ms| rfc3339(ms.div_euclid(1_000))),
        outcome: run.outcome.clone().unwrap_or_else(|| "interrupted".to_owned()),
        suspicious: ledger["suspicious"].as_bool().unwrap_or(false),
        new: told("new", |changes| changes.new),
        flags_changed: told("flags_changed", |changes| changes.flags_changed),
        vanished: told("vanished", |changes| changes.vanished),
        replaced: totals["replaced"].as_u64(),
        matched_by_header: totals["matched_by_header"].as_u64(),
        healed: totals["healed"].as_u64(),
        failed: totals["failed"].as_u64(),
        bytes_fetched: totals["bytes_fetched"].as_u64(),
        archived: totals["archived"].as_u64(),
        error: ledger["error"].as_str().map(str::to_owned),
        started_at,
    }
}

// Runs that changed a folder

#[derive(Serialize)]
struct FolderHistory<'a> {
    account: &'a str,
    folder: String,
    runs: Vec<FolderRow>,
}

#[derive(Serialize)]
struct FolderRow {
    run: u32,
    started: Option<String>,
    finished: Option<String>,
    outcome: Option<String>,
    new: u64,
    flags_changed: u64,
    vanished: u64,
    /// How many messages lay there when the run had ended.
    messages: u64,
    #[serde(skip)]
    started_at: Option<i64>,
}

fn of_folder(
    view: &View<'_>,
    account: &AccountInfo,
    mailboxes: &[MailboxInfo],
    limit: usize,
    as_json: bool,
) -> Result<(), Failure> {
    let ids: Vec<MailboxId> = mailboxes.iter().map(|mailbox| mailbox.id).collect();
    let live = mailboxes.iter().map(|mailbox| mailbox.live).sum();
    let changes = view.changes(&ids)?;
    let rows = folder_rows(view, &changes, live, limit)?;
    let folder = mailboxes.first().map(|mailbox| mailbox.name.text()).unwrap_or_default();
    let mut out = stdout();
    if as_json {
        return Ok(json::write(&mut out, &FolderHistory { account: &account.name, folder, runs: rows })?);
    }
    let mut table = Table::new(&[
        ("run", Align::Right),
        ("began", Align::Left),
        ("result", Align::Left),
        ("new", Align::Right),
        ("flags", Align::Right),
        ("vanished", Align::Right),
        ("then there", Align::Right),
    ]);
    for row in rows {
        table.row([
            row.run.to_string(),
            row.started_at.map_or_else(|| "-".to_owned(), local_time),
            row.outcome.unwrap_or_else(|| "-".to_owned()),
            count(row.new),
            count(row.flags_changed),
            count(row.vanished),
            count(row.messages),
        ]);
    }
    table.write(&mut out)?;
    Ok(out.flush()?)
}

/// Newest first; what lay there is counted back from what lies there now.
fn folder_rows(
    view: &View<'_>,
    changes: &BTreeMap<RunId, Changes>,
    live: u64,
    limit: usize,
) -> Result<Vec<FolderRow>, Failure> {
    let mut messages = live;
    let mut rows = Vec::new();
    for (run, changes) in changes.iter().rev().take(limit) {
        let known = view.run(*run)?;
        let started_at = known.as_ref().map(|run| run.started_ms.div_euclid(1_000));
        rows.push(FolderRow {
            run: run.get(),
            started: started_at.and_then(rfc3339),
            finished: known
                .as_ref()
                .and_then(|run| run.finished_ms)
                .and_then(|ms| rfc3339(ms.div_euclid(1_000))),
            outcome: known.map(|run| run.outcome.unwrap_or_else(|| "interrupted".to_owned())),
            new: changes.new,
            flags_changed: changes.flags_changed,
            vanished: changes.vanished,
            messages,
            started_at,
        });
        messages = (messages + changes.vanished).saturating_sub(changes.new);
    }
    Ok(rows)
}

// The life of a message

/// The message of the account whose id begins so.
fn find(view: &View<'_>, account: &AccountInfo, prefix: &str) -> Result<MessageKey, Failure> {
    let mut found = Vec::new();
    for key in view.find(prefix)? {
        if !view.life_of(account.id, &key)?.is_empty() {
            found.push(key);
        }
    }
    match found[..] {
        [key] => Ok(key),
        [] => {
            let message =
                format!("account \"{}\" has had neither a folder nor a message {prefix}", account.name);
            Err(Failure::words(Exit::Failed, message))
        }
        _ => {
            let ids = found.iter().map(|key| format!("\n  {key}")).collect::<String>();
            Err(Failure::words(Exit::Usage, format!("more than one message begins with {prefix}:{ids}")))
        }
    }
}

#[derive(Serialize)]
struct MessageHistory<'a> {
    account: &'a str,
    id: String,
    size: Option<u64>,
    subject: String,
    from: String,
    stays: Vec<StayRow>,
}

#[derive(Serialize)]
struct StayRow {
    folder: String,
    uid: u32,
    uid_validity: Option<u32>,
    /// Only where a POP3 server has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    uidl: Option<String>,
    internal_date: Option<String>,
    first_run: Moment,
    /// The run that saw it there no more; null while it is there.
    last_run: Option<Moment>,
    flags: Vec<FlagsRow>,
    /// Recognised by size, date and header; its bytes were not fetched from there.
    by_header: bool,
}

#[derive(Serialize)]
struct FlagsRow {
    since: Moment,
    flags: Vec<String>,
}

/// A run, and when it ended.
#[derive(Clone, Serialize)]
struct Moment {
    run: u32,
    at: Option<String>,
    #[serde(skip)]
    unix: Option<i64>,
}

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.unix {
            Some(unix) => write!(f, "{} (run {})", local_time(unix), self.run),
            None => write!(f, "run {}", self.run),
        }
    }
}

fn of_message(view: &View<'_>, account: &AccountInfo, key: MessageKey, as_json: bool) -> Result<(), Failure> {
    // What lists show of it; what damage has taken has a life all the same.
    let message = match view.message(&key) {
        Err(error) if error.is_damage() => None,
        message => message?,
    };
    let mut stays = Vec::new();
    for life in view.life_of(account.id, &key)? {
        let folder = view.mailbox(life.mailbox)?.map(|mailbox| mailbox.name.text()).unwrap_or_default();
        stays.push(stay_row(view, folder, &life)?);
    }
    let history = MessageHistory {
        account: &account.name,
        id: key.to_string(),
        size: message.as_ref().map(|message| message.size),
        subject: message.as_ref().map(|message| message.fields.subject.clone()).unwrap_or_default(),
        from: message.map(|message| message.fields.from).unwrap_or_default(),
        stays,
    };
    let mut out = stdout();
    if as_json {
        return Ok(json::write(&mut out, &history)?);
    }
    write_message(&mut out, &history)?;
    Ok(out.flush()?)
}

fn stay_row(view: &View<'_>, folder: String, life: &Life) -> Result<StayRow, Failure> {
    let mut flags = Vec::with_capacity(life.flags.len());
    for (since, held) in &life.flags {
        let held = held.iter().map(str::to_owned).collect();
        flags.push(FlagsRow { since: moment(view, *since)?, flags: held });
    }
    Ok(StayRow {
        folder,
        uid: life.uid.get(),
        uid_validity: life.validity.map(message::UidValidity::get),
        uidl: life.uidl.as_ref().map(message::Uidl::to_string),
        internal_date: with_offset(&life.internal_date),
        first_run: moment(view, life.first_run)?,
        last_run: life.last_run.map(|run| moment(view, run)).transpose()?,
        flags,
        by_header: life.proof == Proof::Header,
    })
}

fn moment(view: &View<'_>, run: RunId) -> Result<Moment, Failure> {
    let unix = view.run(run)?.map(|run| run.finished_ms.unwrap_or(run.started_ms).div_euclid(1_000));
    Ok(Moment { run: run.get(), at: unix.and_then(rfc3339), unix })
}

fn write_message(out: &mut impl Write, history: &MessageHistory<'_>) -> std::io::Result<()> {
    let bytes = history.size.map_or_else(|| "lost to damage".to_owned(), size);
    let words = [&history.subject, &history.from].map(|text| message::escape::escape(text));
    writeln!(out, "{} ({bytes})\n{}\n{}\n", history.id, words[0], words[1])?;
    let mut table = Table::new(&[
        ("folder", Align::Left),
        ("uid", Align::Right),
        ("from", Align::Left),
        ("until", Align::Left),
        ("flags", Align::Left),
    ]);
    for stay in &history.stays {
        let until = stay.last_run.as_ref().map_or_else(|| "now".to_owned(), Moment::to_string);
        let mut place = [stay.folder.clone(), stay.uid.to_string()];
        for (number, flags) in stay.flags.iter().enumerate() {
            let until = match stay.flags.get(number + 1) {
                Some(next) => next.since.to_string(),
                None => until.clone(),
            };
            let [folder, uid] = std::mem::take(&mut place);
            table.row([folder, uid, flags.since.to_string(), until, flags.flags.join(" ")]);
        }
    }
    table.write(out)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::list::tests::had_both_ways;
    use super::*;

    #[test]
    fn p02_the_life_of_a_message_tells_what_a_pop3_server_called_it() {
        let (_folder, archive, key) = had_both_ways();
        let view = archive.view();
        let account = known_account(&view, "work").unwrap();
        let lives = view.life_of(account.id, &key).unwrap();
        let told: Vec<Value> = lives
            .iter()
            .map(|life| serde_json::to_value(stay_row(&view, "INBOX".to_owned(), life).unwrap()).unwrap())
            .collect();
        assert_eq!(told[0]["uidl"], "00 caf\\xe9\\u{1b}[2J");
        assert_eq!(told[0]["uid_validity"], Value::Null);
        assert!(told[1].get("uidl").is_none() && told[1]["uid_validity"] == 9, "{told:?}");
    }
}
