//! The guard against floods (O9): of many alike lines in one run, the first ones are written and the rest
//! counted.
//!
//! Alike are lines from one place in the code: a hundred thousand messages that a server refuses to give
//! are one kind of line with a hundred thousand reasons. The count is written when the run's span closes,
//! so nothing is passed over in silence, and the ledger names each of them in any case.
//!
//! It holds in spans of work that has an end, by their names ([`GUARDED`]). Elsewhere nothing would ever
//! say what was held back, and a warning of next month would be silenced by those of this one.
//!
//! What is asked for with `--verbose` or RUST_LOG is never held back: `debug` and `trace` are no flood.

use std::collections::HashMap;

use tracing::{Level, Metadata, callsite};

/// Spans of work that has an end: a run of an account, a verification, an export.
const GUARDED: [&str; 3] = ["run", "verify", "export"];
/// So many warnings or errors of a kind are written.
const MOST_TROUBLES: u64 = 20;
/// And so many lines of a kind that say what is being done: a thousand folders are no flood.
const MOST_STEPS: u64 = 1_000;

/// What was written within a span, by kind.
#[derive(Default)]
pub(super) struct Flood(HashMap<callsite::Identifier, Alike>);

struct Alike {
    count: u64,
    /// What was held back first.
    held_back: Option<HeldBack>,
}

/// Lines that were not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HeldBack {
    pub(super) level: Level,
    pub(super) target: &'static str,
    pub(super) count: u64,
    pub(super) example: String,
}

impl Flood {
    /// The guard of a span; none where it may stay open for ever.
    pub(super) fn for_span(metadata: &Metadata<'_>) -> Option<Self> {
        GUARDED.contains(&metadata.name()).then(Self::default)
    }

    /// Whether this one is still to be written.
    pub(super) fn may_pass(&mut self, metadata: &'static Metadata<'static>, message: &str) -> bool {
        let most = match *metadata.level() {
            Level::ERROR | Level::WARN => MOST_TROUBLES,
            Level::INFO => MOST_STEPS,
            _ => return true,
        };
        let alike = self.0.entry(metadata.callsite()).or_insert(Alike { count: 0, held_back: None });
        alike.count += 1;
        if alike.count <= most {
            return true;
        }
        let held_back = alike.held_back.get_or_insert_with(|| HeldBack {
            level: *metadata.level(),
            target: metadata.target(),
            count: 0,
            example: message.to_owned(),
        });
        held_back.count += 1;
        false
    }

    /// What was not written, the worst first.
    pub(super) fn held_back(self) -> Vec<HeldBack> {
        let mut held: Vec<_> = self.0.into_values().filter_map(|alike| alike.held_back).collect();
        held.sort_by(|a, b| (a.level, b.count).cmp(&(b.level, a.count)));
        held
    }
}
