//! Suspicious loss: when what vanished in a run looks like a theft, a wipe or a mistake.
//!
//! The archive keeps everything whatever the server says; this only decides whether a person should
//! look. The thresholds are those of the configuration's `[watchdog]`.

/// When a loss is suspicious.
#[derive(Clone, Copy, Debug)]
pub struct Watchdog {
    /// Fewer vanished messages than this in a folder never are.
    pub vanished_min: u64,
    /// Share of a folder's messages, from 0 to 1.
    pub vanished_share: f64,
    /// Share of an account's messages, from 0 to 1.
    pub account_share: f64,
}

impl Default for Watchdog {
    fn default() -> Self {
        Self { vanished_min: 20, vanished_share: 0.1, account_share: 0.3 }
    }
}

impl Watchdog {
    /// Whether a folder that held `before` messages and lost `vanished` of them needs a look.
    #[must_use]
    pub fn folder_is_suspicious(&self, before: u64, vanished: u64) -> bool {
        vanished >= self.vanished_min && exceeds(vanished, before, self.vanished_share)
    }

    /// The same for a whole account: messages that moved between folders must not be counted in.
    #[must_use]
    pub fn account_is_suspicious(&self, before: u64, vanished: u64) -> bool {
        vanished >= self.vanished_min && exceeds(vanished, before, self.account_share)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a share of messages needs no 53 bits")]
fn exceeds(part: u64, whole: u64, share: f64) -> bool {
    part as f64 > whole as f64 * share
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_is_suspicious_only_when_it_is_large_in_number_and_share() {
        let watchdog = Watchdog::default();
        for (before, vanished, suspicious) in
            [(1_000, 101, true), (1_000, 100, false), (30, 19, false), (30, 20, true), (0, 0, false)]
        {
            assert_eq!(watchdog.folder_is_suspicious(before, vanished), suspicious, "{vanished} of {before}");
        }
        assert!(!watchdog.account_is_suspicious(100, 30));
        assert!(watchdog.account_is_suspicious(100, 31));
    }
}
