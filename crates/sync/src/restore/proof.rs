//! From a look at the target to what is proven: pure.
//!
//! A message is proven when the look has paired it with one of the target, equal in content, flags and
//! received date. For anything else there is a remark that says what is different, in words.

use std::collections::{HashMap, HashSet};

use message::{BlobName, Flags, InternalDate, MessageKey};

use super::folder::{Folder, State};
use super::look::Look;
use super::pairing::{Content, How, Seen};
use super::report::Remark;
use super::wanted::{Header, Wanted};

/// Counts what is proven and writes down what is not as it was.
///
/// With `keep_flags` the flags of what was there before are as they shall be.
pub(super) fn prove(folder: &mut Folder, look: &Look, keep_flags: bool) {
    let merged = Merged::new(&folder.wanted, look);
    let shown: HashSet<_> = look.seen.iter().map(|seen| seen.uid).collect();
    let (mut proven, mut by_bytes, mut remarks) = (0, 0, Vec::new());
    for (index, wanted) in folder.wanted.iter().enumerate() {
        if !matches!(folder.states[index], State::There | State::Added) {
            continue;
        }
        let what = match look.of(index) {
            Some((seen, how)) => {
                let any_flags = keep_flags && folder.states[index] == State::There;
                differences(wanted, seen, how, any_flags)
            }
            None => match (merged.date_of(wanted), folder.given.get(&index)) {
                (Some(date), _) => {
                    let date = shown_date(date);
                    vec![format!(
                        "merged by the server with an equal message, which keeps the received date {date}"
                    )]
                }
                (None, Some(uid)) if shown.contains(uid) => {
                    vec![format!(
                        "different: what the server shows in its place, under UID {uid}, is another message"
                    )]
                }
                _ => {
                    vec!["taken, then gone: the server said that it has it, and does not show it".to_owned()]
                }
            },
        };
        if what.is_empty() {
            proven += 1;
            by_bytes += u64::from(look.of(index).is_some_and(|(_, how)| *how == How::Bytes));
            continue;
        }
        let (id, uid) = (wanted.key.to_string(), wanted.uid.get());
        remarks.push(Remark { id, uid, what: what.join("; ") });
    }
    folder.report.proven = proven;
    folder.report.proven_by_bytes = by_bytes;
    folder.report.remarks = remarks;
}

/// What is not as it was.
fn differences(wanted: &Wanted, seen: &Seen, how: &How, any_flags: bool) -> Vec<String> {
    let mut what = Vec::new();
    if let How::ButFor(changes) = how {
        what.push(format!("equal but for: {changes}"));
    }
    let lacking = without(&wanted.flags, &seen.flags);
    if !any_flags && !lacking.is_empty() {
        what.push(format!("flags not kept: {lacking}"));
    }
    let extra = without(&seen.flags, &wanted.flags);
    if !any_flags && !extra.is_empty() {
        what.push(format!("the target has more flags: {extra}"));
    }
    if let Some(own) = wanted.date
        && seen.date != Some(own.unix)
    {
        let kept = shown_date(seen.date);
        what.push(format!("the server keeps another received date: {kept} in place of {}", own.to_date()));
    }
    what
}

/// Whether both are the same flags; case does not matter.
pub(super) fn are_same(flags: &Flags, others: &Flags) -> bool {
    without(flags, others).is_empty() && without(others, flags).is_empty()
}

/// The flags of the first that the second lacks; case does not matter.
fn without(flags: &Flags, others: &Flags) -> Flags {
    flags.iter().filter(|flag| !others.contains(flag)).collect()
}

/// Messages of which an equal one has been found: a server that keeps one of several equal ones has
/// merged the others with it.
struct Merged(HashMap<MessageKey, Option<i64>>);

impl Merged {
    fn new(wanted: &[Wanted], look: &Look) -> Self {
        let found = (0..wanted.len()).filter_map(|index| Some((wanted[index].key, look.of(index)?.0.date)));
        Self(found.collect())
    }

    /// The received date of the one that was found, if there is one.
    fn date_of(&self, wanted: &Wanted) -> Option<Option<i64>> {
        self.0.get(&wanted.key).copied()
    }
}

fn shown_date(date: Option<i64>) -> String {
    date.map_or("none".to_owned(), |date| InternalDate::from_unix(date, 0).to_string())
}

/// How many messages of the target are one of ours, as far as is known, and are not needed for any.
pub(super) fn copies_beyond(wanted: &[Wanted], look: &Look) -> u64 {
    let taken: HashSet<usize> = look.pairs.iter().flatten().map(|pair| pair.seen).collect();
    let mut headers: HashSet<(u64, BlobName, Option<i64>)> = HashSet::new();
    let mut keys = HashSet::new();
    for wanted in wanted {
        keys.insert(wanted.key);
        if let Header::Named(name) = wanted.header {
            headers.insert((wanted.size, name, wanted.date.map(|date| date.unix)));
        }
    }
    let is_ours = |seen: &Seen| match seen.content {
        Content::Bytes(key) => keys.contains(&key),
        Content::Header(name) => headers.contains(&(seen.size, name, seen.date)),
        Content::Unknown => false,
    };
    let left = look.seen.iter().enumerate().filter(|(place, _)| !taken.contains(place));
    left.filter(|(_, seen)| is_ours(seen)).count() as u64
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use message::{MailboxName, Uid};

    use super::super::pairing::Pair;
    use super::super::report::FolderReport;
    use super::super::wanted::Moment;
    use super::*;

    fn wanted(key: u8, flags: &str) -> Wanted {
        Wanted {
            uid: Uid::new(u32::from(key) + 1).expect("not 0"),
            key: MessageKey::of(&[key]),
            size: 10,
            date: Some(Moment { unix: 1_700_000_000, offset_minutes: 60 }),
            flags: Arc::new(Flags::parse(flags)),
            header: Header::NotAsked,
            lost: false,
        }
    }

    fn seen(uid: u32, flags: &str, date: i64) -> Seen {
        let (uid, flags) = (Uid::new(uid).expect("not 0"), Arc::new(Flags::parse(flags)));
        Seen { uid, size: 10, date: Some(date), flags, content: Content::Unknown, is_given: false }
    }

    fn paired(seen: usize, how: How) -> Option<Pair> {
        Some(Pair { seen, how })
    }

    /// The report of these messages, all taken, of which this is seen.
    fn report(
        wanted: Vec<Wanted>,
        seen: Vec<Seen>,
        pairs: Vec<Option<Pair>>,
        keep_flags: bool,
    ) -> FolderReport {
        let name = MailboxName::from_text("INBOX", None);
        let mut folder = Folder::new(name, wanted, FolderReport::default());
        folder.states.fill(if keep_flags { State::There } else { State::Added });
        folder.given.insert(0, Uid::new(7).expect("not 0"));
        prove(&mut folder, &Look { validity: None, seen, pairs }, keep_flags);
        folder.into_report()
    }

    fn remark(wanted: Wanted, seen: Seen, how: How) -> String {
        let report = report(vec![wanted], vec![seen], vec![paired(0, how)], false);
        report.remarks.first().map_or_else(String::new, |remark| remark.what.clone())
    }

    #[test]
    fn only_what_is_equal_in_all_is_proven() {
        let same = seen(7, "\\Seen work", 1_700_000_000);
        let whole = report(
            vec![wanted(1, "\\Seen WORK"), wanted(2, "")],
            vec![same, seen(8, "", 1_700_000_000)],
            vec![paired(0, How::Bytes), paired(1, How::Header)],
            false,
        );
        assert_eq!((whole.proven, whole.proven_by_bytes, whole.remarks), (2, 1, vec![]));
    }

    #[test]
    fn r04_r13_what_is_different_is_said_in_words() {
        let read = || wanted(1, "\\Seen work");
        assert_eq!(
            remark(read(), seen(7, "\\Seen other", 1_700_000_000), How::Header),
            "flags not kept: work; the target has more flags: other"
        );
        assert_eq!(
            remark(read(), seen(7, "\\Seen work", 1_800_000_000), How::Bytes),
            "the server keeps another received date: 15-Jan-2027 08:00:00 +0000 in place of 14-Nov-2023 \
             23:13:20 +0100"
        );
        let changed = How::ButFor("line ends made CRLF".to_owned());
        assert_eq!(
            remark(read(), seen(7, "\\Seen work", 1_700_000_000), changed),
            "equal but for: line ends made CRLF"
        );
    }

    #[test]
    fn r12_r16_what_was_taken_and_is_not_there_is_told_apart() {
        let gone = |seen: Vec<Seen>, wanted: Vec<Wanted>, pairs| {
            let report = report(wanted, seen, pairs, false);
            assert_eq!(report.proven + report.remarks.len() as u64, report.asked);
            report.remarks[0].what.clone()
        };
        let other = seen(7, "", 1_700_000_000);
        assert!(gone(vec![], vec![wanted(1, "")], vec![None]).starts_with("taken, then gone"));
        assert!(gone(vec![other.clone()], vec![wanted(1, "")], vec![None]).starts_with("different"));
        let twins = vec![wanted(1, ""), wanted(1, "")];
        assert!(gone(vec![other], twins, vec![None, paired(0, How::Bytes)]).starts_with("merged"));
    }

    #[test]
    fn flags_of_what_was_there_may_stay_as_they_are() {
        let pairs = || vec![paired(0, How::Bytes)];
        let other_flags = || vec![seen(7, "\\Flagged", 1_700_000_000)];
        assert_eq!(report(vec![wanted(1, "")], other_flags(), pairs(), true).proven, 1);
        assert_eq!(report(vec![wanted(1, "")], other_flags(), pairs(), false).proven, 0);
    }
}
