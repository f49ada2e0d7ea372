//! What a server has made of a message.
//!
//! Many give back other bytes than they were given: they add header fields or put them in another
//! order, convert line ends, drop what they cannot store, or write the MIME structure anew. A message
//! changed so is there, and to send it once more would help nobody; but it is not what was asked for,
//! and that is told. So [`likeness`] names what was done.
//!
//! The rule: [`Likeness::ButFor`] means that everything of ours is in theirs. Each change has to be
//! recognised as one of a closed list; what is in doubt is `Different`. Above all, two copies of one mail
//! that came on two ways are two messages: the one has the other's Message-ID, and trace fields
//! (`Received`, `List-Id`, …) that the other has not. No server adds those to what is put into a mailbox.
//!
//! First both are compared field by field and line by line (`header`, `text`), then, if that fails, part by
//! part with the transfer encoding undone (`parts`). All of it is linear in the size of the messages.

mod header;
mod parts;
mod text;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use message::escape::escape;

use self::header::Fields;

/// So many names of fields are told.
const MOST_NAMES: usize = 5;

/// A name longer than this is no field's.
const LONGEST_NAME: usize = 60;

/// What a NUL may have become: nothing, or one of these.
const STAND_INS: [&[u8]; 5] = [b"", b"\x80", b" ", b"?", "\u{fffd}".as_bytes()];

/// What an octet over 127 in a header field may have become: Cyrus makes an `X` of each (`munge8bit`).
const EIGHT_BIT_STAND_INS: [u8; 2] = *b"X?";

/// How theirs is like ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Likeness {
    /// Every byte.
    Exact,
    /// All of ours is in theirs, changed in these ways.
    ButFor(BTreeSet<Change>),
    /// Another message.
    Different,
}

/// One thing that a server has done to a message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    FieldsAdded(BTreeSet<String>),
    /// Only those in which mailbox files keep what they know of a message.
    FieldsDropped(BTreeSet<String>),
    FieldsReordered,
    /// Folding, blanks, and upper and lower case in the names.
    FieldsRespelled,
    /// Encoded words (RFC 2047) that say the same.
    FieldsEncoded,
    EightBitReplaced,
    EndsMadeCrlf,
    EndsChanged,
    EndAdded,
    EndDropped,
    BlanksCut,
    NulDropped,
    NulReplaced,
    FromLineDropped,
    FromLinesQuoted,
    TransferEncoding,
    Structure,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FieldsAdded(names) => return write!(f, "header fields added ({})", Names(names)),
            Self::FieldsDropped(names) => {
                return write!(f, "header fields of mailbox files left out ({})", Names(names));
            }
            Self::FieldsReordered => "header fields in another order",
            Self::FieldsRespelled => "header fields folded or spelled otherwise",
            Self::FieldsEncoded => "header fields encoded otherwise",
            Self::EightBitReplaced => "octets over 127 in header fields replaced",
            Self::EndsMadeCrlf => "line ends made CRLF",
            Self::EndsChanged => "other line ends",
            Self::EndAdded => "a line end added at the end",
            Self::EndDropped => "the line end at the end left out",
            Self::BlanksCut => "blanks at the end of lines cut",
            Self::NulDropped => "NUL bytes left out",
            Self::NulReplaced => "NUL bytes replaced",
            Self::FromLineDropped => "the `From ` line of a mailbox file left out",
            Self::FromLinesQuoted => "lines that begin with `From ` quoted",
            Self::TransferEncoding => "parts encoded otherwise for transfer",
            Self::Structure => "the MIME structure written anew around the same parts",
        })
    }
}

/// Names of header fields, fit to be shown.
struct Names<'a>(&'a BTreeSet<String>);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, name) in self.0.iter().take(MOST_NAMES).enumerate() {
            let short: String = name.chars().take(LONGEST_NAME).collect();
            write!(f, "{}{}", if number > 0 { ", " } else { "" }, escape(&short))?;
        }
        match self.0.len().saturating_sub(MOST_NAMES) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

/// The changes, to follow "equal but for".
impl fmt::Display for Likeness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact => f.write_str("nothing"),
            Self::Different => f.write_str("everything"),
            Self::ButFor(changes) => {
                for (number, change) in changes.iter().enumerate() {
                    write!(f, "{}{change}", if number > 0 { ", " } else { "" })?;
                }
                Ok(())
            }
        }
    }
}

/// What differs, as it is found.
type Changes = BTreeSet<Change>;

/// Compares a message of ours with what a server shows.
pub(super) fn likeness(ours: &[u8], theirs: &[u8]) -> Likeness {
    if ours == theirs {
        return Likeness::Exact;
    }
    let has_from_line = ours.starts_with(b"From ") && !theirs.starts_with(b"From ");
    for without_from_line in [false, true] {
        if without_from_line && !has_from_line {
            continue;
        }
        let ours = if without_from_line { after_first_line(ours) } else { ours };
        for (replaced, ours) in without_nul(ours, theirs).chain(without_eight_bit(ours, theirs)) {
            let Some(mut changes) = compare(&ours, theirs) else { continue };
            changes.extend(replaced);
            changes.extend(without_from_line.then_some(Change::FromLineDropped));
            return Likeness::ButFor(changes);
        }
    }
    Likeness::Different
}

/// Ours as a server may have made it that wants header fields in ASCII; nothing if theirs are not.
fn without_eight_bit<'a>(
    ours: &'a [u8],
    theirs: &[u8],
) -> impl Iterator<Item = (Option<Change>, Cow<'a, [u8]>)> + use<'a> {
    let (header, body) = text::split(ours);
    let is_made_ascii = !header.is_ascii() && text::split(theirs).0.is_ascii();
    let stand_ins = if is_made_ascii { &EIGHT_BIT_STAND_INS[..] } else { &[] };
    stand_ins.iter().map(move |&stand_in| {
        let ascii = header.iter().map(|&octet| if octet.is_ascii() { octet } else { stand_in });
        let bytes: Vec<u8> = ascii.chain(body.iter().copied()).collect();
        (Some(Change::EightBitReplaced), Cow::Owned(bytes))
    })
}

fn after_first_line(bytes: &[u8]) -> &[u8] {
    bytes.iter().position(|&byte| byte == b'\n').map_or(&[][..], |end| &bytes[end + 1..])
}

/// Ours as it is, then as a server may have made it that does not store NUL.
fn without_nul<'a>(
    ours: &'a [u8],
    theirs: &[u8],
) -> impl Iterator<Item = (Option<Change>, Cow<'a, [u8]>)> + use<'a> {
    let count = |bytes: &[u8]| bytes.iter().filter(|&&byte| byte == 0).count();
    let ways = if count(ours) > count(theirs) { &STAND_INS[..] } else { &[] };
    let replaced = move |with: &&'static [u8]| {
        let mut bytes = Vec::with_capacity(ours.len());
        for (number, run) in ours.split(|&byte| byte == 0).enumerate() {
            if number > 0 {
                bytes.extend_from_slice(with);
            }
            bytes.extend_from_slice(run);
        }
        let change = if with.is_empty() { Change::NulDropped } else { Change::NulReplaced };
        (Some(change), Cow::Owned(bytes))
    };
    std::iter::once((None, Cow::Borrowed(ours))).chain(ways.iter().map(replaced))
}

/// What was changed; `None` if it is another message.
fn compare(ours: &[u8], theirs: &[u8]) -> Option<Changes> {
    let mut changes = Changes::new();
    if ours == theirs {
        return Some(changes);
    }
    let (our_header, our_body) = text::split(ours);
    let (their_header, their_body) = text::split(theirs);
    let (our_fields, their_fields) = (Fields::parse(our_header), Fields::parse(their_header));
    let mime = our_fields.compare(&their_fields, &mut changes)?;
    let mut in_body = Changes::new();
    if mime.is_kept && text::compare(our_body, their_body, &mut in_body).is_some() {
        changes.extend(in_body);
        if !mime.added.is_empty() {
            add_names(&mut changes, mime.added);
        }
    } else {
        let ours = parts::Entity { fields: &our_fields, body: our_body };
        let theirs = parts::Entity { fields: &their_fields, body: their_body };
        // Parsers that never panic have been known to.
        let alike = catch_unwind(AssertUnwindSafe(|| parts::alike(&ours, &theirs))).ok().flatten()?;
        changes.extend(alike);
        if changes.is_empty() {
            // Blanks around boundaries.
            changes.insert(Change::Structure);
        }
    }
    if changes.contains(&Change::EndsChanged) && text::has_only_crlf(theirs) {
        changes.remove(&Change::EndsChanged);
        changes.insert(Change::EndsMadeCrlf);
    }
    Some(changes)
}

fn add_names(changes: &mut Changes, mut names: BTreeSet<String>) {
    let added = changes.iter().find_map(|change| match change {
        Change::FieldsAdded(names) => Some(names.clone()),
        _ => None,
    });
    if let Some(added) = added {
        changes.remove(&Change::FieldsAdded(added.clone()));
        names.extend(added);
    }
    changes.insert(Change::FieldsAdded(names));
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is")]
mod tests;
