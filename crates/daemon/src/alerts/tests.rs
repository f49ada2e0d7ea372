//! Lives of accounts, and what is told of them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const COLLECT: i64 = 2 * MINUTE;

struct World {
    alerts: Alerts,
    now: i64,
    told: Vec<(i64, Body)>,
}

impl World {
    fn new(accounts: &[(&str, &str)]) -> Self {
        let mut world = Self { alerts: Alerts::default(), now: DAY * 20_000, told: Vec::new() };
        world.configure(accounts);
        world
    }

    fn configure(&mut self, accounts: &[(&str, &str)]) {
        let rule = |&(name, host): &(&str, &str)| AccountRule {
            name: name.into(),
            host: host.into(),
            stale_after_ms: 26 * HOUR,
        };
        let rules = Rules {
            accounts: accounts.iter().map(rule).collect(),
            channels: vec!["mail 1".into()],
            collect_ms: COLLECT,
            patience: Patience::default(),
        };
        self.alerts.configure(self.now, rules);
    }

    fn run(&mut self, account: &str, result: RunResult) {
        let end = RunEnd { account: account.into(), result, suspicious: Some(false), detail: None };
        self.alerts.run_ended(self.now, end);
    }

    /// Lets time pass, minute by minute; each message is taken at once.
    fn pass(&mut self, span: i64) {
        let until = self.now + span;
        while self.now < until {
            self.now += MINUTE;
            assert!(!self.alerts.step(self.now));
            for (channel, message) in self.alerts.due(self.now) {
                self.alerts.taken(&channel, message.number);
                self.told.push((self.now, message.body));
            }
        }
    }

    fn restart(&mut self) {
        let written = serde_json::to_vec(&self.alerts).unwrap();
        let rules = std::mem::take(&mut self.alerts.rules);
        self.alerts = serde_json::from_slice(&written).unwrap();
        self.alerts.configure(self.now, rules);
    }

    /// What was told since the last time, as `new login`, `over login`, `still login`.
    fn words(&mut self) -> Vec<String> {
        let word = |kind: Kind| serde_json::to_value(kind).unwrap().as_str().unwrap().to_owned();
        let words = |(what, items): (&str, &Vec<Item>)| {
            items.iter().map(|item| format!("{what} {}", word(item.kind))).collect::<Vec<_>>()
        };
        self.told.drain(..).flat_map(|(_, body)| words(parts(&body))).collect()
    }
}

fn parts(body: &Body) -> (&'static str, &Vec<Item>) {
    match body {
        Body::Trouble { items, .. } => ("new", items),
        Body::Over { items, .. } => ("over", items),
        Body::Still { items, .. } => ("still", items),
        other => panic!("{other:?}"),
    }
}

const UNREACHABLE: RunResult = RunResult::Failed(Cause::Unreachable);

#[test]
fn o01_a_refused_login_is_told_once_though_many_runs_fail_and_once_when_it_works_again() {
    let mut world = World::new(&[("anna", "a.example")]);
    for _ in 0..8 {
        world.run("anna", RunResult::LoginRefused);
        world.pass(HOUR);
        world.restart();
    }
    assert_eq!(world.words(), ["new login"]);
    world.run("anna", RunResult::Good);
    world.restart();
    world.pass(HOUR);
    assert_eq!(world.words(), ["over login"]);
    world.run("anna", RunResult::Good);
    world.pass(HOUR);
    assert!(world.words().is_empty());
}

#[test]
fn o09_five_hundred_accounts_of_one_dead_host_are_one_message_with_ten_names() {
    let names: Vec<String> = (0..500).map(|number| format!("a{number}")).collect();
    let accounts: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "dead.example")).collect();
    let mut world = World::new(&accounts);
    for _ in 0..2 {
        names.iter().for_each(|name| world.run(name, UNREACHABLE));
        world.pass(MINUTE);
    }
    world.pass(HOUR);
    assert_eq!(world.told.len(), 1);
    let (_, items) = parts(&world.told[0].1);
    assert_eq!((items.len(), items[0].count, items[0].accounts.len()), (1, 500, 10));
    world.told.clear();
    names.iter().for_each(|name| world.run(name, RunResult::Good));
    world.pass(HOUR);
    let (_, items) = parts(&world.told[0].1);
    assert_eq!((world.told.len(), items[0].count), (1, 500));
}

#[test]
fn o09_accounts_that_find_their_host_dead_one_after_the_other_are_few_messages() {
    let names: Vec<String> = (0..500).map(|number| format!("a{number}")).collect();
    let accounts: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "dead.example")).collect();
    let mut world = World::new(&accounts);
    for name in &names {
        world.run(name, UNREACHABLE);
        world.run(name, UNREACHABLE);
        world.pass(MINUTE);
    }
    world.pass(4 * HOUR);
    assert!(world.told.len() <= 5, "{}", world.told.len());
    let counted: usize = world.told.iter().map(|(_, body)| parts(body).1[0].count).sum();
    assert_eq!(counted, 500);
}

#[test]
fn what_heals_by_itself_before_it_counts_is_never_told() {
    let mut world = World::new(&[("anna", "a.example")]);
    for result in [UNREACHABLE, RunResult::Good, RunResult::Partial, RunResult::Partial, RunResult::Good] {
        world.run("anna", result);
        world.pass(HOUR);
    }
    world.run("anna", RunResult::LoginRefused);
    world.pass(MINUTE);
    world.run("anna", RunResult::Good);
    world.pass(HOUR);
    assert!(world.words().is_empty());
}

#[test]
fn runs_that_stay_partial_or_failed_are_told() {
    let mut world = World::new(&[("anna", "a.example"), ("ben", "b.example")]);
    for _ in 0..3 {
        world.run("anna", RunResult::Partial);
        world.run("ben", RunResult::Failed(Cause::Here));
        world.pass(HOUR);
    }
    assert_eq!(world.words(), ["new failed", "new partial"]);
    world.run("anna", RunResult::Good);
    world.run("ben", RunResult::Partial);
    world.pass(HOUR);
    assert_eq!(world.words(), ["over failed", "over partial"]);
}

#[test]
fn worse_trouble_takes_the_place_of_what_it_covers_and_its_end_is_the_end_of_both() {
    let mut world = World::new(&[("anna", "a.example")]);
    (0..2).for_each(|_| world.run("anna", UNREACHABLE));
    world.pass(HOUR);
    world.run("anna", RunResult::LoginRefused);
    world.pass(HOUR);
    world.run("anna", UNREACHABLE);
    world.pass(HOUR);
    world.run("anna", RunResult::Good);
    world.pass(HOUR);
    assert_eq!(world.words(), ["new failed", "new login", "over login"]);
}

#[test]
fn a_loss_is_told_until_somebody_has_looked() {
    let mut world = World::new(&[("anna", "a.example")]);
    let run = |world: &mut World, suspicious| {
        let end = RunEnd {
            account: "anna".into(),
            result: RunResult::Good,
            suspicious: Some(suspicious),
            detail: None,
        };
        world.alerts.run_ended(world.now, end);
        world.pass(HOUR);
    };
    run(&mut world, true);
    run(&mut world, true);
    run(&mut world, false);
    assert_eq!(world.words(), ["new suspicious", "over suspicious"]);
}

#[test]
fn o10_an_account_that_does_not_run_is_stale_and_a_machine_that_slept_is_given_time() {
    let mut world = World::new(&[("anna", "a.example")]);
    world.run("anna", RunResult::Good);
    world.pass(26 * HOUR);
    assert!(world.words().is_empty());
    world.pass(HOUR);
    assert_eq!(world.words(), ["new stale"]);
    world.run("anna", RunResult::Good);
    world.pass(HOUR);
    assert_eq!(world.words(), ["over stale"]);
    world.now += 3 * DAY;
    world.pass(HOUR);
    world.run("anna", RunResult::Good);
    world.pass(DAY);
    assert!(world.words().is_empty());
}

#[test]
fn an_archive_that_cannot_be_opened_is_one_trouble_and_not_that_of_each_account() {
    let mut world = World::new(&[("anna", "a.example"), ("ben", "b.example")]);
    world.alerts.seen(world.now, Sighting::of_all(Kind::Archive, None));
    world.pass(2 * DAY);
    assert_eq!(world.words(), ["new archive", "still archive"]);
    world.alerts.gone(world.now, None, Kind::Archive);
    ["anna", "ben"].into_iter().for_each(|name| world.run(name, RunResult::Good));
    world.pass(HOUR);
    assert_eq!(world.words(), ["over archive"]);
}

#[test]
fn an_account_that_is_removed_takes_its_trouble_with_it() {
    let mut world = World::new(&[("anna", "a.example"), ("ben", "b.example")]);
    world.run("anna", RunResult::LoginRefused);
    world.pass(HOUR);
    world.configure(&[("ben", "b.example")]);
    world.pass(20 * HOUR);
    assert_eq!(world.words(), ["new login"]);
}

#[test]
fn trouble_that_comes_and_goes_is_said_so_and_then_held_back_until_it_has_been_away_for_a_day() {
    let mut world = World::new(&[("anna", "a.example")]);
    for _ in 0..24 {
        world.run("anna", RunResult::LoginRefused);
        world.pass(20 * MINUTE);
        world.run("anna", RunResult::Good);
        world.pass(20 * MINUTE);
    }
    let last_new = world.told.iter().rfind(|(_, body)| matches!(body, Body::Trouble { .. })).unwrap();
    assert!(parts(&last_new.1).1[0].comes_and_goes);
    let words = world.words();
    assert_eq!(words.iter().filter(|word| *word == "new login").count(), 3, "{words:?}");
    assert!(words.len() <= 6, "{words:?}");
    for _ in 0..30 {
        world.run("anna", RunResult::Good);
        world.pass(HOUR);
    }
    assert_eq!(world.words(), ["over login"]);
}

#[test]
fn all_is_good_when_each_account_s_last_run_was_whole_and_none_is_stale() {
    let mut world = World::new(&[("anna", "a.example"), ("ben", "b.example")]);
    world.run("anna", RunResult::Good);
    assert!(!world.alerts.all_good(world.now));
    world.run("ben", RunResult::Good);
    assert!(world.alerts.all_good(world.now));
    world.run("ben", RunResult::Partial);
    assert!(!world.alerts.all_good(world.now));
    world.run("ben", RunResult::Good);
    assert!(!world.alerts.all_good(world.now + 27 * HOUR));
}

/// What can happen to accounts.
#[derive(Clone, Debug)]
enum Event {
    Run(usize, RunResult),
    Pass(i64),
    Restart,
    ClockBack(i64),
}

fn events(clock_is_right: bool) -> impl Strategy<Value = Vec<Event>> {
    let result = prop_oneof![
        Just(RunResult::Good),
        Just(RunResult::Partial),
        Just(RunResult::LoginRefused),
        Just(UNREACHABLE),
        Just(RunResult::Failed(Cause::Here)),
    ];
    let back = if clock_is_right { 0 } else { 3 * DAY };
    let event = prop_oneof![
        6 => (0..3usize, result).prop_map(|(account, result)| Event::Run(account, result)),
        4 => (1..180i64).prop_map(|minutes| Event::Pass(minutes * MINUTE)),
        1 => Just(Event::Restart),
        1 => (0..=back).prop_map(Event::ClockBack),
    ];
    proptest::collection::vec(event, 1..120)
}

const NAMES: [(&str, &str); 3] = [("anna", "a.example"), ("ben", "a.example"), ("cleo", "c.example")];

fn live(events: &[Event]) -> World {
    let mut world = World::new(&NAMES);
    for event in events {
        match event {
            Event::Run(account, result) => world.run(NAMES[*account].0, *result),
            Event::Pass(span) => world.pass(*span),
            Event::Restart => world.restart(),
            Event::ClockBack(span) => world.now -= span,
        }
    }
    world.pass(HOUR);
    world
}

/// What was told of one kind of trouble of one account: when, and which of `new`, `over`, `still`.
fn of_each(world: &World) -> std::collections::BTreeMap<(Kind, String), Vec<(i64, &'static str)>> {
    let mut told: std::collections::BTreeMap<_, Vec<_>> = std::collections::BTreeMap::new();
    for (at, body) in &world.told {
        let (what, items) = parts(body);
        for item in items {
            for account in &item.accounts {
                told.entry((item.kind, account.clone())).or_default().push((*at, what));
            }
        }
    }
    told
}

proptest! {
    #[test]
    fn what_is_told_as_over_or_still_there_was_told_as_new_whatever_clocks_do(events in events(false)) {
        for ((kind, account), told) in of_each(&live(&events)) {
            let mut open = false;
            for (_, what) in told {
                match what {
                    // Covered by worse trouble meanwhile, it may be told as new again.
                    "new" => open = true,
                    "over" => {
                        prop_assert!(open, "{kind:?} of {account} is over, but was never told");
                        open = false;
                    }
                    _ => prop_assert!(open, "{kind:?} of {account} is still there, but was never told"),
                }
            }
        }
    }

    #[test]
    fn nobody_hears_of_one_trouble_of_one_account_more_than_eight_times_a_day(events in events(true)) {
        for ((kind, account), told) in of_each(&live(&events)) {
            for (at, _) in &told {
                let day = told.iter().filter(|(other, _)| (*at..*at + DAY).contains(other));
                let (new, all) = (
                    day.clone().filter(|(_, what)| *what == "new").count(),
                    day.count(),
                );
                prop_assert!(new <= 3 && all <= 8, "{kind:?} of {account}: {told:?}");
            }
        }
    }

    #[test]
    fn trouble_that_lasts_is_one_message_and_a_reminder_a_day(
        days in 1..9i64,
        pause in 10..300i64,
        restarts in any::<bool>(),
    ) {
        let mut world = World::new(&NAMES[..1]);
        let until = world.now + days * DAY;
        while world.now < until {
            world.run("anna", RunResult::LoginRefused);
            world.pass((pause * MINUTE).min(until - world.now));
            if restarts {
                world.restart();
            }
        }
        let words = world.words();
        prop_assert_eq!(&words[0], "new login");
        prop_assert!(words[1..].iter().all(|word| word == "still login"));
        prop_assert_eq!(i64::try_from(words.len()).unwrap(), days);
    }
}
