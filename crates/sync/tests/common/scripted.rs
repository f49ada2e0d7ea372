//! What tests with a scripted server on a socket share: mail, a calendar, and a look into the archive.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use archive::{Archive, PlacementInfo, When};
use restante_sync::{Clock, SystemClock};

/// Mail of about `length` octets, another for each number.
pub(crate) fn mail(number: u32, length: usize) -> Vec<u8> {
    let header = format!("Message-ID: <{number}@example.org>\r\nSubject: number {number}\r\n\r\n");
    let line = format!("line of message {number}, again and again\r\n");
    let mut bytes = header.into_bytes();
    while bytes.len() < length + number as usize {
        bytes.extend_from_slice(line.as_bytes());
    }
    bytes
}

/// A clock whose days pass when a test says so.
#[derive(Default)]
pub(crate) struct Calendar {
    hours: AtomicI64,
    running: SystemClock,
}

impl Calendar {
    pub(crate) fn pass_hours(&self, hours: i64) {
        self.hours.fetch_add(hours, Ordering::SeqCst);
    }
}

impl Clock for Calendar {
    fn unix_ms(&self) -> i64 {
        // An afternoon on which no folder of these tests falls due.
        1_795_000_000_000 + self.hours.load(Ordering::SeqCst) * 3_600_000
    }

    fn monotonic(&self) -> Duration {
        self.running.monotonic()
    }
}

/// What the archive knows of a mailbox of an account, by UID; nothing where there is no such mailbox.
pub(crate) fn placements(archive: &Archive, account: &str, mailbox: &str) -> Vec<PlacementInfo> {
    let view = archive.view();
    let account = view.account(account).unwrap().unwrap();
    let mailboxes = view.mailboxes(account.id).unwrap();
    let Some(info) = mailboxes.iter().find(|info| info.name.text() == mailbox) else { return Vec::new() };
    let mut held = Vec::new();
    let mut each = |placement: PlacementInfo| {
        held.push(placement);
        ControlFlow::Continue(())
    };
    view.placements(info.id, When::default(), &mut each).unwrap();
    held.sort_by_key(|placement| placement.uid);
    held
}
