//! What must hold for any cron expression: the law of this crate's fuzz target.

use crate::{InvalidSchedule, Schedule};

/// A moment (8 bytes, seconds), a zone's number (1 byte) and an expression: what is taken is due again
/// and again, each time later than before, and at the moment told; an error is short.
pub fn cron(data: &[u8]) {
    const ZONES: [&str; 6] =
        ["UTC", "Europe/Paris", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe", "Asia/Kathmandu"];
    let Some((moment, [zone, expression @ ..])) = data.split_first_chunk::<8>() else { return };
    let Ok(expression) = std::str::from_utf8(expression) else { return };
    // The years 1970 to 2238.
    let mut at = i64::from_le_bytes(*moment).rem_euclid(1 << 33);
    match Schedule::parse(expression, Some(ZONES[usize::from(*zone) % ZONES.len()])) {
        Ok(schedule) => {
            for _ in 0..3 {
                let Some(next) = schedule.next_after(at) else { break };
                assert!(next > at, "{expression:?} is due at {next}, which is not after {at}");
                assert_eq!(schedule.next_after(next - 1), Some(next), "{expression:?} after {at}");
                at = next;
            }
        }
        Err(InvalidSchedule::Expression { reason }) => assert!(reason.len() < 4096, "{reason}"),
        Err(InvalidSchedule::Never) => {}
        Err(InvalidSchedule::Zone) => panic!("all these zones exist"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s18_any_cron_expression_that_is_taken_is_due_again_and_again() {
        seeds::replay("cron", cron);
        seeds::mutate("cron", cron, 1_000);
    }
}
