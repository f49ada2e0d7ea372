//! Mailboxes as people have them, of any size, the same for the same seed.
//!
//! The mail itself is that of `server::sample`: original text, attachments that come back, threads
//! with quotes. Here it is spread over the 37 folders of somebody who files everything.

use server::sample::{Messages, Shape};

/// Names for people, `/` between the levels; the first ones get the most mail.
const FOLDERS: [&str; 37] = [
    "INBOX",
    "Sent",
    "Archive/2023",
    "Archive/2024",
    "Archive/2025",
    "Lists/timber-frame",
    "Lists/choir",
    "Work/Offers",
    "Work/Offers/Accepted",
    "Work/Invoices",
    "Work/Invoices/2024",
    "Work/Invoices/2025",
    "Work/Customers/Brightwell",
    "Work/Customers/Kovalenko & Söhne",
    "Receipts",
    "Travel/2024 Norge",
    "Travel/2025 Bretagne",
    "Family",
    "Family/Photos",
    "家族",
    "家族/写真",
    "Entwürfe",
    "Gelöschte Elemente",
    "Projects/Garden shed",
    "Projects/Boat",
    "Projects/Boat/Sails and ropes",
    "Projects/Röhrenradio",
    "Choir/Scores",
    "Choir/Rehearsals",
    "Library",
    "Neighbours",
    "Bank",
    "Insurance",
    "Health",
    "Школа",
    "Junk",
    "Trash",
];

/// As large as what people send without being told off.
const LARGEST_ATTACHMENT: usize = 1_500_000;

/// A recipe for a mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail(Shape);

impl Mail {
    /// A mailbox of so many messages in 37 folders, with large attachments.
    #[must_use]
    pub fn new(seed: u64, messages: usize) -> Self {
        let folders = FOLDERS.map(str::to_owned).to_vec();
        Self(Shape { seed, messages, folders, largest_attachment: LARGEST_ATTACHMENT })
    }

    /// A mailbox of small messages: for tests of numbers, not of octets.
    #[must_use]
    pub fn small(seed: u64, messages: usize) -> Self {
        let mut mail = Self::new(seed, messages);
        mail.0.largest_attachment = 2000;
        mail
    }

    /// Only these folders.
    #[must_use]
    pub fn in_folders(mut self, folders: &[&str]) -> Self {
        self.0.folders = folders.iter().map(|&folder| folder.to_owned()).collect();
        self
    }

    /// The folders.
    #[must_use]
    pub fn folders(&self) -> &[String] {
        &self.0.folders
    }

    /// The messages, oldest first, each made when it is asked for.
    #[must_use]
    pub fn messages(&self) -> Messages {
        self.0.messages()
    }
}
