//! How long things took, in buckets.

use std::time::Duration;

use super::page::Family;

/// Runs take from a second, where nothing is new, to a night, when a mailbox comes for the first time.
const BOUNDS: [u32; 9] = [1, 5, 15, 60, 300, 900, 3_600, 14_400, 43_200];

/// Durations in buckets, from the start of the process on.
#[derive(Clone, Debug, Default)]
pub struct Durations {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: Duration,
}

impl Durations {
    /// Adds one.
    pub fn observe(&mut self, took: Duration) {
        self.count += 1;
        self.sum = self.sum.saturating_add(took);
        for (bound, bucket) in BOUNDS.iter().zip(&mut self.buckets) {
            *bucket += u64::from(took <= Duration::from_secs(u64::from(*bound)));
        }
    }

    pub(super) fn write(&self, family: &mut Family<'_>) {
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            family.part("_bucket", &[("le", &bound.to_string())], bucket);
        }
        family.part("_bucket", &[("le", "+Inf")], self.count);
        family.part("_sum", &[], self.sum.as_secs_f64());
        family.part("_count", &[], self.count);
    }
}

#[cfg(test)]
mod tests {
    use super::super::page::{Kind, Page};
    use super::*;

    #[test]
    fn a_bucket_counts_all_up_to_its_bound() {
        let mut durations = Durations::default();
        [0, 1, 5, 6, 86_400].map(Duration::from_secs).into_iter().for_each(|took| durations.observe(took));
        let mut page = Page::default();
        durations.write(&mut page.family("t_seconds", Kind::Histogram, "T."));
        let text = page.into_text();
        for line in ["{le=\"1\"} 2", "{le=\"5\"} 3", "{le=\"15\"} 4", "{le=\"43200\"} 4", "{le=\"+Inf\"} 5"] {
            assert!(text.contains(&format!("t_seconds_bucket{line}\n")), "{line}: {text}");
        }
        assert!(text.ends_with("t_seconds_sum 86412\nt_seconds_count 5\n"), "{text}");
    }
}
