//! From a look at the target to what is proven: pure.
//!
//! A message is proven when the look has paired it with one of the target, equal in content, flags and
//! received date. For anything else there is a remark that says what is different, in words.

use std::collections::HashSet;

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
            None if merged.has(wanted) => vec!["merged by the server with an equal message".to_owned()],
            None => match folder.given.get(&index) {
                Some(uid) if shown.contains(uid) => {
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
        let kept = seen.date.map_or("none".to_owned(), |date| InternalDate::from_unix(date, 0).to_string());
        what.push(format!("the server keeps another received date: {kept} in place of {}", own.to_date()));
    }
    what
}

/// The flags of the first that the second lacks; case does not matter.
pub(super) fn without(flags: &Flags, others: &Flags) -> Flags {
    flags.iter().filter(|flag| !others.contains(flag)).collect()
}

/// Messages of which an equal one has been found: a server that keeps one of several equal ones has
/// merged the others with it.
struct Merged(HashSet<MessageKey>);

impl Merged {
    fn new(wanted: &[Wanted], look: &Look) -> Self {
        let found = (0..wanted.len()).filter(|&index| look.pairs[index].is_some());
        Self(found.map(|index| wanted[index].key).collect())
    }

    fn has(&self, wanted: &Wanted) -> bool {
        self.0.contains(&wanted.key)
    }
}

/// How many messages of the target have the content of one of ours and are not needed for any.
pub(super) fn copies_beyond(wanted: &[Wanted], look: &Look) -> u64 {
    let taken: HashSet<usize> = look.pairs.iter().flatten().map(|pair| pair.seen).collect();
    let mut names: HashSet<(u64, BlobName)> = HashSet::new();
    let mut keys = HashSet::new();
    for wanted in wanted {
        keys.insert(wanted.key);
        if let Header::Named(name) = wanted.header {
            names.insert((wanted.size, name));
        }
    }
    let is_ours = |seen: &Seen| match seen.content {
        Content::Bytes(key) => keys.contains(&key),
        Content::Header(name) => names.contains(&(seen.size, name)),
        Content::Unknown => false,
    };
    let left = look.seen.iter().enumerate().filter(|(place, _)| !taken.contains(place));
    left.filter(|(_, seen)| is_ours(seen)).count() as u64
}
