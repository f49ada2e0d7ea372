//! The demo's mailbox, some hundreds of messages with all that mail can be like: given back whole, and
//! given back beside what a thief has made of it (L3).

use message::InternalDate;
use restante_sync::{RestoreOutcome, Verify};
use server::{Behaviour, Store};

use super::world::{USER, World, contents, put, store};

fn world() -> World {
    let world = World::empty();
    server::sample::fill(&world.source, USER).unwrap();
    world.pull();
    world
}

#[test]
fn a_mailbox_comes_back_as_it_was_and_running_it_again_adds_nothing() {
    let mut world = world();
    for verify in [Verify::Headers, Verify::Full] {
        for behaviour in [Behaviour::modern(), Behaviour::bare()] {
            world.target = store();
            let first = world.restore_with(behaviour.clone(), |job| job.verify = verify);
            first.assert_proven();
            world.assert_back();
            let total = first.report.totals;
            assert_eq!((total.already_there, total.added, total.proven), (0, total.asked, total.asked));
            let again = world.restore_with(behaviour, |job| job.verify = verify);
            again.assert_proven();
            world.assert_back();
            assert_eq!((again.report.totals.already_there, again.report.totals.added), (total.asked, 0));
        }
    }
}

/// Each body turned into noise of the same size: header, size, flags and, unless it is moved by some
/// seconds, received date are as they were.
fn encrypted(source: &Store, later: i64) -> Store {
    let target = store();
    for mailbox in source.mailboxes(USER).unwrap() {
        for message in source.messages(USER, &mailbox.name).unwrap() {
            let mut bytes = message.bytes.to_vec();
            let body = bytes.windows(4).position(|end| end == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
            bytes[body..].iter_mut().filter(|byte| byte.is_ascii_graphic()).for_each(|byte| *byte ^= 1);
            if bytes != message.bytes[..] {
                let date = InternalDate::from_unix(message.date.unix().unwrap() + later, 0);
                put(&target, &mailbox.name, &bytes, &message.flags.to_string(), &date);
            }
        }
    }
    target
}

#[test]
fn l03_mail_encrypted_in_place_under_its_old_header_size_and_date_is_not_taken_for_ours() {
    let mut world = world();
    for later in [0, 60] {
        for verify in [Verify::Headers, Verify::Full, Verify::Off] {
            world.target = encrypted(&world.source, later);
            let ruined = contents(&world.target);
            let restored = world.restore_with(Behaviour::modern(), |job| job.verify = verify);
            let report = &restored.report;
            let expected =
                if verify == Verify::Off { RestoreOutcome::Unproven } else { RestoreOutcome::Proven };
            assert_eq!(report.outcome, expected, "{report:#?}");
            assert_eq!(report.totals.added, report.totals.asked);
            let late = |notice: &String| notice.contains("once more");
            assert!(!report.folders.iter().any(|folder| folder.notices.iter().any(late)), "{report:#?}");
            let mut both = contents(&world.source);
            for (mailbox, messages) in ruined {
                let all = both.entry(mailbox).or_default();
                all.extend(messages);
                all.sort();
            }
            assert_eq!(contents(&world.target), both, "{verify:?}, dates moved by {later} s");
        }
    }
}
