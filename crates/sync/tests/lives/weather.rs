//! How a run of a life goes, and when a life has gone on for too long.

use archive::disk::simulated::{Chances, SimulatedDisk};

use crate::dice::Dice;

/// A message that failed in so many runs as a life has is tried again in at most so many more.
pub(crate) const MOST_RUNS_AT_THE_END: usize = 150;
/// Commands in one run; more, and the engine is going round in circles.
pub(crate) const MOST_COMMANDS: u64 = 20_000;

/// What goes wrong in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weather {
    Fair,
    /// The line breaks, or the server refuses or lies.
    BadLine,
    BadDisk,
    PowerCut,
    /// A bad line, and a power cut in the end.
    Storm,
}

impl Weather {
    pub(crate) const fn is_bad_on_the_line(self) -> bool {
        matches!(self, Self::BadLine | Self::Storm)
    }

    pub(crate) const fn cuts_power(self) -> bool {
        matches!(self, Self::PowerCut | Self::Storm)
    }
}

/// The disk in one of the states in which a power cut may leave it, and when that was, in words.
pub(crate) fn power_is_cut(
    disk: &SimulatedDisk,
    dice: &mut Dice,
    sectors: &[usize],
) -> (SimulatedDisk, String) {
    let operations = disk.operations();
    let at = if dice.permille(150) { operations } else { dice.below(operations + 1) };
    let sector = *dice.pick(sectors).unwrap();
    let mut chances = Chances::seeded(dice.number());
    let left = disk.after_crash(at, sector, &mut |possibilities| chances.choose(possibilities));
    (left, format!("the power is cut before operation {at} of {operations}"))
}
