//! Targets that are full, or take no message so large (R5, R6).

use restante_sync::RestoreOutcome;
use server::{Behaviour, Fault, Trigger};

use super::world::{World, contents, given, kept, mail, no};

fn large(number: u32) -> Vec<u8> {
    let mut bytes = mail(number);
    bytes.extend_from_slice(&b"and more and more of it, line by line\r\n".repeat(100));
    bytes
}

fn with_one_large() -> World {
    let world = World::empty();
    world.fill("INBOX", 4);
    world.deliver("INBOX", &large(5), "\\Seen");
    world.deliver("Sent", &mail(6), "\\Seen");
    world.pull();
    world
}

#[test]
fn r05_a_message_above_the_limit_is_named_in_the_plan_and_the_rest_is_restored() {
    let world = with_one_large();
    let target = Behaviour::modern().without("APPENDLIMIT").with("APPENDLIMIT=2000");
    let plan = world.restore_with(target.clone(), |job| job.dry_run = true);
    assert_eq!(plan.report.outcome, RestoreOutcome::Planned);
    assert_eq!((plan.folder("INBOX").added, plan.folder("INBOX").refused.len()), (4, 1));
    let restored = world.restore(target);
    restored.assert_partial();
    for why in [plan.refusals("INBOX"), restored.refusals("INBOX")] {
        let size = large(5).len();
        assert_eq!(
            why,
            [format!("it has {size} octets, and the server takes no more than 2000 (APPENDLIMIT)")]
        );
    }
    assert_eq!((restored.folder("INBOX").proven, restored.folder("Sent").proven), (4, 1));
    assert_eq!((kept(&world.target, "INBOX").len(), kept(&world.target, "Sent").len()), (4, 1));
}

#[test]
fn r05_a_mailbox_can_have_a_limit_of_its_own() {
    let world = with_one_large();
    world.target.set_append_limit("anna", "INBOX", Some(1_000)).unwrap();
    let restored = world.restore(Behaviour::modern().without("APPENDLIMIT").with("APPENDLIMIT"));
    restored.assert_partial();
    assert_eq!(restored.folder("INBOX").refused.len(), 1);
    assert!(restored.refusals("INBOX")[0].contains("no more than 1000"), "{restored:#?}");
    assert!(restored.appends().iter().all(|line| !line.contains(&format!("{{{}", large(5).len()))));
}

#[test]
fn r05_a_limit_that_nobody_told_is_met_message_by_message() {
    for target in [Behaviour::modern(), Behaviour::bare()] {
        let world = with_one_large();
        let target = target.with_fault(Fault::new(given(5), no("[TOOBIG] message exceeds the limit")));
        let restored = world.restore(target);
        restored.assert_partial();
        assert_eq!(restored.refusals("INBOX").len(), 1);
        assert!(
            restored.refusals("INBOX")[0].contains("[TOOBIG] message exceeds the limit"),
            "{restored:#?}"
        );
        assert_eq!((kept(&world.target, "INBOX").len(), kept(&world.target, "Sent").len()), (4, 1));
    }
}

#[test]
fn r05_a_literal_that_is_refused_before_it_is_sent_is_no_cut() {
    let world = with_one_large();
    let faults = [
        // Each literal that waits for leave is refused, whatever its size, three times.
        Fault::new(Trigger::Literal, no("[TOOBIG] not that large")).first(3),
    ];
    let restored = world.restore(faults.into_iter().fold(Behaviour::bare(), Behaviour::with_fault));
    restored.assert_partial();
    assert_eq!(restored.report.totals.refused, 3);
    assert_eq!(restored.server.counts().logins, restored.server.counts().connections);
    world.restore(Behaviour::bare()).assert_proven();
    world.assert_back();
}

#[test]
fn r06_a_target_that_is_full_in_the_middle_says_what_is_missing_and_the_next_run_goes_on() {
    for (kind, target) in [
        ("modern", Behaviour::modern()),
        ("told", Behaviour::modern().with("QUOTA").with("QUOTA=RES-STORAGE")),
        ("bare", Behaviour::bare()),
    ] {
        let world = World::empty();
        world.fill("INBOX", 12);
        world.fill("Sent", 3);
        world.pull();
        world.target.set_quota("anna", Some(2_500)).unwrap();
        let restored = world.restore_with(target.clone(), |job| job.connections = 1);
        // A command of several messages is taken whole or not at all: there may be none.
        let there = kept(&world.target, "INBOX").len() as u64;
        let outcome = if there == 0 { RestoreOutcome::Failed } else { RestoreOutcome::Partial };
        assert_eq!(restored.report.outcome, outcome, "{kind}: {restored:#?}");
        let error = restored.report.error.clone().unwrap();
        assert!(error.contains("the target is full") && error.contains("OVERQUOTA"), "{kind}: {error}");
        let inbox = restored.folder("INBOX");
        assert_eq!((inbox.asked, inbox.added, inbox.not_sent), (12, there, 12 - there), "{kind}");
        assert!(kept(&world.target, "Sent").is_empty(), "nothing more is sent once it is full");
        assert_eq!(restored.folder("Sent").not_sent, 3, "{kind}");

        world.target.set_quota("anna", None).unwrap();
        let again = world.restore(target);
        again.assert_proven();
        assert_eq!(again.report.totals.already_there, there, "{kind}");
        world.assert_back();
    }
}

#[test]
fn r06_a_plan_says_beforehand_that_there_is_no_room() {
    let world = World::with(12);
    world.target.set_quota("anna", Some(2_048)).unwrap();
    let target = Behaviour::modern().with("QUOTA").with("QUOTA=RES-STORAGE");
    let plan = world.restore_with(target, |job| job.dry_run = true);
    assert_eq!(plan.report.outcome, RestoreOutcome::Planned);
    let warnings = plan.report.warnings.join("\n");
    assert!(warnings.contains("quota has room for 2048"), "{warnings}");
    assert!(contents(&world.target)["INBOX"].is_empty());
}
