//! When the archive is looked after, and which of its packs are read.
//!
//! Once a day there is a *look*: the structure of all packs is walked. Behind it come *readings*: packs
//! are read to the last byte, each in its turn, so that all have been read within a span of days (bit rot
//! is found while the server still has the mail). A look gives so many bytes to read as bring all packs
//! about in that span; the packs are read oldest reading first until that is used up. A pack cannot be read
//! in part, so the last one may overdraw, and the next days make good for it. That way a small archive
//! reads nothing on most days, a large one about as much every day, and a pack that is new comes to its
//! turn like all others.
//!
//! Packs found damaged are read again after each look until they are well (`repair` makes them so), for
//! what was found once must not be forgotten because a look does not see it.
//!
//! Invariant: pure arithmetic on the moment that is handed in. Nothing here asks for the time, or reads.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::schedule::Schedule;
use crate::scheduler::Window;

const DAY: i64 = 86_400;

/// Days off are made good for in the first look after them, up to so long: a machine that runs every other
/// day still comes round in time, and one that was off for a month does not read all at once.
const MOST_AT_ONCE: i64 = 2 * DAY;

/// What is to be done for an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CarePlan {
    /// When there is a look.
    pub at: Schedule,
    /// Within which span all packs are read; `None`: none is read.
    pub all_within: Option<Duration>,
    /// The hours in which packs are read; `None`: at any time.
    pub window: Option<Window>,
}

/// A pack as the archive has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pack {
    /// Its id.
    pub name: String,
    /// How much of it counts.
    pub bytes: u64,
}

/// What has been done for an archive. It outlives the process.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Care {
    /// When the last look was, in seconds since 1970.
    last_look: Option<i64>,
    /// Whether it found something.
    look_found_damage: bool,
    /// So many bytes may still be read; overdrawn when negative.
    credit: i64,
    packs: BTreeMap<String, Reading>,
}

/// A pack's last reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Reading {
    /// When it was read, in seconds since 1970; when it was first seen, where it never was.
    since: i64,
    was_read: bool,
    is_damaged: bool,
    bytes: u64,
}

/// What comes next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// A look, now.
    Look,
    /// This pack is read, now.
    Read(String),
    /// Nothing before this moment, in seconds since 1970; `None`: nothing at all.
    Wait(Option<i64>),
}

impl Care {
    /// What comes next at this moment, in seconds since 1970.
    #[must_use]
    pub fn next(&self, plan: &CarePlan, now: i64) -> Next {
        let Some(last) = self.last_look else { return Next::Look };
        // The clock was set back by more than a correction: what it said then means nothing.
        if last.saturating_sub(now) > DAY {
            return Next::Look;
        }
        let look = plan.at.next_after(last);
        if look.is_some_and(|at| at <= now) {
            return Next::Look;
        }
        let Some(pack) = self.due(plan, last) else { return Next::Wait(look) };
        match &plan.window {
            Some(window) if !window.is_open(now) => {
                Next::Wait(window.opens_after(now).into_iter().chain(look).min())
            }
            _ => Next::Read(pack.to_owned()),
        }
    }

    /// The pack whose turn it is; each has at most one between two looks.
    fn due(&self, plan: &CarePlan, last_look: i64) -> Option<&str> {
        plan.all_within?;
        let open = |reading: &Reading| !reading.was_read || reading.since < last_look;
        let open = || self.packs.iter().filter(|(_, reading)| open(reading));
        let damaged = open().find(|(_, reading)| reading.is_damaged);
        let oldest = || open().min_by_key(|(_, reading)| reading.since).filter(|_| self.credit > 0);
        damaged.or_else(oldest).map(|(name, _)| name.as_str())
    }

    /// There was a look at this moment; the archive has these packs.
    pub fn looked(&mut self, plan: &CarePlan, packs: &[Pack], found_damage: bool, now: i64) {
        // Who looks once a week only reads for a week.
        let pause = plan.at.next_after(now).map_or(DAY, |next| next.saturating_sub(now));
        let elapsed = self.last_look.map_or(DAY, |last| now.saturating_sub(last));
        let elapsed = elapsed.clamp(0, pause.max(MOST_AT_ONCE));
        self.last_look = Some(now);
        self.look_found_damage = found_damage;
        self.take_stock(packs, now);

        let bytes = || packs.iter().map(|pack| i64::try_from(pack.bytes).unwrap_or(i64::MAX));
        let total = bytes().fold(0, i64::saturating_add);
        let largest = bytes().max().unwrap_or(0);
        self.credit = match plan.all_within {
            None => 0,
            Some(span) => {
                let share = share(span, total.saturating_add(largest), elapsed);
                // An archive that has become smaller owes no more than its largest pack.
                self.credit.max(-largest).saturating_add(share).min(total)
            }
        };
    }

    /// The archive has these packs and no others: a compaction may have put one in the place of others. What
    /// is new waits for its turn from this moment on.
    pub fn take_stock(&mut self, packs: &[Pack], now: i64) {
        let mut known = std::mem::take(&mut self.packs);
        for pack in packs {
            let new = || Reading { since: now, was_read: false, is_damaged: false, bytes: 0 };
            let reading = known.remove(&pack.name).unwrap_or_else(new);
            let since = reading.since.min(now);
            self.packs.insert(pack.name.clone(), Reading { since, bytes: pack.bytes, ..reading });
        }
    }

    /// A pack was read to its end at this moment.
    pub fn read(&mut self, pack: &str, is_damaged: bool, now: i64) {
        let last_look = self.last_look.unwrap_or(now);
        let Some(reading) = self.packs.get_mut(pack) else { return };
        if !reading.is_damaged {
            self.credit = self.credit.saturating_sub(i64::try_from(reading.bytes).unwrap_or(i64::MAX));
        }
        // Where the clock was set back a little, it has still had its turn.
        *reading = Reading { since: now.max(last_look), was_read: true, is_damaged, bytes: reading.bytes };
    }

    /// All was read at this moment, by a full verification; these packs were found damaged.
    pub fn read_all(&mut self, packs: &[Pack], damaged: &[String], found_damage: bool, now: i64) {
        self.last_look = Some(now);
        self.look_found_damage = found_damage;
        self.take_stock(packs, now);
        for pack in packs {
            self.read(&pack.name, damaged.contains(&pack.name), now);
        }
        self.credit = self.credit.min(0);
    }

    /// Whether nothing that is known is damaged.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !self.look_found_damage && !self.packs.values().any(|reading| reading.is_damaged)
    }

    /// When the last look was.
    #[must_use]
    pub fn last_look(&self) -> Option<i64> {
        self.last_look
    }

    /// How far the readings are.
    #[must_use]
    pub fn readings(&self) -> Readings {
        let read = || self.packs.values().filter(|reading| reading.was_read);
        Readings {
            oldest: read().map(|reading| reading.since).min(),
            newest: read().map(|reading| reading.since).max(),
            read: read().count(),
            unread: self.packs.len() - read().count(),
            damaged: self.packs.values().filter(|reading| reading.is_damaged).count(),
        }
    }
}

/// How far the readings of an archive's packs are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// The reading that is longest ago, in seconds since 1970.
    pub oldest: Option<i64>,
    /// The last one.
    pub newest: Option<i64>,
    /// Packs that have been read.
    pub read: usize,
    /// Packs that never were.
    pub unread: usize,
    /// Packs that were damaged when they were read.
    pub damaged: usize,
}

/// What is to be read in so many seconds of the span, so that a day may be missed.
fn share(span: Duration, bytes: i64, elapsed: i64) -> i64 {
    let span = i64::try_from(span.as_secs()).unwrap_or(i64::MAX);
    let working = i128::from(span.saturating_sub(DAY).max(DAY));
    let share = (i128::from(bytes) * i128::from(elapsed) + working - 1) / working;
    i64::try_from(share).unwrap_or(i64::MAX)
}

/// How long to wait, when so many bytes were read in this time, so that a second brings no more than `rate`.
#[must_use]
pub fn pause(read: u64, elapsed: Duration, rate: u64) -> Duration {
    if rate == 0 {
        return Duration::ZERO;
    }
    let millis = u128::from(read) * 1_000 / u128::from(rate);
    Duration::from_millis(u64::try_from(millis).unwrap_or(u64::MAX)).saturating_sub(elapsed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test that cannot go on shall stop")]

    use super::*;

    const MB: u64 = 1 << 20;
    /// 1 November 2026, noon, UTC.
    const NOON: i64 = 1_793_534_400;

    fn plan(days: u64) -> CarePlan {
        let at = Schedule::parse("30 3 * * *", Some("UTC")).unwrap();
        let all_within = (days > 0).then(|| Duration::from_secs(days * 86_400));
        CarePlan { at, all_within, window: None }
    }

    #[test]
    fn what_a_compaction_has_replaced_is_not_read_any_more_and_what_it_has_made_is() {
        let pack = |name: &str| Pack { name: name.to_owned(), bytes: MB };
        let (plan, mut care) = (plan(1), Care::default());
        care.looked(&plan, &[pack("old"), pack("other")], false, NOON);
        care.read("other", false, NOON);
        assert_eq!(care.next(&plan, NOON), Next::Read("old".to_owned()));
        care.take_stock(&[pack("new"), pack("other")], NOON + 1);
        assert_eq!(care.next(&plan, NOON + 1), Next::Read("new".to_owned()));
        assert_eq!((care.readings().read, care.readings().unread), (1, 1), "what was read stays read");
    }

    /// An archive that is looked after, and how it went.
    struct World {
        plan: CarePlan,
        care: Care,
        packs: Vec<Pack>,
        /// When each pack came, or was read last.
        proven: BTreeMap<String, i64>,
        /// Bytes read between one look and the next.
        nights: Vec<u64>,
        looks: usize,
        damaged: Vec<String>,
    }

    impl World {
        fn new(days: u64, packs: &[u64], now: i64) -> Self {
            let (care, proven) = (Care::default(), BTreeMap::new());
            let (nights, damaged) = (Vec::new(), Vec::new());
            let mut world =
                Self { plan: plan(days), care, packs: Vec::new(), proven, nights, looks: 0, damaged };
            packs.iter().for_each(|&bytes| world.grow(bytes, now));
            world
        }

        fn grow(&mut self, bytes: u64, now: i64) {
            let name = format!("{:04}", self.packs.len());
            self.proven.insert(name.clone(), now);
            self.packs.push(Pack { name, bytes });
        }

        /// Does what comes next until it is to wait; until when.
        fn work(&mut self, now: i64) -> Option<i64> {
            for _ in 0..100_000 {
                match self.care.next(&self.plan, now) {
                    Next::Look => {
                        self.care.looked(&self.plan, &self.packs, false, now);
                        (self.looks, self.nights) = (
                            self.looks + 1,
                            std::mem::take(&mut self.nights).into_iter().chain([0]).collect(),
                        );
                    }
                    Next::Read(name) => {
                        let pack = self.packs.iter().find(|pack| pack.name == name).unwrap();
                        *self.nights.last_mut().unwrap() += pack.bytes;
                        self.proven.insert(name.clone(), now);
                        self.care.read(&name, self.damaged.contains(&name), now);
                    }
                    Next::Wait(until) => return until,
                }
            }
            panic!("it never waits");
        }

        fn oldest_days(&self, now: i64) -> i64 {
            (now - self.proven.values().min().unwrap()) / DAY
        }
    }

    #[test]
    fn over_a_year_in_which_the_archive_grows_every_pack_is_read_in_thirty_days_about_evenly() {
        let mut world = World::new(30, &[256 * MB; 100], NOON);
        let mut now = NOON;
        let mut oldest = 0;
        while now < NOON + 365 * DAY {
            now = world.work(now).unwrap();
            oldest = oldest.max(world.oldest_days(now));
            // Another pack every third day; the last one grows meanwhile.
            match world.looks % 3 {
                0 => world.grow(50 * MB, now),
                _ => world.packs.last_mut().unwrap().bytes += 100 * MB,
            }
        }
        assert!((25..=30).contains(&oldest), "{oldest} days");
        assert!(world.looks >= 365, "{}", world.looks);
        let total: u64 = world.packs.iter().map(|pack| pack.bytes).sum();
        let most = *world.nights.iter().max().unwrap();
        assert!(most <= total / 29 + 2 * 256 * MB, "{} MB in one night", most / MB);
        let least = *world.nights[31..].iter().min().unwrap();
        assert!(least >= 100 * 256 * MB / 30 - 256 * MB, "{} MB in one night", least / MB);
    }

    #[test]
    fn a_small_archive_is_left_alone_on_most_days_and_read_in_time_all_the_same() {
        let mut world = World::new(30, &[200 * MB, MB, 10], NOON);
        let mut now = NOON;
        for _ in 0..300 {
            now = world.work(now).unwrap();
            assert!(world.oldest_days(now) <= 30, "{}", world.oldest_days(now));
        }
        let busy = world.nights.iter().filter(|&&bytes| bytes > 0).count();
        assert!(busy < 60, "{busy} of {} nights", world.nights.len());
    }

    #[test]
    fn after_a_holiday_it_goes_on_where_it_was_and_does_not_read_all_at_once() {
        let mut world = World::new(30, &[256 * MB; 120], NOON);
        let mut now = NOON;
        for _ in 0..60 {
            now = world.work(now).unwrap();
        }
        now += 40 * DAY;
        let before = world.nights.len();
        let mut oldest = 0;
        for _ in 0..60 {
            now = world.work(now).unwrap();
            oldest = oldest.max(world.oldest_days(now));
        }
        assert!(oldest <= 30 + 40, "{oldest} days");
        assert!(world.oldest_days(now) <= 30, "{} days", world.oldest_days(now));
        assert!(world.nights[before..].iter().all(|&bytes| bytes <= 10 * 256 * MB), "{:?}", world.nights);
    }

    #[test]
    fn a_machine_that_runs_every_other_day_comes_round_in_time() {
        let mut world = World::new(30, &[256 * MB; 100], NOON);
        let mut now = NOON;
        for _ in 0..100 {
            world.work(now);
            now += 2 * DAY;
            assert!(world.oldest_days(now) <= 32, "{}", world.oldest_days(now));
        }
    }

    #[test]
    fn o07_a_clock_that_jumps_costs_a_look_at_most_and_never_ends_the_care() {
        for jump in [400 * DAY, -400 * DAY, 3_600, -3_600, -60, -2 * DAY] {
            let mut world = World::new(30, &[256 * MB; 100], NOON);
            let mut now = NOON;
            for _ in 0..40 {
                now = world.work(now).unwrap();
            }
            let looks = world.looks;
            now += jump;
            for _ in 0..40 {
                let until = world.work(now).unwrap();
                assert!(until > now && until <= now + 2 * DAY, "{jump}: waits {} s", until - now);
                now = until;
            }
            assert!(world.looks - looks <= 42, "{jump}: {}", world.looks - looks);
            let most = *world.nights.iter().max().unwrap();
            assert!(most <= 9 * 256 * MB, "{jump}: {} MB in one night", most / MB);
        }
    }

    #[test]
    fn a_damaged_pack_is_read_after_each_look_until_it_is_well_and_the_others_as_ever() {
        let mut world = World::new(30, &[256 * MB; 10], NOON);
        world.damaged.push("0003".to_owned());
        let mut now = NOON;
        for _ in 0..32 {
            now = world.work(now).unwrap();
        }
        assert!(!world.care.is_whole());
        assert!(now - world.proven["0003"] <= DAY, "read in the last night");
        assert!(world.oldest_days(now) <= 30);
        world.damaged.clear();
        world.work(now);
        assert!(world.care.is_whole());
    }

    #[test]
    fn packs_are_read_in_the_window_alone_and_what_is_left_goes_on_the_next_night() {
        let mut world = World::new(1, &[MB; 10], NOON);
        world.plan.window = Some(Window::parse("02:00-05:00", Some("UTC")).unwrap());
        let opens = world.work(NOON).unwrap();
        assert_eq!((world.looks, world.nights[0]), (1, 0));
        assert_eq!(opens, NOON + 14 * 3_600);
        let Next::Read(first) = world.care.next(&world.plan, opens) else { panic!("it is open") };
        world.care.read(&first, false, opens);
        let closed = opens + 3 * 3_600 + 60;
        // The look of this night is due first.
        assert_eq!(world.care.next(&world.plan, closed), Next::Look);
        assert!(world.work(closed).unwrap() > closed + 20 * 3_600);
        assert_eq!(world.care.readings().read, 1);
    }

    #[test]
    fn whoever_looks_once_a_week_or_each_hour_comes_round_in_time_and_reads_no_more_for_it() {
        for (schedule, nights) in [("30 3 * * 0", 60), ("0 * * * *", 24 * 90)] {
            let mut world = World::new(30, &[256 * MB; 100], NOON);
            world.plan.at = Schedule::parse(schedule, Some("UTC")).unwrap();
            let mut now = NOON;
            for _ in 0..nights {
                now = world.work(now).unwrap();
                assert!(world.oldest_days(now) <= 37, "{schedule}: {}", world.oldest_days(now));
            }
            let (read, days) = (world.nights.iter().sum::<u64>(), (now - NOON) / DAY);
            let a_day = read / days.unsigned_abs() / (256 * MB);
            assert!((3..=4).contains(&a_day), "{schedule}: {a_day} packs a day");
        }
    }

    #[test]
    fn zero_days_read_nothing_and_a_full_verification_by_hand_counts_for_all() {
        let mut world = World::new(0, &[MB; 10], NOON);
        assert!(world.work(NOON).unwrap() > NOON);
        assert_eq!(world.care.readings().unread, 10);
        let mut world = World::new(30, &[MB; 100], NOON);
        world.care.read_all(&world.packs, &["0007".to_owned()], true, NOON);
        assert!(!world.care.is_whole());
        let readings = world.care.readings();
        assert_eq!((readings.read, readings.unread, readings.damaged), (100, 0, 1));
        assert_eq!((readings.oldest, readings.newest), (Some(NOON), Some(NOON)));
        world.work(NOON + 60);
        assert_eq!(world.looks, 0, "it was a look, too");
    }

    #[test]
    fn what_was_done_outlives_the_process_and_packs_that_are_gone_are_forgotten() {
        let mut world = World::new(30, &[MB; 100], NOON);
        world.work(NOON);
        let kept = serde_json::to_string(&world.care).unwrap();
        assert_eq!(serde_json::from_str::<Care>(&kept).unwrap(), world.care);
        world.packs.truncate(1);
        world.work(NOON + DAY);
        assert_eq!(world.care.packs.len(), 1);
    }

    #[test]
    fn reading_keeps_to_its_rate() {
        assert_eq!(pause(10_000_000, Duration::from_secs(1), 5_000_000), Duration::from_secs(1));
        assert_eq!(pause(10_000_000, Duration::from_secs(3), 5_000_000), Duration::ZERO);
        assert_eq!(pause(u64::MAX, Duration::ZERO, 0), Duration::ZERO);
        assert!(pause(u64::MAX, Duration::ZERO, 1) > Duration::from_secs(1 << 40));
    }
}
