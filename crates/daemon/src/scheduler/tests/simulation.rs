//! Days of many accounts, drawn by a seed: what must hold whatever comes.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const START: &str = "2026-11-23T08:00:30Z";
const CRONS: [(&str, i64); 6] = [
    ("* * * * *", 1),
    ("*/7 * * * *", 4),
    ("*/10 * * * *", 10),
    ("0 * * * *", 60),
    ("15,45 */2 * * *", 90),
    ("30 2 * * *", 24 * 60),
];

#[derive(Clone, Debug)]
struct Drawn {
    cron: usize,
    host: u8,
    spread_s: u64,
    window: bool,
}

fn drawn() -> impl Strategy<Value = Drawn> {
    (0..CRONS.len(), 0..3_u8, prop_oneof![Just(0), 1..900_u64], prop::bool::weighted(0.2))
        .prop_map(|(cron, host, spread_s, window)| Drawn { cron, host, spread_s, window })
}

fn accounts(drawn: &[Drawn]) -> Vec<AccountPlan> {
    let one = |(number, drawn): (usize, &Drawn)| AccountPlan {
        host: format!("host{}", drawn.host).into(),
        spread: Duration::from_secs(drawn.spread_s),
        window: drawn.window.then(|| Window::parse("20:00-04:30", Some("UTC")).unwrap()),
        ..account(&format!("user{number}"), CRONS[drawn.cron].0, at(START))
    };
    drawn.iter().enumerate().map(one).collect()
}

#[derive(Clone, Debug)]
enum Event {
    Pass { seconds: i64 },
    Ask { account: usize },
    Reload,
    Set { ms: i64 },
}

fn events(jumps: bool) -> impl Strategy<Value = Vec<Event>> {
    let jump = prop_oneof![
        (-120_000..120_000_i64).prop_map(|ms| Event::Set { ms }),
        (-3 * DAY..3 * DAY).prop_map(|ms| Event::Set { ms }),
        (-60 * 366 * DAY..80 * 366 * DAY).prop_map(|ms| Event::Set { ms }),
    ];
    let event = prop_oneof![
        6 => (1..7_200_i64).prop_map(|seconds| Event::Pass { seconds }),
        2 => (0..12_usize).prop_map(|account| Event::Ask { account }),
        1 => Just(Event::Reload),
        if jumps { 2 } else { 0 } => jump,
    ];
    prop::collection::vec(event, 1..40)
}

/// Ends of runs, drawn from a seed: lengths to two hours, all kinds of failure.
fn ending(mut seed: u64, failures: bool, longest_s: u64) -> impl FnMut(&str) -> (Duration, Outcome) {
    move |_| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (length, kind) = ((seed >> 33) % longest_s + 1, (seed >> 20) % 16);
        let outcome = match kind {
            _ if !failures => Outcome::Done,
            0 => Outcome::Failed(Trouble::Credentials),
            1 => Outcome::Failed(Trouble::Limit { wait: Some(Duration::from_secs(length * 7)) }),
            2 => Outcome::Failed(Trouble::Limit { wait: None }),
            3 | 4 => Outcome::Failed(Trouble::Network),
            5 => Outcome::Failed(Trouble::Other),
            6 => Outcome::Interrupted,
            _ => Outcome::Done,
        };
        (Duration::from_secs(length), outcome)
    }
}

/// Lives through the events. That no account runs twice, and that the scheduler never wants to be
/// woken at once, is asserted by each step of the world; the limits here.
fn live(world: &mut World, plan: &Plan, events: &[Event]) {
    let hosts: BTreeMap<_, _> =
        plan.accounts.iter().map(|account| (account.name.to_string(), account.host.clone())).collect();
    for event in events {
        match event {
            Event::Pass { seconds } => world.pass(seconds * 1_000),
            Event::Ask { account } => _ = world.request(&format!("user{account}")),
            Event::Reload => world.reload(plan.clone()),
            Event::Set { ms } => {
                world.set_clock(world.now.unix_ms + ms);
                world.step();
            }
        }
        assert!(world.running.len() <= plan.limits.at_once.get());
        for host in hosts.values() {
            let on_it = world.running.keys().filter(|name| hosts[*name] == *host).count();
            assert!(on_it <= plan.limits.per_host.get(), "{host}");
        }
    }
}

/// How often each planned time of an account was run or told of, from the start until `end`.
fn mentions(world: &World, account: &AccountPlan, end: i64) -> BTreeMap<i64, (u32, u32)> {
    let schedule = account.schedule.as_ref().unwrap();
    let mut times = BTreeMap::new();
    let mut planned = at(START) / 1_000;
    while let Some(next) = schedule.next_after(planned).filter(|next| *next <= end) {
        times.insert(next, (0, 0));
        planned = next;
    }
    for began in world.began.iter().filter(|began| began.account == *account.name) {
        if let Why::Planned { at } = began.why {
            times.entry(at).or_default().0 += 1;
        }
    }
    for told in &world.told {
        let (Told::Skipped { account: name, from, through, .. }
        | Told::Missed { account: name, from, through, .. }) = told
        else {
            continue;
        };
        if *name == account.name {
            times.range_mut(from..=through).for_each(|(_, (_, told))| *told += 1);
        }
    }
    times
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn o7_every_planned_time_is_run_once_or_told_once(
        drawn in prop::collection::vec(drawn(), 1..12),
        events in events(false),
        (at_once, per_host) in (1..6_usize, 1..4_usize),
        seed: u64,
    ) {
        let plan = plan(accounts(&drawn), limits(at_once, per_host));
        let mut world = World::new(plan.clone(), at(START));
        world.ending = Box::new(ending(seed, true, 7_200));
        live(&mut world, &plan, &events);
        // All that waits, rests or runs shall have come to its end.
        let end = world.now.unix_ms / 1_000;
        world.ending = Box::new(ending(seed, false, 60));
        world.pass(4 * DAY);
        for account in &plan.accounts {
            for (planned, mentioned) in mentions(&world, account, end - 900) {
                let due_later = planned > end - 900 && mentioned == (0, 0);
                prop_assert!(
                    due_later || mentioned == (1, 0) || mentioned == (0, 1),
                    "{}: {planned} was run {} times and told {} times", account.name, mentioned.0, mentioned.1
                );
            }
        }
    }

    #[test]
    fn o7_clocks_that_jump_starve_no_account_and_bring_no_storm(
        drawn in prop::collection::vec(drawn(), 1..8),
        events in events(true),
        seed: u64,
    ) {
        let mut drawn = drawn;
        drawn.iter_mut().for_each(|account| account.window = false);
        let plan = plan(accounts(&drawn), limits(8, 8));
        let mut world = World::new(plan.clone(), at(START));
        world.ending = Box::new(ending(seed, false, 30));
        let events: Vec<_> = events.into_iter().filter(|event| !matches!(event, Event::Ask { .. })).collect();
        live(&mut world, &plan, &events);
        let lived = i64::try_from(world.now.steady.as_millis()).unwrap() - 1_000_000;
        for (account, drawn) in plan.accounts.iter().zip(&drawn) {
            let longest = match CRONS[drawn.cron].1 { 4 => 7, 90 => 150, interval => interval } * MINUTE;
            let shortest = match CRONS[drawn.cron].1 { 90 => 30, interval => interval.min(10) } * MINUTE;
            let mut last = 1_000_000;
            let mut count = 0;
            let ends = Began { steady: lived + 1_000_000, wall: 0, account: account.name.to_string(), why: Why::Asked };
            for began in world.began.iter().chain([&ends]).filter(|began| began.account == *account.name) {
                let gap = began.steady - last;
                prop_assert!(gap <= 3 * longest + 15 * MINUTE, "{}: silent for {} min", account.name, gap / MINUTE);
                (last, count) = (began.steady, count + 1);
            }
            let most = 2 * (lived / shortest) + 4;
            prop_assert!(count <= most, "{}: {count} runs in {} min", account.name, lived / MINUTE);
        }
    }

    #[test]
    fn whatever_comes_no_limit_is_broken_and_no_account_runs_twice(
        drawn in prop::collection::vec(drawn(), 1..12),
        events in events(true),
        (at_once, per_host) in (1..5_usize, 1..4_usize),
        seed: u64,
    ) {
        let plan = plan(accounts(&drawn), limits(at_once, per_host));
        let mut world = World::new(plan.clone(), at(START));
        world.ending = Box::new(ending(seed, true, 7_200));
        live(&mut world, &plan, &events);
    }
}
