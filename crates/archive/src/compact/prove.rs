//! A pack that was made, read back from the disk and compared with what it was made from.
//!
//! Every byte: header, frames, that one commit names them all; each blob hashed against its name, and the
//! blobs just those of the sources, under their numbers; each record equal to that of the sources in its
//! turn. What is proven here may take the place of what it was made from.

use std::collections::BTreeMap;

use super::make::{Made, Workshop};
use super::place::open_making;
use super::source::{Held, Records, Source, wrong_blob};
use super::{CompactProgress, Stage, Watch};
use crate::block::Directory;
use crate::error::{Context as _, Error, Result};
use crate::frame::Kind;
use crate::ids::BlobNumber;
use crate::journal::codec;
use crate::pack::files::Header;
use crate::pack::header::PACK_HEADER_BYTES;
use crate::pack::reader::{Decoder, PackReader, decoder};
use crate::pack::replaces::Replaces;
use crate::pack::walk::{Event, FoundCommit, FrameAt, Walk};
use crate::verify::going_on;

/// Reads back what was made from these sources and blobs.
///
/// # Errors
/// [`Error::Unproven`] when it is not what it should be: then it is thrown away.
pub(super) fn prove(
    workshop: &Workshop<'_>,
    made: &Made,
    (sources, blobs): (&[Source], BTreeMap<BlobNumber, Held>),
    so_far: &mut CompactProgress,
    watch: &mut Watch<'_>,
) -> Result<()> {
    let reader = open_making(workshop.place, workshop.id, &made.file)?;
    let path = workshop.place.packs().join(&*made.file.name);
    let header = reader.pack_header().doing("read", &path)?;
    let is_named = header.is_some_and(|header| made.file.header == Header::Read(header));
    if !is_named || Replaces::of(&reader).as_ref() != Some(&made.replaces) || !made.replaces.is_whole(&reader)
    {
        return Err(odd("its beginning or its end is not as it was written"));
    }
    let commit = only_commit(&reader, made.replaces.length).doing("read", &path)??;
    let mut proof = Proof {
        reader: &reader,
        records: Records::of(sources),
        blobs,
        decoder: decoder(),
        in_journal: false,
    };
    for frame in &commit.frames {
        proof.frame(frame)?;
        (so_far.bytes, so_far.stage) = (so_far.bytes + frame.header.frame_length(), Stage::Proving);
        going_on(watch(*so_far))?;
    }
    if !proof.blobs.is_empty() || proof.records.next()?.is_some() {
        return Err(odd("it lacks something of what it was made from"));
    }
    reader.file.forget_cached();
    Ok(())
}

/// The commit that is the whole pack.
fn only_commit(reader: &PackReader, length: u64) -> std::io::Result<Result<FoundCommit>> {
    let not_whole = || odd("it is not one commit");
    let mut walk = Walk::new(reader, PACK_HEADER_BYTES as u64, length);
    let Some(Event::Commit(commit)) = walk.next()? else { return Ok(Err(not_whole())) };
    let is_end = matches!(walk.next()?, Some(Event::End { frames, torn: false, .. }) if frames.is_empty());
    let is_whole = commit.whole && commit.seals && commit.end == length;
    let has_all = commit.frames.len() as u64 == commit.fields.frames;
    Ok(if is_end && is_whole && has_all { Ok(commit) } else { Err(not_whole()) })
}

struct Proof<'p> {
    reader: &'p PackReader,
    records: Records<'p>,
    /// Those that were not met yet.
    blobs: BTreeMap<BlobNumber, Held>,
    decoder: Decoder,
    /// Whether a record was met.
    in_journal: bool,
}

impl Proof<'_> {
    fn frame(&mut self, frame: &FrameAt) -> Result<()> {
        let contents = self.reader.contents(&frame.header, frame.offset, &mut self.decoder);
        let (meta, body) = contents.map_err(|fault| odd(&fault.to_string()))?;
        match frame.header.kind {
            Kind::Block => self.block(&meta, &body),
            Kind::Journal => self.journal(&meta, &body),
            _ => Ok(()),
        }
    }

    fn block(&mut self, meta: &[u8], body: &[u8]) -> Result<()> {
        let directory = Directory::decode(meta, body.len() as u64);
        let directory = directory.map_err(|fault| odd(&fault.to_string()))?;
        for blob in &directory.blobs {
            let held = self.blobs.remove(&blob.number).filter(|held| {
                (held.name, held.length) == (blob.name, blob.length) && held.is_before_loss != self.in_journal
            });
            if held.is_none() {
                return Err(odd("it has a blob that is not from its sources"));
            }
        }
        match wrong_blob(&directory, body) {
            Some(_) => Err(odd("a blob is not what its name says")),
            None => Ok(()),
        }
    }

    fn journal(&mut self, keys: &[u8], records: &[u8]) -> Result<()> {
        self.in_journal = true;
        let mut decoder = codec::Decoder::new(keys, records);
        loop {
            let record = decoder.next();
            let record = record.map_err(|error| odd(&error.to_string()))?;
            let Some(record) = record else { return Ok(()) };
            if self.records.next()? != Some(record) {
                return Err(odd("a record is not that of its sources"));
            }
        }
    }
}

fn odd(what: &str) -> Error {
    Error::Unproven { what: what.to_owned() }
}
