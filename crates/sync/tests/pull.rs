//! A run against servers that misbehave: what is lost on the way is fetched again, what cannot be had
//! is named, and nothing else suffers.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use archive::disk::simulated::{Faults, SimulatedDisk};
use archive::{Archive, Place, Seeded, Writer, WriterOptions};
use message::{Flags, InternalDate, MessageKey, Uid, UidSet, UidValidity};
use remote::{Credentials, Endpoint, Security};
use restante_sync::{FolderFilter, Job, Ledger, Outcome, PullLimits, Stop, SystemClock, pull};
use server::{Behaviour, Effect, Fault, Field, Store, Trigger};
use testkit::Scripted;

const USER: &str = "anna";

struct World {
    store: Store,
    archive: tempfile::TempDir,
    limits: PullLimits,
}

impl World {
    fn new() -> Self {
        let store = Store::new();
        store.add_user(USER, "pass");
        let archive = tempfile::tempdir().unwrap();
        archive::init(&archive.path().join("a")).unwrap();
        let limits = PullLimits { reserve_bytes: 0, ..PullLimits::default() };
        Self { store, archive, limits }
    }

    fn with_messages(count: u32) -> Self {
        let world = Self::new();
        (1..=count).for_each(|number| world.deliver("INBOX", &mail(number, 2_000)));
        world
    }

    fn deliver(&self, mailbox: &str, bytes: &[u8]) {
        let date = InternalDate::from_unix(1_772_445_600 + i64::try_from(bytes.len()).unwrap(), 0);
        self.store.append(USER, mailbox, &Flags::parse("\\Seen"), &date, bytes).unwrap();
    }

    fn path(&self) -> std::path::PathBuf {
        self.archive.path().join("a")
    }

    fn pull(&self, behaviour: Behaviour) -> (Ledger, Scripted) {
        let mut writer = Writer::open(&self.path(), WriterOptions::default()).unwrap();
        self.pull_into(&mut writer, behaviour)
    }

    fn pull_into(&self, writer: &mut Writer, behaviour: Behaviour) -> (Ledger, Scripted) {
        let server = Scripted::start(self.store.clone(), behaviour);
        let job = Job {
            account: "a".into(),
            protocol: restante_sync::Protocol::Imap,
            endpoint: Endpoint {
                host: "127.0.0.1".into(),
                port: server.port(),
                security: Security::Plain,
                extra_authorities: Vec::new(),
                extra_authorities_from: String::new(),
            },
            credentials: Credentials { user: USER.into(), password: "pass".to_owned().into() },
            filter: FolderFilter::new(&[], &[]).unwrap(),
            limits: self.limits.clone(),
        };
        let ledger = pull(writer, &job, &SystemClock::default(), &(), &Stop::default());
        (ledger, server)
    }

    fn pull_from(&self, fault: Fault) -> Ledger {
        self.pull(Behaviour::modern().with_fault(fault)).0
    }

    fn assert_whole(&self, ledger: &Ledger) {
        assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
        for mailbox in self.store.mailboxes(USER).unwrap() {
            let on_server = self.store.messages(USER, &mailbox.name).unwrap();
            let mut expected: Vec<_> = on_server.iter().map(|m| (m.uid, MessageKey::of(&m.bytes))).collect();
            expected.sort_unstable();
            let mut held: Vec<_> = held(&self.path(), &mailbox.name);
            held.sort_unstable();
            assert_eq!(held, expected, "{}", mailbox.name);
        }
    }
}

/// What the archive holds of a mailbox, each message read back in full.
fn held(archive: &Path, mailbox: &str) -> Vec<(Uid, MessageKey)> {
    let archive = Archive::open(archive).unwrap();
    let view = archive.view();
    let account = view.account("a").unwrap().unwrap();
    let mailboxes = view.mailboxes(account.id).unwrap();
    let Some(info) = mailboxes.iter().find(|info| info.name.text() == mailbox) else { return Vec::new() };
    let mut held = Vec::new();
    let mut each = |placement: archive::PlacementInfo| {
        held.push((placement.uid, MessageKey::of(&view.read_to_vec(&placement.message).unwrap())));
        std::ops::ControlFlow::Continue(())
    };
    view.placements(info.id, archive::When::default(), &mut each).unwrap();
    held
}

fn mail(number: u32, length: usize) -> Vec<u8> {
    let header = format!("Message-ID: <{number}@example.org>\r\nSubject: number {number}\r\n\r\n");
    let line = format!("line of message {number}, again and again\r\n");
    let mut bytes = header.into_bytes();
    while bytes.len() < length + number as usize {
        bytes.extend_from_slice(line.as_bytes());
    }
    bytes
}

fn uids(text: &str) -> UidSet {
    UidSet::parse(text).unwrap()
}

#[test]
fn a_modern_and_a_bare_server_give_the_same_archive() {
    for behaviour in [Behaviour::modern(), Behaviour::bare()] {
        let world = World::new();
        server::sample::fill(&world.store, USER).unwrap();
        let (ledger, _) = world.pull(behaviour.clone());
        world.assert_whole(&ledger);
        let (again, server) = world.pull(behaviour);
        world.assert_whole(&again);
        assert_eq!((again.totals.bytes_fetched, server.counts().body_octets), (0, 0));
    }
}

#[test]
fn an_unchanged_mailbox_of_many_folders_costs_a_handful_of_commands() {
    let world = World::new();
    for number in 1..=100 {
        let name = format!("folder {number}");
        world.store.create(USER, &name).unwrap();
        world.deliver(&name, &mail(number, 100));
    }
    let (first, _) = world.pull(Behaviour::modern());
    world.assert_whole(&first);
    let (ledger, server) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    let commands = server.counts().commands;
    assert!(commands <= 8, "{commands} commands: {:?}", server.log());
}

#[test]
fn n01_a_cut_connection_costs_only_what_was_on_the_line() {
    let world = World::with_messages(800);
    let cut = |octets| Fault::new(Trigger::Sent(octets), Effect::Disconnect).first(2);
    let (ledger, server) = world.pull(Behaviour::modern().with_fault(cut(150_000)));
    world.assert_whole(&ledger);
    let sum: u64 = world.store.messages(USER, "INBOX").unwrap().iter().map(|m| m.bytes.len() as u64).sum();
    assert!(server.counts().body_octets < sum + sum / 4, "{} of {sum}", server.counts().body_octets);
}

#[test]
fn i08_a_message_that_kills_the_connection_is_left_out_by_name_and_the_rest_goes_on() {
    let world = World::with_messages(60);
    let ledger = world.pull_from(Fault::new(Trigger::Body(37), Effect::Disconnect));
    assert_eq!(ledger.outcome, Outcome::Partial);
    assert_eq!(ledger.totals.archived, 59);
    let failed: Vec<u32> = ledger.folders[0].failed.iter().filter_map(|item| item.uid).collect();
    assert_eq!(failed, [37], "{ledger:#?}");
    let (ledger, _) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
}

#[test]
fn i08_a_message_that_is_refused_is_found_by_halving() {
    let world = World::with_messages(60);
    let ledger = world.pull_from(Fault::new(Trigger::Body(20), Effect::No("backend unavailable".into())));
    assert_eq!(ledger.outcome, Outcome::Partial);
    assert_eq!(ledger.totals.archived, 59);
    let item = &ledger.folders[0].failed[0];
    assert_eq!(item.uid, Some(20));
    assert!(item.why.contains("backend unavailable"), "{item:?}");
}

#[test]
fn i07_a_message_that_is_listed_and_never_sent_is_named() {
    let world = World::with_messages(30);
    let ledger = world.pull_from(Fault::new(Trigger::Body(9), Effect::Nil(Field::Body)));
    assert_eq!(ledger.outcome, Outcome::Partial, "{ledger:#?}");
    assert_eq!(ledger.folders[0].failed.iter().filter_map(|item| item.uid).collect::<Vec<_>>(), [9]);
    assert_eq!(ledger.totals.archived, 29);
}

#[test]
fn i04_answers_in_any_order_and_form_are_understood() {
    for effect in [Effect::UidLast, Effect::Descending] {
        let world = World::with_messages(40);
        let ledger = world.pull_from(Fault::new(Trigger::Always, effect));
        world.assert_whole(&ledger);
    }
}

#[test]
fn i05_a_wrong_size_is_only_a_hint() {
    for size in [0, 1, 40 << 20, u64::from(u32::MAX)] {
        let world = World::with_messages(5);
        let ledger = world.pull_from(Fault::new(Trigger::Fetch(3), Effect::Size(size)));
        world.assert_whole(&ledger);
    }
}

#[test]
fn m02_a_large_message_comes_in_slices_and_is_exact() {
    let world = World::with_messages(3);
    world.deliver("INBOX", &mail(99, 21 << 20));
    // One whose end is the end of a slice.
    let mut even = mail(98, 20 << 20);
    even.truncate(20 << 20);
    world.deliver("INBOX", &even);
    let (ledger, _) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
}

#[test]
fn i01_a_search_that_is_cut_short_hides_nothing() {
    let world = World::with_messages(50);
    let ledger = world.pull_from(Fault::new(Trigger::Always, Effect::SearchLimit(10)));
    world.assert_whole(&ledger);
}

#[test]
fn i01_a_list_that_is_shorter_than_the_count_makes_nothing_vanish() {
    let world = World::with_messages(30);
    world.pull(Behaviour::modern());
    world.deliver("INBOX", &mail(31, 2_000));
    let hides = Behaviour::modern()
        .with_fault(Fault::new(Trigger::Fetch(5), Effect::Hide))
        .with_fault(Fault::new(Trigger::Always, Effect::SearchLimit(10)))
        .without("QRESYNC")
        .without("CONDSTORE");
    let (ledger, _) = world.pull(hides);
    assert_eq!(ledger.totals.vanished, 0, "{ledger:#?}");
    let (ledger, _) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
}

#[test]
fn i11_a_server_without_uidvalidity_is_backed_up_and_nothing_is_doubled() {
    let world = World::with_messages(40);
    for _ in 0..2 {
        let ledger = world.pull_from(Fault::new(Trigger::Always, Effect::Validity(None)));
        assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
        assert_eq!(held(&world.path(), "INBOX").len(), 40);
    }
}

#[test]
fn i12_a_new_uidvalidity_is_matched_and_only_the_difference_fetched() {
    let world = World::with_messages(200);
    let (first, _) = world.pull(Behaviour::modern());
    world.store.set_validity(USER, "INBOX", UidValidity::new(4_711).unwrap(), true).unwrap();
    world.deliver("INBOX", &mail(500, 2_000));
    let (ledger, _) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    assert!(ledger.totals.bytes_fetched * 10 < first.totals.bytes_fetched, "{:?}", ledger.totals);
    assert_eq!(ledger.totals.matched_by_header, 200);
}

#[test]
fn i12_a_match_that_was_wrong_is_found_by_its_bytes() {
    let world = World::new();
    let shared =
        "Message-ID: <1@example.org>\r\nSubject: a draft\r\n\r\n".to_owned() + &"same words\r\n".repeat(300);
    world.deliver("INBOX", format!("{shared}first end\r\n").as_bytes());
    world.pull(Behaviour::modern());
    // Another message of the same size, date and beginning, in a mailbox with new UIDs.
    world.store.expunge(USER, "INBOX", &uids("1")).unwrap();
    world.deliver("INBOX", format!("{shared}other end\r\n").as_bytes());
    let (ledger, _) = world.pull(Behaviour::modern());
    assert_eq!(ledger.totals.matched_by_header, 1);
    let (ledger, _) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
}

#[test]
fn l01_a_wiped_server_changes_what_we_know_not_what_we_hold() {
    let world = World::with_messages(80);
    world.pull(Behaviour::modern());
    world.store.expunge(USER, "INBOX", &uids("1:80")).unwrap();
    let (ledger, _) = world.pull(Behaviour::modern());
    assert!(ledger.suspicious, "{ledger:#?}");
    assert_eq!(ledger.totals.vanished, 80);
    let archive = Archive::open(&world.path()).unwrap();
    let view = archive.view();
    let account = view.account("a").unwrap().unwrap().id;
    let before = view.runs(account, 10).unwrap()[1].id;
    let inbox = view.mailboxes(account).unwrap()[0].id;
    let mut kept = 0;
    let mut each = |_| {
        kept += 1;
        std::ops::ControlFlow::Continue(())
    };
    view.placements(inbox, archive::When { as_of: Some(before), deleted: false }, &mut each).unwrap();
    assert_eq!(kept, 80);
}

#[test]
fn i33_a_folder_that_cannot_be_opened_is_failed_and_the_others_go_on() {
    let world = World::with_messages(10);
    world.store.create(USER, "Locked").unwrap();
    world.deliver("Locked", &mail(11, 100));
    let refuse =
        Fault::new(Trigger::Line("EXAMINE \"Locked\"".into()), Effect::No("Permission denied".into()));
    let (ledger, _) = world.pull(Behaviour::modern().with_fault(refuse));
    assert_eq!(ledger.outcome, Outcome::Partial);
    assert_eq!(ledger.totals.archived, 10);
    let locked = ledger.folders.iter().find(|folder| folder.folder == "Locked").unwrap();
    assert!(locked.error.as_deref().is_some_and(|error| error.contains("Permission denied")), "{locked:?}");
}

#[test]
fn i23_an_extension_that_is_announced_and_broken_is_done_without() {
    for capability in ["QRESYNC", "CONDSTORE", "LIST-STATUS", "ESEARCH", "SPECIAL-USE"] {
        let world = World::with_messages(20);
        for _ in 0..2 {
            let (ledger, _) = world.pull(Behaviour::modern().with_broken(capability));
            world.assert_whole(&ledger);
        }
    }
}

#[test]
fn a_wrong_password_is_tried_once() {
    let world = World::with_messages(1);
    let denied = Effect::No("[AUTHENTICATIONFAILED] no".into());
    let (ledger, server) = world.pull(Behaviour::modern().with_fault(Fault::new(Trigger::Login, denied)));
    assert_eq!(ledger.outcome, Outcome::Failed);
    let logins = server
        .log()
        .iter()
        .filter(|line| line.starts_with("LOGIN") || line.starts_with("AUTHENTICATE"))
        .count();
    assert_eq!(logins, 1, "{:?}", server.log());
    assert!(ledger.error.is_some());
}

#[test]
fn a_byte_budget_ends_the_run_and_the_next_one_goes_on() {
    let mut world = World::with_messages(60);
    world.limits.max_bytes = Some(30_000);
    let (ledger, _) = world.pull(Behaviour::modern());
    assert_eq!(ledger.outcome, Outcome::Failed, "no folder was completed");
    assert!(ledger.error.as_deref().is_some_and(|error| error.contains("max_bytes_per_day")), "{ledger:?}");
    world.limits.max_bytes = None;
    let (ledger, server) = world.pull(Behaviour::modern());
    world.assert_whole(&ledger);
    let sum: u64 = world.store.messages(USER, "INBOX").unwrap().iter().map(|m| m.bytes.len() as u64).sum();
    assert!(server.counts().body_octets < sum - 20_000, "the first run's messages are not fetched again");
}

#[test]
fn a_full_disk_is_noticed_before_it_is_full() {
    let mut world = World::with_messages(60);
    world.limits.reserve_bytes = u64::MAX;
    world.limits.commit_bytes = 1;
    let (ledger, _) = world.pull(Behaviour::modern());
    assert_eq!(ledger.outcome, Outcome::Failed);
    assert!(ledger.error.as_deref().is_some_and(|error| error.contains("reserve")), "{ledger:?}");
}

#[test]
fn d07_a_run_that_fills_the_disk_counts_only_what_came_to_it() {
    let disk = SimulatedDisk::new();
    let place = Place::on(Arc::new(disk.clone()), Path::new("/a"), None);
    archive::init_at(&place, &Seeded::new(1)).unwrap();
    let mut world = World::new();
    for mailbox in ["first", "second"] {
        world.store.create(USER, mailbox).unwrap();
    }
    for number in 1..=400 {
        world.deliver(["INBOX", "first", "second"][number % 3], &noise(number));
    }
    world.limits.commit_bytes = 300_000;
    let options = WriterOptions { block_bytes: 20_000, ..WriterOptions::default() };
    disk.set_faults(Faults { room: Some(2_500_000), ..Faults::default() });
    let mut writer = Writer::open_at(place.clone(), Arc::new(Seeded::new(2)), options).unwrap();
    let (ledger, _) = world.pull_into(&mut writer, Behaviour::modern());
    drop(writer);

    assert_eq!(ledger.outcome, Outcome::Failed);
    assert!(ledger.error.as_ref().unwrap().contains("no storage space"), "{ledger:#?}");
    let archive = Archive::open_at(place).unwrap();
    let account = archive.view().account("a").unwrap().unwrap();
    let on_disk = archive.view().totals(Some(account.id)).unwrap().live;
    assert!(on_disk > 0 && on_disk < 400, "{on_disk}");
    assert_eq!((ledger.totals.archived, ledger.totals.new), (on_disk, on_disk), "{ledger:#?}");
}

/// A mail that no compression makes smaller.
fn noise(number: usize) -> Vec<u8> {
    let mut bytes = format!("Subject: noise {number}\r\n\r\n").into_bytes();
    let mut hash = blake3::Hasher::new().update(&number.to_le_bytes()).finalize_xof();
    let start = bytes.len();
    bytes.resize(start + 12_000, 0);
    hash.fill(&mut bytes[start..]);
    bytes
}
