//! What can be asked of the catalogue. Plain functions over a connection; a
//! [`View`](crate::view::View) gives them their public form.
//!
//! Nothing here holds more than a few numbers per message: long answers are streamed or given as
//! ranges.

mod mailboxes;
mod messages;
mod placements;
mod runs;
mod stored;

pub(crate) use mailboxes::*;
pub(crate) use messages::*;
pub(crate) use placements::*;
pub(crate) use runs::*;
pub(crate) use stored::*;
