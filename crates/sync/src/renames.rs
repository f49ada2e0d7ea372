//! Recognising a mailbox that was given another name, so that not one octet of it is fetched again.
//!
//! A mailbox of the archive that the server no longer lists (or lists with another UIDVALIDITY) may
//! be one that it lists under a name the archive does not know. MAILBOXID (RFC 8474) says so for
//! certain. Without it, an equal UIDVALIDITY makes a suspicion only, for servers give mailboxes that
//! were made in the same second the same one; it is confirmed by comparing size and INTERNALDATE of
//! the messages UID by UID ([`is_same`]), which costs a survey but no message content.

use message::{Uid, UidValidity};

/// A mailbox of the archive that has lost its name on the server.
#[derive(Clone, Debug)]
pub(crate) struct Lost<M, E> {
    pub(crate) mailbox: M,
    /// Its newest epoch.
    pub(crate) epoch: E,
    pub(crate) validity: Option<UidValidity>,
    pub(crate) object_id: Option<String>,
    pub(crate) uid_next: Option<Uid>,
}

/// A mailbox on the server under a name that the archive does not know.
#[derive(Clone, Debug)]
pub(crate) struct Fresh {
    pub(crate) validity: Option<UidValidity>,
    pub(crate) object_id: Option<String>,
    pub(crate) uid_next: Option<Uid>,
}

/// Which of the lost might be this one: by MAILBOXID where both have one, else by UIDVALIDITY where
/// UIDNEXT has not gone back. At most one can pass [`is_same`] in practice; the caller takes the first.
pub(crate) fn suspects<'a, M, E>(
    fresh: &Fresh,
    lost: &'a [Lost<M, E>],
) -> impl Iterator<Item = &'a Lost<M, E>> {
    let fresh = fresh.clone();
    lost.iter().filter(move |lost| match (&fresh.object_id, &lost.object_id) {
        (Some(now), Some(then)) => now == then,
        _ => fresh.validity.is_some() && fresh.validity == lost.validity && fresh.uid_next >= lost.uid_next,
    })
}

/// What identifies a message in a mailbox without its content: UID, size, INTERNALDATE.
pub(crate) type Trait = (Uid, u64, Option<i64>);

/// Whether the mailbox on the server is the one in the archive: at least one message, and at least
/// nine of ten that the archive holds, are there under the same UID, and each of these has the size
/// and date that the archive knows. Both lists ascend by UID.
pub(crate) fn is_same(held: &[Trait], on_server: &[Trait]) -> bool {
    let mut common = 0usize;
    let mut server = on_server.iter().peekable();
    for then in held {
        while server.next_if(|now| now.0 < then.0).is_some() {}
        if let Some(now) = server.next_if(|now| now.0 == then.0) {
            if now != then {
                return false;
            }
            common += 1;
        }
    }
    common > 0 && common * 10 >= held.len() * 9
}

#[cfg(test)]
mod tests {
    use super::*;

    fn traits(numbers: &[(u32, u64)]) -> Vec<Trait> {
        numbers.iter().map(|&(n, size)| (Uid::new(n).expect("not 0"), size, Some(7))).collect()
    }

    #[test]
    fn a_renamed_mailbox_has_the_same_messages_under_the_same_uids() {
        let held = traits(&[(1, 10), (2, 20), (5, 50)]);
        assert!(is_same(&held, &traits(&[(1, 10), (2, 20), (5, 50), (6, 60)])));
        assert!(!is_same(&held, &traits(&[(1, 10), (2, 21), (5, 50)])), "another size");
        assert!(!is_same(&held, &traits(&[(1, 10)])), "too few in common");
        assert!(!is_same(&[], &traits(&[(1, 10)])), "nothing in common");
    }

    #[test]
    fn an_equal_uidvalidity_makes_a_suspect_only_if_uidnext_has_not_gone_back() {
        let lost = |id: u32, object_id: Option<&str>| Lost {
            mailbox: id,
            epoch: (),
            validity: UidValidity::new(9),
            object_id: object_id.map(str::to_owned),
            uid_next: Uid::new(40),
        };
        let fresh = |next, object_id: Option<&str>| Fresh {
            validity: UidValidity::new(9),
            object_id: object_id.map(str::to_owned),
            uid_next: Uid::new(next),
        };
        let found = |fresh: &Fresh, lost: &[Lost<u32, ()>]| suspects(fresh, lost).count();
        assert_eq!(found(&fresh(40, None), &[lost(1, None), lost(2, None)]), 2);
        assert_eq!(found(&fresh(39, None), &[lost(1, None)]), 0);
        assert_eq!(found(&fresh(1, Some("F1")), &[lost(1, Some("F1")), lost(2, Some("F2"))]), 1);
    }
}
