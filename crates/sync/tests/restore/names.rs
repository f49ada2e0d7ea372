//! Where folders land: prefixes, delimiters, special uses, names that a target does not make as asked
//! (R1, R2, R3, R15).

use restante_sync::RestoreOutcome;
use server::{Behaviour, Effect, Fault, Spelling, Trigger};

use super::world::{World, contents, kept, mail, no, on};

fn names(world: &World) -> Vec<String> {
    contents(&world.target).into_keys().collect()
}

/// Folders with these names, a message in each.
fn with_folders(folders: &[&str]) -> World {
    let world = World::empty();
    for (number, folder) in (1..).zip(folders) {
        world.deliver(folder, &mail(number), "\\Seen");
    }
    world.pull();
    world
}

#[test]
fn r01_folders_land_below_the_prefix_and_with_the_delimiter_of_the_target() {
    let targets = [
        Behaviour::modern().with_delimiter(Some('.')).with_prefix("INBOX."),
        Behaviour::bare().with_delimiter(Some('.')).with_prefix("INBOX.").with("NAMESPACE"),
        Behaviour::modern().with_delimiter(Some('.')),
        Behaviour::modern().with_delimiter(Some('/')).with_prefix("INBOX/"),
    ];
    for target in targets {
        let world = with_folders(&["INBOX", "Archive/2024/May", "Entwürfe", "Sent"]);
        let restored = world.restore(target.clone());
        restored.assert_proven();
        world.assert_back();
        world.restore(target).assert_proven();
        world.assert_back();
    }
}

#[test]
fn r01_without_namespace_the_list_tells_the_prefix() {
    let world = with_folders(&["INBOX", "Archive/2024"]);
    for folder in ["Archive", "Sent"] {
        world.target.create("anna", folder).unwrap();
    }
    let target = Behaviour::bare().with_delimiter(Some('.')).with_prefix("INBOX.");
    let restored = world.restore(target);
    restored.assert_proven();
    world.assert_back_as(&[("INBOX", "INBOX"), ("Archive/2024", "Archive/2024")]);
}

#[test]
fn r01_the_delimiter_of_the_target_inside_a_name_is_replaced_and_told() {
    let world = with_folders(&["INBOX", "v1.0", "Work/v2.0"]);
    let target = Behaviour::modern().with_delimiter(Some('.')).with_prefix("INBOX.");
    let restored = world.restore(target.clone());
    restored.assert_proven();
    let notices = restored.notices("v1.0");
    assert!(notices.contains("divides the levels"), "{notices}");
    let made = names(&world);
    assert!(made.iter().all(|name| name != "v1/0"), "not two levels: {made:?}");
    assert_eq!(made.len(), 3, "{made:?}");
    // The same names again when it is run again.
    world.restore(target).assert_proven();
    assert_eq!(names(&world), made);
}

#[test]
fn r01_a_target_without_levels_takes_all_folders_all_the_same() {
    let world = with_folders(&["INBOX", "Archive/2024", "Archive", "Sent"]);
    let target = Behaviour::modern().with_delimiter(None);
    let restored = world.restore(target.clone());
    restored.assert_proven();
    assert_eq!(restored.report.totals.proven, 4);
    let made = names(&world);
    assert_eq!(made.len(), 4, "{made:?}");
    world.restore(target).assert_proven();
    assert_eq!(names(&world), made);
}

#[test]
fn r01_names_are_said_in_modified_utf7_or_in_utf8_as_the_target_wants() {
    for target in [Behaviour::bare(), Behaviour::modern(), Behaviour::modern().without("UTF8=ACCEPT")] {
        let world = with_folders(&["INBOX", "Entwürfe/日本", "a & b", "\u{1f600}"]);
        world.restore(target.clone()).assert_proven();
        world.assert_back();
        world.restore(target).assert_proven();
        world.assert_back();
    }
}

#[test]
fn r01_with_a_prefix_of_ones_own_all_folders_land_below_it() {
    let world = with_folders(&["INBOX", "Archive/2024"]);
    for target in [Behaviour::modern(), Behaviour::modern().with_delimiter(Some('.')).with_prefix("INBOX.")] {
        let restored = world.restore_with(target, |job| job.prefix = Some("Old/Mail".to_owned()));
        restored.assert_proven();
        let made = names(&world);
        assert!(made.contains(&"Old/Mail/Archive/2024".to_owned()), "{made:?}");
        assert!(made.contains(&"Old/Mail/INBOX".to_owned()), "{made:?}");
        assert!(kept(&world.target, "INBOX").is_empty());
        world.target.wipe("anna").unwrap();
    }
}

#[test]
fn r02_special_folders_are_found_by_their_use_whatever_they_are_called() {
    let world = with_folders(&["INBOX", "Sent", "Trash", "Drafts"]);
    for (name, special) in [("Sent", "\\Sent"), ("Trash", "\\Trash"), ("Drafts", "\\Drafts")] {
        world.source.set_special_use("anna", name, Some(special)).unwrap();
    }
    world.pull();
    for (name, special) in
        [("Gesendete Objekte", "\\Sent"), ("Papierkorb", "\\Trash"), ("Entwürfe", "\\Drafts")]
    {
        world.target.create("anna", name).unwrap();
        world.target.set_special_use("anna", name, Some(special)).unwrap();
    }
    let plan = world.restore_with(Behaviour::modern(), |job| job.dry_run = true);
    assert_eq!(plan.folder("Sent").target, "Gesendete Objekte");
    let restored = world.restore(Behaviour::modern());
    restored.assert_proven();
    world.assert_back_as(&[("Sent", "Gesendete Objekte"), ("Trash", "Papierkorb"), ("Drafts", "Entwürfe")]);
    assert!(restored.notices("Sent").contains("\\Sent"), "{}", restored.notices("Sent"));
    assert_eq!(names(&world).len(), 4);
}

#[test]
fn r02_without_special_use_the_usual_names_tell() {
    let world = with_folders(&["INBOX", "Gesendet"]);
    world.source.set_special_use("anna", "Gesendet", Some("\\Sent")).unwrap();
    world.pull();
    world.target.create("anna", "Sent Items").unwrap();
    let restored = world.restore(Behaviour::bare());
    restored.assert_proven();
    world.assert_back_as(&[("Gesendet", "Sent Items")]);
}

#[test]
fn r02_a_special_folder_that_is_missing_is_made_with_its_use_where_that_can_be_said() {
    let world = with_folders(&["INBOX", "Sent"]);
    world.source.set_special_use("anna", "Sent", Some("\\Sent")).unwrap();
    world.pull();
    world.restore(Behaviour::modern().with("CREATE-SPECIAL-USE")).assert_proven();
    let made = world.target.mailboxes("anna").unwrap();
    assert_eq!(
        made.iter().find(|mailbox| mailbox.name == "Sent").unwrap().special_use.as_deref(),
        Some("\\Sent")
    );
    world.assert_back();
    // A server that does not want to: the folder is made without.
    world.target.wipe("anna").unwrap();
    let refuses = Fault::new(Trigger::Line("(USE".into()), no("[USEATTR] not for you"));
    world.restore(Behaviour::modern().with("CREATE-SPECIAL-USE").with_fault(refuses)).assert_proven();
    world.assert_back();
}

#[test]
fn r03_a_name_that_is_refused_has_a_substitute_beside_it_that_is_told() {
    let cases = [
        (Behaviour::modern().refusing_names("*?", None), "What*is"),
        (
            Behaviour::modern().refusing_names("", Some(64)),
            "Work/a name of more than sixty-four octets, which is too long for this server",
        ),
        (
            Behaviour::bare().with_fault(Fault::new(
                Trigger::Names("CREATE".into(), "con".into()),
                no("[CANNOT] reserved"),
            )),
            "con",
        ),
    ];
    for (target, name) in cases {
        let world = with_folders(&["INBOX", name]);
        let restored = world.restore(target.clone());
        restored.assert_proven();
        let folder = restored.folder(name);
        assert_ne!(folder.target, name);
        assert!(!folder.notices.is_empty(), "{folder:#?}");
        world.assert_back_as(&[(name, folder.target.as_str())]);
        // The same substitute when it is run again.
        let again = world.restore(target);
        again.assert_proven();
        assert_eq!(again.folder(name).target, folder.target);
        assert_eq!(again.report.totals.added, 0);
    }
}

#[test]
fn r03_a_mailbox_that_is_said_to_exist_already_is_used() {
    let world = with_folders(&["INBOX", "Hidden"]);
    // It is there, and LIST does not show it.
    world.target.create("anna", "Hidden").unwrap();
    let target = Behaviour::modern().with_fault(Fault::new(
        on("LIST"),
        Effect::Instead(b"* LIST () \"/\" INBOX\r\n{tag} OK\r\n".to_vec()),
    ));
    let restored = world.restore(target);
    restored.assert_proven();
    world.assert_back();
}

#[test]
fn r03_a_create_that_spells_otherwise_is_found_by_its_new_name() {
    let modern = Behaviour::modern;
    for (target, name) in [
        (modern().with_spelling(Spelling::LowerCase), "Archive"),
        (
            Behaviour::bare().with_fault(Fault::new(on("CREATE"), Effect::Spells(Spelling::LowerCase))),
            "Archive",
        ),
        (modern().with_fault(Fault::new(on("CREATE"), Effect::Spells(Spelling::Instead('.', '_')))), "v1.0"),
        (
            modern().with_fault(Fault::new(on("CREATE"), Effect::Spells(Spelling::TrailingBlankCut))),
            "old /mail ",
        ),
    ] {
        let world = with_folders(&["INBOX", name]);
        let restored = world.restore(target.clone());
        assert_eq!(restored.report.outcome, RestoreOutcome::Proven, "{target:?}: {restored:?}");
        let made = restored.folder(name).target.clone();
        assert_eq!(kept(&world.target, &made), kept(&world.source, name), "{:?}", names(&world));
        let again = world.restore(target);
        again.assert_proven();
        assert_eq!(again.report.totals.added, 0, "{again:#?}");
    }
}

#[test]
fn r03_two_names_that_are_one_to_the_target_stay_two_folders() {
    for target in [
        Behaviour::modern().with_names_in_any_case(),
        Behaviour::bare().with_names_in_any_case(),
        Behaviour::modern().with_spelling(Spelling::LowerCase),
    ] {
        let world = with_folders(&["INBOX", "Work", "work", "WORK/Old"]);
        let restored = world.restore(target.clone());
        restored.assert_proven();
        assert_eq!(restored.report.totals.proven, 4);
        let (one, two) = (&restored.folder("Work").target, &restored.folder("work").target);
        assert_ne!(one.to_lowercase(), two.to_lowercase(), "{restored:#?}");
        let again = world.restore(target);
        again.assert_proven();
        assert_eq!(again.report.totals.added, 0);
    }
}

#[test]
fn r03_where_a_mailbox_holds_messages_or_children_both_are_restored() {
    let world = with_folders(&["INBOX", "Work", "Work/Old", "Work/Old/Older", "Alone"]);
    let target = Behaviour::bare().with_mailboxes_as_files();
    let restored = world.restore(target.clone());
    restored.assert_proven();
    assert_eq!(restored.report.totals.proven, 5);
    let again = world.restore(target);
    again.assert_proven();
    assert_eq!((again.report.totals.already_there, again.report.totals.added), (5, 0));
}

#[test]
fn r03_a_parent_that_can_have_none_below_it_does_not_cost_its_children() {
    let world = with_folders(&["INBOX", "Leaf", "Leaf/Below"]);
    world.target.create("anna", "Leaf").unwrap();
    world.target.set_attributes("anna", "Leaf", &["\\NoInferiors"]).unwrap();
    let restored = world.restore(Behaviour::modern());
    restored.assert_proven();
    assert_ne!(restored.folder("Leaf/Below").target, "Leaf/Below");
    assert!(!restored.folder("Leaf/Below").notices.is_empty());
}

#[test]
fn r03_a_mailbox_that_cannot_be_opened_has_a_substitute() {
    let world = with_folders(&["INBOX", "Level", "Level/Below"]);
    world.target.create("anna", "Level").unwrap();
    world.target.set_attributes("anna", "Level", &["\\Noselect"]).unwrap();
    let restored = world.restore(Behaviour::modern());
    restored.assert_proven();
    assert_ne!(restored.folder("Level").target, "Level");
    assert!(!restored.folder("Level").notices.is_empty());
    let again = world.restore(Behaviour::modern());
    again.assert_proven();
    assert_eq!((again.report.totals.already_there, again.report.totals.added), (3, 0));
}

#[test]
fn r03_a_subscription_that_is_refused_is_a_notice_and_no_more() {
    let world = with_folders(&["INBOX", "Work"]);
    let restored = world.restore_despite([Fault::new(on("SUBSCRIBE"), no("[NOPERM] not here"))]);
    restored.assert_proven();
    assert!(restored.notices("Work").contains("[NOPERM] not here"), "{restored:#?}");
    world.assert_back();
}

#[test]
fn r03_subscriptions_are_restored_and_what_was_not_subscribed_is_not() {
    let world = with_folders(&["INBOX", "Read", "Unread"]);
    world.source.set_subscribed("anna", "Unread", false).unwrap();
    world.pull();
    world.restore(Behaviour::modern()).assert_proven();
    let subscribed: Vec<(String, bool)> = world
        .target
        .mailboxes("anna")
        .unwrap()
        .into_iter()
        .map(|mailbox| (mailbox.name, mailbox.subscribed))
        .collect();
    let expected = [("INBOX", true), ("Read", true), ("Unread", false)];
    assert_eq!(subscribed, expected.map(|(name, is)| (name.to_owned(), is)));
}

#[test]
fn r03_a_folder_for_which_no_name_is_accepted_is_named_and_the_others_are_restored() {
    let world = with_folders(&["INBOX", "Nowhere", "Sent"]);
    world.target.create("anna", "Sent").unwrap();
    let restored = world.restore_despite([Fault::new(on("CREATE"), no("[NOPERM] no new mailboxes"))]);
    restored.assert_partial();
    let nowhere = restored.folder("Nowhere");
    assert!(nowhere.error.as_deref().is_some_and(|error| error.contains("no new mailboxes")), "{nowhere:#?}");
    assert_eq!(nowhere.not_sent, 1);
    assert_eq!((restored.folder("INBOX").proven, restored.folder("Sent").proven), (1, 1));
}

#[test]
fn r15_nothing_is_sent_to_a_folder_that_shows_all_and_what_lies_only_there_has_a_folder_of_its_own() {
    let world = World::empty();
    world.deliver("INBOX", &mail(1), "\\Seen");
    world.deliver("Sent", &mail(2), "\\Seen");
    for number in 1..=3 {
        world.deliver("All Mail", &mail(number), "\\Seen");
    }
    world.source.set_special_use("anna", "All Mail", Some("\\All")).unwrap();
    world.pull();
    world.target.create("anna", "Alle Nachrichten").unwrap();
    world.target.set_special_use("anna", "Alle Nachrichten", Some("\\All")).unwrap();
    world.target.make_virtual("anna", "Alle Nachrichten").unwrap();
    let restored = world.restore(Behaviour::modern());
    restored.assert_proven();
    let rest = restored.folder("All Mail");
    assert_eq!((rest.asked, rest.added), (1, 1), "{rest:#?}");
    assert_ne!(rest.target, "Alle Nachrichten");
    assert!(!rest.notices.is_empty());
    assert_eq!(kept(&world.target, &rest.target).len(), 1);
    assert_eq!(kept(&world.target, "Alle Nachrichten").len(), 3);
    assert!(restored.appends().iter().all(|line| !line.contains("Alle")));
    let again = world.restore(Behaviour::modern());
    again.assert_proven();
    assert_eq!(again.report.totals.added, 0);
}

#[test]
fn r15_where_everything_lies_elsewhere_the_folder_that_shows_all_is_not_made() {
    let world = World::empty();
    world.deliver("INBOX", &mail(1), "\\Seen");
    world.deliver("All Mail", &mail(1), "\\Seen");
    world.source.set_special_use("anna", "All Mail", Some("\\All")).unwrap();
    world.pull();
    let restored = world.restore(Behaviour::modern());
    restored.assert_proven();
    assert_eq!(names(&world), ["INBOX"]);
}

#[test]
fn r15_a_target_that_refuses_mail_in_a_view_costs_only_that_folder() {
    let world = with_folders(&["INBOX", "Starred", "Work"]);
    world.target.create("anna", "Starred").unwrap();
    world.target.make_virtual("anna", "Starred").unwrap();
    let restored = world.restore(Behaviour::modern());
    restored.assert_partial();
    assert_eq!(restored.folder("Starred").proven, 0);
    assert_eq!(restored.refusals("Starred").len(), 1);
    assert_eq!((restored.folder("INBOX").proven, restored.folder("Work").proven), (1, 1));
}
