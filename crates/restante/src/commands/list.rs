//! `list`: accounts, the folders of an account, or the messages of a folder, newest first.
//!
//! The answer depends on the archive alone, so that the same state of it gives the same bytes,
//! whatever happened to the catalogue in between. Messages are written as they are read: a folder
//! may have millions.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, Write};
use std::ops::ControlFlow;

use archive::{AccountInfo, MailboxInfo, PlacementInfo, RunId, View, When};
use serde::Serialize;
use serde::ser::{SerializeSeq, Serializer};

use super::{Context, known_account, moment, read_archive};
use crate::cli::List;
use crate::exit::{Exit, Failure};
use crate::output::amount::{count, local_time, rfc3339, size};
use crate::output::table::{self, Align, Table};
use crate::output::{json, stdout};

/// The columns of a folder's messages; the last is as wide as it comes.
const MESSAGE_COLUMNS: [(usize, Align); 6] = [
    (12, Align::Left),
    (10, Align::Right),
    (16, Align::Left),
    (10, Align::Right),
    (30, Align::Left),
    (0, Align::Left),
];

pub(super) fn run(context: &Context, what: &List) -> Result<Exit, Failure> {
    let archive = read_archive(&context.reading_config()?)?;
    let view = archive.view();
    let json = context.global.json;
    let Some(name) = &what.account else {
        accounts(&view, json)?;
        return Ok(Exit::Done);
    };
    let account = known_account(&view, name)?;
    let when = moment::when(&view, &account, what.as_of.as_deref(), what.deleted)?;
    match &what.folder {
        None => folders(&view, &account, when, json)?,
        Some(folder) => {
            let mailboxes = mailboxes_of_name(&view, &account, folder, when)?;
            messages(&view, &account, folder, &mailboxes, when, json)?;
        }
    }
    Ok(Exit::Done)
}

#[derive(Serialize)]
struct Accounts {
    accounts: Vec<AccountRow>,
}

#[derive(Serialize)]
struct AccountRow {
    account: String,
    protocol: String,
    folders: u64,
    messages: u64,
    bytes: u64,
}

fn accounts(view: &View<'_>, as_json: bool) -> Result<(), Failure> {
    let mut rows = Vec::new();
    for account in view.accounts()? {
        let totals = view.totals(Some(account.id))?;
        let folders = view.mailboxes(account.id)?.iter().filter(|mailbox| mailbox.gone.is_none()).count();
        rows.push(AccountRow {
            account: account.name,
            protocol: account.protocol,
            folders: folders as u64,
            messages: totals.live,
            bytes: totals.live_bytes,
        });
    }
    rows.sort_by(|a, b| a.account.cmp(&b.account));
    let mut out = stdout();
    if as_json {
        return Ok(json::write(&mut out, &Accounts { accounts: rows })?);
    }
    let mut table = Table::new(&[
        ("account", Align::Left),
        ("protocol", Align::Left),
        ("folders", Align::Right),
        ("messages", Align::Right),
        ("size", Align::Right),
    ]);
    for row in rows {
        table.row([row.account, row.protocol, count(row.folders), count(row.messages), size(row.bytes)]);
    }
    table.write(&mut out)?;
    Ok(out.flush()?)
}

#[derive(Serialize)]
struct Folders<'a> {
    account: &'a str,
    folders: Vec<FolderRow>,
}

#[derive(Serialize)]
struct FolderRow {
    folder: String,
    messages: u64,
    uid_validity: Option<u32>,
    special_use: Option<String>,
    subscribed: bool,
    selectable: bool,
    on_server: bool,
}

fn folders(view: &View<'_>, account: &AccountInfo, when: When, as_json: bool) -> Result<(), Failure> {
    let wanted = match when {
        // Also those that never held anything.
        When { as_of: None, deleted: true } => view.mailboxes(account.id)?,
        _ => view.mailboxes_as_of(account.id, when)?,
    };
    let wanted = in_order(wanted).into_iter();
    let rows: Vec<FolderRow> = wanted
        .map(|mailbox| FolderRow {
            folder: mailbox.name.text(),
            messages: mailbox.live,
            uid_validity: mailbox.epoch.and_then(|epoch| epoch.validity).map(message::UidValidity::get),
            special_use: mailbox.special_use,
            subscribed: mailbox.subscribed,
            selectable: mailbox.selectable,
            on_server: mailbox.gone.is_none(),
        })
        .collect();
    let mut out = stdout();
    if as_json {
        return Ok(json::write(&mut out, &Folders { account: &account.name, folders: rows })?);
    }
    let mut table = Table::new(&[("folder", Align::Left), ("messages", Align::Right), ("", Align::Left)]);
    for row in rows {
        let mut remarks: Vec<String> = row.special_use.into_iter().collect();
        if !row.on_server {
            remarks.push(
                if when.as_of.is_none() { "no longer on the server" } else { "gone by then" }.to_owned(),
            );
        }
        if !row.selectable {
            remarks.push("holds folders only".to_owned());
        }
        table.row([row.folder, count(row.messages), remarks.join(", ")]);
    }
    table.write(&mut out)?;
    Ok(out.flush()?)
}

/// INBOX, then by name.
pub(super) fn in_order(mut mailboxes: Vec<MailboxInfo>) -> Vec<MailboxInfo> {
    mailboxes.sort_by_cached_key(|mailbox| (!mailbox.name.is_inbox(), mailbox.name.text(), mailbox.id));
    mailboxes
}

/// The mailboxes that people saw under this name at that moment, else those that they see under it now;
/// more than one where one is gone and another has come, or where the server has odd names.
pub(super) fn mailboxes_of_name(
    view: &View<'_>,
    account: &AccountInfo,
    name: &str,
    when: When,
) -> Result<Vec<MailboxInfo>, Failure> {
    let is_inbox = name.eq_ignore_ascii_case("INBOX");
    let is_meant = |mailbox: &MailboxInfo| mailbox.name.text() == name || is_inbox && mailbox.name.is_inbox();
    let mut mailboxes = in_order(view.mailboxes(account.id)?);
    if when.as_of.is_some() {
        let then = in_order(view.mailboxes_as_of(account.id, When { deleted: true, ..when })?);
        if then.iter().any(is_meant) {
            mailboxes = then;
        }
    }
    mailboxes.retain(is_meant);
    if mailboxes.is_empty() {
        let message = format!("the archive holds no folder \"{name}\" of account \"{}\"", account.name);
        return Err(Failure::words(Exit::Failed, message).help("`restante list ACCOUNT` names its folders"));
    }
    Ok(mailboxes)
}

fn messages(
    view: &View<'_>,
    account: &AccountInfo,
    folder: &str,
    mailboxes: &[MailboxInfo],
    when: When,
    as_json: bool,
) -> Result<(), Failure> {
    let mut out = stdout();
    if !as_json {
        table::line(&mut out, &MESSAGE_COLUMNS, &["id", "uid", "received", "size", "from", "subject"])?;
        for mailbox in mailboxes {
            write_rows(&mut out, view, mailbox, when)?;
        }
        return Ok(out.flush()?);
    }
    let failed = RefCell::new(None);
    let messages = Messages { view, mailboxes, when, failed: &failed };
    let folder = mailboxes.first().map_or_else(|| folder.to_owned(), |mailbox| mailbox.name.text());
    let written = json::write(&mut out, &Document { account: &account.name, folder, messages });
    match failed.into_inner() {
        Some(error) => Err(Failure::from(error)),
        None => Ok(written?),
    }
}

fn write_rows(
    out: &mut impl Write,
    view: &View<'_>,
    mailbox: &MailboxInfo,
    when: When,
) -> Result<(), Failure> {
    let mut written = Ok(());
    view.placements(mailbox.id, when, &mut |placement| {
        written = write_row(out, &placement);
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(written?)
}

fn write_row(out: &mut impl Write, placement: &PlacementInfo) -> io::Result<()> {
    let id = placement.message.to_string();
    let short: String = id.chars().take(MESSAGE_COLUMNS[0].0).collect();
    let from: String = placement.fields.from.chars().take(MESSAGE_COLUMNS[4].0).collect();
    let received = placement.internal_date.unix().map_or_else(|| "-".to_owned(), local_time);
    let uid = placement.uid.to_string();
    let bytes = size(placement.size);
    let subject = match placement.lost {
        true => format!("(lost to damage) {}", placement.fields.subject),
        false => placement.fields.subject.clone(),
    };
    table::line(out, &MESSAGE_COLUMNS, &[&short, &uid, &received, &bytes, &from, &subject])
}

#[derive(Serialize)]
struct Document<'a> {
    account: &'a str,
    folder: String,
    messages: Messages<'a>,
}

/// A sequence that is read from the archive while it is written.
struct Messages<'a> {
    view: &'a View<'a>,
    mailboxes: &'a [MailboxInfo],
    when: When,
    /// An error of the archive, which serde has no place for.
    failed: &'a RefCell<Option<archive::Error>>,
}

#[derive(Serialize)]
struct MessageRow<'a> {
    id: String,
    uid: u32,
    uid_validity: Option<u32>,
    /// Only where a POP3 server has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    uidl: Option<String>,
    size: u64,
    internal_date: Option<String>,
    internal_date_raw: &'a str,
    /// Only with POP3, which tells no received date.
    #[serde(skip_serializing_if = "Option::is_none")]
    internal_date_source: Option<&'static str>,
    flags: Vec<&'a str>,
    subject: &'a str,
    from: &'a str,
    date: Option<String>,
    on_server: bool,
    /// Only where damage has taken it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    lost: bool,
}

impl Serialize for Messages<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(None)?;
        let mut written = Ok(());
        for mailbox in self.mailboxes {
            let read = self.view.epochs(mailbox.id).and_then(|epochs| {
                let epochs: HashMap<_, _> = epochs.into_iter().map(|epoch| (epoch.id, epoch)).collect();
                let mut starts = RunStarts { view: self.view, known: HashMap::new() };
                self.view.placements(mailbox.id, self.when, &mut |placement| {
                    let epoch = epochs.get(&placement.epoch);
                    let mut row = row(&placement, epoch.and_then(|epoch| epoch.validity));
                    if epoch.is_some_and(|epoch| epoch.pop3) {
                        row.internal_date_source = Some(starts.source_of(&placement));
                    }
                    written = sequence.serialize_element(&row);
                    if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                })
            });
            if let Err(error) = read {
                self.failed.replace(Some(error));
                return Err(serde::ser::Error::custom("the archive cannot be read"));
            }
            written = match written {
                Ok(()) => Ok(()),
                Err(error) => return Err(error),
            };
        }
        sequence.end()
    }
}

fn row(placement: &PlacementInfo, validity: Option<message::UidValidity>) -> MessageRow<'_> {
    MessageRow {
        id: placement.message.to_string(),
        uid: placement.uid.get(),
        uid_validity: validity.map(message::UidValidity::get),
        uidl: placement.uidl.as_ref().map(message::Uidl::to_string),
        size: placement.size,
        internal_date: with_offset(&placement.internal_date),
        internal_date_raw: placement.internal_date.raw(),
        internal_date_source: None,
        flags: placement.flags.iter().collect(),
        subject: &placement.fields.subject,
        from: &placement.fields.from,
        date: placement.fields.date.and_then(rfc3339),
        on_server: placement.last_run.is_none(),
        lost: placement.lost,
    }
}

/// When runs began, in seconds since 1970.
struct RunStarts<'a> {
    view: &'a View<'a>,
    known: HashMap<RunId, Option<i64>>,
}

impl RunStarts<'_> {
    /// Where the received date of a message comes from that was had by POP3.
    fn source_of(&mut self, placement: &PlacementInfo) -> &'static str {
        let begun = self.known.entry(placement.first_run).or_insert_with_key(|&run| {
            let run = self.view.run(run).ok().flatten()?;
            Some(run.started_ms.div_euclid(1_000))
        });
        match placement.internal_date.unix() {
            Some(unix) if Some(unix) == *begun => "fetched",
            Some(unix) if Some(unix) == placement.fields.date => "date",
            _ => "received",
        }
    }
}

/// RFC 3339 in the zone that the server used.
pub(super) fn with_offset(date: &message::InternalDate) -> Option<String> {
    let (unix, minutes) = (date.unix()?, date.offset_minutes()?);
    let offset = jiff::tz::Offset::from_seconds(i32::from(minutes) * 60).ok()?;
    let at = jiff::Timestamp::from_second(unix).ok()?;
    Some(at.display_with_offset(offset).to_string())
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use archive::{Archive, MailboxSeen, NewPlacement, PopName, Proof, Writer, WriterOptions};
    use message::split::Splitter;
    use message::{Flags, InternalDate, MailboxName, MessageKey, Uid, UidValidity, Uidl};

    use super::*;

    /// An archive with one message in INBOX, once had by POP3 under an odd unique-id, and once by IMAP.
    pub(in super::super) fn had_both_ways() -> (tempfile::TempDir, Archive, MessageKey) {
        let folder = tempfile::tempdir().unwrap();
        archive::init(folder.path()).unwrap();
        let mut writer = Writer::open(folder.path(), WriterOptions::default()).unwrap();
        let account = writer.account("work", "pop3").unwrap();
        writer.begin_run(account, 0).unwrap();
        let seen = MailboxSeen::named(MailboxName::from_text("INBOX", None));
        let mailbox = writer.mailbox(account, &seen).unwrap();
        let mut splitter = Splitter::new();
        let mut pieces = Vec::new();
        splitter.push(b"Subject: hi\r\n\r\nHello\r\n", &mut |piece| pieces.push(piece));
        let message = splitter.finish(&mut |piece| pieces.push(piece)).unwrap();
        for piece in pieces {
            writer.put_blob(piece).unwrap();
        }
        writer.put_message(&message).unwrap();
        let epoch = writer.pop3_epoch(mailbox).unwrap();
        let uidl = Uidl::new(b"00 caf\xe9\x1b[2J");
        writer.name(epoch, &[PopName { uid: Uid::MIN, uidl, octets: 22 }]).unwrap();
        for epoch in [epoch, writer.epoch(mailbox, UidValidity::new(9)).unwrap()] {
            let placed = NewPlacement {
                message: message.key,
                internal_date: InternalDate::from_unix(0, 0),
                flags: Flags::new(),
                proof: Proof::Bytes,
            };
            writer.place(epoch, Uid::MIN, placed).unwrap();
        }
        writer.commit().unwrap();
        drop(writer);
        let archive = Archive::open(folder.path()).unwrap();
        (folder, archive, message.key)
    }

    #[test]
    fn p02_what_a_pop3_server_calls_a_message_is_shown_escaped_and_left_out_where_there_is_none() {
        let (_folder, archive, _) = had_both_ways();
        let view = archive.view();
        let account = known_account(&view, "work").unwrap();
        let mailboxes = mailboxes_of_name(&view, &account, "INBOX", When::default()).unwrap();
        let failed = RefCell::new(None);
        let messages =
            Messages { view: &view, mailboxes: &mailboxes, when: When::default(), failed: &failed };
        let listed = serde_json::to_value(messages).unwrap();
        let listed: Vec<_> = listed
            .as_array()
            .unwrap()
            .iter()
            .map(|row| (row["uid_validity"].as_u64(), row.get("uidl").map(|uidl| uidl.as_str().unwrap())))
            .collect();
        assert_eq!(listed, [(Some(9), None), (None, Some("00 caf\\xe9\\u{1b}[2J"))]);
    }

    #[test]
    fn where_the_received_date_of_pop3_comes_from_is_told() {
        let (_folder, archive, _) = had_both_ways();
        let view = archive.view();
        let account = known_account(&view, "work").unwrap();
        let mailboxes = mailboxes_of_name(&view, &account, "INBOX", When::default()).unwrap();
        let mut placements = Vec::new();
        let mut each = |placement: PlacementInfo| {
            placements.push(placement);
            ControlFlow::Continue(())
        };
        view.placements(mailboxes[0].id, When::default(), &mut each).unwrap();
        let mut placement = placements.pop().unwrap();
        let begun = view.run(placement.first_run).unwrap().unwrap().started_ms / 1_000;
        let mut starts = RunStarts { view: &view, known: HashMap::new() };
        let mut source = |received: i64, written: Option<i64>| {
            placement.internal_date = InternalDate::from_unix(received, 0);
            placement.fields.date = written;
            starts.source_of(&placement)
        };
        assert_eq!(source(begun, Some(begun)), "fetched");
        assert_eq!(source(begun + 5, Some(begun + 5)), "date");
        assert_eq!(source(begun + 5, None), "received");
    }

    #[test]
    fn a_received_date_keeps_its_zone() {
        let date = InternalDate::parse("17-Jul-1996 02:44:25 -0700");
        assert_eq!(with_offset(&date).as_deref(), Some("1996-07-17T02:44:25-07:00"));
        assert_eq!(with_offset(&InternalDate::parse("gestern")), None);
    }
}
