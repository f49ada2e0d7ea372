//! What must hold for any bytes: the laws of this crate's fuzz targets.
//!
//! Each function gives bytes from nowhere to one parser and panics when its law does not hold. Stable
//! tests run them over seeds and mutations (below), cargo-fuzz for hours (`tests/fuzz`). The first
//! bytes of an input mostly say how the rest is used, so that a fuzzer can change that too.

use std::collections::HashMap;
use std::convert::Infallible;

use crate::base64_lines::{self, Shape};
use crate::date::InternalDate;
use crate::escape::{escape, escape_bytes};
use crate::fields::Fields;
use crate::flags::Flags;
use crate::mailbox::{MailboxName, NameEncoding, encode_modified_utf7};
use crate::recipe::{BlobRef, LineEnd, Recipe, Stream};
use crate::split::{MAX_BLOB, Piece, SplitMessage, Splitter};
use crate::{BlobName, MessageKey, UidSet};

/// A recipe may make much of little; more than this is not put together here.
const MOST_JOINED: u64 = 4 << 20;

/// Splitting and joining: any bytes are a message, and come back. The first byte says in which
/// portions they arrive.
pub fn split(data: &[u8]) {
    let Some((&portion, bytes)) = data.split_first() else { return };
    let (split, pieces) = split_in(bytes, bytes.len());
    assert_eq!(split.key, MessageKey::of(bytes));
    assert_eq!(split.size, bytes.len() as u64);
    assert_eq!(split.recipe.size(), Ok(split.size));
    assert!(join(&split.recipe, &pieces) == bytes, "the joined message differs");
    for piece in &pieces {
        assert_eq!(piece.name, BlobName::of(&piece.bytes));
        assert!((1..=MAX_BLOB).contains(&piece.bytes.len()));
    }
    let mut steps = Vec::new();
    split.recipe.encode_steps(&mut steps);
    assert_eq!(Recipe::decode_steps(&steps), Ok(split.recipe.steps.clone()));
    let (again, same) = split_in(bytes, usize::from(portion).pow(2) / 16 + 1);
    assert!(again == split && same == pieces, "the split depends on the portions");
    let mut same = Vec::new();
    let again = crate::split::split(bytes, &mut |piece| same.push(piece));
    assert!(again == Ok(split) && same == pieces, "a message that is there as a whole is split otherwise");
}

fn split_in(bytes: &[u8], portion: usize) -> (SplitMessage, Vec<Piece>) {
    let mut pieces = Vec::new();
    let mut splitter = Splitter::new();
    for portion in bytes.chunks(portion.max(1)) {
        splitter.push(portion, &mut |piece| pieces.push(piece));
    }
    let split = splitter.finish(&mut |piece| pieces.push(piece)).expect("memory keeps what it is given");
    (split, pieces)
}

fn join(recipe: &Recipe, pieces: &[Piece]) -> Vec<u8> {
    let blobs: HashMap<BlobName, &[u8]> = pieces.iter().map(|piece| (piece.name, &piece.bytes[..])).collect();
    let mut joined = Vec::new();
    let blob = |index: u32| Ok::<_, Infallible>(blobs[&recipe.blobs[index as usize].name]);
    let out = |bytes: &[u8]| {
        joined.extend_from_slice(bytes);
        Ok(())
    };
    recipe.join(blob, out).expect("a recipe of the splitter can be followed");
    joined
}

/// Steps from a hostile pack: read only in the one form in which they are written; the size is told
/// beforehand, and a join gives exactly so much or an error. The first bytes are the lengths of blobs.
pub fn recipe(data: &[u8]) {
    let Some((&count, rest)) = data.split_first() else { return };
    let (lengths, steps) = rest.split_at(usize::from(count % 8).min(rest.len()));
    let Ok(steps) = Recipe::decode_steps(steps).inspect(|read| {
        let mut written = Vec::new();
        Recipe { blobs: Vec::new(), steps: read.clone() }.encode_steps(&mut written);
        assert_eq!(written, steps);
    }) else {
        return;
    };
    let contents: Vec<Vec<u8>> =
        lengths.iter().map(|&length| vec![length; usize::from(length) * 9]).collect();
    let blob = |content: &Vec<u8>| BlobRef {
        stream: Stream::Text,
        name: BlobName::of(content),
        length: u32::try_from(content.len()).unwrap_or(u32::MAX),
    };
    let recipe = Recipe { blobs: contents.iter().map(blob).collect(), steps };
    let told = recipe.size();
    if told.is_ok_and(|told| told > MOST_JOINED) {
        return;
    }
    let mut length = 0;
    let joined = recipe.join(
        |index| Ok::<_, Infallible>(&contents[index as usize]),
        |bytes| {
            length += bytes.len() as u64;
            Ok(())
        },
    );
    match told {
        Ok(told) => assert!(joined.is_ok() && length == told, "{told} bytes told, {length} given"),
        Err(_) => assert!(joined.is_err()),
    }
}

/// A base64 run: bytes written in lines come back from the splitter as one attachment of exactly these
/// bytes, and characters are decoded only if they encode to the same characters again. The first two
/// bytes are the form of the lines.
pub fn base64_run(data: &[u8]) {
    let [form, length, bytes @ ..] = data else { return };
    let (mut decoded, mut scratch) = (Vec::new(), Vec::new());
    if base64_lines::decode_exactly(bytes, &mut decoded, &mut scratch) {
        let mut chars = Vec::new();
        let shape = Shape { line_length: 996, line_end: LineEnd::Lf };
        write_lines(&decoded, shape, false, &mut chars);
        chars.retain(|&byte| byte != b'\n');
        assert_eq!(chars, bytes);
    }
    let line_end = if form & 1 == 0 { LineEnd::CrLf } else { LineEnd::Lf };
    let shape = Shape { line_length: (usize::from(*length).max(1) * 4).min(996), line_end };
    let closed = form & 2 == 0;
    let mut message = b"Subject: a run\n\n".to_vec();
    let header = message.len();
    write_lines(bytes, shape, closed, &mut message);
    assert_eq!((message.len() - header) as u64, shape.encoded_length(bytes.len() as u64, closed));
    let (split, pieces) = split_in(&message, 1 + usize::from(*form) * 64);
    assert!(join(&split.recipe, &pieces) == message);
    // From 1 KiB on; a first line that is alone, unclosed or padded is not known for a run.
    if bytes.len() >= 1024 + shape.line_bytes() && bytes.len() > 2 * shape.line_bytes() {
        let attached = pieces.iter().filter(|piece| piece.stream == Stream::Attachment);
        assert_eq!(attached.map(|piece| piece.name).collect::<Vec<_>>(), [BlobName::of(bytes)]);
    }
}

fn write_lines(bytes: &[u8], shape: Shape, closed: bool, out: &mut Vec<u8>) {
    let Ok(()) = base64_lines::encode(bytes, shape, closed, |piece| {
        out.extend_from_slice(piece);
        Ok::<_, Infallible>(())
    });
}

/// Header fields: whatever stands there, texts are short, of one line, and without control characters.
pub fn fields(data: &[u8]) {
    let fields = Fields::parse(data);
    for text in [&fields.subject, &fields.from, &fields.message_id] {
        assert!(text.len() <= 512 && !text.contains(char::is_control), "{text:?}");
    }
}

/// Escaping: nothing that a terminal acts on comes through, no line is broken, what is shown is at most
/// ten times as long, and escaping twice changes nothing more.
pub fn escaped(data: &[u8]) {
    let shown = escape_bytes(data);
    assert!(!shown.contains(|c: char| c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')));
    assert!(shown.len() <= data.len() * 10);
    assert_eq!(escape(&shown), shown);
    let lossy = String::from_utf8_lossy(data);
    assert_eq!(escape(&lossy), escape_bytes(lossy.as_bytes()));
}

/// Mailbox names: a name that can be decoded leads back to its bytes, both spellings are one mailbox,
/// and levels are what stands between delimiters. The first two bytes: encoding and delimiter.
pub fn mailbox_name(data: &[u8]) {
    let [form, delimiter, raw @ ..] = data else { return };
    let encoding = if form & 1 == 0 { NameEncoding::ModifiedUtf7 } else { NameEncoding::Utf8 };
    let delimiter = (form & 2 == 0).then_some(*delimiter);
    let name = MailboxName::new(raw, encoding, delimiter);
    assert_eq!(name.raw(), raw);
    let text = name.text();
    if let Some(delimiter) = delimiter {
        assert_eq!(name.components().join(&char::from(delimiter).to_string()), text);
    }
    let again = MailboxName::from_text(&text, delimiter);
    assert_eq!(again.text(), text, "text does not come back");
    assert_eq!(again, MailboxName::new(text.as_bytes(), NameEncoding::Utf8, delimiter));
    if encoding == NameEncoding::ModifiedUtf7 && encode_modified_utf7(&text) == raw {
        assert_eq!(again, name);
    }
}

/// UID sets: what was read is written and read again alike, and sets are sets.
pub fn uid_set(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (one, other) = text.split_once(' ').unwrap_or((text, "1:5,7"));
    let (Ok(one), Ok(other)) = (UidSet::parse(one), UidSet::parse(other)) else { return };
    assert_eq!(UidSet::parse(&one.to_string()).as_ref(), Ok(&one));
    let (only, both) = (one.difference(&other), one.intersection(&other));
    assert_eq!(only.len() + both.len(), one.len());
    let mut joined = only.clone();
    joined.extend_from(&both);
    assert_eq!(joined, one);
    assert!(only.intersection(&other).is_empty());
    let mut pieces = UidSet::new();
    one.chunks(32).iter().for_each(|chunk| pieces.extend_from(chunk));
    assert_eq!(pieces, one);
    assert_eq!(one.first().is_some_and(|uid| one.contains(uid)), !one.is_empty());
    assert_eq!(one.last().is_some_and(|uid| one.contains(uid)), !one.is_empty());
}

/// Received dates and flags: the text is kept, at most 64 characters of it; what was read from it is
/// written in the form of RFC 9051 and read again alike. Flags have one form.
pub fn date_and_flags(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let date = InternalDate::parse(&text);
    assert!(date.raw().chars().count() <= 64 && text.starts_with(date.raw()));
    if let (Some(unix), Some(zone)) = (date.unix(), date.offset_minutes()) {
        let written = InternalDate::from_unix(unix, zone);
        let utc = date.utc().expect("a date that could be read");
        assert!(
            (1..=12).contains(&utc.month) && (1..=31).contains(&utc.day) && (0..7).contains(&utc.weekday)
        );
        // 31-Dec-9999 23:59:60 is in the year 10000, which the grammar cannot write.
        if written.raw().len() == "dd-Mon-yyyy hh:mm:ss +hhmm".len() {
            assert_eq!(InternalDate::parse(written.raw()), written, "of {text:?}");
        }
        assert_eq!(written.unix(), Some(unix), "of {text:?}");
    }
    let flags = Flags::parse(&text);
    assert_eq!(Flags::parse(&flags.to_string()), flags);
    assert!(!flags.contains("\\Recent"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s18_any_bytes_are_a_message_and_come_back() {
        seeds::replay("split", split);
        seeds::mutate("split", split, 3_000);
    }

    #[test]
    fn s18_no_bytes_make_a_recipe_give_other_than_it_tells() {
        seeds::replay("recipe", recipe);
        seeds::mutate("recipe", recipe, 5_000);
    }

    #[test]
    fn s18_every_form_of_base64_lines_comes_back() {
        seeds::replay("base64_run", base64_run);
        seeds::mutate("base64_run", base64_run, 2_000);
    }

    #[test]
    fn s18_no_header_makes_a_field_long_or_break_a_line() {
        seeds::replay("fields", fields);
        seeds::mutate("fields", fields, 5_000);
    }

    #[test]
    fn s18_nothing_that_a_terminal_acts_on_is_shown() {
        seeds::replay("escaped", escaped);
        seeds::mutate("escaped", escaped, 5_000);
    }

    #[test]
    fn s18_a_mailbox_name_that_can_be_read_leads_back_to_its_bytes() {
        seeds::replay("mailbox_name", mailbox_name);
        seeds::mutate("mailbox_name", mailbox_name, 5_000);
    }

    #[test]
    fn s18_uid_sets_are_sets_whatever_text_they_come_from() {
        seeds::replay("uid_set", uid_set);
        seeds::mutate("uid_set", uid_set, 5_000);
    }

    #[test]
    fn s18_dates_and_flags_have_one_form_each() {
        seeds::replay("date_and_flags", date_and_flags);
        seeds::mutate("date_and_flags", date_and_flags, 5_000);
    }
}
