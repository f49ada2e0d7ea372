//! A compacted pack, written.
//!
//! Behind the frame that says what it replaces come the records of its sources, in their order, and then
//! their blobs under their numbers, gathered into full blocks stream by stream. (Where the journal says that
//! blobs are lost which lie before that in the packs, they come first.) One commit ends it, which stands for
//! all those of the sources. Blocks are compressed by threads of their own, and written in order.
//!
//! The file has a name at which nobody looks. Nothing is sure about it before it has been read back (`prove`).

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use message::BlobName;
use message::recipe::Stream;

use super::source::{END_BYTES, Held, Records, Source};
use super::{CompactOptions, CompactProgress, Stage, Watch};
use crate::block::{BlockBuilder, Directory, PlainBlock};
use crate::disk::{DiskFile, write_all_at};
use crate::error::{Context as _, Error, Result};
use crate::frame::{Codec, CommitFields, FrameKey, Kind, NewFrame, StandsFor, limit};
use crate::identity::Place;
use crate::ids::{ArchiveId, BlobNumber, PackId};
use crate::journal::codec::Encoder;
use crate::pack::files::{Header, MAKING_SUFFIX, PackFile};
use crate::pack::header::{PACK_HEADER_BYTES, PackHeader, file_name};
use crate::pack::reader::decoder;
use crate::pack::replaces::{MOST_RETIRED, Replaces};
use crate::pack::writer::{JOURNAL_LEVEL, compress_block, write_frame};
use crate::surroundings::Surroundings;
use crate::verify::going_on;

/// A journal frame is closed when it has this many bytes before compression.
const JOURNAL_FRAME_BYTES: usize = 4 << 20;

/// Blocks are compressed at this level as well, and kept so where that is smaller: a high level finds short
/// matches also in what has none worth it, as in digits of hashes, and loses by them.
const QUICK_LEVEL: i32 = 2;

/// Attachments that were stored as they are, and are at least as long as this, are not tried again.
const HOPELESS_BYTES: u64 = 64 << 10;

/// A pack that was written, and not yet proven.
#[derive(Debug)]
pub(super) struct Made {
    /// The file as it is named now.
    pub(super) file: PackFile,
    /// What it shall be named.
    pub(super) name: String,
    pub(super) replaces: Replaces,
}

/// What is needed to make a pack.
pub(super) struct Workshop<'w> {
    pub(super) place: &'w Place,
    pub(super) id: ArchiveId,
    pub(super) surroundings: &'w dyn Surroundings,
    pub(super) options: &'w CompactOptions,
}

/// Writes a pack from sources that follow each other; `blobs` are those that they hold.
pub(super) fn make(
    workshop: &Workshop<'_>,
    sources: &[Source],
    blobs: &BTreeMap<BlobNumber, Held>,
    so_far: &mut CompactProgress,
    watch: &mut Watch<'_>,
) -> Result<Made> {
    let Workshop { place, id, surroundings, options } = *workshop;
    let (first, last) = sources.first().zip(sources.last()).expect("a group has at least one pack");
    let random = surroundings.random().doing("draw an id for a pack in", &place.packs())?;
    let mut pack = PackId([0; 8]);
    pack.0.copy_from_slice(&random[..8]);
    let before = sources.iter().filter_map(|source| source.replaces.as_ref());
    let mut replaces = Replaces {
        length: 0,
        first_commit: first.first_commit,
        last: last.last,
        unix_ms: surroundings.unix_ms(),
        level: options.level,
        sources: sources.iter().map(|source| source.retired).collect(),
        before: before.flat_map(Replaces::all).copied().collect(),
    };
    if replaces.all().count() > MOST_RETIRED {
        return Err(Error::TooLarge {
            what: "a list of replaced packs",
            length: replaces.all().count() as u64,
            limit: MOST_RETIRED as u64,
        });
    }
    let header = PackHeader { pack, sequence: last.header.sequence, ..first.header.clone() };
    let name = file_name(header.sequence, pack);
    let making = name.replace(".pack", MAKING_SUFFIX);
    let mut output = Output::create(place, id, pack, &making, replaces.frame_bytes())?;
    let is_before = |held: &Held| held.is_before_loss;
    if blobs.values().any(is_before) {
        output.blocks(sources, blobs, (true, options), so_far, watch)?;
    }
    output.journal(sources, options.level.max(JOURNAL_LEVEL))?;
    output.blocks(sources, blobs, (false, options), so_far, watch)?;
    replaces.length = output.end + END_BYTES;
    let fields = CommitFields {
        number: replaces.last.number,
        previous_check: first.previous_check,
        first_offset: PACK_HEADER_BYTES as u64,
        frames: 0,
        frames_check: [0; 16],
        unix_ms: replaces.unix_ms,
        next: sources.iter().fold(last.next, |next, source| next.max(source.next)),
        stands_for: Some(StandsFor { first: replaces.first_commit, check: replaces.last.check }),
    };
    output.finish(&header, &replaces, fields)?;
    let (length, sequence) = (replaces.length, header.sequence);
    let file = PackFile { name: making.into(), pack, sequence, length, header: Header::Read(header) };
    Ok(Made { file, name, replaces })
}

/// The file that is written.
struct Output {
    file: Arc<dyn DiskFile>,
    path: PathBuf,
    key: FrameKey,
    end: u64,
    checks: Vec<[u8; 16]>,
}

impl Output {
    fn create(place: &Place, id: ArchiveId, pack: PackId, name: &str, room: u64) -> Result<Self> {
        let path = place.packs().join(name);
        let file = place.disk.create(&path).doing("create", &path)?;
        let (key, end) = (FrameKey::new(id, pack), PACK_HEADER_BYTES as u64 + room);
        Ok(Self { file, path, key, end, checks: Vec::new() })
    }

    fn append(&mut self, frame: &NewFrame<'_>) -> Result<()> {
        let written = write_frame(&*self.file, frame, self.end, &self.key);
        let (check, end) = written.doing("write to", &self.path)?;
        self.checks.push(check);
        self.end = end;
        Ok(())
    }

    fn plain(&mut self, kind: Kind, meta: &[u8]) -> Result<()> {
        self.append(&NewFrame { kind, codec: Codec::Stored, meta, body: &[], plain_length: 0 })
    }

    /// The records, said again in as few frames as can be.
    fn journal(&mut self, sources: &[Source], level: i32) -> Result<()> {
        let mut compressor = compressor(level)?;
        let (mut records, mut encoder) = (Records::of(sources), Encoder::default());
        while let Some(record) = records.next()? {
            encoder.add(&record).map_err(|length| Error::TooLarge {
                what: "a journal record",
                length: length as u64,
                limit: limit::RECORD_BYTES as u64,
            })?;
            if encoder.length() >= JOURNAL_FRAME_BYTES || encoder.keys_are_full() {
                self.journal_frame(&mut encoder, &mut compressor)?;
            }
        }
        self.journal_frame(&mut encoder, &mut compressor)
    }

    fn journal_frame(
        &mut self,
        encoder: &mut Encoder,
        compressor: &mut zstd::bulk::Compressor<'static>,
    ) -> Result<()> {
        let Some((keys, records)) = encoder.take() else { return Ok(()) };
        let mut compressed = Vec::new();
        let is_smaller = compress_block(compressor, &records, &mut compressed);
        let (codec, body) = if is_smaller { (Codec::Zstd, &compressed) } else { (Codec::Stored, &records) };
        let plain_length = records.len() as u64;
        self.append(&NewFrame { kind: Kind::Journal, codec, meta: &keys, body, plain_length })
    }

    /// The blobs of the sources in their order: those that the journal says to be lost after them, or all
    /// others.
    fn blocks(
        &mut self,
        sources: &[Source],
        blobs: &BTreeMap<BlobNumber, Held>,
        (before_loss, options): (bool, &CompactOptions),
        so_far: &mut CompactProgress,
        watch: &mut Watch<'_>,
    ) -> Result<()> {
        let mut decoder = decoder();
        let mut gathered = Gathered::new(options);
        compress_in_order(options, self, |press, output| {
            for (number, source) in sources.iter().enumerate() {
                for (at, frame) in source.frames.iter().enumerate() {
                    if frame.header.kind != Kind::Block {
                        continue;
                    }
                    let is_hopeless =
                        frame.header.codec == Codec::Stored && frame.header.plain_length >= HOPELESS_BYTES;
                    let (directory, body) = source.block(frame, &mut decoder)?;
                    for blob in &directory.blobs {
                        let held = blobs.get(&blob.number);
                        let is_wanted = held.is_some_and(|held| {
                            held.at == (number, at) && held.is_before_loss == before_loss
                        });
                        if !is_wanted {
                            continue;
                        }
                        let bytes = body[blob.range()].to_vec();
                        let blob = (blob.number, blob.name, bytes);
                        for full in gathered.add((directory.stream, is_hopeless), blob) {
                            press.hand_over(full, output)?;
                        }
                    }
                    so_far.bytes += frame.header.frame_length();
                    so_far.stage = Stage::Writing;
                    going_on(watch(*so_far))?;
                }
            }
            for rest in gathered.close() {
                press.hand_over(rest, output)?;
            }
            Ok(())
        })
    }

    /// The end of the pack, its beginning, and the sync.
    fn finish(mut self, header: &PackHeader, replaces: &Replaces, fields: CommitFields) -> Result<()> {
        self.plain(Kind::Seal, &replaces.length.to_le_bytes())?;
        let meta = replaces.encode();
        let (kind, codec) = (Kind::Replaces, Codec::Stored);
        let frame = NewFrame { kind, codec, meta: &meta, body: &[], plain_length: 0 };
        let written = write_frame(&*self.file, &frame, PACK_HEADER_BYTES as u64, &self.key);
        let (check, _) = written.doing("write to", &self.path)?;
        self.checks.insert(0, check);
        let checks: Vec<&[u8]> = self.checks.iter().map(|check| &check[..]).collect();
        let frames_check = self.key.checksum(&checks);
        let fields = CommitFields { frames: self.checks.len() as u64, frames_check, ..fields };
        self.plain(Kind::Commit, &fields.encode())?;
        write_all_at(&*self.file, &header.encode(), 0).doing("write to", &self.path)?;
        self.file.sync().doing("sync", &self.path)
    }
}

fn compressor(level: i32) -> Result<zstd::bulk::Compressor<'static>> {
    let made = zstd::bulk::Compressor::new(level).map_err(std::io::Error::other);
    made.doing("make a compressor for", std::path::Path::new("packs"))
}

/// A block that is full, and whether it is stored as it is.
struct Full {
    block: PlainBlock,
    is_hopeless: bool,
}

/// Blobs that wait until their block is full.
struct Gathered {
    streams: [BlockBuilder; 3],
    hopeless: BlockBuilder,
}

impl Gathered {
    fn new(options: &CompactOptions) -> Self {
        let builder = |stream| BlockBuilder::new(stream, options.block_bytes);
        Self {
            streams: [Stream::Header, Stream::Text, Stream::Attachment].map(builder),
            hopeless: builder(Stream::Attachment),
        }
    }

    /// Blocks that are full with this blob, or would not have their numbers ascend with it (B3).
    fn add(
        &mut self,
        (stream, is_hopeless): (Stream, bool),
        (number, name, bytes): (BlobNumber, BlobName, Vec<u8>),
    ) -> impl Iterator<Item = Full> {
        let is_hopeless = is_hopeless && stream == Stream::Attachment;
        let builder = if is_hopeless { &mut self.hopeless } else { &mut self.streams[stream as usize - 1] };
        let early = builder.last().filter(|last| *last >= number).and_then(|_| builder.close());
        // A blob that fills a block alone leaves the others waiting, which have lower numbers.
        let full = builder.add(number, name, bytes);
        early.into_iter().chain(full).map(move |block| Full { block, is_hopeless })
    }

    fn close(&mut self) -> Vec<Full> {
        let mut rest: Vec<Full> = Vec::new();
        for builder in &mut self.streams {
            rest.extend(builder.close().map(|block| Full { block, is_hopeless: false }));
        }
        rest.extend(self.hopeless.close().map(|block| Full { block, is_hopeless: true }));
        rest
    }
}

/// A block as it will be stored.
struct Pressed {
    directory: Directory,
    codec: Codec,
    body: Vec<u8>,
    plain_length: u64,
}

impl Pressed {
    /// Compressed by each of the compressors; the smallest is taken.
    fn of(full: Full, compressors: &mut [zstd::bulk::Compressor<'static>]) -> Self {
        let Full { block: PlainBlock { directory, body }, is_hopeless } = full;
        let plain_length = body.len() as u64;
        let press = |compressor| {
            let mut compressed = Vec::new();
            compress_block(compressor, &body, &mut compressed).then_some(compressed)
        };
        let tried = compressors.iter_mut().filter(|_| !is_hopeless).filter_map(press);
        match tried.min_by_key(Vec::len) {
            Some(body) => Self { directory, codec: Codec::Zstd, body, plain_length },
            None => Self { directory, codec: Codec::Stored, body, plain_length },
        }
    }

    fn write(self, output: &mut Output) -> Result<()> {
        let Self { directory, codec, body, plain_length } = self;
        let meta = directory.encode();
        output.append(&NewFrame { kind: Kind::Block, codec, meta: &meta, body: &body, plain_length })
    }
}

/// Threads that compress, each with a way to it and a way back. Work goes round, so what comes back in the
/// same round is in order.
struct Press {
    threads: Vec<(SyncSender<Full>, Receiver<Pressed>)>,
    handed_over: usize,
    taken_back: usize,
}

/// Blocks that wait for a thread, and that wait behind it.
const QUEUE: usize = 1;

impl Press {
    /// Gives a block to the next thread, and writes those that it has finished for it.
    fn hand_over(&mut self, full: Full, output: &mut Output) -> Result<()> {
        // Else both ways could be full, and each would wait for the other.
        if self.handed_over - self.taken_back >= self.threads.len() * (2 * QUEUE + 1) {
            self.take_back(output)?;
        }
        let next = self.handed_over % self.threads.len();
        self.threads[next].0.send(full).map_err(|_| Error::Abandoned)?;
        self.handed_over += 1;
        Ok(())
    }

    fn take_back(&mut self, output: &mut Output) -> Result<()> {
        let next = self.taken_back % self.threads.len();
        let pressed = self.threads[next].1.recv().map_err(|_| Error::Abandoned)?;
        self.taken_back += 1;
        pressed.write(output)
    }
}

/// Hands blocks to threads that compress them, and writes what comes back in the order in which it was given.
fn compress_in_order(
    options: &CompactOptions,
    output: &mut Output,
    give: impl FnOnce(&mut Press, &mut Output) -> Result<()>,
) -> Result<()> {
    std::thread::scope(|scope| {
        let mut press = Press { threads: Vec::new(), handed_over: 0, taken_back: 0 };
        for _ in 0..options.threads.max(1) {
            let mut compressors = [compressor(options.level)?, compressor(QUICK_LEVEL.min(options.level))?];
            let (send, work) = sync_channel::<Full>(QUEUE);
            let (done, receive) = sync_channel(QUEUE);
            let thread = std::thread::Builder::new().name("compact".to_owned());
            let started = thread.spawn_scoped(scope, move || {
                while let Ok(full) = work.recv() {
                    if done.send(Pressed::of(full, &mut compressors)).is_err() {
                        return;
                    }
                }
            });
            started.doing("start a thread for", std::path::Path::new("packs"))?;
            press.threads.push((send, receive));
        }
        give(&mut press, output)?;
        while press.taken_back < press.handed_over {
            press.take_back(output)?;
        }
        Ok(())
    })
}

/// Removes a pack that was not finished.
pub(super) fn discard(place: &Place, making: &str) -> Result<()> {
    let path = place.packs().join(making);
    match place.disk.remove(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).doing("remove", &path),
        _ => Ok(()),
    }
}

/// What was left in the making by one that was killed.
pub(super) fn discard_all(place: &Place) -> Result<()> {
    let packs = place.packs();
    for entry in place.disk.list(&packs).doing("list", &packs)? {
        if entry.is_file && entry.name.ends_with(MAKING_SUFFIX) {
            discard(place, &entry.name)?;
        }
    }
    Ok(())
}
