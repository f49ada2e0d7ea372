//! What came, held against what the server had told: LIST counts octets (RFC 1939 §11), and many
//! servers count others.
//!
//! The count never decides where a message ends. It decides one thing, about the last line end: POP3
//! ends each message with CRLF, whether it had one or not (RFC 1939 §3). Where the octets that came are
//! exactly two more than LIST had told, the server counted the message as it is, without that CRLF, so
//! it is taken off again. One case is left out: a server that counts each line end as one octet is two
//! short for a message of exactly two lines, which are then believed to be there. The rule looks at
//! nothing but the message and its count, so it gives the same at each fetch.

/// How the octets that came stand to those that LIST had told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// They are as many.
    Exact,
    /// They were as many without the CRLF that POP3 puts behind a message that does not end in one;
    /// it has been taken off.
    WithoutLastLineEnd,
    /// They are not.
    Other {
        /// By LIST.
        told: u64,
        /// Octets.
        came: u64,
    },
    /// Nothing was told.
    Untold,
}

/// Line ends are counted up to here.
const ENOUGH: u8 = 3;

/// What has come of a message.
#[derive(Debug, Default)]
pub(super) struct Tally {
    octets: u64,
    /// CRLF, up to [`ENOUGH`].
    line_ends: u8,
    /// Whether the last octet was a CR.
    after_cr: bool,
}

impl Tally {
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// Some more of it has come.
    pub(super) fn add(&mut self, octets: &[u8]) {
        let mut searched = 0;
        while self.line_ends < ENOUGH
            && let Some(at) = memchr::memchr(b'\n', &octets[searched..])
        {
            let at = searched + at;
            let after_cr = if at == 0 { self.after_cr } else { octets[at - 1] == b'\r' };
            self.line_ends += u8::from(after_cr);
            searched = at + 1;
        }
        self.after_cr = octets.last().map_or(self.after_cr, |last| *last == b'\r');
        self.octets += octets.len() as u64;
    }

    /// All has come; it ends in CRLF unless it is empty.
    pub(super) fn count(&self, told: Option<u64>) -> Count {
        let came = self.octets;
        match told {
            None => Count::Untold,
            Some(told) if told == came => Count::Exact,
            Some(told) if told.checked_add(2) == Some(came) && self.line_ends != 2 => {
                Count::WithoutLastLineEnd
            }
            Some(told) => Count::Other { told, came },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(message: &[u8], told: u64) -> Count {
        let mut whole = Tally::default();
        whole.add(message);
        let mut pieces = Tally::default();
        message.chunks(1).for_each(|octet| pieces.add(octet));
        assert_eq!(whole.count(Some(told)), pieces.count(Some(told)));
        assert_eq!(whole.count(None), Count::Untold);
        whole.count(Some(told))
    }

    #[test]
    fn p13_the_last_line_end_is_pop3s_where_the_server_did_not_count_it() {
        assert_eq!(count(b"a\r\nb\r\nc\r\n", 9), Count::Exact);
        assert_eq!(count(b"a\r\nb\r\nc\r\n", 7), Count::WithoutLastLineEnd);
        assert_eq!(count(b"abc\r\n", 3), Count::WithoutLastLineEnd);
        assert_eq!(count(b"\r\n", 0), Count::WithoutLastLineEnd);
        assert_eq!(count(b"", 0), Count::Exact);
        // Two lines, each end counted as one octet, look the same: the octets stay as they came.
        assert_eq!(count(b"abc\r\ndef\r\n", 8), Count::Other { told: 8, came: 10 });
        assert_eq!(count(b"a\r\n\nb\r\n\n", 7), Count::Other { told: 7, came: 8 });
    }

    #[test]
    fn p10_other_counts_are_told_and_change_nothing() {
        assert_eq!(count(b"abc\r\n", 0), Count::Other { told: 0, came: 5 });
        assert_eq!(count(b"abc\r\n", u64::MAX), Count::Other { told: u64::MAX, came: 5 });
        assert_eq!(count(b"a\r\nb\r\nc\r\n", 6), Count::Other { told: 6, came: 9 });
    }
}
