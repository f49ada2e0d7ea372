//! One account: what is planned, what is wished, what holds it back.
//!
//! A *wish* is a run that shall begin as soon as nothing stands in its way. Planned times, times to
//! make up for, the end of a rest and requests all become the one wish: an account wants to run or
//! it does not. `settle` turns what has come by now into a wish or into words, and is the only place
//! where time passes; `alarms` says when to settle next.
//!
//! Invariant: a planned time is dealt with once: it becomes a run, or is told as skipped or missed.

mod door;

use std::time::Duration;

use super::clock::{Clock, Now};
use super::retry::Failures;
use super::spread::Place;
use super::{AccountPlan, Name, Outcome, Skip, Told, Why};

pub(super) use door::Alarms;

/// A planned time that comes so late was missed: the machine slept, or the clock was set. Above the
/// minute in which the wall clock is looked at.
const LATE_MS: i64 = 120_000;
/// After the wall clock was set, it may come to planned times more often than they were meant. Then
/// so much lies between two runs, or one interval.
const CALM: Duration = Duration::from_secs(600);
/// After an interruption the run is made anew within this time.
const AFTER_INTERRUPTION: Duration = Duration::from_secs(60);
/// When the login was mended, it is tried within this time.
const AFTER_MENDING: Duration = Duration::from_secs(60);
/// Between planned times of which the second lies beyond the calendar.
const UNKNOWN_INTERVAL: Duration = Duration::from_secs(86_400);

/// What all accounts share.
#[derive(Clone, Copy, Debug)]
pub(super) struct Surroundings {
    pub(super) now: Now,
    pub(super) clock: Clock,
    /// Runs that make up for missed times are spread over it.
    pub(super) catch_up: Duration,
}

#[derive(Debug)]
pub(super) struct Account {
    plan: AccountPlan,
    place: Place,
    /// Planned times up to this one, in Unix seconds, have been dealt with.
    dealt: i64,
    planned: Option<Planned>,
    /// By the steady clock, a run begins no later than this: one interval after the planned time
    /// was expected. A wall clock that is set back again and again never comes to a planned time.
    guard: Option<Duration>,
    make_up: Option<MakeUp>,
    rest: Option<Rest>,
    failures: Failures,
    wish: Option<Wish>,
    /// While the window was closed: when the account may begin, in Unix milliseconds.
    opens_ms: Option<i64>,
    /// The host on which a run goes on.
    running: Option<Name>,
    asked_meanwhile: bool,
    /// When a run last began for a planned time, or for a missed one.
    last_planned_start: Option<Duration>,
    skips: Option<Skips>,
    removed: bool,
}

#[derive(Clone, Copy, Debug)]
struct Planned {
    at: i64,
    /// With the account's spread, in Unix milliseconds.
    due_ms: i64,
    following: Option<i64>,
}

impl Planned {
    fn interval(self) -> Duration {
        self.following.map_or(UNKNOWN_INTERVAL, |next| {
            Duration::from_secs(next.saturating_sub(self.at).max(1).unsigned_abs())
        })
    }
}

#[derive(Clone, Copy, Debug)]
struct MakeUp {
    at: Duration,
    why: Why,
}

#[derive(Clone, Copy, Debug)]
struct Rest {
    until: Duration,
    firm: bool,
}

#[derive(Clone, Copy, Debug)]
struct Wish {
    why: Why,
    since: Duration,
    not_before: Duration,
}

/// Planned times that are skipped for one reason; the first was told.
#[derive(Clone, Copy, Debug)]
struct Skips {
    why: Skip,
    untold: Option<(i64, i64)>,
}

impl Account {
    pub(super) fn new(plan: AccountPlan, around: Surroundings) -> Self {
        let now = around.now.unix_seconds();
        let last_start = plan.last_start_ms.map(|ms| ms.div_euclid(1_000));
        let mut account = Self {
            place: Place::of(&plan.name),
            // A run of the future was dated by a wrong clock, and says nothing.
            dealt: last_start.map_or(now, |start| start.clamp(0, now.max(0))),
            planned: None,
            guard: None,
            make_up: None,
            rest: None,
            failures: Failures::default(),
            wish: None,
            opens_ms: None,
            running: None,
            asked_meanwhile: false,
            last_planned_start: None,
            skips: None,
            removed: false,
            plan,
        };
        account.plan_after(account.dealt);
        if last_start.is_none() && account.planned.is_some() {
            let at = around.now.steady.saturating_add(account.place.within(around.catch_up));
            account.make_up = Some(MakeUp { at, why: Why::First });
        }
        account.watch_over(around.now);
        account
    }

    /// Deals with all that has come by now.
    pub(super) fn settle(&mut self, around: Surroundings, told: &mut Vec<Told>) {
        let now = around.now;
        while let Some(planned) = self.planned.filter(|planned| planned.due_ms <= now.unix_ms) {
            self.planned_time_came(planned, around, told);
        }
        if let Some(make_up) = self.make_up.take_if(|make_up| make_up.at <= now.steady) {
            self.want(make_up.why, now.steady, now.steady);
        }
        if self.rest.take_if(|rest| rest.until <= now.steady).is_some() {
            self.tell_skips(told);
            self.want(Why::Retry { failures: self.failures.count() }, now.steady, now.steady);
        }
        if self.guard.take_if(|guard| *guard <= now.steady).is_some() && self.running.is_none() {
            self.want(Why::Overdue, now.steady, now.steady);
        }
    }

    fn planned_time_came(&mut self, planned: Planned, around: Surroundings, told: &mut Vec<Told>) {
        let now = around.now;
        let lateness_ms = now.unix_ms.saturating_sub(planned.due_ms);
        let missed = lateness_ms > LATE_MS;
        let through = if missed { now.unix_seconds().max(planned.at) } else { planned.at };
        self.dealt = through;
        match planned.following.filter(|&next| next > through) {
            Some(next) => self.planned = Some(self.plan_at(next)),
            None => self.plan_after(through),
        }
        self.watch_over(now);
        if let Some(why) = self.in_the_way() {
            self.skip(why, planned.at, through, told);
            return;
        }
        let sooner_than_wanted = self
            .last_planned_start
            .filter(|&start| around.clock.jumped_since(start))
            .map_or(now.steady, |start| start.saturating_add(CALM.min(planned.interval())));
        if missed {
            let at = now.steady.saturating_add(self.place.within(around.catch_up)).max(sooner_than_wanted);
            let made_up = *self.make_up.get_or_insert(MakeUp { at, why: Why::MadeUp { since: planned.at } });
            let wait = made_up.at.saturating_sub(now.steady);
            told.push(Told::Missed { account: self.plan.name.clone(), from: planned.at, through, wait });
        } else {
            let lateness = Duration::from_millis(lateness_ms.max(0).unsigned_abs());
            let since = now.steady.saturating_sub(lateness);
            self.want(Why::Planned { at: planned.at }, since, sooner_than_wanted);
        }
    }

    /// Why a planned time that comes now gets no run of its own.
    fn in_the_way(&self) -> Option<Skip> {
        if self.running.is_some() {
            Some(Skip::StillRunning)
        } else if self.rest.is_some_and(|rest| rest.firm) {
            Some(Skip::Resting)
        } else {
            let planned = |wish: &Wish| !matches!(wish.why, Why::Asked | Why::Retry { .. });
            self.wish.as_ref().filter(|wish| planned(wish)).map(|_| Skip::StillWaiting)
        }
    }

    /// One wish at a time. A planned time takes over one that stood for less, with its place in
    /// the queue.
    fn want(&mut self, why: Why, since: Duration, not_before: Duration) {
        match &mut self.wish {
            None => self.wish = Some(Wish { why, since, not_before }),
            Some(wish) if matches!(why, Why::Planned { .. }) => wish.why = why,
            Some(_) => {}
        }
    }

    fn skip(&mut self, why: Skip, from: i64, through: i64, told: &mut Vec<Told>) {
        match &mut self.skips {
            Some(skips) if skips.why == why => {
                skips.untold = Some((skips.untold.map_or(from, |(first, _)| first), through));
            }
            _ => {
                self.tell_skips(told);
                told.push(Told::Skipped { account: self.plan.name.clone(), from, through, why });
                self.skips = Some(Skips { why, untold: None });
            }
        }
    }

    fn tell_skips(&mut self, told: &mut Vec<Told>) {
        if let Some(Skips { why, untold: Some((from, through)) }) = self.skips.take() {
            told.push(Told::Skipped { account: self.plan.name.clone(), from, through, why });
        }
    }

    fn plan_after(&mut self, unix_seconds: i64) {
        let schedule = self.plan.schedule.as_ref().filter(|_| self.is_on());
        let next = schedule.and_then(|schedule| schedule.next_after(unix_seconds));
        self.planned = next.map(|at| self.plan_at(at));
    }

    fn plan_at(&self, at: i64) -> Planned {
        let following = self.plan.schedule.as_ref().and_then(|schedule| schedule.next_after(at));
        let mut planned = Planned { at, due_ms: at.saturating_mul(1_000), following };
        let place = self.place.within(self.plan.spread.min(planned.interval()));
        planned.due_ms = planned.due_ms.saturating_add(i64::try_from(place.as_millis()).unwrap_or(0));
        planned
    }

    fn watch_over(&mut self, now: Now) {
        self.guard =
            self.planned.map(|planned| now.steady_at(planned.due_ms).saturating_add(planned.interval()));
    }

    /// The wall clock was set. Planned times that it comes to a second time are not repeated, unless
    /// that would leave more than one interval out: then it is another clock, and planned by anew.
    /// So it is when it has come back from beyond the calendar, where nothing can be planned.
    pub(super) fn clock_jumped(&mut self, now: Now) {
        self.opens_ms = None;
        let back = self.dealt.saturating_sub(now.unix_seconds());
        let another =
            self.planned.is_none_or(|planned| back > 0 && back.unsigned_abs() > planned.interval().as_secs());
        if another {
            self.dealt = now.unix_seconds();
            self.plan_after(self.dealt);
        }
        if self.guard.is_none() {
            self.watch_over(now);
        }
    }

    /// A run shall begin soon; or once more, if one goes on.
    pub(super) fn ask(&mut self, now: Now) -> bool {
        if !self.is_on() {
            return false;
        }
        if self.running.is_some() {
            self.asked_meanwhile = true;
        } else {
            self.want(Why::Asked, now.steady, now.steady);
        }
        true
    }

    /// The wish becomes a run. To be called of an account that is queued.
    pub(super) fn begin(&mut self, now: Now, told: &mut Vec<Told>) -> Option<Why> {
        let wish = self.wish.take()?;
        self.tell_skips(told);
        // Whatever it begins for, this run answers all of these.
        (self.make_up, self.rest, self.opens_ms) = (None, None, None);
        self.running = Some(self.plan.host.clone());
        if !matches!(wish.why, Why::Asked | Why::Retry { .. }) {
            self.last_planned_start = Some(now.steady);
        }
        self.watch_over(now);
        Some(wish.why)
    }

    /// The host of the run that has ended, if there was one.
    pub(super) fn end(&mut self, outcome: Outcome, now: Now, told: &mut Vec<Told>) -> Option<Name> {
        let host = self.running.take()?;
        self.tell_skips(told);
        let asked = std::mem::take(&mut self.asked_meanwhile);
        if !self.is_on() {
            return Some(host);
        }
        let rest = |length, firm| Some(Rest { until: now.steady.saturating_add(length), firm });
        match outcome {
            Outcome::Done => {
                self.failures = Failures::default();
                if asked {
                    self.want(Why::Asked, now.steady, now.steady);
                }
            }
            Outcome::Failed(trouble) => {
                let pause = self.failures.add(trouble, self.place);
                self.rest = rest(pause.length, pause.firm);
            }
            Outcome::Interrupted => self.rest = rest(self.place.within(AFTER_INTERRUPTION), false),
        }
        if self.guard.is_none() {
            self.watch_over(now);
        }
        Some(host)
    }

    /// Takes another configuration. What runs goes on; what was wished is still wished.
    pub(super) fn reconfigure(&mut self, plan: AccountPlan, now: Now) {
        let same_times = self.plan.schedule == plan.schedule && self.is_on() == plan.enabled;
        let mended = self.plan.login != plan.login;
        self.plan = plan;
        self.removed = false;
        self.opens_ms = None;
        if !self.is_on() {
            self.switch_off();
            return;
        }
        if mended {
            self.failures = Failures::default();
            if let Some(rest) = &mut self.rest {
                let soon = now.steady.saturating_add(self.place.within(AFTER_MENDING));
                *rest = Rest { until: rest.until.min(soon), firm: false };
            }
        }
        if !same_times {
            self.dealt = now.unix_seconds();
            self.guard = None;
        }
        self.plan_after(self.dealt);
        if self.planned.is_none() {
            self.make_up = None;
        }
        if self.guard.is_none() {
            self.watch_over(now);
        }
    }

    /// It is not configured any more; a run that goes on goes on.
    pub(super) fn remove(&mut self) {
        self.removed = true;
        self.switch_off();
    }

    fn switch_off(&mut self) {
        (self.planned, self.guard, self.make_up) = (None, None, None);
        (self.rest, self.wish, self.opens_ms) = (None, None, None);
        (self.asked_meanwhile, self.failures) = (false, Failures::default());
    }

    fn is_on(&self) -> bool {
        self.plan.enabled && !self.removed
    }

    /// Nobody speaks of it any more.
    pub(super) fn is_gone(&self) -> bool {
        self.removed && self.running.is_none()
    }
}
