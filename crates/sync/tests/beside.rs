//! Several accounts pulled at the same time into one archive: nobody waits for anybody, and each gets
//! its own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::time::Duration;

use archive::{Archive, When, Writer, WriterOptions};
use message::{Flags, InternalDate, MessageKey};
use remote::{Credentials, Endpoint, Security};
use restante_sync::{
    Archivist, FolderFilter, Job, Ledger, Outcome, Pop3Options, Protocol, PullLimits, Stop, Surroundings,
    SystemClock, pull_beside_others,
};
use server::{Behaviour, Effect, Fault, Store, Trigger, pop3};
use testkit::{Scripted, ScriptedPop3};

const PASSWORD: &str = "pass";

/// So many messages of a user in INBOX, some of which all users have.
fn store(user: &str, count: usize) -> Store {
    let store = Store::new();
    store.add_user(user, PASSWORD);
    for number in 0..count {
        let whose = if number % 3 == 0 { "everybody" } else { user };
        let bytes = format!("Subject: {number} for {whose}\r\n\r\n{}", "a line\r\n".repeat(100 + number));
        store
            .append(user, "INBOX", &Flags::default(), &InternalDate::from_unix(0, 0), bytes.as_bytes())
            .unwrap();
    }
    store
}

fn keys_of(store: &Store, user: &str) -> BTreeSet<MessageKey> {
    store.messages(user, "INBOX").unwrap().iter().map(|message| MessageKey::of(&message.bytes)).collect()
}

fn job(account: &str, protocol: Protocol, port: u16) -> Job {
    let mut limits = PullLimits { reserve_bytes: 0, commit_bytes: 100_000, ..PullLimits::default() };
    limits.patience.first_pause = Duration::from_millis(1);
    Job {
        account: account.to_owned(),
        protocol,
        endpoint: Endpoint {
            host: "127.0.0.1".into(),
            port,
            security: Security::Plain,
            extra_authorities: Vec::new(),
            extra_authorities_from: String::new(),
        },
        credentials: Credentials { user: account.to_owned(), password: PASSWORD.to_owned().into() },
        filter: FolderFilter::new(&[], &[]).unwrap(),
        limits,
    }
}

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        archive::init(&place.path().join("a")).unwrap();
        Self(place)
    }

    fn writer(&self) -> Writer {
        Writer::open(&self.0.path().join("a"), WriterOptions::default()).unwrap()
    }

    /// What the archive has of an account's INBOX, each message read back in full.
    fn held(&self, account: &str) -> BTreeSet<MessageKey> {
        let archive = Archive::open(&self.0.path().join("a")).unwrap();
        let view = archive.view();
        let Some(account) = view.account(account).unwrap() else { return BTreeSet::new() };
        let mut held = BTreeSet::new();
        for mailbox in view.mailboxes(account.id).unwrap() {
            let mut each = |placement: archive::PlacementInfo| {
                held.insert(MessageKey::of(&view.read_to_vec(&placement.message).unwrap()));
                ControlFlow::Continue(())
            };
            view.placements(mailbox.id, When::default(), &mut each).unwrap();
        }
        held
    }
}

/// Pulls all of these at once.
fn pull_all(writer: &mut Writer, jobs: &[Job]) -> Vec<Ledger> {
    let (clock, stop) = (SystemClock::default(), Stop::default());
    Archivist::serve(writer, &clock, &jobs[0].limits, |archivist| {
        std::thread::scope(|scope| {
            let pulls: Vec<_> = jobs
                .iter()
                .map(|job| {
                    let (archivist, clock, stop) = (archivist.clone(), &clock, &stop);
                    scope.spawn(move || {
                        pull_beside_others(Surroundings::here(clock, &(), stop), &archivist, job)
                    })
                })
                .collect();
            pulls.into_iter().map(|pull| pull.join().unwrap()).collect()
        })
    })
}

#[test]
fn accounts_of_both_protocols_come_at_once_each_whole_and_what_they_share_once() {
    let users: Vec<String> = (0..6).map(|number| format!("user{number}")).collect();
    let stores: Vec<Store> = users.iter().map(|user| store(user, 60)).collect();
    let imap: Vec<Scripted> =
        stores[..3].iter().map(|store| Scripted::start(store.clone(), Behaviour::modern())).collect();
    let pop: Vec<ScriptedPop3> = stores[3..]
        .iter()
        .map(|store| ScriptedPop3::start(store.clone(), pop3::Behaviour::modern()))
        .collect();
    let ports = imap.iter().map(|server| (Protocol::Imap, server.port()));
    let ports = ports.chain(pop.iter().map(|server| (Protocol::Pop3(Pop3Options::default()), server.port())));
    let jobs: Vec<Job> =
        users.iter().zip(ports).map(|(user, (protocol, port))| job(user, protocol, port)).collect();

    let place = Place::new();
    let mut writer = place.writer();
    for round in 0..2 {
        for ledger in pull_all(&mut writer, &jobs) {
            assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
            assert_eq!(ledger.totals.new, if round == 0 { 60 } else { 0 }, "{}", ledger.account);
        }
    }
    drop(writer);
    for (user, store) in users.iter().zip(&stores) {
        assert_eq!(place.held(user), keys_of(store, user), "{user}");
    }
    let distinct: BTreeSet<_> =
        users.iter().zip(&stores).flat_map(|(user, store)| keys_of(store, user)).collect();
    let archive = Archive::open(&place.0.path().join("a")).unwrap();
    assert_eq!(archive.view().totals(None).unwrap().messages, distinct.len() as u64);
}

#[test]
fn o07_a_server_that_never_answers_holds_up_no_other_account() {
    let (silent, well) = (store("silent", 3), store("well", 40));
    let behaviour = Behaviour::modern().with_fault(Fault::new(Trigger::Login, Effect::Silence));
    let dead = Scripted::start(silent, behaviour);
    let server = Scripted::start(well.clone(), Behaviour::modern());
    let place = Place::new();
    let mut writer = place.writer();
    let (clock, waits, goes_on) = (SystemClock::default(), Stop::default(), Stop::default());
    let (dead, jobs) =
        (job("silent", Protocol::Imap, dead.port()), job("well", Protocol::Imap, server.port()));
    let (first, second) = Archivist::serve(&mut writer, &clock, &jobs.limits, |archivist| {
        std::thread::scope(|scope| {
            let waiting = scope
                .spawn(|| pull_beside_others(Surroundings::here(&clock, &(), &waits), &archivist, &dead));
            let well = pull_beside_others(Surroundings::here(&clock, &(), &goes_on), &archivist, &jobs);
            // Only now that the other is done may the first end.
            assert!(!waiting.is_finished());
            waits.request();
            (waiting.join().unwrap(), well)
        })
    });
    assert_eq!((first.outcome, second.outcome), (Outcome::Failed, Outcome::Ok), "{first:#?}");
    assert!(first.error.is_some_and(|error| error.contains("interrupted")));
    drop(writer);
    assert_eq!(place.held("well"), keys_of(&well, "well"));
}

#[test]
fn a_full_disk_ends_all_runs_with_the_reason_and_a_later_one_goes_on() {
    let stores = [store("anna", 50), store("ben", 50)];
    let servers: Vec<Scripted> =
        stores.iter().map(|store| Scripted::start(store.clone(), Behaviour::modern())).collect();
    let users = ["anna", "ben"];
    let mut jobs: Vec<Job> =
        users.iter().zip(&servers).map(|(user, server)| job(user, Protocol::Imap, server.port())).collect();
    let place = Place::new();
    let mut writer = place.writer();
    jobs.iter_mut().for_each(|job| job.limits.reserve_bytes = u64::MAX);
    for ledger in pull_all(&mut writer, &jobs) {
        assert_eq!(ledger.outcome, Outcome::Failed);
        assert!(ledger.error.as_deref().is_some_and(|error| error.contains("reserve")), "{ledger:#?}");
    }
    jobs.iter_mut().for_each(|job| job.limits.reserve_bytes = 0);
    for ledger in pull_all(&mut writer, &jobs) {
        assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
    }
    drop(writer);
    for (user, store) in users.iter().zip(&stores) {
        assert_eq!(place.held(user), keys_of(store, user), "{user}");
    }
}
