//! A restore, from the pull of one server to the proof on another.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use archive::{Archive, When, Writer, WriterOptions};
use message::{InternalDate, MessageKey};
use remote::{Credentials, Endpoint, Security};
use restante_sync::{
    FolderFilter, Job, Outcome, PullLimits, RestoreJob, RestoreLimits, RestoreOutcome, RestoreReport, Stop,
    SystemClock, Verify, pull, restore,
};
use server::{Behaviour, Store};
use testkit::Scripted;

const USER: &str = "anna";

/// The sample mailbox in an archive.
struct World {
    source: Store,
    folder: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let (source, folder) = (Store::new(), tempfile::tempdir().unwrap());
        source.add_user(USER, "pass");
        server::sample::fill(&source, USER).unwrap();
        archive::init(&folder.path().join("a")).unwrap();
        let server = Scripted::start(source.clone(), Behaviour::modern());
        let job = Job {
            account: "a".into(),
            endpoint: endpoint(server.port()),
            credentials: credentials(),
            filter: FolderFilter::new(&[], &[]).unwrap(),
            limits: PullLimits { reserve_bytes: 0, ..PullLimits::default() },
        };
        let mut writer = Writer::open(&folder.path().join("a"), WriterOptions::default()).unwrap();
        let ledger = pull(&mut writer, &job, &SystemClock::default(), &(), &Stop::default());
        assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
        Self { source, folder }
    }

    fn restore(&self, target: &Store, behaviour: Behaviour, verify: Verify) -> RestoreReport {
        let server = Scripted::start(target.clone(), behaviour);
        let job = RestoreJob {
            account: "a".into(),
            endpoint: endpoint(server.port()),
            credentials: credentials(),
            filter: FolderFilter::new(&[], &[]).unwrap(),
            when: When::default(),
            only: None,
            prefix: None,
            verify,
            keep_flags: false,
            dry_run: false,
            connections: 4,
            limits: RestoreLimits { settle: std::time::Duration::ZERO, ..RestoreLimits::default() },
        };
        let archive = Archive::open(&self.folder.path().join("a")).unwrap();
        restore(&archive, &job, &SystemClock::default(), &(), &Stop::default())
    }
}

fn endpoint(port: u16) -> Endpoint {
    Endpoint {
        host: "127.0.0.1".into(),
        port,
        security: Security::Plain,
        extra_authorities: Vec::new(),
        extra_authorities_from: String::new(),
    }
}

fn credentials() -> Credentials {
    Credentials { user: USER.into(), password: "pass".to_owned().into() }
}

fn empty() -> Store {
    let store = Store::new();
    store.add_user(USER, "pass");
    store
}

/// What each mailbox has: key, flags and received date of each message, as often as it is there.
fn mail(store: &Store) -> BTreeMap<String, Vec<(MessageKey, String, Option<i64>)>> {
    let mailboxes = store.mailboxes(USER).unwrap().into_iter().map(|mailbox| {
        let messages = store.messages(USER, &mailbox.name).unwrap().into_iter();
        let mut messages: Vec<_> = messages
            .map(|message| (MessageKey::of(&message.bytes), message.flags.to_string(), message.date.unix()))
            .collect();
        messages.sort();
        (mailbox.name, messages)
    });
    mailboxes.collect()
}

#[test]
fn a_mailbox_comes_back_as_it_was_and_running_it_again_adds_nothing() {
    let world = World::new();
    for verify in [Verify::Headers, Verify::Full] {
        for behaviour in [Behaviour::modern(), Behaviour::bare()] {
            let target = empty();
            let report = world.restore(&target, behaviour.clone(), verify);
            assert_eq!(report.outcome, RestoreOutcome::Proven, "{report:#?}");
            assert_eq!(mail(&target), mail(&world.source));
            let total = report.totals;
            assert_eq!((total.already_there, total.added, total.proven), (0, total.asked, total.asked));
            let again = world.restore(&target, behaviour, verify);
            assert_eq!(again.outcome, RestoreOutcome::Proven, "{again:#?}");
            assert_eq!((again.totals.already_there, again.totals.added), (total.asked, 0));
            assert_eq!(mail(&target), mail(&world.source));
        }
    }
}

/// The sample mailbox, each body turned into noise of the same size: header, size, flags and, unless it
/// is moved by some seconds, received date are as they were.
fn encrypted(source: &Store, later: i64) -> Store {
    let target = empty();
    for mailbox in source.mailboxes(USER).unwrap() {
        if mailbox.name != "INBOX" {
            target.create(USER, &mailbox.name).unwrap();
        }
        for message in source.messages(USER, &mailbox.name).unwrap() {
            let mut bytes = message.bytes.to_vec();
            let body = bytes.windows(4).position(|end| end == b"\r\n\r\n").map_or(bytes.len(), |at| at + 4);
            bytes[body..].iter_mut().filter(|byte| byte.is_ascii_graphic()).for_each(|byte| *byte ^= 1);
            if bytes == message.bytes[..] {
                continue;
            }
            let date = InternalDate::from_unix(message.date.unix().unwrap() + later, 0);
            target.append(USER, &mailbox.name, &message.flags, &date, bytes).unwrap();
        }
    }
    target
}

#[test]
fn l03_mail_encrypted_in_place_under_its_old_header_size_and_date_is_not_taken_for_ours() {
    let world = World::new();
    for later in [0, 60] {
        for verify in [Verify::Headers, Verify::Full, Verify::Off] {
            let target = encrypted(&world.source, later);
            let ruined = mail(&target);
            let report = world.restore(&target, Behaviour::modern(), verify);
            let expected =
                if verify == Verify::Off { RestoreOutcome::Unproven } else { RestoreOutcome::Proven };
            assert_eq!(report.outcome, expected, "{report:#?}");
            assert_eq!(report.totals.added, report.totals.asked);
            let late = |notice: &String| notice.contains("once more");
            assert!(!report.folders.iter().any(|folder| folder.notices.iter().any(late)), "{report:#?}");
            let mut both = mail(&world.source);
            for (mailbox, messages) in ruined {
                let all = both.entry(mailbox).or_default();
                all.extend(messages);
                all.sort();
                all.dedup();
            }
            let mut now = mail(&target);
            now.values_mut().for_each(Vec::dedup);
            assert_eq!(now, both, "{verify:?}, dates moved by {later} s");
        }
    }
}
