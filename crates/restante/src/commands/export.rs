//! `export`: messages written out as files.
//!
//! A message that is damaged is named and left out, the others are written; nothing that is already
//! in the target is overwritten.

use std::ops::ControlFlow;
use std::path::Path;

use archive::{MailboxInfo, PlacementInfo, View, When};
use formats::{ExportMessage, Exporter, Format};
use sync::FolderFilter;

use super::list::sorted_mailboxes;
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
    let mut mailboxes = sorted_mailboxes(view, &account)?;
    mailboxes.retain(|mailbox| filter.wants(&mailbox.name.text()));
    if mailboxes.is_empty() {
        return Err(Failure::words(
            Exit::Failed,
            "no folder of the account matches, so there is nothing to write",
        ));
    }
    let mut parts = Vec::new();
    for mailbox in mailboxes {
        let placements = placements(view, &mailbox, when)?;
        // A folder that is gone is written only for what is asked for of it.
        if !placements.is_empty() || mailbox.gone.is_none() && mailbox.selectable {
            parts.push((mailbox, placements));
        }
    }
    let names: Vec<Vec<String>> = parts.iter().map(|(mailbox, _)| mailbox.name.components()).collect();
    let mut exporter = formats::exporter(format(wanted.format), wanted.dir, &names)?;
    let mut reports = Vec::with_capacity(parts.len());
    for ((mailbox, placements), name) in parts.into_iter().zip(&names) {
        exporter.folder(name)?;
        reports.push(folder(view, exporter.as_mut(), mailbox.name.text(), &placements)?);
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

/// Oldest first, as mail is usually stored.
fn placements(view: &View<'_>, mailbox: &MailboxInfo, when: When) -> Result<Vec<PlacementInfo>, Failure> {
    let mut placements = Vec::new();
    view.placements(mailbox.id, when, &mut |placement| {
        placements.push(placement);
        ControlFlow::Continue(())
    })?;
    placements.reverse();
    Ok(placements)
}

fn folder(
    view: &View<'_>,
    exporter: &mut dyn Exporter,
    name: String,
    placements: &[PlacementInfo],
) -> Result<FolderReport, Failure> {
    let mut report = FolderReport { folder: name, ..FolderReport::default() };
    for placement in placements {
        let (id, uid) = (placement.message.to_string(), placement.uid.get());
        match view.read_to_vec(&placement.message) {
            Ok(bytes) => {
                let (flags, internal_date) = (&placement.flags, &placement.internal_date);
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
    }
    Ok(report)
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
