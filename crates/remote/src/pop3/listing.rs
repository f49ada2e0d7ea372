//! The lines of STAT, LIST and UIDL (RFC 1939 §5, §7): a number, and what belongs to it.
//!
//! A line that cannot be read is one that is missing; the caller sees it by the count and asks for that
//! message alone. So are two lines that say different things of one message.

use message::Uidl;

/// `2 320`: how many messages, and how many octets they have; these 0 where they cannot be read, for
/// they are a hint.
pub(super) fn stat(text: &[u8]) -> Option<(u32, u64)> {
    let (messages, rest) = number(text)?;
    Some((u32::try_from(messages).ok()?, number(rest).map_or(0, |(octets, _)| octets)))
}

/// `1 120`: a message and its octets. Some servers say more, which means nothing.
pub(super) fn size(line: &[u8]) -> Option<(u32, u64)> {
    let (message, rest) = entry(line)?;
    Some((message, number(rest)?.0))
}

/// `1 whqtswO00WBw418f9t5JxYwZ`: a message and its unique-id, which is all that follows.
pub(super) fn uidl(line: &[u8]) -> Option<(u32, Uidl)> {
    let (message, rest) = entry(line)?;
    Some((message, Uidl::new(rest)?))
}

fn entry(line: &[u8]) -> Option<(u32, &[u8])> {
    let (message, rest) = number(line)?;
    let follows_blank = rest.first().is_some_and(|octet| matches!(octet, b' ' | b'\t'));
    let message = u32::try_from(message).ok().filter(|_| follows_blank)?;
    Some((message, rest.trim_ascii_start()))
}

/// A number and what follows it. Blanks may stand before it.
fn number(text: &[u8]) -> Option<(u64, &[u8])> {
    let text = text.trim_ascii_start();
    let digits = text.iter().take_while(|octet| octet.is_ascii_digit()).count();
    let (digits, rest) = text.split_at(digits);
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, rest))
}

/// What a listing says, ascending by number; messages of which it says two things are left out.
pub(super) fn settled<T: PartialEq>(mut entries: Vec<(u32, T)>) -> Vec<(u32, T)> {
    if entries.is_sorted_by(|a, b| a.0 < b.0) {
        return entries;
    }
    entries.sort_by_key(|(number, _)| *number);
    let mut settled: Vec<(u32, T)> = Vec::with_capacity(entries.len());
    let mut disputed = Vec::new();
    for (number, said) in entries {
        match settled.last() {
            Some((last, before)) if *last == number => {
                if *before != said {
                    disputed.push(number);
                }
            }
            _ => settled.push((number, said)),
        }
    }
    settled.retain(|(number, _)| disputed.binary_search(number).is_err());
    settled
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lines_are_read_as_servers_write_them() {
        assert_eq!(stat(b"2 320"), Some((2, 320)));
        assert_eq!(stat(b" 2  320 octets"), Some((2, 320)));
        assert_eq!(stat(b"2"), Some((2, 0)));
        assert_eq!(stat(b"0 0"), Some((0, 0)));
        assert_eq!(size(b"1 120"), Some((1, 120)));
        assert_eq!(size(b"1\t120 octets"), Some((1, 120)));
        assert_eq!(
            uidl(b"1 whqtswO00WBw418f9t5JxYwZ"),
            Uidl::new(b"whqtswO00WBw418f9t5JxYwZ").map(|u| (1, u))
        );
        assert_eq!(uidl(b"007  a b \xe9"), Uidl::new(b"a b \xe9").map(|uidl| (7, uidl)));
    }

    #[test]
    fn p02_lines_that_cannot_be_read_are_missing() {
        for line in ["", "x", "1", "1 ", "-1 2", "1x 2", "99999999999 2", "99999999999999999999999 2"] {
            assert_eq!(uidl(line.as_bytes()), None, "{line}");
        }
        assert_eq!(uidl(&[b"1 ", &[b'x'; Uidl::MAX_LENGTH + 1][..]].concat()), None);
        for line in ["1 x", "1 -2", "1 18446744073709551616"] {
            assert_eq!(size(line.as_bytes()), None, "{line}");
        }
        assert_eq!(stat(b"many"), None);
        assert_eq!(stat(b"4294967296 1"), None);
    }

    #[test]
    fn what_is_said_twice_counts_once_and_what_is_disputed_not_at_all() {
        assert_eq!(settled(vec![(1, 'a'), (2, 'b')]), [(1, 'a'), (2, 'b')]);
        assert_eq!(settled(vec![(3, 'c'), (1, 'a'), (3, 'c')]), [(1, 'a'), (3, 'c')]);
        assert_eq!(settled(vec![(2, 'b'), (1, 'a'), (2, 'x'), (2, 'b')]), [(1, 'a')]);
    }

    proptest! {
        #[test]
        fn listings_are_ascending_whatever_was_said(entries in prop::collection::vec((0u32..9, 0u8..3), 0..30)) {
            let settled = settled(entries.clone());
            prop_assert!(settled.is_sorted_by(|a, b| a.0 < b.0));
            for (number, said) in &settled {
                prop_assert!(entries.iter().filter(|entry| entry.0 == *number).all(|entry| entry.1 == *said));
            }
        }
    }
}
