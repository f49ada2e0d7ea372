//! Mail given back: to an empty server, to one that holds part of it, to servers of another kind,
//! and to the one that has lost it. The judge compares every folder: bytes, flags, keywords and
//! received dates, each message as often as it was there.

use std::process::Command;

use message::{Flags, InternalDate, Uid, UidSet};
use restante_tests::{ACCOUNT, Content, USER, World, append, date, mail};
use serde_json::Value;
use server::sample::Random;
use testkit::{Cyrus, Dovecot, Imap, Mail, Options};

/// Messages in the 37 folders of most tests here.
const MESSAGES: usize = 200;

/// A mailbox of 37 folders, backed up, and with what a mailbox has besides: an empty folder.
fn backed_up() -> Option<World> {
    let mut world = World::new()?;
    let _ = world.fill(&Mail::small(7, MESSAGES));
    world.judge().create("Empty/but there");
    let _ = world.run_now();
    Some(world)
}

/// Asserts the counts of the whole report: asked, there before, added, proven; nothing refused.
#[track_caller]
fn assert_totals(report: &Value, asked: usize, already_there: usize) {
    let totals = &report["totals"];
    assert_eq!(totals["asked"], asked, "{report}");
    assert_eq!(totals["already_there"], already_there, "{report}");
    assert_eq!(totals["added"], asked - already_there, "{report}");
    assert_eq!(totals["proven"], asked, "{report}");
    assert_eq!(totals["refused"], 0, "{report}");
    assert_eq!(report["outcome"], "proven", "{report}");
}

fn subscribed(judge: &mut Imap) -> Vec<String> {
    let lines = judge.command("LSUB \"\" *");
    let mut lines: Vec<String> =
        lines.iter().map(|line| String::from_utf8_lossy(line).into_owned()).collect();
    lines.sort();
    lines
}

#[test]
fn everything_comes_back_on_an_empty_server_and_a_second_time_adds_nothing() {
    let Some(world) = backed_up() else { return };
    let source = world.content();
    let report = world.restore_beside(0, "berta", &[]);
    assert_totals(&report, source.count(), 0);
    Content::of(world.dovecot.imap("berta")).assert_is(&source);
    assert_eq!(subscribed(&mut world.dovecot.imap("berta")), subscribed(&mut world.judge()));

    let again = world.restore_beside(0, "berta", &[]);
    assert_totals(&again, source.count(), source.count());
    assert_eq!(again["totals"]["bytes_sent"], 0);
    Content::of(world.dovecot.imap("berta")).assert_is(&source);
    // The account's own mailbox was never touched.
    world.content().assert_is(&source);
}

/// Puts a third of all messages on the target, as another client would have; says how many.
fn put_a_third(world: &World, user: &str, flags_of: impl Fn(&str) -> Flags) -> usize {
    let mut random = Random::new(9);
    let mut target = world.dovecot.imap(user);
    let mut put = 0;
    for (folder, messages) in world.judge().everything() {
        if folder != "INBOX" && messages.len() > 1 {
            target.create(&folder);
        }
        for message in messages.iter().skip(1).filter(|_| random.percent(33)) {
            let flags = flags_of(&message.flags.to_string());
            target.append(&folder, &flags, &message.internal_date, &message.bytes);
            put += 1;
        }
    }
    assert!(put > MESSAGES / 5, "{put}");
    put
}

#[test]
fn r07_a_third_that_is_there_already_is_not_added_again() {
    let Some(world) = backed_up() else { return };
    let source = world.content();
    let put = put_a_third(&world, "berta", Flags::parse);
    let report = world.restore_beside(0, "berta", &[]);
    assert_totals(&report, source.count(), put);
    assert_eq!(report["totals"]["flags_set"], 0, "{report}");
    Content::of(world.dovecot.imap("berta")).assert_is(&source);
}

#[test]
fn what_is_there_with_other_flags_gets_those_of_the_archive_unless_it_is_to_keep_its_own() {
    let Some(world) = backed_up() else { return };
    let source = world.content();
    let others = |own: &str| match own {
        "\\Seen" => Flags::parse("\\Flagged Mine"),
        own => Flags::parse(own),
    };
    let put = put_a_third(&world, "berta", others);
    let report = world.restore_beside(0, "berta", &[]);
    assert_totals(&report, source.count(), put);
    assert!(report["totals"]["flags_set"].as_u64() > Some(0), "{report}");
    Content::of(world.dovecot.imap("berta")).assert_is(&source);

    let _ = put_a_third(&world, "carla", others);
    let before = Content::of(world.dovecot.imap("carla"));
    let _ = world.restore_command(&World::url(world.dovecot.plain(), "carla"), &["--keep-flags"]).output();
    let after = Content::of(world.dovecot.imap("carla"));
    assert_eq!(after.count(), source.count());
    after.assert_holds(&before);
}

/// The name that a folder has on a server whose folders all lie below `INBOX.`.
fn below_inbox(folder: &str) -> String {
    if folder == "INBOX" { folder.to_owned() } else { format!("INBOX.{}", folder.replace('/', ".")) }
}

#[test]
fn r01_a_cyrus_with_its_prefix_and_delimiter_gets_everything_where_it_belongs() {
    let Some(world) = backed_up() else { return };
    let Some(cyrus) = Cyrus::start() else { return };
    cyrus.add_user("anna");
    let source = world.content().renamed(below_inbox);
    let url = World::url(cyrus.address(), "anna");
    let report = world.restore(0, &url, &[]);
    assert_totals(&report, source.count(), 0);
    let selectable = |content: Content| content.only(|name| !parent_only(name));
    selectable(Content::of(cyrus.imap("anna"))).assert_is(&selectable(source.clone()));
    let again = world.restore(0, &url, &["--verify=full"]);
    assert_totals(&again, source.count(), source.count());
    assert_eq!(again["totals"]["proven_by_bytes"], source.count(), "{again}");
    selectable(Content::of(cyrus.imap("anna"))).assert_is(&selectable(source));
}

#[test]
fn r11_a_cyrus_that_replaces_octets_in_headers_is_told_and_a_second_time_adds_nothing() {
    let Some(world) = World::new() else { return };
    let Some(cyrus) = Cyrus::start_munging() else { return };
    cyrus.add_user("anna");
    let mut judge = world.judge();
    append(&mut judge, "INBOX", 0..10);
    for number in 10..13 {
        let text = String::from_utf8(mail(number)).expect("the tests' mail is ASCII");
        let text = text.replacen("From: Sender", "From: J\u{fc}rgen S\u{e4}nder", 1);
        judge.append("INBOX", &Flags::parse("\\Seen"), &date(number), text.as_bytes());
    }
    let _ = world.run_now();
    let url = World::url(cyrus.address(), "anna");
    for already_there in [0, 13] {
        let report = world.restore(3, &url, &[]);
        let totals = &report["totals"];
        assert_eq!(
            (&totals["already_there"], &totals["proven"]),
            (&already_there.into(), &10.into()),
            "{report}"
        );
        let remarks = report["folders"][0]["remarks"].as_array().expect("remarks");
        assert!(
            remarks.len() == 3
                && remarks.iter().all(|remark| remark["what"]
                    .as_str()
                    .is_some_and(|what| what.starts_with("equal but for"))),
            "{report}"
        );
        assert_eq!(cyrus.imap("anna").count(), 13);
    }
}

/// Folders that hold folders alone: on some servers they are no mailboxes, on others they are.
fn parent_only(name: &str) -> bool {
    ["Archive", "Lists", "Work", "Work/Customers", "Travel", "Projects", "Choir", "Empty"]
        .iter()
        .any(|parent| *parent == name || below_inbox(parent) == name)
}

#[test]
fn r01_a_cyrus_without_a_prefix_gets_everything_too() {
    let Some(world) = backed_up() else { return };
    let Some(cyrus) = Cyrus::start_alternative() else { return };
    cyrus.add_user("anna");
    let source = world.content();
    let report = world.restore(0, &World::url(cyrus.address(), "anna"), &[]);
    assert_totals(&report, source.count(), 0);
    let selectable = |content: Content| content.only(|name| !parent_only(name));
    selectable(Content::of(cyrus.imap("anna"))).assert_is(&selectable(source));
}

#[test]
fn r01_mail_from_below_a_prefix_comes_to_a_server_without_one_and_back() {
    let dotted = Options::default().prefix("INBOX.").separator('.');
    let Some(mut world) = World::with(dotted, "") else { return };
    let Some(plain) = Dovecot::start(Options::default()) else { return };
    let _ = world.fill(&Mail::small(3, 80));
    let _ = world.run_now();
    let source = world.content();
    let report = world.restore(0, &World::url(plain.plain(), "berta"), &[]);
    assert_totals(&report, source.count(), 0);
    // Dovecot shows the levels between as folders that cannot be opened.
    Content::of(plain.imap("berta")).renamed(below_inbox).assert_is(&source);
    let report = world.restore_beside(0, "berta", &[]);
    assert_totals(&report, source.count(), 0);
    Content::of(world.dovecot.imap("berta")).assert_is(&source);
}

#[test]
fn r02_special_folders_go_to_those_of_the_target_whatever_their_names() {
    let special = Options::default().special_folder("Sent", "\\Sent").special_folder("Trash", "\\Trash");
    let Some(world) = World::with(special, "") else { return };
    let Some(german) = Dovecot::start(Options::default().german_special_folders()) else { return };
    let mut judge = world.judge();
    for (folder, numbers) in [("Sent", 0..8), ("Trash", 8..12), ("Entwürfe", 12..15), ("Receipts", 15..20)] {
        if !["Sent", "Trash"].contains(&folder) {
            judge.create(folder);
        }
        append(&mut judge, folder, numbers);
    }
    let _ = world.run_now();
    let report = world.restore(0, &World::url(german.plain(), "berta"), &[]);
    assert_totals(&report, 20, 0);
    let names = |name: &str| match name {
        "Sent" => "Gesendet".to_owned(),
        "Trash" => "Papierkorb".to_owned(),
        "Entwürfe" => "Entwurf".to_owned(),
        other => other.to_owned(),
    };
    let untouched = ["Spamverdacht", "Ablage"];
    let given = Content::of(german.imap("berta")).only(|name| !untouched.contains(&name));
    given.assert_is(&world.content().renamed(names));
}

#[test]
fn r15_folders_called_like_gmail_s_views_come_back_whole_where_the_server_did_not_say_that_they_are_views() {
    let Some(world) = World::new() else { return };
    let mut judge = world.judge();
    append(&mut judge, "INBOX", 0..12);
    for (folder, numbers) in
        [("All Mail", 0..20), ("Starred", 3..6), ("Important", 5..9), ("Sent Mail", 12..16)]
    {
        let folder = format!("[Gmail]/{folder}");
        judge.create(&folder);
        append(&mut judge, &folder, numbers);
    }
    let _ = world.run_now();
    assert_totals(&world.restore_beside(0, "berta", &[]), 43, 0);
    Content::of(world.dovecot.imap("berta")).assert_is(&world.content());
}

#[test]
fn r03_where_a_folder_cannot_hold_both_mail_and_folders_nothing_is_left_out() {
    let Some(world) = World::new() else { return };
    let Some(mbox) = Dovecot::start(Options::default().mbox()) else { return };
    let mut judge = world.judge();
    judge.create("Both");
    judge.create("Both/Below");
    append(&mut judge, "Both", 0..10);
    append(&mut judge, "Both/Below", 10..25);
    append(&mut judge, "INBOX", 25..30);
    let _ = world.run_now();
    let url = World::url(mbox.plain(), "berta");
    let report = world.restore(0, &url, &[]);
    assert_totals(&report, 30, 0);
    let folders = report["folders"].as_array().expect("folders");
    assert!(folders.iter().any(|folder| folder["notices"] != serde_json::json!([])), "{report}");
    let given = Content::of(mbox.imap("berta"));
    assert!(given.everywhere() == world.content().everywhere(), "{report}");
    // The same again: the substitute is found, nothing is doubled.
    let again = world.restore(0, &url, &[]);
    assert_totals(&again, 30, 30);
    assert_eq!(Content::of(mbox.imap("berta")).count(), 30);
}

#[test]
fn r10_equal_messages_come_back_as_often_as_they_were_there() {
    let Some(world) = World::new() else { return };
    let mut judge = world.judge();
    for (copies, number) in [(2, 1), (3, 2), (1, 3)] {
        for copy in 0..copies {
            // One of them differs in its flags, one in its date.
            let flags = Flags::parse(if copy == 1 { "\\Seen" } else { "\\Flagged Todo" });
            judge.append("INBOX", &flags, &date(number + u32::from(copy == 2)), &mail(number));
        }
    }
    let _ = world.run_now();
    let source = world.content();
    assert_totals(&world.restore_beside(0, "berta", &[]), 6, 0);
    Content::of(world.dovecot.imap("berta")).assert_is(&source);
    assert_totals(&world.restore_beside(0, "berta", &[]), 6, 6);

    // One of three is missing.
    let mut target = world.dovecot.imap("berta");
    let last = target.fetch_all("INBOX").iter().map(|message| message.uid.get()).max().expect("messages");
    target.expunge("INBOX", &UidSet::parse(&format!("{}", last - 1)).expect("a UID"));
    assert_totals(&world.restore_beside(0, "berta", &[]), 6, 5);
    Content::of(world.dovecot.imap("berta")).assert_is(&source);
}

#[test]
fn odd_dates_flags_and_octets_come_back_as_they_were() {
    let Some(world) = World::new() else { return };
    let mut judge = world.judge();
    let dates = [" 1-Jan-1970 00:00:01 +0000", "29-Feb-2024 23:59:59 -1200", " 9-Sep-2037 01:02:03 +1345"];
    for (number, raw) in (0..).zip(dates) {
        let flags = Flags::parse("\\Answered \\Deleted \\Draft \\Flagged \\Seen $MDNSent NonJunk a!b [x ~");
        judge.append("INBOX", &flags, &InternalDate::parse(raw), &mail(number));
    }
    let bodies: [&[u8]; 8] = [
        b"",
        b"\r\n",
        b"no header at all",
        b"Subject: a header alone\r\n",
        b"Subject: 8 bit \xfc\xe4\r\n\r\n\xff\xfe\x80\r\n",
        b"Subject: bare CR\r\n\r\na\rb\r\r\n",
        b"From nobody Mon Mar  2 10:00:00 2026\r\nSubject: an mbox line\r\n\r\nFrom here\r\n.\r\n..\r\n",
        b"Subject: a tag\r\n\r\nA1 LOGOUT\r\n* BYE {12}\r\n",
    ];
    for bytes in bodies {
        // What the server does not take cannot be backed up from it.
        let _ = judge.try_append("INBOX", &Flags::new(), &date(1), bytes);
    }
    let _ = world.run_now();
    let source = world.content();
    assert!(source.count() >= 9, "{}", source.count());
    let report = world.restore_beside(0, "berta", &["--verify=full"]);
    assert_totals(&report, source.count(), 0);
    Content::of(world.dovecot.imap("berta")).assert_is(&source);
}

/// Runs a line as a person would paste it into a shell.
fn paste(world: &World, line: &str) -> std::process::Output {
    let beside = world.program.program().parent().expect("the program lies in a folder");
    let path = format!("{}:{}", beside.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(line).env("PATH", path).current_dir(world.path(""));
    shell.env("HOME", world.path("")).env("XDG_STATE_HOME", world.path("state"));
    shell.env_remove("STATE_DIRECTORY").output().expect("a shell runs")
}

/// The restore that `status` prints after a loss.
fn printed_restore(world: &World) -> String {
    let status = String::from_utf8(world.run(0, &["status"]).stdout).expect("text");
    let restore = format!("restore {ACCOUNT} --to {ACCOUNT}");
    let line =
        status.lines().map(str::trim).find(|line| line.contains(&restore) && !line.contains("--dry-run"));
    line.unwrap_or_else(|| panic!("no restore is printed:\n{status}")).to_owned()
}

#[test]
fn l01_a_wiped_mailbox_is_as_before_after_the_one_command_that_status_prints() {
    let Some(world) = backed_up() else { return };
    let source = world.content();
    let mut judge = world.judge();
    for (folder, messages) in judge.everything() {
        match folder.as_str() {
            "INBOX" if !messages.is_empty() => judge.expunge("INBOX", &uids_of(&messages)),
            "INBOX" => {}
            other => judge.delete(other),
        }
    }
    assert_eq!(judge.count(), 0);
    let _ = world.run_with_code(3);
    let output = paste(&world, &printed_restore(&world));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    world.content().assert_is(&source);
    // And the archive goes on from there.
    let ledger = world.run_now();
    assert_eq!(ledger["totals"]["archived"], source.count(), "{ledger}");
}

fn uids_of(messages: &[testkit::Fetched]) -> UidSet {
    let uids: Vec<String> = messages.iter().map(|message| Uid::get(message.uid).to_string()).collect();
    UidSet::parse(&uids.join(",")).expect("UIDs")
}

#[test]
fn l01_a_mailbox_encrypted_in_place_has_all_of_its_old_state_again() {
    let Some(mut world) = World::new() else { return };
    let _ = world.fill(&Mail::small(11, 150).in_folders(&["INBOX", "Sent", "Work/Offers"]));
    let _ = world.run_now();
    let source = world.content();
    let mut judge = world.judge();
    for (folder, messages) in judge.everything() {
        for message in &messages {
            let head = "Subject: encrypted\r\nContent-Type: application/octet-stream\r\n\r\n";
            let bytes: Vec<u8> = head
                .bytes()
                .chain(message.bytes.iter().map(|byte| byte ^ 0x5a).filter(|byte| {
                    // What a server would take for a line end or not take at all.
                    !b"\r\n\0".contains(byte)
                }))
                .collect();
            judge.append(&folder, &message.flags, &message.internal_date, &bytes);
        }
        if !messages.is_empty() {
            judge.expunge(&folder, &uids_of(&messages));
        }
    }
    let encrypted = world.content();
    assert_eq!(encrypted.count(), source.count());
    let _ = world.run_with_code(3);
    let output = paste(&world, &printed_restore(&world));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let now = world.content();
    now.assert_holds(&source);
    // Nothing is ever deleted on a target.
    now.assert_holds(&encrypted);
    assert_eq!(now.count(), source.count() + encrypted.count());
    assert_eq!(Content::of(world.dovecot.imap(USER)).count(), now.count());
}
