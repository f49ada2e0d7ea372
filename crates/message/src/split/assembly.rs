//! Blobs and recipe in the making, and the proof that they give the message.
//!
//! Bytes come in the order of the message; header and text fill an open blob, attachments come
//! whole. A blob that is done is named, and held until the bytes that the recipe makes of it have
//! been hashed from the very buffer that is then handed out: if memory or processor has changed a
//! byte on the way, the hash is not the message's, and the message is refused instead of archived
//! wrong.
//!
//! Invariant: no piece is handed out before the proof has read it. What is held is bounded by
//! [`HOLD_BYTES`] and the open blob.

use std::convert::Infallible;

use super::{MAX_BLOB, Piece, SplitError};
use crate::base64_lines::Shape;
use crate::fields::Fields;
use crate::recipe::{BlobRef, Cursors, Recipe, Step, Stream};
use crate::{BlobName, MessageKey};

/// When so much is held, the open text blob is closed early, so that everything can be proven and
/// given away. Text after that goes to a new blob.
const HOLD_BYTES: usize = 2 * MAX_BLOB;

/// After so many runs the rest of a message is text: bounds the recipe of a message made of nothing
/// but short runs. A message of this many parts is an attack or a test.
const MAX_RUNS: usize = 1 << 16;

#[derive(Default)]
pub(super) struct Assembly {
    recipe: Recipe,
    open: Option<Open>,
    /// Named and not yet proven, with their index in the recipe.
    held: Vec<(u32, Piece)>,
    held_bytes: usize,
    /// How many steps the proof has followed.
    proven_steps: usize,
    proof: blake3::Hasher,
    attachments: usize,
    fields: Option<Fields>,
}

/// A blob of header or text that is being filled.
struct Open {
    stream: Stream,
    index: u32,
    bytes: Vec<u8>,
    /// How many of the bytes have their step in the recipe.
    copied: usize,
}

/// What comes of a message when it is proven.
pub(super) struct Assembled {
    pub(super) recipe: Recipe,
    pub(super) fields: Fields,
}

impl Assembly {
    /// Whether another run may become a blob.
    pub(super) fn takes_runs(&self) -> bool {
        self.attachments < MAX_RUNS
    }

    /// Appends bytes of the header block or of the text.
    pub(super) fn append(&mut self, stream: Stream, mut bytes: &[u8], out: &mut impl FnMut(Piece)) {
        while !bytes.is_empty() {
            let open = self.open(stream);
            let (now, later) = bytes.split_at(bytes.len().min(MAX_BLOB - open.bytes.len()));
            open.bytes.extend_from_slice(now);
            if open.bytes.len() == MAX_BLOB {
                self.close();
                self.settle(out);
            }
            bytes = later;
        }
    }

    /// Appends a run's decoded bytes as a blob of their own.
    pub(super) fn attach(&mut self, bytes: Vec<u8>, shape: Shape, closed: bool, out: &mut impl FnMut(Piece)) {
        self.copy_open();
        let index = self.reserve(Stream::Attachment);
        self.recipe.steps.push(Step::Base64 {
            blob: index,
            line_length: u16::try_from(shape.line_length).expect("a run's lines have at most 996 characters"),
            line_end: shape.line_end,
            closed,
        });
        self.attachments += 1;
        self.hold(index, Stream::Attachment, bytes);
        if self.held_bytes >= HOLD_BYTES {
            self.close();
        }
        self.settle(out);
    }

    /// Proves the whole message, then hands out what is still held.
    pub(super) fn finish(
        mut self,
        key: MessageKey,
        size: u64,
        out: &mut impl FnMut(Piece),
    ) -> Result<Assembled, SplitError> {
        self.close();
        self.prove();
        let found = MessageKey::from(self.proof.finalize());
        if found != key {
            return Err(SplitError::NotTheMessage { key, found, size });
        }
        self.hand_out(out);
        Ok(Assembled { recipe: self.recipe, fields: self.fields.unwrap_or_default() })
    }

    /// The open blob of this stream, begun if need be.
    fn open(&mut self, stream: Stream) -> &mut Open {
        if self.open.as_ref().is_some_and(|open| open.stream != stream) {
            self.close();
        }
        if self.open.is_none() {
            let index = self.reserve(stream);
            self.open = Some(Open { stream, index, bytes: Vec::new(), copied: 0 });
        }
        self.open.as_mut().expect("just opened")
    }

    /// A place in the recipe for a blob whose name is not yet known.
    fn reserve(&mut self, stream: Stream) -> u32 {
        let index = u32::try_from(self.recipe.blobs.len()).expect("so many blobs do not fit in memory");
        self.recipe.blobs.push(BlobRef { stream, name: BlobName::from_bytes([0; 32]), length: 0 });
        index
    }

    /// Makes a step of what was appended to the open blob since its last step.
    fn copy_open(&mut self) {
        let Some(open) = &mut self.open else { return };
        if open.bytes.len() > open.copied {
            self.recipe
                .steps
                .push(Step::Copy { blob: open.index, length: length_of(&open.bytes[open.copied..]) });
            open.copied = open.bytes.len();
        }
    }

    fn close(&mut self) {
        self.copy_open();
        if let Some(open) = self.open.take() {
            if open.stream == Stream::Header && self.fields.is_none() {
                self.fields = Some(Fields::parse(&open.bytes));
            }
            self.hold(open.index, open.stream, open.bytes);
        }
    }

    fn hold(&mut self, index: u32, stream: Stream, bytes: Vec<u8>) {
        let name = BlobName::of(&bytes);
        self.recipe.blobs[index as usize] = BlobRef { stream, name, length: length_of(&bytes) };
        self.held_bytes += bytes.len();
        self.held.push((index, Piece { stream, name, bytes }));
    }

    /// Gives away what is held, unless it is little or its proof must wait for the open blob.
    fn settle(&mut self, out: &mut impl FnMut(Piece)) {
        if self.open.is_none() && self.held_bytes >= MAX_BLOB {
            self.prove();
            self.hand_out(out);
        }
    }

    /// Follows the steps since the last proof, reading the held pieces. No blob is open, so every
    /// blob of these steps is held, one index after the other, and used up by them.
    fn prove(&mut self) {
        self.held.sort_unstable_by_key(|&(index, _)| index);
        let first = self.held.first().map_or(0, |&(index, _)| index);
        let mut cursors = Cursors::new(&self.recipe.blobs[first as usize..], first);
        for (number, step) in self.recipe.steps.iter().enumerate().skip(self.proven_steps) {
            let portion = cursors.advance(number, step).expect("the steps were made from these blobs");
            let (_, piece) = &self.held[(step.blob() - first) as usize];
            let Ok(()) = portion.write(&piece.bytes, |bytes| {
                self.proof.update(bytes);
                Ok::<_, Infallible>(())
            });
        }
        self.proven_steps = self.recipe.steps.len();
    }

    fn hand_out(&mut self, out: &mut impl FnMut(Piece)) {
        self.held_bytes = 0;
        self.held.drain(..).for_each(|(_, piece)| out(piece));
    }
}

fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("no blob is longer than MAX_BLOB")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::LineEnd;

    const SHAPE: Shape = Shape { line_length: 76, line_end: LineEnd::Lf };

    fn message() -> (Assembly, MessageKey) {
        let mut assembly = Assembly::default();
        let mut never = |_| panic!("nothing is proven yet");
        assembly.append(Stream::Header, b"Subject: x\n\n", &mut never);
        assembly.append(Stream::Text, b"before\n", &mut never);
        assembly.attach(b"ABC".to_vec(), SHAPE, true, &mut never);
        assembly.append(Stream::Text, b"after\n", &mut never);
        (assembly, MessageKey::of(b"Subject: x\n\nbefore\nQUJD\nafter\n"))
    }

    #[test]
    fn pieces_are_handed_out_when_the_message_is_proven() {
        let (assembly, key) = message();
        let mut pieces = Vec::new();
        let assembled = assembly.finish(key, 30, &mut |piece| pieces.push(piece)).unwrap();
        assert_eq!(pieces.len(), 3);
        assert_eq!(assembled.recipe.size(), Ok(30));
        assert_eq!(assembled.fields.subject, "x");
    }

    #[test]
    fn a_bit_that_flips_between_the_stages_is_noticed() {
        let flips: [fn(&mut Assembly); 4] = [
            |assembly| assembly.held[0].1.bytes[9] ^= 1,
            |assembly| assembly.held[1].1.bytes[2] ^= 0x80,
            |assembly| assembly.open.as_mut().unwrap().bytes[0] ^= 4,
            |assembly| assembly.recipe.steps.swap(1, 2),
        ];
        for (number, flip) in flips.into_iter().enumerate() {
            let (mut assembly, key) = message();
            flip(&mut assembly);
            let mut never = |_| panic!("a piece of an unproven message was handed out");
            let result = assembly.finish(key, 30, &mut never);
            assert!(matches!(result, Err(SplitError::NotTheMessage { .. })), "{number}");
        }
    }
}
