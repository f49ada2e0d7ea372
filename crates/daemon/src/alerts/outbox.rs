//! Messages that channels have not taken yet.
//!
//! Each channel takes them in order and by itself: one that is dead holds up no other. What it does not
//! take is tried again after pauses that grow, and given up after about a day; what is over the bound
//! goes from the old end.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::message::{Body, Message};

/// More than come in many days, for each wave of trouble is few messages.
const MAX_MESSAGES: usize = 200;
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const LONGEST_PAUSE: Duration = Duration::from_secs(3_600);
/// With these pauses a day and some hours.
const MOST_TRIES: u32 = 36;

/// The messages, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Outbox {
    last_number: u64,
    messages: Vec<Waiting>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Waiting {
    message: Message,
    channels: Vec<Channel>,
}

/// A channel that has not taken the message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Channel {
    name: String,
    tries: u32,
    /// Not before this.
    next_ms: i64,
}

/// What becomes of a message that a channel did not take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is tried again after this.
    Again(Duration),
    /// It has been tried often enough.
    GivenUp,
}

impl Outbox {
    /// Puts a message in for these channels; true when an older one had to go for it.
    #[must_use]
    pub(super) fn put(&mut self, now_ms: i64, body: Body, channels: &[String]) -> bool {
        if channels.is_empty() {
            return false;
        }
        self.last_number += 1;
        let message = Message { number: self.last_number, at_ms: now_ms, body };
        let channel = |name: &String| Channel { name: name.clone(), tries: 0, next_ms: now_ms };
        self.messages.push(Waiting { message, channels: channels.iter().map(channel).collect() });
        let over = self.messages.len().saturating_sub(MAX_MESSAGES);
        self.messages.drain(..over);
        over > 0
    }

    /// For each channel its oldest message, where it may be tried now.
    pub(super) fn due(&self, now_ms: i64) -> Vec<(String, Message)> {
        let is_due = |(channel, _): &(&Channel, &Message)| channel.next_ms <= now_ms;
        let due = self.heads().into_iter().filter(is_due);
        due.map(|(channel, message)| (channel.name.clone(), message.clone())).collect()
    }

    /// When the next may be tried.
    pub(super) fn wake_ms(&self) -> Option<i64> {
        self.heads().iter().map(|(channel, _)| channel.next_ms).min()
    }

    fn heads(&self) -> Vec<(&Channel, &Message)> {
        let mut heads: Vec<(&Channel, &Message)> = Vec::new();
        for waiting in &self.messages {
            for channel in &waiting.channels {
                if !heads.iter().any(|(head, _)| head.name == channel.name) {
                    heads.push((channel, &waiting.message));
                }
            }
        }
        heads
    }

    /// The channel has the message.
    pub(super) fn taken(&mut self, channel: &str, number: u64) {
        for waiting in self.messages.iter_mut().filter(|waiting| waiting.message.number == number) {
            waiting.channels.retain(|waiting| waiting.name != channel);
        }
        self.messages.retain(|waiting| !waiting.channels.is_empty());
    }

    /// The channel did not take the message.
    pub(super) fn refused(&mut self, now_ms: i64, channel: &str, number: u64) -> Fate {
        let waiting = self.messages.iter_mut().find(|waiting| waiting.message.number == number);
        let found = waiting.and_then(|waiting| waiting.channels.iter_mut().find(|own| own.name == channel));
        let Some(found) = found else { return Fate::GivenUp };
        found.tries += 1;
        if found.tries >= MOST_TRIES {
            self.taken(channel, number);
            return Fate::GivenUp;
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << (found.tries - 1).min(16)).min(LONGEST_PAUSE);
        found.next_ms = now_ms.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
        Fate::Again(pause)
    }

    /// Forgets channels that are not among these; and where a clock that was wrong has put a trial far
    /// into the future, it is now.
    pub(super) fn keep(&mut self, now_ms: i64, channels: &[String]) {
        let latest = now_ms.saturating_add(i64::try_from(LONGEST_PAUSE.as_millis()).unwrap_or(i64::MAX));
        for waiting in &mut self.messages {
            waiting.channels.retain(|channel| channels.contains(&channel.name));
            for channel in waiting.channels.iter_mut().filter(|channel| channel.next_ms > latest) {
                channel.next_ms = now_ms;
            }
        }
        self.messages.retain(|waiting| !waiting.channels.is_empty());
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.messages.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> [String; 2] {
        ["mail 1".to_owned(), "webhook 1".to_owned()]
    }

    #[test]
    fn a_dead_channel_holds_up_no_other_and_each_takes_a_message_once() {
        let mut outbox = Outbox::default();
        assert!(!outbox.put(0, Body::Test, &two()));
        assert!(!outbox.put(0, Body::Test, &two()));
        outbox.taken("webhook 1", 1);
        assert_eq!(outbox.refused(0, "mail 1", 1), Fate::Again(FIRST_PAUSE));
        let due: Vec<(String, u64)> =
            outbox.due(1).into_iter().map(|(channel, message)| (channel, message.number)).collect();
        assert_eq!(due, [("webhook 1".to_owned(), 2)]);
        outbox.taken("webhook 1", 2);
        assert!(outbox.due(1).is_empty());
        assert_eq!(outbox.due(5_000)[0].1.number, 1, "a channel gets them in order");
        outbox.taken("mail 1", 1);
        outbox.taken("mail 1", 2);
        assert_eq!((outbox.len(), outbox.wake_ms()), (0, None));
    }

    #[test]
    fn a_message_is_given_up_after_more_than_a_day_of_trials() {
        let mut outbox = Outbox::default();
        let _ = outbox.put(0, Body::Test, &two()[..1]);
        let mut waited = Duration::ZERO;
        let mut before = Duration::ZERO;
        while let Fate::Again(pause) = outbox.refused(0, "mail 1", 1) {
            assert!(pause >= before && pause <= LONGEST_PAUSE);
            (before, waited) = (pause, waited + pause);
        }
        assert!(waited > Duration::from_secs(86_400), "{waited:?}");
        assert_eq!(outbox.len(), 0);
    }

    #[test]
    fn the_outbox_is_bounded_and_keeps_the_newest() {
        let mut outbox = Outbox::default();
        let gone = (0..MAX_MESSAGES + 5).filter(|_| outbox.put(0, Body::Test, &two())).count();
        assert_eq!((gone, outbox.len()), (5, MAX_MESSAGES));
        assert_eq!(outbox.due(0)[0].1.number, 6);
    }

    #[test]
    fn what_waits_for_a_channel_that_is_no_more_is_dropped() {
        let mut outbox = Outbox::default();
        let _ = outbox.put(0, Body::Test, &two());
        outbox.keep(0, &two()[1..]);
        assert_eq!(outbox.due(0).len(), 1);
        outbox.keep(0, &[]);
        assert_eq!(outbox.len(), 0);
    }
}
