//! Every place where we read what the grammar forbids, because some server sends it and its meaning
//! is clear. What frames a message is never guessed at; that is [`frame`](super::frame)'s.
//!
//! | seen | taken as |
//! |---|---|
//! | a line ended by LF alone (in `frame`) | a line |
//! | NUL in a status text; no blank, or 8-bit text, right after a response code | the text without it |
//! | a status line whose code or text cannot be read | the status, the rest as text |
//! | a completion with a tag that is not ours, while one command is under way | its completion |
//! | UIDs of a set unsorted, doubled, ranges with the larger end first | the set |
//! | mailbox names with blanks and without quotes in LIST and STATUS | the name |
//! | MAILBOXID that can be no name (Cyrus 3.6 in STATUS) | none was told |
//! | LIST that cannot be read at all | a mailbox of that raw name, so that it is missed by name |
//! | `HEADER.FIELDS` with blanks or quotes of its own | the section that was asked for |
//! | FETCH items that nobody asked for, blanks where none belong | passed over |

use message::{Uid, UidSet};

/// A status line, completion or continuation, made fit for imap-proto. With it goes the line end.
///
/// Besides what the table says this keeps imap-proto 0.17 from a panic: it cuts one octet off the
/// text after a response code, in the middle of a character when that is not a blank.
/// `None` when the line is none of these.
pub(crate) fn conversational(line: &[u8]) -> Option<Vec<u8>> {
    /// Longer texts are cut; codes that matter are short, and the parser above reads from the
    /// start for every 4 KiB that come.
    const LENGTH: usize = 16 << 10;
    let mut clean = Vec::with_capacity(line.len() + 8);
    for &byte in &line[..line.len().min(LENGTH)] {
        if byte >= 0x80 && clean.last() == Some(&b']') {
            clean.push(b' ');
        }
        if byte != 0 && byte != b'\r' {
            clean.push(byte);
        }
    }
    clean.extend_from_slice(b"\r\n");
    if is_readable(&clean) {
        return Some(clean);
    }
    let plain = without_code(line)?;
    is_readable(&plain).then_some(plain)
}

fn is_readable(line: &[u8]) -> bool {
    matches!(imap_proto::Response::parse(line), Ok(([], _)))
}

/// The first two words, and the rest as harmless text.
fn without_code(line: &[u8]) -> Option<Vec<u8>> {
    const LENGTH: usize = 500;
    let mut words = line.splitn(3, |&byte| byte == b' ');
    let (tag, status) = (words.next()?, words.next()?);
    let mut plain = [tag, b" ", status, b" "].concat();
    for &byte in words.next().unwrap_or_default().iter().take(LENGTH) {
        plain.push(match byte {
            b'[' => b'(',
            b']' => b')',
            0x20..0x7f => byte,
            _ => b'?',
        });
    }
    plain.extend_from_slice(b"\r\n");
    Some(plain)
}

/// Whether a completion's tag may be taken for that of the one command that is under way: not when
/// it is of the form of ours, for then it is the answer to another command.
pub(crate) fn stands_for_ours(tag: &str) -> bool {
    tag.strip_prefix('r').is_none_or(|number| number.parse::<u32>().is_err())
}

/// A set of UIDs in any order. `None` when anything in it is not a UID, 0 and `*` included.
pub(crate) fn uid_set(text: &[u8]) -> Option<UidSet> {
    let number = |digits: &str| {
        let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
        plain.then(|| digits.parse().ok().and_then(Uid::new)).flatten()
    };
    let mut ranges = Vec::new();
    for item in std::str::from_utf8(text).ok()?.split(',') {
        let (a, b) = item.split_once(':').unwrap_or((item, item));
        let (a, b) = (number(a)?, number(b)?);
        ranges.push((a.min(b), a.max(b)));
    }
    // Sorted first: a set grows cheaply only at its end, and the order is the server's.
    ranges.sort_unstable();
    let mut set = UidSet::new();
    for (first, last) in ranges {
        set.insert_range(first..=last);
    }
    Some(set)
}

/// Whether a section, in capitals, is `HEADER.FIELDS (MESSAGE-ID)`, however it is spelt.
pub(crate) fn is_message_id_section(section: &str) -> bool {
    let spelt = section.bytes().filter(|byte| !matches!(byte, b' ' | b'"'));
    spelt.eq(b"HEADER.FIELDS(MESSAGE-ID)".iter().copied())
}

/// The name in what follows the delimiter of a LIST response, when it stands there without quotes:
/// up to extended data (` (…`), else all of it.
pub(crate) fn bare_list_name(rest: &[u8]) -> &[u8] {
    let extended = memchr::memmem::find_iter(rest, b" (")
        .find(|at| matches!(rest.get(at + 2), Some(b'"' | b'(')) && rest.ends_with(b")"));
    &rest[..extended.unwrap_or(rest.len())]
}

/// Where the items of a STATUS response begin whose name stands there without quotes, blanks and
/// all: at the last list that is not the value of MAILBOXID.
pub(crate) fn bare_status_name(rest: &[u8]) -> Option<usize> {
    let mut end = rest.len();
    loop {
        end = memchr::memmem::rfind(&rest[..end], b" (")?;
        if !rest[..end].to_ascii_uppercase().ends_with(b"MAILBOXID") {
            return Some(end);
        }
    }
}

/// Whether this can be the server's name of a mailbox (RFC 8474 §7). Cyrus 3.6 answers STATUS with
/// octets from anywhere in its memory, the same for many mailboxes.
pub(crate) fn is_object_id(id: &str) -> bool {
    /// RFC 8474 §7: `1*255`.
    const LONGEST: usize = 255;
    let fits = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(fits)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn passed(line: &[u8]) -> String {
        String::from_utf8(conversational(line).unwrap()).unwrap()
    }

    #[test]
    fn i25_status_lines_are_made_readable() {
        for (line, expected) in [
            ("r1 OK", "r1 OK\r\n"),
            ("r1 OK [READ-ONLY]", "r1 OK [READ-ONLY]\r\n"),
            ("r1 OK [READ-ONLY]é", "r1 OK [READ-ONLY] é\r\n"),
            ("* NO [ALERT]\0 x\0y", "* NO [ALERT] xy\r\n"),
            ("* OK [UIDVALIDITY 99999999999] x", "* OK [UIDVALIDITY 99999999999] x\r\n"),
            ("+", "+\r\n"),
            ("+ cGFzcw==", "+ cGFzcw==\r\n"),
        ] {
            assert_eq!(passed(line.as_bytes()), expected);
        }
        assert!(conversational(b"r1 OK [ALERT]\xff\xfe").is_some());
        assert!(conversational(&[b"r1 NO ".as_slice(), &[b'x'; 100_000]].concat()).unwrap().len() < 20_000);
        assert_eq!(conversational(b"* 12 WHATEVER"), None);
        assert_eq!(conversational(b"HTTP/1.1 400 Bad Request"), None);
    }

    #[test]
    fn i19_sets_are_read_in_any_order_but_never_with_0() {
        assert_eq!(uid_set(b"9,5:3,4,9").unwrap().to_string(), "3:5,9");
        for text in ["", "0", "1:0", "1:*", "*", "1,,2", "-1", "4294967296", "a"] {
            assert_eq!(uid_set(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn a_long_set_in_the_worst_order_costs_no_more_than_sorting() {
        let text = (1..200_000u32).rev().map(|n| (2 * n).to_string()).collect::<Vec<_>>().join(",");
        assert_eq!(uid_set(text.as_bytes()).unwrap().len(), 199_999);
    }

    #[test]
    fn i27_names_without_quotes_are_read() {
        assert_eq!(bare_list_name(b"Sent Items"), b"Sent Items");
        assert_eq!(bare_list_name(b"Sent (old) Items"), b"Sent (old) Items");
        assert_eq!(bare_list_name(br#"Sent Items (("CHILDINFO" ("SUBSCRIBED")))"#), b"Sent Items");
        assert_eq!(bare_status_name(b"Sent Items (MESSAGES 2)"), Some(10));
        assert_eq!(bare_status_name(b"a (b) (MESSAGES 2 MAILBOXID (x))"), Some(5));
        assert_eq!(bare_status_name(b"a"), None);
    }

    proptest! {
        #[test]
        fn no_line_makes_imap_proto_panic(line in prop::collection::vec(any::<u8>(), 0..60)) {
            let _ = conversational(&line);
            let _ = conversational(&[b"* OK [ALERT]".as_slice(), &line].concat());
            let _ = conversational(&[b"r1 NO [UIDNEXT 5]".as_slice(), &line].concat());
        }
    }
}
