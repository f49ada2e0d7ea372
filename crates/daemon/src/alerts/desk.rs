//! Who needs to be told what, and when: trouble in, messages out.
//!
//! One message a trouble, not one a run. What is new waits for a short collecting time, so that
//! trouble of one cause comes in one message; a cause that goes on to hit others is told at growing
//! pauses. What lasts is told again once a day, what is over once. Trouble that comes for the third
//! time within a day is said to come and go, and then is over only after a whole day without it.
//!
//! Invariant: what is told as over was told as new; trouble of one kind and account is told at most
//! [`MOST_TELLINGS`] times in a day.

use serde::{Deserialize, Serialize};

use super::message::{Body, Item, MAX_ITEMS, MAX_NAMES};
use super::trouble::{Cause, Kind, MAX_DETAIL_BYTES, Sighting, State, Trouble, shortened};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
pub(super) const DAY_MS: i64 = 24 * HOUR_MS;

/// The telling that says that it comes and goes.
const MOST_TELLINGS: usize = 3;
/// After the first, second, … message of a day about one kind, place and cause.
const PACE_MS: [i64; 3] = [10 * MINUTE_MS, HOUR_MS, 4 * HOUR_MS];
/// More than all accounts that a configuration holds can have.
const MAX_TROUBLES: usize = 100_000;

/// The trouble there is and was.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Desk {
    troubles: Vec<Trouble>,
    paces: Vec<Pace>,
}

/// When a group was last written about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pace {
    group: Group,
    over: bool,
    told_ms: Vec<i64>,
}

/// What is told together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Group {
    kind: Kind,
    place: String,
    cause: Option<Cause>,
}

impl Group {
    fn of(trouble: &Trouble) -> Self {
        Self { kind: trouble.kind, place: trouble.place.clone(), cause: trouble.cause }
    }
}

impl Desk {
    /// Trouble is there.
    pub(super) fn seen(&mut self, now_ms: i64, sighting: Sighting) {
        self.forget(now_ms);
        let Sighting { account, kind, place, cause, detail } = sighting;
        let detail = detail.map(|detail| shortened(&detail, MAX_DETAIL_BYTES));
        if let Some(known) = self.find(account.as_deref(), kind) {
            known.detail = detail.or(known.detail.take());
            match known.state {
                State::Waiting => (known.place, known.cause) = (place, cause),
                // The reader knows it by the place and cause that were told.
                State::Told => {}
                State::Over(_) => known.state = State::Told,
                State::Quiet => {
                    (known.place, known.cause, known.since_ms) = (place, cause, now_ms);
                    // After so many tellings the reader knows that it comes and goes.
                    known.state = match known.told_ms.len() {
                        MOST_TELLINGS.. => State::Told,
                        _ => State::Waiting,
                    };
                }
            }
        } else if self.troubles.len() < MAX_TROUBLES {
            self.troubles.push(Trouble {
                account,
                kind,
                place,
                cause,
                detail,
                since_ms: now_ms,
                state: State::Waiting,
                told_ms: Vec::new(),
                last_ms: now_ms,
                comes_and_goes: false,
            });
        }
    }

    /// Trouble is not there, or not any more.
    pub(super) fn gone(&mut self, now_ms: i64, account: Option<&str>, kind: Kind) {
        if let Some(known) = self.find(account, kind) {
            known.state = match known.state {
                State::Waiting => State::Quiet,
                State::Told => State::Over(now_ms),
                state => state,
            };
        }
    }

    /// Forgets what belongs to accounts that are not among these.
    pub(super) fn keep(&mut self, is_kept: impl Fn(&str) -> bool) {
        self.troubles.retain(|trouble| trouble.account.as_deref().is_none_or(&is_kept));
    }

    pub(super) fn is_there(&self, account: Option<&str>, kind: Kind) -> bool {
        let is_it = |trouble: &&Trouble| trouble.account.as_deref() == account && trouble.kind == kind;
        self.troubles.iter().find(is_it).is_some_and(Trouble::is_there)
    }

    fn find(&mut self, account: Option<&str>, kind: Kind) -> Option<&mut Trouble> {
        self.troubles.iter_mut().find(|known| known.kind == kind && known.account.as_deref() == account)
    }

    /// What is to be told now; `collect_ms` is how long others of a group are waited for.
    pub(super) fn step(&mut self, now_ms: i64, collect_ms: i64) -> Vec<Body> {
        self.forget(now_ms);
        self.cover();
        let mut bodies = Vec::new();
        let new = self.take(now_ms, false, |trouble| trouble.news_due(collect_ms));
        self.cover();
        if !new.is_empty() {
            bodies.push(body(new, |items, more| Body::Trouble { items, more }));
        }
        let over = self.take(now_ms, true, |trouble| trouble.over_due(collect_ms));
        if !over.is_empty() {
            bodies.push(body(over, |items, more| Body::Over { items, more }));
        }
        let still = self.remind(now_ms);
        if !still.is_empty() {
            bodies.push(body(still, |items, more| Body::Still { items, more }));
        }
        bodies
    }

    /// When the next of this is to be told, if nothing happens until then.
    pub(super) fn wake_ms(&self, collect_ms: i64) -> Option<i64> {
        let due = |trouble: &Trouble| {
            let allowed = |over, due: i64| due.max(self.allowed_ms(&Group::of(trouble), over));
            match trouble.state {
                State::Waiting => trouble.news_due(collect_ms).map(|due| allowed(false, due)),
                State::Told => Some(trouble.last_ms.saturating_add(DAY_MS)),
                State::Over(_) => trouble.over_due(collect_ms).map(|due| allowed(true, due)),
                State::Quiet => None,
            }
        };
        self.troubles.iter().filter_map(due).min()
    }

    /// Drops what is older than a day. What lies in the future was noted by a clock that was wrong.
    fn forget(&mut self, now_ms: i64) {
        let is_recent = |at: &i64| *at > now_ms.saturating_sub(DAY_MS) && *at <= now_ms;
        for trouble in &mut self.troubles {
            trouble.told_ms.retain(is_recent);
            trouble.since_ms = trouble.since_ms.min(now_ms);
            trouble.last_ms = trouble.last_ms.min(now_ms);
            if let State::Over(at) = &mut trouble.state {
                *at = (*at).min(now_ms);
            }
        }
        self.troubles.retain(|trouble| trouble.state != State::Quiet || !trouble.told_ms.is_empty());
        self.paces.iter_mut().for_each(|pace| pace.told_ms.retain(is_recent));
        self.paces.retain(|pace| !pace.told_ms.is_empty());
    }

    /// Lays aside what worse trouble of the same account covers. Once the reader has heard of the worse,
    /// its end is the end of both.
    fn cover(&mut self) {
        let worse: Vec<(Option<String>, Kind, State)> = self
            .troubles
            .iter()
            .filter(|trouble| trouble.is_there() && matches!(trouble.kind, Kind::Login | Kind::Failed))
            .map(|trouble| (trouble.account.clone(), trouble.kind, trouble.state))
            .collect();
        for (account, kind, state) in worse {
            let is_covered = |trouble: &&mut Trouble| {
                kind.covers(trouble.kind)
                    && trouble.account == account
                    && (state == State::Told || trouble.state == State::Waiting)
            };
            self.troubles.iter_mut().filter(is_covered).for_each(|trouble| trouble.state = State::Quiet);
        }
    }

    /// When this group may be written about next.
    fn allowed_ms(&self, group: &Group, over: bool) -> i64 {
        let pace = self.paces.iter().find(|pace| pace.over == over && pace.group == *group);
        let Some(last) = pace.and_then(|pace| pace.told_ms.last()) else { return i64::MIN };
        let messages = pace.map_or(0, |pace| pace.told_ms.len());
        last.saturating_add(PACE_MS[messages.clamp(1, PACE_MS.len()) - 1])
    }

    /// Tells the groups in which anything is due.
    fn take(&mut self, now_ms: i64, over: bool, due: impl Fn(&Trouble) -> Option<i64>) -> Vec<Item> {
        let mut groups: Vec<Group> = self
            .troubles
            .iter()
            .filter(|trouble| due(trouble).is_some_and(|due| due <= now_ms))
            .map(Group::of)
            .collect();
        groups.sort();
        groups.dedup();
        groups.retain(|group| self.allowed_ms(group, over) <= now_ms);
        let mut items = Vec::with_capacity(groups.len());
        for group in groups {
            let mut told = Vec::new();
            for trouble in self.troubles.iter_mut().filter(|trouble| Group::of(trouble) == group) {
                // The others of the group come along before their time; but what comes and goes
                // is over only when it is.
                let comes_along = match trouble.state {
                    State::Waiting => !over,
                    State::Over(_) => over && !trouble.comes_and_goes,
                    State::Told | State::Quiet => false,
                };
                if comes_along || due(trouble).is_some_and(|due| due <= now_ms) {
                    trouble.tell(now_ms);
                    told.push(trouble.clone());
                }
            }
            items.push(item(&told));
            match self.paces.iter_mut().find(|pace| pace.over == over && pace.group == group) {
                Some(pace) => pace.told_ms.push(now_ms),
                None => self.paces.push(Pace { group, over, told_ms: vec![now_ms] }),
            }
        }
        items
    }

    /// What has been there for a day since it was told last; what was told half a day ago comes along.
    fn remind(&mut self, now_ms: i64) -> Vec<Item> {
        let told_before = |trouble: &Trouble, span: i64| {
            trouble.state == State::Told && trouble.last_ms <= now_ms.saturating_sub(span)
        };
        if !self.troubles.iter().any(|trouble| told_before(trouble, DAY_MS)) {
            return Vec::new();
        }
        let mut told: Vec<Trouble> = Vec::new();
        for trouble in self.troubles.iter_mut().filter(|trouble| told_before(trouble, DAY_MS / 2)) {
            trouble.last_ms = now_ms;
            told.push(trouble.clone());
        }
        told.sort_by_key(Group::of);
        told.chunk_by(|a, b| Group::of(a) == Group::of(b)).map(item).collect()
    }
}

impl Trouble {
    /// When it may be told as new.
    fn news_due(&self, collect_ms: i64) -> Option<i64> {
        (self.state == State::Waiting).then(|| self.since_ms.saturating_add(collect_ms))
    }

    /// When it may be told as over.
    fn over_due(&self, collect_ms: i64) -> Option<i64> {
        let State::Over(at) = self.state else { return None };
        Some(at.saturating_add(if self.comes_and_goes { DAY_MS } else { collect_ms }))
    }

    fn tell(&mut self, now_ms: i64) {
        match self.state {
            State::Waiting => {
                self.told_ms.push(now_ms);
                self.last_ms = now_ms;
                self.comes_and_goes = self.told_ms.len() >= MOST_TELLINGS;
                self.state = State::Told;
            }
            State::Over(_) => (self.state, self.comes_and_goes) = (State::Quiet, false),
            State::Told | State::Quiet => {}
        }
    }
}

fn item(told: &[Trouble]) -> Item {
    let first = &told[0];
    let names = told.iter().filter_map(|trouble| trouble.account.clone());
    Item {
        kind: first.kind,
        host: Some(first.place.clone()).filter(|place| !place.is_empty()),
        cause: first.cause,
        since_ms: told.iter().map(|trouble| trouble.since_ms).min().unwrap_or(first.since_ms),
        count: told.len(),
        accounts: names.take(MAX_NAMES).collect(),
        comes_and_goes: told.iter().any(|trouble| trouble.comes_and_goes),
        detail: told.iter().find_map(|trouble| trouble.detail.clone()),
    }
}

fn body(mut items: Vec<Item>, make: impl Fn(Vec<Item>, usize) -> Body) -> Body {
    let more = items.len().saturating_sub(MAX_ITEMS);
    items.truncate(MAX_ITEMS);
    make(items, more)
}
