//! Names on a real server: Dovecot with prefix and delimiter, without, and with mail in mbox files
//! (R1, R2, R3).

use std::collections::{BTreeMap, BTreeSet};

use message::MessageKey;
use restante_sync::{RestoreOutcome, RestoreReport};
use server::Behaviour;
use testkit::{Dovecot, Options};

use super::world::{World, mail};

/// Names that one server or another does not like.
const FOLDERS: [&str; 31] = [
    "INBOX",
    "INBOX/kept",
    "Work",
    "Work/2024",
    "work",
    "v1.0",
    "v1_0",
    "a.b/c.d",
    "100%",
    "100_",
    "* star",
    "~tilde",
    "#hash",
    " lead",
    "trail ",
    "R&D",
    "Entwürfe/日本",
    "\u{1f600}",
    "a\\b",
    "a'b\"c",
    ".",
    "..",
    ".hidden",
    "dbox-Mails",
    "mailboxes",
    "con:",
    "{5}",
    "(a)",
    "Sent",
    "Gesendet",
    "subscriptions",
];

fn with_odd_folders() -> World {
    let world = World::empty();
    let long = "a long name ".repeat(25);
    let names = FOLDERS.iter().copied().chain([long.trim(), "Work/Inbox/x"]);
    for (number, folder) in (1..).zip(names) {
        world.deliver(folder, &mail(number), "\\Seen");
    }
    world.pull();
    world
}

fn give(world: &World, dovecot: &Dovecot) -> RestoreReport {
    let restored = world.restore_with(Behaviour::modern(), |job| {
        job.endpoint.port = dovecot.plain().port();
    });
    restored.report
}

/// The folders of the archive by the mailboxes of the target, as the report says.
fn targets(report: &RestoreReport) -> BTreeMap<String, String> {
    report.folders.iter().map(|folder| (folder.folder.clone(), folder.target.clone())).collect()
}

#[test]
fn r01_folders_with_odd_names_come_back_on_dovecots_of_all_kinds_and_again_in_the_same_places() {
    let world = with_odd_folders();
    for options in [
        Options::default(),
        Options::default().separator('.').prefix("INBOX."),
        Options::default().separator('.'),
        Options::default().mbox(),
    ] {
        let Some(dovecot) = Dovecot::start(options.clone()) else { return };
        let first = give(&world, &dovecot);
        assert_eq!(first.outcome, RestoreOutcome::Proven, "{options:?} {first:#?}\n{}", dovecot.log());
        let places = targets(&first);
        assert_eq!(
            places.values().collect::<BTreeSet<_>>().len(),
            places.len(),
            "each has its own: {places:#?}"
        );
        let second = give(&world, &dovecot);
        assert_eq!(second.outcome, RestoreOutcome::Proven, "{second:#?}");
        assert_eq!((targets(&second), second.totals.added), (places.clone(), 0));

        // What the judge finds: one message in each mailbox that has any, all different.
        let mut found: Vec<MessageKey> = Vec::new();
        for messages in
            dovecot.imap("anna").everything().into_values().filter(|messages| !messages.is_empty())
        {
            assert_eq!(messages.len(), 1, "{options:?}");
            found.push(MessageKey::of(&messages[0].bytes));
        }
        let sent = (1..).take(places.len()).map(|number| MessageKey::of(&mail(number)));
        assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), sent.collect(), "{options:?}");
    }
}
