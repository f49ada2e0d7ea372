//! Recognising messages that the archive already holds, from little data.
//!
//! When a mailbox gets a new UIDVALIDITY, moves to another server, or its messages are moved about,
//! every UID is new while the content is not. Before such a message is fetched, it is compared with
//! what the account has in the archive:
//!
//! * **By date**: size and INTERNALDATE (to the second) are equal. Then the first octets of the
//!   message ([`start_length`]) are fetched and compared byte for byte.
//! * **By header**: only the size is equal, as after a migration that stamped all messages with its
//!   own day. Then the whole header block is fetched and its BLAKE3 compared.
//!
//! A match counts only if it is unique on both sides: one message on the server and one in the
//! archive with these properties. Whatever is ambiguous is fetched. What this risks: two messages of
//! one account with equal size and equal beginning (or equal header block) that differ further down
//! would be taken for one. So a match is recorded as not yet proven by its bytes, is counted apart
//! in the ledger, and later runs compare the bytes until none is left.

use std::collections::HashMap;
use std::hash::Hash;

use message::{BlobName, MessageKey, Uid};

/// Smaller messages are fetched outright: asking would cost about as much.
const MIN_BYTES: u64 = 1 << 10;

/// A message on the server that the archive does not hold under this UID.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stranger {
    pub(crate) uid: Uid,
    /// RFC822.SIZE.
    pub(crate) size: u64,
    /// INTERNALDATE in seconds since 1970.
    pub(crate) date: Option<i64>,
}

/// A message that the account has, or once had, of a stranger's size.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    pub(crate) key: MessageKey,
    pub(crate) dates: Vec<i64>,
    pub(crate) header: Option<BlobName>,
}

/// What must be fetched of a stranger to know it.
#[derive(Clone, Debug)]
pub(crate) enum Question {
    /// Its first octets, to be compared with the beginnings of these.
    Start { stranger: Stranger, candidates: Vec<MessageKey> },
    /// Its header block, to be compared with the header blocks of these.
    Header { stranger: Stranger, candidates: Vec<(MessageKey, BlobName)> },
}

/// How many octets of a message of this size are compared when size and date are equal: enough to
/// reach into the trace headers, and about 3 % of a message at most where messages have any weight.
pub(crate) fn start_length(size: u64) -> u32 {
    match size {
        0..8_192 => 128,
        8_192..16_384 => 256,
        _ => 512,
    }
}

/// The questions worth asking. A stranger without a candidate, or too small, is not asked about.
pub(crate) fn questions(strangers: &[Stranger], known: &HashMap<u64, Vec<Known>>) -> Vec<Question> {
    let ask = |&stranger: &Stranger| {
        let same_size = known.get(&stranger.size).filter(|_| stranger.size >= MIN_BYTES)?;
        let same_date = |known: &&Known| stranger.date.is_some_and(|date| known.dates.contains(&date));
        let candidates: Vec<_> = same_size.iter().filter(same_date).map(|known| known.key).collect();
        if !candidates.is_empty() {
            return Some(Question::Start { stranger, candidates });
        }
        let candidates: Vec<_> =
            same_size.iter().filter_map(|known| Some((known.key, known.header?))).collect();
        (!candidates.is_empty()).then_some(Question::Header { stranger, candidates })
    };
    strangers.iter().filter_map(ask).collect()
}

/// Which strangers are which messages. `starts` are the beginnings that the server sent,
/// `known_start` the beginnings in the archive, `headers` the names of the header blocks sent.
pub(crate) fn decide(
    questions: &[Question],
    starts: &HashMap<Uid, Vec<u8>>,
    known_start: &HashMap<MessageKey, Vec<u8>>,
    headers: &HashMap<Uid, BlobName>,
) -> Vec<(Uid, MessageKey)> {
    let (mut by_start, mut by_header) = (Pairs::default(), Pairs::default());
    for question in questions {
        match question {
            Question::Start { stranger, candidates } => {
                let Some(start) = starts.get(&stranger.uid) else { continue };
                let equal =
                    |key: &&MessageKey| known_start.get(key).is_some_and(|known| known.starts_with(start));
                let evidence = (stranger.size, stranger.date, start.as_slice());
                by_start.add(evidence, stranger.uid, candidates.iter().filter(equal).copied());
            }
            Question::Header { stranger, candidates } => {
                let Some(&header) = headers.get(&stranger.uid) else { continue };
                let equal = candidates.iter().filter(|&&(_, known)| known == header);
                by_header.add((stranger.size, header), stranger.uid, equal.map(|&(key, _)| key));
            }
        }
    }
    by_start.unique().chain(by_header.unique()).collect()
}

/// Strangers and candidates that share the same evidence.
struct Pairs<E>(HashMap<E, (Vec<Uid>, Vec<MessageKey>)>);

impl<E> Default for Pairs<E> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl<E: Eq + Hash> Pairs<E> {
    fn add(&mut self, evidence: E, uid: Uid, keys: impl Iterator<Item = MessageKey>) {
        let (uids, known) = self.0.entry(evidence).or_default();
        uids.push(uid);
        for key in keys {
            if !known.contains(&key) {
                known.push(key);
            }
        }
    }

    fn unique(self) -> impl Iterator<Item = (Uid, MessageKey)> {
        self.0.into_values().filter_map(|(uids, keys)| match (uids.as_slice(), keys.as_slice()) {
            (&[uid], &[key]) => Some((uid, key)),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uid(number: u32) -> Uid {
        Uid::new(number).expect("not 0")
    }

    fn stranger(number: u32, size: u64, date: i64) -> Stranger {
        Stranger { uid: uid(number), size, date: Some(date) }
    }

    fn known(bytes: &[u8], date: i64, header: &[u8]) -> Known {
        Known { key: MessageKey::of(bytes), dates: vec![date], header: Some(BlobName::of(header)) }
    }

    fn answers(pairs: &[(u32, &str)]) -> HashMap<Uid, Vec<u8>> {
        pairs.iter().map(|&(number, start)| (uid(number), start.as_bytes().to_vec())).collect()
    }

    fn starts(pairs: &[(&[u8], &str)]) -> HashMap<MessageKey, Vec<u8>> {
        pairs.iter().map(|&(bytes, start)| (MessageKey::of(bytes), start.as_bytes().to_vec())).collect()
    }

    #[test]
    fn equal_size_date_and_beginning_make_a_match() {
        let held = HashMap::from([(
            5_000,
            vec![known(b"a", 7, b"ha"), known(b"b", 7, b"hb"), known(b"c", 8, b"hc")],
        )]);
        let asked = questions(&[stranger(1, 5_000, 7), stranger(2, 5_001, 7)], &held);
        assert!(
            matches!(&asked[..], [Question::Start { candidates, .. }] if candidates.len() == 2),
            "{asked:?}"
        );
        let sent = answers(&[(1, "Received: b")]);
        let archive = starts(&[(b"a", "Received: a, and on"), (b"b", "Received: b, and on")]);
        assert_eq!(decide(&asked, &sent, &archive, &HashMap::new()), [(uid(1), MessageKey::of(b"b"))]);
    }

    #[test]
    fn two_of_a_kind_on_either_side_are_fetched() {
        let one = HashMap::from([(5_000, vec![known(b"a", 7, b"h")])]);
        let twins = questions(&[stranger(1, 5_000, 7), stranger(2, 5_000, 7)], &one);
        let sent = answers(&[(1, "x"), (2, "x")]);
        assert!(decide(&twins, &sent, &starts(&[(b"a", "xy")]), &HashMap::new()).is_empty());

        let two = HashMap::from([(5_000, vec![known(b"a", 7, b"h"), known(b"b", 7, b"h")])]);
        let asked = questions(&[stranger(1, 5_000, 7)], &two);
        let archive = starts(&[(b"a", "xy"), (b"b", "xz")]);
        assert!(decide(&asked, &answers(&[(1, "x")]), &archive, &HashMap::new()).is_empty());
    }

    #[test]
    fn where_all_dates_changed_the_whole_header_block_decides() {
        let held = HashMap::from([(5_000, vec![known(b"a", 7, b"ha"), known(b"b", 7, b"hb")])]);
        let asked = questions(&[stranger(1, 5_000, 99)], &held);
        assert!(matches!(&asked[..], [Question::Header { .. }]), "{asked:?}");
        let headers = HashMap::from([(uid(1), BlobName::of(b"hb"))]);
        let found = decide(&asked, &HashMap::new(), &HashMap::new(), &headers);
        assert_eq!(found, [(uid(1), MessageKey::of(b"b"))]);
    }

    #[test]
    fn a_question_that_the_server_did_not_answer_matches_nothing() {
        let held = HashMap::from([(5_000, vec![known(b"a", 7, b"h")])]);
        let asked = questions(&[stranger(1, 5_000, 7)], &held);
        assert!(decide(&asked, &HashMap::new(), &starts(&[(b"a", "x")]), &HashMap::new()).is_empty());
    }

    #[test]
    fn small_messages_are_not_worth_a_question() {
        let held = HashMap::from([(900, vec![known(b"a", 7, b"h")])]);
        assert!(questions(&[stranger(1, 900, 7)], &held).is_empty());
        assert_eq!((start_length(1_024), start_length(8_192), start_length(1 << 30)), (128, 256, 512));
    }
}
