//! Lines of text, whatever ends them.
//!
//! A line ends with LF, with any number of CRs before it, or with a CR alone. Two texts are alike if
//! their lines are, one by one; blanks at the end of ours may be cut, and empty lines at the very end come
//! and go.

use super::{Change, Changes};

/// A line without its end, and its end; the last may have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) text: &'a [u8],
    pub(super) end: &'a [u8],
}

/// Cuts text into lines.
#[derive(Clone, Debug)]
pub(super) struct Lines<'a>(pub(super) &'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = Line<'a>;

    fn next(&mut self) -> Option<Line<'a>> {
        let rest = self.0;
        if rest.is_empty() {
            return None;
        }
        let length = rest.iter().position(|byte| matches!(byte, b'\r' | b'\n')).unwrap_or(rest.len());
        let (text, after) = rest.split_at(length);
        let returns = after.iter().take_while(|&&byte| byte == b'\r').count();
        let end = match after.get(returns) {
            Some(b'\n') => returns + 1,
            // CRs that no LF follows: each ends a line.
            _ => returns.min(1),
        };
        let (end, rest) = after.split_at(end);
        self.0 = rest;
        Some(Line { text, end })
    }
}

/// The header block with the empty line that ends it, and what follows.
pub(super) fn split(message: &[u8]) -> (&[u8], &[u8]) {
    let mut lines = Lines(message);
    for line in lines.by_ref() {
        if line.text.is_empty() {
            break;
        }
    }
    message.split_at(message.len() - lines.0.len())
}

pub(super) fn has_only_crlf(text: &[u8]) -> bool {
    Lines(text).all(|line| line.end.is_empty() || line.end == b"\r\n")
}

pub(super) fn trimmed(line: &[u8]) -> &[u8] {
    let length = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t')).map_or(0, |last| last + 1);
    &line[..length]
}

/// Whether two texts are alike; what is changed is added.
pub(super) fn compare(ours: &[u8], theirs: &[u8], changes: &mut Changes) -> Option<()> {
    let (mut ours, mut theirs) = (Lines(ours), Lines(theirs));
    loop {
        match (ours.next(), theirs.next()) {
            (None, None) => return Some(()),
            (Some(line), None) => return tail(line, ours, Change::EndDropped, changes),
            (None, Some(line)) => return tail(line, theirs, Change::EndAdded, changes),
            (Some(our), Some(their)) => {
                compare_lines(our.text, their.text, changes)?;
                if our.end == their.end {
                    continue;
                }
                changes.insert(match (our.end.is_empty(), their.end.is_empty()) {
                    (true, _) => Change::EndAdded,
                    (_, true) => Change::EndDropped,
                    _ => Change::EndsChanged,
                });
            }
        }
    }
}

/// Only empty lines may be too many.
fn tail(line: Line<'_>, mut lines: Lines<'_>, change: Change, changes: &mut Changes) -> Option<()> {
    let is_empty = line.text.is_empty() && lines.all(|line| line.text.is_empty());
    is_empty.then(|| {
        changes.insert(change);
    })
}

fn compare_lines(ours: &[u8], theirs: &[u8], changes: &mut Changes) -> Option<()> {
    if ours == theirs {
        return Some(());
    }
    if trimmed(ours) == theirs {
        changes.insert(Change::BlanksCut);
        return Some(());
    }
    let quoted = theirs.strip_prefix(b">") == Some(ours);
    let marks = ours.iter().take_while(|&&byte| byte == b'>').count();
    if quoted && ours[marks..].starts_with(b"From ") {
        changes.insert(Change::FromLinesQuoted);
        return Some(());
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_as_they_like() {
        let lines =
            |text: &'static str| Lines(text.as_bytes()).map(|line| (line.text, line.end)).collect::<Vec<_>>();
        assert_eq!(
            lines("a\r\nb\nc\rd\r\r\n\re"),
            [
                (&b"a"[..], &b"\r\n"[..]),
                (b"b", b"\n"),
                (b"c", b"\r"),
                (b"d", b"\r\r\n"),
                (b"", b"\r"),
                (b"e", b""),
            ]
        );
        assert!(lines("").is_empty());
    }

    #[test]
    fn a_message_is_split_at_its_first_empty_line() {
        assert_eq!(split(b"A: b\r\n\r\nbody"), (&b"A: b\r\n\r\n"[..], &b"body"[..]));
        assert_eq!(split(b"A: b\n"), (&b"A: b\n"[..], &b""[..]));
        assert_eq!(split(b"\nbody"), (&b"\n"[..], &b"body"[..]));
    }
}
