//! Sessions against servers that play a script: one file for each thing that a session can do.

mod listings;
mod messages;
mod torn;
