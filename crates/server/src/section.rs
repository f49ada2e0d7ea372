//! The parts of a message that FETCH can name: all of it, its header, some header fields, its text
//! (RFC 9051 §6.4.5.1). Parts of MIME are not offered: a backup reads messages whole.

use std::borrow::Cow;

use crate::arguments::{Arguments, Malformed};

/// What stands between the brackets of `BODY[…]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Section {
    Whole,
    Header,
    Text,
    /// HEADER.FIELDS, or with `not` HEADER.FIELDS.NOT.
    Fields {
        not: bool,
        names: Vec<Vec<u8>>,
    },
}

impl Section {
    /// Reads from behind `[` to behind `]`.
    pub(crate) fn read(arguments: &mut Arguments) -> Result<Self, Malformed> {
        if arguments.eat(b']') {
            return Ok(Self::Whole);
        }
        let section = match arguments.keyword()?.as_str() {
            "HEADER" => Self::Header,
            "TEXT" => Self::Text,
            "HEADER.FIELDS" => Self::Fields { not: false, names: field_names(arguments)? },
            "HEADER.FIELDS.NOT" => Self::Fields { not: true, names: field_names(arguments)? },
            _ => return Err(Malformed("this section is not offered")),
        };
        arguments.expect(b']')?;
        Ok(section)
    }

    /// How the answer names it, without `BODY`.
    pub(crate) fn name(&self) -> Vec<u8> {
        match self {
            Self::Whole => b"[]".to_vec(),
            Self::Header => b"[HEADER]".to_vec(),
            Self::Text => b"[TEXT]".to_vec(),
            Self::Fields { not, names } => {
                let word = if *not { "HEADER.FIELDS.NOT" } else { "HEADER.FIELDS" };
                [b"[", word.as_bytes(), b" (", &names.join(&b' '), b")]"].concat()
            }
        }
    }

    /// Its octets in a message.
    pub(crate) fn of<'a>(&self, message: &'a [u8]) -> Cow<'a, [u8]> {
        let header = &message[..header_length(message)];
        match self {
            Self::Whole => Cow::Borrowed(message),
            Self::Header => Cow::Borrowed(header),
            Self::Text => Cow::Borrowed(&message[header.len()..]),
            Self::Fields { not, names } => Cow::Owned(fields(header, names, *not)),
        }
    }
}

fn field_names(arguments: &mut Arguments) -> Result<Vec<Vec<u8>>, Malformed> {
    arguments.space()?;
    arguments.expect(b'(')?;
    let mut names = Vec::new();
    while !arguments.eat(b')') {
        let name = arguments.string()?;
        if !name.iter().all(|byte| (b'!'..=b'~').contains(byte)) {
            return Err(Malformed("not the name of a header field"));
        }
        names.push(name);
        arguments.eat(b' ');
    }
    Ok(names)
}

/// The header block with the empty line that ends it; all of it, if there is none.
fn header_length(message: &[u8]) -> usize {
    let mut at = 0;
    while let Some(end) = message[at..].iter().position(|&byte| byte == b'\n') {
        let line = &message[at..at + end];
        at += end + 1;
        if line.is_empty() || line == b"\r" {
            return at;
        }
    }
    message.len()
}

/// The fields meant with their continuation lines, in the order of the message, and an empty line.
fn fields(header: &[u8], names: &[Vec<u8>], not: bool) -> Vec<u8> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in header.split_inclusive(|&byte| byte == b'\n') {
        if line == b"\r\n" || line == b"\n" {
            break;
        }
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            let name = line.split(|&byte| byte == b':').next().unwrap_or_default().trim_ascii_end();
            inside = names.iter().any(|wanted| wanted.eq_ignore_ascii_case(name)) != not;
        }
        if inside {
            found.extend_from_slice(line);
        }
    }
    found.extend_from_slice(b"\r\n");
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arguments::Part;

    const MAIL: &[u8] = b"From: a\r\nSubject: one\r\n two\r\nTo: b\r\n\r\nText\r\n";

    fn section(text: &str) -> Section {
        Section::read(&mut Arguments::new(vec![Part::Text(text.into())])).expect("a section")
    }

    #[test]
    fn the_parts_of_a_message_join_to_the_whole() {
        let whole = section("]").of(MAIL);
        assert_eq!([section("HEADER]").of(MAIL), section("TEXT]").of(MAIL)].concat(), &*whole);
        assert_eq!(section("TEXT]").of(b"no: body"), b"".as_slice());
    }

    #[test]
    fn fields_come_with_their_folded_lines() {
        let subject = section("HEADER.FIELDS (subject \"X-None\")]");
        assert_eq!(subject.of(MAIL), b"Subject: one\r\n two\r\n\r\n".as_slice());
        assert_eq!(subject.name(), b"[HEADER.FIELDS (subject X-None)]");
        assert_eq!(section("HEADER.FIELDS.NOT (SUBJECT)]").of(MAIL), b"From: a\r\nTo: b\r\n\r\n".as_slice());
    }
}
