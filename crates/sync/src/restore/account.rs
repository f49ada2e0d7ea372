//! An account: its folders one after the other and several at a time, and a last question at the end.
//!
//! First everything is looked at and nothing is changed ([`places`]). Then folders are restored by a
//! few workers, each with two connections of its own; a worker that the server does not let in is done
//! without. What ends the whole restore (a full target, a broken archive, a lost patience) stops the
//! others too. At the very end, when the connections that wrote are closed, the target is asked once
//! more how much is in each mailbox: what was taken and is gone by then is told.

use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};

use archive::MailboxId;
use futures::future::join_all;
use remote::imap::Session;

use super::error::RestoreError;
use super::folder::{Folder, ProvenState};
use super::line::Line;
use super::look::{Depth, look};
use super::places::{self, Place, Places};
use super::report::{FolderReport, Remark, RestoreReport};
use super::wanted::{self, Wanted};
use super::{Room, Verify, steps};

/// Restores every wanted folder. The report is filled as far as it comes.
pub(super) async fn restore(room: &Room<'_>, report: &mut RestoreReport) -> Result<(), RestoreError> {
    let sources = places::sources(room).await?;
    if room.job.endpoint.is_plain_and_remote() {
        report.warnings.push("the connection is not encrypted (allow_plaintext)".to_owned());
    }
    let mut line = Line::default();
    let Places { target, places, room_left } = loop {
        let prepared = match line.writing(room).await {
            Ok(writing) => places::find(room, writing, &sources).await,
            Err(error) => Err(error),
        };
        match prepared {
            Ok(places) => break places,
            Err(error) => line.cut(room, error).await?,
        }
    };
    report.target = target;
    report.folders = places.iter().map(Place::unreached).collect();
    let (messages, bytes) = totals(room, &places).await?;
    room.progress.asked(places.len(), messages, bytes);
    let shared = Shared {
        proven: RefCell::new(Vec::new()),
        folders: RefCell::new(std::mem::take(&mut report.folders)),
        fatal: RefCell::new(None),
        queue: RefCell::new((0..places.len()).collect()),
        places,
    };
    let workers = room.job.connections.clamp(1, shared.places.len().max(1));
    let mut lines: Vec<Line> = (1..workers).map(|_| Line::default()).collect();
    lines.insert(0, line);
    join_all(lines.into_iter().enumerate().map(|(number, line)| shared.work(room, line, number))).await;
    let Shared { proven, folders, fatal, places, .. } = shared;
    report.folders = folders.into_inner();
    if let Some(error) = fatal.into_inner() {
        return Err(error);
    }
    if let Some(left) = room_left.filter(|_| room.job.dry_run) {
        let needed: u64 = report.folders.iter().map(|folder| folder.bytes_sent).sum();
        if needed > left {
            let warning =
                format!("{needed} octets would be sent, and the target's quota has room for {left}");
            report.warnings.push(warning);
        }
    }
    last_question(room, &places, proven.into_inner(), report).await
}

/// What the workers share.
struct Shared {
    places: Vec<Place>,
    /// Places that are not begun, by number.
    queue: RefCell<VecDeque<usize>>,
    folders: RefCell<Vec<FolderReport>>,
    proven: RefCell<Vec<(usize, ProvenState)>>,
    /// The first thing that ended it all.
    fatal: RefCell<Option<RestoreError>>,
}

impl Shared {
    async fn work(&self, room: &Room<'_>, mut line: Line, number: usize) {
        if number > 0
            && let Err(error) = line.reading(room).await
        {
            tracing::info!(account = %room.job.account, %error, "goes on with fewer connections");
            return;
        }
        loop {
            let Some(next) = self.queue.borrow_mut().pop_front() else { break };
            if let Err(error) = self.one(room, &mut line, next).await {
                room.halted.set(true);
                // The others end because of the first.
                if !matches!(error, RestoreError::Halted) {
                    self.fatal.borrow_mut().get_or_insert(error);
                }
                break;
            }
        }
        line.hang_up().await;
    }

    /// One folder. Its report is in its place in any case; an error ends the whole restore.
    async fn one(&self, room: &Room<'_>, line: &mut Line, number: usize) -> Result<(), RestoreError> {
        room.may_go_on()?;
        let place = &self.places[number];
        if !place.is_restored() {
            return Ok(());
        }
        room.progress.folder_begins(&place.source.name.text());
        let wanted = load(room, place).await?;
        let mut folder = Folder::new(place.name.clone(), wanted, place.report());
        folder.is_planned = place.is_planned;
        let result = steps::restore(room, line, &mut folder).await;
        folder.report.error = result.as_ref().err().map(ToString::to_string);
        let report = if room.job.dry_run { folder.into_plan() } else { folder.into_report() };
        room.progress.folder_ends(&report);
        self.folders.borrow_mut()[number] = report;
        match result {
            Ok(proven) => self.proven.borrow_mut().extend(proven.map(|proven| (number, proven))),
            Err(error) if error.is_of_one_folder() => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// How much is asked for.
async fn totals(room: &Room<'_>, places: &[Place]) -> Result<(u64, u64), RestoreError> {
    let restored = places.iter().filter(|place| place.is_restored());
    let folders: Vec<Vec<MailboxId>> = restored.map(|place| place.source.mailboxes.clone()).collect();
    let (when, only) = (room.job.when, room.job.only.clone());
    let sum = room.reader.ask(move |view| {
        folders.iter().try_fold((0, 0), |sum, mailboxes| {
            let (messages, bytes) = wanted::count(view, mailboxes, when, only.as_ref())?;
            Ok((sum.0 + messages, sum.1 + bytes))
        })
    });
    sum.await
}

async fn load(room: &Room<'_>, place: &Place) -> Result<Vec<Wanted>, RestoreError> {
    let (mailboxes, when) = (place.source.mailboxes.clone(), room.job.when);
    let only = room.job.only.as_ref().map(|only| {
        let of_ours = |&mailbox: &MailboxId| Some((mailbox, only.get(&mailbox)?.clone()));
        mailboxes.iter().filter_map(of_ours).collect()
    });
    let beside = place.beside.clone();
    let wanted = room
        .reader
        .ask(move |view| wanted::of_folder(view, &mailboxes, when, only.as_ref(), beside.as_deref()));
    wanted.await
}

/// Asks over a new connection whether what was proven is still there (R16).
async fn last_question(
    room: &Room<'_>,
    places: &[Place],
    proven: Vec<(usize, ProvenState)>,
    report: &mut RestoreReport,
) -> Result<(), RestoreError> {
    if proven.is_empty() || room.job.verify == Verify::Off {
        return Ok(());
    }
    let mut line = Line::default();
    for (number, state) in proven {
        loop {
            let session = match line.reading(room).await {
                Ok(session) => session,
                Err(error) => {
                    line.cut(room, error).await?;
                    continue;
                }
            };
            match still_there(room, session, &places[number], state, &mut report.folders[number]).await {
                Ok(()) => break,
                Err(error) if error.is_of_one_folder() => {
                    report.folders[number].error = Some(error.to_string());
                    break;
                }
                Err(error) => line.cut(room, error).await?,
            }
        }
    }
    line.hang_up().await;
    Ok(())
}

async fn still_there(
    room: &Room<'_>,
    session: &mut Session,
    place: &Place,
    state: ProvenState,
    report: &mut FolderReport,
) -> Result<(), RestoreError> {
    let now = session.status(&place.name).await?;
    let is_same = state.validity.is_none_or(|validity| now.uid_validity == Some(validity));
    if is_same && u64::from(now.messages) >= state.messages {
        return Ok(());
    }
    let mut wanted = load(room, place).await?;
    let seen = look(&room.reader, session, &place.name, &mut wanted, Depth::Headers).await?;
    let named: HashSet<(String, u32)> =
        report.remarks.iter().map(|remark| (remark.id.clone(), remark.uid)).collect();
    let refused: HashSet<(String, u32)> =
        report.refused.iter().map(|refused| (refused.id.clone(), refused.uid)).collect();
    for (wanted, pair) in wanted.iter().zip(&seen.pairs) {
        let name = (wanted.key.to_string(), wanted.uid.get());
        if pair.is_some() || named.contains(&name) || refused.contains(&name) {
            continue;
        }
        let what = "taken, then gone: it was there when it was read back, and is no more".to_owned();
        report.remarks.push(Remark { id: name.0, uid: name.1, what });
        report.proven = report.proven.saturating_sub(1);
        report.proven_by_bytes = report.proven_by_bytes.min(report.proven);
    }
    Ok(())
}
