//! Log lines on standard error: text for people, JSON for collectors.

use serde_json::json;
use tracing::Level;

use super::Sink;
use super::entry::Entry;
use crate::output::json;
use crate::output::screen::Screen;

/// One line of text an entry.
pub(super) struct Text {
    screen: Screen,
}

/// One line of JSON an entry.
pub(super) struct Json {
    screen: Screen,
}

impl Text {
    pub(super) fn new(screen: Screen) -> Self {
        Self { screen }
    }
}

impl Json {
    pub(super) fn new(screen: Screen) -> Self {
        Self { screen }
    }
}

impl Sink for Text {
    fn write(&self, entry: &Entry) {
        self.screen.print(&line(entry, self.screen.has_colours()));
    }
}

impl Sink for Json {
    fn write(&self, entry: &Entry) {
        let fields: serde_json::Map<String, serde_json::Value> =
            entry.fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone().into())).collect();
        let document = json!({
            "time": jiff::Timestamp::now().to_string(),
            "level": entry.level.as_str().to_lowercase(),
            "target": entry.target,
            "message": entry.message,
            "fields": fields,
        });
        self.screen.print(&format!("{}\n", json::to_text(&document)));
    }
}

/// What a person reads: the message, then fields; a level only where it is not the usual one.
pub(super) fn line(entry: &Entry, colours: bool) -> String {
    let (word, colour) = match entry.level {
        Level::ERROR => ("error: ", "\u{1b}[31m"),
        Level::WARN => ("warning: ", "\u{1b}[33m"),
        Level::INFO => ("", ""),
        Level::DEBUG => ("debug: ", "\u{1b}[2m"),
        Level::TRACE => ("trace: ", "\u{1b}[2m"),
    };
    let mut line = match colours && !word.is_empty() {
        true => format!("{colour}{word}\u{1b}[0m{}", entry.message),
        false => format!("{word}{}", entry.message),
    };
    for (name, value) in &entry.fields {
        let quoted = value.is_empty() || value.contains([' ', '"', '=']);
        let value = if quoted { format!("\"{}\"", value.replace('"', "\\\"")) } else { value.clone() };
        line.push_str(&format!(" {name}={value}"));
    }
    line.push('\n');
    line
}
