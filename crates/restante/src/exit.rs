//! How the program ends: the exit status, and the words for a person when something went wrong.
//!
//! The numbers are a contract; nothing else in the program knows them.

use std::io;
use std::process::ExitCode;

use crate::config::ConfigError;

/// The exit status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All done, all proven.
    Done,
    /// It failed as a whole.
    Failed,
    /// Usage or configuration is wrong; nothing was started.
    Usage,
    /// Done in part; the ledger says which part is missing.
    Partial,
    /// The archive is damaged.
    Damaged,
    /// Another restante holds the archive (`EX_TEMPFAIL` of sysexits).
    Busy,
}

impl Exit {
    /// The number that a shell sees.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::Damaged => 4,
            Self::Busy => 75,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

/// A command could not do what it was asked to.
#[derive(Debug)]
pub(crate) struct Failure {
    /// With what status to end.
    pub(crate) exit: Exit,
    /// What to say; empty when there is nobody left to say it to.
    pub(crate) reports: Vec<miette::Report>,
}

impl Failure {
    /// A failure that an error explains.
    pub(crate) fn new(exit: Exit, error: impl std::error::Error) -> Self {
        Self::words(exit, chain(&error))
    }

    /// A failure in words of its own; they may hold text from strangers.
    pub(crate) fn words(exit: Exit, words: impl Into<String>) -> Self {
        let words = escaped_lines(&words.into());
        Self { exit, reports: vec![miette::Report::new(miette::MietteDiagnostic::new(words))] }
    }

    /// Adds what to do about it.
    pub(crate) fn help(mut self, help: &str) -> Self {
        self.reports = self
            .reports
            .drain(..)
            .map(|report| {
                miette::Report::new(miette::MietteDiagnostic::new(report.to_string()).with_help(help))
            })
            .collect();
        self
    }

    /// The first thing to say, as one line.
    pub(crate) fn summary(&self) -> Option<String> {
        self.reports.first().map(ToString::to_string)
    }
}

/// An error with its causes, each said once.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_words = cause.to_string();
        if !words.contains(&cause_words) {
            words = format!("{words}: {cause_words}");
        }
        source = cause.source();
    }
    words
}

fn escaped_lines(text: &str) -> String {
    text.split('\n').map(message::escape::escape).collect::<Vec<_>>().join("\n")
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        match error {
            ConfigError::Invalid(invalid) => Self { exit: Exit::Usage, reports: invalid.reports() },
            other => Self::new(Exit::Usage, other),
        }
    }
}

/// Writing to standard output failed. A reader who has seen enough is no failure.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self { exit: Exit::Done, reports: Vec::new() };
        }
        Self::words(Exit::Failed, format!("cannot write to standard output: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_contract() {
        let numbers = [Exit::Done, Exit::Failed, Exit::Usage, Exit::Partial, Exit::Damaged, Exit::Busy]
            .map(Exit::number);
        assert_eq!(numbers, [0, 1, 2, 3, 4, 75]);
    }

    #[test]
    fn a_closed_pipe_ends_quietly() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.exit, failure.reports.len()), (Exit::Done, 0));
    }

    #[test]
    fn a_server_s_words_do_not_reach_the_terminal_raw() {
        let failure = Failure::words(Exit::Failed, "refused: \u{1b}[2J\r gone");
        assert_eq!(failure.summary().as_deref(), Some("refused: \\u{1b}[2J\\r gone"));
    }

    #[test]
    fn an_error_s_causes_are_said_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open the archive")]
        struct Outer(#[source] io::Error);
        assert_eq!(chain(&Outer(io::Error::other("disk gone"))), "cannot open the archive: disk gone");
    }
}
