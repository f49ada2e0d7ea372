//! The disk's side of the conversation with the kernel.
//!
//! Each call is first held against the power and the faults, then done on the image. Answers are
//! never cached, and file content bypasses the page cache, so the image is all that there is.

use std::ffi::OsStr;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use fuser::{
    AccessFlags, BsdFileFlags, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation,
    INodeNo, LockOwner, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory,
    ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, TimeOrNow, WriteFlags,
};

use super::State;
use super::fault::{Call, Effect};
use super::image::{CLUSTER_BYTES, Content, FileContent, FolderContent, Node};

/// Answers hold for no time at all.
const TTL: Duration = Duration::ZERO;

/// No sector numbers are spent on a disk without limits.
const MAX_NAME: u32 = 255;

/// What a folder reports as its size.
const FOLDER_BYTES: u64 = CLUSTER_BYTES;

/// The kernel's view of the disk.
pub(super) struct Served(pub(super) Arc<Mutex<State>>);

impl Served {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether the call is done: in full (`None`), up to so many bytes, or not at all.
    fn admit(&mut self, call: Call, path: &str, range: &Range<u64>) -> Result<Option<usize>, Errno> {
        if self.is_cut {
            return Err(Errno::EIO);
        }
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{call:?} {path} {range:?}"));
        }
        if call.changes() {
            if self.changes >= self.cut_after {
                self.is_cut = true;
                self.end_victim();
                return Err(Errno::EIO);
            }
            self.changes += 1;
        }
        match self.faults.iter_mut().find_map(|fault| fault.meet(call, path, range)) {
            None => Ok(None),
            Some(Effect::Short(bytes)) => Ok(Some(bytes)),
            Some(Effect::Error(error)) => Err(Errno::from_i32(error.raw_os_error())),
        }
    }

    fn admit_node(&mut self, call: Call, node: INodeNo, range: &Range<u64>) -> Result<Option<usize>, Errno> {
        let path = self.image.path(node.0);
        let admitted = self.admit(call, &path, range);
        if self.image.node(node.0).is_none() { Err(Errno::ESTALE) } else { admitted }
    }

    fn admit_name(&mut self, call: Call, parent: INodeNo, name: &OsStr) -> Result<(), Errno> {
        let path = format!("{}/{}", self.image.path(parent.0), name.to_string_lossy());
        self.admit(call, path.trim_start_matches('/'), &(0..0)).map(drop)
    }

    fn attributes(&self, number: u64) -> Result<FileAttr, Errno> {
        let node = self.image.node(number).ok_or(Errno::ESTALE)?;
        let (kind, size) = match &node.content {
            Content::File(file) => (FileType::RegularFile, file.live.len() as u64),
            Content::Folder(_) => (FileType::Directory, FOLDER_BYTES),
        };
        let time = SystemTime::UNIX_EPOCH;
        Ok(FileAttr {
            ino: INodeNo(number),
            size,
            blocks: size.div_ceil(512),
            atime: time,
            mtime: time,
            ctime: time,
            crtime: time,
            kind,
            perm: node.mode,
            nlink: 1,
            uid: node.uid,
            gid: node.gid,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        })
    }

    fn make(
        &mut self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        content: Content,
    ) -> Result<FileAttr, Errno> {
        self.admit_name(Call::Create, parent, name)?;
        if self.image.lookup(parent.0, name).is_some() {
            return Err(Errno::EEXIST);
        }
        if matches!(content, Content::Folder(_)) && self.image.free() < FOLDER_BYTES {
            return Err(Errno::ENOSPC);
        }
        let node = Node {
            content,
            parent: parent.0,
            name: name.to_owned(),
            mode: u16::try_from(mode & 0o7777).expect("twelve bits fit"),
            uid: request.uid(),
            gid: request.gid(),
            named: true,
            opened: 0,
        };
        let number = self.image.add(parent.0, name, node);
        self.attributes(number)
    }

    fn take_away(&mut self, parent: INodeNo, name: &OsStr) -> Result<(), Errno> {
        self.admit_name(Call::Remove, parent, name)?;
        let number = self.image.lookup(parent.0, name).ok_or(Errno::ENOENT)?;
        if self.image.folder(number).is_some_and(|folder| !folder.live.is_empty()) {
            return Err(Errno::ENOTEMPTY);
        }
        self.image.remove(parent.0, name);
        Ok(())
    }

    fn sync(&mut self, node: INodeNo) -> Result<(), Errno> {
        let admitted = self.admit_node(Call::Sync, node, &(0..0));
        match admitted {
            Ok(_) => self.image.sync_file(node.0),
            // When the power is gone, what is left is decided elsewhere.
            Err(_) if self.is_cut => {}
            Err(_) => self.image.forget_changes(node.0),
        }
        admitted.map(drop)
    }

    fn write(&mut self, node: INodeNo, offset: u64, data: &[u8]) -> Result<u32, Errno> {
        let range = offset..offset + data.len() as u64;
        let most = self.admit_node(Call::Write, node, &range)?.unwrap_or(data.len()).min(data.len());
        let written = self.image.write(node.0, offset, &data[..most]).ok_or(Errno::ENOSPC)?;
        Ok(u32::try_from(written).expect("the kernel writes less at once"))
    }

    fn read(&mut self, node: INodeNo, offset: u64, size: u32) -> Result<Vec<u8>, Errno> {
        let most = self.admit_node(Call::Read, node, &(offset..offset + u64::from(size)))?;
        let file = self.image.file(node.0).ok_or(Errno::EISDIR)?;
        let length = file.live.len();
        let start = usize::try_from(offset).unwrap_or(length).min(length);
        let wanted = most.unwrap_or(usize::MAX).min(size as usize);
        Ok(file.live[start..length.min(start.saturating_add(wanted))].to_vec())
    }
}

macro_rules! answer {
    ($reply:ident, $result:expr, $value:pat => $good:expr) => {
        match $result {
            Ok($value) => $good,
            Err(error) => $reply.error(error),
        }
    };
}

impl Filesystem for Served {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let mut state = self.state();
        let found = state.admit_name(Call::Look, parent, name).and_then(|()| {
            let number = state.image.lookup(parent.0, name).ok_or(Errno::ENOENT)?;
            state.attributes(number)
        });
        answer!(reply, found, attributes => reply.entry(&TTL, &attributes, Generation(0)));
    }

    fn getattr(&self, _: &Request, node: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        let mut state = self.state();
        let found = state.admit_node(Call::Look, node, &(0..0)).and_then(|_| state.attributes(node.0));
        answer!(reply, found, attributes => reply.attr(&TTL, &attributes));
    }

    fn setattr(
        &self,
        _: &Request,
        node: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<TimeOrNow>,
        _mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let mut state = self.state();
        let call = if size.is_some() { Call::Truncate } else { Call::Look };
        let range = size.map_or(0..0, |length| length..u64::MAX);
        let done = state.admit_node(call, node, &range).and_then(|_| {
            if let Some(length) = size {
                state.image.resize(node.0, length);
            }
            if let Some(node) = state.image.nodes.get_mut(&node.0) {
                let mode = mode.map(|mode| u16::try_from(mode & 0o7777).expect("twelve bits fit"));
                node.mode = mode.unwrap_or(node.mode);
                node.uid = uid.unwrap_or(node.uid);
                node.gid = gid.unwrap_or(node.gid);
            }
            state.attributes(node.0)
        });
        answer!(reply, done, attributes => reply.attr(&TTL, &attributes));
    }

    fn mkdir(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        reply: ReplyEntry,
    ) {
        let content = Content::Folder(FolderContent::default());
        let made = self.state().make(request, parent, name, mode & !umask, content);
        answer!(reply, made, attributes => reply.entry(&TTL, &attributes, Generation(0)));
    }

    fn create(
        &self,
        request: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let mut state = self.state();
        let content = Content::File(FileContent::default());
        let made = state.make(request, parent, name, mode & !umask, content);
        if let Ok(attributes) = &made {
            state.image.opened(attributes.ino.0);
        }
        answer!(reply, made, attributes => {
            let direct = FopenFlags::FOPEN_DIRECT_IO;
            reply.created(&TTL, &attributes, Generation(0), FileHandle(0), direct);
        });
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let mut state = self.state();
        let done = state.take_away(parent, name);
        state.drop_closed();
        answer!(reply, done, () => reply.ok());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        let mut state = self.state();
        let done = state.take_away(parent, name);
        state.drop_closed();
        answer!(reply, done, () => reply.ok());
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        to_parent: INodeNo,
        to_name: &OsStr,
        flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        let mut state = self.state();
        let done = state.admit_name(Call::Rename, parent, name).and_then(|()| {
            if !flags.is_empty() {
                return Err(Errno::EINVAL);
            }
            state.image.rename((parent.0, name), (to_parent.0, to_name));
            state.drop_closed();
            Ok(())
        });
        answer!(reply, done, () => reply.ok());
    }

    fn open(&self, _: &Request, node: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        let mut state = self.state();
        let done = state.admit_node(Call::Open, node, &(0..0));
        if done.is_ok() {
            state.image.opened(node.0);
        }
        answer!(reply, done, _ => reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO));
    }

    fn read(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = self.state().read(node, offset, size);
        answer!(reply, read, bytes => reply.data(&bytes));
    }

    fn write(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let written = self.state().write(node, offset, data);
        answer!(reply, written, bytes => reply.written(bytes));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(
        &self,
        _: &Request,
        node: INodeNo,
        _: FileHandle,
        _: OpenFlags,
        _: Option<LockOwner>,
        _: bool,
        reply: ReplyEmpty,
    ) {
        let mut state = self.state();
        state.image.closed(node.0);
        state.drop_closed();
        reply.ok();
    }

    fn fsync(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let done = self.state().sync(node);
        answer!(reply, done, () => reply.ok());
    }

    fn fsyncdir(&self, _: &Request, node: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        let mut state = self.state();
        let done = state.admit_node(Call::SyncFolder, node, &(0..0));
        if done.is_ok() {
            state.image.sync_folder(node.0);
        }
        answer!(reply, done, _ => reply.ok());
    }

    fn readdir(&self, _: &Request, node: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let mut state = self.state();
        if let Err(error) = state.admit_node(Call::Look, node, &(0..0)) {
            return reply.error(error);
        }
        let Some(folder) = state.image.folder(node.0) else { return reply.error(Errno::ENOTDIR) };
        let skip = usize::try_from(offset).unwrap_or(usize::MAX);
        for (position, (name, number)) in folder.live.iter().enumerate().skip(skip) {
            let is_folder = state.image.folder(*number).is_some();
            let kind = if is_folder { FileType::Directory } else { FileType::RegularFile };
            if reply.add(INodeNo(*number), position as u64 + 1, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _: &Request, node: INodeNo, reply: ReplyStatfs) {
        let mut state = self.state();
        if let Err(error) = state.admit_node(Call::Look, node, &(0..0)) {
            return reply.error(error);
        }
        let blocks = state.image.capacity / CLUSTER_BYTES;
        let free = state.image.free() / CLUSTER_BYTES;
        let block = u32::try_from(CLUSTER_BYTES).expect("a small number");
        reply.statfs(blocks, free, free, 1 << 20, 1 << 19, block, MAX_NAME, block);
    }

    fn access(&self, _: &Request, _: INodeNo, _: AccessFlags, reply: ReplyEmpty) {
        reply.ok();
    }
}

impl State {
    /// A file without a name goes when it is closed; its durable names may still lead to it, so that it
    /// is kept until they are synced away or the power goes.
    fn drop_closed(&mut self) {
        let gone: Vec<u64> = (self.image.nodes.iter())
            .filter(|(_, node)| !node.named && node.opened == 0)
            .map(|(&number, _)| number)
            .collect();
        for number in gone {
            if !self.image.is_named_on_medium(number) {
                self.image.nodes.remove(&number);
            }
        }
    }
}
