//! Messages to a program, as JSON on its standard input.

use super::PATIENCE;
use crate::program::{self, NoEnd};

/// What it prints is of no interest.
const MAX_PRINTED: u64 = 0;

/// Runs the program, which has the message when it ends with status 0.
///
/// # Errors
/// Why it has not.
pub(super) fn run(argv: &[String], document: Vec<u8>) -> Result<(), String> {
    let program = argv.first().map_or("", String::as_str);
    match program::run(argv, document, MAX_PRINTED, PATIENCE) {
        Ok(ended) if ended.status.success() => Ok(()),
        Ok(ended) if ended.said.is_empty() => Err(format!("{program:?} failed ({})", ended.status)),
        Ok(ended) => Err(format!("{program:?} failed ({}): {}", ended.status, ended.said)),
        Err(NoEnd::Start(error)) => Err(format!("cannot start {program:?}: {error}")),
        Err(NoEnd::Slow) => {
            Err(format!("{program:?} did not end within {} s and was stopped", PATIENCE.as_secs()))
        }
    }
}
