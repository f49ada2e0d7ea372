//! What the three formats share: the target with its layout, `folders.jsonl`, files with the date of
//! their message, and the counts.

use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use message::InternalDate;
use rustix::fs::{Timespec, Timestamps, futimens};
use rustix::io::Errno;

use crate::index::{FolderLine, Index};
use crate::layout::Layout;
use crate::tree::{Folder, Tree, cannot_write};
use crate::{Error, ExportMessage, Summary};

/// A target being written.
pub(crate) struct Output {
    pub(crate) tree: Tree,
    layout: Layout,
    /// `folders.jsonl`
    list: Index,
    begun: HashSet<Vec<String>>,
    summary: Summary,
}

/// Where a folder is written.
pub(crate) struct FolderPlace {
    /// Names from the target downwards.
    pub(crate) path: Vec<String>,
    /// Whether nothing of the folder was written before.
    pub(crate) first: bool,
}

impl Output {
    pub(crate) fn create(dir: &Path, layout: Layout) -> Result<Self, Error> {
        let tree = Tree::create(dir)?;
        let list = Index::open(tree.root(), "folders.jsonl", true)?;
        Ok(Self { tree, layout, list, begun: HashSet::new(), summary: Summary::default() })
    }

    /// Finds a folder's place. `shown` turns its names into the path that `folders.jsonl` gives.
    pub(crate) fn begin_folder(
        &mut self,
        components: &[String],
        shown: impl Fn(&[String]) -> String,
    ) -> Result<FolderPlace, Error> {
        let unknown = || Error::UnknownFolder { folder: components.to_vec() };
        let path = self.layout.path(components).ok_or_else(unknown)?.to_vec();
        let first = self.begun.insert(components.to_vec());
        if first {
            self.list.line(&FolderLine { folder: components, path: shown(&path) })?;
            self.summary.folders += 1;
        }
        Ok(FolderPlace { path, first })
    }

    pub(crate) fn count(&mut self, bytes: usize) {
        self.summary.messages += 1;
        self.summary.bytes += bytes as u64;
    }

    pub(crate) fn finish(self) -> Result<Summary, Error> {
        self.list.close()?;
        self.tree.sync()?;
        Ok(self.summary)
    }
}

/// Writes a message as a file of its own, dated with the day it was received, and gives the file's
/// name. `name` makes a name from a number that counts up while the name is taken: one UID can
/// stand for two messages where vanished ones are exported too.
pub(crate) fn write_message(
    folder: &Folder,
    name: impl Fn(u32) -> String,
    date: &InternalDate,
    bytes: &[u8],
) -> Result<String, Error> {
    let mut number = 1;
    let (name, mut file) = loop {
        let name = name(number);
        match folder.try_create(&name)? {
            Some(file) => break (name, file),
            None if number == u32::MAX => return Err(Error::Taken { path: folder.path_of(&name) }),
            None => number += 1,
        }
    };
    let written = file.write_all(bytes).map_err(cannot_write(folder, &name));
    if let Err(error) = written.and_then(|()| set_date(folder, &name, &file, date)) {
        // Half a message must not pass for one. Should it not go away, the first error is the one
        // that says why.
        let _ = folder.remove(&name);
        return Err(error);
    }
    Ok(name)
}

/// Dates a file; one that the file system cannot hold is left out, for the index has it.
fn set_date(folder: &Folder, name: &str, file: &File, date: &InternalDate) -> Result<(), Error> {
    let Some(seconds) = date.unix() else { return Ok(()) };
    let time = Timespec { tv_sec: seconds, tv_nsec: 0 };
    match futimens(file, &Timestamps { last_access: time, last_modification: time }) {
        Ok(()) | Err(Errno::INVAL | Errno::OVERFLOW | Errno::PERM | Errno::NOTSUP) => Ok(()),
        Err(errno) => Err(Error::io("date", folder.path_of(name))(errno.into())),
    }
}

/// The beginning of a message's key, for the name of its file.
pub(crate) fn short_key(message: &ExportMessage<'_>) -> String {
    message.key.chars().filter(char::is_ascii_hexdigit).take(16).collect()
}
