//! Mail to fill a store with: written for this project, made by rule, the same for the same seed.
//!
//! The mail is what people have: threads with quoted replies, HTML beside text, attachments that
//! are sent around more than once, letters in several scripts, folders within folders, a few
//! messages that break the rules as real ones do (bare line feeds, raw 8-bit octets), and
//! messages that lie in two folders. No message exists twice in one folder.
//!
//! ```
//! let store = restante_server::Store::new();
//! store.add_user("alice", "secret");
//! let messages = restante_server::sample::fill(&store, "alice")?;
//! assert!(messages > 200);
//! # Ok::<(), restante_server::StoreError>(())
//! ```

mod compose;
mod documents;
mod random;
mod words;

use message::{Flags, InternalDate};

use crate::store::{Store, StoreError};
use compose::Composer;
pub use random::Random;

/// A message and where it belongs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sample {
    /// Its folder, `/` between the levels.
    pub folder: String,
    /// Flags and keywords.
    pub flags: Flags,
    /// When it was received.
    pub date: InternalDate,
    /// Its octets.
    pub bytes: Vec<u8>,
}

/// What mailbox to make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// Equal seeds make equal mail.
    pub seed: u64,
    /// How many messages, in all folders together.
    pub messages: usize,
    /// The folders; the first ones get the most.
    pub folders: Vec<String>,
    /// No attachment is larger, before it is encoded.
    pub largest_attachment: usize,
}

/// The folders of the demo, with their special use.
const FOLDERS: [(&str, Option<&str>); 8] = [
    ("INBOX", None),
    ("Sent", Some("\\Sent")),
    ("Archive/2024", None),
    ("Archive/2025", None),
    ("Receipts", None),
    ("家族", None),
    ("Entwürfe", Some("\\Drafts")),
    ("Projects/Garden shed", None),
];

const DEMO_SEED: u64 = 20_240_229;
const DEMO_MESSAGES: usize = 320;
const DEMO_LARGEST_ATTACHMENT: usize = 96 << 10;

impl Shape {
    /// The mailbox of the demo: some 300 messages in eight folders.
    #[must_use]
    pub fn demo() -> Self {
        Self {
            seed: DEMO_SEED,
            messages: DEMO_MESSAGES,
            folders: FOLDERS.iter().map(|(folder, _)| (*folder).to_owned()).collect(),
            largest_attachment: DEMO_LARGEST_ATTACHMENT,
        }
    }

    /// The messages, oldest first. Each is made when it is asked for.
    #[must_use]
    pub fn messages(&self) -> Messages {
        Messages { composer: Composer::new(self), left: self.messages, again: None }
    }
}

/// Messages of a mailbox of the demo's kind, in any number.
#[must_use]
pub fn generate(seed: u64, messages: usize) -> Messages {
    Shape { seed, messages, ..Shape::demo() }.messages()
}

/// Fills a user's mailbox with the demo's mail; gives the number of messages.
///
/// # Errors
/// When there is no such user, or one of the folders cannot be used.
pub fn fill(store: &Store, user: &str) -> Result<usize, StoreError> {
    for (folder, special) in FOLDERS {
        match store.create(user, folder) {
            Ok(()) | Err(StoreError::Exists(_)) => store.set_special_use(user, folder, special)?,
            Err(error) => return Err(error),
        }
    }
    let mut messages = 0;
    for sample in Shape::demo().messages() {
        store.append(user, &sample.folder, &sample.flags, &sample.date, sample.bytes)?;
        messages += 1;
    }
    Ok(messages)
}

/// An iterator over the messages of a [`Shape`].
#[derive(Debug)]
pub struct Messages {
    composer: Composer,
    left: usize,
    /// The message before, once more for another folder.
    again: Option<Sample>,
}

impl Iterator for Messages {
    type Item = Sample;

    fn next(&mut self) -> Option<Sample> {
        self.left = self.left.checked_sub(1)?;
        if let Some(copy) = self.again.take() {
            return Some(copy);
        }
        let sample = self.composer.next_message();
        self.again = self.composer.copy_for_another_folder(&sample);
        Some(sample)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test says what it expects")]

    use std::collections::{BTreeMap, BTreeSet};

    use super::*;

    #[test]
    fn equal_seeds_make_equal_mail_and_others_other_mail() {
        let mail = |seed| generate(seed, 60).collect::<Vec<_>>();
        assert_eq!(mail(7), mail(7));
        assert_ne!(mail(7), mail(8));
        assert_eq!(mail(7).len(), 60);
    }

    #[test]
    fn the_demo_has_what_a_backup_stumbles_over() {
        let all: Vec<Sample> = Shape::demo().messages().collect();
        assert_eq!(all.len(), DEMO_MESSAGES);
        let folders: BTreeSet<&str> = all.iter().map(|sample| sample.folder.as_str()).collect();
        assert_eq!(folders.len(), FOLDERS.len());
        let any = |test: &dyn Fn(&[u8]) -> bool| all.iter().any(|sample| test(&sample.bytes));
        let has =
            |text: &str| any(&|bytes| bytes.windows(text.len()).any(|window| window == text.as_bytes()));
        assert!(has("multipart/alternative") && has("multipart/signed") && has("application/pdf"));
        assert!(has("image/png") && has("text/csv") && has("\r\n> ") && has("quoted-printable"));
        assert!(any(&|bytes| !bytes.is_ascii()));
        assert!(any(&|bytes| !bytes.windows(2).any(|pair| pair == b"\r\n")));
        let mut places: BTreeMap<&[u8], BTreeSet<&str>> = BTreeMap::new();
        for sample in &all {
            let new = places.entry(&sample.bytes).or_default().insert(&sample.folder);
            assert!(new, "a message twice in {}", sample.folder);
        }
        assert!(places.values().any(|folders| folders.len() > 1));
        let keywords =
            all.iter().flat_map(|sample| sample.flags.iter()).filter(|flag| !flag.starts_with('\\'));
        assert!(keywords.count() > 5);
    }

    #[test]
    fn the_store_takes_all_of_it() {
        let store = Store::new();
        store.add_user("alice", "secret");
        assert_eq!(fill(&store, "alice").unwrap(), DEMO_MESSAGES);
        let mailboxes = store.mailboxes("alice").unwrap();
        assert_eq!(mailboxes.iter().map(|mailbox| mailbox.messages).sum::<usize>(), DEMO_MESSAGES);
        assert!(mailboxes.iter().any(|mailbox| mailbox.special_use.as_deref() == Some("\\Sent")));
    }
}
