//! Standard error, shared by log lines, progress bars and messages to a person.
//!
//! Bars are drawn on a terminal only; on anything else the stream carries whole lines of plain text
//! and nothing that moves a cursor.

use std::io::{self, IsTerminal, Write};

use indicatif::{MultiProgress, ProgressDrawTarget};
use miette::{GraphicalReportHandler, GraphicalTheme};

/// A handle on standard error; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    bars: MultiProgress,
    terminal: bool,
    colours: bool,
}

impl Screen {
    /// Standard error as it is; `quiet` draws no bars.
    pub(crate) fn new(quiet: bool) -> Self {
        let terminal = io::stderr().is_terminal();
        let shows_bars = terminal && !quiet;
        let target = if shows_bars { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        // https://no-color.org: any value that is not empty.
        let unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let bars = MultiProgress::with_draw_target(target);
        Self { bars, terminal: shows_bars, colours: terminal && !unwanted }
    }

    /// Whether bars are drawn.
    pub(crate) fn has_bars(&self) -> bool {
        self.terminal
    }

    /// Whether colours may be used.
    pub(crate) fn has_colours(&self) -> bool {
        self.colours
    }

    /// The bars, to add one.
    pub(crate) fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// Writes text, which the caller has made fit to be shown, above the bars. A standard error that
    /// is closed is no reason to stop a backup.
    pub(crate) fn print(&self, text: &str) {
        self.bars.suspend(|| {
            let _ = io::stderr().lock().write_all(text.as_bytes());
        });
    }

    /// An error with its place in the configuration, if it has one; in colours and frames only where
    /// they may be.
    pub(crate) fn report(&self, report: &miette::Report) {
        let theme = if self.colours { GraphicalTheme::unicode() } else { GraphicalTheme::none() };
        let handler = GraphicalReportHandler::new_themed(theme).with_wrap_lines(false);
        let mut text = String::new();
        match handler.render_report(&mut text, report.as_ref()) {
            Ok(()) => self.print(&text),
            Err(std::fmt::Error) => self.say(&report.to_string()),
        }
    }

    /// A line for a person; what it holds of strangers' text is escaped here.
    pub(crate) fn say(&self, line: &str) {
        self.print(&format!("{}\n", message::escape::escape(line)));
    }
}
