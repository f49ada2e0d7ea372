//! When news is told: not at each line of a server, but when it has settled.
//!
//! Mail comes in bursts, and whoever moves a thousand messages makes a thousand lines. So what has
//! come is told when nothing more has come for a moment, or has come for long enough. Flags by
//! themselves wait longer: they are what people change all day while they read.

use std::time::Duration;

use tokio::time::Instant;

/// Messages that came or went are told after so much quiet.
const QUIET: Duration = Duration::from_secs(2);

/// And after so much time, however much still comes.
const LONGEST: Duration = Duration::from_secs(30);

/// Flags are told after so much time.
const FLAGS: Duration = Duration::from_secs(60);

/// What has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// Messages came or went.
    Messages,
    /// Flags of messages.
    Flags,
}

/// What has come and was not told yet.
#[derive(Debug, Default)]
pub(super) struct Settling {
    /// When messages first came or went.
    first: Option<Instant>,
    last: Option<Instant>,
    /// When flags first changed.
    flags: Option<Instant>,
}

impl Settling {
    pub(super) fn note(&mut self, change: Change, now: Instant) {
        match change {
            Change::Messages => {
                self.first.get_or_insert(now);
                self.last = Some(now);
            }
            Change::Flags => {
                self.flags.get_or_insert(now);
            }
        }
    }

    /// When it is to be told, if nothing more comes.
    pub(super) fn due(&self) -> Option<Instant> {
        let messages = self.first.zip(self.last).map(|(first, last)| (first + LONGEST).min(last + QUIET));
        messages.into_iter().chain(self.flags.map(|first| first + FLAGS)).min()
    }

    /// Whether it is to be told now; then it counts as told.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let is_due = self.due().is_some_and(|due| due <= now);
        if is_due {
            *self = Self::default();
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// When this is told, in milliseconds after the first of it, which comes now.
    fn told(changes: &[(u64, Change)]) -> Vec<u64> {
        let begun = Instant::now();
        let mut settling = Settling::default();
        let mut told = Vec::new();
        let mut changes = changes.iter().peekable();
        for ms in 0..200_000 {
            let now = begun + Duration::from_millis(ms);
            if settling.take(now) {
                told.push(ms);
            }
            while let Some((_, change)) = changes.next_if(|(at, _)| *at == ms) {
                settling.note(*change, now);
            }
        }
        told
    }

    #[test]
    fn a_burst_is_told_once_when_it_is_over() {
        let burst: Vec<_> = (0..100).map(|n| (n * 150, Change::Messages)).collect();
        assert_eq!(told(&burst), [99 * 150 + 2_000]);
    }

    #[test]
    fn what_never_ends_is_told_every_half_minute() {
        let endless: Vec<_> = (0..70).map(|n| (n * 1_000, Change::Messages)).collect();
        assert_eq!(told(&endless), [30_000, 60_000, 71_000]);
    }

    #[test]
    fn flags_wait_a_minute_unless_mail_comes() {
        assert_eq!(told(&[(0, Change::Flags), (50_000, Change::Flags)]), [60_000]);
        assert_eq!(told(&[(0, Change::Flags), (5_000, Change::Messages)]), [7_000]);
        assert_eq!(told(&[]), [] as [u64; 0]);
    }
}
