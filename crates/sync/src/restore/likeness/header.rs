//! Header blocks compared field by field.
//!
//! Every field of ours has to be in theirs, with the same text once folding is undone, or, where encoded
//! words are used, once they are decoded. Fields that theirs has besides are named, if they are of a kind
//! that a server adds. MIME fields are left to `parts` where they differ.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::panic::catch_unwind;

use mail_parser::HeaderValue;
use mail_parser::parsers::MessageStream;

use super::text::{Lines, trimmed};
use super::{Change, Changes};

/// Say how a message came. Another one of them is another way, and so another message.
const TRACE: [&str; 20] = [
    "received",
    "return-path",
    "delivered-to",
    "envelope-to",
    "x-envelope-to",
    "x-original-to",
    "x-delivered-to",
    "x-received",
    "x-forwarded-to",
    "x-forwarded-for",
    "x-beenthere",
    "x-loop",
    "dkim-signature",
    "domainkey-signature",
    "authentication-results",
    "received-spf",
    "sender",
    "mailing-list",
    "precedence",
    "errors-to",
];

/// So do all that begin so.
const TRACE_FAMILIES: [&str; 4] = ["list-", "resent-", "arc-", "x-mailman-"];

/// What a mail says. A server may add one only empty.
const SAID: [&str; 9] =
    ["from", "to", "cc", "bcc", "subject", "reply-to", "in-reply-to", "references", "comments"];

/// Given by a server to a message that has none; never a second one.
const GIVEN: [&str; 2] = ["date", "message-id"];

/// Where programs with mailbox files keep flags, UIDs and sizes. Servers with such files take them out.
const BOOKKEEPING: [&str; 9] = [
    "status",
    "x-status",
    "x-keywords",
    "x-uid",
    "x-uidl",
    "x-imap",
    "x-imapbase",
    "content-length",
    "lines",
];

const MIME: [&str; 4] = ["mime-version", "content-type", "content-transfer-encoding", "content-disposition"];

/// A field as it stands.
#[derive(Clone, Debug)]
struct Field<'a> {
    /// In small letters; empty for a line that is no field.
    name: String,
    written_name: &'a [u8],
    value: &'a [u8],
    /// The value without folds, with single blanks.
    plain: Vec<u8>,
}

/// A header block.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    fields: Vec<Field<'a>>,
    /// The block itself.
    pub(super) block: &'a [u8],
}

/// What became of the MIME fields.
pub(super) struct Mime {
    /// Theirs has all of ours.
    pub(super) is_kept: bool,
    /// Theirs has these besides.
    pub(super) added: BTreeSet<String>,
}

impl<'a> Fields<'a> {
    /// Reads a header block.
    pub(super) fn parse(block: &'a [u8]) -> Self {
        let mut fields = Vec::new();
        let mut begin = 0;
        let mut lines = Lines(block);
        while begin < block.len() {
            let Some(first) = lines.next() else { break };
            // A blank at the beginning of a line continues the field.
            while matches!(lines.0.first(), Some(b' ' | b'\t')) && lines.next().is_some() {}
            let end = block.len() - lines.0.len();
            if !(first.text.is_empty() && end - begin == first.end.len()) {
                fields.push(Field::new(&block[begin..end]));
            }
            begin = end;
        }
        Self { fields, block }
    }

    /// The text of the first field of a name, without folds.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.fields.iter().find(|field| field.name == name).map(|field| field.plain.as_slice())
    }

    /// Compares; `None` if theirs lacks a field of ours, or has one besides that makes it another message.
    pub(super) fn compare(&self, theirs: &Fields<'_>, changes: &mut Changes) -> Option<Mime> {
        let mut places: HashMap<(&str, &[u8]), VecDeque<usize>> = HashMap::new();
        for (place, field) in theirs.fields.iter().enumerate() {
            places.entry((&field.name, &field.plain)).or_default().push_back(place);
        }
        let mut pairs: Vec<(usize, usize)> = Vec::with_capacity(self.fields.len());
        let mut open = Vec::new();
        for (ours, field) in self.fields.iter().enumerate() {
            match places.get_mut(&(field.name.as_str(), field.plain.as_slice())).and_then(VecDeque::pop_front)
            {
                Some(place) => pairs.push((ours, place)),
                None => open.push(ours),
            }
        }
        let mut left: BTreeSet<usize> = places.into_values().flatten().collect();
        let open = self.pair_decoded(open, theirs, &mut left, &mut pairs, changes);
        let (mut is_kept, mut dropped) = (true, BTreeSet::new());
        for ours in open {
            match self.fields[ours].name.as_str() {
                name if MIME.contains(&name) => is_kept = false,
                name if BOOKKEEPING.contains(&name) => drop(dropped.insert(self.fields[ours].written())),
                _ => return None,
            }
        }
        let (mut added, mut added_mime) = (BTreeSet::new(), BTreeSet::new());
        for place in left {
            let field = &theirs.fields[place];
            match field.name.as_str() {
                name if MIME.contains(&name) => drop(added_mime.insert(field.written())),
                _ if self.may_be_added(field) => drop(added.insert(field.written())),
                _ => return None,
            }
        }
        if !added.is_empty() {
            changes.insert(Change::FieldsAdded(added));
        }
        if !dropped.is_empty() {
            changes.insert(Change::FieldsDropped(dropped));
        }
        pairs.sort_unstable();
        if pairs.windows(2).any(|two| two[1].1 < two[0].1) {
            changes.insert(Change::FieldsReordered);
        }
        for (ours, place) in pairs {
            spelled(&self.fields[ours], &theirs.fields[place], changes);
        }
        Some(Mime { is_kept, added: added_mime })
    }

    /// Pairs fields whose encoded words say the same. Gives back those that remain.
    fn pair_decoded(
        &self,
        open: Vec<usize>,
        theirs: &Fields<'_>,
        left: &mut BTreeSet<usize>,
        pairs: &mut Vec<(usize, usize)>,
        changes: &mut Changes,
    ) -> Vec<usize> {
        if open.is_empty() || left.is_empty() {
            return open;
        }
        let mut places: HashMap<(&str, String), VecDeque<usize>> = HashMap::new();
        for &place in &*left {
            let field = &theirs.fields[place];
            if let Some(text) = decoded(&field.plain) {
                places.entry((&field.name, text)).or_default().push_back(place);
            }
        }
        open.into_iter()
            .filter(|&ours| {
                let field = &self.fields[ours];
                let text = decoded(&field.plain);
                let place = text.and_then(|text| places.get_mut(&(field.name.as_str(), text))?.pop_front());
                if let Some(place) = place {
                    left.remove(&place);
                    pairs.push((ours, place));
                    changes.insert(Change::FieldsEncoded);
                }
                place.is_none()
            })
            .collect()
    }

    /// Whether a server may have added this field to ours.
    fn may_be_added(&self, field: &Field<'_>) -> bool {
        let name = field.name.as_str();
        let is_trace = TRACE.contains(&name) || TRACE_FAMILIES.iter().any(|family| name.starts_with(family));
        match name {
            "" => false,
            _ if is_trace => false,
            _ if SAID.contains(&name) => field.plain.is_empty(),
            _ if GIVEN.contains(&name) => self.get(name).is_none(),
            _ => true,
        }
    }
}

impl<'a> Field<'a> {
    fn new(field: &'a [u8]) -> Self {
        let colon = field.iter().position(|&byte| byte == b':');
        let name = colon.map_or(&[][..], |colon| trimmed(&field[..colon]));
        let is_name = !name.is_empty() && name.iter().all(|byte| (0x21..0x7f).contains(byte));
        let (name, value) = match colon {
            Some(colon) if is_name => (name, &field[colon + 1..]),
            _ => (&[][..], field),
        };
        Self {
            name: String::from_utf8_lossy(name).to_ascii_lowercase(),
            written_name: name,
            value,
            plain: unfolded(value),
        }
    }

    fn written(&self) -> String {
        String::from_utf8_lossy(self.written_name).into_owned()
    }
}

/// A value without folds: blanks and line ends in a row are one blank.
fn unfolded(value: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(value.len());
    for &byte in value {
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' if plain.last().is_none_or(|&last| last == b' ') => {}
            b' ' | b'\t' | b'\r' | b'\n' => plain.push(b' '),
            _ => plain.push(byte),
        }
    }
    if plain.last() == Some(&b' ') {
        plain.pop();
    }
    plain
}

/// What a value says once encoded words are decoded; quotes around names come and go with them. `None`
/// if that cannot be told for certain.
fn decoded(plain: &[u8]) -> Option<String> {
    let line = [b" ", plain, b"\r\n"].concat();
    let text = catch_unwind(|| match MessageStream::new(&line).parse_unstructured() {
        HeaderValue::Text(text) => Some(text.into_owned()),
        _ => None,
    });
    let text = text.ok().flatten()?;
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return None;
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    Some(words.join(" ").replace('"', ""))
}

/// What differs in the spelling of two fields that say the same.
fn spelled(ours: &Field<'_>, theirs: &Field<'_>, changes: &mut Changes) {
    if ours.written_name != theirs.written_name {
        changes.insert(Change::FieldsRespelled);
    }
    if ours.value == theirs.value || ours.plain != theirs.plain {
        return;
    }
    let (mut our_lines, mut their_lines) = (Lines(ours.value), Lines(theirs.value));
    loop {
        match (our_lines.next(), their_lines.next()) {
            (None, None) => return,
            (Some(our), Some(their)) => {
                if our.text != their.text {
                    let is_cut = trimmed(our.text) == their.text;
                    changes.insert(if is_cut { Change::BlanksCut } else { Change::FieldsRespelled });
                }
                if our.end != their.end {
                    changes.insert(Change::EndsChanged);
                }
            }
            _ => {
                changes.insert(Change::FieldsRespelled);
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compared(ours: &str, theirs: &str) -> Option<Vec<Change>> {
        let mut changes = Changes::new();
        let mime = Fields::parse(ours.as_bytes()).compare(&Fields::parse(theirs.as_bytes()), &mut changes)?;
        (mime.is_kept && mime.added.is_empty()).then(|| changes.into_iter().collect())
    }

    #[test]
    fn fields_are_read_whatever_they_look_like() {
        let fields = Fields::parse(b"A: b\r\n\tc\r\nno field\nB :d\n\n");
        let read: Vec<_> =
            fields.fields.iter().map(|field| (field.name.as_str(), field.plain.as_slice())).collect();
        assert_eq!(read, [("a", &b"b c"[..]), ("", b"no field"), ("b", b"d")]);
    }

    #[test]
    fn r11_what_is_done_to_header_fields_has_names() {
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        for (ours, theirs, changes) in [
            ("A: b\r\n\r\n", "X-New: 1\r\nA: b\r\n\r\n", vec![Change::FieldsAdded(names(&["X-New"]))]),
            ("A: b\r\nStatus: RO\r\n\r\n", "A: b\r\n\r\n", vec![Change::FieldsDropped(names(&["Status"]))]),
            ("A: b\r\nC: d\r\n\r\n", "C: d\r\nA: b\r\n\r\n", vec![Change::FieldsReordered]),
            ("A: b\r\n c\r\n\r\n", "A: b c\r\n\r\n", vec![Change::FieldsRespelled]),
            ("Message-Id:b\r\n\r\n", "Message-ID: b\r\n\r\n", vec![Change::FieldsRespelled]),
            ("A: b  \r\n\r\n", "A: b\r\n\r\n", vec![Change::BlanksCut]),
            ("A: b\n\n", "A: b\r\n\r\n", vec![Change::EndsChanged]),
            (
                "Subject: =?iso-8859-1?Q?J=FCrgen?=\r\n\r\n",
                "Subject: =?utf-8?B?SsO8cmdlbg==?=\r\n\r\n",
                vec![Change::FieldsEncoded],
            ),
            (
                "To: a@b.example\r\n\r\n",
                "To: a@b.example\r\nDate: now\r\nSubject:\r\n\r\n",
                vec![Change::FieldsAdded(names(&["Date", "Subject"]))],
            ),
        ] {
            assert_eq!(compared(ours, theirs), Some(changes), "{ours:?} {theirs:?}");
        }
    }

    #[test]
    fn r11_a_field_that_is_missing_or_came_on_another_way_makes_another_message() {
        for (ours, theirs) in [
            ("A: b\r\nReceived: x\r\n\r\n", "A: b\r\n\r\n"),
            ("A: b\r\n\r\n", "Received: x\r\nA: b\r\n\r\n"),
            ("A: b\r\n\r\n", "A: b\r\nList-Id: <l>\r\n\r\n"),
            ("A: b\r\n\r\n", "A: b\r\nSubject: hello\r\n\r\n"),
            ("Message-ID: 1\r\n\r\n", "Message-ID: 1\r\nMessage-ID: 2\r\n\r\n"),
            ("A: b\r\n\r\n", "A: bc\r\n\r\n"),
            ("A: b\r\nA: b\r\n\r\n", "A: b\r\n\r\n"),
            ("A: =?utf-8?Q?a?=\r\n\r\n", "A: =?utf-8?Q?b?=\r\n\r\n"),
            ("A: =?utf-8?Q?=FF?=\r\n\r\n", "A: =?utf-8?Q?=FE?=\r\n\r\n"),
        ] {
            assert_eq!(compared(ours, theirs), None, "{ours:?} {theirs:?}");
        }
    }
}
