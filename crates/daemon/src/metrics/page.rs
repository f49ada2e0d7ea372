//! Prometheus' text format, version 0.0.4: families of samples, each with its help and its type.
//!
//! Written by hand: the collector of node_exporter's text files reads this format and not the newer
//! OpenMetrics, and what is written is a snapshot, for which a registry of living counters would only
//! stand in the way.

use std::fmt::{Display, Write};

/// The media type of a page.
pub const MEDIA_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// What a family counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A value that goes up and down.
    Gauge,
    /// A value that only grows, from 0 at the start of the process.
    Counter,
    /// Observations in buckets.
    Histogram,
}

/// A page in the making.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
    #[cfg(test)]
    names: Vec<&'static str>,
}

impl Page {
    /// Begins a family; nothing is written of one that gets no sample.
    pub(super) fn family(&mut self, name: &'static str, kind: Kind, help: &'static str) -> Family<'_> {
        #[cfg(test)]
        {
            assert!(!self.names.contains(&name), "{name} comes twice");
            self.names.push(name);
        }
        Family { page: self, name, kind, help, begun: false }
    }

    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// Samples of one name.
pub(super) struct Family<'p> {
    page: &'p mut Page,
    name: &'static str,
    kind: Kind,
    help: &'static str,
    begun: bool,
}

impl Family<'_> {
    /// Adds a sample.
    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        self.part("", labels, value)
    }

    /// Adds a sample under the family's name and an ending, as histograms have them.
    pub(super) fn part(&mut self, ending: &str, labels: &[(&str, &str)], value: impl Display) -> &mut Self {
        let (name, help) = (self.name, self.help);
        if !std::mem::replace(&mut self.begun, true) {
            let kind = match self.kind {
                Kind::Gauge => "gauge",
                Kind::Counter => "counter",
                Kind::Histogram => "histogram",
            };
            self.write(format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
        }
        self.write(format_args!("{name}{ending}"));
        for (position, (label, text)) in labels.iter().enumerate() {
            let opening = if position == 0 { '{' } else { ',' };
            self.write(format_args!("{opening}{label}=\"{}\"", escaped(text)));
        }
        let closing = if labels.is_empty() { "" } else { "}" };
        self.write(format_args!("{closing} {value}\n"));
        self
    }

    fn write(&mut self, words: std::fmt::Arguments<'_>) {
        self.page.text.write_fmt(words).expect("a String takes whatever is written to it");
    }
}

/// A label's value as the format wants it; other control characters, which it would take raw, are
/// replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\\\"),
            '"' => escaped.push_str("\\\""),
            '\n' => escaped.push_str("\\n"),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_has_its_head_once_and_none_without_samples() {
        let mut page = Page::default();
        page.family("a_total", Kind::Counter, "How many.").sample(&[], 1).sample(&[("x", "y")], 2.5);
        page.family("b", Kind::Gauge, "Nothing.");
        let text = "# HELP a_total How many.\n# TYPE a_total counter\na_total 1\na_total{x=\"y\"} 2.5\n";
        assert_eq!(page.into_text(), text);
    }

    #[test]
    fn no_label_ends_its_quotes_or_its_line() {
        let mut page = Page::default();
        page.family("a", Kind::Gauge, "A.").sample(&[("x", "1\"} 7\nb 8\\\u{1b}"), ("y", "")], 0);
        let line = "a{x=\"1\\\"} 7\\nb 8\\\\\u{fffd}\",y=\"\"} 0";
        assert_eq!(page.into_text().lines().nth(2), Some(line));
    }
}
