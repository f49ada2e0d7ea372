//! What servers make of a message that is given to them: the changes of bytes that a restore meets.
//!
//! Each is a pure function of the bytes, and small: what a server does that does several of them is
//! the one after the other. The proof of a restore has to find each and to call it by its name.

use std::borrow::Cow;

/// A change that a server makes to the bytes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alteration {
    /// A header field is put at the top: this line, without its end.
    AddsField(String),
    /// The header fields are in the opposite order.
    ReordersFields,
    /// Lone LFs become CRLF.
    LinesEndWithCrlf,
    /// NULs are left out.
    StripsNul,
    /// A message that does not end with a line end gets one.
    EndsWithLine,
    /// MIME is made anew: other boundaries, and MIME-Version where there was none.
    RebuildsMime,
    /// Whatever it was, it is these bytes now.
    Becomes(Vec<u8>),
}

impl Alteration {
    /// The message as the server keeps it.
    pub(crate) fn of(&self, message: &[u8]) -> Vec<u8> {
        match self {
            Self::AddsField(line) => [line.as_bytes(), line_end(message), message].concat(),
            Self::ReordersFields => {
                let (header, rest) = message.split_at(fields_end(message));
                let mut fields = fields(header);
                fields.reverse();
                [fields.concat().as_slice(), rest].concat()
            }
            Self::LinesEndWithCrlf => {
                let mut kept = Vec::with_capacity(message.len() + message.len() / 32);
                for &byte in message {
                    if byte == b'\n' && kept.last() != Some(&b'\r') {
                        kept.push(b'\r');
                    }
                    kept.push(byte);
                }
                kept
            }
            Self::StripsNul => message.iter().copied().filter(|&byte| byte != 0).collect(),
            Self::EndsWithLine if message.ends_with(b"\n") => message.to_vec(),
            Self::EndsWithLine => [message, line_end(message)].concat(),
            Self::RebuildsMime => rebuilt(message),
            Self::Becomes(bytes) => bytes.clone(),
        }
    }
}

/// The end of the message's first line, CRLF where it has none.
fn line_end(message: &[u8]) -> &'static [u8] {
    match message.iter().position(|&byte| byte == b'\n') {
        Some(at) if at == 0 || message[at - 1] != b'\r' => b"\n",
        _ => b"\r\n",
    }
}

/// Where the header fields end: before the empty line, or at the end of a message without one.
fn fields_end(message: &[u8]) -> usize {
    let mut at = 0;
    for line in message.split_inclusive(|&byte| byte == b'\n') {
        if matches!(line, b"\r\n" | b"\n") {
            return at;
        }
        at += line.len();
    }
    at
}

/// The header fields, each with the lines that continue it.
fn fields(header: &[u8]) -> Vec<Vec<u8>> {
    let mut fields: Vec<Vec<u8>> = Vec::new();
    for line in header.split_inclusive(|&byte| byte == b'\n') {
        match fields.last_mut() {
            Some(field) if matches!(line.first(), Some(b' ' | b'\t')) => field.extend_from_slice(line),
            _ => fields.push(line.to_vec()),
        }
    }
    fields
}

fn rebuilt(message: &[u8]) -> Vec<u8> {
    let end = fields_end(message);
    let header = String::from_utf8_lossy(&message[..end]);
    let mut kept = Cow::Borrowed(message);
    if !header.to_ascii_lowercase().contains("mime-version:") {
        let line = [b"MIME-Version: 1.0", line_end(message)].concat();
        kept = Cow::Owned([&message[..end], line.as_slice(), &message[end..]].concat());
    }
    match boundary(&header) {
        Some(boundary) => replaced(&kept, boundary.as_bytes(), b"=_made_by_the_server"),
        None => kept.into_owned(),
    }
}

fn boundary(header: &str) -> Option<&str> {
    let at = header.to_ascii_lowercase().find("boundary=")?;
    let value = &header[at + "boundary=".len()..];
    let value = match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => value.split([';', ' ', '\r', '\n']).next(),
    };
    value.filter(|value| !value.is_empty())
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut made = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = rest.windows(from.len()).position(|window| window == from) {
        made.extend_from_slice(&rest[..at]);
        made.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    made.extend_from_slice(rest);
    made
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_alteration_does_what_its_name_says() {
        let of = |alteration: Alteration, message: &str| {
            String::from_utf8_lossy(&alteration.of(message.as_bytes())).into_owned()
        };
        let added = of(Alteration::AddsField("X: y".into()), "A: b\r\n\r\n");
        assert_eq!(added, "X: y\r\nA: b\r\n\r\n");
        assert_eq!(
            of(Alteration::ReordersFields, "A: b\r\n c\r\nD: e\r\n\r\nA: x\r\n"),
            "D: e\r\nA: b\r\n c\r\n\r\nA: x\r\n"
        );
        assert_eq!(of(Alteration::LinesEndWithCrlf, "a\nb\r\nc\n"), "a\r\nb\r\nc\r\n");
        assert_eq!(of(Alteration::StripsNul, "a\0b"), "ab");
        assert_eq!(of(Alteration::EndsWithLine, "A: b\r\n\r\nx"), "A: b\r\n\r\nx\r\n");
        assert_eq!(of(Alteration::EndsWithLine, "A: b\n\nx\n"), "A: b\n\nx\n");
        assert_eq!(of(Alteration::RebuildsMime, "A: b\r\n\r\nx"), "A: b\r\nMIME-Version: 1.0\r\n\r\nx");
        assert_eq!(
            of(
                Alteration::RebuildsMime,
                "Mime-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b1\"\n\n--b1\n\nx\n--b1--\n"
            ),
            "Mime-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=_made_by_the_server\"\n\n\
             --=_made_by_the_server\n\nx\n--=_made_by_the_server--\n"
        );
        assert_eq!(of(Alteration::Becomes(b"z".to_vec()), "a"), "z");
    }
}
