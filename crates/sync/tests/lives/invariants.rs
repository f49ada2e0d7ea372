//! What must be true after every step of a life, whatever has happened.
//!
//! 1. Nothing that was once readable is ever gone, and every message is one that the server had.
//! 2. The history is true: in a run that says of a folder that it is whole, the archive shows what lay
//!    there then, with flags and dates; and later steps never change that.
//! 3. The ledger adds up: `ok` only if every folder is there and whole.
//! 4. `verify` finds nothing.
//! 5. A message never counts as lying under a UID under which the server never had it, unless it was
//!    matched by its header and the bytes are not compared yet.
//!
//! That a healthy run brings everything, and a second one fetches nothing, is the end of each life.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use archive::{Archive, MailboxId, MailboxInfo, PlacementInfo, Proof, RunId, View, When};
use message::{MessageKey, Uid};
use restante_sync::{FolderLedger, Ledger, Outcome};

use crate::model::{Folder, Lying, Model, State};
use crate::world::{Hosting, World};

/// What is broken, in words.
pub(crate) type Broken = String;

/// A run that has come to its end.
pub(crate) struct Finished {
    pub(crate) started: i64,
    pub(crate) ledger: Ledger,
}

/// What a folder held in an earlier run, as the archive said right after it.
pub(crate) struct Witness {
    run: RunId,
    mailbox: MailboxId,
    held: Vec<PlacementInfo>,
}

impl Witness {
    pub(crate) fn new(run: RunId, (mailbox, held): (MailboxId, Vec<PlacementInfo>)) -> Self {
        Self { run, mailbox, held }
    }

    pub(crate) fn held(&self) -> &[PlacementInfo] {
        &self.held
    }
}

/// The archive as anybody finds it who opens it now, without damage.
pub(crate) fn opened<H: Hosting>(world: &World<H>) -> Result<Archive, Broken> {
    let archive = world.archive().map_err(|error| format!("the archive does not open: {error}"))?;
    match archive.damage() {
        damage if damage.is_empty() || world.disk_lied => Ok(archive),
        damage => Err(format!("damage is met on opening: {damage:?}")),
    }
}

/// `verify` reads every byte, puts every message together, and finds nothing.
pub(crate) fn verify_finds_nothing<H: Hosting>(world: &World<H>) -> Result<(), Broken> {
    let report = world.verify().map_err(|error| format!("verify: {error}"))?;
    // What a failed sync took with it was never acknowledged, and may show as a damaged end of a pack.
    match report.is_whole() || (world.disk_lied && report.messages_hit.is_empty()) {
        true => Ok(()),
        false => Err(format!("verify finds damage: {:?} {:?}", report.damage, report.messages_hit)),
    }
}

/// Whatever has happened: nothing is gone, and nothing was made up.
pub(crate) fn nothing_is_gone(view: View<'_>, model: &mut Model) -> Result<(), Broken> {
    let mut seen = BTreeSet::new();
    for mailbox in mailboxes(view)? {
        for placement in placements(view, mailbox.id, When { as_of: None, deleted: true })? {
            let (uid, key) = (placement.uid, placement.message);
            if model.may_be_torn(uid) {
                seen.insert(key);
                continue;
            }
            if !model.ever_had(&key) {
                return Err(format!("{} {uid}: the server never had {key}", mailbox.name.text()));
            }
            if placement.proof == Proof::Bytes && !model.ever_had_under(uid, &key) {
                return Err(format!("{} {uid}: the server never had {key} there", mailbox.name.text()));
            }
            seen.insert(key);
        }
    }
    for key in &model.committed {
        // That its bytes can be read is what `verify` sees.
        if !seen.contains(key) && !view.holds_message(key).map_err(told)? {
            return Err(format!("{key} was in the archive and is gone"));
        }
    }
    model.committed.append(&mut seen);
    Ok(())
}

/// What a run says of itself is true, and the archive shows it.
pub(crate) fn run_is_true(
    view: View<'_>,
    model: &Model,
    finished: &Finished,
    witnesses: &mut Vec<Witness>,
) -> Result<(), Broken> {
    let Finished { started, ledger } = finished;
    let error = ledger.error.as_deref().unwrap_or_default();
    if error.contains("fault in restante itself") || error.contains("taken longer than") {
        return Err(error.to_owned());
    }
    let account = view.account("life").map_err(told)?;
    let runs = account.map_or(Ok(Vec::new()), |account| view.runs(account.id, 200)).map_err(told)?;
    let run = runs.iter().find(|run| run.started_ms == *started && run.outcome.is_some());
    let Some(run) = run else {
        // A run that cannot record its end has failed, and says so.
        let failed = ledger.outcome == Outcome::Failed || ledger.error.is_some();
        return if failed { Ok(()) } else { Err("the run is not in the archive".to_owned()) };
    };
    let known = mailboxes(view)?;
    for entry in ledger.folders.iter().filter(|entry| entry.is_whole()) {
        let mailbox =
            known.iter().find(|mailbox| mailbox.gone.is_none() && mailbox.name.text() == entry.folder);
        let mailbox = mailbox.ok_or_else(|| format!("{} is whole and not in the archive", entry.folder))?;
        let held = placements(view, mailbox.id, When { as_of: Some(run.id), deleted: false })?;
        if entry.unconfirmed > 0 {
            awaits_confirmation(model, entry, &held)?;
            continue;
        }
        // A server that was put back may show, by coincidence, the numbers of another state; the folder is
        // not opened then, until the weekly look at everything.
        let not_opened = entry.new + entry.vanished + entry.bytes_fetched + entry.flags_changed == 0;
        if !(not_opened && model.may_look_unchanged(&entry.folder)) {
            folder_is_true(view, model, entry, &held)?;
        }
        witnesses.push(Witness { run: run.id, mailbox: mailbox.id, held });
    }
    if ledger.outcome == Outcome::Ok {
        everything_is_there(model, ledger, &known)?;
    }
    Ok(())
}

/// The archive shows what lay in the folder at some moment of the run.
fn folder_is_true(
    view: View<'_>,
    model: &Model,
    entry: &FolderLedger,
    held: &[PlacementInfo],
) -> Result<(), Broken> {
    let folder = &entry.folder;
    let uids: BTreeSet<Uid> = held.iter().map(|placement| placement.uid).collect();
    let states: Vec<_> = model.states.iter().filter_map(|state| state.get(folder)).collect();
    if !states.iter().any(|state| state.uids() == uids) {
        let then: Vec<_> = states.iter().map(|state| state.uids()).collect();
        return Err(format!("{folder} is whole with {uids:?}, and on the server are {then:?}"));
    }
    if entry.archived != held.len() as u64 || entry.on_server != entry.archived {
        return Err(format!("{folder}: {} are held; the ledger says {entry:?}", held.len()));
    }
    for placement in held {
        let lying: Vec<&Lying> =
            states.iter().filter_map(|state| state.messages.get(&placement.uid)).collect();
        message_is_true(model, folder, placement, &lying)?;
        if !view.holds_message(&placement.message).map_err(told)? {
            return Err(format!("{folder} {}: the bytes are not there", placement.uid));
        }
    }
    Ok(())
}

/// The folder has another UIDVALIDITY, and much of what it held did not come again. It stays in the
/// history until the next run finds the same; what is there now is there all the same.
fn awaits_confirmation(model: &Model, entry: &FolderLedger, held: &[PlacementInfo]) -> Result<(), Broken> {
    let held: BTreeSet<(Uid, MessageKey)> = held.iter().map(|one| (one.uid, one.message)).collect();
    let is_held = |folder: &Folder| {
        let mut lying = folder.messages.iter();
        lying
            .all(|(uid, lying)| held.iter().any(|(at, key)| at == uid && model.may_be(*uid, &lying.key, key)))
    };
    let mut states = model.states.iter().filter_map(|state| state.get(&entry.folder));
    let is_true = |folder: &Folder| is_held(folder) && folder.messages.len() as u64 == entry.archived;
    match states.any(is_true) {
        true => Ok(()),
        false => Err(format!("{}: not all that is on the server is held; {entry:?}", entry.folder)),
    }
}

fn message_is_true(
    model: &Model,
    folder: &str,
    placement: &PlacementInfo,
    lying: &[&Lying],
) -> Result<(), Broken> {
    let uid = placement.uid;
    let by_header = placement.proof == Proof::Header;
    if !by_header && !lying.iter().any(|lying| model.may_be(uid, &lying.key, &placement.message)) {
        let there: Vec<_> = lying.iter().map(|lying| lying.key.to_string()).collect();
        return Err(format!("{folder} {uid}: held is {}, there is {there:?}", placement.message));
    }
    let is_torn = model.may_be_torn(uid);
    let tells_flags = model.tells_flags(folder) && !model.untrue_flags.contains(&uid) && !is_torn;
    if tells_flags && !lying.iter().any(|lying| lying.flags == placement.flags) {
        let there: Vec<_> = lying.iter().map(|lying| lying.flags.to_string()).collect();
        return Err(format!("{folder} {uid}: flags are ({}), on the server {there:?}", placement.flags));
    }
    let same_date = |lying: &&Lying| lying.date.unix() == placement.internal_date.unix();
    let tells_date = !model.untrue_dates.contains(&uid) && !is_torn;
    if tells_date && !lying.iter().any(same_date) {
        let there: Vec<_> = lying.iter().map(|lying| lying.date.raw().to_owned()).collect();
        return Err(format!(
            "{folder} {uid}: date is {}, on the server {there:?}",
            placement.internal_date.raw()
        ));
    }
    Ok(())
}

/// A run that is `ok` has every folder, and each is whole.
fn everything_is_there(model: &Model, ledger: &Ledger, known: &[MailboxInfo]) -> Result<(), Broken> {
    if let Some(entry) = ledger.folders.iter().find(|entry| !entry.is_whole()) {
        return Err(format!("the run is ok, and a folder is not whole: {entry:?}"));
    }
    let names = |state: &State| state.keys().cloned().collect::<BTreeSet<_>>();
    let on_server: Vec<_> = model.states.iter().map(names).collect();
    let told: BTreeSet<String> = ledger.folders.iter().map(|entry| entry.folder.clone()).collect();
    // A level of the hierarchy without messages is recorded as structure, and is no folder.
    let live = known.iter().filter(|mailbox| mailbox.gone.is_none() && mailbox.selectable);
    let held: BTreeSet<String> = live.map(|mailbox| mailbox.name.text()).collect();
    if !on_server.contains(&told) {
        return Err(format!("the run is ok with {told:?}, and on the server are {on_server:?}"));
    }
    if !on_server.contains(&held) {
        return Err(format!("the archive believes in {held:?}, and on the server are {on_server:?}"));
    }
    Ok(())
}

/// What the archive said of earlier runs it says still.
pub(crate) fn history_stands(view: View<'_>, witnesses: &[Witness]) -> Result<(), Broken> {
    let essence = |held: &[PlacementInfo]| {
        let essence = held.iter().map(|one| (one.uid, one.message, one.flags.to_string()));
        essence.collect::<BTreeSet<(Uid, MessageKey, String)>>()
    };
    for Witness { run, mailbox, held } in witnesses {
        let now = placements(view, *mailbox, When { as_of: Some(*run), deleted: false })?;
        if essence(held) != essence(&now) {
            return Err(format!(
                "history has changed: as of {run:?} mailbox {mailbox:?} held {:?}, and now {:?}",
                essence(held),
                essence(&now)
            ));
        }
    }
    Ok(())
}

/// How many placements wait for their proof by bytes.
pub(crate) fn unproven(view: View<'_>) -> Result<u64, Broken> {
    let account = view.account("life").map_err(told)?;
    account.map_or(Ok(0), |account| view.unproven_count(account.id)).map_err(told)
}

/// What INBOX of the account holds.
pub(crate) fn in_inbox(
    view: View<'_>,
    when: When,
) -> Result<Option<(MailboxId, Vec<PlacementInfo>)>, Broken> {
    let inbox = mailboxes(view)?.into_iter().find(|mailbox| mailbox.name.text() == "INBOX");
    inbox.map(|inbox| Ok((inbox.id, placements(view, inbox.id, when)?))).transpose()
}

fn mailboxes(view: View<'_>) -> Result<Vec<MailboxInfo>, Broken> {
    let account = view.account("life").map_err(told)?;
    account.map_or(Ok(Vec::new()), |account| view.mailboxes(account.id)).map_err(told)
}

fn placements(view: View<'_>, mailbox: MailboxId, when: When) -> Result<Vec<PlacementInfo>, Broken> {
    let mut found = Vec::new();
    let mut each = |placement| {
        found.push(placement);
        ControlFlow::Continue(())
    };
    view.placements(mailbox, when, &mut each).map_err(told)?;
    Ok(found)
}

fn told(error: archive::Error) -> Broken {
    error.to_string()
}
