//! A world with two clocks and runs that take their time, in which the scheduler lives.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

mod clocks;
mod failures;
mod places;
mod plans;
mod simulation;
mod zones;

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use chrono::DateTime;

use super::*;
use crate::Schedule;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Unix milliseconds of a moment in RFC 3339.
fn at(text: &str) -> i64 {
    DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis()
}

fn limits(at_once: usize, per_host: usize) -> Limits {
    Limits { at_once: NonZeroUsize::new(at_once).unwrap(), per_host: NonZeroUsize::new(per_host).unwrap() }
}

fn plan(accounts: Vec<AccountPlan>, limits: Limits) -> Plan {
    Plan { accounts, limits, catch_up: Duration::from_secs(600) }
}

/// An account in UTC that has just run, without spread.
fn account(name: &str, cron: &str, last_start_ms: i64) -> AccountPlan {
    AccountPlan {
        name: name.into(),
        host: "mail.example.org".into(),
        schedule: Some(Schedule::parse(cron, Some("UTC")).unwrap()),
        spread: Duration::ZERO,
        window: None,
        enabled: true,
        login: 0,
        last_start_ms: Some(last_start_ms),
    }
}

/// A run that was begun.
#[derive(Clone, Debug)]
struct Began {
    /// By the steady clock, in milliseconds.
    steady: i64,
    /// By the wall clock, in milliseconds.
    wall: i64,
    account: String,
    why: Why,
}

type Ending = dyn FnMut(&str) -> (Duration, Outcome);

struct World {
    scheduler: Scheduler,
    now: Now,
    /// How a run of an account ends, and after how long.
    ending: Box<Ending>,
    running: BTreeMap<String, (Duration, Outcome)>,
    began: Vec<Began>,
    told: Vec<Told>,
    wake: Duration,
    steps: u64,
    /// Nobody sets the clock, so it need not be looked at: years pass quickly.
    clock_is_right: bool,
}

impl World {
    /// Runs take ten seconds and go well.
    fn new(plan: Plan, from_ms: i64) -> Self {
        let now = Now { unix_ms: from_ms, steady: Duration::from_secs(1_000) };
        let mut world = Self {
            scheduler: Scheduler::new(plan, now),
            now,
            ending: Box::new(|_| (Duration::from_secs(10), Outcome::Done)),
            running: BTreeMap::new(),
            began: Vec::new(),
            told: Vec::new(),
            wake: now.steady,
            steps: 0,
            clock_is_right: false,
        };
        world.step();
        world
    }

    fn with_one(cron: &str, from: &str) -> Self {
        Self::new(plan(vec![account("work", cron, at(from))], limits(4, 2)), at(from))
    }

    fn runs_take(&mut self, ms: i64, outcome: Outcome) {
        let length = Duration::from_millis(ms.unsigned_abs());
        self.ending = Box::new(move |_| (length, outcome));
    }

    fn step(&mut self) {
        let orders = self.scheduler.step(self.now);
        assert!(orders.wake > self.now.steady, "woken at once: {orders:?}");
        assert!(orders.wake <= self.now.steady + Duration::from_secs(60));
        for Start { account, why } in orders.start {
            let (length, outcome) = (self.ending)(&account);
            let twice = self.running.insert(account.to_string(), (self.now.steady + length, outcome));
            assert!(twice.is_none(), "{account} runs twice");
            let steady = i64::try_from(self.now.steady.as_millis()).unwrap();
            self.began.push(Began { steady, wall: self.now.unix_ms, account: account.to_string(), why });
        }
        assert_eq!(self.scheduler.running(), self.running.len());
        self.told.extend(orders.told);
        self.wake = orders.wake;
        self.steps += 1;
    }

    fn finish_one(&mut self, account: &str) {
        let (_, outcome) = self.running.remove(account).unwrap();
        self.scheduler.finished(account, outcome, self.now);
        self.step();
    }

    /// Lets so much time pass on both clocks.
    fn pass(&mut self, ms: i64) {
        let until = self.now.steady + Duration::from_millis(ms.unsigned_abs());
        loop {
            let ends = self.running.iter().min_by_key(|(_, (at, _))| *at);
            let ends = ends.map(|(name, (at, _))| (name.clone(), *at));
            let wake = if self.clock_is_right { self.next_alarm() } else { self.wake };
            let next = ends.as_ref().map_or(wake, |(_, at)| wake.min(*at));
            self.go_to(next.min(until));
            match ends {
                Some((name, at)) if at <= self.now.steady => self.finish_one(&name),
                _ => self.step(),
            }
            if self.now.steady >= until {
                return;
            }
        }
    }

    fn next_alarm(&self) -> Duration {
        let wall = self.scheduler.by_wall.first().map(|(ms, _)| self.now.steady_at(*ms));
        let steady = self.scheduler.by_steady.first().map(|(at, _)| *at);
        wall.into_iter().chain(steady).min().unwrap_or(self.wake)
    }

    fn go_to(&mut self, steady: Duration) {
        let passed = steady.saturating_sub(self.now.steady);
        self.now.unix_ms += i64::try_from(passed.as_millis()).unwrap();
        self.now.steady = steady;
    }

    /// Sets the wall clock. The scheduler hears of it when it next looks.
    fn set_clock(&mut self, unix_ms: i64) {
        self.now.unix_ms = unix_ms;
    }

    fn request(&mut self, account: &str) -> bool {
        let known = self.scheduler.request(account, self.now);
        self.step();
        known
    }

    fn reload(&mut self, plan: Plan) {
        self.scheduler.reload(plan, self.now);
        self.step();
    }

    fn outlook(&self, account: &str) -> Outlook {
        self.scheduler.outlook(account, self.now).unwrap()
    }

    /// When runs began by the wall clock, since this was last asked.
    fn starts(&mut self) -> Vec<String> {
        let shown = |ms| DateTime::from_timestamp_millis(ms).unwrap().format("%d %T").to_string();
        std::mem::take(&mut self.began).into_iter().map(|began| shown(began.wall)).collect()
    }

    fn reasons(&mut self) -> Vec<Why> {
        std::mem::take(&mut self.began).into_iter().map(|began| began.why).collect()
    }

    fn skipped(&mut self) -> Vec<(Skip, i64, i64)> {
        let told = std::mem::take(&mut self.told).into_iter();
        told.filter_map(|told| match told {
            Told::Skipped { from, through, why, .. } => Some((why, from * 1_000, through * 1_000)),
            _ => None,
        })
        .collect()
    }
}
