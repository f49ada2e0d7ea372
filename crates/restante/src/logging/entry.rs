//! One log line before it is written: level, message, fields, all fit to be shown.

use std::fmt::{Debug, Write};

use message::escape::escape;
use tracing::Level;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Record};

use super::flood::HeldBack;

/// An event with everything that is to be written of it, escaped.
pub(super) struct Entry {
    pub(super) level: Level,
    pub(super) target: &'static str,
    pub(super) message: String,
    /// The event's own fields, then those of the spans around it, innermost first.
    pub(super) fields: Vec<(&'static str, String)>,
}

/// The fields of a span, kept while it is open.
pub(super) struct SpanFields(Vec<(&'static str, String)>);

#[derive(Default)]
struct Collected {
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Entry {
    /// Takes an event down.
    pub(super) fn of(event: &tracing::Event<'_>) -> Self {
        let mut collected = Collected::default();
        event.record(&mut collected);
        let metadata = event.metadata();
        let Collected { message, fields } = collected;
        Self { level: *metadata.level(), target: metadata.target(), message, fields }
    }

    /// What stands for lines that were held back.
    pub(super) fn of_held_back(held_back: HeldBack) -> Self {
        let HeldBack { level, target, count, example } = held_back;
        let message = format!("and {count} more lines like: {example}");
        Self { level, target, message, fields: vec![("more", count.to_string())] }
    }

    /// Adds what a span says, unless something nearer has said it.
    pub(super) fn inherit(&mut self, span: &SpanFields) {
        for (name, value) in &span.0 {
            if !self.fields.iter().any(|(own, _)| own == name) {
                self.fields.push((name, value.clone()));
            }
        }
    }
}

impl SpanFields {
    /// What a span was opened with.
    pub(super) fn of(attributes: &Attributes<'_>) -> Self {
        let mut collected = Collected::default();
        attributes.record(&mut collected);
        Self(collected.fields)
    }

    /// What was learnt of it since; it takes the place of what was said before.
    pub(super) fn learn(&mut self, values: &Record<'_>) {
        let mut collected = Collected::default();
        values.record(&mut collected);
        self.0.retain(|(name, _)| !collected.fields.iter().any(|(new, _)| new == name));
        self.0.append(&mut collected.fields);
    }
}

impl Collected {
    fn take(&mut self, field: &Field, text: &str) {
        let shown = escape(text).into_owned();
        match field.name() {
            "message" => self.message = shown,
            name => self.fields.push((name, shown)),
        }
    }
}

impl Visit for Collected {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let mut text = String::new();
        write!(text, "{value:?}").expect("a String takes whatever is written to it");
        self.take(field, &text);
    }
}
