//! What stands between a wish and its run, and when that will be gone.
//!
//! A rest, a moment before which nothing may begin, the window: the first that is shut is the
//! answer. An account whose door is open waits for a place in the queue, and for nothing else.

use std::time::Duration;

use super::{Account, Surroundings, Wish};
use crate::scheduler::clock::Now;
use crate::scheduler::limits::Ticket;
use crate::scheduler::{Name, Outlook, State, Why};

/// What stands between a wish and its run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Door {
    Open,
    OpensAtSteady(Duration),
    OpensAtWall(i64),
    Shut,
}

/// What is to be remembered of an account until it is settled again.
#[derive(Clone, Debug, Default)]
pub(in crate::scheduler) struct Alarms {
    pub(in crate::scheduler) wall_ms: Option<i64>,
    pub(in crate::scheduler) steady: Option<Duration>,
    /// Its host, and its place in the queue.
    pub(in crate::scheduler) queued: Option<(Name, Ticket)>,
}

impl Account {
    /// After [`Self::settle`]: when to settle again, and whether it waits for a place.
    pub(in crate::scheduler) fn alarms(&mut self, around: Surroundings) -> Alarms {
        let door = self.wish.map_or(Door::Shut, |wish| self.door(wish, around));
        let at_wall = if let Door::OpensAtWall(ms) = door { Some(ms) } else { None };
        let at_steady = if let Door::OpensAtSteady(moment) = door { Some(moment) } else { None };
        let ticket = |wish: Wish| (self.plan.host.clone(), (wish.since, self.plan.name.clone()));
        Alarms {
            wall_ms: self.planned.map(|planned| planned.due_ms).into_iter().chain(at_wall).min(),
            steady: [self.make_up.map(|it| it.at), self.rest.map(|it| it.until), self.guard, at_steady]
                .into_iter()
                .flatten()
                .min(),
            queued: self.wish.filter(|_| door == Door::Open).map(ticket),
        }
    }

    fn door(&mut self, wish: Wish, around: Surroundings) -> Door {
        let now = around.now;
        // What asks while runs fail, as a watch may do at each mail, waits for the next attempt.
        if let Some(rest) = self.rest.filter(|rest| rest.firm || wish.why == Why::Asked) {
            return Door::OpensAtSteady(rest.until);
        }
        if wish.not_before > now.steady {
            return Door::OpensAtSteady(wish.not_before);
        }
        let Some(window) = &self.plan.window else { return Door::Open };
        if let Some(opens_ms) = self.opens_ms.filter(|&opens_ms| opens_ms > now.unix_ms) {
            return Door::OpensAtWall(opens_ms);
        }
        self.opens_ms = None;
        if window.is_open(now.unix_seconds()) {
            return Door::Open;
        }
        let Some(opens) = window.opens_after(now.unix_seconds()) else { return Door::Shut };
        let span = self.plan.spread.max(around.catch_up);
        let half_of_it = Duration::from_secs(u64::from(window.seconds() / 2));
        let place = self.place.within(span.min(half_of_it));
        let opens_ms =
            opens.saturating_mul(1_000).saturating_add(i64::try_from(place.as_millis()).unwrap_or(0));
        self.opens_ms = Some(opens_ms);
        Door::OpensAtWall(opens_ms)
    }

    /// How it stands, as of the last time it was settled.
    pub(in crate::scheduler) fn outlook(&self, now: Now, alarms: &Alarms) -> Outlook {
        let state = match () {
            () if self.running.is_some() => State::Running,
            () if !self.is_on() => State::Off,
            () if self.rest.is_some() => State::Resting,
            () if self.wish.is_some() => State::Waiting,
            () => State::Idle,
        };
        let firm = self.rest.is_some_and(|rest| rest.firm);
        let planned_ms = self.planned.map(|planned| planned.due_ms).filter(|_| !firm);
        let next_ms = if alarms.queued.is_some() {
            Some(now.unix_ms)
        } else if self.opens_ms.is_some() {
            self.opens_ms
        } else if let Some(wish) = self.wish.filter(|_| self.rest.is_none()) {
            Some(now.wall_at(wish.not_before))
        } else {
            let by_steady = [self.make_up.map(|it| it.at), self.rest.map(|it| it.until)];
            by_steady.into_iter().flatten().map(|at| now.wall_at(at)).chain(planned_ms).min()
        };
        Outlook { state, next_ms: next_ms.map(|ms| self.when_open(ms)), failures: self.failures.count() }
    }

    fn when_open(&self, ms: i64) -> i64 {
        let seconds = ms.div_euclid(1_000);
        let closed = self.plan.window.as_ref().filter(|window| !window.is_open(seconds));
        closed.and_then(|window| window.opens_after(seconds)).map_or(ms, |opens| opens.saturating_mul(1_000))
    }
}
