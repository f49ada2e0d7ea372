//! What people and programs see.
//!
//! Data goes to standard output: a table ([`table`]) or one JSON document ([`json`]). Everything else
//! goes to standard error through one [`screen`], where bars and log lines do not get in each
//! other's way. Text from mail and servers is escaped in each of them.

pub(crate) mod amount;
pub(crate) mod json;
pub(crate) mod screen;
pub(crate) mod table;
