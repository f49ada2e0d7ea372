//! What must hold for any bytes: the laws of this crate's fuzz targets.
//!
//! A pack may come from a damaged disk, and an archive from a stranger who asks for help with it: then
//! every checksum is right and everything else is wrong. So the targets come in two kinds. Parsers get
//! bytes as they are. The whole archive ([`archive`]) gets *instructions*: frames with any content are
//! put into packs with right checksums and commits, and the archive is opened, listed, read, verified,
//! rebuilt and written to ([`forge`]).
//!
//! The law of the whole: no panic; every message that is given out has the hash that it was asked for
//! by (S11); what is odd is told as damage, or refused as a newer format, and never ends in an error of
//! the catalogue; what a writer adds to such an archive is there afterwards.

mod forge;
mod tour;

use std::path::Path;
use std::sync::Arc;

use crate::block::Directory;
use crate::catalogue::apply::Applier;
use crate::catalogue::{self, Mode, compare};
use crate::disk::simulated::SimulatedDisk;
use crate::frame::{CommitFields, FrameHeader, FrameKey, HEADER_BYTES, limit};
use crate::identity::Place;
use crate::ids::{ArchiveId, PackId};
use crate::journal::codec::{Decoder, Encoder};
use crate::journal::record::Record;
use crate::pack::header::{PACK_HEADER_BYTES, PackHeader, file_name, parse_file_name};

/// The archive of all these inputs, and its first pack: those of the worked example in
/// docs/archive-format.md.
pub(crate) const ARCHIVE: ArchiveId = ArchiveId([0x11; 16]);
pub(crate) const PACK: PackId = PackId([0x13; 8]);

/// A frame's header, at the offset in the first eight bytes, with its checksum made right when the
/// ninth is odd: what is taken for a frame is within the limits.
pub fn frame(data: &[u8]) {
    let Some((offset, [right, rest @ ..])) = data.split_first_chunk::<8>() else { return };
    let offset = u64::from_le_bytes(*offset);
    let mut bytes = [0; HEADER_BYTES];
    let length = rest.len().min(HEADER_BYTES);
    bytes[..length].copy_from_slice(&rest[..length]);
    let key = FrameKey::new(ARCHIVE, PACK);
    if right & 1 == 1 {
        let check = key.checksum(&[&bytes[..64], &offset.to_le_bytes()]);
        bytes[64..].copy_from_slice(&check);
    }
    let Some(header) = FrameHeader::decode(&bytes, offset, &key) else { return };
    assert!(header.meta_length <= limit::META_BYTES);
    assert!(header.body_length <= limit::BODY_BYTES && header.plain_length <= limit::BODY_BYTES);
    assert_eq!(header.body_range().end, header.frame_length());
    assert!(FrameHeader::decode(&bytes, offset ^ 1, &key).is_none());
}

/// A pack's header, its checksum made right when the first byte is odd, and a pack's file name.
pub fn pack_header(data: &[u8]) {
    let Some((&right, rest)) = data.split_first() else { return };
    let mut bytes = [0; PACK_HEADER_BYTES];
    let length = rest.len().min(PACK_HEADER_BYTES);
    bytes[..length].copy_from_slice(&rest[..length]);
    if right & 1 == 1 {
        let (mut archive, mut pack) = ([0; 16], [0; 8]);
        archive.copy_from_slice(&bytes[16..32]);
        pack.copy_from_slice(&bytes[32..40]);
        let check = FrameKey::new(ArchiveId(archive), PackId(pack)).checksum(&[&bytes[..112]]);
        bytes[112..].copy_from_slice(&check);
    }
    if let Ok(header) = PackHeader::decode(&bytes) {
        assert_eq!(PackHeader::decode(&header.encode()), Ok(header));
    }
    let name = String::from_utf8_lossy(rest);
    if let Some((sequence, pack)) = parse_file_name(&name) {
        assert_eq!(file_name(sequence, pack), name);
    }
}

/// A block's directory, for a body of as many bytes as the first four say: what is read lies within the
/// body, and is written and read again alike. The same bytes as a commit's fields.
pub fn directory(data: &[u8]) {
    let Some((length, meta)) = data.split_first_chunk::<4>() else { return };
    let length = u64::from(u32::from_le_bytes(*length));
    if let Ok(directory) = Directory::decode(meta, length) {
        assert!(directory.blobs.len() <= limit::BLOBS_IN_BLOCK);
        assert!(directory.blobs.iter().all(|blob| blob.range().end as u64 <= length));
        assert_eq!(Directory::decode(&directory.encode(), length), Ok(directory));
    }
    if let Ok(fields) = CommitFields::decode(meta) {
        assert_eq!(CommitFields::decode(&fields.encode()), Ok(fields));
    }
}

/// A journal frame: so many keys as the first byte says, then records. What can be read is written and
/// read again alike; and applied to an empty catalogue, twice, it gives the same catalogue twice.
pub fn journal(data: &[u8]) {
    let Some((&keys, rest)) = data.split_first() else { return };
    let (keys, records) = rest.split_at((usize::from(keys % 16) * 32).min(rest.len()));
    let read = records_of(keys, records);
    let mut encoder = Encoder::default();
    for record in &read {
        encoder.add(record).expect("what was read is not above the limit");
    }
    if let Some((keys, written)) = encoder.take() {
        assert!(records_of(&keys, &written) == read, "records do not come back");
    }
    let catalogues = [(); 2].map(|()| {
        let to = catalogue::open_for_writing(None, Mode::Shared, ARCHIVE).expect("a catalogue in memory");
        let mut applier = Applier::default();
        for record in &read {
            applier.record(&to, record).expect("any record can be applied");
        }
        to
    });
    let difference = compare::first_difference(&catalogues[0], &catalogues[1]).expect("both can be read");
    assert_eq!(difference, None);
}

fn records_of(keys: &[u8], records: &[u8]) -> Vec<Record> {
    let mut decoder = Decoder::new(keys, records);
    let mut read = Vec::new();
    while let Ok(Some(record)) = decoder.next() {
        read.push(record);
    }
    read
}

/// A pack's bytes as they lie on a damaged disk.
pub fn pack(data: &[u8]) {
    let disk = forge::folder();
    disk.write(&Path::new("/archive/packs").join(file_name(1, PACK)), data);
    tour::take(&place(disk));
}

/// An archive from a stranger: instructions of which packs are forged, with right checksums.
pub fn archive(data: &[u8]) {
    tour::take(&place(forge::archive(data)));
}

fn place(disk: SimulatedDisk) -> Place {
    Place::on(Arc::new(disk), Path::new("/archive"), None)
}

#[cfg(test)]
mod tests;
