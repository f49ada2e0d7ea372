//! The journal: what was seen where, in the order in which it was learnt.
//!
//! A [`record`] says one thing: this message exists, it lies in this mailbox under this UID, these
//! flags changed, this UID has vanished. Records are written in frames, each followed by a commit;
//! the [`codec`] keeps them small, for there is one per message and placement for ever. The catalogue
//! is the journal replayed and holds nothing else.
//!
//! Invariant: a record never names a blob that its own commit, or an earlier one, does not make durable.

pub(crate) mod codec;
mod names;
pub(crate) mod record;
