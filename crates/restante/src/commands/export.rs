//! `export`: messages written out as files.
//!
//! A message that is damaged is named and left out, the others are written; nothing that is already
//! in the target is overwritten.

use std::ops::ControlFlow;
use std::path::Path;

use archive::{AccountInfo, MailboxId, View, WantedMessage, When};
use formats::{ExportMessage, Exporter, Format};
use message::MailboxName;
use sync::FolderFilter;

use super::list::in_order;
use super::{Context, known_account, moment, read_archive};
use crate::cli::{Export, ExportFormat};
use crate::exit::{Exit, Failure, chain};
use crate::output::amount::{count, size};
use crate::output::{json, stdout};

/// What was written of one folder.
#[derive(Debug, Default, serde::Serialize)]
pub(super) struct FolderReport {
    folder: String,
    exported: u64,
    bytes: u64,
    damaged: Vec<Damaged>,
}

/// A message that could not be written, because it is not what was archived.
#[derive(Debug, serde::Serialize)]
struct Damaged {
    id: String,
    uid: u32,
    why: String,
}

impl From<formats::Error> for Failure {
    fn from(error: formats::Error) -> Self {
        Self::new(Exit::Failed, error)
    }
}

/// Of an account's mail, what is written where, and how.
pub(super) struct Wanted<'a> {
    pub(super) as_of: Option<&'a str>,
    pub(super) deleted: bool,
    pub(super) format: ExportFormat,
    pub(super) dir: &'a Path,
}

pub(super) fn run(context: &Context, what: &Export) -> Result<Exit, Failure> {
    let filter = FolderFilter::new(&what.part.folder, &what.part.exclude)
        .map_err(|error| Failure::new(Exit::Usage, error))?;
    let archive = read_archive(&context.reading_config()?)?;
    let wanted = Wanted {
        as_of: what.part.as_of.as_deref(),
        deleted: what.part.deleted,
        format: what.format,
        dir: &what.dir,
    };
    let reports = account(&archive.view(), &what.account, &filter, &wanted)?;
    report(context, what, &reports)?;
    let damaged = reports.iter().any(|folder| !folder.damaged.is_empty());
    Ok(if damaged { Exit::Damaged } else { Exit::Done })
}

/// Writes all wanted folders of an account.
pub(super) fn account(
    view: &View<'_>,
    name: &str,
    filter: &FolderFilter,
    wanted: &Wanted<'_>,
) -> Result<Vec<FolderReport>, Failure> {
    let account = known_account(view, name)?;
    let when = moment::when(view, &account, wanted.as_of, wanted.deleted)?;
    let mut folders = folders(view, &account, when)?;
    folders.retain(|folder| filter.wants(&folder.name.text()));
    if folders.is_empty() {
        let message = "no folder of the account matches, so there is nothing to write";
        return Err(Failure::words(Exit::Failed, message)
            .help("`restante list ACCOUNT` names its folders, with --as-of and --deleted those of then"));
    }
    let _span = tracing::error_span!("export", account = account.name).entered();
    let names: Vec<Vec<String>> = folders.iter().map(|folder| folder.name.components()).collect();
    let mut exporter = formats::exporter(format(wanted.format), wanted.dir, &names)?;
    let mut reports = Vec::with_capacity(folders.len());
    for (folder, name) in folders.iter().zip(&names) {
        exporter.folder(name)?;
        reports.push(write_folder(view, exporter.as_mut(), folder, when)?);
    }
    exporter.finish()?;
    Ok(reports)
}

fn format(format: ExportFormat) -> Format {
    match format {
        ExportFormat::Eml => Format::Eml,
        ExportFormat::Maildir => Format::Maildir,
        ExportFormat::Mbox => Format::Mbox,
    }
}

/// A folder, and the mailboxes that it was: more than one where one was deleted and made again.
struct Folder {
    name: MailboxName,
    lives: Vec<MailboxId>,
}

/// The folders that are written, by name. One that is gone is written only for what is asked for of it.
fn folders(view: &View<'_>, account: &AccountInfo, when: When) -> Result<Vec<Folder>, Failure> {
    let mut folders: Vec<Folder> = Vec::new();
    for mailbox in in_order(view.mailboxes_as_of(account.id, when)?) {
        let is_there = mailbox.gone.is_none() && mailbox.selectable;
        if !is_there && !holds_anything(view, mailbox.id, when)? {
            continue;
        }
        match folders.iter_mut().find(|folder| folder.name == mailbox.name) {
            Some(folder) => folder.lives.push(mailbox.id),
            None => folders.push(Folder { name: mailbox.name, lives: vec![mailbox.id] }),
        }
    }
    Ok(folders)
}

fn holds_anything(view: &View<'_>, mailbox: MailboxId, when: When) -> Result<bool, Failure> {
    let mut any = false;
    view.wanted(&[mailbox], when, &mut |_| {
        any = true;
        ControlFlow::Break(())
    })?;
    Ok(any)
}

/// Writes what a folder held in the order in which it came, each message as often as it lay there.
fn write_folder(
    view: &View<'_>,
    exporter: &mut dyn Exporter,
    folder: &Folder,
    when: When,
) -> Result<FolderReport, Failure> {
    let mut report = FolderReport { folder: folder.name.text(), ..FolderReport::default() };
    let mut written = Ok(());
    view.wanted(&folder.lives, when, &mut |message| {
        written = write_message(view, exporter, &message, &mut report);
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written.map(|()| report)
}

fn write_message(
    view: &View<'_>,
    exporter: &mut dyn Exporter,
    message: &WantedMessage,
    report: &mut FolderReport,
) -> Result<(), Failure> {
    let (id, uid) = (message.message.to_string(), message.uid.get());
    match view.read_to_vec(&message.message) {
        Ok(bytes) => {
            let (flags, internal_date) = (&message.flags, &message.internal_date);
            exporter.message(&ExportMessage { uid, key: &id, flags, internal_date }, &bytes)?;
            report.exported += 1;
            report.bytes += bytes.len() as u64;
        }
        Err(error) if error.is_damage() => {
            let why = chain(&error);
            tracing::error!(folder = report.folder, message_id = id, uid, "not exported: {why}");
            report.damaged.push(Damaged { id, uid, why });
        }
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

fn report(context: &Context, what: &Export, folders: &[FolderReport]) -> Result<(), Failure> {
    let sum = |part: fn(&FolderReport) -> u64| folders.iter().map(part).sum::<u64>();
    let (exported, bytes) = (sum(|folder| folder.exported), sum(|folder| folder.bytes));
    let damaged = sum(|folder| folder.damaged.len() as u64);
    if context.global.json {
        return Ok(json::write(
            &mut stdout(),
            &serde_json::json!({
                "account": what.account,
                "directory": what.dir.display().to_string(),
                "exported": exported, "bytes": bytes, "damaged": damaged,
                "folders": folders,
            }),
        )?);
    }
    context.say(&format!(
        "{} messages, {}, of {} folders written to {}",
        count(exported),
        size(bytes),
        count(folders.len() as u64),
        what.dir.display()
    ));
    if damaged > 0 {
        context.screen.say(&format!("{} messages are damaged and were not written", count(damaged)));
    }
    Ok(())
}
