//! Damage of every kind, found, repaired, and healed by what the server still has.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use message::Uidl;

use super::*;
use crate::archive::snapshot;
use crate::open::{make_temporary, require_identity};

/// What a server has: folder, UID, number of the mail, flags.
pub(super) type Server = BTreeMap<&'static str, BTreeMap<u32, (u32, &'static str)>>;

/// Folder, UID.
pub(super) type Places = BTreeSet<(String, u32)>;

const FOLDERS: [&str; 3] = ["INBOX", "Lists", "Sent"];

/// A server with mail in three folders; some of it is in two of them.
fn server() -> Server {
    let mut server = Server::new();
    for number in 1..=60u32 {
        let folder = FOLDERS[number as usize % 3];
        let flags = ["", "\\Seen", "\\Flagged \\Seen"][number as usize % 3];
        server.entry(folder).or_default().insert(number, (number, flags));
        if number.is_multiple_of(5) {
            server.entry("Lists").or_default().insert(1000 + number, (number, flags));
        }
    }
    server
}

/// A run against it, as the pull does it: what the archive does not hold is fetched, what the server has not
/// has vanished, flags are compared. How many mails were fetched.
pub(super) fn sync(writer: &mut Writer, server: &Server) -> usize {
    let account = writer.account("work", "imap").unwrap();
    let run = writer.begin_run(account, 1_000).unwrap();
    let mut fetched = 0;
    for folder in FOLDERS {
        let Some(messages) = server.get(folder) else { continue };
        let mailbox = writer.mailbox(account, &seen(folder)).unwrap();
        let epoch = writer.epoch(mailbox, UidValidity::new(7)).unwrap();
        // A pull asks the view, which shows what is committed.
        writer.commit().unwrap();
        let (held, lost) = (writer.view().held_uids(epoch).unwrap(), writer.view().lost_uids(epoch).unwrap());
        let there: UidSet = messages.keys().map(|&number| uid(number)).collect();
        let mut believed = held.clone();
        believed.extend_from(&lost);
        writer.vanished(epoch, &believed.difference(&there)).unwrap();
        for number in there.difference(&held).iter() {
            let (mail_number, text) = messages[&number.get()];
            let key = put(writer, &mail(mail_number)).unwrap();
            let placed = NewPlacement { flags: flags(text), ..placement(key, mail_number) };
            writer.place(epoch, number, placed).unwrap();
            fetched += 1;
        }
        for (&number, (_, text)) in messages {
            writer.set_flags(epoch, uid(number), &flags(text)).unwrap();
        }
        let messages = there.len() as u32;
        writer.mark(epoch, &Mark { uid_next: Uid::new(2_000), highest_modseq: None, messages }).unwrap();
    }
    writer.end_run(run, "ok", 2_000, "{}").unwrap();
    writer.commit().unwrap();
    fetched
}

/// An archive of several packs and runs, with history: mail that has vanished, flags that have changed.
pub(super) fn lived() -> (World, Server) {
    let mut world = World::new();
    world.options.pack_bytes = 6_000;
    let mut now = server();
    let mut writer = world.writer();
    for part in 1..=4u32 {
        let so_far = now.iter().map(|(&folder, messages)| {
            let so_far = messages.iter().filter(|(_, (number, _))| *number <= part * 15);
            (folder, so_far.map(|(&uid, &message)| (uid, message)).collect())
        });
        sync(&mut writer, &so_far.collect());
    }
    for (number, message) in now.get_mut("INBOX").unwrap() {
        message.1 = if number.is_multiple_of(2) { "\\Answered" } else { message.1 };
    }
    for number in [3, 6, 45] {
        now.get_mut("INBOX").unwrap().remove(&number);
    }
    sync(&mut writer, &now);
    // A person was called, and the mail has been given back for trial.
    let account = writer.view().account("work").unwrap().unwrap().id;
    for run in writer.view().runs(account, 2).unwrap() {
        writer.alarm(account, run.id).unwrap();
    }
    let before = writer.view().runs(account, 2).unwrap().remove(1).id;
    writer.acknowledge(account, before).unwrap();
    writer.drilled(account, &drill(before, "partial")).unwrap();
    writer.drilled(account, &drill(before, "proven")).unwrap();
    writer.commit().unwrap();
    maildrop(&mut writer);
    assert!(world.packs().len() >= 4, "{:?}", world.packs());
    drop(writer);
    (world, now)
}

/// Some of the same mail had by POP3 as well: named in one commit, placed in the next. Its UIDs are those of
/// no other folder.
fn maildrop(writer: &mut Writer) {
    let account = writer.account("work", "imap").unwrap();
    for numbers in [1..9u32, 9..20] {
        let run = writer.begin_run(account, 1_000).unwrap();
        let mailbox = writer.mailbox(account, &seen("Maildrop")).unwrap();
        let epoch = writer.pop3_epoch(mailbox).unwrap();
        let numbers: Vec<u32> = numbers.filter(|number| !number.is_multiple_of(3)).collect();
        let names: Vec<PopName> = numbers
            .iter()
            .map(|&number| PopName {
                uid: uid(500 + number),
                uidl: Uidl::new(mail(number).split_at(40).1),
                octets: number.into(),
            })
            .collect();
        writer.name(epoch, &names).unwrap();
        writer.commit().unwrap();
        for number in numbers {
            let key = put(writer, &mail(number)).unwrap();
            writer.place(epoch, uid(500 + number), placement(key, number)).unwrap();
        }
        writer.end_run(run, "ok", 2_000, "{}").unwrap();
        writer.commit().unwrap();
    }
}

/// Which epochs are maildrops, and the names that were given in them.
fn names_given(view: View<'_>) -> Vec<(EpochId, Vec<PopName>)> {
    let mut named = Vec::new();
    for account in view.accounts().unwrap() {
        for mailbox in view.mailboxes(account.id).unwrap() {
            let epochs = view.epochs(mailbox.id).unwrap();
            let maildrops = epochs.into_iter().filter(|epoch| epoch.pop3);
            named.extend(maildrops.map(|epoch| (epoch.id, view.pop3_names(epoch.id).unwrap())));
        }
    }
    named
}

/// Everything in the archive, now and before: folder, UID, mail, flags, first and last run.
pub(super) fn everything(view: View<'_>) -> BTreeSet<(String, u32, MessageKey, String, u32, Option<u32>)> {
    let mut all = BTreeSet::new();
    for account in view.accounts().unwrap() {
        for mailbox in view.mailboxes(account.id).unwrap() {
            let when = When { as_of: None, deleted: true };
            view.placements(mailbox.id, when, &mut |info| {
                let (first, last) = (info.first_run.get(), info.last_run.map(RunId::get));
                let name = mailbox.name.text();
                all.insert((name, info.uid.get(), info.message, info.flags.to_string(), first, last));
                ControlFlow::Continue(())
            })
            .unwrap();
        }
    }
    all
}

/// The alarms that stand, and the last drill.
fn remarks(view: View<'_>) -> (Vec<RunId>, Option<DrillInfo>) {
    let account = view.account("work").unwrap().unwrap().id;
    let alarms = view.alarms(account).unwrap().iter().map(|run| run.id).collect();
    (alarms, view.last_drill(account).unwrap())
}

/// Which folders there were after each run, and how much they held.
fn folders(view: View<'_>) -> Vec<(u32, Vec<(String, u64)>)> {
    let account = view.account("work").unwrap().unwrap().id;
    let runs = view.runs(account, 100).unwrap();
    let then = |run: &RunInfo| {
        let when = When { as_of: Some(run.id), deleted: false };
        let mailboxes = view.mailboxes_as_of(account, when).unwrap();
        mailboxes.iter().map(|mailbox| (mailbox.name.text(), mailbox.live)).collect()
    };
    runs.iter().map(|run| (run.id.get(), then(run))).collect()
}

/// The same mailboxes as they were after each run, with the flags that they had then.
pub(super) fn history(view: View<'_>) -> Vec<Vec<(u32, MessageKey, String)>> {
    let account = view.account("work").unwrap().unwrap();
    let mut history = Vec::new();
    for run in view.runs(account.id, 100).unwrap() {
        for mailbox in view.mailboxes(account.id).unwrap() {
            history.push(listing(view, mailbox.id, When { as_of: Some(run.id), deleted: false }));
        }
    }
    history
}

/// Every place whose message does not come back byte for byte. Wrong bytes end the test.
pub(super) fn unreadable(view: View<'_>) -> Places {
    let mut bad = Places::new();
    for (folder, uid, key, ..) in everything(view) {
        match view.read_to_vec(&key) {
            Ok(bytes) => assert_eq!(MessageKey::of(&bytes), key),
            Err(error) => {
                assert!(error.is_damage() || matches!(error, Error::Io { .. }), "{error}");
                bad.insert((folder, uid));
            }
        }
    }
    bad
}

pub(super) fn places(hits: &[MessageHit]) -> Places {
    hits.iter().map(|hit| (hit.mailbox.clone(), hit.uid.get())).collect()
}

pub(super) fn verify_all(world: &World) -> VerifyReport {
    verify_at(&world.place, Depth::Full, None, &mut |_| {}).unwrap()
}

pub(super) fn repair_it(world: &World) -> RepairReport {
    repair_at(&world.place, world.surroundings.clone(), world.options, &mut |_| {}).unwrap()
}

/// The same archive on a disk of its own, with the same catalogue or without one.
pub(super) fn copy_of(world: &World, with_catalogue: bool) -> World {
    let mut copy = World::on(&world.disk.copy());
    copy.options = world.options;
    if with_catalogue {
        std::fs::copy(world.place.catalogue.as_ref().unwrap(), copy.place.catalogue.as_ref().unwrap())
            .unwrap();
    }
    copy
}

/// Numbers that look like chance and are the same each time.
struct Dice(blake3::OutputReader);

impl Dice {
    fn new(seed: u64) -> Self {
        Self(blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof())
    }

    fn below(&mut self, limit: usize) -> usize {
        let mut bytes = [0; 8];
        self.0.fill(&mut bytes);
        (u64::from_le_bytes(bytes) % limit.max(1) as u64) as usize
    }
}

/// Does one damage to the packs; what it was.
fn damage(world: &World, dice: &mut Dice) -> String {
    let packs = world.packs();
    let pack: &PathBuf = &packs[dice.below(packs.len())];
    let mut bytes = world.disk.read(pack);
    let name = pack.file_name().unwrap().to_string_lossy().into_owned();
    let at = dice.below(bytes.len());
    let what = match dice.below(12) {
        0..=4 if !bytes.is_empty() => {
            bytes[at] ^= 1 << dice.below(8);
            format!("a bit flipped at {at}")
        }
        5 | 6 => {
            let end = (at + 512).min(bytes.len());
            bytes[at..end].fill(0);
            format!("{at} to {end} zeroed")
        }
        7 => {
            let other = world.disk.read(&packs[dice.below(packs.len())]);
            let length = 700.min(bytes.len() - at).min(other.len());
            let from = dice.below(other.len() - length + 1);
            bytes[at..at + length].copy_from_slice(&other[from..from + length]);
            format!("{length} bytes of another pack at {at}")
        }
        8 => {
            bytes.truncate(at);
            format!("cut to {at}")
        }
        9 => {
            bytes.clear();
            "emptied".to_owned()
        }
        10 => {
            world.disk.unlink(pack);
            return format!("{name} is missing");
        }
        _ => {
            let other = &packs[dice.below(packs.len())];
            let theirs = world.disk.read(other);
            world.disk.write(other, &bytes);
            world.disk.write(pack, &theirs);
            return format!("{name} and {} swapped", other.file_name().unwrap().to_string_lossy());
        }
    };
    world.disk.write(pack, &bytes);
    format!("{name}: {what}")
}

/// One life: damage, verify, repair, a run, verify. `seed` says which damage.
fn live_through(whole: &World, server: &Server, seed: u64) {
    let mut dice = Dice::new(seed);
    let with_catalogue = dice.below(3) > 0;
    let world = copy_of(whole, with_catalogue);
    let truth = everything(whole.reader().view());
    let past = history(whole.reader().view());
    let (called, shown) = (remarks(whole.reader().view()), folders(whole.reader().view()));
    let names = names_given(whole.reader().view());
    let done: Vec<String> = (0..1 + seed % 3).map(|_| damage(&world, &mut dice)).collect();
    let story = format!("seed {seed}, catalogue {with_catalogue}: {done:?}");

    // What the packs alone still say; that their last commit was acknowledged, a catalogue knows.
    let rebuilt = packs_alone(&world, with_catalogue);
    let rebuilt_all = everything(rebuilt.view());
    let expected: Places = if with_catalogue {
        let beside = copy_of(&world, true);
        let knowing = beside.reader_of_catalogue();
        let mut expected = unreadable(knowing.view());
        let said: BTreeSet<_> =
            rebuilt_all.iter().map(|(folder, uid, key, ..)| (folder.as_str(), uid, key)).collect();
        // A folder whose record is lost is called so; what lies in it is there all the same.
        let is_said =
            |folder, uid, key| said.contains(&(folder, uid, key)) || said.contains(&("lost", uid, key));
        let forgotten = truth.iter().filter(|(folder, uid, key, ..)| !is_said(folder.as_str(), uid, key));
        expected.extend(forgotten.map(|(folder, uid, ..)| (folder.clone(), *uid)));
        expected
    } else {
        unreadable(rebuilt.view())
    };
    let report = verify_all(&world);
    let named =
        places(&report.messages_hit.iter().filter(|hit| hit.key.is_some()).cloned().collect::<Vec<_>>());
    assert_eq!(named, expected, "{story}: verify names exactly what is hit");
    let changed = everything(rebuilt.view()) != truth || !expected.is_empty();
    assert!(!changed || !report.is_whole() || !with_catalogue, "{story}: nothing goes unnoticed");

    let planned = rehearse_at(&world.place, &mut |_| {}).unwrap();
    let repaired = repair_it(&world);
    assert_eq!(planned.damage, repaired.damage, "{story}");
    assert_eq!(
        (planned.lost.clone(), planned.restated),
        (repaired.lost.clone(), repaired.restated),
        "{story}"
    );
    assert_eq!(repaired.damage.is_empty(), repaired.commit.is_none(), "{story}: {repaired:?}");
    let after = verify_all(&world);
    assert!(after.is_whole(), "{story}: {after:?}");
    assert_eq!(after.catalogue, CatalogueFinding::Ok, "{story}");
    assert_eq!(places(&after.messages_lost), places(&repaired.lost), "{story}");
    assert_eq!(unreadable(world.reader().view()), places(&repaired.lost), "{story}");
    if with_catalogue {
        assert_eq!(everything(world.reader().view()), truth, "{story}: all is known that was known");
        assert_eq!(history(world.reader().view()), past, "{story}: and when it was so");
        assert_eq!(remarks(world.reader().view()), called, "{story}: and what a person should know");
        assert_eq!(folders(world.reader().view()), shown, "{story}: and where it was");
        assert_eq!(names_given(world.reader().view()), names, "{story}: and what it was called");
    }
    let again = repair_it(&world);
    assert!(again.found_nothing(), "{story}: a second repair finds nothing to do: {again:?}");

    let mut writer = world.writer();
    assert!(writer.damage().is_empty(), "{story}: {:?}", writer.damage());
    sync(&mut writer, server);
    let held: BTreeMap<_, _> = FOLDERS.iter().map(|&folder| (folder, held(writer.view(), folder))).collect();
    let wanted: BTreeMap<_, BTreeMap<u32, MessageKey>> = FOLDERS
        .iter()
        .map(|&folder| {
            let messages = server.get(folder).into_iter().flatten();
            (folder, messages.map(|(&uid, (number, _))| (uid, MessageKey::of(&mail(*number)))).collect())
        })
        .collect();
    assert_eq!(held, wanted, "{story}: everything on the server is held again");
    drop(writer);
    let healed = verify_all(&world);
    assert!(healed.is_whole() && healed.catalogue == CatalogueFinding::Ok, "{story}: {healed:?}");
    assert!(healed.messages_lost.iter().all(|hit| !hit.on_server), "{story}: {:?}", healed.messages_lost);
    let still_lost = places(&healed.messages_lost);
    assert_eq!(unreadable(world.reader().view()), still_lost, "{story}");
    assert!(still_lost.is_subset(&places(&repaired.lost)), "{story}");
    // Without the catalogue nothing is different.
    let listed = everything(world.reader().view());
    world.drop_catalogue();
    assert_eq!(everything(world.reader().view()), listed, "{story}");
    assert_eq!(sync(&mut world.writer(), server), 0, "{story}: nothing is fetched twice");
}

/// Reads what the packs alone say.
fn packs_alone(world: &World, with_catalogue: bool) -> Archive {
    let id = require_identity(&world.place).unwrap();
    let vouched = with_catalogue.then(|| snapshot(&world.place, id).unwrap().unwrap().1);
    let opened = make_temporary(&world.place, id, vouched).unwrap();
    Archive::over(&world.place, id, opened.catalogue)
}

/// What can be given back of a folder's present state.
fn held(view: View<'_>, folder: &str) -> BTreeMap<u32, MessageKey> {
    let account = view.account("work").unwrap().unwrap();
    let mailboxes = view.mailboxes(account.id).unwrap();
    let mailbox = mailboxes.into_iter().find(|mailbox| mailbox.name.text() == folder).unwrap();
    let mut held = BTreeMap::new();
    for (uid, key, _) in listing(view, mailbox.id, When::default()) {
        if let Ok(bytes) = view.read_to_vec(&key) {
            assert_eq!(MessageKey::of(&bytes), key);
            held.insert(uid, key);
        }
    }
    held
}

impl World {
    /// Reads with the catalogue as it is, whatever the packs say.
    fn reader_of_catalogue(&self) -> Archive {
        let id = require_identity(&self.place).unwrap();
        let (catalogue, _) = snapshot(&self.place, id).unwrap().unwrap();
        Archive::over(&self.place, id, catalogue)
    }
}

#[test]
fn d11_d12_any_damage_is_named_exactly_repaired_and_healed_by_the_server() {
    let (whole, server) = lived();
    let lives = if std::env::var_os("RESTANTE_LONG").is_some() { 3_000 } else { 60 };
    for seed in 0..lives {
        live_through(&whole, &server, seed);
    }
}
