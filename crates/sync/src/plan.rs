//! What to do with one mailbox, from what the server says now and what the archive holds.
//!
//! Pure: values in, values out. What is to be fetched is always the server's set of UIDs less the
//! set that the archive holds for this mailbox and UIDVALIDITY; never a date window, and never only
//! what lies above the highest UID. Nothing here ever asks for a deletion: what has vanished from
//! the server is recorded, and the archive keeps it.

use archive::Mark;
use message::{ModSeq, Uid, UidSet, UidValidity};

/// UIDs that are surveyed, matched and fetched at a time: bounds memory whatever a mailbox holds.
pub(crate) const WINDOW_MESSAGES: u64 = 20_000;
/// Octets asked for by one FETCH command; a few are in flight, so the line is never idle.
const BATCH_BYTES: u64 = 4 << 20;
/// Messages asked for by one FETCH command: a refusal or a cut concerns no more than these.
const BATCH_MESSAGES: usize = 500;
/// Larger messages are fetched in slices, so that memory is bounded whatever a message weighs.
pub(crate) const WHOLE_BYTES: u64 = 16 << 20;
/// Held messages that are compared with the server's whenever a mailbox is opened.
const SAMPLE_MESSAGES: usize = 4;
/// The size of a slice.
pub(crate) const SLICE_BYTES: u32 = 4 << 20;

/// What a server says of a mailbox without opening it (STATUS), or on opening it (EXAMINE).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServerState {
    pub(crate) messages: u32,
    pub(crate) validity: Option<UidValidity>,
    pub(crate) uid_next: Option<Uid>,
    pub(crate) modseq: Option<ModSeq>,
}

/// What the archive knows of the mailbox's current epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeldState {
    pub(crate) validity: Option<UidValidity>,
    pub(crate) mark: Option<Mark>,
    /// Messages that the archive holds in this epoch and believes to be on the server.
    pub(crate) live: u64,
    /// Messages that still wait to be proven by their bytes.
    pub(crate) unproven: u64,
}

/// Whether the mailbox need not be opened: every number that grows with a change is as it was when
/// the mailbox was last completed, and the archive holds all of it. A server without CONDSTORE
/// cannot say so, for flags change without a trace.
pub(crate) fn is_unchanged(server: &ServerState, held: &HeldState) -> bool {
    let Some(mark) = &held.mark else { return false };
    server.validity.is_some()
        && server.validity == held.validity
        && server.uid_next.is_some()
        && server.uid_next == mark.uid_next
        && server.modseq.is_some()
        && server.modseq == mark.highest_modseq
        && server.messages == mark.messages
        && u64::from(server.messages) == held.live
        && held.unproven == 0
}

/// The modification sequence from which the server may tell changes, if the archive's mark can be
/// trusted: the same UIDVALIDITY, and neither UIDNEXT nor the sequence has gone back, as they do
/// when a server is put back from an old backup.
pub(crate) fn resync_from(server: Option<&ServerState>, held: &HeldState) -> Option<(UidValidity, ModSeq)> {
    let mark = held.mark.as_ref()?;
    let (validity, modseq) = (held.validity?, mark.highest_modseq?);
    if let Some(server) = server {
        // A server that tells no UIDNEXT cannot show that it went back.
        if server.validity != Some(validity) || server.uid_next < mark.uid_next || went_back(server, mark) {
            return None;
        }
    }
    Some((validity, modseq))
}

/// Whether the server's numbers went back since the mark under the same UIDVALIDITY: it was put back
/// from an old backup, or the mailbox was deleted and made again. Then UIDs may have been given twice.
pub(crate) fn went_back(server: &ServerState, mark: &Mark) -> bool {
    let back =
        |now: Option<u64>, then: Option<u64>| matches!((now, then), (Some(now), Some(then)) if now < then);
    back(server.modseq.map(|modseq| modseq.0), mark.highest_modseq.map(|modseq| modseq.0))
        || back(server.uid_next.map(|uid| uid.get().into()), mark.uid_next.map(|uid| uid.get().into()))
}

/// Held messages whose size and date are compared whenever a mailbox is opened: the newest. A server
/// that was put back and has had more mail since shows it in no number, but gave their UIDs anew.
pub(crate) fn sample(held: &UidSet) -> UidSet {
    held.iter().rev().take(SAMPLE_MESSAGES).collect()
}

/// Cuts a set into sets of at most `WINDOW_MESSAGES` UIDs, ascending.
pub(crate) fn windows(uids: &UidSet) -> Vec<UidSet> {
    windows_of(uids, WINDOW_MESSAGES)
}

fn windows_of(uids: &UidSet, most: u64) -> Vec<UidSet> {
    let mut windows = Vec::new();
    let mut window = UidSet::new();
    let mut room = most;
    for range in uids.ranges() {
        let (mut first, last) = (range.start().get(), range.end().get());
        loop {
            let take = u64::from(last - first) + 1;
            let end = if take <= room { last } else { first + u32::try_from(room - 1).unwrap_or(u32::MAX) };
            if let (Some(from), Some(to)) = (Uid::new(first), Uid::new(end)) {
                window.insert_range(from..=to);
            }
            room -= take.min(room);
            if room == 0 {
                windows.push(std::mem::take(&mut window));
                room = most;
            }
            if end == last {
                break;
            }
            first = end + 1;
        }
    }
    if !window.is_empty() {
        windows.push(window);
    }
    windows
}

/// How the wanted messages of a window are asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Orders {
    /// Sets of whole messages, one FETCH command each.
    pub(crate) whole: Vec<UidSet>,
    /// Messages that are fetched in slices, one after the other, with the size that the server tells.
    pub(crate) sliced: Vec<(Uid, u64)>,
}

/// Groups messages (UID and the size that the server tells, which is only a hint) into commands.
pub(crate) fn orders(messages: &[(Uid, u64)]) -> Orders {
    let mut orders = Orders::default();
    let (mut batch, mut bytes) = (Vec::new(), 0u64);
    for &(uid, size) in messages {
        if size > WHOLE_BYTES {
            orders.sliced.push((uid, size));
            continue;
        }
        if !batch.is_empty() && (bytes.saturating_add(size) > BATCH_BYTES || batch.len() >= BATCH_MESSAGES) {
            orders.whole.push(batch.drain(..).collect());
            bytes = 0;
        }
        batch.push(uid);
        bytes += size;
    }
    if !batch.is_empty() {
        orders.whole.push(batch.into_iter().collect());
    }
    orders
}

/// Halves a set, so that the one message that makes a command fail is found in a few steps.
pub(crate) fn halves(uids: &UidSet) -> Vec<UidSet> {
    windows_of(uids, uids.len().div_ceil(2).max(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn uid(number: u32) -> Uid {
        Uid::new(number).expect("not 0")
    }

    fn server() -> ServerState {
        ServerState {
            messages: 3,
            validity: UidValidity::new(9),
            uid_next: Uid::new(4),
            modseq: Some(ModSeq(70)),
        }
    }

    fn held() -> HeldState {
        let mark = Mark { uid_next: Uid::new(4), highest_modseq: Some(ModSeq(70)), messages: 3 };
        HeldState { validity: UidValidity::new(9), mark: Some(mark), live: 3, unproven: 0 }
    }

    #[test]
    fn a_mailbox_is_left_alone_only_when_every_number_agrees() {
        assert!(is_unchanged(&server(), &held()));
        for changed in [
            ServerState { messages: 4, ..server() },
            ServerState { validity: UidValidity::new(8), ..server() },
            ServerState { validity: None, ..server() },
            ServerState { uid_next: None, ..server() },
            ServerState { modseq: None, ..server() },
            ServerState { modseq: Some(ModSeq(71)), ..server() },
        ] {
            assert!(!is_unchanged(&changed, &held()), "{changed:?}");
        }
        for incomplete in [HeldState { live: 2, ..held() }, HeldState { unproven: 1, ..held() }] {
            assert!(!is_unchanged(&server(), &incomplete), "{incomplete:?}");
        }
        assert!(!is_unchanged(&server(), &HeldState { mark: None, ..held() }));
    }

    #[test]
    fn a_server_whose_numbers_went_back_is_asked_for_everything() {
        assert_eq!(resync_from(Some(&server()), &held()), UidValidity::new(9).map(|v| (v, ModSeq(70))));
        assert!(resync_from(None, &held()).is_some());
        for back in [
            ServerState { modseq: Some(ModSeq(69)), ..server() },
            ServerState { uid_next: Uid::new(3), ..server() },
            ServerState { validity: UidValidity::new(8), ..server() },
        ] {
            assert_eq!(resync_from(Some(&back), &held()), None, "{back:?}");
            let same_validity = back.validity == held().validity;
            assert_eq!(went_back(&back, &held().mark.expect("a mark")), same_validity, "{back:?}");
        }
    }

    #[test]
    fn large_messages_are_sliced_and_small_ones_share_a_command() {
        let messages = [(uid(1), 10), (uid(2), WHOLE_BYTES + 1), (uid(3), BATCH_BYTES), (uid(4), u64::MAX)];
        let orders = orders(&messages);
        assert_eq!(orders.whole.iter().map(ToString::to_string).collect::<Vec<_>>(), ["1", "3"]);
        assert_eq!(orders.sliced, [(uid(2), WHOLE_BYTES + 1), (uid(4), u64::MAX)]);
    }

    proptest! {
        #[test]
        fn windows_and_halves_lose_nothing(numbers in prop::collection::btree_set(1u32..3_000, 0..300), most in 1u64..50) {
            let all: UidSet = numbers.into_iter().filter_map(Uid::new).collect();
            for cut in [windows_of(&all, most), if all.is_empty() { Vec::new() } else { halves(&all) }] {
                let mut joined = UidSet::new();
                cut.iter().for_each(|part| joined.extend_from(part));
                prop_assert_eq!(joined.len(), cut.iter().map(UidSet::len).sum::<u64>());
                prop_assert_eq!(&joined, &all);
            }
            prop_assert!(windows_of(&all, most).iter().all(|window| window.len() <= most));
        }

        #[test]
        fn every_message_is_ordered_once(sizes in prop::collection::vec(0u64..40 << 20, 0..200)) {
            let messages: Vec<_> = sizes.iter().zip(1..).map(|(&size, n)| (uid(n), size)).collect();
            let orders = orders(&messages);
            let mut seen: Vec<Uid> = orders.whole.iter().flat_map(UidSet::iter).collect();
            seen.extend(orders.sliced.iter().map(|&(uid, _)| uid));
            seen.sort();
            prop_assert_eq!(seen, messages.iter().map(|&(uid, _)| uid).collect::<Vec<_>>());
            prop_assert!(orders.whole.iter().all(|set| set.len() <= BATCH_MESSAGES as u64));
        }
    }
}
