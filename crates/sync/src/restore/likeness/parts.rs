//! MIME entities compared part by part, with the transfer encoding undone (RFC 2045, RFC 2046).
//!
//! Two multiparts are alike if they have the same parts in the same order, whatever the boundary; two
//! messages within messages if their header blocks and what is in them are; other parts if they have the
//! same type and name and the same content, text also in another character set. What cannot be decoded
//! for certain is compared as it stands.
//!
//! Boundaries are looked for once a level, and levels are counted, so the work is linear.

use std::borrow::Cow;
use std::sync::LazyLock;

use mail_parser::decoders::charsets::map::charset_decoder;
use mail_parser::{HeaderName, MessageParser, MimeHeaders};

use super::header::Fields;
use super::text::{self, Lines};
use super::{Change, Changes};

/// Deeper nesting is compared as plain bytes.
const MOST_LEVELS: usize = 20;

/// Text around the parts up to this size is a note to readers without MIME, and may be left out.
const LONGEST_NOTE: usize = 300;

static PARSER: LazyLock<MessageParser> = LazyLock::new(|| {
    MessageParser::new()
        .header_content_type(HeaderName::ContentType)
        .header_content_type(HeaderName::ContentDisposition)
        .default_header_ignore()
});

/// Header fields and what they describe.
pub(super) struct Entity<'a> {
    pub(super) fields: &'a Fields<'a>,
    pub(super) body: &'a [u8],
}

/// What the header says of the body.
struct Kind {
    /// `text`, `plain`.
    main: String,
    sub: String,
    boundary: Option<String>,
    charset: Option<String>,
    name: Option<String>,
}

/// What was changed; `None` if these are not the same parts.
pub(super) fn alike(ours: &Entity<'_>, theirs: &Entity<'_>) -> Option<Changes> {
    let mut changes = Changes::new();
    compare(ours, theirs, 0, &mut changes)?;
    Some(changes)
}

fn compare(ours: &Entity<'_>, theirs: &Entity<'_>, level: usize, changes: &mut Changes) -> Option<()> {
    let (our_kind, their_kind) = (Kind::of(ours.fields), Kind::of(theirs.fields));
    if our_kind.main != their_kind.main || our_kind.sub != their_kind.sub || our_kind.name != their_kind.name
    {
        return None;
    }
    for name in ["content-type", "content-disposition", "mime-version"] {
        if ours.fields.get(name) != theirs.fields.get(name) {
            changes.insert(Change::Structure);
        }
    }
    let is_open = level < MOST_LEVELS;
    if is_open && our_kind.main == "multipart" {
        let (our_boundary, their_boundary) = (our_kind.boundary?, their_kind.boundary?);
        return multiparts(
            &Multipart::cut(ours.body, &our_boundary)?,
            &Multipart::cut(theirs.body, &their_boundary)?,
            level,
            changes,
        );
    }
    let (our_encoding, their_encoding) = (encoding(ours.fields), encoding(theirs.fields));
    if is_open && our_kind.main == "message" && our_kind.sub == "rfc822" && our_encoding.is_empty() {
        return their_encoding.is_empty().then(|| messages(ours.body, theirs.body, level, changes))?;
    }
    let mut as_it_stands = Changes::new();
    if our_encoding == their_encoding
        && our_kind.says_the_same(&their_kind)
        && text::compare(ours.body, theirs.body, &mut as_it_stands).is_some()
    {
        changes.extend(as_it_stands);
        return Some(());
    }
    if our_encoding != their_encoding || ours.body != theirs.body {
        changes.insert(Change::TransferEncoding);
    }
    content(
        &our_kind,
        &decoded(&our_encoding, ours.body)?,
        &their_kind,
        &decoded(&their_encoding, theirs.body)?,
    )
}

/// Messages within messages.
fn messages(ours: &[u8], theirs: &[u8], level: usize, changes: &mut Changes) -> Option<()> {
    let ((our_header, our_body), (their_header, their_body)) = (text::split(ours), text::split(theirs));
    let (our_fields, their_fields) = (Fields::parse(our_header), Fields::parse(their_header));
    our_fields.compare(&their_fields, changes)?;
    let ours = Entity { fields: &our_fields, body: our_body };
    compare(&ours, &Entity { fields: &their_fields, body: their_body }, level + 1, changes)
}

fn multiparts(
    ours: &Multipart<'_>,
    theirs: &Multipart<'_>,
    level: usize,
    changes: &mut Changes,
) -> Option<()> {
    if ours.parts.len() != theirs.parts.len() {
        return None;
    }
    if ours.around != theirs.around {
        let length: usize = ours.around.iter().map(|line| line.len()).sum();
        if length > LONGEST_NOTE {
            return None;
        }
        changes.insert(Change::Structure);
    }
    for (ours, theirs) in ours.parts.iter().zip(&theirs.parts) {
        messages(ours, theirs, level, changes)?;
    }
    Some(())
}

/// Whether the decoded content is the same.
fn content(our_kind: &Kind, ours: &[u8], their_kind: &Kind, theirs: &[u8]) -> Option<()> {
    let same_charset = our_kind.says_the_same(their_kind) || ours.is_ascii() && theirs.is_ascii();
    if ours == theirs && same_charset {
        return Some(());
    }
    if our_kind.main != "text" && our_kind.main != "message" {
        return None;
    }
    let mut ignored = Changes::new();
    if same_charset {
        return text::compare(ours, theirs, &mut ignored);
    }
    let (ours, theirs) = (our_kind.text(ours)?, their_kind.text(theirs)?);
    text::compare(ours.as_bytes(), theirs.as_bytes(), &mut ignored)
}

/// The transfer encoding; empty where the body stands as it is.
fn encoding(fields: &Fields<'_>) -> String {
    let value = fields.get("content-transfer-encoding").unwrap_or_default();
    let name = String::from_utf8_lossy(value).trim().to_ascii_lowercase();
    match name.as_str() {
        "7bit" | "8bit" | "binary" => String::new(),
        _ => name,
    }
}

/// The body without its transfer encoding; `None` if it has something else in it.
fn decoded<'a>(encoding: &str, body: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    match encoding {
        "" => Some(Cow::Borrowed(body)),
        "base64" => base64_simd::forgiving_decode_to_vec(body).ok().map(Cow::Owned),
        "quoted-printable" => Some(Cow::Owned(unquoted(body))),
        // An encoding that nobody knows: only the same bytes are the same.
        _ => Some(Cow::Borrowed(body)),
    }
}

/// Undoes quoted-printable. A `=` that begins no code stands for itself.
fn unquoted(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len());
    for line in Lines(body) {
        let text = text::trimmed(line.text);
        let mut rest = text;
        let mut is_continued = false;
        while let Some((&byte, after)) = rest.split_first() {
            rest = after;
            if byte != b'=' {
                bytes.push(byte);
                continue;
            }
            let hex = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let code = hex.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
            match code.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
                Some(code) => {
                    bytes.push(code);
                    rest = &after[2..];
                }
                None if after.is_empty() => is_continued = true,
                None => bytes.push(b'='),
            }
        }
        if !is_continued {
            bytes.extend_from_slice(line.end);
        }
    }
    bytes
}

impl Kind {
    fn of(fields: &Fields<'_>) -> Self {
        let mut kind = Self {
            main: "text".to_owned(),
            sub: "plain".to_owned(),
            boundary: None,
            charset: None,
            name: None,
        };
        let Some(message) = PARSER.parse_headers(fields.block) else { return kind };
        if let Some(content_type) = message.content_type() {
            kind.main = content_type.ctype().to_ascii_lowercase();
            kind.sub = content_type.subtype().unwrap_or_default().to_ascii_lowercase();
            kind.boundary = content_type.attribute("boundary").map(str::to_owned);
            kind.charset = content_type.attribute("charset").map(str::to_ascii_lowercase);
            kind.name = content_type.attribute("name").map(str::to_owned);
        }
        let disposition = message.content_disposition();
        if let Some(name) = disposition.and_then(|disposition| disposition.attribute("filename")) {
            kind.name = Some(name.to_owned());
        }
        kind
    }

    /// Whether bytes mean the same in both; those that had no character set may be given one.
    fn says_the_same(&self, theirs: &Self) -> bool {
        self.charset.is_none() || self.charset == theirs.charset
    }

    /// Text in its character set; `None` if that is not known or not held to.
    fn text(&self, bytes: &[u8]) -> Option<String> {
        let charset = self.charset.as_deref().unwrap_or("us-ascii");
        let text = match charset {
            "us-ascii" | "utf-8" | "utf8" => std::str::from_utf8(bytes).ok()?.to_owned(),
            other => charset_decoder(other.as_bytes())?(bytes),
        };
        (!text.contains(char::REPLACEMENT_CHARACTER)).then_some(text)
    }
}

/// A multipart in its parts.
struct Multipart<'a> {
    parts: Vec<&'a [u8]>,
    /// Lines with text before the first part and after the last.
    around: Vec<&'a [u8]>,
}

impl<'a> Multipart<'a> {
    /// Cuts at the boundary (RFC 2046 §5.1.1); `None` if there is no part. One that is not closed ends
    /// with the text.
    fn cut(body: &'a [u8], boundary: &str) -> Option<Self> {
        let (mut parts, mut around) = (Vec::new(), Vec::new());
        let mut lines = Lines(body);
        // Where the part begins, and where it ends if the next line is a boundary.
        let (mut begin, mut end, mut is_over) = (None, 0, false);
        loop {
            let at = body.len() - lines.0.len();
            let Some(line) = lines.next() else { break };
            let marked =
                line.text.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(boundary.as_bytes()));
            let closes = match marked.map(text::trimmed) {
                Some(b"") => Some(false),
                Some(b"--") => Some(true),
                _ => None,
            };
            if let Some(closes) = closes.filter(|_| !is_over) {
                if let Some(begin) = begin {
                    parts.push(body.get(begin..end.max(begin)).unwrap_or_default());
                }
                is_over = closes;
                begin = (!closes).then_some(body.len() - lines.0.len());
            } else if begin.is_none() && !text::trimmed(line.text).is_empty() {
                around.push(text::trimmed(line.text));
            }
            // The line end before a boundary belongs to the boundary.
            end = at + line.text.len();
        }
        if let Some(begin) = begin {
            parts.push(&body[begin..]);
        }
        (!parts.is_empty()).then_some(Self { parts, around })
    }
}
