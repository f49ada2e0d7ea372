//! The names of POP3 messages as bytes.
//!
//! All UIDs, then all octets, then the lengths of all unique-ids, then these: what is alike stands together,
//! so that a name whose unique-id counts upwards costs little more than its octets. It takes nothing from the
//! frame's context and leaves nothing in it, so that a reader who does not know the record may skip it.
//! Rule J10.

use message::{Uid, Uidl};

use crate::frame::limit;
use crate::info::PopName;
use crate::wire::{Cursor, Malformed, malformed, put_varint};

pub(super) fn put_names(out: &mut Vec<u8>, names: &[PopName]) {
    put_varint(out, names.len() as u64);
    let mut last = 0u32;
    for name in names {
        put_varint(out, name.uid.get().wrapping_sub(last).into());
        last = name.uid.get();
    }
    for name in names {
        put_varint(out, name.octets);
    }
    for name in names {
        put_varint(out, uidl_of(name).len() as u64);
    }
    for name in names {
        out.extend_from_slice(uidl_of(name));
    }
}

/// At most so many bytes; more than any record may have, when there are more names than one may hold.
pub(super) fn longest_names(names: &[PopName]) -> usize {
    /// Two numbers and a length.
    const NUMBERS: usize = 5 + 10 + 2;
    if names.len() > limit::NAMES_IN_RECORD {
        return limit::RECORD_BYTES + names.len();
    }
    names.iter().map(|name| NUMBERS + uidl_of(name).len()).sum()
}

pub(super) fn take_names(from: &mut Cursor<'_>) -> Result<Vec<PopName>, Malformed> {
    let what = "names of POP3 messages";
    let count = from.varint(what)?;
    if count > limit::NAMES_IN_RECORD as u64 {
        return Err(malformed(what));
    }
    // Grows with the bytes that are there, not with the count.
    let (mut names, mut last) = (Vec::new(), 0u32);
    for _ in 0..count {
        let step = from.varint32(what)?;
        let uid = last.checked_add(step).filter(|_| step > 0).and_then(Uid::new).ok_or(malformed(what))?;
        names.push(PopName { uid, uidl: None, octets: 0 });
        last = uid.get();
    }
    for name in &mut names {
        name.octets = from.varint(what)?;
    }
    let lengths = names.iter().map(|_| from.varint(what)).collect::<Result<Vec<u64>, _>>()?;
    for (name, length) in names.iter_mut().zip(lengths).filter(|&(_, length)| length > 0) {
        let octets = usize::try_from(length).map_err(|_| malformed(what))?;
        name.uidl = Some(Uidl::new(from.take(octets, what)?).ok_or(malformed(what))?);
    }
    Ok(names)
}

fn uidl_of(name: &PopName) -> &[u8] {
    name.uidl.as_ref().map_or(&[], Uidl::as_bytes)
}
