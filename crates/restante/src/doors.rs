//! The configuration's parser, opened for the fuzz targets in `tests/fuzz`; else nothing.
//!
//! The program is a binary, and a fuzz target needs a library. With the feature `fuzzing`, and only
//! then, this is one that holds the module `config` and its laws.

#![cfg(feature = "fuzzing")]
#![allow(dead_code, reason = "the targets need the parser alone")]

mod config;
mod program;

pub use config::fuzzing;
