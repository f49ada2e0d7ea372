//! What providers do on purpose: mail that is shown once, mail that goes when it was fetched or is
//! old, locks and delays.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use restante_sync::{Outcome, Pop3Listing};
use server::pop3::{Behaviour, Effect, Fault, Trigger};
use testkit::ScriptedPop3;

use crate::scripted::mail;
use crate::world::{WhenMessageComes, World, asked};

fn gmail(world: &mut World) -> ScriptedPop3 {
    world.options.listing = Pop3Listing::New;
    ScriptedPop3::start(world.store.clone(), Behaviour::gmail(25))
}

#[test]
fn p06_gmail_is_asked_again_until_it_shows_nothing_new_and_absence_is_no_loss() {
    let mut world = World::with_messages(60);
    let server = gmail(&mut world);
    let ledger = world.pull_from(&server, &());
    world.assert_whole(&ledger);
    assert_eq!((server.counts().logins, world.stored()), (4, 60));
    let log = server.log();
    assert_eq!(log.iter().filter(|line| *line == "QUIT").count(), 4, "{log:?}");

    world.deliver(&mail(61, 2_000));
    let ledger = world.pull_from(&server, &());
    assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
    assert_eq!((ledger.totals.new, ledger.totals.vanished, ledger.suspicious), (1, 0, false));
    let ledger = world.pull_from(&server, &());
    assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
    assert_eq!((world.held(), ledger.totals.vanished), (world.keys_on_server(), 0));
}

#[test]
fn p06_a_line_that_is_dropped_loses_none_of_gmails_messages() {
    let mut world = World::with_messages(60);
    let server = gmail(&mut world);
    server.set_faults(&[Fault::on("RETR", Effect::DisconnectAfter(700)).only(10)]);
    world.assert_whole(&world.pull_from(&server, &()));
    // Those before the cut were fetched by a session without QUIT: they are shown again, and fetched
    // again so that others can be shown.
    assert_eq!(asked(&server, "RETR"), 61 + 9);
}

#[test]
fn p06_messages_that_are_here_and_stand_in_the_place_of_others_are_fetched_again() {
    // QUIT that does not get through.
    let mut world = World::with_messages(60);
    let server = gmail(&mut world);
    server.set_faults(&[Fault::on("QUIT", Effect::Disconnect).first(2)]);
    let ledger = world.pull_from(&server, &());
    world.assert_whole(&ledger);
    assert!(ledger.warnings.is_empty(), "{ledger:#?}");
    world.fill(61..=70, 500);
    server.set_faults(&[Fault::on("QUIT", Effect::Disconnect)]);
    let ledger = world.pull_from(&server, &());
    assert!(ledger.warnings.iter().any(|warning| warning.contains("goes on showing")), "{ledger:#?}");
    assert!(asked(&server, "RETR") < 60 + 50 + 80, "{:?}", server.counts());

    // A run that ends before QUIT, with as many as are shown.
    let mut world = World::with_messages(60);
    let server = gmail(&mut world);
    world.limits.patience.cuts = 0;
    server.set_faults(&[Fault::on("STAT", Effect::Disconnect).only(2)]);
    let ledger = world.pull_from(&server, &());
    assert_eq!((world.held().len(), ledger.outcome == Outcome::Ok), (25, false), "{ledger:#?}");
    world.assert_whole(&world.pull_from(&server, &()));

    // Mail that came over IMAP.
    let mut world = World::with_messages(60);
    assert_eq!(world.pull_over_imap("a").outcome, Outcome::Ok);
    let server = gmail(&mut world);
    world.deliver(&mail(61, 2_000));
    let ledger = world.pull_from(&server, &());
    assert_eq!((ledger.outcome, world.stored()), (Outcome::Ok, 61), "{ledger:#?}");
    let held = world.held();
    assert!(world.keys_on_server().iter().all(|key| held.contains(key)));
}

#[test]
fn p06_recent_mode_shows_a_month_of_all_mail_and_absence_is_no_loss() {
    let mut world = World::new();
    for day in 0..50 {
        world.deliver_on(day, &mail(u32::try_from(day).unwrap(), 1_000));
    }
    let server = gmail(&mut world);
    world.user = "recent:anna".to_owned();
    let ledger = world.pull_from(&server, &());
    assert_eq!((ledger.outcome, world.held().len()), (Outcome::Ok, 31), "{ledger:#?}");
    for day in 50..60 {
        world.deliver_on(day, &mail(u32::try_from(day).unwrap(), 1_000));
    }
    let before = asked(&server, "RETR");
    let ledger = world.pull_from(&server, &());
    assert_eq!((ledger.outcome, world.held().len()), (Outcome::Ok, 41), "{ledger:#?}");
    assert_eq!(asked(&server, "RETR") - before, 10);
    assert_eq!((ledger.totals.new, ledger.totals.vanished, ledger.suspicious), (10, 0, false));
}

#[test]
fn p07_where_fetching_deletes_each_message_is_durable_before_the_next_is_asked_for() {
    let world = World::with_messages(12);
    let come = AtomicUsize::new(0);
    let progress = WhenMessageComes(|| {
        let before = come.fetch_add(1, Ordering::SeqCst);
        assert!(world.held().len() >= before, "{before} had come");
    });
    let (ledger, server) = world.pull_watched(Behaviour::modern().deleting_what_is_fetched(), &progress);
    assert_eq!(ledger.outcome, Outcome::Ok, "{ledger:#?}");
    assert!(ledger.warnings.iter().any(|warning| warning.contains("EXPIRE 0")), "{ledger:#?}");
    assert!(world.on_server().is_empty(), "the server has deleted them at QUIT");
    assert_eq!((come.into_inner(), world.held().len(), server.counts().logins), (12, 12, 1));

    // That they are gone is what was to be expected, and is recorded.
    let (ledger, _) = world.pull(Behaviour::modern().deleting_what_is_fetched());
    assert_eq!(
        (ledger.outcome, ledger.totals.vanished, world.stored()),
        (Outcome::Ok, 12, 12),
        "{ledger:#?}"
    );
}

#[test]
fn p07_a_cut_before_quit_loses_nothing_where_fetching_deletes() {
    let world = World::with_messages(12);
    let cut = Fault::on("RETR", Effect::DisconnectAfter(300)).only(6);
    let (ledger, _) = world.pull(Behaviour::modern().deleting_what_is_fetched().with_fault(cut));
    assert_eq!((ledger.outcome, world.stored()), (Outcome::Ok, 12), "{ledger:#?}");
}

#[test]
fn p07_a_schedule_too_rare_for_a_server_that_deletes_by_age_is_told() {
    let mut world = World::with_messages(3);
    let warned = |world: &World, days: u32| {
        let (ledger, _) = world.pull(Behaviour::modern().with(&format!("EXPIRE {days}")));
        world.assert_whole(&ledger);
        ledger.warnings.iter().any(|warning| warning.contains("EXPIRE"))
    };
    world.options.every = Some(Duration::from_secs(7 * 86_400));
    assert!(warned(&world, 3));
    assert!(!warned(&world, 30));
    let (ledger, _) = world.pull(Behaviour::modern().with("EXPIRE NEVER"));
    assert!(ledger.warnings.is_empty(), "{ledger:#?}");
}

#[test]
fn p09_a_maildrop_in_use_is_waited_for_also_when_it_was_we_who_used_it() {
    let world = World::with_messages(20);
    let cut = Fault::on("RETR", Effect::DisconnectAfter(500)).only(8);
    let (ledger, server) = world.pull(Behaviour::modern().keeping_locks_for(2).with_fault(cut));
    world.assert_whole(&ledger);
    assert_eq!((server.counts().logins, server.counts().logins_refused), (2, 2));

    let world = World::with_messages(20);
    let busy = Fault::new(Trigger::Login, Effect::Err("[IN-USE] Do you have another POP session?".into()));
    let ledger = world.pull_with([busy.first(2)]);
    world.assert_whole(&ledger);
}

#[test]
fn p09_a_maildrop_that_stays_in_use_fails_the_run_and_blames_no_password() {
    let world = World::with_messages(3);
    let busy = Fault::new(Trigger::Login, Effect::Err("[IN-USE] maildrop is locked".into()));
    let ledger = world.pull_with([busy]);
    assert_eq!(ledger.outcome, Outcome::Failed);
    let error = ledger.error.unwrap();
    assert!(error.contains("maildrop is locked") && !error.contains("password"), "{error}");
    world.assert_whole(&world.pull_with([]));
}

#[test]
fn p09_a_login_delay_is_kept() {
    let world = World::with_messages(20);
    let delay = Duration::from_secs(1);
    let server = ScriptedPop3::start(world.store.clone(), Behaviour::modern().with_login_delay(delay));
    server.set_faults(&[Fault::on("RETR", Effect::DisconnectAfter(500)).only(8)]);
    let ledger = world.pull_from(&server, &());
    world.assert_whole(&ledger);
    let counts = server.counts();
    assert!(counts.logins == 2 && counts.logins_refused <= 1, "{counts:?}");
}

#[test]
fn p09_a_login_delay_beyond_our_patience_ends_the_run_and_a_later_one_goes_on() {
    let mut world = World::with_messages(20);
    world.limits.patience.longest_wait = Duration::from_secs(2);
    let behaviour = Behaviour::modern().with_login_delay(Duration::from_secs(900));
    let cut = Fault::on("RETR", Effect::DisconnectAfter(500)).only(8);
    let (ledger, server) = world.pull(behaviour.with_fault(cut));
    assert_ne!(ledger.outcome, Outcome::Ok);
    assert!(server.counts().logins_refused <= 1, "{:?}", server.counts());
    assert_eq!(world.held().len(), 7, "{ledger:#?}");
    world.assert_whole(&world.pull_with([]));
}
