//! How long an account rests after a failed run.
//!
//! Each failure in a row makes the pause longer; a good run forgets them all. A *firm* pause also
//! holds back planned times: wrong credentials that are shown again and again get accounts locked
//! and addresses banned, and a server that asked for quiet means it. Any other pause only brings
//! the next attempt forward: where a planned time comes sooner, that is the next attempt.

use std::time::Duration;

use super::spread::Place;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// No pause for trouble that may pass by itself is longer.
const LONGEST_PAUSE: Duration = HOUR.saturating_mul(6);
/// After wrong credentials; the last is for all further ones. Someone has to come and mend it, so
/// all that attempts can do is notice that someone did.
const CREDENTIALS_PAUSES: [Duration; 4] =
    [MINUTE.saturating_mul(15), HOUR, HOUR.saturating_mul(6), HOUR.saturating_mul(24)];
/// A server that wants quiet without saying for how long gets so many times the usual pause.
const LIMIT_FACTOR: u32 = 8;
/// Whatever wait a server names, it is tried again after this: a wrong number shall not end a backup.
const LONGEST_WAIT: Duration = HOUR.saturating_mul(24);

/// Why a run failed, as far as it matters for the next attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The server does not accept the login.
    Credentials,
    /// The server wants less of us, and perhaps said for how long.
    Limit {
        /// The time that the server named.
        wait: Option<Duration>,
    },
    /// The network or the server is not well.
    Network,
    /// Anything else: protocol, TLS, the disk, a fault of ours.
    Other,
}

/// The failures in a row.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Failures {
    all: u32,
    credentials: u32,
}

/// A rest after a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pause {
    pub(super) length: Duration,
    /// Planned times are held back too.
    pub(super) firm: bool,
}

impl Failures {
    /// How many there are.
    pub(super) fn count(self) -> u32 {
        self.all
    }

    /// Takes in one more, and says how long to rest after it. Those who failed together are drawn
    /// apart by their place.
    pub(super) fn add(&mut self, trouble: Trouble, place: Place) -> Pause {
        self.all = self.all.saturating_add(1);
        let place = place.turn(self.all);
        match trouble {
            Trouble::Credentials => {
                let rung = usize::try_from(self.credentials).unwrap_or(usize::MAX);
                self.credentials = self.credentials.saturating_add(1);
                let length = CREDENTIALS_PAUSES[rung.min(CREDENTIALS_PAUSES.len() - 1)];
                Pause { length: length + place.within(length / 10), firm: true }
            }
            Trouble::Limit { wait: Some(wait) } => {
                let length = wait.clamp(MINUTE, LONGEST_WAIT);
                Pause { length: length + place.within(length / 10), firm: true }
            }
            Trouble::Limit { wait: None } => {
                Pause { length: growing(MINUTE * LIMIT_FACTOR, self.all, place), firm: true }
            }
            Trouble::Network | Trouble::Other => {
                Pause { length: growing(MINUTE, self.all, place), firm: false }
            }
        }
    }
}

/// Twice as long each time. At most a quarter is taken off, so that each is longer than the last.
fn growing(first: Duration, failures: u32, place: Place) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    let full = first.saturating_mul(1 << doublings).min(LONGEST_PAUSE);
    full - place.within(full / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pauses(trouble: Trouble, count: usize) -> Vec<Pause> {
        let mut failures = Failures::default();
        (0..count).map(|_| failures.add(trouble, Place::of("work"))).collect()
    }

    #[test]
    fn pauses_grow_from_a_minute_to_six_hours() {
        let pauses = pauses(Trouble::Network, 40);
        assert!(pauses.iter().all(|pause| !pause.firm));
        for (at, pair) in pauses[..9].windows(2).enumerate() {
            assert!(pair[0].length < pair[1].length, "{at}: {pair:?}");
        }
        assert!(pauses[0].length > MINUTE * 3 / 4 && pauses[0].length <= MINUTE);
        assert!(pauses[39].length > LONGEST_PAUSE * 3 / 4 && pauses[39].length <= LONGEST_PAUSE);
    }

    #[test]
    fn o2_wrong_credentials_are_shown_five_times_in_two_days_at_most() {
        let pauses = pauses(Trouble::Credentials, 5);
        assert!(pauses.iter().all(|pause| pause.firm));
        for (pause, least) in pauses.iter().zip([15, 60, 360, 1_440, 1_440]) {
            assert!((MINUTE * least..MINUTE * least * 11 / 10).contains(&pause.length), "{pause:?}");
        }
    }

    #[test]
    fn a_wait_that_the_server_named_is_kept_and_no_wait_is_for_ever() {
        let wait = |seconds| pauses(Trouble::Limit { wait: Some(Duration::from_secs(seconds)) }, 1)[0];
        assert!((1_000..1_100).contains(&wait(1_000).length.as_secs()) && wait(1_000).firm);
        assert!(wait(0).length >= MINUTE);
        assert!(wait(u64::MAX).length < LONGEST_WAIT * 2);
        assert!(pauses(Trouble::Limit { wait: None }, 1)[0].length >= MINUTE * 6);
    }
}
