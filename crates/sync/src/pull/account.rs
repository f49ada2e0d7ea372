//! An account, folder by folder, over connections that may be cut at any time.
//!
//! A cut costs what was on the line and nothing else: what had arrived is committed, the connection
//! is made anew after a pause that grows, and the folder goes on with what is still missing. Patience
//! ends only after several cuts in a row without one message gained. A message during whose fetch the
//! connection is cut again and again is fetched alone, then in slices, then left out by name. A
//! server that says that we ask too much is given time, and then asked for one thing at a time.

use std::collections::{HashMap, HashSet};

use archive::{EpochId, MailboxId, MailboxInfo, MailboxSeen, RunInfo};
use message::{MailboxName, Uid, UidSet};
use remote::Kind;
use remote::imap::{Listed, Session, Status};

use super::copies::Copies;
use super::folder::{self, FolderState, Prospect};
use super::line::Line;
use super::peek::Peek;
use super::{Context, RunError};
use crate::hints;
use crate::ledger::{FolderLedger, Ledger};
use crate::past::Past;
use crate::plan::ServerState;
use crate::recheck;
use crate::renames::{self, Fresh, Lost};

/// What the ledger says of a folder while it is worked on.
pub(super) const UNFINISHED: &str = "not finished in this run";

/// Pulls every wanted folder. The ledger is filled as far as the run comes.
pub(super) async fn pull(mut context: Context<'_>, ledger: &mut Ledger) -> Result<(), RunError> {
    let mut line = Line::default();
    let listed = line.list(&context).await?;
    let is_gmail = line.session.as_ref().is_some_and(|session| session.capabilities().gmail);
    if is_gmail && !listed.iter().any(|folder| folder.special_use.as_deref() == Some("\\All")) {
        ledger.warnings.push(hints::all_mail_is_hidden().to_owned());
    }
    line.shows_copies = listed.iter().any(shows_copies);
    let Choice { mut wanted, structure, names: listed_names } = choose(&context, listed, ledger);
    if wanted.is_empty() {
        ledger.warnings.push("no folder is wanted: nothing is backed up".to_owned());
    }
    line.look_into(&context, &mut wanted).await?;
    context.progress.folders(wanted.len());
    ledger.folders = wanted.iter().map(|folder| unreached(&folder.name)).collect();

    let account = context.account;
    let known = context.pipeline.ask(move |writer| writer.view().mailboxes(account)).await?;
    let finished_before = context.pipeline.ask(move |writer| writer.view().runs(account, 64)).await?;
    let run = context.run;
    let past = context.pipeline.ask(move |writer| Past::find(&writer.view(), account, run)).await?;
    let known: HashMap<_, _> = known.into_iter().map(|mailbox| (mailbox.name.clone(), mailbox)).collect();
    let unproven = count_unproven(&context, &known).await?;
    let sum: u64 = unproven.values().sum();
    let mut state = AccountState {
        known,
        unproven,
        may_match: finished_before.iter().any(is_done),
        past,
        to_prove: if sum == 0 { 0 } else { (sum / 100).max(20) },
        peek: Peek::default(),
        copies: Copies::default(),
        before: Before::find(&context, &finished_before),
    };
    follow_renames(&context, &mut line, &wanted, &listed_names, &mut state, ledger).await?;
    record_unseen(&context, &listed_names, &mut state, ledger).await?;
    record_structure(&context, structure).await?;

    let prospects: Vec<Prospect<'_>> = wanted.iter().map(|folder| state.prospect(&context, folder)).collect();
    for (position, prospect) in prospects.iter().enumerate() {
        let name = prospect.listed.name.text();
        // In its place from the beginning, so that it is true also when the run ends half-way.
        ledger.folders[position].error = Some(UNFINISHED.to_owned());
        let entry = &mut ledger.folders[position];
        let result = one_folder(&context, &mut line, &prospects[position..], &mut state, entry).await;
        match &result {
            Err(error) => entry.error = Some(error.to_string()),
            Ok(()) => entry.error = entry.error.take().filter(|error| error != UNFINISHED),
        }
        let (bytes_fetched, on_server) = (entry.bytes_fetched, entry.on_server);
        let notices = std::mem::take(&mut entry.notices);
        ledger.warnings.extend(notices.into_iter().map(|notice| format!("{name}: {notice}")));
        context.progress.folder_ends(&name);
        context.fetched_before += bytes_fetched;
        result?;
        if let Some(hint) = hints::shown_in_part(&context.job.endpoint.host, on_server, line.shows_all()) {
            ledger.warnings.push(format!("{name}: {hint}"));
        }
    }
    if state.peek == Peek::Marks {
        ledger.suspicious = true;
        ledger.warnings.push(
            "this server marks messages as read when a backup only looks at them (one or two were marked to \
             find out); unread messages are therefore left out until they are read"
                .to_owned(),
        );
    }
    line.hang_up().await;
    // It becomes durable with the end of the run, in one commit.
    context.pipeline.flush().await
}

/// What the archive knows of the account, and what this run may do with it.
pub(super) struct AccountState {
    pub(super) known: HashMap<MailboxName, MailboxInfo>,
    /// Per epoch, the placements that were matched by header and not yet proven; none where 0.
    pub(super) unproven: HashMap<EpochId, u64>,
    /// Content matching is for messages of earlier runs; a first run fetches everything.
    pub(super) may_match: bool,
    /// What the last run suspected.
    pub(super) past: Option<Past>,
    /// How many matches by header this run still proves by their bytes.
    pub(super) to_prove: u64,
    /// Whether looking at mail on this server leaves it unread.
    pub(super) peek: Peek,
    /// What this run has stored, by the server's id of its content.
    pub(super) copies: Copies,
    /// The newest run before this one that got as far as the folders.
    before: Option<Before>,
}

impl AccountState {
    /// A mailbox, before it is opened.
    fn prospect<'a>(&self, context: &Context<'_>, listed: &'a Listed) -> Prospect<'a> {
        let known = self.known.get(&listed.name);
        let epoch = known.and_then(|known| known.epoch.as_ref());
        let unproven = epoch.and_then(|epoch| self.unproven.get(&epoch.id)).copied().unwrap_or(0);
        let recheck = self.is_recheck_due(context, &listed.name);
        Prospect::new(listed, known, unproven, recheck, context.job.limits.remote.rows_per_command)
    }

    /// Whether this mailbox is to be looked at in full in this run.
    pub(super) fn is_recheck_due(&self, context: &Context<'_>, mailbox: &MailboxName) -> bool {
        Before::is_recheck_due(self.before.as_ref(), context, mailbox)
    }
}

/// An earlier run.
pub(super) struct Before {
    started_ms: i64,
    /// Folders that it did not complete.
    left_open: HashSet<String>,
}

impl Before {
    /// The newest of these runs that got as far as the folders, besides this one.
    pub(super) fn find(context: &Context<'_>, runs: &[RunInfo]) -> Option<Self> {
        runs.iter().find(|run| run.id != context.run && is_done(run)).map(Self::new)
    }

    /// Whether a mailbox is to be looked at in full, when this was the run before.
    pub(super) fn is_recheck_due(
        before: Option<&Self>,
        context: &Context<'_>,
        mailbox: &MailboxName,
    ) -> bool {
        let left_open = before.is_some_and(|before| before.left_open.contains(&mailbox.text()));
        let before_ms = before.map(|before| before.started_ms);
        let every = context.job.limits.recheck;
        recheck::is_due(mailbox, before_ms, context.started_ms, every) || left_open && !every.is_zero()
    }

    fn new(run: &RunInfo) -> Self {
        let ledger: serde_json::Value =
            run.ledger_json.as_deref().and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        let folders = ledger["folders"].as_array().into_iter().flatten();
        let left_open = folders
            .filter(|folder| folder["error"].is_string())
            .filter_map(|folder| folder["folder"].as_str().map(str::to_owned));
        Self { started_ms: run.started_ms, left_open: left_open.collect() }
    }
}

pub(super) fn is_done(run: &RunInfo) -> bool {
    run.outcome.as_deref().is_some_and(|word| word != "failed")
}

async fn count_unproven(
    context: &Context<'_>,
    known: &HashMap<MailboxName, MailboxInfo>,
) -> Result<HashMap<EpochId, u64>, RunError> {
    let epochs: Vec<EpochId> = known.values().filter_map(|mailbox| Some(mailbox.epoch?.id)).collect();
    let count = context.pipeline.ask(move |writer| {
        let view = writer.view();
        let counts = epochs.into_iter().map(|epoch| Ok((epoch, view.unproven(epoch)?.len())));
        counts.filter(|count| !matches!(count, Ok((_, 0)))).collect()
    });
    count.await
}

/// What the server lists, sorted.
struct Choice {
    /// Folders to be pulled, INBOX first.
    wanted: Vec<Listed>,
    /// Names that hold no messages: levels of the hierarchy, and what is only subscribed.
    structure: Vec<Listed>,
    /// All names under which messages may lie.
    names: Vec<MailboxName>,
}

/// Sorts the server's list, and names in the ledger what is left out.
fn choose(context: &Context<'_>, listed: Vec<Listed>, ledger: &mut Ledger) -> Choice {
    let mut choice = Choice { wanted: Vec::new(), structure: Vec::new(), names: Vec::new() };
    for folder in listed {
        let name = folder.name.text();
        let is_ours = !folder.outside && context.job.filter.wants(&name);
        if folder.selectable {
            choice.names.push(folder.name.clone());
        }
        match (folder.selectable, is_ours) {
            (true, true) => choice.wanted.push(folder),
            (true, false) => ledger.excluded.push(name),
            (false, true) => choice.structure.push(folder),
            (false, false) => {}
        }
    }
    choice.wanted.sort_by_key(|folder| !folder.name.is_inbox());
    choice
}

/// Whether this folder shows messages of other folders (RFC 6154).
fn shows_copies(folder: &Listed) -> bool {
    matches!(folder.special_use.as_deref(), Some("\\All" | "\\Flagged" | "\\Important"))
}

pub(super) fn unreached(name: &MailboxName) -> FolderLedger {
    FolderLedger { error: Some("not reached in this run".to_owned()), ..FolderLedger::new(name.text()) }
}

/// The first of these folders, through any number of cuts. An error ends the account's run; what
/// concerns only this folder is in its ledger entry.
async fn one_folder(
    context: &Context<'_>,
    line: &mut Line,
    prospects: &[Prospect<'_>],
    state: &mut AccountState,
    entry: &mut FolderLedger,
) -> Result<(), RunError> {
    let [prospect, others @ ..] = prospects else { return Ok(()) };
    let seen = mailbox_seen(prospect.listed);
    let account = context.account;
    let mailbox = context.pipeline.ask(move |writer| writer.mailbox(account, &seen)).await?;
    // Asked for only by a folder that is opened itself, so that each is passed over once.
    let next = match prospect.unchanged() {
        Some(_) => None,
        None => others.iter().find(|other| other.unchanged().is_none()),
    };
    let mut folder = FolderState::new(mailbox, prospect, state);
    loop {
        context.may_go_on(entry.bytes_fetched)?;
        folder.look_ahead(!line.cuts.any(), next);
        let session = line.connect(context).await?;
        let error = tokio::select! {
            biased;
            result = folder::pull(context, session, &mut folder, entry) => match result {
                Ok(()) => return Ok(()),
                Err(error) => error,
            },
            () = context.stop.wait() => RunError::Stopped,
        };
        let RunError::Remote(error) = error else { return Err(error) };
        if folder.has_progressed() {
            line.cuts.forgive();
        }
        if error.kind() == Kind::Refused {
            entry.error = Some(error.to_string());
            return Ok(());
        }
        // What has arrived is made durable, so that the folder goes on from there.
        context.pipeline.commit().await?;
        folder.note_cut(&context.job.limits.patience);
        line.cut_shared(context, error).await?;
    }
}

pub(super) fn mailbox_seen(listed: &Listed) -> MailboxSeen {
    MailboxSeen {
        name: listed.name.clone(),
        attributes: listed.attributes.clone(),
        special_use: listed.special_use.clone(),
        subscribed: listed.subscribed,
        object_id: listed.status.as_ref().and_then(|status| status.object_id.clone()),
        selectable: listed.selectable,
    }
}

pub(super) fn server_state(status: &Status) -> ServerState {
    ServerState {
        messages: status.messages,
        validity: status.uid_validity,
        uid_next: status.uid_next,
        modseq: status.highest_modseq,
    }
}

/// Finds mailboxes that were given another name, and records that, before their messages would be
/// taken for new ones.
async fn follow_renames(
    context: &Context<'_>,
    line: &mut Line,
    wanted: &[Listed],
    listed: &[MailboxName],
    state: &mut AccountState,
    ledger: &mut Ledger,
) -> Result<(), RunError> {
    let still_listed: HashSet<&MailboxName> = listed.iter().collect();
    let validity_now: HashMap<&MailboxName, &Status> =
        wanted.iter().filter_map(|folder| Some((&folder.name, folder.status.as_ref()?))).collect();
    let lost_its_name = |mailbox: &&MailboxInfo| {
        let epoch = mailbox.epoch.as_ref();
        let replaced = validity_now
            .get(&mailbox.name)
            .is_some_and(|status| epoch.is_some_and(|epoch| status.uid_validity != epoch.validity));
        mailbox.gone.is_none() && mailbox.live > 0 && (replaced || !still_listed.contains(&mailbox.name))
    };
    let mut lost: Vec<Lost<MailboxId, EpochId>> =
        state.known.values().filter(lost_its_name).filter_map(lost).collect();
    lost.sort_by_key(|lost| lost.mailbox);
    if lost.is_empty() {
        return Ok(());
    }
    let is_fresh =
        |folder: &Listed| state.known.get(&folder.name).is_none_or(|mailbox| mailbox.gone.is_some());
    let fresh: Vec<usize> = (0..wanted.len()).filter(|&index| is_fresh(&wanted[index])).collect();
    for index in fresh {
        let folder = &wanted[index];
        let session = line.connect(context).await?;
        let found = match confirm_rename(context, session, folder, &lost).await {
            Ok(found) => found,
            Err(RunError::Remote(error)) if error.kind() == Kind::Refused => None,
            Err(RunError::Remote(error)) => {
                line.cut_shared(context, error).await?;
                None
            }
            Err(error) => return Err(error),
        };
        let Some(mailbox) = found else { continue };
        lost.retain(|lost| lost.mailbox != mailbox);
        let seen = mailbox_seen(folder);
        context.pipeline.ask(move |writer| writer.rename_mailbox(mailbox, &seen)).await?;
        let old = state.known.values().find(|known| known.id == mailbox).map(|known| known.name.clone());
        if let Some(mut info) = old.and_then(|old| state.known.remove(&old)) {
            ledger.warnings.push(format!("{} is now called {}", info.name.text(), folder.name.text()));
            info.name = folder.name.clone();
            state.known.insert(folder.name.clone(), info);
        }
    }
    Ok(())
}

fn lost(mailbox: &MailboxInfo) -> Option<Lost<MailboxId, EpochId>> {
    let epoch = mailbox.epoch.as_ref();
    Some(Lost {
        mailbox: mailbox.id,
        epoch: epoch?.id,
        validity: epoch.and_then(|epoch| epoch.validity),
        object_id: mailbox.object_id.clone(),
        uid_next: epoch.and_then(|epoch| epoch.mark.as_ref()).and_then(|mark| mark.uid_next),
    })
}

async fn confirm_rename(
    context: &Context<'_>,
    session: &mut Session,
    folder: &Listed,
    lost: &[Lost<MailboxId, EpochId>],
) -> Result<Option<MailboxId>, RunError> {
    let status = match &folder.status {
        Some(status) => status.clone(),
        None => session.status(&folder.name).await?,
    };
    let fresh = Fresh {
        validity: status.uid_validity,
        object_id: status.object_id.clone(),
        uid_next: status.uid_next,
    };
    let suspects: Vec<&Lost<MailboxId, EpochId>> = renames::suspects(&fresh, lost).collect();
    if suspects.is_empty() {
        return Ok(None);
    }
    session.examine(&folder.name, None).await?;
    for suspect in suspects {
        if folder::has_the_messages_of(context, session, suspect.epoch).await? {
            return Ok(Some(suspect.mailbox));
        }
    }
    Ok(None)
}

/// Mailboxes that the server no longer lists. A list may be short by a fault, and rights may have been
/// withdrawn for a while: such a mailbox is "not visible" and nothing in it ends, until it was not
/// listed in several runs in a row. The archive keeps all that was in it in any case.
async fn record_unseen(
    context: &Context<'_>,
    listed: &[MailboxName],
    state: &mut AccountState,
    ledger: &mut Ledger,
) -> Result<(), RunError> {
    let listed: HashSet<&MailboxName> = listed.iter().collect();
    // What never held messages leaves no gap, and is recorded as structure.
    let mut unseen: Vec<&MailboxInfo> = state
        .known
        .values()
        .filter(|mailbox| mailbox.gone.is_none() && (mailbox.selectable || mailbox.live > 0))
        .filter(|mailbox| !listed.contains(&mailbox.name))
        .collect();
    unseen.sort_by_key(|mailbox| mailbox.id);
    for mailbox in unseen {
        let name = mailbox.name.text();
        let unseen_before = state.past.as_ref().map_or(0, |past| past.suspicion(&name).unseen);
        let runs = unseen_before.saturating_add(1);
        let is_wanted = context.job.filter.wants(&name) && mailbox.live > 0;
        if is_wanted && runs < context.job.limits.watchdog.unseen_runs {
            let error = format!(
                "not visible: the server does not list it (run {runs} of {}, then it counts as gone); \
                 its {} messages are kept",
                context.job.limits.watchdog.unseen_runs, mailbox.live
            );
            let entry = FolderLedger::new(name);
            ledger.folders.push(FolderLedger { not_visible: Some(runs), error: Some(error), ..entry });
            continue;
        }
        let id = mailbox.id;
        context.pipeline.ask(move |writer| writer.mailbox_gone(id)).await?;
        let text = format!("{name} is no longer on the server; its {} messages are kept", mailbox.live);
        ledger.warnings.push(text);
    }
    Ok(())
}

/// Records the names that hold no messages, so that a restore can make them again.
async fn record_structure(context: &Context<'_>, structure: Vec<Listed>) -> Result<(), RunError> {
    let account = context.account;
    let record = context.pipeline.ask(move |writer| {
        structure.iter().try_for_each(|level| writer.mailbox(account, &mailbox_seen(level)).map(|_| ()))
    });
    record.await
}

/// UIDs during whose fetch the connection was cut, and how often.
#[derive(Default)]
pub(super) struct Suspects(HashMap<Uid, u32>);

impl Suspects {
    /// The connection was cut when this one was on its way, if any was.
    pub(super) fn note(&mut self, on_its_way: Option<Uid>) {
        if let Some(uid) = on_its_way {
            *self.0.entry(uid).or_default() += 1;
        }
    }

    /// Those that were cut at least so often.
    pub(super) fn cut_at_least(&self, times: u32) -> UidSet {
        self.0.iter().filter(|&(_, &cuts)| cuts >= times).map(|(&uid, _)| uid).collect()
    }
}
