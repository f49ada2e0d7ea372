//! What a mailbox holds, as the judge compares it: per folder how often there is a message with
//! these bytes, flags, keywords and received date.
//!
//! UIDs and order are left out, for another server gives its own. Received dates are instants: a
//! server may tell them in another time zone.

use std::collections::BTreeMap;

use testkit::{Fetched, Imap};

/// A message without its place.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Kept {
    /// Its octets.
    pub bytes: Vec<u8>,
    /// Flags and keywords, sorted.
    pub flags: String,
    /// Seconds since 1970; `None` where the server told no date.
    pub received: Option<i64>,
}

/// All messages of some folders.
#[derive(Clone, PartialEq, Eq)]
pub struct Content(BTreeMap<String, Vec<Kept>>);

impl From<Fetched> for Kept {
    fn from(message: Fetched) -> Self {
        Self {
            flags: message.flags.to_string(),
            received: message.internal_date.unix(),
            bytes: message.bytes,
        }
    }
}

impl Kept {
    /// For the text of a failure: its size, flags, date and subject.
    fn describe(&self) -> String {
        let subject = self.bytes.split(|&byte| byte == b'\n').find(|line| line.starts_with(b"Subject:"));
        let subject = String::from_utf8_lossy(subject.unwrap_or_default()).trim().to_owned();
        format!("{} octets, ({}), received {:?}, {subject}", self.bytes.len(), self.flags, self.received)
    }
}

impl Content {
    /// Everything that the server shows to this user; folders without messages too.
    #[must_use]
    pub fn of(mut judge: Imap) -> Self {
        let folders = judge.everything().into_iter();
        let mut content = Self(
            folders.map(|(name, all)| (name, all.into_iter().map(Kept::from).collect::<Vec<_>>())).collect(),
        );
        content.0.values_mut().for_each(|kept| kept.sort());
        content
    }

    /// The same with other names for the folders.
    #[must_use]
    pub fn renamed(self, name: impl Fn(&str) -> String) -> Self {
        Self(self.0.into_iter().map(|(folder, kept)| (name(&folder), kept)).collect())
    }

    /// Only the folders whose name passes.
    #[must_use]
    pub fn only(mut self, passes: impl Fn(&str) -> bool) -> Self {
        self.0.retain(|name, _| passes(name));
        self
    }

    /// How many messages there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.values().map(Vec::len).sum()
    }

    /// The messages of a folder; none where there is no such folder.
    #[must_use]
    pub fn folder(&self, name: &str) -> &[Kept] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The folders and their messages.
    pub fn folders(&self) -> impl Iterator<Item = (&str, &[Kept])> {
        self.0.iter().map(|(name, kept)| (name.as_str(), kept.as_slice()))
    }

    /// All messages, wherever they are.
    #[must_use]
    pub fn everywhere(&self) -> Vec<&Kept> {
        let mut all: Vec<&Kept> = self.0.values().flatten().collect();
        all.sort();
        all
    }

    /// Fails, with the first differences by name, unless the folders and what they hold are equal.
    ///
    /// # Panics
    /// When they are not.
    #[track_caller]
    pub fn assert_is(&self, wanted: &Self) {
        let mut told = Vec::new();
        for name in wanted.0.keys().chain(self.0.keys().filter(|name| !wanted.0.contains_key(*name))) {
            match (self.0.get(name), wanted.0.get(name)) {
                (Some(held), Some(wanted)) => {
                    let missing = without(wanted, held);
                    let unasked = without(held, wanted);
                    told.extend(missing.iter().map(|kept| format!("{name}: missing {}", kept.describe())));
                    told.extend(unasked.iter().map(|kept| format!("{name}: unasked {}", kept.describe())));
                }
                (None, _) => told.push(format!("{name}: there is no such folder")),
                (_, None) => told.push(format!("{name}: nobody asked for this folder")),
            }
        }
        told.truncate(12);
        assert!(told.is_empty(), "the mailbox is not as it should be:\n{}", told.join("\n"));
    }

    /// Fails unless each folder holds at least what it should.
    ///
    /// # Panics
    /// When something is missing.
    #[track_caller]
    pub fn assert_holds(&self, wanted: &Self) {
        for (name, wanted) in wanted.folders() {
            let missing = without(wanted, self.folder(name));
            let told: Vec<String> = missing.iter().take(5).map(Kept::describe).collect();
            assert!(missing.is_empty(), "{name}: {} are missing: {}", missing.len(), told.join("\n"));
        }
    }
}

/// What is in `these` and not in `those`, each as often as it is missing; both are sorted.
fn without(these: &[Kept], those: &[Kept]) -> Vec<Kept> {
    let mut left: Vec<&Kept> = those.iter().collect();
    let mut missing = Vec::new();
    for kept in these {
        match left.binary_search(&kept) {
            Ok(at) => {
                left.remove(at);
            }
            Err(_) => missing.push(kept.clone()),
        }
    }
    missing
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(text: &str) -> Kept {
        Kept { bytes: text.into(), flags: String::new(), received: Some(1) }
    }

    #[test]
    fn equal_messages_count_as_often_as_they_are_there() {
        let (a, b) = (kept("a"), kept("b"));
        assert!(without(&[a.clone(), a.clone(), b.clone()], &[a.clone(), b.clone()]) == [a.clone()]);
        assert!(without(&[a.clone(), b.clone()], &[a.clone(), a, b]).is_empty());
    }
}
