//! When a message was received, as its topmost `Received` field says (RFC 5322 §3.6.7).
//!
//! POP3 has no INTERNALDATE. The server that took the message wrote the same moment into the field
//! that it put on top, behind the last semicolon. It is a server's word in a message from anywhere,
//! so it is for sorting and for a restore, never for an identity.

use mail_parser::DateTime;

use crate::InternalDate;

/// Octets of a message that are looked at: trace fields stand first.
const MOST: usize = 16 << 10;

/// The time in the topmost `Received` field of a message that begins with these octets; `None` where
/// there is none that can be read.
#[must_use]
pub fn received_date(beginning: &[u8]) -> Option<InternalDate> {
    let header = &beginning[..beginning.len().min(MOST)];
    let field = topmost(header, b"received:")?;
    let date = field.rsplit(|&byte| byte == b';').next().filter(|date| date.len() < field.len())?;
    let text = String::from_utf8_lossy(date);
    let time = DateTime::parse_rfc822(text.trim())?;
    if !time.is_valid() || !(1970..=9999).contains(&time.year) {
        return None;
    }
    let zone = i16::from(time.tz_hour) * 60 + i16::from(time.tz_minute);
    Some(InternalDate::from_unix(time.to_timestamp(), if time.tz_before_gmt { -zone } else { zone }))
}

/// The body of the first field of this name, with its folded lines.
fn topmost<'h>(header: &'h [u8], name: &[u8]) -> Option<&'h [u8]> {
    let mut at = 0;
    let mut begun = None;
    loop {
        let rest = &header[at..];
        let line = memchr::memchr(b'\n', rest).map_or(rest.len(), |end| end + 1);
        let is_folded = rest.first().is_some_and(|byte| matches!(byte, b' ' | b'\t'));
        match begun {
            Some(_) if is_folded => {}
            Some(begin) => return Some(&header[begin..at]),
            None if rest.is_empty() || rest.starts_with(b"\n") || rest.starts_with(b"\r\n") => return None,
            None if rest.len() >= name.len() && rest[..name.len()].eq_ignore_ascii_case(name) => {
                begun = Some(at + name.len());
            }
            None => {}
        }
        at += line;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn date(header: &str) -> Option<String> {
        received_date(header.as_bytes()).map(|date| date.to_string())
    }

    #[test]
    fn the_topmost_field_counts_and_its_last_semicolon() {
        let header = "Return-Path: <a@b>\r\nReceived: from x (y; z) by mx.example.org\r\n\tfor <c@d>; \
                      Fri, 21 Nov 1997 09:55:06 -0600\r\nReceived: by w; Thu, 20 Nov 1997 01:00:00 +0000\r\n\r\n";
        assert_eq!(date(header).as_deref(), Some("21-Nov-1997 09:55:06 -0600"));
        assert_eq!(
            date("RECEIVED: by w;\n Thu, 20 Nov 1997 01:00:00 +0200 (CEST)\n").as_deref(),
            Some("20-Nov-1997 01:00:00 +0200")
        );
    }

    #[test]
    fn what_cannot_be_read_is_none() {
        for header in [
            "",
            "\r\n",
            "Subject: x\r\n\r\nReceived: by w; Thu, 20 Nov 1997 01:00:00 +0000\r\n",
            "Received: by w\r\n\r\n",
            "Received: by w; gestern\r\n\r\n",
            "Received: by w; Thu, 99 Nov 1997 01:00:00 +0000\r\n\r\n",
            "Received:",
        ] {
            assert_eq!(date(header), None, "{header:?}");
        }
    }

    proptest! {
        #[test]
        fn no_octets_make_it_panic(mut octets in prop::collection::vec(any::<u8>(), 0..300), field in any::<bool>()) {
            if field {
                octets.splice(0..0, *b"Received: x; ");
            }
            let _ = received_date(&octets);
        }
    }
}
