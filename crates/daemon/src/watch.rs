//! When a watch is opened, and opened anew after it was lost; and how often it may ask for a run.
//!
//! A machine like the [`scheduler`](crate::scheduler): told what happens, without clock or I/O. A watch
//! only makes runs come sooner, so it is always the one to stand back. What it must not do is what
//! gets accounts locked and addresses banned:
//!
//! * A refused login is not tried again by a watch. It waits until a run has succeeded, so that the
//!   runs' own pauses are all the attempts there are.
//! * A server that lets no more connections in lets the watch go first: it closes when a run was
//!   turned away, and stays away for hours.
//! * Pauses between attempts grow, and are spread by chance of the name.
//! * Runs are asked for some times at once, then each minute: a busy mailbox is not a reason to log in
//!   every few seconds.

use std::time::Duration;

use crate::scheduler::{Outcome, Place, Trouble};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// The first pause, and the longest, after the network or the server was not well.
const NETWORK: (Duration, Duration) = (Duration::from_secs(5), MINUTE.saturating_mul(15));
/// After what is not likely to pass by itself.
const OTHER: (Duration, Duration) = (MINUTE, HOUR.saturating_mul(6));
/// After a server wanted less of us.
const LIMIT: (Duration, Duration) = (MINUTE.saturating_mul(8), DAY);
/// After a run was turned away because of the watch.
const YIELDED: (Duration, Duration) = (HOUR, DAY);
/// A server that cannot tell of news is asked again after this: it may have been renewed.
const UNSUPPORTED: Duration = DAY;
/// A watch that held so long was a good one: its loss is the first in a row.
const GOOD: Duration = MINUTE;
/// And one that ended because the server did what it must not, when it held so long.
const GOOD_FOR_A_WRONG_SERVER: Duration = HOUR;

/// So many runs may be asked for one after the other,
const RINGS_AT_ONCE: u32 = 10;
/// and then one in this time.
const BETWEEN_RINGS: Duration = MINUTE;

/// The watch of one account: open, or to be opened. Times are by the steady clock.
#[derive(Debug)]
pub struct Watch {
    place: Place,
    state: State,
    /// Attempts and losses in a row.
    failures: u32,
    /// How often runs were turned away while it was open.
    yielded: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    OpensAt(Duration),
    /// The login is refused: not before a run has succeeded.
    AfterAGoodRun,
    OpenSince(Duration),
}

impl Watch {
    /// Of the account with this name; opened within `span`, in which others are opened, too.
    #[must_use]
    pub fn new(account: &str, span: Duration, now: Duration) -> Self {
        let place = Place::of(account);
        let state = State::OpensAt(now.saturating_add(place.within(span)));
        Self { place, state, failures: 0, yielded: 0 }
    }

    /// When it is to be opened; `None`: not for now.
    #[must_use]
    pub fn opens_at(&self) -> Option<Duration> {
        match self.state {
            State::OpensAt(at) => Some(at),
            State::AfterAGoodRun | State::OpenSince(_) => None,
        }
    }

    /// It is open.
    pub fn opened(&mut self, now: Duration) {
        self.state = State::OpenSince(now);
    }

    /// It was lost, or could not be opened.
    pub fn lost(&mut self, trouble: Trouble, now: Duration) {
        let good = if trouble == Trouble::Other { GOOD_FOR_A_WRONG_SERVER } else { GOOD };
        if let State::OpenSince(since) = self.state
            && now.saturating_sub(since) >= good
        {
            self.failures = 0;
        }
        self.failures = self.failures.saturating_add(1);
        self.state = match trouble {
            Trouble::Credentials => State::AfterAGoodRun,
            Trouble::Limit { wait } => {
                let pause = self.pause(LIMIT, self.failures).max(wait.unwrap_or_default().min(DAY));
                State::OpensAt(now.saturating_add(pause))
            }
            Trouble::Network => State::OpensAt(now.saturating_add(self.pause(NETWORK, self.failures))),
            Trouble::Other => State::OpensAt(now.saturating_add(self.pause(OTHER, self.failures))),
        };
    }

    /// The server cannot tell of news.
    pub fn unsupported(&mut self, now: Duration) {
        self.state = State::OpensAt(now.saturating_add(UNSUPPORTED));
    }

    /// A run of the account has ended. True: the watch is to be closed, if it is open.
    #[must_use]
    pub fn run_ended(&mut self, outcome: Outcome, now: Duration) -> bool {
        let is_open = matches!(self.state, State::OpenSince(_));
        match outcome {
            Outcome::Done if self.state == State::AfterAGoodRun => {
                self.failures = 0;
                self.state = State::OpensAt(now);
            }
            // It would be refused as well.
            Outcome::Failed(Trouble::Credentials) if !is_open => self.state = State::AfterAGoodRun,
            Outcome::Failed(Trouble::Limit { wait }) => {
                self.yielded = self.yielded.saturating_add(u32::from(is_open));
                let pause = self.pause(YIELDED, self.yielded.max(1)).max(wait.unwrap_or_default().min(DAY));
                let at = now.saturating_add(pause);
                match self.state {
                    State::AfterAGoodRun => {}
                    State::OpensAt(later) => self.state = State::OpensAt(later.max(at)),
                    State::OpenSince(_) => self.state = State::OpensAt(at),
                }
                return is_open;
            }
            Outcome::Done | Outcome::Failed(_) | Outcome::Interrupted => {}
        }
        false
    }

    /// Twice as long each time; between half of it and all of it, for others were lost with this one.
    fn pause(&self, (first, longest): (Duration, Duration), failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(16);
        let full = first.saturating_mul(1 << doublings).min(longest);
        full / 2 + self.place.turn(self.failures).within(full / 2)
    }
}

/// How often runs are asked for.
#[derive(Debug, Default)]
pub struct Rings {
    /// Until then they are spoken for, one each [`BETWEEN_RINGS`].
    spoken_for: Duration,
}

impl Rings {
    /// There is news: when a run is to be asked for.
    #[must_use]
    pub fn ring_at(&mut self, now: Duration) -> Duration {
        let at = now.max(self.spoken_for.saturating_sub(BETWEEN_RINGS.saturating_mul(RINGS_AT_ONCE - 1)));
        self.spoken_for = self.spoken_for.max(at).saturating_add(BETWEEN_RINGS);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000);

    fn watch() -> Watch {
        Watch::new("work", Duration::ZERO, NOW)
    }

    /// The pauses after this trouble, again and again.
    fn pauses(trouble: Trouble, count: usize) -> Vec<Duration> {
        let mut watch = watch();
        let mut lose = || {
            watch.lost(trouble, NOW);
            watch.opens_at().map_or(Duration::MAX, |at| at.saturating_sub(NOW))
        };
        (0..count).map(|_| lose()).collect()
    }

    #[test]
    fn a_server_that_is_gone_is_asked_for_at_growing_intervals() {
        for (trouble, first, longest) in [
            (Trouble::Network, 5, 900),
            (Trouble::Other, 60, 21_600),
            (Trouble::Limit { wait: None }, 480, 86_400),
        ] {
            let pauses = pauses(trouble, 20);
            for (n, pause) in (0..).zip(&pauses) {
                let full = Duration::from_secs((first << n.min(16)).min(longest));
                assert!((full / 2..=full).contains(pause), "{trouble:?} {n}: {pause:?}");
            }
        }
        let named = pauses(Trouble::Limit { wait: Some(HOUR) }, 1);
        assert_eq!(named, [HOUR]);
        assert!(pauses(Trouble::Limit { wait: Some(Duration::MAX) }, 1)[0] <= DAY);
    }

    #[test]
    fn o1_a_refused_login_is_tried_again_only_after_a_run_that_was_not_refused() {
        let mut watch = watch();
        watch.lost(Trouble::Credentials, NOW);
        for outcome in [
            Outcome::Failed(Trouble::Credentials),
            Outcome::Failed(Trouble::Network),
            Outcome::Failed(Trouble::Limit { wait: None }),
            Outcome::Interrupted,
        ] {
            assert!(!watch.run_ended(outcome, NOW));
            assert_eq!(watch.opens_at(), None, "{outcome:?}");
        }
        assert!(!watch.run_ended(Outcome::Done, NOW + HOUR));
        assert_eq!(watch.opens_at(), Some(NOW + HOUR));
    }

    #[test]
    fn o1_where_a_run_was_refused_the_watch_does_not_try_but_one_that_is_open_stays() {
        let mut lost = watch();
        lost.lost(Trouble::Network, NOW);
        assert!(!lost.run_ended(Outcome::Failed(Trouble::Credentials), NOW));
        assert_eq!(lost.opens_at(), None);
        let mut open = watch();
        open.opened(NOW);
        assert!(!open.run_ended(Outcome::Failed(Trouble::Credentials), NOW));
        open.lost(Trouble::Network, NOW);
        assert!(open.opens_at().is_some());
    }

    #[test]
    fn a_watch_makes_room_for_runs_and_for_longer_each_time() {
        let mut watch = watch();
        let mut before = Duration::ZERO;
        for _ in 0..4 {
            watch.opened(NOW);
            assert!(!watch.run_ended(Outcome::Done, NOW));
            assert!(watch.run_ended(Outcome::Failed(Trouble::Limit { wait: None }), NOW));
            let pause = watch.opens_at().map_or(Duration::ZERO, |at| at.saturating_sub(NOW));
            assert!(pause >= HOUR / 2 && pause > before / 2, "{pause:?} after {before:?}");
            before = pause;
        }
        assert!(before >= 4 * HOUR);
        // Turned away again while nothing is open: it stays away, and is not asked to close.
        assert!(!watch.run_ended(Outcome::Failed(Trouble::Limit { wait: None }), NOW));
    }

    #[test]
    fn the_loss_of_a_watch_that_held_is_the_first_in_a_row() {
        let mut watch = watch();
        for _ in 0..10 {
            watch.lost(Trouble::Network, NOW);
        }
        watch.opened(NOW);
        watch.lost(Trouble::Network, NOW + GOOD / 2);
        assert!(watch.opens_at() > Some(NOW + GOOD * 5));
        watch.opened(NOW);
        watch.lost(Trouble::Network, NOW + HOUR);
        assert!(watch.opens_at() <= Some(NOW + HOUR + NETWORK.0));
    }

    #[test]
    fn s08_a_server_that_floods_each_watch_is_left_in_peace_for_longer_each_time() {
        let mut watch = watch();
        for _ in 0..10 {
            watch.opened(NOW);
            watch.lost(Trouble::Other, NOW + 5 * GOOD);
        }
        assert!(watch.opens_at() > Some(NOW + 2 * HOUR));
        watch.opened(NOW);
        watch.lost(Trouble::Other, NOW + HOUR);
        assert!(watch.opens_at() <= Some(NOW + HOUR + OTHER.0));
    }

    #[test]
    fn a_server_that_cannot_tell_of_news_is_asked_once_a_day() {
        let mut watch = watch();
        watch.unsupported(NOW);
        assert_eq!(watch.opens_at(), Some(NOW + DAY));
    }

    #[test]
    fn many_accounts_are_opened_one_after_the_other() {
        let span = Duration::from_secs(200);
        let opens = |n| Watch::new(&format!("user{n}"), span, NOW).opens_at();
        let early = (0..200).filter(|n| opens(*n) < Some(NOW + span / 2)).count();
        assert!((60..140).contains(&early), "{early}");
    }

    #[test]
    fn o2_ten_runs_are_asked_for_at_once_and_then_one_a_minute() {
        let mut rings = Rings::default();
        let mut now = NOW;
        let mut rung = Vec::new();
        // Mail comes every three seconds for a day.
        while now < NOW + DAY {
            now = rings.ring_at(now).max(now);
            rung.push(now);
            now += Duration::from_secs(3);
        }
        assert!(rung[..10].windows(2).all(|pair| pair[1] - pair[0] == Duration::from_secs(3)));
        assert!((1_440..1_455).contains(&rung.len()), "{}", rung.len());
        // After a quiet quarter of an hour there are ten again.
        let later = now + 15 * MINUTE;
        assert!((0..10).all(|_| rings.ring_at(later) == later));
        assert_eq!(rings.ring_at(later), later + MINUTE);
    }
}
