//! What is asked for: moments, folders, plans, kinds of proof, damage (R17, R18, R19).

use std::fs;

use archive::{Archive, RunId, When};
use message::MessageKey;
use restante_sync::{FolderFilter, RestoreOutcome, Verify};
use server::{Behaviour, Effect, Fault};

use super::world::{World, contents, given, kept, mail, no, on, put};

/// The newest run.
fn last_run(world: &World) -> RunId {
    let archive = Archive::open(&world.path()).unwrap();
    let view = archive.view();
    let account = view.account("a").unwrap().unwrap();
    view.runs(account.id, 1).unwrap()[0].id
}

#[test]
fn as_of_a_run_the_mailbox_comes_back_as_it_was_then() {
    let world = World::empty();
    world.fill("INBOX", 5);
    world.fill("Work", 2);
    world.pull();
    let (before, run) = (contents(&world.source), last_run(&world));
    // All messages are replaced in place, as by somebody who encrypts them; a folder goes, another comes.
    for message in world.source.messages("anna", "INBOX").unwrap() {
        let other: Vec<u8> = message.bytes.iter().map(|byte| byte ^ 1).collect();
        put(&world.source, "INBOX", &other, "", &message.date);
        world.source.expunge("anna", "INBOX", &message::UidSet::from_iter([message.uid])).unwrap();
    }
    world.source.delete("anna", "Work").unwrap();
    world.deliver("Ransom", &mail(99), "");
    world.pull();
    let as_of = When { as_of: Some(run), deleted: false };
    let restored = world.restore_with(Behaviour::modern(), |job| job.when = as_of);
    restored.assert_proven();
    assert_eq!(contents(&world.target), before);
    // And the newest state beside it, on another server.
    world.target.wipe("anna").unwrap();
    world.restore(Behaviour::modern()).assert_proven();
    assert_eq!(kept(&world.target, "INBOX"), kept(&world.source, "INBOX"));
    assert_eq!(kept(&world.target, "Ransom"), kept(&world.source, "Ransom"));
}

#[test]
fn with_deleted_what_has_vanished_since_comes_back_too() {
    let world = World::with(4);
    let all = kept(&world.source, "INBOX");
    let gone = world.source.messages("anna", "INBOX").unwrap()[1].uid;
    world.source.expunge("anna", "INBOX", &message::UidSet::from_iter([gone])).unwrap();
    world.pull();
    world.restore(Behaviour::modern()).assert_proven();
    assert_eq!(kept(&world.target, "INBOX"), kept(&world.source, "INBOX"));
    let deleted = When { as_of: None, deleted: true };
    let restored = world.restore_with(Behaviour::modern(), |job| job.when = deleted);
    restored.assert_proven();
    assert_eq!((restored.report.totals.already_there, restored.report.totals.added), (3, 1));
    assert_eq!(kept(&world.target, "INBOX"), all);
}

#[test]
fn a_plan_changes_nothing_and_says_what_would_be_done() {
    let world = World::empty();
    world.fill("INBOX", 4);
    world.fill("New/Below", 2);
    world.pull();
    let first = &world.source.messages("anna", "INBOX").unwrap()[0];
    put(&world.target, "INBOX", &first.bytes, "\\Draft", &first.date);
    let (before, boxes) = (contents(&world.target), world.target.mailboxes("anna").unwrap());
    let plan = world.restore_with(Behaviour::modern(), |job| job.dry_run = true);
    assert_eq!(plan.report.outcome, RestoreOutcome::Planned, "{:#?}", plan.report);
    let (inbox, new) = (plan.folder("INBOX"), plan.folder("New/Below"));
    assert_eq!((inbox.asked, inbox.already_there, inbox.added, inbox.created), (4, 1, 3, false));
    assert_eq!((new.asked, new.already_there, new.added, new.created), (2, 0, 2, true));
    assert_eq!(contents(&world.target), before);
    assert_eq!(world.target.mailboxes("anna").unwrap(), boxes, "not even a counter has moved");
    for line in plan.server.log() {
        let first = line.split(' ').next().unwrap_or_default();
        assert!(!["APPEND", "CREATE", "SUBSCRIBE", "SELECT"].contains(&first), "{line}");
        assert!(!line.starts_with("UID STORE"), "{line}");
    }
    // What is planned is what is done.
    let done = world.restore(Behaviour::modern());
    done.assert_proven();
    assert_eq!((done.folder("INBOX").added, done.folder("New/Below").added), (3, 2));
    assert!(done.folder("New/Below").created);
}

#[test]
fn only_the_folders_asked_for_are_restored() {
    let world = World::empty();
    for folder in ["INBOX", "Work", "Work/Old", "Junk"] {
        world.fill(folder, 2);
    }
    world.pull();
    let filter = FolderFilter::new(&["Work*".to_owned()], &["*/Old".to_owned()]).unwrap();
    let restored = world.restore_with(Behaviour::modern(), |job| job.filter = filter);
    restored.assert_proven();
    assert_eq!(restored.report.folders.len(), 1);
    let made: Vec<String> = contents(&world.target).into_keys().collect();
    assert_eq!(made, ["INBOX", "Work"]);
    assert!(kept(&world.target, "INBOX").is_empty());
}

#[test]
fn a_sample_is_restored_and_nothing_else() {
    let world = World::empty();
    world.fill("INBOX", 6);
    world.fill("Work", 2);
    world.pull();
    let inbox = {
        let archive = Archive::open(&world.path()).unwrap();
        let view = archive.view();
        let account = view.account("a").unwrap().unwrap();
        let mailboxes = view.mailboxes(account.id).unwrap();
        mailboxes.into_iter().find(|mailbox| mailbox.name.text() == "INBOX").unwrap().id
    };
    let uids = message::UidSet::parse("2,5").unwrap();
    let restored =
        world.restore_with(Behaviour::modern(), |job| job.only = Some([(inbox, uids)].into_iter().collect()));
    restored.assert_proven();
    assert_eq!((restored.report.totals.asked, restored.report.totals.proven), (2, 2));
    let sent: Vec<MessageKey> = kept(&world.target, "INBOX").into_iter().map(|(key, _, _)| key).collect();
    let mut chosen = [MessageKey::of(&mail(2)), MessageKey::of(&mail(5))];
    chosen.sort();
    assert_eq!(sent, chosen);
}

#[test]
fn r17_the_target_and_its_messages_are_told_before_anything_is_sent() {
    let world = World::with(3);
    for number in 100..105 {
        let date = message::InternalDate::from_unix(1_400_000_000, 0);
        put(&world.target, "Somebody's", &mail(number), "", &date);
    }
    for target in [Behaviour::modern(), Behaviour::bare()] {
        let plan = world.restore_with(target, |job| job.dry_run = true);
        let target = &plan.report.target;
        assert_eq!((target.mailboxes, target.messages, target.user.as_str()), (2, 5, "anna"));
    }
    world.restore(Behaviour::modern()).assert_proven();
    assert_eq!(kept(&world.target, "Somebody's").len(), 5);
}

#[test]
fn r17_a_restore_to_the_source_itself_adds_nothing() {
    let mut world = World::empty();
    world.fill("INBOX", 6);
    world.fill("Sent", 2);
    world.pull();
    let before = contents(&world.source);
    world.target = world.source.clone();
    let restored = world.restore(Behaviour::modern());
    restored.assert_proven();
    assert_eq!((restored.report.totals.already_there, restored.report.totals.added), (8, 0));
    assert_eq!(contents(&world.source), before);
}

#[test]
fn r18_a_message_damaged_in_the_archive_is_left_out_and_named_and_the_rest_is_restored() {
    let world = World::empty();
    world.fill("INBOX", 3);
    let noise = incompressible(40_000);
    let hurt = [mail(4), noise.clone()].concat();
    world.deliver("INBOX", &hurt, "\\Seen");
    world.pull();
    damage(&world, &noise[20_000..20_040]);
    let restored = world.restore(Behaviour::modern());
    restored.assert_partial();
    let refused = &restored.folder("INBOX").refused;
    let key = MessageKey::of(&hurt).to_string();
    let named: Vec<(&str, bool)> =
        refused.iter().map(|refused| (refused.id.as_str(), refused.damaged)).collect();
    assert!(named.contains(&(key.as_str(), true)), "{:#?}", restored.report);
    assert!(restored.report.met_damage());
    let there = kept(&world.target, "INBOX");
    assert!(there.iter().all(|(id, _, _)| id.to_string() != key), "never a guess");
    assert_eq!(there.len() as u64, restored.folder("INBOX").proven);
    assert_eq!(there.len() + refused.len(), 4);
}

/// Octets that no compression makes fewer, so that they stand in the pack as they are.
fn incompressible(octets: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u64;
    let byte = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u8::try_from(state >> 56).unwrap()
    };
    std::iter::repeat_with(byte).take(octets).collect()
}

/// Turns a bit in the place of the archive's packs where these octets stand.
fn damage(world: &World, octets: &[u8]) {
    let mut folders = vec![world.path()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
                continue;
            }
            let mut bytes = fs::read(entry.path()).unwrap();
            if let Some(at) = bytes.windows(octets.len()).position(|window| window == octets) {
                bytes[at] ^= 1;
                let mut permissions = fs::metadata(entry.path()).unwrap().permissions();
                #[expect(clippy::permissions_set_readonly_false, reason = "a test's own file")]
                permissions.set_readonly(false);
                fs::set_permissions(entry.path(), permissions).unwrap();
                fs::write(entry.path(), bytes).unwrap();
                return;
            }
        }
    }
    panic!("the octets are in no pack");
}

#[test]
fn r19_the_report_names_the_kind_of_proof() {
    let world = World::with(60);
    let by_headers = world.restore(Behaviour::modern());
    by_headers.assert_proven();
    assert_eq!(by_headers.report.verify, "headers");
    let totals = by_headers.report.totals;
    assert_eq!((totals.proven, totals.proven_by_bytes), (60, 20), "a sample of 20");
    let full = world.restore_with(Behaviour::modern(), |job| job.verify = Verify::Full);
    full.assert_proven();
    assert_eq!((full.report.verify, full.report.totals.proven_by_bytes), ("full", 60));
    assert!(full.server.counts().body_octets >= 60 * mail(1).len() as u64);
    world.target.wipe("anna").unwrap();
    let off = world.restore_with(Behaviour::modern(), |job| job.verify = Verify::Off);
    assert_eq!((off.report.outcome, off.report.verify), (RestoreOutcome::Unproven, "off"));
    assert_eq!((off.report.totals.added, off.report.totals.proven), (60, 0));
    world.assert_back();
}

#[test]
fn r19_without_proof_a_refusal_is_partial_all_the_same() {
    let world = World::with(3);
    let fault = Fault::new(given(2), no("[CANNOT] no"));
    let off = world.restore_with(Behaviour::modern().with_fault(fault), |job| job.verify = Verify::Off);
    assert_eq!(off.report.outcome, RestoreOutcome::Partial, "{:#?}", off.report);
    assert_eq!(off.report.totals.refused, 1);
}

#[test]
fn r19_a_server_that_shows_other_bytes_each_time_is_not_proven() {
    let world = World::with(3);
    let target = Behaviour::modern().with_fault(Fault::new(on("UID FETCH"), Effect::Rebuilt));
    let restored = world.restore_with(target, |job| job.verify = Verify::Full);
    assert_ne!(restored.report.outcome, RestoreOutcome::Proven, "{:#?}", restored.report);
    assert_eq!(restored.report.totals.proven, 0);
}

#[test]
fn a_restore_of_nothing_or_to_nobody_says_so() {
    let world = World::with(1);
    let filter = FolderFilter::new(&["None*".to_owned()], &[]).unwrap();
    let nothing = world.restore_with(Behaviour::modern(), |job| job.filter = filter);
    assert_eq!(nothing.report.outcome, RestoreOutcome::Failed);
    assert!(nothing.report.error.is_some());
    let nobody = world.restore_with(Behaviour::modern(), |job| job.account = "b".into());
    assert_eq!(nobody.report.outcome, RestoreOutcome::Failed);
    let denied = world.restore_despite([Fault::new(server::Trigger::Login, no("[AUTHENTICATIONFAILED] no"))]);
    assert_eq!(denied.report.outcome, RestoreOutcome::Failed);
    assert!(
        denied.report.error.as_deref().is_some_and(|error| error.contains("AUTHENTICATIONFAILED")),
        "{:#?}",
        denied.report
    );
    assert!(contents(&world.target)["INBOX"].is_empty());
}
