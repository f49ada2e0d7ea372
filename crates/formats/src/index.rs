//! The side files: JSON lines with what a mail format has no place for.
//!
//! One line a message, in the order of the export, and one line a folder in `folders.jsonl`. Fields
//! are added, never renamed. Text is JSON-escaped, so no name or keyword can forge a line.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;

use serde::Serialize;

use crate::tree::Folder;
use crate::{Error, ExportMessage};

/// A line of `folders.jsonl`.
#[derive(Serialize)]
pub(crate) struct FolderLine<'a> {
    /// The levels of the folder's name.
    pub(crate) folder: &'a [String],
    /// Where its messages are, below the target; `.` is the target.
    pub(crate) path: String,
}

/// A line of a folder's index.
#[derive(Serialize)]
struct MessageLine<'a> {
    #[serde(flatten)]
    place: Place<'a>,
    uid: u32,
    key: &'a str,
    size: u64,
    flags: Vec<&'a str>,
    /// As the server sent it.
    internal_date: &'a str,
}

/// Where a message is.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Place<'a> {
    /// A file of its own in the folder's directory.
    File {
        /// Its name; for a Maildir, below `cur`.
        file: &'a str,
    },
    /// A part of an mbox.
    Part {
        /// Where its `From ` line begins.
        offset: u64,
        /// Bytes from there to the next one.
        length: u64,
        /// Whether the message did not end with a line end and was given one.
        line_end_added: bool,
    },
}

/// JSON lines being written.
pub(crate) struct Index {
    file: BufWriter<File>,
    path: PathBuf,
}

impl Index {
    /// Opens the file; it is new if this is the first time that the folder is written.
    pub(crate) fn open(folder: &Folder, name: &str, first: bool) -> Result<Self, Error> {
        let file = if first { folder.create(name)? } else { folder.append(name)? };
        Ok(Self { file: BufWriter::new(file), path: folder.path_of(name) })
    }

    pub(crate) fn message(
        &mut self,
        place: Place<'_>,
        message: &ExportMessage<'_>,
        size: usize,
    ) -> Result<(), Error> {
        self.line(&MessageLine {
            place,
            uid: message.uid,
            key: message.key,
            size: size as u64,
            flags: message.flags.iter().collect(),
            internal_date: message.internal_date.raw(),
        })
    }

    pub(crate) fn line(&mut self, line: &impl Serialize) -> Result<(), Error> {
        let written = serde_json::to_writer(&mut self.file, line).map_err(std::io::Error::from);
        written.and_then(|()| self.file.write_all(b"\n")).map_err(Error::io("write", &self.path))
    }

    /// Hands what is buffered to the system.
    pub(crate) fn close(mut self) -> Result<(), Error> {
        self.file.flush().map_err(Error::io("write", &self.path))
    }
}
