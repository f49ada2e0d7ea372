//! An account: its folders one after the other and several at a time, and a last question at the end.
//!
//! First everything is looked at and nothing is changed ([`places`]). Then folders are restored by a
//! few workers, each with two connections of its own; a worker that the server does not let in is done
//! without. What ends the whole restore (a full target, a broken archive, a lost patience) stops the
//! others too. At the very end, when the connections that wrote are closed, the target is asked once
//! more how much is in each mailbox: what was taken and is gone by then is told.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet, VecDeque};

use archive::MailboxId;
use futures::future::join_all;
use message::MailboxName;
use remote::imap::{Session, Status};

use super::error::RestoreError;
use super::folder::{Folder, ProvenState};
use super::line::Line;
use super::look::{Depth, look};
use super::places::{self, Place, Places};
use super::report::{FolderReport, Remark, RestoreReport};
use super::wanted::{self, Wanted};
use super::{Room, steps};

/// Restores every wanted folder. The report is filled as far as it comes.
pub(super) async fn restore(room: &Room<'_>, report: &mut RestoreReport) -> Result<(), RestoreError> {
    if room.job.endpoint.is_plain_and_remote() {
        report.warnings.push("the connection is not encrypted (allow_plaintext)".to_owned());
    }
    let mut line = Line::default();
    let Places { target, places, room_left } = find_places(room, &mut line).await?;
    report.target = target;
    let (messages, bytes) = totals(room, &places).await?;
    room.progress.asked(places.len(), messages, bytes);
    let shared = Shared {
        queue: RefCell::new((0..places.len()).collect()),
        folders: RefCell::new(places.iter().map(Place::unreached).collect()),
        proven: RefCell::default(),
        given_back: RefCell::default(),
        fatal: RefCell::default(),
        places,
    };
    shared.work_off(room, line).await;
    let Shared { proven, folders, fatal, places, .. } = shared;
    report.folders = folders.into_inner();
    if let Some(error) = fatal.into_inner() {
        return Err(error);
    }
    if let Some(left) = room_left.filter(|_| room.job.dry_run) {
        let needed: u64 = report.folders.iter().map(|folder| folder.bytes_sent).sum();
        if needed > left {
            let quota = format!("{needed} octets would be sent, and the target's quota has room for {left}");
            report.warnings.push(quota);
        }
    }
    last_question(room, &places, proven.into_inner(), report).await
}

/// Where the folders go. Begun anew, it finds what it has made.
async fn find_places(room: &Room<'_>, line: &mut Line) -> Result<Places, RestoreError> {
    let sources = places::sources(room).await?;
    loop {
        let found = match line.writing(room).await {
            Ok(writing) => places::find(room, writing, &sources).await,
            Err(error) => Err(error),
        };
        match found {
            Ok(places) => return Ok(places),
            Err(error) => line.cut(room, error).await?,
        }
    }
}

/// What the workers share.
struct Shared {
    places: Vec<Place>,
    /// Places whose worker was cut off.
    given_back: RefCell<HashSet<usize>>,
    /// Places that are not begun, by number.
    queue: RefCell<VecDeque<usize>>,
    folders: RefCell<Vec<FolderReport>>,
    proven: RefCell<Vec<(usize, ProvenState)>>,
    /// The first thing that ended it all.
    fatal: RefCell<Option<RestoreError>>,
}

impl Shared {
    /// All folders, by as many workers as are wanted and the server lets in.
    async fn work_off(&self, room: &Room<'_>, first: Line) {
        let helpers = room.job.connections.clamp(1, self.places.len().max(1)) - 1;
        let helpers = (0..helpers).map(|_| self.help(room));
        tokio::join!(self.work(room, first), join_all(helpers));
        // A helper may have given a folder back when nobody was left to take it.
        if !self.queue.borrow().is_empty() && !room.halted.get() {
            self.work(room, Line::default()).await;
        }
    }

    /// Works with connections of its own, as long as the server gives them.
    async fn help(&self, room: &Room<'_>) {
        let mut line = Line::default();
        let is_in = match line.reading(room).await {
            Ok(_) if room.job.dry_run => Ok(()),
            Ok(_) => line.writing(room).await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = is_in {
            tracing::info!(account = %room.job.account, %error, "goes on with fewer connections");
            return;
        }
        while let Some(next) = self.next() {
            match self.one(room, &mut line, next).await {
                Ok(()) => {}
                Err(error) if error.is_a_cut() || matches!(error, RestoreError::NotNow(_)) => {
                    tracing::info!(account = %room.job.account, %error, "goes on with fewer connections");
                    self.queue.borrow_mut().push_front(next);
                    self.given_back.borrow_mut().insert(next);
                    return;
                }
                Err(error) => return self.end(room, error),
            }
        }
        line.hang_up().await;
    }

    async fn work(&self, room: &Room<'_>, mut line: Line) {
        while let Some(next) = self.next() {
            if let Err(error) = self.one(room, &mut line, next).await {
                return self.end(room, error);
            }
        }
        line.hang_up().await;
    }

    fn next(&self) -> Option<usize> {
        self.queue.borrow_mut().pop_front()
    }

    /// Ends the whole restore because of an error; the others end because of the first.
    fn end(&self, room: &Room<'_>, error: RestoreError) {
        room.halted.set(true);
        if !matches!(error, RestoreError::Halted) {
            self.fatal.borrow_mut().get_or_insert(error);
        }
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
        // What its first worker had sent may still be being stored.
        folder.is_unsettled = self.given_back.borrow().contains(&number);
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
    let mut line = Line::default();
    let mut open = VecDeque::from(proven);
    while !open.is_empty() {
        let asked = match line.reading(room).await {
            Ok(session) => still_there(room, session, places, &mut open, &mut report.folders).await,
            Err(error) => Err(error),
        };
        if let Err(error) = asked {
            line.cut(room, error).await?;
        }
    }
    line.hang_up().await;
    Ok(())
}

/// Compares the counts of mailboxes with those that were proven; takes out those that are done.
async fn still_there(
    room: &Room<'_>,
    session: &mut Session,
    places: &[Place],
    open: &mut VecDeque<(usize, ProvenState)>,
    folders: &mut [FolderReport],
) -> Result<(), RestoreError> {
    let listed = session.list().await?;
    let told: HashMap<MailboxName, Status> =
        listed.into_iter().filter_map(|mailbox| Some((mailbox.name, mailbox.status?))).collect();
    while let Some(&(number, state)) = open.front() {
        let name = &places[number].name;
        let now = match told.get(name) {
            Some(status) => Ok(status.clone()),
            None => session.status(name).await.map_err(RestoreError::from),
        };
        let checked = match now {
            Ok(now) => {
                let is_same = state.validity.is_none_or(|validity| now.uid_validity == Some(validity));
                if is_same && u64::from(now.messages) >= state.messages {
                    Ok(())
                } else {
                    find_gone(room, session, &places[number], &mut folders[number]).await
                }
            }
            Err(error) => Err(error),
        };
        match checked {
            Ok(()) => {}
            Err(error) if error.is_of_one_folder() => folders[number].error = Some(error.to_string()),
            Err(error) => return Err(error),
        }
        open.pop_front();
    }
    Ok(())
}

/// Names what is there no more, though it was when it was read back.
async fn find_gone(
    room: &Room<'_>,
    session: &mut Session,
    place: &Place,
    report: &mut FolderReport,
) -> Result<(), RestoreError> {
    let mut wanted = load(room, place).await?;
    let seen = look(&room.reader, session, &place.name, &mut wanted, &HashSet::new(), Depth::Headers).await?;
    let named = report.remarks.iter().map(|remark| (remark.id.clone(), remark.uid));
    let refused = report.refused.iter().map(|refused| (refused.id.clone(), refused.uid));
    let told: HashSet<(String, u32)> = named.chain(refused).collect();
    for (wanted, pair) in wanted.iter().zip(&seen.pairs) {
        let (id, uid) = (wanted.key.to_string(), wanted.uid.get());
        if pair.is_some() || told.contains(&(id.clone(), uid)) {
            continue;
        }
        let what = "taken, then gone: it was there when it was read back, and is no more".to_owned();
        report.remarks.push(Remark { id, uid, what });
        report.proven = report.proven.saturating_sub(1);
        report.proven_by_bytes = report.proven_by_bytes.min(report.proven);
    }
    Ok(())
}
