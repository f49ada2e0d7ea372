//! Threads that do for the telling what may hang: channels, pings, and the question for the disk's room.

use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, SyncSender};
use std::time::Duration;

use daemon::alerts::Message;

use super::Event;
use crate::alerts::channel::Channel;
use crate::alerts::web;
use crate::config::WebUrl;

/// So many pings wait; a service that misses one waits for the next.
const MOST_PINGS: usize = 256;
/// A ping that did not come through is tried once more after this.
const PING_PAUSE: Duration = Duration::from_secs(5);
/// How often the disk is asked for its room.
const SPACE_PAUSE: Duration = Duration::from_secs(300);

/// Has a channel try, on a thread of its own.
pub(super) fn deliver(
    channel: Channel,
    message: Message,
    machine: String,
    events: SyncSender<Event>,
) -> std::io::Result<()> {
    let name = format!("alerts {}", channel.name);
    let work = move || {
        let attempt = std::panic::AssertUnwindSafe(|| channel.deliver(&message, &machine));
        // A fault in one channel is no end of the others.
        let result = std::panic::catch_unwind(attempt).unwrap_or_else(|_| Err("it panicked".to_owned()));
        let (channel, number) = (channel.name, message.number);
        // Where nobody waits for it any more, the message is tried again at the next start.
        let _ = events.send(Event::Delivered { channel, number, result });
    };
    std::thread::Builder::new().name(name).spawn(work).map(drop)
}

/// Asks for addresses, one after the other.
pub(super) fn pinger() -> std::io::Result<SyncSender<WebUrl>> {
    let (sender, wanted) = mpsc::sync_channel::<WebUrl>(MOST_PINGS);
    let work = move || {
        for url in wanted {
            let mut result = web::ping(&url);
            if result.is_err() {
                std::thread::sleep(PING_PAUSE);
                result = web::ping(&url);
            }
            if let Err(why) = result {
                tracing::warn!("a ping did not come through: {why}");
            }
        }
    };
    std::thread::Builder::new().name("pings".to_owned()).spawn(work)?;
    Ok(sender)
}

/// Asks the archive's disk for its room, again and again.
pub(super) fn watch_space(archive: PathBuf, events: SyncSender<Event>) -> std::io::Result<()> {
    let work = move || {
        while free(&archive).is_none_or(|free| events.send(Event::Free(free)).is_ok()) {
            std::thread::sleep(SPACE_PAUSE);
        }
    };
    std::thread::Builder::new().name("space".to_owned()).spawn(work).map(drop)
}

/// What is free for us on the disk of this path; `None` where it does not say.
fn free(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
