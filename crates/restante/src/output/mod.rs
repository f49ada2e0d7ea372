//! What people and programs see.
//!
//! Data goes to standard output: a table ([`table`]) or one JSON document ([`json`]). Everything else
//! goes to standard error through one [`screen`], where bars and log lines do not get in each
//! other's way. Text from mail and servers is escaped in each of them.

pub(crate) mod amount;
pub(crate) mod drill_report;
pub(crate) mod json;
pub(crate) mod ledger;
pub(crate) mod progress;
pub(crate) mod restore_progress;
pub(crate) mod restore_report;
pub(crate) mod run_log;
pub(crate) mod screen;
pub(crate) mod table;

use std::io::{self, BufWriter, StdoutLock};

/// Standard output, for data. What is written must be flushed, for an error there is an error.
pub(crate) fn stdout() -> BufWriter<StdoutLock<'static>> {
    BufWriter::with_capacity(64 << 10, io::stdout().lock())
}
