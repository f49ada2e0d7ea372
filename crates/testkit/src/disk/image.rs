//! What lies on a disk: files, folders, and of each what a power cut could not take any more.
//!
//! A file is its content as programs see it, its content as of the last sync, and the changes in
//! between; a folder is the same for its names. Syncing a file makes its content durable and says
//! nothing about its name; the name is durable when its folder has been synced (POSIX promises no
//! more, and programs that rely on more lose files on some systems).
//!
//! A failed sync forgets what it should have written: the file looks right, its changes never reach
//! the medium, and the next sync says that all is well (PostgreSQL's "fsyncgate").

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};

/// The number of the root folder.
pub(super) const ROOT: u64 = 1;

/// What a file takes up is counted in these.
pub(super) const CLUSTER_BYTES: u64 = 4096;

/// A change of a file that has not been synced.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Resize(u64),
}

/// A change of a folder that has not been synced.
#[derive(Clone, Debug)]
pub(super) enum NameChange {
    Add {
        name: OsString,
        node: u64,
    },
    Remove {
        name: OsString,
    },
    /// Within one folder, in one piece, as journalling file systems do it.
    Rename {
        from: OsString,
        to: OsString,
        node: u64,
    },
}

#[derive(Clone, Debug, Default)]
pub(super) struct FileContent {
    pub(super) live: Vec<u8>,
    pub(super) durable: Vec<u8>,
    pub(super) pending: Vec<Change>,
}

pub(super) type Names = BTreeMap<OsString, u64>;

#[derive(Clone, Debug, Default)]
pub(super) struct FolderContent {
    pub(super) live: Names,
    pub(super) durable: Names,
    pub(super) pending: Vec<NameChange>,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    File(FileContent),
    Folder(FolderContent),
}

/// A file or a folder. Owner and mode are durable at once.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) content: Content,
    pub(super) parent: u64,
    pub(super) name: OsString,
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Whether a name leads to it; without one it lives until it is closed.
    pub(super) named: bool,
    pub(super) opened: u32,
}

/// All of a disk.
#[derive(Clone, Debug)]
pub(super) struct Image {
    pub(super) nodes: BTreeMap<u64, Node>,
    next: u64,
    pub(super) capacity: u64,
}

impl Image {
    pub(super) fn new(capacity: u64) -> Self {
        let root = Node {
            content: Content::Folder(FolderContent::default()),
            parent: ROOT,
            name: OsString::new(),
            mode: 0o755,
            uid: 0,
            gid: 0,
            named: true,
            opened: 0,
        };
        Self { nodes: BTreeMap::from([(ROOT, root)]), next: ROOT + 1, capacity }
    }

    pub(super) fn node(&self, number: u64) -> Option<&Node> {
        self.nodes.get(&number)
    }

    pub(super) fn file(&self, number: u64) -> Option<&FileContent> {
        match &self.nodes.get(&number)?.content {
            Content::File(file) => Some(file),
            Content::Folder(_) => None,
        }
    }

    pub(super) fn file_mut(&mut self, number: u64) -> Option<&mut FileContent> {
        match &mut self.nodes.get_mut(&number)?.content {
            Content::File(file) => Some(file),
            Content::Folder(_) => None,
        }
    }

    pub(super) fn folder(&self, number: u64) -> Option<&FolderContent> {
        match &self.nodes.get(&number)?.content {
            Content::Folder(folder) => Some(folder),
            Content::File(_) => None,
        }
    }

    fn folder_mut(&mut self, number: u64) -> Option<&mut FolderContent> {
        match &mut self.nodes.get_mut(&number)?.content {
            Content::Folder(folder) => Some(folder),
            Content::File(_) => None,
        }
    }

    pub(super) fn lookup(&self, folder: u64, name: &OsStr) -> Option<u64> {
        self.folder(folder)?.live.get(name).copied()
    }

    /// The path below the root, `/` between the levels.
    pub(super) fn path(&self, mut number: u64) -> String {
        let mut parts = Vec::new();
        while number != ROOT {
            let Some(node) = self.nodes.get(&number) else { break };
            parts.push(node.name.to_string_lossy().into_owned());
            number = node.parent;
        }
        parts.reverse();
        parts.join("/")
    }

    /// Bytes that are taken, in whole clusters; a folder takes one.
    pub(super) fn used(&self) -> u64 {
        let size = |node: &Node| match &node.content {
            Content::File(file) => clusters(file.live.len() as u64),
            Content::Folder(_) => CLUSTER_BYTES,
        };
        let in_use = self.nodes.values().filter(|node| node.named || node.opened > 0);
        in_use.map(size).sum()
    }

    pub(super) fn free(&self) -> u64 {
        self.capacity.saturating_sub(self.used())
    }

    /// Makes a file or a folder and gives its number.
    pub(super) fn add(&mut self, parent: u64, name: &OsStr, node: Node) -> u64 {
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, node);
        if let Some(folder) = self.folder_mut(parent) {
            folder.live.insert(name.to_owned(), number);
            folder.pending.push(NameChange::Add { name: name.to_owned(), node: number });
        }
        number
    }

    pub(super) fn remove(&mut self, parent: u64, name: &OsStr) {
        let Some(folder) = self.folder_mut(parent) else { return };
        let Some(number) = folder.live.remove(name) else { return };
        folder.pending.push(NameChange::Remove { name: name.to_owned() });
        self.unname(number);
    }

    /// Puts a node under another name, in the place of what is there.
    pub(super) fn rename(&mut self, (parent, name): (u64, &OsStr), (to_parent, to_name): (u64, &OsStr)) {
        let Some(number) = self.lookup(parent, name) else { return };
        if let Some(replaced) = self.lookup(to_parent, to_name) {
            self.unname(replaced);
        }
        let (from, to) = (name.to_owned(), to_name.to_owned());
        if let Some(folder) = self.folder_mut(parent) {
            folder.live.remove(name);
            folder.pending.push(if parent == to_parent {
                NameChange::Rename { from, to: to.clone(), node: number }
            } else {
                NameChange::Remove { name: from }
            });
        }
        if let Some(folder) = self.folder_mut(to_parent) {
            folder.live.insert(to.clone(), number);
            if parent != to_parent {
                folder.pending.push(NameChange::Add { name: to.clone(), node: number });
            }
        }
        if let Some(node) = self.nodes.get_mut(&number) {
            (node.parent, node.name) = (to_parent, to);
        }
    }

    fn unname(&mut self, number: u64) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.named = false;
        }
    }

    /// Whether a power cut could bring the node back: a durable name, or one in an unsynced change,
    /// leads to it.
    pub(super) fn is_named_on_medium(&self, number: u64) -> bool {
        let leads = |change: &NameChange| match change {
            NameChange::Add { node, .. } | NameChange::Rename { node, .. } => *node == number,
            NameChange::Remove { .. } => false,
        };
        let folders = self.nodes.values().filter_map(|node| match &node.content {
            Content::Folder(folder) => Some(folder),
            Content::File(_) => None,
        });
        folders.into_iter().any(|folder| {
            folder.durable.values().any(|&node| node == number) || folder.pending.iter().any(leads)
        })
    }

    pub(super) fn opened(&mut self, number: u64) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.opened += 1;
        }
    }

    pub(super) fn closed(&mut self, number: u64) {
        if let Some(node) = self.nodes.get_mut(&number) {
            node.opened = node.opened.saturating_sub(1);
        }
    }

    /// Writes as much as there is room for; `None` when there is none.
    pub(super) fn write(&mut self, number: u64, offset: u64, bytes: &[u8]) -> Option<usize> {
        let free = self.free();
        let file = self.file_mut(number)?;
        let room = clusters(file.live.len() as u64) + free;
        let fitting = usize::try_from(room.saturating_sub(offset)).unwrap_or(bytes.len()).min(bytes.len());
        if fitting == 0 && !bytes.is_empty() {
            return None;
        }
        let change = Change::Write { offset, bytes: bytes[..fitting].to_vec() };
        apply(&mut file.live, &change);
        file.pending.push(change);
        Some(fitting)
    }

    pub(super) fn resize(&mut self, number: u64, length: u64) {
        if let Some(file) = self.file_mut(number) {
            let change = Change::Resize(length);
            apply(&mut file.live, &change);
            file.pending.push(change);
        }
    }

    pub(super) fn sync_file(&mut self, number: u64) {
        if let Some(file) = self.file_mut(number) {
            for change in std::mem::take(&mut file.pending) {
                apply(&mut file.durable, &change);
            }
        }
    }

    /// What a failed sync leaves: nothing written, nothing left to write.
    pub(super) fn forget_changes(&mut self, number: u64) {
        if let Some(file) = self.file_mut(number) {
            file.pending.clear();
        }
    }

    pub(super) fn sync_folder(&mut self, number: u64) {
        if let Some(folder) = self.folder_mut(number) {
            for change in std::mem::take(&mut folder.pending) {
                apply_name(&mut folder.durable, &change);
            }
        }
    }
}

/// The length in whole clusters.
fn clusters(length: u64) -> u64 {
    length.div_ceil(CLUSTER_BYTES) * CLUSTER_BYTES
}

/// Does a change to a file's content. What lies between the end and a later write is zeros.
pub(super) fn apply(content: &mut Vec<u8>, change: &Change) {
    let place = |offset: u64| usize::try_from(offset).expect("a test's files fit in memory");
    match change {
        Change::Write { offset, bytes } => {
            let start = place(*offset);
            let end = start + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[start..end].copy_from_slice(bytes);
        }
        Change::Resize(length) => content.resize(place(*length), 0),
    }
}

/// Does a change to a folder's names.
pub(super) fn apply_name(names: &mut Names, change: &NameChange) {
    match change {
        NameChange::Add { name, node } => {
            names.insert(name.clone(), *node);
        }
        NameChange::Remove { name } => {
            names.remove(name);
        }
        NameChange::Rename { from, to, node } => {
            names.remove(from);
            names.insert(to.clone(), *node);
        }
    }
}
