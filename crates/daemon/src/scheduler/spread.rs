//! Who begins when, of many that are due together: a fixed place for each account in a span of time.
//!
//! The place comes from the account's name, so it is the same after each restart, no list has to be
//! kept, and an account that is added moves no other. Chance would do as well for the servers, but
//! an administrator who reads logs wants to find an account at its usual minute.

use std::time::Duration;

/// An account's place in any span, from the start of it (0) to its end (never reached).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place(u64);

impl Place {
    /// Of the account with this name.
    pub(crate) fn of(name: &str) -> Self {
        // FNV-1a takes in the octets; names that differ in their last letter only are then drawn
        // apart by `mixed`.
        let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
            (hash ^ u64::from(octet)).wrapping_mul(0x0100_0000_01b3)
        });
        Self(mixed(hash))
    }

    /// Another place for the same account, so that those who met in one span do not meet in the next.
    pub(crate) fn turn(self, turn: u32) -> Self {
        Self(mixed(self.0 ^ (u64::from(turn) + 1)))
    }

    /// This far into the span, always before its end.
    pub(crate) fn within(self, span: Duration) -> Duration {
        let parts = u128::from(self.0 >> 32);
        let nanos = (span.as_nanos() * parts) >> 32;
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// The finaliser of SplitMix64: each bit of the input changes half of the output.
fn mixed(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_accounts_fill_a_span_evenly_and_each_time_in_the_same_way() {
        let minute = Duration::from_secs(60);
        let mut seconds = [0_u32; 60];
        for account in 0..1_000 {
            let place = Place::of(&format!("user{account}@example.org")).within(minute);
            assert_eq!(place, Place::of(&format!("user{account}@example.org")).within(minute));
            seconds[usize::try_from(place.as_secs()).expect("below 60")] += 1;
        }
        assert!(seconds.iter().all(|&count| (1..45).contains(&count)), "{seconds:?}");
    }

    #[test]
    fn a_span_of_nothing_and_one_of_centuries_have_places() {
        let place = Place::of("work");
        assert_eq!(place.within(Duration::ZERO), Duration::ZERO);
        let centuries = Duration::from_secs(500 * 365 * 86_400);
        assert!(place.within(centuries) < centuries);
        assert_ne!(place.turn(0).within(centuries), place.turn(1).within(centuries));
    }
}
