//! The few header fields that lists show: a best effort for people, never an identity.
//!
//! Subjects and addresses are decoded (RFC 2047, RFC 5322), cut to a bounded length, and freed of
//! control characters, so that they fit on one line of a list. They are not fit for a terminal yet:
//! marks that turn text around are left in, for [`crate::escape`] to show.
//!
//! Rule: no header, however odd or large, makes this fail; what cannot be read is empty.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::LazyLock;

use mail_parser::{Addr, HeaderName, Message, MessageParser};

/// How much of a header block is looked at. Real ones have a few kilobytes; what lists need stands
/// in front of the pathological ones too.
const MAX_HEADER: usize = 64 << 10;

/// Longest text kept of a field, in bytes of UTF-8.
const MAX_TEXT: usize = 512;

static PARSER: LazyLock<MessageParser> = LazyLock::new(|| {
    MessageParser::new()
        .header_text(HeaderName::Subject)
        .header_address(HeaderName::From)
        .header_date(HeaderName::Date)
        .header_id(HeaderName::MessageId)
        .default_header_ignore()
});

/// What a list says about a message. Each text has at most 512 bytes of UTF-8, no control
/// characters, and is empty when the message does not have the field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// `Subject`, decoded.
    pub subject: String,
    /// The first address of `From`: `Name <user@example.org>`, or the address alone.
    pub from: String,
    /// `Date` in seconds since 1970, when it can be read and lies between the years 1900 and 3000.
    pub date: Option<i64>,
    /// `Message-ID` without its angle brackets.
    pub message_id: String,
}

impl Fields {
    /// Reads the fields of a header block; only its first 64 KiB are looked at.
    #[must_use]
    pub fn parse(header: &[u8]) -> Self {
        let header = &header[..header.len().min(MAX_HEADER)];
        // The parser says that it never panics. Should it do so for one header in a million, that
        // message must be archived all the same, if without its subject.
        let parse = || PARSER.parse_headers(header).map(|message| Self::of(&message));
        catch_unwind(AssertUnwindSafe(parse)).ok().flatten().unwrap_or_default()
    }

    fn of(message: &Message<'_>) -> Self {
        Self {
            subject: plain(message.subject().unwrap_or_default()),
            from: message.from().and_then(|from| from.first()).map(sender).unwrap_or_default(),
            date: message.date().filter(|date| date.is_valid()).map(mail_parser::DateTime::to_timestamp),
            message_id: plain(message.message_id().unwrap_or_default()),
        }
    }
}

fn sender(address: &Addr<'_>) -> String {
    let name = plain(address.name().unwrap_or_default());
    let address = plain(address.address().unwrap_or_default());
    match (name.is_empty(), address.is_empty()) {
        (true, _) => address,
        (_, true) => name,
        _ => plain(&format!("{name} <{address}>")),
    }
}

/// One line of bounded length: white space and control characters in a row become one space.
fn plain(text: &str) -> String {
    let mut line = String::new();
    for character in text.chars() {
        let blank = character.is_control() || character.is_whitespace();
        match blank {
            true if line.is_empty() || line.ends_with(' ') => {}
            true => line.push(' '),
            false if line.len() + character.len_utf8() > MAX_TEXT => break,
            false => line.push(character),
        }
        if line.len() >= MAX_TEXT {
            break;
        }
    }
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_are_decoded() {
        let fields = Fields::parse(
            b"From: =?iso-8859-1?Q?J=FCrgen?= <j@example.org>, other@example.org\r\n\
              Subject: =?utf-8?B?R3LDvMOfZQ==?=\r\n\t=?gb2312?B?xOO6ww==?= there\r\n\
              Date: Fri, 21 Nov 1997 09:55:06 -0600\r\n\
              Message-ID: <1234@local.machine.example>\r\n\r\n",
        );
        assert_eq!(fields.from, "Jürgen <j@example.org>");
        assert_eq!(fields.subject, "Grüße你好 there");
        assert_eq!(fields.date, Some(880_127_706));
        assert_eq!(fields.message_id, "1234@local.machine.example");
    }

    #[test]
    fn what_is_not_there_is_empty() {
        for header in [&b""[..], b"\r\n", b"\0\0\0", b"Subject:", b"X", b"From: \nDate: gestern\n\n"] {
            let fields = Fields::parse(header);
            assert_eq!((fields.subject, fields.date), (String::new(), None), "{header:?}");
        }
        assert_eq!(Fields::parse(b"From: a@example.org\n").from, "a@example.org");
    }

    #[test]
    fn m03_no_field_can_break_a_line_or_be_endless() {
        let subject = format!("Subject: =?utf-8?Q?a=0D=0A=1B[2Jb=00?=\r\n{}", "\u{fc} ".repeat(4000));
        let fields = Fields::parse(format!("Subject: {}\r\n", "\u{fc}".repeat(4000)).as_bytes());
        assert_eq!(fields.subject.len(), MAX_TEXT);
        assert_eq!(Fields::parse(subject.as_bytes()).subject, "a [2Jb");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            name in prop::sample::select(vec!["Subject", "From", "Date", "Message-ID"]),
            value in prop_oneof![
                "[ -~\\r\\n\\t]{0,80}",
                "(=\\?[a-z0-9-]{0,12}\\?[qQbB]\\?[ -~]{0,20}\\?=|[<>(),;:@\"\\\\]|[a-z]| |\r\n ){0,20}",
                "[A-Za-z]{0,4},? ?[0-9]{0,6} [A-Za-z]{0,4} [0-9]{0,6} [0-9:]{0,12} [+-]?[0-9]{0,12}",
            ],
            junk in prop::collection::vec(any::<u8>(), 0..40),
        ) {
            let mut header = format!("{name}: {value}").into_bytes();
            header.extend_from_slice(&junk);
            let parse = catch_unwind(|| PARSER.parse_headers(&header).map(|message| Fields::of(&message)));
            prop_assert!(parse.is_ok());
            let fields = Fields::parse(&header);
            for text in [&fields.subject, &fields.from, &fields.message_id] {
                prop_assert!(text.len() <= MAX_TEXT && !text.contains(char::is_control));
            }
        }
    }
}
