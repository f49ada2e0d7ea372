//! One pack, open for reading: a frame at a known place, checked.
//!
//! Lengths come from a header whose checksum was right and stay below the format's limits, so a read
//! allocates at most what one frame may have. A body is checked as it is stored, before it is
//! decompressed, and decompression never gives more than the header says.

use std::io;
use std::sync::Arc;

use super::header::{PACK_HEADER_BYTES, PackHeader};
use crate::disk::{DiskFile, is_medium_error, read_exact_at};
use crate::error::Error;
use crate::frame::{Codec, FrameHeader, FrameKey, HEADER_BYTES};
use crate::ids::PackId;

/// Decompresses bodies; kept between frames, for its tables are costly to make.
pub(crate) type Decoder = zstd::bulk::Decompressor<'static>;

/// A new decoder.
pub(crate) fn decoder() -> Decoder {
    Decoder::new().expect("a decompressor without a dictionary can be made unless memory is out")
}

/// Why a frame, or a part of it, cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Fault {
    #[error("it cannot be read ({0})")]
    Io(#[from] io::Error),
    #[error("no frame begins there")]
    NoFrame,
    #[error("the file ends within the frame")]
    CutShort,
    #[error("the frame's directory does not match its checksum")]
    Meta,
    #[error("the frame's body does not match its checksum")]
    Body,
    #[error("the body does not decompress to the length that the frame gives")]
    Decompress,
    #[error("its codec {0} is not known to this version of restante")]
    UnknownCodec(u8),
    #[error("it is sealed in a way ({0}) that is not known to this version of restante")]
    Sealed(u8),
    #[error("{0}")]
    Content(#[from] crate::wire::Malformed),
}

/// A pack that is open.
#[derive(Clone, Debug)]
pub(crate) struct PackReader {
    pub(crate) pack: PackId,
    pub(crate) name: Arc<str>,
    pub(crate) file: Arc<dyn DiskFile>,
    key: Arc<FrameKey>,
}

impl std::fmt::Debug for FrameKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("FrameKey")
    }
}

impl PackReader {
    pub(crate) fn new(pack: PackId, name: Arc<str>, file: Arc<dyn DiskFile>, key: FrameKey) -> Self {
        Self { pack, name, file, key: Arc::new(key) }
    }

    pub(crate) fn key(&self) -> &FrameKey {
        &self.key
    }

    /// The pack's own header, if it is right.
    pub(crate) fn pack_header(&self) -> io::Result<Option<PackHeader>> {
        let mut bytes = [0; PACK_HEADER_BYTES];
        match read_exact_at(&*self.file, &mut bytes, 0) {
            Ok(read) => Ok(PackHeader::decode(&bytes).ok().filter(|_| read)),
            Err(error) if is_medium_error(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The header of the frame at `offset`.
    pub(crate) fn header(&self, offset: u64) -> Result<FrameHeader, Fault> {
        let mut bytes = [0; HEADER_BYTES];
        if !read_exact_at(&*self.file, &mut bytes, offset)? {
            return Err(Fault::NoFrame);
        }
        FrameHeader::decode(&bytes, offset, &self.key).ok_or(Fault::NoFrame)
    }

    /// The frame's directory.
    pub(crate) fn meta(&self, header: &FrameHeader, offset: u64) -> Result<Vec<u8>, Fault> {
        let mut meta = vec![0; header.meta_length as usize];
        if !read_exact_at(&*self.file, &mut meta, offset + HEADER_BYTES as u64)? {
            return Err(Fault::CutShort);
        }
        self.check_meta(header, &meta)?;
        Ok(meta)
    }

    /// The frame's body as it is stored.
    pub(crate) fn stored_body(&self, header: &FrameHeader, offset: u64) -> Result<Vec<u8>, Fault> {
        let length = usize::try_from(header.body_length).map_err(|_| Fault::CutShort)?;
        let mut body = vec![0; length];
        if !read_exact_at(&*self.file, &mut body, offset + header.body_range().start)? {
            return Err(Fault::CutShort);
        }
        if self.key.checksum(&[&body]) != header.body_check {
            return Err(Fault::Body);
        }
        Ok(body)
    }

    /// The directory and the plain body.
    pub(crate) fn contents(
        &self,
        header: &FrameHeader,
        offset: u64,
        decoder: &mut Decoder,
    ) -> Result<(Vec<u8>, Vec<u8>), Fault> {
        let meta = self.meta(header, offset)?;
        let body = plain(header, self.stored_body(header, offset)?, decoder)?;
        Ok((meta, body))
    }

    fn check_meta(&self, header: &FrameHeader, meta: &[u8]) -> Result<(), Fault> {
        if self.key.checksum(&[meta]) == header.meta_check { Ok(()) } else { Err(Fault::Meta) }
    }

    /// The error for a fault in the frame at `offset`.
    pub(crate) fn damaged(&self, offset: u64, fault: &Fault) -> Error {
        Error::PackDamaged { pack: self.name.to_string(), offset, what: fault.to_string() }
    }
}

/// A stored body made plain.
fn plain(header: &FrameHeader, stored: Vec<u8>, decoder: &mut Decoder) -> Result<Vec<u8>, Fault> {
    if header.sealing != 0 {
        return Err(Fault::Sealed(header.sealing));
    }
    let length = usize::try_from(header.plain_length).map_err(|_| Fault::Decompress)?;
    let plain = match header.codec {
        Codec::Stored => stored,
        Codec::Zstd => decoder.decompress(&stored, length).map_err(|_| Fault::Decompress)?,
        Codec::Other(codec) => return Err(Fault::UnknownCodec(codec)),
    };
    if plain.len() == length { Ok(plain) } else { Err(Fault::Decompress) }
}
