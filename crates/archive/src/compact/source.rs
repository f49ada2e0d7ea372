//! A pack that is read to be compacted: strictly, for what is made of it takes its place.
//!
//! It must be just what was written: header, frames, commits that name them and each other, nothing between
//! them; and this version of the program must understand all of it, because what it does not understand it
//! could not write again. What is anything else is left as it is.

use std::collections::{BTreeMap, VecDeque};

use message::BlobName;

use crate::block::Directory;
use crate::disk::is_medium_error;
use crate::error::{Context as _, Error, Result};
use crate::frame::{CommitFields, HEADER_BYTES, Kind, NextNumbers};
use crate::identity::Place;
use crate::ids::{ArchiveId, BlobNumber, CommitId};
use crate::journal::codec::{self, JournalError};
use crate::journal::record::Record;
use crate::pack::files::{PackFile, open_pack};
use crate::pack::header::{FORMAT_VERSION, PACK_HEADER_BYTES, PackHeader};
use crate::pack::reader::{Decoder, Fault, PackReader, decoder};
use crate::pack::replaces::{Replaces, Retired};
use crate::pack::walk::{Event, FrameAt, Walk};
use crate::pack::writer::StoredBlock;
use crate::wire::malformed;

/// A pack whose frames are all in order.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) reader: PackReader,
    pub(super) header: PackHeader,
    /// In the pack's place in the list of what is replaced.
    pub(super) retired: Retired,
    /// If it was made by compaction.
    pub(super) replaces: Option<Replaces>,
    /// Its frames without those of its commits.
    pub(super) frames: Vec<FrameAt>,
    /// The first of its commits, or of those for which it stands.
    pub(super) first_commit: u64,
    /// What the first of its commits says of the one before.
    pub(super) previous_check: [u8; 16],
    pub(super) last: CommitId,
    pub(super) next: NextNumbers,
}

/// The place of a blob in the sources: source and frame.
pub(super) type At = (usize, usize);

/// A blob that the sources hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) name: BlobName,
    pub(super) length: u32,
    /// The last of its places.
    pub(super) at: At,
    /// Whether the journal says behind that place that it is lost; else, if it says so at all, it says it
    /// before. What a catalogue makes of the two depends on their order.
    pub(super) is_before_loss: bool,
}

/// Opens packs that follow each other, of which so many bytes count as their lengths say.
pub(super) fn open(place: &Place, id: ArchiveId, packs: &[PackFile]) -> Result<Vec<Source>> {
    let mut sources: Vec<Source> = Vec::new();
    for file in packs {
        let source = Source::open(place, id, file)?;
        if let Some(before) = sources.last()
            && (before.last.number + 1, before.last.check) != (source.first_commit, source.previous_check)
        {
            let what = format!("its first commit does not follow commit {}", before.last.number);
            return Err(source.odd(PACK_HEADER_BYTES as u64, what));
        }
        sources.push(source);
    }
    Ok(sources)
}

impl Source {
    fn open(place: &Place, id: ArchiveId, file: &PackFile) -> Result<Self> {
        let reader = open_pack(&*place.disk, &place.packs(), id, file)?;
        let path = place.packs().join(&*file.name);
        let header = reader.pack_header().doing("read", &path)?;
        let header = header.filter(|header| header.pack == file.pack && header.archive == id);
        let header = header.ok_or_else(|| odd(&reader, 0, "the pack's header is damaged".to_owned()))?;
        let retired = Retired { pack: file.pack, sequence: header.sequence, length: file.length };
        let mut source = Self {
            header,
            retired,
            replaces: Replaces::of(&reader),
            frames: Vec::new(),
            first_commit: 0,
            previous_check: [0; 16],
            last: CommitId::NONE,
            next: NextNumbers::default(),
            reader,
        };
        source.walk(file.length).doing("read", &path)??;
        Ok(source)
    }

    fn walk(&mut self, length: u64) -> std::io::Result<Result<()>> {
        let reader = self.reader.clone();
        let mut walk = Walk::new(&reader, PACK_HEADER_BYTES as u64, length);
        while let Some(event) = walk.next()? {
            match event {
                Event::Commit(commit)
                    if commit.whole && commit.frames.len() as u64 == commit.fields.frames =>
                {
                    if let Err(error) = self.commit(&commit.fields, commit.check) {
                        return Ok(Err(error));
                    }
                    self.frames.extend(commit.frames);
                }
                Event::Commit(commit) => {
                    let what = "a commit does not have the frames that it names".to_owned();
                    return Ok(Err(self.odd(commit.fields.first_offset, what)));
                }
                Event::Damage { bytes, what } => return Ok(Err(self.odd(bytes.start, what))),
                Event::End { frames, last_frame_end, torn } => {
                    if torn || !frames.is_empty() || last_frame_end != length || self.last == CommitId::NONE {
                        let what = "the pack does not end with a commit".to_owned();
                        return Ok(Err(self.odd(last_frame_end, what)));
                    }
                }
            }
        }
        Ok(Ok(()))
    }

    fn commit(&mut self, fields: &CommitFields, check: [u8; 16]) -> Result<()> {
        let begins = fields.first_number();
        if self.last == CommitId::NONE {
            (self.first_commit, self.previous_check) = (begins, fields.previous_check);
        } else if (begins, fields.previous_check) != (self.last.number + 1, self.last.check) {
            return Err(
                self.odd(fields.first_offset, format!("commit {begins} does not follow the one before"))
            );
        }
        self.last = CommitId { number: fields.number, check };
        self.next = self.next.max(fields.next);
        Ok(())
    }

    /// The error for something that is not as it was written.
    pub(super) fn odd(&self, offset: u64, what: String) -> Error {
        odd(&self.reader, offset, what)
    }

    /// The error for a frame that cannot be used; where the medium is not to blame, the file system's own.
    fn fault(&self, frame: &FrameAt, fault: Fault) -> Error {
        match fault {
            Fault::Io(source) if !is_medium_error(&source) => {
                Error::Io { action: "read", path: self.reader.name.to_string().into(), source }
            }
            Fault::UnknownCodec(_) | Fault::Sealed(_) => self.unknown(),
            fault => self.reader.damaged(frame.offset, &fault),
        }
    }

    /// The error for what this version does not know.
    fn unknown(&self) -> Error {
        Error::NewerFormat {
            what: self.reader.name.to_string(),
            found: u64::from(FORMAT_VERSION) + 1,
            known: FORMAT_VERSION.into(),
        }
    }

    fn directory(&self, frame: &FrameAt) -> Result<Directory> {
        directory_of(&self.reader, frame).map_err(|fault| self.fault(frame, fault))
    }

    /// A block's directory and its plain bytes, of which every blob has the content that it is named by.
    pub(super) fn block(&self, frame: &FrameAt, decoder: &mut Decoder) -> Result<(Directory, Vec<u8>)> {
        let read = self.reader.contents(&frame.header, frame.offset, decoder);
        let (meta, body) = read.map_err(|fault| self.fault(frame, fault))?;
        let directory = Directory::decode(&meta, body.len() as u64);
        let directory = directory.map_err(|fault| self.fault(frame, Fault::Content(fault)))?;
        if let Some(slot) = wrong_blob(&directory, &body) {
            let what = format!("blob {slot} of the block does not have the content that it is named by");
            return Err(self.odd(frame.offset, what));
        }
        Ok((directory, body))
    }

    fn records(&self, frame: &FrameAt, decoder: &mut Decoder) -> Result<VecDeque<Record>> {
        let read = self.reader.contents(&frame.header, frame.offset, decoder);
        let (keys, body) = read.map_err(|fault| self.fault(frame, fault))?;
        let (mut decoder, mut records) = (codec::Decoder::new(&keys, &body), VecDeque::new());
        loop {
            match decoder.next() {
                Ok(Some(record)) => records.push_back(record),
                // What was skipped could not be written again.
                Ok(None) if decoder.has_skipped() => return Err(self.unknown()),
                Ok(None) => return Ok(records),
                Err(JournalError::UnknownRecord(_)) => return Err(self.unknown()),
                Err(JournalError::Malformed(fault)) => return Err(self.fault(frame, Fault::Content(fault))),
            }
        }
    }

    /// A frame of any other kind must be one that is made anew, and right.
    fn check_other(&self, frame: &FrameAt) -> Result<()> {
        let meta = self.reader.meta(&frame.header, frame.offset).map_err(|fault| self.fault(frame, fault))?;
        let stored = self.reader.stored_body(&frame.header, frame.offset);
        stored.map_err(|fault| self.fault(frame, fault))?;
        let is_first = frame.offset == PACK_HEADER_BYTES as u64;
        match frame.header.kind {
            Kind::Seal if meta.len() == 8 => Ok(()),
            Kind::Replaces if is_first && self.replaces.is_some() => Ok(()),
            Kind::Seal | Kind::Replaces => {
                Err(self.fault(frame, Fault::Content(malformed("a frame of this kind in this place"))))
            }
            _ => Err(self.unknown()),
        }
    }
}

/// The last place of each blob that the sources hold.
pub(super) fn blobs(sources: &[Source]) -> Result<BTreeMap<BlobNumber, Held>> {
    let mut blobs: BTreeMap<BlobNumber, Held> = BTreeMap::new();
    let mut decoder = decoder();
    for (number, source) in sources.iter().enumerate() {
        for (at, frame) in source.frames.iter().enumerate() {
            match frame.header.kind {
                Kind::Block => {
                    for blob in source.directory(frame)?.blobs {
                        let (name, length) = (blob.name, blob.length);
                        let held = Held { name, length, at: (number, at), is_before_loss: false };
                        let before = blobs.insert(blob.number, held);
                        if before.is_some_and(|before| (before.name, before.length) != (name, length)) {
                            let what = format!("it has another blob {}", blob.number);
                            return Err(source.odd(frame.offset, what));
                        }
                    }
                }
                Kind::Journal => {
                    for record in source.records(frame, &mut decoder)? {
                        let Record::Lost { blobs: lost, .. } = record else { continue };
                        for blob in lost {
                            if let Some(held) = blobs.get_mut(&blob) {
                                held.is_before_loss = true;
                            }
                        }
                    }
                }
                _ => source.check_other(frame)?,
            }
        }
    }
    Ok(blobs)
}

/// All records of the sources, in their order; a frame of them is in memory.
pub(super) struct Records<'s> {
    sources: &'s [Source],
    next: At,
    read: VecDeque<Record>,
    decoder: Decoder,
}

impl<'s> Records<'s> {
    pub(super) fn of(sources: &'s [Source]) -> Self {
        Self { sources, next: (0, 0), read: VecDeque::new(), decoder: decoder() }
    }

    pub(super) fn next(&mut self) -> Result<Option<Record>> {
        loop {
            if let Some(record) = self.read.pop_front() {
                return Ok(Some(record));
            }
            let (source, frame) = self.next;
            let Some(from) = self.sources.get(source) else { return Ok(None) };
            let Some(found) = from.frames.get(frame) else {
                self.next = (source + 1, 0);
                continue;
            };
            self.next = (source, frame + 1);
            if found.header.kind == Kind::Journal {
                self.read = from.records(found, &mut self.decoder)?;
            }
        }
    }
}

/// The blocks of a pack of which so many bytes count, one read after the other.
pub(super) fn block_directories(
    reader: &PackReader,
    length: u64,
) -> Result<impl Iterator<Item = Result<StoredBlock>>> {
    let mut walk = Walk::new(reader, PACK_HEADER_BYTES as u64, length);
    let mut frames = Vec::new();
    while let Some(event) = walk.next().doing("read", std::path::Path::new(&*reader.name))? {
        if let Event::Commit(commit) = event {
            frames.extend(commit.frames);
        }
    }
    frames.retain(|frame| frame.header.kind == Kind::Block);
    Ok(frames.into_iter().map(move |frame| {
        let directory = directory_of(reader, &frame).map_err(|fault| reader.damaged(frame.offset, &fault))?;
        let (directory_bytes, body_bytes) = (frame.header.meta_length.into(), frame.header.body_length);
        Ok(StoredBlock { offset: frame.offset, directory_bytes, body_bytes, directory })
    }))
}

/// The first blob of a block that is not what its name says.
pub(super) fn wrong_blob(directory: &Directory, body: &[u8]) -> Option<usize> {
    directory.blobs.iter().position(|blob| BlobName::of(&body[blob.range()]) != blob.name)
}

fn directory_of(reader: &PackReader, frame: &FrameAt) -> Result<Directory, Fault> {
    let meta = reader.meta(&frame.header, frame.offset)?;
    Ok(Directory::decode(&meta, frame.header.plain_length)?)
}

fn odd(reader: &PackReader, offset: u64, what: String) -> Error {
    Error::PackDamaged { pack: reader.name.to_string(), offset, what }
}

/// Bytes of a commit frame that stands for others, and of a seal.
pub(super) const END_BYTES: u64 = 2 * HEADER_BYTES as u64 + 8 + CommitFields::BYTES_STANDING;
