//! The names of POP3 messages as bytes.
//!
//! A run of names is all that the payload of a Names record holds: for each the UID less that of the one
//! before, the octets, and the unique-id, empty for none. It takes nothing from the frame's context and
//! leaves nothing in it, so that a reader who does not know the record may skip it. Rule J10.

use message::{Uid, Uidl};

use crate::frame::limit;
use crate::info::PopName;
use crate::wire::{Cursor, Malformed, malformed, put_bytes, put_varint};

pub(super) fn put_names(out: &mut Vec<u8>, names: &[PopName]) {
    let mut last = 0u32;
    for name in names {
        put_varint(out, name.uid.get().wrapping_sub(last).into());
        put_varint(out, name.octets);
        put_bytes(out, name.uidl.as_ref().map_or(&[], Uidl::as_bytes));
        last = name.uid.get();
    }
}

/// At most so many bytes; more than any record may have, when there are more names than one may hold.
pub(super) fn longest_names(names: &[PopName]) -> usize {
    /// Two numbers and a length.
    const NUMBERS: usize = 5 + 10 + 2;
    if names.len() > limit::NAMES_IN_RECORD {
        return limit::RECORD_BYTES + names.len();
    }
    names.iter().map(|name| NUMBERS + name.uidl.as_ref().map_or(0, |uidl| uidl.as_bytes().len())).sum()
}

pub(super) fn take_names(from: &mut Cursor<'_>) -> Result<Vec<PopName>, Malformed> {
    let what = "names of POP3 messages";
    let (mut names, mut last) = (Vec::new(), 0u32);
    while !from.is_empty() {
        let step = from.varint32(what)?;
        let uid = last.checked_add(step).filter(|_| step > 0).and_then(Uid::new).ok_or(malformed(what))?;
        let octets = from.varint(what)?;
        let uidl = match from.bytes(what)? {
            [] => None,
            octets => Some(Uidl::new(octets).ok_or(malformed(what))?),
        };
        if names.len() == limit::NAMES_IN_RECORD {
            return Err(malformed(what));
        }
        names.push(PopName { uid, uidl, octets });
        last = uid.get();
    }
    Ok(names)
}
