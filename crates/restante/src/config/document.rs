//! A configuration file as a tree of sections that remembers where each word stands.
//!
//! Reading goes on after an error, so that one look at the output shows everything that is wrong.
//! [`Section`] hands out the values of one table and notes which keys it was asked for; what nobody
//! asked for when it is closed is an unknown key. This is done by hand over TOML's tree, for serde
//! stops at the first mistake.
//!
//! Rule: the text that is shown beside an error has every `password` blotted out ([`blot`]).

use std::ops::Range;

use miette::{LabeledSpan, NamedSource, SourceSpan};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    message: String,
    help: Option<String>,
    span: Option<Range<usize>>,
}

impl Problem {
    /// A problem at `span` (bytes in the file); `message` names the key.
    pub(super) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, span: Some(span) }
    }

    /// A problem of the file as a whole.
    pub(super) fn whole(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None, span: None }
    }

    /// Adds what to do about it.
    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// Everything that is wrong with a configuration file.
#[derive(Debug)]
pub(crate) struct Invalid {
    file: String,
    shown: String,
    problems: Vec<Problem>,
}

impl Invalid {
    /// `text` is the file as read; it is kept only with its passwords blotted out.
    pub(super) fn new(file: &std::path::Path, text: &str, mut problems: Vec<Problem>) -> Self {
        problems.sort_by_key(|problem| problem.span.as_ref().map(|span| span.start));
        Self { file: file.display().to_string(), shown: blot(text), problems }
    }

    /// One report a problem, in the order of the file.
    pub(crate) fn reports(&self) -> Vec<miette::Report> {
        self.problems.iter().map(|problem| self.report(problem)).collect()
    }

    /// The same for programs.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        let problem = |problem: &Problem| {
            serde_json::json!({
                "file": self.file,
                "line": problem.span.as_ref().map(|span| self.line(span.start)),
                "message": problem.message,
                "help": problem.help,
            })
        };
        self.problems.iter().map(problem).collect()
    }

    fn report(&self, problem: &Problem) -> miette::Report {
        let message = match &problem.span {
            Some(span) => format!("{}, line {}: {}", self.file, self.line(span.start), problem.message),
            None => format!("{}: {}", self.file, problem.message),
        };
        let mut diagnostic = miette::MietteDiagnostic::new(message);
        if let Some(help) = &problem.help {
            diagnostic = diagnostic.with_help(help);
        }
        if let Some(span) = &problem.span {
            let length = span.len().min(self.first_line_length(span));
            let place = SourceSpan::from((span.start, length));
            diagnostic = diagnostic.with_label(LabeledSpan::new_with_span(None, place));
        }
        miette::Report::new(diagnostic).with_source_code(NamedSource::new(&self.file, self.shown.clone()))
    }

    fn line(&self, offset: usize) -> usize {
        let before = self.shown.as_bytes().get(..offset).unwrap_or(self.shown.as_bytes());
        1 + before.iter().filter(|&&byte| byte == b'\n').count()
    }

    /// Long spans, such as a whole table, are marked in their first line only.
    fn first_line_length(&self, span: &Range<usize>) -> usize {
        let rest = self.shown.get(span.start..).unwrap_or("");
        rest.find('\n').unwrap_or(rest.len())
    }
}

/// Keys with one of these in them hold a password, be it under a misspelt name, or an address that is
/// as good as one...
const SECRET_KEYS: [&str; 5] = ["pass", "pwd", "secret", "token", "url"];
/// ...but for these, which say where it is.
const OPEN_KEYS: [&str; 3] = ["password_file", "password_command", "password_credential"];

/// The text with each value of a key for a password replaced, and control characters with it; same
/// length, same lines. Works on text that is not TOML, for it is shown beside syntax errors too.
pub(super) fn blot(text: &str) -> String {
    let mut shown: Vec<u8> = text
        .bytes()
        .map(|byte| if byte.is_ascii_control() && byte != b'\n' && byte != b'\t' { b' ' } else { byte })
        .collect();
    let lower = text.to_ascii_lowercase();
    for word in SECRET_KEYS {
        let mut from = 0;
        while let Some(found) = lower[from..].find(word) {
            let key = key_around(&lower, from + found);
            from = key.end;
            let after = text[key.end..].trim_start_matches(['"', '\'', ' ', '\t']);
            let Some(value) = after.strip_prefix('=') else { continue };
            if OPEN_KEYS.contains(&&lower[key]) {
                continue;
            }
            let start = text.len() - value.len();
            from = start + value_length(value);
            for byte in shown[start..from].iter_mut().filter(|byte| **byte != b'\n') {
                *byte = b'*';
            }
        }
    }
    String::from_utf8(shown).unwrap_or_default()
}

/// Where the key lies that has this place in it.
fn key_around(text: &str, place: usize) -> Range<usize> {
    let is_key = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-".contains(byte);
    let bytes = text.as_bytes();
    let before = bytes[..place].iter().rev().take_while(|byte| is_key(byte)).count();
    let after = bytes[place..].iter().take_while(|byte| is_key(byte)).count();
    place - before..place + after
}

/// To the end of the line, or of the multi-line string that begins there.
fn value_length(value: &str) -> usize {
    let line = value.find('\n').unwrap_or(value.len());
    let opening = value.trim_start_matches([' ', '\t']);
    let skipped = value.len() - opening.len();
    for quotes in ["\"\"\"", "'''"] {
        if let Some(body) = opening.strip_prefix(quotes) {
            let closed = body.find(quotes).map(|end| skipped + end + 2 * quotes.len());
            return closed.unwrap_or(value.len()).max(line);
        }
    }
    line
}

/// Reads a whole document; syntax errors become problems.
pub(super) fn parse(text: &str) -> Result<Spanned<DeTable<'_>>, Vec<Problem>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Ok(table);
    }
    let problem = |error: &toml::de::Error| {
        let message = format!("not TOML: {}", error.message());
        match error.span() {
            Some(span) => Problem::at(span, message),
            None => Problem::whole(message),
        }
    };
    Err(errors.iter().map(problem).collect())
}

/// One table of the file, while it is read.
pub(super) struct Section<'a, 'i> {
    context: String,
    path: String,
    table: &'a DeTable<'i>,
    span: Range<usize>,
    asked: Vec<&'static str>,
    problems: &'a mut Vec<Problem>,
}

impl<'a, 'i> Section<'a, 'i> {
    /// `context` begins each message: `account "work": `, or nothing.
    pub(super) fn new(
        context: impl Into<String>,
        table: &'a DeTable<'i>,
        span: Range<usize>,
        problems: &'a mut Vec<Problem>,
    ) -> Self {
        let (context, path, asked) = (context.into(), String::new(), Vec::new());
        Self { context, path, table, span, asked, problems }
    }

    /// Begins messages otherwise from here on, when the section's name has been read.
    pub(super) fn set_context(&mut self, context: String) {
        self.context = context;
    }

    /// A key as messages name it, with the way to it and what it belongs to.
    pub(super) fn key(&self, key: &str) -> String {
        format!("{}`{}{key}`", self.context, self.path)
    }

    /// Whether the key is there, whatever its value.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// Notes a problem with a key that is there, else with the section.
    pub(super) fn wrong(&mut self, key: &str, what: impl std::fmt::Display) -> &mut Problem {
        let span = self.key_span(key).unwrap_or_else(|| self.span.clone());
        self.problems.push(Problem::at(span, format!("{}: {what}", self.key(key))));
        self.problems.last_mut().expect("just pushed")
    }

    /// As [`wrong`](Self::wrong), with advice.
    pub(super) fn wrong_help(&mut self, key: &str, what: impl std::fmt::Display, help: &str) {
        self.wrong(key, what).help = Some(help.to_owned());
    }

    /// Where the value of a key stands, to come back to it later.
    pub(super) fn place(&self, key: &str) -> Range<usize> {
        self.key_span(key).unwrap_or_else(|| self.span.clone())
    }

    /// A text; `None` when it is absent or was something else (then that is noted).
    pub(super) fn text(&mut self, key: &'static str) -> Option<String> {
        match self.value(key)? {
            DeValue::String(text) => Some(text.to_string()),
            other => self.mistyped(key, "a text in quotes", kind(other)),
        }
    }

    /// A text that must be there and not be empty.
    pub(super) fn required_text(&mut self, key: &'static str) -> Option<String> {
        if !self.has(key) {
            self.asked.push(key);
            self.wrong(key, "is missing");
            return None;
        }
        let text = self.text(key)?;
        if text.trim().is_empty() {
            self.wrong(key, "is empty");
            return None;
        }
        Some(text)
    }

    /// `true` or `false`; `false` when absent.
    pub(super) fn flag(&mut self, key: &'static str) -> bool {
        match self.value(key) {
            None => false,
            Some(DeValue::Boolean(flag)) => *flag,
            Some(other) => self.mistyped(key, "true or false", kind(other)).unwrap_or_default(),
        }
    }

    /// A whole number.
    pub(super) fn number(&mut self, key: &'static str) -> Option<u64> {
        match self.value(key)? {
            DeValue::Integer(number) => {
                let read = u64::from_str_radix(number.as_str(), number.radix()).ok();
                if read.is_none() {
                    self.wrong(key, "must be a whole number from 0 up");
                }
                read
            }
            other => self.mistyped(key, "a whole number", kind(other)),
        }
    }

    /// A share between 0 and 1.
    pub(super) fn share(&mut self, key: &'static str) -> Option<f64> {
        let read: Option<f64> = match self.value(key)? {
            DeValue::Float(number) => number.as_str().parse().ok(),
            DeValue::Integer(number) => number.as_str().parse().ok(),
            other => return self.mistyped(key, "a number from 0 to 1", kind(other)),
        };
        let share = read.filter(|share| (0.0..=1.0).contains(share));
        if share.is_none() {
            self.wrong(key, "must be a number from 0 to 1");
        }
        share
    }

    /// A list of texts, each with its place.
    pub(super) fn texts(&mut self, key: &'static str) -> Option<Vec<Spanned<String>>> {
        let values = match self.value(key)? {
            DeValue::Array(values) => values,
            other => return self.mistyped(key, "a list of texts, like [\"a\", \"b\"]", kind(other)),
        };
        let mut texts = Vec::new();
        for value in values.iter() {
            match value.get_ref() {
                DeValue::String(text) => texts.push(Spanned::new(value.span(), text.to_string())),
                other => {
                    let message = format!("{}: expected texts, found {}", self.key(key), kind(other));
                    self.problems.push(Problem::at(value.span(), message));
                }
            }
        }
        Some(texts)
    }

    /// A table within this one.
    pub(super) fn section(&mut self, key: &'static str) -> Option<Section<'_, 'i>> {
        let path = format!("{}{key}.", self.path);
        let span = self.place(key);
        match self.value(key)? {
            DeValue::Table(table) => {
                let section = Section::new(self.context.clone(), table, span, self.problems);
                Some(Section { path, ..section })
            }
            other => self.mistyped(key, "a table", kind(other)),
        }
    }

    /// The tables of a list of tables, with their places.
    pub(super) fn tables(&mut self, key: &'static str) -> Vec<(&'a DeTable<'i>, Range<usize>)> {
        let values = match self.value(key) {
            None => return Vec::new(),
            Some(DeValue::Array(values)) => values,
            Some(other) => {
                let written = format!("[[{key}]], with two brackets");
                return self.mistyped(key, &written, kind(other)).unwrap_or_default();
            }
        };
        let mut tables = Vec::new();
        for value in values.iter() {
            match value.get_ref() {
                DeValue::Table(table) => tables.push((table, value.span())),
                other => drop(self.mistyped::<()>(key, "tables", kind(other))),
            }
        }
        tables
    }

    /// Where other sections may note their problems meanwhile.
    pub(super) fn problems(&mut self) -> &mut Vec<Problem> {
        self.problems
    }

    /// Ends the reading: what was not asked for is not known.
    pub(super) fn close(self) {
        for key in self.table.keys() {
            let (name, span) = (key.get_ref(), key.span());
            if self.asked.iter().any(|asked| asked == name) {
                continue;
            }
            let mut problem = Problem::at(span, format!("{}: unknown key", self.key(&shown(name))));
            if let Some(meant) = self.asked.iter().find(|asked| is_near(asked, name)) {
                problem = problem.help(format!("did you mean `{meant}`?"));
            }
            self.problems.push(problem);
        }
    }

    fn value(&mut self, key: &'static str) -> Option<&'a DeValue<'i>> {
        self.asked.push(key);
        self.table.get(key).map(Spanned::get_ref)
    }

    fn key_span(&self, key: &str) -> Option<Range<usize>> {
        let (found, value) = self.table.get_key_value(key)?;
        match value.get_ref() {
            DeValue::Table(_) | DeValue::Array(_) => Some(found.span()),
            _ => Some(value.span()),
        }
    }

    fn mistyped<T>(&mut self, key: &str, expected: &str, found: &str) -> Option<T> {
        self.wrong(key, format!("expected {expected}, found {found}"));
        None
    }
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A key for a message: bounded, and nothing in it that a terminal would obey.
fn shown(key: &str) -> String {
    message::escape::escape(&key.chars().take(60).collect::<String>()).into_owned()
}

/// Whether one word was meant for the other: at most two letters differ, are missing or too many.
fn is_near(known: &str, written: &str) -> bool {
    let written: Vec<char> = written.chars().take(known.len() + 3).collect();
    let mut row: Vec<usize> = (0..=written.len()).collect();
    for (i, letter) in known.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, other) in written.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *other);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[written.len()] <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_blotted_out_however_it_is_written() {
        for text in [
            "password = \"canary\"",
            "password=\"canary\"  # canary",
            "passwort = \"canary\"",
            "imap-Passwd = 'canary'",
            "\"pwd\" = \"canary\"",
            "client_secret = \"canary\"",
            "ping_url = \"https://example.org/canary\"",
            "\"password\" = 'canary'",
            "password = \"\"\"ca\ncanary\"\"\"",
            "password = '''\ncanary\n",
            "account = [{ name = \"a\", password = \"canary\" }]",
            "password = \"canary",
            "password = canary",
        ] {
            let shown = blot(text);
            assert!(!shown.contains("canary"), "{shown}");
            assert_eq!(shown.len(), text.len());
            assert_eq!(shown.lines().count(), text.lines().count());
        }
    }

    #[test]
    fn other_keys_stay_readable() {
        let text = "password_file = \"secret\"\npassword = \"x\"\nuser = \"me\"\n";
        assert_eq!(blot(text), "password_file = \"secret\"\npassword =****\nuser = \"me\"\n");
    }

    #[test]
    fn control_characters_of_the_file_do_not_reach_the_terminal() {
        assert_eq!(blot("a = \"\u{1b}[31m\"\n"), "a = \" [31m\"\n");
    }
}
