//! Mail as files: EML, Maildir++, mbox.
//!
//! An export gives every message back as its exact bytes, in files that other programs read, and
//! beside them, in JSON lines, what the format has no place for: UID, flags and keywords, the received
//! date as the server sent it, the full name of each folder.
//!
//! * [`Format::Eml`]: a folder is a directory, a message a file `*.eml`.
//! * [`Format::Maildir`]: one Maildir++ tree as Dovecot writes it; `INBOX` is its root.
//! * [`Format::Mbox`]: a folder is a file `*.mbox` in the mboxrd form.
//!
//! `folders.jsonl` at the top names each folder and its path; `index.jsonl` in a folder, or
//! `*.mbox.jsonl` beside an mbox, has one line a message, in the order of the export.
//!
//! Folder names come from strangers. Each level is encoded by itself ([`names`]), every file and
//! directory is opened relative to the handle of the one above it, without following links ([`tree`]),
//! and the target must be missing or empty. Rule: whatever a folder is called, nothing outside the
//! target is written, and nothing that exists is changed.

#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test that cannot go on should stop where it is"))]

mod eml;
mod error;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod index;
mod layout;
mod maildir;
mod mbox;
mod names;
mod output;
mod tree;

use std::path::Path;

pub use error::Error;
use layout::Layout;
use message::{Flags, InternalDate};
use output::Output;

/// How mail is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A file a message and folder, `*.eml`.
    Eml,
    /// A Maildir++ tree.
    Maildir,
    /// A file a folder, `*.mbox`, in the mboxrd form.
    Mbox,
}

/// A message in a folder, without its bytes.
#[derive(Clone, Copy, Debug)]
pub struct ExportMessage<'a> {
    /// Its UID; 0 if there is none.
    pub uid: u32,
    /// BLAKE3 of its bytes, 64 hex digits.
    pub key: &'a str,
    /// Its flags and keywords.
    pub flags: &'a Flags,
    /// When the server received it.
    pub internal_date: &'a InternalDate,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Folders begun, each counted once.
    pub folders: u64,
    /// Messages written.
    pub messages: u64,
    /// Their bytes, without what the format adds.
    pub bytes: u64,
}

/// Writes an export: folder by folder, message by message.
pub trait Exporter {
    /// Begins a folder, or goes on with one that was begun before.
    ///
    /// # Errors
    /// When the folder was not among those that the exporter was made for, or cannot be written.
    fn folder(&mut self, components: &[String]) -> Result<(), Error>;

    /// Writes one message into the folder. Of a message whose writing fails nothing is left behind.
    ///
    /// # Errors
    /// When no folder was begun, or the message cannot be written.
    fn message(&mut self, message: &ExportMessage<'_>, bytes: &[u8]) -> Result<(), Error>;

    /// Completes the side files and waits until everything has reached the disk.
    ///
    /// # Errors
    /// When that fails: the export is not to be relied on.
    fn finish(self: Box<Self>) -> Result<Summary, Error>;
}

/// An exporter into `dir`, which must be missing (it is made, its parent must be there) or empty.
///
/// `folders` are all the folders that will be written, each as its levels from the outermost
/// inwards, in any order. They are wanted beforehand so that what a folder is called on disk does not
/// depend on the order in which folders are written, where two names differ in case only.
///
/// # Errors
/// When `dir` is not empty, is no directory, or cannot be written.
pub fn exporter(format: Format, dir: &Path, folders: &[Vec<String>]) -> Result<Box<dyn Exporter>, Error> {
    let layout = match format {
        Format::Eml | Format::Mbox => Layout::nested(folders),
        Format::Maildir => Layout::flat(folders),
    };
    let output = Output::create(dir, layout)?;
    Ok(match format {
        Format::Eml => Box::new(eml::Eml::new(output)),
        Format::Maildir => Box::new(maildir::Maildir::begin(output)?),
        Format::Mbox => Box::new(mbox::Mbox::new(output)),
    })
}
